"""Levels that are none, wherever a level is sent: each is the contract's fault, and changes nothing (threats A-15)."""

from __future__ import annotations

from cast import House
from doors.manners import everything
from doors.medable.sharing import (
    AT,
    accepts,
    access,
    address,
    defines,
    fault,
    makes,
    offers,
    token_of,
    unchanged,
    writes,
)

NO_LEVELS = (
    b"0", b"3", b"8", b"-1", b"5.5", b"4.0", b"4e0", b'"4"', b'""', b"9223372036854775808", b"-9223372036854775808",
    b"18446744073709551620", b"4294967300", b"true", b"false", b"null", b"[4]", b"[]", b"{}", b'{"$gt": 0}',
)  # fmt: skip
NO_JSON = (b"NaN", b"Infinity", b"-Infinity", b"1e400", b"04", b"+4", b"0x4", b"4,")
NEVER_GIVEN = (b"1", b"6", b"7")


async def test_a_level_that_is_none_makes_no_connection(house: House) -> None:
    await defines(house)
    at = f"{AT}/c_prescriptions/{await makes(house.ada)}/connections"
    before = await everything(house)
    for target in (b'"email": "pat@mail.example"', b'"_id": "%s"' % str(house.accounts["pat"]).encode()):
        for sent in NO_LEVELS:
            body = b'{"targets": [{%s, "access": %s}]}' % (target, sent)
            refused = await house.ada.send("POST", at, body, Content_Type="application/json")
            answered = fault(refused, 400, "kInvalidArgument", "invalidArgument.connectionTarget")
            assert answered["path"] == "targets[0].access", sent
        for sent in NO_JSON:
            body = b'{"targets": [{%s, "access": %s}]}' % (target, sent)
            refused = await house.ada.send("POST", at, body, Content_Type="application/json")
            fault(refused, 400, "kValidationError")
        for sent in NEVER_GIVEN:
            body = b'{"targets": [{%s, "access": %s}]}' % (target, sent)
            refused = await house.ada.send("POST", at, body, Content_Type="application/json")
            answered = fault(refused, 403, "kAccessDenied", "accessDenied.shareAccess")
            assert answered["path"] == "targets[0].access", sent
        missing = b'{"targets": [{%s}]}' % target
        refused = await house.ada.send("POST", at, missing, Content_Type="application/json")
        answered = fault(refused, 400, "kInvalidArgument", "invalidArgument.connectionTarget")
        assert answered["path"].endswith(".access")
        twice = b'{"targets": [{%s, "access": 2, "access": 7}]}' % target
        refused = await house.ada.send("POST", at, twice, Content_Type="application/json")
        fault(refused, 400, "kValidationError")
    assert await everything(house) == before
    assert await house.mails() == []
    await house.must_be_sound()


async def test_a_level_that_is_none_changes_no_connection(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    waiting = await offers(house.ada, record, {"email": "pat@mail.example", "access": 4})
    active = await offers(house.ada, record, {"email": address("mia"), "access": 4})
    await accepts(house.mia, active["_id"])
    before = await everything(house)
    for one in (waiting, active):
        at = f"{AT}/connections/{one['_id']}"
        for sent in NO_LEVELS:
            body = b'{"access": %s}' % sent
            refused = await house.ada.send("PATCH", at, body, Content_Type="application/json")
            answered = fault(refused, 400, "kInvalidArgument", "invalidArgument.connectionTarget")
            assert answered["path"] == "access", sent
        for sent in NO_JSON:
            body = b'{"access": %s}' % sent
            refused = await house.ada.send("PATCH", at, body, Content_Type="application/json")
            fault(refused, 400, "kValidationError")
        for sent in NEVER_GIVEN:
            body = b'{"access": %s}' % sent
            refused = await house.ada.send("PATCH", at, body, Content_Type="application/json")
            fault(refused, 403, "kAccessDenied", "accessDenied.shareAccess")
        fault(await house.ada.send("PATCH", at), 400, "kValidationError")
    assert await everything(house) == before
    assert await access(house.mia, record) == 4
    await house.must_be_sound()


async def test_a_share_chain_holds_no_level_that_is_never_given(house: House) -> None:
    body = {"name": "c_note", "pluralName": "c_notes", "label": "Note"}
    for wrong in (0, 1, 3, 7, 8, -1, 5.5, True, None, "4", "delete", "owner", "public", "script", [4], 2**63):
        refused = await unchanged(
            house, writes(house.ada, "POST", "/objects", {**body, "shareChain": ["read", wrong]})
        )
        answered = fault(refused, 400, "kValidationError")
        assert answered["path"] == "shareChain[1]", wrong
    for wrong in (0, 8, -1, 5.5, True, "5", [5], 2**63):
        refused = await unchanged(
            house,
            writes(house.ada, "POST", "/objects", {**body, "connectionOptions": {"requiredAccess": wrong}}),
        )
        fault(refused, 400, "kValidationError")
    await house.must_be_sound()


async def test_more_in_what_accepts_it_gives_no_more(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    made = await offers(house.ada, record, {"email": "pat@mail.example", "access": 2})
    token = await token_of(house.pat, made["_id"])
    body = {"access": 7, "state": 1, "target": {}, "role": "admin"}
    accepted = await writes(house.pat, "POST", f"/connections/{token}", body)
    assert accepted.json()["access"] == 2
    assert await access(house.pat, record) == 2
    await house.must_be_sound()
