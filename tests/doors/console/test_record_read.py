"""A record is read as everything is: from a built-in server and from a remote one, checked, on record, and nobody else's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from clinic import JANE, JIMMY, Clinic, add_server, load
from doors.console.test_invite_pages import enters
from doors.console.test_my_record import MINE, SAYS, opened
from doors.console.test_pages import must_be_a_page
from doors.console.visitor import Visitor
from fakes.evil_fhir import (
    CANARY,
    EvilFhir,
    entry,
    hang_up,
    outcome,
    page as bundle,
    patient,
    resource,
)
from hospitium.doors.recording import Recorder
from hospitium.engine.errors import Unavailable

if TYPE_CHECKING:
    from cast import House
    from fakes.evil_fhir import Caller

HERS: tuple[dict[str, Any], ...] = tuple(
    {"resourceType": kind, "id": f"{kind.lower()}-{whose}", member: {"reference": f"Patient/{whose}"}, **more}
    for whose, word in ((JANE, "hers"), (JIMMY, "canary"))
    for kind, member, more in (
        ("Condition", "subject", {"code": {"text": f"Asthma {word}"}, "recordedDate": "2020-01-02"}),
        ("MedicationRequest", "subject", {"status": "active", "intent": "order", "medicationCodeableConcept": {"text": f"Salbutamol {word}"}, "authoredOn": "2021-01-01"}),
        ("Immunization", "patient", {"status": "completed", "vaccineCode": {"text": f"Influenza {word}"}, "occurrenceDateTime": "2022"}),
        ("AllergyIntolerance", "patient", {"code": {"text": f"Peanut {word}"}, "recordedDate": "2019"}),
        ("Observation", "subject", {"status": "final", "code": {"text": f"Weight {word}"}, "valueQuantity": {"value": 61.5, "unit": "kg"}, "effectiveDateTime": "2023-05-06"}),
    )
)  # fmt: skip


@pytest.fixture
async def clinic(house: House) -> Clinic:
    clinic = await Clinic.open(house)
    await load(house, clinic.server_id, *HERS)
    return clinic


async def test_a_record_of_a_built_in_server_is_told_and_nobody_elses(house: House, clinic: Clinic) -> None:
    grant_id, person_id = await opened(clinic)
    async with Visitor(house) as pat:
        await enters(pat)
        page = await pat.opens(f"{MINE}/{grant_id}")
        must_be_a_page(page, "en")
        for told in (
            "Record of Jane Doe",
            "Asthma hers",
            "Salbutamol hers",
            "Influenza hers",
            "Peanut hers",
            "Weight hers",
            "61.5 kg",
        ):
            assert told in page.words, told
        assert "canary" not in page.html
        assert SAYS["en"]["missing"] not in page.words
        # That he has read it stands there from the first moment, and the next time again.
        page = await pat.opens(f"/console/persons/{person_id}/reads")
        assert (
            "You : measurements and findings, allergies, vaccinations, medications, prescriptions, conditions, name and birth date."
            in page.words
        )
    rows = await house.rows(
        "SELECT data->>'type' AS type FROM events WHERE kind = 'fhir.read' ORDER BY at, id"
    )
    assert [row["type"] for row in rows] == [
        "Patient", "Condition", "MedicationRequest", "MedicationStatement", "Immunization", "AllergyIntolerance", "Observation",
    ]  # fmt: skip


async def test_what_can_not_be_put_on_record_is_not_shown(
    house: House, clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    grant_id, _ = await opened(clinic)

    async def fail(*_: object) -> None:
        raise Unavailable(7)

    async with Visitor(house) as pat:
        await enters(pat)
        monkeypatch.setattr(Recorder, "record", fail)
        page = await pat.opens(f"{MINE}/{grant_id}")
        must_be_a_page(page, "en")
        assert page.status == 503
        assert "hers" not in page.html


async def test_a_patient_who_is_no_more_there_is_not_told_as_an_empty_record(
    house: House, clinic: Clinic
) -> None:
    grant_id, _ = await opened(clinic)
    await house.rows("DELETE FROM fhir_resources WHERE type = 'Patient' AND id = $1", JANE)
    async with Visitor(house) as pat:
        await enters(pat)
        page = await pat.opens(f"{MINE}/{grant_id}")
        must_be_a_page(page, "en")
        assert SAYS["en"]["closed"] in page.words
        assert "hers" not in page.html


class Ward:
    """A remote FHIR server of Jane's that can't sort prescriptions, mixes others in, breaks off some, and may go away after the patient."""

    def __init__(self) -> None:
        self.is_away = False

    async def __call__(self, caller: Caller) -> None:
        target = caller.heard.target
        kind = target.rpartition("/")[2].partition("?")[0]
        found = [one for one in HERS if one["resourceType"] == kind]
        if f"/Patient/{JANE}" in target:
            await resource(patient(JANE, name=[{"given": ["Jane"], "family": "Doe"}]))(caller)
        elif self.is_away:
            await hang_up(caller)
        elif kind in ("Immunization", "MedicationStatement") or (
            kind == "MedicationRequest" and "_sort" in target
        ):
            await resource(outcome(), status="400 Bad Request")(caller)
        else:
            await resource(bundle(*(entry(one) for one in found)))(caller)


async def test_of_a_remote_server_what_is_hers_is_told_and_what_fails_is_said(house: House) -> None:
    ward = Ward()
    async with EvilFhir.open(ward) as upstream, Visitor(house) as pat:
        server_id = await add_server(
            house, name="Elsewhere", base_url=upstream.base, allow_private_address=True
        )
        grant_id, _ = await opened(Clinic(house, server_id))
        await enters(pat)
        page = await pat.opens(f"{MINE}/{grant_id}")
        must_be_a_page(page, "en")
        for told in ("Record of Jane Doe", "Asthma hers", "Salbutamol hers", "Peanut hers", "61.5 kg"):
            assert told in page.words, told
        assert "canary" not in page.html
        assert CANARY not in page.html
        assert page.words.count(SAYS["en"]["missing"]) == 2  # vaccinations, and of medications a part
        assert SAYS["en"]["none"] not in page.words

        ward.is_away = True
        upstream.heard.clear()
        page = await pat.opens(f"{MINE}/{grant_id}")
        must_be_a_page(page, "en")
        assert page.words.count(SAYS["en"]["missing"]) == 5
        assert SAYS["en"]["none"] not in page.words
        # Whoever was away is not waited for once a kind.
        assert {one.target.rpartition("/")[2].partition("?")[0] for one in upstream.heard} == {
            JANE,
            "Condition",
        }


async def test_a_remote_server_that_is_away_is_said_to_be(house: House) -> None:
    ward = Ward()
    async with EvilFhir.open(ward) as upstream:
        server_id = await add_server(
            house, name="Elsewhere", base_url=upstream.base, allow_private_address=True
        )
        grant_id, _ = await opened(Clinic(house, server_id))
    async with Visitor(house) as pat:
        await enters(pat)
        page = await pat.opens(f"{MINE}/{grant_id}")
        must_be_a_page(page, "en")
        assert page.status == 200
        assert SAYS["en"]["away"] in page.words
        assert SAYS["en"]["none"] not in page.words
