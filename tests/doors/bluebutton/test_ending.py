"""An invite is withdrawn, issued again, sent again, or declined (contract bluebutton.md §3.4, rulings 18 to 20)."""

from __future__ import annotations

from typing import Any

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
from doors.bluebutton.desk import grants_on, must_be_unknown, status_of, sweeps, waiting, wide
from doors.conftest import Opening
from doors.manners import UNKNOWN, bare, everything
from hospitium.engine.errors import DeadLink
from hospitium.engine.invites import accepting
from hospitium.engine.permissions import Permission
from hospitium.engine.secrets import LinkToken, derive


async def withdraws(who: Caller, invite_id: str) -> httpx.Response:
    return await who.send("DELETE", f"/OrganizationInvites/{invite_id}")


async def reissues(who: Caller, invite_id: str, **more: str) -> httpx.Response:
    asked = {"securityQuestion": "What was your first school?", "securityAnswer": "Elm Street"}
    return await who.post(f"/OrganizationInvites/{invite_id}/reissue", asked, **more)


async def resends(who: Caller, invite_id: str) -> httpx.Response:
    return await who.post(f"/OrganizationInvites/{invite_id}/resend")


async def declines(who: Caller, invite_id: str) -> httpx.Response:
    return await who.post(f"/OrganizationInvites/{invite_id}/decline")


async def token_of(house: House, invite_id: str) -> LinkToken:
    """Return what stands in the mail of an invite at present."""
    (row,) = await house.rows(
        "SELECT id, key_number, nonce FROM invites WHERE id = $1::text::uuid", invite_id
    )
    return derive(house.parts.link_keys[row["key_number"]], "invite", row["id"], row["nonce"])


async def is_good(house: House, token: LinkToken) -> bool:
    try:
        await house.operate(lambda ctx: accepting.look(ctx, token), Permission.FOLLOW_INVITE)
    except DeadLink:
        return False
    return True


async def test_what_is_withdrawn_is_dead_by_its_code_its_link_and_its_id(
    house: House, clinic: Clinic
) -> None:
    by_code, by_email = (
        body(await clinic.invites_by_code()),
        body(await clinic.invites_by_email("pat@mail.example")),
    )
    token = await token_of(house, by_email["id"])
    assert await is_good(house, token)
    for made in (by_code, by_email):
        answered = await withdraws(house.ben, made["id"])
        assert (answered.status_code, answered.content) == (204, b"")
        assert await status_of(house, made["id"]) == "withdrawn"
        before = await everything(house)
        problem(await withdraws(house.ada, made["id"]), 409, "wrong-state")
        assert await everything(house) == before
    await must_be_unknown(house, by_code["securityCode"])
    assert not await is_good(house, token)
    problem(await accepts(house.pat, by_email["id"], await makes_person(house.pat)), 409, "wrong-state")
    problem(await house.pat.get(f"/OrganizationInvites/{by_email['id']}"), 404, "not-found")
    assert await house.mails(to="pat@mail.example") == []  # the mail that waited is not sent any more
    await house.must_be_sound()


async def test_what_was_accepted_is_not_withdrawn_its_grant_is_ended_instead(
    house: House, clinic: Clinic
) -> None:
    made = body(await clinic.invites_by_email("pat@mail.example"))["id"]
    grant = body(await accepts(house.pat, made, await makes_person(house.pat)))
    told = problem(await withdraws(house.ben, made), 409, "wrong-state")
    assert "grant" in told["detail"]
    problem(await declines(house.pat, made), 409, "wrong-state")
    assert await grants_on(house) == 1
    assert (await house.ada.send("DELETE", f"/FhirServers/grants/{grant['grantId']}")).status_code == 204
    assert await grants_on(house) == 0
    read = body(await house.ben.get(f"/OrganizationInvites/{made}"))
    assert (read["status"], "acceptedOn" in read) == ("accepted", True)  # that it was accepted stays
    await house.must_be_sound()


