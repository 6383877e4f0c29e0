"""Asked to stop, the real server says so, answers what it has begun, and leaves in order."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest

from cli.running import COMMAND, Installation, Server, wait_for_the_end

PASSWORD = "correct horse battery"
WORLD = f"""
organizations:
  - {{code: northside, name: Northside Family Practice, type: referring}}
  - {{code: lakeside, name: Lakeside Imaging, type: radiology}}
accounts:
  - {{email: ada@northside.example, password: {PASSWORD}, verified: true, memberships: [{{organization: northside, role: admin}}]}}
"""
# Whoever asks to connect waits here until the test lets him go.
SLOW = """
CREATE FUNCTION waits() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(4711);
    RETURN NEW;
END $$;
CREATE TRIGGER waits BEFORE INSERT ON partnerships FOR EACH ROW EXECUTE FUNCTION waits();
"""


@pytest.fixture
def beside(passable_directory: Path, database_url: str, tmp_path: Path) -> Installation:
    """An installation on the tests' PostgreSQL, with a world in it."""
    made = Installation(
        passable_directory / "data",
        DATABASE_URL=database_url,
        HOSPITIUM_KEYS=str(passable_directory / "keys"),
    )
    made.says("keys", "make")
    world = tmp_path / "world.yaml"
    world.write_text(WORLD)
    made.says("load", str(world))
    return made


class Held:
    """A request in flight: it asks to connect, and waits in the database until it is let go."""

    def __init__(self, server: Server, ada: httpx.Client) -> None:
        found = ada.get("/api/organizations/search", params={"q": "lakeside"}).json()["data"]["organizations"]
        self.answer: Any = None
        headers = {"Authorization": ada.headers["Authorization"]}
        body = {"targetOrganizationId": found[0]["id"]}

        def ask() -> None:
            try:
                self.answer = httpx.post(
                    f"{server.address}/api/connections/request", json=body, headers=headers, timeout=60
                )
            except httpx.HTTPError as reason:
                self.answer = reason

        self.thread = threading.Thread(target=ask)
        self.thread.start()


async def until(look: Any) -> None:
    deadline = time.monotonic() + 30
    while not await look():
        assert time.monotonic() < deadline
        time.sleep(0.02)  # noqa: ASYNC251  nobody else runs in this loop


async def hold(connection: Any) -> None:
    await connection.execute(SLOW)
    await connection.execute("SELECT pg_advisory_lock(4711)")


