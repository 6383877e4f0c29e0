"""The composition root: the one file that knows everybody. It reads the settings, opens what they name, and puts the parts
together; nothing else in the house does."""

from __future__ import annotations

import asyncio
import signal
import socket
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import asyncpg
import msgspec
import structlog
from litestar import Litestar
from litestar.datastructures import State

from hospitium import logs
from hospitium.dispatch import loop as dispatch
from hospitium.doors.access_tokens import AccessTokens
from hospitium.doors.native import errors as native_errors, routes as native
from hospitium.doors.passwords import PasswordGate
from hospitium.doors.radorderpad import errors as radorderpad_errors, routes as radorderpad
from hospitium.doors.routing import undeclared
from hospitium.doors.surroundings import Surroundings
from hospitium.doors.unit_of_work import UnitOfWork, perform_as
from hospitium.engine.actor import OPERATOR
from hospitium.engine.secrets import DerivationKey
from hospitium.observed import Observed
from hospitium.storage import schema
from hospitium.storage.database import Database
from hospitium.storage.embedded import EmbeddedFailure, EmbeddedPostgres
from hospitium.storage.keyring import KeyProblem, KeyPurpose, Keyring

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from pathlib import Path

    from litestar import Request, Response

    from hospitium.doors.surroundings import Clock
    from hospitium.engine.context import Context
    from hospitium.engine.partnerships.rules import PartnershipRules
    from hospitium.engine.permissions import Permission
    from hospitium.settings import Settings

T = TypeVar("T")
DATABASE_NAME = "hospitium"
WATCH_PAUSE = 1.0  # seconds
_log = structlog.get_logger("hospitium.app")


def system_clock() -> datetime:
    """Return the current instant, in UTC."""
    return datetime.now(UTC)


def application(parts: Surroundings) -> Observed:
    """Put the doors together as one ASGI application. Raises RuntimeError if a route declares no permission."""
    app = Litestar(
        [radorderpad.router(), native.router()],
        exception_handlers={Exception: _answer_where_no_router_matched},
        openapi_config=None,
        logging_config=None,
        state=State({"surroundings": parts}),
    )
    if missing := undeclared(app):
        raise RuntimeError(f"these routes declare no permission: {', '.join(missing)}")
    return Observed(app)


def _answer_where_no_router_matched(request: Request[Any, Any, Any], problem: Exception) -> Response[bytes]:
    """Pick the door by the path, so that even its missing addresses speak its language."""
    if f"{request.scope['path']}/".startswith("/api/"):
        return radorderpad_errors.answer_exception(request, problem)
    return native_errors.answer_exception(request, problem)


def parts_of(
    database: Database, keyring: Keyring, settings: Settings, issuer: str, clock: Clock = system_clock
) -> Surroundings:
    """Make the parts that doors use, from what is open."""
    access_tokens = AccessTokens(issuer, keyring)
    return Surroundings(
        database=database,
        work=UnitOfWork(database, clock, access_tokens),
        access_tokens=access_tokens,
        passwords=PasswordGate(at_once=settings.passwords_at_once, waiting=settings.passwords_waiting),
        link_keys={
            key.number: DerivationKey(key.number, key.material()) for key in keyring.all(KeyPurpose.LINKS)
        },
        rules=settings.rules,
        registration=settings.registration,
    )


