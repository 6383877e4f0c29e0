"""`hospitium org`: what the operator decides about organizations (ruling 28)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from hospitium.doors.cli.house import as_json, house, print_fields, print_json, print_table, run
from hospitium.engine.organizations import actions, queries
from hospitium.engine.organizations.actions import OrganizationForm
from hospitium.engine.organizations.record import OrganizationProfile, OrganizationStatus, OrganizationType
from hospitium.engine.permissions import Permission

if TYPE_CHECKING:
    from hospitium.engine.context import Context

PAGE = 500


@click.group()
def org() -> None:
    """Organizations: list, show, create, approve, suspend, reinstate."""


@org.command("list")
@click.option(
    "--status", type=click.Choice([status.value for status in OrganizationStatus]), help="Only these."
)
@as_json
def list_(status: str | None, as_json: bool) -> None:
    """List organizations by code."""
    wanted = None if status is None else OrganizationStatus(status)

    async def deed(ctx: Context) -> list[OrganizationProfile]:
        found: list[OrganizationProfile] = []
        while page := await queries.all_after(ctx, found[-1].code if found else "", wanted, PAGE):
            found += page
        return found

    found = run(house().operate(Permission.JUDGE_ORGANIZATION, deed))
    if as_json:
        print_json(found)
    else:
        print_table(["code", "name", "type", "status"], [[o.code, o.name, o.type, o.status] for o in found])


@org.command()
@click.argument("code")
@as_json
def show(code: str, as_json: bool) -> None:
    """Show one organization."""
    _print(
        run(house().operate(Permission.JUDGE_ORGANIZATION, lambda ctx: queries.by_code(ctx, code))), as_json
    )


@org.command()
@click.argument("code")
@click.option("--name", required=True)
@click.option("--type", "type_", required=True, type=click.Choice([one.value for one in OrganizationType]))
@as_json
def create(code: str, name: str, type_: str, as_json: bool) -> None:
    """Create an active organization."""
    form = OrganizationForm(name=name, type=OrganizationType(type_))
    made = run(
        house().operate(
            Permission.JUDGE_ORGANIZATION,
            lambda ctx: actions.create(ctx, code, form, OrganizationStatus.ACTIVE),
        )
    )
    _print(made, as_json)


def _judging(verb: str, sentence: str) -> None:
    @org.command(verb, help=sentence)
    @click.argument("code")
    @as_json
    def judge(code: str, as_json: bool) -> None:
        after = run(
            house().operate(Permission.JUDGE_ORGANIZATION, lambda ctx: actions.judge(ctx, verb, code))
        )
        _print(after, as_json)


_judging("approve", "Let a pending organization in.")
_judging(
    "suspend",
    "Stop an organization: its people are refused from their next request on, its grants count no more.",
)
_judging("reinstate", "Let a suspended organization act again.")


def _print(organization: OrganizationProfile, as_json: bool) -> None:
    if as_json:
        print_json(organization)
        return
    found = msgspec.structs.asdict(organization)
    first = {name: found.pop(name) for name in ("code", "name", "type", "status")}
    print_fields({**first, **{name: value for name, value in found.items() if name != "version"}})
