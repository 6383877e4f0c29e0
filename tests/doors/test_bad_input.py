"""Bad input at every address of the four JSON surfaces, generated from their tables of routes.

Whatever is sent, the answer is 4xx in the surface's own envelope, names what is wrong, changes nothing and gives nothing
of the inside away. A new route is covered from its first day: one that takes a body must say here what a good body is.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from typing import Any, NamedTuple
from uuid import UUID

import httpx
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from msgspec import inspect

from cast import PASSWORD, Caller, House, connected, data
from clinic import ANSWER, JANE, PATIENTS, QUESTION, Clinic, add_server, body as body_of, load, makes_person
from doors.conftest import Opening
from doors.manners import UNKNOWN, bare, everything, partner
from doors.medable import sharing
from fakes.authorities import authority
from hospitium.doors.bluebutton.grants import GrantBody
from hospitium.doors.bluebutton.invite_shapes import (
    AcceptBody,
    AcceptByCodeBody,
    CodeInviteBody,
    CodeRegistrationBody,
    EmailInviteBody,
    FindBody,
    ReissueBody,
)
from hospitium.doors.bluebutton.person_shapes import (
    PersonAcceptBody,
    PersonBody,
    PersonOfferBody,
    PersonOwnerBody,
    PersonRoleBody,
)
from hospitium.doors.bluebutton.routes import ROUTES as BLUEBUTTON
from hospitium.doors.json_body import LARGEST_BODY
from hospitium.doors.medable.accounts import AccountLogin, RegisterBody, VerifyBody
from hospitium.doors.medable.connection_shapes import ConnectionsBody, LevelBody
from hospitium.doors.medable.objects import ObjectBody, ObjectSettings
from hospitium.doors.medable.records import ArchiveBody, RecordBody
from hospitium.doors.medable.routes import ROUTES as MEDABLE
from hospitium.doors.native import account_shapes as accounts
from hospitium.doors.native.access_shapes import ExplainBody
from hospitium.doors.native.fhir_servers import FhirServerBody, FhirServerChanges
from hospitium.doors.native.invite_shapes import InviteRowsBody, SlipBody
from hospitium.doors.native.members import MemberChanges
from hospitium.doors.native.offers import JoiningBody, LookBody, OfferBody
from hospitium.doors.native.organizations import ProfileChanges, RegistrationBody
from hospitium.doors.native.routes import ROUTES as NATIVE
from hospitium.doors.native.service_keys import ServiceKeyBody
from hospitium.doors.native.sessions import OrganizationBody, RenewalBody, SignInBody
from hospitium.doors.native.shares import ShareBody, ShareLevelBody, ShareTokenBody
from hospitium.doors.native.teams import TeamBody, TeamChanges, TeamMemberBody
from hospitium.doors.radorderpad.auth import LoginBody, RefreshBody
from hospitium.doors.radorderpad.connection_shapes import EmptyBody
from hospitium.doors.radorderpad.connections import MessageBody, RequestBody, ResponseBody, TerminateBody
from hospitium.doors.radorderpad.routes import ROUTES as RADORDERPAD
from hospitium.engine.ids import parse_id

JSON = {"Content_Type": "application/json"}
SERVER_OWNED = (
    "status", "id", "sourceId", "version", "role", "requestDate", "isAdmin", "createdAt", "accountId", "tenant", "__proto__",
    "target_organization_id", "constructor", "", " message", "Message", "$ref", "`", "a\nb",
)  # fmt: skip
SECRET = "a quiet green harbour"
ROOT = authority()
LINKED = {"token": "x" * 32, "password": SECRET}
LEAKS = re.compile(
    r"Traceback|File \"|\.py\b|asyncpg|msgspec|litestar|sqlalchemy|uvicorn|postgres|site-packages|SELECT |INSERT |UPDATE "
    r"|\$\d|partnerships_|/home/|/root/|/tmp/|hospitium\."
)


class Door(NamedTuple):
    """One address that takes a body, and what a good one looks like."""

    method: str
    path: str
    shape: type[msgspec.Struct]
    body: dict[str, Any]
    anonymous: bool = False
    more: tuple[tuple[str, str], ...] = ()  # headers it asks for

    @property
    def loose(self) -> bool:
        """Whether it takes any members: those of a record are whatever its type is about."""
        return self.shape is RecordBody

    def headers_of(self, caller: Caller) -> list[tuple[str, str]]:
        return [*caller.headers.items(), *((name.replace("_", "-"), value) for name, value in self.more)]

    async def sends(self, caller: Caller, content: bytes, **headers: str) -> httpx.Response:
        return await caller.send(self.method, self.path, content, **dict(self.more), **headers)


class World(NamedTuple):
    """A house in which every address would do its work, if it were asked properly."""

    house: House
    doors: list[Door]
    connections: dict[str, str]
    parts: dict[str, str]

    def filled(self, path: str) -> str:
        """Return an address whose every part is of something that is there."""
        return re.sub(r"\{(\w+):str\}", lambda found: self.parts[found[1]], path)


@pytest.fixture
async def house(open_house: Opening) -> AsyncIterator[House]:
    """A house that counts no tries: here many are made, and how they are limited is told elsewhere."""
    many = dict.fromkeys(
        ("ADDRESS_FAILURES_PER_MINUTE", "ACCOUNT_FAILURES_PER_HOUR", "UNKNOWN_CODES_PER_MINUTE"), "1000000"
    )
    async with open_house(**many) as opened:
        yield opened


@pytest.fixture
async def world(house: House) -> AsyncIterator[World]:
    connections = {}
    asked = data(await house.ada.asks(house.lakeside, "Hello"), 201)["connectionId"]
    connections["cancel"] = connections["see"] = asked
    asked = data(await house.zoe.asks(house.northside), 201)["connectionId"]
    connections["approve"] = connections["reject"] = asked
    elm = await partner(house, "elm")
    asked = data(await house.ada.asks(house.organizations["elm"]), 201)["connectionId"]
    data(await elm.does("reject", asked))
    connections["resend"] = asked
    for code, verb in (("oak", "terminate"), ("ash", "reestablish")):
        admin = await partner(house, code)
        connections[verb] = await connected(house.ada, house.organizations[code], admin)
    data(await house.ada.does("terminate", connections["reestablish"], {"reason": "Over"}))

    def one(verb: str) -> str:
        return f"/api/connections/{connections[verb]}/{verb}"

    await partner(house, "yew")
    person = {"firstName": "Eve", "lastName": "Moor"}
    things = await _things(house)
    team, record, share, at = (things[name] for name in ("team", "record", "share", "at"))
    to_eve, v2 = {"email": "eve@mail.example"}, sharing.AT
    doors = [
        Door("POST", "/api/auth/login", LoginBody, {"email": "ada@northside.example", "password": PASSWORD}, anonymous=True),
        Door("POST", "/api/auth/refresh", RefreshBody, {"refreshToken": "x" * 32}, anonymous=True),
        Door("POST", "/api/connections/request", RequestBody, {"targetOrganizationId": str(house.organizations["yew"]), "message": "Hello"}),
        Door("POST", one("approve"), ResponseBody, {"responseMessage": "Yes"}),
        Door("POST", one("reject"), ResponseBody, {"responseMessage": "No"}),
        Door("POST", one("cancel"), EmptyBody, {}),
        Door("POST", one("resend"), MessageBody, {"message": "Again"}),
        Door("POST", one("terminate"), TerminateBody, {"reason": "Over", "handlePendingOrders": "complete", "targetConnectionId": UNKNOWN}),
        Door("POST", one("reestablish"), MessageBody, {"message": "Again"}),
        Door("POST", "/v1/sessions/organization", OrganizationBody, {"organizationId": str(house.northside)}),
        Door("POST", "/v1/organizations", RegistrationBody, {
            "code": "fir", "name": "Fir", "type": "both", "npi": "1234567893", "taxId": "1", "address": "1", "city": "1",
            "state": "1", "zipCode": "1", "phone": "1", "website": "https://fir.example", "contactName": "1",
            "contactEmail": "desk@fir.example", "contactPhone": "1", "specialties": ["MRI"], "requiresClientKey": False,
        }),
        Door("POST", "/v1/accounts", accounts.AccountBody, {**person, "email": "eve@mail.example", "password": SECRET, "language": "es"}, anonymous=True),
        Door("POST", "/v1/accounts/confirmation", accounts.AddressBody, {"email": "eve@mail.example", "language": "es"}, anonymous=True),
        Door("POST", "/v1/accounts/confirm", accounts.ProofBody, LINKED, anonymous=True),
        Door("POST", "/v1/accounts/claim", accounts.NewPasswordBody, LINKED, anonymous=True),
        Door("POST", "/v1/accounts/password-reset", accounts.AddressBody, {"email": "eve@mail.example", "language": "es"}, anonymous=True),
        Door("POST", "/v1/accounts/password", accounts.NewPasswordBody, LINKED, anonymous=True),
        Door("POST", "/v1/accounts/email", accounts.ProofBody, LINKED, anonymous=True),
        Door("PATCH", "/v1/accounts/own", accounts.AccountChanges, {**person, "language": "es"}),
        Door("POST", "/v1/accounts/own/password", accounts.ChangedPasswordBody, {"currentPassword": SECRET, "password": SECRET}),
        Door("POST", "/v1/accounts/own/email", accounts.EmailBody, {"email": "eve@mail.example", "password": SECRET}),
        Door("POST", "/v1/accounts/own/deletion", accounts.PasswordBody, {"password": SECRET}),
        Door("POST", "/v1/sessions", SignInBody, {"email": "ada@northside.example", "password": PASSWORD, "organizationId": str(house.northside)}, anonymous=True),
        Door("POST", "/v1/sessions/renewal", RenewalBody, {"refreshToken": "x" * 32}, anonymous=True),
        Door("PATCH", f"/v1/members/{house.accounts['mia']}", MemberChanges, {"role": "scheduler", "externalId": "mia-1"}),
        Door("POST", "/v1/offers", OfferBody, {"email": "eve@mail.example", "role": "physician", "language": "es"}),
        Door("POST", "/v1/offers/preview", LookBody, {"token": "x" * 32}, anonymous=True),
        Door("POST", "/v1/offers/accept", JoiningBody, {**LINKED, **person, "language": "es"}, anonymous=True),
        Door("POST", "/v1/teams", TeamBody, {"name": "Radiology"}),
        Door("POST", f"/v1/teams/{team}/members", TeamMemberBody, {"accountId": str(house.accounts["ada"])}),
        Door("POST", f"/v1/teams/{things['other team']}/members", TeamMemberBody, {"email": "ben@northside.example"}),
        Door("PATCH", f"/v1/teams/{team}", TeamChanges, {"name": "Hearts", "ownerId": str(house.accounts["mia"])}),
        Door("POST", "/v1/shares", ShareBody, {"recordId": record, "targets": [{**to_eve, "level": 4}]}),
        Door("PATCH", f"/v1/shares/{share}", ShareLevelBody, {"level": 2}),
        Door("POST", "/v1/shares/preview", ShareTokenBody, {"token": things["token"]}, anonymous=True),
        Door("POST", "/v1/shares/accept", ShareTokenBody, {"token": things["token"]}),
        Door("POST", "/v1/fhir-servers", FhirServerBody, {
            "name": "Main", "kind": "remote", "baseUrl": "https://fhir.example/r4", "credentials": {"user": "clinic", "password": SECRET},
            "authoritiesPem": ROOT.pem,
        }),
        Door("PATCH", f"/v1/fhir-servers/{things['remote server']}", FhirServerChanges, {
            "name": "Second", "baseUrl": "https://fhir.example/r4b", "credentials": {"bearerToken": "x" * 32},
            "authoritiesPem": ROOT.pem,
        }),
        Door("POST", "/v1/service-keys", ServiceKeyBody, {"name": "Portal", "scopes": ["check", "list"]}),
        Door("POST", "/v1/access/explain", ExplainBody, {
            "subject": {"type": "account", "id": str(house.accounts["ada"])}, "action": {"name": "read"},
            "resource": {"type": "c_prescription", "id": things["to archive"]},
        }),
        Door("POST", "/v1/invites/bulk", InviteRowsBody, {
            "fhirServerId": things["server"],
            "invites": [{"key": "1", "accessiblePatientId": JANE, "securityQuestion": "Pet?", "securityAnswer": "Charlie", "language": "es"}],
        }),
        Door("POST", "/v1/invites/slip", SlipBody, {"securityCode": things["code to find"], "language": "es"}),
        *_bluebutton(things, str(house.accounts["mia"])),
        Door("POST", f"{v2}/accounts/login", AccountLogin, {"email": "ada@northside.example", "password": PASSWORD}, anonymous=True),
        Door("POST", f"{v2}/accounts/register", RegisterBody, {"email": "eve@mail.example", "password": SECRET, "name": {"first": "Eve"}, "locale": "es"}, anonymous=True),
        Door("POST", f"{v2}/accounts/verify", VerifyBody, LINKED, anonymous=True),
        Door("POST", f"{v2}/accounts/{house.accounts['ada']}/connections", ConnectionsBody, {"targets": [{**to_eve, "access": 4}]}),
        Door("POST", f"{v2}/objects", ObjectBody, {
            "name": "c_scan", "pluralName": "c_scans", "label": "Scan", "storage": "stored", "allowConnections": True,
            "connectionOptions": {"requireAccept": True}, "shareChain": ["read"], "actions": {"write": 6},
        }),
        Door("PUT", f"{v2}/objects/{things['type']}", ObjectSettings, {"label": "Note", "allowConnections": True, "connectionOptions": {}, "shareChain": [4], "actions": {}}),
        Door("PATCH", f"{v2}/connections/{things['connection']}", LevelBody, {"access": 2}),
        Door("POST", f"{v2}/c_prescriptions", RecordBody, {"drug": "aspirin", "dose": 100}),
        Door("PUT", at, RecordBody, {"drug": "aspirin", "dose": 100}),
        Door("PATCH", f"{v2}/c_prescriptions/{things['to archive']}", ArchiveBody, {"isArchived": True}),
        Door("POST", f"{at}/connections", ConnectionsBody, {"targets": [{"email": "rui@lakeside.example", "access": 4}]}),
        Door("PATCH", "/v1/organizations/own", ProfileChanges, {
            "name": "Fir", "type": "both", "npi": "1234567893", "taxId": "1", "address": "1", "city": "1",
            "state": "1", "zipCode": "1", "phone": "1", "website": "https://fir.example", "contactName": "1",
            "contactEmail": "desk@fir.example", "contactPhone": "1", "specialties": ["MRI"], "requiresClientKey": False,
        }),
    ]  # fmt: skip
    parts = {
        "connection_id": connections["see"], "organization_id": str(house.lakeside), "account_id": str(house.accounts["mia"]),
        "session_id": UNKNOWN, "offer_id": UNKNOWN, "team_id": team, "share_id": share, "server_id": things["remote server"], "key_id": UNKNOWN, "patient_id": UNKNOWN,
        "code": things["code to register"], "grant_id": UNKNOWN, "person_id": things["person"], "user_id": str(house.accounts["mia"]),
        "org": "northside", "plural": "c_prescriptions", "id": record, "which": things["connection"],
    }  # fmt: skip
    yield World(house, doors, connections, parts)
    await house.must_be_sound()


def _bluebutton(things: dict[str, str], mia: str) -> list[Door]:
    """Return the addresses of invites, grants and persons, in an order in which each does its work."""
    at, invites, persons = "/OrganizationInvites/security-details", "/OrganizationInvites", "/Persons"
    context = (("FhirServerId_Context", things["server"]),)
    search = {"accessiblePatientId": JANE, "accessiblePatientIdentifierSearchStr": "urn:mrn|N-1"}
    question, person = {"securityQuestion": QUESTION, "securityAnswer": ANSWER}, things["person"]
    said = {
        "firstName": "Kim", "middleName": "Lee", "lastName": "Moor", "gender": "Other", "birthDate": "2019-04-05", "addressLine1": "1", "addressLine2": "2",
        "city": "Dayton", "state": "OH", "zipCode": "45402", "relationship": "Child", "identifiers": [], "contacts": [],
    }  # fmt: skip
    who = {"email": "jo@mail.example", "password": SECRET, "confirmPassword": SECRET, "firstName": "Jo", "lastName": "Moor"}  # fmt: skip
    find, register, accept = ({"securityCode": things[f"code to {verb}"], "securityAnswer": ANSWER} for verb in ("find", "register", "accept"))  # fmt: skip
    return [
        Door("POST", f"{at}/create", CodeInviteBody, {**question, **search, "language": "es"}, more=context),
        Door("POST", f"{invites}/user-details/create", EmailInviteBody, {"userEmail": "jo@mail.example", "firstName": "Jo", "lastName": "Moor", **search, "language": "es"}, more=context),
        Door("POST", f"{at}/find", FindBody, find),
        Door("POST", f"{at}/code/{register['securityCode']}/register", CodeRegistrationBody, {**register, "user": who}, anonymous=True),
        Door("POST", f"{at}/code/{accept['securityCode']}/accept", AcceptByCodeBody, {**accept, "personId": person}),
        Door("POST", f"{invites}/{things['invite']}/accept", AcceptBody, {"id": things["invite"], "personId": person}),
        Door("POST", f"{invites}/{things['code invite']}/reissue", ReissueBody, question),
        Door("POST", "/FhirServers/grants", GrantBody, {"entityType": "User", "entityId": "mia@northside.example", "fhirServerId": things["server"], "role": "Read", "accessiblePatientId": JANE}),
        Door("POST", persons, PersonBody, said),
        Door("PUT", f"{persons}/{person}", PersonBody, said),
        Door("POST", f"{persons}/offers/{things['person offer']}/accept", PersonAcceptBody, {"relationship": "Relative"}),
        Door("POST", f"{persons}/{person}/users", PersonOfferBody, {"email": "zoe@harbor.example", "role": "Write", "relationship": "Parent"}),
        Door("PATCH", f"{persons}/{person}/users/{mia}", PersonRoleBody, {"role": "Write"}),
        Door("POST", f"{persons}/{person}/owner", PersonOwnerBody, {"userId": mia}),
    ]  # fmt: skip


async def _invited(house: House, server: UUID) -> dict[str, str]:
    """Make what waits at the addresses of invites and persons, for ada."""
    clinic = Clinic(house, server)
    codes = {
        verb: body_of(await clinic.invites_by_code()) for verb in ("find", "register", "accept", "reissue")
    }
    person, theirs = await makes_person(house.ada), await makes_person(house.zoe)
    to_mia = body_of(
        await house.ada.post(f"/Persons/{person}/users", {"email": "mia@northside.example", "role": "Read"})
    )
    body_of(await house.mia.post(f"/Persons/offers/{to_mia['id']}/accept", {}))
    offered = body_of(
        await house.zoe.post(f"/Persons/{theirs}/users", {"email": "ada@northside.example", "role": "Read"})
    )
    return {
        **{f"code to {verb}": made["securityCode"] for verb, made in codes.items()},
        "code invite": codes["reissue"]["id"],
        "invite": body_of(await clinic.invites_by_email("ada@northside.example"))["id"],
        "person": person,
        "person offer": offered["id"],
    }


async def _things(house: House) -> dict[str, str]:
    """Make what is shared, with whom, and what waits for ada: by their ids, as each of the two surfaces spells them."""

    def long(digits: str) -> str:
        return str(parse_id(digits))

    await sharing.defines(house)
    note = await sharing.defines(house, name="c_note")
    await sharing.defines(house, name="c_image", storage="external")
    record, to_archive, other = [await sharing.makes(house.ada) for _ in range(3)]
    share = await sharing.offers(house.ada, record, {"email": "zoe@harbor.example", "access": 4})
    connection = await sharing.offers(house.ada, other, {"email": "zoe@harbor.example", "access": 4})
    server = await add_server(house)
    await load(house, server, *PATIENTS)
    theirs = await sharing.makes(house.zoe)  # whoever is signed in makes records anywhere, and shares them
    waiting = await sharing.offers(house.zoe, theirs, {"email": "ada@northside.example", "access": 4})
    return {
        "team": long(await sharing.team_of(house, "mia")),
        "other team": long(await sharing.team_of(house, owner="ada", name="Imaging")),
        "record": long(record),
        "at": f"{sharing.AT}/c_prescriptions/{record}",
        "to archive": to_archive,
        "share": long(share["_id"]),
        "connection": connection["_id"],
        "token": await sharing.token_of(house.ada, waiting["_id"]),
        "type": note["_id"],
        "server": str(server),
        **await _invited(house, server),
        "remote server": str(await add_server(house, name="Far", base_url="https://fhir.example/r4")),
    }


def refused(response: httpx.Response, *statuses: int) -> dict[str, str]:
    """Insist on a refusal in the form of the surface the address is of; return the fields it names."""
    assert response.status_code in (statuses or (400,)), (response.status_code, response.text)
    assert not LEAKS.search(response.text), response.text
    body = response.json()
    if response.request.url.path.split("/")[2:3] == ["v2"] and not response.request.url.path.startswith(
        "/api/"
    ):
        assert response.headers["content-type"] == "application/json"
        return fault(body, response.status_code)
    if response.request.url.path.startswith("/api/") or response.request.url.path == "/api":
        assert response.headers["content-type"] == "application/json"
        assert body.keys() == {"success", "message", "error"}
        assert body["success"] is False
        assert re.fullmatch(r"[A-Z_]+", body["error"]["code"])
        return body["error"].get("details", {})
    assert response.headers["content-type"] == "application/problem+json"
    assert body.keys() >= {"type", "title", "status", "detail"}
    assert body["status"] == response.status_code
    return {error["field"]: error["detail"] for error in body.get("errors", [])}


def fault(body: dict[str, Any], status: int) -> dict[str, str]:
    """Insist on the form of a fault; return what it names, and why."""
    every = {"object", "name", "code", "errCode", "status", "message"}
    assert every <= body.keys() <= every | {"path", "reason", "faults"}, body
    assert (body["object"], body["name"], body["status"]) == ("fault", "error", status)
    assert re.fullmatch(r"k[A-Z][A-Za-z]+", body["code"])
    assert re.fullmatch(r"cortex\.[A-Za-z]+\.[A-Za-z_]+", body["errCode"])
    if body["code"] == "kValidationError":
        # What is wrong with a body or a query is the outer fault's one child.
        (child,) = body["faults"]
        assert fault(child, status) == {body["path"]: body["reason"]}
    elif "faults" in body:
        assert fault(body["faults"][0], status).keys() == {body["path"]}
        for one in body["faults"]:
            fault(one, one["status"])
    return {body["path"]: body.get("reason", body["message"])} if "path" in body else {}


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


def test_every_address_that_takes_a_body_is_covered_here() -> None:
    covered = {
        ("POST", "/api/auth/login"), ("POST", "/api/auth/refresh"), ("POST", "/api/connections/request"),
        *(("POST", f"/api/connections/{{connection_id:str}}/{verb}") for verb in ("approve", "reject", "cancel", "resend", "terminate", "reestablish")),
        ("POST", "/v1/sessions/organization"), ("POST", "/v1/organizations"), ("PATCH", "/v1/organizations/own"),
        *(("POST", f"/v1/accounts{path}") for path in ("", "/confirmation", "/confirm", "/claim", "/password-reset", "/password", "/email", "/own/password", "/own/email", "/own/deletion")),
        ("PATCH", "/v1/accounts/own"), ("POST", "/v1/sessions"), ("POST", "/v1/sessions/renewal"),
        ("PATCH", "/v1/members/{account_id:str}"),
        ("POST", "/v1/offers"), ("POST", "/v1/offers/preview"), ("POST", "/v1/offers/accept"),
        ("POST", "/v1/teams"), ("PATCH", "/v1/teams/{team_id:str}"), ("POST", "/v1/teams/{team_id:str}/members"),
        ("POST", "/v1/shares"), ("PATCH", "/v1/shares/{share_id:str}"), ("POST", "/v1/shares/preview"), ("POST", "/v1/shares/accept"),
        *(("POST", f"/{{org:str}}/v2/{path}") for path in ("accounts/login", "accounts/register", "accounts/verify", "accounts/{id:str}/connections", "objects", "{plural:str}", "{plural:str}/{id:str}/connections")),
        ("PUT", "/{org:str}/v2/objects/{id:str}"), ("PUT", "/{org:str}/v2/{plural:str}/{id:str}"),
        ("PATCH", "/{org:str}/v2/connections/{which:str}"), ("PATCH", "/{org:str}/v2/{plural:str}/{id:str}"),
        ("POST", "/v1/fhir-servers"), ("PATCH", "/v1/fhir-servers/{server_id:str}"), ("POST", "/v1/invites/bulk"), ("POST", "/v1/invites/slip"),
        *(("POST", f"/OrganizationInvites/{path}") for path in ("security-details/create", "user-details/create", "security-details/find", "security-details/code/{code:str}/register",
                                                                "security-details/code/{code:str}/accept", "{id:str}/accept", "{id:str}/reissue")),
        ("POST", "/FhirServers/grants"), ("POST", "/Persons"), ("PUT", "/Persons/{person_id:str}"), ("POST", "/Persons/offers/{offer_id:str}/accept"),
        ("POST", "/Persons/{person_id:str}/users"), ("PATCH", "/Persons/{person_id:str}/users/{user_id:str}"), ("POST", "/Persons/{person_id:str}/owner"),
        # These read no body, by decision.
        ("POST", "/OrganizationInvites/{id:str}/decline"), ("POST", "/OrganizationInvites/{id:str}/resend"), ("DELETE", "/OrganizationInvites/{id:str}"),
        ("DELETE", "/FhirServers/grants/{grant_id:str}"), ("POST", "/Persons/offers/{offer_id:str}/decline"), ("DELETE", "/Persons/{person_id:str}"),
        ("DELETE", "/Persons/{person_id:str}/users/{user_id:str}"), ("DELETE", "/Persons/{person_id:str}/offers/{offer_id:str}"),
        *(("POST", f"/v1/fhir-servers/{{server_id:str}}/{verb}") for verb in ("confirmation", "test", "patients/{patient_id:str}/confirmation")), ("DELETE", "/v1/fhir-servers/{server_id:str}"),
        ("POST", "/v1/service-keys"), ("POST", "/v1/access/explain"), ("DELETE", "/v1/service-keys/{key_id:str}"),
        ("POST", "/api/auth/logout"), ("POST", "/v1/offers/{offer_id:str}/resend"),
        *(("DELETE", f"/v1/sessions/{which}") for which in ("current", "others", "{session_id:str}")),
        ("DELETE", "/v1/members/{account_id:str}"), ("DELETE", "/v1/memberships/{organization_id:str}"),
        ("DELETE", "/v1/offers/{offer_id:str}"),
        ("DELETE", "/v1/teams/{team_id:str}"), ("DELETE", "/v1/teams/{team_id:str}/members/{account_id:str}"), ("DELETE", "/v1/shares/{share_id:str}"),
        ("POST", "/{org:str}/v2/accounts/me/logout"), ("POST", "/{org:str}/v2/connections/{which:str}"),
        *(("DELETE", f"/{{org:str}}/v2/{path}") for path in ("objects/{id:str}", "connections/{which:str}", "{plural:str}/{id:str}", "{plural:str}/{id:str}/connections",
                                                            "accounts/{id:str}/connections")),
    }  # fmt: skip
    writing = {("POST", "/api" + route.path) for route in RADORDERPAD if route.method != "GET"}
    writing |= {
        (route.method, route.path) for route in (*NATIVE, *MEDABLE, *BLUEBUTTON) if route.method != "GET"
    }
    assert writing == covered


async def test_every_body_of_the_tables_has_a_door_here(world: World) -> None:
    """Held to the tables a second time, by what they say a route takes: a door that is forgotten is not only not listed."""
    every = [(route.method, "/api" + route.path, route.takes) for route in RADORDERPAD]
    every += [(route.method, route.path, route.takes) for route in (*NATIVE, *MEDABLE, *BLUEBUTTON)]
    for method, path, takes in every:
        form = re.escape(path).replace(r"\{", "{").replace(r"\}", "}")
        form = re.sub(r"\{\w+:str\}", "[^/]+", form)
        if takes is None:
            continue
        found = [door for door in world.doors if door.method == method and door.shape is takes]
        assert any(re.fullmatch(form, door.path) for door in found), (method, path)


async def test_the_doors_of_this_file_open_for_a_good_body(world: World) -> None:
    answered = {}
    for door in world.doors:
        if "/reject" in door.path or "organizations/own" in door.path:
            continue  # the same connection is approved; the profile is changed last
        if "own/" in door.path or door.body.get("token") == "x" * 32:
            continue  # what takes a link, or the password, has stories of its own
        body = {k: v for k, v in door.body.items() if k != "targetConnectionId"}
        sent = await door.sends(world.house.ada, encoded(body), **JSON)
        answered[f"{door.method} {door.path}"] = sent.status_code
    assert {status for path, status in answered.items() if not path.endswith(("/refresh", "/renewal"))} <= {
        200,
        201,
        202,
    }, answered
    changing = world.doors[-1]
    assert (await changing.sends(world.house.ada, encoded(changing.body), **JSON)).status_code == 200


# -- bodies ------------------------------------------------------------------------------------------------------------

MALFORMED = {
    "nothing but a brace": b"{",
    "a trailing comma": b'{"message": "x",}',
    "single quotes": b"{'message': 'x'}",
    "a comment": b'{"message": "x"} // hello',
    "two documents": b'{"message": "x"}{"message": "y"}',
    "NaN": b'{"message": NaN}',
    "Infinity": b'{"message": -Infinity}',
    "a number of 5,000 digits": b'{"message": ' + b"9" * 5000 + b"}",
    "a raw control character": b'{"message": "a\nb"}',
    "invalid UTF-8": b'{"message": "\xff"}',
    "UTF-16": '{"message": "x"}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf" + b'{"message": "x"}',
    "white space": b"  \n ",
    "NUL": b"\x00",
    "a form": b"message=x",
    "XML": b"<message>x</message>",
    "a broken escape": b'{"message": "\\x41"}',
    "a string that never ends": b"[" * 65 + b'"' + b'\\"' * 100_000,
    "65 levels": b'{"message": ' * 65 + b"1" + b"}" * 65,
    "65 lists": b"[" * 65 + b"]" * 65,
    "100,000 levels": b'{"a":' * 100_000,
    "100,000 lists": b"[" * 100_000 + b"]" * 100_000,
}


async def test_a_malformed_body_is_refused_at_every_address(world: World) -> None:
    before = await everything(world.house)
    for door in world.doors:
        for what, content in MALFORMED.items():
            fields = refused(await door.sends(world.house.ada, content, **JSON))
            assert fields.keys() == {"body"}, (door.path, what, fields)
    assert await everything(world.house) == before


async def test_a_body_that_is_no_object_is_refused_at_every_address(world: World) -> None:
    before = await everything(world.house)
    for door in world.doors:
        for content in (b"[]", b'""', b"1", b"null", b"true", b"[{}]", encoded([door.body])):
            fields = refused(await door.sends(world.house.ada, content, **JSON))
            assert fields == {"body": "must be an object"}, door.path
    assert await everything(world.house) == before


async def test_a_member_given_twice_is_refused_by_name(world: World) -> None:
    before = await everything(world.house)
    for door in world.doors:
        good = encoded(door.body)[1:-1] + (b", " if door.body else b"")
        for member in door.body:
            content = b"{" + good + encoded(member) + b": " + encoded(door.body[member]) + b"}"
            assert refused(await door.sends(world.house.ada, content, **JSON)) == {member: "is given twice"}
        for content in (
            b"{" + good + b'"x": 1, "x": 1}',
            b"{" + good + b'"x": {"x": [1, {"x": 1, "\\u0078": 2}]}}',
        ):
            assert refused(await door.sends(world.house.ada, content, **JSON)) == {"x": "is given twice"}
    assert await everything(world.house) == before


async def test_json_under_another_content_type_is_415_at_every_address(world: World) -> None:
    before = await everything(world.house)
    kinds = (
        None, "", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonp",
        "application/json, text/plain", "text/json", "application/json; charset=utf-16", "application/json; charset=latin-1",
        "application/problem+json", "*/*", "application/json\u00a0",
    )  # fmt: skip
    for door in world.doors:
        for kind in kinds:
            headers = [] if kind is None else [(b"Content-Type", kind.encode("latin-1"))]
            answered = await world.house.http.request(
                door.method,
                door.path,
                content=encoded(door.body),
                headers=[*((k.encode(), v.encode()) for k, v in door.headers_of(world.house.ada)), *headers],
            )
            refused(answered, 415)
    assert await everything(world.house) == before


async def test_json_may_say_its_charset_and_be_written_in_any_case(world: World) -> None:
    before = await everything(world.house)
    for kind in (
        "application/json; charset=utf-8",
        "APPLICATION/JSON;charset=UTF-8",
        'application/json; charset="utf-8"',
    ):
        for door in world.doors:
            content = b'{"_nonsense": 1}' if door.loose else b'{"nonsense": 1}'
            answered = await door.sends(world.house.ada, content, Content_Type=kind)
            ((name, says),) = refused(answered).items()
            if door.loose:
                assert (name, says) == (
                    "_nonsense",
                    "is a name that answers use themselves, or begins with _",
                )
            else:
                assert (name, says) == ("nonsense", "is not known here")
    assert await everything(world.house) == before


async def test_a_body_over_1_mb_is_413_whether_it_says_its_length_or_not(world: World) -> None:
    before = await everything(world.house)
    large = b'{"message": "' + b"x" * LARGEST_BODY + b'"}'

    async def in_pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(large), 100_000):
            yield large[start : start + 100_000]

    for door in world.doors:
        for content in (large, in_pieces()):
            answered = await world.house.http.request(
                door.method,
                door.path,
                content=content,
                headers={**dict(door.headers_of(world.house.ada)), "Content-Type": "application/json"},
            )
            refused(answered, 413)
    assert await everything(world.house) == before


# -- members -----------------------------------------------------------------------------------------------------------


KINDS: dict[type, str] = {
    inspect.StrType: "text", inspect.EnumType: "text", inspect.LiteralType: "text", inspect.ListType: "list",
    inspect.BoolType: "bool", inspect.StructType: "object", inspect.DictType: "object", inspect.IntType: "level", inspect.AnyType: "level",
}  # fmt: skip
WRONG: list[Any] = [0, 1.5, 1e308, True, {}, {"$ne": None}, [1], [[]], 10**30, "x", ["x"]]


def kinds_of(shape: type[msgspec.Struct], member: str) -> tuple[str, bool]:
    """Return what a member is (`text`, `list`, `bool`, `object`, `level`) and whether it may be null."""
    described = inspect.type_info(shape)
    assert isinstance(described, inspect.StructType)
    (field,) = [field for field in described.fields if field.encode_name == member]
    found = _parts(field.type)
    (kind,) = {KINDS[one] for one in found if one is not inspect.NoneType}
    return kind, inspect.NoneType in found


def _parts(kind: inspect.Type) -> set[type]:
    match kind:
        case inspect.Metadata():
            return _parts(kind.type)
        case inspect.UnionType():
            return {part for one in kind.types for part in _parts(one)}
        case _:
            return {type(kind)}


def wrong_for(kind: str) -> list[Any]:
    """Return values that a member of a kind can't be."""
    good = {"text": str, "list": list, "bool": bool, "object": dict}.get(kind)
    return [
        value
        for value in WRONG
        if good is None or type(value) is not good or (kind == "list" and value in ([1], [[]]))
    ]


