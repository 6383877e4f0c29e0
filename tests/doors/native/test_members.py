"""Members: seen, given another role, removed; there is always an administrator."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import httpx
import msgspec
import pytest

from cast import PASSWORD, Caller, House
from doors.manners import everything
from doors.native.living import EVE, OTHER_SECRET, done, mail_to
from doors.native.problems import problem
from hospitium.engine.accounts import actions as accounts
from hospitium.engine.accounts.actions import AccountForm
from hospitium.engine.actor import Role
from hospitium.engine.context import Context
from hospitium.engine.ids import to_object_id
from hospitium.engine.memberships import actions as memberships
from hospitium.engine.permissions import Permission
from hospitium.engine.secrets import HashedPassword
from hospitium.engine.verify import verify

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


async def changes(caller: Caller, account_id: object, **body: object) -> httpx.Response:
    content = msgspec.json.encode(body)
    return await caller.send("PATCH", f"/v1/members/{account_id}", content, content_type=JSON)


async def external_ids(house: House) -> dict[str, str]:
    """Return by which ids northside's applications know its members."""
    members = done(await house.ada.get("/v1/members"))["members"]
    return {one["email"].partition("@")[0]: one["externalId"] for one in members if one["externalId"]}


async def test_applications_know_a_member_by_an_id_of_their_own(house: House) -> None:
    ben, mia = house.accounts["ben"], house.accounts["mia"]
    assert await external_ids(house) == {}
    assert done(await changes(house.ada, ben, externalId=" alice ")) == {
        "accountId": str(ben), "role": "physician", "externalId": "alice",
    }  # fmt: skip
    assert await external_ids(house) == {"ben": "alice"}
    (own,) = done(await house.ben.get("/v1/accounts/own/export"))["memberships"]
    assert own["externalId"] == "alice"
    assert "membership.changed" in await house.trail(ben)
    (event,) = await house.rows("SELECT data FROM events WHERE kind = 'membership.changed'")
    assert event["data"] == {"account": str(ben), "organization": str(house.northside), "role": "physician"}
    # It is one member's in an organization; in another it may be somebody else's.
    refused = problem(await changes(house.ada, mia, externalId="alice"), 409, "name-taken")
    assert refused["errors"][0]["field"] == "externalId"
    done(await changes(house.ada, mia, externalId="Alice"))
    done(await changes(house.rui, house.accounts["rui"], externalId="alice"))
    # The same again changes nothing; another takes its place; none frees it.
    seen = len(await house.trail(ben))
    done(await changes(house.ada, ben, externalId="alice"))
    assert len(await house.trail(ben)) == seen
    done(await changes(house.ada, ben, externalId="bob"))
    done(await changes(house.ada, mia, externalId="alice"))
    assert done(await changes(house.ada, ben, externalId=None))["role"] == "physician"
    assert await external_ids(house) == {"mia": "alice"}
    seen = len(await house.trail(ben))
    done(await changes(house.ada, ben, externalId=None))
    assert len(await house.trail(ben)) == seen
    await house.must_be_sound()


async def test_an_id_of_their_own_names_no_other_account(house: House) -> None:
    ben, mia, pat = (house.accounts[name] for name in ("ben", "mia", "pat"))
    taken = [
        str(ben),
        str(ben).upper(),
        to_object_id(ben),
        str(pat),
        "ben@northside.example",
        "BEN@northside.example",
    ]
    # Of addresses, it makes no difference whether anybody has them.
    for wrong in (*taken, "pat@mail.example", "nobody@nowhere.example"):
        refused = problem(await changes(house.ada, mia, externalId=wrong), 409, "name-taken")
        assert refused["errors"][0]["field"] == "externalId", wrong
    assert await external_ids(house) == {}
    (row,) = await house.rows("SELECT email FROM accounts WHERE id = $1", mia)
    for good in (
        str(mia),
        to_object_id(mia),
        row["email"],
        row["email"].upper(),
        "64b000000000000000000001",
        "a@b",
        "@",
    ):
        assert done(await changes(house.ada, mia, externalId=good))["externalId"] == good
    await house.must_be_sound()


async def test_an_id_of_their_own_is_answered_as_it_is_kept(house: House) -> None:
    answered = done(await changes(house.ada, house.accounts["mia"], externalId=" re\u0301my "))
    assert answered["externalId"] == "r\u00e9my"
    assert await external_ids(house) == {"mia": "r\u00e9my"}


