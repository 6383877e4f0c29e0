"""Where a guard asks, and as whom. A service key goes encrypted, or not at all, unless the server is on this machine.

What is read from the environment is read by `from_environment`, when the application calls it:

    HOSPITIUM_URL               the address of the server, such as https://share.example
    HOSPITIUM_SERVICE_KEY       the service key
    HOSPITIUM_SERVICE_KEY_FILE  or the file it stands in
"""

from __future__ import annotations

import ipaddress
import os
import re
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from hospitium.client.asking import Reply

URL, KEY, KEY_FILE = "HOSPITIUM_URL", "HOSPITIUM_SERVICE_KEY", "HOSPITIUM_SERVICE_KEY_FILE"
WITHIN = 5.0  # seconds
AT_ONCE = 32  # requests
CONNECT = 2.0  # seconds of trying to reach a server, which leaves time to try again
KEPT = 4.0  # seconds an idle socket is kept: less than servers do, so that none is used as it is being closed
LARGEST_ANSWER = 16_000_000  # bytes
_KEY = re.compile(r"hsk_[0-9A-Za-z]+")


def checked_url(url: str, *, in_the_clear: bool) -> str:
    """Return the address of a server, without a slash at its end. Raises ValueError."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("url must be an address such as https://share.example") from None
    if parts.scheme not in ("https", "http") or not host or not url.isascii() or not url.isprintable():
        raise ValueError("url must be an address such as https://share.example")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise ValueError("url must not hold a user or a password, nor a part after ? or #")
    if parts.scheme == "http" and not in_the_clear and not _is_here(host):
        raise ValueError(
            "url must begin with https://, unless it is on this machine: who reads a service key along can ask with it, "
            "and who forges an answer can allow. In a network where nobody can do either, say in_the_clear=True"
        )
    return url.rstrip("/")


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def client_options(url: str, service_key: str, *, at_once: int, tls: ssl.SSLContext | None) -> dict[str, Any]:
    """Return what both kinds of httpx client are made of. Raises ValueError, which never holds what was given as a key."""
    if not _KEY.fullmatch(service_key):
        raise ValueError("service_key must be a service key: hsk_ and what follows, and nothing around it")
    is_encrypted = url.startswith("https:")
    return {
        "base_url": url,
        "headers": {
            "Authorization": f"Bearer {service_key}",
            "Content-Type": "application/json",
            "Accept": "application/json, application/problem+json",
            "Accept-Encoding": "identity",  # so that the size of what is read is the size of what came
            "User-Agent": "Hospitium-Guard",
        },
        "limits": httpx.Limits(
            max_connections=at_once, max_keepalive_connections=at_once, keepalive_expiry=KEPT
        ),
        # Making a context takes longer than a question, and in the clear it would be for nothing.
        "verify": (tls or ssl.create_default_context()) if is_encrypted else False,
        # A proxy of the environment may pass encrypted talk on; in the clear it would read along.
        "trust_env": is_encrypted,
        "follow_redirects": False,  # a key goes where it was said to go
    }


def timeout(seconds: float) -> httpx.Timeout:
    """Return the limits of one try that may take so long."""
    return httpx.Timeout(seconds, connect=min(seconds, CONNECT))


def what_failed(problem: httpx.HTTPError) -> str:
    """Say for a person why no answer came. It never holds what was sent."""
    match problem:
        case httpx.ConnectTimeout() | httpx.ConnectError():
            return "the server can't be reached"
        case httpx.PoolTimeout():
            return "too many questions are under way"
        case httpx.TimeoutException():
            return "the server takes too long"
        case _:
            return "the connection broke"


def from_environment() -> tuple[str, str]:
    """Return the address and the service key that the environment names. Raises ValueError."""
    url, key, file = (os.environ.get(name, "") for name in (URL, KEY, KEY_FILE))
    if not url:
        raise ValueError(f"{URL} must be set to the address of the server")
    if bool(key) is bool(file):
        raise ValueError(f"one of {KEY} and {KEY_FILE} must be set")
    return url, key or _content(file)


def _content(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise ValueError(f"the file that {KEY_FILE} names can't be read") from None


def reply(response: httpx.Response, body: bytes) -> Reply:
    """Return what was answered."""
    said = response.headers
    return Reply(
        status=response.status_code,
        body=body,
        content_type=said.get("content-type", ""),
        retry_after=said.get("retry-after", ""),
        request_id=said.get("x-request-id", ""),
    )
