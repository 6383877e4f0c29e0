"""A request that creates can be repeated without creating twice (ruling 27)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from engine.ground import Ground
from hospitium.dispatch.sweeps import forget_idempotency_keys
from hospitium.engine import idempotency
from hospitium.engine.context import Context
from hospitium.engine.errors import Invalid, KeyReused, NotSignedIn

DAY = timedelta(hours=24)


async def claim(ctx: Context, key: str = "k", digest: bytes = b"one") -> idempotency.KeptAnswer | None:
    return await idempotency.claim(ctx, key, digest)


async def claim_and_keep(ctx: Context, key: str = "k", digest: bytes = b"one", answer: bytes = b"{}") -> None:
    assert await claim(ctx, key, digest) is None
    await idempotency.keep(ctx, key, 201, answer)


async def test_the_first_answers_and_a_repeat_gets_that_answer(ground: Ground) -> None:
    await ground.does("ada", claim_and_keep)
    for _ in range(3):
        kept = await ground.does("ada", claim)
        assert (kept.status, kept.answer) == (201, b"{}")


async def test_the_same_key_with_another_request_is_refused_and_keeps_the_first(ground: Ground) -> None:
    await ground.does("ada", claim_and_keep)
    with pytest.raises(KeyReused):
        await ground.does("ada", claim, digest=b"two")
    assert (await ground.does("ada", claim)).answer == b"{}"


async def test_a_key_is_its_accounts_own(ground: Ground) -> None:
    await ground.does("ada", claim_and_keep)
    assert await ground.does("rui", claim, digest=b"two") is None
    for nobody in ("operator", "system"):
        with pytest.raises(NotSignedIn):
            await ground.does(nobody, claim)


async def test_a_deed_that_is_refused_gives_its_key_back(ground: Ground) -> None:
    async with ground.trial() as tx:
        await claim_and_keep(ground.context(tx, "ada"))
    assert await ground.does("ada", claim, digest=b"two") is None


@pytest.mark.parametrize(("microseconds", "lives"), [(-1, True), (0, False), (1, False)])
async def test_it_lives_for_24_hours_to_the_microsecond(
    ground: Ground, microseconds: int, lives: bool
) -> None:
    now = ground.clock()
    await ground.does("ada", claim_and_keep, now=now)
    at = now + DAY + timedelta(microseconds=microseconds)
    if lives:
        assert (await ground.does("ada", claim, now=at)).answer == b"{}"
        with pytest.raises(KeyReused):
            await ground.does("ada", claim, digest=b"two", now=at)
    else:
        await ground.does("ada", claim_and_keep, digest=b"two", answer=b"[]", now=at)
        assert (await ground.does("ada", claim, digest=b"two", now=at + timedelta(hours=23))).answer == b"[]"


async def test_the_sweep_forgets_what_outlived_and_nothing_else(ground: Ground) -> None:
    now = ground.clock()
    await ground.does("ada", claim_and_keep, "old", now=now)
    await ground.does("ada", claim_and_keep, "young", now=now + timedelta(seconds=1))
    assert not await ground.does("system", forget_idempotency_keys, now=now + DAY)
    assert [row["key"] for row in await ground.rows("SELECT key FROM idempotency_keys")] == ["young"]


@pytest.mark.parametrize("key", ["", "a" * 256, "a\nb", "a\0b", "\u200e", "\u2028"], ids=ascii)
async def test_a_key_that_is_none_is_refused(ground: Ground, key: str) -> None:
    with pytest.raises(Invalid) as refused:
        await ground.does("ada", claim, key)
    assert refused.value.field == "Idempotency-Key"


@pytest.mark.parametrize(
    "key",
    ["a", "A", "a b", "ä" * 255, '"8e03978e-40d5-43dd-bc93-6894a57f9324"', "%_\\';--"],
    ids=lambda key: ascii(key[:20]),
)
async def test_any_other_key_is_compared_exactly(ground: Ground, key: str) -> None:
    for other in ("x", "y"):
        await ground.does("ada", claim_and_keep, other)
    await ground.does("ada", claim_and_keep, key)
    assert (await ground.does("ada", claim, key)).answer == b"{}"
    assert await ground.does("ada", claim, key.swapcase()[:254] + "!", b"two") is None
