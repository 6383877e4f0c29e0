"""Invites in bulk: an outcome a row, none hinders another, and a repeat finds what the first call made."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any
from uuid import UUID

import httpx
import pytest

from cast import Caller, House
from clinic import (
    ANSWER,
    JANE,
    JIMMY,
    PATIENTS,
    QUESTION,
    SSN,
    Clinic,
    accepts_by_code,
    add_server,
    asks_question,
    load,
    makes_person,
)
from doors.conftest import Opening
from doors.manners import UNKNOWN, everything, instant
from doors.native.living import done
from doors.native.problems import problem
from fakes import evil_fhir as evil
from fakes.evil_fhir import CANARY, EvilFhir
from hospitium.engine.invites.codes import SYMBOLS

AT = "/v1/invites/bulk"
TYPE = "urn:hospitium:problem:"


@pytest.fixture
async def clinic(house: House) -> Clinic:
    return await Clinic.open(house)


def by_code(key: str, patient: str = JANE, **more: Any) -> dict[str, Any]:
    return {
        "key": key,
        "accessiblePatientId": patient,
        "securityQuestion": QUESTION,
        "securityAnswer": ANSWER,
        **more,
    }


def by_email(key: str, patient: str = JANE, email: str = "pat@mail.example", **more: Any) -> dict[str, Any]:
    return {
        "key": key,
        "accessiblePatientId": patient,
        "userEmail": email,
        "firstName": "Jane",
        "lastName": "Doe",
        **more,
    }


async def sends(clinic: Clinic, *rows: dict[str, Any], who: Caller | None = None) -> httpx.Response:
    body = {"fhirServerId": str(clinic.server_id), "invites": list(rows)}
    return await (who or clinic.house.ben).post(AT, body)


async def outcomes(clinic: Clinic, *rows: dict[str, Any], who: Caller | None = None) -> list[dict[str, Any]]:
    """Send rows; return what became of each, and insist that they come back in their order."""
    told = done(await sends(clinic, *rows, who=who))
    assert told["clinic"] == {"name": "Northside Family Practice", "phone": None}
    assert [one["key"] for one in told["outcomes"]] == [row["key"] for row in rows]
    found: list[dict[str, Any]] = told["outcomes"]
    return found


def refused(outcome: dict[str, Any], kind: str) -> str:
    """Insist on a refusal of this kind; return the field it names, or nothing."""
    assert outcome["outcome"] == "refused", outcome
    assert outcome.keys() == {"key", "outcome", "problem"}
    told = outcome["problem"]
    assert told["type"] == TYPE + kind, outcome
    assert told["detail"]
    return str(told["errors"][0]["field"]) if "errors" in told else ""


# -- what becomes of rows ----------------------------------------------------------------------------------------------


async def test_every_row_has_an_outcome_and_its_code_is_told_once(house: House, clinic: Clinic) -> None:
    rows = [by_code("1"), by_email("2", JIMMY, language="es"), by_code("3", JIMMY, language="es")]
    first = await outcomes(clinic, *rows)
    for one, form in zip(first, ("code", "email", "code"), strict=True):
        assert one["outcome"] == "created"
        assert ("securityCode" in one) == (form == "code")
        assert one["status"] == ("unbound" if form == "code" else "bound")
        instant(one["expiresOn"])
    codes = [one["securityCode"] for one in first if "securityCode" in one]
    assert len(set(codes)) == 2
    assert all(len(code) == 8 and set(code) <= set(SYMBOLS) for code in codes)

    again = await outcomes(clinic, *rows)
    assert [one["outcome"] for one in again] == ["present"] * 3
    assert [one["inviteId"] for one in again] == [one["inviteId"] for one in first]
    assert all("securityCode" not in one for one in again)
    (count,) = await house.rows("SELECT count(*) AS n FROM invites")
    assert count["n"] == 3
    assert [mail.to for mail in await house.mails()] == ["pat@mail.example"]

    dump = str(await everything(house)) + str(await house.rows("SELECT data::text FROM events"))
    assert not any(code in dump for code in codes)
    assert ANSWER not in dump
    await house.must_be_sound()


async def test_a_code_of_a_bulk_is_as_good_as_any(house: House, clinic: Clinic) -> None:
    (made,) = await outcomes(clinic, by_code("1"))
    assert (await asks_question(house.stranger, made["securityCode"])).text == QUESTION
    person_id = await makes_person(house.pat)
    accepted = await accepts_by_code(house.pat, made["securityCode"], person_id)
    assert accepted.status_code == 200
    (again,) = await outcomes(clinic, by_code("1"))
    assert (again["outcome"], again["status"]) == ("present", "accepted")


async def test_one_rows_refusal_hinders_no_other(house: House, clinic: Clinic) -> None:
    identifier = "accessiblePatientIdentifierSearchStr"
    told = await outcomes(
        clinic,
        by_code("unknown", "nobody"),
        by_code("gone", "gone"),
        by_code("merged", "merged"),
        by_code("no id", ".."),
        by_code("good 1"),
        {**by_code("none"), "accessiblePatientId": None, identifier: f"{SSN}|000"},
        {**by_code("several"), "accessiblePatientId": None, identifier: "urn:shared|same"},
        {**by_code("one"), "accessiblePatientId": None, identifier: f"{SSN}|900333444"},
        by_code("no answer", securityAnswer="   "),
        by_code("long question", securityQuestion="x" * 201),
        by_email("no address", email="nobody"),
        by_email("good 2"),
    )
    said = [refused(one, kind) if kind else one["outcome"] for one, kind in zip(told, (
        "no-such-patient", "invalid", "invalid", "invalid", "", "no-such-patient", "several-patients", "", "invalid", "invalid", "invalid", "",
    ), strict=True)]  # fmt: skip
    assert said == [
        "accessiblePatientId", "accessiblePatientId", "accessiblePatientId", "accessiblePatientId", "created", identifier, identifier, "created",
        "securityAnswer", "securityQuestion", "userEmail", "created",
    ]  # fmt: skip
    (one,) = await house.rows("SELECT patient_id FROM invites WHERE bulk_key = 'one'")
    assert one["patient_id"] == JIMMY
    assert (await house.trail(house.northside)).count("fhir_server.searched") == 3
    await house.must_be_sound()


async def test_which_form_a_row_has_is_said_by_its_members(house: House, clinic: Clinic) -> None:
    patient = {"accessiblePatientId": JANE}
    for row, field in (
        (patient, "securityQuestion"),
        ({**by_code("x"), "userEmail": "pat@mail.example"}, "userEmail"),
        ({**by_code("x"), "firstName": "Jane"}, "firstName"),
        ({**by_email("x"), "securityAnswer": ANSWER}, "userEmail"),
        ({**patient, "securityQuestion": QUESTION}, "securityAnswer"),
        ({**patient, "securityAnswer": ANSWER}, "securityQuestion"),
        ({**patient, "userEmail": "pat@mail.example", "firstName": "Jane"}, "lastName"),
        ({**patient, "firstName": "Jane", "lastName": "Doe"}, "userEmail"),
        ({**by_email("x"), "firstName": " "}, "firstName"),
        ({**by_code("x"), "accessiblePatientIdentifierSearchStr": "urn:mrn|N-1"}, "accessiblePatientId"),
        ({**by_code("x"), "accessiblePatientId": None}, "accessiblePatientId"),
    ):
        (told,) = await outcomes(clinic, {**row, "key": "x"})
        assert refused(told, "invalid") == field, row
    assert await house.rows("SELECT id FROM invites") == []


async def test_a_key_used_for_something_else_is_refused(house: House, clinic: Clinic) -> None:
    identifier = {"accessiblePatientId": None, "accessiblePatientIdentifierSearchStr": "urn:mrn|N-1"}
    first = await outcomes(clinic, by_code("code"), by_email("mail"), by_code("mrn") | identifier)
    before = await everything(house)
    other = {**identifier, "accessiblePatientIdentifierSearchStr": f"{SSN}|900333444"}
    for row in (
        by_code("code", JIMMY), by_email("code"), by_email("mail", JIMMY), by_email("mail", email="rui@lakeside.example"), by_code("mail"),
        by_code("mrn") | other, by_code("mrn", JIMMY),
    ):  # fmt: skip
        (told,) = await outcomes(clinic, row)
        assert refused(told, "conflict") == "key", row
    same = await outcomes(
        clinic, by_code("code") | identifier, by_email("mail", email=" PAT@mail.example "), by_code("mrn")
    )
    assert [one["inviteId"] for one in same] == [one["inviteId"] for one in first]
    assert await everything(house) == before


async def test_keys_are_those_of_a_fhir_server(house: House, clinic: Clinic) -> None:
    other = Clinic(house, await add_server(house, name="Second"))
    await load(house, other.server_id, *PATIENTS)
    (first,) = await outcomes(clinic, by_code("1"))
    (second,) = await outcomes(other, by_code("1"))
    assert first["inviteId"] != second["inviteId"]
    assert second["outcome"] == "created"
    assert (await sends(other, by_code("1"))).json()["outcomes"][0]["inviteId"] == second["inviteId"]


# -- what is wrong with the whole --------------------------------------------------------------------------------------


async def test_who_may_not_invite_there_may_not_in_bulk(house: House, clinic: Clinic) -> None:
    before = await everything(house)
    for name in ("mia", "pat", "rui", "zoe", "nia"):
        problem(await sends(clinic, by_code("1"), who=house.callers[name]), 404, "not-found")
    problem(await sends(clinic, by_code("1"), who=house.stranger), 401, "not-signed-in")
    for server in (UNKNOWN, "5" * 24):
        body = {"fhirServerId": server, "invites": [by_code("1")]}
        problem(await house.ben.post(AT, body), 404, "not-found")
    problem(await house.ben.post(AT, {"fhirServerId": "x", "invites": [by_code("1")]}), 400, "invalid")
    assert await everything(house) == before


async def test_rows_are_1_to_500_and_their_keys_differ(house: House, clinic: Clinic) -> None:
    before = await everything(house)
    for rows, field in (
        ([], "invites"),
        ([by_code(str(number)) for number in range(501)], "invites"),
        ([by_code("1"), by_code("2"), by_code("1")], "invites[2].key"),
        ([by_code("1"), by_code(" 1 ")], "invites[1].key"),
        ([by_code("é"), by_code("e\u0301")], "invites[1].key"),
        ([by_code("")], "invites[0].key"),
        ([by_code("a\nb")], "invites[0].key"),
        ([by_code("x" * 101)], "invites[0].key"),
        ([by_code("1", language="fr")], "invites[0].language"),
        ([by_code("1", securityCode="ABCDEFGH")], "invites[0].securityCode"),
        ([by_code("1", securityAnswer=7)], "invites[0].securityAnswer"),
    ):
        told = problem(await sends(clinic, *rows), 400, "invalid")
        assert [one["field"] for one in told["errors"]] == [field]
    assert await everything(house) == before
    (told,) = await outcomes(clinic, by_code(" e\u0301 "))
    assert told["outcome"] == "created"
    (again,) = await outcomes(clinic, by_code("é"))
    assert again["outcome"] == "present"


# -- many, at once, broken off -----------------------------------------------------------------------------------------


async def test_500_rows_are_one_call(house: House, clinic: Clinic) -> None:
    rows = [by_email(str(number), email=f"one-{number}@mail.example") for number in range(500)]
    made = await outcomes(clinic, *rows)
    assert {one["outcome"] for one in made} == {"created"}
    assert len({one["inviteId"] for one in made}) == 500
    again = await outcomes(clinic, *rows)
    assert [one["inviteId"] for one in again] == [one["inviteId"] for one in made]
    await house.must_be_sound()


async def test_two_same_calls_at_once_make_each_invite_once(house: House, clinic: Clinic) -> None:
    rows = [by_code(str(number)) for number in range(12)] + [by_email(f"m{number}") for number in range(12)]
    both = await asyncio.gather(*(outcomes(clinic, *rows) for _ in range(3)))
    for tellings in zip(*both, strict=True):
        assert sorted(one["outcome"] for one in tellings) == ["created", "present", "present"]
        assert len({one["inviteId"] for one in tellings}) == 1
    (count,) = await house.rows("SELECT count(*) AS n FROM invites")
    assert count["n"] == len(rows)
    await house.must_be_sound()


async def test_a_call_that_breaks_off_leaves_what_it_made(house: House, clinic: Clinic) -> None:
    rows = [by_code(str(number)) for number in range(40)]
    before = asyncio.all_tasks()
    asking = asyncio.create_task(sends(clinic, *rows))
    while not await house.rows("SELECT id FROM invites LIMIT 1"):
        await asyncio.sleep(0.005)
    for task in asyncio.all_tasks() - before - {asking}:
        if "run_asgi" in repr(task.get_coro()):
            task.cancel()
    with suppress(httpx.HTTPError):
        await asking
    while house.parts.passwords.inside:
        await asyncio.sleep(0.01)
    there = {row["bulk_key"] for row in await house.rows("SELECT bulk_key FROM invites")}
    assert 0 < len(there) < 40
    again = await outcomes(clinic, *rows)
    assert {one["key"] for one in again if one["outcome"] == "present"} == there
    assert {one["key"] for one in again if one["outcome"] == "created"} == {
        row["key"] for row in rows
    } - there
    await house.must_be_sound()


@pytest.mark.usefixtures("slow_hash")
async def test_a_bulk_takes_nobodys_place_in_the_queue_of_the_slow_hash(
    database_url: str, open_house: Opening
) -> None:
    async with open_house(PASSWORDS_AT_ONCE="1", PASSWORDS_WAITING="0") as house:
        clinic = await Clinic.open(house)
        rows = [[by_code(f"{call}-{number}") for number in range(8)] for call in range(3)]
        made = await asyncio.gather(*(outcomes(clinic, *each) for each in rows))
        assert {one["outcome"] for each in made for one in each} == {"created"}
        assert house.parts.passwords.refused == 0


async def test_identifiers_that_find_nobody_are_limited_row_by_row(open_house: Opening) -> None:
    async with open_house(IDENTIFIER_MISSES_PER_HOUR="3") as house:
        clinic = await Clinic.open(house)
        rows = [
            {
                **by_code(str(n)),
                "accessiblePatientId": None,
                "accessiblePatientIdentifierSearchStr": f"urn:mrn|X-{n}",
            }
            for n in range(6)
        ]
        told = await outcomes(clinic, *rows, by_code("by id"))
        kinds = sorted(one["problem"]["type"].removeprefix(TYPE) for one in told[:-1])
        assert kinds == ["no-such-patient"] * 3 + ["too-many-attempts"] * 3
        assert told[-1]["outcome"] == "created"


# -- FHIR servers elsewhere --------------------------------------------------------------------------------------------


async def echo(caller: evil.Caller) -> None:
    """Answer with the patient that was asked for."""
    await evil.resource(evil.patient(caller.heard.target.rpartition("/")[2]))(caller)


async def test_a_remote_server_is_asked_four_at_a_time(house: House) -> None:
    under_way, most = 0, 0

    async def slowly(caller: evil.Caller) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.05)
        under_way -= 1
        await echo(caller)

    async with EvilFhir.open(slowly) as there:
        server = await add_server(house, base_url=there.base, allow_private_address=True)
        clinic = Clinic(house, server)
        rows = [by_email(str(n), f"p{n}", email=f"p{n}@mail.example") for n in range(20)]
        made = await outcomes(clinic, *rows)
        assert {one["outcome"] for one in made} == {"created"}
        assert most == 4
        assert len(there.heard) == 20
        await outcomes(clinic, *rows)
        assert len(there.heard) == 20  # those that are there need no asking
    await house.must_be_sound()


async def test_a_server_that_is_away_refuses_its_rows_and_is_left_in_peace(house: House) -> None:
    async with EvilFhir.open(evil.hang_up) as there:
        server = await add_server(house, base_url=there.base, allow_private_address=True)
        clinic = Clinic(house, server)
        rows = [by_code(str(n), f"p{n}") for n in range(50)]
        told = await outcomes(clinic, *rows)
        for one in told:
            refused(one, "fhir-server-away")
        assert len(there.heard) < 15
        assert await house.rows("SELECT id FROM invites") == []
        there.does = echo
        house.clock.advance(seconds=31)
        # The first who asks again is alone until he has found out.
        while any(one["outcome"] == "refused" for one in told):
            told = await outcomes(clinic, *rows)
    (count,) = await house.rows("SELECT count(*) AS n FROM invites")
    assert count["n"] == 50


async def test_what_a_wrong_server_says_is_in_no_outcome(house: House) -> None:
    for does in (
        evil.resource(evil.patient("another")),
        evil.answering(CANARY.encode(), content_type="text/html"),
        evil.resource(evil.outcome()),
    ):
        async with EvilFhir.open(does) as there:
            server = await add_server(
                house, name=f"at {there.port}", base_url=there.base, allow_private_address=True
            )
            answered = await sends(Clinic(house, server), by_code("1", "p1"))
            (told,) = done(answered)["outcomes"]
            refused(told, "fhir-server-wrong")
            assert CANARY not in answered.text
            assert str(there.port) not in answered.text


async def test_a_server_that_was_changed_meanwhile_makes_nothing_of_what_it_said(house: House) -> None:
    async with EvilFhir.open(echo) as there:
        server = await add_server(house, base_url=there.base, allow_private_address=True)
        clinic = Clinic(house, server)

        async def renamed(caller: evil.Caller) -> None:
            await house.rows(
                "UPDATE fhir_servers SET version = version + 1 WHERE id = $1 RETURNING id", server
            )
            await echo(caller)

        there.does = renamed
        (told,) = await outcomes(clinic, by_code("1", "p1"))
        refused(told, "unavailable")
        there.does = echo
        (told,) = await outcomes(clinic, by_code("1", "p1"))
        assert UUID(told["inviteId"])