async def test_every_member_of_the_wrong_type_is_refused_by_name(world: World) -> None:
    before = await everything(world.house)
    for door in world.doors:
        for member in () if door.loose else door.body:
            kind, nullable = kinds_of(door.shape, member)
            # No targets at all are no targets; of everything else null is as wrong as any other value.
            for value in [*wrong_for(kind), *([] if nullable else [None])]:
                answered = await door.sends(world.house.ada, encoded(door.body | {member: value}), **JSON)
                fields = refused(answered)
                (name,) = fields
                assert name.partition("[")[0] == member, (door.path, member, value, fields)
                assert re.fullmatch(r"must be [a-z0-9,: ]+", fields[name]), fields
    assert await everything(world.house) == before


async def test_every_member_of_a_target_of_the_wrong_type_is_refused_by_its_place(world: World) -> None:
    before = await everything(world.house)
    good = {"email": "rui@lakeside.example"}
    mia = str(world.house.accounts["mia"])
    texts = {"email": "text", "firstName": "text", "lastName": "text", "accountId": "text", "teamId": "text"}
    native = {**texts, "level": "level", "atOnce": "bool", "startsAt": "time", "endsAt": "time"}
    theirs = {
        "email": "text", "_id": "text", "object": "text", "name": "object", "auto": "bool", "roles": "list", "access": "level",
        "startsAt": "time", "endsAt": "time",
    }  # fmt: skip
    for door in world.doors:
        if "targets" not in door.body:
            continue
        level = "level" if door.shape is ShareBody else "access"
        for member, kind in (native if door.shape is ShareBody else theirs).items():
            for value in (value for value in wrong_for(kind) if (member, value) != ("object", "x")):
                named = (
                    {}
                    if member in ("email", "accountId", "teamId", "_id")
                    else {"accountId" if door.shape is ShareBody else "_id": mia}
                )
                target = {level: 4, **named, member: value}
                body = door.body | {"targets": [good | {level: 2}, target]}
                answered = await door.sends(world.house.ada, encoded(body), **JSON)
                (name,) = refused(answered)
                assert re.fullmatch(rf"targets\[1\]\.{member}(\[\d\]|\..+)?", name), (
                    door.path,
                    member,
                    value,
                    name,
                )
        for member in SERVER_OWNED:
            if member in native or member in theirs:
                continue
            body = door.body | {"targets": [good | {level: 2, member: "x"}]}
            answered = await door.sends(world.house.ada, encoded(body), **JSON)
            shown = "a\ufffdb" if member == "a\nb" else member
            assert refused(answered) == {f"targets[0].{shown}": "is not known here"}, door.path
        for escape, says in (
            ("\\u0000", "must not contain NUL characters"),
            ("\\udfff", "must not contain lone surrogates"),
        ):
            for content, name in (
                (f'{{"{level}": 2, "email": "a{escape}b@mail.example"}}', "targets[0].email"),
                (f'{{"{level}": 2, "a{escape}b": 1}}', "body"),
            ):
                others = {k: v for k, v in door.body.items() if k != "targets"}
                whole = (
                    encoded(others)[:-1] + (b", " if others else b"") + f'"targets": [{content}]}}'.encode()
                )
                assert refused(await door.sends(world.house.ada, whole, **JSON)) == {name: says}, door.path
    assert await everything(world.house) == before


