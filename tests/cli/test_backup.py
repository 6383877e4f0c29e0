"""The drill: a backup, a bad day, a restore. What ended since the backup gives nobody anything, before or after."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import signal
import stat
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import httpx
import msgspec
import pytest

from cast import contents
from cli.conftest import PASSWORD
from cli.running import COMMAND, PATIENCE, Installation, Server
from hospitium.engine.access.check import Question, SubjectKind, check
from hospitium.engine.access.decide import Allowed
from hospitium.engine.actor import SYSTEM
from hospitium.engine.context import Context
from hospitium.engine.grants.record import ResourceKind
from hospitium.engine.levels import Level
from hospitium.storage.backup import DUMP, MANIFEST, newest
from hospitium.storage.database import Database
from hospitium.storage.embedded import installed_binaries
from hospitium.storage.schema import SCHEMA

if TYPE_CHECKING:
    pass


@pytest.fixture
def beside(passable_directory: Path, database_url: str, world_file: Path) -> Installation:
    """An installation on a PostgreSQL of its own (DATABASE_URL), with keys and a world."""
    made = Installation(
        passable_directory / "data",
        DATABASE_URL=database_url,
        HOSPITIUM_KEYS=str(passable_directory / "keys"),
        HOSPITIUM_PG_BIN=str(installed_binaries()),
        PUBLIC_URL="https://hospitium.example",  # so that a token is from the same issuer wherever the data lives
        ALLOWED_HOSTS="127.0.0.1",
    )
    made.says("keys", "make")
    made.says("load", str(world_file))
    return made


@pytest.fixture
def elsewhere(beside: Installation, empty_url: str) -> Installation:
    """The same installation, on an empty database."""
    made = Installation(beside.data)
    made.environment = {**beside.environment, "DATABASE_URL": empty_url}
    return made


def backed_up(installation: Installation, into: Path) -> Path:
    return Path(installation.json("backup", str(into))["directory"])


async def rows(url: str, sql: str, *values: Any) -> list[Any]:
    connection = await asyncpg.connect(url)
    try:
        return list(await connection.fetch(sql, *values))
    finally:
        await connection.close()


async def connected(url: str) -> str:
    """Whether northside may connect with lakeside now: `yes`, or the reason why not."""
    database = await Database.open(url, size=2)
    try:
        async with database.transaction() as tx:
            ids = {row["code"]: row["id"] for row in await tx.fetch("SELECT id, code FROM organizations")}
            decision = await check(
                Context(tx, SYSTEM, datetime.now(UTC)),
                Question(
                    SubjectKind.ORGANIZATION,
                    ids["northside"],
                    Level.CONNECTED,
                    ResourceKind.ORGANIZATION,
                    str(ids["lakeside"]),
                ),
            )
            return "yes" if isinstance(decision, Allowed) else decision.reason
    finally:
        await database.close()


async def everything(url: str) -> str:
    connection = await asyncpg.connect(url)
    try:
        tables = await connection.fetch(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
        )
        return str(await contents(connection, (name for (name,) in tables)))
    finally:
        await connection.close()


async def exported(url: str, path: Path, *, after: int = 0, without: int | None = None) -> Path:
    """Write the trail as it would be exported, one event a line, numbered in order."""
    found = await rows(url, "SELECT * FROM events ORDER BY transaction, position")
    with path.open("wb") as file:
        for number, row in enumerate(found, start=1):
            if number > after and number != without:
                line = {
                    name: row[name]
                    for name in ("id", "at", "kind", "subject_kind", "subject_id", "actor_organization_id")
                }
                file.write(
                    msgspec.json.encode({"number": number, **line, "data": json.loads(row["data"])}) + b"\n"
                )
    return path


class Caught(dict[str, str]):
    """What somebody holds: an access token and a refresh token."""


def sign_in(server: Server, email: str) -> Caught:
    answer = httpx.post(f"{server.address}/api/auth/login", json={"email": email, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    return Caught({name: answer.json()["data"][name] for name in ("token", "refreshToken")})


def still_good(server: Server, held: Caught) -> list[str]:
    """Which of somebody's tokens are good for anything."""
    asked = httpx.get(
        f"{server.address}/api/connections/established", headers={"Authorization": f"Bearer {held['token']}"}
    )
    renewed = httpx.post(f"{server.address}/api/auth/refresh", json={"refreshToken": held["refreshToken"]})
    return [
        name for name, answer in (("token", asked), ("refreshToken", renewed)) if answer.status_code == 200
    ]


