"""Problems of RFC 9457: how a refused caller is answered where no vendor says otherwise.

The doors that answer so have one way of writing a problem, and a table each from kinds of refusal to statuses.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

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

from hospitium.doors.answers import answer, send
from hospitium.doors.json_body import LARGEST_BODY, WrongContentType
from hospitium.doors.routing import Wording
from hospitium.doors.shapes import Instant
from hospitium.engine import errors
from hospitium.engine.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from litestar import Request, Response

_log = structlog.get_logger("hospitium.problems")
PROBLEM = "application/problem+json"
_TYPE = "urn:hospitium:problem:"


class TooManyQuestions(Exception):
    """There are more questions in one request than are answered at once."""

    def __init__(self, most: int) -> None:
        super().__init__(most)
        self.most = most


class Form(NamedTuple):
    """The status and the last part of the `type` of one kind of refusal."""

    status: int
    kind: str


PROBLEMS: dict[type[Refusal], Form] = {
    errors.Invalid: Form(400, "invalid"),
    errors.UnknownObjectType: Form(400, "unknown-object-type"),
    errors.NoTargets: Form(400, "no-targets"),
    errors.TooManyTargets: Form(413, "too-many-targets"),
    errors.WrongTarget: Form(400, "wrong-target"),
    errors.AccountRequired: Form(400, "account-required"),
    errors.AcceptanceRequired: Form(400, "acceptance-required"),
    errors.WrongAnswer: Form(400, "wrong-answer"),
    errors.NoSuchPatient: Form(400, "no-such-patient"),
    errors.SeveralPatients: Form(400, "several-patients"),
    errors.NotSignedIn: Form(401, "not-signed-in"),
    errors.WrongCredentials: Form(401, "wrong-credentials"),
    errors.SessionEnded: Form(401, "session-ended"),
    errors.Forbidden: Form(403, "forbidden"),
    errors.WrongSide: Form(403, "wrong-side"),
    errors.AccountDisabled: Form(403, "account-disabled"),
    errors.NotConfirmed: Form(403, "not-confirmed"),
    errors.OrganizationInactive: Form(403, "organization-inactive"),
    errors.RegistrationClosed: Form(403, "registration-closed"),
    errors.ClientKeyRequired: Form(403, "client-key-required"),
    errors.SharingDisabled: Form(403, "sharing-disabled"),
    errors.NotSharable: Form(403, "not-sharable"),
    errors.TargetAccessRequired: Form(403, "target-access-required"),
    errors.NotOnesShare: Form(403, "not-ones-share"),
    errors.UnknownClientKey: Form(404, "unknown-client-key"),
    errors.NotFound: Form(404, "not-found"),
    errors.UnknownCode: Form(404, "unknown-code"),
    errors.DeadLink: Form(404, "dead-link"),
    errors.Conflict: Form(409, "conflict"),
    errors.AlreadyConnected: Form(409, "already-connected"),
    errors.AlreadyShared: Form(409, "already-shared"),
    errors.WrongState: Form(409, "wrong-state"),
    errors.RequestExpired: Form(409, "request-expired"),
    errors.PartnerInactive: Form(409, "partner-inactive"),
    errors.NameTaken: Form(409, "name-taken"),
    errors.LastAdministrator: Form(409, "last-administrator"),
    errors.ActiveLimitReached: Form(409, "active-limit-reached"),
    errors.PendingLimitReached: Form(409, "pending-limit-reached"),
    errors.OfferLimitReached: Form(409, "offer-limit-reached"),
    errors.ServiceKeyLimitReached: Form(409, "service-key-limit-reached"),
    errors.RejectionCooldown: Form(409, "rejection-cooldown"),
    errors.TerminationCooldown: Form(409, "termination-cooldown"),
    errors.KeyReused: Form(422, "idempotency-key-reused"),
    errors.Busy: Form(429, "busy"),
    errors.TooManyAttempts: Form(429, "too-many-attempts"),
    errors.Unavailable: Form(503, "unavailable"),
    errors.FhirServerAway: Form(503, "fhir-server-away"),
    errors.FhirServerWrong: Form(502, "fhir-server-wrong"),
}

EDGE: dict[type[Exception], Form] = {
    RequestEntityTooLarge: Form(413, "too-large"),
    WrongContentType: Form(415, "unsupported-media-type"),
    TooManyQuestions: Form(413, "too-many-questions"),
}


class WrongField(msgspec.Struct):
    """One member, parameter or header that is wrong, and why."""

    field: str
    detail: str


class Problem(msgspec.Struct, rename="camel", kw_only=True):
    """A problem of RFC 9457: `type` names the kind, `detail` is for people."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[WrongField] | UnsetType = UNSET
    retry_after: Instant | UnsetType = UNSET
    limit: int | UnsetType = UNSET
    request_id: str | UnsetType = UNSET