async def test_every_required_member_that_is_missing_is_named(world: World) -> None:
    before = await everything(world.house)
    for door in world.doors:
        required = [field.encode_name for field in msgspec.structs.fields(door.shape) if field.required]
        for member in required:
            body = {k: v for k, v in door.body.items() if k != member}
            answered = await door.sends(world.house.ada, encoded(body), **JSON)
            assert refused(answered) == {member: "is required"}, door.path
        if required:
            assert refused(await door.sends(world.house.ada, b"", **JSON)).keys() <= set(required)
    assert await everything(world.house) == before


async def test_unknown_members_are_refused_by_name(world: World) -> None:
    before = await everything(world.house)
    for door in world.doors:
        known = {field.encode_name for field in msgspec.structs.fields(door.shape)}
        for member in () if door.loose else SERVER_OWNED:
            if member in known:
                continue
            for value in ("x", None, {"deep": [1]}):
                answered = await door.sends(world.house.ada, encoded(door.body | {member: value}), **JSON)
                fields = refused(answered)
                assert list(fields.values()) == ["is not known here"], (door.path, member)
                assert list(fields) == ["a\ufffdb" if member == "a\nb" else member]
    assert await everything(world.house) == before


async def test_a_very_long_name_comes_back_short(world: World) -> None:
    for door in world.doors:
        answered = await door.sends(world.house.ada, encoded({"_" + "n" * 100_000: 1}), **JSON)
        refused(answered)
        assert len(answered.content) < 1_000


