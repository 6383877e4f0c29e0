"""Where the line of a small chart goes: instants and values in, points of a picture out. What isn't there isn't drawn.

A picture is 320 wide and 96 high, in units of its own. Time goes to the right, as long as it was; a value goes up. Between two values the line is
straight, and says nothing of what was between.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

WIDTH, HEIGHT = 320, 96
EDGE = 8
"""What is kept free on each side, so that a dot is whole."""
FEWEST = 2


class Point(NamedTuple):
    """A value at an instant, in seconds since any."""

    at: float
    value: float


class Range(NamedTuple):
    """From where to where values are usual; None where it is open."""

    low: float | None
    high: float | None


class Drawing(NamedTuple):
    """A chart: its line, its dots (x, y), and its band of usual values (y and height; None if there is none)."""

    line: str
    dots: tuple[tuple[float, float], ...]
    band: tuple[float, float] | None


def number(value: Decimal | float | None) -> float | None:
    """Return a value as it can be drawn; None if it is none, or beyond what can be reckoned with."""
    if value is None or isinstance(value, bool):
        return None
    try:
        found = float(value)
    except (OverflowError, ValueError):
        return None
    # A tenth of the greatest one, so that no difference of two is beyond it.
    return found if math.isfinite(found) and abs(found) < 1e307 else None  # noqa: PLR2004


def drawing(points: Sequence[Point], usual: Range | None = None) -> Drawing | None:
    """Return the chart of some values, in any order; None if there are fewer than two instants, so that there is no line."""
    ordered = sorted(points)
    if len({point.at for point in ordered}) < FEWEST:
        return None
    first, last = ordered[0].at, ordered[-1].at
    bounds = [bound for bound in usual or () if bound is not None]
    values = [point.value for point in ordered] + bounds
    lowest, highest = min(values), max(values)
    dots = tuple(
        (
            _place(point.at, first, last, EDGE, WIDTH - EDGE),
            _place(point.value, lowest, highest, HEIGHT - EDGE, EDGE),
        )
        for point in ordered
    )
    band = None
    if usual is not None and bounds:
        top = 0.0 if usual.high is None else _place(usual.high, lowest, highest, HEIGHT - EDGE, EDGE)
        foot = float(HEIGHT) if usual.low is None else _place(usual.low, lowest, highest, HEIGHT - EDGE, EDGE)
        band = (top, round(foot - top, 1)) if foot > top else None
    return Drawing("M" + "L".join(f"{x:g} {y:g}" for x, y in dots), dots, band)


def _place(value: float, low: float, high: float, start: float, end: float) -> float:
    """Return where a value of a span lies between two edges; in the middle, if the span has no width."""
    if high <= low:
        return round((start + end) / 2, 1)
    return round(start + (value - low) / (high - low) * (end - start), 1)
