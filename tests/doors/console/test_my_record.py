"""My record: who sees which, what it says, who looked, and how an access is ended."""

from __future__ import annotations

from typing import Any

import pytest

from cast import PASSWORD, House
from clinic import JANE, JIMMY, Clinic, accepts, body, makes_person
from doors.console.records import hostile, reads, summary, tells
from doors.console.test_invite_pages import PAT, enters
from doors.console.test_links import deeds
from doors.console.test_pages import HOSTILE, must_be_a_page
from doors.console.visitor import Read, Visitor
from hospitium.doors import patient_summary
from hospitium.doors.console import readers
from hospitium.doors.patient_summary import Part, Unreadable, Why
from hospitium.engine.accounts.record import Language

MINE = "/console/my-record"
RUI = "rui@lakeside.example"
SAYS = {
    "en": {
        "title": "My record", "clinic": "Record at Northside Family Practice", "of": "Record of Jane Doe", "mail": "by an invitation sent to pat@mail.example",
        "nobody": "There is no record here yet", "active": "active", "all": "All 20 values", "none": "The record says nothing here",
        "away": "can't be reached now", "wrong": "can't be read. Please tell the clinic", "closed": "can't be read at the moment",
        "looked": "Who looked", "ask": "End the access to this record?", "ended": "The access has ended", "over": "There is no such access any more",
        "day": "March 1, 2026", "missing": "This part can't be read now",
    },
    "es": {
        "title": "Mi historia", "clinic": "Historia en Northside Family Practice", "of": "Historia de Jane Doe", "mail": "por una invitación enviada a pat@mail.example",
        "nobody": "todavía no hay ninguna historia", "active": "activo", "all": "Los 20 valores", "none": "La historia no dice nada aquí",
        "away": "no se puede llegar al servidor", "wrong": "no se puede leer. Por favor, avise", "closed": "Ahora mismo esta historia no se puede leer",
        "looked": "Quién ha mirado", "ask": "¿Terminar el acceso a esta historia?", "ended": "El acceso ha terminado", "over": "Ese acceso ya no existe",
        "day": "1 de marzo de 2026", "missing": "Esta parte no se puede leer ahora",
    },
}  # fmt: skip


@pytest.fixture
async def clinic(house: House) -> Clinic:
    return await Clinic.open(house)


async def opened(clinic: Clinic, patient: str = JANE, **person: Any) -> tuple[str, str]:
    """Have pat accept an invite; return the ids of the grant and of the person."""
    made = body(await clinic.invites_by_email(PAT, patient=patient))
    person_id = await makes_person(clinic.house.pat, **{"relationship": "Self", **person})
    body(await accepts(clinic.house.pat, made["id"], person_id))
    (row,) = await clinic.house.rows("SELECT id FROM grants WHERE cause_id = $1", made["id"])
    return str(row["id"]), person_id


async def lets_in(house: House, person_id: str, role: str = "Read") -> None:
    """Have pat let rui look after a person, too."""
    offered = body(
        await house.pat.post(
            f"/Persons/{person_id}/users", {"email": RUI, "role": role, "relationship": "Relative"}
        )
    )
    body(await house.rui.post(f"/Persons/offers/{offered['id']}/accept", {"relationship": "Relative"}))


async def grants(house: House) -> int:
    (row,) = await house.rows("SELECT count(*) FROM grants WHERE grantee_kind = 'person' AND ends_at IS NULL")
    return int(row["count"])


