"""Searching for organizations, and reading the profile of one (docs/dialects/radorderpad.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from litestar import Request, Response
from msgspec import UNSET, Meta, UnsetType

from hospitium.doors.answers import Answer, send
from hospitium.doors.named_ids import path_id
from hospitium.doors.radorderpad.wire import (
    FoundOrganization,
    PageQuery,
    Pagination,
    Parameter,
    Parameters,
    PublicProfile,
    Wire,
    printed,
    success,
    word,
)
from hospitium.doors.surroundings import surroundings
from hospitium.engine.errors import Invalid
from hospitium.engine.organizations import queries
from hospitium.engine.organizations.queries import Search
from hospitium.engine.organizations.record import OrganizationType
from hospitium.engine.permissions import Permission

if TYPE_CHECKING:
    from hospitium.engine.context import Context


class SearchQuery(PageQuery):
    """What to search for; blank is anything."""

    q: (
        Annotated[
            Parameter, Meta(description="Part of the name, whatever the case and accents, or a whole NPI.")
        ]
        | UnsetType
    ) = UNSET
    type: Annotated[str, word("TypeParameter", OrganizationType)] | UnsetType = UNSET
    state: Annotated[Parameter, Meta(description="The US state of the address.")] | UnsetType = UNSET
    specialty: Annotated[Parameter, Meta(description="One of its specialties.")] | UnsetType = UNSET


class FoundOrganizations(Wire):
    """One page of what a search found."""

    organizations: list[FoundOrganization]
    pagination: Pagination


async def search(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Search for organizations to connect with: active ones, without one's own, sorted by name."""

    async def deed(ctx: Context) -> Answer:
        given = Parameters(request)
        paging = given.paging()
        wanted = Search(given.text("q") or "", _type(given), given.text("state"), given.text("specialty"))
        found, total = await queries.search(ctx, wanted, offset=paging.offset, limit=paging.limit)
        organizations = [
            printed(FoundOrganization, one.organization, connection_status=one.standing) for one in found
        ]
        return success(FoundOrganizations(organizations, paging.of(total)))

    return send(await surroundings(request).work.perform(request, Permission.SEARCH_ORGANIZATIONS, deed))


async def profile(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Read the public profile of an organization: an active one, or one's own."""

    async def deed(ctx: Context) -> Answer:
        wanted = path_id(request, "organization_id", "organization")
        found, standing = await queries.profile(ctx, wanted)
        return success(printed(PublicProfile, found, connection_status=standing))

    return send(await surroundings(request).work.perform(request, Permission.SEE_ORGANIZATION, deed))


def _type(given: Parameters) -> OrganizationType | None:
    text = given.text("type")
    try:
        return None if text is None else OrganizationType(text)
    except ValueError:
        raise Invalid("type", f"must be one of {', '.join(OrganizationType)}") from None
