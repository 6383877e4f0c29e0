"""A search is read strictly: what isn't served is refused, never ignored."""

from __future__ import annotations

import pytest

from engine.fhir_resources.clinic import searched
from hospitium.engine.errors import Invalid
from hospitium.engine.fhir_resources import keys
from hospitium.engine.fhir_resources.parameters import TYPES
from hospitium.engine.fhir_resources.search import (
    LARGEST_COUNT,
    MOST_ALTERNATIVES,
    MOST_TERMS,
    Ids,
    Keys,
    OfPatients,
    Order,
    Search,
    parse_search,
)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("Patients?", "type"),
        ("patient?", "type"),
        ("Bundle?", "type"),
        ("?", "type"),
        ("Patient?nickname=x", "nickname"),
        ("Patient?Name=x", "Name"),
        ("Patient?=x", ""),
        ("Patient?code=x", "code"),
        ("Observation?patient.name=x", "patient.name"),
        ("Observation?subject:Patient.name=x", "subject:Patient.name"),
        ("Observation?subject:identifier=x", "subject:identifier"),
        ("Observation?patient:missing=true", "patient:missing"),
        ("Observation?code:not=x", "code:not"),
        ("Observation?code:=x", "code:"),
        ("Patient?name:exact=x", "name:exact"),
        ("Patient?birthdate:missing=true", "birthdate:missing"),
        ("Patient?_has:Observation:patient:code=x", "_has:Observation:patient:code"),
        ("Patient?_include=x", "_include"),
        ("Patient?_revinclude=x", "_revinclude"),
        ("Patient?_Include=x", "_Include"),
        ("Patient?_summary=count", "_summary"),
        ("Patient?_elements=id", "_elements"),
        ("Patient?_filter=x", "_filter"),
        ("Patient?_content=x", "_content"),
        ("Patient?_total=accurate", "_total"),
        ("Patient?_id=", "_id"),
        ("Patient?_id=a,", "_id"),
        ("Patient?_id=..", "_id"),
        ("Patient?_id=a/b", "_id"),
        ("Patient?_id=" + "a" * 65, "_id"),
        ("Patient?identifier=", "identifier"),
        ("Patient?identifier=|", "identifier"),
        ("Patient?identifier=a|b|c", "identifier"),
        ("Patient?identifier=a,,b", "identifier"),
        ("Patient?identifier=,a", "identifier"),
        ("Patient?identifier=a\\", "identifier"),
        ("Patient?identifier=a\\x", "identifier"),
        ("Patient?identifier=a\\\\\\x", "identifier"),
        ("Patient?identifier=a\0b", "identifier"),
        ("Patient?identifier=a\ud800b", "identifier"),
        ("Patient?identifier=" + "a" * 2_001, "identifier"),
        ("Patient?gender=" + ",".join("a" * (MOST_ALTERNATIVES + 1)), "gender"),
        ("Patient?name=", "name"),
        ("Patient?name= ", "name"),
        ("Patient?name=\u0301", "name"),
        ("Patient?name=" + ",".join("abcdefghijk"), "name"),
        ("Patient?birthdate=soon", "birthdate"),
        ("Patient?birthdate=ap2000", "birthdate"),
        ("Patient?birthdate=>2000", "birthdate"),
        ("Patient?birthdate=ge", "birthdate"),
        ("Patient?birthdate=gege2000", "birthdate"),
        ("Patient?birthdate=" + ",".join(["2000"] * 11), "birthdate"),
        ("Patient?_lastUpdated=yesterday", "_lastUpdated"),
        ("Observation?patient=Group/a", "patient"),
        ("Observation?patient:Group=a", "patient:Group"),
        ("Observation?patient=Patient/a/_history/1", "patient"),
        ("Observation?patient=https://elsewhere.example/Patient/a", "patient"),
        ("Observation?patient=urn:uuid:a", "patient"),
        ("Observation?patient=Patient/..", "patient"),
        ("Observation?patient=..", "patient"),
        ("Observation?patient=/a", "patient"),
        ("Observation?patient=Patient/", "patient"),
        ("Observation?patient=Patient/a b", "patient"),
        ("Observation?subject=Patient//a", "subject"),
        ("Observation?subject=Nobody/a", "subject"),
        ("Observation?subject:Nobody=a", "subject:Nobody"),
        ("Observation?subject:Patient=Patient/a", "subject:Patient"),
        ("Observation?subject=https://elsewhere.example/Patient/a?x", "subject"),
        ("Observation?_sort=code", "_sort"),
        ("Observation?_sort=date,_id", "_sort"),
        ("Observation?_sort=--date", "_sort"),
        ("Observation?_sort=", "_sort"),
        ("Observation?_sort=birthdate", "_sort"),
        ("Observation?_sort=date&_sort=date", "_sort"),
        ("Observation?_count=0", "_count"),
        ("Observation?_count=-1", "_count"),
        ("Observation?_count=1.5", "_count"),
        ("Observation?_count=x", "_count"),
        ("Observation?_count=\u0663", "_count"),
        ("Observation?_count=" + "9" * 10, "_count"),
        ("Observation?_count=1&_count=2", "_count"),
        ("Observation?" + "&".join(["code=a"] * (MOST_TERMS + 1)), "search"),
    ],
)
def test_it_refuses_what_is_not_served(query: str, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        searched(query)
    assert refused.value.field == field


def test_a_refusal_shows_a_harmless_form_of_a_parameter() -> None:
    with pytest.raises(Invalid) as refused:
        parse_search("Patient", [("x\n\x1b" + "y" * 500, "z")])
    assert refused.value.field == "x\ufffd\ufffd" + "y" * 77


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ("12", keys.by_value("identifier", "12")),
        ("|12", keys.by_system_and_value("identifier", "", "12")),
        ("urn:x|12", keys.by_system_and_value("identifier", "urn:x", "12")),
        ("urn:x|", keys.by_system("identifier", "urn:x")),
        (r"a\,b", keys.by_value("identifier", "a,b")),
        (r"a\|b", keys.by_value("identifier", "a|b")),
        (r"a\|b|c\\", keys.by_system_and_value("identifier", "a|b", "c\\")),
        (r"\$\\\,", keys.by_value("identifier", "$\\,")),
        ("a$b'%_\"; --", keys.by_value("identifier", "a$b'%_\"; --")),
        (" 12\n", keys.by_value("identifier", " 12\n")),
    ],
)
def test_a_token_is_read_with_its_escapes(value: str, key: keys.Key) -> None:
    assert parse_search("Patient", [("identifier", value)]).terms == (Keys((key,), is_rare=True),)


