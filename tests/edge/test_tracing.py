"""Traces, where they are wanted: a span for each request and each deed, as a collector gets them, with nothing of anybody in them."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from edge.conftest import Stand
from hospitium.tracing import Tracing, TracingMissing

CANARY = "canary7fe1"
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"


class Collector:
    """What an operator runs: it takes OTLP over HTTP, and keeps it."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.paths: list[str] = []
        kept = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                kept.paths.append(self.path)
                kept.bodies.append(self.rfile.read(int(self.headers["content-length"])))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"

    @property
    def spans(self) -> list[Any]:
        return [
            span
            for body in self.bodies
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def said(span: Any) -> dict[str, Any]:
    return {
        one.key: one.value.string_value or one.value.int_value or one.value.bool_value
        for one in span.attributes
    }


async def test_a_request_and_its_deed_are_spans_of_one_trace(standing: Stand, collector: Collector) -> None:
    async with standing(OTEL_EXPORTER_OTLP_ENDPOINT=collector.address) as server:
        refused = await server.http.get(f"/api/connections/{CANARY}")
        assert refused.status_code == 401
        assert (await server.http.get("/health/live")).status_code == 200
    assert set(collector.paths) == {"/v1/traces"}
    spans = {span.name: span for span in collector.spans}
    assert set(spans) == {"GET /api/connections/{connection_id}", "deed partnerships.see", "GET /health/live"}
    request, deed = spans["GET /api/connections/{connection_id}"], spans["deed partnerships.see"]
    assert (deed.trace_id, deed.parent_span_id) == (request.trace_id, request.span_id)
    assert said(request) == {
        "http.request.method": "GET",
        "http.route": "/api/connections/{connection_id}",
        "http.response.status_code": 401,
        "hospitium.request_id": refused.headers["x-request-id"],
    }
    assert said(deed) == {"hospitium.permission": "partnerships.see", "hospitium.refusal": "NotSignedIn"}
    assert spans["GET /health/live"].trace_id != request.trace_id


async def test_nothing_that_anybody_says_is_in_a_trace(
    standing: Stand, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = {
        "X-Request-ID": CANARY, "User-Agent": CANARY, "Cookie": f"a={CANARY}", "Authorization": f"Bearer {CANARY}", "X-Forwarded-For": CANARY,
        "Referer": f"https://{CANARY}.example", "traceparent": TRACEPARENT, "tracestate": f"a={CANARY}", "baggage": f"a={CANARY}",
    }  # fmt: skip
    body = {"email": f"{CANARY}@mail.example", "password": f"{CANARY} and more"}
    async with standing(OTEL_EXPORTER_OTLP_ENDPOINT=collector.address) as server:
        for path in (f"/{CANARY}", f"/api/connections/{CANARY}?q={CANARY}", "/api/connections/incoming"):
            await server.http.get(path, headers=headers)
        await server.http.post("/api/auth/login", json=body)

        def fails(*_: object) -> None:
            raise ValueError(CANARY)

        monkeypatch.setattr(server.parts.access_tokens, "shown", fails)
        broken = await server.http.get("/api/connections/incoming")
        assert broken.status_code == 500
    assert len(collector.spans) >= 8
    assert CANARY.encode() not in b"".join(collector.bodies)
    assert bytes.fromhex(TRACE) not in {span.trace_id for span in collector.spans}
    (mistake,) = [span for span in collector.spans if said(span).get("hospitium.refusal") == "ValueError"]
    assert not mistake.events
    assert [said(span)["http.response.status_code"] for span in collector.spans if span.status.code == 2] == [
        500
    ]


async def test_a_trusted_proxy_may_say_to_which_trace_a_request_belongs(
    standing: Stand, collector: Collector
) -> None:
    async with standing(OTEL_EXPORTER_OTLP_ENDPOINT=collector.address, TRUSTED_PROXIES="127.0.0.1") as server:
        await server.http.get("/health/live", headers={"traceparent": TRACEPARENT})
        await server.http.get("/nowhere", headers={"traceparent": f"{CANARY}-{TRACE}"})
    spans = {span.name: span for span in collector.spans}
    assert spans["GET /health/live"].trace_id == bytes.fromhex(TRACE)
    assert spans["GET /health/live"].parent_span_id == bytes.fromhex(PARENT)
    assert spans["GET none"].trace_id != bytes.fromhex(TRACE)


async def test_where_nobody_asked_for_traces_none_are_made(standing: Stand) -> None:
    async with standing() as server:
        assert server.parts.tracing is None
        assert (
            await server.http.get("/health/live", headers={"traceparent": TRACEPARENT})
        ).status_code == 200


async def test_a_collector_that_is_away_holds_nothing_up(standing: Stand) -> None:
    async with standing(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9") as server:
        assert (await server.http.get("/health/live")).status_code == 200


def test_without_the_package_the_start_is_refused_with_the_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(TracingMissing, match=r"pip install 'hospitium\[tracing\]'"):
        Tracing("http://127.0.0.1:4318")
