"""In whose name an account may be granted something, and which grants count now: for the lists of the sharing surfaces.

They say as conditions what `decide` says of each row, so that they are complete and paged by the database; tests/engine/access/test_lists.py
holds the two together. Lists of applications are made in `listing`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import SmallInteger, and_, bindparam, cast, func, literal_column, null, or_, select
from sqlalchemy.dialects.postgresql import TIMESTAMP

from hospitium.engine.actor import Role
from hospitium.engine.epochs.queries import HELD_UNTIL
from hospitium.engine.grants.record import GranteeKind, grants
from hospitium.engine.memberships.record import memberships
from hospitium.engine.organizations.record import OrganizationStatus, organizations
from hospitium.engine.teams.record import team_memberships
from hospitium.storage.statements import exactly

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, FromClause, Select

_WHEN = TIMESTAMP(timezone=True)
_NOW = bindparam("now", type_=_WHEN)
GRANT_ENDS_AT = func.least(grants.c.ends_at, grants.c.until)
"""When a grant is over: when it was ended, or when its window closes, whichever comes first (`least` passes over NULL)."""


def _kind(kind: GranteeKind) -> Any:
    return literal_column(f"'{kind.value}'")


def itself(subject: Any, kind: GranteeKind) -> Any:
    """Return the road by which a subject is reached itself: its kind and id, and no membership."""
    return select(
        _kind(kind).label("grantee_kind"),
        subject.label("grantee_id"),
        cast(null(), memberships.c.role.type).label("role"),
        cast(null(), SmallInteger).label("level"),
        cast(null(), _WHEN).label("starts_at"),
        cast(null(), _WHEN).label("ends_at"),
    )


def open_of_account(account: Any) -> FromClause:
    """Return the roads that are open now, as a table `standing`: what `decide` would turn away is not among them."""
    through_organizations = (
        _through_organizations(account)
        .join(organizations, organizations.c.id == memberships.c.organization_id)
        .where(
            memberships.c.role != Role.MEMBER.value,
            exactly(organizations.c.status, OrganizationStatus.ACTIVE),
            _is_open(memberships.c),
        )
    )
    found: FromClause = (
        itself(account, GranteeKind.ACCOUNT)
        .union_all(through_organizations, _through_teams(account).where(_is_open(team_memberships.c)))
        .subquery("standing")
    )
    return found


def _through_organizations(account: Any) -> Select[Any]:
    return select(
        _kind(GranteeKind.ORGANIZATION),
        memberships.c.organization_id,
        memberships.c.role,
        cast(null(), SmallInteger),
        memberships.c.starts_at,
        memberships.c.ends_at,
    ).where(memberships.c.account_id == account)


def _through_teams(account: Any) -> Select[Any]:
    return select(
        _kind(GranteeKind.TEAM),
        team_memberships.c.team_id,
        cast(null(), memberships.c.role.type),
        cast(null(), SmallInteger),
        team_memberships.c.starts_at,
        team_memberships.c.ends_at,
    ).where(team_memberships.c.account_id == account)


def counts(standing: FromClause) -> ColumnElement[bool]:
    """Return the condition under which a grant, reached by a road that is open, counts now."""
    return and_(
        grants.c.grantee_id == standing.c.grantee_id,
        grants.c.grantee_kind == standing.c.grantee_kind,
        grants.c.starts_at <= _NOW,
        # What was ended has ended, though by this deed's instant it hadn't yet (`check.best_of`).
        grants.c.ends_at.is_(None),
        or_(grants.c.until.is_(None), grants.c.until > _NOW),
        # Held since a restore: the grant, or the membership by which it is inherited.
        or_(HELD_UNTIL.is_(None), func.least(grants.c.starts_at, standing.c.starts_at) > HELD_UNTIL),
    )


def _is_open(interval: Any) -> ColumnElement[bool]:
    return and_(interval.starts_at <= _NOW, interval.ends_at.is_(None))
