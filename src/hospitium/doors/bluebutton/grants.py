"""Grants on FHIR servers: those by which one may do something there, made and ended (contract bluebutton.md §3.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

from litestar import Request, Response
from msgspec import UNSET, UnsetType

from hospitium.doors import json_body
from hospitium.doors.answers import Answer, answer, once, send
from hospitium.doors.bluebutton.invite_shapes import PatientId
from hospitium.doors.bluebutton.wire import Body, RoleWord, Wire, level_of, role_of, wire_names
from hospitium.doors.named_ids import body_id, path_id
from hospitium.doors.parameters import Parameters
from hospitium.doors.shapes import Id, Text, takes
from hospitium.doors.surroundings import surroundings
from hospitium.engine.errors import Forbidden, Invalid, NotFound
from hospitium.engine.grants import on_servers, queries
from hospitium.engine.grants.on_servers import GrantForm
from hospitium.engine.grants.record import GranteeKind
from hospitium.engine.ids import FIRST_ID
from hospitium.engine.invites.patients import patient_id
from hospitium.engine.permissions import Permission

if TYPE_CHECKING:
    from hospitium.engine.context import Context
    from hospitium.engine.grants.queries import GrantOnServer, Reaching

MOST = 1_000
_ENTITIES = {
    GranteeKind.ACCOUNT: "User",
    GranteeKind.TEAM: "Team",
    GranteeKind.ORGANIZATION: "Organization",
    GranteeKind.PERSON: "Person",
}
_KINDS = {word.lower(): kind for kind, word in _ENTITIES.items() if kind is not GranteeKind.TEAM}
EntityWord = Annotated[
    str,
    takes(
        "EntityWord", "User, Organization or Person, in any case.", pattern="^(?i:user|organization|person)$"
    ),
]


class GrantBody(Body):
    """Who is to be granted what: a User by the address of a member of the organization, an Organization or a Person by its id."""

    entity_type: EntityWord
    entity_id: Text
    fhir_server_id: Id
    role: RoleWord
    accessible_patient_id: PatientId | None = None


class GrantsQuery(Wire):
    """Where the list goes on: after the grant with this id."""

    after: Id | None = None


class Grant(Wire, kw_only=True):
    """A grant on a FHIR server, or on one patient of it (`accessiblePatientId`). `role` is how much of it reaches the caller."""

    grant_id: UUID
    entity_type: str
    entity_id: UUID
    role: str
    role_is_inherited: bool
    fhir_server_id: UUID
    description: str
    fhir_database_id: UUID
    fhir_database_display_name: str
    fhir_server_endpoint: str
    type: str
    is_azure_fhir_server: bool
    accessible_patient_id: str | UnsetType = UNSET

    @classmethod
    def of(cls, grant: GrantOnServer, public_url: str, *, reaching: Reaching | None = None) -> Grant:
        level, is_owner, is_inherited = grant.level, grant.is_owner, False
        if reaching is not None:
            level, is_owner, is_inherited = reaching.level, reaching.acts_as_owner, reaching.is_inherited
        return cls(
            grant_id=grant.id,
            entity_type=_ENTITIES[grant.grantee_kind],
            entity_id=grant.grantee_id,
            role=role_of(level, is_owner=is_owner),
            role_is_inherited=is_inherited,
            fhir_server_id=grant.fhir_server_id,
            description=grant.server_name,
            fhir_database_id=grant.fhir_server_id,
            fhir_database_display_name=grant.server_name,
            fhir_server_endpoint=f"{public_url}/fhir/{grant.fhir_server_id}",
            type="Organizational",
            is_azure_fhir_server=False,
            accessible_patient_id=grant.patient_id or UNSET,
        )


async def make(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Grant a member, a partner or a person access to a FHIR server, or to read one patient of it; another role replaces the grant before."""
    house = surroundings(request)
    body = await request.body()

    async def deed(ctx: Context) -> Answer:
        given = json_body.read(body, request.headers.get("content-type"), GrantBody)
        with wire_names():
            server_id = body_id("fhir_server_id", given.fhir_server_id)
            form = _form(given)

        async def do() -> Answer:
            with wire_names():
                made = await on_servers.make(ctx, server_id, form)
            return answer(200, Grant.of(made, house.public_url))

        return await once(ctx, request, body, do)

    return send(await house.work.perform(request, Permission.MAKE_GRANT, deed))


