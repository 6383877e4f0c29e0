"""Reading a FHIR server for somebody, shared by the doors (DESIGN §3.9): decide, ask, check, put on record, and only then show.

    who, which server, what he may read ─▶ ask ─▶ each resource checked ─▶ may he still? a patient who departed? then from the start
      (of a built-in server, on the connection that decided)                └▶ on record ─▶ shown, or refused

Nobody is asked for somebody who may read nothing. Each read is on record, and each that was refused once it is known by whom and where.
"""

from __future__ import annotations

import time
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeAlias, TypeVar

import msgspec
import structlog

from hospitium.doors import fhir_patients
from hospitium.doors.surroundings import surroundings
from hospitium.doors.unit_of_work import perform_as
from hospitium.engine.access.on_server import reader_of
from hospitium.engine.actor import SYSTEM
from hospitium.engine.errors import Forbidden, NotFound, NotSignedIn, Refusal, Unavailable
from hospitium.engine.fhir_gateway.answering import decode
from hospitium.engine.fhir_gateway.asking import pairs_of
from hospitium.engine.fhir_gateway.compartments import (
    may_accompany,
    may_be_shown,
    patients_of,
    referred,
    without_others,
)
from hospitium.engine.fhir_gateway.definitions import DEFINITIONS, PATIENT
from hospitium.engine.fhir_references import actions as references, queries as referring
from hospitium.engine.fhir_references.record import Reference
from hospitium.engine.fhir_resources import queries as resources
from hospitium.engine.fhir_resources.parameters import TYPES
from hospitium.engine.fhir_resources.search import Position, parse_search
from hospitium.engine.fhir_servers.record import ServerKind
from hospitium.engine.grants.record import GranteeKind
from hospitium.engine.permissions import Permission
from hospitium.engine.reads.record import Interaction, Read, digest_of
from hospitium.engine.suspensions import actions as suspensions, queries as suspended
from hospitium.engine.suspensions.record import SuspensionReason
from hospitium.outside.fhir_departures import Departure, departure

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence
    from datetime import datetime
    from uuid import UUID

    from litestar import Request

    from hospitium.doors.fhir_patients import Reachable
    from hospitium.doors.readers import Readers
    from hospitium.engine.access.on_server import Reader, ServerReach
    from hospitium.engine.actor import Actor
    from hospitium.engine.context import Context
    from hospitium.engine.fhir_gateway.asking import Asked
    from hospitium.engine.fhir_servers.record import FhirServer
    from hospitium.engine.secrets import SessionCookie
    from hospitium.outside.fhir import RemoteFhir, RemoteServer
    from hospitium.storage.database import Transaction

T = TypeVar("T")
MOST_ROUNDS = 3  # in each of which somebody departed was found, and suspended; or what he may see changed while a server was asked
DECISION_LASTS = 1.0
"""Seconds: who waits longer for a remote server is decided about again before he is shown anything."""
MOST_NEW = 2_000  # references that are noted of one answer
MOST_NOTED = 100_000  # references that this process remembers to have noted
_log = structlog.get_logger("hospitium.reading")


class What(NamedTuple):
    """What is asked, for the record. `said`: the question itself, of which a keyed hash is kept."""

    interaction: Interaction
    type: str
    resource_id: str | None = None
    said: object = None

    @property
    def may_be_shared(self) -> bool:
        """Whether it is of a type about nobody, which a resource that one may see has to refer to."""
        return self.type in DEFINITIONS.shared


class Sought(NamedTuple):
    """A page of what a FHIR server found, of which nothing is checked yet. `following`: a plain value that leads to the next page.

    `is_cut`: there is more, where the server doesn't say. `left_out`: how much more it gave that nobody had asked for. `size`: bytes that
    were read for it.
    """

    resources: list[dict[str, Any]]
    following: Any
    is_cut: bool = False
    left_out: int = 0
    size: int = 0


