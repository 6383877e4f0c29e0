"""The event is the audit and the outbox (docs/decisions/0004).

One append-only table, written in the deed's own transaction: if the event can't be written, the deed didn't happen.
Events hold ids, kinds, levels and times; never names, addresses, messages or search values. `event_parties` names the
organizations, accounts and persons it concerns, so one fact stands in every trail it belongs to.

Nothing shared is locked here. The order in which events will be sealed is (`transaction`, `position`): the id of the
transaction that wrote them, and a sequence within it; a sealer takes what lies below the oldest running transaction.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Table,
    Text,
    Uuid,
    bindparam,
    func,
    insert,
    literal_column,
    select,
    tuple_,
    union,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP

from hospitium.engine.errors import NotFound
from hospitium.storage.statements import Query, Statement, scalar, struct
from hospitium.storage.tables import metadata

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hospitium.engine.actor import Actor
    from hospitium.engine.context import Context


class EventKind(StrEnum):
    """Everything that can have happened."""

    REFUSED = "refused"
    ACCOUNT_CREATED = "account.created"
    ACCOUNT_REGISTERED = "account.registered"
    ACCOUNT_LINK_SENT = "account.link_sent"
    ACCOUNT_CONFIRMED = "account.confirmed"
    ACCOUNT_CLAIMED = "account.claimed"
    ACCOUNT_REPLACED = "account.replaced"
    ACCOUNT_UPDATED = "account.updated"
    ACCOUNT_PASSWORD_CHANGED = "account.password_changed"  # noqa: S105  a kind of event, not a secret
    ACCOUNT_PASSWORD_VOIDED = "account.password_voided"  # noqa: S105  likewise
    ACCOUNT_EMAIL_CHANGED = "account.email_changed"
    ACCOUNT_EXPORTED = "account.exported"
    ACCOUNT_DELETED = "account.deleted"
    ACCOUNT_DISABLED = "account.disabled"
    ACCOUNT_ENABLED = "account.enabled"
    MEMBERSHIP_STARTED = "membership.started"
    MEMBERSHIP_CHANGED = "membership.changed"
    MEMBERSHIP_ENDED = "membership.ended"
    OFFER_MADE = "offer.made"
    OFFER_RESENT = "offer.resent"
    OFFER_WITHDRAWN = "offer.withdrawn"
    OFFER_ACCEPTED = "offer.accepted"
    OFFER_EXPIRED = "offer.expired"
    SESSION_STARTED = "session.started"
    SESSION_REFUSED = "session.refused"
    SESSION_MOVED = "session.moved"
    SESSION_ENDED = "session.ended"
    SESSIONS_ENDED = "sessions.ended"
    SESSION_TOKEN_REUSED = "session.token_reused"  # noqa: S105  a kind of event, not a secret
    ORGANIZATION_REGISTERED = "organization.registered"
    ORGANIZATION_UPDATED = "organization.updated"
    ORGANIZATION_APPROVED = "organization.approved"
    ORGANIZATION_SUSPENDED = "organization.suspended"
    ORGANIZATION_REINSTATED = "organization.reinstated"
    PARTNERSHIP_REQUESTED = "partnership.requested"
    PARTNERSHIP_APPROVED = "partnership.approved"
    PARTNERSHIP_REJECTED = "partnership.rejected"
    PARTNERSHIP_CANCELED = "partnership.canceled"
    PARTNERSHIP_RESENT = "partnership.resent"
    PARTNERSHIP_EXPIRED = "partnership.expired"
    PARTNERSHIP_TERMINATED = "partnership.terminated"
    PARTNERSHIP_REESTABLISHED = "partnership.reestablished"
    PARTNERSHIP_IMPORTED = "partnership.imported"
    OBJECT_TYPE_DEFINED = "object_type.defined"
    OBJECT_TYPE_CHANGED = "object_type.changed"
    OBJECT_TYPE_DROPPED = "object_type.dropped"
    RECORD_CREATED = "record.created"
    RECORD_UPDATED = "record.updated"
    RECORD_ARCHIVED = "record.archived"
    RECORD_UNARCHIVED = "record.unarchived"
    RECORD_DELETED = "record.deleted"
    TEAM_CREATED = "team.created"
    TEAM_RENAMED = "team.renamed"
    TEAM_ENDED = "team.ended"
    TEAM_JOINED = "team.joined"
    TEAM_LEFT = "team.left"
    SHARE_OFFERED = "share.offered"
    SHARE_ACCEPTED = "share.accepted"
    SHARE_APPLIED = "share.applied"
    SHARE_CHANGED = "share.changed"
    SHARE_DECLINED = "share.declined"
    SHARE_WITHDRAWN = "share.withdrawn"
    SHARE_LEFT = "share.left"
    SHARE_REVOKED = "share.revoked"
    SHARE_EXPIRED = "share.expired"
    SHARE_MERGED = "share.merged"
    SHARE_IMPORTED = "share.imported"
    CLIENT_KEY_MADE = "client_key.made"
    CLIENT_KEY_ENDED = "client_key.ended"
    SERVICE_KEY_MADE = "service_key.made"
    SERVICE_KEY_ENDED = "service_key.ended"
    FHIR_SERVER_ADDED = "fhir_server.added"
    FHIR_SERVER_CHANGED = "fhir_server.changed"
    FHIR_SERVER_CONFIRMED = "fhir_server.confirmed"
    FHIR_SERVER_REMOVED = "fhir_server.removed"
    FHIR_SERVER_LOADED = "fhir_server.loaded"
    FHIR_SERVER_SEARCHED = "fhir_server.searched"
    FHIR_READ = "fhir.read"
    FHIR_READ_REFUSED = "fhir.read_refused"
    FHIR_LEFT_OUT = "fhir.left_out"
    PATIENT_SUSPENDED = "patient.suspended"
    PATIENT_CONFIRMED = "patient.confirmed"
    GRANT_MADE = "grant.made"
    GRANT_ENDED = "grant.ended"
    PERSON_CREATED = "person.created"
    PERSON_UPDATED = "person.updated"
    PERSON_DELETED = "person.deleted"
    PERSON_OFFERED = "person.offered"
    PERSON_ACCEPTED = "person.accepted"
    PERSON_DECLINED = "person.declined"
    PERSON_WITHDRAWN = "person.withdrawn"
    PERSON_EXPIRED = "person.expired"
    PERSON_ROLE_CHANGED = "person.role_changed"
    PERSON_ROLE_ENDED = "person.role_ended"
    PERSON_TRANSFERRED = "person.transferred"
    PERSON_IMPORTED = "person.imported"
    INVITE_MADE = "invite.made"
    INVITE_RESENT = "invite.resent"
    INVITE_REPLACED = "invite.replaced"
    INVITE_WITHDRAWN = "invite.withdrawn"
    INVITE_BOUND = "invite.bound"
    INVITE_ANSWERED_WRONG = "invite.answered_wrong"
    INVITE_LOCKED = "invite.locked"
    INVITE_ACCEPTED = "invite.accepted"
    INVITE_DECLINED = "invite.declined"
    INVITE_EXPIRED = "invite.expired"
    INVITE_UNDONE = "invite.undone"
    INVITE_IMPORTED = "invite.imported"
    TRAIL_RETIRED = "trail.retired"
    DELIVERY_RETRIED = "delivery.retried"
    EPOCH_RESTORED = "epoch.restored"
    EPOCH_CONFIRMED = "epoch.confirmed"


class PartyKind(StrEnum):
    ORGANIZATION = "organization"
    ACCOUNT = "account"
    PERSON = "person"
    PATIENT = "patient"  # of a FHIR server, named by what `reads` derives from server and id


events = Table(
    "events",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("at", TIMESTAMP(timezone=True), primary_key=True),
    Column("position", BigInteger, nullable=False, server_default=func.nextval("event_positions")),
    Column("transaction", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("actor_kind", Text, nullable=False),
    Column("actor_account_id", Uuid),
    Column("actor_organization_id", Uuid),
    Column("actor_session_id", Uuid),
    Column("subject_kind", Text, nullable=False),
    Column("subject_id", Uuid),
    Column("data", JSONB, nullable=False),
    postgresql_partition_by="RANGE (at)",
)
Index("events_order_ix", events.c.transaction, events.c.position)
Index("events_subject_ix", events.c.subject_id, events.c.at)

event_parties = Table(
    "event_parties",
    metadata,
    Column("party_id", Uuid, primary_key=True),
    Column("at", TIMESTAMP(timezone=True), primary_key=True),
    Column("event_id", Uuid, primary_key=True),
    Column("party_kind", Text, nullable=False),
    postgresql_partition_by="RANGE (at)",
)
Index("event_parties_event_ix", event_parties.c.event_id)


class Event(msgspec.Struct, frozen=True):
    """A fact that happened, as it is kept."""

    id: UUID
    at: datetime
    kind: EventKind
    actor_kind: str
    actor_account_id: UUID | None
    actor_organization_id: UUID | None
    subject_kind: str
    subject_id: UUID | None
    data: dict[str, Any]


def _recording() -> Any:
    written = (
        insert(events)
        .values(
            id=bindparam("id"),
            at=bindparam("at"),
            transaction=literal_column("pg_current_xact_id()::text::bigint"),
            kind=bindparam("kind"),
            actor_kind=bindparam("actor_kind"),
            actor_account_id=bindparam("actor_account_id"),
            actor_organization_id=bindparam("actor_organization_id"),
            actor_session_id=bindparam("actor_session_id"),
            subject_kind=bindparam("subject_kind"),
            subject_id=bindparam("subject_id"),
            data=bindparam("data"),
        )
        .returning(events.c.id, events.c.at)
        .cte("written")
    )
    parties = (
        func.unnest(bindparam("party_ids", type_=ARRAY(Uuid)), bindparam("party_kinds", type_=ARRAY(Text)))
        .table_valued("party_id", "party_kind", name="party")
        .render_derived()
    )
    return (
        insert(event_parties)
        .from_select(
            ["party_id", "at", "event_id", "party_kind"],
            select(parties.c.party_id, written.c.at, written.c.id, parties.c.party_kind),
        )
        .add_cte(written)
    )


_RECORD = Statement(_recording())


_SAID_OF_EACH = (
    "id", "kind", "actor_kind", "actor_account_id", "actor_organization_id", "actor_session_id", "subject_kind", "subject_id", "data",
)  # fmt: skip


def recording_each(*more: Any) -> Statement:
    """Return the statement of `record_each`; `more`: selects of parties that it finds by itself (event, party, and its kind)."""
    told = (
        func.unnest(*(bindparam(f"{name}s", type_=ARRAY(events.c[name].type)) for name in _SAID_OF_EACH))
        .table_valued(*_SAID_OF_EACH, name="told")
        .render_derived()
    )
    columns = {
        **{name: told.c[name] for name in _SAID_OF_EACH},
        "at": bindparam("at", type_=TIMESTAMP(timezone=True)),
        "transaction": literal_column("pg_current_xact_id()::text::bigint"),
    }
    written = (
        insert(events)
        .from_select(list(columns), select(*columns.values()))
        .returning(events.c.id, events.c.at)
        .cte("written")
    )
    known = (
        func.unnest(
            bindparam("party_events", type_=ARRAY(Uuid)),
            bindparam("party_ids", type_=ARRAY(Uuid)),
            bindparam("party_kinds", type_=ARRAY(Text)),
        )
        .table_valued("event_id", "party_id", "party_kind", name="known")
        .render_derived()
    )
    parties = union(select(known.c.event_id, known.c.party_id, known.c.party_kind), *more).subquery("party")
    return Statement(
        insert(event_parties)
        .from_select(
            ["party_id", "at", "event_id", "party_kind"],
            select(parties.c.party_id, written.c.at, written.c.id, parties.c.party_kind).join(
                written, written.c.id == parties.c.event_id
            ),
        )
        .add_cte(written)
    )


_RECORD_ALL = recording_each()

_TRAIL_COLUMNS = [events.c[name] for name in Event.__struct_fields__]
TRAIL = Query(
    select(*_TRAIL_COLUMNS)
    .join(event_parties, (event_parties.c.event_id == events.c.id) & (event_parties.c.at == events.c.at))
    .where(event_parties.c.party_id == bindparam("party_id"))
    .order_by(events.c.position),
    struct(Event),
)
"""The trail of one party, oldest first."""

_p = event_parties.c
_place = tuple_(_p.at, _p.event_id)


def _newest(*conditions: Any) -> Query[Event]:
    # The page is chosen first, by the index alone: else the planner may join the whole trail to find its newest.
    page = (
        select(_p.at, _p.event_id)
        .where(_p.party_id == bindparam("party_id"), *conditions)
        .order_by(_p.at.desc(), _p.event_id.desc())
        .limit(bindparam("most"))
        .subquery("page")
    )
    return Query(
        select(*_TRAIL_COLUMNS)
        .join(page, (page.c.event_id == events.c.id) & (page.c.at == events.c.at))
        .order_by(page.c.at.desc(), page.c.event_id.desc()),
        struct(Event),
    )


NEWEST = _newest()
OLDER = _newest(_place < tuple_(bindparam("at", type_=_p.at.type), bindparam("event_id", type_=Uuid)))
_INSTANT_IN_TRAIL = Query(
    select(_p.at).where(_p.party_id == bindparam("party_id"), _p.event_id == bindparam("event_id")),
    scalar("at"),
)


async def newest(ctx: Context, party_id: UUID, after: UUID | None, most: int) -> list[Event]:
    """Return at most so many events of one party's trail, the newest first, after (so older than) one of them.

    Raises NotFound (`after` is not in that trail).
    """
    if after is None:
        return await NEWEST.all(ctx.tx, party_id=party_id, most=most)
    at = await _INSTANT_IN_TRAIL.first(ctx.tx, party_id=party_id, event_id=after)
    if at is None:
        raise NotFound("event")
    return await OLDER.all(ctx.tx, party_id=party_id, at=at, event_id=after, most=most)


class Told(NamedTuple):
    """What one event says: what it happened to (noun and id), in whose trails it stands besides the actor's own, and its data."""

    subject: tuple[str, UUID | None]
    organizations: Iterable[UUID | None] = ()
    accounts: Iterable[UUID | None] = ()
    data: Mapping[str, Any] = MappingProxyType({})
    persons: Iterable[UUID | None] = ()
    patients: Iterable[UUID | None] = ()

    def parties(self, actor: Actor) -> dict[UUID, str]:
        """Return who is concerned, and as what."""
        organizations = {
            party: PartyKind.ORGANIZATION.value
            for party in (*self.organizations, actor.organization_id)
            if party
        }
        accounts = {party: PartyKind.ACCOUNT.value for party in (*self.accounts, actor.account_id) if party}
        persons = {party: PartyKind.PERSON.value for party in self.persons if party}
        patients = {party: PartyKind.PATIENT.value for party in self.patients if party}
        return organizations | accounts | persons | patients

    def said(self) -> dict[str, Any]:
        """Return its data without what is not said."""
        return {name: value for name, value in self.data.items() if value is not None}


