"""Who may, on what, and what? (AuthZEN 1.0, "Search APIs"). Complete, in a stable order, page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from litestar import Request, Response
from msgspec import UNSET, UnsetType

from hospitium.doors.answers import answer, send
from hospitium.doors.authzen.shapes import (
    ActionSearchBody,
    FoundAction,
    FoundActions,
    FoundResource,
    FoundResources,
    FoundSubject,
    FoundSubjects,
    PageBody,
    PrintedPage,
    ResourceSearchBody,
    SearchContext,
    SubjectSearchBody,
)
from hospitium.doors.authzen.wire import FHIR_SERVER, body_of, fhir_server_of, whole_number
from hospitium.doors.cursors import cursor, place_of
from hospitium.doors.surroundings import surroundings
from hospitium.engine.access import listing
from hospitium.engine.access.listing import After
from hospitium.engine.access.naming import Named
from hospitium.engine.ids import FIRST_ID
from hospitium.engine.permissions import Permission, organization_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from hospitium.engine.access.listing import ListedResource
    from hospitium.engine.context import Context

DEFAULT_LIMIT, LARGEST_LIMIT = 100, 1_000


async def search_subjects(request: Request[Any, Any, Any]) -> Response[bytes]:
    """List the subjects of a type who may do an action on a resource now, whoever they have it through."""

    async def deed(ctx: Context) -> FoundSubjects:
        asked = await body_of(request, SubjectSearchBody)
        on = asked.resource
        named = Named(
            asked.subject.type, "", asked.action.name, on.type, on.id, fhir_server_of(on.properties)
        )
        organization_id = organization_of(ctx.actor)
        part = _Part(request, ctx, asked.page, named, str(FIRST_ID))
        found = await listing.subjects(ctx, organization_id, named, UUID(part.after[0]), part.limit + 1)
        page = await part.page(
            found, lambda one: [str(one.id)], lambda: listing.count_subjects(ctx, organization_id, named)
        )
        return FoundSubjects(
            page,
            [FoundSubject(asked.subject.type, one.external_id or str(one.id)) for one in found[: part.limit]],
        )

    return await _searched(request, deed)


async def search_resources(request: Request[Any, Any, Any]) -> Response[bytes]:
    """List the resources of a type on which a subject may do an action now, whatever he has it through."""

    async def deed(ctx: Context) -> FoundResources:
        asked = await body_of(request, ResourceSearchBody)
        who, what = asked.subject, asked.resource
        named = Named(who.type, who.id, asked.action.name, what.type, "", fhir_server_of(what.properties))
        organization_id = organization_of(ctx.actor)
        part = _Part(request, ctx, asked.page, named, "", str(FIRST_ID))
        after = After(part.after[0], UUID(part.after[1]))
        found = await listing.resources(ctx, organization_id, named, after, part.limit + 1)
        page = await part.page(found, _place, lambda: listing.count_resources(ctx, organization_id, named))
        elsewhere = await listing.patients_elsewhere(ctx, organization_id, named) if part.is_first else []
        return FoundResources(
            page,
            [_printed(what.type, one) for one in found[: part.limit]],
            SearchContext([str(one) for one in elsewhere]) if elsewhere else UNSET,
        )

    return await _searched(request, deed)


async def search_actions(request: Request[Any, Any, Any]) -> Response[bytes]:
    """List the actions that a subject may do on a resource now."""

    async def deed(ctx: Context) -> FoundActions:
        asked = await body_of(request, ActionSearchBody)
        who, on = asked.subject, asked.resource
        named = Named(who.type, who.id, "", on.type, on.id, fhir_server_of(on.properties))
        part = _Part(request, ctx, asked.page, named, "")
        every = await listing.actions(ctx, organization_of(ctx.actor), named)
        found = [name for name in every if name > part.after[0]]
        page = await part.page(found, lambda name: [name], lambda: _known(len(every)))
        return FoundActions(page, [FoundAction(name) for name in found[: part.limit]])

    return await _searched(request, deed)


async def _known(count: int) -> int:
    return count


async def _searched(
    request: Request[Any, Any, Any], deed: Callable[[Context], Awaitable[Any]]
) -> Response[bytes]:
    house = surroundings(request)
    async with house.turns.turn(await house.work.asker(request)):
        found = await house.work.perform(request, Permission.SEARCH_ACCESS, deed)
    return send(answer(200, found))


def _place(one: ListedResource) -> list[str]:
    return [one.id, str(one.fhir_server_id or FIRST_ID)]


def _printed(resource_type: str, one: ListedResource) -> FoundResource:
    server = UNSET if one.fhir_server_id is None else {FHIR_SERVER: str(one.fhir_server_id)}
    return FoundResource(resource_type, one.external_id or one.id, server)


class _Part:
    """Which part of a list is wanted: how many, and after which key (`first` is before all of them)."""

    def __init__(
        self,
        request: Request[Any, Any, Any],
        ctx: Context,
        page: PageBody | UnsetType,
        named: Named,
        *first: str,
    ) -> None:
        self._request = request
        # A cursor is bound to who asks, and to what. How many at a time, and how many in all, it holds itself.
        self._bound_to = (str(ctx.actor.service_key_id), request.url.path, *named)
        limit = UNSET if page is UNSET else page.limit
        token = "" if page is UNSET or page.token is UNSET else page.token
        self.is_first = not token
        self.after: list[str] = [*first]
        self._total: int | None = None
        if token:
            self.limit, self._total, *self.after = place_of(request, "page.token", token, *self._bound_to)
        if limit is not UNSET:
            self.limit = whole_number("page.limit", limit, LARGEST_LIMIT)
        elif self.is_first:
            self.limit = DEFAULT_LIMIT

    async def page(
        self, found: Sequence[Any], place: Callable[[Any], list[str]], count: Callable[[], Awaitable[int]]
    ) -> PrintedPage:
        """Return what is said of this part; `found` has one more than it, if there is more."""
        total = self._total if self._total is not None else await count()
        more = len(found) > self.limit
        after = place(found[self.limit - 1]) if more and self.limit else self.after
        token = cursor(self._request, [self.limit, total, *after], *self._bound_to) if more else ""
        return PrintedPage(token, min(len(found), self.limit), total)
