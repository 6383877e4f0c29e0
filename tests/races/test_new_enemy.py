"""The new enemy: what is taken from somebody is gone before anything new is put there, whoever asks, and by whichever clock.

Somebody is put out of a team, then a record is shared with that team: he never sees it. It takes two servers to go wrong, one that
takes back and adds, and one that is asked: here they are two pools with clocks that are four seconds apart, and two processes. What is stamped by
the clock that is ahead has, by the other, not happened yet.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, nullcontext
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest

from engine import sharing
from engine.access.tables import insert
from hospitium.doors.authzen import questions as door
from hospitium.doors.authzen.questions import Questions
from hospitium.engine.access import asking, listing
from hospitium.engine.access.decide import Allowed
from hospitium.engine.access.listing import After
from hospitium.engine.access.naming import Named
from hospitium.engine.actor import Role
from hospitium.engine.context import Context
from hospitium.engine.ids import FIRST_ID
from hospitium.engine.memberships import actions as memberships
from hospitium.engine.secrets import ServiceKeyText
from hospitium.engine.shares import actions as shares
from hospitium.engine.teams import actions as teams
from hospitium.storage.database import Database
from races.test_two_processes import Pair, installation, opened

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from cli.running import Installation
    from engine.ground import Ground

__all__ = ["installation"]  # a fixture

SKEW = timedelta(seconds=2)
A_MOMENT = timedelta(milliseconds=50)
KEY = ServiceKeyText("hsk_" + "E" * 43)
TYPE = "c_note"


class Server:
    """A server: a pool of connections, a clock, and the questions that applications ask of it."""

    def __init__(self, ground: Ground, database: Database, ahead: timedelta) -> None:
        self.ground = ground
        self.database = database
        self.ahead = ahead
        self.questions = Questions(database, self.clock, lambda _: nullcontext(), lambda _key, _at: None)

    def clock(self) -> datetime:
        return self.ground.clock() + self.ahead

    async def does(self, who: str, deed: Callable[..., Awaitable[Any]], *given: Any) -> Any:
        async with self.database.transaction() as tx:
            return await deed(Context(tx, self.ground.actors[who], self.clock()), *given)

    async def allows(self, who: UUID, record: UUID) -> bool:
        (decision,) = await self.questions.ask(KEY, [Named("account", str(who), "read", TYPE, str(record))])
        return isinstance(decision, Allowed)

    async def lists(self, who: UUID) -> list[str]:
        """Return every record that somebody may read."""
        found: list[str] = []
        async with self.database.transaction() as tx:
            ctx = Context(tx, self.ground.actors["system"], self.clock())
            words = Named("account", str(who), "read", TYPE, "")
            after = After()
            while page := await listing.resources(ctx, self.ground.northside, words, after, 100):
                found += [one.id for one in page]
                after = After(page[-1].id, FIRST_ID)
        return found

    async def names(self, record: UUID) -> list[UUID]:
        """Return every account that may read a record."""
        async with self.database.transaction() as tx:
            ctx = Context(tx, self.ground.actors["system"], self.clock())
            words = Named("account", "", "read", TYPE, str(record))
            return [
                one.id for one in await listing.subjects(ctx, self.ground.northside, words, FIRST_ID, 100)
            ]


class Enemy:
    """Ben, whom one server lets in and puts out of where records are shared, and another server, which is asked what he may read."""

    def __init__(self, ground: Ground, one: Server, other: Server) -> None:
        self.ground = ground
        self.one = one
        self.other = other
        ben = ground.actors["ben"].account_id
        assert ben is not None
        self.ben = ben
        self.stale: list[str] = []
        self.newest = FIRST_ID
        self.asked = 0

    @classmethod
    @asynccontextmanager
    async def open(cls, ground: Ground, url: str, ahead: timedelta = SKEW) -> AsyncIterator[Enemy]:
        other = await Database.open(url, size=8, patience=60)
        try:
            yield cls(ground, Server(ground, ground.database, ahead), Server(ground, other, -ahead))
        finally:
            await other.close()

    async def settle(self) -> None:
        """Let so much time pass that by every clock it has happened."""
        self.ground.clock.now += 4 * SKEW
        await asyncio.sleep(0)

    async def begin(self, road: str) -> None:
        """Make the place where records are shared: a team, an organization, or nothing but ben himself."""
        self.road = road
        self.kind = await self.one.does("ada", sharing.a_type, TYPE)
        self.first = await self.one.does("ada", sharing.a_record, self.kind)
        if road == "team":
            self.team = (await self.one.does("ada", teams.create, "Crew")).id
        async with self.ground.database.transaction() as tx:
            await insert(tx, "service_keys", [
                {"id": uuid4(), "organization_id": self.ground.northside, "name": "k", "digest": KEY.digest(), "scopes": ["check"], "made_at": self.ground.clock()}
            ])  # fmt: skip
        if road == "organization":
            await self.one.does("operator", memberships.end, self.ben, self.ground.northside)
        if road != "share":
            await self.put(self.first)
        await self.settle()

    async def put(self, record: UUID) -> None:
        """Share a record with whoever is there."""
        if self.road == "team":
            offered = await self.one.does("ada", sharing.offer, record, sharing.to_team(self.team))
            await self.one.does("ada", sharing.accept, offered)
            return
        async with self.ground.database.transaction() as tx:
            await insert(tx, "grants", [
                {"id": uuid4(), "grantee_kind": "organization", "grantee_id": self.ground.northside, "resource_kind": "record",
                 "resource_type": str(self.kind.id), "resource_id": str(record), "level": 4, "starts_at": self.one.clock(), "cause_kind": "operator"}
            ])  # fmt: skip

    async def let_in(self) -> None:
        if self.road == "team":
            await self.one.does("ada", teams.add_member, self.team, self.ben)
        elif self.road == "organization":
            await self.one.does("operator", memberships.add, self.ben, self.ground.northside, Role.PHYSICIAN)
        else:
            offered = await self.one.does("ada", sharing.offer, self.first, sharing.to_account(self.ben))
            self.share = await self.one.does("ben", sharing.accept, offered)

    async def put_out(self) -> None:
        if self.road == "team":
            await self.one.does("ada", teams.remove_member, self.team, self.ben)
        elif self.road == "organization":
            await self.one.does("operator", memberships.end, self.ben, self.ground.northside)
        else:
            await self.one.does("ada", shares.end, self.share.id)

    async def must_not_see(self, record: UUID, what: str) -> None:
        """Take note of whatever ben may see at the other server."""
        if await self.other.allows(self.ben, record):
            self.stale.append(f"{what}: allowed")
        if str(record) in await self.other.lists(self.ben):
            self.stale.append(f"{what}: listed")
        if self.ben in await self.other.names(record):
            self.stale.append(f"{what}: named")

    async def one_round(self, number: int) -> None:
        await self.let_in()
        await self.settle()
        assert await self.other.allows(self.ben, self.first), "he never saw anything, so it shows nothing"
        await self.put_out()
        await self.must_not_see(self.first, f"{number}, put out")
        if self.road != "share":
            added = await self.one.does("ada", sharing.a_record, self.kind)
            self.newest = added
            await self.put(added)
            await self.must_not_see(added, f"{number}, added")
            await self.settle()
            await self.must_not_see(added, f"{number}, settled")
            self.newest = FIRST_ID  # from here on ben may be let in again, and see it

    async def again_and_again(self, times: int) -> None:
        """Let in, put out, add; while somebody asks without a pause at the other server for whatever is newest."""
        over = asyncio.Event()

        async def asks_on() -> None:
            while not over.is_set():
                newest = self.newest
                if newest == FIRST_ID:
                    await asyncio.sleep(0)
                    continue
                self.asked += 1
                if await self.other.allows(self.ben, newest):
                    self.stale.append("allowed while it was added")

        asker = asyncio.create_task(asks_on())
        try:
            for number in range(times):
                await self.one_round(number)
        finally:
            over.set()
            await asker


ROADS = ("team", "organization", "share")


@pytest.fixture(scope="session")
def times(rounds: int) -> int:
    """How often somebody is put out: a few times in `make test`, up to 10,000 times in `make soak`."""
    return 5 if rounds <= 20 else min(rounds, 10_000)


@pytest.mark.parametrize("road", ROADS)
async def test_who_was_put_out_never_sees_what_was_added_after(
    ground: Ground, database_url: str, times: int, road: str
) -> None:
    async with Enemy.open(ground, database_url) as enemy:
        await enemy.begin(road)
        await enemy.again_and_again(times)
        assert enemy.stale == []
        assert road == "share" or enemy.asked
    assert await ground.violations() == []


@pytest.mark.parametrize("road", ROADS)
async def test_what_a_clock_that_is_ahead_began_one_that_is_behind_may_end(
    ground: Ground, database_url: str, road: str
) -> None:
    """Ended at once, by a clock that says it has not begun yet: it is over, by every clock, for ever."""
    async with Enemy.open(ground, database_url) as enemy:
        await enemy.begin(road)
        await enemy.let_in()
        enemy.one.ahead, enemy.other.ahead = -SKEW, SKEW
        await enemy.put_out()
        await enemy.must_not_see(enemy.first, "put out")
        await enemy.settle()
        await enemy.must_not_see(enemy.first, "settled")
        assert enemy.stale == []
    assert await ground.violations() == []


# -- controls ------------------------------------------------------------------------------------------------------------


def remember(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a control: what was answered in the last 50 ms is answered again, without asking."""
    kept: dict[Any, tuple[datetime, Any]] = {}
    really = asking.answer

    async def remembers(tx: Any, asked: Any, now: datetime) -> Any:
        key = tuple(asked)
        if key not in kept or now - kept[key][0] > A_MOMENT:
            kept[key] = now, await really(tx, asked, now)
        return kept[key][1]

    monkeypatch.setattr(door, "answer", remembers)


