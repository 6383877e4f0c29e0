"""How the server fares, in numbers, as Prometheus reads them (docs/observing.md).

Names on labels come from closed lists alone: templates of routes, methods, classes of status, permissions, kinds of refusal.
Never a path, an id, a name or an address: what is counted says nothing of anybody, and its size is bounded.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import platform
from collections import Counter as Tally
from typing import TYPE_CHECKING

import structlog
from litestar.enums import ScopeType
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from hospitium import __version__
from hospitium.doors.unit_of_work import perform_as
from hospitium.edge import NOWHERE, EdgeAnswer, give, problem
from hospitium.engine.actor import SYSTEM
from hospitium.engine.errors import Busy, CoolingDown, LimitReached, Refusal, Unavailable
from hospitium.engine.permissions import Permission
from hospitium.storage.schema import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from litestar.types import Receive, Scope, Send
    from prometheus_client.metrics_core import Metric

    from hospitium.doors.passwords import PasswordGate
    from hospitium.doors.surroundings import Clock
    from hospitium.engine.context import Context
    from hospitium.engine.secrets import Secret
    from hospitium.storage.database import Database

    Reader = Callable[[Context], Awaitable[Mapping[str, float]]]

PATIENCE = 2.0  # seconds a scrape waits for the database
SCHEME = "bearer"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_NOTHING_HERE = problem(404, "not-found", "Not Found", "There is nothing at this address")
_NOT_ADMITTED = problem(401, "not-signed-in", "Unauthorized", "Authentication required")
_NOT_ADMITTED.headers.append((b"www-authenticate", b"Bearer"))
_log = structlog.get_logger("hospitium.metrics")


class Gauges:
    """What is read from the database when somebody asks: each part adds a reader, and the names and sentences of what it
    reads. A reader is one cheap statement; it returns the numbers by name, without those there are none of at the moment."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._readers: list[tuple[Mapping[str, str], Reader]] = []

    def add(self, sentences: Mapping[str, str], reader: Reader) -> None:
        """Read these numbers by this reader, with each scrape."""
        self._readers.append((sentences, reader))

    async def read(self) -> list[GaugeMetricFamily]:
        """Return every number that can be read now; what can't be read in time is left out, and logged."""
        return [
            family for sentences, reader in self._readers for family in await self._one(sentences, reader)
        ]

    async def _one(self, sentences: Mapping[str, str], reader: Reader) -> list[GaugeMetricFamily]:
        try:
            async with asyncio.timeout(PATIENCE):
                read = await perform_as(self._database, self._clock, SYSTEM, Permission.SEE_METRICS, reader)
        except (Unavailable, TimeoutError):
            return []  # the pool, and /health/ready, tell of it
        except Exception as problem:  # noqa: BLE001  a number that fails must not hide the others
            _log.exception("a number can't be read", reader=reader.__name__, problem=type(problem).__name__)
            return []
        return [
            GaugeMetricFamily(f"hospitium_{name}", sentence, value=read[name])
            for name, sentence in sentences.items()
            if name in read
        ]


