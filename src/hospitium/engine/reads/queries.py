"""Who looked: the reads that concern a person, for whoever looks after it; and those of a FHIR server, for its administrators."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import Text, Uuid, and_, bindparam, func, literal_column, or_, select, true, tuple_
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP

from hospitium.engine.accounts.record import accounts
from hospitium.engine.errors import NotFound
from hospitium.engine.events import EventKind, PartyKind, event_parties, events
from hospitium.engine.fhir_servers import queries as servers
from hospitium.engine.fhir_servers.record import fhir_servers
from hospitium.engine.grants.record import CauseKind, GranteeKind, ResourceKind, grants
from hospitium.engine.organizations.record import organizations
from hospitium.engine.permissions import Permission, require
from hospitium.engine.persons import queries as persons
from hospitium.engine.reads.record import Interaction, party_of_patient
from hospitium.storage.statements import Query, exactly, one_of, scalar, struct, triple

if TYPE_CHECKING:
    from hospitium.engine.context import Context

_e, _p, _g = events.c, event_parties.c, grants.c
_WHEN = TIMESTAMP(timezone=True)
READS = (EventKind.FHIR_READ, EventKind.FHIR_READ_REFUSED)


class GrantUsed(NamedTuple):
    """A grant by which something was read: to what kind of grantee it was given, and because of what."""

    id: UUID
    grantee_kind: GranteeKind
    cause_kind: CauseKind


class ReadView(msgspec.Struct, frozen=True):
    """A read as it is shown: who read what, where, when, and by which grants.

    `reader_id` is None of an application; his names are None of an account that was deleted. `for_organization` is told where he read for
    one, and not for himself. `patient_ids` are those that the asker may know of; `count` is None where others were shown, too.
    """

    id: UUID
    at: datetime
    interaction: Interaction
    type: str | None
    resource_id: str | None
    patient_ids: list[str]
    count: int | None
    refused: str | None
    query_digest: str | None
    server_id: UUID
    server_name: str
    organization_id: UUID
    organization_name: str
    reader_id: UUID | None
    reader_first_name: str | None
    reader_last_name: str | None
    for_organization_id: UUID | None
    for_organization_name: str | None
    service_key_id: UUID | None
    grants: list[GrantUsed]


# -- whom a read concerns ----------------------------------------------------------------------------------------------


_patient = (
    func.unnest(
        bindparam("patient_events", type_=ARRAY(Uuid)),
        bindparam("server_ids", type_=ARRAY(Uuid)),
        bindparam("patient_ids", type_=ARRAY(Text)),
    )
    .table_valued("event_id", "server_id", "patient_id", name="patient")
    .render_derived()
)


def _granted(server_id: Any, patient_id: Any) -> Any:
    return and_(
        _g.resource_id == patient_id,
        exactly(_g.resource_kind, ResourceKind.PATIENT),
        _g.fhir_server_id == server_id,
        exactly(_g.grantee_kind, GranteeKind.PERSON),
        _g.starts_at <= bindparam("now", type_=_WHEN),
        _g.ends_at.is_(None),
        or_(_g.until.is_(None), _g.until > bindparam("now", type_=_WHEN)),
    )


PERSONS_GRANTED = (
    select(_patient.c.event_id, _g.grantee_id, literal_column(f"'{PartyKind.PERSON.value}'", Text))
    .select_from(_patient)
    .join(grants, _granted(_patient.c.server_id, _patient.c.patient_id))
)
"""The persons that have an open grant on a patient who was read, as parties of that event; part of `actions.record_all`."""
_PERSONS_GRANTED = Query(
    select(_g.grantee_id)
    .where(_granted(bindparam("server_id", type_=Uuid), bindparam("patient_id", type_=Text)))
    .distinct()
    .order_by(_g.grantee_id),
    scalar("grantee_id"),
)


async def persons_granted(ctx: Context, server_id: UUID, patient_id: str) -> list[UUID]:
    """Return the persons that have an open grant on a patient."""
    return await _PERSONS_GRANTED.all(ctx.tx, now=ctx.now, server_id=server_id, patient_id=patient_id)


# -- who looked --------------------------------------------------------------------------------------------------------


class _Row(msgspec.Struct, frozen=True):
    id: UUID
    at: datetime
    server_id: UUID
    server_name: str
    organization_id: UUID
    organization_name: str
    reader_id: UUID | None
    reader_first_name: str | None
    reader_last_name: str | None
    for_organization_id: UUID | None
    for_organization_name: str | None
    data: dict[str, Any]


_server = bindparam("server_id", type_=Uuid)
_on_server = or_(_server.is_(None), _e.subject_id == _server)


def _newest(of_party: bool, *conditions: Any) -> Query[_Row]:
    """Return the statement of the newest reads: of a party's trail, or of a FHIR server. What is wanted is chosen first, by an index that is
    walked from its end; each event is looked up by itself."""
    is_read = one_of(_e.kind, READS)
    if of_party:
        one = (
            select(_e.id)
            .where(_e.id == _p.event_id, _e.at == _p.at, is_read, _on_server)
            .limit(1)
            .correlate(event_parties)
            .lateral("one")
        )
        chosen = (
            select(_p.at, _p.event_id)
            .select_from(event_parties.join(one, true()))
            .where(_p.party_id == bindparam("party_id", type_=Uuid), *conditions)
            .order_by(_p.at.desc(), _p.event_id.desc())
        )
    else:
        chosen = (
            select(_e.at, _e.id.label("event_id"))
            .where(is_read, _e.subject_id == _server, *conditions)
            .order_by(_e.at.desc(), _e.id.desc())
        )
    page = chosen.limit(bindparam("most")).subquery("page")
    whose, for_whom = organizations.alias("whose"), organizations.alias("for_whom")
    return Query(
        select(
            _e.id,
            _e.at,
            fhir_servers.c.id.label("row__server_id"),
            fhir_servers.c.name.label("row__server_name"),
            whose.c.id.label("row__organization_id"),
            whose.c.name.label("row__organization_name"),
            _e.actor_account_id.label("row__reader_id"),
            accounts.c.first_name.label("row__reader_first_name"),
            accounts.c.last_name.label("row__reader_last_name"),
            for_whom.c.id.label("row__for_organization_id"),
            for_whom.c.name.label("row__for_organization_name"),
            _e.data,
        )
        .select_from(page)
        .join(events, and_(_e.id == page.c.event_id, _e.at == page.c.at))
        .join(fhir_servers, fhir_servers.c.id == _e.subject_id)
        .join(whose, whose.c.id == fhir_servers.c.organization_id)
        .outerjoin(accounts, accounts.c.id == _e.actor_account_id)
        .outerjoin(for_whom, for_whom.c.id == _e.actor_organization_id)
        .order_by(page.c.at.desc(), page.c.event_id.desc()),
        struct(_Row),
    )


_after = (bindparam("after_at", type_=_WHEN), bindparam("after_id", type_=Uuid))
_NEWEST_OF_PARTY = _newest(True)
_OLDER_OF_PARTY = _newest(True, tuple_(_p.at, _p.event_id) < tuple_(*_after))
_NEWEST_ON_SERVER = _newest(False)
_OLDER_ON_SERVER = _newest(False, tuple_(_e.at, _e.id) < tuple_(*_after))
_INSTANT = Query(
    select(_p.at).where(_p.event_id == bindparam("event_id"), _p.party_id == bindparam("party_id")).limit(1),
    scalar("at"),
)
_used_grants = select(_g.id, _g.grantee_kind, _g.cause_kind).where(
    _g.id == func.any(bindparam("ids", type_=ARRAY(Uuid)))
)
_USED = Query(_used_grants, triple(scalar("id"), scalar("grantee_kind"), scalar("cause_kind")))
_GRANTED_TO_PERSON = Query(
    select(_g.fhir_server_id, _g.resource_id, _g.id).where(
        _g.grantee_id == bindparam("person_id", type_=Uuid),
        exactly(_g.grantee_kind, GranteeKind.PERSON),
        exactly(_g.resource_kind, ResourceKind.PATIENT),
    ),
    triple(scalar("fhir_server_id"), scalar("resource_id"), scalar("id")),
)


async def of_person(ctx: Context, person_id: UUID, after: UUID | None, most: int) -> list[ReadView]:
    """Return who looked at the patients that a person was granted, the newest first, after (so older than) one of these reads.

    For whoever looks after the person. Other patients who were shown along with them stay untold. Raises NotFound.
    """
    require(ctx.actor, Permission.SEE_READS)
    await persons.find(ctx, person_id)
    rows = await _of_party(ctx, person_id, None, after, most)
    known = {
        (server_id, patient_id)
        for server_id, patient_id, _ in await _GRANTED_TO_PERSON.all(ctx.tx, person_id=person_id)
    }
    return await _views(ctx, rows, known)


async def of_server(
    ctx: Context, server_id: UUID, patient_id: str | None, after: UUID | None, most: int
) -> list[ReadView]:
    """Return who looked at a FHIR server of the own organization, or at one patient of it, refused reads too; the newest first, after
    (so older than) one of these. For its administrators. Raises NotFound."""
    require(ctx.actor, Permission.SEE_SERVER_READS)
    server = await servers.find(ctx, server_id)
    if patient_id is not None:
        rows = await _of_party(ctx, party_of_patient(server_id, patient_id), server_id, after, most)
        return await _views(ctx, rows, None)
    given = {"server_id": server_id, "most": most}
    if after is None:
        rows = await _NEWEST_ON_SERVER.all(ctx.tx, **given)
    else:
        at = await _instant(ctx, server.organization_id, after)
        rows = await _OLDER_ON_SERVER.all(ctx.tx, **given, after_at=at, after_id=after)
    return await _views(ctx, rows, None)


async def _of_party(
    ctx: Context, party_id: UUID, server_id: UUID | None, after: UUID | None, most: int
) -> list[_Row]:
    given = {"party_id": party_id, "server_id": server_id, "most": most}
    if after is None:
        return await _NEWEST_OF_PARTY.all(ctx.tx, **given)
    at = await _instant(ctx, party_id, after)
    return await _OLDER_OF_PARTY.all(ctx.tx, **given, after_at=at, after_id=after)


async def _instant(ctx: Context, party_id: UUID, event_id: UUID) -> datetime:
    at: datetime | None = await _INSTANT.first(ctx.tx, party_id=party_id, event_id=event_id)
    if at is None:
        raise NotFound("read")
    return at


async def _views(ctx: Context, rows: list[_Row], known: set[tuple[UUID, str]] | None) -> list[ReadView]:
    """Return reads as they are shown to who may know of some patients; None: of all."""
    ids = sorted({UUID(one) for row in rows for one in row.data.get("grants", ())})
    used = {
        grant_id: GrantUsed(grant_id, GranteeKind(grantee_kind), CauseKind(cause_kind))
        for grant_id, grantee_kind, cause_kind in (await _USED.all(ctx.tx, ids=ids) if ids else ())
    }
    return [_view(row, used, known) for row in rows]


def _view(row: _Row, used: dict[UUID, GrantUsed], known: set[tuple[UUID, str]] | None) -> ReadView:
    data = row.data
    patients: list[str] = data.get("patients", [])
    shown = [one for one in patients if known is None or (row.server_id, one) in known]
    key = data.get("service_key")
    columns = {name: getattr(row, name) for name in _Row.__struct_fields__ if name != "data"}
    return ReadView(
        **columns,
        interaction=Interaction(data["interaction"]),
        type=data.get("type"),
        resource_id=data.get("resource"),
        patient_ids=shown,
        count=data.get("count") if shown == patients else None,
        refused=data.get("refusal"),
        query_digest=data.get("asked"),
        service_key_id=None if key is None else UUID(key),
        grants=[used[grant_id] for one in data.get("grants", ()) if (grant_id := UUID(one)) in used],
    )
