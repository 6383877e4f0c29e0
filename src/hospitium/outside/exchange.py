"""Questions and their answers on a connection, one after the other (RFC 9112, as llhttp reads it): what is taken of an answer, and how much.

The parser holds nothing back but the header it is in, and what it is strict about (two lengths, folded lines, what isn't HTTP) is Garbled.
The end of the connection is the end of an answer that said neither how long it is nor that it comes in chunks, and of no other.

A connection can be asked again only if its last answer was a success that was read whole, said itself where it ends, and ended there; and
if not a byte has come since. So nothing that was said for one question is taken for the answer to another.
"""

from __future__ import annotations

import asyncio
import re
import select
import zlib
from typing import TYPE_CHECKING

import msgspec
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_PIECES = 20_000  # an answer may come in; each costs time, however small it is
MOST_HINTS = 100  # answers that are none yet (1xx)
LARGEST_HEAD = 100 * 1024  # bytes
LARGEST_FRAME = 16  # bytes around a piece
_SWITCHING = 101  # to another protocol
_VERSIONS = ("1.0", "1.1")
_KEEPS = "1.1"
_READ = frozenset({b"content-type", b"content-encoding", b"content-length", b"transfer-encoding"})
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VALUE = re.compile(r"[!-~](?:[ -~]*[!-~])?|")


class NoAnswer(Exception):
    """A request got no answer that can be read: `kind` is a word of ours for why, never of the other side."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class Unreachable(NoAnswer):
    """Nobody is there whom one can talk to: the `name`, the `connection`, its `certificate` or `tls`, or it `broke`."""


class TooSlow(NoAnswer):
    """The `connection` or the `answer` took longer than it may."""


class TooLarge(NoAnswer):
    """The `body` is larger than it may be, or came in too many `pieces`."""


class Redirected(NoAnswer):
    """The answer is that it is somewhere else, where one doesn't go."""


class Garbled(NoAnswer):
    """What came isn't HTTP (`protocol`), or is packed in a way that can't be read (`encoding`)."""


class Answer(msgspec.Struct, frozen=True):
    """What was answered. `body` is read of a success (2xx) only: what a server says besides is not for us."""

    status: int
    content_type: str  # as it was sent; empty if it wasn't
    body: bytes


def question(target: str, authority: str, headers: Mapping[str, str]) -> bytes:
    """Return a GET as it is sent, with `Host`, these headers and no other. Raises Garbled, which doesn't say what was wrong: it may be a secret.

    `target`: path and query, `authority`: host and port, both of a URL that was checked.
    """
    lines = [f"GET {target} HTTP/1.1", f"Host: {authority}"]
    for name, value in headers.items():
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise Garbled("protocol")
        lines.append(f"{name}: {value}")
    return "\r\n".join([*lines, "", ""]).encode("ascii")