async def test_nul_and_lone_surrogates_are_refused_in_every_string_and_name(world: World) -> None:
    before = await everything(world.house)
    for door in world.doors:
        for escape, says in (
            ("\\u0000", "must not contain NUL characters"),
            ("\\ud800", "must not contain lone surrogates"),
            ("\\udfff\\ud800", "must not contain lone surrogates"),
        ):
            for member, value in door.body.items():
                text = f'"a{escape}b"' if isinstance(value, str) else f'["a{escape}b"]'
                others = encoded({k: v for k, v in door.body.items() if k != member})[1:-1].decode()
                content = "{" + ", ".join(filter(None, [others, f'"{member}": {text}'])) + "}"
                fields = refused(await door.sends(world.house.ada, content.encode(), **JSON))
                name = member if isinstance(value, str) else f"{member}[0]"
                assert fields == {name: says}, door.path
            content = f'{{"a{escape}b": 1}}'
            assert refused(await door.sends(world.house.ada, content.encode(), **JSON)) == {"body": says}
    assert await everything(world.house) == before


NEITHER = (
    "", "x", "1", "northside", UNKNOWN.replace("-", ""), UNKNOWN + "0", UNKNOWN[:-1], "{" + UNKNOWN + "}", "5" * 23, "5" * 25,
    "g" * 24, "٥" * 24, "urn:uuid:" + UNKNOWN, " " + UNKNOWN, UNKNOWN.replace("-", "_"), "' OR 1=1 --",
)  # fmt: skip
ODD_IDS = (*NEITHER[1:], "%00", "%ff", "%ed%a0%80", "..%2f..", "a%2Fb", "x" * 5000)


