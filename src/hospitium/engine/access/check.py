"""One check, one statement: gather what could matter in a single snapshot, and let `decide` judge it."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import (
    Boolean,
    Text,
    Uuid,
    and_,
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
from sqlalchemy.dialects.postgresql import ARRAY

from hospitium.engine.access.decide import Allowed, Candidate, Decision, decide
from hospitium.engine.access.standing import GRANT_ENDS_AT, itself, of_account
from hospitium.engine.accounts.record import AccountStatus, accounts
from hospitium.engine.epochs.record import epochs
from hospitium.engine.fhir_servers.record import fhir_servers
from hospitium.engine.grants.record import GranteeKind, ResourceKind, grants
from hospitium.engine.levels import Level
from hospitium.engine.organizations.record import OrganizationStatus, organizations
from hospitium.engine.records.record import THERE, records
from hospitium.storage.statements import Query, exactly, one_of, struct

if TYPE_CHECKING:
    from sqlalchemy import Select

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
    fhir_server_id: UUID | None = None  # of a patient, and of a FHIR server itself


class Resource(NamedTuple):
    """What is asked about: its kind, its id and its type."""

    kind: ResourceKind
    id: str
    type: str = ""
    fhir_server_id: UUID | None = None

    @classmethod
    def server(cls, server_id: UUID) -> Resource:
        """Return a FHIR server as what is asked about."""
        return cls(ResourceKind.FHIR_SERVER, str(server_id), fhir_server_id=server_id)

    @classmethod
    def patient(cls, server_id: UUID, patient_id: str) -> Resource:
        """Return a patient on a FHIR server as what is asked about."""
        return cls(ResourceKind.PATIENT, patient_id, fhir_server_id=server_id)


_SUBJECT = bindparam("subject_id", type_=Uuid)
_SERVER = bindparam("fhir_server_id", type_=Uuid)
_grantee = organizations.alias("grantee")
_about = organizations.alias("about")


def _is_active(table: Any, status: str) -> Any:
    return func.coalesce(table.c.status == status, false())


def _roads_to_grants(subject: SubjectKind, *more: Any, only_open: bool, on_server: bool) -> Select[Any]:
    """Return the statement that finds candidates, with `more` columns after theirs; which ones, is left to say.

    `on_server`: those on FHIR servers, which persons have too; `only_open`: those that nobody has ended.
    """
    by_account = subject is SubjectKind.ACCOUNT
    standing = (
        of_account(_SUBJECT, with_persons=on_server)
        if by_account
        else itself(_SUBJECT, GranteeKind.ORGANIZATION)
    ).subquery("standing")
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
    # A record is about the organization whose it is. What isn't there is about none, and so not active.
    about_id: Any = case(
        (grants.c.resource_kind == literal_column("'organization'"), cast(grants.c.resource_id, Uuid)),
        (
            grants.c.resource_kind == literal_column("'record'"),
            select(records.c.organization_id)
            .where(records.c.id == cast(grants.c.resource_id, Uuid), one_of(records.c.status, THERE))
            .correlate(grants)
            .scalar_subquery(),
        ),
        else_=null(),
    )
    if on_server:
        about_id = fhir_servers.c.organization_id
    rows = (
        select(
            grants.c.id.label("candidate__grant_id"),
            grants.c.grantee_kind,
            grants.c.grantee_id,
            grants.c.level,
            grants.c.starts_at,
            GRANT_ENDS_AT.label("candidate__ends_at"),
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
                # An account is no organization's.
                exactly(grants.c.resource_kind, ResourceKind.ACCOUNT),
                _is_active(_about, OrganizationStatus.ACTIVE.value)
                & (fhir_servers.c.removed_at.is_(None) if on_server else true()),
            ).label("candidate__resource_is_active"),
            held_since.label("candidate__held_since"),
            standing.c.level.label("candidate__road_level"),
            grants.c.resource_kind,
            (
                and_(
                    exactly(grants.c.grantee_kind, GranteeKind.ORGANIZATION),
                    grants.c.grantee_id == fhir_servers.c.organization_id,
                )
                if on_server
                else false()
            ).label("candidate__is_home"),
            (fhir_servers.c.suspended_at if on_server else cast(null(), grants.c.starts_at.type)).label(
                "candidate__suspended_since"
            ),
            *more,
        )
        .select_from(standing)
        .join(grants, grants.c.grantee_id == standing.c.grantee_id)
        .outerjoin(
            _grantee,
            (_grantee.c.id == grants.c.grantee_id)
            & (grants.c.grantee_kind == GranteeKind.ORGANIZATION.value),
        )
    )
    if on_server:
        rows = rows.join(fhir_servers, fhir_servers.c.id == grants.c.fhir_server_id)
    return rows.outerjoin(_about, _about.c.id == about_id).where(
        # An account's grant is not its namesake organization's: the kinds must agree with the road.
        grants.c.grantee_kind == standing.c.grantee_kind,
        *((grants.c.ends_at.is_(None), standing.c.ends_at.is_(None)) if only_open else ()),
    )


def _gathering(subject: SubjectKind, *, only_open: bool = False, on_server: bool = False) -> Query[Candidate]:
    found = _roads_to_grants(subject, only_open=only_open, on_server=on_server)
    asked_about = (
        (
            # A patient is also reached by what one may do on the whole server.
            grants.c.fhir_server_id == _SERVER,
            # What the index of a grantee's grants can tell by itself, be there ever so many.
            one_of(grants.c.resource_kind, (ResourceKind.FHIR_SERVER, ResourceKind.PATIENT)),
            grants.c.resource_type == literal_column("''"),
            grants.c.resource_id == func.any(bindparam("resource_ids", type_=ARRAY(Text))),
            or_(
                exactly(grants.c.resource_kind, ResourceKind.FHIR_SERVER),
                and_(
                    exactly(grants.c.resource_kind, ResourceKind.PATIENT),
                    bindparam("resource_kind", type_=Text) == literal_column("'patient'"),
                    grants.c.resource_id == bindparam("resource_id"),
                ),
            ),
        )
        if on_server
        else (
            grants.c.resource_kind == bindparam("resource_kind"),
            grants.c.resource_type == bindparam("resource_type"),
            grants.c.resource_id == bindparam("resource_id"),
        )
    )
    return Query(found.where(*asked_about), struct(Candidate))


def on_servers_of_account(*more: Any) -> Select[Any]:
    """Return the statement that finds every open grant on FHIR servers that reaches the account `subject_id`, each as a
    `Candidate` with `more` columns; for lists, which judge each as `decide` does."""
    return _roads_to_grants(SubjectKind.ACCOUNT, *more, only_open=True, on_server=True).where(
        grants.c.fhir_server_id.is_not(None)
    )


_GATHER = {subject: _gathering(subject) for subject in SubjectKind}
_GATHER_ON_SERVER = {subject: _gathering(subject, on_server=True) for subject in SubjectKind}
# What a deed rests on. What was ended has ended, though by the deed's own instant it hadn't yet: it may have waited for a lock,
# or for a connection, and clocks differ. Whoever took it back was told that it is gone.
_GATHER_OPEN = _gathering(SubjectKind.ACCOUNT, only_open=True)
_GATHER_OPEN_ON_SERVER = _gathering(SubjectKind.ACCOUNT, only_open=True, on_server=True)


async def candidates(ctx: Context, question: Question) -> list[Candidate]:
    """Return every grant that could matter to a question, with the path by which it reaches the subject."""
    gather = _GATHER if question.fhir_server_id is None else _GATHER_ON_SERVER
    return await _gathered(gather[question.subject_kind], ctx, question)


async def open_candidates(ctx: Context, question: Question) -> list[Candidate]:
    """Return those that were not ended, for a deed of an account: its question is of now, not of then."""
    gather = _GATHER_OPEN if question.fhir_server_id is None else _GATHER_OPEN_ON_SERVER
    return await _gathered(gather, ctx, question)


async def _gathered(statement: Query[Candidate], ctx: Context, question: Question) -> list[Candidate]:
    return await statement.all(
        ctx.tx,
        subject_id=question.subject_id,
        resource_kind=question.resource_kind.value,
        resource_type=question.resource_type,
        resource_id=question.resource_id,
        fhir_server_id=question.fhir_server_id,
        resource_ids=[str(question.fhir_server_id), question.resource_id],
    )


async def check(ctx: Context, question: Question) -> Decision:
    """Return whether the subject may, now (the context's), and why or why not."""
    return decide(await candidates(ctx, question), question.level, ctx.now)


async def best_of(ctx: Context, account_id: UUID, resource: Resource) -> Allowed | None:
    """Return the most an account may do on a resource now, and by which grant; None if nothing."""
    question = Question(
        SubjectKind.ACCOUNT,
        account_id,
        Level.PUBLIC,
        resource.kind,
        resource.id,
        resource.type,
        resource.fhir_server_id,
    )
    decision = decide(await open_candidates(ctx, question), Level.PUBLIC, ctx.now)
    return decision if isinstance(decision, Allowed) else None
