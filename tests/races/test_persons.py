"""Persons, each by many callers at once: one owner, one answer to an offer, and nobody who is gone looks after anybody.

Each race is followed by its control: the same race with the protection taken away, which must be seen to go wrong.
"""

from __future__ import annotations

from functools import partial
from uuid import UUID

import pytest

from engine import caring
from engine.ground import Ground
from hospitium.engine.accounts import queries as account_queries
from hospitium.engine.levels import Level
from hospitium.engine.persons import actions, offering, queries
from races.window import Window, take_the_lock_away, tally

CALLERS = 64


async def a_family(ground: Ground) -> tuple[UUID, list[UUID]]:
    """Make a person that pat owns; return it, and who else looks after it."""
    person_id = await caring.a_family(ground)
    others = [ground.actors[name].account_id for name in caring.LEVELS]
    return person_id, [one for one in others if one is not None]


async def everybody_is_given_it(ground: Ground, window: Window) -> tuple[UUID, dict[str, int]]:
    person_id, others = await a_family(ground)
    deeds = [
        partial(ground.does, "pat", actions.transfer, person_id, others[n % len(others)])
        for n in range(CALLERS)
    ]
    return person_id, tally(await window.race(*deeds))


async def test_of_all_to_whom_it_is_given_one_owns_it(
    ground: Ground, window: Window, times: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, queries._LOCK)
    for _ in times:
        person_id, outcomes = await everybody_is_given_it(ground, window)
        assert outcomes == {"ok": 1, "Forbidden": CALLERS - 1}
        owners = [
            role for role in (await caring.who_looks_after(ground, person_id)).values() if role == "owner"
        ]
        assert owners == ["owner"]
    assert await ground.violations() == []


async def test_control_without_the_lock_it_is_the_index_that_keeps_one_owner(
    ground: Ground, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, queries._LOCK)
    take_the_lock_away(monkeypatch, queries._LOCK)
    _, outcomes = await everybody_is_given_it(ground, window)
    # Nobody was told who has it by now: they found their row ended under them.
    assert outcomes["Forbidden"] < CALLERS - 1
    assert await ground.violations() == []


async def test_an_offer_is_accepted_or_withdrawn_and_never_both(
    ground: Ground, window: Window, times: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, queries._LOCK)
    for _ in times:
        person_id, _ = await a_family(ground)
        offer = await ground.does("pat", caring.offers, person_id, "rui")
        accepting = [partial(ground.does, "rui", caring.accept, offer)] * (CALLERS // 2)
        withdrawing = [partial(ground.does, "pat", offering.withdraw, person_id, offer.id)] * (CALLERS // 2)
        outcomes = tally(await window.race(*accepting, *withdrawing))
        assert outcomes == {"ok": 1, "WrongState": CALLERS - 1}
        (row,) = await ground.rows("SELECT status FROM person_offers WHERE id = $1", offer.id)
        assert ("rui" in await caring.who_looks_after(ground, person_id)) is (row["status"] == "accepted")
    assert await ground.violations() == []


async def test_what_an_administrator_offers_while_he_is_taken_out_is_withdrawn_with_him(
    ground: Ground, window: Window, times: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, queries._LOCK)
    for _ in times:
        person_id, others = await a_family(ground)
        offering_it = partial(ground.does, "ada", caring.offers, person_id, "zoe")
        taking_out = partial(ground.does, "pat", actions.end_role, person_id, others[0])
        outcomes = tally(await window.race(offering_it, taking_out))
        assert outcomes["ok"] >= 1
        assert await ground.rows("SELECT 1 FROM person_offers WHERE status = 'pending'") == []
    assert await ground.violations() == []


async def test_control_without_the_lock_an_offer_outlives_the_right_to_make_it(
    ground: Ground, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_the_lock_away(monkeypatch, queries._LOCK)
    person_id, others = await a_family(ground)
    # Held where he was just seen to be an administrator, until he is none.
    window.after(monkeypatch, queries._PENDING_TO)
    offering_it = partial(ground.does, "ada", caring.offers, person_id, "zoe")
    taking_out = window.behind(partial(ground.does, "pat", actions.end_role, person_id, others[0]))
    assert tally(await window.race(offering_it, taking_out)) == {"ok": 2}
    assert await ground.violations() == ["P3"]


async def an_account_goes_while_it_accepts(ground: Ground, window: Window) -> dict[str, int]:
    person_id = await ground.does("pat", caring.a_person)
    offer = await ground.does("pat", caring.offers, person_id, "rui", Level.DELETE)
    goes = partial(ground.does, "operator", caring.goes, "rui")
    accepts = window.behind(partial(ground.does, "rui", caring.accept, offer))
    return tally(await window.race(goes, accepts))


async def test_whoever_goes_while_he_accepts_looks_after_nobody(
    ground: Ground, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, account_queries._LOCK)
    assert await an_account_goes_while_it_accepts(ground, window) == {"ok": 1, "SessionEnded": 1}
    assert await ground.violations() == []


async def test_control_without_holding_the_account_one_that_is_gone_looks_after_somebody(
    ground: Ground, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, account_queries._LOCK)
    take_the_lock_away(monkeypatch, account_queries._HOLD_ALL)
    assert await an_account_goes_while_it_accepts(ground, window) == {"ok": 2}
    assert await ground.violations() == ["A3"]
