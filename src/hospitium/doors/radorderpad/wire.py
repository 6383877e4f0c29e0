"""This surface's way of writing things: envelopes, ids, paging, names in camel case."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from hospitium.doors.answers import Answer, answer
from hospitium.engine.actor import Role
from hospitium.engine.errors import Invalid, NotFound
from hospitium.engine.ids import parse_id
from hospitium.engine.organizations.record import OrganizationType

if TYPE_CHECKING:
    from litestar import Request

    from hospitium.engine.organizations.record import OrganizationCard, OrganizationProfile

DEFAULT_LIMIT = 20
LARGEST_LIMIT = 100
LARGEST_PAGE = 1_000_000_000
MOST_PARAMETERS = 50


class Wire(msgspec.Struct, rename="camel"):
    """A shape of this surface: members in camel case, absent where UNSET."""


class Body(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A request body of this surface: what isn't known is refused (ruling 4)."""


# -- envelopes and paging ----------------------------------------------------------------------------------------------


def success(data: Any, *, status: int = 200) -> Answer:
    """Return `{"success": true, "data": …}`."""
    return answer(status, {"success": True, "data": data})


class Paging(NamedTuple):
    """Which page is asked for."""

    page: int
    limit: int

    @property
    def offset(self) -> int:
        return (self.page - 1) * self.limit

    def of(self, total: int) -> dict[str, int]:
        """Return the `pagination` member for an exact total."""
        return {
            "currentPage": self.page,
            "totalPages": -(-total // self.limit),
            "totalItems": total,
            "itemsPerPage": self.limit,
        }


class Parameters:
    """The query of a request: each name at most once, in UTF-8. Names not asked for are ignored."""

    def __init__(self, request: Request[Any, Any, Any]) -> None:
        try:
            pairs = parse_qsl(
                request.scope["query_string"].decode("ascii"),
                keep_blank_values=True,
                errors="strict",
                max_num_fields=MOST_PARAMETERS,
            )
        except ValueError:
            raise Invalid("query", "can't be read") from None
        self._values: dict[str, str] = {}
        for name, value in pairs:
            if name in self._values:
                raise Invalid(name if name.isidentifier() else "query", "is given twice")
            self._values[name] = value

    def text(self, name: str, *, longest: int = 200) -> str | None:
        """Return a parameter's text, None if it isn't given or blank."""
        value = self._values.get(name, "").strip()
        if "\0" in value:
            raise Invalid(name, "must not contain NUL characters")
        if len(value) > longest:
            raise Invalid(name, f"must be at most {longest} characters long")
        return value or None

    def number(self, name: str, default: int, largest: int) -> int:
        """Return a parameter's number from 1 to `largest`."""
        value = self._values.get(name)
        if value is None:
            return default
        if not (value.isascii() and value.isdigit() and len(value) < 20 and 1 <= int(value) <= largest):  # noqa: PLR2004
            raise Invalid(name, f"must be a number from 1 to {largest:,}")
        return int(value)

    def paging(self) -> Paging:
        """Return `page` (from 1, by default 1) and `limit` (1 to 100, by default 20)."""
        return Paging(
            self.number("page", 1, LARGEST_PAGE), self.number("limit", DEFAULT_LIMIT, LARGEST_LIMIT)
        )


# -- ids ---------------------------------------------------------------------------------------------------------------


def path_id(request: Request[Any, Any, Any], name: str, resource: str) -> UUID:
    """Return the id in the path; one of neither form is as unknown as any unknown id (ruling 6)."""
    found = parse_id(request.path_params[name])
    if found is None:
        raise NotFound(resource)
    return found


def body_id(field: str, text: str) -> UUID:
    """Return an id from a body; Invalid if it is of neither form (ruling 6)."""
    found = parse_id(text)
    if found is None:
        raise Invalid(field, "must be an id: a UUID, or 24 hexadecimal digits")
    return found


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
    # In the detail view of an incoming request, and in the public profile:
    contact_email: str | None | UnsetType = UNSET
    contact_name: str | None | UnsetType = UNSET
    contact_phone: str | None | UnsetType = UNSET
    specialties: list[str] | UnsetType = UNSET
    # In search results and the public profile:
    connection_status: str | UnsetType = UNSET


def basic(card: OrganizationCard | OrganizationProfile, **more: Any) -> OrganizationBasic:
    """Return an organization's nine basic fields, and `more` of it."""
    return OrganizationBasic(
        card.id, card.name, card.type, card.address, card.city, card.state, card.zip_code, card.phone, card.website, **more
    )  # fmt: skip


def with_contact(profile: OrganizationProfile, **more: Any) -> OrganizationBasic:
    """Return the basic fields with whom to contact."""
    return basic(
        profile,
        contact_email=profile.contact_email,
        contact_name=profile.contact_name,
        contact_phone=profile.contact_phone,
        specialties=profile.specialties,
        **more,
    )


def printed_role(role: Role | None, organization_type: OrganizationType | str | None) -> str | None:
    """Return a role as this surface prints it: administrators by the kind of their organization (ruling 2)."""
    if role is Role.ADMIN:
        return "admin_radiology" if organization_type == OrganizationType.RADIOLOGY else "admin_referring"
    return None if role is None else role.value
