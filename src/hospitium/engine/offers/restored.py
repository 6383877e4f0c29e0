"""What a restore does to offers: all that were pending in the backup are withdrawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, func, update
from sqlalchemy.dialects.postgresql import TIMESTAMP

from hospitium.engine.offers.record import OfferStatus, offers
from hospitium.storage.statements import Statement, exactly

if TYPE_CHECKING:
    from hospitium.engine.context import Context

_VOID_ALL = Statement(
    update(offers)
    .where(exactly(offers.c.status, OfferStatus.PENDING))
    .values(
        status=OfferStatus.WITHDRAWN.value,
        ended_at=func.greatest(bindparam("now", type_=TIMESTAMP(timezone=True)), offers.c.offered_at),
    )
)


async def void_all(ctx: Context) -> int:
    """Withdraw every pending offer: nobody can say which were withdrawn since the backup. Return how many."""
    return await _VOID_ALL.run(ctx.tx, now=ctx.now)
