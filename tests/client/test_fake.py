"""What a fake does that no real guard does: it is told, it remembers, and it can be away."""

from __future__ import annotations

import time

import pytest

from client.pdp import RX, SCAN, Hand
from hospitium.client import GuardUnavailable, Question, Resource, Subject
from hospitium.client.testing import FakeAsyncGuard, FakeGuard


@pytest.fixture(params=[FakeGuard, FakeAsyncGuard])
async def fake(request: pytest.FixtureRequest) -> FakeGuard | FakeAsyncGuard:
    return request.param()


async def test_everything_not_allowed_is_denied(fake: FakeGuard | FakeAsyncGuard) -> None:
    hand = Hand(fake)
    assert await hand.allowed() is False
    fake.allow("alice", "read", RX)
    assert await hand.allowed() is True
    assert await hand.allowed("bob") is False
    assert await hand.allowed(action="update") is False
    assert await hand.allowed(resource=SCAN) is False
    assert await hand.allowed(resource=Resource("c_prescription", "rx-1", {"x": 1})) is False
    fake.deny("alice", "read", RX)
    fake.deny("bob", "read", RX)
    assert await hand.allowed() is False


async def test_it_remembers_what_it_was_asked(fake: FakeGuard | FakeAsyncGuard) -> None:
    hand = Hand(fake)
    fake.allow("alice", "read", RX)
    yes, no = Question.of("alice", "read", RX), Question.of(Subject("team", "t-1"), "update", SCAN)
    await hand.allowed()
    await hand.asks("all_allowed", [yes, no, yes])
    await hand.asks("any_allowed", [yes, no])
    assert fake.asked == [yes, yes, no, yes]
    fake.asked.clear()
    assert len(fake.asked) == 4, "what was asked can't be unasked"


async def test_it_may_be_away_without_keeping_a_test_waiting(fake: FakeGuard | FakeAsyncGuard) -> None:
    hand = Hand(fake)
    fake.allow("alice", "read", RX)
    fake.unavailable()
    begun = time.monotonic()
    for method, values in (
        ("allowed", ("alice", "read", RX)),
        ("allowed_all", ([Question.of("alice", "read", RX)],)),
        ("explain", ("alice", "read", RX)),
        ("resources", ("alice", "read", "c_scan")),
    ):
        with pytest.raises(GuardUnavailable):
            await hand.asks(method, *values)
    assert time.monotonic() - begun < 1
    assert fake.asked == []
    fake.unavailable(still=False)
    assert await hand.allowed() is True
