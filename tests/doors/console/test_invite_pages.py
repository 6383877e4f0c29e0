"""The pages on which somebody takes up an invite: with a code from paper or the link of a mail, signed in, and on whose behalf."""

from __future__ import annotations

import asyncio
import re
from typing import Any
from urllib.parse import urlsplit

import pytest
from structlog.testing import capture_logs

from cast import PASSWORD, House
from clinic import ANSWER, JANE, JIMMY, QUESTION, Clinic, accepts_by_code, body, makes_person, registers
from doors.bluebutton.test_story import must_read_only
from doors.console.test_forms import _Asking
from doors.console.test_links import deeds
from doors.console.test_pages import HOSTILE, must_be_a_page
from doors.console.visitor import Form, Read, Visitor
from doors.native.living import SECRET
from hospitium.doors.console import sessions
from hospitium.engine.secrets import SessionCookie

SESSION = "hospitium-session"
JANES, PAT = "jane@mail.example", "pat@mail.example"
MYSELF = {"relationship": "self"}
BECOMES = {
    "first_name": "Jane",
    "last_name": "Doe",
    "email": JANES,
    "new_password": SECRET,
    "password_again": SECRET,
}
SAYS = {
    "en": {
        "code": "Enter your code", "question": "Answer the question", "new": "Open your account", "known": "Sign in with your account",
        "invites": "Northside Family Practice invites you", "read": "You can't change anything in it", "end": "and so can Northside Family Practice",
        "seen": "sees that you have accepted", "born": "February 1, 1990", "accepted": "You have accepted", "declined": "You have declined",
        "sign in": "Sign in with your e\u2011mail address", "out": "You are signed out", "none": "No invitation is waiting for you",
        "wrong": "This is not the right answer", "five": "after five wrong answers", "unknown": "This code doesn't work", "until": "March 31, 2026, 12:00 UTC",
    },
    "es": {
        "code": "Escriba su código", "question": "Responda a la pregunta", "new": "Abra su cuenta", "known": "Inicie sesión con su cuenta",
        "invites": "Northside Family Practice le invita", "read": "No podrá cambiar nada en ella", "end": "y Northside Family Practice también",
        "seen": "verá que usted aceptó", "born": "1 de febrero de 1990", "accepted": "Ha aceptado", "declined": "La ha rechazado",
        "sign in": "Inicie sesión con su dirección de correo", "out": "Ha cerrado la sesión", "none": "No le espera ninguna invitación",
        "wrong": "Esta no es la respuesta correcta", "five": "después de cinco respuestas equivocadas", "unknown": "Este código no sirve",
        "until": "31 de marzo de 2026, 12:00 UTC",
    },
}  # fmt: skip


@pytest.fixture
async def clinic(house: House) -> Clinic:
    return await Clinic.open(house)


async def a_code(clinic: Clinic, patient: str = JANE) -> str:
    code: str = body(await clinic.invites_by_code(patient=patient))["securityCode"]
    return code


async def a_link(clinic: Clinic, email: str = "zed@mail.example") -> str:
    body(await clinic.invites_by_email(email, firstName="Zed", lastName="Stone"))
    (mail,) = await clinic.house.mails(to=email)
    return mail.link


async def types(visitor: Visitor, code: str, lang: str = "en") -> Read:
    """Open the page of codes, type one, and read its question."""
    page = await visitor.opens(f"/console/code?lang={lang}")
    return await visitor.sends(page.form("look"), code=code)


def asks(page: Read) -> Form:
    return page.form_with("security_answer")


async def enters(visitor: Visitor, email: str = PAT, password: str = PASSWORD, lang: str = "en") -> Read:
    """Sign in; return the page one comes to."""
    page = await visitor.opens(f"/console/invites?lang={lang}")
    return await visitor.lands(
        await visitor.sends(page.form_with("password"), email=email, password=password)
    )


async def statuses(house: House) -> list[str]:
    return [row["status"] for row in await house.rows("SELECT status FROM invites ORDER BY created_at, id")]


async def grants(house: House) -> int:
    (row,) = await house.rows("SELECT count(*) FROM grants WHERE grantee_kind = 'person' AND ends_at IS NULL")
    return int(row["count"])


