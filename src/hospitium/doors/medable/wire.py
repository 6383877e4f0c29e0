"""This surface's way of writing things: ids of 24 digits, date-times with milliseconds, lists in an envelope, `limit` and `skip`."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, NamedTuple, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from hospitium.doors import parameters
from hospitium.doors.named_ids import body_id
from hospitium.doors.shapes import takes, trimmed
from hospitium.engine.errors import Invalid, NameTaken
from hospitium.engine.ids import LAST_ID, to_object_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from uuid import UUID

    from litestar import Request

T = TypeVar("T")
S = TypeVar("S")
DEFAULT_LIMIT, LARGEST_LIMIT = 100, 100
LARGEST_SKIP = 10_000

ObjectId = Annotated[
    str, takes("ObjectId", "An id: 24 hexadecimal digits.", pattern="^[0-9a-f]{24}$|^[0-9a-f-]{36}$")
]
_ID = r"[0-9a-fA-F]{24}|[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"
IdParameter = Annotated[
    str,
    takes("IdParameter", "An id; blank is none.", pattern=trimmed(f"(?:{_ID})?")),
]
Moment = Annotated[
    str,
    takes(
        "Moment",
        "A date-time in UTC, with milliseconds.",
        format="date-time",
        pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$",
    ),
]
AccessLevel = Annotated[int, Meta(ge=0, le=7, description="An access level.")]


class Body(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, rename="camel"):
    """A request body of this surface: what isn't known is refused (ruling 4)."""


class Reference(msgspec.Struct):
    """What something is, and where it can be read."""

    id: ObjectId = msgspec.field(name="_id")
    object: str
    path: str


class Result(msgspec.Struct):
    """It is done; or, of several, how many."""

    object: Literal["result"]
    data: bool | int


class List(msgspec.Struct, Generic[T]):
    """A page of a list, the newest first."""

    data: list[T]
    has_more: bool = msgspec.field(name="hasMore")
    object: Literal["list"]


class PageQuery(msgspec.Struct):
    """Which part of a list: so many, after so many; or `after` one of them, however far."""

    limit: Annotated[int, Meta(ge=1, le=LARGEST_LIMIT, description="How many at most.")] = DEFAULT_LIMIT
    skip: Annotated[int, Meta(ge=0, le=LARGEST_SKIP, description="How many to pass over.")] = 0
    after: IdParameter | UnsetType = UNSET


DONE = Result("result", True)


def printed_id(value: UUID) -> str:
    """Return an id as this surface spells it (ruling 6)."""
    return to_object_id(value) or str(value)


def moment(at: datetime) -> str:
    """Return an instant as this surface writes it (ruling 5)."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z"


def reference(kind: str, plural: str, value: UUID) -> Reference:
    """Return a reference to something by its kind, its plural and its id."""
    spelled = printed_id(value)
    return Reference(spelled, kind, f"/{plural}/{spelled}")


def to_account(value: UUID) -> Reference:
    """Return a reference to an account."""
    return reference("account", "accounts", value)


@contextmanager
def spelling(spelled: Mapping[str, str]) -> Iterator[None]:
    """Name the field of a refusal as this surface spells it, where it spells it otherwise than the engine."""
    try:
        yield
    except Invalid as refusal:
        head, bracket, rest = refusal.field.partition("[")
        raise Invalid(f"{spelled.get(head, head)}{bracket}{rest}", refusal.reason) from None
    except NameTaken as refusal:
        raise NameTaken(spelled.get(refusal.field, refusal.field)) from None


class Paging(NamedTuple):
    """Which part of a list is asked for: before which id, after how many, how many."""

    before: UUID
    skip: int
    limit: int

    def printed(self, found: Sequence[S], printed: Callable[[S], Any]) -> List[Any]:
        """Return the envelope of what was found, which is one more if there are more."""
        return List([printed(one) for one in found[: self.limit]], len(found) > self.limit, "list")


class Parameters(parameters.Parameters):
    """The query of a request of this surface, with its paging."""

    def paging(self) -> Paging:
        """Return `limit` (1 to 100), `skip` (up to 10,000), and where to begin: `after` an id. Raises Invalid."""
        after = self.text("after")
        return Paging(
            LAST_ID if after is None else body_id("after", after),
            self.number("skip", 0, LARGEST_SKIP, least=0),
            self.number("limit", DEFAULT_LIMIT, LARGEST_LIMIT),
        )


def paging_of(request: Request[Any, Any, Any]) -> Paging:
    """Return which part of a list is asked for. Raises Invalid."""
    return Parameters(request).paging()
