"""/{org}/v2/accounts/{id}/connections: an account is a context too; it owns itself, and is never shared at once (ruling 12)."""

from __future__ import annotations

from cast import House
from doors.manners import UNKNOWN, bare
from doors.medable.sharing import (
    AT,
    accepts,
    account_of,
    address,
    connected,
    done,
    ends,
    fault,
    listed,
    offers,
    on_it,
    shares,
    team_of,
    token_of,
    unchanged,
    unverified,
)
from hospitium.engine.accounts import actions as accounts

PAT = {"email": "pat@mail.example", "access": 4}
PLURAL = "accounts"


async def test_one_shares_ones_own_account(house: House) -> None:
    ben = account_of(house, "ben")
    made = await offers(house.ben, ben, PAT, PLURAL)
    assert made["context"] == {"_id": ben, "object": "account", "path": f"/accounts/{ben}"}
    assert (made["state"], made["contextSource"]) == (0, None)
    (mail,) = await house.mails()
    assert "their account" in mail.subject
    fault(await house.pat.get(f"{AT}/accounts/{ben}"), 404, "kNotFound", "cortex.notFound.instance")
    accepted = await accepts(house.pat, made["_id"])
    assert (accepted["_id"], accepted["state"]) == (made["_id"], 1)
    read = done(await house.pat.get(f"{AT}/accounts/{ben}"))
    assert (read["access"], read["email"], read["shared"]) == (4, address("ben"), True)
    in_list = done(await house.pat.get(f"{AT}/accounts"))["data"]
    assert [(one["_id"], one["access"]) for one in in_list] == sorted(
        [(ben, 4), (account_of(house, "pat"), 7)], reverse=True
    )
    done(await ends(house.ben, made["_id"]))
    fault(await house.pat.get(f"{AT}/accounts/{ben}"), 404, "kNotFound", "cortex.notFound.instance")
    assert done(await house.ben.get(f"{AT}/accounts/me"))["shared"] is False
    await house.must_be_sound()


async def test_below_level_4_no_more_is_told_than_that_it_is_there(house: House) -> None:
    ben = account_of(house, "ben")
    await connected(house.ben, ben, house.pat, address("pat"), 2, plural=PLURAL)
    assert done(await house.pat.get(f"{AT}/accounts/{ben}")) == {"_id": ben, "object": "account", "access": 2}
    assert [one["_id"] for one in done(await house.pat.get(f"{AT}/accounts"))["data"]] == [
        account_of(house, "pat")
    ]
    fault(
        await unchanged(house, shares(house.pat, ben, {"email": address("mia"), "access": 2}, plural=PLURAL)),
        403,
        "kAccessDenied",
        "shareAccess",
    )
    await house.must_be_sound()


async def test_another_ones_account_is_not_there_to_share(house: House) -> None:
    ben = account_of(house, "ben")
    # Not for the administrator of his organization either.
    for caller in (house.ada, house.pat):
        refused = await unchanged(
            house, shares(caller, ben, {"email": address("zoe"), "access": 4}, plural=PLURAL)
        )
        fault(refused, 404, "kNotFound", "cortex.notFound.instance")
        for unknown in (UNKNOWN, "5" * 24, "x"):
            asked = await shares(caller, unknown, {"email": address("zoe"), "access": 4}, plural=PLURAL)
            assert bare(asked) == bare(refused), unknown
        assert bare(await caller.get(f"{AT}/accounts/{ben}/connections")) == bare(refused)
    fault(await unchanged(house, shares(house.stranger, ben, PAT, plural=PLURAL)), 403, "kNotLoggedIn")
    await house.must_be_sound()


async def test_the_rules_of_making_one_hold(house: House) -> None:
    ben = account_of(house, "ben")
    for level in (1, 6, 7):
        refused = await unchanged(house, shares(house.ben, ben, PAT | {"access": level}, plural=PLURAL))
        fault(refused, 403, "kAccessDenied", "cortex.accessDenied.shareAccess")
    for target in ({"_id": ben, "access": 4}, {"email": address("ben"), "access": 4}, {"access": 4}):
        refused = await unchanged(house, shares(house.ben, ben, target, plural=PLURAL))
        fault(refused, 400, "kInvalidArgument", "cortex.invalidArgument.connectionTarget")
    for target in (PAT, {"_id": account_of(house, "pat"), "access": 4}):
        refused = await unchanged(house, shares(house.ben, ben, target | {"auto": True}, plural=PLURAL))
        fault(refused, 400, "kInvalidArgument", "cortex.invalidArgument.requireConnectionAccept")
    async with unverified(house, "ben"):
        refused = await unchanged(house, shares(house.ben, ben, PAT, plural=PLURAL))
        fault(refused, 403, "kAccountNotVerified", "connectionRequiresVerification")
    await offers(house.ben, ben, PAT, PLURAL)
    fault(
        await unchanged(house, shares(house.ben, ben, PAT, plural=PLURAL)), 409, "kExists", "connectionExists"
    )
    first = await house.ben.post(
        f"{AT}/accounts/{ben}/connections",
        {"targets": [{"email": address("mia"), "access": 4}]},
        Idempotency_Key="a",
    )
    again = await house.ben.post(
        f"{AT}/accounts/{ben}/connections",
        {"targets": [{"email": address("mia"), "access": 4}]},
        Idempotency_Key="a",
    )
    assert bare(again) == bare(first)
    await house.must_be_sound()


