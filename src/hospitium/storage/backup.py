"""A backup is a directory with a dump and a manifest: written whole or not at all, and checked before it is restored.

PostgreSQL's own programs dump and restore. No key is ever in a backup; the manifest names the fingerprints of those the
data needs, so that a restore finds at once whether they are there (docs/decisions/0014).
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import re
import secrets
import shutil
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

import msgspec

from hospitium.storage.database import wait_briefly
from hospitium.storage.keyring import KeyProblem, KeyPurpose
from hospitium.storage.schema import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hospitium.storage.database import Transaction
    from hospitium.storage.keyring import Keyring

FORMAT = 1
MANIFEST, DUMP = "manifest.json", "database.dump"
ARRIVING = ".arriving"
_CHUNK = 1 << 20
# What libpq reads by itself besides what we tell it, and what programs need to run at all.
_PASSED_ON = re.compile(r"PATH|LD_LIBRARY_PATH|HOME|PG[A-Z]+")
# From this one on pg_restore begins with a setting that older servers don't know.
_SETS_TRANSACTION_TIMEOUT = 17


class BackupProblem(Exception):
    """A backup can't be taken, read or restored; nothing was changed, and the message names the mend."""


class NeededKey(msgspec.Struct, frozen=True):
    """A key the data was used with, by its fingerprint."""

    purpose: str
    number: int
    fingerprint: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup says of itself."""

    format: int
    taken_at: datetime
    schema: str
    server_version: str
    system_identifier: str
    dumped_by: int  # major version of pg_dump
    size: int
    sha256: str
    keys: list[NeededKey]


class Backup(NamedTuple):
    """A backup: where it is, and what it says of itself."""

    directory: Path
    manifest: Manifest


class Programs(NamedTuple):
    """Where pg_dump and pg_restore are looked for; None means on the PATH."""

    directory: Path | None

    def find(self, name: str) -> Path:
        """Return a program's path. Raises BackupProblem."""
        found = shutil.which(name, path=None if self.directory is None else str(self.directory))
        if found is None:
            where = "on the PATH" if self.directory is None else f"in {self.directory}"
            raise BackupProblem(
                f"there is no {name} {where}: install PostgreSQL's client programs, or name their directory in "
                "HOSPITIUM_PG_BIN"
            )
        return Path(found)


# -- taking one --------------------------------------------------------------------------------------------------------


async def prepare(tx: Transaction, now: datetime) -> None:
    """Make the months of the trail that servers could want while a backup is taken.

    Making one would wait for the end of the dump. Raises DatabaseUnavailable where it would wait for another reader.
    """
    await wait_briefly(tx)
    if await tx.fetchval("SELECT to_regprocedure('make_event_partitions(date, integer)') IS NOT NULL"):
        await tx.execute("SELECT make_event_partitions($1::date, 4)", now.date())