class BadDay:
    """A backup, and what happened after it."""

    backup: Path
    before: Caught  # held since before the backup
    after: Caught  # made after it
    trail: Path  # exported when it was over


async def all_is_sealed(url: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while await rows(
        url, "SELECT FROM events AS e LEFT JOIN event_seals AS s ON s.event_id = e.id WHERE s.number IS NULL"
    ):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


def terminate_the_one_partnership(server: Server, held: Caught) -> None:
    with httpx.Client(base_url=server.address, headers={"Authorization": f"Bearer {held['token']}"}) as http:
        (one,) = http.get("/api/connections/established").json()["data"]["connections"]
        http.post(f"/api/connections/{one['id']}/terminate", json={"reason": "Over"}).raise_for_status()


async def a_bad_day(installation: Installation, url: str, into: Path) -> BadDay:
    day = BadDay()
    with installation.serving() as server:
        day.before = sign_in(server, "ada@northside.example")
        day.backup = backed_up(installation, into)
        day.after = sign_in(server, "ada@northside.example")
        terminate_the_one_partnership(server, day.after)
        installation.says("account", "disable", "nia@newcomer.example")
        installation.says("org", "approve", "newcomer")
        installation.says("org", "suspend", "newcomer")
        installation.says("account", "leave", "rui@lakeside.example", "lakeside")
        assert still_good(server, day.before) == still_good(server, day.after) == ["token", "refreshToken"]
        await all_is_sealed(url)
        day.trail = into.parent / "trail.ndjson"
        day.trail.write_text(installation.says("audit", "export"))
    return day


# -- the drill -----------------------------------------------------------------------------------------------------------


async def test_a_restore_brings_nothing_back_to_life(
    beside: Installation, elsewhere: Installation, database_url: str, empty_url: str, tmp_path: Path
) -> None:
    day = await a_bad_day(beside, database_url, tmp_path / "backups")
    assert await connected(database_url) == "the grant has ended"

    done = elsewhere.json("restore", str(day.backup), "--yes")

    assert (done["epoch"], done["held"], done["voided"]["sessions"], done["applied"]) == (2, True, 1, {})
    assert (
        await connected(empty_url)
        == f"held since the restore of {datetime.now(UTC):%Y-%m-%d}, until the operator confirms"
    )
    with elsewhere.serving() as server:
        assert still_good(server, day.before) == []
        assert still_good(server, day.after) == []
        fresh = sign_in(server, "ada@northside.example")
        # He may be no member any more: his account is his, and he acts for nobody.
        assert still_good(server, fresh) == ["refreshToken"]
        assert (await connected(empty_url)).startswith("held")
        # What is agreed after the restore counts at once.
        assert elsewhere.json("verify") == []
        elsewhere.says("restore", "confirm")
        assert "token" in still_good(server, fresh)
    assert await connected(empty_url) == "yes"
    kinds = await rows(empty_url, "SELECT kind FROM events WHERE subject_kind = 'epoch' ORDER BY position")
    assert [row["kind"] for row in kinds] == ["epoch.restored", "epoch.confirmed"]
    assert elsewhere.complains("restore", "confirm", status=1) == "hospitium: No restore holds anything\n"


async def test_with_the_trail_what_ended_since_is_ended_again_and_nothing_need_be_held(
    beside: Installation, elsewhere: Installation, database_url: str, empty_url: str, tmp_path: Path
) -> None:
    day = await a_bad_day(beside, database_url, tmp_path / "backups")
    done = elsewhere.json("restore", str(day.backup), "--yes", "--trail", str(day.trail), "--complete")

    assert done["applied"] == {"account.disabled": 1, "membership.ended": 1, "partnership.terminated": 1}
    assert (done["held"], done["held_because"]) == (False, None)
    assert await connected(empty_url) == "the grant has ended"
    assert {
        row["status"] for row in await rows(empty_url, "SELECT status FROM accounts WHERE email LIKE 'nia@%'")
    } == {"disabled"}
    assert await rows(empty_url, "SELECT m.id FROM memberships AS m JOIN organizations AS o ON o.id = m.organization_id WHERE o.code = 'lakeside' AND m.ends_at IS NULL") == []  # fmt: skip
    assert elsewhere.json("verify") == []
    with elsewhere.serving() as server:
        assert still_good(server, day.before) == still_good(server, day.after) == []
        await all_is_sealed(empty_url)
        elsewhere.run("audit", "verify")


async def test_without_an_epoch_all_of_it_would_come_back(
    beside: Installation, elsewhere: Installation, database_url: str, empty_url: str, tmp_path: Path
) -> None:
    """The control: PostgreSQL's own restore, and the protection taken away."""
    day = await a_bad_day(beside, database_url, tmp_path / "backups")
    restored_by_hand(day.backup, empty_url)

    said = elsewhere.complains("serve", "--port", "0", status=3)
    assert "run `hospitium restore begin` first" in said

    (here,) = await rows(empty_url, "SELECT concat_ws('/', system_identifier, oid, 'epochs'::regclass::oid) FROM pg_control_system(), pg_database WHERE datname = current_database()")  # fmt: skip
    await rows(empty_url, "UPDATE epochs SET place = $1", here[0])
    assert await connected(empty_url) == "yes"
    with elsewhere.serving() as server:
        assert still_good(server, day.before) == ["token", "refreshToken"]


async def test_a_restore_by_other_means_begins_its_epoch_by_hand(
    beside: Installation, elsewhere: Installation, database_url: str, empty_url: str, tmp_path: Path
) -> None:
    day = await a_bad_day(beside, database_url, tmp_path / "backups")
    restored_by_hand(day.backup, empty_url)

    done = elsewhere.json("restore", "begin", "--yes")

    assert (done["epoch"], done["held"], done["taken_at"]) == (2, True, None)
    assert (await connected(empty_url)).startswith("held since")
    with elsewhere.serving() as server:
        assert still_good(server, day.before) == still_good(server, day.after) == []


async def test_a_restore_by_hand_into_the_same_database_is_noticed(
    beside: Installation, database_url: str, tmp_path: Path
) -> None:
    """So is one by `restore` that was killed before its epoch began: it leaves the same."""
    day = await a_bad_day(beside, database_url, tmp_path / "backups")
    await rows(database_url, "DROP SCHEMA public CASCADE")
    await rows(database_url, "CREATE SCHEMA public")
    restored_by_hand(day.backup, database_url)

    said = beside.complains("serve", "--port", "0", status=3)
    assert "run `hospitium restore begin` first" in said
    beside.says("restore", "begin", "--yes", "--trail", str(day.trail), "--complete")
    with beside.serving() as server:
        assert still_good(server, day.before) == still_good(server, day.after) == []


async def test_a_backup_does_not_wait_for_a_reader_to_make_a_month(
    beside: Installation, database_url: str, tmp_path: Path
) -> None:
    reader = await asyncpg.connect(database_url)
    reading = reader.transaction()
    await reading.start()
    await reader.execute("LOCK TABLE events IN ACCESS SHARE MODE")
    began = time.monotonic()
    await asyncio.to_thread(backed_up, beside, tmp_path / "backups")
    assert time.monotonic() - began < 15  # of the 20 seconds that others wait for a lock
    assert newest(tmp_path / "backups") is not None
    await reading.rollback()
    await reader.close()


def restored_by_hand(backup: Path, url: str) -> None:
    """Restore as one would without `hospitium`: with PostgreSQL's program alone."""
    subprocess.run(
        [
            installed_binaries() / "pg_restore",
            "--exit-on-error",
            "--no-owner",
            f"--dbname={url}",
            backup / DUMP,
        ],
        check=True,
    )


@pytest.mark.parametrize(("how", "because"), [
    ({}, None),
    ({"after": 1_000}, None),
    ({"after": 1}, "the trail begins too late: export it from the day before the backup on"),
    ({"without": 3}, "the trail has a gap after number 2"),
    ({"late": True}, "the trail begins too late: export it from the day before the backup on"),
    ({"undeclared": True}, "nobody said that the trail is complete"),
])  # fmt: skip
async def test_the_hold_is_released_only_for_a_trail_that_can_be_complete(
    beside: Installation,
    elsewhere: Installation,
    database_url: str,
    tmp_path: Path,
    how: dict[str, Any],
    because: str | None,
) -> None:
    backup = backed_up(beside, tmp_path)
    then = len(await rows(database_url, "SELECT FROM events"))
    for verb in ("disable", "enable", "disable"):
        beside.says("account", verb, "nia@newcomer.example")
    chosen = {name: how[name] for name in ("after", "without") if name in how}
    trail = await exported(database_url, tmp_path / "t", **({"after": then} if how.get("late") else chosen))
    done = elsewhere.json(
        "restore",
        str(backup),
        "--yes",
        "--trail",
        str(trail),
        *([] if "undeclared" in how else ["--complete"]),
    )
    assert (done["held"], done["held_because"]) == (because is not None, because)
    disabled = await rows(
        elsewhere.environment["DATABASE_URL"], "SELECT FROM accounts WHERE status = 'disabled'"
    )
    assert len(disabled) == (0 if how.get("after") == 1_000 else 1)


# -- what is refused, and leaves everything as it was ----------------------------------------------------------------------


async def test_a_database_that_is_not_empty_is_left_as_it_is(
    beside: Installation, database_url: str, tmp_path: Path
) -> None:
    backup = backed_up(beside, tmp_path)
    before = await everything(database_url)
    said = beside.complains("restore", str(backup), "--yes", status=1)
    assert said.startswith(
        "hospitium: the database is not empty, and was left as it is: restore into a new one"
    )
    assert await everything(database_url) == before


async def test_a_table_of_somebody_else_is_not_overrun(
    beside: Installation, elsewhere: Installation, empty_url: str, tmp_path: Path
) -> None:
    backup = backed_up(beside, tmp_path)
    await rows(empty_url, "CREATE SCHEMA other")
    await rows(empty_url, "CREATE TABLE other.theirs (id integer)")
    assert "not empty" in elsewhere.complains("restore", str(backup), "--yes", status=1)
    assert await rows(empty_url, "SELECT FROM pg_tables WHERE schemaname = 'public'") == []


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES = [
    (lambda b: damage(b / DUMP), "is not what its manifest says"),
    (lambda b: (b / DUMP).write_bytes((b / DUMP).read_bytes()[:-1]), "is not what its manifest says"),
    (lambda b: (b / DUMP).unlink(), "No such file"),
    (lambda b: (b / MANIFEST).unlink(), "is not a backup: it has no manifest.json"),
    (lambda b: (b / MANIFEST).write_text("{"), "is damaged"),
    (lambda b: (b / MANIFEST).write_text((b / MANIFEST).read_text().replace(f'"{SCHEMA}"', '"9999"')), "a newer version (schema 9999"),
]  # fmt: skip


async def test_a_damaged_backup_is_refused(
    beside: Installation, elsewhere: Installation, empty_url: str, tmp_path: Path
) -> None:
    good = backed_up(beside, tmp_path / "backups")
    for number, (spoil, says) in enumerate(DAMAGES):
        spoiled = tmp_path / f"spoiled-{number}"
        shutil.copytree(good, spoiled)
        spoil(spoiled)
        assert says in elsewhere.complains("restore", str(spoiled), "--yes", status=1)
    assert await rows(empty_url, "SELECT FROM pg_tables WHERE schemaname = 'public'") == []


async def test_a_dump_that_breaks_off_in_the_middle_leaves_an_empty_database(
    beside: Installation, elsewhere: Installation, empty_url: str, tmp_path: Path
) -> None:
    """The manifest agrees with a dump that PostgreSQL can't restore to its end."""
    backup = backed_up(beside, tmp_path)
    # Without the tables of before, the foreign keys of those that are there have nothing to point to.
    dumped_without("accounts", beside.environment["DATABASE_URL"], backup / DUMP)
    content = (backup / DUMP).read_bytes()
    manifest = json.loads((backup / MANIFEST).read_text())
    manifest |= {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (backup / MANIFEST).write_text(json.dumps(manifest))
    said = elsewhere.complains("restore", str(backup), "--yes", status=1)
    assert said.startswith("hospitium: pg_restore failed, and nothing was kept: ")
    assert await rows(empty_url, "SELECT FROM pg_tables WHERE schemaname = 'public'") == []


def dumped_without(table: str, url: str, dump: Path) -> None:
    program = installed_binaries() / "pg_dump"
    words = ["--format=custom", f"--exclude-table={table}", f"--file={dump}", f"--dbname={url}"]
    subprocess.run([program, *words], check=True)


async def test_the_wrong_keys_are_refused_before_anything_is_restored(
    beside: Installation, elsewhere: Installation, empty_url: str, tmp_path: Path
) -> None:
    with beside.serving():
        pass  # now the data has met its keys
    backup = backed_up(beside, tmp_path / "backups")
    other, none = tmp_path / "other", tmp_path / "none"
    elsewhere.says("keys", "make", HOSPITIUM_KEYS=str(other))
    said = elsewhere.complains("restore", str(backup), "--yes", status=3, HOSPITIUM_KEYS=str(other))
    assert (
        "is not the key this data knows by that name: bring the right key back from the backup of the keys"
        in said
    )
    said = elsewhere.complains("restore", str(backup), "--yes", status=3, HOSPITIUM_KEYS=str(none))
    assert f"which is not in {none}: bring it back from the backup of the keys" in said
    assert not none.exists()
    assert await rows(empty_url, "SELECT FROM pg_tables WHERE schemaname = 'public'") == []


def test_a_trail_that_can_not_be_read_is_refused_before_anything_is_restored(
    beside: Installation, elsewhere: Installation, tmp_path: Path
) -> None:
    backup = backed_up(beside, tmp_path / "backups")
    for content, says in (
        ('{"id": "x", "kind": "account.disabled"}', "line 1: "),
        ('{"seal": 1}\n\n{"id"', "line 3: "),
    ):
        trail = tmp_path / "trail"
        trail.write_text(content)
        assert says in elsewhere.complains("restore", str(backup), "--yes", "--trail", str(trail), status=2)
    assert elsewhere.json("restore", str(backup), "--yes")["epoch"] == 2


def test_programs_that_are_missing_or_too_old_are_named(beside: Installation, tmp_path: Path) -> None:
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    said = beside.complains("backup", str(tmp_path / "b"), status=1, HOSPITIUM_PG_BIN=str(nothing))
    assert said == (
        f"hospitium: there is no pg_dump in {nothing}: install PostgreSQL's client programs, or name their directory in "
        "HOSPITIUM_PG_BIN\n"
    )
    old = tmp_path / "old"
    old.mkdir()
    (old / "pg_dump").write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 14.9 (Debian 14.9-1)'\n")
    (old / "pg_dump").chmod(0o755)
    said = beside.complains("backup", str(tmp_path / "b"), status=1, HOSPITIUM_PG_BIN=str(old))
    assert (
        f"{old / 'pg_dump'} is of PostgreSQL 14, and the server of 18: name the programs of the server's version"
        in said
    )
    assert not (tmp_path / "b").exists() or list((tmp_path / "b").glob("2*")) == []


# -- taking one ------------------------------------------------------------------------------------------------------------


def test_a_backup_is_closed_to_others_and_has_no_secret_in_it(
    beside: Installation, tmp_path: Path, passable_directory: Path
) -> None:
    backup = backed_up(beside, tmp_path / "backups")
    assert stat.S_IMODE(backup.stat().st_mode) == 0o700
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in backup.iterdir()} == {
        DUMP: 0o600,
        MANIFEST: 0o600,
    }
    kept = b"".join(path.read_bytes() for path in backup.iterdir())
    for key in (passable_directory / "keys").glob("*.json"):
        secret = json.loads(key.read_text())["secret"]
        assert secret.encode() not in kept
        assert bytes.fromhex(secret) not in kept


def test_the_databases_password_is_never_among_the_words_of_a_program(
    beside: Installation, tmp_path: Path, database_url: str
) -> None:
    spy = tmp_path / "spy"
    spy.mkdir()
    (spy / "pg_dump").write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/words\n[ -n "$PGPASSWORD" ] && echo given >> {tmp_path}/words\n'
        f'exec {installed_binaries()}/pg_dump "$@"\n'
    )
    (spy / "pg_dump").chmod(0o755)
    beside.says("backup", str(tmp_path / "backups"), HOSPITIUM_PG_BIN=str(spy))
    words = (tmp_path / "words").read_text()
    assert database_url.split(":")[2].split("@", maxsplit=1)[0] not in words
    assert words.endswith("given\n")


