"""The pages that mails lead to: what is shown, what is done, and what is said when it is done or dead."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from cast import PASSWORD, House
from doors.console.visitor import Read, Visitor
from doors.medable import sharing
from doors.native.living import (
    EVE,
    OTHER_SECRET,
    SECRET,
    account_id,
    done,
    living,
    mail_to,
    registers,
    signs_in,
)
from hospitium.doors.console.languages import role
from hospitium.engine.accounts.record import Language
from hospitium.engine.actor import Role
from hospitium.outside.letters import writing

ADA = "ada@northside.example"
FAY = "fay@mail.example"
NEW = "fay@elsewhere.example"
ZED = "zed@mail.example"


async def confirm_link(house: House) -> str:
    await registers(house)
    return (await mail_to(house)).link


async def password_link(house: House, email: str = ADA) -> str:
    done(await house.stranger.post("/v1/accounts/password-reset", {"email": email}), 202)
    return (await house.mails(to=email))[-1].link


async def email_link(house: House) -> str:
    fay = await living(house, FAY)
    done(await fay.post("/v1/accounts/own/email", {"email": NEW, "password": SECRET}), 202)
    return (await mail_to(house, NEW)).link


async def join_link(house: House, email: str = ZED, role: str = "radiologist") -> str:
    done(await house.ada.post("/v1/offers", {"email": email, "role": role}), 201)
    return (await mail_to(house, email)).link


async def share_link(house: House, email: str = ZED, *, label: str = "Prescription", **more: Any) -> str:
    """Have ada share a prescription with an address; return the link she doesn't get to see."""
    if not await house.rows("SELECT 1 FROM object_types"):
        await sharing.defines(house, shareChain=[6, 5, 4, 2])
    await house.rows("UPDATE object_types SET label = $1 RETURNING id", label)
    await sharing.offers(house.ada, await sharing.makes(house.ada), {"email": email, "access": 4, **more})
    return (await mail_to(house, email)).link


BROKEN = (
    "{link}",
    "  {link}\n",
    "{token}",
    "#{token}",
    "{start}#{first} {second}",
    "{start}#{first}\r\n{second}",
)
LINKS: dict[str, Callable[[House], Awaitable[str]]] = {
    "join": join_link,  # these first: a new password would end the session that invites and shares
    "share": share_link,
    "confirm": confirm_link,
    "email": email_link,
    "password": password_link,
}


async def deeds(house: House) -> list[str]:
    """Return every row there is, but those that count tries."""
    tables = await house.rows(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace "
        "AND relname <> 'throttles' ORDER BY relname"
    )
    return [
        row["whole"]
        for (name,) in tables
        for row in await house.rows(f"SELECT '{name}' || t::text AS whole FROM \"{name}\" t ORDER BY 1")
    ]


# -- the way through, without script -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lang", "title", "says"),
    [
        ("en", "Confirm your e\u2011mail address", "March 8, 2026, 12:00 UTC"),
        ("es", "Confirme su dirección de correo", "8 de marzo de 2026, 12:00 UTC"),
    ],
)
async def test_confirm_shows_the_address_and_confirms_it_with_the_password(
    house: House, lang: str, title: str, says: str
) -> None:
    link = await confirm_link(house)
    async with Visitor(house) as eve:
        page = await eve.follows(link, lang=lang)
        assert (page.status, page.language) == (200, lang)
        assert title in page.title
        assert EVE in page.words
        assert says in page.words
        page = await eve.sends(page.form("do"), password=SECRET)
        assert (page.status, page.language) == (200, lang)
        assert EVE in page.words
    (row,) = await house.rows("SELECT verified_at FROM accounts WHERE email = $1", EVE)
    assert row["verified_at"] is not None
    await house.must_be_sound()


async def test_whoever_did_not_register_claims_the_address_with_a_password_of_his_own(house: House) -> None:
    link = await confirm_link(house)
    async with Visitor(house) as eve:
        page = await eve.follows(link)
        assert "I don't know this password" in page.words
        page = await eve.sends(page.form("claim"), new_password=OTHER_SECRET)
        assert (page.status, "The account is yours" in page.words) == (200, True)
        again = await eve.follows(link)
        assert "Your address is confirmed" in again.words
    await signs_in(house, EVE, OTHER_SECRET)
    assert (await house.trail(await account_id(house))).count("account.claimed") == 1


async def test_password_sets_a_new_one_and_says_that_one_is_signed_out(house: House) -> None:
    link = await password_link(house)
    async with Visitor(house) as ada:
        page = await ada.follows(link)
        assert ADA in page.words
        page = await ada.sends(page.form("do"), new_password=OTHER_SECRET)
        assert "Your new password is set" in page.words
    await signs_in(house, ADA, OTHER_SECRET)


