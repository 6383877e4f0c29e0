"""What every server has: whether it lives, whether it is ready, and the public keys that prove its tokens."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response

from hospitium.doors.answers import answer, send
from hospitium.doors.surroundings import surroundings


async def live(request: Request[Any, Any, Any]) -> Response[bytes]:
    """The process answers; whether its database does is another question."""
    _ = request
    return send(answer(200, {"status": "live"}))


async def ready(request: Request[Any, Any, Any]) -> Response[bytes]:
    if await surroundings(request).database.answers():
        return send(answer(200, {"status": "ready"}))
    return send(answer(503, {"status": "the database does not answer"}), headers={"Retry-After": "2"})


async def jwks(request: Request[Any, Any, Any]) -> Response[bytes]:
    keys = surroundings(request).access_tokens.jwks()
    return send(
        answer(200, keys),
        media_type="application/jwk-set+json",
        headers={"Cache-Control": "public, max-age=300"},
    )
