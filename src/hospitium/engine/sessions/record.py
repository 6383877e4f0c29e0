"""What is always true of a session: a sign-in, and the chain of refresh tokens that keeps it alive."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text, Uuid
from sqlalchemy.dialects.postgresql import TIMESTAMP

from hospitium.storage.tables import metadata

REFRESH_PURPOSE = "refresh"
ACCESS_LIFE = timedelta(hours=1)
REFRESH_LIFE = timedelta(days=7)
REPEAT_GRACE = timedelta(seconds=10)
"""Within this span a refresh token sent twice gets the same successor: the first answer was lost, not stolen."""

_WHEN = TIMESTAMP(timezone=True)
sessions = Table(
    "sessions",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("account_id", ForeignKey("accounts.id"), nullable=False),
    Column("organization_id", ForeignKey("organizations.id")),
    Column("started_at", _WHEN, nullable=False),
    Column("expires_at", _WHEN, nullable=False),
    Column("ended_at", _WHEN),
    Column("end_reason", Text),
    # The SHA-256 of the cookie that stands for it, where a browser keeps one.
    Column("cookie_digest", LargeBinary, unique=True),
    CheckConstraint("(ended_at IS NULL) = (end_reason IS NULL)", name="end_has_a_reason"),
    CheckConstraint("expires_at > started_at", name="expires_after_start"),
    CheckConstraint(
        "end_reason IN ('signed_out', 'token_reused', 'account_disabled', 'ended_by_owner', 'password_changed', "
        "'mailbox_claimed', 'account_replaced', 'account_deleted', 'restored', 'expired')",
        name="end_reason",
    ),
)
Index("sessions_open_expires_ix", sessions.c.expires_at, postgresql_where=sessions.c.ended_at.is_(None))
Index("sessions_open_of_account_ix", sessions.c.account_id, postgresql_where=sessions.c.ended_at.is_(None))

refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("session_id", ForeignKey("sessions.id"), nullable=False),
    Column("key_number", Integer, nullable=False),
    Column("nonce", LargeBinary, nullable=False),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("issued_at", _WHEN, nullable=False),
    Column("expires_at", _WHEN, nullable=False),
    Column("used_at", _WHEN),
    Column("successor_id", ForeignKey("refresh_tokens.id", deferrable=True, initially="DEFERRED")),
    CheckConstraint("(used_at IS NULL) = (successor_id IS NULL)", name="use_has_a_successor"),
    CheckConstraint("expires_at > issued_at", name="expires_after_issue"),
)
Index("refresh_tokens_expires_ix", refresh_tokens.c.expires_at)
Index("refresh_tokens_of_session_ix", refresh_tokens.c.session_id)
Index("refresh_tokens_successor_ix", refresh_tokens.c.successor_id)


class Session(msgspec.Struct, frozen=True):
    """A sign-in."""

    id: UUID
    account_id: UUID
    organization_id: UUID | None
    started_at: datetime
    expires_at: datetime


SESSION_COLUMNS = tuple(sessions.c[name] for name in Session.__struct_fields__)
