"""Reads as FHIR AuditEvents, in the shape of IHE's Basic Audit Log Patterns (https://profiles.ihe.net/ITI/BALP): PatientRead and
PatientQuery, one for each patient who was shown; Read and Query where there is none.

Two things that these profiles ask for are not kept, and it is said that they aren't: the client's address, and what was searched for,
in whose place stands its keyed hash. What was refused is of no profile, for these are of successes.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any
from uuid import uuid5

from hospitium.doors.native.reads_shapes import reader_name
from hospitium.engine.reads.record import Interaction

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from hospitium.engine.reads.queries import ReadView

_BALP = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit."
_TERMINOLOGY = "http://terminology.hl7.org/CodeSystem/"
_DCM = "http://dicom.nema.org/resources/ontology/DCM"
_ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
_SUBTYPES = {
    Interaction.READ: "read",
    Interaction.SEARCH: "search-type",
    Interaction.PAGE: "search-type",
    Interaction.EVERYTHING: "operation",
}
_SUCCESS, _MINOR_FAILURE = "0", "4"
_URI = "5"  # a network address that is one


def bundle(views: list[ReadView], public_url: str, self_link: str, next_link: str | None) -> dict[str, Any]:
    """Return a searchset of the AuditEvents of some reads."""
    links = [("self", self_link), ("next", next_link)]
    return {
        "resourceType": "Bundle",
        "type": "searchset",
        "link": [{"relation": relation, "url": url} for relation, url in links if url is not None],
        "entry": [
            {"fullUrl": f"urn:uuid:{one['id']}", "resource": one, "search": {"mode": "match"}}
            for view in views
            for one in of_read(view, public_url)
        ],
    }


def of_read(view: ReadView, public_url: str) -> Iterator[dict[str, Any]]:
    """Yield the AuditEvents of a read: one for each patient who was shown, or one if there is none."""
    if len(view.patient_ids) <= 1:
        yield _audit_event(view, next(iter(view.patient_ids), None), view.id, public_url)
        return
    for patient_id in view.patient_ids:
        yield _audit_event(view, patient_id, uuid5(view.id, patient_id), public_url)


def _audit_event(view: ReadView, patient_id: str | None, its_id: UUID, public_url: str) -> dict[str, Any]:
    was_shown = view.refused is None
    base = f"{public_url}/fhir/{view.server_id}"
    is_read = view.interaction is Interaction.READ
    event: dict[str, Any] = {
        "resourceType": "AuditEvent",
        "id": str(its_id),
        "type": _coding(f"{_TERMINOLOGY}audit-event-type", "rest", "RESTful Operation"),
        "subtype": [
            {"system": "http://hl7.org/fhir/restful-interaction", "code": _SUBTYPES[view.interaction]}
        ],
        "action": "R" if is_read else "E",
        "recorded": view.at.isoformat(),
        "outcome": _SUCCESS if was_shown else _MINOR_FAILURE,
        "agent": _agents(view, base),
        "source": {
            "observer": {"identifier": {"value": public_url}, "display": "Hospitium"},
            "type": [_coding(f"{_TERMINOLOGY}security-source-type", "4", "Application Server")],
        },
        "entity": _entities(view, patient_id, base),
    }
    if was_shown:
        profile = ("" if patient_id is None else "Patient") + ("Read" if is_read else "Query")
        event["meta"] = {"profile": [_BALP + profile]}
    else:
        event["outcomeDesc"] = view.refused
    return event


def _agents(view: ReadView, base: str) -> list[dict[str, Any]]:
    """Return who took part: the person, if it was one; the client; and this server. As BALP has it, who sends what is asked for is the
    source of a read, and who asks is the source of a query."""
    is_read = view.interaction is Interaction.READ
    source, destination = ("110153", "Source Role ID"), ("110152", "Destination Role ID")
    is_person = view.reader_id is not None
    client: dict[str, Any] = {
        "type": _concept(_DCM, *(destination if is_read else source)),
        "who": {"display": "An application"},
        "requestor": not is_person,
        "network": {"extension": [{"url": _ABSENT, "valueCode": "masked"}]},
    }
    if view.service_key_id is not None:
        client["who"]["identifier"] = {"value": str(view.service_key_id)}
    server = {
        "type": _concept(_DCM, *(source if is_read else destination)),
        "who": {"identifier": {"value": str(view.server_id)}, "display": view.server_name},
        "requestor": False,
        "network": {"address": base, "type": _URI},
    }
    if is_person:
        return [_person(view), client, server]
    return [_under(view, client), server]


def _person(view: ReadView) -> dict[str, Any]:
    name = reader_name(view)
    person: dict[str, Any] = {
        "type": _concept(f"{_TERMINOLOGY}v3-ParticipationType", "IRCP", "information recipient"),
        "who": {"identifier": {"value": str(view.reader_id)}},
        "requestor": True,
    }
    if name is not None:
        person["who"]["display"] = person["name"] = name
    return _under(view, person)


def _under(view: ReadView, agent: dict[str, Any]) -> dict[str, Any]:
    """Add for which organization one acted, and by which grants."""
    if view.for_organization_name is not None:
        agent["role"] = [{"text": view.for_organization_name}]
    if view.grants:
        agent["policy"] = [f"urn:uuid:{one.id}" for one in view.grants]
    return agent


def _entities(view: ReadView, patient_id: str | None, base: str) -> list[dict[str, Any]]:
    entities: list[dict[str, Any]] = []
    if patient_id is not None:
        entities.append(
            {
                "what": {"reference": f"{base}/Patient/{patient_id}", "type": "Patient"},
                "type": _coding(f"{_TERMINOLOGY}audit-entity-type", "1", "Person"),
                "role": _coding(f"{_TERMINOLOGY}object-role", "1", "Patient"),
            }
        )
    system_object = _coding(f"{_TERMINOLOGY}audit-entity-type", "2", "System Object")
    if view.interaction is Interaction.READ and view.resource_id is not None:
        entities.append(
            {
                "what": {"reference": f"{base}/{view.type}/{view.resource_id}"},
                "type": system_object,
                "role": _coding(f"{_TERMINOLOGY}object-role", "4", "Domain Resource"),
            }
        )
    else:
        asked = f"{view.type or ''}?hmac-sha256={view.query_digest or ''}"
        entities.append(
            {
                "type": system_object,
                "role": _coding(f"{_TERMINOLOGY}object-role", "24", "Query"),
                "query": base64.b64encode(asked.encode()).decode(),
            }
        )
    return entities


def _coding(system: str, code: str, display: str) -> dict[str, str]:
    return {"system": system, "code": code, "display": display}


def _concept(system: str, code: str, display: str) -> dict[str, Any]:
    return {"coding": [_coding(system, code, display)]}