class Shown(NamedTuple, Generic[T]):
    """What is shown: `given` is the door's own form of it, None if there is nothing; the rest is for the record. `asked_about`: whom it is
    about, though there may be no resource of his: that there is none, or how many, is told of him, too. `left_out`: how much the FHIR server gave
    that may not be shown, or that nobody had asked for. `tried`: who was named though he may not be read."""

    given: T | None
    resources: Sequence[dict[str, Any]] = ()
    departed: tuple[tuple[str, SuspensionReason], ...] = ()
    asked_about: frozenset[str] = frozenset()
    left_out: int = 0
    tried: frozenset[str] = frozenset()


class Source(Protocol):
    """A FHIR server, wherever it is."""

    types: frozenset[str]
    most_asked: int  # times, for one page of all of a patient

    def looks_on(self, type_: str) -> int:
        """Return how many times one looks on for what may be shown, past what may not (threats F-07)."""

    async def read(self, type_: str, id_: str) -> dict[str, Any] | Departure | None:
        """Return a resource; None if there is none, GONE if the server says that there was one."""

    async def search(
        self, asked: Asked, patients: frozenset[str] | None, count: int, following: Any
    ) -> Sought:
        """Return a page of a search about these patients (None: any), the first one or the one `following` leads to."""


class Here:
    """A built-in FHIR server, on the connection that decided."""

    types = frozenset(DEFINITIONS.types.keys() & TYPES.keys())
    most_asked = 200

    def __init__(self, ctx: Context, server_id: UUID) -> None:
        self._ctx = ctx
        self._server_id = server_id

    def looks_on(self, type_: str) -> int:  # noqa: ARG002  of any type some may contain what is somebody else's
        return 20

    async def read(self, type_: str, id_: str) -> dict[str, Any] | Departure | None:
        try:
            found = await resources.read(self._ctx, self._server_id, type_, id_)
        except NotFound:
            return None
        return decode(found.body)

    async def search(
        self, asked: Asked, patients: frozenset[str] | None, count: int, following: Any
    ) -> Sought:
        search = parse_search(asked.type, pairs_of(asked, None, count))
        if following is not None:
            search = msgspec.structs.replace(search, after=msgspec.convert(following, Position))
        page = await resources.search(self._ctx, self._server_id, search, patients)
        after = None if page.following is None else msgspec.to_builtins(page.following)
        return Sought([decode(one.body) for one in page.resources], after)


class Elsewhere:
    """A remote FHIR server; no transaction is open while it is asked."""

    types = frozenset(DEFINITIONS.types)
    most_asked = 12

    def __init__(self, remote_fhir: RemoteFhir, server: RemoteServer) -> None:
        self._remote_fhir = remote_fhir
        self._server = server

    def looks_on(self, type_: str) -> int:
        # A server that gives what nobody asked for has pages of any length. One that doesn't, gives these alone to be left out.
        return 5 if DEFINITIONS.types[type_].about.several else 0

    async def read(self, type_: str, id_: str) -> dict[str, Any] | Departure | None:
        return await self._remote_fhir.read(self._server, type_, id_)

    async def search(
        self, asked: Asked, patients: frozenset[str] | None, count: int, following: Any
    ) -> Sought:
        if following is not None:
            found = await self._remote_fhir.follow(self._server, following)
        else:
            whom = None if patients is None else sorted(patients)
            found = await self._remote_fhir.search(self._server, asked.type, pairs_of(asked, whom, count))
        return Sought(found.resources, found.next, found.is_cut, found.left_out, found.size)


