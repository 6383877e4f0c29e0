"""What is always true of a FHIR server: whose it is, where its patients are kept, and how it is reached."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec
from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.dialects.postgresql import TIMESTAMP

from hospitium.engine.fhir_servers.authorities import AuthoritiesPem
from hospitium.storage.tables import metadata


class ServerKind(StrEnum):
    BUILT_IN = "built-in"  # its resources are kept here
    REMOTE = "remote"  # they are elsewhere, at a base URL


class CredentialsKind(StrEnum):
    """How we show a remote server who we are."""

    BEARER = "bearer"
    BASIC = "basic"


_WHEN = TIMESTAMP(timezone=True)
fhir_servers = Table(
    "fhir_servers",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("organization_id", ForeignKey("organizations.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("name_key", Text(collation="C"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("base_url", Text),
    # Only the operator may let an address be private: behind it is his own network.
    Column("allow_private_address", Boolean, nullable=False, server_default="false"),
    Column("credentials_kind", Text),
    # Sealed with a key that is kept outside the database.
    Column("credentials_key_number", Integer),
    Column("sealed_credentials", LargeBinary),
    # In PEM: whose certificates are believed for it in the place of the system's.
    Column("authorities_pem", Text),
    Column("created_at", _WHEN, nullable=False),
    # Since its base URL was changed, until an administrator confirms that the patients there are the same (ruling 25).
    Column("suspended_at", _WHEN),
    Column("removed_at", _WHEN),
    Column("version", Integer, nullable=False, server_default="1"),
    CheckConstraint("kind IN ('built-in', 'remote')", name="kind"),
    CheckConstraint("(kind = 'remote') = (base_url IS NOT NULL)", name="remote_has_an_address"),
    CheckConstraint("kind = 'remote' OR NOT allow_private_address", name="only_remote_is_private"),
    CheckConstraint("credentials_kind IN ('bearer', 'basic')", name="credentials_kind"),
    CheckConstraint(
        "num_nonnulls(credentials_kind, credentials_key_number, sealed_credentials) IN (0, 3)",
        name="credentials_are_whole",
    ),
    CheckConstraint("credentials_kind IS NULL OR kind = 'remote'", name="only_remote_has_credentials"),
    CheckConstraint("authorities_pem IS NULL OR kind = 'remote'", name="only_remote_has_authorities"),
    # Where no certificate is shown, whoever gave some would be wrong to think that they are looked at.
    CheckConstraint(
        "authorities_pem IS NULL OR base_url LIKE 'https://%'", name="authorities_need_certificates"
    ),
    CheckConstraint("octet_length(authorities_pem) BETWEEN 1 AND 65536", name="authorities_are_few"),
    CheckConstraint("suspended_at >= created_at", name="suspended_after_creation"),
    CheckConstraint("removed_at >= created_at", name="removed_after_creation"),
    CheckConstraint("removed_at IS NULL OR sealed_credentials IS NULL", name="removed_has_no_credentials"),
)
Index(
    "fhir_servers_one_name_ix",
    fhir_servers.c.organization_id,
    fhir_servers.c.name_key,
    unique=True,
    postgresql_where=fhir_servers.c.removed_at.is_(None),
)


class FhirServer(msgspec.Struct, frozen=True):
    """Where patients are. What we show a remote one is read apart, by whoever calls it (`queries.sealed_credentials`)."""

    id: UUID
    organization_id: UUID
    name: str
    kind: ServerKind
    base_url: str | None
    allow_private_address: bool
    credentials_kind: CredentialsKind | None
    authorities_pem: AuthoritiesPem | None
    created_at: datetime
    suspended_at: datetime | None
    removed_at: datetime | None
    version: int


SERVER_COLUMNS = tuple(fhir_servers.c[name] for name in FhirServer.__struct_fields__)
