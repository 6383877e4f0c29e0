"""What can happen to a delivery: it is queued in the deed's own transaction, taken up under a lease, and settled under it.

A lease is what one dispatcher holds of one delivery: an id of its own and a time at which it ends. Who settles names the
lease he took, so that one who was away for longer than his lease changes nothing any more.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from sqlalchemy import Text, Uuid, and_, bindparam, delete, func, literal_column, null, or_, select, update
from sqlalchemy.dialects.postgresql import TIMESTAMP

from hospitium.engine import events
from hospitium.engine.deliveries import queries
from hospitium.engine.deliveries.record import (
    DELIVERY_COLUMNS,
    Delivery,
    DeliveryStatus,
    Template,
    deliveries,
)
from hospitium.engine.errors import WrongState
from hospitium.engine.events import EventKind
from hospitium.engine.permissions import Permission, require
from hospitium.storage.statements import Query, Statement, exactly, insert_into, one_of, struct

if TYPE_CHECKING:
    from datetime import datetime

    from hospitium.engine.context import Context

LEASE = timedelta(minutes=2)
KEPT_FOR = timedelta(days=30)
FAILED_KEPT_FOR = timedelta(days=90)

_c = deliveries.c
_WHEN = TIMESTAMP(timezone=True)
_IS_WAITING = exactly(_c.status, DeliveryStatus.WAITING)

_QUEUE = Statement(
    insert_into(
        deliveries,
        "id", "template", "account_id", "link_id", "offer_id", "share_id", "invite_id", "person_offer_id",
        "organization_id", "subject_id", "status", "created_at", "due_at",
    )
)  # fmt: skip
# Locked rows are passed over: two dispatchers never wait for one another, and never take the same. So is what a later
# release queued and this one can't read: it would be the first one due for ever.
_next_due = (
    select(_c.id)
    .where(_IS_WAITING, one_of(_c.template, Template), _c.due_at <= bindparam("now", type_=_WHEN))
    .order_by(_c.due_at, _c.id)
    .limit(literal_column("1"))
    .with_for_update(skip_locked=True)
    .scalar_subquery()
)
CLAIM = Query(
    update(deliveries)
    .where(_c.id == _next_due)
    .values(
        lease=bindparam("new_lease", type_=Uuid),
        due_at=bindparam("until", type_=_WHEN),
        attempts=_c.attempts + 1,
    )
    .returning(*DELIVERY_COLUMNS),
    struct(Delivery),
)
_is_ours = and_(_c.id == bindparam("delivery_id"), _c.lease == bindparam("of_lease"), _IS_WAITING)
_problem = func.coalesce(bindparam("problem", type_=Text), _c.last_problem)
END = Statement(
    update(deliveries)
    .where(_is_ours)
    .values(
        status=bindparam("end_status"),
        ended_at=bindparam("now", type_=_WHEN),
        lease=null(),
        last_problem=_problem,
    )
)
PUT_OFF = Statement(
    update(deliveries)
    .where(_is_ours)
    .values(due_at=bindparam("until", type_=_WHEN), lease=null(), last_problem=_problem)
)
_RETRY = Query(
    update(deliveries)
    .where(
        _c.id == bindparam("delivery_id"),
        or_(exactly(_c.status, DeliveryStatus.FAILED), and_(_IS_WAITING, _c.lease.is_(None))),
    )
    .values(
        status=literal_column(f"'{DeliveryStatus.WAITING}'"),
        due_at=bindparam("now", type_=_WHEN),
        ended_at=null(),
        attempts=literal_column("0"),
    )
    .returning(*DELIVERY_COLUMNS),
    struct(Delivery),
)
_FORGET = Statement(
    delete(deliveries).where(
        or_(
            and_(
                one_of(_c.status, (DeliveryStatus.SENT, DeliveryStatus.VOID, DeliveryStatus.SPREAD)),
                _c.ended_at <= bindparam("ended_before", type_=_WHEN),
            ),
            and_(
                exactly(_c.status, DeliveryStatus.FAILED),
                _c.ended_at <= bindparam("failed_before", type_=_WHEN),
            ),
        )
    )
)


async def queue(
    ctx: Context,
    template: Template,
    *,
    account_id: UUID | None = None,
    link_id: UUID | None = None,
    offer_id: UUID | None = None,
    share_id: UUID | None = None,
    invite_id: UUID | None = None,
    person_offer_id: UUID | None = None,
    organization_id: UUID | None = None,
    subject_id: UUID | None = None,
) -> UUID:
    """Have a mail sent, if and when this deed is committed; return the delivery's id.

    Exactly one of the first seven is the recipient: an account at its address, the mailbox of a link or an offer, the target
    of a share, whom an invite or the care of a person is for, or all administrators an organization has by then. `subject_id` is what it is about.
    """
    delivery_id = ctx.new_id()
    await _QUEUE.run(
        ctx.tx,
        id=delivery_id,
        template=template.value,
        account_id=account_id,
        link_id=link_id,
        offer_id=offer_id,
        share_id=share_id,
        invite_id=invite_id,
        person_offer_id=person_offer_id,
        organization_id=organization_id,
        subject_id=subject_id,
        status=DeliveryStatus.WAITING.value,
        created_at=ctx.now,
        due_at=ctx.now,
    )
    return delivery_id


async def claim(ctx: Context) -> Delivery | None:
    """Take up the delivery that has been due longest, under a lease of this dispatcher's; None if none is due."""
    return await CLAIM.first(ctx.tx, now=ctx.now, new_lease=uuid4(), until=ctx.now + LEASE)