# -- a code, and somebody new ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", ["en", "es"])
async def test_somebody_new_goes_from_the_code_to_the_record(house: House, clinic: Clinic, lang: str) -> None:
    code, says = await a_code(clinic), SAYS[lang]
    async with Visitor(house) as jane:
        page = await types(jane, f"{code[:4]}-{code[4:]}".lower(), lang)
        must_be_a_page(page, lang)
        assert page.status == 200
        assert says["question"] in page.title
        assert QUESTION in page.words
        assert "Jane" not in page.html  # nothing of the patient before the answer
        page = await jane.sends(asks(page), security_answer="  CHARLIE ", step="new")
        must_be_a_page(page, lang)
        assert says["new"] in page.words
        assert asks(page).fields["security_answer"] == "  CHARLIE "
        sent = await jane.sends(asks(page), step="register", **BECOMES)
        assert re.fullmatch(r"/console/invites/[0-9a-f-]{36}", urlsplit(sent.headers["location"]).path)
        page = await jane.lands(sent)
        must_be_a_page(page, lang)
        for key in ("invites", "read", "end", "seen", "born", "until"):
            assert says[key] in page.words, key
        form = page.form("accept")
        assert {name: form.fields[name] for name in ("first_name", "last_name", "birth_date", "gender", "person")} == {
            "first_name": "Jane", "last_name": "Doe", "birth_date": "1990-02-01", "gender": "female", "person": "new",
        }  # fmt: skip
        assert form.fields["relationship"] == ""  # what she is to the patient, only she knows
        page = await jane.lands(await jane.sends(form, **MYSELF))
        must_be_a_page(page, lang)
        assert says["accepted"] in page.words
        assert "Jane Doe" in page.words
        listed = await jane.opens(f"/console/invites?lang={lang}")
        must_be_a_page(listed, lang)
        assert says["none"] in listed.words
    (account,) = await house.rows("SELECT id, language FROM accounts WHERE email = $1", JANES)
    assert account["language"] == lang
    await must_read_only(house, clinic, str(account["id"]), JANE)
    await house.must_be_sound()


async def test_a_code_may_be_pasted_as_the_address_it_stands_in(house: House, clinic: Clinic) -> None:
    code = await a_code(clinic)
    async with Visitor(house) as jane:
        assert QUESTION in (await types(jane, f"{house.base_url}/console/code#{code}")).words
        for typed in ("", "ABCD", "ABCD 234O", "ABCD-2345-6", "x" * 90, "ＡＢＣＤ２３４５"):
            page = await types(jane, typed)
            assert (page.status, "eight letters and digits" in page.words) == (400, True), typed
            must_be_a_page(page, "en")


async def test_what_is_typed_wrong_is_said_at_its_field_and_costs_no_answer(
    house: House, clinic: Clinic
) -> None:
    code = await a_code(clinic)
    async with Visitor(house) as jane:
        page = await jane.sends(asks(await types(jane, code)), security_answer=ANSWER, step="new")
        before = await deeds(house)
        for changes, says in (
            ({"password_again": SECRET + "!"}, "The two passwords differ"),
            ({"new_password": "short", "password_again": "short"}, "10 to 256 characters"),
            ({"new_password": "password123", "password_again": "password123"}, "Many people use this"),
            ({"email": "jane"}, "not a complete e\u2011mail address"),
            ({"first_name": " "}, "at most 200 characters"),
            ({"middle_name": "Q\u202e"}, "at most 200 characters"),
            ({"security_answer": "x" * 200}, "2 to 128 characters"),
        ):
            page = await jane.sends(
                asks(page), step="register", **{**BECOMES, "security_answer": ANSWER, **changes}
            )
            assert (page.status, says in page.words) == (400, True), changes
            must_be_a_page(page, "en")
            assert asks(page).fields["last_name"] == "Doe"
            assert SECRET not in page.html
            assert "short" not in page.html
        assert await deeds(house) == before
        kept = {**BECOMES, "security_answer": ANSWER, "middle_name": ""}
        assert (await jane.sends(asks(page), step="register", **kept)).status == 303


async def test_an_address_with_an_account_is_told_to_sign_in_and_that_counts(
    house: House, clinic: Clinic
) -> None:
    code = await a_code(clinic)
    async with Visitor(house) as pat:
        page = await pat.sends(asks(await types(pat, code)), security_answer=ANSWER, step="new")
        page = await pat.sends(asks(page), step="register", **{**BECOMES, "email": PAT})
        assert page.status == 400
        assert "There is an account with this address already" in page.words
        assert SAYS["en"]["known"] in page.words
        must_be_a_page(page, "en")
        assert asks(page).fields["email"] == PAT
        page = await pat.sends(asks(page), step="sign_in", password=PASSWORD)
        assert SAYS["en"]["invites"] in page.words
    (row,) = await house.rows("SELECT attempts, wrong_answers FROM invites")
    assert tuple(row) == (1, 1)


