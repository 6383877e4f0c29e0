"""The edge: what is settled about a request before any door hears of it, and what every answer carries.

Whether the request is for this server at all (`Host`), which id it goes by, whether a page of somebody else's may read the
answer (CORS), and the headers that keep a browser from doing more with an answer than was meant. All of it is made
ready once: per request there is one walk over the headers.
"""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

from hospitium.doors.client_address import is_trusted, peer_address

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from litestar.types import Send

    from hospitium.doors.client_address import Network

    Headers = list[tuple[bytes, bytes]]

TARGET = "hospitium.target"  # in the scope: the whole address, where a request line held one (`bounded.py`)
NOWHERE = "none"  # a route, or a method, that isn't one of ours
PREFLIGHT_LIFE = 600  # seconds
STRICT_TRANSPORT = b"max-age=31536000"
_AFTER = b"hospitium-after"
_READ = frozenset(
    {b"host", b"origin", b"x-request-id", b"traceparent", b"access-control-request-method", _AFTER}
)
_ECHOES = "/access/v1/"  # where the answer to a request bears its `X-Request-ID` (AuthZEN 1.0, "Request Identification")
_ECHOED = re.compile(rb"[\x20-\x7e]{1,256}")
_SANE_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
_ASKED_BY_ADDRESS = "/metrics"  # load balancers and scrapers name no host; nothing there depends on one
_HEALTH = "/health/"
_HOST = re.compile(r"(?:[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]{2,45}\])(?::[0-9]{1,5})?")
_PORTS = {"http": "80", "https": "443"}

# A handler that sets one of these knows better, for its own answer. A page brings its own, stricter, policy.
GUARDS: Mapping[bytes, bytes] = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"x-frame-options": b"DENY",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"permissions-policy": b"camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
}
_GUARDS = list(GUARDS.items())
_CORS = [
    (
        b"access-control-expose-headers",
        b"X-Request-ID, Retry-After, Medable-Csrf-Token, Hospitium-Position, Hospitium-Next",
    ),
    (b"cross-origin-resource-policy", b"cross-origin"),
]
_PREFLIGHT = [
    (b"access-control-allow-methods", b"GET, POST, PATCH, PUT, DELETE"),
    (
        b"access-control-allow-headers",
        b"Authorization, Content-Type, Idempotency-Key, Medable-Client-Key, Hospitium-After, Last-Event-ID",
    ),
    (b"access-control-max-age", str(PREFLIGHT_LIFE).encode()),
]


class EdgeAnswer(NamedTuple):
    """An answer that is given here, without any door."""

    status: int
    headers: Headers
    body: bytes


class Arrival(NamedTuple):
    """What is known of a request when it has arrived: its id, what its answer will carry, and that answer if there is one
    already. `traceparent` is what a trusted proxy says of the trace it belongs to; `after`, which write it wants to see
    (blank if it names several)."""

    request_id: str
    carries: Headers
    answer: EdgeAnswer | None
    traceparent: str | None
    after: str | None = None


