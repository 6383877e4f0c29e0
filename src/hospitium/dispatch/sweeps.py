"""Sweeps: each takes one piece of work, in one transaction, and says whether to ask again at once.

A deadline never waits for a sweep: a request past its time is refused by the clock in the statement. The sweep only writes
down, and announces, what was already true. Any number of processes may run these at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from hospitium.engine import idempotency
from hospitium.engine.deliveries import actions as deliveries
from hospitium.engine.fhir_references import actions as references
from hospitium.engine.fhir_resources import actions as resources
from hospitium.engine.invites import actions as invites
from hospitium.engine.links import actions as links
from hospitium.engine.offers import actions as offers
from hospitium.engine.partnerships import actions as partnerships
from hospitium.engine.persons import offering as persons
from hospitium.engine.sessions import actions as sessions
from hospitium.engine.shares import actions as shares
from hospitium.engine.throttles import actions as throttles
from hospitium.engine.trail.sealer import seal_next
from hospitium.storage.database import wait_briefly

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from hospitium.engine.context import Context
    from hospitium.engine.trail.signing import SealKeys

Sweep: TypeAlias = "Callable[[Context], Awaitable[bool]]"


async def expire_one_partnership(ctx: Context) -> bool:
    """Mark one overdue connection request as expired."""
    return await partnerships.expire_one(ctx)


async def expire_one_offer(ctx: Context) -> bool:
    """Mark one overdue invitation of a colleague as expired."""
    return await offers.expire_one(ctx)


async def expire_one_share(ctx: Context) -> bool:
    """Write down of one share that nobody accepted it in time, or that its window has closed."""
    return await shares.expire_one(ctx)


async def expire_one_invite(ctx: Context) -> bool:
    """Mark one overdue invite of a patient as expired, and forget its code."""
    return await invites.expire_one(ctx)


async def expire_one_person_offer(ctx: Context) -> bool:
    """Mark one overdue offer of the care of a person as expired."""
    return await persons.expire_one(ctx)


async def forget_removed_resources(ctx: Context) -> bool:
    """Delete some of the resources that a FHIR server had that was removed, and of what was noted of it."""
    has_more = await resources.forget_some_removed(ctx)
    return await references.forget_some_removed(ctx) or has_more


async def tidy_sessions(ctx: Context) -> bool:
    """Write down which sessions have expired, and forget their tokens."""
    return await sessions.tidy(ctx)


async def forget_throttles(ctx: Context) -> bool:
    """Delete what is kept of tries that count no more, and of networks nobody signed in from for 90 days."""
    await throttles.forget_outlived(ctx)
    return False


async def forget_idempotency_keys(ctx: Context) -> bool:
    """Delete the idempotency keys that have outlived their 24 hours."""
    await idempotency.forget_outlived(ctx)
    return False


async def forget_deliveries(ctx: Context) -> bool:
    """Delete the deliveries that ended 30 days ago (failed: 90), and the links that outlived theirs."""
    await deliveries.forget_outlived(ctx)
    await links.forget_outlived(ctx)
    return False


async def make_event_partitions(ctx: Context) -> bool:
    """See to it that this month and the next two have their partitions.

    Nothing is urgent about it: behind somebody who reads the trail it gives up at once, and tries again the next time.
    """
    await wait_briefly(ctx.tx)
    await ctx.tx.execute("SELECT make_event_partitions($1::date, 3)", ctx.now.date())
    return False


def sealing(keys: SealKeys) -> Sweep:
    """Return the sweep that seals events with these keys: about every second, so that the trail is proved up to now."""

    async def seal_events(ctx: Context) -> bool:
        return await seal_next(ctx, keys)

    return seal_events


SWEEPS = (
    expire_one_partnership,
    expire_one_offer,
    expire_one_share,
    expire_one_invite,
    expire_one_person_offer,
    forget_removed_resources,
    forget_idempotency_keys,
    tidy_sessions,
    forget_throttles,
    forget_deliveries,
    make_event_partitions,
)