# -- a code, and somebody known ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", ["en", "es"])
async def test_somebody_known_signs_in_on_the_way_and_chooses_for_whom(
    house: House, clinic: Clinic, lang: str
) -> None:
    code, says = await a_code(clinic, JIMMY), SAYS[lang]
    person = await makes_person(house.pat, firstName="Jimmy", relationship="Child", birthDate="2015-06-30")
    async with Visitor(house) as pat:
        page = await pat.sends(asks(await types(pat, code, lang)), security_answer=ANSWER, step="known")
        assert says["known"] in page.words
        page = await pat.sends(asks(page), step="sign_in", email=PAT, password=PASSWORD)
        assert page.status == 200
        must_be_a_page(page, lang)
        for key in ("invites", "read", "end", "seen"):
            assert says[key] in page.words
        form = page.form("accept")
        assert "person" not in form.fields  # nobody is chosen for anybody
        again = await pat.sends(form)
        assert again.status == 400
        must_be_a_page(again, lang)
        page = await pat.lands(await pat.sends(form, person=person))
        assert says["accepted"] in page.words
        # Pressed twice, and gone back to: it is told again, and nothing more is done.
        for _ in range(2):
            assert says["accepted"] in (await pat.lands(await pat.sends(form, person=person))).words
    assert (await statuses(house), await grants(house)) == (["accepted"], 1)
    await must_read_only(house, clinic, str(house.accounts["pat"]), JIMMY)
    await house.must_be_sound()


async def test_a_person_is_made_with_the_acceptance_or_not_at_all(house: House, clinic: Clinic) -> None:
    code = await a_code(clinic, JIMMY)
    async with Visitor(house) as pat:
        await enters(pat)
        page = await pat.sends(asks(await types(pat, code)), security_answer=ANSWER, step="find")
        form = page.form("accept")
        for changes, says in (
            ({}, "choose whom this record is about"),
            ({"relationship": "owner"}, "choose whom this record is about"),
            ({"relationship": "child", "birth_date": "2015-02-30"}, "not a day between 1850 and today"),
            ({"relationship": "child", "gender": ""}, "choose one of these"),
            ({"relationship": "child", "last_name": ""}, "at most 200 characters"),
        ):
            wrong = await pat.sends(form, **changes)
            assert (wrong.status, says in wrong.words) == (400, True), changes
            must_be_a_page(wrong, "en")
        assert await house.rows("SELECT 1 FROM persons") == []
        assert (await house.rows("SELECT attempts FROM invites"))[0]["attempts"] == 0
        pages = await asyncio.gather(*(pat.sends(form, relationship="child") for _ in range(4)))
        assert {page.status for page in pages} == {303}
    assert len(await house.rows("SELECT 1 FROM persons")) == 1
    assert await grants(house) == 1
    await house.must_be_sound()


async def test_who_looks_after_a_person_without_administering_it_can_not_accept_for_it(
    house: House, clinic: Clinic
) -> None:
    person = await makes_person(house.pat)
    offered = body(
        await house.pat.post(f"/Persons/{person}/users", {"email": "ben@northside.example", "role": "Write"})
    )
    body(await house.ben.post(f"/Persons/offers/{offered['id']}/accept", {}))
    code = await a_code(clinic)
    async with Visitor(house) as ben:
        await enters(ben, "ben@northside.example")
        page = await ben.sends(asks(await types(ben, code)), security_answer=ANSWER, step="find")
        form = page.form("accept")
        assert person not in page.html
        for other in (person, "5" * 24, "me"):
            wrong = await ben.sends(form, person=other)
            assert wrong.status == 400
            must_be_a_page(wrong, "en")
    assert await grants(house) == 0


# -- answers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", ["en", "es"])
async def test_a_wrong_answer_says_how_to_go_on_and_the_fifth_is_the_last(
    house: House, clinic: Clinic, lang: str
) -> None:
    code, says = await a_code(clinic), SAYS[lang]
    async with Visitor(house) as jane:
        page = await jane.sends(asks(await types(jane, code, lang)), step="new", security_answer="Rex")
        pages = []
        for _ in range(4):
            page = await jane.sends(asks(page), step="register", **BECOMES)
            assert page.status == 400
            must_be_a_page(page, lang)
            assert says["wrong"] in page.words
            assert says["five"] in page.words
            pages.append(re.sub(r'name="form" value="[^"]*"', "", page.html))
        assert len(set(pages)) == 1  # how many tries remain, nobody is told
        page = await jane.sends(asks(page), step="register", **BECOMES)
        assert (page.status, says["unknown"] in page.words) == (404, True)
        must_be_a_page(page, lang)
        page = await types(jane, code, lang)
        assert (page.status, says["unknown"] in page.words) == (404, True)
    assert await statuses(house) == ["locked"]


