"""Connections, which the rest of the house calls partnerships (docs/dialects/radorderpad.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeVar

from litestar import Request, Response
from msgspec import UNSET

from hospitium.doors import json_body
from hospitium.doors.answers import Answer, once, send
from hospitium.doors.named_ids import body_id, path_id
from hospitium.doors.radorderpad.connection_shapes import (
    ApprovedConnection,
    CanceledConnection,
    Connection,
    ConnectionAskedAgain,
    ConnectionDetail,
    Connections,
    EmptyBody,
    EndedConnection,
    EstablishedConnection,
    IncomingConnection,
    MessageBody,
    OrdersByModality,
    OrdersByStatus,
    OutgoingConnection,
    PendingOrdersPage,
    RejectedConnection,
    RequestBody,
    RequestedConnection,
    ResponseBody,
    SourceOrganization,
    Statistics,
    TerminateBody,
    TerminatedConnection,
)
from hospitium.doors.radorderpad.wire import OrganizationBasic, Parameters, basic, success
from hospitium.doors.surroundings import surroundings
from hospitium.engine.errors import Invalid, WrongState
from hospitium.engine.ids import parse_id
from hospitium.engine.partnerships import actions, queries
from hospitium.engine.partnerships.actions import Ending
from hospitium.engine.partnerships.queries import Scope
from hospitium.engine.partnerships.record import (
    PartnershipDetail,
    PartnershipStatus as Status,
    PartnershipView,
)
from hospitium.engine.permissions import Permission, organization_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from uuid import UUID

    from hospitium.engine.context import Context
T = TypeVar("T")


# -- asking ------------------------------------------------------------------------------------------------------------


async def request_connection(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Ask another organization to connect."""
    body = await request.body()
    house = surroundings(request)

    async def deed(ctx: Context) -> Answer:
        given = json_body.read(body, request.headers.get("content-type"), RequestBody)
        target_id = body_id("targetOrganizationId", given.target_organization_id)

        async def ask() -> Answer:
            view = await actions.request(ctx, target_id, given.message, house.rules)
            p = view.partnership
            return success(
                RequestedConnection(p.id, p.status, p.requested_at, basic(view.target)), status=201
            )

        return await once(ctx, request, body, ask)

    return send(await house.work.perform(request, Permission.REQUEST_PARTNERSHIP, deed))


