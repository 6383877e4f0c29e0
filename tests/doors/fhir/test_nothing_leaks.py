"""Two worlds that differ only in what was not granted give the same answers, byte for byte, and ask the same (threats Z6, F-07).

The worlds are one house at two times: without jimmy, and with him. What is sealed differs with every answer, and is left out of account.
Each protection is taken away once, and the comparison is seen to fail.
"""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from clinic import JANE, JIMMY, load
from doors.fhir.ward import CANARY, JANES, JIMMYS, SHARED, Upstream, Ward, built_in, remote
from fakes.evil_fhir import EvilFhir
from hospitium.doors import reading
from hospitium.engine.fhir_gateway import asking

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from cast import House

_SEALED = re.compile(rb"_page=[A-Za-z0-9_%-]+")
_OWN = {"date", "x-request-id", "content-length"}  # the length of what is sealed varies with the place
TYPES = (
    "Patient",
    "Observation",
    "Condition",
    "AllergyIntolerance",
    "Practitioner",
    "Encounter",
    "Binary",
    "Account",
)
IDS = (JANE, JIMMY, "j-1", "j-names-jimmy", "ax-1", "x-contained", "x-told-by-jane", "c-1", "a-1", "none",
       "dr-house", f"dr-{CANARY}", "x-both", "acc-1")  # fmt: skip
OWN_ACCOUNT = {
    "resourceType": "Account",
    "id": "acc-1",
    "status": "active",
    "name": "Own",
    "subject": [{"reference": f"Patient/{JANE}"}],
}
PARAMETERS = (f"patient={JANE}", f"patient={JIMMY}", f"patient={JANE},{JIMMY}", f"subject=Patient/{JIMMY}", f"_id={JIMMY}", "_id=ax-1,j-1",
              "code=8867-4", "date=ge2024-01-03", "_count=2", "_count=500", "_sort=-date", "_total=accurate", "_summary=count",
              "_summary=true", "_elements=status", "_lastUpdated=gt2000-01-01", f"asserter=Patient/{JANE}", "_include=Observation:subject",
              "_has:Observation:patient:code=x", "status=final", "gender=male", f"name={CANARY}", "_revinclude=*",
              "_count=0", "_count=1", "_count=7", "_sort=-_id", "_sort=_lastUpdated", f"name=Own,{CANARY}", "_id=j-1,x-contained", "_id=acc-1,x-both",
              "status=active")  # fmt: skip


@pytest.fixture(params=["built-in", "remote"])
async def growing(house: House, request: pytest.FixtureRequest) -> AsyncIterator[tuple[Ward, Any]]:
    """A ward without jimmy, and what brings him."""
    kept = (*JANES, OWN_ACCOUNT, *SHARED[:1])
    more = (*SHARED[1:], *JIMMYS)
    if request.param == "built-in":
        ward = await built_in(house, *kept)
        await ward.grant()

        async def comes() -> None:
            await load(house, ward.server_id, *more)

        yield ward, comes
        return
    upstream = Upstream(kept)
    async with EvilFhir.open(upstream) as evil:
        ward = await remote(house, evil)
        await ward.grant()

        async def comes() -> None:
            upstream.kept += more

        yield ward, comes


def paths(count: int, seed: int = 7) -> list[tuple[str, str]]:
    """Return requests that somebody could think of who wants to know of others: method and path."""
    chance = random.Random(seed)
    made = []
    for _ in range(count):
        type_ = chance.choice(TYPES)
        match chance.randrange(10):
            case 0 | 1 | 2:
                path = f"{type_}/{chance.choice(IDS)}"
            case 3:
                path = f"Patient/{chance.choice(IDS)}/$everything"
            case _:
                asked = chance.sample(PARAMETERS, chance.randrange(5))
                path = f"{type_}?{'&'.join(asked)}" if asked else type_
        made.append((chance.choice(("GET", "GET", "HEAD")), path))
    return made


