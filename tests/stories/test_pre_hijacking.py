"""The five ways of being in an account before its holder comes: he finds nothing of whoever was there.

Mallory knows Eve's address and not her mailbox. Whatever he does first, after Eve has proved her mailbox no session, no
password, no link and no change of address of his is any good.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from cast import Caller, House
from clinic import (
    JANE,
    JIMMY,
    Clinic,
    accepts,
    body,
    makes_person,
    registers as registers_by_code,
)
from doors.bluebutton.desk import status_of, waiting
from doors.bluebutton.test_ending import token_of
from doors.native.living import EVE, OTHER_SECRET, SECRET, account_id, done, mail_to, registers, signs_in
from doors.native.problems import problem
from hospitium.doors.passwords import hash_now
from hospitium.engine.access.check import Resource, best_of
from hospitium.engine.accounts.actions import AccountForm
from hospitium.engine.context import Context
from hospitium.engine.invites import accepting
from hospitium.engine.secrets import HashedPassword, Password
from hospitium.engine.sessions.actions import PasswordVerdict

MALLORYS = OTHER_SECRET


@pytest.fixture
async def clinic(house: House) -> Clinic:
    """Northside with its FHIR server: it invites by code at the desk, and by e-mail."""
    return await Clinic.open(house)


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


# -- with an invite of one's own (threats) ---------------------------------------------------------------------


async def may_read(house: House, clinic: Clinic, account: Any, patient: str) -> bool:
    resource = Resource.patient(clinic.server_id, patient)
    return await house.operate(lambda ctx: best_of(ctx, UUID(str(account)), resource)) is not None


async def received(who: Caller) -> list[str]:
    return [one["id"] for one in body(await who.get("/OrganizationInvites/received"))]


async def mallory_registers_with_his_own_code(house: House, clinic: Clinic) -> tuple[Caller, str, str]:
    """He is a patient of the clinic, too, and registers with his own slip, under Eve's address; return him, the invite, and the link
    that came to Eve's mailbox."""
    made = body(await clinic.invites_by_code(patient=JIMMY))
    body(await registers_by_code(house.stranger, made["securityCode"], EVE, password=MALLORYS))
    confirm = (await mail_to(house)).token
    return await signs_in(house, EVE, MALLORYS), made["id"], confirm


async def eve_proves_her_mailbox(house: House, how: str, confirm: str, invite_id: str) -> None:
    """By the link that Mallory's registration sent her, by one she asks for, or by that of the clinic's mail."""
    match how:
        case "claim":
            done(await house.stranger.post("/v1/accounts/claim", {"token": confirm, "password": SECRET}))
        case "password reset":
            done(await house.stranger.post("/v1/accounts/password-reset", {"email": EVE}), 202)
            (row,) = await house.rows("SELECT count(*) FROM links WHERE purpose = 'password'")
            assert row[0] == 1
            (mail,) = [mail for mail in await house.mails(to=EVE) if mail.page.endswith("/console/password")]
            done(
                await house.stranger.post("/v1/accounts/password", {"token": mail.token, "password": SECRET})
            )
        case "the clinic's mail":
            token = await token_of(house, invite_id)
            taken = hash_now(Password(SECRET))

            async def take_up(ctx: Context) -> None:
                nobody = PasswordVerdict(None, HashedPassword(""), False)
                await accepting.take_up(ctx, token, AccountForm(email="", first_name="Eve"), taken, nobody)

            await house.operate(take_up)


async def test_what_waits_for_an_address_is_hidden_from_who_only_typed_it(
    house: House, clinic: Clinic
) -> None:
    """A-02: registered by his own hand, Mallory sees nothing of what the clinic sends to Eve."""
    await registers(house, EVE, MALLORYS)
    mallory = await signs_in(house, EVE, MALLORYS)
    made = body(await clinic.invites_by_email(EVE))["id"]
    person = await makes_person(mallory)
    assert await received(mallory) == []
    for answered in (
        await mallory.get(f"/OrganizationInvites/{made}"),
        await accepts(mallory, made, person),
        await mallory.post(f"/OrganizationInvites/{made}/decline"),
    ):
        problem(answered, 404, "not-found")
    (sent,) = body(await clinic.sees_sent())["resources"]
    assert (sent["status"], "userId" in sent) == ("bound", False)
    assert body(await mallory.get("/FhirServers/records")) == []
    await house.must_be_sound()


