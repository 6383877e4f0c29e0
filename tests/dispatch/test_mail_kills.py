"""A dispatcher that is killed, at whatever moment, loses no mail; a mail comes twice only if its taking was never written down."""

from __future__ import annotations

import asyncio
import random
import signal
from collections import Counter
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from cli.running import Child, Installation
from fakes.mail_server import MailServer
from hospitium.engine.deliveries import actions as deliveries
from hospitium.engine.deliveries.record import Template

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from cast import House
    from fakes.mail_server import Received

PATIENCE = 60


class Office:
    """A house whose mails are sent by processes of their own, to one server."""

    def __init__(self, house: House, server: MailServer, installation: Installation, logs: Path) -> None:
        self.house = house
        self.server = server
        self.installation = installation
        self._logs = logs

    async def queue(self, count: int) -> None:
        async def deed(ctx: Any) -> None:
            for _ in range(count):
                await deliveries.queue(ctx, Template.PASSWORD_CHANGED, account_id=self.house.accounts["ada"])

        await self.house.operate(deed)

    @asynccontextmanager
    async def dispatching(self, *words: str) -> AsyncIterator[Child]:
        """Run a dispatcher; whatever happens, it doesn't outlive the block."""
        process = self.installation.bears("dispatch", *words, into=self._logs)
        try:
            yield process
        finally:
            process.kill()
            await ended(process)

    async def drain(self) -> bytes:
        """Send all that is due by a process that ends by itself; return what it logged."""
        async with self.dispatching("--once") as process:
            code = await ended(process)
        assert code == 0, process.err.read_bytes()
        return process.err.read_bytes()

    async def in_doubt(self) -> set[str]:
        """Return the mails that were taken, though nobody lived to write it down; and end every lease, as time would."""
        rows = await self.house.rows("SELECT id FROM deliveries WHERE status = 'waiting'")
        await self.house.rows(
            "UPDATE deliveries SET due_at = $1 WHERE status = 'waiting' RETURNING id", datetime.now(UTC)
        )
        return {str(row["id"]) for row in rows} & set(self.taken())

    def taken(self) -> Counter[str]:
        return Counter(one.delivery_id for one in self.server.received)

    async def must_have_lost_nothing(self, doubtful: set[str]) -> None:
        rows = await self.house.rows("SELECT id, status FROM deliveries")
        taken = self.taken()
        assert {row["status"] for row in rows} == {"sent"}
        assert {str(row["id"]) for row in rows} == set(taken)
        assert {delivery_id for delivery_id, times in taken.items() if times > 1} <= doubtful


async def ended(process: Child) -> int:
    """Return how a dispatcher ended, when it has."""
    return await asyncio.to_thread(process.wait, PATIENCE)


@pytest.fixture
async def office(house: House, database_url: str, tmp_path: Path) -> AsyncIterator[Office]:
    (tmp_path / "logs").mkdir()
    async with MailServer.open() as server:
        installation = Installation(
            tmp_path / "data", DATABASE_URL=database_url, HOSPITIUM_KEYS=str(tmp_path / "keys"),
            PUBLIC_URL="https://hospitium.example", SMTP_URL=server.url,
        )  # fmt: skip
        yield Office(house, server, installation, tmp_path / "logs")


async def test_killed_at_any_moment_it_loses_no_mail(office: Office, rounds: int) -> None:
    moments = random.Random(rounds)
    doubtful: set[str] = set()
    for _ in range(3 if rounds <= 20 else 50):
        await office.queue(40)
        before, wanted = len(office.server.received), moments.randrange(1, 35)
        async with office.dispatching() as process:
            async with asyncio.timeout(PATIENCE):
                while len(office.server.received) < before + wanted:
                    await asyncio.sleep(moments.random() / 500)
            process.kill()
            assert await ended(process) == -signal.SIGKILL
        doubtful |= await office.in_doubt()
    await office.drain()
    await office.must_have_lost_nothing(doubtful)


async def test_killed_between_taking_and_writing_it_down_the_mail_comes_twice_and_says_so(
    office: Office,
) -> None:
    await office.queue(1)
    async with office.dispatching() as process:
        office.server.on_taken = lambda _: process.kill()
        assert await ended(process) == -signal.SIGKILL
    office.server.on_taken = lambda _: None
    doubtful = await office.in_doubt()
    assert len(doubtful) == 1
    await office.drain()
    await office.must_have_lost_nothing(doubtful)
    first, second = office.server.received
    assert first.content == second.content  # the Message-ID with it


async def test_two_processes_at_once_send_each_mail_once(office: Office) -> None:
    await office.queue(60)
    async with office.dispatching("--once") as one, office.dispatching("--once") as other:
        await asyncio.gather(ended(one), ended(other))
    await office.must_have_lost_nothing(set())
    assert sum(office.taken().values()) == 60


async def test_told_to_stop_it_ends_what_it_began_and_says_neither_address_nor_token(office: Office) -> None:
    await office.queue(5)
    asked = asyncio.Event()

    def stop(_: Received) -> None:
        asked.set()

    async with office.dispatching() as process:
        office.server.on_taken = stop
        await asyncio.wait_for(asked.wait(), PATIENCE)
        process.send_signal(signal.SIGTERM)
        code = await ended(process)
    said, logged = process.out.read_bytes(), process.err.read_bytes()
    assert code == 0, logged
    assert await office.in_doubt() == set()
    logged += await office.drain()
    await office.must_have_lost_nothing(set())
    assert logged.count(b"delivery tried") == 5
    assert b"@" not in logged + said
    assert b"#" not in logged + said


async def test_without_the_address_people_reach_it_at_it_sends_nothing(office: Office) -> None:
    del office.installation.environment["PUBLIC_URL"]
    await office.queue(1)
    async with office.dispatching("--once") as process:
        code = await ended(process)
    complaint = process.err.read_bytes()
    assert (code, complaint.count(b"\n")) == (3, 1)
    assert b"PUBLIC_URL must be set" in complaint
    assert office.server.received == []
