"""The pool of connections, and the one place in the house that commits.

A deed is whole or not at all: whoever writes does so inside `Database.transaction()`, and leaving it commits.
"""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import asyncpg
import msgspec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from asyncpg.pool import PoolConnectionProxy

    _Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]
    Transaction: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"

_UNAVAILABLE = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # it stops, crashes, starts up, or somebody there ended our statement
    asyncpg.InsufficientResourcesError,  # connections, memory, disk
    asyncpg.PostgresSystemError,
    asyncpg.ReadOnlySQLTransactionError,  # a replica that isn't the primary yet
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.LockNotAvailableError,  # somebody holds a row for very long: waiting again would only hold up more
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # how the driver puts it when the server says farewell between two statements
    OSError,
    TimeoutError,
)
# At the start these are a wrong address, as a server that doesn't answer is; later they would be a mistake of ours.
_CANT_ENTER = (
    *_UNAVAILABLE,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
)
_COLLISIONS = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)


READERS = 3
"""How many connections there are for `reading`, besides those of the pool; and one more for `answers`. Whoever reads together takes turns by
itself, so that there is one for each at any time: two for questions, one for readers of FHIR servers."""
# A transaction that was forgotten, or waits behind one, must not hold others up for ever.
_SESSION = {
    "application_name": "hospitium",
    "timezone": "UTC",
    "lock_timeout": "20s",
    "idle_in_transaction_session_timeout": "60s",
}


# Some statements are written in the order in which they are to be walked, by indexes, be there ever so many rows: which a planner
# without statistics can't know, nor one that takes an average for what everybody has.
_AS_WRITTEN = {
    "join_collapse_limit": "1",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_sort": "off",
    "jit": "off",
}
_WALK = "SELECT " + ", ".join(f"set_config('{name}', '{value}', true)" for name, value in _AS_WRITTEN.items())


class DatabaseUnavailable(Exception):
    """The database can't be reached, or broke off; nothing was acknowledged. Worth trying again."""


class Collision(Exception):
    """PostgreSQL ended this transaction for another's sake (deadlock, serialization). Nothing of it remains."""


class PoolState(NamedTuple):
    """How many connections are open, of those idle, how many may be open, and how many transactions wait for one."""

    size: int
    idle: int
    most: int
    waiting: int


@contextmanager
def _our_words() -> Iterator[None]:
    """Say what PostgreSQL and its driver raise as DatabaseUnavailable or Collision."""
    try:
        yield
    except _COLLISIONS as reason:
        raise Collision from reason
    except _UNAVAILABLE as reason:
        raise DatabaseUnavailable(type(reason).__name__) from reason


class Database:
    """A pool of connections to one PostgreSQL database, a small one for what is asked in one statement, and a connection for asking
    whether it is there."""

    def __init__(self, pool: _Pool, readers: _Pool, probe: _Pool, patience: float) -> None:
        self._pool = pool
        self._readers = readers
        self._probe = probe
        self._patience = patience
        self._waiting = 0

    @classmethod
    async def open(cls, url: str, *, size: int = 10, patience: float = 10.0) -> Database:
        """Open a pool of at most `size` connections; `patience` is how many seconds one waits for a free one."""

        def pool(least: int, most: int, **session: str) -> Any:
            return asyncpg.create_pool(
                url,
                min_size=least,
                max_size=most,
                init=_prepare,
                reset=_nothing_to_reset,
                command_timeout=60,
                timeout=patience,
                server_settings={**_SESSION, **session},
            )

        try:
            # Nobody connects until somebody asks. Its statements take lists of any length, of which a plan for each would cost more
            # than what it finds.
            readers = await pool(0, READERS, plan_cache_mode="force_generic_plan", **_AS_WRITTEN)
            return cls(await pool(min(2, size), size), readers, await pool(0, 1), patience)
        except _CANT_ENTER as reason:
            raise DatabaseUnavailable(str(reason)) from reason

    async def close(self) -> None:
        await self._probe.close()
        await self._readers.close()
        await self._pool.close()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Lend a connection inside a transaction (READ COMMITTED): commit on leaving, roll back on an exception.

        Raises DatabaseUnavailable, Collision; what the body raises passes through.
        """
        with _our_words():
            async with self._connection() as connection, connection.transaction():
                yield connection

    @asynccontextmanager
    async def each_alone(self) -> AsyncIterator[Transaction]:
        """Lend a connection outside any transaction: each statement is one by itself, whole or not at all, in one round trip for three. For
        one statement that writes, or some that only read.

        Raises DatabaseUnavailable, Collision; what the body raises passes through.
        """
        with _our_words():
            async with self._connection() as connection:
                yield connection

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Transaction]:
        """Lend one of a few connections for one statement that changes nothing: it is a transaction by itself, which spares two round
        trips, and is planned once.

        Raises DatabaseUnavailable, Collision; what the body raises passes through.
        """
        with _our_words():
            async with self._readers.acquire(timeout=self._patience) as connection:
                yield connection

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Transaction]:
        self._waiting += 1
        try:
            connection = await self._pool.acquire(timeout=self._patience)
        finally:
            self._waiting -= 1
        try:
            yield connection
        finally:
            await self._pool.release(connection)

    def pool(self) -> PoolState:
        """Return how the pool stands at this moment."""
        pool = self._pool
        return PoolState(pool.get_size(), pool.get_idle_size(), pool.get_max_size(), self._waiting)

    async def answers(self) -> bool:
        """Whether the database answers a statement now, however many wait for a connection of the pool: a balancer that took this
        server out for being asked much would send all of it to the next."""
        try:
            async with self._probe.acquire(timeout=2) as connection:
                return bool(await connection.fetchval("SELECT true", timeout=2))
        except (*_UNAVAILABLE, asyncpg.PostgresError):
            return False


async def as_written(tx: Transaction) -> None:
    """Have the statements of a transaction walked as they are written, from here on: for lists that go on after a key."""
    await tx.execute(_WALK)


async def wait_briefly(tx: Transaction) -> None:
    """Let a transaction wait for a lock no longer than 200 ms from here on; DatabaseUnavailable then ends it.

    For what locks a whole table: while it waits behind a long reader, everybody who comes after waits behind it.
    """
    await tx.execute("SET LOCAL lock_timeout = '200ms'")


async def connect(url: str) -> asyncpg.Connection[asyncpg.Record]:
    """Open one connection beside any pool. Raises DatabaseUnavailable."""
    try:
        return await asyncpg.connect(url)
    except _CANT_ENTER as reason:
        raise DatabaseUnavailable(str(reason)) from reason


def _to_json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


async def _prepare(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=_to_json, decoder=msgspec.json.decode, format="text"
    )


async def _nothing_to_reset(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """Spare a round trip on every release: no statement of ours leaves anything behind outside its transaction."""
