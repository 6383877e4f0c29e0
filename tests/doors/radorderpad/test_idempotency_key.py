"""Idempotency-Key on requests that create (ruling 27)."""

from __future__ import annotations

from datetime import timedelta

from cast import Caller, House, MovableClock, data, refusal
from doors.manners import UNKNOWN, at_once, everything
from hospitium.engine import idempotency

KEY = "b8e1e9c2-0a7f-4b0e-9f0e-6d1f3f0f7a11"


async def test_the_same_key_and_body_get_the_same_bytes_and_make_one_connection(house: House) -> None:
    first = await house.ada.asks(house.lakeside, "Hello", Idempotency_Key=KEY)
    data(first, 201)
    before = await everything(house)
    for _ in range(3):
        again = await house.ada.asks(house.lakeside, "Hello", Idempotency_Key=KEY)
        assert (again.status_code, again.content) == (201, first.content)
        assert again.headers["content-type"] == "application/json"
    assert await everything(house) == before
    assert len(await house.rows("SELECT id FROM partnerships")) == 1
    assert (await house.trail(house.northside)).count("partnership.requested") == 1


async def test_the_answer_is_the_same_even_when_things_have_moved_on(house: House) -> None:
    first = await house.ada.asks(house.lakeside, Idempotency_Key=KEY)
    data(await house.ada.does("cancel", data(first, 201)["connectionId"]))
    assert (await house.ada.asks(house.lakeside, Idempotency_Key=KEY)).content == first.content
    assert len(await house.rows("SELECT id FROM partnerships")) == 1


async def test_the_same_key_with_another_body_is_422(house: House) -> None:
    data(await house.ada.asks(house.lakeside, "Hello", Idempotency_Key=KEY), 201)
    before = await everything(house)
    for target, message in ((house.harbor, "Hello"), (house.lakeside, "Hello!"), (house.lakeside, None)):
        answered = await house.ada.asks(target, message, Idempotency_Key=KEY)
        refused = refusal(answered, 422, "VALIDATION_FAILED")
        (error,) = refused["error"]["validationErrors"]
        assert error.keys() == {"field", "message"}
        assert error["field"] == "Idempotency-Key"
    assert await everything(house) == before


async def test_the_same_key_at_another_address_is_422(house: House) -> None:
    data(await house.ada.asks(house.lakeside, Idempotency_Key=KEY), 201)
    answered = await house.ada.post(
        "/v1/organizations", {"code": "elm", "name": "Elm", "type": "both"}, Idempotency_Key=KEY
    )
    assert answered.status_code == 422
    assert answered.json()["type"] == "urn:hospitium:problem:idempotency-key-reused"


async def test_of_16_at_once_one_takes_effect_and_all_get_its_answer(house: House) -> None:
    answers = await at_once([house.ada.asks(house.lakeside, Idempotency_Key=KEY) for _ in range(16)])
    assert {answered.status_code for answered in answers} == {201}
    assert len({answered.content for answered in answers}) == 1
    assert len(await house.rows("SELECT id FROM partnerships")) == 1
    assert (await house.trail(house.lakeside)).count("partnership.requested") == 1
    await house.must_be_sound()


async def test_of_16_at_once_with_different_bodies_one_takes_effect_and_the_others_are_422(
    house: House,
) -> None:
    answers = await at_once(
        [house.ada.asks(house.lakeside, f"Number {number}", Idempotency_Key=KEY) for number in range(16)]
    )
    assert sorted(answered.status_code for answered in answers) == [201] + [422] * 15
    assert len(await house.rows("SELECT id FROM partnerships")) == 1


async def test_another_accounts_key_is_independent(house: House) -> None:
    first = data(await house.ada.asks(house.lakeside, Idempotency_Key=KEY), 201)
    other = data(await house.zoe.asks(house.lakeside, Idempotency_Key=KEY), 201)
    assert first["connectionId"] != other["connectionId"]


