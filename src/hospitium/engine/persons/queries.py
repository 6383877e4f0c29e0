"""Which persons: an account sees those it looks after, unless a restore holds that; and which offers, made and received."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import Boolean, Uuid, and_, bindparam, func, or_, select
from sqlalchemy.dialects.postgresql import TIMESTAMP

from hospitium.engine.accounts.record import AccountStatus, accounts
from hospitium.engine.epochs.queries import HELD_UNTIL
from hospitium.engine.errors import Forbidden, NotConfirmed, NotFound, NotSignedIn
from hospitium.engine.levels import Level
from hospitium.engine.permissions import RULES, Permission, require
from hospitium.engine.persons.record import (
    PERSON_COLUMNS,
    PERSON_OFFER_COLUMNS,
    ROLE_COLUMNS,
    Person,
    PersonOffer,
    PersonOfferStatus,
    PersonRole,
    Relationship,
    person_offers,
    person_roles,
    persons,
)
from hospitium.storage.statements import Query, exactly, pair, scalar, struct

if TYPE_CHECKING:
    from datetime import date

    from hospitium.engine.context import Context

_p, _r, _o = persons.c, person_roles.c, person_offers.c
_ME = bindparam("account_id", type_=Uuid)
_NOW = bindparam("now", type_=TIMESTAMP(timezone=True))


class PersonView(NamedTuple):
    """A person as somebody who looks after it sees it: with the role he has."""

    person: Person
    role: PersonRole


class Holder(msgspec.Struct, frozen=True):
    """An account that looks after a person, as others who do see it."""

    account_id: UUID
    first_name: str | None
    last_name: str | None
    email: str
    level: Level
    is_owner: bool
    relationship: Relationship
    starts_at: datetime


class ReceivedOffer(msgspec.Struct, frozen=True):
    """The care of a person as it is offered to somebody: who offers it, and of whom, by the names alone."""

    id: UUID
    person_id: UUID
    person_first_name: str
    person_last_name: str
    level: Level
    relationship: Relationship
    offered_by_first_name: str | None
    offered_by_last_name: str | None
    offered_by_email: str
    offered_at: datetime
    expires_at: datetime


class Sharer(msgspec.Struct, frozen=True):
    """Who offers the care of a person, as the mail about it names him."""

    first_name: str | None
    last_name: str | None
    email: str


# -- roles -------------------------------------------------------------------------------------------------------------

_is_open = _r.ends_at.is_(None)
# What a restore holds counts for nothing: nobody can say whether it ended since the backup was taken.
_is_live = and_(_is_open, or_(HELD_UNTIL.is_(None), _r.starts_at > HELD_UNTIL))
_is_there = _p.ended_at.is_(None)
_of_person = _r.person_id == bindparam("person_id", type_=Uuid)
_OF_ACTOR = Query(select(*ROLE_COLUMNS).where(_of_person, _r.account_id == _ME, _is_live), struct(PersonRole))
_OPEN_OF = Query(select(*ROLE_COLUMNS).where(_of_person, _r.account_id == _ME, _is_open), struct(PersonRole))
_OPEN = Query(select(*ROLE_COLUMNS).where(_of_person, _is_open).order_by(_r.account_id), struct(PersonRole))
_HOLDERS = Query(
    select(_r.account_id).where(_of_person, _is_open).order_by(_r.account_id), scalar("account_id")
)
_OF_ACCOUNT = Query(
    select(_r.person_id).where(_r.account_id == _ME, _is_open).order_by(_r.person_id), scalar("person_id")
)
# While a restore is being recorded all that begins is held with the rest, and so may come from what is held.
_HEIR = Query(
    select(*ROLE_COLUMNS)
    .join(accounts, accounts.c.id == _r.account_id)
    .where(
        _of_person,
        _r.account_id != _ME,
        _r.level >= int(Level.DELETE),
        _is_open,
        or_(HELD_UNTIL.is_(None), _r.starts_at > HELD_UNTIL, HELD_UNTIL >= _NOW),
        exactly(accounts.c.status, AccountStatus.ACTIVE),
    )
    .order_by(_r.starts_at, _r.id)
    .limit(1),
    struct(PersonRole),
)
_shown_to_actor = (_of_person, _is_open, or_(bindparam("all_of_them", type_=Boolean), _r.account_id == _ME))
_ROLES = Query(
    select(
        _r.account_id,
        accounts.c.first_name,
        accounts.c.last_name,
        accounts.c.email,
        _r.level,
        _r.is_owner,
        _r.relationship,
        _r.starts_at,
    )
    .join(accounts, accounts.c.id == _r.account_id)
    .where(*_shown_to_actor)
    .order_by(_r.account_id)
    .limit(bindparam("limit"))
    .offset(bindparam("skip")),
    struct(Holder),
)
_ROLE_COUNT = Query(select(func.count().label("count")).where(*_shown_to_actor), scalar("count"))

# -- persons -----------------------------------------------------------------------------------------------------------

_VIEW = pair(struct(Person), struct(PersonRole))
_seen = (
    select(*PERSON_COLUMNS, *(column.label(f"role__{column.key}") for column in ROLE_COLUMNS))
    .join(person_roles, _r.person_id == _p.id)
    .where(_r.account_id == _ME, _is_live, _is_there)
)
_FIND = Query(_seen.where(_p.id == bindparam("person_id")), _VIEW)
_SEEN = Query(
    _seen.where(_p.id > bindparam("after"))
    .order_by(_p.id)
    .limit(bindparam("limit"))
    .offset(bindparam("skip")),
    _VIEW,
)
_SEEN_COUNT = Query(
    select(func.count().label("count"))
    .join_from(person_roles, persons, _r.person_id == _p.id)
    .where(_r.account_id == _ME, _is_live, _is_there),
    scalar("count"),
)
_LOCK = Query(
    select(*PERSON_COLUMNS).where(_p.id == bindparam("person_id"), _is_there).with_for_update(key_share=True),
    struct(Person),
)
_BY_ID = Query(select(_p.id).where(_p.id == bindparam("person_id")), scalar("id"))
_OWNED_LIKE = Query(
    select(_p.id)
    .join(person_roles, _r.person_id == _p.id)
    .where(
        _r.account_id == _ME,
        _r.is_owner,
        _is_open,
        _is_there,
        _p.first_name == bindparam("first_name"),
        _p.last_name == bindparam("last_name"),
        _p.birth_date.is_not_distinct_from(bindparam("birth_date", type_=_p.birth_date.type)),
    )
    .limit(1),
    scalar("id"),
)
_OWNED = Query(
    select(_p.id, _p.birth_date)
    .join(person_roles, _r.person_id == _p.id)
    .where(
        _r.account_id == _ME,
        _r.is_owner,
        _is_open,
        _is_there,
        _p.first_name == bindparam("first_name"),
        _p.last_name == bindparam("last_name"),
    )
    .order_by(_p.id),
    pair(scalar("id"), scalar("birth_date")),
)

# -- offers ------------------------------------------------------------------------------------------------------------

_is_pending = exactly(_o.status, PersonOfferStatus.PENDING)
_waits = (_is_pending, _o.expires_at > _NOW)
_to_address = _o.email_key == bindparam("email_key")
_of_offered_person = _o.person_id == bindparam("person_id", type_=Uuid)
_OFFER = Query(select(*PERSON_OFFER_COLUMNS).where(_o.id == bindparam("offer_id")), struct(PersonOffer))
_PENDING_TO = Query(
    select(*PERSON_OFFER_COLUMNS).where(_of_offered_person, _to_address, _is_pending), struct(PersonOffer)
)
_PENDING = Query(
    select(*PERSON_OFFER_COLUMNS).where(_of_offered_person, _is_pending).order_by(_o.id), struct(PersonOffer)
)
_MADE = Query(
    select(*PERSON_OFFER_COLUMNS)
    .where(_of_offered_person, *_waits)
    .order_by(_o.id.desc())
    .limit(bindparam("limit"))
    .offset(bindparam("skip")),
    struct(PersonOffer),
)
_MADE_COUNT = Query(select(func.count().label("count")).where(_of_offered_person, *_waits), scalar("count"))
_by = accounts.alias("offering")
_RECEIVED = Query(
    select(
        _o.id,
        _o.person_id,
        _p.first_name.label("offer__person_first_name"),
        _p.last_name.label("offer__person_last_name"),
        _o.level,
        _o.relationship,
        _by.c.first_name.label("offer__offered_by_first_name"),
        _by.c.last_name.label("offer__offered_by_last_name"),
        _by.c.email.label("offer__offered_by_email"),
        _o.offered_at,
        _o.expires_at,
    )
    .join(persons, _p.id == _o.person_id)
    .join(_by, _by.c.id == _o.offered_by_id)
    .where(_to_address, *_waits)
    .order_by(_o.id.desc())
    .limit(bindparam("limit"))
    .offset(bindparam("skip")),
    struct(ReceivedOffer),
)
_RECEIVED_COUNT = Query(select(func.count().label("count")).where(_to_address, *_waits), scalar("count"))
_TO_SEND = Query(
    select(
        *PERSON_OFFER_COLUMNS,
        _by.c.first_name,
        _by.c.last_name,
        _by.c.email.label("sharer__email"),
    )
    .join(_by, _by.c.id == _o.offered_by_id)
    .where(_o.id == bindparam("offer_id")),
    pair(struct(PersonOffer), struct(Sharer)),
)
_ONE_OVERDUE = Query(
    select(*PERSON_OFFER_COLUMNS)
    .where(_is_pending, _o.expires_at <= _NOW)
    .order_by(_o.expires_at)
    .limit(1)
    .with_for_update(skip_locked=True),
    struct(PersonOffer),
)
_ADDRESS = Query(
    select(accounts.c.email_key).where(accounts.c.id == _ME, accounts.c.verified_at.is_not(None)),
    scalar("email_key"),
)


async def lock(ctx: Context, person_id: UUID) -> Person | None:
    """Lock a person before anything of it is changed; None if it has ended, or there never was one."""
    return await _LOCK.first(ctx.tx, person_id=person_id)


async def administers(ctx: Context, person_id: UUID) -> bool:
    """Whether the actor administers a person now, as its owner or not."""
    role = await role_of(ctx, person_id)
    return role is not None and role.level >= Level.DELETE


async def role_of(ctx: Context, person_id: UUID) -> PersonRole | None:
    """Return as what the actor looks after a person now; None if he doesn't, or a restore holds that."""
    return await _OF_ACTOR.first(ctx.tx, person_id=person_id, account_id=ctx.actor.account_id)


