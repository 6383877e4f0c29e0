"""The links of an account: confirm its address (or claim it), set a new password, prove another address."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from litestar import Request, Response

from hospitium.doors import proofs, signing_in
from hospitium.doors.console.errors import status_of
from hospitium.doors.console.following import done, follow
from hospitium.doors.console.rendering import page
from hospitium.doors.surroundings import surroundings
from hospitium.engine.accounts import life
from hospitium.engine.errors import DeadLink
from hospitium.engine.links.record import LinkPurpose
from hospitium.engine.permissions import Permission

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from hospitium.doors.console.following import Fields, Step, Wrong
    from hospitium.engine.accounts.life import Preview
    from hospitium.engine.context import Context
    from hospitium.engine.secrets import LinkToken

    Taking = Callable[[Request[Any, Any, Any], LinkToken, Fields], Awaitable[Response[bytes]]]


class Kind(NamedTuple):
    """A kind of link: for what, and by which permission."""

    purpose: LinkPurpose
    permission: Permission


CONFIRM = Kind(LinkPurpose.CONFIRM, Permission.CONFIRM_ACCOUNT)
PASSWORD = Kind(LinkPurpose.PASSWORD, Permission.RECOVER_ACCOUNT)
EMAIL = Kind(LinkPurpose.EMAIL, Permission.CHANGE_EMAIL)


async def confirm(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Confirm an address with the account's password; or claim the account without it."""
    return await _follow(request, CONFIRM, {"do": _confirm, "claim": _claim}, "password", "new_password")


async def set_password(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Set a new password."""
    return await _follow(request, PASSWORD, {"do": _set_password}, "new_password")


async def prove_email(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Prove a new address, with the account's password."""
    return await _follow(request, EMAIL, {"do": _prove_email}, "password")


async def _confirm(request: Request[Any, Any, Any], token: LinkToken, given: Fields) -> Response[bytes]:
    account = await proofs.with_password(
        request, CONFIRM.permission, CONFIRM.purpose, token, given.get("password", ""), life.confirm
    )
    return done(request, "confirm.done", again=token, email=account.email)


async def _claim(request: Request[Any, Any, Any], token: LinkToken, given: Fields) -> Response[bytes]:
    account = await proofs.with_new_password(
        request, CONFIRM.permission, token, given.get("new_password", ""), life.claim
    )
    return done(request, "claim.done", again=token, email=account.email)


async def _set_password(request: Request[Any, Any, Any], token: LinkToken, given: Fields) -> Response[bytes]:
    await proofs.with_new_password(
        request,
        PASSWORD.permission,
        token,
        given.get("new_password", ""),
        lambda ctx, link, password: life.set_password(ctx, link, password, surroundings(request).post),
    )
    return done(request, "password.done", again=token)


async def _prove_email(request: Request[Any, Any, Any], token: LinkToken, given: Fields) -> Response[bytes]:
    post = surroundings(request).post
    account = await proofs.with_password(
        request,
        EMAIL.permission,
        EMAIL.purpose,
        token,
        given.get("password", ""),
        lambda ctx, token, verdict: life.prove_email(ctx, token, verdict, post),
    )
    return done(request, "email.done", again=token, email=account.email)


async def _follow(
    request: Request[Any, Any, Any],
    kind: Kind,
    steps: Mapping[str, Taking],
    *takes: str,
) -> Response[bytes]:
    async def look(token: LinkToken, wrong: Wrong | None, given: Fields) -> Response[bytes]:
        counts = given.get("step") not in steps  # a step has counted its try already
        return _shown(request, kind, token, await _preview(request, kind, token, counts=counts), wrong)

    def retold(step: Taking) -> Step:
        async def taken(token: LinkToken, given: Fields) -> Response[bytes]:
            try:
                return await step(request, token, given)
            except DeadLink:
                # Pressed twice, or come back to: what the first time did is told again.
                return _shown(request, kind, token, await _preview(request, kind, token, counts=False), None)

        return taken

    return await follow(request, look, {name: retold(step) for name, step in steps.items()}, takes)


async def _preview(request: Request[Any, Any, Any], kind: Kind, token: LinkToken, *, counts: bool) -> Preview:
    """Return what a link is good for; a dead one counts against the network it is tried from. Raises TooManyAttempts, DeadLink."""

    async def deed(ctx: Context) -> Preview:
        return await life.look(ctx, token, kind.purpose)

    if counts:
        return await signing_in.count_failures(request, kind.permission, deed)
    return await surroundings(request).work.perform(request, kind.permission, deed)


def _shown(
    request: Request[Any, Any, Any], kind: Kind, token: LinkToken, preview: Preview, wrong: Wrong | None
) -> Response[bytes]:
    again = partial(done, request, again=token)
    if kind is CONFIRM and preview.account.is_confirmed:
        return again("confirm.done", email=preview.account.email)
    if kind is EMAIL and preview.is_used:
        return again("email.done", email=preview.email)
    if kind is PASSWORD and preview.is_used:
        return again("password.used", note="password.used.not_me", way="new_link")
    return page(
        request,
        f"{kind.purpose}.html",
        status_of(wrong),
        preview=preview,
        # The mail may have gone to a stranger, by a slip of the keyboard: whoever has only the link learns half of this one.
        before=_half(preview.account.email),
        again=token,
        wrong=wrong,
    )


def _half(email: str) -> str:
    local, at, domain = email.rpartition("@")
    return f"{local[:1]}…{at}{domain}"
