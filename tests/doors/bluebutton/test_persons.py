"""Persons over HTTP: every route and every refusal, by everybody who might try (docs/dialects/bluebutton.md)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable
from datetime import timedelta
from typing import Any, NamedTuple

import httpx
import msgspec
import pytest

from cast import PASSWORD, Caller, House
from doors.manners import UNKNOWN, at_once, bare, instant
from doors.medable.sharing import address, unchanged
from doors.native.problems import problem
from hospitium.engine.ids import parse_id, to_object_id

KIM: dict[str, Any] = {
    "firstName": " Kim ",
    "middleName": "Lou",
    "lastName": "Doe",
    "gender": "FEMALE",
    "birthDate": "2019-04-05",
    "addressLine1": "1 Main Street",
    "addressLine2": "",
    "city": "Cleveland",
    "state": "oh",
    "zipCode": "44101-1234",
    "relationship": "child",
    "identifiers": [{"system": "urn:oid:1.2.3", "value": "77"}],
    "contacts": [{"type": "Phone", "value": "+1 216 555 0100", "primary": True}],
}
LEAST = {"firstName": "Kim", "lastName": "Doe", "gender": "Female", "birthDate": "2019-04-05"}
# Pat owns the person; the others look after it as these. Zoe is offered it, and rui is nobody to it.
ROLES = {"ada": "Administrator", "ben": "Write", "mia": "Read"}
EVERYBODY = ("pat", "ada", "ben", "mia", "rui", "zoe")


class Family(NamedTuple):
    """A person, and what of it waits for zoe."""

    id: str
    offer: str

    @property
    def at(self) -> str:
        return f"/Persons/{self.id}"


def done(response: httpx.Response) -> Any:
    assert response.status_code == 200, response.text
    return response.json()


def gone(response: httpx.Response) -> None:
    assert (response.status_code, response.content) == (204, b""), response.text


async def makes(caller: Caller, **more: Any) -> str:
    return str(done(await caller.post("/Persons", {**LEAST, **more}))["id"])


async def offers(caller: Caller, person_id: str, name: str, role: str = "Read", **more: Any) -> str:
    body = {"email": address(name), "role": role, **more}
    return str(done(await caller.post(f"/Persons/{person_id}/users", body))["id"])


async def accepts(caller: Caller, offer_id: str, **more: Any) -> Any:
    return done(await caller.post(f"/Persons/offers/{offer_id}/accept", more))


async def family_of(house: House) -> Family:
    person_id = await makes(house.pat, **KIM)
    for name, role in ROLES.items():
        await accepts(house.callers[name], await offers(house.pat, person_id, name, role))
    return Family(person_id, await offers(house.pat, person_id, "zoe"))


async def puts(caller: Caller, path: str, body: Any) -> httpx.Response:
    return await caller.send("PUT", path, msgspec.json.encode(body), Content_Type="application/json")


async def patches(caller: Caller, path: str, body: Any) -> httpx.Response:
    return await caller.send("PATCH", path, msgspec.json.encode(body), Content_Type="application/json")


async def roles_of(house: House, person_id: str) -> dict[str, str]:
    """Return who looks after a person and as what, as its owner sees it."""
    names = {str(account): name for name, account in house.accounts.items()}
    (owner,) = await house.rows(
        "SELECT account_id FROM person_roles WHERE person_id = $1 AND is_owner AND ends_at IS NULL",
        parse_id(person_id),
    )
    listed = done(await house.callers[names[str(owner[0])]].get(f"/Persons/{person_id}/users"))["resources"]
    return {names[one["userId"]]: one["role"] for one in listed}


def asks(house: House, family: Family) -> dict[str, Any]:
    """Return every route below a person, as a function of who asks and of what."""
    mia, ada = house.accounts["mia"], house.accounts["ada"]

    def rui(role: str) -> dict[str, str]:
        return {"email": address("rui"), "role": role}

    return {
        "read": lambda who, at: who.get(at),
        "change": lambda who, at: puts(who, at, LEAST),
        "delete": lambda who, at: who.send("DELETE", at),
        "users": lambda who, at: who.get(f"{at}/users"),
        "offer": lambda who, at: who.post(f"{at}/users", rui("Read")),
        "offer to administer": lambda who, at: who.post(f"{at}/users", rui("Administrator")),
        "role": lambda who, at: patches(who, f"{at}/users/{mia}", {"role": "Write"}),
        "role of administrator": lambda who, at: patches(who, f"{at}/users/{mia}", {"role": "Administrator"}),
        "remove": lambda who, at: who.send("DELETE", f"{at}/users/{mia}"),
        "remove administrator": lambda who, at: who.send("DELETE", f"{at}/users/{ada}"),
        "owner": lambda who, at: who.post(f"{at}/owner", {"userId": str(ada)}),
        "offers": lambda who, at: who.get(f"{at}/offers"),
        "withdraw": lambda who, at: who.send("DELETE", f"{at}/offers/{family.offer}"),
    }


ROUTES = {
    # route: what owner, administrator, writer and reader are answered
    "read": (200, 200, 200, 200),
    "change": (200, 200, 200, 403),
    "delete": (204, 403, 403, 403),
    "users": (200, 200, 200, 200),
    "offer": (200, 200, 403, 403),
    "offer to administer": (200, 403, 403, 403),
    "role": (200, 200, 403, 403),
    "role of administrator": (200, 403, 403, 403),
    "remove": (204, 204, 403, 204),
    "remove administrator": (204, 204, 403, 403),
    "owner": (200, 403, 403, 403),
    "offers": (200, 200, 403, 403),
    "withdraw": (204, 204, 403, 403),
}


@pytest.mark.parametrize("route", ROUTES)
async def test_every_route_by_everyone(house: House, route: str) -> None:
    family = await family_of(house)
    ask = asks(house, family)[route]
    by_name = dict(zip(("pat", "ada", "ben", "mia"), ROUTES[route], strict=True))
    # Who may not first, so that nothing has changed when who may is asked.
    for name in sorted(by_name, key=lambda name: -by_name[name]):
        status = by_name[name]
        if status == 403:
            problem(await unchanged(house, ask(house.callers[name], family.at)), 403, "forbidden")
    for caller in (house.stranger, Caller(house.http, "nonsense")):
        answered = problem(await unchanged(house, ask(caller, family.at)), 401, "not-signed-in")
        assert answered["title"] == "Unauthorized"
    # What one may not know of is answered as what isn't there (ruling 3), to zoe, too, whom it was only offered.
    for name in ("rui", "zoe"):
        caller = house.callers[name]
        answered = await unchanged(house, ask(caller, family.at))
        assert problem(answered, 404, "not-found")["detail"] == "Person not found"
        for unknown in (UNKNOWN, "5" * 24, "me", "%00", family.id[:-1], family.id + "0"):
            assert bare(await ask(caller, f"/Persons/{unknown}")) == bare(answered), unknown
    allowed = [name for name in by_name if by_name[name] != 403]
    first = await ask(house.callers[allowed[-1]], family.at)
    assert first.status_code == by_name[allowed[-1]], first.text
    await house.must_be_sound()


# -- made, seen, changed, deleted --------------------------------------------------------------------------------------


async def test_a_person_is_made_and_read_as_it_was_made(house: House) -> None:
    made = done(await house.pat.post("/Persons", KIM))
    created, modified = instant(made.pop("createdOn")), instant(made.pop("modifiedOn"))
    assert created == modified
    assert made == {
        "id": made["id"],
        "firstName": "Kim",
        "middleName": "Lou",
        "lastName": "Doe",
        "gender": "Female",
        "birthDate": "2019-04-05",
        "addressLine1": "1 Main Street",
        "addressLine2": None,
        "city": "Cleveland",
        "state": "OH",
        "zipCode": "441011234",
        "identifiers": [{"system": "urn:oid:1.2.3", "value": "77"}],
        "contacts": [{"type": "Phone", "value": "+1 216 555 0100", "primary": True}],
        "role": "Owner",
        "relationship": "Child",
    }
    read = done(await house.pat.get(f"/Persons/{made['id']}"))
    assert {name: read[name] for name in made} == made
    found = parse_id(made["id"])
    assert found is not None
    assert done(await house.pat.get(f"/Persons/{to_object_id(found)}")) == read
    assert (await house.trail(house.accounts["pat"]))[-1] == "person.created"
    assert (await house.trail(found)) == ["person.created"]
    await house.must_be_sound()


async def test_what_is_not_said_is_not_known_and_a_new_person_is_oneself(house: House) -> None:
    made = done(await house.pat.post("/Persons", LEAST))
    assert made["relationship"] == "Self"
    unsaid = ("middleName", "addressLine1", "addressLine2", "city", "state", "zipCode")
    assert [made[name] for name in unsaid] == [None] * 6
    assert (made["identifiers"], made["contacts"]) == ([], [])


@pytest.mark.parametrize(
    "word", ["Self", "Parent", "Child", "Sibling", "Spouse", "Relative", "Provider", "Other"]
)
async def test_words_are_taken_in_any_case(house: House, word: str) -> None:
    for spelled in (word, word.lower(), word.upper()):
        assert (
            done(await house.pat.post("/Persons", {**LEAST, "relationship": spelled}))["relationship"] == word
        )


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        *(({name: None}, name) for name in ("firstName", "lastName", "gender", "birthDate")),
        *(({name: " "}, name) for name in ("firstName", "lastName")),
        ({"gender": "F"}, "gender"),
        ({"gender": ""}, "gender"),
        ({"gender": 1}, "gender"),
        ({"birthDate": ""}, "birthDate"),
        ({"birthDate": "04-05-2019"}, "birthDate"),
        ({"birthDate": "2019-02-30"}, "birthDate"),
        ({"birthDate": "2026-03-02"}, "birthDate"),
        ({"birthDate": "1849-12-31"}, "birthDate"),
        ({"birthDate": 20190405}, "birthDate"),
        ({"state": "Ohio"}, "state"),
        ({"zipCode": "4410"}, "zipCode"),
        ({"zipCode": 44101}, "zipCode"),
        ({"relationship": "Aunt"}, "relationship"),
        ({"relationship": "Other = Self"}, "relationship"),
        ({"addressLine1": "a\u0000"}, "addressLine1"),
        ({"addressLine2": "x" * 201}, "addressLine2"),
        ({"middleName": "a\nb"}, "middleName"),
        ({"identifiers": [{"system": "", "value": "1"}]}, "identifiers[0].system"),
        ({"identifiers": [{"value": "1"}]}, "identifiers[0].system"),
        ({"identifiers": [{"system": "a", "value": "1", "type": "x"}]}, "identifiers[0].type"),
        ({"identifiers": [{"system": "a", "value": "1"}] * 51}, "identifiers"),
        ({"identifiers": {}}, "identifiers"),
        ({"contacts": [{"type": "Phone", "value": "1"}]}, "contacts[0].primary"),
        ({"contacts": [{"type": "Carrier", "value": "1", "primary": False}]}, "contacts[0].type"),
        ({"contacts": [{"type": "Sms", "value": "", "primary": False}]}, "contacts[0].value"),
        ({"contacts": [{"type": "Sms", "value": "1", "primary": "yes"}]}, "contacts[0].primary"),
        ({"contacts": [{"type": "Url", "value": "1", "primary": True}] * 51}, "contacts"),
        ({"id": UNKNOWN}, "id"),
        ({"role": "Owner"}, "role"),
        ({"first_name": "Kim"}, "first_name"),
    ],
)
async def test_what_can_not_be_said_of_a_person_is_refused_by_its_name(
    house: House, changes: dict[str, Any], field: str
) -> None:
    body = {name: value for name, value in {**LEAST, **changes}.items() if value is not None}
    person_id = await makes(house.pat)
    for asking in (house.pat.post("/Persons", body), puts(house.pat, f"/Persons/{person_id}", body)):
        refused = problem(await unchanged(house, asking), 400, "invalid")
        assert [one["field"].replace("\u0000", "") for one in refused["errors"]] == [field]


async def test_a_person_is_made_once_per_idempotency_key(house: House) -> None:
    first = await house.pat.post("/Persons", KIM, Idempotency_Key="k1")
    again = await house.pat.post("/Persons", KIM, Idempotency_Key="k1")
    assert (first.status_code, again.content) == (200, first.content)
    problem(await house.pat.post("/Persons", LEAST, Idempotency_Key="k1"), 422, "idempotency-key-reused")
    assert done(await house.pat.get("/Persons"))["total"] == 1
    # And what is kept of the answer says nothing to who reads the database alone.
    (kept,) = await house.rows("SELECT answer FROM idempotency_keys")
    assert b"Doe" not in kept["answer"]
    person_id = first.json()["id"]
    body = {"email": address("rui"), "role": "Read"}
    first = await house.pat.post(f"/Persons/{person_id}/users", body, Idempotency_Key="k2")
    again = await house.pat.post(f"/Persons/{person_id}/users", body, Idempotency_Key="k2")
    assert (first.status_code, again.content) == (200, first.content)
    assert done(await house.pat.get(f"/Persons/{person_id}/offers"))["total"] == 1


async def test_persons_are_listed_page_by_page(house: House) -> None:
    made = [await makes(house.pat, firstName=f"Kim {number}") for number in range(5)]
    await makes(house.ada)
    pages = [done(await house.pat.get("/Persons", page=page, count=2)) for page in (1, 2, 3, 4)]
    assert [[one["id"] for one in page["resources"]] for page in pages] == [made[:2], made[2:4], made[4:], []]
    assert [
        (page["total"], page["totalPages"], page["currentPage"], page["hasNextPage"]) for page in pages
    ] == [
        (5, 3, 1, True),
        (5, 3, 2, True),
        (5, 3, 3, False),
        (5, 3, 4, False),
    ]
    assert len(done(await house.pat.get("/Persons"))["resources"]) == 5
    empty = done(await house.rui.get("/Persons"))
    assert empty == {"total": 0, "totalPages": 0, "hasNextPage": False, "currentPage": 1, "resources": []}
    for query in ({"page": "0"}, {"count": "0"}, {"count": "101"}, {"page": "x"}, {"count": "-1"}):
        refused = problem(await house.pat.get("/Persons", **query), 400, "invalid")
        assert [one["field"] for one in refused["errors"]] == list(query)


async def test_a_person_is_said_anew_as_a_whole(house: House) -> None:
    family = await family_of(house)
    house.clock.advance(hours=1)
    changed = done(await puts(house.ben, family.at, {**LEAST, "firstName": "Lee", "relationship": "sibling"}))
    assert (changed["firstName"], changed["city"], changed["contacts"]) == ("Lee", None, [])
    assert (changed["role"], changed["relationship"]) == ("Write", "Sibling")
    assert instant(changed["modifiedOn"]) - instant(changed["createdOn"]) >= timedelta(hours=1)
    seen = done(await house.pat.get(family.at))
    assert (seen["firstName"], seen["role"], seen["relationship"]) == ("Lee", "Owner", "Child")
    for name in ("pat", "ada", "mia"):
        assert (await house.trail(house.accounts[name]))[-1] == "person.updated"
    await house.must_be_sound()


async def test_a_person_that_was_deleted_is_as_unknown_as_any(house: House) -> None:
    family = await family_of(house)
    gone(await house.pat.send("DELETE", family.at))
    for name in EVERYBODY:
        for route, ask in asks(house, family).items():
            answered = await unchanged(house, ask(house.callers[name], family.at))
            assert bare(answered) == bare(await ask(house.callers[name], f"/Persons/{UNKNOWN}")), (
                name,
                route,
            )
        assert done(await house.callers[name].get("/Persons"))["total"] == 0
    assert done(await house.zoe.get("/Persons/offers"))["total"] == 0
    kept = str([dict(row) for row in await house.rows("SELECT * FROM persons")])
    assert "Doe" not in kept
    assert "Cleveland" not in kept
    await house.must_be_sound()


# -- who looks after one -----------------------------------------------------------------------------------------------


async def test_who_administers_it_sees_who_looks_after_it_and_others_themselves(house: House) -> None:
    family = await family_of(house)
    listed = done(await house.ada.get(f"{family.at}/users"))
    assert listed["total"] == 4
    by_id = {one["userId"]: one for one in listed["resources"]}
    pat = dict(by_id[str(house.accounts["pat"])])
    instant(pat.pop("createdOn"))
    assert pat == {
        "userId": str(house.accounts["pat"]),
        "userName": "Pat Cast",
        "userEmail": address("pat"),
        "role": "Owner",
        "relationship": "Child",
    }
    pages = [done(await house.pat.get(f"{family.at}/users", page=page, count=3)) for page in (1, 2)]
    assert [one for page in pages for one in page["resources"]] == listed["resources"]
    for name in ("ben", "mia"):
        own = done(await house.callers[name].get(f"{family.at}/users"))
        assert ([one["userId"] for one in own["resources"]], own["total"]) == ([str(house.accounts[name])], 1)


async def test_roles_are_changed_in_any_case_and_printed_in_one(house: House) -> None:
    family = await family_of(house)
    at = f"{family.at}/users/{house.accounts['mia']}"
    for word, role in (
        ("write", "Write"),
        ("ADMIN", "Administrator"),
        ("administrator", None),
        ("rEAD", "Read"),
    ):
        answered = await patches(house.pat, at, {"role": word})
        if role is None:
            problem(answered, 409, "wrong-state")
            continue
        changed = done(answered)
        assert (changed["userId"], changed["role"], changed["relationship"]) == (
            str(house.accounts["mia"]),
            role,
            "Other",
        )
        assert done(await house.mia.get(family.at))["role"] == role
    for body, field in (
        ({"role": "Owner"}, "role"),
        ({"role": "Synapse"}, "role"),
        ({"role": ""}, "role"),
        ({}, "role"),
        ({"role": "Read", "relationship": "Self"}, "relationship"),
    ):
        refused = problem(await unchanged(house, patches(house.pat, at, body)), 400, "invalid")
        assert [one["field"] for one in refused["errors"]] == [field]
    await house.must_be_sound()


async def test_of_the_owners_role_nothing_changes_but_by_giving_it_away(house: House) -> None:
    family = await family_of(house)
    pat = f"{family.at}/users/{house.accounts['pat']}"
    for caller in (house.pat, house.ada):
        problem(await unchanged(house, patches(caller, pat, {"role": "Read"})), 409, "wrong-state")
        problem(await unchanged(house, caller.send("DELETE", pat)), 409, "wrong-state")


async def test_whoever_does_not_look_after_it_is_as_unknown_as_nobody(house: House) -> None:
    family = await family_of(house)
    answers = []
    for which in (house.accounts["rui"], house.accounts["zoe"], UNKNOWN, "5" * 24, "me"):
        at = f"{family.at}/users/{which}"
        answers += [
            await unchanged(house, house.pat.send("DELETE", at)),
            await unchanged(house, patches(house.pat, at, {"role": "Read"})),
        ]
    for which in (house.accounts["rui"], house.accounts["zoe"], UNKNOWN):
        answers.append(await unchanged(house, house.pat.post(f"{family.at}/owner", {"userId": str(which)})))
    for one in answers:
        problem(one, 404, "not-found")
    assert len({one.content for one in answers}) == 1


async def test_one_leaves_and_sees_it_no_more(house: House) -> None:
    family = await family_of(house)
    gone(await house.mia.send("DELETE", f"{family.at}/users/{house.accounts['mia']}"))
    gone(await house.ada.send("DELETE", f"{family.at}/users/{house.accounts['ben']}"))
    for name in ("mia", "ben"):
        assert (await house.trail(house.accounts[name]))[-1] == "person.role_ended"
        problem(await house.callers[name].get(family.at), 404, "not-found")
        assert done(await house.callers[name].get("/Persons"))["total"] == 0
    assert await roles_of(house, family.id) == {"pat": "Owner", "ada": "Administrator"}
    await house.must_be_sound()


async def test_a_person_is_given_to_another_owner(house: House) -> None:
    family = await family_of(house)
    answered = done(await house.pat.post(f"{family.at}/owner", {"userId": str(house.accounts["ben"])}))
    assert (answered["role"], answered["relationship"]) == ("Administrator", "Child")
    assert done(await house.ben.get(family.at))["role"] == "Owner"
    assert await roles_of(house, family.id) == ROLES | {"pat": "Administrator", "ben": "Owner"}
    problem(await unchanged(house, house.pat.send("DELETE", family.at)), 403, "forbidden")
    again = house.ben.post(f"{family.at}/owner", {"userId": str(house.accounts["ben"])})
    problem(await unchanged(house, again), 409, "wrong-state")
    for body in (
        {},
        {"userId": "me"},
        {"userId": None},
        {"userId": str(house.accounts["ada"]), "role": "Owner"},
    ):
        problem(await unchanged(house, house.ben.post(f"{family.at}/owner", body)), 400, "invalid")
    await house.must_be_sound()


# -- offers ------------------------------------------------------------------------------------------------------------


async def test_an_offer_is_seen_by_both_sides_and_says_no_more_than_it_must(house: House) -> None:
    person_id = await makes(house.pat, **KIM)
    body = {"email": "Rui@Lakeside.example", "role": "write", "relationship": "child"}
    made = done(await house.pat.post(f"/Persons/{person_id}/users", body))
    assert instant(made["expiresOn"]) - instant(made["createdOn"]) == timedelta(days=14)
    assert {name: made[name] for name in made if not name.endswith("On")} == {
        "id": made["id"],
        "personId": person_id,
        "email": "Rui@Lakeside.example",
        "role": "Write",
        "relationship": "Child",
        "offeredBy": str(house.accounts["pat"]),
    }
    assert done(await house.pat.get(f"/Persons/{person_id}/offers"))["resources"] == [made]
    (received,) = done(await house.rui.get("/Persons/offers"))["resources"]
    assert received == {
        "id": made["id"],
        "person": {"id": person_id, "firstName": "Kim", "lastName": "Doe"},
        "role": "Write",
        "relationship": "Child",
        "offeredByName": "Pat Cast",
        "offeredByEmail": address("pat"),
        "createdOn": made["createdOn"],
        "expiresOn": made["expiresOn"],
    }
    for name in ("ada", "pat", "zoe"):
        assert done(await house.callers[name].get("/Persons/offers"))["total"] == 0
    problem(await house.stranger.get("/Persons/offers"), 401, "not-signed-in")
    problem(await house.rui.get(f"/Persons/{person_id}"), 404, "not-found")


async def test_mother_and_father_look_after_the_same_child(house: House) -> None:
    person_id = await makes(house.pat, **KIM)
    seen = await accepts(
        house.rui, await offers(house.pat, person_id, "rui", "Administrator"), relationship="CHILD"
    )
    assert (seen["id"], seen["role"], seen["relationship"]) == (person_id, "Administrator", "Child")
    for caller in (house.pat, house.rui):
        assert [one["id"] for one in done(await caller.get("/Persons"))["resources"]] == [person_id]
    assert done(await house.rui.get("/Persons/offers"))["total"] == 0
    assert (await house.trail(house.accounts["rui"]))[-1] == "person.accepted"
    assert (await house.trail(house.accounts["pat"]))[-1] == "person.accepted"
    await house.must_be_sound()


async def test_an_offer_is_answered_once(house: House) -> None:
    person_id = await makes(house.pat)
    verbs = {
        "accept": lambda offer_id: house.rui.post(f"/Persons/offers/{offer_id}/accept", {}),
        "decline": lambda offer_id: house.rui.post(f"/Persons/offers/{offer_id}/decline"),
        "withdraw": lambda offer_id: house.pat.send("DELETE", f"/Persons/{person_id}/offers/{offer_id}"),
    }
    for first in verbs.values():
        offer_id = await offers(house.pat, person_id, "rui")
        answered = await first(offer_id)
        assert answered.status_code in (200, 204), answered.text
        for second in verbs.values():
            problem(await unchanged(house, second(offer_id)), 409, "wrong-state")
    await house.must_be_sound()


async def test_anothers_offer_is_as_unknown_as_any(house: House) -> None:
    family = await family_of(house)
    for verb in ("accept", "decline"):
        answers = [
            await unchanged(house, caller.post(f"/Persons/offers/{which}/{verb}"))
            for caller, which in (
                *((house.callers[name], family.offer) for name in EVERYBODY if name != "zoe"),
                *((house.zoe, which) for which in (UNKNOWN, "5" * 24, "me", family.id)),
            )
        ]
        for one in answers:
            assert problem(one, 404, "not-found")["detail"] == "Offer not found"
        assert len({one.content for one in answers}) == 1
        problem(await house.stranger.post(f"/Persons/offers/{family.offer}/{verb}"), 401, "not-signed-in")
    # And by the clock.
    house.clock.advance(days=14)
    assert done(await house.zoe.get("/Persons/offers"))["total"] == 0
    late = await house.zoe.post(f"/Persons/offers/{family.offer}/accept", {})
    assert problem(late, 404, "not-found")["detail"] == "Offer not found"


async def test_an_address_with_an_account_and_one_without_are_answered_the_same(house: House) -> None:
    person_id = await makes(house.pat)
    answers = []
    for email in (address("rui"), "nobody@lakeside.example"):
        answered = await house.pat.post(f"/Persons/{person_id}/users", {"email": email, "role": "Read"})
        assert answered.headers["content-type"] == "application/json"
        said = done(answered)
        answers.append(
            {name: said[name] for name in said if name not in ("id", "email", "createdOn", "expiresOn")}
        )
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"role": "Read"}, "email"),
        ({"email": "rui", "role": "Read"}, "email"),
        ({"email": "rui@lakeside.example"}, "role"),
        ({"email": "rui@lakeside.example", "role": "Owner"}, "role"),
        ({"email": "rui@lakeside.example", "role": "4"}, "role"),
        ({"email": "rui@lakeside.example", "role": "Read", "relationship": "Aunt"}, "relationship"),
        ({"email": "rui@lakeside.example", "role": "Read", "personId": UNKNOWN}, "personId"),
    ],
)
async def test_an_offer_that_says_too_little_is_refused_by_name(
    house: House, body: dict[str, Any], field: str
) -> None:
    person_id = await makes(house.pat)
    refused = problem(
        await unchanged(house, house.pat.post(f"/Persons/{person_id}/users", body)), 400, "invalid"
    )
    assert [one["field"] for one in refused["errors"]] == [field]


async def test_who_accepts_says_what_it_is_to_him_in_a_word_there_is(house: House) -> None:
    family = await family_of(house)
    for body, field in (({"relationship": "Aunt"}, "relationship"), ({"role": "Owner"}, "role")):
        asking = house.zoe.post(f"/Persons/offers/{family.offer}/accept", body)
        refused = problem(await unchanged(house, asking), 400, "invalid")
        assert [one["field"] for one in refused["errors"]] == [field]
    # No body at all says nothing, which is enough.
    answered = await house.zoe.send(
        "POST", f"/Persons/offers/{family.offer}/accept", Content_Type="application/json"
    )
    assert done(answered)["relationship"] == "Other"


async def unconfirmed(house: House, name: str = "uma") -> Caller:
    """Register somebody who doesn't follow the link, and sign in."""
    email = f"{name}@mail.example"
    registered = await house.stranger.post("/v1/accounts", {"email": email, "password": PASSWORD + "!"})
    assert registered.status_code == 202, registered.text
    signed_in = await house.stranger.post("/v1/sessions", {"email": email, "password": PASSWORD + "!"})
    (row,) = await house.rows("SELECT id FROM accounts WHERE email_key = $1", email)
    house.accounts[name] = row["id"]
    return Caller(house.http, signed_in.json()["accessToken"])


