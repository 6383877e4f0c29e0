"""Reading questions: whose members are missing or of the wrong kind is refused, naming them; what isn't known is ignored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from msgspec import UNSET

from hospitium.doors import json_body
from hospitium.engine.access.naming import Named
from hospitium.engine.errors import Invalid
from hospitium.engine.json_text import parse

if TYPE_CHECKING:
    from litestar import Request

    from hospitium.doors.authzen.shapes import Action, Properties, Resource, Subject

T = TypeVar("T")
FHIR_SERVER = "fhirServerId"


async def body_of(request: Request[Any, Any, Any], shape: type[T]) -> T:
    """Return the body of a request. Raises Invalid, WrongContentType."""
    content_type = request.headers.get("content-type")
    return read_body(await request.body(), None if content_type is None else content_type.encode(), shape)


def read_body(body: bytes, content_type: bytes | None, shape: type[T]) -> T:
    """Return a body as a value of `shape`. Raises Invalid, WrongContentType."""
    if content_type == b"application/json" and body:  # as good as always
        return json_body.convert(parse(body), shape)
    return json_body.read(body, None if content_type is None else content_type.decode("latin-1"), shape)


def named(subject: Subject, action: Action, resource: Resource) -> Named:
    """Return a question in the engine's form."""
    return Named(
        subject.type, subject.id, action.name, resource.type, resource.id, fhir_server_of(resource.properties)
    )


def fhir_server_of(properties: Properties | Any) -> str:
    """Return which FHIR server the properties of a resource name; '' if none."""
    given = "" if properties is UNSET else properties.get(FHIR_SERVER, "")
    return given if isinstance(given, str) else ""


def whole_number(field: str, given: int, largest: int) -> int:
    """Return a number that isn't negative, and no more than the largest that is served. Raises Invalid."""
    if given < 0:
        raise Invalid(field, "must not be negative")
    return min(given, largest)
