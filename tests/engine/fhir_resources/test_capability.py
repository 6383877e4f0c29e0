"""The CapabilityStatement claims what is served, all of it and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from hospitium.engine.errors import Invalid
from hospitium.engine.fhir_resources.capability import capability
from hospitium.engine.fhir_resources.search import parse_search

CLAIMED = capability("https://hospitium.example/fhir/1", "1.2.3", datetime(2026, 11, 28, tzinfo=UTC))
(REST,) = CLAIMED["rest"]
RESOURCES = {one["type"]: one for one in REST["resource"]}


def test_it_says_what_it_is_and_where() -> None:
    assert CLAIMED["resourceType"] == "CapabilityStatement"
    assert CLAIMED["fhirVersion"] == "4.0.1"
    assert CLAIMED["date"] == "2026-11-28T00:00:00+00:00"
    assert CLAIMED["software"] == {"name": "Hospitium", "version": "1.2.3"}
    assert CLAIMED["implementation"]["url"] == "https://hospitium.example/fhir/1"
    assert CLAIMED["format"] == ["json"]
    assert REST["mode"] == "server"


def test_each_type_is_read_and_searched_and_not_more() -> None:
    assert len(RESOURCES) == len(REST["resource"]) > 130
    for resource in RESOURCES.values():
        assert [one["code"] for one in resource["interaction"]] == ["read", "search-type"]


def test_what_is_claimed_is_served() -> None:
    values = {"token": "x", "string": "x", "date": "2000", "reference": "Patient/x"}
    for type_, resource in RESOURCES.items():
        names = [one["name"] for one in resource["searchParam"]]
        assert len(names) == len(set(names))
        for one in resource["searchParam"]:
            parse_search(type_, [(one["name"], values[one["type"]])])


def test_what_is_served_is_claimed() -> None:
    known = {one["name"] for resource in RESOURCES.values() for one in resource["searchParam"]}
    for type_, resource in RESOURCES.items():
        for name in known - {one["name"] for one in resource["searchParam"]}:
            with pytest.raises(Invalid):
                parse_search(type_, [(name, "2000")])


# As the registry of FHIR R4 has them: https://hl7.org/fhir/R4/searchparameter-registry.html.
@pytest.mark.parametrize(
    ("type_", "name", "kind", "definition"),
    [
        ("Patient", "_id", "token", "Resource-id"),
        ("Patient", "_lastUpdated", "date", "Resource-lastUpdated"),
        ("Patient", "identifier", "token", "Patient-identifier"),
        ("Patient", "birthdate", "date", "individual-birthdate"),
        ("Patient", "gender", "token", "individual-gender"),
        ("Patient", "family", "string", "individual-family"),
        ("Patient", "name", "string", "Patient-name"),
        ("Observation", "patient", "reference", "clinical-patient"),
        ("Observation", "subject", "reference", "Observation-subject"),
        ("Observation", "code", "token", "clinical-code"),
        ("Observation", "category", "token", "Observation-category"),
        ("Observation", "date", "date", "clinical-date"),
        ("Condition", "onset-date", "date", "Condition-onset-date"),
        ("MedicationRequest", "status", "token", "medications-status"),
        ("MedicationRequest", "encounter", "reference", "medications-encounter"),
        ("MedicationRequest", "authoredon", "date", "MedicationRequest-authoredon"),
        ("Procedure", "encounter", "reference", "clinical-encounter"),
        ("Encounter", "type", "token", "clinical-type"),
        ("Coverage", "beneficiary", "reference", "Coverage-beneficiary"),
        ("Coverage", "policy-holder", "reference", "Coverage-policy-holder"),
    ],
)
def test_definitions_are_those_of_fhir(type_: str, name: str, kind: str, definition: str) -> None:
    (found,) = (one for one in RESOURCES[type_]["searchParam"] if one["name"] == name)
    assert found == {
        "name": name,
        "definition": f"http://hl7.org/fhir/SearchParameter/{definition}",
        "type": kind,
    }
