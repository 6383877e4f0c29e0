"""Synthetic patients: FHIR R4 Bundles for the demo world and for tests, made of fixed randomness. Nobody in them exists.

The first twelve are a cast that can be told apart: a child and his mother, two men of one name, one who is no patient any more,
two who come in Bundles that refer by `urn:uuid:`. Whoever comes after them is drawn. The same count and seed give the same bytes
everywhere: no clock is read, and all there is was before `REFERENCE`. Who is in the list doesn't depend on how long it is.

Resources are as https://hl7.org/fhir/R4/ has them. What is made up can meet nobody: social security numbers of the 9xx range, which
are never issued; telephone numbers 555-01xx; mail and web below `.example`.
"""

from __future__ import annotations

import random
import unicodedata
from collections import Counter
from datetime import date, datetime, time, timedelta, timezone
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID, uuid5

from hospitium.doors.cli import synthetic_medicine as medicine

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Json = dict[str, Any]

REFERENCE = date(2026, 11, 1)  # the day from which all others are counted back
CLINIC = "https://northside.example"
CLINIC_NAME = "Northside Family Practice"
SSN = "http://hl7.org/fhir/sid/us-ssn"
_NAMESPACE = UUID("6f0d3d0e-5c0c-4b0e-9a55-0d2c0f5e7a11")  # any that is ours, and stays
_YEAR, _MONTH = 365.2425, 30.436875  # days
_ADULT = 18  # years
_LATEST = REFERENCE - timedelta(days=14)  # nothing is planned later: a closed day moves it on
_FEWEST_YEARS = 8  # what a chart goes back, if its patient is as old as that


class _Person(NamedTuple):
    """Who somebody is, and what befell him how many years before `REFERENCE`."""

    given: str
    family: str
    gender: str
    age: int
    home: int
    language: str = "en"
    married: str = "S"
    mother: str = ""
    active: bool = True
    conditions: Mapping[str, float] = MappingProxyType({})
    procedures: Mapping[str, float] = MappingProxyType({})
    allergies: tuple[str, ...] = ()


_CAST = (
    _Person("Elena", "Peña", "female", 38, 1, "es", "M", conditions={"thyroid": 4.0, "bronchitis": 1.3}, allergies=("penicillin",)),
    _Person("Mateo", "Peña", "male", 6, 1, "es", mother="Elena", conditions={"asthma": 2.5, "otitis": 4.2}, allergies=("peanut",)),
    _Person("Harold", "Whitfield", "male", 84, 2, married="W", conditions={"hypertension": 9.5, "kidney": 5.1, "fibrillation": 3.2},
            procedures={"ecg": 3.1}),
    _Person("Grace", "Okonkwo", "female", 57, 3, married="M", conditions={"hypertension": 7.4, "diabetes": 5.6, "lipids": 5.5},
            procedures={"colonoscopy": 6.3, "mammography": 2.2}),
    _Person("José Ángel", "Núñez", "male", 63, 4, "es", "M", conditions={"obesity": 7.2, "diabetes": 3.7, "knee": 2.1},
            procedures={"colonoscopy": 4.4}),
    _Person("José Ángel", "Núñez", "male", 29, 5, "es", conditions={"asthma": 6.1, "sprain": 2.6}, procedures={"spirometry": 6.0}),
    _Person("Lucía", "Ibáñez", "female", 24, 6, "es", conditions={"migraine": 3.3, "uti": 0.8}, allergies=("bee",)),
    _Person("Samuel", "Brandt", "male", 45, 7, married="D", conditions={"lipids": 2.9, "reflux": 4.7, "bronchitis": 5.3}),
    _Person("Aiko", "Tanaka", "female", 71, 8, married="W", conditions={"thyroid": 8.6, "knee": 6.2, "lipids": 4.1},
            procedures={"mammography": 3.0}),
    _Person("Noah", "Keller", "male", 2, 9, mother="Anna", conditions={"otitis": 1.0, "eczema": 1.6}),
    _Person("Priya", "Raman", "female", 33, 10, married="M", conditions={"depression": 2.4, "uti": 3.9}),
    _Person("Walter", "Lindgren", "male", 50, 11, active=False, conditions={"hypertension": 4.3, "strep": 6.6}),
)  # fmt: skip