async def test_an_id_of_neither_form_is_400_in_a_body_and_404_in_a_path(world: World) -> None:
    before = await everything(world.house)
    asked = set()
    for door in world.doors:
        for member in door.body:
            if not member.endswith(
                (
                    "OrganizationId",
                    "organizationId",
                    "ConnectionId",
                    "accountId",
                    "ownerId",
                    "recordId",
                    "fhirServerId",
                    "personId",
                    "userId",
                )
            ):
                continue
            asked.add(member)
            for text in NEITHER:
                body = door.body | {member: text}
                answered = await door.sends(world.house.ada, encoded(body), **JSON)
                assert refused(answered) == {member: "must be an id: a UUID, or 24 hexadecimal digits"}, text
    assert asked == {
        "targetOrganizationId",
        "organizationId",
        "targetConnectionId",
        "accountId",
        "ownerId",
        "recordId",
        "fhirServerId",
        "personId",
        "userId",
    }
    answers = set()
    for route in RADORDERPAD:
        if "{" not in route.path:
            continue
        for text in ODD_IDS:
            path = re.sub(r"\{\w+:str\}", lambda _, text=text: text, "/api" + route.path)
            content, headers = (b"", {}) if route.method == "GET" else (b'{"reason": "Over"}', JSON)
            if route.path.endswith(("approve", "reject", "cancel", "resend", "reestablish")):
                content = b"{}"
            answered = await world.house.ada.send(route.method, path, content, **headers)
            refused(answered, 404)
            answers.add(answered.json()["message"])
    assert answers == {"Connection not found", "Organization not found", "There is nothing at this address"}
    assert await everything(world.house) == before


async def test_an_id_of_neither_form_in_a_path_is_answered_as_one_that_nobody_has(world: World) -> None:
    before = await everything(world.house)
    for route in (*NATIVE, *MEDABLE, *BLUEBUTTON):
        bodies = [
            door.body for door in world.doors if door.method == route.method and door.shape is route.takes
        ]
        body = bodies[0] if bodies else None

        async def told(which: str, part: str, route: Any = route, body: Any = body) -> httpx.Response:
            same = {"id": which} if route.takes is AcceptBody else {}  # the one in the address
            content = b"" if body is None else encoded(body | same)
            path = world.filled(route.path.replace(f"{{{part}:str}}", which))
            path += (
                "?orphaned=true" if route.path.endswith("/connections") and route.method == "DELETE" else ""
            )
            return await world.house.ada.send(route.method, path, content, **(JSON if content else {}))

        for part in re.findall(r"\{(\w+):str\}", route.path):
            if part in ("org", "plural"):
                continue  # no ids
            token = part == "which" and route.method != "PATCH"  # there it is a token, and dead
            nobodys = await told("x" * 32 if token else UNKNOWN, part)
            assert refused(nobodys, 400 if token else 404) == {}, (route.method, route.path)
            for text in ODD_IDS:
                answered = await told(text, part)
                assert refused(answered, 400, 404) == {}, (route.method, route.path, text)
                if "%2" not in text.lower():  # a slash is no part of an id, but of another address
                    assert answered.content == nobodys.content, (route.method, route.path, text)
    assert await everything(world.house) == before


# -- queries -----------------------------------------------------------------------------------------------------------

