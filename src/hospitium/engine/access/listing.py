"""Lists: on which resources a subject may do something, who may do it on a resource, and what one may do on the other.

They are complete, in a stable order, and go on after a key; how many there are in all is counted apart. Conditions decide, in the words of
`restrictions`; the same questions asked of `check` are answered the same, which the truth tables hold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import (
    Integer,
    SmallInteger,
    Text,
    Uuid,
    and_,
    bindparam,
    cast,
    func,
    literal_column,
    null,
    or_,
    select,
    true,
    tuple_,
    union,
)

from hospitium.engine.access.asking import candidates_of
from hospitium.engine.access.candidates import (
    ROADS,
    Road,
    candidate_rows,
    has_own,
    is_given_to,
    is_on,
    itself_alone,
    roads,
    standing_in,
    subject_may_act,
    targets,
)
from hospitium.engine.access.decide import Allowed, Candidate, decide
from hospitium.engine.access.naming import (
    Named,
    is_in_world,
    named_one,
    parameters_of,
    resolved,
    tells_no_partners_staff,
)
from hospitium.engine.access.restrictions import counts
from hospitium.engine.accounts.record import account_external_ids
from hospitium.engine.fhir_resources.record import fhir_resources
from hospitium.engine.fhir_servers.record import ServerKind, fhir_servers
from hospitium.engine.grants.record import GranteeKind, ResourceKind, grants
from hospitium.engine.ids import FIRST_ID
from hospitium.engine.levels import ACTIONS, Level
from hospitium.engine.records.record import records
from hospitium.storage.database import as_written
from hospitium.storage.statements import Query, exactly, pair, scalar, struct

if TYPE_CHECKING:
    from sqlalchemy import FromClause, Select

    from hospitium.engine.access.check import Resource
    from hospitium.engine.context import Context

FIRST = ""
"""Before every key there is."""
_g = grants.c
_MOST = bindparam("most", type_=Integer)
_AFTER_ID = bindparam("after_id", type_=Text)
_AFTER_SUBJECT = bindparam("after_subject_id", type_=Uuid)
_AFTER_SERVER = bindparam("after_server_id", type_=Uuid)


class ListedResource(msgspec.Struct, frozen=True):
    """A resource on which something is allowed: its id, as the organization's applications name it, and where it is."""

    id: str
    external_id: str | None
    fhir_server_id: UUID | None


class ListedSubject(msgspec.Struct, frozen=True):
    """A subject to whom something is allowed, and as what the organization's applications name it."""

    id: UUID
    external_id: str | None


class After(NamedTuple):
    """After which resource a list goes on: by its id, and the FHIR server where it is."""

    id: str = FIRST
    fhir_server_id: UUID = FIRST_ID


def _asked() -> FromClause:
    """One question, asked in the words of the organization `organization_id`."""
    named = named_one()
    return resolved(named, named.c.organization_id)


# -- which resources -----------------------------------------------------------------------------------------------------


def _granted(asked: FromClause, road: FromClause, kind: Any, *conditions: Any) -> Select[Any]:
    """The grants that come by one road and allow it, on resources of a kind in the asker's world; correlated with both."""
    rows = candidate_rows(grants, road, subject_may_act(asked.c.subject_kind, asked.c.subject_id))
    return (
        select(_g.resource_id, _g.fhir_server_id)
        .select_from(rows.source)
        .where(
            is_given_to(road),
            _g.resource_kind == kind,
            _g.ends_at.is_(None),
            is_in_world(rows.about_id, asked.c.organization_id, asked.c.subject_kind),
            counts(rows.row, asked.c.needed, has_own(asked.c.subject_id)),
            *conditions,
        )
        .correlate(asked, road)
    )


