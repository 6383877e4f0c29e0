"""POST /api/connections/request: asking another organization to connect (docs/dialects/radorderpad.md; rulings 8, 9)."""

from __future__ import annotations

from datetime import timedelta

from cast import House, MovableClock, connected, data, refusal
from doors.conftest import Opening
from doors.manners import BASIC, UNKNOWN, everything, instant, only_administrators_may, partner, row_of
from hospitium.engine.ids import to_object_id

DAYS_30 = timedelta(days=30)
DAYS_90 = timedelta(days=90)
MILLISECOND = timedelta(milliseconds=1)


async def test_it_answers_201_with_what_the_document_promises(house: House) -> None:
    answered = await house.ada.asks(house.lakeside, "Hello\nthere")
    asked = data(answered, 201)
    assert answered.json().keys() == {"success", "data"}
    assert asked.keys() == {"connectionId", "status", "requestDate", "targetOrganization"}
    assert asked["status"] == "pending_approval"
    assert asked["targetOrganization"].keys() == BASIC
    assert asked["targetOrganization"]["id"] == str(house.lakeside)
    assert answered.headers["content-type"] == "application/json"
    assert answered.headers["cache-control"] == "no-store"

    row = await row_of(house, asked["connectionId"])
    assert (row["source_id"], row["target_id"]) == (house.northside, house.lakeside)
    assert (row["status"], row["message"]) == ("pending_approval", "Hello\nthere")
    assert instant(asked["requestDate"]) == row["requested_at"]
    assert row["expires_at"] == row["requested_at"] + DAYS_90


async def test_only_administrators_of_active_organizations_may(house: House) -> None:
    await only_administrators_may(house, lambda caller: caller.asks(house.lakeside))


async def test_it_records_who_asked_whom_in_both_trails(house: House) -> None:
    asked = data(await house.ada.asks(house.lakeside), 201)
    for party in (house.northside, house.lakeside, house.accounts["ada"]):
        assert (await house.trail(party))[-1] == "partnership.requested"
    (event,) = await house.rows("SELECT * FROM events WHERE kind = 'partnership.requested'")
    assert event["actor_account_id"] == house.accounts["ada"]
    assert event["actor_organization_id"] == house.northside
    assert str(event["subject_id"]) == asked["connectionId"]
    assert "Hello" not in str(event["data"])


async def test_it_takes_the_target_in_either_spelling_of_an_id(house: House) -> None:
    asked = data(await house.ada.asks(str(to_object_id(house.lakeside)).upper()), 201)
    assert asked["targetOrganization"]["id"] == str(house.lakeside)
    data(await house.ada.asks(str(house.harbor).upper()), 201)


async def test_a_message_is_optional_and_blank_is_none(house: House) -> None:
    for target, message in ((house.lakeside, None), (house.harbor, " \n ")):
        asked = data(
            await house.ada.post(
                "/api/connections/request", {"targetOrganizationId": str(target), "message": message}
            ),
            201,
        )
        assert (await row_of(house, asked["connectionId"]))["message"] is None


async def test_a_message_of_2000_characters_is_kept_whole_and_one_more_is_refused(house: House) -> None:
    before = await everything(house)
    refused = refusal(await house.ada.asks(house.lakeside, "ä" * 2001), 400, "INVALID_PARAMETERS")
    assert refused["error"]["details"] == {"message": "must be at most 2,000 characters long"}
    assert await everything(house) == before

    asked = data(await house.ada.asks(house.lakeside, "ä" * 2000), 201)
    assert data(await house.rui.sees(asked["connectionId"]))["message"] == "ä" * 2000


async def test_it_refuses_a_message_that_reads_otherwise_than_it_is_written(house: House) -> None:
    for message, says in (
        ("a\u202eb", "must not contain characters that turn the direction of writing"),
        ("a\x1b[31m", "must not contain control characters"),
    ):
        refused = refusal(await house.ada.asks(house.lakeside, message), 400, "INVALID_PARAMETERS")
        assert refused["error"]["details"] == {"message": says}