# -- which, and what it says -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", ["en", "es"])
async def test_a_record_is_listed_opened_and_told(
    house: House, clinic: Clinic, monkeypatch: pytest.MonkeyPatch, lang: str
) -> None:
    grant_id, _ = await opened(clinic)
    asked = tells(monkeypatch, summary())
    async with Visitor(house) as pat:
        await enters(pat)
        page = await pat.opens(f"{MINE}?lang={lang}")
        must_be_a_page(page, lang)
        for key in ("title", "clinic", "of", "mail", "looked"):
            assert SAYS[lang][key] in page.words, key
        assert asked == []  # to list them reads none
        assert f"{MINE}/{grant_id}?lang={lang}" in page.links
        page = await pat.opens(f"{MINE}/{grant_id}?lang={lang}")
        must_be_a_page(page, lang)
        assert asked == [(clinic.server_id, JANE)]
        for key in ("active", "all", "none", "mail", "looked"):
            assert SAYS[lang][key] in page.words, key
        for told in (
            "Grace Okonkwo",
            "Essential hypertension",
            "Take 1 tablet once a day",
            "zoster recombinant",
            "59.5 kg",
        ):
            assert told in page.words, told
        pictures = [given for tag, given in page.tags if tag == "svg" and given.get("role") == "img"]
        assert len(pictures) > 5
        assert all(given["aria-label"] and "<" not in given["aria-label"] for given in pictures)
        assert [tag for tag, _ in page.tags].count("table") == len(pictures)


async def test_whoever_has_none_is_told_so(house: House) -> None:
    async with Visitor(house) as pat:
        await enters(pat)
        for lang in ("en", "es"):
            page = await pat.opens(f"{MINE}?lang={lang}")
            must_be_a_page(page, lang)
            assert SAYS[lang]["nobody"] in page.words


async def test_each_person_has_its_own(house: House, clinic: Clinic) -> None:
    await opened(clinic)
    await opened(clinic, JIMMY, firstName="Jimmy", relationship="Child")
    async with Visitor(house) as pat:
        page = await enters(pat)
        page = await pat.opens(MINE)
        must_be_a_page(page, "en")
        jane, jimmy = page.words.split("Jimmy Doe (my child)")
        assert "Record of Jane Doe" in jane
        assert "Record of Jimmy Doe" in jimmy
        assert "Record of Jimmy Doe" not in jane


@pytest.mark.parametrize("lang", ["en", "es"])
@pytest.mark.parametrize("why", list(Why))
async def test_what_can_not_be_read_is_said(
    house: House, clinic: Clinic, monkeypatch: pytest.MonkeyPatch, why: Why, lang: str
) -> None:
    grant_id, _ = await opened(clinic)
    tells(monkeypatch, Unreadable(why))
    async with Visitor(house) as pat:
        await enters(pat)
        page = await pat.opens(f"{MINE}/{grant_id}?lang={lang}")
        must_be_a_page(page, lang)
        assert SAYS[lang][why.value] in page.words
        assert SAYS[lang]["none"] not in page.words  # nothing is said to be empty that wasn't read


