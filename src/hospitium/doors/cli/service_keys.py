"""`hospitium key`: by which applications of an organization ask, instead of a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from hospitium.doors.cli.house import as_json, house, print_fields, print_json, print_table, run
from hospitium.engine.errors import NotFound
from hospitium.engine.organizations import queries as organization_queries
from hospitium.engine.permissions import Permission
from hospitium.engine.secrets import ServiceKeyText
from hospitium.engine.service_keys import actions, queries
from hospitium.engine.service_keys.record import Scope

if TYPE_CHECKING:
    from hospitium.engine.context import Context
    from hospitium.engine.service_keys.record import ServiceKey


@click.group("key")
def key() -> None:
    """Service keys of an organization's applications: list, make, end."""


@key.command("list")
@click.argument("organization")
@as_json
def list_(organization: str, as_json: bool) -> None:
    """List the service keys of an organization, by its code."""

    async def deed(ctx: Context) -> list[ServiceKey]:
        found = await organization_queries.by_code(ctx, organization)
        return await queries.of_organization(ctx, found.id)

    found = run(house().operate(Permission.KEEP_SERVICE_KEYS, deed))
    if as_json:
        print_json(found)
        return
    rows = [
        [
            one.name,
            " ".join(one.scopes),
            f"{one.made_at:%Y-%m-%d}",
            "the operator" if one.made_by_id is None else str(one.made_by_id),
            "never" if one.last_used_at is None else f"{one.last_used_at:%Y-%m-%d %H:%M}",
            "ended" if one.ended_at else "good",
        ]
        for one in found
    ]
    print_table(["name", "scopes", "made", "by", "last used", "is"], rows)


@key.command()
@click.argument("organization")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice([scope.value for scope in Scope]),
    help="What it may be used for; may be given several times.",
)
@as_json
def make(organization: str, name: str, scopes: tuple[str, ...], as_json: bool) -> None:
    """Make a service key of an organization and print it, once: it is kept nowhere."""
    text = ServiceKeyText.new()

    async def deed(ctx: Context) -> ServiceKey:
        found = await organization_queries.by_code(ctx, organization)
        return await actions.make(ctx, found.id, name, scopes, text)

    made = run(house().operate(Permission.KEEP_SERVICE_KEYS, deed))
    said = {"id": str(made.id), "name": made.name, "scopes": made.scopes, "key": text.reveal()}
    if as_json:
        print_json(said)
    else:
        print_fields(said | {"scopes": " ".join(made.scopes)})
        click.echo("Send it as Authorization: Bearer. It is not shown again.", err=True)


@key.command()
@click.argument("organization")
@click.argument("name")
@as_json
def end(organization: str, name: str, as_json: bool) -> None:
    """End a service key: the next request with it is refused."""

    async def deed(ctx: Context) -> ServiceKey:
        found = await organization_queries.by_code(ctx, organization)
        keys = await queries.of_organization(ctx, found.id)
        good = [one for one in keys if one.name == name and one.ended_at is None]
        if not good:
            raise NotFound("service key")
        return await actions.end(ctx, good[0].id)

    ended = run(house().operate(Permission.KEEP_SERVICE_KEYS, deed))
    if as_json:
        print_json(ended)
    else:
        click.echo(f"The service key {ended.name} of {organization} has ended.")
