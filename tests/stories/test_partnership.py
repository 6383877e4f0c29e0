"""The life of a partnership, told once, through HTTP, with the trail it leaves on both sides."""

from __future__ import annotations

from cast import House, connected, data, refusal


async def test_it_is_asked_answered_used_ended_and_taken_up_again(house: House) -> None:
    seen_by_northside = len(await house.trail(house.northside))
    seen_by_lakeside = len(await house.trail(house.lakeside))

    asked = data(await house.ada.asks(house.lakeside, "Hello"), 201)
    assert asked["status"] == "pending_approval"
    connection_id = asked["connectionId"]
    data(await house.rui.does("approve", connection_id, {"responseMessage": "Gladly"}))
    data(await house.rui.does("terminate", connection_id, {"reason": "We move"}))
    data(await house.rui.does("reestablish", connection_id, {"message": "We are back"}))
    data(await house.ada.does("reject", connection_id))
    data(await house.rui.does("resend", connection_id, {"message": "Please"}))
    data(await house.rui.does("cancel", connection_id))

    story = [
        "partnership.requested",
        "partnership.approved",
        "partnership.terminated",
        "partnership.reestablished",
        "partnership.rejected",
        "partnership.resent",
        "partnership.canceled",
    ]
    assert await house.trail(house.northside, since=seen_by_northside) == story
    assert await house.trail(house.lakeside, since=seen_by_lakeside) == story
    assert not {kind for kind in await house.trail(house.harbor) if kind.startswith("partnership")}
    await house.must_be_sound()


async def test_an_approval_grants_each_side_level_2_on_the_other_and_a_termination_ends_both(
    house: House,
) -> None:
    connection_id = await connected(house.ada, house.lakeside, house.rui)
    rows = await house.rows("SELECT grantee_id, resource_id, level, ends_at FROM grants ORDER BY id")
    assert {(row["grantee_id"], row["resource_id"], row["level"], row["ends_at"]) for row in rows} == {
        (house.northside, str(house.lakeside), 2, None),
        (house.lakeside, str(house.northside), 2, None),
    }

    data(await house.ada.does("terminate", connection_id, {"reason": "Over"}))
    rows = await house.rows(
        "SELECT g.ends_at, p.terminated_at FROM grants g JOIN partnerships p ON p.id = g.cause_id"
    )
    assert len(rows) == 2
    assert all(row["ends_at"] == row["terminated_at"] is not None for row in rows)
    await house.must_be_sound()


async def test_a_second_answer_is_refused_and_changes_nothing(house: House) -> None:
    connection_id = await connected(house.ada, house.lakeside, house.rui)
    before = (await house.rui.sees(connection_id)).content
    for verb in ("approve", "reject"):
        refusal(await house.rui.does(verb, connection_id), 409, "RESOURCE_CONFLICT")
    refusal(await house.ada.does("cancel", connection_id), 409, "RESOURCE_CONFLICT")
    assert (await house.rui.sees(connection_id)).content == before
    await house.must_be_sound()
