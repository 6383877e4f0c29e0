"""What an attack on the read gateway found: each fails without its mend."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from cast import connected
from clinic import JANE, JIMMY, accepts, body, makes_person
from doors.fhir.test_pages import onward
from doors.fhir.test_records import trail
from doors.fhir.ward import (
    CANARY,
    JANES,
    JIMMYS,
    PRACTITIONER,
    SHARED,
    Upstream,
    Ward,
    built_in,
    observation,
    remote,
)
from fakes.evil_fhir import EvilFhir, entry, page, pages, resource
from hospitium.doors import reading
from hospitium.engine.actor import Role
from hospitium.engine.fhir_references import actions as references
from hospitium.engine.fhir_servers import actions as servers
from hospitium.engine.fhir_servers.actions import ServerChanges
from hospitium.engine.memberships import actions as memberships
from hospitium.engine.permissions import Permission
from hospitium.engine.reads.record import party_of_patient

if TYPE_CHECKING:
    from cast import House
    from hospitium.engine.context import Context

HIV = {"coding": [{"system": "http://loinc.org", "code": "HIV"}]}


async def move(ward: Ward, to: EvilFhir) -> None:
    """Have an administrator change the address of a FHIR server, and confirm that its patients are the same."""

    async def deed(ctx: Context) -> None:
        await servers.change(ctx, ward.server_id, ServerChanges("Moved", to.base, True, None, None))
        await servers.confirm(ctx, ward.server_id)

    await ward.house.operate(deed, Permission.KEEP_FHIR_SERVERS)


@pytest.mark.parametrize("where", ["built-in", "remote"])
async def test_a_value_that_is_also_somebody_elses_cant_be_found_out_by_pages(
    house: House, where: str
) -> None:
    """An account about jane and jimmy is jane's to find, and nobody's to see who may not see both."""
    both = [{"reference": f"Patient/{one}"} for one in (JANE, JIMMY)]
    own = {"resourceType": "Account", "id": "a", "status": "active", "name": "Own", "subject": both[:1]}
    hidden = {"resourceType": "Account", "id": "z", "status": "active", "name": "Secret", "subject": both}

    async def finds(caller: Any) -> None:
        """Answer as a FHIR server does that keeps to what it is asked."""
        asked = dict(parse_qsl(urlsplit(caller.heard.target).query))
        found = [one for one in (own, hidden) if any(map(one["name"].startswith, asked["name"].split(",")))]
        if "-_id" in asked["_sort"]:
            found.reverse()
        at, count = int(asked.get("at", 0)), int(asked["_count"])
        way = f"{caller.server.base}/Account?name={asked['name']}&_sort={asked['_sort']}&_count={count}&at={at + count}"
        link = [{"relation": "next", "url": way}] if at + count < len(found) else []
        await resource(page(*map(entry, found[at : at + count]), link=link))(caller)

    async with EvilFhir.open(Upstream(JANES)) as evil:
        ward = await (
            remote(house, evil) if where == "remote" else built_in(house, *JANES, *JIMMYS, own, hidden)
        )
        await ward.grant()
        evil.does = finds
        for order in ("_id", "-_id"):
            told = []
            for guess in ("Sec", "Xyz"):
                found = body(await ward.get(f"Account?_sort={order}&_count=1&name=Own,{guess}"))
                told.append((found.get("entry"), found.get("total"), onward(ward, found)))
            assert told[0] == told[1]
            assert len(told[0][0]) == 1


async def test_what_is_read_for_an_organization_and_for_oneself_is_told_apart(house: House) -> None:
    ward = await built_in(house, *JANES, *SHARED, *JIMMYS)
    await connected(house.ada, house.lakeside, house.rui)
    granted = {"entityType": "Organization", "entityId": str(house.lakeside), "fhirServerId": str(ward.server_id), "role": "Read", "accessiblePatientId": JIMMY}  # fmt: skip
    body(await house.ada.post("/FhirServers/grants", granted))
    invited = {
        "userEmail": "rui@lakeside.example",
        "firstName": "Jane",
        "lastName": "Doe",
        "accessiblePatientId": JANE,
    }
    made = body(
        await house.ben.post(
            "/OrganizationInvites/user-details/create", invited, FhirServerId_Context=str(ward.server_id)
        )
    )
    person = await makes_person(house.rui)
    body(await accepts(house.rui, made["id"], person))
    assert len(body(await ward.get("Patient", house.rui))["entry"]) == 2
    (told,) = (await house.rui.get(f"/v1/persons/{person}/reads")).json()["reads"]
    assert told["reader"]["organization"] is None  # Lakeside has no grant on Jane
    assert [one["to"] for one in told["grants"]] == ["person"]
    of_lakeside = await house.rows(
        "SELECT data::text AS data FROM events JOIN event_parties ON event_id = id WHERE kind = 'fhir.read' AND party_id = $1",
        house.lakeside,
    )
    assert of_lakeside
    assert JANE not in repr([row["data"] for row in of_lakeside])


async def test_who_reads_by_an_organizations_grant_reads_for_it_whatever_his_session_is_for(
    house: House,
) -> None:
    ward = await built_in(house, *JANES, *SHARED, *JIMMYS)
    await connected(house.ada, house.lakeside, house.rui)
    granted = {"entityType": "Organization", "entityId": str(house.lakeside), "fhirServerId": str(ward.server_id), "role": "Read", "accessiblePatientId": JIMMY}  # fmt: skip
    body(await house.ada.post("/FhirServers/grants", granted))
    zoe, lakeside = house.accounts["zoe"], house.organizations["lakeside"]
    await house.operate(lambda ctx: memberships.add(ctx, zoe, lakeside, Role.PHYSICIAN))
    body(await ward.get(f"Patient/{JIMMY}", house.zoe))  # her session is for harbor
    (read,) = await house.rows("SELECT actor_organization_id AS id FROM events WHERE kind = 'fhir.read'")
    assert read["id"] == lakeside


async def test_that_there_is_nothing_or_how_many_is_on_record_of_whom_it_is_said(house: House) -> None:
    ward = await built_in(
        house, *JANES, JIMMYS[0], observation("a", JANE, 1, code=HIV), observation("z", JIMMY, 2, code=HIV)
    )
    await ward.grant(JANE)
    assert body(await ward.get("Condition?code=none"))["total"] == 0
    await ward.grant(JIMMY)
    assert body(await ward.get("Observation?code=HIV&_count=1&_total=accurate"))["total"] == 2
    nothing, two = await trail(house, "fhir.read")
    assert nothing["patients"] == [JANE]
    assert two["patients"] == sorted([JANE, JIMMY])


async def test_a_question_is_on_record_as_what_it_is(house: House) -> None:
    ward = await built_in(house, *JANES)
    await ward.grant()
    for path in (
        "Observation?code=8867-4",
        "Observation?code=8867-4,x_page=1",
        "Observation?code=HIV,x_page=1",
    ):
        body(await ward.get(path))
    following = onward(ward, body(await ward.get("Observation?_count=2")))
    assert following is not None
    body(await ward.get(following.replace("_page", "%5Fpage")))
    reads = await trail(house, "fhir.read")
    assert [one["interaction"] for one in reads] == ["search", "search", "search", "search", "page"]
    assert len({one["asked"] for one in reads}) == 5


async def test_of_one_answer_not_any_number_of_references_is_noted(house: House) -> None:
    async with EvilFhir.open(Upstream(JANES)) as evil:
        ward = await remote(house, evil)
        await ward.grant()
        many = [{"reference": f"Practitioner/{i}"} for i in range(20_000)]
        evil.does = resource({**observation("j-1", JANE), "performer": many})
        body(await ward.get("Observation/j-1"))
        (found,) = await house.rows("SELECT count(*) AS n FROM fhir_references")
        assert found["n"] <= 2_000


async def test_what_another_server_referred_to_opens_nothing_at_a_new_address(house: House) -> None:
    strange = {"resourceType": "Practitioner", "id": PRACTITIONER, "name": [{"family": "Stranger"}]}
    async with (
        EvilFhir.open(Upstream((*JANES, *SHARED))) as old,
        EvilFhir.open(Upstream((*JANES, strange))) as new,
    ):
        ward = await remote(house, old)
        await ward.grant()
        body(await ward.get("Observation/j-by-house"))
        body(await ward.get(f"Practitioner/{PRACTITIONER}"))
        await move(ward, new)
        assert (await ward.get(f"Practitioner/{PRACTITIONER}")).status_code == 404
        assert new.targets == []
        body(await ward.get("Observation/j-by-house"))  # what refers to the stranger there, opens him there
        assert body(await ward.get(f"Practitioner/{PRACTITIONER}"))["name"] == strange["name"]


async def test_what_was_read_at_an_old_address_is_not_noted_at_the_new_one(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is noted after it was read: the address may have been changed in between."""
    async with EvilFhir.open(Upstream((*JANES, *SHARED))) as old, EvilFhir.open(Upstream(JANES)) as new:
        ward = await remote(house, old)
        await ward.grant()
        note = references.note

        async def late(*given: Any) -> None:
            await move(ward, new)
            await note(*given)

        monkeypatch.setattr(references, "note", late)
        body(await ward.get("Observation/j-by-house"))
        assert await house.rows("SELECT FROM fhir_references") == []


