"""How an invite is written down, whether it is made here or comes from elsewhere. A step of those deeds, which tell of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hospitium.engine.invites.record import INVITE_COLUMNS, Invite, invites
from hospitium.storage.statements import Query, insert_into, struct

if TYPE_CHECKING:
    from hospitium.engine.context import Context

_WRITTEN = (*Invite.__struct_fields__, "digest", "question", "code_key_number", "code_digest", "answer_hash")
_INSERT = Query(insert_into(invites, *_WRITTEN).returning(*INVITE_COLUMNS), struct(Invite))


async def write(ctx: Context, **columns: Any) -> Invite:
    """Write an invite down: the columns named, and nothing in all others.

    Raises asyncpg.UniqueViolationError, of which each caller knows what it means to who asked.
    """
    made = await _INSERT.first(ctx.tx, **dict.fromkeys(_WRITTEN) | columns)
    assert made is not None  # an INSERT … RETURNING without conflict clause has a row  # noqa: S101
    return made
