"""What the lists of reads, and of suspensions of patients, take and give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated
from uuid import UUID

from hospitium.doors.native.wire import PageLimit, Wire
from hospitium.doors.shapes import Id, Instant, takes
from hospitium.engine.grants.record import CauseKind, GranteeKind
from hospitium.engine.reads.record import Interaction
from hospitium.engine.suspensions.record import SuspensionReason

if TYPE_CHECKING:
    from hospitium.engine.reads.queries import ReadView
    from hospitium.engine.suspensions.record import Suspension

FHIR_JSON = "application/fhir+json"

FhirPatientId = Annotated[
    str,
    takes(
        "FhirPatientId",
        "The id of a patient on a FHIR server: 1 to 64 letters, digits, hyphens and dots.",
        pattern=r"^(?!\.{1,2}$)[A-Za-z0-9.-]{1,64}$",
    ),
]
ReadsFormat = Annotated[
    str,
    takes("ReadsFormat", "As what: `json`, or a Bundle of AuditEvents (`fhir`).", pattern="^(?:json|fhir)$"),
]


class ReadsQuery(Wire):
    """Which part of the list: what comes after (is older than) the one with this id, how many at most; and as what."""

    after: Id | None = None
    limit: PageLimit | None = None
    format: ReadsFormat | None = None


class ServerReadsQuery(Wire):
    """Of which patient (of all, if none is named); which part of the list, and as what."""

    patient: FhirPatientId | None = None
    after: Id | None = None
    limit: PageLimit | None = None
    format: ReadsFormat | None = None


class Named(Wire):
    """Something with its name."""

    id: UUID
    name: str


class Reader(Wire):
    """Who read: an account, whose name is null when it was deleted, or an application; and for which organization, if not for himself."""

    kind: str
    id: UUID | None
    name: str | None
    organization: Named | None


class GrantRead(Wire):
    """A grant by which something was read: to what kind of grantee it was given, and because of what."""

    id: UUID
    to: GranteeKind
    because: CauseKind


class PrintedRead(Wire):
    """A read, or one that was refused (`refusal` says why). `count` is how many resources were shown, null if others' were among them;
    `asked` is the same for the same question, and says nothing of it."""

    id: UUID
    at: Instant
    interaction: Interaction
    resource_type: str | None
    resource_id: str | None
    patient_ids: list[str]
    count: int | None
    refusal: str | None
    asked: str | None
    fhir_server: Named
    organization: Named
    reader: Reader
    grants: list[GrantRead]

    @classmethod
    def of(cls, view: ReadView) -> PrintedRead:
        return cls(
            id=view.id,
            at=view.at,
            interaction=view.interaction,
            resource_type=view.type,
            resource_id=view.resource_id,
            patient_ids=view.patient_ids,
            count=view.count,
            refusal=view.refused,
            asked=view.query_digest,
            fhir_server=Named(view.server_id, view.server_name),
            organization=Named(view.organization_id, view.organization_name),
            reader=_reader(view),
            grants=[GrantRead(one.id, one.grantee_kind, one.cause_kind) for one in view.grants],
        )


class Reads(Wire):
    """Reads, the newest first; `next` is where the list goes on, null at its end."""

    reads: list[PrintedRead]
    next: UUID | None

    @classmethod
    def of(cls, views: list[ReadView], next_id: UUID | None) -> Reads:
        return cls([PrintedRead.of(view) for view in views], next_id)


class PrintedSuspension(Wire):
    """A patient on whom the grants count for nothing: since when, what was found of him, and when it was confirmed that he is still who
    he was."""

    id: UUID
    fhir_server_id: UUID
    patient_id: str
    reason: SuspensionReason
    since: Instant
    lifted_at: Instant | None

    @classmethod
    def of(cls, one: Suspension) -> PrintedSuspension:
        return cls(*(getattr(one, name) for name in cls.__struct_fields__))


class Suspensions(Wire):
    """Open suspensions, in the order of their ids; `next` is where the list goes on, null at its end."""

    suspensions: list[PrintedSuspension]
    next: UUID | None


def reader_name(view: ReadView) -> str | None:
    """Return what a reader is called; None of an application, and of an account that was deleted."""
    return " ".join(filter(None, (view.reader_first_name, view.reader_last_name))) or None


def _reader(view: ReadView) -> Reader:
    for_whom = view.for_organization_id
    return Reader(
        kind="application" if view.reader_id is None else "account",
        id=view.service_key_id if view.reader_id is None else view.reader_id,
        name=reader_name(view),
        organization=None if for_whom is None else Named(for_whom, view.for_organization_name or ""),
    )