async def test_it_refuses_a_missing_a_blank_and_the_own_organization_with_400(house: House) -> None:
    before = await everything(house)
    says = {
        "{}": "is required",
        '{"targetOrganizationId": ""}': "must be an id: a UUID, or 24 hexadecimal digits",
        '{"targetOrganizationId": "conn_123456"}': "must be an id: a UUID, or 24 hexadecimal digits",
        '{"targetOrganizationId": null}': "must be a string",
        '{"targetOrganizationId": 17}': "must be a string",
        f'{{"targetOrganizationId": "{house.northside}"}}': "Cannot request a connection to your own organization",
    }
    for body, reason in says.items():
        answered = await house.ada.send(
            "POST", "/api/connections/request", body.encode(), Content_Type="application/json"
        )
        refused = refusal(answered, 400, "INVALID_PARAMETERS")
        assert refused["error"]["details"] == {"targetOrganizationId": reason}
    assert await everything(house) == before


async def test_an_inactive_organization_is_as_unknown_as_one_that_does_not_exist(house: House) -> None:
    before = await everything(house)
    answers = [await house.ada.asks(target) for target in (UNKNOWN, house.newcomer, house.closed)]
    for answered in answers:
        assert refusal(answered, 404, "RESOURCE_NOT_FOUND")["error"]["resourceType"] == "organization"
        assert answered.content == answers[0].content
    assert await everything(house) == before


async def test_a_second_request_of_a_pair_is_409_from_either_side_pending_or_approved(house: House) -> None:
    connection_id = data(await house.ada.asks(house.lakeside), 201)["connectionId"]
    for verb in (None, "approve"):
        if verb is not None:
            data(await house.rui.does(verb, connection_id))
        before = await everything(house)
        for answered in (await house.ada.asks(house.lakeside), await house.rui.asks(house.northside)):
            refused = refusal(answered, 409, "RESOURCE_CONFLICT")
            assert refused["message"] == "Connection already exists or is pending"
        assert await everything(house) == before


async def test_after_a_cancel_a_new_request_is_a_new_connection_at_once(house: House) -> None:
    first = data(await house.ada.asks(house.lakeside), 201)["connectionId"]
    data(await house.ada.does("cancel", first))
    second = data(await house.ada.asks(house.lakeside), 201)["connectionId"]
    assert second != first
    assert data(await house.ada.sees(first))["status"] == "canceled"


# -- cool-downs, to the millisecond ------------------------------------------------------------------------------------


async def test_after_a_rejection_the_asker_waits_30_days_and_the_rejecter_does_not(
    house: House, clock: MovableClock
) -> None:
    connection_id = data(await house.ada.asks(house.lakeside), 201)["connectionId"]
    rejected_at = instant(data(await house.rui.does("reject", connection_id))["responseDate"])

    for wait in (timedelta(0), DAYS_30 - MILLISECOND):
        clock.now = rejected_at + wait
        before = await everything(house)
        refused = refusal(await house.ada.asks(house.lakeside), 409, "REJECTION_COOLDOWN")
        assert instant(refused["error"]["retryAfter"]) == rejected_at + DAYS_30
        assert await everything(house) == before

    clock.now = rejected_at + DAYS_30 - MILLISECOND
    the_other_way = data(await house.rui.asks(house.northside), 201)["connectionId"]
    data(await house.rui.does("cancel", the_other_way))

    clock.now = rejected_at + DAYS_30
    assert data(await house.ada.asks(house.lakeside), 201)["connectionId"] not in (
        connection_id,
        the_other_way,
    )


