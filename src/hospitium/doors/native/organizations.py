"""Registering an organization, and keeping the profile of one's own (ruling 28)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, Response
from msgspec import UNSET, Meta, UnsetType

from hospitium.doors import json_body
from hospitium.doors.answers import Answer, answer, once, send
from hospitium.doors.native.wire import Body, Wire, wire_names
from hospitium.doors.shapes import Instant, Line, OptionalEmail, OptionalLine, WebAddress, takes, trimmed
from hospitium.doors.surroundings import surroundings
from hospitium.engine.errors import NotFound
from hospitium.engine.organizations import actions, queries
from hospitium.engine.organizations.actions import LONGEST_SPECIALTY, MOST_SPECIALTIES, OrganizationForm
from hospitium.engine.organizations.record import (
    OrganizationProfile,
    OrganizationStatus,
    OrganizationType,
)
from hospitium.engine.permissions import Permission, organization_of

if TYPE_CHECKING:
    from hospitium.engine.context import Context

_NAMES = {field.name: field.encode_name for field in msgspec.structs.fields(
    msgspec.defstruct("_Camel", [(name, Any) for name in OrganizationForm.__struct_fields__], rename="camel")
)}  # fmt: skip

Code = Annotated[
    str,
    takes(
        "Code",
        "A short name in addresses and files: a-z, 0-9, - and _, a letter or digit at both ends; those where this server's own "
        "addresses begin are reserved.",
        pattern=trimmed("[A-Za-z0-9](?:[A-Za-z0-9_-]{0,38}[A-Za-z0-9])?"),
    ),
]
Npi = Annotated[
    str, takes("Npi", "A National Provider Identifier, 10 digits.", pattern=trimmed("(?:[0-9]{10})?"))
]
Specialty = Annotated[Line, takes("Specialty", "One specialty, a line of text.", maxLength=LONGEST_SPECIALTY)]
Specialties = Annotated[
    list[Specialty],
    Meta(description="What it specializes in.", extra_json_schema={"maxItems": MOST_SPECIALTIES}),
]


RequiresKey = Annotated[
    bool,
    Meta(description="Whether calls to its record sharing must bring a client key of the organization."),
]


class RegistrationBody(Body):
    """A new organization: `code`, `name` and `type`, and what else one wants to say."""

    code: Code
    name: Line
    type: OrganizationType
    npi: Npi | None = None
    tax_id: OptionalLine | None = None
    address: OptionalLine | None = None
    city: OptionalLine | None = None
    state: OptionalLine | None = None
    zip_code: OptionalLine | None = None
    phone: OptionalLine | None = None
    website: WebAddress | None = None
    contact_name: OptionalLine | None = None
    contact_email: OptionalEmail | None = None
    contact_phone: OptionalLine | None = None
    specialties: Specialties = msgspec.field(default_factory=list)
    requires_client_key: RequiresKey = False


class ProfileChanges(Body):
    """What to change of a profile: members that aren't sent stay as they are, null empties them."""

    name: Line | UnsetType = UNSET
    type: OrganizationType | UnsetType = UNSET
    npi: Npi | None | UnsetType = UNSET
    tax_id: OptionalLine | None | UnsetType = UNSET
    address: OptionalLine | None | UnsetType = UNSET
    city: OptionalLine | None | UnsetType = UNSET
    state: OptionalLine | None | UnsetType = UNSET
    zip_code: OptionalLine | None | UnsetType = UNSET
    phone: OptionalLine | None | UnsetType = UNSET
    website: WebAddress | None | UnsetType = UNSET
    contact_name: OptionalLine | None | UnsetType = UNSET
    contact_email: OptionalEmail | None | UnsetType = UNSET
    contact_phone: OptionalLine | None | UnsetType = UNSET
    specialties: Specialties | UnsetType = UNSET
    requires_client_key: RequiresKey | UnsetType = UNSET


class Organization(Wire):
    """The whole profile of an organization, as its own people see it."""

    id: UUID
    code: str
    status: OrganizationStatus
    name: str
    type: OrganizationType
    npi: str | None
    tax_id: str | None
    address: str | None
    city: str | None
    state: str | None
    zip_code: str | None
    phone: str | None
    website: str | None
    contact_name: str | None
    contact_email: str | None
    contact_phone: str | None
    specialties: list[str]
    requires_client_key: bool
    created_at: Instant
    updated_at: Instant
    version: int


async def register(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Register a new organization; whoever does becomes its administrator."""
    body = await request.body()
    house = surroundings(request)

    async def deed(ctx: Context) -> Answer:
        given = json_body.read(body, request.headers.get("content-type"), RegistrationBody)
        form = OrganizationForm(**{name: getattr(given, name) for name in OrganizationForm.__struct_fields__})

        async def do() -> Answer:
            with wire_names():
                return answer(
                    201, _printed(await actions.register(ctx, given.code, form, house.registration))
                )

        return await once(ctx, request, body, do)

    return send(await house.work.perform(request, Permission.REGISTER_ORGANIZATION, deed))


async def read_own(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Read the profile of the organization one acts for."""

    async def deed(ctx: Context) -> Answer:
        found = await queries.by_id(ctx, organization_of(ctx.actor))
        if found is None:
            raise NotFound("organization")
        return answer(200, _printed(found))

    return send(await surroundings(request).work.perform(request, Permission.SEE_ORGANIZATION, deed))


async def update_own(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Change the profile of the organization one acts for; what isn't sent stays as it is."""
    body = await request.body()

    async def deed(ctx: Context) -> Answer:
        given = json_body.read(body, request.headers.get("content-type"), ProfileChanges)
        changes = {name: value for name in _NAMES if (value := getattr(given, name)) is not UNSET}
        with wire_names():
            return answer(200, _printed(await actions.update_profile(ctx, changes)))

    return send(await surroundings(request).work.perform(request, Permission.UPDATE_ORGANIZATION, deed))


def _printed(profile: OrganizationProfile) -> Organization:
    return Organization(**{name: getattr(profile, name) for name in Organization.__struct_fields__})