async def test_an_account_that_is_not_confirmed_makes_persons_and_is_told_of_none(house: House) -> None:
    uma = await unconfirmed(house)
    person_id = await makes(uma, **KIM)
    family = await family_of(house)
    made = await house.pat.post(f"{family.at}/users", {"email": "uma@mail.example", "role": "Administrator"})
    offer_id = done(made)["id"]
    assert done(await uma.get("/Persons"))["total"] == 1
    done(await puts(uma, f"/Persons/{person_id}", LEAST))
    for asking in (
        uma.get("/Persons/offers"),
        uma.post(f"/Persons/offers/{offer_id}/accept", {}),
        uma.post(f"/Persons/offers/{offer_id}/decline"),
        uma.post(f"/Persons/{person_id}/users", {"email": address("rui"), "role": "Read"}),
    ):
        problem(await unchanged(house, asking), 403, "not-confirmed")
    for route, ask in asks(house, family).items():
        expected = (
            (403, "not-confirmed") if route.startswith("offer to") or route == "offer" else (404, "not-found")
        )
        problem(await unchanged(house, ask(uma, family.at)), *expected)
    gone(await uma.send("DELETE", f"/Persons/{person_id}"))


async def test_whoever_claims_a_mailbox_finds_no_person_of_the_one_before(house: House) -> None:
    uma = await unconfirmed(house)
    person_id = await makes(uma, **KIM)
    (mail,) = await house.mails(to="uma@mail.example")
    claimed = await house.stranger.post(
        "/v1/accounts/claim", {"token": mail.token, "password": "another " + PASSWORD}
    )
    assert claimed.status_code == 200, claimed.text
    rows = await house.rows("SELECT 1 FROM person_roles WHERE ends_at IS NULL")
    assert rows == []
    (row,) = await house.rows("SELECT first_name, ended_at FROM persons WHERE id = $1", parse_id(person_id))
    assert (row["first_name"], row["ended_at"] is None) == (None, False)
    await house.must_be_sound()


