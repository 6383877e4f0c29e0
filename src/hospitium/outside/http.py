"""HTTP leaves the house here, and nowhere else (DESIGN §3.10; threats G-01 to G-07, F-17, F-18).

One parser reads a URL, when it is saved and when it is asked. Its name is resolved once, every address it has is judged, and
the connection goes to one that was judged, whatever the name may resolve to by then. Certificates are checked for the name, and
by the authorities that are named for this request, if any are, in the place of the system's (threats F-37).
No redirect is followed, no proxy of the environment asked, no cookie kept. Time and size are bounded. What failed is said in a word
of ours, never in the other side's.

A connection is asked again if nothing was said on it past the end of its last answer (`exchange.py`), nor for a moment after it, as a server does that
is wrong about how long its answers are. It is kept for a few seconds, for those who would say the same of themselves and believe the same; names,
addresses and certificates are looked at anew from time to time.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import ssl
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, TypeAlias
from urllib.parse import unquote

import msgspec

from hospitium.outside.addresses import Reach, reach
from hospitium.outside.exchange import Connection, Garbled, NoAnswer, TooSlow, Unreachable, question

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from hospitium.engine.fhir_servers.authorities import AuthoritiesPem
    from hospitium.outside.exchange import Answer

LONGEST_URL = 8_192  # characters
MOST_ADDRESSES = 3  # of a name that are tried
RESOLVING_AT_ONCE = 16
REST = 0.02  # seconds for which nothing must have come on a connection before it is asked again
IDLE = 5.0  # seconds that a connection is kept for the next question
LONGEST_LIFE = 60.0  # seconds after which a connection is asked no more
MOST_KEPT = 256  # connections, for whomever
_PORTS = {"http": 80, "https": 443}
_ALPN = ["http/1.1"]
_FIRST_FREE_PORT = 1024
_LAST_PORT = 65_535

_PLAIN = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?#\[\]]|%[0-9A-Fa-f]{2})+")
_AFTER_THE_HOST = re.compile(r"[^\[\]]*")
_AUTHORITY = re.compile(r"(?P<host>\[[0-9a-f:.]+\]|[0-9a-z_.-]+)(?::(?P<port>[0-9]{1,5}))?")
_LABEL = re.compile(r"[0-9a-z_](?:[0-9a-z_-]{0,61}[0-9a-z_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_LONGEST_NAME = 253  # characters (RFC 1035)
_REASONS = {
    "length": f"must be at most {LONGEST_URL:,} characters long",
    "characters": "must be written in the plain characters of a URL",
    "scheme": "must begin with https://",
    "userinfo": "must not hold a user or a password",
    "fragment": "must not have a part after #",
    "host": "must name a host by its full name or its address",
    "port": "must have the port 80, 443, or one from 1024 on",
    "path": "must have a path without empty or dotted parts",
    "query": "must not have a part after ?",
    "question": "must be one that is asked",
    "address": "leads to an address that is not public",
}


class Blocked(NoAnswer):
    """One doesn't go there: `kind` is what is wrong with the URL, or `address`; `reason` says it in words."""

    @property
    def reason(self) -> str:
        """What a URL must be or not be, to stand behind the name of a field."""
        return _REASONS[self.kind]


