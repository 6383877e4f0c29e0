"""An invite is read by who may write on its FHIR server, and by whom it is for; by nobody else (contract bluebutton.md §3.4)."""

from __future__ import annotations

from cast import House
from clinic import (
    JANE,
    PATIENTS,
    Clinic,
    accepts_by_code,
    add_server,
    body,
    finds,
    makes_person,
    problem,
    registers,
    signs_in,
)
from doors.bluebutton.desk import whole
from doors.manners import UNKNOWN, bare
from fakes.evil_fhir import CANARY, EvilFhir, answering, hang_up, patient, resource

FIVE = {"resourceType", "id", "name", "gender", "birthDate"}


async def test_the_inviting_side_sees_the_whole_patient_and_the_invitee_five_members(
    house: House, clinic: Clinic
) -> None:
    made = body(await clinic.invites_by_email("pat@mail.example"))
    path = f"/OrganizationInvites/{made['id']}"
    for who in (house.ben, house.ada):
        read = body(await who.get(path))
        assert whole(read["patient"]) == PATIENTS[0]
        assert read | {"patient": None} == made | {"patient": None}
    read = body(await house.pat.get(path))
    assert read["patient"] == {name: PATIENTS[0][name] for name in FIVE}
    nobodys = await house.pat.get(f"/OrganizationInvites/{UNKNOWN}")
    for who in (house.mia, house.rui, house.zoe, house.nia, house.cal):
        answered = await who.get(path)
        problem(answered, 404, "not-found")
        assert bare(answered) == bare(nobodys)
    for odd in ("x", made["id"][:-1], "%00", made["id"].replace("-", "")):
        assert bare(await house.ben.get(f"/OrganizationInvites/{odd}")) == bare(nobodys), odd


async def test_an_invite_by_code_is_read_by_who_is_tied_to_it_not_by_who_found_it(
    house: House, clinic: Clinic
) -> None:
    found, bound = [body(await clinic.invites_by_code()) for _ in range(2)]
    body(await finds(house.pat, found["securityCode"]))
    problem(await house.pat.get(f"/OrganizationInvites/{found['id']}"), 404, "not-found")
    body(await registers(house.stranger, bound["securityCode"], "eve@mail.example"))
    eve = await signs_in(house, "eve@mail.example")
    read = body(await eve.get(f"/OrganizationInvites/{bound['id']}"))
    assert read["patient"].keys() == FIVE
    body(await accepts_by_code(house.pat, found["securityCode"], await makes_person(house.pat)))
    assert body(await house.pat.get(f"/OrganizationInvites/{found['id']}"))["acceptedOn"]
    problem(await eve.get(f"/OrganizationInvites/{found['id']}"), 404, "not-found")


async def test_when_the_fhir_server_is_away_or_wrong_the_invite_is_read_without_and_says_so(
    house: House, clinic: Clinic
) -> None:
    jane = patient(JANE, name=[{"family": "Doe"}], address=[{"city": "Dayton"}])
    async with EvilFhir.open(resource(jane)) as upstream:
        clinic.server_id = await add_server(
            house, name="Elsewhere", base_url=upstream.base, allow_private_address=True
        )
        made = body(await clinic.invites_by_code())
        assert made["patient"] == jane
        path = f"/OrganizationInvites/{made['id']}"
        assert body(await house.ben.get(path))["patient"] == jane
        for wrong in (
            hang_up,
            answering(CANARY.encode(), status="500 Broken", content_type="text/plain"),
            resource(patient("another", name=[{"family": CANARY}])),
            answering(b"", status="404 Not Found"),
        ):
            upstream.does = wrong
            answered = await house.ben.get(path)
            read = body(answered)
            assert read["patientNote"]
            assert read["patient"] == {name: jane[name] for name in FIVE if name in jane}
            assert CANARY not in answered.text
        assert body(await clinic.sees_sent())["total"] == 1  # lists ask nobody
