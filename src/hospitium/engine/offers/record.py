"""What is always true of an offer."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

import msgspec
from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text, Uuid
from sqlalchemy.dialects.postgresql import TIMESTAMP

from hospitium.engine.actor import Role
from hospitium.storage.statements import exactly
from hospitium.storage.tables import metadata

OFFER_PURPOSE = "offer"
"""With what the token of an offer is derived (ruling 14)."""
OFFER_LIFE = timedelta(days=14)


class OfferStatus(StrEnum):
    PENDING = "pending"
    ACCEPTED = "accepted"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


_WHEN = TIMESTAMP(timezone=True)
offers = Table(
    "offers",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("organization_id", ForeignKey("organizations.id"), nullable=False),
    Column("email", Text, nullable=False),
    Column("email_key", Text(collation="C"), nullable=False),
    Column("role", Text, nullable=False),
    Column("language", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("offered_by_id", ForeignKey("accounts.id"), nullable=False),
    Column("offered_at", _WHEN, nullable=False),
    Column("expires_at", _WHEN, nullable=False),
    Column("ended_at", _WHEN),
    # Who accepted it. Before, an offer names an address and nobody's account.
    Column("account_id", ForeignKey("accounts.id")),
    Column("key_number", Integer, nullable=False),
    Column("nonce", LargeBinary, nullable=False),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("version", Integer, nullable=False, server_default="1"),
    CheckConstraint("status IN ('pending', 'accepted', 'withdrawn', 'expired')", name="status"),
    CheckConstraint(
        "role IN ('admin', 'physician', 'admin_staff', 'scheduler', 'radiologist', 'trial_physician', 'member')",
        name="role",
    ),
    CheckConstraint("language IN ('en', 'es')", name="language"),
    CheckConstraint("expires_at > offered_at", name="expires_after_offer"),
    CheckConstraint("(status = 'pending') = (ended_at IS NULL)", name="end_has_a_time"),
    CheckConstraint("(status = 'accepted') = (account_id IS NOT NULL)", name="accepted_by_somebody"),
)
_is_pending = exactly(offers.c.status, OfferStatus.PENDING)
Index("offers_of_organization_ix", offers.c.organization_id, offers.c.id)
Index(
    "offers_one_pending_ix",
    offers.c.organization_id,
    offers.c.email_key,
    unique=True,
    postgresql_where=_is_pending,
)
Index("offers_to_expire_ix", offers.c.expires_at, postgresql_where=_is_pending)


class Offer(msgspec.Struct, frozen=True):
    """A membership that somebody may take up; its token is derived from the row, and shown to nobody but its reader."""

    id: UUID
    organization_id: UUID
    email: str
    email_key: str
    role: Role
    language: str
    status: OfferStatus
    offered_by_id: UUID
    offered_at: datetime
    expires_at: datetime
    ended_at: datetime | None
    account_id: UUID | None
    key_number: int
    nonce: bytes

    def is_open(self, now: datetime) -> bool:
        """Whether it can be taken up."""
        return self.status is OfferStatus.PENDING and now < self.expires_at


OFFER_COLUMNS = tuple(offers.c[name] for name in Offer.__struct_fields__)