async def test_both_are_changed_at_once_or_neither(house: House) -> None:
    ben, mia = house.accounts["ben"], house.accounts["mia"]
    done(await changes(house.ada, mia, externalId="alice"))
    before = await everything(house)
    problem(await changes(house.ada, ben, role="scheduler", externalId="alice"), 409, "name-taken")
    problem(await changes(house.ada, ben, role="physician", externalId="bob"), 409, "wrong-state")
    problem(await changes(house.ada, ben), 400, "invalid")
    for wrong in ("", "  ", "x" * 201, "a\nb", 7, ["alice"]):
        refused = problem(await changes(house.ada, ben, externalId=wrong), 400, "invalid")
        assert refused["errors"][0]["field"] == "externalId", wrong
    for caller in (house.ben, house.mia, house.pat, house.rui):
        kind = "not-found" if caller is house.rui else "forbidden"
        problem(await changes(caller, ben, externalId="bob"), 404 if caller is house.rui else 403, kind)
    assert await everything(house) == before
    assert done(await changes(house.ada, ben, role="scheduler", externalId="bob"))["role"] == "scheduler"
    # Another role is another membership, but no other member.
    assert await external_ids(house) == {"mia": "alice", "ben": "bob"}
    done(await changes(house.ada, ben, role="member"))
    assert await external_ids(house) == {"mia": "alice", "ben": "bob"}
    await house.must_be_sound()


@pytest.mark.parametrize("going", ["removed", "leaves", "deletes", "ended"])
async def test_who_goes_is_known_by_no_id_any_more(house: House, going: str) -> None:
    ben = house.accounts["ben"]
    done(await changes(house.ada, ben, externalId="alice"))
    match going:
        case "removed":
            done(await house.ada.send("DELETE", f"/v1/members/{ben}"))
        case "leaves":
            done(await house.ben.send("DELETE", f"/v1/memberships/{house.northside}"))
        case "deletes":
            done(await house.ben.post("/v1/accounts/own/deletion", {"password": PASSWORD}))
        case "ended":
            await house.operate(
                lambda ctx: memberships.end(ctx, ben, house.northside), Permission.KEEP_ACCOUNTS
            )
    assert await house.rows("SELECT * FROM account_external_ids") == []
    done(await changes(house.ada, house.accounts["mia"], externalId="alice"))
    problem(await changes(house.ada, ben, externalId="bob"), 404, "not-found")
    await house.must_be_sound()


async def test_who_claims_an_account_is_not_who_was_known_by_the_id(house: House) -> None:
    """Nobody had proved the mailbox; whoever does now may be another than the organization meant."""
    await house.operate(lambda ctx: unconfirmed_member(ctx, house))
    (row,) = await house.rows("SELECT id FROM accounts WHERE email = $1", EVE)
    done(await changes(house.ada, row["id"], externalId="alice"))
    done(await house.stranger.post("/v1/accounts/password-reset", {"email": EVE}), 202)
    token = (await mail_to(house)).token
    done(await house.stranger.post("/v1/accounts/password", {"token": token, "password": OTHER_SECRET}))
    assert await house.rows("SELECT * FROM account_external_ids") == []
    await house.must_be_sound()


async def unconfirmed_member(ctx: Context, house: House) -> None:
    made = await accounts.create(ctx, AccountForm(email=EVE), HashedPassword("nobody's"))
    await memberships.add(ctx, made.id, house.northside, Role.PHYSICIAN)


async def test_an_id_without_a_membership_is_found_by_verify(house: House) -> None:
    ben = house.accounts["ben"]
    done(await changes(house.ada, ben, externalId="alice"))
    await house.must_be_sound()
    await house.rows("UPDATE memberships SET ends_at = starts_at WHERE account_id = $1 RETURNING 1", ben)
    async with house.database.transaction() as tx:
        found = await verify(tx, house.parts.rules, house.clock())
    assert [(one.code, one.found) for one in found] == [("A5", [f"{house.northside} {ben}"])]


async def test_an_id_given_while_the_member_is_taken_out_does_not_outlive_him(
    house: House, rounds: int
) -> None:
    for turn in range(max(5, rounds // 100)):
        name = f"guest{turn}"
        await house.add_person(name, "northside", Role.PHYSICIAN)
        account = house.accounts[name]
        await asyncio.gather(
            changes(house.ada, account, externalId=name),
            house.operate(
                lambda ctx, account=account: memberships.end(ctx, account, house.northside),
                Permission.KEEP_ACCOUNTS,
            ),
        )
    assert await house.rows("SELECT * FROM account_external_ids") == []
    await house.must_be_sound()


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
