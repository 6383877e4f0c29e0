"""Reads are on record before anything is shown (threats K-03), exactly as many as were told so (K-05); those that wait share a commit."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import asyncpg
import pytest

from cast import House
from clinic import JANE, Clinic
from doors.native.following import seals
from hospitium.doors import recording
from hospitium.doors.recording import Recorder
from hospitium.engine.actor import Actor, ActorKind
from hospitium.engine.errors import Unavailable
from hospitium.engine.reads.actions import record_all
from reading import a_read, on_record

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

AT_ONCE = 64


class Desk:
    """A recorder of the house's, and ben, who reads at northside."""

    def __init__(self, clinic: Clinic) -> None:
        self.house = clinic.house
        self.server = clinic.server_id
        self.recorder = Recorder(clinic.house.database, clinic.house.clock)
        self.ben = Actor(
            ActorKind.ACCOUNT,
            account_id=clinic.house.accounts["ben"],
            organization_id=clinic.house.northside,
        )

    async def reads(self, *patients: str, **more: Any) -> None:
        read = a_read(self.server, self.house.northside, *(patients or (JANE,)), **more)
        await self.recorder.record(self.ben, read)

    async def on_record(self) -> dict[str, int]:
        async with self.house.database.transaction() as tx:
            return dict(await on_record(tx, self.server))


@pytest.fixture
async def desk(house: House) -> Desk:
    return Desk(await Clinic.open(house))


@asynccontextmanager
async def nothing_can_be_recorded(house: House, when: str = "true") -> AsyncIterator[None]:
    await house.rows(
        f"CREATE FUNCTION break_it() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF {when} THEN RAISE EXCEPTION 'broken'; END IF; RETURN NEW; END $$"
    )
    await house.rows("CREATE TRIGGER broken BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION break_it()")
    yield
    await house.rows("DROP TRIGGER broken ON events")
    await house.rows("DROP FUNCTION break_it()")


async def test_it_returns_when_the_read_is_committed(desk: Desk) -> None:
    await desk.reads()
    assert await desk.on_record() == {"shown": 1}
    await desk.reads(refused="NotFound")
    assert await desk.on_record() == {"shown": 1, "refused": 1} == desk.recorder.counted
    await desk.house.must_be_sound()


async def test_what_cannot_be_put_on_record_is_unavailable(desk: Desk) -> None:
    async with nothing_can_be_recorded(desk.house):
        for refused in (None, "NotFound"):
            with pytest.raises(Unavailable) as raised:
                await desk.reads(refused=refused)
            assert raised.value.retry_after == recording.RETRY_AFTER
    assert await desk.on_record() == {} == desk.recorder.counted
    await desk.reads()
    assert await desk.on_record() == {"shown": 1}


async def test_control_told_before_the_commit_it_would_be_told_of_what_is_not_on_record(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hasty(*_: Any) -> None:
        return

    monkeypatch.setattr(recording, "record_all", hasty)
    await desk.reads()
    assert await desk.on_record() == {}


async def test_many_at_once_are_all_on_record_in_few_transactions(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    transactions = 0

    async def counting(*given: Any) -> None:
        nonlocal transactions
        transactions += 1
        await record_all(*given)

    monkeypatch.setattr(recording, "record_all", counting)
    await asyncio.gather(*(desk.reads() for _ in range(AT_ONCE)))
    assert await desk.on_record() == {"shown": AT_ONCE}
    assert transactions <= AT_ONCE / 4


@pytest.mark.parametrize("processes", [2, 3])
async def test_several_processes_lose_and_double_nothing_and_the_trail_has_no_gap(
    house: House, processes: int, rounds: int
) -> None:
    clinic = await Clinic.open(house)
    desks = [Desk(clinic) for _ in range(processes)]
    each = max(AT_ONCE, rounds)
    await asyncio.gather(
        *(desk.reads(refused=None if n % 3 else "NotFound") for desk in desks for n in range(each))
    )
    counted = sum((desk.recorder.counted for desk in desks), start=desks[0].recorder.counted.__class__())
    assert await desks[0].on_record() == dict(counted)
    assert sum(counted.values()) == processes * each
    parties = await house.rows(
        "SELECT count(*) AS count FROM event_parties AS p JOIN events AS e ON e.id = p.event_id "
        "WHERE e.kind LIKE 'fhir.read%' AND p.party_id = $1",
        house.northside,
    )
    assert parties[0]["count"] == processes * each
    last = await seals(house)
    (numbers,) = await house.rows("SELECT count(*) AS count, min(number) AS first FROM event_seals")
    (written,) = await house.rows("SELECT count(*) AS count FROM events")
    assert (numbers["first"], numbers["count"], written["count"]) == (1, last, last)
    await house.must_be_sound()


async def test_one_that_cannot_be_written_keeps_nobody_elses_from_being_shown(desk: Desk) -> None:
    async with nothing_can_be_recorded(desk.house, "NEW.data->>'resource' = 'poison'"):
        every = [*("good" for _ in range(20)), "poison", *("good" for _ in range(20))]
        found = await asyncio.gather(
            *(desk.reads(resource_id=resource) for resource in every), return_exceptions=True
        )
    assert [type(one) for one in found if one is not None] == [Unavailable]
    assert isinstance(found[20], Unavailable)
    assert await desk.on_record() == {"shown": 40}


async def test_who_goes_away_before_it_is_written_has_read_nothing(desk: Desk) -> None:
    first = asyncio.create_task(desk.reads())
    await asyncio.sleep(0)  # it is being written
    second = asyncio.create_task(desk.reads())
    await asyncio.sleep(0)
    second.cancel()
    await first
    with pytest.raises(asyncio.CancelledError):
        await second
    assert await desk.on_record() == {"shown": 1}


async def test_whoever_is_told_is_on_record_though_connections_break(desk: Desk, rounds: int) -> None:
    """Connections are ended in the midst of it: whoever was told that it is on record, is; some who were not told may be, too."""
    (row,) = await desk.house.rows("SELECT current_database() AS name")
    told: list[str] = []

    async def one(number: int) -> None:
        resource = f"r-{number}-{uuid4().hex[:6]}"
        await asyncio.sleep(
            number % AT_ONCE / 200
        )  # so that some are begun before, and some after, a connection is ended
        try:
            await desk.reads(resource_id=resource)
        except Unavailable:
            return
        told.append(resource)

    async def strike() -> None:
        for _ in range(5):
            await asyncio.sleep(0.02)
            try:
                await desk.house.rows(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid() AND state <> 'idle'",
                    row["name"],
                )
            except (asyncpg.PostgresError, OSError):
                continue

    for turn in range(max(3, rounds // 10)):
        await asyncio.gather(strike(), *(one(turn * AT_ONCE + n) for n in range(AT_ONCE)))
    kept = {
        row["resource"]
        for row in await desk.house.rows(
            "SELECT data->>'resource' AS resource FROM events WHERE kind = 'fhir.read'"
        )
    }
    assert set(told) <= kept
    assert len(told) == desk.recorder.counted["shown"]
    assert told
