"""GET and PATCH /v1/organizations/own: the profile of one's own organization."""

from __future__ import annotations

from typing import Any

import msgspec

from cast import House, data
from doors.manners import everything
from doors.native.problems import problem

OWN = "/v1/organizations/own"


async def patch(house: House, name: str, body: Any) -> Any:
    return await house.callers[name].send(
        "PATCH", OWN, msgspec.json.encode(body), Content_Type="application/json"
    )


async def test_staff_may_read_it(house: House) -> None:
    found = await house.ada.get(OWN)
    assert found.status_code == 200
    assert found.headers["content-type"] == "application/json"
    own = found.json()
    assert (own["id"], own["code"], own["status"]) == (str(house.northside), "northside", "active")
    assert (await house.ben.get(OWN)).json() == own
    for name in ("mia", "pat"):
        problem(await house.callers[name].get(OWN), 403, "forbidden")
    for name in ("nia", "cal"):
        problem(await house.callers[name].get(OWN), 403, "organization-inactive")
    problem(await house.stranger.get(OWN), 401, "not-signed-in")


async def test_an_administrator_changes_what_is_sent_and_null_empties(house: House) -> None:
    before = (await house.ada.get(OWN)).json()
    changes = {"name": "Northside Élite", "city": "Dayton", "state": "OH", "contactEmail": None, "specialties": ["MRI"]}  # fmt: skip
    changed = (await patch(house, "ada", changes)).json()
    for member, value in changes.items():
        assert changed[member] == value
    assert changed["version"] == before["version"] + 1
    assert changed["updatedAt"] > before["updatedAt"]
    untouched = before.keys() - changes.keys() - {"version", "updatedAt"}
    assert {member: changed[member] for member in untouched} == {
        member: before[member] for member in untouched
    }
    assert (await house.ada.get(OWN)).json() == changed

    # Others find it by its new name, and no longer by the old one.
    (found,) = data(await house.rui.get("/api/organizations/search", q="elite"))["organizations"]
    assert found["id"] == str(house.northside)
    assert data(await house.rui.get("/api/organizations/search", q="family"))["organizations"] == []
    (event,) = await house.rows("SELECT data FROM events WHERE kind = 'organization.updated'")
    assert event["data"]["fields"] == ["city", "contact_email", "name", "specialties", "state"]
    assert "Dayton" not in str(event["data"])


async def test_only_administrators_may_change_it(house: House) -> None:
    before = await everything(house)
    for name in ("ben", "mia", "pat"):
        problem(await patch(house, name, {"city": "Dayton"}), 403, "forbidden")
    for name in ("nia", "cal"):
        problem(await patch(house, name, {"city": "Dayton"}), 403, "organization-inactive")
    answered = await house.stranger.send("PATCH", OWN, b'{"city": "Dayton"}', Content_Type="application/json")
    problem(answered, 401, "not-signed-in")
    assert await everything(house) == before


async def test_what_the_server_owns_can_not_be_sent(house: House) -> None:
    before = await everything(house)
    for member in ("id", "code", "status", "version", "createdAt", "updatedAt", "nameKey", "name_key"):
        refused = problem(await patch(house, "ada", {member: "active"}), 400, "invalid")
        assert refused["errors"] == [{"field": member, "detail": "is not known here"}]
    assert await everything(house) == before


async def test_it_refuses_a_bad_member_by_the_name_it_was_sent_under(house: House) -> None:
    before = await everything(house)
    for member, value in (
        ("name", None), ("name", ""), ("type", None), ("type", "x"), ("specialties", None), ("npi", "1"), ("zipCode", 5),
    ):  # fmt: skip
        refused = problem(await patch(house, "ada", {member: value}), 400, "invalid")
        assert [error["field"] for error in refused["errors"]] == [member], value
    assert await everything(house) == before
