"""Where this decision point answers (AuthZEN 1.0, "Policy Decision Point Metadata")."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response

from hospitium.doors.answers import answer, send
from hospitium.doors.authzen.shapes import Configuration
from hospitium.doors.surroundings import surroundings

EVALUATION, EVALUATIONS = "/access/v1/evaluation", "/access/v1/evaluations"
SEARCH_SUBJECT, SEARCH_RESOURCE, SEARCH_ACTION = (
    f"/access/v1/search/{what}" for what in ("subject", "resource", "action")
)


async def read(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Say at which addresses questions are answered."""
    base = surroundings(request).public_url.rstrip("/")
    return send(
        answer(
            200,
            Configuration(
                base,
                base + EVALUATION,
                base + EVALUATIONS,
                base + SEARCH_SUBJECT,
                base + SEARCH_RESOURCE,
                base + SEARCH_ACTION,
            ),
        )
    )
