"""Who is signed in at these pages: a cookie stands for a session, as docs/decisions/0021 has it, for these pages alone.

    visitor ─▶ the session is open: what this request does, it does as whose it is
           └▶ none, or it is over: None, and the page asks one to sign in

A form of whoever is signed in carries a value that is made from the cookie. One that was opened in another session is none of
ours: what somebody else was shown isn't done by whoever signed in meanwhile, in another window of the same browser.
"""

from __future__ import annotations

import hmac
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from litestar import Request, Response

from hospitium.doors import signing_in
from hospitium.doors.console import forms
from hospitium.doors.console.forms import NotOurForm
from hospitium.doors.surroundings import surroundings
from hospitium.engine.accounts import queries as account_queries
from hospitium.engine.errors import NotSignedIn
from hospitium.engine.permissions import Permission
from hospitium.engine.secrets import SessionCookie
from hospitium.engine.sessions import actions

if TYPE_CHECKING:
    from hospitium.engine.accounts.record import Account
    from hospitium.engine.context import Context

PLACE = "/console"
_LONGEST = 200  # characters of a cookie that are looked at


async def visitor(request: Request[Any, Any, Any]) -> Account | None:
    """Return whose session this browser shows, and let the deeds of this request be his; None if it shows none that is open.

    Of a form, `must_fit` says besides whether it was opened in that session.
    """
    text = forms.cookie_called(request, _name(request))
    if text is None or not 0 < len(text) <= _LONGEST:
        return None
    request.state.session = SessionCookie(text)
    try:
        request.state.visitor = await surroundings(request).work.perform(
            request, Permission.SEE_ACCOUNT, _own_account
        )
    except NotSignedIn:
        request.state.session = None
        return None
    return known(request)


def known(request: Request[Any, Any, Any]) -> Account | None:
    """Return who was found to be signed in, if that was asked."""
    found: Account | None = getattr(request.state, "visitor", None)
    return found


def form_token(request: Request[Any, Any, Any]) -> str | None:
    """Return what the forms of whoever is signed in carry; None for nobody."""
    cookie: SessionCookie | None = getattr(request.state, "session", None)
    return None if cookie is None else cookie.form_token()


def must_fit(request: Request[Any, Any, Any]) -> None:
    """Return if the form that was read was opened in the session that sends it, or both in none. Raises NotOurForm."""
    shown = getattr(request.state, "session_shown", "")
    if not hmac.compare_digest(shown.encode(), (form_token(request) or "").encode()):
        raise NotOurForm


async def start(request: Request[Any, Any, Any], email: str, password: str) -> Account:
    """Sign in, under a new cookie; the session this browser had ends. What the request does from here on, it does as who signed in.

    Raises Invalid, TooManyAttempts, Busy, WrongCredentials, AccountDisabled, NotConfirmed, OrganizationInactive.
    """
    cookie = SessionCookie.new()
    account = (await signing_in.sign_in(request, email, password, None, cookie)).signed_in.account
    if await visitor(request) is not None:
        await _end(request)
    request.state.session, request.state.visitor, request.state.is_new = cookie, account, True
    return account


async def end(request: Request[Any, Any, Any]) -> None:
    """End the session this browser has, if it has one: here, so that its cookie is good for nothing, whoever kept it."""
    if known(request) is not None:
        await _end(request)
    request.state.session = request.state.visitor = None


def kept(request: Request[Any, Any, Any], response: Response[bytes]) -> Response[bytes]:
    """Have the browser keep the cookie of a session that this request began, until it is closed; and none if it ended one."""
    cookie: SessionCookie | None = getattr(request.state, "session", None)
    if cookie is not None and not getattr(request.state, "is_new", False):
        return response
    public = urlsplit(surroundings(request).public_url)
    response.set_cookie(
        key=_name(request),
        value="" if cookie is None else cookie.reveal(),
        path=f"{public.path}{PLACE}",
        max_age=0 if cookie is None else None,
        httponly=True,
        # A link in a mail leads here from elsewhere, and whoever is signed in is to arrive so.
        samesite="lax",
        secure=forms.is_https(request),
    )
    return response


async def _own_account(ctx: Context) -> Account:
    assert ctx.actor.account_id is not None  # of whoever has a session  # noqa: S101
    return await account_queries.by_id(ctx, ctx.actor.account_id)


async def _end(request: Request[Any, Any, Any]) -> None:
    with suppress(NotSignedIn):
        await surroundings(request).work.perform(request, Permission.SIGN_OUT, actions.end)


def _name(request: Request[Any, Any, Any]) -> str:
    # With this prefix nobody on the way can set it over http (RFC 6265bis).
    return "__Secure-hospitium-session" if forms.is_https(request) else "hospitium-session"
