"""Following the change feed in tests: what happened sealed, the list walked to its end, and a stream read by hand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import httpx

from cast import Caller, House
from doors.native.living import done
from engine.trail.sealing import KEYS, UNSEALED
from hospitium.engine.trail.sealer import seal_next

PATIENCE = 20.0  # seconds


async def seals(house: House) -> int:
    """Have everything sealed that happened; return the last number. Transactions of other tests may hold it back a while."""
    async with asyncio.timeout(120):
        while True:
            await house.sweep(lambda ctx: seal_next(ctx, KEYS))
            if not (await house.rows(UNSEALED))[0]["n"]:
                return int((await house.rows("SELECT max(number) AS n FROM event_seals"))[0]["n"])
            await asyncio.sleep(0.02)


async def walks(caller: Caller, after: int = 0, **query: Any) -> list[dict[str, Any]]:
    """Ask for the feed until there is no more; return every event."""
    found: list[dict[str, Any]] = []
    while True:
        page = done(await caller.get("/v1/events", after=after, **query))
        assert page["position"] > after or not page["more"]
        assert all(after < event["position"] <= page["position"] for event in page["events"])
        found += page["events"]
        after = page["position"]
        if not page["more"]:
            return found


class Piece(NamedTuple):
    """What stands between two blank lines of a stream."""

    id: int | None
    event: str | None
    data: Any
    comment: str | None
    retry: int | None


class Reader:
    """A stream that is read piece by piece."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self._lines = answer.aiter_lines()

    async def piece(self) -> Piece | None:
        """Return the next piece, None at the end of the stream."""
        said: dict[str, str] = {}
        async with asyncio.timeout(PATIENCE):
            async for line in self._lines:
                if line == "" and said:
                    data = json.loads(said["data"]) if "data" in said else None
                    number = int(said["id"]) if "id" in said else None
                    retry = int(said["retry"]) if "retry" in said else None
                    return Piece(number, said.get("event"), data, said.get(""), retry)
                name, _, value = line.partition(":")
                said[name] = value.removeprefix(" ")
        assert not said, f"the stream ends within a piece: {said}"
        return None

    async def events(self, count: int) -> list[dict[str, Any]]:
        """Return the next so many events."""
        found: list[dict[str, Any]] = []
        while len(found) < count:
            piece = await self.piece()
            assert piece is not None, f"the stream ended after {found}"
            if piece.data is not None:
                assert (piece.id, piece.event) == (piece.data["position"], piece.data["kind"])
                found.append(piece.data)
        return found

    async def must_end(self) -> None:
        """Read to the end, which must come within a few seconds."""
        async with asyncio.timeout(5):
            while await self.piece() is not None:
                pass


@asynccontextmanager
async def opened(
    house: House, caller: Caller, *, headers: dict[str, str] | None = None, **query: Any
) -> AsyncIterator[Reader]:
    """Lend a stream, on a connection of its own."""
    # Not the house's client: with that, every answer is read to its end to be held against the document.
    async with (
        httpx.AsyncClient(base_url=house.base_url, timeout=PATIENCE, verify=False) as http,
        http.stream(
            "GET", "/v1/events/stream", params=query or None, headers={**caller.headers, **(headers or {})}
        ) as answer,
    ):
        yield Reader(answer)


async def makes_key(house: House, who: Caller, *scopes: str) -> tuple[Caller, str]:
    """Make a service key; return an application that has it, and its id."""
    made = done(
        await who.post("/v1/service-keys", {"name": f"app {' '.join(scopes)}", "scopes": list(scopes)}), 201
    )
    return Caller(house.http, made["key"]), made["serviceKey"]["id"]
