"""One refresh token, sent by sixty-four callers at once: one successor, the same for all (ruling 2)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from cast import House
from engine.ground import NOBODYS_HASH, Ground
from hospitium.engine.ids import new_id
from hospitium.engine.secrets import DerivationKey, LinkToken, derive, seed
from hospitium.engine.sessions import actions, queries
from hospitium.engine.sessions.actions import PasswordVerdict, Renewed, TokenReused
from hospitium.engine.sessions.record import REFRESH_PURPOSE, REPEAT_GRACE
from races.window import Window, take_the_lock_away, tally

CALLERS = 64
KEY = DerivationKey(1, b"k" * 32)


async def signed_in(ground: Ground) -> tuple[Any, LinkToken]:
    first = seed(KEY, REFRESH_PURPOSE, new_id(ground.clock()))
    verdict = PasswordVerdict(ground.actors["ada"].account_id, NOBODYS_HASH, True)
    started = await ground.does("ada", actions.start, verdict, None, first)
    return started.session.id, derive(KEY, REFRESH_PURPOSE, first.row_id, first.nonce)


def renews(ground: Ground, token: LinkToken):
    successor = seed(KEY, REFRESH_PURPOSE, new_id(ground.clock()))
    return lambda: ground.does("ada", actions.renew, token, successor)


async def tokens_of(ground: Ground, session_id: Any) -> int:
    found = await ground.rows("SELECT count(*) AS n FROM refresh_tokens WHERE session_id = $1", session_id)
    count: int = found[0]["n"]
    return count


async def test_all_who_renew_at_once_get_the_same_successor(
    ground: Ground, window: Window, times: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, queries._TOKEN_BY_DIGEST, visit=2)
    for _ in times:
        session_id, token = await signed_in(ground)
        outcomes = await window.race(*(renews(ground, token) for _ in range(CALLERS)))
        assert tally(outcomes) == {"ok": CALLERS}
        assert len({one.token.id for one in outcomes if isinstance(one, Renewed)}) == 1
        assert await tokens_of(ground, session_id) == 2
    assert await ground.violations() == []


async def test_control_without_the_lock_each_gets_a_successor_of_its_own(
    ground: Ground, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, queries._TOKEN_BY_DIGEST, visit=2)
    take_the_lock_away(monkeypatch, queries._LOCK_OPEN)
    session_id, token = await signed_in(ground)
    outcomes = await window.race(*(renews(ground, token) for _ in range(CALLERS)))
    assert len({one.token.id for one in outcomes if isinstance(one, Renewed)}) > 1
    assert await tokens_of(ground, session_id) > 2


async def test_a_copy_that_comes_late_ends_the_session_once_for_all(
    ground: Ground, window: Window, times: range
) -> None:
    for _ in times:
        session_id, token = await signed_in(ground)
        await renews(ground, token)()
        ground.clock.advance(seconds=(REPEAT_GRACE + timedelta(seconds=1)).total_seconds())
        outcomes = await window.race(*(renews(ground, token) for _ in range(CALLERS)))
        assert sum(isinstance(one, TokenReused) for one in outcomes) == 1
        assert tally([one for one in outcomes if not isinstance(one, TokenReused)]) == {
            "SessionEnded": CALLERS - 1
        }
        told = await ground.rows(
            "SELECT kind FROM events WHERE subject_id = $1 ORDER BY position", session_id
        )
        assert [row["kind"] for row in told] == ["session.started", "session.token_reused"]
    assert await ground.violations() == []


async def test_all_who_renew_at_once_over_http_get_the_same_successor(house: House, window: Window) -> None:
    login = await house.stranger.post(
        "/api/auth/login", {"email": "ada@northside.example", "password": "correct horse battery"}
    )
    refresh_token = login.json()["data"]["refreshToken"]
    answers = await window.race(
        *[lambda: house.stranger.post("/api/auth/refresh", {"refreshToken": refresh_token})] * CALLERS
    )
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["data"]["refreshToken"] for answer in answers} | {refresh_token}) == 2
    await house.must_be_sound()
