"""What can happen to a partnership: one function each. Who and when come with the context."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg
import msgspec

from hospitium.engine import events
from hospitium.engine.deliveries import actions as deliveries
from hospitium.engine.deliveries.record import Template
from hospitium.engine.errors import (
    ActiveLimitReached,
    AlreadyConnected,
    CoolingDown,
    Invalid,
    NameTaken,
    NotFound,
    OrganizationInactive,
    PartnerInactive,
    PendingLimitReached,
    RejectionCooldown,
    RequestExpired,
    TerminationCooldown,
    WrongSide,
    WrongState,
)
from hospitium.engine.events import EventKind
from hospitium.engine.grants import actions as grants, on_servers
from hospitium.engine.grants.record import CauseKind
from hospitium.engine.organizations import queries as organization_queries
from hospitium.engine.organizations.record import OrganizationStatus
from hospitium.engine.partnerships import queries
from hospitium.engine.partnerships.lifecycle import COLUMNS, LIFECYCLE, MOVES, Party
from hospitium.engine.partnerships.record import (
    Partnership,
    PartnershipStatus as Status,
    PartnershipView,
    partnerships,
)
from hospitium.engine.permissions import Permission, organization_of, require
from hospitium.engine.text import message as plain_text
from hospitium.storage.statements import Query, insert_into, struct

if TYPE_CHECKING:
    from hospitium.engine.context import Context
    from hospitium.engine.partnerships.queries import Facts, LockedPair
    from hospitium.engine.partnerships.rules import PartnershipRules

_INSERT = Query(
    insert_into(
        partnerships, "id", "source_id", "target_id", "status", "message", "requested_at", "expires_at"
    ).returning(*COLUMNS),
    struct(Partnership),
)


async def request(
    ctx: Context, target_id: UUID, message: str | None, rules: PartnershipRules
) -> PartnershipView:
    """Ask another organization to connect; return the new partnership.

    Raises Invalid, NotFound (an unknown or inactive target), AlreadyConnected, RejectionCooldown, TerminationCooldown,
    ActiveLimitReached, PendingLimitReached. Limits are counted under locks on both organizations.
    """
    require(ctx.actor, Permission.REQUEST_PARTNERSHIP)
    source_id = organization_of(ctx.actor)
    message = plain_text("message", message)
    if target_id == source_id:
        raise Invalid("targetOrganizationId", "Cannot request a connection to your own organization")
    sides = await organization_queries.lock(ctx, source_id, target_id)
    if sides[source_id].status is not OrganizationStatus.ACTIVE:
        raise OrganizationInactive
    if target_id not in sides or sides[target_id].status is not OrganizationStatus.ACTIVE:
        raise NotFound("organization")
    facts = await queries.facts(ctx, source_id, target_id)
    _refuse_second(facts)
    _refuse_too_soon(ctx, facts, rules)
    _refuse_too_many(facts, rules)

    await _expire_first(ctx, facts)
    made = await _INSERT.first(
        ctx.tx,
        id=ctx.new_id(),
        source_id=source_id,
        target_id=target_id,
        status=Status.PENDING_APPROVAL.value,
        message=message,
        requested_at=ctx.now,
        expires_at=ctx.now + rules.request_life,
        now=ctx.now,
    )
    assert made is not None  # an INSERT … RETURNING without conflict clause has a row  # noqa: S101
    await _tell(ctx, EventKind.PARTNERSHIP_REQUESTED, made)
    return PartnershipView(made, sides[source_id].card, sides[target_id].card)


async def approve(
    ctx: Context, partnership_id: UUID, response_message: str | None, rules: PartnershipRules
) -> PartnershipView:
    """Approve a request that the own organization received: each organization gets a grant on the other, level 2.

    Raises Invalid, NotFound, Forbidden (the own request), WrongState, RequestExpired, PartnerInactive, ActiveLimitReached
    (on either side).
    """
    require(ctx.actor, Permission.ANSWER_PARTNERSHIP)
    response_message = plain_text("responseMessage", response_message)
    locked = await queries.find_and_lock(ctx, partnership_id)
    me = _permit(ctx, locked, "approve")
    _require_open("approve", locked.partnership)
    other = locked.partnership.other_side(me)
    _require_active(locked, me, other)
    for count, own in zip(await queries.active_counts(ctx, me, other), (True, False), strict=True):
        if count >= rules.active_limit:
            raise ActiveLimitReached(rules.active_limit, own=own)

    moved = await _move(ctx, "approve", partnership_id, response_message=response_message)
    granted = await grants.start_for_partnership(ctx, moved)
    await _tell(ctx, EventKind.PARTNERSHIP_APPROVED, moved, was=_left("approve"), grants=granted)
    return locked.view(moved)


async def reject(ctx: Context, partnership_id: UUID, response_message: str | None) -> PartnershipView:
    """Reject a request that the own organization received.

    Raises Invalid, NotFound, Forbidden (the own request), WrongState, RequestExpired.
    """
    require(ctx.actor, Permission.ANSWER_PARTNERSHIP)
    response_message = plain_text("responseMessage", response_message)
    locked = await queries.find_and_lock(ctx, partnership_id)
    _permit(ctx, locked, "reject")

    moved = await _move(ctx, "reject", partnership_id, response_message=response_message)
    await _tell(ctx, EventKind.PARTNERSHIP_REJECTED, moved, was=_left("reject"))
    return locked.view(moved)


async def cancel(ctx: Context, partnership_id: UUID) -> PartnershipView:
    """Take back a request that the own organization sent. Raises NotFound, Forbidden, WrongState, RequestExpired."""
    require(ctx.actor, Permission.CANCEL_PARTNERSHIP)
    locked = await queries.find_and_lock(ctx, partnership_id)
    _permit(ctx, locked, "cancel")

    moved = await _move(ctx, "cancel", partnership_id)
    await _tell(ctx, EventKind.PARTNERSHIP_CANCELED, moved, was=_left("cancel"))
    return locked.view(moved)


async def resend(
    ctx: Context, partnership_id: UUID, message: str | None, rules: PartnershipRules
) -> PartnershipView:
    """Send a rejected request again, under the same id; `message` None keeps the old one.

    Exempt from the cool-downs once per cycle (ruling 8); counts to the pending limit. Raises Invalid, NotFound, Forbidden,
    WrongState, AlreadyConnected, PartnerInactive, the cool-downs, PendingLimitReached, ActiveLimitReached.
    """
    require(ctx.actor, Permission.RESEND_PARTNERSHIP)
    locked = await queries.find_and_lock(ctx, partnership_id)
    moved = await _ask_again(ctx, "resend", locked, message, rules)
    await _tell(ctx, EventKind.PARTNERSHIP_RESENT, moved, was=_left("resend"))
    return locked.view(moved)


async def reestablish(
    ctx: Context, partnership_id: UUID, message: str | None, rules: PartnershipRules
) -> PartnershipView:
    """Ask to take up a terminated partnership again; the asking organization becomes its source.

    Exempt from the cool-downs once per cycle (ruling 8); counts to the pending limit. Raises as `resend` does.
    """
    require(ctx.actor, Permission.REESTABLISH_PARTNERSHIP)
    locked = await queries.find_and_lock(ctx, partnership_id)
    moved = await _ask_again(ctx, "reestablish", locked, message, rules)
    await _tell(ctx, EventKind.PARTNERSHIP_REESTABLISHED, moved, was=_left("reestablish"))
    return locked.view(moved)


class PendingOrders(StrEnum):
    """What becomes of pending orders when a partnership ends. There are no orders yet (ruling 11)."""

    COMPLETE = "complete"
    CANCEL = "cancel"
    TRANSFER = "transfer"


class Ending(msgspec.Struct, frozen=True):
    """Why a partnership is ended, and what becomes of its pending orders."""

    reason: str | None
    pending_orders: PendingOrders = PendingOrders.COMPLETE
    transfer_to: UUID | None = None


async def terminate(ctx: Context, partnership_id: UUID, ending: Ending) -> PartnershipView:
    """End an approved partnership and its grants, in one transaction.

    Raises Invalid, NotFound, WrongState.
    """
    require(ctx.actor, Permission.TERMINATE_PARTNERSHIP)
    reason = plain_text("reason", ending.reason)
    if reason is None:
        raise Invalid("reason", "is required")
    locked = await queries.find_and_lock(ctx, partnership_id)
    _permit(ctx, locked, "terminate")
    if ending.pending_orders is PendingOrders.TRANSFER:
        await _require_transfer_target(ctx, partnership_id, ending.transfer_to)

    moved = await _move(ctx, "terminate", partnership_id, reason=reason)
    ended = await grants.end_caused_by(ctx, CauseKind.PARTNERSHIP, partnership_id)
    ended += await on_servers.end_all_under(ctx, ended)
    await _tell(ctx, EventKind.PARTNERSHIP_TERMINATED, moved, was=_left("terminate"), grants=ended)
    return locked.view(moved)


async def expire_one(ctx: Context) -> bool:
    """Mark the request that has been overdue longest as expired; return whether there was one (for the sweep)."""
    overdue = await queries.one_overdue(ctx)
    if overdue is None:
        return False
    await organization_queries.lock(ctx, overdue.source_id, overdue.target_id)
    await _expire(ctx, overdue.id)
    return True


# -- the steps they share ----------------------------------------------------------------------------------------------

_ONLY = {
    "approve": "Only the organization that received the request may approve it",
    "reject": "Only the organization that received the request may reject it",
    "cancel": "Only the organization that sent the request may cancel it",
    "resend": "Only the organization that sent the request may resend it",
}
_CLOSED = {
    "approve": "Connection request has already been approved or rejected",
    "reject": "Connection request has already been approved or rejected",
    "cancel": "Connection request has already been approved or rejected",
    "resend": "Only rejected connection requests can be resent",
    "terminate": "Only approved connections can be terminated",
    "reestablish": "Only terminated connections can be reestablished",
}


def _permit(ctx: Context, locked: LockedPair, verb: str) -> UUID:
    me = organization_of(ctx.actor)
    if not MOVES[verb].by.includes(locked.partnership, me):  # type: ignore[attr-defined]
        raise WrongSide(_ONLY[verb])
    return me


async def _move(ctx: Context, verb: str, partnership_id: UUID, **values: object) -> Partnership:
    moved = await LIFECYCLE.move(
        ctx, verb, partnership_id, organization_id=organization_of(ctx.actor), **values
    )
    if moved is None:
        # Somebody was faster, or the clock. Look again, now that the locks are ours, to say which.
        _require_open(verb, await queries.find(ctx, partnership_id))
        raise WrongState(_CLOSED[verb])
    return moved


def _left(verb: str) -> Status:
    """Return the status a move leaves. Not the one that was read before the locks: another move may have come between."""
    (left,) = MOVES[verb].sources
    return Status(left)


def _require_open(verb: str, partnership: Partnership) -> None:
    """Raise the refusal that fits, if the move is not open from the status it has by the clock."""
    if LIFECYCLE.is_open(verb, partnership.status):
        return
    if partnership.status is Status.EXPIRED and verb in ("approve", "reject", "cancel"):
        raise RequestExpired
    if partnership.status is Status.TERMINATED and verb == "terminate":
        raise WrongState("Connection has already been terminated")
    if partnership.status is Status.CANCELED and verb in ("approve", "reject", "cancel"):
        raise WrongState("Connection request has been canceled")
    raise WrongState(_CLOSED[verb])


async def _ask_again(
    ctx: Context, verb: str, locked: LockedPair, message: str | None, rules: PartnershipRules
) -> Partnership:
    message = plain_text("message", message)
    me = _permit(ctx, locked, verb)
    _require_open(verb, locked.partnership)
    other = locked.partnership.other_side(me)
    _require_active(locked, me, other)
    facts = await queries.facts(ctx, me, other)
    _refuse_second(facts)
    exempted_at = _exemption(ctx, verb, locked.partnership.id, facts, rules)
    _refuse_too_many(facts, rules)

    await _expire_first(ctx, facts)
    return await _move(
        ctx,
        verb,
        locked.partnership.id,
        message=message,
        expires_at=ctx.now + rules.request_life,
        exempted_at=exempted_at,
    )


def _require_active(locked: LockedPair, me: UUID, other: UUID) -> None:
    if locked.sides[me].status is not OrganizationStatus.ACTIVE:
        raise OrganizationInactive
    if locked.sides[other].status is not OrganizationStatus.ACTIVE:
        raise PartnerInactive


def _refuse_second(facts: Facts) -> None:
    if facts.live_id is not None:
        raise AlreadyConnected


def _refuse_too_many(facts: Facts, rules: PartnershipRules) -> None:
    if facts.active >= rules.active_limit:
        raise ActiveLimitReached(rules.active_limit, own=True)
    if facts.pending >= rules.pending_limit:
        raise PendingLimitReached(rules.pending_limit)


def _refuse_too_soon(ctx: Context, facts: Facts, rules: PartnershipRules) -> None:
    """Raise the cool-down that lasts longest, if any is running."""
    rejected = ctx.now if facts.rejected_at is None else facts.rejected_at + rules.rejection_cooldown
    terminated = ctx.now if facts.terminated_at is None else facts.terminated_at + rules.termination_cooldown
    if max(rejected, terminated) <= ctx.now:
        return
    if rejected > terminated:
        raise RejectionCooldown(rejected)
    raise TerminationCooldown(terminated)


def _exemption(
    ctx: Context, verb: str, partnership_id: UUID, facts: Facts, rules: PartnershipRules
) -> datetime | None:
    """Return now if the exemption from a cool-down is used by this ask, None if there is no cool-down to be free of.

    Once per cycle (ruling 8), and only for the latest partnership of the pair: whoever used it within the span of the
    cool-down, or digs out an older one, obeys the cool-down.
    """
    try:
        _refuse_too_soon(ctx, facts, rules)
    except CoolingDown as cooling:
        if verb == "resend":
            used, span, exempt = facts.resend_exempted_at, rules.rejection_cooldown, rules.resend_is_exempt
        else:
            used, span, exempt = facts.reestablish_exempted_at, rules.termination_cooldown, True
        if not exempt or facts.latest_id != partnership_id:
            raise
        if used is None or ctx.now >= used + span:
            return ctx.now
        cooling.until = min(
            cooling.until, used + span
        )  # the next exemption may come before the cool-down ends
        raise
    return None


async def _expire_first(ctx: Context, facts: Facts) -> None:
    """Write down that an older request of the pair has expired: two live ones can't stand beside each other."""
    if facts.overdue_id is not None:
        await _expire(ctx, facts.overdue_id)


