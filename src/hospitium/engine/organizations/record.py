"""What is always true of an organization."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec
from sqlalchemy import Boolean, CheckConstraint, Column, Index, Integer, Table, Text, Uuid
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP

from hospitium.storage.statements import exactly
from hospitium.storage.tables import metadata


class OrganizationType(StrEnum):
    REFERRING = "referring"
    RADIOLOGY = "radiology"
    BOTH = "both"


class OrganizationStatus(StrEnum):
    PENDING = "pending"  # registered over HTTP, waits for the operator (ruling 28)
    ACTIVE = "active"
    SUSPENDED = "suspended"


RESERVED_CODES = frozenset(
    {"api", "access", "fhir", "console", "assets", "v1", "health", "metrics", "organizationinvites", "fhirservers",
     "persons", ".well-known", "openapi", "openapi.json"}
)  # fmt: skip
"""Codes no organization may have, because the surfaces live there (ruling 1)."""

CODE_FORM = r"^[a-z0-9](?:[a-z0-9_-]{0,38}[a-z0-9])?$"

organizations = Table(
    "organizations",
    metadata,
    # What a search compares comes first: PostgreSQL reads a row from its beginning.
    Column("id", Uuid, primary_key=True),
    Column("status", Text, nullable=False),
    Column("name_key", Text(collation="C"), nullable=False),
    Column("type", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("code", Text(collation="C"), nullable=False, unique=True),
    Column("npi", Text),
    Column("tax_id", Text),
    Column("address", Text),
    Column("city", Text),
    Column("state", Text),
    Column("zip_code", Text),
    Column("phone", Text),
    Column("website", Text),
    Column("contact_name", Text),
    Column("contact_email", Text),
    Column("contact_phone", Text),
    Column("specialties", ARRAY(Text), nullable=False, server_default="{}"),
    Column("specialty_keys", ARRAY(Text), nullable=False, server_default="{}"),
    Column("created_at", TIMESTAMP(timezone=True), nullable=False),
    Column("updated_at", TIMESTAMP(timezone=True), nullable=False),
    Column("version", Integer, nullable=False, server_default="1"),
    # Whether calls to its record sharing must say from which application they come.
    Column("requires_client_key", Boolean, nullable=False, server_default="false"),
    CheckConstraint("type IN ('referring', 'radiology', 'both')", name="type"),
    CheckConstraint("status IN ('pending', 'active', 'suspended')", name="status"),
    CheckConstraint(f"code ~ '{CODE_FORM}'", name="code_form"),
    CheckConstraint("npi ~ '^[0-9]{10}$'", name="npi_form"),
    CheckConstraint("updated_at >= created_at", name="updated_after_created"),
)
Index(
    "organizations_active_by_name_ix",
    organizations.c.name_key,
    organizations.c.id,
    postgresql_include=["type"],
    postgresql_where=exactly(organizations.c.status, "active"),
)
Index(
    "organizations_active_name_trigrams_ix",
    organizations.c.name_key,
    postgresql_using="gin",
    postgresql_ops={"name_key": "gin_trgm_ops"},
    postgresql_where=exactly(organizations.c.status, "active"),
)
Index("organizations_tax_id_ix", organizations.c.tax_id, postgresql_where=organizations.c.tax_id.is_not(None))
Index("organizations_npi_ix", organizations.c.npi, postgresql_where=organizations.c.npi.is_not(None))
Index(
    "organizations_active_by_state_ix",
    organizations.c.state,
    organizations.c.name_key,
    organizations.c.id,
    postgresql_include=["type"],
    postgresql_where=exactly(organizations.c.status, "active"),
)
Index(
    "organizations_specialty_keys_ix",
    organizations.c.specialty_keys,
    postgresql_using="gin",
    postgresql_where=exactly(organizations.c.status, "active"),
)


class OrganizationCard(msgspec.Struct, frozen=True):
    """The nine basic fields every partner and searcher sees (docs/dialects/radorderpad.md)."""

    id: UUID
    name: str
    type: OrganizationType
    address: str | None
    city: str | None
    state: str | None
    zip_code: str | None
    phone: str | None
    website: str | None


class OrganizationProfile(msgspec.Struct, frozen=True):
    """What there is to know of an organization."""

    id: UUID
    code: str
    name: str
    type: OrganizationType
    status: OrganizationStatus
    npi: str | None
    tax_id: str | None
    address: str | None
    city: str | None
    state: str | None
    zip_code: str | None
    phone: str | None
    website: str | None
    contact_name: str | None
    contact_email: str | None
    contact_phone: str | None
    specialties: list[str]
    created_at: datetime
    updated_at: datetime
    version: int
    requires_client_key: bool


CARD_COLUMNS = tuple(organizations.c[name] for name in OrganizationCard.__struct_fields__)
PROFILE_COLUMNS = tuple(organizations.c[name] for name in OrganizationProfile.__struct_fields__)
