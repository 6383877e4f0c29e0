"""What is always true of a link."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

import msgspec
from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text, Uuid
from sqlalchemy.dialects.postgresql import TIMESTAMP

from hospitium.storage.tables import metadata


class LinkPurpose(StrEnum):
    """What a link is good for; also the purpose its token is derived with (ruling 14)."""

    CONFIRM = "confirm"  # the mailbox of a new account
    PASSWORD = "password"  # noqa: S105  a new password for who forgot his
    EMAIL = "email"  # another address for an account
    NONE = "none"  # nothing: the mail tells its reader that there is no account


LINK_LIVES = {
    LinkPurpose.CONFIRM: timedelta(days=7),
    LinkPurpose.PASSWORD: timedelta(hours=2),
    LinkPurpose.EMAIL: timedelta(hours=24),
    LinkPurpose.NONE: timedelta(hours=2),
}

_WHEN = TIMESTAMP(timezone=True)
links = Table(
    "links",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("purpose", Text, nullable=False),
    Column("account_id", ForeignKey("accounts.id")),
    # Where it is sent: for a change of address the new one.
    Column("email", Text, nullable=False),
    Column("email_key", Text(collation="C"), nullable=False),
    Column("language", Text, nullable=False),
    Column("key_number", Integer, nullable=False),
    Column("nonce", LargeBinary, nullable=False),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("issued_at", _WHEN, nullable=False),
    Column("expires_at", _WHEN, nullable=False),
    Column("ended_at", _WHEN),
    Column("end_reason", Text),
    CheckConstraint("purpose IN ('confirm', 'password', 'email', 'none')", name="purpose"),
    CheckConstraint("language IN ('en', 'es')", name="language"),
    CheckConstraint("(account_id IS NULL) = (purpose = 'none')", name="for_nobody_leads_nowhere"),
    CheckConstraint("expires_at > issued_at", name="expires_after_issue"),
    CheckConstraint("(ended_at IS NULL) = (end_reason IS NULL)", name="end_has_a_reason"),
    CheckConstraint("end_reason IN ('used', 'replaced', 'account_changed', 'restored')", name="end_reason"),
)
Index(
    "links_open_of_account_ix",
    links.c.account_id,
    links.c.purpose,
    postgresql_where=links.c.ended_at.is_(None),
)
Index("links_expired_ix", links.c.expires_at)


class Link(msgspec.Struct, frozen=True):
    """A link as it is kept: enough to derive its token again with the key, useless without."""

    id: UUID
    purpose: LinkPurpose
    account_id: UUID | None
    email: str
    email_key: str
    language: str
    key_number: int
    nonce: bytes
    issued_at: datetime
    expires_at: datetime
    ended_at: datetime | None
    end_reason: str | None

    def is_open(self, now: datetime) -> bool:
        """Whether it can be used."""
        return self.ended_at is None and now < self.expires_at


LINK_COLUMNS = tuple(links.c[name] for name in Link.__struct_fields__)
