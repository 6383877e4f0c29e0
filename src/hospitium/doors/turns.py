"""Turns at what is expensive: lists and searches take a connection for long, so few run at once, and everybody's turn comes.

A list counts all there is before it shows its first page. Whoever asked for many at once would hold every connection, and all others would
wait for him. So he waits for himself: between those who wait, turns go around, however many each of them asks for.

Nobody waits inside a transaction: who asks is found out before, in one of its own.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from hospitium.engine.errors import Busy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID

MOST = 4
MOST_EACH = 2
MOST_WAITING = 20  # of one asker
LONGEST_WAIT = 20.0  # seconds, after which whoever asked has probably gone
RETRY_AFTER = 2  # seconds


class Turns:
    """The turns of one process: `most` in all, `most_each` of one asker, of whom `most_waiting` may wait."""

    def __init__(
        self, *, most: int = MOST, most_each: int = MOST_EACH, most_waiting: int = MOST_WAITING
    ) -> None:
        self.most = most
        self.most_each = most_each
        self.most_waiting = most_waiting
        self._running: Counter[UUID] = Counter()
        # In the order in which they come next: whose turn it was goes to the end.
        self._waiting: dict[UUID, deque[asyncio.Future[None]]] = {}

    @asynccontextmanager
    async def turn(self, asker: UUID) -> AsyncIterator[None]:
        """Wait for a turn of an asker, and have it while the block runs. Raises Busy (too many of his wait, or too long)."""
        await self._come(asker)
        try:
            yield
        finally:
            self._leave(asker)

    @property
    def running(self) -> int:
        """How many have their turn at this moment."""
        return self._running.total()

    @property
    def waiting(self) -> int:
        """How many wait for theirs."""
        return sum(len(his) for his in self._waiting.values())

    async def _come(self, asker: UUID) -> None:
        if len(self._waiting.get(asker, ())) >= self.most_waiting:
            raise Busy(RETRY_AFTER)
        mine = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(asker, deque()).append(mine)
        self._go_on()
        try:
            async with asyncio.timeout(LONGEST_WAIT):
                await mine
        except BaseException as reason:
            if mine.done() and not mine.cancelled():
                self._leave(asker)  # his turn had come at the moment he went
            else:
                self._forget(asker, mine)
            if isinstance(reason, TimeoutError):
                raise Busy(RETRY_AFTER) from None
            raise

    def _leave(self, asker: UUID) -> None:
        self._running[asker] -= 1
        self._running += Counter()  # who has none is forgotten
        self._go_on()

    def _forget(self, asker: UUID, one: asyncio.Future[None]) -> None:
        his = self._waiting.get(asker, deque())
        if one in his:
            his.remove(one)
        if not his:
            self._waiting.pop(asker, None)

    def _go_on(self) -> None:
        """Give the turns that are free, each to whoever has waited longest since his last."""
        while self._running.total() < self.most:
            asker = next((one for one in self._waiting if self._running[one] < self.most_each), None)
            if asker is None:
                return
            his = self._waiting.pop(asker)
            first = his.popleft()
            if his:
                self._waiting[asker] = his
            if not first.done():  # he might have ceased to wait a moment ago
                first.set_result(None)
                self._running[asker] += 1