async def end(ctx: Context, delivery: Delivery, status: DeliveryStatus, problem: str | None = None) -> bool:
    """Settle a delivery for good; return whether the lease still was ours. `problem` is a kind and a code, never words."""
    ended = await END.run(
        ctx.tx,
        delivery_id=delivery.id,
        of_lease=delivery.lease,
        end_status=status.value,
        now=ctx.now,
        problem=problem,
    )
    return bool(ended)


async def put_off(ctx: Context, delivery: Delivery, until: datetime, problem: str) -> bool:
    """Give a delivery back, to be tried again; return whether the lease still was ours."""
    return bool(
        await PUT_OFF.run(
            ctx.tx, delivery_id=delivery.id, of_lease=delivery.lease, until=until, problem=problem
        )
    )


async def spread(ctx: Context, delivery: Delivery) -> int:
    """Turn a delivery to an organization into one to each of its present administrators; return how many.

    Both in one transaction: whoever has lost the lease spreads nothing.
    """
    if delivery.organization_id is None or not await end(ctx, delivery, DeliveryStatus.SPREAD):
        return 0
    administrators = await queries.administrators(ctx, delivery.organization_id)
    for account_id in administrators:
        await queue(ctx, delivery.template, account_id=account_id, subject_id=delivery.subject_id)
    return len(administrators)


async def retry(ctx: Context, delivery_id: UUID) -> Delivery:
    """Try a delivery again now, with all its tries before it, though it had failed. For the operator.

    Raises NotFound, WrongState (it is over, or is being sent at this moment).
    """
    require(ctx.actor, Permission.KEEP_DELIVERIES)
    found = await queries.find(ctx, delivery_id)
    again = await _RETRY.first(ctx.tx, delivery_id=delivery_id, now=ctx.now)
    if again is None:
        raise WrongState(
            "This delivery is being sent at this moment"
            if found.status is DeliveryStatus.WAITING
            else f"Only failed or waiting deliveries can be tried again; this one is {found.status}"
        )
    await events.record(
        ctx, EventKind.DELIVERY_RETRIED, subject=("delivery", delivery_id), accounts=[again.account_id]
    )
    return again


async def forget_outlived(ctx: Context) -> int:
    """Delete the deliveries that ended long ago; return how many. For the sweep."""
    return await _FORGET.run(ctx.tx, ended_before=ctx.now - KEPT_FOR, failed_before=ctx.now - FAILED_KEPT_FOR)
