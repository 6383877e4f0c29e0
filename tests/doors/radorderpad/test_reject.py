"""POST /api/connections/{id}/reject: the organization that was asked says no (docs/dialects/radorderpad.md)."""

from __future__ import annotations

from cast import House, connected, data, refusal
from doors.manners import everything, instant, it_is_not_there_for, only_administrators_may, row_of


async def asked_of_lakeside(house: House) -> str:
    connection_id: str = data(await house.ada.asks(house.lakeside, "Hello"), 201)["connectionId"]
    return connection_id


async def test_it_answers_with_the_time_and_the_message(house: House) -> None:
    connection_id = await asked_of_lakeside(house)
    rejected = data(await house.rui.does("reject", connection_id, {"responseMessage": "Not now"}))
    assert rejected.keys() == {"id", "status", "responseDate", "responseMessage"}
    assert (rejected["id"], rejected["status"]) == (connection_id, "rejected")
    assert rejected["responseMessage"] == "Not now"
    row = await row_of(house, connection_id)
    assert row["responded_at"] == row["rejected_at"] == instant(rejected["responseDate"])
    assert (await house.trail(house.northside))[-1] == "partnership.rejected"
    assert await house.rows("SELECT id FROM grants") == []
    await house.must_be_sound()


async def test_a_response_message_is_optional_bounded_and_plain(house: House) -> None:
    connection_id = await asked_of_lakeside(house)
    before = await everything(house)
    refused = refusal(
        await house.rui.does("reject", connection_id, {"responseMessage": "x" * 2001}),
        400,
        "INVALID_PARAMETERS",
    )
    assert refused["error"]["details"] == {"responseMessage": "must be at most 2,000 characters long"}
    assert await everything(house) == before
    assert data(await house.rui.does("reject", connection_id, {}))["responseMessage"] is None


async def test_only_administrators_of_active_organizations_may(house: House) -> None:
    connection_id = await asked_of_lakeside(house)
    await only_administrators_may(house, lambda caller: caller.does("reject", connection_id))


async def test_the_asking_organization_may_not(house: House) -> None:
    connection_id = await asked_of_lakeside(house)
    refused = refusal(await house.ada.does("reject", connection_id), 403, "INSUFFICIENT_PERMISSIONS")
    assert refused["message"] == "Only the organization that received the request may reject it"


async def test_it_is_not_there_for_a_third_organization(house: House) -> None:
    connection_id = await asked_of_lakeside(house)
    await it_is_not_there_for(
        house, house.zoe, connection_id, lambda caller, named: caller.does("reject", named)
    )


async def test_it_refuses_a_second_answer(house: House) -> None:
    connection_id = await asked_of_lakeside(house)
    data(await house.rui.does("reject", connection_id))
    approved = await connected(house.zoe, house.lakeside, house.rui)
    before = await everything(house)
    for answered in (connection_id, approved):
        refused = refusal(await house.rui.does("reject", answered), 409, "RESOURCE_CONFLICT")
        assert refused["message"] == "Connection request has already been approved or rejected"
    assert await everything(house) == before
