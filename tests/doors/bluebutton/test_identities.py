"""Every identity at every address of this surface (threats A-01, A-13, E-01): what it may not know of is answered, byte for byte, as what
isn't there (ruling 3). A route without a line here fails."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple
from uuid import UUID

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
    accepts_by_code,
    add_server,
    asks_question,
    body,
    finds,
    makes_person,
    registers,
    signs_in,
)
from doors.bluebutton.desk import UNKNOWN_CODE, digest, wide
from doors.bluebutton.test_grants import grants
from doors.conftest import Opening
from doors.manners import UNKNOWN, bare
from hospitium.doors.bluebutton.routes import ROUTES
from hospitium.engine.actor import Role
from hospitium.engine.context import Context
from hospitium.engine.events import EventKind
from hospitium.engine.invites.lifecycle import LIFECYCLE
from hospitium.engine.invites.telling import tell

IDENTITIES = ("anonymous", "registered through it", "unconfirmed", "stranger", "member", "person's reader", "server's reader", "writer", "administrator", "other clinic", "partner")  # fmt: skip
Ask = Callable[[Caller, str], Awaitable[httpx.Response]]

INVITE, PERSON = "/OrganizationInvites/{id:str}", "/Persons/{person_id:str}"
CODE = "/OrganizationInvites/security-details/code/{code:str}"


class Case(NamedTuple):
    """One address, about one kind of target; what each identity is answered, in their order."""

    method: str
    path: str
    target: str
    ask: Ask
    expected: str

    @property
    def what(self) -> str:
        return f"{self.method} {self.path} of {self.target}"

    @property
    def is_read(self) -> bool:
        """Whether its target is as before when somebody was let in."""
        return self.method == "GET" or self.target == "nothing" or self.path.endswith(("/find", "/create"))

    @property
    def statuses(self) -> dict[str, int]:
        return dict(zip(IDENTITIES, map(int, self.expected.split()), strict=True))


class Scene:
    """A clinic, and one of each: who stands how to it, and the targets, made anew where one was used up."""

    def __init__(self, house: House, clinic: Clinic) -> None:
        self.house, self.clinic = house, clinic
        self.callers: dict[str, Caller] = {}
        self.persons: dict[str, str] = {}  # everybody's own
        self._kin = Caller(house.http)
        self._made = 0

    async def gather(self) -> None:
        house, clinic = self.house, self.clinic
        code = body(await clinic.invites_by_code())["securityCode"]
        body(await registers(house.stranger, code, "through@mail.example"))
        for name, email in (("unconfirmed", "unconfirmed@mail.example"), ("stranger", "sam@mail.example")):
            asked = {"email": email, "password": "P@ssw0rd123"}
            assert (await house.stranger.post("/v1/accounts", asked)).status_code == 202
            if name == "stranger":
                await house.rows("UPDATE accounts SET verified_at = created_at WHERE email = $1", email)
        self._kin = await house.add_person("kin", None)
        reader = await house.add_person("reader", "northside", Role.MEMBER)
        await house.add_person("spare", "northside", Role.MEMBER)
        body(await grants(clinic, house.ada, "User", "reader@northside.example"))
        await connected(house.ada, house.lakeside, house.rui)
        body(await grants(clinic, house.ada, "Organization", house.lakeside))
        await add_server(house, "harbor", "Harbor's own")
        self.callers = dict(
            zip(
                IDENTITIES,
                (
                    house.stranger, await signs_in(house, "through@mail.example"), await signs_in(house, "unconfirmed@mail.example"),
                    await signs_in(house, "sam@mail.example"), house.mia, house.pat, reader, house.ben, house.ada, house.zoe, house.rui,
                ),
                strict=True,
            )
        )  # fmt: skip
        for name, caller in self.callers.items():
            self.persons[name] = UNKNOWN if name == "anonymous" else await makes_person(caller)
        (row,) = await house.rows("SELECT id FROM accounts WHERE email = 'through@mail.example'")
        self._through = row["id"]

    def person_of(self, caller: Caller) -> str:
        (name,) = [name for name, one in self.callers.items() if one is caller]
        return self.persons[name]

    def new(self) -> str:
        self._made += 1
        return str(self._made)

    # -- targets --

    async def server(self) -> str:
        return str(self.clinic.server_id)

    async def code(self) -> str:
        return str(body(await self.clinic.invites_by_code())["securityCode"])

    async def code_invite(self) -> str:
        return str(body(await self.clinic.invites_by_code())["id"])

    async def email_invite(self) -> str:
        return str(body(await self.clinic.invites_by_email("pat@mail.example", patient=JIMMY))["id"])

    async def bound_invite(self) -> str:
        made = await self.code_invite()

        # Over HTTP an account registers with one invite.
        async def bind(ctx: Context) -> None:
            bound = await LIFECYCLE.move(ctx, "bind", UUID(made), by_account=self._through)
            assert bound is not None
            await tell(ctx, EventKind.INVITE_BOUND, bound)

        await self.house.operate(bind)
        return made

    async def grant(self) -> str:
        made = body(await self.clinic.invites_by_email("pat@mail.example"))["id"]
        return str(body(await accepts(self.house.pat, made, await makes_person(self.house.pat)))["grantId"])

    async def person(self) -> str:
        """Pat's, whom kin looks after, too."""
        made = await makes_person(self.house.pat)
        offered = body(
            await self.house.pat.post(
                f"/Persons/{made}/users", {"email": "kin@mail.example", "role": "Write"}
            )
        )
        body(await self._kin.post(f"/Persons/offers/{offered['id']}/accept", {}))
        return made

    async def offer(self) -> str:
        """Of a person of pat's, to the stranger."""
        made = await makes_person(self.house.pat)
        return str(
            body(
                await self.house.pat.post(
                    f"/Persons/{made}/users", {"email": "sam@mail.example", "role": "Read"}
                )
            )["id"]
        )

    async def offer_of_person(self) -> str:
        """The same, as the two ids in its address."""
        made = await makes_person(self.house.pat)
        offered = body(
            await self.house.pat.post(f"/Persons/{made}/users", {"email": "sam@mail.example", "role": "Read"})
        )
        return f"{made}/offers/{offered['id']}"

    async def nothing(self) -> str:
        return UNKNOWN

    def unknown(self, target: str) -> str:
        """Return what stands for a target that isn't there."""
        return {"code": UNKNOWN_CODE, "offer_of_person": f"{UNKNOWN}/offers/{UNKNOWN}"}.get(target, UNKNOWN)


