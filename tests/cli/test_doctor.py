"""`hospitium doctor`: each wrong thing, made wrong, is named with its mend; nothing secret is said."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import pytest

from cli.running import Installation
from fakes.authorities import OVER, authority
from fakes.mail_server import MailServer
from hospitium.doors.cli import doctor
from hospitium.doors.cli.doctor import State
from hospitium.doors.cli.house import Installation as SetUp
from hospitium.storage.backup import DUMP, MANIFEST
from hospitium.storage.embedded import installed_binaries

Said = dict[str, list[tuple[str, str]]]


@pytest.fixture
def beside(passable_directory: Path, database_url: str) -> Installation:
    """An installation on a PostgreSQL of its own, in order but for what a test makes wrong."""
    made = Installation(
        passable_directory / "data",
        DATABASE_URL=database_url,
        HOSPITIUM_KEYS=str(passable_directory / "keys"),
        HOSPITIUM_PG_BIN=str(installed_binaries()),
        PUBLIC_URL="https://192.0.2.7",
        TRUSTED_PROXIES="192.0.2.1",
    )
    made.says("keys", "make")
    made.data.mkdir(mode=0o711)
    return made


def said(installation: Installation, *words: str, **settings: str) -> Said:
    """What the doctor says, by what it is about."""
    environment = installation.environment
    installation.environment = {**environment, **settings}
    # The cluster of the tests forgets on power loss, and the doctor says so: something is always wrong there.
    status = 4 if "DATABASE_URL" in environment else 0
    found: Said = {}
    for one in installation.json("doctor", *words, status=status):
        found.setdefault(one["about"], []).append((one["state"], one["said"]))
    installation.environment = environment
    return found


async def execute(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    for sql in statements:
        await connection.execute(sql)
    await connection.close()


# -- in order --------------------------------------------------------------------------------------------------------------


def test_an_installation_that_was_just_made_has_nothing_wrong(fresh: Installation, tmp_path: Path) -> None:
    new = said(fresh)
    assert {state for findings in new.values() for state, _ in findings} == {"ok", "warning"}
    assert new["database"] == [("warning", "there is none yet: run `hospitium migrate`")]
    assert not fresh.data.exists(), "looking must not make anything"

    fresh.says("migrate")
    with fresh.serving():
        fresh.says("backup", str(tmp_path))
        found = said(fresh, "--backups", str(tmp_path))
    assert found.keys() >= {"settings", "files", "keys", "database", "durability", "connections", "clock", "schema", "seals", "space"}  # fmt: skip
    assert {about for about, findings in found.items() if findings[0][0] != "ok"} == {"mail", "address"}


def test_it_prints_a_line_each_for_a_person(fresh: Installation) -> None:
    lines = fresh.says("doctor").splitlines()
    assert lines[0].split() == ["state", "about", "what", "there", "is"]
    assert all(line.split()[0] in list(State) for line in lines[1:])


async def test_it_changes_nothing(beside: Installation, database_url: str) -> None:
    async def everything() -> str:
        connection = await asyncpg.connect(database_url)
        try:
            tables = await connection.fetch(
                "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
            )
            return str(
                [
                    [table[0], await connection.fetch(f"SELECT t::text FROM {table[0]} AS t")]
                    for table in tables
                ]
            )
        finally:
            await connection.close()

    before, files = await everything(), sorted(beside.data.parent.rglob("*"))
    said(beside)
    assert (await everything(), sorted(beside.data.parent.rglob("*"))) == (before, files)


# -- made wrong ------------------------------------------------------------------------------------------------------------


class Wrong(NamedTuple):
    about: str
    state: str
    says: str
    make: Callable[[Installation], Any] = lambda _: None
    settings: dict[str, str] = {}  # noqa: RUF012  never changed


def keys_of(installation: Installation) -> Path:
    return Path(installation.environment["HOSPITIUM_KEYS"])


def make_old(installation: Installation) -> None:
    path = keys_of(installation) / "signing-1.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "made_at": "2024-01-01T00:00:00Z"}))


WRONG = [
    Wrong("files", "wrong", "has mode 0777: chmod go-w", lambda i: i.data.chmod(0o777)),
    Wrong("files", "wrong", "keys has mode 0755: chmod go=", lambda i: keys_of(i).chmod(0o755)),
    Wrong("keys", "wrong", "can be read by others: chmod 600", lambda i: (keys_of(i) / "links-1.json").chmod(0o644)),
    Wrong("keys", "wrong", "there is no links key", lambda i: (keys_of(i) / "links-1.json").unlink()),
    Wrong("keys", "warning", "signing-1 is of 2024-01-01: `hospitium keys rotate signing`", make_old),
    Wrong("keys", "wrong", "there is no signing key", settings={"HOSPITIUM_KEYS": "/nowhere"}),
    Wrong("database", "wrong", "can't be reached", settings={"DATABASE_URL": "postgresql://x:canary@127.0.0.1:1/x"}),
    Wrong("durability", "wrong", "fsync, full_page_writes, synchronous_commit off: what was acknowledged can be lost"),
    Wrong("connections", "wrong", "a server takes 1004 of 397: lower DATABASE_CONNECTIONS", settings={"DATABASE_CONNECTIONS": "1000"}),
    Wrong("connections", "warning", "two servers side by side would not fit", settings={"DATABASE_CONNECTIONS": "300"}),
    Wrong("mail", "warning", "SMTP_URL is not set: mails are written into"),
    Wrong("mail", "wrong", "can't be used (connection)", settings={"SMTP_URL": "smtp://a:canary@127.0.0.1:1"}),
    Wrong("address", "wrong", "is not https: passwords would cross the network readable", settings={"PUBLIC_URL": "http://192.0.2.7"}),
    Wrong("address", "warning", "is this machine alone: nobody else can follow", settings={"PUBLIC_URL": "http://localhost:8420"}),
    Wrong("address", "warning", "nowhere.invalid has no address here", settings={"PUBLIC_URL": "https://nowhere.invalid"}),
    Wrong("proxies", "warning", "TRUSTED_PROXIES is empty", settings={"TRUSTED_PROXIES": ""}),
    Wrong("backups", "warning", "not looked at: name the directory"),
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: f"{wrong.about}: {wrong.says}")
def test_what_is_wrong_is_named_with_its_mend(beside: Installation, wrong: Wrong) -> None:
    wrong.make(beside)
    found = said(beside, **wrong.settings)
    assert any(state == wrong.state and wrong.says in text for state, text in found[wrong.about]), found
    text = str(found)
    assert "canary" not in text
    assert beside.environment["DATABASE_URL"].split(":")[2].split("@", maxsplit=1)[0] not in text


def test_an_address_that_is_not_made_known_is_a_warning(beside: Installation) -> None:
    del beside.environment["PUBLIC_URL"]
    ((state, text),) = said(beside)["address"]
    assert (state, text) == ("warning", "PUBLIC_URL is not set: links name where `serve` listens")


BROKEN = [
    ("schema", "wrong", "has schema 0003, this version needs", ["UPDATE alembic_version SET version_num = '0003'"]),
    ("schema", "wrong", "which this version", ["UPDATE alembic_version SET version_num = '9999'"]),
    ("extension", "wrong", "pg_trgm is missing: run `hospitium migrate`", ["DROP EXTENSION pg_trgm CASCADE"]),
    ("keys", "wrong", "is not the key this data knows by that name", ["INSERT INTO known_keys VALUES ('links', 1, 'x', '2026-01-01')"]),
    ("keys", "wrong", "this data needs the key links-7, which is not in", ["INSERT INTO known_keys VALUES ('links', 7, 'x', '2026-01-01')"]),
    ("restore", "wrong", "no server starts before `hospitium restore begin`", ["INSERT INTO epochs VALUES (1, 'x', '2026-03-01 00:00Z')"]),
    ("restore", "warning", "held since 2026-03-01 00:00 UTC: look, then `hospitium restore confirm`", ["INSERT INTO epochs SELECT 2, concat_ws('/', system_identifier, oid, 'epochs'::regclass::oid), '2026-03-01 00:00Z', NULL, '2026-03-01 00:00Z' FROM pg_control_system(), pg_database WHERE datname = current_database()"]),
    ("seals", "warning", "1 events wait since 2026-03-01 00:00 UTC", ["INSERT INTO events (id, at, transaction, kind, actor_kind, subject_kind, data) VALUES (gen_random_uuid(), '2026-03-01 00:00Z', 1, 'refused', 'system', 'account', '{}')"]),
]  # fmt: skip


@pytest.mark.parametrize(("about", "state", "says", "statements"), BROKEN, ids=lambda one: str(one)[:40])
async def test_what_is_wrong_in_the_database_is_named(
    beside: Installation, database_url: str, about: str, state: str, says: str, statements: list[str]
) -> None:
    await execute(database_url, *statements)
    found = said(beside)
    assert any(one == state and says in text for one, text in found[about]), found


async def test_authorities_that_expire_are_named_in_time(beside: Installation, database_url: str) -> None:
    await execute(
        database_url,
        "INSERT INTO organizations (id, code, name, name_key, type, status, created_at, updated_at) "
        "SELECT gen_random_uuid(), 'northside', 'Northside', 'northside', 'referring', 'active', now(), now()",
    )
    connection = await asyncpg.connect(database_url)
    for days, expected in (((-400, 90), "ok"), ((-400, 10), "warning"), (OVER, "wrong")):
        await connection.execute("UPDATE fhir_servers SET removed_at = now(), authorities_pem = NULL")
        await connection.execute(
            "INSERT INTO fhir_servers (id, organization_id, name, name_key, kind, base_url, authorities_pem, created_at) "
            "SELECT gen_random_uuid(), id, 'Clinic', 'clinic', 'remote', 'https://fhir.example', $1, now() FROM organizations",
            authority(days=days).pem,
        )
        ((state, text),) = said(beside)["fhir servers"]
        assert state == expected, text
        assert "Clinic" in text or state == "ok"
        assert "hospitium fhir authorities" in text or state == "ok"
    await connection.close()


async def test_a_mail_server_that_lets_us_in_is_sent_no_mail(beside: Installation) -> None:
    async with MailServer.open() as server:
        found = await asyncio.to_thread(said, beside, SMTP_URL=server.url)
        assert found["mail"] == [("ok", "the server of SMTP_URL lets this one in")]
        assert (server.connections, server.received) == (1, [])
        in_the_clear = await asyncio.to_thread(said, beside, SMTP_URL=server.url.removesuffix("?tls=never"))
        assert in_the_clear["mail"][0][0] == "wrong"


# -- backups ---------------------------------------------------------------------------------------------------------------


def test_backups_are_looked_at_by_their_age_and_whole(beside: Installation, tmp_path: Path) -> None:
    into = tmp_path / "backups"

    def about_backups() -> tuple[str, str]:
        (found,) = said(beside, "--backups", str(into))["backups"]
        return found

    assert about_backups() == ("wrong", f"there is none in {into}: `hospitium backup {into}`")
    backup = Path(beside.json("backup", str(into))["directory"])
    assert about_backups() == ("ok", f"the newest is {backup}, 0 hours old")

    manifest = json.loads((backup / MANIFEST).read_text())
    for age, state in (
        (timedelta(hours=25), "ok"),
        (timedelta(hours=27), "warning"),
        (timedelta(days=8), "wrong"),
    ):
        older = {**manifest, "taken_at": (datetime.now(UTC) - age).isoformat()}
        (backup / MANIFEST).write_text(json.dumps(older))
        assert about_backups()[0] == state

    shutil.copytree(backup, into / "newer")
    (into / "newer" / MANIFEST).write_text(json.dumps(manifest))
    (into / "newer" / DUMP).write_bytes(b"half")
    state, text = about_backups()
    assert state == "wrong"
    assert "its dump is not whole: take another" in text


# -- what can't be made wrong here -----------------------------------------------------------------------------------------


class Telling:
    """A connection whose database tells a time of its own."""

    def __init__(self, ahead: timedelta) -> None:
        self.ahead = ahead

    async def fetchval(self, _: str) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.mark.parametrize(
    ("ahead", "state", "says"),
    [
        (timedelta(0), State.OK, "+0.0 s"),
        (timedelta(seconds=1.9), State.OK, "+1.9 s"),
        (timedelta(seconds=-30), State.WRONG, "-30.0 s from this machine's: keep both by NTP"),
        (timedelta(seconds=30), State.WRONG, "+30.0 s from this machine's: keep both by NTP"),
    ],
)
async def test_two_clocks_that_differ_are_named(ahead: timedelta, state: State, says: str) -> None:
    found = await doctor._clock(Telling(ahead))  # type: ignore[arg-type]
    assert found.state is state
    assert says in found.said


async def test_a_clock_in_another_age_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stopped(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime(1970, 1, 1, tzinfo=tz)

    monkeypatch.setattr(doctor, "datetime", Stopped)
    found = await doctor._clock(Telling(timedelta(0)))  # type: ignore[arg-type]
    assert (found.state, found.said) == (
        State.WRONG,
        "it is not 1970-01-01: set this machine's clock, and keep it by NTP",
    )


@pytest.mark.parametrize(
    ("free", "state"), [(10**10, State.OK), (9 * 10**8, State.WARNING), (9 * 10**7, State.WRONG)]
)
def test_a_disk_that_fills_up_is_named(
    free: int, state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**12, 0, free))  # type: ignore[attr-defined]
    (found,) = doctor._space(set_up(tmp_path / "not" / "there"))
    assert found.state is state


def test_files_of_somebody_else_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.os, "geteuid", lambda: 12_345)
    (found, *_) = doctor._files(set_up(tmp_path))
    assert found.state is State.WRONG
    assert (
        found.said
        == f"{tmp_path} belongs to another user: chown it, or run this as the user the server runs as"
    )


def set_up(data: Path) -> SetUp:
    return SetUp(
        data, data / "keys", is_embedded=True, database_connections=10, public_url=None, trusted_proxies=()
    )