async def open_of(ctx: Context, person_id: UUID, account_id: UUID) -> PersonRole | None:
    """Return as what an account looks after a person, held or not. For whoever may change that."""
    return await _OPEN_OF.first(ctx.tx, person_id=person_id, account_id=account_id)


async def open_roles(ctx: Context, person_id: UUID) -> list[PersonRole]:
    """Return who looks after a person as what, held or not, in the order of the accounts. For whoever may change that."""
    return await _OPEN.all(ctx.tx, person_id=person_id)


async def holders(ctx: Context, person_id: UUID) -> list[UUID]:
    """Return the accounts that look after a person, in the order of their ids. For the trails it stands in."""
    return await _HOLDERS.all(ctx.tx, person_id=person_id)


async def ids_of_account(ctx: Context, account_id: UUID) -> list[UUID]:
    """Return the persons an account looks after, in the order of their ids. For what ends an account."""
    return await _OF_ACCOUNT.all(ctx.tx, account_id=account_id)


async def heir(ctx: Context, person_id: UUID, account_id: UUID) -> PersonRole | None:
    """Return who owns a person if this account doesn't any more: of its other administrators the one who is so longest."""
    return await _HEIR.first(ctx.tx, person_id=person_id, account_id=account_id, now=ctx.now)


async def seen(ctx: Context, after: UUID, limit: int, *, skip: int = 0) -> list[PersonView]:
    """Return persons the actor looks after, in the order of their ids: after one of them, and without the next `skip`."""
    require(ctx.actor, Permission.SEE_PERSONS)
    found = await _SEEN.all(ctx.tx, account_id=_account(ctx), after=after, limit=limit, skip=skip)
    return [PersonView(*one) for one in found]


