"""Both kinds of guard, and a server that answers them as a test says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from client import pdp as servers
from client.pdp import KEY, Hand, Pdp
from hospitium.client import AsyncGuard, Guard

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


@pytest.fixture
async def pdp() -> AsyncIterator[Pdp]:
    async with servers.serving() as served:
        yield served


@pytest.fixture(params=[Guard, AsyncGuard])
async def make(request: pytest.FixtureRequest) -> AsyncIterator[Callable[..., Hand]]:
    """Make guards of one kind, closed at the end."""
    made: list[Hand] = []

    def new(url: str, key: str = KEY, **options: Any) -> Hand:
        made.append(Hand(request.param(url, key, **options)))
        return made[-1]

    yield new
    for hand in made:
        await hand.asks("close")


@pytest.fixture
def guard(make: Callable[..., Hand], pdp: Pdp) -> Hand:
    return make(pdp.address)
