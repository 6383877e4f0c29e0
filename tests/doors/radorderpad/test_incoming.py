"""GET /api/connections/incoming: the requests the own organization received (docs/dialects/radorderpad.md)."""

from __future__ import annotations

from cast import House, MovableClock, data, refusal
from doors.manners import BASIC, only_administrators_may, partner

PATH = "/api/connections/incoming"


async def test_each_record_holds_what_the_document_promises(house: House) -> None:
    asked = data(await house.ada.asks(house.lakeside, "Hello"), 201)
    listed = data(await house.rui.get(PATH))
    assert listed.keys() == {"connections", "pagination"}
    assert listed["pagination"] == {"currentPage": 1, "totalPages": 1, "totalItems": 1, "itemsPerPage": 20}
    (one,) = listed["connections"]
    assert one.keys() == {"id", "status", "requestDate", "sourceOrganization", "message"}
    assert (one["id"], one["status"], one["message"]) == (asked["connectionId"], "pending_approval", "Hello")
    assert one["requestDate"] == asked["requestDate"]
    assert one["sourceOrganization"].keys() == BASIC
    assert one["sourceOrganization"]["id"] == str(house.northside)
    for caller in (house.ada, house.zoe):
        assert data(await caller.get(PATH, status="all"))["connections"] == []


async def test_only_administrators_of_active_organizations_may(house: House) -> None:
    await only_administrators_may(house, lambda caller: caller.get(PATH))


async def test_by_default_it_shows_what_waits_for_an_answer(house: House, clock: MovableClock) -> None:
    admins = {name: await partner(house, name) for name in ("elm", "oak", "ash", "fir")}
    asked = {
        name: data(await admin.asks(house.northside), 201)["connectionId"] for name, admin in admins.items()
    }
    data(await house.ada.does("approve", asked["oak"]))
    data(await house.ada.does("reject", asked["ash"]))
    data(await admins["fir"].does("cancel", asked["fir"]))

    async def of_status(**query: str) -> list[str]:
        listed = data(await house.ada.get(PATH, **query))
        assert listed["pagination"]["totalItems"] == len(listed["connections"])
        return [one["id"] for one in listed["connections"]]

    assert await of_status() == await of_status(status="pending") == [asked["elm"]]
    assert await of_status(status="pending_approval") == [asked["elm"]]
    assert await of_status(status="approved") == [asked["oak"]]
    assert await of_status(status="rejected") == [asked["ash"]]
    assert await of_status(status="canceled") == [asked["fir"]]
    assert await of_status(status="all") == [asked[name] for name in ("fir", "ash", "oak", "elm")]
    clock.advance(days=90)
    assert await of_status() == []
    assert await of_status(status="expired") == [asked["elm"]]
    refused = refusal(await house.ada.get(PATH, status="open"), 400, "INVALID_PARAMETERS")
    assert refused["error"]["details"].keys() == {"status"}


async def test_after_a_reestablish_it_stands_in_the_lists_of_the_new_direction(house: House) -> None:
    connection_id = data(await house.ada.asks(house.lakeside), 201)["connectionId"]
    data(await house.rui.does("approve", connection_id))
    data(await house.rui.does("terminate", connection_id, {"reason": "Over"}))
    data(await house.rui.does("reestablish", connection_id))
    (one,) = data(await house.ada.get(PATH))["connections"]
    assert (one["id"], one["sourceOrganization"]["id"]) == (connection_id, str(house.lakeside))
    assert data(await house.ada.get("/api/connections/outgoing"))["connections"] == []
    assert data(await house.rui.get(PATH, status="all"))["connections"] == []
