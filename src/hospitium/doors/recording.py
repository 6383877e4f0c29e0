"""Reads are on record before anything is shown; those that wait at the same time share a commit.

Each is told that it is on record when its statement is committed, and not before. What can't be written is Unavailable, and nothing of it may
be shown.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import structlog

from hospitium.doors.gathering import RETRY_AFTER, Gathering
from hospitium.engine.actor import SYSTEM
from hospitium.engine.context import Context
from hospitium.engine.errors import Unavailable
from hospitium.engine.reads.actions import record_all
from hospitium.engine.reads.record import Reading

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hospitium.doors.surroundings import Clock
    from hospitium.engine.actor import Actor
    from hospitium.engine.reads.record import Read
    from hospitium.storage.database import Database, Transaction

WORKERS = 2
ENOUGH = 16  # reads that are worth a commit beside the one that is being written
MOST_IN_A_COMMIT = 500
_log = structlog.get_logger("hospitium.reads")


class Recorder:
    """Puts reads on record. `counted`: how many it was told are written, shown and refused."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._clock = clock
        # One statement writes them all, and is committed by itself.
        self._gathering: Gathering[Reading, None] = Gathering(
            database.each_alone, self._commit, workers=WORKERS, enough=ENOUGH, most=MOST_IN_A_COMMIT
        )
        self.counted: Counter[str] = Counter()

    async def record(self, actor: Actor, *reads: Read) -> None:
        """Put what was read, or refused, on record; return when all of it is committed. Raises Unavailable: show nothing."""
        written = [self._gathering.put(Reading(actor, one)) for one in reads]
        try:
            await (written[0] if len(written) == 1 else asyncio.gather(*written))
        except Unavailable:
            raise
        except Exception as mistake:  # noqa: BLE001  whatever it is: what is not on record is not shown
            # Its words may hold what was to be written.
            _log.error("a read can't be put on record", kind=type(mistake).__name__)
            raise Unavailable(RETRY_AFTER) from None

    async def _commit(self, tx: Transaction, readings: Sequence[Reading]) -> Sequence[None]:
        await record_all(Context(tx, SYSTEM, self._clock()), readings)
        for one in readings:
            self.counted["shown" if one.read.refused is None else "refused"] += 1
        return [None] * len(readings)
