"""Which invites somebody has received, and which a clinic has sent (contract bluebutton.md §3.4, rulings 20 to 24)."""

from __future__ import annotations

from typing import Any

from cast import Caller, House
from clinic import (
    JANE,
    JIMMY,
    Clinic,
    accepts,
    accepts_by_code,
    body,
    finds,
    makes_person,
    problem,
    registers,
    signs_in,
)
from doors.bluebutton.desk import sweeps
from doors.native.living import living, registers as registers_here

FIVE = {"resourceType", "id", "name", "gender", "birthDate"}
EVE = "eve@mail.example"


async def received(who: Caller, **query: Any) -> list[Any]:
    found: list[Any] = body(await who.get("/OrganizationInvites/received", **query))
    return found


async def ids_received(who: Caller, **query: Any) -> list[str]:
    return [one["id"] for one in await received(who, **query)]


async def test_what_was_sent_to_an_address_is_received_once_its_mailbox_is_proved(
    house: House, clinic: Clinic
) -> None:
    first = body(await clinic.invites_by_email(EVE))
    await registers_here(house, EVE, "P@ssw0rd123")
    eve = await signs_in(house, EVE)
    assert await received(eve) == []
    problem(await eve.get(f"/OrganizationInvites/{first['id']}"), 404, "not-found")
    problem(await accepts(eve, first["id"], await makes_person(eve)), 404, "not-found")
    await house.rows("UPDATE accounts SET verified_at = created_at WHERE email = $1", EVE)
    second = body(await clinic.invites_by_email("EVE@MAIL.example", patient=JIMMY))
    assert await ids_received(eve) == [second["id"], first["id"]]  # the newest first
    (one, _) = await received(eve)
    assert one["patient"].keys() <= FIVE
    assert (one["userName"], one["userEmail"]) == ("Jane Doe", "EVE@MAIL.example")
    assert "acceptedOn" not in one
    assert "userId" not in one
    assert await received(house.pat) == []
    assert await received(house.ben) == []


async def test_a_code_is_received_by_who_registered_with_it_or_has_accepted_by_it(
    house: House, clinic: Clinic
) -> None:
    bound, free = [body(await clinic.invites_by_code()) for _ in range(2)]
    body(await registers(house.stranger, bound["securityCode"], EVE))
    eve = await signs_in(house, EVE)
    assert await ids_received(eve) == [bound["id"]]
    assert body(await registers(house.stranger, free["securityCode"], "pat@mail.example")) == {
        "userExists": True
    }
    body(await finds(house.pat, free["securityCode"]))
    assert await received(house.pat) == []
    body(await accepts_by_code(house.pat, free["securityCode"], await makes_person(house.pat)))
    assert await ids_received(house.pat) == [free["id"]]
    body(await accepts(eve, bound["id"], await makes_person(eve)))
    (one,) = await received(eve)
    assert one["acceptedOn"]
    assert one["patient"].keys() <= FIVE
    assert await received(eve, openOnly="true") == []
    assert await ids_received(eve, openOnly="false") == [bound["id"]]
    (wrong,) = problem(await eve.get("/OrganizationInvites/received", openOnly="yes"), 400, "invalid")[
        "errors"
    ]
    assert wrong["field"] == "openOnly"


async def test_what_is_over_is_received_no_more_but_what_was_accepted_is(
    house: House, clinic: Clinic
) -> None:
    withdrawn, declined, accepted, expiring = [
        body(await clinic.invites_by_email("pat@mail.example"))["id"] for _ in range(4)
    ]
    assert (await house.ben.send("DELETE", f"/OrganizationInvites/{withdrawn}")).status_code == 204
    assert (await house.pat.post(f"/OrganizationInvites/{declined}/decline")).status_code == 204
    body(await accepts(house.pat, accepted, await makes_person(house.pat)))
    assert await ids_received(house.pat) == [expiring, accepted]
    assert await ids_received(house.pat, openOnly="true") == [expiring]
    house.clock.advance(days=30)
    assert await ids_received(house.pat) == [accepted]  # whether or not a sweep has looked
    await sweeps(house)
    assert await ids_received(house.pat) == [accepted]
    statuses = {one["id"]: one["status"] for one in body(await clinic.sees_sent())["resources"]}
    assert statuses == {
        withdrawn: "withdrawn",
        declined: "declined",
        accepted: "accepted",
        expiring: "expired",
    }
    # A clinic that is closed invites nobody, and what was accepted is still told.
    house.clock.advance(days=-30)
    later = body(await clinic.invites_by_email("pat@mail.example"))["id"]
    assert await ids_received(house.pat) == [later, accepted]
    await house.rows("UPDATE organizations SET status = 'suspended' WHERE code = 'northside'")
    assert await ids_received(house.pat) == [accepted]
    problem(await accepts(house.pat, later, await makes_person(house.pat)), 404, "not-found")


async def test_a_page_of_the_sent_ones_says_how_many_there_are(house: House, clinic: Clinic) -> None:
    assert body(await clinic.sees_sent()) == {
        "total": 0, "totalPages": 0, "hasNextPage": False, "currentPage": 1, "resources": [],
    }  # fmt: skip
    made = [body(await clinic.invites_by_email(f"a{n}@mail.example"))["id"] for n in range(5)]
    by_code = body(await clinic.invites_by_code())
    made.append(by_code["id"])
    seen: list[str] = []
    for page in (1, 2, 3):
        shown = body(await clinic.sees_sent(page=page, count=2))
        assert (shown["total"], shown["totalPages"], shown["currentPage"]) == (6, 3, page)
        assert shown["hasNextPage"] is (page < 3)
        seen += [one["id"] for one in shown["resources"]]
    assert seen == made[::-1]
    assert body(await clinic.sees_sent(page=4, count=2))["resources"] == []
    assert body(await clinic.sees_sent(house.ada))["total"] == 6
    # A list has a summary of the patient, kept since the invite was made, and no code.
    (newest, *_) = body(await clinic.sees_sent())["resources"]
    assert newest["patient"].keys() == FIVE
    assert not newest.keys() & {"securityCode", "securityQuestion", "userId", "userName", "userEmail"}
    (await house.ben.send("DELETE", f"/OrganizationInvites/{made[0]}"))
    body(await accepts_by_code(house.pat, by_code["securityCode"], await makes_person(house.pat)))
    assert body(await clinic.sees_sent(openOnly="true"))["total"] == 4
    (newest, *_) = body(await clinic.sees_sent())["resources"]
    assert (newest["userName"], newest["userEmail"]) == ("Pat Cast", "pat@mail.example")
    for query in (
        {"page": 0},
        {"page": "x"},
        {"count": 0},
        {"count": 101},
        {"count": "1e1"},
        {"openOnly": "1"},
    ):
        (wrong,) = problem(await clinic.sees_sent(**query), 400, "invalid")["errors"]
        assert wrong["field"] == next(iter(query))


async def test_a_deleted_accounts_name_and_address_stand_in_no_list(house: House, clinic: Clinic) -> None:
    eve = await living(house, EVE, "P@ssw0rd123")
    made = body(await clinic.invites_by_email(EVE, patient=JANE))
    body(await accepts(eve, made["id"], await makes_person(eve)))
    answered = await eve.post("/v1/accounts/own/deletion", {"password": "P@ssw0rd123"})
    assert answered.status_code == 200, answered.text
    listed = await clinic.sees_sent()
    (one,) = body(listed)["resources"]
    assert not one.keys() & {"userName", "userEmail"}, one
    assert "eve" not in listed.text.lower()
    assert one["acceptedOn"]  # that it was accepted stays
    await house.must_be_sound()
