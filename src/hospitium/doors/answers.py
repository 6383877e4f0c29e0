"""Answers, and answers given once: what all JSON surfaces share in replying."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from litestar import Request, Response

from hospitium.doors.surroundings import surroundings
from hospitium.engine import idempotency, sealing
from hospitium.engine.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from hospitium.engine.context import Context

JSON = "application/json"
_CONTEXT = ("fhirserverid-context", "tin-context")


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
    ctx: Context,
    request: Request[Any, Any, Any],
    body: bytes,
    deed: Callable[[], Awaitable[Answer]],
    *,
    sealed: bool = False,
    key: str | None = None,
) -> Answer:
    """Run a creating deed once per `Idempotency-Key` (ruling 27), or per `key`: a repeat gets the answer the first one got.

    `sealed`: the answer holds a secret, and is kept so that the database alone can't tell it. Raises KeyReused, Invalid, and what
    the deed raises.
    """
    key = key or request.headers.get("idempotency-key")
    if key is None:
        return await deed()
    digest = _digest(ctx, request, body)
    kept = await idempotency.claim(ctx, key, digest)
    if kept is not None and kept.status is not None and kept.answer is not None:
        return Answer(kept.status, _opened(request, digest, kept.answer) if sealed else kept.answer)
    given = await deed()
    body = _sealed(request, digest, given.body) if sealed else given.body
    await idempotency.keep(ctx, key, given.status, body)
    return given


async def given_before(
    ctx: Context, request: Request[Any, Any, Any], body: bytes, *, sealed: bool = False
) -> Answer | None:
    """Return what the same request was answered before under its `Idempotency-Key`, if it was; for creating deeds that ask another
    server, or hash slowly, before `once`. Raises KeyReused."""
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    digest = _digest(ctx, request, body)
    kept = await idempotency.kept_before(ctx, key, digest)
    if kept is None or kept.status is None or kept.answer is None:
        return None
    return Answer(kept.status, _opened(request, digest, kept.answer) if sealed else kept.answer)


def _digest(ctx: Context, request: Request[Any, Any, Any], body: bytes) -> bytes:
    # Whom one acts for is part of the request, and on which FHIR server: elsewhere the same words ask for something else.
    asked = f"{request.method} {request.url.path} {ctx.actor.organization_id}\n"
    asked += "".join(f"{name}: {request.headers[name]}\n" for name in _CONTEXT if name in request.headers)
    # Keyed: a body may hold an answer that is short enough to be guessed. By the oldest key, which a rotation leaves in the ring.
    keys = surroundings(request).link_keys
    return hmac.digest(keys[min(keys)].key, b"repeat\0" + asked.encode() + body, "sha256")


def _sealed(request: Request[Any, Any, Any], digest: bytes, body: bytes) -> bytes:
    key = surroundings(request).sealing_key
    return key.number.to_bytes(4) + sealing.seal(key, body, digest)


def _opened(request: Request[Any, Any, Any], digest: bytes, kept: bytes) -> bytes:
    key = surroundings(request).sealing_keys.get(int.from_bytes(kept[:4]))
    if key is None:
        raise Unavailable(1)  # kept by a server that has a newer key; this one takes it up at its next start
    return sealing.unseal(key, kept[4:], digest)