@pytest.mark.parametrize("how", ["claim", "password reset", "the clinic's mail"])
async def test_trojan_invite_what_mallory_got_by_his_own_invite_ends_when_eve_proves_her_mailbox(
    house: House, clinic: Clinic, how: str
) -> None:
    """A-03. What he accepted with her address is undone, his persons and their grants end, and the clinic is told."""
    mallory, his, confirm = await mallory_registers_with_his_own_code(house, clinic)
    person = await makes_person(mallory, firstName="Mallory")
    # An unconfirmed account writes to nobody, and so has no accomplice who could inherit the person.
    asked = {"email": "zoe@harbor.example", "role": "Administrator"}
    problem(await mallory.post(f"/Persons/{person}/users", asked), 403, "not-confirmed")
    grant = body(await accepts(mallory, his, person))
    assert await may_read(house, clinic, await account_id(house), JIMMY)
    hers = body(await clinic.invites_by_email(EVE))["id"]
    assert await received(mallory) == [his]
    problem(await accepts(mallory, hers, person), 404, "not-found")

    await eve_proves_her_mailbox(house, how, confirm, hers)
    await is_out(house, mallory)
    assert await status_of(house, his) == "undone"
    assert ("invite_undone", "ben@northside.example") in await waiting(house)
    trail = await house.trail(house.northside)
    assert trail.count("invite.undone") == 1
    eve = await signs_in(house)
    assert not await may_read(house, clinic, await account_id(house), JIMMY)
    assert body(await eve.get("/FhirServers/records")) == []
    assert body(await eve.get("/Persons"))["resources"] == []
    problem(await eve.get(f"/FhirServers/grants/{grant['grantId']}"), 404, "not-found")
    # Hers is there, and is hers alone.
    assert await received(eve) == [hers]
    body(await accepts(eve, hers, await makes_person(eve)))
    assert await may_read(house, clinic, await account_id(house), JANE)
    await house.must_be_sound()


async def test_what_was_bound_and_not_yet_accepted_is_undone_too_and_is_issued_again(
    house: House, clinic: Clinic
) -> None:
    mallory, his, confirm = await mallory_registers_with_his_own_code(house, clinic)
    await eve_proves_her_mailbox(house, "claim", confirm, his)
    assert await status_of(house, his) == "undone"
    eve = await signs_in(house)
    assert await received(eve) == []
    problem(await eve.get(f"/OrganizationInvites/{his}"), 404, "not-found")
    again = {"securityQuestion": "Where were you born?", "securityAnswer": "Dayton"}
    new = body(await house.ben.post(f"/OrganizationInvites/{his}/reissue", again))
    assert new["replacesId"] == his
    await is_out(house, mallory)
    await house.must_be_sound()


@pytest.mark.parametrize("road", ["with her own code", "by herself"])
async def test_classic_eve_registers_over_him_and_nothing_of_his_is_hers(
    house: House, clinic: Clinic, road: str
) -> None:
    """An unconfirmed account is replaced, whoever comes second: its sessions end, its invite is undone and told to the clinic."""
    mallory, his, confirm = await mallory_registers_with_his_own_code(house, clinic)
    body(await accepts(mallory, his, await makes_person(mallory)))
    before = await account_id(house)
    own = body(await clinic.invites_by_code())
    if road == "by herself":
        await registers(house, EVE, SECRET)
    else:
        registered = body(await registers_by_code(house.stranger, own["securityCode"], EVE, password=SECRET))
        assert registered["userExists"] is False
    await is_out(house, mallory)
    assert await account_id(house) != before
    assert await status_of(house, his) == "undone"
    assert ("invite_undone", "ben@northside.example") in await waiting(house)
    assert not await may_read(house, clinic, before, JIMMY)
    problem(
        await house.stranger.post("/v1/accounts/claim", {"token": confirm, "password": MALLORYS}),
        404,
        "dead-link",
    )
    eve = await signs_in(house)
    assert await received(eve) == ([own["id"]] if road == "with her own code" else [])
    assert body(await eve.get("/FhirServers/records")) == []
    await house.must_be_sound()


async def test_confirmed_with_link_and_password_an_account_keeps_what_it_has(
    house: House, clinic: Clinic
) -> None:
    """It was the holder of the mailbox all the time: then nothing changes but the mark (ruling 22)."""
    made = body(await clinic.invites_by_code())
    body(await registers_by_code(house.stranger, made["securityCode"], EVE, password=SECRET))
    confirm = (await mail_to(house)).token
    eve = await signs_in(house)
    grant = body(await accepts(eve, made["id"], await makes_person(eve)))
    done(await house.stranger.post("/v1/accounts/confirm", {"token": confirm, "password": SECRET}))
    assert await status_of(house, made["id"]) == "accepted"
    assert [one["grantId"] for one in body(await eve.get("/FhirServers/records"))] == [grant["grantId"]]
    assert "invite.undone" not in await house.trail(house.northside)
    await house.must_be_sound()


async def test_an_account_that_is_not_confirmed_is_over_after_24_hours_and_has_only_what_it_registered_through(
    house: House, clinic: Clinic
) -> None:
    mallory, his, _ = await mallory_registers_with_his_own_code(house, clinic)
    person = await makes_person(mallory)
    house.clock.advance(hours=23, minutes=59)
    mallory = await signs_in(house, EVE, MALLORYS)
    assert await received(mallory) == [his]
    house.clock.advance(minutes=2)
    problem(await mallory.get("/OrganizationInvites/received"), 401, "session-ended")
    problem(await accepts(mallory, his, person), 401, "session-ended")
    problem(
        await house.stranger.post("/v1/sessions", {"email": EVE, "password": MALLORYS}), 403, "not-confirmed"
    )
