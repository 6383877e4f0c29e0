"""Which epoch it is, where the database is, and what a backup has of a trail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Text, Uuid, bindparam, cast, column, func, or_, select, table
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP

from hospitium.engine.epochs.record import EPOCH_COLUMNS, Epoch, epochs
from hospitium.engine.events import events
from hospitium.engine.grants.record import grants
from hospitium.storage.statements import Query, scalar, struct

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from hospitium.engine.context import Context

_CURRENT = Query(select(*EPOCH_COLUMNS).order_by(epochs.c.number.desc()).limit(1), struct(Epoch))
_control = func.pg_control_system().table_valued("system_identifier", name="control")
_database = table("pg_database", column("oid"), column("datname"))
_PLACE = Query(
    select(
        (cast(_control.c.system_identifier, Text) + "/" + cast(_database.c.oid, Text)).label("place")
    ).where(_database.c.datname == func.current_database()),
    scalar("place"),
)
_LATEST_BEGINNING = Query(
    select(func.max(grants.c.starts_at).label("at")).where(
        or_(grants.c.ends_at.is_(None), grants.c.ends_at > bindparam("now", type_=TIMESTAMP(timezone=True)))
    ),
    scalar("at"),
)
_KNOWN = Query(
    select(events.c.id).where(events.c.id == func.any(bindparam("ids", type_=ARRAY(Uuid)))), scalar("id")
)


async def current(ctx: Context) -> Epoch | None:
    """Return the epoch that runs; None before the first server started on this database."""
    return await _CURRENT.first(ctx.tx)


async def place(ctx: Context) -> str:
    """Return which database of which cluster this is. A copy, in another cluster or beside the original, is another."""
    found: str | None = await _PLACE.first(ctx.tx)
    assert found is not None  # the database we are connected with is one  # noqa: S101
    return found


async def latest_beginning(ctx: Context) -> datetime | None:
    """Return when the last of the grants begins that aren't over, None if there is none."""
    found: datetime | None = await _LATEST_BEGINNING.first(ctx.tx, now=ctx.now)
    return found


async def known_events(ctx: Context, ids: list[UUID]) -> set[UUID]:
    """Return which of some events this database has."""
    return set(await _KNOWN.all(ctx.tx, ids=ids))
