"""What a record says in words, and where its lines go: of our own synthetic patients, of Synthea's, and of what nobody should send."""

from __future__ import annotations

import json
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, strategies as some

from doors.console.test_pages import HOSTILE
from hospitium.doors.cli.synthetic import patients
from hospitium.doors.console import chart, record_words
from hospitium.doors.console.chart import HEIGHT, WIDTH, Point, Range, drawing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hospitium.doors.console.record_words import Entry, Series

Json = dict[str, Any]
DIRECTORY = Path(__file__).parents[3] / "../shared/data/synthea-r4"
FILES = sorted(DIRECTORY.glob("*.json"))
READERS: dict[str, Callable[[Any], tuple[Any, ...]]] = {
    "Condition": record_words.conditions,
    "MedicationRequest": record_words.medications,
    "MedicationStatement": record_words.medications,
    "Immunization": record_words.immunizations,
    "AllergyIntolerance": record_words.allergies,
    "Observation": record_words.series,
}


def of(bundle: Json, kind: str) -> list[Json]:
    return [one["resource"] for one in bundle["entry"] if one["resource"]["resourceType"] == kind]


def condition(**more: Any) -> Entry:
    (found,) = record_words.conditions([{"code": {"text": "Asthma"}, "onsetDateTime": "2020-01-02", **more}])
    return found


def observation(value: Any, when: str = "2020-01-02", **more: Any) -> Json:
    return {
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7", "display": "Body weight"}]},
        "effectiveDateTime": when,
        "valueQuantity": value if isinstance(value, dict) else {"value": value, "unit": "kg"},
        **more,
    }


def coded(code: str) -> Json:
    return {"coding": [{"code": code}]}


def one_series(*observations: Json) -> Series:
    (found,) = record_words.series(observations)
    return found


# -- whole records -----------------------------------------------------------------------------------------------------


def must_tell_all(bundle: Json) -> None:
    """Insist that each entry is told once, newest first, by its own name, and that each value is in a table."""
    for kind in ("Condition", "MedicationRequest", "Immunization", "AllergyIntolerance"):
        given_ = of(bundle, kind)
        told = READERS[kind](given_)
        assert len(told) == len(given_)
        assert all(one.name and one.when for one in told)
        days = [one.when[:10] for one in told]
        assert days == sorted(days, reverse=True)
    observations = of(bundle, "Observation")
    told = record_words.series(observations)
    assert sum(len(one.values) for one in told) == sum(
        len(one.get("component", [None])) for one in observations
    )
    for one in told:
        assert one.name
        assert all(value.said for value in one.values)
        assert [v.when[:10] for v in one.values] == sorted((v.when[:10] for v in one.values), reverse=True)
        is_number = one.unit or one.lowest
        assert (one.drawing is not None) == (len({v.when for v in one.values}) > 1 and bool(is_number))
        if one.drawing is not None:
            must_fit(one.drawing)
            assert len(one.drawing.dots) == len(one.values)


def must_fit(drawn: chart.Drawing) -> None:
    """Insist that time goes to the right, and that all of it lies within the picture."""
    assert all(a[0] <= b[0] for a, b in pairwise(drawn.dots))
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in drawn.dots)
    if drawn.band is not None:
        assert 0 <= drawn.band[0] < drawn.band[0] + drawn.band[1] <= HEIGHT


def test_our_own_synthetic_patients_are_told_whole() -> None:
    for bundle in patients(12):
        must_tell_all(bundle)


@pytest.mark.skipif(
    not FILES, reason="the synthetic patients are not here (../shared/data/synthea-r4): NOT TESTED"
)
def test_syntheas_patients_are_told_whole() -> None:
    for path in FILES:
        must_tell_all(json.loads(path.read_text(encoding="utf-8")))


# -- nothing is invented, and what is no fact isn't told as one --------------------------------------------------------


def test_what_was_entered_in_error_is_left_out() -> None:
    wrong = {
        "verificationStatus": coded("entered-in-error"),
        "status": "entered-in-error",
        "code": {"text": "x"},
    }
    for kind, read in READERS.items():
        assert read([wrong]) == (), kind
    assert record_words.series([{**wrong, "status": "cancelled"}]) == ()


