"""This surface's way of writing things: envelopes, ids, paging, names in camel case."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, NamedTuple, TypeVar
from uuid import UUID

import msgspec
from msgspec import Meta

from hospitium.doors import parameters
from hospitium.doors.answers import Answer, answer
from hospitium.doors.parameters import LONGEST_PARAMETER
from hospitium.doors.shapes import takes, trimmed
from hospitium.engine.actor import Role
from hospitium.engine.organizations.record import OrganizationType
from hospitium.engine.partnerships.record import Standing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hospitium.engine.organizations.record import OrganizationCard, OrganizationProfile

T = TypeVar("T")
DEFAULT_LIMIT = 20
LARGEST_LIMIT = 100
LARGEST_PAGE = 1_000_000_000


class Wire(msgspec.Struct, rename="camel"):
    """A shape of this surface: members in camel case, absent where UNSET."""


class Body(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A request body of this surface: what isn't known is refused (ruling 4)."""


# -- envelopes and paging ----------------------------------------------------------------------------------------------


class Envelope(Wire, Generic[T]):
    """What every answer of this surface with data looks like."""

    success: Literal[True]
    data: T


def success(data: Any, *, status: int = 200) -> Answer:
    """Return `{"success": true, "data": …}`."""
    return answer(status, Envelope(success=True, data=data))


class Pagination(Wire):
    """Which page this is, and how many there are."""

    current_page: int
    total_pages: int
    total_items: int
    items_per_page: int


Parameter = Annotated[
    str,
    takes(
        "Parameter",
        "Text without NUL characters; blank is none.",
        maxLength=LONGEST_PARAMETER,
        pattern=r"^[^\x00]*$",
    ),
]


def word(name: str, words: Iterable[str]) -> Meta:
    """Return what stands in the type of a parameter that is one of some words; a blank one is none."""
    return takes(
        name, "One of these words; blank is none.", anyOf=[{"enum": list(words)}, {"pattern": trimmed("")}]
    )


class PageQuery(Wire):
    """Which page of a list."""

    page: Annotated[int, Meta(ge=1, le=LARGEST_PAGE, description="Which page, from 1.")] = 1
    limit: Annotated[int, Meta(ge=1, le=LARGEST_LIMIT, description="How many a page.")] = DEFAULT_LIMIT


class Paging(NamedTuple):
    """Which page is asked for."""

    page: int
    limit: int

    @property
    def offset(self) -> int:
        return (self.page - 1) * self.limit

    def of(self, total: int) -> Pagination:
        """Return the `pagination` member for an exact total."""
        return Pagination(self.page, -(-total // self.limit), total, self.limit)


class Parameters(parameters.Parameters):
    """The query of a request of this surface, with its paging."""

    def paging(self) -> Paging:
        """Return `page` (from 1, by default 1) and `limit` (1 to 100, by default 20)."""
        return Paging(
            self.number("page", 1, LARGEST_PAGE), self.number("limit", DEFAULT_LIMIT, LARGEST_LIMIT)
        )


# -- ids ---------------------------------------------------------------------------------------------------------------


# -- organizations and roles -------------------------------------------------------------------------------------------


class OrganizationBasic(Wire):
    """The nine basic fields (docs/dialects/radorderpad.md)."""

    id: UUID
    name: str
    type: OrganizationType
    address: str | None
    city: str | None
    state: str | None
    zip_code: str | None
    phone: str | None
    website: str | None


class FoundOrganization(OrganizationBasic):
    """An organization that a search found, and how one stands with it."""

    connection_status: Standing


class OrganizationContact(OrganizationBasic):
    """The basic fields with whom to contact: of the source, in the detail of a request one received."""

    contact_email: str | None
    contact_name: str | None
    contact_phone: str | None
    specialties: list[str]


class PublicProfile(OrganizationContact):
    """The public profile of an organization, and how one stands with it."""

    connection_status: Standing


Printed = TypeVar("Printed", bound=OrganizationBasic)


def printed(
    shape: type[Printed], organization: OrganizationCard | OrganizationProfile, **more: Any
) -> Printed:
    """Return an organization in one of these shapes; `more` is what its row doesn't say."""
    return shape(
        **{name: getattr(organization, name) for name in shape.__struct_fields__ if name not in more},
        **more,
    )


def basic(organization: OrganizationCard | OrganizationProfile) -> OrganizationBasic:
    """Return an organization's nine basic fields."""
    return printed(OrganizationBasic, organization)


def printed_role(role: Role | None, organization_type: OrganizationType | str | None) -> str | None:
    """Return a role as this surface prints it: administrators by the kind of their organization (ruling 2)."""
    if role is Role.ADMIN:
        return "admin_radiology" if organization_type == OrganizationType.RADIOLOGY else "admin_referring"
    return None if role is None else role.value
