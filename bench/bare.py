"""The yardstick: bare transactions of two statements (an UPDATE and an INSERT) by pgbench, on the cluster that is measured."""

from __future__ import annotations

import asyncio
import os
import re
from typing import TYPE_CHECKING, NamedTuple

from hospitium.storage.embedded import installed_binaries

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    import asyncpg

    from bench.figures import Sheet
    from bench.ground import Ground, Server
    from bench.load import Callers

EACH = (
    20  # times as many bare transactions as pairs: they are over so soon that fewer would measure the moment
)
TABLES = """
    CREATE TABLE bare_counters (id integer PRIMARY KEY, n integer NOT NULL);
    CREATE TABLE bare_facts (id bigserial PRIMARY KEY, counter_id integer NOT NULL, at timestamptz NOT NULL);
    INSERT INTO bare_counters SELECT number, 0 FROM generate_series(1, {counters}) AS number;
"""
TRANSACTION = r"""
\set id random(1, {counters})
BEGIN;
UPDATE bare_counters SET n = n + 1 WHERE id = :id;
INSERT INTO bare_facts (counter_id, at) VALUES (:id, now());
COMMIT;
"""


class Round(NamedTuple):
    """What one round of pairs of deeds, and of bare transactions after it, took."""

    pairs: float  # a second
    bare: float  # transactions a second
    server_cpu: float  # seconds, for the pairs
    postgres_cpu: float  # seconds, for the pairs
    bare_cpu: float  # seconds of PostgreSQL, for the bare transactions


async def prepare(here: Ground, connection: asyncpg.Connection, counters: int) -> None:
    """Make the tables, and the script that pgbench runs."""
    await connection.execute(TABLES.format(counters=counters))
    (here.data.parent / "bare.sql").write_text(TRANSACTION.format(counters=counters))


async def round_of(
    here: Ground,
    server: Server,
    callers: Callers,
    work: Callable[..., Coroutine[None, None, float]],
    pairs: list,
    at_once: int,
) -> Round:
    """Measure pairs of deeds, then bare transactions, so that a busy machine slows both."""
    server_before, postgres_before = server.cpu(), here.postgres_cpu()
    taken = await callers.run(work, server.port, pairs, at_once)
    server_after, postgres_after = server.cpu(), here.postgres_cpu()
    bare = await transactions_a_second(here, EACH * len(pairs), at_once)
    return Round(
        len(pairs) / taken,
        bare,
        server_after - server_before,
        postgres_after - postgres_before,
        here.postgres_cpu() - postgres_after,
    )


def numbers(sheet: Sheet, what: str, rounds: list[Round], each: int) -> None:
    """Write what rounds of so many pairs took."""

    def every(values: list[float], form: str) -> str:
        return "  ".join(format(value, form) for value in values)

    sheet.number(
        f"{what}, deeds / bare, each round", every([2 * one.pairs / one.bare for one in rounds], ".3f")
    )
    sheet.number(f"{what}, pairs a second, each round", every([one.pairs for one in rounds], ".0f"))
    sheet.number("bare transactions a second, each round", every([one.bare for one in rounds], ".0f"))
    for name, seconds, count in (
        ("the server process, ms a pair", [one.server_cpu for one in rounds], each),
        ("PostgreSQL, ms a pair", [one.postgres_cpu for one in rounds], each),
        ("PostgreSQL, ms for two bare transactions", [2 * one.bare_cpu for one in rounds], EACH * each),
    ):
        sheet.number(f"CPU of {name}", every([one / count * 1000 for one in seconds], ".2f"))


async def transactions_a_second(here: Ground, transactions: int, at_once: int) -> float:
    """Return the transactions a second that pgbench reaches."""
    url, _, host = here.url.partition("?host=")
    user, _, rest = url.removeprefix("postgresql://").partition(":")
    password, _, database = rest.partition("@/")
    process = await asyncio.create_subprocess_exec(
        str(installed_binaries() / "pgbench"), "--no-vacuum", "--protocol=prepared", f"--file={here.data.parent / 'bare.sql'}",
        f"--client={at_once}", f"--transactions={transactions // at_once}", f"--host={host}", f"--username={user}", database,
        env={"PATH": os.environ["PATH"], "PGPASSWORD": password},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said, complained = await process.communicate()
    found = re.search(rb"tps = ([0-9.]+)", said)
    if found is None:
        raise RuntimeError(f"pgbench: {complained.decode()}")
    return float(found.group(1))
