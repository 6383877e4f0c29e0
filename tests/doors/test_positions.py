"""What a write answers lets a read wait for it: also at a server that stands on a streaming replica, which is a little behind."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import httpx
import pytest

from cast import PASSWORD, Caller, House, MovableClock
from doors.native.following import makes_key
from doors.native.living import done
from doors.native.problems import problem
from hospitium import settings
from hospitium.app import application, parts_of
from hospitium.doors import catching_up, unit_of_work
from hospitium.doors.surroundings import Surroundings
from hospitium.engine.sealing import SealingKey
from hospitium.storage.database import Database
from hospitium.storage.embedded import EmbeddedPostgres
from hospitium.storage.keyring import Keyring
from hospitium.storage.positions import Position
from hospitium.storage.schema import migrate

POSITION = "hospitium-position"
AFTER = "Hospitium-After"


@pytest.fixture
async def raw(house: House) -> AsyncIterator[httpx.AsyncClient]:
    """A client whose answers are not held against the document: this header is of every address, and stands at none."""
    async with httpx.AsyncClient(base_url=house.base_url, timeout=30, verify=False) as http:
        yield http


async def reads(
    http: httpx.AsyncClient, caller: Caller, after: str, path: str = "/v1/teams"
) -> httpx.Response:
    return await http.get(path, headers={**caller.headers, AFTER: after})


async def makes_team(caller: Caller, name: str) -> str:
    """Make a team; return the position of that."""
    made = await caller.post("/v1/teams", {"name": name})
    done(made, 201)
    position: str = made.headers[POSITION]
    return position


# -- what is answered --------------------------------------------------------------------------------------------------


async def test_every_surface_says_where_a_write_stands_and_the_next_read_may_ask_for_it(
    house: House, raw: httpx.AsyncClient
) -> None:
    answers = [
        await house.ada.post("/v1/teams", {"name": "Night shift"}),
        await house.ada.asks(house.lakeside),
        await house.ada.post(
            "/Persons", {"firstName": "Kim", "lastName": "Doe", "gender": "Female", "birthDate": "2019-04-05"}
        ),
        await house.stranger.post("/v1/sessions", {"email": "ada@northside.example", "password": PASSWORD}),
        await house.stranger.post(
            "/api/auth/login", {"email": "ada@northside.example", "password": PASSWORD}
        ),
        await house.ada.get("/v1/accounts/own/export"),
        await house.http.post(
            "/northside/v2/objects",
            json={"name": "c_note", "pluralName": "c_notes", "label": "Note"},
            headers=house.ada.headers,
        ),
    ]
    for answer in answers:
        assert answer.status_code in (200, 201), answer.text
        assert len(answer.headers.get_list(POSITION)) == 1, answer.request.url
    positions = {answer.headers[POSITION] for answer in answers}
    assert len(positions) == len(answers)
    for position in positions:
        for path in ("/v1/teams", "/api/connections/outgoing", "/northside/v2/accounts/me", "/Persons"):
            read = await reads(raw, house.ada, position, path)
            assert read.status_code == 200, read.text
            assert POSITION not in read.headers


async def test_what_only_read_or_was_refused_says_nothing(house: House) -> None:
    team = {"name": "Night shift"}
    first = await house.ada.post("/v1/teams", team, Idempotency_Key="one")
    for answer in (
        await house.ada.get("/v1/teams"),
        await house.ada.get("/v1/accounts/own"),
        await house.ada.post("/v1/teams", team),  # taken: kept as an event, and refused
        await house.ada.asks(house.northside),
        await house.ben.asks(house.lakeside),
        await house.stranger.post("/v1/teams", team),
        await house.stranger.post(
            "/v1/sessions", {"email": "ada@northside.example", "password": "wrong wrong"}
        ),
        await house.stranger.get("/health/live"),
        await house.stranger.get("/nowhere"),
    ):
        assert POSITION not in answer.headers, answer.request.url
    assert first.headers[POSITION]


async def test_nobody_learns_from_it_whether_an_address_is_known(house: House) -> None:
    for path in ("/v1/accounts", "/v1/accounts/confirmation", "/v1/accounts/password-reset"):
        for email in ("ada@northside.example", "nobody@mail.example"):
            body = {"email": email} | (
                {"password": "a quiet green harbour"} if path == "/v1/accounts" else {}
            )
            answer = await house.stranger.post(path, body)
            assert (answer.status_code, POSITION in answer.headers) == (202, False)
    # Nor does somebody who is known, where what comes of it is not told.
    for email in ("new@mail.example", "rui@lakeside.example"):
        answer = await house.ada.post("/v1/accounts/own/email", {"email": email, "password": PASSWORD})
        assert (answer.status_code, POSITION in answer.headers) == (202, False)


async def test_it_tells_nothing_of_how_much_happened_between(house: House) -> None:
    """Of a number one could count what others do; sealed, it is new each time."""
    positions = [await makes_team(house.ada, f"Team {number}") for number in range(8)]
    assert len({position[:16] for position in positions}) == 8
    assert len({len(position) for position in positions}) == 1
    keys = house.parts.sealing_keys
    opened = [catching_up.read(position, keys).transaction for position in positions]
    assert opened == sorted(opened)
    position = catching_up.read(positions[0], keys)
    assert catching_up.spelled(position, house.parts.sealing_key) != positions[0]
    assert catching_up.read(catching_up.spelled(position, house.parts.sealing_key), keys) == position


async def test_what_is_no_position_of_this_server_is_refused_by_the_name_of_the_header(
    house: House, raw: httpx.AsyncClient
) -> None:
    good = await makes_team(house.ada, "Night shift")
    elsewhere = catching_up.spelled(Position(b"\0\0\0\0", 1), house.parts.sealing_key)
    of_others = catching_up.spelled(Position(b"\0\0\0\0", 1), SealingKey(1, bytes(32)))
    wrong = [
        "", "1", "1-", "x", "1-" + "A" * 59, "1-" + "A" * 58, "0" + good[1:], good + "=", good + "A", good[:-1], good.upper(), "1-" + good,
        good[:10] + ("B" if good[10] != "B" else "C") + good[11:], "1-" + "é" * 4, "x" * 5_000, elsewhere, of_others,
    ]  # fmt: skip
    for after in wrong:
        refused = problem(
            await raw.get("/v1/teams", headers={**house.ada.headers, AFTER: after.encode()}), 400, "invalid"
        )  # type: ignore[dict-item]
        assert refused["errors"][0]["field"] == AFTER
        assert "A" * 58 not in refused["detail"]
    twice = await raw.get("/v1/teams", headers=[*house.ada.headers.items(), (AFTER, good), (AFTER, good)])
    assert problem(twice, 400, "invalid")["errors"][0]["field"] == AFTER
    for path in (
        "/api/connections/outgoing",
        "/northside/v2/accounts/me",
        "/Persons",
        "/health/live",
        "/console/sign-in",
    ):
        refused_there = await reads(raw, house.ada, "nonsense", path)
        assert refused_there.status_code == 400, path
        assert AFTER in refused_there.text or "console" in path
        assert (await reads(raw, house.ada, good, path)).status_code == 200


async def test_what_answers_without_the_unit_of_work_waits_too(house: House, raw: httpx.AsyncClient) -> None:
    question = {
        "subject": {"type": "account", "id": "ada@northside.example"},
        "resource": {"type": "organization", "id": str(house.northside)},
        "action": {"name": "read"},
    }
    application, _ = await makes_key(house, house.ada, "check")
    good = await makes_team(house.ada, "Night shift")
    answered = await raw.post(
        "/access/v1/evaluation", json=question, headers={**application.headers, AFTER: good}
    )
    assert answered.status_code == 200, answered.text
    refused = await raw.post(
        "/access/v1/evaluation", json=question, headers={**application.headers, AFTER: "nonsense"}
    )
    assert refused.status_code == 400
    assert AFTER in refused.text


async def test_a_position_of_a_newer_key_is_another_servers_to_read_for_now(
    house: House, raw: httpx.AsyncClient
) -> None:
    newer = catching_up.spelled(Position(b"\0\0\0\0", 1), SealingKey(99, bytes(32)))
    refused = await reads(raw, house.ada, newer)
    problem(refused, 503, "unavailable")
    assert refused.headers["retry-after"]


async def test_who_names_no_position_waits_for_nothing_and_asks_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: Any) -> bool:
        raise AssertionError

    monkeypatch.setattr(unit_of_work.UnitOfWork, "catches_up", never)
    done(await house.ada.get("/v1/teams"))


# -- waiting -----------------------------------------------------------------------------------------------------------


async def test_a_read_waits_for_a_write_that_is_not_there_yet_and_says_so_when_it_took_too_long(
    house: House, raw: httpx.AsyncClient, database_url: str
) -> None:
    other = await asyncpg.connect(database_url)
    held = other.transaction()
    await held.start()
    transaction = int(await other.fetchval("SELECT pg_current_xact_id()::text"))
    mark = catching_up.read(await makes_team(house.ada, "Night shift"), house.parts.sealing_keys).mark
    after = catching_up.spelled(Position(mark, transaction), house.parts.sealing_key)

    began = time.monotonic()
    answers = await asyncio.gather(
        *(
            reads(raw, house.ada, after, path)
            for path in ("/v1/teams", "/api/connections/outgoing", "/northside/v2/accounts/me", "/Persons")
        )
    )
    assert 1.9 < time.monotonic() - began < 10
    assert {answer.status_code for answer in answers} == {503}
    assert all(int(answer.headers["retry-after"]) > 0 for answer in answers)
    assert answers[0].json()["type"] == "urn:hospitium:problem:unavailable"
    assert answers[1].json()["success"] is False

    waiting = asyncio.create_task(reads(raw, house.ada, after))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    pool = house.database.pool()
    assert pool.size - pool.idle <= 1  # it waits without a connection, but for the moment in which it looks
    await held.commit()
    done(await waiting)
    await other.close()


def replica_of(primary: EmbeddedPostgres, data: Path) -> EmbeddedPostgres:
    """Copy a running cluster, and have the copy replay what the other writes."""
    made = EmbeddedPostgres(data, binaries=primary._binaries, durable=False)
    made._make_directory()
    made.cluster.mkdir(mode=0o700)
    made._give(made.cluster)
    shutil.copy(primary._password_file, made._password_file)
    copied = made._run(
        [
            "pg_basebackup",
            "-d",
            primary.url("postgres"),
            "-D",
            str(made.cluster),
            "-X",
            "stream",
            "-R",
            "-c",
            "fast",
        ]
    )
    assert copied.returncode == 0, copied.stderr
    made.start()
    return made


class Pair(NamedTuple):
    """A house on a primary, and a server beside it that reads from a replica."""

    house: House
    replica: Database
    parts: Surroundings
    http: httpx.AsyncClient

    async def at_replica(self, sql: str) -> Any:
        async with self.replica.transaction() as tx:
            return await tx.fetchval(sql)

    async def names(self, after: str | None = None) -> list[str]:
        """Return the teams that ada sees at the replica."""
        headers = self.house.ada.headers if after is None else {**self.house.ada.headers, AFTER: after}
        return [team["name"] for team in done(await self.http.get("/v1/teams", headers=headers))["teams"]]


@pytest.fixture
def clusters(passable_directory: Path) -> Iterator[tuple[EmbeddedPostgres, EmbeddedPostgres]]:
    """A primary with the newest schema, and its streaming replica."""
    primary = EmbeddedPostgres(
        passable_directory / "primary"
    )  # one that writes at once, and not when it suits
    primary.start()
    with (primary.cluster / "pg_hba.conf").open("a") as who_may:
        who_may.write("local replication hospitium scram-sha-256\n")

    async def prepare() -> None:
        connection = await asyncpg.connect(primary.url("postgres"))
        await connection.execute("SELECT pg_reload_conf()")
        await connection.execute("CREATE DATABASE house")
        await connection.close()
        await migrate(primary.url("house"))

    asyncio.run(prepare())
    replica = replica_of(primary, passable_directory / "replica")
    yield primary, replica
    replica.stop()
    primary.stop()


@pytest.fixture
async def pair(
    clusters: tuple[EmbeddedPostgres, EmbeddedPostgres], clock: MovableClock, tmp_path: Path
) -> AsyncIterator[Pair]:
    primary, replica = clusters
    async with House.open(primary.url("house"), clock, tmp_path / "keys") as house:
        database = await Database.open(replica.url("house"), size=4, patience=30)
        keyring = Keyring.load(tmp_path / "keys", clock(), make=False)
        chosen = settings.read({"HOSPITIUM_DATA": str(tmp_path)})
        parts = parts_of(database, keyring, chosen, house.base_url, clock)
        transport = httpx.ASGITransport(app=application(parts))  # type: ignore[arg-type]
        async with httpx.AsyncClient(
            transport=transport, base_url="http://replica.example", timeout=60
        ) as http:
            yield Pair(house, database, parts, http)
        parts.passwords.close()
        await database.close()


async def test_a_server_on_a_streaming_replica_waits_for_the_write_or_says_that_it_is_behind(
    pair: Pair, rounds: int
) -> None:
    assert await pair.at_replica("SELECT pg_is_in_recovery()")
    house = pair.house
    assert await pair.names(await makes_team(house.ada, "First")) == ["First"]

    await pair.at_replica("SELECT 1 FROM (SELECT pg_wal_replay_pause()) AS paused")
    while await pair.at_replica("SELECT pg_get_wal_replay_pause_state()") != "paused":
        await asyncio.sleep(0.01)
    position = await makes_team(house.ada, "Second")
    assert await pair.names() == ["First"]  # who doesn't ask for it sees what was
    began = time.monotonic()
    behind = await pair.http.get("/v1/teams", headers={**house.ada.headers, AFTER: position})
    problem(behind, 503, "unavailable")
    assert int(behind.headers["retry-after"]) > 0
    assert 1.9 < time.monotonic() - began < 10

    waiting = asyncio.create_task(pair.names(position))
    await asyncio.sleep(0.5)
    assert not waiting.done()
    await pair.at_replica("SELECT 1 FROM (SELECT pg_wal_replay_resume()) AS resumed")
    assert "Second" in await waiting

    # Whatever it lags behind: who asks for it always sees it.
    for number in range(max(rounds, 20)):
        name = f"Round {number}"
        assert name in await pair.names(await makes_team(house.ada, name))

    # What was written by signing in at the one is known at the other.
    signed_in = await house.stranger.post(
        "/v1/sessions", {"email": "ada@northside.example", "password": PASSWORD}
    )
    token = done(signed_in)["accessToken"]
    read = await pair.http.get(
        "/v1/teams", headers={"Authorization": f"Bearer {token}", AFTER: signed_in.headers[POSITION]}
    )
    assert read.status_code == 200