async def _expire(ctx: Context, partnership_id: UUID) -> None:
    expired = await LIFECYCLE.move(ctx, "expire", partnership_id)
    if expired is not None:
        await _tell(ctx, EventKind.PARTNERSHIP_EXPIRED, expired, was=_left("expire"))


async def _require_transfer_target(ctx: Context, partnership_id: UUID, transfer_to: UUID | None) -> None:
    if transfer_to is None:
        raise Invalid("targetConnectionId", "is required when handlePendingOrders is transfer")
    try:
        found = await queries.find(ctx, transfer_to)
    except NotFound:
        found = None
    if found is None or found.id == partnership_id or found.status is not Status.APPROVED:
        raise Invalid("targetConnectionId", "must be another approved connection of your organization")


async def _tell(
    ctx: Context,
    kind: EventKind,
    partnership: Partnership,
    *,
    was: Status | None = None,
    grants: list[UUID] | None = None,
) -> None:
    await events.record(
        ctx,
        kind,
        subject=("partnership", partnership.id),
        organizations=(partnership.source_id, partnership.target_id),
        source=partnership.source_id,
        target=partnership.target_id,
        was=was,
        status=partnership.status,
        version=partnership.version,
        grants=grants,
    )
    await _write_to(ctx, kind, partnership)


