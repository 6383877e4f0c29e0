"""What is always true of a record."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec
from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Integer, Table, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

from hospitium.storage.statements import exactly, one_of
from hospitium.storage.tables import metadata


class RecordStatus(StrEnum):
    ACTIVE = "active"
    ARCHIVED = "archived"  # kept by its owner, and shared with nobody
    DELETED = "deleted"  # nothing of it is left but its id, because the trail names it


THERE = (RecordStatus.ACTIVE, RecordStatus.ARCHIVED)

_WHEN = TIMESTAMP(timezone=True)
records = Table(
    "records",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("organization_id", ForeignKey("organizations.id"), nullable=False),
    Column("object_type_id", ForeignKey("object_types.id"), nullable=False),
    # By which the organization's own applications name it.
    Column("external_id", Text(collation="C")),
    Column("owner_id", ForeignKey("accounts.id"), nullable=False),
    Column("creator_id", ForeignKey("accounts.id"), nullable=False),
    # NULL where another system keeps the data.
    Column("body", JSONB),
    Column("status", Text, nullable=False),
    Column("created_at", _WHEN, nullable=False),
    Column("updated_at", _WHEN, nullable=False),
    Column("archived_at", _WHEN),
    Column("ended_at", _WHEN),
    Column("version", Integer, nullable=False, server_default="1"),
    CheckConstraint("status IN ('active', 'archived', 'deleted')", name="status"),
    CheckConstraint("(status = 'deleted') = (ended_at IS NOT NULL)", name="end_has_a_time"),
    CheckConstraint("status <> 'archived' OR archived_at IS NOT NULL", name="archiving_has_a_time"),
    CheckConstraint("status <> 'deleted' OR (body IS NULL AND external_id IS NULL)", name="deleted_is_empty"),
    CheckConstraint("jsonb_typeof(body) = 'object'", name="body_is_an_object"),
    CheckConstraint("updated_at >= created_at AND ended_at >= created_at", name="in_order"),
)
Index(
    "records_one_external_id_ix",
    records.c.object_type_id,
    records.c.external_id,
    unique=True,
    postgresql_where=records.c.external_id.is_not(None),
)
Index(
    "records_of_type_ix",
    records.c.object_type_id,
    postgresql_where=one_of(records.c.status, THERE),
)
Index(
    "records_of_owner_ix",
    records.c.owner_id,
    postgresql_where=one_of(records.c.status, THERE),
)
IS_ARCHIVED = exactly(records.c.status, RecordStatus.ARCHIVED)


class Record(msgspec.Struct, frozen=True):
    """An instance of an object type. Its body is read apart: as the JSON text it is, and only for whoever may read it."""

    id: UUID
    organization_id: UUID
    object_type_id: UUID
    external_id: str | None
    owner_id: UUID
    creator_id: UUID
    status: RecordStatus
    created_at: datetime
    updated_at: datetime
    version: int


RECORD_COLUMNS = tuple(records.c[name] for name in Record.__struct_fields__)
