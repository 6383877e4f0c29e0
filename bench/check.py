"""The question, in process: the engine's check against a bare `SELECT 1` on the same connection."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bench import crowd
from bench.figures import Sheet, median, size, slowest_but
from bench.ground import ground
from hospitium.engine.access.check import Question, SubjectKind, check
from hospitium.engine.access.decide import Allowed
from hospitium.engine.actor import OPERATOR
from hospitium.engine.context import Context
from hospitium.engine.grants.record import ResourceKind
from hospitium.engine.levels import Level
from hospitium.storage.database import Database

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from uuid import UUID

    import asyncpg

TURNS = 10
# Each organization on those that follow it in the order of ids, so that every grant can be found again by arithmetic.
GRANTS = """
    WITH numbered AS (SELECT id, row_number() OVER (ORDER BY id) - 1 AS number, count(*) OVER () AS count FROM organizations)
    INSERT INTO grants (id, grantee_kind, grantee_id, resource_kind, resource_id, level, starts_at, cause_kind, cause_id)
    SELECT gen_random_uuid(), 'organization', grantee.id, 'organization', about.id::text, 2, now(), 'partnership', gen_random_uuid()
    FROM numbered AS grantee
    CROSS JOIN generate_series(1, $1::integer) AS step
    JOIN numbered AS about ON about.number = (grantee.number + step) % grantee.count
"""


async def run() -> Sheet:
    """Ask in turns: some checks by account, some by organization, some bare statements."""
    organizations, grants, each = (
        size("ORGANIZATIONS_GRANTED", 10_000),
        size("GRANTS", 1_000_000),
        size("CHECKS", 1_500),
    )
    steps = grants // organizations
    taken: dict[str, list[float]] = {"SELECT 1": [], "check by organization": [], "check by account": []}
    async with ground() as here:
        async with here.connection() as connection:
            ids = sorted(await crowd.organizations(connection, organizations))
            await crowd.administrators(connection, here.access_tokens(), ids)
            await connection.execute(GRANTS, steps)
            await crowd.settle(connection)
            members = dict(await connection.fetch("SELECT organization_id, account_id FROM memberships"))
        database = await Database.open(here.url, size=2)
        chance = random.Random(organizations)
        for turn in range(-1, TURNS):
            for name in taken:
                async with database.transaction() as tx:
                    found = await _timed(_askers(tx, chance, ids, members, steps)[name], each)
                if turn >= 0:  # the one before prepared the statements
                    taken[name] += found
        await database.close()
    rates = {name: 1 / median(seconds) for name, seconds in taken.items()}
    sheet = Sheet("check")
    for name in ("check by organization", "check by account"):
        sheet.ratio(rates[name] / rates["SELECT 1"], f"{name}: a second / bare `SELECT 1` a second")
    for name, seconds in taken.items():
        sheet.number(
            f"{name}: a second (of the median), p99 in ms",
            f"{rates[name]:6.0f} {slowest_but(seconds, 0.01) * 1000:6.2f}",
        )
    sheet.made(
        f"{organizations * steps:,} grants of {organizations:,} organizations; {TURNS} turns of {each:,} of each kind, one after the other "
        "on one connection; two of three checks find a grant, and every answer is compared with what it must be"
    )
    return sheet


async def _timed(ask: Callable[[], Awaitable[None]], count: int) -> list[float]:
    taken = []
    for _ in range(count):
        began = time.perf_counter()
        await ask()
        taken.append(time.perf_counter() - began)
    return taken


def _askers(
    tx: asyncpg.Connection, chance: random.Random, ids: list[UUID], members: dict[UUID, UUID], steps: int
) -> dict[str, Callable[[], Awaitable[None]]]:
    ctx = Context(tx, OPERATOR, datetime.now(UTC))

    async def by(kind: SubjectKind) -> None:
        subject, step = chance.randrange(len(ids)), chance.randrange(1, steps * 3 // 2)
        about = ids[(subject + step) % len(ids)]
        subject_id = ids[subject] if kind is SubjectKind.ORGANIZATION else members[ids[subject]]
        decision = await check(
            ctx, Question(kind, subject_id, Level.CONNECTED, ResourceKind.ORGANIZATION, str(about))
        )
        if isinstance(decision, Allowed) != (step <= steps):
            raise RuntimeError(f"a check gave {decision}")

    async def bare() -> None:
        await tx.fetch("SELECT 1")

    return {
        "SELECT 1": bare,
        "check by organization": lambda: by(SubjectKind.ORGANIZATION),
        "check by account": lambda: by(SubjectKind.ACCOUNT),
    }
