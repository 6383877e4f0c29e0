"""Killed, or refused by the disk, at every single write of a transition: never is anything acknowledged that isn't kept.

strace holds the processes and strikes at the N-th call of a kind, for N = 1, 2, 3 … until a transition gets through without
being struck. So every point at which a crash could fall is tried, and not only those that chance would find.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
import psutil
import pytest

from cli.running import Installation
from faults.dealing import COURSE, SETTINGS, Deal, Market, Pair, world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cli.running import Server

# How a backend of PostgreSQL brings a commit to the disk, and tells of it.
BACKEND_CALLS = "pwrite64,pwritev,write,fdatasync,fsync,sendto"
# How the server speaks: to the database, and to whoever asked.
SERVER_CALLS = "write,writev,sendto,sendmsg"
MOST_POINTS = 40
# In `make test` the answer alone, which is the deed with the most writes; every move in `make soak`.
MOVES = [move if move == "approved" else pytest.param(move, marks=pytest.mark.soak) for move in COURSE]


def _can_trace() -> bool:
    if shutil.which("strace") is None:
        return False
    with subprocess.Popen(["sleep", "5"]) as sleeper:
        try:
            with _struck([sleeper.pid], "write", "error=EIO", "1"):
                return True
        except (AssertionError, subprocess.SubprocessError):
            return False
        finally:
            sleeper.terminate()


@contextmanager
def _struck(pids: list[int], calls: str, effect: str, when: str) -> Iterator[None]:
    """Hold processes while the block runs, and strike at their N-th call."""
    command = [
        "strace",
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        f"trace={calls}",
        "-e",
        f"inject={calls}:{effect}:when={when}",
    ]
    for pid in pids:
        command += ["-p", str(pid)]
    tracer = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 10
        while not all(map(_is_traced, pids)):
            assert tracer.poll() is None, "strace may not trace here"
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield
    finally:
        tracer.terminate()
        tracer.wait(10)


def _is_traced(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/status") as status:  # noqa: PTH123
            return any(line.startswith("TracerPid:") and int(line.split()[1]) for line in status)
    except OSError:
        return True  # it is dead already, and so struck


@pytest.fixture(scope="module", autouse=True)
def _strace() -> None:
    if not _can_trace():
        pytest.skip("needs strace, and the right to trace (on Debian: apt-get install strace)")


@pytest.fixture
def market(passable_directory: Path, tmp_path: Path) -> Market:
    quiet = {"DATABASE_CONNECTIONS": "2", "DISPATCH": "false"}
    installation = Installation(passable_directory / "data", **SETTINGS, **quiet)
    (tmp_path / "world.yaml").write_text(world())
    installation.says("migrate")
    installation.says("load", str(tmp_path / "world.yaml"))
    return Market(installation)


def _backends(installation: Installation) -> list[int]:
    """The processes that serve connections of ours."""
    found = []
    for process in installation.database_processes()[1:]:
        try:
            if "[local]" in " ".join(process.cmdline()):
                found.append(process.pid)
        except psutil.NoSuchProcess:
            continue
    return found


async def _is_ready(server: Server) -> None:
    async with (
        httpx.AsyncClient(base_url=server.address, timeout=10, verify=False) as http,
        asyncio.timeout(60),
    ):
        while True:
            try:
                # As many at once as there are connections: each may be one that is dead and doesn't know it yet.
                answers = await asyncio.gather(*(http.get("/health/ready") for _ in range(4)))
                if all(answer.status_code == 200 for answer in answers):
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.05)


async def _deal_at(pair: Pair, http: httpx.AsyncClient, move: str) -> Deal:
    """Bring a new deal to where a move is next."""
    deal = Deal()
    pair.deals.append(deal)
    while COURSE[deal.acknowledged + 1] != move:
        answer = await pair.step(http, deal)
        # A connection that died with the blow before may be found out only now.
        assert answer.is_success or answer.status_code == 503, pair.strange
    return deal


async def _try_move(pair: Pair, server: Server, deal: Deal) -> None:
    async with Market.caller(server) as http:
        try:
            await pair.step(http, deal)
        except httpx.TransportError:
            return


def _points(rounds: int) -> range:
    """The first few points in `make test`, every one in `make soak`."""
    return range(1, 3 if rounds <= 20 else MOST_POINTS)


@pytest.mark.parametrize("move", MOVES)
async def test_a_backend_killed_at_any_of_its_calls(market: Market, rounds: int, move: str) -> None:
    pair = market.pairs[0]
    struck = 0
    with market.installation.serving() as server:
        async with market.caller(server) as http:
            await pair.sign_in(http)
        for point in _points(rounds):
            async with market.caller(server) as http:
                deal = await _deal_at(pair, http, move)
            pids = _backends(market.installation)
            assert pids
            with _struck(pids, BACKEND_CALLS, "signal=KILL", str(point)):
                await _try_move(pair, server, deal)
            hit = not all(map(psutil.pid_exists, pids))
            await _is_ready(server)
            async with market.caller(server) as http:
                await pair.must_be_as_acknowledged(http)
            struck += hit
            if not hit:
                break
        assert struck, "nothing was struck: the test has lost its hold"
        assert market.installation.json("verify") == []
        assert server.stop() == 0


@pytest.mark.parametrize("move", MOVES)
async def test_the_server_killed_at_any_of_its_calls(market: Market, rounds: int, move: str) -> None:
    pair = market.pairs[0]
    with market.installation.serving() as server:
        async with market.caller(server) as http:
            await pair.sign_in(http)
        assert server.stop() == 0
    struck = 0
    for point in _points(rounds):
        with market.installation.serving() as server:
            async with market.caller(server) as http:
                await pair.must_be_as_acknowledged(http)
                deal = await _deal_at(pair, http, move)
            with _struck([server.process.pid], SERVER_CALLS, "signal=KILL", str(point)):
                await _try_move(pair, server, deal)
            if server.process.poll() is None:
                break
            struck += 1
    assert struck
    with market.installation.serving() as server:
        async with market.caller(server) as http:
            await pair.must_be_as_acknowledged(http)
        assert market.installation.json("verify") == []
        assert server.stop() == 0


@pytest.mark.parametrize("effect", ["error=ENOSPC", pytest.param("error=EIO", marks=pytest.mark.soak)])
async def test_a_disk_that_is_full_or_broken_acknowledges_nothing_and_loses_nothing(
    market: Market, effect: str
) -> None:
    pair = market.pairs[0]
    with market.installation.serving() as server:
        async with market.caller(server) as http:
            await pair.sign_in(http)
        for move in COURSE:
            async with market.caller(server) as http:
                deal = await _deal_at(pair, http, move)
            with _struck(_backends(market.installation), "pwrite64,pwritev,fdatasync,fsync", effect, "1+"):
                before = deal.acknowledged
                await _try_move(pair, server, deal)
            assert deal.acknowledged == before, "a commit that no disk took was acknowledged"
            await _is_ready(server)
            async with market.caller(server) as http:
                await pair.must_be_as_acknowledged(http)
        assert market.installation.json("verify") == []
