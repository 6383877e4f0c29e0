"""May a resource be shown? The compartment answers as FHIR's own expressions do, evaluated by somebody else, over all types of R4."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import pytest
from fhirpathpy import compile as compiled
from hypothesis import HealthCheck, Phase, given, settings, strategies as st

from hospitium.engine.fhir_gateway.compartments import may_accompany, may_be_shown, patients_of
from hospitium.engine.fhir_gateway.definitions import DEFINITIONS

Json = dict[str, Any]

# Each example is a resource of every type that is about patients, and some of the others.
ROUNDS = max(8, int(os.environ.get("HOSPITIUM_SOAK", "0")) // 10)
BASE = "https://hospital.example/fhir"
PATIENTS = ("a", "b", "c.-9")
# Of FHIR's compartment, what says whom a resource is about (threats F-03), in the words of that row.
SUBJECT_ONLY = ("subject", "patient", "beneficiary", "individual")
WRITTEN = [
    *(f"Patient/{one}" for one in PATIENTS),
    *(f"{BASE}/Patient/{one}" for one in PATIENTS),
    "Patient/a/_history/1",
    "Patient/a?_id=a",
    "Patient/a#x",
    "Patient?identifier=a",
    "Patient/",
    "Patient/.",
    "Patient/..",
    "Patient/../Patient/a",
    "./Patient/a",
    "Patient//a",
    "/Patient/a",
    "Patient/a ",
    "Patient/a\n",
    "Patient/\uff41",
    "Patient%2Fa",
    "Patient/a,Patient/b",
    "Patient/" + "a" * 65,
    "patient/a",
    "a",
    "",
    "#a",
    "#",
    "urn:uuid:8f7e2c1a-0000-4000-8000-000000000000",
    f"{BASE}//Patient/a",
    f"{BASE}.evil.example/Patient/a",
    f"{BASE}/",
    "http://hospital.example/fhir/Patient/a",
    "https://elsewhere.example/fhir/Patient/a",
    "Group/a",
    "Practitioner/a",
    "RelatedPerson/a",
]


# -- what there may be -------------------------------------------------------------------------------------------------

to_a = st.sampled_from([{"reference": "Patient/a"}, {"reference": f"{BASE}/Patient/a", "type": "Patient"}])
to_somebody = st.builds(lambda one: {"reference": one}, st.sampled_from(WRITTEN[: 2 * len(PATIENTS)]))
any_reference = st.fixed_dictionaries(
    {},
    optional={
        "reference": st.sampled_from(WRITTEN),
        "type": st.sampled_from(["Patient", "Group", "Practitioner", ""]),
        "identifier": st.just({"value": "a"}),
        "display": st.just("Patient/a"),
    },
)


def one_or_several(references: st.SearchStrategy[Json]) -> st.SearchStrategy[Any]:
    return st.one_of(references, st.lists(references, min_size=1, max_size=3))


# Half of all are about one patient and nobody else: else hardly any would be shown.
WHOM = [one_or_several(to_a), one_or_several(st.one_of(to_a, to_a, to_somebody, any_reference))]


def placed(path: str, value: Any) -> Json:
    for name in reversed(path.split(".")):
        value = {name: value}
    return value


@cache
def paths(type_: str) -> tuple[str, ...]:
    """Where resources of a type refer to patients: all that FHIR's compartment is made of, and what it leaves out."""
    kind = DEFINITIONS.types.get(type_)
    pieces = [piece for one in kind.compartment.values() for piece in one.split(" | ")] if kind else []
    drawn = [piece.partition(".where(")[0].partition(".")[2] for piece in pieces]
    return tuple(
        dict.fromkeys([*drawn, "subject", "patient", "focus", "entry.item", "extension.valueReference"])
    )


@st.composite
def resources(
    draw: st.DrawFn, types: st.SearchStrategy[str], whom: st.SearchStrategy[Any], inner: bool = False
) -> Json:
    type_ = draw(types)
    resource: Json = {"resourceType": type_, "id": draw(st.sampled_from([*PATIENTS, "x"]))}
    for path in paths(type_):
        if draw(st.integers(0, 2)):
            resource |= placed(path, draw(whom))
    if not inner and not draw(st.integers(0, 3)):
        holds = resources(st.sampled_from(CONTAINED), whom, inner=True)
        resource["contained"] = draw(st.lists(holds, min_size=1, max_size=2))
    if not draw(st.integers(0, 40)):
        resource |= placed(
            draw(st.sampled_from(["resource", "entry.resource", "x.y"])), {"resourceType": "Patient"}
        )
    return resource


