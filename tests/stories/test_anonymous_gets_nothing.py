"""Whoever comes from nowhere registers wherever one can, and asks for everything that is granted, invited and recorded: nothing (issue 5).

An account that a surface makes is a member at most (ruling 23), and inherits nothing on a FHIR server; before its mailbox is proved it
sees nothing that rests on its address, save the one invite it registered through (ruling 22).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from cast import Caller, House, connected
from clinic import (
    ANSWER,
    JANE,
    JIMMY,
    QUESTION,
    Clinic,
    accepts,
    body,
    makes_person,
    problem,
    registers as registers_by_code,
    signs_in,
)
from doors.bluebutton.test_grants import grants
from doors.manners import UNKNOWN, bare, everything
from hospitium.doors.bluebutton.routes import ROUTES as BLUEBUTTON
from hospitium.doors.console.routes import ROUTES as CONSOLE
from hospitium.doors.medable.routes import ROUTES as MEDABLE
from hospitium.doors.native.routes import ROUTES as NATIVE
from hospitium.doors.radorderpad.routes import ROUTES as RADORDERPAD
from hospitium.engine.permissions import RULES, Need, Permission

PASSWORD = "P@ssw0rd123"
Road = Callable[[House, Clinic, str], Awaitable[httpx.Response]]


async def at_our_own(house: House, clinic: Clinic, email: str) -> httpx.Response:
    return await house.stranger.post("/v1/accounts", {"email": email, "password": PASSWORD})


async def at_an_organizations(house: House, clinic: Clinic, email: str) -> httpx.Response:
    asked = {"email": email, "password": PASSWORD, "name": {"first": "Mallory", "last": "Moor"}}
    return await house.stranger.post("/northside/v2/accounts/register", asked)


async def with_a_code(house: House, clinic: Clinic, email: str) -> httpx.Response:
    made = body(await clinic.invites_by_code(patient=JIMMY))
    return await registers_by_code(house.stranger, made["securityCode"], email)


ROADS: dict[tuple[str, str], Road] = {
    ("POST", "/v1/accounts"): at_our_own,
    ("POST", "/{org:str}/v2/accounts/register"): at_an_organizations,
    ("POST", "/OrganizationInvites/security-details/code/{code:str}/register"): with_a_code,
}
# What makes no account, or only for who holds a link that was sent to its mailbox.
OTHERS = {
    Permission.SIGN_IN, Permission.RENEW_SESSION, Permission.CONFIRM_ACCOUNT, Permission.RECOVER_ACCOUNT, Permission.CHANGE_EMAIL,
    Permission.ACCEPT_OFFER, Permission.FOLLOW_SHARE,
}  # fmt: skip


def test_every_address_that_anybody_may_write_to_is_thought_of_here() -> None:
    anonymous = {
        (route.method, route.path): route.permission
        for route in (*RADORDERPAD, *MEDABLE, *NATIVE, *BLUEBUTTON)
        if RULES[route.permission].need is Need.ANYONE and route.method != "GET"
    }
    making = {where for where, permission in anonymous.items() if permission not in OTHERS}
    assert making == ROADS.keys() | {("POST", "/v1/accounts/confirmation")}  # which sends a link again
    # The pages do what these do.
    pages = {route.permission for route in CONSOLE if RULES[route.permission].need is Need.ANYONE}
    assert pages <= set(anonymous.values()) | {Permission.SEE_PAGES}


class Treasure:
    """What there is to be had: invites in every state, grants of every kind, a person."""

    def __init__(self, house: House, clinic: Clinic) -> None:
        self.house, self.clinic = house, clinic
        self.invites: list[str] = []
        self.grants: list[str] = []
        self.person = ""

    async def gather(self, email: str) -> None:
        house, clinic = self.house, self.clinic
        await connected(house.ada, house.lakeside, house.rui)
        self.grants.append(body(await grants(clinic, house.ada, "Organization", house.lakeside))["grantId"])
        self.grants.append(body(await grants(clinic, house.ada, "User", "mia@northside.example"))["grantId"])
        accepted = body(await clinic.invites_by_email("pat@mail.example"))["id"]
        self.person = await makes_person(house.pat)
        self.grants.append(body(await accepts(house.pat, accepted, self.person))["grantId"])
        waiting = body(await clinic.invites_by_email(email))["id"]  # to the very address that is registered
        by_code = body(await clinic.invites_by_code())["id"]
        withdrawn = body(await clinic.invites_by_email(email))["id"]
        await house.ben.send("DELETE", f"/OrganizationInvites/{withdrawn}")
        self.invites = [accepted, waiting, by_code, withdrawn]

    async def must_be_nothing_for(self, who: Caller, *, but: int = 0) -> None:
        """Insist that all of it is answered as what isn't there; `but`: so many invites are his own."""
        server = str(self.clinic.server_id)
        question = {"securityQuestion": QUESTION, "securityAnswer": ANSWER}
        mine = await makes_person(who)
        before = await everything(self.house)
        assert len(body(await who.get("/OrganizationInvites/received"))) == but
        assert body(await who.get("/FhirServers/records")) == []
        on_server: list[Callable[[str], Awaitable[httpx.Response]]] = [
            lambda id_: who.get(f"/FhirServers/{id_}/grants"),
            lambda id_: who.http.get("/OrganizationInvites/sent", headers={**who.headers, "FhirServerId-Context": id_}),
            lambda id_: who.post("/OrganizationInvites/security-details/create", {**question, "accessiblePatientId": JANE}, **{"FhirServerId-Context": id_}),
            lambda id_: who.post("/OrganizationInvites/user-details/create", {"userEmail": "a@mail.example", "firstName": "A", "lastName": "B", "accessiblePatientId": JANE}, **{"FhirServerId-Context": id_}),
            lambda id_: who.post("/FhirServers/grants", {"entityType": "Person", "entityId": mine, "fhirServerId": id_, "role": "Read", "accessiblePatientId": JANE}),
        ]  # fmt: skip
        on_invite: list[Callable[[str], Awaitable[httpx.Response]]] = [
            lambda id_: who.get(f"/OrganizationInvites/{id_}"),
            lambda id_: who.send("DELETE", f"/OrganizationInvites/{id_}"),
            lambda id_: accepts(who, id_, mine),
            lambda id_: who.post(f"/OrganizationInvites/{id_}/decline"),
            lambda id_: who.post(f"/OrganizationInvites/{id_}/reissue", question),
            lambda id_: who.post(f"/OrganizationInvites/{id_}/resend"),
        ]
        on_grant: list[Callable[[str], Awaitable[httpx.Response]]] = [
            lambda id_: who.get(f"/FhirServers/grants/{id_}"),
            lambda id_: who.send("DELETE", f"/FhirServers/grants/{id_}"),
        ]
        for asks, ids in ((on_server, [server]), (on_invite, self.invites), (on_grant, self.grants)):
            for ask in asks:
                nobodys = bare(await ask(UNKNOWN))
                for id_ in ids:
                    answered = await ask(id_)
                    problem(answered, 404, "not-found")
                    assert bare(answered) == nobodys, answered.request.url
        problem(await who.get(f"/Persons/{self.person}"), 404, "not-found")
        assert await everything(self.house) == before


