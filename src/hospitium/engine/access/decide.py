"""May X do Y to R now, and why (not)? A pure function over one snapshot of rows (docs/decisions/0006).

The snapshot holds every grant that could matter: given to the subject itself, or to something the subject stands in
(an organization whose staff it is, a team it is in, a person it looks after), on the resource asked about, or on the FHIR
server where that is. Whether each one counts, and for how much, is
decided here and nowhere else; what may stand in its way, `restrictions` says. Nothing decides "yes" by being absent.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from hospitium.engine.access.restrictions import ON_FHIR_SERVERS, RESTRICTIONS
from hospitium.engine.actor import Role
from hospitium.engine.grants.record import CauseKind, GranteeKind, ResourceKind
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
    # How much of it the road lets through: of a person's grant, no more than the account's own level on that person.
    road_level: Level | None = None
    # What it is on: of FHIR servers and patients, other rules hold (ruling 23).
    resource_kind: ResourceKind | None = None
    # Whether the FHIR server is that of the organization by which the grant is inherited.
    is_home: bool = False
    # Since when the grants on the FHIR server are suspended, because its address was changed (ruling 25).
    suspended_since: datetime | None = None
    # Since when the grants on the patient are, because of what was found of him on the server.
    patient_suspended_since: datetime | None = None

    @property
    def stands_in_it(self) -> bool:
        """Whether it reaches the subject through something that this stands in, from when until when."""
        return self.role is not None or self.membership_starts_at is not None

    @property
    def standing(self) -> str:
        """What the subject has in the grantee."""
        return "role on the person" if self.grantee_kind is GranteeKind.PERSON else "membership"

    @property
    def acts_as_owner(self) -> bool:
        """Whether it reaches an administrator on a FHIR server of the own organization (ruling 23)."""
        return self.is_home and self.role is Role.ADMIN

    @property
    def reach(self) -> Level:
        """How much of the grant's level reaches the subject (ruling 23)."""
        if self.road_level is not None:
            return min(self.level, self.road_level)
        if self.resource_kind not in ON_FHIR_SERVERS or self.grantee_kind is not GranteeKind.ORGANIZATION:
            return self.level
        if self.role is None or self.acts_as_owner:
            return self.level
        return min(self.level, Level.UPDATE if self.is_home else Level.READ)


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
    judged = judge(candidates, needed, now)
    allowing = [candidate for found, candidate in judged if found is None]
    if allowing:
        best = max(allowing, key=lambda candidate: (candidate.reach, candidate.starts_at))
        return Allowed(best.reach, best)
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


def judge(
    candidates: list[Candidate], needed: Level, now: datetime
) -> list[tuple[tuple[int, str] | None, Candidate]]:
    """Return each candidate on one resource with what stands in its way (`obstacle`), be it another of them."""
    specific: set[ResourceKind | None] = {
        candidate.resource_kind
        for candidate in candidates
        if candidate.resource_kind in ON_FHIR_SERVERS
        and candidate.grantee_kind is GranteeKind.ACCOUNT
        and obstacle(candidate, Level.PUBLIC, now) is None
    }
    return [
        (_eclipsed(candidate, specific) or obstacle(candidate, needed, now), candidate)
        for candidate in candidates
    ]


def judge_one(candidate: Candidate, now: datetime, *, has_own: bool) -> tuple[int, str] | None:
    """Return what stands in a candidate's way, if it is known whether the account has a grant of its own that counts on the same."""
    specific: set[ResourceKind | None] = {candidate.resource_kind} if has_own else set()
    return _eclipsed(candidate, specific) or obstacle(candidate, Level.PUBLIC, now)


def _eclipsed(candidate: Candidate, specific: set[ResourceKind | None]) -> tuple[int, str] | None:
    """On a FHIR server a grant that the account was given itself comes before what it inherits there, be that more
    (contract bluebutton.md §3.2), unless it administers the server's organization."""
    if candidate.resource_kind not in specific or candidate.grantee_kind is GranteeKind.ACCOUNT:
        return None
    if candidate.acts_as_owner or candidate.grantee_kind is GranteeKind.PERSON:
        return None
    return 5, "a grant that the account was given itself comes before it"


def obstacle(candidate: Candidate, needed: Level, now: datetime) -> tuple[int, str] | None:
    """Return what stands in a candidate's way, with how near it comes to allowing (higher is nearer); None if nothing."""
    for restriction in RESTRICTIONS:
        reason = restriction.refuses(candidate, needed, now)
        if reason is not None:
            return restriction.nearness, reason
    return None
