"""Members: seen, given another role, removed; there is always an administrator."""

from __future__ import annotations

import asyncio
from uuid import uuid4

from cast import House
from doors.native.living import done
from doors.native.problems import problem
from hospitium.engine.actor import Role

JSON = "application/json"


async def sets_role(caller: object, account_id: object, role: str) -> object:
    return await caller.send(
        "PATCH", f"/v1/members/{account_id}", f'{{"role": "{role}"}}'.encode(), content_type=JSON
    )  # type: ignore[attr-defined]


async def test_an_administrator_sees_the_members_of_his_own_organization_page_by_page(house: House) -> None:
    listed = done(await house.ada.get("/v1/members"))
    assert {one["email"] for one in listed["members"]} == {
        "ada@northside.example", "ben@northside.example", "mia@northside.example",
    }  # fmt: skip
    assert listed["next"] is None
    seen, after = [], None
    while True:
        page = done(await house.ada.get("/v1/members", limit=1, **({"after": after} if after else {})))
        seen += page["members"]
        after = page["next"]
        if after is None:
            break
    assert seen == listed["members"]
    for caller, kind in ((house.ben, "forbidden"), (house.mia, "forbidden"), (house.pat, "forbidden")):
        problem(await caller.get("/v1/members"), 403, kind)
    for wrong in ({"limit": "0"}, {"limit": "201"}, {"limit": "x"}, {"after": "nonsense"}):
        problem(await house.ada.get("/v1/members", **wrong), 400, "invalid")


async def test_a_role_is_changed_as_an_interval_and_counts_at_once(house: House) -> None:
    ben = house.accounts["ben"]
    assert done(await sets_role(house.ada, ben, "admin")) == {"accountId": str(ben), "role": "admin"}
    done(await house.ben.get("/v1/members"))
    rows = await house.rows(
        "SELECT role, starts_at, ends_at FROM memberships WHERE account_id = $1 ORDER BY starts_at", ben
    )
    assert [row["role"] for row in rows] == ["physician", "admin"]
    assert rows[0]["ends_at"] == rows[1]["starts_at"]
    problem(await sets_role(house.ada, ben, "admin"), 409, "wrong-state")
    problem(await sets_role(house.ada, ben, "owner"), 400, "invalid")
    assert (await house.trail(ben))[-2:] == ["membership.ended", "membership.started"]


async def test_a_removed_member_acts_no_more_from_his_next_request_on(house: House) -> None:
    ben = house.accounts["ben"]
    done(await house.ada.send("DELETE", f"/v1/members/{ben}"))
    problem(await house.ben.get("/v1/organizations/own"), 403, "forbidden")
    problem(await house.ada.send("DELETE", f"/v1/members/{ben}"), 404, "not-found")


async def test_members_of_others_are_not_there(house: House) -> None:
    rui = house.accounts["rui"]
    answers = [
        await house.ada.send("DELETE", f"/v1/members/{rui}"),
        await house.ada.send("DELETE", f"/v1/members/{uuid4()}"),
        await house.ada.send("DELETE", "/v1/members/nonsense"),
        await sets_role(house.ada, rui, "member"),
    ]
    for one in answers:
        problem(one, 404, "not-found")
    assert len({one.content for one in answers}) == 1
    done(await house.rui.get("/v1/members"))


async def test_the_last_administrator_stays(house: House) -> None:
    ada, northside = house.accounts["ada"], house.northside
    for refused in (
        await house.ada.send("DELETE", f"/v1/members/{ada}"),
        await sets_role(house.ada, ada, "member"),
        await house.ada.send("DELETE", f"/v1/memberships/{northside}"),
    ):
        problem(refused, 409, "last-administrator")
    done(await house.ada.get("/v1/members"))
    # One who can't act is no administrator.
    await house.add_person("dan", "northside")
    await house.rows(
        "UPDATE accounts SET status = 'disabled' WHERE id = $1 RETURNING 1", house.accounts["dan"]
    )
    problem(await house.ada.send("DELETE", f"/v1/memberships/{northside}"), 409, "last-administrator")


async def test_of_administrators_who_remove_each_other_at_once_one_stays(house: House, rounds: int) -> None:
    for turn in range(min(rounds, 50) // 4 or 1):
        code = f"duel{turn}"
        await house.add_organization(code)
        names = [f"{code}{n}" for n in range(4)]
        duelists = [await house.add_person(name, code, Role.ADMIN) for name in names]
        await asyncio.gather(
            *(
                duelist.send("DELETE", f"/v1/members/{house.accounts[other]}")
                for duelist, name in zip(duelists, names, strict=True)
                for other in names
                if other != name
            )
        )
        left = await house.rows(
            "SELECT 1 FROM memberships WHERE organization_id = $1 AND role = 'admin' AND ends_at IS NULL",
            house.organizations[code],
        )
        assert len(left) == 1


async def test_one_leaves_an_organization_by_oneself(house: House) -> None:
    done(await house.ben.send("DELETE", f"/v1/memberships/{house.northside}"))
    problem(await house.ben.send("DELETE", f"/v1/memberships/{house.northside}"), 404, "not-found")
    problem(await house.ben.send("DELETE", f"/v1/memberships/{house.lakeside}"), 404, "not-found")
