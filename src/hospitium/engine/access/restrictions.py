"""What may stand in a grant's way: one small class a reason, each said twice.

`refuses` says it of a candidate that was read, for a decision with its reason; `passes` says the same as a condition, so that lists are
complete and paged by the database. The truth tables (tests/engine/access) ask both, and hold them together.

In the order of `RESTRICTIONS` the first that refuses gives the reason; `nearness` says how near the grant comes to allowing (higher is
nearer), so that of several grants that don't allow the nearest is named.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from sqlalchemy import and_, bindparam, case, func, literal_column, or_
from sqlalchemy.dialects.postgresql import TIMESTAMP

from hospitium.engine.actor import Role
from hospitium.engine.grants.record import GranteeKind, ResourceKind
from hospitium.engine.levels import Level
from hospitium.storage.statements import exactly, one_of

if TYPE_CHECKING:
    from datetime import datetime
    from types import SimpleNamespace

    from sqlalchemy import ColumnElement

    from hospitium.engine.access.decide import Candidate

NOW = bindparam("now", type_=TIMESTAMP(timezone=True))
ON_FHIR_SERVERS = (ResourceKind.FHIR_SERVER, ResourceKind.PATIENT)


class Restriction(Protocol):
    """One thing that may stand in a grant's way."""

    nearness: ClassVar[int]

    def refuses(self, candidate: Candidate, needed: Level, now: datetime) -> str | None:
        """Return the reason for which the candidate doesn't allow the needed level now; None if this doesn't stand in its way."""

    def passes(self, row: SimpleNamespace, needed: Any) -> ColumnElement[bool]:
        """Return the condition under which this doesn't stand in the way of a row, whose attributes are a Candidate's as columns."""


@dataclass(frozen=True)
class SubjectMayAct:
    nearness: ClassVar[int] = 0

    def refuses(self, candidate: Candidate, needed: Level, now: datetime) -> str | None:
        return None if candidate.subject_is_active else "the account is disabled"

    def passes(self, row: SimpleNamespace, needed: Any) -> ColumnElement[bool]:
        condition: ColumnElement[bool] = row.subject_is_active
        return condition


@dataclass(frozen=True)
class OnlyStaffInherit:
    nearness: ClassVar[int] = 1

    def refuses(self, candidate: Candidate, needed: Level, now: datetime) -> str | None:
        if candidate.role is not None and not candidate.role.is_staff:
            return "a member who is not staff inherits nothing"
        return None

    def passes(self, row: SimpleNamespace, needed: Any) -> ColumnElement[bool]:
        return or_(row.role.is_(None), row.role != literal_column(f"'{Role.MEMBER}'"))


def _stands_in_it(row: SimpleNamespace) -> Any:
    return or_(row.role.is_not(None), row.membership_starts_at.is_not(None))


@dataclass(frozen=True)
class StandingHasBegun:
    nearness: ClassVar[int] = 2

    def refuses(self, candidate: Candidate, needed: Level, now: datetime) -> str | None:
        begins = candidate.membership_starts_at
        if not candidate.stands_in_it or (begins is not None and now >= begins):
            return None
        return f"the {candidate.standing} has not begun"

    def passes(self, row: SimpleNamespace, needed: Any) -> ColumnElement[bool]:
        return or_(
            ~_stands_in_it(row), func.coalesce(row.membership_starts_at <= NOW, literal_column("false"))
        )


@dataclass(frozen=True)
class StandingHasNotEnded:
    nearness: ClassVar[int] = 2

    def refuses(self, candidate: Candidate, needed: Level, now: datetime) -> str | None:
        ends = candidate.membership_ends_at
        if not candidate.stands_in_it or ends is None or now < ends:
            return None
        return f"the {candidate.standing} has ended"

    def passes(self, row: SimpleNamespace, needed: Any) -> ColumnElement[bool]:
        return or_(row.membership_ends_at.is_(None), row.membership_ends_at > NOW)


@dataclass(frozen=True)
class GranteeIsActive:
    nearness: ClassVar[int] = 3

    def refuses(self, candidate: Candidate, needed: Level, now: datetime) -> str | None:
        return None if candidate.grantee_is_active else "the organization it was given to is not active"

    def passes(self, row: SimpleNamespace, needed: Any) -> ColumnElement[bool]:
        condition: ColumnElement[bool] = row.grantee_is_active
        return condition


@dataclass(frozen=True)
class ResourceIsActive:
    nearness: ClassVar[int] = 3

    def refuses(self, candidate: Candidate, needed: Level, now: datetime) -> str | None:
        return None if candidate.resource_is_active else "the organization it is about is not active"

    def passes(self, row: SimpleNamespace, needed: Any) -> ColumnElement[bool]:
        condition: ColumnElement[bool] = row.resource_is_active
        return condition


@dataclass(frozen=True)
class GrantHasBegun:
    nearness: ClassVar[int] = 4

    def refuses(self, candidate: Candidate, needed: Level, now: datetime) -> str | None:
        return "the grant has not begun" if now < candidate.starts_at else None

    def passes(self, row: SimpleNamespace, needed: Any) -> ColumnElement[bool]:
        condition: ColumnElement[bool] = row.starts_at <= NOW
        return condition


