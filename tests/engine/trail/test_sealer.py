"""Every event gets one number, without a gap, in an order that no open transaction can spoil."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from engine.ground import Ground
from engine.trail.sealing import (
    EVENT,
    KEYS,
    faults_of,
    numbers,
    proof_of,
    seal_all,
    unsealed,
    write,
)
from hospitium.engine.trail import queries, sealer
from hospitium.engine.trail.record import MOST_IN_A_BLOCK
from hospitium.engine.trail.sealer import seal_next

WRITERS = 64


async def must_be_whole(ground: Ground) -> list[Any]:
    """Fail unless every event has a number, 1, 2, 3 …, and the trail is proved; return the numbers with their order."""
    found = await numbers(ground)
    assert [number for number, _, _ in found] == list(range(1, len(found) + 1))
    assert len(found) == (await ground.rows("SELECT count(*) AS n FROM events"))[0]["n"]
    assert (await proof_of(ground)).found == []
    assert await ground.violations() == []
    return found


async def test_it_numbers_events_without_gaps_in_the_order_they_were_written(ground: Ground) -> None:
    partnership_id = await ground.asks("ada", "lakeside")
    await ground.moves("rui", "approve", partnership_id)
    await seal_all(ground)
    found = await must_be_whole(ground)
    assert [(t, p) for _, t, p in found] == sorted((t, p) for _, t, p in found)
    kinds = await ground.does("system", queries.sealed_after, len(found) - 2, 10)
    assert [(number, event.kind.value) for number, event in kinds] == [
        (len(found) - 1, "partnership.requested"),
        (len(found), "partnership.approved"),
    ]
    assert [n for n, _ in await ground.does("system", queries.sealed_after, 0, 3)] == [1, 2, 3]


async def test_it_goes_on_where_it_ended_and_a_block_has_a_thousand_at_most(ground: Ground) -> None:
    await seal_all(ground)
    before = len(await numbers(ground))
    await write(ground, *range(MOST_IN_A_BLOCK + 1))
    await seal_all(ground)
    assert len(await must_be_whole(ground)) == before + MOST_IN_A_BLOCK + 1
    sizes = await ground.rows("SELECT last_number - first_number + 1 AS n FROM blocks ORDER BY number")
    assert [row["n"] for row in sizes][-2:] == [MOST_IN_A_BLOCK, 1]


async def test_where_nothing_happened_it_makes_no_block(ground: Ground) -> None:
    await seal_all(ground)
    before = await ground.everything()
    for _ in range(3):
        assert await ground.does("system", seal_next, KEYS) is False
    assert await ground.everything() == before


async def test_it_reads_no_more_than_what_is_new(ground: Ground) -> None:
    await write(ground, *range(3_000))
    await seal_all(ground)
    await write(ground, 1)
    tip = await ground.does("system", lambda ctx: queries.TIP.first(ctx.tx))
    async with ground.database.transaction() as tx:
        looked_at = await queries.COMPLETE.all(
            tx, transaction=tip.reached.transaction, position=tip.reached.position
        )
    assert len(looked_at) <= 1
    async with ground.database.transaction() as tx:
        await tx.execute("ANALYZE events")
        plan = await tx.fetch("EXPLAIN " + queries.COMPLETE.sql, *queries.COMPLETE._arguments(
            {"transaction": tip.reached.transaction, "position": tip.reached.position}
        ))  # fmt: skip
    said = "\n".join(row[0] for row in plan)
    # Where all of them are: the partition for other times, as the tests' clock has it.
    assert "Seq Scan on events_other" not in said, said
    assert "Index Scan using events_other_transaction_position_idx" in said, said


# -- an open transaction -----------------------------------------------------------------------------------------------


async def test_an_open_transaction_holds_the_seals_back_never_the_deeds_and_nothing_is_lost(
    ground: Ground, database_url: str
) -> None:
    await seal_all(ground)
    sealed = len(await numbers(ground))
    slow = await asyncpg.connect(database_url)
    held = slow.transaction()
    await held.start()
    await slow.execute(EVENT, [1], ground.clock())  # it has its place in the order now

    for number in range(5):
        await write(ground, number)  # nobody waits
        await ground.does("system", seal_next, KEYS)
    assert len(await numbers(ground)) == sealed
    assert (await proof_of(ground)).unsealed == 5
    assert (await proof_of(ground)).found == []

    await held.commit()
    await slow.close()
    await seal_all(ground)
    found = await must_be_whole(ground)
    assert len(found) == sealed + 6
    assert [(t, p) for _, t, p in found] == sorted((t, p) for _, t, p in found)  # the slow one came first


async def test_control_a_sealer_that_does_not_wait_leaves_the_slow_one_out(
    ground: Ground, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await seal_all(ground)
    monkeypatch.setattr(
        queries.COMPLETE, "sql", queries.COMPLETE.sql.replace("pg_snapshot_xmin", "pg_snapshot_xmax")
    )
    slow = await asyncpg.connect(database_url)
    held = slow.transaction()
    await held.start()
    await slow.execute(EVENT, [1], ground.clock())
    await write(ground, 2)
    while await ground.does("system", seal_next, KEYS):
        pass
    await held.commit()
    await slow.close()
    await ground.does("system", seal_next, KEYS)
    assert await unsealed(ground) == 1
    assert await faults_of(ground) == ["event_inserted"]


# -- many at once ------------------------------------------------------------------------------------------------------


@pytest.fixture
async def crowd(database_url: str, clock: Any) -> Any:
    async with Ground.open(database_url, clock, size=2 * WRITERS + 6) as opened:
        yield opened


async def write_and_seal_at_once(crowd: Ground, times: int, sealers: int) -> None:
    """Sixty-four write in transactions of several steps, that end out of order, while sealers run."""
    finished = asyncio.Event()

    async def writer(me: int) -> None:
        for time in range(times):
            async with crowd.database.transaction() as tx:
                await tx.execute(EVENT, [me, time], crowd.clock())
                if (me + time) % 3 == 0:
                    # Ended only after somebody who began later: a short one of its own.
                    await write(crowd, me)
                if (me + time) % 5 == 0:
                    await tx.execute(EVENT, [time], crowd.clock())

    async def keep_sealing() -> None:
        while not finished.is_set():
            await crowd.does("system", seal_next, KEYS)
            await asyncio.sleep(0)

    sealing = [asyncio.create_task(keep_sealing()) for _ in range(sealers)]
    try:
        await asyncio.gather(*(writer(me) for me in range(WRITERS)))
    finally:
        finished.set()
        await asyncio.gather(*sealing)


async def test_of_sixty_four_writers_and_several_sealers_at_once_no_number_is_missed_or_given_twice(
    crowd: Ground, rounds: int
) -> None:
    await write_and_seal_at_once(crowd, times=min(max(rounds // 10, 2), 200), sealers=4)
    await seal_all(crowd)
    found = await must_be_whole(crowd)
    assert [(t, p) for _, t, p in found] == sorted((t, p) for _, t, p in found)


async def test_control_sealers_without_their_lock_get_in_each_others_way(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key of the blocks is there even then: of two that seal the same, one fails and nothing of it remains."""
    await seal_all(ground)
    await write(ground, *range(10))
    monkeypatch.setattr(queries.TRY_LOCK, "sql", "SELECT $1::bigint > 0 AS is_ours")
    both = asyncio.Barrier(2)
    original = sealer._look

    async def together(*given: Any) -> Any:
        found = await original(*given)
        await both.wait()
        return found

    monkeypatch.setattr(sealer, "_look", together)
    async with asyncio.timeout(30):
        while await unsealed(ground):  # other tests may hold back both
            outcomes = await asyncio.gather(
                *(ground.does("system", seal_next, KEYS) for _ in range(2)), return_exceptions=True
            )
    assert [type(one) for one in outcomes if isinstance(one, BaseException)] == [asyncpg.UniqueViolationError]
    await must_be_whole(ground)


# -- broken off --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", ["_INSERT_BLOCK", "_INSERT_SEALS"])
async def test_of_a_sealing_that_is_broken_off_nothing_remains(
    ground: Ground, database_url: str, monkeypatch: pytest.MonkeyPatch, after: str
) -> None:
    await seal_all(ground)
    await write(ground, *range(10))
    before = await ground.everything()
    statement = getattr(sealer, after)
    original = statement.run

    async def killed(tx: Any, /, **given: Any) -> Any:
        done = await original(tx, **given)
        own = await tx.fetchval("SELECT pg_backend_pid()")
        killer = await asyncpg.connect(database_url)
        await killer.execute("SELECT pg_terminate_backend($1)", own)
        await killer.close()
        await tx.execute("SELECT 1")
        return done

    monkeypatch.setattr(statement, "run", killed)
    async with asyncio.timeout(60):
        broken = False
        while not broken:
            try:
                await ground.does("system", seal_next, KEYS)
                await asyncio.sleep(0.02)  # held back by another test; nothing was sealed
            except Exception:  # noqa: BLE001  however the driver puts it
                broken = True
    monkeypatch.undo()
    assert await ground.everything() == before
    await seal_all(ground)
    await must_be_whole(ground)
