"""What can happen to a grant: it starts, and it ends. Called by the deeds that cause it, in their transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import Text, Uuid, bindparam, func, insert, literal, select, update
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP

from hospitium.engine.grants.record import CauseKind, GranteeKind, ResourceKind, grants
from hospitium.engine.levels import Level
from hospitium.storage.statements import Query, Statement, exactly, insert_into, pair, scalar

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import ColumnElement, Update

    from hospitium.engine.access.check import Resource
    from hospitium.engine.context import Context
    from hospitium.engine.partnerships.record import Partnership

_pair = (
    func.unnest(
        bindparam("ids", type_=ARRAY(Uuid)),
        bindparam("grantees", type_=ARRAY(Uuid)),
        bindparam("resources", type_=ARRAY(Text)),
    )
    .table_valued("id", "grantee_id", "resource_id", name="pair")
    .render_derived()
)
_START_FOR_PARTNERSHIP = Statement(
    insert(grants).from_select(
        ["id", "grantee_kind", "grantee_id", "resource_kind", "resource_id", "level", "starts_at", "cause_kind",
         "cause_id", "made_by_id"],
        select(
            _pair.c.id,
            literal(GranteeKind.ORGANIZATION.value),
            _pair.c.grantee_id,
            literal(ResourceKind.ORGANIZATION.value),
            _pair.c.resource_id,
            literal(int(Level.CONNECTED)),
            bindparam("now", type_=TIMESTAMP(timezone=True)),
            literal(CauseKind.PARTNERSHIP.value),
            bindparam("partnership_id", type_=Uuid),
            bindparam("made_by", type_=Uuid),
        ),
    )
)  # fmt: skip


def ending(*which: ColumnElement[bool]) -> Update:
    """Return the statement that ends those of some grants that are open."""
    # Never before it began, though this deed's instant may be older: clocks differ, and locks are waited for.
    ends_at = func.greatest(bindparam("now", type_=TIMESTAMP(timezone=True)), grants.c.starts_at)
    return update(grants).where(*which, grants.c.ends_at.is_(None)).values(ends_at=ends_at)


_END_CAUSED_BY = Query(
    ending(grants.c.cause_id == bindparam("of_cause"), grants.c.cause_kind == bindparam("of_kind")).returning(
        grants.c.id
    ),
    scalar("id"),
)
_END_ALL_OF = Query(
    ending(
        grants.c.grantee_id == bindparam("of_grantee"), grants.c.grantee_kind == bindparam("of_grantee_kind")
    ).returning(grants.c.id),
    scalar("id"),
)


_END_CAUSED_BY_SHARES = Query(
    ending(
        grants.c.cause_id == func.any(bindparam("of_causes", type_=ARRAY(Uuid))),
        exactly(grants.c.cause_kind, CauseKind.SHARE),
    ).returning(grants.c.id, grants.c.cause_id),
    pair(scalar("id"), scalar("cause_id")),
)


class Grantee(NamedTuple):
    """Who is granted something."""

    kind: GranteeKind
    id: UUID


class Allowance(NamedTuple):
    """How much is granted, in which window (None: from now on, without end), and under which grant of who gives it."""

    level: int
    starts_at: datetime | None
    until: datetime | None
    made_under_id: UUID | None


_START = Query(
    insert_into(
        grants, "id", "grantee_kind", "grantee_id", "resource_kind", "resource_type", "resource_id", "level", "is_owner",
        "starts_at", "until", "cause_kind", "cause_id", "made_under_id", "made_by_id",
    ).returning(grants.c.id),
    scalar("id"),
)  # fmt: skip
_END_ALL_ON_RECORD = Query(
    ending(
        grants.c.resource_id == bindparam("of_resource"),
        exactly(grants.c.resource_kind, ResourceKind.RECORD),
    ).returning(grants.c.id),
    scalar("id"),
)


async def start_for_owner(ctx: Context, account_id: UUID, resource: Resource) -> UUID:
    """Grant the owner of a resource everything on it; return the grant's id."""
    made: UUID | None = await _START.first(
        ctx.tx,
        id=ctx.new_id(),
        grantee_kind=GranteeKind.ACCOUNT.value,
        grantee_id=account_id,
        resource_kind=resource.kind.value,
        resource_type=resource.type,
        resource_id=resource.id,
        level=int(Level.DELETE),
        is_owner=True,
        starts_at=ctx.now,
        until=None,
        cause_kind=CauseKind.OWNERSHIP.value,
        cause_id=None,
        made_under_id=None,
        made_by_id=ctx.actor.account_id,
    )
    assert made is not None  # an INSERT … RETURNING without conflict clause has a row  # noqa: S101
    return made


async def start_for_share(
    ctx: Context, share_id: UUID, grantee: Grantee, resource: Resource, allows: Allowance
) -> UUID:
    """Grant what an accepted share allows; return the grant's id."""
    made: UUID | None = await _START.first(
        ctx.tx,
        id=ctx.new_id(),
        grantee_kind=grantee.kind.value,
        grantee_id=grantee.id,
        resource_kind=resource.kind.value,
        resource_type=resource.type,
        resource_id=resource.id,
        level=allows.level,
        is_owner=False,
        starts_at=max(ctx.now, allows.starts_at or ctx.now),
        until=allows.until,
        cause_kind=CauseKind.SHARE.value,
        cause_id=share_id,
        made_under_id=allows.made_under_id,
        made_by_id=ctx.actor.account_id,
    )
    assert made is not None  # an INSERT … RETURNING without conflict clause has a row  # noqa: S101
    return made


async def end_all_on_record(ctx: Context, record_id: UUID) -> list[UUID]:
    """End every open grant on a record; return their ids."""
    return await _END_ALL_ON_RECORD.all(ctx.tx, of_resource=str(record_id), now=ctx.now)


async def end_caused_by_shares(ctx: Context, share_ids: list[UUID]) -> list[tuple[UUID, UUID]]:
    """End the open grants of some shares; return the id of each with that of its share."""
    return await _END_CAUSED_BY_SHARES.all(ctx.tx, of_causes=share_ids, now=ctx.now)


async def start_for_partnership(ctx: Context, partnership: Partnership) -> list[UUID]:
    """Grant each of two partners level 2 on the other; return the ids of both grants."""
    ids = [ctx.new_id(), ctx.new_id()]
    await _START_FOR_PARTNERSHIP.run(
        ctx.tx,
        ids=ids,
        grantees=[partnership.source_id, partnership.target_id],
        resources=[str(partnership.target_id), str(partnership.source_id)],
        now=ctx.now,
        partnership_id=partnership.id,
        made_by=ctx.actor.account_id,
    )
    return ids


async def end_caused_by(ctx: Context, kind: CauseKind, cause_id: UUID) -> list[UUID]:
    """End the open grants of one cause; return their ids."""
    return await _END_CAUSED_BY.all(ctx.tx, of_cause=cause_id, of_kind=kind.value, now=ctx.now)


async def end_all_of(ctx: Context, account_id: UUID) -> list[UUID]:
    """End every open grant an account itself was given; return their ids."""
    return await _END_ALL_OF.all(
        ctx.tx, of_grantee=account_id, of_grantee_kind=GranteeKind.ACCOUNT.value, now=ctx.now
    )
