"""May a FHIR server be asked now? One that failed several times in a row is left in peace for a while, and whoever asks is told at once.

What counts as failing is being away or slow; an answer, however wrong, is no reason not to ask the next question.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

FAILURES = 5  # in a row, until it is left in peace
PAUSE = 30.0  # seconds of peace; then one may try, and the others wait for what he finds
AT_ONCE = 16  # requests under way to one server; a slow one holds no more of us than that


class Breaker:
    """How asking one server has gone lately, as far as this process knows."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._failures = 0
        self._broken_at: datetime | None = None
        self._someone_tries = False
        self._under_way = 0

    @property
    def is_open(self) -> bool:
        """Whether the server is being left in peace, or one tries it again."""
        return self._broken_at is not None

    @property
    def is_as_new(self) -> bool:
        """Whether there is nothing to remember."""
        return not (self._failures or self._under_way or self.is_open)

    def enter(self) -> int:
        """Count a request in and return 0, or return how many seconds to wait. Whoever got 0 calls `leave`."""
        if self._broken_at is not None:
            since = (self._clock() - self._broken_at).total_seconds()
            # A clock that was set back since is no reason to wait for longer.
            if 0 <= since < PAUSE:
                return math.ceil(PAUSE - since)
            if self._someone_tries:
                return 1
            self._someone_tries = True
        elif self._under_way >= AT_ONCE:
            return 1
        self._under_way += 1
        return 0

    def leave(self, *, was_there: bool | None) -> None:
        """Count a request out: whether the server was there, or None if nobody waited to see."""
        self._under_way -= 1
        if was_there:
            self._failures, self._broken_at = 0, None
        elif was_there is not None:
            self._failures += 1
            if self._someone_tries or (self._broken_at is None and self._failures >= FAILURES):
                self._broken_at = self._clock()
        self._someone_tries = False
