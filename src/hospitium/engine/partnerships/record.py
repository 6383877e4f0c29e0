"""What is always true of a partnership."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec
from sqlalchemy import CheckConstraint, Column, Computed, ForeignKey, Index, Integer, Table, Text, Uuid
from sqlalchemy.dialects.postgresql import TIMESTAMP

from hospitium.engine.organizations.record import OrganizationCard, OrganizationProfile
from hospitium.storage.statements import exactly, one_of
from hospitium.storage.tables import metadata


class PartnershipStatus(StrEnum):
    PENDING_APPROVAL = "pending_approval"
    APPROVED = "approved"
    REJECTED = "rejected"
    CANCELED = "canceled"
    EXPIRED = "expired"
    TERMINATED = "terminated"


LIVE = (PartnershipStatus.PENDING_APPROVAL, PartnershipStatus.APPROVED)
"""The statuses of which a pair has one at most."""

_WHEN = TIMESTAMP(timezone=True)
partnerships = Table(
    "partnerships",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("source_id", ForeignKey("organizations.id"), nullable=False),
    Column("target_id", ForeignKey("organizations.id"), nullable=False),
    Column("pair_low", Uuid, Computed("least(source_id, target_id)", persisted=True), nullable=False),
    Column("pair_high", Uuid, Computed("greatest(source_id, target_id)", persisted=True), nullable=False),
    Column("status", Text, nullable=False),
    Column("message", Text),
    Column("response_message", Text),
    Column("requested_at", _WHEN, nullable=False),
    Column("expires_at", _WHEN, nullable=False),
    Column("responded_at", _WHEN),
    Column("canceled_at", _WHEN),
    Column("terminated_at", _WHEN),
    Column("terminated_by", ForeignKey("organizations.id")),
    Column("termination_reason", Text),
    # What the cool-downs remember (ruling 8). A resend hides the answer, not that there was a rejection.
    Column("rejected_at", _WHEN),
    Column("resend_exempted_at", _WHEN),
    Column("reestablish_exempted_at", _WHEN),
    Column("version", Integer, nullable=False, server_default="1"),
    CheckConstraint(
        "status IN ('pending_approval', 'approved', 'rejected', 'canceled', 'expired', 'terminated')",
        name="status",
    ),
    CheckConstraint("source_id <> target_id", name="two_organizations"),
    CheckConstraint("expires_at > requested_at", name="expires_after_request"),
    CheckConstraint("responded_at >= requested_at AND responded_at < expires_at", name="answered_in_time"),
    CheckConstraint(
        "status NOT IN ('pending_approval', 'approved', 'rejected') "
        "OR (responded_at IS NULL) = (status = 'pending_approval')",
        name="answer_has_a_time",
    ),
    CheckConstraint("status <> 'rejected' OR rejected_at IS NOT NULL", name="rejection_is_remembered"),
    CheckConstraint("status <> 'canceled' OR canceled_at IS NOT NULL", name="cancel_has_a_time"),
    CheckConstraint("status <> 'terminated' OR terminated_at IS NOT NULL", name="termination_has_a_time"),
    CheckConstraint(
        "(terminated_at IS NULL) = (terminated_by IS NULL) "
        "AND (terminated_at IS NULL) = (termination_reason IS NULL)",
        name="termination_is_whole",
    ),
)
Index(
    "partnerships_one_live_per_pair_ix",
    partnerships.c.pair_low,
    partnerships.c.pair_high,
    unique=True,
    postgresql_where=one_of(partnerships.c.status, LIVE),
)
Index(
    "partnerships_pair_latest_ix",
    partnerships.c.pair_low,
    partnerships.c.pair_high,
    partnerships.c.requested_at,
)
for _side in ("source", "target"):
    _column = partnerships.c[f"{_side}_id"]
    Index(f"partnerships_of_{_side}_ix", _column, partnerships.c.requested_at, partnerships.c.id)
    Index(
        f"partnerships_of_{_side}_by_status_ix",
        _column,
        partnerships.c.status,
        partnerships.c.requested_at,
        partnerships.c.id,
    )
    Index(
        f"partnerships_of_{_side}_pending_ix",
        _column,
        partnerships.c.expires_at,
        postgresql_where=exactly(partnerships.c.status, "pending_approval"),
    )
Index(
    "partnerships_to_expire_ix",
    partnerships.c.expires_at,
    postgresql_where=exactly(partnerships.c.status, "pending_approval"),
)

partnership_tallies = Table(
    "partnership_tallies",
    metadata,
    Column("organization_id", ForeignKey("organizations.id"), primary_key=True),
    Column("side", Text, primary_key=True),
    Column("status", Text, primary_key=True),
    Column("count", Integer, nullable=False),
    CheckConstraint("side IN ('source', 'target')", name="side"),
    CheckConstraint("count >= 0", name="count"),
)
"""How many partnerships of each status an organization has on each side: kept by a trigger on `partnerships`, so that
limits and exact totals cost the same at ten as at a hundred thousand (docs/decisions/0005)."""


class Partnership(msgspec.Struct, frozen=True):
    """A partnership as it is kept. `status` is what the clock says: a request past its time reads `expired`."""

    id: UUID
    source_id: UUID
    target_id: UUID
    status: PartnershipStatus
    message: str | None
    response_message: str | None
    requested_at: datetime
    expires_at: datetime
    responded_at: datetime | None
    canceled_at: datetime | None
    terminated_at: datetime | None
    terminated_by: UUID | None
    termination_reason: str | None
    version: int

    def other_side(self, organization_id: UUID) -> UUID:
        """Return the partner of one of the two organizations."""
        return self.target_id if organization_id == self.source_id else self.source_id


class PartnershipView(msgspec.Struct, frozen=True):
    """A partnership with the cards of both organizations."""

    partnership: Partnership
    source: OrganizationCard
    target: OrganizationCard


class PartnershipDetail(msgspec.Struct, frozen=True):
    """A partnership with the profiles of both organizations."""

    partnership: Partnership
    source: OrganizationProfile
    target: OrganizationProfile


class Standing(StrEnum):
    """How two organizations stand, seen from one of them (docs/dialects/radorderpad.md `connectionStatus`)."""

    NOT_CONNECTED = "not_connected"
    PENDING_OUTGOING = "pending_outgoing"
    PENDING_INCOMING = "pending_incoming"
    CONNECTED = "connected"
    REJECTED = "rejected"


class LatestPartnership(msgspec.Struct, frozen=True):
    """The latest partnership of a pair, as far as their standing depends on it; all None where there is none."""

    latest_status: PartnershipStatus | None
    latest_source_id: UUID | None

    def standing(self, seen_from: UUID) -> Standing:
        """Return how the pair stands, seen from one organization: only the asker sees that it was rejected."""
        is_source = self.latest_source_id == seen_from
        match self.latest_status:
            case PartnershipStatus.PENDING_APPROVAL:
                return Standing.PENDING_OUTGOING if is_source else Standing.PENDING_INCOMING
            case PartnershipStatus.APPROVED:
                return Standing.CONNECTED
            case PartnershipStatus.REJECTED if is_source:
                return Standing.REJECTED
            case _:
                return Standing.NOT_CONNECTED
