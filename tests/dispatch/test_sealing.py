"""The sealer runs in a loop of its own, about every second: a slow sweep doesn't hold it up."""

from __future__ import annotations

import asyncio

import pytest

from cast import House
from hospitium.dispatch import loop, sweeps
from hospitium.engine.context import Context
from hospitium.engine.trail.signing import SealKeys

KEYS = SealKeys({1: bytes(range(32))})
UNSEALED = (
    "SELECT FROM events AS e "
    "WHERE NOT EXISTS (SELECT FROM event_seals AS s WHERE s.event_id = e.id AND s.at = e.at)"
)


async def wait_until_sealed(house: House) -> None:
    async with asyncio.timeout(60):
        while await house.rows(UNSEALED):
            await asyncio.sleep(0.01)


def test_seals_are_about_a_second_behind_and_sweeps_take_their_time() -> None:
    assert loop.SHORT_PAUSE == 1.0 < loop.PAUSE


async def test_it_seals_what_happens_while_it_runs(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "SHORT_PAUSE", 0.001)
    running = asyncio.create_task(loop.run_for_ever(house.database, house.clock, (sweeps.sealing(KEYS),)))
    try:
        await wait_until_sealed(house)
        assert (await house.ada.asks(house.lakeside)).status_code == 201
        await wait_until_sealed(house)
        assert not running.done()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    (row,) = await house.rows("SELECT count(*) AS n, max(number) AS last FROM event_seals")
    assert row["n"] == row["last"] > 0
    await house.must_be_sound()


async def test_a_sealer_that_fails_is_tried_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "SHORT_PAUSE", 0.001)
    times = 0

    async def at_last(ctx: Context) -> bool:
        nonlocal times
        times += 1
        if times < 3:
            raise RuntimeError("a mistake of ours")
        return await sweeps.sealing(KEYS)(ctx)

    running = asyncio.create_task(loop.run_for_ever(house.database, house.clock, (at_last,)))
    try:
        await wait_until_sealed(house)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
