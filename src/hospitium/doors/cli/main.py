"""The command line's own table of contents."""

from __future__ import annotations

import os
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hospitium import __version__
from hospitium.doors.cli import (
    access,
    accounts,
    audit,
    backup,
    client_keys,
    deliveries,
    demo_world,
    doctor,
    fhir,
    invite,
    keys,
    mailbox,
    organizations,
    service_keys,
    world,
    world_clinic,
    world_invites,
)
from hospitium.doors.cli.house import VIOLATED, as_json, house, print_json, run
from hospitium.doors.cli.world import Made
from hospitium.doors.cli.world_invites import Means
from hospitium.engine.errors import Invalid
from hospitium.engine.permissions import Permission
from hospitium.engine.verify import verify as find_violations

if TYPE_CHECKING:
    from hospitium.doors.cli.house import House
    from hospitium.doors.cli.world import World
    from hospitium.doors.cli.world_entries import Loaded
    from hospitium.engine.verify import Violation

DEFAULT_PORT = 8420

_host = click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
_port = click.option(
    "--port",
    default=DEFAULT_PORT,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="0: any that is free.",
)


@click.group()
@click.version_option(__version__, prog_name="hospitium")
def cli() -> None:
    """One server where the sharing of health data is asked for, agreed, enforced, seen and ended.

    Settings come from the environment (docs/reference/settings.md). Exit codes: 0 done, 1 refused, 2 misused, 3 can't run
    as it is set up, 4 `verify`, `audit verify` or `doctor` found something, or `invite` had rows refused.
    """


cli.add_command(organizations.org)
cli.add_command(accounts.account)
cli.add_command(keys.keys)
cli.add_command(client_keys.client_key)
cli.add_command(service_keys.key)
cli.add_command(fhir.fhir)
cli.add_command(invite.invite)
cli.add_command(access.explain)
cli.add_command(audit.audit)
cli.add_command(backup.backup)
cli.add_command(backup.restore)
cli.add_command(doctor.doctor)
cli.add_command(deliveries.deliveries)
cli.add_command(deliveries.dispatch)
cli.add_command(mailbox.mailbox)


@cli.command()
@_host
@_port
def serve(host: str, port: int) -> None:
    """Serve until stopped (Ctrl-C, SIGTERM)."""
    run(house().serve(host, port, lambda address: click.echo(f"Hospitium serves at {address}")))


@cli.command()
def migrate() -> None:
    """Bring the database to the schema this version needs."""
    before, after = run(house().migrate())
    click.echo(
        f"The schema is {after}."
        if before == after
        else f"The schema went from {before or 'nothing'} to {after}."
    )


@cli.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@as_json
def load(files: tuple[Path, ...], as_json: bool) -> None:
    """Create what is missing of a world: FILES in JSON or YAML, each in one transaction."""

    async def all_of_them(house: House) -> None:
        async with house.database_url():  # kept open, so that the embedded database starts once
            for file in files:
                try:
                    counts = await load_world(house, world.read(file), file.parent)
                except Invalid as refusal:
                    raise Invalid(f"{file}: {refusal.field}", refusal.reason) from None
                print_loaded(counts, as_json)

    run(all_of_them(house()))


@cli.command()
@as_json
def verify(as_json: bool) -> None:
    """Check what must always be true of the data; exit code 4 if something is not."""

    async def find(house: House) -> list[Violation]:
        async with house.database() as database, database.transaction() as tx:
            return await find_violations(tx, house.rules, datetime.now(UTC))

    violations = run(find(house()))
    if as_json:
        print_json([violation._asdict() for violation in violations])
    elif not violations:
        click.echo("All that must be true of the data is true.")
    for violation in [] if as_json else violations:
        click.echo(f"{violation.code}: {violation.sentence}")
        for found in violation.found:
            click.echo(f"    not so: {found}")
    if violations:
        click.get_current_context().exit(VIOLATED)


@cli.command()
@_host
@_port
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Keep the demo here; a fresh directory, removed at the end, otherwise.",
)
def demo(host: str, port: int, data: Path | None) -> None:
    """Serve a made-up world of 300 organizations on a database of its own, and print what to try."""

    async def show(house: House, kept_in: Path) -> None:
        async with house.database_url():
            await house.migrate()
            click.echo("Loading the demo world …")
            print_loaded(await load_world(house, demo_world.world()), as_json=False)
            await house.serve(
                host, port, lambda address: click.echo(demo_world.introduction(address, kept_in))
            )

    if data is not None:
        run(show(house().elsewhere(data), data.absolute()))
        return
    fresh = Path(tempfile.mkdtemp(prefix="hospitium-demo-"))
    # Under root the database's user has to pass through; what is inside stays closed to others.
    fresh.chmod(0o711 if os.geteuid() == 0 else 0o700)
    try:
        run(show(house().elsewhere(fresh), fresh))
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


async def load_world(house: House, given: World, beside: Path = Path()) -> list[Loaded]:
    """Load a world: read what it names, look what is missing, do what is slow outside any transaction, then create all in one.

    `beside`: the directory of its file, in which what it names lies.
    """
    brought = world_clinic.bring(given.fhir_servers, beside)
    missing = await house.operate(Permission.IMPORT_WORLD, lambda ctx: world.missing(ctx, given))
    threads = os.cpu_count() or 1
    made = Made(
        passwords=world.hash_passwords(missing.accounts, threads),
        brought=brought,
        coded=world_invites.make_codes(given.invites, missing.codes, threads),
        means=Means(
            house.link_key() if given.shares or given.invites else None,
            house.pepper() if missing.codes else None,
            house.invite_life,
        ),
        sealing_key=house.sealing_key() if any(one.credentials for one in brought) else None,
    )
    return await house.operate(Permission.IMPORT_WORLD, lambda ctx: world.load(ctx, given, made, house.rules))


def print_loaded(counts: list[Loaded], as_json: bool) -> None:
    """Print a line a kind."""
    if as_json:
        print_json(counts)
        return
    for count in counts:
        changed = f", {count.updated} of them updated" if count.updated else ""
        click.echo(f"{count.kind:14}{count.created:6} created  {count.present:6} there already{changed}")
        for line in count.shown:
            click.echo(f"    shown this once: {line}")
