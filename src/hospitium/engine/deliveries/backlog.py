"""How far behind the mails are, in numbers."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import bindparam, extract, func, select
from sqlalchemy.dialects.postgresql import TIMESTAMP

from hospitium.engine.deliveries.record import DeliveryStatus, deliveries
from hospitium.storage.statements import Query, exactly, struct

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hospitium.engine.context import Context

LATELY = timedelta(hours=1)
SENTENCES = {
    "deliveries_waiting": "Mails that wait to be sent.",
    "deliveries_oldest_waiting_seconds": "For how long the oldest of them has waited.",
    "deliveries_sent_last_hour": "Mails that a server took in the last hour.",
    "deliveries_failed_last_hour": "Mails that were given up in the last hour.",
}
_c = deliveries.c
_NOW = bindparam("now", type_=TIMESTAMP(timezone=True))


class Backlog(msgspec.Struct, frozen=True):
    """The numbers, by the names they are counted under."""

    deliveries_waiting: int
    deliveries_oldest_waiting_seconds: float
    deliveries_sent_last_hour: int
    deliveries_failed_last_hour: int


# Each part is answered by an index that holds no more rows than it asks for.
_waiting = (
    select(func.count().label("count"), func.min(_c.created_at).label("oldest"))
    .where(exactly(_c.status, DeliveryStatus.WAITING))
    .subquery("waiting")
)
_ended = (
    select(
        func.count().filter(exactly(_c.status, DeliveryStatus.SENT)).label("sent"),
        func.count().filter(exactly(_c.status, DeliveryStatus.FAILED)).label("failed"),
    )
    .where(_c.ended_at > bindparam("since", type_=TIMESTAMP(timezone=True)))
    .subquery("ended")
)
_BACKLOG = Query(
    select(
        _waiting.c.count.label("deliveries_waiting"),
        func.coalesce(extract("epoch", _NOW - _waiting.c.oldest), 0).label(
            "deliveries_oldest_waiting_seconds"
        ),
        _ended.c.sent.label("deliveries_sent_last_hour"),
        _ended.c.failed.label("deliveries_failed_last_hour"),
    ).select_from(_waiting.join(_ended, onclause=_waiting.c.count >= 0)),
    struct(Backlog),
)


async def backlog(ctx: Context) -> Mapping[str, float]:
    """Return how many mails wait, for how long, and how many were sent and given up lately."""
    found = await _BACKLOG.first(ctx.tx, now=ctx.now, since=ctx.now - LATELY)
    assert found is not None  # it is one row, always  # noqa: S101
    return {name: float(value) for name, value in msgspec.structs.asdict(found).items()}
