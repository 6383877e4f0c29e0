"""What requests and answers look like (AuthZEN 1.0, "Information Model"). Members that aren't known are ignored, as it wants."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from hospitium.doors.shapes import Text

Properties = dict[str, Any]


class Subject(msgspec.Struct):
    """Who: `account` (or `user`), `team`, `person`, `organization`; by an id of ours, an `externalId` of the asking organization, or the
    address of an account."""

    type: Text
    id: Text
    properties: Properties | UnsetType = UNSET


class SubjectType(msgspec.Struct):
    """What kind of subject is searched for; an id is ignored."""

    type: Text
    properties: Properties | UnsetType = UNSET


class Action(msgspec.Struct):
    """What one would do: `read`, `share`, `update`, `delete`, `connect`, or what the object type calls its actions."""

    name: Text
    properties: Properties | UnsetType = UNSET


class Resource(msgspec.Struct):
    """On what: an object type of the organization, `Patient` (with `properties.fhirServerId`), `FhirServer` or `organization`."""

    type: Text
    id: Text
    properties: Properties | UnsetType = UNSET


class ResourceType(msgspec.Struct):
    """What kind of resource is searched for; an id is ignored. For `Patient`, `properties.fhirServerId` may name one FHIR server."""

    type: Text
    properties: Properties | UnsetType = UNSET


class EvaluationBody(msgspec.Struct):
    subject: Subject
    action: Action
    resource: Resource
    context: Properties | UnsetType = UNSET


class Options(msgspec.Struct):
    """`evaluations_semantic`: `execute_all` (else), `deny_on_first_deny` or `permit_on_first_permit`."""

    evaluations_semantic: Text = "execute_all"


class EvaluationsBody(msgspec.Struct):
    """Questions that share what stands at the top. Without `evaluations` it is one question. Each of them may have `subject`, `action`,
    `resource` and `context`, whole, instead of those at the top."""

    subject: Subject | UnsetType = UNSET
    action: Action | UnsetType = UNSET
    resource: Resource | UnsetType = UNSET
    context: Properties | UnsetType = UNSET
    options: Options | UnsetType = UNSET
    evaluations: list[dict[str, Any]] | UnsetType = UNSET


class Decision(msgspec.Struct):
    """Whether it is allowed; `context` says no more than why a question of a batch could not be asked, or was the last."""

    decision: bool
    context: dict[str, Any] | UnsetType = UNSET


class Decisions(msgspec.Struct):
    """Decisions in the order of the questions; of one question, its decision alone."""

    evaluations: list[Decision] | UnsetType = UNSET
    decision: bool | UnsetType = UNSET


class PageBody(msgspec.Struct):
    """Which part of a list: what comes after `token`; at most `limit`."""

    token: Text | UnsetType = UNSET
    limit: int | UnsetType = UNSET


class SubjectSearchBody(msgspec.Struct):
    subject: SubjectType
    action: Action
    resource: Resource
    context: Properties | UnsetType = UNSET
    page: PageBody | UnsetType = UNSET


class ResourceSearchBody(msgspec.Struct):
    subject: Subject
    action: Action
    resource: ResourceType
    context: Properties | UnsetType = UNSET
    page: PageBody | UnsetType = UNSET


class ActionSearchBody(msgspec.Struct):
    subject: Subject
    resource: Resource
    context: Properties | UnsetType = UNSET
    page: PageBody | UnsetType = UNSET


class PrintedPage(msgspec.Struct):
    """`next_token` brings the next part, and is empty at the end; `count` are here, `total` were in all when the list was begun."""

    next_token: str
    count: int
    total: int


class FoundSubject(msgspec.Struct):
    type: str
    id: str


class FoundResource(msgspec.Struct):
    type: str
    id: str
    properties: dict[str, str] | UnsetType = UNSET


class FoundAction(msgspec.Struct):
    name: str


class FoundSubjects(msgspec.Struct):
    page: PrintedPage
    results: list[FoundSubject]


class SearchContext(msgspec.Struct, rename="camel"):
    """`wholeFhirServers`: FHIR servers on which it is allowed for every patient, and whose patients are known only there."""

    whole_fhir_servers: list[str]


class FoundResources(msgspec.Struct):
    page: PrintedPage
    results: list[FoundResource]
    context: SearchContext | UnsetType = UNSET


class FoundActions(msgspec.Struct):
    page: PrintedPage
    results: list[FoundAction]


class Configuration(msgspec.Struct):
    """Where this decision point answers (AuthZEN 1.0, "Policy Decision Point Metadata")."""

    policy_decision_point: str
    access_evaluation_endpoint: str
    access_evaluations_endpoint: str
    search_subject_endpoint: str
    search_resource_endpoint: str
    search_action_endpoint: str
