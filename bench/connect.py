"""Request and approve over HTTP, against bare transactions of two statements in pgbench on the same cluster."""

from __future__ import annotations

import asyncio
import os
import random
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from bench import crowd
from bench.crowd import Partners
from bench.figures import Sheet, median, size
from bench.ground import ground
from bench.load import Callers, Pair, connect, get, one_by_one
from hospitium.engine.verify import verify
from hospitium.storage.embedded import installed_binaries

if TYPE_CHECKING:
    from bench.ground import Ground, Server

AT_ONCE = 16
ROUNDS = 3
BARE_EACH = (
    20  # times as many bare transactions as pairs: they are over so soon that fewer would measure the moment
)
TABLES = """
    CREATE TABLE bare_counters (id integer PRIMARY KEY, n integer NOT NULL);
    CREATE TABLE bare_facts (id bigserial PRIMARY KEY, counter_id integer NOT NULL, at timestamptz NOT NULL);
    INSERT INTO bare_counters SELECT number, 0 FROM generate_series(1, {organizations}) AS number;
"""
TRANSACTION = r"""
\set id random(1, {organizations})
BEGIN;
UPDATE bare_counters SET n = n + 1 WHERE id = :id;
INSERT INTO bare_facts (counter_id, at) VALUES (:id, now());
COMMIT;
"""


class Round(NamedTuple):
    """What one round of pairs, and of bare transactions after it, took."""

    pairs: float  # a second
    bare: float  # transactions a second
    server_cpu: float  # seconds, for the pairs
    postgres_cpu: float  # seconds, for the pairs
    bare_cpu: float  # seconds of PostgreSQL, for the bare transactions


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
            await connection.execute(TABLES.format(organizations=organizations))
            await crowd.settle(connection)
        pairs = [Pair(tokens[one], str(ids[other]), tokens[other]) for one, other in chosen[partnerships:]]
        (here.data.parent / "bare.sql").write_text(TRANSACTION.format(organizations=organizations))
        async with here.server() as server:
            with Callers() as callers:
                everybody = [get("/v1/organizations/own", token) for token in tokens]
                await callers.run(one_by_one, server.port, everybody)
                await callers.run(connect, server.port, pairs[:each], AT_ONCE)
                rounds = [
                    await _round(here, server, callers, pairs[number * each : (number + 1) * each])
                    for number in range(1, ROUNDS + 1)
                ]
        async with here.connection() as connection, connection.transaction():
            broken = await verify(connection, here.composition.rules, datetime.now(UTC))
    if broken:
        raise RuntimeError(f"the connected organizations break an invariant: {broken}")
    sheet = _sheet(rounds, each)
    sheet.made(
        f"{ROUNDS} rounds of {each:,} pairs among {organizations:,} organizations that have {partnerships:,} connections already, "
        f"{AT_ONCE} at once, normal limits, one server process, durable; {BARE_EACH * each:,} bare transactions of {AT_ONCE} pgbench "
        "clients on the same cluster after each; `verify` found nothing afterwards"
    )
    return sheet


def _sheet(rounds: list[Round], each: int) -> Sheet:
    def every(numbers: list[float], form: str) -> str:
        return "  ".join(format(number, form) for number in numbers)

    ratios = [2 * one.pairs / one.bare for one in rounds]
    sheet = Sheet("connect")
    sheet.ratio(
        median(ratios),
        "deeds a second (request, approve) over HTTP / bare transactions of two statements a second",
    )
    sheet.number("the same ratio, each round", every(ratios, ".3f"))
    sheet.number("request + approve, pairs a second, each round", every([one.pairs for one in rounds], ".0f"))
    sheet.number("bare transactions a second, each round", every([one.bare for one in rounds], ".0f"))
    for name, seconds, count in (
        ("the server process, ms a pair", [one.server_cpu for one in rounds], each),
        ("PostgreSQL, ms a pair", [one.postgres_cpu for one in rounds], each),
        ("PostgreSQL, ms for two bare transactions", [2 * one.bare_cpu for one in rounds], BARE_EACH * each),
    ):
        sheet.number(f"CPU of {name}", every([one / count * 1000 for one in seconds], ".2f"))
    return sheet


def _chosen(organizations: int, count: int) -> list[tuple[int, int]]:
    """Choose different pairs of organizations, so many that none comes near a limit."""
    chance = random.Random(count)
    chosen: dict[frozenset[int], tuple[int, int]] = {}
    while len(chosen) < count:
        one, other = chance.sample(range(organizations), 2)
        chosen.setdefault(frozenset((one, other)), (one, other))
    return list(chosen.values())


async def _round(here: Ground, server: Server, callers: Callers, pairs: list[Pair]) -> Round:
    server_before, postgres_before = server.cpu(), here.postgres_cpu()
    taken = await callers.run(connect, server.port, pairs, AT_ONCE)
    server_after, postgres_after = server.cpu(), here.postgres_cpu()
    bare = await _bare(here, BARE_EACH * len(pairs))
    return Round(
        len(pairs) / taken,
        bare,
        server_after - server_before,
        postgres_after - postgres_before,
        here.postgres_cpu() - postgres_after,
    )


async def _bare(here: Ground, transactions: int) -> float:
    """Return the transactions a second that pgbench reaches."""
    url, _, host = here.url.partition("?host=")
    user, _, rest = url.removeprefix("postgresql://").partition(":")
    password, _, database = rest.partition("@/")
    process = await asyncio.create_subprocess_exec(
        str(installed_binaries() / "pgbench"), "--no-vacuum", "--protocol=prepared", f"--file={here.data.parent / 'bare.sql'}",
        f"--client={AT_ONCE}", f"--transactions={transactions // AT_ONCE}", f"--host={host}", f"--username={user}", database,
        env={"PATH": os.environ["PATH"], "PGPASSWORD": password},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said, complained = await process.communicate()
    found = re.search(rb"tps = ([0-9.]+)", said)
    if found is None:
        raise RuntimeError(f"pgbench: {complained.decode()}")
    return float(found.group(1))
