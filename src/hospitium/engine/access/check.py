"""One check, one statement: gather what could matter in a single snapshot, and let `decide` judge it."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
from sqlalchemy import (
    Boolean,
    Uuid,
    bindparam,
    case,
    cast,
    false,
    func,
    literal_column,
    null,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import TIMESTAMP

from hospitium.engine.access.decide import Candidate, Decision, decide
from hospitium.engine.accounts.record import AccountStatus, accounts
from hospitium.engine.epochs.record import epochs
from hospitium.engine.grants.record import GranteeKind, ResourceKind, grants
from hospitium.engine.levels import Level
from hospitium.engine.memberships.record import memberships
from hospitium.engine.organizations.record import OrganizationStatus, organizations
from hospitium.storage.statements import Query, struct

if TYPE_CHECKING:
    from hospitium.engine.context import Context


class SubjectKind(StrEnum):
    ACCOUNT = "account"
    ORGANIZATION = "organization"


class Question(msgspec.Struct, frozen=True):
    """May this subject do up to this level on this resource?"""

    subject_kind: SubjectKind
    subject_id: UUID
    level: Level
    resource_kind: ResourceKind
    resource_id: str
    resource_type: str = ""


_SUBJECT = bindparam("subject_id", type_=Uuid)
_WHEN = TIMESTAMP(timezone=True)
_grantee = organizations.alias("grantee")
_about = organizations.alias("about")


def _is_active(table: Any, status: str) -> Any:
    return func.coalesce(table.c.status == status, false())


def _gathering(subject: SubjectKind) -> Query[Candidate]:
    by_account = subject is SubjectKind.ACCOUNT
    itself = select(
        _SUBJECT.label("grantee_id"),
        cast(null(), memberships.c.role.type).label("role"),
        cast(null(), _WHEN).label("starts_at"),
        cast(null(), _WHEN).label("ends_at"),
    )
    inherited = select(
        memberships.c.organization_id, memberships.c.role, memberships.c.starts_at, memberships.c.ends_at
    ).where(memberships.c.account_id == _SUBJECT)
    standing = (itself.union_all(inherited) if by_account else itself).subquery("standing")
    subject_is_active = (
        func.coalesce(
            select(accounts.c.status == AccountStatus.ACTIVE.value)
            .where(accounts.c.id == _SUBJECT)
            .scalar_subquery(),
            false(),
        )
        if by_account
        else true()
    )
    # Whatever the time asked about: until somebody has looked, what the backup says of then isn't believed either.
    held_since = (
        select(func.min(epochs.c.begun_at))
        .where(
            epochs.c.confirmed_at.is_(None),
            # The grant is held, or the membership by which it is inherited; `least` passes over the NULL of none.
            epochs.c.holds_until >= func.least(grants.c.starts_at, standing.c.starts_at),
        )
        .correlate(grants, standing)
        .scalar_subquery()
    )
    about_id = case(
        (grants.c.resource_kind == literal_column("'organization'"), cast(grants.c.resource_id, Uuid)),
        else_=null(),
    )
    return Query(
        select(
            grants.c.id.label("candidate__grant_id"),
            grants.c.grantee_kind,
            grants.c.grantee_id,
            grants.c.level,
            grants.c.starts_at,
            grants.c.ends_at,
            grants.c.cause_kind,
            grants.c.cause_id,
            standing.c.role.label("candidate__role"),
            standing.c.starts_at.label("candidate__membership_starts_at"),
            standing.c.ends_at.label("candidate__membership_ends_at"),
            cast(subject_is_active, Boolean).label("candidate__subject_is_active"),
            or_(
                grants.c.grantee_kind != GranteeKind.ORGANIZATION.value,
                _is_active(_grantee, OrganizationStatus.ACTIVE.value),
            ).label("candidate__grantee_is_active"),
            or_(
                grants.c.resource_kind != ResourceKind.ORGANIZATION.value,
                _is_active(_about, OrganizationStatus.ACTIVE.value),
            ).label("candidate__resource_is_active"),
            held_since.label("candidate__held_since"),
        )
        .select_from(standing)
        .join(grants, grants.c.grantee_id == standing.c.grantee_id)
        .outerjoin(
            _grantee,
            (_grantee.c.id == grants.c.grantee_id)
            & (grants.c.grantee_kind == GranteeKind.ORGANIZATION.value),
        )
        .outerjoin(_about, _about.c.id == about_id)
        .where(
            grants.c.resource_kind == bindparam("resource_kind"),
            grants.c.resource_type == bindparam("resource_type"),
            grants.c.resource_id == bindparam("resource_id"),
            # An account's grant is not its namesake organization's: the kinds must agree with the path.
            grants.c.grantee_kind
            == case((standing.c.role.is_(None), subject.value), else_=literal_column("'organization'")),
        ),
        struct(Candidate),
    )


_GATHER = {subject: _gathering(subject) for subject in SubjectKind}


async def candidates(ctx: Context, question: Question) -> list[Candidate]:
    """Return every grant that could matter to a question, with the path by which it reaches the subject."""
    return await _GATHER[question.subject_kind].all(
        ctx.tx,
        subject_id=question.subject_id,
        resource_kind=question.resource_kind.value,
        resource_type=question.resource_type,
        resource_id=question.resource_id,
    )


async def check(ctx: Context, question: Question) -> Decision:
    """Return whether the subject may, now (the context's), and why or why not."""
    return decide(await candidates(ctx, question), question.level, ctx.now)
