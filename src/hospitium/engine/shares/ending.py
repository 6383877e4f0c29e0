"""How shares end together, with what they rest on: a record, an account, a team, or the grant they were made under (ruling 14a).

Steps of other deeds, which have asked for their own permission, and hold the locks on what is shared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hospitium.engine.grants import actions as grants
from hospitium.engine.shares import contexts, queries
from hospitium.engine.shares.lifecycle import LIFECYCLE
from hospitium.engine.shares.record import PENDING
from hospitium.engine.shares.telling import ENDINGS, tell_all

if TYPE_CHECKING:
    from uuid import UUID

    from hospitium.engine.context import Context
    from hospitium.engine.shares.queries import LiveShare
    from hospitium.engine.shares.record import Share

_HOLDERS = ("withdraw", "revoke")
_TARGETS = ("decline", "leave")


async def end_all_on(ctx: Context, context_ids: list[UUID]) -> None:
    """End every share of some records or accounts, which are locked."""
    if context_ids:
        await _end(ctx, await queries.live_on(ctx, context_ids), *_HOLDERS)


async def end_all_with_team(ctx: Context, team_id: UUID) -> None:
    """End every share with a team, which is locked, and what was made under them."""
    live = await queries.live_with_team(ctx, team_id)
    await contexts.lock_all(ctx, list({one.context_id for one in live}))
    await end_with_those_below(ctx, await queries.live_with_team(ctx, team_id), *_TARGETS)


async def end_all_to(ctx: Context, account_id: UUID) -> None:
    """End every share with an account, which is locked and goes, and what was made under them."""
    live = await queries.live_to_account(ctx, account_id)
    await contexts.lock_all(ctx, list({one.context_id for one in live}))
    await end_with_those_below(ctx, await queries.live_to_account(ctx, account_id), *_TARGETS)


async def end_with_those_below(
    ctx: Context, live: list[LiveShare], of_pending: str, of_active: str
) -> list[Share]:
    """End shares by these moves, then what was made under their grants, and so on; return the first ones.

    A share is lower than what it was made under, and who shares has 5 at least: it goes no deeper than three.
    """
    ended, grant_ids = await _end(ctx, live, of_pending, of_active)
    await end_under(ctx, grant_ids)
    return ended


async def end_under(ctx: Context, grant_ids: list[UUID], *, unless_below: int | None = None) -> list[UUID]:
    """End what was made under some grants that have ended, and what was made under that; return the grants that ended with it.

    `unless_below`: another grant takes their place, of this level; what it could give stays.
    """
    ended: list[UUID] = []
    while grant_ids:
        live = await queries.live_under(ctx, grant_ids)
        if unless_below is not None:
            live, unless_below = [one for one in live if one.level >= unless_below], None
        _, grant_ids = await _end(ctx, live, *_HOLDERS)
        ended += grant_ids
    return ended


async def _end(
    ctx: Context, live: list[LiveShare], of_pending: str, of_active: str
) -> tuple[list[Share], list[UUID]]:
    """Make the move that fits of each; return the shares that ended, and the grants that ended with them."""
    pending = [one.id for one in live if one.status is PENDING]
    active = [one.id for one in live if one.status is not PENDING]
    ended = [
        (ENDINGS[verb], await LIFECYCLE.move_all(ctx, verb, ids))
        for verb, ids in ((of_pending, pending), (of_active, active))
    ]
    grant_ids: dict[UUID, list[UUID]] = {}
    for grant_id, share_id in await grants.end_caused_by_shares(ctx, active) if active else ():
        grant_ids.setdefault(share_id, []).append(grant_id)
    for kind, those in ended:
        await tell_all(ctx, kind, those, grant_ids)
    return [share for _, those in ended for share in those], [
        one for ids in grant_ids.values() for one in ids
    ]