async def resend(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Send a rejected request again, under the same id."""
    rules = surroundings(request).rules

    async def deed(ctx: Context, connection_id: UUID, given: MessageBody) -> ConnectionAskedAgain:
        return _asked_again(await actions.resend(ctx, connection_id, given.message, rules))

    return await _do(request, Permission.RESEND_PARTNERSHIP, MessageBody, deed)


async def reestablish(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Ask to take up a terminated connection again, under the same id; whoever asks is its source from then on."""
    rules = surroundings(request).rules

    async def deed(ctx: Context, connection_id: UUID, given: MessageBody) -> ConnectionAskedAgain:
        return _asked_again(await actions.reestablish(ctx, connection_id, given.message, rules))

    return await _do(request, Permission.REESTABLISH_PARTNERSHIP, MessageBody, deed)


async def cancel(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Take back a request the own organization sent, while it waits for its answer."""

    async def deed(ctx: Context, connection_id: UUID, _: EmptyBody) -> CanceledConnection:
        p = (await actions.cancel(ctx, connection_id)).partnership
        return CanceledConnection(p.id, p.status, _known(p.canceled_at))

    return await _do(request, Permission.CANCEL_PARTNERSHIP, EmptyBody, deed)


# -- answering and ending ----------------------------------------------------------------------------------------------


async def approve(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Approve a request the own organization received: both sides are granted what connected organizations may."""
    rules = surroundings(request).rules

    async def deed(ctx: Context, connection_id: UUID, given: ResponseBody) -> ApprovedConnection:
        view = await actions.approve(ctx, connection_id, given.response_message, rules)
        p = view.partnership
        return ApprovedConnection(
            p.id,
            p.status,
            response_date=_known(p.responded_at),
            source_organization=basic(view.source),
            target_organization=basic(view.target),
            response_message=p.response_message,
        )

    return await _do(request, Permission.ANSWER_PARTNERSHIP, ResponseBody, deed)


async def reject(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Reject a request the own organization received."""

    async def deed(ctx: Context, connection_id: UUID, given: ResponseBody) -> RejectedConnection:
        p = (await actions.reject(ctx, connection_id, given.response_message)).partnership
        return RejectedConnection(p.id, p.status, _known(p.responded_at), p.response_message)

    return await _do(request, Permission.ANSWER_PARTNERSHIP, ResponseBody, deed)


async def terminate(request: Request[Any, Any, Any]) -> Response[bytes]:
    """End a connection and what it granted; both sides may."""

    async def deed(ctx: Context, connection_id: UUID, given: TerminateBody) -> EndedConnection:
        ending = _ending(given)
        p = (await actions.terminate(ctx, connection_id, ending)).partnership
        return EndedConnection(
            p.id,
            p.status,
            termination_date=_known(p.terminated_at),
            termination_reason=_known(p.termination_reason),
            pending_orders_handling=ending.pending_orders,
            affected_order_count=0,
        )

    return await _do(request, Permission.TERMINATE_PARTNERSHIP, TerminateBody, deed)


# -- looking -----------------------------------------------------------------------------------------------------------


async def detail(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Read all of one connection."""

    async def deed(ctx: Context, connection_id: UUID, _: None) -> ConnectionDetail:
        return _detail(await queries.detail(ctx, connection_id), organization_of(ctx.actor))

    return await _do(request, Permission.SEE_PARTNERSHIPS, None, deed)


async def outgoing(request: Request[Any, Any, Any]) -> Response[bytes]:
    """List the requests the own organization sent, newest first."""

    def present(view: PartnershipView, _: UUID) -> OutgoingConnection:
        p = view.partnership
        return OutgoingConnection(
            p.id,
            p.status,
            request_date=p.requested_at,
            response_date=p.responded_at,
            target_organization=basic(view.target),
            message=p.message,
            response_message=p.response_message,
        )

    return await _list(request, Scope.OUTGOING, present, default="all")


async def incoming(request: Request[Any, Any, Any]) -> Response[bytes]:
    """List the requests the own organization received, newest first."""

    def present(view: PartnershipView, _: UUID) -> IncomingConnection:
        p = view.partnership
        return IncomingConnection(
            p.id,
            p.status,
            request_date=p.requested_at,
            source_organization=basic(view.source),
            message=p.message,
        )

    return await _list(request, Scope.INCOMING, present, default="pending_approval")


async def established(request: Request[Any, Any, Any]) -> Response[bytes]:
    """List the connections that stand, newest first."""

    def present(view: PartnershipView, me: UUID) -> EstablishedConnection:
        p = view.partnership
        return EstablishedConnection(
            p.id,
            p.status,
            request_date=p.requested_at,
            response_date=_known(p.responded_at),
            organization=_partner(view, me),
            connection_type=_type(view.source.id, me),
            order_count=0,
            last_order_date=None,
        )

    return await _list(request, Scope.EITHER, present, only=Status.APPROVED)


async def terminated(request: Request[Any, Any, Any]) -> Response[bytes]:
    """List the connections that were terminated, newest first."""

    def present(view: PartnershipView, me: UUID) -> TerminatedConnection:
        p = view.partnership
        return TerminatedConnection(
            p.id,
            p.status,
            request_date=p.requested_at,
            response_date=p.responded_at,
            termination_date=_known(p.terminated_at),
            organization=_partner(view, me),
            connection_type=_type(view.source.id, me),
            termination_reason=_known(p.termination_reason),
            terminated_by=_known(p.terminated_by),
        )

    return await _list(request, Scope.EITHER, present, only=Status.TERMINATED)


async def statistics(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Read the statistics of an approved or terminated connection's orders: zeros, until there are orders."""

    async def deed(ctx: Context, connection_id: UUID, _: None) -> Statistics:
        found = await queries.find(ctx, connection_id)
        if found.status not in (Status.APPROVED, Status.TERMINATED):
            raise WrongState("Only approved and terminated connections have statistics")
        # Zeros until orders exist (ruling 11).
        return Statistics(
            found.id,
            0,
            OrdersByStatus(0, 0, 0),
            OrdersByModality(CT=0, MRI=0, XRAY=0, ULTRASOUND=0, PET=0, NUCLEAR=0),
            [],
        )

    return await _do(request, Permission.SEE_PARTNERSHIPS, None, deed)


async def pending_orders(request: Request[Any, Any, Any]) -> Response[bytes]:
    """List the pending orders of an approved connection: an empty list, until there are orders."""

    async def deed(ctx: Context, connection_id: UUID, _: None) -> PendingOrdersPage:
        paging = Parameters(request).paging()
        found = await queries.find(ctx, connection_id)
        if found.status is not Status.APPROVED:
            raise WrongState("Only approved connections have pending orders")
        # An empty list until orders exist (ruling 11).
        return PendingOrdersPage([], paging.of(0))

    return await _do(request, Permission.SEE_PARTNERSHIPS, None, deed)


# -- the steps they share ----------------------------------------------------------------------------------------------


async def _do(
    request: Request[Any, Any, Any],
    permission: Permission,
    shape: type[Any] | None,
    deed: Callable[[Context, UUID, Any], Awaitable[Any]],
) -> Response[bytes]:
    """Run a deed on the connection that the path names, with the body as `shape` (None: there is none to read)."""
    body = b"" if shape is None else await request.body()
    named = parse_id(request.path_params["connection_id"])

    async def whole(ctx: Context) -> Answer:
        given = None if shape is None else json_body.read(body, request.headers.get("content-type"), shape)
        return success(await deed(ctx, path_id(request, "connection_id", "connection"), given))

    return send(await surroundings(request).work.perform(request, permission, whole, about=named))


async def _list(
    request: Request[Any, Any, Any],
    scope: Scope,
    present: Callable[[PartnershipView, UUID], Connection],
    *,
    default: str = "all",
    only: Status | None = None,
) -> Response[bytes]:
    async def deed(ctx: Context) -> Answer:
        given = Parameters(request)
        paging = given.paging()
        status = only or _status(given.text("status") or default)
        views, total = await queries.page(ctx, scope, status, offset=paging.offset, limit=paging.limit)
        me = organization_of(ctx.actor)
        return success(Connections([present(view, me) for view in views], paging.of(total)))

    return send(await surroundings(request).work.perform(request, Permission.SEE_PARTNERSHIPS, deed))


def _status(text: str) -> Status | None:
    if text == "all":
        return None
    try:
        return Status("pending_approval" if text == "pending" else text)
    except ValueError:
        raise Invalid("status", f"must be one of all, pending, {', '.join(Status)}") from None


def _ending(given: TerminateBody) -> Ending:
    transfer_to = given.target_connection_id
    return Ending(
        given.reason,
        given.handle_pending_orders,
        None if transfer_to is None else body_id("targetConnectionId", transfer_to),
    )


def _asked_again(view: PartnershipView) -> ConnectionAskedAgain:
    p = view.partnership
    return ConnectionAskedAgain(p.id, p.status, p.requested_at, p.message)


def _known(value: T | None) -> T:
    """Return what a partnership of this status always has (`engine/partnerships/record.py`)."""
    assert value is not None  # the constraints of its table say so  # noqa: S101
    return value


def _partner(view: PartnershipView, me: UUID) -> OrganizationBasic:
    return basic(view.target if view.source.id == me else view.source)


def _type(source_id: UUID, me: UUID) -> Literal["outgoing", "incoming"]:
    return "outgoing" if source_id == me else "incoming"


def _detail(found: PartnershipDetail, me: UUID) -> ConnectionDetail:
    p = found.partnership
    ended = p.status is Status.TERMINATED
    source = SourceOrganization.of(found.source, with_contact=p.target_id == me)
    return ConnectionDetail(
        id=p.id,
        status=p.status,
        request_date=p.requested_at,
        response_date=p.responded_at,
        cancel_date=_known(p.canceled_at) if p.status is Status.CANCELED else UNSET,
        termination_date=_known(p.terminated_at) if ended else UNSET,
        termination_reason=_known(p.termination_reason) if ended else UNSET,
        terminated_by=_known(p.terminated_by) if ended else UNSET,
        source_organization=source,
        target_organization=basic(found.target),
        connection_type=_type(p.source_id, me),
        message=p.message,
        response_message=p.response_message,
        order_count=0,
        last_order_date=None,
        pending_order_count=0,
    )
