"""What persons look like on this surface (contract bluebutton.md §3.4), who looks after them, and what is offered."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, TypeVar
from uuid import UUID

import msgspec
from msgspec import Meta

from hospitium.doors.bluebutton.wire import Body, Wire, role_of
from hospitium.doors.shapes import Email, Id, Instant, Line, OptionalLine, takes, trimmed
from hospitium.engine.errors import Invalid
from hospitium.engine.persons.forms import MOST_LISTED, Contact, ContactType, Identifier, PersonForm
from hospitium.engine.persons.record import Gender, Relationship
from hospitium.engine.text import line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hospitium.engine.persons.queries import Holder, PersonView, ReceivedOffer
    from hospitium.engine.persons.record import PersonOffer, PersonRole

E = TypeVar("E", bound=StrEnum)
_FEW = Meta(extra_json_schema={"maxItems": MOST_LISTED})


def _word(name: str, words: Iterable[StrEnum]) -> Meta:
    """Return what stands in the type of a member that is one of some words, in any case."""
    printed = [word.value.title() for word in words]
    return takes(name, f"One of {', '.join(printed)}, in any case.", pattern=f"^(?i:{'|'.join(printed)})$")


GenderWord = Annotated[str, _word("GenderWord", Gender)]
RelationshipWord = Annotated[str, _word("RelationshipWord", Relationship)]
ContactWord = Annotated[str, _word("ContactWord", ContactType)]
BirthDate = Annotated[
    str,
    takes(
        "BirthDate",
        "A day from 1850 to today, as YYYY-MM-DD.",
        pattern=trimmed("[0-9]{4}-[0-9]{2}-[0-9]{2}"),
    ),
]
StateLetters = Annotated[
    str, takes("StateLetters", "Two letters; a blank one is none.", pattern=trimmed("(?:[A-Za-z]{2})?"))
]
ZipCode = Annotated[
    str,
    takes(
        "ZipCode",
        "5 or 9 digits, with or without a hyphen between; a blank one is none.",
        pattern=trimmed("(?:[0-9]{5}(?:-?[0-9]{4})?)?"),
    ),
]


GivenRole = Annotated[
    str,
    takes(
        "GivenRole",
        "Administrator (or admin), Write or Read, in any case.",
        pattern="^(?i:administrator|admin|write|read)$",
    ),
]


class IdentifierBody(Body):
    """What a system calls a person."""

    system: Line
    value: Line


class ContactBody(Body):
    """How a person is reached; `primary`: first of all."""

    type: ContactWord
    value: Line
    primary: bool


class PersonBody(Body):
    """All that is said of a person, and what it is to oneself: where that isn't said, Self for a new one, and as it was before."""

    first_name: Line
    last_name: Line
    gender: GenderWord
    birth_date: BirthDate
    middle_name: OptionalLine | None = None
    address_line1: OptionalLine | None = None
    address_line2: OptionalLine | None = None
    city: OptionalLine | None = None
    state: StateLetters | None = None
    zip_code: ZipCode | None = None
    relationship: RelationshipWord | None = None
    identifiers: Annotated[list[IdentifierBody], _FEW] = msgspec.field(default_factory=list)
    contacts: Annotated[list[ContactBody], _FEW] = msgspec.field(default_factory=list)

    def form(self) -> PersonForm:
        """Return what the engine takes. Raises Invalid."""
        return PersonForm(
            first_name=self.first_name,
            middle_name=self.middle_name,
            last_name=self.last_name,
            gender=word_of("gender", self.gender, Gender),
            birth_date=line("birth_date", self.birth_date),
            address_line1=self.address_line1,
            address_line2=self.address_line2,
            city=self.city,
            state=self.state,
            zip_code=self.zip_code,
            identifiers=tuple(Identifier(one.system, one.value) for one in self.identifiers),
            contacts=tuple(
                Contact(word_of(f"contacts[{place}].type", one.type, ContactType), one.value, one.primary)
                for place, one in enumerate(self.contacts)
            ),
        )


class PersonOfferBody(Body):
    """Whom to offer the care of a person, by e-mail address, as what, and what it is to him (where that isn't said, Other)."""

    email: Email
    role: GivenRole
    relationship: RelationshipWord | None = None


class PersonAcceptBody(Body):
    """What the person is to oneself, if something else than was offered."""

    relationship: RelationshipWord | None = None


class PersonRoleBody(Body):
    """Another role."""

    role: GivenRole


class PersonOwnerBody(Body):
    """Who is to own a person: a user who looks after it already."""

    user_id: Id


