"""The link of an offer: join an organization as a colleague."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar import Request, Response

from hospitium.doors import joining
from hospitium.doors.console.errors import status_of
from hospitium.doors.console.following import done, follow
from hospitium.doors.console.languages import language_of
from hospitium.doors.console.rendering import page
from hospitium.engine.accounts.actions import AccountForm
from hospitium.engine.errors import WrongState

if TYPE_CHECKING:
    from hospitium.doors.console.following import Fields, Wrong
    from hospitium.engine.secrets import LinkToken

_TAKES = ("password", "new_password", "first_name", "last_name")


async def join(request: Request[Any, Any, Any]) -> Response[bytes]:
    """See an invitation, and accept it: with the password of the account there is, or that is to be."""

    async def look(token: LinkToken, wrong: Wrong | None, given: Fields) -> Response[bytes]:
        offer, organization, has_account = await joining.look(request, token)
        return page(
            request,
            "join.html",
            status_of(wrong),
            offer=offer,
            organization=organization,
            has_account=has_account,
            again=token,
            wrong=wrong,
            given=given,
        )

    async def accept(token: LinkToken, given: Fields) -> Response[bytes]:
        form = AccountForm(
            email="",  # the offer's, whatever was typed
            first_name=given.get("first_name"),
            last_name=given.get("last_name"),
            language=language_of(request),
        )
        password = given.get("password", given.get("new_password", ""))
        try:
            joined = await joining.accept(request, token, password, form)
        except WrongState:
            return done(request, "join.member", again=token)
        return done(request, "join.done", organization=joined.organization)

    return await follow(request, look, {"do": accept}, _TAKES)
