"""Every request of the reference document, taken out of it and sent as it stands there, under the document's own ids.

The document's JSON is broken in places; how it is mended is said here, and nothing else is. Its code and the id of its invite are what
this server makes, so they are exchanged for those that were made.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import pytest

from cast import Caller, House
from clinic import PATIENTS, load
from doors.manners import instant
from hospitium.engine.fhir_servers import actions as servers
from hospitium.engine.fhir_servers.actions import ServerForm
from hospitium.engine.fhir_servers.record import ServerKind
from hospitium.engine.permissions import Permission
from hospitium.engine.persons import actions as persons
from hospitium.engine.persons.forms import PersonForm
from hospitium.engine.persons.record import Gender, Relationship

DOCUMENT = Path(__file__).parents[3] / "../shared/reference/documents/organization-invites.rst"
SERVER, PATIENT = "d9c34349-3e81-41bf-8113-27bc01dcaa9d", "d1f84545-5981-4250-80d6-a99f8be0d716"
PERSON, INVITE, CODE = (
    "2e755707-1d7b-435b-9ae7-32fcddb87fdb",
    "f05df920-b51e-4da2-b7a6-9eebc67e7059",
    "ABC12345",
)
EMAIL = "user@example.com"
MENDED = (
    (
        re.compile(r'"(\w+): (?=")'),
        r'"\1": ',
    ),  # "accessiblePatientId: "d1f8…": the name's closing quote is missing
    (re.compile(r'"(\w+)" (?=true|false)'), r'"\1": '),  # "hasNextPage" true: the colon is missing
    (re.compile(r",(\s*[\]}])"), r"\1"),  # a comma after the last one
)
# What the rulings add to an invite: when it expires (20), and how it stands.
ADDED = {"expiresOn", "status"}

pytestmark = pytest.mark.skipif(
    not DOCUMENT.exists(),
    reason=f"the reference document is not here ({DOCUMENT.name} in shared/ beside the repository): NOT TESTED",
)


class Asked(NamedTuple):
    """One request of the document."""

    method: str
    target: str
    headers: dict[str, str]
    body: Any

    def __str__(self) -> str:
        return f"{self.method} {self.target}"


def mended(text: str) -> Any:
    for wrong, right in MENDED:
        text = wrong.sub(right, text)
    return json.loads(text)


def blocks(kind: str) -> list[str]:
    """Return the blocks of a kind, without their indent."""
    found = re.findall(
        rf"^\.\. code-block:: {kind}\n\s*\n((?:^(?:   .*)?\n)+)", DOCUMENT.read_text() + "\n", re.MULTILINE
    )
    return [re.sub(r"^   ", "", block, flags=re.MULTILINE).strip() for block in found]


def requests() -> list[Asked]:
    made = []
    for block in blocks("console"):
        line, *rest = re.split(r"\n\s*\n", block)
        method, address = line.split(" ")
        where = urlsplit(address)
        headers = dict(
            one.split(": ", 1) for part in rest if not part.startswith("{") for one in part.split("\n")
        )
        content = next((mended(part) for part in rest if part.startswith("{")), None)
        target = where.path + (f"?{where.query}" if where.query else "")
        made.append(Asked(method, target, headers, content))
    return made


class Replay:
    """The document's world: its server and patient, and somebody for each of its bearers."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.made = {CODE: CODE, INVITE: INVITE}
        self.waiting = requests()

    async def sends(self, caller: Caller, beginning: str) -> httpx.Response:
        """Send the document's next request that begins so."""
        asked = next(one for one in self.waiting if re.fullmatch(beginning, str(one)))
        self.waiting.remove(asked)
        headers = dict(asked.headers)
        if "Authorization" in headers:
            assert headers.pop("Authorization") == "Bearer <token>"
            headers |= caller.headers
        content = None if asked.body is None else self._exchanged(json.dumps(asked.body)).encode()
        target = self._exchanged(asked.target)
        return await self.house.http.request(asked.method, target, content=content, headers=headers)

    def _exchanged(self, text: str) -> str:
        for theirs, ours in self.made.items():
            text = text.replace(theirs, ours)
        return text

    def notes(self, invite: Any) -> None:
        self.made[INVITE] = invite["id"]
        self.made[CODE] = invite.get("securityCode", self.made[CODE])

    async def has_person(self, owner: Any) -> None:
        form = PersonForm(first_name="Jane", last_name="Doe", gender=Gender.FEMALE)
        await self.house.operate(
            lambda ctx: persons.import_one(ctx, UUID(str(owner)), form, Relationship.SELF, UUID(PERSON))
        )


@pytest.fixture
async def replay(house: House) -> AsyncIterator[Replay]:
    form = ServerForm("Good Health Clinic", ServerKind.BUILT_IN)
    made = await house.operate(
        lambda ctx: servers.create(ctx, house.northside, form, server_id=UUID(SERVER)),
        Permission.KEEP_FHIR_SERVERS,
    )
    await load(house, made.id, PATIENTS[0])
    yield Replay(house)
    await house.must_be_sound()


def samples() -> list[Any]:
    return [mended(block) for block in blocks("json")]


def answer_of(answered: httpx.Response) -> Any:
    assert answered.status_code == 200, answered.text
    return answered.json()


