"""Targets with `"auto": true`: what they are given is theirs at once, where every rule of it holds (ruling 15)."""

from __future__ import annotations

from typing import Any

from cast import House
from doors.medable.sharing import (
    AT,
    access,
    account_of,
    address,
    connected,
    defines,
    done,
    ends,
    fault,
    listed,
    makes,
    offers,
    on_it,
    shares,
    team_of,
    unchanged,
    unverified,
    writes,
)
from hospitium.engine.accounts import actions as accounts

AT_ONCE = {"requireAccept": False}


def auto(account: str, level: int = 4) -> dict[str, Any]:
    return {"object": "account", "_id": account, "access": level, "auto": True}


async def test_it_is_active_at_once_and_writes_to_nobody(house: House) -> None:
    await defines(house, connectionOptions=AT_ONCE)
    record = await makes(house.ada)
    pat = account_of(house, "pat")
    made = await offers(house.ada, record, auto(pat))
    # `expiresAt` is for the shape alone, and in this one answer (trap 4).
    assert made.keys() == {
        "_id",
        "access",
        "context",
        "contextSource",
        "created",
        "creator",
        "expiresAt",
        "object",
        "state",
        "target",
    }
    assert made["state"] == 1
    assert made["target"] == {"account": {"_id": pat, "object": "account", "path": f"/accounts/{pat}"}}
    read = done(await house.pat.get(f"{AT}/c_prescriptions/{record}"))
    assert (read["access"], read["drug"]) == (4, "aspirin")
    assert await house.mails() == []
    for caller in (house.ada, house.pat):
        (seen,) = done(await caller.get(f"{AT}/connections"))["data"]
        assert (seen["_id"], seen["state"], seen["isArchived"]) == (made["_id"], 1, False)
        assert not {"token", "expiresAt", "contextSource"} & seen.keys()
    house.clock.advance(days=365)
    assert await access(house.pat, record) == 4
    await house.must_be_sound()


async def test_its_target_sees_it_in_his_trail_and_can_leave_it(house: House) -> None:
    await defines(house, connectionOptions=AT_ONCE)
    record = await makes(house.ada)
    made = await offers(house.ada, record, auto(account_of(house, "pat")))
    for party in (house.accounts["pat"], house.northside, house.accounts["ada"]):
        assert "share.applied" in await house.trail(party)
    done(await ends(house.pat, made["_id"]))
    assert await access(house.pat, record) == 0
    assert await on_it(house.ada, record) == []
    assert (await house.trail(house.northside))[-1] == "share.left"
    await house.must_be_sound()


async def test_without_the_word_auto_it_waits_though_the_object_asks_for_no_acceptance(house: House) -> None:
    await defines(house, connectionOptions=AT_ONCE)
    record = await makes(house.ada)
    for more in ({}, {"auto": False}):
        target = {"_id": account_of(house, "mia" if more else "pat"), "access": 4, **more}
        assert (await offers(house.ada, record, target))["state"] == 0
    assert await access(house.pat, record) == await access(house.mia, record) == 0
    await house.must_be_sound()


