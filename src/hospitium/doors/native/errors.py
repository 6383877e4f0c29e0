"""What a caller of our own API sees when it is refused: a problem of RFC 9457."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

import structlog
from litestar.exceptions import (
    ClientException,
    HTTPException,
    InternalServerException,
    MethodNotAllowedException,
    NotFoundException,
)

from hospitium.doors.answers import answer, send
from hospitium.doors.json_body import LARGEST_BODY, WrongContentType
from hospitium.engine import errors
from hospitium.engine.errors import Refusal

if TYPE_CHECKING:
    from litestar import Request, Response

_log = structlog.get_logger("hospitium.native")
PROBLEM = "application/problem+json"


class Form(NamedTuple):
    """The status and the last part of the `type` of one kind of refusal."""

    status: int
    kind: str


TABLE: dict[type[Refusal], Form] = {
    errors.Invalid: Form(400, "invalid"),
    errors.NotSignedIn: Form(401, "not-signed-in"),
    errors.WrongCredentials: Form(401, "wrong-credentials"),
    errors.SessionEnded: Form(401, "session-ended"),
    errors.Forbidden: Form(403, "forbidden"),
    errors.WrongSide: Form(403, "wrong-side"),
    errors.AccountDisabled: Form(403, "account-disabled"),
    errors.OrganizationInactive: Form(403, "organization-inactive"),
    errors.RegistrationClosed: Form(403, "registration-closed"),
    errors.NotFound: Form(404, "not-found"),
    errors.Conflict: Form(409, "conflict"),
    errors.AlreadyConnected: Form(409, "already-connected"),
    errors.WrongState: Form(409, "wrong-state"),
    errors.RequestExpired: Form(409, "request-expired"),
    errors.PartnerInactive: Form(409, "partner-inactive"),
    errors.NameTaken: Form(409, "name-taken"),
    errors.ActiveLimitReached: Form(409, "active-limit-reached"),
    errors.PendingLimitReached: Form(409, "pending-limit-reached"),
    errors.RejectionCooldown: Form(409, "rejection-cooldown"),
    errors.TerminationCooldown: Form(409, "termination-cooldown"),
    errors.KeyReused: Form(422, "idempotency-key-reused"),
    errors.Busy: Form(429, "busy"),
    errors.Unavailable: Form(503, "unavailable"),
}


def answer_refusal(refusal: Refusal) -> Response[bytes]:
    """Answer an engine refusal as a problem."""
    form = TABLE[type(refusal)]
    more: dict[str, Any] = {}
    headers: dict[str, str] = {}
    match refusal:
        case errors.Invalid():
            more["errors"] = [{"field": refusal.field, "detail": refusal.reason}]
        case errors.NotSignedIn():
            headers["WWW-Authenticate"] = "Bearer"
        case errors.NameTaken():
            more["errors"] = [{"field": refusal.field, "detail": "is taken"}]
        case errors.CoolingDown():
            more["retryAfter"] = refusal.until
        case errors.LimitReached():
            more["limit"] = refusal.limit
        case errors.Busy() | errors.Unavailable():
            headers["Retry-After"] = str(refusal.retry_after)
    return _send(form.status, form.kind, refusal.message, more, headers)


def answer_exception(request: Request[Any, Any, Any], problem: Exception) -> Response[bytes]:
    """Answer whatever went wrong below `/v1`, and at addresses that are no surface's."""
    match problem:
        case Refusal():
            return answer_refusal(problem)
        case WrongContentType():
            return _send(
                415, "unsupported-media-type", "The body must be JSON, sent as Content-Type: application/json"
            )
        case MethodNotAllowedException():
            return _send(
                405, "method-not-allowed", "This address doesn't take this method", headers=problem.headers
            )
        case NotFoundException():
            return _send(404, "not-found", "There is nothing at this address")
        case HTTPException(status_code=413):
            return _send(413, "too-large", f"The body must be at most {LARGEST_BODY:,} bytes")
        case ClientException() | InternalServerException(detail="client disconnected prematurely"):
            return _send(400, "invalid", "The request can't be read")
        case _:
            request_id = str(request.scope.get("hospitium.request_id", ""))
            _log.error("unforeseen", problem=type(problem).__name__, request_id=request_id, exc_info=problem)
            return _send(500, "internal", "Something went wrong on our side", {"requestId": request_id})


def _send(
    status: int,
    kind: str,
    detail: str,
    more: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
) -> Response[bytes]:
    body = {
        "type": f"urn:hospitium:problem:{kind}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        **(more or {}),
    }
    return send(answer(status, body), media_type=PROBLEM, headers=headers)
