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