@pytest.mark.parametrize(
    ("kind", "resource", "mark"),
    [
        ("Condition", {"verificationStatus": coded("refuted")}, "refuted"),
        ("Condition", {"verificationStatus": coded("provisional")}, "provisional"),
        ("Condition", {"clinicalStatus": coded("resolved")}, "resolved"),
        ("AllergyIntolerance", {"verificationStatus": coded("refuted")}, "refuted"),
        ("AllergyIntolerance", {"criticality": "high"}, "severe"),
        ("Immunization", {"status": "not-done"}, "not-done"),
        ("MedicationRequest", {"status": "active", "doNotPerform": True}, "not-to-be-taken"),
        ("MedicationRequest", {"status": "active", "intent": "proposal"}, "proposal"),
        ("MedicationStatement", {"status": "not-taken"}, "not-taken"),
        ("Condition", {"modifierExtension": [{"url": "urn:negated", "valueBoolean": True}]}, "more"),
        ("Immunization", {"implicitRules": "urn:rules"}, "more"),
    ],
)  # fmt: skip
def test_what_changes_the_meaning_of_an_entry_is_told(kind: str, resource: Json, mark: str) -> None:
    (told,) = READERS[kind]([resource])
    assert mark in told.marks


@pytest.mark.parametrize(
    ("more", "mark"),
    [({"status": "preliminary"}, "preliminary"), ({"modifierExtension": [{}]}, "more")],
)
def test_what_changes_the_meaning_of_a_value_is_told(more: Json, mark: str) -> None:
    assert mark in one_series(observation(7, **more)).newest.marks


def test_a_name_is_the_clinics_own_and_a_code_only_where_there_is_no_name() -> None:
    asthma = [
        {"code": "1"},
        {"code": "2", "display": "Asthma"},
        {"code": "3", "display": "AB", "userSelected": True},
    ]
    assert record_words.concept({"text": "Wheezing", "coding": asthma}) == "Wheezing"
    assert record_words.concept({"coding": asthma}) == "AB"
    assert record_words.concept({"coding": asthma[:2]}) == "Asthma"
    assert record_words.concept({"coding": asthma[:1]}) == "1"
    assert record_words.concept({}) == ""


def test_a_medication_that_is_referred_to_is_called_what_is_said_of_it() -> None:
    inside = {
        "contained": [{"resourceType": "Medication", "id": "m", "code": {"text": "Aspirin"}}],
        "medicationReference": {"reference": "#m", "display": "something else"},
    }
    elsewhere = {"medicationReference": {"reference": "Medication/7", "display": "Aspirin 100"}}
    unnamed = {"medicationReference": {"reference": "Medication/7"}}
    assert [one.name for one in record_words.medications([inside, elsewhere, unnamed])] == [
        "Aspirin",
        "Aspirin 100",
        "",
    ]


def test_an_entry_without_a_date_is_last_and_has_none() -> None:
    told = record_words.conditions([{"code": {"text": "a"}}, {"code": {"text": "b"}, "recordedDate": "1999"}, {"code": {"text": "c"}, "onsetDateTime": "soon"}])  # fmt: skip
    assert [(one.name, one.when) for one in told] == [("b", "1999"), ("a", ""), ("c", "")]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"valueString": "clear"}, "clear"),
        ({"valueCodeableConcept": {"text": "Never smoker"}}, "Never smoker"),
        ({"valueInteger": 3}, "3"),
        (
            {"valueRange": {"low": {"value": 1, "unit": "m"}, "high": {"value": 2, "unit": "m"}}},
            "1 m \u2013 2 m",
        ),
        ({"valueRatio": {"numerator": {"value": 1}, "denominator": {"value": 128}}}, "1 / 128"),
        ({"valueQuantity": {"value": 5, "comparator": "<", "unit": "mg"}}, "< 5 mg"),
        ({"valueQuantity": {"unit": "mg"}, "dataAbsentReason": {"text": "Not asked"}}, "Not asked"),
        ({"valueSampledData": {"data": "1 2 3"}}, ""),
        ({}, ""),
    ],
)
def test_a_value_is_told_as_it_was_said(value: Json, said: str) -> None:
    assert one_series({"status": "final", "code": {"text": "x"}, **value}).newest.said == said


