"""Which service keys; and whose one is, read on each request, so that its ending holds at once."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from sqlalchemy import Text, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from hospitium.engine.actor import Actor, ActorKind
from hospitium.engine.organizations.record import OrganizationStatus, organizations
from hospitium.engine.permissions import Permission, organization_of, require
from hospitium.engine.service_keys.record import SERVICE_KEY_COLUMNS, Scope, ServiceKey, service_keys
from hospitium.storage.statements import Query, scalar, struct

if TYPE_CHECKING:
    from hospitium.engine.context import Context
    from hospitium.engine.secrets import ServiceKeyText
    from hospitium.storage.database import Transaction

_c = service_keys.c
_living = _c.ended_at.is_(None)
_of_organization = select(*SERVICE_KEY_COLUMNS).where(_c.organization_id == bindparam("organization_id"))
_OF_ORGANIZATION = Query(_of_organization.order_by(_c.id), struct(ServiceKey))
_PAGE = Query(
    _of_organization.where(_c.id > bindparam("after")).order_by(_c.id).limit(bindparam("limit")),
    struct(ServiceKey),
)
_LIVING_COUNT = Query(
    select(func.count().label("count")).where(_c.organization_id == bindparam("organization_id"), _living),
    scalar("count"),
)
_NAMES = Query(
    select(_c.name).where(
        _c.organization_id == bindparam("organization_id"),
        _c.name == func.any(bindparam("names", type_=ARRAY(Text))),
        _living,
    ),
    scalar("name"),
)


class _ActorRow(msgspec.Struct, frozen=True):
    service_key_id: UUID
    organization_id: UUID
    organization_type: str
    organization_status: OrganizationStatus
    scopes: list[str]


_ACTOR = Query(
    select(
        _c.id.label("actor__service_key_id"),
        _c.organization_id,
        organizations.c.type.label("actor__organization_type"),
        organizations.c.status.label("actor__organization_status"),
        _c.scopes,
    )
    .join(organizations, organizations.c.id == _c.organization_id)
    .where(_c.digest == bindparam("digest"), _living),
    struct(_ActorRow),
)


async def actor_of(tx: Transaction, key: ServiceKeyText) -> Actor | None:
    """Return who acts by a service key: no account, but an application of the key's organization, for what its scopes say; None if
    it has ended, or never was one."""
    row = await _ACTOR.first(tx, digest=key.digest())
    if row is None:
        return None
    return Actor(
        ActorKind.SERVICE_KEY,
        organization_id=row.organization_id,
        organization_type=row.organization_type,
        organization_is_active=row.organization_status is OrganizationStatus.ACTIVE,
        service_key_id=row.service_key_id,
        scopes=frozenset(map(Scope, row.scopes)),
    )


async def page(ctx: Context, after: UUID, limit: int) -> list[ServiceKey]:
    """Return service keys of the actor's organization in the order of their ids, after one of them, ended ones too."""
    require(ctx.actor, Permission.KEEP_SERVICE_KEYS)
    return await _PAGE.all(ctx.tx, organization_id=organization_of(ctx.actor), after=after, limit=limit)


async def of_organization(ctx: Context, organization_id: UUID) -> list[ServiceKey]:
    """Return the service keys of an organization, the oldest first, ended ones too. For the operator."""
    return await _OF_ORGANIZATION.all(ctx.tx, organization_id=organization_id)


async def living_count(ctx: Context, organization_id: UUID) -> int:
    """Return how many service keys of an organization haven't ended."""
    count: int | None = await _LIVING_COUNT.first(ctx.tx, organization_id=organization_id)
    return count or 0


async def names(ctx: Context, organization_id: UUID, wanted: list[str]) -> set[str]:
    """Return those of some names that an organization's keys have. For the world loader."""
    return set(await _NAMES.all(ctx.tx, organization_id=organization_id, names=wanted))
