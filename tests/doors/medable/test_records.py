"""/{org}/v2/{plural}: instances of objects, and what each level lets one see and do (contract 2.2, rulings 14c and 17)."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from cast import Caller, House
from doors.manners import UNKNOWN, bare, everything
from doors.medable.sharing import (
    AT,
    DRUG,
    access,
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
    spelled,
    token_of,
    unchanged,
    unverified,
    writes,
)
from hospitium.engine.accounts import actions as accounts
from hospitium.engine.ids import new_id, parse_id

EVERY = ["update", "share", "read", "connected"]
ENVELOPE = (
    "_id",
    "object",
    "access",
    "shared",
    "owner",
    "creator",
    "created",
    "updated",
    "connections",
    "isArchived",
)


async def test_whoever_makes_it_owns_it_and_reads_it_as_documented(house: House) -> None:
    await defines(house)
    made = done(
        await house.ben.post(
            f"{AT}/c_prescriptions", {"drug": "aspirin", "when": {"days": [1, 2]}, "note": None}
        )
    )
    ben = account_of(house, "ben")
    assert made == {
        "_id": made["_id"],
        "object": "c_prescription",
        "access": 7,
        "shared": False,
        "owner": {"_id": ben, "object": "account", "path": f"/accounts/{ben}"},
        "creator": {"_id": ben, "object": "account", "path": f"/accounts/{ben}"},
        "created": made["created"],
        "updated": made["created"],
        "isArchived": False,
        "drug": "aspirin",
        "when": {"days": [1, 2]},
        "note": None,
    }
    assert moment(made["created"])
    assert done(await house.ben.get(f"{AT}/c_prescriptions/{made['_id']}")) == made
    assert done(await house.ben.get(f"{AT}/c_prescriptions")) == {
        "data": [made],
        "hasMore": False,
        "object": "list",
    }
    # Not even the administrator of the organization, unless it is shared with her.
    for name in ("ada", "mia", "pat", "rui"):
        fault(
            await house.callers[name].get(f"{AT}/c_prescriptions/{made['_id']}"),
            404,
            "kNotFound",
            "notFound.instance",
        )
        assert done(await house.callers[name].get(f"{AT}/c_prescriptions"))["data"] == []
    empty = done(await house.pat.send("POST", f"{AT}/c_prescriptions"))  # ruling 14b: any account may
    assert empty["access"] == 7
    await house.must_be_sound()


async def test_each_level_shows_and_allows_what_it_says(house: House) -> None:
    await defines(house, shareChain=EVERY)
    record = await makes(house.ada)
    at = f"/c_prescriptions/{record}"
    whole = {
        "_id",
        "object",
        "access",
        "shared",
        "owner",
        "creator",
        "created",
        "updated",
        "isArchived",
        *DRUG,
    }
    for level in (0, 2, 4, 5, 6):
        made = await connected(house.ada, record, house.pat, address("pat"), level) if level else None
        seen = await house.pat.get(f"{AT}{at}")
        in_list = done(await house.pat.get(f"{AT}/c_prescriptions"))["data"]
        if level == 0:
            fault(seen, 404, "kNotFound")
        else:
            assert done(seen)["access"] == level
            assert done(seen).keys() == ({"_id", "object", "access"} if level < 4 else whole)
        assert [one["_id"] for one in in_list] == ([record] if level >= 4 else [])
        for method, body, needed in (
            ("PUT", {"drug": f"b{level}"}, 6),
            ("PATCH", {"isArchived": True}, 7),
            ("DELETE", None, 7),
        ):
            before = await everything(house)
            answered = (
                await writes(house.pat, method, at, body)
                if body
                else await house.pat.send(method, f"{AT}{at}")
            )
            if level >= needed:
                assert done(answered)["drug"] == f"b{level}"
                done(await writes(house.ada, "PUT", at, DRUG))
                continue
            if level == 0:
                fault(answered, 404, "kNotFound", "cortex.notFound.instance")
            else:
                fault(answered, 403, "kAccessDenied")
            assert await everything(house) == before
        if made is not None:
            done(await ends(house.ada, made))
    await house.must_be_sound()


async def test_what_is_not_there_and_what_is_not_for_one_are_one_answer(house: House) -> None:
    await defines(house)
    await defines(house, name="c_note")
    record, gone = await makes(house.ada), await makes(house.ada)
    done(await house.ada.send("DELETE", f"{AT}/c_prescriptions/{gone}"))
    never = await house.rui.get(f"{AT}/c_prescriptions/{UNKNOWN}")
    fault(never, 404, "kNotFound", "cortex.notFound.instance")
    for path in (record, gone, "5" * 24, "x", "%00", record + "0", account_of(house, "ada")):
        at = f"{AT}/c_prescriptions/{path}"
        assert bare(await house.rui.get(at)) == bare(never), path
        for method, body in (("PUT", b'{"a": 1}'), ("PATCH", b'{"isArchived": true}'), ("DELETE", b"")):
            answered = await unchanged(
                house, house.rui.send(method, at, body, Content_Type="application/json")
            )
            assert bare(answered) == bare(never), (method, path)
    assert bare(await house.ada.get(f"{AT}/c_notes/{record}")) == bare(never)
    assert bare(await house.ada.get(f"{AT}/c_prescriptions/{gone}")) == bare(never)
    for path in (
        "c_nothings",
        "c_nothings%00",
        "%00",
        "c_nothings/" + record,
        "c_prescription",
        "c_prescription/" + record,
    ):
        fault(await house.ada.get(f"{AT}/{path}"), 400, "kInvalidArgument", "cortex.invalidArgument.object")
    fault(
        await house.ada.get(f"/lakeside/v2/c_prescriptions/{record}"),
        400,
        "kInvalidArgument",
        "invalidArgument.object",
    )
    for method in ("GET", "PUT", "DELETE"):
        fault(await house.stranger.send(method, f"{AT}/c_prescriptions/{record}"), 403, "kNotLoggedIn")
    fault(await house.stranger.post(f"{AT}/c_prescriptions", DRUG), 403, "kNotLoggedIn")
    await house.must_be_sound()


async def test_put_replaces_the_whole_body(house: House) -> None:
    await defines(house)
    record = await makes(house.ada, body={"a": 1, "b": {"c": 2}})
    at = f"/c_prescriptions/{record}"
    house.clock.advance(seconds=3)
    replaced = done(await writes(house.ada, "PUT", at, {"b": [], "": "a name without letters"}))
    assert (replaced["b"], replaced[""], "a" in replaced) == ([], "a name without letters", False)
    assert moment(replaced["updated"]) > moment(replaced["created"])
    assert done(await house.ada.get(f"{AT}{at}")) == replaced
    assert (await house.trail(house.northside))[-1] == "record.updated"
    done(await writes(house.ada, "PUT", at, {}))
    assert "b" not in done(await house.ada.get(f"{AT}{at}"))
    await house.must_be_sound()


async def test_names_that_answers_use_themselves_are_refused(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    for name in (*ENVELOPE, "_", "_x", "__proto__"):
        for method, at in (("POST", "/c_prescriptions"), ("PUT", f"/c_prescriptions/{record}")):
            refused = await unchanged(house, writes(house.ada, method, at, {"drug": "x", name: 1}))
            answered = fault(refused, 400, "kValidationError")
            assert answered["path"] == answered["faults"][0]["path"] == name
    # Below the top they mean nothing.
    await makes(house.ada, body={"inner": dict.fromkeys(ENVELOPE, 1), "Access": 7, "accesS": 7, "owner_": 1})
    await house.must_be_sound()


async def test_it_refuses_what_is_no_object_of_json(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    wrong = (
        b"[]", b"null", b'"x"', b"7", b"{", b"{}{}", b'{"a": 1, "a": 2}', b'{"a": NaN}', b'{"a": 1e400}', b'{"a": -Infinity}',
        b'{"a": 1e-400}', b'{"a": 01}', b'{"a": "\\u0000"}', b'{"\\u0000": 1}', b'{"a": "\\ud800"}', b'{"a": "\xff"}', b"\xef\xbb\xbf{}",
        b'{"a": ' + b"[" * 70 + b"]" * 70 + b"}", b'{"a": 1' + b"0" * 5_000 + b"}",
    )  # fmt: skip
    for method, at in (("POST", f"{AT}/c_prescriptions"), ("PUT", f"{AT}/c_prescriptions/{record}")):
        for body in wrong:
            refused = await unchanged(
                house, house.ada.send(method, at, body, Content_Type="application/json")
            )
            fault(refused, 400, "kValidationError")
        refused = await unchanged(house, house.ada.send(method, at, b"{}", Content_Type="text/plain"))
        fault(refused, 415, "kInvalidArgument")
        refused = await unchanged(
            house,
            house.ada.send(method, at, b'{"a": "%s"}' % (b"x" * 1_000_001), Content_Type="application/json"),
        )
        fault(refused, 413, "kTooLarge")
    await house.must_be_sound()


async def test_numbers_and_texts_are_kept_exactly(house: House) -> None:
    await defines(house)
    sent = (
        b'{"dose": 0.10, "big": 12345678901234567890, "bigger": 123456789012345678901234567890.12345678901234567890,'
        b' "third": 0.333333333333333333333333333333, "minus": -0.50, "zero": 0.000, "one": 1.0,'
        b' "text": "\\u00e9 \\ud83d\\ude00 \\"q\\" \\\\ \\n", "deep": [{"x": 2.50}]}'
    )
    made = await house.ada.send("POST", f"{AT}/c_prescriptions", sent, Content_Type="application/json")
    record = done(made)["_id"]
    done(await house.ada.send("PUT", f"{AT}/c_prescriptions/{record}", sent, Content_Type="application/json"))
    (row,) = done(await house.ada.get(f"{AT}/c_prescriptions"))["data"]
    assert row["text"] == 'é \U0001f600 "q" \\ \n'
    for answer in (
        made,
        await house.ada.get(f"{AT}/c_prescriptions/{record}"),
        await house.ada.get(f"{AT}/c_prescriptions"),
    ):
        for digits in (
            '"dose":0.10', '"big":12345678901234567890,', '"bigger":123456789012345678901234567890.12345678901234567890',
            '"third":0.333333333333333333333333333333', '"minus":-0.50', '"zero":0.000', '"one":1.0', '"x":2.50',
        ):  # fmt: skip
            assert digits in answer.text.replace(": ", ":"), digits
    exact = json.loads(made.text, parse_float=Decimal)
    assert str(exact["dose"]) == "0.10"
    await house.must_be_sound()


async def test_what_is_small_when_sent_is_not_kept_large(house: House) -> None:
    # A number is kept with all its digits: a small body of large ones would be answered as fifty times as much.
    await defines(house)
    record = await makes(house.ada)
    for number in (b"1e308", b"1e-307"):
        body = b'{"a": [%s]}' % b",".join([number] * 20_000)
        for method, at in (("POST", "/c_prescriptions"), ("PUT", f"/c_prescriptions/{record}")):
            refused = await unchanged(
                house, house.ada.send(method, f"{AT}{at}", body, Content_Type="application/json")
            )
            assert fault(refused, 400, "kValidationError")["path"] == "body"
    large = b'{"a": [%s], "b": 6.02e23}' % b",".join([b"1"] * 490_000)
    done(await house.ada.send("POST", f"{AT}/c_prescriptions", large, Content_Type="application/json"))
    await house.must_be_sound()


async def test_only_whoever_has_proved_his_mailbox_makes_one(house: House) -> None:
    await defines(house)
    async with unverified(house, "pat"):
        refused = await unchanged(house, house.pat.post(f"{AT}/c_prescriptions", DRUG))
        fault(refused, 403, "kAccountNotVerified")
    await house.must_be_sound()


async def test_one_key_makes_it_once(house: House) -> None:
    await defines(house)
    first = await house.ada.post(f"{AT}/c_prescriptions", DRUG, Idempotency_Key="r-1")
    again = await unchanged(house, house.ada.post(f"{AT}/c_prescriptions", DRUG, Idempotency_Key="r-1"))
    assert bare(first) == bare(again)
    other = await unchanged(house, house.ada.post(f"{AT}/c_prescriptions", {}, Idempotency_Key="r-1"))
    fault(other, 422, "kInvalidArgument", "idempotencyKey")
    done(await house.ben.post(f"{AT}/c_prescriptions", DRUG, Idempotency_Key="r-1"))
    await house.must_be_sound()


async def test_what_is_archived_is_shared_with_nobody_and_stays_so_when_it_comes_back(house: House) -> None:
    await defines(house, shareChain=EVERY)
    record = await makes(house.ada)
    at = f"/c_prescriptions/{record}"
    active = await connected(house.ada, record, house.ben, address("ben"), 6)
    under = await connected(house.ben, record, house.mia, address("mia"), 4)
    waiting = await offers(house.ada, record, {"email": address("pat"), "access": 4})
    token = await token_of(house.pat, waiting["_id"])
    assert done(await house.ada.get(f"{AT}{at}"))["shared"] is True
    archived = done(await writes(house.ada, "PATCH", at, {"isArchived": True}))
    assert (archived["isArchived"], archived["shared"], archived["access"], archived["drug"]) == (
        True,
        False,
        7,
        "aspirin",
    )
    for caller in (house.ben, house.mia, house.pat):
        assert await access(caller, record) == 0
        assert await listed(caller) == []
    for one in (active, under, waiting["_id"]):
        fault(await house.ada.get(f"{AT}/connections/{one}"), 404, "kNotFound")
    assert await on_it(house.ada, record) == []
    fault(
        await house.pat.send("POST", f"{AT}/connections/{token}"), 400, "kInvalidArgument", "connectionToken"
    )
    for refused in (
        await unchanged(house, writes(house.ada, "PUT", at, {"drug": "x"})),
        await unchanged(house, writes(house.ada, "PATCH", at, {"isArchived": True})),
    ):
        fault(refused, 409, "kConflict", "cortex.conflict.state")
    assert [one["_id"] for one in done(await house.ada.get(f"{AT}/c_prescriptions"))["data"]] == [record]

    back = done(await writes(house.ada, "PATCH", at, {"isArchived": False}))
    assert (back["isArchived"], back["shared"]) == (False, False)
    assert await access(house.ben, record) == 0
    fault(await unchanged(house, writes(house.ada, "PATCH", at, {"isArchived": False})), 409, "kConflict")
    for body in ({}, {"isArchived": None}, {"isArchived": "true"}, {"isArchived": True, "drug": "x"}, []):
        fault(await unchanged(house, writes(house.ada, "PATCH", at, body)), 400, "kValidationError")
    done(await writes(house.ada, "PUT", at, {"drug": "x"}))
    trail = await house.trail(house.northside)
    assert [one for one in trail if one.startswith("record.")] == [
        "record.created", "record.archived", "record.unarchived", "record.updated",
    ]  # fmt: skip
    await house.must_be_sound()


async def test_what_is_deleted_is_gone_with_all_its_connections(house: House) -> None:
    await defines(house)
    record = await makes(house.ada, body={"drug": "a-canary"})
    active = await connected(house.ada, record, house.ben, address("ben"), 5)
    under = await connected(house.ben, record, house.mia, address("mia"), 4)
    waiting = await offers(house.ada, record, {"email": address("pat"), "access": 4})
    assert done(await house.ada.send("DELETE", f"{AT}/c_prescriptions/{record}")) == {
        "object": "result",
        "data": True,
    }
    for caller in (house.ada, house.ben, house.mia, house.pat):
        assert await access(caller, record) == 0
        assert await listed(caller) == []
        assert done(await caller.get(f"{AT}/c_prescriptions"))["data"] == []
    for one in (active, under, waiting["_id"]):
        fault(await house.ada.get(f"{AT}/connections/{one}"), 404, "kNotFound")
    fault(
        await shares(house.ada, record, {"email": address("pat"), "access": 4}),
        404,
        "kNotFound",
        "notFound.instance",
    )
    fault(
        await house.ada.send("DELETE", f"{AT}/c_prescriptions/{record}"),
        404,
        "kNotFound",
        "notFound.instance",
    )
    assert "a-canary" not in str(await everything(house))
    assert "a-canary" not in str(await house.rows("SELECT data::text FROM events"))
    await house.must_be_sound()


async def test_1001_of_them_are_paged_completely_and_once(house: House) -> None:
    type_id = (await defines(house))["_id"]
    first = await makes(house.ada)
    ids = [new_id(house.clock()) for _ in range(1_000)]
    await house.rows(
        "INSERT INTO records (id, organization_id, object_type_id, owner_id, creator_id, body, status, created_at, updated_at) "
        "SELECT n.id, r.organization_id, r.object_type_id, r.owner_id, r.creator_id, r.body, r.status, r.created_at, r.updated_at "
        "FROM unnest($1::uuid[]) AS n(id), (SELECT * FROM records LIMIT 1) AS r RETURNING id",
        ids,
    )
    for of, level in ((house.accounts["ada"], 7), (house.accounts["pat"], 4)):
        await house.rows(
            "INSERT INTO grants (id, grantee_kind, grantee_id, resource_kind, resource_type, resource_id, level, is_owner, starts_at, cause_kind) "
            "SELECT n.id, 'account', $3, 'record', g.resource_type, n.of::text, $4::int, $4::int = 7, g.starts_at, CASE WHEN $4::int = 7 THEN 'ownership' ELSE 'operator' END "
            "FROM unnest($1::uuid[], $2::uuid[]) AS n(id, of), (SELECT * FROM grants WHERE resource_kind = 'record' LIMIT 1) AS g RETURNING id",
            [new_id(house.clock()) for _ in ids], ids, of, level,
        )  # fmt: skip
    assert type_id
    every = sorted((spelled(one) for one in ids), reverse=True)
    for caller, wanted in ((house.ada, [*every, first]), (house.pat, every)):
        for way in ("skip", "after"):
            assert sorted(found := await by_pages(caller, way), reverse=True) == sorted(wanted, reverse=True)
            assert len(set(found)) == len(found)
            assert found == sorted(found, reverse=True)
    assert await by_pages(house.mia, "after") == []
    for wrong in ({"limit": "0"}, {"limit": "101"}, {"skip": "-1"}, {"skip": "10001"}, {"after": "x"}):
        fault(await house.ada.get(f"{AT}/c_prescriptions", **wrong), 400, "kValidationError")
    await house.must_be_sound()


async def by_pages(caller: Caller, way: str, at: str = "/c_prescriptions") -> list[str]:
    found: list[str] = []
    while True:
        where: dict[str, Any] = {} if not found else {way: len(found) if way == "skip" else found[-1]}
        page = done(await caller.get(f"{AT}{at}", limit=100, **where))
        found += [one["_id"] for one in page["data"]]
        if not page["hasMore"]:
            return found


async def test_of_an_external_object_only_the_id_lives_here(house: House) -> None:
    await defines(house, name="c_scan", storage="external")
    made = done(
        await house.ada.post(f"{AT}/c_scans", {"externalId": "PACS-7", "_id": "64b000000000000000000001"})
    )
    assert (made["_id"], made["access"]) == ("64b000000000000000000001", 7)
    assert "drug" not in made
    bodies: list[tuple[dict[str, Any], str]] = [
        ({"drug": "aspirin"}, "drug"),
        ({"_id": 7}, "_id"),
        ({"_id": "x"}, "_id"),
        ({"_id": "64b00000-0000-4000-8000-000000000001"}, "_id"),  # no id this surface can spell (ruling 6)
        ({"externalId": 7}, "externalId"),
        ({"externalId": ""}, "externalId"),
        ({"externalId": "a\nb"}, "externalId"),
    ]
    for body, path in bodies:
        refused = await unchanged(house, writes(house.ada, "POST", "/c_scans", body))
        assert fault(refused, 400, "kValidationError")["path"] == path, body
    # The other spelling of an id that another has is taken, too; its own is its own.
    uuid = str(parse_id(made["_id"]))
    for body, path in (
        ({"externalId": "PACS-7"}, "externalId"),
        ({"externalId": made["_id"]}, "externalId"),
        ({"externalId": made["_id"].upper()}, "externalId"),
        ({"externalId": uuid}, "externalId"),
        ({"_id": made["_id"]}, "_id"),
    ):
        refused = await unchanged(house, writes(house.ben, "POST", "/c_scans", body))
        assert fault(refused, 409, "kExists")["path"] == path
    for body in ({"_id": made["_id"]}, {"externalId": "other"}, {"drug": "x"}):
        refused = await unchanged(house, writes(house.ada, "PUT", f"/c_scans/{made['_id']}", body))
        fault(refused, 400, "kValidationError")
    # Its sharing is as any other's.
    shared = await connected(house.ada, made["_id"], house.pat, address("pat"), 4, plural="c_scans")
    assert await access(house.pat, made["_id"], "c_scans") == 4
    assert [one["_id"] for one in done(await house.pat.get(f"{AT}/c_scans"))["data"]] == [made["_id"]]
    done(await ends(house.pat, shared))
    assert await access(house.pat, made["_id"], "c_scans") == 0
    done(await house.ada.send("DELETE", f"{AT}/c_scans/{made['_id']}"))
    # Another may be called so then.
    done(await house.ada.post(f"{AT}/c_scans", {"externalId": "PACS-7"}))
    await house.must_be_sound()


async def test_an_id_that_is_an_external_id_already_is_taken(house: House) -> None:
    await defines(house, name="c_scan", storage="external")
    await defines(house, name="c_slide", storage="external")
    digits = [f"64b0000000000000000000a{n}" for n in range(5)]
    spellings = [digits[0], digits[1].upper(), str(parse_id(digits[2])), str(parse_id(digits[3])).upper()]
    for its_id, spelling in zip(digits, spellings, strict=False):
        done(await house.ada.post(f"{AT}/c_scans", {"externalId": spelling}))
        refused = await unchanged(house, writes(house.ada, "POST", "/c_scans", {"_id": its_id}))
        assert fault(refused, 409, "kExists")["path"] == "_id", spelling
        # What is called so in one type may have that id in another.
        done(await house.ada.post(f"{AT}/c_slides", {"_id": its_id}))
    own = done(await house.ada.post(f"{AT}/c_scans", {"_id": digits[4], "externalId": digits[4]}))
    assert own["_id"] == digits[4]
    await house.must_be_sound()


async def test_only_staff_say_how_an_instance_is_called(house: House) -> None:
    """Or whoever has an account would make one by the name under which the organization's application knows something else."""
    await defines(house, name="c_scan", storage="external")
    for caller in (house.pat, house.mia, house.rui):
        for body, path in (
            ({"externalId": "scan-42"}, "externalId"),
            ({"_id": "64b000000000000000000001"}, "_id"),
            ({"_id": "64b000000000000000000001", "externalId": "scan-42"}, "_id"),
        ):
            refused = await unchanged(house, writes(caller, "POST", "/c_scans", body))
            told = fault(refused, 403, "kAccessDenied")
            assert told["path"] == path
            assert "staff" in told["message"]
        done(await caller.post(f"{AT}/c_scans", {}))
    for number, caller in enumerate((house.ben, house.ada)):
        done(await caller.post(f"{AT}/c_scans", {"externalId": f"scan-{number}"}))
    await house.must_be_sound()


