"""The synthetic patients: the same everywhere, whole and in order, and nobody who could exist."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter, defaultdict
from datetime import date, datetime
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from hospitium.doors.cli.synthetic import CLINIC, REFERENCE, SSN, _never_issued, bulk_patients, patients

if TYPE_CHECKING:
    from collections.abc import Iterator

DRAWN = 60  # the cast, and four times as many who are drawn
BUNDLES = patients(DRAWN)
CAST = BUNDLES[:12]
# What FHIR R4 demands of a resource (https://hl7.org/fhir/R4/), in elements and below them; and what R4's own invariants do.
COMPULSORY = {
    "Patient": ("identifier.value", "communication.language", "contact.relationship"),
    "Organization": ("name",),
    "Practitioner": (),
    "Encounter": ("status", "class", "subject", "period.start", "period.end"),
    "Condition": ("subject", "code", "clinicalStatus", "verificationStatus"),
    "Observation": ("status", "code", "category", "subject", "effectiveDateTime", "component.code"),
    "MedicationRequest": ("status", "intent", "medicationCodeableConcept", "subject", "dosageInstruction.text"),
    "Immunization": ("status", "vaccineCode", "patient", "occurrenceDateTime"),
    "AllergyIntolerance": ("patient", "clinicalStatus", "code", "reaction.manifestation"),
    "Procedure": ("status", "subject", "performer.actor"),
}  # fmt: skip
OPTIONAL = {"contact", "component"}  # compulsory is only what is inside
STATUSES = {
    "Encounter": {"finished"}, "Observation": {"final"}, "MedicationRequest": {"active", "completed"},
    "Immunization": {"completed"}, "Procedure": {"completed"},
}  # fmt: skip
WHEN = ("recordedDate", "effectiveDateTime", "authoredOn", "occurrenceDateTime", "performedDateTime")


def resources(bundle: dict[str, Any], kind: str | None = None) -> list[dict[str, Any]]:
    found = [entry["resource"] for entry in bundle["entry"]]
    return [one for one in found if kind is None or one["resourceType"] == kind]


def patient(bundle: dict[str, Any]) -> dict[str, Any]:
    (found,) = resources(bundle, "Patient")
    return found


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value that holds no other, with the name of its element."""
    if isinstance(value, dict):
        assert value, "FHIR knows no empty object"
        for key, inner in value.items():
            yield from leaves(inner, key)
    elif isinstance(value, list):
        assert value, "FHIR knows no empty list"
        for inner in value:
            yield from leaves(inner, name)
    else:
        yield name, value


def at(value: Any, path: str) -> list[Any]:
    """Return what is at a path, in each of a list; nothing if an optional element isn't there."""
    name, _, rest = path.partition(".")
    if name in OPTIONAL and name not in value:
        return []
    inner = value[name] if isinstance(value[name], list) else [value[name]]
    return [found for one in inner for found in at(one, rest)] if rest else inner


def day(text: str) -> date:
    return datetime.fromisoformat(text).date()


def age(bundle: dict[str, Any]) -> int:
    born = date.fromisoformat(patient(bundle)["birthDate"])
    return REFERENCE.year - born.year - ((REFERENCE.month, REFERENCE.day) < (born.month, born.day))


def series(bundle: dict[str, Any], loinc: str) -> list[float]:
    """Return the values of one measure, in order of time."""
    found = [one for one in resources(bundle, "Observation") if one["code"]["coding"][0]["code"] == loinc]
    return [
        one["valueQuantity"]["value"] for one in sorted(found, key=lambda one: day(one["effectiveDateTime"]))
    ]


# -- the same everywhere ---------------------------------------------------------------------------------------------------


def test_it_makes_the_same_bytes_whatever_the_process_hashes_by() -> None:
    script = (
        "import json, sys; from hospitium.doors.cli.synthetic import patients, bulk_patients; "
        "sys.stdout.write(json.dumps([patients(14), list(bulk_patients(50))], ensure_ascii=True))"
    )
    written = [
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": hashed},
            capture_output=True,
            check=True,
        ).stdout
        for hashed in ("1", "2")
    ]
    assert written[0] == written[1] == json.dumps([patients(14), list(bulk_patients(50))]).encode()