class Edge:
    """The rules of one server's edge."""

    def __init__(
        self,
        *,
        public_url: str | None = None,
        allowed_hosts: Iterable[str] = (),
        cors_origins: Iterable[str] = (),
        trusted_proxies: Collection[Network] = (),
    ) -> None:
        self._hosts = None if public_url is None else _hosts_of(public_url)
        self._more_hosts = frozenset(allowed_hosts)
        self._origins = frozenset(cors_origins)
        self._trusted = trusted_proxies
        self._always = list(_GUARDS)
        if public_url is not None and public_url.startswith("https:"):
            self._always.append((b"strict-transport-security", STRICT_TRANSPORT))
        if self._origins:
            self._always.append((b"vary", b"Origin"))

    def allowed_origin(self, origin: str) -> bool:
        """Whether pages of this origin may read answers. The one place that decides it."""
        return origin in self._origins

    def arrival(self, scope: Mapping[str, Any]) -> Arrival:
        """Settle what can be settled of a request (an ASGI scope) from its head alone."""
        said: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            if name in _READ:
                said.setdefault(name, []).append(value)
        request_id, traceparent = self._believed(scope, said)
        told = request_id.encode()
        if scope["path"].startswith(_ECHOES):
            # The caller's own word goes back to the caller, and nowhere else: not into the log.
            asked = _only(said, b"x-request-id")
            told = asked if asked is not None and _ECHOED.fullmatch(asked) else told
        carries = [*self._always, (b"x-request-id", told)]
        if not self._is_for_us(scope, said.get(b"host", [])):
            return Arrival(request_id, carries, _MISDIRECTED, traceparent)
        origin = _only(said, b"origin")
        after = (_only(said, _AFTER) or b"").decode("latin-1") if _AFTER in said else None
        if origin is None or not self.allowed_origin(origin.decode("latin-1")):
            return Arrival(request_id, carries, None, traceparent, after)
        cors = [(b"access-control-allow-origin", origin), *_CORS]
        if scope["method"] == "OPTIONS" and b"access-control-request-method" in said:
            return Arrival(request_id, carries, EdgeAnswer(204, [*cors, *_PREFLIGHT], b""), traceparent)
        carries = [*cors, *(one for one in carries if one[0] != b"cross-origin-resource-policy")]
        return Arrival(request_id, carries, None, traceparent, after)

    def _believed(
        self, scope: Mapping[str, Any], said: Mapping[bytes, list[bytes]]
    ) -> tuple[str, str | None]:
        """Return the request's id, and the trace it belongs to: a proxy's words if it is trusted, else an id of our own."""
        if (
            self._trusted
            and (b"x-request-id" in said or b"traceparent" in said)
            and is_trusted(peer_address(scope), self._trusted)
        ):
            given, trace = _only(said, b"x-request-id"), _only(said, b"traceparent")
            sane = given is not None and _SANE_ID.fullmatch(given)
            request_id = given.decode() if given is not None and sane else secrets.token_hex(8)
            return request_id, None if trace is None else trace.decode("latin-1")
        return secrets.token_hex(8), None

    def _is_for_us(self, scope: Mapping[str, Any], hosts: list[bytes]) -> bool:
        """Whether every name the request gives for its server is one of ours; without a public address any name is."""
        if self._hosts is None or scope["path"] == _ASKED_BY_ADDRESS or scope["path"].startswith(_HEALTH):
            return True
        if len(hosts) != 1:
            return False
        names = [hosts[0].decode("latin-1").lower()]
        if (target := scope.get(TARGET)) is not None:
            names.append(_authority(target))
        return all(self._is_ours(name) for name in names)

    def _is_ours(self, name: str) -> bool:
        return (
            (self._hosts is not None and name in self._hosts)
            or name in self._more_hosts
            or _without_port(name) in self._more_hosts
        )


def guarded(own: Iterable[tuple[bytes, bytes]], carries: Headers) -> Headers:
    """Return the headers of an answer: its own, and those every answer carries where it has none of that name."""
    headers = list(own)
    named = {name for name, _ in headers if name in GUARDS}
    if named:
        carries = [header for header in carries if header[0] not in named]
    return headers + carries


async def give(answer: EdgeAnswer, send: Send) -> None:
    """Send an answer of the edge, guarded like any other."""
    headers = guarded(answer.headers, _GUARDS)
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body, "more_body": False})


def problem(status: int, kind: str, title: str, detail: str) -> EdgeAnswer:
    """Return a problem of RFC 9457, as our own API writes it."""
    body = msgspec.json.encode(
        {"type": f"urn:hospitium:problem:{kind}", "title": title, "status": status, "detail": detail}
    )
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    return EdgeAnswer(status, headers, body)


_MISDIRECTED = problem(
    421, "misdirected", "Misdirected Request", "This server does not go by the name the request gives"
)


def hosts_named(text: str) -> tuple[str, ...]:
    """Return the names of a list separated by commas: `name` (with any port) or `name:port`. Raises ValueError."""
    names = tuple(part.strip().lower() for part in text.split(",") if part.strip())
    if not all(_HOST.fullmatch(name) for name in names):
        raise ValueError("names such as h.example, h.example:8420 or [::1], separated by commas")
    return names


def origins_named(text: str) -> tuple[str, ...]:
    """Return the origins of a list separated by commas, each exactly as browsers write it. Raises ValueError."""
    origins = tuple(part.strip() for part in text.split(",") if part.strip())
    if "*" in origins:
        raise ValueError("origins by name; `*` would let any page on the web read what it can reach here")
    for origin in origins:
        scheme, _, host = origin.partition("://")
        port = f":{_PORTS.get(scheme)}"
        if scheme not in _PORTS or not _HOST.fullmatch(host) or host.endswith(port):
            raise ValueError(
                "origins such as https://app.example, as browsers write them, separated by commas"
            )
    return origins


def _hosts_of(url: str) -> frozenset[str]:
    """Return what `Host` may say for a public address: its host, with its port, or without if that goes without saying."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    usual = _PORTS[parts.scheme]
    if parts.port is None or str(parts.port) == usual:
        return frozenset({host, f"{host}:{usual}"})
    return frozenset({f"{host}:{parts.port}"})


def _only(said: Mapping[bytes, list[bytes]], name: bytes) -> bytes | None:
    """Return what a header says that came once."""
    values = said.get(name, [])
    return values[0] if len(values) == 1 else None


def _authority(target: str) -> str:
    return re.split(r"[/?#]", target.partition("://")[2], maxsplit=1)[0].lower()


def _without_port(name: str) -> str:
    return re.sub(r":[0-9]{1,5}$", "", name)
