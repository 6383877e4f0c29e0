"""Which epoch it is, where the database is, and what a backup has of a trail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Uuid, bindparam, column, func, literal_column, or_, select, table
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP

from hospitium.engine.epochs.record import EPOCH_COLUMNS, Epoch, epochs
from hospitium.engine.events import events
from hospitium.engine.grants.record import grants
from hospitium.engine.memberships.record import memberships
from hospitium.engine.persons.record import person_roles
from hospitium.engine.teams.record import team_memberships
from hospitium.storage.statements import Query, scalar, struct

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import Table

    from hospitium.engine.context import Context

_CURRENT = Query(select(*EPOCH_COLUMNS).order_by(epochs.c.number.desc()).limit(1), struct(Epoch))
_control = func.pg_control_system().table_valued("system_identifier", name="control")
_database = table("pg_database", column("oid"), column("datname"))
_PLACE = Query(
    select(
        func.concat_ws(
            "/",
            _control.c.system_identifier,
            _database.c.oid,
            # A dump that is brought back makes its tables anew, in the same database, too.
            literal_column("'epochs'::regclass::oid"),
        ).label("place")
    ).where(_database.c.datname == func.current_database()),
    scalar("place"),
)


def _latest_of(intervals: Table) -> Any:
    now = bindparam("now", type_=TIMESTAMP(timezone=True))
    is_open = or_(intervals.c.ends_at.is_(None), intervals.c.ends_at > now)
    return select(func.max(intervals.c.starts_at)).where(is_open).scalar_subquery()


_LATEST_BEGINNING = Query(
    select(
        func.greatest(
            _latest_of(grants),
            _latest_of(memberships),
            _latest_of(team_memberships),
            _latest_of(person_roles),
        ).label("at")
    ),
    scalar("at"),
)
_KNOWN = Query(
    select(events.c.id).where(events.c.id == func.any(bindparam("ids", type_=ARRAY(Uuid)))), scalar("id")
)


# What began no later is held: NULL, and so no earlier than anything, where no restore waits to be confirmed.
HELD_UNTIL = select(func.max(epochs.c.holds_until)).where(epochs.c.confirmed_at.is_(None)).scalar_subquery()


async def current(ctx: Context) -> Epoch | None:
    """Return the epoch that runs; None before the first server started on this database."""
    return await _CURRENT.first(ctx.tx)


async def place(ctx: Context) -> str:
    """Return which tables of which database of which cluster these are.

    Those of a copy, in another cluster or beside the original, are others, and so are those of a dump that was brought back.
    """
    found: str | None = await _PLACE.first(ctx.tx)
    assert found is not None  # the database we are connected with is one  # noqa: S101
    return found


async def latest_beginning(ctx: Context) -> datetime | None:
    """Return when the last of the grants, memberships and roles on persons begins that aren't over, None if there is none."""
    found: datetime | None = await _LATEST_BEGINNING.first(ctx.tx, now=ctx.now)
    return found


async def known_events(ctx: Context, ids: list[UUID]) -> set[UUID]:
    """Return which of some events this database has."""
    return set(await _KNOWN.all(ctx.tx, ids=ids))