class HttpUrl(msgspec.Struct, frozen=True):
    """A URL in one spelling. `host` is in lower case, an IPv6 address without its brackets."""

    scheme: str
    host: str
    port: int
    path: str
    query: str | None

    @property
    def authority(self) -> str:
        """Host and port, as they stand in a URL and in the header `Host`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def target(self) -> str:
        """Path and query, as they stand in the first line of a request."""
        return (self.path or "/") + ("" if self.query is None else f"?{self.query}")

    def __str__(self) -> str:
        query = "" if self.query is None else f"?{self.query}"
        return f"{self.scheme}://{self.authority}{self.path}{query}"


class Limits(msgspec.Struct, frozen=True):
    """How long one waits, and how much one takes."""

    connect: float  # seconds for the connection, and again for its TLS
    whole: float  # seconds until the last byte is here
    body: int  # bytes, as they came and unpacked


def checked_url(text: str, *, allow_private: bool) -> HttpUrl:
    """Read a URL, when it is saved as when it is asked. Raises Blocked.

    `allow_private` (only the operator says so, of one URL): its addresses may be private, and then plain http will do.
    """
    if len(text) > LONGEST_URL:
        raise Blocked("length")
    if not _PLAIN.fullmatch(text):
        raise Blocked("characters")
    scheme, separator, rest = text.partition("://")
    scheme = scheme.lower()
    if not separator or scheme not in _PORTS or (scheme == "http" and not allow_private):
        raise Blocked("scheme")
    if "#" in rest:
        raise Blocked("fragment")
    before, question, query = rest.partition("?")
    authority, slash, path = before.partition("/")
    if "@" in authority:
        raise Blocked("userinfo")
    found = _AUTHORITY.fullmatch(authority.lower())
    if found is None:
        raise Blocked("host")
    if not _AFTER_THE_HOST.fullmatch(path + query):
        raise Blocked("characters")
    url = HttpUrl(
        scheme,
        _host(found["host"], allow_private=allow_private),
        _port(found["port"], _PORTS[scheme]),
        _path(slash + path),
        query if question else None,
    )
    if _is_address(url.host):
        _judge(url.scheme, url.host, allow_private=allow_private)
    return url


@lru_cache(1_000)
def _host(host: str, *, allow_private: bool) -> str:
    try:
        if host.startswith("["):
            return str(ipaddress.IPv6Address(host[1:-1]))
        labels = host.split(".")
        # `127.1`, `0x7f.1` and `2130706433` are addresses to a resolver: what ends in a number is one in four parts, or nothing.
        if _NUMBER.fullmatch(labels[-1]):
            return str(ipaddress.IPv4Address(host))
    except ValueError:
        raise Blocked("host") from None
    # A name without a dot means something only in somebody's own network.
    is_full = len(labels) > 1 or allow_private
    if not is_full or len(host) > _LONGEST_NAME or not all(map(_LABEL.fullmatch, labels)):
        raise Blocked("host")
    return host


def _port(given: str | None, usual: int) -> int:
    port = usual if given is None else int(given)
    if port not in _PORTS.values() and not _FIRST_FREE_PORT <= port <= _LAST_PORT:
        raise Blocked("port")
    return port


def _path(path: str) -> str:
    """Return a path as it is, if no server could read it as another: no part of it is empty (but the last), dots, or escaped twice."""
    parts = path.split("/")[1:]
    for number, part in enumerate(parts, 1):
        plain = unquote(part, errors="replace")
        if (
            (not part and number < len(parts))
            or re.fullmatch(r"\.+", plain.partition(";")[0])
            or re.search(r"[/\\%\x00-\x1f\x7f]", plain)
        ):
            raise Blocked("path")
    return path


@lru_cache(1_000)
def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _judge(scheme: str, address: str, *, allow_private: bool) -> None:
    match reach(address):
        case Reach.PUBLIC:
            # What is allowed for a private network, nobody's lines in between, is not for the way through all the world.
            if scheme != "https":
                raise Blocked("scheme")
        case Reach.PRIVATE if allow_private:
            pass
        case _:
            raise Blocked("address")


class SystemNames:
    """Resolves names as this machine does, in threads of its own: a name server that is slow holds up nobody else's work."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(RESOLVING_AT_ONCE, thread_name_prefix="names")

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """Return the addresses of a name, in the order in which they are to be tried. Raises Unreachable."""

        def addresses() -> list[str]:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            return [str(where[0]) for _, _, _, _, where in found]

        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, addresses)
        except (OSError, UnicodeError):
            raise Unreachable("name") from None

    def close(self) -> None:
        """Wait for nobody."""
        self._threads.shutdown(wait=False, cancel_futures=True)