async def seen_count(ctx: Context) -> int:
    """Return how many persons the actor looks after."""
    require(ctx.actor, Permission.SEE_PERSONS)
    return await _SEEN_COUNT.first(ctx.tx, account_id=_account(ctx)) or 0


async def find(ctx: Context, person_id: UUID) -> PersonView:
    """Return a person the actor looks after; NotFound otherwise, alike for one he doesn't and one there isn't."""
    require(ctx.actor, Permission.SEE_PERSONS)
    found = await _FIND.first(ctx.tx, person_id=person_id, account_id=_account(ctx))
    if found is None:
        raise NotFound("person")
    return PersonView(*found)


async def roles(ctx: Context, person_id: UUID, limit: int, *, skip: int = 0) -> tuple[list[Holder], int]:
    """Return who looks after a person, in the order of the accounts' ids, and how many in all; for its administrators.

    Others see themselves alone. Raises NotFound.
    """
    role = (await find(ctx, person_id)).role
    which = {
        "person_id": person_id,
        "account_id": role.account_id,
        "all_of_them": role.level >= Level.DELETE,
    }
    total = await _ROLE_COUNT.first(ctx.tx, **which)
    return await _ROLES.all(ctx.tx, **which, limit=limit, skip=skip), total or 0


async def exists(ctx: Context, person_id: UUID) -> bool:
    """Whether there is, or was, a person with an id. For the world loader."""
    return await _BY_ID.first(ctx.tx, person_id=person_id) is not None


