"""GET /openapi.json: the tables of routes as a document, complete and whole."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest
import schemathesis

from cast import House, MovableClock
from hospitium import __version__
from hospitium.app import SURFACES
from hospitium.doors.medable.records import RecordBody
from hospitium.doors.openapi.answers import refusals_of
from hospitium.doors.openapi.document import document
from hospitium.doors.openapi.published import Edition
from hospitium.doors.routing import Route
from hospitium.doors.shapes import takes
from hospitium.engine.permissions import RULES, Need
from house.tree import SOURCE

DIALECT = "https://json-schema.org/draft/2020-12/schema"
DOCUMENT = document(SURFACES, __version__, None)
ROUTES = [(surface, route) for surface in SURFACES for route in surface.routes]
FOR_PEOPLE = {"console"}  # pages, which no program asks for
OPERATIONS = [
    (method, path, operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
]


def address(surface: Any, route: Route) -> tuple[str, str]:
    """Return where a route is, with the names of its parameters left out."""
    return route.method.lower(), re.sub(r"\{[^}]*\}", "{}", surface.prefix + route.path)


def operation_of(surface: Any, route: Route) -> dict[str, Any]:
    (found,) = [
        operation
        for method, path, operation in OPERATIONS
        if (method, re.sub(r"\{[^}]*\}", "{}", path)) == address(surface, route)
    ]
    return found


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def test_it_is_a_document_of_openapi_3_1() -> None:
    schemathesis.openapi.from_dict(DOCUMENT).validate()
    for broken in (
        DOCUMENT | {"info": {}},
        DOCUMENT | {"paths": {"/x": {"get": {"parameters": [{"name": "x"}], "responses": {}}}}},
    ):
        with pytest.raises(jsonschema_rs.ValidationError):
            schemathesis.openapi.from_dict(broken).validate()


def test_every_schema_is_a_json_schema() -> None:
    for name, schema in DOCUMENT["components"]["schemas"].items():
        assert jsonschema_rs.meta.is_valid({"$schema": DIALECT} | schema), name


def test_every_route_of_every_table_is_in_it_and_nothing_else() -> None:
    described = [(method, re.sub(r"\{[^}]*\}", "{}", path)) for method, path, _ in OPERATIONS]
    assert sorted(described) == sorted(address(surface, route) for surface, route in ROUTES)


def test_no_door_is_forgotten() -> None:
    doors = {path.parent.name for path in (SOURCE / "doors").glob("*/routes.py")}
    described = {surface.routes[0].handler.__module__.split(".")[2] for surface in SURFACES}
    assert doors - described <= FOR_PEOPLE, "Put the door's SURFACE among SURFACES in app.py."


def test_every_reference_leads_somewhere_and_every_component_is_used() -> None:
    there = {
        f"#/components/{kind}/{name}"
        for kind in ("schemas", "responses", "headers")
        for name in DOCUMENT["components"][kind]
    }
    assert set(references(DOCUMENT)) == there


def test_names_are_short_and_nothing_is_said_twice() -> None:
    names = [operation["operationId"] for _, _, operation in OPERATIONS]
    assert len(set(names)) == len(names)
    odd = [name for name in DOCUMENT["components"]["schemas"] if not re.fullmatch(r"[A-Z][A-Za-z]+", name)]
    assert not odd, (
        f"Two structs of one name, or a shape filled in that isn't written where it stands: {odd}."
    )
    for _, path, operation in OPERATIONS:
        assert re.fullmatch(r"[A-Z][^.]{5,}", operation["summary"]), (
            f"{path}: begin the handler's docstring with a sentence"
        )
        assert not re.search(r"ruling|docs/|\.py\b", str(operation)), path


@pytest.mark.parametrize(
    ("surface", "route"), ROUTES, ids=lambda one: getattr(one, "path", getattr(one, "name", ""))
)
def test_every_route_says_what_goes_in_and_comes_out(surface: Any, route: Route) -> None:
    assert route.gives, "Say in its line what it gives."
    operation = operation_of(surface, route)
    assert RULES[route.permission].sentence in operation["description"]
    assert ("security" in operation) == (RULES[route.permission].need is not Need.ANYONE)
    assert all(kind in {**surface.wording.refusals, **surface.wording.edge} for kind in refusals_of(route))
    written = [kind for kind in route.refuses if kind in refusals_of(route._replace(refuses=()))]
    assert not written, f"{written} follow from its nature; strike them out."
    assert len(set(route.refuses)) == len(route.refuses)


def test_an_output_has_no_defaults_and_a_body_takes_nothing_unknown() -> None:
    for _, route in ROUTES:
        # A record has the members it has, and AuthZEN wants what it doesn't know to be ignored (ruling 4).
        if (
            route.takes is not None
            and route.takes is not RecordBody
            and not route.path.startswith("/access/")
        ):
            assert route.takes.__struct_config__.forbid_unknown_fields, f"{route.path}: forbid_unknown_fields"
        for shape in route.gives.values():
            for struct in structs_in(shape):
                loose = [
                    field.name
                    for field in msgspec.structs.fields(struct)
                    if not field.required and field.default is not msgspec.UNSET
                ]
                assert not loose, f"{struct.__name__} prints {loose} whether it was said or not"


def structs_in(shape: Any) -> Iterator[type[msgspec.Struct]]:
    if isinstance(shape, type) and issubclass(shape, msgspec.Struct):
        yield shape
    for part in getattr(shape, "__args__", getattr(shape, "shape", None) and (shape.shape,)) or ():
        yield from structs_in(part)
    origin = getattr(shape, "__origin__", None)
    if isinstance(origin, type) and issubclass(origin, msgspec.Struct):
        yield origin


def test_an_edition_knows_who_has_it() -> None:
    edition = Edition.of(b"{}")
    assert edition.is_had_by(edition.etag)
    assert edition.is_had_by(f'"other", W/{edition.etag}')
    assert edition.is_had_by("*")
    assert not edition.is_had_by(None)
    assert not edition.is_had_by('"other"')
    assert not edition.is_had_by(edition.etag.strip('"'))
    assert Edition.of(b"[]").etag != edition.etag


async def test_it_is_served_to_anyone_and_not_sent_again(house: House) -> None:
    first = await house.stranger.get("/openapi.json")
    assert (first.status_code, first.headers["content-type"]) == (200, "application/json")
    assert first.headers["cache-control"] == "public, no-cache"
    assert first.json()["info"]["version"] == __version__
    assert "servers" not in first.json()
    again = await house.stranger.send("GET", "/openapi.json", If_None_Match=first.headers["etag"])
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert (await house.stranger.send("GET", "/openapi.json", If_None_Match='"old"')).status_code == 200


async def test_where_it_is_comes_from_the_setting_and_never_from_the_request(
    database_url: str, clock: MovableClock, tmp_path: Path
) -> None:
    told = {"PUBLIC_URL": "https://share.example"}
    async with House.open(database_url, clock, tmp_path / "keys", told) as house:
        answered = await house.stranger.send(
            "GET", "/openapi.json", Host="share.example", X_Forwarded_Host="evil.example"
        )
        assert answered.json()["servers"] == [{"url": "https://share.example"}]
        assert "evil" not in answered.text


async def test_options_tells_every_method_an_address_takes(house: House) -> None:
    for path, methods in DOCUMENT["paths"].items():
        answered = await house.stranger.send("OPTIONS", re.sub(r"\{\w+\}", "x", path))
        allowed = {method.lower() for method in answered.headers["allow"].split(", ")}
        assert (answered.status_code, allowed) == (204, {*methods, "options"}), path


def test_two_types_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="Line"):
        takes("Line", "Something else.")
