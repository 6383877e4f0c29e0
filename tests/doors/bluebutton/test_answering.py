"""Whoever has a code asks for its question, answers it, finds the invite or registers with it (contract bluebutton.md §3.4, rulings 18
to 22; threats B)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import quote

import httpx
import pytest

from cast import Caller, House
from clinic import (
    ANSWER,
    JIMMY,
    QUESTION,
    Clinic,
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
from doors.bluebutton.desk import UNKNOWN_CODE, by_code, must_be_unknown, status_of, sweeps, waiting, wide
from doors.conftest import Opening
from doors.manners import bare, everything

JANE_MAIL = "jane@mail.example"


@pytest.fixture
async def house(open_house: Opening) -> AsyncIterator[House]:
    """A house where as much may be tried as a test likes; how that is limited has tests of its own."""
    async with open_house(**wide()) as opened:
        yield opened


async def codes(clinic: Clinic, number: int) -> list[str]:
    return [body(await clinic.invites_by_code())["securityCode"] for _ in range(number)]


async def test_a_code_is_typed_in_any_case_with_spaces_or_hyphens(house: House, clinic: Clinic) -> None:
    (code,) = await codes(clinic, 1)
    for typed in (code, code.lower(), f"{code[:4]} {code[4:]}", f" {code[:4]}-{code[4:]} ", "\u2013".join(code), " ".join(code)):  # fmt: skip
        asked = await asks_question(house.stranger, quote(typed, safe=""))
        assert (asked.status_code, asked.text) == (200, QUESTION), typed
        assert asked.headers["content-type"] == "text/plain; charset=utf-8"
        assert asked.headers["cache-control"] == "no-store"
        body(await finds(house.pat, typed))
    for typed in ("", "x", code[:-1], code + "A", code.replace(code[0], "0"), "\uff21" * 8, "A" * 5000, "%00", "..", "\u0430" * 8):  # fmt: skip
        problem(await finds(house.pat, typed), 404, "unknown-code")
    for typed in (code[:-1], code + "A", "%00", "x" * 100, "%E2%80%AE" + code):
        problem(await asks_question(house.stranger, typed), 404, "unknown-code")


async def test_answers_are_compared_whatever_their_case_width_and_spaces(
    house: House, clinic: Clinic
) -> None:
    made = body(await clinic.invites_by_code(securityAnswer="  Stra\u00dfe  der Ligatur\ufb01n "))
    code = made["securityCode"]
    for right in (
        "strasse der ligaturfin",
        "STRASSE\u00a0DER\u3000LIGATURFIN",
        "\uff33\uff34\uff32\uff21\uff33\uff33\uff25 der ligaturfin",
    ):
        assert body(await finds(house.pat, code, right))["id"] == made["id"], right
    problem(await finds(house.pat, code, "strasse derligaturfin"), 400, "wrong-answer")
    # What nobody can have meant as an answer is refused before it is compared, and costs no try.
    for blank in ("", "  ", "\u3000", "x" * 129, "x" * 513):
        (wrong,) = problem(await finds(house.pat, code, blank), 400, "invalid")["errors"]
        assert wrong["field"] == "securityAnswer"
    (row,) = await house.rows("SELECT attempts, wrong_answers FROM invites")
    assert tuple(row) == (1, 1)


async def test_find_shows_what_a_proved_invitee_may_see_and_nothing_more(
    house: House, clinic: Clinic
) -> None:
    made = body(await clinic.invites_by_code(patient=JIMMY))
    found = body(await finds(house.pat, made["securityCode"]))
    assert found["id"] == made["id"]
    assert found.keys() == made.keys() - {"securityCode", "securityQuestion"}
    assert found["patient"].keys() <= {"resourceType", "id", "name", "gender", "birthDate"}
    assert found["patient"]["birthDate"] == "2015-06-30"
    assert body(await house.pat.get("/OrganizationInvites/received")) == []
    problem(await finds(house.stranger, made["securityCode"]), 401, "not-signed-in")


async def test_code_and_answer_come_first_and_then_what_is_wrong_with_who_registers(
    house: House, clinic: Clinic
) -> None:
    (code,) = await codes(clinic, 1)
    before = await everything(house)
    for who in ("pat@mail.example", "no address"):
        bad = {"password": "short", "firstName": "", "role": "admin"}
        problem(await registers(house.stranger, UNKNOWN_CODE, who, **bad), 404, "unknown-code")
        problem(await registers(house.stranger, code, who, "Rex", **bad), 400, "wrong-answer")
    await house.rows("UPDATE invites SET attempts = 0, wrong_answers = 0")
    assert await everything(house) == before
    for member, value in {
        "password": "short",
        "confirmPassword": "P@ssw0rd124",
        "email": "no address",
        "firstName": "  ",
        "lastName": "a\nb",
        "middleName": "\u202e",
        "role": "admin",
        "first_name": "Jane",
        "__proto__": "x",
        "isSuperAdmin": True,
        "id": "e35819bf-6df0-447c-9484-3ff77029ac44",
    }.items():
        user = {"email": JANE_MAIL, member: value}
        user |= {"confirmPassword": value} if member == "password" else {}
        refused = await registers(house.stranger, code, **user)
        (wrong,) = problem(refused, 400, "invalid")["errors"]
        assert wrong["field"] == f"user.{member}"
    for user in ({}, {"email": JANE_MAIL}):
        asked = {"securityCode": code, "securityAnswer": ANSWER, "user": user}
        path = f"/OrganizationInvites/security-details/code/{code}/register"
        problem(await house.stranger.post(path, asked), 400, "invalid")
    # None of these was a wrong answer, and nothing was made.
    assert await everything(house) == before
    assert body(await registers(house.stranger, code, JANE_MAIL))["userExists"] is False


async def test_registering_makes_an_unconfirmed_account_and_binds_the_invite_to_it_alone(
    house: House, clinic: Clinic
) -> None:
    made = body(await clinic.invites_by_code())
    registered = body(
        await registers(house.stranger, made["securityCode"], "Jane@Mail.Example", middleName="Q")
    )
    user = registered["user"]
    assert user.keys() == {
        "createdAt", "modifiedAt", "id", "firstName", "middleName", "lastName", "email", "active", "isSuperAdmin",
        "isOrganizationModerator", "isUserModerator", "organizationUserRelations",
    }  # fmt: skip
    assert (user["email"], user["active"], user["organizationUserRelations"]) == (
        "Jane@Mail.Example",
        True,
        [],
    )
    (sent,) = body(await clinic.sees_sent())["resources"]
    assert (sent["userId"], sent["userName"], sent["userEmail"]) == (user["id"], "Jane Doe", user["email"])
    assert [mail.to for mail in await house.mails()] == ["Jane@mail.example"]
    # Whoever else has the code and the answer comes too late, by the code and by the id.
    await must_be_unknown(house, made["securityCode"])
    problem(await accepts(house.pat, made["id"], await makes_person(house.pat)), 404, "not-found")
    problem(await house.pat.get(f"/OrganizationInvites/{made['id']}"), 404, "not-found")
    await house.must_be_sound()


async def test_that_an_account_exists_is_told_after_the_right_answer_alone_and_counts_as_a_wrong_one(
    house: House, clinic: Clinic
) -> None:
    (code,) = await codes(clinic, 1)
    before = await everything(house)
    problem(await registers(house.stranger, code, "pat@mail.example", "Rex"), 400, "wrong-answer")
    for _ in range(3):
        assert body(await registers(house.stranger, code, "pat@mail.example")) == {"userExists": True}
    (row,) = await house.rows("SELECT attempts, wrong_answers, status FROM invites")
    assert tuple(row) == (4, 4, "unbound")
    body(await finds(house.pat, code))  # right answers in between cost nothing
    await house.rows("UPDATE invites SET attempts = 0, wrong_answers = 0")
    assert await everything(house) == before  # no mail either
    await house.rows("UPDATE invites SET attempts = 4, wrong_answers = 4")
    assert body(await registers(house.stranger, code, "PAT@mail.example")) == {"userExists": True}
    await must_be_unknown(house, code)
    assert await waiting(house) == [("invite_locked", "ben@northside.example")]


async def test_five_wrong_answers_over_all_routes_lock_an_invite_for_good(
    house: House, clinic: Clinic
) -> None:
    made, other = body(await clinic.invites_by_code()), body(await clinic.invites_by_code())
    code = made["securityCode"]
    person_id = await makes_person(house.pat)
    spaced = f"{code[:4]}-{code[4:]}".lower()
    problem(await finds(house.pat, code, "Rex"), 400, "wrong-answer")
    problem(await accepts_by_code(house.pat, code, person_id, "Rex"), 400, "wrong-answer")
    problem(await registers(house.stranger, spaced, JANE_MAIL, "Rex"), 400, "wrong-answer")
    for _ in range(3):
        body(await finds(house.pat, code))
        assert (await asks_question(house.stranger, code)).text == QUESTION
    problem(await finds(house.ada, spaced, "Rex"), 400, "wrong-answer")
    assert await status_of(house, made["id"]) == "unbound"
    problem(await finds(house.pat, code, "Rex"), 400, "wrong-answer")
    assert await status_of(house, made["id"]) == "locked"
    await must_be_unknown(house, code, house.pat, house.ben)
    assert await waiting(house) == [("invite_locked", "ben@northside.example")]
    (row,) = await house.rows(
        "SELECT question, code_digest, answer_hash FROM invites WHERE id = $1::text::uuid", made["id"]
    )
    assert tuple(row) == (None, None, None)
    body(
        await finds(house.pat, other["securityCode"])
    )  # nothing else is touched: neither his account nor other invites
    trail = await house.trail(house.northside)
    assert (trail.count("invite.answered_wrong"), trail.count("invite.locked")) == (5, 1)
    await house.must_be_sound()


async def test_whatever_makes_a_code_useless_it_is_as_unknown_as_any(house: House, clinic: Clinic) -> None:
    used, bound, withdrawn, expired, gone, suspended = [
        body(await clinic.invites_by_code()) for _ in range(6)
    ]
    person_id = await makes_person(house.pat)
    body(await accepts_by_code(house.pat, used["securityCode"], person_id))
    body(await registers(house.stranger, bound["securityCode"], JANE_MAIL))
    jane = await signs_in(house, JANE_MAIL)
    assert (await house.ben.send("DELETE", f"/OrganizationInvites/{withdrawn['id']}")).status_code == 204
    await must_be_unknown(house, used["securityCode"], house.pat, house.ada)  # also for who used it
    await must_be_unknown(house, bound["securityCode"], jane, house.pat)
    await must_be_unknown(house, withdrawn["securityCode"])
    await house.rows(
        "UPDATE invites SET expires_at = created_at + interval '1 microsecond' WHERE id = $1::text::uuid",
        expired["id"],
    )
    await must_be_unknown(house, expired["securityCode"])  # by the clock, whether or not a sweep has looked
    await sweeps(house)
    assert await status_of(house, expired["id"]) == "expired"
    await must_be_unknown(house, expired["securityCode"])
    await house.rows("UPDATE organizations SET status = 'suspended' WHERE code = 'northside'")
    await must_be_unknown(house, suspended["securityCode"])
    await house.rows("UPDATE organizations SET status = 'active' WHERE code = 'northside'")
    assert (await asks_question(house.stranger, suspended["securityCode"])).text == QUESTION
    await house.rows(
        "UPDATE fhir_servers SET removed_at = created_at + interval '1 microsecond' WHERE id = $1",
        clinic.server_id,
    )
    await must_be_unknown(house, gone["securityCode"])


async def test_only_failures_count_on_an_address_and_too_many_are_told_when_to_come_back(
    open_house: Opening,
) -> None:
    async with open_house(ADDRESS_FAILURES_PER_MINUTE="6") as house:
        clinic = await Clinic.open(house)
        (code,) = await codes(clinic, 1)
        for _ in range(8):
            assert (await asks_question(house.stranger, code)).text == QUESTION
            body(await finds(house.pat, code))
        for _ in range(3):
            problem(await asks_question(house.stranger, UNKNOWN_CODE), 404, "unknown-code")
            problem(await registers(house.stranger, UNKNOWN_CODE, JANE_MAIL), 404, "unknown-code")
        person_id = await makes_person(house.pat)
        for ask in by_code(person_id).values():
            for which in (code, UNKNOWN_CODE):
                answered = await ask(house.pat, which)
                problem(answered, 429, "too-many-attempts")
                assert 0 < int(answered.headers["retry-after"]) <= 60
        house.clock.advance(seconds=11)
        assert (await asks_question(house.stranger, code)).text == QUESTION


async def test_unknown_codes_are_braked_for_everybody_together(open_house: Opening) -> None:
    async with open_house(**wide(UNKNOWN_CODES_PER_MINUTE="4")) as house:
        clinic = await Clinic.open(house)
        (code,) = await codes(clinic, 1)
        for _ in range(10):
            body(await finds(house.pat, code))
        for _ in range(4):
            problem(await asks_question(house.stranger, UNKNOWN_CODE), 404, "unknown-code")
        for which in (code, UNKNOWN_CODE):
            problem(await asks_question(house.stranger, which), 429, "too-many-attempts")
        house.clock.advance(seconds=16)
        assert (await asks_question(house.stranger, code)).text == QUESTION


async def test_wrong_answers_do_not_brake_others(open_house: Opening) -> None:
    async with open_house(**wide(UNKNOWN_CODES_PER_MINUTE="4")) as house:
        clinic = await Clinic.open(house)
        for code in await codes(clinic, 2):
            for _ in range(4):
                problem(await finds(house.pat, code, "Rex"), 400, "wrong-answer")
        (code,) = await codes(clinic, 1)
        body(await finds(house.pat, code))


@pytest.mark.parametrize("route", ["register", "accept"])
async def test_the_code_in_the_address_and_the_one_in_the_body_are_one(
    house: House, clinic: Clinic, route: str
) -> None:
    one, other = await codes(clinic, 2)
    more = {"personId": await makes_person(house.pat)} if route == "accept" else {"user": {}}
    before = await everything(house)

    async def sends(in_path: str, in_body: str) -> httpx.Response:
        asked = {"securityCode": in_body, "securityAnswer": "Rex", **more}
        return await house.pat.post(f"/OrganizationInvites/security-details/code/{in_path}/{route}", asked)

    told = {bare(await sends(path, named))[:2] for path, named in ((one, other), (one, UNKNOWN_CODE), (UNKNOWN_CODE, one), (one, ""))}  # fmt: skip
    ((status, content),) = told  # not even which of them there is
    assert (status, b"securityCode" in content) == (400, True)
    assert await everything(house) == before


async def test_a_caller_who_is_signed_in_may_ask_and_register_all_the_same(
    house: House, clinic: Clinic
) -> None:
    (code,) = await codes(clinic, 1)
    for caller in (house.pat, house.ben, Caller(house.http, "nonsense")):
        assert (await asks_question(caller, code)).text == QUESTION
    assert body(await registers(house.ben, code, JANE_MAIL))["userExists"] is False
