"""Teams: named groups of members of an organization, and who is in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from litestar import Request, Response
from msgspec import UNSET, UnsetType

from hospitium.doors import json_body
from hospitium.doors.answers import Answer, answer, once, send
from hospitium.doors.named_ids import body_id, path_id
from hospitium.doors.native.account_shapes import DONE
from hospitium.doors.native.wire import Body, Wire, page_of
from hospitium.doors.shapes import Email, Id, Instant, Line
from hospitium.doors.surroundings import surroundings
from hospitium.engine.errors import Invalid
from hospitium.engine.ids import FIRST_ID
from hospitium.engine.permissions import Permission
from hospitium.engine.teams import actions, queries

if TYPE_CHECKING:
    from hospitium.engine.context import Context
    from hospitium.engine.teams.queries import TeamMember, TeamView
    from hospitium.engine.teams.record import TeamMembership


class TeamBody(Body):
    """A new team."""

    name: Line


class TeamChanges(Body):
    """What to change: another name, another owner among its members, or both."""

    name: Line | UnsetType = UNSET
    owner_id: Id | UnsetType = UNSET


class TeamMemberBody(Body):
    """Whom to add: a member of the organization, by account or by e-mail address."""

    account_id: Id | None = None
    email: Email | None = None


class PrintedTeam(Wire):
    """A team; `ownerId` is null where nobody owns it, `isMember` says whether one is in it oneself."""

    id: UUID
    organization_id: UUID
    name: str
    owner_id: UUID | None
    is_member: bool
    created_at: Instant

    @classmethod
    def of(cls, team: TeamView) -> PrintedTeam:
        return cls(team.id, team.organization_id, team.name, team.owner_id, team.is_member, team.created_at)


class Teams(Wire):
    """Teams in the order of their ids; `next` is where the list goes on, null at its end."""

    teams: list[PrintedTeam]
    next: UUID | None


class PrintedTeamMember(Wire):
    """Somebody who is in a team."""

    account_id: UUID
    first_name: str | None
    last_name: str | None
    is_owner: bool
    since: Instant

    @classmethod
    def of(cls, member: TeamMember) -> PrintedTeamMember:
        return cls(member.account_id, member.first_name, member.last_name, member.is_owner, member.starts_at)


class TeamMembers(Wire):
    """Who is in a team, in the order of the accounts' ids; `next` is where the list goes on, null at its end."""

    members: list[PrintedTeamMember]
    next: UUID | None


class TeamJoined(Wire):
    """Who is in which team from now on."""

    team_id: UUID
    account_id: UUID
    since: Instant


async def create(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Make a team in the organization one acts for; one owns it, and is in it."""
    body = await request.body()

    async def deed(ctx: Context) -> Answer:
        given = json_body.read(body, request.headers.get("content-type"), TeamBody)

        async def do() -> Answer:
            return answer(201, PrintedTeam.of(await actions.create(ctx, given.name)))

        return await once(ctx, request, body, do)

    return send(await surroundings(request).work.perform(request, Permission.CREATE_TEAM, deed))


async def list_teams(request: Request[Any, Any, Any]) -> Response[bytes]:
    """List the teams one is in; an administrator, all of the organization he acts for."""

    async def deed(ctx: Context) -> Teams:
        after, limit = page_of(request)
        found = await queries.seen(ctx, after or FIRST_ID, limit + 1)
        page = [PrintedTeam.of(one) for one in found[:limit]]
        return Teams(page, page[-1].id if len(found) > limit else None)

    return send(answer(200, await surroundings(request).work.perform(request, Permission.SEE_TEAMS, deed)))


async def read(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Read a team."""
    team_id = path_id(request, "team_id", "team")
    found = await surroundings(request).work.perform(
        request, Permission.SEE_TEAMS, lambda ctx: queries.find(ctx, team_id), about=team_id
    )
    return send(answer(200, PrintedTeam.of(found)))


async def change(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Rename a team, or give it to another of its members."""
    team_id = path_id(request, "team_id", "team")
    body = await request.body()

    async def deed(ctx: Context) -> TeamView:
        given = json_body.read(body, request.headers.get("content-type"), TeamChanges)
        if given.name is not UNSET:
            await actions.rename(ctx, team_id, given.name)
        if given.owner_id is not UNSET:
            await actions.give_away(ctx, team_id, body_id("ownerId", given.owner_id))
        return await queries.find(ctx, team_id)

    changed = await surroundings(request).work.perform(request, Permission.CHANGE_TEAM, deed, about=team_id)
    return send(answer(200, PrintedTeam.of(changed)))


async def end(request: Request[Any, Any, Any]) -> Response[bytes]:
    """End a team: nobody is in it any more, and what was shared with it is left."""
    team_id = path_id(request, "team_id", "team")
    await surroundings(request).work.perform(
        request, Permission.CHANGE_TEAM, lambda ctx: actions.end(ctx, team_id), about=team_id
    )
    return send(answer(200, DONE))


async def list_members(request: Request[Any, Any, Any]) -> Response[bytes]:
    """List who is in a team."""
    team_id = path_id(request, "team_id", "team")

    async def deed(ctx: Context) -> TeamMembers:
        after, limit = page_of(request)
        found = await queries.members(ctx, team_id, after or FIRST_ID, limit + 1)
        page = [PrintedTeamMember.of(one) for one in found[:limit]]
        return TeamMembers(page, page[-1].account_id if len(found) > limit else None)

    listed = await surroundings(request).work.perform(request, Permission.SEE_TEAMS, deed, about=team_id)
    return send(answer(200, listed))


async def add_member(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Add a member of the organization to a team: what is shared with the team, he may from now on."""
    team_id = path_id(request, "team_id", "team")
    body = await request.body()

    async def deed(ctx: Context) -> Answer:
        given = json_body.read(body, request.headers.get("content-type"), TeamMemberBody)
        if (given.account_id is None) == (given.email is None):
            raise Invalid(
                "accountId",
                "or email is required" if given.email is None else "and email must not both be given",
            )

        async def do() -> Answer:
            joined = await _join(ctx, team_id, given)
            return answer(201, TeamJoined(team_id, joined.account_id, joined.starts_at))

        return await once(ctx, request, body, do)

    return send(
        await surroundings(request).work.perform(request, Permission.CHANGE_TEAM, deed, about=team_id)
    )


async def remove_member(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Take somebody out of a team, or leave it oneself; it counts from the next request on."""
    team_id = path_id(request, "team_id", "team")
    account_id = path_id(request, "account_id", "member")
    await surroundings(request).work.perform(
        request,
        Permission.LEAVE_TEAM,
        lambda ctx: actions.remove_member(ctx, team_id, account_id),
        about=team_id,
    )
    return send(answer(200, DONE))


async def _join(ctx: Context, team_id: UUID, given: TeamMemberBody) -> TeamMembership:
    if given.account_id is not None:
        return await actions.add_member(ctx, team_id, body_id("accountId", given.account_id))
    return await actions.add_member_by_email(ctx, team_id, given.email or "")