# Many of those that may be contained: of all types, hardly one in ten would be looked at any further.
CONTAINED = (
    sorted({*DEFINITIONS.types, *DEFINITIONS.shared}) * 9 + ["Device"] * 90 + sorted(DEFINITIONS.known)
)
OTHERS = sorted(DEFINITIONS.known - DEFINITIONS.types.keys())
callers = st.sampled_from(
    [frozenset("a"), frozenset("a"), frozenset("ab"), frozenset(["c.-9"]), frozenset(), None]
)


# -- the other opinion -------------------------------------------------------------------------------------------------


@cache
def evaluated(expression: str) -> Any:
    return compiled(expression)


def subjects(resource: Json) -> list[Any] | None:
    """Return what FHIR's expressions find that a resource is about; None if it is of a type that is about nobody."""
    type_ = resource["resourceType"]
    kind = DEFINITIONS.types.get(type_)
    if kind is None:
        return None
    said = [one for name, one in kind.compartment.items() if name in SUBJECT_ONLY]
    # Each piece says `Type.element`, some with `.where(resolve() is Patient)`: what it leads to is looked at below.
    pieces = {piece.partition(".where(")[0] for one in said for piece in one.split(" | ")}
    return [item for piece in sorted(pieces) for item in evaluated(piece)(resource)]


def is_theirs(reference: Json, patients: frozenset[str] | None) -> bool:
    theirs = PATIENTS if patients is None else patients
    written = [f"{before}Patient/{one}" for one in theirs for before in ("", f"{BASE}/")]
    return reference.get("reference") in written and reference.get("type", "Patient") == "Patient"


def belongs(contained: Json, patients: frozenset[str] | None) -> bool:
    type_ = contained["resourceType"]
    if type_ in DEFINITIONS.shared:
        return True
    about = evaluated("Device.patient")(contained) if type_ == "Device" else subjects(contained)
    return type_ != "Patient" and about is not None and all(is_theirs(one, patients) for one in about)


def is_allowed(resource: Json, patients: frozenset[str] | None) -> bool:
    type_ = resource["resourceType"]
    contained = evaluated(f"{type_}.contained")(resource)
    inside = evaluated(f"{type_}.descendants().where(resourceType.exists())")(resource)
    if len(inside) != len(contained):
        return False
    if type_ == "Patient":
        is_about_them = resource["id"] in ((*PATIENTS, "x") if patients is None else patients)
    else:
        about = subjects(resource)
        is_about_them = bool(about) and all(is_theirs(one, patients) for one in about or ())
    return is_about_them and all(belongs(one, patients) for one in contained)


# -- and ours ----------------------------------------------------------------------------------------------------------


# A failure names the one resource it is about; to make the whole example smaller would take minutes.
@settings(
    max_examples=ROUNDS,
    deadline=None,
    phases=[Phase.reuse, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(st.data())
def test_it_shows_what_fhirs_own_expressions_say_is_about_these_patients(data: st.DataObject):
    others = data.draw(st.lists(st.sampled_from(OTHERS), max_size=9))
    for type_ in [*DEFINITIONS.types, *others]:
        resource = data.draw(resources(st.just(type_), data.draw(st.sampled_from(WHOM))))
        patients = data.draw(callers)

        assert may_be_shown(resource, patients, base=BASE) is is_allowed(resource, patients), resource


@pytest.mark.parametrize("type_", sorted(DEFINITIONS.known))
def test_either_opinion_knows_when_a_resource_is_about_one_patient(type_: str):
    """Else both could agree by refusing everything."""
    kind = DEFINITIONS.types.get(type_)
    element = kind.about.element if kind else "subject"
    resource = {"resourceType": type_, "id": "a"} | (
        {} if type_ == "Patient" else {element: {"reference": "Patient/a"}}
    )

    assert (
        is_allowed(resource, frozenset("a")) is may_be_shown(resource, frozenset("a")) is (kind is not None)
    )
    assert is_allowed(resource, frozenset("b")) is may_be_shown(resource, frozenset("b")) is False
    assert patients_of(resource) == (frozenset("a") if kind else frozenset())
    assert may_accompany(resource) is (type_ in DEFINITIONS.shared)