_GIVEN = {
    "female": ("Ana María", "Beatriz", "Chloe", "Dolores", "Fatima", "Hannah", "Inés", "June", "Leila", "Margaret", "Nora", "Sofía"),
    "male": ("Andrés", "Benjamin", "Cyrus", "Dmitri", "Elias", "Felipe", "George", "Hugo", "Isaac", "Joaquín", "Kofi", "Martín"),
}  # fmt: skip
_FAMILIES = (
    "Abbott", "Baptiste", "Castañeda", "Dvorak", "Echeverría", "Fontaine", "Gutiérrez", "Haddad", "Iversen", "Jimenez", "Kowalski",
    "Lambert", "Muñoz", "Nakamura", "Osei", "Petrov", "Quiñones", "Rossi", "Sandoval", "Tran", "Underhill", "Vásquez", "Weiss", "Yilmaz",
)  # fmt: skip
_TOWNS = (("Dayton", "45402"), ("Kettering", "45429"), ("Xenia", "45385"), ("Springfield", "45502"))
_STREETS = ("Elm St", "Oak Ave", "Main St", "Lake Dr", "Mill Rd")
_MARRIED = {"S": "Never Married", "M": "Married", "D": "Divorced", "W": "Widowed"}
_LANGUAGES = {"en": "English", "es": "Spanish"}
_STAFF = (("Carmen", "Solís", "female"), ("Owen", "Adeyemi", "male"), ("Ruth", "Halloran", "female"))
_OF_CHILDREN = 2  # whose patients are the children, in _STAFF
_YEARLY = 36  # months: from this age on one comes once a year
_CHECK_UPS = (1, 2, 4, 6, 9, 12, 15, 18, 24, 30, *range(_YEARLY, 1200, 12))  # ages in months
_CLOSED = {(1, 1), (7, 4), (12, 25)}


def patients(
    count: int, *, seed: int = 12, clinic: str = CLINIC, clinic_name: str = CLINIC_NAME
) -> list[Json]:
    """Return a FHIR R4 `collection` Bundle a patient, the patient first, ready for JSON.

    Clinic is the base of the medical record numbers' system (`…/mrn`) and of every `fullUrl`. The clinic and its staff are in each
    Bundle, the same; two Bundles of twelve refer by `urn:uuid:`, the others by `Type/id`.
    """
    return [_bundle(number, seed, clinic, clinic_name) for number in range(1, count + 1)]


def bulk_patients(count: int, seed: int = 12, *, clinic: str = CLINIC) -> Iterator[Json]:
    """Yield Patient resources and nothing about them, for benchmarks; their medical record numbers begin with MRN-0000001."""
    chance = random.Random(seed)  # noqa: S311  a fixed world, no secret
    newest, system = REFERENCE.toordinal() - 1, f"{clinic}/mrn"
    for number in range(1, count + 1):
        gender = ("female", "male")[number % 2]
        bits = f"{chance.getrandbits(128):032x}"
        yield {
            "resourceType": "Patient",
            "id": f"{bits[:8]}-{bits[8:12]}-4{bits[13:16]}-a{bits[17:20]}-{bits[20:]}",
            "identifier": [
                {"system": system, "value": f"MRN-{number:07}"},
                {"system": SSN, "value": _never_issued(number)},
            ],
            "active": True,
            "name": [{"family": chance.choice(_FAMILIES), "given": [chance.choice(_GIVEN[gender])]}],
            "gender": gender,
            "birthDate": date.fromordinal(newest - int(chance.random() * 85 * 365)).isoformat(),
        }


# -- one chart -------------------------------------------------------------------------------------------------------------


class _Visit(NamedTuple):
    start: datetime
    kind: str
    because: str = ""  # of medicine.AILMENTS or medicine.PROCEDURES


