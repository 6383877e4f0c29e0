"""GET /api/organizations/{id}: the public profile (docs/dialects/radorderpad.md; ruling 28)."""

from __future__ import annotations

from cast import House, data, refusal
from doors.manners import BASIC, CONTACT, UNKNOWN, bare, strangers_may_not
from hospitium.engine.ids import to_object_id
from hospitium.engine.organizations import actions as organizations


async def test_it_holds_the_basic_fields_whom_to_contact_and_how_one_stands(house: House) -> None:
    found = data(await house.ada.get(f"/api/organizations/{house.lakeside}"))
    assert found.keys() == BASIC | CONTACT | {"connectionStatus"}
    assert (found["id"], found["name"]) == (str(house.lakeside), "Lakeside Imaging")
    assert (found["contactEmail"], found["specialties"]) == ("desk@lakeside.example", ["imaging"])
    assert found["connectionStatus"] == "not_connected"
    data(await house.ada.asks(house.lakeside), 201)
    for caller, other, standing in (
        (house.ada, house.lakeside, "pending_outgoing"),
        (house.rui, house.northside, "pending_incoming"),
    ):
        found = data(await caller.get(f"/api/organizations/{other}"))
        assert found["connectionStatus"] == standing


async def test_the_own_organization_has_one_too(house: House) -> None:
    found = data(await house.ada.get(f"/api/organizations/{house.northside}"))
    assert (found["name"], found["connectionStatus"]) == ("Northside Family Practice", "not_connected")


async def test_staff_may_read_it_and_members_and_inactive_organizations_may_not(house: House) -> None:
    path = f"/api/organizations/{house.lakeside}"
    assert data(await house.ben.get(path)) == data(await house.ada.get(path))
    for name in ("mia", "pat", "nia", "cal"):
        refusal(await house.callers[name].get(path), 403, "INSUFFICIENT_PERMISSIONS")
    await strangers_may_not(house, lambda caller: caller.get(path))


async def test_the_own_profile_of_an_inactive_organization_is_refused_too(house: House) -> None:
    for caller, own in ((house.nia, house.newcomer), (house.cal, house.closed)):
        refused = refusal(await caller.get(f"/api/organizations/{own}"), 403, "INSUFFICIENT_PERMISSIONS")
        assert refused["message"] == "Your organization is not active"


async def test_an_inactive_one_is_answered_byte_for_byte_as_an_unknown_one(house: House) -> None:
    unknown = await house.ada.get(f"/api/organizations/{UNKNOWN}")
    assert refusal(unknown, 404, "RESOURCE_NOT_FOUND")["error"] == {
        "code": "RESOURCE_NOT_FOUND",
        "resourceType": "organization",
    }
    await house.operate(lambda ctx: organizations.judge(ctx, "suspend", "harbor"))
    for named in (house.newcomer, house.closed, house.harbor, "5" * 24, "northside", "%00", "1"):
        assert bare(await house.ada.get(f"/api/organizations/{named}")) == bare(unknown), named


async def test_it_takes_the_id_in_either_spelling(house: House) -> None:
    plain = (await house.ada.get(f"/api/organizations/{house.lakeside}")).content
    for spelling in (str(house.lakeside).upper(), to_object_id(house.lakeside)):
        assert (await house.ada.get(f"/api/organizations/{spelling}")).content == plain
