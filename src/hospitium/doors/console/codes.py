"""The code of an invite: it is typed, the inviter's question is answered, and then somebody new registers, or somebody known accepts.

    the code ─▶ its question ─▶ register ─▶ signed in, at the page of the invite
                             ├▶ sign in, find ─▶ what it gives ─▶ accept
                             └▶ find (who is signed in) ─────────┘

Code and answer travel in the forms of these pages, and nowhere else. Every answer that is tried counts, on all roads together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar import Request, Response

from hospitium.doors import code_answers
from hospitium.doors.console import choosing, entrance, forms, invites, sessions
from hospitium.doors.console.errors import status_of
from hospitium.doors.console.following import Wrong, wrong_with
from hospitium.doors.console.invited import go_on
from hospitium.doors.console.languages import language_of
from hospitium.doors.console.rendering import elsewhere, page
from hospitium.doors.surroundings import surroundings
from hospitium.engine.accounts.actions import AccountForm
from hospitium.engine.errors import Invalid, NotConfirmed, NotFound, UnknownCode, WrongCredentials
from hospitium.engine.ids import parse_id
from hospitium.engine.invites import accepting, answering, queries
from hospitium.engine.invites.codes import InviteCode
from hospitium.engine.permissions import Permission
from hospitium.engine.text import line

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from hospitium.engine.context import Context
    from hospitium.engine.invites.answering import AnswerVerdict

    Fields = Mapping[str, str]
    Step = Callable[[Request[Any, Any, Any], Fields], Awaitable[Response[bytes]]]

_TAKES = ("step", "code", "security_answer", "email", "password", "new_password", "password_again", "invite", *choosing.FIELDS)  # fmt: skip


async def open_code(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Open the page on which a code is typed. It is the same for everybody: a code from a QR code stands behind the #."""
    return page(request, "code.html")