def _resources(*, is_count: bool) -> Query[Any]:
    asked = _asked()
    road = roads(asked, open_only=True)
    # Of each road the first few by the index, then the first few of all.
    of_road = (
        _granted(
            asked,
            road,
            asked.c.resource_kind,
            _g.resource_type == asked.c.resource_type,
            _g.resource_id > _AFTER_ID,
        )
        .with_only_columns(_g.resource_id, _server_id(_g.fhir_server_id))
        .group_by(_g.resource_id)
        .order_by(_g.resource_id)
    )
    found = (of_road if is_count else of_road.limit(_MOST)).lateral("of_road")
    every = (
        select(found.c.resource_id, _server_id(found.c.fhir_server_id))
        .select_from(asked.join(road, true()).join(found, true()))
        .group_by(found.c.resource_id)
    )
    if is_count:
        return Query(
            select(func.count().label("total")).select_from(every.subquery("every")), scalar("total")
        )
    page = every.order_by(found.c.resource_id).limit(_MOST).subquery("page")
    return Query(
        select(page.c.resource_id.label("id"), records.c.external_id, page.c.fhir_server_id)
        .select_from(page.outerjoin(records, records.c.id == cast(page.c.resource_id, Uuid)))
        .order_by(page.c.resource_id),
        struct(ListedResource),
    )


def _server_id(column: Any) -> Any:
    """Where a resource is: as far as these grants go, the same of all of them."""
    return cast(func.min(cast(column, Text)), Uuid).label("fhir_server_id")


def _patients(*, is_count: bool) -> Query[Any]:
    """Patients that were granted themselves, and all on the FHIR servers that were granted whole and whose resources live here."""
    asked = _asked()
    road, place = roads(asked, open_only=True), tuple_(_AFTER_ID, _AFTER_SERVER)
    on_server = or_(asked.c.fhir_server_id.is_(None), _g.fhir_server_id == asked.c.fhir_server_id)
    kind = literal_column(f"'{ResourceKind.PATIENT}'", Text)
    one = (
        _granted(
            asked,
            road,
            kind,
            on_server,
            # So the index is walked in its own order, from the key on: it knows the type before the id, and nothing of servers.
            exactly(_g.resource_type, ""),
            _g.resource_id >= _AFTER_ID,
            tuple_(_g.resource_id, _g.fhir_server_id) > place,
        )
        .group_by(_g.resource_id, _g.fhir_server_id)
        .order_by(_g.resource_id, _g.fhir_server_id)
    )
    one = one if is_count else one.limit(_MOST)
    of_road = one.lateral("of_road")
    singly = select(of_road.c.resource_id.label("id"), of_road.c.fhir_server_id).select_from(
        asked.join(road, true()).join(of_road, true())
    )
    whole = _whole_servers(asked, on_server)
    p = fhir_resources.c
    there = (
        select(p.id, p.fhir_server_id)
        .where(
            p.fhir_server_id == whole.c.fhir_server_id,
            exactly(p.type, "Patient"),
            p.id >= _AFTER_ID,
            tuple_(p.id, p.fhir_server_id) > place,
        )
        .order_by(p.id)
        .correlate(whole)
    )
    on_it = (there if is_count else there.limit(_MOST)).lateral("there")
    wholly = select(on_it.c.id, on_it.c.fhir_server_id).select_from(whole.join(on_it, true()))
    every = singly.union(wholly).subquery("every")
    if is_count:
        return Query(select(func.count().label("total")).select_from(every), scalar("total"))
    return Query(
        select(every.c.id, cast(null(), Text).label("external_id"), every.c.fhir_server_id)
        .order_by(every.c.id, every.c.fhir_server_id)
        .limit(_MOST),
        struct(ListedResource),
    )


def _whole_servers(asked: FromClause, *conditions: Any) -> FromClause:
    """The FHIR servers on which the whole is allowed."""
    road = roads(asked, open_only=True)
    kind = literal_column(f"'{ResourceKind.FHIR_SERVER}'", Text)
    found = _granted(asked, road, kind, *conditions).lateral("granted")
    return (
        select(found.c.fhir_server_id)
        .select_from(asked.join(road, true()).join(found, true()))
        .distinct()
        .subquery("whole")
    )


def _elsewhere() -> Query[Any]:
    """Those of them whose patients can't be listed, because they live elsewhere."""
    asked = _asked()
    on_server = or_(asked.c.fhir_server_id.is_(None), _g.fhir_server_id == asked.c.fhir_server_id)
    whole = _whole_servers(asked, on_server)
    return Query(
        select(fhir_servers.c.id)
        .join(whole, whole.c.fhir_server_id == fhir_servers.c.id)
        .where(exactly(fhir_servers.c.kind, ServerKind.REMOTE))
        .order_by(fhir_servers.c.id),
        scalar("id"),
    )


_RESOURCES, _COUNT_RESOURCES = _resources(is_count=False), _resources(is_count=True)
_PATIENTS, _COUNT_PATIENTS = _patients(is_count=False), _patients(is_count=True)
_ELSEWHERE = _elsewhere()


