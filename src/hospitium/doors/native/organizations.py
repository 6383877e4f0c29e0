"""Registering an organization, and keeping the profile of one's own (ruling 28)."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec
from litestar import Request, Response
from msgspec import UNSET, UnsetType

from hospitium.doors import json_body
from hospitium.doors.answers import Answer, answer, once, send
from hospitium.doors.surroundings import surroundings
from hospitium.engine.errors import Invalid, NotFound
from hospitium.engine.organizations import actions, queries
from hospitium.engine.organizations.actions import OrganizationForm
from hospitium.engine.organizations.record import OrganizationProfile, OrganizationType
from hospitium.engine.permissions import Permission, organization_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hospitium.engine.context import Context

_NAMES = {field.name: field.encode_name for field in msgspec.structs.fields(
    msgspec.defstruct("_Camel", [(name, Any) for name in OrganizationForm.__struct_fields__], rename="camel")
)}  # fmt: skip


class RegistrationBody(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """A new organization: `code`, `name` and `type`, and what else one wants to say."""

    code: str
    name: str
    type: OrganizationType
    npi: str | None = None
    tax_id: str | None = None
    address: str | None = None
    city: str | None = None
    state: str | None = None
    zip_code: str | None = None
    phone: str | None = None
    website: str | None = None
    contact_name: str | None = None
    contact_email: str | None = None
    contact_phone: str | None = None
    specialties: list[str] = []


class ProfileChanges(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """What to change of a profile: members that aren't sent stay as they are, null empties them."""

    name: str | UnsetType = UNSET
    type: OrganizationType | UnsetType = UNSET
    npi: str | None | UnsetType = UNSET
    tax_id: str | None | UnsetType = UNSET
    address: str | None | UnsetType = UNSET
    city: str | None | UnsetType = UNSET
    state: str | None | UnsetType = UNSET
    zip_code: str | None | UnsetType = UNSET
    phone: str | None | UnsetType = UNSET
    website: str | None | UnsetType = UNSET
    contact_name: str | None | UnsetType = UNSET
    contact_email: str | None | UnsetType = UNSET
    contact_phone: str | None | UnsetType = UNSET
    specialties: list[str] | UnsetType = UNSET


async def register(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Register a new organization; whoever does becomes its administrator."""
    body = await request.body()
    house = surroundings(request)

    async def deed(ctx: Context) -> Answer:
        given = json_body.read(body, request.headers.get("content-type"), RegistrationBody)
        form = OrganizationForm(**{name: getattr(given, name) for name in OrganizationForm.__struct_fields__})

        async def do() -> Answer:
            with _wire_names():
                return answer(
                    201, _printed(await actions.register(ctx, given.code, form, house.registration))
                )

        return await once(ctx, request, body, do)

    return send(await house.work.perform(request, Permission.REGISTER_ORGANIZATION, deed))


async def read_own(request: Request[Any, Any, Any]) -> Response[bytes]:
    async def deed(ctx: Context) -> Answer:
        found = await queries.by_id(ctx, organization_of(ctx.actor))
        if found is None:
            raise NotFound("organization")
        return answer(200, _printed(found))

    return send(await surroundings(request).work.perform(request, Permission.SEE_ORGANIZATION, deed))


async def update_own(request: Request[Any, Any, Any]) -> Response[bytes]:
    body = await request.body()

    async def deed(ctx: Context) -> Answer:
        given = json_body.read(body, request.headers.get("content-type"), ProfileChanges)
        changes = {name: value for name in _NAMES if (value := getattr(given, name)) is not UNSET}
        with _wire_names():
            return answer(200, _printed(await actions.update_profile(ctx, changes)))

    return send(await surroundings(request).work.perform(request, Permission.UPDATE_ORGANIZATION, deed))


@contextmanager
def _wire_names() -> Iterator[None]:
    """Name the field of a refusal as this surface spells it."""
    try:
        yield
    except Invalid as refusal:
        name, bracket, rest = refusal.field.partition("[")
        raise Invalid(_NAMES.get(name, name) + bracket + rest, refusal.reason) from None


def _printed(profile: OrganizationProfile) -> dict[str, Any]:
    printed = {_NAMES[name]: getattr(profile, name) for name in OrganizationForm.__struct_fields__}
    return {
        "id": profile.id,
        "code": profile.code,
        "status": profile.status,
        **printed,
        "createdAt": profile.created_at,
        "updatedAt": profile.updated_at,
        "version": profile.version,
    }
