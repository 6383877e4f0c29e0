"""Shares of records on our own API: offered to people and teams, accepted by token, changed and ended by id."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import msgspec
import pytest

from cast import Caller, House
from doors.manners import UNKNOWN, bare, everything, instant
from doors.medable import sharing as medable
from doors.medable.sharing import (
    AT,
    access,
    address,
    at_instant,
    defines,
    makes,
    spelled,
    unchanged,
    unverified,
)
from doors.native.living import done
from doors.native.problems import problem
from hospitium.engine.accounts import actions as accounts
from hospitium.engine.ids import parse_id
from hospitium.engine.organizations import actions as organizations

PAT: dict[str, Any] = {"email": "pat@mail.example", "level": 4}
MICROSECOND = timedelta(microseconds=1)
FOREVER = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


def long(digits: str) -> str:
    """Return the UUID of an id of 24 digits."""
    found = parse_id(digits)
    assert found is not None
    return str(found)


def text(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


async def record_of(house: House, caller: Caller | None = None, **settings: Any) -> str:
    """Define an object in northside and make a record of it; return the record's id."""
    await defines(house, **settings)
    return await record(caller or house.ada)


async def record(caller: Caller) -> str:
    return long(await makes(caller))


async def asks(caller: Caller, of: str, *targets: dict[str, Any], **headers: str) -> httpx.Response:
    return await caller.post("/v1/shares", {"recordId": of, "targets": list(targets)}, **headers)


async def offers(caller: Caller, of: str, target: dict[str, Any]) -> Any:
    """Share a record with one target; return the share."""
    (made,) = done(await asks(caller, of, target), 201)["shares"]
    return made


async def one(caller: Caller, share: str) -> Any:
    return done(await caller.get(f"/v1/shares/{share}"))


async def accepts(caller: Caller, share: str) -> Any:
    """Accept a share by the token one sees oneself."""
    token = (await one(caller, share))["token"]
    return done(await caller.post("/v1/shares/accept", {"token": token}))


async def shared(sharer: Caller, of: str, target: Caller, email: str, level: int = 4, **more: Any) -> str:
    """Share a record with somebody who accepts; return the share's id."""
    made = await offers(sharer, of, {"email": email, "level": level, **more})
    assert (await accepts(target, made["id"]))["status"] == "active"
    found: str = made["id"]
    return found


async def regrades(caller: Caller, share: str, level: Any) -> httpx.Response:
    body = msgspec.json.encode({"level": level})
    return await caller.send("PATCH", f"/v1/shares/{share}", body, Content_Type="application/json")


async def ends(caller: Caller, share: str) -> httpx.Response:
    return await caller.send("DELETE", f"/v1/shares/{share}")


async def listed(caller: Caller, **query: Any) -> list[str]:
    """Return the ids in somebody's list, in its order."""
    return [it["id"] for it in done(await caller.get("/v1/shares", **query))["shares"]]


async def status_of(house: House, share: str) -> str:
    (row,) = await house.rows("SELECT status FROM shares WHERE id = $1", UUID(share))
    found: str = row["status"]
    return found


async def team_of(house: House, *members: str, owner: str = "ben") -> str:
    return long(await medable.team_of(house, *members, owner=owner))


def wrong(response: httpx.Response, status: int, kind: str) -> list[str]:
    """Insist on a problem; return the fields it names."""
    return [error["field"] for error in problem(response, status, kind).get("errors", [])]


# -- offering ----------------------------------------------------------------------------------------------------------


async def test_a_share_is_offered_and_says_what_it_is(house: House) -> None:
    of = await record_of(house)
    made = await offers(house.ada, of, PAT | {"firstName": "Pat", "lastName": "Moor"})
    assert made == {
        "id": made["id"],
        "organizationId": str(house.northside),
        "recordId": of,
        "objectType": "c_prescription",
        "sharedAccountId": None,
        "level": 4,
        "status": "pending",
        "madeBy": str(house.accounts["ada"]),
        "madeAt": made["madeAt"],
        "expiresAt": made["expiresAt"],
        "startsAt": None,
        "endsAt": None,
        "email": "pat@mail.example",
        "accountId": None,
        "teamId": None,
        "isTarget": False,
    }
    assert instant(made["expiresAt"]) - instant(made["madeAt"]) == timedelta(days=7)
    assert await one(house.ada, made["id"]) == made
    seen = await one(house.pat, made["id"])
    assert seen == made | {"isTarget": True, "token": seen["token"]}
    (mail,) = await house.mails()
    assert (mail.to, mail.token) == (address("pat"), seen["token"])
    assert "Hello Pat" in mail.text
    assert (await house.trail(house.northside))[-1] == "share.offered"
    accepted = done(await house.pat.post("/v1/shares/accept", {"token": seen["token"]}))
    assert accepted == made | {
        "status": "active", "expiresAt": None, "accountId": str(house.accounts["pat"]), "isTarget": True,
    }  # fmt: skip
    assert await access(house.pat, of) == 4
    assert (await house.trail(house.accounts["ada"]))[-1] == "share.accepted"
    await house.must_be_sound()


async def test_several_are_offered_at_once_in_the_order_given_or_none(house: House) -> None:
    of, team = await record_of(house), await team_of(house)
    mia = str(house.accounts["mia"])
    targets = [
        PAT,
        {"accountId": mia, "level": 5},
        {"teamId": team, "level": 2},
        {"email": "nobody@mail.example", "level": 4},
    ]
    refused = await unchanged(house, asks(house.ada, of, *targets, {"email": address("ada"), "level": 4}))
    assert wrong(refused, 400, "wrong-target") == ["targets[4].email"]
    assert await house.mails() == []
    made = done(await asks(house.ada, of, *targets), 201)
    assert made["next"] is None
    assert [(it["email"], it["accountId"], it["teamId"], it["level"]) for it in made["shares"]] == [
        ("pat@mail.example", None, None, 4),
        (None, mia, None, 5),
        (None, None, team, 2),
        ("nobody@mail.example", None, None, 4),
    ]
    assert {mail.to for mail in await house.mails()} == {
        address("pat"), address("mia"), address("ben"), "nobody@mail.example",
    }  # fmt: skip
    await house.must_be_sound()


