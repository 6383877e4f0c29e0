"""A grant opens one patient on a FHIR server, of either kind, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clinic import JANE, JIMMY, body
from doors.fhir.ward import CANARY, OTHERS_PRACTITIONER, PRACTITIONER

if TYPE_CHECKING:
    from doors.fhir.ward import Ward


def ids(bundle: Any) -> list[str]:
    return [one["resource"]["id"] for one in bundle.get("entry", []) if one["search"]["mode"] == "match"]


async def test_what_was_granted_is_read_by_id_and_by_search(ward: Ward) -> None:
    assert body(await ward.get(f"Patient/{JANE}"))["name"][0]["family"] == "Doe"
    assert body(await ward.get("Observation/j-1"))["valueQuantity"]["value"] == 61
    found = body(await ward.get("Observation"))
    assert sorted(ids(found)) == ["j-1", "j-2", "j-3", "j-4", "j-5", "j-by-house", "j-names-jimmy"]
    assert found["total"] == 7
    assert CANARY not in (await ward.get("Observation")).text
    assert ids(body(await ward.get("Patient"))) == [JANE]
    assert ids(body(await ward.get(f"AllergyIntolerance?patient={JANE}"))) == ["a-1"]


async def test_what_was_not_granted_is_the_same_as_what_isnt_there(ward: Ward) -> None:
    missing = await ward.get("Observation/none")
    assert missing.status_code == 404
    for path in (f"Patient/{JIMMY}", "Patient/none", "Observation/ax-1", "Observation/x-contained",
                 "AllergyIntolerance/x-told-by-jane", f"Practitioner/{OTHERS_PRACTITIONER}", "Practitioner/none"):  # fmt: skip
        answered = await ward.get(path)
        assert (answered.status_code, answered.content) == (404, missing.content), path
    assert body(await ward.get(f"Observation?patient={JIMMY}")).get("entry") is None


async def test_a_practitioner_is_read_when_a_resource_that_was_shown_refers_to_him(ward: Ward) -> None:
    assert (await ward.get(f"Practitioner/{PRACTITIONER}")).status_code == 404
    body(await ward.get("Observation/j-by-house"))
    assert body(await ward.get(f"Practitioner/{PRACTITIONER}"))["name"] == [{"family": "House"}]
    assert (await ward.get(f"Practitioner/{OTHERS_PRACTITIONER}")).status_code == 404


async def test_everything_of_a_patient_comes_in_pages(ward: Ward) -> None:
    seen: list[str] = []
    path = f"Patient/{JANE}/$everything?_count=3"
    for _ in range(60):
        found = body(await ward.get(path))
        seen += ids(found)
        onward = [one["url"] for one in found["link"] if one["relation"] == "next"]
        if not onward:
            break
        path = onward[0].partition(f"{ward.server_id}/")[2]
    assert sorted(seen) == sorted(
        [JANE, "c-1", "a-1", "j-1", "j-2", "j-3", "j-4", "j-5", "j-by-house", "j-names-jimmy"]
    )
    assert (await ward.get(f"Patient/{JIMMY}/$everything")).status_code == 404


async def test_everything_is_asked_for_by_post_too(ward: Ward) -> None:
    """As clients ask that make no difference between operations (https://hl7.org/fhir/R4/operations.html#request)."""
    path = f"/fhir/{ward.server_id}/Patient/{JANE}/$everything"
    asked = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "_type", "valueString": "Condition,AllergyIntolerance"},
            {"name": "_count", "valueInteger": 50},
        ],
    }
    by_get = body(await ward.get(f"Patient/{JANE}/$everything?_type=Condition,AllergyIntolerance&_count=50"))
    by_post = body(await ward.jan.post(path, asked))
    assert sorted(ids(by_post)) == sorted(ids(by_get)) == sorted([JANE, "c-1", "a-1"])
    assert ids(body(await ward.jan.send("POST", path)))[0] == JANE
    for wrong in (
        {"resourceType": "Patient"},
        {"resourceType": "Parameters", "parameter": {}},
        {"resourceType": "Parameters", "parameter": [{"valueString": "Condition"}]},
        {"resourceType": "Parameters", "parameter": [{"name": "_type"}]},
        {"resourceType": "Parameters", "parameter": [{"name": "_type", "valueBoolean": True}]},
        {"resourceType": "Parameters", "parameter": [{"name": "_type", "resource": {"resourceType": "Patient"}}]},
        {"resourceType": "Parameters", "parameter": [{"name": "start", "valueDate": "2024-01-01"}]},
        {"resourceType": "Parameters", "parameter": [{"name": "_count", "valueInteger": 0}]},
        {"parameter": []},
        [],
    ):  # fmt: skip
        answered = await ward.jan.post(path, wrong)
        assert (answered.status_code, answered.json()["resourceType"]) == (400, "OperationOutcome"), wrong
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert (await ward.jan.http.post(path, headers=ward.jan.headers | form, content="a=b")).status_code == 415
    assert (
        await ward.jan.post(f"/fhir/{ward.server_id}/Patient/{JIMMY}/$everything", asked)
    ).status_code == 404


async def test_a_count_of_none_counts_ones_own(ward: Ward) -> None:
    for path in ("Observation?_count=0", "Observation?_summary=count"):
        counted = body(await ward.get(path))
        assert (counted["total"], counted.get("entry")) == (7, None)
