"""PostgreSQL goes and comes back under a living server: honest 503s meanwhile, nothing false, and it heals by itself."""

from __future__ import annotations

import asyncio
import os
import signal
import uuid
from typing import TYPE_CHECKING, Any

import asyncpg
import httpx
import pytest

from cast import Caller, House, MovableClock, data
from hospitium.storage.embedded import EmbeddedPostgres
from hospitium.storage.schema import migrate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path


class Ground:
    """A house on a PostgreSQL of its own, which the test may stop."""

    def __init__(self, house: House, cluster: EmbeddedPostgres) -> None:
        self.house = house
        self.cluster = cluster

    async def stop(self) -> None:
        await asyncio.to_thread(self.cluster.stop)

    async def start(self) -> None:
        await asyncio.to_thread(self.cluster.start)

    async def restart(self) -> None:
        await self.stop()
        await self.start()


@pytest.fixture
async def ground(passable_directory: Path, tmp_path: Path) -> AsyncIterator[Ground]:
    cluster = EmbeddedPostgres(passable_directory / "data")
    await asyncio.to_thread(cluster.start)
    await migrate(cluster.url("postgres"))
    async with House.open(cluster.url("postgres"), MovableClock(), tmp_path / "keys") as house:
        yield Ground(house, cluster)
    await asyncio.to_thread(cluster.stop)


def must_be_unavailable(answer: httpx.Response, *, problem: bool = False) -> None:
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["Retry-After"]) >= 1
    if problem:
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["type"] == "urn:hospitium:problem:unavailable"
    else:
        assert answer.json()["error"] == {
            "code": "SERVICE_UNAVAILABLE",
            "retryAfter": int(answer.headers["Retry-After"]),
        }
        assert answer.json()["success"] is False


async def until(condition: Callable[[], Any], what: str) -> None:
    async with asyncio.timeout(30):
        while not await condition():
            await asyncio.sleep(0.02)
    assert what


async def test_while_the_database_is_away_every_surface_says_so_in_its_own_form(ground: Ground) -> None:
    house = ground.house
    await ground.stop()
    must_be_unavailable(await house.ada.get("/api/connections/established"))
    must_be_unavailable(await house.ada.asks(house.lakeside, Idempotency_Key="a"))
    must_be_unavailable(
        await house.stranger.post(
            "/api/auth/login", {"email": "ada@northside.example", "password": "correct horse battery"}
        )
    )
    must_be_unavailable(await house.ada.get("/v1/organizations/own"), problem=True)
    assert (await house.stranger.get("/.well-known/jwks.json")).status_code == 200

    await ground.start()
    await until(lambda: answers(house.ada), "it heals by itself")
    data(await house.ada.asks(house.lakeside, Idempotency_Key="a"), 201)
    await house.must_be_sound()


async def answers(caller: Caller) -> bool:
    answer = await caller.get("/api/connections/established")
    if answer.status_code != 200:
        must_be_unavailable(answer)
    return answer.status_code == 200


async def test_it_lives_all_the_time_and_is_ready_when_the_database_is(ground: Ground) -> None:
    health = ground.house.stranger
    assert (await health.get("/health/ready")).json() == {"status": "ready"}
    await ground.stop()
    assert (await health.get("/health/live")).json() == {"status": "live"}
    ready = await health.get("/health/ready")
    assert (ready.status_code, ready.headers["Retry-After"]) == (503, "2")
    await ground.start()

    async def ready_again() -> bool:
        assert (await health.get("/health/live")).status_code == 200
        return (await health.get("/health/ready")).status_code == 200

    await until(ready_again, "it is ready again")


@pytest.mark.parametrize("how", ["restarted in order", "killed and recovered"])
async def test_under_load_there_is_no_false_answer_and_never_a_500(ground: Ground, how: str) -> None:
    house = ground.house
    targets = [await house.add_organization(f"target-{n}") for n in range(19)]
    acknowledged: dict[str, str] = {}
    seen: list[int] = []
    over = asyncio.Event()

    async def ask_all() -> None:
        """Ask everybody, each until there is an answer, as a client should: with one key."""
        for target in targets:
            key = str(uuid.uuid4())
            while True:
                answer = await house.ada.asks(target, Idempotency_Key=key)
                seen.append(answer.status_code)
                if answer.status_code == 201:
                    acknowledged[str(target)] = answer.json()["data"]["connectionId"]
                    break
                must_be_unavailable(answer)
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.01)
        over.set()

    async def look() -> None:
        while not over.is_set():
            answer = await house.rui.get("/api/connections/incoming")
            seen.append(answer.status_code)
            if answer.status_code != 200:
                must_be_unavailable(answer)
            await asyncio.sleep(0.002)

    async with asyncio.timeout(120), asyncio.TaskGroup() as group:
        group.create_task(ask_all())
        for _ in range(3):
            group.create_task(look())
        await until(lambda: asyncio.sleep(0, len(acknowledged) >= 3), "it is under load")
        if how == "restarted in order":
            await ground.restart()
        else:
            postmaster = ground.cluster.postmaster()
            assert postmaster is not None
            os.kill(postmaster, signal.SIGKILL)
            await ground.start()

    assert set(seen) == {200, 201, 503}, "the fault was felt, and nothing else came of it"
    rows = await house.rows("SELECT id::text, target_id::text FROM partnerships")
    assert {row["target_id"]: row["id"] for row in rows} == acknowledged
    assert len(rows) == len(targets)
    await house.must_be_sound()


