"""By which path a grant reaches a subject, step by step: what it stands in, the grant with who gave it and when, and what it is on."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from sqlalchemy import Uuid, bindparam, case, cast, func, not_, select
from sqlalchemy.dialects.postgresql import ARRAY

from hospitium.engine.accounts.record import accounts
from hospitium.engine.fhir_servers.record import fhir_servers
from hospitium.engine.grants.record import CauseKind, GranteeKind, ResourceKind, grants
from hospitium.engine.invites.record import invites
from hospitium.engine.object_types.record import object_types
from hospitium.engine.organizations.record import organizations
from hospitium.engine.shares.record import shares
from hospitium.engine.teams.record import teams
from hospitium.storage.statements import Query, exactly, struct

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hospitium.engine.access.decide import Candidate
    from hospitium.engine.context import Context


class Given(msgspec.Struct, frozen=True):
    """A grant as it is told to whoever may know: of what, to whom, because of what, by whom and when."""

    grant_id: UUID
    resource_kind: ResourceKind
    resource_id: str
    fhir_server_id: UUID | None
    cause_kind: CauseKind
    cause_id: UUID | None
    is_owner: bool
    given_by_id: UUID | None  # None: the operator; or of a partnership somebody, who may be the partner's
    given_by_name: str | None
    given_at: datetime
    grantee_name: str | None  # of an organization or a team; a person is not told by name
    type_name: str | None  # of a record
    resource_name: str | None  # of an organization or a FHIR server


_g = grants.c
_giver, _grantee, _about = (
    accounts.alias("giver"),
    organizations.alias("grantee"),
    organizations.alias("about"),
)
_given_by = case(
    (
        not_(exactly(_g.cause_kind, CauseKind.PARTNERSHIP)),
        func.coalesce(shares.c.creator_id, invites.c.created_by_id, _g.made_by_id),
    )
)
_name = func.nullif(func.concat_ws(" ", _giver.c.first_name, _giver.c.last_name), "")
_GIVEN = Query(
    select(
        _g.id.label("given__grant_id"),
        _g.resource_kind,
        _g.resource_id,
        _g.fhir_server_id,
        _g.cause_kind,
        _g.cause_id,
        _g.is_owner,
        _given_by.label("given__given_by_id"),
        _name.label("given__given_by_name"),
        func.coalesce(shares.c.created_at, invites.c.created_at, _g.starts_at).label("given__given_at"),
        func.coalesce(_grantee.c.name, teams.c.name).label("given__grantee_name"),
        object_types.c.name.label("given__type_name"),
        func.coalesce(_about.c.name, fhir_servers.c.name).label("given__resource_name"),
    )
    .select_from(
        grants.outerjoin(shares, exactly(_g.cause_kind, CauseKind.SHARE) & (shares.c.id == _g.cause_id))
        .outerjoin(invites, exactly(_g.cause_kind, CauseKind.INVITE) & (invites.c.id == _g.cause_id))
        .outerjoin(_giver, _giver.c.id == _given_by)
        .outerjoin(
            _grantee, exactly(_g.grantee_kind, GranteeKind.ORGANIZATION) & (_grantee.c.id == _g.grantee_id)
        )
        .outerjoin(teams, exactly(_g.grantee_kind, GranteeKind.TEAM) & (teams.c.id == _g.grantee_id))
        .outerjoin(
            object_types,
            object_types.c.id
            == case((exactly(_g.resource_kind, ResourceKind.RECORD), cast(_g.resource_type, Uuid))),
        )
        .outerjoin(fhir_servers, fhir_servers.c.id == _g.fhir_server_id)
        .outerjoin(
            _about,
            _about.c.id
            == case((exactly(_g.resource_kind, ResourceKind.ORGANIZATION), cast(_g.resource_id, Uuid))),
        )
    )
    .where(_g.id == func.any(bindparam("grant_ids", type_=ARRAY(Uuid)))),
    struct(Given),
)


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """One step of a path: a noun and its id; from when until when it holds, and of a grant how much, why, from whom and since when."""

    kind: str
    id: str
    name: str | None = None
    fhir_server_id: UUID | None = None
    role: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    level: int | None = None
    because: str | None = None
    cause_id: UUID | None = None
    given_by_id: UUID | None = None
    given_by_name: str | None = None
    given_at: datetime | None = None


async def given(ctx: Context, grant_ids: Iterable[UUID]) -> dict[UUID, Given]:
    """Return what is told of some grants, by their ids. For whoever may know of them."""
    found = await _GIVEN.all(ctx.tx, grant_ids=list(set(grant_ids)))
    return {one.grant_id: one for one in found}


def path(subject_kind: str, subject_id: UUID, candidate: Candidate, told: Given) -> list[Step]:
    """Return the steps from a subject to what a grant is on."""
    steps = [Step(subject_kind, str(subject_id))]
    if candidate.stands_in_it:
        steps.append(
            Step(
                candidate.grantee_kind.value,
                str(candidate.grantee_id),
                name=told.grantee_name,
                role=None if candidate.role is None else candidate.role.value,
                since=candidate.membership_starts_at,
                until=candidate.membership_ends_at,
                level=None if candidate.road_level is None else int(candidate.road_level),
            )
        )
    steps.append(
        Step(
            "grant",
            str(candidate.grant_id),
            since=candidate.starts_at,
            until=candidate.ends_at,
            level=int(candidate.level),
            because=candidate.cause_kind.value,
            cause_id=candidate.cause_id,
            given_by_id=told.given_by_id,
            given_by_name=told.given_by_name,
            given_at=told.given_at,
        )
    )
    steps.append(
        Step(
            told.resource_kind.value,
            told.resource_id,
            name=told.type_name or told.resource_name,
            fhir_server_id=told.fhir_server_id,
        )
    )
    return steps