@lru_cache(200)
def _believing(authorities: AuthoritiesPem) -> ssl.SSLContext:
    """Return what believes these authorities, and nobody else. Kept by all that they are, so that no two sets can be taken for each other."""
    if not authorities:
        # Which `ssl` would take for no word at all, and believe the system.
        raise Unreachable("certificate")
    context = ssl.create_default_context(cadata=authorities)
    # An authority under another one may be given alone: then the chain ends with it.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.set_alpn_protocols(_ALPN)
    return context


Dial: TypeAlias = "Callable[[type[Connection], str, int], Awaitable[tuple[asyncio.Transport, Connection]]]"


async def _dial(kind: type[Connection], address: str, port: int) -> tuple[asyncio.Transport, Connection]:
    return await asyncio.get_running_loop().create_connection(kind, address, port)


class _Key(NamedTuple):
    """For what a connection is good: an origin, how it was judged and whom it believes, and what is said of oneself there."""

    scheme: str
    host: str
    port: int
    allow_private: bool
    authorities: AuthoritiesPem | None
    headers: tuple[tuple[str, str], ...]


class _Idle(NamedTuple):
    connection: Connection
    since: float
    until: float  # its life is over then
    gone: asyncio.TimerHandle


class _Kept:
    """Connections that may be asked again. Each is in here only while nobody asks it."""

    def __init__(self) -> None:
        self._idle: dict[_Key, deque[_Idle]] = {}

    @property
    def _number(self) -> int:
        return sum(map(len, self._idle.values()))

    def take(self, key: _Key) -> tuple[Connection, float] | None:
        """Take out the connection for this that has rested longest, if for long enough, and until when it lives."""
        now = asyncio.get_running_loop().time()
        while (idle := self._idle.get(key)) and idle[0].since + REST <= now:
            found = idle[0]
            self._remove(key, found)
            if found.connection.can_be_asked and now < found.until and found.connection.is_silent():
                return found.connection, found.until
            found.connection.drop()
        return None

    def put(self, key: _Key, connection: Connection, until: float) -> None:
        """Keep a connection for a while, if there is room."""
        if self._number >= MOST_KEPT:
            self._forget_all(only_dead=True)
        if not connection.can_be_asked or self._number >= MOST_KEPT:
            connection.drop()
            return
        loop = asyncio.get_running_loop()
        gone = loop.call_later(IDLE, self._forget, key, connection)
        self._idle.setdefault(key, deque()).append(_Idle(connection, loop.time(), until, gone))

    def close(self) -> None:
        """Drop them all."""
        self._forget_all(only_dead=False)

    def _forget_all(self, *, only_dead: bool) -> None:
        for key, idle in list(self._idle.items()):
            for one in list(idle):
                if not (only_dead and one.connection.can_be_asked):
                    self._remove(key, one)
                    one.connection.drop()

    def _forget(self, key: _Key, connection: Connection) -> None:
        connection.drop()
        for one in [one for one in self._idle[key] if one.connection is connection]:
            self._remove(key, one)

    def _remove(self, key: _Key, one: _Idle) -> None:
        one.gone.cancel()
        self._idle[key].remove(one)
        if not self._idle[key]:
            del self._idle[key]


