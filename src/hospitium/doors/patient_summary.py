"""What a page shows of one patient's record, as FHIR has it: the patient, and of five kinds of entries the newest.

Each is read like anything else (`doors/reading.py`): decided, checked and on record before it is shown. A kind that can't be read is
missing, and said to be; without the patient there is nothing to be shown.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from hospitium.doors.fhir import interactions
from hospitium.doors.reading import Shown, What
from hospitium.doors.surroundings import surroundings
from hospitium.engine.errors import FhirServerAway, FhirServerWrong, NotFound
from hospitium.engine.fhir_gateway.asking import ask, narrowed
from hospitium.engine.fhir_gateway.definitions import PATIENT
from hospitium.engine.reads.record import Interaction

if TYPE_CHECKING:
    from uuid import UUID

    from litestar import Request

    from hospitium.doors.reading import Sight, Source
    from hospitium.engine.fhir_gateway.asking import Asked

MOST_OF_A_KIND = 200
_MOST_PAGES = 10
"""Of one kind, from a FHIR server that gives few at a time."""
Resources = list[dict[str, Any]]


class Part(StrEnum):
    """One kind of entries."""

    CONDITIONS = "conditions"
    MEDICATIONS = "medications"
    IMMUNIZATIONS = "immunizations"
    ALLERGIES = "allergies"
    OBSERVATIONS = "observations"


# The types that make up a part, and by which parameter they are sorted: the newest first.
_TYPES: dict[Part, dict[str, str]] = {
    Part.CONDITIONS: {"Condition": "-onset-date"},
    Part.MEDICATIONS: {"MedicationRequest": "-authoredon", "MedicationStatement": "-effective"},
    Part.IMMUNIZATIONS: {"Immunization": "-date"},
    Part.ALLERGIES: {"AllergyIntolerance": "-date"},
    Part.OBSERVATIONS: {"Observation": "-date"},
}


class Summary(NamedTuple):
    """A patient's record in short: of each type at most `MOST_OF_A_KIND`, newest first.

    `missing`: of which parts the FHIR server said nothing that can be read, wholly or for one of its types; `cut`: of which it has more.
    """

    patient: dict[str, Any]
    conditions: Resources
    medications: Resources
    immunizations: Resources
    allergies: Resources
    observations: Resources
    missing: frozenset[Part] = frozenset()
    cut: frozenset[Part] = frozenset()


class Why(StrEnum):
    """Why a record can't be read now."""

    AWAY = "away"  # its FHIR server can't be reached, or is asked too much
    WRONG = "wrong"  # what its FHIR server says can't be used
    CLOSED = (
        "closed"  # the grant counts for nothing now: it ended, or is suspended; or the patient isn't there
    )


class Unreadable(NamedTuple):
    """That a record can't be read now."""

    why: Why


class _Some(NamedTuple):
    """Some resources of one type, and whether there are more."""

    found: Resources
    is_cut: bool


async def patient_summary(
    request: Request[Any, Any, Any], server_id: UUID, patient_id: str
) -> Summary | Unreadable:
    """Read one patient's record for whoever sent the request. Raises Unavailable: then nothing may be shown."""
    try:
        patient = await _patient(request, server_id, patient_id)
    except NotFound:
        return Unreadable(Why.CLOSED)
    except FhirServerAway:
        return Unreadable(Why.AWAY)
    except FhirServerWrong:
        return Unreadable(Why.WRONG)

    told: dict[Part, Resources] = {part: [] for part in Part}
    missing: set[Part] = set()
    cut: set[Part] = set()
    is_away = False
    for part, types in _TYPES.items():
        for type_, order in types.items():
            try:
                # One that was away is not waited for again and again.
                some = None if is_away else await _newest(request, server_id, patient_id, type_, order)
            except FhirServerAway:
                is_away, some = True, None
            except (FhirServerWrong, NotFound):
                some = None
            if some is None:
                missing.add(part)
            else:
                told[part] += some.found
                cut |= {part} if some.is_cut else set()
    by_name = {part.value: found for part, found in told.items()}
    return Summary(patient, **by_name, missing=frozenset(missing), cut=frozenset(cut))


async def _patient(request: Request[Any, Any, Any], server_id: UUID, patient_id: str) -> dict[str, Any]:
    async def asking(source: Source, sight: Sight) -> Shown[dict[str, Any]]:
        return await interactions.read_one(source, sight, PATIENT, patient_id, ())

    what = What(Interaction.READ, PATIENT, patient_id)
    return await surroundings(request).reading.read(request, server_id, what, asking)


async def _newest(
    request: Request[Any, Any, Any], server_id: UUID, patient_id: str, type_: str, order: str
) -> _Some:
    said = [(PATIENT.lower(), patient_id), ("_count", str(MOST_OF_A_KIND))]

    async def asking(source: Source, sight: Sight) -> Shown[_Some]:
        asked = ask(type_, [*said, ("_sort", order)])
        whom = narrowed(asked, sight.within)
        if not whom:
            raise NotFound("resource")
        if type_ not in source.types:
            return Shown(_Some([], is_cut=False))
        try:
            some, left_out = await _pages(source, sight, asked, whom)
        except FhirServerWrong:
            # Not every server can sort by this.
            some, left_out = await _pages(source, sight, ask(type_, said), whom)
        return Shown(some, some.found, asked_about=whom, left_out=left_out)

    what = What(Interaction.SEARCH, type_, said=said)
    return await surroundings(request).reading.read(request, server_id, what, asking)


async def _pages(source: Source, sight: Sight, asked: Asked, whom: frozenset[str]) -> tuple[_Some, int]:
    """Return resources of a type, and how much else there was."""
    found: Resources = []
    left_out = size = 0
    following: Any = None
    for _ in range(_MOST_PAGES):
        sought, shown, others = await interactions.page_of(source, sight, asked, whom, following)
        found += shown
        left_out, size = left_out + others, size + sought.size
        following = sought.following
        if following is None or len(found) >= MOST_OF_A_KIND or size >= interactions.ENOUGH:
            break
    is_cut = following is not None or sought.is_cut or len(found) > MOST_OF_A_KIND
    return _Some(found[:MOST_OF_A_KIND], is_cut), left_out