@pytest.mark.parametrize(
    ("query", "term"),
    [
        ("Patient?_id=a,B.-", Ids(("a", "B.-"))),
        ("Observation?patient=a,Patient/b", OfPatients(("a", "b"))),
        ("Observation?patient:Patient=a", OfPatients(("a",))),
        ("Observation?subject=Patient/a", OfPatients(("a",))),
        ("Observation?subject:Patient=a", OfPatients(("a",))),
        ("Coverage?beneficiary=Patient/a", OfPatients(("a",))),
        ("Observation?subject=a", Keys((keys.by_referred_id("subject", "a"),), is_rare=True)),
        ("Observation?subject=Group/a", Keys((keys.by_reference("subject", "Group/a"),), is_rare=True)),
        ("Observation?performer=Patient/a", Keys((keys.by_reference("performer", "Patient/a"),), is_rare=True)),
        ("Observation?performer=https://x.example/A/1", Keys((keys.by_reference("performer", "https://x.example/A/1"),), is_rare=True)),
        ("Account?patient=a", Keys((keys.by_reference("patient", "Patient/a"),), is_rare=True)),
        ("Person?patient=a", Keys((keys.by_reference("patient", "Patient/a"),), is_rare=True)),
        ("Observation?status=final,amended", Keys((keys.by_value("status", "final"), keys.by_value("status", "amended")), is_rare=False)),
    ],
)  # fmt: skip
def test_each_kind_of_parameter_becomes_its_term(query: str, term: object) -> None:
    assert searched(query).terms == (term,)


def test_order_and_size_are_as_they_are_asked_for() -> None:
    assert searched("Observation?") == Search("Observation")
    asked = searched("Observation?_sort=-date&_count=7")
    assert (asked.order, asked.descending, asked.count) == (Order.DATE, True, 7)
    assert searched("MedicationRequest?_sort=authoredon").order is Order.DATE
    assert searched("Patient?_sort=birthdate").order is Order.DATE
    assert searched("Patient?_sort=-_lastUpdated").order is Order.LAST_UPDATED
    assert searched("Patient?_count=999999").count == LARGEST_COUNT


def test_a_repeated_parameter_is_one_more_term() -> None:
    assert len(searched("Patient?given=a&given=b&birthdate=ge2000&birthdate=lt2001").terms) == 4


def test_every_type_is_searched_by_each_of_its_parameters() -> None:
    values = {"token": "x", "string": "x", "date": "2000", "reference": "Patient/x"}
    for kind in TYPES.values():
        for parameter in kind.parameters.values():
            (term,) = parse_search(kind.name, [(parameter.name, values[parameter.kind])]).terms
            assert term is not None
