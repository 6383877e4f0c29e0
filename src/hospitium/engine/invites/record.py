"""What is always true of an invite: which patient of which FHIR server, for whom, by which secret, and how it stands."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

from hospitium.storage.statements import one_of
from hospitium.storage.tables import metadata

INVITE_PURPOSE = "invite"
"""With what the token of an invite's mail is derived (ruling 14)."""
MOST_WRONG_ANSWERS = 5
"""In the life of an invite, over all routes (ruling 18)."""


class InviteStatus(StrEnum):
    UNBOUND = "unbound"  # whoever has the code and the answer may take it up
    BOUND = "bound"  # to an address, or to the account that registered with its code
    ACCEPTED = "accepted"
    DECLINED = "declined"  # by whom it was bound to
    WITHDRAWN = "withdrawn"  # by the inviting side, or with its FHIR server
    EXPIRED = "expired"
    LOCKED = "locked"  # too many wrong answers
    REPLACED = "replaced"  # issued again, with another code or link
    UNDONE = "undone"  # bound to, or accepted by, an account whose mailbox turned out to be another's, or that is gone


class InviteForm(StrEnum):
    """How the invited one is named."""

    CODE = "code"
    EMAIL = "email"


UNBOUND, BOUND = InviteStatus.UNBOUND, InviteStatus.BOUND
OPEN = (UNBOUND, BOUND)
_WHEN = TIMESTAMP(timezone=True)
invites = Table(
    "invites",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("fhir_server_id", ForeignKey("fhir_servers.id"), nullable=False),
    Column("organization_id", ForeignKey("organizations.id"), nullable=False),
    Column("patient_id", Text(collation="C"), nullable=False),
    # resourceType, id, name, gender, birthDate, as they were at creation (rulings 21 and 24).
    Column("patient_summary", JSONB, nullable=False),
    Column("form", Text, nullable=False),
    Column("status", Text, nullable=False),
    # Of one by e-mail: to which address, and the names the inviter gave.
    Column("email", Text),
    Column("email_key", Text(collation="C")),
    Column("first_name", Text),
    Column("last_name", Text),
    Column("key_number", Integer),
    Column("nonce", LargeBinary),
    Column("digest", LargeBinary, unique=True),
    # Of one by code, as long as anybody may take it up: forgotten with the last moment at which they are needed (ruling 19).
    Column("question", Text),
    Column("code_key_number", Integer),
    Column("code_digest", LargeBinary),
    Column("answer_hash", Text),
    # Answers that were tried: counted before their verdict, given back when they were right; and how many were wrong.
    Column("attempts", SmallInteger, nullable=False, server_default="0"),
    Column("wrong_answers", SmallInteger, nullable=False, server_default="0"),
    # Who it is bound to: by registration with the code, or by accepting.
    Column("account_id", ForeignKey("accounts.id")),
    Column("person_id", ForeignKey("persons.id")),
    Column("grant_id", ForeignKey("grants.id")),
    Column("language", Text, nullable=False),
    # The inviting side's own name for it in a bulk: a repeat finds what the first call made.
    Column("bulk_key", Text(collation="C")),
    Column("replaces_id", ForeignKey("invites.id")),
    Column("created_by_id", ForeignKey("accounts.id"), nullable=False),
    Column("created_at", _WHEN, nullable=False),
    # Never, if none is set (ruling 20).
    Column("expires_at", _WHEN),
    Column("accepted_at", _WHEN),
    Column("ended_at", _WHEN),
    Column("version", Integer, nullable=False, server_default="1"),
    CheckConstraint(
        "status IN ('unbound', 'bound', 'accepted', 'declined', 'withdrawn', 'expired', 'locked', 'replaced', 'undone')",
        name="status",
    ),
    CheckConstraint("form IN ('code', 'email')", name="form"),
    CheckConstraint(
        "num_nonnulls(email, email_key, first_name, last_name, key_number, nonce, digest) "
        "= CASE form WHEN 'email' THEN 7 ELSE 0 END",
        name="address_is_whole",
    ),
    CheckConstraint("form = 'code' OR status NOT IN ('unbound', 'locked')", name="only_codes_are_unbound"),
    CheckConstraint(
        "num_nonnulls(question, code_key_number, code_digest, answer_hash) = CASE status WHEN 'unbound' THEN 4 ELSE 0 END",
        name="code_is_forgotten",
    ),
    CheckConstraint("attempts BETWEEN 0 AND 5 AND wrong_answers BETWEEN 0 AND attempts", name="attempts"),
    CheckConstraint("status <> 'locked' OR wrong_answers = 5", name="locked_by_wrong_answers"),
    CheckConstraint(
        "CASE WHEN status IN ('unbound', 'locked') THEN account_id IS NULL "
        "WHEN status IN ('accepted', 'undone') THEN account_id IS NOT NULL "
        "WHEN status = 'bound' THEN (account_id IS NULL) = (form = 'email') ELSE true END",
        name="bound_to_somebody",
    ),
    CheckConstraint(
        "num_nonnulls(person_id, grant_id, accepted_at) IN (0, 3) AND (status <> 'accepted' OR accepted_at IS NOT NULL) "
        "AND (accepted_at IS NULL OR status IN ('accepted', 'undone'))",
        name="acceptance_is_whole",
    ),
    CheckConstraint("language IN ('en', 'es')", name="language"),
    CheckConstraint("expires_at > created_at", name="expires_after_creation"),
    CheckConstraint(
        "accepted_at >= created_at AND (expires_at IS NULL OR accepted_at < expires_at)",
        name="accepted_in_time",
    ),
    CheckConstraint(
        "(status IN ('unbound', 'bound', 'accepted')) = (ended_at IS NULL)", name="end_has_a_time"
    ),
    CheckConstraint(
        "patient_id ~ '^[A-Za-z0-9.-]{1,64}$' AND patient_id NOT IN ('.', '..')", name="patient_id_form"
    ),
)
_c = invites.c
_is_open = one_of(_c.status, OPEN)
Index("invites_one_code_ix", _c.code_digest, unique=True, postgresql_where=_c.code_digest.is_not(None))
Index("invites_of_server_ix", _c.fhir_server_id, _c.id)
Index("invites_of_patient_ix", _c.fhir_server_id, _c.patient_id, _c.id)
Index("invites_open_of_server_ix", _c.fhir_server_id, _c.id, postgresql_where=_is_open)
Index(
    "invites_one_bulk_key_ix",
    _c.fhir_server_id,
    _c.bulk_key,
    unique=True,
    postgresql_where=_c.bulk_key.is_not(None),
)
Index("invites_to_email_ix", _c.email_key, _c.id, postgresql_where=_c.email_key.is_not(None))
Index("invites_of_account_ix", _c.account_id, _c.id, postgresql_where=_c.account_id.is_not(None))
Index("invites_to_expire_ix", _c.expires_at, postgresql_where=_is_open)
Index("invites_one_replacement_ix", _c.replaces_id, unique=True, postgresql_where=_c.replaces_id.is_not(None))
Index("invites_of_grant_ix", _c.grant_id, postgresql_where=_c.grant_id.is_not(None))


class Invite(msgspec.Struct, frozen=True):
    """A patient, offered to whoever is invited. Its code and answer aren't here: they are compared and forgotten."""

    id: UUID
    fhir_server_id: UUID
    organization_id: UUID
    patient_id: str
    patient_summary: dict[str, Any]
    form: InviteForm
    status: InviteStatus
    email: str | None
    email_key: str | None
    first_name: str | None
    last_name: str | None
    key_number: int | None
    nonce: bytes | None
    account_id: UUID | None
    person_id: UUID | None
    grant_id: UUID | None
    language: str
    bulk_key: str | None
    replaces_id: UUID | None
    created_by_id: UUID
    created_at: datetime
    expires_at: datetime | None
    accepted_at: datetime | None
    ended_at: datetime | None
    version: int

    def is_open(self, now: datetime) -> bool:
        """Whether it can be accepted."""
        return self.status in OPEN and (self.expires_at is None or now < self.expires_at)


INVITE_COLUMNS = tuple(_c[name] for name in Invite.__struct_fields__)
