"""`hospitium doctor`: is everything there that a server stands on, and what is to be done where it isn't."""

from __future__ import annotations

import os
import shutil
import socket
import stat
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

import click

from hospitium.doors.cli.house import VIOLATED, as_json, house, print_json, print_table, run
from hospitium.engine.actor import OPERATOR
from hospitium.engine.context import Context
from hospitium.engine.epochs import queries as epochs
from hospitium.engine.fhir_servers.authorities import good_until
from hospitium.outside.mail import Unreachable
from hospitium.outside.mailbox import mailbox_in
from hospitium.storage import backup as backups
from hospitium.storage.database import READERS, Database, DatabaseUnavailable
from hospitium.storage.embedded import EmbeddedFailure
from hospitium.storage.keyring import KeyProblem, KeyPurpose
from hospitium.storage.schema import WrongSchema, require_schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hospitium.doors.cli.house import House, Installation
    from hospitium.storage.database import Transaction

CLOCKS_MAY_DIFFER = timedelta(seconds=2)
SANE_YEARS = range(2026, 2100)
KEYS_GET_OLD = timedelta(days=400)
AUTHORITIES_EXPIRE_SOON = timedelta(days=30)
BACKUPS_GET_OLD, BACKUPS_ARE_LOST = timedelta(hours=26), timedelta(days=7)
SEALS_MAY_LAG = timedelta(minutes=1)
LITTLE_SPACE, NO_SPACE = 1_000_000_000, 100_000_000  # bytes
_DURABLE = ("fsync", "full_page_writes", "synchronous_commit")
_GROUP_AND_OTHERS = 0o077
_OTHERS_WRITE = 0o022


class State(StrEnum):
    OK = "ok"
    WARNING = "warning"
    WRONG = "wrong"


class Finding(NamedTuple):
    """What was looked at, how it is, and what to do about it."""

    state: State
    about: str
    said: str


@click.command()
@click.option(
    "--backups", "collection", type=click.Path(path_type=Path), help="Directory that `backup` writes into."
)
@as_json
def doctor(collection: Path | None, as_json: bool) -> None:
    """Look at what a server stands on, a line each: ok, warning or wrong, with the mend. Exit code 4 if something is wrong."""
    here = house()
    set_up = here.installation()
    findings = [
        Finding(State.OK, "settings", f"read; the data directory is {set_up.data}"),
        *_files(set_up),
        *_keys(here, set_up),
        *run(_database(here, set_up)),
        *_address(set_up),
        run(_mail(here, set_up)),
        *_space(set_up),
        *_backups(collection),
    ]
    if as_json:
        print_json([finding._asdict() for finding in findings])
    else:
        print_table(["state", "about", "what there is"], [[*map(str, finding)] for finding in findings])
    if any(finding.state is State.WRONG for finding in findings):
        click.get_current_context().exit(VIOLATED)


# -- files and keys ----------------------------------------------------------------------------------------------------


def _files(set_up: Installation) -> Iterator[Finding]:
    if not set_up.data.exists():
        yield Finding(
            State.WARNING, "files", f"{set_up.data} isn't there yet: `hospitium migrate` makes what is needed"
        )
        return
    strange = [*_strange_modes([set_up.data], _OTHERS_WRITE)]
    secret = [
        set_up.data / "postgres.password",
        mailbox_in(set_up.data),
        set_up.keys,
        *set_up.keys.glob("*.json"),
    ]
    strange += _strange_modes(secret, _GROUP_AND_OTHERS)
    yield from (Finding(State.WRONG, "files", said) for said in strange)
    if not strange:
        yield Finding(State.OK, "files", "belong to this user, and are closed to others")


def _strange_modes(paths: Iterable[Path], unwanted: int) -> Iterator[str]:
    for path in paths:
        try:
            found = path.stat()
        except FileNotFoundError:
            continue
        except OSError as reason:
            yield f"{path}: {reason.strerror}: run this as the user the server runs as"
            continue
        if found.st_uid != os.geteuid():
            yield f"{path} belongs to another user: chown it, or run this as the user the server runs as"
        elif stat.S_IMODE(found.st_mode) & unwanted:
            yield f"{path} has mode {stat.S_IMODE(found.st_mode):04o}: chmod {'go-w' if unwanted == _OTHERS_WRITE else 'go='} {path}"


