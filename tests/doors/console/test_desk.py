"""The desk: staff see whose record it is, make the invite, and get its slip once; and the slip over our own API."""

from __future__ import annotations

import re
from html import unescape
from typing import Any
from uuid import uuid4

import pytest
import segno

from cast import House
from clinic import ANSWER, JANE, JIMMY, QUESTION, Clinic, asks_question, body, problem
from doors.console.test_invite_pages import enters
from doors.console.test_links import deeds
from doors.console.test_pages import HOSTILE, must_be_a_page
from doors.console.visitor import Read, Visitor
from hospitium.doors import slips
from hospitium.engine.accounts.record import Language
from hospitium.engine.invites.codes import InviteCode

BEN = "ben@northside.example"
GOOD = {"identifier": "urn:mrn|N-1", "security_question": QUESTION, "security_answer": ANSWER}


@pytest.fixture
async def clinic(house: House) -> Clinic:
    await house.rows("UPDATE organizations SET phone = '+1 555 0100' WHERE code = 'northside'")
    return await Clinic.open(house)


def code_on(page: str) -> str:
    """Return the code that stands on a slip."""
    groups = re.findall(r"<span>([A-Z2-9]{4})</span>", page)
    assert len(groups) == 2
    return "".join(groups)


def must_be_a_slip(answer: Any, lang: str) -> str:
    """Insist on what every slip has; return its code."""
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"] == slips.POLICY
    assert answer.headers["cache-control"] == "no-store"
    html: str = answer.html if isinstance(answer, Read) else answer.text
    assert f'<html lang="{lang}">' in html
    assert not re.findall(r'(?:src|href|action)="', html)  # nothing is loaded, and it leads nowhere by itself
    words = unescape(re.sub(r"<[^>]+>", " ", html))
    for said in ("Northside Family Practice", "+1 555 0100", "/console/code", "2026"):
        assert said in words
    for kept_back in ("Jane", "Doe", JANE, "1990", QUESTION, ANSWER, "N-1", "Ben"):
        assert kept_back not in html
    return code_on(html)


# -- the desk ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", ["en", "es"])
async def test_staff_see_the_patient_first_and_get_the_slip_then(
    house: House, clinic: Clinic, lang: str
) -> None:
    async with Visitor(house) as ben:
        await enters(ben, BEN)
        page = await ben.opens(f"/console/desk?lang={lang}")
        must_be_a_page(page, lang)
        assert page.form("look").fields["slip_language"] == lang
        before = await deeds(house)
        page = await ben.sends(page.form("look"), **GOOD)
        must_be_a_page(page, lang)
        assert "Jane Doe" in page.words
        assert JANE in page.words
        assert page.form("do").fields["patient_id"] == JANE
        found = {row for row in await deeds(house) if row not in before}
        assert all(
            row.startswith(("events", "event_parties")) for row in found
        )  # that was looked, is in the trail
        slip = await ben.sends(page.form("do"))
        code = must_be_a_slip(slip, lang)
        assert (await asks_question(house.stranger, code)).text == QUESTION
        # Pressed twice it is the same invite, and the same slip.
        assert code_on((await ben.sends(page.form("do"))).html) == code
    (row,) = await house.rows("SELECT patient_id, status, language FROM invites")
    assert tuple(row) == (JANE, "unbound", lang)
    await house.must_be_sound()


async def test_what_is_wrong_is_said_at_its_field_and_nothing_is_made(house: House, clinic: Clinic) -> None:
    async with Visitor(house) as ben:
        await enters(ben, BEN)
        form = (await ben.opens("/console/desk")).form("look")
        for changes, says in (
            ({"identifier": ""}, "Give the id of the patient"),
            ({"patient_id": ".."}, "Give the id of the patient"),
            ({"patient_id": "nobody"}, "There is no such patient"),
            ({"patient_id": "merged"}, "Give the id of the patient"),
            ({"identifier": "urn:mrn|nobody"}, "There is no such patient"),
            ({"identifier": "urn:shared|same"}, "Several patients have this identifier"),
            ({"identifier": "a\tb"}, "This is no identifier"),
            ({"security_question": " "}, "at most 200 characters, on one line"),
            ({"security_answer": "x"}, "2 to 128 characters"),
            ({"security_answer": "　"}, "2 to 128 characters"),
            ({"server": str(uuid4())}, "You may not invite on this FHIR server"),
        ):
            page = await ben.sends(form, **{**GOOD, **changes})
            assert (page.status, says in page.words) == (400, True), changes
            must_be_a_page(page, "en")
            assert page.form("look").fields["security_question"] == {**GOOD, **changes}["security_question"]
        assert (await ben.sends(form, **{**GOOD, "server": "me"})).status == 400
        shown = await ben.sends(form, **GOOD)
        for changes in ({"key": "x"}, {"slip_language": "xx"}, {"patient_id": "../x"}):
            assert (await ben.sends(shown.form("do"), **changes)).status == 400
    assert await house.rows("SELECT 1 FROM invites") == []


