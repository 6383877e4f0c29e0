"""Accounts as something that is shared (ruling 12): one's own, which one owns, and those of others that were shared with one."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from sqlalchemy import Integer, Uuid, bindparam, cast, func, literal_column, select, true
from sqlalchemy.dialects.postgresql import TIMESTAMP

from hospitium.engine.access.check import Resource, best_of
from hospitium.engine.access.standing import counts, open_of_account
from hospitium.engine.accounts.record import ACCOUNT_COLUMNS, Account, AccountStatus, accounts
from hospitium.engine.errors import NotFound, NotSignedIn
from hospitium.engine.grants.record import ResourceKind, grants
from hospitium.engine.levels import Level
from hospitium.engine.permissions import Permission, require
from hospitium.engine.records.queries import is_shared
from hospitium.storage.statements import Query, exactly, pair, scalar, struct

if TYPE_CHECKING:
    from hospitium.engine.context import Context


class AccountView(msgspec.Struct, frozen=True):
    """An account with what the actor may do on it. `account` is None below level 4: that it is there is all that is told."""

    id: UUID
    account: Account | None
    level: int
    is_shared: bool


_NOW = bindparam("now", type_=TIMESTAMP(timezone=True))
_shared = is_shared(accounts.c.id).label("account__is_shared")
_is_there = exactly(accounts.c.status, AccountStatus.ACTIVE)
_ONE = Query(
    select(*ACCOUNT_COLUMNS, _shared).where(accounts.c.id == bindparam("wanted_id"), _is_there),
    pair(struct(Account), scalar("is_shared")),
)


def _readable() -> Query[tuple[Account, tuple[int, bool]]]:
    me = bindparam("account_id", type_=Uuid)
    standing = open_of_account(me)
    # Those that are there, before anything is counted: a page that lost some afterwards would look like the last.
    of_road = (
        select(grants.c.resource_id, func.max(grants.c.level).label("level"))
        .select_from(grants.join(accounts, accounts.c.id == cast(grants.c.resource_id, Uuid)))
        .where(
            _is_there,
            counts(standing),
            exactly(grants.c.resource_kind, ResourceKind.ACCOUNT),
            exactly(grants.c.resource_type, ""),
            grants.c.resource_id < bindparam("before"),
            grants.c.level >= int(Level.READ),
        )
        .group_by(grants.c.resource_id)
        .order_by(grants.c.resource_id.desc())
        .limit(bindparam("most", type_=Integer))
        .correlate(standing)
        .lateral("of_road")
    )
    shared = select(cast(of_road.c.resource_id, Uuid).label("id"), of_road.c.level).select_from(
        standing.join(of_road, true())
    )
    own = select(me.label("id"), literal_column("7").label("level")).where(
        me < cast(bindparam("before"), Uuid)
    )
    every = shared.union_all(own).subquery("every")
    page = (
        select(every.c.id, func.max(every.c.level).label("level"))
        .group_by(every.c.id)
        .order_by(every.c.id.desc())
        .offset(bindparam("skip"))
        .limit(bindparam("limit"))
        .subquery("page")
    )
    return Query(
        select(*ACCOUNT_COLUMNS, page.c.level.label("account__level"), _shared)
        .select_from(page)
        .join(accounts, accounts.c.id == page.c.id)
        .where(_is_there)
        .order_by(accounts.c.id.desc()),
        pair(struct(Account), pair(scalar("level"), scalar("is_shared"))),
    )


_READABLE = _readable()


async def own(ctx: Context) -> AccountView:
    """Return the actor's own account."""
    require(ctx.actor, Permission.SEE_ACCOUNT)
    if ctx.actor.account_id is None:
        raise NotSignedIn
    return await _one(ctx, ctx.actor.account_id)


async def view(ctx: Context, account_id: UUID) -> AccountView:
    """Return an account the actor may at least know of. Raises NotFound (`instance`)."""
    require(ctx.actor, Permission.SEE_RECORDS)
    if ctx.actor.account_id is None:
        raise NotSignedIn
    # It is read before it is asked whether it may be: what it says later is not for whom it was taken back from meanwhile.
    seen = await _one(ctx, account_id)
    if account_id == ctx.actor.account_id:
        return seen
    best = await best_of(ctx, ctx.actor.account_id, Resource(ResourceKind.ACCOUNT, str(account_id)))
    if best is None:
        raise NotFound("instance")
    return msgspec.structs.replace(
        seen, account=seen.account if best.level >= Level.READ else None, level=int(best.level)
    )


async def readable(ctx: Context, before: UUID, skip: int, limit: int) -> list[AccountView]:
    """Return the accounts the actor may read, his own among them, the newest first."""
    require(ctx.actor, Permission.SEE_RECORDS)
    if ctx.actor.account_id is None:
        raise NotSignedIn
    found = await _READABLE.all(
        ctx.tx,
        account_id=ctx.actor.account_id,
        before=str(before),
        skip=skip,
        limit=limit,
        most=skip + limit,
        now=ctx.now,
    )
    return [AccountView(one.id, one, level, shared) for one, (level, shared) in found]


async def _one(ctx: Context, account_id: UUID) -> AccountView:
    """Return an account as its holder sees it."""
    found = await _ONE.first(ctx.tx, wanted_id=account_id, now=ctx.now)
    if found is None:
        raise NotFound("instance")
    account, shared = found
    return AccountView(account.id, account, int(Level.DELETE), shared)