class _Chart:
    """The Bundle of one patient while it is written."""

    def __init__(self, name: str, clinic: str, by_urn: bool) -> None:
        self._name, self._clinic, self._by_urn = name, clinic, by_urn
        self._written: Counter[str] = Counter()
        self.entries: list[Json] = []
        self.patient: Json = {}
        self.practitioner: Json = {}

    def reference(self, resource: Json) -> Json:
        kind, id_ = resource["resourceType"], resource["id"]
        return {"reference": f"urn:uuid:{id_}" if self._by_urn else f"{kind}/{id_}"}

    def keep(self, resource: Json) -> Json:
        """Put a resource into the Bundle; return the reference to it."""
        kind, id_ = resource["resourceType"], resource["id"]
        url = f"urn:uuid:{id_}" if self._by_urn else f"{self._clinic}/fhir/{kind}/{id_}"
        self.entries.append({"fullUrl": url, "resource": resource})
        return self.reference(resource)

    def write(self, kind: str, elements: Json) -> Json:
        """Put a new resource into the Bundle; return the reference to it."""
        self._written[kind] += 1
        name = f"{self._name}/{kind}/{self._written[kind]}"
        return self.keep({"resourceType": kind, "id": str(uuid5(_NAMESPACE, name)), **elements})


def _bundle(number: int, seed: int, clinic: str, clinic_name: str) -> Json:
    person = _CAST[number - 1] if number <= len(_CAST) else _somebody(number, seed)
    chance = random.Random(f"{seed}/{number}")  # noqa: S311  a fixed world, no secret
    born = REFERENCE.replace(year=REFERENCE.year - person.age) - timedelta(days=chance.randrange(1, 300))
    chart = _Chart(f"{seed}/{number}", clinic, by_urn=number % 6 == 4)  # noqa: PLR2004  the fourth and the tenth
    organization, *staff = _clinic(seed, clinic, clinic_name)
    own = staff[_OF_CHILDREN if person.age < _ADULT else number % _OF_CHILDREN]
    chart.practitioner = chart.reference(own)
    chart.patient = chart.write("Patient", {
        **_patient(person, number, born, clinic),
        "generalPractitioner": [chart.practitioner], "managingOrganization": chart.reference(organization),
    })  # fmt: skip
    for resource in (organization, *staff):
        chart.keep(resource)
    attended = [
        (visit, _encounter(chart, visit, chart.reference(organization), chance))
        for visit in _visits(person, born, chance)
    ]
    _measure(chart, person, born, attended, chance)
    for visit, encounter in attended:
        if visit.because in medicine.AILMENTS:
            _diagnose(chart, visit, encounter, born, chance)
            _prescribe(chart, visit, attended)
        elif visit.because:
            _operate(chart, visit, encounter)
    _vaccinate(chart, born, attended)
    for allergy in person.allergies:
        _warn(chart, allergy, next(visit for visit, _ in attended if _age(born, visit.start.date()) >= 1))
    return {"resourceType": "Bundle", "type": "collection", "entry": chart.entries}


def _somebody(number: int, seed: int) -> _Person:
    """Draw whoever comes after the cast."""
    chance = random.Random(f"{seed}/{number}/who")  # noqa: S311  a fixed world, no secret
    age, gender = chance.randrange(2, 85), chance.choice(("female", "male"))
    ailments = medicine.OF_AGE[max(years for years in medicine.OF_AGE if years <= age)]
    befell = chance.sample(ailments, chance.randrange(3))
    child = age < _ADULT
    return _Person(
        chance.choice(_GIVEN[gender]), chance.choice(_FAMILIES), gender, age, number,
        language=chance.choices(("en", "es"), (3, 1))[0], married="S" if child else chance.choice("SMMDW"),
        mother=chance.choice(_GIVEN["female"]) if child else "",
        conditions={ailment: round(chance.uniform(0.3, min(8.0, age * 0.6)), 1) for ailment in befell},
    )  # fmt: skip


# -- who -------------------------------------------------------------------------------------------------------------------