async def test_strangers_are_told_nothing_but_what_is_behind_a_token(house: House) -> None:
    of = await record_of(house)
    made = await offers(house.ada, of, PAT)
    token = (await one(house.pat, made["id"]))["token"]
    for caller in (house.stranger, Caller(house.http, "nonsense")):
        for asking in (
            asks(caller, of, PAT),
            caller.get("/v1/shares"),
            caller.get(f"/v1/shares/{made['id']}"),
            caller.get(f"/v1/shares/{UNKNOWN}"),
            regrades(caller, made["id"], 2),
            ends(caller, made["id"]),
            caller.post("/v1/shares/accept", {"token": token}),
        ):
            problem(await unchanged(house, asking), 401, "not-signed-in")


async def test_a_record_one_may_not_know_of_is_answered_as_one_that_is_not_there(house: House) -> None:
    of = await record_of(house)
    gone = await record(house.ada)
    done(await house.ada.send("DELETE", f"{AT}/c_prescriptions/{spelled(UUID(gone))}"))
    never = await unchanged(house, asks(house.rui, UNKNOWN, PAT))
    assert problem(never, 404, "not-found")["detail"] == "Record not found"
    for caller, which in (
        (house.rui, of),
        (house.ben, of),  # staff of the organization inherit nothing
        (house.pat, of),
        (house.nia, of),
        (house.ada, gone),
        (house.ada, "5" * 24),
        (house.ada, str(house.accounts["ada"])),
    ):
        assert bare(await unchanged(house, asks(caller, which, PAT))) == bare(never)
    # Nor does a call that is wrong besides tell whether it is there.
    for targets in (
        [],
        [{"level": 4}],
        [PAT | {"accountId": "me"}],
        [PAT | {"level": 9}],
        [PAT] * 101,
        [PAT, PAT],
    ):
        asked = [await unchanged(house, asks(house.rui, which, *targets)) for which in (of, UNKNOWN)]
        assert bare(asked[0]) == bare(asked[1]), targets


async def test_an_id_of_a_record_has_either_form_and_no_other(house: House) -> None:
    of = await record_of(house)
    made = done(await asks(house.ada, spelled(UUID(of)), PAT), 201)["shares"][0]
    assert made["recordId"] == of
    for text_ in ("", "me", of[:-1], of + "0", "5" * 23, "{" + of + "}"):
        assert wrong(await unchanged(house, asks(house.ada, text_, PAT)), 400, "invalid") == ["recordId"]


async def test_whoever_holds_share_on_it_gives_less_than_he_has(house: House) -> None:
    of = await record_of(house)
    # Of the levels there are: how each is refused to its owner, and to who holds 5.
    owner = {1: "not-sharable", 2: "", 4: "", 5: "", 6: "not-sharable", 7: "not-sharable"}
    holder = owner | {5: "not-sharable"}
    await shared(house.ada, of, house.pat, address("pat"), 5)
    for caller, told in ((house.ada, owner), (house.pat, holder)):
        for level, kind in told.items():
            target = {"email": "nobody@mail.example", "level": level}
            if kind:
                refused = await unchanged(house, asks(caller, of, PAT | {"email": "a@b.example"}, target))
                assert wrong(refused, 403, kind) == ["targets[1].level"], level
            else:
                done(await ends(caller, (await offers(caller, of, target))["id"]))
        for level in (0, 3, 8, -1, 2**31, 2**64):
            refused = await unchanged(house, asks(caller, of, PAT | {"level": level}))
            assert wrong(refused, 400, "wrong-target") == ["targets[0].level"], level
        for level in (4.0, 4.5, "4", True, None, [4]):
            refused = await unchanged(house, asks(caller, of, PAT | {"level": level}))
            assert wrong(refused, 400, "invalid") == ["targets[0].level"], level
    for level in (2, 4):
        email = f"rui{level}@mail.example"
        reader = await house.add_person(f"rui{level}", None)
        await shared(house.ada, of, reader, email, level)
        problem(
            await unchanged(house, asks(reader, of, {"email": "x@mail.example", "level": 2})),
            403,
            "not-sharable",
        )
    await house.must_be_sound()


