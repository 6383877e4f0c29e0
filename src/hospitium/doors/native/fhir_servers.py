"""FHIR servers of an organization: set up, changed and confirmed, tested, removed. What is shown to one is never shown here."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final
from uuid import UUID

from litestar import Request, Response
from msgspec import UNSET, UnsetType

from hospitium import __version__
from hospitium.doors import fhir_patients, json_body
from hospitium.doors.answers import Answer, answer, once, send
from hospitium.doors.named_ids import path_id
from hospitium.doors.native.account_shapes import DONE
from hospitium.doors.native.wire import Body, Wire, wire_names
from hospitium.doors.shapes import Instant, Line, Text, takes
from hospitium.doors.surroundings import surroundings
from hospitium.engine.errors import Invalid
from hospitium.engine.fhir_resources.capability import capability
from hospitium.engine.fhir_servers import actions, queries
from hospitium.engine.fhir_servers.actions import ServerChanges, ServerForm
from hospitium.engine.fhir_servers.authorities import LONGEST_PEM, MOST, AuthoritiesPem, authorities_in, told
from hospitium.engine.fhir_servers.credentials import Credentials, SealedCredentials, seal
from hospitium.engine.fhir_servers.record import CredentialsKind, FhirServer, ServerKind
from hospitium.engine.permissions import Permission, organization_of
from hospitium.engine.secrets import Secret
from hospitium.engine.throttles import actions as throttles
from hospitium.engine.throttles.rules import Limit, a_try
from hospitium.outside.fhir import Basic, Bearer, base_url
from hospitium.outside.http import LONGEST_URL, Blocked

if TYPE_CHECKING:
    from hospitium.doors.fhir_patients import Reachable
    from hospitium.engine.context import Context
    from hospitium.engine.sealing import SealingKey

TESTS_AN_HOUR = Limit(60, timedelta(minutes=1))
"""How often an organization may have FHIR servers tested: each is a request that we send where it says."""
LONGEST_SECRET: Final = 8_000  # characters of a token or a password, as it stands in a header
_OF_REMOTE: Final = ("base_url", "credentials", "authorities_pem")

BaseUrl = Annotated[
    str,
    takes(
        "BaseUrl",
        "The base URL of a FHIR R4 server: https, a full name or a public address, and the path its resources are below.",
        maxLength=LONGEST_URL,
        pattern="^[Hh][Tt][Tt][Pp][Ss]://",
    ),
]
AuthoritiesText = Annotated[
    str,
    takes(
        "AuthoritiesPem",
        f"Certificates of authorities in PEM, at most {MOST}, and nothing else; never a private key.",
        maxLength=LONGEST_PEM,
        pattern=r"^[\r\n\t ]*-----BEGIN CERTIFICATE-----",
    ),
]


class CredentialsBody(Body):
    """What is shown to a remote FHIR server: a bearer token, or a user and a password."""

    bearer_token: Text | None = None
    user: Text | None = None
    password: Text | None = None


class FhirServerBody(Body):
    """A new FHIR server; a remote one has a base URL, and credentials if it wants some. Where it has `authoritiesPem`,
    their certificates alone are believed for it, and not those of the system."""

    name: Line
    kind: ServerKind
    base_url: BaseUrl | None = None
    credentials: CredentialsBody | None = None
    authorities_pem: AuthoritiesText | None = None


class FhirServerChanges(Body):
    """What to change. Another base URL suspends the grants on the server until that is confirmed; at another origin, the
    credentials it had are forgotten. `credentials: null` forgets them, too; `authoritiesPem: null` believes the system's again."""

    name: Line | UnsetType = UNSET
    base_url: BaseUrl | UnsetType = UNSET
    credentials: CredentialsBody | None | UnsetType = UNSET
    authorities_pem: AuthoritiesText | None | UnsetType = UNSET


class PrintedAuthority(Wire):
    """A certificate authority: whom its certificate names, until when it is good, and the SHA-256 of it."""

    subject: str
    expires_at: Instant
    sha256: str


