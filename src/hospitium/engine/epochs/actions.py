"""What can happen to an epoch: it begins, and what it holds is confirmed (docs/decisions/0014)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import bindparam, func, update
from sqlalchemy.dialects.postgresql import TIMESTAMP

from hospitium.engine import events
from hospitium.engine.deliveries import restored as deliveries
from hospitium.engine.epochs import queries
from hospitium.engine.epochs.record import EPOCH_COLUMNS, Epoch, epochs
from hospitium.engine.epochs.revocations import Applied, Trail, apply_since
from hospitium.engine.errors import WrongState
from hospitium.engine.events import EventKind
from hospitium.engine.invites import restored as invites
from hospitium.engine.links import restored as links
from hospitium.engine.offers import restored as offers
from hospitium.engine.permissions import Permission, require
from hospitium.engine.persons import restored as person_offers
from hospitium.engine.sessions import restored as sessions
from hospitium.engine.shares import restored as shares
from hospitium.storage.statements import Query, insert_into, struct

if TYPE_CHECKING:
    from datetime import datetime

    from hospitium.engine.context import Context

VOIDED = {
    "sessions": sessions.void_all,
    "links": links.void_all,
    "offers": offers.void_all,
    "shares": shares.void_all,
    "invites": invites.void_all,
    "person_offers": person_offers.void_all,
    "deliveries": deliveries.void_all,
}
"""What a restore voids: each gave somebody something once, and nobody can say whether it did since the backup."""

_INSERT = Query(insert_into(epochs, *Epoch.__struct_fields__).returning(*EPOCH_COLUMNS), struct(Epoch))
_CONFIRM = Query(
    update(epochs)
    .where(epochs.c.holds_until.is_not(None), epochs.c.confirmed_at.is_(None))
    .values(confirmed_at=func.greatest(bindparam("now", type_=TIMESTAMP(timezone=True)), epochs.c.begun_at))
    .returning(*EPOCH_COLUMNS),
    struct(Epoch),
)


class Restored(NamedTuple):
    """A restore as it was recorded: its epoch, what it voided, what the trail took away again, why it still holds."""

    epoch: Epoch
    voided: dict[str, int]
    applied: Applied
    still_held_because: str | None


async def settle(ctx: Context) -> bool:
    """Note where the data lives, if nobody did before; return whether it still lives there.

    Where it doesn't, it was restored by other means, and what ended since is alive again: no server may start on it
    before `begin_next`.
    """
    require(ctx.actor, Permission.RESTORE)
    here = await queries.place(ctx)
    running = await queries.current(ctx)
    if running is None:
        await _INSERT.first(
            ctx.tx, number=1, place=here, begun_at=ctx.now, taken_at=None, holds_until=None, confirmed_at=None
        )
        return True
    return running.place == here


async def begin_next(ctx: Context, taken_at: datetime | None, trail: Trail) -> Restored:
    """Begin the epoch of a restore: void what was open, hold every grant, membership and role on a person, and take away again what `trail` says ended.

    `taken_at`: as of when the backup is, None where nobody knows. What was held by an earlier restore stays held. The
    hold is released at once if the trail is complete: declared so, without gaps, and reaching back to the backup.
    """
    require(ctx.actor, Permission.RESTORE)
    before = await queries.current(ctx)
    latest = await queries.latest_beginning(ctx)

    voided = {name: await void_all(ctx) for name, void_all in VOIDED.items()}
    epoch = await _INSERT.first(
        ctx.tx,
        number=2 if before is None else before.number + 1,
        place=await queries.place(ctx),
        begun_at=ctx.now,
        taken_at=taken_at,
        # Whatever the clocks of then and now say: no grant, membership or role of the backup begins later.
        holds_until=max(ctx.now, latest or ctx.now),
        confirmed_at=None,
    )
    assert epoch is not None  # an INSERT … RETURNING without conflict clause has a row  # noqa: S101
    applied = await apply_since(ctx, trail)
    await _tell(ctx, EventKind.EPOCH_RESTORED, epoch, voided=voided, applied=applied.counts())
    because = trail.why_not_complete(applied)
    if because is None:
        epoch = (await confirm(ctx))[-1]
    return Restored(epoch, voided, applied, because)


async def confirm(ctx: Context) -> list[Epoch]:
    """Release what restores hold: the operator has looked. Return the epochs confirmed. Raises WrongState."""
    require(ctx.actor, Permission.RESTORE)
    confirmed = sorted(await _CONFIRM.all(ctx.tx, now=ctx.now), key=lambda epoch: epoch.number)
    if not confirmed:
        raise WrongState("No restore holds anything")
    for epoch in confirmed:
        await _tell(ctx, EventKind.EPOCH_CONFIRMED, epoch)
    return confirmed


async def _tell(
    ctx: Context,
    kind: EventKind,
    epoch: Epoch,
    *,
    voided: dict[str, int] | None = None,
    applied: dict[str, int] | None = None,
) -> None:
    await events.record(
        ctx,
        kind,
        subject=("epoch", None),
        epoch=epoch.number,
        taken_at=epoch.taken_at,
        voided=voided,
        applied=applied,
    )
