"""What a benchmark says: ratios first, then the numbers they are made of, then how they were made."""

from __future__ import annotations

import os
import statistics
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def size(name: str, default: int) -> int:
    """Return how much of something a benchmark takes: `BENCH_…` in the environment, a number for minutes otherwise."""
    return int(os.environ.get(f"BENCH_{name}", default))


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def slowest_but(values: Sequence[float], share: float) -> float:
    """Return the value that all but a share of the values stay at or below: 0.05 for p95."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(len(ordered) * (1 - share)))]


class Sheet:
    """The figures of one benchmark."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._ratios: list[str] = []
        self._numbers: list[str] = []
        self._made = ""

    def ratio(
        self, value: float, sentence: str, *, at_most: float | None = None, at_least: float | None = None
    ) -> None:
        """Add a ratio, and its target if it has one."""
        target = ""
        if at_most is not None:
            target = f"  [target ≤ {at_most:g}: {'met' if value <= at_most else 'MISSED'}]"
        if at_least is not None:
            target = f"  [target ≥ {at_least:g}: {'met' if value >= at_least else 'MISSED'}]"
        self._ratios.append(f"  RATIO {value:7.3f}  {sentence}{target}")

    def number(self, name: str, value: str) -> None:
        """Add one of the numbers that ratios are made of."""
        self._numbers.append(f"        {name:62} {value}")

    def made(self, sentence: str) -> None:
        """Say how the figures were made."""
        self._made = sentence

    def text(self, seconds: float) -> str:
        """Return the sheet as it is printed."""
        return "\n".join(
            [self._name, *self._ratios, *self._numbers, f"  MADE  {self._made} ({seconds:.0f} s)", ""]
        )
