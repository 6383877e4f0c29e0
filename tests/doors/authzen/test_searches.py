"""Searches: complete, page by page, and by whom a page may be turned."""

from __future__ import annotations

from typing import Any

import pytest

from cast import House, connected
from clinic import JANE, PATIENTS, Clinic, add_server
from doors.authzen.asking import ACTIONS, KEY, RESOURCES, SUBJECTS, Application, question
from doors.native.problems import problem

ALICE, ONE = "user/alice", "record/record-1"
SECOND_KEY = "hsk_" + "S" * 43


async def every(app: Application, path: str, asked: dict[str, Any], limit: int) -> list[dict[str, Any]]:
    """Turn all pages; return what they hold."""
    found, page = [], {"limit": limit}
    for _ in range(200):
        part = await app.says(path, {**asked, "page": page})
        assert part["page"]["count"] == len(part["results"]) <= limit
        found += part["results"]
        if not (token := part["page"]["next_token"]):
            assert part["page"]["total"] == len(found)
            return found
        page = {"token": token, "limit": limit}
    raise AssertionError("it never ends")


@pytest.fixture
async def many(house: House) -> Application:
    """Alice has forty records more."""
    record = {"organization": "northside", "type": "record", "owner": "alice@asked.example", "body": {}}
    return await Application.open(
        house, {"records": [{**record, "externalId": f"more-{n:02}"} for n in range(40)]}
    )


@pytest.mark.parametrize("limit", [1, 7, 42, 1_000])
async def test_all_resources_are_listed_whatever_the_page(many: Application, limit: int) -> None:
    asked = question(ALICE, "read", "record")
    found = [one["id"] for one in await every(many, RESOURCES, asked, limit)]
    assert sorted(found) == sorted([*(f"more-{n:02}" for n in range(40)), "record-1", "record-2"])
    assert found == [one["id"] for one in (await many.says(RESOURCES, asked))["results"]]


async def test_all_actions_are_listed_whatever_the_page(app: Application) -> None:
    names = [one["name"] for one in await every(app, ACTIONS, question(ALICE, None, ONE), 2)]
    assert names == ["connect", "delete", "read", "share", "update", "write"]


async def test_a_page_of_none_tells_how_many_there_are(many: Application) -> None:
    part = await many.says(RESOURCES, question(ALICE, "read", "record", page={"limit": 0}))
    assert (part["results"], part["page"]["count"], part["page"]["total"]) == ([], 0, 42)
    rest = await many.says(
        RESOURCES, question(ALICE, "read", "record", page={"token": part["page"]["next_token"], "limit": 50})
    )
    assert len(rest["results"]) == 42
    for limit in (-1, "1", 1.5, None):
        asked = question(ALICE, "read", "record", page={"limit": limit})
        problem(await many.asks(RESOURCES, asked), 400, "invalid")
    assert (
        len((await many.says(RESOURCES, question(ALICE, "read", "record", page={"limit": 10**9})))["results"])
        == 42
    )


async def test_a_token_is_for_one_key_and_one_question(house: House) -> None:
    record = {"organization": "northside", "type": "record", "owner": "alice@asked.example", "body": {}}
    second = {"organization": "northside", "name": "second", "scopes": ["list"], "key": SECOND_KEY}
    more = {"records": [{**record, "externalId": f"more-{n}"} for n in range(3)], "serviceKeys": [second]}
    app = await Application.open(house, more)
    asked = question(ALICE, "read", "record")
    token = (await app.says(RESOURCES, {**asked, "page": {"limit": 2}}))["page"]["next_token"]
    page = {"token": token}
    assert len((await app.says(RESOURCES, {**asked, "page": page}))["results"]) == 2
    for wrong in (
        question("user/bob", "read", "record", page=page),
        question("account/alice", "read", "record", page=page),
        question(ALICE, "write", "record", page=page),
        question(ALICE, "read", "Patient", page=page),
        {**asked, "page": {"token": token[:-1]}},
        {**asked, "page": {"token": token + "A"}},
        {**asked, "page": {"token": token.swapcase()}},
        {**asked, "page": {"token": "é"}},
        {**asked, "page": {"token": "A" * 5_000}},
    ):
        refused = problem(await app.asks(RESOURCES, wrong), 400, "invalid")
        assert refused["errors"][0]["field"] == "page.token"
    problem(await Application(house, SECOND_KEY).asks(RESOURCES, {**asked, "page": page}), 400, "invalid")
    problem(await app.asks(SUBJECTS, {**question("user", "read", ONE), "page": page}), 400, "invalid")
    assert "alice" not in token


