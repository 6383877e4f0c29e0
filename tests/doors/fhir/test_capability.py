"""What the gateway says that it serves is what it serves, and nothing else is; of which kind a FHIR server is, only its readers are told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clinic import JANE, body
from doors.fhir.ward import JANES, Ward, built_in, remote
from fakes.evil_fhir import EvilFhir, page, resource

if TYPE_CHECKING:
    from cast import House

VALUES = {
    "token": "a",
    "reference": "a",
    "date": "2024",
    "string": "a",
    "number": "1",
    "quantity": "1",
    "uri": "http://a.example",
}


async def told(ward: Ward, who: Any = None) -> dict[tuple[str, str], str]:
    """Return the parameters that somebody is told of, by type and name: of which kind each is. A type alone is read only."""
    statement = body(await ward.get("metadata", who))
    kept = {**statement, "date": None, "rest": None}
    assert kept["fhirVersion"] == "4.0.1"
    found: dict[tuple[str, str], str] = {}
    for one in statement["rest"][0]["resource"]:
        found[one["type"], ""] = "read"
        found |= {(one["type"], named["name"]): named["type"] for named in one.get("searchParam", ())}
    return found


async def test_a_built_in_server_serves_what_it_says_and_refuses_the_rest(house: House, rounds: int) -> None:
    ward = await built_in(house, *JANES)
    anybody = await told(ward, house.stranger)
    assert await told(ward) == anybody  # who may read nothing there is anybody
    await ward.grant()
    served = await told(ward)
    assert served.keys() < anybody.keys()
    step = 1 if rounds > 20 else 6
    for number, ((type_, name), kind) in enumerate(anybody.items()):
        if not name or number % step:
            continue
        value = JANE if (type_, name) == ("Patient", "_id") else VALUES[kind]
        answered = await ward.get(f"{type_}?{name}={value}")
        expected = 200 if (type_, name) in served else 400
        assert answered.status_code == expected, (type_, name, answered.text)
        if expected == 400:
            said = answered.json()["issue"][0]["diagnostics"]
            assert said.startswith((f"{name}:", "type:")), said


async def test_of_a_remote_server_all_is_told_that_goes_through(house: House) -> None:
    async with EvilFhir.open(resource(JANES[0])) as evil:
        ward = await remote(house, evil)
        await ward.grant()
        evil.heard.clear()
        anybody = await told(ward, house.stranger)
        assert await told(ward) == anybody
        assert evil.targets == []
        evil.does = resource(page())
        for type_, name in (("Observation", "value-quantity"), ("Observation", "code"), ("Patient", "name")):
            value = VALUES[anybody[type_, name]]
            assert (await ward.get(f"{type_}?{name}={value}")).status_code == 200


async def test_of_which_kind_a_server_is_says_nothing_to_others(house: House) -> None:
    ward = await built_in(house, *JANES)
    await ward.grant()
    known, wrong = await ward.get("metadata", house.zoe), {"Authorization": "Bearer wrong"}
    nobody = await ward.get("metadata", house.stranger)
    missing = await house.stranger.send("GET", "/fhir/00000000-0000-4000-8000-000000000000/metadata")
    odd = await house.http.get(f"/fhir/{ward.server_id}/metadata", headers=wrong)
    other = missing.text.replace("00000000-0000-4000-8000-000000000000", str(ward.server_id))
    assert known.content == nobody.content == odd.content == other.encode()