async def test_email_shows_the_new_address_and_no_more_of_the_old_than_its_holder_needs(house: House) -> None:
    link = await email_link(house)
    async with Visitor(house) as eve:
        page = await eve.follows(link)
        assert NEW in page.words
        assert "f…@mail.example" in page.words
        assert FAY not in page.html  # the mail may have gone to a stranger
        page = await eve.sends(page.form("do"), password=SECRET)
        assert "Your new address is in use" in page.words
        assert NEW in page.words
    await signs_in(house, NEW)


@pytest.mark.parametrize("lang", ["en", "es"])
async def test_join_shows_who_invites_as_what_and_makes_the_account(house: House, lang: str) -> None:
    link = await join_link(house)
    async with Visitor(house) as zed:
        page = await zed.follows(link, lang=lang)
        assert "Northside Family Practice" in page.words
        assert {"en": "radiologist", "es": "radiología"}[lang] in page.words
        assert ZED in page.words
        page = await zed.sends(page.form("do"), new_password=SECRET, first_name="Zed", last_name="")
        assert page.status == 200
        assert "Northside Family Practice" in page.words
    (row,) = await house.rows("SELECT first_name, last_name, language FROM accounts WHERE email = $1", ZED)
    assert dict(row) == {"first_name": "Zed", "last_name": None, "language": lang}
    await signs_in(house, ZED)
    await house.must_be_sound()


async def test_join_asks_for_the_password_of_the_account_there_is(house: House) -> None:
    link = await join_link(house, "rui@lakeside.example", "member")
    async with Visitor(house) as rui:
        page = await rui.follows(link)
        assert "new_password" not in page.form("do").names
        wrong = await rui.sends(page.form("do"), password="not this one at all")
        assert wrong.status == 403
        assert "This is not the password of this account" in wrong.words
        page = await rui.sends(wrong.form("do"), password=PASSWORD)
        assert "You have joined" in page.words


async def test_who_is_a_member_already_is_told_so(house: House) -> None:
    link = await join_link(house)
    await house.add_person("zed", None)
    (row,) = await house.rows("SELECT id FROM accounts WHERE email = $1", ZED)

    async def became_one(ctx: object) -> None:
        from hospitium.engine.memberships import actions  # noqa: PLC0415

        await actions.add(ctx, row["id"], house.northside, Role.MEMBER)  # type: ignore[arg-type]

    await house.operate(became_one)
    async with Visitor(house) as zed:
        page = await zed.follows(link)
        page = await zed.sends(page.form("do"), password=PASSWORD)
        assert (page.status, "You belong to this organization already" in page.words) == (200, True)


