"""GET /{org}/v2/connections, and those of one instance: what one made and was offered, the newest first, complete."""

from __future__ import annotations

import asyncio
from typing import Any

from cast import Caller, House
from doors.manners import UNKNOWN, bare, everything
from doors.medable.sharing import (
    AT,
    accepts,
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
    spelled,
    team_of,
)
from hospitium.engine.accounts import actions as accounts

PAT = {"email": "pat@mail.example", "access": 4}
QUIET = {"sendNotifications": False}


async def test_it_shows_what_one_made_and_what_one_was_offered_the_newest_first(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    waiting = (await offers(house.ada, record, PAT))["_id"]
    active = await connected(house.ada, record, house.ben, address("ben"), 5)
    passed_on = (await offers(house.ben, record, {"email": address("rui"), "access": 4}))["_id"]
    assert await listed(house.ada) == [active, waiting]
    assert await listed(house.ben) == [passed_on, active]
    assert await listed(house.pat) == [waiting]
    assert await listed(house.rui) == [passed_on]
    assert await listed(house.mia) == await listed(house.zoe) == []
    answered = done(await house.mia.get(f"{AT}/connections"))
    assert answered == {"data": [], "hasMore": False, "object": "list"}
    fault(await house.stranger.get(f"{AT}/connections"), 403, "kNotLoggedIn", "accessDenied.notLoggedIn")
    # A connection is of the organization whose object it is of.
    assert done(await house.ada.get("/lakeside/v2/connections"))["data"] == []
    await house.must_be_sound()


async def test_the_token_is_for_the_target_alone_and_while_it_waits(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    await connected(house.ada, record, house.ben, address("ben"), 5)
    by_address = await offers(house.ada, record, PAT)
    by_id = await offers(house.ben, record, {"_id": account_of(house, "zoe"), "access": 4})
    seen: dict[str, dict[str, Any]] = {}
    for name in ("ada", "ben", "pat", "zoe"):
        paths = [f"{AT}/connections", f"{AT}/c_prescriptions/{record}/connections"]
        paths += [f"{AT}/connections/{one['_id']}" for one in (by_address, by_id)]
        for path in paths:
            body = (await house.callers[name].get(path)).json()
            for one in body.get("data", [body]):
                if one["object"] == "connection" and "token" in one:
                    seen.setdefault(name, {})[one["_id"]] = one["token"]
    assert {name: set(tokens) for name, tokens in seen.items()} == {
        "pat": {by_address["_id"]},
        "zoe": {by_id["_id"]},
    }
    for name, made in (("pat", by_address), ("zoe", by_id)):
        await accepts(house.callers[name], made["_id"])
        assert "token" not in (await house.callers[name].get(f"{AT}/connections")).text
    await house.must_be_sound()


async def test_it_can_be_asked_for_some_of_them(house: House) -> None:
    await defines(house)
    await defines(house, name="c_note")
    record, note = await makes(house.ada), await makes(house.ada, "c_notes")
    to_pat = (await offers(house.ada, record, PAT))["_id"]
    to_mia = await connected(house.ada, record, house.mia, address("mia"), 4)
    to_ben = await connected(house.ada, note, house.ben, address("ben"), 5, plural="c_notes")
    of_rui = await makes(house.rui)
    to_ada = (await offers(house.rui, of_rui, {"_id": account_of(house, "ada"), "access": 2}))["_id"]
    of_account = (await offers(house.ada, account_of(house, "ada"), PAT, "accounts"))["_id"]
    every = [of_account, to_ada, to_ben, to_mia, to_pat]
    mia, rui = account_of(house, "mia"), account_of(house, "rui")
    asked: list[tuple[dict[str, Any], list[str]]] = [
        ({}, every),
        ({"state": "0"}, [of_account, to_ada, to_pat]),
        ({"state": "1"}, [to_ben, to_mia]),
        ({"pending": "creator"}, [of_account, to_pat]),
        ({"pending": "target"}, [to_ada]),
        ({"pending": "target", "state": "0"}, [to_ada]),
        ({"pending": "target", "state": "1"}, []),
        ({"account": mia}, [to_mia]),
        ({"account": str(house.accounts["mia"])}, [to_mia]),
        ({"account": rui}, [to_ada]),
        ({"account": account_of(house, "ada")}, every),
        # Whose the address is, isn't for who wrote there to find out.
        ({"account": account_of(house, "pat")}, []),
        ({"account": UNKNOWN}, []),
        ({"context": "c_prescription"}, [to_ada, to_mia, to_pat]),
        ({"context": "c_note"}, [to_ben]),
        ({"context": "account"}, [of_account]),
        ({"context": "c_nothing"}, []),
        ({"context": "c_notes"}, []),
        ({"context": "c_prescription", "state": "1", "account": mia}, [to_mia]),
        ({"state": ""}, every),
        ({"limit": "2"}, [of_account, to_ada]),
        ({"limit": "2", "skip": "1"}, [to_ada, to_ben]),
        ({"after": to_ada}, [to_ben, to_mia, to_pat]),
        ({"after": to_ada, "skip": "1", "limit": "1"}, [to_mia]),
        ({"skip": "5"}, []),
        ({"after": to_pat}, []),
        ({"unheard_of": "x"}, every),
    ]
    for query, wanted in asked:
        assert await listed(house.ada, **query) == wanted, query
    wrong: list[dict[str, str]] = [
        {"state": "2"}, {"state": "active"}, {"state": "00"}, {"pending": "both"}, {"account": "me"}, {"account": mia + "0"},
        {"limit": "0"}, {"limit": "101"}, {"limit": "-1"}, {"limit": "1e1"}, {"limit": "x"}, {"limit": "٣"},
        {"skip": "-1"}, {"skip": "10001"}, {"skip": "x"}, {"after": "x"}, {"after": "0"}, {"context": "x\0"}, {"context": "x" * 300},
    ]  # fmt: skip
    for query in wrong:
        answered = fault(await house.ada.get(f"{AT}/connections", **query), 400, "kValidationError")
        assert answered["path"] == next(iter(query)), query
    fault(await house.ada.get(f"{AT}/connections?state=0&state=1"), 400, "kValidationError")
    await house.must_be_sound()


async def test_it_says_whether_there_are_more(house: House) -> None:
    await defines(house, connectionOptions=QUIET)
    record = await makes(house.ada)
    await shares(house.ada, record, *({"email": f"n{index}@mail.example", "access": 2} for index in range(5)))
    for limit, skip, more in (
        (4, 0, True),
        (5, 0, False),
        (1, 4, False),
        (1, 3, True),
        (5, 1, False),
        (100, 5, False),
    ):
        answered = done(await house.ada.get(f"{AT}/connections", limit=limit, skip=skip))
        assert answered["hasMore"] is more, (limit, skip)
        assert len(answered["data"]) == min(limit, 5 - skip)
    await house.must_be_sound()


async def test_it_shows_nothing_that_is_over(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    declined = (await offers(house.ada, record, PAT))["_id"]
    done(await ends(house.pat, declined))
    left = await connected(house.ada, record, house.mia, address("mia"))
    done(await ends(house.mia, left))
    await offers(house.ada, record, {"email": address("zoe"), "access": 4})
    house.clock.advance(days=7)
    for caller in (house.ada, house.pat, house.mia, house.zoe):
        assert await listed(caller) == []
    assert await on_it(house.ada, record) == []
    assert done(await house.ada.get(f"{AT}/c_prescriptions/{record}"))["shared"] is False
    await house.must_be_sound()


async def test_of_an_instance_whoever_may_share_it_sees_all_and_others_what_concerns_them(
    house: House,
) -> None:
    await defines(house)
    record = await makes(house.ada)
    to_ben = await connected(house.ada, record, house.ben, address("ben"), 5)
    to_mia = await connected(house.ada, record, house.mia, address("mia"), 4)
    to_zoe = await connected(house.ada, record, house.zoe, address("zoe"), 2)
    to_pat = (await offers(house.ben, record, PAT))["_id"]
    every = [to_pat, to_zoe, to_mia, to_ben]
    for name, wanted in (("ada", every), ("ben", every), ("mia", [to_mia]), ("zoe", [to_zoe])):
        caller = house.callers[name]
        assert [one["_id"] for one in await on_it(caller, record)] == wanted, name
        for one in every:
            found = await caller.get(f"{AT}/connections/{one}")
            assert found.status_code == (200 if one in wanted else 404), (name, one)
    # Of what isn't there for one, there is no list either: the same as of what isn't there at all.
    answered = await house.rui.get(f"{AT}/c_prescriptions/{record}/connections")
    fault(answered, 404, "kNotFound", "cortex.notFound.instance")
    for unknown in (UNKNOWN, "5" * 24, "me"):
        assert bare(await house.rui.get(f"{AT}/c_prescriptions/{unknown}/connections")) == bare(answered)
    assert bare(await house.pat.get(f"{AT}/c_prescriptions/{record}/connections")) == bare(
        answered
    )  # it waits
    fault(
        await house.ada.get(f"{AT}/c_nothings/{record}/connections"),
        400,
        "kInvalidArgument",
        "invalidArgument.object",
    )
    fault(await house.stranger.get(f"{AT}/c_prescriptions/{record}/connections"), 403, "kNotLoggedIn")
    pages = [
        done(await house.ada.get(f"{AT}/c_prescriptions/{record}/connections", limit=3, skip=skip))
        for skip in (0, 3)
    ]
    assert [one["_id"] for page in pages for one in page["data"]] == every
    assert [page["hasMore"] for page in pages] == [True, False]
    await house.must_be_sound()


async def test_a_member_of_a_team_sees_what_was_shared_with_it_and_not_what_waits_for_its_owner(
    house: House,
) -> None:
    await defines(house)
    record = await makes(house.ada)
    team = await team_of(house, "mia")
    made = await offers(house.ada, record, {"object": "team", "_id": team, "access": 4})
    assert (await listed(house.ben), await listed(house.mia)) == ([made["_id"]], [])
    fault(await house.mia.get(f"{AT}/connections/{made['_id']}"), 404, "kNotFound")
    await accepts(house.ben, made["_id"])
    assert await listed(house.mia) == [made["_id"]]
    # What one has in one's list, one may read; it is not for one to end (ruling 3).
    assert done(await house.mia.get(f"{AT}/connections/{made['_id']}"))["access"] == 4
    assert [one["_id"] for one in await on_it(house.mia, record)] == [made["_id"]]
    before = await everything(house)
    fault(await ends(house.mia, made["_id"]), 403, "kAccessDenied", "cortex.accessDenied.connection")
    assert await everything(house) == before
    await house.must_be_sound()


async def test_1001_of_them_are_paged_completely_and_once(house: House) -> None:
    await defines(house, connectionOptions=QUIET)
    record, other = await makes(house.ada), await makes(house.ada)
    many = [{"email": f"n{index}@mail.example", "access": 2} for index in range(1_000)]
    await asyncio.gather(
        *(shares(house.ada, record, *many[first : first + 100]) for first in range(0, 1_000, 100))
    )
    (last,) = done(await shares(house.ada, other, PAT))["data"]
    in_rows = await house.rows("SELECT id FROM shares ORDER BY id DESC")
    assert len(in_rows) == 1_001

    by_skip, by_after = await by_pages(house.ada, "skip"), await by_pages(house.ada, "after")
    assert by_skip == by_after
    assert len(set(by_after)) == len(by_after) == 1_001
    assert last["_id"] in by_after
    assert by_after == sorted(by_after, reverse=True)

    # Made and ended while somebody pages: of the others, none is missed and none shown twice.
    seen: list[str] = []
    after: dict[str, str] = {}
    ahead = iter(reversed(by_after))
    while True:
        page = done(await house.ada.get(f"{AT}/connections", limit=100, **after))
        seen += [one["_id"] for one in page["data"]]
        if not page["hasMore"]:
            break
        after = {"after": seen[-1]}
        for one in (seen[-1], next(ahead)):  # where the next page begins, and at the far end
            done(await ends(house.ada, one))
        await shares(house.ada, other, {"email": f"more{len(seen)}@mail.example", "access": 2})
    gone = {
        spelled(row["id"]) for row in await house.rows("SELECT id FROM shares WHERE ended_at IS NOT NULL")
    }
    assert len(gone) > 10
    assert len(set(seen)) == len(seen)
    assert set(by_after) - gone <= set(seen) <= set(by_after)
    await house.must_be_sound()


async def by_pages(caller: Caller, way: str) -> list[str]:
    found: list[str] = []
    while True:
        where: dict[str, Any] = {} if not found else {way: len(found) if way == "skip" else found[-1]}
        page = done(await caller.get(f"{AT}/connections", limit=100, **where))
        found += [one["_id"] for one in page["data"]]
        if not page["hasMore"]:
            return found


async def test_a_disabled_target_changes_nothing_that_is_shown(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    await connected(house.ada, record, house.mia, address("mia"))
    await offers(house.ada, record, {"email": address("zoe"), "access": 4})
    shown = done(await house.ada.get(f"{AT}/connections"))
    for name in ("mia", "zoe"):
        await house.operate(lambda ctx, name=name: accounts.disable(ctx, address(name)))
    assert done(await house.ada.get(f"{AT}/connections")) == shown
    await house.must_be_sound()
