"""Request and approve over HTTP, against bare transactions of two statements in pgbench on the same cluster."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bench import bare, crowd
from bench.crowd import Partners
from bench.figures import Sheet, median, size
from bench.ground import ground
from bench.load import Callers, Pair, connect, get, one_by_one
from hospitium.engine.verify import verify

if TYPE_CHECKING:
    from bench.bare import Round

AT_ONCE = 16
ROUNDS = 3


async def run() -> Sheet:
    """Measure in rounds, each of our pairs and then of bare transactions, so that a busy machine slows both."""
    organizations, partnerships = size("ORGANIZATIONS_CONNECTING", 2_000), size("PARTNERSHIPS", 40_000)
    each = size("PAIRS", 1_500)
    async with ground() as here:
        async with here.connection() as connection:
            ids = await crowd.organizations(connection, organizations)
            tokens = await crowd.administrators(connection, here.access_tokens(), ids)
            chosen = _chosen(organizations, partnerships + (ROUNDS + 1) * each)
            there_already = [
                Partners(ids[one], ids[other], "approved") for one, other in chosen[:partnerships]
            ]
            await crowd.partnerships(connection, there_already)
            await bare.prepare(here, connection, organizations)
            await crowd.settle(connection)
        pairs = [Pair(tokens[one], str(ids[other]), tokens[other]) for one, other in chosen[partnerships:]]
        async with here.server() as server:
            with Callers() as callers:
                everybody = [get("/v1/organizations/own", token) for token in tokens]
                await callers.run(one_by_one, server.port, everybody)
                await callers.run(connect, server.port, pairs[:each], AT_ONCE)
                rounds = [
                    await bare.round_of(
                        here, server, callers, connect, pairs[number * each : (number + 1) * each], AT_ONCE
                    )
                    for number in range(1, ROUNDS + 1)
                ]
        async with here.connection() as connection, connection.transaction():
            broken = await verify(connection, here.composition.rules, datetime.now(UTC))
    if broken:
        raise RuntimeError(f"the connected organizations break an invariant: {broken}")
    sheet = _sheet(rounds, each)
    sheet.made(
        f"{ROUNDS} rounds of {each:,} pairs among {organizations:,} organizations that have {partnerships:,} connections already, "
        f"{AT_ONCE} at once, normal limits, one server process, durable; {bare.EACH * each:,} bare transactions of {AT_ONCE} pgbench "
        "clients on the same cluster after each; `verify` found nothing afterwards"
    )
    return sheet


def _sheet(rounds: list[Round], each: int) -> Sheet:
    ratios = [2 * one.pairs / one.bare for one in rounds]
    sheet = Sheet("connect")
    sheet.ratio(
        median(ratios),
        "deeds a second (request, approve) over HTTP / bare transactions of two statements a second",
    )
    bare.numbers(sheet, "request + approve", rounds, each)
    return sheet


def _chosen(organizations: int, count: int) -> list[tuple[int, int]]:
    """Choose different pairs of organizations, so many that none comes near a limit."""
    chance = random.Random(count)
    chosen: dict[frozenset[int], tuple[int, int]] = {}
    while len(chosen) < count:
        one, other = chance.sample(range(organizations), 2)
        chosen.setdefault(frozenset((one, other)), (one, other))
    return list(chosen.values())
