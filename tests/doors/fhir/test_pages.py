"""A page leads to the next by an address that is its reader's alone, and for as long as he may see the same (threats F-13)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from clinic import JANE, JIMMY, body
from doors.fhir.test_reading import ids
from doors.fhir.ward import JANES, Ward, remote
from fakes.evil_fhir import EvilFhir, entry, page, pages, resource
from hospitium.doors.fhir import asked

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from cast import House

OBSERVATIONS = [one for one in JANES if one["resourceType"] == "Observation"]


def onward(ward: Ward, bundle: Any) -> str | None:
    found = [one["url"] for one in bundle["link"] if one["relation"] == "next"]
    assert all(one.startswith(f"{ward.house.parts.public_url}/fhir/{ward.server_id}/") for one in found)
    return found[0].partition(f"{ward.server_id}/")[2] if found else None


async def has_patient(ward: Ward, *more: dict[str, Any]) -> None:
    """Have a remote FHIR server give pages of two."""
    assert ward.evil is not None
    ward.evil.does = pages([*OBSERVATIONS, *more])


@pytest.fixture
async def paged(house: House) -> AsyncIterator[Ward]:
    async with EvilFhir.open(resource(JANES[0])) as evil:
        ward = await remote(house, evil)
        await ward.grant()
        await has_patient(ward)
        yield ward


async def all_pages(ward: Ward, path: str | None) -> tuple[list[str], int]:
    seen: list[str] = []
    count = 0
    while path is not None:
        found = body(await ward.get(path))
        seen += ids(found)
        path, count = onward(ward, found), count + 1
        assert count < 50
    return seen, count


async def test_all_pages_together_are_all_of_it(ward: Ward, house: House) -> None:
    expected = sorted(one["id"] for one in OBSERVATIONS)
    if ward.evil is not None:
        await has_patient(ward)
    seen, count = await all_pages(ward, "Observation?_count=2")
    assert (sorted(seen), count) == (expected, 4)


async def test_a_page_is_nobody_elses(house: House, paged: Ward) -> None:
    following = onward(paged, body(await paged.get("Observation?_count=2")))
    assert following is not None
    assert paged.evil is not None
    before = len(paged.targets)
    for who in (house.ben, house.mia, house.zoe):
        answered = await paged.get(following, who)
        assert answered.status_code in (400, 404), answered.text
    for other in ("Condition", "Patient", f"Patient/{JANE}/$everything"):
        assert (await paged.get(f"{other}?{following.partition('?')[2]}")).status_code == 400
    for altered in (
        following[:-1],
        following + "A",
        following.replace("_page=", "_page=A"),
        f"{following}&code=x",
    ):
        assert (await paged.get(altered)).status_code == 400
    assert len(paged.targets) == before
    assert ids(body(await paged.get(following)))


async def test_without_the_seal_a_page_could_be_altered(paged: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: were a place only spelled, whoever altered it would choose what is asked."""
    import base64  # noqa: PLC0415  for this control alone

    import msgspec  # noqa: PLC0415  likewise

    monkeypatch.setattr(
        asked, "cursor", lambda _, place, *__: base64.urlsafe_b64encode(msgspec.json.encode(place)).decode()
    )
    monkeypatch.setattr(
        asked,
        "place_of",
        lambda _, __, given, *___, longest: msgspec.json.decode(base64.urlsafe_b64decode(given)),
    )
    following = onward(paged, body(await paged.get("Observation?_count=2")))
    assert following is not None
    with pytest.raises(AssertionError):
        await test_a_page_is_nobody_elses(paged.house, paged)


async def test_a_page_ends_with_the_grant(house: House, paged: Ward) -> None:
    following = onward(paged, body(await paged.get("Observation?_count=2")))
    assert following is not None
    (grant,) = body(await paged.jan.get("/FhirServers/records"))
    ended = await house.ada.send("DELETE", f"/FhirServers/grants/{grant['grantId']}")
    assert ended.status_code in (200, 204), ended.text
    before = len(paged.targets)
    assert (await paged.get(following)).status_code == 404
    assert len(paged.targets) == before


async def test_what_is_not_ones_own_is_on_no_page(paged: Ward) -> None:
    stray = {
        "resourceType": "Observation",
        "id": "stray",
        "status": "final",
        "subject": {"reference": f"Patient/{JIMMY}"},
    }
    await has_patient(paged, stray, stray | {"id": "stray-2"})
    seen, _ = await all_pages(paged, "Observation?_count=2")
    assert sorted(seen) == sorted(one["id"] for one in OBSERVATIONS)


@pytest.mark.parametrize(
    "leads",
    [
        "http://127.0.0.1:1/fhir?_getpages=1",
        "file:///etc/passwd",
        "http://169.254.169.254/latest",
        "//evil.example/fhir?page=2",
    ],
)
async def test_a_way_on_that_leads_elsewhere_is_not_gone_and_that_is_said(paged: Ward, leads: str) -> None:
    assert paged.evil is not None
    paged.evil.does = resource(page(*map(entry, OBSERVATIONS), link=[{"relation": "next", "url": leads}]))
    found = body(await paged.get("Observation"))
    assert onward(paged, found) is None
    assert "total" not in found
    assert found["entry"][-1]["search"]["mode"] == "outcome"
    assert leads not in str(found)
