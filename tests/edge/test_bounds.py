"""Nobody fills the memory with what is never finished: a header, a trailer, the extension of a chunk."""

from __future__ import annotations

import asyncio

import pytest

from edge.conftest import Stand
from hospitium.bounded import LARGEST_HEAD, BoundedProtocol

CHUNKED = b"POST /api/auth/login HTTP/1.1\r\nHost: h.example\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
ENOUGH = 40 * LARGEST_HEAD
ENDLESS = {
    "address": b"GET /",
    "name of a header": b"GET / HTTP/1.1\r\n",
    "header": b"GET / HTTP/1.1\r\nA: ",
    "trailer": CHUNKED + b"2\r\n{}\r\n0\r\nA: ",
    "extension of a chunk": CHUNKED + b"2;a=",
}


async def _flood(port: int, opening: bytes) -> tuple[bytes, int]:
    """Send more and more of what never ends; return what comes back, and how much was taken."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answered = asyncio.create_task(reader.read(200))
    sent = 0
    try:
        writer.write(opening)
        while not answered.done() and sent < ENOUGH:
            writer.write(b"a" * 8_192)
            sent += 8_192
            await writer.drain()
            await asyncio.sleep(0.001)
        return answered.result() if answered.done() else b"", sent
    except (ConnectionError, TimeoutError):
        return b"", sent
    finally:
        answered.cancel()
        writer.close()


@pytest.mark.parametrize("what", ENDLESS)
async def test_what_never_ends_is_cut_off(standing: Stand, what: str) -> None:
    async with standing() as server:
        _, sent = await _flood(server.port, ENDLESS[what])
        # What is under way between two sockets of one machine is some hundred kilobytes.
        assert sent < ENOUGH, what
        assert (await server.http.get("/health/live")).status_code == 200


async def test_without_the_bound_it_would_be_taken(standing: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundedProtocol, "_refuse", lambda *_: None)
    async with standing() as server:
        _, sent = await _flood(server.port, ENDLESS["header"])
    assert sent >= ENOUGH


async def test_a_long_body_in_small_pieces_is_no_head(standing: Stand) -> None:
    async with standing() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(CHUNKED)
        for _ in range(40):
            writer.write(b"2000\r\n" + b" " * 8_192 + b"\r\n")
            await writer.drain()
        writer.write(b"2\r\n{}\r\n0\r\n\r\n")
        answered = await asyncio.wait_for(reader.read(200), 20)
        writer.close()
    assert answered.startswith(b"HTTP/1.1 400"), answered  # read to its end: e-mail is missing
