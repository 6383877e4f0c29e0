"""The reference document's own requests, unchanged, against the running house, and its own answers beside ours.

A client supplies the host, the code of its organization, its session and the token it was shown, and nothing else.
"""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from cast import PASSWORD, Caller, House
from doors.medable.sharing import done, fault, moment
from doors.native.living import SECRET
from hospitium.doors.passwords import hash_now
from hospitium.engine.accounts import actions as accounts
from hospitium.engine.accounts.actions import AccountForm
from hospitium.engine.actor import Role
from hospitium.engine.context import Context
from hospitium.engine.ids import from_object_id
from hospitium.engine.memberships import actions as memberships
from hospitium.engine.object_types import actions as object_types
from hospitium.engine.object_types.actions import TypeSettings
from hospitium.engine.object_types.record import Storage
from hospitium.engine.records import actions as records
from hospitium.engine.records.actions import RecordForm
from hospitium.engine.secrets import Password

DOCUMENT = Path(__file__).parents[3] / "../shared/reference/documents/record-connections.md"
BLOCK = re.compile(r"^```\n(.*?)^```", re.DOTALL | re.MULTILINE)
REQUEST = re.compile(r"^(GET|POST) https://api\.dev\.medable\.com/(\S+)$")
TOKEN = re.compile(r"[A-Za-z0-9]{32}")

pytestmark = pytest.mark.skipif(
    not DOCUMENT.exists(),
    reason=f"the reference document is not here ({DOCUMENT.name} in shared/ beside the repository): NOT TESTED",
)

# The ids are the document's own.
JOHN, JANE = "575f58281d0c03a53ccc3ac6", "5516ee2634d8d93428169c0e"
CHARLES, FOURTH = "552417e085b784bc204e737c", "575f58281d0c03a53ccc3fd3"
PRESCRIPTION, EXAMPLE = "576967021d0c03a53cd79fd7", "5519c01aae2fd2b02915c81f"
PEOPLE = {
    JOHN: ("john@example.org", "John", "Smith"),
    JANE: ("jane@example.org", "Jane", "Smith"),
    CHARLES: ("charles+best@example.org", "Charles", "Best"),
    FOURTH: ("fourth@example.org", None, None),
}


class Documented(NamedTuple):
    """The parts of the document, in its order."""

    list_: tuple[str, str]
    listed: dict[str, Any]
    accept: tuple[str, str]
    accepted: dict[str, Any]
    auto: tuple[str, str]
    auto_body: str
    auto_made: dict[str, Any]
    by_address: str
    by_id: str
    pattern: tuple[str, str]
    create: tuple[str, str]
    create_body: str
    made: dict[str, Any]


def documented() -> Documented:
    parts: list[Any] = []
    for index, block in enumerate(BLOCK.findall(DOCUMENT.read_text())):
        request = REQUEST.match(block.strip())
        is_body = index in (5, 7, 8, 11)
        parts.append(request.groups() if request else block if is_body else json.loads(block))
    return Documented(*parts)


def shape(value: Any) -> Any:
    """Return which members of which kinds a value has."""
    match value:
        case dict():
            return {name: shape(member) for name, member in sorted(value.items())}
        case list():
            return [shape(member) for member in value]
        case _:
            return type(value).__name__


async def world(house: House) -> dict[str, Caller]:
    """Load what the document speaks of: its organization, its people, its objects and its instances; return who signs in."""
    organization_id = await house.add_organization("example", name="NewHealthCo")
    password = hash_now(Password(PASSWORD))

    async def load(ctx: Context) -> None:
        for digits, (email, first, last) in PEOPLE.items():
            form = AccountForm(email=email, first_name=first, last_name=last, verified=True)
            made = await accounts.create(ctx, form, password, given_id=from_object_id(digits))
            await memberships.add(ctx, made.id, organization_id, Role.MEMBER)
        for name, label, record, owner in (
            ("c_prescription", "Prescription", PRESCRIPTION, JOHN),
            ("c_example", "Example", EXAMPLE, JANE),
        ):
            # The document: "be sure that `Require Connection Accept` is unchecked".
            settings = TypeSettings(label=label, allows_shares=True, requires_acceptance=name == "c_example")
            made_type = await object_types.write_down(
                ctx, organization_id, name, f"{name}s", Storage.EXTERNAL, settings
            )
            form_ = RecordForm(given_id=from_object_id(record))
            await records.import_one(ctx, made_type, form_, from_object_id(owner))

    await house.operate(load)
    return {
        digits: Caller(house.http, await house._token_of(from_object_id(digits), "example", Role.MEMBER))
        for digits in PEOPLE
    }


