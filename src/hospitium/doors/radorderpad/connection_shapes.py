"""What comes in and what goes out at the addresses of connections (docs/dialects/radorderpad.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from hospitium.doors.radorderpad.wire import (
    Body,
    OrganizationBasic,
    PageQuery,
    Pagination,
    Wire,
    printed,
    word,
)
from hospitium.doors.shapes import BAD_IN_A_MESSAGE, BLANK, Id, Instant, Message, takes, trimmed
from hospitium.engine.partnerships.actions import PendingOrders
from hospitium.engine.partnerships.record import PartnershipStatus as Status
from hospitium.engine.text import LONGEST_MESSAGE

if TYPE_CHECKING:
    from typing import Self

    from hospitium.engine.organizations.record import OrganizationProfile

C = TypeVar("C", bound="Connection")
Reason = Annotated[
    str,
    takes(
        "Reason",
        "Why, as plain text of several lines.",
        maxLength=LONGEST_MESSAGE,
        pattern=trimmed(f"[^{BLANK}{BAD_IN_A_MESSAGE}][^{BAD_IN_A_MESSAGE}]*"),
    ),
]
StatusParameter = Annotated[str, word("StatusParameter", ("all", "pending", *Status))]


# -- what comes in -----------------------------------------------------------------------------------------------------


class RequestBody(Body):
    """Whom to ask, and what to say."""

    target_organization_id: Id
    message: Message | None = None


class MessageBody(Body):
    """What to say; null keeps what was said before."""

    message: Message | None = None


class ResponseBody(Body):
    """What to say in answer."""

    response_message: Message | None = None


class EmptyBody(Body):
    """Nothing needs to be said."""


class TerminateBody(Body):
    """Why, and what is to become of pending orders: `transfer` needs a `targetConnectionId`."""

    reason: Reason
    handle_pending_orders: PendingOrders = PendingOrders.COMPLETE
    target_connection_id: Id | None = None


class OutgoingQuery(PageQuery):
    """Which of the requests one sent."""

    status: Annotated[StatusParameter, Meta(description="By default all.")] = "all"


class IncomingQuery(PageQuery):
    """Which of the requests one received."""

    status: Annotated[StatusParameter, Meta(description="By default those that wait for an answer.")] = (
        "pending_approval"
    )


# -- what goes out -----------------------------------------------------------------------------------------------------


class Connection(Wire):
    """A connection: `id` and `status` always, the rest as each address documents it."""

    id: UUID
    status: Status


class SourceOrganization(OrganizationBasic):
    """The organization that asked; whom to contact there, where one's own was asked."""

    contact_email: str | None | UnsetType = UNSET
    contact_name: str | None | UnsetType = UNSET
    contact_phone: str | None | UnsetType = UNSET
    specialties: list[str] | UnsetType = UNSET

    @classmethod
    def of(cls, profile: OrganizationProfile, *, with_contact: bool) -> Self:
        """Return the source of a request, with whom to contact or without."""
        unsaid = {} if with_contact else dict.fromkeys(cls.__struct_fields__[-4:], UNSET)
        return printed(cls, profile, **unsaid)


class RequestedConnection(Wire):
    """A request that was sent."""

    connection_id: UUID
    status: Status
    request_date: Instant
    target_organization: OrganizationBasic


class ConnectionAskedAgain(Connection):
    """A request that was sent again."""

    request_date: Instant
    message: str | None


class CanceledConnection(Connection):
    """A request that was taken back."""

    cancel_date: Instant


class ApprovedConnection(Connection):
    """A request that was approved."""

    response_date: Instant
    source_organization: OrganizationBasic
    target_organization: OrganizationBasic
    response_message: str | None


class RejectedConnection(Connection):
    """A request that was rejected."""

    response_date: Instant
    response_message: str | None


class EndedConnection(Connection):
    """A connection that was just terminated."""

    termination_date: Instant
    termination_reason: str
    pending_orders_handling: PendingOrders
    affected_order_count: int


class OutgoingConnection(Connection):
    """A request one sent."""

    request_date: Instant
    response_date: Instant | None
    target_organization: OrganizationBasic
    message: str | None
    response_message: str | None


class IncomingConnection(Connection):
    """A request one received."""

    request_date: Instant
    source_organization: OrganizationBasic
    message: str | None


class EstablishedConnection(Connection):
    """A connection that stands; `organization` is the other side."""

    request_date: Instant
    response_date: Instant
    organization: OrganizationBasic
    connection_type: Literal["outgoing", "incoming"]
    order_count: int
    last_order_date: Instant | None


class TerminatedConnection(Connection):
    """A connection that was terminated; `organization` is the other side."""

    request_date: Instant
    response_date: Instant | None
    termination_date: Instant
    termination_reason: str
    terminated_by: UUID
    organization: OrganizationBasic
    connection_type: Literal["outgoing", "incoming"]


class ConnectionDetail(Connection, kw_only=True):
    """All there is to know of a connection; how it ended, while that is its status.

    `sourceOrganization` says whom to contact where one is the target.
    """

    request_date: Instant
    response_date: Instant | None
    cancel_date: Instant | UnsetType = UNSET
    termination_date: Instant | UnsetType = UNSET
    termination_reason: str | UnsetType = UNSET
    terminated_by: UUID | UnsetType = UNSET
    source_organization: SourceOrganization
    target_organization: OrganizationBasic
    connection_type: Literal["outgoing", "incoming"]
    message: str | None
    response_message: str | None
    order_count: int
    last_order_date: Instant | None
    pending_order_count: int


class OrdersByStatus(Wire):
    """How many orders of each status."""

    pending: int
    completed: int
    canceled: int


class OrdersByModality(msgspec.Struct):
    """How many orders of each kind of imaging."""

    CT: int
    MRI: int
    XRAY: int
    ULTRASOUND: int
    PET: int
    NUCLEAR: int


class Statistics(Wire):
    """The orders of a connection, counted; there are none yet."""

    connection_id: UUID
    total_orders: int
    orders_by_status: OrdersByStatus
    orders_by_modality: OrdersByModality
    monthly_order_counts: list[Any]


class Connections(Wire, Generic[C]):
    """One page of connections."""

    connections: list[C]
    pagination: Pagination


class PendingOrdersPage(Wire):
    """One page of a connection's pending orders; there are none yet."""

    orders: list[Any]
    pagination: Pagination
