"""What happens when a FHIR server is read: it is put on record, before anything of it is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hospitium.engine import events
from hospitium.engine.events import EventKind, Told
from hospitium.engine.fhir_resources.parameters import TYPES
from hospitium.engine.reads import queries
from hospitium.engine.reads.record import Reading, as_whom, party_of_patient

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hospitium.engine.actor import Actor
    from hospitium.engine.context import Context
    from hospitium.engine.reads.queries import Concerned
    from hospitium.engine.reads.record import Read


async def record(ctx: Context, read: Read) -> None:
    """Put a read, or one that was refused, on record. Nothing may be shown before this is committed."""
    await record_all(ctx, [Reading(ctx.actor, read)])


async def record_all(ctx: Context, readings: Sequence[Reading]) -> None:
    """Put reads of several on record, in two statements."""
    concerned = await queries.concerned_by(ctx, readings)
    await events.record_each(
        ctx, [_told(reading, concerns) for reading, concerns in zip(readings, concerned, strict=True)]
    )


def _told(reading: Reading, concerned: Concerned) -> tuple[Actor, EventKind, Told]:
    read = reading.read
    was_refused = read.refused is not None
    told = Told(
        ("fhir_server", read.server_id),
        organizations=[read.organization_id],
        # A stranger who tries is the clinic's to know of. The patient would be told by him whatever he likes to be called.
        persons=[] if was_refused else sorted(concerned.persons),
        patients=[party_of_patient(read.server_id, one) for one in sorted(set(read.patient_ids))],
        data=_refused(reading) if was_refused else _shown(reading),
    )
    actor = as_whom(reading.actor, {read.organization_id, *concerned.organizations})
    return actor, EventKind.FHIR_READ_REFUSED if was_refused else EventKind.FHIR_READ, told


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