# -- nothing happens by looking ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", LINKS)
async def test_opening_and_looking_change_nothing(house: House, kind: str, rounds: int) -> None:
    link = await LINKS[kind](house)
    path = f"/console/{kind}"
    before = await deeds(house)
    async with Visitor(house) as visitor:
        for _ in range(min(max(rounds // 4, 5), 100)):
            page = await visitor.opens(path)
            assert page.status == 200
            # What scanners of mail do with a link, whatever they think it is.
            assert (await visitor.http.head(path)).status_code in (200, 405)
            assert (await visitor.opens(f"{path}?token={link.partition('#')[2]}")).status == 200
        for _ in range(3):
            page = await visitor.sends(page.form("look"), link=link)
            assert page.status == 200
            page = await visitor.opens(path)
    assert await deeds(house) == before
    # The control: what is done is seen to be done.
    async with Visitor(house) as visitor:
        shown = (await visitor.follows(link)).form("do")
        await visitor.sends(shown, **dict.fromkeys(shown.names & {"password", "new_password"}, SECRET))
    assert await deeds(house) != before


async def test_the_page_is_the_same_whoever_opens_it(house: House) -> None:
    async with Visitor(house) as one, Visitor(house) as other:
        pages = [await visitor.opens("/console/confirm") for visitor in (one, other)]
        assert pages[0].html.replace(str(one.cookie), "") == pages[1].html.replace(str(other.cookie), "")


async def test_what_was_shown_is_what_is_done(house: House) -> None:
    """The token travels with the page: another link opened meanwhile in the same browser doesn't change what a button does."""
    northside = await join_link(house)
    async with Visitor(house) as zed:
        shown = await zed.follows(northside)
        done(await house.rui.post("/v1/offers", {"email": ZED, "role": "admin"}), 201)
        await zed.follows((await mail_to(house, ZED)).link)
        page = await zed.sends(shown.form("do"), new_password=SECRET)
        assert "Northside Family Practice" in page.words
    rows = await house.rows("SELECT organization_id, role FROM memberships m JOIN accounts a ON a.id = m.account_id WHERE a.email = $1", ZED)  # fmt: skip
    assert [tuple(row) for row in rows] == [(house.northside, "radiologist")]


# -- again -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "says"), [("confirm", "Your address is confirmed"), ("email", "Your new address is in use")]
)
async def test_confirm_and_email_answer_the_same_again(house: House, kind: str, says: str) -> None:
    link = await LINKS[kind](house)
    async with Visitor(house) as eve:
        form = (await eve.follows(link)).form("do")
        first, second = [await eve.sends(form, password=SECRET) for _ in range(2)]
        assert says in first.words
        assert (second.status, second.html) == (first.status, first.html)
        looked = await eve.follows(link)
        assert (looked.status, says in looked.words) == (200, True)


async def test_a_used_password_link_says_so_and_how_to_go_on(house: House) -> None:
    link = await password_link(house)
    async with Visitor(house) as ada:
        form = (await ada.follows(link)).form("do")
        await ada.sends(form, new_password=OTHER_SECRET)
        for again in (await ada.sends(form, new_password=OTHER_SECRET), await ada.follows(link)):
            assert again.status == 200
            assert "This link has been used" in again.words
            assert any(href.startswith("/console/new-link") for href in again.links)


async def test_a_used_invitation_says_that_all_is_well(house: House) -> None:
    link = await join_link(house)
    async with Visitor(house) as zed:
        form = (await zed.follows(link)).form("do")
        await zed.sends(form, new_password=SECRET)
        again = await zed.sends(form, new_password=SECRET)
        assert again.status == 404
        assert "If you have accepted the invitation already, all is well" in again.words


@pytest.mark.parametrize("kind", LINKS)
async def test_pressed_six_times_at_once_it_is_done_once(house: House, kind: str) -> None:
    link = await LINKS[kind](house)
    async with Visitor(house) as visitor:
        form = (await visitor.follows(link)).form("do")
        secrets = dict.fromkeys(form.names & {"password", "new_password"}, SECRET)
        pages = await asyncio.gather(*(visitor.sends(form, **secrets) for _ in range(6)))
        assert {page.status for page in pages} <= {200, 404}
        assert any(page.status == 200 for page in pages)
    ended = {
        "confirm": "account.confirmed",
        "email": "account.email_changed",
        "password": "account.password_changed",
        "join": "offer.accepted",
        "share": "share.accepted",
    }
    rows = await house.rows("SELECT count(*) FROM events WHERE kind = $1", ended[kind])
    assert rows[0][0] == 1
    await house.must_be_sound()


# -- dead --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", LINKS)
async def test_dead_links_of_every_kind_are_refused_alike(house: House, kind: str) -> None:
    link = await LINKS[kind](house)
    start, _, token = link.partition("#")
    async with Visitor(house) as visitor:
        unknown = await visitor.follows(f"{start}#{'0' * 32}")
        altered = await visitor.follows(f"{start}#{token[:-1]}{'0' if token[-1] != '0' else '1'}")
        house.clock.advance(days=15)
        expired = await visitor.follows(link)
        pages = [unknown, altered, expired]
        assert {page.status for page in pages} == {404}
        assert len({_bare(page) for page in pages}) == 1
        assert "Nothing was changed" in unknown.words
        assert any(href.startswith("/console") for href in unknown.links)


async def test_a_replaced_and_a_withdrawn_link_are_as_dead(house: House) -> None:
    first = await password_link(house)
    await password_link(house)
    invitation = await join_link(house)
    offers = (await house.ada.get("/v1/offers")).json()["offers"]
    done(await house.ada.send("DELETE", f"/v1/offers/{offers[0]['id']}"))
    async with Visitor(house) as visitor:
        for link in (first, invitation):
            dead = await visitor.follows(link)
            unknown = await visitor.follows(f"{link.partition('#')[0]}#{'0' * 32}")
            assert (dead.status, _bare(dead)) == (404, _bare(unknown))


async def test_a_link_of_one_kind_opens_no_page_of_another(house: House) -> None:
    link = await password_link(house)
    async with Visitor(house) as visitor:
        page = await visitor.follows(link.replace("/console/password", "/console/confirm"))
        assert page.status == 404


def _bare(page: Read) -> str:
    """Return a page without what the browser sent itself."""
    import re  # noqa: PLC0415

    return re.sub(r'value="[0-9A-Za-z_-]{22,32}"', "", page.html)


async def test_dead_links_are_counted_against_the_network(house: House) -> None:
    async with Visitor(house) as visitor:
        page = await visitor.opens("/console/join")
        form = page.form("look")
        statuses = [(await visitor.sends(form, link="0" * 31 + digit)).status for digit in "0123456789" * 3]
        assert statuses[:20] == [404] * 20
        assert 429 in statuses
        slowed = await visitor.sends(form, link="0" * 32)
        assert slowed.status == 429
        assert int(slowed.headers["retry-after"]) >= 1
        assert "Please wait a moment" in slowed.words
        assert slowed.form("look").fields["link"] == "0" * 32  # nothing is lost: the form can be sent again


async def test_looking_at_a_good_link_costs_nothing(house: House) -> None:
    link = await password_link(house)
    async with Visitor(house) as visitor:
        form = (await visitor.opens("/console/password")).form("look")
        assert {(await visitor.sends(form, link=link)).status for _ in range(30)} == {200}


# -- what is typed -----------------------------------------------------------------------------------------------------


async def test_the_link_may_be_pasted_as_mail_programs_break_it(house: House) -> None:
    link = await password_link(house)
    start, _, token = link.partition("#")
    async with Visitor(house) as ada:
        page = await ada.opens("/console/password")
        for pasted in BROKEN:
            typed = pasted.format(link=link, token=token, start=start, first=token[:9], second=token[9:])
            assert (await ada.sends(page.form("look"), link=typed)).status == 200


async def test_what_is_no_link_is_said_at_the_field(house: House) -> None:
    for pasted in ("", "hello", "https://evil.example/", "0" * 31, "0" * 33, "é" * 32, "<b>" * 20):
        async with Visitor(house) as visitor:
            page = await visitor.sends((await visitor.opens("/console/join")).form("look"), link=pasted)
            assert page.status == 400
            assert "This is not a link from one of our mails" in page.words
            (field,) = [given for tag, given in page.tags if given.get("id") == "link"]
            assert field["aria-invalid"] == "true"
            assert field["aria-describedby"] == "link-wrong link-hint"
            assert any(given.get("role") == "alert" for _, given in page.tags)


@pytest.mark.parametrize(
    ("typed", "lang", "says"),
    [
        ("short", "en", "10 to 256 characters"),
        ("x" * 257, "en", "10 to 256 characters"),
        ("password123", "en", "Many people use this password"),
        ("password123", "es", "Mucha gente usa esta contraseña"),
        ("short", "es", "de 10 a 256 caracteres"),
    ],
)
async def test_a_password_that_is_refused_is_said_at_the_field_and_the_link_stays_good(
    house: House, typed: str, lang: str, says: str
) -> None:
    for make, step in ((join_link, "do"), (confirm_link, "claim"), (password_link, "do")):
        link = await make(house)
        async with Visitor(house) as visitor:
            page = await visitor.follows(link, lang=lang)
            wrong = await visitor.sends(page.form(step), new_password=typed)
            assert (wrong.status, wrong.language) == (400, lang)
            assert says in wrong.words
            assert typed not in wrong.html
            assert "new_password" in wrong.form(step).names
            assert (await visitor.sends(wrong.form(step), new_password=SECRET)).status == 200


async def test_a_wrong_password_confirms_nothing_and_may_be_tried_again(house: House) -> None:
    link = await confirm_link(house)
    before = await deeds(house)
    async with Visitor(house) as eve:
        page = await eve.sends((await eve.follows(link)).form("do"), password="not this one")
        assert page.status == 403
        assert "This is not the password of this account" in page.words
        assert await deeds(house) == before
        assert (await eve.sends(page.form("do"), password=SECRET)).status == 200


async def test_a_name_that_is_refused_is_said_and_the_other_one_kept(house: House) -> None:
    link = await join_link(house)
    async with Visitor(house) as zed:
        page = await zed.follows(link)
        wrong = await zed.sends(
            page.form("do"), new_password=SECRET, first_name="Zed\u202e", last_name="Zett"
        )
        assert (wrong.status, "at most 200 characters" in wrong.words) == (400, True)
        assert wrong.form("do").fields["last_name"] == "Zett"


async def test_a_disabled_account_is_told_so_to_who_holds_the_link(house: House) -> None:
    from hospitium.engine.accounts import actions  # noqa: PLC0415

    link = await password_link(house)
    await house.operate(lambda ctx: actions.disable(ctx, ADA))
    async with Visitor(house) as ada:
        page = await ada.follows(link)
        assert (page.status, "This account is disabled" in page.words) == (403, True)


# -- another language --------------------------------------------------------------------------------------------------


async def test_the_language_can_be_changed_while_looking_and_nothing_is_lost(house: House) -> None:
    for make in LINKS.values():
        link = await make(house)
        async with Visitor(house) as visitor:
            page = await visitor.follows(link)
            (switch,) = [
                form for form in page.forms if "lang=es" in form.action and form.fields["step"] == "look"
            ]
            spanish = await visitor.sends(switch)
            assert (spanish.status, spanish.language) == (200, "es")
            fields = dict.fromkeys(spanish.form("do").names & {"password", "new_password"}, SECRET)
            finished = await visitor.sends(spanish.form("do"), **fields)
            assert (finished.status, finished.language) == (200, "es")


def test_pages_and_mails_call_a_role_the_same() -> None:
    for language in Language:
        assert {one: role(one, language) for one in Role} == writing._ROLES[language]
