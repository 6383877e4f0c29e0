"""GET /api/connections/{id}/statistics: zeros, until there are orders (docs/dialects/radorderpad.md; ruling 11)."""

from __future__ import annotations

from cast import House, connected, data, refusal
from doors.manners import it_is_not_there_for, only_administrators_may


async def test_an_approved_and_a_terminated_connection_have_statistics_of_nothing(house: House) -> None:
    connection_id = await connected(house.ada, house.lakeside, house.rui)
    for caller in (house.ada, house.rui):
        assert data(await caller.get(f"/api/connections/{connection_id}/statistics")) == {
            "connectionId": connection_id,
            "totalOrders": 0,
            "ordersByStatus": {"pending": 0, "completed": 0, "canceled": 0},
            "ordersByModality": {"CT": 0, "MRI": 0, "XRAY": 0, "ULTRASOUND": 0, "PET": 0, "NUCLEAR": 0},
            "monthlyOrderCounts": [],
        }
    data(await house.ada.does("terminate", connection_id, {"reason": "Over"}))
    assert data(await house.rui.get(f"/api/connections/{connection_id}/statistics"))["totalOrders"] == 0


async def test_a_request_has_none(house: House) -> None:
    connection_id = data(await house.ada.asks(house.lakeside), 201)["connectionId"]
    refusal(await house.ada.get(f"/api/connections/{connection_id}/statistics"), 409, "RESOURCE_CONFLICT")


async def test_only_administrators_of_active_organizations_may(house: House) -> None:
    connection_id = await connected(house.ada, house.lakeside, house.rui)
    await only_administrators_may(
        house, lambda caller: caller.get(f"/api/connections/{connection_id}/statistics")
    )


async def test_it_is_not_there_for_a_third_organization(house: House) -> None:
    connection_id = await connected(house.ada, house.lakeside, house.rui)
    await it_is_not_there_for(
        house,
        house.zoe,
        connection_id,
        lambda caller, named: caller.get(f"/api/connections/{named}/statistics"),
    )
