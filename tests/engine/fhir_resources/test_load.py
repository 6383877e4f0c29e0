"""Loading: what is new is made, what changed gets another version, and the same again changes nothing."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from engine.fhir_resources.clinic import Clinic, Json, bundle, ndjson, prepared
from hospitium.engine.errors import Forbidden, Invalid, NotFound, NotSignedIn, WrongState
from hospitium.engine.events import EventKind
from hospitium.engine.fhir_resources import actions
from hospitium.engine.fhir_resources.actions import AT_A_TIME, Loaded
from hospitium.engine.fhir_servers import actions as servers
from hospitium.engine.fhir_servers.actions import ServerForm
from hospitium.engine.fhir_servers.record import ServerKind

if TYPE_CHECKING:
    from engine.ground import Ground


def patient(patient_id: str, **more: Any) -> Json:
    return {"resourceType": "Patient", "id": patient_id, **more}


async def rows(clinic: Clinic) -> list[tuple[Any, ...]]:
    found = await clinic.ground.rows(
        "SELECT type, id, version, last_updated, xmin::text FROM fhir_resources ORDER BY 1, 2"
    )
    return [tuple(row) for row in found]


async def test_loading_the_same_again_changes_nothing(clinic: Clinic) -> None:
    resources = [patient("a", active=True), patient("b", name=[{"family": "Park"}], multipleBirthInteger=2)]
    assert await clinic.loads(*resources) == Loaded(2, 0, 0)
    before = await rows(clinic)
    clinic.ground.clock.advance(days=1)
    assert await clinic.loads(*reversed(resources)) == Loaded(0, 0, 2)
    in_another_order = [dict(reversed(one.items())) for one in resources]
    assert await clinic.loads(*in_another_order) == Loaded(0, 0, 2)
    assert await clinic.loads(patient("a", active=True, meta={"versionId": "9"})) == Loaded(0, 0, 1)
    assert await rows(clinic) == before


async def test_what_changed_gets_a_version_and_is_found_anew(clinic: Clinic) -> None:
    await clinic.loads(patient("a", gender="male", name=[{"family": "Park"}], birthDate="1980"), patient("b"))
    began = (await rows(clinic))[0][3]
    clinic.ground.clock.advance(days=1)
    changed = patient("a", gender="female", name=[{"family": "Lind"}], birthDate="1990")
    assert await clinic.loads(changed, patient("c")) == Loaded(1, 1, 0)
    assert [(row[1], row[2], (row[3] - began) >= timedelta(days=1)) for row in await rows(clinic)] == [
        ("a", 2, True),
        ("b", 1, False),
        ("c", 1, True),
    ]
    assert (await clinic.reads("Patient", "a"))["meta"]["versionId"] == "2"
    for query, found in {"gender=male": [], "gender=female": ["a"], "name=park": [], "name=lind": ["a"], "birthdate=1980": [], "birthdate=1990": ["a"]}.items():  # fmt: skip
        assert await clinic.finds(f"Patient?{query}") == found
    assert await clinic.finds(f"Patient?_lastUpdated=gt{began:%Y-%m-%d}") == ["a", "c"]


async def test_last_update_never_goes_back(clinic: Clinic) -> None:
    await clinic.loads(patient("a"))
    began = (await rows(clinic))[0][3]
    clinic.ground.clock.advance(days=-1)
    await clinic.loads(patient("a", active=True))
    assert [row[3] for row in await rows(clinic)] == [began]


async def test_a_load_of_many_is_whole_and_tells_counts_only(clinic: Clinic) -> None:
    many = [patient(f"p{number}", name=[{"family": f"Name{number}"}]) for number in range(2 * AT_A_TIME + 3)]
    assert await clinic.loads(*many) == Loaded(len(many), 0, 0)
    assert await clinic.loads(*many[:-1], patient(many[-1]["id"])) == Loaded(0, 1, len(many) - 1)
    told = await clinic.ground.rows(
        "SELECT e.data, e.subject_id, p.party_id FROM events e JOIN event_parties p ON p.event_id = e.id WHERE kind = $1 ORDER BY position",
        EventKind.FHIR_SERVER_LOADED.value,
    )
    assert [(dict(row["data"]), row["subject_id"], row["party_id"]) for row in told] == [
        ({"created": len(many), "updated": 0, "unchanged": 0}, clinic.id, clinic.ground.northside),
        ({"created": 0, "updated": 1, "unchanged": len(many) - 1}, clinic.id, clinic.ground.northside),
    ]


async def test_a_refused_file_leaves_nothing_behind(clinic: Clinic) -> None:
    good = [patient(f"p{number}") for number in range(AT_A_TIME)]
    with pytest.raises(Invalid):
        await clinic.loads(*good, patient(".."))
    assert await rows(clinic) == []


async def test_only_the_operator_loads(clinic: Clinic) -> None:
    for who, refusal in {"ada": Forbidden, "pat": Forbidden, "system": (Forbidden, NotSignedIn)}.items():
        with pytest.raises(refusal):
            await clinic.loads_files({"a.json": bundle(patient("a"))}, who)
    assert await rows(clinic) == []


async def test_only_a_built_in_server_that_is_there_is_loaded(ground: Ground, clinic: Clinic) -> None:
    form = ServerForm("Elsewhere", ServerKind.REMOTE, "https://fhir.example/r4")
    remote = await ground.does("operator", servers.create, ground.northside, form)
    with pytest.raises(WrongState):
        await Clinic(ground, remote.id).loads(patient("a"))
    with pytest.raises(NotFound):
        await Clinic(ground, ground.northside).loads(patient("a"))
    await ground.does("operator", servers.remove, clinic.id)
    with pytest.raises(NotFound):
        await clinic.loads(patient("a"))


async def test_two_loads_at_once_make_each_resource_once(clinic: Clinic) -> None:
    many = [patient(f"p{number}") for number in range(300)]
    ready = prepared({"a.ndjson": ndjson(many)})
    backwards = ready[::-1]
    loads = [
        clinic.ground.does("operator", actions.load, clinic.id, some)
        for some in (ready, backwards, ready, backwards)
    ]
    counted = await asyncio.gather(*loads)
    assert sum(one.created for one in counted) == 300
    assert sum(sum(one) for one in counted) == 1_200
    assert {row[2] for row in await rows(clinic)} == {1}


async def test_what_a_removed_server_held_is_swept_away(ground: Ground, clinic: Clinic) -> None:
    other = await Clinic.open(ground, "Other")
    await clinic.loads(patient("a"), patient("b"))
    await other.loads(patient("a"))
    assert not await ground.does("system", actions.forget_some_removed)
    await ground.does("operator", servers.remove, clinic.id)
    assert await ground.does("system", actions.forget_some_removed)
    assert not await ground.does("system", actions.forget_some_removed)
    left = await ground.rows("SELECT fhir_server_id, id FROM fhir_resources")
    assert [tuple(row) for row in left] == [(other.id, "a")]