async def test_a_page_of_an_old_address_is_no_page_of_the_new_one(house: House) -> None:
    observations = [one for one in JANES if one["resourceType"] == "Observation"]
    async with EvilFhir.open(Upstream(JANES)) as old, EvilFhir.open(Upstream(JANES)) as new:
        ward = await remote(house, old)
        await ward.grant()
        old.does = pages(observations)
        following = onward(ward, body(await ward.get("Observation?_count=2")))
        assert following is not None
        await move(ward, new)
        assert (await ward.get(following)).status_code == 400
        assert new.targets == []


async def test_what_an_old_address_gave_is_not_shown_as_the_new_ones(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "DECISION_LASTS", 0.05)
    was_asked, may_answer = asyncio.Event(), asyncio.Event()
    async with EvilFhir.open(Upstream(())) as old, EvilFhir.open(Upstream(())) as new:
        ward = await remote(house, old)
        gives = resource({**observation("j-1", JANE), "subject": {"reference": f"{old.base}/Patient/{JANE}"}})

        async def slowly(caller: Any) -> None:
            was_asked.set()
            await may_answer.wait()
            await gives(caller)

        old.does = slowly
        reads = asyncio.create_task(ward.get("Observation/j-1", house.ada))
        await was_asked.wait()
        await move(ward, new)
        await asyncio.sleep(0.1)
        may_answer.set()
        assert (await reads).status_code == 404
        assert await trail(house, "fhir.read") == []