class Connection(asyncio.Protocol):
    """A connection, asked one question at a time. `transport` is set when it is made, and anew when TLS is put around it."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._exchange: _Exchange | None = None
        self._is_of_use = True
        self.heard = False  # whether anything came of the last question

    @property
    def can_be_asked(self) -> bool:
        """Whether it is open, and what was said on it has an end that is known."""
        return self._is_of_use and self._exchange is None

    async def ask(self, asked: bytes, most: int) -> Answer:
        """Send a question; return its answer, of which at most so many bytes. Raises the kinds of NoAnswer."""
        self.heard = False
        if not self.can_be_asked:
            raise Unreachable("broke")
        exchange, is_over = _Exchange(most), False
        self._exchange = exchange
        try:
            self.transport.write(asked)
            answer = await exchange.answer()
            is_over = exchange.has_ended
            return answer
        finally:
            self._exchange = None
            if not is_over:  # nor if whoever asked went away in the very turn in which all of it was here
                self.drop()

    def is_silent(self) -> bool:
        """Whether nothing has come that wasn't read: as of now, and not of when whoever reads had last time to look."""
        socket = self.transport.get_extra_info("socket")
        if self.transport.is_closing() or socket is None:
            return False
        poll = select.poll()
        poll.register(socket.fileno(), select.POLLIN)
        return not poll.poll(0)

    def drop(self) -> None:
        """Hang up, however far it got, without taking leave."""
        self._is_of_use = False
        self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Know the transport."""
        self.transport = transport  # type: ignore[assignment]  # of a stream

    def data_received(self, data: bytes) -> None:
        """Read on. What comes without having been asked for, before TLS as between questions, is nobody's answer."""
        if self._exchange is None:
            self.drop()
        else:
            self.heard = True
            self._exchange.read(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Find out whether all of it is here."""
        self._is_of_use = False
        if self._exchange is not None:
            self._exchange.end(exc)


class _Exchange:
    """One question: what is heard of its answer. The methods from `on_header` on are called by the parser."""

    def __init__(self, most: int) -> None:
        self._most = most  # bytes of a body
        self._waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._outcome: Answer | NoAnswer | None = None
        # Each holds the other, and so all that was read, until one is let go.
        self._parser: HttpResponseParser | None = HttpResponseParser(self)
        self._said: dict[bytes, bytes] = {}
        self._head = self._around = self._came = self._pieces = self._hints = 0
        self._status = 0  # of an answer whose head is here, and whose body is read
        self._body = bytearray()
        self._unpacked: _Unpacking | None = None
        self.has_ended = False
        """Whether the answer was read whole, by its own word, and nothing came after it."""

    async def answer(self) -> Answer:
        """Return the answer when it is here. Raises the kinds of NoAnswer."""
        try:
            await self._waiting
        finally:
            outcome = self._settle(Unreachable("broke"))  # unless there is one already
            self._parser, self._body = None, bytearray()
        if isinstance(outcome, NoAnswer):
            raise outcome
        return outcome

    def read(self, data: bytes) -> None:
        """Read on."""
        if self._outcome is not None or self._parser is None:
            self.has_ended = False
            return
        self._around += len(data)
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            self.has_ended = False
            self._succeed(b"")
        except HttpParserError:
            self.has_ended = False
            self._settle(Garbled("protocol"))
        if self._around > LARGEST_HEAD + LARGEST_FRAME * self._pieces:
            self._settle(Garbled("protocol"))

    def end(self, broken: Exception | None) -> None:
        """Be told that no more will come."""
        self.has_ended = False
        if broken is not None or self._unpacked is None:
            self._settle(Unreachable("broke"))
        elif self._said.keys().isdisjoint((b"content-length", b"transfer-encoding")):
            self._finish(self._unpacked)
        else:
            self._settle(Garbled("protocol"))

    # -- as the parser reads it ------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Find that something else begins, if it does."""
        self.has_ended = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, if it is one that is read; or what stands behind the body in the manner of one."""
        self._head += len(name) + len(value)
        if self._head > LARGEST_HEAD:
            self._settle(Garbled("protocol"))
        elif not self._status and (known := name.lower()) in _READ:
            self._said[known] = b", ".join([self._said[known], value]) if known in self._said else value

    def on_headers_complete(self) -> None:
        """Judge an answer by its head."""
        parser = self._parser
        assert parser is not None  # it is what calls  # noqa: S101
        status = parser.get_status_code()
        if parser.get_http_version() not in _VERSIONS:
            self._settle(Garbled("protocol"))
        elif status < 200 and status != _SWITCHING:  # noqa: PLR2004
            self._hints += 1
            self._said.clear()
            if self._hints == MOST_HINTS:
                self._settle(TooSlow("answer"))
        elif 300 <= status < 400:  # noqa: PLR2004
            self._settle(Redirected(str(status)))
        else:
            self._status = status
            self._begin()

    def _begin(self) -> None:
        if not 200 <= self._status < 300:  # noqa: PLR2004
            self._succeed(b"")
            return
        length = self._said.get(b"content-length", b"")
        if length and int(length) > self._most:
            self._settle(TooLarge("body"))
            return
        try:
            self._unpacked = _Unpacking(self._said.get(b"content-encoding", b"").strip().lower())
        except Garbled as problem:
            self._settle(problem)

    def on_body(self, piece: bytes) -> None:
        """Take a piece of a body."""
        self._pieces += 1
        self._came += len(piece)
        self._around -= len(piece)
        if self._outcome is not None or self._unpacked is None:
            return
        if self._pieces > MOST_PIECES:
            self._settle(TooLarge("pieces"))
            return
        try:
            self._body += self._unpacked.next(piece, self._most + 1 - len(self._body))
        except Garbled as problem:
            self._settle(problem)
        if max(self._came, len(self._body)) > self._most:
            self._settle(TooLarge("body"))

    def on_message_complete(self) -> None:
        """Answer with what is here, if this was more than a hint."""
        if self._outcome is None and self._unpacked is not None:
            is_whole, parser = self._finish(self._unpacked), self._parser
            assert parser is not None  # it is what calls  # noqa: S101
            self.has_ended = is_whole and parser.get_http_version() == _KEEPS and parser.should_keep_alive()

    def _finish(self, unpacked: _Unpacking) -> bool:
        """Answer with what is here; return whether that can be done."""
        try:
            unpacked.end()
        except Garbled as problem:
            self._settle(problem)
            return False
        self._succeed(bytes(self._body))
        return True

    def _succeed(self, body: bytes) -> None:
        content_type = self._said.get(b"content-type", b"").decode("latin-1")
        self._settle(Answer(self._status, content_type, body))

    def _settle(self, outcome: Answer | NoAnswer) -> Answer | NoAnswer:
        """Keep the first outcome, which nothing changes any more, and return it."""
        if self._outcome is None:
            self._outcome = outcome
            if not self._waiting.done():
                self._waiting.set_result(None)
        return self._outcome


class _Unpacking:
    """Takes an answer out of its gzip, if it is in one, and never more of it than was asked for. We don't offer to; some do all the same."""

    def __init__(self, coding: bytes) -> None:
        if coding not in (b"", b"identity", b"gzip", b"x-gzip"):
            raise Garbled("encoding")
        self._gzip = zlib.decompressobj(16 + zlib.MAX_WBITS) if b"gzip" in coding else None
        self._is_more = False

    def next(self, piece: bytes, most: int) -> bytes:
        """Return what the next piece holds, at most so many bytes (one at least)."""
        if self._gzip is None:
            return piece
        if self._gzip.eof:  # it would keep what comes behind, and copy all of it each time
            self._is_more = True
            return b""
        try:
            return self._gzip.decompress(piece, most)
        except zlib.error:
            raise Garbled("encoding") from None

    def end(self) -> None:
        """Be told that this was all. Raises Garbled if it can't be."""
        if self._gzip is not None and (not self._gzip.eof or self._is_more or self._gzip.unused_data):
            raise Garbled("encoding")
