"""PostgreSQL may end a transaction for another's sake: it is tried again, a few times, and then told to come back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncpg
import pytest

from cast import House, data, refusal
from hospitium.doors import unit_of_work
from hospitium.engine.errors import Unavailable
from hospitium.storage.database import Collision, Database, DatabaseUnavailable

if TYPE_CHECKING:
    from uuid import UUID

# A sequence counts what is rolled back, too.
FAILING = """
CREATE SEQUENCE tries;
CREATE FUNCTION collides() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF nextval('tries') <= {times} THEN
        RAISE EXCEPTION 'could not go on' USING ERRCODE = '{code}';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER collides BEFORE INSERT ON partnerships FOR EACH ROW EXECUTE FUNCTION collides()
"""
COLLISIONS = {"40001": "serialization failure", "40P01": "deadlock"}
AWAY = {
    "53100": "disk full", "53200": "out of memory", "58030": "I/O error", "57014": "canceled", "25006": "read-only",
    "57P01": "shut down", "08006": "connection failure", "55P03": "lock timeout",
}  # fmt: skip


async def break_inserts(house: House, code: str, times: int) -> None:
    async with house.database.transaction() as tx:
        await tx.execute(FAILING.format(code=code, times=times))


async def tries(house: House) -> int:
    (row,) = await house.rows("SELECT last_value FROM tries")
    return int(row["last_value"])


@pytest.mark.parametrize("code", COLLISIONS, ids=COLLISIONS.values())
async def test_a_collision_is_tried_again_and_happens_once(house: House, code: str) -> None:
    await break_inserts(house, code, times=3)
    seen = len(await house.trail(house.lakeside))
    connection_id = data(await house.ada.asks(house.lakeside, Idempotency_Key="a"), 201)["connectionId"]
    assert await tries(house) == 4
    assert [str(row["id"]) for row in await house.rows("SELECT id FROM partnerships")] == [connection_id]
    assert await house.trail(house.lakeside, since=seen) == ["partnership.requested"]
    await house.must_be_sound()


async def test_each_try_reads_the_clock_anew(house: House) -> None:
    """A deed that had to wait is written down at the instant at which it was done, not at the first attempt's."""
    await break_inserts(house, "40001", times=2)
    before = house.clock.now
    data(await house.ada.asks(house.lakeside), 201)
    (row,) = await house.rows("SELECT requested_at FROM partnerships")
    assert (row["requested_at"] - before).microseconds >= 3


async def test_collisions_without_end_are_given_up(house: House) -> None:
    await break_inserts(house, "40P01", times=1_000)
    answer = await house.ada.asks(house.lakeside)
    refusal(answer, 503, "SERVICE_UNAVAILABLE")
    assert int(answer.headers["Retry-After"]) >= 1
    assert await tries(house) == unit_of_work.MOST_TRIES
    assert await house.rows("SELECT FROM partnerships") == []
    await house.must_be_sound()


@pytest.mark.parametrize("code", AWAY, ids=AWAY.values())
async def test_a_database_that_can_not_go_on_is_unavailable_and_not_tried_again(
    house: House, code: str
) -> None:
    await break_inserts(house, code, times=1)
    answer = await house.ada.asks(house.lakeside)
    refusal(answer, 503, "SERVICE_UNAVAILABLE")
    assert int(answer.headers["Retry-After"]) >= 1
    assert await tries(house) == 1
    data(await house.ada.asks(house.lakeside), 201)


async def test_a_mistake_of_ours_is_none_of_these(house: House) -> None:
    """A value the driver refuses is as wrong the second time: it is a 500 and in the log, not a 503 for ever."""
    with pytest.raises(asyncpg.DataError):
        async with house.database.transaction() as tx:
            await tx.execute("SELECT 1 / 0")
    with pytest.raises(asyncpg.DataError, match="out of int32 range"):
        async with house.database.transaction() as tx:
            await tx.execute("SELECT $1::integer", 2**40)


async def test_a_true_deadlock_is_a_collision(house: House, database_url: str) -> None:
    async def lock(tx: object, first: UUID) -> None:
        await tx.execute("SELECT FROM organizations WHERE id = $1 FOR UPDATE", first)  # type: ignore[attr-defined]

    other = await asyncpg.connect(database_url)
    await other.execute("SET deadlock_timeout = '1h'")  # so that it is ours that gives way
    embrace = other.transaction()
    await embrace.start()
    await lock(other, house.northside)
    waiting: list[asyncio.Task[None]] = []

    async def ours() -> None:
        async with house.database.transaction() as tx:
            await lock(tx, house.lakeside)
            waiting.append(asyncio.create_task(lock(other, house.lakeside)))
            await lock(tx, house.northside)

    with pytest.raises(Collision):
        await ours()
    await waiting[0]
    await embrace.rollback()
    await other.close()


async def test_a_refusal_that_can_not_be_kept_is_not_given(house: House) -> None:
    """What can't be put on record isn't answered (ARCHITECTURE.md, "Transactions and locks"): the caller is told to come back."""
    async with house.database.transaction() as tx:
        await tx.execute(FAILING.format(code="57P01", times=1_000).replace("partnerships", "events"))
    refusal(await house.ben.asks(house.lakeside), 503, "SERVICE_UNAVAILABLE")


async def test_it_is_unavailable_when_nothing_answers_at_the_address() -> None:
    with pytest.raises(DatabaseUnavailable):
        await Database.open("postgresql://ada@127.0.0.1:1/none", size=2)
    assert Unavailable(2).retry_after == 2
