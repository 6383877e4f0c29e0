"""Proofs, shared by the doors: a link's token, with a password to be, or with the password there is.

A dead link counts against the network it is tried from, a wrong password against the account too. Slow work is done before
the transaction of the deed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hospitium.doors import signing_in
from hospitium.doors.surroundings import surroundings
from hospitium.engine.accounts import queries
from hospitium.engine.accounts.passwords import checked_password
from hospitium.engine.links import queries as link_queries
from hospitium.engine.throttles import actions as throttles

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from uuid import UUID

    from litestar import Request

    from hospitium.engine.accounts.record import Account
    from hospitium.engine.context import Context
    from hospitium.engine.links.record import LinkPurpose
    from hospitium.engine.permissions import Permission
    from hospitium.engine.secrets import HashedPassword, LinkToken
    from hospitium.engine.sessions.actions import PasswordVerdict
    from hospitium.engine.throttles.rules import Try


async def hashed(
    request: Request[Any, Any, Any], permission: Permission, password: str
) -> tuple[HashedPassword, Try]:
    """Check a password to be, count a try of the network it comes from, and hash it; return the hash and the try.

    Raises Invalid, TooManyAttempts, Busy.
    """
    checked = checked_password("password", password)
    counted = await signing_in.count(request, permission)
    async with signing_in.unless_busy(request, permission, [counted]):
        return await surroundings(request).passwords.hash(checked), counted


async def with_new_password(
    request: Request[Any, Any, Any],
    permission: Permission,
    token: LinkToken,
    password: str,
    action: Callable[[Context, LinkToken, HashedPassword], Awaitable[Account]],
) -> Account:
    """Run an action that takes a link and a password to be. Raises Invalid, TooManyAttempts, Busy, and what it raises."""
    new_hash, counted = await hashed(request, permission, password)
    house = surroundings(request)

    async def deed(ctx: Context) -> Account:
        account = await action(ctx, token, new_hash)
        await throttles.give_back(ctx, [counted])
        await throttles.remember_network(ctx, account.id, counted.key)
        return account

    return await house.work.perform(request, permission, deed)


async def with_password(
    request: Request[Any, Any, Any],
    permission: Permission,
    purpose: LinkPurpose,
    token: LinkToken,
    password: str,
    action: Callable[[Context, LinkToken, PasswordVerdict], Awaitable[Account]],
) -> Account:
    """Run an action that takes a link and the password of its account. Raises Invalid, TooManyAttempts, Busy, and what it raises."""

    async def kept_password(ctx: Context) -> tuple[UUID, HashedPassword] | None:
        link = await link_queries.by_token(ctx, token, purpose)
        return await queries.kept_password_of(ctx, None if link is None else link.account_id)

    attempt = await signing_in.compare(request, password, permission, kept_password, token.digest().hex())

    async def deed(ctx: Context) -> Account:
        account = await action(ctx, token, attempt.verdict)
        await attempt.succeeded(ctx, account.id)
        return account

    return await surroundings(request).work.perform(request, permission, deed)
