"""What can happen to a membership: it starts, and it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
from sqlalchemy import bindparam, func, update
from sqlalchemy.dialects.postgresql import TIMESTAMP

from hospitium.engine import events
from hospitium.engine.accounts import external_ids, queries as account_queries
from hospitium.engine.actor import Role
from hospitium.engine.errors import LastAdministrator, NotFound, NotSignedIn, WrongState
from hospitium.engine.events import EventKind
from hospitium.engine.grants import on_servers as grants
from hospitium.engine.memberships import queries
from hospitium.engine.memberships.record import MEMBERSHIP_COLUMNS, Membership, memberships
from hospitium.engine.organizations import queries as organization_queries
from hospitium.engine.permissions import Permission, organization_of, require
from hospitium.engine.teams import actions as teams
from hospitium.storage.statements import Query, insert_into, struct

if TYPE_CHECKING:
    from uuid import UUID

    from hospitium.engine.context import Context

_INSERT = Query(
    insert_into(memberships, *Membership.__struct_fields__).returning(*MEMBERSHIP_COLUMNS), struct(Membership)
)
_END = Query(
    update(memberships)
    .where(
        memberships.c.account_id == bindparam("of_account"),
        memberships.c.organization_id == bindparam("of_organization"),
        memberships.c.ends_at.is_(None),
    )
    # Never before it began, though the operator's clock may be behind the server's.
    .values(ends_at=func.greatest(bindparam("now", type_=TIMESTAMP(timezone=True)), memberships.c.starts_at))
    .returning(*MEMBERSHIP_COLUMNS),
    struct(Membership),
)


async def start(ctx: Context, account_id: UUID, organization_id: UUID, role: Role) -> Membership:
    """Begin a membership. Called by actions that have asked for their own permission. Raises WrongState, NotFound."""
    # Held until the end of this deed: whoever deletes the account meanwhile waits, and finds the membership.
    if await account_queries.hold(ctx, account_id) is None:
        raise NotFound("account")
    try:
        made = await _INSERT.first(
            ctx.tx,
            id=ctx.new_id(),
            account_id=account_id,
            organization_id=organization_id,
            role=role.value,
            starts_at=ctx.now,
            ends_at=None,
        )
    except asyncpg.UniqueViolationError:
        raise WrongState("The account is a member of this organization already") from None
    assert made is not None  # an INSERT … RETURNING without conflict clause has a row  # noqa: S101
    await _tell(ctx, EventKind.MEMBERSHIP_STARTED, made)
    return made


async def add(ctx: Context, account_id: UUID, organization_id: UUID, role: Role) -> Membership:
    """Make an account a member of an organization. For the operator. Raises WrongState."""
    require(ctx.actor, Permission.KEEP_ACCOUNTS)
    return await start(ctx, account_id, organization_id, role)


async def end(ctx: Context, account_id: UUID, organization_id: UUID) -> Membership:
    """End a membership; takes effect on the account's next request. For the operator. Raises NotFound."""
    require(ctx.actor, Permission.KEEP_ACCOUNTS)
    ended = await _end(ctx, account_id, organization_id)
    if ended is None:
        raise NotFound("membership")
    return ended


async def change_role(ctx: Context, account_id: UUID, role: Role) -> Membership:
    """Give a member of the actor's organization another role: one membership ends, another begins in the same instant.

    Raises NotFound, WrongState (that is the role already), LastAdministrator.
    """
    require(ctx.actor, Permission.CHANGE_MEMBERS)
    organization_id = await _lock_own_organization(ctx)
    present = await queries.open_of(ctx, account_id, organization_id)
    if present is None:
        raise NotFound("member")
    if present.role is role:
        raise WrongState(f"The role is {role} already")
    if present.role is Role.ADMIN:
        await _spare_the_last_administrator(ctx, account_id, organization_id)
    if await _end(ctx, account_id, organization_id, stays=True) is None:
        raise NotFound("member")
    return await start(ctx, account_id, organization_id, role)


async def change_external_id(ctx: Context, account_id: UUID, external_id: str | None) -> Membership:
    """Have the applications of the actor's organization know a member by another id; None: by none of its own.

    Raises NotFound, Invalid, NameTaken (`externalId`).
    """
    require(ctx.actor, Permission.CHANGE_MEMBERS)
    organization_id = await _lock_own_organization(ctx)
    present = await _held(ctx, account_id, organization_id)
    if present is None:
        raise NotFound("member")
    if external_id is None:
        is_new = await external_ids.take_away(ctx, account_id, organization_id)
    else:
        is_new = await external_ids.give(ctx, account_id, organization_id, external_id)
    if is_new:
        await _tell(ctx, EventKind.MEMBERSHIP_CHANGED, present)
    return present