# -- at once -----------------------------------------------------------------------------------------------------------


def tally(answers: list[httpx.Response]) -> Counter[int]:
    return Counter(one.status_code for one in answers)


async def test_of_many_who_accept_at_once_one_does(house: House) -> None:
    person_id = await makes(house.pat)
    offer_id = await offers(house.pat, person_id, "rui")
    answers = await at_once([house.rui.post(f"/Persons/offers/{offer_id}/accept", {}) for _ in range(20)])
    assert tally(answers) == {200: 1, 409: 19}
    rows = await house.rows("SELECT 1 FROM person_roles WHERE account_id = $1", house.accounts["rui"])
    assert len(rows) == 1
    await house.must_be_sound()


async def test_of_two_to_whom_it_is_given_at_once_one_owns_it(house: House) -> None:
    family = await family_of(house)
    names = ["ada", "ben", "mia"] * 7
    bodies = [{"userId": str(house.accounts[name])} for name in names[:20]]
    answers = await at_once([house.pat.post(f"{family.at}/owner", body) for body in bodies])
    assert tally(answers) == {200: 1, 403: 19}
    roles = await roles_of(house, family.id)
    assert Counter(roles.values())["Owner"] == 1
    assert roles["pat"] == "Administrator"
    await house.must_be_sound()