def must_look_like(given: Any, sample: Any, place: str = "") -> None:
    """Insist on the sample's members, each of its kind; `patient` holds more, and dates are those of ruling 5."""
    assert type(given) is type(sample), place
    if isinstance(sample, dict):
        added = ADDED if "accessiblePatientId" in sample else set()
        assert given.keys() - added == sample.keys(), place
        for name, value in sample.items():
            if name == "patient":
                assert given[name]["resourceType"] == "Patient"
            elif value == "01-01-2021":
                instant(given[name])
            else:
                must_look_like(given[name], value, f"{place}.{name}")
    if isinstance(sample, list):
        for one in given:
            must_look_like(one, sample[0] if sample else one, f"{place}[]")


def test_the_document_holds_what_is_replayed_here() -> None:
    assert [str(one) for one in requests()] == [
        "POST /OrganizationInvites/security-details/create",
        "POST /OrganizationInvites/user-details/create",
        "GET /OrganizationInvites/security-details/code/ABC12345/security-question",
        "POST /OrganizationInvites/security-details/code/ABC12345/register",
        "GET /OrganizationInvites/received",
        "GET /OrganizationInvites/sent?page=1&count=15",
        f"GET /OrganizationInvites/{INVITE}",
        f"POST /OrganizationInvites/{INVITE}/accept",
        "GET /OrganizationInvites/security-details/code/ABC12345/security-question",
        "POST /OrganizationInvites/security-details/find",
        "POST /OrganizationInvites/security-details/code/ABC12345/accept",
    ]
    assert len(samples()) == 6
    every = "".join(blocks("console") + blocks("json"))
    assert [len(wrong.findall(every)) for wrong, _ in MENDED] == [2, 1, 2]


async def test_everything_it_asks_in_its_order(replay: Replay) -> None:
    """By code, registered, received, accepted by id; then somebody who exists finds another by its code, and accepts it by that."""
    by_code, registered, exists, received, sent, accepted = samples()
    house = replay.house
    made = answer_of(await replay.sends(house.ben, "POST .*/security-details/create"))
    must_look_like(made, by_code)
    assert (made["fhirServerId"], made["accessiblePatientId"], made["fhirServerName"]) == (
        SERVER, PATIENT, by_code["fhirServerName"],
    )  # fmt: skip
    first = answer_of(await replay.sends(house.ben, "POST .*/user-details/create"))
    assert first.keys() - ADDED == received[0].keys() - {
        "userId"
    }  # never before it is accepted or bound (ruling 24)
    replay.notes(made)

    question = await replay.sends(house.stranger, "GET .*/security-question")
    assert (question.status_code, question.text) == (200, made["securityQuestion"])
    assert question.headers["content-type"].startswith("text/plain")
    user = answer_of(await replay.sends(house.stranger, "POST .*/register"))
    must_look_like(user, registered)
    assert user["user"] | {"id": None, "createdAt": None, "modifiedAt": None} == registered["user"] | {"id": None, "createdAt": None, "modifiedAt": None}  # fmt: skip

    signed_in = await house.stranger.post("/v1/sessions", {"email": EMAIL, "password": "P@ssw0rd123"})
    jane = Caller(house.http, signed_in.json()["accessToken"])
    listed = answer_of(await replay.sends(jane, "GET .*/received"))
    must_look_like(listed, received)
    assert [one["id"] for one in listed] == [made["id"]]  # her mailbox isn't proved: the other one waits
    assert (listed[0]["userName"], listed[0]["userEmail"]) == ("Jane Doe", EMAIL)
    page = answer_of(await replay.sends(house.ben, "GET .*/sent.*"))
    assert page.keys() == sent.keys()
    assert (page["total"], page["totalPages"], page["hasNextPage"], page["currentPage"]) == (2, 1, False, 1)
    must_look_like(page["resources"][1:], sent["resources"])

    await replay.has_person(user["user"]["id"])
    grant = answer_of(await replay.sends(jane, "POST .*/[0-9a-f-]{36}/accept"))
    assert (grant["entityType"], grant["entityId"], grant["role"], grant["accessiblePatientId"]) == (
        "Person", PERSON, "Read", PATIENT,
    )  # fmt: skip
    for who in (jane, house.ben):
        replay.waiting += [one for one in requests() if str(one) == f"GET /OrganizationInvites/{INVITE}"]
        must_look_like(answer_of(await replay.sends(who, "GET .*/[0-9a-f-]{36}")), accepted)
    replay.waiting = [one for one in replay.waiting if one.method != "GET" or "question" in one.target]

    # "If the user exists": the same address, confirmed by now, and another invite.
    await house.rows("UPDATE accounts SET verified_at = created_at WHERE email = $1", EMAIL)
    again = requests()
    replay.waiting += [again[0], again[3]]
    replay.notes(answer_of(await replay.sends(house.ben, "POST .*/security-details/create")))
    assert answer_of(await replay.sends(house.stranger, "POST .*/register")) == exists
    question = await replay.sends(house.stranger, "GET .*/security-question")
    assert question.text == made["securityQuestion"]
    found = answer_of(await replay.sends(jane, "POST .*/find"))
    assert found.keys() - ADDED == received[0].keys() - {"userId", "userName", "userEmail"}
    grant = answer_of(await replay.sends(jane, "POST .*/code/.*/accept"))
    assert (grant["entityId"], grant["role"]) == (PERSON, "Read")
    assert replay.waiting == []
    assert len(answer_of(await jane.get("/OrganizationInvites/received"))) == 3
