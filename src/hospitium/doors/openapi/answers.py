"""Every answer that a route can give: those it names, and the refusals that follow from its nature."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from litestar.exceptions.http_exceptions import RequestEntityTooLarge

from hospitium.doors.answers import JSON
from hospitium.doors.json_body import LARGEST_BODY, WrongContentType
from hospitium.doors.openapi.schemas import sentences
from hospitium.doors.problems import TooManyQuestions
from hospitium.doors.routing import Media, shapes_of
from hospitium.engine import errors
from hospitium.engine.permissions import KEY_MAY, RULES, Need

if TYPE_CHECKING:
    from hospitium.doors.openapi.schemas import Schemas
    from hospitium.doors.routing import Route, Wording

HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-ID": {
        "description": "The id of this request, as it stands in the server's log.",
        "required": True,
        "schema": {"type": "string"},
    },
    "Cache-Control": {
        "description": "Whether anybody may keep a copy; mostly nobody.",
        "required": True,
        "schema": {"type": "string"},
    },
    "WWW-Authenticate": {
        "description": "How to prove who one is.",
        "required": True,
        "schema": {"type": "string", "const": "Bearer"},
    },
    "Retry-After": {
        "description": "After how many seconds it is worth trying again.",
        "required": True,
        "schema": {"type": "integer", "minimum": 0},
    },
    "ETag": {"description": "The name of this version.", "required": True, "schema": {"type": "string"}},
}
_ON = {401: "WWW-Authenticate", 429: "Retry-After", 503: "Retry-After"}
_EDGE = {
    RequestEntityTooLarge: f"The body is larger than {LARGEST_BODY:,} bytes.",
    WrongContentType: "There is a body, and it doesn't say that it is `application/json`.",
    TooManyQuestions: "There are more questions than are answered at once.",
}


def refusals_of(route: Route) -> list[type[Exception]]:
    """Return every kind of refusal a route can meet: what it names, and what its parts and its permission bring along."""
    kinds: list[type[Exception]] = [*route.refuses]
    if route.takes is not None:
        kinds += [RequestEntityTooLarge, WrongContentType]
    if route.takes is not None or route.query is not None or route.creates:
        kinds.append(errors.Invalid)
    need = RULES[route.permission].need
    if need is not Need.ANYONE:
        # Forbidden, if to nobody else, to a service key.
        kinds += [errors.NotSignedIn, errors.SessionEnded, errors.Forbidden]
    if need in (Need.STAFF, Need.ADMINISTRATOR) or route.permission in KEY_MAY:
        kinds.append(errors.OrganizationInactive)
    if "{" in route.path:
        kinds.append(errors.NotFound)
    if route.creates:
        kinds.append(errors.KeyReused)
    if not route.alone:
        kinds.append(errors.Unavailable)
    return list(dict.fromkeys(kinds))


def responses(route: Route, wording: Wording, schemas: Schemas) -> dict[str, Any]:
    """Return the `responses` of a route's operation."""
    given = {status: _given(status, shape, route, schemas) for status, shape in route.gives.items()}
    refused: dict[int, list[tuple[str, str]]] = {}
    for kind in refusals_of(route):
        status, word = wording.edge[kind] if kind in wording.edge else wording.refusals[kind]  # type: ignore[index]
        refused.setdefault(status, []).append((word, _EDGE.get(kind) or _why(kind)))
    if both := given.keys() & refused.keys():
        raise ValueError(f"{route.method} {route.path} gives and refuses with {both}")
    for status, words in refused.items():
        given[status] = _refused(status, words, wording, schemas)
    return {str(status): given[status] for status in sorted(given)}


def _given(status: int, given: Any, route: Route, schemas: Schemas) -> dict[str, Any]:
    made: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    made["headers"] = _headers(status, *(("ETag",) if 304 in route.gives else ()))  # noqa: PLR2004
    for shape in shapes_of(given):
        media = shape if isinstance(shape, Media) else Media(JSON, shape)
        schema = {"type": "string"} if media.shape is None else schemas.of(media.shape)
        made.setdefault("content", {})[media.type] = {"schema": schema}
    return made


def _refused(status: int, words: list[tuple[str, str]], wording: Wording, schemas: Schemas) -> dict[str, Any]:
    only = wording.only(status, sorted({word for word, _ in words}))
    return {
        "description": "\n".join(f"* `{word}`: {sentence}" for word, sentence in words),
        "headers": _headers(status),
        "content": {wording.media_type: {"schema": {"allOf": [schemas.of(wording.shape), only]}}},
    }


def _why(kind: type[Exception]) -> str:
    """Return what a kind of refusal says, up to where it goes on about its data."""
    return re.split(r"[:;] ", sentences(kind.__doc__), maxsplit=1)[0].removesuffix(".") + "."


def _headers(status: int, *more: str) -> dict[str, Any]:
    names = ["X-Request-ID", "Cache-Control", *([_ON[status]] if status in _ON else []), *more]
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
