"""What every server has: whether it lives, whether it is ready, and the public keys that prove its tokens."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from litestar import Request, Response
from litestar.exceptions import NotFoundException

from hospitium.doors.answers import Answer, answer, send
from hospitium.doors.surroundings import surroundings
from hospitium.engine.errors import NotSignedIn

JWK_SET = "application/jwk-set+json"
PROMETHEUS = "text/plain; version=1.0.0"  # to which the framework adds the charset


class Live(msgspec.Struct):
    """The process answers."""

    status: Literal["live"]


class Ready(msgspec.Struct):
    """The process and its database answer."""

    status: Literal["ready"]


class NotReady(msgspec.Struct):
    """The process answers, but its database does not, or it was asked to stop."""

    status: Literal["the database does not answer", "the server is stopping"]


class Jwk(msgspec.Struct):
    """A public key, as RFC 7517 writes it."""

    kty: Literal["EC"]
    crv: Literal["P-256"]
    x: str
    y: str
    kid: str
    use: Literal["sig"]
    alg: Literal["ES256"]


class JwkSet(msgspec.Struct):
    """The public keys, the newest among them."""

    keys: list[Jwk]


async def live(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Tell whether the process answers; whether its database does is another question."""
    _ = request
    return send(answer(200, Live("live")))


async def ready(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Tell whether the process and its database answer, and whether it will go on doing so."""
    house = surroundings(request)
    if house.stopping.is_set():
        return send(answer(503, NotReady("the server is stopping")), headers={"Retry-After": "2"})
    if await house.database.answers():
        return send(answer(200, Ready("ready")))
    return send(answer(503, NotReady("the database does not answer")), headers={"Retry-After": "2"})


async def metrics(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Read how the server fares, in numbers, as Prometheus writes them.

    Where no token is set there is nothing at this address.
    """
    numbers = surroundings(request).metrics
    if not numbers.has_token:
        raise NotFoundException
    if not numbers.admits(request.headers.get("authorization")):
        raise NotSignedIn
    return send(Answer(200, await numbers.page()), media_type=PROMETHEUS)


async def jwks(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Read the public keys that prove this server's access tokens."""
    keys = surroundings(request).access_tokens.jwks()
    return send(
        answer(200, keys),
        media_type=JWK_SET,
        headers={"Cache-Control": "public, max-age=300"},
    )
