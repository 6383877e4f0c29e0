"""Where one starts: what this server is, and how a new link is had."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar import Request, Response

from hospitium.doors import signing_in
from hospitium.doors.console import forms
from hospitium.doors.console.errors import status_of
from hospitium.doors.console.following import Wrong, done
from hospitium.doors.console.languages import language_of
from hospitium.doors.console.rendering import page
from hospitium.doors.surroundings import surroundings
from hospitium.engine.accounts import life
from hospitium.engine.accounts.emails import canonical_email
from hospitium.engine.errors import Invalid
from hospitium.engine.permissions import Permission

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from hospitium.engine.accounts.mails import Post
    from hospitium.engine.accounts.record import Language
    from hospitium.engine.context import Context

    Ask = Callable[[Context, str, Language, Post], Awaitable[None]]

_ASKED: dict[str, tuple[Permission, Ask]] = {
    "password": (Permission.RECOVER_ACCOUNT, life.ask_new_password),
    "confirm": (Permission.REGISTER_ACCOUNT, life.ask_confirmation),
}


async def home(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Open the start: what this server is, and where to go on."""
    return page(request, "home.html")


async def new_link(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Open the page on which a new link is asked for."""
    return page(request, "new_link.html")


async def send_new_link(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Have a new link sent. What is answered is the same for every address."""
    given = await forms.read(request, "email", "purpose")
    permission, ask = _ASKED.get(given.get("purpose", ""), _ASKED["password"])
    email = given.get("email", "").strip()
    try:
        canonical_email("email", email)
    except Invalid:
        wrong = Wrong("email", "wrong.email")
        return page(request, "new_link.html", status_of(wrong), wrong=wrong, given=given)

    await signing_in.count(request, permission)
    house, language = surroundings(request), language_of(request)
    await house.work.perform(request, permission, lambda ctx: ask(ctx, email, language, house.post))
    return done(request, "new_link.done", note="new_link.done.same", email=email)
