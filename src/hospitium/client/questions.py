"""What is asked and answered, as values: who, what, and why."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType


class Subject(msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """Who wants to do something: by default an account, by its id, its e-mail address or the id the application knows it by."""

    type: str
    id: str
    properties: dict[str, Any] | UnsetType = UNSET


class Resource(msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """What something is done to: a record by its object type, an organization, or a patient."""

    type: str
    id: str
    properties: dict[str, Any] | UnsetType = UNSET

    @classmethod
    def patient(cls, patient_id: str, *, fhir_server: str) -> Resource:
        """Return a patient of a FHIR server; `fhir_server` is that one's id."""
        return cls("Patient", patient_id, {"fhirServerId": fhir_server})


Who: TypeAlias = Subject | str  # a bare text is an account


class Question(msgspec.Struct, frozen=True):
    """May this one do that to this?"""

    subject: Subject
    action: str
    resource: Resource

    @classmethod
    def of(cls, subject: Who, action: str, resource: Resource) -> Question:
        """Return a question, about an account if the subject is a bare text."""
        return cls(subject_of(subject), action, resource)


class Step(msgspec.Struct, frozen=True, rename="camel", repr_omit_defaults=True):
    """One step of a path: the subject, what it stands in, a grant, what that is on. From when until when it holds; and of a grant how much it
    allows, because of what (a share, by its id, for instance), given by whom and when."""

    type: str
    id: str
    name: str | None = None
    role: str | None = None
    level: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    because: str | None = None
    cause_id: str | None = None
    given_by_name: str | None = None
    given_at: datetime | None = None


class Explanation(msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """Why something is allowed or not, as of when: the path by which it is, or the nearest by which it isn't. `needed` is the level that it
    takes. Who may not be told why is told the decision only: no `reason`, and an empty `path`."""

    decision: bool
    reason: str | None = None
    needed: int | None = None
    path: list[Step] = []
    at: datetime | None = None


def subject_of(who: Who) -> Subject:
    """Return a subject, an account if it is a bare text."""
    return Subject("account", who) if isinstance(who, str) else who
