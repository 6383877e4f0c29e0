"""One's own account: read, changed, exported, deleted."""

from __future__ import annotations

import re

from cast import PASSWORD, House
from clinic import JANE, Clinic, accepts, makes_person
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
from hospitium.engine import events
from hospitium.engine.accounts import life


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
    assert exported.keys() == {
        "account",
        "memberships",
        "sessions",
        "teams",
        "records",
        "shares",
        "persons",
        "invites",
        "trail",
        "next",
    }
    assert exported["account"]["email"] == "ada@northside.example"
    assert exported["memberships"] == [
        {"organizationId": str(house.northside), "code": "northside", "role": "admin", "externalId": None}
    ]
    assert [one["current"] for one in exported["sessions"]] == [True]
    assert [exported[kind] for kind in ("teams", "records", "shares", "persons", "invites")] == [[]] * 5
    assert {one["kind"] for one in exported["trail"]} == {"account.created", "membership.started"}
    assert exported["next"] is None
    text = (await house.ada.get("/v1/accounts/own/export")).text
    for secret in ("argon2", "password", "rui", str(house.accounts["rui"])):
        assert secret not in text
    assert (await house.trail(house.accounts["ada"]))[-1] == "account.exported"


async def test_the_export_holds_the_persons_one_looks_after_and_the_invites_one_received(
    house: House,
) -> None:
    clinic = await Clinic.open(house)
    invite = done(await clinic.invites_by_email("pat@mail.example"))
    person_id = await makes_person(house.pat, relationship="Child")
    done(await accepts(house.pat, invite["id"], person_id))
    exported = done(await house.pat.get("/v1/accounts/own/export"))
    (person,) = exported["persons"]
    assert (person["id"], person["relationship"], person["isOwner"], person["level"]) == (
        person_id,
        "child",
        True,
        7,
    )
    (kept,) = exported["invites"]
    assert (kept["id"], kept["patientId"], kept["personId"], kept["status"]) == (
        invite["id"], JANE, person_id, "accepted",
    )  # fmt: skip


async def _much_happens(house: House, count: int) -> None:
    """Write so many events into the trail of Ada, several at each instant."""
    async with house.database.transaction() as tx:
        await tx.execute(
            """
            WITH written AS (
                INSERT INTO events (id, at, transaction, kind, actor_kind, actor_account_id, subject_kind, data)
                SELECT gen_random_uuid(), $2::timestamptz - (n / 4) * interval '1 second', pg_current_xact_id()::text::bigint,
                       'refused', 'account', $1, 'offer', '{}'
                FROM generate_series(1, $3::int) AS n RETURNING id, at
            )
            INSERT INTO event_parties (party_id, at, event_id, party_kind) SELECT $1, at, id, 'account' FROM written""",
            house.accounts["ada"], house.clock(), count,
        )  # fmt: skip


async def _trail_of_ada(house: House) -> list[str]:
    rows = await house.rows(
        "SELECT event_id FROM event_parties WHERE party_id = $1 ORDER BY at DESC, event_id DESC",
        house.accounts["ada"],
    )
    return [str(row["event_id"]) for row in rows]


async def test_an_export_has_the_newest_events_and_says_where_the_others_are(house: House) -> None:
    await _much_happens(house, life.MOST_EXPORTED + 100)
    kept = await _trail_of_ada(house)
    exported = done(await house.ada.get("/v1/accounts/own/export"))
    first = [one["id"] for one in exported["trail"]]
    assert first == kept[: life.MOST_EXPORTED]
    assert exported["next"] == first[-1]
    rest = done(await house.ada.get("/v1/accounts/own/trail", after=exported["next"], limit=200))
    assert [one["id"] for one in rest["trail"]] == kept[life.MOST_EXPORTED :]
    assert rest["next"] is None


async def test_the_trail_is_read_to_its_end_page_by_page_and_nobody_elses(house: House) -> None:
    await _much_happens(house, 23)
    kept = await _trail_of_ada(house)
    seen, page = [], done(await house.ada.get("/v1/accounts/own/trail", limit=5))
    while True:
        assert 1 <= len(page["trail"]) <= 5
        seen += [one["id"] for one in page["trail"]]
        if page["next"] is None:
            break
        page = done(await house.ada.get("/v1/accounts/own/trail", limit=5, after=page["next"]))
    assert seen == kept
    assert len(done(await house.ada.get("/v1/accounts/own/trail"))["trail"]) == len(kept)
    problem(await house.rui.get("/v1/accounts/own/trail", after=kept[0]), 404, "not-found")
    problem(await house.ada.get("/v1/accounts/own/trail", limit=201), 400, "invalid")
    problem(await house.ada.get("/v1/accounts/own/trail", after="nonsense"), 400, "invalid")
    problem(await house.stranger.get("/v1/accounts/own/trail"), 401, "not-signed-in")


async def test_a_page_of_a_trail_is_found_by_the_index_however_long_it_is(house: House) -> None:
    await _much_happens(house, 2_000)
    middle = (await house.rows(
        "SELECT at, event_id FROM event_parties WHERE party_id = $1 ORDER BY at OFFSET 1000 LIMIT 1",
        house.accounts["ada"],
    ))[0]  # fmt: skip
    async with house.database.transaction() as tx:
        await tx.execute("ANALYZE events, event_parties")
        for query, more in (
            (events.NEWEST, {}),
            (events.OLDER, {"at": middle["at"], "event_id": middle["event_id"]}),
        ):
            given = query._arguments({"party_id": house.accounts["ada"], "most": 51, **more})
            plan = "\n".join(
                row[0] for row in await tx.fetch("EXPLAIN (ANALYZE, TIMING OFF) " + query.sql, *given)
            )
            assert "Seq Scan on event_parties_other" not in plan, plan
            read = re.search(r"event_parties_other.*actual rows=(\d+)", plan)
            assert read is not None, plan
            assert int(read[1]) <= 51, plan


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
    assert kept.keys() == {
        "id",
        "email_key",
        "language",
        "self_registered",
        "status",
        "created_at",
        "ended_at",
    }
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


async def test_where_it_was_invited_only_that_it_was_remains(house: House) -> None:
    done(await house.ada.post("/v1/offers", {"email": EVE, "role": "physician"}), 201)
    body = {"token": (await mail_to(house)).token, "password": SECRET}
    done(await house.stranger.post("/v1/offers/accept", body))
    eve = await signs_in(house)
    done(await eve.post("/v1/accounts/own/deletion", {"password": SECRET}))
    (listed,) = done(await house.ada.get("/v1/offers"))["offers"]
    assert (listed["email"], listed["status"]) == ("", "accepted")


async def test_expired_sessions_are_written_down_and_their_tokens_forgotten(house: House) -> None:
    from hospitium.dispatch.sweeps import tidy_sessions  # noqa: PLC0415

    await living(house)
    signed = done(await house.stranger.post("/v1/sessions", {"email": EVE, "password": SECRET}))
    done(await house.stranger.post("/v1/sessions/renewal", {"refreshToken": signed["refreshToken"]}))
    house.clock.advance(days=8)
    await house.sweep(tidy_sessions)
    ends = await house.rows("SELECT end_reason FROM sessions WHERE account_id = $1", await account_id(house))
    assert [row["end_reason"] for row in ends] == ["expired"] * 2
    # The cast's own sessions last for ten years; their refresh tokens don't.
    assert await house.rows("SELECT 1 FROM refresh_tokens") == []
    await house.must_be_sound()


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
