"""Connections, which the rest of the house calls partnerships (docs/dialects/radorderpad.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar import Request, Response
from msgspec import UNSET, UnsetType

from hospitium.doors import json_body
from hospitium.doors.answers import Answer, once, send
from hospitium.doors.radorderpad.wire import (
    Body,
    OrganizationBasic,
    Parameters,
    Wire,
    basic,
    body_id,
    path_id,
    success,
    with_contact,
)
from hospitium.doors.surroundings import surroundings
from hospitium.engine.errors import Invalid, WrongState
from hospitium.engine.ids import parse_id
from hospitium.engine.partnerships import actions, queries
from hospitium.engine.partnerships.actions import Ending, PendingOrders
from hospitium.engine.partnerships.queries import Scope
from hospitium.engine.partnerships.record import (
    PartnershipDetail,
    PartnershipStatus as Status,
    PartnershipView,
)
from hospitium.engine.permissions import Permission, organization_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime
    from uuid import UUID

    from hospitium.engine.context import Context

MODALITIES = ("CT", "MRI", "XRAY", "ULTRASOUND", "PET", "NUCLEAR")


class RequestBody(Body):
    target_organization_id: str
    message: str | None = None


class MessageBody(Body):
    message: str | None = None


class ResponseBody(Body):
    response_message: str | None = None


class TerminateBody(Body):
    reason: str | None = None
    handle_pending_orders: str = PendingOrders.COMPLETE.value
    target_connection_id: str | None = None


class Connection(Wire):
    """A connection: `id` and `status` always, the rest as each address documents it."""

    id: UUID
    status: Status
    request_date: datetime | UnsetType = UNSET
    response_date: datetime | UnsetType | None = UNSET
    cancel_date: datetime | UnsetType | None = UNSET
    termination_date: datetime | UnsetType | None = UNSET
    termination_reason: str | UnsetType | None = UNSET
    terminated_by: UUID | UnsetType | None = UNSET
    pending_orders_handling: str | UnsetType = UNSET
    affected_order_count: int | UnsetType = UNSET
    source_organization: OrganizationBasic | UnsetType = UNSET
    target_organization: OrganizationBasic | UnsetType = UNSET
    organization: OrganizationBasic | UnsetType = UNSET
    connection_type: str | UnsetType = UNSET
    message: str | UnsetType | None = UNSET
    response_message: str | UnsetType | None = UNSET
    order_count: int | UnsetType = UNSET
    last_order_date: datetime | UnsetType | None = UNSET
    pending_order_count: int | UnsetType = UNSET


# -- asking ------------------------------------------------------------------------------------------------------------


async def request_connection(request: Request[Any, Any, Any]) -> Response[bytes]:
    body = await request.body()
    house = surroundings(request)

    async def deed(ctx: Context) -> Answer:
        given = json_body.read(body, request.headers.get("content-type"), RequestBody)
        target_id = body_id("targetOrganizationId", given.target_organization_id)

        async def ask() -> Answer:
            view = await actions.request(ctx, target_id, given.message, house.rules)
            return success(
                {
                    "connectionId": view.partnership.id,
                    "status": view.partnership.status,
                    "requestDate": view.partnership.requested_at,
                    "targetOrganization": basic(view.target),
                },
                status=201,
            )

        return await once(ctx, request, body, ask)

    return send(await house.work.perform(request, Permission.REQUEST_PARTNERSHIP, deed))


async def resend(request: Request[Any, Any, Any]) -> Response[bytes]:
    rules = surroundings(request).rules

    async def deed(ctx: Context, connection_id: UUID, given: MessageBody) -> Connection:
        return _asked_again(await actions.resend(ctx, connection_id, given.message, rules))

    return await _do(request, Permission.RESEND_PARTNERSHIP, MessageBody, deed)


async def reestablish(request: Request[Any, Any, Any]) -> Response[bytes]:
    rules = surroundings(request).rules

    async def deed(ctx: Context, connection_id: UUID, given: MessageBody) -> Connection:
        return _asked_again(await actions.reestablish(ctx, connection_id, given.message, rules))

    return await _do(request, Permission.REESTABLISH_PARTNERSHIP, MessageBody, deed)


async def cancel(request: Request[Any, Any, Any]) -> Response[bytes]:
    async def deed(ctx: Context, connection_id: UUID, _: Body) -> Connection:
        p = (await actions.cancel(ctx, connection_id)).partnership
        return Connection(p.id, p.status, cancel_date=p.canceled_at)

    return await _do(request, Permission.CANCEL_PARTNERSHIP, Body, deed)


# -- answering and ending ----------------------------------------------------------------------------------------------


async def approve(request: Request[Any, Any, Any]) -> Response[bytes]:
    rules = surroundings(request).rules

    async def deed(ctx: Context, connection_id: UUID, given: ResponseBody) -> Connection:
        view = await actions.approve(ctx, connection_id, given.response_message, rules)
        p = view.partnership
        return Connection(
            p.id,
            p.status,
            response_date=p.responded_at,
            response_message=p.response_message,
            source_organization=basic(view.source),
            target_organization=basic(view.target),
        )

    return await _do(request, Permission.ANSWER_PARTNERSHIP, ResponseBody, deed)


async def reject(request: Request[Any, Any, Any]) -> Response[bytes]:
    async def deed(ctx: Context, connection_id: UUID, given: ResponseBody) -> Connection:
        p = (await actions.reject(ctx, connection_id, given.response_message)).partnership
        return Connection(p.id, p.status, response_date=p.responded_at, response_message=p.response_message)

    return await _do(request, Permission.ANSWER_PARTNERSHIP, ResponseBody, deed)


async def terminate(request: Request[Any, Any, Any]) -> Response[bytes]:
    async def deed(ctx: Context, connection_id: UUID, given: TerminateBody) -> Connection:
        ending = _ending(given)
        p = (await actions.terminate(ctx, connection_id, ending)).partnership
        return Connection(
            p.id,
            p.status,
            termination_date=p.terminated_at,
            termination_reason=p.termination_reason,
            pending_orders_handling=ending.pending_orders.value,
            affected_order_count=0,
        )

    return await _do(request, Permission.TERMINATE_PARTNERSHIP, TerminateBody, deed)


# -- looking -----------------------------------------------------------------------------------------------------------


async def detail(request: Request[Any, Any, Any]) -> Response[bytes]:
    async def deed(ctx: Context, connection_id: UUID, _: None) -> Connection:
        return _detail(await queries.detail(ctx, connection_id), organization_of(ctx.actor))

    return await _do(request, Permission.SEE_PARTNERSHIPS, None, deed)


async def outgoing(request: Request[Any, Any, Any]) -> Response[bytes]:
    def present(view: PartnershipView, _: UUID) -> Connection:
        p = view.partnership
        return Connection(
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
    def present(view: PartnershipView, _: UUID) -> Connection:
        p = view.partnership
        return Connection(
            p.id,
            p.status,
            request_date=p.requested_at,
            source_organization=basic(view.source),
            message=p.message,
        )

    return await _list(request, Scope.INCOMING, present, default="pending_approval")


async def established(request: Request[Any, Any, Any]) -> Response[bytes]:
    def present(view: PartnershipView, me: UUID) -> Connection:
        p = view.partnership
        return Connection(
            p.id,
            p.status,
            request_date=p.requested_at,
            response_date=p.responded_at,
            organization=_partner(view, me),
            connection_type=_type(view.source.id, me),
            order_count=0,
            last_order_date=None,
        )

    return await _list(request, Scope.EITHER, present, only=Status.APPROVED)


async def terminated(request: Request[Any, Any, Any]) -> Response[bytes]:
    def present(view: PartnershipView, me: UUID) -> Connection:
        p = view.partnership
        return Connection(
            p.id,
            p.status,
            request_date=p.requested_at,
            response_date=p.responded_at,
            termination_date=p.terminated_at,
            organization=_partner(view, me),
            connection_type=_type(view.source.id, me),
            termination_reason=p.termination_reason,
            terminated_by=p.terminated_by,
        )

    return await _list(request, Scope.EITHER, present, only=Status.TERMINATED)


async def statistics(request: Request[Any, Any, Any]) -> Response[bytes]:
    async def deed(ctx: Context, connection_id: UUID, _: None) -> dict[str, Any]:
        found = await queries.find(ctx, connection_id)
        if found.status not in (Status.APPROVED, Status.TERMINATED):
            raise WrongState("Only approved and terminated connections have statistics")
        # Zeros until orders exist (ruling 11).
        return {
            "connectionId": found.id,
            "totalOrders": 0,
            "ordersByStatus": {"pending": 0, "completed": 0, "canceled": 0},
            "ordersByModality": dict.fromkeys(MODALITIES, 0),
            "monthlyOrderCounts": [],
        }

    return await _do(request, Permission.SEE_PARTNERSHIPS, None, deed)


async def pending_orders(request: Request[Any, Any, Any]) -> Response[bytes]:
    async def deed(ctx: Context, connection_id: UUID, _: None) -> dict[str, Any]:
        paging = Parameters(request).paging()
        found = await queries.find(ctx, connection_id)
        if found.status is not Status.APPROVED:
            raise WrongState("Only approved connections have pending orders")
        # An empty list until orders exist (ruling 11).
        return {"orders": [], "pagination": paging.of(0)}

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
        return success({"connections": [present(view, me) for view in views], "pagination": paging.of(total)})

    return send(await surroundings(request).work.perform(request, Permission.SEE_PARTNERSHIPS, deed))


def _status(text: str) -> Status | None:
    if text == "all":
        return None
    try:
        return Status("pending_approval" if text == "pending" else text)
    except ValueError:
        raise Invalid("status", f"must be one of all, pending, {', '.join(Status)}") from None


def _ending(given: TerminateBody) -> Ending:
    try:
        handling = PendingOrders(given.handle_pending_orders)
    except ValueError:
        raise Invalid("handlePendingOrders", f"must be one of {', '.join(PendingOrders)}") from None
    transfer_to = given.target_connection_id
    return Ending(
        given.reason, handling, None if transfer_to is None else body_id("targetConnectionId", transfer_to)
    )


def _asked_again(view: PartnershipView) -> Connection:
    p = view.partnership
    return Connection(p.id, p.status, request_date=p.requested_at, message=p.message)


def _partner(view: PartnershipView, me: UUID) -> OrganizationBasic:
    return basic(view.target if view.source.id == me else view.source)


def _type(source_id: UUID, me: UUID) -> str:
    return "outgoing" if source_id == me else "incoming"


def _detail(found: PartnershipDetail, me: UUID) -> Connection:
    p = found.partnership
    asked_of_me = p.target_id == me
    ended = p.status is Status.TERMINATED
    return Connection(
        p.id,
        p.status,
        request_date=p.requested_at,
        response_date=p.responded_at,
        cancel_date=p.canceled_at if p.status is Status.CANCELED else UNSET,
        termination_date=p.terminated_at if ended else UNSET,
        termination_reason=p.termination_reason if ended else UNSET,
        terminated_by=p.terminated_by if ended else UNSET,
        source_organization=with_contact(found.source) if asked_of_me else basic(found.source),
        target_organization=basic(found.target),
        connection_type=_type(p.source_id, me),
        message=p.message,
        response_message=p.response_message,
        order_count=0,
        last_order_date=None,
        pending_order_count=0,
    )
