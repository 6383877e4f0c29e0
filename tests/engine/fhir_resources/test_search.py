"""What each kind of parameter finds, as FHIR R4 has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from engine.fhir_resources.clinic import Clinic, Json, bundle
from hospitium.engine.errors import NotFound
from hospitium.engine.fhir_resources import queries
from hospitium.engine.fhir_resources.search import parse_search

if TYPE_CHECKING:
    from engine.ground import Ground

SSN = "http://hl7.org/fhir/sid/us-ssn"
LOINC = "http://loinc.org"


def patient(patient_id: str, **more: Any) -> Json:
    return {"resourceType": "Patient", "id": patient_id, **more}


def observation(observation_id: str, subject: str = "Patient/ada", **more: Any) -> Json:
    return {"resourceType": "Observation", "id": observation_id, "subject": {"reference": subject}, **more}


def coded(*codings: tuple[str | None, str | None]) -> Json:
    return {"coding": [{k: v for k, v in (("system", s), ("code", c)) if v is not None} for s, c in codings]}


PATIENTS = [
    patient(
        "ada", gender="female", birthDate="1980-05-17", active=True,
        name=[{"family": "Park", "given": ["Ada", "Mary Ann"]}, {"use": "maiden", "family": "O'Neill", "text": "Ada O'Neill"}],
        identifier=[{"system": SSN, "value": "999-12-3456"}, {"system": "urn:x", "value": "A,1|2$3\\4"}, {"value": "bare"}],
        managingOrganization={"reference": "Organization/north"},
    ),
    patient(
        "ben", gender="male", birthDate="1980-05", active=False, name=[{"family": "Peña", "given": ["Benjamín"]}],
        identifier=[{"system": "urn:y", "value": "999-12-3456"}], managingOrganization={"reference": "Organization/north/_history/3"},
    ),
    patient("zoe", birthDate="1979", name=[{"family": "Parker"}, {"prefix": ["Dr."], "text": "100% _x"}], identifier=[{"system": "urn:y"}]),
    patient("nil", name=[{"family": 7}], identifier=[{"value": ""}, 7], birthDate="unknown"),
]  # fmt: skip
OBSERVATIONS = [
    observation("o1", status="final", code=coded((LOINC, "8302-2"), ("urn:local", "height")), effectiveDateTime="2020-03-01T10:00:00Z",
                category=[coded((None, "vital-signs"))], performer=[{"reference": "Practitioner/dr"}, {"reference": "Patient/ben"}]),
    observation("o2", status="amended", code=coded((LOINC, "8302-2")), effectivePeriod={"start": "2020-02", "end": "2020-03-15"}),
    observation("o3", "Patient/ben", status="final", code=coded((LOINC, "718-7")), effectiveDateTime="2020"),
    observation("o4", "Group/g", status="final", code=coded(("urn:local", "718-7")), effectivePeriod={"start": "2021"}),
    observation("o5", "Patient/ada/_history/2", status="final", code={"text": "8302-2"}),
    observation("o6", "https://elsewhere.example/Patient/ada", effectiveInstant="2020-03-01T10:00:00.500Z"),
]  # fmt: skip


@pytest.fixture
async def held(clinic: Clinic) -> Clinic:
    await clinic.loads(*PATIENTS, *OBSERVATIONS)
    return clinic


CASES = {
    # by id
    "Patient?": "ada ben nil zoe",
    "Patient?_id=ada": "ada",
    "Patient?_id=zoe,ada,nobody": "ada zoe",
    "Patient?_id=ada&_id=ben": "",
    "Observation?_id=ada": "",
    # tokens
    f"Patient?identifier={SSN}|999-12-3456": "ada",
    "Patient?identifier=999-12-3456": "ada ben",
    "Patient?identifier=|999-12-3456": "",
    "Patient?identifier=|bare": "ada",
    "Patient?identifier=urn:x|bare": "",
    "Patient?identifier=urn:y|": "ben zoe",
    "Patient?identifier=bare,urn:y|999-12-3456": "ada ben",
    "Patient?identifier=bare&identifier=999-12-3456": "ada",
    r"Patient?identifier=urn:x|A\,1\|2\$3\\4": "ada",
    r"Patient?identifier=A\,1\|2\$3\\4": "ada",
    r"Patient?identifier=A\,1\|2$3\\4": "ada",
    "Patient?identifier=A,1": "",
    "Patient?identifier=BARE": "",
    "Patient?identifier=bar": "",
    "Patient?gender=male": "ben",
    "Patient?gender=male,female": "ada ben",
    "Patient?gender=|male": "ben",
    "Patient?active=true": "ada",
    "Patient?active=false": "ben",
    "Observation?code=8302-2": "o1 o2",
    "Observation?code=718-7": "o3 o4",
    "Observation?code=urn:local|": "o1 o4",
    f"Observation?code={LOINC}|718-7": "o3",
    f"Observation?code={LOINC}|height": "",
    "Observation?code=8302-2&code=height": "o1",
    "Observation?category=|vital-signs": "o1",
    "Observation?status=final": "o1 o3 o4 o5",
    "Observation?status=final&code=8302-2,718-7": "o1 o3 o4",
    # names
    "Patient?name=park": "ada zoe",
    "Patient?name=PARKE": "zoe",
    "Patient?name=ark": "",
    "Patient?family=park&given=ada": "ada",
    "Patient?given=park": "",
    "Patient?given=mary  ann": "ada",
    "Patient?given=ann": "",
    "Patient?family=pena": "ben",
    "Patient?family=PEN\u0303A": "ben",
    "Patient?given=benjamin": "ben",
    "Patient?family=o'n": "ada",
    "Patient?name=dr": "zoe",
    "Patient?family=dr": "",
    "Patient?name=100%": "zoe",
    "Patient?name=1%": "",
    "Patient?name=100% _": "zoe",
    "Patient?name=100%__": "",
    "Patient?family=\uff50\uff41\uff52\uff4b": "ada zoe",
    r"Patient?name=nobody,park\,,pen": "ben",
    # dates
    "Patient?birthdate=1980-05-17": "ada",
    "Patient?birthdate=1980-05": "ada ben",
    "Patient?birthdate=1980": "ada ben",
    "Patient?birthdate=ne1980-05-17": "ben zoe",
    "Patient?birthdate=gt1979": "ada ben",
    "Patient?birthdate=ge1979": "ada ben zoe",
    "Patient?birthdate=lt1980-05-17": "ben zoe",
    "Patient?birthdate=le1980-05-17": "ada ben zoe",
    "Patient?birthdate=sa1979": "ada ben",
    "Patient?birthdate=sa1980-05-16": "ada",
    "Patient?birthdate=eb1980-05": "zoe",
    "Patient?birthdate=eb1980-06": "ada ben zoe",
    "Patient?birthdate=1979,1980-05-17": "ada zoe",
    "Patient?birthdate=ge1980-05-01&birthdate=lt1980-05-18": "ada ben",
    "Observation?date=2020-03-01": "o1 o6",
    "Observation?date=2020-03-01T10:00": "o1 o6",
    "Observation?date=2020-03-01T12:00:00%2B02:00".replace("%2B", "+"): "o1 o6",
    "Observation?date=2020-03-01T10:00:00.5Z": "o6",
    "Observation?date=2020": "o1 o2 o3 o6",
    "Observation?date=2020-02": "",
    "Observation?date=ge2020-03-10": "o2 o3 o4",
    "Observation?date=gt2020": "o4",
    "Observation?date=sa2020": "o4",
    "Observation?date=lt2020-02": "o3",
    "Observation?date=eb2020-03-16": "o1 o2 o6",
    "Observation?date=ne2020": "o4",
    "Patient?_lastUpdated=ge2000": "ada ben nil zoe",
    "Patient?_lastUpdated=lt2000": "",
    # references
    "Observation?patient=ada": "o1 o2 o5",
    "Observation?patient=Patient/ada": "o1 o2 o5",
    "Observation?patient=ada,ben": "o1 o2 o3 o5",
    "Observation?patient=g": "",
    "Observation?subject=ada": "o1 o2 o5",
    "Observation?subject=g": "o4",
    "Observation?subject=Group/g": "o4",
    "Observation?subject:Group=g": "o4",
    "Observation?subject:Patient=ada": "o1 o2 o5",
    "Observation?subject=Patient/ada,Group/g": "o1 o2 o4 o5",
    "Observation?subject=https://elsewhere.example/Patient/ada": "o6",
    "Observation?performer=Patient/ben": "o1",
    "Observation?performer=dr": "o1",
    "Observation?patient=ada&performer=Practitioner/dr&status=final": "o1",
    "Observation?patient=ada&subject=Patient/ben": "",
    "Patient?organization=Organization/north": "ada ben",
    # in which order
    "Patient?_sort=-_id": "zoe nil ben ada",
    "Patient?_sort=birthdate": "nil zoe ben ada",
    "Patient?_sort=-birthdate": "ada ben zoe nil",
    "Patient?_sort=_lastUpdated": "ada ben nil zoe",
    "Patient?_sort=-_lastUpdated&_count=1": "zoe nil ben ada",
    "Observation?_sort=date&_count=2": "o5 o3 o2 o1 o6 o4",
    "Observation?_sort=-date&_count=4": "o4 o6 o1 o2 o3 o5",
    "Observation?patient=ada&_sort=-date&_count=1": "o1 o2 o5",
}  # fmt: skip


async def test_it_finds_what_fhir_says(held: Clinic) -> None:
    found = {query: " ".join(await held.finds(query)) for query in CASES}
    assert found == CASES


INJECTIONS = [
    "'", "''", "\\\\", "%", "_", "$", "$1", r"\|", r"\,", r"\$", "';--", "' OR '1'='1", '"', "{", "}", "{ada}", "NULL", "%%", "x\u2028", "\x01", ":1", ":x", "a\nb",
]  # fmt: skip


async def test_signs_with_a_meaning_elsewhere_have_none_here(held: Clinic) -> None:
    before = await held.ground.everything()
    for sign in INJECTIONS:
        for name in ("identifier", "name", "family", "gender", "identifier=x&name"):
            assert await held.finds(f"Patient?{name}={sign}") == [], (name, sign)
    assert await held.ground.everything() == before


async def test_each_sign_is_found_as_itself(clinic: Clinic) -> None:
    signs = [sign for sign in map(chr, range(1, 0x250)) if sign.isprintable() and not sign.isspace()]
    await clinic.loads(
        *(patient(f"p{ord(sign)}", identifier=[{"system": sign, "value": sign}]) for sign in signs)
    )
    for sign in signs:
        written = f"\\{sign}" if sign in "\\,|$" else sign
        for value in (written, f"{written}|{written}", f"{written}|"):
            asked = parse_search("Patient", [("identifier", value)])
            found = (await clinic.page(asked)).resources
            assert [one.id for one in found] == [f"p{ord(sign)}"], value


# -- reading -----------------------------------------------------------------------------------------------------------


async def test_a_resource_is_read_with_its_version_and_last_update(held: Clinic) -> None:
    found = await held.reads("Patient", "ada")
    (row,) = await held.ground.rows("SELECT last_updated FROM fhir_resources WHERE id = 'ada'")
    when = row["last_updated"].strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert found == {**PATIENTS[0], "meta": {"versionId": "1", "lastUpdated": when}}


@pytest.mark.parametrize(
    ("type_", "resource_id"),
    [("Patient", "nobody"), ("Patient", "ADA"), ("Observation", "ada"), ("Patient", ".."), ("Patient", "a\0"), ("patient", "ada"), ("Patient", ""), ("Pa\0", "x"), ("Patient", "\ud800")],
)  # fmt: skip
async def test_what_is_not_there_is_not_found(held: Clinic, type_: str, resource_id: str) -> None:
    with pytest.raises(NotFound):
        await held.reads(type_, resource_id)


async def test_patients_are_found_for_invites(held: Clinic) -> None:
    does = held.ground.does
    found = await does("operator", queries.patient, held.id, "ada")
    assert found["name"][0]["family"] == "Park"
    assert await does("operator", queries.patient, held.id, "../ada") is None
    by = queries.patients_by_identifier
    assert [one["id"] for one in await does("operator", by, held.id, None, "999-12-3456", 2)] == [
        "ada",
        "ben",
    ]
    assert [one["id"] for one in await does("operator", by, held.id, None, "999-12-3456", 1)] == ["ada"]
    assert [one["id"] for one in await does("operator", by, held.id, SSN, "999-12-3456", 2)] == ["ada"]
    assert [one["id"] for one in await does("operator", by, held.id, "", "bare", 2)] == ["ada"]
    assert [one["id"] for one in await does("operator", by, held.id, "urn:x", "A,1|2$3\\4", 2)] == ["ada"]
    assert await does("operator", by, held.id, "", "", 2) == []


# -- narrowing ---------------------------------------------------------------------------------------------------------


async def test_a_search_within_patients_stays_in_their_compartments(held: Clinic) -> None:
    ada, both = frozenset({"ada"}), frozenset({"ada", "ben"})
    assert await held.finds("Patient?", ada) == ["ada"]
    assert await held.finds("Observation?", ada) == ["o1", "o2", "o5"]
    assert await held.finds("Observation?_count=1&_sort=-date", both) == ["o1", "o2", "o3", "o5"]
    assert await held.finds("Observation?patient=ben", ada) == []
    assert await held.finds("Observation?_id=o1,o3,o4", ada) == ["o1"]
    assert await held.finds("Observation?performer=Patient/ben", frozenset({"ben"})) == []
    assert await held.finds("Observation?subject=Group/g", ada) == []
    assert await held.finds("Observation?", frozenset()) == []
    assert await held.finds("Organization?", ada) == []
    assert (await held.reads("Observation", "o1", ada))["id"] == "o1"
    for type_, resource_id in (
        ("Observation", "o3"),
        ("Observation", "o4"),
        ("Observation", "o6"),
        ("Patient", "ben"),
    ):
        with pytest.raises(NotFound):
            await held.reads(type_, resource_id, ada)


def about(type_: str, **members: Any) -> Json:
    return {"resourceType": type_, "id": type_.lower(), **members}


CHILD, PARENT = {"reference": "Patient/child"}, {"reference": "Patient/parent"}
# Of each type the child's data, with the parent wherever else a patient may stand (threats F-03).
OF_THE_CHILD = [
    about("AllergyIntolerance", patient=CHILD, asserter=PARENT, recorder=PARENT),
    about("CarePlan", subject=CHILD, activity=[{"detail": {"performer": [PARENT]}}]),
    about("CareTeam", subject=CHILD, participant=[{"member": PARENT}]),
    about("Claim", patient=CHILD, payee={"party": PARENT}),
    about("Communication", subject=CHILD, sender=PARENT, recipient=[PARENT]),
    about("CommunicationRequest", subject=CHILD, sender=PARENT, recipient=[PARENT], requester=PARENT),
    about("Composition", subject=CHILD, author=[PARENT], attester=[{"party": PARENT}]),
    about("Condition", subject=CHILD, asserter=PARENT),
    about("Coverage", beneficiary=CHILD, policyHolder=PARENT, subscriber=PARENT, payor=[PARENT]),
    about("DocumentReference", subject=CHILD, author=[PARENT]),
    about("ExplanationOfBenefit", patient=CHILD, payee={"party": PARENT}),
    about("MedicationDispense", subject=CHILD, receiver=[PARENT]),
    about("Observation", subject=CHILD, performer=[PARENT], focus=[PARENT]),
    about("Procedure", subject=CHILD, performer=[{"actor": PARENT}]),
    about("RequestGroup", subject=CHILD, action=[{"participant": [PARENT]}]),
    about("ServiceRequest", subject=CHILD, performer=[PARENT]),
]
# What only mentions patients is in nobody's compartment (threats F-04).
OF_NOBODY = [
    about("Group", member=[{"entity": CHILD}]),
    about("Person", link=[{"target": CHILD}]),
    about("Provenance", target=[CHILD]),
    about("AuditEvent", agent=[{"who": CHILD}]),
    about("QuestionnaireResponse", subject=CHILD),
    about("RelatedPerson", patient=CHILD),
    about("Linkage", item=[{"resource": CHILD}]),
    about("Appointment", participant=[{"actor": CHILD}]),
    about("Schedule", actor=[CHILD]),
]


async def test_a_childs_data_is_in_no_parents_compartment(clinic: Clinic) -> None:
    await clinic.loads(
        patient("child"), patient("parent", link=[{"other": CHILD}]), *OF_THE_CHILD, *OF_NOBODY
    )
    for one in OF_THE_CHILD:
        type_, id_ = one["resourceType"], one["id"]
        assert await clinic.finds(f"{type_}?", frozenset({"child"})) == [id_]
        assert await clinic.finds(f"{type_}?", frozenset({"parent"})) == []
        assert await clinic.finds(f"{type_}?patient=parent") == []
        assert await clinic.finds(f"{type_}?patient=child") == [id_]
    for one in OF_NOBODY:
        assert await clinic.finds(f"{one['resourceType']}?", frozenset({"child"})) == []
    assert await clinic.finds("Patient?", frozenset({"parent"})) == ["parent"]


async def test_whoever_may_see_all_finds_by_each_parameter_of_the_compartment(clinic: Clinic) -> None:
    await clinic.loads(*OF_THE_CHILD, *OF_NOBODY)
    for query in (
        "AllergyIntolerance?asserter=", "AllergyIntolerance?recorder=", "CarePlan?performer=", "CareTeam?participant=", "Claim?payee=",
        "Communication?sender=", "Communication?recipient=", "CommunicationRequest?requester=", "Composition?author=", "Composition?attester=",
        "Condition?asserter=", "Coverage?policy-holder=", "Coverage?subscriber=", "Coverage?payor=", "DocumentReference?author=",
        "ExplanationOfBenefit?payee=", "MedicationDispense?receiver=", "Observation?performer=", "Observation?focus=",
        "Procedure?performer=", "RequestGroup?participant=", "ServiceRequest?performer=",
    ):  # fmt: skip
        assert await clinic.finds(f"{query}Patient/parent") == [query.split("?")[0].lower()], query
        assert await clinic.finds(f"{query}Patient/child") == [], query
    for query in ("Group?member=", "Person?patient=", "Provenance?patient=", "AuditEvent?patient=", "QuestionnaireResponse?patient=", "RelatedPerson?patient=", "Appointment?patient=", "Appointment?actor=", "Schedule?actor="):  # fmt: skip
        assert await clinic.finds(f"{query}child") == [query.split("?")[0].lower()], query


async def test_what_may_be_about_several_patients_is_in_each_ones_compartment(clinic: Clinic) -> None:
    account = {"resourceType": "Account", "id": "acc", "subject": [CHILD, PARENT, {"reference": "Device/d"}]}
    await clinic.loads(
        account, {"resourceType": "Account", "id": "other", "subject": [{"reference": "Patient/x"}]}
    )
    for who in ("child", "parent"):
        assert await clinic.finds("Account?", frozenset({who})) == ["acc"]
        assert await clinic.finds(f"Account?patient={who}") == ["acc"]
        assert (await clinic.reads("Account", "acc", frozenset({who})))["id"] == "acc"
    assert await clinic.finds("Account?subject=Device/d") == ["acc"]
    assert await clinic.finds("Account?patient=d") == []
    assert await clinic.finds("Account?", frozenset({"x", "child"})) == ["acc", "other"]


async def test_one_server_finds_nothing_of_another(ground: Ground) -> None:
    here, there = await Clinic.open(ground), await Clinic.open(ground, "Other", "lakeside")
    await here.loads_files({"a.json": bundle(*PATIENTS, *OBSERVATIONS)})
    await there.loads(patient("ada", gender="other"))
    assert await there.finds("Patient?") == ["ada"]
    assert await there.finds(f"Patient?identifier={SSN}|999-12-3456") == []
    assert await there.finds("Patient?name=park") == []
    assert await there.finds("Observation?patient=ada") == []
    assert (await there.reads("Patient", "ada"))["gender"] == "other"
    assert (await here.reads("Patient", "ada"))["gender"] == "female"
