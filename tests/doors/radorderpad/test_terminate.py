"""POST /api/connections/{id}/terminate: either side ends the connection (docs/dialects/radorderpad.md)."""

from __future__ import annotations

from typing import Any

from cast import House, connected, data, refusal
from doors.manners import UNKNOWN, everything, instant, it_is_not_there_for, only_administrators_may, row_of

OVER = {"reason": "Over"}


async def test_it_answers_with_what_became_of_the_orders(house: House) -> None:
    connection_id = await connected(house.ada, house.lakeside, house.rui)
    ended = data(await house.rui.does("terminate", connection_id, {"reason": "We move"}))
    assert ended.keys() == {
        "id",
        "status",
        "terminationDate",
        "terminationReason",
        "pendingOrdersHandling",
        "affectedOrderCount",
    }
    assert (ended["id"], ended["status"], ended["terminationReason"]) == (
        connection_id,
        "terminated",
        "We move",
    )
    assert (ended["pendingOrdersHandling"], ended["affectedOrderCount"]) == ("complete", 0)
    row = await row_of(house, connection_id)
    assert row["terminated_at"] == instant(ended["terminationDate"])
    assert row["terminated_by"] == house.lakeside
    assert (await house.trail(house.northside))[-1] == "partnership.terminated"
    await house.must_be_sound()


async def test_either_side_may_and_orders_may_be_completed_canceled_or_transferred(house: House) -> None:
    for caller, handling in ((house.ada, "complete"), (house.rui, "cancel")):
        await house.add_organization(f"elm-{handling}")
        other = await house.add_person(f"elm-{handling}-admin", f"elm-{handling}")
        own = caller.organization or ""
        connection_id = await connected(other, house.organizations[own], caller)
        ended = data(await caller.does("terminate", connection_id, OVER | {"handlePendingOrders": handling}))
        assert ended["pendingOrdersHandling"] == handling

    kept = await connected(house.ada, house.harbor, house.zoe)
    ending = await connected(house.ada, house.lakeside, house.rui)
    ended = data(
        await house.ada.does(
            "terminate", ending, OVER | {"handlePendingOrders": "transfer", "targetConnectionId": kept}
        )
    )
    assert ended["pendingOrdersHandling"] == "transfer"


async def test_only_administrators_of_active_organizations_may(house: House) -> None:
    connection_id = await connected(house.ada, house.lakeside, house.rui)
    await only_administrators_may(house, lambda caller: caller.does("terminate", connection_id, OVER))


async def test_it_is_not_there_for_a_third_organization(house: House) -> None:
    connection_id = await connected(house.ada, house.lakeside, house.rui)
    await it_is_not_there_for(
        house, house.zoe, connection_id, lambda caller, named: caller.does("terminate", named, OVER)
    )


BAD_BODIES: tuple[tuple[Any, str, str], ...] = (
    (None, "reason", "is required"),
    ({}, "reason", "is required"),
    ({"reason": None}, "reason", "must be a string"),
    ({"reason": " \n"}, "reason", "is required"),
    ({"reason": "x" * 2001}, "reason", "must be at most 2,000 characters long"),
    (OVER | {"handlePendingOrders": "burn"}, "handlePendingOrders", "must be one of complete, cancel, transfer"),
    (OVER | {"handlePendingOrders": "transfer"}, "targetConnectionId", "is required when handlePendingOrders is transfer"),
    (OVER | {"handlePendingOrders": "transfer", "targetConnectionId": "x"}, "targetConnectionId", "must be an id: a UUID, or 24 hexadecimal digits"),
    (OVER | {"handlePendingOrders": "transfer", "targetConnectionId": UNKNOWN}, "targetConnectionId", "must be another approved connection of your organization"),
)  # fmt: skip


async def test_it_refuses_a_bad_body_naming_the_member(house: House) -> None:
    connection_id = await connected(house.ada, house.lakeside, house.rui)
    before = await everything(house)
    for body, field, says in BAD_BODIES:
        refused = refusal(await house.ada.does("terminate", connection_id, body), 400, "INVALID_PARAMETERS")
        assert refused["error"]["details"] == {field: says}
    assert await everything(house) == before


async def test_orders_can_not_be_transferred_to_itself_to_a_pending_one_or_to_a_strangers(
    house: House,
) -> None:
    connection_id = await connected(house.ada, house.lakeside, house.rui)
    pending = data(await house.ada.asks(house.harbor), 201)["connectionId"]
    strangers = await connected(house.zoe, house.lakeside, house.rui)
    bodies = []
    for target in (connection_id, pending, strangers, UNKNOWN):
        answered = await house.ada.does(
            "terminate",
            connection_id,
            OVER | {"handlePendingOrders": "transfer", "targetConnectionId": target},
        )
        refusal(answered, 400, "INVALID_PARAMETERS")
        bodies.append(answered.content)
    assert len(set(bodies)) == 1


async def test_it_refuses_what_is_not_approved(house: House) -> None:
    pending = data(await house.ada.asks(house.harbor), 201)["connectionId"]
    refused = refusal(await house.ada.does("terminate", pending, OVER), 409, "RESOURCE_CONFLICT")
    assert refused["message"] == "Only approved connections can be terminated"

    connection_id = await connected(house.ada, house.lakeside, house.rui)
    data(await house.ada.does("terminate", connection_id, OVER))
    before = await everything(house)
    for caller in (house.ada, house.rui):
        refused = refusal(await caller.does("terminate", connection_id, OVER), 409, "RESOURCE_CONFLICT")
        assert refused["message"] == "Connection has already been terminated"
    assert await everything(house) == before