def test_a_longer_list_begins_with_the_shorter() -> None:
    assert patients(0) == []
    assert patients(3) == BUNDLES[:3]


def test_another_seed_gives_other_ids_and_days_of_the_same_cast() -> None:
    others = patients(12, seed=13)
    names = [[patient(bundle)["name"] for bundle in bundles] for bundles in (CAST, others)]
    assert names[0] == names[1]
    ids = [{one["id"] for bundle in bundles for one in resources(bundle)} for bundles in (CAST, others)]
    assert not ids[0] & ids[1]
    assert [patient(bundle)["birthDate"] for bundle in CAST] != [patient(bundle)["birthDate"] for bundle in others]  # fmt: skip


def test_it_takes_the_clinic_it_is_given() -> None:
    (bundle,) = patients(1, clinic="https://harbor.example", clinic_name="Harbor Clinic")
    assert patient(bundle)["identifier"][0]["system"] == "https://harbor.example/mrn"
    assert resources(bundle, "Organization")[0]["name"] == "Harbor Clinic"
    assert CLINIC not in json.dumps(bundle)


# -- whole -----------------------------------------------------------------------------------------------------------------


def test_every_resource_has_what_r4_demands() -> None:
    for bundle in BUNDLES:
        assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "collection")
        for one in resources(bundle):
            kind = one["resourceType"]
            for path in COMPULSORY[kind]:
                found = at(one, path)
                assert all(found), (kind, path)
                assert found or path.partition(".")[0] in OPTIONAL, (kind, path)
            if kind in STATUSES:
                assert one["status"] in STATUSES[kind]
            if kind == "Observation":
                assert ("valueQuantity" in one) != ("component" in one)
            if kind == "Condition":  # invariant con-4: what has abated is not active
                status = one["clinicalStatus"]["coding"][0]["code"]
                assert status == ("resolved" if "abatementDateTime" in one else "active")
            assert all(value is not None and value != "" for _, value in leaves(one))


def test_every_kind_is_there() -> None:
    assert {one["resourceType"] for bundle in CAST for one in resources(bundle)} == set(COMPULSORY)


def test_an_id_is_a_uuid_and_belongs_to_one_resource() -> None:
    seen: dict[str, dict[str, Any]] = {}
    for bundle in BUNDLES:
        assert bundle["entry"][0]["resource"]["resourceType"] == "Patient"
        for one in resources(bundle):
            assert str(UUID(one["id"])) == one["id"]
            if one["resourceType"] in ("Organization", "Practitioner"):
                assert seen.setdefault(one["id"], one) == one, "the clinic is the same in each Bundle"
            else:
                assert one["id"] not in seen
                seen[one["id"]] = one


def test_every_reference_resolves_in_its_own_bundle_and_to_its_own_patient() -> None:
    for bundle in BUNDLES:
        known = {entry["fullUrl"] for entry in bundle["entry"]} | {
            f"{one['resourceType']}/{one['id']}" for one in resources(bundle)
        }
        own = bundle["entry"][0]
        of_patient = {own["fullUrl"], f"Patient/{own['resource']['id']}"}
        for one in resources(bundle):
            assert {value for name, value in leaves(one) if name == "reference"} <= known
            for name in ("subject", "patient"):
                assert name not in one or one[name]["reference"] in of_patient


def test_two_of_the_twelve_refer_by_urn_and_the_others_by_type_and_id() -> None:
    forms = []
    for bundle in CAST:
        references = {
            value for one in resources(bundle) for name, value in leaves(one) if name == "reference"
        }
        by_urn = {reference.startswith("urn:uuid:") for reference in references}
        assert by_urn == {
            entry["fullUrl"] == f"urn:uuid:{entry['resource']['id']}" for entry in bundle["entry"]
        }
        (form,) = by_urn
        forms.append(form)
    assert Counter(forms) == {True: 2, False: 10}


