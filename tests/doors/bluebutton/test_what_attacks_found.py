"""What attacks on this surface found, each held shut."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from cast import PASSWORD
from clinic import (
    ANSWER,
    JANE,
    JIMMY,
    QUESTION,
    accepts,
    accepts_by_code,
    body,
    finds,
    load,
    makes_person,
    problem,
    registers,
    signs_in,
)
from hospitium.dispatch import sweeps
from hospitium.engine.accounts import life
from hospitium.engine.fhir_servers import actions as servers
from hospitium.engine.invites import answering
from hospitium.engine.organizations import actions as organizations
from hospitium.engine.permissions import Permission

if TYPE_CHECKING:
    from cast import Caller, House
    from clinic import Clinic

NEW_PASSWORD = "another good pass"


async def grants(house: House, clinic: Clinic, email: str, role: str, who: Caller | None = None) -> Any:
    given = {"entityType": "User", "entityId": email, "fhirServerId": str(clinic.server_id), "role": role}
    return await (who or house.ada).post("/FhirServers/grants", given)


async def link_sent(house: House, email: str) -> str:
    text = (await house.mails(to=email))[-1].message.get_body().get_content()  # type: ignore[union-attr]
    found = re.search(r"#([A-Za-z0-9]{32})", text)
    assert found is not None
    return found[1]


async def squatted(house: House, clinic: Clinic) -> tuple[str, Caller, str]:
    """Have Eve register a victim's address with a code of her own; return the invite, Eve, and the link in the victim's mailbox."""
    made = body(await clinic.invites_by_code())
    body(await registers(house.stranger, made["securityCode"], "victim@mail.example", firstName="Eve"))
    eve = await signs_in(house, "victim@mail.example")
    return made["id"], eve, await link_sent(house, "victim@mail.example")


async def claims(house: House, token: str) -> Any:
    return await house.stranger.post("/v1/accounts/claim", {"token": token, "password": NEW_PASSWORD})


def meanwhile(monkeypatch: pytest.MonkeyPatch, statement: Any, run: str) -> asyncio.Event:
    """Have whoever executes a statement wait a little after it, with its locks held; the event is set when he has them."""
    reached, original = asyncio.Event(), getattr(statement, run)

    async def held(tx: Any, **given: Any) -> Any:
        done = await original(tx, **given)
        reached.set()
        await asyncio.sleep(0.3)
        return done

    monkeypatch.setattr(statement, run, held)
    return reached


async def test_who_leaves_the_clinic_leaves_what_it_was_granted_there(house: House, clinic: Clinic) -> None:
    made = body(await grants(house, clinic, "ben@northside.example", "Administrator"))
    assert (await house.ada.send("DELETE", f"/v1/members/{house.accounts['ben']}")).status_code == 200
    problem(await clinic.invites_by_code(), 404, "not-found")
    problem(await clinic.sees_sent(), 404, "not-found")
    problem(await grants(house, clinic, "mia@northside.example", "Write", house.ben), 404, "not-found")
    (event,) = await house.rows("SELECT data FROM events WHERE kind = 'membership.ended'")
    assert event["data"]["grants"] == [made["grantId"]]
    await house.must_be_sound()


async def test_a_kept_answer_is_not_told_to_who_may_not_ask_any_more(house: House, clinic: Clinic) -> None:
    by_code = {"securityQuestion": QUESTION, "securityAnswer": ANSWER, "accessiblePatientId": JANE}
    by_email = {
        "userEmail": "pat@mail.example",
        "firstName": "J",
        "lastName": "D",
        "accessiblePatientId": JANE,
    }
    asked = [
        ("/OrganizationInvites/security-details/create", by_code, {**clinic.context, "Idempotency-Key": "1"}),
        ("/OrganizationInvites/user-details/create", by_email, {**clinic.context, "Idempotency-Key": "2"}),
    ]
    first = [body(await house.ben.post(path, given, **headers)) for path, given, headers in asked]
    assert [body(await house.ben.post(path, given, **headers)) for path, given, headers in asked] == first
    kept = await house.rows("SELECT answer FROM idempotency_keys")
    assert not any(b"Canary" in row["answer"] for row in kept)
    body(await grants(house, clinic, "ben@northside.example", "Read"))
    for path, given, headers in asked:
        problem(await house.ben.post(path, given, **headers), 403, "forbidden")
    reissue = f"/OrganizationInvites/{first[0]['id']}/reissue"
    again = {"securityQuestion": QUESTION, "securityAnswer": ANSWER}
    body(await house.ada.post(reissue, again, Idempotency_Key="3"))
    assert (await house.ada.send("DELETE", f"/v1/fhir-servers/{clinic.server_id}")).status_code == 200
    problem(await house.ada.post(reissue, again, Idempotency_Key="3"), 404, "not-found")


async def test_nobody_keeps_a_patient_from_registering_by_drawing_on_his_mailbox(
    house: House, clinic: Clinic
) -> None:
    squatter = {"email": "jane@mail.example", "password": NEW_PASSWORD}
    assert (await house.stranger.post("/v1/accounts", squatter)).status_code == 202
    for _ in range(8):
        await house.stranger.post("/v1/accounts/confirmation", {"email": "jane@mail.example"})
    code = body(await clinic.invites_by_code())["securityCode"]
    assert body(await registers(house.stranger, code, "jane@mail.example"))["userExists"] is False


async def test_a_session_that_a_claim_ends_writes_nothing_into_the_claimed_account(
    house: House, clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, eve, token = await squatted(house, clinic)
    reached = meanwhile(monkeypatch, life._TAKE_OVER, "first")

    async def plants() -> Any:
        await reached.wait()
        planted = {"firstName": "Mallory", "lastName": "M", "gender": "Other", "birthDate": "1990-02-01"}
        return await eve.post("/Persons", planted)

    claimed, planted = await asyncio.gather(claims(house, token), plants())
    assert claimed.status_code == 200
    problem(planted, 401, "session-ended")
    victim = await signs_in(house, "victim@mail.example", NEW_PASSWORD)
    assert body(await victim.get("/Persons"))["total"] == 0


async def test_the_clinic_sees_nothing_of_who_claims_the_address(house: House, clinic: Clinic) -> None:
    invite_id, _, token = await squatted(house, clinic)
    assert (await claims(house, token)).status_code == 200
    victim = await signs_in(house, "victim@mail.example", NEW_PASSWORD)
    named = msgspec.json.encode({"firstName": "Veronica", "lastName": "Victim"})
    await victim.send("PATCH", "/v1/accounts/own", named, content_type="application/json")
    seen = body(await house.ben.get(f"/OrganizationInvites/{invite_id}"))
    assert seen["status"] == "undone"
    assert not {"userId", "userName", "userEmail"} & seen.keys()
    assert "Veronica" not in (await clinic.sees_sent()).text


async def test_the_administrators_are_told_where_the_inviter_is_gone(house: House, clinic: Clinic) -> None:
    invite = body(await clinic.invites_by_email("pat@mail.example"))
    code = body(await clinic.invites_by_code(patient=JIMMY))["securityCode"]
    body(await house.ben.post("/v1/accounts/own/deletion", {"password": PASSWORD}))
    await house.mails()
    body(await accepts(house.pat, invite["id"], await makes_person(house.pat)))
    for _ in range(5):
        problem(await finds(house.pat, code, "Rex"), 400, "wrong-answer")
    assert [mail.to for mail in await house.mails()] == ["ada@northside.example"] * 2


async def test_a_person_that_goes_is_told_to_each_clinic_with_its_own_grant_alone(
    house: House, clinic: Clinic
) -> None:
    from clinic import PATIENTS, Clinic, add_server  # noqa: PLC0415

    other = Clinic(house, await add_server(house, "harbor", "Harbor Records"))
    await load(house, other.server_id, *PATIENTS)
    person_id = await makes_person(house.pat)
    made = {}
    for where, who in ((clinic, house.ben), (other, house.zoe)):
        invite = body(await where.invites_by_email("pat@mail.example", who))
        made[where] = body(await accepts(house.pat, invite["id"], person_id))["grantId"]
    assert (await house.pat.send("DELETE", f"/Persons/{person_id}")).status_code == 204
    for where, organization in ((clinic, house.northside), (other, house.harbor)):
        events = await house.rows(
            "SELECT e.kind, e.data::text AS data FROM events AS e JOIN event_parties AS p ON p.event_id = e.id WHERE p.party_id = $1",
            organization,
        )
        told = [event["kind"] for event in events if made[where] in event["data"]]
        assert "grant.ended" in told
        others = next(grant for clinic_, grant in made.items() if clinic_ is not where)
        assert not any(others in event["data"] for event in events)
    await house.must_be_sound()


async def test_nothing_is_accepted_of_a_clinic_that_is_suspended_while_the_answer_is_compared(
    house: House, clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = body(await clinic.invites_by_code())["securityCode"]
    person_id = await makes_person(house.pat)
    compare, reached = house.parts.passwords.fits, asyncio.Event()

    async def slowly(*given: Any) -> bool:
        reached.set()
        await asyncio.sleep(0.2)
        return await compare(*given)

    monkeypatch.setattr(house.parts.passwords, "fits", slowly)

    async def suspend() -> None:
        await reached.wait()
        await house.operate(
            lambda ctx: organizations.judge(ctx, "suspend", "northside"), Permission.JUDGE_ORGANIZATION
        )

    answered, _ = await asyncio.gather(accepts_by_code(house.pat, code, person_id), suspend())
    problem(answered, 404, "unknown-code")
    assert await house.rows("SELECT FROM grants WHERE cause_kind = 'invite'") == []


async def test_accepting_by_code_and_removing_the_server_never_embrace(
    house: House, clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = body(await clinic.invites_by_code())["securityCode"]
    person_id = await makes_person(house.pat)
    reached = meanwhile(monkeypatch, answering._GIVE_BACK, "run")

    async def remove() -> Any:
        await reached.wait()
        return await house.ada.send("DELETE", f"/v1/fhir-servers/{clinic.server_id}")

    accepted, removed = await asyncio.gather(accepts_by_code(house.pat, code, person_id), remove())
    assert (accepted.status_code, removed.status_code) == (200, 200)
    assert await deadlocks(house) == 0
    assert body(await house.pat.get("/FhirServers/records")) == []
    await house.must_be_sound()


async def deadlocks(house: House) -> int:
    await asyncio.sleep(1.1)  # statistics are a second behind
    (found,) = await house.rows("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    return int(found["deadlocks"])


async def test_erasing_forgets_the_address_in_invites_that_are_over(house: House, clinic: Clinic) -> None:
    kept = body(await clinic.invites_by_email("pat@mail.example", firstName="Patricia"))
    declined = body(await clinic.invites_by_email("pat@mail.example", firstName="Patricia"))
    answered = await house.pat.post(f"/OrganizationInvites/{declined['id']}/decline")
    assert answered.status_code == 204
    body(await house.pat.post("/v1/accounts/own/deletion", {"password": PASSWORD}))
    rows = await house.rows("SELECT id::text, email, first_name FROM invites ORDER BY id")
    assert {row["id"]: (row["email"], row["first_name"]) for row in rows} == {
        kept["id"]: ("pat@mail.example", "Patricia"),  # it still waits for whoever proves that mailbox
        declined["id"]: ("", ""),
    }


async def test_a_server_that_is_removed_keeps_no_patient(house: House, clinic: Clinic) -> None:
    assert (await house.ada.send("DELETE", f"/v1/fhir-servers/{clinic.server_id}")).status_code == 200
    await house.sweep(sweeps.forget_removed_resources)
    assert await house.rows("SELECT FROM fhir_resources") == []


async def test_only_an_owner_replaces_a_grant_by_less(house: House, clinic: Clinic) -> None:
    await house.add_person("lea", "northside")
    body(await grants(house, clinic, "ben@northside.example", "Administrator"))
    body(await grants(house, clinic, "mia@northside.example", "Write"))
    problem(await grants(house, clinic, "mia@northside.example", "Read", house.ben), 403, "forbidden")
    body(await grants(house, clinic, "mia@northside.example", "Administrator", house.ben))
    body(await grants(house, clinic, "mia@northside.example", "Read"))


async def test_a_server_that_was_changed_while_it_was_asked_costs_a_second_try(
    house: House, clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    hash_slowly = house.parts.passwords.hash

    async def renamed_meanwhile(*given: Any) -> Any:
        changed = servers.ServerChanges(
            "Another Name", None, allow_private_address=False, credentials=None, authorities=None
        )
        await house.operate(
            lambda ctx: servers.change(ctx, clinic.server_id, changed), Permission.KEEP_FHIR_SERVERS
        )
        return await hash_slowly(*given)

    monkeypatch.setattr(house.parts.passwords, "hash", renamed_meanwhile)
    problem(await clinic.invites_by_code(), 503, "unavailable")
    assert await house.rows("SELECT FROM invites") == []
