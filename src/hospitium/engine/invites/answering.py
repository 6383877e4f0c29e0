"""How an invite by code is answered: the try is counted before its verdict is known, and given back when it was right (ruling 18).

    take_attempt ─▶ the door compares, slowly ─▶ right: the deed (`bind`, `find`, `accepting.accept_by_code`)
                                             └─▶ wrong: `count_wrong`, and at the fifth the invite is locked

All routes count on one counter; it is never more than five that are compared, however many come at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import bindparam, update

from hospitium.engine.accounts import life
from hospitium.engine.errors import UnknownCode
from hospitium.engine.events import EventKind
from hospitium.engine.invites import queries
from hospitium.engine.invites.lifecycle import LIFECYCLE
from hospitium.engine.invites.queries import OPEN_BY_CODE, InviteView
from hospitium.engine.invites.record import INVITE_COLUMNS, MOST_WRONG_ANSWERS, UNBOUND, Invite, invites
from hospitium.engine.invites.telling import tell
from hospitium.engine.permissions import Permission, require
from hospitium.engine.secrets import HashedPassword
from hospitium.storage.statements import Query, Statement, exactly, pair, scalar, struct

if TYPE_CHECKING:
    from uuid import UUID

    from hospitium.engine.accounts.actions import AccountForm
    from hospitium.engine.accounts.mails import Post
    from hospitium.engine.accounts.record import Account
    from hospitium.engine.context import Context

_c = invites.c
_TAKE = Query(
    update(invites).where(OPEN_BY_CODE).values(attempts=_c.attempts + 1).returning(_c.id, _c.answer_hash),
    pair(scalar("id"), scalar("answer_hash")),
)
_one = _c.id == bindparam("invite_id")
_GIVE_BACK = Statement(
    update(invites).where(_one, _c.attempts > _c.wrong_answers).values(attempts=_c.attempts - 1)
)
_COUNT_WRONG = Query(
    update(invites)
    .where(_one, exactly(_c.status, UNBOUND), _c.wrong_answers < _c.attempts)
    .values(wrong_answers=_c.wrong_answers + 1)
    .returning(*INVITE_COLUMNS, _c.wrong_answers),
    pair(struct(Invite), scalar("wrong_answers")),
)


class Attempt(NamedTuple):
    """A try that was counted, on which invite, and the hash its answer must fit."""

    invite_id: UUID
    answer_hash: HashedPassword


class AnswerVerdict(NamedTuple):
    """Code and answer were compared, slowly and before any deed, and were right: the proof of it."""

    invite_id: UUID


async def question(ctx: Context, digests: list[bytes]) -> str:
    """Return the question of the open invite that has a code. Raises UnknownCode."""
    require(ctx.actor, Permission.FOLLOW_INVITE)
    found = await queries.question(ctx, digests)
    if found is None:
        raise UnknownCode
    return found


async def take_attempt(ctx: Context, digests: list[bytes]) -> Attempt:
    """Count a try on the open invite that has a code (by its digest with each pepper there is). Raises UnknownCode.

    To be committed before the answer is compared.
    """
    found = await _TAKE.first(ctx.tx, digests=digests, now=ctx.now)
    if found is None:
        raise UnknownCode
    return Attempt(found[0], HashedPassword(found[1]))


async def give_back(ctx: Context, invite_id: UUID) -> None:
    """Give back a try that was right, or never compared."""
    await _GIVE_BACK.run(ctx.tx, invite_id=invite_id)


async def count_wrong(ctx: Context, invite_id: UUID) -> None:
    """Write down that an answer was wrong; with the fifth the invite is locked for good, and whoever made it is told."""
    found = await _COUNT_WRONG.first(ctx.tx, invite_id=invite_id)
    if found is None:
        return
    invite, wrong_answers = found
    await tell(ctx, EventKind.INVITE_ANSWERED_WRONG, invite, wrong_answers=wrong_answers)
    if wrong_answers >= MOST_WRONG_ANSWERS:
        locked = await LIFECYCLE.move(ctx, "lock", invite_id)
        if locked is not None:
            await tell(ctx, EventKind.INVITE_LOCKED, locked)


async def register(
    ctx: Context, verdict: AnswerVerdict, form: AccountForm, password: HashedPassword, post: Post
) -> Account | None:
    """Register an account and bind the invite to it: that account alone can accept it, by its id, and its code is used up.

    None, and nothing changed, if the address has an account that keeps it; that counts as a wrong answer does, because it tells
    who has an account (ruling 22). Raises UnknownCode (somebody was faster), Invalid, TooManyAttempts.
    """
    require(ctx.actor, Permission.FOLLOW_INVITE)
    account = await life.register_with_proof(ctx, form, password, post)
    if account is None:
        await count_wrong(ctx, verdict.invite_id)
        return None
    await give_back(ctx, verdict.invite_id)
    bound = await LIFECYCLE.move(ctx, "bind", verdict.invite_id, by_account=account.id)
    if bound is None:
        raise UnknownCode
    await tell(ctx, EventKind.INVITE_BOUND, bound)
    return account


async def find(ctx: Context, verdict: AnswerVerdict) -> InviteView:
    """Return an invite to who is signed in and has its code and answer. Raises UnknownCode."""
    require(ctx.actor, Permission.ACCEPT_INVITE)
    await give_back(ctx, verdict.invite_id)
    found = await queries.view(ctx, verdict.invite_id)
    if not found.invite.is_open(ctx.now) or found.invite.status is not UNBOUND:
        raise UnknownCode
    return found
