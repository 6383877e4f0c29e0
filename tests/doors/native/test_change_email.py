"""Another address for an account: proved there, told to the old one."""

from __future__ import annotations

from cast import House
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
from doors.native.problems import problem

NEW = "eve@elsewhere.example"


async def test_the_new_address_is_proved_and_the_old_one_told_twice(house: House) -> None:
    eve = await living(house)
    done(await eve.post("/v1/accounts/own/email", {"email": NEW, "password": SECRET}), 202)
    mails = {mail.to: mail for mail in await house.mails()}
    assert mails.keys() == {EVE, NEW}
    assert not mails[EVE].has_link
    assert done(await eve.get("/v1/accounts/own"))["email"] == EVE
    body = {"token": mails[NEW].token, "password": SECRET}
    assert done(await house.stranger.post("/v1/accounts/email", body))["email"] == NEW
    assert done(await house.stranger.post("/v1/accounts/email", body))["email"] == NEW  # the same again
    told = await mail_to(house, EVE)
    assert not told.has_link
    await signs_in(house, NEW)
    problem(
        await house.stranger.post("/v1/sessions", {"email": EVE, "password": SECRET}),
        401,
        "wrong-credentials",
    )
    trail = await house.trail(await account_id(house, NEW))
    assert trail.count("account.email_changed") == 1


async def test_it_takes_the_password_to_ask_and_the_password_or_a_session_to_prove(house: House) -> None:
    eve = await living(house)
    body = {"email": NEW, "password": OTHER_SECRET}
    problem(await eve.post("/v1/accounts/own/email", body), 401, "wrong-credentials")
    done(await eve.post("/v1/accounts/own/email", body | {"password": SECRET}), 202)
    token = (await mail_to(house, NEW)).token
    # Whoever reads the new mailbox, which may be a stranger's by a slip of the keyboard, gets nowhere with the link alone.
    problem(await house.stranger.post("/v1/accounts/email", {"token": token}), 400, "invalid")
    problem(
        await house.stranger.post("/v1/accounts/email", {"token": token, "password": OTHER_SECRET}),
        401,
        "wrong-credentials",
    )
    problem(await house.ada.post("/v1/accounts/email", {"token": token}), 401, "not-signed-in")
    assert done(await eve.post("/v1/accounts/email", {"token": token}))["email"] == NEW


async def test_an_address_that_is_anothers_is_answered_the_same_and_its_holder_told(house: House) -> None:
    eve = await living(house)
    answers = [
        await eve.post("/v1/accounts/own/email", {"email": email, "password": SECRET})
        for email in (NEW, "ada@northside.example")
    ]
    assert answers[0].status_code == 202
    assert answers[0].content == answers[1].content
    mails = {mail.to: mail for mail in await house.mails()}
    assert "ada@northside.example" in mails
    assert mails["ada@northside.example"].page.endswith("/console/password")
    assert done(await eve.get("/v1/accounts/own"))["email"] == EVE


async def test_whether_an_address_is_known_shows_in_none_of_ones_own_links(house: House) -> None:
    eve = await living(house)
    for target in ("ada@northside.example", "nobody@mail.example"):
        done(await eve.post("/v1/accounts/own/email", {"email": NEW, "password": SECRET}), 202)
        mine = (await mail_to(house, NEW)).token
        done(await eve.post("/v1/accounts/own/email", {"email": target, "password": SECRET}), 202)
        await house.mails()
        problem(await eve.post("/v1/accounts/email", {"token": mine}), 404, "dead-link")


async def test_an_address_registered_meanwhile_is_not_taken(house: House) -> None:
    eve = await living(house)
    done(await eve.post("/v1/accounts/own/email", {"email": NEW, "password": SECRET}), 202)
    token = (await mail_to(house, NEW)).token
    await registers(house, NEW, OTHER_SECRET)
    problem(await eve.post("/v1/accounts/email", {"token": token}), 404, "dead-link")
    assert done(await eve.get("/v1/accounts/own"))["email"] == EVE


async def test_ones_own_address_in_another_spelling_is_refused(house: House) -> None:
    eve = await living(house)
    for same in (EVE, "EVE@MAIL.EXAMPLE"):
        refused = await eve.post("/v1/accounts/own/email", {"email": same, "password": SECRET})
        assert problem(refused, 400, "invalid")["errors"][0]["field"] == "email"
