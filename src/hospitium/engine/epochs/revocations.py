"""What an exported trail takes away again after a restore: which kinds of event, and how each is applied.

A backup brings back what ended after it was taken. The trail says what did, by id; each ending is done again by the
noun's own action, so that rows, tallies and events are right. Only what takes away is applied: what was given since
must be given again, by whoever may.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import msgspec

from hospitium.engine.accounts import restored as accounts
from hospitium.engine.actor import Actor, ActorKind
from hospitium.engine.client_keys import actions as client_keys
from hospitium.engine.epochs import queries
from hospitium.engine.errors import Conflict, Forbidden, NotFound
from hospitium.engine.events import EventKind
from hospitium.engine.fhir_servers import actions as fhir_servers
from hospitium.engine.grants import on_servers as grants_on_servers, restored as grants
from hospitium.engine.invites import ending as invites
from hospitium.engine.levels import Level
from hospitium.engine.memberships import actions as memberships
from hospitium.engine.organizations import actions as organizations, queries as organization_queries
from hospitium.engine.partnerships import actions as partnerships
from hospitium.engine.partnerships.actions import Ending
from hospitium.engine.persons import ending as persons
from hospitium.engine.records import actions as records
from hospitium.engine.service_keys import actions as service_keys
from hospitium.engine.shares import actions as shares
from hospitium.engine.suspensions import actions as suspensions
from hospitium.engine.suspensions.record import SuspensionReason
from hospitium.engine.teams import actions as teams, queries as team_queries

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from hospitium.engine.context import Context
    from hospitium.engine.partnerships.record import PartnershipView
    from hospitium.engine.secrets import HashedPassword

BATCH = 1_000  # lines whose ids are looked up at once
OVERLAP = timedelta(minutes=5)  # longer than any transaction lasts
_UNSAID = "Ended after the backup that was restored"


class TrailLine(msgspec.Struct, frozen=True):
    """An event as an exported trail has it; `number` is its place among all that were sealed."""

    id: UUID
    at: datetime
    kind: str
    subject_kind: str = "subject"
    subject_id: UUID | None = None
    actor_organization_id: UUID | None = None
    data: dict[str, Any] = {}
    number: int | None = None


class Trail(NamedTuple):
    """The lines of an exported trail, in order, and whether the operator says that nothing came after the last."""

    lines: Iterable[TrailLine]
    is_complete: bool
    nobodys_password: HashedPassword

    def why_not_complete(self, applied: Applied) -> str | None:
        """Return why the trail can't be taken for all that happened since the backup; None if it can."""
        if not self.is_complete:
            return "nobody said that the trail is complete"
        if applied.gap is not None:
            return applied.gap
        if applied.first is not None and not applied.reaches_back(applied.first):
            return "the trail begins too late: export it from the day before the backup on"
        return None


class Applied:
    """What became of a trail's lines."""

    def __init__(self) -> None:
        self.read = 0
        self.met = 0  # the backup has them
        self.by_kind: dict[str, int] = {}
        self.not_there = 0  # ended something that the backup doesn't have, or has as ended
        self.first: TrailLine | None = None
        self.first_is_met = False
        self.last_met_at: datetime | None = None
        self.gap: str | None = None
        self._number: int | None = None

    def read_one(self, line: TrailLine, *, is_met: bool) -> None:
        """Count a line, and see whether it follows the one before."""
        self.read += 1
        if line.number is None:
            self.gap = self.gap or "the lines of the trail are not numbered"
        elif self._number is not None and line.number != self._number + 1:
            self.gap = self.gap or f"the trail has a gap after number {self._number}"
        self._number = line.number
        if self.first is None:
            self.first, self.first_is_met = line, is_met
        if is_met:
            self.met += 1
            self.last_met_at = max(line.at, self.last_met_at or line.at)

    def reaches_back(self, first: TrailLine) -> bool:
        """Whether nothing can be missing between what the backup has and the trail's beginning.

        Numbers follow the order in which transactions began, not that in which they ended: the backup may have an event and
        lack one with a lower number. So the trail must begin a good while before the last event the backup has.
        """
        if first.number == 1:
            return True
        return self.first_is_met and self.last_met_at is not None and first.at <= self.last_met_at - OVERLAP

    def counts(self) -> dict[str, int]:
        """Return how often each kind took something away again."""
        return dict(sorted(self.by_kind.items()))


async def apply_since(ctx: Context, trail: Trail) -> Applied:
    """Take away again what a trail says ended after the backup was taken: what the backup itself tells of is not touched."""
    applied = Applied()
    lines = iter(trail.lines)
    while batch := list(islice(lines, BATCH)):
        known = await queries.known_events(ctx, [line.id for line in batch])
        for line in batch:
            applied.read_one(line, is_met=line.id in known)
            if line.id not in known and line.subject_id is not None and line.kind in TAKES_AWAY:
                await _apply(ctx, line, trail, applied)
    return applied


