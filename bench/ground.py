"""Where the benchmarks stand: a durable PostgreSQL of their own in a temporary directory, and a real server process.

Everything is on this machine, and gone afterwards.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import asyncpg
import psutil

from hospitium import settings
from hospitium.app import DATABASE_NAME, Composition
from hospitium.doors.access_tokens import AccessTokens
from hospitium.storage.embedded import EmbeddedPostgres

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ISSUER = "http://bench.example"  # set as PUBLIC_URL, so that tokens can be made before the port is known


class Server(NamedTuple):
    """A running `hospitium serve`."""

    port: int
    pid: int

    def cpu(self) -> float:
        """Return the CPU seconds this process has had."""
        spent = psutil.Process(self.pid).cpu_times()
        return spent.user + spent.system

    def resident(self) -> int:
        """Return the bytes of memory this process holds."""
        return psutil.Process(self.pid).memory_info().rss


class Ground:
    """A migrated, empty, durable database in a directory of its own, and the settings its servers run with."""

    def __init__(self, data: Path, given: dict[str, str]) -> None:
        self.data = data
        self.environment = {
            "HOSPITIUM_DATA": str(data),
            "PUBLIC_URL": ISSUER,
            "ALLOWED_HOSTS": "127.0.0.1",
            **given,
        }
        self.composition = Composition(settings.read(self.environment))
        self.embedded = EmbeddedPostgres(data)

    @property
    def url(self) -> str:
        """The URL of the database, with its password: not to be printed."""
        return self.embedded.url(DATABASE_NAME)

    def access_tokens(self) -> AccessTokens:
        """Return what makes tokens that the servers here accept."""
        return AccessTokens(ISSUER, self.composition.keyring())

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        """Lend a connection as it comes, for bulk data."""
        connection = await asyncpg.connect(self.url)
        try:
            yield connection
        finally:
            await connection.close()

    @asynccontextmanager
    async def server(self) -> AsyncIterator[Server]:
        """Lend a server process that has just said that it answers."""
        log = self.data.parent / "server.log"
        with log.open("wb") as written:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "hospitium", "serve", "--port", "0",
                env={"PATH": os.environ["PATH"], **self.environment},
                stdout=asyncio.subprocess.PIPE,
                stderr=written,
            )  # fmt: skip
        try:
            said = await process.stdout.readline()
            if not said:
                raise RuntimeError(f"hospitium serve did not start: {log.read_text()[-500:]}")
            yield Server(int(said.rsplit(b":", 1)[1]), process.pid)
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()

    def postgres_cpu(self) -> float:
        """Return the CPU seconds that all processes of the database have had."""
        postmaster = psutil.Process(self.embedded.postmaster())
        while True:
            # One that ends while we count is counted with the postmaster's children from then on: count again.
            with suppress(psutil.NoSuchProcess):
                every = [process.cpu_times() for process in (postmaster, *postmaster.children())]
                ended = postmaster.cpu_times()
                running = sum(its.user + its.system for its in every)
                return running + ended.children_user + ended.children_system


@asynccontextmanager
async def beside(module: str, *words: str) -> AsyncIterator[Server]:
    """Lend a process of a module of ours that serves, and has just said where."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *words, stdout=asyncio.subprocess.PIPE
    )
    try:
        said = await process.stdout.readline()
        yield Server(int(said.rsplit(b":", 1)[1]), process.pid)
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def ground(**given: str) -> AsyncIterator[Ground]:
    """Lend a ground whose database runs; `given` are settings of the servers on it."""
    directory = _passable_directory()
    try:
        found = Ground(directory / "data", given)
        await asyncio.to_thread(found.embedded.start)  # servers started here join it
        try:
            await found.composition.migrate()
            yield found
        finally:
            await asyncio.to_thread(found.embedded.stop)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _passable_directory() -> Path:
    directory = Path(tempfile.mkdtemp(prefix="hospitium-bench-"))
    directory.chmod(0o711)  # under root PostgreSQL runs as another user, who has to pass through
    return directory
