"""A date of FHIR stands for a span of time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from hospitium.engine.fhir_resources.dates import BEGINNING, END, Span, span, span_of


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type,misc]


@pytest.mark.parametrize(
    ("text", "start", "until"),
    [
        ("2013", at(2013, 1, 1), at(2014, 1, 1)),
        ("2012-02", at(2012, 2, 1), at(2012, 3, 1)),
        ("2012-12", at(2012, 12, 1), at(2013, 1, 1)),
        ("2012-02-29", at(2012, 2, 29), at(2012, 3, 1)),
        ("2013-01-14T10:00", at(2013, 1, 14, 10), at(2013, 1, 14, 10, 1)),
        ("2013-01-14T10:00Z", at(2013, 1, 14, 10), at(2013, 1, 14, 10, 1)),
        ("2013-01-14T10:00:05+02:00", at(2013, 1, 14, 8, 0, 5), at(2013, 1, 14, 8, 0, 6)),
        ("2013-01-14T23:00:05-05:30", at(2013, 1, 15, 4, 30, 5), at(2013, 1, 15, 4, 30, 6)),
        ("2013-01-14T10:00:05.1Z", at(2013, 1, 14, 10, 0, 5, 100_000), at(2013, 1, 14, 10, 0, 5, 200_000)),
        ("2013-01-14T10:00:05.123456Z", at(2013, 1, 14, 10, 0, 5, 123_456), at(2013, 1, 14, 10, 0, 5, 123_457)),
        ("2013-01-14T10:00:05.123456789Z", at(2013, 1, 14, 10, 0, 5, 123_456), at(2013, 1, 14, 10, 0, 5, 123_457)),
        ("9999", at(9999, 1, 1), END),
        ("9999-12", at(9999, 12, 1), END),
        ("9999-12-31", at(9999, 12, 31), END),
    ],
)  # fmt: skip
def test_it_spans_as_much_as_it_says(text: str, start: datetime, until: datetime) -> None:
    assert span(text) == Span(start, until)


@pytest.mark.parametrize(
    "text",
    [
        "", "13", "2013-1", "2013-13", "2013-02-30", "2013-00", "0000", "20130114", "2013-01-14T", "2013-01-14T10", "2013-01-14T25:00",
        "2013-01-14T10:00:61Z", "2013-01-14T10:00 Z", "2013-01-14 10:00", "2013-01-14T10:00:00 02:00", "2013-01-14T10:00:00+15:00",
        "2013-01-14T10:00:00+02:60", "2013\n", "2013-01-14T10:00:00.Z", "2013-01-14Z", "eq2013", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999999Z", "\u0662\u0660\u0661\u0663", "now",
    ],
)  # fmt: skip
def test_it_refuses_what_is_no_date(text: str) -> None:
    assert span(text) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"start": "2013", "end": "2014-06"}, Span(at(2013, 1, 1), at(2014, 7, 1))),
        ({"start": "2013"}, Span(at(2013, 1, 1), END)),
        ({"end": "2013"}, Span(BEGINNING, at(2014, 1, 1))),
        ({"start": "2014", "end": "2013"}, None),
        ({"start": "soon"}, None),
        ({"event": ["2013-02", "2012-01-01", "x"]}, Span(at(2012, 1, 1), at(2013, 3, 1))),
        ({"event": []}, None),
        ({"repeat": {"boundsPeriod": {"start": "2013", "end": "2013"}}}, Span(at(2013, 1, 1), at(2014, 1, 1))),
        ({"repeat": {"frequency": 1}}, None),
        (2013, None),
        (None, None),
        (["2013"], None),
    ],
)  # fmt: skip
def test_periods_and_timings_span_from_end_to_end(value: Any, expected: Span | None) -> None:
    assert span_of(value) == expected