async def resources(
    ctx: Context, organization_id: UUID, named: Named, after: After, most: int
) -> list[ListedResource]:
    """Return at most so many resources of a type, in the world of an organization, on which the subject may do the action now: those
    after one of them, by id. (`named.resource_id` says nothing; `named.fhir_server_id`: only patients there.)"""
    await as_written(ctx.tx)
    statement = _PATIENTS if named.resource_type == "Patient" else _RESOURCES
    found: list[ListedResource] = await statement.all(
        ctx.tx, most=most, **_parameters(ctx, organization_id, named, after)
    )
    return found


async def count_resources(ctx: Context, organization_id: UUID, named: Named) -> int:
    """Return how many there are in all."""
    statement = _COUNT_PATIENTS if named.resource_type == "Patient" else _COUNT_RESOURCES
    total: int | None = await statement.first(ctx.tx, **_parameters(ctx, organization_id, named, After()))
    return total or 0


async def patients_elsewhere(ctx: Context, organization_id: UUID, named: Named) -> list[UUID]:
    """Return the FHIR servers on which the subject may do it to every patient, and whose patients are known there only."""
    found: list[UUID] = await _ELSEWHERE.all(ctx.tx, **_parameters(ctx, organization_id, named, None))
    return found


# -- who -----------------------------------------------------------------------------------------------------------------


def _asked_by_id() -> FromClause:
    """One question about a resource, by its id: to whom is a level allowed there?"""
    return select(
        bindparam("subject_kind", type_=Text).label("subject_kind"),
        *(
            bindparam(f"resource_{name}", type_=Text).label(f"resource_{name}")
            for name in ("kind", "type", "id")
        ),
        bindparam("fhir_server_id", type_=Uuid).label("fhir_server_id"),
        bindparam("needed", type_=SmallInteger).label("needed"),
    ).subquery("asked")


def _subjects(asked: FromClause, *, in_world: bool, is_count: bool) -> Query[Any]:
    """Whom grants on the resource reach: accounts through whatever they stand in, others themselves."""
    most = None if is_count else _MOST
    found = [_directly(asked, in_world=in_world)]
    found += [_through(asked, road, in_world=in_world, most=most) for road in ROADS]
    every = union(*found).subquery("every")
    if is_count:
        return Query(select(func.count().label("total")).select_from(every), scalar("total"))
    page = select(every.c.subject_id).order_by(every.c.subject_id).limit(_MOST).subquery("page")
    names = account_external_ids
    named_here = and_(
        names.c.account_id == page.c.subject_id,
        names.c.organization_id == bindparam("organization_id", type_=Uuid),
    )
    return Query(
        select(page.c.subject_id.label("id"), names.c.external_id)
        .select_from(page.outerjoin(names, named_here))
        .order_by(page.c.subject_id),
        struct(ListedSubject),
    )


def _directly(asked: FromClause, *, in_world: bool) -> Select[Any]:
    """Subjects of the kind asked for that were granted it themselves."""
    target, road = targets(asked), itself_alone()
    rows = candidate_rows(
        asked.join(target, true()).join(grants, is_on(target)).join(road, true()),
        road,
        subject_may_act(asked.c.subject_kind, _g.grantee_id),
    )
    return (
        select(_g.grantee_id.label("subject_id"))
        .select_from(rows.source)
        .where(
            _g.grantee_kind == asked.c.subject_kind,
            _g.ends_at.is_(None),
            _g.grantee_id > _AFTER_SUBJECT,
            is_in_world(rows.about_id, asked.c.organization_id, asked.c.subject_kind) if in_world else true(),
            counts(rows.row, asked.c.needed, literal_column("false")),
        )
    )