async def import_external_id(ctx: Context, account_id: UUID, organization_id: UUID, external_id: str) -> None:
    """Have an organization's applications know a member by an id, if they know it by none; for the world loader.

    Raises NotFound, Invalid, NameTaken (`externalId`).
    """
    require(ctx.actor, Permission.IMPORT_WORLD)
    present = await _held(ctx, account_id, organization_id)
    if present is None:
        raise NotFound("member")
    if await external_ids.give(ctx, account_id, organization_id, external_id, only_the_first=True):
        await _tell(ctx, EventKind.MEMBERSHIP_CHANGED, present)


async def forget_external_id(ctx: Context, account_id: UUID, organization_id: UUID) -> None:
    """Have an organization's applications know an account by no id, after a restore. For the operator. Raises NotFound."""
    require(ctx.actor, Permission.KEEP_ACCOUNTS)
    present = await _held(ctx, account_id, organization_id)
    if present is None or not await external_ids.take_away(ctx, account_id, organization_id):
        raise NotFound("member")
    await _tell(ctx, EventKind.MEMBERSHIP_CHANGED, present)


async def remove(ctx: Context, account_id: UUID) -> Membership:
    """End a membership of the actor's organization; takes effect on the account's next request.

    Raises NotFound, LastAdministrator.
    """
    require(ctx.actor, Permission.CHANGE_MEMBERS)
    organization_id = await _lock_own_organization(ctx)
    return await _end_if_not_last(ctx, account_id, organization_id, "member")


async def leave(ctx: Context, organization_id: UUID) -> Membership:
    """End the actor's own membership of an organization. Raises NotFound, LastAdministrator."""
    require(ctx.actor, Permission.LEAVE_ORGANIZATION)
    if ctx.actor.account_id is None:
        raise NotSignedIn
    await organization_queries.lock(ctx, organization_id)
    return await _end_if_not_last(ctx, ctx.actor.account_id, organization_id, "organization")


async def end_all_of(ctx: Context, account_id: UUID, *, even_the_last: bool = False) -> None:
    """End every membership of an account that goes. Called by actions that have asked for their own permission.

    Raises LastAdministrator, unless `even_the_last`.
    """
    of_account = await queries.of_account(ctx, account_id)
    await organization_queries.lock(ctx, *(one.organization_id for one in of_account))
    for belonging in of_account:
        if even_the_last:
            await _end(ctx, account_id, belonging.organization_id)
        else:
            await _end_if_not_last(ctx, account_id, belonging.organization_id, "organization")


async def _lock_own_organization(ctx: Context) -> UUID:
    """Lock the actor's organization: of two administrators who remove each other the second finds himself alone."""
    organization_id = organization_of(ctx.actor)
    await organization_queries.lock(ctx, organization_id)
    return organization_id


async def _held(ctx: Context, account_id: UUID, organization_id: UUID) -> Membership | None:
    """Return the membership that is open, and keep it so until the end of this deed: whoever ends it waits, and finds what was given."""
    if not await queries.hold(ctx, account_id, organization_id):
        return None
    return await queries.open_of(ctx, account_id, organization_id)


async def _end_if_not_last(ctx: Context, account_id: UUID, organization_id: UUID, what: str) -> Membership:
    present = await queries.open_of(ctx, account_id, organization_id)
    if present is not None and present.role is Role.ADMIN:
        await _spare_the_last_administrator(ctx, account_id, organization_id)
    ended = await _end(ctx, account_id, organization_id)
    if ended is None:
        raise NotFound(what)
    return ended


async def _spare_the_last_administrator(ctx: Context, account_id: UUID, organization_id: UUID) -> None:
    if not await queries.has_another_administrator(ctx, organization_id, account_id):
        raise LastAdministrator


async def _end(
    ctx: Context, account_id: UUID, organization_id: UUID, *, stays: bool = False
) -> Membership | None:
    """End the membership that is open, if one is; and with it, unless the account `stays`, those of the organization's teams, and the
    id by which its applications know the account."""
    ended = await _END.first(ctx.tx, of_account=account_id, of_organization=organization_id, now=ctx.now)
    if ended is None:
        return None
    # What he was granted on its FHIR servers, he was granted as a member.
    granted = [] if stays else await grants.end_all_of_member(ctx, account_id, organization_id)
    await _tell(ctx, EventKind.MEMBERSHIP_ENDED, ended, grants=granted or None)
    if not stays:
        await teams.leave_all_in(ctx, account_id, organization_id)
        await external_ids.take_away(ctx, account_id, organization_id)
    return ended


async def _tell(
    ctx: Context, kind: EventKind, membership: Membership, *, grants: list[UUID] | None = None
) -> None:
    await events.record(
        ctx,
        kind,
        subject=("membership", membership.id),
        organizations=[membership.organization_id],
        accounts=[membership.account_id],
        account=membership.account_id,
        organization=membership.organization_id,
        role=membership.role,
        grants=grants,
    )