def _keys(here: House, set_up: Installation) -> Iterator[Finding]:
    try:
        ring = here.kept_keys()
    except KeyProblem as problem:
        yield Finding(State.WARNING if _is_new(set_up) else State.WRONG, "keys", str(problem))
        return
    now = datetime.now(UTC)
    for purpose in KeyPurpose:
        current, *_ = ring.all(purpose)[::-1]
        name = f"{current.purpose}-{current.number}"
        if now - current.made_at > KEYS_GET_OLD:
            said = f"{name} is of {current.made_at:%Y-%m-%d}: `hospitium keys rotate {purpose}`, then restart the servers"
            yield Finding(State.WARNING, "keys", said)
        else:
            retired = len(ring.all(purpose)) - 1
            yield Finding(
                State.OK,
                "keys",
                f"{name} is of {current.made_at:%Y-%m-%d}, and {retired} retired still verify",
            )


def _is_new(set_up: Installation) -> bool:
    """Whether there is nothing yet that could need keys."""
    return set_up.is_embedded and not (set_up.data / "cluster" / "PG_VERSION").exists()


# -- the database ------------------------------------------------------------------------------------------------------


async def _database(here: House, set_up: Installation) -> list[Finding]:
    if _is_new(set_up):
        return [Finding(State.WARNING, "database", "there is none yet: run `hospitium migrate`")]
    try:
        async with here.database_url() as url:
            database = await Database.open(url, size=2)
            try:
                async with database.transaction() as tx:
                    await tx.execute("SET TRANSACTION READ ONLY")
                    found = [*await _server(tx, set_up), await _clock(tx)]
                await require_schema(database)
                found.append(Finding(State.OK, "schema", "is the one this version needs"))
                async with database.transaction() as tx:
                    await tx.execute("SET TRANSACTION READ ONLY")
                    found += [*await _known_keys(tx, here, set_up), await _epoch(tx), await _seals(tx)]
                    return [*found, *await _authorities(tx)]
            except WrongSchema as problem:
                return [*found, Finding(State.WRONG, "schema", str(problem))]
            finally:
                await database.close()
    except (DatabaseUnavailable, EmbeddedFailure) as problem:
        said = f"can't be reached ({problem}): is it running, and is DATABASE_URL right?"
        return [
            Finding(
                State.WRONG, "database", said if isinstance(problem, DatabaseUnavailable) else str(problem)
            )
        ]


async def _server(tx: Transaction, set_up: Installation) -> list[Finding]:
    version = await tx.fetchval("SHOW server_version")
    found = [Finding(State.OK, "database", f"answers, PostgreSQL {str(version).partition(' ')[0]}")]
    off = [name for name in _DURABLE if await tx.fetchval(f"SHOW {name}") == "off"]
    found.append(
        Finding(
            State.WRONG,
            "durability",
            f"{', '.join(off)} off: what was acknowledged can be lost; turn it on in postgresql.conf",
        )
        if off
        else Finding(State.OK, "durability", "what is acknowledged is on the disk")
    )
    most = int(await tx.fetchval("SHOW max_connections")) - int(
        await tx.fetchval("SHOW superuser_reserved_connections")
    )
    wanted = set_up.database_connections + READERS + 1  # and the one that asks whether it answers
    said = f"a server takes {wanted} of {most}"
    if wanted > most:
        mend = ": lower DATABASE_CONNECTIONS, or raise max_connections in postgresql.conf"
        found.append(Finding(State.WRONG, "connections", said + mend))
    elif 2 * wanted > most:
        found.append(Finding(State.WARNING, "connections", f"{said}: two servers side by side would not fit"))
    else:
        found.append(Finding(State.OK, "connections", said))
    if not await tx.fetchval("SELECT true FROM pg_extension WHERE extname = 'pg_trgm'"):
        mend = "run `hospitium migrate` as the database's owner, or CREATE EXTENSION pg_trgm as a superuser"
        found.append(Finding(State.WRONG, "extension", f"pg_trgm is missing: {mend}"))
    return found