async def _apply(ctx: Context, line: TrailLine, trail: Trail, applied: Applied) -> None:
    try:
        await TAKES_AWAY[EventKind(line.kind)](ctx, line, trail)
    except (NotFound, Conflict, Forbidden):
        # It came and went after the backup, or is over already: there is nothing to take away.
        applied.not_there += 1
    else:
        applied.by_kind[line.kind] = applied.by_kind.get(line.kind, 0) + 1


async def _end_partnership(ctx: Context, line: TrailLine, _: Trail) -> None:
    """End it if it is approved; take the request back if it is pending, because what was approved since has ended since."""
    sides = [line.actor_organization_id, _id_in(line, "source"), _id_in(line, "target")]
    for side in filter(None, sides):
        acting = ctx._replace(actor=Actor(ActorKind.OPERATOR, organization_id=side))
        for end in (_terminate, partnerships.cancel):
            with suppress(NotFound, Conflict, Forbidden):
                await end(acting, _subject(line))
                return
    raise NotFound("partnership")


async def _terminate(ctx: Context, partnership_id: UUID) -> PartnershipView:
    return await partnerships.terminate(ctx, partnership_id, Ending(_UNSAID))


async def _reject_partnership(ctx: Context, line: TrailLine, _: Trail) -> None:
    acting = ctx._replace(actor=Actor(ActorKind.OPERATOR, organization_id=_id_in(line, "target")))
    await partnerships.reject(acting, _subject(line), None)


async def _end_membership(ctx: Context, line: TrailLine, _: Trail) -> None:
    account, organization = _id_in(line, "account"), _id_in(line, "organization")
    if account is None or organization is None:
        raise NotFound("membership")
    await memberships.end(ctx, account, organization)


async def _forget_external_id(ctx: Context, line: TrailLine, _: Trail) -> None:
    """By which id an organization's applications know a member now the trail doesn't say; another may have the one in the backup."""
    account, organization = _id_in(line, "account"), _id_in(line, "organization")
    if account is None or organization is None:
        raise NotFound("membership")
    await memberships.forget_external_id(ctx, account, organization)


async def _leave_team(ctx: Context, line: TrailLine, _: Trail) -> None:
    account = _id_in(line, "account")
    if account is None:
        raise NotFound("member")
    await teams.leave_again(ctx, _subject(line), account)


async def _end_team(ctx: Context, line: TrailLine, _: Trail) -> None:
    await teams.end_again(ctx, await team_queries.lock(ctx, _subject(line)))


async def _end_share(ctx: Context, line: TrailLine, _: Trail) -> None:
    await shares.end_again(ctx, _subject(line))


async def _end_shares_of_record(ctx: Context, line: TrailLine, _: Trail) -> None:
    await records.archive_again(ctx, _subject(line))


async def _delete_record(ctx: Context, line: TrailLine, _: Trail) -> None:
    await records.delete_again(ctx, _subject(line))


async def _end_client_key(ctx: Context, line: TrailLine, _: Trail) -> None:
    await client_keys.end(ctx, _subject(line))


async def _end_service_key(ctx: Context, line: TrailLine, _: Trail) -> None:
    await service_keys.end(ctx, _subject(line))


async def _leave_person(ctx: Context, line: TrailLine, _: Trail) -> None:
    account = _id_in(line, "account")
    if account is None:
        raise NotFound("account")
    await persons.leave_again(ctx, _subject(line), account)


async def _delete_person(ctx: Context, line: TrailLine, _: Trail) -> None:
    await persons.delete_again(ctx, _subject(line))


async def _hand_person_over(ctx: Context, line: TrailLine, _: Trail) -> None:
    source, target = _id_in(line, "source"), _id_in(line, "target")
    if source is None or target is None:
        raise NotFound("account")
    await persons.hand_over_again(ctx, _subject(line), source, target)


async def _end_grant_on_server(ctx: Context, line: TrailLine, _: Trail) -> None:
    await grants_on_servers.end_again(ctx, _subject(line))


async def _make_grant_again(ctx: Context, line: TrailLine, _: Trail) -> None:
    """Of grants to accounts on whole FHIR servers: they come before what is inherited, and so may take something away."""
    server, account, level = _id_in(line, "fhir_server"), _id_in(line, "grantee"), line.data.get("level")
    of_account = line.data.get("grantee_kind") == "account" and "patient" not in line.data
    if server is None or account is None or not of_account or level not in (4, 6, 7):
        raise NotFound("grant")
    await grants_on_servers.make_again(ctx, _subject(line), server, account, Level(level), line.at)


async def _suspend_server(ctx: Context, line: TrailLine, _: Trail) -> None:
    """The backup has the address before; whether the patients there are the same ones, an administrator must look."""
    await fhir_servers.suspend_again(ctx, _subject(line))


