"""Our own API as the command line asks it: at the address somebody typed, and only so that what is asked can be asked again.

Whoever types the address vouches for it, so it may be in a private network. But what is sent and answered are passwords and
codes: unless it stays on this machine, it goes by https, with a certificate that this machine believes.
"""

from __future__ import annotations

import ipaddress
import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import msgspec

from hospitium.engine.errors import Invalid

if TYPE_CHECKING:
    from typing import Self

    from hospitium.engine.secrets import Secret

CONNECT = 10.0  # seconds
WHOLE = 600.0  # seconds: a call may ask a slow FHIR server for every one of its rows
LONGEST_WAIT = 300.0  # seconds that a `Retry-After` may ask for
_BUSY = (429, 502, 503, 504)


class Reply(msgspec.Struct, frozen=True):
    """What was answered."""

    status: int
    body: bytes
    retry_after: float | None  # seconds

    @property
    def is_busy(self) -> bool:
        """Whether the same may be asked again, later."""
        return self.status in _BUSY


class NoReply(Exception):
    """Nobody answered; whether what was asked was done, nobody knows. `reason` is for a person."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def checked_address(text: str) -> str:
    """Return the address of a server, without a slash at its end. Raises Invalid."""
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise Invalid("url", "must be an address such as https://share.example") from None
    if parts.scheme not in ("https", "http") or not host or not text.isascii() or not text.isprintable():
        raise Invalid("url", "must be an address such as https://share.example")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise Invalid("url", "must not hold a user or a password, nor a part after ? or #")
    if parts.scheme == "http" and not _is_here(host):
        raise Invalid(
            "url", "must begin with https://, unless it is on this machine: codes are answered there"
        )
    return text.rstrip("/")


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class OwnApi:
    """One server's API; to be used as a context manager."""

    def __init__(self, address: str) -> None:
        is_encrypted = address.startswith("https:")
        self._http = httpx.Client(
            base_url=address,
            timeout=httpx.Timeout(WHOLE, connect=CONNECT),
            verify=ssl.create_default_context(),
            # A proxy of the environment may pass encrypted talk on; in the clear it would read along.
            trust_env=is_encrypted,
            headers={"User-Agent": "Hospitium", "Accept": "application/json"},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def ask(self, method: str, path: str, body: Any = None, token: Secret | None = None) -> Reply:
        """Send a request, with a value as JSON if there is one. Raises NoReply."""
        headers = {} if token is None else {"Authorization": f"Bearer {token.reveal()}"}
        content = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            content = msgspec.json.encode(body)
        try:
            answered = self._http.request(method, path, content=content, headers=headers)
        except httpx.HTTPError as problem:
            raise NoReply(_what_failed(problem)) from None
        return Reply(answered.status_code, answered.content, _seconds(answered.headers.get("retry-after")))


def _what_failed(problem: httpx.HTTPError) -> str:
    if "CERTIFICATE_VERIFY_FAILED" in str(problem):
        return "its certificate is not one that this machine believes"
    match problem:
        case httpx.ConnectError() | httpx.ConnectTimeout():
            return "it can't be reached"
        case httpx.TimeoutException():
            return "it takes too long"
        case _:
            return "the connection broke"


def _seconds(text: str | None) -> float | None:
    return min(float(text), LONGEST_WAIT) if text is not None and text.isascii() and text.isdigit() else None
