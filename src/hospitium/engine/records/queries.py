"""Which records: those an account may read, and one with what the actor may do on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from unicodedata import normalize

import msgspec
from sqlalchemy import Integer, Text, Uuid, bindparam, cast, exists, func, literal_column, or_, select, true
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP

from hospitium.engine.access.check import Resource, best_of
from hospitium.engine.access.standing import counts, open_of_account
from hospitium.engine.accounts.record import accounts
from hospitium.engine.errors import NotFound, NotSignedIn
from hospitium.engine.grants.record import ResourceKind, grants
from hospitium.engine.ids import to_object_id
from hospitium.engine.levels import Level
from hospitium.engine.permissions import Permission, require
from hospitium.engine.records.record import RECORD_COLUMNS, THERE, Record, records
from hospitium.engine.shares.record import PENDING, is_live, shares
from hospitium.storage.statements import Query, exactly, one_of, pair, scalar, struct, triple

if TYPE_CHECKING:
    from uuid import UUID

    from hospitium.engine.access.decide import Allowed
    from hospitium.engine.context import Context
    from hospitium.engine.object_types.record import ObjectType

_c = records.c
_NOW = bindparam("now", type_=TIMESTAMP(timezone=True))
_there = one_of(_c.status, THERE)


class RecordView(msgspec.Struct, frozen=True):
    """A record with what the actor may do on it. `body`: its JSON as text, None below level 4 and where it lives elsewhere."""

    record: Record
    body: str | None
    level: int
    is_shared: bool


def is_shared(context: Any) -> Any:
    """Return whether a context has a share that is pending or active, by the clock."""
    return exists().where(
        shares.c.context_id == context,
        is_live(shares.c.status),
        or_(shares.c.window_ends_at.is_(None), shares.c.window_ends_at > _NOW),
        ~(exactly(shares.c.status, PENDING) & (shares.c.expires_at <= _NOW)),
    )


_body = cast(_c.body, Text).label("record__body")
_shared = is_shared(_c.id).label("record__is_shared")
_ONE = Query(
    select(*RECORD_COLUMNS, _body, _shared).where(
        _c.id == bindparam("record_id"), _c.object_type_id == bindparam("type_id"), _there
    ),
    triple(struct(Record), scalar("body"), scalar("is_shared")),
)
# No lock on the key: whoever only refers to the record (a share, a grant) isn't kept waiting.
_LOCK = Query(
    select(*RECORD_COLUMNS).where(_c.id == bindparam("record_id"), _there).with_for_update(key_share=True),
    struct(Record),
)
_BY_ID = Query(select(*RECORD_COLUMNS).where(_c.id == bindparam("record_id"), _there), struct(Record))
_IS_USED = Query(
    select(literal_column("true").label("found"))
    .where(_c.object_type_id == bindparam("type_id"), _there)
    .limit(1),
    scalar("found"),
)
_IS_ACCOUNT = Query(
    select(literal_column("true").label("found")).where(accounts.c.id == bindparam("wanted_id")),
    scalar("found"),
)
_IS_CALLED = Query(
    select(literal_column("true").label("found"))
    .where(
        _c.object_type_id == bindparam("type_id"),
        _c.external_id == func.any(bindparam("names", type_=ARRAY(Text))),
    )
    .limit(1),
    scalar("found"),
)
_IS_OF_TYPE = Query(
    select(literal_column("true").label("found")).where(
        _c.id == bindparam("wanted_id"), _c.object_type_id == bindparam("type_id")
    ),
    scalar("found"),
)
_IS_RECORD = Query(
    select(literal_column("true").label("found")).where(_c.id == bindparam("wanted_id")), scalar("found")
)
_LOCK_ALL_OF_OWNER = Query(
    select(_c.id)
    .where(_c.owner_id == bindparam("account_id"), _there)
    .order_by(_c.id)
    .with_for_update(key_share=True),
    scalar("id"),
)
_OWNED = Query(
    select(*RECORD_COLUMNS)
    .where(_c.owner_id == bindparam("account_id"), _there)
    .order_by(_c.id.desc())
    .limit(bindparam("most")),
    struct(Record),
)
_PRESENT = Query(
    select(_c.id, _c.external_id).where(
        _c.object_type_id == bindparam("type_id"),
        _c.id.in_(select(func.unnest(bindparam("ids", type_=ARRAY(Uuid)))))
        | (_c.external_id == func.any(bindparam("external_ids", type_=ARRAY(Text)))),
    ),
    pair(scalar("id"), scalar("external_id")),
)


def _readable() -> Query[tuple[Record, tuple[str | None, int, bool]]]:
    """Whatever the number of records and grants: of each road the first few by the index, then the first few of all."""
    standing = open_of_account(bindparam("account_id", type_=Uuid))
    most = bindparam("most", type_=Integer)
    of_road = (
        select(grants.c.resource_id, func.max(grants.c.level).label("level"))
        .where(
            counts(standing),
            exactly(grants.c.resource_kind, ResourceKind.RECORD),
            grants.c.resource_type == bindparam("resource_type"),
            grants.c.resource_id < bindparam("before"),
            grants.c.level >= int(Level.READ),
        )
        .group_by(grants.c.resource_id)
        .order_by(grants.c.resource_id.desc())
        .limit(most)
        .correlate(standing)
        .lateral("of_road")
    )
    page = (
        select(of_road.c.resource_id, func.max(of_road.c.level).label("level"))
        .select_from(standing.join(of_road, true()))
        .group_by(of_road.c.resource_id)
        .order_by(of_road.c.resource_id.desc())
        .offset(bindparam("skip"))
        .limit(bindparam("limit"))
        .subquery("page")
    )
    return Query(
        select(*RECORD_COLUMNS, _body, page.c.level.label("record__level"), _shared)
        .select_from(page)
        .join(records, _c.id == cast(page.c.resource_id, Uuid))
        .where(_there)
        .order_by(_c.id.desc()),
        pair(struct(Record), triple(scalar("body"), scalar("level"), scalar("is_shared"))),
    )


_READABLE = _readable()


def resource_of(record: Record) -> Resource:
    """Return what a question about a record names."""
    return Resource(ResourceKind.RECORD, str(record.id), str(record.object_type_id))


async def readable(
    ctx: Context, object_type: ObjectType, before: UUID, skip: int, limit: int
) -> list[RecordView]:
    """Return records of a type that the actor may read, the newest first: complete, from `before` on, after `skip` of them."""
    require(ctx.actor, Permission.SEE_RECORDS)
    if ctx.actor.account_id is None:
        raise NotSignedIn
    found = await _READABLE.all(
        ctx.tx,
        account_id=ctx.actor.account_id,
        resource_type=str(object_type.id),
        before=str(before),
        skip=skip,
        limit=limit,
        most=skip + limit,
        now=ctx.now,
    )
    return [RecordView(record, body, level, shared) for record, (body, level, shared) in found]


async def view(ctx: Context, object_type: ObjectType, record_id: UUID) -> RecordView:
    """Return a record the actor may at least know of, with its body if he may read it. Raises NotFound (`instance`)."""
    require(ctx.actor, Permission.SEE_RECORDS)
    found = await _ONE.first(ctx.tx, record_id=record_id, type_id=object_type.id, now=ctx.now)
    if found is None:
        raise NotFound("instance")
    record, body, shared = found
    best = await access(ctx, record)
    return RecordView(record, body if best.level >= Level.READ else None, int(best.level), shared)


async def access(ctx: Context, record: Record) -> Allowed:
    """Return the most the actor may do on a record, and by which grant. Raises NotFound (`instance`), if nothing."""
    if ctx.actor.account_id is None:
        raise NotSignedIn
    best = await best_of(ctx, ctx.actor.account_id, resource_of(record))
    if best is None:
        raise NotFound("instance")
    return best


async def lock(ctx: Context, record_id: UUID) -> Record:
    """Lock a record before anything of it, or of who may do what on it, is changed. Raises NotFound (`instance`)."""
    found = await _LOCK.first(ctx.tx, record_id=record_id)
    if found is None:
        raise NotFound("instance")
    return found


async def by_id(ctx: Context, record_id: UUID) -> Record | None:
    """Return a record that is there, for whoever has asked whether it may be seen."""
    return await _BY_ID.first(ctx.tx, record_id=record_id)


async def is_used(ctx: Context, type_id: UUID) -> bool:
    """Whether there are records of a type."""
    return await _IS_USED.first(ctx.tx, type_id=type_id) is not None


async def is_of_an_account(ctx: Context, given_id: UUID) -> bool:
    """Whether an id is that of an account: shares know what they are of by its id alone, so that no record may have the same."""
    return await _IS_ACCOUNT.first(ctx.tx, wanted_id=given_id) is not None


async def is_called(ctx: Context, object_type: ObjectType, given_id: UUID) -> bool:
    """Whether a record of a type has an id, in either spelling, as its external id."""
    spelled = [str(given_id), to_object_id(given_id) or ""]
    names = spelled + [one.upper() for one in spelled]
    return await _IS_CALLED.first(ctx.tx, type_id=object_type.id, names=names) is not None


async def is_of_type(ctx: Context, object_type: ObjectType, record_id: UUID) -> bool:
    """Whether an id is or was that of a record of a type."""
    return await _IS_OF_TYPE.first(ctx.tx, wanted_id=record_id, type_id=object_type.id) is not None


async def is_of_a_record(ctx: Context, given_id: UUID) -> bool:
    """Whether an id is or was that of a record: no account may have the same, either."""
    return await _IS_RECORD.first(ctx.tx, wanted_id=given_id) is not None


async def lock_all_of(ctx: Context, account_id: UUID) -> list[UUID]:
    """Lock the records that an account owns, in the order of their ids; return these."""
    return await _LOCK_ALL_OF_OWNER.all(ctx.tx, account_id=account_id)


async def owned(ctx: Context, account_id: UUID, most: int) -> list[Record]:
    """Return at most so many records an account owns, the newest first. For its own export."""
    return await _OWNED.all(ctx.tx, account_id=account_id, most=most)


async def present(
    ctx: Context, object_type: ObjectType, ids: list[UUID], external_ids: list[str]
) -> tuple[set[UUID], dict[str, UUID]]:
    """Return which of some ids and external ids records of a type have; the latter as they were given, in NFC or not. For the world loader."""
    kept = {normalize("NFC", given): given for given in external_ids}
    found = await _PRESENT.all(ctx.tx, type_id=object_type.id, ids=ids, external_ids=list(kept))
    return {record_id for record_id, _ in found}, {
        kept[named]: record_id for record_id, named in found if named in kept
    }
