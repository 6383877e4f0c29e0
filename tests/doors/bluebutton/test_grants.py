"""Grants on FHIR servers are made, seen and ended (contract bluebutton.md §3.2, ruling 23)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx

from cast import Caller, House, connected, data
from clinic import JANE, JIMMY, Clinic, accepts, accepts_by_code, body, makes_person, problem
from doors.bluebutton.test_accepting import GRANT
from doors.bluebutton.test_story import may
from doors.manners import UNKNOWN, bare, everything
from hospitium.engine.access.check import Resource
from hospitium.engine.levels import Level


async def grants(
    clinic: Clinic, who: Caller, kind: str, whom: Any, role: str = "Read", **more: Any
) -> httpx.Response:
    asked = {
        "entityType": kind,
        "entityId": str(whom),
        "fhirServerId": str(clinic.server_id),
        "role": role,
        **more,
    }
    return await who.post("/FhirServers/grants", asked)


async def ends(who: Caller, grant: Any) -> httpx.Response:
    grant_id = grant["grantId"] if isinstance(grant, dict) else grant
    return await who.send("DELETE", f"/FhirServers/grants/{grant_id}")


async def records(who: Caller) -> dict[str, Any]:
    """Return what reaches somebody: by the id of the grant, its role and whether it is inherited."""
    found = body(await who.get("/FhirServers/records"))
    return {one["grantId"]: (one["role"], one["roleIsInherited"]) for one in found}


async def listed(clinic: Clinic, who: Caller) -> list[Any]:
    found: list[Any] = body(await who.get(f"/FhirServers/{clinic.server_id}/grants"))
    return found


async def a_persons_grant(house: House, clinic: Clinic, who: Caller, email: str, patient: str = JANE) -> Any:
    made = body(await clinic.invites_by_email(email, patient=patient))
    return body(await accepts(who, made["id"], await makes_person(who)))


async def test_a_member_is_granted_a_role_in_any_case_and_nobody_is_made_owner(
    house: House, clinic: Clinic
) -> None:
    for word, role in (("administrator", "Administrator"), ("WRITE", "Write"), ("read", "Read"), ("ADMIN", "Administrator"), ("Write", "Write")):  # fmt: skip
        made = body(await grants(clinic, house.ada, "User", "MIA@northside.example", word))
        assert made.keys() == GRANT - {"accessiblePatientId"}
        assert (made["entityType"], made["entityId"], made["role"]) == (
            "User",
            str(house.accounts["mia"]),
            role,
        )
        assert (made["roleIsInherited"], made["description"]) == (False, "Good Health Clinic")
    # Another role ended the row before and began another; the same again is none.
    rows = await house.rows("SELECT ends_at IS NULL AS open FROM grants WHERE grantee_kind = 'account'")
    assert sorted(row["open"] for row in rows) == [False] * 4 + [True]
    trail = await house.trail(house.accounts["mia"])
    assert (trail.count("grant.made"), trail.count("grant.ended")) == (5, 4)
    before = await everything(house)
    problem(await grants(clinic, house.ada, "User", "mia@northside.example", "Write"), 409, "conflict")
    for word in ("Owner", "owner", "OWNER", "", "Synapse", "7", "Write ", "\uff32ead", "delete"):
        (wrong,) = problem(
            await grants(clinic, house.ada, "User", "mia@northside.example", word), 400, "invalid"
        )["errors"]
        assert wrong["field"] == "role", word
    for member in ("isOwner", "grantId", "roleIsInherited", "level"):
        answered = await grants(clinic, house.ada, "User", "mia@northside.example", **{member: 1})
        (wrong,) = problem(answered, 400, "invalid")["errors"]
        assert wrong["field"] == member
    assert await everything(house) == before
    await house.must_be_sound()


async def test_the_owner_is_one_from_the_beginning_and_its_grant_can_not_be_ended(
    house: House, clinic: Clinic
) -> None:
    (owners,) = await listed(clinic, house.ada)
    assert (owners["entityType"], owners["entityId"], owners["role"]) == (
        "Organization",
        str(house.northside),
        "Owner",
    )
    before = await everything(house)
    problem(await ends(house.ada, owners), 409, "conflict")
    problem(await grants(clinic, house.ada, "Organization", house.northside, "Administrator"), 400, "invalid")
    problem(await grants(clinic, house.ada, "Organization", house.northside, "Read"), 400, "invalid")
    assert await everything(house) == before


async def test_members_only_and_others_can_not_be_told_from_nobody(house: House, clinic: Clinic) -> None:
    before = await everything(house)
    told = set()
    for email in ("pat@mail.example", "rui@lakeside.example", "nobody@mail.example"):
        answered = await grants(clinic, house.ada, "User", email)
        (wrong,) = problem(answered, 400, "invalid")["errors"]
        assert wrong["field"] == "entityId"
        told.add(answered.content)
    assert len(told) == 1
    for kind, whom in (("User", "no address"), ("User", str(house.accounts["mia"])), ("Organization", "x"), ("Person", "x"), ("Team", UNKNOWN), ("Application", UNKNOWN), ("", "x")):  # fmt: skip
        problem(await grants(clinic, house.ada, kind, whom), 400, "invalid")
    assert await everything(house) == before


async def test_on_one_patient_to_read_and_no_more(house: House, clinic: Clinic) -> None:
    mia = str(house.accounts["mia"])
    for role in ("Write", "Administrator"):
        answered = await grants(
            clinic, house.ada, "User", "mia@northside.example", role, accessiblePatientId=JANE
        )
        (wrong,) = problem(answered, 400, "invalid")["errors"]
        assert wrong["field"] == "role"
    made = body(await grants(clinic, house.ada, "User", "mia@northside.example", accessiblePatientId=JANE))
    assert (made["accessiblePatientId"], made["role"]) == (JANE, "Read")
    assert await may(house, mia, Resource.patient(clinic.server_id, JANE))
    assert not await may(house, mia, Resource.patient(clinic.server_id, JIMMY))
    assert not await may(house, mia, Resource.server(clinic.server_id), Level.PUBLIC)
    problem(await clinic.invites_by_code(house.mia), 404, "not-found")  # a restricted Read is not enough
    problem(await clinic.sees_sent(house.mia), 404, "not-found")
    for patient in ("..", ".", "a/b", "x" * 65, ""):
        answered = await grants(
            clinic, house.ada, "User", "mia@northside.example", accessiblePatientId=patient
        )
        problem(answered, 400, "invalid")
    await house.must_be_sound()


async def test_a_person_is_granted_only_what_it_was_invited_to_before_on_one_patient(
    house: House, clinic: Clinic
) -> None:
    grant = await a_persons_grant(house, clinic, house.pat, "pat@mail.example")
    person_id = grant["entityId"]
    stranger = await makes_person(house.zoe)
    before = await everything(house)
    for whom in (stranger, UNKNOWN):
        problem(await grants(clinic, house.ada, "Person", whom, accessiblePatientId=JANE), 400, "invalid")
    (wrong,) = problem(await grants(clinic, house.ada, "Person", person_id), 400, "invalid")["errors"]
    assert wrong["field"] == "accessiblePatientId"
    problem(await grants(clinic, house.ada, "Person", person_id, accessiblePatientId=JANE), 409, "conflict")
    assert await everything(house) == before
    again = body(await grants(clinic, house.ada, "person", person_id, accessiblePatientId=JIMMY))
    assert again["grantId"] in await records(house.pat)
    assert await may(house, str(house.accounts["pat"]), Resource.patient(clinic.server_id, JIMMY))
    await house.must_be_sound()


async def test_partners_read_only_while_connected(house: House, clinic: Clinic) -> None:
    refused = await grants(clinic, house.ada, "Organization", house.lakeside)
    unknown = await grants(clinic, house.ada, "Organization", UNKNOWN)
    problem(refused, 400, "invalid")
    assert bare(refused) == bare(unknown)
    connection = await connected(house.ada, house.lakeside, house.rui)
    for role in ("Write", "Administrator"):
        (wrong,) = problem(
            await grants(clinic, house.ada, "Organization", house.lakeside, role), 400, "invalid"
        )["errors"]
        assert wrong["field"] == "role"
    made = body(await grants(clinic, house.ada, "Organization", house.lakeside))
    assert (await records(house.rui))[made["grantId"]] == ("Read", True)
    rui, server = str(house.accounts["rui"]), Resource.server(clinic.server_id)
    assert await may(house, rui, server)
    assert await may(house, rui, Resource.patient(clinic.server_id, JANE))
    assert not await may(house, rui, server, Level.UPDATE)
    for answered in (await clinic.invites_by_code(house.rui), await clinic.sees_sent(house.rui)):
        problem(answered, 403, "forbidden")  # he knows of it, and may only read there
    problem(await grants(clinic, house.rui, "User", "rui@lakeside.example"), 403, "forbidden")
    problem(await ends(house.rui, made), 403, "forbidden")
    data(await house.rui.does("terminate", connection, {"reason": "Over"}))
    assert not await may(house, rui, server)
    assert await records(house.rui) == {}
    problem(await clinic.sees_sent(house.rui), 404, "not-found")
    (row,) = await house.rows("SELECT ends_at FROM grants WHERE id = $1", UUID(made["grantId"]))
    assert row["ends_at"] is not None
    assert [one["role"] for one in await listed(clinic, house.ada)] == ["Owner"]
    problem(await grants(clinic, house.ada, "Organization", house.lakeside), 400, "invalid")
    await house.must_be_sound()


async def test_only_who_administers_the_server_grants(house: House, clinic: Clinic) -> None:
    before = await everything(house)
    for who, status, kind in (
        (house.stranger, 401, "not-signed-in"), (house.ben, 403, "forbidden"), (house.mia, 404, "not-found"),
        (house.rui, 404, "not-found"), (house.pat, 404, "not-found"), (house.cal, 404, "not-found"),
    ):  # fmt: skip
        problem(await grants(clinic, who, "User", "mia@northside.example", "Administrator"), status, kind)
    assert await everything(house) == before
    unknown = await grants(clinic, house.rui, "User", "mia@northside.example", fhirServerId=UNKNOWN)
    assert bare(await grants(clinic, house.rui, "User", "mia@northside.example")) == bare(unknown)
    # Who was made an administrator of it makes grants, and ends none: only who acts as its owner does.
    body(await grants(clinic, house.ada, "User", "mia@northside.example", "Administrator"))
    made = body(await grants(clinic, house.mia, "User", "ben@northside.example", "Read"))
    before = await everything(house)
    for who in (house.mia, house.ben):
        problem(await ends(who, made), 403, "forbidden")
    assert await everything(house) == before
    assert (await ends(house.ada, made)).status_code == 204
    problem(await ends(house.ada, made), 404, "not-found")


async def test_a_grant_is_ended_by_who_acts_as_owner_or_administers_its_person(
    house: House, clinic: Clinic
) -> None:
    mine, zoes = (
        await a_persons_grant(house, clinic, house.pat, "pat@mail.example"),
        await a_persons_grant(house, clinic, house.zoe, "zoe@harbor.example"),
    )
    nobodys = await ends(house.pat, UNKNOWN)
    for who, grant in ((house.pat, zoes), (house.zoe, mine), (house.mia, mine), (house.rui, mine)):
        answered = await ends(who, grant)
        problem(answered, 404, "not-found")
        assert bare(answered) == bare(nobodys)
    problem(await ends(house.ben, mine), 403, "forbidden")  # he may write there, and so knows of it
    problem(await ends(house.stranger, mine), 401, "not-signed-in")
    # Who looks after the person without administering it reads by the grant, and doesn't end it.
    offered = body(
        await house.pat.post(
            f"/Persons/{mine['entityId']}/users", {"email": "rui@lakeside.example", "role": "Write"}
        )
    )
    body(await house.rui.post(f"/Persons/offers/{offered['id']}/accept", {}))
    assert mine["grantId"] in await records(house.rui)
    problem(await ends(house.rui, mine), 403, "forbidden")
    answered = await ends(house.pat, mine)
    assert (answered.status_code, answered.content) == (204, b"")
    assert await records(house.pat) == await records(house.rui) == {}
    assert not await may(house, str(house.accounts["rui"]), Resource.patient(clinic.server_id, JANE))
    problem(await ends(house.pat, mine), 404, "not-found")
    assert (await ends(house.ada, zoes)).status_code == 204
    await house.must_be_sound()


async def test_a_reader_sees_the_grants_that_reach_him_and_of_other_patients_nothing(
    house: House, clinic: Clinic
) -> None:
    mine = await a_persons_grant(house, clinic, house.pat, "pat@mail.example")
    zoes = await a_persons_grant(house, clinic, house.zoe, "zoe@harbor.example", JIMMY)
    reader = body(await grants(clinic, house.ada, "User", "mia@northside.example", "Read"))
    assert [one["grantId"] for one in await listed(clinic, house.pat)] == [mine["grantId"]]
    assert {one["grantId"] for one in await listed(clinic, house.mia)} == {reader["grantId"]}
    everyone = {one["grantId"] for one in await listed(clinic, house.ben)}
    assert everyone == {one["grantId"] for one in await listed(clinic, house.ada)}
    assert everyone > {mine["grantId"], zoes["grantId"], reader["grantId"]}
    unknown = await house.pat.get(f"/FhirServers/grants/{UNKNOWN}")
    for who in (house.pat, house.mia, house.rui):
        answered = await who.get(f"/FhirServers/grants/{zoes['grantId']}")
        problem(answered, 404, "not-found")
        assert bare(answered) == bare(unknown)
    assert body(await house.pat.get(f"/FhirServers/grants/{mine['grantId']}")) == mine | {
        "roleIsInherited": True
    }
    assert body(await house.ben.get(f"/FhirServers/grants/{zoes['grantId']}"))["accessiblePatientId"] == JIMMY
    nobodys = await house.rui.get(f"/FhirServers/{UNKNOWN}/grants")
    problem(nobodys, 404, "not-found")
    assert bare(await house.rui.get(f"/FhirServers/{clinic.server_id}/grants")) == bare(nobodys)
    for odd in ("x", "%00", str(clinic.server_id)[:-1]):
        assert bare(await house.ada.get(f"/FhirServers/{odd}/grants")) == bare(nobodys)
        assert bare(await house.ada.get(f"/FhirServers/grants/{odd}")) == bare(unknown)


async def test_a_long_list_says_where_it_goes_on(house: House, clinic: Clinic, monkeypatch: Any) -> None:
    from hospitium.doors.bluebutton import grants as door  # noqa: PLC0415

    monkeypatch.setattr(door, "MOST", 2)
    for who, email in ((house.pat, "pat@mail.example"), (house.zoe, "zoe@harbor.example"), (house.rui, "rui@lakeside.example")):  # fmt: skip
        await a_persons_grant(house, clinic, who, email)
    path: str | None = f"/FhirServers/{clinic.server_id}/grants"
    seen = []
    while path is not None:
        answered = await house.ben.get(path) if not seen else await house.ben.send("GET", path)
        page = body(answered)
        assert 0 < len(page) <= 2
        seen += [one["grantId"] for one in page]
        link = answered.headers.get("link")
        path = None if link is None else link.partition(">")[0].removeprefix(f"<{house.base_url}")
    assert len(seen) == len(set(seen)) == 4
    problem(await house.ben.get(f"/FhirServers/{clinic.server_id}/grants", after="x"), 400, "invalid")


async def test_the_same_request_for_a_grant_again_gets_the_same_answer(house: House, clinic: Clinic) -> None:
    asked = {"entityType": "User", "entityId": "mia@northside.example", "fhirServerId": str(clinic.server_id), "role": "Read"}  # fmt: skip
    first, second = [
        await house.ada.post("/FhirServers/grants", asked, Idempotency_Key="g1") for _ in range(2)
    ]
    assert body(first) == body(second)
    problem(await house.ada.post("/FhirServers/grants", asked | {"role": "Write"}, Idempotency_Key="g1"), 422, "idempotency-key-reused")  # fmt: skip


async def test_what_somebody_had_by_several_roads_he_has_by_the_others_when_one_ends(
    house: House, clinic: Clinic
) -> None:
    """A mother and a father hold the same child; and the mother was invited herself, too."""
    code = body(await clinic.invites_by_code(patient=JIMMY))["securityCode"]
    child = await makes_person(house.pat, firstName="Jimmy", relationship="Child")
    grant = body(await accepts_by_code(house.pat, code, child))
    offered = body(
        await house.pat.post(
            f"/Persons/{child}/users", {"email": "zoe@harbor.example", "role": "Administrator"}
        )
    )
    body(await house.zoe.post(f"/Persons/offers/{offered['id']}/accept", {}))
    own = await a_persons_grant(house, clinic, house.zoe, "zoe@harbor.example", JIMMY)
    jimmy = Resource.patient(clinic.server_id, JIMMY)
    assert set(await records(house.zoe)) == {grant["grantId"], own["grantId"]}
    assert (await ends(house.zoe, grant)).status_code == 204  # as an administrator of the person
    assert not await may(house, str(house.accounts["pat"]), jimmy)
    assert await may(house, str(house.accounts["zoe"]), jimmy)
    await house.must_be_sound()