async def test_a_target_is_named_in_one_way_and_what_is_wrong_with_it_by_its_name(house: House) -> None:
    of, team = await record_of(house), await team_of(house)
    theirs = done(await house.rui.post("/v1/teams", {"name": "Theirs"}), 201)["id"]
    mia, ada = str(house.accounts["mia"]), str(house.accounts["ada"])
    await shared(house.ada, of, house.ben, address("ben"), 5)
    ben = str(house.accounts["ben"])
    for target, kind, field in (
        ({}, "wrong-target", "email"),
        ({"email": None, "accountId": None, "teamId": None}, "wrong-target", "email"),
        ({"email": address("mia"), "accountId": mia}, "wrong-target", "email"),
        ({"accountId": mia, "teamId": team}, "wrong-target", "email"),
        ({"email": ""}, "wrong-target", "email"),
        ({"email": "mia"}, "wrong-target", "email"),
        ({"email": "mia@northside.example\r\nBcc: eve@mail.example"}, "wrong-target", "email"),
        ({"email": address("ben")}, "wrong-target", "email"),  # himself
        ({"email": "BEN@NorthSide.example"}, "wrong-target", "email"),
        ({"accountId": ben}, "wrong-target", "accountId"),
        ({"accountId": ada}, "wrong-target", "accountId"),  # the owner
        ({"accountId": UNKNOWN}, "wrong-target", "accountId"),
        ({"accountId": team}, "wrong-target", "accountId"),
        ({"accountId": "me"}, "invalid", "accountId"),
        ({"teamId": UNKNOWN}, "wrong-target", "teamId"),
        ({"teamId": theirs}, "wrong-target", "teamId"),
        ({"teamId": mia}, "wrong-target", "teamId"),
        ({"teamId": "me"}, "invalid", "teamId"),
        ({"email": address("mia"), "firstName": "Mia\nSubject: x"}, "wrong-target", "firstName"),
        ({"email": address("mia"), "lastName": "M" * 201}, "wrong-target", "lastName"),
        ({"email": address("mia"), "access": 4}, "invalid", "access"),
        ({"email": address("mia"), "status": "active"}, "invalid", "status"),
        ({"email": address("mia"), "token": "x"}, "invalid", "token"),
        ({"email": 7}, "invalid", "email"),
        ({"email": address("mia"), "atOnce": "yes"}, "invalid", "atOnce"),
        ({"email": address("mia"), "atOnce": 1}, "invalid", "atOnce"),
        ({"email": address("mia"), "atOnce": True}, "acceptance-required", "atOnce"),
    ):  # fmt: skip
        refused = await unchanged(
            house, asks(house.ben, of, {"level": 2, "email": "a@b.example"}, {"level": 2, **target})
        )
        assert wrong(refused, 400, kind) == [f"targets[1].{field}"], target
        assert f"targets[1].{field}" in refused.json()["detail"]
    for target in ("mia@northside.example", None, [], 4):
        refused = await unchanged(house, asks(house.ben, of, target))  # type: ignore[arg-type]
        assert wrong(refused, 400, "invalid") == ["targets[0]"]
    for body, fields in (
        ({}, ["recordId"]),
        ({"recordId": of}, ["targets"]),
        ({"targets": [PAT]}, ["recordId"]),
        ({"recordId": of, "targets": "all"}, ["targets"]),
        ({"recordId": of, "targets": None}, ["targets"]),
        ({"recordId": of, "targets": [PAT], "status": "active"}, ["status"]),
    ):
        assert wrong(await unchanged(house, house.ben.post("/v1/shares", body)), 400, "invalid") == fields
    assert wrong(await unchanged(house, asks(house.ben, of)), 400, "no-targets") == ["targets"]
    many = [{"email": f"n{index}@mail.example", "level": 2} for index in range(101)]
    assert wrong(await unchanged(house, asks(house.ben, of, *many)), 413, "too-many-targets") == ["targets"]
    await house.must_be_sound()


async def test_nobody_learns_whose_address_it_is(house: House) -> None:
    of = await record_of(house)
    await house.operate(lambda ctx: accounts.disable(ctx, address("zoe")))
    disabled = await unchanged(
        house, asks(house.ada, of, {"accountId": str(house.accounts["zoe"]), "level": 2})
    )
    unknown = await unchanged(house, asks(house.ada, of, {"accountId": UNKNOWN, "level": 2}))
    assert bare(disabled) == bare(unknown)
    # An account's, a disabled one's, nobody's, and the same account twice, by address and by id.
    emails = (address("zoe"), address("rui"), "nobody@mail.example")
    made = [await offers(house.ada, of, {"email": email, "level": 2}) for email in emails]
    await offers(house.ada, of, {"accountId": str(house.accounts["rui"]), "level": 2})
    for it, email in zip(made, emails, strict=True):
        assert (it["email"], it["accountId"], it["isTarget"]) == (email, None, False)
        assert await one(house.ada, it["id"]) == it
    await house.must_be_sound()


async def test_the_same_target_is_offered_the_same_once_at_a_time(house: House) -> None:
    of, team = await record_of(house), await team_of(house)
    mia = str(house.accounts["mia"])
    for target, again, accepting in (
        (PAT, PAT | {"email": " PAT@Mail.example", "level": 2}, house.pat),
        ({"accountId": mia, "level": 4}, {"accountId": spelled(UUID(mia)), "level": 2}, house.mia),
        ({"teamId": team, "level": 4}, {"teamId": team.upper(), "level": 2}, house.ben),
    ):
        refused = await unchanged(house, asks(house.ada, of, target, again))
        assert wrong(refused, 409, "already-shared") == ["targets[1]"]
        made = await offers(house.ada, of, target)
        for _ in range(2):
            refused = await unchanged(house, asks(house.ada, of, {"email": "a@b.example", "level": 2}, again))
            assert wrong(refused, 409, "already-shared") == ["targets[1]"]
            if await status_of(house, made["id"]) == "pending":
                await accepts(accepting, made["id"])
        done(await ends(house.ada, made["id"]))
        await offers(house.ada, of, again)
    await house.must_be_sound()


async def test_of_many_who_offer_the_same_at_once_one_does(house: House) -> None:
    of = await record_of(house)
    answers = await asyncio.gather(*(asks(house.ada, of, PAT) for _ in range(6)))
    assert sorted(it.status_code for it in answers) == [201] + [409] * 5
    assert len(await house.mails()) == 1
    await house.must_be_sound()


async def test_it_needs_a_type_that_allows_it_a_record_in_use_and_a_mailbox_that_is_proved(
    house: House,
) -> None:
    type_ = await defines(house)
    of = await record(house.ada)
    share = await offers(house.ada, of, PAT)
    async with unverified(house, "ada"):
        problem(await unchanged(house, asks(house.ada, of, PAT)), 403, "not-confirmed")
        problem(await unchanged(house, regrades(house.ada, share["id"], 2)), 403, "not-confirmed")
    settings = {"label": "Prescription", "allowConnections": False}
    done(await medable.writes(house.ada, "PUT", f"/objects/{type_['_id']}", settings))
    problem(await unchanged(house, asks(house.ada, of, PAT)), 403, "sharing-disabled")
    problem(await unchanged(house, regrades(house.ada, share["id"], 2)), 403, "sharing-disabled")
    # What is shared already stays so, and can be accepted and ended.
    await accepts(house.pat, share["id"])
    done(await ends(house.pat, share["id"]))
    settings["allowConnections"] = True
    done(await medable.writes(house.ada, "PUT", f"/objects/{type_['_id']}", settings))
    at = f"/c_prescriptions/{spelled(UUID(of))}"
    done(await medable.writes(house.ada, "PATCH", at, {"isArchived": True}))
    problem(await unchanged(house, asks(house.ada, of, PAT)), 403, "sharing-disabled")
    await house.must_be_sound()