def _through(asked: FromClause, stands_in: Road, *, in_world: bool, most: Any) -> Select[Any]:
    """Accounts that stand in something which was granted it; of each grant the first few by the index (`most`; None: all)."""
    target, road = targets(asked), standing_in(stands_in)
    rows = candidate_rows(
        asked.join(target, true()).join(grants, is_on(target)),
        road,
        subject_may_act(literal_column(f"'{GranteeKind.ACCOUNT}'", Text), road.c.account_id),
    )
    standing = (
        select(road.c.account_id)
        .select_from(road)
        .where(
            road.c.account_id > _AFTER_SUBJECT,
            counts(rows.row, asked.c.needed, has_own(road.c.account_id)),
        )
        .correlate_except(road)
    )
    told = true()
    if in_world:
        told = is_in_world(rows.about_id, asked.c.organization_id, asked.c.subject_kind)
    elif stands_in.kind is GranteeKind.ORGANIZATION:
        told = tells_no_partners_staff(bindparam("organization_id", type_=Uuid))
    few = (standing if most is None else standing.order_by(road.c.account_id).limit(most)).lateral("few")
    return (
        select(few.c.account_id.label("subject_id"))
        .select_from(rows.source.join(few, true()))
        .where(
            exactly(asked.c.subject_kind, GranteeKind.ACCOUNT),
            exactly(_g.grantee_kind, stands_in.kind),
            _g.ends_at.is_(None),
            told,
        )
    )


_SUBJECTS, _COUNT_SUBJECTS = (
    _subjects(_asked(), in_world=True, is_count=is_count) for is_count in (False, True)
)
_ACCOUNTS_ON, _COUNT_ACCOUNTS_ON = (
    _subjects(_asked_by_id(), in_world=False, is_count=is_count) for is_count in (False, True)
)


async def subjects(
    ctx: Context, organization_id: UUID, named: Named, after: UUID, most: int
) -> list[ListedSubject]:
    """Return at most so many subjects of a type who may do the action on a resource now, in the world of an organization: those after one
    of them, by id, inherited access included. (`named.subject_id` says nothing.)"""
    await as_written(ctx.tx)
    found: list[ListedSubject] = await _SUBJECTS.all(
        ctx.tx, most=most, after_subject_id=after, **_parameters(ctx, organization_id, named, None)
    )
    return found


async def count_subjects(ctx: Context, organization_id: UUID, named: Named) -> int:
    """Return how many there are in all."""
    total: int | None = await _COUNT_SUBJECTS.first(
        ctx.tx, after_subject_id=FIRST_ID, **_parameters(ctx, organization_id, named, None)
    )
    return total or 0


async def accounts_on(
    ctx: Context, resource: Resource, needed: Level, after: UUID, most: int
) -> list[ListedSubject]:
    """Return at most so many accounts who may do up to a level on a resource now, whoever's applications ask, after one of them, by id;
    named as the actor's organization names them. For whoever may know all of it, but who works for a partner."""
    await as_written(ctx.tx)
    found: list[ListedSubject] = await _ACCOUNTS_ON.all(
        ctx.tx, most=most, after_subject_id=after, **_of(ctx, resource, needed)
    )
    return found


async def count_accounts_on(ctx: Context, resource: Resource, needed: Level) -> int:
    """Return how many there are in all."""
    total: int | None = await _COUNT_ACCOUNTS_ON.first(
        ctx.tx, after_subject_id=FIRST_ID, **_of(ctx, resource, needed)
    )
    return total or 0


def _of(ctx: Context, resource: Resource, needed: Level) -> dict[str, Any]:
    return {
        "now": ctx.now,
        "organization_id": ctx.actor.organization_id,
        "subject_kind": GranteeKind.ACCOUNT.value,
        "resource_kind": resource.kind.value,
        "resource_type": resource.type,
        "resource_id": resource.id,
        "fhir_server_id": resource.fhir_server_id,
        "needed": int(needed),
    }


# -- everything ----------------------------------------------------------------------------------------------------------


class Reachable(msgspec.Struct, frozen=True):
    """A resource that one may do something on, by its key in the list."""

    kind: ResourceKind
    type: str
    id: str
    fhir_server_id: UUID | None


NOTHING_BEFORE = Reachable(ResourceKind.ACCOUNT, "", "", None)
"""Before every resource there is: `account` is the first of the kinds."""
_KEY = (_g.resource_kind, _g.resource_type, _g.resource_id)


