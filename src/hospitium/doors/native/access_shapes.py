"""What the questions of people take and give: why, who, and what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from hospitium.doors.native.wire import Body, Wire
from hospitium.doors.shapes import Instant, Line, Text, takes
from hospitium.engine.access.naming import FHIR_SERVER, LONGEST_NAME, ORGANIZATION, PATIENT
from hospitium.engine.grants.record import ResourceKind

if TYPE_CHECKING:
    from hospitium.engine.access.explain import Explanation
    from hospitium.engine.access.paths import Step
    from hospitium.engine.access.reach import Reached, Reaching

_PRINTED_KINDS = {
    ResourceKind.PATIENT.value: PATIENT,
    ResourceKind.FHIR_SERVER.value: FHIR_SERVER,
    ResourceKind.ORGANIZATION.value: ORGANIZATION,
}
Name = Annotated[
    str,
    takes(
        "Name", "What something is named: an id, or a word.", maxLength=LONGEST_NAME, pattern=r"^[^\x00]*$"
    ),
]
TableLimit = Annotated[
    str,
    takes(
        "TableLimit", "How many at most: 1 to 200; as CSV to 10,000.", pattern="^(?:[1-9][0-9]{0,3}|10000)$"
    ),
]
Cursor = Annotated[str, takes("Cursor", "What the part before this one gave as `next`.")]
ListFormat = Annotated[
    str, takes("ListFormat", "`json`, or `csv` for a spreadsheet.", pattern="^(?:json|csv)$")
]


class AskedSubject(Body):
    type: Text
    id: Text


class AskedAction(Body):
    name: Text


class AskedResourceProperties(Body):
    fhir_server_id: Text = ""


class AskedResource(Body):
    type: Text
    id: Text
    properties: AskedResourceProperties = msgspec.field(default_factory=AskedResourceProperties)


class ExplainBody(Body):
    """A question as applications ask it, and as of which past moment it is to be answered; now, if none is named."""

    subject: AskedSubject
    action: AskedAction
    resource: AskedResource
    at: Instant | None = None


class PrintedStep(Wire):
    """One step of a path: the subject, what it stands in, the grant with who gave it and when, and what that is on."""

    type: str
    id: str
    name: str | UnsetType = UNSET
    fhir_server_id: UUID | UnsetType = UNSET
    role: str | UnsetType = UNSET
    level: int | UnsetType = UNSET
    since: Instant | UnsetType = UNSET
    until: Instant | UnsetType = UNSET
    because: str | UnsetType = UNSET
    cause_id: UUID | UnsetType = UNSET
    given_by_id: UUID | UnsetType = UNSET
    given_by_name: str | UnsetType = UNSET
    given_at: Instant | UnsetType = UNSET

    @classmethod
    def of(cls, step: Step) -> PrintedStep:
        given: dict[str, Any] = {
            name: value
            for name in cls.__struct_fields__
            if name != "type" and (value := getattr(step, name)) is not None
        }
        return cls(_PRINTED_KINDS.get(step.kind, step.kind), **given)


class PrintedExplanation(Wire):
    """Whether it is allowed, as of when; and to whoever may know it, why: the level that is needed, and the path by which it is, or the
    nearest by which it isn't."""

    decision: bool
    at: Instant
    reason: str | UnsetType = UNSET
    needed: int | UnsetType = UNSET
    path: list[PrintedStep] | UnsetType = UNSET

    @classmethod
    def of(cls, explained: Explanation) -> PrintedExplanation:
        if not explained.is_full:
            return cls(explained.allowed, explained.at)
        return cls(
            explained.allowed,
            explained.at,
            explained.reason,
            UNSET if explained.needed is None else int(explained.needed),
            [PrintedStep.of(step) for step in explained.path],
        )


class WhoQuery(Wire, kw_only=True):
    """Of which resource (of a patient, on which FHIR server), who may do which action (`read`, if none is named); which part of it."""

    type: Line
    id: Line
    fhir_server_id: Name | None = None
    action: Name | None = None
    after: Cursor | None = None
    limit: TableLimit | None = None
    format: ListFormat | None = None


class WhatQuery(Wire):
    """What which account can reach (the own, if none is named); which part of it."""

    account: Line | None = None
    after: Cursor | None = None
    limit: TableLimit | None = None
    format: ListFormat | None = None


class ReachingAccount(Wire):
    """An account that may do it: how much it may, and through what."""

    id: UUID
    external_id: str | None
    name: str | None
    level: int
    path: list[PrintedStep]

    @classmethod
    def of(cls, one: Reaching) -> ReachingAccount:
        steps = [PrintedStep.of(step) for step in one.path]
        return cls(one.account_id, one.external_id, one.name, int(one.level), steps)


class ReachingAccounts(Wire):
    """`next` brings the next part, and is null at the end; `total` were there when the list was begun."""

    accounts: list[ReachingAccount]
    total: int
    next: str | None


class ReachedResource(Wire):
    """A resource that the account can reach: how much it may, and through what."""

    type: str
    id: str
    external_id: str | None
    fhir_server_id: UUID | None
    level: int
    path: list[PrintedStep]

    @classmethod
    def of(cls, one: Reached) -> ReachedResource:
        last = one.path[-1]
        kind = last.name if one.key.type else _PRINTED_KINDS.get(one.key.kind.value, one.key.kind.value)
        steps = [PrintedStep.of(step) for step in one.path]
        return cls(kind or "", one.key.id, one.external_id, one.key.fhir_server_id, int(one.level), steps)


class ReachedResources(Wire):
    """`next` brings the next part, and is null at the end; `total` were there when the list was begun."""

    resources: list[ReachedResource]
    total: int
    next: str | None
