"""A forgotten password: the link that sets a new one, and what ends with the old (rulings 14, 22)."""

from __future__ import annotations

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

ADA = "ada@northside.example"


async def asks_for_link(house: House, email: str) -> str:
    done(await house.stranger.post("/v1/accounts/password-reset", {"email": email}), 202)
    return (await house.mails(to=email))[-1].token


async def test_the_link_sets_a_new_password_once_and_ends_every_session(house: House) -> None:
    token = await asks_for_link(house, ADA)
    tokens = done(await house.stranger.post("/v1/sessions", {"email": ADA, "password": PASSWORD}))
    body = {"token": token, "password": OTHER_SECRET}
    assert done(await house.stranger.post("/v1/accounts/password", body)) == {"status": "done"}
    problem(await house.ada.get("/v1/accounts/own"), 401, "session-ended")
    problem(
        await house.stranger.post("/v1/sessions/renewal", {"refreshToken": tokens["refreshToken"]}),
        401,
        "session-ended",
    )
    problem(
        await house.stranger.post("/v1/sessions", {"email": ADA, "password": PASSWORD}),
        401,
        "wrong-credentials",
    )
    await signs_in(house, ADA, OTHER_SECRET)
    problem(await house.stranger.post("/v1/accounts/password", body), 404, "dead-link")
    told = await mail_to(house, ADA)
    assert not told.has_link
    assert (await house.trail(house.accounts["ada"]))[-5:] == [
        "session.started", "sessions.ended", "account.password_changed", "session.refused", "session.started",
    ]  # fmt: skip


async def test_of_two_at_once_one_sets_the_password(house: House) -> None:
    import asyncio  # noqa: PLC0415

    token = await asks_for_link(house, ADA)
    answers = await asyncio.gather(
        *(
            house.stranger.post("/v1/accounts/password", {"token": token, "password": f"{OTHER_SECRET} {n}"})
            for n in range(6)
        )
    )
    assert sorted(one.status_code for one in answers) == [200] + [404] * 5
    assert (await house.trail(house.accounts["ada"])).count("account.password_changed") == 1


async def test_the_link_dies_with_time_with_another_one_with_a_new_password_and_with_a_new_address(
    house: House,
) -> None:
    token = await asks_for_link(house, ADA)
    house.clock.advance(hours=2)
    problem(
        await house.stranger.post("/v1/accounts/password", {"token": token, "password": OTHER_SECRET}),
        404,
        "dead-link",
    )
    first = await asks_for_link(house, ADA)
    second = await asks_for_link(house, ADA)
    problem(
        await house.stranger.post("/v1/accounts/password", {"token": first, "password": OTHER_SECRET}),
        404,
        "dead-link",
    )
    body = {"currentPassword": PASSWORD, "password": OTHER_SECRET}
    done(await house.ada.post("/v1/accounts/own/password", body))
    problem(
        await house.stranger.post("/v1/accounts/password", {"token": second, "password": SECRET}),
        404,
        "dead-link",
    )
    third = await asks_for_link(house, ADA)
    body = {"email": "ada@elsewhere.example", "password": OTHER_SECRET}
    done(await house.ada.post("/v1/accounts/own/email", body), 202)
    proof = (await mail_to(house, "ada@elsewhere.example")).token
    done(await house.ada.post("/v1/accounts/email", {"token": proof}))
    problem(
        await house.stranger.post("/v1/accounts/password", {"token": third, "password": SECRET}),
        404,
        "dead-link",
    )


async def test_the_link_of_one_kind_is_no_good_for_another(house: House) -> None:
    reset = await asks_for_link(house, ADA)
    await registers(house)
    confirm = (await mail_to(house)).token
    for path, token in (
        ("/v1/accounts/password", confirm),
        ("/v1/accounts/claim", reset),
        ("/v1/offers/accept", reset),
        ("/v1/accounts/email", confirm),
    ):
        body = {"token": token, "password": OTHER_SECRET}
        problem(await house.stranger.post(path, body), 404, "dead-link")


async def test_a_refused_password_leaves_the_link_good(house: House) -> None:
    token = await asks_for_link(house, ADA)
    refused = await house.stranger.post("/v1/accounts/password", {"token": token, "password": "short"})
    assert problem(refused, 400, "invalid")["errors"][0]["field"] == "password"
    done(await house.stranger.post("/v1/accounts/password", {"token": token, "password": OTHER_SECRET}))


async def test_a_disabled_account_stays_disabled(house: House) -> None:
    from hospitium.engine.accounts import actions  # noqa: PLC0415

    token = await asks_for_link(house, ADA)
    await house.operate(lambda ctx: actions.disable(ctx, ADA))
    problem(
        await house.stranger.post("/v1/accounts/password", {"token": token, "password": OTHER_SECRET}),
        403,
        "account-disabled",
    )


async def test_setting_a_password_on_an_unconfirmed_account_claims_it(house: House) -> None:
    await registers(house)
    await house.mails()
    eve = await signs_in(house)
    token = await asks_for_link(house, EVE)
    done(await house.stranger.post("/v1/accounts/password", {"token": token, "password": OTHER_SECRET}))
    problem(await eve.get("/v1/accounts/own"), 401, "session-ended")
    assert done(await (await signs_in(house, EVE, OTHER_SECRET)).get("/v1/accounts/own"))["confirmed"]
    assert "account.claimed" in await house.trail(await account_id(house))


async def test_one_changes_ones_own_password_with_the_old_one_and_stays_signed_in_here_alone(
    house: House,
) -> None:
    here = await living(house)
    there = await signs_in(house)
    wrong = {"currentPassword": OTHER_SECRET, "password": OTHER_SECRET}
    problem(await here.post("/v1/accounts/own/password", wrong), 401, "wrong-credentials")
    right = {"currentPassword": SECRET, "password": OTHER_SECRET}
    done(await here.post("/v1/accounts/own/password", right))
    done(await here.get("/v1/accounts/own"))
    problem(await there.get("/v1/accounts/own"), 401, "session-ended")
    await signs_in(house, EVE, OTHER_SECRET)


async def test_a_token_of_the_old_session_is_dead_at_every_surface(house: House) -> None:
    token = await asks_for_link(house, ADA)
    done(await house.stranger.post("/v1/accounts/password", {"token": token, "password": OTHER_SECRET}))
    ada: Caller = house.ada
    assert (await ada.get("/api/connections/outgoing")).status_code == 401
    assert (await ada.get("/v1/organizations/own")).status_code == 401
