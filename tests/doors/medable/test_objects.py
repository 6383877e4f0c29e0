"""/{org}/v2/objects: an administrator says which kinds of things there are, and how they may be shared."""

from __future__ import annotations

from typing import Any

from cast import House
from doors.manners import UNKNOWN, bare
from doors.medable.sharing import (
    AT,
    access,
    address,
    connected,
    defines,
    done,
    fault,
    makes,
    moment,
    offers,
    shares,
    unchanged,
    writes,
)

NOTE = {"name": "c_note", "pluralName": "c_notes", "label": "Note"}


async def test_it_has_the_documented_defaults(house: House) -> None:
    made = done(await house.ada.post(f"{AT}/objects", NOTE))
    assert made == {
        "_id": made["_id"],
        "object": "object",
        "name": "c_note",
        "pluralName": "c_notes",
        "label": "Note",
        "storage": "stored",
        "allowConnections": False,
        "connectionOptions": {"requireAccept": True, "sendNotifications": True, "requiredAccess": None},
        "shareChain": ["share", "read", "connected"],
        "actions": {},
        "created": made["created"],
        "updated": made["created"],
    }
    assert moment(made["created"])
    assert done(await house.ada.get(f"{AT}/objects/{made['_id']}")) == made
    assert done(await house.ada.get(f"{AT}/objects"))["data"] == [made]
    await house.must_be_sound()


async def test_a_chain_is_written_in_words_or_numbers_and_each_setting_is_kept(house: House) -> None:
    settings = {
        "allowConnections": True,
        "connectionOptions": {"requireAccept": False, "sendNotifications": False, "requiredAccess": 5},
        "shareChain": [4, "update", 5, "read"],
        "actions": {"write": 6, "can_read": 4, "Rx:sign.off-1": 7, "read": 5, "connect": 4},
    }
    made = done(await house.ada.post(f"{AT}/objects", {**NOTE, **settings, "storage": "external"}))
    assert made["shareChain"] == ["update", "share", "read"]
    assert (made["allowConnections"], made["connectionOptions"]) == (True, settings["connectionOptions"])
    assert made["storage"] == "external"
    assert made["actions"] == settings["actions"]
    empty = done(
        await writes(house.ada, "PUT", f"/objects/{made['_id']}", {"label": "Note", "shareChain": []})
    )
    assert (empty["shareChain"], empty["actions"]) == ([], {})
    # What isn't sent is as by default; names and storage stay.
    assert (empty["allowConnections"], empty["connectionOptions"]["requireAccept"]) == (False, True)
    assert (empty["name"], empty["storage"], empty["created"]) == ("c_note", "external", made["created"])
    assert empty["updated"] >= made["updated"]
    await house.must_be_sound()


async def test_only_an_administrator_of_that_organization_may(house: House) -> None:
    made = await defines(house)
    at, settings = f"/objects/{made['_id']}", {"label": "X"}

    async def asked(name: str) -> list[Any]:
        caller = house.stranger if name == "" else house.callers[name]
        return [
            await unchanged(house, caller.get(f"{AT}/objects")),
            await unchanged(house, caller.get(f"{AT}{at}")),
            await unchanged(house, writes(caller, "POST", "/objects", NOTE)),
            await unchanged(house, writes(caller, "PUT", at, settings)),
            await unchanged(house, caller.send("DELETE", f"{AT}{at}")),
        ]

    for name in ("ben", "mia", "pat", "rui", "zoe", "nia", "cal"):
        for one in await asked(name):
            fault(one, 403, "kAccessDenied")
    for one in await asked(""):
        fault(one, 403, "kNotLoggedIn")
    # Each organization has its own, and none of another's.
    theirs = done(await house.rui.post("/lakeside/v2/objects", NOTE))
    answered = await house.ada.get(f"{AT}/objects/{theirs['_id']}")
    fault(answered, 404, "kNotFound", "cortex.notFound.object")
    for unknown in (UNKNOWN, "5" * 24, "c_note", "x"):
        assert bare(await house.ada.get(f"{AT}/objects/{unknown}")) == bare(answered)
    for refused in (
        await unchanged(house, writes(house.ada, "PUT", f"/objects/{theirs['_id']}", settings)),
        await unchanged(house, house.ada.send("DELETE", f"{AT}/objects/{theirs['_id']}")),
    ):
        assert bare(refused) == bare(answered)
    await house.must_be_sound()


