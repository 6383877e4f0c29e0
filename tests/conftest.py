"""One PostgreSQL cluster for the whole run, one database a test (copied from a template), one server a test, on a real port."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest

from cast import House, MovableClock
from hospitium.storage.embedded import EmbeddedPostgres
from hospitium.storage.schema import migrate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

TEMPLATE = "template_hospitium"
SOAK_ROUNDS = int(os.environ.get("HOSPITIUM_SOAK", "0"))


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        directory = Path(tempfile.mkdtemp(prefix="hospitium-tests-"))
        directory.chmod(0o711)  # the database's own user passes through, under root
        os.environ["HOSPITIUM_TEST_DIRECTORY"] = str(directory)


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ["HOSPITIUM_TEST_DIRECTORY"], ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not SOAK_ROUNDS:
        for item in items:
            if item.get_closest_marker("soak"):
                item.add_marker(pytest.mark.skip(reason="runs at the large size only: make soak"))


@pytest.fixture(scope="session")
def rounds() -> int:
    """How many times a repeated test goes round: few in `make test`, HOSPITIUM_SOAK in `make soak`."""
    return SOAK_ROUNDS or 20


@pytest.fixture(scope="session")
def run_directory() -> Path:
    """A directory of this run that the embedded PostgreSQL's user can pass through."""
    return Path(os.environ["HOSPITIUM_TEST_DIRECTORY"])


@pytest.fixture
def passable_directory(run_directory: Path) -> Path:
    """An empty directory of this test that the embedded PostgreSQL's user can pass through."""
    directory = run_directory / f"test-{uuid.uuid4().hex[:12]}"
    directory.mkdir()
    directory.chmod(0o711)
    return directory


@pytest.fixture(scope="session")
def cluster(run_directory: Path) -> Iterator[EmbeddedPostgres]:
    """The cluster all workers share; it forgets on power loss, and is quick."""
    embedded = EmbeddedPostgres(run_directory / "shared", connections=400, durable=False)
    with (run_directory / "template.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        embedded.start()
        asyncio.run(_make_template(embedded))
    yield embedded
    embedded.stop()


async def _make_template(embedded: EmbeddedPostgres) -> None:
    connection = await asyncpg.connect(embedded.url("postgres"))
    try:
        if await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", TEMPLATE):
            return
        await connection.execute(f"CREATE DATABASE {TEMPLATE}")
    finally:
        await connection.close()
    await migrate(embedded.url(TEMPLATE))


@pytest.fixture
async def database_url(cluster: EmbeddedPostgres) -> AsyncIterator[str]:
    """The URL of an empty database of this test's own, with the newest schema."""
    name = f"test_{uuid.uuid4().hex}"
    connection = await asyncpg.connect(cluster.url("postgres"))
    try:
        for attempt in range(50):
            try:
                await connection.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY FILE_COPY")
                break
            except asyncpg.ObjectInUseError:  # another worker copies the template at this instant
                if attempt == 49:
                    raise
                await asyncio.sleep(0.05)
        yield cluster.url(name)
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await connection.close()


@pytest.fixture
async def empty_url(cluster: EmbeddedPostgres) -> AsyncIterator[str]:
    """The URL of a database with nothing in it."""
    name = f"empty_{uuid.uuid4().hex}"
    connection = await asyncpg.connect(cluster.url("postgres"))
    try:
        await connection.execute(f"CREATE DATABASE {name}")
        yield cluster.url(name)
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await connection.close()


@pytest.fixture
def clock() -> MovableClock:
    """The clock of this test's server: it stands still until it is moved."""
    return MovableClock()


@pytest.fixture
async def house(database_url: str, clock: MovableClock, tmp_path: Path) -> AsyncIterator[House]:
    """A server on a real port with the cast in it."""
    async with House.open(database_url, clock, tmp_path / "keys") as opened:
        yield opened
