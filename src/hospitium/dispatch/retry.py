"""When a mail is tried again: soon at first, then ever more seldom, for three days; then it is given up."""

from __future__ import annotations

from datetime import datetime, timedelta

PAUSES = (
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=15),
    timedelta(hours=1),
    timedelta(hours=2),
    timedelta(hours=4),
    timedelta(hours=8),
    *[timedelta(hours=12)] * 5,
)
JITTER = 0.2  # of a pause, either way: what failed together is not tried together


def next_try(attempts: int, now: datetime, chance: float) -> datetime | None:
    """Return when a mail is tried again after so many tries; None if it is given up. `chance` is from 0 to 1."""
    if attempts > len(PAUSES):
        return None
    return now + PAUSES[max(attempts, 1) - 1] * (1 - JITTER + 2 * JITTER * chance)
