"""Which resources a text holds: a Bundle (transaction, batch, collection), a single resource, or NDJSON with one a line."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from hospitium.engine.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Iterator

_BUNDLES = ("transaction", "batch", "collection")
_WRITING = ("POST", "PUT")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_MOST_DIGITS = (
    40  # FHIR asks for 18; digits beyond say nothing, and a power of ten in few letters can fill a disk
)


class Given(NamedTuple):
    """A resource as it was given. `where`: what names of its members are put behind, such as `a.json: entry[3].resource.`."""

    where: str
    full_url: str | None
    resource: dict[str, Any]


def resources_in(name: str, text: bytes) -> Iterator[Given]:
    """Yield the resources of a text; `name` says which one it is. Raises Invalid, naming the place."""
    text = text.removeprefix(_BYTE_ORDER_MARK)
    try:
        whole = _decode(text)
    except ValueError as reason:
        # A line of NDJSON is JSON by itself; the first line of anything else is not.
        if not _is_json(text.partition(b"\n")[0]):
            raise Invalid(name, f"is not valid JSON: {reason}") from None
    else:
        yield from _given(f"{name}: ", whole)
        return
    for number, line in enumerate(text.split(b"\n"), start=1):
        if line.strip():
            yield from _of_line(f"{name}: line {number}", line)


def _of_line(place: str, line: bytes) -> Iterator[Given]:
    try:
        value = _decode(line)
    except ValueError as reason:
        raise Invalid(place, f"is not valid JSON: {reason}") from None
    yield from _given(f"{place}: ", value)


def _given(where: str, value: Any) -> Iterator[Given]:
    if not isinstance(value, dict):
        raise Invalid(where.rstrip(": "), "must be a resource: a JSON object")
    if value.get("resourceType") != "Bundle":
        yield Given(where, None, value)
        return
    if value.get("type") not in _BUNDLES:
        raise Invalid(f"{where}type", f"must be one of {', '.join(_BUNDLES)}: other Bundles aren't loaded")
    entries = value.get("entry", [])
    if not isinstance(entries, list):
        raise Invalid(f"{where}entry", "must be a list")
    # All of them before the first is handed on: whoever takes one may change it.
    yield from _each_once([_of_entry(f"{where}entry[{index}]", entry) for index, entry in enumerate(entries)])


def _each_once(given: list[Given]) -> list[Given]:
    """Refuse a Bundle that gives a resource twice, and not the same (https://hl7.org/fhir/R4/http.html#transaction)."""
    seen: dict[tuple[str, str], dict[str, Any]] = {}
    for one in given:
        key = (str(one.resource.get("resourceType")), str(one.resource.get("id")))
        if seen.setdefault(key, one.resource) != one.resource:
            raise Invalid(f"{one.where}id", "is that of an entry before, which is not the same")
    return given


def _of_entry(place: str, entry: Any) -> Given:
    if not isinstance(entry, dict):
        raise Invalid(place, "must be an object")
    match entry.get("request"):
        case {"method": method} if method not in _WRITING:
            raise Invalid(
                f"{place}.request.method", f"must be {' or '.join(_WRITING)}: nothing else is loaded"
            )
    full_url = entry.get("fullUrl")
    if full_url is not None and not isinstance(full_url, str):
        raise Invalid(f"{place}.fullUrl", "must be a text")
    resource = entry.get("resource")
    if not isinstance(resource, dict):
        raise Invalid(f"{place}.resource", "must be a resource: a JSON object")
    return Given(f"{place}.resource.", full_url, resource)


def _number(text: str) -> Decimal:
    """Read a number that isn't whole, digit for digit, as FHIR wants decimals kept."""
    number = Decimal(text)
    if len(number.as_tuple().digits) > _MOST_DIGITS or not -_MOST_DIGITS <= number.adjusted() <= _MOST_DIGITS:
        raise ValueError("a number is out of range")
    return number


_DECODER = msgspec.json.Decoder(float_hook=_number)


def _decode(text: bytes) -> Any:
    """Read JSON. Raises ValueError, with a reason that shows nothing of the text."""
    try:
        return _DECODER.decode(text)
    except UnicodeDecodeError:
        raise ValueError("it is not in UTF-8") from None
    except msgspec.ValidationError:
        raise ValueError("a number is out of range") from None
    except msgspec.DecodeError as reason:
        raise ValueError(str(reason)) from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _is_json(line: bytes) -> bool:
    try:
        return isinstance(_decode(line), dict)
    except ValueError:
        return False
