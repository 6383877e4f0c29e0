"""GET /api/connections/established: what is agreed and lasts (docs/dialects/radorderpad.md)."""

from __future__ import annotations

from cast import House, connected, data
from doors.manners import BASIC, only_administrators_may

PATH = "/api/connections/established"


async def test_both_sides_see_the_other_one_and_the_direction(house: House) -> None:
    connection_id = await connected(house.ada, house.lakeside, house.rui)
    for caller, other, kind in ((house.ada, house.lakeside, "outgoing"), (house.rui, house.northside, "incoming")):  # fmt: skip
        listed = data(await caller.get(PATH))
        assert listed["pagination"] == {
            "currentPage": 1,
            "totalPages": 1,
            "totalItems": 1,
            "itemsPerPage": 20,
        }
        (one,) = listed["connections"]
        assert one.keys() == {
            "id",
            "status",
            "requestDate",
            "responseDate",
            "organization",
            "connectionType",
            "orderCount",
            "lastOrderDate",
        }
        assert (one["id"], one["status"], one["connectionType"]) == (connection_id, "approved", kind)
        assert one["organization"].keys() == BASIC
        assert one["organization"]["id"] == str(other)
        assert (one["orderCount"], one["lastOrderDate"]) == (0, None)
    assert data(await house.zoe.get(PATH))["connections"] == []


async def test_only_administrators_of_active_organizations_may(house: House) -> None:
    await only_administrators_may(house, lambda caller: caller.get(PATH))


async def test_it_holds_what_is_approved_from_either_side_and_nothing_else(house: House) -> None:
    outgoing = await connected(house.ada, house.lakeside, house.rui)
    incoming = await connected(house.zoe, house.northside, house.ada)
    listed = data(await house.ada.get(PATH))
    assert [one["id"] for one in listed["connections"]] == [incoming, outgoing]
    assert [one["id"] for one in data(await house.ada.get(PATH, page=2, limit=1))["connections"]] == [
        outgoing
    ]

    data(await house.ada.does("terminate", outgoing, {"reason": "Over"}))
    data(await house.ada.does("reestablish", outgoing))
    listed = data(await house.ada.get(PATH))
    assert [one["id"] for one in listed["connections"]] == [incoming]
    assert listed["pagination"]["totalItems"] == 1
