"""What is always true of a person, of who may look after one, and of an offer to."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

from hospitium.engine.levels import Level
from hospitium.storage.statements import exactly
from hospitium.storage.tables import metadata


class Gender(StrEnum):
    MALE = "male"
    FEMALE = "female"
    OTHER = "other"
    UNKNOWN = "unknown"


class Relationship(StrEnum):
    """What a person is to the account that looks after it."""

    SELF = "self"
    PARENT = "parent"
    CHILD = "child"
    SIBLING = "sibling"
    SPOUSE = "spouse"
    RELATIVE = "relative"
    PROVIDER = "provider"
    OTHER = "other"


class PersonOfferStatus(StrEnum):
    PENDING = "pending"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"  # by whoever made it, or with what it was made under
    EXPIRED = "expired"


PERSON_OFFER_LIFE = timedelta(days=14)
_WHEN = TIMESTAMP(timezone=True)
_GENDERS = "'male', 'female', 'other', 'unknown'"
_RELATIONSHIPS = "'self', 'parent', 'child', 'sibling', 'spouse', 'relative', 'provider', 'other'"
persons = Table(
    "persons",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("first_name", Text),
    Column("middle_name", Text),
    Column("last_name", Text),
    Column("gender", Text),
    Column("birth_date", Date),
    Column("address_line1", Text),
    Column("address_line2", Text),
    Column("city", Text),
    Column("state", Text),
    Column("zip_code", Text),
    Column("identifiers", JSONB, nullable=False),
    Column("contacts", JSONB, nullable=False),
    Column("created_at", _WHEN, nullable=False),
    Column("updated_at", _WHEN, nullable=False),
    Column("ended_at", _WHEN),
    Column("version", Integer, nullable=False, server_default="1"),
    CheckConstraint(f"gender IN ({_GENDERS})", name="gender"),
    CheckConstraint("updated_at >= created_at", name="updated_after_creation"),
    CheckConstraint("ended_at >= created_at", name="ends_after_creation"),
    # Of one that ended only the id remains, because the trail and its grants name it.
    CheckConstraint(
        "CASE WHEN ended_at IS NULL THEN num_nonnulls(first_name, last_name, gender) = 3 "
        "ELSE num_nonnulls(first_name, middle_name, last_name, gender, birth_date, address_line1, address_line2, city, "
        "state, zip_code) = 0 AND identifiers = '[]' AND contacts = '[]' END",
        name="ended_is_nobody",
    ),
)

person_roles = Table(
    "person_roles",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("person_id", ForeignKey("persons.id"), nullable=False),
    Column("account_id", ForeignKey("accounts.id"), nullable=False),
    # Read 4, Write 6, Administrator 7; the one owner has 7 and is marked.
    Column("level", SmallInteger, nullable=False),
    Column("is_owner", Boolean, nullable=False),
    Column("relationship", Text, nullable=False),
    Column("starts_at", _WHEN, nullable=False),
    Column("ends_at", _WHEN),
    CheckConstraint("level IN (4, 6, 7)", name="level"),
    CheckConstraint("NOT is_owner OR level = 7", name="owner_has_it_all"),
    CheckConstraint(f"relationship IN ({_RELATIONSHIPS})", name="relationship"),
    CheckConstraint("ends_at >= starts_at", name="ends_after_start"),
)
_is_open = person_roles.c.ends_at.is_(None)
Index(
    "person_roles_one_of_account_ix",
    person_roles.c.person_id,
    person_roles.c.account_id,
    unique=True,
    postgresql_where=_is_open,
)
Index(
    "person_roles_one_owner_ix",
    person_roles.c.person_id,
    unique=True,
    postgresql_where=person_roles.c.is_owner & _is_open,
)
Index("person_roles_of_account_ix", person_roles.c.account_id, person_roles.c.person_id)

person_offers = Table(
    "person_offers",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("person_id", ForeignKey("persons.id"), nullable=False),
    Column("email", Text, nullable=False),
    Column("email_key", Text(collation="C"), nullable=False),
    Column("level", SmallInteger, nullable=False),
    Column("relationship", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("offered_by_id", ForeignKey("accounts.id"), nullable=False),
    Column("offered_at", _WHEN, nullable=False),
    Column("expires_at", _WHEN, nullable=False),
    Column("ended_at", _WHEN),
    # Who accepted it. Before, an offer names an address and nobody's account.
    Column("account_id", ForeignKey("accounts.id")),
    Column("language", Text, nullable=False),
    Column("version", Integer, nullable=False, server_default="1"),
    CheckConstraint("level IN (4, 6, 7)", name="level"),
    CheckConstraint(f"relationship IN ({_RELATIONSHIPS})", name="relationship"),
    CheckConstraint("status IN ('pending', 'accepted', 'declined', 'withdrawn', 'expired')", name="status"),
    CheckConstraint("language IN ('en', 'es')", name="language"),
    CheckConstraint("expires_at > offered_at", name="expires_after_offer"),
    CheckConstraint("(status = 'pending') = (ended_at IS NULL)", name="end_has_a_time"),
    CheckConstraint("(status = 'accepted') = (account_id IS NOT NULL)", name="accepted_by_somebody"),
)
_is_pending = exactly(person_offers.c.status, PersonOfferStatus.PENDING)
Index(
    "person_offers_one_pending_ix",
    person_offers.c.person_id,
    person_offers.c.email_key,
    unique=True,
    postgresql_where=_is_pending,
)
Index(
    "person_offers_to_email_ix", person_offers.c.email_key, person_offers.c.id, postgresql_where=_is_pending
)
Index("person_offers_to_expire_ix", person_offers.c.expires_at, postgresql_where=_is_pending)


class Person(msgspec.Struct, frozen=True):
    """A human whose records accounts may look after."""

    id: UUID
    first_name: str | None
    middle_name: str | None
    last_name: str | None
    gender: Gender | None
    birth_date: date | None
    address_line1: str | None
    address_line2: str | None
    city: str | None
    state: str | None
    zip_code: str | None
    identifiers: list[dict[str, Any]]  # each {system, value}
    contacts: list[dict[str, Any]]  # each {type, value, primary}
    created_at: datetime
    updated_at: datetime
    version: int


class PersonRole(msgspec.Struct, frozen=True):
    """As what an account looks after a person, from when until when: an interval, never changed in place (docs/decisions/0006)."""

    id: UUID
    person_id: UUID
    account_id: UUID
    level: Level
    is_owner: bool
    relationship: Relationship
    starts_at: datetime
    ends_at: datetime | None


class PersonOffer(msgspec.Struct, frozen=True):
    """The care of a person, offered to whoever reads a mailbox."""

    id: UUID
    person_id: UUID
    email: str
    email_key: str
    level: Level
    relationship: Relationship
    status: PersonOfferStatus
    offered_by_id: UUID
    offered_at: datetime
    expires_at: datetime
    ended_at: datetime | None
    account_id: UUID | None
    language: str
    version: int

    def is_open(self, now: datetime) -> bool:
        """Whether it can be accepted."""
        return self.status is PersonOfferStatus.PENDING and now < self.expires_at


PERSON_COLUMNS = tuple(persons.c[name] for name in Person.__struct_fields__)
ROLE_COLUMNS = tuple(person_roles.c[name] for name in PersonRole.__struct_fields__)
PERSON_OFFER_COLUMNS = tuple(person_offers.c[name] for name in PersonOffer.__struct_fields__)
