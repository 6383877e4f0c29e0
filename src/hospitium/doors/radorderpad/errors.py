"""What a caller of this surface sees when it is refused: `{"success": false, "message", "error": {"code", …}}`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import structlog
from litestar.exceptions import (
    ClientException,
    HTTPException,
    InternalServerException,
    MethodNotAllowedException,
    NotFoundException,
)
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from msgspec import UNSET, UnsetType

from hospitium.doors.answers import JSON, answer, send
from hospitium.doors.json_body import LARGEST_BODY, WrongContentType
from hospitium.doors.radorderpad.wire import Wire
from hospitium.doors.routing import Wording
from hospitium.doors.shapes import Instant
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
    errors.UnknownObjectType: Form(400, "INVALID_PARAMETERS"),
    errors.NoTargets: Form(400, "INVALID_PARAMETERS"),
    errors.TooManyTargets: Form(413, "PAYLOAD_TOO_LARGE"),
    errors.WrongTarget: Form(400, "INVALID_PARAMETERS"),
    errors.AccountRequired: Form(400, "INVALID_PARAMETERS"),
    errors.AcceptanceRequired: Form(400, "INVALID_PARAMETERS"),
    errors.WrongAnswer: Form(400, "INVALID_PARAMETERS"),
    errors.NoSuchPatient: Form(400, "INVALID_PARAMETERS"),
    errors.SeveralPatients: Form(400, "INVALID_PARAMETERS"),
    errors.NotSignedIn: Form(401, "AUTHENTICATION_REQUIRED"),
    errors.WrongCredentials: Form(401, "AUTHENTICATION_REQUIRED"),
    errors.SessionEnded: Form(401, "AUTHENTICATION_REQUIRED"),
    errors.Forbidden: Form(403, "INSUFFICIENT_PERMISSIONS"),
    errors.WrongSide: Form(403, "INSUFFICIENT_PERMISSIONS"),
    errors.AccountDisabled: Form(403, "INSUFFICIENT_PERMISSIONS"),
    errors.NotConfirmed: Form(403, "INSUFFICIENT_PERMISSIONS"),
    errors.OrganizationInactive: Form(403, "INSUFFICIENT_PERMISSIONS"),
    errors.RegistrationClosed: Form(403, "INSUFFICIENT_PERMISSIONS"),
    errors.ClientKeyRequired: Form(403, "INSUFFICIENT_PERMISSIONS"),
    errors.SharingDisabled: Form(403, "INSUFFICIENT_PERMISSIONS"),
    errors.NotSharable: Form(403, "INSUFFICIENT_PERMISSIONS"),
    errors.TargetAccessRequired: Form(403, "INSUFFICIENT_PERMISSIONS"),
    errors.NotOnesShare: Form(403, "INSUFFICIENT_PERMISSIONS"),
    errors.UnknownClientKey: Form(404, "RESOURCE_NOT_FOUND"),
    errors.NotFound: Form(404, "RESOURCE_NOT_FOUND"),
    errors.UnknownCode: Form(404, "RESOURCE_NOT_FOUND"),
    errors.DeadLink: Form(404, "RESOURCE_NOT_FOUND"),
    errors.Conflict: Form(409, "RESOURCE_CONFLICT"),
    errors.AlreadyConnected: Form(409, "RESOURCE_CONFLICT"),
    errors.AlreadyShared: Form(409, "RESOURCE_CONFLICT"),
    errors.WrongState: Form(409, "RESOURCE_CONFLICT"),
    errors.RequestExpired: Form(409, "REQUEST_EXPIRED"),
    errors.PartnerInactive: Form(409, "RESOURCE_CONFLICT"),
    errors.NameTaken: Form(409, "RESOURCE_CONFLICT"),
    errors.LastAdministrator: Form(409, "RESOURCE_CONFLICT"),
    errors.ActiveLimitReached: Form(409, "ACTIVE_CONNECTION_LIMIT"),
    errors.PendingLimitReached: Form(409, "PENDING_REQUEST_LIMIT"),
    errors.OfferLimitReached: Form(409, "RESOURCE_CONFLICT"),
    errors.ServiceKeyLimitReached: Form(409, "RESOURCE_CONFLICT"),
    errors.RejectionCooldown: Form(409, "REJECTION_COOLDOWN"),
    errors.TerminationCooldown: Form(409, "TERMINATION_COOLDOWN"),
    errors.KeyReused: Form(422, "VALIDATION_FAILED"),
    errors.Busy: Form(429, "RATE_LIMIT_EXCEEDED"),
    errors.TooManyAttempts: Form(429, "RATE_LIMIT_EXCEEDED"),
    errors.Unavailable: Form(503, "SERVICE_UNAVAILABLE"),
    errors.FhirServerAway: Form(503, "SERVICE_UNAVAILABLE"),
    errors.FhirServerWrong: Form(502, "SERVICE_UNAVAILABLE"),
}

EDGE: dict[type[Exception], Form] = {
    RequestEntityTooLarge: Form(413, "PAYLOAD_TOO_LARGE"),
    WrongContentType: Form(415, "UNSUPPORTED_MEDIA_TYPE"),
}


class WrongHeader(Wire):
    """One field that is wrong, as the documents of this surface put it for a 422."""

    field: str
    message: str


class Error(Wire, kw_only=True):
    """What is wrong: a code, and the members that the documents of this surface give it.

    `retryAfter` is the date-time from which one may ask again, or, for 429 and 503, a number of seconds.
    """

    code: str
    details: dict[str, str] | UnsetType = UNSET
    required_role: list[str] | UnsetType = UNSET
    resource_type: str | UnsetType = UNSET
    retry_after: Instant | int | UnsetType = UNSET
    limit: int | UnsetType = UNSET
    validation_errors: list[WrongHeader] | UnsetType = UNSET
    request_id: str | UnsetType = UNSET


class Failure(Wire):
    """What a refused caller of this surface sees; `message` is for people."""

    success: Literal[False]
    message: str
    error: Error


def _only(_: int, codes: list[str]) -> dict[str, Any]:
    return {"properties": {"error": {"properties": {"code": {"enum": codes}}}}}


WORDING = Wording(JSON, Failure, TABLE, EDGE, _only)


def answer_refusal(refusal: Refusal) -> Response[bytes]:
    """Answer an engine refusal in this surface's form."""
    form = TABLE[type(refusal)]
    more: dict[str, Any] = {}
    headers: dict[str, str] = {}
    match refusal:
        case errors.Invalid():
            more["details"] = {refusal.field: refusal.reason}
        case errors.NotSignedIn():
            headers["WWW-Authenticate"] = "Bearer"
        case errors.Forbidden(administrators_only=True):
            more["required_role"] = ADMINISTRATORS
        case errors.NotFound():
            more["resource_type"] = refusal.resource
        case errors.CoolingDown():
            more["retry_after"] = refusal.until
        case errors.LimitReached():
            more["limit"] = refusal.limit
        case errors.KeyReused():
            more["validation_errors"] = [WrongHeader("Idempotency-Key", refusal.message)]
        case errors.Busy() | errors.Unavailable():
            more["retry_after"] = refusal.retry_after
            headers["Retry-After"] = str(refusal.retry_after)
    return _send(*form, refusal.message, more, headers)


