"""A session of fhirclient (PyPI), whose models take nothing that FHIR R4 doesn't; prints as JSON what it saw.

Run by tests/doors/fhir/test_clients.py as a process of its own, with the FHIR server, the token and the patients in its environment.
"""

from __future__ import annotations

import json
import os
from typing import Any

from fhirclient._utils import iter_pages
from fhirclient.client import FHIRClient
from fhirclient.models.bundle import Bundle
from fhirclient.models.observation import Observation
from fhirclient.models.operationoutcome import OperationOutcome
from fhirclient.models.patient import Patient
from fhirclient.models.practitioner import Practitioner
from fhirclient.server import FHIRNotFoundException, FHIRUnauthorizedException

BASE, TOKEN = os.environ["FHIR_BASE"], os.environ["FHIR_TOKEN"]
MINE, ANOTHERS = os.environ["FHIR_PATIENT"], os.environ["FHIR_OTHER_PATIENT"]


def signed_in(token: str) -> FHIRClient:
    auth = {"app_id": "tests", "access_token": token}
    return FHIRClient(
        state={"app_id": "tests", "server": {"base_uri": f"{BASE}/", "auth_type": "oauth2", "auth": auth}}
    )


def refused(kind: type, id_: str, server: Any) -> list[Any]:
    """Return the status and the code with which a read is refused; the answer must be an OperationOutcome to the client."""
    try:
        kind.read(id_, server)
    except (FHIRNotFoundException, FHIRUnauthorizedException) as problem:
        told = OperationOutcome(problem.response.json())
        return [problem.response.status_code, told.issue[0].code]
    return [200]


def resources(bundle: Bundle) -> list[Any]:
    return [entry.resource for entry in bundle.entry or []]


def main() -> None:
    stranger = FHIRClient(settings={"app_id": "tests", "api_base": BASE})
    assert stranger.prepare()  # reads and validates the CapabilityStatement
    capability = stranger.server.capabilityStatement
    kinds = {one.type: [it.code for it in one.interaction] for one in capability.rest[0].resource}

    server = signed_in(TOKEN).server
    saw: dict[str, Any] = {
        "version": capability.fhirVersion,
        "interactions": {name: kinds[name] for name in ("Patient", "Observation", "Practitioner")},
        "stranger": refused(Patient, MINE, stranger.server),
        "wrong token": refused(Patient, MINE, signed_in("wrong").server),
        "another's": refused(Patient, ANOTHERS, server),
        "nobody's": refused(Patient, "none", server),
    }
    seen: list[Any] = [Patient.read(MINE, server)]
    saw["patient"] = seen[0].name[0].family

    pages = [resources(one) for one in Observation.where({"_count": "2"}).perform_iter(server)]
    saw["pages"] = [[one.id for one in page] for page in pages]
    found = [one for page in pages for one in page]
    saw["another's observations"] = [
        one.id for one in Observation.where({"patient": ANOTHERS}).perform_resources_iter(server)
    ]
    (performed,) = (one for one in found if one.performer)
    practitioner = Practitioner.read_from(performed.performer[0].reference, server)
    saw["practitioner"] = practitioner.name[0].family

    first = Bundle.read_from(f"Patient/{MINE}/$everything", server)
    everything = [one for bundle in iter_pages(first, server) for one in resources(bundle)]
    saw["everything"] = [one.id for one in everything]
    # What is left of a resource is one that FHIR takes: with all that it makes mandatory.
    less = [
        Bundle.read_from(f"{kind}?{how}", server)
        for kind in ("Patient", "Observation", "Condition", "AllergyIntolerance")
        for how in ("_summary=true", "_summary=text", "_summary=data", "_elements=id")
    ]
    saw["less"] = [[one.id for one in resources(bundle)] for bundle in less]
    saw["count"] = Bundle.read_from("Observation?_summary=count", server).total
    seen += [*found, practitioner, *everything, *less]
    saw["seen"] = [one.as_json() for one in seen]
    print(json.dumps(saw))


main()
