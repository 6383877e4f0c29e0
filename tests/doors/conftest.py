"""Houses with other settings than the usual."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

import pytest

from cast import House, MovableClock


class Opening(Protocol):
    def __call__(self, **settings: str) -> AbstractAsyncContextManager[House]: ...


@pytest.fixture
def open_house(database_url: str, clock: MovableClock, tmp_path: Path) -> Opening:
    """Open a house with these settings: `async with open_house(PENDING_REQUEST_LIMIT="2") as house`."""

    def opening(**settings: str) -> AbstractAsyncContextManager[House]:
        return House.open(database_url, clock, tmp_path / "keys", settings)

    return opening
