"""Two servers, two processes, one database: what was taken back at one of them is gone at the other, on the very next read.

A decision that is kept anywhere is a decision of then. The controls are servers that keep one, or don't end what they were
asked to end: the same questions must find them out.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli import running
from cli.conftest import PASSWORD
from cli.running import Installation, Server

AT = "/northside/v2"
WORLD = f"""
organizations:
  - {{code: northside, name: Northside Family Practice, type: referring}}
accounts:
  - {{email: ada@northside.example, password: {PASSWORD}, verified: true, memberships: [{{organization: northside, role: admin}}]}}
  - {{email: pat@mail.example, password: {PASSWORD}, verified: true}}
"""
SETTINGS = {
    "PUBLIC_URL": "https://hospitium.example",
    "ALLOWED_HOSTS": "127.0.0.1",
    "LOG_LEVEL": "warning",
}

# A server that remembers for a while what could matter to a question.
REMEMBERS = """
import hospitium.__main__ as command
from hospitium.engine.access import check

kept, gather = {}, check.open_candidates

async def open_candidates(ctx, question):
    if question not in kept:
        found = await gather(ctx, question)
        if found:
            kept[question] = found
        return found
    return kept[question]

check.open_candidates = open_candidates
command.main()
"""
# A server that writes down that a share was revoked, and leaves its grant.
LEAVES_THE_GRANT = """
import hospitium.__main__ as command
from hospitium.engine.grants import actions as grants

async def ends_none(ctx, share_ids):
    return []

grants.end_caused_by_shares = ends_none
command.main()
"""


class Person:
    """Somebody with a session, at one of the servers or the other."""

    def __init__(self, token: str, first: httpx.AsyncClient, second: httpx.AsyncClient) -> None:
        self.headers = {"Authorization": f"Bearer {token}"}
        self.first = first
        self.second = second

    async def send(self, http: httpx.AsyncClient, method: str, path: str, body: Any = None) -> httpx.Response:
        return await http.request(method, AT + path, json=body, headers=self.headers)

    async def does(self, http: httpx.AsyncClient, method: str, path: str, body: Any = None) -> Any:
        answer = await self.send(http, method, path, body)
        assert answer.status_code == 200, answer.text
        return answer.json()


class Pair:
    """Ada, who has a record, and pat, with whom she shares it; the first server and the second."""

    def __init__(self, ada: Person, pat: Person, record: str) -> None:
        self.ada = ada
        self.pat = pat
        self.first, self.second = ada.first, ada.second
        self.record = record
        self.stale: list[str] = []

    async def share(self) -> str:
        """Share the record at the first server, have it accepted at the second, and read there; return the connection's id."""
        target = {"email": "pat@mail.example", "access": 4}
        made = await self.ada.does(
            self.first, "POST", f"/c_notes/{self.record}/connections", {"targets": [target]}
        )
        connection: str = made["data"][0]["_id"]
        waiting = (await self.pat.does(self.second, "GET", "/connections"))["data"]
        (token,) = [one["token"] for one in waiting if one["_id"] == connection]
        await self.pat.does(self.second, "POST", f"/connections/{token}")
        read = await self.pat.does(self.second, "GET", f"/c_notes/{self.record}")
        assert read["access"] == 4
        return connection

    async def revoke(self, connection: str) -> None:
        await self.ada.does(self.first, "DELETE", f"/connections/{connection}")

    async def look(self) -> httpx.Response:
        """Read the record at the second server, as pat."""
        return await self.pat.send(self.second, "GET", f"/c_notes/{self.record}")

    async def must_not_see(self, what: str) -> None:
        """Take note of whatever pat sees at the second server."""
        one, every = (
            await self.look(),
            await self.pat.send(self.second, "GET", "/c_notes"),
        )
        if one.status_code != 404:
            self.stale.append(f"{what}: the record is read ({one.status_code})")
        if every.json()["data"]:
            self.stale.append(f"{what}: the record is listed")


@pytest.fixture
def installation(passable_directory: Path, database_url: str, tmp_path: Path) -> Installation:
    """Keys and a world on a database that two servers share."""
    made = Installation(
        passable_directory / "data",
        DATABASE_URL=database_url,
        HOSPITIUM_KEYS=str(passable_directory / "keys"),
        **SETTINGS,
    )
    made.says("keys", "make")
    (tmp_path / "world.yaml").write_text(WORLD)
    made.says("load", str(tmp_path / "world.yaml"))
    return made


