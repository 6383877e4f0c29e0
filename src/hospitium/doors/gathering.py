"""What is asked of the database at the same time goes into one statement.

While a statement runs, more gathers; the next statement takes all of it. None waits for others to come, and nothing is put into a statement
that was begun before it came.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import structlog

from hospitium.engine.errors import Unavailable
from hospitium.storage.database import Collision, DatabaseUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence
    from contextlib import AbstractAsyncContextManager

    from hospitium.storage.database import Transaction

Q = TypeVar("Q")
A = TypeVar("A")
MOST_TRIES = 3
MOST_ON_A_LOAN = 50  # statements, after which a connection goes back: others wait for it, too
LINGERS = 0.02  # seconds that a connection is held for who comes next: to give it back and borrow it again costs as much as a statement
RETRY_AFTER = 2  # seconds
_log = structlog.get_logger("hospitium.gathering")


class _Waiting(Generic[Q, A]):
    def __init__(self, one: Q) -> None:
        self.one = one
        self.done: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        self.collided = 0


class Workers:
    """Tasks that work off what waits, at most so many: the first if there is anything (`is_any`), another beside it only if there
    `is_enough` for both."""

    def __init__(
        self,
        work: Callable[[], Coroutine[Any, Any, None]],
        is_any: Callable[[], bool],
        is_enough: Callable[[], bool],
        *,
        most: int,
    ) -> None:
        self._work, self._is_any, self._is_enough, self._most = work, is_any, is_enough, most
        self.tasks: set[asyncio.Task[None]] = set()

    def go_on(self) -> None:
        """Have one more work, if it is wanted."""
        if len(self.tasks) < self._most and self._is_any() and (not self.tasks or self._is_enough()):
            worker = asyncio.create_task(self._work())
            self.tasks.add(worker)
            worker.add_done_callback(self._has_gone)

    def _has_gone(self, worker: asyncio.Task[None]) -> None:
        self.tasks.discard(worker)
        self.go_on()


class Gathering(Generic[Q, A]):
    """Runs what gathers, on connections that `lend` lends.

    `run` takes some, in their order, and returns what comes of each. At most `workers` run at once, another beside the first only when there
    is `enough` for both; each takes at most so many (`most`).
    """

    def __init__(
        self,
        lend: Callable[[], AbstractAsyncContextManager[Transaction]],
        run: Callable[[Transaction, Sequence[Q]], Awaitable[Sequence[A]]],
        *,
        workers: int,
        enough: int,
        most: int,
    ) -> None:
        self._lend = lend
        self._run = run
        self._most = most
        self._waiting: list[_Waiting[Q, A]] = []
        self._alone: list[_Waiting[Q, A]] = []
        self._workers = Workers(
            self._work, lambda: bool(self._waiting), lambda: len(self._waiting) >= enough, most=workers
        )
        self._lingering: list[asyncio.Future[None]] = []

    def put(self, one: Q) -> asyncio.Future[A]:
        """Have one run; return what will come of it. That raises Unavailable (the database is away), and what `run` raised of this one."""
        waiting: _Waiting[Q, A] = _Waiting(one)
        self._waiting.append(waiting)
        if self._lingering:
            self._wake(self._lingering[-1])
        else:
            self._workers.go_on()
        return waiting.done

    async def _work(self) -> None:
        batch = self._next()
        try:
            while batch:
                await self._borrow_and_run(batch)
                batch = batch or self._next()
        except BaseException:  # it is put an end to: those who wait for it must hear of that
            for waiting in (*batch, *self._alone):
                _fail(waiting, Unavailable(RETRY_AFTER))
            self._alone.clear()
            raise

    async def _borrow_and_run(self, batch: list[_Waiting[Q, A]]) -> None:
        """Run a batch and others on a borrowed connection. What is left in `batch` wasn't run, and has still to be."""
        is_lent = False
        try:
            async with self._lend() as tx:
                is_lent = True
                await self._run_some(tx, batch)
        except (Collision, DatabaseUnavailable) as reason:
            if not is_lent:  # nor will the next one be, and waiting for it takes long
                batch += self._waiting
                self._waiting.clear()
            self._try_again_or_refuse(batch, reason)
            batch.clear()
        except Exception as mistake:  # noqa: BLE001  it is told to whoever asked, and judged there
            if len(batch) == 1:
                _fail(batch[0], mistake)
            else:
                # One that can't be run must not be the end of those that came along with it.
                self._alone += batch
            batch.clear()

    async def _run_some(self, tx: Transaction, batch: list[_Waiting[Q, A]]) -> None:
        """Run a batch, and those that gather meanwhile. Whenever it leaves, `batch` is the one that wasn't run."""
        for _ in range(MOST_ON_A_LOAN):
            came = await self._run(tx, [waiting.one for waiting in batch])
            for waiting, one in zip(batch, came, strict=True):
                if not waiting.done.done():
                    waiting.done.set_result(one)
            batch.clear()
            batch += self._next()
            if not batch:
                await self._linger()
                batch += self._next()
                if not batch:
                    return

    async def _linger(self) -> None:
        """Wait for somebody to come, a short while."""
        loop = asyncio.get_running_loop()
        idle: asyncio.Future[None] = loop.create_future()
        self._lingering.append(idle)
        late = loop.call_later(LINGERS, self._wake, idle)
        try:
            await idle
        finally:
            late.cancel()
            if idle in self._lingering:
                self._lingering.remove(idle)

    def _wake(self, idle: asyncio.Future[None]) -> None:
        if not idle.done():
            self._lingering.remove(idle)
            idle.set_result(None)

    def _try_again_or_refuse(self, batch: Sequence[_Waiting[Q, A]], reason: Exception) -> None:
        for waiting in batch:
            waiting.collided += 1
            if isinstance(reason, Collision) and waiting.collided < MOST_TRIES:
                self._waiting.append(waiting)
            else:
                _fail(waiting, Unavailable(RETRY_AFTER))
        _log.warning("database unavailable", reason=str(reason), waiting=len(batch))

    def _next(self) -> list[_Waiting[Q, A]]:
        """Take what waits. Who went away meanwhile isn't asked for."""
        while self._alone:
            one = self._alone.pop(0)
            if not one.done.done():
                return [one]
        still = [waiting for waiting in self._waiting if not waiting.done.done()]
        self._waiting = still[self._most :]
        return still[: self._most]


def _fail(waiting: _Waiting[Q, A], reason: Exception) -> None:
    if not waiting.done.done():
        waiting.done.set_exception(reason)
