"""Around every request and every deed: an id, one log line, what is counted, and the headers that every answer carries."""

from __future__ import annotations

import time
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import structlog
from litestar.enums import ScopeType

from hospitium.doors.catching_up import AFTER, POSITION_HEADER, is_told, spelled
from hospitium.edge import NOWHERE, give, guarded, problem
from hospitium.engine.errors import Refusal
from hospitium.storage.positions import NOTED, Noted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from litestar.types import ASGIApp, Message, Receive, Scope, Send

    from hospitium.doors.surroundings import Surroundings
    from hospitium.engine.permissions import Permission
    from hospitium.metrics import Metrics
    from hospitium.tracing import Tracing

_log = structlog.get_logger("hospitium.http")
_BROKEN = problem(500, "internal", "Internal Server Error", "Something went wrong on our side")
_LAST_ANSWER = (b"connection", b"close")
_READING = ("GET", "HEAD", "OPTIONS")


class Observed:
    """An ASGI application that is watched: it knows templates, statuses and times, and nothing of what is said."""

    def __init__(self, app: ASGIApp, parts: Surroundings) -> None:
        self._app = app
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        metrics, tracing = self._parts.metrics, self._parts.tracing
        began = time.perf_counter()
        watched: dict[str, Any] = scope  # type: ignore[assignment]
        arrival = self._parts.edge.arrival(watched)
        watched["hospitium.request_id"] = arrival.request_id
        if arrival.after is not None:
            watched[AFTER] = arrival.after
        noted = Noted(self._parts.work.positions, only_reads=watched["method"] in _READING)
        NOTED.set(noted)
        status = 0

        async def send_observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                more = [_LAST_ANSWER] if self._parts.stopping.is_set() else []
                if noted.position is not None and is_told(status):
                    more.append((POSITION_HEADER, spelled(noted.position, self._parts.sealing_key).encode()))
                message["headers"] = guarded(message["headers"], [*arrival.carries, *more])
            await send(message)

        metrics.in_flight += 1
        with nullcontext() if tracing is None else tracing.request(arrival.traceparent) as span:
            try:
                if arrival.answer is None:
                    await self._app(scope, receive, send_observed)
                else:
                    await give(arrival.answer, send_observed)
            except Exception as mistake:
                if status:
                    raise
                _log.exception("unforeseen", problem=type(mistake).__name__, request_id=arrival.request_id)
                await give(_BROKEN, send_observed)
            finally:
                seconds = time.perf_counter() - began
                method, route = watched["method"], watched.get("path_template") or NOWHERE
                metrics.in_flight -= 1
                metrics.answered(method, route, status, seconds)
                if tracing is not None and span is not None:
                    tracing.answered(span, method, route, status, arrival.request_id)
                _log.info(
                    "request",
                    method=method,
                    route=route,
                    status=status,
                    ms=round(seconds * 1000, 1),
                    request_id=arrival.request_id,
                )


def watching(
    metrics: Metrics, tracing: Tracing | None
) -> Callable[[Permission], AbstractContextManager[None]]:
    """Return what is put around every deed: it counts refusals, and makes a span where traces are wanted."""

    @contextmanager
    def watch(permission: Permission) -> Iterator[None]:
        with nullcontext() if tracing is None else tracing.deed(permission):
            try:
                yield
            except Refusal as refusal:
                metrics.refused(permission, type(refusal))
                raise

    return watch