PAGED = (
    "/api/organizations/search", "/api/connections/outgoing", "/api/connections/incoming", "/api/connections/established",
    "/api/connections/terminated", "/api/connections/{approved}/pending-orders",
)  # fmt: skip
TEXTS = {
    "/api/organizations/search": ("q", "type", "state", "specialty"),
    "/api/connections/outgoing": ("status",),
    "/api/connections/incoming": ("status",),
}


async def test_page_and_limit_out_of_range_are_refused_by_name(world: World) -> None:
    before = await everything(world.house)
    wrong = ("0", "-1", "1e3", "1.0", "99999999999999999999", "9" * 5000, "", "%20", "%2B1", "0x10", "1_0", "%D9%A1", "%00", "null", "1;2", "NaN")  # fmt: skip
    for template in PAGED:
        path = template.replace("{approved}", world.connections["terminate"])
        for member in ("page", "limit"):
            for text in (*wrong, *(("101", "1000") if member == "limit" else ("1000000001",))):
                answered = await world.house.ada.send("GET", f"{path}?{member}={text}")
                fields = refused(answered)
                assert fields.keys() == {member}, (path, text)
                assert fields[member].startswith("must be a number from 1 to ")
            answered = await world.house.ada.send("GET", f"{path}?{member}=1&{member}=1")
            assert refused(answered) == {member: "is given twice"}
        for good in ("page=1&limit=1", "page=1000000000&limit=100", "page=01", "other=1"):
            assert (await world.house.ada.send("GET", f"{path}?{good}")).status_code == 200, good
    assert await everything(world.house) == before


async def test_nul_bad_utf_8_and_repeats_in_a_query_are_refused(world: World) -> None:
    before = await everything(world.house)
    for path, members in TEXTS.items():
        for member in members:
            fields = refused(await world.house.ada.send("GET", f"{path}?{member}=a%00b"))
            assert fields == {member: "must not contain NUL characters"}
            for bad in ("%ff", "%c3%28", "%ed%a0%80", "%c0%80", "a%80"):
                fields = refused(await world.house.ada.send("GET", f"{path}?{member}={bad}"))
                assert fields == {"query": "can't be read"}, bad
            fields = refused(await world.house.ada.send("GET", f"{path}?{member}=a&{member}=b"))
            assert fields == {member: "is given twice"}
            fields = refused(await world.house.ada.send("GET", f"{path}?{member}={'x' * 201}"))
            assert fields == {member: "must be at most 200 characters long"}
        for bad in ("%00=1&%00=2", "&".join(f"p{n}=1" for n in range(51)), "%ff=1"):
            assert refused(await world.house.ada.send("GET", f"{path}?{bad}")).keys() == {"query"}
    assert await everything(world.house) == before


SHARING_LISTS = {
    # The address, the largest `limit`, and whether it takes `skip`.
    "/v1/teams": (200, False), "/v1/teams/{team_id:str}/members": (200, False), "/v1/shares": (200, False),
    "/v1/members": (200, False), "/v1/offers": (200, False), "/v1/accounts/own/trail": (200, False),
    "/v1/service-keys": (200, False), "/v1/fhir-servers/{server_id:str}/suspensions": (200, False),
    "/v1/fhir-servers/{server_id:str}/reads": (200, False), "/v1/persons/{person_id:str}/reads": (200, False),
    **{f"/{{org:str}}/v2/{path}": (100, True) for path in (
        "accounts", "objects", "connections", "{plural:str}", "{plural:str}/{id:str}/connections",
    )},
    f"/northside/v2/accounts/{UNKNOWN}/connections": (100, True),
}  # fmt: skip
# These go on after a sealed cursor, or a number: tests/doors/native/test_access.py and test_feed.py.
BY_CURSOR = {"/v1/access/subjects", "/v1/access/resources", "/v1/events", "/v1/events/stream"}
WORDS = {
    "/v1/shares": {"status": ("pending", "active")},
    "/northside/v2/connections": {
        "state": ("0", "1"),
        "pending": ("creator", "target"),
        "account": (UNKNOWN, "5" * 24),
    },
}
NO_NUMBERS = ("-1", "1e3", "1.0", "99999999999999999999", "9" * 5000, "", "%20", "%2B1", "0x10", "1_0", "%D9%A1", "%00", "null", "1;2", "NaN", "true")  # fmt: skip
NO_IDS = ("x", "1", UNKNOWN[:-1], UNKNOWN + "0", "5" * 23, "5" * 25, "g" * 24, "urn:uuid:" + UNKNOWN, "[]", "null", "%C3%A9", "%27%20OR%201%3D1")  # fmt: skip


async def test_which_part_of_a_list_is_a_number_and_an_id_or_refused_by_name(world: World) -> None:
    before = await everything(world.house)
    house = world.house
    paths = {route.path for route in (*NATIVE, *MEDABLE) if route.method == "GET" and route.query is not None}
    for template, (most, skips) in SHARING_LISTS.items():
        path = world.filled(template).replace(UNKNOWN, str(house.accounts["ada"]))
        for text in (*NO_NUMBERS, "0", str(most + 1)):
            fields = refused(await house.ada.send("GET", f"{path}?limit={text}"))
            assert fields == {"limit": f"must be a number from 1 to {most}"}, (path, text)
        for text in (*NO_NUMBERS, "10001") if skips else ():
            assert refused(await house.ada.send("GET", f"{path}?skip={text}")).keys() == {"skip"}, (
                path,
                text,
            )
        for text in NO_IDS:
            fields = refused(await house.ada.send("GET", f"{path}?after={text}"))
            assert fields == {"after": "must be an id: a UUID, or 24 hexadecimal digits"}, (path, text)
        assert refused(await house.ada.send("GET", f"{path}?after=%00")) == {
            "after": "must not contain NUL characters"
        }
        for member in ("limit", "after", *(["skip"] if skips else [])):
            value = UNKNOWN if member == "after" else "1"
            answered = await house.ada.send("GET", f"{path}?{member}={value}&{member}={value}")
            assert refused(answered) == {member: "is given twice"}
        for bad in (
            "%00=1&%00=2",
            "&".join(f"p{n}=1" for n in range(51)),
            "%ff=1",
            "limit=%ff",
            "after=%ed%a0%80",
        ):
            assert refused(await house.ada.send("GET", f"{path}?{bad}")).keys() == {"query"}, bad
        places = [
            "0" * 24,
            "f" * 24,
            UNKNOWN,
            str(UUID(int=0)),
            str(UUID(int=(1 << 128) - 1)),
            UNKNOWN.upper(),
            "",
        ]
        if template == "/v1/accounts/own/trail" or template.endswith("/reads"):
            places = [""]  # which goes on only behind what stands in it
        for good in (f"limit={most}", "limit=1", "limit=01", "other=1", *(f"after={place}" for place in places), *(("skip=0", "skip=10000", "limit=1&skip=1", "where=%7B%7D&sort=x&expand=y") if skips else ())):  # fmt: skip
            answered = await house.ada.send("GET", f"{path}?{good}")
            assert answered.status_code == 200, (path, good, answered.text)
    covered = {
        template.replace(f"/northside/v2/accounts/{UNKNOWN}", "/{org:str}/v2/accounts/{id:str}")
        for template in SHARING_LISTS
    }
    assert paths == covered | BY_CURSOR
    assert await everything(house) == before


async def test_what_a_list_is_filtered_by_is_one_of_its_words_or_refused_by_name(world: World) -> None:
    before = await everything(world.house)
    ada = world.house.ada
    for path, members in WORDS.items():
        for member, words in members.items():
            for text in (
                "x",
                "2",
                "00",
                "-1",
                "true",
                "null",
                "0,1",
                "%5B0%5D",
                "PENDING",
                "Creator",
                "declined",
                "creator,target",
                "x" * 200,
                "%C3%A9",
                "%D9%A0",
            ):
                assert refused(await ada.send("GET", f"{path}?{member}={text}")).keys() == {member}, text
            assert refused(await ada.send("GET", f"{path}?{member}=a%00b")) == {
                member: "must not contain NUL characters"
            }
            assert refused(await ada.send("GET", f"{path}?{member}={'x' * 201}")) == {
                member: "must be at most 200 characters long"
            }
            twice = f"{member}={words[0]}&{member}={words[1]}"
            assert refused(await ada.send("GET", f"{path}?{twice}")) == {member: "is given twice"}
            for good in (*words, "", "%20", f"%20{words[0]}%20"):
                assert (await ada.send("GET", f"{path}?{member}={good}")).status_code == 200, (member, good)
    # The name of an object may be any text: of one that isn't there, there are none.
    path = "/northside/v2/connections"
    assert refused(await ada.send("GET", f"{path}?context=%00")) == {
        "context": "must not contain NUL characters"
    }
    assert refused(await ada.send("GET", f"{path}?context={'x' * 201}")).keys() == {"context"}
    for name in ("c_nothing", "' OR 1=1 --", "é", "\u202e", "x" * 200, "ACCOUNT"):
        assert (await ada.get(path, context=name)).json()["data"] == [], name
    orphans = f"{sharing.AT}/c_prescriptions/{world.parts['id']}/connections"
    for query in (
        "",
        "?orphaned",
        "?orphaned=",
        "?orphaned=1",
        "?orphaned=TRUE",
        "?orphaned=false",
        "?orphaned=true%00",
        "?Orphaned=true",
    ):
        assert refused(await ada.send("DELETE", f"{orphans}{query}")).keys() == {"orphaned"}, query
    assert await everything(world.house) == before


