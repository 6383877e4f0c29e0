"""The read gateway (DESIGN §3.9): one ASGI application below `/fhir`, which reads addresses as they came.

address ─▶ capabilities, which anybody may read
        └▶ who, what he may see, what is asked ─▶ `doors/reading.py` ─▶ a resource, or a Bundle of ours
"""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode

from litestar import Request, Response
from litestar.handlers import ASGIRouteHandler

from hospitium import __version__
from hospitium.doors.fhir import capability, interactions
from hospitium.doors.fhir.asked import (
    form_of,
    names_page,
    next_page,
    pairs_in,
    question_of,
    require_form,
    require_json,
)
from hospitium.doors.fhir.interactions import Page
from hospitium.doors.fhir.outcomes import FHIR_JSON, Outcome, outcome_of
from hospitium.doors.fhir.paths import PREFIX, Address, Interaction, address
from hospitium.doors.json_body import whole_body
from hospitium.doors.reading import Shown, What
from hospitium.doors.surroundings import surroundings
from hospitium.engine.errors import Invalid, NotFound
from hospitium.engine.fhir_gateway.answering import bundle, encode
from hospitium.engine.ids import parse_id
from hospitium.engine.permissions import Permission
from hospitium.engine.reads.record import Interaction as Recorded

if TYPE_CHECKING:
    from uuid import UUID

    from hospitium.doors.fhir.asked import Pair
    from hospitium.doors.reading import Sight, Source

SERVER = "FhirServerId-Context"
PLACES = (f"{PREFIX.decode()}/",)
_RECORDED = {
    Interaction.READ: Recorded.READ,
    Interaction.SEARCH: Recorded.SEARCH,
    Interaction.EVERYTHING: Recorded.EVERYTHING,
}


def mount() -> ASGIRouteHandler:
    """Return the gateway, to be put below everything else."""
    return ASGIRouteHandler(
        PREFIX.decode(), opt={"permission": Permission.READ_FHIR}, is_mount=True, copy_scope=False
    )(gateway)


async def gateway(scope: Any, receive: Any, send: Any) -> None:
    """Answer whatever is asked below `/fhir`."""
    request: Request[Any, Any, Any] = Request(scope, receive, send)
    try:
        given = await _answer(request)
    except Exception as problem:  # noqa: BLE001  whatever it is, it is answered in the words of this door
        given = outcome_of(problem, scope.get("hospitium.request_id", ""))
    headers = [
        (b"content-type", FHIR_JSON.encode()),
        (b"cache-control", b"no-store"),
        (b"content-length", str(len(given.body)).encode()),
        *given.headers,
    ]
    await send({"type": "http.response.start", "status": given.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else given.body})


def answer_exception(request: Request[Any, Any, Any], problem: Exception) -> Response[bytes]:
    """Answer whatever went wrong before the gateway was asked."""
    scope: dict[str, Any] = request.scope  # type: ignore[assignment]
    given = outcome_of(problem, scope.get("hospitium.request_id", ""))
    headers = {
        "Cache-Control": "no-store",
        **{name.decode(): value.decode() for name, value in given.headers},
    }
    return Response(given.body, status_code=given.status, media_type=FHIR_JSON, headers=headers)


async def _answer(request: Request[Any, Any, Any]) -> Outcome:
    scope: dict[str, Any] = request.scope  # type: ignore[assignment]
    scope["path_template"] = PREFIX.decode()
    asked = address(request.method, scope["raw_path"])
    scope["path_template"] = f"{PREFIX.decode()}/{{server}}/{asked.interaction}"
    require_json(request.headers.getall("accept", []))
    server_id = _server(request, asked)
    base = f"{surroundings(request).public_url}{PREFIX.decode()}/{server_id}"
    match asked.interaction:
        case Interaction.CAPABILITIES:
            day = surroundings(request).work.clock().astimezone(UTC).date().isoformat()
            kind = await surroundings(request).reading.kind_of(request, server_id)
            return Outcome(200, encode(capability.capability(base, __version__, day, kind)))
        case Interaction.CONFIGURATION:
            public_url = surroundings(request).public_url
            return Outcome(200, encode(capability.smart_configuration(public_url, base)))
    form: bytes | Invalid = b""
    if asked.by_post:
        body, said = await whole_body(request.receive), request.headers.get("content-type")
        if asked.interaction is Interaction.SEARCH:
            require_form(said, body)
            form = body
        else:
            try:
                form = form_of(said, body)
            except Invalid as reason:  # which he is told once it is known, and on record, who he is
                form = reason
    return await _read(request, server_id, base, asked, scope["query_string"], form)


