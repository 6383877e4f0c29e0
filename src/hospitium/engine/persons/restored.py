"""What a restore does to offers of persons: all that waited in the backup are withdrawn. Roles are held, as memberships are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, func, update
from sqlalchemy.dialects.postgresql import TIMESTAMP

from hospitium.engine.persons.record import PersonOfferStatus, person_offers
from hospitium.storage.statements import Statement, exactly

if TYPE_CHECKING:
    from hospitium.engine.context import Context

_VOID_ALL = Statement(
    update(person_offers)
    .where(exactly(person_offers.c.status, PersonOfferStatus.PENDING))
    .values(
        status=PersonOfferStatus.WITHDRAWN.value,
        ended_at=func.greatest(bindparam("now", type_=TIMESTAMP(timezone=True)), person_offers.c.offered_at),
    )
)


async def void_all(ctx: Context) -> int:
    """Withdraw every pending offer: nobody can say which were withdrawn since the backup. Return how many."""
    return await _VOID_ALL.run(ctx.tx, now=ctx.now)
