"""Whatever ends the server, and its database with it, takes nothing along that was acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
from typing import TYPE_CHECKING

import psutil
import pytest

from cli.running import Installation, wait_for_the_end
from faults.dealing import SETTINGS, Market, world

if TYPE_CHECKING:
    from pathlib import Path

    from cli.running import Server


@pytest.fixture
def market(passable_directory: Path, tmp_path: Path) -> Market:
    installation = Installation(passable_directory / "data", **SETTINGS)
    (tmp_path / "world.yaml").write_text(world())
    installation.says("migrate")
    installation.says("load", str(tmp_path / "world.yaml"))
    return Market(installation)


async def _until_dealing(market: Market, more: int) -> None:
    """Wait until so many more answers have been acknowledged."""
    wanted = market.acknowledgements + more
    async with asyncio.timeout(60):
        while market.acknowledgements < wanted:
            await asyncio.sleep(0.005)


def _kill_everybody(market: Market, server: Server) -> list[psutil.Process]:
    victims = [psutil.Process(server.process.pid), *market.installation.database_processes()]
    assert len(victims) > 5
    for victim in victims:
        with contextlib.suppress(psutil.NoSuchProcess):
            victim.kill()
    return victims


async def test_after_kill_9_of_server_and_database_every_acknowledged_answer_is_there(
    market: Market, rounds: int
) -> None:
    moments = random.Random(rounds)
    for number in range(2 if rounds <= 20 else min(50, rounds // 200)):
        with market.installation.serving() as server:
            if number == 0:
                await market.sign_in(server)
            else:
                await market.must_be_as_acknowledged(server)
            async with market.dealing(server):
                await _until_dealing(market, moments.randrange(1, 200))
                victims = _kill_everybody(market, server)
            wait_for_the_end(victims)
            assert server.process.wait() == -signal.SIGKILL
    with market.installation.serving() as server:
        await market.must_be_as_acknowledged(server)
        assert server.stop() == 0


async def test_after_kill_9_of_the_server_alone_the_next_one_takes_the_database_over(market: Market) -> None:
    with market.installation.serving() as server:
        await market.sign_in(server)
        async with market.dealing(server):
            await _until_dealing(market, 50)
            server.process.kill()
    postmaster = market.installation.postmaster()
    assert postmaster is not None
    with market.installation.serving() as server:
        assert market.installation.postmaster() == postmaster
        await market.must_be_as_acknowledged(server)
        assert server.stop() == 0
    assert market.installation.postmaster() is None


async def test_told_to_stop_under_load_it_stops_in_order_and_loses_nothing(market: Market) -> None:
    with market.installation.serving() as server:
        await market.sign_in(server)
        async with market.dealing(server):
            await _until_dealing(market, 50)
            assert await asyncio.to_thread(server.stop) == 0
        assert server.logged == "", "an orderly end is nothing to complain of"
    assert market.installation.postmaster() is None
    with market.installation.serving() as server:
        await market.must_be_as_acknowledged(server)
