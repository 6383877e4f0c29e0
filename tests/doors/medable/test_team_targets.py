"""Targets that are teams: one connection for all who are in one, as long as they are (ruling 12)."""

from __future__ import annotations

from typing import Any

from cast import House
from doors.manners import bare
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
    joins,
    listed,
    makes,
    offers,
    on_it,
    quits,
    shares,
    team_of,
    token_of,
    unchanged,
    writes,
)


def to_team(team: str, level: int = 4) -> dict[str, Any]:
    return {"object": "team", "_id": team, "access": level}


async def test_one_connection_is_made_with_the_team_and_its_owner_accepts_for_it(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    team = await team_of(house, "mia")
    made = await offers(house.ada, record, to_team(team))
    reference = {"_id": team, "object": "team", "path": f"/teams/{team}"}
    assert (made["state"], made["target"]) == (0, {"team": reference})
    (mail,) = await house.mails()
    assert mail.to == address("ben")
    token = await token_of(house.ben, made["_id"])
    assert token == mail.token
    # Not a member for the others, nor who asked.
    for caller in (house.mia, house.ada, house.pat):
        refused = await unchanged(house, caller.send("POST", f"{AT}/connections/{token}"))
        fault(refused, 400, "kInvalidArgument", "cortex.invalidArgument.connectionToken")
        assert bare(await caller.send("POST", f"{AT}/connections/{'x' * 32}")) == bare(refused)
    assert await access(house.ben, record) == await access(house.mia, record) == 0
    accepted = await accepts(house.ben, made["_id"])
    assert (accepted["state"], accepted["target"]) == (1, {"team": reference})
    assert await access(house.ben, record) == await access(house.mia, record) == 4
    assert await access(house.pat, record) == 0
    assert [one["_id"] for one in done(await house.mia.get(f"{AT}/c_prescriptions"))["data"]] == [record]
    await house.must_be_sound()


async def test_members_gain_access_as_they_join_and_lose_it_as_they_leave(house: House) -> None:
    await defines(house)
    record = await makes(house.rui)
    team = await team_of(house)
    # rui, who owns it, is in no organization of the team's: a team is for those to name who are in its organization.
    refused = await unchanged(house, shares(house.rui, record, to_team(team)))
    fault(refused, 400, "kInvalidArgument", "connectionTarget")
    await connected(house.rui, record, house.ada, address("ada"), 5)
    made = await offers(house.ada, record, to_team(team))
    await accepts(house.ben, made["_id"])
    for _ in range(2):
        assert await access(house.mia, record) == 0
        assert await listed(house.mia) == []
        await joins(house, team, "mia")
        assert await access(house.mia, record) == 4
        assert await listed(house.mia) == [made["_id"]]
        await quits(house, team, "mia")
    await joins(house, team, "mia")
    await quits(house, team, "mia", by="ben")
    assert await access(house.mia, record) == 0
    assert await access(house.ben, record) == 4
    await house.must_be_sound()


async def test_leaving_the_organization_leaves_the_team(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    team = await team_of(house, "mia")
    await accepts(house.ben, (await offers(house.ada, record, to_team(team)))["_id"])
    assert await access(house.mia, record) == 4
    removed = await house.ada.send("DELETE", f"/v1/members/{house.accounts['mia']}")
    assert removed.status_code == 200, removed.text
    assert await access(house.mia, record) == 0
    assert await listed(house.mia) == []
    await house.must_be_sound()


async def test_its_owner_declines_and_leaves_for_it_and_nobody_else_does(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    team = await team_of(house, "mia")
    made = await offers(house.ada, record, to_team(team))
    fault(await unchanged(house, ends(house.mia, made["_id"])), 404, "kNotFound", "notFound.connection")
    done(await ends(house.ben, await token_of(house.ben, made["_id"])))
    made = await offers(house.ada, record, to_team(team))
    await accepts(house.ben, made["_id"])
    fault(
        await unchanged(house, ends(house.mia, made["_id"])), 403, "kAccessDenied", "accessDenied.connection"
    )
    done(await ends(house.ben, made["_id"]))
    assert (await house.trail(house.northside))[-1] == "share.left"
    assert await access(house.ben, record) == await access(house.mia, record) == 0
    made = await offers(house.ada, record, to_team(team))
    await accepts(house.ben, made["_id"])
    done(await ends(house.ada, made["_id"]))
    assert await access(house.mia, record) == 0
    await house.must_be_sound()


async def test_whoever_owns_it_now_answers_for_it(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    team = await team_of(house, "mia")
    made = await offers(house.ada, record, to_team(team))
    token = await token_of(house.ben, made["_id"])
    given = await house.ben.send(
        "PATCH",
        f"/v1/teams/{team}",
        b'{"ownerId": "%s"}' % str(house.accounts["mia"]).encode(),
        Content_Type="application/json",
    )
    assert given.status_code == 200, given.text
    refused = await unchanged(house, house.ben.send("POST", f"{AT}/connections/{token}"))
    fault(refused, 400, "kInvalidArgument", "connectionToken")
    assert await listed(house.ben) == []
    assert await token_of(house.mia, made["_id"]) == token
    await accepts(house.mia, made["_id"])
    assert await access(house.ben, record) == await access(house.mia, record) == 4
    await house.must_be_sound()


async def test_with_the_team_ends_what_was_shared_with_it_and_what_was_made_under_that(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    team = await team_of(house, "mia")
    active = await offers(house.ada, record, to_team(team, 5))
    await accepts(house.ben, active["_id"])
    under = await connected(house.mia, record, house.pat, address("pat"), 4)
    other = await makes(house.ada)
    waiting = await offers(house.ada, other, to_team(team))
    token = await token_of(house.ben, waiting["_id"])
    ended = await house.ben.send("DELETE", f"/v1/teams/{team}")
    assert ended.status_code == 200, ended.text
    for caller in (house.ben, house.mia, house.pat):
        assert await access(caller, record) == 0
    for one in (active["_id"], under, waiting["_id"]):
        fault(await house.ada.get(f"{AT}/connections/{one}"), 404, "kNotFound")
    fault(
        await house.ben.send("POST", f"{AT}/connections/{token}"), 400, "kInvalidArgument", "connectionToken"
    )
    refused = await unchanged(house, shares(house.ada, record, to_team(team)))
    fault(refused, 400, "kInvalidArgument", "connectionTarget")
    await house.must_be_sound()


async def test_the_rules_of_a_target_hold(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    team = await team_of(house, "mia")
    for level in (1, 6, 7):
        refused = await unchanged(house, shares(house.ada, record, to_team(team, level)))
        fault(refused, 403, "kAccessDenied", "shareAccess")
    wrong = (
        to_team("5" * 24), to_team("x"), to_team(account_of(house, "mia")), {"_id": team, "access": 4},
        to_team(team) | {"email": "team@northside.example"}, to_team(team) | {"roles": ["5" * 24]}, {"object": "team", "access": 4},
    )  # fmt: skip
    for target in wrong:
        refused = await unchanged(house, shares(house.ada, record, target))
        fault(refused, 400, "kInvalidArgument", "connectionTarget")
    fault(
        await unchanged(house, shares(house.ada, record, to_team(team), to_team(team, 2))),
        409,
        "kExists",
        "connectionExists",
    )
    made = await offers(house.ada, record, to_team(team))
    fault(
        await unchanged(house, shares(house.ada, record, to_team(team))), 409, "kExists", "connectionExists"
    )
    # Of a team and of those in it, each is a target of its own.
    await connected(house.ada, record, house.mia, address("mia"), 5)
    await accepts(house.ben, made["_id"])
    assert await access(house.mia, record) == 5
    assert len(await on_it(house.ada, record)) == 2
    await house.must_be_sound()


async def test_a_team_of_another_organization_is_as_unknown_as_none(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    made = await house.rui.post("/v1/teams", {"name": "Readers"})
    theirs = await unchanged(house, shares(house.ada, record, to_team(made.json()["id"])))
    fault(theirs, 400, "kInvalidArgument", "connectionTarget")
    assert bare(await shares(house.ada, record, to_team("5" * 24))) == bare(theirs)
    # Whoever is not of the organization names none of its teams, though he may share the record.
    team = await team_of(house)
    await connected(house.ada, record, house.pat, address("pat"), 5)
    refused = await unchanged(house, shares(house.pat, record, to_team(team)))
    assert bare(refused) == bare(theirs)
    await house.must_be_sound()


async def test_the_level_of_a_team_is_changed_for_all_at_once(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    team = await team_of(house, "mia")
    made = await offers(house.ada, record, to_team(team, 5))
    await accepts(house.ben, made["_id"])
    await connected(house.mia, record, house.pat, address("pat"), 4)
    done(await writes(house.ada, "PATCH", f"/connections/{made['_id']}", {"access": 2}))
    assert [await access(one, record) for one in (house.ben, house.mia, house.pat)] == [2, 2, 0]
    done(await writes(house.ada, "PATCH", f"/connections/{made['_id']}", {"access": 4}))
    assert [await access(one, record) for one in (house.ben, house.mia, house.pat)] == [4, 4, 0]
    await house.must_be_sound()
