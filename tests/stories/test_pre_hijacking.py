"""The five ways of being in an account before its holder comes: he finds nothing of whoever was there.

Mallory knows Eve's address and not her mailbox. Whatever he does first, after Eve has proved her mailbox no session, no
password, no link and no change of address of his is any good.
"""

from __future__ import annotations

from cast import Caller, House
from doors.native.living import EVE, OTHER_SECRET, SECRET, account_id, done, mail_to, registers, signs_in
from doors.native.problems import problem

MALLORYS = OTHER_SECRET


async def is_out(house: House, mallory: Caller) -> None:
    problem(await mallory.get("/v1/accounts/own"), 401, "session-ended")
    problem(
        await house.stranger.post("/v1/sessions", {"email": EVE, "password": MALLORYS}),
        401,
        "wrong-credentials",
    )


async def test_classic_both_register_and_the_second_is_not_merged_with_the_first(house: House) -> None:
    await registers(house, EVE, MALLORYS)
    await house.mails()
    mallory = await signs_in(house, EVE, MALLORYS)
    before = await account_id(house)
    await registers(house, EVE, SECRET)
    await is_out(house, mallory)
    assert await account_id(house) != before
    token = (await mail_to(house)).token
    done(await house.stranger.post("/v1/accounts/confirm", {"token": token, "password": SECRET}))
    await signs_in(house)


async def test_classic_eve_registers_first_and_mallory_over_her(house: House) -> None:
    await registers(house, EVE, SECRET)
    hers = (await mail_to(house)).token
    await registers(house, EVE, MALLORYS)
    his = (await mail_to(house)).token  # which Eve reads, too
    problem(
        await house.stranger.post("/v1/accounts/confirm", {"token": hers, "password": SECRET}),
        404,
        "dead-link",
    )
    # Eve follows the link in her mailbox with her password: it isn't that of this account, and nothing is confirmed.
    problem(
        await house.stranger.post("/v1/accounts/confirm", {"token": his, "password": SECRET}),
        401,
        "wrong-credentials",
    )
    mallory = await signs_in(house, EVE, MALLORYS)
    done(await house.stranger.post("/v1/accounts/claim", {"token": his, "password": SECRET}))
    await is_out(house, mallory)


async def test_unexpired_session_a_session_begun_before_ends_when_the_mailbox_is_claimed(
    house: House,
) -> None:
    await registers(house, EVE, MALLORYS)
    tokens = done(await house.stranger.post("/v1/sessions", {"email": EVE, "password": MALLORYS}))
    mallory = Caller(house.http, tokens["accessToken"])
    await house.mails()
    done(await house.stranger.post("/v1/accounts/password-reset", {"email": EVE}), 202)
    token = (await mail_to(house)).token
    done(await house.stranger.post("/v1/accounts/password", {"token": token, "password": SECRET}))
    await is_out(house, mallory)
    problem(
        await house.stranger.post("/v1/sessions/renewal", {"refreshToken": tokens["refreshToken"]}),
        401,
        "session-ended",
    )


async def test_trojan_identifier_nothing_can_be_attached_before_the_mailbox_is_proved(house: House) -> None:
    """What Mallory could attach is a mailbox of his own, by a change of address: an unconfirmed account gets none."""
    await registers(house, EVE, MALLORYS)
    confirm = (await mail_to(house)).token
    mallory = await signs_in(house, EVE, MALLORYS)
    body = {"email": "mallory@mail.example", "password": MALLORYS}
    problem(await mallory.post("/v1/accounts/own/email", body), 403, "not-confirmed")
    assert await house.mails() == []
    done(await house.stranger.post("/v1/accounts/claim", {"token": confirm, "password": SECRET}))
    await is_out(house, mallory)


async def test_unexpired_email_change_a_link_asked_for_before_eve_came_is_dead(house: House) -> None:
    """Mallory asks to change his own account's address to Eve's, and keeps the link unused until she has registered."""
    await registers(house, "mallory@mail.example", MALLORYS)
    token = (await mail_to(house, "mallory@mail.example")).token
    body = {"token": token, "password": MALLORYS}
    done(await house.stranger.post("/v1/accounts/confirm", body))
    mallory = await signs_in(house, "mallory@mail.example", MALLORYS)
    done(await mallory.post("/v1/accounts/own/email", {"email": EVE, "password": MALLORYS}), 202)
    change = (await mail_to(house)).token
    await registers(house, EVE, SECRET)
    confirm = (await mail_to(house)).token
    done(await house.stranger.post("/v1/accounts/confirm", {"token": confirm, "password": SECRET}))
    # Eve, who reads both mails, follows the wrong one; even so nothing of Mallory's comes near her account.
    problem(await mallory.post("/v1/accounts/email", {"token": change}), 404, "dead-link")
    eve = await signs_in(house)
    problem(await eve.post("/v1/accounts/email", {"token": change}), 401, "not-signed-in")
    assert done(await eve.get("/v1/accounts/own"))["email"] == EVE


async def test_non_verifying_a_reset_asked_for_by_mallory_helps_only_who_reads_the_mailbox(
    house: House,
) -> None:
    await registers(house, EVE, MALLORYS)
    confirm = (await mail_to(house)).token
    mallory = await signs_in(house, EVE, MALLORYS)
    done(await house.stranger.post("/v1/accounts/password-reset", {"email": EVE}), 202)
    reset = (await mail_to(house)).token
    done(await house.stranger.post("/v1/accounts/claim", {"token": confirm, "password": SECRET}))
    await is_out(house, mallory)
    problem(
        await house.stranger.post("/v1/accounts/password", {"token": reset, "password": MALLORYS}),
        404,
        "dead-link",
    )


async def test_an_account_the_operator_made_is_not_replaced_by_whoever_types_its_address(
    house: House,
) -> None:
    from doors.native.living import mail_to as read  # noqa: PLC0415
    from hospitium.doors.passwords import hash_now  # noqa: PLC0415
    from hospitium.engine.accounts import actions  # noqa: PLC0415
    from hospitium.engine.accounts.actions import AccountForm  # noqa: PLC0415
    from hospitium.engine.actor import Role  # noqa: PLC0415
    from hospitium.engine.memberships import actions as memberships  # noqa: PLC0415
    from hospitium.engine.secrets import Password  # noqa: PLC0415

    made = await house.operate(
        lambda ctx: actions.create(ctx, AccountForm(email=EVE), hash_now(Password(SECRET)))
    )
    await house.operate(lambda ctx: memberships.add(ctx, made.id, house.northside, Role.PHYSICIAN))
    await registers(house, EVE, MALLORYS)
    assert await account_id(house) == made.id
    assert (await read(house)).page.endswith("/console/password")
    done(await (await signs_in(house)).get("/v1/organizations/own"))