async def test_every_code_that_does_not_work_is_one_page(house: House, clinic: Clinic) -> None:
    used, withdrawn, bound = [await a_code(clinic) for _ in range(3)]
    body(await accepts_by_code(house.pat, used, await makes_person(house.pat)))
    (row,) = await house.rows("SELECT id FROM invites WHERE status = 'unbound' ORDER BY created_at LIMIT 1")
    assert (await house.ben.send("DELETE", f"/OrganizationInvites/{row['id']}")).status_code == 204
    body(await registers(house.stranger, bound, JANES))
    pages = set()
    async with Visitor(house) as jane:
        for code in ("AAAAAAAA", used, withdrawn, bound):
            page = await types(jane, code)
            must_be_a_page(page, "en")
            assert code not in page.html
            assert [link for link in page.links if "/console/code" in link]  # a way on
            assert [link for link in page.links if "/console/invites" in link]
            pages.add((page.status, page.html))
    assert len(pages) == 1


async def test_an_expired_code_is_as_unknown(house: House, clinic: Clinic) -> None:
    code = await a_code(clinic)
    async with Visitor(house) as jane:
        page = await jane.sends(asks(await types(jane, code)), step="new", security_answer=ANSWER)
        house.clock.advance(days=30)
        assert (await jane.sends(asks(page), step="register", **BECOMES)).status == 404
    assert await house.rows("SELECT 1 FROM accounts WHERE email = $1", JANES) == []


async def test_unknown_codes_count_against_the_network(house: House, clinic: Clinic) -> None:
    async with Visitor(house) as jane:
        form = (await jane.opens("/console/code")).form("look")
        pages = [await jane.sends(form, code="AAAAAAAA") for _ in range(21)]
    assert [page.status for page in pages] == [404] * 20 + [429]
    must_be_a_page(pages[-1], "en")
    assert pages[-1].form("look").fields["code"] == "AAAAAAAA"  # to be tried again, when it may be


# -- by mail -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", ["en", "es"])
async def test_whoever_is_invited_by_mail_chooses_a_password_and_is_at_the_invite(
    house: House, clinic: Clinic, lang: str
) -> None:
    link, says = await a_link(clinic), SAYS[lang]
    async with Visitor(house) as zed:
        page = await zed.follows(link, lang=lang)
        assert page.status == 200
        must_be_a_page(page, lang)
        for part in (says["invites"], "zed@mail.example", says["until"]):
            assert part in page.words
        assert "Jane" not in page.html
        form = page.form("do")
        assert (form.fields["first_name"], form.fields["last_name"]) == ("Zed", "Stone")
        for typed in ("short", "password123"):
            assert (await zed.sends(form, new_password=typed)).status == 400
        page = await zed.lands(await zed.sends(form, new_password=SECRET))
        must_be_a_page(page, lang)
        assert says["invites"] in page.words
        page = await zed.lands(await zed.sends(page.form("accept"), relationship="spouse"))
        assert says["accepted"] in page.words
        # The link has done what it was for; whoever follows it again is told where to go on.
        page = await zed.follows(link, lang=lang)
        assert page.status == 404
        assert any("/console/invites" in href for href in page.links)
    (row,) = await house.rows("SELECT first_name, verified_at FROM accounts WHERE email = 'zed@mail.example'")
    assert row["first_name"] == "Zed"
    assert row["verified_at"] is not None
    await house.must_be_sound()


async def test_until_it_is_answered_the_link_leads_back_with_the_password_there_is_now(
    house: House, clinic: Clinic
) -> None:
    link = await a_link(clinic)
    async with Visitor(house) as zed:
        await zed.lands(await zed.sends((await zed.follows(link)).form("do"), new_password=SECRET))
        page = await zed.follows(link)
        assert "You have an account with this address" in page.words
        form = page.form("do")
        wrong = await zed.sends(form, password="not this one at all")
        assert wrong.status == 403
        must_be_a_page(wrong, "en")
        assert SAYS["en"]["invites"] in (await zed.lands(await zed.sends(form, password=SECRET))).words
    assert len(await house.rows("SELECT 1 FROM accounts WHERE email = 'zed@mail.example'")) == 1


