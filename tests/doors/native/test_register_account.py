"""POST /v1/accounts, and the link that confirms one (ruling 22)."""

from __future__ import annotations

import pytest

from cast import Caller, House
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


async def test_it_makes_an_account_and_sends_a_link_that_confirms_it_with_the_password(house: House) -> None:
    await registers(house, firstName="Eve", lastName="Moor", language="es")
    mail = await mail_to(house)
    assert mail.page == f"{house.base_url}/console/confirm"
    body = {"token": mail.token, "password": SECRET}
    printed = done(await house.stranger.post("/v1/accounts/confirm", body))
    assert printed == {
        "id": str(await account_id(house)),
        "email": EVE,
        "firstName": "Eve",
        "middleName": None,
        "lastName": "Moor",
        "language": "es",
        "confirmed": True,
        "createdAt": printed["createdAt"],
    }
    eve = await signs_in(house)
    assert done(await eve.get("/v1/accounts/own")) == printed
    assert await house.trail(await account_id(house)) == [
        "account.registered", "account.confirmed", "session.started",
    ]  # fmt: skip


async def test_confirming_again_is_answered_the_same_and_is_not_recorded_twice(house: House) -> None:
    await registers(house)
    body = {"token": (await mail_to(house)).token, "password": SECRET}
    first = done(await house.stranger.post("/v1/accounts/confirm", body))
    assert done(await house.stranger.post("/v1/accounts/confirm", body)) == first
    assert await house.trail(await account_id(house)) == ["account.registered", "account.confirmed"]
    problem(
        await house.stranger.post("/v1/accounts/confirm", body | {"password": OTHER_SECRET}),
        401,
        "wrong-credentials",
    )


async def test_a_session_of_the_account_serves_in_place_of_the_password_and_another_ones_does_not(
    house: House,
) -> None:
    await registers(house)
    token = (await mail_to(house)).token
    problem(await house.ada.post("/v1/accounts/confirm", {"token": token}), 401, "not-signed-in")
    problem(await house.stranger.post("/v1/accounts/confirm", {"token": token}), 400, "invalid")
    eve = await signs_in(house)
    assert done(await eve.post("/v1/accounts/confirm", {"token": token}))["confirmed"] is True


async def test_the_link_alone_confirms_nothing(house: House) -> None:
    await registers(house)
    body = {"token": (await mail_to(house)).token, "password": OTHER_SECRET}
    problem(await house.stranger.post("/v1/accounts/confirm", body), 401, "wrong-credentials")
    assert done(await (await signs_in(house)).get("/v1/accounts/own"))["confirmed"] is False


async def test_a_known_and_an_unknown_address_are_answered_with_the_same_bytes(house: House) -> None:
    answers = []
    for path in ("/v1/accounts", "/v1/accounts/confirmation", "/v1/accounts/password-reset"):
        for email in (ADA, "nobody@mail.example"):
            body = {"email": email} | ({"password": SECRET} if path == "/v1/accounts" else {})
            answers.append(await house.stranger.post(path, body))
    headers = [
        {name: value for name, value in one.headers.items() if name not in ("x-request-id", "date")}
        for one in answers
    ]
    assert len({one.content for one in answers}) == 1
    assert all(one == headers[0] for one in headers)


async def test_a_known_and_an_unknown_address_cost_the_same_statements(house: House) -> None:
    async def written(email: str, path: str, **more: str) -> dict[str, int]:
        tables = ("links", "deliveries", "events")
        counts = {}
        for table in tables:
            counts[table] = (await house.rows(f"SELECT count(*) AS n FROM {table}"))[0]["n"]
        done(await house.stranger.post(path, {"email": email, **more}), 202)
        return {
            table: (await house.rows(f"SELECT count(*) AS n FROM {table}"))[0]["n"] - counts[table]
            for table in tables
        }

    for path, more in (
        ("/v1/accounts", {"password": SECRET}),
        ("/v1/accounts/password-reset", {}),
        ("/v1/accounts/confirmation", {}),
    ):
        known = await written(ADA, path, **more)
        unknown = await written(f"stranger{len(path)}@mail.example", path, **more)
        assert known == unknown == {"links": 1, "deliveries": 1, "events": 1}, path


async def test_registering_a_known_address_changes_nothing_of_it_and_tells_its_holder(house: House) -> None:
    before = await house.rows("SELECT * FROM accounts WHERE email = $1", ADA)
    await registers(house, ADA, OTHER_SECRET, firstName="Mallory")
    assert await house.rows("SELECT * FROM accounts WHERE email = $1", ADA) == before
    mail = await mail_to(house, ADA)
    assert mail.page == f"{house.base_url}/console/password"
    assert "Mallory" not in mail.text


