"""The link of a share: see what is offered, and accept or decline it; signing in or registering is on the way."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from litestar import Request, Response

from hospitium.doors import accepting
from hospitium.doors.console.errors import status_of
from hospitium.doors.console.following import done, follow
from hospitium.doors.console.languages import language_of
from hospitium.doors.console.rendering import page
from hospitium.doors.console.texts import text
from hospitium.engine.accounts.actions import AccountForm
from hospitium.engine.errors import Invalid, WrongState

if TYPE_CHECKING:
    from hospitium.doors.console.following import Fields, Wrong
    from hospitium.engine.secrets import LinkToken

_TAKES = ("version", "password", "new_password", "first_name", "last_name")


async def answer_share(request: Request[Any, Any, Any]) -> Response[bytes]:
    """See what somebody offers to share, and accept it with a password, or decline it."""

    async def look(
        token: LinkToken, wrong: Wrong | None, given: Fields, *, changed: bool = False
    ) -> Response[bytes]:
        offered = await accepting.look(request, token)
        share = offered.view.share
        return page(
            request,
            "share.html",
            409 if changed else status_of(wrong),
            changed=changed,
            share=share,
            offered=offered,
            thing=_thing(request, offered.label),
            may=text(f"share.may.{share.level}", language_of(request)),
            again=token,
            wrong=wrong,
            # As the sharer named them, until something else is typed.
            given={"first_name": share.target_first_name or "", "last_name": share.target_last_name or ""}
            | {name: value for name, value in given.items() if value},
        )

    async def accept(token: LinkToken, given: Fields) -> Response[bytes]:
        form = AccountForm(
            email="",  # the one the link was sent to, whatever was typed
            first_name=given.get("first_name"),
            last_name=given.get("last_name"),
            language=language_of(request),
        )
        password = given.get("password", given.get("new_password", ""))
        try:
            offered = await accepting.accept(request, token, password, form, _version(given))
        except WrongState:
            return await look(token, None, given, changed=True)
        sharer, team, thing = offered.sharer, offered.team, _thing(request, offered.label)
        if team is None:
            return done(request, "share.done", sharer=sharer, thing=thing)
        return done(request, "share.done.team", sharer=sharer, thing=thing, team=team)

    async def decline(token: LinkToken, _: Fields) -> Response[bytes]:
        await accepting.decline(request, token)
        return done(request, "share.declined")

    return await follow(request, look, {"do": accept, "decline": decline}, _TAKES)


def _version(given: Fields) -> int | None:
    """Return which version of the share the page has shown. Raises Invalid (`form`)."""
    shown = given.get("version", "")
    if not re.fullmatch(r"[0-9]{0,9}", shown):
        raise Invalid("form", "says no version")
    return int(shown) if shown else None


def _thing(request: Request[Any, Any, Any], label: str | None) -> object:
    return label if label is not None else text("share.account", language_of(request))
