"""What can happen to a team: it is made and renamed, people come and go, it gets another owner, and it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
from sqlalchemy import Uuid, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import TIMESTAMP

from hospitium.engine import events
from hospitium.engine.accounts.emails import canonical_email
from hospitium.engine.errors import Forbidden, Invalid, NameTaken, NotFound, NotSignedIn, WrongState
from hospitium.engine.events import EventKind
from hospitium.engine.memberships import queries as membership_queries
from hospitium.engine.permissions import Permission, organization_of, require
from hospitium.engine.shares import ending as shares
from hospitium.engine.teams import queries
from hospitium.engine.teams.record import (
    TEAM_COLUMNS,
    TEAM_MEMBERSHIP_COLUMNS,
    Team,
    TeamMembership,
    team_memberships,
    teams,
)
from hospitium.engine.text import line, search_key
from hospitium.storage.statements import Query, Statement, insert_into, struct

if TYPE_CHECKING:
    from uuid import UUID

    from hospitium.engine.context import Context
    from hospitium.engine.teams.queries import TeamView

_NOW = bindparam("now", type_=TIMESTAMP(timezone=True))
_m = team_memberships.c
_INSERT = Query(
    insert_into(teams, "id", "organization_id", "name", "name_key", "created_at").returning(*TEAM_COLUMNS),
    struct(Team),
)
_RENAME = Query(
    update(teams)
    .where(teams.c.id == bindparam("team_id"), teams.c.ended_at.is_(None))
    .values(name=bindparam("new_name"), name_key=bindparam("new_name_key"), version=teams.c.version + 1)
    .returning(*TEAM_COLUMNS),
    struct(Team),
)
_END = Query(
    update(teams)
    .where(teams.c.id == bindparam("team_id"), teams.c.ended_at.is_(None))
    .values(ended_at=func.greatest(_NOW, teams.c.created_at), version=teams.c.version + 1)
    .returning(*TEAM_COLUMNS),
    struct(Team),
)
_JOIN = Query(
    insert_into(team_memberships, *TeamMembership.__struct_fields__).returning(*TEAM_MEMBERSHIP_COLUMNS),
    struct(TeamMembership),
)
# Never before it began: clocks differ, and locks are waited for.
_LEAVES = {"ends_at": func.greatest(_NOW, _m.starts_at)}
_LEAVE = Query(
    update(team_memberships)
    .where(_m.team_id == bindparam("of_team"), _m.account_id == bindparam("of_account"), _m.ends_at.is_(None))
    .values(_LEAVES)
    .returning(*TEAM_MEMBERSHIP_COLUMNS),
    struct(TeamMembership),
)
_LEAVE_ALL_OF_TEAM = Statement(
    update(team_memberships).where(_m.team_id == bindparam("of_team"), _m.ends_at.is_(None)).values(_LEAVES)
)
_LEAVE_ORGANIZATION = Query(
    update(team_memberships)
    .where(
        _m.account_id == bindparam("of_account"),
        _m.ends_at.is_(None),
        _m.team_id.in_(
            select(teams.c.id).where(teams.c.organization_id == bindparam("of_organization", type_=Uuid))
        ),
    )
    .values(_LEAVES)
    .returning(*TEAM_MEMBERSHIP_COLUMNS),
    struct(TeamMembership),
)


async def create(ctx: Context, name: str) -> TeamView:
    """Make a team in the actor's organization; who does owns it. Raises Invalid, NameTaken."""
    require(ctx.actor, Permission.CREATE_TEAM)
    if ctx.actor.account_id is None:
        raise NotSignedIn
    made = await make(ctx, organization_of(ctx.actor), name)
    await join(ctx, made, ctx.actor.account_id, is_owner=True)
    return await queries.find(ctx, made.id)


async def import_one(
    ctx: Context, organization_id: UUID, name: str, owner: UUID, members: list[UUID], given_id: UUID | None
) -> Team:
    """Write down a team from elsewhere. For the operator. Raises Invalid (`owner`, `members[0]` …), NameTaken."""
    require(ctx.actor, Permission.IMPORT_WORLD)
    made = await make(ctx, organization_id, name, given_id)
    others = [(f"members[{place}]", one) for place, one in enumerate(members) if one != owner]
    for field, account_id in [("owner", owner), *others]:
        try:
            await join(ctx, made, account_id, is_owner=account_id == owner)
        except NotFound:
            raise Invalid(field, "is no member of the organization") from None
        except WrongState:
            raise Invalid(field, "is named twice") from None
    return made