async def take(tx: Transaction, url: str, into: Path, programs: Programs, now: datetime) -> Backup:
    """Take a backup as of this transaction's beginning, into a new directory below `into`; return it.

    Must come first in its transaction, which only reads. Servers may go on serving. Raises BackupProblem.
    """
    await tx.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    await tx.execute("SET LOCAL idle_in_transaction_session_timeout = 0")  # for as long as pg_dump takes
    if not await tx.fetchval("SELECT to_regclass('alembic_version') IS NOT NULL"):
        raise BackupProblem("there is nothing to back up: the database is empty")
    snapshot = await tx.fetchval("SELECT pg_export_snapshot()")
    server = str(await tx.fetchval("SHOW server_version"))
    program = programs.find("pg_dump")
    dumped_by = await _major_of(program)
    if dumped_by < _major(server):
        raise BackupProblem(
            f"{program} is of PostgreSQL {dumped_by}, and the server of {_major(server)}: name the programs of the server's "
            "version in HOSPITIUM_PG_BIN"
        )
    facts = {
        "schema": await tx.fetchval("SELECT max(version_num) FROM alembic_version"),
        "system_identifier": await tx.fetchval("SELECT system_identifier::text FROM pg_control_system()"),
        "keys": await needed_keys(tx),
    }
    with _arriving(into, f"{now:%Y-%m-%dT%H%M%SZ}") as directory:
        dump = _made_private(directory / DUMP)
        await _run(
            program, url, f"--file={dump}", "--format=custom", f"--snapshot={snapshot}", "--no-comments",
            "--no-owner", "--no-privileges",
        )  # fmt: skip
        size, sha256 = _measure(dump)
        manifest = Manifest(
            format=FORMAT,
            taken_at=now,
            server_version=server,
            dumped_by=dumped_by,
            size=size,
            sha256=sha256,
            **facts,
        )
        _write(directory / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
    return Backup(into / f"{now:%Y-%m-%dT%H%M%SZ}", manifest)


@contextmanager
def _arriving(into: Path, name: str) -> Iterator[Path]:
    """Lend a directory that gets its name when the block is left in order, and goes away otherwise."""
    try:
        into.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(into / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as reason:
        raise BackupProblem(
            f"{reason.filename or into}: {reason.strerror}: choose another directory"
        ) from None
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackupProblem(f"another backup into {into} is being taken: wait for it") from None
        for abandoned in into.glob(f"*{ARRIVING}"):  # by one that was killed
            shutil.rmtree(abandoned, ignore_errors=True)
        if (into / name).exists():
            raise BackupProblem(f"{into / name} is there already: try again in a second")
        directory = into / f"{name}.{secrets.token_hex(4)}{ARRIVING}"
        try:
            directory.mkdir(mode=0o700)
            yield directory
            _make_sure(directory)
            directory.rename(into / name)
            _make_sure(into)
        except OSError as reason:
            raise BackupProblem(
                f"{reason.filename or directory}: {reason.strerror}: nothing was kept"
            ) from reason
        finally:
            shutil.rmtree(directory, ignore_errors=True)
    finally:
        os.close(lock)


def _made_private(path: Path) -> Path:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    return path


def _write(path: Path, content: bytes) -> None:
    path = _made_private(path)
    path.write_bytes(content)
    _make_sure(path)


def _make_sure(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _measure(path: Path) -> tuple[int, str]:
    """Return a file's size and SHA-256, once it is on the disk."""
    _make_sure(path)
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return size, digest.hexdigest()


# -- reading one -------------------------------------------------------------------------------------------------------


def read(directory: Path) -> Backup:
    """Return a backup, without looking at its dump yet. Raises BackupProblem."""
    try:
        manifest = msgspec.json.decode((directory / MANIFEST).read_bytes(), type=Manifest)
    except FileNotFoundError:
        latest = newest(directory)
        hint = f"did you mean {latest.directory}?" if latest else "name the directory of one backup"
        raise BackupProblem(f"{directory} is not a backup: it has no {MANIFEST}; {hint}") from None
    except OSError as reason:
        raise BackupProblem(f"{reason.filename}: {reason.strerror}: let this user read it") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise BackupProblem(f"{directory / MANIFEST} is damaged: take another backup") from None
    if manifest.format != FORMAT or manifest.schema > SCHEMA:
        raise BackupProblem(
            f"{directory} was taken by a newer version (schema {manifest.schema}, this one knows {SCHEMA}): install the "
            "version that took it, or a newer one"
        )
    return Backup(directory, manifest)


def newest(collection: Path) -> Backup | None:
    """Return the newest backup below a directory, None if there is none; what can't be read is none."""
    found = []
    for path in sorted(collection.glob(f"*/{MANIFEST}")) if collection.is_dir() else []:
        if not path.parent.name.endswith(ARRIVING):
            with suppress(OSError, msgspec.DecodeError, UnicodeDecodeError):
                found.append(Backup(path.parent, msgspec.json.decode(path.read_bytes(), type=Manifest)))
    return max(found, key=lambda backup: backup.manifest.taken_at, default=None)


def require_whole(backup: Backup) -> None:
    """Return if the dump is, byte for byte, what its manifest says. Raises BackupProblem."""
    dump = backup.directory / DUMP
    try:
        measured = _measure(dump)
    except OSError as reason:
        raise BackupProblem(f"{dump}: {reason.strerror}: take another backup") from None
    if measured != (backup.manifest.size, backup.manifest.sha256):
        raise BackupProblem(
            f"{dump} is not what its manifest says, and was not restored: take another backup"
        )


async def needed_keys(tx: Transaction) -> list[NeededKey]:
    """Return the keys the data was used with."""
    rows = await tx.fetch("SELECT * FROM known_keys ORDER BY purpose, number")
    return [NeededKey(row["purpose"], row["number"], row["fingerprint"].hex()) for row in rows]


def require_keys(needed: list[NeededKey], keyring: Keyring | None, directory: Path) -> None:
    """Return if the keys that data needs are there: the newest of each purpose (of seals all), and no other by its name.

    Raises KeyProblem.
    """
    ring = [] if keyring is None else [key for purpose in KeyPurpose for key in keyring.all(purpose)]
    there = {(key.purpose.value, key.number): key.fingerprint().hex() for key in ring}
    newest_of = {key.purpose: key.number for key in sorted(needed, key=lambda key: key.number)}
    for key in needed:
        found = there.get((key.purpose, key.number))
        if found is not None and found != key.fingerprint:
            raise KeyProblem(
                f"{key.purpose}-{key.number} in {directory} is not the key this data knows by that name: bring the right key "
                "back from the backup of the keys"
            )
        is_newest = key.number == newest_of[key.purpose]
        rotated = any(purpose == key.purpose and number > key.number for purpose, number in there)
        if found is None and (KeyPurpose(key.purpose).proves_for_ever or (is_newest and not rotated)):
            raise KeyProblem(
                f"this data needs the key {key.purpose}-{key.number}, which is not in {directory}: bring it back from the "
                "backup of the keys"
            )


# -- restoring one -----------------------------------------------------------------------------------------------------


async def require_room_for(backup: Backup, tx: Transaction, programs: Programs) -> Path:
    """Return the program that can restore a backup here: the database is empty, and no older than its server was.

    Raises BackupProblem.
    """
    strangers = await tx.fetchval(
        "SELECT count(*) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace "
        "WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' "
        "AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.objid = c.oid AND d.deptype = 'e')"
    )
    if strangers:
        raise BackupProblem(
            "the database is not empty, and was left as it is: restore into a new one (another DATABASE_URL, or another "
            "HOSPITIUM_DATA with the keys in it)"
        )
    server, then = (
        _major(str(await tx.fetchval("SHOW server_version"))),
        _major(backup.manifest.server_version),
    )
    if server < then:
        raise BackupProblem(
            f"the server is of PostgreSQL {server}, and the backup of {then}: restore into a newer server"
        )
    program = programs.find("pg_restore")
    major = await _major_of(program)
    too_new = major >= _SETS_TRANSACTION_TIMEOUT > server
    if major < backup.manifest.dumped_by or too_new:
        raise BackupProblem(
            f"{program} is of PostgreSQL {major}, the server of {server}, and the dump was made by {backup.manifest.dumped_by}: "
            "name programs that fit both in HOSPITIUM_PG_BIN, those of the server's version as a rule"
        )
    return program


async def bring_back(backup: Backup, url: str, program: Path) -> None:
    """Restore a dump in one transaction: all of it, or nothing. Raises BackupProblem."""
    dump = str(backup.directory / DUMP)
    await _run(program, url, "--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges", dump)


# -- the programs ------------------------------------------------------------------------------------------------------


async def _run(program: Path, url: str, *words: str) -> None:
    address, password = _apart(url)
    environment = {name: value for name, value in os.environ.items() if _PASSED_ON.fullmatch(name)}
    if password is not None:
        environment["PGPASSWORD"] = password  # among the words everybody on this machine could read it
    process = await asyncio.create_subprocess_exec(
        program, *words, "--no-password", f"--dbname={address}",
        stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE, env={**environment, "LC_ALL": "C"},
    )  # fmt: skip
    try:
        _, said = await process.communicate()
    finally:
        if process.returncode is None:  # we were asked to stop
            with suppress(ProcessLookupError):
                process.terminate()
            await process.wait()
    if process.returncode != 0:
        raise BackupProblem(
            f"{program.name} failed, and nothing was kept: {_reason(said.decode(errors='replace'))}"
        )


def _apart(url: str) -> tuple[str, str | None]:
    """Return a database's address without its password, and the password."""
    parts = urlsplit(url)
    password = None if parts.password is None else unquote(parts.password)
    query = parse_qsl(parts.query, keep_blank_values=True)
    password = next((value for name, value in query if name == "password"), password)
    user, at, host = parts.netloc.rpartition("@")
    return (
        parts._replace(
            netloc=f"{user.partition(':')[0]}{at}{host}",
            query=urlencode([pair for pair in query if pair[0] != "password"], safe="/"),
        ).geturl(),
        password,
    )


def _reason(said: str) -> str:
    # The first line only: those that follow may quote rows.
    lines = (
        [line for line in said.splitlines() if "error:" in line] or said.splitlines() or ["it says nothing"]
    )
    return lines[0].partition("error: ")[2] or lines[0]


async def _major_of(program: Path) -> int:
    process = await asyncio.create_subprocess_exec(program, "--version", stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()
    return _major(said.decode().partition(") ")[2])


def _major(version: str) -> int:
    found = re.match(r"\d+", version)
    return 0 if found is None else int(found.group())
