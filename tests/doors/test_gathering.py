"""What is asked at the same time shares a statement, and nothing else: neither one that was begun before, nor each other's answer or end."""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from hospitium.doors import gathering
from hospitium.doors.gathering import MOST_ON_A_LOAN, MOST_TRIES, Gathering
from hospitium.engine.errors import NotFound, Unavailable
from hospitium.storage.database import Collision, DatabaseUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

BOUND = 10  # seconds for whatever must not hang


class Statements:
    """Stands where the database is: statements that begin, are held until they are let go, and say which they were."""

    def __init__(self) -> None:
        self.begun: list[list[str]] = []
        self.running = self.most = self.loans = self.lent = 0
        self.fails: list[Exception] = []
        self.poison: Exception = ValueError("poison")
        self._go = asyncio.Event()
        self._go.set()

    def gathering(self, **more: Any) -> Gathering[str, str]:
        return Gathering(self.lend, self.run, **{"workers": 1, "enough": 1, "most": 100, **more})

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[Any]:
        self.loans += 1
        self.lent += 1
        try:
            yield None
        finally:
            self.lent -= 1

    def hold(self) -> None:
        self._go.clear()

    def let_go(self) -> None:
        self._go.set()

    async def run(self, _: Any, some: Sequence[str]) -> list[str]:
        number = len(self.begun)
        self.begun.append(list(some))
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await self._go.wait()
            await asyncio.sleep(0)
        finally:
            self.running -= 1
        if self.fails:
            raise self.fails.pop(0)
        if "poison" in some:
            raise self.poison
        return [f"{number} {one}" for one in some]


@pytest.fixture
def statements() -> Statements:
    return Statements()


async def comes_to(condition: Callable[[], bool]) -> None:
    """Let others run until it is so."""
    async with asyncio.timeout(BOUND):
        while not condition():
            await asyncio.sleep(0)


async def every(of: Gathering[str, str], *those: str) -> list[Any]:
    async with asyncio.timeout(BOUND):
        return await asyncio.gather(*(of.put(one) for one in those), return_exceptions=True)


async def test_who_comes_while_a_statement_runs_goes_into_the_next(statements: Statements) -> None:
    statements.hold()
    together = statements.gathering()
    first = together.put("a")
    await comes_to(lambda: statements.begun == [["a"]])
    others = [together.put(one) for one in "bcd"]
    await asyncio.sleep(0)
    assert statements.begun == [["a"]]
    statements.let_go()
    assert await first == "0 a"
    assert await asyncio.gather(*others) == ["1 b", "1 c", "1 d"]
    await comes_to(lambda: statements.lent == 0)


async def test_nobody_waits_for_others_to_come(statements: Statements) -> None:
    together = statements.gathering(enough=50)
    assert await every(together, "a") == ["0 a"]
    assert await every(together, "b") == ["1 b"]


async def test_another_begins_beside_only_with_enough_and_no_third(statements: Statements) -> None:
    statements.hold()
    together = statements.gathering(workers=2, enough=3)
    asked = [together.put("a")]
    await comes_to(lambda: statements.running == 1)
    asked += [together.put(one) for one in "bc"]
    await asyncio.sleep(0.01)
    assert statements.running == 1
    asked.append(together.put("d"))
    await comes_to(lambda: statements.running == 2)
    asked += [together.put(one) for one in "efgh"]
    await asyncio.sleep(0.01)
    assert statements.running == 2
    statements.let_go()
    assert [one.split()[1] for one in await asyncio.gather(*asked)] == list("abcdefgh")
    assert statements.most == 2


async def test_no_more_than_fit_in_a_statement(statements: Statements) -> None:
    found = await every(statements.gathering(most=3), *"abcdefgh")
    assert [one.split()[1] for one in found] == list("abcdefgh")
    assert list(map(len, statements.begun)) == [3, 3, 2]


async def test_who_went_away_is_not_asked_for(statements: Statements) -> None:
    statements.hold()
    together = statements.gathering()
    first = together.put("a")
    await comes_to(lambda: statements.running == 1)
    second, third = together.put("b"), together.put("c")
    second.cancel()
    first.cancel()
    statements.let_go()
    assert await third == "1 c"
    assert statements.begun == [["a"], ["c"]]


async def test_one_that_cant_be_run_is_not_the_end_of_others(statements: Statements) -> None:
    found = await every(statements.gathering(), "a", "poison", "b")
    assert [one if isinstance(one, str) else type(one) for one in found] == ["1 a", ValueError, "3 b"]


async def test_a_refusal_of_ours_is_told_as_it_is(statements: Statements) -> None:
    statements.poison = NotFound("resource")
    assert await every(statements.gathering(), "poison") == [statements.poison]