def slow_programs(directory: Path) -> Path:
    """A pg_dump that writes half of a dump and then waits to be killed."""
    directory.mkdir()
    (directory / "pg_dump").write_text(
        f"""#!/bin/sh
case "$1" in --version) exec {installed_binaries()}/pg_dump --version;; esac
for word; do case "$word" in --file=*) echo half > "${{word#--file=}}";; esac; done
echo $$ > {directory}/pid
exec sleep 600
"""
    )
    (directory / "pg_dump").chmod(0o755)
    return directory


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_backup_that_is_killed_leaves_no_half_of_one(
    beside: Installation, tmp_path: Path, how: signal.Signals
) -> None:
    slow, into = slow_programs(tmp_path / "slow"), tmp_path / "backups"
    process = subprocess.Popen(
        [*COMMAND, "backup", str(into)],
        env={**beside.environment, "HOSPITIUM_PG_BIN": str(slow)},
        stderr=subprocess.DEVNULL,
    )
    wait_until(lambda: (slow / "pid").exists() and (slow / "pid").read_text().strip())
    said = beside.complains("backup", str(into), status=1)
    assert said == f"hospitium: another backup into {into} is being taken: wait for it\n"

    process.send_signal(how)
    process.wait(PATIENCE)
    dump = int((slow / "pid").read_text())
    if how is signal.SIGKILL:
        os.kill(dump, signal.SIGKILL)  # it didn't hear of the end of who had started it
    else:
        wait_until(lambda: not Path(f"/proc/{dump}").exists())
        assert [path.name for path in into.iterdir()] == [".lock"]

    assert newest(into) is None
    taken = backed_up(beside, into)
    assert {path.name for path in into.iterdir()} == {".lock", taken.name}


