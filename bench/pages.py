"""What a page, an approval and a check cost an organization with many connections, and with a tenth of them."""

from __future__ import annotations

import itertools
import random
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from bench import crowd
from bench.crowd import Partners
from bench.figures import Sheet, median, size, slowest_but
from bench.ground import ground
from bench.load import Callers, get, one_by_one, post
from hospitium.engine.access.check import Question, SubjectKind, check
from hospitium.engine.access.decide import Allowed
from hospitium.engine.actor import OPERATOR
from hospitium.engine.context import Context
from hospitium.engine.grants.record import ResourceKind
from hospitium.engine.levels import Level
from hospitium.storage.database import Database

if TYPE_CHECKING:
    from uuid import UUID

    from bench.ground import Ground, Server

LIFTED = {"ACTIVE_CONNECTION_LIMIT": "10000000", "PENDING_REQUEST_LIMIT": "10000000"}
TURNS = 10
LIMIT = 20
AFTER_THE_LAST = 2.0
TEN_TIMES = 1.5


class World(NamedTuple):
    """An organization with many connections, and what is asked of it."""

    here: Ground
    server: Server
    hub: UUID
    token: str
    partners: list[UUID]
    waiting: list[UUID]
    last: dict[str, int]


async def run() -> Sheet:
    """Measure both sizes in turns, so that a busy machine slows both."""
    connections, each = size("CONNECTIONS", 100_000), size("PAGES", 30)
    taken: dict[tuple[int, str], list[float]] = {}
    async with AsyncExitStack() as open_ones:
        callers = open_ones.enter_context(Callers())
        worlds = {
            count: await _world(open_ones, count, TURNS * each) for count in (connections // 10, connections)
        }
        for turn in range(-1, TURNS):  # the first warms connections, plans and caches up
            for count, world in worlds.items():
                for name, requests in _asked(world, turn, each).items():
                    seconds = await callers.run(one_by_one, world.server.port, requests)
                    if turn >= 0:
                        taken.setdefault((count, name), []).extend(seconds)
                checks = await _checks(world, each)
                if turn >= 0:
                    taken.setdefault((count, "check"), []).extend(checks)
    sheet = Sheet("pages")
    small, large = worlds
    for name in ("outgoing", "established"):
        first, last = (median(taken[large, f"{name}, {which} page"]) for which in ("first", "last"))
        sheet.ratio(
            last / first, f"{name}: last page / first page, {large:,} connections", at_most=AFTER_THE_LAST
        )
    for name in (name for count, name in taken if count == large):
        grown = median(taken[large, name]) / median(taken[small, name])
        target = None if "middle" in name else TEN_TIMES
        sheet.ratio(grown, f"{name}: {large:,} connections / {small:,}", at_most=target)
        for count in worlds:
            seconds = taken[count, name]
            sheet.number(
                f"{name}, {count:,} connections: p50, p95 in ms",
                f"{median(seconds) * 1000:7.2f} {slowest_but(seconds, 0.05) * 1000:7.2f}",
            )
    sheet.made(
        f"an organization with {large:,} connections and one with {small:,}, each in a database and server of its own, in turns; "
        f"over HTTP one after the other, pages of {LIMIT}, limits lifted by setting; ratios of medians; the check in process"
    )
    return sheet


async def _world(open_ones: AsyncExitStack, count: int, approvals: int) -> World:
    here = await open_ones.enter_async_context(ground(**LIFTED))
    chance = random.Random(count)
    async with here.connection() as connection:
        hub, *others = await crowd.organizations(connection, count + approvals + 1)
        [token] = await crowd.administrators(connection, here.access_tokens(), [hub])
        partners, asking = others[:count], others[count:]
        of_hub = [_with_hub(chance, hub, other) for other in partners]
        # Everybody else has partners too, so that the organization is large in a large world.
        among_others = [Partners(one, other, "approved") for one, other in itertools.pairwise(partners)]
        waiting = [Partners(other, hub, "pending_approval") for other in asking]
        made = await crowd.partnerships(connection, [*of_hub, *among_others, *waiting])
        await crowd.settle(connection)
    server = await open_ones.enter_async_context(here.server())
    return World(
        here,
        server,
        hub,
        token,
        [one.target if one.source == hub else one.source for one in of_hub if one.status == "approved"],
        made[len(of_hub) + len(among_others) :],
        {
            "outgoing": _pages(sum(one.source == hub for one in of_hub)),
            "established": _pages(sum(one.status == "approved" for one in of_hub)),
        },
    )


def _with_hub(chance: random.Random, hub: UUID, other: UUID) -> Partners:
    status = chance.choices(("approved", "rejected", "canceled", "expired", "terminated"), (90, 3, 2, 2, 3))[
        0
    ]
    return Partners(hub, other, status) if chance.random() < 0.5 else Partners(other, hub, status)


def _pages(rows: int) -> int:
    return -(-rows // LIMIT)


def _asked(world: World, turn: int, each: int) -> dict[str, list[bytes]]:
    asked = {}
    for name, last in world.last.items():
        for which, page in (("first", 1), ("last", last), ("middle", last // 2)):
            # The middle is the farthest from both ends, and costs what skipping half the index costs.
            path = f"/api/connections/{name}?page={page}&limit={LIMIT}"
            asked[f"{name}, {which} page"] = [get(path, world.token)] * (
                each // 4 if which == "middle" else each
            )
    waiting = world.waiting[turn * each : (turn + 1) * each] if turn >= 0 else []
    asked["approve"] = [post(f"/api/connections/{one}/approve", world.token) for one in waiting]
    return asked


async def _checks(world: World, each: int) -> list[float]:
    """Return the seconds that checks of the organization's grants on its partners took, in process."""
    database = await Database.open(world.here.url, size=2)
    taken = []
    try:
        async with database.transaction() as tx:
            for number in range(2 * each):
                about = world.partners[number * 7919 % len(world.partners)]
                ctx = Context(tx, OPERATOR, datetime.now(UTC))
                question = Question(
                    SubjectKind.ORGANIZATION,
                    world.hub,
                    Level.CONNECTED,
                    ResourceKind.ORGANIZATION,
                    str(about),
                )
                began = time.perf_counter()
                decision = await check(ctx, question)
                taken.append(time.perf_counter() - began)
                found = isinstance(decision, Allowed)
                if not found:
                    raise RuntimeError(f"a check gave {decision}")
    finally:
        await database.close()
    return taken[each:]  # the first half prepared the statement