async def test_who_asks_for_a_link_without_an_account_is_told_so_by_mail_alone(house: House) -> None:
    for path in ("/v1/accounts/confirmation", "/v1/accounts/password-reset"):
        done(await house.stranger.post(path, {"email": "nobody@mail.example", "language": "es"}), 202)
        mail = await mail_to(house, "nobody@mail.example")
        assert not mail.has_link
    assert await house.rows("SELECT 1 FROM accounts WHERE email = 'nobody@mail.example'") == []


async def test_a_link_sent_again_replaces_the_one_before(house: House) -> None:
    await registers(house)
    old = (await mail_to(house)).token
    done(await house.stranger.post("/v1/accounts/confirmation", {"email": EVE}), 202)
    new = (await mail_to(house)).token
    assert old != new
    problem(
        await house.stranger.post("/v1/accounts/confirm", {"token": old, "password": SECRET}),
        404,
        "dead-link",
    )
    done(await house.stranger.post("/v1/accounts/confirm", {"token": new, "password": SECRET}))


async def test_every_dead_link_is_one_refusal(house: House) -> None:
    await registers(house)
    token = (await mail_to(house)).token
    reset = await _reset_token(house, ADA)
    answers = [
        await house.stranger.post("/v1/accounts/confirm", {"token": wrong, "password": SECRET})
        for wrong in (token[:-1], token + "A", token.swapcase(), "", "0", "null", "Ａ" * 32, reset, "x" * 500)
    ]
    house.clock.advance(days=8)
    answers.append(await house.stranger.post("/v1/accounts/confirm", {"token": token, "password": SECRET}))
    for one in answers:
        problem(one, 404, "dead-link")
    assert len({one.content for one in answers}) == 1
    for wrong in (None, 0, [], {}, True):
        problem(
            await house.stranger.post("/v1/accounts/confirm", {"token": wrong, "password": SECRET}),
            400,
            "invalid",
        )


async def test_an_unconfirmed_account_may_be_used_for_24_hours_and_its_sessions_end_with_them(
    house: House,
) -> None:
    await registers(house)
    signed = done(await house.stranger.post("/v1/sessions", {"email": EVE, "password": SECRET}))
    eve = Caller(house.http, signed["accessToken"])
    house.clock.advance(hours=23, minutes=59)
    renewed = done(
        await house.stranger.post("/v1/sessions/renewal", {"refreshToken": signed["refreshToken"]})
    )
    eve = Caller(house.http, renewed["accessToken"])
    done(await eve.get("/v1/accounts/own"))
    house.clock.advance(minutes=1)
    problem(await eve.get("/v1/accounts/own"), 401, "session-ended")
    problem(
        await house.stranger.post("/v1/sessions/renewal", {"refreshToken": renewed["refreshToken"]}),
        401,
        "session-ended",
    )
    problem(
        await house.stranger.post("/v1/sessions", {"email": EVE, "password": SECRET}), 403, "not-confirmed"
    )
    done(await house.stranger.post("/v1/accounts/confirmation", {"email": EVE}), 202)
    mails = await house.mails(to=EVE)
    done(await house.stranger.post("/v1/accounts/confirm", {"token": mails[-1].token, "password": SECRET}))
    await signs_in(house)


async def test_an_unconfirmed_account_may_not_register_an_organization(house: House) -> None:
    await registers(house)
    eve = await signs_in(house)
    body = {"code": "evil", "name": "Evil", "type": "referring"}
    problem(await eve.post("/v1/organizations", body), 403, "not-confirmed")
    pia = await living(house, "pia@mail.example")
    done(await pia.post("/v1/organizations", body), 201)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "nobody"),
        ("email", "a@b"),
        ("email", "a b@mail.example"),
        ("email", "a@mail.example\r\nBcc: b@mail.example"),
        ("email", "a@b.example,c@d.example"),
        ("email", None),
        ("password", "short"),
        ("password", "x" * 257),
        ("password", "password123"),
        ("password", "with\0nul characters"),
        ("firstName", "x" * 201),
        ("firstName", "two\nlines"),
        ("lastName", "\u202eturned"),
        ("language", "fr"),
        ("verified", True),
        ("role", "admin"),
        ("status", "active"),
        ("id", "552417e085b784bc204e737c"),
        ("verifiedAt", "2026-01-01T00:00:00Z"),
        ("selfRegistered", False),
    ],
)
async def test_what_is_wrong_is_named_and_nothing_is_made(house: House, field: str, value: object) -> None:
    body = {"email": EVE, "password": SECRET, field: value}
    refused = problem(await house.stranger.post("/v1/accounts", body), 400, "invalid")
    assert refused["errors"][0]["field"] == field
    assert await house.rows("SELECT 1 FROM accounts WHERE email LIKE 'eve%'") == []
    assert await house.mails() == []


async def _reset_token(house: House, email: str) -> str:
    done(await house.stranger.post("/v1/accounts/password-reset", {"email": email}), 202)
    return (await mail_to(house, email)).token
