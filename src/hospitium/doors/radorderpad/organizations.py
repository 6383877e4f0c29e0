"""Searching for organizations, and reading the profile of one (docs/dialects/radorderpad.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar import Request, Response

from hospitium.doors.answers import Answer, send
from hospitium.doors.radorderpad.wire import Parameters, basic, path_id, success, with_contact
from hospitium.doors.surroundings import surroundings
from hospitium.engine.errors import Invalid
from hospitium.engine.organizations import queries
from hospitium.engine.organizations.queries import Search
from hospitium.engine.organizations.record import OrganizationType
from hospitium.engine.permissions import Permission

if TYPE_CHECKING:
    from hospitium.engine.context import Context


async def search(request: Request[Any, Any, Any]) -> Response[bytes]:
    async def deed(ctx: Context) -> Answer:
        given = Parameters(request)
        paging = given.paging()
        wanted = Search(given.text("q") or "", _type(given), given.text("state"), given.text("specialty"))
        found, total = await queries.search(ctx, wanted, offset=paging.offset, limit=paging.limit)
        organizations = [basic(one.organization, connection_status=one.standing.value) for one in found]
        return success({"organizations": organizations, "pagination": paging.of(total)})

    return send(await surroundings(request).work.perform(request, Permission.SEARCH_ORGANIZATIONS, deed))


async def profile(request: Request[Any, Any, Any]) -> Response[bytes]:
    async def deed(ctx: Context) -> Answer:
        wanted = path_id(request, "organization_id", "organization")
        found, standing = await queries.profile(ctx, wanted)
        return success(with_contact(found, connection_status=standing.value))

    return send(await surroundings(request).work.perform(request, Permission.SEE_ORGANIZATION, deed))


def _type(given: Parameters) -> OrganizationType | None:
    text = given.text("type")
    try:
        return None if text is None else OrganizationType(text)
    except ValueError:
        raise Invalid("type", f"must be one of {', '.join(OrganizationType)}") from None