async def test_odd_texts_in_a_search_find_nothing_and_break_nothing(world: World) -> None:
    for text in (
        "\u0001",
        "\ud7ff",
        "\U0010ffff",
        "\u202e",
        "a" * 200,
        "İ" * 200,
        "ﷺ" * 200,
        "\u0301" * 200,
        "'\"`;--",
        "{}",
        "\\",
    ):
        answered = await world.house.ada.get("/api/organizations/search", q=text)
        assert answered.status_code == 200, repr(text)


# -- addresses and methods ---------------------------------------------------------------------------------------------


async def test_an_address_that_is_nowhere_is_404_in_the_envelope_of_its_surface(world: World) -> None:
    nowhere = (
        "/api", "/api/", "/api/nope", "/api/connections", "/api/connections/x/nope", "/api/connections/x/y/z", "/api/organizations",
        "/api/auth", "/api/auth/nope", "/api/%00", "/api/../etc/passwd", "/API/auth/login", "/apix", "/", "/nope", "/v1", "/v1/nope",
        "/v1/organizations/nope", "/health", "/.well-known", "/.git/config", "/favicon.ico", "/schema", "/docs", "/openapi.yaml", "/openapi/x", "/%ff",
        "/v1/%00", "//", "/api//connections",
    )  # fmt: skip
    for path in nowhere:
        for caller in (world.house.ada, world.house.stranger):
            answered = await caller.send("GET", path)
            assert refused(answered, 404) == {}, path
            answered = await caller.send("POST", path, b"{nonsense", **JSON)
            refused(answered, 404)


async def test_an_address_of_records_that_is_nowhere_is_404_in_a_fault(world: World) -> None:
    nowhere = (
        "/northside/v2", "/northside/v2/", "/northside/v2//", "/northside/v2/nope/x/y", "/northside/v2/nope/x/y/z", "/nope/v2",
        f"/northside/v2/accounts/{UNKNOWN}/nope", f"/northside/v2/accounts/{UNKNOWN}/connections/x", "/northside/v2/accounts/me/nope",
        "/northside/v2/connections/x/y", f"/northside/v2/objects/{UNKNOWN}/connections", "/v1/v2/accounts/me", "/%00/v2", "/%ff/v2",
        "/northside/v2/c_prescriptions/x/connections/y",
    )  # fmt: skip
    for path in nowhere:
        for caller in (world.house.ada, world.house.stranger):
            answered = await caller.send("GET", path)
            assert refused(answered, 404) == {}, path
            assert answered.json()["errCode"] == "cortex.notFound.route", path
            refused(await caller.send("POST", path, b"{nonsense", **JSON), 404)
    # Of another version there is no such surface at all: it is nobody's address.
    for path in (
        "/northside/v1/accounts/me",
        "/northside/V2/accounts/me",
        "/northside/v20/accounts/me",
        "/a%2Fb/v2/accounts/me",
    ):
        answered = await world.house.ada.send("GET", path)
        assert (answered.status_code, answered.json()["status"]) == (404, 404), path


ODD_CODES = (
    "nope", "NORTHSIDE", "northside%20", "%20northside", "north%20side", "northside%0a", "%00", "northside%00", "%00northside", "%ff",
    "north%ffside", "%ed%a0%80", "%c0%80", "..", ".", "..%5c", "%F0%9F%98%80", "%E2%80%AEnorthside", "n%CC%81orthside", "x" * 3000, "%27%20OR%201%3D1--",
    "%7Borg%7D", "*", "%25", "%2500", "northside%3Bx", "northside%3Fx", "northside%23x", UNKNOWN, "1", "-", "_",
    "newcomer", "closed",  # not active: as unknown as any
)  # fmt: skip


async def test_an_organization_of_an_odd_code_is_as_unknown_as_any(world: World) -> None:
    before = await everything(world.house)
    house, last = world.house, world.parts["id"]
    good = {door.shape: encoded(door.body) for door in world.doors}
    routes = {
        "GET /accounts/me": b"", "GET /c_prescriptions": b"", f"GET /c_prescriptions/{last}": b"", "GET /connections": b"", "GET /objects": b"",
        f"DELETE /c_prescriptions/{last}": b"", "POST /c_prescriptions": good[RecordBody], "POST /accounts/login": good[AccountLogin],
        "POST /accounts/register": good[RegisterBody],
    }  # fmt: skip
    for route, content in routes.items():
        method, path = route.split(" ")
        told = set()
        for code in ODD_CODES:
            if code in (".", ".."):
                continue  # the client takes them out of the address
            answered = await house.ada.send(method, f"/{code}/v2{path}", content, **(JSON if content else {}))
            assert refused(answered, 404) == {}, (route, code)
            assert answered.json()["errCode"] == "cortex.notFound.org", (route, code)
            told.add(str(bare(answered)))
            if not path.startswith("/accounts/") or path.endswith("/me"):
                stranger = await house.stranger.send(
                    method, f"/{code}/v2{path}", content, **(JSON if content else {})
                )
                assert refused(stranger, 403) == {}, (route, code)
                assert stranger.json()["code"] == "kNotLoggedIn"
        assert len(told) == 1, route
    assert await everything(house) == before


async def test_an_object_of_an_odd_name_is_as_unknown_as_any(world: World) -> None:
    before = await everything(world.house)
    last = world.parts["id"]
    (records, _) = (encoded(door.body) for door in world.doors if door.loose)
    for name in (
        "nope", "C_PRESCRIPTIONS", "c_prescription", "c_prescriptions%20", "%00", "c_prescriptions%00", "%ff", "%ed%a0%80", "%F0%9F%98%80",
        "%E2%80%AE", "x" * 3000, "%27%20OR%201%3D1--", "%7Bplural%7D", "*", "%25", UNKNOWN, "1", "persons", "org",
    ):  # fmt: skip
        for method, rest, content in (
            ("GET", "", b""), ("POST", "", records), ("GET", f"/{last}", b""), ("PUT", f"/{last}", records), ("DELETE", f"/{last}", b""),
            ("PATCH", f"/{last}", b'{"isArchived": true}'), ("GET", f"/{last}/connections", b""), ("DELETE", f"/{last}/connections?orphaned=true", b""),
            ("POST", f"/{last}/connections", b'{"targets": [{"email": "a@b.example", "access": 4}]}'),
        ):  # fmt: skip
            answered = await world.house.ada.send(
                method, f"/northside/v2/{name}{rest}", content, **(JSON if content else {})
            )
            assert refused(answered).keys() == {"object"}, (method, name, rest)
            assert answered.json()["errCode"] == "cortex.invalidArgument.object"
            assert len(answered.content) < 1_000
    assert await everything(world.house) == before


async def test_a_method_that_an_address_does_not_take_is_405_with_those_it_takes(world: World) -> None:
    before = await everything(world.house)
    addresses: dict[str, set[str]] = {}
    for route in RADORDERPAD:
        addresses.setdefault(world.filled("/api" + route.path), set()).add(route.method)
    for route in (*NATIVE, *MEDABLE, *BLUEBUTTON):
        addresses.setdefault(world.filled(route.path), set()).add(route.method)
    for path, taken in addresses.items():
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "QUERY"} - taken:
            for caller in (world.house.ada, world.house.stranger):
                answered = await caller.send(method, path, b'{"reason": "Over"}', **JSON)
                assert refused(answered, 405) == {}, (method, path)
                allowed = {word.strip() for word in answered.headers["allow"].split(",")}
                assert taken <= allowed <= taken | {"OPTIONS", "HEAD"}, (method, path)
        answered = await world.house.ada.send("HEAD", path)
        assert answered.status_code in (200, 405)
        assert answered.content == b""
    assert await everything(world.house) == before


async def test_a_body_where_none_is_read_does_no_harm(world: World) -> None:
    for content in (b"{nonsense", b"[" * 1000, b"\x00"):
        for path in (
            "/api/connections/outgoing",
            "/v1/teams",
            "/v1/shares",
            f"{sharing.AT}/connections",
            f"{sharing.AT}/c_prescriptions",
        ):
            answered = await world.house.ada.send("GET", path, content, **JSON)
            assert answered.status_code == 200
    # Accepting by the address alone takes any body, by decision; what is no token stays dead.
    answered = await world.house.ada.send(
        "POST", f"{sharing.AT}/connections/{'x' * 32}", b"{nonsense", **JSON
    )
    assert answered.json()["errCode"] == "cortex.invalidArgument.connectionToken"


