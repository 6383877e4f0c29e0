"""What a caller of this surface sees when it is refused: `{"success": false, "message", "error": {"code", …}}`."""

from __future__ import annotations

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

_log = structlog.get_logger("hospitium.radorderpad")
ADMINISTRATORS = ["admin_referring", "admin_radiology"]


class Form(NamedTuple):
    """The status and `error.code` of one kind of refusal."""

    status: int
    code: str


TABLE: dict[type[Refusal], Form] = {
    errors.Invalid: Form(400, "INVALID_PARAMETERS"),
    errors.NotSignedIn: Form(401, "AUTHENTICATION_REQUIRED"),
    errors.WrongCredentials: Form(401, "AUTHENTICATION_REQUIRED"),
    errors.SessionEnded: Form(401, "AUTHENTICATION_REQUIRED"),
    errors.Forbidden: Form(403, "INSUFFICIENT_PERMISSIONS"),
    errors.WrongSide: Form(403, "INSUFFICIENT_PERMISSIONS"),
    errors.AccountDisabled: Form(403, "INSUFFICIENT_PERMISSIONS"),
    errors.OrganizationInactive: Form(403, "INSUFFICIENT_PERMISSIONS"),
    errors.RegistrationClosed: Form(403, "INSUFFICIENT_PERMISSIONS"),
    errors.NotFound: Form(404, "RESOURCE_NOT_FOUND"),
    errors.Conflict: Form(409, "RESOURCE_CONFLICT"),
    errors.AlreadyConnected: Form(409, "RESOURCE_CONFLICT"),
    errors.WrongState: Form(409, "RESOURCE_CONFLICT"),
    errors.RequestExpired: Form(409, "REQUEST_EXPIRED"),
    errors.PartnerInactive: Form(409, "RESOURCE_CONFLICT"),
    errors.NameTaken: Form(409, "RESOURCE_CONFLICT"),
    errors.ActiveLimitReached: Form(409, "ACTIVE_CONNECTION_LIMIT"),
    errors.PendingLimitReached: Form(409, "PENDING_REQUEST_LIMIT"),
    errors.RejectionCooldown: Form(409, "REJECTION_COOLDOWN"),
    errors.TerminationCooldown: Form(409, "TERMINATION_COOLDOWN"),
    errors.KeyReused: Form(422, "VALIDATION_FAILED"),
    errors.Busy: Form(429, "RATE_LIMIT_EXCEEDED"),
    errors.Unavailable: Form(503, "SERVICE_UNAVAILABLE"),
}


def answer_refusal(refusal: Refusal) -> Response[bytes]:
    """Answer an engine refusal in this surface's form."""
    form = TABLE[type(refusal)]
    error: dict[str, Any] = {"code": form.code}
    headers: dict[str, str] = {}
    match refusal:
        case errors.Invalid():
            error["details"] = {refusal.field: refusal.reason}
        case errors.NotSignedIn():
            headers["WWW-Authenticate"] = "Bearer"
        case errors.Forbidden(administrators_only=True):
            error["requiredRole"] = ADMINISTRATORS
        case errors.NotFound():
            error["resourceType"] = refusal.resource
        case errors.CoolingDown():
            error["retryAfter"] = refusal.until
        case errors.LimitReached():
            error["limit"] = refusal.limit
        case errors.KeyReused():
            error["validationErrors"] = [{"field": "Idempotency-Key", "message": refusal.message}]
        case errors.Busy() | errors.Unavailable():
            error["retryAfter"] = refusal.retry_after
            headers["Retry-After"] = str(refusal.retry_after)
    return _send(form.status, refusal.message, error, headers)


def answer_exception(request: Request[Any, Any, Any], problem: Exception) -> Response[bytes]:
    """Answer whatever else went wrong: what the framework refused, and what we didn't foresee."""
    match problem:
        case Refusal():
            return answer_refusal(problem)
        case WrongContentType():
            return _send(
                415,
                "The body must be JSON, sent as Content-Type: application/json",
                {"code": "UNSUPPORTED_MEDIA_TYPE"},
            )
        case MethodNotAllowedException():
            return _send(
                405, "This address doesn't take this method", {"code": "METHOD_NOT_ALLOWED"}, problem.headers
            )
        case NotFoundException():
            return _send(
                404,
                "There is nothing at this address",
                {"code": "RESOURCE_NOT_FOUND", "resourceType": "address"},
            )
        case HTTPException(status_code=413):
            return _send(
                413, f"The body must be at most {LARGEST_BODY:,} bytes", {"code": "PAYLOAD_TOO_LARGE"}
            )
        case ClientException() | InternalServerException(detail="client disconnected prematurely"):
            return _send(
                400,
                "The request can't be read",
                {"code": "INVALID_PARAMETERS", "details": {"request": "is malformed"}},
            )
        case _:
            request_id = str(request.scope.get("hospitium.request_id", ""))
            _log.error("unforeseen", problem=type(problem).__name__, request_id=request_id, exc_info=problem)
            return _send(500, "Something went wrong on our side", {"code": "INTERNAL_SERVER_ERROR", "requestId": request_id})  # fmt: skip


def _send(
    status: int, message: str, error: dict[str, Any], headers: dict[str, str] | None = None
) -> Response[bytes]:
    return send(answer(status, {"success": False, "message": message, "error": error}), headers=headers)
