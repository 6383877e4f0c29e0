"""A clinic invites to the record of one patient, by a code or by an e-mail address (contract bluebutton.md §3.4, rulings 18 to 22)."""

from __future__ import annotations

import re
from datetime import timedelta

from cast import House
from clinic import (
    ANSWER,
    JANE,
    JIMMY,
    PATIENTS,
    QUESTION,
    SSN,
    Clinic,
    add_server,
    asks_question,
    body,
    problem,
)
from doors.bluebutton.desk import waiting, whole
from doors.conftest import Opening
from doors.manners import everything, instant

ALWAYS = {
    "id",
    "createdOn",
    "expiresOn",
    "status",
    "fhirServerId",
    "fhirServerName",
    "accessiblePatientId",
    "patient",
}
BY_CODE = "/OrganizationInvites/security-details/create"
BY_EMAIL = "/OrganizationInvites/user-details/create"


async def test_a_code_is_eight_symbols_without_look_alikes_and_the_answer_is_never_told(
    house: House, clinic: Clinic
) -> None:
    answered = await clinic.invites_by_code()
    made = body(answered)
    assert made.keys() == ALWAYS | {"securityCode", "securityQuestion"}
    assert re.fullmatch(r"[A-HJ-NP-Z2-9]{8}", made["securityCode"])
    assert ANSWER.lower() not in answered.text.lower()
    assert answered.headers["cache-control"] == "no-store"
    assert whole(made["patient"]) == PATIENTS[0]
    assert (made["accessiblePatientId"], made["fhirServerId"]) == (JANE, str(clinic.server_id))
    assert instant(made["expiresOn"]) - instant(made["createdOn"]) == timedelta(days=30)
    assert body(await clinic.invites_by_code())["securityCode"] != made["securityCode"]
    assert await waiting(house) == []
    await house.must_be_sound()


async def test_a_patient_is_named_by_id_or_by_an_identifier_that_exactly_one_has(
    house: House, clinic: Clinic
) -> None:
    for search in (f"{SSN}|900333444", "900333444"):
        made = body(await clinic.invites_by_code(patient=None, accessiblePatientIdentifierSearchStr=search))
        assert (made["accessiblePatientId"], made["patient"]["id"]) == (JIMMY, JIMMY)
    both = await clinic.invites_by_code(patient=JANE, accessiblePatientIdentifierSearchStr="900333444")
    assert body(both)["accessiblePatientId"] == JANE  # the id wins
    made = body(
        await clinic.invites_by_email(
            "pat@mail.example", patient=None, accessiblePatientIdentifierSearchStr="urn:mrn|N-1"
        )
    )
    assert made["accessiblePatientId"] == JANE
    before = await everything(house)
    searched = "accessiblePatientIdentifierSearchStr"
    for more, kind, field in (
        ({"patient": None}, "invalid", "accessiblePatientId"),
        ({"patient": "nobody"}, "no-such-patient", "accessiblePatientId"),
        ({"patient": "gone"}, "invalid", "accessiblePatientId"),
        ({"patient": "merged"}, "invalid", "accessiblePatientId"),
        ({"patient": None, searched: "urn:mrn|900333444"}, "no-such-patient", searched),
        ({"patient": None, searched: "nothing"}, "no-such-patient", searched),
        ({"patient": None, searched: "urn:shared|same"}, "several-patients", searched),
        ({"patient": None, searched: "same"}, "several-patients", searched),
    ):
        for answered in (
            await clinic.invites_by_code(**more),
            await clinic.invites_by_email("pat@mail.example", **more),
        ):
            (wrong,) = problem(answered, 400, kind)["errors"]
            assert wrong["field"] == field, more
    assert await everything(house) == before


async def test_what_a_search_for_an_identifier_found_is_recorded_and_never_for_what(
    house: House, clinic: Clinic
) -> None:
    for search in ("900333444", "nothing-like-it", "same"):
        await clinic.invites_by_code(patient=None, accessiblePatientIdentifierSearchStr=search)
    rows = await house.rows(
        "SELECT e.data ->> 'found' AS found, e::text AS whole FROM events e "
        "WHERE kind = 'fhir_server.searched' ORDER BY position"
    )
    assert [row["found"] for row in rows] == ["one", "none", "several"]
    told = await house.rows("SELECT count(*) FROM events e WHERE e::text ~ '900333444|nothing-like-it'")
    assert told[0][0] == 0


async def test_an_account_probes_for_so_many_identifiers_an_hour(open_house: Opening) -> None:
    async with open_house(IDENTIFIER_MISSES_PER_HOUR="3") as house:
        clinic = await Clinic.open(house)
        for search in ("900333444",) * 5 + ("nothing", "same", "nothing"):
            await clinic.invites_by_code(patient=None, accessiblePatientIdentifierSearchStr=search)
        answered = await clinic.invites_by_code(
            patient=None, accessiblePatientIdentifierSearchStr="900333444"
        )
        problem(answered, 429, "too-many-attempts")
        assert int(answered.headers["retry-after"]) > 0
        body(await clinic.invites_by_code())  # by its id nobody is probed for
        body(
            await clinic.invites_by_code(
                house.ada, patient=None, accessiblePatientIdentifierSearchStr="900333444"
            )
        )


