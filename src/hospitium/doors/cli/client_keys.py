"""`hospitium client-key`: what applications of an organization send to say which one they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from hospitium.doors.cli.house import as_json, house, print_fields, print_json, print_table, run
from hospitium.engine.client_keys import actions, queries
from hospitium.engine.errors import NotFound
from hospitium.engine.organizations import queries as organization_queries
from hospitium.engine.permissions import Permission
from hospitium.engine.secrets import ClientKeyText

if TYPE_CHECKING:
    from hospitium.engine.client_keys.record import ClientKey
    from hospitium.engine.context import Context


@click.group("client-key")
def client_key() -> None:
    """Client keys of an organization's applications: list, make, end."""


@client_key.command("list")
@click.argument("organization")
@as_json
def list_(organization: str, as_json: bool) -> None:
    """List the client keys of an organization, by its code."""

    async def deed(ctx: Context) -> list[ClientKey]:
        found = await organization_queries.by_code(ctx, organization)
        return await queries.of_organization(ctx, found.id)

    found = run(house().operate(Permission.KEEP_CLIENT_KEYS, deed))
    if as_json:
        print_json(found)
        return
    rows = [[key.name, f"{key.made_at:%Y-%m-%d}", "ended" if key.ended_at else "good"] for key in found]
    print_table(["name", "made", "is"], rows)


@client_key.command()
@click.argument("organization")
@click.argument("name")
@as_json
def make(organization: str, name: str, as_json: bool) -> None:
    """Make a client key of an organization and print it, once: it is kept nowhere."""
    key = ClientKeyText.new()

    async def deed(ctx: Context) -> ClientKey:
        found = await organization_queries.by_code(ctx, organization)
        return await actions.make(ctx, found.id, name, key)

    made = run(house().operate(Permission.KEEP_CLIENT_KEYS, deed))
    said = {"id": str(made.id), "name": made.name, "key": key.reveal()}
    if as_json:
        print_json(said)
    else:
        print_fields(said)
        click.echo("Send it as Medable-Client-Key. It is not shown again.", err=True)


@client_key.command()
@click.argument("organization")
@click.argument("name")
@as_json
def end(organization: str, name: str, as_json: bool) -> None:
    """End a client key: the next call with it is refused."""

    async def deed(ctx: Context) -> ClientKey:
        found = await organization_queries.by_code(ctx, organization)
        keys = await queries.of_organization(ctx, found.id)
        good = [key for key in keys if key.name == name and key.ended_at is None]
        if not good:
            raise NotFound("client key")
        return await actions.end(ctx, good[0].id)

    ended = run(house().operate(Permission.KEEP_CLIENT_KEYS, deed))
    if as_json:
        print_json(ended)
    else:
        click.echo(f"The client key {ended.name} of {organization} has ended.")