async def test_at_once_means_nobody_is_asked_where_the_type_allows_it(house: House) -> None:
    options = {"requireAccept": False}
    of, team = await record_of(house, connectionOptions=options), await team_of(house)
    mia = {"accountId": str(house.accounts["mia"]), "level": 4, "atOnce": True}
    for target in ({"email": address("mia")}, {"teamId": team}):
        refused = await unchanged(house, asks(house.ada, of, target | {"level": 4, "atOnce": True}))
        assert wrong(refused, 400, "account-required") == ["targets[0].atOnce"]
    async with unverified(house, "mia"):
        refused = await unchanged(house, asks(house.ada, of, mia))
        assert wrong(refused, 403, "not-confirmed") == ["targets[0].accountId"]
    made = await offers(house.ada, of, mia)
    assert (made["status"], made["expiresAt"], "token" in made) == ("active", None, False)
    assert await house.mails() == []
    assert await access(house.mia, of) == 4
    seen = await one(house.mia, made["id"])
    assert (seen["isTarget"], "token" in seen) == (True, False)
    assert (await house.trail(house.accounts["mia"]))[-1] == "share.applied"
    done(await ends(house.mia, made["id"]))
    assert await access(house.mia, of) == 0
    await house.must_be_sound()


async def test_at_once_may_ask_for_the_targets_trust(house: House) -> None:
    options = {"requireAccept": False, "requiredAccess": 4}
    of = await record_of(house, connectionOptions=options)
    mia = {"accountId": str(house.accounts["mia"]), "level": 4, "atOnce": True}
    refused = await unchanged(house, asks(house.ada, of, mia))
    assert wrong(refused, 403, "target-access-required") == ["targets[0].atOnce"]
    at = f"{AT}/accounts/{medable.account_of(house, 'mia')}/connections"
    (trust,) = medable.done(await house.mia.post(at, {"targets": [{"email": address("ada"), "access": 4}]}))[
        "data"
    ]
    seen = await one(house.ada, long(trust["_id"]))
    assert (seen["recordId"], seen["objectType"]) == (None, None)
    assert seen["sharedAccountId"] == str(house.accounts["mia"])
    await accepts(house.ada, long(trust["_id"]))
    assert (await offers(house.ada, of, mia))["status"] == "active"
    await house.must_be_sound()


async def test_one_key_offers_it_once(house: House) -> None:
    of = await record_of(house)
    first = await asks(house.ada, of, PAT, idempotency_key="one")
    done(first, 201)
    again = await unchanged(house, asks(house.ada, of, PAT, idempotency_key="one"))
    assert bare(again) == bare(first)
    other = await unchanged(house, asks(house.ada, of, PAT | {"level": 2}, idempotency_key="one"))
    problem(other, 422, "idempotency-key-reused")
    problem(await unchanged(house, asks(house.ada, of, PAT, idempotency_key="two")), 409, "already-shared")
    # Somebody else's key is somebody else's.
    await shared(house.ada, of, house.ben, address("ben"), 5)
    done(await asks(house.ben, of, {"email": "x@mail.example", "level": 2}, idempotency_key="one"), 201)
    assert len(await house.mails(to=address("pat"))) == 1
    await house.must_be_sound()


# -- the token ---------------------------------------------------------------------------------------------------------


async def test_the_token_is_for_the_target_alone(house: House) -> None:
    of = await record_of(house)
    await shared(house.ada, of, house.zoe, address("zoe"), 5)  # who sees every share of it
    team = await team_of(house, "mia")
    for target, who in (
        (PAT, house.pat),
        ({"accountId": str(house.accounts["rui"]), "level": 4}, house.rui),
        ({"teamId": team, "level": 4}, house.ben),
    ):
        made = await offers(house.ada, of, target)
        token = (await one(who, made["id"]))["token"]
        (in_list,) = [it for it in done(await who.get("/v1/shares"))["shares"] if it["id"] == made["id"]]
        assert in_list["token"] == token
        assert token not in str(made)
        for other in (house.ada, house.zoe):
            assert not (await one(other, made["id"]))["isTarget"]
            for path in ("/v1/shares", f"/v1/shares/{made['id']}", f"{AT}/connections"):
                answered = await other.get(path)
                assert '"token"' not in answered.text, path
        # Who is in the team without owning it doesn't see what waits for it.
        problem(await house.mia.get(f"/v1/shares/{made['id']}"), 404, "not-found")
        # Nor is it at rest: the row keeps what it is derived from, and its digest.
        assert token not in str(await everything(house))
        assert token not in str(await house.rows("SELECT data::text FROM events"))
        done(await who.post("/v1/shares/accept", {"token": token}))
        assert "token" not in await one(who, made["id"])
    await house.must_be_sound()


async def test_who_offers_it_to_his_own_team_is_not_answered_the_token_and_no_key_keeps_it(
    house: House,
) -> None:
    of, team = await record_of(house), await team_of(house, owner="ada")
    first = await asks(house.ada, of, {"teamId": team, "level": 4}, idempotency_key="one")
    (made,) = done(first, 201)["shares"]
    assert made["isTarget"] is True
    assert "token" not in made
    again = await asks(house.ada, of, {"teamId": team, "level": 4}, idempotency_key="one")
    assert bare(again) == bare(first)
    # In his own list it is, as every target's: kept nowhere.
    token = (await one(house.ada, made["id"]))["token"]
    kept = await house.rows("SELECT convert_from(answer, 'UTF8') AS answer FROM idempotency_keys")
    assert [token in row["answer"] for row in kept] == [False]
    assert token not in str(await everything(house))
    done(await house.ada.post("/v1/shares/accept", {"token": token}))
    await house.must_be_sound()


