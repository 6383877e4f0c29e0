"""What is always true of a service key, and what one may do with it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec
from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, LargeBinary, Table, Text, Uuid
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP

from hospitium.storage.tables import metadata


class Scope(StrEnum):
    """What a service key may be used for."""

    CHECK = "check"  # may this one do that to this?
    LIST = "list"  # who may, and what may he?
    EXPLAIN = "explain"  # and why?
    EVENTS = "events"  # what happened


NO_KEY = "There is no such service key, or it has ended"
_WHEN = TIMESTAMP(timezone=True)
service_keys = Table(
    "service_keys",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("organization_id", ForeignKey("organizations.id"), nullable=False),
    Column("name", Text, nullable=False),
    # The SHA-256 of the key, which is shown once and kept nowhere.
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("made_at", _WHEN, nullable=False),
    # NULL: the operator.
    Column("made_by_id", ForeignKey("accounts.id")),
    Column("last_used_at", _WHEN),
    Column("ended_at", _WHEN),
    CheckConstraint(
        "scopes <@ '{check,list,explain,events}' AND cardinality(scopes) BETWEEN 1 AND 4", name="scopes"
    ),
    CheckConstraint("ended_at >= made_at", name="ends_after_making"),
)
Index(
    "service_keys_one_name_ix",
    service_keys.c.organization_id,
    service_keys.c.name,
    unique=True,
    postgresql_where=service_keys.c.ended_at.is_(None),
)


class ServiceKey(msgspec.Struct, frozen=True):
    """A key by which an application of an organization asks questions."""

    id: UUID
    organization_id: UUID
    name: str
    scopes: list[str]
    made_at: datetime
    made_by_id: UUID | None
    last_used_at: datetime | None
    ended_at: datetime | None


SERVICE_KEY_COLUMNS = tuple(service_keys.c[name] for name in ServiceKey.__struct_fields__)