@pytest.mark.parametrize("lang", ["en", "es"])
async def test_an_invite_is_declined_and_that_is_told_as_often_as_it_is_asked(
    house: House, clinic: Clinic, lang: str
) -> None:
    body(await clinic.invites_by_email(PAT))
    async with Visitor(house) as pat:
        page = await enters(pat, lang=lang)
        (path,) = [link for link in page.links if link.startswith("/console/invites/")]
        form = (await pat.opens(path)).form("decline")
        for _ in range(2):
            page = await pat.sends(form)
            assert page.status == 200
            must_be_a_page(page, lang)
            assert SAYS[lang]["declined"] in page.words
        page = await pat.opens(path)
        assert page.status == 404
        must_be_a_page(page, lang)
    assert await statuses(house) == ["declined"]


async def test_what_was_taken_back_meanwhile_is_over(house: House, clinic: Clinic) -> None:
    made = body(await clinic.invites_by_email(PAT))
    async with Visitor(house) as pat:
        await enters(pat)
        page = await pat.opens(f"/console/invites/{made['id']}")
        assert (await house.ben.send("DELETE", f"/OrganizationInvites/{made['id']}")).status_code == 204
        for form in (page.form("accept"), page.form("decline")):
            over = await pat.sends(form, **(MYSELF if "relationship" in form.names else {}))
            must_be_a_page(over, "en")
            assert "This invitation is over" in over.words
    assert await house.rows("SELECT 1 FROM persons") == []


# -- what is shown is what is accepted (threat A-10) -------------------------------------------------------------------


async def test_an_invite_that_was_changed_meanwhile_is_shown_again_and_not_accepted(
    house: House, clinic: Clinic
) -> None:
    made = body(await clinic.invites_by_email(PAT))
    async with Visitor(house) as pat:
        await enters(pat)
        page = await pat.opens(f"/console/invites/{made['id']}")
        body(await house.ben.post(f"/OrganizationInvites/{made['id']}/resend"))
        shown = await pat.sends(page.form("accept"), **MYSELF)
        assert shown.status == 409
        must_be_a_page(shown, "en")
        assert "Nothing is shared yet" in shown.words
        assert await grants(house) == 0
        assert await house.rows("SELECT 1 FROM persons") == []
        assert shown.form("accept").fields["relationship"] == "self"
        page = await pat.lands(await pat.sends(shown.form("accept")))
        assert SAYS["en"]["accepted"] in page.words
        for fields in ({"version": ""}, {"version": "x"}):
            assert (await pat.sends(shown.form("accept"), **fields)).status == 400


async def test_no_field_of_a_form_says_which_invite_but_its_code_or_its_address(
    house: House, clinic: Clinic
) -> None:
    jimmys, janes = await a_code(clinic, JIMMY), await a_code(clinic, JANE)
    async with Visitor(house) as pat:
        await enters(pat)
        other = await pat.sends(asks(await types(pat, jimmys)), security_answer=ANSWER, step="find")
        page = await pat.sends(asks(await types(pat, janes)), security_answer=ANSWER, step="find")
        assert "Jane Doe" in page.words
        swapped = other.form("accept").fields["invite"]
        page = await pat.lands(await pat.sends(page.form("accept"), invite=swapped, **MYSELF))
        assert "Jane Doe" in page.words
    rows = await house.rows("SELECT status FROM invites WHERE patient_id = $1", JIMMY)
    assert [row["status"] for row in rows] == ["unbound"]


async def test_a_page_that_was_opened_in_another_session_does_nothing_in_this_one(
    house: House, clinic: Clinic
) -> None:
    """Two people at one computer, two windows: what was shown to one is not done by the other."""
    body(await clinic.invites_by_email(PAT))
    body(await clinic.invites_by_email("mia@northside.example"))
    async with Visitor(house) as shared:
        listed = await enters(shared)
        (path,) = [link for link in listed.links if link.startswith("/console/invites/")]
        page = await shared.opens(path)
        await shared.lands(
            await shared.sends(
                (await shared.opens("/console/sign-in")).form_with("password"),
                email="mia@northside.example",
                password=PASSWORD,
            )
        )
        before = await deeds(house)
        for form in (page.form("accept"), page.form("decline")):
            refused = await shared.sends(form, **(MYSELF if "relationship" in form.names else {}))
            assert (refused.status, "Please open this form again" in refused.words) == (403, True)
        assert await deeds(house) == before


# -- forms, and what opening does --------------------------------------------------------------------------------------


