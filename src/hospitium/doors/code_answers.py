"""A code and an answer, shared by the doors: the try is counted, on its network and on its invite, before anything is compared.

    count (committed) ─▶ compare, slowly ─▶ right: the deed gives the try back
                                        └─▶ wrong: written down (committed), and at the fifth the invite is locked

An unknown code counts on its network and on a brake for everybody together (ruling 18).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from hospitium.doors import signing_in
from hospitium.doors.surroundings import surroundings
from hospitium.engine.accounts.passwords import checked_password
from hospitium.engine.errors import Busy, Invalid, UnknownCode, WrongAnswer
from hospitium.engine.invites import answering, queries
from hospitium.engine.invites.actions import CodeForm
from hospitium.engine.invites.answering import AnswerVerdict
from hospitium.engine.invites.codes import SHORTEST_ANSWER, InviteAnswer, InviteCode, proof
from hospitium.engine.permissions import Permission
from hospitium.engine.text import line
from hospitium.engine.throttles import actions as throttles
from hospitium.engine.throttles.rules import a_try

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from uuid import UUID

    from litestar import Request

    from hospitium.doors.surroundings import Surroundings
    from hospitium.engine.accounts.actions import AccountForm
    from hospitium.engine.accounts.record import Account
    from hospitium.engine.context import Context
    from hospitium.engine.invites.queries import Printable
    from hospitium.engine.throttles.rules import Try

T = TypeVar("T")


class Answered(NamedTuple):
    """A code and an answer that were right, and what was counted of the network until the deed gives it back."""

    verdict: AnswerVerdict
    network: Try


async def new_form(request: Request[Any, Any, Any], question: str, answer: str) -> CodeForm:
    """Make a new code, and the slow hash of it and the answer to a question of the inviter's. Raises Invalid, Busy."""
    house = surroundings(request)
    asked = line("security_question", question)
    typed = InviteAnswer.typed("security_answer", answer, shortest=SHORTEST_ANSWER)
    code = InviteCode.new()
    return CodeForm(code, house.pepper, asked, await house.passwords.hash(proof(code, typed)))


async def question(request: Request[Any, Any, Any], code: str) -> str:
    """Return the question of the open invite that has a code. Raises UnknownCode, TooManyAttempts."""

    async def known(ctx: Context, digests: list[bytes]) -> str:
        return await answering.question(ctx, digests)

    asked, network = await _look_up(request, Permission.FOLLOW_INVITE, code, known)
    await _give_back(request, Permission.FOLLOW_INVITE, network)
    return asked


async def printable(request: Request[Any, Any, Any], code: str) -> Printable:
    """Return what may stand on the slip of the open invite that has a code, to whoever may invite there.

    No try of the invite is counted. Raises UnknownCode, TooManyAttempts, NotSignedIn.
    """
    found, network = await _look_up(request, Permission.MAKE_INVITE, code, queries.printable)
    await _give_back(request, Permission.MAKE_INVITE, network)
    return found


async def answered(
    request: Request[Any, Any, Any], permission: Permission, code: str, answer: str
) -> Answered:
    """Return that code and answer were right. Raises Invalid, UnknownCode, WrongAnswer, TooManyAttempts, Busy."""
    typed = InviteAnswer.typed("security_answer", answer)
    attempt, network = await _look_up(request, permission, code, answering.take_attempt)
    known = InviteCode.typed(code)
    assert known is not None  # it was found by it  # noqa: S101
    house = surroundings(request)
    try:
        fits = await house.passwords.fits(proof(known, typed), attempt.answer_hash)
    except Busy:
        await _give_back(request, permission, network, attempt.invite_id)
        raise
    if not fits:
        await house.work.perform(
            request, permission, lambda ctx: answering.count_wrong(ctx, attempt.invite_id)
        )
        raise WrongAnswer
    return Answered(AnswerVerdict(attempt.invite_id), network)


async def then(
    request: Request[Any, Any, Any],
    permission: Permission,
    given: Answered,
    deed: Callable[[Context, AnswerVerdict], Awaitable[T]],
) -> T:
    """Run the deed for which code and answer were right. A refusal of it counts as no wrong answer. Raises what it raises."""

    async def whole(ctx: Context) -> T:
        done = await deed(ctx, given.verdict)
        await throttles.give_back(ctx, [given.network])
        return done

    try:
        return await surroundings(request).work.perform(request, permission, whole)
    except UnknownCode:
        raise  # somebody was faster: for this one the code is as unknown as any
    except Exception:
        await forgive(request, permission, given)
        raise


async def forgive(request: Request[Any, Any, Any], permission: Permission, given: Answered) -> None:
    """Give back the tries of a right answer for which nothing was done."""
    await _give_back(request, permission, given.network, given.verdict.invite_id)


async def register(
    request: Request[Any, Any, Any],
    code: str,
    answer: str,
    form_of: Callable[[], tuple[AccountForm, str]],
) -> Account | None:
    """Register an account with a code and an answer; None if the address has an account already, which counts as a wrong answer.

    `form_of` reads the account and its password out of what was sent; it is asked once the answer was right, so that nobody learns
    anything from how it refuses (contract bluebutton.md §3.4). Raises Invalid, UnknownCode, WrongAnswer, TooManyAttempts, Busy.
    """
    house = surroundings(request)
    given = await answered(request, Permission.FOLLOW_INVITE, code, answer)
    try:
        form, password = form_of()
        new_hash = await house.passwords.hash(checked_password("password", password))
    except (Invalid, Busy):
        await forgive(request, Permission.FOLLOW_INVITE, given)
        raise
    return await then(
        request,
        Permission.FOLLOW_INVITE,
        given,
        lambda ctx, verdict: answering.register(ctx, verdict, form, new_hash, house.post),
    )


async def _look_up(
    request: Request[Any, Any, Any],
    permission: Permission,
    code: str,
    known: Callable[[Context, list[bytes]], Awaitable[T]],
) -> tuple[T, Try]:
    """Count a try of the network and of everybody; return what is known of the code, with the network's try still counted."""
    house = surroundings(request)
    network = signing_in.from_network(request, house)
    everybody = a_try(house.link_key.key, house.limits.codes, "codes")
    await house.work.perform(request, permission, lambda ctx: throttles.count(ctx, [network, everybody]))
    digests = _digests(house, code)

    async def deed(ctx: Context) -> T:
        found = await known(ctx, digests)
        await throttles.give_back(ctx, [everybody])
        return found

    return await house.work.perform(request, permission, deed), network


def _digests(house: Surroundings, code: str) -> list[bytes]:
    """Return by what a code may be found; of what is no code, by what nothing is: it is looked for all the same."""
    typed = InviteCode.typed(code)
    return [b"" if typed is None else typed.digest(pepper) for pepper in house.peppers.values()]


async def _give_back(
    request: Request[Any, Any, Any], permission: Permission, network: Try, invite_id: UUID | None = None
) -> None:
    """Give back the try of a network, and the one of an invite if that was counted, too."""

    async def back(ctx: Context) -> None:
        if invite_id is not None:
            await answering.give_back(ctx, invite_id)
        await throttles.give_back(ctx, [network])

    await surroundings(request).work.perform(request, permission, back)
