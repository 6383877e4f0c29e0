"""Sweeps write down, and announce, what the clock has made true already; any number of processes may run them."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import asyncpg
import pytest
from structlog.testing import capture_logs

from cast import House, data, refusal
from hospitium.dispatch import loop, sweeps
from hospitium.engine.partnerships.record import PartnershipStatus
from hospitium.storage.database import DatabaseUnavailable

if TYPE_CHECKING:
    from hospitium.engine.context import Context


async def _overdue(house: House) -> str:
    connection_id = data(await house.ada.asks(house.lakeside), 201)["connectionId"]
    house.clock.advance(days=90)
    return connection_id


async def _status_kept(house: House, connection_id: str) -> str:
    (row,) = await house.rows("SELECT status FROM partnerships WHERE id = $1::text::uuid", connection_id)
    return str(row["status"])


async def test_it_marks_an_overdue_request_as_expired_and_tells_both_sides(house: House) -> None:
    connection_id = await _overdue(house)
    assert await _status_kept(house, connection_id) == "pending_approval"
    before = data(await house.ada.sees(connection_id))

    await loop.run_once(house.database, house.clock)

    assert await _status_kept(house, connection_id) == "expired"
    assert data(await house.ada.sees(connection_id)) == before  # the clock had said so already
    for organization in (house.northside, house.lakeside):
        assert (await house.trail(organization))[-1] == "partnership.expired"
    await house.must_be_sound()


async def test_it_leaves_a_request_that_is_still_in_time(house: House) -> None:
    connection_id = data(await house.ada.asks(house.lakeside), 201)["connectionId"]
    house.clock.advance(days=90, milliseconds=-1)
    await loop.run_once(house.database, house.clock)
    assert await _status_kept(house, connection_id) == "pending_approval"
    data(await house.rui.does("approve", connection_id))


async def test_a_deadline_holds_though_no_sweep_has_run(house: House) -> None:
    connection_id = await _overdue(house)
    for verb in ("approve", "reject"):
        refusal(await house.rui.does(verb, connection_id), 409, "REQUEST_EXPIRED")
    refusal(await house.ada.does("cancel", connection_id), 409, "REQUEST_EXPIRED")
    data(await house.ada.asks(house.lakeside), 201)
    await house.must_be_sound()


async def test_two_loops_at_once_expire_each_request_once(house: House) -> None:
    targets = [await house.add_organization(f"target-{index}") for index in range(10)]
    for target in targets:
        data(await house.ada.asks(target), 201)
    house.clock.advance(days=91)

    await asyncio.gather(*(loop.run_once(house.database, house.clock) for _ in range(4)))

    kept = await house.rows("SELECT status, version FROM partnerships")
    assert [(row["status"], row["version"]) for row in kept] == [(PartnershipStatus.EXPIRED, 2)] * 10
    assert (await house.trail(house.northside)).count("partnership.expired") == 10
    await house.must_be_sound()


async def test_it_forgets_idempotency_keys_after_a_day(house: House) -> None:
    data(await house.ada.asks(house.lakeside, Idempotency_Key="one"), 201)
    house.clock.advance(hours=24, seconds=-1)
    await loop.run_once(house.database, house.clock)
    assert len(await house.rows("SELECT FROM idempotency_keys")) == 1
    house.clock.advance(seconds=2)
    await loop.run_once(house.database, house.clock)
    assert await house.rows("SELECT FROM idempotency_keys") == []


async def test_it_makes_the_partitions_of_this_month_and_the_next_two(house: House) -> None:
    house.clock.advance(days=400)
    await loop.run_once(house.database, house.clock)
    for month in (
        house.clock.now,
        house.clock.now + timedelta(days=31),
        house.clock.now + timedelta(days=62),
    ):
        for parent in ("events", "event_parties"):
            (row,) = await house.rows(
                "SELECT to_regclass($1) IS NOT NULL AS there", f"{parent}_{month:%Y_%m}"
            )
            assert row["there"]

    data(await house.ada.asks(house.lakeside), 201)
    (row,) = await house.rows(
        "SELECT tableoid::regclass::text AS home FROM events ORDER BY position DESC LIMIT 1"
    )
    assert row["home"] == f"events_{house.clock.now:%Y_%m}"


async def test_a_month_whose_events_are_in_the_default_partition_stays_there(house: House) -> None:
    house.clock.advance(days=400)
    data(
        await house.ada.asks(house.lakeside), 201
    )  # no sweep has run: the event goes to the default partition
    await loop.run_once(house.database, house.clock)
    data(await house.ada.asks(house.harbor), 201)
    homes = await house.rows(
        "SELECT DISTINCT tableoid::regclass::text AS home FROM events WHERE at > $1",
        house.clock.now - timedelta(days=1),
    )
    assert [row["home"] for row in homes] == ["events_other"]
    await house.must_be_sound()


async def test_a_month_that_must_wait_for_a_reader_holds_up_no_deed(house: House, database_url: str) -> None:
    house.clock.advance(days=400)
    reader = await asyncpg.connect(database_url)
    reading = reader.transaction()
    await reading.start()
    await reader.execute("LOCK TABLE events IN ACCESS SHARE MODE")  # as a proof, an export and a dump have it

    async def sweep() -> None:
        await loop.run_once(house.database, house.clock, [sweeps.make_event_partitions])

    with capture_logs() as logs:
        sweeping = asyncio.create_task(sweep())
        async with asyncio.timeout(10):
            while not sweeping.done() and not await house.rows(
                "SELECT FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND NOT granted "
                "AND relation = 'events'::regclass AND database = "
                "(SELECT oid FROM pg_database WHERE datname = current_database())"
            ):
                await asyncio.sleep(0)
        began = time.monotonic()
        data(await house.ada.asks(house.lakeside), 201)
        assert time.monotonic() - began < 2
        await sweeping
    assert [entry["log_level"] for entry in logs if entry.get("sweep")] == ["warning"]
    month = f"events_{house.clock.now + timedelta(days=31):%Y_%m}"
    assert (await house.rows("SELECT to_regclass($1) AS there", month))[0]["there"] is None

    await reading.rollback()
    await reader.close()
    await sweep()
    assert (await house.rows("SELECT to_regclass($1) AS there", month))[0]["there"] is not None


@pytest.mark.parametrize("problem", [RuntimeError("a mistake of ours"), DatabaseUnavailable("away")])
async def test_a_broken_sweep_does_not_end_the_loop(
    house: House, monkeypatch: pytest.MonkeyPatch, problem: Exception
) -> None:
    went_round = asyncio.Event()
    rounds = 0

    async def broken(ctx: Context) -> bool:
        nonlocal rounds
        rounds += 1
        if rounds >= 3:
            went_round.set()
        raise problem

    house.clock.advance(days=400)
    monkeypatch.setattr(loop, "SWEEPS", (broken, *sweeps.SWEEPS))
    monkeypatch.setattr(loop, "PAUSE", 0.001)
    running = asyncio.create_task(loop.run_for_ever(house.database, house.clock))
    try:
        await asyncio.wait_for(went_round.wait(), 10)
        assert not running.done()
        # The sweeps behind the broken one have done their work all the same.
        (row,) = await house.rows(
            "SELECT to_regclass($1) IS NOT NULL AS made", f"events_{house.clock.now:%Y_%m}"
        )
        assert row["made"]
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
