"""The HTTP protocol with bounds: a request's head has a size, and a request has a time in which it must have arrived.

What is answered here, because it is no request that could be handed on, carries the same guards as every other answer.

The parser underneath has neither, so that a stranger could fill the memory with headers, or hold connections open by sending
a byte now and then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from hospitium.doors.streams import ABORT
from hospitium.edge import GUARDS, TARGET

if TYPE_CHECKING:
    import asyncio

LARGEST_HEAD = 65_536  # bytes of address and headers
LONGEST_ARRIVAL = 30.0  # seconds from the first byte of a request to its last
_END = (
    b"".join(b"%s: %s\r\n" % guard for guard in GUARDS.items())
    + b"content-length: 0\r\nconnection: close\r\n\r\n"
)


class BoundedProtocol(HttpToolsProtocol):
    """Closes the connection of a request whose head is too large, or that takes too long to arrive."""

    _head = 0
    _open = False  # whether a request has begun and not ended
    _unread = 0  # bytes since the parser last told of anything
    _arriving: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        self._arrived()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        # The parser tells of a header when it has all of it, and keeps the rest to itself until then.
        self._unread += len(data) if self._open else 0
        super().data_received(data)
        if self._open and self._unread > LARGEST_HEAD:
            self._refuse(b"431 Request Header Fields Too Large")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head = self._unread = 0
        self._open = True
        self._await_request()

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        scope: Any = self.scope
        scope[ABORT] = self.transport.abort
        if not self.url.startswith(b"/"):
            # The parser drops the host of a whole address, which stands above the header (RFC 9112, 3.2.2).
            scope[TARGET] = self.url.decode("latin-1")
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unread = 0
        super().on_body(body)

    def send_400_response(self, msg: str) -> None:
        _ = msg  # it names the parser
        self._refuse(b"400 Bad Request")

    def on_message_complete(self) -> None:
        self._open = False
        self._arrived()
        super().on_message_complete()

    def _await_request(self) -> None:
        self._arrived()
        self._arriving = self.loop.call_later(LONGEST_ARRIVAL, self._refuse, b"408 Request Timeout")

    def _arrived(self) -> None:
        if self._arriving is not None:
            self._arriving.cancel()
            self._arriving = None

    def _count(self, size: int) -> None:
        self._head += size
        if self._head > LARGEST_HEAD:
            self._refuse(b"431 Request Header Fields Too Large")

    def _refuse(self, status: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 " + status + b"\r\n" + _END)
            self.transport.close()
