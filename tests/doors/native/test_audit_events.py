"""Reads as AuditEvents: what IHE's Basic Audit Log Patterns insist on, told once more from their text, and checked of every kind of read.

https://profiles.ihe.net/ITI/BALP: Read, PatientRead, Query, PatientQuery.
"""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest

from cast import House
from clinic import JANE, JIMMY
from doors.native.living import done
from doors.native.test_reads import Ward
from hospitium.doors.native import audit_events
from hospitium.engine.reads.record import Interaction, digest_of

BALP = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit."
DCM = "http://dicom.nema.org/resources/ontology/DCM"
T = "http://terminology.hl7.org/CodeSystem/"


@pytest.fixture
async def ward(house: House) -> Ward:
    return await Ward.open(house)


def coded(coding: dict[str, Any]) -> tuple[str, str]:
    return coding["system"], coding["code"]


def agent_of(event: dict[str, Any], code: str, system: str = DCM) -> dict[str, Any]:
    (found,) = [one for one in event["agent"] if coded(one["type"]["coding"][0]) == (system, code)]
    assert isinstance(found, dict)
    return found


def entity_of(event: dict[str, Any], type_: str) -> dict[str, Any]:
    (found,) = [one for one in event["entity"] if coded(one["type"]) == (f"{T}audit-entity-type", type_)]
    assert isinstance(found, dict)
    return found


def must_conform(event: dict[str, Any]) -> str:
    """Insist on what the profile asks for that an event claims; return which that is."""
    (profile,) = event["meta"]["profile"]
    name = profile.removeprefix(BALP)
    is_read = name.endswith("Read")
    assert name in ("Read", "PatientRead", "Query", "PatientQuery")
    assert event["resourceType"] == "AuditEvent"
    assert coded(event["type"]) == (f"{T}audit-event-type", "rest")
    assert {one["system"] for one in event["subtype"]} == {"http://hl7.org/fhir/restful-interaction"}
    assert {one["code"] for one in event["subtype"]} <= (
        {"read"} if is_read else {"search-type", "operation"}
    )
    assert event["action"] == ("R" if is_read else "E")
    assert event["outcome"] == "0"
    assert event["recorded"].endswith("+00:00")
    # Who asks is the destination of a read, and the source of a query.
    client, server = (
        agent_of(event, code) for code in (("110152", "110153") if is_read else ("110153", "110152"))
    )
    for agent in (client, server):
        assert agent["who"]
        assert agent["network"]
        assert "media" not in agent
        assert isinstance(agent["requestor"], bool)
    users = [one for one in event["agent"] if one not in (client, server)]
    assert sum(one["requestor"] for one in event["agent"]) == 1
    if users:
        user = agent_of(event, "IRCP", f"{T}v3-ParticipationType")
        assert user["who"]
        assert user["requestor"] is True
        assert not {"network", "media"} & set(user)
    assert event["source"]["observer"]
    if name.startswith("Patient"):
        patient = entity_of(event, "1")
        assert coded(patient["role"]) == (f"{T}object-role", "1")
        assert "/Patient/" in patient["what"]["reference"]
    thing = entity_of(event, "2")
    if is_read:
        assert coded(thing["role"]) == (f"{T}object-role", "4")
        assert thing["what"]["reference"]
    else:
        assert coded(thing["role"]) == (f"{T}object-role", "24")
        assert base64.b64decode(thing["query"], validate=True)
        assert not {"what", "lifecycle", "detail"} & set(thing)
    assert len(event["entity"]) == (2 if name.startswith("Patient") else 1)
    return str(name)


async def exported(ward: Ward, **query: Any) -> list[dict[str, Any]]:
    response = await ward.of_server(format="fhir", **query)
    assert response.headers["content-type"].startswith("application/fhir+json")
    bundle = done(response)
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "searchset")
    assert len({one["fullUrl"] for one in bundle["entry"]}) == len(bundle["entry"])
    return [one["resource"] for one in bundle["entry"]]


