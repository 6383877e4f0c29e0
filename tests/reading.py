"""What tests of reads have in common: a read, and what the trail has of them, which a counter of answers must agree with."""

from __future__ import annotations

from collections import Counter
from typing import Any
from uuid import UUID

from hospitium.engine.reads.record import Interaction, Read

READ_KINDS = ("fhir.read", "fhir.read_refused")


def a_read(server_id: UUID, organization_id: UUID, *patients: str, **more: Any) -> Read:
    """Return a read of some patients, by a grant of the FHIR server's organization: of the one there is as a resource, of several as a
    search."""
    one = len(patients) == 1
    said = {
        "interaction": Interaction.READ if one else Interaction.SEARCH,
        "type": "Patient" if one else "Observation",
        "resource_id": patients[0] if one else None,
        "count": len(patients),
        "for_organizations": [organization_id],
        **more,
    }
    return Read(server_id=server_id, organization_id=organization_id, patient_ids=list(patients), **said)


async def on_record(tx: Any, server_id: UUID | None = None) -> Counter[str]:
    """Return how many reads are on record, of one FHIR server or of all: `shown` and `refused`, as `Recorder.counted` has them."""
    rows = await tx.fetch(
        "SELECT kind, count(*) AS count FROM events WHERE kind = ANY($1) AND ($2::uuid IS NULL OR subject_id = $2) GROUP BY kind",
        list(READ_KINDS), server_id,
    )  # fmt: skip
    names = dict(zip(READ_KINDS, ("shown", "refused"), strict=True))
    return Counter({names[row["kind"]]: row["count"] for row in rows})
