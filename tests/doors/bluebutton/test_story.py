"""The story of the document, both ways: invited by code and by e-mail, registered, received, found, accepted with a person, and then
granted that one patient and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from clinic import (
    ANSWER,
    JANE,
    JIMMY,
    QUESTION,
    accepts,
    accepts_by_code,
    asks_question,
    body,
    finds,
    makes_person,
    problem,
    registers,
    signs_in,
)
from hospitium.engine.access.check import Question, Resource, SubjectKind, check
from hospitium.engine.access.decide import Allowed
from hospitium.engine.levels import Level

if TYPE_CHECKING:
    from cast import House
    from clinic import Clinic


async def may(house: House, account_id: str, resource: Resource, level: Level = Level.READ) -> bool:
    question = Question(
        SubjectKind.ACCOUNT, UUID(account_id), level, resource.kind, resource.id, "", resource.fhir_server_id
    )
    return isinstance(await house.operate(lambda ctx: check(ctx, question)), Allowed)


async def must_read_only(house: House, clinic: Clinic, account_id: str, patient: str) -> None:
    """Insist on what the check answers: this patient, to read, and nothing else there."""
    its = Resource.patient(clinic.server_id, patient)
    assert await may(house, account_id, its)
    for level in (Level.SHARE, Level.UPDATE, Level.DELETE):
        assert not await may(house, account_id, its, level)
    for other in ({JANE, JIMMY} - {patient}) | {"nobody"}:
        assert not await may(house, account_id, Resource.patient(clinic.server_id, other), Level.PUBLIC)
    assert not await may(house, account_id, Resource.server(clinic.server_id), Level.PUBLIC)


async def test_somebody_new_registers_with_the_code_and_accepts_by_id(house: House, clinic: Clinic) -> None:
    made = body(await clinic.invites_by_code())
    assert made["patient"]["address"][0]["city"] == "Dayton"
    assert (made["securityQuestion"], made["fhirServerName"]) == (QUESTION, "Good Health Clinic")
    code = made["securityCode"]

    asked = await asks_question(house.stranger, code)
    assert (asked.text, asked.headers["content-type"]) == (QUESTION, "text/plain; charset=utf-8")
    registered = body(await registers(house.stranger, code, "jane@mail.example", middleName="Q"))
    assert registered["userExists"] is False
    assert registered["user"]["middleName"] == "Q"

    jane = await signs_in(house, "jane@mail.example")
    (received,) = body(await jane.get("/OrganizationInvites/received"))
    assert received["id"] == made["id"]
    assert received["userId"] == registered["user"]["id"]
    assert set(received["patient"]) == {"resourceType", "id", "name", "gender", "birthDate"}
    assert "acceptedOn" not in received
    person_id = await makes_person(jane)
    grant = body(await accepts(jane, made["id"], person_id))
    assert (grant["entityType"], grant["entityId"], grant["role"]) == ("Person", person_id, "Read")
    assert (grant["fhirServerId"], grant["accessiblePatientId"]) == (str(clinic.server_id), JANE)

    (after,) = body(await jane.get("/OrganizationInvites/received"))
    assert after["acceptedOn"]
    problem(await accepts(jane, made["id"], person_id), 409, "wrong-state")
    problem(await asks_question(house.stranger, code), 404, "unknown-code")
    await must_read_only(house, clinic, registered["user"]["id"], JANE)
    await house.must_be_sound()


async def test_somebody_known_is_told_so_and_accepts_by_code(house: House, clinic: Clinic) -> None:
    code = body(await clinic.invites_by_code(patient=JIMMY))["securityCode"]
    assert body(await registers(house.stranger, code, "pat@mail.example")) == {"userExists": True}
    pat = house.pat
    assert body(await pat.get("/OrganizationInvites/received")) == []
    found = body(await finds(pat, code))
    person_id = await makes_person(pat, firstName="Jimmy", relationship="Child")
    problem(await accepts(pat, found["id"], person_id), 404, "not-found")
    grant = body(await accepts_by_code(pat, code.lower(), person_id, "  CHARLIE "))
    assert grant["accessiblePatientId"] == JIMMY
    assert [one["id"] for one in body(await pat.get("/OrganizationInvites/received"))] == [found["id"]]
    problem(await accepts_by_code(pat, code, person_id), 404, "unknown-code")
    await must_read_only(house, clinic, str(house.accounts["pat"]), JIMMY)
    await house.must_be_sound()


async def test_somebody_known_is_invited_by_email_and_accepts_by_id(house: House, clinic: Clinic) -> None:
    made = body(await clinic.invites_by_email("pat@mail.example"))
    assert "securityCode" not in made
    assert (made["userName"], made["userEmail"]) == ("Jane Doe", "pat@mail.example")
    assert "userId" not in made
    person_id = await makes_person(house.pat)
    grant = body(await accepts(house.pat, made["id"], person_id))
    page = body(await clinic.sees_sent())
    assert (page["total"], page["totalPages"], page["hasNextPage"], page["currentPage"]) == (1, 1, False, 1)
    (sent,) = page["resources"]
    assert (sent["userId"], sent["userName"]) == (str(house.accounts["pat"]), "Pat Cast")
    records = body(await house.pat.get("/FhirServers/records"))
    assert [one["grantId"] for one in records] == [grant["grantId"]]
    await must_read_only(house, clinic, str(house.accounts["pat"]), JANE)

    answered = await house.ada.send("DELETE", f"/FhirServers/grants/{grant['grantId']}")
    assert answered.status_code == 204
    assert not await may(house, str(house.accounts["pat"]), Resource.patient(clinic.server_id, JANE))
    assert body(await house.pat.get("/FhirServers/records")) == []
    await house.must_be_sound()


async def test_five_wrong_answers_lock_it(house: House, clinic: Clinic) -> None:
    code = body(await clinic.invites_by_code())["securityCode"]
    for _ in range(4):
        problem(await finds(house.pat, code, "Rex"), 400, "wrong-answer")
    body(await finds(house.pat, code))
    problem(await registers(house.stranger, code, "jane@mail.example", "Rex"), 400, "wrong-answer")
    problem(await finds(house.pat, code, ANSWER), 404, "unknown-code")