@pytest.mark.parametrize(("value", "mark"), [(True, "yes"), (False, "no")])
def test_yes_and_no_are_words_of_ours(value: bool, mark: str) -> None:
    newest = one_series({"code": {"text": "Pregnant"}, "valueBoolean": value}).newest
    assert (newest.said, newest.marks) == ("", (mark,))


@pytest.mark.parametrize(
    ("value", "written"),
    [("75.2758670634019", "75.28"), ("160.4", "160.4"), ("52.0", "52.0"), ("0.000123456", "0.000123"), ("0", "0"), ("-3.25", "-3.25"),
     ("1234567", "1234567"), ("1e30", "1.000E+30"), ("1e-30", "1.000E-30"), ("0.1", "0.1")],
)  # fmt: skip
def test_a_number_says_no_more_than_anybody_measures(value: str, written: str) -> None:
    assert record_words.written(Decimal(value)) == written


def test_a_panel_is_a_series_for_each_of_its_parts() -> None:
    (bundle,) = patients(1)
    pressure = [one for one in of(bundle, "Observation") if "component" in one]
    told = {one.name: one for one in record_words.series(pressure)}
    assert set(told) == {"Systolic blood pressure", "Diastolic blood pressure"}
    assert {len(one.values) for one in told.values()} == {len(pressure)}
    assert {one.unit for one in told.values()} == {"mmHg"}


# -- charts ------------------------------------------------------------------------------------------------------------


def test_one_unit_is_never_drawn_on_the_line_of_another() -> None:
    told = record_words.series([observation({"value": 70, "unit": "kg"}), observation({"value": 154, "unit": "lb"}, "2021-01-01")])  # fmt: skip
    assert [(one.unit, one.drawing) for one in told] == [("lb", None), ("kg", None)]


def test_what_is_only_less_than_something_is_in_the_table_and_not_on_the_line() -> None:
    told = one_series(observation(3), observation(4, "2021-01-01"), observation({"value": 1, "unit": "kg", "comparator": "<"}, "2022-01-01"))  # fmt: skip
    assert [value.said for value in told.values] == ["< 1 kg", "4 kg", "3 kg"]
    assert told.drawing is not None
    assert len(told.drawing.dots) == 2
    assert (told.lowest, told.highest, told.first, told.last) == ("3", "4", "2020-01-02", "2021-01-01")


def ranged(value: float, when: str, low: float, high: float, **more: Any) -> Json:
    ends = {"low": {"value": low, "unit": "kg"}, "high": {"value": high, "unit": "kg"}}
    return observation(value, when, referenceRange=[{**ends, **more}])


def test_a_band_is_drawn_where_one_usual_range_holds_for_all_of_the_line() -> None:
    told = one_series(ranged(3, "2020", 2, 5), ranged(4, "2021", 2, 5))
    assert told.newest.usual == "2 kg \u2013 5 kg"
    assert told.drawing is not None
    assert told.drawing.band == (8.0, 80.0)
    for other in (
        ranged(4, "2021", 2, 6),  # it was said to be another
        observation(4, "2021"),  # none was said
        ranged(4, "2021", 2, 5, appliesTo=[{"text": "women"}]),  # it may be somebody else's
        ranged(4, "2021", 2, 5, type=coded("treatment")),
        observation(4, "2021", referenceRange=[{"low": {"value": 2, "unit": "g"}}]),
    ):
        drawn = one_series(ranged(3, "2020", 2, 5), other).drawing
        assert drawn is not None
        assert drawn.band is None


def test_a_range_that_is_open_goes_to_the_edge() -> None:
    drawn = drawing([Point(0, 1), Point(1, 3)], Range(2, None))
    assert drawn is not None
    assert drawn.band == (0.0, 48.0)
    assert drawing([Point(0, 1), Point(1, 3)], Range(None, None)) == drawing([Point(0, 1), Point(1, 3)])


