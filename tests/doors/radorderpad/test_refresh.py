"""POST /api/auth/refresh: rotation, the grace of ten seconds, and what a copy costs (ruling 2)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx

from cast import House, MovableClock, data, refusal
from doors.manners import at_once, bare, everything
from doors.radorderpad.signing_in import bearer, refresh, signed_in
from hospitium.engine.accounts import actions as accounts

SECONDS_10 = timedelta(seconds=10)
DAYS_7 = timedelta(days=7)
MILLISECOND = timedelta(milliseconds=1)


def ended(answered: httpx.Response) -> None:
    refused = refusal(answered, 401, "AUTHENTICATION_REQUIRED")
    assert refused["message"] == "The session has ended; sign in again"


async def nothing_of_it_works(house: House, *pairs: Any) -> None:
    for tokens in pairs:
        ended(await bearer(house, tokens).get("/api/connections/outgoing"))
        ended(await refresh(house, tokens["refreshToken"]))


async def test_it_answers_a_new_pair_in_the_form_of_a_login(house: House, clock: MovableClock) -> None:
    first = await signed_in(house)
    clock.advance(seconds=1)
    second = data(await refresh(house, first["refreshToken"]))
    assert second.keys() == first.keys()
    assert second["user"] == first["user"]
    assert second["token"] == second["accessToken"] != first["token"]
    assert second["refreshToken"] != first["refreshToken"]
    for tokens in (first, second):  # one session: the older access token lives out its hour
        data(await bearer(house, tokens).get("/api/connections/outgoing"))


async def test_only_a_digest_of_a_refresh_token_is_kept(house: House) -> None:
    tokens = await signed_in(house)
    rows = await everything(house)
    assert tokens["refreshToken"] not in str(rows)
    assert tokens["refreshToken"].encode().hex() not in str(rows)


async def test_the_same_token_again_within_ten_seconds_gets_the_same_successor(
    house: House, clock: MovableClock
) -> None:
    first = await signed_in(house)
    second = data(await refresh(house, first["refreshToken"]))
    (row,) = await house.rows("SELECT used_at FROM refresh_tokens WHERE used_at IS NOT NULL")
    for wait in (timedelta(0), SECONDS_10 - MILLISECOND):
        clock.now = row["used_at"] + wait
        again = data(await refresh(house, first["refreshToken"]))
        assert again["refreshToken"] == second["refreshToken"]
        data(await bearer(house, again).get("/api/connections/outgoing"))
    clock.advance(minutes=5)
    data(await refresh(house, second["refreshToken"]))


async def test_the_same_token_after_ten_seconds_ends_the_whole_session(
    house: House, clock: MovableClock
) -> None:
    first = await signed_in(house)
    second = data(await refresh(house, first["refreshToken"]))
    (row,) = await house.rows("SELECT used_at FROM refresh_tokens WHERE used_at IS NOT NULL")
    clock.now = row["used_at"] + SECONDS_10 + MILLISECOND
    ended(await refresh(house, first["refreshToken"]))
    await nothing_of_it_works(house, first, second)
    assert "session.token_reused" in await house.trail(house.accounts["ada"])
    assert "session.token_reused" in await house.trail(house.northside)


async def test_a_token_whose_successor_was_used_ends_the_session_even_within_ten_seconds(
    house: House,
) -> None:
    first = await signed_in(house)
    second = data(await refresh(house, first["refreshToken"]))
    third = data(await refresh(house, second["refreshToken"]))
    ended(await refresh(house, first["refreshToken"]))
    await nothing_of_it_works(house, first, second, third)


async def test_another_session_of_the_same_account_is_not_touched(house: House, clock: MovableClock) -> None:
    one, other = await signed_in(house), await signed_in(house)
    data(await refresh(house, one["refreshToken"]))
    clock.advance(seconds=11)
    ended(await refresh(house, one["refreshToken"]))
    data(await bearer(house, other).get("/api/connections/outgoing"))
    data(await refresh(house, other["refreshToken"]))


async def test_of_16_renewals_at_once_all_get_the_same_successor(house: House) -> None:
    first = await signed_in(house)
    answers = await at_once([refresh(house, first["refreshToken"]) for _ in range(16)])
    successors = {data(answered)["refreshToken"] for answered in answers}
    assert len(successors) == 1
    (session,) = await house.rows(
        "SELECT session_id FROM refresh_tokens WHERE used_at IS NOT NULL GROUP BY session_id"
    )
    rows = await house.rows("SELECT id FROM refresh_tokens WHERE session_id = $1", session["session_id"])
    assert len(rows) == 2
    data(await refresh(house, successors.pop()))


async def test_it_is_good_for_seven_days_and_renewing_gives_seven_more(
    house: House, clock: MovableClock
) -> None:
    first = await signed_in(house)
    (row,) = await house.rows("SELECT expires_at FROM refresh_tokens ORDER BY issued_at DESC LIMIT 1")
    clock.now = row["expires_at"] - MILLISECOND
    second = data(await refresh(house, first["refreshToken"]))
    clock.advance(days=6)
    third = data(await refresh(house, second["refreshToken"]))

    (row,) = await house.rows("SELECT expires_at FROM refresh_tokens ORDER BY issued_at DESC LIMIT 1")
    clock.now = row["expires_at"]
    before = await everything(house)
    ended(await refresh(house, third["refreshToken"]))
    ended(await bearer(house, third).get("/api/connections/outgoing"))
    assert await everything(house) == before


async def test_what_is_no_refresh_token_is_401_and_all_alike(house: House) -> None:
    tokens = await signed_in(house)
    before = await everything(house)
    answers = [
        await refresh(house, token)
        for token in ("", "nonsense", "0" * 32, tokens["token"], tokens["refreshToken"] + "x", "x" * 100_000)
    ]
    for answered in answers:
        ended(answered)
        assert bare(answered) == bare(answers[0])
    assert await everything(house) == before
    for body in ({}, {"refreshToken": None}, {"refreshToken": 1}):
        refused = refusal(await house.stranger.post("/api/auth/refresh", body), 400, "INVALID_PARAMETERS")
        assert refused["error"]["details"].keys() == {"refreshToken"}


async def test_a_disabled_account_renews_nothing(house: House) -> None:
    tokens = await signed_in(house)
    await house.operate(lambda ctx: accounts.disable(ctx, "ada@northside.example"))
    ended(await refresh(house, tokens["refreshToken"]))
    await house.operate(lambda ctx: accounts.enable(ctx, "ada@northside.example"))
    await nothing_of_it_works(house, tokens)
