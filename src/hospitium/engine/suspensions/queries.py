"""Which suspensions: the open ones of a FHIR server, for its administrators."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import Uuid, bindparam, select

from hospitium.engine.fhir_servers import queries as servers
from hospitium.engine.fhir_servers.record import fhir_servers
from hospitium.engine.organizations.record import OrganizationStatus, organizations
from hospitium.engine.permissions import Permission, require
from hospitium.engine.suspensions.record import SUSPENSION_COLUMNS, Suspension, patient_suspensions
from hospitium.storage.statements import Query, exactly, pair, scalar, struct

if TYPE_CHECKING:
    from uuid import UUID

    from hospitium.engine.context import Context

_c = patient_suspensions.c
_is_open = _c.lifted_at.is_(None)
_of_server = _c.fhir_server_id == bindparam("server_id", type_=Uuid)
_PAGE = Query(
    select(*SUSPENSION_COLUMNS)
    .where(_of_server, _is_open, _c.id > bindparam("after"))
    .order_by(_c.id)
    .limit(bindparam("most")),
    struct(Suspension),
)
_WAS_LIFTED = Query(
    select(_c.id)
    .where(
        _of_server,
        _c.patient_id == bindparam("patient_id"),
        _c.reason == bindparam("reason"),
        _c.lifted_at.is_not(None),
    )
    .limit(1),
    scalar("id"),
)
_TO_TELL = Query(
    select(organizations.c.id, organizations.c.name)
    .select_from(patient_suspensions)
    .join(fhir_servers, fhir_servers.c.id == _c.fhir_server_id)
    .join(organizations, organizations.c.id == fhir_servers.c.organization_id)
    .where(
        _c.id == bindparam("suspension_id"),
        _is_open,
        fhir_servers.c.removed_at.is_(None),
        exactly(organizations.c.status, OrganizationStatus.ACTIVE),
    ),
    pair(scalar("id"), scalar("name")),
)


class Told(NamedTuple):
    """Whose administrators are told of a suspension."""

    organization_id: UUID
    organization_name: str


async def page(ctx: Context, server_id: UUID, after: UUID, most: int) -> list[Suspension]:
    """Return the open suspensions on a FHIR server of the own organization, in the order of their ids, after one. Raises NotFound."""
    require(ctx.actor, Permission.KEEP_FHIR_SERVERS)
    await servers.find(ctx, server_id)
    return await _PAGE.all(ctx.tx, server_id=server_id, after=after, most=most)


async def was_lifted(ctx: Context, server_id: UUID, patient_id: str, reason: str) -> bool:
    """Return whether an administrator has confirmed a patient before, of whom the same had been found."""
    found = await _WAS_LIFTED.first(ctx.tx, server_id=server_id, patient_id=patient_id, reason=reason)
    return found is not None


async def to_tell(ctx: Context, suspension_id: UUID) -> Told | None:
    """Return whose administrators are told of a suspension; None if nobody needs to be told any more."""
    found = await _TO_TELL.first(ctx.tx, suspension_id=suspension_id)
    return None if found is None else Told(*found)
