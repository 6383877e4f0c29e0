"""POST /{org}/v2/{plural}/{id}/connections: somebody shares an instance (docs/dialects/medable.md)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from cast import House
from doors.conftest import Opening
from doors.manners import UNKNOWN, bare, everything
from doors.medable.sharing import (
    AT,
    DRUG,
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
    moment,
    offers,
    on_it,
    shares,
    token_of,
    unchanged,
    unverified,
    writes,
)
from hospitium.engine.accounts import actions as accounts

PAT = {"email": "pat@mail.example", "access": 4}
BANTING = {
    "object": "account",
    "email": "Fred.Banting@mail.example",
    "name": {"first": "Frederick", "last": "Banting"},
    "access": 4,
}


async def test_it_answers_in_the_documented_form(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    answered = done(await shares(house.ada, record, BANTING))
    assert answered.keys() == {"data", "hasMore", "object"}
    assert (answered["hasMore"], answered["object"]) == (False, "list")
    (made,) = answered["data"]
    ada = account_of(house, "ada")
    assert made == {
        "_id": made["_id"],
        "access": 4,
        "context": {"_id": record, "object": "c_prescription", "path": f"/c_prescriptions/{record}"},
        "contextSource": None,
        "created": made["created"],
        "creator": {"_id": ada, "object": "account", "path": f"/accounts/{ada}"},
        "expiresAt": made["expiresAt"],
        "object": "connection",
        "state": 0,
        "target": {"email": "Fred.Banting@mail.example", "name": {"first": "Frederick", "last": "Banting"}},
    }
    assert moment(made["expiresAt"]) - moment(made["created"]) == timedelta(days=7)
    assert len(made["_id"]) == 24
    assert int(made["_id"][:8], 16) == int(moment(made["created"]).timestamp())
    assert (await house.trail(house.northside))[-1] == "share.offered"
    await house.must_be_sound()


async def test_it_writes_to_the_target_and_shows_the_token_to_nobody_else(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    made = await offers(house.ada, record, PAT | {"name": {"first": "Pat"}})
    (mail,) = await house.mails()
    assert mail.to == "pat@mail.example"
    assert mail.subject == "Ada Cast at Northside Family Practice would like to share a Prescription"
    assert "Hello Pat" in mail.text
    assert mail.token == await token_of(house.pat, made["_id"])
    assert len(mail.token) == 32
    assert mail.token.isalnum()
    shown = [
        (await house.ada.get(f"{AT}/connections")).text,
        (await house.ada.get(f"{AT}/connections/{made['_id']}")).text,
        (await house.ada.get(f"{AT}/c_prescriptions/{record}/connections")).text,
        (await house.ada.get(f"{AT}/c_prescriptions/{record}")).text,
        str(made),
    ]
    for text in shown:
        assert mail.token not in text
        assert '"token"' not in text
    # Nor is it at rest: the row keeps what it is derived from, and its digest.
    assert mail.token not in str(await everything(house))
    assert mail.token not in str(await house.rows("SELECT data::text FROM events"))
    await house.must_be_sound()


async def test_it_makes_several_at_once_in_the_order_given(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    targets = [
        {"email": "zoe@harbor.example", "access": 2},
        {"_id": account_of(house, "mia"), "access": 5},
        {"object": "account", "_id": str(house.accounts["rui"]), "access": 4, "roles": [], "auto": False},
        {"email": "nobody@mail.example", "access": 4, "name": {"last": "Nobody"}},
    ]
    made = done(await shares(house.ada, record, *targets))["data"]
    assert [one["access"] for one in made] == [2, 5, 4, 4]
    assert [one["target"] for one in made] == [
        {"email": "zoe@harbor.example"},
        {"account": reference(account_of(house, "mia"))},
        {"account": reference(account_of(house, "rui"))},
        {"email": "nobody@mail.example", "name": {"last": "Nobody"}},
    ]
    assert len({one["_id"] for one in made}) == 4
    assert {one["state"] for one in made} == {0}
    # The newest first: of those made at one instant, too, in an order that stays.
    assert await listed(house.ada) == sorted((one["_id"] for one in made), reverse=True)
    assert {mail.to for mail in await house.mails()} == {
        "zoe@harbor.example",
        "mia@northside.example",
        "rui@lakeside.example",
        "nobody@mail.example",
    }
    await house.must_be_sound()


def reference(account: str) -> dict[str, str]:
    return {"_id": account, "object": "account", "path": f"/accounts/{account}"}


async def test_it_makes_all_or_none_and_tells_each_thing_that_is_wrong(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    good, own, high = PAT, {"email": "ADA@northside.example", "access": 4}, PAT | {"access": 7}
    refused = await unchanged(house, shares(house.ada, record, good, own))
    body = fault(refused, 400, "kInvalidArgument", "invalidArgument.connectionTarget")
    assert body["path"] == "targets[1].email"
    assert "faults" not in body
    refused = await unchanged(house, shares(house.ada, record, high, good, own, PAT))
    body = fault(refused, 403, "kAccessDenied", "accessDenied.shareAccess")
    assert [(one["status"], one["path"]) for one in body["faults"]] == [
        (403, "targets[0].access"),
        (400, "targets[2].email"),
        (409, "targets[3]"),
    ]
    assert {one["object"] for one in body["faults"]} == {"fault"}
    assert await house.mails() == []
    await house.must_be_sound()


async def test_it_refuses_a_target_that_is_none(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    await connected(house.ada, record, house.ben, address("ben"), 5)
    mia, ada = account_of(house, "mia"), account_of(house, "ada")
    wrong: list[Any] = [
        {"access": 2},
        {"access": 2, "email": None, "_id": None},
        {"access": 2, "email": "mia@northside.example", "_id": mia},
        {"access": 2, "email": ""},
        {"access": 2, "email": "mia"},
        {"access": 2, "email": "mia@northside"},
        {"access": 2, "email": "m ia@northside.example"},
        {"access": 2, "email": "mia@northside.example\r\nBcc: eve@mail.example"},
        {"access": 2, "email": 7},
        {"access": 2, "email": ["mia@northside.example"]},
        {"access": 2, "_id": UNKNOWN},
        {"access": 2, "_id": "5" * 24},
        {"access": 2, "_id": "me"},
        {"access": 2, "_id": mia[:-1]},
        {"access": 2, "_id": {"$ne": None}},
        {"access": 2, "_id": str(house.northside)},
        {"access": 2, "email": address("ben")},  # himself
        {"access": 2, "email": "BEN@NorthSide.example"},
        {"access": 2, "_id": account_of(house, "ben")},
        {"access": 2, "_id": ada},  # the owner
        {"access": 2, "email": address("mia"), "roles": ["5" * 24]},
        {"access": 2, "email": address("mia"), "roles": "all"},
        {"access": 2, "email": address("mia"), "state": 1},
        {"access": 2, "email": address("mia"), "token": "x"},
        {"access": 2, "email": address("mia"), "account": {"_id": mia}},
        {"access": 2, "email": address("mia"), "expiresAt": "2036-01-01T00:00:00Z"},
        {"access": 2, "email": address("mia"), "name": "Mia"},
        {"access": 2, "email": address("mia"), "name": {"middle": "M"}},
        {"access": 2, "email": address("mia"), "name": {"first": "Mia\nSubject: x"}},
        {"access": 2, "email": address("mia"), "name": {"first": "M" * 10_000}},
        {"access": 2, "email": address("mia"), "object": "org"},
        {"access": 2, "email": address("mia"), "object": "team"},
        {"access": 2, "_id": mia, "object": "team"},
        {"access": 2, "email": address("mia"), "auto": "yes"},
        {"access": 2, "email": address("mia"), "auto": 1},
        "mia@northside.example",
        None,
        [],
    ]
    before = await everything(house)
    for target in wrong:
        body = {"targets": [target]}
        refused = await house.ben.post(f"{AT}/c_prescriptions/{record}/connections", body)
        answered = fault(refused, 400, "kInvalidArgument", "invalidArgument.connectionTarget")
        assert answered["path"].startswith("targets["), answered
        assert answered["reason"], answered
    assert await everything(house) == before
    assert [mail.to for mail in await house.mails()] == [address("ada")]  # that ben has accepted
    await house.must_be_sound()


async def test_it_refuses_a_disabled_account_as_it_refuses_one_that_is_not_there(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    await house.operate(lambda ctx: accounts.disable(ctx, address("zoe")))
    disabled = await unchanged(
        house, shares(house.ada, record, {"_id": account_of(house, "zoe"), "access": 2})
    )
    fault(disabled, 400, "kInvalidArgument", "connectionTarget")
    unknown = await unchanged(house, shares(house.ada, record, {"_id": "5" * 24, "access": 2}))
    assert bare(disabled) == bare(unknown)
    # By its address nobody learns whether there is an account at all.
    answers = [
        await offers(house.ada, record, {"email": email, "access": 2})
        for email in (address("zoe"), address("rui"), "nobody@mail.example")
    ]
    assert [one["target"] for one in answers] == [
        {"email": address("zoe")},
        {"email": address("rui")},
        {"email": "nobody@mail.example"},
    ]
    assert len({frozenset(one) for one in answers}) == 1
    for one in done(await house.ada.get(f"{AT}/connections"))["data"]:
        assert one["target"].keys() == {"email"}
    await house.must_be_sound()


async def test_it_asks_for_targets(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    at = f"/c_prescriptions/{record}/connections"
    for body in ({}, {"targets": []}, {"targets": None}):
        refused = await unchanged(house, writes(house.ada, "POST", at, body))
        fault(refused, 400, "kInvalidArgument", "invalidArgument.noConnectionTargets")
    fault(await house.ada.post(f"{AT}{at}"), 400, "kInvalidArgument", "invalidArgument.noConnectionTargets")
    for body in ({"targets": "all"}, {"targets": PAT}, {"targets": [PAT], "auto": True}, [PAT], None, 7):
        refused = await unchanged(house, writes(house.ada, "POST", at, body))
        answered = fault(refused, 400, "kValidationError")
        assert answered["faults"][0]["path"] in ("targets", "auto", "body")
    for content in (b"{", b'{"targets": [], "targets": []}', b"\xff", b"{'targets': []}"):
        refused = await unchanged(
            house, house.ada.send("POST", f"{AT}{at}", content, Content_Type="application/json")
        )
        fault(refused, 400, "kValidationError")
    await house.must_be_sound()


async def test_it_takes_100_targets_and_no_more(house: House) -> None:
    await defines(house, connectionOptions={"sendNotifications": False})
    record = await makes(house.ada)
    many = [{"email": f"n{index}@mail.example", "access": 2} for index in range(101)]
    refused = await unchanged(house, shares(house.ada, record, *many))
    fault(refused, 413, "kTooLarge", "tooLarge.connectionTargets")
    refused = await unchanged(house, shares(house.ada, record, *[many[0]] * 101))
    fault(refused, 413, "kTooLarge", "tooLarge.connectionTargets")
    made = done(await shares(house.ada, record, *many[:100]))["data"]
    assert [one["target"]["email"] for one in made] == [one["email"] for one in many[:100]]
    await house.must_be_sound()


async def test_it_gives_less_than_one_has_and_only_what_is_in_the_share_chain(house: House) -> None:
    await defines(house)
    await defines(house, name="c_note", shareChain=["update", "share", "read"])
    await defines(house, name="c_scan", shareChain=["read"])
    # By object: what its owner may give, then what somebody may give who has that much.
    told: dict[str, dict[int, set[int]]] = {
        "c_prescriptions": {7: {5, 4, 2}, 5: {4, 2}, 4: set(), 2: set()},
        "c_notes": {7: {6, 5, 4}, 6: {5, 4}, 5: {4}, 4: set()},
        "c_scans": {7: {4}, 4: set()},
    }
    for plural, rows in told.items():
        record = await makes(house.ada, plural)
        holder, at = house.ada, f"/{plural}/{record}/connections"
        for own, allowed in rows.items():
            if own < 7:
                made = await offers_at(house, at, {"email": address("ben"), "access": own})
                await accepts(house.ben, made)
                holder = house.ben
            for level in (1, 2, 4, 5, 6, 7):
                body = {"targets": [PAT | {"access": level}]}
                if level in allowed:
                    granted = done(await writes(holder, "POST", at, body))["data"][0]
                    assert granted["access"] == level
                    done(await ends(holder, granted["_id"]))
                    continue
                refused = await unchanged(house, writes(holder, "POST", at, body))
                answered = fault(refused, 403, "kAccessDenied", "accessDenied.shareAccess")
                assert answered.get("path") == ("targets[0].access" if own >= 5 else None)
            if own < 7:
                done(await ends(house.ada, made))
    await house.must_be_sound()


async def offers_at(house: House, at: str, target: dict[str, Any]) -> str:
    made: str = done(await writes(house.ada, "POST", at, {"targets": [target]}))["data"][0]["_id"]
    return made


async def test_whoever_has_no_access_is_told_the_same_as_of_what_is_not_there(house: House) -> None:
    await defines(house)
    await defines(house, name="c_note")
    record, deleted = await makes(house.ada), await makes(house.ada)
    done(await house.ada.send("DELETE", f"{AT}/c_prescriptions/{deleted}"))
    refused = await unchanged(house, shares(house.rui, record, PAT))
    fault(refused, 404, "kNotFound", "notFound.instance")
    for unknown in (UNKNOWN, "5" * 24, "me", record[:-1], record + "0", "%00", deleted):
        assert bare(await shares(house.rui, unknown, PAT)) == bare(refused), unknown
    # An instance is only at the address of its own object.
    assert bare(await shares(house.ada, record, PAT, plural="c_notes")) == bare(refused)
    answered = await unchanged(house, shares(house.rui, record, PAT, plural="c_nothings"))
    fault(answered, 400, "kInvalidArgument", "invalidArgument.object")
    elsewhere = await house.ada.post(f"/lakeside/v2/c_prescriptions/{record}/connections", {"targets": [PAT]})
    fault(elsewhere, 400, "kInvalidArgument", "invalidArgument.object")
    for low in (2, 4):
        made = await connected(house.ada, record, house.rui, address("rui"), low)
        refused = await unchanged(house, shares(house.rui, record, PAT))
        fault(refused, 403, "kAccessDenied", "accessDenied.shareAccess")
        done(await ends(house.rui, made))
    fault(await unchanged(house, shares(house.stranger, record, PAT)), 403, "kNotLoggedIn", "notLoggedIn")
    await house.must_be_sound()


async def test_it_needs_an_object_that_allows_it_and_an_instance_that_is_not_archived(house: House) -> None:
    made = await defines(house)
    record = await makes(house.ada)
    done(await writes(house.ada, "PUT", f"/objects/{made['_id']}", {"label": "Prescription"}))
    refused = await unchanged(house, shares(house.ada, record, PAT))
    fault(refused, 403, "kAccessDenied", "accessDenied.connectionsDisabled")
    settings = {"label": "Prescription", "allowConnections": True}
    done(await writes(house.ada, "PUT", f"/objects/{made['_id']}", settings))
    done(await writes(house.ada, "PATCH", f"/c_prescriptions/{record}", {"isArchived": True}))
    refused = await unchanged(house, shares(house.ada, record, PAT))
    fault(refused, 403, "kAccessDenied", "accessDenied.connectionsDisabled")
    done(await writes(house.ada, "PATCH", f"/c_prescriptions/{record}", {"isArchived": False}))
    await offers(house.ada, record, PAT)
    # Whoever may not know of it learns nothing of its settings either.
    done(await writes(house.ada, "PUT", f"/objects/{made['_id']}", {"label": "Prescription"}))
    fault(await shares(house.rui, record, PAT), 404, "kNotFound", "notFound.instance")
    await house.must_be_sound()


async def test_whoever_has_not_proved_his_mailbox_may_not_share(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    async with unverified(house, "ada"):
        refused = await unchanged(house, shares(house.ada, record, PAT))
        fault(refused, 403, "kAccountNotVerified", "accessDenied.connectionRequiresVerification")
    await offers(house.ada, record, PAT)
    await house.must_be_sound()


async def test_the_same_target_twice_is_refused_while_the_first_is_there(house: House) -> None:
    await defines(house)
    record, other = await makes(house.ada), await makes(house.ada)
    mia = {"_id": account_of(house, "mia"), "access": 2}
    for target, again in (
        (PAT, PAT | {"email": " PAT@Mail.example"}),
        (mia, mia | {"_id": str(house.accounts["mia"])}),
    ):
        refused = await unchanged(house, shares(house.ada, record, target, again))
        assert fault(refused, 409, "kExists", "connectionExists")["path"] == "targets[1]"
        made = await offers(house.ada, record, target)
        refused = await unchanged(house, shares(house.ada, record, BANTING, again))
        assert fault(refused, 409, "kExists", "connectionExists")["path"] == "targets[1]"
        await accepts(house.mia if target is mia else house.pat, made["_id"])
        refused = await unchanged(house, shares(house.ada, record, again))
        fault(refused, 409, "kExists", "connectionExists")
        await offers(house.ada, other, target)
    # In the form given: that pat has this address is not for the creator to learn (ruling 14b).
    await offers(house.ada, record, {"_id": account_of(house, "pat"), "access": 2})
    await offers(house.ada, record, {"email": address("mia"), "access": 2})
    # Whoever else may share it meets the same: there is one for each target.
    await connected(house.ada, record, house.ben, address("ben"), 5)
    fault(await unchanged(house, shares(house.ben, record, PAT)), 409, "kExists", "connectionExists")
    await house.must_be_sound()


async def test_what_has_ended_or_run_out_stands_in_no_ones_way(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    made = await offers(house.ada, record, PAT)
    done(await ends(house.ada, made["_id"]))  # withdrawn
    made = await offers(house.ada, record, PAT)
    done(await ends(house.pat, made["_id"]))  # declined
    made = await connected(house.ada, record, house.pat, PAT["email"])
    done(await ends(house.pat, made))  # left
    made = await offers(house.ada, record, PAT)
    old = await token_of(house.pat, made["_id"])
    house.clock.now = moment(made["expiresAt"]) - timedelta(milliseconds=1)
    fault(await unchanged(house, shares(house.ada, record, PAT)), 409, "kExists", "connectionExists")
    house.clock.now = moment(made["expiresAt"]) + timedelta(milliseconds=1)  # nobody has swept
    again = await offers(house.ada, record, PAT)
    token = await token_of(house.pat, again["_id"])
    assert token != old
    fault(await house.pat.send("POST", f"{AT}/connections/{old}"), 400, "kInvalidArgument", "connectionToken")
    await accepts(house.pat, again["_id"])
    assert [one["_id"] for one in await on_it(house.ada, record)] == [again["_id"]]
    await house.must_be_sound()


async def test_whoever_else_may_share_it_shares_on_with_less(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    await connected(house.ada, record, house.ben, address("ben"), 5)
    made = await offers(house.ben, record, PAT)
    assert made["creator"]["_id"] == account_of(house, "ben")
    await accepts(house.pat, made["_id"])
    read = done(await house.pat.get(f"{AT}/c_prescriptions/{record}"))
    assert (read["access"], read["drug"]) == (4, DRUG["drug"])
    await house.must_be_sound()


async def test_the_owner_gains_nothing_by_an_offer_to_his_address(house: House) -> None:
    # Refusing it would tell whoever shares whose address it is; accepted, it gives what the owner has anyway.
    await defines(house)
    record = await makes(house.ada)
    await connected(house.ada, record, house.ben, address("ben"), 5)
    made = await offers(house.ben, record, {"email": address("ada"), "access": 4})
    await accepts(house.ada, made["_id"])
    assert done(await house.ada.get(f"{AT}/c_prescriptions/{record}"))["access"] == 7
    await house.must_be_sound()


async def test_one_key_makes_it_once(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    at, body = f"{AT}/c_prescriptions/{record}/connections", {"targets": [PAT]}
    first = await house.ada.post(at, body, Idempotency_Key="k-1")
    done(first)
    again = await unchanged(house, house.ada.post(at, body, Idempotency_Key="k-1"))
    assert bare(again) == bare(first)
    other = await unchanged(house, house.ada.post(at, {"targets": [BANTING]}, Idempotency_Key="k-1"))
    fault(other, 422, "kInvalidArgument", "invalidArgument.idempotencyKey")
    refused = await unchanged(house, house.ada.post(at, body, Idempotency_Key="k-2"))
    fault(refused, 409, "kExists", "connectionExists")
    # Somebody else's key is somebody else's.
    await connected(house.ada, record, house.ben, address("ben"), 5)
    done(await house.ben.post(at, {"targets": [BANTING]}, Idempotency_Key="k-1"))
    assert len(await house.mails(to="pat@mail.example")) == 1
    await house.must_be_sound()


async def test_it_writes_to_nobody_if_the_object_says_so(house: House) -> None:
    await defines(house, connectionOptions={"sendNotifications": False})
    record = await makes(house.ada)
    made = await offers(house.ada, record, PAT)
    assert await house.mails() == []
    await accepts(house.pat, made["_id"])
    assert await house.mails() == []
    await house.must_be_sound()


async def test_a_mailbox_gets_so_many_mails_an_hour_and_its_owner_sees_the_others_in_his_list(
    open_house: Opening,
) -> None:
    async with open_house(MAILBOX_MAILS_PER_HOUR="2") as house:
        await defines(house)
        made = [await offers(house.ada, await makes(house.ada), PAT) for _ in range(3)]
        assert len({frozenset(one) for one in made}) == 1
        assert len(await house.mails(to="pat@mail.example")) == 2
        for one in made:
            await accepts(house.pat, one["_id"])
        await house.must_be_sound()


async def test_one_account_writes_to_so_many_an_hour_and_is_told(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    for batch in range(2):
        many = [{"email": f"n{batch}-{index}@mail.example", "access": 2} for index in range(100)]
        done(await shares(house.ada, record, *many))
    refused = await unchanged(house, shares(house.ada, record, PAT))
    fault(refused, 429, "kTooManyRequests")
    house.clock.advance(minutes=1)
    done(await shares(house.ada, record, PAT))
    await house.must_be_sound()


@pytest.mark.parametrize("name", ["ada", "ben"])
async def test_it_takes_the_form_of_the_ids_that_other_surfaces_print(house: House, name: str) -> None:
    await defines(house)
    record = await makes(house.callers[name])
    target = {"_id": str(house.accounts["mia"]).upper(), "access": 4}
    made = await offers(house.callers[name], record.upper(), target)
    assert made["context"]["_id"] == record
    assert made["target"]["account"]["_id"] == account_of(house, "mia")
    await house.must_be_sound()