async def test_by_its_token_one_sees_who_offers_what_kind_of_thing_and_nothing_of_the_thing(
    house: House,
) -> None:
    of = await record_of(house)
    made = await offers(house.ada, of, PAT)
    (mail,) = await house.mails()
    for caller in (house.stranger, house.pat, house.rui):
        seen = done(await unchanged(house, caller.post("/v1/shares/preview", {"token": mail.token})))
        assert seen == {
            "organization": "Northside Family Practice",
            "sharer": "Ada Cast",
            "objectType": "c_prescription",
            "level": 4,
            "expiresAt": made["expiresAt"],
        }
    await accepts(house.pat, made["id"])
    problem(await house.stranger.post("/v1/shares/preview", {"token": mail.token}), 404, "dead-link")


async def test_every_dead_token_and_everybody_elses_is_one_refusal(house: House) -> None:
    of = await record_of(house)

    async def offered(target: dict[str, Any], who: Caller) -> tuple[str, str]:
        made = await offers(house.ada, of, target)
        return made["id"], (await one(who, made["id"]))["token"]

    async def told(caller: Caller, token: str) -> tuple[int, bytes, list[tuple[str, str]]]:
        asked = await unchanged(house, caller.post("/v1/shares/accept", {"token": token}))
        problem(asked, 404, "dead-link")
        return bare(asked)

    never = await told(house.pat, "x" * 32)
    share, token = await offered(PAT, house.pat)
    # Another's: who made it, staff of its organization, whoever. And an altered one.
    for caller in (house.ada, house.ben, house.mia, house.rui, house.zoe, house.nia):
        assert await told(caller, token) == never
    for altered in (
        token[:-1],
        token + "0",
        token.swapcase(),
        token[::-1],
        "",
        " " + token,
        share,
        "é" * 32,
        "x" * 400,
    ):
        assert await told(house.pat, altered) == never, altered
    for deed in (ends(house.ada, share), None):  # withdrawn; then accepted
        if deed is not None:
            done(await deed)
            assert await told(house.pat, token) == never
            share, token = await offered(PAT, house.pat)
    await accepts(house.pat, share)
    assert await told(house.pat, token) == never
    done(await ends(house.pat, share))  # left
    share, token = await offered(PAT, house.pat)
    done(await ends(house.pat, share))  # declined
    assert await told(house.pat, token) == never
    # Of an organization that is suspended.
    share, token = await offered(PAT, house.pat)
    await house.operate(lambda ctx: organizations.judge(ctx, "suspend", "northside"))
    assert await told(house.pat, token) == never
    problem(await house.stranger.post("/v1/shares/preview", {"token": token}), 404, "dead-link")
    await house.operate(lambda ctx: organizations.judge(ctx, "reinstate", "northside"))
    # Of an account whose mailbox isn't proved: the address could be anybody's.
    async with unverified(house, "pat"):
        asked = await unchanged(house, house.pat.post("/v1/shares/accept", {"token": token}))
        problem(asked, 403, "not-confirmed")
        assert await listed(house.pat) == []
    # Of its last instant.
    house.clock.now = instant((await one(house.ada, share))["expiresAt"])
    assert await told(house.pat, token) == never
    assert await access(house.pat, of) == 0
    await house.must_be_sound()


async def test_a_token_works_for_seven_days_and_once(house: House) -> None:
    of = await record_of(house)
    made = await offers(house.ada, of, PAT)
    token = (await one(house.pat, made["id"]))["token"]
    at_instant(house, instant(made["expiresAt"]) - MICROSECOND)
    done(await house.pat.post("/v1/shares/accept", {"token": token}))
    assert await access(house.pat, of) == 4
    made = await offers(house.ada, await record(house.ada), PAT)
    token = (await one(house.pat, made["id"]))["token"]
    answers = await asyncio.gather(*(house.pat.post("/v1/shares/accept", {"token": token}) for _ in range(5)))
    assert sorted(it.status_code for it in answers) == [200] + [404] * 4
    await house.must_be_sound()


# -- both surfaces -----------------------------------------------------------------------------------------------------


async def test_both_surfaces_see_the_same_share(house: House) -> None:
    of = await record_of(house)
    made = await offers(house.ada, of, PAT)
    digits = spelled(UUID(made["id"]))
    connection = medable.done(await house.pat.get(f"{AT}/connections/{digits}"))
    assert connection["token"] == (await one(house.pat, made["id"]))["token"]
    assert (connection["access"], connection["state"], connection["context"]["_id"]) == (
        4,
        0,
        spelled(UUID(of)),
    )
    # Accepted there, it is active here; changed here, it is so there; and it ends on both.
    medable.done(await house.pat.send("POST", f"{AT}/connections/{connection['token']}"))
    assert (await one(house.ada, made["id"]))["status"] == "active"
    assert done(await regrades(house.ada, made["id"], 2))["level"] == 2
    connection = medable.done(await house.ada.get(f"{AT}/connections/{digits}"))
    assert (connection["access"], connection["state"]) == (2, 1)
    done(await ends(house.pat, made["id"]))
    medable.fault(await house.ada.get(f"{AT}/connections/{digits}"), 404, "kNotFound")

    # And the other way round.
    theirs = await medable.offers(house.ada, spelled(UUID(of)), {"email": address("pat"), "access": 4})
    share = long(theirs["_id"])
    assert await listed(house.ada) == await listed(house.pat) == [share]
    assert (await accepts(house.pat, share))["status"] == "active"
    medable.done(await medable.ends(house.ada, theirs["_id"]))
    problem(await house.pat.get(f"/v1/shares/{share}"), 404, "not-found")
    assert await listed(house.ada) == []
    await house.must_be_sound()


