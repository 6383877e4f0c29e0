"""What can happen to a person: it is made, changed, looked after by others as something else or no more, given away, deleted.

Whoever changes a person, or who looks after it, holds its lock first, so that of two deeds the second sees what the first
has done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import asyncpg
from sqlalchemy import bindparam, func, update
from sqlalchemy.dialects.postgresql import TIMESTAMP

from hospitium.engine.accounts import queries as account_queries
from hospitium.engine.accounts.holding import hold_actor
from hospitium.engine.accounts.record import AccountStatus
from hospitium.engine.errors import Forbidden, Invalid, NameTaken, NotFound, WrongState
from hospitium.engine.events import EventKind
from hospitium.engine.levels import Level
from hospitium.engine.permissions import RULES, Permission, require
from hospitium.engine.persons import ending, queries, roles
from hospitium.engine.persons.forms import checked
from hospitium.engine.persons.queries import PersonView
from hospitium.engine.persons.record import PERSON_COLUMNS, Person, Relationship, persons
from hospitium.engine.persons.telling import tell, tell_role
from hospitium.storage.statements import Query, insert_into, struct

if TYPE_CHECKING:
    from uuid import UUID

    from hospitium.engine.context import Context
    from hospitium.engine.persons.forms import PersonForm
    from hospitium.engine.persons.record import PersonRole

LEVELS = (Level.READ, Level.UPDATE, Level.DELETE)
"""At which levels a person is looked after: Read, Write, Administrator."""
_SAID = (
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
    "identifiers",
    "contacts",
)
_INSERT = Query(insert_into(persons, *Person.__struct_fields__).returning(*PERSON_COLUMNS), struct(Person))
_UPDATE = Query(
    update(persons)
    .where(persons.c.id == bindparam("person_id"), persons.c.ended_at.is_(None))
    .values(
        {
            **{name: bindparam(f"new_{name}", type_=persons.c[name].type) for name in _SAID},
            "updated_at": func.greatest(
                bindparam("now", type_=TIMESTAMP(timezone=True)), persons.c.updated_at
            ),
            "version": persons.c.version + 1,
        }
    )
    .returning(*PERSON_COLUMNS),
    struct(Person),
)


# -- persons -----------------------------------------------------------------------------------------------------------


async def create(ctx: Context, form: PersonForm, relationship: Relationship) -> PersonView:
    """Make a person; who does owns it, though his address needn't be confirmed (ruling 22). Raises Invalid."""
    require(ctx.actor, Permission.CREATE_PERSON)
    said = checked(form, ctx.now.date())
    # Not to be erased or taken over meanwhile: nothing of his would be ended.
    own = await hold_actor(ctx)
    made, role = await _make(ctx, said, own.id, relationship, None)
    await tell(ctx, EventKind.PERSON_CREATED, made, [role.account_id])
    return PersonView(made, role)


async def import_one(
    ctx: Context,
    owner_id: UUID,
    form: PersonForm,
    relationship: Relationship,
    given_id: UUID | None = None,
) -> Person | None:
    """Write down a person from elsewhere, owned by an account; None if it is there: by its id, or by owner, names and birth date.

    For the operator. Raises Invalid, NameTaken (`id`).
    """
    require(ctx.actor, Permission.IMPORT_WORLD)
    said = checked(form, ctx.now.date())
    if given_id is not None and await queries.exists(ctx, given_id):
        return None
    if await queries.owns_one_like(ctx, owner_id, said["first_name"], said["last_name"], said["birth_date"]):
        return None
    if await account_queries.hold(ctx, owner_id) is None:
        raise Invalid("owner", "is deleted")
    made, role = await _make(ctx, said, owner_id, relationship, given_id)
    await tell(ctx, EventKind.PERSON_IMPORTED, made, [role.account_id])
    return made


async def change(
    ctx: Context, person_id: UUID, form: PersonForm, relationship: Relationship | None = None
) -> PersonView:
    """Say anew all that is said of a person, and what it is to the actor himself (None: as before). For level 6.

    Raises NotFound, Forbidden, Invalid.
    """
    require(ctx.actor, Permission.UPDATE_PERSON)
    role = await _locked_for(ctx, person_id, Permission.UPDATE_PERSON, Level.UPDATE)
    before = (await queries.find(ctx, person_id)).person
    said = checked(form, ctx.now.date())
    after = await _UPDATE.first(
        ctx.tx, person_id=person_id, now=ctx.now, **{f"new_{name}": value for name, value in said.items()}
    )
    if after is None:
        raise NotFound("person")
    fields = [name for name in _SAID if getattr(after, name) != getattr(before, name)]
    if relationship is not None and relationship is not role.relationship:
        role = await roles.replace(ctx, role, role.level, relationship)
        fields.append("relationship")
    holders = await queries.holders(ctx, person_id)
    await tell(ctx, EventKind.PERSON_UPDATED, after, holders, fields=sorted(fields))
    return PersonView(after, role)


async def delete(ctx: Context, person_id: UUID) -> None:
    """Delete a person: nobody looks after it any more, what it was granted ends, and its id alone stays. For its owner.

    Raises NotFound, Forbidden.
    """
    require(ctx.actor, Permission.DELETE_PERSON)
    role = await _locked_for(ctx, person_id, Permission.DELETE_PERSON, Level.READ)
    if not role.is_owner:
        raise Forbidden(RULES[Permission.DELETE_PERSON].sentence)
    await ending.end_person(ctx, person_id)