def cases(scene: Scene) -> list[Case]:
    house = scene.house
    kin = house.accounts["kin"]
    person = {"firstName": "Jane", "lastName": "Doe", "gender": "Female", "birthDate": "1990-02-01"}
    question = {"securityQuestion": QUESTION, "securityAnswer": ANSWER}
    invite = {"accessiblePatientId": JANE}
    by_mail = {"userEmail": "new@mail.example", "firstName": "A", "lastName": "B"}
    to_spare = {"entityType": "User", "entityId": "spare@northside.example", "role": "Read"}

    def gets(path: str) -> Ask:
        return lambda who, id_: who.get(path.replace("*", id_))

    def posts(path: str, content: Any = None) -> Ask:
        return lambda who, id_: who.post(path.replace("*", id_), content)

    def deletes(path: str) -> Ask:
        return lambda who, id_: who.send("DELETE", path.replace("*", id_))

    def on_server(path: str, content: Any) -> Ask:
        return lambda who, id_: who.post(path, content, **{"FhirServerId-Context": id_})

    def sends(method: str, path: str, content: bytes) -> Ask:
        return lambda who, id_: who.send(
            method, path.replace("*", id_), content, Content_Type="application/json"
        )

    def all_but_anonymous(status: int) -> str:
        return " ".join(["401", *[str(status)] * 10])

    created = "/OrganizationInvites/security-details/create", "/OrganizationInvites/user-details/create"
    writers = "401 404 404 404 404 404 403 200 200 404 403"
    own = "401 404 404 404 404 {0} 404 404 404 404 404"
    through = "401 {0} 404 404 404 404 404 404 404 404 404"
    inviters = "401 404 404 404 404 404 404 {0} {0} 404 404"
    offered = "401 403 403 {0} 404 404 404 404 404 404 404"
    one = "/OrganizationInvites/*"
    return [
        Case("POST", created[0], "server", on_server(created[0], question | invite), writers),
        Case("POST", created[1], "server", on_server(created[1], by_mail | invite), writers),
        Case("GET", CODE + "/security-question", "code", asks_question, " ".join(["200"] * 11)),
        Case("POST", CODE + "/register", "code", lambda who, code: registers(who, code, f"new{scene.new()}@mail.example"), " ".join(["200"] * 11)),
        Case("POST", "/OrganizationInvites/security-details/find", "code", finds, all_but_anonymous(200)),
        Case("GET", "/OrganizationInvites/received", "nothing", gets("/OrganizationInvites/received"), all_but_anonymous(200)),
        Case("GET", "/OrganizationInvites/sent", "server", lambda who, id_: who.http.get("/OrganizationInvites/sent", headers={**who.headers, "FhirServerId-Context": id_}), writers),
        Case("GET", INVITE, "code_invite", gets(one), inviters.format(200)),
        Case("GET", INVITE, "email_invite", gets(one), "401 404 404 404 404 200 404 200 200 404 404"),
        Case("GET", INVITE, "bound_invite", gets(one), "401 200 404 404 404 404 404 200 200 404 404"),
        Case("DELETE", INVITE, "code_invite", deletes(one), inviters.format(204)),
        Case("DELETE", INVITE, "email_invite", deletes(one), inviters.format(204)),
        Case("DELETE", INVITE, "bound_invite", deletes(one), inviters.format(204)),
        Case("POST", INVITE + "/accept", "code_invite", lambda who, id_: accepts(who, id_, scene.person_of(who)), all_but_anonymous(404)),
        Case("POST", INVITE + "/accept", "email_invite", lambda who, id_: accepts(who, id_, scene.person_of(who)), own.format(200)),
        Case("POST", INVITE + "/decline", "code_invite", posts(one + "/decline"), all_but_anonymous(404)),
        Case("POST", INVITE + "/decline", "email_invite", posts(one + "/decline"), own.format(204)),
        Case("POST", INVITE + "/decline", "bound_invite", posts(one + "/decline"), through.format(204)),
        Case("POST", INVITE + "/reissue", "code_invite", posts(one + "/reissue", question), inviters.format(200)),
        Case("POST", INVITE + "/reissue", "bound_invite", posts(one + "/reissue", question), inviters.format(200)),
        Case("POST", INVITE + "/resend", "email_invite", posts(one + "/resend"), inviters.format(200)),
        Case("POST", "/FhirServers/grants", "server", lambda who, id_: who.post("/FhirServers/grants", to_spare | {"fhirServerId": id_}), "401 404 404 404 404 404 403 403 200 404 403"),
        Case("GET", "/FhirServers/records", "nothing", gets("/FhirServers/records"), all_but_anonymous(200)),
        Case("GET", "/FhirServers/{server_id:str}/grants", "server", gets("/FhirServers/*/grants"), "401 404 404 404 404 200 200 200 200 404 200"),
        Case("GET", "/FhirServers/grants/{grant_id:str}", "grant", gets("/FhirServers/grants/*"), "401 404 404 404 404 200 404 200 200 404 404"),
        Case("DELETE", "/FhirServers/grants/{grant_id:str}", "grant", deletes("/FhirServers/grants/*"), "401 404 404 404 404 204 404 403 204 404 404"),
        Case("POST", "/Persons", "nothing", posts("/Persons", person), all_but_anonymous(200)),
        Case("GET", "/Persons", "nothing", gets("/Persons"), all_but_anonymous(200)),
        Case("GET", "/Persons/offers", "nothing", gets("/Persons/offers"), "401 403 403 200 200 200 200 200 200 200 200"),
        Case("POST", "/Persons/offers/{offer_id:str}/accept", "offer", posts("/Persons/offers/*/accept", {}), offered.format(200)),
        Case("POST", "/Persons/offers/{offer_id:str}/decline", "offer", posts("/Persons/offers/*/decline"), offered.format(204)),
        Case("GET", PERSON, "person", gets("/Persons/*"), own.format(200)),
        Case("PUT", PERSON, "person", sends("PUT", "/Persons/*", b'{"firstName": "Jane", "lastName": "Doe", "gender": "Female", "birthDate": "1990-02-01"}'), own.format(200)),
        Case("DELETE", PERSON, "person", deletes("/Persons/*"), own.format(204)),
        Case("GET", PERSON + "/users", "person", gets("/Persons/*/users"), own.format(200)),
        Case("POST", PERSON + "/users", "person", posts("/Persons/*/users", {"email": "rui@lakeside.example", "role": "Read"}), own.replace("401 404 404", "401 {1} {1}").format(200, "{}").format("403", "403")),
        Case("PATCH", PERSON + "/users/{user_id:str}", "person", sends("PATCH", f"/Persons/*/users/{kin}", b'{"role": "Read"}'), own.format(200)),
        Case("DELETE", PERSON + "/users/{user_id:str}", "person", deletes(f"/Persons/*/users/{kin}"), own.format(204)),
        Case("POST", PERSON + "/owner", "person", posts("/Persons/*/owner", {"userId": str(kin)}), own.format(200)),
        Case("GET", PERSON + "/offers", "person", gets("/Persons/*/offers"), own.format(200)),
        Case("DELETE", PERSON + "/offers/{offer_id:str}", "offer_of_person", deletes("/Persons/*"), own.format(204)),
        # By these everybody comes to have something of the clinic's: last.
        Case("POST", INVITE + "/accept", "bound_invite", lambda who, id_: accepts(who, id_, scene.person_of(who)), through.format(200)),
        Case("POST", CODE + "/accept", "code", lambda who, code: accepts_by_code(who, code, scene.person_of(who)), all_but_anonymous(200)),
    ]  # fmt: skip


