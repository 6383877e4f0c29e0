"""One PostgreSQL cluster for the whole run, one database a test (copied from a template), one server a test, on a real port."""

from __future__ import annotations

import asyncio
import fcntl
import gc
import os
import shutil
import signal
import tempfile
import uuid
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from cast import SLOW_HASHER, House, MovableClock
from hospitium.doors import passwords
from hospitium.storage.embedded import EmbeddedPostgres
from hospitium.storage.schema import migrate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

TEMPLATE = "template_hospitium"
CAST_TEMPLATE = "template_cast"
HOUSES = {"house", "open_house"}  # fixtures that are one, or open it
SOAK_ROUNDS = int(os.environ.get("HOSPITIUM_SOAK", "0"))


MEMORY = Path("/dev/shm")  # where Linux has files that are on no disk
ROOM = 6 << 30  # bytes


def _quickest() -> Path | None:
    """Return where files are made and thrown away quickly, None for the usual place: the run makes a thousand databases.

    Nothing here can tell memory from a disk: processes are killed, machines aren't.
    """
    try:
        found = os.statvfs(MEMORY)
    except OSError:
        return None
    roomy = found.f_bavail * found.f_frsize >= ROOM
    return MEMORY if roomy and os.access(MEMORY, os.W_OK) and not found.f_flag & os.ST_NOEXEC else None


_FIRST_OF_A_DATABASE = 16_384  # object ids below are PostgreSQL's own, and the same everywhere
_ARRAYS: dict[frozenset[int], Any] = {}
_ask_what_types_are = asyncpg.Connection._introspect_types


async def _remember_what_types_are(connection: Any, type_ids: Iterable[int], patience: float | None) -> Any:
    """Ask PostgreSQL once what an array of uuid is, and not on each of ten thousand connections: it takes longer than most tests do."""
    wanted = frozenset(type_ids)
    if max(wanted) >= _FIRST_OF_A_DATABASE:
        return await _ask_what_types_are(connection, wanted, patience)
    if wanted not in _ARRAYS:
        _ARRAYS[wanted], _ = await _ask_what_types_are(connection, wanted, patience)
    return _ARRAYS[wanted], SimpleNamespace(name="no statement was in anybody's way")


asyncpg.Connection._introspect_types = _remember_what_types_are


def pytest_configure(config: pytest.Config) -> None:
    if (
        signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    ):  # of who was started behind a shell's back; commands would be deaf to it as well
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if not hasattr(config, "workerinput"):
        directory = Path(tempfile.mkdtemp(prefix="hospitium-tests-", dir=_quickest()))
        directory.chmod(0o711)  # the database's own user passes through, under root
        os.environ["HOSPITIUM_TEST_DIRECTORY"] = str(directory)
        os.environ["TMPDIR"] = tempfile.tempdir = str(
            directory
        )  # for what pytest, browsers and commands put aside, too


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ["HOSPITIUM_TEST_DIRECTORY"], ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not SOAK_ROUNDS:
        for item in items:
            if item.get_closest_marker("soak"):
                item.add_marker(pytest.mark.skip(reason="runs at the large size only: make soak"))


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()  # what was imported stays, and need not be looked through again and again for what may go
    gc.set_threshold(20_000, 10, 20)


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
        asyncio.run(_make_templates(embedded, run_directory))
    yield embedded
    embedded.stop()


async def _make_templates(embedded: EmbeddedPostgres, directory: Path) -> None:
    connection = await asyncpg.connect(embedded.url("postgres"))
    try:
        if await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", CAST_TEMPLATE):
            return
        await connection.execute(f"CREATE DATABASE {TEMPLATE}")
        await migrate(embedded.url(TEMPLATE))
        await connection.execute(f"CREATE DATABASE {CAST_TEMPLATE} TEMPLATE {TEMPLATE}")
        async with House.open(embedded.url(CAST_TEMPLATE), MovableClock(), directory / "keys"):
            pass
    finally:
        await connection.close()


@pytest.fixture
async def database_url(cluster: EmbeddedPostgres, request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """The URL of a database of this test's own, with the newest schema: empty, or with the cast in it for a house."""
    template = TEMPLATE if HOUSES.isdisjoint(request.fixturenames) else CAST_TEMPLATE
    name = f"test_{uuid.uuid4().hex}"
    connection = await asyncpg.connect(cluster.url("postgres"))
    try:
        for attempt in range(50):
            try:
                await connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
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
def slow_hash(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Passwords hashed as slowly as people's are: for what is about the queue of those who wait for it, or about time."""
    passwords._nobodys_hash.cache_clear()
    monkeypatch.setattr(passwords, "_HASHER", SLOW_HASHER)
    yield
    passwords._nobodys_hash.cache_clear()


@pytest.fixture
def clock() -> MovableClock:
    """The clock of this test's server: it stands still until it is moved."""
    return MovableClock()


@pytest.fixture
async def house(database_url: str, clock: MovableClock, tmp_path: Path) -> AsyncIterator[House]:
    """A server on a real port with the cast in it."""
    async with House.open(database_url, clock, tmp_path / "keys") as opened:
        yield opened