# -- who looks after one -------------------------------------------------------------------------------------------------


async def change_role(ctx: Context, person_id: UUID, account_id: UUID, level: Level) -> PersonRole:
    """Let somebody look after a person at another level. For its administrators; what makes or unmakes one is the owner's.

    Raises NotFound, Forbidden, Invalid (no such level), WrongState (the owner's own, or the same as before).
    """
    require(ctx.actor, Permission.SHARE_PERSON)
    level = checked_level(level)
    own = await _locked_for(ctx, person_id, Permission.SHARE_PERSON, Level.DELETE, account_id)
    role = await _of(ctx, person_id, account_id)
    if role.is_owner:
        raise WrongState("The owner's role changes by giving the person to another owner")
    if not _may_change(own, role) or not roles.may_give(own, level):
        raise Forbidden(RULES[Permission.SHARE_PERSON].sentence)
    if role.level == level:
        raise WrongState("This account has that role already")
    changed = await roles.replace(ctx, role, level)
    await tell_role(ctx, EventKind.PERSON_ROLE_CHANGED, changed, await queries.holders(ctx, person_id))
    return changed


async def end_role(ctx: Context, person_id: UUID, account_id: UUID) -> None:
    """Let somebody look after a person no more: oneself, or another, as an administrator; an administrator, as the owner.

    The owner gives the person away first, or deletes it. Raises NotFound, Forbidden, WrongState.
    """
    require(ctx.actor, Permission.LEAVE_PERSON)
    is_own = account_id == ctx.actor.account_id
    least = Level.READ if is_own else Level.DELETE
    own = await _locked_for(ctx, person_id, Permission.LEAVE_PERSON, least)
    role = await _of(ctx, person_id, account_id)
    if role.is_owner:
        raise WrongState("The owner can't leave a person; give it to another owner, or delete it")
    if not is_own and not _may_change(own, role):
        raise Forbidden(RULES[Permission.LEAVE_PERSON].sentence)
    await roles.leave(ctx, role)


async def transfer(ctx: Context, person_id: UUID, account_id: UUID) -> PersonView:
    """Give a person to another owner, who looks after it already; who owned it is its administrator from then on.

    For its owner. Raises NotFound, Forbidden, WrongState (he owns it already).
    """
    require(ctx.actor, Permission.SHARE_PERSON)
    own = await _locked_for(ctx, person_id, Permission.SHARE_PERSON, Level.READ, account_id)
    if not own.is_owner:
        raise Forbidden(RULES[Permission.SHARE_PERSON].sentence)
    role = await _of(ctx, person_id, account_id)
    if role.is_owner:
        raise WrongState("This account owns the person already")
    if (await account_queries.by_id(ctx, account_id)).status is not AccountStatus.ACTIVE:
        raise NotFound("account")
    await roles.hand_over(ctx, own, role)
    return await queries.find(ctx, person_id)


# -- how ---------------------------------------------------------------------------------------------------------------


def checked_level(level: Level) -> Level:
    """Return a level at which a person may be looked after. Raises Invalid (`role`)."""
    if level not in LEVELS:
        raise Invalid("role", "must be one of Administrator, Write, Read")
    return level


async def _make(
    ctx: Context,
    said: dict[str, Any],
    owner_id: UUID,
    relationship: Relationship,
    given_id: UUID | None,
) -> tuple[Person, PersonRole]:
    try:
        made = await _INSERT.first(
            ctx.tx,
            id=given_id or ctx.new_id(),
            created_at=ctx.now,
            updated_at=ctx.now,
            version=1,
            **said,
        )
    except asyncpg.UniqueViolationError:
        raise NameTaken("id") from None
    assert made is not None  # an INSERT … RETURNING without conflict clause has a row  # noqa: S101
    return made, await roles.start(ctx, made.id, owner_id, Level.DELETE, relationship, is_owner=True)


async def _locked_for(
    ctx: Context, person_id: UUID, permission: Permission, least: Level, *also: UUID
) -> PersonRole:
    """Lock a person that the actor looks after with at least this level; return his role. Raises NotFound, Forbidden.

    `also`: others for whom a role is to begin. Like the actor they are kept from being erased meanwhile; before the person is
    locked, as accounts are everywhere.
    """
    await queries.find(ctx, person_id)
    await hold_actor(ctx, also)
    if await queries.lock(ctx, person_id) is None:
        raise NotFound("person")
    # Read again, as whoever had the lock before has left it.
    role = (await queries.find(ctx, person_id)).role
    if role.level < least:
        raise Forbidden(RULES[permission].sentence)
    return role


async def _of(ctx: Context, person_id: UUID, account_id: UUID) -> PersonRole:
    role = await queries.open_of(ctx, person_id, account_id)
    if role is None:
        raise NotFound("account")
    return role


def _may_change(own: PersonRole, role: PersonRole) -> bool:
    """Whether who has one role may change or end another; of administrators, the owner alone, and each his own."""
    return own.is_owner or role.level < Level.DELETE or role.account_id == own.account_id
