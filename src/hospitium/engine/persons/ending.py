"""What ends with a person, and what becomes of persons when an account that looks after them goes.

Steps of deeds that have asked for their own permission; and those endings that are done again after a restore.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, func, null, update
from sqlalchemy.dialects.postgresql import TIMESTAMP

from hospitium.engine.errors import NotFound
from hospitium.engine.events import EventKind
from hospitium.engine.grants import on_servers as grants
from hospitium.engine.permissions import Permission, require
from hospitium.engine.persons import queries, roles
from hospitium.engine.persons.erasing import forget_all_of
from hospitium.engine.persons.record import PERSON_COLUMNS, Person, persons
from hospitium.engine.persons.telling import tell
from hospitium.storage.statements import Query, struct

if TYPE_CHECKING:
    from uuid import UUID

    from hospitium.engine.context import Context
    from hospitium.engine.persons.record import PersonRole

_c = persons.c
_NOW = bindparam("now", type_=TIMESTAMP(timezone=True))
_ABOUT = (
    "first_name",
    "middle_name",
    "last_name",
    "gender",
    "birth_date",
    "address_line1",
    "address_line2",
    "city",
    "state",
    "zip_code",
)
_END = Query(
    update(persons)
    .where(_c.id == bindparam("person_id"), _c.ended_at.is_(None))
    .values(
        ended_at=func.greatest(_NOW, _c.created_at),
        updated_at=func.greatest(_NOW, _c.updated_at),
        version=_c.version + 1,
        identifiers=bindparam("none", type_=_c.identifiers.type),
        contacts=bindparam("none", type_=_c.contacts.type),
        **dict.fromkeys(_ABOUT, null()),
    )
    .returning(*PERSON_COLUMNS),
    struct(Person),
)


async def end_person(ctx: Context, person_id: UUID) -> list[UUID]:
    """Leave nothing of a person, which is locked, but its id; return the grants that ended with it. Raises NotFound."""
    holders = await queries.holders(ctx, person_id)
    await roles.withdraw(ctx, person_id, await queries.pending(ctx, person_id))
    await forget_all_of(ctx, person_id)
    await roles.end_all_on(ctx, person_id)
    ended = await grants.end_all_of_person(ctx, person_id)
    gone = await _END.first(ctx.tx, person_id=person_id, now=ctx.now, none=[])
    if gone is None:
        raise NotFound("person")
    await tell(ctx, EventKind.PERSON_DELETED, gone, holders, grants=ended or None)
    return ended


async def end_all_of(ctx: Context, account_id: UUID) -> list[UUID]:
    """Let an account, which is locked, look after nobody any more; return the grants that ended with what it owned.

    A person it owned is its longest-standing other administrator's from now on; one that has none is deleted.
    """
    ended: list[UUID] = []
    for person_id in await queries.ids_of_account(ctx, account_id):
        await queries.lock(ctx, person_id)
        # Read again, as whoever had the lock before has left it.
        role = await queries.open_of(ctx, person_id, account_id)
        if role is not None:
            ended += await _end_one(ctx, role)
    return ended


async def _end_one(ctx: Context, role: PersonRole) -> list[UUID]:
    if not role.is_owner:
        await roles.leave(ctx, role)
        return []
    heir = await queries.heir(ctx, role.person_id, role.account_id)
    if heir is None:
        return await end_person(ctx, role.person_id)
    await roles.hand_over(ctx, role, heir)
    left = await queries.open_of(ctx, role.person_id, role.account_id)
    assert left is not None  # the owner before stays as an administrator  # noqa: S101
    await roles.leave(ctx, left)
    return []


# -- again, after a restore ----------------------------------------------------------------------------------------------


async def delete_again(ctx: Context, person_id: UUID) -> None:
    """Delete a person that a restore brought back. Raises NotFound."""
    require(ctx.actor, Permission.RESTORE)
    await _locked(ctx, person_id)
    await end_person(ctx, person_id)


async def leave_again(ctx: Context, person_id: UUID, account_id: UUID) -> None:
    """End whatever an account is to a person that a restore brought back. Raises NotFound."""
    require(ctx.actor, Permission.RESTORE)
    await _end_one(ctx, await _role(ctx, person_id, account_id))


async def hand_over_again(ctx: Context, person_id: UUID, source: UUID, target: UUID) -> None:
    """Hand a person over as it was before a restore, if both look after it in what it brought back. Raises NotFound."""
    require(ctx.actor, Permission.RESTORE)
    owner, to = await _role(ctx, person_id, source), await _role(ctx, person_id, target)
    if not owner.is_owner:
        raise NotFound("account")
    await roles.hand_over(ctx, owner, to)


async def _role(ctx: Context, person_id: UUID, account_id: UUID) -> PersonRole:
    await _locked(ctx, person_id)
    role = await queries.open_of(ctx, person_id, account_id)
    if role is None:
        raise NotFound("account")
    return role


async def _locked(ctx: Context, person_id: UUID) -> None:
    if await queries.lock(ctx, person_id) is None:
        raise NotFound("person")