class Egress:
    """Asks other servers over HTTP. One for the process; `close` it at the end."""

    def __init__(
        self,
        *,
        names: Callable[[str, int], Awaitable[Sequence[str]]] | None = None,
        dial: Dial = _dial,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        """`names` resolves, `dial` connects to an address, `trust` says whose certificates are believed: those of the system."""
        self._system_names = SystemNames()
        self._names = names or self._system_names
        self._dial = dial
        self._trust = trust
        self._kept = _Kept()

    async def get(
        self,
        url: HttpUrl,
        *,
        headers: Mapping[str, str],
        allow_private: bool,
        authorities: AuthoritiesPem | None,
        limits: Limits,
    ) -> Answer:
        """Ask for what is at a URL that was checked, with these headers, `Host`, and no other. Raises the kinds of NoAnswer.

        `allow_private`: as when it was checked; `authorities`: whose certificates are believed; None: the system's.
        """
        asked = question(url.target, url.authority, headers)
        key = _Key(url.scheme, url.host, url.port, allow_private, authorities, tuple(headers.items()))
        try:
            async with asyncio.timeout(limits.whole):
                if (kept := self._kept.take(key)) is not None:
                    with suppress(Unreachable):
                        return await self._asked(key, *kept, asked, limits.body)
                    if kept[0].heard:
                        raise Unreachable("broke")
                    # It was hung up while nobody asked. What changes nothing may be asked again (RFC 9110, 9.2.2).
                until = asyncio.get_running_loop().time() + LONGEST_LIFE
                connection = await self._opened(key, limits.connect)
                return await self._asked(key, connection, until, asked, limits.body)
        except TimeoutError:
            raise TooSlow("answer") from None

    async def _asked(
        self, key: _Key, connection: Connection, until: float, asked: bytes, most: int
    ) -> Answer:
        answer = await connection.ask(asked, most)
        self._kept.put(key, connection, until)
        return answer

    async def _opened(self, key: _Key, patience: float) -> Connection:
        """Open a connection that nobody has asked anything yet."""
        addresses = await self._addresses(key)
        connection = await self._connected(key.port, addresses, patience)
        # One that spoke first may have done so to be taken for whoever speaks TLS behind it.
        if not connection.can_be_asked:
            raise Garbled("protocol")
        if key.scheme == "https":
            try:
                await self._wrap(connection, key.host, key.authorities, patience)
            except BaseException:
                connection.drop()
                raise
        return connection

    def _trusted(self, authorities: AuthoritiesPem | None) -> ssl.SSLContext:
        """Return whose certificates are believed. The system's are read by the first who asks, because that takes a tenth of a second."""
        if authorities is not None:
            return _believing(authorities)
        if self._trust is None:
            self._trust = ssl.create_default_context()
            self._trust.set_alpn_protocols(_ALPN)
        return self._trust

    async def close(self) -> None:
        """Let go of what is kept between requests."""
        self._kept.close()
        self._system_names.close()

    async def _addresses(self, key: _Key) -> tuple[str, ...]:
        """Return where an origin is, for as long as the connection lasts; Blocked if any of it is where one doesn't go."""
        found = (key.host,) if _is_address(key.host) else tuple(await self._names(key.host, key.port))
        if not found:
            raise Unreachable("name")
        for address in found:
            _judge(key.scheme, address, allow_private=key.allow_private)
        return tuple(dict.fromkeys(found))[:MOST_ADDRESSES]

    async def _connected(self, port: int, addresses: tuple[str, ...], patience: float) -> Connection:
        """Connect to the first of the addresses that were judged where somebody is, whatever name they were found by."""
        failed: NoAnswer = Unreachable("connection")
        for address in addresses:
            try:
                async with asyncio.timeout(patience / len(addresses)):
                    _, connection = await self._dial(Connection, address, port)
                    return connection
            except TimeoutError:
                failed = TooSlow("connection")
            except OSError:
                failed = Unreachable("connection")
        raise failed

    async def _wrap(
        self, connection: Connection, host: str, authorities: AuthoritiesPem | None, patience: float
    ) -> None:
        """Begin TLS with whoever has a certificate for this name, by one who is believed."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(patience):
                wrapped = await loop.start_tls(
                    connection.transport, connection, self._trusted(authorities), server_hostname=host
                )
        except TimeoutError:
            raise TooSlow("connection") from None
        except ssl.SSLCertVerificationError:
            raise Unreachable("certificate") from None
        except ssl.SSLError:
            raise Unreachable("tls") from None
        except OSError:
            raise Unreachable("connection") from None
        if wrapped is None:  # the other side has hung up already
            raise Unreachable("connection")
        connection.transport = wrapped
