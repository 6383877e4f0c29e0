"""When service keys were last used: noted in memory with each request, written down once a minute.

A key may ask thousands of questions a second, and none of them is to write a row. What a process that is killed had noted is
lost: at most the last minute.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from hospitium.engine.actor import SYSTEM
from hospitium.engine.context import Context
from hospitium.engine.service_keys import actions
from hospitium.storage.database import Collision, DatabaseUnavailable

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from hospitium.doors.surroundings import Clock
    from hospitium.engine.actor import Actor
    from hospitium.storage.database import Database

PAUSE = 60.0  # seconds
_log = structlog.get_logger("hospitium.service_keys")


class ServiceKeyUse:
    """Notes which service keys were used, and writes that down from time to time."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._noted: dict[UUID, datetime] = {}

    def note(self, key_id: UUID, now: datetime) -> None:
        """Note that a service key was used."""
        self._noted[key_id] = max(now, self._noted.get(key_id, now))

    def seen(self, actor: Actor, now: datetime) -> None:
        """Note it of whoever acts, if that is a service key."""
        if actor.service_key_id is not None:
            self.note(actor.service_key_id, now)

    async def write_down(self) -> None:
        """Write down what was noted since the last time, if that can be done now; else the next time."""
        noted = dict(self._noted)
        if not noted:
            return
        try:
            async with self._database.transaction() as tx:
                await actions.note_uses(Context(tx, SYSTEM, self._clock()), noted)
        except (Collision, DatabaseUnavailable) as reason:
            # Two processes that lock the same rows in another order are among the collisions.
            _log.warning("the use of service keys can't be written down now", reason=str(reason))
        except Exception:  # noqa: BLE001  no request, and no stop, may fail for it
            _log.exception("the use of service keys can't be written down")
        else:
            for key_id, at in noted.items():
                if self._noted[key_id] == at:  # else it was used again meanwhile
                    del self._noted[key_id]

    async def run_for_ever(self) -> None:
        """Pause, write down, and begin again."""
        while True:
            await asyncio.sleep(PAUSE)
            await self.write_down()
