"""GET /api/connections/terminated: what was agreed once (docs/dialects/radorderpad.md)."""

from __future__ import annotations

from cast import House, connected, data
from doors.manners import BASIC, only_administrators_may

PATH = "/api/connections/terminated"


async def test_both_sides_see_who_ended_it_and_why(house: House) -> None:
    connection_id = await connected(house.ada, house.lakeside, house.rui)
    assert data(await house.ada.get(PATH))["connections"] == []
    ended = data(await house.rui.does("terminate", connection_id, {"reason": "We move"}))
    for caller, other, kind in ((house.ada, house.lakeside, "outgoing"), (house.rui, house.northside, "incoming")):  # fmt: skip
        (one,) = data(await caller.get(PATH))["connections"]
        assert one.keys() == {
            "id",
            "status",
            "requestDate",
            "responseDate",
            "terminationDate",
            "organization",
            "connectionType",
            "terminationReason",
            "terminatedBy",
        }
        assert (one["id"], one["status"], one["connectionType"]) == (connection_id, "terminated", kind)
        assert one["terminationDate"] == ended["terminationDate"]
        assert (one["terminationReason"], one["terminatedBy"]) == ("We move", str(house.lakeside))
        assert one["organization"].keys() == BASIC
        assert one["organization"]["id"] == str(other)
    assert data(await house.zoe.get(PATH))["pagination"]["totalItems"] == 0

    data(await house.ada.does("reestablish", connection_id))
    assert data(await house.ada.get(PATH))["connections"] == []


async def test_only_administrators_of_active_organizations_may(house: House) -> None:
    await only_administrators_may(house, lambda caller: caller.get(PATH))
