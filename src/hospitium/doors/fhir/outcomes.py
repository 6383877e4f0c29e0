"""What a FHIR client sees when it is refused: an OperationOutcome (https://hl7.org/fhir/R4/operationoutcome.html) of ours.

Nothing that another server said stands in it, nor what was asked for. What one may not know of is the same 404, to the byte, as what
isn't there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import structlog
from litestar.exceptions import ClientException, HTTPException

from hospitium.doors.fhir.paths import WrongMethod
from hospitium.doors.json_body import LARGEST_BODY
from hospitium.doors.problems import PROBLEMS
from hospitium.engine import errors
from hospitium.engine.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

FHIR_JSON = "application/fhir+json"
# The code of an issue says in FHIR's words (http://hl7.org/fhir/issue-type) what the status says in HTTP's.
_CODES = {
    400: "invalid",
    401: "login",
    403: "forbidden",
    404: "not-found",
    405: "not-supported",
    406: "not-supported",
    409: "conflict",
    413: "too-long",
    415: "not-supported",
    422: "processing",
    429: "throttled",
    500: "exception",
    502: "transient",
    503: "transient",
}
_NOT_FOUND = "There is no such resource, or you may not read it"
_log = structlog.get_logger("hospitium.fhir_door")


class NotAcceptable(Exception):
    """Something else than JSON is wanted."""


class WrongBody(Exception):
    """There is a body, and it doesn't say that it is what is `wanted`: a media type."""

    def __init__(self, wanted: str) -> None:
        super().__init__(wanted)
        self.wanted = wanted


class Outcome(msgspec.Struct, frozen=True):
    """A refusal as it is sent: its status, its body and its headers."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


def outcome(status: int, says: str, headers: Mapping[str, str] | None = None) -> Outcome:
    """Return an OperationOutcome that says something of ours."""
    issue: dict[str, Any] = {"severity": "error", "code": _CODES[status], "diagnostics": says}
    body = msgspec.json.encode({"resourceType": "OperationOutcome", "issue": [issue]})
    given = tuple((name.lower().encode(), value.encode()) for name, value in (headers or {}).items())
    return Outcome(status, body, given)


def outcome_of(problem: Exception, request_id: str) -> Outcome:
    """Return what a client is told of whatever went wrong."""
    match problem:
        case errors.NotFound():
            return outcome(404, _NOT_FOUND)
        case errors.NotSignedIn():
            return outcome(401, problem.message, {"WWW-Authenticate": "Bearer"})
        case errors.Busy() | errors.Unavailable() | errors.FhirServerAway():
            return outcome(
                PROBLEMS[type(problem)].status, problem.message, {"Retry-After": str(problem.retry_after)}
            )
        case Refusal():
            return outcome(PROBLEMS[type(problem)].status, problem.message)
        case WrongMethod():
            return outcome(405, "This address doesn't take this method", {"Allow": problem.allowed})
        case NotAcceptable():
            return outcome(406, "Only application/fhir+json is served")
        case WrongBody():
            return outcome(415, f"The body must be {problem.wanted}")
        case HTTPException(status_code=413):
            return outcome(413, f"The body must be at most {LARGEST_BODY:,} bytes")
        case ClientException():
            return outcome(400, "The request can't be read")
        case _:
            _log.error("unforeseen", problem=type(problem).__name__, request_id=request_id, exc_info=problem)
            return outcome(500, "Something went wrong on our side")
