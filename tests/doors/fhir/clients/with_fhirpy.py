"""A session of fhirpy (PyPI), once by its synchronous half and once by its asynchronous one; prints as JSON what it saw.

Run by tests/doors/fhir/test_clients.py as a process of its own, with the FHIR server, the token and the patients in its environment.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from typing import Any

from fhirpy import AsyncFHIRClient, SyncFHIRClient
from fhirpy.base.exceptions import AuthorizationError, ResourceNotFound

BASE, TOKEN = os.environ["FHIR_BASE"], os.environ["FHIR_TOKEN"]
MINE, ANOTHERS = os.environ["FHIR_PATIENT"], os.environ["FHIR_OTHER_PATIENT"]
STATUS = {AuthorizationError: 401, ResourceNotFound: 404}


def refused(deed: Callable[[], Any]) -> list[Any]:
    """Return the status and the code with which a client is refused."""
    try:
        deed()
    except (AuthorizationError, ResourceNotFound) as problem:
        return [STATUS[type(problem)], json.loads(str(problem))["issue"][0]["code"]]
    return [200]


def pages(client: SyncFHIRClient, path: str, params: dict[str, Any] | None = None) -> list[list[Any]]:
    """Return all that is found, page by page; each page is asked for where the one before says."""
    found, bundle = [], client.execute(path, method="get", params=params)
    while True:
        found.append([entry.resource for entry in bundle.get("entry", [])])
        onward = [link.url for link in bundle.link if link.relation == "next"]
        if not onward:
            return found
        bundle = client.execute(onward[0], method="get")


async def observed_at_once() -> list[str]:
    client = AsyncFHIRClient(BASE, authorization=f"Bearer {TOKEN}")
    observations = client.resources("Observation").search(patient=MINE, date__ge="2024-01-02").sort("-date")
    return [one.id async for one in observations.limit(3)]


def main() -> None:
    client = SyncFHIRClient(BASE, authorization=f"Bearer {TOKEN}")
    stranger, wrong = SyncFHIRClient(BASE), SyncFHIRClient(BASE, authorization="Bearer wrong")
    capability = stranger.execute("metadata", method="get")
    kinds = {one.type: [it.code for it in one.interaction] for one in capability.rest[0].resource}
    saw: dict[str, Any] = {
        "version": capability.fhirVersion,
        "interactions": {name: kinds[name] for name in ("Patient", "Observation", "Practitioner")},
        "stranger": refused(lambda: stranger.get("Patient", MINE)),
        "wrong token": refused(lambda: wrong.get("Patient", MINE)),
        "another's": refused(lambda: client.get("Patient", ANOTHERS)),
        "nobody's": refused(lambda: client.reference("Patient", "none").to_resource()),
    }
    patient = client.reference("Patient", MINE).to_resource()
    saw["patient"] = patient.get_by_path("name.0.family")

    found = pages(client, "Observation", {"_count": 2})
    saw["pages"] = [[one.id for one in page] for page in found]
    whole = client.resources("Observation").limit(2).fetch_all()  # by its own way through the pages
    assert [one.id for one in whole] == [id_ for page in saw["pages"] for id_ in page]
    another = client.resources("Observation").search(patient=ANOTHERS)
    saw["another's observations"] = [one.id for one in another.fetch_all()]
    (performed,) = (one for one in whole if "performer" in one)
    practitioner = performed.performer[0].to_resource()
    saw["practitioner"] = practitioner.get_by_path("name.0.family")

    posted = client.reference("Patient", MINE).to_resource().execute("$everything")
    saw["everything by post"] = [one.resource.id for one in posted.entry]
    everything = [one for page in pages(client, f"Patient/{MINE}/$everything") for one in page]
    saw["everything"] = [one.id for one in everything]
    saw["newest first"] = asyncio.run(observed_at_once())
    seen = [patient, *whole, practitioner]
    saw["seen"] = [*(one.serialize() for one in seen), *everything]
    print(json.dumps(saw))


main()
