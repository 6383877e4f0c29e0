"""How a request enters this surface: which organization it names, by which session, from which application, and as whom."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from hospitium.doors.medable.errors import CsrfMismatch
from hospitium.doors.surroundings import surroundings
from hospitium.engine.client_keys.queries import Entrance, enter
from hospitium.engine.permissions import RULES, Need
from hospitium.engine.secrets import ClientKeyText, ServiceKeyText, SessionCookie

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from uuid import UUID

    from litestar import Request

    from hospitium.engine.actor import Actor
    from hospitium.engine.context import Context
    from hospitium.engine.permissions import Permission

T = TypeVar("T")
COOKIE = "md.sid"
CSRF_HEADER = "Medable-Csrf-Token"
KEY_HEADER = "Medable-Client-Key"
_CHANGES_NOTHING = ("GET", "HEAD", "OPTIONS")
_LONGEST = 200  # characters of a cookie or a key that are looked at


async def perform(
    request: Request[Any, Any, Any],
    permission: Permission,
    deed: Callable[[Context, Entrance], Awaitable[T]],
    *,
    about: UUID | None = None,
    recognize: bool = False,
) -> T:
    """Run a deed at the organization the address names, for whoever is signed in, with the role he has there.

    Of what anyone may do nobody is asked who he is (but `recognize`: who is signed in counts all the same): a browser whose
    session has ended still sends its cookie, and must get in to sign in again.

    Raises NotSignedIn, SessionEnded, CsrfMismatch, NotFound (`org`), UnknownClientKey, ClientKeyRequired, Unavailable, and what the
    deed raises.
    """
    at: list[Entrance] = []

    async def entering(ctx: Context) -> Actor:
        entrance, actor = await enter(ctx, request.path_params["org"], client_key(request))
        at[:] = [entrance]
        return actor

    who = credential(request) if recognize or RULES[permission].need is not Need.ANYONE else None
    return await surroundings(request).work.perform_for(
        who, permission, lambda ctx: deed(ctx, at[0]), about=about, entering=entering
    )


def credential(request: Request[Any, Any, Any]) -> UUID | SessionCookie | ServiceKeyText | None:
    """Return by what a request shows who sends it: a bearer token, else the cookie; None if by neither.

    A cookie is sent by browsers whoever wrote the page, so what changes something must bring the token that was answered when
    one signed in. Raises NotSignedIn, SessionEnded, CsrfMismatch.
    """
    house = surroundings(request)
    authorization = request.headers.get("authorization")
    if authorization is not None:
        return house.access_tokens.shown(authorization, house.work.clock())
    cookie = cookie_of(request)
    if cookie is None or request.method in _CHANGES_NOTHING:
        return cookie
    given = request.headers.get(CSRF_HEADER.lower(), "")
    if not hmac.compare_digest(given.encode(), cookie.form_token().encode()):
        raise CsrfMismatch
    return cookie


def cookie_of(request: Request[Any, Any, Any]) -> SessionCookie | None:
    """Return the cookie of a session, if one came, and no more than one."""
    found = [
        value.strip()
        for header in request.headers.getall("cookie", [])
        for crumb in header.split(";")
        for called, _, value in (crumb.partition("="),)
        if called.strip() == COOKIE
    ]
    return SessionCookie(found[0]) if len(found) == 1 and 0 < len(found[0]) <= _LONGEST else None


def client_key(request: Request[Any, Any, Any]) -> ClientKeyText | None:
    """Return the key by which the sending application says which one it is; it is checked whenever it is sent."""
    given = request.headers.get(KEY_HEADER.lower())
    return None if given is None else ClientKeyText(given[: _LONGEST + 1])


def cookie_header(request: Request[Any, Any, Any], cookie: SessionCookie | None, seconds: int) -> str:
    """Return the header that has a browser keep a cookie for this organization's addresses alone; None ends it."""
    public = urlsplit(surroundings(request).public_url)
    secure = "; Secure" if public.scheme == "https" else ""
    value = "" if cookie is None else cookie.reveal()
    path = f"{public.path}/{request.path_params['org']}"
    return f"{COOKIE}={value}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"