# -- the bodies of records ---------------------------------------------------------------------------------------------

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
RESERVED = "is a name that answers use themselves, or begins with _"
OUT_OF_RANGE = (
    b"1e400", b"-1e400", b"1e-400", b"-1E-400", b"9" * 400 + b".5", b"1e99999999999999999999", b"1e-99999999999999999999",
    # What a float is near, but no number of the database is.
    b"0e9999999999", b"0e-20000", b"0e-2000000000", b"0." + b"1" * 16_384, b"1." + b"0" * 20_000,
)  # fmt: skip
NO_NUMBER = (
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"04",
    b"+4",
    b"0x4",
    b".5",
    b"5.",
    b"1e",
    b"1_000",
    b"\xd9\xa1",
    b"9" * 5_000,
)


async def test_the_body_of_a_record_has_any_members_but_those_that_answers_use(world: World) -> None:
    before = await everything(world.house)
    for door in (door for door in world.doors if door.loose):
        for member in (*ENVELOPE, "_", "_x", "__proto__", "_id ", "_rev"):
            for value in ("x", None, 1, {"deep": [1]}):
                for body in ({member: value}, door.body | {member: value}, {member: value} | door.body):
                    assert refused(await door.sends(world.house.ada, encoded(body), **JSON)) == {
                        member: RESERVED
                    }
        for member, shown in (
            ("_\n", "_\ufffd"),
            ("_\u202e", "_\ufffd"),
            ("_" + "x" * 100_000, "_" + "x" * 79),
        ):
            answered = await door.sends(world.house.ada, encoded({member: 1}), **JSON)
            assert refused(answered) == {shown: RESERVED}
            assert len(answered.content) < 1_000
    # Of one whose data lives elsewhere nothing is taken but by which ids it goes.
    for body, field in (
        ({"drug": "aspirin"}, "drug"), ({"externalId": "1", "drug": "x"}, "drug"), ({"_rev": 1}, "_rev"), ({"n" * 100_000: 1}, "n" * 80),
        ({"_id": 7}, "_id"), ({"_id": "me"}, "_id"), ({"_id": ["5" * 24]}, "_id"), ({"_id": str(UUID(int=7))}, "_id"),
        ({"externalId": 7}, "externalId"), ({"externalId": ""}, "externalId"), ({"externalId": "a\nb"}, "externalId"), ({"externalId": "x" * 201}, "externalId"),
    ):  # fmt: skip
        answered = await world.house.ada.send("POST", f"{sharing.AT}/c_images", encoded(body), **JSON)
        assert refused(answered).keys() == {field}, body
        assert len(answered.content) < 1_000
    assert await everything(world.house) == before


async def test_the_body_of_a_record_is_one_object_wherever_one_looks(world: World) -> None:
    before = await everything(world.house)
    for door in (door for door in world.doors if door.loose):

        async def told(content: bytes, door: Door = door) -> dict[str, str]:
            return refused(await door.sends(world.house.ada, content, **JSON))

        for content in (b"[]", b'"x"', b"1", b"1.5", b"null", b"true", b"[{}]", encoded([door.body])):
            assert await told(content) == {"body": "must be an object"}
        for content in (
            b'{"a": 1, "a": 2}', b'{"a": 1, "\\u0061": 1}', b'{"b": {"a": 1, "a": 1}}', b'{"b": [[{"c": {"a": 1, "a": 2}}]]}',
            b'{"c": 1, "b": {"a": {}, "a": {}}}',
        ):  # fmt: skip
            assert await told(content) == {"a": "is given twice"}, content
        for escape, says in (
            (b"\\u0000", "must not contain NUL characters"),
            (b"\\ud800", "must not contain lone surrogates"),
        ):
            assert await told(b'{"a": "x%by"}' % escape) == {"a": says}
            assert await told(b'{"a": {"b": [1, "x%by"]}}' % escape) == {"a.b[1]": says}
            assert await told(b'{"a": {"x%by": 1}}' % escape) == {"body": says}
            assert await told(b'{"x%by": 1}' % escape) == {"body": says}
        for number in NO_NUMBER:
            for content in (b'{"n": %b}' % number, b'{"a": [{"n": %b}]}' % number):
                fields = await told(content)
                assert fields.keys() == {"body"}, number
                assert fields["body"].startswith("is not valid JSON"), number
        for number in OUT_OF_RANGE:
            for content in (b'{"n": %b}' % number, b'{"a": [{"n": %b}]}' % number):
                assert await told(content) == {"body": "has a number that is out of range"}, number[:20]
        assert await told(b'{"a": ' * 65 + b"1" + b"}" * 65) == {"body": "must not be nested deeper than 64"}
    assert await everything(world.house) == before


async def test_whatever_else_the_body_of_a_record_holds_comes_back_as_it_was(world: World) -> None:
    deepest = b'{"a": ' * 64 + b"1" + b"}" * 64
    for content in (
        b"{}", deepest, b'{"n": 123456789012345678901234567890.5, "m": 1e308, "o": -0, "p": 1e-300, "q": %b}' % (b"9" * 4_300),
        b'{"": 1, " ": 2, "a.b": 3, "$ref": 4, "constructor": 5, "toString": 6, "status": 7, "id": 8, "N": 9, "n": 10}',
        '{"é": "\U0001f600", "e\u0301": "\u202e", "\ufffe": "\ud7ff"}'.encode(), b'{"a": "\\ud83d\\ude00\\u0001\\/"}', b" \n\t{\r\n} ",
    ):  # fmt: skip
        for door in (door for door in world.doors if door.loose):
            answered = await door.sends(world.house.ada, content, **JSON)
            assert answered.status_code == 200, (content[:80], answered.text)
            sent, kept = (
                json.loads(content, parse_int=str, parse_float=float),
                json.loads(answered.content, parse_int=str, parse_float=float),
            )
            own = {name: value for name, value in kept.items() if name not in ENVELOPE}
            numbers = ("m", "o", "p", "n")  # written otherwise, and as much
            for name in (name for name in numbers if name in own):
                assert float(own.pop(name)) == float(sent.pop(name))
            assert own == sent


# -- anything at all ---------------------------------------------------------------------------------------------------

_texts = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    [UNKNOWN, "5" * 24, "ada@northside.example", PASSWORD, "transfer", "both", "\0", "%", "\u202e"]
)
_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=6,
)


_targets = st.dictionaries(
    st.sampled_from(["email", "_id", "object", "access", "auto", "name", "roles", "startsAt", "endsAt"]),
    _values
    | _texts
    | st.sampled_from([2, 4, 5, 7, "team", "account", "2026-04-01T00:00:00Z", "0001-01-01T00:00:00+14:00"]),
)


@st.composite
def _bodies(draw: st.DrawFn, number: int) -> Any:
    """Draw some JSON; more often than not with the members that the address knows."""
    if draw(st.integers(0, 3)) == 0:
        return draw(_values)
    known = [field.encode_name for field in msgspec.structs.fields(SHAPES[number])]
    if SHAPES[number] is ConnectionsBody:
        return {"targets": draw(st.lists(_targets, max_size=3))}
    return draw(st.dictionaries(st.sampled_from(known) if known else _texts, _values | _texts, max_size=6))


SHAPES: tuple[type[msgspec.Struct], ...] = (
    LoginBody, RefreshBody, RequestBody, ResponseBody, ResponseBody, EmptyBody, MessageBody, TerminateBody, MessageBody,
    OrganizationBody, RegistrationBody,
    accounts.AccountBody, accounts.AddressBody, accounts.ProofBody, accounts.NewPasswordBody, accounts.AddressBody,
    accounts.NewPasswordBody, accounts.ProofBody, accounts.AccountChanges, accounts.ChangedPasswordBody, accounts.EmailBody,
    accounts.PasswordBody, SignInBody, RenewalBody, MemberChanges, OfferBody, LookBody, JoiningBody,
    TeamBody, TeamMemberBody, TeamMemberBody, TeamChanges, ShareBody, ShareLevelBody, ShareTokenBody, ShareTokenBody,
    FhirServerBody, FhirServerChanges, ServiceKeyBody, ExplainBody, InviteRowsBody, SlipBody,
    CodeInviteBody, EmailInviteBody, FindBody, CodeRegistrationBody, AcceptByCodeBody, AcceptBody, ReissueBody, GrantBody,
    PersonBody, PersonBody, PersonAcceptBody, PersonOfferBody, PersonRoleBody, PersonOwnerBody,
    AccountLogin, RegisterBody, VerifyBody, ConnectionsBody, ObjectBody, ObjectSettings, LevelBody, RecordBody, RecordBody, ArchiveBody,
    ConnectionsBody,
    ProfileChanges,
)  # fmt: skip


async def test_whatever_json_is_thrown_at_it_every_door_keeps_its_manners(world: World, rounds: int) -> None:
    assert tuple(door.shape for door in world.doors) == SHAPES

    @settings(
        max_examples=min(rounds * 10, 20_000),
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(drawn=st.integers(0, len(SHAPES) - 1).flatmap(lambda n: st.tuples(st.just(n), _bodies(n))))
    def collect(drawn: tuple[int, Any]) -> None:
        thrown.append(drawn)

    thrown: list[tuple[int, Any]] = []
    collect()
    for number, value in thrown:
        door = world.doors[number]
        answered = await door.sends(world.house.ada, encoded(value), **JSON)
        if answered.status_code >= 300:
            refused(answered, 400, 401, 403, 404, 409, 422, 429)
    assert len(thrown) >= min(rounds * 10, 20_000)
