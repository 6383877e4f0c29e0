"""Many questions of applications in one statement: who asks (by a service key), what is named, and every grant that could matter.

The key's rows are read in the same snapshot as the grants, so that a key that was ended, and a grant that was revoked, hold for no
question that is begun after.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import Boolean, LargeBinary, and_, cast, false, func, select, true

from hospitium.engine.access.candidates import (
    candidate_rows,
    is_given_to,
    is_on,
    roads,
    subject_may_act,
    targets,
)
from hospitium.engine.access.decide import Candidate, Decision, Denied, decide
from hospitium.engine.access.naming import Named, is_in_world, named_many, parameters_of_many, resolved
from hospitium.engine.grants.record import grants
from hospitium.engine.levels import Level
from hospitium.engine.organizations.record import OrganizationStatus, organizations
from hospitium.engine.service_keys.record import Scope, service_keys
from hospitium.storage.statements import Query, exactly, pair, struct

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import FromClause, Select

    from hospitium.storage.database import Transaction

NO_ACTION = Denied("there is no such action")


class Asker(msgspec.Struct, frozen=True):
    """The service key by which a question is asked, as its rows say now."""

    place: int
    key_id: UUID | None  # None: there is no such key, or it was ended
    organization_is_active: bool
    scopes: list[Scope] | None
    needed: Level | None


class Asked(NamedTuple):
    """Who asks, by which key (its SHA-256), and what."""

    digest: bytes
    named: Named


class Answer(NamedTuple):
    """Who asked, and the decision."""

    asker: Asker
    decision: Decision


def candidates_of(asked: FromClause, *more: Any) -> Select[Any]:
    """Return the statement of the open grants that could matter to each row of `asked`, in its world; correlated with that."""
    road, target = roads(asked, open_only=True), targets(asked)
    source = road.join(target, true()).join(grants, is_given_to(road) & is_on(target))
    rows = candidate_rows(source, road, subject_may_act(asked.c.subject_kind, asked.c.subject_id))
    return rows.select(*more).where(
        grants.c.ends_at.is_(None),
        is_in_world(rows.about_id, asked.c.organization_id, asked.c.subject_kind),
    )


def _statement() -> Query[tuple[Asker, Candidate]]:
    named = named_many(digest=LargeBinary)
    is_active = func.coalesce(exactly(organizations.c.status, OrganizationStatus.ACTIVE), false())
    keyed = (
        select(
            named,
            service_keys.c.id.label("key_id"),
            service_keys.c.scopes,
            service_keys.c.organization_id,
            cast(is_active, Boolean).label("organization_is_active"),
        )
        .select_from(
            named.outerjoin(
                service_keys,
                and_(service_keys.c.digest == named.c.digest, service_keys.c.ended_at.is_(None)),
            ).outerjoin(organizations, organizations.c.id == service_keys.c.organization_id)
        )
        .subquery("named")
    )
    asked = resolved(
        keyed, keyed.c.organization_id, keyed.c.key_id, keyed.c.organization_is_active, keyed.c.scopes
    )
    found = candidates_of(asked).correlate(asked).lateral("found")
    return Query(
        select(*(asked.c[name] for name in Asker.__struct_fields__), *found.c).select_from(
            asked.outerjoin(found, true())
        ),
        pair(struct(Asker), struct(Candidate)),
    )


_ANSWER = _statement()


async def answer(tx: Transaction, asked: Sequence[Asked], now: datetime) -> list[Answer]:
    """Return the answers to questions of any number of askers, in their order, out of one snapshot."""
    rows = await _ANSWER.all(
        tx, digests=[one.digest for one in asked], **parameters_of_many([one.named for one in asked])
    )
    candidates: list[list[Candidate]] = [[] for _ in asked]
    askers: list[Asker | None] = [None] * len(asked)
    for asker, candidate in rows:
        askers[asker.place - 1] = asker
        if candidate.grant_id is not None:
            candidates[asker.place - 1].append(candidate)
    return [
        Answer(asker, decide(found, asker.needed, now) if asker.needed is not None else NO_ACTION)
        for asker, found in zip(askers, candidates, strict=True)
        if asker is not None  # there is a row for each, always
    ]