async def test_it_is_kept_for_24_hours_and_is_as_good_as_new_after(house: House, clock: MovableClock) -> None:
    first = await house.ada.asks(house.lakeside, Idempotency_Key=KEY)
    (row,) = await house.rows("SELECT claimed_at FROM idempotency_keys")
    data(await house.ada.does("cancel", data(first, 201)["connectionId"]))

    clock.now = row["claimed_at"] + timedelta(hours=24) - timedelta(milliseconds=1)
    assert (await house.ada.asks(house.lakeside, Idempotency_Key=KEY)).content == first.content
    clock.now = row["claimed_at"] + timedelta(hours=24)
    second = await house.ada.asks(house.lakeside, "Another body", Idempotency_Key=KEY)
    assert data(second, 201)["connectionId"] != data(first, 201)["connectionId"]
    assert (
        await house.ada.asks(house.lakeside, "Another body", Idempotency_Key=KEY)
    ).content == second.content


async def test_what_has_outlived_is_forgotten(house: House, clock: MovableClock) -> None:
    data(await house.ada.asks(house.lakeside, Idempotency_Key=KEY), 201)
    clock.advance(hours=23)
    data(await house.ada.asks(house.harbor, Idempotency_Key=KEY + "2"), 201)
    clock.advance(hours=1)
    assert await house.operate(idempotency.forget_outlived) == 1
    (row,) = await house.rows("SELECT key FROM idempotency_keys")
    assert row["key"] == KEY + "2"


async def test_a_refused_request_does_not_burn_the_key(house: House) -> None:
    refusal(await house.ada.asks(UNKNOWN, Idempotency_Key=KEY), 404, "RESOURCE_NOT_FOUND")
    refusal(await house.ada.asks(house.lakeside, "x" * 2001, Idempotency_Key=KEY), 400, "INVALID_PARAMETERS")
    refusal(await house.ben.asks(house.lakeside, Idempotency_Key=KEY), 403, "INSUFFICIENT_PERMISSIONS")
    assert await house.rows("SELECT key FROM idempotency_keys") == []
    data(await house.ada.asks(house.lakeside, Idempotency_Key=KEY), 201)


async def test_it_gives_nothing_to_someone_who_may_no_longer_ask(house: House) -> None:
    data(await house.ada.asks(house.lakeside, Idempotency_Key=KEY), 201)
    async with house.database.transaction() as tx:
        await tx.execute("UPDATE organizations SET status = 'suspended' WHERE id = $1", house.northside)
    refusal(await house.ada.asks(house.lakeside, Idempotency_Key=KEY), 403, "INSUFFICIENT_PERMISSIONS")
    refusal(await house.stranger.asks(house.lakeside, Idempotency_Key=KEY), 401, "AUTHENTICATION_REQUIRED")


async def test_a_key_is_1_to_255_printable_characters(house: House) -> None:
    async def asks_with(key: bytes) -> int:
        request = house.http.build_request(
            "POST",
            "/api/connections/request",
            json={"targetOrganizationId": str(house.lakeside)},
            headers=house.ada.headers,
        )
        request.headers.raw  # noqa: B018  build them before bytes are added
        request.headers = type(request.headers)([*request.headers.raw, (b"Idempotency-Key", key)])
        answered = await house.http.send(request)
        if answered.status_code == 400:
            refused = refusal(answered, 400, "INVALID_PARAMETERS")
            assert refused["error"]["details"] == {"Idempotency-Key": "must be 1 to 255 printable characters"}
        return answered.status_code

    before = await everything(house)
    for key in (b"", b"k" * 256, b"a\x85b"):
        assert await asks_with(key) == 400, key
    assert await everything(house) == before
    assert await asks_with(b"k" * 255) == 201


async def test_without_a_key_a_second_request_is_simply_a_second_one(house: House) -> None:
    caller: Caller = house.ada
    data(await caller.asks(house.lakeside), 201)
    refusal(await caller.asks(house.lakeside), 409, "RESOURCE_CONFLICT")
    assert await house.rows("SELECT key FROM idempotency_keys") == []