class Metrics:
    """Counts what happens in one process, and prints it."""

    def __init__(
        self, database: Database, passwords: PasswordGate, gauges: Gauges, token: Secret | None = None
    ) -> None:
        self.gauges = gauges
        self.in_flight = 0
        self._refusals: Tally[tuple[Permission, type[Refusal]]] = Tally()
        self._token = None if token is None else _digest(token.reveal())
        self._database, self._passwords = database, passwords
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "hospitium_requests", "Requests answered.", ("method", "route", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "hospitium_request_seconds",
            "How long an answer took.",
            ("route",),
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._known: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._read: list[GaugeMetricFamily] = []
        ProcessCollector(registry=self._registry)
        self._registry.register(self)

    @property
    def has_token(self) -> bool:
        """Whether a token opens this page."""
        return self._token is not None

    def admits(self, authorization: str | None) -> bool:
        """Whether an Authorization header shows the token, in a time that tells nothing of it."""
        scheme, _, token = (authorization or "").partition(" ")
        shown = _digest(token.strip())
        return (
            self._token is not None and hmac.compare_digest(shown, self._token) and scheme.lower() == SCHEME
        )

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request. `route` is a template of ours, or NOWHERE."""
        key = (method, route, status // 100)
        found = self._known.get(key)
        if found is None:
            known_method = method if method in _METHODS else NOWHERE
            kind = f"{status // 100}xx" if status else "none"  # none: nobody was left to answer
            found = (self._requests.labels(known_method, route, kind), self._seconds.labels(route))
            self._known[key] = found
        found[0].inc()
        found[1].observe(seconds)

    def refused(self, permission: Permission, kind: type[Refusal]) -> None:
        """Count a refusal of a deed."""
        self._refusals[permission, kind] += 1

    async def page(self) -> bytes:
        """Return everything, as text."""
        self._read = await self.gauges.read()
        return generate_latest(self._registry)

    def collect(self) -> Iterable[Metric]:
        """Yield what is looked up when somebody asks, instead of counted on the way."""
        yield _gauge("requests_in_flight", "Requests being answered.", self.in_flight)
        yield from self._of_the_pool()
        yield _gauge("passwords_inside", "Passwords being hashed, or waiting for it.", self._passwords.inside)
        yield from self._of_refusals()
        yield from self._read
        build = GaugeMetricFamily(
            "hospitium_build_info", "Which version runs.", labels=("version", "python", "schema")
        )
        build.add_metric((__version__, platform.python_version(), SCHEMA), 1)
        yield build

    def describe(self) -> Iterable[Metric]:
        """Say nothing beforehand: the registry would collect to find out names."""
        return ()

    def _of_the_pool(self) -> Iterable[Metric]:
        size, idle, most, waiting = self._database.pool()
        yield _gauge("database_connections", "Database connections that are open.", size)
        yield _gauge("database_connections_idle", "Of those, how many nobody uses.", idle)
        yield _gauge("database_connections_most", "How many may be open.", most)
        yield _gauge("database_waiting", "Deeds that wait for a connection.", waiting)

    def _of_refusals(self) -> Iterable[Metric]:
        refusals = CounterMetricFamily(
            "hospitium_refusals",
            "Deeds refused, by what was asked and why not.",
            labels=("permission", "refusal"),
        )
        failures = CounterMetricFamily("hospitium_sign_in_failures", "Sign-ins refused.", labels=("reason",))
        limits = Tally({Busy.__name__: self._passwords.refused})
        for (permission, kind), count in sorted(self._refusals.items(), key=str):
            refusals.add_metric((permission.value, kind.__name__), count)
            if permission is Permission.SIGN_IN and not issubclass(kind, Unavailable):
                failures.add_metric((kind.__name__,), count)
            if issubclass(kind, (LimitReached, CoolingDown, Busy)):
                limits[kind.__name__] += count
        hit = CounterMetricFamily("hospitium_limits_hit", "Refusals by a limit.", labels=("limit",))
        for name, count in sorted(limits.items()):
            hit.add_metric((name,), count)
        yield from (refusals, failures, hit)


class MetricsAlone:
    """An ASGI application that is nothing but this page, for a listener of its own. Where there is a token, it asks for it too."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        _ = receive
        if scope["type"] != ScopeType.HTTP:
            return
        shown = [value.decode("latin-1") for name, value in scope["headers"] if name == b"authorization"]
        if scope["path"] != "/metrics" or scope["method"] != "GET":
            await give(_NOTHING_HERE, send)
        elif self._metrics.has_token and not self._metrics.admits("".join(shown)):
            await give(_NOT_ADMITTED, send)
        else:
            body = await self._metrics.page()
            headers = [
                (b"content-type", CONTENT_TYPE_LATEST.encode()),
                (b"content-length", str(len(body)).encode()),
            ]
            await give(EdgeAnswer(200, [*headers, (b"cache-control", b"no-store")], body), send)


def _gauge(name: str, sentence: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"hospitium_{name}", sentence, value=value)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