def _patient(person: _Person, number: int, born: date, clinic: str) -> Json:
    town, zip_code = _TOWNS[person.home % len(_TOWNS)]
    street = f"{100 + 7 * person.home} {_STREETS[person.home % len(_STREETS)]}"
    phone = {"system": "phone", "value": f"+1-937-555-01{10 + person.home % 90}", "use": "home"}
    written: Json = {
        "identifier": [
            {"use": "usual", "type": _term("v2-0203", "MR", "Medical record number"), "system": f"{clinic}/mrn", "value": f"N{number:05}"},
            {"type": _term("v2-0203", "SS", "Social Security number"), "system": SSN, "value": _never_issued(49_000_000 + number)},
        ],
        "active": person.active,
        "name": [{"use": "official", "text": f"{person.given} {person.family}", "family": person.family, "given": person.given.split()}],
        "telecom": [phone],
        "gender": person.gender,
        "birthDate": born.isoformat(),
        "address": [{"use": "home", "line": [street], "city": town, "state": "OH", "postalCode": zip_code, "country": "US"}],
        "communication": [{"language": _concept(("urn:ietf:bcp:47", person.language, _LANGUAGES[person.language])), "preferred": True}],
    }  # fmt: skip
    if person.mother:
        kin = [_term("v2-0131", "N", "Next-of-Kin"), _term("v3-RoleCode", "MTH", "mother")]
        name = {"family": person.family, "given": person.mother.split()}
        return {**written, "contact": [{"relationship": kin, "name": name, "telecom": [phone]}]}
    letters = unicodedata.normalize("NFKD", f"{person.given.split()[0]}.{person.family}".lower())
    plain = letters.encode("ascii", "ignore").decode()
    mail = {"system": "email", "value": f"{plain}{number}@mail.example", "use": "home"}
    married = _term("v3-MaritalStatus", person.married, _MARRIED[person.married])
    return {**written, "telecom": [phone, mail], "maritalStatus": married}


def _never_issued(number: int) -> str:
    """Return a social security number of the 9xx range whose middle digits no taxpayer number has either (00 to 49)."""
    return f"{900 + number // 500_000}{number % 500_000:06}"


def _clinic(seed: int, clinic: str, name: str) -> list[Json]:
    """Return the clinic's Organization, then its Practitioners."""
    host = clinic.partition("://")[2]
    address = {"line": ["12 Elm St"], "city": "Dayton", "state": "OH", "postalCode": "45402", "country": "US"}
    organization = {
        "resourceType": "Organization", "id": str(uuid5(_NAMESPACE, f"{seed}/{clinic}")),
        "identifier": [{"system": "urn:ietf:rfc:3986", "value": clinic}], "active": True,
        "type": [_term("organization-type", "prov", "Healthcare Provider")], "name": name,
        "telecom": [{"system": "phone", "value": "+1-937-555-0100"}, {"system": "email", "value": f"desk@{host}"}], "address": [address],
    }  # fmt: skip
    return [organization] + [
        {
            "resourceType": "Practitioner", "id": str(uuid5(_NAMESPACE, f"{seed}/{clinic}/{number}")),
            "identifier": [{"system": f"{clinic}/staff", "value": f"S-{number:03}"}], "active": True,
            "name": [{"family": family, "given": [given], "prefix": ["Dr."]}], "gender": gender,
        }
        for number, (given, family, gender) in enumerate(_STAFF, start=1)
    ]  # fmt: skip


# -- when ------------------------------------------------------------------------------------------------------------------


def _visits(person: _Person, born: date, chance: random.Random) -> list[_Visit]:
    """Return every visit in order: check-ups, and half a year after each if something stays; then what befell."""
    goes_back = max(_FEWEST_YEARS, *(years + 1 for years in (0, *person.conditions.values())))
    begins = max(born, _ago(goes_back))
    lasting = [_ago(years) for name, years in person.conditions.items() if not medicine.AILMENTS[name].days]
    shift = chance.randrange(300)  # nobody but an infant comes on birthdays
    planned = [(_ago(years), "symptom", name) for name, years in person.conditions.items()]
    planned += [(_ago(years), "procedure", name) for name, years in person.procedures.items()]
    for months in _CHECK_UPS:
        day = born + timedelta(days=round(months * _MONTH) + (shift if months >= _YEARLY else 0))
        between = day + timedelta(days=182)
        planned.append((day, "child" if _age(born, day) < _ADULT else "check-up", ""))
        if months >= _YEARLY and any(since < day for since in lasting):
            planned.append((between, "follow-up", ""))
    taken: set[date] = set()
    visits = []
    for day, kind, because in sorted(plan for plan in planned if begins <= plan[0] <= _LATEST):
        while day in taken or day.weekday() > 4 or (day.month, day.day) in _CLOSED:  # noqa: PLR2004  Friday
            day += timedelta(days=1)  # noqa: PLW2901  the next day on which there is room
        taken.add(day)
        at = time(chance.randrange(8, 16), chance.choice((0, 15, 30, 45)), tzinfo=_offset(day))
        visits.append(_Visit(datetime.combine(day, at), kind, because))
    return sorted(visits)