async def somebody_waits(connection: Any) -> bool:
    return bool(
        await connection.fetchval(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted "
            "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
    )


@pytest.fixture
async def database(database_url: str) -> Any:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


async def test_a_request_in_flight_is_answered_and_balancers_see_it_stop(
    beside: Installation, database: Any
) -> None:
    with (
        beside.serving(DRAIN_SECONDS="600") as server,
        server.signed_in("ada@northside.example", PASSWORD) as ada,
    ):
        await hold(database)
        held = Held(server, ada)
        await until(lambda: somebody_waits(database))
        assert ada.get("/health/ready").status_code == 200

        server.process.send_signal(signal.SIGTERM)
        await until(lambda: _says(ada, 503))
        told = ada.get("/health/ready")
        assert told.json() == {"status": "the server is stopping"}
        assert told.headers["connection"] == "close"
        # It goes on accepting, and doing, what is asked of it.
        assert ada.get("/health/live").status_code == 200
        assert ada.get("/api/connections/outgoing").status_code == 200

        await database.execute("SELECT pg_advisory_unlock(4711)")
        held.thread.join(30)
        assert held.answer.status_code == 201, held.answer
        # Asked again, it doesn't wait for the rest of the ten minutes.
        assert server.stop() == 0
    assert await database.fetchval("SELECT count(*) FROM partnerships") == 1


async def _says(ada: httpx.Client, status: int) -> bool:
    return (await asyncio.to_thread(ada.get, "/health/ready")).status_code == status


async def test_without_a_drain_what_is_in_flight_is_finished_and_nobody_else_gets_in(
    beside: Installation, database: Any
) -> None:
    with beside.serving() as server, server.signed_in("ada@northside.example", PASSWORD) as ada:
        await hold(database)
        held = Held(server, ada)
        await until(lambda: somebody_waits(database))
        server.process.send_signal(signal.SIGTERM)
        await until(lambda: _refuses(server))
        assert server.process.poll() is None
        await database.execute("SELECT pg_advisory_unlock(4711)")
        held.thread.join(30)
        assert held.answer.status_code == 201, held.answer
        assert held.answer.headers["connection"] == "close"
        assert server.process.wait(30) == 0
        stopping = [
            line for line in map(json.loads, server.logged.splitlines()) if line["event"] == "stopping"
        ]
        assert [line["in_flight"] for line in stopping] == [1]


async def _refuses(server: Server) -> bool:
    parts = urlsplit(server.address)
    try:
        socket.create_connection((parts.hostname, parts.port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


async def test_asked_twice_it_breaks_off_and_leaves_nothing_half_done(
    beside: Installation, database: Any
) -> None:
    with beside.serving() as server, server.signed_in("ada@northside.example", PASSWORD) as ada:
        await hold(database)
        held = Held(server, ada)
        await until(lambda: somebody_waits(database))
        server.process.send_signal(signal.SIGTERM)
        await until(lambda: _refuses(server))
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(30) == 0
        assert time.monotonic() - began < 10  # and not the twenty seconds that are given to what is in flight
        held.thread.join(30)
        assert isinstance(held.answer, httpx.HTTPError)
    await database.execute("SELECT pg_advisory_unlock(4711)")
    assert await database.fetchval("SELECT count(*) FROM partnerships") == 0


async def test_streams_of_events_end_at_once_when_it_is_asked_to_stop(beside: Installation) -> None:
    with beside.serving() as server, server.signed_in("ada@northside.example", PASSWORD) as ada:
        with (
            ada.stream("GET", "/v1/events/stream") as following,
            ada.stream("GET", "/v1/events/stream") as stuck,
        ):
            assert following.status_code == stuck.status_code == 200
            pieces = following.iter_text()
            assert next(pieces).startswith("retry: ")
            server.process.send_signal(signal.SIGTERM)
            began = time.monotonic()
            ended = "".join(pieces)  # to its end, in order
            assert ended == "" or ended.endswith("\n\n")
            assert server.process.wait(30) == 0
            assert (
                time.monotonic() - began < 10
            )  # and not the twenty seconds that are given to what is in flight
        assert [
            line["event"] for line in map(json.loads, server.logged.splitlines()) if line["level"] == "error"
        ] == []


def test_its_own_database_is_stopped_in_order_however_often_it_is_asked(
    passable_directory: Path,
) -> None:
    fresh = Installation(passable_directory / "data")
    fresh.says("migrate")
    with fresh.serving() as server:
        processes = fresh.database_processes()
        assert processes
        for _ in range(50):
            if server.process.poll() is not None:
                break
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.01)
        # The last of them may meet an interpreter that has put away everything, itself too.
        assert server.process.wait(30) in (0, -signal.SIGTERM)
    wait_for_the_end(processes)
    assert fresh.postmaster() is None
    assert "database system is shut down" in (fresh.data / "postgres.log").read_text()


def test_traces_without_what_makes_them_refuse_the_start(beside: Installation, tmp_path: Path) -> None:
    (tmp_path / "opentelemetry").mkdir()
    (tmp_path / "opentelemetry" / "__init__.py").write_text("")  # it hides what is installed
    environment = {
        **beside.environment,
        "PYTHONPATH": str(tmp_path),
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318",
    }
    done = subprocess.run(
        [*COMMAND, "serve", "--port", "0"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 3
    assert done.stdout == ""
    assert done.stderr.startswith("hospitium: OTEL_EXPORTER_OTLP_ENDPOINT is set, but traces are")
    assert "pip install 'hospitium[tracing]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_metrics_have_a_port_of_their_own(beside: Installation) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with beside.serving(METRICS_PORT=str(port)) as server:
        assert "hospitium_build_info" in httpx.get(f"http://127.0.0.1:{port}/metrics").text
        assert httpx.get(f"{server.address}/metrics").status_code == 404
        said = beside.complains("serve", "--port", "0", status=3, METRICS_PORT=str(port))
        assert said == f"hospitium: can't listen at 127.0.0.1 port {port} (Address already in use): choose another with METRICS_HOST or METRICS_PORT\n"  # fmt: skip
        assert server.stop() == 0
