"""Which teams: an account sees those it is in, and an administrator all of the own organization."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
from sqlalchemy import Boolean, Text, Uuid, bindparam, exists, func, or_, select
from sqlalchemy.dialects.postgresql import ARRAY

from hospitium.engine.accounts.record import accounts
from hospitium.engine.errors import NotFound, NotSignedIn
from hospitium.engine.permissions import Permission, require
from hospitium.engine.teams.record import (
    TEAM_COLUMNS,
    TEAM_MEMBERSHIP_COLUMNS,
    Team,
    TeamMembership,
    team_memberships,
    teams,
)
from hospitium.storage.statements import Query, pair, scalar, struct

if TYPE_CHECKING:
    from hospitium.engine.context import Context

_t, _m = teams.c, team_memberships.c
_is_open = _m.ends_at.is_(None)


class TeamView(msgspec.Struct, frozen=True):
    """A team as somebody sees it: who owns it now (None: nobody), and whether he is in it himself."""

    id: UUID
    organization_id: UUID
    name: str
    created_at: datetime
    owner_id: UUID | None
    is_member: bool


class TeamMember(msgspec.Struct, frozen=True):
    """An account as its team sees it."""

    account_id: UUID
    first_name: str | None
    last_name: str | None
    is_owner: bool
    starts_at: datetime


_ME = bindparam("account_id", type_=Uuid)
_owner = (
    select(_m.account_id).where(_m.team_id == _t.id, _m.is_owner, _is_open).correlate(teams).scalar_subquery()
)
_is_in = exists().where(_m.team_id == _t.id, _m.account_id == _ME, _is_open).correlate(teams)
_VIEW_COLUMNS: tuple[Any, ...] = (
    _t.id,
    _t.organization_id,
    _t.name,
    _t.created_at,
    _owner.label("team__owner_id"),
    _is_in.label("team__is_member"),
)
_visible = (_t.ended_at.is_(None), or_(_is_in, _t.organization_id == bindparam("administered", type_=Uuid)))
_ONE = Query(
    select(*_VIEW_COLUMNS).where(_t.id == bindparam("team_id"), *_visible),
    struct(TeamView),
)
_SEEN = Query(
    select(*_VIEW_COLUMNS)
    .where(*_visible, _t.id > bindparam("after"))
    .order_by(_t.id)
    .limit(bindparam("limit")),
    struct(TeamView),
)
_LOCK = Query(
    select(*TEAM_COLUMNS)
    .where(_t.id == bindparam("team_id"), _t.ended_at.is_(None))
    .with_for_update(key_share=True),
    struct(Team),
)
_HOLD = Query(
    select(*TEAM_COLUMNS)
    .where(_t.id == bindparam("team_id"), _t.ended_at.is_(None))
    .with_for_update(read=True),
    struct(Team),
)
_OPEN_OF = Query(
    select(*TEAM_MEMBERSHIP_COLUMNS).where(
        _m.team_id == bindparam("team_id"), _m.account_id == _ME, _is_open
    ),
    struct(TeamMembership),
)
_MEMBERS = Query(
    select(_m.account_id, accounts.c.first_name, accounts.c.last_name, _m.is_owner, _m.starts_at)
    .join(accounts, accounts.c.id == _m.account_id)
    .where(_m.team_id == bindparam("team_id"), _is_open, _m.account_id > bindparam("after"))
    .order_by(_m.account_id)
    .limit(bindparam("limit")),
    struct(TeamMember),
)
_OWNER = Query(
    select(_m.account_id).where(_m.team_id == bindparam("team_id"), _m.is_owner, _is_open),
    scalar("account_id"),
)
_NAME = Query(select(_t.name).where(_t.id == bindparam("team_id"), _t.ended_at.is_(None)), scalar("name"))
_KNOWN = Query(
    select(_t.id).where(
        _t.id == func.any(bindparam("team_ids", type_=ARRAY(Uuid))),
        _t.organization_id == bindparam("organization_id"),
        _t.ended_at.is_(None),
        or_(_is_in, bindparam("belongs", type_=Boolean)),
    ),
    scalar("id"),
)
_IDS_BY_NAME = Query(
    select(_t.name_key, _t.id).where(
        _t.organization_id == bindparam("organization_id"),
        _t.name_key == func.any(bindparam("keys", type_=ARRAY(Text))),
        _t.ended_at.is_(None),
    ),
    pair(scalar("name_key"), scalar("id")),
)


def administered_by(ctx: Context) -> UUID | None:
    """Return the organization whose teams the actor may keep, though he isn't in them."""
    actor = ctx.actor
    return actor.organization_id if actor.is_administrator and actor.organization_is_active else None


