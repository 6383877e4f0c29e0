"""Which memberships: those of an account that are open now."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from sqlalchemy import bindparam, select

from hospitium.engine.actor import Role
from hospitium.engine.memberships.record import memberships
from hospitium.engine.organizations.record import OrganizationStatus, OrganizationType, organizations
from hospitium.storage.statements import Query, struct

if TYPE_CHECKING:
    from hospitium.engine.context import Context


class Belonging(msgspec.Struct, frozen=True):
    """An organization an account belongs to, and as what."""

    organization_id: UUID
    code: str
    organization_type: OrganizationType
    organization_status: OrganizationStatus
    role: Role


_OF_ACCOUNT = Query(
    select(
        organizations.c.id.label("membership__organization_id"),
        organizations.c.code,
        organizations.c.type.label("membership__organization_type"),
        organizations.c.status.label("membership__organization_status"),
        memberships.c.role,
    )
    .join(organizations, organizations.c.id == memberships.c.organization_id)
    .where(memberships.c.account_id == bindparam("account_id"), memberships.c.ends_at.is_(None))
    .order_by(memberships.c.starts_at, memberships.c.id),
    struct(Belonging),
)


async def of_account(ctx: Context, account_id: UUID) -> list[Belonging]:
    """Return what an account belongs to now, the oldest membership first."""
    return await _OF_ACCOUNT.all(ctx.tx, account_id=account_id)
