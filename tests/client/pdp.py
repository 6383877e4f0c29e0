"""A server that answers guards as a test says, over real sockets, and remembers what it was asked; and both guards under one hand."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

from hospitium.client import AsyncGuard, Guard, Question, Resource

KEY = "hsk_" + "CanaryOfTheServiceKey0123456789abcdefghijkl"
RX = Resource("c_prescription", "rx-1")
SCAN = Resource("c_scan", "scan-1")
ALICE_READS = Question.of("alice", "read", RX)


class Turn:
    """How one request is answered."""

    def __init__(
        self,
        body: Any = None,
        status: int = 200,
        *,
        content_type: str = "application/json",
        drip: float = 0.0,
        **headers: str,
    ) -> None:
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.status = status
        self.headers = {"Content-Type": content_type} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        self.drip = drip  # seconds between two bytes


YES, NO = Turn({"decision": True}), Turn({"decision": False})
DROPPED = None  # the connection is closed instead


def problem(status: int, detail: str = "", kind: str = "some-kind", **headers: str) -> Turn:
    body = {"type": f"urn:hospitium:problem:{kind}", "title": "x", "status": status, "detail": detail}
    return Turn(body, status, content_type="application/problem+json", **headers)


def busy(status: int = 503, retry_after: str = "") -> Turn:
    return problem(status, "busy", **({"Retry_After": retry_after} if retry_after else {}))


class Pdp:
    """The server. Turns are taken in their order, the last one again and again."""

    def __init__(self) -> None:
        self.turns: list[Turn | None] = [YES]
        self.asked: list[tuple[str, dict[str, str], Any]] = []
        self.connections = 0
        self.under_way = self.most_under_way = 0
        self.address = ""

    def answers(self, *turns: Turn | None) -> None:
        self.turns = list(turns)

    @property
    def bodies(self) -> list[Any]:
        return [body for _, _, body in self.asked]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while True:
                head, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                headers = {
                    name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)
                }
                body = await reader.readexactly(int(headers["content-length"]))
                self.asked.append((head.split()[1], headers, json.loads(body)))
                turn = self.turns.pop(0) if len(self.turns) > 1 else self.turns[0]
                if turn is None:
                    break
                self.under_way += 1
                self.most_under_way = max(self.most_under_way, self.under_way)
                await self._answer(turn, writer)
                self.under_way -= 1
        writer.close()

    @staticmethod
    async def _answer(turn: Turn, writer: asyncio.StreamWriter) -> None:
        said = "".join(f"{name}: {value}\r\n" for name, value in turn.headers.items())
        writer.write(f"HTTP/1.1 {turn.status} X\r\nContent-Length: {len(turn.body)}\r\n{said}\r\n".encode())
        if not turn.drip:
            writer.write(turn.body)
        for byte in turn.body if turn.drip else b"":
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(turn.drip)
        await writer.drain()


@asynccontextmanager
async def serving() -> AsyncIterator[Pdp]:
    pdp = Pdp()
    server = await asyncio.start_server(pdp._serve, "127.0.0.1", 0)
    pdp.address = "http://{}:{}".format(*server.sockets[0].getsockname()[:2])
    yield pdp
    server.close()


class Hand:
    """A guard of either kind: what it is asked is awaited, and what it yields comes as a list."""

    def __init__(self, guard: Guard | AsyncGuard) -> None:
        self.guard = guard

    async def asks(self, method: str, *values: Any, **more: Any) -> Any:
        if isinstance(self.guard, Guard):
            return await asyncio.to_thread(self._waits, method, *values, **more)
        asked: Any = getattr(self.guard, method)(*values, **more)
        return [each async for each in asked] if isinstance(asked, AsyncIterator) else await asked

    def _waits(self, method: str, *values: Any, **more: Any) -> Any:
        found = getattr(self.guard, method)(*values, **more)
        return list(found) if isinstance(found, Iterator) else found

    async def allowed(
        self, subject: Any = "alice", action: str = "read", resource: Any = RX, **more: Any
    ) -> Any:
        return await self.asks("allowed", subject, action, resource, **more)