def answer_exception(request: Request[Any, Any, Any], problem: Exception) -> Response[bytes]:
    """Answer whatever else went wrong: what the framework refused, and what we didn't foresee."""
    match problem:
        case Refusal():
            return answer_refusal(problem)
        case WrongContentType():
            return _send(
                *EDGE[WrongContentType], "The body must be JSON, sent as Content-Type: application/json"
            )
        case MethodNotAllowedException():
            return _send(
                405, "METHOD_NOT_ALLOWED", "This address doesn't take this method", headers=problem.headers
            )
        case NotFoundException():
            return _send(
                404, "RESOURCE_NOT_FOUND", "There is nothing at this address", {"resource_type": "address"}
            )
        case HTTPException(status_code=413):
            return _send(*EDGE[RequestEntityTooLarge], f"The body must be at most {LARGEST_BODY:,} bytes")
        case ClientException() | InternalServerException(detail="client disconnected prematurely"):
            return _send(
                400,
                "INVALID_PARAMETERS",
                "The request can't be read",
                {"details": {"request": "is malformed"}},
            )
        case _:
            request_id = str(request.scope.get("hospitium.request_id", ""))
            _log.error("unforeseen", problem=type(problem).__name__, request_id=request_id, exc_info=problem)
            return _send(
                500,
                "INTERNAL_SERVER_ERROR",
                "Something went wrong on our side",
                {"request_id": request_id},
            )


def _send(
    status: int,
    code: str,
    message: str,
    more: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
) -> Response[bytes]:
    body = Failure(success=False, message=message, error=Error(code=code, **(more or {})))
    return send(answer(status, body), headers=headers)