@dataclass(frozen=True)
class GrantHasNotEnded:
    nearness: ClassVar[int] = 4

    def refuses(self, candidate: Candidate, needed: Level, now: datetime) -> str | None:
        return "the grant has ended" if candidate.ends_at is not None and now >= candidate.ends_at else None

    def passes(self, row: SimpleNamespace, needed: Any) -> ColumnElement[bool]:
        return or_(row.ends_at.is_(None), row.ends_at > NOW)


@dataclass(frozen=True)
class ReachesTheLevel:
    nearness: ClassVar[int] = 5

    def refuses(self, candidate: Candidate, needed: Level, now: datetime) -> str | None:
        if candidate.reach >= needed:
            return None
        return f"the grant is of level {candidate.reach:d}, and {needed:d} is needed"

    def passes(self, row: SimpleNamespace, needed: Any) -> ColumnElement[bool]:
        condition: ColumnElement[bool] = reach_of(row) >= needed
        return condition


@dataclass(frozen=True)
class ServerIsNotSuspended:
    """Since its address was changed, until an administrator confirms (ruling 25); he himself goes on acting as its owner."""

    nearness: ClassVar[int] = 6

    def refuses(self, candidate: Candidate, needed: Level, now: datetime) -> str | None:
        if candidate.suspended_since is None or candidate.acts_as_owner:
            return None
        since = f"{candidate.suspended_since:%Y-%m-%d}"
        return f"suspended since the address of the FHIR server was changed on {since}, until an administrator confirms"

    def passes(self, row: SimpleNamespace, needed: Any) -> ColumnElement[bool]:
        return or_(row.suspended_since.is_(None), acts_as_owner(row))


@dataclass(frozen=True)
class PatientIsNotSuspended:
    """Since he was found merged, gone or inactive, until an administrator confirms: of the grants on him alone (threats F-20)."""

    nearness: ClassVar[int] = 6

    def refuses(self, candidate: Candidate, needed: Level, now: datetime) -> str | None:
        if candidate.patient_suspended_since is None:
            return None
        since = f"{candidate.patient_suspended_since:%Y-%m-%d}"
        return f"suspended since the patient was found changed on {since}, until an administrator confirms"

    def passes(self, row: SimpleNamespace, needed: Any) -> ColumnElement[bool]:
        condition: ColumnElement[bool] = row.patient_suspended_since.is_(None)
        return condition


@dataclass(frozen=True)
class NoRestoreHoldsIt:
    """What began before a restore's hold counts when the operator has confirmed (docs/decisions/0014)."""

    nearness: ClassVar[int] = 6

    def refuses(self, candidate: Candidate, needed: Level, now: datetime) -> str | None:
        if candidate.held_since is None:
            return None
        return f"held since the restore of {candidate.held_since:%Y-%m-%d}, until the operator confirms"

    def passes(self, row: SimpleNamespace, needed: Any) -> ColumnElement[bool]:
        condition: ColumnElement[bool] = row.held_since.is_(None)
        return condition


RESTRICTIONS: tuple[Restriction, ...] = (
    SubjectMayAct(),
    OnlyStaffInherit(),
    StandingHasBegun(),
    StandingHasNotEnded(),
    GranteeIsActive(),
    ResourceIsActive(),
    GrantHasBegun(),
    GrantHasNotEnded(),
    ReachesTheLevel(),
    ServerIsNotSuspended(),
    PatientIsNotSuspended(),
    NoRestoreHoldsIt(),
)


def acts_as_owner(row: SimpleNamespace) -> Any:
    """Return `Candidate.acts_as_owner` as a column."""
    return and_(
        row.is_home, func.coalesce(row.role == literal_column(f"'{Role.ADMIN}'"), literal_column("false"))
    )


def reach_of(row: SimpleNamespace) -> Any:
    """Return `Candidate.reach` as a column."""
    return case(
        (row.road_level.is_not(None), func.least(row.level, row.road_level)),
        (
            or_(
                ~one_of(row.resource_kind, ON_FHIR_SERVERS),
                row.grantee_kind != literal_column(f"'{GranteeKind.ORGANIZATION}'"),
                row.role.is_(None),
                acts_as_owner(row),
            ),
            row.level,
        ),
        (row.is_home, func.least(row.level, literal_column(str(int(Level.UPDATE))))),
        else_=func.least(row.level, literal_column(str(int(Level.READ)))),
    )


def counts(row: SimpleNamespace, needed: Any, own_elsewhere: Any) -> ColumnElement[bool]:
    """Return the condition under which a grant allows a level (a column) now; `own_elsewhere`: whether the account has one of its own on
    the same that counts, which comes before what it inherits (`decide.judge`)."""
    eclipsed = and_(
        one_of(row.resource_kind, ON_FHIR_SERVERS),
        exactly(row.grantee_kind, GranteeKind.ORGANIZATION) | exactly(row.grantee_kind, GranteeKind.TEAM),
        ~acts_as_owner(row),
        own_elsewhere,
    )
    return and_(*(restriction.passes(row, needed) for restriction in RESTRICTIONS), ~eclipsed)
