"""What an application sees when its request is refused: a problem of RFC 9457 (`doors/problems.py`).

A refused request is never a decision (AuthZEN 1.0, "Error Responses"): who may not do something is answered 200, `{"decision": false}`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hospitium.doors import problems
from hospitium.doors.json_body import WrongContentType
from hospitium.doors.problems import PROBLEMS
from hospitium.engine.errors import Invalid

if TYPE_CHECKING:
    from litestar import Request, Response

    from hospitium.engine.errors import Refusal

TABLE = PROBLEMS
EDGE = problems.EDGE
WORDING = problems.wording(TABLE)._replace(
    edge={**EDGE, WrongContentType: problems.Form(400, PROBLEMS[Invalid].kind)}
)


def answer_refusal(refusal: Refusal) -> Response[bytes]:
    """Answer an engine refusal as a problem."""
    return problems.answer_refusal(refusal, TABLE)


def answer_exception(request: Request[Any, Any, Any], problem: Exception) -> Response[bytes]:
    """Answer whatever went wrong on this surface as a problem; a wrong content type is a bad request here (AuthZEN 1.0, "Transport")."""
    if isinstance(problem, WrongContentType):
        return answer_refusal(Invalid("Content-Type", "must be application/json"))
    return problems.answer_exception(request, problem, TABLE)
