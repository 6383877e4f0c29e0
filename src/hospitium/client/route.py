"""A guard in front of an ASGI application: who isn't allowed doesn't reach it, and while nobody can say, nobody does.

What is guarded is a callable `(scope, receive, send)`, whatever framework it belongs to. Who asks, and for what, two functions of the
application say, from the scope; either may be asynchronous.

    @guard.route("read", subject=lambda scope: scope.get("user"), resource=prescription_of)
    async def show(scope, receive, send): ...
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any, TypeAlias, TypeVar

import msgspec

from hospitium.client.asking import LEAST_RETRY_AFTER, LONGEST_RETRY_AFTER
from hospitium.client.errors import GuardUnavailable
from hospitium.client.questions import Resource, Subject

T = TypeVar("T")
Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
# Frameworks have types of their own for the same things, and a callable takes no other type than it says.
App: TypeAlias = Callable[[Any, Any, Any], Awaitable[None]]
Subjects: TypeAlias = Callable[[Any], Subject | str | None | Awaitable[Subject | str | None]]
Resources: TypeAlias = Callable[[Any], Resource | Awaitable[Resource]]
Ask: TypeAlias = Callable[[Subject | str, str, Resource], Awaitable[bool]]

_DETAILS = {
    HTTPStatus.UNAUTHORIZED: "Nobody is signed in",
    HTTPStatus.FORBIDDEN: "This is not allowed",
    HTTPStatus.SERVICE_UNAVAILABLE: "Whether this is allowed can't be found out at the moment",
}
_POLICY_VIOLATION, _TRY_AGAIN_LATER = 1008, 1013  # how a WebSocket is closed


class Guarded:
    """An ASGI application behind a guard; itself one. It is an object, so that frameworks don't take it for a handler of requests."""

    def __init__(self, app: App, ask: Ask, action: str, subject: Subjects, resource: Resources) -> None:
        self._app = app
        self._ask = ask
        self._action = action
        self._subject = subject
        self._resource = resource
        self.__name__ = getattr(app, "__name__", type(app).__name__)
        self.__doc__ = app.__doc__

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Call the application, if that is allowed. What the guard refuses is a mistake, and raised."""
        kind = scope["type"]
        if kind == "lifespan":
            await self._app(scope, receive, send)
            return
        if kind not in ("http", "websocket"):
            raise ValueError(f"nothing is known of {kind!r} that could be guarded")
        refused = await self._refused(scope)
        if refused is None:
            await self._app(scope, receive, send)
        elif kind == "http":
            await _answer(scope, send, *refused)
        else:
            await _close(receive, send, refused[0])

    async def _refused(self, scope: Scope) -> tuple[HTTPStatus, dict[str, str]] | None:
        """Return how the request is refused, None if it is allowed."""
        subject = await _awaited(self._subject(scope))
        if subject is None:
            return HTTPStatus.UNAUTHORIZED, {"www-authenticate": "Bearer"}
        resource = await _awaited(self._resource(scope))
        try:
            is_allowed = await self._ask(subject, self._action, resource)
        except GuardUnavailable as problem:
            seconds = min(max(problem.retry_after, LEAST_RETRY_AFTER), LONGEST_RETRY_AFTER)
            return HTTPStatus.SERVICE_UNAVAILABLE, {"retry-after": str(math.ceil(seconds))}
        return None if is_allowed is True else (HTTPStatus.FORBIDDEN, {})


def around(ask: Ask, action: str, subject: Subjects, resource: Resources) -> Callable[[App], Guarded]:
    """Return what puts a guard that asks so in front of an application."""
    return lambda app: Guarded(app, ask, action, subject, resource)


async def _awaited(value: T | Awaitable[T]) -> T:
    return await value if inspect.isawaitable(value) else value


async def _answer(scope: Scope, send: Send, status: HTTPStatus, headers: dict[str, str]) -> None:
    problem = {
        "type": "about:blank",
        "title": status.phrase,
        "status": int(status),
        "detail": _DETAILS[status],
    }
    body = msgspec.json.encode(problem)
    said = {
        "content-type": "application/problem+json",
        "content-length": str(len(body)),
        "cache-control": "no-store",
        **headers,
    }
    await send(
        {
            "type": "http.response.start",
            "status": int(status),
            "headers": [(name.encode(), value.encode()) for name, value in said.items()],
        }
    )
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


async def _close(receive: Receive, send: Send, status: HTTPStatus) -> None:
    message = await receive()
    if message["type"] == "websocket.connect":
        is_later = status is HTTPStatus.SERVICE_UNAVAILABLE
        await send({"type": "websocket.close", "code": _TRY_AGAIN_LATER if is_later else _POLICY_VIOLATION})