async def test_it_refuses_names_that_are_none_reserved_or_taken(house: House) -> None:
    await defines(house)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"name": ""}, "name"),
        ({"name": "C_note"}, "name"),
        ({"name": "1note"}, "name"),
        ({"name": "c-note"}, "name"),
        ({"name": "c_note\n"}, "name"),
        ({"name": "c_nöte"}, "name"),
        ({"name": "n" * 64}, "name"),
        ({"name": "account"}, "name"),
        ({"name": 7}, "name"),
        ({"pluralName": "connections"}, "pluralName"),
        ({"pluralName": "objects"}, "pluralName"),
        ({"pluralName": "accounts"}, "pluralName"),
        ({"pluralName": "c_note"}, "pluralName"),
        ({"pluralName": "c/notes"}, "pluralName"),
        ({"label": ""}, "label"),
        ({"label": "a\u202eb"}, "label"),
        ({"label": "x" * 1_000}, "label"),
        ({"storage": "elsewhere"}, "storage"),
        ({"allowConnections": "yes"}, "allowConnections"),
        ({"connectionOptions": {"requireAccept": None}}, "connectionOptions.requireAccept"),
        ({"connectionOptions": {"more": 1}}, "connectionOptions.more"),
        ({"connectionOptions": []}, "connectionOptions"),
        ({"shareChain": "read"}, "shareChain"),
        ({"shareAcl": []}, "shareAcl"),
        ({"actions": ["write"]}, "actions"),
        ({"actions": {"write": 3}}, "actions.write"),
        ({"actions": {"write": 1}}, "actions.write"),
        ({"actions": {"write": 8}}, "actions.write"),
        ({"actions": {"write": "update"}}, "actions[...]"),
        ({"actions": {"write": True}}, "actions[...]"),
        ({"actions": {"": 4}}, "actions"),
        ({"actions": {"wr ite": 4}}, "actions"),
        ({"actions": {"write\n": 4}}, "actions"),
        ({"actions": {"w" * 65: 4}}, "actions"),
        ({"actions": {f"a{n}": 4 for n in range(51)}}, "actions"),
        ({"_id": "5" * 24}, "_id"),
    ]
    for change, path in wrong:
        refused = await unchanged(house, writes(house.ada, "POST", "/objects", {**NOTE, **change}))
        assert fault(refused, 400, "kValidationError")["path"] == path, change
    for missing in NOTE:
        body = {name: value for name, value in NOTE.items() if name != missing}
        refused = await unchanged(house, writes(house.ada, "POST", "/objects", body))
        assert fault(refused, 400, "kValidationError")["path"] == missing
    for change, path in (
        ({"name": "c_prescription"}, "name"),
        ({"pluralName": "c_prescriptions"}, "pluralName"),
    ):
        refused = await unchanged(house, writes(house.ada, "POST", "/objects", {**NOTE, **change}))
        assert fault(refused, 409, "kExists")["path"] == path
    # Elsewhere the names are free.
    body = {**NOTE, "name": "c_prescription", "pluralName": "c_prescriptions"}
    done(await house.rui.post("/lakeside/v2/objects", body))
    await house.must_be_sound()


async def test_new_settings_change_nothing_that_is_shared_already(house: House) -> None:
    made = await defines(house)
    record = await makes(house.ada)
    await connected(house.ada, record, house.pat, address("pat"), 5)
    waiting = await offers(house.ada, record, {"email": address("mia"), "access": 2})
    done(
        await writes(house.ada, "PUT", f"/objects/{made['_id']}", {"label": "X", "shareChain": ["connected"]})
    )
    assert await access(house.pat, record) == 5
    fault(
        await shares(house.pat, record, {"email": address("zoe"), "access": 2}),
        403,
        "kAccessDenied",
        "connectionsDisabled",
    )
    assert waiting["_id"] in (await house.mia.get(f"{AT}/connections")).text
    assert (await house.trail(house.northside))[-1] == "object_type.changed"
    await house.must_be_sound()


async def test_it_is_dropped_when_it_has_no_instances_and_its_names_are_free_then(house: House) -> None:
    made = await defines(house)
    record = await makes(house.ada)
    refused = await unchanged(house, house.ada.send("DELETE", f"{AT}/objects/{made['_id']}"))
    fault(refused, 409, "kConflict", "cortex.conflict.state")
    done(await house.ada.send("DELETE", f"{AT}/c_prescriptions/{record}"))
    assert done(await house.ada.send("DELETE", f"{AT}/objects/{made['_id']}")) == {
        "object": "result",
        "data": True,
    }
    fault(await house.ada.get(f"{AT}/objects/{made['_id']}"), 404, "kNotFound", "notFound.object")
    fault(await house.ada.get(f"{AT}/c_prescriptions"), 400, "kInvalidArgument", "invalidArgument.object")
    again = await defines(house)
    assert again["_id"] != made["_id"]
    assert done(await house.ada.get(f"{AT}/c_prescriptions"))["data"] == []
    await house.must_be_sound()


async def test_one_key_defines_it_once(house: House) -> None:
    first = await house.ada.post(f"{AT}/objects", NOTE, Idempotency_Key="o-1")
    again = await unchanged(house, house.ada.post(f"{AT}/objects", NOTE, Idempotency_Key="o-1"))
    assert bare(first) == bare(again)
    other = await unchanged(
        house, house.ada.post(f"{AT}/objects", {**NOTE, "label": "X"}, Idempotency_Key="o-1")
    )
    fault(other, 422, "kInvalidArgument", "idempotencyKey")
    done(await house.ada.post(f"{AT}/objects", {**NOTE, "name": "c_other", "pluralName": "c_others"}))
    pages = [done(await house.ada.get(f"{AT}/objects", limit=1, skip=skip)) for skip in (0, 1)]
    assert [(page["data"][0]["name"], page["hasMore"]) for page in pages] == [
        ("c_other", True),
        ("c_note", False),
    ]
    await house.must_be_sound()
