"""What a question of people names: its subject, its resource, and whose that is; for why, who and what, which aren't asked on every read."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import bindparam, select

from hospitium.engine.access.check import Resource
from hospitium.engine.access.naming import RESOURCE_TYPES, Named, named_one, parameters_of, resolved
from hospitium.engine.fhir_servers.record import fhir_servers
from hospitium.engine.grants.record import GranteeKind, ResourceKind
from hospitium.engine.levels import ACTIONS, Level
from hospitium.engine.object_types.record import object_types
from hospitium.engine.organizations.record import organizations
from hospitium.engine.records.record import THERE, records
from hospitium.storage.statements import Query, one_of, scalar, struct

if TYPE_CHECKING:
    from hospitium.engine.context import Context


class Found(NamedTuple):
    """A subject (None: nobody), a resource and whose it is, and the level that is needed (None: there is no such action)."""

    subject_kind: GranteeKind | None
    subject_id: UUID | None
    resource: Resource
    organization_id: UUID
    needed: Level | None


class _Row(msgspec.Struct, frozen=True):
    subject_kind: GranteeKind | None
    subject_id: UUID | None
    resource_id: str | None
    fhir_server_id: UUID | None


class _RecordRow(msgspec.Struct, frozen=True):
    organization_id: UUID
    object_type_id: UUID
    name: str
    actions: dict[str, int]


def _resolving() -> Query[_Row]:
    named = named_one()
    asked = resolved(named, named.c.organization_id)
    return Query(select(*(asked.c[name] for name in _Row.__struct_fields__)), struct(_Row))


_RESOLVE = _resolving()
_RECORD = Query(
    select(records.c.organization_id, records.c.object_type_id, object_types.c.name, object_types.c.actions)
    .join(object_types, object_types.c.id == records.c.object_type_id)
    .where(records.c.id == bindparam("record_id"), one_of(records.c.status, THERE)),
    struct(_RecordRow),
)
_SERVER = Query(
    select(fhir_servers.c.organization_id).where(
        fhir_servers.c.id == bindparam("server_id"), fhir_servers.c.removed_at.is_(None)
    ),
    scalar("organization_id"),
)
_ORGANIZATION = Query(
    select(organizations.c.id).where(organizations.c.id == bindparam("wanted_id")), scalar("id")
)


async def find(ctx: Context, named: Named) -> Found | None:
    """Return what a question names, in the words of the organization the actor acts for; a record also by its id, whoever's it is. None if
    there is no such resource. Who may know of it, the caller decides."""
    row = await _RESOLVE.first(ctx.tx, organization_id=ctx.actor.organization_id, **parameters_of(named))
    if row is None or row.resource_id is None:
        return None
    kind = RESOURCE_TYPES.get(named.resource_type, ResourceKind.RECORD)
    needed, type_id = ACTIONS.get(named.action), ""
    owner: UUID | None
    match kind:
        case ResourceKind.RECORD:
            record = await _RECORD.first(ctx.tx, record_id=UUID(row.resource_id))
            if record is None or record.name != named.resource_type:
                return None
            owner, type_id = record.organization_id, str(record.object_type_id)
            if named.action in record.actions:
                needed = Level(record.actions[named.action])
        case ResourceKind.ORGANIZATION:
            owner = await _ORGANIZATION.first(ctx.tx, wanted_id=UUID(row.resource_id))
        case _:
            owner = await _SERVER.first(ctx.tx, server_id=row.fhir_server_id)
    if owner is None:
        return None
    resource = Resource(kind, row.resource_id, type_id, row.fhir_server_id)
    return Found(row.subject_kind, row.subject_id, resource, owner, needed)


async def find_account(ctx: Context, name: str) -> UUID | None:
    """Return the account of an id, an external id of the organization the actor acts for, or an address; None if there is none. Who may
    know of it, the caller decides."""
    nothing = Named(GranteeKind.ACCOUNT.value, name, "", "", "")
    row = await _RESOLVE.first(ctx.tx, organization_id=ctx.actor.organization_id, **parameters_of(nothing))
    return None if row is None else row.subject_id