# -- lists and one -----------------------------------------------------------------------------------------------------


async def test_one_sees_what_one_made_and_what_one_was_offered_the_newest_first(house: House) -> None:
    of, team = await record_of(house), await team_of(house, "mia")
    first = await offers(house.ada, of, PAT)
    second = await shared(house.ada, of, house.rui, address("rui"), 5)
    third = await offers(house.rui, of, {"email": address("zoe"), "level": 4})
    fourth = await offers(house.ada, of, {"teamId": team, "level": 4})
    assert await listed(house.ada) == [fourth["id"], second, first["id"]]
    assert await listed(house.rui) == [third["id"], second]
    assert await listed(house.zoe) == [third["id"]]
    assert await listed(house.pat) == [first["id"]]
    # A team's is its owner's while it waits, and all its members' when it is theirs.
    assert await listed(house.ben) == [fourth["id"]]
    assert await listed(house.mia) == []
    await accepts(house.ben, fourth["id"])
    assert await listed(house.mia) == [fourth["id"]]
    assert (await one(house.mia, fourth["id"]))["isTarget"] is False
    for caller in (house.nia, house.cal):
        assert await listed(caller) == []
    # By status; what is over is in no list.
    assert await listed(house.ada, status="pending") == [first["id"]]
    assert await listed(house.ada, status="active") == [fourth["id"], second]
    assert await listed(house.ada, status="") == await listed(house.ada)
    done(await ends(house.pat, first["id"]))
    assert await listed(house.ada) == [fourth["id"], second]
    assert await listed(house.pat) == []
    for status in ("declined", "revoked", "PENDING", "0", "pending,active"):
        assert wrong(await house.ada.get("/v1/shares", status=status), 400, "invalid") == ["status"]
    await house.must_be_sound()


async def test_the_list_is_read_page_by_page_to_its_end(house: House) -> None:
    of = await record_of(house, connectionOptions={"sendNotifications": False})
    many = [{"email": f"n{index}@mail.example", "level": 2} for index in range(4)]
    done(await asks(house.ada, of, *many), 201)  # made at one instant
    for _ in range(3):
        await offers(house.ada, await record(house.ada), PAT)
    whole = done(await house.ada.get("/v1/shares"))
    assert (len(whole["shares"]), whole["next"]) == (7, None)
    ids = [it["id"] for it in whole["shares"]]
    assert ids == sorted(ids, reverse=True)
    for limit in (1, 2, 3, 6, 7, 8):
        found, query = [], {"limit": limit}
        while True:
            page = done(await house.ada.get("/v1/shares", **query))
            assert 0 < len(page["shares"]) <= limit
            found += page["shares"]
            if page["next"] is None:
                break
            query["after"] = page["next"]
        assert found == whole["shares"], limit
    # Pages of one status, too; and from the middle, in either spelling.
    page = done(await house.pat.get("/v1/shares", limit=2, status="pending"))
    rest = done(
        await house.pat.get("/v1/shares", limit=2, status="pending", after=spelled(UUID(page["next"])))
    )
    assert [it["id"] for it in page["shares"] + rest["shares"]] == ids[:3]
    assert rest["next"] is None
    assert await listed(house.ada, after=UNKNOWN) == []  # older than everything


async def test_who_may_see_one_and_for_everybody_else_it_is_not_there(house: House) -> None:
    of, team = await record_of(house), await team_of(house, "mia")
    await shared(house.ada, of, house.zoe, address("zoe"), 5)
    reader = await shared(house.ada, of, house.rui, address("rui"), 4)
    waiting = (await offers(house.ada, of, {"teamId": team, "level": 4}))["id"]
    gone = (await offers(house.ada, of, PAT))["id"]
    done(await ends(house.pat, gone))
    never = await unchanged(house, house.pat.get(f"/v1/shares/{UNKNOWN}"))
    assert problem(never, 404, "not-found")["detail"] == "Share not found"
    told = {
        reader: ("ada", "zoe", "rui"),  # who made it, who holds Share, its target
        waiting: ("ada", "zoe", "ben"),
    }
    for share, seeing in told.items():
        for name, caller in house.callers.items():
            answered = await caller.get(f"/v1/shares/{share}")
            if name in seeing:
                assert done(answered)["id"] == share
            else:
                assert bare(answered) == bare(never), name
    await accepts(house.ben, waiting)
    done(await house.mia.get(f"/v1/shares/{waiting}"))
    for caller in house.callers.values():
        assert bare(await caller.get(f"/v1/shares/{gone}")) == bare(never)
    for which in ("5" * 24, "me", "%00", waiting[:-1], waiting + "0", of, str(house.accounts["ada"])):
        assert bare(await house.ada.get(f"/v1/shares/{which}")) == bare(never), which
    assert (await one(house.ada, spelled(UUID(waiting))))["id"] == waiting


# -- changing ----------------------------------------------------------------------------------------------------------


async def test_its_level_is_changed_by_who_made_it_or_a_holder_of_more(house: House) -> None:
    of = await record_of(house)
    high = await shared(house.ada, of, house.ben, address("ben"), 5)
    share = await shared(house.ada, of, house.pat, address("pat"), 4)
    waiting = await offers(house.ada, of, {"email": address("rui"), "level": 4})
    token = (await one(house.rui, waiting["id"]))["token"]
    changed = done(await regrades(house.ada, share, 2))
    assert (changed["level"], changed["status"], changed["id"]) == (2, "active", share)
    assert await access(house.pat, of) == 2
    assert (await house.trail(house.accounts["pat"]))[-1] == "share.changed"
    assert done(await regrades(house.ben, share, 4))["level"] == 4
    assert await access(house.pat, of) == 4
    changed = done(await regrades(house.ada, waiting["id"], 2))
    assert (changed["level"], changed["status"]) == (2, "pending")
    assert (await one(house.rui, waiting["id"]))["token"] == token
    assert done(await house.rui.post("/v1/shares/accept", {"token": token}))["level"] == 2

    problem(await unchanged(house, regrades(house.ada, share, 4)), 409, "wrong-state")  # that it is already
    for caller, which in ((house.pat, share), (house.ben, high)):  # its target; who has no more than it gives
        problem(await unchanged(house, regrades(caller, which, 2)), 403, "not-ones-share")
    never = await unchanged(house, regrades(house.zoe, UNKNOWN, 2))
    assert problem(never, 404, "not-found")["detail"] == "Share not found"
    for caller, which in (
        (house.zoe, share),
        (house.rui, share),
        (house.mia, high),
        (house.ada, "me"),
        (house.ada, of),
    ):
        assert bare(await unchanged(house, regrades(caller, which, 2))) == bare(never)
    await house.must_be_sound()


