"""Whom something may be shared with, and how much: every rule about a target, asked of all of a call before anything is done."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from hospitium.engine.access.check import Resource, best_of
from hospitium.engine.accounts import queries as account_queries
from hospitium.engine.accounts.emails import canonical_email
from hospitium.engine.accounts.record import Account, AccountStatus
from hospitium.engine.errors import (
    AcceptanceRequired,
    AccountRequired,
    AlreadyShared,
    Invalid,
    NoTargets,
    NotConfirmed,
    NotSharable,
    Refusal,
    TargetAccessRequired,
    TooManyTargets,
    WrongTarget,
)
from hospitium.engine.grants.record import ResourceKind
from hospitium.engine.levels import Level
from hospitium.engine.memberships import queries as membership_queries
from hospitium.engine.shares.record import TargetForm
from hospitium.engine.teams import queries as team_queries
from hospitium.engine.text import optional_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hospitium.engine.context import Context
    from hospitium.engine.shares.contexts import Reach, Shared

MOST_TARGETS = 100
# At the very ends of the calendar the database means "always" and "never", and no offset can be said of what it gives back.
_EARLIEST, _LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
_ASSIGNABLE = set(Level) - {Level.RESERVED}


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to share with, how much, and in which window; `level` may be anything that was sent."""

    form: TargetForm
    level: object
    email: str | None = None
    id: UUID | None = None
    first_name: str | None = None
    last_name: str | None = None
    is_auto: bool = False
    starts_at: datetime | None = None
    ends_at: datetime | None = None


class CheckedTarget(msgspec.Struct, frozen=True):
    """A target that may be shared with, as it will be written down."""

    form: TargetForm
    level: int
    email: str | None
    email_key: str | None
    account_id: UUID | None
    team_id: UUID | None
    first_name: str | None
    last_name: str | None
    is_auto: bool
    starts_at: datetime | None
    ends_at: datetime | None

    @property
    def key(self) -> tuple[TargetForm, object]:
        """What duplicates are compared by: the form given (ruling 14b)."""
        return self.form, self.email_key or self.account_id or self.team_id


class _Known(msgspec.Struct, frozen=True):
    """What the rows say of everybody that is named."""

    own: Account
    accounts: dict[UUID, Account]
    teams: set[UUID]
    reached: dict[UUID, int]  # the caller's level on accounts, where the type asks for it


async def hold(ctx: Context, shared: Shared, targets: Sequence[Target]) -> dict[UUID, Account]:
    """Keep the accounts that a call names, the caller's and the owner's as they are until this transaction ends; return them by id."""
    named = [
        one.id for one in targets[:MOST_TARGETS] if one.id is not None and one.form is TargetForm.ACCOUNT
    ]
    ids = {*named, shared.owner_id, *([ctx.actor.account_id] if ctx.actor.account_id else [])}
    return {one.id: one for one in await account_queries.hold_all(ctx, list(ids))}


async def checked(
    ctx: Context, shared: Shared, reach: Reach, people: dict[UUID, Account], targets: Sequence[Target]
) -> tuple[list[CheckedTarget], Account]:
    """Return all targets as they will be written down, and the caller's account; refuse the call if one of them is refused.

    `people`: those that `hold` returned.

    Raises NoTargets, TooManyTargets, WrongTarget, NotSharable, AccountRequired, AcceptanceRequired, TargetAccessRequired,
    NotConfirmed, AlreadyShared; the first of them, with the others as `besides`.
    """
    if not targets:
        raise NoTargets
    if len(targets) > MOST_TARGETS:
        raise TooManyTargets(MOST_TARGETS)
    known = await _look_up(ctx, shared, people, targets)
    accepted: list[CheckedTarget] = []
    refused: list[Refusal] = []
    seen: set[object] = set()
    for index, target in enumerate(targets):
        try:
            one = _check(ctx, shared, reach, known, target, f"targets[{index}]")
            if one.key in seen:
                raise AlreadyShared(f"targets[{index}]")
            seen.add(one.key)
            accepted.append(one)
        except Refusal as refusal:
            refused.append(refusal)
    if refused:
        refused[0].besides = refused[1:]
        raise refused[0]
    return accepted, known.own


def check_level(shared: Shared, reach: Reach | None, level: object, place: str) -> int:
    """Return a level the caller may give. Raises WrongTarget (it is none that is ever given), NotSharable (the share chain)."""
    if type(level) is not int or level not in _ASSIGNABLE:
        raise WrongTarget(place, "must be a whole number: 1, 2, 4, 5, 6 or 7")
    if reach is None or reach.level < Level.SHARE:
        raise NotSharable("Sharing it needs access level 5 on it")
    if level not in shared.rules.share_chain or level >= reach.level:
        allowed = ", ".join(str(one) for one in shared.rules.share_chain if one < reach.level)
        raise NotSharable(
            f"With your access level of {reach.level} you may give {allowed or 'nothing'}", place
        )
    return level


