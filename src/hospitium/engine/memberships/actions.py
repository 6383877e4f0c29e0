"""What can happen to a membership: it starts, and it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
from sqlalchemy import bindparam, func, update
from sqlalchemy.dialects.postgresql import TIMESTAMP

from hospitium.engine import events
from hospitium.engine.errors import NotFound, WrongState
from hospitium.engine.events import EventKind
from hospitium.engine.memberships.record import MEMBERSHIP_COLUMNS, Membership, memberships
from hospitium.engine.permissions import Permission, require
from hospitium.storage.statements import Query, insert_into, struct

if TYPE_CHECKING:
    from uuid import UUID

    from hospitium.engine.actor import Role
    from hospitium.engine.context import Context

_INSERT = Query(
    insert_into(memberships, *Membership.__struct_fields__).returning(*MEMBERSHIP_COLUMNS), struct(Membership)
)
_END = Query(
    update(memberships)
    .where(
        memberships.c.account_id == bindparam("of_account"),
        memberships.c.organization_id == bindparam("of_organization"),
        memberships.c.ends_at.is_(None),
    )
    # Never before it began, though the operator's clock may be behind the server's.
    .values(ends_at=func.greatest(bindparam("now", type_=TIMESTAMP(timezone=True)), memberships.c.starts_at))
    .returning(*MEMBERSHIP_COLUMNS),
    struct(Membership),
)


async def start(ctx: Context, account_id: UUID, organization_id: UUID, role: Role) -> Membership:
    """Begin a membership. Called by actions that have asked for their own permission. Raises WrongState."""
    try:
        made = await _INSERT.first(
            ctx.tx,
            id=ctx.new_id(),
            account_id=account_id,
            organization_id=organization_id,
            role=role.value,
            starts_at=ctx.now,
            ends_at=None,
        )
    except asyncpg.UniqueViolationError:
        raise WrongState("The account is a member of this organization already") from None
    assert made is not None  # an INSERT … RETURNING without conflict clause has a row  # noqa: S101
    await _tell(ctx, EventKind.MEMBERSHIP_STARTED, made)
    return made


async def add(ctx: Context, account_id: UUID, organization_id: UUID, role: Role) -> Membership:
    """Make an account a member of an organization. For the operator. Raises WrongState."""
    require(ctx.actor, Permission.KEEP_ACCOUNTS)
    return await start(ctx, account_id, organization_id, role)


async def end(ctx: Context, account_id: UUID, organization_id: UUID) -> Membership:
    """End a membership; takes effect on the account's next request. For the operator. Raises NotFound."""
    require(ctx.actor, Permission.KEEP_ACCOUNTS)
    ended = await _END.first(ctx.tx, of_account=account_id, of_organization=organization_id, now=ctx.now)
    if ended is None:
        raise NotFound("membership")
    await _tell(ctx, EventKind.MEMBERSHIP_ENDED, ended)
    return ended


async def _tell(ctx: Context, kind: EventKind, membership: Membership) -> None:
    await events.record(
        ctx,
        kind,
        subject=("membership", membership.id),
        organizations=[membership.organization_id],
        accounts=[membership.account_id],
        account=membership.account_id,
        organization=membership.organization_id,
        role=membership.role,
    )
