"""Sixty-four callers ask to connect at the same instant: one per pair, and never past a limit.

Each race is followed by its control: the same race with the protection taken away, which must be seen to go wrong.
"""

from __future__ import annotations

from uuid import UUID

import pytest

from cast import House
from engine.ground import Ground
from hospitium.engine import idempotency
from hospitium.engine.context import Context
from hospitium.engine.errors import RejectionCooldown
from hospitium.engine.organizations.queries import LOCK
from hospitium.engine.partnerships import actions
from hospitium.engine.partnerships.queries import FACTS, LOCK_PAIR_OF_PARTNERSHIP
from races.window import Window, take_the_lock_away, tally

CALLERS = 64


async def drop_the_index(ground: Ground) -> None:
    await ground.rows("DROP INDEX partnerships_one_live_per_pair_ix")


async def a_pair(ground: Ground, time: int) -> tuple[str, str]:
    """Add two organizations that nobody knows yet, each with an administrator of its name."""
    names = f"left{time}", f"right{time}"
    await ground.does("operator", ground.add_many, *names)
    return names


# -- both ways at once -------------------------------------------------------------------------------------------------


async def both_ask(ground: Ground, window: Window, left: str, right: str) -> list[object]:
    deeds = [lambda: ground.asks(left, right), lambda: ground.asks(right, left)]
    return await window.race(*(deeds * (CALLERS // 2)))


async def test_of_two_who_ask_each_other_one_asks(
    ground: Ground, window: Window, times: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, FACTS)
    for time in times:
        outcomes = await both_ask(ground, window, *await a_pair(ground, time))
        assert tally(outcomes) == {"ok": 1, "AlreadyConnected": CALLERS - 1}
    assert (await ground.rows("SELECT count(*) AS n FROM partnerships"))[0]["n"] == len(times)
    assert await ground.violations() == []


async def test_control_without_the_lock_the_losers_get_no_refusal(
    ground: Ground, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, FACTS)
    take_the_lock_away(monkeypatch, LOCK)
    outcomes = await both_ask(ground, window, *await a_pair(ground, 0))
    assert tally(outcomes) == {"ok": 1, "UniqueViolationError": CALLERS - 1}
    assert await ground.violations() == []  # the index kept the promise, though not the manners


async def test_control_without_lock_and_index_the_pair_is_live_many_times(
    ground: Ground, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, FACTS)
    take_the_lock_away(monkeypatch, LOCK)
    await drop_the_index(ground)
    outcomes = await both_ask(ground, window, *await a_pair(ground, 0))
    assert tally(outcomes)["ok"] > 1
    assert "D1" in await ground.violations()


async def test_of_two_who_ask_each_other_over_http_one_asks(
    house: House, window: Window, times: range
) -> None:
    for time in times:
        left, right = f"left{time}", f"right{time}"
        left_id, right_id = await house.add_organization(left), await house.add_organization(right)
        first, second = await house.add_person(left, left), await house.add_person(right, right)
        deeds = [lambda: first.asks(right_id), lambda: second.asks(left_id)]  # noqa: B023  used at once
        answers = await window.race(*(deeds * (CALLERS // 2)))
        told = sorted((a.status_code, a.json().get("error", {}).get("code")) for a in answers)
        assert told == [(201, None)] + [(409, "RESOURCE_CONFLICT")] * (CALLERS - 1)
    await house.must_be_sound()


# -- nineteen of twenty ------------------------------------------------------------------------------------------------


async def nineteen_and_sixty_four_more(ground: Ground, window: Window, time: int) -> list[object]:
    await ground.does("operator", ground.add_many, f"asker{time}")

    async def targets(ctx: Context, count: int) -> list[UUID]:
        return [await ground.add_organization(ctx, f"t{time}-{count}-{n}") for n in range(count)]

    for target_id in await ground.does("operator", targets, 19):
        await ground.asks(f"asker{time}", target_id)
    sixty_four = await ground.does("operator", targets, CALLERS)
    return await window.race(
        *(lambda t=target_id: ground.asks(f"asker{time}", t) for target_id in sixty_four)
    )


async def test_the_twentieth_request_is_the_last(
    ground: Ground, window: Window, times: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, FACTS)
    for time in times:
        outcomes = await nineteen_and_sixty_four_more(ground, window, time)
        assert tally(outcomes) == {"ok": 1, "PendingLimitReached": CALLERS - 1}
    assert await ground.violations() == []


async def test_control_without_the_lock_there_are_more_than_twenty(
    ground: Ground, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, FACTS)
    take_the_lock_away(monkeypatch, LOCK)
    outcomes = await nineteen_and_sixty_four_more(ground, window, 0)
    assert tally(outcomes) == {"ok": CALLERS}
    assert await ground.violations() == ["D2-pending"]


# -- every way to a pending partnership of one pair --------------------------------------------------------------------


async def every_way_at_once(ground: Ground, window: Window, time: int) -> list[object]:
    """One pair with a terminated and a rejected partnership: resend, reestablish from both sides, and a new request."""
    left, right = await a_pair(ground, time)
    ended = await ground.asks(left, right)
    await ground.moves(right, "approve", ended)
    await ground.moves(left, "terminate", ended)
    ground.clock.advance(days=31)
    rejected = await ground.asks(left, right)
    await ground.moves(right, "reject", rejected)
    deeds = [
        lambda: ground.moves(left, "resend", rejected),
        lambda: ground.moves(left, "reestablish", ended),
        lambda: ground.moves(right, "reestablish", ended),
        lambda: ground.asks(right, left),
    ]
    return await window.race(*(deeds * (CALLERS // len(deeds))))


async def test_of_all_ways_to_ask_again_one_is_taken(
    ground: Ground, window: Window, times: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, FACTS)
    for time in times:
        outcomes = await every_way_at_once(ground, window, time)
        # Who was rejected and comes before anybody has asked again is still cooling down: reestablishing what is older is no way round.
        found = tally(
            [one for n, one in enumerate(outcomes) if not (n % 4 == 1 and isinstance(one, RejectionCooldown))]
        )
        assert found["ok"] == 1
        assert set(found) <= {"ok", "AlreadyConnected", "WrongState"}
    assert await ground.violations() == []


async def test_control_without_the_locks_the_losers_of_asking_again_get_no_refusal(
    ground: Ground, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, FACTS)
    take_the_lock_away(monkeypatch, LOCK, LOCK_PAIR_OF_PARTNERSHIP)
    assert "UniqueViolationError" in tally(await every_way_at_once(ground, window, 0))


async def test_control_without_locks_and_index_the_pair_is_asked_again_many_times(
    ground: Ground, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, FACTS)
    take_the_lock_away(monkeypatch, LOCK, LOCK_PAIR_OF_PARTNERSHIP)
    await drop_the_index(ground)
    assert tally(await every_way_at_once(ground, window, 0))["ok"] > 1
    assert "D1" in await ground.violations()


# -- the same request many times ---------------------------------------------------------------------------------------


async def one_key(ground: Ground, window: Window, time: int, digests: list[bytes]) -> list[object]:
    left, right = await a_pair(ground, time)

    async def once(ctx: Context, digest: bytes) -> bytes | None:
        kept = await idempotency.claim(ctx, "key", digest)
        if kept is not None:
            return kept.answer
        made = await actions.request(ctx, ground.organizations[right], None, ground.rules)
        answer = str(made.partnership.id).encode()
        await idempotency.keep(ctx, "key", 201, answer)
        return answer

    return await window.race(*(lambda d=digest: ground.does(left, once, d) for digest in digests))


async def test_one_key_is_one_request_and_one_answer(
    ground: Ground, window: Window, times: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.after(monkeypatch, idempotency._CLAIM, "run")
    for time in times:
        answers = await one_key(ground, window, time, [b"same"] * CALLERS)
        assert tally(answers) == {"ok": CALLERS}
        assert len(set(answers)) == 1
    assert (await ground.rows("SELECT count(*) AS n FROM partnerships"))[0]["n"] == len(times)
    assert await ground.violations() == []


async def test_one_key_with_two_requests_is_the_first_ones(
    ground: Ground, window: Window, times: range
) -> None:
    for time in times:
        answers = await one_key(ground, window, time, [b"one", b"two"] * (CALLERS // 2))
        assert tally(answers) == {"ok": CALLERS // 2, "KeyReused": CALLERS // 2}
        assert len({answer for answer in answers if isinstance(answer, bytes)}) == 1


async def test_control_without_the_claim_a_repeat_is_refused_as_a_second(
    ground: Ground, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def everyone_is_first(tx: object, /, **given: object) -> int:
        return 1

    monkeypatch.setattr(idempotency._CLAIM, "run", everyone_is_first)
    answers = await one_key(ground, window, 0, [b"same"] * CALLERS)
    assert tally(answers) == {"ok": 1, "AlreadyConnected": CALLERS - 1}


async def test_one_key_over_http_is_one_answer_byte_for_byte(house: House, window: Window) -> None:
    answers = await window.race(
        *[lambda: house.ada.asks(house.lakeside, "Hello", Idempotency_Key="one-and-only")] * CALLERS
    )
    assert {(answer.status_code, answer.content) for answer in answers} == {(201, answers[0].content)}
    refused = await house.ada.asks(house.lakeside, "Hello again", Idempotency_Key="one-and-only")
    assert refused.status_code == 422
    assert len(await house.rows("SELECT FROM partnerships")) == 1
    await house.must_be_sound()
