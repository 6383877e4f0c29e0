"""Turns: few at once, fewer of one, around between those who wait; and what waits holds nothing."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID, uuid4

import pytest

from cast import House
from doors.authzen.asking import KEY, LAKESIDES_KEY, RESOURCES, Application, question
from doors.native.problems import problem
from hospitium.doors import turns as module
from hospitium.doors.turns import Turns
from hospitium.engine.access import listing
from hospitium.engine.errors import Busy

ONE, TWO, THREE = (UUID(int=n) for n in (1, 2, 3))


class Hall:
    """Whose turn it was, in order; each goes on when it is told to."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.came: list[UUID] = []
        self._leaving: list[asyncio.Event] = []

    def waits(self, asker: UUID) -> asyncio.Task[None]:
        async def stay() -> None:
            async with self.turns.turn(asker):
                self.came.append(asker)
                leaving = asyncio.Event()
                self._leaving.append(leaving)
                await leaving.wait()

        return asyncio.create_task(stay())

    async def leaves(self) -> None:
        """Let whoever came first go."""
        self._leaving.pop(0).set()
        await settled()


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def ended(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_few_have_their_turn_at_once_and_fewer_of_one() -> None:
    hall = Hall(Turns())
    tasks = [hall.waits(ONE) for _ in range(5)]
    await settled()
    assert (hall.came, hall.turns.running, hall.turns.waiting) == ([ONE, ONE], 2, 3)
    tasks += [hall.waits(who) for who in (TWO, TWO, TWO, THREE)]
    await settled()
    assert (hall.came, hall.turns.running, hall.turns.waiting) == ([ONE, ONE, TWO, TWO], 4, 5)
    await ended(*tasks)
    assert (hall.turns.running, hall.turns.waiting) == (0, 0)


async def test_turns_go_around_however_many_one_asks_for() -> None:
    hall = Hall(Turns(most=1, most_each=1))
    tasks = [hall.waits(ONE) for _ in range(6)]
    await settled()
    tasks += [hall.waits(who) for who in (TWO, TWO, THREE)]
    await settled()
    for _ in range(8):
        await hall.leaves()
    assert hall.came == [ONE, ONE, TWO, THREE, ONE, TWO, ONE, ONE, ONE]
    await ended(*tasks)


async def test_so_many_of_one_may_wait_and_the_next_is_told_to_come_back() -> None:
    hall = Hall(Turns())
    tasks = [hall.waits(ONE) for _ in range(22)]
    await settled()
    assert hall.turns.waiting == 20
    with pytest.raises(Busy):
        async with hall.turns.turn(ONE):
            pass
    async with hall.turns.turn(TWO):  # nobody else is told so
        pass
    await ended(*tasks)


async def test_who_ceases_to_wait_leaves_and_takes_nobodys_turn_with_him() -> None:
    hall = Hall(Turns(most=1))
    tasks = [hall.waits(who) for who in (ONE, TWO, TWO, THREE)]
    await settled()
    tasks[1].cancel()
    await settled()
    assert hall.turns.waiting == 2
    tasks[2].cancel()  # at the very moment his turn comes
    await hall.leaves()
    assert hall.came == [ONE, THREE]
    # And the other way round: his turn has come, and he is cancelled before he hears of it.
    late = hall.waits(TWO)
    await settled()
    hall._leaving.pop(0).set()
    while hall.turns.waiting:
        await asyncio.sleep(0)
    late.cancel()
    await settled()
    assert (hall.turns.running, hall.turns.waiting) == (0, 0)
    await ended(*tasks)


async def test_who_waits_too_long_is_told_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST_WAIT", 0.01)
    turns = Turns(most_each=1)
    async with turns.turn(ONE):
        with pytest.raises(Busy):
            async with turns.turn(ONE):
                pass
    assert (turns.running, turns.waiting) == (0, 0)


async def test_an_application_that_lists_everything_at_once_holds_up_nobody_but_itself(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await Application.open(house)
    greedy, other = Application(house, KEY), Application(house, LAKESIDES_KEY)
    going, counts = asyncio.Event(), listing.count_resources
    counted = 0

    async def count_slowly(*given: Any) -> int:
        nonlocal counted
        counted += 1
        if counted <= 2:
            await going.wait()
        return await counts(*given)

    monkeypatch.setattr(listing, "count_resources", count_slowly)
    asked = question("user/alice", "read", "record")
    asking = [asyncio.create_task(greedy.asks(RESOURCES, asked)) for _ in range(40)]
    async with asyncio.timeout(20):
        while len([task for task in asking if task.done()]) < 18 or house.parts.turns.waiting < 20:
            await asyncio.sleep(0.01)
    assert (house.parts.turns.running, house.parts.turns.waiting) == (2, 20)
    for task in [task for task in asking if task.done()]:
        refused = task.result()
        problem(refused, 429, "busy")
        assert int(refused.headers["retry-after"]) > 0
    async with asyncio.timeout(5):
        assert (await house.ada.get("/v1/organizations/own")).status_code == 200
        assert (await house.http.get("/health/ready")).status_code == 200
        await other.says(RESOURCES, asked)
    going.set()
    statuses = [one.status_code for one in await asyncio.gather(*asking)]
    assert sorted(set(statuses)) == [200, 429]
    assert statuses.count(200) == 22


@pytest.mark.parametrize("at", ["subjects", "resources"])
async def test_people_wait_for_their_turn_too(house: House, at: str) -> None:
    query = {"type": "record", "id": str(uuid4())} if at == "subjects" else {}
    async with AsyncExitStack() as held:
        for _ in range(2):
            await held.enter_async_context(house.parts.turns.turn(house.accounts["ada"]))
        waiting = asyncio.create_task(house.ada.get(f"/v1/access/{at}", **query))
        async with asyncio.timeout(5):
            while not house.parts.turns.waiting:
                await asyncio.sleep(0.01)
        assert house.database.pool().idle == house.database.pool().size
        assert not waiting.done()
    assert (await waiting).status_code in (200, 404)


async def test_it_is_ready_though_every_connection_is_taken(house: House) -> None:
    async with AsyncExitStack() as held:
        for _ in range(house.database.pool().most):
            await held.enter_async_context(house.database.transaction())
        for _ in range(2):
            await held.enter_async_context(house.database.reading())
        async with asyncio.timeout(1):
            answers = await asyncio.gather(*(house.http.get("/health/ready") for _ in range(10)))
        assert {one.status_code for one in answers} == {200}