class Composition:
    """What the command line works with: this process's settings, and the means to open what they name."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @property
    def rules(self) -> PartnershipRules:
        return self.settings.rules

    @asynccontextmanager
    async def database_url(self) -> AsyncIterator[str]:
        """Lend the URL of the database; of the embedded one, while it runs."""
        if self.settings.database_url is not None:
            yield self.settings.database_url.reveal()
            return
        embedded = EmbeddedPostgres(
            self.settings.data, binaries=self.settings.pg_bin, run_as=self.settings.pg_user
        )
        # Not in a thread: whoever is asked to stop meanwhile must not leave a server behind that nobody knows of.
        embedded.start()
        try:
            await _make_database(embedded)
            async with _watched(embedded):
                yield embedded.url(DATABASE_NAME)
        finally:
            embedded.stop()

    @asynccontextmanager
    async def database(self) -> AsyncIterator[Database]:
        """Lend the database; WrongSchema if it hasn't the schema this version needs."""
        async with self.database_url() as url:
            database = await Database.open(url, size=self.settings.database_connections)
            try:
                await schema.require_schema(database)
                yield database
            finally:
                await database.close()

    def keyring(self) -> Keyring:
        """Return the keys; KeyProblem if they must be there and aren't."""
        settings = self.settings
        if settings.database_url is not None and not settings.keys_are_named:
            raise KeyProblem(
                "with a DATABASE_URL the keys must be named, so that they are never made anew by mistake: set "
                "HOSPITIUM_KEYS to their directory (`hospitium keys make` makes them the first time)"
            )
        return Keyring.load(settings.keys, system_clock(), make=settings.database_url is None)

    def make_keys(self) -> Keyring:
        """Make the keys that aren't there, in the directory that was named or the one in the data directory."""
        return Keyring.load(self.settings.keys, system_clock(), make=True)

    async def migrate(self) -> tuple[str | None, str]:
        """Bring the database to this version's schema; return the schema before and after."""
        async with self.database_url() as url:
            return await schema.migrate(url)

    async def operate(self, permission: Permission, deed: Callable[[Context], Awaitable[T]]) -> T:
        """Run one deed as the operator."""
        async with self.database() as database:
            return await perform_as(database, system_clock, OPERATOR, permission, deed)

    def elsewhere(self, data: Path) -> Composition:
        """Return a composition with the same settings, but a data directory and an embedded database of its own."""
        return Composition(
            msgspec.structs.replace(self.settings, data=data, keys=data / "keys", database_url=None)
        )

    async def serve(self, host: str, port: int, announce: Callable[[str], None]) -> None:
        """Serve until told to stop; `announce` is called with the address once it answers.

        Raises PortTaken, and what `database` and `keyring` raise.
        """
        import uvicorn  # noqa: PLC0415  only a server needs it

        from hospitium.bounded import BoundedProtocol  # noqa: PLC0415  likewise

        class Announcing(uvicorn.Server):
            async def startup(self, sockets: list[socket.socket] | None = None) -> None:
                await super().startup(sockets)
                announce(address)

            @contextmanager
            def capture_signals(self) -> Iterator[None]:
                # Uvicorn's own way ends the process by the same signal again, before the database is stopped in order.
                events = asyncio.get_running_loop()
                for stop in (signal.SIGINT, signal.SIGTERM):
                    events.add_signal_handler(stop, self.handle_exit, stop, None)
                yield
                for stop in (signal.SIGINT, signal.SIGTERM):
                    events.remove_signal_handler(stop)

        logs.configure(self.settings.log_level)
        keyring = self.keyring()
        async with _listening(host, port) as listener, self.database() as database:
            async with database.transaction() as tx:
                await keyring.agree_with(tx, system_clock())
            address = f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"
            parts = parts_of(database, keyring, self.settings, self.settings.public_url or address)
            server = Announcing(
                uvicorn.Config(
                    application(parts),
                    http=BoundedProtocol,
                    lifespan="off",
                    log_config=None,
                    access_log=False,
                    server_header=False,
                    proxy_headers=False,
                    timeout_graceful_shutdown=20,
                )
            )
            sweeping = asyncio.create_task(dispatch.run_for_ever(database, system_clock))
            try:
                await server.serve(sockets=[listener])
            finally:
                sweeping.cancel()
                with suppress(asyncio.CancelledError):
                    await sweeping
                parts.passwords.close()


@asynccontextmanager
async def _watched(embedded: EmbeddedPostgres) -> AsyncIterator[None]:
    """Start the embedded database again whenever it is gone though nobody stopped it; recovery needs no human."""

    async def watch() -> None:
        while True:
            await asyncio.sleep(WATCH_PAUSE)
            if embedded.postmaster() is None:
                _log.warning("the embedded database is gone; starting it again")
                try:
                    await asyncio.to_thread(embedded.revive)
                except EmbeddedFailure as reason:
                    _log.error("the embedded database does not start", reason=str(reason))

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


class PortTaken(Exception):
    """The address to listen at can't be had; the message names the mend."""


@asynccontextmanager
async def _listening(host: str, port: int) -> AsyncIterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as reason:
        raise PortTaken(
            f"can't listen at {host} port {port} ({str(reason.strerror).partition(' (')[0]}): choose another with --host or --port"
        ) from None
    try:
        yield listener
    finally:
        listener.close()


async def _make_database(embedded: EmbeddedPostgres) -> None:
    connection = await asyncpg.connect(embedded.url("postgres"))
    try:
        if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", DATABASE_NAME):
            with suppress(asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError):
                await connection.execute(f"CREATE DATABASE {DATABASE_NAME}")
    finally:
        await connection.close()
