"""Which events are to be sealed next, and which are; where the trail ends, and what in it has no seal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Date,
    Text,
    Uuid,
    and_,
    bindparam,
    case,
    cast,
    exists,
    func,
    literal_column,
    or_,
    select,
    true,
    tuple_,
)
from sqlalchemy.dialects.postgresql import TIMESTAMP, aggregate_order_by, array

from hospitium.engine.errors import WrongState
from hospitium.engine.events import Event, event_parties, events
from hospitium.engine.trail.record import MOST_IN_A_BLOCK, Block, Reached, TrailEvent, blocks, event_seals
from hospitium.storage.statements import Query, pair, scalar, struct

if TYPE_CHECKING:
    from hospitium.engine.context import Context

_e = events.c
_s = event_seals.c
_p = event_parties.c
_b = blocks.c

SEALERS_LOCK = 0x48_53_45_41  # one sealer at a time; the number is ours alone in our database


# -- what is hashed of an event ------------------------------------------------------------------------------------------


def _instant(column: Any) -> Any:
    """An instant as text, to the microsecond; what no year of four digits can say, as the database prints it."""
    plain = and_(
        column >= literal_column("'0001-01-01T00:00:00Z'"), column < literal_column("'9999-12-31T00:00:00Z'")
    )
    utc = func.timezone("UTC", column)
    return case((plain, func.to_char(utc, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')), else_=cast(utc, Text))


def _text(column: Any) -> Any:
    return cast(column, Text).label(column.name)


def _columns_of(row: Any) -> list[Any]:
    """The columns of a TrailEvent but its parties, from a row of events."""
    return [
        _text(row.id),
        _instant(row.at).label("at"),
        row.position,
        row.transaction,
        row.kind,
        row.actor_kind,
        _text(row.actor_account_id),
        _text(row.actor_organization_id),
        _text(row.actor_session_id),
        row.subject_kind,
        _text(row.subject_id),
        _text(row.data),
    ]


def _parties_of(row: Any, *conditions: Any) -> Any:
    """The parties of the event beside it, as pairs of kind and id."""
    one = array([_p.party_kind, cast(_p.party_id, Text)])
    every = func.array_agg(aggregate_order_by(one, _p.party_id))
    return (
        select(func.coalesce(every, literal_column("'{}'::text[]")).label("parties"))
        .where(_p.event_id == row.id, _p.at == row.at, *conditions)
        .lateral("those")
    )


# -- the sealer ----------------------------------------------------------------------------------------------------------


class Tip(msgspec.Struct, frozen=True):
    """The end of the chain of blocks."""

    number: int
    cluster: int
    last_number: int
    reached_transaction: int
    reached_position: int
    hash: bytes

    @property
    def reached(self) -> Reached:
        return Reached(self.reached_transaction, self.reached_position)


class Place(msgspec.Struct, frozen=True):
    """Where the database is: which cluster, and the first transaction id that nobody there has seen end."""

    cluster: int
    transaction: int

    def knows(self, tip: Tip) -> bool:
        """Whether the blocks were made in this cluster, and its transaction ids have not begun anew since."""
        return tip.cluster == self.cluster and tip.reached_transaction < self.transaction


class Standing(msgspec.Struct, frozen=True):
    """How an event that the sealer looks at stands: its instant as it is kept, and whether it has a seal."""

    kept_at: str
    is_sealed: bool


_OLDEST_RUNNING: Any = literal_column("pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
_NOT_BEGUN: Any = literal_column("pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
_LOCK = bindparam("lock", value=SEALERS_LOCK, type_=BigInteger)

TRY_LOCK = Query(select(func.pg_try_advisory_xact_lock(_LOCK).label("is_ours")), scalar("is_ours"))
LOCK = Query(select(cast(func.pg_advisory_xact_lock(_LOCK), Text).label("locked")), scalar("locked"))
_control = func.pg_control_system().table_valued("system_identifier", name="control")
PLACE = Query(
    select(_control.c.system_identifier.label("cluster"), _NOT_BEGUN.label("transaction")), struct(Place)
)
TIP = Query(
    select(*[_b[name] for name in Tip.__struct_fields__]).order_by(_b.number.desc()).limit(1), struct(Tip)
)


def _next(*conditions: Any) -> Query[tuple[TrailEvent, Standing]]:
    """The next events after `:transaction` and `:position`, in the order of sealing, whether sealed or not."""
    after = tuple_(bindparam("transaction", type_=BigInteger), bindparam("position", type_=BigInteger))
    looked_at = (
        select(events)
        .where(tuple_(_e.transaction, _e.position) > after, *conditions)
        .order_by(_e.transaction, _e.position)
        .limit(MOST_IN_A_BLOCK)
        .subquery("looked_at")
    )
    row = looked_at.c
    # Nobody needs the parties of what is sealed already.
    parties = _parties_of(row, _s.number.is_(None))
    return Query(
        select(
            *_columns_of(row),
            parties.c.parties,
            cast(row.at, Text).label("kept_at"),
            _s.number.is_not(None).label("is_sealed"),
        )
        .select_from(looked_at)
        .join(event_seals, and_(_s.event_id == row.id, _s.at == row.at), isouter=True)
        .join(parties, true())
        .order_by(row.transaction, row.position),
        pair(struct(TrailEvent), struct(Standing)),
    )


COMPLETE = _next(_e.transaction < _OLDEST_RUNNING)
"""Of transactions older than any that runs: nothing can come between any more."""

FROM_ELSEWHERE = _next(_e.transaction >= _NOT_BEGUN)
"""Of transactions that haven't begun here: written in another cluster, and restored."""