async def test_who_may_not_write_there_can_not_tell_an_invite_from_none(house: House, clinic: Clinic) -> None:
    by_code, by_email = (
        body(await clinic.invites_by_code()),
        body(await clinic.invites_by_email("pat@mail.example")),
    )
    before = await everything(house)
    for deed in (withdraws, reissues, resends):
        for who in (house.mia, house.rui, house.zoe, house.pat):
            for made in (by_code, by_email):
                answered = await deed(who, made["id"])
                problem(answered, 404, "not-found")
                assert bare(answered) == bare(await deed(who, UNKNOWN))
        problem(await deed(house.stranger, by_code["id"]), 401, "not-signed-in")
    for who in (house.ben, house.ada, house.mia, house.rui):
        answered = await declines(who, by_email["id"])
        problem(answered, 404, "not-found")
        assert bare(answered) == bare(await declines(who, UNKNOWN))
    assert await everything(house) == before


async def test_issued_again_it_has_a_new_code_and_five_new_tries_and_the_old_one_is_dead(
    open_house: Opening,
) -> None:
    async with open_house(**wide()) as house:
        clinic = await Clinic.open(house)
        old = body(await clinic.invites_by_code(patient=JIMMY, language="es"))
        for _ in range(4):
            problem(await finds(house.pat, old["securityCode"], "Rex"), 400, "wrong-answer")
        new = body(await reissues(house.ada, old["id"]))
        assert new.keys() == old.keys() | {"replacesId"}
        assert (new["replacesId"], new["accessiblePatientId"]) == (old["id"], JIMMY)
        assert new["securityQuestion"] == "What was your first school?"
        assert new["securityCode"] != old["securityCode"]
        assert await status_of(house, old["id"]) == "replaced"
        await must_be_unknown(house, old["securityCode"])
        for _ in range(4):
            problem(await finds(house.pat, new["securityCode"], ANSWER), 400, "wrong-answer")
        body(await finds(house.pat, new["securityCode"], "elm street"))
        for _ in range(1):
            problem(await finds(house.pat, new["securityCode"], ANSWER), 400, "wrong-answer")
        assert await status_of(house, new["id"]) == "locked"
        newest = body(await reissues(house.ben, new["id"]))
        assert newest["replacesId"] == new["id"]
        assert await status_of(house, new["id"]) == "locked"
        problem(await reissues(house.ben, new["id"]), 409, "wrong-state")  # once
        problem(await reissues(house.ben, old["id"]), 409, "wrong-state")
        body(
            await accepts_by_code(
                house.pat, newest["securityCode"], await makes_person(house.pat), "elm street"
            )
        )
        problem(await reissues(house.ben, newest["id"]), 409, "wrong-state")
        rows = await house.rows("SELECT DISTINCT language FROM invites")
        assert [row[0] for row in rows] == ["es"]
        await house.must_be_sound()


async def test_issued_again_it_is_nobodys_whoever_had_registered_with_it(
    house: House, clinic: Clinic
) -> None:
    old = body(await clinic.invites_by_code())
    body(await registers(house.stranger, old["securityCode"], "eve@mail.example"))
    eve = await signs_in(house, "eve@mail.example")
    new = body(await reissues(house.ben, old["id"]))
    assert "userId" not in new
    problem(await accepts(eve, old["id"], await makes_person(eve)), 409, "wrong-state")
    assert body(await eve.get("/OrganizationInvites/received")) == []
    body(await accepts_by_code(house.pat, new["securityCode"], await makes_person(house.pat), "Elm Street"))


@pytest.mark.parametrize("end", ["withdrawn", "expired"])
async def test_what_is_over_is_issued_again_too(house: House, clinic: Clinic, end: str) -> None:
    old = body(await clinic.invites_by_code())
    if end == "withdrawn":
        await withdraws(house.ben, old["id"])
    else:
        house.clock.advance(days=31)
        await sweeps(house)
    new = body(await reissues(house.ben, old["id"]))
    assert (await asks_question(house.stranger, new["securityCode"])).status_code == 200
    assert await status_of(house, old["id"]) == end
    await house.must_be_sound()


