"""Who looked: the reads that concern a person, and those on a FHIR server; and the patients there on whom the grants are suspended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from litestar import Request, Response

from hospitium.doors.answers import answer, send
from hospitium.doors.named_ids import path_id
from hospitium.doors.native import audit_events
from hospitium.doors.native.reads_shapes import FHIR_JSON, PrintedSuspension, Reads, Suspensions
from hospitium.doors.native.wire import page_of
from hospitium.doors.parameters import Parameters
from hospitium.doors.surroundings import surroundings
from hospitium.engine.errors import Invalid, NotFound
from hospitium.engine.ids import FIRST_ID
from hospitium.engine.invites.patients import patient_id
from hospitium.engine.permissions import Permission
from hospitium.engine.reads import queries
from hospitium.engine.suspensions import actions as suspensions, queries as suspension_queries

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from hospitium.engine.context import Context
    from hospitium.engine.reads.queries import ReadView


async def list_of_person(request: Request[Any, Any, Any]) -> Response[bytes]:
    """List who read what was granted to a person one looks after: the patients of FHIR servers that are this person, by whomever, the newest
    first. With `format=fhir`, as a Bundle of AuditEvents."""
    person_id = path_id(request, "person_id", "person")

    async def deed(ctx: Context) -> tuple[list[ReadView], UUID | None]:
        after, limit = page_of(request)
        return _cut(await queries.of_person(ctx, person_id, after, limit + 1), limit)

    as_fhir = _is_fhir(request)
    views, following = await surroundings(request).work.perform(
        request, Permission.SEE_READS, deed, about=person_id
    )
    return _send(request, views, following, as_fhir=as_fhir)


async def list_of_server(request: Request[Any, Any, Any]) -> Response[bytes]:
    """List who read on a FHIR server of the organization one acts for, or one `patient` there, and whose reading was refused; the newest
    first. With `format=fhir`, as a Bundle of AuditEvents."""
    server_id = path_id(request, "server_id", "FHIR server")

    async def deed(ctx: Context) -> tuple[list[ReadView], UUID | None]:
        after, limit = page_of(request)
        named = Parameters(request).text("patient")
        of_patient = None if named is None else patient_id("patient", named)
        return _cut(await queries.of_server(ctx, server_id, of_patient, after, limit + 1), limit)

    as_fhir = _is_fhir(request)
    views, following = await surroundings(request).work.perform(
        request, Permission.SEE_SERVER_READS, deed, about=server_id
    )
    return _send(request, views, following, as_fhir=as_fhir)


async def list_suspensions(request: Request[Any, Any, Any]) -> Response[bytes]:
    """List the patients of a FHIR server on whom the grants count for nothing, because they were found merged, gone or inactive."""
    server_id = path_id(request, "server_id", "FHIR server")

    async def deed(ctx: Context) -> Suspensions:
        after, limit = page_of(request)
        found = await suspension_queries.page(ctx, server_id, after or FIRST_ID, limit + 1)
        page = [PrintedSuspension.of(one) for one in found[:limit]]
        return Suspensions(page, page[-1].id if len(found) > limit else None)

    listed = await surroundings(request).work.perform(
        request, Permission.KEEP_FHIR_SERVERS, deed, about=server_id
    )
    return send(answer(200, listed))


async def confirm_patient(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Confirm that a patient who was found merged, gone or inactive is still who he was: the grants on him count again."""
    server_id = path_id(request, "server_id", "FHIR server")
    try:
        its_id = patient_id("patient_id", request.path_params["patient_id"])
    except Invalid:
        raise NotFound("patient") from None
    lifted = await surroundings(request).work.perform(
        request,
        Permission.KEEP_FHIR_SERVERS,
        lambda ctx: suspensions.confirm_patient(ctx, server_id, its_id),
        about=server_id,
    )
    return send(answer(200, PrintedSuspension.of(lifted)))


# -- how ---------------------------------------------------------------------------------------------------------------


def _is_fhir(request: Request[Any, Any, Any]) -> bool:
    form = Parameters(request).text("format") or "json"
    if form not in ("json", "fhir"):
        raise Invalid("format", "must be json or fhir")
    return form == "fhir"


def _cut(found: list[ReadView], limit: int) -> tuple[list[ReadView], UUID | None]:
    """Return at most so many of what was found, which is one more if there are more, and after which the list goes on."""
    return found[:limit], found[limit - 1].id if len(found) > limit else None


def _send(
    request: Request[Any, Any, Any], views: list[ReadView], following: UUID | None, *, as_fhir: bool
) -> Response[bytes]:
    if not as_fhir:
        return send(answer(200, Reads.of(views, following)))
    link, public_url = _link(request), surroundings(request).public_url
    after = Parameters(request).text("after")
    next_link = None if following is None else link(str(following))
    return send(
        answer(200, audit_events.bundle(views, public_url, link(after), next_link)), media_type=FHIR_JSON
    )


def _link(request: Request[Any, Any, Any]) -> Callable[[str | None], str]:
    """Return what makes the address of a part of this list, of what was understood of the question."""
    given = Parameters(request)

    def link(after: str | None) -> str:
        asked = {
            "patient": given.text("patient"),
            "limit": given.text("limit"),
            "after": after,
            "format": "fhir",
        }
        query = urlencode({name: value for name, value in asked.items() if value is not None})
        return f"{surroundings(request).public_url}{request.scope['path']}?{query}"

    return link
