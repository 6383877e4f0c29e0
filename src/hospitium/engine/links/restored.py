"""What a restore does to links: all that were open in the backup end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, update

from hospitium.engine.links.record import links
from hospitium.storage.statements import Statement

if TYPE_CHECKING:
    from hospitium.engine.context import Context

_VOID_ALL = Statement(
    update(links)
    .where(links.c.ended_at.is_(None), links.c.account_id.is_not(None))
    .values(ended_at=bindparam("now"), end_reason="restored")
)


async def void_all(ctx: Context) -> int:
    """End every open link: nobody can say which of them were used since the backup. Return how many."""
    return await _VOID_ALL.run(ctx.tx, now=ctx.now)
