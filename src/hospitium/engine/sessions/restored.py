"""What a restore does to sessions: all that were open in the backup end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, func, update
from sqlalchemy.dialects.postgresql import TIMESTAMP

from hospitium.engine.sessions.record import sessions
from hospitium.storage.statements import Statement

if TYPE_CHECKING:
    from hospitium.engine.context import Context

_VOID_ALL = Statement(
    update(sessions)
    .where(sessions.c.ended_at.is_(None))
    # Never before it began, though the operator's clock may be behind the server's.
    .values(
        ended_at=func.greatest(bindparam("now", type_=TIMESTAMP(timezone=True)), sessions.c.started_at),
        end_reason="restored",
    )
)


async def void_all(ctx: Context) -> int:
    """End every open session, and with it its tokens: nobody can say which of them ended since the backup. Return how many."""
    return await _VOID_ALL.run(ctx.tx, now=ctx.now)
