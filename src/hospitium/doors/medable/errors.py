"""What a caller of this surface sees when it is refused: a fault (docs/dialects/medable.md, "Faults")."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec
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
from hospitium.doors.routing import Wording
from hospitium.engine import errors
from hospitium.engine.errors import Refusal

if TYPE_CHECKING:
    from litestar import Request, Response

_log = structlog.get_logger("hospitium.medable")


class CsrfMismatch(Exception):
    """A cookie came with a request that changes something, and without the token that shows it is meant."""


class NoConnectionApp(Exception):
    """A connection was to be made without saying from which application, where the organization asks for it."""


class Form(NamedTuple):
    """The status, `code` and `errCode` of one kind of refusal."""

    status: int
    code: str
    err_code: str


def _invalid(name: str) -> Form:
    return Form(400, "kInvalidArgument", f"cortex.invalidArgument.{name}")


def _denied(name: str, code: str = "kAccessDenied") -> Form:
    return Form(403, code, f"cortex.accessDenied.{name}")


def _conflict(name: str, code: str = "kConflict") -> Form:
    return Form(409, code, f"cortex.conflict.{name}")


TABLE: dict[type[Refusal], Form] = {
    errors.Invalid: Form(400, "kValidationError", "cortex.invalidArgument.validation"),
    errors.UnknownObjectType: _invalid("object"),
    errors.NoTargets: _invalid("noConnectionTargets"),
    errors.TooManyTargets: Form(413, "kTooLarge", "cortex.tooLarge.connectionTargets"),
    errors.WrongTarget: _invalid("connectionTarget"),
    errors.AccountRequired: _invalid("autoConnectionRequiresId"),
    errors.AcceptanceRequired: _invalid("requireConnectionAccept"),
    errors.WrongAnswer: _invalid("unspecified"),
    errors.NoSuchPatient: _invalid("unspecified"),
    errors.SeveralPatients: _invalid("unspecified"),
    errors.NotSignedIn: _denied("notLoggedIn", "kNotLoggedIn"),
    errors.WrongCredentials: _denied("invalidCredentials", "kInvalidCredentials"),
    errors.SessionEnded: _denied("notLoggedIn", "kNotLoggedIn"),
    errors.Forbidden: _denied("unspecified"),
    errors.WrongSide: _denied("unspecified"),
    errors.AccountDisabled: _denied("account"),
    errors.NotConfirmed: _denied("connectionRequiresVerification", "kAccountNotVerified"),
    errors.OrganizationInactive: _denied("org"),
    errors.RegistrationClosed: _denied("org"),
    errors.ClientKeyRequired: _denied("app"),
    errors.SharingDisabled: _denied("connectionsDisabled"),
    errors.NotSharable: _denied("shareAccess"),
    errors.TargetAccessRequired: _denied("autoConnectionRequiresAccess"),
    errors.NotOnesShare: _denied("connection"),
    errors.NotFound: Form(404, "kNotFound", "cortex.notFound.{resource}"),
    errors.UnknownClientKey: Form(404, "kNotFound", "cortex.notFound.app"),
    errors.UnknownCode: Form(404, "kNotFound", "cortex.notFound.{resource}"),
    errors.DeadLink: _invalid("connectionToken"),
    errors.Conflict: _conflict("unspecified"),
    errors.AlreadyConnected: _conflict("unspecified"),
    errors.AlreadyShared: _conflict("connectionExists", "kExists"),
    errors.WrongState: _conflict("state"),
    errors.RequestExpired: _conflict("state"),
    errors.PartnerInactive: _conflict("unspecified"),
    errors.NameTaken: _conflict("exists", "kExists"),
    errors.LastAdministrator: _conflict("unspecified"),
    errors.ActiveLimitReached: _conflict("unspecified"),
    errors.PendingLimitReached: _conflict("unspecified"),
    errors.OfferLimitReached: _conflict("unspecified"),
    errors.ServiceKeyLimitReached: _conflict("unspecified"),
    errors.RejectionCooldown: _conflict("unspecified"),
    errors.TerminationCooldown: _conflict("unspecified"),
    errors.KeyReused: Form(422, "kInvalidArgument", "cortex.invalidArgument.idempotencyKey"),
    errors.Busy: Form(429, "kTooManyRequests", "cortex.tooManyRequests.unspecified"),
    errors.TooManyAttempts: Form(429, "kTooManyRequests", "cortex.tooManyRequests.unspecified"),
    errors.Unavailable: Form(503, "kServiceUnavailable", "cortex.serviceUnavailable.unspecified"),
    errors.FhirServerAway: Form(503, "kServiceUnavailable", "cortex.serviceUnavailable.unspecified"),
    errors.FhirServerWrong: Form(502, "kServiceUnavailable", "cortex.serviceUnavailable.unspecified"),
}

EDGE: dict[type[Exception], Form] = {
    RequestEntityTooLarge: Form(413, "kTooLarge", "cortex.tooLarge.body"),
    WrongContentType: Form(415, "kInvalidArgument", "cortex.invalidArgument.contentType"),
    CsrfMismatch: _denied("csrfTokenMismatch", "kCsrfTokenMismatch"),
    NoConnectionApp: _invalid("noConnectionApp"),
}


class Fault(msgspec.Struct, kw_only=True):
    """Why something was refused: `code` and `errCode` are for programs, `message` is for people; `path` names a member of what
    was sent, `faults` is each thing that is wrong with it."""

    object: Literal["fault"]
    name: Literal["error"]
    code: str
    err_code: str = msgspec.field(name="errCode")
    status: int
    message: str
    reason: str | UnsetType = UNSET
    path: str | UnsetType = UNSET
    faults: list[Fault] | UnsetType = UNSET


def _only(status: int, codes: list[str]) -> dict[str, Any]:
    return {"properties": {"status": {"const": status}, "code": {"enum": codes}}}


WORDING = Wording(
    JSON,
    Fault,
    {kind: (form.status, form.code) for kind, form in TABLE.items()},
    {kind: (form.status, form.code) for kind, form in EDGE.items()},
    _only,
)


def fault_of(refusal: Refusal) -> Fault:
    """Return a refusal as a fault, with a fault for each thing that is wrong."""
    form = TABLE[type(refusal)]
    err_code = form.err_code
    if isinstance(refusal, errors.NotFound):
        err_code = err_code.format(resource=refusal.resource.replace(" ", "_"))
    fault = _fault(form._replace(err_code=err_code), refusal.message, path=refusal.field)
    if isinstance(refusal, errors.Invalid):
        fault.reason = refusal.reason
    if type(refusal) is errors.Invalid:
        # What is wrong with the body is told as the outer fault's one child, as the documents do.
        fault.faults = [
            _fault(_invalid("unspecified"), refusal.message, path=refusal.field, reason=refusal.reason)
        ]
    elif refusal.besides:
        first = msgspec.structs.replace(fault)
        fault.faults = [first, *map(fault_of, refusal.besides)]
    return fault


def answer_refusal(refusal: Refusal) -> Response[bytes]:
    """Answer an engine refusal as a fault."""
    headers: dict[str, str] = {}
    match refusal:
        case errors.NotSignedIn():
            headers["WWW-Authenticate"] = "Bearer"
        case errors.Busy() | errors.Unavailable():
            headers["Retry-After"] = str(refusal.retry_after)
    return _send(fault_of(refusal), headers)


def answer_exception(request: Request[Any, Any, Any], problem: Exception) -> Response[bytes]:
    """Answer whatever went wrong on this surface as a fault."""
    match problem:
        case Refusal():
            return answer_refusal(problem)
        case WrongContentType():
            said = "The body must be JSON, sent as Content-Type: application/json"
            return _send(_fault(EDGE[WrongContentType], said))
        case CsrfMismatch():
            said = "Send back the Medable-Csrf-Token that signing in answered, or a bearer token"
            return _send(_fault(EDGE[CsrfMismatch], said))
        case NoConnectionApp():
            return _send(_fault(EDGE[NoConnectionApp], errors.ClientKeyRequired().message))
        case MethodNotAllowedException():
            form = Form(405, "kInvalidArgument", "cortex.invalidArgument.method")
            return _send(_fault(form, "This address doesn't take this method"), problem.headers)
        case NotFoundException():
            return _send(
                _fault(Form(404, "kNotFound", "cortex.notFound.route"), "There is nothing at this address")
            )
        case HTTPException(status_code=413):
            return _send(
                _fault(EDGE[RequestEntityTooLarge], f"The body must be at most {LARGEST_BODY:,} bytes")
            )
        case ClientException() | InternalServerException(detail="client disconnected prematurely"):
            return _send(_fault(_invalid("unspecified"), "The request can't be read"))
        case _:
            request_id = str(request.scope.get("hospitium.request_id", ""))
            _log.error("unforeseen", problem=type(problem).__name__, request_id=request_id, exc_info=problem)
            form = Form(500, "kError", "cortex.error.unspecified")
            return _send(_fault(form, "Something went wrong on our side", reason=request_id))


def _fault(form: Form, message: str, *, path: str | None = None, reason: str | None = None) -> Fault:
    return Fault(
        object="fault",
        name="error",
        code=form.code,
        err_code=form.err_code,
        status=form.status,
        message=message,
        path=UNSET if path is None else path,
        reason=UNSET if reason is None else reason,
    )


def _send(fault: Fault, headers: dict[str, str] | None = None) -> Response[bytes]:
    return send(answer(fault.status, fault), headers=headers)