class Sight:
    """What somebody may see on a FHIR server: every resource goes through here before it is shown."""

    def __init__(
        self, account_id: UUID, server: FhirServer, reach: ServerReach, referring: frozenset[str]
    ) -> None:
        self.account_id = account_id
        self.server_id = server.id
        self.reach = reach
        self.within = reach.within
        self.base = server.base_url
        self._referring = referring

    def of(self, resource: dict[str, Any], patients: frozenset[str] | None = None) -> dict[str, Any] | None:
        """Return what may be shown of a resource, None if nothing. `patients`: it has to be about one of these, besides."""
        if not may_be_shown(resource, self.within, base=self.base):
            return None
        if patients is not None and patients.isdisjoint(patients_of(resource, base=self.base)):
            return None
        return without_others(resource, self.within, base=self.base)

    def of_shared(self, resource: dict[str, Any]) -> dict[str, Any] | None:
        """Return what may be shown of the one resource about nobody that was asked for, if something he may see refers to it."""
        if not self.may_see_shared or not may_accompany(resource):
            return None
        return without_others(resource, self.within, base=self.base)

    @property
    def may_see_shared(self) -> bool:
        """Whether a resource that he may see is known to refer to the one that was asked for."""
        return self.within is None or bool(self._referring)

    def departed(self, shown: Iterable[dict[str, Any]]) -> tuple[tuple[str, SuspensionReason], ...]:
        """Return who of the patients that are to be shown is no more who he was (threats F-20)."""
        return tuple(
            (one["id"], SuspensionReason(found.value))
            for one in shown
            if one["resourceType"] == PATIENT and (found := departure(one)) is not None
        )

    def about(self, shown: Iterable[dict[str, Any]]) -> set[str]:
        """Return about whom resources are; of one about nobody, whose resource referred to it."""
        found: set[str] = set()
        for one in shown:
            is_shared = one["resourceType"] in DEFINITIONS.shared
            found |= self._referring if is_shared else patients_of(one, base=self.base)
        return found


Asking: TypeAlias = "Callable[[Source, Sight], Awaitable[Shown[T]]]"


class _Decided(NamedTuple, Generic[T]):
    """Who reads, where, and what he may see; with a built-in server, also what it said."""

    actor: Actor
    server: FhirServer
    sight: Sight
    where: Reachable | None
    outcome: Shown[T] | Refusal | None


