"""Traces, where an operator wants them (docs/observing.md): a span for each request, and one for each deed in it.

Spans carry the route's template, a status, a permission, a kind of refusal, and nothing of what anybody said: no path, no query,
no statement, no message of an exception. What makes and sends them is an optional part of the installation.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hospitium import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.trace import Span

    from hospitium.engine.permissions import Permission

PATIENCE = 3.0  # seconds to send what is left, at the end
SERVER_ERROR = 500


class TracingMissing(Exception):
    """Traces are asked for, and what makes them isn't installed; the message names the mend."""


class Tracing:
    """Makes spans and sends them to one collector. There is nothing global about it."""

    def __init__(self, endpoint: str) -> None:
        """Send to `endpoint`, the address of an OTLP collector over HTTP. Raises TracingMissing."""
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
            from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
            from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
            from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
            from opentelemetry.trace import SpanKind, Status, StatusCode  # noqa: PLC0415
            from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415
                TraceContextTextMapPropagator,
            )
        except ImportError:
            raise TracingMissing(
                "OTEL_EXPORTER_OTLP_ENDPOINT is set, but traces are an optional part that isn't installed: "
                "run `pip install 'hospitium[tracing]'`, or unset it"
            ) from None
        self._provider = TracerProvider(
            resource=Resource({"service.name": "hospitium", "service.version": __version__}),
            shutdown_on_exit=False,
        )
        self._exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=PATIENCE)
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer("hospitium")
        self._kinds = SpanKind
        self._went_wrong = Status(StatusCode.ERROR)
        self._read_parent = TraceContextTextMapPropagator().extract

    @contextmanager
    def request(self, traceparent: str | None) -> Iterator[Span]:
        """Make the span of a request; `traceparent` is what a trusted proxy said of the trace it belongs to."""
        parent = None if traceparent is None else self._read_parent({"traceparent": traceparent})
        with self._tracer.start_as_current_span(
            "request", context=parent, kind=self._kinds.SERVER, **_SILENT
        ) as span:
            yield span

    def answered(self, span: Span, method: str, route: str, status: int, request_id: str) -> None:
        """Say of a request's span what is known at its end."""
        span.update_name(f"{method} {route}")
        span.set_attributes(
            {
                "http.request.method": method,
                "http.route": route,
                "http.response.status_code": status,
                "hospitium.request_id": request_id,
            }
        )
        if status >= SERVER_ERROR or not status:
            span.set_status(self._went_wrong)

    @contextmanager
    def deed(self, permission: Permission) -> Iterator[None]:
        """Make the span of a deed."""
        with self._tracer.start_as_current_span(
            f"deed {permission.value}", attributes={"hospitium.permission": permission.value}, **_SILENT
        ) as span:
            try:
                yield
            except Exception as problem:
                span.set_attribute("hospitium.refusal", type(problem).__name__)
                raise

    async def close(self) -> None:
        """Send what is left, for as long as that is worth waiting for."""
        ending = asyncio.get_running_loop().run_in_executor(None, self._provider.shutdown)
        done, _ = await asyncio.wait({ending}, timeout=PATIENCE)
        if not done:
            self._exporter.shutdown()  # type: ignore[no-untyped-call]  # it stops trying again, and that ends the other
        await ending


# What an exception says may hold values.
_SILENT: dict[str, Any] = {"record_exception": False, "set_status_on_exception": False}