def test_there_is_no_line_without_two_instants() -> None:
    assert drawing([]) is None
    assert drawing([Point(5, 1)]) is None
    assert drawing([Point(5, 1), Point(5, 2)]) is None


def test_a_value_that_never_changes_is_a_level_line() -> None:
    drawn = drawing([Point(0, 7), Point(1, 7)])
    assert drawn is not None
    assert drawn.line == "M8 48L312 48"


@given(
    some.lists(some.tuples(some.floats(-6e10, 2.5e11), some.floats(-1e307, 1e307, exclude_min=True, exclude_max=True)), min_size=2),
    some.none() | some.tuples(some.none() | some.floats(-1e306, 1e306), some.none() | some.floats(-1e306, 1e306)),
)  # fmt: skip
def test_every_line_fits_its_picture(
    points: list[tuple[float, float]], usual: tuple[Any, Any] | None
) -> None:
    drawn = drawing([Point(*one) for one in points], None if usual is None else Range(*usual))
    if len({at for at, _ in points}) > 1:
        assert drawn is not None
        must_fit(drawn)


# -- of any shape ------------------------------------------------------------------------------------------------------

WORDS = [
    *HOSTILE,
    "\ud800",
    "\0\x07",
    "a\u202eb",
    " \n\t ",
    "x" * 100_000,
    "2020-01-02",
    "9999-99-99",
    "final",
    "active",
]
json_values = some.recursive(
    some.none() | some.booleans() | some.integers(-(10**400), 10**400) | some.floats() | some.sampled_from(WORDS) | some.text(max_size=8),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.sampled_from(["value", "unit", "code", "coding", "text", "display", "start", "low", "reference", "system"]), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
MEMBERS = (
    "code", "status", "clinicalStatus", "verificationStatus", "onsetDateTime", "onsetPeriod", "severity", "medicationCodeableConcept",
    "medicationReference", "contained", "dosageInstruction", "dosage", "intent", "doNotPerform", "authoredOn", "vaccineCode", "statusReason",
    "occurrenceDateTime", "occurrenceString", "reaction", "criticality", "effectiveDateTime", "effectivePeriod", "issued", "valueQuantity",
    "valueRange", "valueRatio", "valueString", "valueBoolean", "valueInteger", "valueCodeableConcept", "component", "referenceRange",
    "interpretation", "dataAbsentReason", "note", "modifierExtension", "implicitRules",
)  # fmt: skip


def texts_in(told: Any) -> Iterator[str]:
    if isinstance(told, str):
        yield told
    elif isinstance(told, tuple | list):
        for one in told:
            yield from texts_in(one)


@given(
    some.lists(
        some.dictionaries(some.sampled_from(MEMBERS), json_values, max_size=8) | json_values, max_size=4
    )
)
def test_whatever_a_clinic_sends_is_told_or_left_out(resources: list[Any]) -> None:
    for read in READERS.values():
        told = read(resources)
        for text in texts_in(told):
            text.encode()  # no half of a character
            assert len(text) <= 4 * record_words.LONGEST or text.startswith("M")
            assert not any(ord(c) < 32 for c in text)
            assert "\u202e" not in text
        if read is record_words.series:
            for one in told:
                if one.drawing is not None:
                    must_fit(one.drawing)


def test_numbers_that_are_none_are_not_told() -> None:
    for value in (float("nan"), float("inf"), True, "7", None, [7], 10**5000):
        assert one_series(observation(value)).newest.said == "", value


def test_numbers_beyond_reckoning_are_told_and_not_drawn() -> None:
    told = one_series(observation(Decimal("1e400")), observation(Decimal("2e400"), "2021-01-01"))
    assert [value.said for value in told.values] == ["2.000E+400 kg", "1.000E+400 kg"]
    assert told.drawing is None


def test_a_record_is_bounded() -> None:
    many = [
        observation(7, component=[{"code": {"text": str(n)}, "valueString": "x"} for n in range(500)])
    ] * 200
    assert sum(len(one.values) for one in record_words.series(many)) == record_words.MOST_VALUES
    (told,) = record_words.conditions([{"code": {"text": "x" * 1_000_000}}])
    assert told.name == "x" * (record_words.LONGEST - 1) + "…"
