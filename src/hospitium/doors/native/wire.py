"""This surface's way of writing things: names in camel case, pages by key."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from hospitium.doors.named_ids import body_id
from hospitium.doors.parameters import Parameters
from hospitium.doors.shapes import Id, takes
from hospitium.engine.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from litestar import Request

DEFAULT_LIMIT = 50
LARGEST_LIMIT = 200

PageLimit = Annotated[
    str,
    takes(
        "PageLimit", f"How many at most, 1 to {LARGEST_LIMIT}.", pattern="^(?:[1-9][0-9]?|1[0-9][0-9]|200)$"
    ),
]


class Wire(msgspec.Struct, rename="camel"):
    """A shape of this surface: members in camel case."""


class Body(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """A request body of this surface: what isn't known is refused (ruling 4)."""


class Page(Wire):
    """Which part of a list: what comes after the one with this id, and how many at most."""

    after: Id | None = None
    limit: PageLimit | None = None


def page_of(request: Request[Any, Any, Any]) -> tuple[UUID | None, int]:
    """Return after which id a list is to go on, and how many are wanted. Raises Invalid."""
    given = Parameters(request)
    after = given.text("after")
    return None if after is None else body_id("after", after), given.number(
        "limit", DEFAULT_LIMIT, LARGEST_LIMIT
    )


@contextmanager
def wire_names() -> Iterator[None]:
    """Name the field of a refusal as this surface spells it."""
    try:
        yield
    except Invalid as refusal:
        refusal.field = spelled(refusal.field)
        refusal.message = f"{refusal.field}: {refusal.reason}"
        raise


def spelled(field: str) -> str:
    """Return the name of a field as this surface spells it."""
    return re.sub(r"_([a-z])", lambda found: found[1].upper(), field)