@pytest.mark.parametrize("where", ROADS)
async def test_registered_there_one_has_nothing(house: House, clinic: Clinic, where: tuple[str, str]) -> None:
    email = "victim@mail.example"
    treasure = Treasure(house, clinic)
    await treasure.gather(email)
    answered = await ROADS[where](house, clinic, email)
    assert answered.status_code in (200, 202), answered.text
    own = 1 if ROADS[where] is with_a_code else 0
    who = await signs_in(house, email)
    await treasure.must_be_nothing_for(who, but=own)
    # Another one, that nobody has invited, proves its mailbox, and is somebody; even so nothing is its own.
    other = "nobody@mail.example"
    await ROADS[where](house, clinic, other)
    (mail,) = [mail for mail in await house.mails(to=other) if mail.has_link]
    confirmed = await house.stranger.post("/v1/accounts/confirm", {"token": mail.token, "password": PASSWORD})
    assert confirmed.status_code == 200, confirmed.text
    who = await signs_in(house, other)
    await treasure.must_be_nothing_for(who, but=own)
    roles: list[Any] = await house.rows(
        "SELECT m.role FROM memberships m JOIN accounts a ON a.id = m.account_id WHERE a.email = $1", other
    )
    assert [row["role"] for row in roles] == (["member"] if ROADS[where] is at_an_organizations else [])
    await house.must_be_sound()


@pytest.fixture
async def clinic(house: House) -> Clinic:
    return await Clinic.open(house)
