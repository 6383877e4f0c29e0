"""What the sections of a world file have in common: their entries, how one that is wrong is named, and what is counted."""

from __future__ import annotations

from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

import msgspec

from hospitium.engine.accounts.emails import canonical_email
from hospitium.engine.errors import Invalid, NameTaken, Refusal
from hospitium.engine.ids import parse_id, to_object_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from uuid import UUID

E = TypeVar("E", bound=StrEnum)


class Entry(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    id: str | None = None


class Loaded(msgspec.Struct):
    """How many of one kind were created, how many were there already, and what was made that is shown now and never again.

    `updated`: of those that were there, how many were other than the file has them; resources alone are made anew then.
    """

    kind: str
    created: int = 0
    present: int = 0
    shown: list[str] = []
    updated: int = 0


@contextmanager
def at(path: str, spelled: Mapping[str, str] | None = None) -> Iterator[None]:
    """Name the entry in front of whatever is refused inside it; `spelled` is how the file spells fields of the engine."""
    try:
        yield
    except Invalid as refusal:
        head, bracket, rest = refusal.field.partition("[")
        raise Invalid(f"{path}.{(spelled or {}).get(head, head)}{bracket}{rest}", refusal.reason) from None
    except NameTaken as refusal:
        raise Invalid(f"{path}.{(spelled or {}).get(refusal.field, refusal.field)}", "is taken") from None
    except Refusal as refusal:
        raise Invalid(f"{path}.{refusal.field}" if refusal.field else path, refusal.message) from None


def given_id(text: str | None, *, printed_as_object_id: bool = False) -> UUID | None:
    """Return the id an entry gives; of what prints as an ObjectId, one that can (ruling 6). Raises Invalid."""
    if text is None:
        return None
    found = parse_id(text)
    if found is None:
        raise Invalid("id", "must be a UUID, or 24 hexadecimal digits")
    if printed_as_object_id and to_object_id(found) is None:
        raise Invalid("id", "must be 24 hexadecimal digits, or a UUID that stands for them (ruling 6)")
    return found


def once(seen: set[object], field: str, key: object) -> None:
    """Refuse what stands in a file for the second time: one of the two would be lost in silence. Raises Invalid."""
    if key in seen:
        raise Invalid(field, "stands in this file twice")
    seen.add(key)


def known(ids: dict[str, UUID], field: str, code: str) -> UUID:
    """Return the id of an organization that there is. Raises Invalid."""
    if code not in ids:
        raise Invalid(field, f"there is no organization {code}")
    return ids[code]


def canonical_addresses(named: Iterable[str]) -> list[str]:
    """Return the canonical form of addresses, in order; what is none is said with the path of its entry, when that is loaded."""
    found = set()
    for one in named:
        try:
            found.add(canonical_email("", one))
        except Invalid:
            continue
    return sorted(found)


def known_account(people: Mapping[str, UUID], field: str, address: str) -> UUID:
    """Return the id of the account of an address that there is. Raises Invalid."""
    found = people.get(canonical_email(field, address))
    if found is None:
        raise Invalid(field, f"there is no account {address}")
    return found


def word(field: str, text: str, kind: type[E]) -> E:
    """Return which of some words is meant, in any case. Raises Invalid."""
    try:
        return kind(text.strip().lower())
    except ValueError:
        raise Invalid(field, f"must be one of {', '.join(kind)}") from None
