"""What is always true of a share: of what, to whom, how much, from whom, and how it stands."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
from sqlalchemy import (
    CheckConstraint,
    Column,
    Computed,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    Uuid,
    and_,
)
from sqlalchemy.dialects.postgresql import TIMESTAMP

from hospitium.storage.statements import exactly, one_of
from hospitium.storage.tables import metadata

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

SHARE_PURPOSE = "share"
"""With what the token of a share is derived (ruling 14)."""
PENDING_LIFE = timedelta(days=7)


class ShareStatus(StrEnum):
    PENDING = "pending"
    ACTIVE = "active"
    DECLINED = "declined"  # by its target, before accepting it
    WITHDRAWN = "withdrawn"  # by its creator, or with what it was made under, before it was accepted
    LEFT = "left"  # by its target
    REVOKED = "revoked"  # by its creator or another holder, or with what it was made under
    EXPIRED = "expired"  # nobody accepted it in time, or its window closed
    MERGED = "merged"  # its target had another one like it, which was raised


class TargetForm(StrEnum):
    """How the target was named. Duplicates are compared in this form, so that nobody learns whose address it is (ruling 14b)."""

    EMAIL = "email"
    ACCOUNT = "account"
    TEAM = "team"


PENDING, ACTIVE = ShareStatus.PENDING, ShareStatus.ACTIVE
LIVE = (PENDING, ACTIVE)


def is_live(status: ColumnElement[Any]) -> ColumnElement[bool]:
    """Return whether a status is that of a share one can see, in the words the partial indexes are made with."""
    return one_of(status, LIVE)


_WHEN = TIMESTAMP(timezone=True)
shares = Table(
    "shares",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("organization_id", ForeignKey("organizations.id"), nullable=False),
    # Of what: a record, or an account.
    Column("record_id", ForeignKey("records.id")),
    Column("object_type_id", ForeignKey("object_types.id")),
    Column("shared_account_id", ForeignKey("accounts.id")),
    Column(
        "context_id", Uuid, Computed("coalesce(record_id, shared_account_id)", persisted=True), nullable=False
    ),
    Column("target_form", Text, nullable=False),
    Column("target_email", Text),
    Column("target_email_key", Text(collation="C")),
    # Named so, or who accepted what was sent to an address.
    Column("target_account_id", ForeignKey("accounts.id")),
    Column("target_team_id", ForeignKey("teams.id")),
    Column("target_first_name", Text),
    Column("target_last_name", Text),
    Column("level", SmallInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("creator_id", ForeignKey("accounts.id"), nullable=False),
    # Under which grant of its creator: when that ends, so does this (ruling 14a). An account owns itself without a grant.
    Column("made_under_id", ForeignKey("grants.id")),
    Column("language", Text, nullable=False),
    Column("created_at", _WHEN, nullable=False),
    Column("expires_at", _WHEN, nullable=False),
    Column("window_starts_at", _WHEN),
    Column("window_ends_at", _WHEN),
    Column("accepted_at", _WHEN),
    Column("ended_at", _WHEN),
    # Not of one that was active at once: there is nothing to accept.
    Column("key_number", Integer),
    Column("nonce", LargeBinary),
    Column("digest", LargeBinary, unique=True),
    Column("version", Integer, nullable=False, server_default="1"),
    CheckConstraint(
        "status IN ('pending', 'active', 'declined', 'withdrawn', 'left', 'revoked', 'expired', 'merged')",
        name="status",
    ),
    CheckConstraint("num_nonnulls(record_id, shared_account_id) = 1", name="one_context"),
    CheckConstraint("(record_id IS NULL) = (object_type_id IS NULL)", name="record_has_a_type"),
    CheckConstraint("target_form IN ('email', 'account', 'team')", name="target_form"),
    CheckConstraint(
        "(target_form = 'email') = (target_email IS NOT NULL) AND (target_email IS NULL) = (target_email_key IS NULL)",
        name="address_is_whole",
    ),
    CheckConstraint("(target_form = 'team') = (target_team_id IS NOT NULL)", name="team_is_named"),
    CheckConstraint(
        "CASE target_form WHEN 'account' THEN target_account_id IS NOT NULL WHEN 'team' THEN target_account_id IS NULL "
        "ELSE (target_account_id IS NOT NULL) = (accepted_at IS NOT NULL) END",
        name="account_is_named",
    ),
    CheckConstraint("level IN (2, 4, 5, 6)", name="level"),
    CheckConstraint("language IN ('en', 'es')", name="language"),
    CheckConstraint("made_under_id IS NOT NULL OR shared_account_id IS NOT NULL", name="made_under"),
    CheckConstraint("expires_at > created_at", name="expires_after_creation"),
    CheckConstraint("window_ends_at > window_starts_at AND window_ends_at > created_at", name="window"),
    CheckConstraint("accepted_at >= created_at AND accepted_at < expires_at", name="accepted_in_time"),
    CheckConstraint(
        "CASE WHEN status IN ('active', 'left', 'revoked') THEN accepted_at IS NOT NULL "
        "WHEN status IN ('pending', 'declined', 'withdrawn', 'merged') THEN accepted_at IS NULL ELSE true END",
        name="acceptance_has_a_time",
    ),
    CheckConstraint("(status IN ('pending', 'active')) = (ended_at IS NULL)", name="end_has_a_time"),
    CheckConstraint("num_nonnulls(key_number, nonce, digest) IN (0, 3)", name="token_is_whole"),
    CheckConstraint("status <> 'pending' OR digest IS NOT NULL", name="pending_has_a_token"),
)
_c = shares.c
_live = is_live(_c.status)
_pending = exactly(_c.status, PENDING)


def _once(name: str, form: TargetForm, column: str) -> None:
    Index(
        f"shares_one_to_{name}_ix",
        _c.context_id,
        _c[column],
        unique=True,
        postgresql_where=and_(exactly(_c.target_form, form), _live),
    )


_once("email", TargetForm.EMAIL, "target_email_key")
_once("account", TargetForm.ACCOUNT, "target_account_id")
_once("team", TargetForm.TEAM, "target_team_id")
Index("shares_of_creator_ix", _c.creator_id, _c.id, postgresql_where=_live)
Index("shares_to_account_ix", _c.target_account_id, _c.id, postgresql_where=_live)
Index("shares_to_email_ix", _c.target_email_key, _c.id, postgresql_where=_pending)
Index("shares_to_team_ix", _c.target_team_id, _c.id, postgresql_where=_live)
Index("shares_on_context_ix", _c.context_id, _c.id, postgresql_where=_live)
Index("shares_made_under_ix", _c.made_under_id, postgresql_where=_live)
Index("shares_to_expire_ix", _c.expires_at, postgresql_where=_pending)
Index(
    "shares_to_close_ix",
    _c.window_ends_at,
    postgresql_where=and_(exactly(_c.status, ACTIVE), _c.window_ends_at.is_not(None)),
)


class Share(msgspec.Struct, frozen=True):
    """A record or an account, offered to somebody at a level."""

    id: UUID
    organization_id: UUID
    record_id: UUID | None
    object_type_id: UUID | None
    shared_account_id: UUID | None
    context_id: UUID
    target_form: TargetForm
    target_email: str | None
    target_email_key: str | None
    target_account_id: UUID | None
    target_team_id: UUID | None
    target_first_name: str | None
    target_last_name: str | None
    level: int
    status: ShareStatus
    creator_id: UUID
    made_under_id: UUID | None
    language: str
    created_at: datetime
    expires_at: datetime
    window_starts_at: datetime | None
    window_ends_at: datetime | None
    accepted_at: datetime | None
    ended_at: datetime | None
    key_number: int | None
    nonce: bytes | None
    version: int

    def is_there(self, now: datetime) -> bool:
        """Whether it is pending or active, by the clock."""
        if self.window_ends_at is not None and now >= self.window_ends_at:
            return False
        return self.status is ACTIVE or (self.status is PENDING and now < self.expires_at)

    def is_open(self, now: datetime) -> bool:
        """Whether it can be accepted."""
        return self.status is PENDING and self.is_there(now)


SHARE_COLUMNS = tuple(_c[name] for name in Share.__struct_fields__)
