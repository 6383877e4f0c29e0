"""Joining an organization as a colleague, shared by the doors: with the link of an offer, and a password or a session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hospitium.doors import signing_in
from hospitium.doors.surroundings import surroundings
from hospitium.engine.accounts import queries as account_queries
from hospitium.engine.accounts.passwords import checked_password, typed_password
from hospitium.engine.errors import Invalid
from hospitium.engine.offers import actions, queries
from hospitium.engine.permissions import Permission

if TYPE_CHECKING:
    from uuid import UUID

    from litestar import Request

    from hospitium.engine.accounts.actions import AccountForm
    from hospitium.engine.context import Context
    from hospitium.engine.offers.actions import Joined
    from hospitium.engine.offers.record import Offer
    from hospitium.engine.secrets import HashedPassword, LinkToken


async def look(request: Request[Any, Any, Any], token: LinkToken) -> tuple[Offer, str, bool]:
    """Return the open offer of a token, its organization's name, and whether its address has a confirmed account.

    A dead token counts against the network it is tried from. Raises TooManyAttempts, DeadLink.
    """
    return await signing_in.count_failures(
        request, Permission.ACCEPT_OFFER, lambda ctx: actions.look(ctx, token)
    )


async def accept(
    request: Request[Any, Any, Any], token: LinkToken, password: str | None, form: AccountForm
) -> Joined:
    """Take an offer up, as who is signed in if no password is given.

    Raises TooManyAttempts, Busy, DeadLink, WrongCredentials, AccountDisabled, Forbidden, Invalid, WrongState.
    """
    house = surroundings(request)
    if password is None:
        if request.headers.get("authorization") is None:
            raise Invalid("password", "is required, unless a session of the account is sent")
        return await house.work.perform(
            request,
            Permission.ACCEPT_OFFER,
            lambda ctx: actions.accept(ctx, token, None, None, None),
            recognize=True,
        )
    # Looked at first, so that a dead link is told as one before any password is judged.
    _, _, has_account = await look(request, token)

    async def kept_password(ctx: Context) -> tuple[UUID, HashedPassword] | None:
        found = await queries.by_token(ctx, token)
        return None if found is None else await account_queries.kept_password(ctx, found[0].email_key)

    if not has_account:
        checked_password("password", password)  # it is to be one
    attempt = await signing_in.compare(
        request, password, Permission.ACCEPT_OFFER, kept_password, token.digest().hex()
    )
    async with signing_in.unless_busy(request, Permission.ACCEPT_OFFER, attempt.tries):
        new_hash = await house.passwords.hash(typed_password(password))

    async def deed(ctx: Context) -> Joined:
        joined = await actions.accept(ctx, token, form, new_hash, attempt.verdict)
        await attempt.succeeded(ctx, joined.account.id)
        return joined

    return await house.work.perform(request, Permission.ACCEPT_OFFER, deed)
