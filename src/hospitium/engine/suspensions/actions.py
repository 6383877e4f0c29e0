"""What can happen to a patient of a FHIR server: he is suspended by what a read finds, and confirmed by an administrator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Text, Uuid, bindparam, func, update
from sqlalchemy.dialects.postgresql import TIMESTAMP, insert

from hospitium.engine import events
from hospitium.engine.deliveries import actions as deliveries
from hospitium.engine.deliveries.record import Template
from hospitium.engine.errors import NotFound
from hospitium.engine.events import EventKind
from hospitium.engine.fhir_servers import queries as servers
from hospitium.engine.permissions import Permission, require
from hospitium.engine.reads import queries as reads
from hospitium.engine.reads.record import as_whom, party_of_patient
from hospitium.engine.suspensions import queries
from hospitium.engine.suspensions.record import (
    SUSPENSION_COLUMNS,
    Suspension,
    SuspensionReason,
    patient_suspensions,
)
from hospitium.storage.statements import Query, struct

if TYPE_CHECKING:
    from uuid import UUID

    from hospitium.engine.context import Context

_c = patient_suspensions.c
_WHEN = TIMESTAMP(timezone=True)
_NAMES = ("id", "fhir_server_id", "patient_id", "reason", "since")
# Two who find the same at once write it once: the one open suspension of a patient is unique.
_SUSPEND = Query(
    insert(patient_suspensions)
    .values({name: bindparam(name, type_=_c[name].type) for name in _NAMES})
    .on_conflict_do_nothing()
    .returning(*SUSPENSION_COLUMNS),
    struct(Suspension),
)
_CONFIRM = Query(
    update(patient_suspensions)
    .where(
        _c.fhir_server_id == bindparam("server_id", type_=Uuid),
        _c.patient_id == bindparam("of_patient", type_=Text),
        _c.lifted_at.is_(None),
    )
    .values(lifted_at=func.greatest(bindparam("now", type_=_WHEN), _c.since))
    .returning(*SUSPENSION_COLUMNS),
    struct(Suspension),
)


async def suspend_patient(
    ctx: Context, server_id: UUID, patient_id: str, reason: SuspensionReason
) -> Suspension | None:
    """Suspend the grants on a patient, because of what a read found of him; the administrators are told. None if they are suspended.

    That he is merged or inactive stays so on the server: what an administrator has confirmed isn't suspended for the same again. Who is
    gone again is suspended again. Raises NotFound.
    """
    server = await servers.by_id(ctx, server_id)
    stays_so = reason is not SuspensionReason.GONE
    if stays_so and await queries.was_lifted(ctx, server_id, patient_id, reason.value):
        return None
    made = await _SUSPEND.first(
        ctx.tx,
        id=ctx.new_id(),
        fhir_server_id=server_id,
        patient_id=patient_id,
        reason=reason.value,
        since=ctx.now,
    )
    if made is None:
        return None
    await _tell(ctx, EventKind.PATIENT_SUSPENDED, server.organization_id, made)
    await deliveries.queue(
        ctx, Template.PATIENT_SUSPENDED, organization_id=server.organization_id, subject_id=made.id
    )
    return made


async def confirm_patient(ctx: Context, server_id: UUID, patient_id: str) -> Suspension:
    """Confirm that a patient is still who he was: the grants on him count again. Raises NotFound (also of one who is not suspended)."""
    require(ctx.actor, Permission.KEEP_FHIR_SERVERS)
    server = await servers.of_own_organization(ctx, server_id)
    lifted = await _CONFIRM.first(ctx.tx, server_id=server_id, of_patient=patient_id, now=ctx.now)
    if lifted is None:
        raise NotFound("patient")
    await _tell(ctx, EventKind.PATIENT_CONFIRMED, server.organization_id, lifted)
    return lifted


async def _tell(ctx: Context, kind: EventKind, organization_id: UUID, suspension: Suspension) -> None:
    """Record it for the organization, and for every person that was granted the patient."""
    server_id, patient_id = suspension.fhir_server_id, suspension.patient_id
    told = events.Told(
        ("patient_suspension", suspension.id),
        organizations=[organization_id],
        persons=await reads.persons_granted(ctx, server_id, patient_id),
        patients=[party_of_patient(server_id, patient_id)],
        data=_said(suspension),
    )
    await events.record_each(ctx, [(as_whom(ctx.actor, [organization_id]), kind, told)])


def _said(suspension: Suspension) -> dict[str, Any]:
    return {
        "fhir_server": suspension.fhir_server_id,
        "patient": suspension.patient_id,
        "reason": suspension.reason.value,
    }