async def rename(ctx: Context, team_id: UUID, name: str) -> TeamView:
    """Give a team another name. For its owner and administrators. Raises NotFound, Forbidden, Invalid, NameTaken."""
    require(ctx.actor, Permission.CHANGE_TEAM)
    name = line("name", name)
    team = await _kept_by_actor(ctx, team_id)
    try:
        renamed = await _RENAME.first(ctx.tx, team_id=team.id, new_name=name, new_name_key=search_key(name))
    except asyncpg.UniqueViolationError:
        raise NameTaken("name") from None
    if renamed is None:
        raise NotFound("team")
    await _tell(ctx, EventKind.TEAM_RENAMED, renamed)
    return await queries.find(ctx, team_id)


async def add_member(ctx: Context, team_id: UUID, account_id: UUID) -> TeamMembership:
    """Add a member of the organization to a team. For its owner and administrators.

    What the team was granted he may do from now on, however much it is: no grant is touched. Raises NotFound, Forbidden,
    WrongState (he is in it already).
    """
    require(ctx.actor, Permission.CHANGE_TEAM)
    team = await _kept_by_actor(ctx, team_id)
    return await join(ctx, team, account_id)


async def add_member_by_email(ctx: Context, team_id: UUID, email: str) -> TeamMembership:
    """Add the member of the organization who has an address; whoever may not add him isn't told whether there is one.

    Raises NotFound, Forbidden, Invalid, WrongState.
    """
    require(ctx.actor, Permission.CHANGE_TEAM)
    team = await _kept_by_actor(ctx, team_id)
    email_key = canonical_email("email", email)
    account_id = await membership_queries.id_by_email(ctx, team.organization_id, email_key)
    return await join(ctx, team, account_id)


async def remove_member(ctx: Context, team_id: UUID, account_id: UUID) -> TeamMembership:
    """Take somebody out of a team, or leave it oneself; takes effect on the next request. An owner gives the team away first.

    Raises NotFound, Forbidden, WrongState.
    """
    require(ctx.actor, Permission.LEAVE_TEAM)
    if account_id == ctx.actor.account_id:
        await queries.find(ctx, team_id)
        team = await queries.lock(ctx, team_id)
    else:
        team = await _kept_by_actor(ctx, team_id)
    present = await queries.open_of(ctx, team_id, account_id)
    if present is None:
        raise NotFound("member")
    if present.is_owner:
        raise WrongState("The owner can't leave the team; give it to somebody else first")
    return await _leave(ctx, team, account_id)


async def give_away(ctx: Context, team_id: UUID, account_id: UUID) -> TeamView:
    """Make another of its members the owner of a team; the one before stays in it. For its owner and administrators.

    Raises NotFound, Forbidden, WrongState (he owns it already).
    """
    require(ctx.actor, Permission.CHANGE_TEAM)
    team = await _kept_by_actor(ctx, team_id)
    present = await queries.open_of(ctx, team_id, account_id)
    if present is None:
        raise NotFound("member")
    if present.is_owner:
        raise WrongState("This account owns the team already")
    before = await queries.owner_of(ctx, team_id)
    await _leave(ctx, team, account_id)
    if before is not None:
        await _leave(ctx, team, before)
        await join(ctx, team, before)
    await join(ctx, team, account_id, is_owner=True)
    return await queries.find(ctx, team_id)


async def end(ctx: Context, team_id: UUID) -> None:
    """End a team: nobody is in it any more, and what was shared with it is left. For its owner and administrators.

    Raises NotFound, Forbidden.
    """
    require(ctx.actor, Permission.CHANGE_TEAM)
    team = await _kept_by_actor(ctx, team_id)
    await end_again(ctx, team)


async def end_again(ctx: Context, team: Team) -> None:
    """End a team whose row is locked. Called by actions that have asked for their own permission. Raises NotFound."""
    ended = await _END.first(ctx.tx, team_id=team.id, now=ctx.now)
    if ended is None:
        raise NotFound("team")
    await _LEAVE_ALL_OF_TEAM.run(ctx.tx, of_team=team.id, now=ctx.now)
    await shares.end_all_with_team(ctx, team.id)
    await _tell(ctx, EventKind.TEAM_ENDED, ended)