class PrintedFhirServer(Wire):
    """A FHIR server; `suspendedAt` says since when the grants on it count for nothing, because its base URL was changed.
    `authorities` are those whose certificates are believed for it; null: those of the system."""

    id: UUID
    organization_id: UUID
    name: str
    kind: ServerKind
    base_url: str | None
    allows_private_address: bool
    credentials_kind: CredentialsKind | None
    authorities: list[PrintedAuthority] | None
    created_at: Instant
    suspended_at: Instant | None

    @classmethod
    def of(cls, server: FhirServer) -> PrintedFhirServer:
        return cls(
            server.id,
            server.organization_id,
            server.name,
            server.kind,
            server.base_url,
            server.allow_private_address,
            server.credentials_kind,
            None
            if server.authorities_pem is None
            else [PrintedAuthority(*one) for one in told(server.authorities_pem)],
            server.created_at,
            server.suspended_at,
        )


class FhirServers(Wire):
    """The FHIR servers of an organization, by name."""

    fhir_servers: list[PrintedFhirServer]


class FhirServerSaid(Wire):
    """What a FHIR server says it is: its version of FHIR, and what it calls itself."""

    fhir_version: str
    software: str | None


async def create(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Add a FHIR server to the organization one acts for, which owns it."""
    body = await request.body()
    key = surroundings(request).sealing_key

    async def deed(ctx: Context) -> Answer:
        given = json_body.read(body, request.headers.get("content-type"), FhirServerBody)
        server_id = ctx.new_id()
        with wire_names():
            form = _form(given, server_id, key)

        async def do() -> Answer:
            with wire_names():
                made = await actions.create(ctx, organization_of(ctx.actor), form, server_id=server_id)
            return answer(201, PrintedFhirServer.of(made))

        return await once(ctx, request, body, do)

    return send(await surroundings(request).work.perform(request, Permission.KEEP_FHIR_SERVERS, deed))


async def list_servers(request: Request[Any, Any, Any]) -> Response[bytes]:
    """List the FHIR servers of the organization one acts for."""

    async def deed(ctx: Context) -> FhirServers:
        found = await queries.of_organization(ctx, organization_of(ctx.actor))
        return FhirServers([PrintedFhirServer.of(one) for one in found])

    return send(
        answer(200, await surroundings(request).work.perform(request, Permission.SEE_FHIR_SERVERS, deed))
    )


async def read(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Read a FHIR server of the organization one acts for."""
    server_id = path_id(request, "server_id", "FHIR server")
    found = await surroundings(request).work.perform(
        request, Permission.SEE_FHIR_SERVERS, lambda ctx: queries.find(ctx, server_id), about=server_id
    )
    return send(answer(200, PrintedFhirServer.of(found)))


async def change(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Change a FHIR server: its name, where it is, what is shown to it, whose certificates are believed for it."""
    server_id = path_id(request, "server_id", "FHIR server")
    body = await request.body()
    key = surroundings(request).sealing_key

    async def deed(ctx: Context) -> FhirServer:
        before = await queries.of_own_organization(ctx, server_id)
        given = json_body.read(body, request.headers.get("content-type"), FhirServerChanges)
        with wire_names():
            return await actions.change(ctx, server_id, _changes(before, given, key))

    changed = await surroundings(request).work.perform(
        request, Permission.KEEP_FHIR_SERVERS, deed, about=server_id
    )
    return send(answer(200, PrintedFhirServer.of(changed)))


async def confirm(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Confirm that the patients at a changed base URL are the same ones: the grants on the server count again."""
    server_id = path_id(request, "server_id", "FHIR server")
    confirmed = await surroundings(request).work.perform(
        request, Permission.KEEP_FHIR_SERVERS, lambda ctx: actions.confirm(ctx, server_id), about=server_id
    )
    return send(answer(200, PrintedFhirServer.of(confirmed)))


async def test(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Ask a FHIR server what it is, with what is shown to it; one that is built in answers for itself."""
    house = surroundings(request)
    server_id = path_id(request, "server_id", "FHIR server")

    async def deed(ctx: Context) -> Reachable:
        server = await queries.of_own_organization(ctx, server_id)
        if server.kind is ServerKind.REMOTE:
            asking = a_try(house.link_key.key, TESTS_AN_HOUR, "FHIR tests", str(server.organization_id))
            await throttles.count(ctx, [asking])
        return await fhir_patients.reachable(ctx, server)

    where = await house.work.perform(request, Permission.KEEP_FHIR_SERVERS, deed, about=server_id)
    if where.server.kind is ServerKind.BUILT_IN:
        said = capability(house.public_url, __version__, house.work.clock())
        return send(answer(200, FhirServerSaid(said["fhirVersion"], " ".join(said["software"].values()))))
    told = await house.remote_fhir.test(fhir_patients.remote_of(request, where))
    return send(answer(200, FhirServerSaid(told.fhir_version, told.software)))


async def remove(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Remove a FHIR server: its open invites are withdrawn, and every grant on it ends."""
    server_id = path_id(request, "server_id", "FHIR server")
    await surroundings(request).work.perform(
        request, Permission.KEEP_FHIR_SERVERS, lambda ctx: actions.remove(ctx, server_id), about=server_id
    )
    return send(answer(200, DONE))


# -- how ---------------------------------------------------------------------------------------------------------------


def _form(given: FhirServerBody, server_id: UUID, key: SealingKey) -> ServerForm:
    if given.kind is ServerKind.BUILT_IN:
        for field in _OF_REMOTE:
            if getattr(given, field) is not None:
                raise Invalid(field, "belongs to a remote FHIR server")
        return ServerForm(given.name, given.kind)
    if given.base_url is None:
        raise Invalid("base_url", "is required for a remote FHIR server")
    url, shown = _address(given.base_url), _credentials(given.credentials)
    sealed = None if shown is None else seal(key, server_id, url, shown)
    believed = _authorities(given.authorities_pem)
    return ServerForm(given.name, given.kind, url, credentials=sealed, authorities=believed)


def _address(text: str) -> str:
    """Return a base URL in the one spelling that is kept. That one may lead into a private network is the operator's to say."""
    try:
        return base_url(text, allow_private=False)
    except Blocked as blocked:
        raise Invalid("base_url", blocked.reason) from None


def _changes(before: FhirServer, given: FhirServerChanges, key: SealingKey) -> ServerChanges:
    if before.kind is ServerKind.BUILT_IN:
        for field in _OF_REMOTE:
            if getattr(given, field) not in (UNSET, None):
                raise Invalid(field, "belongs to a remote FHIR server")
    url, may_be_private = before.base_url, before.allow_private_address
    if given.base_url is not UNSET and given.base_url != url:
        url = _address(given.base_url)
        # What the operator allowed, he allowed of one address.
        may_be_private = may_be_private and url == before.base_url
    shown = None if given.credentials is UNSET else _credentials(given.credentials)
    return ServerChanges(
        name=before.name if given.name is UNSET else given.name,
        base_url=url,
        allow_private_address=may_be_private,
        credentials=None if shown is None else _sealed(key, before.id, url, shown),
        # At another address, too: what was believed less widely than the system's isn't silently believed more widely.
        authorities=before.authorities_pem
        if given.authorities_pem is UNSET
        else _authorities(given.authorities_pem),
        drop_credentials=given.credentials is None,
    )


def _authorities(pem: str | None) -> AuthoritiesPem | None:
    return None if pem is None else authorities_in("authorities_pem", pem)


def _credentials(given: CredentialsBody | None) -> Credentials | None:
    """Return what is to be shown to a server, if it can be. Raises Invalid, which repeats nothing of it."""
    if given is None:
        return None
    all_three = {"bearer_token": given.bearer_token, "user": given.user, "password": given.password}
    said = {field: text for field, text in all_three.items() if text is not None}
    if said.keys() not in ({"bearer_token"}, {"user", "password"}):
        raise Invalid("credentials", "must be a bearerToken, or a user and a password")
    for field, text in said.items():
        if len(text) > LONGEST_SECRET:
            raise Invalid(f"credentials.{field}", f"must be at most {LONGEST_SECRET:,} characters long")
    try:
        if given.bearer_token is not None:
            shown = Bearer(Secret(given.bearer_token))
            return Credentials(CredentialsKind.BEARER, "", shown.token)
        basic = Basic(given.user or "", Secret(given.password or ""))
        return Credentials(CredentialsKind.BASIC, basic.user, basic.password)
    except Invalid as refusal:
        field = "bearer_token" if refusal.field == "token" else refusal.field
        raise Invalid(f"credentials.{field}", refusal.reason) from None


def _sealed(key: SealingKey, server_id: UUID, url: str | None, shown: Credentials) -> SealedCredentials:
    if url is None:
        raise Invalid("credentials", "belongs to a remote FHIR server")
    return seal(key, server_id, url, shown)