# Which mail goes to the administrators of which side.
_MAILS = {
    EventKind.PARTNERSHIP_REQUESTED: (Template.PARTNERSHIP_REQUESTED, Party.TARGET),
    EventKind.PARTNERSHIP_RESENT: (Template.PARTNERSHIP_REQUESTED, Party.TARGET),
    EventKind.PARTNERSHIP_REESTABLISHED: (Template.PARTNERSHIP_REQUESTED, Party.TARGET),
    EventKind.PARTNERSHIP_APPROVED: (Template.PARTNERSHIP_APPROVED, Party.SOURCE),
    EventKind.PARTNERSHIP_REJECTED: (Template.PARTNERSHIP_REJECTED, Party.SOURCE),
    EventKind.PARTNERSHIP_CANCELED: (Template.PARTNERSHIP_CANCELED, Party.TARGET),
    EventKind.PARTNERSHIP_EXPIRED: (Template.PARTNERSHIP_EXPIRED, Party.SOURCE),
    EventKind.PARTNERSHIP_TERMINATED: (Template.PARTNERSHIP_TERMINATED, Party.EITHER),
}


async def _write_to(ctx: Context, kind: EventKind, partnership: Partnership) -> None:
    """Queue the mail that tells the side which didn't do it."""
    template, side = _MAILS[kind]
    told = partnership.source_id if side is Party.SOURCE else partnership.target_id
    if side is Party.EITHER and partnership.terminated_by is not None:
        told = partnership.other_side(partnership.terminated_by)
    await deliveries.queue(ctx, template, organization_id=told, subject_id=partnership.id)


