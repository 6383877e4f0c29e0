"""What is always true of a membership: an interval, never changed in place (docs/decisions/0006)."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Table, Text, Uuid
from sqlalchemy.dialects.postgresql import TIMESTAMP

from hospitium.engine.actor import Role
from hospitium.storage.tables import metadata

memberships = Table(
    "memberships",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("account_id", ForeignKey("accounts.id"), nullable=False),
    Column("organization_id", ForeignKey("organizations.id"), nullable=False),
    Column("role", Text, nullable=False),
    Column("starts_at", TIMESTAMP(timezone=True), nullable=False),
    Column("ends_at", TIMESTAMP(timezone=True)),
    CheckConstraint(
        "role IN ('admin', 'physician', 'admin_staff', 'scheduler', 'radiologist', 'trial_physician', 'member')",
        name="role",
    ),
    CheckConstraint("ends_at >= starts_at", name="ends_after_start"),
)
Index(
    "memberships_one_open_ix",
    memberships.c.account_id,
    memberships.c.organization_id,
    unique=True,
    postgresql_where=memberships.c.ends_at.is_(None),
)
Index("memberships_of_account_ix", memberships.c.account_id)
Index("memberships_of_organization_ix", memberships.c.organization_id, memberships.c.account_id)


class Membership(msgspec.Struct, frozen=True):
    """An account in an organization, as what, from when until when."""

    id: UUID
    account_id: UUID
    organization_id: UUID
    role: Role
    starts_at: datetime
    ends_at: datetime | None


MEMBERSHIP_COLUMNS = tuple(memberships.c[name] for name in Membership.__struct_fields__)
