"""Reading a JSON body strictly: what is malformed, ambiguous or unknown is refused, naming the member.

Two parsers that disagree about one text are a hole, so duplicate members are refused, and so are numbers that aren't
JSON, lone surrogates, NUL, and nesting deeper than anybody needs.
"""

from __future__ import annotations

import enum
import json
import math
import re
import typing
from typing import Any, TypeVar

import msgspec

from hospitium.engine.errors import Invalid

T = TypeVar("T")

LARGEST_BODY = 1_000_000  # bytes
DEEPEST_NESTING = 64
# Possessive, and content with a string that never ends: with backtracking, a body of escaped quotes costs its square.
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_PLACE = re.compile(r" - at `\$\.?(.+)`$")
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(.*)`")
_EXPECTED = re.compile(r"Expected `(.+)`, got `.+`")
_KINDS = {
    "str": "a string", "int": "a whole number", "float": "a number", "bool": "true or false", "array": "a list",
    "object": "an object", "null": "null",
}  # fmt: skip


class WrongContentType(Exception):
    """There is a body, and it doesn't say that it is JSON."""


def read(body: bytes, content_type: str | None, shape: type[T]) -> T:
    """Return a body as a value of `shape` (a msgspec struct that forbids unknown fields); an empty body as `{}`.

    Raises WrongContentType, Invalid (naming the member; `body` for the whole).
    """
    if not body:
        return convert({}, shape)
    kind, _, parameters = (content_type or "").partition(";")
    if kind.strip(" \t").lower() != "application/json" or not _is_utf8(parameters):
        raise WrongContentType
    return convert(parse(body), shape)


def parse(body: bytes) -> Any:
    """Parse JSON text strictly; Invalid otherwise."""
    if body.count(b"[") + body.count(b"{") > DEEPEST_NESTING and _is_too_deep(body):
        raise Invalid("body", f"must not be nested deeper than {DEEPEST_NESTING}")
    try:
        value = json.loads(
            body.decode("utf-8"), object_pairs_hook=_members, parse_constant=_no_constant, parse_float=_number
        )
    except Invalid:
        raise
    except (ValueError, RecursionError):
        raise Invalid("body", "is not valid JSON") from None
    _check_strings(value, "")
    return value


def convert(value: Any, shape: type[T]) -> T:
    """Return a parsed value as a value of `shape`; Invalid names the member that doesn't fit."""
    try:
        return msgspec.convert(value, shape)
    except msgspec.ValidationError as reason:
        raise _named(str(reason), shape) from None


def _is_utf8(parameters: str) -> bool:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset" and value.strip().strip('"').lower() not in ("utf-8", "utf8"):
            return False
    return True


def _is_too_deep(body: bytes) -> bool:
    depth = 0
    for symbol in _STRINGS.sub(b"", body):
        if symbol in b"[{":
            depth += 1
            if depth > DEEPEST_NESTING:
                return True
        elif symbol in b"]}":
            depth -= 1
    return False


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise Invalid(_printable(name), "is given twice")
            seen.add(name)
    return members


def _number(text: str) -> float:
    """Read a number that isn't whole; one that no machine number is near (1e400, 1e-400) would become another in silence."""
    number = float(text)
    if number in (math.inf, -math.inf) or (number == 0 and re.search("[1-9]", re.split("[eE]", text)[0])):
        raise Invalid("body", "has a number that is out of range")
    return number


def _no_constant(name: str) -> Any:
    raise Invalid("body", f"is not valid JSON: {name} is no JSON number")


def _check_strings(value: Any, place: str) -> None:
    match value:
        case str():
            if "\0" in value:
                raise Invalid(place or "body", "must not contain NUL characters")
            if not _is_whole(value):
                raise Invalid(place or "body", "must not contain lone surrogates")
        case dict():
            for name, member in value.items():
                _check_strings(name, "body")
                _check_strings(member, f"{place}.{name}" if place else name)
        case list():
            for index, member in enumerate(value):
                _check_strings(member, f"{place}[{index}]")


def _is_whole(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _named(reason: str, shape: type[Any]) -> Invalid:
    place = _PLACE.search(reason)
    path = place.group(1) if place else ""
    what = _PLACE.sub("", reason)
    for form, says in ((_UNKNOWN, "is not known here"), (_MISSING, "is required")):
        found = form.fullmatch(what)
        if found:
            name = _printable(found.group(1))
            return Invalid(f"{path}.{name}" if path else name, says)
    expected = _EXPECTED.fullmatch(what)
    if expected:
        says = "must be " + " or ".join(_KINDS.get(kind, kind) for kind in expected.group(1).split(" | "))
    elif words := _words_of(shape, path):
        says = f"must be one of {', '.join(words)}"
    else:
        says = "does not fit"
    return Invalid(_printable(path) or "body", says)


def _words_of(shape: type[Any], path: str) -> list[str]:
    """Return the words that a member of a shape may be, if it is one of a closed list."""
    if not issubclass(shape, msgspec.Struct):
        return []
    return [
        str(word.value)
        for field in msgspec.structs.fields(shape)
        if field.encode_name == path
        for kind in typing.get_args(field.type) or (field.type,)
        if isinstance(kind, type) and issubclass(kind, enum.Enum)
        for word in kind
    ]


def _printable(name: str) -> str:
    """A member's name may be anything a stranger typed: show a bounded, harmless form of it."""
    return "".join(c if c.isprintable() else "�" for c in name[:80])
