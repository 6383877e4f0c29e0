"""What a restore does to deliveries: none that waited in the backup is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, update

from hospitium.engine.deliveries.record import DeliveryStatus, deliveries
from hospitium.storage.statements import Statement, exactly

if TYPE_CHECKING:
    from hospitium.engine.context import Context

_VOID_ALL = Statement(
    update(deliveries)
    .where(exactly(deliveries.c.status, DeliveryStatus.WAITING))
    .values(status=DeliveryStatus.VOID.value, ended_at=bindparam("now"))
)


async def void_all(ctx: Context) -> int:
    """Give up every waiting delivery: it was sent since the backup, or is about what is over. Return how many."""
    return await _VOID_ALL.run(ctx.tx, now=ctx.now)
