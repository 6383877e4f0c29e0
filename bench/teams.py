"""What joining a team, leaving it and reading through it cost, where many are in it and much was given to it, and where it is small."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from bench import crowd, sharing
from bench.figures import Sheet, median, size, slowest_but
from bench.ground import ground
from bench.load import Callers, ask, delete, get, one_by_one, post
from bench.sharing import Given
from hospitium.engine.shares.record import TargetForm
from hospitium.engine.verify import verify

if TYPE_CHECKING:
    from uuid import UUID

    import asyncpg

    from bench.ground import Ground
    from bench.sharing import Owned, Person, Place

TURNS = 10
SMALL = 10
READERS = 10
SAME = 1.5


class Asked(NamedTuple):
    """A team, its records, tokens of its owner and of some members, and who comes and goes."""

    team: UUID
    records: list[Owned]
    owner: str
    readers: list[str]
    newcomers: list[Person]
    newcomer: str  # the token of the first of them


async def run() -> Sheet:
    """Measure both teams in turns, in one database, so that a busy machine slows both."""
    large, each = size("TEAM", 10_000), size("TEAM_DEEDS", 30)
    taken: dict[tuple[int, str], list[float]] = {}
    async with AsyncExitStack() as open_ones:
        callers = open_ones.enter_context(Callers())
        here = await open_ones.enter_async_context(ground())
        async with here.connection() as connection:
            at = await sharing.place(connection)
            teams = {count: await _team(here, connection, at, count, each) for count in (SMALL, large)}
            await sharing.told(connection)
            await crowd.settle(connection)
        server = await open_ones.enter_async_context(here.server())
        async with here.connection() as connection:
            await sharing.wait_for_seals(connection)
        for asked in teams.values():
            await _must_work(callers, server.port, asked)
        for turn in range(-1, TURNS):  # the first warms connections, plans and caches up
            for count, asked in teams.items():
                for name, requests in _requests(asked, turn, each).items():
                    seconds = await callers.run(one_by_one, server.port, requests)
                    if turn >= 0:
                        taken.setdefault((count, name), []).extend(seconds)
        async with here.connection() as connection, connection.transaction():
            broken = await verify(connection, here.composition.rules, datetime.now(UTC))
    if broken:
        raise RuntimeError(f"the teams break an invariant: {broken}")
    sheet = Sheet("teams")
    for name in (name for count, name in taken if count == large):
        grown = median(taken[large, name]) / median(taken[SMALL, name])
        sheet.ratio(grown, f"{name}: a team of {large:,} with {large:,} grants / of {SMALL}", at_most=SAME)
    for (count, name), seconds in taken.items():
        sheet.number(
            f"{name}, a team of {count:,}: p50, p95 in ms",
            f"{median(seconds) * 1000:7.2f} {slowest_but(seconds, 0.05) * 1000:7.2f}",
        )
    sheet.made(
        f"a team of {large:,} members with {large:,} records shared with it, and one of {SMALL} with {SMALL}, in one database, in turns; over HTTP one after "
        f"the other, {TURNS} turns of {each} of each kind; ratios of medians; `verify` found nothing afterwards"
    )
    return sheet


async def _team(here: Ground, connection: asyncpg.Connection, at: Place, count: int, each: int) -> Asked:
    keeper, owner, *people = await sharing.people(connection, at, count + each + 1, f"of-{count}")
    members, newcomers = people[: count - 1], people[count - 1 :]  # its owner is one of its members
    team = await sharing.team(connection, at, f"team of {count}", owner, members)
    records = await sharing.records(connection, at, [keeper] * count)
    await sharing.shares(here, connection, at, [Given(record, TargetForm.TEAM, team) for record in records])
    readers = members[-READERS:]
    tokens = await sharing.sessions(connection, here.access_tokens(), [owner, newcomers[0], *readers])
    return Asked(team, records, tokens[0], tokens[2:], newcomers, tokens[1])


async def _must_work(callers: Callers, port: int, asked: Asked) -> None:
    """Insist that who joins reads what was given to the team, and who has left doesn't."""
    join, leave, read = (
        _join(asked, asked.newcomers[0]),
        _leave(asked, asked.newcomers[0]),
        get(asked.records[-1].path, asked.newcomer),
    )
    await callers.run(ask, port, join)
    if json.loads(await callers.run(ask, port, read))["access"] != 4:
        raise RuntimeError("who joined can't read")
    await callers.run(ask, port, leave)
    try:
        await callers.run(ask, port, read)
    except RuntimeError as refused:
        if "404" not in str(refused):
            raise
    else:
        raise RuntimeError("who left can read")


def _requests(asked: Asked, turn: int, each: int) -> dict[str, list[bytes]]:
    # Far from each other, and others in each turn.
    of_turn = [(turn + 1) * each + number for number in range(each)]
    read = [
        get(
            asked.records[number * 7919 % len(asked.records)].path, asked.readers[number % len(asked.readers)]
        )
        for number in of_turn
    ]
    listing = f"{sharing.RECORDS}?limit={SMALL}"
    return {
        "join": [_join(asked, one) for one in asked.newcomers],
        "leave": [_leave(asked, one) for one in asked.newcomers],
        "read a record through it": read,
        "list ten records through it": [get(listing, asked.readers[0])] * each,
    }


def _join(asked: Asked, person: Person) -> bytes:
    body = json.dumps({"accountId": str(person.id)}).encode()
    return post(f"/v1/teams/{asked.team}/members", asked.owner, body)


def _leave(asked: Asked, person: Person) -> bytes:
    return delete(f"/v1/teams/{asked.team}/members/{person.id}", asked.owner)
