"""What a restore does to grants: those that a trail says ended end again. That all others are held is the check's to say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Uuid, bindparam, func
from sqlalchemy.dialects.postgresql import ARRAY

from hospitium.engine.grants.actions import ending
from hospitium.engine.grants.record import grants
from hospitium.storage.statements import Statement

if TYPE_CHECKING:
    from uuid import UUID

    from hospitium.engine.context import Context

_END_AGAIN = Statement(ending(grants.c.id == func.any(bindparam("ids", type_=ARRAY(Uuid)))))


async def end_again(ctx: Context, ids: list[UUID]) -> int:
    """End those of some grants that are open; return how many were."""
    return await _END_AGAIN.run(ctx.tx, ids=ids, now=ctx.now)
