"""Cool-downs, and the exemption from them: once per cycle of 30 days (ruling 8)."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import msgspec
import pytest

from engine.ground import Ground
from hospitium.engine.errors import RejectionCooldown, TerminationCooldown
from hospitium.engine.partnerships import actions as partnerships

COOLDOWN = timedelta(days=30)
TICK = timedelta(microseconds=1)


async def rejected(
    ground: Ground, who: str = "ada", target: str = "lakeside", by: str = "rui"
) -> tuple[UUID, datetime]:
    """Let somebody be rejected; return the partnership and when."""
    partnership_id = await ground.asks(who, target)
    return partnership_id, await reject(ground, by, partnership_id)


async def reject(ground: Ground, by: str, partnership_id: UUID) -> datetime:
    at = (await ground.moves(by, "reject", partnership_id)).partnership.responded_at
    assert at is not None
    return at


async def terminated(ground: Ground) -> tuple[UUID, datetime]:
    partnership_id = await ground.asks("ada", "lakeside")
    await ground.moves("rui", "approve", partnership_id)
    at = (await ground.moves("ada", "terminate", partnership_id)).partnership.terminated_at
    assert at is not None
    return partnership_id, at


async def test_a_new_request_waits_thirty_days_after_a_rejection_to_the_microsecond(ground: Ground) -> None:
    _, at = await rejected(ground)
    for early in (at + TICK, at + COOLDOWN - TICK):
        with pytest.raises(RejectionCooldown) as refused:
            await ground.asks("ada", "lakeside", now=early)
        assert refused.value.until == at + COOLDOWN
    await ground.asks("ada", "lakeside", now=at + COOLDOWN)


async def test_a_new_request_waits_thirty_days_after_a_termination_whoever_asks(ground: Ground) -> None:
    _, at = await terminated(ground)
    for who, target in (("ada", "lakeside"), ("rui", "northside")):
        with pytest.raises(TerminationCooldown) as refused:
            await ground.asks(who, target, now=at + COOLDOWN - TICK)
        assert refused.value.until == at + COOLDOWN
    await ground.asks("rui", "northside", now=at + COOLDOWN)


async def test_who_rejected_may_ask_the_other_way_at_once(ground: Ground) -> None:
    await rejected(ground)
    await ground.asks("rui", "northside")


async def test_a_rejection_is_remembered_though_it_was_sent_again_and_canceled(ground: Ground) -> None:
    partnership_id, at = await rejected(ground)
    await ground.moves("ada", "resend", partnership_id)
    await ground.moves("ada", "cancel", partnership_id)
    with pytest.raises(RejectionCooldown) as refused:
        await ground.asks("ada", "lakeside")
    assert refused.value.until == at + COOLDOWN
    await ground.asks("ada", "lakeside", now=at + COOLDOWN)


async def test_a_termination_is_remembered_though_it_was_taken_up_again_and_canceled(ground: Ground) -> None:
    partnership_id, at = await terminated(ground)
    await ground.moves("rui", "reestablish", partnership_id)
    await ground.moves("rui", "cancel", partnership_id)
    with pytest.raises(TerminationCooldown):
        await ground.asks("rui", "northside", now=at + COOLDOWN - TICK)
    await ground.asks("rui", "northside", now=at + COOLDOWN)


async def test_one_resend_is_exempt_and_the_next_waits_for_the_next_cycle(ground: Ground) -> None:
    partnership_id, _ = await rejected(ground)
    used = (await ground.moves("ada", "resend", partnership_id)).partnership.requested_at
    await reject(ground, "rui", partnership_id)
    for early in (ground.clock(), used + COOLDOWN - TICK):
        with pytest.raises(RejectionCooldown) as refused:
            await ground.moves("ada", "resend", partnership_id, now=early)
        assert refused.value.until == used + COOLDOWN
    await ground.moves("ada", "resend", partnership_id, now=used + COOLDOWN)


async def test_a_resend_that_waited_uses_no_exemption(ground: Ground) -> None:
    partnership_id, at = await rejected(ground)
    ground.clock.now = at + COOLDOWN
    await ground.moves("ada", "resend", partnership_id)
    await reject(ground, "rui", partnership_id)
    await ground.moves("ada", "resend", partnership_id)


async def test_one_reestablishing_is_exempt_and_the_next_waits_whoever_it_is(ground: Ground) -> None:
    partnership_id, _ = await terminated(ground)
    used = (await ground.moves("ada", "reestablish", partnership_id)).partnership.requested_at
    await ground.moves("rui", "approve", partnership_id)
    await ground.moves("rui", "terminate", partnership_id)
    for who in ("ada", "rui"):
        with pytest.raises(TerminationCooldown) as refused:
            await ground.moves(who, "reestablish", partnership_id, now=used + COOLDOWN - TICK)
        assert refused.value.until == used + COOLDOWN
    await ground.moves("rui", "reestablish", partnership_id, now=used + COOLDOWN)


async def test_an_exemption_is_used_up_only_for_who_used_it(ground: Ground) -> None:
    """Ada sends again; later rui takes it up again and is rejected himself: his first resend is still exempt."""
    partnership_id, _ = await rejected(ground)
    await ground.moves("ada", "resend", partnership_id)
    await ground.moves("rui", "approve", partnership_id)
    await ground.moves("rui", "terminate", partnership_id)
    await ground.moves("rui", "reestablish", partnership_id)
    await reject(ground, "ada", partnership_id)
    await ground.moves("rui", "resend", partnership_id)
    assert await ground.violations() == []


async def test_only_the_latest_of_a_pair_is_exempt(ground: Ground) -> None:
    """Who digs out an older rejection obeys the cool-down of what came since."""
    older, at = await rejected(ground)
    ground.clock.now = at + COOLDOWN
    latest, at = await rejected(ground)
    with pytest.raises(RejectionCooldown) as refused:
        await ground.moves("ada", "resend", older)
    assert refused.value.until == at + COOLDOWN
    await ground.moves("ada", "resend", latest)


async def test_of_two_cool_downs_the_longer_one_is_told(ground: Ground) -> None:
    _, ended = await terminated(ground)
    ground.clock.now = ended + COOLDOWN - timedelta(days=1)
    with pytest.raises(TerminationCooldown) as terminated_lately:
        await ground.asks("ada", "lakeside")
    assert terminated_lately.value.until == ended + COOLDOWN
    ground.clock.now = ended + COOLDOWN
    _, at = await rejected(ground)
    with pytest.raises(RejectionCooldown) as rejected_lately:
        await ground.asks("ada", "lakeside")
    assert rejected_lately.value.until == at + COOLDOWN


async def test_who_takes_it_up_again_speaks_his_own_words(ground: Ground) -> None:
    """What ada once wrote is not put into rui's mouth; ada's own stays hers."""
    partnership_id = await ground.asks("ada", "lakeside", message="We are ada's")
    for who, kept in (("ada", "We are ada's"), ("rui", None)):
        await ground.moves("rui", "approve", partnership_id)  # ada has asked, both times
        await ground.moves("ada", "terminate", partnership_id)
        ground.clock.advance(days=31)
        view = await ground.does(who, partnerships.reestablish, partnership_id, None, ground.rules)
        assert view.partnership.message == kept


async def test_the_exemption_can_be_switched_off(ground: Ground) -> None:
    partnership_id, at = await rejected(ground)
    ground.rules = msgspec.structs.replace(ground.rules, resend_is_exempt=False)
    with pytest.raises(RejectionCooldown):
        await ground.moves("ada", "resend", partnership_id)
    await ground.moves("ada", "resend", partnership_id, now=at + COOLDOWN)


async def test_without_cool_downs_nobody_waits(ground: Ground) -> None:
    ground.rules = msgspec.structs.replace(
        ground.rules, rejection_cooldown=timedelta(0), termination_cooldown=timedelta(0)
    )
    await rejected(ground)
    await terminated(ground)
    await ground.asks("rui", "northside")
