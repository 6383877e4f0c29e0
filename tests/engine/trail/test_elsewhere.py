"""A trail goes on in another cluster, where transaction ids begin anew: nothing is missed, and nobody has to do anything."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import asyncpg
import pytest

from cast import MovableClock
from engine.ground import Ground
from engine.trail.sealing import (
    KEYS,
    behind_its_back,
    faults_of,
    head_now,
    numbers,
    proof_of,
    seal_all,
    unsealed,
    write,
)
from hospitium.engine.partnerships.rules import PartnershipRules
from hospitium.engine.trail import queries
from hospitium.engine.trail.record import MOST_IN_A_BLOCK
from hospitium.engine.trail.sealer import seal_next
from hospitium.storage.database import Database
from hospitium.storage.embedded import EmbeddedPostgres, installed_binaries

HERE = 4_242


async def must_be_whole(ground: Ground) -> None:
    found = await numbers(ground)
    assert [number for number, _, _ in found] == list(range(1, len(found) + 1))
    assert len(found) == (await ground.rows("SELECT count(*) AS n FROM events"))[0]["n"]
    assert (await proof_of(ground)).found == []
    assert "L1" not in await ground.violations()


def move_to_another_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the database believe that it woke up in another cluster."""
    there = queries.PLACE.sql.replace("control.system_identifier AS", f"{HERE}::bigint AS")
    assert there != queries.PLACE.sql
    monkeypatch.setattr(queries.PLACE, "sql", there)


async def write_as_of(url: str, transaction: int, count: int) -> None:
    """Write events as a restore brings them: of transactions of another cluster."""
    async with behind_its_back(url) as owner:
        await owner.execute(
            "INSERT INTO events (id, at, transaction, kind, actor_kind, subject_kind, data) "
            "SELECT gen_random_uuid(), '2026-03-01Z', $1 + n, 'refused', 'system', 'account', '{}' "
            "FROM generate_series(1, $2::bigint) AS n",
            transaction, count,
        )  # fmt: skip


async def test_what_came_unsealed_from_elsewhere_is_sealed_and_then_what_happens_here(
    ground: Ground, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await seal_all(ground)
    head = await head_now(ground)
    before = len(await numbers(ground))
    await write_as_of(
        database_url, 10**12, MOST_IN_A_BLOCK + 10
    )  # ids that this cluster will not see for long
    await write_as_of(database_url, 0, 10)  # and ids that it has had
    assert set(await faults_of(ground)) == {"event_inserted"}  # here, where it was sealed, they were inserted

    move_to_another_cluster(monkeypatch)
    assert (
        await faults_of(ground, head) == []
    )  # elsewhere they are what a restore brought, and not sealed yet
    assert (await proof_of(ground)).unsealed == MOST_IN_A_BLOCK + 20
    await write(ground, 1, 2, 3)
    await seal_all(ground)
    await must_be_whole(ground)
    await write(ground, 4)
    await seal_all(ground)
    await must_be_whole(ground)
    assert len(await numbers(ground)) == before + MOST_IN_A_BLOCK + 24
    assert await faults_of(ground, head) == []
    assert {row["cluster"] == HERE for row in await ground.rows("SELECT cluster FROM blocks")} == {
        True,
        False,
    }


async def test_it_arrives_once_though_nothing_happens(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    await seal_all(ground)
    move_to_another_cluster(monkeypatch)
    await ground.does("system", seal_next, KEYS)
    (last,) = await ground.rows(
        "SELECT cluster, last_number - first_number + 1 AS n FROM blocks ORDER BY number DESC LIMIT 1"
    )
    assert tuple(last) == (HERE, 0)
    before = await ground.everything()
    assert await ground.does("system", seal_next, KEYS) is False
    assert await ground.everything() == before
    await must_be_whole(ground)


async def test_what_was_sealed_elsewhere_is_passed_over_when_its_ids_come_round_again(
    ground: Ground, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (row,) = await ground.rows("SELECT pg_current_xact_id()::text::bigint AS now")
    await write_as_of(database_url, row["now"] + 200, 40)
    await seal_all(ground)
    assert not await unsealed(ground)  # they came first, as from elsewhere
    for number in range(120):  # two ids each: past all of theirs
        await write(ground, number)
        await ground.rows("SELECT pg_current_xact_id()")
    await seal_all(ground)
    await must_be_whole(ground)


async def test_an_event_from_elsewhere_whose_id_runs_just_now_waits_and_is_not_lost(
    ground: Ground, database_url: str
) -> None:
    """It can't be told from one of here that is being written: it is sealed once its id is past."""
    slow = await asyncpg.connect(database_url)
    held = slow.transaction()
    await held.start()
    running = await slow.fetchval("SELECT pg_current_xact_id()::text::bigint")
    await write_as_of(database_url, running - 1, 1)
    await ground.does("system", seal_next, KEYS)
    assert await unsealed(ground) >= 1
    await held.rollback()
    await slow.close()
    await seal_all(ground)
    await must_be_whole(ground)


async def test_ids_that_went_back_in_the_same_cluster_are_noticed(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    await seal_all(ground)
    monkeypatch.setattr(
        queries.PLACE,
        "sql",
        queries.PLACE.sql.replace("pg_snapshot_xmax(pg_current_snapshot())::text::bigint", "2::bigint"),
    )
    blocks = (await proof_of(ground)).blocks
    await ground.does("system", seal_next, KEYS)
    assert (await proof_of(ground)).blocks == blocks + 1


# -- a real one --------------------------------------------------------------------------------------------------------


async def run(program: str, *words: str) -> None:
    command = [str(installed_binaries() / program), *words]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


async def test_a_dump_restored_into_another_cluster_goes_on(
    ground: Ground, database_url: str, passable_directory: Path, tmp_path: Path, clock: MovableClock
) -> None:
    await seal_all(ground)
    head = await head_now(ground)
    for _ in range(200):
        await ground.rows("SELECT pg_current_xact_id()")  # ids that the other cluster hasn't had
    await write(ground, *range(20))  # not sealed before the dump
    dump = str(tmp_path / "dump")
    await run("pg_dump", "--format=custom", f"--file={dump}", database_url)

    other = EmbeddedPostgres(passable_directory / "other", connections=20, durable=False)
    await asyncio.to_thread(other.start)
    try:
        await run("pg_restore", f"--dbname={other.url('postgres')}", "--no-owner", dump)
        database = await Database.open(other.url("postgres"), size=4)
        try:
            there = Ground(database, clock, PartnershipRules())
            there.actors.update(ground.actors)
            waiting = (await proof_of(there)).unsealed
            assert waiting >= 20
            assert await faults_of(there, head) == []
            await write(there, 1, 2)
            await seal_all(there)
            await write(there, 3)
            await seal_all(there)
            await must_be_whole(there)
            assert await faults_of(there, head) == []
            assert (await proof_of(there)).events == head.last_number + waiting + 3
        finally:
            await database.close()
    finally:
        await asyncio.to_thread(other.stop)