async def list_own(request: Request[Any, Any, Any]) -> Response[bytes]:
    """List every grant by which one may do something on a FHIR server, oneself or by what one belongs to and looks after.

    At most 1,000; where there are more, the header `Link` says where the list goes on.
    """
    house = surroundings(request)
    found = await house.work.perform(
        request,
        Permission.SEE_GRANTS,
        lambda ctx: queries.reaching_actor(ctx, _after(request), MOST),
    )
    return _listed(
        _printed(found.found, house.public_url), found.following, f"{house.public_url}/FhirServers/records"
    )


async def list_on_server(request: Request[Any, Any, Any]) -> Response[bytes]:
    """List the grants on a FHIR server: all, where one may write there, else those that reach oneself.

    At most 1,000; where there are more, the header `Link` says where the list goes on.
    """
    house = surroundings(request)
    server_id = path_id(request, "server_id", "FHIR server")

    async def deed(ctx: Context) -> tuple[list[Grant], UUID | None]:
        after = _after(request)
        try:
            found = await queries.on_server(ctx, server_id, after, MOST + 1)
        except (Forbidden, NotFound) as refusal:
            # Not all of them are his to see; those that reach him are, be it on one patient.
            own = await queries.reaching_actor(ctx, after, MOST, server_id=server_id)
            if isinstance(refusal, NotFound) and not own.found and after == FIRST_ID:
                raise
            return _printed(own.found, house.public_url), own.following
        page = [Grant.of(one, house.public_url) for one in found[:MOST]]
        return page, found[MOST - 1].id if len(found) > MOST else None

    page, following = await house.work.perform(request, Permission.SEE_GRANTS, deed, about=server_id)
    return _listed(page, following, f"{house.public_url}/FhirServers/{server_id}/grants")


async def read(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Read a grant that reaches oneself, or that is on a FHIR server where one may write."""
    house = surroundings(request)
    grant_id = path_id(request, "grant_id", "grant")

    async def deed(ctx: Context) -> Grant:
        grant = await queries.by_id(ctx, grant_id)
        reaching = await queries.reaching(ctx, grant)
        if reaching is not None:
            return Grant.of(grant, house.public_url, reaching=reaching)
        return Grant.of(await queries.seen_by_writer(ctx, grant_id), house.public_url)

    return send(answer(200, await house.work.perform(request, Permission.SEE_GRANTS, deed, about=grant_id)))


async def end(request: Request[Any, Any, Any]) -> Response[bytes]:
    """End a grant: as whoever acts as owner of its FHIR server, or administers the person it was given to."""
    grant_id = path_id(request, "grant_id", "grant")
    await surroundings(request).work.perform(
        request, Permission.END_GRANT, lambda ctx: on_servers.end(ctx, grant_id), about=grant_id
    )
    return send(Answer(204, b""))


def _after(request: Request[Any, Any, Any]) -> UUID:
    after = Parameters(request).text("after")
    return FIRST_ID if after is None else body_id("after", after)


def _printed(found: list[Reaching], public_url: str) -> list[Grant]:
    return [Grant.of(one.grant, public_url, reaching=one) for one in found]


def _listed(page: list[Grant], following: UUID | None, address: str) -> Response[bytes]:
    link = {} if following is None else {"Link": f'<{address}?after={following}>; rel="next"'}
    return send(answer(200, page), headers=link)


def _form(given: GrantBody) -> GrantForm:
    kind = _KINDS.get(given.entity_type.lower())
    if kind is None:
        raise Invalid("entity_type", "must be User, Organization or Person")
    grantee: str | UUID = given.entity_id
    if kind is not GranteeKind.ACCOUNT:
        grantee = body_id("entity_id", given.entity_id)
    patient = given.accessible_patient_id
    return GrantForm(
        kind,
        grantee,
        level_of("role", given.role),
        None if patient is None else patient_id("accessible_patient_id", patient),
    )
