"""The whole story on synthetic patients as another generator makes them: invited by an identifier, each to his own record and no other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cast import House
from clinic import (
    ANSWER,
    QUESTION,
    Clinic,
    accepts,
    accepts_by_code,
    add_server,
    body,
    makes_person,
    registers,
    signs_in,
)
from doors.bluebutton.desk import whole
from doors.bluebutton.test_story import may
from hospitium.engine.access.check import Resource
from hospitium.engine.fhir_resources import actions as resources
from hospitium.engine.fhir_resources.checking import prepare
from hospitium.engine.fhir_resources.reading import Given, resources_in
from hospitium.engine.fhir_resources.references import together
from hospitium.engine.permissions import Permission

DIRECTORY = Path(__file__).parents[3] / "../shared/data/synthea-r4"
FILES = sorted(DIRECTORY.glob("*_*.json"))
FIVE = ("resourceType", "id", "name", "gender", "birthDate")

pytestmark = pytest.mark.skipif(
    not FILES, reason="the synthetic patients are not here (../shared/data/synthea-r4): NOT TESTED"
)


async def a_clinic(house: House) -> tuple[Clinic, list[dict[str, Any]]]:
    """Load all patients, and all of two of them; return the clinic and its patients."""
    clinic = Clinic(house, await add_server(house))
    given: list[Given] = []
    for number, file in enumerate(sorted(FILES, key=lambda one: one.stat().st_size)):
        found = list(resources_in(file.name, file.read_bytes()))
        given += found if number < 2 else [one for one in found if one.resource["resourceType"] == "Patient"]
    prepared = list(prepare(given, together(given)))
    await house.operate(
        lambda ctx: resources.load(ctx, clinic.server_id, prepared), Permission.LOAD_RESOURCES
    )
    return clinic, [one.resource for one in given if one.resource["resourceType"] == "Patient"]


def record_number(patient: dict[str, Any]) -> str:
    """Return the medical record number of a patient, as `system|value`."""
    (number,) = [
        one
        for one in patient["identifier"]
        if any(coding["code"] == "MR" for coding in one.get("type", {}).get("coding", []))
    ]
    return f"{number['system']}|{number['value']}"


async def test_everybody_is_invited_to_his_own_record_and_reads_no_other(house: House) -> None:
    clinic, patients = await a_clinic(house)
    assert len(patients) == len(FILES)
    by_number = {"patient": None}
    made = [
        body(await clinic.invites_by_email(f"p{n}@mail.example", **by_number, accessiblePatientIdentifierSearchStr=record_number(one)))
        for n, one in enumerate(patients)
    ]  # fmt: skip
    assert [one["accessiblePatientId"] for one in made] == [one["id"] for one in patients]
    for one, given in zip(made, patients, strict=True):
        assert whole(one["patient"])["identifier"] == given["identifier"]
    listed = body(await clinic.sees_sent(count=100))
    assert listed["total"] == len(patients)
    for one in listed["resources"]:
        assert one["patient"].keys() <= set(FIVE)

    first, second = patients[:2]
    code = body(
        await clinic.invites_by_code(patient=first["id"], securityQuestion=QUESTION, securityAnswer=ANSWER)
    )["securityCode"]
    registered = body(await registers(house.stranger, code, "first@mail.example"))
    him = await signs_in(house, "first@mail.example")
    (waiting,) = body(await him.get("/OrganizationInvites/received"))
    assert waiting["patient"] == {name: first[name] for name in FIVE}
    name = waiting["patient"]["name"][0]
    person = await makes_person(
        him,
        firstName=name["given"][0],
        lastName=name["family"],
        gender=waiting["patient"]["gender"].title(),
        birthDate=waiting["patient"]["birthDate"],
    )
    grant = body(await accepts(him, waiting["id"], person))
    assert grant["accessiblePatientId"] == first["id"]

    other = body(await clinic.invites_by_code(patient=second["id"]))["securityCode"]
    body(await accepts_by_code(house.pat, other, await makes_person(house.pat)))
    for account, own in ((registered["user"]["id"], first["id"]), (str(house.accounts["pat"]), second["id"])):
        readable = [
            one["id"]
            for one in patients
            if await may(house, account, Resource.patient(clinic.server_id, one["id"]))
        ]
        assert readable == [own]
    await house.must_be_sound()
