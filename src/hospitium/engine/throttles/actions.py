"""Tries are counted before their verdict is known, and given back when they were right.

Each key has a bucket that holds `burst` tries and gets one back every `pause`. One row a key says by when the bucket will be
full again, so that one statement counts, and time alone forgives: nobody is locked out for good.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import Interval, LargeBinary, bindparam, delete, func, select, update
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP, insert

from hospitium.engine.errors import TooManyAttempts
from hospitium.engine.throttles.record import familiar_networks, throttles
from hospitium.storage.statements import Query, Statement, pair, scalar

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from hospitium.engine.context import Context
    from hospitium.engine.throttles.rules import Try

FAMILIAR_LIFE = timedelta(days=90)

_NOW = bindparam("now", type_=TIMESTAMP(timezone=True))
_wanted = (
    func.unnest(bindparam("keys", type_=ARRAY(LargeBinary)), bindparam("pauses", type_=ARRAY(Interval)))
    .table_valued("key", "pause", name="wanted")
    .render_derived()
)
_counting = insert(throttles).from_select(
    ["key", "free_at"], select(_wanted.c.key, _NOW + _wanted.c.pause).order_by(_wanted.c.key)
)
_COUNT = Query(
    _counting.on_conflict_do_update(
        index_elements=[throttles.c.key],
        set_={"free_at": func.greatest(throttles.c.free_at, _NOW) + (_counting.excluded.free_at - _NOW)},
    ).returning(throttles.c.key, throttles.c.free_at),
    pair(scalar("key"), scalar("free_at")),
)
_GIVE_BACK = Statement(
    update(throttles)
    .where(throttles.c.key == _wanted.c.key)
    .values(free_at=throttles.c.free_at - _wanted.c.pause)
)
_FORGET = Statement(delete(throttles).where(throttles.c.free_at <= bindparam("now")))
_seen = insert(familiar_networks).values(
    account_id=bindparam("account_id"),
    network=bindparam("network", type_=LargeBinary),
    seen_at=bindparam("now"),
)
_SEEN = Statement(
    _seen.on_conflict_do_update(
        index_elements=[familiar_networks.c.account_id, familiar_networks.c.network],
        set_={"seen_at": _seen.excluded.seen_at},
    )
)
_FORGET_NETWORKS_OF = Statement(
    delete(familiar_networks).where(familiar_networks.c.account_id == bindparam("account_id"))
)
_FORGET_NETWORKS = Statement(
    delete(familiar_networks).where(familiar_networks.c.seen_at <= bindparam("outlived"))
)


async def count(ctx: Context, tries: Sequence[Try]) -> None:
    """Count tries, all or none. Raises TooManyAttempts if a bucket is empty; then nothing is counted."""
    wait = await _over(ctx, tries)
    if wait > timedelta(0):
        raise TooManyAttempts(max(1, math.ceil(wait.total_seconds())))


async def allows(ctx: Context, one: Try) -> bool:
    """Count one try if its bucket has it; return whether it had. For what is left undone in silence."""
    if await _over(ctx, [one]) <= timedelta(0):
        return True
    # Not counted on top: whoever goes on asking must not put off the moment at which it works again.
    await give_back(ctx, [one])
    return False


async def give_back(ctx: Context, tries: Sequence[Try]) -> None:
    """Give tries back that turned out right: only failures are to count."""
    # In the order of the keys, as they were counted: two that meet wait, and never embrace.
    for one in sorted(tries):
        await _GIVE_BACK.run(ctx.tx, keys=[one.key], pauses=[one.limit.pause])


async def remember_network(ctx: Context, account_id: UUID, network: bytes) -> None:
    """Remember that an account was signed in to from a network: strangers' failures don't slow it there."""
    await _SEEN.run(ctx.tx, account_id=account_id, network=network, now=ctx.now)


async def forget_networks(ctx: Context, account_id: UUID) -> None:
    """Forget from where an account was signed in to: it is somebody else's now, or nobody's."""
    await _FORGET_NETWORKS_OF.run(ctx.tx, account_id=account_id)


async def forget_outlived(ctx: Context) -> None:
    """Delete the buckets that are full again, and networks not seen for 90 days. For the sweep."""
    await _FORGET.run(ctx.tx, now=ctx.now)
    await _FORGET_NETWORKS.run(ctx.tx, outlived=ctx.now - FAMILIAR_LIFE)


async def _over(ctx: Context, tries: Sequence[Try]) -> timedelta:
    """Count, and return how long the emptiest bucket lacks; nothing or less if none does."""
    limits = {one.key: one.limit for one in tries}
    rows: list[tuple[bytes, datetime]] = await _COUNT.all(
        ctx.tx, keys=list(limits), pauses=[limit.pause for limit in limits.values()], now=ctx.now
    )
    return max((free_at - limits[key].room - ctx.now for key, free_at in rows), default=timedelta(0))
