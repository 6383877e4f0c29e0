"""Reading a JSON body strictly: what is malformed, ambiguous or unknown is refused, naming the member.

Its text is parsed as all JSON that comes in (`engine/json_text.py`); here it becomes a value of a shape.
"""

from __future__ import annotations

import enum
import re
import typing
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from litestar.exceptions import ClientException
from litestar.exceptions.http_exceptions import RequestEntityTooLarge

from hospitium.engine.errors import Invalid
from hospitium.engine.json_text import parse, printable

if TYPE_CHECKING:
    from litestar.types import Receive

T = TypeVar("T")

LARGEST_BODY = 1_000_000  # bytes
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


async def whole_body(receive: Receive) -> bytes:
    """Return the body of a request as it came. Raises RequestEntityTooLarge; ClientException (who asks is gone)."""
    body: bytes = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientException("client disconnected prematurely")
        body += message.get("body", b"")
        if len(body) > LARGEST_BODY:
            raise RequestEntityTooLarge
        if not message.get("more_body"):
            return body


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


def _named(reason: str, shape: type[Any]) -> Invalid:
    place = _PLACE.search(reason)
    path = place.group(1) if place else ""
    what = _PLACE.sub("", reason)
    for form, says in ((_UNKNOWN, "is not known here"), (_MISSING, "is required")):
        found = form.fullmatch(what)
        if found:
            name = printable(found.group(1))
            return Invalid(f"{path}.{name}" if path else name, says)
    expected = _EXPECTED.fullmatch(what)
    if expected:
        says = "must be " + " or ".join(_KINDS.get(kind, kind) for kind in expected.group(1).split(" | "))
    elif words := _words_of(shape, path):
        says = f"must be one of {', '.join(words)}"
    else:
        says = "does not fit"
    return Invalid(printable(path) or "body", says)


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