@pytest.mark.parametrize(
    ("interaction", "patients", "profile"),
    [
        (Interaction.READ, (JANE,), "PatientRead"),
        (Interaction.READ, (), "Read"),
        (Interaction.SEARCH, (JANE,), "PatientQuery"),
        (Interaction.SEARCH, (), "Query"),
        (Interaction.PAGE, (JANE,), "PatientQuery"),
        (Interaction.EVERYTHING, (JANE,), "PatientQuery"),
    ],
)
async def test_each_kind_of_read_has_what_its_profile_asks_for(
    ward: Ward, interaction: Interaction, patients: tuple[str, ...], profile: str
) -> None:
    resource = "o-1" if interaction is Interaction.READ else None
    await ward.reads("ben", *patients, interaction=interaction, type="Observation", resource_id=resource)
    (event,) = await exported(ward)
    assert must_conform(event) == profile
    user = agent_of(event, "IRCP", f"{T}v3-ParticipationType")
    assert user["who"]["identifier"]["value"] == str(ward.house.accounts["ben"])
    assert user["name"] == "Ben Cast"
    assert user["role"] == [{"text": "Northside Family Practice"}]
    assert user["policy"] == [f"urn:uuid:{ward.own}"]
    base = f"{ward.house.base_url}/fhir/{ward.server}"
    if patients:
        assert entity_of(event, "1")["what"]["reference"] == f"{base}/Patient/{JANE}"
    if resource is not None:
        assert entity_of(event, "2")["what"]["reference"] == f"{base}/Observation/{resource}"


async def test_there_is_one_for_each_patient_who_was_shown(ward: Ward) -> None:
    await ward.reads("ben", JANE, JIMMY)
    events = await exported(ward)
    assert [must_conform(event) for event in events] == ["PatientQuery"] * 2
    assert {entity_of(event, "1")["what"]["reference"].rpartition("/")[2] for event in events} == {
        JANE,
        JIMMY,
    }
    assert len({event["id"] for event in events}) == 2


async def test_an_application_is_its_own_requestor(ward: Ward) -> None:
    key = await ward.an_application_reads(JANE)
    (event,) = await exported(ward)
    assert must_conform(event) == "PatientRead"
    assert len(event["agent"]) == 2
    assert agent_of(event, "110152")["who"]["identifier"]["value"] == str(key)


async def test_of_a_search_its_keyed_hash_is_kept_and_nothing_of_it(ward: Ward) -> None:
    asked = digest_of(b"key", "Observation", [("code", "canary")])
    await ward.reads("ben", JANE, interaction=Interaction.SEARCH, type="Observation", query_digest=asked)
    (event,) = await exported(ward)
    assert base64.b64decode(entity_of(event, "2")["query"]) == f"Observation?hmac-sha256={asked}".encode()
    assert b"canary" not in msgspec.json.encode(event)


async def test_what_was_refused_claims_no_success_and_no_profile(ward: Ward) -> None:
    await ward.reads("rui", JIMMY, refused="NotFound")
    (event,) = await exported(ward)
    assert (event["outcome"], event["outcomeDesc"]) == ("4", "NotFound")
    assert "meta" not in event
    assert JIMMY.encode() not in msgspec.json.encode(event)


async def test_a_person_is_told_of_the_own_patients_alone_and_can_go_on(ward: Ward) -> None:
    for _ in range(3):
        await ward.reads("ben", JANE, JIMMY)
    first = done(await ward.of_person(format="fhir", limit=2))
    links = {one["relation"]: one["url"] for one in first["link"]}
    assert links["self"].endswith(f"/v1/persons/{ward.person}/reads?limit=2&format=fhir")
    rest = done(await ward.house.pat.get(links["next"]))
    assert [len(first["entry"]), len(rest["entry"])] == [2, 1]
    assert [one["relation"] for one in rest["link"]] == ["self"]
    assert JIMMY.encode() not in msgspec.json.encode([first, rest])
    assert {must_conform(one["resource"]) for one in first["entry"] + rest["entry"]} == {"PatientQuery"}


async def test_control_what_lacks_something_is_found_out(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    await ward.reads("ben", JANE)
    monkeypatch.setattr(audit_events, "_agents", lambda view, base: [])
    with pytest.raises(ValueError, match="not enough values"):
        must_conform((await exported(ward))[0])