async def _clock(tx: Transaction) -> Finding:
    before = datetime.now(UTC)
    theirs: datetime = await tx.fetchval("SELECT clock_timestamp()")
    ours = before + (datetime.now(UTC) - before) / 2
    difference = theirs - ours
    if ours.year not in SANE_YEARS:
        return Finding(
            State.WRONG, "clock", f"it is not {ours:%Y-%m-%d}: set this machine's clock, and keep it by NTP"
        )
    if abs(difference) > CLOCKS_MAY_DIFFER:
        said = f"the database's is {difference.total_seconds():+.1f} s from this machine's: keep both by NTP"
        return Finding(State.WRONG, "clock", said)
    return Finding(
        State.OK, "clock", f"the database's is {difference.total_seconds():+.1f} s from this machine's"
    )


async def _known_keys(tx: Transaction, here: House, set_up: Installation) -> list[Finding]:
    try:
        ring = here.kept_keys()
    except KeyProblem:
        return []  # said already
    try:
        backups.require_keys(await backups.needed_keys(tx), ring, set_up.keys)
    except KeyProblem as problem:
        return [Finding(State.WRONG, "keys", str(problem))]
    return [Finding(State.OK, "keys", "are those this database knows")]


async def _epoch(tx: Transaction) -> Finding:
    ctx = Context(tx, OPERATOR, datetime.now(UTC))
    running = await epochs.current(ctx)
    if running is not None and running.place != await epochs.place(ctx):
        said = "the data was copied or restored by other means: no server starts before `hospitium restore begin`"
        return Finding(State.WRONG, "restore", said)
    held = await tx.fetchval(
        "SELECT min(begun_at) FROM epochs WHERE holds_until IS NOT NULL AND confirmed_at IS NULL"
    )
    if held is not None:
        said = f"the grants and memberships of before are held since {held:%Y-%m-%d %H:%M} UTC: look, then `hospitium restore confirm`"
        return Finding(State.WARNING, "restore", said)
    return Finding(
        State.OK, "restore", "none holds anything; `hospitium verify` checks what must be true of the data"
    )


async def _seals(tx: Transaction) -> Finding:
    row = await tx.fetchrow(
        "SELECT count(*) AS waiting, min(events.at) AS since FROM events "
        "LEFT JOIN event_seals AS s ON s.event_id = events.id AND s.at = events.at WHERE s.number IS NULL"
    )
    if row is not None and row["waiting"] and datetime.now(UTC) - row["since"] > SEALS_MAY_LAG:
        said = f"{row['waiting']} events wait since {row['since']:%Y-%m-%d %H:%M} UTC: a server that runs seals them"
        return Finding(
            State.WARNING, "seals", f"{said}; if one runs, a forgotten transaction holds them back"
        )
    return Finding(State.OK, "seals", "are up to date")


async def _authorities(tx: Transaction) -> list[Finding]:
    """Look at what remote FHIR servers are believed by, of which nobody thinks until it expires."""
    rows = await tx.fetch(
        "SELECT id, name, authorities_pem FROM fhir_servers "
        "WHERE authorities_pem IS NOT NULL AND removed_at IS NULL ORDER BY id"
    )
    now, found = datetime.now(UTC), list[Finding]()
    for row in rows:
        until = good_until(row["authorities_pem"])
        if until - now > AUTHORITIES_EXPIRE_SOON:
            continue
        mend = f"`hospitium fhir authorities {row['id']}` with those that follow"
        if until <= now:
            said = f"{row['name']} can't be read: its authorities expired on {until:%Y-%m-%d}: {mend}"
            found.append(Finding(State.WRONG, "fhir servers", said))
        else:
            said = f"the authorities of {row['name']} expire on {until:%Y-%m-%d}: {mend}"
            found.append(Finding(State.WARNING, "fhir servers", said))
    if rows and not found:
        said = f"those with authorities of their own are {len(rows)}, and none expires soon"
        found.append(Finding(State.OK, "fhir servers", said))
    return found


