"""What a restore does to shares: all that waited in the backup are withdrawn. Those that were active have grants, which are held."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, func, update
from sqlalchemy.dialects.postgresql import TIMESTAMP

from hospitium.engine.shares.record import PENDING, ShareStatus, shares
from hospitium.storage.statements import Statement, exactly

if TYPE_CHECKING:
    from hospitium.engine.context import Context

_VOID_ALL = Statement(
    update(shares)
    .where(exactly(shares.c.status, PENDING))
    .values(
        status=ShareStatus.WITHDRAWN.value,
        ended_at=func.greatest(bindparam("now", type_=TIMESTAMP(timezone=True)), shares.c.created_at),
    )
)


async def void_all(ctx: Context) -> int:
    """Withdraw every pending share: nobody can say which were withdrawn since the backup. Return how many."""
    return await _VOID_ALL.run(ctx.tx, now=ctx.now)
