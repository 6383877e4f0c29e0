"""Old months leave the trail whole and sealed, and what stays still proves what they were."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta

import asyncpg
import pytest

from cast import MovableClock
from engine.ground import Ground
from engine.test_events import no_event_can_be_written
from engine.trail.sealing import (
    EVENT,
    KEYS,
    behind_its_back,
    faults_of,
    head_now,
    numbers,
    proof_of,
    seal_all,
    write,
)
from hospitium.dispatch.sweeps import make_event_partitions
from hospitium.engine.errors import Forbidden, Invalid, WrongState
from hospitium.engine.trail import actions
from hospitium.engine.trail.actions import Retired

FIRST = datetime(2031, 1, 10, tzinfo=UTC)


async def three_months(ground: Ground, clock: MovableClock) -> None:
    """Fill January to March of 2031, with a partnership that goes on through all of them, and seal it."""
    clock.now = FIRST
    await ground.does("system", make_event_partitions)
    partnership_id = await ground.asks("ada", "lakeside")
    await ground.moves("rui", "approve", partnership_id)
    await ground.asks("ada", "harbor")
    await write(ground, *range(10))
    clock.now = FIRST + timedelta(days=31)
    # Around midnight of the first a deed of January is sealed after one of February.
    await write(ground, 1)
    clock.now = datetime(2031, 1, 31, 23, 59, tzinfo=UTC)
    await write(ground, 2)
    clock.now = FIRST + timedelta(days=32)
    await ground.moves("ada", "terminate", partnership_id)
    clock.now = FIRST + timedelta(days=62)
    await ground.moves("rui", "reestablish", partnership_id)
    await seal_all(ground)


async def retire(ground: Ground, month: date) -> list[Retired]:
    found: list[Retired] = await ground.does("operator", actions.retire, month, KEYS)
    return found


async def test_a_month_is_retired_and_the_rest_still_proves(ground: Ground, clock: MovableClock) -> None:
    await three_months(ground, clock)
    head, before = await head_now(ground), await proof_of(ground)
    gone = await ground.rows("SELECT id FROM events WHERE at >= '2031-01-01Z' AND at < '2031-02-01Z'")
    parties = await ground.rows("SELECT FROM event_parties WHERE at >= '2031-01-01Z' AND at < '2031-02-01Z'")

    retired = await retire(ground, date(2031, 2, 1))
    january = next(one for one in retired if one.month == "2031-01")
    assert (january.events, january.parties) == (len(gone), len(parties))
    assert len(gone) == 14
    for parent in ("events", "event_parties", "event_seals"):
        (row,) = await ground.rows("SELECT to_regclass($1) AS there", f"{parent}_2031_01")
        assert row["there"] is None

    proof = await proof_of(ground, head)
    assert proof.found == []
    assert (proof.retired, proof.events) == (len(gone), before.events - len(gone))
    assert proof.last_number == before.last_number
    assert await ground.violations() == []

    told = await ground.rows(
        "SELECT actor_kind, data FROM events WHERE kind = 'trail.retired' ORDER BY position"
    )
    assert {"month": "2031-01", "events": len(gone), "parties": len(parties)} in [row["data"] for row in told]
    assert {row["actor_kind"] for row in told} == {"operator"}
    await seal_all(ground)
    assert await faults_of(ground, head) == []
    assert (await numbers(ground))[-1][0] == before.last_number + len(told)


async def test_several_months_are_retired_one_after_the_other(ground: Ground, clock: MovableClock) -> None:
    await three_months(ground, clock)
    assert "2031-01" in [one.month for one in await retire(ground, date(2031, 2, 1))]
    assert [one.month for one in await retire(ground, date(2031, 3, 1))] == ["2031-02"]
    assert await retire(ground, date(2031, 3, 1)) == []
    await seal_all(ground)
    assert await faults_of(ground) == []
    assert await ground.violations() == []


async def test_what_is_missing_beside_the_retired_is_still_found(
    ground: Ground, database_url: str, clock: MovableClock
) -> None:
    await three_months(ground, clock)
    await retire(ground, date(2031, 2, 1))
    (row,) = await ground.rows("SELECT min(number) AS n FROM event_seals WHERE at >= '2031-02-01Z'")
    async with behind_its_back(database_url) as owner:
        await owner.execute(
            "DELETE FROM events WHERE id = (SELECT event_id FROM event_seals WHERE number = $1)", row["n"]
        )
        await owner.execute(
            "DELETE FROM event_parties WHERE event_id = (SELECT event_id FROM event_seals WHERE number = $1)",
            row["n"],
        )
        await owner.execute("DELETE FROM event_seals WHERE number = $1", row["n"])
    (finding,) = (await proof_of(ground)).found
    assert (finding.fault, finding.number) == ("number_missing", row["n"])
    assert "L1" in await ground.violations()


async def test_months_dropped_without_a_word_are_missing(
    ground: Ground, database_url: str, clock: MovableClock
) -> None:
    await three_months(ground, clock)
    async with behind_its_back(database_url) as owner:
        await owner.execute("DROP TABLE events_2031_01, event_parties_2031_01, event_seals_2031_01")
    assert set(await faults_of(ground)) == {"number_missing"}


async def test_it_refuses_a_month_with_an_event_that_is_not_sealed(
    ground: Ground, clock: MovableClock
) -> None:
    await three_months(ground, clock)
    clock.now = FIRST
    await write(ground, 1)
    clock.now = FIRST + timedelta(days=70)
    before = await ground.everything()
    with pytest.raises(WrongState, match="2031-01 that are not sealed yet"):
        await retire(ground, date(2031, 2, 1))
    assert await ground.everything() == before


async def test_it_waits_for_whoever_still_writes_into_the_month(
    ground: Ground, database_url: str, clock: MovableClock
) -> None:
    await three_months(ground, clock)
    slow = await asyncpg.connect(database_url)
    held = slow.transaction()
    await held.start()
    await slow.execute(EVENT, [1], FIRST)
    retiring = asyncio.create_task(retire(ground, date(2031, 2, 1)))
    async with asyncio.timeout(30):
        while not await ground.rows(
            "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        ):
            await asyncio.sleep(0.01)
    await held.commit()
    await slow.close()
    with pytest.raises(WrongState):
        await retiring
    await seal_all(ground)
    assert "2031-01" in [one.month for one in await retire(ground, date(2031, 2, 1))]
    assert await faults_of(ground) == []


async def test_behind_a_reader_it_gives_up_and_says_so_and_holds_up_no_deed(
    ground: Ground, database_url: str, clock: MovableClock
) -> None:
    await three_months(ground, clock)
    reader = await asyncpg.connect(database_url)
    reading = reader.transaction()
    await reading.start()
    await reader.execute("SELECT count(*) FROM events")
    before = await ground.everything()

    async with asyncio.timeout(10):  # far below the 20 seconds that others wait for a lock
        with pytest.raises(WrongState, match="Somebody reads the trail"):
            await retire(ground, date(2031, 3, 1))
    assert await ground.everything() == before

    await reading.rollback()
    await reader.close()
    assert [one.month for one in await retire(ground, date(2031, 3, 1))][-2:] == ["2031-01", "2031-02"]
    await seal_all(ground)
    assert await faults_of(ground) == []


async def test_without_its_event_no_month_is_retired(ground: Ground, clock: MovableClock) -> None:
    await three_months(ground, clock)
    before = await ground.everything()
    async with no_event_can_be_written(ground, "events"):
        with pytest.raises(asyncpg.RaiseError, match="the trail is broken"):
            await retire(ground, date(2031, 2, 1))
    assert await ground.everything() == before
    await retire(ground, date(2031, 2, 1))  # and nothing else stood in its way


async def test_it_refuses_a_month_that_is_not_over(ground: Ground, clock: MovableClock) -> None:
    await three_months(ground, clock)
    with pytest.raises(Invalid, match="begun"):
        await retire(ground, date(2031, 4, 1))


async def test_nobody_but_the_operator_retires_or_proves(ground: Ground) -> None:
    for who in ("ada", "system"):
        with pytest.raises(Forbidden):
            await ground.does(who, actions.retire, date(2026, 1, 1), KEYS)
