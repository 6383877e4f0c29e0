"""POST /api/connections/{id}/resend: a rejected request is sent again (docs/dialects/radorderpad.md; ruling 8)."""

from __future__ import annotations

from datetime import timedelta

from cast import House, MovableClock, connected, data, refusal
from doors.conftest import Opening
from doors.manners import everything, instant, it_is_not_there_for, only_administrators_may, row_of
from hospitium.engine.organizations import actions as organizations

DAYS_30 = timedelta(days=30)
DAYS_90 = timedelta(days=90)
MILLISECOND = timedelta(milliseconds=1)


async def rejected_by_lakeside(house: House) -> str:
    connection_id: str = data(await house.ada.asks(house.lakeside, "Hello"), 201)["connectionId"]
    data(await house.rui.does("reject", connection_id, {"responseMessage": "No"}))
    return connection_id


async def test_it_is_pending_again_under_the_same_id(house: House, clock: MovableClock) -> None:
    connection_id = await rejected_by_lakeside(house)
    before = await row_of(house, connection_id)
    clock.advance(days=3)
    resent = data(await house.ada.does("resend", connection_id, {"message": "Please"}))
    assert resent.keys() == {"id", "status", "requestDate", "message"}
    assert (resent["id"], resent["status"], resent["message"]) == (
        connection_id,
        "pending_approval",
        "Please",
    )
    row = await row_of(house, connection_id)
    assert row["requested_at"] == instant(resent["requestDate"]) > before["requested_at"] + timedelta(days=3)
    assert row["expires_at"] == row["requested_at"] + DAYS_90
    assert (row["responded_at"], row["response_message"]) == (None, None)
    seen = data(await house.rui.sees(connection_id))
    assert (seen["responseDate"], seen["responseMessage"], seen["message"]) == (None, None, "Please")
    assert (await house.trail(house.lakeside))[-1] == "partnership.resent"
    data(await house.rui.does("approve", connection_id))
    await house.must_be_sound()


async def test_without_a_message_it_keeps_the_old_one(house: House) -> None:
    connection_id = await rejected_by_lakeside(house)
    assert data(await house.ada.does("resend", connection_id))["message"] == "Hello"


async def test_only_administrators_of_active_organizations_may(house: House) -> None:
    connection_id = await rejected_by_lakeside(house)
    await only_administrators_may(house, lambda caller: caller.does("resend", connection_id))


async def test_the_rejecting_organization_may_not(house: House) -> None:
    connection_id = await rejected_by_lakeside(house)
    before = await everything(house)
    refused = refusal(await house.rui.does("resend", connection_id), 403, "INSUFFICIENT_PERMISSIONS")
    assert refused["message"] == "Only the organization that sent the request may resend it"
    assert await everything(house) == before


async def test_it_is_not_there_for_a_third_organization(house: House) -> None:
    connection_id = await rejected_by_lakeside(house)
    await it_is_not_there_for(
        house, house.zoe, connection_id, lambda caller, named: caller.does("resend", named)
    )


async def test_it_refuses_what_is_not_rejected(house: House, clock: MovableClock) -> None:
    pending = data(await house.ada.asks(house.lakeside), 201)["connectionId"]
    approved = await connected(house.ada, house.harbor, house.zoe)
    for connection_id in (pending, approved):
        refused = refusal(await house.ada.does("resend", connection_id), 409, "RESOURCE_CONFLICT")
        assert refused["message"] == "Only rejected connection requests can be resent"
    data(await house.ada.does("terminate", approved, {"reason": "Over"}))
    clock.advance(days=90)
    for connection_id in (pending, approved):  # expired by now, and terminated
        refusal(await house.ada.does("resend", connection_id), 409, "RESOURCE_CONFLICT")


async def test_it_is_exempt_from_the_cooldown_once_per_cycle_and_then_obeys_it(
    house: House, clock: MovableClock
) -> None:
    connection_id = await rejected_by_lakeside(house)
    resent_at = instant(data(await house.ada.does("resend", connection_id))["requestDate"])
    clock.advance(hours=1)
    rejected_at = instant(data(await house.rui.does("reject", connection_id))["responseDate"])

    clock.now = resent_at + DAYS_30 - MILLISECOND
    before = await everything(house)
    refused = refusal(await house.ada.does("resend", connection_id), 409, "REJECTION_COOLDOWN")
    assert (
        instant(refused["error"]["retryAfter"]) == resent_at + DAYS_30
    )  # when the next exemption comes, before the cool-down ends
    assert await everything(house) == before

    clock.now = rejected_at + DAYS_30
    data(await house.ada.does("resend", connection_id))

    # That one needed no exemption, so the next cycle still has its own.
    data(await house.rui.does("reject", connection_id))
    data(await house.ada.does("resend", connection_id))
    data(await house.rui.does("reject", connection_id))
    refusal(await house.ada.does("resend", connection_id), 409, "REJECTION_COOLDOWN")
    await house.must_be_sound()


async def test_the_exemption_is_for_the_latest_connection_of_the_pair_alone(
    house: House, clock: MovableClock
) -> None:
    first = await rejected_by_lakeside(house)
    clock.advance(days=30)
    second = await rejected_by_lakeside(house)
    refused = refusal(
        await house.ada.does("resend", first), 409, "REJECTION_COOLDOWN"
    )  # an older one is no way round
    assert instant(refused["error"]["retryAfter"]) > clock.now
    data(await house.ada.does("resend", second))
    data(await house.rui.does("reject", second))
    for connection_id in (first, second):
        refusal(await house.ada.does("resend", connection_id), 409, "REJECTION_COOLDOWN")


async def test_it_refuses_beside_a_live_connection_of_the_pair(house: House) -> None:
    connection_id = await rejected_by_lakeside(house)
    data(await house.rui.asks(house.northside), 201)
    refused = refusal(await house.ada.does("resend", connection_id), 409, "RESOURCE_CONFLICT")
    assert refused["message"] == "Connection already exists or is pending"


async def test_it_counts_to_the_pending_requests(open_house: Opening) -> None:
    async with open_house(PENDING_REQUEST_LIMIT="1") as house:
        connection_id = await rejected_by_lakeside(house)
        data(await house.ada.asks(house.harbor), 201)
        before = await everything(house)
        refused = refusal(await house.ada.does("resend", connection_id), 409, "PENDING_REQUEST_LIMIT")
        assert refused["error"]["limit"] == 1
        assert await everything(house) == before


async def test_the_exemption_is_a_setting(open_house: Opening, clock: MovableClock) -> None:
    async with open_house(RESEND_EXEMPT="false") as house:
        connection_id = await rejected_by_lakeside(house)
        refused = refusal(await house.ada.does("resend", connection_id), 409, "REJECTION_COOLDOWN")
        clock.now = instant(refused["error"]["retryAfter"]) - MILLISECOND
        refusal(await house.ada.does("resend", connection_id), 409, "REJECTION_COOLDOWN")
        clock.advance(milliseconds=1)
        data(await house.ada.does("resend", connection_id))


async def test_it_refuses_while_the_other_organization_is_suspended(house: House) -> None:
    connection_id = await rejected_by_lakeside(house)
    await house.operate(lambda ctx: organizations.judge(ctx, "suspend", "lakeside"))
    refused = refusal(await house.ada.does("resend", connection_id), 409, "RESOURCE_CONFLICT")
    assert refused["message"] == "The other organization is not active at present"