class SmallProblem(msgspec.Struct):
    """A problem of RFC 9457 in small, where one of several things failed: what it would be called had it been asked for alone."""

    type: str
    detail: str
    errors: list[WrongField] | UnsetType = UNSET


def in_small(refusal: Refusal, table: Mapping[type[Refusal], Form], field: str | None) -> SmallProblem:
    """Return a refusal as a problem in small; `field` is the member it is about, as the surface spells it."""
    kind, detail = f"{_TYPE}{table[type(refusal)].kind}", refusal.message
    if field is None:
        return SmallProblem(kind, detail)
    if isinstance(refusal, errors.Invalid):
        return SmallProblem(kind, f"{field}: {refusal.reason}", [WrongField(field, refusal.reason)])
    return SmallProblem(kind, detail, [WrongField(field, detail)])


def _only(status: int, kinds: list[str]) -> dict[str, Any]:
    return {
        "properties": {
            "type": {"enum": [f"{_TYPE}{kind}" for kind in kinds]},
            "status": {"const": status},
        }
    }


def wording(table: Mapping[type[Refusal], Form]) -> Wording:
    """Return how a surface says no that has this table."""
    return Wording(PROBLEM, Problem, table, EDGE, _only)


def answer_refusal(refusal: Refusal, table: Mapping[type[Refusal], Form]) -> Response[bytes]:
    """Answer an engine refusal as a problem."""
    form = table[type(refusal)]
    more: dict[str, Any] = {}
    headers: dict[str, str] = {}
    match refusal:
        case errors.Invalid():
            more["errors"] = [WrongField(refusal.field, refusal.reason)]
        case errors.NotSignedIn():
            headers["WWW-Authenticate"] = "Bearer"
        case errors.NameTaken():
            more["errors"] = [WrongField(refusal.field, "is taken")]
        case Refusal(field=str(field)):
            more["errors"] = [WrongField(field, refusal.message)]
        case errors.CoolingDown():
            more["retry_after"] = refusal.until
        case errors.LimitReached():
            more["limit"] = refusal.limit
        case errors.Busy() | errors.Unavailable() | errors.FhirServerAway():
            headers["Retry-After"] = str(refusal.retry_after)
    return _send(form.status, form.kind, refusal.message, more, headers)


def answer_exception(
    request: Request[Any, Any, Any], problem: Exception, table: Mapping[type[Refusal], Form]
) -> Response[bytes]:
    """Answer whatever went wrong as a problem."""
    match problem:
        case Refusal():
            return answer_refusal(problem, table)
        case WrongContentType():
            return _send(
                *EDGE[WrongContentType], "The body must be JSON, sent as Content-Type: application/json"
            )
        case TooManyQuestions():
            return _send(*EDGE[TooManyQuestions], f"A request may hold at most {problem.most:,} questions")
        case MethodNotAllowedException():
            return _send(
                405, "method-not-allowed", "This address doesn't take this method", headers=problem.headers
            )
        case NotFoundException():
            return _send(404, "not-found", "There is nothing at this address")
        case HTTPException(status_code=413):
            return _send(*EDGE[RequestEntityTooLarge], f"The body must be at most {LARGEST_BODY:,} bytes")
        case ClientException() | InternalServerException(detail="client disconnected prematurely"):
            return _send(400, "invalid", "The request can't be read")
        case _:
            request_id = str(request.scope.get("hospitium.request_id", ""))
            _log.error("unforeseen", problem=type(problem).__name__, request_id=request_id, exc_info=problem)
            return _send(500, "internal", "Something went wrong on our side", {"request_id": request_id})


def _send(
    status: int,
    kind: str,
    detail: str,
    more: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
) -> Response[bytes]:
    body = Problem(
        type=f"{_TYPE}{kind}",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        **(more or {}),
    )
    return send(answer(status, body), media_type=PROBLEM, headers=headers)