async def test_accepting_and_withdrawing_at_once_one_of_the_two_happens(house: House) -> None:
    for turn in range(10):
        person_id = await makes(house.pat)
        offer_id = await offers(house.pat, person_id, "rui")
        both: list[Awaitable[httpx.Response]] = [
            house.rui.post(f"/Persons/offers/{offer_id}/accept", {}),
            house.pat.send("DELETE", f"/Persons/{person_id}/offers/{offer_id}"),
        ]
        answers = await at_once(both[:: -1 if turn % 2 else 1])
        statuses = tally(answers)
        assert statuses in ({200: 1, 409: 1}, {204: 1, 409: 1}), [one.text for one in answers]
        has = done(await house.pat.get(f"/Persons/{person_id}/users"))["total"] == 2
        assert has is (200 in statuses)
    await house.must_be_sound()


async def test_nobody_looks_after_a_person_that_is_deleted_at_that_moment(house: House) -> None:
    for turn in range(10):
        person_id = await makes(house.pat)
        offer_id = await offers(house.pat, person_id, "rui")
        both: list[Awaitable[httpx.Response]] = [
            house.rui.post(f"/Persons/offers/{offer_id}/accept", {}),
            house.pat.send("DELETE", f"/Persons/{person_id}"),
        ]
        statuses = tally(await at_once(both[:: -1 if turn % 2 else 1]))
        assert statuses[204] == 1
        assert statuses[200] + statuses[404] + statuses[409] == 1
    assert await house.rows("SELECT 1 FROM person_roles WHERE ends_at IS NULL") == []
    await house.must_be_sound()


