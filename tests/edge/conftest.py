"""Servers with nobody in them, on a real port: the edge asks nothing of who there is."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

import httpx
import pytest

from cast import MovableClock, stop
from hospitium import settings
from hospitium.app import application, parts_of
from hospitium.doors.surroundings import Surroundings
from hospitium.serving import StoppingInOrder
from hospitium.storage.database import Database
from hospitium.storage.keyring import Keyring


class Standing(NamedTuple):
    """A server that answers, and what it is made of."""

    port: int
    parts: Surroundings
    http: httpx.AsyncClient

    async def says(self, sent: bytes) -> bytes:
        """Send exactly these bytes; return all that comes back until the connection is closed."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(sent)
        try:
            return await asyncio.wait_for(reader.read(), 20)
        finally:
            writer.close()


class Stand(Protocol):
    def __call__(self, **settings: str) -> AbstractAsyncContextManager[Standing]: ...


@pytest.fixture
def standing(database_url: str, clock: MovableClock, tmp_path: Path) -> Stand:
    """Let a server stand with these settings: `async with standing(PUBLIC_URL="https://h.example") as server`."""

    @asynccontextmanager
    async def stand(**given: str) -> AsyncIterator[Standing]:
        chosen = settings.read({"HOSPITIUM_DATA": str(tmp_path), **given})
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        port = listener.getsockname()[1]
        database = await Database.open(database_url, size=4)
        keys = Keyring.load(tmp_path / "keys", clock(), make=True)
        address = f"http://127.0.0.1:{port}"
        parts = parts_of(database, keys, chosen, chosen.public_url or address, clock)
        began = asyncio.Event()
        server = StoppingInOrder(application(parts), parts.stopping, drain=0, announce=began.set)
        serving = asyncio.create_task(server._serve([listener]))
        try:
            await began.wait()
            async with httpx.AsyncClient(base_url=address, timeout=30, verify=False) as http:
                yield Standing(port, parts, http)
        finally:
            await stop(server, serving)
            listener.close()
            parts.passwords.close()
            if parts.tracing is not None:
                await parts.tracing.close()
            await database.close()

    return stand