async def token_of(http: httpx.AsyncClient, email: str) -> str:
    answer = await http.post("/v1/sessions", json={"email": email, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    token: str = answer.json()["accessToken"]
    return token


@asynccontextmanager
async def opened(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, first: str = "", second: str = ""
) -> AsyncIterator[Pair]:
    """Run both servers, each as it is or as a script has it, and lend a pair with a record at them."""

    def serving(script: str) -> AbstractContextManager[Server]:
        if script:
            monkeypatch.setattr(running, "COMMAND", (sys.executable, "-c", script))
        return installation.serving("serve", "--port", "0", anew=bool(script))

    with serving(first) as one:
        with serving(second) as two:
            assert one.process.pid != two.process.pid
            assert one.address != two.address
            async with (
                httpx.AsyncClient(base_url=one.address, timeout=30) as at_one,
                httpx.AsyncClient(base_url=two.address, timeout=30) as at_two,
            ):
                # A session is of neither server: its token is good at both.
                ada = Person(await token_of(at_one, "ada@northside.example"), at_one, at_two)
                pat = Person(await token_of(at_two, "pat@mail.example"), at_one, at_two)
                options = {"sendNotifications": False}
                definition = {
                    "name": "c_note",
                    "pluralName": "c_notes",
                    "label": "Note",
                    "allowConnections": True,
                }
                await ada.does(at_one, "POST", "/objects", {**definition, "connectionOptions": options})
                record = (await ada.does(at_one, "POST", "/c_notes", {"text": "0"}))["_id"]
                yield Pair(ada, pat, record)
        assert two.process.returncode == 0


async def shares_and_takes_back(pair: Pair, times: int) -> None:
    """Share, read, take back, read, and again."""
    for number in range(times):
        connection = await pair.share()
        await pair.revoke(connection)
        await pair.must_not_see(f"after {number} was taken back")


async def test_the_next_read_at_the_other_server_finds_nothing(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, rounds: int
) -> None:
    async with opened(installation, monkeypatch) as pair:
        await shares_and_takes_back(pair, rounds)
        assert pair.stale == []
    assert installation.json("verify") == []


async def writes_what_the_other_may_not_see(pair: Pair, times: int) -> None:
    """Take back, then write: whoever reads without a pause at the other server sees nothing of it."""
    seen: list[str] = []
    over = asyncio.Event()

    async def reads_on() -> None:
        while not over.is_set():
            answer = await pair.look()
            if answer.status_code == 200:
                seen.append(answer.json()["text"])

    reader = asyncio.create_task(reads_on())
    try:
        for number in range(times):
            connection = await pair.share()
            await pair.revoke(connection)
            secret = f"secret {number}"
            await pair.ada.does(pair.first, "PUT", f"/c_notes/{pair.record}", {"text": secret})
            added = (await pair.ada.does(pair.first, "POST", "/c_notes", {"text": secret}))["_id"]
            await pair.must_not_see(f"when {secret} was written")
            if (await pair.pat.send(pair.second, "GET", f"/c_notes/{added}")).status_code != 404:
                pair.stale.append(f"the record with {secret} is read")
            # Before it is shared again it says what everybody may read.
            await pair.ada.does(pair.first, "DELETE", f"/c_notes/{added}")
            await pair.ada.does(pair.first, "PUT", f"/c_notes/{pair.record}", {"text": str(number)})
    finally:
        over.set()
        await reader
    pair.stale += [f"{text} was read" for text in seen if text.startswith("secret")]
    assert seen, "nobody read anything, so it shows nothing"


async def test_what_is_written_after_it_was_taken_back_is_never_seen_at_the_other_server(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, rounds: int
) -> None:
    async with opened(installation, monkeypatch) as pair:
        await writes_what_the_other_may_not_see(pair, rounds)
        assert pair.stale == []
    assert installation.json("verify") == []


async def test_control_a_server_that_remembers_what_it_decided_is_found_out(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(installation, monkeypatch, second=REMEMBERS) as pair:
        await shares_and_takes_back(pair, 1)
        assert pair.stale == ["after 0 was taken back: the record is read (200)"]
        pair.stale.clear()
        await writes_what_the_other_may_not_see(pair, 1)
        assert "secret 0 was read" in pair.stale


async def test_control_a_server_that_leaves_the_grant_is_found_out(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(installation, monkeypatch, first=LEAVES_THE_GRANT) as pair:
        await shares_and_takes_back(pair, 1)
        assert len(pair.stale) == 2
    monkeypatch.undo()
    assert [found["code"] for found in installation.json("verify", status=4)] == ["H2"]
