"""Which span of time a date of FHIR stands for: `2013-01` is a month, `2013-01-14T10:00Z` a minute; its end is outside of it.

https://hl7.org/fhir/R4/datatypes.html#dateTime, https://hl7.org/fhir/R4/search.html#date. Without a time zone, UTC is meant.
"""

from __future__ import annotations

import re
from datetime import MAXYEAR, UTC, datetime, timedelta, timezone
from typing import Any, NamedTuple

BEGINNING = datetime.min.replace(tzinfo=UTC)
END = datetime.max.replace(tzinfo=UTC)
_DATE = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d:\d\d)?)?)?)?",
    re.ASCII,
)


class Span(NamedTuple):
    """From when until when; its end is outside of it."""

    start: datetime
    until: datetime


def span(text: str) -> Span | None:
    """Return the span a date, dateTime or instant stands for; None if it is none, or beyond the ends of time."""
    found = _DATE.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    try:
        start = datetime(
            int(year), int(month or 1), int(day or 1), int(hour or 0), int(minute or 0), int(second or 0),
            int((fraction or "")[:6].ljust(6, "0")), tzinfo=UTC,
        )  # fmt: skip
        offset = _offset(zone)
    except ValueError:
        return None
    if month is None:
        until = start.replace(year=start.year + 1) if start.year < MAXYEAR else END
    elif day is None:
        until = _next_month(start)
    else:
        until = _later(start, _resolution(hour, second, fraction))
    whole = Span(_later(start, -offset), _later(until, -offset))
    return whole if whole.start < whole.until else None  # at the ends of time nothing may be left of it


def span_of(value: Any) -> Span | None:
    """Return the span of an element that holds a date: a date itself, a Period, or the outer limits of a Timing."""
    match value:
        case str():
            return span(value)
        case {"event": [*events]}:
            return _around([span_of(one) for one in events])
        case (
            {"repeat": {"boundsPeriod": dict() as period}} | ({"start": _} as period) | ({"end": _} as period)
        ):
            return _period(period)
    return None


def _period(period: dict[str, Any]) -> Span | None:
    start, end = (span_of(period[name]) if name in period else None for name in ("start", "end"))
    if start is None and end is None:
        return None
    whole = Span(start.start if start else BEGINNING, end.until if end else END)
    return whole if whole.start < whole.until else None


def _around(spans: list[Span | None]) -> Span | None:
    found = [one for one in spans if one is not None]
    return Span(min(one.start for one in found), max(one.until for one in found)) if found else None


def _offset(zone: str | None) -> timedelta:
    if zone is None or zone == "Z":
        return timedelta(0)
    size = timedelta(hours=int(zone[1:3]), minutes=int(zone[4:6]))
    if int(zone[4:6]) > 59 or size > timedelta(hours=14):  # noqa: PLR2004  as XML Schema has it, which FHIR refers to
        raise ValueError(zone)
    return timezone(size if zone[0] == "+" else -size).utcoffset(None)


def _resolution(hour: str | None, second: str | None, fraction: str | None) -> timedelta:
    if hour is None:
        return timedelta(days=1)
    if second is None:
        return timedelta(minutes=1)
    # Finer than a microsecond nothing is kept.
    return timedelta(microseconds=10 ** max(0, 6 - len(fraction or "")))


def _next_month(start: datetime) -> datetime:
    if start.month < 12:  # noqa: PLR2004  December is the last one
        return start.replace(month=start.month + 1)
    return start.replace(year=start.year + 1, month=1) if start.year < MAXYEAR else END


def _later(instant: datetime, by: timedelta) -> datetime:
    """Add to an instant, and stay within what there is of time."""
    try:
        return instant + by
    except OverflowError:
        return END if by > timedelta(0) else BEGINNING