async def test_a_level_is_changed_to_one_that_could_be_given(house: House) -> None:
    of = await record_of(house)
    await shared(house.ada, of, house.ben, address("ben"), 5)
    for share in (await shared(house.ada, of, house.pat, address("pat"), 2), (await offers(house.ada, of, {"email": address("rui"), "level": 2}))["id"]):  # fmt: skip
        for level in (0, 3, 8, -1, 2**64):
            assert wrong(await unchanged(house, regrades(house.ada, share, level)), 400, "wrong-target") == [
                "level"
            ]
        for level in (1, 6, 7):
            assert wrong(await unchanged(house, regrades(house.ada, share, level)), 403, "not-sharable") == [
                "level"
            ]
        assert wrong(await unchanged(house, regrades(house.ben, share, 5)), 403, "not-sharable") == ["level"]
        for level in (4.0, "4", None, True, [4], {}):
            assert wrong(await unchanged(house, regrades(house.ada, share, level)), 400, "invalid") == [
                "level"
            ]
    await house.must_be_sound()


async def test_what_its_target_shared_on_stays_as_far_as_the_new_level_could_give_it(house: House) -> None:
    of = await record_of(house)
    share = await shared(house.ada, of, house.ben, address("ben"), 5)
    under = await shared(house.ben, of, house.pat, address("pat"), 4)
    done(await regrades(house.ada, share, 4))
    assert await status_of(house, under) == "revoked"
    assert await access(house.pat, of) == 0
    assert await access(house.ben, of) == 4
    await house.must_be_sound()


# -- ending ------------------------------------------------------------------------------------------------------------


async def test_it_is_declined_left_withdrawn_or_revoked(house: House) -> None:
    of = await record_of(house)
    await shared(house.ada, of, house.ben, address("ben"), 5)
    for accepted, by, status in (
        (False, house.pat, "declined"),
        (True, house.pat, "left"),
        (False, house.ada, "withdrawn"),
        (True, house.ada, "revoked"),
        (False, house.ben, "withdrawn"),  # a holder of more
        (True, house.ben, "revoked"),
    ):
        share = (await offers(house.ada, of, PAT))["id"]
        if accepted:
            await accepts(house.pat, share)
        assert done(await ends(by, share)) == {"status": "done"}
        assert await status_of(house, share) == status
        assert await access(house.pat, of) == 0
        assert (await house.trail(house.northside))[-1] == f"share.{status}"
        for caller in (house.pat, house.ada, house.ben):
            refused = await unchanged(house, ends(caller, share))
            assert problem(refused, 404, "not-found")["detail"] == "Share not found"
    await house.must_be_sound()


async def test_it_is_not_for_everybody_to_end(house: House) -> None:
    of, team = await record_of(house), await team_of(house, "mia")
    high = await shared(house.ada, of, house.ben, address("ben"), 5)
    other = await shared(house.ada, of, house.zoe, address("zoe"), 5)
    share = await shared(house.ada, of, house.pat, address("pat"), 4)
    to_team = (await offers(house.ada, of, {"teamId": team, "level": 4}))["id"]
    never = await unchanged(house, ends(house.mia, UNKNOWN))
    for caller in (house.rui, house.mia, house.nia, house.pat):
        if caller is not house.pat:
            assert bare(await unchanged(house, ends(caller, share))) == bare(never)
        assert bare(await unchanged(house, ends(caller, high))) == bare(never)
        assert bare(await unchanged(house, ends(caller, to_team))) == bare(never)
    # Who holds Share, but not more than it gives; and a member of the team that doesn't own it.
    problem(await unchanged(house, ends(house.ben, other)), 403, "not-ones-share")
    await accepts(house.ben, to_team)
    problem(await unchanged(house, ends(house.mia, to_team)), 403, "not-ones-share")
    assert await access(house.mia, of) == 4
    done(await ends(house.ben, to_team))
    assert await status_of(house, to_team) == "left"
    assert await access(house.mia, of) == 0
    await house.must_be_sound()


async def test_with_it_ends_what_was_made_under_it(house: House) -> None:
    of = await record_of(house)
    share = await shared(house.ada, of, house.ben, address("ben"), 5)
    active = await shared(house.ben, of, house.pat, address("pat"), 4)
    waiting = (await offers(house.ben, of, {"email": address("zoe"), "level": 2}))["id"]
    own = await shared(house.ada, of, house.rui, address("rui"), 4)
    done(await ends(house.ben, share))
    assert [await status_of(house, it) for it in (share, active, waiting, own)] == [
        "left", "revoked", "withdrawn", "active",
    ]  # fmt: skip
    assert [await access(caller, of) for caller in (house.ben, house.pat, house.rui)] == [0, 0, 4]
    assert await listed(house.ada) == [own]
    await house.must_be_sound()


async def test_of_who_accepts_and_who_withdraws_at_once_one_does(house: House) -> None:
    of = await record_of(house)
    for _ in range(4):
        made = await offers(house.ada, of, PAT)
        token = (await one(house.pat, made["id"]))["token"]
        accepted, ended = await asyncio.gather(
            house.pat.post("/v1/shares/accept", {"token": token}), ends(house.ada, made["id"])
        )
        done(ended)
        status = await status_of(house, made["id"])
        assert (accepted.status_code, status) in ((200, "revoked"), (404, "withdrawn"))
        assert await access(house.pat, of) == 0
    await house.must_be_sound()


