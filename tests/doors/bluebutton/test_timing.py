"""Who measures how long an answer takes can't tell a code that was used, locked or bound from one that nobody ever had, nor learn from an
invite whether an address is known (rulings 18 and 19, threats A-19). Runs at the large size only."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from cast import House, MovableClock
from clinic import ANSWER, Clinic, accepts_by_code, body, finds, makes_person, registers
from doors.bluebutton.desk import by_code, wide
from doors.native.test_timing import LARGEST_GAP, LEAST_LIKELIHOOD, mann_whitney
from hospitium.engine.invites.codes import InviteCode

SAMPLES, WARMING = 500, 20

pytestmark = [pytest.mark.soak, pytest.mark.usefixtures("slow_hash")]


@pytest.fixture
async def clinic(database_url: str, clock: MovableClock, tmp_path: Path) -> AsyncIterator[Clinic]:
    """A clinic in a house that takes as many tries as anybody likes."""
    async with House.open(
        database_url, clock, tmp_path / "keys", wide(MAILBOX_MAILS_PER_HOUR="1000000")
    ) as house:
        yield await Clinic.open(house)


async def must_take_as_long(what: str, ask: Callable[[bool, int], Awaitable[httpx.Response]]) -> None:
    """Ask for the known and the unknown in turn, and compare how long both took."""
    samples: dict[bool, list[float]] = {True: [], False: []}
    order = random.Random(what)
    for turn in range(SAMPLES + WARMING):
        pair = [True, False]
        order.shuffle(pair)
        statuses = set()
        for known in pair:
            began = time.perf_counter()
            answered = await ask(known, turn)
            took = time.perf_counter() - began
            statuses.add(answered.status_code)
            if turn >= WARMING:
                samples[known].append(took)
        assert len(statuses) == 1
    gap = abs(statistics.median(samples[True]) - statistics.median(samples[False]))
    likelihood = mann_whitney(samples[True], samples[False])
    print(f"{what}: gap of the medians {gap * 1000:.3f} ms, p = {likelihood:.3f}")
    # On a busy machine a median itself is uncertain: what counts is a gap beyond that.
    uncertain = 2.5 * sum(statistics.stdev(one) ** 2 / len(one) for one in samples.values()) ** 0.5
    assert gap < max(LARGEST_GAP, uncertain)
    assert likelihood > LEAST_LIKELIHOOD


async def dead(clinic: Clinic, kind: str) -> str:
    """Return a code that is good no more."""
    house, made = clinic.house, body(await clinic.invites_by_code())
    code = str(made["securityCode"])
    match kind:
        case "used":
            body(await accepts_by_code(house.zoe, code, await makes_person(house.zoe)))
        case "locked":
            for _ in range(5):
                await finds(house.pat, code, "Rex")
        case "expired":
            await house.rows("UPDATE invites SET expires_at = created_at + interval '1 microsecond'")
        case "bound to another":
            body(await registers(house.stranger, code, "eve@mail.example", ANSWER))
    return code


@pytest.mark.parametrize("route", ["question", "find", "register", "accept"])
@pytest.mark.parametrize("kind", ["used", "locked", "expired", "bound to another"])
async def test_a_dead_code_takes_as_long_as_one_that_nobody_has(
    clinic: Clinic, kind: str, route: str
) -> None:
    pat = clinic.house.pat
    ask = by_code(await makes_person(pat))[route]
    code = await dead(clinic, kind)
    # Among many: what is looked for stands in an index.
    for _ in range(50):
        await clinic.invites_by_code()

    async def asks(known: bool, turn: int) -> httpx.Response:
        answered = await ask(pat, code if known else InviteCode.new().reveal())
        assert answered.status_code == 404
        return answered

    await must_take_as_long(f"{route} of a code that is {kind}", asks)


async def test_an_invite_to_a_known_address_takes_as_long_as_to_an_unknown_one(clinic: Clinic) -> None:
    known = "pat@mail.example"

    async def asks(is_known: bool, turn: int) -> httpx.Response:
        # As long as the known one, and never seen before.
        email = known if is_known else f"{turn:03}@mail.example"
        answered = await clinic.invites_by_email(email)
        assert answered.status_code == 200
        return answered

    await must_take_as_long("an invite by e-mail", asks)