class ImportedPartnership(msgspec.Struct, frozen=True, kw_only=True):
    """A partnership as another system, or a world file, has it. Times that aren't said are the deed's own."""

    source_id: UUID
    target_id: UUID
    status: Status
    message: str | None = None
    response_message: str | None = None
    reason: str | None = None
    terminated_by: UUID | None = None
    requested_at: datetime | None = None
    responded_at: datetime | None = None
    ended_at: datetime | None = None
    given_id: UUID | None = None


_IMPORT = Query(
    insert_into(
        partnerships, "id", "source_id", "target_id", "status", "message", "response_message", "requested_at",
        "expires_at", "responded_at", "canceled_at", "terminated_at", "terminated_by", "termination_reason", "rejected_at",
    ).returning(*COLUMNS),
    struct(Partnership),
)  # fmt: skip


async def import_one(ctx: Context, given: ImportedPartnership, rules: PartnershipRules) -> Partnership | None:
    """Write down a partnership from elsewhere, with the grants it has; None if the pair has one already. For the operator.

    The limits hold here too. Raises Invalid, NameTaken (the given id), ActiveLimitReached, PendingLimitReached.
    """
    require(ctx.actor, Permission.IMPORT_WORLD)
    await organization_queries.lock(ctx, given.source_id, given.target_id)
    if await queries.pair_has_any(ctx, given.source_id, given.target_id):
        return None
    try:
        made = await _IMPORT.first(ctx.tx, now=ctx.now, **_imported_columns(ctx, given, rules))
    except asyncpg.UniqueViolationError:
        raise NameTaken("id") from None
    assert made is not None  # an INSERT … RETURNING without conflict clause has a row  # noqa: S101
    for organization_id in (given.source_id, given.target_id):
        facts = await queries.facts(ctx, organization_id, made.other_side(organization_id))
        if facts.active > rules.active_limit:
            raise ActiveLimitReached(rules.active_limit, own=False)
        if facts.pending > rules.pending_limit:
            raise PendingLimitReached(rules.pending_limit)
    granted = await grants.start_for_partnership(ctx, made) if given.status is Status.APPROVED else None
    await events.record(
        ctx,
        EventKind.PARTNERSHIP_IMPORTED,
        subject=("partnership", made.id),
        organizations=(made.source_id, made.target_id),
        source=made.source_id,
        target=made.target_id,
        status=given.status,
        version=made.version,
        grants=granted,
    )
    return made


