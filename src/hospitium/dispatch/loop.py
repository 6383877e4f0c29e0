"""Runs the sweeps over and over, inside a server."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from hospitium.dispatch.sweeps import SWEEPS
from hospitium.engine.actor import SYSTEM
from hospitium.engine.context import Context
from hospitium.storage.database import Collision, DatabaseUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from hospitium.dispatch.sweeps import Sweep
    from hospitium.storage.database import Database

PAUSE = 30.0  # seconds
SHORT_PAUSE = 1.0
_log = structlog.get_logger("hospitium.dispatch")


async def run_once(
    database: Database, clock: Callable[[], datetime], sweeps: Sequence[Sweep] | None = None
) -> None:
    """Run every sweep until it finds nothing more to do; one that fails doesn't keep the others from their work."""
    for sweep in SWEEPS if sweeps is None else sweeps:
        try:
            while await _one(database, clock, sweep):
                pass
        except (Collision, DatabaseUnavailable) as reason:
            _log.warning("a sweep was broken off", sweep=sweep.__name__, reason=str(reason))
        except Exception as problem:  # noqa: BLE001
            _log.exception("a sweep failed", sweep=sweep.__name__, problem=type(problem).__name__)


async def run_for_ever(
    database: Database, clock: Callable[[], datetime], sweeps: Sequence[Sweep] | None = None
) -> None:
    """Run every sweep, pause, and begin again; those that are named, with a short pause."""
    while True:
        await run_once(database, clock, sweeps)
        await asyncio.sleep(PAUSE if sweeps is None else SHORT_PAUSE)


async def _one(database: Database, clock: Callable[[], datetime], sweep: Sweep) -> bool:
    async with database.transaction() as tx:
        return await sweep(Context(tx, SYSTEM, clock()))
