"""The tallies that limits and totals are read from equal what counting gives, whoever writes the rows."""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from engine.ground import Ground
from hospitium.dispatch.sweeps import expire_one_partnership
from hospitium.engine.errors import Refusal
from hospitium.engine.partnerships import queries
from hospitium.engine.partnerships.queries import Scope
from hospitium.engine.partnerships.record import PartnershipStatus as Status

VERBS = ("approve", "reject", "cancel", "resend", "terminate", "reestablish")


async def kept(ground: Ground) -> Counter[tuple[Any, str, str]]:
    rows = await ground.rows("SELECT * FROM partnership_tallies WHERE count <> 0")
    return Counter({(row["organization_id"], row["side"], row["status"]): row["count"] for row in rows})


async def counted(ground: Ground) -> Counter[tuple[Any, str, str]]:
    tallies: Counter[tuple[Any, str, str]] = Counter()
    for row in await ground.rows("SELECT source_id, target_id, status FROM partnerships"):
        tallies[row["source_id"], "source", row["status"]] += 1
        tallies[row["target_id"], "target", row["status"]] += 1
    return tallies


async def test_they_equal_counting_after_every_one_of_many_moves(ground: Ground, rounds: int) -> None:
    chance = random.Random(20260301)
    people = {"ada": "northside", "rui": "lakeside", "zoe": "harbor"}
    made: list[Any] = []
    moved: Counter[str] = Counter()
    for _ in range(min(rounds * 8, 4_000)):
        who = chance.choice(list(people))
        try:
            if not made or chance.random() < 0.2:
                made.append(await ground.asks(who, chance.choice(list(people.values()))))
                moved["request"] += 1
            else:
                verb = chance.choice(VERBS)
                await ground.moves(who, verb, chance.choice(made[-4:]))
                moved[verb] += 1
        except Refusal:
            ground.clock.advance(days=chance.choice([0, 1, 31, 91]))
            while await ground.does("system", expire_one_partnership):
                moved["expire"] += 1
        assert await kept(ground) == await counted(ground)
    assert moved["request"] > 3
    assert moved.total() > 10
    assert await ground.violations() == []


async def test_totals_read_from_them_are_what_the_pages_hold_even_before_a_sweep(ground: Ground) -> None:
    first = await ground.asks("ada", "lakeside")
    await ground.asks("rui", "harbor")
    await ground.moves("rui", "approve", first)
    await ground.asks("ada", "harbor")
    ground.clock.advance(days=91)
    seen = {}
    for who in ("ada", "rui", "zoe"):
        for scope in Scope:
            for status in (None, *Status):
                views, total = await ground.does(who, queries.page, scope, status, offset=0, limit=100)
                assert len(views) == total
                seen[who, scope, status] = total
    assert seen["ada", Scope.OUTGOING, None] == 2
    assert seen["ada", Scope.OUTGOING, Status.EXPIRED] == 1
    assert seen["zoe", Scope.INCOMING, Status.EXPIRED] == 2
    assert seen["zoe", Scope.INCOMING, Status.PENDING_APPROVAL] == 0
    assert seen["rui", Scope.EITHER, Status.APPROVED] == 1
    while await ground.does("system", expire_one_partnership):
        pass
    for (who, scope, status), total in seen.items():
        assert (await ground.does(who, queries.page, scope, status, offset=0, limit=100))[1] == total


async def test_they_follow_rows_that_are_written_by_hand_and_roll_back_with_them(ground: Ground) -> None:
    partnership_id = await ground.asks("ada", "lakeside")
    before = await kept(ground)
    await ground.rows("UPDATE partnerships SET message = 'x' WHERE id = $1", partnership_id)
    assert await kept(ground) == before
    with pytest.raises(asyncpg.CheckViolationError):
        await ground.rows("UPDATE partnerships SET status = 'approved' WHERE id = $1", partnership_id)
    assert await kept(ground) == before
    now = ground.clock() + timedelta(seconds=1)
    await ground.rows(
        "UPDATE partnerships SET status = 'canceled', canceled_at = $2 WHERE id = $1", partnership_id, now
    )
    assert await kept(ground) == await counted(ground) != before


async def test_verify_names_a_tally_that_is_wrong(ground: Ground) -> None:
    await ground.asks("ada", "lakeside")
    assert await ground.violations() == []
    await ground.rows("UPDATE partnership_tallies SET count = count + 1 WHERE side = 'source' AND count = 1")
    assert await ground.violations() == ["T1"]