def _imported_columns(ctx: Context, given: ImportedPartnership, rules: PartnershipRules) -> dict[str, object]:
    status = given.status
    answered = status in (Status.APPROVED, Status.REJECTED, Status.TERMINATED)
    life = rules.request_life
    requested_at = given.requested_at or (ctx.now - life if status is Status.EXPIRED else ctx.now)
    responded_at = (given.responded_at or requested_at) if answered else None
    ended_at = given.ended_at or ctx.now
    terminated = status is Status.TERMINATED
    latest = max(requested_at, responded_at or requested_at, given.ended_at or requested_at)
    if latest > ctx.now:
        raise Invalid("requestedAt", "must not be in the future")
    if given.ended_at is not None and given.ended_at < (responded_at or requested_at):
        raise Invalid("endedAt", "must not be before the request and its answer")
    if responded_at is not None and not requested_at <= responded_at < requested_at + life:
        raise Invalid("respondedAt", "must be after the request, and before it expires")
    return {
        "id": given.given_id or ctx.new_id(),
        "source_id": given.source_id,
        "target_id": given.target_id,
        "status": status.value,
        "message": plain_text("message", given.message),
        "response_message": plain_text("responseMessage", given.response_message) if answered else None,
        "requested_at": requested_at,
        "expires_at": requested_at + life,
        "responded_at": responded_at,
        "canceled_at": ended_at if status is Status.CANCELED else None,
        "terminated_at": ended_at if terminated else None,
        "terminated_by": (given.terminated_by or given.source_id) if terminated else None,
        "termination_reason": (plain_text("reason", given.reason) or "Not said") if terminated else None,
        "rejected_at": responded_at if status is Status.REJECTED else None,
    }
