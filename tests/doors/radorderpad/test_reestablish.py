"""POST /api/connections/{id}/reestablish: either side asks to take it up again (docs/dialects/radorderpad.md; ruling 8)."""

from __future__ import annotations

from datetime import timedelta

from cast import Caller, House, MovableClock, connected, data, refusal
from doors.conftest import Opening
from doors.manners import everything, instant, it_is_not_there_for, only_administrators_may, row_of
from hospitium.engine.organizations import actions as organizations

DAYS_30 = timedelta(days=30)
DAYS_90 = timedelta(days=90)
MILLISECOND = timedelta(milliseconds=1)


async def ended(house: House, by: Caller | None = None) -> str:
    connection_id = await connected(house.ada, house.lakeside, house.rui)
    data(await (by or house.ada).does("terminate", connection_id, {"reason": "Over"}))
    return connection_id


async def test_who_asks_becomes_the_source_under_the_same_id(house: House) -> None:
    connection_id = await ended(house)
    asked = data(await house.rui.does("reestablish", connection_id, {"message": "We are back"}))
    assert asked.keys() == {"id", "status", "requestDate", "message"}
    assert (asked["id"], asked["status"], asked["message"]) == (
        connection_id,
        "pending_approval",
        "We are back",
    )
    row = await row_of(house, connection_id)
    assert (row["source_id"], row["target_id"]) == (house.lakeside, house.northside)
    assert row["requested_at"] == instant(asked["requestDate"])
    assert row["expires_at"] == row["requested_at"] + DAYS_90
    seen = data(await house.ada.sees(connection_id))
    assert (seen["connectionType"], seen["responseDate"]) == ("incoming", None)
    assert not {"terminationDate", "terminationReason", "terminatedBy"} & seen.keys()
    assert (await house.trail(house.northside))[-1] == "partnership.reestablished"

    refusal(await house.rui.does("approve", connection_id), 403, "INSUFFICIENT_PERMISSIONS")
    data(await house.ada.does("approve", connection_id))
    await house.must_be_sound()


async def test_the_former_source_may_ask_too(house: House) -> None:
    connection_id = await ended(house, by=house.rui)
    assert data(await house.ada.does("reestablish", connection_id))["message"] is None
    assert (await row_of(house, connection_id))["source_id"] == house.northside


async def test_only_administrators_of_active_organizations_may(house: House) -> None:
    connection_id = await ended(house)
    await only_administrators_may(house, lambda caller: caller.does("reestablish", connection_id))


async def test_it_is_not_there_for_a_third_organization(house: House) -> None:
    connection_id = await ended(house)
    await it_is_not_there_for(
        house, house.zoe, connection_id, lambda caller, named: caller.does("reestablish", named)
    )


async def test_it_refuses_what_is_not_terminated(house: House) -> None:
    pending = data(await house.ada.asks(house.harbor), 201)["connectionId"]
    approved = await connected(house.ada, house.lakeside, house.rui)
    before = await everything(house)
    for connection_id in (pending, approved):
        refused = refusal(await house.ada.does("reestablish", connection_id), 409, "RESOURCE_CONFLICT")
        assert refused["message"] == "Only terminated connections can be reestablished"
    assert await everything(house) == before


async def test_it_is_exempt_from_the_cooldown_once_per_cycle_of_the_pair_and_then_obeys_it(
    house: House, clock: MovableClock
) -> None:
    connection_id = await ended(house)
    asked_at = instant(data(await house.rui.does("reestablish", connection_id))["requestDate"])
    data(await house.ada.does("approve", connection_id))
    clock.advance(hours=1)
    again = data(await house.rui.does("terminate", connection_id, {"reason": "Again"}))
    terminated_at = instant(again["terminationDate"])

    clock.now = asked_at + DAYS_30 - MILLISECOND
    before = await everything(house)
    for caller in (house.ada, house.rui):
        refused = refusal(await caller.does("reestablish", connection_id), 409, "TERMINATION_COOLDOWN")
        assert instant(refused["error"]["retryAfter"]) == asked_at + DAYS_30  # when the next exemption comes
    assert await everything(house) == before

    clock.now = terminated_at + DAYS_30
    data(await house.ada.does("reestablish", connection_id))
    await house.must_be_sound()


async def test_it_refuses_beside_a_live_connection_of_the_pair(house: House, clock: MovableClock) -> None:
    connection_id = await ended(house)
    clock.advance(days=30)
    data(await house.rui.asks(house.northside), 201)
    refused = refusal(await house.ada.does("reestablish", connection_id), 409, "RESOURCE_CONFLICT")
    assert refused["message"] == "Connection already exists or is pending"


async def test_it_counts_to_the_pending_requests(open_house: Opening) -> None:
    async with open_house(PENDING_REQUEST_LIMIT="1") as house:
        connection_id = await ended(house)
        data(await house.ada.asks(house.harbor), 201)
        before = await everything(house)
        refusal(await house.ada.does("reestablish", connection_id), 409, "PENDING_REQUEST_LIMIT")
        assert await everything(house) == before
        data(await house.rui.does("reestablish", connection_id))


async def test_it_refuses_while_the_other_organization_is_suspended(house: House) -> None:
    connection_id = await ended(house)
    await house.operate(lambda ctx: organizations.judge(ctx, "suspend", "lakeside"))
    refused = refusal(await house.ada.does("reestablish", connection_id), 409, "RESOURCE_CONFLICT")
    assert refused["message"] == "The other organization is not active at present"
