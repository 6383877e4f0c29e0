"""A query has its bounds: how many parameters, alternatives, patients and characters."""

from __future__ import annotations

import pytest

from hospitium.engine.errors import Invalid
from hospitium.engine.fhir_gateway.asking import (
    LONGEST_QUERY,
    MOST_ALTERNATIVES,
    MOST_COMPARED,
    MOST_ELEMENTS,
    MOST_PARAMETERS,
    MOST_PATIENTS,
    Asked,
    ask,
    pairs_of,
)


def _many(most: int) -> str:
    return ",".join(f"a{number}" for number in range(most))


@pytest.mark.parametrize(
    ("type_", "name", "value", "most"),
    [
        ("Observation", "code", "a", MOST_ALTERNATIVES),
        ("Observation", "_id", "a", MOST_ALTERNATIVES),
        ("Observation", "encounter", "a", MOST_ALTERNATIVES),
        ("Observation", "date", "2021", MOST_COMPARED),
        ("Patient", "name", "a", MOST_COMPARED),
        ("RiskAssessment", "probability", "1", MOST_COMPARED),
        ("Observation", "value-quantity", "1", MOST_COMPARED),
        ("Observation", "patient", "a", MOST_PATIENTS),
        ("Patient", "_id", "a", MOST_PATIENTS),
        ("Observation", "_elements", "a", MOST_ELEMENTS),
    ],
)
def test_alternatives(type_: str, name: str, value: str, most: int) -> None:
    numbered = [f"a{number}" for number in range(most + 1)] if name == "_elements" else [value] * (most + 1)
    ask(type_, [(name, ",".join(numbered[:most]))])
    with pytest.raises(Invalid, match="at most"):
        ask(type_, [(name, ",".join(numbered))])


def test_parameters() -> None:
    ask("Observation", [("code", "x")] * MOST_PARAMETERS)
    for name in ("code", "patient", "_count"):
        with pytest.raises(Invalid, match="search: must have at most"):
            ask("Observation", [*[("code", "x")] * MOST_PARAMETERS, (name, "1")])


def test_ten_thousand_parameters_are_not_read() -> None:
    read = 0

    def endless() -> object:
        nonlocal read
        while True:
            read += 1
            yield ("code", "x")

    with pytest.raises(Invalid, match="search: must have at most"):
        ask("Observation", endless())  # type: ignore[arg-type]
    assert read == MOST_PARAMETERS + 1


def test_characters_count_as_they_stand_in_an_address() -> None:
    name = "code"
    ask("Observation", [(name, "x" * (LONGEST_QUERY - len(name)))])
    for value in (
        "x" * (LONGEST_QUERY - len(name) + 1),
        "é" * (LONGEST_QUERY // 6 + 1),
        "\ud800" * LONGEST_QUERY,
    ):
        with pytest.raises(Invalid, match="search: must have at most"):
            ask("Observation", [(name, value)])


def test_lone_surrogates_are_refused() -> None:
    for name, value in (("code", "a\ud800"), ("patient", "a\ud800"), ("cod\ud800", "a")):
        with pytest.raises(Invalid):
            ask("Observation", [(name, value)])


def test_no_query_names_more_patients_than_fit_into_it() -> None:
    most = [f"{number:064}" for number in range(MOST_PATIENTS)]
    (_, value), _ = pairs_of(Asked("SupplyRequest"), most, 20)
    assert len(value.replace("/", "%2F").replace(",", "%2C")) < LONGEST_QUERY
    with pytest.raises(Invalid, match="patient: must name whom"):
        pairs_of(Asked("Observation"), [*most, "one-more"], 20)


def test_of_more_patients_the_caller_names_some() -> None:
    asked = ask("Observation", [("patient", "a1,a7")])
    assert pairs_of(asked, _many(1_000).split(","), 20)[0] == ("patient", "a1,a7")
