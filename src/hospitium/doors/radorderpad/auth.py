"""Signing in, renewing and signing out (docs/dialects/radorderpad.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar import Request, Response

from hospitium.doors import json_body
from hospitium.doors.answers import Answer, answer, send
from hospitium.doors.radorderpad.wire import Body, Wire, body_id, printed_role, success
from hospitium.doors.surroundings import Surroundings, surroundings
from hospitium.engine.accounts import queries as account_queries
from hospitium.engine.accounts.emails import canonical_email
from hospitium.engine.accounts.passwords import typed_password
from hospitium.engine.accounts.record import AccountStatus
from hospitium.engine.errors import (
    Forbidden,
    Invalid,
    Refusal,
    SessionEnded,
    Unavailable,
    WrongCredentials,
)
from hospitium.engine.ids import new_id
from hospitium.engine.permissions import Permission
from hospitium.engine.secrets import LinkToken, TokenSeed, derive, seed
from hospitium.engine.sessions import actions
from hospitium.engine.sessions.actions import PasswordVerdict, Renewed, SignedIn
from hospitium.engine.sessions.record import ACCESS_LIFE, REFRESH_PURPOSE

if TYPE_CHECKING:
    from uuid import UUID

LONGEST_PASSWORD = 1_024


class LoginBody(Body):
    """`{email, password}`, or `username` for `email`; `organizationId` chooses among several (ruling 2)."""

    password: str
    email: str | None = None
    username: str | None = None
    organization_id: str | None = None


class RefreshBody(Body):
    refresh_token: str


class User(Wire):
    """Who signed in, and as what in which organization."""

    id: UUID
    first_name: str | None
    last_name: str | None
    email: str
    role: str | None
    organization_id: UUID | None
    is_active: bool


class Tokens(Wire):
    """A pair of tokens; `token` and `accessToken` are the same, because the documents disagree on the name."""

    token: str
    access_token: str
    refresh_token: str
    expires_in: int
    user: User


async def login(request: Request[Any, Any, Any]) -> Response[bytes]:
    given = json_body.read(await request.body(), request.headers.get("content-type"), LoginBody)
    house = surroundings(request)
    organization_id = (
        None if given.organization_id is None else body_id("organizationId", given.organization_id)
    )
    verdict = await _compare(request, _address(given), given.password)
    refresh = seed(house.link_key, REFRESH_PURPOSE, new_id(house.work.clock()))
    try:
        signed_in = await house.work.perform(
            request, Permission.SIGN_IN, lambda ctx: actions.start(ctx, verdict, organization_id, refresh)
        )
    except (WrongCredentials, Forbidden) as refusal:
        await _note_failure(request, verdict, refusal)
        raise
    return send(_tokens(house, signed_in, refresh))


async def refresh(request: Request[Any, Any, Any]) -> Response[bytes]:
    given = json_body.read(await request.body(), request.headers.get("content-type"), RefreshBody)
    house = surroundings(request)
    successor = seed(house.link_key, REFRESH_PURPOSE, new_id(house.work.clock()))
    outcome = await house.work.perform(
        request,
        Permission.RENEW_SESSION,
        lambda ctx: actions.renew(ctx, LinkToken(given.refresh_token), successor),
    )
    if not isinstance(outcome, Renewed):
        raise SessionEnded
    signed_in, token = outcome
    return send(_tokens(house, signed_in, TokenSeed(token.id, token.key_number, token.nonce, b"")))


async def logout(request: Request[Any, Any, Any]) -> Response[bytes]:
    # The documents send a body here or none, and say nothing of what is in it: it isn't read.
    await surroundings(request).work.perform(request, Permission.SIGN_OUT, actions.end)
    return send(answer(200, {"success": True, "message": "Signed out"}))


def _address(given: LoginBody) -> str:
    if (given.email is None) == (given.username is None):
        raise Invalid(
            "email", "is required" if given.email is None else "and username must not both be given"
        )
    return given.email or given.username or ""


async def _compare(request: Request[Any, Any, Any], address: str, password: str) -> PasswordVerdict:
    house = surroundings(request)
    if len(password) > LONGEST_PASSWORD:
        raise Invalid("password", f"must be at most {LONGEST_PASSWORD:,} characters long")
    try:
        email_key = canonical_email("email", address)
    except Invalid:
        email_key = ""  # no address at all is as wrong as an unknown one, and takes as long
    kept = await house.work.perform(
        request, Permission.SIGN_IN, lambda ctx: account_queries.kept_password(ctx, email_key)
    )
    return await house.passwords.compare(typed_password(password), kept)


async def _note_failure(request: Request[Any, Any, Any], verdict: PasswordVerdict, refusal: Refusal) -> None:
    await surroundings(request).work.perform(
        request,
        Permission.SIGN_IN,
        lambda ctx: actions.note_failed_sign_in(ctx, verdict, type(refusal).__name__),
    )


def _tokens(house: Surroundings, signed_in: SignedIn, refresh: TokenSeed) -> Answer:
    _session, account, belonging = signed_in
    role = None if belonging is None else printed_role(belonging.role, belonging.organization_type)
    token = house.access_tokens.mint(signed_in, role, house.work.clock())
    key = house.link_keys.get(refresh.key_number)
    if key is None:
        raise Unavailable(1)  # made by a server that has a newer key; this one takes it up at its next start
    refresh_token = derive(key, REFRESH_PURPOSE, refresh.row_id, refresh.nonce)
    user = User(
        account.id,
        account.first_name,
        account.last_name,
        account.email,
        role,
        None if belonging is None else belonging.organization_id,
        account.status is AccountStatus.ACTIVE,
    )
    return success(Tokens(token, token, refresh_token.reveal(), int(ACCESS_LIFE.total_seconds()), user))