# -- the outside -------------------------------------------------------------------------------------------------------


def _address(set_up: Installation) -> Iterator[Finding]:
    if set_up.public_url is None:
        yield Finding(State.WARNING, "address", "PUBLIC_URL is not set: links name where `serve` listens")
        return
    parts = urlsplit(set_up.public_url)
    host = parts.hostname or ""
    try:
        found = {str(one[4][0]) for one in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except OSError:
        yield Finding(
            State.WARNING, "address", f"{host} has no address here: is PUBLIC_URL right, and its name known?"
        )
        return
    local = all(ip_address(one.partition("%")[0]).is_loopback for one in found)
    if local:
        said = f"{set_up.public_url} is this machine alone: nobody else can follow its links"
        yield Finding(State.WARNING, "address", said)
    elif parts.scheme != "https":
        said = f"{set_up.public_url} is not https: passwords would cross the network readable; put a proxy with TLS in front"
        yield Finding(State.WRONG, "address", said)
    else:
        yield Finding(State.OK, "address", set_up.public_url)
    if parts.scheme == "https" and not set_up.trusted_proxies:
        said = "TRUSTED_PROXIES is empty: behind a proxy, all callers look like one; name the proxy's address"
        yield Finding(State.WARNING, "proxies", said)
    else:
        yield Finding(State.OK, "proxies", f"trusted: {', '.join(set_up.trusted_proxies) or 'none'}")


async def _mail(here: House, set_up: Installation) -> Finding:
    server = here.mail_server()
    if server is None:
        said = f"SMTP_URL is not set: mails are written into {mailbox_in(set_up.data)}, and reach nobody"
        return Finding(State.WARNING, "mail", said)
    try:
        await server.greet()
    except Unreachable as problem:
        said = f"the server of SMTP_URL can't be used ({problem.kind}): is its address right, and user, password, certificate?"
        return Finding(State.WRONG, "mail", said)
    finally:
        await server.close()
    return Finding(State.OK, "mail", "the server of SMTP_URL lets this one in")


# -- the machine -------------------------------------------------------------------------------------------------------


def _space(set_up: Installation) -> Iterator[Finding]:
    there = next(path for path in (set_up.data, *set_up.data.parents) if path.exists())
    free = shutil.disk_usage(there).free
    said = f"{free / 1e9:.1f} GB free at {there}"
    if free < NO_SPACE:
        yield Finding(State.WRONG, "space", f"{said}: make room, or nothing can be written soon")
    elif free < LITTLE_SPACE:
        yield Finding(State.WARNING, "space", f"{said}: make room")
    else:
        yield Finding(State.OK, "space", said)


def _backups(collection: Path | None) -> Iterator[Finding]:
    if collection is None:
        yield Finding(
            State.WARNING, "backups", "not looked at: name the directory `backup` writes into with --backups"
        )
        return
    latest = backups.newest(collection)
    if latest is None:
        yield Finding(
            State.WRONG, "backups", f"there is none in {collection}: `hospitium backup {collection}`"
        )
        return
    age = datetime.now(UTC) - latest.manifest.taken_at
    said = f"the newest is {latest.directory}, {age.total_seconds() / 3600:.0f} hours old"
    dump = latest.directory / backups.DUMP
    if not dump.exists() or dump.stat().st_size != latest.manifest.size:
        yield Finding(State.WRONG, "backups", f"{said}, and its dump is not whole: take another")
    elif age > BACKUPS_ARE_LOST:
        yield Finding(State.WRONG, "backups", f"{said}: take one each day")
    elif age > BACKUPS_GET_OLD:
        yield Finding(State.WARNING, "backups", f"{said}: take one each day")
    else:
        yield Finding(State.OK, "backups", said)