async def test_a_database_that_is_away_is_told_to_all_who_were_asked_for_each_by_itself(
    statements: Statements,
) -> None:
    statements.fails = [DatabaseUnavailable("gone")]
    together = statements.gathering()
    found = await every(together, "a", "b")
    assert [type(one) for one in found] == [Unavailable, Unavailable]
    assert found[0] is not found[1]
    assert found[0].retry_after == gathering.RETRY_AFTER
    assert await every(together, "c") == ["1 c"]


async def test_where_no_connection_can_be_had_nobody_waits_for_more_than_one(statements: Statements) -> None:
    @asynccontextmanager
    async def away() -> AsyncIterator[Any]:
        statements.loans += 1
        await asyncio.sleep(0.05)
        raise DatabaseUnavailable("TimeoutError")
        yield

    statements.lend = away  # type: ignore[method-assign]
    found = await every(statements.gathering(most=10), *map(str, range(100)))
    assert {type(one) for one in found} == {Unavailable}
    assert statements.loans == 1


@pytest.mark.parametrize("when", ["in a statement", "lingering", "borrowing"])
async def test_whoever_waits_for_one_that_is_put_an_end_to_hears_of_it(
    statements: Statements, when: str
) -> None:
    together = statements.gathering()
    if when == "borrowing":
        lend = statements.lend

        @asynccontextmanager
        async def breaks() -> AsyncIterator[Any]:
            statements.lend = lend  # type: ignore[method-assign]
            together._lend = lend
            raise asyncio.CancelledError
            yield

        together._lend = breaks
        assert [type(one) for one in await every(together, "a")] == [Unavailable]
    elif when == "lingering":
        await every(together, "a")
        (worker,) = together._workers.tasks
        worker.cancel()
    else:
        statements.hold()
        asked = together.put("a")
        await comes_to(lambda: statements.running == 1)
        (worker,) = together._workers.tasks
        worker.cancel()
        with pytest.raises(Unavailable):
            await asked
        statements.let_go()
    await asyncio.sleep(0.01)
    (found,) = await every(together, "b")
    assert found.endswith(" b")


async def test_what_collides_is_tried_again_and_not_for_ever(statements: Statements) -> None:
    statements.fails = [Collision() for _ in range(MOST_TRIES - 1)]
    together = statements.gathering()
    assert await every(together, "a") == [f"{MOST_TRIES - 1} a"]
    statements.fails = [Collision() for _ in range(MOST_TRIES)]
    (found,) = await every(together, "b")
    assert isinstance(found, Unavailable)
    assert statements.begun == [["a"]] * MOST_TRIES + [["b"]] * MOST_TRIES


async def test_a_connection_goes_back_for_others_from_time_to_time(statements: Statements) -> None:
    together = statements.gathering(most=1)
    await every(together, *map(str, range(3 * MOST_ON_A_LOAN)))
    assert statements.loans == 3


async def test_a_connection_is_held_a_moment_for_who_comes_next_and_not_for_longer(
    statements: Statements, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "LINGERS", 0.2)
    together = statements.gathering(workers=2, enough=2)
    for one in "abc":
        assert (await together.put(one)).endswith(one)
        await asyncio.sleep(0.01)
    assert (statements.loans, statements.lent) == (1, 1)
    await asyncio.sleep(0.4)
    assert statements.lent == 0
    assert await together.put("d") == "3 d"
    await asyncio.sleep(0.4)
    assert (statements.loans, statements.lent, together._lingering) == (2, 0, [])


async def test_everybody_gets_his_own_and_at_once_whatever_happens(
    statements: Statements, rounds: int
) -> None:
    """Callers come, go away and are struck by all that can happen; each who stays gets what is his, from a statement begun after he came."""
    chance = random.Random(20261128)
    together = statements.gathering(workers=2, enough=3, most=5)

    async def one(name: str) -> None:
        await asyncio.sleep(chance.random() / 50)
        before = len(statements.begun)
        asked = together.put(name)
        if chance.random() < 0.1:
            asked.cancel()
            return
        try:
            number, _, mine = (await asked).partition(" ")
        except (Unavailable, ValueError):
            assert name == "poison" or had_failed
            return
        assert mine == name
        assert int(number) >= before

    had_failed = False
    for turn in range(rounds):
        if chance.random() < 0.5:
            statements.fails.append(chance.choice([DatabaseUnavailable("gone"), Collision()]))
            had_failed = True
        names = [chance.choice(["poison", f"{turn}.{n}"]) if n % 9 == 0 else f"{turn}.{n}" for n in range(40)]
        async with asyncio.timeout(BOUND):
            await asyncio.gather(*map(one, names))


async def test_control_answers_in_another_order_would_be_seen(statements: Statements) -> None:
    run = statements.run

    async def turned(tx: Any, some: Sequence[str]) -> list[str]:
        return list(reversed(await run(tx, some)))

    statements.run = turned  # type: ignore[method-assign]
    assert await every(statements.gathering(), "a", "b") != ["0 a", "0 b"]
