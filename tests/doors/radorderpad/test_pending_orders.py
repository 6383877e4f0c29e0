"""GET /api/connections/{id}/pending-orders: an empty list, until there are orders (docs/dialects/radorderpad.md; ruling 11)."""

from __future__ import annotations

from cast import House, connected, data, refusal
from doors.manners import it_is_not_there_for, only_administrators_may


async def test_an_approved_connection_has_an_empty_list(house: House) -> None:
    connection_id = await connected(house.ada, house.lakeside, house.rui)
    for caller in (house.ada, house.rui):
        assert data(await caller.get(f"/api/connections/{connection_id}/pending-orders", limit=7)) == {
            "orders": [],
            "pagination": {"currentPage": 1, "totalPages": 0, "totalItems": 0, "itemsPerPage": 7},
        }


async def test_what_is_not_approved_has_none(house: House) -> None:
    pending = data(await house.ada.asks(house.lakeside), 201)["connectionId"]
    ended = await connected(house.ada, house.harbor, house.zoe)
    data(await house.ada.does("terminate", ended, {"reason": "Over"}))
    for connection_id in (pending, ended):
        answered = await house.ada.get(f"/api/connections/{connection_id}/pending-orders")
        refusal(answered, 409, "RESOURCE_CONFLICT")


async def test_only_administrators_of_active_organizations_may(house: House) -> None:
    connection_id = await connected(house.ada, house.lakeside, house.rui)
    await only_administrators_may(
        house, lambda caller: caller.get(f"/api/connections/{connection_id}/pending-orders")
    )


async def test_it_is_not_there_for_a_third_organization(house: House) -> None:
    connection_id = await connected(house.ada, house.lakeside, house.rui)
    await it_is_not_there_for(
        house,
        house.zoe,
        connection_id,
        lambda caller, named: caller.get(f"/api/connections/{named}/pending-orders"),
    )
