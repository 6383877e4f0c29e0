"""What the state machines have in common: one house for all examples, and a clock that stands still."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from datetime import datetime
from pathlib import Path

import httpx
import pytest
from hypothesis.stateful import RuleBasedStateMachine

from cast import Caller, House, MovableClock


class StillClock(MovableClock):
    """A clock that moves only when the machine moves it, so that the model knows the microsecond."""

    def __call__(self) -> datetime:
        return self.now


@contextmanager
def one_house(
    machine: type[RuleBasedStateMachine],
    database_url: str,
    keys: Path,
    monkeypatch: pytest.MonkeyPatch,
    limits: Mapping[str, str] | None = None,
) -> Iterator[None]:
    """Give a machine a house for all its examples, as `house`, and what runs it, as `runner`."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()

        async def open_house() -> House:
            house = await stack.enter_async_context(House.open(database_url, StillClock(), keys, limits))
            # Its own: what it is answered is held against the model, which is enough.
            http = httpx.AsyncClient(base_url=house.base_url, timeout=60, verify=False)
            house.http = await stack.enter_async_context(http)
            house.stranger = Caller(house.http)
            return house

        monkeypatch.setattr(machine, "runner", runner, raising=False)
        monkeypatch.setattr(machine, "house", runner.run(open_house()), raising=False)
        try:
            yield
        finally:
            runner.run(stack.aclose())
