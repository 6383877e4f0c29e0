"""Share and accept over HTTP, against bare transactions in pgbench on the same cluster; among many shares, and among ten times as many."""

from __future__ import annotations

import random
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from bench import bare, crowd, sharing
from bench.figures import Sheet, median, size
from bench.ground import ground
from bench.load import Callers, Offer, get, one_by_one, share
from bench.sharing import Given
from hospitium.engine.shares.record import TargetForm
from hospitium.engine.verify import verify

if TYPE_CHECKING:
    from bench.bare import Round
    from bench.ground import Ground, Server

AT_ONCE = 16
ROUNDS = 5
ACTING = 1_000
TEN_TIMES = 1.5
_EACH_RECORD = 5  # shares
_EACH_OWNER = 2  # records


class World(NamedTuple):
    """A database with so many shares, and what is shared next."""

    here: Ground
    server: Server
    offers: list[Offer]


async def run() -> Sheet:
    """Measure both sizes in turns, each of our pairs and then of bare transactions, so that a busy machine slows all."""
    shares, each = size("SHARES_THERE", 200_000), size("OFFERS", 900)
    rounds: dict[int, list[Round]] = {shares // 10: [], shares: []}
    async with AsyncExitStack() as open_ones:
        callers = open_ones.enter_context(Callers())
        worlds = {count: await _world(open_ones, count, (ROUNDS + 1) * each) for count in rounds}
        for world in worlds.values():
            await _warm_up(world, callers, each)
        for number in range(1, ROUNDS + 1):
            for count, world in worlds.items():
                offers = world.offers[number * each : (number + 1) * each]
                rounds[count].append(
                    await bare.round_of(world.here, world.server, callers, share, offers, AT_ONCE)
                )
        for world in worlds.values():
            async with world.here.connection() as connection, connection.transaction():
                broken = await verify(connection, world.here.composition.rules, datetime.now(UTC))
            if broken:
                raise RuntimeError(f"what was shared breaks an invariant: {broken}")
    sheet = Sheet("shares")
    for count, its in rounds.items():
        sheet.ratio(
            median([2 * one.pairs / one.bare for one in its]),
            f"deeds a second (share, accept) over HTTP / bare transactions a second, among {count:,} shares",
        )
    fewer, more = (median([one.pairs for one in its]) for its in rounds.values())
    sheet.ratio(
        fewer / more, f"time a pair: among {shares:,} shares / among {shares // 10:,}", at_most=TEN_TIMES
    )
    cheaper, dearer = (median([one.server_cpu + one.postgres_cpu for one in its]) for its in rounds.values())
    sheet.ratio(dearer / cheaper, "CPU a pair, of the server and PostgreSQL: the same")
    for count, its in rounds.items():
        bare.numbers(sheet, f"among {count:,}", its, each)
    sheet.made(
        f"{ROUNDS} rounds of {each:,} pairs among {shares // 10:,} shares and among {shares:,}, each in a database and server of its own, "
        f"in turns; {AT_ONCE} at once by {ACTING:,} accounts at most, a type without mails, normal limits, durable; a pair is two deeds and the read by "
        f"which the target gets the token; {bare.EACH * each:,} bare transactions of {AT_ONCE} pgbench clients on the same cluster after "
        "each; `verify` found nothing afterwards"
    )
    return sheet


async def _world(open_ones: AsyncExitStack, count: int, wanted: int) -> World:
    here = await open_ones.enter_async_context(ground())
    async with here.connection() as connection:
        at = await sharing.place(connection)
        people = await sharing.people(connection, at, count // (_EACH_RECORD * _EACH_OWNER))
        # The records of one owner are apart from each other, and so is to whom they are given.
        owners = [*people] * _EACH_OWNER
        records = await sharing.records(connection, at, owners)
        await sharing.shares(
            here,
            connection,
            at,
            [
                Given(record, TargetForm.ACCOUNT, people[(number + 1 + step * 7) % len(people)].id)
                for step in range(_EACH_RECORD)
                for number, record in enumerate(records)
            ],
        )
        acting = people[:ACTING]
        tokens = await sharing.sessions(connection, here.access_tokens(), acting)
        await sharing.told(connection)
        await bare.prepare(here, connection, ACTING)
        await crowd.settle(connection)
    server = await open_ones.enter_async_context(here.server())
    offers = []
    for number, step in _chosen(len(acting), wanted):
        target = (number + step) % len(acting)
        offers.append(
            Offer(records[number].path, sharing.CONNECTIONS, tokens[number], acting[target].email, tokens[target])
        )  # fmt: skip
    return World(here, server, offers)


def _chosen(acting: int, count: int) -> list[tuple[int, int]]:
    """Choose different pairs of who shares and how far off his target is, in no order."""
    chance = random.Random(count)
    return [
        (place // (acting - 1), place % (acting - 1) + 1)
        for place in chance.sample(range(acting * (acting - 1)), count)
    ]


async def _warm_up(world: World, callers: Callers, each: int) -> None:
    everybody = [get("/v1/accounts/own", token) for token in {offer.sharer for offer in world.offers}]
    await callers.run(one_by_one, world.server.port, everybody)
    await callers.run(share, world.server.port, world.offers[:each], AT_ONCE)
    async with world.here.connection() as connection:
        await sharing.wait_for_seals(connection)
        await crowd.settle(connection)