async def test_nothing_in_the_answer_or_the_database_tells_a_known_address_from_an_unknown_one(
    house: House, clinic: Clinic
) -> None:
    accounts = await house.rows("SELECT count(*) FROM accounts")
    answers = []
    for email in ("pat@mail.example", "nobody@mail.example"):
        answered = await clinic.invites_by_email(email, firstName="Janet", lastName="Dow")
        made = body(answered)
        assert made.keys() == ALWAYS | {"userName", "userEmail"}
        assert (made["userName"], made["userEmail"]) == ("Janet Dow", email)
        assert whole(made["patient"]) == PATIENTS[0]
        answers.append(
            {k: v for k, v in made.items() if k not in ("id", "createdOn", "expiresOn", "userEmail")}
        )
    assert answers[0] == answers[1]
    # No account is made before its mailbox is proved (ruling 24), and the inviter is shown nothing of one that there is.
    assert await house.rows("SELECT count(*) FROM accounts") == accounts
    for made in body(await clinic.sees_sent())["resources"]:
        assert "userId" not in made
        assert made["userName"] == "Janet Dow"
    assert sorted(await waiting(house)) == [("invite", "nobody@mail.example"), ("invite", "pat@mail.example")]
    await house.must_be_sound()


async def test_what_is_required_must_be_there_and_must_not_be_blank(house: House, clinic: Clinic) -> None:
    before = await everything(house)
    for member in ("securityQuestion", "securityAnswer"):
        for value in ("", "   ", "\u3000\t", "\u00a0"):
            (wrong,) = problem(await clinic.invites_by_code(**{member: value}), 400, "invalid")["errors"]
            assert wrong["field"] == member, (member, value)
    for answer in ("x", "x" * 129, " \uff38 "):
        (wrong,) = problem(await clinic.invites_by_code(securityAnswer=answer), 400, "invalid")["errors"]
        assert wrong["field"] == "securityAnswer"
    for member, values in {
        "userEmail": ("", "   ", "nobody", "a@b@c.example", "a@b.example\r\nBcc: x@y.example"),
        "firstName": ("", "  ", "a\nb", "x" * 201),
        "lastName": ("", "  ", "\u202eevil"),
        "language": ("", "tlh"),
    }.items():
        for value in values:
            answered = await clinic.invites_by_email("a@mail.example", **{member: value})
            (wrong,) = problem(answered, 400, "invalid")["errors"]
            assert wrong["field"] == member, (member, value)
    for path, good in (
        (BY_CODE, {"securityQuestion": QUESTION, "securityAnswer": ANSWER, "accessiblePatientId": JANE}),
        (BY_EMAIL, {"userEmail": "a@mail.example", "firstName": "A", "lastName": "B", "accessiblePatientId": JANE}),
    ):  # fmt: skip
        for member in good:
            without = {k: v for k, v in good.items() if k != member}
            (wrong,) = problem(await house.ben.post(path, without, **clinic.context), 400, "invalid")[
                "errors"
            ]
            assert wrong["field"] == member
        # What the document's later revisions, or an inviter with ideas, would send (threats A-14).
        for member in (
            "isSynapseRole",
            "id",
            "role",
            "acceptedOn",
            "patient",
            "expiresOn",
            "fhirServerId",
            "userId",
        ):
            answered = await house.ben.post(path, good | {member: "x"}, **clinic.context)
            (wrong,) = problem(answered, 400, "invalid")["errors"]
            assert wrong == {"field": member, "detail": "is not known here"}
    assert await everything(house) == before


async def test_the_same_request_again_gets_the_same_answer_and_makes_nothing_more(
    house: House, clinic: Clinic
) -> None:
    again = {"Idempotency-Key": "desk-1"}

    async def creates(**more: str) -> object:
        asked = {"securityQuestion": QUESTION, "securityAnswer": ANSWER, "accessiblePatientId": JANE, **more}
        return await house.ben.post(BY_CODE, asked, **clinic.context, **again)

    first, second = await creates(), await creates()
    assert body(second) == body(first)
    problem(await creates(securityAnswer="Rex"), 422, "idempotency-key-reused")
    assert (await house.rows("SELECT count(*) FROM invites"))[0][0] == 1
    (kept,) = await house.rows("SELECT answer FROM idempotency_keys")
    assert body(first)["securityCode"].encode() not in kept["answer"]
    assert (await asks_question(house.stranger, body(second)["securityCode"])).text == QUESTION
    # On another FHIR server the same words ask for something else.
    other = {"FhirServerId-Context": str(await add_server(house, name="Other Clinic"))}
    asked = {"securityQuestion": QUESTION, "securityAnswer": ANSWER, "accessiblePatientId": JANE}
    problem(await house.ben.post(BY_CODE, asked, **other, **again), 422, "idempotency-key-reused")
    # The key is the caller's own.
    assert body(await house.ada.post(BY_CODE, asked, **clinic.context, **again)) != body(first)


async def test_a_mailbox_gets_so_many_mails_an_hour_whoever_invites_it(house: House, clinic: Clinic) -> None:
    for _ in range(7):
        body(await clinic.invites_by_email("pat@mail.example"))
    assert await waiting(house) == [("invite", "pat@mail.example")] * 5
    assert len(body(await house.pat.get("/OrganizationInvites/received"))) == 7


async def test_invites_that_never_expire_say_nothing_of_an_end(open_house: Opening) -> None:
    async with open_house(INVITE_DAYS="0") as house:
        clinic = await Clinic.open(house)
        made = body(await clinic.invites_by_code())
        assert "expiresOn" not in made
        house.clock.advance(days=20_000)
        assert (await asks_question(house.stranger, made["securityCode"])).text == QUESTION