async def test_a_given_id_opens_nothing_that_has_the_same_one(house: House) -> None:
    await defines(house, name="c_scan", storage="external")
    ben = account_of(house, "ben")
    made = await connected(house.ben, ben, house.mia, address("mia"), 4, plural="accounts")
    refused = await unchanged(house, writes(house.ada, "POST", "/c_scans", {"_id": ben}))
    assert fault(refused, 409, "kExists")["path"] == "_id"
    fault(await house.pat.get(f"{AT}/c_scans/{ben}/connections"), 404, "kNotFound", "notFound.instance")
    assert [one["_id"] for one in await on_it(house.ben, ben, "accounts")] == [made]
    await house.must_be_sound()


@pytest.mark.parametrize("name", ["ada", "pat"])
async def test_whoever_is_disabled_gets_nowhere(house: House, name: str) -> None:
    await defines(house)
    record = await makes(house.ada)
    await connected(house.ada, record, house.pat, address("pat"), 4)
    await house.operate(lambda ctx: accounts.disable(ctx, address(name)))
    caller = house.callers[name]
    for path in (f"/c_prescriptions/{record}", "/c_prescriptions", "/connections", "/accounts/me"):
        fault(await caller.get(f"{AT}{path}"), 403, "kNotLoggedIn", "accessDenied.notLoggedIn")
    fault(await unchanged(house, caller.post(f"{AT}/c_prescriptions", DRUG)), 403, "kNotLoggedIn")
    await house.must_be_sound()