async def test_after_a_termination_both_wait_30_days(house: House, clock: MovableClock) -> None:
    connection_id = await connected(house.ada, house.lakeside, house.rui)
    ended = data(await house.ada.does("terminate", connection_id, {"reason": "Over"}))
    terminated_at = instant(ended["terminationDate"])

    for wait in (timedelta(0), DAYS_30 - MILLISECOND):
        clock.now = terminated_at + wait
        for answered in (await house.ada.asks(house.lakeside), await house.rui.asks(house.northside)):
            refused = refusal(answered, 409, "TERMINATION_COOLDOWN")
            assert instant(refused["error"]["retryAfter"]) == terminated_at + DAYS_30

    clock.now = terminated_at + DAYS_30
    data(await house.rui.asks(house.northside), 201)


async def test_a_resend_and_a_cancel_do_not_shake_off_the_rejection(
    house: House, clock: MovableClock
) -> None:
    connection_id = data(await house.ada.asks(house.lakeside), 201)["connectionId"]
    rejected_at = instant(data(await house.rui.does("reject", connection_id))["responseDate"])
    data(await house.ada.does("resend", connection_id))
    data(await house.ada.does("cancel", connection_id))

    refused = refusal(await house.ada.asks(house.lakeside), 409, "REJECTION_COOLDOWN")
    assert instant(refused["error"]["retryAfter"]) == rejected_at + DAYS_30
    clock.now = rejected_at + DAYS_30
    data(await house.ada.asks(house.lakeside), 201)


async def test_a_reestablish_and_a_cancel_do_not_shake_off_the_termination(
    house: House, clock: MovableClock
) -> None:
    connection_id = await connected(house.ada, house.lakeside, house.rui)
    ended = data(await house.ada.does("terminate", connection_id, {"reason": "Over"}))
    data(await house.ada.does("reestablish", connection_id))
    data(await house.ada.does("cancel", connection_id))

    for answered in (await house.ada.asks(house.lakeside), await house.rui.asks(house.northside)):
        refusal(answered, 409, "TERMINATION_COOLDOWN")
    refusal(await house.ada.does("reestablish", connection_id), 409, "RESOURCE_CONFLICT")
    clock.now = instant(ended["terminationDate"]) + DAYS_30
    data(await house.ada.asks(house.lakeside), 201)


async def test_another_spelling_of_the_target_is_the_same_target_to_a_cooldown(house: House) -> None:
    connection_id = data(await house.ada.asks(house.lakeside), 201)["connectionId"]
    data(await house.rui.does("reject", connection_id))
    for spelling in (str(house.lakeside).upper(), str(to_object_id(house.lakeside))):
        refusal(await house.ada.asks(spelling), 409, "REJECTION_COOLDOWN")


async def test_the_spans_are_settings(open_house: Opening, clock: MovableClock) -> None:
    async with open_house(REJECTION_COOLDOWN_DAYS="0", TERMINATION_COOLDOWN_DAYS="2") as house:
        first = data(await house.ada.asks(house.lakeside), 201)["connectionId"]
        data(await house.rui.does("reject", first))
        second = await connected(house.ada, house.lakeside, house.rui)
        ended = data(await house.ada.does("terminate", second, {"reason": "Over"}))
        clock.now = instant(ended["terminationDate"]) + timedelta(days=2) - MILLISECOND
        refusal(await house.ada.asks(house.lakeside), 409, "TERMINATION_COOLDOWN")
        clock.advance(milliseconds=1)
        data(await house.ada.asks(house.lakeside), 201)


# -- expiry, by the clock alone ----------------------------------------------------------------------------------------


async def test_a_request_stands_in_the_way_for_90_days_and_not_a_millisecond_longer(
    house: House, clock: MovableClock
) -> None:
    asked = data(await house.ada.asks(house.lakeside), 201)
    expires = instant(asked["requestDate"]) + DAYS_90

    clock.now = expires - MILLISECOND
    refusal(await house.ada.asks(house.lakeside), 409, "RESOURCE_CONFLICT")
    refusal(await house.rui.asks(house.northside), 409, "RESOURCE_CONFLICT")

    clock.now = expires
    seen = len(await house.trail(house.lakeside))
    again = data(await house.rui.asks(house.northside), 201)
    assert again["connectionId"] != asked["connectionId"]
    assert await house.trail(house.lakeside, since=seen) == ["partnership.expired", "partnership.requested"]
    assert (await row_of(house, asked["connectionId"]))["status"] == "expired"
    await house.must_be_sound()


