"""Colleagues: invited by e-mail, joined by the link, with an account or without."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from cast import PASSWORD, Caller, House
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


async def invites(house: House, email: str = EVE, role: str = "physician", **more: Any) -> Any:
    return done(await house.ada.post("/v1/offers", {"email": email, "role": role, **more}), 201)


async def test_an_invitation_shows_what_it_is_and_its_link_is_only_in_the_mail(house: House) -> None:
    made = await invites(house)
    assert made["status"] == "pending"
    assert made["accountId"] is None
    mail = await mail_to(house)
    assert mail.page == f"{house.base_url}/console/join"
    assert "Northside Family Practice" in mail.text
    seen = done(await house.stranger.post("/v1/offers/preview", {"token": mail.token}))
    assert seen == {
        "organization": "Northside Family Practice",
        "email": EVE,
        "role": "physician",
        "expiresAt": made["expiresAt"],
        "hasAccount": False,
    }
    everything = "".join(
        [
            (await house.ada.get("/v1/offers")).text,
            str(await house.rows("SELECT * FROM offers")),
            str(await house.rows("SELECT * FROM deliveries")),
            str(await house.rows("SELECT * FROM events")),
        ]
    )
    assert mail.token not in everything
    assert await house.rows("SELECT 1 FROM accounts WHERE email = $1", EVE) == []


async def test_who_has_no_account_makes_one_by_joining(house: House) -> None:
    await invites(house)
    token = (await mail_to(house)).token
    body = {"token": token, "password": SECRET, "firstName": "Eve", "lastName": "Moor"}
    joined = done(await house.stranger.post("/v1/offers/accept", body))
    assert joined["organizationId"] == str(house.northside)
    assert joined["role"] == "physician"
    assert joined["account"]["confirmed"] is True
    eve = await signs_in(house)
    done(await eve.get("/v1/organizations/own"))
    (listed,) = done(await house.ada.get("/v1/offers"))["offers"]
    assert (listed["status"], listed["accountId"]) == ("accepted", joined["account"]["id"])
    problem(await house.stranger.post("/v1/offers/accept", body), 404, "dead-link")
    assert await house.trail(await account_id(house)) == [
        "account.registered", "membership.started", "offer.accepted", "session.started",
    ]  # fmt: skip


async def test_who_has_an_account_joins_with_its_password_or_a_session(house: House) -> None:
    pat = "pat@mail.example"
    await invites(house, pat)
    token = (await mail_to(house, pat)).token
    assert done(await house.stranger.post("/v1/offers/preview", {"token": token}))["hasAccount"] is True
    problem(
        await house.stranger.post("/v1/offers/accept", {"token": token, "password": OTHER_SECRET}),
        401,
        "wrong-credentials",
    )
    problem(await house.ben.post("/v1/offers/accept", {"token": token}), 403, "forbidden")
    problem(await house.stranger.post("/v1/offers/accept", {"token": token}), 400, "invalid")
    done(await house.pat.post("/v1/offers/accept", {"token": token}))
    await invites_again_is_refused(house, pat)
    zoe = "zoe@harbor.example"
    await invites(house, zoe, "scheduler")
    body = {"token": (await mail_to(house, zoe)).token, "password": PASSWORD}
    assert done(await house.stranger.post("/v1/offers/accept", body))["role"] == "scheduler"


async def invites_again_is_refused(house: House, email: str) -> None:
    body = {"email": email, "role": "physician"}
    problem(await house.ada.post("/v1/offers", body), 409, "wrong-state")


async def test_an_unconfirmed_account_of_the_address_is_claimed_by_joining(house: House) -> None:
    """Somebody registered with Eve's address before she was invited: nothing of his remains."""
    await registers(house, EVE, OTHER_SECRET)
    await house.mails()
    mallory = await signs_in(house, EVE, OTHER_SECRET)
    await invites(house)
    token = (await mail_to(house)).token
    problem(await mallory.post("/v1/offers/accept", {"token": "x" * 32}), 404, "dead-link")
    done(await house.stranger.post("/v1/offers/accept", {"token": token, "password": SECRET}))
    problem(await mallory.get("/v1/organizations/own"), 401, "session-ended")
    problem(
        await house.stranger.post("/v1/sessions", {"email": EVE, "password": OTHER_SECRET}),
        401,
        "wrong-credentials",
    )
    done(await (await signs_in(house)).get("/v1/organizations/own"))


async def test_an_unconfirmed_session_does_not_join_though_it_has_the_link(house: House) -> None:
    await registers(house)
    await house.mails()
    eve = await signs_in(house)
    await invites(house)
    token = (await mail_to(house)).token
    problem(await eve.post("/v1/offers/accept", {"token": token}), 403, "forbidden")


async def test_a_link_sent_again_replaces_the_one_before(house: House) -> None:
    made = await invites(house)
    old = (await mail_to(house)).token
    done(await house.ada.post(f"/v1/offers/{made['id']}/resend"))
    new = (await mail_to(house)).token
    problem(await house.stranger.post("/v1/offers/preview", {"token": old}), 404, "dead-link")
    done(await house.stranger.post("/v1/offers/preview", {"token": new}))


