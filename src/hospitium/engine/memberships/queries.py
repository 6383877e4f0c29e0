"""Which memberships: those of an account, and of an organization, that are open now."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from sqlalchemy import bindparam, false, func, select

from hospitium.engine.accounts.record import AccountStatus, account_external_ids, accounts
from hospitium.engine.actor import Role
from hospitium.engine.epochs.queries import HELD_UNTIL
from hospitium.engine.errors import NotFound
from hospitium.engine.memberships.record import MEMBERSHIP_COLUMNS, Membership, memberships
from hospitium.engine.organizations.record import OrganizationStatus, OrganizationType, organizations
from hospitium.engine.permissions import organization_of
from hospitium.storage.statements import Query, scalar, struct

if TYPE_CHECKING:
    from hospitium.engine.context import Context


class Belonging(msgspec.Struct, frozen=True):
    """An organization an account belongs to, as what, and by which id its applications know it there; `is_held` if a restore holds it until the
    operator confirms."""

    organization_id: UUID
    code: str
    organization_type: OrganizationType
    organization_status: OrganizationStatus
    role: Role
    external_id: str | None
    is_held: bool


_OF_ACCOUNT = Query(
    select(
        organizations.c.id.label("membership__organization_id"),
        organizations.c.code,
        organizations.c.type.label("membership__organization_type"),
        organizations.c.status.label("membership__organization_status"),
        memberships.c.role,
        account_external_ids.c.external_id,
        func.coalesce(memberships.c.starts_at <= HELD_UNTIL, false()).label("membership__is_held"),
    )
    .join(organizations, organizations.c.id == memberships.c.organization_id)
    .outerjoin(
        account_external_ids,
        (account_external_ids.c.account_id == memberships.c.account_id)
        & (account_external_ids.c.organization_id == memberships.c.organization_id),
    )
    .where(memberships.c.account_id == bindparam("account_id"), memberships.c.ends_at.is_(None))
    .order_by(memberships.c.starts_at, memberships.c.id),
    struct(Belonging),
)


class Member(msgspec.Struct, frozen=True):
    """An account as its organization sees it."""

    account_id: UUID
    email: str
    first_name: str | None
    last_name: str | None
    role: Role
    external_id: str | None
    starts_at: datetime


_m = memberships.c
_OPEN_OF = Query(
    select(*MEMBERSHIP_COLUMNS).where(
        _m.account_id == bindparam("account_id"),
        _m.organization_id == bindparam("organization_id"),
        _m.ends_at.is_(None),
    ),
    struct(Membership),
)
_HOLD = Query(
    select(_m.id)
    .where(
        _m.account_id == bindparam("account_id"),
        _m.organization_id == bindparam("organization_id"),
        _m.ends_at.is_(None),
    )
    .with_for_update(read=True),
    scalar("id"),
)
_ID_BY_EMAIL = Query(
    select(_m.account_id)
    .join(accounts, accounts.c.id == _m.account_id)
    .where(
        _m.organization_id == bindparam("organization_id"),
        _m.ends_at.is_(None),
        accounts.c.email_key == bindparam("email_key"),
    ),
    scalar("account_id"),
)
# One who can still act: an account that is disabled, or whose mailbox nobody proved, administers nothing.
_ANOTHER_ADMINISTRATOR = Query(
    select(_m.id)
    .join(accounts, accounts.c.id == _m.account_id)
    .where(
        _m.organization_id == bindparam("organization_id"),
        _m.account_id != bindparam("account_id"),
        _m.role == Role.ADMIN.value,
        _m.ends_at.is_(None),
        accounts.c.status == AccountStatus.ACTIVE.value,
        accounts.c.verified_at.is_not(None),
    )
    .limit(1),
    scalar("id"),
)
_MEMBERS = Query(
    select(
        _m.account_id,
        accounts.c.email,
        accounts.c.first_name,
        accounts.c.last_name,
        _m.role,
        account_external_ids.c.external_id,
        _m.starts_at,
    )
    .join(accounts, accounts.c.id == _m.account_id)
    .outerjoin(
        account_external_ids,
        (account_external_ids.c.account_id == _m.account_id)
        & (account_external_ids.c.organization_id == _m.organization_id),
    )
    .where(
        _m.organization_id == bindparam("organization_id"),
        _m.ends_at.is_(None),
        _m.account_id > bindparam("after"),
    )
    .order_by(_m.account_id)
    .limit(bindparam("limit")),
    struct(Member),
)


async def open_of(ctx: Context, account_id: UUID, organization_id: UUID) -> Membership | None:
    """Return the membership an account has of an organization now."""
    return await _OPEN_OF.first(ctx.tx, account_id=account_id, organization_id=organization_id)


async def id_by_email(ctx: Context, organization_id: UUID, email_key: str) -> UUID:
    """Return which member of an organization has an address; whoever else has it is as unknown as nobody. Raises NotFound (`member`)."""
    found: UUID | None = await _ID_BY_EMAIL.first(
        ctx.tx, organization_id=organization_id, email_key=email_key
    )
    if found is None:
        raise NotFound("member")
    return found


async def hold(ctx: Context, account_id: UUID, organization_id: UUID) -> bool:
    """Keep a membership from ending until this transaction ends; return whether there is one."""
    found = await _HOLD.first(ctx.tx, account_id=account_id, organization_id=organization_id)
    return found is not None


async def has_another_administrator(ctx: Context, organization_id: UUID, account_id: UUID) -> bool:
    """Whether somebody besides an account administers an organization now."""
    found = await _ANOTHER_ADMINISTRATOR.first(ctx.tx, organization_id=organization_id, account_id=account_id)
    return found is not None


async def members(ctx: Context, after: UUID, limit: int) -> list[Member]:
    """Return members of the actor's organization in the order of their ids, after one of them."""
    return await _MEMBERS.all(ctx.tx, organization_id=organization_of(ctx.actor), after=after, limit=limit)


async def of_account(ctx: Context, account_id: UUID) -> list[Belonging]:
    """Return what an account belongs to now, the oldest membership first."""
    return await _OF_ACCOUNT.all(ctx.tx, account_id=account_id)
