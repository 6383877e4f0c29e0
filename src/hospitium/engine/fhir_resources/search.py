"""What a search asks: its parameters, read strictly. What isn't known, isn't well-formed or isn't served is refused, never ignored.

https://hl7.org/fhir/R4/search.html: commas are OR, a repeated parameter is AND, and `\\,` `\\|` `\\$` `\\\\` are the signs themselves.
"""

from __future__ import annotations

import re
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from hospitium.engine.errors import Invalid
from hospitium.engine.fhir_resources import keys, names
from hospitium.engine.fhir_resources.checking import is_id
from hospitium.engine.fhir_resources.dates import span
from hospitium.engine.fhir_resources.drawing import PATIENT
from hospitium.engine.fhir_resources.escapes import divided, is_escaped_rightly, plain
from hospitium.engine.fhir_resources.keys import Key
from hospitium.engine.fhir_resources.parameters import (
    COMMON,
    ID,
    LAST_UPDATED,
    TYPES,
    Kind,
    Parameter,
    ResourceType,
)
from hospitium.engine.json_text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

DEFAULT_COUNT = 20
LARGEST_COUNT = 500  # whoever asks for more gets as many
MOST_TERMS = 50
MOST_ALTERNATIVES = 100
LONGEST_VALUE = 2_000  # characters
_MOST_COMPARED = 10  # alternatives where each is a condition of its own: dates and names


class Prefix(StrEnum):
    """How a date is compared (https://hl7.org/fhir/R4/search.html#prefix)."""

    EQUAL = "eq"
    NOT_EQUAL = "ne"
    GREATER = "gt"
    LESS = "lt"
    GREATER_OR_EQUAL = "ge"
    LESS_OR_EQUAL = "le"
    STARTS_AFTER = "sa"
    ENDS_BEFORE = "eb"


class Compared(msgspec.Struct, frozen=True):
    """A date to compare with: the span it stands for, and how."""

    prefix: Prefix
    start: datetime
    until: datetime


class Ids(msgspec.Struct, frozen=True):
    """The resource has one of these ids."""

    ids: tuple[str, ...]


class OfPatients(msgspec.Struct, frozen=True):
    """The resource is in the compartment of one of these patients, and of no other."""

    ids: tuple[str, ...]


class Keys(msgspec.Struct, frozen=True):
    """The resource has one of these keys. `is_rare`: few resources have the same one."""

    keys: tuple[Key, ...]
    is_rare: bool


class Names(msgspec.Struct, frozen=True):
    """The resource has a name that one of these patterns finds."""

    patterns: tuple[str, ...]


class Dated(msgspec.Struct, frozen=True):
    """The date of the resource compares with one of these."""

    dates: tuple[Compared, ...]


class Updated(msgspec.Struct, frozen=True):
    """The last update of the resource compares with one of these."""

    dates: tuple[Compared, ...]


Term: TypeAlias = Ids | OfPatients | Keys | Names | Dated | Updated


class Order(StrEnum):
    """By what the found are put in order; among equals by id, in the same direction."""

    ID = "id"
    DATE = "date"
    LAST_UPDATED = "last_updated"


class Position(msgspec.Struct, frozen=True):
    """After which resource a page begins: its id, and its date or last update, if it is by that that they are in order."""

    id: str
    at: datetime | None = None


class Search(msgspec.Struct, frozen=True):
    """What is searched for: resources of a type for which all terms hold, in which order, so many, after one of them."""

    type: str
    terms: tuple[Term, ...] = ()
    order: Order = Order.ID
    descending: bool = False
    count: int = DEFAULT_COUNT
    after: Position | None = None


def parse_search(type_: str, given: Iterable[tuple[str, str]]) -> Search:
    """Read a search by its parameters, as names and values in the order they were given.

    Raises Invalid, whose field is the parameter (or `type`): a type, parameter, modifier or value that isn't served.
    """
    kind = TYPES.get(type_)
    if kind is None:
        raise Invalid("type", "is no type of resource that is kept here")
    terms: list[Term] = []
    said: dict[str, str] = {}
    for name, value in given:
        if len(value) > LONGEST_VALUE:
            raise Invalid(printable(name), f"must be at most {LONGEST_VALUE:,} characters long")
        if name in ("_sort", "_count"):
            if name in said:
                raise Invalid(name, "is given twice")
            said[name] = value
        else:
            terms.append(_term(kind, name, value))
    if len(terms) > MOST_TERMS:
        raise Invalid("search", f"must have at most {MOST_TERMS} parameters")
    order, descending = _order(kind, said.get("_sort", ID))
    return Search(type_, tuple(terms), order, descending, _count(said.get("_count")))


# -- the terms ---------------------------------------------------------------------------------------------------------