FORGETS = {
    "team": ("team_memberships.ends_at IS NULL", "true"),
    "organization": ("memberships.ends_at IS NULL", "true"),
    "share": ("grants.ends_at IS NULL", "true"),
}
"""What each road is open by, in the statements' own words."""


async def test_control_an_answer_that_is_remembered_for_a_moment_is_found_out(
    ground: Ground, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    remember(monkeypatch)
    async with Enemy.open(ground, database_url) as enemy:
        await enemy.begin("team")
        await enemy.again_and_again(5)
        assert any("put out: allowed" in one for one in enemy.stale)


@pytest.mark.parametrize("road", ROADS)
async def test_control_a_question_that_believes_the_clock_that_is_behind_is_found_out(
    ground: Ground, database_url: str, monkeypatch: pytest.MonkeyPatch, road: str
) -> None:
    """What was ended counts until its end: by a clock that is behind that is a moment yet."""
    there, instead = FORGETS[road]
    for query in (asking._ANSWER, listing._RESOURCES, listing._SUBJECTS):
        assert f" {there}" in query.sql
        monkeypatch.setattr(query, "sql", query.sql.replace(f" {there}", f" {instead}"))
    async with Enemy.open(ground, database_url) as enemy:
        await enemy.begin(road)
        await enemy.again_and_again(1)
        assert {"0, put out: allowed", "0, put out: listed", "0, put out: named"} <= set(enemy.stale)


# -- processes -------------------------------------------------------------------------------------------------------------

# A server whose clock is so many seconds ahead.
AHEAD = """
from datetime import timedelta
import hospitium.__main__ as command
from hospitium import app

def clock(of=app.system_clock):
    return of() + timedelta(seconds={seconds})

app.system_clock = clock
app.parts_of.__defaults__ = (clock,)
command.main()
"""
# A server that goes on allowing what it once allowed.
REMEMBERS = """
import hospitium.__main__ as command
from hospitium.doors.authzen import questions
from hospitium.engine.access.decide import Allowed

kept, answer = {}, questions.answer

async def remembers(tx, asked, now):
    key = tuple(asked)
    if key not in kept or not isinstance(kept[key][0].decision, Allowed):
        kept[key] = await answer(tx, asked, now)
    return kept[key]

questions.answer = remembers
command.main()
"""
KEYS = f"""
serviceKeys:
  - {{organization: northside, name: portal, scopes: [check, list], key: {KEY.reveal()}}}
"""
PAT = "pat@mail.example"


@pytest.fixture
def asked_by_applications(installation: Installation, tmp_path: Path) -> Installation:
    (tmp_path / "keys.yaml").write_text(KEYS)
    installation.says("load", str(tmp_path / "keys.yaml"))
    return installation


async def application_says(pair: Pair, record: str) -> bool:
    """Ask the second server, as an application of northside's."""
    answer = await pair.second.post(
        "/access/v1/evaluation",
        json={"subject": {"type": "user", "id": PAT}, "action": {"name": "read"}, "resource": {"type": "c_note", "id": record}},
        headers={"Authorization": f"Bearer {KEY.reveal()}"},
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    decision: bool = answer.json()["decision"]
    return decision


async def takes_back_and_adds(pair: Pair, times: int) -> None:
    """Take back what an application was told at the other server may be read, ask again; write anew, and ask again."""
    for number in range(times):
        connection = await pair.share()
        assert await application_says(pair, pair.record), "it was never allowed, so it shows nothing"
        await pair.revoke(connection)
        if await application_says(pair, pair.record):
            pair.stale.append(f"{number}, taken back")
        added = (await pair.ada.does(pair.first, "POST", "/c_notes", {"text": "secret"}))["_id"]
        if await application_says(pair, added):
            pair.stale.append(f"{number}, added")


@pytest.mark.parametrize("apart", [0, 2], ids=["by one clock", "by two"])
async def test_what_one_process_took_back_the_other_denies(
    asked_by_applications: Installation, monkeypatch: pytest.MonkeyPatch, times: int, apart: int
) -> None:
    scripts = [AHEAD.format(seconds=seconds) for seconds in (apart, -apart)] if apart else []
    async with opened(asked_by_applications, monkeypatch, *scripts) as pair:
        await takes_back_and_adds(pair, times)
        pair.first, pair.second = pair.second, pair.first
        # What was begun by the clock that is ahead has not begun by the other: here she has a record of its own.
        pair.record = (await pair.ada.does(pair.first, "POST", "/c_notes", {"text": "1"}))["_id"]
        await takes_back_and_adds(pair, min(times, 1_000))
        assert pair.stale == []
    monkeypatch.undo()
    assert asked_by_applications.json("verify") == []


async def test_control_a_process_that_remembers_what_it_answered_is_found_out(
    asked_by_applications: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(asked_by_applications, monkeypatch, second=REMEMBERS) as pair:
        await takes_back_and_adds(pair, 1)
        assert pair.stale == ["0, taken back"]