async def _look_up(
    ctx: Context, shared: Shared, people: dict[UUID, Account], targets: Sequence[Target]
) -> _Known:
    teams = [one.id for one in targets if one.id is not None and one.form is TargetForm.TEAM]
    belongs = bool(
        teams
        and ctx.actor.account_id
        and await membership_queries.open_of(ctx, ctx.actor.account_id, shared.organization_id)
    )
    known_teams = (
        await team_queries.known(ctx, teams, shared.organization_id, belongs=belongs) if teams else set()
    )
    reached: dict[UUID, int] = {}
    if shared.rules.required_level is not None and ctx.actor.account_id is not None:
        for account_id in {one.id for one in targets if one.is_auto and one.id in people and one.id}:
            best = await best_of(ctx, ctx.actor.account_id, Resource(ResourceKind.ACCOUNT, str(account_id)))
            reached[account_id] = 0 if best is None else int(best.level)
    own = people.get(ctx.actor.account_id) if ctx.actor.account_id else None
    if own is None:
        raise NotConfirmed
    return _Known(own, people, known_teams, reached)


def _check(
    ctx: Context, shared: Shared, reach: Reach, known: _Known, target: Target, place: str
) -> CheckedTarget:
    level = check_level(shared, reach, target.level, f"{place}.access")
    email_key = None
    match target.form:
        case TargetForm.EMAIL:
            email_key = _email_key(target, place)
            _refuse_oneself(email_key == known.own.email_key, f"{place}.email")
        case TargetForm.ACCOUNT:
            _refuse_unknown(shared, known, target, place)
        case TargetForm.TEAM:
            if target.id not in known.teams:
                raise WrongTarget(f"{place}._id", "is no team of this organization")
    if target.is_auto:
        _check_auto(shared, known, target, place)
    starts_at, ends_at = _window(ctx, reach, target, place)
    return CheckedTarget(
        target.form,
        level,
        target.email.strip() if target.email is not None else None,
        email_key,
        target.id if target.form is TargetForm.ACCOUNT else None,
        target.id if target.form is TargetForm.TEAM else None,
        _named(f"{place}.name.first", target.first_name),
        _named(f"{place}.name.last", target.last_name),
        target.is_auto,
        starts_at,
        ends_at,
    )


def _email_key(target: Target, place: str) -> str:
    try:
        return canonical_email(f"{place}.email", target.email or "")
    except Invalid as refusal:
        raise WrongTarget(refusal.field, refusal.reason) from None


def _named(field: str, name: str | None) -> str | None:
    try:
        return optional_line(field, name)
    except Invalid as refusal:
        raise WrongTarget(refusal.field, refusal.reason) from None


def _refuse_oneself(is_it: bool, field: str) -> None:
    if is_it:
        raise WrongTarget(field, "is your own: share with somebody else")


def _refuse_unknown(shared: Shared, known: _Known, target: Target, place: str) -> None:
    _refuse_oneself(target.id == known.own.id, f"{place}._id")
    if target.id == shared.owner_id:
        raise WrongTarget(f"{place}._id", "owns it already")
    account = known.accounts.get(target.id) if target.id else None
    if account is None or account.status is not AccountStatus.ACTIVE:
        raise WrongTarget(f"{place}._id", "is no account")


def _check_auto(shared: Shared, known: _Known, target: Target, place: str) -> None:
    """Ask every rule of sharing at once (docs/dialects/medable.md, "At once")."""
    if shared.object_type_id is None or shared.rules.requires_acceptance:
        raise AcceptanceRequired(f"{place}.auto")
    if target.form is not TargetForm.ACCOUNT or target.id is None:
        raise AccountRequired(f"{place}.auto")
    required = shared.rules.required_level
    if required is not None and known.reached.get(target.id, 0) < required:
        raise TargetAccessRequired(f"{place}.auto", required)
    if not known.accounts[target.id].is_confirmed:
        raise NotConfirmed(f"{place}._id")


def _window(
    ctx: Context, reach: Reach, target: Target, place: str
) -> tuple[datetime | None, datetime | None]:
    """Return the window, no longer than that of what it is made under."""
    starts_at = _in_utc(f"{place}.startsAt", target.starts_at)
    ends_at = _in_utc(f"{place}.endsAt", target.ends_at)
    if ends_at is not None and ends_at <= max(ctx.now, starts_at or ctx.now):
        raise WrongTarget(f"{place}.endsAt", "must be in the future, and after startsAt")
    if reach.until is not None:
        ends_at = min(ends_at or reach.until, reach.until)
        if starts_at is not None and starts_at >= ends_at:
            raise WrongTarget(f"{place}.startsAt", "is after your own access ends")
    return starts_at, ends_at


def _in_utc(place: str, when: datetime | None) -> datetime | None:
    if when is None:
        return None
    if when.tzinfo is None:
        raise WrongTarget(place, "must say its offset from UTC")
    if not _EARLIEST <= when <= _LATEST:
        raise WrongTarget(place, "must be from 1970 to 9999")
    return when.astimezone(UTC)