def _term(kind: ResourceType, written: str, value: str) -> Term:
    name, colon, modifier = written.partition(":")
    parameter = COMMON.get(name) or kind.parameters.get(name)
    if parameter is None:
        raise Invalid(printable(written), f"is no search parameter of {kind.name} that is served here")
    if colon and (parameter.kind is not Kind.REFERENCE or modifier not in TYPES):
        raise Invalid(printable(written), "has a modifier that is not served here")
    field = printable(written)
    alternatives = _alternatives(field, value)
    match parameter.kind:
        case Kind.TOKEN if name == ID:
            return Ids(tuple(_id(field, one) for one in alternatives))
        case Kind.TOKEN:
            found = tuple(_token(parameter, one) for one in alternatives)
            return Keys(found, is_rare=name == "identifier")
        case Kind.REFERENCE:
            return _references(
                kind, parameter, [_reference(parameter, field, modifier, one) for one in alternatives]
            )
        case Kind.STRING:
            return Names(tuple(_name(parameter, one) for one in _few(field, alternatives)))
        case Kind.DATE:
            dates = tuple(_compared(parameter, one) for one in _few(field, alternatives))
            return Updated(dates) if name == LAST_UPDATED else Dated(dates)


def _alternatives(field: str, value: str) -> list[str]:
    """Divide a value at its commas. What is escaped stays so."""
    if "\0" in value or not _is_whole(value):
        raise Invalid(field, "must not contain NUL characters or lone surrogates")
    found = divided(value, ",")
    if len(found) > MOST_ALTERNATIVES:
        raise Invalid(field, f"must have at most {MOST_ALTERNATIVES} alternatives")
    for one in found:
        if not one:
            raise Invalid(field, "must not be blank")
        if not is_escaped_rightly(one):
            raise Invalid(field, "has a backslash that stands before none of \\ , | $")
    return found


def _few(field: str, alternatives: list[str]) -> list[str]:
    if len(alternatives) > _MOST_COMPARED:
        raise Invalid(field, f"must have at most {_MOST_COMPARED} alternatives")
    return alternatives


def _is_whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _id(field: str, value: str) -> str:
    if not is_id(value):
        raise Invalid(field, "must be ids of FHIR")
    return value


def _token(parameter: Parameter, value: str) -> Key:
    parts = [plain(part) for part in divided(value, "|")]
    match parts:
        case [code]:
            return keys.by_value(parameter.name, code)
        case [system, code] if code:
            return keys.by_system_and_value(parameter.name, system, code)
        case [system, ""] if system:
            return keys.by_system(parameter.name, system)
    raise Invalid(parameter.name, "must be value, |value, system|value or system|")


class _Referred(msgspec.Struct, frozen=True):
    """What a reference is to: a resource here (`Type/id`, or its id alone), or an address elsewhere."""

    written: str
    id: str | None = None


_ELSEWHERE = re.compile(r"(?:https?://|urn:)[^\s#?]+", re.ASCII)


def _reference(parameter: Parameter, field: str, modifier: str, value: str) -> _Referred:
    meant = plain(value)
    type_, slash, resource_id = meant.rpartition("/")
    if is_id(resource_id) and (not slash or (type_ in TYPES and not modifier)):
        wanted = type_ or modifier
        if parameter.name == "patient":
            if wanted not in ("", PATIENT):
                raise Invalid(field, "must be a patient")
            wanted = PATIENT
        return _Referred(f"{wanted}/{resource_id}" if wanted else "", resource_id)
    if not modifier and _ELSEWHERE.fullmatch(meant) and parameter.name != "patient":
        return _Referred(meant)
    raise Invalid(field, "must be an id, or a type and an id, such as Patient/a")


def _references(kind: ResourceType, parameter: Parameter, referred: list[_Referred]) -> Term:
    patients = [one.id for one in referred if one.id is not None and one.written == f"{PATIENT}/{one.id}"]
    of_subject = kind.subject is not None and parameter.paths == kind.parameters[kind.subject].paths
    if of_subject and not kind.may_be_of_several and len(patients) == len(referred):
        return OfPatients(tuple(patients))
    return Keys(
        tuple(
            keys.by_reference(parameter.name, one.written)
            if one.written
            else keys.by_referred_id(parameter.name, one.id or "")
            for one in referred
        ),
        is_rare=True,
    )


def _name(parameter: Parameter, value: str) -> str:
    meant = plain(value)
    if names.is_empty(meant):
        raise Invalid(parameter.name, "must not be blank")
    return names.pattern(parameter.name, meant)


def _compared(parameter: Parameter, value: str) -> Compared:
    begins = value[:2]
    prefix = Prefix(begins) if begins in set(Prefix) else Prefix.EQUAL
    found = span(value.removeprefix(begins) if begins in set(Prefix) else value)
    if found is None:
        raise Invalid(
            parameter.name, f"must be a date such as 2021-03-04, behind none or one of {', '.join(Prefix)}"
        )
    return Compared(prefix, found.start, found.until)


# -- order and size ----------------------------------------------------------------------------------------------------


def _order(kind: ResourceType, value: str) -> tuple[Order, bool]:
    known = {ID: Order.ID, LAST_UPDATED: Order.LAST_UPDATED}
    if kind.date is not None:
        known[kind.date.name] = Order.DATE
    name = value.removeprefix("-")
    if name not in known:
        raise Invalid("_sort", f"must be one of {', '.join(known)}, or the same behind a minus sign")
    return known[name], value.startswith("-")


def _count(value: str | None) -> int:
    if value is None:
        return DEFAULT_COUNT
    if not re.fullmatch(r"[0-9]{1,9}", value) or int(value) == 0:
        raise Invalid("_count", "must be a whole number, at least 1")
    return min(int(value), LARGEST_COUNT)