async def test_whoever_was_given_share_passes_it_on_and_with_his_it_ends(house: House) -> None:
    ben = account_of(house, "ben")
    to_mia = await connected(house.ben, ben, house.mia, address("mia"), 5, plural=PLURAL)
    to_pat = await connected(house.mia, ben, house.pat, address("pat"), 4, plural=PLURAL)
    # The owner is told of himself only as whoever he is: his own account.
    refused = await unchanged(house, shares(house.mia, ben, {"_id": ben, "access": 2}, plural=PLURAL))
    fault(refused, 400, "kInvalidArgument", "cortex.invalidArgument.connectionTarget")
    assert [one["_id"] for one in await on_it(house.ben, ben, PLURAL)] == [to_pat, to_mia]
    assert [one["_id"] for one in await on_it(house.mia, ben, PLURAL)] == [to_pat, to_mia]
    assert [one["_id"] for one in await on_it(house.pat, ben, PLURAL)] == [to_pat]
    # What one made of one's own account is never without its maker.
    assert [one.get("orphaned") for one in await on_it(house.ben, ben, PLURAL)] == [None, None]
    done(await ends(house.ben, to_mia))
    fault(await house.pat.get(f"{AT}/accounts/{ben}"), 404, "kNotFound")
    assert await listed(house.pat) == []
    await house.must_be_sound()


async def test_it_is_shared_at_the_surface_where_it_was_and_no_other_shows_it(house: House) -> None:
    ben = account_of(house, "ben")
    made = await offers(house.ben, ben, PAT, PLURAL)
    token = await token_of(house.pat, made["_id"])
    fault(
        await house.pat.send("POST", f"/lakeside/v2/connections/{token}"),
        400,
        "kInvalidArgument",
        "connectionToken",
    )
    assert done(await house.pat.get("/lakeside/v2/connections"))["data"] == []
    await accepts(house.pat, made["_id"])
    # At whatever organization somebody is asked for, it is the same person (one account everywhere, ruling 2).
    assert done(await house.pat.get(f"/lakeside/v2/accounts/{ben}"))["access"] == 4
    await house.must_be_sound()


async def test_a_team_may_be_given_an_account(house: House) -> None:
    mia = account_of(house, "mia")
    team = await team_of(house, "ada")
    made = await offers(house.mia, mia, {"object": "team", "_id": team, "access": 4}, PLURAL)
    await accepts(house.ben, made["_id"])
    for caller in (house.ben, house.ada):
        assert done(await caller.get(f"{AT}/accounts/{mia}"))["email"] == address("mia")
        assert mia in [one["_id"] for one in done(await caller.get(f"{AT}/accounts"))["data"]]
    await house.must_be_sound()


async def test_a_disabled_account_is_not_there_and_hides_no_other_in_a_list(house: House) -> None:
    for name in ("ada", "ben", "rui", "zoe"):
        await connected(
            house.callers[name], account_of(house, name), house.mia, address("mia"), 4, plural=PLURAL
        )
    for name in ("rui", "zoe"):
        await house.operate(lambda ctx, name=name: accounts.disable(ctx, address(name)))
        fault(await house.mia.get(f"{AT}/accounts/{account_of(house, name)}"), 404, "kNotFound")
    wanted = sorted((account_of(house, name) for name in ("ada", "ben", "mia")), reverse=True)
    for limit in (1, 2, 100):
        found: list[str] = []
        while True:
            after = {"after": found[-1]} if found else {}
            page = done(await house.mia.get(f"{AT}/accounts", limit=limit, **after))
            found += [one["_id"] for one in page["data"]]
            if not page["hasMore"]:
                break
            assert page["data"]
        assert found == wanted, limit
        by_skip = [
            one["_id"]
            for skip in range(0, 5, limit)
            for one in done(await house.mia.get(f"{AT}/accounts", limit=limit, skip=skip))["data"]
        ]
        assert by_skip == wanted, limit
    await house.must_be_sound()