async def test_what_ends_between_two_pages_is_not_told(many: Application) -> None:
    asked = question(ALICE, "read", "record")
    first = await many.says(RESOURCES, {**asked, "page": {"limit": 5}})
    async with many.house.database.transaction() as tx:
        await tx.execute("UPDATE grants SET ends_at = greatest(starts_at, now()) WHERE ends_at IS NULL")
    rest = await many.says(RESOURCES, {**asked, "page": {"token": first["page"]["next_token"]}})
    assert rest["results"] == []
    assert rest["page"]["next_token"] == ""


# -- patients ----------------------------------------------------------------------------------------------------------


async def test_patients_are_listed_where_they_are(house: House) -> None:
    clinic = await Clinic.open(house)
    app = await Application.open(house)
    ben = f"account/{house.accounts['ben']}"
    at = {"fhirServerId": str(clinic.server_id)}
    on = {"type": "Patient", "properties": at}
    found = await every(app, RESOURCES, {**question(ben, "read"), "resource": on}, 2)
    assert [one["id"] for one in found] == sorted(one["id"] for one in PATIENTS)
    assert all(one == {"type": "Patient", "id": one["id"], "properties": at} for one in found)
    jane = {**on, "id": JANE}
    assert await app.says("/access/v1/evaluation", {**question(ben, "update"), "resource": jane}) == {
        "decision": True
    }
    nobody = {**on, "id": "nobody"}
    assert await app.says("/access/v1/evaluation", {**question(ben, "read"), "resource": nobody}) == {
        "decision": False
    }
    whoever = await app.says(
        SUBJECTS, {"subject": {"type": "account"}, "action": {"name": "read"}, "resource": jane}
    )
    assert {one["id"] for one in whoever["results"]} == {str(house.accounts[name]) for name in ("ada", "ben")}
    assert await app.says(RESOURCES, {**question("account/alice", "read"), "resource": on}) == {
        "page": {"next_token": "", "count": 0, "total": 0},
        "results": [],
    }


async def test_whose_patients_live_elsewhere_is_said(house: House) -> None:
    far = await add_server(house, name="Far", base_url="https://fhir.example/r4")
    app = await Application.open(house)
    ben = f"account/{house.accounts['ben']}"
    found = await app.says(RESOURCES, question(ben, "read", "Patient"))
    assert found == {
        "page": {"next_token": "", "count": 0, "total": 0},
        "results": [],
        "context": {"wholeFhirServers": [str(far)]},
    }
    named = {"type": "Patient", "id": "p-1", "properties": {"fhirServerId": str(far)}}
    assert await app.says("/access/v1/evaluation", {**question(ben, "read"), "resource": named}) == {
        "decision": True
    }


async def test_organizations_and_fhir_servers_can_be_asked_about(house: House) -> None:
    clinic = await Clinic.open(house)
    app = await Application.open(house)
    asked = await house.ada.asks(house.organizations["lakeside"])
    approved = await house.callers["rui"].does("approve", asked.json()["data"]["connectionId"])
    assert approved.status_code == 200, approved.text
    own, other = (house.organizations[name] for name in ("northside", "lakeside"))
    assert await app.allows(f"organization/{own}", "connect", f"organization/{other}")
    assert await app.allows(f"account/{house.accounts['ben']}", "connect", f"organization/{other}")
    assert await app.allows(f"organization/{other}", "connect", f"organization/{own}")
    assert not await app.allows(f"organization/{own}", "read", f"organization/{other}")
    found = await app.says(RESOURCES, question(f"organization/{own}", "connect", "organization"))
    assert [one["id"] for one in found["results"]] == [str(other)]
    ben = f"account/{house.accounts['ben']}"
    servers = await app.says(RESOURCES, question(ben, "update", "FhirServer"))
    assert [one["id"] for one in servers["results"]] == [str(clinic.server_id)]
    assert await app.allows(ben, "update", f"FhirServer/{clinic.server_id}")
    assert KEY.startswith("hsk_")


async def test_a_partners_staff_are_not_found(house: House) -> None:
    await connected(house.rui, house.northside, house.ada)
    app = await Application.open(house)
    own, other = f"organization/{house.northside}", f"organization/{house.lakeside}"
    told = await app.says(SUBJECTS, question("user", "connect", own))
    assert (told["results"], told["page"]["total"]) == ([], 0)
    (partner,) = (await app.says(SUBJECTS, question("organization", "connect", own)))["results"]
    assert partner["id"] == str(house.lakeside)
    # Its own are found on the partner, to which they may connect.
    found = (await app.says(SUBJECTS, question("user", "connect", other)))["results"]
    assert {one["id"] for one in found} == {str(house.accounts[name]) for name in ("ada", "ben")}
    for resource, action in ((own, None), ("organization", "connect")):
        path = ACTIONS if action is None else RESOURCES
        asked = question("user/rui@lakeside.example", action, resource)
        assert (await app.says(path, asked))["results"] == []
    assert not await app.allows("user/rui@lakeside.example", "connect", own)