async def test_no_page_takes_a_form_that_was_not_opened_here(house: House, clinic: Clinic) -> None:
    code = await a_code(clinic)
    made = body(await clinic.invites_by_email(PAT))
    async with Visitor(house) as pat:
        await enters(pat)
        found = await pat.sends(asks(await types(pat, code)), security_answer=ANSWER, step="find")
        invite = await pat.opens(f"/console/invites/{made['id']}")
        out = await pat.opens("/console/sign-out")
        before = await deeds(house)
        for form, more in (
            (found.form("accept"), MYSELF), (invite.form("accept"), MYSELF), (invite.form("decline"), {}), (out.forms[-1], {}),
        ):  # fmt: skip
            fields = {**form.fields, **more}
            for name in ("form", "session"):
                if form is out.forms[-1] and name == "session":
                    continue  # signing out is done for whoever asks, in whatever window
                without = {key: value for key, value in fields.items() if key != name}
                for sent in (without, {**without, name: "A" * len(fields[name])}):
                    assert (await pat.posts(form.action, sent)).status == 403, (form.action, name)
            assert (await pat.posts(form.action, fields, Sec_Fetch_Site="cross-site")).status == 403
            assert (await pat.posts(form.action, fields, Origin="https://evil.example")).status == 403
            assert (await pat.posts(form.action, {**fields, "next": "/"})).status == 400
        assert await deeds(house) == before
    async with Visitor(house) as stranger:
        for path in (
            "/console/sign-in",
            "/console/code",
            "/console/desk",
            f"/console/invites/{made['id']}",
            "/console/invited",
        ):
            assert (await stranger.posts(path, {"step": "accept", "code": code})).status == 403
    assert await deeds(house) == before


async def test_opening_changes_nothing_however_often(house: House, clinic: Clinic) -> None:
    await a_code(clinic)
    made = body(await clinic.invites_by_email(PAT))
    async with Visitor(house) as pat:
        await enters(pat)
        await house.mails()
        before = await deeds(house)
        paths = (
            "/console/code",
            "/console/invited",
            "/console/invites",
            f"/console/invites/{made['id']}",
            "/console/sign-in",
            "/console/sign-out",
            "/console/desk",
        )
        for _ in range(100):
            assert {page.status for page in await asyncio.gather(*(pat.opens(path) for path in paths))} == {
                200
            }
        assert await deeds(house) == before
        assert await house.mails() == []


# -- who may see what --------------------------------------------------------------------------------------------------


async def test_a_stranger_is_asked_to_sign_in_and_comes_back(house: House, clinic: Clinic) -> None:
    made = body(await clinic.invites_by_email(PAT))
    async with Visitor(house) as pat:
        for path in ("/console/invites", f"/console/invites/{made['id']}", "/console/desk"):
            page = await pat.opens(f"{path}?lang=es")
            assert page.status == 200
            must_be_a_page(page, "es")
            assert SAYS["es"]["sign in"] in page.words
            assert "Jane" not in page.html
            answered = await pat.sends(page.form_with("password"), email=PAT, password=PASSWORD)
            assert urlsplit(answered.headers["location"]).path == path
            pat.http.cookies.delete(SESSION)


async def test_it_leads_nowhere_but_to_our_own_pages(house: House) -> None:
    async with Visitor(house) as pat:
        form = (await pat.opens("/console/sign-in")).form_with("password")
        for back in (
            "https://evil.example/", "//evil.example", "/\\evil.example", "/console/invites/../../x", "/v1/sessions", "/console/invites?x=1",
            "/console/invites#x", "javascript:alert(1)", "/console/invites/" + "g" * 36, "/console/desk\r\nX: 1", "", "/console/sign-out",
        ):  # fmt: skip
            answered = await pat.sends(form, back=back, email=PAT, password=PASSWORD)
            assert answered.headers["location"] == "/console/invites?lang=en", back


@pytest.mark.parametrize("lang", ["en", "es"])
async def test_which_of_address_and_password_is_wrong_is_told_to_nobody(house: House, lang: str) -> None:
    pages = set()
    async with Visitor(house) as pat:
        form = (await pat.opens(f"/console/sign-in?lang={lang}")).form_with("password")
        for email in (PAT, "nobody@mail.example", "ada"):
            page = await pat.sends(form, email=email, password="not this one at all")
            assert page.status in (400, 403)
            must_be_a_page(page, lang)
            assert SESSION not in pat.http.cookies
            assert "not this one" not in page.html
            pages.add((page.status, page.html.replace(email, "ADDRESS")))
    assert len(pages) == 1


