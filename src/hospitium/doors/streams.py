"""Answers that don't end by themselves: events sent as they happen (the `text/event-stream` of HTML), and how many of them there are.

A stream holds no transaction and no connection to the database while it waits. It ends when whoever reads it leaves or its
time is over; when the server is asked to stop it ends at once, also if its reader has stopped reading.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from hospitium.engine.errors import Busy

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from uuid import UUID

    from litestar.types import Receive, Scope, Send

EVENT_STREAM = "text/event-stream"
MOST = 200
MOST_EACH = 4
LONGEST = 3600.0  # seconds: as long as an access token is good for; who comes back may find another server
FAREWELL = 1.0  # seconds in which a stream ends in order when the server stops
RETRY_AFTER = 10  # seconds
_HEADERS = [
    (b"content-type", EVENT_STREAM.encode()),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # nginx would keep back what it is sent until it is worth passing on
]


class Streams:
    """The streams of one process: `most` in all, `most_each` by one session or key, none longer than `longest` seconds."""

    def __init__(self, *, most: int = MOST, most_each: int = MOST_EACH, longest: float = LONGEST) -> None:
        self.most = most
        self.most_each = most_each
        self.longest = longest
        self._held: Counter[UUID] = Counter()

    def take(self, holder: UUID) -> Place:
        """Return a place for one more stream of a session or key, to be left when it ends. Raises Busy."""
        if self._held.total() >= self.most or self._held[holder] >= self.most_each:
            raise Busy(RETRY_AFTER)
        self._held[holder] += 1
        return Place(self._held, holder)

    def __len__(self) -> int:
        return self._held.total()


class Place:
    """One stream's place among those there may be."""

    def __init__(self, held: Counter[UUID], holder: UUID) -> None:
        self._held = held
        self._holder: UUID | None = holder

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
        _ = scope
        sending = asyncio.create_task(self._send(send))
        # Beside it: a reader that has stopped reading keeps it waiting for him.
        beside = (asyncio.create_task(_left(receive)), asyncio.create_task(self._over()))
        try:
            await asyncio.wait((sending, *beside), return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        finally:
            for task in (sending, *beside):
                task.cancel()
            await asyncio.gather(sending, *beside, return_exceptions=True)
            self._place.leave()

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})
        async with aclosing(self._pieces) as pieces:
            async for piece in pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _over(self) -> None:
        await self._stopping.wait()
        await asyncio.sleep(FAREWELL)


async def _left(receive: Receive) -> None:
    message: Any = {}
    while message.get("type") != "http.disconnect":
        message = await receive()