def _everything(*, is_count: bool) -> Query[Any]:
    """All that grants give an account, of whatever kind; of a FHIR server that is granted whole the server, not each of its patients."""
    asked = select(
        bindparam("subject_kind", GranteeKind.ACCOUNT.value, type_=Text).label("subject_kind"),
        bindparam("subject_id", type_=Uuid).label("subject_id"),
    ).subquery("asked")
    within = bindparam("within", type_=Uuid)
    road = roads(asked, open_only=True)
    rows = candidate_rows(grants, road, subject_may_act(asked.c.subject_kind, asked.c.subject_id))
    after = [bindparam(f"after_{name}", type_=Text) for name in ("kind", "type", "id")]
    of_road = (
        select(*_KEY, _g.fhir_server_id)
        .select_from(rows.source)
        .where(
            is_given_to(road),
            tuple_(*_KEY) >= tuple_(*after),  # what the index can tell by itself
            tuple_(*_KEY, func.coalesce(_g.fhir_server_id, FIRST_ID)) > tuple_(*after, _AFTER_SERVER),
            _g.ends_at.is_(None),
            or_(within.is_(None), is_in_world(rows.about_id, within, asked.c.subject_kind)),
            counts(rows.row, literal_column(str(int(Level.CONNECTED))), has_own(asked.c.subject_id)),
        )
        .group_by(*_KEY, _g.fhir_server_id)
        .order_by(*_KEY, _g.fhir_server_id)
        .correlate(asked, road)
    )
    found = (of_road if is_count else of_road.limit(_MOST)).lateral("of_road")
    columns = [found.c.resource_kind, found.c.resource_type, found.c.resource_id, found.c.fhir_server_id]
    every = select(*columns).select_from(asked.join(road, true()).join(found, true())).group_by(*columns)
    if is_count:
        return Query(
            select(func.count().label("total")).select_from(every.subquery("every")), scalar("total")
        )
    p = every.order_by(*columns).limit(_MOST).subquery("page").c
    return Query(
        select(
            p.resource_kind.label("kind"),
            p.resource_type.label("type"),
            p.resource_id.label("id"),
            p.fhir_server_id,
        ).order_by(p.resource_kind, p.resource_type, p.resource_id, p.fhir_server_id),
        struct(Reachable),
    )


_EVERYTHING, _COUNT_EVERYTHING = _everything(is_count=False), _everything(is_count=True)


async def everything(
    ctx: Context, account_id: UUID, within: UUID | None, after: Reachable, most: int
) -> list[Reachable]:
    """Return at most so many resources on which an account may do something (level 2 and more) now, after one of them; `within`: only in
    the world of an organization."""
    await as_written(ctx.tx)
    found: list[Reachable] = await _EVERYTHING.all(
        ctx.tx, most=most, **_all_of(ctx, account_id, within, after)
    )
    return found


async def count_everything(ctx: Context, account_id: UUID, within: UUID | None) -> int:
    """Return how many there are in all."""
    total: int | None = await _COUNT_EVERYTHING.first(
        ctx.tx, **_all_of(ctx, account_id, within, NOTHING_BEFORE)
    )
    return total or 0


def _all_of(ctx: Context, account_id: UUID, within: UUID | None, after: Reachable) -> dict[str, Any]:
    return {
        "now": ctx.now,
        "subject_id": account_id,
        "within": within,
        "after_kind": after.kind.value,
        "after_type": after.type,
        "after_id": after.id,
        "after_server_id": after.fhir_server_id or FIRST_ID,
    }


# -- what ----------------------------------------------------------------------------------------------------------------


def _best() -> Query[tuple[dict[str, int] | None, Candidate]]:
    asked = _asked()
    found = candidates_of(asked).correlate(asked).lateral("found")
    return Query(
        select(asked.c.actions, *found.c).select_from(asked.join(found, true())),
        pair(scalar("actions"), struct(Candidate)),
    )


_BEST = _best()


async def actions(ctx: Context, organization_id: UUID, named: Named) -> list[str]:
    """Return the names of the actions that the subject may do on the resource now, in the world of an organization, in order. (`named.action`
    says nothing.)"""
    found = await _BEST.all(ctx.tx, **_parameters(ctx, organization_id, named, None))
    decision = decide([candidate for _, candidate in found], Level.PUBLIC, ctx.now)
    if not isinstance(decision, Allowed):
        return []
    needed = {**ACTIONS, **(found[0][0] or {})}
    return sorted(name for name, level in needed.items() if level <= decision.level)


def _parameters(ctx: Context, organization_id: UUID, named: Named, after: After | None) -> dict[str, Any]:
    place = {} if after is None else {"after_id": after.id, "after_server_id": after.fhir_server_id}
    return {"now": ctx.now, "organization_id": organization_id, **parameters_of(named), **place}
