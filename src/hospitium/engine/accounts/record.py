"""What is always true of an account."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec
from sqlalchemy import CheckConstraint, Column, Index, Table, Text, Uuid
from sqlalchemy.dialects.postgresql import TIMESTAMP

from hospitium.storage.tables import metadata


class AccountStatus(StrEnum):
    ACTIVE = "active"
    DISABLED = "disabled"


accounts = Table(
    "accounts",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("email", Text, nullable=False),
    Column("email_key", Text(collation="C"), nullable=False),
    # Never null: an account is made by whoever chose its password, and an invite makes none.
    Column("password_hash", Text, nullable=False),
    Column("first_name", Text),
    Column("last_name", Text),
    Column("external_id", Text),
    Column("status", Text, nullable=False),
    Column("verified_at", TIMESTAMP(timezone=True)),
    Column("created_at", TIMESTAMP(timezone=True), nullable=False),
    CheckConstraint("status IN ('active', 'disabled')", name="status"),
)
Index("accounts_email_key_ix", accounts.c.email_key, unique=True)


class Account(msgspec.Struct, frozen=True):
    """A login."""

    id: UUID
    email: str
    first_name: str | None
    last_name: str | None
    status: AccountStatus
    verified_at: datetime | None
    created_at: datetime


ACCOUNT_COLUMNS = tuple(accounts.c[name] for name in Account.__struct_fields__)
