"""What tokens and references are found by: a key for each way of asking for them, kept as a hash.

A token `system|value` is asked for by both, by its value in any system, by its system, or as a value without a system
(https://hl7.org/fhir/R4/search.html#token); a reference `Patient/a` by that or by its id alone. The hash takes in the server and
the type, so that one server's searches neither find nor wait for what is on another. It is of 128 bits, and not meant to hide
anything: the body stands beside it.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, NewType
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Iterable

Key = NewType("Key", str)
# Nothing that is kept or asked for contains it.
_SEPARATOR = "\0"
_HASH = 16  # bytes, as a UUID has
_LOCAL = re.compile(r"(?:[A-Za-z]+/)?([A-Za-z0-9.-]{1,64})", re.ASCII)
_VERSION = re.compile(r"/_history/[A-Za-z0-9.-]{1,64}\Z", re.ASCII)


def _key(parameter: str, form: str, *parts: str) -> Key:
    return Key(_SEPARATOR.join((parameter, form, *parts)))


def by_value(parameter: str, value: str) -> Key:
    """A value, in whichever system."""
    return _key(parameter, "value", value)


def by_system_and_value(parameter: str, system: str, value: str) -> Key:
    """A value in a system; no system is the empty one."""
    return _key(parameter, "token", system, value)


def by_system(parameter: str, system: str) -> Key:
    """Any value in a system."""
    return _key(parameter, "system", system)


def by_reference(parameter: str, reference: str) -> Key:
    """A reference as it is written, without a version: `Patient/a`, or an address elsewhere."""
    return _key(parameter, "reference", reference)


def by_referred_id(parameter: str, resource_id: str) -> Key:
    """A reference to a resource here by its id, whatever its type."""
    return _key(parameter, "id", resource_id)


def of_tokens(parameter: str, values: Iterable[Any]) -> Iterable[Key]:
    """Yield the keys of the values of a token parameter: codes, Codings, CodeableConcepts, Identifiers, booleans."""
    for value in values:
        for system, code in _tokens(value):
            if code:
                yield by_value(parameter, code)
                yield by_system_and_value(parameter, system, code)
            if system:
                yield by_system(parameter, system)


def of_references(parameter: str, values: Iterable[Any]) -> Iterable[Key]:
    """Yield the keys of the values of a reference parameter."""
    for value in values:
        written = plain_reference(value)
        if written is None:
            continue
        yield by_reference(parameter, written)
        if here := _LOCAL.fullmatch(written):
            yield by_referred_id(parameter, here.group(1))


def plain_reference(value: Any) -> str | None:
    """Return what a Reference refers to, without a version; None for what is contained, conditional, or no reference."""
    written = value.get("reference") if isinstance(value, dict) else None
    if not isinstance(written, str) or written.startswith("#") or "?" in written:
        return None
    return _VERSION.sub("", written) or None


def hashed(server_id: UUID, type_: str, keys: Iterable[Key]) -> list[UUID]:
    """Return the hashes of keys of a type on a server."""
    before = hashlib.blake2b(server_id.bytes + type_.encode() + _SEPARATOR.encode(), digest_size=_HASH)
    hashes = []
    for key in keys:
        hashing = before.copy()
        hashing.update(key.encode())
        hashes.append(UUID(bytes=hashing.digest()))
    return hashes


def _tokens(value: Any) -> Iterable[tuple[str, str]]:
    match value:
        case bool():
            yield "", "true" if value else "false"
        case str():
            yield "", value
        case {"coding": [*codings]}:
            for coding in codings:
                if isinstance(coding, dict):
                    yield _text(coding, "system"), _text(coding, "code")
        case dict():
            yield _text(value, "system"), _text(value, "code") or _text(value, "value")


def _text(value: dict[str, Any], member: str) -> str:
    found = value.get(member)
    return found if isinstance(found, str) else ""
