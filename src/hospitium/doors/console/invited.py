"""The link of an invite's mail: prove the mailbox with a password, and see what is offered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar import Request, Response

from hospitium.doors import taking_up
from hospitium.doors.console import entrance, sessions
from hospitium.doors.console.errors import status_of
from hospitium.doors.console.following import follow
from hospitium.doors.console.languages import language_of
from hospitium.doors.console.rendering import elsewhere, page
from hospitium.engine.accounts.actions import AccountForm
from hospitium.engine.errors import Busy, OrganizationInactive

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from hospitium.doors.console.following import Fields, Wrong
    from hospitium.engine.secrets import LinkToken

_TAKES = ("password", "new_password", "first_name", "last_name")


async def take_up(request: Request[Any, Any, Any]) -> Response[bytes]:
    """See who invites, and take it up: with the password of the account there is, or that is to be."""

    async def look(token: LinkToken, wrong: Wrong | None, given: Fields) -> Response[bytes]:
        awaiting = await taking_up.look(request, token)
        invite = awaiting.invite
        return page(
            request,
            "invited.html",
            status_of(wrong),
            invite=invite,
            inviter=awaiting.inviter,
            has_account=awaiting.has_account,
            again=token,
            wrong=wrong,
            # As the inviter named him, until something else is typed.
            given={"first_name": invite.first_name or "", "last_name": invite.last_name or ""}
            | {name: value for name, value in given.items() if value},
        )

    async def take(token: LinkToken, given: Fields) -> Response[bytes]:
        form = AccountForm(
            email="",  # the one the link was sent to, whatever was typed
            first_name=given.get("first_name"),
            last_name=given.get("last_name"),
            language=language_of(request),
        )
        password = given.get("password", given.get("new_password", ""))
        account, invite = await taking_up.take_up(request, token, password, form)

        async def to_invite(_: Request[Any, Any, Any]) -> str:
            return f"{entrance.HOME}/{invite.id}"

        return await go_on(request, account.email, password, to_invite)

    return await follow(request, look, {"do": take}, _TAKES)


async def go_on(
    request: Request[Any, Any, Any],
    email: str,
    password: str,
    where: Callable[[Request[Any, Any, Any]], Awaitable[str]],
) -> Response[bytes]:
    """Sign whoever has just shown his password in, and go on to a page of his. What he did stands, even if there is no room for
    that at the moment: then he is asked to sign in."""
    try:
        await sessions.start(request, email, password)
    except (Busy, OrganizationInactive):
        return entrance.asked(request, entrance.HOME, given={"email": email})
    return sessions.kept(request, elsewhere(request, await where(request)))