async def heard(ward: Ward, requests: list[tuple[str, str]]) -> list[Any]:
    """Return all that can be noticed of the answers to some requests: status, headers, body, and what was asked upstream."""
    noticed = []
    for method, path in requests:
        asked = [] if ward.evil is None else ward.evil.heard
        before = len(asked)
        answered = await ward.jan.send(method, f"/fhir/{ward.server_id}/{path}")
        headers = sorted((name, value) for name, value in answered.headers.items() if name not in _OWN)
        body = _SEALED.sub(b"_page=", answered.content)
        noticed.append((path, answered.status_code, headers, body, [one.target for one in asked[before:]]))
    return noticed


async def differences(growing: tuple[Ward, Any], requests: list[tuple[str, str]]) -> list[str]:
    ward, comes = growing
    await heard(ward, requests)  # what refers to what is known from here on
    before = await heard(ward, requests)
    await comes()
    after = await heard(ward, requests)
    return [one[0] for one, other in zip(before, after, strict=True) if one != other]


async def test_what_was_not_granted_makes_no_difference(
    house: House, growing: tuple[Ward, Any], rounds: int
) -> None:
    with structlog.testing.capture_logs() as logged:
        assert await differences(growing, paths(min(rounds * 5, 100_000))) == []
    assert CANARY not in repr(logged)
    trail = await house.rows("SELECT data::text AS data FROM events")
    assert CANARY not in repr([row["data"] for row in trail])


@pytest.mark.parametrize("looks_on", [True, False])
async def test_what_is_hidden_leaves_no_trace_on_pages(
    growing: tuple[Ward, Any], monkeypatch: pytest.MonkeyPatch, looks_on: bool
) -> None:
    """Neither a page that is short for it, nor a next one with nothing on it. Of another server that holds where one may be about several
    (test_what_an_attack_found.py)."""
    if growing[0].evil is not None:
        return
    if not looks_on:
        monkeypatch.setattr(reading.Here, "looks_on", lambda *_: 0)
    asked = (
        "Observation?_sort=-date&_count=1", "Observation?_sort=-date&_count=2", "Observation?_count=7",
        "Observation?_count=7&_total=accurate", "Observation?_id=j-1,x-contained&_count=1", f"Patient/{JANE}/$everything?_count=9",
        f"Patient/{JANE}/$everything?_count=7&_type=Observation",
    )  # fmt: skip
    noticed = await differences(growing, [("GET", one) for one in asked])
    assert (noticed == []) is looks_on


async def test_without_the_check_of_each_resource_it_does(
    growing: tuple[Ward, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "may_be_shown", lambda *_, **__: True)
    assert await differences(growing, [("GET", f"{one}/{id_}") for one in TYPES for id_ in IDS])


async def test_without_the_narrowing_of_the_query_it_does(
    growing: tuple[Ward, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each resource is still checked; but what is not to be shown is found, and left out, or asked for elsewhere."""
    search = reading.Here.search

    async def of_all(self: Any, asked: Any, patients: Any, count: int, following: Any) -> Any:
        return await search(self, asked, None, count, following)

    monkeypatch.setattr(reading.Here, "search", of_all)
    monkeypatch.setattr(reading, "pairs_of", lambda asked, _, count: asking.pairs_of(asked, None, count))
    ward, comes = growing
    await comes()
    await ward.get("Observation")
    if not ward.evil:
        (told,) = await ward.house.rows("SELECT data FROM events WHERE kind = 'fhir.left_out'")
        assert told["data"]["count"] > 1  # than the one in jane's compartment
        return
    assert "patient=" not in ward.targets[-1]


async def test_every_search_elsewhere_names_the_patients_one_may_see(house: House) -> None:
    """Z8."""
    async with EvilFhir.open(Upstream((*JANES, *JIMMYS))) as evil:
        ward = await remote(house, evil)
        await ward.grant()
        evil.heard.clear()
        await heard(ward, paths(200))
        assert len(ward.targets) > 50
        unnarrowed = [one for one in ward.targets if "?" in one and JANE not in one]
        of_jimmy = [one for one in ward.targets if f"Patient/{JIMMY}" in one or f"patient={JIMMY}" in one]
        assert (unnarrowed, of_jimmy) == ([], [])
