"""Searches that must be quick are answered by an index, whether the planner knows the values or plans for any."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from engine.fhir_resources.clinic import Clinic, Json, searched
from hospitium.engine.fhir_resources import queries
from hospitium.engine.fhir_resources.search import Position

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENTS, CHARTS, EACH = 4_000, 160, 100


def _resources() -> Iterator[Json]:
    for number in range(PATIENTS):
        yield {
            "resourceType": "Patient", "id": f"p{number}", "gender": ("male", "female")[number % 2],
            "name": [{"family": f"Family{number}", "given": [f"Given{number % 50}"]}], "birthDate": f"19{number % 90 + 10}-01-01",
            "identifier": [{"system": "urn:x", "value": f"x{number}"}, {"system": "urn:y", "value": f"y{number}"}],
        }  # fmt: skip
    for number in range(CHARTS * EACH):
        yield {
            "resourceType": "Observation", "id": f"o{number}", "status": "final", "subject": {"reference": f"Patient/p{number % CHARTS}"},
            "code": {"coding": [{"system": "urn:c", "code": f"c{number % 40}"}]}, "effectiveDateTime": f"20{number % 20 + 10}-0{number % 9 + 1}-11",
        }  # fmt: skip


@pytest.fixture
async def full(clinic: Clinic) -> Clinic:
    """A server with 20,000 resources, as the planner knows it after a while."""
    await clinic.loads(*_resources())
    await clinic.ground.rows("ANALYZE fhir_resources")
    return clinic


async def plans(clinic: Clinic, query: str, *, after: Position | None = None) -> list[Json]:
    """Return the plans of a page of a search: for these values, and for any."""
    asked = searched(query)
    asking = queries._asking(clinic.id, asked, None)
    assert asking is not None
    statement = queries._page(asking.shape, asked.order, asked.descending, after is not None)
    given = {**asking.given, "limit": asked.count + 1}
    if after is not None:
        given |= {"after_id": after.id, "after_at": after.at}
    values = statement._arguments(given)
    async with clinic.ground.trial() as tx:
        for_these = await tx.fetchval(f"EXPLAIN (FORMAT JSON) {statement.sql}", *values)
        await tx.execute(f"SET LOCAL plan_cache_mode = force_generic_plan; PREPARE page AS {statement.sql}")
        for_any = await tx.fetchval(
            f"EXPLAIN (FORMAT JSON) EXECUTE page ({', '.join(['NULL'] * len(values))})"
        )
        await tx.execute("DEALLOCATE page")
    return [json.loads(one)[0]["Plan"] for one in (for_these, for_any)]


def nodes(plan: Json) -> Iterator[Json]:
    yield plan
    for below in plan.get("Plans", []):
        yield from nodes(below)


def of_kind(plan: Json, *kinds: str) -> list[Json]:
    return [one for one in nodes(plan) if one["Node Type"] in kinds]


def chooses_by(plan: Json) -> set[Any]:
    """Return the indexes by which the rows of a page are chosen: all but the primary key, by which their bodies are read."""
    return {one.get("Index Name") for one in nodes(plan)} - {None, "fhir_resources_pkey"}


async def test_what_must_be_quick_goes_by_an_index(full: Clinic) -> None:
    await identifiers_references_and_names_are_found_by_their_index(full)
    await a_chart_is_paged_along_an_index(full)
    await whole_types_are_paged_along_an_index(full)


async def identifiers_references_and_names_are_found_by_their_index(full: Clinic) -> None:
    by_key = {"fhir_resources_keys_ix"}
    for query, indexes in {
        "Patient?identifier=x17": by_key,
        "Patient?identifier=urn:x|x17": by_key,
        "Patient?identifier=x17,y23": by_key,
        "Patient?identifier=x17&gender=male": by_key,
        "Patient?identifier=x17&_sort=-birthdate": by_key,
        "Patient?identifier=x17&_sort=_lastUpdated": by_key,
        "Observation?subject=p7": by_key,
        "Observation?performer=Practitioner/1&_sort=-date": by_key,
        "Patient?family=family17&given=given17&_sort=birthdate": {"fhir_resources_names_ix"},
    }.items():
        for_these, for_any = await plans(full, query)
        assert not of_kind(for_these, "Seq Scan"), query
        assert chooses_by(for_these) == indexes, query
        if indexes == by_key:
            assert not of_kind(for_any, "Seq Scan"), query
            assert chooses_by(for_any) == indexes, query


async def a_chart_is_paged_along_an_index(full: Clinic) -> None:
    asked = await full.page(searched("Observation?patient=p7&_sort=-date&_count=20"))
    for query in (
        "Observation?patient=p7&_sort=-date",
        "Observation?patient=p7&_sort=date",
        "Observation?patient=p7&_sort=-date&status=final",
    ):
        for after in (None, asked.following):
            for plan in await plans(full, query, after=after):
                assert chooses_by(plan) == {"fhir_resources_of_patient_ix"}, (query, after)
                assert not of_kind(plan, "Seq Scan", "Bitmap Heap Scan", "Bitmap Index Scan"), (query, after)
                (limit,) = of_kind(plan, "Limit")
                assert not of_kind(limit, "Sort"), (query, after)


async def whole_types_are_paged_along_an_index(full: Clinic) -> None:
    for query, index in {
        "Observation?_sort=-date": "fhir_resources_by_date_ix",
        "Patient?_sort=birthdate": "fhir_resources_by_date_ix",
        "Patient?_sort=-_lastUpdated": "fhir_resources_by_update_ix",
        "Patient?": "fhir_resources_pkey",
        "Patient?_sort=-_id": "fhir_resources_pkey",
    }.items():
        for plan in await plans(full, query):
            (limit,) = of_kind(plan, "Limit")
            assert {one["Index Name"] for one in nodes(limit) if "Index Name" in one} == {index}, query
            assert not of_kind(limit, "Seq Scan", "Sort"), query