async def test_a_part_that_can_not_be_read_is_not_said_to_be_empty(
    house: House, clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    grant_id, _ = await opened(clinic)
    told = summary()._replace(
        conditions=[], observations=[], allergies=[], missing=frozenset({Part.CONDITIONS, Part.OBSERVATIONS})
    )
    tells(monkeypatch, told)
    async with Visitor(house) as pat:
        await enters(pat)
        page = await pat.opens(f"{MINE}/{grant_id}")
        assert page.words.count(SAYS["en"]["missing"]) == 2
        assert page.words.count(SAYS["en"]["none"]) == 1  # of the allergies


async def test_a_suspended_server_is_not_asked(
    house: House, clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    grant_id, _ = await opened(clinic)
    asked = tells(monkeypatch, summary())
    await house.rows("UPDATE fhir_servers SET suspended_at = created_at")
    async with Visitor(house) as pat:
        await enters(pat)
        for path in (MINE, f"{MINE}/{grant_id}"):
            page = await pat.opens(path)
            must_be_a_page(page, "en")
            assert SAYS["en"]["closed"] in page.words
    assert asked == []


# -- who may see it ----------------------------------------------------------------------------------------------------


async def test_a_stranger_is_asked_to_sign_in_and_comes_back(house: House, clinic: Clinic) -> None:
    grant_id, person_id = await opened(clinic)
    own = house.accounts["pat"]
    async with Visitor(house) as pat:
        for path in (
            MINE,
            f"{MINE}/{grant_id}",
            f"{MINE}/{grant_id}/end",
            f"/console/persons/{person_id}/reads",
            f"/console/persons/{person_id}/accounts/{own}/end",
        ):
            page = await pat.opens(path)
            must_be_a_page(page, "en")
            assert "Jane" not in page.html
            answered = await pat.sends(page.form_with("password"), email=PAT, password=PASSWORD)
            assert answered.headers["location"].partition("?")[0] == path
            pat.http.cookies.clear()


async def test_nobody_else_can_tell_a_record_from_none(
    house: House, clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither another patient, nor the staff who invited: for their own server there is no page here."""
    grant_id, person_id = await opened(clinic)
    (server,) = await house.rows(
        "SELECT id FROM grants WHERE grantee_kind = 'organization' AND resource_kind = 'fhir_server'"
    )
    asked = tells(monkeypatch, summary())
    unknown = "01980000-0000-8000-8000-00000000abcd"
    own = house.accounts["pat"]
    for email in (RUI, "ben@northside.example", "ada@northside.example"):
        async with Visitor(house) as other:
            await enters(other, email)
            for path in (
                f"{MINE}/{grant_id}",
                f"{MINE}/{server['id']}",
                f"{MINE}/{grant_id}/end",
                f"/console/persons/{person_id}/reads",
                f"/console/persons/{person_id}/accounts/{own}/end",
            ):
                answers = [
                    await other.opens(one)
                    for one in (
                        path,
                        path.replace(grant_id, unknown)
                        .replace(person_id, unknown)
                        .replace(str(server["id"]), unknown),
                    )
                ]
                assert {page.status for page in answers} == {404}, path
                assert answers[0].words == answers[1].words
                must_be_a_page(answers[0], "en")
    assert asked == []


async def test_whoever_may_only_read_for_a_person_reads_and_ends_nothing_but_his_own(
    house: House, clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    grant_id, person_id = await opened(clinic)
    await lets_in(house, person_id)
    tells(monkeypatch, summary())
    async with Visitor(house) as rui:
        await enters(rui, RUI)
        page = await rui.opens(f"{MINE}/{grant_id}")
        assert page.status == 200
        assert not any(link.partition("?")[0].endswith("/end") for link in page.links)
        page = await rui.opens(MINE)
        ends = {link.partition("?")[0] for link in page.links if "/end" in link}
        assert ends == {f"/console/persons/{person_id}/accounts/{house.accounts['rui']}/end"}
        refused = await rui.opens(f"{MINE}/{grant_id}/end")
        assert refused.status == 403
        must_be_a_page(refused, "en")
        form = (await rui.opens(ends.pop())).form("do")
        assert (await rui.posts(f"{MINE}/{grant_id}/end", form.fields)).status == 403
        assert await grants(house) == 1
        page = await rui.sends(form)
        assert SAYS["en"]["ended"] in page.words
        assert (await rui.opens(f"{MINE}/{grant_id}")).status == 404
        assert SAYS["en"]["nobody"] in (await rui.opens(MINE)).words
    await house.must_be_sound()


# -- who looked --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", ["en", "es"])
async def test_who_looked_is_told_by_day_and_reader(house: House, clinic: Clinic, lang: str) -> None:
    _, person_id = await opened(clinic)
    for kind, count in (("Patient", 1), ("Condition", 3), ("Observation", 12)):
        await reads(clinic, "pat", JANE, kind, count=count)
    house.clock.advance(minutes=90)
    await reads(clinic, "ben", JANE, "Condition", count=2)
    house.clock.advance(days=1)
    await reads(clinic, None, JANE, "Appointment", count=1)
    await reads(clinic, "ben", JIMMY)  # somebody else's
    async with Visitor(house) as pat:
        await enters(pat)
        for path in (MINE, f"/console/persons/{person_id}/reads"):
            page = await pat.opens(f"{path}?lang={lang}")
            must_be_a_page(page, lang)
            told = {
                "en": (
                    "A program, for Northside Family Practice: Appointment.",
                    "Ben Cast, for Northside Family Practice: conditions (2).",
                    "You: measurements and findings (12), conditions (3), name and birth date.",
                ),
                "es": (
                    "Un programa, para Northside Family Practice: Appointment.",
                    "Ben Cast, para Northside Family Practice: problemas de salud (2).",
                    "Usted: mediciones y resultados (12), problemas de salud (3), nombre y fecha de nacimiento.",
                ),
            }[lang]
            words = page.words.replace(" ,", ",").replace(" :", ":").replace(" .", ".").replace("( ", "(")
            places = [words.find(one) for one in told]
            assert -1 not in places, (words, places)
            assert places == sorted(places)  # the newest day first
            assert SAYS[lang]["day"] in page.words


async def test_all_who_looked_are_told_page_by_page(
    house: House, clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "MOST_SHOWN", 2)
    _, person_id = await opened(clinic)
    for day in range(5):
        house.clock.advance(days=1)
        await reads(clinic, "ben", JANE, count=10 + day)
    async with Visitor(house) as pat:
        await enters(pat)
        page = await pat.opens(f"/console/persons/{person_id}/reads")
        seen = []
        for _ in range(3):
            must_be_a_page(page, "en")
            seen += [count for count in range(10, 15) if f"({count})" in page.words][::-1]
            older = [link for link in page.links if "before=" in link]
            if not older:
                break
            page = await pat.opens(older[0])
        assert seen == [14, 13, 12, 11, 10]
        for before in ("x", "01980000-0000-8000-8000-00000000abcd"):
            assert (await pat.opens(f"/console/persons/{person_id}/reads?before={before}")).status in (
                200,
                404,
            )


# -- ending an access --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", ["en", "es"])
async def test_an_access_is_ended_after_it_was_asked_for(house: House, clinic: Clinic, lang: str) -> None:
    grant_id, _ = await opened(clinic)
    async with Visitor(house) as pat:
        await enters(pat)
        before = await deeds(house)
        page = await pat.opens(f"{MINE}/{grant_id}/end?lang={lang}")
        must_be_a_page(page, lang)
        assert SAYS[lang]["ask"] in page.words
        assert await grants(house) == 1
        assert await deeds(house) == before
        form = page.form("do")
        page = await pat.sends(form)
        must_be_a_page(page, lang)
        assert SAYS[lang]["ended"] in page.words
        assert "Northside Family Practice" in page.words
        assert await grants(house) == 0
        again = await pat.sends(form)
        must_be_a_page(again, lang)
        assert SAYS[lang]["over"] in again.words
        assert SAYS[lang]["clinic"] not in (await pat.opens(f"{MINE}?lang={lang}")).words
    await house.must_be_sound()


async def test_an_administrator_of_a_person_ends_what_others_have_and_not_what_the_owner_has(
    house: House, clinic: Clinic
) -> None:
    _, person_id = await opened(clinic)
    await lets_in(house, person_id, "Administrator")
    owner = house.accounts["pat"]
    async with Visitor(house) as rui:
        await enters(rui, RUI)
        page = await rui.opens(MINE)
        assert not any(f"/accounts/{owner}/" in link for link in page.links)
        form = (await rui.opens(f"/console/persons/{person_id}/accounts/{owner}/end")).form("do")
        assert (await rui.sends(form)).status == 409
    async with Visitor(house) as pat:
        await enters(pat)
        path = f"/console/persons/{person_id}/accounts/{house.accounts['rui']}/end"
        assert path in {link.partition("?")[0] for link in (await pat.opens(MINE)).links}
        page = await pat.opens(path)
        must_be_a_page(page, "en")
        assert RUI in page.words
        page = await pat.sends(page.form("do"))
        must_be_a_page(page, "en")
        assert SAYS["en"]["ended"] in page.words
        assert RUI not in (await pat.opens(MINE)).words
    await house.must_be_sound()


async def test_no_form_of_another_session_or_place_ends_anything(house: House, clinic: Clinic) -> None:
    grant_id, person_id = await opened(clinic)
    await lets_in(house, person_id)
    async with Visitor(house) as pat:
        await enters(pat)
        paths = (
            f"{MINE}/{grant_id}/end",
            f"/console/persons/{person_id}/accounts/{house.accounts['rui']}/end",
        )
        for path in paths:
            form = (await pat.opens(path)).form("do")
            for wrong in (
                {**form.fields, "form": "A" * 22},
                {**form.fields, "session": "A" * 22},
                {name: value for name, value in form.fields.items() if name != "session"},
            ):
                assert (await pat.posts(path, wrong)).status == 403
            assert (await pat.posts(path, form.fields, origin="https://evil.example")).status == 403
            assert (await pat.posts(path, {**form.fields, "more": "x"})).status == 400
    assert await grants(house) == 1
    (row,) = await house.rows("SELECT count(*) FROM person_roles WHERE ends_at IS NULL")
    assert row["count"] == 2


# -- of any shape ------------------------------------------------------------------------------------------------------


async def test_whatever_a_clinic_calls_things_does_nothing(
    house: House, clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    grant_id, person_id = await opened(clinic)
    await lets_in(house, person_id)
    await reads(clinic, "ben", JANE, "<script>alert(1)</script>")
    async with Visitor(house) as pat:
        await enters(pat)
        for name in HOSTILE:
            tells(monkeypatch, hostile(name))
            await house.rows("UPDATE organizations SET name = $1, phone = $1 WHERE code = 'northside'", name)
            await house.rows("UPDATE fhir_servers SET name = $1", name)
            await house.rows("UPDATE persons SET first_name = $1, last_name = $1", name)
            await house.rows("UPDATE accounts SET first_name = $1, last_name = $1", name)
            await house.rows("UPDATE invites SET patient_summary = jsonb_build_object('name', jsonb_build_array(jsonb_build_object('text', $1::text)))", name)  # fmt: skip
            for path in (
                f"{MINE}/{grant_id}",
                MINE,
                f"{MINE}/{grant_id}/end",
                f"/console/persons/{person_id}/reads",
                f"/console/persons/{person_id}/accounts/{house.accounts['rui']}/end",
            ):
                page = await pat.opens(path)
                assert page.status == 200, path
                must_be_harmless(page)
                assert " ".join(name.split()) in page.words, path


def must_be_harmless(page: Read) -> None:
    must_be_a_page(page, "en")
    assert "<img" not in page.html
    assert "<script>alert" not in page.html
    assert "<a href=https" not in page.html
    assert [tag for tag, _ in page.tags].count("script") == 1


async def test_control_a_word_that_is_not_escaped_is_seen(
    house: House, clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hospitium.doors.console import rendering  # noqa: PLC0415  only this test turns its escaping off

    grant_id, _ = await opened(clinic)
    tells(monkeypatch, hostile(HOSTILE[1]))
    async with Visitor(house) as pat:
        await enters(pat)
        monkeypatch.setattr(rendering, "_TEMPLATES", rendering._TEMPLATES.overlay(autoescape=False))
        page = await pat.opens(f"{MINE}/{grant_id}")
        with pytest.raises(AssertionError):
            must_be_harmless(page)


async def test_a_large_record_is_one_page_of_bounded_size(
    house: House, clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    grant_id, _ = await opened(clinic)
    long = hostile("Ω" * 100_000)
    most = patient_summary.MOST_OF_A_KIND
    tells(
        monkeypatch,
        long._replace(conditions=long.conditions * most, observations=long.observations[:1] * most),
    )
    async with Visitor(house) as pat:
        await enters(pat)
        page = await pat.opens(f"{MINE}/{grant_id}")
        must_be_a_page(page, "en")
        assert len(page.html) < 3_000_000


def test_a_page_speaks_both_languages() -> None:
    assert set(SAYS) == {one.value for one in Language}