async def test_an_account_whose_address_nobody_confirmed_sees_what_it_registered_through_and_nothing_else(
    house: House, clinic: Clinic
) -> None:
    code = await a_code(clinic)
    other = body(await clinic.invites_by_email(JANES, patient=JIMMY))
    body(await registers(house.stranger, code, JANES, password=SECRET))
    async with Visitor(house) as jane:
        page = await enters(jane, JANES, SECRET)
        links = [link for link in page.links if link.startswith("/console/invites/")]
        assert len(links) == 1
        assert "Jimmy" not in page.html
        assert "You haven't confirmed your e\u2011mail address yet" in page.words
        assert (await jane.opens(f"/console/invites/{other['id']}")).status == 404
        assert "Jane Doe" in (await jane.opens(links[0])).words


async def test_staff_who_sent_an_invite_have_no_part_in_answering_it(house: House, clinic: Clinic) -> None:
    made = body(await clinic.invites_by_email(PAT))
    async with Visitor(house) as ben:
        page = await enters(ben, "ben@northside.example")
        assert SAYS["en"]["none"] in page.words
        for path in (made["id"], "5" * 24, "me"):
            page = await ben.opens(f"/console/invites/{path}")
            assert page.status == 404
            must_be_a_page(page, "en")


# -- the session -------------------------------------------------------------------------------------------------------


async def test_each_sign_in_has_a_cookie_of_its_own_and_ends_the_one_before(house: House) -> None:
    async with Visitor(house) as pat:
        await enters(pat)
        first = pat.http.cookies[SESSION]
        form = (await pat.opens("/console/sign-in")).form_with("password")
        answered = await pat.sends(form, email=PAT, password=PASSWORD)
        (header,) = [one for one in answered.headers.get_list("set-cookie") if one.startswith(SESSION)]
        assert set(header.split("; ")[1:]) == {"HttpOnly", "Path=/console", "SameSite=lax"}
        assert pat.http.cookies[SESSION] != first
    async with Visitor(house) as thief:
        page = Read(await thief.http.get("/console/invites", headers={"Cookie": f"{SESSION}={first}"}))
        assert SAYS["en"]["sign in"] in page.words


@pytest.mark.parametrize("lang", ["en", "es"])
async def test_signing_out_ends_the_session_here_and_has_the_browser_forget(house: House, lang: str) -> None:
    async with Visitor(house) as pat:
        await enters(pat, lang=lang)
        kept = pat.http.cookies[SESSION]
        page = await pat.opens(f"/console/sign-out?lang={lang}")
        must_be_a_page(page, lang)
        answered = await pat.sends(page.forms[-1])
        assert answered.headers["clear-site-data"] == '"cache", "storage"'
        assert SESSION not in pat.http.cookies
        page = await pat.lands(answered)
        must_be_a_page(page, lang)
        assert SAYS[lang]["out"] in page.words
        again = await pat.sends((await pat.opens("/console/sign-in")).forms[-1], email=PAT, password="x" * 10)
        assert again.status in (400, 403)
    async with Visitor(house) as thief:
        page = Read(await thief.http.get("/console/invites", headers={"Cookie": f"{SESSION}={kept}"}))
        assert SAYS["en"]["sign in"] in page.words


async def test_a_cookie_that_is_none_or_two_signs_nobody_in(house: House) -> None:
    async with Visitor(house) as pat:
        await enters(pat)
        good = pat.http.cookies[SESSION]
        other = SessionCookie.new().reveal()
        for cookies in ("", f"{SESSION}=", f"{SESSION}={other}", f"{SESSION}={good}; {SESSION}={other}", f"x{SESSION}={good}", f"{SESSION}={'x' * 300}", f"md.sid={good}"):  # fmt: skip
            pat.http.cookies.clear()
            page = Read(await pat.http.get("/console/invites", headers={"Cookie": cookies}))
            assert SAYS["en"]["sign in"] in page.words, cookies
        page = Read(await pat.http.get("/console/invites", headers={"Cookie": f"{SESSION}={good}"}))
        assert SAYS["en"]["none"] in page.words


async def test_the_cookie_of_these_pages_opens_no_other_door(house: House) -> None:
    async with Visitor(house) as pat:
        await enters(pat)
        cookies = {"Cookie": f"{SESSION}={pat.http.cookies[SESSION]}"}
        for path in (
            "/v1/accounts/own",
            "/OrganizationInvites/received",
            "/Persons",
            "/northside/v2/accounts/me",
        ):
            assert (await pat.http.get(path, headers=cookies)).status_code in (401, 403), path


