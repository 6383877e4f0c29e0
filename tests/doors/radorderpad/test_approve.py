"""POST /api/connections/{id}/approve: the organization that was asked says yes (docs/dialects/radorderpad.md)."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from cast import House, MovableClock, connected, data, refusal
from doors.conftest import Opening
from doors.manners import BASIC, everything, instant, it_is_not_there_for, only_administrators_may, row_of
from hospitium.engine.ids import to_object_id
from hospitium.engine.organizations import actions as organizations

DAYS_90 = timedelta(days=90)
MILLISECOND = timedelta(milliseconds=1)


async def asked_of_lakeside(house: House) -> str:
    connection_id: str = data(await house.ada.asks(house.lakeside, "Hello"), 201)["connectionId"]
    return connection_id


async def test_it_answers_with_both_organizations(house: House) -> None:
    connection_id = await asked_of_lakeside(house)
    approved = data(await house.rui.does("approve", connection_id, {"responseMessage": "Gladly"}))
    assert approved.keys() == {
        "id",
        "status",
        "responseDate",
        "responseMessage",
        "sourceOrganization",
        "targetOrganization",
    }
    assert (approved["id"], approved["status"]) == (connection_id, "approved")
    assert approved["responseMessage"] == "Gladly"
    assert approved["sourceOrganization"].keys() == approved["targetOrganization"].keys() == BASIC
    assert approved["sourceOrganization"]["id"] == str(house.northside)
    assert approved["targetOrganization"]["id"] == str(house.lakeside)
    row = await row_of(house, connection_id)
    assert row["responded_at"] == instant(approved["responseDate"])
    assert (await house.trail(house.northside))[-1] == "partnership.approved"
    await house.must_be_sound()


async def test_a_response_message_is_optional_and_so_is_the_body(house: House) -> None:
    connection_id = await asked_of_lakeside(house)
    assert data(await house.rui.does("approve", connection_id))["responseMessage"] is None


async def test_only_administrators_of_active_organizations_may(house: House) -> None:
    connection_id = await asked_of_lakeside(house)
    await only_administrators_may(house, lambda caller: caller.does("approve", connection_id))


async def test_the_asking_organization_may_not_approve_its_own_request(house: House) -> None:
    connection_id = await asked_of_lakeside(house)
    before = await everything(house)
    refused = refusal(await house.ada.does("approve", connection_id), 403, "INSUFFICIENT_PERMISSIONS")
    assert refused["message"] == "Only the organization that received the request may approve it"
    assert await everything(house) == before


async def test_it_is_not_there_for_a_third_organization(house: House) -> None:
    connection_id = await asked_of_lakeside(house)
    await it_is_not_there_for(
        house, house.zoe, connection_id, lambda caller, named: caller.does("approve", named)
    )


async def test_it_refuses_what_has_been_answered_canceled_or_ended(house: House) -> None:
    connection_id = await asked_of_lakeside(house)
    answered = "Connection request has already been approved or rejected"
    moves = [
        (house.rui, "reject", answered),
        (house.ada, "resend", None),
        (house.ada, "cancel", "Connection request has been canceled"),
    ]
    for caller, verb, message in moves:
        data(await caller.does(verb, connection_id))
        if message is not None:
            before = await everything(house)
            refused = refusal(await house.rui.does("approve", connection_id), 409, "RESOURCE_CONFLICT")
            assert refused["message"] == message
            assert await everything(house) == before

    connection_id = await connected(house.zoe, house.lakeside, house.rui)
    refused = refusal(await house.rui.does("approve", connection_id), 409, "RESOURCE_CONFLICT")
    assert refused["message"] == answered
    data(await house.rui.does("terminate", connection_id, {"reason": "Over"}))
    refusal(await house.rui.does("approve", connection_id), 409, "RESOURCE_CONFLICT")


async def test_it_is_open_for_90_days_and_refused_from_then_on_without_any_sweep(
    house: House, clock: MovableClock
) -> None:
    connection_id = await asked_of_lakeside(house)
    expires = (await row_of(house, connection_id))["expires_at"]
    clock.now = expires
    before = await everything(house)
    for caller, verb in ((house.rui, "approve"), (house.rui, "reject"), (house.ada, "cancel")):
        refused = refusal(await caller.does(verb, connection_id), 409, "REQUEST_EXPIRED")
        assert refused["message"] == "The connection request has expired"
    assert await everything(house) == before
    assert data(await house.rui.sees(connection_id))["status"] == "expired"

    clock.now = expires - MILLISECOND
    assert data(await house.rui.sees(connection_id))["status"] == "pending_approval"
    data(await house.rui.does("approve", connection_id))
    await house.must_be_sound()


async def test_it_holds_the_limit_of_active_connections_on_both_sides(open_house: Opening) -> None:
    async with open_house(ACTIVE_CONNECTION_LIMIT="1") as house:
        to_lakeside = await asked_of_lakeside(house)
        to_harbor = data(await house.ada.asks(house.harbor), 201)["connectionId"]
        from_harbor = data(await house.zoe.asks(house.lakeside), 201)["connectionId"]
        data(await house.rui.does("approve", to_lakeside))

        before = await everything(house)
        refused = refusal(await house.zoe.does("approve", to_harbor), 409, "ACTIVE_CONNECTION_LIMIT")
        assert (refused["error"]["limit"], refused["message"].split(" already")[0]) == (
            1,
            "The other organization",
        )
        refused = refusal(await house.rui.does("approve", from_harbor), 409, "ACTIVE_CONNECTION_LIMIT")
        assert refused["message"].startswith("Your organization")
        assert await everything(house) == before

        data(await house.ada.does("terminate", to_lakeside, {"reason": "Room"}))
        data(await house.rui.does("approve", from_harbor))
        await house.must_be_sound()


async def test_it_refuses_while_the_asking_organization_is_suspended(house: House) -> None:
    connection_id = await asked_of_lakeside(house)
    await house.operate(lambda ctx: organizations.judge(ctx, "suspend", "northside"))
    before = await everything(house)
    refused = refusal(await house.rui.does("approve", connection_id), 409, "RESOURCE_CONFLICT")
    assert refused["message"] == "The other organization is not active at present"
    assert await everything(house) == before
    await house.operate(lambda ctx: organizations.judge(ctx, "reinstate", "northside"))
    data(await house.rui.does("approve", connection_id))


async def test_it_takes_the_id_in_either_spelling(house: House) -> None:
    connection_id = await asked_of_lakeside(house)
    approved = data(await house.rui.does("approve", str(to_object_id(UUID(connection_id)))))
    assert approved["id"] == connection_id
