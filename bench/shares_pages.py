"""What the lists of sharing cost where there is much: the connections of an account and of a record, and the records one may read."""

from __future__ import annotations

import json
import random
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from bench import crowd, sharing
from bench.figures import Sheet, median, size, slowest_but
from bench.ground import ground
from bench.load import Callers, ask, get, one_by_one
from bench.sharing import Given
from hospitium.engine.shares.record import TargetForm
from hospitium.engine.verify import verify

if TYPE_CHECKING:
    from uuid import UUID

    import asyncpg

    from bench.ground import Ground, Server
    from bench.sharing import Owned, Person, Place

TURNS = 10
LIMIT = 20
FEW = 10
SAME = 1.5
EVENTS_OF_SHARES = (
    "H5"  # the invariant that asks for events, which weren't written: the lists don't read them
)
_TEAMS = 10
_LISTS = ("connections of an account", "connections of a record")
_READERS_OWN = "connections of a record, a reader's own"
_DEEP = 10_000  # the largest `skip`


class World(NamedTuple):
    """A database with so many shares, and what is asked of it."""

    here: Ground
    server: Server
    asked: dict[str, bytes]


async def run() -> Sheet:
    """Measure both sizes in turns, so that a busy machine slows both."""
    shares, readable, each = size("SHARES", 1_000_000), size("READABLE", 10_000), size("SHARE_PAGES", 30)
    taken: dict[tuple[int, str], list[float]] = {}
    async with AsyncExitStack() as open_ones:
        callers = open_ones.enter_context(Callers())
        worlds = {
            count: await _world(open_ones, callers, count, readable) for count in (shares // 10, shares)
        }
        for turn in range(-1, TURNS):  # the first warms connections, plans and caches up
            for count, world in worlds.items():
                for name, request in world.asked.items():
                    requests = [request] * (each // 4 if "skipped" in name else each)
                    seconds = await callers.run(one_by_one, world.server.port, requests)
                    if turn >= 0:
                        taken.setdefault((count, name), []).extend(seconds)
        for world in worlds.values():
            await _verify(world)
    sheet = Sheet("shares_pages")
    for name in _LISTS:
        first, last = (median(taken[shares, f"{name}, {which} page"]) for which in ("first", "last"))
        sheet.ratio(last / first, f"{name}: last page by key / first page, {shares:,} shares", at_most=SAME)
    pages = [f"{one}, {which} page" for one in _LISTS for which in ("first", "last", "skipped to")]
    for name in (*pages, _READERS_OWN):
        grown = median(taken[shares, name]) / median(taken[shares // 10, name])
        target = None if "skipped" in name else SAME
        sheet.ratio(grown, f"{name}: {shares:,} shares / {shares // 10:,}", at_most=target)
    few = median(taken[shares, f"records, all of {FEW:,}"])
    for which in ("first ten", "first page", "last page"):
        many = median(taken[shares, f"records, {which} of {readable:,}"])
        sheet.ratio(many / few, f"records: {which} of {readable:,} readable / all of {FEW:,}", at_most=SAME)
    for (count, name), seconds in taken.items():
        sheet.number(
            f"{name}, {count:,} shares: p50, p95 in ms",
            f"{median(seconds) * 1000:7.2f} {slowest_but(seconds, 0.05) * 1000:7.2f}",
        )
    sheet.made(
        f"{shares:,} shares, and {shares // 10:,}, each in a database and server of its own, in turns; an account has a sixth of them (made, offered by "
        f"account, address and team), a record a tenth; over HTTP one after the other, pages of {LIMIT}, "
        f"ratios of medians; the shares without their events, and `verify` but for these found nothing"
    )  # fmt: skip
    return sheet


async def _world(open_ones: AsyncExitStack, callers: Callers, count: int, readable: int) -> World:
    here = await open_ones.enter_async_context(ground())
    async with here.connection() as connection:
        at = await sharing.place(connection)
        hub, holder, few, many, *others = await sharing.people(connection, at, count // 10 + 4)
        teams = [
            await sharing.team(connection, at, f"team {number}", others[number], [hub])
            for number in range(_TEAMS)
        ]
        [much_shared] = await sharing.records(connection, at, [holder])
        given = [Given(much_shared, TargetForm.ACCOUNT, other.id) for other in others]
        given += await _of_hub(connection, at, hub, others)
        given += await _of_others(connection, at, hub, teams, others)
        for reader, how_many in ((few, FEW), (many, readable)):
            given += await _of_reader(connection, at, reader, others, how_many)
        # In no order: everybody's are mixed, as they come in.
        random.Random(count).shuffle(given)
        await sharing.shares(here, connection, at, given)
        tokens = await sharing.sessions(connection, here.access_tokens(), [hub, holder, few, many, others[0]])
        await crowd.settle(connection)
        last_of_hub = await _last_but(
            connection,
            "creator_id = $2 OR target_account_id = $2 OR target_team_id = ANY($3) OR (target_email = $4 AND status = 'pending')",
            hub.id, teams, hub.email,
        )  # fmt: skip
        last_of_record = await _last_but(connection, "record_id = $2", much_shared.id)
        last_readable = await connection.fetchval(
            "SELECT resource_id FROM grants WHERE grantee_id = $1 ORDER BY resource_id OFFSET $2 LIMIT 1",
            many.id, min(LIMIT, readable - 1),
        )  # fmt: skip
    server = await open_ones.enter_async_context(here.server())
    skip = min(_DEEP, len(others) // 2)
    asked: dict[str, bytes] = {}
    for name, path, token, last in (
        ("connections of an account", sharing.CONNECTIONS, tokens[0], last_of_hub),
        ("connections of a record", f"{much_shared.path}/connections", tokens[1], last_of_record),
    ):
        asked[f"{name}, first page"] = get(f"{path}?limit={LIMIT}", token)
        asked[f"{name}, last page"] = get(f"{path}?limit={LIMIT}&after={last}", token)
        asked[f"{name}, skipped to page"] = get(f"{path}?limit={LIMIT}&skip={skip}", token)
    asked[_READERS_OWN] = get(f"{much_shared.path}/connections?limit={LIMIT}", tokens[4])
    asked[f"records, all of {FEW:,}"] = get(f"{sharing.RECORDS}?limit={LIMIT}", tokens[2])
    asked[f"records, first ten of {readable:,}"] = get(f"{sharing.RECORDS}?limit={FEW}", tokens[3])
    asked[f"records, first page of {readable:,}"] = get(f"{sharing.RECORDS}?limit={LIMIT}", tokens[3])
    asked[f"records, last page of {readable:,}"] = get(
        f"{sharing.RECORDS}?limit={LIMIT}&after={last_readable}", tokens[3]
    )
    for name, request in asked.items():
        page = json.loads(await callers.run(ask, server.port, request))
        full = 1 if name == _READERS_OWN else FEW if "all of" in name or "ten" in name.split() else LIMIT
        if (len(page["data"]), page["hasMore"]) != (full, "first" in name or "skipped" in name):
            raise RuntimeError(f"{name}: {len(page['data'])} and hasMore {page['hasMore']}")
    return World(here, server, asked)


async def _of_hub(
    connection: asyncpg.Connection, at: Place, hub: Person, others: list[Person]
) -> list[Given]:
    """What the account has made: a share with everybody else, ten of a record."""
    of_hub = await sharing.records(connection, at, [hub] * (len(others) // 10))
    return [
        Given(of_hub[number % len(of_hub)], TargetForm.ACCOUNT, other.id)
        for number, other in enumerate(others)
    ]


async def _of_others(
    connection: asyncpg.Connection, at: Place, hub: Person, teams: list[UUID], others: list[Person]
) -> list[Given]:
    """What everybody else has made: seven or eight shares of a record of his own, some with the account, its address, its teams."""
    of_others = await sharing.records(connection, at, others)
    count = len(others)
    among_them = [
        Given(record, TargetForm.ACCOUNT, others[(number + 1 + step * 37) % count].id)
        for number, record in enumerate(of_others)
        for step in range(7 + (number % 20 < 3))
    ]
    half, tenth = count // 2, count // 10
    to_account = [Given(record, TargetForm.ACCOUNT, hub.id) for record in of_others[:half]]
    to_address = [
        Given(record, TargetForm.EMAIL, hub.email) for record in of_others[half : half + tenth // 2]
    ]
    to_team = [
        Given(record, TargetForm.TEAM, teams[number % len(teams)])
        for number, record in enumerate(of_others[half + tenth : half + 2 * tenth])
    ]
    return among_them + to_account + to_address + to_team


async def _of_reader(
    connection: asyncpg.Connection, at: Place, reader: Person, others: list[Person], count: int
) -> list[Given]:
    """So many records that an account may read: half its own, half given to it."""
    found: list[Owned] = await sharing.records(
        connection, at, [others[number % len(others)] if number % 2 else reader for number in range(count)]
    )
    return [Given(record, TargetForm.ACCOUNT, reader.id) for record in found if record.owner != reader.id]


async def _last_but(connection: asyncpg.Connection, which: str, *given: object) -> UUID:
    """Return after which share a page of the last ones begins."""
    found: UUID = await connection.fetchval(
        f"SELECT id FROM shares WHERE {which} ORDER BY id OFFSET $1 LIMIT 1", LIMIT, *given
    )
    return found


async def _verify(world: World) -> None:
    async with world.here.connection() as connection, connection.transaction():
        found = await verify(connection, world.here.composition.rules, datetime.now(UTC))
    if broken := [one for one in found if one.code != EVENTS_OF_SHARES]:
        raise RuntimeError(f"what was shared breaks an invariant: {broken}")