async def find(ctx: Context, team_id: UUID) -> TeamView:
    """Return a team the actor may see; NotFound otherwise."""
    found = await _ONE.first(
        ctx.tx, team_id=team_id, account_id=ctx.actor.account_id, administered=administered_by(ctx)
    )
    if found is None:
        raise NotFound("team")
    return found


async def seen(ctx: Context, after: UUID, limit: int) -> list[TeamView]:
    """Return teams the actor may see, in the order of their ids, after one of them."""
    require(ctx.actor, Permission.SEE_TEAMS)
    if ctx.actor.account_id is None:
        raise NotSignedIn
    return await _SEEN.all(
        ctx.tx,
        account_id=ctx.actor.account_id,
        administered=administered_by(ctx),
        after=after,
        limit=limit,
    )


async def members(ctx: Context, team_id: UUID, after: UUID, limit: int) -> list[TeamMember]:
    """Return who is in a team the actor may see, in the order of the accounts' ids. Raises NotFound."""
    require(ctx.actor, Permission.SEE_TEAMS)
    await find(ctx, team_id)
    return await _MEMBERS.all(ctx.tx, team_id=team_id, after=after, limit=limit)


async def lock(ctx: Context, team_id: UUID) -> Team:
    """Lock a team before it is changed. Raises NotFound."""
    found = await _LOCK.first(ctx.tx, team_id=team_id)
    if found is None:
        raise NotFound("team")
    return found


async def hold(ctx: Context, team_id: UUID) -> Team | None:
    """Keep a team from ending until this transaction ends; None if it has ended already."""
    return await _HOLD.first(ctx.tx, team_id=team_id)


async def open_of(ctx: Context, team_id: UUID, account_id: UUID) -> TeamMembership | None:
    """Return how an account is in a team now."""
    return await _OPEN_OF.first(ctx.tx, team_id=team_id, account_id=account_id)


async def owner_of(ctx: Context, team_id: UUID) -> UUID | None:
    """Return who owns a team now. For whoever accepts for it, and for mails to it."""
    found: UUID | None = await _OWNER.first(ctx.tx, team_id=team_id)
    return found


async def name_of(ctx: Context, team_id: UUID) -> str | None:
    """Return what a team is called. For whoever is asked to accept for it."""
    found: str | None = await _NAME.first(ctx.tx, team_id=team_id)
    return found


async def known(ctx: Context, team_ids: list[UUID], organization_id: UUID, *, belongs: bool) -> set[UUID]:
    """Return those of some teams of an organization that the actor may name: all if he `belongs` to it, else the ones he is in."""
    found = await _KNOWN.all(
        ctx.tx,
        team_ids=team_ids,
        organization_id=organization_id,
        account_id=ctx.actor.account_id,
        belongs=belongs,
    )
    return set(found)


async def ids_by_name(ctx: Context, organization_id: UUID, keys: list[str]) -> dict[str, UUID]:
    """Return the ids of those teams that exist among some names in their compared form. For the world loader."""
    return dict(await _IDS_BY_NAME.all(ctx.tx, organization_id=organization_id, keys=keys))
