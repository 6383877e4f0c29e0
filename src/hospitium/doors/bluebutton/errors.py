"""What a caller of this surface sees when it is refused: a problem of RFC 9457 (`doors/problems.py`).

The document says nothing of errors but that they exist (contract bluebutton.md §3.1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hospitium.doors import problems
from hospitium.doors.problems import PROBLEMS

if TYPE_CHECKING:
    from litestar import Request, Response

    from hospitium.engine.errors import Refusal

TABLE = PROBLEMS
WORDING = problems.wording(TABLE)
EDGE = problems.EDGE


def answer_refusal(refusal: Refusal) -> Response[bytes]:
    """Answer an engine refusal as a problem."""
    return problems.answer_refusal(refusal, TABLE)


def answer_exception(request: Request[Any, Any, Any], problem: Exception) -> Response[bytes]:
    """Answer whatever went wrong on this surface as a problem."""
    return problems.answer_exception(request, problem, TABLE)
