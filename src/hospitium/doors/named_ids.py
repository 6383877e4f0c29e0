"""Ids in paths and bodies: read in either spelling (ruling 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hospitium.engine.errors import Invalid, NotFound
from hospitium.engine.ids import parse_id

if TYPE_CHECKING:
    from uuid import UUID

    from litestar import Request


def path_id(request: Request[Any, Any, Any], name: str, resource: str) -> UUID:
    """Return the id in the path; one of neither form is as unknown as any unknown id."""
    found = parse_id(request.path_params[name])
    if found is None:
        raise NotFound(resource)
    return found


def body_id(field: str, text: str) -> UUID:
    """Return an id from a body; Invalid if it is of neither form."""
    found = parse_id(text)
    if found is None:
        raise Invalid(field, "must be an id: a UUID, or 24 hexadecimal digits")
    return found