async def _suspend_patient(ctx: Context, line: TrailLine, _: Trail) -> None:
    """What was found of him since the backup is as true; an administrator must look again."""
    server, patient, reason = _id_in(line, "fhir_server"), line.data.get("patient"), line.data.get("reason")
    if server is None or not isinstance(patient, str) or reason not in set(SuspensionReason):
        raise NotFound("patient")
    await suspensions.suspend_patient(ctx, server, patient, SuspensionReason(reason))


async def _remove_server(ctx: Context, line: TrailLine, _: Trail) -> None:
    await fhir_servers.remove(ctx, _subject(line))


async def _undo_invite(ctx: Context, line: TrailLine, _: Trail) -> None:
    await invites.undo_again(ctx, _subject(line))


async def _suspend_organization(ctx: Context, line: TrailLine, _: Trail) -> None:
    found = await organization_queries.by_id(ctx, _subject(line))
    if found is None:
        raise NotFound("organization")
    await organizations.judge(ctx, "suspend", found.code)


async def _disable_account(ctx: Context, line: TrailLine, _: Trail) -> None:
    await accounts.disable_again(ctx, _subject(line))


async def _erase_account(ctx: Context, line: TrailLine, _: Trail) -> None:
    await accounts.erase_again(ctx, _subject(line))


async def _void_password(ctx: Context, line: TrailLine, trail: Trail) -> None:
    await grants.end_again(ctx, _ids_in(line, "grants"))
    await accounts.void_password(ctx, _subject(line), trail.nobodys_password)


TAKES_AWAY: dict[EventKind, Callable[[Context, TrailLine, Trail], Awaitable[None]]] = {
    EventKind.PARTNERSHIP_TERMINATED: _end_partnership,
    EventKind.PARTNERSHIP_CANCELED: _end_partnership,
    EventKind.PARTNERSHIP_REJECTED: _reject_partnership,
    EventKind.MEMBERSHIP_ENDED: _end_membership,
    EventKind.MEMBERSHIP_CHANGED: _forget_external_id,
    EventKind.TEAM_LEFT: _leave_team,
    EventKind.TEAM_ENDED: _end_team,
    EventKind.SHARE_DECLINED: _end_share,
    EventKind.SHARE_WITHDRAWN: _end_share,
    EventKind.SHARE_LEFT: _end_share,
    EventKind.SHARE_REVOKED: _end_share,
    EventKind.SHARE_EXPIRED: _end_share,
    EventKind.SHARE_MERGED: _end_share,
    # To which level it was changed the trail says; whether that was less, only the backup.
    EventKind.SHARE_CHANGED: _end_share,
    EventKind.RECORD_ARCHIVED: _end_shares_of_record,
    EventKind.RECORD_DELETED: _delete_record,
    EventKind.CLIENT_KEY_ENDED: _end_client_key,
    EventKind.SERVICE_KEY_ENDED: _end_service_key,
    EventKind.GRANT_ENDED: _end_grant_on_server,
    EventKind.GRANT_MADE: _make_grant_again,
    EventKind.FHIR_SERVER_CHANGED: _suspend_server,
    EventKind.FHIR_SERVER_REMOVED: _remove_server,
    EventKind.PATIENT_SUSPENDED: _suspend_patient,
    EventKind.INVITE_UNDONE: _undo_invite,
    EventKind.PERSON_ROLE_ENDED: _leave_person,
    # As of a share: whether the role before was less, only the backup says.
    EventKind.PERSON_ROLE_CHANGED: _leave_person,
    EventKind.PERSON_TRANSFERRED: _hand_person_over,
    EventKind.PERSON_DELETED: _delete_person,
    EventKind.ORGANIZATION_SUSPENDED: _suspend_organization,
    EventKind.ACCOUNT_DISABLED: _disable_account,
    EventKind.ACCOUNT_DELETED: _erase_account,
    EventKind.ACCOUNT_REPLACED: _erase_account,
    EventKind.ACCOUNT_PASSWORD_CHANGED: _void_password,
    EventKind.ACCOUNT_PASSWORD_VOIDED: _void_password,
    # Its mailbox was proved by somebody else than who had chosen the password.
    EventKind.ACCOUNT_CLAIMED: _void_password,
    # The backup has the address before, and a link sent there would open the account: the operator must look.
    EventKind.ACCOUNT_EMAIL_CHANGED: _disable_account,
}
"""What takes something away, and how it is done again. A test asks of every kind of event on which side it stands."""


def _subject(line: TrailLine) -> UUID:
    if line.subject_id is None:
        raise NotFound(line.subject_kind)
    return line.subject_id


def _id_in(line: TrailLine, name: str) -> UUID | None:
    try:
        return UUID(line.data[name])
    except (KeyError, ValueError, AttributeError, TypeError):
        return None


def _ids_in(line: TrailLine, name: str) -> list[UUID]:
    found = line.data.get(name)
    return [UUID(one) for one in found] if isinstance(found, list) else []
