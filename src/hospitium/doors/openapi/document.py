"""The document itself: OpenAPI 3.1 over all surfaces, put together from their tables of routes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from hospitium.doors.openapi.answers import HEADERS, responses
from hospitium.doors.openapi.schemas import Schemas, sentences
from hospitium.doors.routing import Media, shapes_of
from hospitium.doors.shapes import Id
from hospitium.engine.idempotency import LONGEST_KEY
from hospitium.engine.permissions import RULES, Need

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hospitium.doors.routing import Route, Surface

_PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")
_SEEN = r"!-~\xa1-\xac\xae-\xff"  # what a header may carry and one can see
_ABOUT = """\
One server where organizations and people agree to share health data. Each tag is one surface, with its own form of answers
and refusals; an account, its password and its tokens are the same at all of them.

Besides what stands at each operation: an address that doesn't exist is answered 404, and a method that an address doesn't take 405
with `Allow`, both in the form of its surface. An unknown member of a body is refused; an unknown parameter of a query is ignored,
and one given twice refused. An answer to a write carries `Hospitium-Position`; a read that sends it as `Hospitium-After` sees at least that
write, or is answered 503, and 400 where it is no such position. A request whose head is larger than 65,536 bytes is answered 431, one that doesn't arrive within 30
seconds 408, neither with a body; one that names another host 421, with a problem of RFC 9457. Date-times are RFC 3339, in UTC."""


def document(surfaces: Iterable[Surface], version: str, public_url: str | None) -> dict[str, Any]:
    """Return the OpenAPI document of some surfaces; `public_url` is where people reach this server, if it was told."""
    surfaces = list(surfaces)
    schemas = Schemas(_shapes(surfaces))
    paths: dict[str, dict[str, Any]] = {}
    for surface in surfaces:
        for route in surface.routes:
            path = surface.prefix + _PARAMETER.sub(lambda found: f"{{{_camel(found[1])}}}", route.path)
            paths.setdefault(path, {})[route.method.lower()] = _operation(surface, route, schemas)
    refusals = _shared(paths)
    made: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "Hospitium",
            "version": version,
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "tags": [{"name": surface.name, "description": surface.says} for surface in surfaces],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.components.items())),
            "responses": refusals,
            "headers": HEADERS,
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "An access token, as signing in gives it.",
                }
            },
        },
    }
    if public_url is not None:
        made["servers"] = [{"url": public_url}]
    return made


def _shapes(surfaces: list[Surface]) -> Iterator[Any]:
    yield Id
    for surface in surfaces:
        yield surface.wording.shape
        for route in surface.routes:
            yield from filter(None, (route.takes, route.query))
            for given in route.gives.values():
                inner = [shape.shape if isinstance(shape, Media) else shape for shape in shapes_of(given)]
                yield from (shape for shape in inner if shape is not None)


def _shared(paths: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Put references where operations refuse in the same words; return what the references are to, by name."""
    shared: dict[str, Any] = {}
    names: dict[bytes, str] = {}
    for operation in (operation for methods in paths.values() for operation in methods.values()):
        (tag,), answers = operation["tags"], operation["responses"]
        for status, answer in answers.items():
            if status >= "400":
                told = f"{tag}{status}"
                names.setdefault(
                    tag.encode() + msgspec.json.encode(answer),
                    f"{told}_{sum(name.startswith(told) for name in shared) + 1}",
                )
                name = names[tag.encode() + msgspec.json.encode(answer)]
                shared[name] = answer
                answers[status] = {"$ref": f"#/components/responses/{name}"}
    return dict(sorted(shared.items()))


def _operation(surface: Surface, route: Route, schemas: Schemas) -> dict[str, Any]:
    rule = RULES[route.permission]
    said = sentences(route.handler.__doc__)
    *_, door, noun = route.handler.__module__.split(".")
    operation: dict[str, Any] = {
        "operationId": f"{door}_{noun}_{route.handler.__name__}",
        "tags": [surface.name],
        "summary": said.partition(". ")[0].removesuffix("."),
        "description": f"{said} {rule.sentence}".strip(),
    }
    if rule.need is not Need.ANYONE:
        operation["security"] = [{"bearer": []}]
    if parameters := list(_parameters(route, schemas)):
        operation["parameters"] = parameters
    if route.takes is not None:
        _, required = schemas.members(route.takes)
        operation["requestBody"] = {
            "required": bool(required),  # an empty body is `{}`
            "content": {"application/json": {"schema": schemas.of(route.takes)}},
        }
    operation["responses"] = responses(route, surface.wording, schemas)
    return operation


def _parameters(route: Route, schemas: Schemas) -> Iterator[dict[str, Any]]:
    for name in _PARAMETER.findall(route.path):
        noun, _, kind = name.rpartition("_")
        yield {
            "name": _camel(name),
            "in": "path",
            "required": True,
            "description": f"The {kind} of the {noun}." if noun else f"The {kind}.",
            "schema": schemas.of(Id) if kind == "id" else {"type": "string"},
        }
    if route.query is not None:
        members, required = schemas.members(route.query)
        for name, schema in members.items():
            described = {"description": schema.pop("description")} if "description" in schema else {}
            yield {"name": name, "in": "query", "required": name in required, **described, "schema": schema}
    if route.creates:
        yield {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "description": "A name for this request, new for each: for 24 hours, the same key and body get the same answer.",
            "schema": {
                "type": "string",
                "maxLength": LONGEST_KEY,
                "pattern": f"^[{_SEEN}](?:[ {_SEEN}]*[{_SEEN}])?$",
            },
        }
    if 304 in route.gives:  # noqa: PLR2004
        yield {
            "name": "If-None-Match",
            "in": "header",
            "required": False,
            "description": "The `ETag` of the version one has: 304 while it is still the one.",
            "schema": {"type": "string"},
        }


def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(word.title() for word in tail)
