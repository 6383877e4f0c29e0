"""Answers, and answers given once: what all JSON surfaces share in replying."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from litestar import Request, Response

from hospitium.engine import idempotency

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from hospitium.engine.context import Context

JSON = "application/json"


class Answer(NamedTuple):
    """A status and a finished body."""

    status: int
    body: bytes


def answer(status: int, body: Any) -> Answer:
    """Return an answer whose body is a value encoded as JSON."""
    return Answer(status, msgspec.json.encode(body))


def send(
    given: Answer, *, media_type: str = JSON, headers: Mapping[str, str] | None = None
) -> Response[bytes]:
    """Return the response that carries an answer. It is for the one who asked: nobody keeps a copy."""
    return Response(
        given.body,
        status_code=given.status,
        media_type=media_type,
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


async def once(
    ctx: Context, request: Request[Any, Any, Any], body: bytes, deed: Callable[[], Awaitable[Answer]]
) -> Answer:
    """Run a creating deed once per `Idempotency-Key` (ruling 27): a repeat gets the answer the first one got.

    Raises KeyReused, Invalid, and what the deed raises.
    """
    key = request.headers.get("idempotency-key")
    if key is None:
        return await deed()
    # Whom one acts for is part of the request: moved to another organization, the same words ask for something else.
    asked = f"{request.method} {request.url.path} {ctx.actor.organization_id}\n"
    digest = hashlib.sha256(asked.encode() + body).digest()
    kept = await idempotency.claim(ctx, key, digest)
    if kept is not None and kept.status is not None and kept.answer is not None:
        return Answer(kept.status, kept.answer)
    given = await deed()
    await idempotency.keep(ctx, key, given.status, given.body)
    return given