async def test_the_same_reissue_again_gets_the_same_code(house: House, clinic: Clinic) -> None:
    for end in ("open", "withdrawn"):
        old = body(await clinic.invites_by_code())["id"]
        if end == "withdrawn":
            await withdraws(house.ben, old)
        key = {"Idempotency-Key": f"again-{end}"}
        first, second = await reissues(house.ben, old, **key), await reissues(house.ben, old, **key)
        assert body(second) == body(first), end
        problem(await reissues(house.ben, old), 409, "wrong-state")
    other = body(await clinic.invites_by_code())["id"]
    problem(await reissues(house.ben, other, **key), 422, "idempotency-key-reused")
    assert await status_of(house, other) == "unbound"


async def test_each_form_has_its_own_way_of_being_sent_again(house: House, clinic: Clinic) -> None:
    by_code, by_email = (
        body(await clinic.invites_by_code()),
        body(await clinic.invites_by_email("pat@mail.example")),
    )
    before = await everything(house)
    problem(await resends(house.ben, by_code["id"]), 409, "wrong-state")
    problem(await reissues(house.ben, by_email["id"]), 409, "wrong-state")
    path = f"/OrganizationInvites/{by_code['id']}/reissue"
    for wrong, field in (
        ({}, "securityQuestion"),
        ({"securityQuestion": " ", "securityAnswer": ANSWER}, "securityQuestion"),
        ({"securityQuestion": QUESTION, "securityAnswer": "x"}, "securityAnswer"),
        (
            {"securityQuestion": QUESTION, "securityAnswer": ANSWER, "accessiblePatientId": JIMMY},
            "accessiblePatientId",
        ),
    ):
        (told,) = problem(await house.ben.post(path, wrong), 400, "invalid")["errors"]
        assert told["field"] == field
    assert await everything(house) == before


async def test_sent_again_the_link_of_the_mail_before_is_dead_at_once(house: House, clinic: Clinic) -> None:
    made = body(await clinic.invites_by_email("pat@mail.example"))
    first = await token_of(house, made["id"])
    again: Any = body(await resends(house.ada, made["id"]))
    assert again["id"] == made["id"]
    assert again["expiresOn"] == made["expiresOn"]
    second = await token_of(house, made["id"])
    assert first.reveal() != second.reveal()
    assert not await is_good(house, first)
    assert await is_good(house, second)
    # A mailbox gets so many an hour; refused, the link that was sent stays good.
    for _ in range(3):
        body(await resends(house.ben, made["id"]))
    last = await token_of(house, made["id"])
    before = await everything(house)
    answered = await resends(house.ben, made["id"])
    problem(answered, 429, "too-many-attempts")
    assert int(answered.headers["retry-after"]) > 0
    assert await everything(house) == before
    assert await is_good(house, last)
    house.clock.advance(days=31)
    problem(await resends(house.ben, made["id"]), 409, "wrong-state")  # over by the clock
    assert not await is_good(house, last)


async def test_what_is_declined_is_over_for_both_sides(house: House, clinic: Clinic) -> None:
    made = body(await clinic.invites_by_email("pat@mail.example"))["id"]
    registered = body(await clinic.invites_by_code())
    body(await registers(house.stranger, registered["securityCode"], "eve@mail.example"))
    eve = await signs_in(house, "eve@mail.example")
    for who, id_ in ((house.pat, made), (eve, registered["id"])):
        answered = await declines(who, id_)
        assert (answered.status_code, answered.content) == (204, b"")
        assert await status_of(house, id_) == "declined"
        for deed in (
            declines(who, id_),
            accepts(who, id_, await makes_person(who)),
            withdraws(house.ben, id_),
        ):
            problem(await deed, 409, "wrong-state")
        assert body(await who.get("/OrganizationInvites/received")) == []
    problem(await resends(house.ben, made), 409, "wrong-state")
    assert (await house.trail(house.northside)).count("invite.declined") == 2
    assert ("invite", "pat@mail.example") in await waiting(house)  # and yet:
    assert await house.mails(to="pat@mail.example") == []
    await house.must_be_sound()