# -- one connection breaks -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("statement", ["pg_terminate_backend", "pg_cancel_backend"])
async def test_a_connection_that_is_ended_in_the_middle_of_a_deed_changes_nothing(
    house: House, database_url: str, statement: str
) -> None:
    holder = await asyncpg.connect(database_url)
    held = holder.transaction()
    await held.start()
    await holder.execute("SELECT FROM organizations WHERE id = $1 FOR UPDATE", house.lakeside)
    asking = asyncio.create_task(house.ada.asks(house.lakeside, Idempotency_Key="a"))
    watcher = await asyncpg.connect(database_url)

    async def waits() -> Any:
        return await watcher.fetchval(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND $1 = ANY(pg_blocking_pids(pid))",
            holder.get_server_pid(),
        )

    await until(waits, "the request waits for the lock")
    before = len(await house.trail(house.northside))
    assert await watcher.fetchval(f"SELECT {statement}($1)", await waits())
    must_be_unavailable(await asking)
    await held.rollback()
    await holder.close()
    await watcher.close()

    assert await house.rows("SELECT FROM partnerships") == []
    assert len(await house.trail(house.northside)) == before
    data(await house.ada.asks(house.lakeside, Idempotency_Key="a"), 201)
    await house.must_be_sound()


async def test_when_all_connections_are_taken_the_next_request_is_told_to_come_back(house: House) -> None:
    house.database._patience = 0.2
    async with asyncio.timeout(30):
        taken = [await house.database._pool.acquire() for _ in range(20)]
        try:
            must_be_unavailable(await house.ada.get("/api/connections/established"))
            assert (await house.stranger.get("/health/live")).status_code == 200
        finally:
            for connection in taken:
                await house.database._pool.release(connection)
    data(await house.ada.get("/api/connections/established"))


# -- the answer is lost between the commit and us ------------------------------------------------------------------------


class Cutter:
    """Stands between server and database, and cuts the line when the next COMMIT has been done, before anybody hears of it."""

    def __init__(self, socket_directory: Path) -> None:
        self._behind = socket_directory / ".s.PGSQL.5432"
        self.armed = False
        self.cuts = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_database, to_database = await asyncio.open_unix_connection(str(self._behind))
        cut = asyncio.Event()

        async def forth() -> None:
            while chunk := await reader.read(65_536):
                if self.armed and b"COMMIT;" in chunk:
                    self.armed = False
                    cut.set()
                to_database.write(chunk)
            to_database.close()

        async def back() -> None:
            while chunk := await from_database.read(65_536):
                if cut.is_set():
                    self.cuts += 1
                    break
                writer.write(chunk)
            writer.close()

        await asyncio.gather(forth(), back(), return_exceptions=True)
        to_database.close()
        writer.close()


async def test_an_answer_lost_after_the_commit_is_found_again_by_its_key(
    database_url: str, passable_directory: Path, tmp_path: Path
) -> None:
    base, _, socket_directory = database_url.partition("?host=")
    cutter = Cutter(type(passable_directory)(socket_directory))
    server = await asyncio.start_unix_server(cutter.serve, str(passable_directory / ".s.PGSQL.5432"))
    async with (
        server,
        House.open(f"{base}?host={passable_directory}", MovableClock(), tmp_path / "keys") as house,
    ):
        cutter.armed = True
        must_be_unavailable(await house.ada.asks(house.lakeside, "Hello", Idempotency_Key="a"))
        assert cutter.cuts == 1
        (made,) = await house.rows("SELECT id::text FROM partnerships")
        again = data(await house.ada.asks(house.lakeside, "Hello", Idempotency_Key="a"), 201)
        assert again["connectionId"] == made["id"]
        # A move needs no key: done twice it says that it is done.
        cutter.armed = True
        must_be_unavailable(await house.rui.does("approve", made["id"]))
        assert (await house.rui.does("approve", made["id"])).status_code == 409
        assert data(await house.rui.sees(made["id"]))["status"] == "approved"
        assert cutter.cuts == 2
        await house.must_be_sound()
