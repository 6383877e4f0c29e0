"""A race is run on purpose, not waited for: every caller is held at one point until nobody else can come to it.

Where a lock does its work, the one who has it is held until all others wait for it in the database. Where the lock was
taken away, all of them stand at the point together. So a control fails every time, and a race that is guarded is run at
its worst every time.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    import pytest

    from hospitium.storage.statements import Statement

_BLOCKED = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


class Window:
    """The point at which callers are held."""

    def __init__(self, watching: asyncpg.Connection[Any]) -> None:
        self._watching = watching
        self._one_look_at_a_time = asyncio.Lock()
        self._running: set[Any] = set()
        self._visits: Counter[Any] = Counter()
        self._held_at = 1

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str) -> AsyncIterator[Window]:
        watching = await asyncpg.connect(url)
        try:
            yield cls(watching)
        finally:
            await watching.close()

    def after(
        self, monkeypatch: pytest.MonkeyPatch, statement: Statement, method: str = "first", *, visit: int = 1
    ) -> None:
        """Hold callers after a statement was executed; `visit`: after which time, for a caller that executes it again."""
        original = getattr(statement, method)
        self._held_at = visit

        async def widened(tx: Any, /, **given: Any) -> Any:
            found = await original(tx, **given)
            await self._hold()
            return found

        monkeypatch.setattr(statement, method, widened)

    async def _hold(self) -> None:
        task = asyncio.current_task()
        self._visits[task] += 1
        if task not in self._running or self._visits[task] != self._held_at:
            return
        while True:
            async with self._one_look_at_a_time:
                coming = sum(self._visits[one] < self._held_at for one in self._running)
                if not coming or await self._watching.fetchval(_BLOCKED) >= coming:
                    return
            await asyncio.sleep(0.001)

    def behind(self, deed: Callable[[], Awaitable[Any]]) -> Callable[[], Awaitable[Any]]:
        """Return a deed that begins when somebody has come to the point."""

        async def waits() -> Any:
            while not self._visits:
                await asyncio.sleep(0.001)
            return await deed()

        return waits

    async def race(self, *deeds: Callable[[], Awaitable[Any]]) -> list[Any]:
        """Run all deeds at once; return what each returned, or the exception it raised."""

        async def run(deed: Callable[[], Awaitable[Any]]) -> Any:
            task = asyncio.current_task()
            try:
                return await deed()
            except Exception as problem:  # noqa: BLE001  whoever runs the race looks at all of them
                return problem
            finally:
                self._running.discard(task)

        tasks = [asyncio.ensure_future(run(deed)) for deed in deeds]
        self._running = set(tasks)
        self._visits.clear()
        return list(await asyncio.gather(*tasks))


def tally(outcomes: list[Any]) -> Counter[str]:
    """Count outcomes: `ok`, or the name of what was raised."""
    return Counter(type(one).__name__ if isinstance(one, Exception) else "ok" for one in outcomes)


def take_the_lock_away(monkeypatch: pytest.MonkeyPatch, *statements: Statement) -> None:
    """For a control: the same statements, without locking."""
    for statement in statements:
        unlocked, times = re.subn(
            r"\s+FOR (NO KEY UPDATE|UPDATE|SHARE|KEY SHARE)( OF \w+)?$", "", statement.sql
        )
        assert times == 1
        monkeypatch.setattr(statement, "sql", unlocked)
