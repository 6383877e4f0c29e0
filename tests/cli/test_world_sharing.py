"""What a world file says of sharing: teams, object types, records, shares, client keys, service keys; each created, left, or refused by its path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from cast import House
from doors.manners import everything
from doors.medable.sharing import AT, access, account_of, address, defines, done, listed, makes, offers
from hospitium.doors.cli import world
from hospitium.doors.cli.main import print_loaded
from hospitium.doors.cli.world import Made
from hospitium.doors.cli.world_invites import Means
from hospitium.doors.cli.world_sharing import Sharing
from hospitium.engine.client_keys.actions import KEY_FORM
from hospitium.engine.errors import Invalid
from hospitium.engine.ids import parse_id, to_object_id
from hospitium.engine.permissions import Permission
from hospitium.engine.secrets import ServiceKeyText
from hospitium.engine.service_keys.actions import KEY_FORM as SERVICE_KEY_FORM
from hospitium.engine.shares.record import ShareStatus

if TYPE_CHECKING:
    from hospitium.doors.cli.world_entries import Loaded

ADA, BEN, MIA, RUI, PAT, ZOE = map(address, ("ada", "ben", "mia", "rui", "pat", "zoe"))
ZED = "zed@mail.example"
KEY = "a-key-of-the-portal-1"
TYPE = {
    "organization": "northside", "name": "c_prescription", "pluralName": "c_prescriptions", "label": "Prescription",
    "allowConnections": True, "shareChain": [5, 4, 2], "actions": {"write": 6, "read": 5},
}  # fmt: skip
SCAN = {
    **TYPE, "name": "c_scan", "pluralName": "c_scans", "label": "Scan", "storage": "external",
    "connectionOptions": {"requireAccept": False, "sendNotifications": False, "requiredAccess": 4},
}  # fmt: skip
TEAM = {"organization": "northside", "name": "Cardiology", "owner": BEN, "members": [MIA]}
RX = {"organization": "northside", "type": "c_prescription", "owner": ADA}
RX_1 = {**RX, "externalId": "rx-1", "body": {"drug": "aspirin"}}
SHARE = {"organization": "northside", "type": "c_prescription", "record": "rx-1", "by": ADA}
TO_PAT = {**SHARE, "to": PAT}
PORTAL = {"organization": "northside", "name": "portal", "key": KEY}
SERVICE_KEY = "hsk_" + "a1B2" * 12
ASKER = {"organization": "northside", "name": "portal", "scopes": ["list", "check"], "key": SERVICE_KEY}
ID = "576967021d0c03a53cd79fd7"


def whole(**more: Any) -> dict[str, Any]:
    """Return a world with one thing of each kind; `more` takes the place of a section."""
    return {
        "teams": [TEAM], "objectTypes": [TYPE], "records": [RX_1], "shares": [TO_PAT], "clientKeys": [PORTAL], "serviceKeys": [ASKER],
        **more,
    }  # fmt: skip


async def loaded(house: House, content: dict[str, Any]) -> list[Loaded]:
    given = world.world_of(content)
    made = Made(means=Means(house.parts.link_key))
    found: list[Loaded] = await house.operate(lambda ctx: world.load(ctx, given, made, house.parts.rules))
    return found


async def load(house: House, content: dict[str, Any]) -> dict[str, tuple[int, int]]:
    """Load a world; return how many were created and there already of each kind there is something of."""
    return {
        one.kind: (one.created, one.present)
        for one in await loaded(house, content)
        if one.created + one.present
    }


# -- what is right -----------------------------------------------------------------------------------------------------


async def test_everything_is_created_and_another_time_there_already(house: House) -> None:
    content = whole(shares=[TO_PAT, {**SHARE, "team": "cardiology", "status": "active"}])
    counts = {"teams": 1, "objectTypes": 1, "records": 1, "shares": 2, "clientKeys": 1, "serviceKeys": 1}
    assert await load(house, content) == {kind: (count, 0) for kind, count in counts.items()}
    before = await everything(house)
    assert await load(house, content) == {kind: (0, count) for kind, count in counts.items()}
    assert await everything(house) == before
    await house.must_be_sound()


async def test_what_is_loaded_is_there_at_the_surface(house: House) -> None:
    await load(
        house,
        whole(objectTypes=[TYPE, SCAN], records=[RX_1, {**RX, "type": "c_scan", "externalId": "scan-1"}]),
    )
    kinds = {one["name"]: one for one in done(await house.ada.get(f"{AT}/objects"))["data"]}
    for given in (TYPE, SCAN):
        found = kinds[given["name"]]
        for name in ("pluralName", "label", "allowConnections"):
            assert found[name] == given[name]
        assert found["shareChain"] == ["share", "read", "connected"]
    assert kinds["c_scan"]["connectionOptions"] == SCAN["connectionOptions"]
    (record,) = done(await house.ada.get(f"{AT}/c_prescriptions"))["data"]
    assert (record["drug"], record["owner"]["_id"]) == ("aspirin", account_of(house, "ada"))
    (team,) = (await house.ben.get("/v1/teams")).json()["teams"]
    assert (team["name"], team["ownerId"]) == ("Cardiology", str(house.accounts["ben"]))
    members = (await house.mia.get(f"/v1/teams/{team['id']}/members")).json()["members"]
    assert {one["accountId"] for one in members} == {str(house.accounts[name]) for name in ("ben", "mia")}
    (waiting,) = done(await house.pat.get(f"{AT}/connections"))["data"]
    assert (waiting["state"], waiting["access"]) == (0, 4)
    accepted = done(await house.pat.send("POST", f"{AT}/connections/{waiting['token']}"))
    assert accepted["state"] == 1
    assert await access(house.pat, record["_id"]) == 4
    await house.must_be_sound()


async def test_no_mail_is_sent_for_any(house: House) -> None:
    await load(house, whole(shares=[TO_PAT, {**SHARE, "to": RUI, "status": "active"}]))
    assert await house.rows("SELECT 1 FROM deliveries") == []


async def test_shares_come_in_every_status_with_the_grants_they_have(house: House) -> None:
    statuses = [status for status in ShareStatus if status is not ShareStatus.MERGED]
    await load(house, whole(
        records=[{**RX, "externalId": status} for status in statuses],
        shares=[{**TO_PAT, "record": status, "status": status} for status in statuses],
    ))  # fmt: skip
    rows = await house.rows("SELECT status FROM shares")
    assert sorted(status for (status,) in rows) == sorted(statuses)
    granted = await house.rows(
        "SELECT s.status FROM grants g JOIN shares s ON s.id = g.cause_id WHERE g.ends_at IS NULL"
    )
    assert [status for (status,) in granted] == ["active"]
    for status in statuses:
        (row,) = await house.rows("SELECT id FROM records WHERE external_id = $1", status)
        assert await access(house.pat, str(row["id"])) == (4 if status is ShareStatus.ACTIVE else 0)
    assert len(await listed(house.pat)) == 2
    await house.must_be_sound()


async def test_what_was_shared_is_shared_on_under_it(house: House) -> None:
    """So that it ends with what it rests on (ruling 14a)."""
    await load(house, whole(shares=[
        {**TO_PAT, "access": 5, "status": "active"},
        {**SHARE, "by": PAT, "to": RUI, "access": 4, "status": "active"},
    ]))  # fmt: skip
    (row,) = await house.rows("SELECT id FROM records")
    assert [await access(one, str(row["id"])) for one in (house.pat, house.rui)] == [5, 4]
    (first,) = await house.rows("SELECT id FROM shares WHERE creator_id = $1", house.accounts["ada"])
    done(await house.ada.send("DELETE", f"{AT}/connections/{first['id']}"))
    assert [await access(one, str(row["id"])) for one in (house.pat, house.rui)] == [0, 0]
    await house.must_be_sound()


async def test_whom_nobody_knows_may_be_waited_for(house: House) -> None:
    await load(house, whole(shares=[{**SHARE, "to": ZED}]))
    await house.add_person("zed", None)
    assert [tuple(row) for row in await house.rows("SELECT target_email, target_account_id FROM shares")] == [
        (ZED, None)
    ]
    await house.must_be_sound()


async def test_it_finds_what_is_there_by_its_natural_key_and_leaves_it(house: House) -> None:
    await load(house, whole(shares=[{**TO_PAT, "status": "declined"}]))
    before = await everything(house)
    again = {
        "teams": [{**TEAM, "name": " CARDIOLOGY ", "owner": ADA}],
        "objectTypes": [{**TYPE, "label": "Other", "allowConnections": False}],
        "records": [{**RX_1, "owner": BEN, "body": {"drug": "other"}}],
        "shares": [{**TO_PAT, "to": "PAT@mail.example", "access": 5, "status": "active"}],
        "clientKeys": [{**PORTAL, "name": " portal ", "key": "another-key-of-it"}],
    }
    assert await load(house, again) == dict.fromkeys(again, (0, 1))
    assert await everything(house) == before


async def test_it_adds_to_what_the_surface_made(house: House) -> None:
    await defines(house)
    record = await makes(house.ada)
    await offers(house.ada, record, {"email": PAT, "access": 4})
    content = {
        "shares": [{**TO_PAT, "record": record}, {**TO_PAT, "record": record, "to": RUI}],
        "objectTypes": [TYPE],
    }
    assert await load(house, content) == {"objectTypes": (0, 1), "shares": (1, 1)}
    await house.must_be_sound()


async def test_ids_that_are_given_are_kept(house: House) -> None:
    ids = [f"{ID[:-1]}{digit}" for digit in "0123"]
    as_uuid = str(parse_id(ids[1]))
    content = {
        "teams": [{**TEAM, "id": ids[0]}],
        "objectTypes": [{**TYPE, "id": as_uuid}],
        "records": [{**RX, "id": ids[2].upper(), "body": {}}],
        "shares": [{**TO_PAT, "record": ids[2], "id": ids[3]}],
    }
    await load(house, content)
    found = [
        await house.rows(f"SELECT id FROM {table}")
        for table in ("teams", "object_types", "records", "shares")
    ]
    assert [to_object_id(row["id"]) for (row,) in found] == ids
    assert await listed(house.pat) == [ids[3]]
    assert await load(house, content) == dict.fromkeys(content, (0, 1))
    # A record is known by either: its id, or the name an application gave it.
    assert (await load(house, {"records": [{**RX, "id": ids[2], "externalId": "rx-9"}]}))["records"] == (0, 1)


async def test_a_record_may_be_called_what_looks_like_an_id(house: House) -> None:
    called = {**RX, "externalId": ID}
    await load(house, whole(records=[called], shares=[{**TO_PAT, "record": ID}]))
    assert [row["external_id"] for row in await house.rows("SELECT external_id FROM records")] == [ID]


# -- client keys -------------------------------------------------------------------------------------------------------


async def test_a_client_key_that_is_given_works_at_the_surface_and_is_not_shown(house: House) -> None:
    found = await loaded(house, whole())
    assert [one.shown for one in found if one.kind == "clientKeys"] == [[]]
    await house.rows(
        "UPDATE organizations SET requires_client_key = true WHERE code = 'northside' RETURNING id"
    )
    assert (await house.ada.get(f"{AT}/objects")).status_code == 403
    for key, status in ((KEY, 200), ("a-key-of-somebody", 404)):
        answered = await house.ada.send("GET", f"{AT}/objects", Medable_Client_Key=key)
        assert answered.status_code == status


async def test_a_client_key_that_is_made_is_shown_once(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    unsaid = {"clientKeys": [{"organization": "northside", "name": "portal"}]}
    first, again = await loaded(house, unsaid), await loaded(house, unsaid)
    (shown,) = next(one.shown for one in first if one.kind == "clientKeys")
    assert shown.startswith("northside portal: ")
    key = shown.partition(": ")[2]
    assert KEY_FORM.fullmatch(key)
    assert (await house.ada.send("GET", f"{AT}/objects", Medable_Client_Key=key)).status_code == 200
    capsys.readouterr()
    for as_json in (False, True):
        print_loaded(first, as_json=as_json)
        assert capsys.readouterr().out.count(key) == 1
        print_loaded(again, as_json=as_json)
        assert key not in capsys.readouterr().out
    assert key not in repr(await everything(house))


async def test_an_organization_may_ask_for_a_key_from_the_beginning(house: House) -> None:
    await load(house, {
        "organizations": [{"code": "strict", "name": "Strict Clinic", "type": "both", "requiresClientKey": True}],
        "clientKeys": [{**PORTAL, "organization": "strict"}],
    })  # fmt: skip
    assert (await house.ada.get("/strict/v2/connections")).status_code == 403
    answered = await house.ada.send("GET", "/strict/v2/connections", Medable_Client_Key=KEY)
    assert answered.status_code == 200


async def test_an_ended_client_key_makes_room_for_another_of_its_name(house: House) -> None:
    await load(house, whole())
    await house.rows("UPDATE client_keys SET ended_at = made_at RETURNING id")
    assert await load(house, {"clientKeys": [{**PORTAL, "key": "the-next-key-of-it"}]}) == {
        "clientKeys": (1, 0)
    }


async def test_a_service_key_is_good_for_its_scopes_and_shown_once_if_it_is_made(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    content = {"serviceKeys": [ASKER, {"organization": "northside", "name": "made", "scopes": ["events"]}]}
    first = await loaded(house, content)
    (shown,) = next(one.shown for one in first if one.kind == "serviceKeys")
    assert shown.startswith("northside made: ")
    key = shown.partition(": ")[2]
    assert SERVICE_KEY_FORM.fullmatch(key)
    print_loaded(first, as_json=False)
    said = capsys.readouterr().out
    assert (said.count(key), SERVICE_KEY in said) == (1, False)

    async def scopes(of: str) -> list[str]:
        async def deed(ctx: Any) -> list[str]:
            return sorted(ctx.actor.scopes)

        permission = Permission.SEE_EVENTS if of == key else Permission.CHECK_ACCESS
        return await house.parts.work.perform_for(ServiceKeyText(of), permission, deed)

    assert (await scopes(SERVICE_KEY), await scopes(key)) == (["check", "list"], ["events"])
    again = await loaded(house, content)
    assert [(one.present, one.shown) for one in again if one.kind == "serviceKeys"] == [(2, [])]
    await house.rows("UPDATE service_keys SET ended_at = made_at RETURNING id")
    next_key = {**ASKER, "key": SERVICE_KEY + "x"}
    assert await load(house, {"serviceKeys": [next_key]}) == {"serviceKeys": (1, 0)}
    await house.must_be_sound()


async def test_what_applications_call_actions_comes_with_a_type(house: House) -> None:
    await load(house, {"objectTypes": [TYPE]})
    (made,) = done(await house.ada.get(f"{AT}/objects"))["data"]
    assert made["actions"] == {"write": 6, "read": 5}


# -- what is wrong -----------------------------------------------------------------------------------------------------


def several(section: str, *entries: dict[str, Any]) -> dict[str, Any]:
    return whole(**{section: list(entries)})


OTHER = {**TYPE, "name": "c_other", "pluralName": "c_others"}
CLOSED = {**OTHER, "allowConnections": False}
WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("a team of nobody", several("teams", {**TEAM, "organization": "nowhere"}), "teams[0].organization: there is no organization nowhere"),
    ("a blank team", several("teams", {**TEAM, "name": " "}), "teams[0].name: must not be blank"),
    ("an unknown owner", several("teams", {**TEAM, "owner": ZED}), "teams[0].owner: there is no account zed@mail.example"),
    ("an owner that is no address", several("teams", {**TEAM, "owner": "ben"}), "teams[0].owner: "),
    ("an owner from elsewhere", several("teams", {**TEAM, "owner": RUI}), "teams[0].owner: is no member of the organization"),
    ("an unknown member", several("teams", {**TEAM, "members": [MIA, ZED]}), "teams[0].members[1]: there is no account"),
    ("a member from elsewhere", several("teams", {**TEAM, "members": [MIA, PAT]}), "teams[0].members[1]: is no member of the organization"),
    ("a member twice", several("teams", {**TEAM, "members": [MIA, ADA, MIA]}), "teams[0].members[2]: is named twice"),
    ("a member that is none", several("teams", {**TEAM, "members": [7]}), "teams[0].members[0]: must be"),
    ("a team twice", several("teams", TEAM, {**TEAM, "name": "CARDIOLOGY"}), "teams[1].name: stands in this file twice"),
    ("a team's id", several("teams", {**TEAM, "id": "d9c34349-3e81-41bf-8113-27bc01dcaa9d"}), "teams[0].id: must be 24 hexadecimal digits"),
    ("two teams' id", several("teams", {**TEAM, "id": ID}, {**TEAM, "name": "Other", "id": ID}), "teams[1].id: is taken"),
    ("no owner", several("teams", {"organization": "northside", "name": "x"}), "teams[0].owner: is required"),
    ("a type of nobody", several("objectTypes", {**TYPE, "organization": "nowhere"}), "objectTypes[0].organization: "),
    ("a type's name", several("objectTypes", {**TYPE, "name": "C Prescription"}), "objectTypes[0].name: must be 1 to 63"),
    ("a type's plural", several("objectTypes", {**TYPE, "pluralName": "7"}), "objectTypes[0].pluralName: must be 1 to 63"),
    ("one name for both", several("objectTypes", {**TYPE, "pluralName": "c_prescription"}), "objectTypes[0].pluralName: must differ"),
    ("a plural twice", several("objectTypes", TYPE, {**TYPE, "name": "c_other"}), "objectTypes[1].pluralName: is taken"),
    ("a type twice", several("objectTypes", TYPE, TYPE), "objectTypes[1].name: stands in this file twice"),
    ("an action at no level", several("objectTypes", {**TYPE, "actions": {"write": 3}}), "objectTypes[0].actions.write: must be one of 2, 4, 5, 6, 7"),
    ("an action of no name", several("objectTypes", {**TYPE, "actions": {"wr ite": 6}}), "objectTypes[0].actions: must have names of 1 to 64"),
    ("a level in a word", several("objectTypes", {**TYPE, "actions": {"write": "update"}}), "objectTypes[0].actions[...]: must be a whole number"),
    ("a service key of no organization", several("serviceKeys", {**ASKER, "organization": "nowhere"}), "serviceKeys[0].organization: there is no organization nowhere"),
    ("a service key for nothing", several("serviceKeys", {**ASKER, "scopes": []}), "serviceKeys[0].scopes: must name at least one"),
    ("a service key for something else", several("serviceKeys", {**ASKER, "scopes": ["check", "write"]}), "serviceKeys[0].scopes[1]: must be one of check, list, explain, events"),
    ("a service key of another form", several("serviceKeys", {**ASKER, "key": KEY}), "serviceKeys[0].key: must be hsk_ and 43 to 200 letters and digits"),
    ("a service key twice", several("serviceKeys", ASKER, {**ASKER, "key": None}), "serviceKeys[1].name: stands in this file twice"),
    ("a key of two service keys", several("serviceKeys", ASKER, {**ASKER, "name": "other"}), "serviceKeys[1].key: is taken"),
    ("a blank name of a service key", several("serviceKeys", {**ASKER, "name": " "}), "serviceKeys[0].name: must not be blank"),
    ("a reserved name", several("objectTypes", {**TYPE, "pluralName": "accounts"}), "objectTypes[0].pluralName: is reserved"),
    ("no label", several("objectTypes", {**TYPE, "label": ""}), "objectTypes[0].label: must not be blank"),
    ("a level never given", several("objectTypes", {**TYPE, "shareChain": [3]}), "objectTypes[0].shareChain[0]: must be 2, 4, 5 or 6"),
    ("the second such level", several("objectTypes", {**TYPE, "shareChain": [4, 7]}), "objectTypes[0].shareChain[1]: must be 2, 4, 5 or 6"),
    ("a word in the chain", several("objectTypes", {**TYPE, "shareChain": ["4"]}), "objectTypes[0].shareChain[0]: must be"),
    ("a level asked for", several("objectTypes", {**TYPE, "connectionOptions": {"requiredAccess": 9}}), "objectTypes[0].connectionOptions.requiredAccess: must be 1 to 7"),
    ("an unknown option", several("objectTypes", {**TYPE, "connectionOptions": {"colour": 1}}), "objectTypes[0].connectionOptions.colour: is not known here"),
    ("an unknown storage", several("objectTypes", {**TYPE, "storage": "cloud"}), "objectTypes[0].storage: "),
    ("two types' id", several("objectTypes", {**TYPE, "id": ID}, {**OTHER, "id": ID}), "objectTypes[1].id: is taken"),
    ("a record of no type", several("records", {**RX_1, "type": "c_nothing"}), "records[0].type: northside has no object type c_nothing"),
    ("a record of another's type", several("records", {**RX_1, "organization": "lakeside"}), "records[0].type: lakeside has no object type"),
    ("an unknown owner of a record", several("records", RX_1, {**RX, "externalId": "rx-2", "owner": ZED}), "records[1].owner: there is no account"),
    ("an owner of a record that is no address", several("records", {**RX_1, "owner": "ada"}), "records[0].owner: "),
    ("a record nobody knows again", several("records", RX), "records[0].id: or externalId is required"),
    ("a record twice", several("records", RX_1, {**RX_1, "id": ID}), "records[1].externalId: stands in this file twice"),
    ("a record's id twice", several("records", RX_1, {**RX, "id": ID}, {**RX, "id": ID}), "records[2].id: stands in this file twice"),
    ("a record's id that is none", several("records", {**RX_1, "id": "7"}), "records[0].id: must be a UUID"),
    ("a name of ours in a body", several("records", {**RX_1, "body": {"owner": "x"}}), "records[0].body.owner: is a name that answers use"),
    ("an underscore in a body", several("records", {**RX_1, "body": {"_x": 1}}), "records[0].body._x: is a name that answers use"),
    ("a body kept elsewhere", whole(objectTypes=[TYPE, SCAN], records=[{**RX_1, "type": "c_scan"}]), "records[0].body.drug: is not kept here"),
    ("a body that is none", several("records", {**RX_1, "body": [1]}), "records[0].body: must be an object"),
    ("a share of nothing", several("shares", {**TO_PAT, "record": "rx-7"}), "shares[0].record: there is no c_prescription rx-7"),
    ("a share of an unknown id", several("shares", {**TO_PAT, "record": ID}), "shares[0].record: there is no c_prescription"),
    ("a share of no type", several("shares", {**TO_PAT, "type": "c_nothing"}), "shares[0].type: northside has no object type"),
    ("a share by nobody", several("shares", {**TO_PAT, "by": ZED}), "shares[0].by: there is no account"),
    ("a share by who may not", several("shares", {**SHARE, "by": BEN, "to": PAT}), "shares[0]: Sharing it needs access level 5 on it"),
    ("a share to nobody", several("shares", SHARE), "shares[0].to: or team must be given"),
    ("a share to two", several("shares", {**TO_PAT, "team": "Cardiology"}), "shares[0].to: or team must be given"),
    ("a third that is no address", several("shares", TO_PAT, {**SHARE, "to": RUI}, {**SHARE, "to": "rui"}), "shares[2].to: "),
    ("a share with oneself", several("shares", {**SHARE, "to": ADA}), "shares[0].to: is the sharer's own"),
    ("a share with no team", several("shares", {**SHARE, "team": "Nobody"}), "shares[0].team: there is no team Nobody"),
    ("a share twice", several("shares", TO_PAT, {**TO_PAT, "to": PAT.upper()}), "shares[1].to: stands in this file twice"),
    ("a team's share twice", several("shares", {**SHARE, "team": "Cardiology"}, {**SHARE, "team": "cardiology"}), "shares[1].team: stands in this file twice"),
    ("an unknown share status", several("shares", {**TO_PAT, "status": "gone"}), "shares[0].status: "),
    ("a merged share", several("shares", {**TO_PAT, "status": "merged"}), "shares[0].status: can't be merged"),
    ("accepted by nobody", several("shares", {**SHARE, "to": ZED, "status": "active"}), "shares[0].to: must be the address of an account"),
    ("a level that is none", several("shares", {**TO_PAT, "access": 3}), "shares[0].access: must be a whole number"),
    ("a level not in the chain", several("shares", {**TO_PAT, "access": 6}), "shares[0].access: With your access level of 7 you may give 5, 4, 2"),
    ("more than one has", several("shares", {**TO_PAT, "access": 5, "status": "active"}, {**SHARE, "by": PAT, "to": RUI, "access": 5}), "shares[1].access: With your access level of 5"),
    ("a type that isn't shared", whole(objectTypes=[TYPE, CLOSED], records=[RX_1, {**RX, "type": "c_other", "externalId": "x"}], shares=[{**TO_PAT, "type": "c_other", "record": "x"}]), "shares[0]: Records of this type are not shared"),
    ("two shares' id", several("shares", {**TO_PAT, "id": ID}, {**SHARE, "to": RUI, "id": ID}), "shares[1].id: is taken"),
    ("a key of nobody", several("clientKeys", {**PORTAL, "organization": "nowhere"}), "clientKeys[0].organization: "),
    ("a short key", several("clientKeys", {**PORTAL, "key": "short"}), "clientKeys[0].key: must be 16 to 200 visible ASCII"),
    ("a key with a space", several("clientKeys", {**PORTAL, "key": "a key with spaces"}), "clientKeys[0].key: must be 16 to 200 visible ASCII"),
    ("two keys of a name", several("clientKeys", PORTAL, {**PORTAL, "key": "another-key-of-it"}), "clientKeys[1].name: stands in this file twice"),
    ("one key twice", several("clientKeys", PORTAL, {**PORTAL, "name": "app"}), "clientKeys[1].key: is taken"),
    ("a blank name of a key", several("clientKeys", {**PORTAL, "name": " "}), "clientKeys[0].name: must not be blank"),
    ("a key with an id", several("clientKeys", {**PORTAL, "id": ID}), "clientKeys[0].id: is not known here"),
]  # fmt: skip


async def test_a_wrong_entry_refuses_the_whole_file_and_is_named(house: House) -> None:
    before = await everything(house)
    for what, content, says in WRONG:
        with pytest.raises(Invalid) as refusal:
            await load(
                house,
                {"organizations": [{"code": "brand-new", "name": "Brand New", "type": "both"}], **content},
            )
        assert str(refusal.value).startswith(says), (what, str(refusal.value))
        assert KEY not in str(refusal.value)
        assert SERVICE_KEY not in str(refusal.value)
        assert await everything(house) == before, what
    # The control: without what is wrong it is taken.
    assert len(await load(house, whole())) == 6


async def test_a_team_of_another_organization_is_none_to_share_with(house: House) -> None:
    """A team of one organization is none of another's, by whatever name."""
    await load(house, {"teams": [{**TEAM, "organization": "harbor", "owner": ZOE, "members": []}]})
    with pytest.raises(Invalid, match="there is no team Cardiology"):
        await load(house, whole(teams=[], shares=[{**SHARE, "team": "Cardiology"}]))