async def sends(caller: Caller, request: tuple[str, str], body: str = "", **instead: str) -> httpx.Response:
    """Send a request of the document, with the code of the organization where it leaves that to the reader."""
    method, address = request
    for name in ("{{your_org_name}}", "{{your_org_code}}"):
        address = address.replace(name, "example")
    for old, new in instead.items():
        assert old in address
        address = address.replace(old, new)
    return await caller.send(method, f"/{address}", body.encode(), Content_Type="application/json")


def test_the_document_has_these_requests_and_no_others() -> None:
    doc = documented()
    assert doc.list_ == ("GET", "{{your_org_name}}/v2/connections")
    assert doc.accept == ("POST", f"example/v2/connections/{doc.listed['token']}")
    assert doc.auto == doc.create == ("POST", f"example/v2/c_prescriptions/{PRESCRIPTION}/connections")
    assert doc.pattern == ("POST", "{{your_org_code}}/v2/{{object_name}}/{{object_id}}/connections")
    named = set(re.findall(r"\b[0-9a-f]{24}\b", DOCUMENT.read_text()))
    connections = {
        one["_id"] for one in (doc.listed, doc.accepted, doc.made["data"][0], doc.auto_made["data"][0])
    }
    assert named == {*PEOPLE, PRESCRIPTION, EXAMPLE, *connections}


async def test_creating_one_works_unchanged(house: House) -> None:
    doc, people = documented(), await world(house)
    answered = done(await sends(people[JOHN], doc.create, doc.create_body))
    assert shape(answered) == shape(doc.made)
    (ours,), (theirs,) = answered["data"], doc.made["data"]
    of_itself = {"_id", "created", "expiresAt"}
    assert {k: v for k, v in ours.items() if k not in of_itself} == {
        k: v for k, v in theirs.items() if k not in of_itself
    }
    # Trap: the document's own dates are 7 days and a few milliseconds apart.
    assert moment(ours["expiresAt"]) - moment(ours["created"]) == timedelta(days=7)
    assert moment(theirs["expiresAt"]) - moment(theirs["created"]) - timedelta(days=7) < timedelta(seconds=1)

    # "notifying him that John Smith at NewHealthCo would like to share a Prescription file"
    (mail,) = await house.mails()
    assert mail.to == "fred.banting@example.org"
    assert f"{mail.subject} file" in DOCUMENT.read_text().replace("\n", " ")
    # "Once Fred registers as a user, he can then accept or decline": he would have read access, level 4.
    body = {"email": mail.to, "password": SECRET}
    done(await house.stranger.post("/example/v2/accounts/register", body))
    (confirming,) = await house.mails()
    done(
        await house.stranger.post(
            "/example/v2/accounts/verify", {"token": confirming.token, "password": SECRET}
        )
    )
    fred = Caller(house.http, (await house.stranger.post("/v1/sessions", body)).json()["accessToken"])
    (seen,) = done(await sends(fred, doc.list_))["data"]
    assert seen["token"] == mail.token
    accepted = done(await sends(fred, doc.accept, **{doc.listed["token"]: seen["token"]}))
    assert accepted["target"]["name"] == {"first": "Frederick", "last": "Banting"}
    assert done(await fred.get(f"/example/v2/c_prescriptions/{PRESCRIPTION}"))["access"] == 4
    await house.must_be_sound()