async def test_it_is_refused_where_the_object_asks_for_acceptance(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    for target in (auto(account_of(house, "pat")), {"email": address("pat"), "access": 4, "auto": True}):
        refused = await unchanged(house, shares(house.ada, record, target))
        answered = fault(refused, 400, "kInvalidArgument", "invalidArgument.requireConnectionAccept")
        assert answered["path"] == "targets[0].auto"
    assert await access(house.pat, record) == 0
    await house.must_be_sound()


async def test_an_account_is_never_shared_at_once(house: House) -> None:
    body = {"targets": [auto(account_of(house, "pat"))]}
    refused = await unchanged(
        house, house.ada.post(f"{AT}/accounts/{account_of(house, 'ada')}/connections", body)
    )
    fault(refused, 400, "kInvalidArgument", "invalidArgument.requireConnectionAccept")
    await house.must_be_sound()


async def test_it_takes_the_id_of_an_account(house: House) -> None:
    await defines(house, connectionOptions=AT_ONCE)
    record = await makes(house.ada)
    by_address = {"email": address("pat"), "access": 4, "auto": True}
    refused = await unchanged(house, shares(house.ada, record, by_address))
    answered = fault(refused, 400, "kInvalidArgument", "invalidArgument.autoConnectionRequiresId")
    assert answered["path"] == "targets[0].auto"
    team = {"object": "team", "_id": await team_of(house), "access": 4, "auto": True}
    refused = await unchanged(house, shares(house.ada, record, team))
    fault(refused, 400, "kInvalidArgument", "invalidArgument.autoConnectionRequiresId")
    # One bad target, and nothing is given to the others.
    refused = await unchanged(house, shares(house.ada, record, auto(account_of(house, "mia")), by_address))
    fault(refused, 400, "kInvalidArgument", "invalidArgument.autoConnectionRequiresId")
    assert await access(house.mia, record) == 0
    await house.must_be_sound()


async def test_its_target_must_be_there_and_have_proved_his_mailbox(house: House) -> None:
    await defines(house, connectionOptions=AT_ONCE)
    record = await makes(house.ada)
    async with unverified(house, "pat"):
        refused = await unchanged(house, shares(house.ada, record, auto(account_of(house, "pat"))))
        answered = fault(refused, 403, "kAccountNotVerified", "connectionRequiresVerification")
        assert answered["path"] == "targets[0]._id"
    await house.operate(lambda ctx: accounts.disable(ctx, address("zoe")))
    for gone in (account_of(house, "zoe"), "5" * 24):
        refused = await unchanged(house, shares(house.ada, record, auto(gone)))
        fault(refused, 400, "kInvalidArgument", "invalidArgument.connectionTarget")
    await house.must_be_sound()


async def test_every_other_rule_of_making_one_holds_for_it(house: House) -> None:
    await defines(house, connectionOptions=AT_ONCE)
    record = await makes(house.ada)
    pat = account_of(house, "pat")
    for level in (1, 6, 7):
        fault(
            await unchanged(house, shares(house.ada, record, auto(pat, level))),
            403,
            "kAccessDenied",
            "shareAccess",
        )
    refused = await unchanged(house, shares(house.ada, record, auto(account_of(house, "ada"))))
    fault(refused, 400, "kInvalidArgument", "connectionTarget")
    await offers(house.ada, record, auto(pat))
    fault(await unchanged(house, shares(house.ada, record, auto(pat, 2))), 409, "kExists", "connectionExists")
    fault(await unchanged(house, shares(house.rui, record, auto(pat))), 404, "kNotFound", "notFound.instance")
    await house.must_be_sound()


async def test_an_object_may_ask_for_access_to_the_account_of_the_target(house: House) -> None:
    made = await defines(house, connectionOptions={**AT_ONCE, "requiredAccess": 5})
    assert made["connectionOptions"]["requiredAccess"] == 5
    record = await makes(house.ada)
    pat = account_of(house, "pat")

    async def is_refused() -> None:
        refused = await unchanged(house, shares(house.ada, record, auto(pat)))
        answered = fault(refused, 403, "kAccessDenied", "accessDenied.autoConnectionRequiresAccess")
        assert answered["path"] == "targets[0].auto"

    await is_refused()
    low = await connected(house.pat, pat, house.ada, address("ada"), 4, plural="accounts")
    await is_refused()
    done(await writes(house.pat, "PATCH", f"/connections/{low}", {"access": 5}))
    await offers(house.ada, record, auto(pat))
    assert await access(house.pat, record) == 4
    # Without the word it is not asked for.
    assert (await offers(house.ada, record, {"_id": account_of(house, "mia"), "access": 4}))["state"] == 0
    done(await ends(house.pat, low))
    other = await makes(house.ada)
    fault(
        await unchanged(house, shares(house.ada, other, auto(pat))),
        403,
        "kAccessDenied",
        "autoConnectionRequiresAccess",
    )
    # What was given stays given.
    assert await access(house.pat, record) == 4
    assert len(await listed(house.pat)) == 1
    await house.must_be_sound()
