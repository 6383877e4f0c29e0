"""POST /api/auth/logout, and every other way a session loses its power at once (ruling 2)."""

from __future__ import annotations

from cast import House, data, refusal
from doors.manners import strangers_may_not
from doors.radorderpad.signing_in import bearer, refresh, signed_in
from hospitium.engine.accounts import actions as accounts
from hospitium.engine.memberships import actions as memberships
from hospitium.engine.organizations import actions as organizations

OUTGOING = "/api/connections/outgoing"


async def test_it_ends_the_session_and_its_tokens_at_once(house: House) -> None:
    tokens, other = await signed_in(house), await signed_in(house)
    caller = bearer(house, tokens)
    answered = await caller.post("/api/auth/logout")
    assert answered.status_code == 200
    assert answered.json().keys() == {"success", "message"}
    assert answered.json()["success"] is True

    refusal(await caller.get(OUTGOING), 401, "AUTHENTICATION_REQUIRED")
    refusal(await refresh(house, tokens["refreshToken"]), 401, "AUTHENTICATION_REQUIRED")
    refusal(await caller.post("/api/auth/logout"), 401, "AUTHENTICATION_REQUIRED")
    data(await bearer(house, other).get(OUTGOING))
    assert (await house.trail(house.accounts["ada"]))[-1] == "session.ended"


async def test_anyone_signed_in_may_and_strangers_may_not(house: House) -> None:
    await strangers_may_not(house, lambda caller: caller.post("/api/auth/logout"))
    for name in ("pat", "mia", "cal"):
        assert (await house.callers[name].post("/api/auth/logout")).status_code == 200


async def test_it_reads_no_body(house: House) -> None:
    tokens = await signed_in(house)
    answered = await bearer(house, tokens).send(
        "POST", "/api/auth/logout", b'{"refreshToken": "x"}', Content_Type="application/json"
    )
    assert answered.status_code == 200


async def test_suspending_an_organization_holds_on_the_next_request_and_reinstating_too(
    house: House,
) -> None:
    caller = bearer(house, await signed_in(house))
    data(await caller.get(OUTGOING))
    await house.operate(lambda ctx: organizations.judge(ctx, "suspend", "northside"))
    refused = refusal(await caller.get(OUTGOING), 403, "INSUFFICIENT_PERMISSIONS")
    assert refused["message"] == "Your organization is not active"
    await house.operate(lambda ctx: organizations.judge(ctx, "reinstate", "northside"))
    data(await caller.get(OUTGOING))


async def test_disabling_an_account_ends_its_sessions_for_good(house: House) -> None:
    caller = bearer(house, await signed_in(house))
    data(await caller.get(OUTGOING))
    await house.operate(lambda ctx: accounts.disable(ctx, "ada@northside.example"))
    refusal(await caller.get(OUTGOING), 401, "AUTHENTICATION_REQUIRED")
    await house.operate(lambda ctx: accounts.enable(ctx, "ada@northside.example"))
    refusal(await caller.get(OUTGOING), 401, "AUTHENTICATION_REQUIRED")


async def test_ending_a_membership_holds_on_the_next_request(house: House) -> None:
    caller = bearer(house, await signed_in(house))
    data(await caller.get(OUTGOING))
    await house.operate(lambda ctx: memberships.end(ctx, house.accounts["ada"], house.northside))
    refusal(await caller.get(OUTGOING), 403, "INSUFFICIENT_PERMISSIONS")
    refusal(await caller.get(f"/api/organizations/{house.northside}"), 403, "INSUFFICIENT_PERMISSIONS")