def test_a_code_is_called_the_same_everywhere() -> None:
    called = defaultdict(set)
    for bundle in BUNDLES:
        for coding in _codings(bundle):
            called[coding["system"], coding["code"]].add(coding["display"])
    assert {code: names for code, names in called.items() if len(names) > 1} == {}
    loinc = [code for system, code in called if system == "http://loinc.org"]
    assert loinc
    assert all(_mod_10(code) for code in loinc), "the last digit of a LOINC code proves the others"
    snomed = [code for system, code in called if system == "http://snomed.info/sct"]
    assert snomed
    assert all(_verhoeff(code) for code in snomed), "the last digit of a SNOMED CT code proves the others"


def _codings(value: Any) -> Iterator[dict[str, str]]:
    if isinstance(value, dict):
        yield from value.get("coding", ())
        for inner in value.values():
            yield from _codings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _codings(inner)


def _mod_10(code: str) -> bool:
    number, digit = code.split("-")
    doubled = [int(one) * (2 - place % 2) for place, one in enumerate(reversed(number))]
    return (sum(divmod(one, 10)[0] + one % 10 for one in doubled) + int(digit)) % 10 == 0


def _verhoeff(code: str) -> bool:
    """Whether the digits of a SNOMED CT identifier pass Verhoeff's check: products in the dihedral group of the pentagon."""
    turned = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    after = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4]
    result = 0
    for digit in reversed(code):
        other = turned[int(digit)]
        fifth = (result + other if result < 5 else result - other) % 5
        result = fifth + 5 * ((result < 5) != (other < 5))
        turned = [turned[after[place]] for place in range(10)]
    return result == 0


# -- in order --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bundle", BUNDLES, ids=lambda bundle: patient(bundle)["name"][0]["text"])
def test_nothing_is_before_birth_after_the_reference_date_or_out_of_order(bundle: dict[str, Any]) -> None:
    born = date.fromisoformat(patient(bundle)["birthDate"])
    starts = {one["period"]["start"] for one in resources(bundle, "Encounter")}
    for one in resources(bundle):
        dates = [value for _, value in leaves(one) if re.match(r"\d{4}-\d\d-\d\d", str(value))]
        assert all(born <= day(value) <= REFERENCE for value in dates)
        assert all(one[name] in starts for name in WHEN if name in one), "all is written at a visit"
    for one in resources(bundle, "Condition"):
        assert day(one["onsetDateTime"]) <= day(one["recordedDate"])
        if "abatementDateTime" in one:
            assert day(one["onsetDateTime"]) < day(one["abatementDateTime"])
    found = {
        one["code"]["coding"][0]["code"]: day(one["recordedDate"]) for one in resources(bundle, "Condition")
    }
    for one in resources(bundle, "MedicationRequest"):
        assert day(one["authoredOn"]) >= found[one["reasonCode"][0]["coding"][0]["code"]]


def test_visits_are_at_business_hours_in_the_time_of_ohio_one_a_day() -> None:
    for bundle in BUNDLES:
        visits = [one["period"] for one in resources(bundle, "Encounter")]
        starts = [datetime.fromisoformat(visit["start"]) for visit in visits]
        ends = [datetime.fromisoformat(visit["end"]) for visit in visits]
        assert all(earlier.date() < later.date() for earlier, later in pairwise(starts))
        for start, end in zip(starts, ends, strict=True):
            assert start.weekday() < 5
            assert 8 <= start.hour < end.hour + end.minute / 60 < 17
            if start.month in (12, 1, 2):
                assert start.isoformat().endswith("-05:00")
            if start.month in range(4, 11):
                assert start.isoformat().endswith("-04:00")


def test_a_chart_goes_back_years_or_to_birth() -> None:
    for bundle in BUNDLES:
        first = min(day(one["period"]["start"]) for one in resources(bundle, "Encounter"))
        born = date.fromisoformat(patient(bundle)["birthDate"])
        assert first.year <= 2020 or (first - born).days < 60