async def test_both_forms_of_a_target_are_taken(house: House) -> None:
    doc, people = documented(), await world(house)
    body = f'{{"targets": [{doc.by_address}, {doc.by_id}]}}'
    answered = await sends(
        people[JOHN],
        doc.pattern,
        body,
        **{"{{object_name}}": "c_prescriptions", "{{object_id}}": PRESCRIPTION},
    )
    first, second = done(answered)["data"]
    assert first["target"] == {
        "email": "fred.banting@example.org",
        "name": {"first": "Frederick", "last": "Banting"},
    }
    assert second["target"]["account"]["_id"] == FOURTH
    await house.must_be_sound()


async def test_auto_accepting_works_unchanged(house: House) -> None:
    doc, people = documented(), await world(house)
    answered = done(await sends(people[JOHN], doc.auto, doc.auto_body))
    assert shape(answered) == shape(doc.auto_made)
    (ours,), (theirs,) = answered["data"], doc.auto_made["data"]
    of_itself = {"_id", "created", "expiresAt"}
    assert {k: v for k, v in ours.items() if k not in of_itself} == {
        k: v for k, v in theirs.items() if k not in of_itself
    }
    assert ours["state"] == 1
    assert done(await people[CHARLES].get(f"/example/v2/c_prescriptions/{PRESCRIPTION}"))["access"] == 4
    await house.must_be_sound()


async def test_finding_and_accepting_one_works_unchanged(house: House) -> None:
    doc, people = documented(), await world(house)
    at = f"/example/v2/c_examples/{EXAMPLE}/connections"
    name = doc.listed["target"]["name"]
    named = {"_id": CHARLES, "name": name, "access": doc.listed["access"]}
    done(await people[JANE].post(at, {"targets": [named]}))
    # Trap 2: the document shows one of what is a list everywhere else.
    answered = done(await sends(people[CHARLES], doc.list_))
    assert answered.keys() == {"data", "hasMore", "object"}
    (found,) = answered["data"]
    assert shape(found) == shape(doc.listed)
    of_itself = {"_id", "created", "expiresAt", "token"}
    assert {k: v for k, v in found.items() if k not in of_itself} == {
        k: v for k, v in doc.listed.items() if k not in of_itself
    }
    assert TOKEN.fullmatch(found["token"])
    assert TOKEN.fullmatch(doc.listed["token"])
    # The document's own token is nobody's here.
    fault(await sends(people[CHARLES], doc.accept), 400, "kInvalidArgument", "connectionToken")

    # Trap 1: the document's answer to accepting is of another connection, made by e-mail, at level 4.
    by_address = {"email": doc.accepted["target"]["email"], "name": name, "access": doc.accepted["access"]}
    (made,) = done(await people[JANE].post(at, {"targets": [by_address]}))["data"]
    found = next(
        one for one in done(await sends(people[CHARLES], doc.list_))["data"] if one["_id"] == made["_id"]
    )
    accepted = done(await sends(people[CHARLES], doc.accept, **{doc.listed["token"]: found["token"]}))
    assert shape(accepted) == shape(doc.accepted)
    of_itself = {"_id", "created"}
    assert {k: v for k, v in accepted.items() if k not in of_itself} == {
        k: v for k, v in doc.accepted.items() if k not in of_itself
    }
    assert (accepted["_id"], accepted["created"]) == (made["_id"], made["created"])
    await house.must_be_sound()


async def test_the_ids_of_the_document_say_when_they_were_made() -> None:
    doc = documented()
    for one in (doc.listed, doc.accepted, doc.made["data"][0], doc.auto_made["data"][0]):
        assert abs(int(one["_id"][:8], 16) - moment(one["created"]).timestamp()) < 2


async def test_to_no_longer_share_one_simply_deletes_the_connection(house: House) -> None:
    doc, people = documented(), await world(house)
    (made,) = done(await sends(people[JOHN], doc.auto, doc.auto_body))["data"]
    assert done(await people[CHARLES].get(f"/example/v2/c_prescriptions/{PRESCRIPTION}"))["access"] == 4
    done(await people[JOHN].send("DELETE", f"/example/v2/connections/{made['_id']}"))
    fault(await people[CHARLES].get(f"/example/v2/c_prescriptions/{PRESCRIPTION}"), 404, "kNotFound")
    await house.must_be_sound()
