"""The document as a page for people: every operation by surface, and every shape. No script, nothing loaded from anywhere."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jinja2
from markupsafe import Markup, escape

from hospitium.doors.openapi.schemas import PLACE

if TYPE_CHECKING:
    from collections.abc import Iterator

_HERE = Path(__file__).parent
STYLE = (_HERE / "page.css").read_text(encoding="utf-8")
_CODE = re.compile(r"`([^`]+)`")


class Listed(NamedTuple):
    """One operation, and where it is."""

    method: str
    path: str
    operation: dict[str, Any]


class Member(NamedTuple):
    """One member of an object."""

    name: str
    required: bool
    schema: dict[str, Any]


def rendered(document: dict[str, Any]) -> str:
    """Return the page of a document."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "prose": prose,
        "spelled": spelled,
        "members": members,
        "whole": whole,
        "body": body,
    }
    surfaces = [(tag, list(_operations(document, tag["name"]))) for tag in document["tags"]]
    template = environment.get_template("page.html")
    return template.render(document=document, surfaces=surfaces, style=Markup(STYLE))  # noqa: S704  a file of ours


def prose(text: str) -> Markup:
    """Return text with `code` and lines of lists as HTML."""
    lines = Markup("<br>").join(
        Markup("").join(
            Markup("<code>{}</code>").format(part) if number % 2 else escape(part)
            for number, part in enumerate(_CODE.split(line.removeprefix("* ")))
        )
        for line in text.split("\n")
    )
    return Markup("<p>{}</p>").format(lines)


def spelled(schema: dict[str, Any]) -> Markup:
    """Return what a schema takes in a few words, with links to the shapes it names."""
    match schema:
        case {"$ref": str(place)}:
            name = place.removeprefix(PLACE)
            return Markup('<a href="#shape-{}">{}</a>').format(name, name)
        case {"const": value}:
            return _code(value)
        case {"enum": list(values)}:
            return Markup(", ").join(_code(value) for value in values)
        case {"anyOf": list(ways)}:
            return Markup(" or ").join(spelled(way) for way in ways)
        case {"allOf": [way, _]}:
            return spelled(way)
        case {"type": "array", "items": dict(item)} if item:
            return Markup("list of {}").format(spelled(item))
        case {"type": "object", "additionalProperties": dict(value)}:
            return Markup("object of {}").format(spelled(value))
        case {"type": str(kind)}:
            return Markup("{}").format(f"{kind} ({schema['format']})" if "format" in schema else kind)
        case {"pattern": _}:
            return Markup("blank")
        case _:
            return Markup("anything")


def body(schema: dict[str, Any]) -> Markup:
    """Return what the body of an answer is: a shape, or the members of an object that is written where it stands."""
    if "properties" not in schema:
        return spelled(schema)
    return Markup("{{{}}}").format(
        Markup(", ").join(
            Markup("<code>{}</code>: {}").format(member.name, body(member.schema))
            for member in members(schema)
        )
    )


def members(schema: dict[str, Any]) -> list[Member]:
    """Return the members of an object."""
    required = schema.get("required", [])
    return [Member(name, name in required, member) for name, member in schema.get("properties", {}).items()]


def whole(place: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    """Return what a reference stands for; anything else as it is."""
    found: Any = place
    while "$ref" in found:
        keys = found["$ref"].removeprefix("#/").split("/")
        found = document
        for key in keys:
            found = found[key]
    made: dict[str, Any] = found
    return made


def _operations(document: dict[str, Any], tag: str) -> Iterator[Listed]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if tag in operation["tags"]:
                yield Listed(method.upper(), path, operation)


def _code(value: Any) -> Markup:
    return Markup("<code>{}</code>").format(value if isinstance(value, str) else json.dumps(value))
