"""What can happen to the trail besides growing: old months are retired."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import asyncpg
import msgspec

from hospitium.engine import events
from hospitium.engine.errors import Invalid, WrongState
from hospitium.engine.events import EventKind
from hospitium.engine.permissions import Permission, require
from hospitium.engine.trail import queries
from hospitium.engine.trail.sealer import add_block
from hospitium.storage.database import wait_briefly

if TYPE_CHECKING:
    from hospitium.engine.context import Context
    from hospitium.engine.trail.queries import Tip
    from hospitium.engine.trail.signing import SealKeys

DECEMBER = 12


class Retired(msgspec.Struct, frozen=True):
    """A month that was taken out of the trail, and how much there was of it."""

    month: str
    events: int
    parties: int


async def retire(ctx: Context, before: date, keys: SealKeys) -> list[Retired]:
    """Take every month before the one of `before` out of the trail; return what was taken, oldest first.

    The blocks stay, with the hashes of the events that are gone; one more says which numbers these are. Events of such
    months that are in the partition for all other times stay where they are. Raises Invalid (the month isn't over),
    WrongState (an event of it isn't sealed yet, or somebody reads the trail at this moment).
    """
    require(ctx.actor, Permission.RETIRE_TRAIL)
    before = before.replace(day=1)
    if before > ctx.now.astimezone(UTC).date():
        raise Invalid("before", "must be a month that has begun")
    await queries.LOCK.first(ctx.tx)
    tip = await queries.TIP.first(ctx.tx)

    retired = []
    months = await queries.MONTHS.all(ctx.tx, before=before)
    for month in months:
        tip, taken = await _retire_month(ctx, month, keys, tip)
        retired.append(taken)
        await events.record(
            ctx,
            EventKind.TRAIL_RETIRED,
            subject=("trail", None),
            month=taken.month,
            events=taken.events,
            parties=taken.parties,
        )
    await _drop(ctx, months)
    return retired


async def _retire_month(
    ctx: Context, month: date, keys: SealKeys, tip: Tip | None
) -> tuple[Tip | None, Retired]:
    since, until = _bounds(month)
    await queries.HOLD_MONTH.first(ctx.tx, month=month)
    found = await queries.IN_MONTH.first(ctx.tx, since=since, until=until)
    assert found is not None  # a row of counts, always  # noqa: S101
    if found.unsealed:
        raise WrongState(
            f"There are events of {month:%Y-%m} that are not sealed yet; a server seals within a second or two"
        )
    ranges = await queries.RANGES_IN_MONTH.all(ctx.tx, since=since, until=until)
    if ranges and tip is not None:
        numbers = [number for one in ranges for number in (one.first_number, one.last_number)]
        tip = await add_block(ctx, keys, tip, tip.cluster, tip.reached, [], numbers)
    return tip, Retired(f"{month:%Y-%m}", found.events, found.parties)


async def _drop(ctx: Context, months: list[date]) -> None:
    # Last of all, and not for long: from the first of them on no deed can write its event until this transaction ends.
    await wait_briefly(ctx.tx)
    try:
        for month in months:
            await queries.DROP_MONTH.first(ctx.tx, month=month)
    except asyncpg.LockNotAvailableError:
        raise WrongState(
            "Somebody reads the trail (an export, a proof or a backup), and nothing was retired; try again when it is done"
        ) from None


def _bounds(month: date) -> tuple[datetime, datetime]:
    following = date(month.year + month.month // DECEMBER, month.month % DECEMBER + 1, 1)
    return (
        datetime(month.year, month.month, 1, tzinfo=UTC),
        datetime(following.year, following.month, 1, tzinfo=UTC),
    )