# -- plausible -------------------------------------------------------------------------------------------------------------


def test_diabetes_rises_is_found_and_falls_under_treatment() -> None:
    grace = CAST[3]
    values = series(grace, "4548-4")
    highest = values.index(max(values))
    assert values[0] < 6.0
    assert values[highest] > 7.5
    assert 6.0 < values[-1] < 7.5
    assert 0 < highest < len(values) - 4
    doses = [
        (one["medicationCodeableConcept"]["text"], one["status"])
        for one in resources(grace, "MedicationRequest")
        if "metformin" in one["medicationCodeableConcept"]["text"]
    ]
    assert doses == [
        ("metformin hydrochloride 500 MG Oral Tablet", "completed"),
        ("metformin hydrochloride 1000 MG Oral Tablet", "active"),
    ]


def test_values_are_such_as_people_have() -> None:
    bounds = {
        "8302-2": (48, 200), "29463-7": (3, 140), "39156-5": (12, 42), "8867-4": (50, 160), "8480-6": (75, 175),
        "8462-4": (40, 110), "4548-4": (4.5, 9.5), "2345-7": (65, 240), "2093-3": (120, 300), "13457-7": (55, 210),
        "2085-9": (30, 80), "2571-8": (30, 260), "2160-0": (0.5, 1.8), "3016-3": (0.3, 12),
    }  # fmt: skip
    seen = set()
    for bundle in BUNDLES:
        for one in resources(bundle, "Observation"):
            for measured in one.get("component", [one]):
                code, quantity = measured["code"]["coding"][0]["code"], measured["valueQuantity"]
                seen.add(code)
                assert bounds[code][0] <= quantity["value"] <= bounds[code][1], (code, quantity)
                assert quantity["system"] == "http://unitsofmeasure.org"
                assert quantity["code"]
    assert seen == set(bounds)


def test_a_child_grows_and_gets_no_medicine_of_adults() -> None:
    children = [bundle for bundle in BUNDLES if age(bundle) < 16]
    assert len(children) >= 4
    for bundle in children:
        heights = series(bundle, "8302-2")
        assert heights == sorted(heights)
        assert heights[0] < heights[-1]
        assert not series(bundle, "2093-3")
        given = " ".join(
            one["medicationCodeableConcept"]["text"] for one in resources(bundle, "MedicationRequest")
        )
        assert not re.search("metformin|lisinopril|sertraline|Oral Tablet|Oral Capsule", given)


def test_some_conditions_are_over_and_nobody_is_given_what_he_is_allergic_to() -> None:
    assert {"active", "resolved"} == {
        one["clinicalStatus"]["coding"][0]["code"] for bundle in CAST for one in resources(bundle, "Condition")
    }  # fmt: skip
    for bundle in BUNDLES:
        allergies = {one["code"]["text"] for one in resources(bundle, "AllergyIntolerance")}
        given = [one["medicationCodeableConcept"]["text"] for one in resources(bundle, "MedicationRequest")]
        assert not ("Allergy to penicillin" in allergies and any("amoxicillin" in one for one in given))


# -- the cast --------------------------------------------------------------------------------------------------------------


def test_ages_are_from_2_to_84() -> None:
    ages = [age(bundle) for bundle in CAST]
    assert (min(ages), max(ages)) == (2, 84)
    assert all(2 <= age(bundle) <= 84 for bundle in BUNDLES)


def test_a_childs_mother_is_a_patient_too() -> None:
    mother, child = patient(CAST[0]), patient(CAST[1])
    assert age(CAST[1]) == 6
    (contact,) = child["contact"]
    assert "MTH" in {coding["code"] for relation in contact["relationship"] for coding in relation["coding"]}
    (name,) = mother["name"]
    assert contact["name"] == {"family": name["family"], "given": name["given"]}
    assert child["name"][0]["family"] == name["family"]
    assert child["address"] == mother["address"]
    assert mother["gender"] == "female"
    assert 18 < age(CAST[0]) - age(CAST[1]) < 45


