"""Accounts of this surface: registering, signing in and out, being verified, and reading oneself or who shared his account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec
from litestar import Request, Response
from msgspec import UNSET, UnsetType

from hospitium.doors import json_body, proofs, signing_in
from hospitium.doors.answers import answer, send
from hospitium.doors.medable.entrance import CSRF_HEADER, cookie_header, cookie_of, perform
from hospitium.doors.medable.wire import (
    DONE,
    AccessLevel,
    Body,
    List,
    Moment,
    ObjectId,
    Reference,
    moment,
    paging_of,
    printed_id,
    spelling,
    to_account,
)
from hospitium.doors.named_ids import path_id
from hospitium.doors.shapes import Email, NewPassword, OptionalLine, Text, Token, TypedPassword
from hospitium.doors.surroundings import surroundings
from hospitium.engine.accounts import life
from hospitium.engine.accounts.actions import AccountForm
from hospitium.engine.accounts.record import Account, Language
from hospitium.engine.errors import DeadLink, Invalid
from hospitium.engine.levels import Level
from hospitium.engine.links.record import LinkPurpose
from hospitium.engine.permissions import Permission
from hospitium.engine.secrets import LinkToken, SessionCookie
from hospitium.engine.sessions import actions as sessions
from hospitium.engine.sessions.record import REFRESH_LIFE
from hospitium.engine.shares import accounts as shared_accounts

if TYPE_CHECKING:
    from hospitium.engine.client_keys.queries import Entrance
    from hospitium.engine.context import Context
    from hospitium.engine.shares.accounts import AccountView


_SPELLED = {"first_name": "name.first", "last_name": "name.last", "language": "locale"}


class NameBody(msgspec.Struct, forbid_unknown_fields=True):
    """What somebody is called."""

    first: OptionalLine | None = None
    last: OptionalLine | None = None


class Name(msgspec.Struct):
    """What somebody is called."""

    first: str | UnsetType = UNSET
    last: str | UnsetType = UNSET

    @classmethod
    def of(cls, first: str | None, last: str | None) -> Name | UnsetType:
        """Return a name; nothing where there is none."""
        if first is None and last is None:
            return UNSET
        return cls(UNSET if first is None else first, UNSET if last is None else last)


class AccountLogin(Body):
    """An e-mail address and its password."""

    email: Text
    password: TypedPassword


class RegisterBody(Body):
    """A new account."""

    email: Email
    password: NewPassword
    name: NameBody = msgspec.field(default_factory=NameBody)
    locale: Language = Language.ENGLISH


class VerifyBody(Body):
    """The token of the mail that asked to confirm the address, and the password; a session of the account serves in its place."""

    token: Token
    password: TypedPassword | None = None


class Registered(msgspec.Struct):
    """What was asked for. The same for a known address: a mail goes there, and says how to go on."""

    object: Literal["account"]
    email: str
    name: Name | UnsetType = UNSET


class AccountDocument(msgspec.Struct, kw_only=True):
    """An account; of one that is shared at a low level, no more than that it is there."""

    id: ObjectId = msgspec.field(name="_id")
    object: Literal["account"]
    access: AccessLevel
    shared: bool | UnsetType = UNSET
    email: str | UnsetType = UNSET
    name: Name | UnsetType = UNSET
    locale: Language | UnsetType = UNSET
    state: Literal["verified", "unverified"] | UnsetType = UNSET
    owner: Reference | UnsetType = UNSET
    created: Moment | UnsetType = UNSET


async def login(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Sign in with an e-mail address and a password.

    The answer sets the cookie `md.sid`, and has the token to send back with what changes something.
    """
    given = json_body.read(await request.body(), request.headers.get("content-type"), AccountLogin)
    await perform(request, Permission.SIGN_IN, _nothing)
    cookie = SessionCookie.new()
    tokens = await signing_in.sign_in(request, given.email, given.password, None, cookie)
    account = tokens.signed_in.account
    headers = {
        "Set-Cookie": cookie_header(request, cookie, int(REFRESH_LIFE.total_seconds())),
        CSRF_HEADER: cookie.form_token(),
    }
    return send(answer(200, _printed(account, int(Level.DELETE))), headers=headers)


