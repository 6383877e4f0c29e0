"""What happens when a FHIR server is read: it is put on record, before anything of it is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from hospitium.engine import events
from hospitium.engine.actor import SYSTEM, ActorKind
from hospitium.engine.events import EventKind, Told
from hospitium.engine.fhir_resources.parameters import TYPES
from hospitium.engine.reads import queries
from hospitium.engine.reads.record import Reading, as_whom, party_of_patient

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hospitium.engine.actor import Actor
    from hospitium.engine.context import Context
    from hospitium.engine.reads.record import Read


async def record(ctx: Context, read: Read) -> None:
    """Put a read, or one that was refused, on record. Nothing may be shown before this is committed."""
    await record_all(ctx, [Reading(ctx.actor, read)])


async def record_all(ctx: Context, readings: Sequence[Reading]) -> None:
    """Put reads of several on record, in one statement, which finds the persons that they concern."""
    left_out = [_left_out(one.read) for one in readings if one.read.left_out]
    ids = [ctx.new_id() for _ in range(len(readings) + len(left_out))]
    patients = [
        (event_id, one.read.server_id, patient_id)
        for event_id, one in zip(ids, readings, strict=False)  # those that were left out come after them
        # A stranger who tries is the clinic's to know of. The patient would be told by him whatever he likes to be called.
        if one.read.refused is None
        for patient_id in set(one.read.patient_ids)
    ]
    await events.record_each(
        ctx,
        [*(_told(reading) for reading in readings), *left_out],
        ids=ids,
        by=_RECORD_ALL,
        now=ctx.now,
        patient_events=[event_id for event_id, _, _ in patients],
        server_ids=[server_id for _, server_id, _ in patients],
        patient_ids=[patient_id for _, _, patient_id in patients],
    )


_RECORD_ALL = events.recording_each(queries.PERSONS_GRANTED)


def _told(reading: Reading) -> tuple[Actor, EventKind, Told]:
    read = reading.read
    was_refused = read.refused is not None
    told = Told(
        ("fhir_server", read.server_id),
        organizations=[read.organization_id],
        # By a grant that ended since, he was read all the same.
        persons=[] if was_refused else sorted(set(read.for_persons)),
        patients=[party_of_patient(read.server_id, one) for one in sorted({*read.patient_ids, *read.tried})],
        data=_refused(reading) if was_refused else _shown(reading),
    )
    whose = [read.organization_id] if was_refused else read.for_organizations
    actor = as_whom(reading.actor, whose)
    if actor.kind is ActorKind.ACCOUNT and actor.organization_id is None and not was_refused and whose:
        # It is by an organization's grant that he reads, whichever one his session is for.
        actor = msgspec.structs.replace(actor, organization_id=whose[0])
    return actor, EventKind.FHIR_READ_REFUSED if was_refused else EventKind.FHIR_READ, told


def _left_out(read: Read) -> tuple[Actor, EventKind, Told]:
    data = {"interaction": read.interaction.value, "type": read.type, "count": read.left_out}
    told = Told(("fhir_server", read.server_id), organizations=[read.organization_id], data=data)
    return SYSTEM, EventKind.FHIR_LEFT_OUT, told


def _shown(reading: Reading) -> dict[str, Any]:
    read = reading.read
    return {
        "interaction": read.interaction.value,
        "type": read.type,
        "resource": read.resource_id,
        "patients": sorted(set(read.patient_ids)),
        "count": read.count,
        "grants": sorted(set(read.grant_ids)),
        "asked": read.query_digest,
        "service_key": reading.actor.service_key_id,
    }


def _refused(reading: Reading) -> dict[str, Any]:
    """Return what is said of a refused read, which its caller can see: no id, which may lead to somebody he may not know of, or be
    anything that he typed; and no type that there isn't."""
    read = reading.read
    return {
        "interaction": read.interaction.value,
        "type": read.type if read.type in TYPES else None,
        "refusal": read.refused,
        "asked": read.query_digest,
        "service_key": reading.actor.service_key_id,
    }