async def owns_one_like(
    ctx: Context, account_id: UUID, first_name: str, last_name: str, birth_date: date | None
) -> bool:
    """Whether an account owns a person of these names and this birth date. For the world loader."""
    found = await _OWNED_LIKE.first(
        ctx.tx, account_id=account_id, first_name=first_name, last_name=last_name, birth_date=birth_date
    )
    return found is not None


async def owned_of_name(
    ctx: Context, account_id: UUID, first_name: str, last_name: str
) -> list[tuple[UUID, date | None]]:
    """Return the persons of these names that an account owns, each with its birth date. For the world loader."""
    return await _OWNED.all(ctx.tx, account_id=account_id, first_name=first_name, last_name=last_name)


async def offers_made(
    ctx: Context, person_id: UUID, limit: int, *, skip: int = 0
) -> tuple[list[PersonOffer], int]:
    """Return the offers of a person that wait, the newest first, and how many in all; for its administrators.

    Raises NotFound, Forbidden.
    """
    if (await find(ctx, person_id)).role.level < Level.DELETE:
        raise Forbidden(RULES[Permission.SHARE_PERSON].sentence)
    total = await _MADE_COUNT.first(ctx.tx, person_id=person_id, now=ctx.now)
    return await _MADE.all(ctx.tx, person_id=person_id, now=ctx.now, limit=limit, skip=skip), total or 0


async def offers_received(ctx: Context, limit: int, *, skip: int = 0) -> tuple[list[ReceivedOffer], int]:
    """Return the offers that wait for the actor, the newest first, and how many in all: those to his proved address.

    Raises NotConfirmed.
    """
    require(ctx.actor, Permission.ACCEPT_PERSON)
    email_key: str | None = await _ADDRESS.first(ctx.tx, account_id=_account(ctx))
    if email_key is None:
        raise NotConfirmed
    total = await _RECEIVED_COUNT.first(ctx.tx, email_key=email_key, now=ctx.now)
    found = await _RECEIVED.all(ctx.tx, email_key=email_key, now=ctx.now, limit=limit, skip=skip)
    return found, total or 0


async def offer(ctx: Context, offer_id: UUID) -> PersonOffer | None:
    """Return an offer, dead or alive. For whoever made it, or may take it up."""
    return await _OFFER.first(ctx.tx, offer_id=offer_id)


async def pending_to(ctx: Context, person_id: UUID, email_key: str) -> PersonOffer | None:
    """Return the offer of a person to an address that nobody has answered, in time or not."""
    return await _PENDING_TO.first(ctx.tx, person_id=person_id, email_key=email_key)


async def pending(ctx: Context, person_id: UUID) -> list[PersonOffer]:
    """Return the offers of a person that nobody has answered, in time or not. For what ends them."""
    return await _PENDING.all(ctx.tx, person_id=person_id)


async def offer_to_send(ctx: Context, offer_id: UUID) -> tuple[PersonOffer, Sharer] | None:
    """Return an offer, dead or alive, and who makes it. For the mail about it."""
    return await _TO_SEND.first(ctx.tx, offer_id=offer_id)


async def one_overdue(ctx: Context) -> PersonOffer | None:
    """Lock and return an offer that nobody took up in time. For the sweep."""
    return await _ONE_OVERDUE.first(ctx.tx, now=ctx.now)


def _account(ctx: Context) -> UUID:
    if ctx.actor.account_id is None:
        raise NotSignedIn
    return ctx.actor.account_id
