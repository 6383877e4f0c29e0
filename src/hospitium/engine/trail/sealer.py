"""The sealer: gives the events their numbers, and chains them in signed blocks (docs/decisions/0012).

It takes what was written by transactions older than any that runs: nothing can come between those any more. So a
transaction that stays open holds the seals back, and never a deed. A block is one transaction; of one that is broken
off, nothing remains.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from sqlalchemy import BigInteger, Text, Uuid, bindparam, cast, func, insert, select
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP

from hospitium.engine.trail import queries
from hospitium.engine.trail.hashing import hash_of_block, hash_of_event
from hospitium.engine.trail.record import HASH_LENGTH, MOST_IN_A_BLOCK, Block, Reached, blocks, event_seals
from hospitium.storage.statements import Statement, insert_into

if TYPE_CHECKING:
    from hospitium.engine.context import Context
    from hospitium.engine.trail.queries import Tip
    from hospitium.engine.trail.record import TrailEvent
    from hospitium.engine.trail.signing import SealKeys
    from hospitium.storage.database import Transaction
    from hospitium.storage.statements import Query

BEGINNING = Reached(0, 0)
NOTHING_BEFORE = bytes(HASH_LENGTH)

_INSERT_BLOCK = Statement(insert_into(blocks, *Block.__struct_fields__))
_given = (
    func.unnest(
        bindparam("numbers", type_=ARRAY(BigInteger)),
        bindparam("instants", type_=ARRAY(Text)),
        bindparam("event_ids", type_=ARRAY(Text)),
    )
    .table_valued("number", "at", "event_id", name="given")
    .render_derived()
)
_INSERT_SEALS = Statement(
    insert(event_seals).from_select(
        ["number", "at", "event_id"],
        select(_given.c.number, cast(_given.c.at, TIMESTAMP(timezone=True)), cast(_given.c.event_id, Uuid)),
    )
)


class _Found(NamedTuple):
    events: list[tuple[TrailEvent, str]]  # with the instant as it is kept
    reached: Reached
    is_all: bool


async def seal_next(ctx: Context, keys: SealKeys) -> bool:
    """Seal what can be sealed, in one block; return whether to ask again at once. Of several at once, one does it."""
    if not await queries.TRY_LOCK.first(ctx.tx):
        return False
    place = await queries.PLACE.first(ctx.tx)
    assert place is not None  # it is one row, always  # noqa: S101
    tip = await queries.TIP.first(ctx.tx)
    if tip is None or not place.knows(tip):
        return await _arrive(ctx, keys, tip, place.cluster)
    found = await _look(ctx.tx, queries.COMPLETE, tip.reached)
    if found.events:
        await add_block(ctx, keys, tip, place.cluster, found.reached, found.events)
    return not found.is_all


async def add_block(
    ctx: Context,
    keys: SealKeys,
    tip: Tip | None,
    cluster: int,
    reached: Reached,
    events: list[tuple[TrailEvent, str]],
    retired: list[int] | None = None,
) -> Tip:
    """Chain one block to the tip; return the new tip. Whoever calls it holds the sealers' lock."""
    first = 1 if tip is None else tip.last_number + 1
    numbers = range(first, first + len(events))
    block = Block(
        number=1 if tip is None else tip.number + 1,
        cluster=cluster,
        first_number=first,
        last_number=first + len(events) - 1,
        reached_transaction=reached.transaction,
        reached_position=reached.position,
        retired=retired or [],
        hashes=b"".join(
            hash_of_event(number, event) for number, (event, _) in zip(numbers, events, strict=True)
        ),
        previous_hash=NOTHING_BEFORE if tip is None else tip.hash,
        sealed_at=_as_text(ctx.now),
        key_number=keys.newest,
        hash=b"",
        signature=b"",
    )
    found = hash_of_block(block)
    block = msgspec.structs.replace(block, hash=found, signature=keys.sign(found))
    await _INSERT_BLOCK.run(ctx.tx, **{**msgspec.structs.asdict(block), "sealed_at": ctx.now})
    if events:
        await _INSERT_SEALS.run(
            ctx.tx,
            numbers=list(numbers),
            instants=[kept_at for _, kept_at in events],
            event_ids=[event.id for event, _ in events],
        )
    return queries.Tip(block.number, cluster, block.last_number, *reached, found)


async def _arrive(ctx: Context, keys: SealKeys, tip: Tip | None, cluster: int) -> bool:
    """Begin where the chain hasn't been before: a first start, or a restored database.

    Transaction ids may begin anew here, so what was reached elsewhere says nothing. Events of transactions that haven't
    begun here came with the data, all committed: they are sealed first. What then is complete is looked at from the
    beginning, once. The block that ends this may be empty, and says from where to go on.
    """
    from_elsewhere = BEGINNING
    while True:
        found = await _look(ctx.tx, queries.FROM_ELSEWHERE, from_elsewhere)
        if not found.events:
            break
        tip = await add_block(ctx, keys, tip, cluster, BEGINNING, found.events)
        from_elsewhere = found.reached
    found = await _look(ctx.tx, queries.COMPLETE, BEGINNING)
    await add_block(ctx, keys, tip, cluster, found.reached, found.events)
    return not found.is_all


async def _look(
    tx: Transaction, query: Query[tuple[TrailEvent, queries.Standing]], reached: Reached
) -> _Found:
    """Find the next events that have no seal. Those that have one (they came from another cluster) are passed over."""
    while True:
        looked_at = await query.all(tx, transaction=reached.transaction, position=reached.position)
        if looked_at:
            last = looked_at[-1][0]
            reached = Reached(last.transaction, last.position)
        unsealed = [(event, standing.kept_at) for event, standing in looked_at if not standing.is_sealed]
        is_all = len(looked_at) < MOST_IN_A_BLOCK
        if unsealed or is_all:
            return _Found(unsealed, reached, is_all)


def _as_text(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"
