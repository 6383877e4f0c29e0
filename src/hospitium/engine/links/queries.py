"""Which link: found by its token's SHA-256 by whoever holds the token, and by its id for the mail that carries it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, select

from hospitium.engine.links.record import LINK_COLUMNS, Link, links
from hospitium.storage.statements import Query, struct

if TYPE_CHECKING:
    from uuid import UUID

    from hospitium.engine.context import Context
    from hospitium.engine.links.record import LinkPurpose
    from hospitium.engine.secrets import LinkToken

_by_digest = select(*LINK_COLUMNS).where(
    links.c.digest == bindparam("digest"), links.c.purpose == bindparam("purpose")
)
_BY_TOKEN = Query(_by_digest, struct(Link))
_LOCK_BY_TOKEN = Query(_by_digest.with_for_update(), struct(Link))
_BY_ID = Query(select(*LINK_COLUMNS).where(links.c.id == bindparam("link_id")), struct(Link))


async def by_token(
    ctx: Context, token: LinkToken, purpose: LinkPurpose, *, lock: bool = False
) -> Link | None:
    """Return the link a token stands for, dead or alive; `lock` its row until this transaction ends."""
    query = _LOCK_BY_TOKEN if lock else _BY_TOKEN
    return await query.first(ctx.tx, digest=token.digest(), purpose=purpose.value)


async def by_id(ctx: Context, link_id: UUID) -> Link | None:
    """Return a link. For the mail that carries it."""
    return await _BY_ID.first(ctx.tx, link_id=link_id)