def _ago(years: float) -> date:
    return REFERENCE - timedelta(days=round(years * _YEAR))


def _age(born: date, day: date) -> float:
    return (day - born).days / _YEAR


def _offset(day: date) -> timezone:
    """Return the offset of Ohio: four hours from the second Sunday in March to the first in November, five else."""
    march, november = date(day.year, 3, 8), date(day.year, 11, 1)
    summer = march + timedelta(days=6 - march.weekday()), november + timedelta(days=6 - november.weekday())
    return timezone(timedelta(hours=-4 if summer[0] <= day < summer[1] else -5))


def _said(instant: datetime) -> str:
    return instant.isoformat(timespec="seconds")


# -- what ------------------------------------------------------------------------------------------------------------------


def _concept(*codings: tuple[str, str, str], text: str | None = None) -> Json:
    coding = [{"system": system, "code": code, "display": display} for system, code, display in codings]
    return {"coding": coding, "text": text or codings[-1][2]}


def _term(system: str, code: str, display: str) -> Json:
    """Return a concept of one of HL7's own systems."""
    return _concept((medicine.HL7 + system, code, display))


def _encounter(chart: _Chart, visit: _Visit, organization: Json, chance: random.Random) -> Json:
    ends = visit.start + timedelta(minutes=chance.choice((15, 20, 30, 45)))
    return chart.write("Encounter", {
        "status": "finished",
        "class": {"system": f"{medicine.HL7}v3-ActCode", "code": "AMB", "display": "ambulatory"},
        "type": [_concept((medicine.SNOMED, *medicine.VISITS[visit.kind]))],
        "subject": chart.patient,
        "participant": [{"individual": chart.practitioner}],
        "period": {"start": _said(visit.start), "end": _said(ends)},
        "serviceProvider": organization,
    })  # fmt: skip


def _diagnose(chart: _Chart, visit: _Visit, encounter: Json, born: date, chance: random.Random) -> None:
    ailment, day = medicine.AILMENTS[visit.because], visit.start.date()
    noticed = chance.randrange(1, 5) if ailment.days else chance.randrange(14, 90)
    onset = max(born, day - timedelta(days=noticed))
    over = onset + timedelta(days=ailment.days)
    ended: Json = {"abatementDateTime": over.isoformat()} if ailment.days else {}
    status = "resolved" if ended else "active"
    chart.write("Condition", {
        "clinicalStatus": _term("condition-clinical", status, status.capitalize()),
        "verificationStatus": _term("condition-ver-status", "confirmed", "Confirmed"),
        "category": [_term("condition-category", "problem-list-item", "Problem List Item")],
        "code": _concept((medicine.SNOMED, ailment.snomed, ailment.display), (medicine.ICD10, ailment.icd10, ailment.title), text=ailment.display),
        "subject": chart.patient, "encounter": encounter, "recorder": chart.practitioner,
        "onsetDateTime": onset.isoformat(), **ended, "recordedDate": _said(visit.start),
    })  # fmt: skip


def _prescribe(chart: _Chart, diagnosed: _Visit, attended: Sequence[tuple[_Visit, Json]]) -> None:
    """Write what is taken: one medicine more each year, and a stronger one of the same substance in place of the weaker."""
    ailment = medicine.AILMENTS[diagnosed.because]
    begun = []
    for years, name in enumerate(ailment.medicines):
        due = diagnosed.start + timedelta(days=years * 365)
        begun += [(name, visit, encounter) for visit, encounter in attended if visit.start >= due][:1]
    for place, (name, visit, encounter) in enumerate(begun):
        code, display, take = medicine.MEDICINES[name]
        replaced = any(later.split()[0] == name.split()[0] for later, _, _ in begun[place + 1 :])
        chart.write("MedicationRequest", {
            "status": "completed" if ailment.days or replaced else "active", "intent": "order",
            "medicationCodeableConcept": _concept((medicine.RXNORM, code, display)),
            "subject": chart.patient, "encounter": encounter, "authoredOn": _said(visit.start), "requester": chart.practitioner,
            "reasonCode": [_concept((medicine.SNOMED, ailment.snomed, ailment.display))], "dosageInstruction": [{"text": take}],
        })  # fmt: skip