def test_two_have_one_name_and_nothing_else_in_common() -> None:
    names = Counter(patient(bundle)["name"][0]["text"] for bundle in CAST)
    assert [count for count in names.values() if count > 1] == [2]
    ((name, _),) = names.most_common(1)
    one, other = (patient(bundle) for bundle in CAST if patient(bundle)["name"][0]["text"] == name)
    assert one["gender"] == other["gender"]
    assert one["birthDate"] != other["birthDate"]
    assert one["address"] != other["address"]
    values = [{identifier["value"] for identifier in each["identifier"]} for each in (one, other)]
    assert not values[0] & values[1]


def test_one_is_no_patient_any_more_and_none_is_dead_or_merged() -> None:
    assert [patient(bundle)["active"] for bundle in CAST].count(False) == 1
    for bundle in BUNDLES:
        assert not {"link", "deceasedBoolean", "deceasedDateTime"} & patient(bundle).keys()


def test_some_names_have_letters_beyond_ascii() -> None:
    names = [patient(bundle)["name"][0]["text"] for bundle in CAST]
    assert sum(not name.isascii() for name in names) >= 3


# -- nobody who could exist ------------------------------------------------------------------------------------------------


def test_nothing_can_reach_or_identify_anybody() -> None:
    public = ("http://hl7.org/", "http://terminology.hl7.org/", "http://snomed.info/", "http://loinc.org", "http://unitsofmeasure.org",
              "http://www.nlm.nih.gov/")  # fmt: skip
    for bundle in BUNDLES:
        for name, value in leaves(bundle):
            text = str(value)
            if "://" in text:
                assert text.startswith((f"{CLINIC}/", *public)) or text == CLINIC
                assert name in ("system", "fullUrl") or text == CLINIC
            if "@" in text:
                assert re.fullmatch(r"[a-z0-9.]+@(mail|northside)\.example", text)
            if text.startswith("+"):
                assert re.fullmatch(r"\+1-937-555-01\d\d", text)
    _are_never_issued([patient(bundle) for bundle in BUNDLES])


def _are_never_issued(people: list[dict[str, Any]]) -> None:
    """Assert that identifiers are unique, and that social security numbers are neither one that was issued nor a taxpayer's."""
    by_system = defaultdict(list)
    for person in people:
        for identifier in person["identifier"]:
            by_system[identifier["system"]].append(identifier["value"])
    assert set(by_system) == {f"{CLINIC}/mrn", SSN}
    for values in by_system.values():
        assert len(set(values)) == len(values) == len(people)
    assert all(re.fullmatch(r"9\d\d[0-4]\d{5}", value) for value in by_system[SSN])


# -- many ------------------------------------------------------------------------------------------------------------------


def test_many_are_unique_and_numbered() -> None:
    people = list(bulk_patients(20_000))
    assert people[0]["identifier"][0] == {"system": f"{CLINIC}/mrn", "value": "MRN-0000001"}
    assert people[-1]["identifier"][0]["value"] == "MRN-0020000"
    assert len({person["id"] for person in people}) == 20_000
    assert all(str(UUID(person["id"])) == person["id"] for person in people[:1000])
    assert all("1941" < person["birthDate"] < REFERENCE.isoformat() for person in people)
    assert len({person["birthDate"] for person in people}) > 10_000
    _are_never_issued(people)
    both = [*people[:1000], *(patient(bundle) for bundle in BUNDLES)]
    assert len({person["id"] for person in both}) == len(both)
    _are_never_issued(both)


def test_many_come_one_at_a_time_and_the_same_again() -> None:
    assert list(islice(bulk_patients(10**9), 5)) == list(bulk_patients(5)) == list(bulk_patients(5, 12))
    assert list(bulk_patients(5)) != list(bulk_patients(5, seed=1))


@pytest.mark.parametrize("number", [1, 499_999, 500_000, 1_000_000, 48_999_999])
def test_a_number_is_never_issued_however_many_there_are(number: int) -> None:
    assert re.fullmatch(r"9\d\d[0-4]\d{5}", _never_issued(number))
