"""The link of a share: see what is offered, and accept or decline it; signing in or registering is on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar import Request, Response

from hospitium.doors import accepting
from hospitium.doors.console.errors import status_of
from hospitium.doors.console.following import done, follow
from hospitium.doors.console.languages import language_of
from hospitium.doors.console.rendering import page
from hospitium.doors.console.texts import text
from hospitium.engine.accounts.actions import AccountForm

if TYPE_CHECKING:
    from hospitium.doors.console.following import Fields, Wrong
    from hospitium.engine.secrets import LinkToken

_TAKES = ("password", "new_password", "first_name", "last_name")


async def answer_share(request: Request[Any, Any, Any]) -> Response[bytes]:
    """See what somebody offers to share, and accept it with a password, or decline it."""

    async def look(token: LinkToken, wrong: Wrong | None, given: Fields) -> Response[bytes]:
        offered = await accepting.look(request, token)
        share = offered.view.share
        return page(
            request,
            "share.html",
            status_of(wrong),
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
        offered = await accepting.accept(request, token, password, form)
        return done(request, "share.done", sharer=offered.sharer, thing=_thing(request, offered.label))

    async def decline(token: LinkToken, _: Fields) -> Response[bytes]:
        await accepting.decline(request, token)
        return done(request, "share.declined")

    return await follow(request, look, {"do": accept, "decline": decline}, _TAKES)


def _thing(request: Request[Any, Any, Any], label: str | None) -> object:
    return label if label is not None else text("share.account", language_of(request))