@pytest.mark.parametrize("email", ["mia@northside.example", "pat@mail.example", "zoe@harbor.example"])
async def test_whoever_may_not_invite_has_no_desk(house: House, clinic: Clinic, email: str) -> None:
    async with Visitor(house) as visitor:
        await enters(visitor, email)
        page = await visitor.opens("/console/desk")
        must_be_a_page(page, "en")
        assert "There is no FHIR server on which you may invite" in page.words
        token = (
            page.forms[-1].fields
            if page.forms
            else (await visitor.opens("/console/sign-out")).forms[-1].fields
        )
        for step in ("look", "do"):
            fields = {
                **token,
                "step": step,
                "server": str(clinic.server_id),
                "patient_id": JANE,
                "key": "k" * 22,
                **GOOD,
            }
            refused = await visitor.posts("/console/desk", fields)
            assert refused.status == 400
            assert "Jane" not in refused.html
    assert await house.rows("SELECT 1 FROM invites") == []


async def test_who_is_signed_out_meanwhile_is_asked_to_sign_in_and_nothing_is_made(
    house: House, clinic: Clinic
) -> None:
    async with Visitor(house) as ben:
        await enters(ben, BEN)
        page = await ben.sends((await ben.opens("/console/desk")).form("look"), **GOOD)
        await house.rows(
            "UPDATE sessions SET ended_at = started_at, end_reason = 'signed_out' WHERE ended_at IS NULL"
        )
        asked = await ben.sends(page.form("do"))
        assert asked.form_with("password").fields["back"] == "/console/desk"
    assert await house.rows("SELECT 1 FROM invites") == []


# -- over our own API --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("wanted", "lang"), [(None, "es"), ("en", "en"), ("es", "es")])
async def test_a_program_gets_the_slip_of_a_code_it_has_just_been_given(
    house: House, clinic: Clinic, wanted: str | None, lang: str
) -> None:
    code = body(await clinic.invites_by_code(language="es"))["securityCode"]
    asked = {"securityCode": f"{code[:4]} {code[4:].lower()}"} | ({"language": wanted} if wanted else {})
    answered = await house.ben.post("/v1/invites/slip", asked)
    assert answered.status_code == 200
    assert must_be_a_slip(answered, lang) == code
    (row,) = await house.rows("SELECT attempts FROM invites")
    assert row["attempts"] == 0


async def test_to_all_others_a_code_is_as_unknown_as_any_and_that_counts(
    house: House, clinic: Clinic
) -> None:
    code = body(await clinic.invites_by_code(patient=JIMMY))["securityCode"]
    for caller in (house.mia, house.pat, house.zoe, house.rui):
        for asked in (code, "AAAAAAAA", "no code"):
            problem(await caller.post("/v1/invites/slip", {"securityCode": asked}), 404, "unknown-code")
    assert (await house.stranger.post("/v1/invites/slip", {"securityCode": code})).status_code == 401
    for _ in range(10):
        last = await house.pat.post("/v1/invites/slip", {"securityCode": "AAAAAAAA"})
    assert last.status_code == 429
    assert (await house.rows("SELECT attempts FROM invites"))[0]["attempts"] == 0


async def test_a_code_that_is_used_up_has_no_slip(house: House, clinic: Clinic) -> None:
    made = body(await clinic.invites_by_code())
    assert (await house.ben.send("DELETE", f"/OrganizationInvites/{made['id']}")).status_code == 204
    problem(
        await house.ben.post("/v1/invites/slip", {"securityCode": made["securityCode"]}), 404, "unknown-code"
    )


# -- the slip itself ---------------------------------------------------------------------------------------------------


def test_a_slip_of_an_invite_without_an_end_says_none_and_needs_no_telephone() -> None:
    code = InviteCode("ABCD2345")
    for language, says in (
        (Language.ENGLISH, "It can be used once."),
        (Language.SPANISH, "Se puede usar una vez."),
    ):
        page = slips.slip("Elm", None, code, language, "https://h.example/below", None)
        assert says in page
        assert "None" not in page
        assert "h.example/below/console/code" in page
        assert code_on(page) == "ABCD2345"


@pytest.mark.parametrize("name", HOSTILE)
def test_what_a_clinic_calls_itself_does_nothing_on_a_slip(name: str) -> None:
    page = slips.slip(name, name, InviteCode("ABCD2345"), Language.ENGLISH, "https://h.example", None)
    elements = re.findall(r"<(\w+)", page)
    plain = slips.slip("Elm", "1", InviteCode("ABCD2345"), Language.ENGLISH, "https://h.example", None)
    assert elements == re.findall(r"<(\w+)", plain)
    assert name in unescape(page)


@pytest.mark.parametrize(("language", "chosen"), [(Language.ENGLISH, ""), (Language.SPANISH, "?lang=es")])
def test_its_picture_says_the_address_with_the_code_where_no_server_sees_it(
    language: Language, chosen: str
) -> None:
    page = slips.slip("Elm", None, InviteCode("ABCD2345"), language, "https://h.example", None)
    address = f"https://h.example/console/code{chosen}#ABCD2345"
    (drawn,) = re.findall(r'<path stroke="#000" d="([^"]+)"', page)
    assert drawn in segno.make_qr(address, error="m").svg_inline(border=4, omitsize=True)


def test_the_policy_names_the_style_and_the_script_that_stand_in_it() -> None:
    page = slips.slip("Elm", "1", InviteCode("ABCD2345"), Language.ENGLISH, "https://h.example", None)
    for element in ("style", "script"):
        assert f"{element}-src {slips._hash_of(element)}" in slips.POLICY
        (inside,) = re.findall(f"<{element}>(.*?)</{element}>", page, re.DOTALL)
        assert inside in slips._SOURCE
    assert " style=" not in page
