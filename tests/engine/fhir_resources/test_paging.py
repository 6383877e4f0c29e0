"""Pages by key: whatever is there from the first page to the last is on exactly one of them, whoever loads meanwhile."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from engine.fhir_resources.clinic import Clinic, Json, searched


def observation(number: int, chance: random.Random) -> Json:
    dated: dict[str, Any] = {}
    if chance.random() < 0.8:
        dated["effectiveDateTime"] = f"20{chance.randrange(10, 13)}-0{chance.randrange(1, 3)}"
    return {
        "resourceType": "Observation",
        "id": f"o{number}",
        "status": "final",
        "subject": {"reference": f"Patient/{number % 2}"},
        **dated,
    }


@pytest.mark.parametrize("order", ["_id", "-_id", "date", "-date", "_lastUpdated", "-_lastUpdated"])
@pytest.mark.parametrize("terms", ["", "patient=1&", "status=final&", "subject=1&"])
async def test_every_resource_is_on_one_page_while_others_are_loaded(
    clinic: Clinic, order: str, terms: str
) -> None:
    chance = random.Random(order + terms)
    there = [observation(number, chance) for number in range(60)]
    for some in (there[:25], there[25:40], there[40:]):
        await clinic.loads(*some)
        clinic.ground.clock.advance(seconds=1)
    asked = searched(f"Observation?{terms}_sort={order}&_count=7")
    expected = await clinic.finds(f"Observation?{terms}_sort={order}")
    found: list[str] = []
    new = 1_000
    while True:
        page = await clinic.page(asked)
        assert len(page.resources) <= 7
        found += [one.id for one in page.resources]
        if page.following is None:
            break
        # As a door seals it and gets it back.
        after = msgspec.json.decode(msgspec.json.encode(page.following), type=type(page.following))
        assert after == page.following
        asked = msgspec.structs.replace(asked, after=after)
        await clinic.loads(*(observation(number, chance) for number in range(new, new + 5)))
        new += 5
    assert len(found) == len(set(found))
    old = [one for one in found if int(one[1:]) < 1_000]
    assert old == expected
    assert len(old) == (30 if "1" in terms else 60)
    assert found[: len(expected)] == expected or set(found) - set(expected)


async def test_an_exact_page_has_no_next_one(clinic: Clinic) -> None:
    chance = random.Random(1)
    await clinic.loads(*(observation(number, chance) for number in range(6)))
    first = await clinic.page(searched("Observation?_count=3"))
    assert first.following is not None
    last = await clinic.page(msgspec.structs.replace(searched("Observation?_count=3"), after=first.following))
    assert len(last.resources) == 3
    assert last.following is None
    assert (await clinic.page(searched("Observation?_count=6"))).following is None
