"""What is always true of an account."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

import msgspec
from sqlalchemy import Boolean, CheckConstraint, Column, ForeignKey, Index, Table, Text, Uuid
from sqlalchemy.dialects.postgresql import TIMESTAMP

from hospitium.storage.tables import metadata


class AccountStatus(StrEnum):
    ACTIVE = "active"
    DISABLED = "disabled"
    DELETED = "deleted"  # nobody any more: only the id remains, because the trail names it


class Language(StrEnum):
    """In which an account is written to."""

    ENGLISH = "en"
    SPANISH = "es"


UNCONFIRMED_LIFE = timedelta(hours=24)
"""How long an account may be used before its mailbox is proved (ruling 22)."""


accounts = Table(
    "accounts",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("email", Text, nullable=False),
    Column("email_key", Text(collation="C"), nullable=False),
    # Never null: an account is made by whoever chose its password, and an invite makes none.
    Column("password_hash", Text, nullable=False),
    Column("first_name", Text),
    Column("middle_name", Text),
    Column("last_name", Text),
    Column("language", Text, nullable=False, server_default="en"),
    # Through which organization's surface it registered itself: it becomes a member there when it is confirmed.
    Column("registered_with_id", ForeignKey("organizations.id")),
    # Made by whoever typed the address, not by the operator: until confirmed, another who types it takes its place.
    Column("self_registered", Boolean, nullable=False, server_default="false"),
    Column("status", Text, nullable=False),
    Column("verified_at", TIMESTAMP(timezone=True)),
    Column("created_at", TIMESTAMP(timezone=True), nullable=False),
    Column("ended_at", TIMESTAMP(timezone=True)),
    CheckConstraint("status IN ('active', 'disabled', 'deleted')", name="status"),
    CheckConstraint("language IN ('en', 'es')", name="language"),
    CheckConstraint("(status = 'deleted') = (ended_at IS NOT NULL)", name="end_has_a_time"),
    CheckConstraint(
        "status <> 'deleted' OR (email = '' AND email_key = id::text AND password_hash = '' AND first_name IS NULL "
        "AND middle_name IS NULL AND last_name IS NULL AND verified_at IS NULL AND registered_with_id IS NULL)",
        name="deleted_is_nobody",
    ),
)
Index("accounts_email_key_ix", accounts.c.email_key, unique=True)

# By which an organization's own applications name an account (ruling 6); as long as it is a member there.
account_external_ids = Table(
    "account_external_ids",
    metadata,
    Column("organization_id", ForeignKey("organizations.id"), primary_key=True),
    Column("account_id", ForeignKey("accounts.id"), primary_key=True),
    Column("external_id", Text(collation="C"), nullable=False),
)
Index(
    "account_external_ids_one_ix",
    account_external_ids.c.organization_id,
    account_external_ids.c.external_id,
    unique=True,
)
Index("account_external_ids_of_account_ix", account_external_ids.c.account_id)


class Account(msgspec.Struct, frozen=True):
    """A login."""

    id: UUID
    email: str
    email_key: str
    first_name: str | None
    last_name: str | None
    language: Language
    status: AccountStatus
    self_registered: bool
    verified_at: datetime | None
    created_at: datetime
    registered_with_id: UUID | None = None
    middle_name: str | None = None

    @property
    def full_name(self) -> str | None:
        """First and last name, as far as they are known."""
        return " ".join(filter(None, (self.first_name, self.last_name))) or None

    @property
    def is_confirmed(self) -> bool:
        """Whether its mailbox is proved to be its holder's."""
        return self.verified_at is not None


ACCOUNT_COLUMNS = tuple(accounts.c[name] for name in Account.__struct_fields__)