class _Given(NamedTuple):
    """What was found, for which question; and to what the address of the next page is bound."""

    found: dict[str, Any] | Page
    pairs: list[Pair]
    bound: tuple[str, ...] = ()


async def _read(
    request: Request[Any, Any, Any],
    server_id: UUID,
    base: str,
    asked: Address,
    query: bytes,
    form: bytes | Invalid,
) -> Outcome:
    body = b"" if isinstance(form, Invalid) else form
    is_page = names_page(query) or names_page(body)
    what = What(
        Recorded.PAGE if is_page else _RECORDED[asked.interaction],
        asked.type,
        asked.id or None,
        "" if is_page else (query + b"\0" + body).decode("latin-1"),
    )

    async def asking(source: Source, sight: Sight) -> Shown[_Given]:
        if isinstance(form, Invalid):
            raise form
        pairs = pairs_in(query, body)
        if asked.interaction is Interaction.READ:
            one = await interactions.read_one(source, sight, asked.type, asked.id, pairs)
            return _as(one, pairs)
        bound = _bound(sight, asked)
        pairs, place = question_of(request, pairs, *bound)
        if asked.interaction is Interaction.SEARCH:
            page = await interactions.search(source, sight, asked.type, pairs, place)
        else:
            page = await interactions.everything(source, sight, asked.id, pairs, place)
        return _as(page, pairs, bound)

    given = await surroundings(request).reading.read(request, server_id, what, asking)
    if not isinstance(given.found, Page):
        return Outcome(200, encode(given.found))
    return Outcome(200, encode(_bundle(request, base, asked, given, given.found)))


def _as(shown: Shown[Any], pairs: list[Pair], bound: tuple[str, ...] = ()) -> Shown[_Given]:
    given = None if shown.given is None else _Given(shown.given, pairs, bound)
    return shown._replace(given=given)


def _bundle(
    request: Request[Any, Any, Any], base: str, asked: Address, given: _Given, page: Page
) -> dict[str, Any]:
    here = f"{base}/{asked.type}"
    if asked.interaction is Interaction.EVERYTHING:
        here = f"{here}/{asked.id}/$everything"
    onward = None
    if page.place is not None:
        onward = next_page(request, here, given.pairs, page.place, *given.bound)
    built = bundle(
        page.resources, base=base, self_link=_self(here, given.pairs), next_link=onward, total=page.total
    )
    if page.incomplete:
        built["entry"] = [*built.get("entry", []), _incomplete(page.incomplete)]
    return built


def _self(here: str, pairs: list[Pair]) -> str:
    return f"{here}?{urlencode(pairs)}" if pairs else here


def _incomplete(says: Any) -> dict[str, Any]:
    """Return the entry of a Bundle that says what is missing in it (https://hl7.org/fhir/R4/search.html#all)."""
    issues = [{"severity": "warning", "code": "incomplete", "diagnostics": one} for one in says]
    return {
        "resource": {"resourceType": "OperationOutcome", "issue": issues},
        "search": {"mode": "outcome"},
    }


def _bound(sight: Sight, asked: Address) -> tuple[str, ...]:
    """Return to what a page is bound: who may ask for it, where (a FHIR server at one address), and of what it is one."""
    return (
        "fhir",
        str(sight.account_id),
        str(sight.server_id),
        str(sight.base),
        asked.interaction.value,
        asked.type,
        asked.id,
    )


def _server(request: Request[Any, Any, Any], asked: Address) -> UUID:
    """Return which FHIR server is meant: the one in the address, or in the header; not two that differ."""
    named = request.headers.getall(SERVER.lower(), [])
    if len(named) > 1:
        raise Invalid(SERVER, "is given twice")
    found = [parse_id(one.strip()) for one in named]
    if None in found:
        raise Invalid(SERVER, "must be the id of a FHIR server: a UUID")
    if asked.server is None:
        if not found or found[0] is None:
            raise Invalid(SERVER, "is required where the address names no FHIR server")
        return found[0]
    in_address = parse_id(asked.server)
    if in_address is None:
        raise NotFound("FHIR server")
    if found and found[0] != in_address:
        raise Invalid(SERVER, "is another FHIR server than the address names")
    return in_address
