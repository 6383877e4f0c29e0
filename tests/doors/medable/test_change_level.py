"""PATCH /{org}/v2/connections/{id}: a connection gets another level, by the rules of making one (ruling 13)."""

from __future__ import annotations

import httpx

from cast import Caller, House
from doors.manners import UNKNOWN, bare
from doors.medable.sharing import (
    AT,
    accepts,
    access,
    address,
    connected,
    defines,
    done,
    ends,
    fault,
    makes,
    offers,
    on_it,
    token_of,
    unchanged,
    unverified,
    writes,
)

PAT = {"email": "pat@mail.example", "access": 4}


async def regrades(caller: Caller, connection: str, level: int) -> httpx.Response:
    return await writes(caller, "PATCH", f"/connections/{connection}", {"access": level})


async def test_it_raises_and_lowers_what_is_active_at_once(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    made = await connected(house.ada, record, house.pat, PAT["email"], 4)
    for level in (5, 2, 4):
        changed = done(await regrades(house.ada, made, level))
        assert (changed["_id"], changed["access"], changed["state"]) == (made, level, 1)
        assert not {"token", "expiresAt"} & changed.keys()
        assert await access(house.pat, record) == level
        assert done(await house.pat.get(f"{AT}/connections/{made}")) == changed
    assert (await house.trail(house.accounts["pat"]))[-1] == "share.changed"
    await house.must_be_sound()


async def test_what_waits_is_accepted_at_its_new_level_with_the_token_it_has(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    made = await offers(house.ada, record, PAT)
    token = await token_of(house.pat, made["_id"])
    changed = done(await regrades(house.ada, made["_id"], 2))
    assert (changed["access"], changed["state"], changed["expiresAt"]) == (2, 0, made["expiresAt"])
    assert "token" not in changed
    assert await token_of(house.pat, made["_id"]) == token
    accepted = done(await house.pat.send("POST", f"{AT}/connections/{token}"))
    assert accepted["access"] == 2
    assert await access(house.pat, record) == 2
    await house.must_be_sound()


async def test_the_rules_of_making_one_hold(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    await connected(house.ada, record, house.ben, address("ben"), 5)
    made = await connected(house.ben, record, house.pat, PAT["email"], 4)
    for caller, levels in ((house.ada, (1, 6, 7)), (house.ben, (1, 5, 6, 7))):
        for level in levels:
            refused = await unchanged(house, regrades(caller, made, level))
            answered = fault(refused, 403, "kAccessDenied", "cortex.accessDenied.shareAccess")
            assert answered["path"] == "access"
    refused = await unchanged(house, regrades(house.ada, made, 4))
    fault(refused, 409, "kConflict", "cortex.conflict.state")
    for body in ({}, {"access": 2, "state": 1}, {"access": 2, "target": {}}, {"level": 2}, [], None):
        refused = await unchanged(house, writes(house.ada, "PATCH", f"/connections/{made}", body))
        fault(refused, 400, "kValidationError")
    assert await access(house.pat, record) == 4
    await house.must_be_sound()


async def test_its_target_may_not_and_whom_it_does_not_concern_finds_nothing(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    await connected(house.ada, record, house.mia, address("mia"), 4)
    waiting = (await offers(house.ada, record, PAT))["_id"]
    active = await connected(house.ada, record, house.zoe, address("zoe"), 5)
    for target, one in ((house.pat, waiting), (house.zoe, active)):
        for level in (2, 4, 5, 6, 7):
            refused = await unchanged(house, regrades(target, one, level))
            fault(refused, 403, "kAccessDenied", "cortex.accessDenied.connection")
        for caller in (house.rui, house.mia):
            refused = await unchanged(house, regrades(caller, one, 2))
            fault(refused, 404, "kNotFound", "cortex.notFound.connection")
            assert bare(await regrades(caller, UNKNOWN, 2)) == bare(refused)
            assert bare(await regrades(caller, "x" * 32, 2)) == bare(refused)
        elsewhere = await house.ada.send(
            "PATCH", f"/lakeside/v2/connections/{one}", b'{"access": 2}', Content_Type="application/json"
        )
        fault(elsewhere, 404, "kNotFound", "cortex.notFound.connection")
        fault(await regrades(house.stranger, one, 2), 403, "kNotLoggedIn")
    token = await token_of(house.pat, waiting)
    fault(await unchanged(house, regrades(house.pat, token, 5)), 404, "kNotFound", "notFound.connection")
    await house.must_be_sound()


async def test_a_holder_of_share_changes_what_gives_less_than_he_has(house: House) -> None:
    await defines(house, shareChain=["update", "share", "read", "connected"])
    record = await makes(house.ada)
    to_zoe = await connected(house.ada, record, house.zoe, address("zoe"), 6)
    to_ben = await connected(house.ada, record, house.ben, address("ben"), 5)
    to_pat = await connected(house.ada, record, house.pat, PAT["email"], 4)
    refused = await unchanged(house, regrades(house.ben, to_zoe, 4))
    fault(refused, 403, "kAccessDenied", "cortex.accessDenied.connection")
    refused = await unchanged(house, regrades(house.ben, to_pat, 5))
    fault(refused, 403, "kAccessDenied", "cortex.accessDenied.shareAccess")
    assert done(await regrades(house.ben, to_pat, 2))["access"] == 2
    assert done(await regrades(house.zoe, to_pat, 5))["access"] == 5
    # It rests now on whose level it is: with zoe's it ends.
    done(await ends(house.ada, to_zoe))
    assert await access(house.pat, record) == 0
    assert [one["_id"] for one in await on_it(house.ada, record)] == [to_ben]
    await house.must_be_sound()


async def test_what_was_made_under_it_stays_as_far_as_the_new_level_could_give_it(house: House) -> None:
    await defines(house, shareChain=["update", "share", "read", "connected"])
    record = await makes(house.ada)
    to_ben = await connected(house.ada, record, house.ben, address("ben"), 6)
    to_mia = await connected(house.ben, record, house.mia, address("mia"), 5)
    under_mia = await connected(house.mia, record, house.zoe, address("zoe"), 4)
    to_pat = await connected(house.ben, record, house.pat, PAT["email"], 4)
    waiting = await offers(house.ben, record, {"email": address("rui"), "access": 2})

    done(await regrades(house.ada, to_ben, 5))
    levels = [await access(one, record) for one in (house.ben, house.mia, house.zoe, house.pat)]
    assert levels == [5, 0, 0, 4]
    for one in (to_mia, under_mia):
        fault(await house.ada.get(f"{AT}/connections/{one}"), 404, "kNotFound")
    await accepts(house.rui, waiting["_id"])

    # Raised again, what stayed rests on it still; and lowered below Share, nothing may.
    done(await regrades(house.ada, to_ben, 6))
    assert await access(house.pat, record) == 4
    await house.must_be_sound()
    done(await regrades(house.ada, to_ben, 4))
    levels = [await access(one, record) for one in (house.ben, house.pat, house.rui)]
    assert levels == [4, 0, 0]
    fault(await house.ada.get(f"{AT}/connections/{to_pat}"), 404, "kNotFound")
    assert [one["_id"] for one in await on_it(house.ada, record)] == [to_ben]
    await house.must_be_sound()


async def test_whoever_made_it_and_has_no_access_any_more_changes_nothing(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    to_ben = await connected(house.ada, record, house.ben, address("ben"), 5)
    made = await connected(house.ben, record, house.pat, PAT["email"], 2)
    done(await regrades(house.ada, made, 4))  # it rests on ada's from now on
    done(await ends(house.ada, to_ben))
    assert await access(house.pat, record) == 4
    refused = await unchanged(house, regrades(house.ben, made, 2))
    fault(refused, 403, "kAccessDenied", "cortex.accessDenied.shareAccess")
    await house.must_be_sound()


async def test_what_is_over_is_not_changed(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    made = await offers(house.ada, record, PAT)
    house.clock.advance(days=7)
    refused = await unchanged(house, regrades(house.ada, made["_id"], 2))
    fault(refused, 404, "kNotFound", "cortex.notFound.connection")
    made = await offers(house.ada, record, PAT)
    done(await ends(house.pat, made["_id"]))
    refused = await unchanged(house, regrades(house.ada, made["_id"], 2))
    fault(refused, 404, "kNotFound", "cortex.notFound.connection")
    await house.must_be_sound()


async def test_whoever_may_not_make_one_raises_none(house: House) -> None:
    """By the rules of making one: of whom has not proved his mailbox, of what is archived or may not be shared."""
    made_of = await defines(house)
    record = await makes(house.ada)
    made = await connected(house.ada, record, house.pat, PAT["email"], 2)
    async with unverified(house, "ada"):
        refused = await unchanged(house, regrades(house.ada, made, 5))
        fault(refused, 403, "kAccountNotVerified", "connectionRequiresVerification")
    done(await writes(house.ada, "PUT", f"/objects/{made_of['_id']}", {"label": "Prescription"}))
    refused = await unchanged(house, regrades(house.ada, made, 5))
    fault(refused, 403, "kAccessDenied", "connectionsDisabled")
    await house.must_be_sound()