# -- windows -----------------------------------------------------------------------------------------------------------


async def test_a_share_begins_and_ends_by_the_clock(house: House) -> None:
    of = await record_of(house)
    starts, over = house.clock.now + timedelta(days=2), house.clock.now + timedelta(days=4, microseconds=7)
    east = starts.astimezone(tz=datetime.fromisoformat("2026-01-01T00:00:00+05:30").tzinfo)
    made = await offers(house.ada, of, PAT | {"startsAt": east.isoformat(), "endsAt": text(over)})
    assert (instant(made["startsAt"]), instant(made["endsAt"])) == (starts, over)
    accepted = await accepts(house.pat, made["id"])
    assert (accepted["status"], accepted["startsAt"]) == ("active", made["startsAt"])
    for at, level in ((starts - MICROSECOND, 0), (starts, 4), (over - MICROSECOND, 4), (over, 0)):
        at_instant(house, at)
        assert await access(house.pat, of) == level, at
    for caller in (house.ada, house.pat):
        assert await listed(caller) == []
        problem(await caller.get(f"/v1/shares/{made['id']}"), 404, "not-found")
        problem(await ends(caller, made["id"]), 404, "not-found")
    problem(await regrades(house.ada, made["id"], 2), 404, "not-found")
    await offers(house.ada, of, PAT)  # nobody has swept, and it stands in no one's way
    await house.must_be_sound()


async def test_a_window_is_one_or_it_is_refused(house: House) -> None:
    of = await record_of(house)
    now = house.clock.now
    for window, kind, field in (
        ({"endsAt": text(now - timedelta(days=1))}, "wrong-target", "endsAt"),
        ({"endsAt": text(now)}, "wrong-target", "endsAt"),
        (
            {"startsAt": text(now + timedelta(days=2)), "endsAt": text(now + timedelta(days=2))},
            "wrong-target",
            "endsAt",
        ),
        (
            {"startsAt": text(now + timedelta(days=3)), "endsAt": text(now + timedelta(days=2))},
            "wrong-target",
            "endsAt",
        ),
        ({"startsAt": "2026-05-01T00:00:00"}, "invalid", "startsAt"),  # of which offset?
        ({"startsAt": "2026-05-01"}, "invalid", "startsAt"),
        ({"startsAt": "soon"}, "invalid", "startsAt"),
        ({"endsAt": 1_800_000_000}, "invalid", "endsAt"),
        ({"endsAt": ""}, "invalid", "endsAt"),
        ({"endsAt": "2026-13-01T00:00:00Z"}, "invalid", "endsAt"),
        ({"startsAt": "0001-01-01T00:00:00+14:00"}, "wrong-target", "startsAt"),
        ({"startsAt": "0001-01-01T00:00:00Z"}, "wrong-target", "startsAt"),
        ({"startsAt": "1969-12-31T23:59:59Z"}, "wrong-target", "startsAt"),
        ({"startsAt": "9999-12-31T23:59:59.999999Z"}, "wrong-target", "startsAt"),
        ({"endsAt": "9999-12-31T23:59:59.999999Z"}, "wrong-target", "endsAt"),
        ({"endsAt": "9999-12-31T23:59:59-12:00"}, "wrong-target", "endsAt"),
    ):
        refused = await unchanged(
            house, asks(house.ada, of, {"email": "a@b.example", "level": 2}, PAT | window)
        )
        assert wrong(refused, 400, kind) == [f"targets[1].{field}"], window
    await house.must_be_sound()


@pytest.mark.parametrize(
    "window",
    [
        {"startsAt": "1970-01-01T00:00:00Z"},
        {"endsAt": text(FOREVER)},
        {"startsAt": text(FOREVER - timedelta(seconds=1)), "endsAt": text(FOREVER)},
        {"startsAt": None, "endsAt": None},
    ],
)
async def test_the_longest_windows_break_nobodys_list(house: House, window: dict[str, Any]) -> None:
    of = await record_of(house)
    made = await offers(house.ada, of, PAT | window)
    for _ in range(2):
        for caller in (house.ada, house.pat):
            assert await listed(caller) == [made["id"]]
            assert await medable.listed(caller) == [spelled(UUID(made["id"]))]
        seen = await one(house.pat, made["id"])
        for name, value in window.items():
            assert seen[name] == value
        if seen["status"] == "pending":
            await accepts(house.pat, made["id"])
    done(await ends(house.pat, made["id"]))
    await house.must_be_sound()


async def test_what_is_made_under_a_window_ends_with_it_at_the_latest(house: House) -> None:
    of = await record_of(house)
    over = house.clock.now + timedelta(days=3)
    await shared(house.ada, of, house.ben, address("ben"), 5, endsAt=text(over))
    made = await offers(house.ben, of, PAT)
    assert instant(made["endsAt"]) == over
    later = await offers(
        house.ben, of, {"email": address("rui"), "level": 4, "endsAt": text(over + timedelta(days=1))}
    )
    assert instant(later["endsAt"]) == over
    sooner = await offers(
        house.ben, of, {"email": address("zoe"), "level": 4, "endsAt": text(over - timedelta(days=1))}
    )
    assert instant(sooner["endsAt"]) == over - timedelta(days=1)
    late = {"email": address("mia"), "level": 4, "startsAt": text(over)}
    assert wrong(await unchanged(house, asks(house.ben, of, late)), 400, "wrong-target") == [
        "targets[0].startsAt"
    ]
    await accepts(house.pat, made["id"])
    at_instant(house, over - MICROSECOND)
    assert await access(house.pat, of) == 4
    at_instant(house, over)
    assert await access(house.pat, of) == 0
    await house.must_be_sound()
