"""A read that must not be older than a write: it names it (`Hospitium-After`), and waits until the database has it.

What an answer says of a write (`Hospitium-Position`) is sealed. Transactions are counted one after the other, by whoever they are:
from two bare numbers one could tell how much had happened between, and so whether an address that was asked about is known.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING, Any

from litestar import Request

from hospitium.doors.surroundings import surroundings
from hospitium.engine import sealing
from hospitium.engine.errors import Invalid, Unavailable
from hospitium.storage.positions import Position

if TYPE_CHECKING:
    from collections.abc import Mapping

    from litestar.types import ASGIApp, Receive, Scope, Send

    from hospitium.engine.sealing import SealingKey

POSITION_HEADER = b"hospitium-position"
AFTER_HEADER = "Hospitium-After"
AFTER = "hospitium.after"  # in the scope, where the header came (`observed.py`)
ACCEPTED = 202
_FIRST_REFUSAL = 400
_FORM = "1-"
_SEALED = 44  # bytes: 4 of the key's number, 12 of a nonce, 12 of the position, 16 that prove it
_BOUND_TO = b"position of a write"


def is_told(status: int) -> bool:
    """Whether an answer of this status tells of what was written. Not a refusal; nor `accepted`, which is answered in the same bytes
    whether anything came of it or not."""
    return status < _FIRST_REFUSAL and status != ACCEPTED


def spelled(position: Position, key: SealingKey) -> str:
    """Return a position as an answer carries it."""
    sealed = key.number.to_bytes(4) + sealing.seal(key, position.packed(), _BOUND_TO)
    return _FORM + urlsafe_b64encode(sealed).decode().rstrip("=")


def read(text: str, keys: Mapping[int, SealingKey]) -> Position:
    """Return the position that a request carries.

    Raises Invalid; Unavailable, if a server that has a newer key spelled it: this one takes that up at its next start.
    """
    wrong = Invalid(AFTER_HEADER, "must be a Hospitium-Position, as it was answered")
    form, rest = text[: len(_FORM)], text[len(_FORM) :]
    try:
        sealed = urlsafe_b64decode((rest + "=" * (-len(rest) % 4)).encode("ascii"))
    except ValueError:
        raise wrong from None
    if form != _FORM or urlsafe_b64encode(sealed).decode().rstrip("=") != rest or len(sealed) != _SEALED:
        raise wrong
    key = keys.get(number := int.from_bytes(sealed[:4]))
    if key is None:
        raise Unavailable(1) if number > max(keys) else wrong
    try:
        return Position.unpacked(sealing.unseal(key, sealed[4:], _BOUND_TO))
    except sealing.CantBeOpened:
        raise wrong from None


async def catch_up(request: Request[Any, Any, Any]) -> None:
    """Return when the database has the write that the request names, at once if it names none, or has waited for it.

    Raises Invalid, Unavailable.
    """
    scope: Any = request.scope
    after: str | None = scope.pop(AFTER, None)
    if after is not None:
        house = surroundings(request)
        if not await house.work.catches_up(read(after, house.sealing_keys)):
            raise Invalid(AFTER_HEADER, "is a position of another database")


def catching_up(app: ASGIApp) -> ASGIApp:
    """Put the wait before an application: before handlers of every kind, and inside of what answers for their surface."""

    async def caught_up(scope: Scope, receive: Receive, send: Send) -> None:
        if AFTER in scope:
            await catch_up(Request(scope))
        await app(scope, receive, send)

    return caught_up
