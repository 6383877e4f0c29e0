"""The database dies, the server lives on: it says so honestly, and heals without anybody's help."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from cli.conftest import PASSWORD
from cli.running import Installation, wait_for_the_end

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = {"PUBLIC_URL": "http://hospitium.example", "ALLOWED_HOSTS": "127.0.0.1", "LOG_LEVEL": "error"}

GONE_BY_ITSELF = contextlib.suppress(psutil.NoSuchProcess)  # a worker of the database that ended meanwhile


@pytest.fixture
def loaded(passable_directory: Path, world_file: Path) -> Installation:
    made = Installation(passable_directory / "data", **SETTINGS)
    made.says("migrate")
    made.says("load", str(world_file))
    return made


def _wait_for(condition, what: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def test_a_database_that_dies_is_answered_503_and_comes_back_by_itself(loaded: Installation) -> None:
    with loaded.serving() as server, server.signed_in("ada@northside.example", PASSWORD) as http:
        assert http.get("/api/connections/established").status_code == 200
        doomed = loaded.database_processes()
        for process in doomed:
            with GONE_BY_ITSELF:
                process.kill()
        wait_for_the_end(doomed)

        answered = http.get("/api/connections/established")
        if answered.status_code != 200:  # it may be back already
            assert (answered.status_code, answered.json()["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
            assert int(answered.headers["retry-after"]) >= 1
        assert http.get("/health/live").status_code == 200

        seen: set[int] = set()

        def healed() -> bool:
            seen.add(status := http.get("/api/connections/established").status_code)
            return status == 200

        _wait_for(healed, "it does not heal")
        _wait_for(lambda: http.get("/health/ready").status_code == 200, "it is not ready again")
        assert seen <= {200, 503}
    assert loaded.database_processes() == []


def test_it_is_alive_but_not_ready_while_the_database_stands_still(loaded: Installation) -> None:
    with loaded.serving() as server, server.signed_in("ada@northside.example", PASSWORD) as http:
        frozen = loaded.database_processes()
        for process in frozen:
            with GONE_BY_ITSELF:
                process.suspend()
        try:
            assert http.get("/health/ready").status_code == 503
            assert http.get("/health/live").status_code == 200
        finally:
            for process in frozen:
                with GONE_BY_ITSELF:
                    process.resume()
        _wait_for(lambda: http.get("/health/ready").status_code == 200, "it is not ready again")
        assert http.get("/api/connections/established").status_code == 200
