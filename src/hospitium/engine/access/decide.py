"""May X do Y to R now, and why (not)? A pure function over one snapshot of rows (docs/decisions/0006).

The snapshot holds every grant that could matter: given to the subject itself, or to something the subject stands in
(an organization whose staff it is, a team it is in), on the resource asked about. Whether each one counts, and for how much, is
decided here and nowhere else. Nothing decides "yes" by being absent.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from hospitium.engine.actor import Role
from hospitium.engine.grants.record import CauseKind, GranteeKind
from hospitium.engine.levels import Level


class Candidate(msgspec.Struct, frozen=True):
    """One grant that could matter, and the path by which it reaches the subject."""

    grant_id: UUID
    grantee_kind: GranteeKind
    grantee_id: UUID
    level: Level
    starts_at: datetime
    ends_at: datetime | None
    cause_kind: CauseKind
    cause_id: UUID | None
    # How the subject stands in the grantee: with a role in an organization, without one in a team. None where it is itself.
    role: Role | None
    membership_starts_at: datetime | None
    membership_ends_at: datetime | None
    # Whether everybody on the path may act at all.
    subject_is_active: bool
    grantee_is_active: bool
    resource_is_active: bool
    # When the restore was that holds the grant or the membership until the operator confirms (docs/decisions/0014); None if none does.
    held_since: datetime | None = None


class Allowed(msgspec.Struct, frozen=True):
    """Yes, by this grant."""

    level: Level
    by: Candidate


class Denied(msgspec.Struct, frozen=True):
    """No, for this reason: of the nearest grant, if there is one."""

    reason: str
    nearest: Candidate | None = None


Decision = Allowed | Denied


def decide(candidates: list[Candidate], needed: Level, now: datetime) -> Decision:
    """Return whether any candidate allows the needed level now: the highest that does, else why the nearest doesn't."""
    judged = [(obstacle(candidate, needed, now), candidate) for candidate in candidates]
    allowing = [candidate for found, candidate in judged if found is None]
    if allowing:
        best = max(allowing, key=lambda candidate: (candidate.level, candidate.starts_at))
        return Allowed(best.level, best)
    refusing = [(found, candidate) for found, candidate in judged if found is not None]
    if not refusing:
        return Denied("there is no grant")
    # Of one grant by two memberships the later one, so that the reason doesn't depend on the order of the rows.
    (_, reason), nearest = max(
        refusing,
        key=lambda pair: (
            pair[0][0],
            pair[1].level,
            pair[1].starts_at,
            pair[1].membership_starts_at or pair[1].starts_at,
        ),
    )
    return Denied(reason, nearest)


def obstacle(candidate: Candidate, needed: Level, now: datetime) -> tuple[int, str] | None:  # noqa: C901  a list of reasons
    """Return what stands in a candidate's way, with how near it comes to allowing (higher is nearer); None if nothing."""
    if not candidate.subject_is_active:
        return 0, "the account is disabled"
    if candidate.role is not None and not candidate.role.is_staff:
        return 1, "a member who is not staff inherits nothing"
    if candidate.role is not None or candidate.membership_starts_at is not None:
        if candidate.membership_starts_at is None or now < candidate.membership_starts_at:
            return 2, "the membership has not begun"
        if candidate.membership_ends_at is not None and now >= candidate.membership_ends_at:
            return 2, "the membership has ended"
    if not candidate.grantee_is_active:
        return 3, "the organization it was given to is not active"
    if not candidate.resource_is_active:
        return 3, "the organization it is about is not active"
    if now < candidate.starts_at:
        return 4, "the grant has not begun"
    if candidate.ends_at is not None and now >= candidate.ends_at:
        return 4, "the grant has ended"
    if candidate.level < needed:
        return 5, f"the grant is of level {candidate.level:d}, and {needed:d} is needed"
    if candidate.held_since is not None:
        return 6, f"held since the restore of {candidate.held_since:%Y-%m-%d}, until the operator confirms"
    return None
