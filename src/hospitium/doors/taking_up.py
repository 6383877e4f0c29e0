"""Taking up an invite with the link of its mail, shared by the doors that people use: the mailbox is proved by it, and a password
opens the account there is, or the one that is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hospitium.doors import signing_in
from hospitium.doors.surroundings import surroundings
from hospitium.engine.accounts import queries as account_queries
from hospitium.engine.accounts.passwords import checked_password, typed_password
from hospitium.engine.invites import accepting, queries
from hospitium.engine.permissions import Permission

if TYPE_CHECKING:
    from uuid import UUID

    from litestar import Request

    from hospitium.engine.accounts.actions import AccountForm
    from hospitium.engine.accounts.record import Account
    from hospitium.engine.context import Context
    from hospitium.engine.invites.accepting import Awaiting
    from hospitium.engine.invites.record import Invite
    from hospitium.engine.secrets import HashedPassword, LinkToken


async def look(request: Request[Any, Any, Any], token: LinkToken) -> Awaiting:
    """Return what waits behind a link. A dead one counts against the network it is tried from. Raises TooManyAttempts, DeadLink."""
    return await signing_in.count_failures(
        request, Permission.FOLLOW_INVITE, lambda ctx: accepting.look(ctx, token)
    )


async def take_up(
    request: Request[Any, Any, Any], token: LinkToken, password: str, form: AccountForm
) -> tuple[Account, Invite]:
    """Prove the mailbox, with the password of the account it has or is to have; return the account, and its invite.

    Raises TooManyAttempts, Busy, DeadLink, WrongCredentials, AccountDisabled, Invalid.
    """
    house = surroundings(request)
    # Looked at first, so that a dead link is told as one before any password is judged.
    awaiting = await look(request, token)
    if not awaiting.has_account:
        checked_password("password", password)  # it is to be one

    async def kept_password(ctx: Context) -> tuple[UUID, HashedPassword] | None:
        invite = await queries.by_token(ctx, token)
        if invite is None or invite.email_key is None:
            return None
        return await account_queries.kept_password(ctx, invite.email_key)

    attempt = await signing_in.compare(
        request, password, Permission.FOLLOW_INVITE, kept_password, token.digest().hex()
    )
    async with signing_in.unless_busy(request, Permission.FOLLOW_INVITE, attempt.tries):
        new_hash = await house.passwords.hash(typed_password(password))

    async def deed(ctx: Context) -> tuple[Account, Invite]:
        account, invite = await accepting.take_up(ctx, token, form, new_hash, attempt.verdict)
        await attempt.succeeded(ctx, account.id)
        return account, invite

    return await house.work.perform(request, Permission.FOLLOW_INVITE, deed)