# -- limits ------------------------------------------------------------------------------------------------------------


async def test_it_holds_the_limit_of_pending_requests(open_house: Opening, clock: MovableClock) -> None:
    async with open_house(PENDING_REQUEST_LIMIT="2") as house:
        elm = await partner(house, "elm")
        first = data(await house.ada.asks(house.lakeside), 201)
        data(await house.ada.asks(house.harbor), 201)
        before = await everything(house)
        refused = refusal(await house.ada.asks(house.organizations["elm"]), 409, "PENDING_REQUEST_LIMIT")
        assert refused["error"]["limit"] == 2
        assert await everything(house) == before

        # Received requests don't count; others' are not affected; an answer and an expiry make room.
        received = data(await elm.asks(house.northside), 201)["connectionId"]
        data(await elm.does("cancel", received))
        clock.now = instant(first["requestDate"]) + DAYS_90 - MILLISECOND
        refusal(await house.ada.asks(house.organizations["elm"]), 409, "PENDING_REQUEST_LIMIT")
        clock.now = instant(first["requestDate"]) + DAYS_90
        data(await house.ada.asks(house.organizations["elm"]), 201)
        await house.must_be_sound()


async def test_it_holds_the_limit_of_active_connections_of_the_asker(open_house: Opening) -> None:
    async with open_house(ACTIVE_CONNECTION_LIMIT="1") as house:
        await partner(house, "elm")
        await connected(house.ada, house.lakeside, house.rui)
        before = await everything(house)
        refused = refusal(await house.ada.asks(house.organizations["elm"]), 409, "ACTIVE_CONNECTION_LIMIT")
        assert refused["error"]["limit"] == 1
        assert "Your organization" in refused["message"]
        assert await everything(house) == before
        # The target's own count is a question for its approval: asking it is open.
        data(await house.zoe.asks(house.lakeside), 201)


async def test_by_default_20_may_wait_and_100_may_be_active(house: House) -> None:
    partners = [await partner(house, f"partner-{number}") for number in range(102)]
    ids = [house.organizations[f"partner-{number}"] for number in range(102)]
    asked = [data(await house.ada.asks(ids[number]), 201)["connectionId"] for number in range(20)]
    refused = refusal(await house.ada.asks(ids[20]), 409, "PENDING_REQUEST_LIMIT")
    assert refused["error"]["limit"] == 20

    for number in range(20):
        data(await partners[number].does("approve", asked[number]))
    for number in range(20, 99):
        await connected(house.ada, ids[number], partners[number])
    waiting = [data(await house.ada.asks(ids[number]), 201)["connectionId"] for number in (99, 100)]
    data(await partners[99].does("approve", waiting[0]))

    refused = refusal(await partners[100].does("approve", waiting[1]), 409, "ACTIVE_CONNECTION_LIMIT")
    assert "The other organization" in refused["message"]
    refused = refusal(await house.ada.asks(ids[101]), 409, "ACTIVE_CONNECTION_LIMIT")
    assert refused["error"]["limit"] == 100
    received = data(await partners[101].asks(house.northside), 201)["connectionId"]
    refusal(await house.ada.does("approve", received), 409, "ACTIVE_CONNECTION_LIMIT")

    first = data(await house.ada.get("/api/connections/established", limit=100))
    assert first["pagination"] == {
        "currentPage": 1,
        "totalPages": 1,
        "totalItems": 100,
        "itemsPerPage": 100,
    }
    data(await house.ada.does("terminate", asked[0], {"reason": "Room"}))
    data(await house.ada.does("approve", received))
    await house.must_be_sound()