# -- the sealed trail ----------------------------------------------------------------------------------------------------


class Seal(msgspec.Struct, frozen=True):
    """The number of an event, and whether the event is there."""

    number: int
    event_id: str
    is_there: bool


def _sealed(*conditions: Any) -> Query[tuple[Seal, TrailEvent]]:
    parties = _parties_of(_e)
    return Query(
        select(
            _s.number,
            _text(_s.event_id),
            _e.id.is_not(None).label("is_there"),
            *_columns_of(_e),
            parties.c.parties,
        )
        .select_from(event_seals)
        .join(events, and_(_e.id == _s.event_id, _e.at == _s.at), isouter=True)
        .join(parties, true())
        .where(*conditions)
        .order_by(_s.number),
        pair(struct(Seal), struct(TrailEvent)),
    )


def _or_any(name: str, type_: Any, compare: Any) -> Any:
    value = bindparam(name, type_=type_)
    return or_(value.is_(None), compare(value))


_WHEN = TIMESTAMP(timezone=True)
_numbered = _s.number.between(bindparam("first", type_=BigInteger), bindparam("last", type_=BigInteger))


def _at_that_time(column: Any) -> tuple[Any, Any]:
    return (
        _or_any("since", _WHEN, lambda value: column >= value),
        _or_any("until", _WHEN, lambda value: column < value),
    )


# An event and its seal have the same instant. Both are asked for it: the planner carries an equality over, not a range.
_chosen = (_e.id.is_not(None), _numbered, *_at_that_time(_s.at), *_at_that_time(_e.at))
SEALED = _sealed()
"""Every numbered event in order of the numbers."""

CHOSEN = _sealed(*_chosen)
"""Of a range of numbers and of instants."""

CHOSEN_OF_PARTY = _sealed(
    *_chosen,
    exists()
    .where(_p.party_id == bindparam("party_id", type_=Uuid), _p.event_id == _e.id, _p.at == _e.at)
    .correlate(events),
)
"""Likewise, in the trail of one party."""

REACH = Query(
    select(func.min(_s.number).label("first_number"), func.max(_s.number).label("last_number")).where(
        _numbered, *_at_that_time(_s.at)
    ),
    pair(scalar("first_number"), scalar("last_number")),
)
"""The first and the last number of a range of instants. Numbers between may be of others: clocks go back, and differ."""

_block_columns = [
    _instant(_b[name]).label(name) if name == "sealed_at" else _b[name] for name in Block.__struct_fields__
]
BLOCKS = Query(select(*_block_columns).order_by(_b.number), struct(Block))
BLOCKS_WITH = Query(
    select(*_block_columns)
    .where(
        _b.last_number >= _b.first_number,
        _b.last_number >= bindparam("first", type_=BigInteger),
        _b.first_number <= bindparam("last", type_=BigInteger),
    )
    .order_by(_b.number),
    struct(Block),
)
"""The blocks that hold a range of numbers."""

