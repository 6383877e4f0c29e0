"""Answers that don't end by themselves: events sent as they happen (the `text/event-stream` of HTML), and how many of them there are.

A stream holds no transaction and no connection to the database while it waits. It ends when whoever reads it leaves or its
time is over; when the server is asked to stop it ends at once. A reader that has stopped reading is cut off: while he is waited for,
nobody asks again whether he may read, nor how long it has been.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from hospitium.engine.errors import Busy

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from uuid import UUID

    from litestar.types import (
        HTTPResponseBodyEvent,
        HTTPResponseStartEvent,
        Message,
        Receive,
        Scope,
        Send,
    )

EVENT_STREAM = "text/event-stream"
MOST = 200
MOST_EACH = 4
MOST_OF_ONE = 20  # so that no organization's applications take the places of all others
LONGEST = 3600.0  # seconds: as long as an access token is good for; who comes back may find another server
SENT_WITHIN = 10.0  # seconds in which a reader must have taken in what he was sent before
FAREWELL = 1.0  # seconds in which a stream ends in order when the server stops
RETRY_AFTER = 10  # seconds
ABORT = "hospitium.abort"  # in the scope: what breaks the connection off, with all that was not taken in yet (`bounded.py`)
_HEADERS = [
    (b"content-type", EVENT_STREAM.encode()),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # nginx would keep back what it is sent until it is worth passing on
]


class Streams:
    """The streams of one process: `most` in all, `most_each` by one session or key, `most_of_one` by one organization's, none longer
    than `longest` seconds."""

    def __init__(
        self,
        *,
        most: int = MOST,
        most_each: int = MOST_EACH,
        most_of_one: int = MOST_OF_ONE,
        longest: float = LONGEST,
    ) -> None:
        self.most = most
        self.most_each = most_each
        self.most_of_one = most_of_one
        self.longest = longest
        self._held: Counter[tuple[UUID, UUID]] = Counter()

    def take(self, holder: UUID, organization_id: UUID) -> Place:
        """Return a place for one more stream of a session or key of an organization, to be left when it ends. Raises Busy."""
        of_one = sum(count for (_, whose), count in self._held.items() if whose == organization_id)
        if (
            self._held.total() >= self.most
            or of_one >= self.most_of_one
            or self._held[holder, organization_id] >= self.most_each
        ):
            raise Busy(RETRY_AFTER)
        self._held[holder, organization_id] += 1
        return Place(self._held, (holder, organization_id))

    def __len__(self) -> int:
        return self._held.total()


class Place:
    """One stream's place among those there may be."""

    def __init__(self, held: Counter[tuple[UUID, UUID]], holder: tuple[UUID, UUID]) -> None:
        self._held = held
        self._holder: tuple[UUID, UUID] | None = holder

    def leave(self) -> None:
        """Leave it for another; doing so twice is doing so once."""
        if self._holder is not None:
            self._held[self._holder] -= 1
            self._held += Counter()  # who holds none is forgotten
            self._holder = None


class EventStream:
    """An answer that sends pieces as they come; `stopping` is set when the server is asked to stop."""

    def __init__(self, pieces: AsyncGenerator[bytes, None], place: Place, stopping: asyncio.Event) -> None:
        self._pieces = pieces
        self._place = place
        self._stopping = stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the pieces until there are no more, nobody reads, or the server must stop."""
        watched: dict[str, Any] = scope  # type: ignore[assignment]
        abort: Callable[[], None] = watched.get(ABORT, _nothing)
        sending = asyncio.create_task(self._send(send))
        # Beside it: a reader that has stopped reading keeps it waiting for him.
        beside = (asyncio.create_task(_left(receive)), asyncio.create_task(self._over()))
        try:
            await asyncio.wait((sending, *beside), return_when=asyncio.FIRST_COMPLETED)
            if not sending.done() or not sending.result():
                # Closing would wait for him to take in what he was sent, which he may never do.
                abort()
        finally:
            for task in (sending, *beside):
                task.cancel()
            await asyncio.gather(sending, *beside, return_exceptions=True)
            self._place.leave()

    async def _send(self, send: Send) -> bool:
        """Send all there is; return False if the reader has stopped reading."""
        head: HTTPResponseStartEvent = {
            "type": "http.response.start",
            "status": 200,
            "headers": list(_HEADERS),
        }
        if not await _taken_in(send, head):
            return False
        async with aclosing(self._pieces) as pieces:
            async for piece in pieces:
                if not await _taken_in(send, _body(piece, more=True)):
                    return False
        return await _taken_in(send, _body(b"", more=False))

    async def _over(self) -> None:
        await self._stopping.wait()
        await asyncio.sleep(FAREWELL)


async def _taken_in(send: Send, message: Message) -> bool:
    """Send a message; return False if what was sent before isn't taken in, though it was waited for."""
    try:
        async with asyncio.timeout(SENT_WITHIN):
            await send(message)
    except TimeoutError:
        return False
    return True


def _body(piece: bytes, *, more: bool) -> HTTPResponseBodyEvent:
    return {"type": "http.response.body", "body": piece, "more_body": more}


def _nothing() -> None:
    """Of a server that says no way to break off, nothing is broken off."""


async def _left(receive: Receive) -> None:
    message: Any = {}
    while message.get("type") != "http.disconnect":
        message = await receive()
