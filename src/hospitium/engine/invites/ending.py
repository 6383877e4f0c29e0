"""How invites end together, with what they rest on: a FHIR server that is removed, an account whose mailbox is another's.

Steps of other deeds, which have asked for their own permission.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hospitium.engine.errors import NotFound
from hospitium.engine.events import EventKind
from hospitium.engine.grants import on_servers as grants
from hospitium.engine.invites import queries
from hospitium.engine.invites.lifecycle import LIFECYCLE
from hospitium.engine.invites.telling import tell_all

if TYPE_CHECKING:
    from uuid import UUID

    from hospitium.engine.context import Context


async def withdraw_all_of_server(ctx: Context, server_id: UUID) -> None:
    """Withdraw every open invite of a FHIR server, which is locked."""
    ended = await LIFECYCLE.move_all(ctx, "withdraw", await queries.open_of_server(ctx, server_id))
    await tell_all(ctx, EventKind.INVITE_WITHDRAWN, ended)


async def undo_all_of(ctx: Context, account_id: UUID, *, even_accepted: bool) -> list[UUID]:
    """Undo the invites that are bound to an account, which is locked; return the grants that end with them.

    `even_accepted`: what it accepted, too, because its mailbox was somebody else's all the time (ruling 22); the clinic is told.
    """
    ids = await queries.ids_of_account(ctx, account_id, even_accepted=even_accepted)
    undone = await LIFECYCLE.move_all(ctx, "undo", ids)
    ended = await grants.end_all_caused_by_invites(ctx, [invite.id for invite in undone])
    await tell_all(ctx, EventKind.INVITE_UNDONE, undone)
    return ended


async def undo_again(ctx: Context, invite_id: UUID) -> None:
    """Undo an accepted invite that a trail says was undone, after a restore, and end its grant. For the operator. Raises NotFound."""
    undone = await LIFECYCLE.move(ctx, "undo", invite_id)
    if undone is None:
        raise NotFound("invite")
    await grants.end_all_caused_by_invites(ctx, [invite_id])
    await tell_all(ctx, EventKind.INVITE_UNDONE, [undone])
