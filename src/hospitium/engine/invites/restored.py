"""What a restore does to invites: all that were open in the backup are withdrawn, and their codes forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, func, update
from sqlalchemy.dialects.postgresql import TIMESTAMP

from hospitium.engine.invites.lifecycle import FORGETS
from hospitium.engine.invites.record import OPEN, InviteStatus, invites
from hospitium.storage.statements import Statement, one_of

if TYPE_CHECKING:
    from hospitium.engine.context import Context

_VOID_ALL = Statement(
    update(invites)
    .where(one_of(invites.c.status, OPEN))
    .values(
        status=InviteStatus.WITHDRAWN.value,
        ended_at=func.greatest(bindparam("now", type_=TIMESTAMP(timezone=True)), invites.c.created_at),
        **FORGETS,
    )
)


async def void_all(ctx: Context) -> int:
    """Withdraw every open invite: nobody can say which were accepted, declined or withdrawn since the backup. Return how many."""
    return await _VOID_ALL.run(ctx.tx, now=ctx.now)