async def register(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Register an account with an organization; a link to confirm its address is sent there. What is answered is the same for a
    known address."""
    given = json_body.read(await request.body(), request.headers.get("content-type"), RegisterBody)
    at = await perform(request, Permission.REGISTER_ACCOUNT, _where)
    form = AccountForm(
        email=given.email,
        first_name=given.name.first,
        last_name=given.name.last,
        language=given.locale,
    )
    with spelling(_SPELLED):
        new_hash, _ = await proofs.hashed(request, Permission.REGISTER_ACCOUNT, given.password)
        house = surroundings(request)
        await house.work.perform(
            request,
            Permission.REGISTER_ACCOUNT,
            lambda ctx: life.register(ctx, form, new_hash, house.post, organization_id=at.organization_id),
        )
    return send(answer(200, Registered("account", given.email, Name.of(given.name.first, given.name.last))))


async def verify(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Confirm the address of an account: it takes the token of the mail, and the password or a session of the account."""
    given = json_body.read(await request.body(), request.headers.get("content-type"), VerifyBody)
    token = LinkToken(given.token)
    try:
        if given.password is None:
            account = await perform(
                request,
                Permission.CONFIRM_ACCOUNT,
                lambda ctx, _: life.confirm(ctx, token, None),
                recognize=True,
            )
        else:
            await perform(request, Permission.CONFIRM_ACCOUNT, _nothing)
            account = await proofs.with_password(
                request, Permission.CONFIRM_ACCOUNT, LinkPurpose.CONFIRM, token, given.password, life.confirm
            )
    except DeadLink:
        raise Invalid("token", "is not valid, or not valid any more; ask for a new one") from None
    return send(answer(200, _printed(account, int(Level.DELETE))))


async def me(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Read one's own account. A browser is told its token again."""
    view = await perform(request, Permission.SEE_ACCOUNT, lambda ctx, _: shared_accounts.own(ctx))
    cookie = cookie_of(request) if request.headers.get("authorization") is None else None
    headers = {} if cookie is None else {CSRF_HEADER: cookie.form_token()}
    return send(answer(200, _of(view)), headers=headers)


async def logout(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Sign out: the session ends, with its cookie and all its tokens."""
    await perform(request, Permission.SIGN_OUT, lambda ctx, _: sessions.end(ctx))
    return send(answer(200, DONE), headers={"Set-Cookie": cookie_header(request, None, 0)})


async def read(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Read an account: one's own, or one that is shared."""
    account_id = path_id(request, "id", "instance")
    view = await perform(
        request,
        Permission.SEE_RECORDS,
        lambda ctx, _: shared_accounts.view(ctx, account_id),
        about=account_id,
    )
    return send(answer(200, _of(view)))


async def list_(request: Request[Any, Any, Any]) -> Response[bytes]:
    """List the accounts one may read: one's own, and those that are shared, the newest first."""

    async def deed(ctx: Context, _: Entrance) -> List[AccountDocument]:
        paging = paging_of(request)
        found = await shared_accounts.readable(ctx, paging.before, paging.skip, paging.limit + 1)
        return paging.printed(found, _of)

    return send(answer(200, await perform(request, Permission.SEE_RECORDS, deed)))


async def _nothing(_: Context, __: Entrance) -> None:
    """Only enter: the organization and the client key are asked for before anything else is."""


async def _where(_: Context, at: Entrance) -> Entrance:
    return at


def _of(view: AccountView) -> AccountDocument:
    if view.account is None:
        return AccountDocument(id=printed_id(view.id), object="account", access=view.level)
    return _printed(view.account, view.level, view.is_shared)


def _printed(account: Account, level: int, is_shared: bool | UnsetType = UNSET) -> AccountDocument:
    return AccountDocument(
        id=printed_id(account.id),
        object="account",
        access=level,
        shared=is_shared,
        email=account.email,
        name=Name.of(account.first_name, account.last_name),
        locale=account.language,
        state="verified" if account.is_confirmed else "unverified",
        owner=to_account(account.id),
        created=moment(account.created_at),
    )
