"""What can happen to a client key: it is made, shown once, and ended. For the operator."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import asyncpg
from sqlalchemy import bindparam, func, update
from sqlalchemy.dialects.postgresql import TIMESTAMP

from hospitium.engine import events
from hospitium.engine.client_keys.record import CLIENT_KEY_COLUMNS, ClientKey, client_keys
from hospitium.engine.errors import Invalid, NameTaken, NotFound
from hospitium.engine.events import EventKind
from hospitium.engine.permissions import Permission, require
from hospitium.engine.text import line
from hospitium.storage.statements import Query, insert_into, struct

if TYPE_CHECKING:
    from uuid import UUID

    from hospitium.engine.context import Context
    from hospitium.engine.secrets import ClientKeyText

KEY_FORM = re.compile(r"[\x21-\x7e]{16,200}")

_INSERT = Query(
    insert_into(client_keys, "id", "organization_id", "name", "digest", "made_at").returning(
        *CLIENT_KEY_COLUMNS
    ),
    struct(ClientKey),
)
_END = Query(
    update(client_keys)
    .where(client_keys.c.id == bindparam("key_id"), client_keys.c.ended_at.is_(None))
    .values(ended_at=func.greatest(bindparam("now", type_=TIMESTAMP(timezone=True)), client_keys.c.made_at))
    .returning(*CLIENT_KEY_COLUMNS),
    struct(ClientKey),
)


async def make(ctx: Context, organization_id: UUID, name: str, key: ClientKeyText) -> ClientKey:
    """Make a client key of an organization; its text is kept nowhere. Raises Invalid, NameTaken (`name`, or `key`)."""
    require(ctx.actor, Permission.KEEP_CLIENT_KEYS)
    if not KEY_FORM.fullmatch(key.reveal()):
        raise Invalid("key", "must be 16 to 200 visible ASCII characters")
    try:
        made = await _INSERT.first(
            ctx.tx,
            id=ctx.new_id(),
            organization_id=organization_id,
            name=line("name", name),
            digest=key.digest(),
            made_at=ctx.now,
        )
    except asyncpg.UniqueViolationError as taken:
        raise NameTaken("key" if "digest" in str(taken.constraint_name) else "name") from None
    assert made is not None  # an INSERT … RETURNING without conflict clause has a row  # noqa: S101
    await _tell(ctx, EventKind.CLIENT_KEY_MADE, made)
    return made


async def end(ctx: Context, key_id: UUID) -> ClientKey:
    """End a client key: the next call with it is refused. Raises NotFound."""
    require(ctx.actor, Permission.KEEP_CLIENT_KEYS)
    ended = await _END.first(ctx.tx, key_id=key_id, now=ctx.now)
    if ended is None:
        raise NotFound("client key")
    await _tell(ctx, EventKind.CLIENT_KEY_ENDED, ended)
    return ended


async def _tell(ctx: Context, kind: EventKind, key: ClientKey) -> None:
    await events.record(ctx, kind, subject=("client_key", key.id), organizations=[key.organization_id])
