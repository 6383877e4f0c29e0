"""Ids: one value, two spellings (ruling 6)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given, strategies as st

from hospitium.engine.ids import from_object_id, new_id, parse_id, to_object_id

FOREIGN = "d9c34349-3e81-41bf-8113-27bc01dcaa9d"
NOW = datetime(2026, 3, 1, 12, 0, 0, 123_456, tzinfo=UTC)


@given(st.binary(min_size=12, max_size=12))
def test_it_translates_there_and_back(twelve: bytes) -> None:
    digits = twelve.hex()
    as_uuid = from_object_id(digits)
    assert as_uuid.version == 8
    assert to_object_id(as_uuid) == digits
    assert parse_id(digits) == parse_id(digits.upper()) == parse_id(str(as_uuid)) == as_uuid


def test_it_carries_the_seconds_and_microseconds_it_was_made_at() -> None:
    digits = to_object_id(new_id(NOW))
    assert digits is not None
    assert int(digits[:8], 16) == int(NOW.timestamp())
    assert int(digits[8:13], 16) == NOW.microsecond


def test_later_ids_sort_after_earlier_ones_in_both_spellings() -> None:
    instants = [NOW + timedelta(microseconds=step**3) for step in range(200)]
    made = [new_id(instant) for instant in instants]
    assert made == sorted(made)
    digits = [to_object_id(one) for one in made]
    assert digits == sorted(digits, key=str)


def test_many_of_one_instant_are_all_different() -> None:
    assert len({new_id(NOW) for _ in range(50_000)}) == 50_000


@given(st.uuids())
def test_an_id_from_elsewhere_has_no_other_spelling(foreign: UUID) -> None:
    if to_object_id(foreign) is not None:  # one of ours by chance
        assert from_object_id(to_object_id(foreign) or "") == foreign
    assert parse_id(str(foreign)) == foreign


@pytest.mark.parametrize(
    "text",
    ["", "0", "552417e085b784bc204e737", "552417e085b784bc204e737cc", "552417e085b784bc204e737g", FOREIGN.replace("-", ""),
     "{" + FOREIGN + "}", " " + FOREIGN, FOREIGN + "\n", "urn:uuid:" + FOREIGN, "５52417e085b784bc204e737c",
     "552417e0-85b784bc-204e737c", "../../etc/passwd", "%00"],
)  # fmt: skip
def test_it_reads_nothing_else(text: str) -> None:
    assert parse_id(text) is None
