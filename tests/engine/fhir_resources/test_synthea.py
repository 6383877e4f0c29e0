"""The synthetic patients that come with the project's shared data, where they are there: all of them, in one load."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from engine.fhir_resources.clinic import Clinic, prepared
from hospitium.engine.fhir_resources.actions import Loaded
from hospitium.engine.fhir_resources.parameters import TYPES

DIRECTORY = Path(__file__).parents[4] / "shared" / "data" / "synthea-r4"
FILES = sorted(DIRECTORY.glob("*.json"))
pytestmark = pytest.mark.skipif(
    not FILES, reason="the synthetic patients are not here (../shared/data/synthea-r4)"
)

# Doctors and clinics are in the files of their patients, too: each counts once.
HELD = {
    "Observation": 1_042, "Claim": 176, "Encounter": 146, "ExplanationOfBenefit": 146, "Immunization": 134, "Organization": 102,
    "Practitioner": 102, "DiagnosticReport": 73, "Condition": 61, "Procedure": 45, "MedicationRequest": 30, "Patient": 22, "CarePlan": 14,
}  # fmt: skip
AT_MOST = 5.0  # seconds, for all of it


async def test_all_of_it_is_loaded_at_once_and_refers_to_itself(clinic: Clinic) -> None:
    began = time.monotonic()
    files = {one.name: one.read_bytes() for one in FILES}
    assert await clinic.loads_files(files) == Loaded(sum(HELD.values()), 0, 0)
    assert time.monotonic() - began < AT_MOST

    there: dict[str, dict[str, Any]] = {}
    for row in await clinic.ground.rows("SELECT type, id, body::text AS body FROM fhir_resources"):
        there[f"{row['type']}/{row['id']}"] = json.loads(row["body"])
    assert Counter(name.partition("/")[0] for name in there) == HELD
    references = [found for body in there.values() for found in _references(body)]
    assert len(references) > 5_000
    lost = {one for one in references if not one.startswith("#") and one not in there}
    assert lost == set()
    assert sum(one.leading_nowhere for one in prepared(files)) == 0

    before = await clinic.ground.rows(
        "SELECT type, id, version, last_updated FROM fhir_resources ORDER BY 1, 2"
    )
    assert await clinic.loads_files(files) == Loaded(0, 0, sum(HELD.values()))
    assert (
        await clinic.ground.rows("SELECT type, id, version, last_updated FROM fhir_resources ORDER BY 1, 2")
        == before
    )


async def test_each_chart_is_whole_and_nobody_elses(clinic: Clinic) -> None:
    await clinic.loads_files({one.name: one.read_bytes() for one in FILES})
    charts: Counter[str] = Counter()
    in_charts = [type_ for type_ in HELD if TYPES[type_].subject is not None]
    for patient_id in await clinic.finds("Patient?"):
        within = frozenset({patient_id})
        assert await clinic.finds("Patient?", within) == [patient_id]
        for type_ in in_charts:
            found = await clinic.finds(f"{type_}?_count=500", within)
            assert found == await clinic.finds(f"{type_}?patient={patient_id}&_count=500")
            charts[type_] += len(found)
    assert charts == {type_: HELD[type_] for type_ in in_charts}
    patient = await clinic.reads("Patient", (await clinic.finds("Patient?"))[0])
    assert re.search("[a-z]", patient["name"][0]["family"])
    for identifier in patient["identifier"]:
        assert await clinic.finds(f"Patient?identifier={identifier['system']}|{identifier['value']}") == [
            patient["id"]
        ]


def _references(value: Any) -> list[str]:
    if isinstance(value, list):
        return [found for one in value for found in _references(one)]
    if not isinstance(value, dict):
        return []
    here = [value["reference"]] if isinstance(value.get("reference"), str) else []
    return here + [found for one in value.values() for found in _references(one)]
