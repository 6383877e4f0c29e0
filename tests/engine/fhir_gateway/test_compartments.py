"""What may be shown to somebody who may see certain patients: the cases that somebody has thought of (threats F-03, F-04, F-12, F-30, F-31, F-36)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hospitium.engine.errors import Invalid
from hospitium.engine.fhir_gateway.compartments import (
    may_accompany,
    may_be_shown,
    patients_of,
    referred,
    without_others,
)
from hospitium.engine.fhir_gateway.definitions import DEFINITIONS
from hospitium.engine.fhir_resources.drawing import patients_of as drawn_patients_of
from hospitium.engine.fhir_resources.parameters import TYPES
from hospitium.engine.json_text import parse

Json = dict[str, Any]

BASE = "https://hospital.example/fhir"
PARENT, CHILD = {"reference": "Patient/parent"}, {"reference": "Patient/child"}
ONLY_PARENT, ONLY_CHILD, BOTH = frozenset(["parent"]), frozenset(["child"]), frozenset(["parent", "child"])
# Where FHIR's compartment of the parent has what is about the child: the types with more than one parameter (F-03).
NAMED_IN = [
    {"resourceType": "AllergyIntolerance", "patient": CHILD, "asserter": PARENT, "recorder": PARENT},
    {"resourceType": "CarePlan", "subject": CHILD, "activity": [{"detail": {"performer": [PARENT]}}]},
    {"resourceType": "CareTeam", "subject": CHILD, "participant": [{"member": PARENT}]},
    {"resourceType": "Claim", "patient": CHILD, "payee": {"party": PARENT}},
    {"resourceType": "Communication", "subject": CHILD, "sender": PARENT, "recipient": [PARENT]},
    {"resourceType": "CommunicationRequest", "subject": CHILD, "requester": PARENT, "sender": PARENT},
    {"resourceType": "Composition", "subject": CHILD, "author": [PARENT], "attester": [{"party": PARENT}]},
    {"resourceType": "Condition", "subject": CHILD, "asserter": PARENT},
    {"resourceType": "Coverage", "beneficiary": CHILD, "policyHolder": PARENT, "subscriber": PARENT, "payor": [PARENT]},
    {"resourceType": "DeviceRequest", "subject": CHILD, "performer": PARENT},
    {"resourceType": "DocumentReference", "subject": CHILD, "author": [PARENT]},
    {"resourceType": "ExplanationOfBenefit", "patient": CHILD, "payee": {"party": PARENT}},
    {"resourceType": "Invoice", "subject": CHILD, "recipient": PARENT},
    {"resourceType": "List", "subject": CHILD, "source": PARENT, "entry": [{"item": PARENT}]},
    {"resourceType": "MedicationDispense", "subject": CHILD, "receiver": [PARENT]},
    {"resourceType": "Observation", "subject": CHILD, "performer": [PARENT], "focus": [PARENT]},
    {"resourceType": "Patient", "id": "child", "link": [{"other": PARENT, "type": "seealso"}]},
    {"resourceType": "Procedure", "subject": CHILD, "performer": [{"actor": PARENT}]},
    {"resourceType": "RequestGroup", "subject": CHILD, "action": [{"participant": [PARENT]}]},
    {"resourceType": "ServiceRequest", "subject": CHILD, "requester": PARENT, "performer": [PARENT]},
]  # fmt: skip
# Types that only mention patients, or anything (F-04).
ONLY_MENTIONING = [
    {"resourceType": "Appointment", "participant": [{"actor": PARENT}]},
    {"resourceType": "AuditEvent", "agent": [{"who": PARENT}], "entity": [{"what": PARENT}]},
    {"resourceType": "Binary", "securityContext": PARENT, "data": ""},
    {"resourceType": "Bundle", "type": "document", "entry": [{"resource": {"resourceType": "Patient", "id": "parent"}}]},
    {"resourceType": "Device", "patient": PARENT},
    {"resourceType": "Group", "member": [{"entity": PARENT}]},
    {"resourceType": "Linkage", "item": [{"resource": PARENT}]},
    {"resourceType": "Parameters", "parameter": [{"valueReference": PARENT}]},
    {"resourceType": "Person", "link": [{"target": PARENT}]},
    {"resourceType": "Provenance", "target": [PARENT]},
    {"resourceType": "QuestionnaireResponse", "subject": PARENT},
    {"resourceType": "RelatedPerson", "patient": PARENT},
    {"resourceType": "Schedule", "actor": [PARENT]},
    {"resourceType": "Task", "for": PARENT},
    {"resourceType": "NoSuchType", "subject": PARENT, "patient": PARENT},
    {"resourceType": "patient", "subject": PARENT},
    {"resourceType": ["Observation"], "subject": PARENT},
    {"resourceType": {}, "subject": PARENT},
    {"subject": PARENT},
]  # fmt: skip


def observation(subject: Any = CHILD, **more: Any) -> Json:
    return {"resourceType": "Observation", "id": "o1", "subject": subject, **more}


def named(resource: Json) -> str:
    return str(resource.get("resourceType"))


# -- whose it is -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resource", NAMED_IN, ids=named)
def test_a_childs_data_doesnt_come_with_the_parent_who_is_named_in_it(resource: Json):
    resource = {"id": "x1", **resource}

    assert patients_of(resource) == ONLY_CHILD
    assert may_be_shown(resource, ONLY_CHILD)
    assert not may_be_shown(resource, ONLY_PARENT)


@pytest.mark.parametrize("resource", ONLY_MENTIONING, ids=named)
def test_what_only_mentions_a_patient_is_shown_to_nobody(resource: Json):
    resource = {"id": "x1", **resource}

    assert not may_be_shown(resource, ONLY_PARENT)
    assert not may_be_shown(resource, None)
    assert not may_accompany(resource)


def test_a_patient_is_his_own():
    assert may_be_shown({"resourceType": "Patient", "id": "child"}, ONLY_CHILD)
    assert not may_be_shown({"resourceType": "Patient", "id": "parent"}, ONLY_CHILD)
    assert not may_be_shown({"resourceType": "Patient", "id": "parent", "subject": CHILD}, ONLY_CHILD)
    assert not may_be_shown({"resourceType": "Patient"}, None)
    assert not may_be_shown({"resourceType": "Patient", "id": ["child"]}, ONLY_CHILD)


def test_who_may_see_nobody_sees_nothing():
    assert not may_be_shown(observation(), frozenset())


def test_staff_see_what_is_about_any_patient_and_nothing_else():
    assert may_be_shown(observation(), None)
    assert not may_be_shown(observation({"reference": "Group/all"}), None)
    assert not may_be_shown({"resourceType": "Practitioner", "id": "p"}, None)


@pytest.mark.parametrize("id_", [None, "", ".", "..", "a b", "a/b", "a" * 65, 7, {}])
def test_what_has_no_id_that_can_be_asked_for_isnt_shown(id_: Any):
    assert not may_be_shown(observation(id=id_), ONLY_CHILD)


def test_each_version_is_judged_by_what_it_says_itself():
    before, after = observation(PARENT, meta={"versionId": "1"}), observation(CHILD, meta={"versionId": "2"})

    assert [may_be_shown(one, ONLY_CHILD) for one in (before, after)] == [False, True]


def test_an_account_of_several_is_shown_to_whoever_may_see_them_all():
    account = {"resourceType": "Account", "id": "a1", "subject": [PARENT, CHILD]}

    assert patients_of(account) == BOTH
    assert may_be_shown(account, BOTH)
    assert not may_be_shown(account, ONLY_CHILD)
    assert not may_be_shown({**account, "subject": [CHILD, {"reference": "#p"}]}, BOTH)
    assert not may_be_shown({**account, "subject": [CHILD, {"reference": "Group/family"}]}, BOTH)
    assert not may_be_shown({**account, "subject": []}, BOTH)


def test_a_server_that_gives_two_subjects_where_fhir_has_one_gains_nothing():
    assert not may_be_shown(observation([CHILD, PARENT]), ONLY_CHILD)
    assert not may_be_shown(observation([[CHILD]]), ONLY_CHILD)
    with pytest.raises(Invalid, match="given twice"):
        parse(
            b'{"resourceType":"Observation","subject":{"reference":"Patient/child"},"subject":{"reference":"Patient/parent"}}'
        )


@pytest.mark.parametrize(
    "subject",
    [
        None,
        "Patient/child",
        {},
        {"display": "Child Park"},
        {"reference": None},
        {"reference": ["Patient/child"]},
        {"reference": {"reference": "Patient/child"}},
        {"type": "Patient", "identifier": {"system": "urn:mrn", "value": "child"}},
        {"reference": "Patient/child", "type": "Group"},
        {"reference": "Patient/child", "type": None},
        {"reference": "Patient/child/_history/1"},
        {"reference": "Patient/child?x=y"},
        {"reference": "Patient?identifier=child"},
        {"reference": "#child"},
        {"reference": "urn:uuid:child"},
        {"reference": "https://elsewhere.example/fhir/Patient/child"},
        {"reference": "https://hospital.example.evil/fhir/Patient/child"},
        {"reference": "https://hospital.example/fhir2/Patient/child"},
        {"reference": "https://hospital.example/fhir/../other/Patient/child"},
        {"reference": "http://hospital.example/fhir/Patient/child"},
        {"reference": "//hospital.example/fhir/Patient/child"},
        {"reference": "/Patient/child"},
        {"reference": "Patient/child\n"},
        {"reference": "Patient/child\u200b"},
        {"reference": "Group/child"},
    ],
)
def test_a_subject_is_a_plain_reference_on_the_same_server_or_nobody(subject: Any):
    assert not may_be_shown(observation(subject), ONLY_CHILD, base=BASE)
    assert not may_be_shown(observation(subject), None, base=BASE)


def test_a_reference_below_the_servers_own_base_is_as_good_as_a_relative_one():
    whole = observation({"reference": f"{BASE}/Patient/child"})

    assert may_be_shown(whole, ONLY_CHILD, base=BASE)
    assert may_be_shown(whole, ONLY_CHILD, base=f"{BASE}/")
    assert not may_be_shown(whole, ONLY_CHILD, base="https://other.example/fhir")
    assert not may_be_shown(whole, ONLY_CHILD)


# -- what is in it -----------------------------------------------------------------------------------------------------

OF_NOBODY = {"resourceType": "Practitioner", "id": "dr"}
OF_CHILD = {"resourceType": "Coverage", "id": "c", "beneficiary": CHILD, "policyHolder": PARENT}
OF_PARENT = {"resourceType": "Coverage", "id": "c", "beneficiary": PARENT}


@pytest.mark.parametrize(
    ("contained", "may"),
    [
        ([OF_NOBODY, OF_CHILD], True),
        ([OF_NOBODY, OF_PARENT], False),
        ([OF_CHILD, OF_PARENT], False),
        # Of whom it is contained in, as long as it doesn't say otherwise.
        ([{"resourceType": "Specimen", "id": "s"}], True),
        ([{"resourceType": "Specimen", "id": "s", "subject": {"reference": "#p"}}], False),
        ([{"resourceType": "Specimen", "id": "s", "subject": None}], False),
        ([{"resourceType": "Specimen", "id": "s", "subject": []}], False),
        ([{"resourceType": "Specimen", "id": "s", "subject": {"display": "Parent Park"}}], False),
        ([{"resourceType": "Device", "id": "d"}], True),
        ([{"resourceType": "Device", "id": "d", "patient": CHILD}], True),
        ([{"resourceType": "Device", "id": "d", "patient": PARENT}], False),
        # People, and what may hold anything.
        ([{"resourceType": "Patient", "id": "child"}], False),
        ([{"resourceType": "Patient", "name": [{"text": "Parent Park"}]}], False),
        ([{"resourceType": "RelatedPerson", "id": "r", "patient": CHILD}], False),
        ([{"resourceType": "Group", "id": "g"}], False),
        ([{"resourceType": "Bundle", "id": "b"}], False),
        ([{"resourceType": "NoSuchType", "id": "x"}], False),
        ([{"id": "x"}], False),
        # Resources in resources in resources, and elsewhere than they may be.
        ([{**OF_NOBODY, "contained": [OF_NOBODY]}], False),
        ([{**OF_NOBODY, "extension": [{"valueX": OF_PARENT}]}], False),
        (["Practitioner"], False),
        ([None], False),
        (None, False),
        (OF_PARENT, False),
        ([], True),
    ],
)
def test_what_is_contained_must_be_the_callers_as_well(contained: Any, may: bool):
    assert may_be_shown(observation(contained=contained), ONLY_CHILD) is may


def test_a_subject_that_is_contained_is_nobody_we_know():
    inside = {"resourceType": "Patient", "id": "child"}

    assert not may_be_shown(observation({"reference": "#child"}, contained=[inside]), ONLY_CHILD)
    assert not may_be_shown(observation(CHILD, contained=[inside]), ONLY_CHILD)


def test_a_resource_anywhere_but_in_contained_is_refused():
    assert not may_be_shown(observation(component=[{"value": {"resourceType": "Patient"}}]), ONLY_CHILD)
    assert not may_be_shown(observation(entry=[{"resource": OF_CHILD}]), ONLY_CHILD)


def test_what_goes_along_says_nothing_of_patients():
    assert may_accompany(OF_NOBODY)
    assert may_accompany({**OF_NOBODY, "contained": [{"resourceType": "Organization", "id": "o"}]})
    assert not may_accompany({**OF_NOBODY, "contained": [OF_CHILD]})
    assert not may_accompany({**OF_NOBODY, "contained": [{"resourceType": "Specimen", "id": "s"}]})
    assert not may_accompany({**OF_NOBODY, "qualification": [{"x": {"resourceType": "Patient"}}]})
    assert not may_accompany({**OF_NOBODY, "id": ".."})
    assert not may_accompany(observation())


def test_it_says_which_shared_resources_a_resource_refers_to():
    resource = observation(
        performer=[{"reference": "Practitioner/dr"}, {"reference": f"{BASE}/Organization/lab"}, PARENT],
        contained=[{"resourceType": "Specimen", "id": "s", "collection": {"collector": {"reference": "PractitionerRole/r"}}}],
        extension=[{"valueReference": {"reference": "Location/l"}}],
        encounter={"reference": "Encounter/e"},
        basedOn=[{"reference": "Practitioner/dr/_history/1"}, {"reference": "#s"}, {"reference": "Practitioner?name=x"}],
        device={"reference": "https://elsewhere.example/Practitioner/x"},
        note=[{"authorReference": {"reference": "Practitioner/y", "type": "Organization"}}],
    )  # fmt: skip

    assert referred(resource, base=BASE) == {
        ("Practitioner", "dr"), ("Organization", "lab"), ("PractitionerRole", "r"), ("Location", "l"),
    }  # fmt: skip
    assert referred(observation()) == frozenset()


# -- the built-in store says the same ----------------------------------------------------------------------------------


def test_the_built_in_store_has_every_type_that_is_about_patients_in_the_same_compartments():
    for name, kind in DEFINITIONS.types.items():
        resource = {"resourceType": name, "id": "child"} | (
            {} if name == "Patient" else {kind.about.element: CHILD}
        )

        assert drawn_patients_of(TYPES[name], resource) == sorted(patients_of(resource)) == ["child"], name


@pytest.mark.parametrize("resource", [*NAMED_IN, *ONLY_MENTIONING[:14]], ids=named)
def test_the_built_in_store_shows_nobody_more(resource: Json):
    kind = TYPES.get(resource["resourceType"])

    assert kind is None or set(drawn_patients_of(kind, {"id": "x1", **resource})) <= patients_of(
        {"id": "x1", **resource}
    )


# -- the names of others -----------------------------------------------------------------------------------------------


def test_the_names_of_others_are_left_out_and_what_refers_to_them_stays():
    resource = observation(
        {**CHILD, "display": "Child Park"},
        text={"status": "generated", "div": "<div>Parent Park was there</div>"},
        performer=[
            {**PARENT, "display": "Parent Park", "_display": {"id": "d"}, "identifier": {"value": "4711"}},
            {"reference": "Practitioner/dr", "display": "Dr Who"},
            {"reference": "RelatedPerson/r", "display": "Parent Park"},
            {"reference": f"{BASE}/Patient/child", "display": "Child Park"},
            {"reference": "https://elsewhere.example/Patient/parent", "display": "Parent Park"},
            {"reference": "Patient?identifier=4711", "display": "Parent Park"},
            {"reference": "urn:uuid:1", "display": "Parent Park"},
            {"type": "Patient", "identifier": {"value": "4711"}, "display": "Parent Park"},
            {"display": "Dr No"},
        ],
        contained=[{"resourceType": "Specimen", "id": "s", "parent": [{**PARENT, "display": "Parent Park"}]}],
    )
    before = json.dumps(resource)

    left = without_others(resource, ONLY_CHILD, base=BASE)

    assert json.dumps(resource) == before
    assert left["performer"] == [
        PARENT,
        {"reference": "Practitioner/dr", "display": "Dr Who"},
        {"reference": "RelatedPerson/r"},
        {"reference": f"{BASE}/Patient/child", "display": "Child Park"},
        {"reference": "https://elsewhere.example/Patient/parent"},
        {"reference": "Patient?identifier=4711"},
        {"reference": "urn:uuid:1"},
        {"type": "Patient"},
        {"display": "Dr No"},
    ]
    assert left["contained"] == [{"resourceType": "Specimen", "id": "s", "parent": [PARENT]}]
    assert left["subject"] == {**CHILD, "display": "Child Park"}
    assert left["text"] == resource["text"]
    assert list(left) == list(resource)
    assert "Parent Park" not in json.dumps(without_others(resource, ONLY_CHILD, base=BASE, narrative=False))


def test_nobody_is_another_to_staff():
    resource = observation(performer=[{**PARENT, "display": "Parent Park"}])

    assert without_others(resource, None) == resource


def test_the_narrative_is_left_out_everywhere_where_that_is_wanted():
    composition = {
        "resourceType": "Composition",
        "id": "c",
        "text": {"div": "x"},
        "code": {"text": "y"},
        "section": [{"title": "z", "text": {"status": "generated", "div": "x"}}],
    }

    left = without_others(composition, ONLY_CHILD, narrative=False)

    assert left == {
        "resourceType": "Composition",
        "id": "c",
        "code": {"text": "y"},
        "section": [{"title": "z"}],
    }
