"""Who measures how long an answer takes learns nothing of whether an address is known. Runs at the large size only.

Known and unknown addresses are asked about in turn. The two samples are compared by the Mann-Whitney test, which looks at the
whole distribution, and by the gap between their medians.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from cast import House, MovableClock
from doors.native.living import SECRET

KNOWN = "ada@northside.example"
LEAST_LIKELIHOOD = 0.01
LARGEST_GAP = 0.001  # seconds
MANY = "1000000"


@pytest.fixture
async def unlimited(database_url: str, clock: MovableClock, tmp_path: Path) -> AsyncIterator[House]:
    """A house that takes as many tries as anybody likes, and sends as many mails."""
    environment = {
        "ADDRESS_FAILURES_PER_MINUTE": MANY,
        "ACCOUNT_FAILURES_PER_HOUR": MANY,
        "MAILBOX_MAILS_PER_HOUR": MANY,
    }
    async with House.open(database_url, clock, tmp_path / "keys", environment) as house:
        yield house


def mann_whitney(first: list[float], second: list[float]) -> float:
    """Return how likely two samples are to differ by as much if they are of one distribution (normal approximation)."""
    ranked = sorted([(value, 0) for value in first] + [(value, 1) for value in second])
    rank_sum = sum(rank for rank, (_, which) in enumerate(ranked, start=1) if which == 0)
    m, n = len(first), len(second)
    u = rank_sum - m * (m + 1) / 2
    deviation = (m * n * (m + n + 1) / 12) ** 0.5
    return 2 * (1 - statistics.NormalDist().cdf(abs(u - m * n / 2) / deviation))


BODIES: dict[str, Callable[[str], dict[str, Any]]] = {
    "/v1/sessions": lambda email: {"email": email, "password": SECRET},
    "/api/auth/login": lambda email: {"email": email, "password": SECRET},
    "/v1/accounts": lambda email: {"email": email, "password": SECRET},
    "/northside/v2/accounts/login": lambda email: {"email": email, "password": SECRET},
    "/northside/v2/accounts/register": lambda email: {"email": email, "password": SECRET},
    "/v1/accounts/confirmation": lambda email: {"email": email},
    "/v1/accounts/password-reset": lambda email: {"email": email},
}


@pytest.mark.usefixtures("slow_hash")
@pytest.mark.soak
@pytest.mark.parametrize("path", BODIES)
async def test_a_known_and_an_unknown_address_take_as_long(unlimited: House, rounds: int, path: str) -> None:
    samples: dict[bool, list[float]] = {True: [], False: []}
    order = random.Random(rounds)
    for turn in range(min(rounds, 2_000) + 20):
        pair = [True, False]
        order.shuffle(pair)
        for known in pair:
            # As long as the known one, and never seen before.
            email = KNOWN if known else f"x{turn:05}@{'y' * (len(KNOWN) - 15)}.example"
            began = time.perf_counter()
            answered = await unlimited.stranger.post(path, BODIES[path](email))
            took = time.perf_counter() - began
            assert answered.status_code in (200, 202, 401, 403)
            assert "kInvalidCredentials" in answered.text or answered.status_code != 403
            if turn >= 20:  # the first ones warm up
                samples[known].append(took)
    gap = abs(statistics.median(samples[True]) - statistics.median(samples[False]))
    likelihood = mann_whitney(samples[True], samples[False])
    print(f"{path}: gap of the medians {gap * 1000:.3f} ms, p = {likelihood:.3f}")
    # On a busy machine a median itself is uncertain: what counts is a gap beyond that.
    uncertain = 2.5 * sum(statistics.stdev(one) ** 2 / len(one) for one in samples.values()) ** 0.5
    assert gap < max(LARGEST_GAP, uncertain)
    assert likelihood > LEAST_LIKELIHOOD


def test_control_the_comparison_sees_a_difference_of_a_tenth() -> None:
    chance = random.Random(3)
    one = [chance.gauss(1.0, 0.2) for _ in range(500)]
    assert mann_whitney(one, [chance.gauss(1.0, 0.2) for _ in range(500)]) > LEAST_LIKELIHOOD
    assert mann_whitney(one, [chance.gauss(1.1, 0.2) for _ in range(500)]) < LEAST_LIKELIHOOD
