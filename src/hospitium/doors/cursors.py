"""Cursors: where a list goes on, sealed, so that they say nothing to whoever holds them, and hold for one caller and one question only."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import TYPE_CHECKING, Any

import msgspec

from hospitium.doors.surroundings import surroundings
from hospitium.engine import sealing
from hospitium.engine.errors import Invalid

if TYPE_CHECKING:
    from litestar import Request

_NUMBER = 4  # bytes
LONGEST_CURSOR = 2_000


def cursor(request: Request[Any, Any, Any], place: list[Any], *bound_to: Any) -> str:
    """Return a cursor that holds a place (plain values), for the caller and the question that it is bound to."""
    key = surroundings(request).sealing_key
    sealed = sealing.seal(key, msgspec.json.encode(place), _bound(bound_to))
    return base64.urlsafe_b64encode(key.number.to_bytes(_NUMBER) + sealed).decode().rstrip("=")


def place_of(
    request: Request[Any, Any, Any], field: str, given: str, *bound_to: Any, longest: int = LONGEST_CURSOR
) -> list[Any]:
    """Return the place that a cursor holds. Raises Invalid: it is none of ours, was altered, or is another caller's or question's."""
    refused = Invalid(field, "must be what the part before it gave, for the same question")
    if len(given) > longest or not given.isascii():
        raise refused
    try:
        raw = base64.b64decode(given + "=" * (-len(given) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        raise refused from None
    key = surroundings(request).sealing_keys.get(int.from_bytes(raw[:_NUMBER]))
    if key is None or base64.urlsafe_b64encode(raw).decode().rstrip("=") != given:
        raise refused
    try:
        place: list[Any] = msgspec.json.decode(sealing.unseal(key, raw[_NUMBER:], _bound(bound_to)))
    except (sealing.CantBeOpened, ValueError):
        raise refused from None
    return place


def _bound(to: tuple[Any, ...]) -> bytes:
    return hashlib.sha256(b"cursor\0" + msgspec.json.encode(to)).digest()
