"""Ways round a rule that somebody found once, each closed."""

from __future__ import annotations

import asyncio
import unicodedata
from datetime import datetime
from typing import TYPE_CHECKING

from cast import PASSWORD, House, data, refusal
from hospitium.doors.passwords import hash_now
from hospitium.engine.accounts import actions as accounts, queries as account_queries
from hospitium.engine.accounts.actions import AccountForm
from hospitium.engine.accounts.passwords import checked_password
from hospitium.engine.actor import ANONYMOUS, Role
from hospitium.engine.context import Context
from hospitium.engine.ids import new_id
from hospitium.engine.memberships import actions as memberships
from hospitium.engine.secrets import Password, seed
from hospitium.engine.sessions import actions as sessions
from hospitium.engine.sessions.record import REFRESH_PURPOSE

if TYPE_CHECKING:
    from cast import MovableClock


async def _rejected(house: House) -> str:
    connection_id = data(await house.ada.asks(house.lakeside), 201)["connectionId"]
    data(await house.rui.does("reject", connection_id))
    return connection_id


async def _ended(house: House, connection_id: str) -> None:
    data(await house.rui.does("approve", connection_id))
    data(await house.ada.does("terminate", connection_id, {"reason": "Over"}))


async def test_an_old_rejected_request_is_no_way_round_a_termination(
    house: House, clock: MovableClock
) -> None:
    old = await _rejected(house)
    clock.advance(days=31)
    current = data(await house.ada.asks(house.lakeside), 201)["connectionId"]
    await _ended(house, current)
    data(await house.ada.does("reestablish", current))
    await _ended(house, current)
    refusal(await house.ada.does("reestablish", current), 409, "TERMINATION_COOLDOWN")
    refusal(await house.ada.does("resend", old), 409, "TERMINATION_COOLDOWN")


async def test_a_flip_of_direction_does_not_make_anybody_forget_a_resend(
    house: House, clock: MovableClock
) -> None:
    old = await _rejected(house)
    clock.advance(days=31)
    current = await _rejected(house)
    data(await house.ada.does("resend", current))
    await _ended(house, current)
    data(await house.rui.does("reestablish", current))
    data(await house.ada.does("reject", current))
    refusal(await house.ada.does("resend", old), 409, "TERMINATION_COOLDOWN")


async def test_of_two_cooldowns_the_longer_one_is_told(house: House, clock: MovableClock) -> None:
    await _rejected(house)
    clock.advance(days=10)
    connection_id = data(await house.rui.asks(house.northside), 201)["connectionId"]
    data(await house.ada.does("approve", connection_id))
    data(await house.ada.does("terminate", connection_id, {"reason": "Over"}))
    refused = refusal(await house.ada.asks(house.lakeside), 409, "TERMINATION_COOLDOWN")
    clock.now = datetime.fromisoformat(refused["error"]["retryAfter"])
    data(await house.ada.asks(house.lakeside), 201)


async def test_nobody_speaks_in_the_other_sides_words(house: House) -> None:
    connection_id = data(await house.ada.asks(house.lakeside, "From Northside"), 201)["connectionId"]
    await _ended(house, connection_id)
    assert data(await house.rui.does("reestablish", connection_id))["message"] is None
    data(await house.ada.does("reject", connection_id))


async def test_whoever_wrote_the_message_keeps_it(house: House) -> None:
    connection_id = data(await house.ada.asks(house.lakeside, "From Northside"), 201)["connectionId"]
    await _ended(house, connection_id)
    assert data(await house.ada.does("reestablish", connection_id))["message"] == "From Northside"


async def test_a_key_means_another_request_for_another_organization(house: House) -> None:
    await house.operate(lambda ctx: memberships.add(ctx, house.accounts["ada"], house.harbor, Role.ADMIN))
    data(await house.ada.asks(house.lakeside, Idempotency_Key="one"), 201)
    moved = await house.ada.post("/v1/sessions/organization", {"organizationId": str(house.harbor)})
    assert moved.status_code == 200
    refusal(await house.ada.asks(house.lakeside, Idempotency_Key="one"), 422, "VALIDATION_FAILED")
    data(await house.ada.asks(house.lakeside, Idempotency_Key="two"), 201)


async def test_a_clock_that_goes_back_a_little_changes_no_answer(house: House, clock: MovableClock) -> None:
    data(await house.ada.does("cancel", data(await house.ada.asks(house.lakeside), 201)["connectionId"]))
    clock.advance(seconds=-2)
    data(await house.ada.asks(house.lakeside), 201)
    seen = data(await house.ada.get(f"/api/organizations/{house.lakeside}"))
    assert seen["connectionStatus"] == "pending_outgoing"
    clock.advance(days=-1)
    changed = await house.ada.send(
        "PATCH", "/v1/organizations/own", b'{"city": "Dayton"}', Content_Type="application/json"
    )
    assert changed.status_code == 200, changed.text
    await house.must_be_sound()


async def test_an_accent_may_be_typed_either_way(house: House) -> None:
    written = "pässwörter für alle"
    kept = hash_now(checked_password("password", unicodedata.normalize("NFD", written)))
    await house.operate(lambda ctx: accounts.create(ctx, AccountForm(email="eva@mail.example"), kept))
    for form in ("NFC", "NFD"):
        body = {"email": "eva@mail.example", "password": unicodedata.normalize(form, written)}
        data(await house.stranger.post("/api/auth/login", body))


async def test_a_sign_in_does_not_outlive_a_disabling_that_it_met(house: House) -> None:
    """The sign-in has read the account and not committed yet: the disabling waits for it, and ends what it began."""
    email = "ada@northside.example"
    async with house.database.transaction() as tx:
        ctx = Context(tx, ANONYMOUS, house.clock())
        kept = await account_queries.kept_password(ctx, email)
        verdict = await house.parts.passwords.compare(Password(PASSWORD), kept)
        refresh = seed(house.parts.link_key, REFRESH_PURPOSE, new_id(house.clock()))
        signed_in = await sessions.start(ctx, verdict, None, refresh)
        disabling = asyncio.create_task(house.operate(lambda other: accounts.disable(other, email)))
        await asyncio.wait([disabling], timeout=0.3)
        assert not disabling.done()
    await disabling
    (row,) = await house.rows("SELECT end_reason FROM sessions WHERE id = $1", signed_in.session.id)
    assert row["end_reason"] == "account_disabled"
    await house.must_be_sound()


async def test_a_head_without_end_is_cut_off(house: House) -> None:
    host, port = house.base_url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /health/live HTTP/1.1\r\nHost: x\r\n")
    answered = asyncio.create_task(reader.read(100))
    for number in range(1_000):
        if answered.done():
            break
        writer.write(b"X-%d: %s\r\n" % (number, b"a" * 1_000))
        await asyncio.sleep(0)
    assert (await asyncio.wait_for(answered, 10)).startswith(b"HTTP/1.1 431 ")
    writer.close()