async def test_every_dead_link_is_one_refusal(house: House) -> None:
    made = await invites(house)
    token = (await mail_to(house)).token
    answers = [
        await house.stranger.post("/v1/offers/accept", {"token": wrong, "password": SECRET})
        for wrong in (token[:-1], token + "0", token.swapcase(), "", "x" * 400)
    ]
    done(await house.ada.send("DELETE", f"/v1/offers/{made['id']}"))
    answers.append(await house.stranger.post("/v1/offers/accept", {"token": token, "password": SECRET}))
    await invites(house)
    token = (await mail_to(house)).token
    house.clock.advance(days=14)
    answers.append(await house.stranger.post("/v1/offers/accept", {"token": token, "password": SECRET}))
    for one in answers:
        problem(one, 404, "dead-link")
    assert len({one.content for one in answers}) == 1
    assert await house.rows("SELECT 1 FROM accounts WHERE email = $1", EVE) == []


async def test_a_suspended_organizations_invitations_are_dead(house: House) -> None:
    from hospitium.engine.organizations import actions  # noqa: PLC0415

    await invites(house)
    token = (await mail_to(house)).token
    await house.operate(lambda ctx: actions.judge(ctx, "suspend", "northside"))
    problem(
        await house.stranger.post("/v1/offers/accept", {"token": token, "password": SECRET}), 404, "dead-link"
    )


async def test_of_many_who_join_by_one_link_at_once_one_does(house: House) -> None:
    await invites(house)
    token = (await mail_to(house)).token
    body = {"token": token, "password": SECRET}
    answers = await asyncio.gather(*(house.stranger.post("/v1/offers/accept", body) for _ in range(8)))
    assert sorted(one.status_code for one in answers) == [200] + [404] * 7
    assert len(await house.rows("SELECT 1 FROM accounts WHERE email = $1", EVE)) == 1
    assert (
        len(
            await house.rows(
                "SELECT 1 FROM memberships JOIN accounts a ON a.id = account_id WHERE a.email = $1", EVE
            )
        )
        == 1
    )
    await house.must_be_sound()


async def test_only_administrators_invite_and_only_for_their_own_organization(house: House) -> None:
    body = {"email": EVE, "role": "physician"}
    for caller in (house.ben, house.mia, house.pat, house.nia, house.cal):
        assert (await caller.post("/v1/offers", body)).status_code == 403
    problem(await house.stranger.post("/v1/offers", body), 401, "not-signed-in")
    made = await invites(house)
    problem(await house.rui.send("DELETE", f"/v1/offers/{made['id']}"), 404, "not-found")
    problem(await house.rui.post(f"/v1/offers/{made['id']}/resend"), 404, "not-found")
    assert done(await house.rui.get("/v1/offers"))["offers"] == []


async def test_an_address_is_invited_once_at_a_time_and_a_member_never(house: House) -> None:
    made = await invites(house)
    for same in (EVE, "EVE@mail.example"):
        body = {"email": same, "role": "physician"}
        problem(await house.ada.post("/v1/offers", body), 409, "wrong-state")
    body = {"email": "ben@northside.example", "role": "physician"}
    problem(await house.ada.post("/v1/offers", body), 409, "wrong-state")
    done(await house.ada.send("DELETE", f"/v1/offers/{made['id']}"))
    problem(await house.ada.send("DELETE", f"/v1/offers/{made['id']}"), 409, "wrong-state")
    problem(await house.ada.post(f"/v1/offers/{made['id']}/resend"), 409, "wrong-state")
    await invites(house)


async def test_an_idempotency_key_invites_once(house: House) -> None:
    body = {"email": EVE, "role": "physician"}
    first = await house.ada.post("/v1/offers", body, idempotency_key="one")
    again = await house.ada.post("/v1/offers", body, idempotency_key="one")
    assert first.status_code == again.status_code == 201
    assert first.content == again.content
    assert len(await house.mails()) == 1


async def test_invitations_are_listed_the_newest_first_page_by_page(house: House) -> None:
    ids = [(await invites(house, f"eve{number}@mail.example"))["id"] for number in range(5)]
    page = done(await house.ada.get("/v1/offers", limit=3))
    rest = done(await house.ada.get("/v1/offers", limit=3, after=page["next"]))
    assert [one["id"] for one in page["offers"] + rest["offers"]] == ids[::-1]
    assert rest["next"] is None


async def test_the_sweep_marks_what_nobody_took_up(house: House) -> None:
    from hospitium.dispatch.sweeps import expire_one_offer  # noqa: PLC0415

    await invites(house)
    house.clock.advance(days=15)
    await house.sweep(expire_one_offer)
    (listed,) = done(await house.ada.get("/v1/offers"))["offers"]
    assert listed["status"] == "expired"
    assert (await house.trail(house.northside))[-1] == "offer.expired"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "nobody"),
        ("role", "owner"),
        ("role", 7),
        ("language", "fr"),
        ("status", "accepted"),
        ("organizationId", "x"),
    ],
)
async def test_what_is_wrong_is_named(house: House, field: str, value: object) -> None:
    body = {"email": EVE, "role": "physician", field: value}
    refused = problem(await house.ada.post("/v1/offers", body), 400, "invalid")
    assert refused["errors"][0]["field"] == field


async def test_a_signed_in_colleague_keeps_his_other_organization(house: House) -> None:
    zoe: Caller = house.zoe
    await invites(house, "zoe@harbor.example", "admin")
    token = (await mail_to(house, "zoe@harbor.example")).token
    done(await zoe.post("/v1/offers/accept", {"token": token}))
    moved = done(await zoe.post("/v1/sessions/organization", {"organizationId": str(house.northside)}))
    assert moved["role"] == "admin"


async def test_living_twice_needs_no_two_accounts(house: House) -> None:
    eve = await living(house)
    await invites(house)
    done(await eve.post("/v1/offers/accept", {"token": (await mail_to(house)).token}))