async def leave_all_in(ctx: Context, account_id: UUID, organization_id: UUID) -> None:
    """Take an account out of every team of an organization it is no longer a member of. Called by what ends the membership."""
    left = await _LEAVE_ORGANIZATION.all(
        ctx.tx, of_account=account_id, of_organization=organization_id, now=ctx.now
    )
    for one in left:
        await _tell_of(ctx, EventKind.TEAM_LEFT, one, organization_id)


async def leave_again(ctx: Context, team_id: UUID, account_id: UUID) -> None:
    """Take an account out of a team, whatever it is there. For what a restore takes away again. Raises NotFound."""
    require(ctx.actor, Permission.RESTORE)
    team = await queries.lock(ctx, team_id)
    if await queries.open_of(ctx, team_id, account_id) is None:
        raise NotFound("member")
    await _leave(ctx, team, account_id)


async def make(ctx: Context, organization_id: UUID, name: str, given_id: UUID | None = None) -> Team:
    """Make a team without anybody in it. Called by actions that have asked for their own permission. Raises Invalid, NameTaken."""
    name = line("name", name)
    try:
        made = await _INSERT.first(
            ctx.tx,
            id=given_id or ctx.new_id(),
            organization_id=organization_id,
            name=name,
            name_key=search_key(name),
            created_at=ctx.now,
        )
    except asyncpg.UniqueViolationError as taken:
        raise NameTaken("id" if "pkey" in str(taken.constraint_name) else "name") from None
    assert made is not None  # an INSERT … RETURNING without conflict clause has a row  # noqa: S101
    await _tell(ctx, EventKind.TEAM_CREATED, made)
    return made


async def join(ctx: Context, team: Team, account_id: UUID, *, is_owner: bool = False) -> TeamMembership:
    """Begin a membership of a team. Called by actions that have asked for their own permission.

    Raises NotFound (no member of the organization), WrongState.
    """
    # Held until the end of this deed: whoever ends the membership meanwhile waits, and finds the team's.
    if not await membership_queries.hold(ctx, account_id, team.organization_id):
        raise NotFound("member")
    try:
        made = await _JOIN.first(
            ctx.tx,
            id=ctx.new_id(),
            team_id=team.id,
            account_id=account_id,
            is_owner=is_owner,
            starts_at=ctx.now,
            ends_at=None,
        )
    except asyncpg.UniqueViolationError:
        raise WrongState("The account is in this team already") from None
    assert made is not None  # an INSERT … RETURNING without conflict clause has a row  # noqa: S101
    await _tell_of(ctx, EventKind.TEAM_JOINED, made, team.organization_id)
    return made


async def _kept_by_actor(ctx: Context, team_id: UUID) -> Team:
    """Lock a team that the actor owns, or whose organization he administers. Raises NotFound, Forbidden."""
    await queries.find(ctx, team_id)
    team = await queries.lock(ctx, team_id)
    seen = await queries.find(ctx, team_id)
    if seen.owner_id != ctx.actor.account_id and queries.administered_by(ctx) != team.organization_id:
        raise Forbidden("Only the owner of a team, or an administrator of its organization, may change it")
    return team


async def _leave(ctx: Context, team: Team, account_id: UUID) -> TeamMembership:
    left = await _LEAVE.first(ctx.tx, of_team=team.id, of_account=account_id, now=ctx.now)
    if left is None:
        raise NotFound("member")
    await _tell_of(ctx, EventKind.TEAM_LEFT, left, team.organization_id)
    return left


async def _tell(ctx: Context, kind: EventKind, team: Team) -> None:
    await events.record(
        ctx,
        kind,
        subject=("team", team.id),
        organizations=[team.organization_id],
        organization=team.organization_id,
        version=team.version,
    )


async def _tell_of(ctx: Context, kind: EventKind, membership: TeamMembership, organization_id: UUID) -> None:
    await events.record(
        ctx,
        kind,
        subject=("team", membership.team_id),
        organizations=[organization_id],
        accounts=[membership.account_id],
        account=membership.account_id,
        organization=organization_id,
        owner=membership.is_owner,
    )
