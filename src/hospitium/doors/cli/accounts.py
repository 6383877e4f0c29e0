"""`hospitium account`: the logins, and what they are members of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import msgspec

from hospitium.doors.cli.house import as_json, house, print_fields, print_json, print_table, run
from hospitium.doors.passwords import hash_now
from hospitium.engine.accounts import actions, queries
from hospitium.engine.accounts.actions import AccountForm
from hospitium.engine.accounts.emails import canonical_email
from hospitium.engine.accounts.passwords import checked_password
from hospitium.engine.actor import Role
from hospitium.engine.memberships import actions as memberships, queries as membership_queries
from hospitium.engine.organizations import queries as organization_queries
from hospitium.engine.permissions import Permission

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from hospitium.engine.accounts.record import Account
    from hospitium.engine.context import Context
    from hospitium.engine.memberships.queries import Belonging

PAGE = 500
_role = click.option(
    "--role", type=click.Choice([role.value for role in Role]), default=Role.MEMBER.value, show_default=True
)


@click.group()
def account() -> None:
    """Accounts: list, show, create, disable, enable, join, leave."""


@account.command("list")
@as_json
def list_(as_json: bool) -> None:
    """List accounts by address."""

    async def deed(ctx: Context) -> list[Account]:
        found: list[Account] = []
        after = ""
        while page := await queries.all_after(ctx, after, PAGE):
            found += page
            after = canonical_email("email", page[-1].email)
        return found

    found = run(house().operate(Permission.KEEP_ACCOUNTS, deed))
    if as_json:
        print_json(found)
    else:
        print_table(["email", "name", "status"], [[a.email, _name(a), a.status] for a in found])


@account.command()
@click.argument("email")
@as_json
def show(email: str, as_json: bool) -> None:
    """Show one account and what it is a member of."""

    async def deed(ctx: Context) -> Account:
        return await queries.by_email(ctx, canonical_email("email", email))

    _do(deed, as_json)


@account.command()
@click.argument("email")
@click.option("--first-name")
@click.option("--last-name")
@click.option("--organization", "code", help="Code of an organization to make it a member of.")
@_role
@click.option("--verified", is_flag=True, help="The mailbox is known to be this person's.")
@click.option(
    "--password-file",
    type=click.File(),
    help="Where the password is read from ('-': standard input); asked for otherwise.",
)
@as_json
def create(email: str, first_name: str | None, last_name: str | None, code: str | None, role: str, verified: bool,
           password_file: Any, as_json: bool) -> None:  # fmt: skip
    """Create an account."""
    text = (
        password_file.read().rstrip("\n")
        if password_file
        else click.prompt("Password", hide_input=True, confirmation_prompt=True)
    )
    password = hash_now(checked_password("password", text))
    form = AccountForm(email=email, first_name=first_name, last_name=last_name, verified=verified)

    async def deed(ctx: Context) -> Account:
        made = await actions.create(ctx, form, password)
        if code is not None:
            organization = await organization_queries.by_code(ctx, code)
            await memberships.add(ctx, made.id, organization.id, Role(role))
        return made

    _do(deed, as_json)


@account.command()
@click.argument("email")
@as_json
def disable(email: str, as_json: bool) -> None:
    """Disable an account: its sessions end at once."""
    _do(lambda ctx: actions.disable(ctx, email), as_json)


@account.command()
@click.argument("email")
@as_json
def enable(email: str, as_json: bool) -> None:
    """Enable a disabled account; it has to sign in again."""
    _do(lambda ctx: actions.enable(ctx, email), as_json)


@account.command()
@click.argument("email")
@click.argument("code")
@_role
@as_json
def join(email: str, code: str, role: str, as_json: bool) -> None:
    """Make an account a member of an organization."""

    async def deed(ctx: Context) -> Account:
        found = await queries.by_email(ctx, canonical_email("email", email))
        organization = await organization_queries.by_code(ctx, code)
        await memberships.add(ctx, found.id, organization.id, Role(role))
        return found

    _do(deed, as_json)


@account.command()
@click.argument("email")
@click.argument("code")
@as_json
def leave(email: str, code: str, as_json: bool) -> None:
    """End an account's membership of an organization; it counts from the next request on."""

    async def deed(ctx: Context) -> Account:
        found = await queries.by_email(ctx, canonical_email("email", email))
        organization = await organization_queries.by_code(ctx, code)
        await memberships.end(ctx, found.id, organization.id)
        return found

    _do(deed, as_json)


def _name(found: Account) -> str:
    return " ".join(part for part in (found.first_name, found.last_name) if part)


def _do(deed: Callable[[Context], Awaitable[Account]], as_json: bool) -> None:
    """Run a deed as the operator, and print the account as it is afterwards."""

    async def deed_and_look(ctx: Context) -> tuple[Account, list[Belonging]]:
        found = await deed(ctx)
        return found, await membership_queries.of_account(ctx, found.id)

    found, belongings = run(house().operate(Permission.KEEP_ACCOUNTS, deed_and_look))
    if as_json:
        print_json({**msgspec.structs.asdict(found), "memberships": belongings})
        return
    print_fields(
        {
            "email": found.email,
            "name": _name(found),
            "status": found.status,
            "id": found.id,
            "verified at": found.verified_at,
            "created at": found.created_at,
            "member of": [f"{one.code} as {one.role}" for one in belongings],
        }
    )