async def take_code(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Take a code one step further: to its question, to an account, to what it gives."""
    given = await forms.read(request, *_TAKES)
    given = {**given, "code": "".join(given.get("code", "").rpartition("#")[2].split())}
    if InviteCode.typed(given["code"]) is None:
        wrong = Wrong("code", "wrong.code")
        return page(request, "code.html", status_of(wrong), wrong=wrong, given=given)
    step = _STEPS.get(given.get("step", ""))
    visitor = await sessions.visitor(request)
    if step is None:
        return await _question(request, given)
    sessions.must_fit(request)
    if visitor is None and step in (_found, _accept):
        return await _question(request, given)  # his session is over: he signs in on the way
    try:
        return await step(request, given)
    except (Invalid, WrongCredentials) as refusal:
        return await _question(request, given, wrong_with(refusal, given))


async def _register(request: Request[Any, Any, Any], given: Fields) -> Response[bytes]:
    """Register with code and answer, and go on signed in: the invite is that account's then."""

    def form_of() -> tuple[AccountForm, str]:
        if given.get("new_password") != given.get("password_again"):
            raise Invalid("password_again", "must be the same as the password")
        return AccountForm(
            email=given.get("email", ""),
            first_name=line("first_name", given.get("first_name", "")),
            middle_name=given.get("middle_name"),
            last_name=line("last_name", given.get("last_name", "")),
            language=language_of(request),
        ), given.get("new_password", "")

    account = await code_answers.register(request, given["code"], given.get("security_answer", ""), form_of)
    if account is None:
        known = {**given, "step": "sign_in"}
        return await _question(request, known, Wrong("email", "wrong.has_account"))
    return await go_on(request, account.email, given.get("new_password", ""), _to_the_one_that_waits)


async def _to_the_one_that_waits(request: Request[Any, Any, Any]) -> str:
    """Return where somebody who has just registered goes on: to what he registered through."""
    waiting = await surroundings(request).work.perform(
        request, Permission.SEE_INVITES, lambda ctx: queries.received(ctx, only_open=True)
    )
    return f"{entrance.HOME}/{waiting[0].invite.id}" if len(waiting) == 1 else entrance.HOME


async def _sign_in(request: Request[Any, Any, Any], given: Fields) -> Response[bytes]:
    """Sign in, and see with the answer what the code gives."""
    try:
        await sessions.start(request, given.get("email", ""), given.get("password", ""))
    except NotConfirmed:
        return await _question(request, given, Wrong("email", "wrong.not_confirmed"))
    try:
        shown = await _found(request, given)
    except (Invalid, WrongCredentials) as refusal:
        shown = await _question(request, given, wrong_with(refusal, given))
    return sessions.kept(request, shown)


async def _accept(request: Request[Any, Any, Any], given: Fields) -> Response[bytes]:
    """Accept what the code gives, with a person."""
    try:
        choice = choosing.chosen(given)
    except Invalid as refusal:
        return await _found(request, given, invites.wrong_choice(refusal, given))

    async def deed(ctx: Context, verdict: AnswerVerdict) -> None:
        await accepting.accept_by_code(ctx, verdict, await choosing.settled(ctx, choice))

    try:
        answered = await _answered(request, given)
        await code_answers.then(request, Permission.ACCEPT_INVITE, answered, deed)
    except UnknownCode:
        return await _accepted_already(request, given)
    except (Invalid, NotFound) as refusal:
        if isinstance(refusal, NotFound) and refusal.resource != "person":
            raise
        if refusal.field == "security_answer":
            raise
        return await _found(request, given, invites.wrong_choice(refusal, given))
    return elsewhere(request, f"{entrance.HOME}/{answered.verdict.invite_id}")


async def _accepted_already(request: Request[Any, Any, Any], given: Fields) -> Response[bytes]:
    """Tell again what the first time did, to who pressed twice; to all others a code that is used up is an unknown one."""
    invite_id = parse_id(given.get("invite", ""))
    if invite_id is None:
        raise UnknownCode

    async def deed(ctx: Context) -> bool:
        try:
            await queries.received_one(ctx, invite_id)
        except NotFound:
            return False
        return True

    if not await surroundings(request).work.perform(request, Permission.SEE_INVITES, deed):
        raise UnknownCode
    return elsewhere(request, f"{entrance.HOME}/{invite_id}")


async def _answered(request: Request[Any, Any, Any], given: Fields) -> code_answers.Answered:
    return await code_answers.answered(
        request, Permission.ACCEPT_INVITE, given["code"], given.get("security_answer", "")
    )


async def _found(
    request: Request[Any, Any, Any], given: Fields, wrong: Wrong | None = None
) -> Response[bytes]:
    """See what the code gives, as who is signed in."""

    async def deed(ctx: Context, verdict: AnswerVerdict) -> invites.Shown:
        return await invites.shown(ctx, await answering.find(ctx, verdict))

    found = await code_answers.then(request, Permission.ACCEPT_INVITE, await _answered(request, given), deed)
    return page(
        request,
        "code_found.html",
        status_of(wrong),
        found=found,
        changed=False,
        wrong=wrong,
        carry={"code": given["code"]},
        answer=given.get("security_answer", ""),
        given=choosing.as_known(found.invite.patient_summary) | dict(given),
    )


async def _question(
    request: Request[Any, Any, Any], given: Fields, wrong: Wrong | None = None
) -> Response[bytes]:
    return page(
        request,
        "question.html",
        status_of(wrong),
        question=await code_answers.question(request, given["code"]),
        way=_way(request, given),
        wrong=wrong,
        carry={"code": given["code"]},
        given={
            name: value
            for name, value in given.items()
            if name not in ("password", "new_password", "password_again")
        },
    )


def _way(request: Request[Any, Any, Any], given: Fields) -> str:
    """Return on which way somebody is: signed in, new here, known here, or not yet on either."""
    if sessions.known(request) is not None:
        return "signed_in"
    return {"new": "new", "register": "new", "known": "known", "sign_in": "known"}.get(
        given.get("step", ""), "ask"
    )


_STEPS: dict[str, Step] = {"register": _register, "sign_in": _sign_in, "find": _found, "accept": _accept}
