"""Signing in, shared by the doors: tries are counted before their verdict, passwords compared outside any transaction.

Failures count by network address, and by account. On an account those from a network it was signed in to from before count
apart from those of strangers: whoever guesses can slow strangers down, and never keep the holder out of his own account.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from hospitium.doors.client_address import client_address, network_of
from hospitium.doors.surroundings import surroundings
from hospitium.engine.accounts import queries as account_queries
from hospitium.engine.accounts.emails import canonical_email
from hospitium.engine.accounts.passwords import LONGEST_TYPED, typed_password
from hospitium.engine.errors import Busy, Forbidden, Invalid, SessionEnded, Unavailable, WrongCredentials
from hospitium.engine.ids import new_id
from hospitium.engine.permissions import Permission
from hospitium.engine.secrets import LinkToken, TokenSeed, derive, seed
from hospitium.engine.sessions import actions
from hospitium.engine.sessions.actions import PasswordVerdict, Renewed, SignedIn
from hospitium.engine.sessions.record import REFRESH_PURPOSE
from hospitium.engine.throttles import actions as throttles, queries as throttle_queries
from hospitium.engine.throttles.rules import Try, a_try

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from uuid import UUID

    from litestar import Request

    from hospitium.doors.surroundings import Surroundings
    from hospitium.engine.context import Context
    from hospitium.engine.secrets import HashedPassword, SessionCookie


T = TypeVar("T")


class Attempt(NamedTuple):
    """A password that was compared, what was counted for it, and from which network it came."""

    verdict: PasswordVerdict
    tries: tuple[Try, ...]
    network: bytes

    async def succeeded(self, ctx: Context, account_id: UUID) -> None:
        """Give the tries back in the deed that was right, and remember the network."""
        await throttles.give_back(ctx, self.tries)
        await throttles.remember_network(ctx, account_id, self.network)


class Tokens(NamedTuple):
    """What a sign-in or a renewal hands out."""

    signed_in: SignedIn
    refresh_token: LinkToken


def from_network(request: Request[Any, Any, Any], house: Surroundings) -> Try:
    """Return what counts the failures of the network a request came from."""
    network = network_of(client_address(request, house.trusted_proxies))
    return a_try(house.link_key.key, house.limits.network, "network", str(network))


async def count(request: Request[Any, Any, Any], permission: Permission) -> Try:
    """Count a try of the network a request came from, for good or until it is given back. Raises TooManyAttempts."""
    house = surroundings(request)
    one = from_network(request, house)
    await house.work.perform(request, permission, lambda ctx: throttles.count(ctx, [one]))
    return one


async def count_failures(
    request: Request[Any, Any, Any], permission: Permission, action: Callable[[Context], Awaitable[T]]
) -> T:
    """Run an action whose refusal counts against the network it is tried from. Raises TooManyAttempts, and what it raises."""
    counted = await count(request, permission)

    async def deed(ctx: Context) -> T:
        done = await action(ctx)
        await throttles.give_back(ctx, [counted])
        return done

    return await surroundings(request).work.perform(request, permission, deed)


@asynccontextmanager
async def unless_busy(
    request: Request[Any, Any, Any], permission: Permission, tries: Sequence[Try]
) -> AsyncIterator[None]:
    """Give tries back if the block has no room for its slow work: nothing was compared or made, so nothing failed."""
    try:
        yield
    except Busy:
        await surroundings(request).work.perform(
            request, permission, lambda ctx: throttles.give_back(ctx, tries)
        )
        raise


async def compare(
    request: Request[Any, Any, Any],
    password: str,
    permission: Permission,
    kept_password: Callable[[Context], Awaitable[tuple[UUID, HashedPassword] | None]],
    whose: str,
) -> Attempt:
    """Count the try, then compare a password with the one an account has, or with nobody's if there is none.

    `whose` is what a try is counted on if there is no account. Raises Invalid, TooManyAttempts, Busy.
    """
    if len(password) > LONGEST_TYPED:
        raise Invalid("password", f"must be at most {LONGEST_TYPED:,} characters long")
    house = surroundings(request)
    network = from_network(request, house)

    async def counted(ctx: Context) -> tuple[tuple[UUID, HashedPassword] | None, tuple[Try, ...]]:
        kept = await kept_password(ctx)
        familiar = await throttle_queries.is_familiar(ctx, kept and kept[0], network.key)
        place = network.key.hex() if familiar else ""
        account = str(kept[0]) if kept else whose
        tries = (network, a_try(house.link_key.key, house.limits.account, "account", account, place))
        await throttles.count(ctx, tries)
        return kept, tries

    kept, tries = await house.work.perform(request, permission, counted)
    async with unless_busy(request, permission, tries):
        verdict = await house.passwords.compare(typed_password(password), kept)
    return Attempt(verdict, tries, network.key)


async def compare_by_email(
    request: Request[Any, Any, Any], address: str, password: str, permission: Permission = Permission.SIGN_IN
) -> Attempt:
    """Compare a password with that of the account of an address; no address at all is as wrong as an unknown one."""
    try:
        email_key = canonical_email("email", address)
    except Invalid:
        email_key = ""
    return await compare(
        request, password, permission, lambda ctx: account_queries.kept_password(ctx, email_key), email_key
    )


async def sign_in(
    request: Request[Any, Any, Any],
    address: str,
    password: str,
    organization_id: UUID | None,
    cookie: SessionCookie | None = None,
) -> Tokens:
    """Sign in; act for `organization_id`, or for the oldest active one. A browser is known again by its `cookie`.

    Raises Invalid, TooManyAttempts, Busy, WrongCredentials, AccountDisabled, NotConfirmed, OrganizationInactive, Forbidden.
    """
    house = surroundings(request)
    attempt = await compare_by_email(request, address, password)
    refresh = seed(house.link_key, REFRESH_PURPOSE, new_id(house.work.clock()))

    async def deed(ctx: Context) -> SignedIn:
        signed_in = await actions.start(ctx, attempt.verdict, organization_id, refresh, cookie)
        await attempt.succeeded(ctx, signed_in.account.id)
        return signed_in

    try:
        signed_in = await house.work.perform(request, Permission.SIGN_IN, deed)
    except (WrongCredentials, Forbidden) as refusal:
        reason = type(refusal).__name__
        await house.work.perform(
            request,
            Permission.SIGN_IN,
            lambda ctx: actions.note_failed_sign_in(ctx, attempt.verdict, reason),
        )
        raise
    return _tokens(house, signed_in, refresh)


async def renew(request: Request[Any, Any, Any], refresh_token: str) -> Tokens:
    """Exchange a refresh token for its successor. Raises SessionEnded, Unavailable."""
    house = surroundings(request)
    successor = seed(house.link_key, REFRESH_PURPOSE, new_id(house.work.clock()))
    outcome = await house.work.perform(
        request,
        Permission.RENEW_SESSION,
        lambda ctx: actions.renew(ctx, LinkToken(refresh_token), successor),
    )
    if not isinstance(outcome, Renewed):
        raise SessionEnded
    signed_in, token = outcome
    return _tokens(house, signed_in, TokenSeed(token.id, token.key_number, token.nonce, b""))


def _tokens(house: Surroundings, signed_in: SignedIn, refresh: TokenSeed) -> Tokens:
    key = house.link_keys.get(refresh.key_number)
    if key is None:
        raise Unavailable(1)  # made by a server that has a newer key; this one takes it up at its next start
    return Tokens(signed_in, derive(key, REFRESH_PURPOSE, refresh.row_id, refresh.nonce))
