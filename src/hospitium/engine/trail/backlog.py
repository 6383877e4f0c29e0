"""How far behind the seals are, in numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, bindparam, func, select, tuple_

from hospitium.engine.events import events
from hospitium.engine.trail import queries
from hospitium.engine.trail.record import Reached
from hospitium.storage.statements import Query, pair, scalar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hospitium.engine.context import Context

MOST_COUNTED = 10_000
SENTENCES = {
    "events_unsealed": f"Events without a seal; {MOST_COUNTED:,} are that many or more.",
    "events_unsealed_seconds": "For how long the oldest of them has been without.",
}
_e = events.c
_unsealed = (
    select(_e.at)
    .where(
        tuple_(_e.transaction, _e.position)
        > tuple_(bindparam("transaction", type_=BigInteger), bindparam("position", type_=BigInteger))
    )
    .order_by(_e.transaction, _e.position)
    .limit(MOST_COUNTED)
    .subquery("unsealed")
)
_UNSEALED = Query(
    select(func.count().label("count"), func.min(_unsealed.c.at).label("oldest")).select_from(_unsealed),
    pair(scalar("count"), scalar("oldest")),
)


async def backlog(ctx: Context) -> Mapping[str, float]:
    """Return how many events are beyond the end of the chain, and how old the oldest of them is."""
    tip = await queries.TIP.first(ctx.tx)
    reached = Reached(0, 0) if tip is None else tip.reached
    found = await _UNSEALED.first(ctx.tx, transaction=reached.transaction, position=reached.position)
    count, oldest = found or (0, None)
    seconds = 0.0 if oldest is None else max(0.0, (ctx.now - oldest).total_seconds())
    return {"events_unsealed": count, "events_unsealed_seconds": seconds}
