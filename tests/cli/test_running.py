"""`serve` and what keeps it from serving: each says what is wrong and how to mend it, and leaves nothing running."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest

from cli.conftest import PASSWORD
from cli.running import COMMAND, Installation, wait_for_the_end

if TYPE_CHECKING:
    from pathlib import Path

    from hospitium.storage.embedded import EmbeddedPostgres

PUBLIC_URL = "https://hospitium.example"
WITHOUT_DATABASE = ("migrate", "verify", "org list", "account list", "load", "serve --port 0")


@pytest.fixture
def beside(passable_directory: Path, database_url: str) -> Installation:
    """An installation on a PostgreSQL of its own (DATABASE_URL), with keys."""
    made = Installation(
        passable_directory / "data",
        DATABASE_URL=database_url,
        HOSPITIUM_KEYS=str(passable_directory / "keys"),
    )
    made.says("keys", "make")
    return made


def claims(http: httpx.Client) -> dict[str, Any]:
    part = http.headers["Authorization"].split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))  # type: ignore[no-any-return]


async def execute(url: str, sql: str, *values: Any) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(sql, *values)
    finally:
        await connection.close()


# -- serving -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_three_commands_on_an_empty_directory_are_all_it_takes(
    fresh: Installation, world_file: Path, how: int
) -> None:
    fresh.environment |= {"PUBLIC_URL": PUBLIC_URL, "ALLOWED_HOSTS": "127.0.0.1"}
    by_hand = (
        how == signal.SIGINT
    )  # where it is a person who stops it, Python is started as by him, three times
    for words in (("migrate",), ("load", str(world_file))):
        if by_hand:
            subprocess.run([*COMMAND, *words], env=fresh.environment, check=True, timeout=60, stdout=subprocess.DEVNULL)  # fmt: skip
        else:
            fresh.says(*words)
        assert fresh.postmaster() is None
    with fresh.serving("serve", "--port", "0", anew=by_hand) as server:
        assert server.said == f"Hospitium serves at {server.address}\n"
        assert urlsplit(server.address).hostname == "127.0.0.1"
        with server.signed_in("ada@northside.example", PASSWORD) as ada:
            assert claims(ada)["iss"] == PUBLIC_URL
            assert "Lakeside Imaging" in ada.get("/api/connections/established").text
            assert ada.get("/health/ready").json() == {"status": "ready"}
        processes = fresh.database_processes()
        assert processes
        assert server.stop(how) == 0
    wait_for_the_end(processes)
    assert fresh.postmaster() is None


def test_it_listens_where_it_is_told(beside: Installation) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with beside.serving("serve", "--host", "127.0.0.1", "--port", str(port)) as server:
        assert server.address == f"http://127.0.0.1:{port}"
        assert httpx.get(f"{server.address}/health/live").status_code == 200


def test_without_a_public_url_it_is_known_by_where_it_listens(beside: Installation, world_file: Path) -> None:
    beside.says("load", str(world_file))
    with beside.serving() as server, server.signed_in("ada@northside.example", PASSWORD) as ada:
        assert claims(ada)["iss"] == server.address


def test_when_a_service_key_was_last_used_is_written_down_on_stopping(
    beside: Installation, world_file: Path
) -> None:
    beside.says("load", str(world_file))
    made = json.loads(beside.run("key", "make", "northside", "App", "--scope", "check", "--json").stdout)
    headers = {"Authorization": f"Bearer {made['key']}"}
    with beside.serving() as server:
        assert httpx.get(f"{server.address}/v1/members", headers=headers).status_code == 403
        assert beside.json("key", "list", "northside")[0]["last_used_at"] is None
        assert server.stop(signal.SIGTERM) == 0
    assert beside.json("key", "list", "northside")[0]["last_used_at"] is not None


def test_after_a_rotation_tokens_of_before_are_still_good(beside: Installation, world_file: Path) -> None:
    beside.environment |= {"PUBLIC_URL": PUBLIC_URL, "ALLOWED_HOSTS": "127.0.0.1"}
    beside.says("load", str(world_file))
    with beside.serving() as server, server.signed_in("ada@northside.example", PASSWORD) as ada:
        token = ada.headers["Authorization"]
        answer = ada.post("/api/auth/login", json={"email": "ada@northside.example", "password": PASSWORD})
        refresh_token = answer.json()["data"]["refreshToken"]

    for purpose in ("signing", "links"):
        rotated = beside.json("keys", "rotate", purpose)
        assert [one["retired"] is None for one in rotated if one["key"].startswith(purpose)] == [False, True]
    with beside.serving() as server, httpx.Client(base_url=server.address) as http:
        assert http.get("/api/connections/incoming", headers={"Authorization": token}).status_code == 200
        assert http.post("/api/auth/refresh", json={"refreshToken": refresh_token}).status_code == 200
        kids = {key["kid"] for key in http.get("/.well-known/jwks.json").json()["keys"]}
        assert kids == {"signing-1", "signing-2"}


# -- what keeps it from serving ------------------------------------------------------------------------------------------


def test_a_port_that_is_taken(fresh: Installation) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = fresh.complains("serve", "--port", str(port), status=3)
    assert (
        said
        == f"hospitium: can't listen at 127.0.0.1 port {port} (Address already in use): choose another with --host or --port\n"
    )
    assert fresh.postmaster() is None


def test_a_wrong_setting(fresh: Installation) -> None:
    said = fresh.complains("serve", status=3, REGISTRATION="maybe")
    assert said == "hospitium: REGISTRATION must be one of closed, approval, open\n"
    assert not fresh.data.exists()


def test_no_schema(fresh: Installation, world_file: Path) -> None:
    for words in (["serve", "--port", "0"], ["load", str(world_file)], ["verify"]):
        assert (
            fresh.complains(*words, status=3) == "hospitium: the database is empty: run `hospitium migrate`\n"
        )
        assert fresh.postmaster() is None


async def test_a_schema_of_another_version(beside: Installation, database_url: str) -> None:
    await execute(database_url, "UPDATE alembic_version SET version_num = '9999'")
    for words in (["serve", "--port", "0"], ["migrate"], ["org", "list"]):
        assert "9999" in (said := beside.complains(*words, status=3))
        assert "install the version that made it" in said


@pytest.mark.skipif(os.geteuid() != 0, reason="NOT TESTED: only root hands its database to another user")
def test_a_data_directory_the_databases_user_can_not_reach(passable_directory: Path) -> None:
    (passable_directory / "closed").mkdir(mode=0o700)
    said = Installation(passable_directory / "closed" / "data").complains("migrate", status=3)
    assert "can't enter" in said
    assert "HOSPITIUM_DATA" in said


def test_a_database_that_does_not_answer(passable_directory: Path, world_file: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and never listens
        url = f"postgresql://ada:canary-password@127.0.0.1:{nobody.getsockname()[1]}/hospitium"
        away = Installation(
            passable_directory / "data", DATABASE_URL=url, HOSPITIUM_KEYS=str(passable_directory / "keys")
        )
        away.says("keys", "make")
        for command in WITHOUT_DATABASE:
            words = [*command.split(), *([str(world_file)] if command == "load" else [])]
            said = away.complains(*words, status=3)
            assert said.startswith("hospitium: the database can't be reached (")
            assert "is it running, and is DATABASE_URL right?" in said
            assert "canary-password" not in said


def test_a_wrong_database_password_user_or_name(beside: Installation, cluster: EmbeddedPostgres) -> None:
    right = cluster.url("postgres")
    password = right.split(":")[2].split("@")[0]
    for wrong in (
        right.replace(password, "canary-password"),
        right.replace("hospitium:", "nobody-by-this-name:", 1),
        cluster.url("no_such_database"),
    ):
        for command in ("migrate", "verify", "serve --port 0"):
            said = beside.complains(*command.split(), status=3, DATABASE_URL=wrong)
            assert said.startswith("hospitium: the database can't be reached (")
            assert "canary-password" not in said
            assert password not in said


async def test_a_database_where_it_may_make_nothing(beside: Installation, cluster: EmbeddedPostgres) -> None:
    await execute(cluster.url("postgres"), "CREATE DATABASE nothing_allowed")
    try:
        await execute(
            cluster.url("nothing_allowed"),
            "ALTER DATABASE nothing_allowed SET default_transaction_read_only = on",
        )
        said = beside.complains("migrate", status=3, DATABASE_URL=cluster.url("nothing_allowed"))
        assert said.startswith("hospitium: the migration failed, and left nothing behind: cannot execute")
        assert "read-only" in said
    finally:
        await execute(cluster.url("postgres"), "DROP DATABASE nothing_allowed WITH (FORCE)")


def test_keys_that_are_not_named_beside_a_database_of_ones_own(beside: Installation) -> None:
    del beside.environment["HOSPITIUM_KEYS"]
    said = beside.complains("serve", "--port", "0", status=3)
    assert said.startswith("hospitium: with a DATABASE_URL the keys must be named")
    assert "HOSPITIUM_KEYS" in said
    assert not (beside.data / "keys").exists()


def test_keys_that_are_not_there(beside: Installation, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    said = beside.complains("serve", "--port", "0", status=3, HOSPITIUM_KEYS=str(empty))
    assert said.startswith(f"hospitium: there is no signing key in {empty}")
    assert "`hospitium keys make`" in said
    assert not empty.exists()


def test_keys_of_another_database(beside: Installation, tmp_path: Path) -> None:
    with beside.serving():
        pass  # now the database has met its keys
    other = str(tmp_path / "other")
    beside.says("keys", "make", HOSPITIUM_KEYS=other)
    said = beside.complains("serve", "--port", "0", status=3, HOSPITIUM_KEYS=other)
    assert "is not the key this database knows by that name: bring the right key back" in said


# -- verify --------------------------------------------------------------------------------------------------------------

BREAK = [
    ("DELETE FROM grants WHERE id = (SELECT min(id::text)::uuid FROM grants)", {"D4-open"}),
    ("UPDATE partnership_tallies SET count = count + 1 WHERE side = 'source'", {"T1"}),
    ("UPDATE partnerships SET status = 'terminated', terminated_at = now(), terminated_by = source_id, termination_reason = 'x'", {"D4-closed", "S5", "T1"}),
    ("DELETE FROM event_parties WHERE event_id IN (SELECT id FROM events WHERE kind = 'partnership.imported')", {"S5-parties"}),
    ("UPDATE accounts SET email = 'Other@northside.example' WHERE email_key = 'ada@northside.example'", {"D12"}),
]  # fmt: skip


async def test_verify_names_what_must_not_be(
    beside: Installation, database_url: str, world_file: Path
) -> None:
    beside.says("load", str(world_file))
    assert beside.json("verify") == []
    connection = await asyncpg.connect(database_url)
    # What a superuser can do by mistake: with the triggers off, nothing holds him back.
    await connection.execute("SET session_replication_role = replica")
    partnership = await connection.fetchval("SELECT id::text FROM partnerships")
    for sql, codes in BREAK:
        whole = connection.transaction()
        await whole.start()
        await connection.execute(sql)
        await whole.commit()
        found = beside.json("verify", status=4)
        assert {one["code"] for one in found} >= codes, sql
        assert all(one["sentence"] and one["found"] for one in found)
    await connection.close()

    said = beside.run("verify", status=4).stdout
    assert (
        "S5: The events of a partnership, replayed, end in the row: same status, same version, none missing.\n"
        in said
    )
    assert f"    not so: {partnership}\n" in said