async def test_who_was_an_administrator_a_moment_ago_offers_nothing_any_more(house: House) -> None:
    for turn in range(6):
        person_id = await makes(house.pat)
        await accepts(house.ada, await offers(house.pat, person_id, "ada", "Administrator"))
        both: list[Awaitable[httpx.Response]] = [
            house.ada.post(f"/Persons/{person_id}/users", {"email": address("zoe"), "role": "Read"}),
            house.pat.send("DELETE", f"/Persons/{person_id}/users/{house.accounts['ada']}"),
        ]
        answers = await at_once(both[:: -1 if turn % 2 else 1])
        assert {one.status_code for one in answers} <= {200, 204, 404}
        assert done(await house.zoe.get("/Persons/offers"))["total"] == 0
    await house.must_be_sound()


async def test_a_person_is_offered_to_an_address_by_many_at_once_and_one_offer_waits(house: House) -> None:
    family = await family_of(house)
    body = {"email": address("rui"), "role": "Read"}
    answers = await at_once(
        [caller.post(f"{family.at}/users", body) for caller in [house.pat, house.ada] * 10]
    )
    assert tally(answers) == {200: 20}
    assert done(await house.rui.get("/Persons/offers"))["total"] == 1
    await house.must_be_sound()


async def test_whoever_deletes_his_account_meanwhile_is_in_nothing_after(house: House) -> None:
    family = await family_of(house)
    answers = await asyncio.gather(
        house.zoe.post(f"/Persons/offers/{family.offer}/accept", {}),
        house.pat.post(f"{family.at}/owner", {"userId": str(house.accounts["mia"])}),
        house.mia.post("/v1/accounts/own/deletion", {"password": PASSWORD}),
    )
    assert answers[2].status_code == 200, answers[2].text
    rows = await house.rows(
        "SELECT 1 FROM person_roles WHERE account_id = $1 AND ends_at IS NULL", house.accounts["mia"]
    )
    assert rows == []
    await house.must_be_sound()
