"""What is always true of a suspension: which patient of which FHIR server, since when, and what was found (threats F-20).

While it is open, the grants on that one patient count for nothing; what somebody may do on the whole FHIR server stays, so that its staff can
look.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec
from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Table, Text, Uuid
from sqlalchemy.dialects.postgresql import TIMESTAMP

from hospitium.storage.tables import metadata


class SuspensionReason(StrEnum):
    """What was found of the patient on the FHIR server."""

    MERGED = "merged"  # he was replaced by another, who may be somebody else's to see
    GONE = "gone"  # he isn't there any more: his id may be given to somebody else
    INACTIVE = "inactive"  # his record is not in use


_WHEN = TIMESTAMP(timezone=True)
patient_suspensions = Table(
    "patient_suspensions",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("fhir_server_id", ForeignKey("fhir_servers.id"), nullable=False),
    Column("patient_id", Text(collation="C"), nullable=False),
    Column("reason", Text, nullable=False),
    Column("since", _WHEN, nullable=False),
    Column("lifted_at", _WHEN),
    CheckConstraint("reason IN ('merged', 'gone', 'inactive')", name="reason"),
    CheckConstraint("lifted_at >= since", name="lifted_after_beginning"),
)
Index(
    "patient_suspensions_one_open_ix",
    patient_suspensions.c.fhir_server_id,
    patient_suspensions.c.patient_id,
    unique=True,
    postgresql_where=patient_suspensions.c.lifted_at.is_(None),
)
Index(
    "patient_suspensions_of_patient_ix",
    patient_suspensions.c.fhir_server_id,
    patient_suspensions.c.patient_id,
    patient_suspensions.c.since,
)


class Suspension(msgspec.Struct, frozen=True):
    """Since when, and why, the grants on a patient count for nothing; and when they counted again, if they do."""

    id: UUID
    fhir_server_id: UUID
    patient_id: str
    reason: SuspensionReason
    since: datetime
    lifted_at: datetime | None


SUSPENSION_COLUMNS = tuple(patient_suspensions.c[name] for name in Suspension.__struct_fields__)
