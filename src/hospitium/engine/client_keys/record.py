"""What is always true of a client key."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, LargeBinary, Table, Text, Uuid
from sqlalchemy.dialects.postgresql import TIMESTAMP

from hospitium.storage.tables import metadata

_WHEN = TIMESTAMP(timezone=True)
client_keys = Table(
    "client_keys",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("organization_id", ForeignKey("organizations.id"), nullable=False),
    Column("name", Text, nullable=False),
    # The SHA-256 of the key, which is shown once and kept nowhere.
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("made_at", _WHEN, nullable=False),
    Column("ended_at", _WHEN),
    CheckConstraint("ended_at >= made_at", name="ends_after_making"),
)
Index(
    "client_keys_one_name_ix",
    client_keys.c.organization_id,
    client_keys.c.name,
    unique=True,
    postgresql_where=client_keys.c.ended_at.is_(None),
)


class ClientKey(msgspec.Struct, frozen=True):
    """A key by which an application of an organization says which one it is."""

    id: UUID
    organization_id: UUID
    name: str
    made_at: datetime
    ended_at: datetime | None


CLIENT_KEY_COLUMNS = tuple(client_keys.c[name] for name in ClientKey.__struct_fields__)
