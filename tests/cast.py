"""The cast: who is in every story, and how they stand. Nobody invents `user1`.

northside   a referring practice:   ada (admin), ben (physician), mia (member, not staff)
lakeside    a radiology group:      rui (admin)
harbor      both kinds at once:     zoe (admin)
newcomer    registered, pending:    nia (admin)
closed      suspended:              cal (admin)
and pat, who has an account and belongs nowhere
"""

from __future__ import annotations

import asyncio
import functools
import os
import socket
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import httpx
import msgspec
import uvicorn
from argon2 import PasswordHasher
from litestar import Litestar

from fakes.carrier import KeepingCarrier, ReceivedMail
from hospitium import settings
from hospitium.app import application, parts_of
from hospitium.bounded import BoundedProtocol
from hospitium.dispatch.mails import Dispatcher
from hospitium.doors import passwords
from hospitium.doors.unit_of_work import perform_as
from hospitium.engine import events
from hospitium.engine.accounts import actions as accounts
from hospitium.engine.accounts.actions import AccountForm
from hospitium.engine.accounts.record import Language
from hospitium.engine.actor import OPERATOR, SYSTEM, Role
from hospitium.engine.context import Context
from hospitium.engine.ids import new_id
from hospitium.engine.memberships import actions as memberships
from hospitium.engine.organizations import actions as organizations
from hospitium.engine.organizations.actions import OrganizationForm
from hospitium.engine.organizations.record import OrganizationStatus, OrganizationType
from hospitium.engine.permissions import Permission
from hospitium.engine.secrets import HashedPassword, Password, seed
from hospitium.engine.sessions import actions as sessions
from hospitium.engine.sessions.record import REFRESH_PURPOSE
from hospitium.engine.verify import verify
from hospitium.observed import Observed
from hospitium.outside.letters.writing import Letterhead
from hospitium.storage.database import Database
from hospitium.storage.keyring import Keyring
from openapi.documented import Documented

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
    from pathlib import Path

    from hospitium.doors.surroundings import Surroundings

PASSWORD = "correct horse battery"
# What makes a password hard to guess makes each of thousands of sign-ins slow: here they are hashed as cheaply as can be. Commands,
# which are processes of their own, know nothing of this, and a test that is about the slowness has it back (`slow_hash`).
SLOW_HASHER = passwords._HASHER
passwords._HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
CHECKED = "HOSPITIUM_CHECK_ANSWERS" in os.environ  # every answer of every test against /openapi.json
START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

ORGANIZATIONS = {
    "northside": (OrganizationType.REFERRING, OrganizationStatus.ACTIVE, "Northside Family Practice"),
    "lakeside": (OrganizationType.RADIOLOGY, OrganizationStatus.ACTIVE, "Lakeside Imaging"),
    "harbor": (OrganizationType.BOTH, OrganizationStatus.ACTIVE, "Harbor Medical Center"),
    "newcomer": (OrganizationType.REFERRING, OrganizationStatus.PENDING, "Newcomer Pediatrics"),
    "closed": (OrganizationType.RADIOLOGY, OrganizationStatus.SUSPENDED, "Closed Radiology"),
}
PEOPLE: dict[str, tuple[str | None, Role]] = {
    "ada": ("northside", Role.ADMIN),
    "ben": ("northside", Role.PHYSICIAN),
    "mia": ("northside", Role.MEMBER),
    "rui": ("lakeside", Role.ADMIN),
    "zoe": ("harbor", Role.ADMIN),
    "nia": ("newcomer", Role.ADMIN),
    "cal": ("closed", Role.ADMIN),
    "pat": (None, Role.MEMBER),
}


_DESCRIBED: dict[str | None, Any] = {}
_DOCUMENTED: dict[int, Documented] = {}
_FREE: list[Litestar] = []


def _application(parts: Surroundings) -> Observed:
    """Make an application of these parts, or use one again whose house is closed: making one takes longer than most tests."""
    if not _FREE:
        return application(parts)
    app = _FREE.pop()
    app.state["surroundings"] = parts
    return Observed(app, parts)


@functools.cache
def _hash_of_the_cast(_: PasswordHasher) -> HashedPassword:
    return passwords.hash_now(Password(PASSWORD))


def _documented(described: dict[str, Any]) -> Documented:
    """Make what holds answers against a document, or use it again: it makes a validator of each schema it meets."""
    if id(described) not in _DOCUMENTED:
        # It keeps the document, so that no other gets its id.
        _DOCUMENTED[id(described)] = Documented(described)
    return _DOCUMENTED[id(described)]


class MovableClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        # A microsecond a look, so that two deeds never carry the same instant.
        self.now += timedelta(microseconds=1)
        return self.now

    def advance(self, **span: float) -> None:
        self.now += timedelta(**span)


class Caller:
    """Somebody at the door: a person of the cast with a token, or a stranger without."""

    def __init__(
        self, http: httpx.AsyncClient, token: str | None = None, organization: str | None = None
    ) -> None:
        self.http = http
        self.token = token
        self.organization = organization

    @property
    def headers(self) -> dict[str, str]:
        return {} if self.token is None else {"Authorization": f"Bearer {self.token}"}

    async def get(self, path: str, **query: Any) -> httpx.Response:
        return await self.http.get(path, params=query or None, headers=self.headers)

    async def post(self, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """POST a value as JSON; None sends no body at all, but its content type, as the reference document does."""
        content = None if body is None else msgspec.json.encode(body)
        every = {
            "Content-Type": "application/json",
            **self.headers,
            **{k.replace("_", "-"): v for k, v in headers.items()},
        }
        return await self.http.post(path, content=content, headers=every)

    async def send(self, method: str, path: str, content: bytes = b"", **headers: str) -> httpx.Response:
        """Send exactly these bytes."""
        every = {**self.headers, **{k.replace("_", "-"): v for k, v in headers.items()}}
        return await self.http.request(method, path, content=content, headers=every)

    # -- the moves of a partnership, each returning what the door answers --

    async def asks(self, target: UUID | str, message: str | None = None, **headers: str) -> httpx.Response:
        body: dict[str, Any] = {"targetOrganizationId": str(target)}
        if message is not None:
            body["message"] = message
        return await self.post("/api/connections/request", body, **headers)

    async def does(self, verb: str, connection_id: UUID | str, body: Any = None) -> httpx.Response:
        """approve, reject, cancel, resend, terminate, reestablish."""
        return await self.post(f"/api/connections/{connection_id}/{verb}", body)

    async def sees(self, connection_id: UUID | str) -> httpx.Response:
        return await self.get(f"/api/connections/{connection_id}")


class House:
    """A running server, its database, and the cast."""

    def __init__(
        self,
        base_url: str,
        database: Database,
        parts: Surroundings,
        clock: MovableClock,
        http: httpx.AsyncClient,
    ) -> None:
        self.base_url = base_url
        self.database = database
        self.parts = parts
        self.clock = clock
        self.http = http
        self.stranger = Caller(http)
        self.organizations: dict[str, UUID] = {}
        self.accounts: dict[str, UUID] = {}
        self.callers: dict[str, Caller] = {}

    def __getattr__(self, name: str) -> Any:
        """`house.ada` is a Caller with a session; `house.lakeside` is the id of an organization."""
        if name in PEOPLE:
            return self.callers[name]
        if name in ORGANIZATIONS:
            return self.organizations[name]
        raise AttributeError(name)

    @classmethod
    @asynccontextmanager
    async def open(
        cls, database_url: str, clock: MovableClock, keys: Path, environment: dict[str, str] | None = None
    ) -> AsyncIterator[House]:
        """Open a server on a free port with the cast in its database, which is empty or a copy of one where they are; `environment` holds
        settings by name."""
        database = await Database.open(database_url, size=20, patience=30)
        chosen = settings.read({"HOSPITIUM_DATA": str(keys.parent), **(environment or {})})
        listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        # asyncio turns Nagle off only where a socket names its protocol, and this one doesn't: 40 ms an answer.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        parts = parts_of(database, Keyring.load(keys, clock(), make=True), chosen, base_url, clock)
        # The document is the same for every house of this process: putting it together takes longer than most tests.
        parts = parts._replace(api=_DESCRIBED.setdefault(chosen.public_url, parts.api))
        served = _application(parts)
        server = uvicorn.Server(
            uvicorn.Config(
                served,
                http=BoundedProtocol,
                timeout_keep_alive=600,  # a slow machine is not what is tested
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,  # as `serve` has it: uvicorn would believe this machine whatever it says
            )
        )
        server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
        serving = asyncio.create_task(server._serve([listener]))
        limits = httpx.Limits(max_connections=200, max_keepalive_connections=100)
        try:
            hooks = [_documented(parts.api.described).insist] if CHECKED else []
            # verify: to read whom a TLS client believes takes as long as half the cast, and nothing here is TLS.
            async with httpx.AsyncClient(
                base_url=base_url, timeout=60, limits=limits, event_hooks={"response": hooks}, verify=False
            ) as http:
                house = cls(base_url, database, parts, clock, http)
                await house._meet_the_cast()
                while not server.started:
                    await asyncio.sleep(0.005)
                yield house
        finally:
            await stop(server, serving)
            listener.close()
            parts.passwords.close()
            await database.close()
            _FREE.append(served._app)  # type: ignore[arg-type]

    async def operate(
        self, deed: Callable[[Context], Awaitable[Any]], permission: Permission = Permission.IMPORT_WORLD
    ) -> Any:
        """Run a deed as the operator."""
        return await perform_as(self.database, self.clock, OPERATOR, permission, deed)

    async def sweep(self, deed: Callable[[Context], Awaitable[bool]]) -> None:
        """Run a sweep until it finds nothing more."""
        while await perform_as(self.database, self.clock, SYSTEM, Permission.SEE_HEALTH, deed):
            pass

    def dispatcher(self, carrier: Any) -> Dispatcher:
        """Make a dispatcher of this house, which hands its mails to a carrier."""
        return Dispatcher(self.database, self.clock, carrier, Letterhead(self.base_url, self.parts.link_keys))

    async def mails(self, *, to: str | None = None) -> list[ReceivedMail]:
        """Have all that is due sent, and return it (`to` one address only), in the order in which it was queued."""
        carrier = KeepingCarrier()
        await self.dispatcher(carrier).drain()
        received = sorted(map(ReceivedMail, carrier.kept), key=lambda mail: mail.message["Message-ID"])
        return [mail for mail in received if to in (None, mail.to)]

    async def add_organization(
        self,
        code: str,
        type_: OrganizationType = OrganizationType.REFERRING,
        status: OrganizationStatus = OrganizationStatus.ACTIVE,
        name: str | None = None,
        **more: Any,
    ) -> UUID:
        """Add an organization to the world; return its id."""
        return await self.operate(lambda ctx: self._found(ctx, code, type_, status, name, **more))  # type: ignore[no-any-return]

    async def _found(
        self,
        ctx: Context,
        code: str,
        type_: OrganizationType,
        status: OrganizationStatus,
        name: str | None,
        **more: Any,
    ) -> UUID:
        form = OrganizationForm(name=name or code.title(), type=type_, **more)
        self.organizations[code] = (await organizations.create(ctx, code, form, status)).id
        return self.organizations[code]

    async def add_person(self, name: str, organization: str | None, role: Role = Role.ADMIN) -> Caller:
        """Add a person with a session, acting for an organization of this world; return the caller."""
        account_id = await self.operate(lambda ctx: self._let_in(ctx, name, organization, role))
        return Caller(self.http, await self._token_of(account_id, organization, role), organization)

    async def _let_in(self, ctx: Context, name: str, organization: str | None, role: Role) -> UUID:
        form = AccountForm(
            email=f"{name}@{organization or 'mail'}.example",
            first_name=name.title(),
            last_name="Cast",
            verified=True,
        )
        account = await accounts.create(ctx, form, _hash_of_the_cast(passwords._HASHER))
        if organization is not None:
            await memberships.add(ctx, account.id, self.organizations[organization], role)
        self.accounts[name] = account.id
        return account.id

    async def _token_of(self, account_id: UUID, organization: str | None, role: Role) -> str:
        async with self.database.transaction() as tx:
            session_id = await self._sign_in(tx, account_id, organization)
        return self._token(session_id, account_id, organization, role)

    async def _sign_in(self, tx: Any, account_id: UUID, organization: str | None) -> UUID:
        """Start a session without the slow hash, and without asking whether the organization is active; return its id."""
        session_id, now = new_id(self.clock()), self.clock()
        refresh = seed(self.parts.link_key, REFRESH_PURPOSE, new_id(now))
        await tx.execute(
            "INSERT INTO sessions (id, account_id, organization_id, started_at, expires_at) VALUES ($1, $2, $3, $4, $5)",
            session_id, account_id, self.organizations[organization] if organization else None, now, now + timedelta(days=3650),
        )  # fmt: skip
        await tx.execute(
            "INSERT INTO refresh_tokens (id, session_id, key_number, nonce, digest, issued_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
            refresh.row_id, session_id, refresh.key_number, refresh.nonce, refresh.digest, now, now + timedelta(days=7),
        )  # fmt: skip
        return session_id

    def _token(self, session_id: UUID, account_id: UUID, organization: str | None, role: Role) -> str:
        now = self.clock()
        session = sessions.Session(
            session_id, account_id, self.organizations[organization] if organization else None, now, now
        )
        account = accounts.Account(
            account_id, "", "", None, None, Language.ENGLISH, accounts.AccountStatus.ACTIVE, False, None, now
        )
        # Good for ten years, so that stories may move the clock; what ends sessions has tests of its own.
        return self.parts.access_tokens.mint(
            sessions.SignedIn(session, account, None), role, now + timedelta(days=3650)
        )

    async def _meet_the_cast(self) -> None:
        """Learn who is in the database; if nobody is, add all of them."""
        async with self.database.transaction() as tx:
            self.organizations = dict(await tx.fetch("SELECT code, id FROM organizations"))
            if not self.organizations:
                await self.gather_the_cast(tx)
            if passwords._HASHER is SLOW_HASHER:
                slowly = _hash_of_the_cast(SLOW_HASHER).reveal()
                await tx.execute("UPDATE accounts SET password_hash = $1", slowly)
            found = await tx.fetch(
                "SELECT lower(first_name), sessions.id, account_id FROM sessions JOIN accounts ON accounts.id = account_id"
            )
        self.clock.advance(milliseconds=1)  # what is there has happened, whoever's clock said when
        for name, session_id, account_id in found:
            organization, role = PEOPLE[name]
            self.accounts[name] = account_id
            token = self._token(session_id, account_id, organization, role)
            self.callers[name] = Caller(self.http, token, organization)

    async def gather_the_cast(self, tx: Any) -> None:
        """Add all of them, each at an instant of its own."""
        for code, (type_, status, name) in ORGANIZATIONS.items():
            ctx = Context(tx, OPERATOR, self.clock())
            desk = f"desk@{code}.example"
            await self._found(ctx, code, type_, status, name, contact_email=desk, specialties=["imaging"])
        for name, (organization, role) in PEOPLE.items():
            account_id = await self._let_in(Context(tx, OPERATOR, self.clock()), name, organization, role)
            await self._sign_in(tx, account_id, organization)

    async def trail(self, party: UUID, *, since: int = 0) -> list[str]:
        """Return the kinds of the events in a party's trail, in order, after the first `since`."""
        async with self.database.transaction() as tx:
            found = await events.TRAIL.all(tx, party_id=party)
        return [event.kind.value for event in found][since:]

    async def rows(self, sql: str, *values: Any) -> list[Any]:
        """Look into the database."""
        async with self.database.transaction() as tx:
            return list(await tx.fetch(sql, *values))

    async def must_be_sound(self) -> None:
        """Fail if anything that must be true of the data is not."""
        async with self.database.transaction() as tx:
            violations = await verify(tx, self.parts.rules, self.clock())
        assert violations == []


async def contents(connection: Any, tables: Iterable[str]) -> dict[str, list[str]]:
    """Return every row of these tables, as text and in order; with one question, for it is asked around every refusal."""
    each = (f"SELECT '{name}', array(SELECT t::text FROM \"{name}\" AS t ORDER BY 1)" for name in tables)
    return dict(await connection.fetch(" UNION ALL ".join(each)))


async def stop(server: uvicorn.Server, serving: asyncio.Task[None]) -> None:
    """Stop a server in order, at once: uvicorn sleeps a tenth of a second before that and another in it, longer than most tests."""
    serving.cancel()
    with suppress(asyncio.CancelledError):
        await serving
    for listening in server.servers:
        listening.close()
    for connection in list(server.server_state.connections):
        connection.shutdown()  # what is in flight is finished
    while server.server_state.connections or server.server_state.tasks:
        await asyncio.sleep(0.001)


def data(response: httpx.Response, status: int = 200) -> Any:
    """Return the `data` of an answer of the RadOrderPad surface, and insist on its status."""
    assert response.status_code == status, response.text
    body = response.json()
    assert body["success"] is True
    return body["data"]


def refusal(response: httpx.Response, status: int, code: str) -> Any:
    """Return the body of a refusal of the RadOrderPad surface, and insist on its status and code."""
    assert (response.status_code, response.json()["error"]["code"]) == (status, code), response.text
    assert response.json()["success"] is False
    return response.json()


async def connected(asker: Caller, target_id: UUID, answerer: Caller) -> str:
    """Connect two organizations; return the connection's id."""
    connection_id = data(await asker.asks(target_id), 201)["connectionId"]
    data(await answerer.does("approve", connection_id))
    return connection_id