async def record(
    ctx: Context,
    kind: EventKind,
    *,
    subject: tuple[str, UUID | None],
    organizations: Iterable[UUID | None] = (),
    accounts: Iterable[UUID | None] = (),
    persons: Iterable[UUID | None] = (),
    **data: Any,
) -> UUID:
    """Write that something happened, in this deed's transaction; return the event's id.

    `subject`: noun and id of what it happened to. `organizations`, `accounts`, `persons`: in whose trails it stands, besides the
    actor's own. `data`: ids, kinds, levels, times and counts only.
    """
    told = Told(subject, organizations, accounts, data, persons)
    parties = told.parties(ctx.actor)
    event_id = ctx.new_id()
    await _RECORD.run(
        ctx.tx,
        id=event_id,
        subject_id=subject[1],
        data=told.said(),
        party_ids=list(parties),
        party_kinds=list(parties.values()),
        **_common(ctx, kind, subject[0]),
    )
    return event_id


async def record_all(ctx: Context, kind: EventKind, told: Sequence[Told]) -> None:
    """Write that the same happened to several of one noun, in one statement; in the order given."""
    await record_each(ctx, [(ctx.actor, kind, one) for one in told])


async def record_each(
    ctx: Context,
    what: Sequence[tuple[Actor, EventKind, Told]],
    *,
    ids: Sequence[UUID] | None = None,
    by: Statement = _RECORD_ALL,
    **more: Any,
) -> None:
    """Write what several did at one instant, in one statement; in the order given. `ids`: of the events, if somebody has to know them;
    `by`: what `recording_each` returned, and `more` its parameters."""
    if not what:
        return
    rows = [
        {
            "id": event_id,
            **_who(actor),
            "kind": kind.value,
            "subject_kind": told.subject[0],
            "subject_id": told.subject[1],
            "data": told.said(),
        }
        for event_id, (actor, kind, told) in zip(ids or [ctx.new_id() for _ in what], what, strict=True)
    ]
    parties = [
        (row["id"], party, party_kind)
        for row, (actor, _, told) in zip(rows, what, strict=True)
        for party, party_kind in told.parties(actor).items()
    ]
    await by.run(
        ctx.tx,
        at=ctx.now,
        **{f"{name}s": [row[name] for row in rows] for name in _SAID_OF_EACH},
        party_events=[event_id for event_id, _, _ in parties],
        party_ids=[party for _, party, _ in parties],
        party_kinds=[party_kind for _, _, party_kind in parties],
        **more,
    )


def _common(ctx: Context, kind: EventKind, noun: str) -> dict[str, Any]:
    return {"at": ctx.now, "kind": kind.value, **_who(ctx.actor), "subject_kind": noun}


def _who(actor: Actor) -> dict[str, Any]:
    return {
        "actor_kind": actor.kind.value,
        "actor_account_id": actor.account_id,
        "actor_organization_id": actor.organization_id,
        "actor_session_id": actor.session_id,
    }
