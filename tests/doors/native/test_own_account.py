"""One's own account: read, changed, exported, deleted."""

from __future__ import annotations

from cast import PASSWORD, House
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


async def test_one_changes_name_and_language_and_what_is_not_sent_stays(house: House) -> None:
    eve = await living(house, firstName="Eve", lastName="Moor")
    printed = done(
        await eve.send(
            "PATCH",
            "/v1/accounts/own",
            b'{"firstName": "Eva", "language": "es"}',
            content_type="application/json",
        )
    )
    assert (printed["firstName"], printed["lastName"], printed["language"]) == ("Eva", "Moor", "es")
    printed = done(
        await eve.send("PATCH", "/v1/accounts/own", b'{"lastName": null}', content_type="application/json")
    )
    assert (printed["firstName"], printed["lastName"]) == ("Eva", None)
    for body in (
        b'{"email": "x@y.example"}',
        b'{"confirmed": true}',
        b'{"firstName": "a\\nb"}',
        b'{"language": null}',
    ):
        problem(
            await eve.send("PATCH", "/v1/accounts/own", body, content_type="application/json"), 400, "invalid"
        )
    (event,) = await house.rows(
        "SELECT data FROM events WHERE kind = 'account.updated' ORDER BY position LIMIT 1"
    )
    assert event["data"] == {"fields": ["first_name", "language"]}


async def test_the_export_holds_all_that_is_kept_and_nobody_elses(house: House) -> None:
    exported = done(await house.ada.get("/v1/accounts/own/export"))
    assert exported.keys() == {"account", "memberships", "sessions", "trail"}
    assert exported["account"]["email"] == "ada@northside.example"
    assert [one["code"] for one in exported["memberships"]] == ["northside"]
    assert [one["current"] for one in exported["sessions"]] == [True]
    assert {one["kind"] for one in exported["trail"]} == {"account.created", "membership.started"}
    text = (await house.ada.get("/v1/accounts/own/export")).text
    for secret in ("argon2", "password", "rui", str(house.accounts["rui"])):
        assert secret not in text
    assert (await house.trail(house.accounts["ada"]))[-1] == "account.exported"


async def test_a_deleted_account_leaves_its_id_in_the_trail_and_nothing_else(house: House) -> None:
    eve = await living(house, firstName="Evangeline", lastName="Moorland")
    eve_id = await account_id(house)
    problem(await eve.post("/v1/accounts/own/deletion", {"password": OTHER_SECRET}), 401, "wrong-credentials")
    assert done(await eve.post("/v1/accounts/own/deletion", {"password": SECRET})) == {"status": "done"}
    problem(await eve.get("/v1/accounts/own"), 401, "session-ended")
    problem(
        await house.stranger.post("/v1/sessions", {"email": EVE, "password": SECRET}),
        401,
        "wrong-credentials",
    )
    assert not (await mail_to(house)).has_link
    (row,) = await house.rows("SELECT * FROM accounts WHERE id = $1", eve_id)
    kept = {name: value for name, value in dict(row).items() if value not in (None, "", False)}
    assert kept.keys() == {"id", "email_key", "language", "self_registered", "status", "created_at", "ended_at"}
    assert kept["email_key"] == str(eve_id)
    assert (await house.trail(eve_id))[-1] == "account.deleted"
    await house.must_be_sound()
    # The address is free, and nothing of what was comes back with it.
    await registers(house)
    assert await account_id(house) != eve_id


async def test_the_last_administrator_can_not_delete_himself(house: House) -> None:
    problem(
        await house.ada.post("/v1/accounts/own/deletion", {"password": PASSWORD}), 409, "last-administrator"
    )
    assert done(await house.ada.get("/v1/accounts/own"))["email"] == "ada@northside.example"
    await house.add_person("amy", "northside")
    done(await house.ada.post("/v1/accounts/own/deletion", {"password": PASSWORD}))
    assert (
        await house.rows(
            "SELECT 1 FROM memberships WHERE account_id = $1 AND ends_at IS NULL", house.accounts["ada"]
        )
        == []
    )


async def test_sessions_are_listed_and_ended_one_by_one_and_all_but_this(house: House) -> None:
    here = await living(house)
    there = await signs_in(house)
    third = await signs_in(house)
    listed = done(await here.get("/v1/sessions"))["sessions"]
    assert [one["current"] for one in listed] == [False, False, True]
    wanted = done(await there.get("/v1/sessions"))["sessions"]
    there_id = next(one["id"] for one in wanted if one["current"])
    problem(await house.ada.send("DELETE", f"/v1/sessions/{there_id}"), 404, "not-found")
    done(await here.send("DELETE", f"/v1/sessions/{there_id}"))
    problem(await there.get("/v1/sessions"), 401, "session-ended")
    problem(await here.send("DELETE", f"/v1/sessions/{there_id}"), 404, "not-found")
    problem(await here.send("DELETE", "/v1/sessions/nonsense"), 404, "not-found")
    assert done(await here.send("DELETE", "/v1/sessions/others")) == {"ended": 1}
    problem(await third.get("/v1/sessions"), 401, "session-ended")
    done(await here.send("DELETE", "/v1/sessions/current"))
    problem(await here.get("/v1/sessions"), 401, "session-ended")


async def test_the_same_account_and_token_work_at_every_surface(house: House) -> None:
    tokens = done(
        await house.stranger.post("/v1/sessions", {"email": "ada@northside.example", "password": PASSWORD})
    )
    assert tokens["role"] == "admin"
    assert tokens["organizationId"] == str(house.northside)
    answered = await house.http.get(
        "/api/connections/outgoing", headers={"Authorization": f"Bearer {tokens['accessToken']}"}
    )
    assert answered.status_code == 200
    answered = await house.stranger.post("/api/auth/refresh", {"refreshToken": tokens["refreshToken"]})
    assert answered.status_code == 200