class PrintedIdentifier(Wire):
    """What a system calls a person."""

    system: str
    value: str


class PrintedContact(Wire):
    """How a person is reached."""

    type: str
    value: str
    primary: bool


class Person(Wire, kw_only=True):
    """A person that one looks after: as what, and what it is to oneself."""

    id: UUID
    first_name: str
    middle_name: str | None
    last_name: str
    gender: str
    birth_date: str | None
    address_line1: str | None
    address_line2: str | None
    city: str | None
    state: str | None
    zip_code: str | None
    identifiers: list[PrintedIdentifier]
    contacts: list[PrintedContact]
    role: str
    relationship: str
    created_on: Instant
    modified_on: Instant

    @classmethod
    def of(cls, view: PersonView) -> Person:
        person, role = view
        return cls(
            id=person.id,
            # Of one that hasn't ended these are there (a constraint of its table).
            first_name=person.first_name or "",
            middle_name=person.middle_name,
            last_name=person.last_name or "",
            gender=(person.gender or Gender.UNKNOWN).title(),
            birth_date=None if person.birth_date is None else person.birth_date.isoformat(),
            address_line1=person.address_line1,
            address_line2=person.address_line2,
            city=person.city,
            state=person.state,
            zip_code=person.zip_code,
            identifiers=[PrintedIdentifier(one["system"], one["value"]) for one in person.identifiers],
            contacts=[
                PrintedContact(one["type"].title(), one["value"], one["primary"]) for one in person.contacts
            ],
            role=role_of(role.level, is_owner=role.is_owner),
            relationship=role.relationship.title(),
            created_on=person.created_at,
            modified_on=person.updated_at,
        )


class PersonUser(Wire):
    """Somebody who looks after a person, since when."""

    user_id: UUID
    user_name: str | None
    user_email: str
    role: str
    relationship: str
    created_on: Instant

    @classmethod
    def of(cls, holder: Holder) -> PersonUser:
        return cls(
            holder.account_id,
            " ".join(filter(None, (holder.first_name, holder.last_name))) or None,
            holder.email,
            role_of(holder.level, is_owner=holder.is_owner),
            holder.relationship.title(),
            holder.starts_at,
        )


class PersonUserRole(Wire):
    """As what somebody looks after a person from now on."""

    user_id: UUID
    role: str
    relationship: str
    created_on: Instant

    @classmethod
    def of(cls, role: PersonRole) -> PersonUserRole:
        return cls(
            role.account_id,
            role_of(role.level, is_owner=role.is_owner),
            role.relationship.title(),
            role.starts_at,
        )


class PersonOfferMade(Wire):
    """An offer of a person that waits, as its administrators see it: whether the address has an account isn't said."""

    id: UUID
    person_id: UUID
    email: str
    role: str
    relationship: str
    offered_by: UUID
    created_on: Instant
    expires_on: Instant

    @classmethod
    def of(cls, offer: PersonOffer) -> PersonOfferMade:
        return cls(
            offer.id,
            offer.person_id,
            offer.email,
            role_of(offer.level, is_owner=False),
            offer.relationship.title(),
            offer.offered_by_id,
            offer.offered_at,
            offer.expires_at,
        )


class OfferedPerson(Wire):
    """Of a person whose care is offered: which one, by its names alone."""

    id: UUID
    first_name: str
    last_name: str


class PersonOfferReceived(Wire):
    """An offer of a person that waits, as whoever it is for sees it."""

    id: UUID
    person: OfferedPerson
    role: str
    relationship: str
    offered_by_name: str | None
    offered_by_email: str
    created_on: Instant
    expires_on: Instant

    @classmethod
    def of(cls, offer: ReceivedOffer) -> PersonOfferReceived:
        return cls(
            offer.id,
            OfferedPerson(offer.person_id, offer.person_first_name, offer.person_last_name),
            role_of(offer.level, is_owner=False),
            offer.relationship.title(),
            " ".join(filter(None, (offer.offered_by_first_name, offer.offered_by_last_name))) or None,
            offer.offered_by_email,
            offer.offered_at,
            offer.expires_at,
        )


def word_of(field: str, word: str, kind: type[E]) -> E:
    """Return which of a list's words one is, in any case. Raises Invalid."""
    try:
        return kind(word.lower())
    except ValueError:
        words = ", ".join(one.value.title() for one in kind)
        raise Invalid(field, f"must be one of {words}") from None


def relationship_of(word: str | None) -> Relationship | None:
    """Return which relationship a word stands for, None for none. Raises Invalid."""
    return None if word is None else word_of("relationship", word, Relationship)
