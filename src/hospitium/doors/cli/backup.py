"""`hospitium backup` and `hospitium restore`: what is lost on a bad day, and what must not come back with the rest."""

from __future__ import annotations

import secrets
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from hospitium.doors.cli.house import as_json, house, print_fields, print_json, run
from hospitium.doors.passwords import hash_now
from hospitium.engine.epochs import actions as epochs
from hospitium.engine.epochs.revocations import Trail, TrailLine
from hospitium.engine.errors import Invalid
from hospitium.engine.permissions import Permission
from hospitium.engine.secrets import Password
from hospitium.storage import backup as backups
from hospitium.storage.database import Database, DatabaseUnavailable
from hospitium.storage.keyring import KeyProblem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from hospitium.doors.cli.house import House
    from hospitium.engine.context import Context
    from hospitium.engine.epochs.actions import Restored
    from hospitium.engine.epochs.record import Epoch
    from hospitium.storage.backup import Backup

_directory = click.argument("directory", type=click.Path(path_type=Path))
_trail = click.option(
    "--trail",
    type=click.Path(path_type=Path),
    help="An exported trail (NDJSON) that goes on after the backup: what ended since is ended again.",
)
_complete = click.option(
    "--complete",
    is_flag=True,
    help="Nothing happened after the end of the trail (without one: after the backup). Holds nothing, then.",
)
_yes = click.option("--yes", is_flag=True, help="Don't ask.")


@click.command()
@_directory
@as_json
def backup(directory: Path, as_json: bool) -> None:
    """Take a backup into a new directory below DIRECTORY, while servers serve; the keys are never in it."""

    async def work(house: House) -> Backup:
        async with house.database_url() as url, _opened(url) as database:
            with suppress(DatabaseUnavailable):  # somebody reads the trail; a month too few stops no backup
                async with database.transaction() as tx:
                    await backups.prepare(tx, datetime.now(UTC))
            async with database.transaction() as tx:
                return await backups.take(tx, url, directory, house.programs(), datetime.now(UTC))

    taken = run(work(house()))
    if as_json:
        print_json({"directory": taken.directory, **msgspec.structs.asdict(taken.manifest)})
        return
    manifest = taken.manifest
    click.echo(f"The backup is {taken.directory} ({manifest.size:,} bytes). The keys are not in it:")
    click.echo(
        f"keep a copy of their directory elsewhere ({', '.join(_names_of_keys(taken)) or 'none used yet'})."
    )


class _Restoring(click.Group):
    """`restore DIRECTORY` is short for `restore from DIRECTORY`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and not {"--help"} & set(args):
            args = ["from", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_Restoring)
def restore() -> None:
    """Restore a backup into an empty database, so that nothing that ended since comes back to life."""


@restore.command("from")
@_directory
@_trail
@_complete
@_yes
@as_json
def from_(directory: Path, trail: Path | None, complete: bool, yes: bool, as_json: bool) -> None:
    """Restore one backup into an empty database. `restore DIRECTORY` says the same.

    Every session, link and offer of the backup ends, and its grants and memberships are held until `restore confirm`.
    """
    found = backups.read(directory)
    lines = _read_trail(trail)
    backups.require_whole(found)
    if not yes:
        click.echo(
            f"A backup of {found.manifest.taken_at:%Y-%m-%d %H:%M} UTC, {found.manifest.size:,} bytes."
        )
        click.confirm("Restore it?", abort=True)

    async def work(house: House) -> Restored:
        backups.require_keys(found.manifest.keys, _keys_of(house), house.installation().keys)
        async with house.database_url() as url:
            async with _opened(url) as database, database.transaction() as tx:
                program = await backups.require_room_for(found, tx, house.programs())
            await backups.bring_back(found, url, program)
            await house.migrate()
            return await _begin(house, found.manifest.taken_at, lines, complete)

    _print_restored(run(work(house())), as_json)


@restore.command()
@_trail
@_complete
@_yes
@as_json
def begin(trail: Path | None, complete: bool, yes: bool, as_json: bool) -> None:
    """Do what follows a restore, on a database that was brought back by other means than `restore`."""
    lines = _read_trail(trail)
    if not yes:
        click.confirm("End every session, link and offer, and hold every grant and membership?", abort=True)
    _print_restored(run(_begin(house(), None, lines, complete)), as_json)


@restore.command()
@as_json
def confirm(as_json: bool) -> None:
    """Release the grants and memberships that a restore holds, once you have looked at what ended since the backup."""
    confirmed: list[Epoch] = run(house().operate(Permission.RESTORE, epochs.confirm))
    if as_json:
        print_json(confirmed)
    else:
        click.echo(f"What was held counts again: {', '.join(f'epoch {one.number}' for one in confirmed)}.")


@asynccontextmanager
async def _opened(url: str) -> AsyncIterator[Database]:
    """Lend a database whatever its schema: a backup comes before the migration, and a restore before that."""
    database = await Database.open(url, size=2)
    try:
        yield database
    finally:
        await database.close()


async def _begin(house: House, taken_at: datetime | None, lines: list[TrailLine], complete: bool) -> Restored:
    nobodys = hash_now(Password(secrets.token_urlsafe(32)))

    async def deed(ctx: Context) -> Restored:
        return await epochs.begin_next(ctx, taken_at, Trail(lines, complete, nobodys))

    return await house.operate(Permission.RESTORE, deed)


def _keys_of(house: House) -> Any:
    try:
        return house.kept_keys()
    except KeyProblem:
        return None  # what is missing is said of the backup


def _read_trail(path: Path | None) -> list[TrailLine]:
    """Read the lines that are events; others, such as those of seals, are passed over. Raises Invalid."""
    return [] if path is None else list(_events_in(path))


def _events_in(path: Path) -> Iterator[TrailLine]:
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    try:
                        shape = msgspec.json.decode(line)
                        if isinstance(shape, dict) and "kind" in shape and "id" in shape:
                            yield msgspec.convert(shape, TrailLine)
                    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as reason:
                        raise Invalid(f"{path} line {number}", str(reason)) from None
    except OSError as reason:
        raise Invalid(str(path), f"can't be read ({reason.strerror})") from None


def _names_of_keys(taken: Backup) -> list[str]:
    return [f"{key.purpose}-{key.number}" for key in taken.manifest.keys]


def _print_restored(done: Restored, as_json: bool) -> None:
    if as_json:
        said = {
            "epoch": done.epoch.number,
            "taken_at": done.epoch.taken_at,
            "voided": done.voided,
            "applied": done.applied.counts(),
            "not_there": done.applied.not_there,
            "held": done.epoch.holds,
            "held_because": done.still_held_because,
        }
        print_json(said)
        return
    print_fields(
        {
            "restored": f"epoch {done.epoch.number}",
            "as of": done.epoch.taken_at,
            "voided": [f"{count} {name}" for name, count in done.voided.items()],
            "ended again": [f"{kind}: {count}" for kind, count in done.applied.counts().items()],
            "the rest": "held until `hospitium restore confirm`" if done.epoch.holds else "count",
            "because": done.still_held_because,
        }
    )
