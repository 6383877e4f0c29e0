"""What a person sees who is refused: a page that says what happened, that nothing was changed, and how to go on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import structlog
from litestar.exceptions import (
    ClientException,
    HTTPException,
    InternalServerException,
    MethodNotAllowedException,
    NotFoundException,
)

from hospitium.doors.console import forms
from hospitium.doors.console.forms import NotOurForm, WrongFormType
from hospitium.doors.console.languages import language_of
from hospitium.doors.console.rendering import page
from hospitium.doors.console.texts import text
from hospitium.engine import errors
from hospitium.engine.errors import Refusal
from hospitium.engine.invites.codes import InviteCode

if TYPE_CHECKING:
    from litestar import Request, Response

    from hospitium.doors.console.following import Wrong
    from hospitium.engine.secrets import LinkToken

_log = structlog.get_logger("hospitium.console")
SHORTEST_WAIT = 2  # seconds


class Form(NamedTuple):
    """The status, and with what the texts of a page begin, for one kind of refusal."""

    status: int
    key: str


TABLE: dict[type[Refusal], Form] = {
    errors.Invalid: Form(400, "unreadable"),
    errors.UnknownObjectType: Form(400, "unreadable"),
    errors.NoTargets: Form(400, "unreadable"),
    errors.TooManyTargets: Form(413, "too_large"),
    errors.WrongTarget: Form(400, "unreadable"),
    errors.AccountRequired: Form(400, "unreadable"),
    errors.AcceptanceRequired: Form(400, "unreadable"),
    errors.WrongAnswer: Form(400, "unreadable"),  # where an answer is asked for, its field says it
    errors.NoSuchPatient: Form(400, "unreadable"),
    errors.SeveralPatients: Form(400, "unreadable"),
    errors.NotSignedIn: Form(403, "forbidden"),
    errors.WrongCredentials: Form(403, "forbidden"),  # where a password is asked for, its field says it
    errors.SessionEnded: Form(403, "forbidden"),
    errors.Forbidden: Form(403, "forbidden"),
    errors.WrongSide: Form(403, "forbidden"),
    errors.AccountDisabled: Form(403, "disabled"),
    errors.NotConfirmed: Form(403, "forbidden"),
    errors.OrganizationInactive: Form(403, "forbidden"),
    errors.RegistrationClosed: Form(403, "forbidden"),
    errors.ClientKeyRequired: Form(403, "forbidden"),
    errors.SharingDisabled: Form(403, "forbidden"),
    errors.NotSharable: Form(403, "forbidden"),
    errors.TargetAccessRequired: Form(403, "forbidden"),
    errors.NotOnesShare: Form(403, "forbidden"),
    errors.UnknownClientKey: Form(404, "not_found"),
    errors.NotFound: Form(404, "not_found"),
    errors.UnknownCode: Form(404, "unknown_code"),
    errors.DeadLink: Form(404, "dead_link"),
    errors.Conflict: Form(409, "conflict"),
    errors.AlreadyConnected: Form(409, "conflict"),
    errors.AlreadyShared: Form(409, "conflict"),
    errors.WrongState: Form(409, "conflict"),
    errors.RequestExpired: Form(409, "conflict"),
    errors.PartnerInactive: Form(409, "conflict"),
    errors.NameTaken: Form(409, "conflict"),
    errors.LastAdministrator: Form(409, "conflict"),
    errors.ActiveLimitReached: Form(409, "conflict"),
    errors.PendingLimitReached: Form(409, "conflict"),
    errors.OfferLimitReached: Form(409, "conflict"),
    errors.ServiceKeyLimitReached: Form(409, "conflict"),
    errors.RejectionCooldown: Form(409, "conflict"),
    errors.TerminationCooldown: Form(409, "conflict"),
    errors.KeyReused: Form(422, "conflict"),
    errors.Busy: Form(429, "busy"),
    errors.TooManyAttempts: Form(429, "busy"),
    errors.Unavailable: Form(503, "unavailable"),
    errors.FhirServerAway: Form(503, "unavailable"),
    errors.FhirServerWrong: Form(502, "fhir_server_wrong"),
}
# Where the form that was sent may be sent again as it was, with a look at its link first.
_AGAIN = {"form", "busy", "unavailable"}


def status_of(wrong: Wrong | None) -> int:
    """Return the status of a page that is shown again because of what was typed into it."""
    if wrong is None:
        return 200
    return TABLE[errors.WrongCredentials if wrong.key == "wrong.password" else errors.Invalid].status


def form_of(problem: Exception) -> Form:
    """Return which page answers whatever went wrong."""
    match problem:
        case Refusal():
            return TABLE[type(problem)]
        case NotOurForm():
            return Form(403, "form")
        case WrongFormType():
            return Form(415, "unreadable")
        case MethodNotAllowedException():
            return Form(405, "method")
        case NotFoundException():
            return Form(404, "not_found")
        case HTTPException(status_code=413):
            return Form(413, "too_large")
        case ClientException() | InternalServerException(detail="client disconnected prematurely"):
            return Form(400, "unreadable")
        case _:
            return Form(500, "internal")


def answer_exception(request: Request[Any, Any, Any], problem: Exception) -> Response[bytes]:
    """Answer whatever went wrong on a page with a page."""
    form = form_of(problem)
    headers: dict[str, str] = {}
    values: dict[str, object] = {}
    match problem:
        case errors.Busy() | errors.Unavailable() | errors.FhirServerAway():
            headers["Retry-After"] = str(problem.retry_after)
            values["wait"] = _wait(request, problem.retry_after)
        case MethodNotAllowedException():
            headers.update(problem.headers or {})
    if form.key == "internal":
        values["request_id"] = request_id = str(request.scope.get("hospitium.request_id", ""))
        _log.error("unforeseen", problem=type(problem).__name__, request_id=request_id, exc_info=problem)
    link, may_repeat = _link_sent(request), form.key in _AGAIN
    return page(
        request,
        "error.html",
        form.status,
        headers=headers,
        name=form.key,
        values=values,
        kind=request.scope["path"].rstrip("/").rpartition("/")[2],
        again=link,
        carry=_code_sent(request) if may_repeat else {},
        may_repeat=may_repeat,
    )


def _wait(request: Request[Any, Any, Any], seconds: int) -> object:
    language = language_of(request)
    if seconds <= 60:  # noqa: PLR2004
        return text("wait.seconds", language, count=max(seconds, SHORTEST_WAIT))
    return text("wait.minutes", language, count=math.ceil(seconds / 60))


def _code_sent(request: Request[Any, Any, Any]) -> dict[str, str]:
    """Return the code of an invite that was sent with a form, as what the form that sends it again carries."""
    code = InviteCode.typed(getattr(request.state, "code", ""))
    return {} if code is None else {"code": code.reveal()}


def _link_sent(request: Request[Any, Any, Any]) -> LinkToken | None:
    """Return the token of the link that was sent with a form, as far as it was read."""
    try:
        return forms.link_token(getattr(request.state, "link", ""))
    except errors.Invalid:
        return None