def wait_until(true: Any) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


async def test_servers_need_not_wait_for_a_dump_to_make_a_month(
    beside: Installation, database_url: str, tmp_path: Path
) -> None:
    backed_up(beside, tmp_path)
    dumping, sweeping = await asyncpg.connect(database_url), await asyncpg.connect(database_url)
    reading = dumping.transaction()
    await reading.start()
    await dumping.execute("LOCK TABLE events IN ACCESS SHARE MODE")  # as pg_dump does, until its end
    await sweeping.execute("SET lock_timeout = '1s'")
    next_month = "(current_date + interval '1 month')::date"
    await sweeping.execute(f"SELECT make_event_partitions({next_month}, 3)")
    with pytest.raises(asyncpg.LockNotAvailableError):  # what there would be to wait for without
        await sweeping.execute(f"SELECT make_event_partitions({next_month}, 5)")
    await reading.rollback()
    await dumping.close()
    await sweeping.close()


def test_an_empty_database_is_no_backup(elsewhere: Installation, tmp_path: Path) -> None:
    said = elsewhere.complains("backup", str(tmp_path), status=1)
    assert said == "hospitium: there is nothing to back up: the database is empty\n"
    assert list(tmp_path.glob("2*")) == []


async def test_a_backup_is_as_of_one_instant_while_others_write(
    beside: Installation,
    elsewhere: Installation,
    database_url: str,
    empty_url: str,
    tmp_path: Path,
    rounds: int,
) -> None:
    """A partnership and its events are written together, so each backup has both or neither."""
    stop = asyncio.Event()

    async def write() -> int:
        connection = await asyncpg.connect(database_url)
        written = 0
        while not stop.is_set():
            async with connection.transaction():
                for purpose in ("signing", "links"):
                    await connection.execute(
                        "INSERT INTO known_keys VALUES ($1, $2, $3, '2026-01-01')",
                        purpose,
                        1_000 + written,
                        b"f",
                    )
                    await asyncio.sleep(0)
            written += 1
        await connection.close()
        return written

    writing = asyncio.create_task(write())
    for number in range(max(2, rounds // 10)):
        backup = Path(
            (await asyncio.to_thread(beside.json, "backup", str(tmp_path / f"b{number}")))["directory"]
        )
    stop.set()
    assert await writing > 10
    restored_by_hand(backup, empty_url)
    counted = await rows(
        empty_url, "SELECT count(*) AS n FROM known_keys WHERE number >= 1000 GROUP BY purpose"
    )
    assert len({row["n"] for row in counted}) == 1
    needed = json.loads((backup / MANIFEST).read_text())["keys"]
    assert len([key for key in needed if key["number"] >= 1_000]) == sum(row["n"] for row in counted)


# -- the embedded database -------------------------------------------------------------------------------------------------


def test_the_embedded_database_is_backed_up_while_it_serves_and_restored_beside(
    fresh: Installation, passable_directory: Path, world_file: Path, tmp_path: Path
) -> None:
    fresh.says("migrate")
    fresh.says("load", str(world_file))
    with fresh.serving() as server:
        held = sign_in(server, "ada@northside.example")
        backup = backed_up(fresh, tmp_path / "backups")
        assert still_good(server, held) == ["token", "refreshToken"]
    second = Installation(passable_directory / "second")
    said = second.complains("restore", str(backup), "--yes", status=3)
    assert "bring it back from the backup of the keys" in said
    shutil.copytree(fresh.data / "keys", second.data / "keys")
    second.data.chmod(0o711)
    assert "held until `hospitium restore confirm`" in second.says("restore", str(backup), "--yes")
    with second.serving() as server:
        assert still_good(server, held) == []
        assert second.json("verify") == []
        assert len(second.json("org", "list")) == 3