def test_every_section_has_its_wrong_entries() -> None:
    sections = set(Sharing.__struct_encode_fields__)
    named = {says.partition("[")[0] for _, _, says in WRONG}
    assert named == sections
    assert set(whole()) == sections


async def test_a_file_without_shares_needs_no_keys(house: House) -> None:
    given = world.world_of(whole(shares=[]))
    await house.operate(lambda ctx: world.load(ctx, given, Made(), house.parts.rules))
    with pytest.raises(Invalid, match="need the keys of this installation"):
        await house.operate(lambda ctx: world.load(ctx, world.world_of(whole()), Made(), house.parts.rules))


async def test_an_external_id_is_known_again_however_it_is_written(house: House) -> None:
    decomposed, composed = {**RX_1, "externalId": "re\u0301my"}, {**RX_1, "externalId": "r\u00e9my"}
    for record in (decomposed, decomposed, composed):
        await load(house, whole(records=[record], shares=[{**TO_PAT, "record": record["externalId"]}]))
    assert [row["external_id"] for row in await house.rows("SELECT external_id FROM records")] == [
        "r\u00e9my"
    ]
    assert len(await house.rows("SELECT id FROM shares")) == 1


async def test_an_external_id_that_is_another_records_id_is_refused(house: House) -> None:
    records = [{**RX_1, "id": ID}, {**RX, "externalId": str(parse_id(ID))}]
    with pytest.raises(Invalid, match=r"records\[1\].externalId: is taken"):
        await loaded(house, whole(records=records, shares=[]))
    with pytest.raises(Invalid, match=r"records\[1\].id: is taken"):
        await loaded(house, whole(records=[{**RX, "externalId": ID}, {**RX, "id": ID}], shares=[]))
