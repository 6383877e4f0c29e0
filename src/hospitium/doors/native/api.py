"""What this server says of its addresses: /openapi.json for programs, /openapi for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar import Request, Response

from hospitium.doors.answers import JSON, Answer, send
from hospitium.doors.surroundings import surroundings

if TYPE_CHECKING:
    from hospitium.doors.openapi.published import Edition

HTML = "text/html"  # to which the framework adds the charset


async def document(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Read this document: every address of every surface, and every answer it can give."""
    return _edition(request, surroundings(request).api.document, JSON)


async def page(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Read this document as a page for people."""
    api = surroundings(request).api
    return _edition(request, api.page, HTML, {"Content-Security-Policy": api.policy})


def _edition(
    request: Request[Any, Any, Any], edition: Edition, media_type: str, more: dict[str, str] | None = None
) -> Response[bytes]:
    """Answer with an edition, or that the asker has it already; everybody may keep it, and asks whether it is still the one."""
    headers = {"Cache-Control": "public, no-cache", "ETag": edition.etag, **(more or {})}
    if edition.is_had_by(request.headers.get("if-none-match")):
        return send(Answer(304, b""), media_type=media_type, headers=headers)
    return send(Answer(200, edition.body), media_type=media_type, headers=headers)
