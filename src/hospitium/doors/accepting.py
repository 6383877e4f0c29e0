"""Answering a share with its link, shared by the doors that people use: accepted with a password, declined with the link alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from hospitium.doors import signing_in
from hospitium.doors.surroundings import surroundings
from hospitium.engine.accounts import queries as account_queries
from hospitium.engine.accounts.passwords import checked_password, typed_password
from hospitium.engine.organizations import queries as organization_queries
from hospitium.engine.permissions import Permission
from hospitium.engine.shares import actions
from hospitium.engine.teams import queries as team_queries

if TYPE_CHECKING:
    from uuid import UUID

    from litestar import Request

    from hospitium.engine.accounts.actions import AccountForm
    from hospitium.engine.context import Context
    from hospitium.engine.secrets import HashedPassword, LinkToken
    from hospitium.engine.shares.queries import ShareView


class Offered(NamedTuple):
    """What waits behind a link: the share, who offers it, at which organization, what kind of thing it is (None: an account), to
    which team (None: to the reader alone), to which address it was sent, and whether that has a confirmed account."""

    view: ShareView
    sharer: str
    organization: str
    label: str | None
    team: str | None
    email: str
    has_account: bool


async def look(request: Request[Any, Any, Any], token: LinkToken) -> Offered:
    """Return what waits behind a link. A dead one counts against the network it is tried from. Raises TooManyAttempts, DeadLink."""

    async def deed(ctx: Context) -> Offered:
        return await _offered(ctx, await actions.look(ctx, token))

    return await signing_in.count_failures(request, Permission.FOLLOW_SHARE, deed)


async def accept(
    request: Request[Any, Any, Any],
    token: LinkToken,
    password: str,
    form: AccountForm,
    version: int | None = None,
) -> Offered:
    """Accept a share, with the password of the account its mailbox has or is to have; return what was accepted.

    `version`: the one that was shown. Raises TooManyAttempts, Busy, DeadLink, WrongCredentials, AccountDisabled, Invalid, WrongState.
    """
    house = surroundings(request)
    # Looked at first, so that a dead link is told as one before any password is judged.
    offered = await look(request, token)
    if not offered.has_account:
        checked_password("password", password)  # it is to be one

    async def kept_password(ctx: Context) -> tuple[UUID, HashedPassword] | None:
        email_key = await actions.mailbox_of(ctx, token)
        return None if email_key is None else await account_queries.kept_password(ctx, email_key)

    attempt = await signing_in.compare(
        request, password, Permission.FOLLOW_SHARE, kept_password, token.digest().hex()
    )
    async with signing_in.unless_busy(request, Permission.FOLLOW_SHARE, attempt.tries):
        new_hash = await house.passwords.hash(typed_password(password))

    async def deed(ctx: Context) -> None:
        account_id = await actions.accept_by_link(ctx, token, form, new_hash, attempt.verdict, version)
        await attempt.succeeded(ctx, account_id)

    await house.work.perform(request, Permission.FOLLOW_SHARE, deed)
    return offered


async def decline(request: Request[Any, Any, Any], token: LinkToken) -> None:
    """Decline a share. Raises TooManyAttempts, DeadLink."""
    await signing_in.count_failures(
        request, Permission.FOLLOW_SHARE, lambda ctx: actions.decline_by_link(ctx, token)
    )


async def _offered(ctx: Context, view: ShareView) -> Offered:
    sharer = await account_queries.by_id(ctx, view.share.creator_id)
    organization = await organization_queries.by_id(ctx, view.share.organization_id)
    team_id = view.share.target_team_id
    email = await actions.address_of(ctx, view.share)
    account = await account_queries.by_address(ctx, email)
    return Offered(
        view,
        sharer.full_name or sharer.email,
        "" if organization is None else organization.name,
        view.label,
        None if team_id is None else await team_queries.name_of(ctx, team_id),
        email,
        account is not None and account.is_confirmed,
    )
