"""POST /v1/sessions/organization: acting for another of one's organizations (ruling 2)."""

from __future__ import annotations

from typing import Any

import httpx

from cast import Caller, House, data, refusal
from doors.manners import UNKNOWN, bare, everything
from doors.native.problems import problem
from hospitium.engine.actor import Role
from hospitium.engine.memberships import actions as memberships

PATH = "/v1/sessions/organization"


async def choose(caller: Caller, organization_id: Any) -> httpx.Response:
    return await caller.post(PATH, {"organizationId": str(organization_id)})


async def join(house: House, name: str, organization: str, role: Role) -> None:
    await house.operate(
        lambda ctx: memberships.add(ctx, house.accounts[name], house.organizations[organization], role)
    )


async def test_the_token_in_use_means_the_chosen_organization_from_now_on(house: House) -> None:
    await join(house, "ada", "lakeside", Role.ADMIN)
    moved = await choose(house.ada, house.lakeside)
    assert moved.status_code == 200
    assert moved.json().keys() == {"sessionId", "organizationId", "role"}
    assert (moved.json()["organizationId"], moved.json()["role"]) == (str(house.lakeside), "admin")
    asked = data(await house.ada.asks(house.harbor), 201)
    (row,) = await house.rows(
        "SELECT source_id FROM partnerships WHERE id = $1::text::uuid", asked["connectionId"]
    )
    assert row["source_id"] == house.lakeside
    assert "session.moved" in await house.trail(house.lakeside)

    assert (await choose(house.ada, house.northside)).status_code == 200
    refusal(await house.ada.sees(asked["connectionId"]), 404, "RESOURCE_NOT_FOUND")


async def test_the_role_is_the_one_of_the_chosen_organization(house: House) -> None:
    await join(house, "ada", "lakeside", Role.MEMBER)
    assert (await choose(house.ada, house.lakeside)).json()["role"] == "member"
    refusal(await house.ada.get("/api/connections/outgoing"), 403, "INSUFFICIENT_PERMISSIONS")


async def test_an_organization_that_is_not_ones_own_is_as_unknown(house: House) -> None:
    before = await everything(house)
    answers = [await choose(house.ada, named) for named in (house.lakeside, house.closed, UNKNOWN)]
    for answered in answers:
        problem(answered, 403, "forbidden")
        assert bare(answered) == bare(answers[0])
    assert await everything(house) == before


async def test_an_inactive_one_and_one_that_was_left_are_refused(house: House) -> None:
    await join(house, "ada", "closed", Role.ADMIN)
    problem(await choose(house.ada, house.closed), 403, "organization-inactive")
    await join(house, "ada", "lakeside", Role.ADMIN)
    await house.operate(lambda ctx: memberships.end(ctx, house.accounts["ada"], house.lakeside))
    problem(await choose(house.ada, house.lakeside), 403, "forbidden")


async def test_it_needs_a_session_and_an_id(house: House) -> None:
    problem(await choose(house.stranger, house.northside), 401, "not-signed-in")
    refused = problem(await choose(house.ada, "northside"), 400, "invalid")
    assert [error["field"] for error in refused["errors"]] == ["organizationId"]
