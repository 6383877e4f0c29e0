"""DELETE /{org}/v2/connections/{id or token}: declined, left, withdrawn, revoked; and what was made under it (rulings 13, 14a)."""

from __future__ import annotations

from typing import Any

from cast import PASSWORD, Caller, House
from doors.manners import UNKNOWN, bare, everything
from doors.medable.sharing import (
    AT,
    accepts,
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
    quits,
    shares,
    team_of,
    token_of,
    unchanged,
)

PAT = {"email": "pat@mail.example", "access": 4}
DONE = {"object": "result", "data": True}


async def is_gone(house: House, connection: str, *callers: Caller) -> None:
    """Insist that a connection is nowhere any more, and can't be ended twice."""
    for caller in callers:
        answered = await caller.get(f"{AT}/connections/{connection}")
        fault(answered, 404, "kNotFound", "cortex.notFound.connection")
        assert bare(await caller.get(f"{AT}/connections/{UNKNOWN}")) == bare(answered)
        again = await unchanged(house, ends(caller, connection))
        fault(again, 404, "kNotFound", "cortex.notFound.connection")
        assert connection not in await listed(caller)


async def last_of(house: House) -> str:
    return (await house.trail(house.northside))[-1]


async def test_its_target_declines_it_by_its_id_or_its_token(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    for by_token in (False, True):
        made = await offers(house.ada, record, PAT)
        token = await token_of(house.pat, made["_id"])
        assert done(await ends(house.pat, token if by_token else made["_id"])) == DONE
        assert await last_of(house) == "share.declined"
        await is_gone(house, made["_id"], house.pat, house.ada)
        fault(await ends(house.pat, token), 400, "kInvalidArgument", "connectionToken")
        fault(
            await house.pat.send("POST", f"{AT}/connections/{token}"),
            400,
            "kInvalidArgument",
            "connectionToken",
        )
        assert await access(house.pat, record) == 0
    assert done(await house.ada.get(f"{AT}/c_prescriptions/{record}"))["shared"] is False
    # Its mail, if it hasn't gone out yet, doesn't.
    assert await house.mails() == []
    await house.must_be_sound()


async def test_its_target_leaves_it(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    made = await connected(house.ada, record, house.pat, PAT["email"])
    assert done(await ends(house.pat, made)) == DONE
    assert await last_of(house) == "share.left"
    await is_gone(house, made, house.pat, house.ada)
    assert await access(house.pat, record) == 0
    await house.must_be_sound()


async def test_whoever_made_it_withdraws_or_revokes_it_and_has_no_use_for_its_token(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    made = await offers(house.ada, record, PAT)
    token = await token_of(house.pat, made["_id"])
    refused = await unchanged(house, ends(house.ada, token))
    fault(refused, 400, "kInvalidArgument", "cortex.invalidArgument.connectionToken")
    assert bare(await ends(house.ada, "x" * 32)) == bare(refused)
    assert done(await ends(house.ada, made["_id"])) == DONE
    assert await last_of(house) == "share.withdrawn"
    await is_gone(house, made["_id"], house.pat, house.ada)
    made_id = await connected(house.ada, record, house.pat, PAT["email"])
    assert await access(house.pat, record) == 4
    assert done(await ends(house.ada, made_id)) == DONE
    assert await last_of(house) == "share.revoked"
    await is_gone(house, made_id, house.pat, house.ada)
    assert await access(house.pat, record) == 0
    assert done(await house.pat.get(f"{AT}/c_prescriptions"))["data"] == []
    await house.must_be_sound()


async def test_nobody_else_may_and_whom_it_does_not_concern_finds_nothing(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    for made in (
        (await offers(house.ada, record, PAT))["_id"],
        await connected(house.ada, record, house.zoe, address("zoe")),
    ):
        await connected_once(house, record, "mia", 4)
        for name in ("ben", "mia", "rui"):
            answered = await unchanged(house, ends(house.callers[name], made))
            fault(answered, 404, "kNotFound", "cortex.notFound.connection")
            for unknown in (UNKNOWN, "5" * 24):
                assert bare(await ends(house.callers[name], unknown)) == bare(answered)
        for caller in (house.ada, house.pat):
            elsewhere = await unchanged(house, caller.send("DELETE", f"/lakeside/v2/connections/{made}"))
            fault(elsewhere, 404, "kNotFound", "cortex.notFound.connection")
        fault(await unchanged(house, ends(house.stranger, made)), 403, "kNotLoggedIn")
    await house.must_be_sound()


async def connected_once(house: House, record: str, name: str, level: int) -> str:
    for one in await on_it(house.ada, record):
        if one["target"].get("email") == address(name):
            return str(one["_id"])
    return await connected(house.ada, record, house.callers[name], address(name), level)


async def test_a_holder_of_share_ends_what_gives_less_than_he_has(house: House) -> None:
    await defines(house, shareChain=["update", "share", "read", "connected"])
    record = await makes(house.ada)
    await connected(house.ada, record, house.ben, address("ben"), 5)
    less = await connected(house.ada, record, house.pat, PAT["email"], 4)
    same = await connected(house.ada, record, house.mia, address("mia"), 5)
    more = await connected(house.ada, record, house.zoe, address("zoe"), 6)
    waiting = (await offers(house.ada, record, {"email": address("rui"), "access": 5}))["_id"]
    for one in (same, more, waiting):
        refused = await unchanged(house, ends(house.ben, one))
        fault(refused, 403, "kAccessDenied", "cortex.accessDenied.connection")
    assert done(await ends(house.ben, less)) == DONE
    assert await access(house.pat, record) == 0
    assert done(await ends(house.zoe, waiting)) == DONE
    # With less than Share one ends nothing of others.
    less = await connected(house.ada, record, house.pat, PAT["email"], 4)
    low = await offers(house.ada, record, {"email": "nobody@mail.example", "access": 2})
    fault(await unchanged(house, ends(house.pat, low["_id"])), 404, "kNotFound", "notFound.connection")
    await house.must_be_sound()


async def test_with_it_ends_what_was_made_under_it(house: House) -> None:
    await defines(house, shareChain=["update", "share", "read", "connected"])
    record = await makes(house.ada)
    to_ben = await connected(house.ada, record, house.ben, address("ben"), 6)
    to_mia = await connected(house.ben, record, house.mia, address("mia"), 5)
    to_pat = await connected(house.mia, record, house.pat, PAT["email"], 4)
    to_rui = (await offers(house.mia, record, {"email": address("rui"), "access": 2}))["_id"]
    token = await token_of(house.rui, to_rui)
    of_ada = await connected(house.ada, record, house.zoe, address("zoe"), 4)

    # In the middle: what is above and beside it stays.
    done(await ends(house.ben, to_mia))
    levels = [await access(one, record) for one in (house.ben, house.mia, house.pat, house.zoe)]
    assert levels == [6, 0, 0, 4]
    fault(
        await house.rui.send("POST", f"{AT}/connections/{token}"), 400, "kInvalidArgument", "connectionToken"
    )
    for one in (to_mia, to_pat, to_rui):
        await is_gone(house, one, house.ada)
    assert [one["_id"] for one in await on_it(house.ada, record)] == sorted([to_ben, of_ada], reverse=True)

    # Declined at the top by its target: the same.
    to_mia = await connected(house.ben, record, house.mia, address("mia"), 5)
    to_pat = await connected(house.mia, record, house.pat, PAT["email"], 4)
    done(await ends(house.ben, to_ben))
    levels = [await access(one, record) for one in (house.ben, house.mia, house.pat, house.zoe)]
    assert levels == [0, 0, 0, 4]
    assert [one["_id"] for one in await on_it(house.ada, record)] == [of_ada]
    await house.must_be_sound()


async def test_what_was_made_under_another_grant_of_the_same_person_stays(house: House) -> None:
    await defines(house, shareChain=["update", "share", "read", "connected"])
    record = await makes(house.ada)
    first = await connected(house.ada, record, house.ben, address("ben"), 5)
    to_pat = await connected(house.ben, record, house.pat, PAT["email"], 4)
    await connected(house.ada, record, house.zoe, address("zoe"), 6)
    made = await offers(house.zoe, record, {"_id": account_of(house, "ben"), "access": 5})
    await accepts(house.ben, made["_id"])
    # It was made under the first: that ends it, though ben could make it again.
    done(await ends(house.ada, first))
    assert await access(house.ben, record) == 5
    assert await access(house.pat, record) == 0
    await is_gone(house, to_pat, house.pat, house.ben)
    await connected(house.ben, record, house.pat, PAT["email"], 4)
    assert await access(house.pat, record) == 4
    await house.must_be_sound()


async def test_whoever_made_it_may_end_it_though_he_has_no_access_any_more(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    team = await team_of(house, "mia")
    await shared_with_team(house, record, team, 5)
    made = await connected(house.mia, record, house.pat, PAT["email"], 4)
    await quits(house, team, "mia")
    assert await access(house.mia, record) == 0
    assert done(await ends(house.mia, made)) == DONE
    assert await access(house.pat, record) == 0
    await house.must_be_sound()


async def shared_with_team(
    house: House, record: str, team: str, level: int, plural: str = "c_prescriptions"
) -> str:
    made = await offers(house.ada, record, {"object": "team", "_id": team, "access": level}, plural)
    await accepts(house.ben, made["_id"])
    return str(made["_id"])


async def test_the_owner_sees_what_was_made_by_who_has_no_access_any_more_and_ends_it_in_one_call(
    house: House,
) -> None:
    await defines(house)
    record, other = await makes(house.ada), await makes(house.ada)
    team = await team_of(house, "mia")
    for one in (record, other):
        await shared_with_team(house, one, team, 5)
    active = await connected(house.mia, record, house.pat, PAT["email"], 4)
    waiting = (await offers(house.mia, record, {"email": address("rui"), "access": 2}))["_id"]
    elsewhere = await connected(house.mia, other, house.pat, PAT["email"], 4)
    of_ben = await connected(house.ben, record, house.zoe, address("zoe"), 4)
    at = f"{AT}/c_prescriptions/{record}/connections"
    assert [one for one in await on_it(house.ada, record) if "orphaned" in one] == []
    assert done(await house.ada.send("DELETE", f"{at}?orphaned=true")) == {"object": "result", "data": 0}

    await quits(house, team, "mia")
    # No share ends with that (ruling 14a); its owner sees which are meant, and nobody else does.
    assert await access(house.pat, record) == 4
    assert {one["_id"] for one in await on_it(house.ada, record) if one.get("orphaned") is True} == {
        active,
        waiting,
    }
    for caller in (house.ben, house.mia, house.pat):
        seen = await caller.get(at)
        assert "orphaned" not in seen.text
    for caller in (house.ben, house.zoe, house.pat):
        refused = await unchanged(house, caller.send("DELETE", f"{at}?orphaned=true"))
        fault(refused, 403, "kAccessDenied", "cortex.accessDenied.connection")
    for caller in (house.rui, house.mia):
        refused = await unchanged(house, caller.send("DELETE", f"{at}?orphaned=true"))
        fault(refused, 404, "kNotFound", "cortex.notFound.instance")
    for query in ("", "?orphaned=false", "?orphaned=", "?orphaned=1", "?orphaned=true&orphaned=true"):
        refused = await unchanged(house, house.ada.send("DELETE", at + query))
        fault(refused, 400, "kValidationError")
    fault(await house.stranger.send("DELETE", f"{at}?orphaned=true"), 403, "kNotLoggedIn")

    assert done(await house.ada.send("DELETE", f"{at}?orphaned=true")) == {"object": "result", "data": 2}
    assert await access(house.pat, record) == 0
    assert await access(house.pat, other) == 4
    assert await access(house.zoe, record) == 4
    for one in (active, waiting):
        await is_gone(house, one, house.ada, house.mia, house.pat)
    assert of_ben in await listed(house.ben)
    assert elsewhere in await listed(house.mia)
    assert done(await house.ada.send("DELETE", f"{at}?orphaned=true")) == {"object": "result", "data": 0}
    await house.must_be_sound()


async def test_so_does_whose_account_it_is(house: House) -> None:
    ada = account_of(house, "ada")
    at = f"{AT}/accounts/{ada}/connections"
    team = await team_of(house, "mia")
    to_team = await shared_with_team(house, ada, team, 5, "accounts")
    by_mia = await connected(house.mia, ada, house.pat, PAT["email"], 4, plural="accounts")
    fault(await unchanged(house, house.ada.send("DELETE", at)), 400, "kValidationError")
    await quits(house, team, "mia")
    assert [one["_id"] for one in await on_it(house.ada, ada, "accounts") if one.get("orphaned") is True] == [
        by_mia
    ]
    refused = await unchanged(house, house.pat.send("DELETE", f"{at}?orphaned=true"))
    fault(refused, 403, "kAccessDenied", "cortex.accessDenied.connection")
    refused = await unchanged(house, house.zoe.send("DELETE", f"{at}?orphaned=true"))
    fault(refused, 404, "kNotFound", "cortex.notFound.instance")
    assert done(await house.ada.send("DELETE", f"{at}?orphaned=true")) == {"object": "result", "data": 1}
    assert [one["_id"] for one in await on_it(house.ada, ada, "accounts")] == [to_team]
    fault(await house.pat.get(f"{AT}/accounts/{ada}"), 404, "kNotFound")
    await house.must_be_sound()


async def test_whoever_is_given_access_anew_has_made_no_orphans(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    team = await team_of(house, "mia")
    await shared_with_team(house, record, team, 5)
    await connected(house.mia, record, house.pat, PAT["email"], 4)
    await quits(house, team, "mia")
    assert [one.get("orphaned") for one in await on_it(house.ada, record)].count(True) == 1
    for level, marked in ((4, 1), (5, 0)):
        made = await connected(house.ada, record, house.mia, address("mia"), level)
        assert [one.get("orphaned") for one in await on_it(house.ada, record)].count(True) == marked
        done(await ends(house.ada, made))
    await house.must_be_sound()


async def test_with_an_account_goes_all_that_was_shared_with_it_and_all_it_shared(house: House) -> None:
    await defines(house)
    record, own = await makes(house.ada), await makes(house.pat)
    await connected(house.ada, record, house.pat, PAT["email"], 5)
    await connected(house.pat, record, house.zoe, address("zoe"), 4)
    await connected(house.pat, own, house.mia, address("mia"), 4)
    await connected(house.pat, account_of(house, "pat"), house.mia, address("mia"), 4, plural="accounts")
    deleted = await house.pat.post("/v1/accounts/own/deletion", {"password": PASSWORD})
    assert deleted.status_code == 200, deleted.text
    for caller, gone in ((house.zoe, record), (house.mia, own)):
        assert await access(caller, gone) == 0
        assert await listed(caller) == []
    fault(await house.mia.get(f"{AT}/accounts/{account_of(house, 'pat')}"), 404, "kNotFound")
    assert await on_it(house.ada, record) == []
    # Nothing of his address or name is left with those who shared with him.
    for caller in (house.ada, house.mia, house.zoe):
        assert "pat@" not in (await caller.get(f"{AT}/connections")).text
    assert "pat@" not in str((await everything(house))["shares"])
    await house.must_be_sound()


async def test_ending_one_frees_its_target_to_be_asked_again(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    targets: list[dict[str, Any]] = [PAT, {"_id": account_of(house, "pat"), "access": 2}]
    for target in targets:
        for _ in range(2):
            made = await offers(house.ada, record, target)
            fault(await shares(house.ada, record, target), 409, "kExists", "connectionExists")
            done(await ends(house.pat, made["_id"]))
    await house.must_be_sound()
