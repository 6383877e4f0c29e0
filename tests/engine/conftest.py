"""The engine's tests have a database and the cast, and no server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine.ground import Ground

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from cast import MovableClock


@pytest.fixture
async def ground(database_url: str, clock: MovableClock) -> AsyncIterator[Ground]:
    """A database of this test's own with the cast in it."""
    async with Ground.open(database_url, clock) as opened:
        yield opened