_HEAD = Query(select(*_block_columns).order_by(_b.number.desc()).limit(1), struct(Block))
RETIREMENTS = Query(
    select(_b.retired).where(func.cardinality(_b.retired) > 0).order_by(_b.number), scalar("retired")
)
_AFTER = Query(
    select(_s.number, *[_e[name] for name in Event.__struct_fields__])
    .join(events, and_(_e.id == _s.event_id, _e.at == _s.at))
    .where(_s.number > bindparam("number", type_=BigInteger))
    .order_by(_s.number)
    .limit(bindparam("most")),
    pair(scalar("number"), struct(Event)),
)


async def head(ctx: Context) -> Block:
    """Return the last block; WrongState if nothing was sealed yet."""
    found = await _HEAD.first(ctx.tx)
    if found is None:
        raise WrongState("Nothing is sealed yet; a server seals within a second or two of its start")
    return found


async def sealed_after(ctx: Context, number: int, most: int) -> list[tuple[int, Event]]:
    """Return at most `most` sealed events with their numbers, in order, after a number: the position in a feed."""
    return await _AFTER.all(ctx.tx, number=number, most=most)


# -- what has no seal ----------------------------------------------------------------------------------------------------


class Unsealed(msgspec.Struct, frozen=True):
    """An event without a number, and whether its transaction has begun."""

    event_id: str
    transaction: int
    position: int
    has_begun: bool


class Stray(msgspec.Struct, frozen=True):
    """A party of an event that isn't there."""

    event_id: str
    party_id: str


UNSEALED = Query(
    select(
        _text(_e.id).label("event_id"),
        _e.transaction,
        _e.position,
        (_e.transaction < _NOT_BEGUN).label("has_begun"),
    )
    .join(event_seals, and_(_s.event_id == _e.id, _s.at == _e.at), isouter=True)
    .where(_s.number.is_(None)),
    struct(Unsealed),
)
STRAYS = Query(
    select(_text(_p.event_id), _text(_p.party_id))
    .join(events, and_(_e.id == _p.event_id, _e.at == _p.at), isouter=True)
    .where(_e.id.is_(None)),
    struct(Stray),
)


# -- months --------------------------------------------------------------------------------------------------------------


class Month(msgspec.Struct, frozen=True):
    """How much there is of a month."""

    events: int
    parties: int
    unsealed: int


class Range(msgspec.Struct, frozen=True):
    """Numbers without a gap."""

    first_number: int
    last_number: int


_month = func.event_months().table_valued("month", name="known").render_derived()
MONTHS = Query(
    select(cast(_month.c.month, Date).label("month")).where(_month.c.month < bindparam("before", type_=Date)),
    scalar("month"),
)
HOLD_MONTH = Query(
    select(cast(func.hold_event_month(bindparam("month", type_=Date)), Text).label("held")), scalar("held")
)
DROP_MONTH = Query(
    select(cast(func.drop_event_month(bindparam("month", type_=Date)), Text).label("gone")), scalar("gone")
)


def _within(column: Any) -> Any:
    return and_(column >= bindparam("since", type_=_WHEN), column < bindparam("until", type_=_WHEN))


def _counted(source: Any, column: Any, *conditions: Any) -> Any:
    return select(func.count()).select_from(source).where(_within(column), *conditions).scalar_subquery()


IN_MONTH = Query(
    select(
        _counted(events, _e.at).label("events"),
        _counted(event_parties, _p.at).label("parties"),
        _counted(
            events.join(event_seals, and_(_s.event_id == _e.id, _s.at == _e.at), isouter=True),
            _e.at,
            _s.number.is_(None),
        ).label("unsealed"),
    ),
    struct(Month),
)
_islands = (
    select(_s.number, (_s.number - func.row_number().over(order_by=_s.number)).label("island"))
    .where(_within(_s.at))
    .subquery("islands")
)
RANGES_IN_MONTH = Query(
    select(
        func.min(_islands.c.number).label("first_number"), func.max(_islands.c.number).label("last_number")
    )
    .group_by(_islands.c.island)
    .order_by(literal_column("first_number")),
    struct(Range),
)
