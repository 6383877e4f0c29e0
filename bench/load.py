"""The callers: HTTP/1.1 over connections kept alive, written by hand and run in a process of their own, so that what is
measured is the server and not its client. This module imports nothing of the house.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TYPE_CHECKING, NamedTuple, Self, TypeVar

import uvloop

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)


def get(path: str, token: str) -> bytes:
    """Return the bytes of a GET."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n".encode()


def post(path: str, token: str, body: bytes = b"", more: str = "") -> bytes:
    """Return the bytes of a POST of JSON; `more` are lines of its head, each with its end."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n{more}"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def delete(path: str, token: str) -> bytes:
    """Return the bytes of a DELETE."""
    return f"DELETE {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n".encode()


class Line(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._answer: asyncio.Future[bytes] | None = None

    @classmethod
    async def open(cls, port: int) -> Line:
        _, line = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        return line

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        length = _LENGTH.search(self._received, 0, end + 2)
        whole = end + 4 + (int(length.group(1)) if length else 0)
        if len(self._received) >= whole:
            answer, self._received = bytes(self._received[:whole]), bytearray()
            self._answer.set_result(answer)

    def connection_lost(self, reason: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionError(f"the server hung up: {reason}"))

    async def ask(self, request: bytes) -> bytes:
        """Send a request; return the body of its answer, which must be a success."""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        head, _, body = (await self._answer).partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 2"):
            raise RuntimeError(f"{head[:60]!r} {body[:300]!r}")
        return body

    def close(self) -> None:
        self._transport.close()


class Pair(NamedTuple):
    """Who asks whom to connect, and the tokens of both."""

    asker: str
    target_id: str
    answerer: str


class Offer(NamedTuple):
    """Which record (its path) is shared with whom, the tokens of both, and where connections are."""

    record: str
    connections: str
    sharer: str
    email: str
    target: str


async def one_by_one(port: int, requests: list[bytes]) -> list[float]:
    """Send requests one after the other; return the seconds that each took."""
    line = await Line.open(port)
    taken = []
    for request in requests:
        began = time.perf_counter()
        await line.ask(request)
        taken.append(time.perf_counter() - began)
    line.close()
    return taken


async def ask(port: int, request: bytes) -> bytes:
    """Send one request; return the body of its answer."""
    line = await Line.open(port)
    body = await line.ask(request)
    line.close()
    return body


async def connect(port: int, pairs: list[Pair], at_once: int) -> float:
    """Request and approve every pair, so many at once; return the seconds it all took."""
    return await _at_once(port, pairs, at_once, _connect)


async def share(port: int, offers: list[Offer], at_once: int) -> float:
    """Share and accept every offer, so many at once; return the seconds it all took."""
    return await _at_once(port, offers, at_once, _share)


async def ask_all(port: int, requests: list[bytes], at_once: int) -> tuple[float, list[bytes]]:
    """Send requests, so many at once; return the seconds it all took, and the bodies of the answers in their order."""
    bodies = [b""] * len(requests)

    async def one(line: Line, number: int) -> None:
        bodies[number] = await line.ask(requests[number])

    return await _at_once(port, list(range(len(requests))), at_once, one), bodies


async def timed(port: int, requests: list[bytes], at_once: int) -> tuple[float, list[float], list[bytes]]:
    """Send requests, so many at once; return the seconds it all took, those each took, and the bodies of the answers."""
    bodies, latencies = [b""] * len(requests), [0.0] * len(requests)

    async def one(line: Line, number: int) -> None:
        began = time.perf_counter()
        bodies[number] = await line.ask(requests[number])
        latencies[number] = time.perf_counter() - began

    return await _at_once(port, list(range(len(requests))), at_once, one), latencies, bodies


async def _at_once(
    port: int, wanted: list[T], at_once: int, do: Callable[[Line, T], Coroutine[None, None, None]]
) -> float:
    left = iter(wanted)

    async def one_after_the_other(line: Line) -> None:
        for one in left:
            await do(line, one)

    lines = [await Line.open(port) for _ in range(at_once)]
    began = time.perf_counter()
    await asyncio.gather(*(one_after_the_other(line) for line in lines))
    taken = time.perf_counter() - began
    for line in lines:
        line.close()
    return taken


async def _connect(line: Line, pair: Pair) -> None:
    asked = json.dumps({"targetOrganizationId": pair.target_id}).encode()
    answer = json.loads(await line.ask(post("/api/connections/request", pair.asker, asked)))
    await line.ask(post(f"/api/connections/{answer['data']['connectionId']}/approve", pair.answerer))


async def _share(line: Line, offer: Offer) -> None:
    asked = json.dumps({"targets": [{"email": offer.email, "access": 4}]}).encode()
    [made] = json.loads(await line.ask(post(f"{offer.record}/connections", offer.sharer, asked)))["data"]
    at = f"{offer.connections}/"
    # Who shares never sees the token; its target reads it there.
    token = json.loads(await line.ask(get(at + made["_id"], offer.target)))["token"]
    await line.ask(post(at + token, offer.target))


async def first_answer(port: int, patience: float = 30.0) -> float:
    """Knock until the server is ready; return the instant of the answer (time.monotonic)."""
    until = time.monotonic() + patience
    for pause in itertools.repeat(0.005):
        try:
            line = await Line.open(port)
            await line.ask(get("/health/ready", ""))
        except (OSError, RuntimeError):
            if time.monotonic() > until:
                raise
            await asyncio.sleep(pause)
        else:
            line.close()
            return time.monotonic()
    raise AssertionError


class Callers:
    """A process that calls; what it is given to run and what it returns is pickled."""

    def __init__(self) -> None:
        self._process = ProcessPoolExecutor(1, mp_context=get_context("spawn"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.shutdown()

    async def run(self, work: Callable[..., Coroutine[None, None, T]], *given: object) -> T:
        """Run one of the coroutine functions above over there."""
        return await asyncio.get_running_loop().run_in_executor(self._process, _run, work, *given)


def _run(work: Callable[..., Coroutine[None, None, T]], *given: object) -> T:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work(*given))
