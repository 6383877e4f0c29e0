"""How a role on a person begins, gives way to another, and ends: an interval, so that as of then is the same question.

Steps of deeds that have asked for their own permission and hold the person's lock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, func, update
from sqlalchemy.dialects.postgresql import TIMESTAMP

from hospitium.engine.errors import NotFound
from hospitium.engine.events import EventKind
from hospitium.engine.levels import Level
from hospitium.engine.persons import queries
from hospitium.engine.persons.lifecycle import LIFECYCLE
from hospitium.engine.persons.record import ROLE_COLUMNS, PersonRole, person_roles
from hospitium.engine.persons.telling import tell_offers, tell_role
from hospitium.storage.statements import Query, insert_into, struct

if TYPE_CHECKING:
    from uuid import UUID

    from hospitium.engine.context import Context
    from hospitium.engine.persons.record import PersonOffer, Relationship

_c = person_roles.c
_is_open = _c.ends_at.is_(None)
# Never before it began: clocks differ, and locks are waited for.
_ENDS = {"ends_at": func.greatest(bindparam("now", type_=TIMESTAMP(timezone=True)), _c.starts_at)}
_START = Query(
    insert_into(person_roles, *PersonRole.__struct_fields__).returning(*ROLE_COLUMNS), struct(PersonRole)
)
_END = Query(
    update(person_roles)
    .where(_c.id == bindparam("role_id"), _is_open)
    .values(_ENDS)
    .returning(*ROLE_COLUMNS),
    struct(PersonRole),
)
_END_ALL = Query(
    update(person_roles)
    .where(_c.person_id == bindparam("of_person"), _is_open)
    .values(_ENDS)
    .returning(*ROLE_COLUMNS),
    struct(PersonRole),
)


def may_give(giver: PersonRole | None, level: Level) -> bool:
    """Whether somebody with this role may let others look after the person at a level: only the owner makes administrators."""
    if giver is None or giver.level < Level.DELETE:
        return False
    return level < Level.DELETE or giver.is_owner


async def start(
    ctx: Context,
    person_id: UUID,
    account_id: UUID,
    level: Level,
    relationship: Relationship,
    *,
    is_owner: bool = False,
) -> PersonRole:
    """Let an account, which is held, look after a person from now on."""
    made = await _START.first(
        ctx.tx,
        id=ctx.new_id(),
        person_id=person_id,
        account_id=account_id,
        level=int(level),
        is_owner=is_owner,
        relationship=relationship.value,
        starts_at=ctx.now,
        ends_at=None,
    )
    assert made is not None  # an INSERT … RETURNING without conflict clause has a row  # noqa: S101
    return made


async def end(ctx: Context, role: PersonRole) -> PersonRole:
    """End a role. Raises NotFound."""
    ended = await _END.first(ctx.tx, role_id=role.id, now=ctx.now)
    if ended is None:
        raise NotFound("account")
    return ended


async def end_all_on(ctx: Context, person_id: UUID) -> None:
    """End every role on a person."""
    await _END_ALL.all(ctx.tx, of_person=person_id, now=ctx.now)


async def replace(
    ctx: Context, role: PersonRole, level: Level, relationship: Relationship | None = None
) -> PersonRole:
    """End a role and begin another of the same account, which owns as before; with it ends what could no longer be offered."""
    await end(ctx, role)
    now_has = await start(
        ctx,
        role.person_id,
        role.account_id,
        level,
        relationship or role.relationship,
        is_owner=role.is_owner,
    )
    await withdraw_what_could_not_be_offered(ctx, role.person_id)
    return now_has


async def hand_over(ctx: Context, owner: PersonRole, to: PersonRole) -> PersonRole:
    """Make another who looks after a person its owner, and the owner an administrator; return the new owner's role."""
    await end(ctx, owner)
    await end(ctx, to)
    await start(ctx, owner.person_id, owner.account_id, Level.DELETE, owner.relationship)
    owns = await start(ctx, to.person_id, to.account_id, Level.DELETE, to.relationship, is_owner=True)
    await withdraw_what_could_not_be_offered(ctx, owner.person_id)
    await tell_role(
        ctx,
        EventKind.PERSON_TRANSFERRED,
        owns,
        await queries.holders(ctx, owner.person_id),
        source=owner.account_id,
        target=to.account_id,
    )
    return owns


async def leave(ctx: Context, role: PersonRole) -> None:
    """End the role of one who isn't the owner, and with it what he offered."""
    holders = await queries.holders(ctx, role.person_id)
    ended = await end(ctx, role)
    await withdraw_what_could_not_be_offered(ctx, role.person_id)
    await tell_role(ctx, EventKind.PERSON_ROLE_ENDED, ended, holders)


async def withdraw_what_could_not_be_offered(ctx: Context, person_id: UUID) -> None:
    """Withdraw the offers whose makers could not make them any more."""
    waiting = await queries.pending(ctx, person_id)
    if not waiting:
        return
    now = {role.account_id: role for role in await queries.open_roles(ctx, person_id)}
    await withdraw(
        ctx, person_id, [one for one in waiting if not may_give(now.get(one.offered_by_id), one.level)]
    )


async def withdraw(ctx: Context, person_id: UUID, offers: list[PersonOffer]) -> list[PersonOffer]:
    """Withdraw those of some offers of a person that nobody has answered; return them."""
    withdrawn = await LIFECYCLE.move_all(ctx, "withdraw", [one.id for one in offers])
    await tell_offers(ctx, EventKind.PERSON_WITHDRAWN, withdrawn, await queries.holders(ctx, person_id))
    return withdrawn
