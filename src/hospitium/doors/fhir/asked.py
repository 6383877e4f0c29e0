"""The parameters of a request: from its address and its body, decoded once; and the sealed place where a page begins.

A place holds the question itself, so that a page can't be asked for along with another. It is bound to who got it, on which FHIR server,
and for which type; whether he may still see what it is about, is decided on each page (threats F-13).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote_to_bytes, urlencode

from hospitium.doors.cursors import cursor, place_of
from hospitium.doors.fhir.outcomes import FHIR_JSON, NotAcceptable, WrongBody
from hospitium.engine.errors import Invalid
from hospitium.engine.json_text import parse, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from litestar import Request

    Pair = tuple[str, str]

PAGE = "_page"
FORM = "application/x-www-form-urlencoded"
LONGEST_PLACE = 12_000  # characters: a question, and the way on that a FHIR server gave
_MOST_FIELDS = 100
_VALUE = re.compile(r"value[A-Z][A-Za-z0-9]*")
_JSON = frozenset({"", "*/*", "application/*", "application/json", FHIR_JSON})


def pairs_in(query: bytes, body: bytes = b"") -> list[Pair]:
    """Return the parameters of an address and a form, in their order. Raises Invalid (they can't be read in one way only)."""
    return [*_pairs(query), *_pairs(body)]


def _pairs(text: bytes) -> list[Pair]:
    if not text:
        return []
    try:
        return parse_qsl(
            text.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            encoding="utf-8",
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError:
        raise Invalid("search", "must be names and values in the form of a query, encoded as UTF-8") from None


def names_page(text: bytes) -> bool:
    """Whether an address or a form has the parameter that leads to a page, as `pairs_in` reads names."""
    names = (one.partition(b"=")[0].replace(b"+", b" ") for one in text.split(b"&"))
    return any(unquote_to_bytes(one) == PAGE.encode() for one in names)


def require_json(accept: Iterable[str]) -> None:
    """Return if JSON is welcome. Raises NotAcceptable."""
    ranges = [one.partition(";")[0].strip().lower() for line in accept for one in line.split(",")]
    if ranges and _JSON.isdisjoint(ranges):
        raise NotAcceptable


def require_form(content_type: str | None, body: bytes) -> None:
    """Return if a body is a form, or there is none. Raises WrongBody."""
    if body and _media_type(content_type) != FORM:
        raise WrongBody(FORM)


def form_of(content_type: str | None, body: bytes) -> bytes:
    """Return as a form what the body of an operation says: a Parameters resource of simple values, or nothing
    (https://hl7.org/fhir/R4/operations.html#request). Raises WrongBody, Invalid."""
    if not body:
        return b""
    if _media_type(content_type) not in ("application/json", FHIR_JSON):
        raise WrongBody(FHIR_JSON)
    match parse(body):
        case {"resourceType": "Parameters", **more} if more.keys() <= {"parameter", "id", "meta"}:
            given = more.get("parameter", [])
        case _:
            raise Invalid("body", "must be a Parameters resource")
    if not isinstance(given, list):
        raise Invalid("parameter", "must be a list")
    return urlencode([_said(one) for one in given]).encode()


def _said(parameter: Any) -> Pair:
    match parameter:
        case {"name": str(name), **more}:
            match list(more.items()):
                case [(str(kind), value)] if _VALUE.fullmatch(kind) and type(value) in (str, int):
                    return name, str(value)
            raise Invalid(printable(name), "must have one simple value, such as valueInteger or valueString")
        case _:
            raise Invalid("parameter", "must be objects with a name and a value")


def _media_type(content_type: str | None) -> str:
    return (content_type or "").partition(";")[0].strip().lower()


def next_page(
    request: Request[Any, Any, Any], base: str, pairs: Sequence[Pair], place: list[Any], *bound_to: Any
) -> str:
    """Return the address of the page that begins at a place. `base`: the address of the search."""
    return f"{base}?{urlencode({PAGE: cursor(request, [list(map(list, pairs)), *place], *bound_to)})}"


def question_of(
    request: Request[Any, Any, Any], pairs: list[Pair], *bound_to: Any
) -> tuple[list[Pair], list[Any] | None]:
    """Return the parameters of a question, and the place where its page begins; None: with the first. Raises Invalid."""
    pages = [value for name, value in pairs if name == PAGE]
    if not pages:
        return pairs, None
    if len(pairs) > 1:
        raise Invalid(PAGE, "must stand alone: it holds the question")
    asked, *place = place_of(request, PAGE, pages[0], *bound_to, longest=LONGEST_PLACE)
    return [(name, value) for name, value in asked], place
