"""Reads are on record before anything is shown; those that wait at the same time share a commit.

While a transaction is being written, reads gather; the next one writes them all. None waits for others to come, and each is told that it
is on record when its transaction is committed, and not before. What can't be written is Unavailable, and nothing of it may be shown.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import structlog

from hospitium.engine.actor import SYSTEM
from hospitium.engine.context import Context
from hospitium.engine.errors import Unavailable
from hospitium.engine.reads.actions import record_all
from hospitium.engine.reads.record import Reading
from hospitium.storage.database import Collision, DatabaseUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hospitium.doors.surroundings import Clock
    from hospitium.engine.actor import Actor
    from hospitium.engine.reads.record import Read
    from hospitium.storage.database import Database

WORKERS = 2
ENOUGH = 16  # reads that are worth a transaction beside the one that is being written
MOST_IN_A_TRANSACTION = 500
MOST_TRIES = 3
RETRY_AFTER = 2  # seconds
_log = structlog.get_logger("hospitium.reads")


class _Waiting(NamedTuple):
    reading: Reading
    written: asyncio.Future[None]


class Recorder:
    """Puts reads on record. `counted`: how many it was told are written, shown and refused."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._waiting: list[_Waiting] = []
        self._working: set[asyncio.Task[None]] = set()
        self.counted: Counter[str] = Counter()

    async def record(self, actor: Actor, *reads: Read) -> None:
        """Put what was read, or refused, on record; return when all of it is committed. Raises Unavailable: show nothing."""
        loop = asyncio.get_running_loop()
        waiting = [_Waiting(Reading(actor, one), loop.create_future()) for one in reads]
        self._waiting += waiting
        self._go_on()
        await asyncio.gather(*(one.written for one in waiting))

    def _go_on(self) -> None:
        """Have somebody write, if there is something: another beside the first only when there is enough for both."""
        if not self._waiting or len(self._working) >= WORKERS:
            return
        if not self._working or len(self._waiting) >= ENOUGH:
            worker = asyncio.create_task(self._work())
            self._working.add(worker)
            worker.add_done_callback(self._has_gone)

    def _has_gone(self, worker: asyncio.Task[None]) -> None:
        self._working.discard(worker)
        self._go_on()

    async def _work(self) -> None:
        while batch := self._next():
            await self._write(batch)

    def _next(self) -> list[_Waiting]:
        """Take what waits. Who went away meanwhile is shown nothing, and so has read nothing."""
        still = [one for one in self._waiting if not one.written.done()]
        self._waiting = still[MOST_IN_A_TRANSACTION:]
        return still[:MOST_IN_A_TRANSACTION]

    async def _write(self, batch: Sequence[_Waiting]) -> None:
        """Write some, and tell each that it is written, or that it isn't."""
        try:
            await self._commit(batch)
        except (DatabaseUnavailable, Collision) as reason:
            _log.warning("database unavailable", reason=str(reason), reads=len(batch))
            _refuse(batch)
        except Exception as mistake:  # noqa: BLE001  whatever it is: what is not on record is not shown
            if len(batch) > 1:
                # One that can't be written must not keep those from being shown that came along with it.
                for one in batch:
                    await self._write([one])
                return
            # Its words may hold what was to be written.
            _log.error("a read can't be put on record", kind=type(mistake).__name__)
            _refuse(batch)
        else:
            for one in batch:
                self.counted["shown" if one.reading.read.refused is None else "refused"] += 1
                if not one.written.done():
                    one.written.set_result(None)

    async def _commit(self, batch: Sequence[_Waiting]) -> None:
        for attempt in range(1, MOST_TRIES + 1):
            try:
                async with self._database.each_alone() as tx:
                    await record_all(
                        Context(tx, SYSTEM, self._clock()), [waiting.reading for waiting in batch]
                    )
            except Collision:
                if attempt == MOST_TRIES:
                    raise
            else:
                return


def _refuse(batch: Sequence[_Waiting]) -> None:
    for one in batch:
        if not one.written.done():
            one.written.set_exception(Unavailable(RETRY_AFTER))
