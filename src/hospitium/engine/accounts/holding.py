"""Holding the account of whoever acts, for a deed that gives it something: what ends an account waits for it, or it for that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hospitium.engine.accounts import queries
from hospitium.engine.accounts.record import AccountStatus
from hospitium.engine.errors import AccountDisabled, NotSignedIn, SessionEnded
from hospitium.engine.sessions import queries as session_queries

if TYPE_CHECKING:
    from uuid import UUID

    from hospitium.engine.accounts.record import Account
    from hospitium.engine.context import Context


async def hold_actor(ctx: Context, also: tuple[UUID, ...] = ()) -> Account:
    """Keep the actor's account (and `also` others, in the order of their ids) as it is until this transaction ends; return it.

    Who waited for the lock may find that his session has ended meanwhile, because somebody else proved the mailbox: nothing is
    given to the account through that any more. Raises NotSignedIn, SessionEnded, AccountDisabled.
    """
    if ctx.actor.account_id is None:
        raise NotSignedIn
    held = await queries.hold_all(ctx, sorted({ctx.actor.account_id, *also}))
    own = next((account for account in held if account.id == ctx.actor.account_id), None)
    session_id = ctx.actor.session_id
    if own is None or (session_id is not None and not await session_queries.is_open(ctx, session_id)):
        raise SessionEnded
    if own.status is not AccountStatus.ACTIVE:
        raise AccountDisabled
    return own
