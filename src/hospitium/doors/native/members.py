"""The members of one's organization: who they are, what they may do, and their going."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from litestar import Request, Response
from msgspec import UNSET, UnsetType

from hospitium.doors import json_body
from hospitium.doors.answers import answer, send
from hospitium.doors.named_ids import path_id
from hospitium.doors.native.account_shapes import DONE
from hospitium.doors.native.wire import Body, Wire, page_of
from hospitium.doors.shapes import Instant, Line
from hospitium.doors.surroundings import surroundings
from hospitium.engine.actor import Role
from hospitium.engine.errors import Invalid
from hospitium.engine.ids import FIRST_ID
from hospitium.engine.memberships import actions, queries
from hospitium.engine.permissions import Permission
from hospitium.engine.text import line

if TYPE_CHECKING:
    from hospitium.engine.context import Context
    from hospitium.engine.memberships.record import Membership


class MemberChanges(Body):
    """What to change of a member, one of the two at least: what he is, and by which id the organization's own applications know him
    (`externalId: null`: by none)."""

    role: Role | UnsetType = UNSET
    external_id: Line | None | UnsetType = UNSET


class PrintedMember(Wire):
    """A member, as an administrator sees him."""

    account_id: UUID
    email: str
    first_name: str | None
    last_name: str | None
    role: Role
    external_id: str | None
    since: Instant


class Members(Wire):
    """Members in the order of their ids; `next` is where the list goes on, null at its end."""

    members: list[PrintedMember]
    next: UUID | None


class PrintedMembership(Wire):
    """Who is a member, and as what; and by which id applications know him, if that was changed."""

    account_id: UUID
    role: Role
    external_id: str | None | UnsetType = UNSET


async def list_members(request: Request[Any, Any, Any]) -> Response[bytes]:
    """List the members of the organization one acts for."""

    async def deed(ctx: Context) -> Members:
        after, limit = page_of(request)
        found = await queries.members(ctx, after or FIRST_ID, limit + 1)
        page = [
            PrintedMember(
                one.account_id,
                one.email,
                one.first_name,
                one.last_name,
                one.role,
                one.external_id,
                one.starts_at,
            )
            for one in found[:limit]
        ]
        return Members(page, page[-1].account_id if len(found) > limit else None)

    return send(answer(200, await surroundings(request).work.perform(request, Permission.SEE_MEMBERS, deed)))


async def change(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Give a member another role, which counts from his next request on, or another external id."""
    account_id = path_id(request, "account_id", "member")
    given = json_body.read(await request.body(), request.headers.get("content-type"), MemberChanges)
    changed = await surroundings(request).work.perform(
        request, Permission.CHANGE_MEMBERS, lambda ctx: _change(ctx, account_id, given), about=account_id
    )
    # As it is kept.
    known_as = (
        line("externalId", given.external_id) if isinstance(given.external_id, str) else given.external_id
    )
    return send(answer(200, PrintedMembership(changed.account_id, changed.role, known_as)))


async def remove(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Remove a member; it counts from his next request on."""
    account_id = path_id(request, "account_id", "member")
    await surroundings(request).work.perform(
        request, Permission.CHANGE_MEMBERS, lambda ctx: actions.remove(ctx, account_id), about=account_id
    )
    return send(answer(200, DONE))


async def leave(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Leave an organization one is a member of."""
    organization_id = path_id(request, "organization_id", "organization")
    await surroundings(request).work.perform(
        request,
        Permission.LEAVE_ORGANIZATION,
        lambda ctx: actions.leave(ctx, organization_id),
        about=organization_id,
    )
    return send(answer(200, DONE))


async def _change(ctx: Context, account_id: UUID, given: MemberChanges) -> Membership:
    if given.role is UNSET and given.external_id is UNSET:
        raise Invalid("role", "or externalId is required")
    changed: Membership | None = None
    if given.role is not UNSET:
        changed = await actions.change_role(ctx, account_id, given.role)
    if given.external_id is not UNSET:
        changed = await actions.change_external_id(ctx, account_id, given.external_id)
    assert changed is not None  # one of the two was given  # noqa: S101
    return changed