class Reading:
    """Reads FHIR servers for whoever asks a door."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers
        self._noted: set[tuple[UUID, str | None, Reference]] = set()

    async def read(
        self, request: Request[Any, Any, Any], server_id: UUID, what: What, asking: Asking[T]
    ) -> T:
        """Return what `asking` gives of a FHIR server, when it is on record; `asking` shows nothing that Sight didn't let through.

        Raises NotSignedIn, NotFound (no such server, nothing that one may read there, or nothing of what was asked), Unavailable (it can't be put
        on record), and what `asking` raises, which is then on record, too.
        """
        for _ in range(MOST_ROUNDS):
            decided = await self._decide(request, server_id, what, asking)
            outcome = decided.outcome
            if outcome is None:
                began = time.monotonic()
                outcome = await self._ask_elsewhere(request, decided, asking)
                if time.monotonic() - began > DECISION_LASTS:
                    before, decided = decided, await self._decide(request, server_id, what, asking)
                    if (decided.sight.within, decided.sight.base) != (before.sight.within, before.sight.base):
                        continue
            if isinstance(outcome, Refusal) or not await self._suspends(request, decided, outcome):
                break
        else:
            outcome = NotFound("resource")
        given = None if isinstance(outcome, Refusal) else outcome.given
        if given is None and not isinstance(outcome, Refusal):
            outcome = NotFound("resource")
        records = _apart(decided, outcome, _record(request, decided, what, outcome))
        await surroundings(request).recorder.record(decided.actor, *records)
        if isinstance(outcome, Refusal):
            raise outcome
        with suppress(Unavailable):  # then it is noted another time
            await self._note(request, decided, outcome)
        assert given is not None  # without anything it was refused  # noqa: S101
        return given

    async def kind_of(self, request: Request[Any, Any, Any], server_id: UUID) -> ServerKind | None:
        """Return of which kind a FHIR server is, if whoever asks may read something there; None to all others. Raises Unavailable."""
        if request.headers.get("authorization") is None:
            return None

        async def look(_: Context, reader: Reader) -> ServerKind | None:
            return None if reader.server is None or reader.reach.is_nothing else reader.server.kind

        try:
            return await self._find_out(request, server_id, look)
        except (NotSignedIn, Forbidden):
            return None

    async def _find_out(
        self,
        request: Request[Any, Any, Any],
        server_id: UUID,
        then: Callable[[Context, Reader], Awaitable[T]],
    ) -> T:
        """Find out who asks and what he may see on a FHIR server, and go on with that."""
        reader: Reader | None = None

        async def finding(tx: Transaction, session: UUID | SessionCookie, now: datetime) -> Actor | None:
            nonlocal reader
            reader = await reader_of(tx, session, server_id, now)
            return None if reader is None else reader.actor

        async def deed(ctx: Context) -> T:
            assert reader is not None  # the permission is an account's, which has a session  # noqa: S101
            return await then(ctx, reader)

        return await surroundings(request).work.perform(
            request, Permission.READ_FHIR, deed, about=server_id, finding=finding, only_reads=True
        )

    async def _decide(
        self, request: Request[Any, Any, Any], server_id: UUID, what: What, asking: Asking[T]
    ) -> _Decided[T]:
        async def decide(ctx: Context, reader: Reader) -> _Decided[T]:
            account_id, server, reach = ctx.actor.account_id, reader.server, reader.reach
            assert account_id is not None  # the permission is an account's  # noqa: S101
            if server is None:
                raise NotFound("FHIR server")
            known: list[str] = []
            if what.may_be_shared and what.resource_id is not None and reach.patients:
                known = await referring.referring(ctx, server_id, what.type, what.resource_id, reach.patients)
            sight = Sight(account_id, server, reach, frozenset(known))
            if reach.is_nothing:
                return _Decided(ctx.actor, server, sight, None, NotFound("resource"))
            if server.kind is ServerKind.REMOTE:
                self._readers.note(reader)
                return _elsewhere(reader, server, sight)
            return _Decided(
                ctx.actor, server, sight, None, await _outcome(asking, Here(ctx, server_id), sight)
            )

        if not what.may_be_shared:
            reader = await self._readers.found(request, server_id)
            if reader is not None:
                account_id, server = reader.actor.account_id, reader.server
                assert account_id is not None  # likewise  # noqa: S101
                assert server is not None  # nobody is found who may read nothing  # noqa: S101
                return _elsewhere(reader, server, Sight(account_id, server, reader.reach, frozenset()))
        return await self._find_out(request, server_id, decide)

    async def _ask_elsewhere(
        self, request: Request[Any, Any, Any], decided: _Decided[T], asking: Asking[T]
    ) -> Shown[T] | Refusal:
        assert decided.where is not None  # it is a remote one  # noqa: S101
        try:
            remote = fhir_patients.remote_of(request, decided.where)
        except Refusal as refusal:
            return refusal
        return await _outcome(asking, Elsewhere(surroundings(request).remote_fhir, remote), decided.sight)

    async def _suspends(self, request: Request[Any, Any, Any], decided: _Decided[T], shown: Shown[T]) -> bool:
        """Suspend the grants on patients who departed; return whether one counts for nothing now. Who may read the whole server, may
        look at them all the same."""
        if decided.sight.within is None or not shown.departed:
            return False
        house, server_id = surroundings(request), decided.server.id

        async def deed(ctx: Context) -> bool:
            # It is this server that finds it: whoever happened to read has done nothing to the patient.
            as_system, counts_for_nothing = ctx._replace(actor=SYSTEM), False
            for patient_id, reason in shown.departed:
                stays_so = reason is not SuspensionReason.GONE
                if stays_so and await suspended.was_lifted(ctx, server_id, patient_id, reason.value):
                    continue
                await suspensions.suspend_patient(as_system, server_id, patient_id, reason)
                counts_for_nothing = True
            return counts_for_nothing

        return await perform_as(house.database, house.work.clock, decided.actor, Permission.READ_FHIR, deed)

    async def _note(self, request: Request[Any, Any, Any], decided: _Decided[T], shown: Shown[T]) -> None:
        """Note what was referred to, so that it may be read next. Raises Unavailable."""
        server = decided.server
        server_id, base = server.id, server.base_url
        unknown = (
            Reference(whose, type_, id_)
            for one in shown.resources
            if (leads_to := referred(one, base=base)) and len(about := patients_of(one, base=base)) == 1
            for whose in about
            for type_, id_ in leads_to
            if (server_id, base, Reference(whose, type_, id_)) not in self._noted
        )
        new = set(islice(unknown, MOST_NEW))  # the others are noted another time
        if not new:
            return
        house = surroundings(request)
        await perform_as(
            house.database,
            house.work.clock,
            decided.actor,
            Permission.READ_FHIR,
            lambda ctx: references.note(ctx, server_id, base, new),
        )
        if len(self._noted) + len(new) > MOST_NOTED:
            self._noted.clear()
        self._noted |= {(server_id, base, one) for one in new}


def _elsewhere(reader: Reader, server: FhirServer, sight: Sight) -> _Decided[Any]:
    where = fhir_patients.Reachable(server, reader.credentials)
    return _Decided(reader.actor, server, sight, where, None)


async def _outcome(asking: Asking[T], source: Source, sight: Sight) -> Shown[T] | Refusal:
    try:
        return await asking(source, sight)
    except Refusal as refusal:
        return refusal


def _record(
    request: Request[Any, Any, Any], decided: _Decided[T], what: What, outcome: Shown[T] | Refusal
) -> Read:
    named = [what.resource_id] if what.type == PATIENT and what.resource_id is not None else []
    read = Read(
        decided.server.id,
        decided.server.organization_id,
        what.interaction,
        what.type,
        named,
        what.resource_id,
        query_digest=digest_of(surroundings(request).digest_key, what.type, what.said),
    )
    if isinstance(outcome, Refusal):
        return msgspec.structs.replace(read, refused=type(outcome).__name__)
    about = decided.sight.about(outcome.resources) | outcome.asked_about
    return msgspec.structs.replace(
        read,
        patient_ids=sorted({*about, *named}),
        count=len(outcome.resources),
        left_out=outcome.left_out,
        tried=sorted(outcome.tried),
        **_by(decided.sight.reach, about),
    )


def _by(reach: ServerReach, patients: Iterable[str]) -> dict[str, list[UUID]]:
    """Return by which grants some patients were read, and whose these are."""
    by = reach.by(patients)
    return {
        "grant_ids": [one.grant_id for one in by],
        "for_organizations": [one.grantee_id for one in by if one.grantee_kind is GranteeKind.ORGANIZATION],
        "for_persons": [one.grantee_id for one in by if one.grantee_kind is GranteeKind.PERSON],
    }


def _apart(decided: _Decided[T], outcome: Shown[T] | Refusal, read: Read) -> list[Read]:
    """Return a read as it is put on record: what was read for an organization, and what for oneself, each by itself, so that neither
    stands where the other belongs."""
    sight, reach = decided.sight, decided.sight.reach
    if isinstance(outcome, Refusal) or reach.whole is not None:
        return [read]
    apart: dict[UUID | None, set[str]] = {}
    for patient_id in read.patient_ids:
        by = reach.patients[patient_id].by
        to = by.grantee_id if by.grantee_kind is GranteeKind.ORGANIZATION else None
        apart.setdefault(to, set()).add(patient_id)
    if len(apart) < 2:  # noqa: PLR2004
        return [read]
    return [
        msgspec.structs.replace(
            read,
            patient_ids=sorted(patients),
            count=sum(not patients.isdisjoint(sight.about([one])) for one in outcome.resources),
            left_out=0 if number else read.left_out,
            tried=[] if number else read.tried,
            **_by(reach, patients),
        )
        for number, (to, patients) in enumerate(apart.items())
    ]
