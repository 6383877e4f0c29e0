"""What is always true of an object type: its names, where its records are kept, and how they may be shared."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec
from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP

from hospitium.engine.levels import Level
from hospitium.storage.tables import metadata


class Storage(StrEnum):
    """Where the records of a type are kept (ruling 17)."""

    STORED = "stored"  # their JSON lives here
    EXTERNAL = "external"  # only type and id live here; another system keeps the data


GRANTABLE = (Level.CONNECTED, Level.READ, Level.SHARE, Level.UPDATE)
"""What a share chain may hold: never 1, 3 or 7 (ruling 16)."""
DEFAULT_CHAIN = (Level.SHARE, Level.READ, Level.CONNECTED)
DEFAULT_REQUIRED = None  # ruling 15: a target's account need not be shared with whoever connects it at once

ACTION_FORM = r"^[A-Za-z0-9_.:-]{1,64}$"
MOST_ACTIONS = 50

NAME_FORM = r"^[a-z][a-z0-9_]{0,62}$"
RESERVED_NAMES = frozenset(
    {"account", "accounts", "connection", "connections", "object", "objects", "team", "teams", "person", "persons",
     "patient", "patients", "organization", "organizations", "org", "orgs", "fault", "list", "result"}
)  # fmt: skip
"""Names that mean something else where records are named."""

_WHEN = TIMESTAMP(timezone=True)
object_types = Table(
    "object_types",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("organization_id", ForeignKey("organizations.id"), nullable=False),
    Column("name", Text(collation="C"), nullable=False),
    Column("plural_name", Text(collation="C"), nullable=False),
    Column("label", Text, nullable=False),
    Column("storage", Text, nullable=False),
    Column("allows_shares", Boolean, nullable=False),
    Column("requires_acceptance", Boolean, nullable=False),
    Column("sends_notifications", Boolean, nullable=False),
    # The level one must hold on the target's account to share with it at once; NULL asks for none (ruling 15).
    Column("required_level", SmallInteger),
    Column("share_chain", ARRAY(SmallInteger), nullable=False),
    # What the organization's applications call actions on its records, and the level each needs.
    Column("actions", JSONB, nullable=False, server_default="{}"),
    Column("created_at", _WHEN, nullable=False),
    Column("updated_at", _WHEN, nullable=False),
    Column("ended_at", _WHEN),
    Column("version", Integer, nullable=False, server_default="1"),
    CheckConstraint("storage IN ('stored', 'external')", name="storage"),
    CheckConstraint(f"name ~ '{NAME_FORM}' AND plural_name ~ '{NAME_FORM}'", name="name_form"),
    CheckConstraint("name <> plural_name", name="two_names"),
    CheckConstraint("share_chain <@ '{2,4,5,6}'", name="share_chain"),
    CheckConstraint("required_level BETWEEN 1 AND 7", name="required_level"),
    CheckConstraint("jsonb_typeof(actions) = 'object'", name="actions_are_a_map"),
    CheckConstraint("updated_at >= created_at AND ended_at >= created_at", name="in_order"),
)
_is_there = object_types.c.ended_at.is_(None)
for _name in ("name", "plural_name"):
    Index(
        f"object_types_one_{_name}_ix",
        object_types.c.organization_id,
        object_types.c[_name],
        unique=True,
        postgresql_where=_is_there,
    )


class ObjectType(msgspec.Struct, frozen=True):
    """Which kind of records an organization has, and how they may be shared."""

    id: UUID
    organization_id: UUID
    name: str
    plural_name: str
    label: str
    storage: Storage
    allows_shares: bool
    requires_acceptance: bool
    sends_notifications: bool
    required_level: int | None
    share_chain: list[int]
    actions: dict[str, int]
    created_at: datetime
    updated_at: datetime
    version: int


OBJECT_TYPE_COLUMNS = tuple(object_types.c[name] for name in ObjectType.__struct_fields__)
