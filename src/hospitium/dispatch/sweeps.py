"""Sweeps: each takes one piece of work, in one transaction, and says whether to ask again at once.

A deadline never waits for a sweep: a request past its time is refused by the clock in the statement. The sweep only writes
down, and announces, what was already true. Any number of processes may run these at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hospitium.engine import idempotency
from hospitium.engine.partnerships import actions as partnerships

if TYPE_CHECKING:
    from hospitium.engine.context import Context


async def expire_one_partnership(ctx: Context) -> bool:
    """Mark one overdue connection request as expired."""
    return await partnerships.expire_one(ctx)


async def forget_idempotency_keys(ctx: Context) -> bool:
    """Delete the idempotency keys that have outlived their 24 hours."""
    await idempotency.forget_outlived(ctx)
    return False


async def make_event_partitions(ctx: Context) -> bool:
    """See to it that this month and the next two have their partitions."""
    await ctx.tx.execute("SELECT make_event_partitions($1::date, 3)", ctx.now.date())
    return False


SWEEPS = (expire_one_partnership, forget_idempotency_keys, make_event_partitions)
