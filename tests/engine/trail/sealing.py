"""Sealing in tests: the sealer run until it has caught up, the trail proved, and rows changed behind the database's back."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg

from engine.ground import Ground
from hospitium.engine.trail import queries
from hospitium.engine.trail.lines import Head, head_of
from hospitium.engine.trail.proof import Proof, prove
from hospitium.engine.trail.sealer import seal_next
from hospitium.engine.trail.signing import SealKeys

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

KEYS = SealKeys({1: bytes(range(32))})
UNSEALED = (
    "SELECT count(*) AS n FROM events AS e "
    "WHERE NOT EXISTS (SELECT FROM event_seals AS s WHERE s.event_id = e.id AND s.at = e.at)"
)
# An event as the engine writes it, with one party; $1 is its number in the test.
EVENT = """
    WITH written AS (
        INSERT INTO events (id, at, transaction, kind, actor_kind, actor_account_id, subject_kind, subject_id, data)
        SELECT gen_random_uuid(), $2, pg_current_xact_id()::text::bigint, 'refused', 'account',
               gen_random_uuid(), 'partnership', gen_random_uuid(), jsonb_build_object('version', n)
        FROM unnest($1::bigint[]) AS n
        RETURNING id, at, actor_account_id
    )
    INSERT INTO event_parties (party_id, at, event_id, party_kind) SELECT actor_account_id, at, id, 'account' FROM written"""


async def write(ground: Ground, *numbers: int) -> None:
    """Write events in one transaction."""
    async with ground.database.transaction() as tx:
        await tx.execute(EVENT, list(numbers), ground.clock())


async def unsealed(ground: Ground) -> int:
    return int((await ground.rows(UNSEALED))[0]["n"])


async def seal_all(ground: Ground, keys: SealKeys = KEYS) -> None:
    """Run the sealer until nothing waits. Transactions of other tests, in the same cluster, may hold it back a while."""
    async with asyncio.timeout(120):
        while True:
            while await ground.does("system", seal_next, keys):
                pass
            if not await unsealed(ground):
                return
            await asyncio.sleep(0.02)


async def proof_of(ground: Ground, head: Head | None = None, keys: SealKeys = KEYS) -> Proof:
    async with ground.database.transaction() as tx:
        return await prove(ground.context(tx, "operator"), keys, head)


async def faults_of(ground: Ground, head: Head | None = None, keys: SealKeys = KEYS) -> list[str]:
    return [finding.fault.value for finding in (await proof_of(ground, head, keys)).found]


async def head_now(ground: Ground, keys: SealKeys = KEYS) -> Head:
    return head_of(await ground.does("operator", queries.head), keys)


async def numbers(ground: Ground) -> list[Any]:
    """Return every sealed event as (number, transaction, position), in order of the numbers."""
    rows = await ground.rows(
        "SELECT s.number, e.transaction, e.position FROM event_seals AS s JOIN events AS e ON e.id = s.event_id "
        "AND e.at = s.at ORDER BY s.number"
    )
    return [tuple(row) for row in rows]


@asynccontextmanager
async def behind_its_back(url: str) -> AsyncIterator[asyncpg.Connection[Any]]:
    """Lend a connection of the owner of the database, with every trigger of ours out of work."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("SET session_replication_role = replica")
        yield connection
    finally:
        await connection.close()
