"""This surface's way of writing things: names in camel case, roles and genders as words, pages by number."""

from __future__ import annotations

import math
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar

import msgspec

from hospitium.doors.parameters import Parameters
from hospitium.doors.shapes import takes
from hospitium.engine.errors import Invalid
from hospitium.engine.levels import Level

if TYPE_CHECKING:
    from collections.abc import Iterator

    from litestar import Request

T = TypeVar("T")
DEFAULT_COUNT = 30
LARGEST_COUNT = 100
LARGEST_PAGE = 1_000_000

PageNumber = Annotated[str, takes("PageNumber", "Which page, from 1 on.", pattern="^[1-9][0-9]{0,6}$")]
Count = Annotated[
    str, takes("Count", f"How many a page, 1 to {LARGEST_COUNT}.", pattern="^(?:[1-9][0-9]?|100)$")
]
RoleWord = Annotated[
    str,
    takes(
        "RoleWord",
        "Owner, Administrator (or admin), Write or Read, in any case.",
        pattern="^(?i:owner|administrator|admin|write|read)$",
    ),
]


class Wire(msgspec.Struct, rename="camel"):
    """A shape of this surface: members in camel case."""


class Body(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """A request body of this surface: what isn't known is refused (ruling 4)."""


class PageQuery(Wire):
    """Which page of a list, and how many a page."""

    page: PageNumber | None = None
    count: Count | None = None


class Paged(Wire, Generic[T]):
    """A page of a list (contract bluebutton.md §3.1)."""

    total: int
    total_pages: int
    has_next_page: bool
    current_page: int
    resources: list[T]


class PageOf(msgspec.Struct, frozen=True):
    """A page that is asked for: its number, from 1 on, and how many stand on one."""

    number: int
    count: int

    @property
    def skip(self) -> int:
        """How many stand on the pages before."""
        return (self.number - 1) * self.count

    def paged(self, resources: list[T], total: int) -> Paged[T]:
        """Return what stands on it, with what there is in all."""
        pages = math.ceil(total / self.count)
        return Paged(total, pages, self.number < pages, self.number, resources)


def page_of(request: Request[Any, Any, Any]) -> PageOf:
    """Return the page that is asked for. Raises Invalid."""
    given = Parameters(request)
    return PageOf(given.number("page", 1, LARGEST_PAGE), given.number("count", DEFAULT_COUNT, LARGEST_COUNT))


_ROLES = {
    "owner": (Level.DELETE, True),
    "administrator": (Level.DELETE, False),
    "admin": (Level.DELETE, False),
    "write": (Level.UPDATE, False),
    "read": (Level.READ, False),
}


def role_of(level: int, *, is_owner: bool) -> str:
    """Return the word for a level (contract bluebutton.md §3.2)."""
    if is_owner:
        return "Owner"
    if level >= Level.DELETE:
        return "Administrator"
    return "Write" if level >= Level.UPDATE else "Read"


def level_of(field: str, word: str) -> Level:
    """Return the level of a word, in any case; Invalid if it is none, and for Owner, which nobody can be made."""
    level, is_owner = _ROLES.get(word.lower(), (None, False))
    if level is None:
        raise Invalid(field, "must be one of Administrator, Write, Read")
    if is_owner:
        raise Invalid(field, "can't be Owner: there is one, and it is not given away like this")
    return level


@contextmanager
def wire_names() -> Iterator[None]:
    """Name the field of a refusal as this surface spells it."""
    try:
        yield
    except Invalid as refusal:
        refusal.field = re.sub(r"_([a-z])", lambda found: found[1].upper(), refusal.field)
        refusal.message = f"{refusal.field}: {refusal.reason}"
        raise
