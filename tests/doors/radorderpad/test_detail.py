"""GET /api/connections/{id}: one connection, as either side sees it (docs/dialects/radorderpad.md)."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from cast import House, MovableClock, data, refusal
from doors.manners import BASIC, CONTACT, instant, it_is_not_there_for, only_administrators_may, row_of
from hospitium.engine.ids import to_object_id
from hospitium.engine.organizations import actions as organizations

ALWAYS = {
    "id", "status", "requestDate", "responseDate", "sourceOrganization", "targetOrganization", "connectionType",
    "message", "responseMessage", "orderCount", "lastOrderDate", "pendingOrderCount",
}  # fmt: skip
ENDED = {"terminationDate", "terminationReason", "terminatedBy"}


async def test_both_sides_see_all_of_it_and_the_asked_one_sees_whom_to_contact(house: House) -> None:
    asked = data(await house.ada.asks(house.lakeside, "Hello"), 201)
    by_source = data(await house.ada.sees(asked["connectionId"]))
    by_target = data(await house.rui.sees(asked["connectionId"]))
    for seen, kind in ((by_source, "outgoing"), (by_target, "incoming")):
        assert seen.keys() == ALWAYS
        assert seen["id"] == asked["connectionId"]
        assert seen["status"] == "pending_approval"
        assert seen["requestDate"] == asked["requestDate"]
        assert (seen["responseDate"], seen["responseMessage"]) == (None, None)
        assert (seen["message"], seen["connectionType"]) == ("Hello", kind)
        assert (seen["orderCount"], seen["lastOrderDate"], seen["pendingOrderCount"]) == (0, None, 0)
        assert seen["targetOrganization"].keys() == BASIC
    assert by_source["sourceOrganization"].keys() == BASIC
    assert by_target["sourceOrganization"].keys() == BASIC | CONTACT
    assert by_target["sourceOrganization"]["contactEmail"] == "desk@northside.example"
    assert by_target["sourceOrganization"]["specialties"] == ["imaging"]


async def test_it_shows_the_times_of_the_status_it_has(house: House) -> None:
    connection_id = data(await house.ada.asks(house.lakeside, "Hello"), 201)["connectionId"]

    data(await house.rui.does("reject", connection_id, {"responseMessage": "No"}))
    seen = data(await house.ada.sees(connection_id))
    assert seen.keys() == ALWAYS
    assert (seen["status"], seen["responseMessage"]) == ("rejected", "No")
    assert instant(seen["responseDate"]) > instant(seen["requestDate"])

    data(await house.ada.does("resend", connection_id))
    data(await house.ada.does("cancel", connection_id))
    seen = data(await house.rui.sees(connection_id))
    assert seen.keys() == ALWAYS | {"cancelDate"}
    assert (seen["status"], seen["responseDate"]) == ("canceled", None)
    assert instant(seen["cancelDate"]) > instant(seen["requestDate"])

    connection_id = data(await house.ada.asks(house.harbor), 201)["connectionId"]
    data(await house.zoe.does("approve", connection_id, {"responseMessage": "Yes"}))
    data(await house.zoe.does("terminate", connection_id, {"reason": "Over"}))
    seen = data(await house.ada.sees(connection_id))
    assert seen.keys() == ALWAYS | ENDED
    assert (seen["status"], seen["responseMessage"], seen["terminationReason"]) == (
        "terminated",
        "Yes",
        "Over",
    )
    assert seen["terminatedBy"] == str(house.harbor)
    assert instant(seen["terminationDate"]) > instant(seen["responseDate"])


async def test_it_reads_expired_from_the_instant_the_90_days_are_over(
    house: House, clock: MovableClock
) -> None:
    asked = data(await house.ada.asks(house.lakeside), 201)
    expires = instant(asked["requestDate"]) + timedelta(days=90)
    for offset, status in ((-1, "pending_approval"), (0, "expired"), (1, "expired")):
        clock.now = expires + timedelta(milliseconds=offset)
        for caller in (house.ada, house.rui):
            assert data(await caller.sees(asked["connectionId"]))["status"] == status
    assert (await row_of(house, asked["connectionId"]))["status"] == "pending_approval"  # no sweep has run


async def test_only_administrators_of_active_organizations_may(house: House) -> None:
    connection_id = data(await house.ada.asks(house.lakeside), 201)["connectionId"]
    await only_administrators_may(house, lambda caller: caller.sees(connection_id))


async def test_it_is_not_there_for_a_third_organization(house: House) -> None:
    connection_id = data(await house.ada.asks(house.lakeside), 201)["connectionId"]
    await it_is_not_there_for(house, house.zoe, connection_id, lambda caller, named: caller.sees(named))


async def test_it_takes_the_id_in_either_spelling_and_any_case(house: House) -> None:
    connection_id = data(await house.ada.asks(house.lakeside), 201)["connectionId"]
    plain = (await house.ada.sees(connection_id)).content
    short = to_object_id(UUID(connection_id))
    assert short is not None
    for spelling in (connection_id.upper(), short, short.upper()):
        assert (await house.ada.sees(spelling)).content == plain
    for spelling in (connection_id.replace("-", ""), f"{{{connection_id}}}", f"urn:uuid:{connection_id}", f" {short}"):  # fmt: skip
        refusal(await house.ada.sees(spelling), 404, "RESOURCE_NOT_FOUND")


async def test_a_partner_that_is_suspended_stays_readable(house: House) -> None:
    connection_id = data(await house.ada.asks(house.lakeside), 201)["connectionId"]
    await house.operate(lambda ctx: organizations.judge(ctx, "suspend", "lakeside"))
    assert data(await house.ada.sees(connection_id))["targetOrganization"]["name"] == "Lakeside Imaging"


async def test_the_names_of_lists_are_never_taken_for_ids(house: House) -> None:
    for name in ("outgoing", "incoming", "established", "terminated"):
        assert "connections" in data(await house.ada.sees(name))
    answered = await house.ada.sees("request")
    refusal(answered, 405, "METHOD_NOT_ALLOWED")
    assert "POST" in answered.headers["allow"]
    refusal(await house.ada.sees("requests"), 404, "RESOURCE_NOT_FOUND")
