"""The composition root: the one file that knows everybody. It reads the settings, opens what they name, and puts the parts
together; nothing else in the house does."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
from contextlib import asynccontextmanager, nullcontext, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import asyncpg
import msgspec
import structlog
from litestar import Litestar
from litestar.datastructures import State

from hospitium import __version__, logs
from hospitium.dispatch import loop as dispatch, sweeps
from hospitium.dispatch.mails import Dispatcher
from hospitium.doors.access_tokens import AccessTokens
from hospitium.doors.authzen import errors as authzen_errors, routes as authzen
from hospitium.doors.authzen.questions import Questions
from hospitium.doors.bluebutton import errors as bluebutton_errors, routes as bluebutton
from hospitium.doors.catching_up import catching_up
from hospitium.doors.cli.house import Installation
from hospitium.doors.console import errors as console_errors, routes as console
from hospitium.doors.fhir import gateway
from hospitium.doors.medable import errors as medable_errors, routes as medable
from hospitium.doors.native import errors as native_errors, routes as native
from hospitium.doors.openapi.published import Published
from hospitium.doors.passwords import PasswordGate
from hospitium.doors.radorderpad import errors as radorderpad_errors, routes as radorderpad
from hospitium.doors.readers import Readers
from hospitium.doors.reading import Reading
from hospitium.doors.recording import Recorder
from hospitium.doors.routing import undeclared
from hospitium.doors.service_key_use import ServiceKeyUse
from hospitium.doors.streams import Streams
from hospitium.doors.surroundings import Surroundings
from hospitium.doors.turns import Turns
from hospitium.doors.unit_of_work import UnitOfWork, perform_as
from hospitium.edge import Edge
from hospitium.engine.actor import OPERATOR
from hospitium.engine.context import Context
from hospitium.engine.deliveries import backlog as mails_behind
from hospitium.engine.epochs import actions as epochs
from hospitium.engine.sealing import SealingKey
from hospitium.engine.secrets import DerivationKey
from hospitium.engine.trail import backlog as seals_behind
from hospitium.engine.trail.signing import SealKeys
from hospitium.observed import Observed, watching
from hospitium.outside.fhir import RemoteFhir
from hospitium.outside.http import Egress
from hospitium.outside.letters.writing import Letterhead
from hospitium.outside.mailbox import MailboxDirectory, mailbox_in
from hospitium.outside.smtp import SmtpServer, smtp_address
from hospitium.settings import WrongSetting
from hospitium.storage import schema
from hospitium.storage.backup import Programs
from hospitium.storage.database import Database
from hospitium.storage.embedded import EmbeddedFailure, EmbeddedPostgres, installed_binaries
from hospitium.storage.keyring import KeyProblem, KeyPurpose, Keyring
from hospitium.tracing import Tracing, TracingMissing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from litestar import Request, Response

    from hospitium.doors.surroundings import Clock
    from hospitium.engine.partnerships.rules import PartnershipRules
    from hospitium.engine.permissions import Permission
    from hospitium.settings import Settings

T = TypeVar("T")
SURFACES = (radorderpad.SURFACE, medable.SURFACE, bluebutton.SURFACE, authzen.SURFACE, native.SURFACE)
DATABASE_NAME = "hospitium"
WATCH_PAUSE = 1.0  # seconds
_log = structlog.get_logger("hospitium.app")


def system_clock() -> datetime:
    """Return the current instant, in UTC."""
    return datetime.now(UTC)


def application(parts: Surroundings) -> Observed:
    """Put the doors together as one ASGI application. Raises RuntimeError if a route declares no permission."""
    app = Litestar(
        [
            radorderpad.router(),
            medable.router(),
            bluebutton.router(),
            authzen.router(),
            native.router(),
            console.router(),
            gateway.mount(),
        ],
        middleware=[catching_up],
        exception_handlers={Exception: _answer_where_no_router_matched},
        openapi_config=None,
        logging_config=None,
        state=State({"surroundings": parts}),
    )
    if missing := undeclared(app):
        raise RuntimeError(f"these routes declare no permission: {', '.join(missing)}")
    return Observed(app, parts)


def _answer_where_no_router_matched(request: Request[Any, Any, Any], problem: Exception) -> Response[bytes]:
    """Pick the door by the path, so that even its missing addresses speak its language."""
    if f"{request.scope['path']}/".startswith("/api/"):
        return radorderpad_errors.answer_exception(request, problem)
    if f"{request.scope['path']}/".startswith(console.PLACES):
        return console_errors.answer_exception(request, problem)
    if f"{request.scope['path']}/".startswith(bluebutton.PLACES):
        return bluebutton_errors.answer_exception(request, problem)
    if f"{request.scope['path']}/".startswith(authzen.PLACES):
        return authzen_errors.answer_exception(request, problem)
    if f"{request.scope['path']}/".startswith(gateway.PLACES):
        return gateway.answer_exception(request, problem)
    if request.scope["path"].split("/")[2:3] == ["v2"]:
        return medable_errors.answer_exception(request, problem)
    return native_errors.answer_exception(request, problem)


def parts_of(
    database: Database, keyring: Keyring, settings: Settings, issuer: str, clock: Clock = system_clock
) -> Surroundings:
    """Make the parts that doors use, from what is open."""
    from hospitium.metrics import Gauges, Metrics  # noqa: PLC0415  only a server counts

    access_tokens = AccessTokens(issuer, keyring)
    service_key_use = ServiceKeyUse(database, clock)
    passwords = PasswordGate(at_once=settings.passwords_at_once, waiting=settings.passwords_waiting)
    gauges = Gauges(database, clock)
    gauges.add(mails_behind.SENTENCES, mails_behind.backlog)
    gauges.add(seals_behind.SENTENCES, seals_behind.backlog)
    metrics = Metrics(database, passwords, gauges, settings.metrics_token)
    tracing = _tracing_to(settings.tracing_endpoint)
    egress = Egress()
    watch = watching(metrics, tracing)
    return Surroundings(
        database=database,
        work=UnitOfWork(database, clock, access_tokens, watch, seen=service_key_use.seen),
        questions=Questions(database, clock, watch, service_key_use.note),
        access_tokens=access_tokens,
        service_key_use=service_key_use,
        passwords=passwords,
        link_keys=link_keys_of(keyring),
        peppers=peppers_of(keyring),
        sealing_keys=sealing_keys_of(keyring),
        egress=egress,
        remote_fhir=RemoteFhir(egress, clock),
        recorder=Recorder(database, clock),
        reading=Reading(Readers(database, clock, access_tokens, watch)),
        invite_life=settings.invite_life,
        rules=settings.rules,
        registration=settings.registration,
        public_url=issuer,
        api=Published(SURFACES, __version__, settings.public_url),
        limits=settings.limits,
        trusted_proxies=settings.trusted_proxies,
        edge=Edge(
            public_url=settings.public_url,
            allowed_hosts=settings.allowed_hosts,
            cors_origins=settings.cors_origins,
            trusted_proxies=settings.trusted_proxies,
        ),
        metrics=metrics,
        tracing=tracing,
        streams=Streams(),
        turns=Turns(),
        stopping=asyncio.Event(),
    )


def _tracing_to(endpoint: str | None) -> Tracing | None:
    try:
        return None if endpoint is None else Tracing(endpoint)
    except TracingMissing as reason:
        raise WrongSetting(str(reason)) from None


def link_keys_of(keyring: Keyring) -> dict[int, DerivationKey]:
    """Return the keys from which the tokens of links are derived, by their numbers."""
    return {key.number: DerivationKey(key.number, key.material()) for key in keyring.all(KeyPurpose.LINKS)}


def peppers_of(keyring: Keyring) -> dict[int, DerivationKey]:
    """Return the keys behind which the codes of invites are kept, by their numbers."""
    return {key.number: DerivationKey(key.number, key.material()) for key in keyring.all(KeyPurpose.CODES)}


def sealing_keys_of(keyring: Keyring) -> dict[int, SealingKey]:
    """Return the keys that seal what has to be read again, by their numbers."""
    return {key.number: SealingKey(key.number, key.material()) for key in keyring.all(KeyPurpose.CREDENTIALS)}


class Composition:
    """What the command line works with: this process's settings, and the means to open what they name."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @property
    def rules(self) -> PartnershipRules:
        return self.settings.rules

    @property
    def invite_life(self) -> timedelta | None:
        return self.settings.invite_life

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

    def link_key(self) -> DerivationKey:
        """Return the newest key from which the tokens of links are derived. Raises KeyProblem."""
        keys = link_keys_of(self.keyring())
        return keys[max(keys)]

    def pepper(self) -> DerivationKey:
        """Return the newest key behind which the codes of invites are kept. Raises KeyProblem."""
        keys = peppers_of(self.keyring())
        return keys[max(keys)]

    def sealing_key(self) -> SealingKey:
        """Return the newest key that seals what has to be read again. Raises KeyProblem."""
        keys = sealing_keys_of(self.keyring())
        return keys[max(keys)]

    def make_keys(self) -> Keyring:
        """Make the keys that aren't there, in the directory that was named or the one in the data directory."""
        return Keyring.load(self.settings.keys, system_clock(), make=True)

    def kept_keys(self) -> Keyring:
        """Return the keys that are there, and make none. Raises KeyProblem."""
        return Keyring.load(self.settings.keys, system_clock(), make=False)

    def programs(self) -> Programs:
        """Return where PostgreSQL's programs are that fit this database's server."""
        if self.settings.database_url is None:
            return Programs(self.settings.pg_bin or installed_binaries())
        return Programs(self.settings.pg_bin)

    def installation(self) -> Installation:
        """Return how this process is set up."""
        settings = self.settings
        return Installation(
            data=settings.data,
            keys=settings.keys,
            is_embedded=settings.database_url is None,
            database_connections=settings.database_connections,
            public_url=settings.public_url,
            trusted_proxies=tuple(str(network) for network in settings.trusted_proxies),
        )

    def mail_server(self) -> SmtpServer | None:
        """Return the mail server that is set, if one is; who asked closes it."""
        url = self.settings.smtp_url
        host = urlsplit(self.settings.public_url or "").hostname
        return (
            None if url is None else SmtpServer(smtp_address(url.reveal()), host or "localhost", patience=10)
        )

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
        from hospitium.metrics import MetricsAlone  # noqa: PLC0415  only a server needs it
        from hospitium.serving import StoppingInOrder, serving_beside  # noqa: PLC0415  only a server needs it

        logs.configure(self.settings.log_level)
        keyring, public_url = self.keyring(), self.settings.public_url
        async with (
            _listening(host, port) as listener,
            self._metrics_listener() as metrics_listener,
            self.database() as database,
        ):
            await _must_agree(database, keyring)
            address = f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"
            parts = parts_of(database, keyring, self.settings, public_url or address)
            server = StoppingInOrder(
                application(parts),
                parts.stopping,
                drain=self.settings.drain_seconds,
                announce=lambda: announce(address),
            )
            sweeping = asyncio.create_task(dispatch.run_for_ever(database, system_clock))
            sealing = asyncio.create_task(
                dispatch.run_for_ever(database, system_clock, (sweeps.sealing(SealKeys.of(keyring)),))
            )
            mailing = asyncio.create_task(self._send_mails(database, keyring, public_url or address))
            noting = asyncio.create_task(parts.service_key_use.run_for_ever())
            _keep_what_is_loaded()
            try:
                async with serving_beside(MetricsAlone(parts.metrics), metrics_listener):
                    await server.serve(sockets=[listener])
            finally:
                for task in (sweeping, sealing, mailing, noting):
                    task.cancel()
                    with suppress(asyncio.CancelledError):
                        await task
                await parts.service_key_use.write_down()
                parts.passwords.close()
                await parts.egress.close()
                if parts.tracing is not None:
                    await parts.tracing.close()

    async def dispatch(self, *, once: bool) -> dict[str, int]:
        """Send the mails that are due, once or until told to stop; return how many tries had which outcome.

        Raises WrongSetting, and what `database` and `keyring` raise.
        """
        logs.configure(self.settings.log_level)
        public_url = self.settings.public_url
        if public_url is None:
            raise WrongSetting(
                "PUBLIC_URL must be set for mails to be sent apart from `serve`: their links are made from it"
            )
        keyring = self.keyring()
        async with self.database() as database:
            await _must_agree(database, keyring)
            async with self._dispatcher(database, keyring, public_url) as dispatcher:
                if once:
                    return {status.value: count for status, count in (await dispatcher.drain()).items()}
                running = asyncio.create_task(dispatcher.run_for_ever())
                for stop in (signal.SIGINT, signal.SIGTERM):
                    asyncio.get_running_loop().add_signal_handler(stop, running.cancel)
                with suppress(asyncio.CancelledError):
                    await running
                return {}

    async def _send_mails(self, database: Database, keyring: Keyring, public_url: str) -> None:
        if self.settings.dispatch:
            async with self._dispatcher(database, keyring, public_url) as dispatcher:
                await dispatcher.run_for_ever()

    @asynccontextmanager
    async def _dispatcher(
        self, database: Database, keyring: Keyring, public_url: str
    ) -> AsyncIterator[Dispatcher]:
        settings = self.settings
        head = Letterhead(public_url, link_keys_of(keyring), settings.mail_from, settings.mail_reply_to)
        if settings.smtp_url is None:
            yield Dispatcher(database, system_clock, MailboxDirectory(mailbox_in(settings.data)), head)
            return
        server = SmtpServer(smtp_address(settings.smtp_url.reveal()), head.host)
        try:
            yield Dispatcher(database, system_clock, server, head)
        finally:
            await server.close()

    def _metrics_listener(self) -> AbstractAsyncContextManager[socket.socket | None]:
        if self.settings.metrics_port is None:
            return nullcontext()
        return _listening(
            self.settings.metrics_host, self.settings.metrics_port, "METRICS_HOST or METRICS_PORT"
        )


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


def _keep_what_is_loaded() -> None:
    """Leave what was loaded for good out of the search for what may go: a hundred thousand objects, looked through again and again
    for nothing. And search less often: one page of resources makes a thousand objects."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)


async def _must_agree(database: Database, keyring: Keyring) -> None:
    """Return if keys and database belong together; KeyProblem, RestoredElsewhere otherwise."""
    async with database.transaction() as tx:
        await keyring.agree_with(tx, system_clock())
        if not await epochs.settle(Context(tx, OPERATOR, system_clock())):
            raise RestoredElsewhere


class RestoredElsewhere(Exception):
    """The data was copied here or brought back, so what ended since may be alive in it."""

    def __init__(self) -> None:
        super().__init__(
            "this database was copied or restored by other means than `hospitium restore`, so what ended since the backup is "
            "alive in it again: run `hospitium restore begin` first"
        )


class PortTaken(Exception):
    """The address to listen at can't be had; the message names the mend."""


@asynccontextmanager
async def _listening(host: str, port: int, mend: str = "--host or --port") -> AsyncIterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as reason:
        raise PortTaken(
            f"can't listen at {host} port {port} ({str(reason.strerror).partition(' (')[0]}): choose another with {mend}"
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