def _operate(chart: _Chart, visit: _Visit, encounter: Json) -> None:
    chart.write("Procedure", {
        "status": "completed", "code": _concept((medicine.SNOMED, *medicine.PROCEDURES[visit.because])), "subject": chart.patient,
        "encounter": encounter, "performedDateTime": _said(visit.start), "performer": [{"actor": chart.practitioner}],
    })  # fmt: skip


def _vaccinate(chart: _Chart, born: date, attended: Sequence[tuple[_Visit, Json]]) -> None:
    """Write each dose at the first visit at which it is due, and one against influenza an autumn."""
    before = max(born, attended[0][0].start.date() - timedelta(days=365))
    autumns: set[int] = set()
    for visit, encounter in attended:
        day = visit.start.date()
        given = [
            (code, display)
            for code, display, ages in medicine.VACCINES
            if any(before < born + timedelta(days=round(months * _MONTH)) <= day for months in ages)
        ]
        if day.month in medicine.SEASON and day.year not in autumns and _age(born, day) >= 0.5:  # noqa: PLR2004  half a year
            autumns.add(day.year)
            given.append(medicine.INFLUENZA)
        for code, display in given:
            chart.write("Immunization", {
                "status": "completed", "vaccineCode": _concept((medicine.CVX, code, display)), "patient": chart.patient,
                "encounter": encounter, "occurrenceDateTime": _said(visit.start), "primarySource": True,
            })  # fmt: skip
        before = day


def _warn(chart: _Chart, allergy: str, visit: _Visit) -> None:
    code, display, category, criticality, effect, called = medicine.ALLERGIES[allergy]
    chart.write("AllergyIntolerance", {
        "clinicalStatus": _term("allergyintolerance-clinical", "active", "Active"),
        "verificationStatus": _term("allergyintolerance-verification", "confirmed", "Confirmed"),
        "type": "allergy", "category": [category], "criticality": criticality, "code": _concept((medicine.SNOMED, code, display)),
        "patient": chart.patient, "recordedDate": _said(visit.start), "recorder": chart.practitioner,
        "reaction": [{"manifestation": [_concept((medicine.SNOMED, effect, called))]}],
    })  # fmt: skip


# -- how much --------------------------------------------------------------------------------------------------------------


def _measure(
    chart: _Chart, person: _Person, born: date, attended: Sequence[tuple[_Visit, Json]], chance: random.Random
) -> None:
    """Write what is measured: always the vital signs, of adults at check-ups the laboratory, and what a condition is watched by."""
    build = min(1.07, max(0.93, chance.gauss(1, 0.03))), chance.gauss(0, 1.3)
    for visit, encounter in attended:
        day = visit.start.date()
        since = {name: years - (REFERENCE - day).days / _YEAR for name, years in person.conditions.items()}
        found = medicine.found(person.gender, _age(born, day), since, build, chance)
        wanted = set(medicine.VITAL)
        if visit.kind == "follow-up" or visit.because in medicine.WATCHED_BY:
            wanted |= medicine.watched(since)
        if visit.kind == "check-up":
            wanted |= set(medicine.LABS)
        about = {"subject": chart.patient, "encounter": encounter, "effectiveDateTime": _said(visit.start)}
        for name in (one for one in medicine.MEASURES if one in wanted and one in found):
            category = "laboratory" if name in medicine.LABS else "vital-signs"
            chart.write("Observation", {**_observed(category), **_valued(name, found[name]), **about})
        if "systolic" in found:
            both = [_valued(name, found[name]) for name in ("systolic", "diastolic")]
            code = _concept((medicine.LOINC, *medicine.BLOOD_PRESSURE), text="Blood pressure")
            chart.write("Observation", {**_observed("vital-signs"), "code": code, **about, "component": both})


def _observed(category: str) -> Json:
    display = category.replace("-", " ").title()
    return {"status": "final", "category": [_term("observation-category", category, display)]}


def _valued(name: str, value: float) -> Json:
    code, display, unit, decimals = medicine.MEASURES[name]
    shown = round(value, decimals) if decimals else round(value)
    quantity = {"value": shown, "unit": unit, "system": medicine.UCUM, "code": unit}
    return {"code": _concept((medicine.LOINC, code, display)), "valueQuantity": quantity}
