"""Who can reach a resource, and what an account can reach: each with how much, through what, from whom, since when and until when.

Lists say who and what; then each is asked of `check`'s rule, which says by which grant. For those who may know all of it (`explain`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar
from uuid import UUID

import msgspec
from sqlalchemy import Uuid, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from hospitium.engine.access import listing
from hospitium.engine.access.check import Question, Resource, SubjectKind, check_all
from hospitium.engine.access.decide import Allowed
from hospitium.engine.access.explain import may_know_all
from hospitium.engine.access.finding import find, find_account
from hospitium.engine.access.listing import Reachable
from hospitium.engine.access.paths import Step, given, path
from hospitium.engine.accounts.record import accounts
from hospitium.engine.actor import ActorKind
from hospitium.engine.errors import Invalid, NotFound, NotSignedIn
from hospitium.engine.ids import FIRST_ID
from hospitium.engine.levels import Level
from hospitium.engine.memberships import queries as membership_queries
from hospitium.engine.permissions import Permission, require
from hospitium.engine.records.record import records
from hospitium.storage.statements import Query, pair, scalar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hospitium.engine.access.finding import Found
    from hospitium.engine.access.naming import Named
    from hospitium.engine.context import Context


K = TypeVar("K")
R = TypeVar("R")


class Reaching(msgspec.Struct, frozen=True):
    """An account that can reach a resource."""

    account_id: UUID
    external_id: str | None  # as the actor's organization names it
    name: str | None
    level: Level
    path: list[Step]


class Reached(msgspec.Struct, frozen=True):
    """A resource that an account can reach."""

    key: Reachable
    external_id: str | None
    level: Level
    path: list[Step]


class Part(NamedTuple, Generic[K, R]):
    """Part of a list: the keys of what was listed, and what is told of it. What ended between two statements is listed, and not told:
    the list goes on after it all the same."""

    keys: list[K]
    rows: dict[K, R]


_NAMES = Query(
    select(
        accounts.c.id,
        func.nullif(func.concat_ws(" ", accounts.c.first_name, accounts.c.last_name), "").label("name"),
    ).where(accounts.c.id == func.any(bindparam("account_ids", type_=ARRAY(Uuid)))),
    pair(scalar("id"), scalar("name")),
)
_EXTERNAL_IDS = Query(
    select(records.c.id, records.c.external_id).where(
        records.c.id == func.any(bindparam("record_ids", type_=ARRAY(Uuid))),
        records.c.external_id.is_not(None),
    ),
    pair(scalar("id"), scalar("external_id")),
)


async def find_known(ctx: Context, named: Named) -> Found:
    """Return the resource that a question names, for whoever may know all of who can reach it. Raises NotFound, Invalid (no such action)."""
    require(ctx.actor, Permission.SEE_ACCESS)
    found = await find(ctx, named)
    is_known = await may_know_all(ctx, found)
    if found is None or not is_known:
        raise NotFound("resource")
    if found.needed is None:
        raise Invalid("action", "must be an action of that type of resource")
    return found


async def who(ctx: Context, found: Found, after: UUID, most: int) -> Part[UUID, Reaching]:
    """Return the accounts that may do the action on a resource now, after one of them, by id. (`find_known` has decided that one may ask.)"""
    needed = found.needed or Level.PUBLIC
    listed = await listing.accounts_on(ctx, found.resource, needed, after, most)
    on = [(one.id, found.resource) for one in listed]
    allowed = await _allowed(ctx, on, needed, ctx.actor.organization_id)
    told = await given(ctx, [one.by.grant_id for one in allowed if one is not None])
    names = dict(await _NAMES.all(ctx.tx, account_ids=[one.id for one in listed]))
    rows = {
        one.id: Reaching(
            one.id,
            one.external_id,
            names.get(one.id),
            best.level,
            path(SubjectKind.ACCOUNT, one.id, best.by, told[best.by.grant_id]),
        )
        for one, best in zip(listed, allowed, strict=True)
        if best is not None
    }
    return Part([one.id for one in listed], rows)


async def count_who(ctx: Context, found: Found) -> int:
    """Return how many there are in all."""
    return await listing.count_accounts_on(ctx, found.resource, found.needed or Level.PUBLIC)


async def whose(ctx: Context, named: str | None) -> tuple[UUID, UUID | None]:
    """Return of which account what it can reach is told (`named` by an id, external id or address; None: the own), and within which
    organization's world (None: all of it): of the own all; of others what is in theirs, to administrators and service keys. Raises
    NotFound, NotSignedIn."""
    require(ctx.actor, Permission.SEE_ACCESS)
    actor = ctx.actor
    account_id = (
        None if named is None else await find_account(ctx, named) or FIRST_ID
    )  # whom nobody knows is nobody
    if account_id is None or account_id == actor.account_id:
        if actor.account_id is None:
            raise NotSignedIn
        return actor.account_id, None
    if actor.kind is ActorKind.OPERATOR and account_id != FIRST_ID:
        return account_id, None
    may = actor.organization_is_active and (actor.kind is ActorKind.SERVICE_KEY or actor.is_administrator)
    if not may or actor.organization_id is None:
        raise NotFound("account")
    within: UUID = actor.organization_id
    is_known = await membership_queries.open_of(ctx, account_id, within) is not None
    # Who is no member, but was granted something here, is known, too; whoever else is as unknown as nobody.
    if not is_known and not await listing.everything(ctx, account_id, within, listing.NOTHING_BEFORE, 1):
        raise NotFound("account")
    return account_id, within


async def what(
    ctx: Context, account_id: UUID, within: UUID | None, after: Reachable, most: int
) -> Part[Reachable, Reached]:
    """Return what an account can reach now, after one of them. (`whose` has decided that one may ask.)"""
    listed = await listing.everything(ctx, account_id, within, after, most)
    on = [(account_id, Resource(one.kind, one.id, one.type, one.fhir_server_id)) for one in listed]
    allowed = await _allowed(ctx, on, Level.CONNECTED, within)
    told = await given(ctx, [one.by.grant_id for one in allowed if one is not None])
    ids = [UUID(one.id) for one in listed if one.type]
    external = dict(await _EXTERNAL_IDS.all(ctx.tx, record_ids=ids))
    rows = {
        one: Reached(
            one,
            external.get(UUID(one.id)) if one.type else None,
            best.level,
            path(SubjectKind.ACCOUNT, account_id, best.by, told[best.by.grant_id]),
        )
        for one, best in zip(listed, allowed, strict=True)
        if best is not None
    }
    return Part(listed, rows)


async def _allowed(
    ctx: Context, asked: Sequence[tuple[UUID, Resource]], needed: Level, told_to: UUID | None
) -> list[Allowed | None]:
    questions = [
        Question(SubjectKind.ACCOUNT, subject, needed, on.kind, on.id, on.type, on.fhir_server_id, told_to)
        for subject, on in asked
    ]
    decisions = await check_all(ctx, questions)
    return [one if isinstance(one, Allowed) else None for one in decisions]
