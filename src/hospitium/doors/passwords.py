"""The slow hash of passwords, a few at a time, outside any transaction (ARCHITECTURE.md, "Transactions and locks").

argon2id takes 19 MiB and a good part of a core, so a flood of sign-ins must queue here and not in memory: when the queue
is full, the next one is refused before anything is hashed.
"""

from __future__ import annotations

import asyncio
import functools
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from hospitium.engine.errors import Busy
from hospitium.engine.secrets import HashedPassword
from hospitium.engine.sessions.actions import PasswordVerdict

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from hospitium.engine.secrets import Password

T = TypeVar("T")
RETRY_AFTER = 1  # seconds
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


class PasswordGate:
    """Hashes and compares passwords, `at_once` at the same time, with `waiting` more in the queue."""

    def __init__(self, *, at_once: int, waiting: int) -> None:
        self._at_once = at_once
        self._most = at_once + waiting
        self._unhurried: set[asyncio.Future[None]] = set()
        self._inside = 0
        self.refused = 0
        self._threads = ThreadPoolExecutor(max_workers=at_once, thread_name_prefix="argon2")
        # Compared where there is no account, so that it takes as long as where there is one.
        self._nobodys = _nobodys_hash()

    async def hash(self, password: Password) -> HashedPassword:
        """Return the slow hash of a password. Raises Busy."""
        return HashedPassword(await self._slowly(lambda: _HASHER.hash(password.reveal())))

    async def hash_unhurried(self, password: Password) -> HashedPassword:
        """Return the slow hash of a password, once a thread is free: for many in a row, which must take nobody's place in the queue."""
        while self._inside >= self._at_once:
            left = asyncio.get_running_loop().create_future()
            self._unhurried.add(left)
            try:
                await left
            finally:
                self._unhurried.discard(left)
        return await self.hash(password)

    async def compare(self, password: Password, kept: tuple[UUID, HashedPassword] | None) -> PasswordVerdict:
        """Compare a password with the one an account has, or with nobody's if there is no account. Raises Busy."""
        account_id, compared_with = kept or (None, self._nobodys)
        fits = await self._slowly(lambda: _fits(compared_with, password))
        return PasswordVerdict(account_id, compared_with, fits and account_id is not None)

    async def fits(self, secret: Password, kept: HashedPassword) -> bool:
        """Return whether a secret is the one a slow hash was made of. Raises Busy."""
        return await self._slowly(lambda: _fits(kept, secret))

    @property
    def inside(self) -> int:
        """How many are hashed at this moment, or wait for it."""
        return self._inside

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _slowly(self, work: Callable[[], T]) -> T:
        if self._inside >= self._most:
            self.refused += 1
            raise Busy(RETRY_AFTER)
        self._inside += 1
        # The place is given back when the work is done, not when a caller stops waiting for it.
        task = asyncio.get_running_loop().run_in_executor(self._threads, work)
        task.add_done_callback(self._leave)
        return await asyncio.shield(task)

    def _leave(self, _: object) -> None:
        self._inside -= 1
        # All of them: one alone might have ceased to wait meanwhile, and the others would never hear of it.
        for waiting in self._unhurried:
            if not waiting.done():
                waiting.set_result(None)


@functools.cache
def _nobodys_hash() -> HashedPassword:
    return HashedPassword(_HASHER.hash("nobody's password"))


def hash_now(password: Password) -> HashedPassword:
    """Return the slow hash of a password, here and now: for the command line, where nobody else waits."""
    return HashedPassword(_HASHER.hash(password.reveal()))


def _fits(kept: HashedPassword, password: Password) -> bool:
    try:
        return _HASHER.verify(kept.reveal(), password.reveal())
    except (VerificationError, InvalidHashError):
        return False
