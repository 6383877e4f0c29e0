"""What is always true of a grant: *grantee may do up to level L on resource R, from S until T, because of C*.

A grant is an interval and never changed in place: another level ends one row and begins another. So "as of then" is
the same question with another `now` (docs/decisions/0006).
"""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import Boolean, CheckConstraint, Column, ForeignKey, Index, SmallInteger, Table, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

from hospitium.storage.statements import exactly
from hospitium.storage.tables import metadata


class GranteeKind(StrEnum):
    ACCOUNT = "account"
    TEAM = "team"
    ORGANIZATION = "organization"
    PERSON = "person"


class ResourceKind(StrEnum):
    ORGANIZATION = "organization"
    ACCOUNT = "account"
    RECORD = "record"
    FHIR_SERVER = "fhir_server"
    PATIENT = "patient"


class CauseKind(StrEnum):
    """Why a grant is there."""

    PARTNERSHIP = "partnership"
    SHARE = "share"
    INVITE = "invite"
    OWNERSHIP = "ownership"
    OPERATOR = "operator"
    ADMINISTRATOR = "administrator"  # of what it is on: he gave it himself


grants = Table(
    "grants",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("grantee_kind", Text(collation="C"), nullable=False),
    Column("grantee_id", Uuid, nullable=False),
    Column("resource_kind", Text(collation="C"), nullable=False),
    # The object type of a record (its id), the resource type on a FHIR server; '' where the kind says it all.
    Column("resource_type", Text(collation="C"), nullable=False, server_default=""),
    # A UUID in its usual spelling, or an id of FHIR.
    Column("resource_id", Text(collation="C"), nullable=False),
    # On which a patient is, or which one it is.
    Column("fhir_server_id", ForeignKey("fhir_servers.id")),
    Column("level", SmallInteger, nullable=False),
    Column("is_owner", Boolean, nullable=False, server_default="false"),
    Column("restrictions", JSONB, nullable=False, server_default="[]"),
    Column("starts_at", TIMESTAMP(timezone=True), nullable=False),
    Column("ends_at", TIMESTAMP(timezone=True)),
    # When its window closes by itself, said when it begins; `ends_at` is when it was ended, said once.
    Column("until", TIMESTAMP(timezone=True)),
    Column("cause_kind", Text(collation="C"), nullable=False),
    Column("cause_id", Uuid),
    Column("made_under_id", ForeignKey("grants.id")),
    Column("made_by_id", ForeignKey("accounts.id")),
    CheckConstraint("grantee_kind IN ('account', 'team', 'organization', 'person')", name="grantee_kind"),
    CheckConstraint(
        "resource_kind IN ('organization', 'account', 'record', 'fhir_server', 'patient')",
        name="resource_kind",
    ),
    CheckConstraint(
        "cause_kind IN ('partnership', 'share', 'invite', 'ownership', 'operator', 'administrator')",
        name="cause_kind",
    ),
    CheckConstraint("level BETWEEN 1 AND 7", name="level"),
    CheckConstraint("ends_at >= starts_at", name="ends_after_start"),
    CheckConstraint("until > starts_at", name="window"),
    CheckConstraint(
        "(cause_id IS NULL) = (cause_kind IN ('ownership', 'operator', 'administrator'))",
        name="cause_is_named",
    ),
    CheckConstraint(
        "(resource_kind IN ('fhir_server', 'patient')) = (fhir_server_id IS NOT NULL)", name="server_is_named"
    ),
    CheckConstraint(
        "resource_kind <> 'fhir_server' OR resource_id = fhir_server_id::text", name="server_is_itself"
    ),
    CheckConstraint("NOT is_owner OR level = 7", name="owner_has_it_all"),
)
Index(
    "grants_of_grantee_ix",
    grants.c.grantee_id,
    grants.c.resource_kind,
    grants.c.resource_type,
    grants.c.resource_id,
    grants.c.starts_at,
)
Index("grants_on_resource_ix", grants.c.resource_id, grants.c.resource_kind, grants.c.starts_at)
Index("grants_of_cause_ix", grants.c.cause_id, postgresql_where=grants.c.ends_at.is_(None))
Index("grants_made_under_ix", grants.c.made_under_id, postgresql_where=grants.c.made_under_id.is_not(None))
# On a FHIR server one has one grant on the same: another level ends it and begins another.
Index(
    "grants_one_on_server_ix",
    grants.c.fhir_server_id,
    grants.c.grantee_id,
    grants.c.resource_id,
    grants.c.grantee_kind,
    grants.c.resource_kind,
    unique=True,
    postgresql_where=grants.c.fhir_server_id.is_not(None) & grants.c.ends_at.is_(None),
)
Index(
    "grants_one_owner_of_server_ix",
    grants.c.fhir_server_id,
    unique=True,
    postgresql_where=exactly(grants.c.resource_kind, ResourceKind.FHIR_SERVER)
    & grants.c.is_owner
    & grants.c.ends_at.is_(None),
)
