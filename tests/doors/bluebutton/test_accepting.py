"""An invite is accepted with a person: by its id where it is bound, by its code where it isn't; once (contract bluebutton.md §3.4 to §3.6)."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from cast import Caller, House
from clinic import (
    ANSWER,
    JANE,
    JIMMY,
    Clinic,
    accepts,
    accepts_by_code,
    add_server,
    body,
    finds,
    makes_person,
    problem,
    registers,
    signs_in,
)
from doors.bluebutton.desk import grants_on, status_of, sweeps, waiting
from doors.bluebutton.test_story import may
from doors.manners import UNKNOWN, bare, everything
from fakes.evil_fhir import EvilFhir, patient, resource
from hospitium.engine.access.check import Resource
from hospitium.engine.fhir_servers import actions as servers
from hospitium.engine.fhir_servers.actions import ServerChanges
from hospitium.engine.permissions import Permission

MILLISECOND = timedelta(milliseconds=1)
GRANT = {
    "grantId", "entityType", "entityId", "role", "roleIsInherited", "fhirServerId", "description", "fhirDatabaseId",
    "fhirDatabaseDisplayName", "fhirServerEndpoint", "type", "isAzureFhirServer", "accessiblePatientId",
}  # fmt: skip


async def test_accepting_answers_the_grant_that_the_check_goes_by(house: House, clinic: Clinic) -> None:
    made = body(await clinic.invites_by_email("pat@mail.example", patient=JIMMY))
    person_id = await makes_person(house.pat)
    grant = body(await accepts(house.pat, made["id"], person_id))
    assert grant.keys() == GRANT
    told = {name: grant[name] for name in ("entityType", "entityId", "role", "roleIsInherited", "fhirServerId", "accessiblePatientId", "type")}  # fmt: skip
    assert told == {
        "entityType": "Person", "entityId": person_id, "role": "Read", "roleIsInherited": False, "fhirServerId": str(clinic.server_id),
        "accessiblePatientId": JIMMY, "type": "Organizational",
    }  # fmt: skip
    assert await may(house, str(house.accounts["pat"]), Resource.patient(clinic.server_id, JIMMY))
    assert not await may(house, str(house.accounts["pat"]), Resource.patient(clinic.server_id, JANE))
    assert ("invite_accepted", "ben@northside.example") in await waiting(house)
    for party in (house.northside, house.accounts["pat"], UUID(person_id)):
        assert (await house.trail(party)).count("invite.accepted") == 1
    await house.must_be_sound()


async def test_a_second_accept_by_id_is_409_and_changes_nothing(house: House, clinic: Clinic) -> None:
    made = body(await clinic.invites_by_email("pat@mail.example"))
    person_id, other = await makes_person(house.pat), await makes_person(house.pat)
    body(await accepts(house.pat, made["id"], person_id))
    before = await everything(house)
    for person in (person_id, other):
        problem(await accepts(house.pat, made["id"], person), 409, "wrong-state")
    assert await everything(house) == before


async def test_the_id_in_the_body_is_the_one_in_the_address(house: House, clinic: Clinic) -> None:
    one, other = [body(await clinic.invites_by_email("pat@mail.example"))["id"] for _ in range(2)]
    person_id = await makes_person(house.pat)
    before = await everything(house)
    path = f"/OrganizationInvites/{one}/accept"
    for wrong in (other, UNKNOWN, "x", ""):
        (told,) = problem(await house.pat.post(path, {"id": wrong, "personId": person_id}), 400, "invalid")[
            "errors"
        ]
        assert told["field"] == "id"
    for missing in ({"id": one}, {"personId": person_id}, {}):
        problem(await house.pat.post(path, missing), 400, "invalid")
    (told,) = problem(await house.pat.post(path, {"id": one, "personId": "x"}), 400, "invalid")["errors"]
    assert told["field"] == "personId"
    assert await everything(house) == before
    # Either spelling of an id is the same id.
    body(await house.pat.post(path, {"id": one.upper(), "personId": person_id}))


async def test_only_with_a_person_that_one_administers(house: House, clinic: Clinic) -> None:
    by_email = body(await clinic.invites_by_email("pat@mail.example"))["id"]
    code = body(await clinic.invites_by_code())["securityCode"]
    hers = await makes_person(house.zoe, firstName="Zoe")
    own = await makes_person(house.pat)

    async def shared(role: str) -> None:
        offered = body(
            await house.zoe.post(f"/Persons/{hers}/users", {"email": "pat@mail.example", "role": role})
        )
        body(await house.pat.post(f"/Persons/offers/{offered['id']}/accept", {}))

    async def must_not(person_id: str) -> None:
        before = await everything(house)
        answers = [
            await accepts(house.pat, by_email, person_id),
            await accepts_by_code(house.pat, code, person_id),
        ]
        nobody = await accepts(house.pat, by_email, UNKNOWN)
        for answered in answers:
            problem(answered, 404, "not-found")
            assert bare(answered) == bare(nobody)
        assert await everything(house) == before  # a refused person costs no try

    await must_not(hers)
    for role in ("Read", "Write"):
        await shared(role)
        await must_not(hers)
    gone = await makes_person(house.pat)
    assert (await house.pat.send("DELETE", f"/Persons/{gone}")).status_code == 204
    await must_not(gone)
    await shared("Administrator")
    body(await accepts(house.pat, by_email, hers))
    body(await accepts_by_code(house.pat, code, own))
    assert await grants_on(house) == 2


async def test_the_second_of_two_for_the_same_patient_gives_the_grant_there_is(
    house: House, clinic: Clinic
) -> None:
    person_id = await makes_person(house.pat)
    one, two = [body(await clinic.invites_by_email("pat@mail.example"))["id"] for _ in range(2)]
    code = body(await clinic.invites_by_code())["securityCode"]
    first = body(await accepts(house.pat, one, person_id))
    assert body(await accepts(house.pat, two, person_id)) == first
    assert body(await accepts_by_code(house.pat, code, person_id)) == first
    assert await grants_on(house, only_open=False) == 1
    assert [await status_of(house, one_of) for one_of in (one, two)] == ["accepted", "accepted"]
    # Another person is another grant.
    third = body(await clinic.invites_by_email("pat@mail.example"))["id"]
    assert body(await accepts(house.pat, third, await makes_person(house.pat)))["grantId"] != first["grantId"]
    await house.must_be_sound()


async def test_what_find_showed_is_accepted_by_its_code_alone(house: House, clinic: Clinic) -> None:
    made = body(await clinic.invites_by_code())
    found = body(await finds(house.pat, made["securityCode"]))
    person_id = await makes_person(house.pat)
    answered = await accepts(house.pat, found["id"], person_id)
    problem(answered, 404, "not-found")
    assert bare(answered) == bare(await accepts(house.pat, UNKNOWN, person_id))
    problem(await house.pat.post(f"/OrganizationInvites/{found['id']}/decline"), 404, "not-found")
    body(await accepts_by_code(house.pat, made["securityCode"], person_id))


async def test_what_is_bound_to_one_is_for_no_other(house: House, clinic: Clinic) -> None:
    to_eve = body(await clinic.invites_by_email("eve@mail.example"))["id"]
    registered = body(await clinic.invites_by_code())
    body(await registers(house.stranger, registered["securityCode"], "eve@mail.example"))
    eve = await signs_in(house, "eve@mail.example")
    before = await everything(house)
    for who, id_ in ((house.pat, to_eve), (house.pat, registered["id"]), (house.ben, to_eve), (house.ada, registered["id"]), (eve, to_eve)):  # fmt: skip
        person_id = await makes_person(who)
        answered = await accepts(who, id_, person_id)
        problem(answered, 404, "not-found")
        assert bare(answered) == bare(await accepts(who, UNKNOWN, person_id))
        problem(await who.post(f"/OrganizationInvites/{id_}/decline"), 404, "not-found")
    after = await everything(house)
    assert (after["invites"], after["grants"]) == (before["invites"], before["grants"])
    # The one it was registered through is for eve, though her mailbox isn't proved (ruling 22).
    body(await accepts(eve, registered["id"], await makes_person(eve)))


@pytest.mark.parametrize("form", ["by id", "by code"])
async def test_it_is_over_at_its_last_instant_whether_or_not_a_sweep_has_looked(
    house: House, clinic: Clinic, form: str
) -> None:
    person_id = await makes_person(house.pat)

    async def one(who: Caller) -> tuple[str, str | None]:
        if form == "by id":
            return body(await clinic.invites_by_email("pat@mail.example", who))["id"], None
        made = body(await clinic.invites_by_code(who))
        return made["id"], made["securityCode"]

    for off, is_open in ((-MILLISECOND, True), (timedelta(0), False), (MILLISECOND, False)):
        made, code = await one(house.ben)
        (row,) = await house.rows("SELECT expires_at FROM invites WHERE id = $1::text::uuid", made)
        house.clock.now = row["expires_at"] + off - timedelta(microseconds=1)  # the next look adds one
        if not is_open:
            before = await everything(house)
            if code is None:
                problem(await accepts(house.pat, made, person_id), 409, "wrong-state")
            else:
                problem(await accepts_by_code(house.pat, code, person_id), 404, "unknown-code")
            assert await everything(house) == before
            await sweeps(house)
            assert await status_of(house, made) == "expired"
            continue
        body(
            await (
                accepts(house.pat, made, person_id)
                if code is None
                else accepts_by_code(house.pat, code, person_id)
            )
        )
    await house.must_be_sound()


async def test_nothing_is_accepted_on_a_server_whose_address_was_changed_until_that_is_confirmed(
    house: House, clinic: Clinic
) -> None:
    async with EvilFhir.open(resource(patient(JANE))) as upstream:
        clinic.server_id = await add_server(
            house, name="Elsewhere", base_url=upstream.base, allow_private_address=True
        )
        by_email = body(await clinic.invites_by_email("pat@mail.example"))["id"]
        early = body(await clinic.invites_by_email("pat@mail.example"))["id"]
        code = body(await clinic.invites_by_code())["securityCode"]
        person_id = await makes_person(house.pat)
        body(await accepts(house.pat, early, person_id))
        its = Resource.patient(clinic.server_id, JANE)
        assert await may(house, str(house.accounts["pat"]), its)
        moved = ServerChanges("Elsewhere", upstream.base + "/other", True, None, None)
        await house.operate(
            lambda ctx: servers.change(ctx, clinic.server_id, moved), Permission.KEEP_FHIR_SERVERS
        )
        assert not await may(house, str(house.accounts["pat"]), its)
        problem(await accepts(house.pat, by_email, person_id), 409, "wrong-state")
        problem(await accepts_by_code(house.pat, code, person_id), 409, "wrong-state")
        problem(await clinic.invites_by_code(house.ada), 409, "wrong-state")
        problem(await clinic.invites_by_code(house.ben), 404, "not-found")
        assert body(await house.pat.get("/FhirServers/records")) == []
        await house.operate(lambda ctx: servers.confirm(ctx, clinic.server_id), Permission.KEEP_FHIR_SERVERS)
        assert await may(house, str(house.accounts["pat"]), its)
        body(await accepts(house.pat, by_email, person_id))
        body(await accepts_by_code(house.pat, code, person_id))  # the try before was no wrong answer


async def test_the_answer_is_asked_for_with_the_code_each_time(house: House, clinic: Clinic) -> None:
    code = body(await clinic.invites_by_code())["securityCode"]
    person_id = await makes_person(house.pat)
    body(await finds(house.pat, code))
    problem(await accepts_by_code(house.pat, code, person_id, "Rex"), 400, "wrong-answer")
    path = f"/OrganizationInvites/security-details/code/{code}/accept"
    for missing in ("securityCode", "securityAnswer", "personId"):
        asked = {"securityCode": code, "securityAnswer": ANSWER, "personId": person_id}
        del asked[missing]
        (told,) = problem(await house.pat.post(path, asked), 400, "invalid")["errors"]
        assert told["field"] == missing
    body(await accepts_by_code(house.pat, code, person_id))
