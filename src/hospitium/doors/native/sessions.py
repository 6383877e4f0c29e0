"""Signing in, renewing, looking at one's sessions and ending them; acting for another of one's organizations (ruling 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from litestar import Request, Response

from hospitium.doors import json_body, signing_in
from hospitium.doors.answers import Answer, answer, send
from hospitium.doors.named_ids import body_id, path_id
from hospitium.doors.native.account_shapes import DONE, PrintedAccount, PrintedSession
from hospitium.doors.native.accounts import printed_session
from hospitium.doors.native.wire import Body, Wire
from hospitium.doors.shapes import Id, Text, TypedPassword
from hospitium.doors.surroundings import surroundings
from hospitium.engine.actor import Role
from hospitium.engine.permissions import Permission
from hospitium.engine.sessions import actions, queries
from hospitium.engine.sessions.record import ACCESS_LIFE

if TYPE_CHECKING:
    from hospitium.engine.context import Context


class SignInBody(Body):
    """An address and its password; `organizationId` chooses among several organizations."""

    email: Text
    password: TypedPassword
    organization_id: Id | None = None


class RenewalBody(Body):
    """The refresh token that came last; it is good once."""

    refresh_token: Text


class OrganizationBody(Body):
    """For which organization the session is to act."""

    organization_id: Id


class SignedIn(Wire):
    """A session, its tokens, and for whom and as what it acts."""

    session_id: UUID
    access_token: str
    expires_in: int
    refresh_token: str
    account: PrintedAccount
    organization_id: UUID | None
    role: Role | None


class ChosenOrganization(Wire):
    """For which organization a session acts, and as what."""

    session_id: UUID
    organization_id: UUID | None
    role: Role | None


class Sessions(Wire):
    """The sessions that are open, the newest first."""

    sessions: list[PrintedSession]


class Ended(Wire):
    """How many sessions ended."""

    ended: int


async def sign_in(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Sign in with an e-mail address and a password."""
    given = json_body.read(await request.body(), request.headers.get("content-type"), SignInBody)
    wanted = None if given.organization_id is None else body_id("organizationId", given.organization_id)
    return _printed(request, await signing_in.sign_in(request, given.email, given.password, wanted))


async def renew(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Renew a session: new tokens for the refresh token, which is used up by it."""
    given = json_body.read(await request.body(), request.headers.get("content-type"), RenewalBody)
    return _printed(request, await signing_in.renew(request, given.refresh_token))


async def list_own(request: Request[Any, Any, Any]) -> Response[bytes]:
    """List one's own sessions that are open."""

    async def deed(ctx: Context) -> Sessions:
        found = await queries.open_of_actor(ctx)
        return Sessions([printed_session(one, ctx) for one in found])

    return send(answer(200, await surroundings(request).work.perform(request, Permission.SEE_SESSIONS, deed)))


async def end_current(request: Request[Any, Any, Any]) -> Response[bytes]:
    """End the session that asks: its tokens are refused from now on."""
    await surroundings(request).work.perform(request, Permission.SIGN_OUT, actions.end)
    return send(answer(200, DONE))


async def end_one(request: Request[Any, Any, Any]) -> Response[bytes]:
    """End one of one's own sessions, on whatever device it is."""
    session_id = path_id(request, "session_id", "session")
    await surroundings(request).work.perform(
        request, Permission.SIGN_OUT, lambda ctx: actions.end_own(ctx, session_id), about=session_id
    )
    return send(answer(200, DONE))


async def end_others(request: Request[Any, Any, Any]) -> Response[bytes]:
    """End all of one's own sessions but the one that asks."""
    ended = await surroundings(request).work.perform(request, Permission.SIGN_OUT, actions.end_others)
    return send(answer(200, Ended(ended)))


async def choose_organization(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Move the session to another organization; the access token in use stays good and means it from now on."""
    body = await request.body()

    async def deed(ctx: Context) -> Answer:
        given = json_body.read(body, request.headers.get("content-type"), OrganizationBody)
        moved = await actions.move(ctx, body_id("organizationId", given.organization_id))
        belonging = moved.belonging
        return answer(
            200,
            ChosenOrganization(
                moved.session.id,
                moved.session.organization_id,
                None if belonging is None else belonging.role,
            ),
        )

    return send(await surroundings(request).work.perform(request, Permission.CHOOSE_ORGANIZATION, deed))


def _printed(request: Request[Any, Any, Any], tokens: signing_in.Tokens) -> Response[bytes]:
    house = surroundings(request)
    session, account, belonging = tokens.signed_in
    role = None if belonging is None else belonging.role
    return send(
        answer(
            200,
            SignedIn(
                session.id,
                house.access_tokens.mint(tokens.signed_in, role, house.work.clock()),
                int(ACCESS_LIFE.total_seconds()),
                tokens.refresh_token.reveal(),
                PrintedAccount.of(account),
                None if belonging is None else belonging.organization_id,
                role,
            ),
        )
    )