async def test_whoever_is_looked_for_by_name_stands_in_the_clinics_record(house: House) -> None:
    ward = await built_in(house, *JANES, *JIMMYS)
    await ward.grant()
    for path in (f"Observation?patient={JIMMY}", f"Patient?_id={JIMMY}"):
        await ward.get(path)
    found = await house.rows(
        "SELECT 1 FROM event_parties WHERE party_id = $1", party_of_patient(ward.server_id, JIMMY)
    )
    assert len(found) == 2


async def test_what_is_left_out_of_a_count_is_told_the_clinic_too(house: House) -> None:
    async with EvilFhir.open(Upstream((*JANES, *JIMMYS))) as evil:
        ward = await remote(house, evil)
        await ward.grant()
        body(await ward.get("Observation?_summary=count"))
        assert len(await trail(house, "fhir.left_out")) == 1


async def test_of_large_pages_no_more_are_asked_for_than_are_held(house: House) -> None:
    """All of an answer is held until it leaves: a server that gives large pages gives few of them at a time."""
    async with EvilFhir.open(Upstream(JANES)) as evil:
        ward = await remote(house, evil)
        await ward.grant()
        evil.heard.clear()

        async def large(caller: Any) -> None:
            type_ = urlsplit(caller.heard.target).path.rpartition("/")[2]
            kept = [one for one in JANES if one["resourceType"] == type_][:1]
            found = [entry({**one, "note": [{"text": "x" * 1_100_000}]}) for one in kept]
            await resource(page(*found))(caller)

        evil.does = large
        first = body(await ward.get(f"Patient/{JANE}/$everything"))
        assert len(first["entry"]) == 2
        assert onward(ward, first) is not None


async def test_what_a_reference_to_somebody_else_says_besides_is_taken_out(house: House) -> None:
    other = {
        "reference": f"Patient/{JIMMY}",
        "display": CANARY,
        "identifier": {"value": CANARY},
        "extension": [{"url": "http://a.example", "valueString": CANARY}],
        "_reference": {"extension": [{"url": "http://a.example", "valueString": CANARY}]},
    }
    ward = await built_in(house, *JANES, observation("with", JANE, 8, focus=[other]))
    await ward.grant()
    shown = body(await ward.get("Observation/with"))
    assert shown["focus"] == [{"reference": f"Patient/{JIMMY}"}]
