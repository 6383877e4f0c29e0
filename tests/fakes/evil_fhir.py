"""A FHIR server on loopback that says exactly what a test has it say, byte for byte, and keeps what it was asked."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

CANARY = "Canary-Quitman-1948"  # stands where a server tells more than it should
MOST_SENT = 10 * 1024**3  # bytes to one caller, whatever happens
LONGEST_TALK = 60.0  # seconds, likewise
PIECE = 64 * 1024
FHIR_JSON = "application/fhir+json"


class Heard(NamedTuple):
    """One request as it came in: its first line, and its headers in their order."""

    line: str
    headers: list[tuple[str, str]]

    @property
    def target(self) -> str:
        return self.line.split(" ")[1]

    def header(self, name: str) -> str | None:
        found = [value for given, value in self.headers if given.lower() == name.lower()]
        assert len(found) <= 1
        return found[0] if found else None


class Caller:
    """Who asked, as a behaviour has it: what it writes is counted."""

    def __init__(self, server: EvilFhir, heard: Heard, writer: asyncio.StreamWriter) -> None:
        self.server, self.heard, self.writer = server, heard, writer

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        self.server.sent += len(data)
        assert self.server.sent < MOST_SENT
        await self.writer.drain()

    def hang_up(self) -> None:
        """Reset the connection: what is still under way is lost."""
        at_once = struct.pack("ii", 1, 0)
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
        self.writer.transport.abort()


Behaviour = Callable[[Caller], Awaitable[None]]


class EvilFhir:
    """Listens at `base`; does what `does` says, which a test may change between requests."""

    def __init__(self, does: Behaviour, *, keeps: bool = False) -> None:
        self.does = does
        self.keeps = keeps
        self.heard: list[Heard] = []
        self.connections = 0
        self.sent = 0
        self.port = 0
        self.names_asked_for: list[str | None] = []  # by SNI
        self._talks: set[asyncio.Task[Any]] = set()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}/fhir"

    @property
    def targets(self) -> list[str]:
        return [one.target for one in self.heard]

    @classmethod
    @asynccontextmanager
    async def open(
        cls, does: Behaviour, *, tls: ssl.SSLContext | None = None, keeps: bool = False
    ) -> AsyncIterator[EvilFhir]:
        """Open a server on a free port of loopback. `keeps`: it answers on a connection for as long as it is asked there."""
        server = cls(does, keeps=keeps)
        if tls is not None:
            tls.sni_callback = lambda _, name, __: server.names_asked_for.append(name)
        listener = await asyncio.start_server(server._talk, "127.0.0.1", 0, ssl=tls)
        server.port = listener.sockets[0].getsockname()[1]
        try:
            yield server
        finally:
            listener.close()
            for talk in server._talks:
                talk.cancel()
            await asyncio.gather(*server._talks, return_exceptions=True)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.current_task()
        assert talk is not None
        self._talks.add(talk)
        self.connections += 1
        try:
            with suppress(ConnectionError, EOFError, asyncio.CancelledError, TimeoutError):
                async with asyncio.timeout(LONGEST_TALK):
                    await self._answer(reader, writer)
                    while self.keeps and not writer.is_closing():
                        await self._answer(reader, writer)
        finally:
            writer.close()
            self._talks.discard(talk)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        line, *headers = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        named = [(name, value.strip()) for name, _, value in (one.partition(":") for one in headers)]
        heard = Heard(line, named)
        self.heard.append(heard)
        await self.does(Caller(self, heard, writer))


# -- what it says --


def answering(
    body: bytes = b"",
    *,
    status: str = "200 OK",
    content_type: str | None = FHIR_JSON,
    headers: Sequence[tuple[str, str]] = (),
    length: int | None = None,
    more: bytes = b"",
) -> Behaviour:
    """One whole answer. `length` is what it says its length is, if that isn't the truth; `more` comes after its end."""

    async def behave(caller: Caller) -> None:
        await caller.say(_head(status, content_type, [*headers, ("Content-Length", length or len(body))]))
        await caller.say(body + more)

    return behave


def resource(value: Any, **more: Any) -> Behaviour:
    """A resource, or whatever else, as JSON."""
    return answering(json.dumps(value).encode(), **more)


