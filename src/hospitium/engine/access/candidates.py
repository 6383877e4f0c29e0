"""The rows that every question is answered from: grants, and the roads between them and subjects, as parts of statements.

Check, list, who and why read the same rows, whichever end they begin from: *forward* from a subject along its roads to its grants, or
*back* from a resource along its grants to whoever stands in a grantee. The columns of a row are the fields of a `Candidate`.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import (
    Boolean,
    SmallInteger,
    Text,
    Uuid,
    and_,
    case,
    cast,
    false,
    func,
    literal_column,
    null,
    or_,
    select,
    true,
    union_all,
)
from sqlalchemy.dialects.postgresql import TIMESTAMP

from hospitium.engine.access.decide import Candidate
from hospitium.engine.access.restrictions import NOW
from hospitium.engine.access.standing import GRANT_ENDS_AT
from hospitium.engine.accounts.record import AccountStatus, accounts
from hospitium.engine.epochs.queries import HELD_UNTIL
from hospitium.engine.epochs.record import epochs
from hospitium.engine.fhir_resources.record import fhir_resources
from hospitium.engine.fhir_servers.record import ServerKind, fhir_servers
from hospitium.engine.grants.record import GranteeKind, ResourceKind, grants
from hospitium.engine.memberships.record import memberships
from hospitium.engine.organizations.record import OrganizationStatus, organizations
from hospitium.engine.persons.record import person_roles
from hospitium.engine.records.record import THERE, records
from hospitium.engine.suspensions.record import patient_suspensions
from hospitium.engine.teams.record import team_memberships
from hospitium.storage.statements import exactly, one_of

if TYPE_CHECKING:
    from sqlalchemy import FromClause, Select

_WHEN = TIMESTAMP(timezone=True)
_g = grants.c


class Road(NamedTuple):
    """By what a grant reaches an account that it wasn't given itself: what it stands in, the table of these intervals, and what it is
    there: its role, or its level."""

    kind: GranteeKind
    interval: Any
    grantee_id: Any
    role: Any
    level: Any


_NO_ROLE, _NO_LEVEL = cast(null(), Text), cast(null(), SmallInteger)
ROADS = (
    Road(
        GranteeKind.ORGANIZATION, memberships.c, memberships.c.organization_id, memberships.c.role, _NO_LEVEL
    ),
    Road(GranteeKind.TEAM, team_memberships.c, team_memberships.c.team_id, _NO_ROLE, _NO_LEVEL),
    Road(GranteeKind.PERSON, person_roles.c, person_roles.c.person_id, _NO_ROLE, person_roles.c.level),
)


def _word(text: str) -> Any:
    return literal_column(f"'{text}'", Text)


def roads(asked: FromClause, *, open_only: bool) -> FromClause:
    """Return every road by which a grant reaches the subject of `asked` (`subject_kind`, `subject_id`): itself, and of an account the
    organizations, teams and persons it stands in."""
    itself = select(
        asked.c.subject_kind.label("grantee_kind"),
        asked.c.subject_id.label("grantee_id"),
        cast(null(), Text).label("role"),
        cast(null(), SmallInteger).label("level"),
        cast(null(), _WHEN).label("starts_at"),
        cast(null(), _WHEN).label("ends_at"),
    ).correlate(asked)
    through = [
        select(_word(kind), grantee_id, role, level, interval.starts_at, interval.ends_at)
        .where(
            interval.account_id == asked.c.subject_id,
            asked.c.subject_kind == _word(GranteeKind.ACCOUNT),
            interval.ends_at.is_(None) if open_only else true(),
        )
        .correlate(asked)
        for kind, interval, grantee_id, role, level in ROADS
    ]
    return union_all(itself, *through).lateral("road")


def standing_in(road: Road) -> FromClause:
    """Return, for each grant, the accounts that it reaches by a road which is open: `account_id` besides the columns of `roads`."""
    return (
        select(
            road.interval.account_id,
            road.role.label("role"),
            road.level.label("level"),
            road.interval.starts_at,
            road.interval.ends_at,
        )
        .where(road.grantee_id == _g.grantee_id, road.interval.ends_at.is_(None))
        .correlate(grants)
        .lateral("road")
    )


def itself_alone() -> FromClause:
    """Return the road of whoever is reached itself, and through nothing."""
    return select(
        cast(null(), Text).label("role"),
        cast(null(), SmallInteger).label("level"),
        cast(null(), _WHEN).label("starts_at"),
        cast(null(), _WHEN).label("ends_at"),
    ).lateral("road")


def targets(asked: FromClause) -> FromClause:
    """Return what a grant may be on that answers for the resource of `asked`: that, and of a patient the FHIR server where he is, if he is
    there as far as can be known: who is at a remote one, only that knows."""
    there = fhir_resources.c
    is_there = (
        select(there.id)
        .where(
            there.fhir_server_id == asked.c.fhir_server_id,
            exactly(there.type, "Patient"),
            there.id == asked.c.resource_id,
        )
        .correlate(asked)
        .exists()
    )
    is_remote = (
        select(fhir_servers.c.id)
        .where(fhir_servers.c.id == asked.c.fhir_server_id, exactly(fhir_servers.c.kind, ServerKind.REMOTE))
        .correlate(asked)
        .exists()
    )
    itself = select(
        asked.c.resource_kind.label("kind"),
        asked.c.resource_type.label("type"),
        asked.c.resource_id.label("id"),
        asked.c.fhir_server_id.label("fhir_server_id"),
    ).correlate(asked)
    whole = (
        select(
            _word(ResourceKind.FHIR_SERVER),
            _word(""),
            cast(asked.c.fhir_server_id, Text),
            asked.c.fhir_server_id,
        )
        .where(asked.c.resource_kind == _word(ResourceKind.PATIENT), or_(is_there, is_remote))
        .correlate(asked)
    )
    return union_all(itself, whole).lateral("target")


def is_on(target: FromClause) -> Any:
    """Return the condition under which a grant is on a target."""
    return and_(
        _g.resource_id == target.c.id,
        _g.resource_kind == target.c.kind,
        _g.resource_type == target.c.type,
        _g.fhir_server_id.is_not_distinct_from(target.c.fhir_server_id),
    )


def is_given_to(road: FromClause) -> Any:
    """Return the condition under which a grant is given to what a road leads to: an account's grant is not its namesake organization's."""
    return and_(_g.grantee_id == road.c.grantee_id, _g.grantee_kind == road.c.grantee_kind)


def subject_may_act(kind: Any, subject_id: Any) -> Any:
    """Return whether a subject may act at all: an account is active; of others, their grants say it."""
    is_active = exactly(accounts.c.status, AccountStatus.ACTIVE)
    of_account = (
        select(is_active).where(accounts.c.id == subject_id).correlate_except(accounts).scalar_subquery()
    )
    return cast(
        case((kind == _word(GranteeKind.ACCOUNT), func.coalesce(of_account, false())), else_=true()), Boolean
    )


class Rows(NamedTuple):
    """A statement's FROM, what its rows are as candidates, and which organization's the resource is."""

    source: FromClause
    row: SimpleNamespace
    about_id: Any

    def columns(self) -> list[Any]:
        """Return the columns of a Candidate."""
        return [getattr(self.row, name).label(f"candidate__{name}") for name in Candidate.__struct_fields__]

    def select(self, *more: Any) -> Select[Any]:
        """Return the statement of candidates, with `more` columns after theirs."""
        return select(*self.columns(), *more).select_from(self.source)


def candidate_rows(source: FromClause, road: FromClause, may_act: Any) -> Rows:
    """Return the rows of a FROM in which `grants` and a `road` stand joined, with what else decides joined to them."""
    grantee, about = organizations.alias("grantee"), organizations.alias("about")
    is_record = exactly(_g.resource_kind, ResourceKind.RECORD)
    is_organization = exactly(_g.resource_kind, ResourceKind.ORGANIZATION)
    to_organization = exactly(_g.grantee_kind, GranteeKind.ORGANIZATION)
    # A record is about the organization whose it is. What isn't there is about none, and so not active.
    about_id = case(
        (is_organization, cast(_g.resource_id, Uuid)),
        else_=func.coalesce(records.c.organization_id, fhir_servers.c.organization_id),
    )
    joined = (
        source.outerjoin(grantee, and_(to_organization, grantee.c.id == _g.grantee_id))
        .outerjoin(
            records,
            and_(
                records.c.id == case((is_record, cast(_g.resource_id, Uuid))), one_of(records.c.status, THERE)
            ),
        )
        .outerjoin(
            fhir_servers, and_(fhir_servers.c.id == _g.fhir_server_id, fhir_servers.c.removed_at.is_(None))
        )
        .outerjoin(about, about.c.id == about_id)
    )
    row = SimpleNamespace(
        grant_id=_g.id,
        grantee_kind=_g.grantee_kind,
        grantee_id=_g.grantee_id,
        level=_g.level,
        starts_at=_g.starts_at,
        ends_at=GRANT_ENDS_AT,
        cause_kind=_g.cause_kind,
        cause_id=_g.cause_id,
        role=road.c.role,
        membership_starts_at=road.c.starts_at,
        membership_ends_at=road.c.ends_at,
        subject_is_active=may_act,
        grantee_is_active=or_(~to_organization, _is_active(grantee)),
        # An account is no organization's.
        resource_is_active=or_(exactly(_g.resource_kind, ResourceKind.ACCOUNT), _is_active(about)),
        held_since=_held_since(road),
        road_level=road.c.level,
        resource_kind=_g.resource_kind,
        is_home=func.coalesce(
            and_(to_organization, _g.grantee_id == fhir_servers.c.organization_id), false()
        ),
        suspended_since=fhir_servers.c.suspended_at,
        patient_suspended_since=_patient_suspended_since(),
    )
    return Rows(joined, row, about.c.id)


def has_own(account_id: Any) -> Any:
    """Return whether an account has a grant of its own, that counts now, on the same FHIR server or patient as the row's grant."""
    own = grants.alias("own")
    return (
        select(own.c.id)
        .where(
            own.c.grantee_id == account_id,
            exactly(own.c.grantee_kind, GranteeKind.ACCOUNT),
            own.c.resource_kind == _g.resource_kind,
            own.c.resource_id == _g.resource_id,
            own.c.fhir_server_id == _g.fhir_server_id,
            own.c.starts_at <= NOW,
            own.c.ends_at.is_(None),
            or_(own.c.until.is_(None), own.c.until > NOW),
            or_(HELD_UNTIL.is_(None), own.c.starts_at > HELD_UNTIL),
        )
        .correlate_except(own)
        .exists()
    )


def _held_since(road: FromClause) -> Any:
    """Return when the restore was that holds a row's grant, or the membership by which it is inherited. Whatever the time asked about:
    until somebody has looked, what the backup says of then isn't believed either."""
    return (
        select(func.min(epochs.c.begun_at))
        .where(
            epochs.c.confirmed_at.is_(None),
            # `least` passes over the NULL of no membership.
            epochs.c.holds_until >= func.least(_g.starts_at, road.c.starts_at),
        )
        .correlate(grants, road)
        .scalar_subquery()
    )


def _patient_suspended_since() -> Any:
    """Return since when the grants on the patient of a row's grant are suspended. Whatever the time asked about, here too: who he was
    then is as doubtful."""
    suspensions = patient_suspensions.c
    since = (
        select(suspensions.since)
        .where(
            suspensions.fhir_server_id == _g.fhir_server_id,
            suspensions.patient_id == _g.resource_id,
            suspensions.lifted_at.is_(None),
        )
        .correlate(grants)
        .scalar_subquery()
    )
    return case((exactly(_g.resource_kind, ResourceKind.PATIENT), since))


def _is_active(organization: Any) -> Any:
    return func.coalesce(exactly(organization.c.status, OrganizationStatus.ACTIVE), false())
