"""Signing in to these pages, and out: whoever opens a page of his own without is asked to sign in first, and comes back to it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from litestar import Request, Response

from hospitium.doors.console import forms, sessions
from hospitium.doors.console.errors import status_of
from hospitium.doors.console.following import Wrong, done, wrong_with
from hospitium.doors.console.rendering import elsewhere, page
from hospitium.engine.errors import Invalid, NotConfirmed, WrongCredentials

if TYPE_CHECKING:
    from collections.abc import Mapping

HOME = "/console/invites"
# What there is to come back to. Nothing else is gone on to, whatever a form says.
_OURS = re.compile(
    r"/console/(?:invites(?:/[0-9a-f-]{36})?|desk|my-record(?:/[0-9a-f-]{36}(?:/end)?)?"
    r"|persons/[0-9a-f-]{36}/(?:reads|accounts/[0-9a-f-]{36}/end))"
)
# With these a browser keeps nothing of what it was shown here (W3C Clear Site Data). Cookies of the whole domain aren't ours to clear.
_FORGET = '"cache", "storage"'


async def open_sign_in(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Open the page on which one signs in."""
    return asked(request, HOME)


async def sign_in(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Sign in, and go on to the page one came for."""
    given = await forms.read(request, "email", "password", "back")
    back = _ours(given.get("back", ""))
    try:
        await sessions.start(request, given.get("email", ""), given.get("password", ""))
    except NotConfirmed:
        return asked(request, back, Wrong("email", "wrong.not_confirmed"), given)
    except (Invalid, WrongCredentials) as refusal:
        # Which of the two is wrong is told to nobody.
        wrong = wrong_with(refusal, given)._replace(key="wrong.sign_in")
        return asked(request, back, wrong, given)
    return sessions.kept(request, elsewhere(request, back))


async def open_sign_out(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Open the page on which one signs out; whoever is, is told so."""
    if await sessions.visitor(request) is None:
        return done(request, "signed_out", way="sign_in")
    return page(request, "sign_out.html")


async def sign_out(request: Request[Any, Any, Any]) -> Response[bytes]:
    """End the session, and have the browser forget what it was shown."""
    await forms.read(request)
    await sessions.visitor(request)
    await sessions.end(request)
    response = sessions.kept(request, elsewhere(request, "/console/sign-out"))
    response.headers["Clear-Site-Data"] = _FORGET
    return response


def asked(
    request: Request[Any, Any, Any],
    back: str,
    wrong: Wrong | None = None,
    given: Mapping[str, str] | None = None,
) -> Response[bytes]:
    """Return the page that asks one to sign in; `back` is the page of ours one comes back to."""
    return page(request, "sign_in.html", status_of(wrong), back=_ours(back), wrong=wrong, given=given or {})


def _ours(path: str) -> str:
    return path if _OURS.fullmatch(path) else HOME