async def test_behind_https_the_session_is_for_https_alone(house: House) -> None:
    asked = _Asking(house.parts._replace(public_url="https://hospitium.example/below"), {})
    asked.state = type("State", (), {"session": SessionCookie("t"), "is_new": True})()  # type: ignore[attr-defined]
    kept: dict[str, Any] = {}
    answer = type("Answer", (), {"set_cookie": lambda _, **given: kept.update(given)})()
    sessions.kept(asked, answer)  # type: ignore[arg-type]
    assert kept == {
        "key": "__Secure-hospitium-session", "value": "t", "path": "/below/console", "max_age": None, "httponly": True,
        "samesite": "lax", "secure": True,
    }  # fmt: skip


async def test_a_disabled_account_is_shown_nothing_any_more(house: House, clinic: Clinic) -> None:
    body(await clinic.invites_by_email(PAT))
    async with Visitor(house) as pat:
        await enters(pat)
        await house.rows("UPDATE accounts SET status = 'disabled' WHERE email = $1", PAT)
        assert SAYS["en"]["sign in"] in (await pat.opens("/console/invites")).words


# -- secrets, and names ------------------------------------------------------------------------------------------------


async def test_no_code_answer_token_or_password_stands_in_an_address_a_log_or_a_header(
    house: House, clinic: Clinic
) -> None:
    code, link = await a_code(clinic), await a_link(clinic)
    answers: list[Any] = []
    with capture_logs() as logs:
        async with Visitor(house) as jane:
            jane.http.event_hooks["response"] = [_kept(answers)]
            page = await types(jane, code)
            page = await jane.sends(asks(page), step="register", security_answer="Rex", **BECOMES)
            page = await jane.sends(asks(page), step="register", security_answer=ANSWER, **BECOMES)
            await jane.sends((await jane.lands(page)).form("accept"), **MYSELF)
        async with Visitor(house) as zed:
            zed.http.event_hooks["response"] = [_kept(answers)]
            await zed.lands(await zed.sends((await zed.follows(link)).form("do"), new_password=SECRET))
    secrets = (code, ANSWER, SECRET, link.partition("#")[2], "Rex")
    for answer in answers:
        for said in (str(answer.request.url), *answer.headers.values()):
            assert not any(secret in said for secret in secrets), said
    assert logs
    assert not any(secret in str(logs) for secret in (*secrets, "Jane", JANES))
    for answer in answers:
        if answer.request.method == "GET":
            assert not any(secret in answer.text for secret in secrets)


def _kept(answers: list[Any]) -> Any:
    async def keep(answer: Any) -> None:
        await answer.aread()
        answers.append(answer)

    return keep


async def test_a_name_is_shown_as_it_is_written_and_does_nothing(house: House, clinic: Clinic) -> None:
    code = await a_code(clinic)
    async with Visitor(house) as pat:
        await enters(pat)
        for name in HOSTILE:
            await house.rows("UPDATE organizations SET name = $1, phone = $1 WHERE code = 'northside'", name)
            await house.rows("UPDATE fhir_servers SET name = $1", name)
            await house.rows(
                "UPDATE invites SET question = $1, patient_summary = jsonb_build_object('name', jsonb_build_array("
                "jsonb_build_object('family', $1::text, 'given', jsonb_build_array($1::text))), 'gender', $1::text, 'birthDate', $1::text)",
                name,
            )
            page = await types(pat, code)
            must_be_a_page(page, "en")
            assert name in page.words
            page = await pat.sends(asks(page), security_answer=ANSWER, step="find")
            must_be_a_page(page, "en")
            assert "<img" not in page.html
            assert page.form("accept").fields["first_name"] == name


async def test_what_a_fhir_server_says_of_a_patient_may_have_any_shape(house: House, clinic: Clinic) -> None:
    made = body(await clinic.invites_by_email(PAT))
    async with Visitor(house) as pat:
        await enters(pat)
        for summary in (
            {}, {"name": 7, "gender": ["female"], "birthDate": {"a": 1}}, {"name": [7, None, {"given": "x", "family": ["y"]}]},
            {"name": [{"given": [None, "A", "B"], "family": 3}], "gender": "robot", "birthDate": "2015-06"},
            {"name": [{"use": "old", "family": "Old"}, {"use": "official", "family": "New"}], "birthDate": "9999-99-99"},
        ):  # fmt: skip
            await house.rows("UPDATE invites SET patient_summary = $1", summary)
            page = await pat.opens(f"/console/invites/{made['id']}")
            assert page.status == 200, summary
            must_be_a_page(page, "en")
        assert page.form("accept").fields["last_name"] == "New"
