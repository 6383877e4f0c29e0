"""Check: gather what could matter to a question, or to many, in a single snapshot and statement, and let `decide` judge it."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import Text, Uuid, bindparam, func, literal_column, select, true
from sqlalchemy.dialects.postgresql import ARRAY

from hospitium.engine.access.candidates import (
    candidate_rows,
    is_given_to,
    is_on,
    roads,
    subject_may_act,
    targets,
)
from hospitium.engine.access.decide import Allowed, Candidate, Decision, decide
from hospitium.engine.grants.record import GranteeKind, ResourceKind, grants
from hospitium.engine.levels import Level
from hospitium.storage.statements import Query, pair, scalar, struct

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import FromClause, Select

    from hospitium.engine.access.candidates import Rows
    from hospitium.engine.context import Context


class SubjectKind(StrEnum):
    ACCOUNT = "account"
    TEAM = "team"
    ORGANIZATION = "organization"
    PERSON = "person"


class Question(msgspec.Struct, frozen=True):
    """May this subject do up to this level on this resource?"""

    subject_kind: SubjectKind
    subject_id: UUID
    level: Level
    resource_kind: ResourceKind
    resource_id: str
    resource_type: str = ""
    fhir_server_id: UUID | None = None  # of a patient, and of a FHIR server itself
    # An organization that isn't told who works for another; None: whoever may know.
    told_to: UUID | None = None

    def tells(self, candidate: Candidate) -> bool:
        """Whether a grant, as it comes to the subject, may be told: that an account may connect because it works for an organization, that
        one alone is told."""
        return (
            self.told_to is None
            or candidate.grantee_id == self.told_to
            or candidate.grantee_kind is not GranteeKind.ORGANIZATION
            or candidate.resource_kind is not ResourceKind.ORGANIZATION
            or self.subject_kind is not SubjectKind.ACCOUNT
        )


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


_ASKED = {
    "subject_kind": Text,
    "subject_id": Uuid,
    "resource_kind": Text,
    "resource_type": Text,
    "resource_id": Text,
    "fhir_server_id": Uuid,
}


def unnested(columns: dict[str, Any], name: str) -> FromClause:
    """Return arrays that come as parameters, called as the columns are, as one table, its rows numbered from 1 (`place`)."""
    arrays = [bindparam(f"{column}s", type_=ARRAY(kind)) for column, kind in columns.items()]
    found: FromClause = (
        func.unnest(*arrays).table_valued(*columns, with_ordinality="place").render_derived(name=name)
    )
    return found


def single(columns: dict[str, Any], name: str) -> FromClause:
    """Return the same with one row, of plain parameters: its plan is made once, where that of arrays depends on how long they are."""
    one = [bindparam(column, type_=kind).label(column) for column, kind in columns.items()]
    return select(*one, literal_column("1").label("place")).subquery(name)


def _gathering(asked: FromClause, *, open_only: bool) -> Query[tuple[int, Candidate]]:
    road, target = roads(asked, open_only=open_only), targets(asked)
    source = asked.join(road, true()).join(target, true()).join(grants, is_given_to(road) & is_on(target))
    rows = candidate_rows(source, road, subject_may_act(asked.c.subject_kind, asked.c.subject_id))
    found = select(asked.c.place, *rows.columns()).select_from(rows.source)
    return Query(
        found.where(grants.c.ends_at.is_(None)) if open_only else found,
        pair(scalar("place"), struct(Candidate)),
    )


def open_rows(asked: FromClause, *, in_from: bool) -> Rows:
    """Return the rows of every grant that reaches the account of `asked` (`subject_kind`, `subject_id`) along a road which is open; that the
    grant is, and what it is on, their statement says. `in_from`: `asked` stands in its FROM; else it is correlated with that."""
    road = roads(asked, open_only=True)
    source = asked.join(road, true()) if in_from else road
    return candidate_rows(
        source.join(grants, is_given_to(road)),
        road,
        subject_may_act(asked.c.subject_kind, asked.c.subject_id),
    )


def on_servers_of_account(*more: Any) -> Select[Any]:
    """Return the statement that finds every open grant on FHIR servers that reaches the account `subject_id`, each as a
    `Candidate` with `more` columns; for lists, which judge each as `decide` does."""
    asked = select(
        bindparam("subject_kind", GranteeKind.ACCOUNT.value, type_=Text).label("subject_kind"),
        bindparam("subject_id", type_=Uuid).label("subject_id"),
    ).subquery("asked")
    found = open_rows(asked, in_from=True).select(*more)
    return found.where(grants.c.fhir_server_id.is_not(None), grants.c.ends_at.is_(None))


_GATHER = _gathering(single(_ASKED, "asked"), open_only=False)
# What a deed rests on. What was ended has ended, though by the deed's own instant it hadn't yet: it may have waited for a lock,
# or for a connection, and clocks differ. Whoever took it back was told that it is gone.
_GATHER_OPEN = _gathering(single(_ASKED, "asked"), open_only=True)
_GATHER_OPEN_OF_MANY = _gathering(unnested(_ASKED, "asked"), open_only=True)


async def candidates(ctx: Context, question: Question) -> list[Candidate]:
    """Return every grant that could matter to a question, with the path by which it reaches the subject."""
    found = await _GATHER.all(ctx.tx, **_parameters(question))
    return [candidate for _, candidate in found if question.tells(candidate)]


async def open_candidates(ctx: Context, question: Question) -> list[Candidate]:
    """Return those that were not ended, for a deed: its question is of now, not of then."""
    found = await _GATHER_OPEN.all(ctx.tx, **_parameters(question))
    return [candidate for _, candidate in found if question.tells(candidate)]


def _parameters(question: Question) -> dict[str, Any]:
    return {
        "subject_kind": question.subject_kind.value,
        "subject_id": question.subject_id,
        "resource_kind": question.resource_kind.value,
        "resource_type": question.resource_type,
        "resource_id": question.resource_id,
        "fhir_server_id": question.fhir_server_id,
    }


async def check(ctx: Context, question: Question) -> Decision:
    """Return whether the subject may, at the context's instant, and why or why not."""
    return decide(await candidates(ctx, question), question.level, ctx.now)


async def check_all(ctx: Context, questions: Sequence[Question]) -> list[Decision]:
    """Return the answers to many questions, in their order, out of one snapshot."""
    each = [_parameters(question) for question in questions]
    found: list[list[Candidate]] = [[] for _ in questions]
    rows = await _GATHER_OPEN_OF_MANY.all(
        ctx.tx, **{f"{name}s": [one[name] for one in each] for name in _ASKED}
    )
    for place, candidate in rows:
        if questions[place - 1].tells(candidate):
            found[place - 1].append(candidate)
    return [decide(of_one, one.level, ctx.now) for of_one, one in zip(found, questions, strict=True)]


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
