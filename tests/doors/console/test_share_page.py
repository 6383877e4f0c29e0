"""The page that the mail of a share leads to: what is offered is shown, and that is what is accepted or declined."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from cast import PASSWORD, House
from doors.console.test_links import ZED, deeds, share_link
from doors.console.test_pages import must_be_a_page
from doors.console.visitor import Read, Visitor
from doors.medable.sharing import (
    AT,
    access,
    account_of,
    defines,
    done,
    ends,
    makes,
    offers,
    on_it,
    team_of,
    writes,
)
from doors.native.living import EVE, OTHER_SECRET, SECRET, living, mail_to, registers, signs_in
from hospitium.engine.accounts import actions as accounts
from hospitium.engine.object_types.record import GRANTABLE

PAT = "pat@mail.example"
MAY = {
    "en": {2: "know that it is there", 4: "read it", 5: "read it, and share it with others", 6: "read it, share it with others, and change it"},
    "es": {2: "saber que existe", 4: "leerlo", 5: "leerlo y compartirlo con otras personas", 6: "leerlo, compartirlo con otras personas y cambiarlo"},
}  # fmt: skip


async def standing(house: House) -> list[tuple[Any, ...]]:
    """Return how every share stands, the oldest first."""
    return [tuple(row) for row in await house.rows("SELECT status, level FROM shares ORDER BY created_at")]


def facts(page: Read) -> str:
    """Return the words of a page from its facts on."""
    return page.words.partition("What is shared ")[2]


# -- accepting ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lang", "title", "says", "ends_with"),
    [
        ("en", "Ada Cast would like to share something with you", "Nothing is shared before you accept", "It is shared with you"),
        ("es", "Ada Cast quiere compartir algo con usted", "No se comparte nada antes de que usted acepte", "Ya está compartido con usted"),
    ],
)  # fmt: skip
async def test_whoever_has_no_account_chooses_a_password_and_has_one(
    house: House, lang: str, title: str, says: str, ends_with: str
) -> None:
    link = await share_link(house, name={"first": "Zed", "last": "Stone"})
    async with Visitor(house) as zed:
        page = await zed.follows(link, lang=lang)
        assert (page.status, page.language) == (200, lang)
        must_be_a_page(page, lang)
        for text in (title, says, "Prescription", "Northside Family Practice", MAY[lang][4], ZED):
            assert text in page.words
        form = page.form("do")
        assert (form.fields["first_name"], form.fields["last_name"]) == ("Zed", "Stone")
        assert "password" not in form.names
        page = await zed.sends(form, new_password=SECRET, last_name="Stein")
        assert (page.status, page.language) == (200, lang)
        must_be_a_page(page, lang)
        assert ends_with in page.words
        assert "Prescription" in page.words
    (row,) = await house.rows(
        "SELECT first_name, last_name, language, verified_at IS NOT NULL FROM accounts WHERE email = $1", ZED
    )
    assert tuple(row) == ("Zed", "Stein", lang, True)
    assert await standing(house) == [("active", 4)]
    (record,) = await house.rows("SELECT id FROM records")
    assert await access(await signs_in(house, ZED), str(record["id"])) == 4
    await house.must_be_sound()


async def test_whoever_has_an_account_accepts_with_its_password(house: House) -> None:
    link = await share_link(house, PAT)
    async with Visitor(house) as pat:
        page = await pat.follows(link)
        assert "new_password" not in page.form("do").names
        assert "Choose a password" not in page.words
        page = await pat.sends(page.form("do"), password=PASSWORD)
        assert "It is shared with you" in page.words
    assert await standing(house) == [("active", 4)]
    (record,) = await house.rows("SELECT id FROM records")
    assert await access(house.pat, str(record["id"])) == 4
    await house.must_be_sound()


@pytest.mark.parametrize(
    ("lang", "says"),
    [
        ("en", "This is not the password of this account"),
        ("es", "Esta no es la contraseña de la cuenta"),
    ],
)
async def test_a_wrong_password_is_said_at_its_field_and_changes_nothing(
    house: House, lang: str, says: str
) -> None:
    link = await share_link(house, PAT)
    before = await deeds(house)
    async with Visitor(house) as pat:
        page = await pat.follows(link, lang=lang)
        wrong = await pat.sends(page.form("do"), password="not this one at all")
        assert wrong.status == 403
        must_be_a_page(wrong, lang)
        assert says in wrong.words
        (field,) = [given for _, given in wrong.tags if given.get("id") == "password"]
        assert (field["aria-invalid"], field["aria-describedby"]) == ("true", "password-wrong password-hint")
        assert "value" not in field
        assert await deeds(house) == before
        assert (await pat.sends(wrong.form("do"), password=PASSWORD)).status == 200


async def test_a_password_that_is_refused_is_said_and_what_was_typed_is_kept(house: House) -> None:
    link = await share_link(house)
    before = await deeds(house)
    async with Visitor(house) as zed:
        page = await zed.follows(link)
        for typed, says in (("short", "10 to 256 characters"), ("password123", "Many people use this")):
            page = await zed.sends(page.form("do"), new_password=typed, first_name="Zedekiah")
            assert page.status == 400
            assert says in page.words
            assert typed not in page.html
            assert page.form("do").fields["first_name"] == "Zedekiah"
        page = await zed.sends(page.form("do"), new_password=SECRET, first_name="Zed\u202e")
        assert (page.status, "at most 200 characters" in page.words) == (400, True)
        assert await deeds(house) == before


async def test_who_registered_anothers_address_has_no_part_in_it(house: House) -> None:
    """An account nobody confirmed is taken over by whoever holds the mailbox (ruling 22)."""
    await registers(house, ZED, SECRET)
    await house.mails()
    link = await share_link(house)
    async with Visitor(house) as zed:
        page = await zed.follows(link)
        assert "You have no Hospitium account with this address yet" in page.words
        page = await zed.sends(page.form("do"), new_password=OTHER_SECRET)
        assert page.status == 200
    refused = await house.stranger.post("/v1/sessions", {"email": ZED, "password": SECRET})
    assert refused.status_code == 401
    (record,) = await house.rows("SELECT id FROM records")
    assert await access(await signs_in(house, ZED, OTHER_SECRET), str(record["id"])) == 4


async def test_a_disabled_account_is_told_so(house: House) -> None:
    link = await share_link(house, PAT)
    await house.operate(lambda ctx: accounts.disable(ctx, PAT))
    async with Visitor(house) as pat:
        form = (await pat.follows(link)).form("do")
        password = "password" if "password" in form.names else "new_password"
        page = await pat.sends(form, **{password: PASSWORD})
        assert (page.status, "This account is disabled" in page.words) == (403, True)
    assert await standing(house) == [("pending", 4)]


# -- declining ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("lang", "says"), [("en", "You have declined"), ("es", "Lo ha rechazado")])
async def test_the_link_alone_declines_and_makes_no_account(house: House, lang: str, says: str) -> None:
    link = await share_link(house)
    async with Visitor(house) as zed:
        page = await zed.follows(link, lang=lang)
        form = page.form("decline")
        assert form.names == {"form", "step", "link"}
        page = await zed.sends(form)
        assert (page.status, page.language) == (200, lang)
        must_be_a_page(page, lang)
        assert says in page.words
        again = await zed.sends(form)
        assert again.status == 404
    assert await standing(house) == [("declined", 4)]
    assert await house.rows("SELECT 1 FROM accounts WHERE email = $1", ZED) == []
    assert (await house.trail(house.accounts["ada"]))[-1] == "share.declined"
    await house.must_be_sound()


async def test_accepting_and_declining_at_once_is_one_of_them(house: House) -> None:
    link = await share_link(house, PAT)
    async with Visitor(house) as pat:
        page = await pat.follows(link)
        accept, decline = page.form("do"), page.form("decline")
        pages = await asyncio.gather(*(
            pat.sends(form, **fields)
            for form, fields in ((accept, {"password": PASSWORD}), (decline, {})) * 3
        ))  # fmt: skip
    assert sorted(page.status for page in pages) == [200] + [404] * 5
    ((status, _),) = await standing(house)
    assert status in ("active", "declined")
    await house.must_be_sound()


# -- what is shown is what is accepted (threat A-10) -------------------------------------------------------------------


@pytest.mark.parametrize("lang", ["en", "es"])
async def test_it_says_how_much_one_may(house: House, lang: str) -> None:
    for level in GRANTABLE:
        link = await share_link(house, PAT, access=int(level))
        async with Visitor(house) as pat:
            page = await pat.follows(link, lang=lang)
            label = {"en": "You may", "es": "Usted podrá"}[lang]
            after = {"en": "Sent to", "es": "Enviado a"}[lang]
            assert f" {label} {MAY[lang][level]} {after} " in page.words


async def test_it_says_since_when_and_until_when(house: House) -> None:
    link = await share_link(house, PAT, startsAt="2026-03-05T09:00:00Z", endsAt="2026-06-05T09:30:00Z")
    async with Visitor(house) as pat:
        page = await pat.follows(link)
        assert "Shared from March 5, 2026, 09:00 UTC Shared until June 5, 2026, 09:30 UTC" in page.words
        page = await pat.sends(page.form("do"), password=PASSWORD)
        assert page.status == 200
    plain = await share_link(house, PAT)
    async with Visitor(house) as pat:
        assert "Shared until" not in (await pat.follows(plain)).words


async def test_an_account_that_is_shared_is_called_so(house: House) -> None:
    await offers(house.ben, account_of(house, "ben"), {"email": PAT, "access": 4}, "accounts")
    link = (await mail_to(house, PAT)).link
    async with Visitor(house) as pat:
        page = await pat.follows(link)
        assert facts(page).startswith("their own account Shared by Ben Cast")
        assert "su propia cuenta" in (await pat.follows(link, lang="es")).words
        page = await pat.sends(page.form("do"), password=PASSWORD)
        assert "Ben Cast shares with you: their own account ." in page.words
    assert done(await house.pat.get(f"{AT}/accounts/{account_of(house, 'ben')}"))["access"] == 4


async def test_the_owner_of_a_team_is_told_that_it_is_for_the_team(house: House) -> None:
    team = await team_of(house, "mia", name="Cardiology <b>")
    await defines(house)
    record = await makes(house.ada)
    await offers(house.ada, record, {"_id": team, "object": "team", "access": 4})
    link = (await mail_to(house, "ben@northside.example")).link
    async with Visitor(house) as ben:
        page = await ben.follows(link)
        assert "With your team Cardiology <b> Its members may read it" in page.words
        page = await ben.sends(page.form("do"), password=PASSWORD)
        must_be_a_page(page, "en")
        assert "It is shared with your team" in page.words
        assert "Ada Cast shares with Cardiology <b> : Prescription" in page.words
    assert [await access(one, record) for one in (house.ben, house.mia, house.pat)] == [4, 4, 0]


async def test_another_link_opened_meanwhile_does_not_change_what_a_button_does(house: House) -> None:
    first = await share_link(house, PAT, access=2)
    second = await share_link(house, PAT, access=6)
    async with Visitor(house) as pat:
        shown = await pat.follows(first)
        await pat.follows(second)
        await pat.sends(shown.form("do"), password=PASSWORD)
        assert await standing(house) == [("active", 2), ("pending", 6)]
        declining = await pat.follows(second)
        await pat.follows(first)
        await pat.sends(declining.form("decline"))
    assert await standing(house) == [("active", 2), ("declined", 6)]


async def test_a_link_sent_to_somebody_else_is_accepted_for_him_or_not_at_all(house: House) -> None:
    """Whoever has a stranger follow the link of his own mailbox gets that stranger to accept nothing for himself."""
    await living(house, EVE, SECRET)
    link = await share_link(house, PAT)
    before = await deeds(house)
    async with Visitor(house) as eve:
        page = await eve.follows(link)
        assert PAT in page.words
        page = await eve.sends(page.form("do"), password=SECRET)
        assert page.status == 403
    assert await deeds(house) == before


async def test_what_was_changed_while_it_was_looked_at_is_looked_at_again(house: House) -> None:
    link = await share_link(house, PAT)
    (record,) = await house.rows("SELECT id FROM records")
    (made,) = await on_it(house.ada, str(record["id"]))
    async with Visitor(house) as pat:
        page = await pat.follows(link)
        done(await writes(house.ada, "PATCH", f"/connections/{made['_id']}", {"access": 6}))
        before = await deeds(house)
        again = await pat.sends(page.form("do"), password=PASSWORD)
        assert again.status == 409
        must_be_a_page(again, "en")
        assert "What is offered was changed while this page was open" in again.words
        assert MAY["en"][6] in again.words
        assert await deeds(house) == before
        assert (await pat.sends(again.form("do"), password=PASSWORD)).status == 200
    assert await standing(house) == [("active", 6)]


@pytest.mark.parametrize("version", ["x", "-1", "1.0", "9" * 10, "²"])
async def test_a_version_that_is_none_is_refused(house: House, version: str) -> None:
    link = await share_link(house, PAT)
    async with Visitor(house) as pat:
        form = (await pat.follows(link)).form("do")
        assert (await pat.sends(form, password=PASSWORD, version=version)).status == 400
    assert await standing(house) == [("pending", 4)]


# -- dead --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lang", "says"),
    [
        ("en", "If you have accepted or declined already, all is well"),
        ("es", "Si ya aceptó o rechazó, todo está bien"),
    ],
)
async def test_a_link_that_is_over_is_dead_however_it_ended(house: House, lang: str, says: str) -> None:
    links = {
        how: await share_link(house, PAT)
        for how in ("accepted", "declined", "withdrawn", "archived", "expired")
    }
    made = {
        row["record_id"]: row["id"]
        for row in await house.rows("SELECT id, record_id FROM shares ORDER BY created_at")
    }
    records = list(made)
    async with Visitor(house) as pat:
        await pat.sends((await pat.follows(links["accepted"])).form("do"), password=PASSWORD)
        await pat.sends((await pat.follows(links["declined"])).form("decline"))
        done(await ends(house.ada, str(made[records[2]])))
        done(await writes(house.ada, "PATCH", f"/c_prescriptions/{records[3]}", {"isArchived": True}))
        unknown = await pat.follows(f"{house.base_url}/console/share#{'0' * 32}", lang=lang)
        pages = [await pat.follows(links[how], lang=lang) for how in links if how != "expired"]
        house.clock.advance(days=7)
        pages.append(await pat.follows(links["expired"], lang=lang))
        assert {(page.status, page.words) for page in pages} == {(404, unknown.words)}
        must_be_a_page(unknown, lang)
        assert says in unknown.words
    assert [status for status, _ in await standing(house)] == [
        "active",
        "declined",
        "withdrawn",
        "withdrawn",
        "pending",
    ]


async def test_nothing_of_the_record_itself_is_on_the_page(house: House) -> None:
    await defines(house)
    record = await makes(house.ada, body={"drug": "a secret drug"})
    await offers(house.ada, record, {"email": PAT, "access": 5})
    link = (await mail_to(house, PAT)).link
    async with Visitor(house) as pat:
        shown = await pat.follows(link)
        finished = await pat.sends(shown.form("do"), password=PASSWORD)
    for page in (shown, finished):
        assert "secret drug" not in page.html
        assert record not in page.html