@pytest.fixture
async def scene(open_house: Opening) -> AsyncIterator[Scene]:
    async with open_house(**wide(MAILBOX_MAILS_PER_HOUR="1000000")) as house:
        made = Scene(house, await Clinic.open(house))
        await made.gather()
        yield made
        await house.must_be_sound()


async def test_every_identity_at_every_address_is_answered_as_its_line_says(scene: Scene) -> None:
    every = cases(scene)
    assert {(case.method, case.path) for case in every} == {(route.method, route.path) for route in ROUTES}
    wrong: list[str] = []
    for case in every:
        make = getattr(scene, case.target)
        target = await make()
        # Those who are refused come first, and together change nothing; then whoever may, each with a target of his own.
        before = await digest(scene.house)
        refused = {name: status for name, status in case.statuses.items() if status >= 300}
        nobodys: httpx.Response | None = None
        for name, status in refused.items():
            answered = await case.ask(scene.callers[name], target)
            if answered.status_code != status:
                wrong.append(f"{case.what} for {name}: {answered.status_code}, not {status}: {answered.text}")
            elif status == 404:
                nobodys = nobodys or await case.ask(scene.callers[name], scene.unknown(case.target))
                if bare(answered) != bare(nobodys):
                    wrong.append(f"{case.what} for {name}: {answered.text} is told from {nobodys.text}")
        if await digest(scene.house) != before:
            wrong.append(f"{case.what}: a refusal changed something")
        for name in case.statuses.keys() - refused.keys():
            answered = await case.ask(scene.callers[name], target)
            if answered.status_code != case.statuses[name]:
                wrong.append(f"{case.what} for {name}: {answered.status_code}: {answered.text}")
            target = target if case.is_read else await make()
    assert not wrong, "\n".join(wrong)
