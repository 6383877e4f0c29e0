"""Signing in, renewing and signing out (docs/dialects/radorderpad.md)."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from litestar import Request, Response

from hospitium.doors import json_body, signing_in
from hospitium.doors.answers import Answer, answer, send
from hospitium.doors.named_ids import body_id
from hospitium.doors.radorderpad.wire import Body, Wire, printed_role, success
from hospitium.doors.shapes import Id, Text, TypedPassword
from hospitium.doors.surroundings import Surroundings, surroundings
from hospitium.engine.accounts.record import AccountStatus
from hospitium.engine.errors import Invalid
from hospitium.engine.permissions import Permission
from hospitium.engine.sessions import actions
from hospitium.engine.sessions.record import ACCESS_LIFE


class LoginBody(Body):
    """`{email, password}`, or `username` for `email`; `organizationId` chooses among several (ruling 2)."""

    password: TypedPassword
    email: Text | None = None
    username: Text | None = None
    organization_id: Id | None = None


class RefreshBody(Body):
    """The refresh token that came last; it is good once."""

    refresh_token: Text


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


class SignedOut(Wire):
    """The session has ended; there is nothing else to say, and so no data."""

    success: Literal[True]
    message: str


async def login(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Sign in with an e-mail address and a password."""
    given = json_body.read(await request.body(), request.headers.get("content-type"), LoginBody)
    organization_id = (
        None if given.organization_id is None else body_id("organizationId", given.organization_id)
    )
    tokens = await signing_in.sign_in(request, _address(given), given.password, organization_id)
    return send(_printed(surroundings(request), tokens))


async def refresh(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Renew a session: a new access token, and a new refresh token for the one that is used up by it."""
    given = json_body.read(await request.body(), request.headers.get("content-type"), RefreshBody)
    return send(_printed(surroundings(request), await signing_in.renew(request, given.refresh_token)))


async def logout(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Sign out: the session ends, with all its tokens."""
    # The documents send a body here or none, and say nothing of what is in it: it isn't read.
    await surroundings(request).work.perform(request, Permission.SIGN_OUT, actions.end)
    return send(answer(200, SignedOut(success=True, message="Signed out")))


def _address(given: LoginBody) -> str:
    if (given.email is None) == (given.username is None):
        raise Invalid(
            "email", "is required" if given.email is None else "and username must not both be given"
        )
    return given.email or given.username or ""


def _printed(house: Surroundings, tokens: signing_in.Tokens) -> Answer:
    _session, account, belonging = tokens.signed_in
    role = None if belonging is None else printed_role(belonging.role, belonging.organization_type)
    token = house.access_tokens.mint(tokens.signed_in, role, house.work.clock())
    user = User(
        account.id,
        account.first_name,
        account.last_name,
        account.email,
        role,
        None if belonging is None else belonging.organization_id,
        account.status is AccountStatus.ACTIVE,
    )
    return success(
        Tokens(token, token, tokens.refresh_token.reveal(), int(ACCESS_LIFE.total_seconds()), user)
    )
