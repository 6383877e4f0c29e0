"""Teams: made and renamed, joined and left, given away and ended; who is in one has what it was granted."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import pytest

from cast import Caller, House
from doors.manners import UNKNOWN, bare, instant
from doors.medable.sharing import accepts, access, address, defines, makes, offers, spelled, unchanged
from doors.native.living import done
from doors.native.problems import problem
from hospitium.engine.actor import Role
from hospitium.engine.ids import parse_id
from hospitium.engine.memberships import actions as memberships

NAME = "Cardiology"


async def writes(caller: Caller, method: str, path: str, body: Any) -> httpx.Response:
    return await caller.send(method, path, msgspec.json.encode(body), Content_Type="application/json")


async def makes_team(caller: Caller, name: str = NAME) -> str:
    made: str = done(await caller.post("/v1/teams", {"name": name}), 201)["id"]
    return made


async def adds(house: House, by: Caller, team: str, *names: str) -> None:
    for name in names:
        body = {"accountId": str(house.accounts[name])}
        done(await by.post(f"/v1/teams/{team}/members", body), 201)


async def team_of(house: House, *members: str, owner: str = "ben") -> str:
    """Make a team in northside; return its id."""
    team = await makes_team(house.callers[owner])
    await adds(house, house.callers[owner], team, *members)
    return team


async def renames(caller: Caller, team: str, name: str) -> httpx.Response:
    return await writes(caller, "PATCH", f"/v1/teams/{team}", {"name": name})


async def gives(house: House, caller: Caller, team: str, name: str) -> httpx.Response:
    body = {"ownerId": str(house.accounts[name])}
    return await writes(caller, "PATCH", f"/v1/teams/{team}", body)


async def takes_out(house: House, caller: Caller, team: str, name: str) -> httpx.Response:
    return await caller.send("DELETE", f"/v1/teams/{team}/members/{house.accounts[name]}")


async def who_is_in(house: House, caller: Caller, team: str) -> dict[str, bool]:
    """Return who is in a team, as its list says, and whether he owns it."""
    listed = done(await caller.get(f"/v1/teams/{team}/members"))
    names = {str(account_id): name for name, account_id in house.accounts.items()}
    return {names[one["accountId"]]: one["isOwner"] for one in listed["members"]}


async def belongs(house: House, name: str, organization: str, role: Role) -> None:
    """Make one of the cast a member of another organization, too."""
    ids = house.accounts[name], house.organizations[organization]
    await house.operate(lambda ctx: memberships.add(ctx, *ids, role))


async def pages(caller: Caller, path: str, what: str, limit: int) -> list[Any]:
    """Read a list to its end, page by page."""
    found: list[Any] = []
    after: dict[str, str] = {}
    while True:
        page = done(await caller.get(path, limit=limit, **after))
        assert 0 < len(page[what]) <= limit
        found += page[what]
        if page["next"] is None:
            return found
        assert len(page[what]) == limit
        after = {"after": page["next"]}


# -- making ------------------------------------------------------------------------------------------------------------


async def test_who_makes_a_team_owns_it_and_is_in_it(house: House) -> None:
    made = done(await house.ben.post("/v1/teams", {"name": f"  {NAME} "}), 201)
    ben = str(house.accounts["ben"])
    assert made == {
        "id": made["id"],
        "organizationId": str(house.northside),
        "name": NAME,
        "ownerId": ben,
        "isMember": True,
        "createdAt": made["createdAt"],
    }
    instant(made["createdAt"])
    assert done(await house.ben.get(f"/v1/teams/{made['id']}")) == made
    assert done(await house.ben.get("/v1/teams")) == {"teams": [made], "next": None}
    (member,) = done(await house.ben.get(f"/v1/teams/{made['id']}/members"))["members"]
    assert (member["accountId"], member["isOwner"], member["firstName"]) == (ben, True, "Ben")
    instant(member["since"])
    assert (await house.trail(house.northside))[-2:] == ["team.created", "team.joined"]
    assert (await house.trail(house.accounts["ben"]))[-2:] == ["team.created", "team.joined"]
    await house.must_be_sound()


async def test_staff_make_teams_and_nobody_else_does(house: House) -> None:
    for name, kind in (
        ("mia", "forbidden"),
        ("pat", "forbidden"),
        ("nia", "organization-inactive"),
        ("cal", "organization-inactive"),
    ):
        asking = house.callers[name].post("/v1/teams", {"name": NAME})
        problem(await unchanged(house, asking), 403, kind)
    for caller in (house.stranger, Caller(house.http, "nonsense")):
        asked = await unchanged(house, caller.post("/v1/teams", {"name": NAME}))
        problem(asked, 401, "not-signed-in")
    await makes_team(house.ada)
    await house.must_be_sound()


async def test_strangers_are_told_nothing_at_any_of_these_addresses(house: House) -> None:
    team = await team_of(house, "mia")
    mia = house.accounts["mia"]
    for method, path, body in (
        ("GET", "", None), ("POST", "", {"name": "X"}), ("GET", f"/{team}", None), ("PATCH", f"/{team}", {"name": "X"}),
        ("DELETE", f"/{team}", None), ("GET", f"/{team}/members", None), ("POST", f"/{team}/members", {"accountId": str(mia)}),
        ("DELETE", f"/{team}/members/{mia}", None), ("GET", f"/{UNKNOWN}", None),
    ):  # fmt: skip
        content = b"" if body is None else msgspec.json.encode(body)
        asking = house.stranger.send(method, f"/v1/teams{path}", content, Content_Type="application/json")
        problem(await unchanged(house, asking), 401, "not-signed-in")


async def test_names_are_one_line_and_once_in_an_organization(house: House) -> None:
    await makes_team(house.ben)
    for same in (NAME, "cardiology", " CARDIOLOGY ", "Cárdiology", "ＣＡＲＤＩＯＬＯＧＹ"):
        refused = problem(
            await unchanged(house, house.ada.post("/v1/teams", {"name": same})), 409, "name-taken"
        )
        assert refused["errors"] == [{"field": "name", "detail": "is taken"}], same
    for wrong in ("", "   ", "a\nb", "a\x07", "\u202eygoloidrac", "x" * 201):
        refused = problem(
            await unchanged(house, house.ada.post("/v1/teams", {"name": wrong})), 400, "invalid"
        )
        assert refused["errors"][0]["field"] == "name", wrong
    # Another organization's names are its own, and a name is free again when its team has ended.
    await makes_team(house.rui)
    other = await makes_team(house.ada, "Radiology")
    done(await house.ada.send("DELETE", f"/v1/teams/{other}"))
    assert await makes_team(house.ada, "Radiology") != other
    await makes_team(house.ada, "x" * 200)
    await house.must_be_sound()


async def test_of_many_who_make_one_of_a_name_at_once_one_does(house: House) -> None:
    answers = await asyncio.gather(*(house.ben.post("/v1/teams", {"name": NAME}) for _ in range(6)))
    assert sorted(one.status_code for one in answers) == [201] + [409] * 5
    assert len(done(await house.ben.get("/v1/teams"))["teams"]) == 1
    await house.must_be_sound()


async def test_one_key_makes_a_team_once_and_takes_somebody_in_once(house: House) -> None:
    body = {"name": NAME}
    first = await house.ben.post("/v1/teams", body, idempotency_key="one")
    team = done(first, 201)["id"]
    again = await unchanged(house, house.ben.post("/v1/teams", body, idempotency_key="one"))
    assert bare(again) == bare(first)
    asked = await unchanged(house, house.ben.post("/v1/teams", {"name": "Other"}, idempotency_key="one"))
    problem(asked, 422, "idempotency-key-reused")
    asked = await unchanged(house, house.ben.post("/v1/teams", body, idempotency_key="two"))
    problem(asked, 409, "name-taken")
    # Somebody else's key is somebody else's.
    done(await house.ada.post("/v1/teams", {"name": "Hers"}, idempotency_key="one"), 201)

    at, mia = f"/v1/teams/{team}/members", {"accountId": str(house.accounts["mia"])}
    first = await house.ben.post(at, mia, idempotency_key="three")
    assert done(first, 201).keys() == {"teamId", "accountId", "since"}
    again = await unchanged(house, house.ben.post(at, mia, idempotency_key="three"))
    assert bare(again) == bare(first)
    other = {"accountId": str(house.accounts["ada"])}
    asked = await unchanged(house, house.ben.post(at, other, idempotency_key="three"))
    problem(asked, 422, "idempotency-key-reused")
    await house.must_be_sound()


# -- seeing ------------------------------------------------------------------------------------------------------------


async def test_one_sees_the_teams_one_is_in_and_an_administrator_all_of_his_organization(
    house: House,
) -> None:
    bens = await team_of(house, "mia")
    adas = await makes_team(house.ada, "Radiology")
    ruis = await makes_team(house.rui)

    async def seen(caller: Caller) -> dict[str, bool]:
        return {one["id"]: one["isMember"] for one in done(await caller.get("/v1/teams"))["teams"]}

    assert await seen(house.ada) == {bens: False, adas: True}
    assert await seen(house.ben) == await seen(house.mia) == {bens: True}
    assert await seen(house.rui) == {ruis: True}
    for caller in (house.pat, house.zoe, house.nia, house.cal):
        assert await seen(caller) == {}
    # Not by the role alone: another staff member, who isn't in it.
    dan = await house.add_person("dan", "northside", Role.PHYSICIAN)
    assert await seen(dan) == {}
    problem(await dan.get(f"/v1/teams/{bens}"), 404, "not-found")
    # Whichever organization one acts for: he is in it.
    await belongs(house, "ben", "lakeside", Role.PHYSICIAN)
    done(await house.ben.post("/v1/sessions/organization", {"organizationId": str(house.lakeside)}))
    assert await seen(house.ben) == {bens: True}


async def test_an_administrator_sees_the_teams_of_the_organization_he_acts_for(house: House) -> None:
    team = await team_of(house)
    await belongs(house, "rui", "northside", Role.ADMIN)
    problem(await house.rui.get(f"/v1/teams/{team}"), 404, "not-found")
    done(await house.rui.post("/v1/sessions/organization", {"organizationId": str(house.northside)}))
    assert done(await house.rui.get(f"/v1/teams/{team}"))["isMember"] is False
    done(await renames(house.rui, team, "Hearts"))


async def test_lists_are_read_page_by_page_to_their_end(house: House) -> None:
    ids = [await makes_team(house.ada, f"Team {number}") for number in range(5)]
    whole = done(await house.ada.get("/v1/teams"))
    assert [one["id"] for one in whole["teams"]] == ids == sorted(ids)
    assert whole["next"] is None
    for limit in (1, 2, 4, 5, 6):
        assert await pages(house.ada, "/v1/teams", "teams", limit) == whole["teams"], limit
    await adds(house, house.ada, ids[0], "ben", "mia")
    at = f"/v1/teams/{ids[0]}/members"
    members = done(await house.mia.get(at))["members"]
    assert [one["accountId"] for one in members] == sorted(
        str(house.accounts[name]) for name in ("ada", "ben", "mia")
    )
    for limit in (1, 2, 3):
        assert await pages(house.mia, at, "members", limit) == members, limit
    # An id of no team is a place in the order all the same, in either spelling.
    after = spelled(parse_id(ids[3]) or uuid4())
    assert done(await house.ada.get("/v1/teams", after=after))["teams"] == whole["teams"][4:]
    assert done(await house.ada.get("/v1/teams", after="f" * 24))["teams"] == []


async def test_what_one_may_not_know_of_is_answered_as_what_is_not_there(house: House) -> None:
    team, ended = await team_of(house, "mia"), await makes_team(house.ben, "Ended")
    done(await house.ben.send("DELETE", f"/v1/teams/{ended}"))
    mia = house.accounts["mia"]
    verbs: list[tuple[str, str, Any]] = [
        ("GET", "", None),
        ("PATCH", "", {"name": "Mine"}),
        ("PATCH", "", {"ownerId": str(mia)}),
        ("PATCH", "", {}),
        ("DELETE", "", None),
        ("GET", "/members", None),
        ("POST", "/members", {"accountId": str(mia)}),
        ("POST", "/members", {"email": address("mia")}),
        ("POST", "/members", {"email": "nobody@mail.example"}),
        ("DELETE", f"/members/{mia}", None),
        ("DELETE", f"/members/{UNKNOWN}", None),
    ]
    for method, rest, body in verbs:

        async def asked(caller: Caller, which: str, verb: Any = (method, rest, body)) -> httpx.Response:
            return await unchanged(house, writes(caller, verb[0], f"/v1/teams/{which}{verb[1]}", verb[2]))

        never = await asked(house.ben, UNKNOWN)
        refused = problem(never, 404, "not-found")
        assert refused["detail"] == "Team not found"
        for caller in (house.rui, house.pat, house.zoe, house.nia):
            assert bare(await asked(caller, team)) == bare(never), (method, rest)
        for which in (
            ended,
            str(house.northside),
            str(mia),
            "5" * 24,
            "nonsense",
            "%00",
            team[:-1],
            team + "0",
        ):
            assert bare(await asked(house.ben, which)) == bare(never), (method, rest, which)


async def test_a_team_is_read_by_either_spelling_of_its_id(house: House) -> None:
    team = await team_of(house)
    found = parse_id(team)
    assert found is not None
    assert done(await house.ben.get(f"/v1/teams/{spelled(found)}"))["id"] == team
    assert done(await house.ben.get(f"/v1/teams/{team.upper()}"))["id"] == team


# -- changing ----------------------------------------------------------------------------------------------------------


async def test_its_owner_and_administrators_rename_it(house: House) -> None:
    team, other = await team_of(house, "mia"), await makes_team(house.ada, "Radiology")
    assert done(await renames(house.ben, team, " Hearts "))["name"] == "Hearts"
    changed = done(await renames(house.ada, team, "Heart & Lung"))
    assert (changed["name"], changed["isMember"]) == ("Heart & Lung", False)
    assert (await house.trail(house.northside))[-1] == "team.renamed"
    problem(await unchanged(house, renames(house.mia, team, "Mine")), 403, "forbidden")
    problem(await unchanged(house, renames(house.ben, team, "RADIOLOGY")), 409, "name-taken")
    problem(await unchanged(house, renames(house.ben, team, " ")), 400, "invalid")
    # Its own name is nobody else's, however it is written.
    assert done(await renames(house.ben, team, "HEART & LUNG"))["name"] == "HEART & LUNG"
    assert done(await house.ada.get(f"/v1/teams/{other}"))["name"] == "Radiology"
    assert done(await writes(house.ben, "PATCH", f"/v1/teams/{team}", {}))["name"] == "HEART & LUNG"
    await house.must_be_sound()


async def test_its_owner_gives_it_to_another_member_and_stays_in_it(house: House) -> None:
    team = await team_of(house, "mia")
    problem(await unchanged(house, gives(house, house.mia, team, "mia")), 403, "forbidden")
    for nobody in ("ada", "rui", "pat"):
        refused = await unchanged(house, gives(house, house.ben, team, nobody))
        assert problem(refused, 404, "not-found")["detail"] == "Member not found", nobody
    problem(await unchanged(house, gives(house, house.ben, team, "ben")), 409, "wrong-state")
    given = done(await gives(house, house.ben, team, "mia"))
    assert (given["ownerId"], given["isMember"]) == (str(house.accounts["mia"]), True)
    assert await who_is_in(house, house.ben, team) == {"ben": False, "mia": True}
    problem(await unchanged(house, renames(house.ben, team, "Still mine")), 403, "forbidden")
    # Though mia is no staff and could have made none.
    done(await renames(house.mia, team, "Hers"))
    done(await gives(house, house.ada, team, "ben"))
    assert await who_is_in(house, house.ada, team) == {"ben": True, "mia": False}
    await house.must_be_sound()


async def test_it_is_renamed_and_given_away_at_once_or_neither(house: House) -> None:
    team = await team_of(house, "mia")
    at = f"/v1/teams/{team}"
    body = {"name": "Hers", "ownerId": str(house.accounts["rui"])}
    problem(await unchanged(house, writes(house.ben, "PATCH", at, body)), 404, "not-found")
    body["ownerId"] = "me"
    refused = problem(await unchanged(house, writes(house.ben, "PATCH", at, body)), 400, "invalid")
    assert refused["errors"][0]["field"] == "ownerId"
    body["ownerId"] = str(house.accounts["mia"])
    changed = done(await writes(house.ben, "PATCH", at, body))
    assert (changed["name"], changed["ownerId"]) == ("Hers", body["ownerId"])


async def test_of_two_to_whom_it_is_given_at_once_one_owns_it(house: House) -> None:
    team = await team_of(house, "mia", "ada")
    answers = await asyncio.gather(*(gives(house, house.ben, team, name) for name in ("mia", "ada")))
    assert {one.status_code for one in answers} <= {200, 403}
    assert 200 in {one.status_code for one in answers}
    owners = [name for name, owns in (await who_is_in(house, house.ada, team)).items() if owns]
    assert len(owners) == 1
    await house.must_be_sound()


# -- coming and going --------------------------------------------------------------------------------------------------


async def test_its_owner_and_administrators_take_members_of_the_organization_in(house: House) -> None:
    team = await team_of(house)
    at = f"/v1/teams/{team}/members"
    joined = done(await house.ben.post(at, {"email": " MIA@NorthSide.example "}), 201)
    assert (joined["teamId"], joined["accountId"]) == (team, str(house.accounts["mia"]))
    instant(joined["since"])
    (hers,) = [
        one
        for one in done(await house.mia.get(at))["members"]
        if one["accountId"] == str(house.accounts["mia"])
    ]
    assert (hers["since"], hers["isOwner"]) == (joined["since"], False)
    ada = spelled(house.accounts["ada"])
    done(await house.ada.post(at, {"accountId": ada}), 201)
    assert await who_is_in(house, house.mia, team) == {"ada": False, "ben": True, "mia": False}
    assert (await house.trail(house.accounts["mia"]))[-1] == "team.joined"
    for body in ({"accountId": ada}, {"email": address("ada")}, {"email": address("ben")}):
        problem(await unchanged(house, house.ben.post(at, body)), 409, "wrong-state")
    await house.must_be_sound()


async def test_nobody_else_is_taken_in_and_who_belongs_elsewhere_is_as_unknown_as_nobody(
    house: House,
) -> None:
    team = await team_of(house)
    at = f"/v1/teams/{team}/members"
    answers = [
        await unchanged(house, house.ben.post(at, body))
        for body in (
            *({"accountId": str(house.accounts[name])} for name in ("rui", "pat", "nia")),
            *({"email": address(name)} for name in ("rui", "pat", "nia")),
            {"accountId": UNKNOWN},
            {"accountId": "5" * 24},
            {"accountId": team},
            {"email": "nobody@mail.example"},
        )
    ]
    for one in answers:
        assert problem(one, 404, "not-found")["detail"] == "Member not found"
    assert len({one.content for one in answers}) == 1
    # Nor who was a member once.
    done(await house.mia.send("DELETE", f"/v1/memberships/{house.northside}"))
    gone = await unchanged(house, house.ben.post(at, {"accountId": str(house.accounts["mia"])}))
    assert gone.content == answers[0].content


async def test_one_member_is_named_in_one_way(house: House) -> None:
    team = await team_of(house)
    at, mia = f"/v1/teams/{team}/members", str(house.accounts["mia"])
    for body, field in (
        ({}, "accountId"),
        ({"accountId": None, "email": None}, "accountId"),
        ({"accountId": mia, "email": address("mia")}, "accountId"),
        ({"accountId": "me"}, "accountId"),
        ({"accountId": ""}, "accountId"),
        ({"email": ""}, "email"),
        ({"email": "mia"}, "email"),
        ({"accountId": mia, "isOwner": True}, "isOwner"),
        ({"accountId": mia, "teamId": team}, "teamId"),
    ):
        refused = problem(await unchanged(house, house.ben.post(at, body)), 400, "invalid")
        assert [one["field"] for one in refused["errors"]] == [field], body


async def test_who_may_not_take_anybody_in_learns_nobodys_address_by_trying(house: House) -> None:
    team = await team_of(house, "mia")
    at = f"/v1/teams/{team}/members"
    answers = [
        await unchanged(house, house.mia.post(at, body))
        for body in (
            {"email": address("ada")},  # a member
            {"email": address("ben")},  # in it already
            {"email": address("rui")},  # of another organization
            {"email": "nobody@mail.example"},
            {"accountId": str(house.accounts["ada"])},
            {"accountId": UNKNOWN},
        )
    ]
    for one in answers:
        problem(one, 403, "forbidden")
    assert len({one.content for one in answers}) == 1


async def test_one_leaves_by_oneself_and_is_taken_out_by_owner_or_administrator(house: House) -> None:
    dan = await house.add_person("dan", "northside", Role.PHYSICIAN)
    team = await team_of(house, "mia", "ada", "dan")
    problem(await unchanged(house, takes_out(house, house.mia, team, "dan")), 403, "forbidden")
    problem(await unchanged(house, takes_out(house, dan, team, "ben")), 403, "forbidden")
    assert done(await takes_out(house, house.mia, team, "mia")) == {"status": "done"}
    assert (await house.trail(house.accounts["mia"]))[-1] == "team.left"
    problem(await house.mia.get(f"/v1/teams/{team}"), 404, "not-found")
    # Out of it, one is told no more of it, not even that one isn't in it.
    gone = await unchanged(house, takes_out(house, house.mia, team, "mia"))
    assert problem(gone, 404, "not-found")["detail"] == "Team not found"
    done(await takes_out(house, house.ben, team, "dan"))
    done(await takes_out(house, house.ada, team, "ada"))
    assert await who_is_in(house, house.ben, team) == {"ben": True}
    # Of the others it says that they aren't in it: alike of who was and who never could be.
    answers = [
        await unchanged(house, house.ben.send("DELETE", f"/v1/teams/{team}/members/{which}"))
        for which in (
            *(house.accounts[name] for name in ("mia", "dan", "rui")),
            UNKNOWN,
            "5" * 24,
            "me",
            "%00",
        )
    ]
    answers.append(await unchanged(house, takes_out(house, house.ada, team, "ada")))
    for one in answers:
        assert problem(one, 404, "not-found")["detail"] == "Member not found"
    assert len({one.content for one in answers}) == 1
    # And one comes back, as a new interval.
    await adds(house, house.ben, team, "mia")
    rows = await house.rows(
        "SELECT ends_at FROM team_memberships WHERE account_id = $1 ORDER BY starts_at", house.accounts["mia"]
    )
    assert [row["ends_at"] is None for row in rows] == [False, True]
    await house.must_be_sound()


async def test_the_owner_can_not_leave_before_he_has_given_it_away(house: House) -> None:
    team = await team_of(house, "mia")
    for caller in (house.ben, house.ada):
        problem(await unchanged(house, takes_out(house, caller, team, "ben")), 409, "wrong-state")
    done(await gives(house, house.ben, team, "mia"))
    problem(await unchanged(house, takes_out(house, house.mia, team, "mia")), 409, "wrong-state")
    done(await takes_out(house, house.ben, team, "ben"))
    assert await who_is_in(house, house.mia, team) == {"mia": True}
    await house.must_be_sound()


@pytest.mark.parametrize("how", ["he leaves", "an administrator removes him"])
async def test_leaving_an_organization_leaves_its_teams_and_no_others(house: House, how: str) -> None:
    await belongs(house, "ben", "lakeside", Role.PHYSICIAN)
    first, second = await team_of(house, "mia", owner="ada"), await makes_team(house.ada, "Radiology")
    await adds(house, house.ada, first, "ben")
    await adds(house, house.ada, second, "ben")
    theirs = await makes_team(house.rui)
    await adds(house, house.rui, theirs, "ben")
    if how == "he leaves":
        done(await house.ben.send("DELETE", f"/v1/memberships/{house.northside}"))
    else:
        done(await house.ada.send("DELETE", f"/v1/members/{house.accounts['ben']}"))
    assert [one["id"] for one in done(await house.ben.get("/v1/teams"))["teams"]] == [theirs]
    assert await who_is_in(house, house.ada, first) == {"ada": True, "mia": False}
    assert await who_is_in(house, house.ada, second) == {"ada": True}
    assert (await house.trail(house.accounts["ben"]))[-3:] == ["membership.ended", "team.left", "team.left"]
    await house.must_be_sound()


async def test_another_role_leaves_no_team(house: House) -> None:
    team = await team_of(house, "mia")
    body = {"role": "scheduler"}
    for name in ("ben", "mia"):
        done(await writes(house.ada, "PATCH", f"/v1/members/{house.accounts[name]}", body))
    assert await who_is_in(house, house.ben, team) == {"ben": True, "mia": False}
    await house.must_be_sound()


async def test_a_team_whose_owner_left_the_organization_is_an_administrators_to_give_away(
    house: House,
) -> None:
    team = await team_of(house, "mia")
    done(await house.ada.send("DELETE", f"/v1/members/{house.accounts['ben']}"))
    seen = done(await house.mia.get(f"/v1/teams/{team}"))
    assert (seen["ownerId"], seen["isMember"]) == (None, True)
    problem(await unchanged(house, gives(house, house.mia, team, "mia")), 403, "forbidden")
    problem(await unchanged(house, gives(house, house.ada, team, "ben")), 404, "not-found")
    assert done(await gives(house, house.ada, team, "mia"))["ownerId"] == str(house.accounts["mia"])
    done(await renames(house.mia, team, "Hers"))
    await house.must_be_sound()


async def test_of_many_who_take_one_in_at_once_one_does(house: House) -> None:
    team = await team_of(house)
    body = {"accountId": str(house.accounts["mia"])}
    at = f"/v1/teams/{team}/members"
    answers = await asyncio.gather(*(caller.post(at, body) for caller in [house.ben, house.ada] * 4))
    assert sorted(one.status_code for one in answers) == [201] + [409] * 7
    await house.must_be_sound()


async def test_who_joins_while_the_team_ends_or_he_leaves_the_organization_is_not_in_it_after(
    house: House,
) -> None:
    for turn in range(4):
        team = await makes_team(house.ben, f"Team {turn}")
        name = f"dan{turn}"
        dan = await house.add_person(name, "northside", Role.PHYSICIAN)
        ending = (
            house.ada.send("DELETE", f"/v1/teams/{team}")
            if turn % 2
            else dan.send("DELETE", f"/v1/memberships/{house.northside}")
        )
        body = {"accountId": str(house.accounts[name])}
        joined, ended = await asyncio.gather(house.ben.post(f"/v1/teams/{team}/members", body), ending)
        done(ended)
        assert joined.status_code in (201, 404), joined.text
        assert done(await dan.get("/v1/teams"))["teams"] == []
    await house.must_be_sound()


# -- what a team was granted -------------------------------------------------------------------------------------------


async def test_what_it_was_granted_one_has_from_the_next_request_on_and_no_longer(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    team = await team_of(house)
    made = await offers(house.ada, record, {"object": "team", "_id": team, "access": 4})
    await accepts(house.ben, made["_id"])
    for _ in range(2):
        assert await access(house.mia, record) == 0
        await adds(house, house.ben, team, "mia")
        assert await access(house.mia, record) == 4
        done(await takes_out(house, house.mia, team, "mia"))
    assert await access(house.mia, record) == 0
    await adds(house, house.ben, team, "mia")
    done(await house.ada.send("DELETE", f"/v1/members/{house.accounts['mia']}"))
    assert await access(house.mia, record) == 0
    assert await access(house.ben, record) == 4
    # Who left the organization owns it no more; what it was granted its members keep.
    await adds(house, house.ada, team, "ada")
    done(await house.ben.send("DELETE", f"/v1/memberships/{house.northside}"))
    assert await access(house.ben, record) == 0
    assert [row["status"] for row in await house.rows("SELECT status FROM shares")] == ["active"]
    await house.must_be_sound()


async def test_its_owner_and_administrators_end_it_and_with_it_what_was_shared_with_it(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    team = await team_of(house, "mia")
    active = await offers(house.ada, record, {"object": "team", "_id": team, "access": 5})
    await accepts(house.ben, active["_id"])
    # Made under it, by one of its members: it ends with it.
    under = await offers(house.mia, record, {"email": address("pat"), "access": 2})
    await accepts(house.pat, under["_id"])
    waiting = await offers(house.ada, await makes(house.ada), {"object": "team", "_id": team, "access": 4})
    other = await offers(house.ada, record, {"email": address("rui"), "access": 4})
    await accepts(house.rui, other["_id"])
    problem(await unchanged(house, house.mia.send("DELETE", f"/v1/teams/{team}")), 403, "forbidden")
    assert done(await house.ben.send("DELETE", f"/v1/teams/{team}")) == {"status": "done"}
    assert (await house.trail(house.northside))[-1] == "team.ended"
    levels = {name: await access(house.callers[name], record) for name in ("ada", "ben", "mia", "pat", "rui")}
    assert levels == {"ada": 7, "ben": 0, "mia": 0, "pat": 0, "rui": 4}
    rows = await house.rows("SELECT id, status FROM shares")
    assert {spelled(row["id"]): row["status"] for row in rows} == {
        active["_id"]: "left",
        waiting["_id"]: "declined",
        under["_id"]: "revoked",
        other["_id"]: "active",
    }
    for caller in (house.ben, house.mia, house.ada):
        assert done(await caller.get("/v1/teams"))["teams"] == []
        problem(await unchanged(house, caller.send("DELETE", f"/v1/teams/{team}")), 404, "not-found")
    done(await house.ada.send("DELETE", f"/v1/teams/{await makes_team(house.ben)}"))
    await house.must_be_sound()
