"""POST /api/connections/{id}/cancel: the asking organization takes its request back (docs/dialects/radorderpad.md)."""

from __future__ import annotations

from cast import House, connected, data, refusal
from doors.manners import everything, instant, it_is_not_there_for, only_administrators_may, row_of


async def asked_of_lakeside(house: House) -> str:
    connection_id: str = data(await house.ada.asks(house.lakeside, "Hello"), 201)["connectionId"]
    return connection_id


async def test_it_answers_with_the_time(house: House) -> None:
    connection_id = await asked_of_lakeside(house)
    canceled = data(await house.ada.does("cancel", connection_id))
    assert canceled.keys() == {"id", "status", "cancelDate"}
    assert (canceled["id"], canceled["status"]) == (connection_id, "canceled")
    assert (await row_of(house, connection_id))["canceled_at"] == instant(canceled["cancelDate"])
    assert (await house.trail(house.lakeside))[-1] == "partnership.canceled"
    await house.must_be_sound()


async def test_it_needs_no_body_and_no_content_type_and_takes_an_empty_object(house: House) -> None:
    for body, headers in ((b"", {}), (b"", {"Content_Type": "application/json"}), (b"{}", {"Content_Type": "application/json"})):  # fmt: skip
        connection_id = await asked_of_lakeside(house)
        data(await house.ada.send("POST", f"/api/connections/{connection_id}/cancel", body, **headers))


async def test_only_administrators_of_active_organizations_may(house: House) -> None:
    connection_id = await asked_of_lakeside(house)
    await only_administrators_may(house, lambda caller: caller.does("cancel", connection_id))


async def test_the_asked_organization_may_not(house: House) -> None:
    connection_id = await asked_of_lakeside(house)
    before = await everything(house)
    refused = refusal(await house.rui.does("cancel", connection_id), 403, "INSUFFICIENT_PERMISSIONS")
    assert refused["message"] == "Only the organization that sent the request may cancel it"
    assert await everything(house) == before


async def test_it_is_not_there_for_a_third_organization(house: House) -> None:
    connection_id = await asked_of_lakeside(house)
    await it_is_not_there_for(
        house, house.zoe, connection_id, lambda caller, named: caller.does("cancel", named)
    )


async def test_it_refuses_what_is_answered_or_canceled_already(house: House) -> None:
    connection_id = await asked_of_lakeside(house)
    data(await house.ada.does("cancel", connection_id))
    refused = refusal(await house.ada.does("cancel", connection_id), 409, "RESOURCE_CONFLICT")
    assert refused["message"] == "Connection request has been canceled"

    rejected = await asked_of_lakeside(house)
    data(await house.rui.does("reject", rejected))
    approved = await connected(house.ada, house.harbor, house.zoe)
    before = await everything(house)
    for answered in (rejected, approved):
        refused = refusal(await house.ada.does("cancel", answered), 409, "RESOURCE_CONFLICT")
        assert refused["message"] == "Connection request has already been approved or rejected"
    assert await everything(house) == before