def patient(patient_id: str = "p1", **members: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": patient_id, **members}


def identified(patient_id: str, value: str, system: str | None = None) -> dict[str, Any]:
    """A patient with one identifier."""
    identifier = {"value": value} if system is None else {"system": system, "value": value}
    return patient(patient_id, identifier=[identifier])


def entry(value: dict[str, Any], mode: str | None = "match") -> dict[str, Any]:
    return {"resource": value} | ({} if mode is None else {"search": {"mode": mode}})


def page(*entries: dict[str, Any], **members: Any) -> dict[str, Any]:
    """A page of a search."""
    return {"resourceType": "Bundle", "type": "searchset", "entry": list(entries), **members}


def outcome(text: str = CANARY) -> dict[str, Any]:
    issue = {"severity": "error", "code": "exception", "diagnostics": f"{text} was not found"}
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def statement(**members: Any) -> dict[str, Any]:
    """What a server of R4 says it is."""
    return {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "format": ["json"], **members}


def endless(first: bytes = b"", *, coding: str | None = None) -> Behaviour:
    """Ten gigabytes, in chunks, to who reads them all; perhaps after something that is whole in itself."""

    async def behave(caller: Caller) -> None:
        packed = [("Content-Encoding", coding)] if coding else []
        await caller.say(_head("200 OK", FHIR_JSON, [*packed, ("Transfer-Encoding", "chunked")]))
        if first:
            await caller.say(b"%x\r\n" % len(first) + first + b"\r\n")
        piece = b"%x\r\n" % PIECE + b" " * PIECE + b"\r\n"
        for _ in range(MOST_SENT // len(piece) - 1):
            await caller.say(piece)

    return behave


def dust() -> Behaviour:
    """Chunks of one byte each."""

    async def behave(caller: Caller) -> None:
        await caller.say(_head("200 OK", FHIR_JSON, [("Transfer-Encoding", "chunked")]))
        for _ in range(200):
            await caller.say(b"1\r\n \r\n" * 10_000)

    return behave


def bomb(size: int = 64 * 1024**2, *, times: int = 1) -> Behaviour:
    """Spaces, packed small, and the parcel perhaps packed again."""
    packed = b" " * size
    for _ in range(times):
        packed = gzip.compress(packed)
    return answering(packed, headers=[("Content-Encoding", ", ".join(["gzip"] * times))])


def zipped(value: Any, *, cut: int = 0) -> Behaviour:
    """A resource in gzip, perhaps without its last bytes."""
    packed = gzip.compress(json.dumps(value).encode())
    return answering(packed[: len(packed) - cut], headers=[("Content-Encoding", "gzip")])


def dripping(pause: float = 0.02) -> Behaviour:
    """A byte, a pause, a byte, without end."""

    async def behave(caller: Caller) -> None:
        await caller.say(_head("200 OK", FHIR_JSON, [("Content-Length", 1_000_000)]))
        while True:
            await caller.say(b" ")
            await asyncio.sleep(pause)

    return behave


async def silence(caller: Caller) -> None:
    """Never answer."""
    await asyncio.Event().wait()


async def hang_up(caller: Caller) -> None:
    """End the connection instead of answering."""
    caller.hang_up()


async def reset_amidst(caller: Caller) -> None:
    """End the connection in the middle of the answer."""
    await caller.say(_head("200 OK", FHIR_JSON, [("Content-Length", 1_000)]) + b'{"resourceType": "Patient"')
    await asyncio.sleep(0.05)
    caller.hang_up()


async def early_hints(caller: Caller) -> None:
    """Say "soon" without end."""
    while True:
        await caller.say(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 100)


def saying(raw: bytes) -> Behaviour:
    """These bytes, whatever they are."""

    async def behave(caller: Caller) -> None:
        await caller.say(raw)

    return behave


def in_turn(*behaviours: Behaviour) -> Behaviour:
    """One after the other, the last one again and again."""
    waiting = list(behaviours)

    async def behave(caller: Caller) -> None:
        await (waiting.pop(0) if len(waiting) > 1 else waiting[0])(caller)

    return behave


def pages(found: Sequence[dict[str, Any]]) -> Behaviour:
    """What a search finds, page by page, with ways on as HAPI has them: to `?_getpages=…` at the base."""

    async def behave(caller: Caller) -> None:
        asked = dict(parse_qsl(urlsplit(caller.heard.target).query))
        begin, count = int(asked.get("_getpagesoffset", 0)), int(asked["_count"])
        end = begin + count
        way = (
            f"{caller.server.base}?_getpages=f00d&_getpagesoffset={end}&_count={count}&_bundletype=searchset"
        )
        links = [{"relation": "next", "url": way}] if end < len(found) else []
        await resource(page(*map(entry, found[begin:end]), link=links, total=len(found)))(caller)

    return behave


def _head(status: str, content_type: str | None, headers: Sequence[tuple[str, Any]]) -> bytes:
    named = [*([("Content-Type", content_type)] if content_type else []), *headers]
    return "\r\n".join(
        [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in named), "", ""]
    ).encode()
