"""Races have 64 connections, and a window to be run in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from cast import Caller, House
from engine.ground import Ground
from races.window import Window

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from cast import MovableClock

CALLERS = 64


@pytest.fixture
async def ground(database_url: str, clock: MovableClock) -> AsyncIterator[Ground]:
    """A database of this test's own with the cast in it, and a connection for each caller."""
    async with Ground.open(database_url, clock, size=CALLERS) as opened:
        yield opened


@pytest.fixture
async def window(database_url: str) -> AsyncIterator[Window]:
    """The point at which callers are held."""
    async with Window.open(database_url) as opened:
        yield opened


@pytest.fixture
def times(rounds: int) -> range:
    """How often a race is run: twice in `make test`, up to 200 times in `make soak`."""
    return range(min(max(rounds // 10, 2), 200))


@pytest.fixture
async def house(house: House) -> AsyncIterator[House]:
    """The house, at whose door everybody comes with a connection of his own.

    A connection that is kept for the next race is closed by the server after a while, and then it's a race of another kind.
    """
    limits = httpx.Limits(max_keepalive_connections=0)
    async with httpx.AsyncClient(base_url=house.base_url, timeout=60, limits=limits, verify=False) as http:
        house.http = http
        house.stranger = Caller(http)
        for caller in house.callers.values():
            caller.http = http
        yield house
