"""A FHIR server that nobody here wrote, read through ours: fhirsnake, with synthetic patients.

It is no fake and means no harm, and leaves out of account whose records were asked for: what comes back has to be looked at.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import pytest

from cast import MovableClock
from fakes import fhirsnake
from hospitium.doors.cli.synthetic import patients
from hospitium.engine.errors import FhirServerWrong
from hospitium.engine.fhir_gateway import compartments
from hospitium.outside.fhir import RemoteFhir, RemoteServer
from hospitium.outside.http import Egress

ENCODER = msgspec.json.Encoder(decimal_format="number")
DIRECTORY = Path(__file__).parents[2] / "../shared/data/synthea-r4"
ALL = [("_count", "1000")]
FEW = [("_count", "20")]


class Snake(NamedTuple):
    remote: RemoteFhir
    server: RemoteServer


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("fhirsnake")
    fhirsnake.install(directory)
    return directory


@pytest.fixture
async def snake(packages: Path, tmp_path: Path, clock: MovableClock, kept: Any) -> AsyncIterator[Snake]:
    fhirsnake.keep(tmp_path, (one for of_type in kept.values() for one in of_type.values()))
    egress = Egress()
    async with fhirsnake.serving(packages, tmp_path) as base:
        yield Snake(RemoteFhir(egress, clock), RemoteServer(UUID(int=7), base, True, None, None))
    await egress.close()


def _by_name(bundles: list[dict[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    """Return resources by type and id, as a server keeps them: references within a Bundle (`urn:uuid:…`) are to names."""
    found: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for bundle in bundles:
        text = json.dumps(bundle["entry"])
        for entry in bundle["entry"]:
            one = entry["resource"]
            text = text.replace(
                f'"reference": "{entry["fullUrl"]}"', f'"reference": "{one["resourceType"]}/{one["id"]}"'
            )
        for entry in json.loads(text):
            one = entry["resource"]
            found[one["resourceType"]][one["id"]] = one
    return found


@pytest.fixture(params=["ours", "synthea"])
def kept(request: pytest.FixtureRequest) -> dict[str, dict[str, dict[str, Any]]]:
    """All resources of some patients, by type and id."""
    if request.param == "ours":
        return _by_name(patients(5))
    files = sorted(DIRECTORY.glob("*.json"))[:3]
    if not files:
        pytest.skip("the synthetic patients are not here (../shared/data/synthea-r4): NOT TESTED")
    return _by_name([json.loads(file.read_text()) for file in files])


def as_json(value: Any) -> Any:
    return json.loads(ENCODER.encode(value))


async def test_every_resource_is_read_as_it_is(snake: Snake, kept: dict[str, Any]) -> None:
    read = 0
    for type_, of_type in kept.items():
        for id_, resource in list(of_type.items())[:20]:
            assert as_json(await snake.remote.read(snake.server, type_, id_)) == resource
            read += 1
    assert read > 50
    assert await snake.remote.read(snake.server, "Patient", "nobody") is None


async def test_what_it_finds_for_one_patient_is_everybodys_until_it_is_looked_at(
    snake: Snake, kept: dict[str, Any]
) -> None:
    patient_id = next(iter(kept["Patient"]))
    asked = [("patient", patient_id)]
    for type_ in ("Observation", "Condition", "Encounter"):
        everybodys = len(kept[type_])
        found = await snake.remote.search(snake.server, type_, [*asked, *ALL])
        assert (len(found.resources), found.left_out, found.next) == (everybodys, 0, None)
        his = [one for one in found.resources if compartments.patients_of(one) == {patient_id}]
        assert 0 < len(his) < everybodys
        assert all(compartments.may_be_shown(one, frozenset({patient_id})) for one in his)
        assert as_json(his) == [kept[type_][one["id"]] for one in his]
    # Asked for twenty it gives hundreds: that is no page.
    with pytest.raises(FhirServerWrong):
        await snake.remote.search(snake.server, "Observation", [*asked, *FEW])


async def test_it_finds_by_id_and_nobody_where_there_is_nobody(snake: Snake, kept: dict[str, Any]) -> None:
    patient_id, patient = next(iter(kept["Patient"].items()))
    found = await snake.remote.search(snake.server, "Patient", [("_id", patient_id), *FEW])
    assert as_json(found.resources) == [patient]
    assert (await snake.remote.search(snake.server, "Patient", [("_id", "nobody")])).resources == []
    assert (await snake.remote.search(snake.server, "Substance", FEW)).resources == []


async def test_what_it_trips_over_is_its_own(snake: Snake) -> None:
    with pytest.raises(FhirServerWrong):  # 500: it knows no such type
        await snake.remote.read(snake.server, "Substance", "x")
    with pytest.raises(FhirServerWrong):  # it says what it is elsewhere, and not which FHIR it speaks
        await snake.remote.test(snake.server)
