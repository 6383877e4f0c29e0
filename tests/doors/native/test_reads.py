"""Who looked: told to whoever looks after a person, and to the administrators of the FHIR server; complete, paged, and nothing of others."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from cast import House
from clinic import JANE, JIMMY, Clinic
from doors.bluebutton.test_persons import KIM, accepts, makes, offers
from doors.manners import everything
from doors.native.living import done
from hospitium.doors.recording import Recorder
from hospitium.engine.actor import Actor, ActorKind
from hospitium.engine.reads import queries
from hospitium.engine.reads.record import Interaction, digest_of
from hospitium.engine.suspensions import actions as suspensions
from hospitium.engine.suspensions.record import SuspensionReason
from reading import a_read, on_record

WORDS = ("Canary", "900111222", "Doe", "1990-02-01", "Jimmy")


class Ward:
    """Northside's clinic: Jane is pat's person; ben, ada and an application read."""

    def __init__(self, clinic: Clinic, person: str, grant: UUID, own: UUID) -> None:
        self.clinic = clinic
        self.house = clinic.house
        self.server = clinic.server_id
        self.person = person
        self.grant = grant
        self.own = own
        self.recorder = Recorder(clinic.house.database, clinic.house.clock)

    @classmethod
    async def open(cls, house: House) -> Ward:
        clinic = await Clinic.open(house)
        person = await makes(house.pat, **KIM)
        invite = (await clinic.invites_by_email("pat@mail.example")).json()
        answer = {"id": invite["id"], "personId": person}
        accepted = await house.pat.post(f"/OrganizationInvites/{invite['id']}/accept", answer)
        assert accepted.status_code in (200, 204), accepted.text
        rows = await house.rows(
            "SELECT id, grantee_kind FROM grants WHERE fhir_server_id = $1", clinic.server_id
        )
        by_kind = {row["grantee_kind"]: row["id"] for row in rows}
        return cls(clinic, person, by_kind["person"], by_kind["organization"])

    async def reads(self, who: str, *patients: str, by: UUID | None = None, **more: Any) -> None:
        """Put a read on record, by the organization's own grant unless said otherwise."""
        organization = {"ben": "northside", "ada": "northside", "rui": "lakeside"}.get(who)
        actor = Actor(
            ActorKind.ACCOUNT,
            account_id=self.house.accounts[who],
            organization_id=None if organization is None else self.house.organizations[organization],
        )
        northside = self.house.northside
        whose = {} if by is None else {"for_organizations": []}
        read = a_read(self.server, northside, *patients, grant_ids=[by or self.own], **whose, **more)
        await self.recorder.record(actor, read)

    async def an_application_reads(self, *patients: str) -> UUID:
        key = uuid4()
        actor = Actor(ActorKind.SERVICE_KEY, organization_id=self.house.northside, service_key_id=key)
        await self.recorder.record(
            actor, a_read(self.server, self.house.northside, *patients, grant_ids=[self.own])
        )
        return key

    async def of_person(self, who: str = "pat", **query: Any) -> Any:
        return await self.house.callers[who].get(f"/v1/persons/{self.person}/reads", **query)

    async def of_server(self, who: str = "ada", **query: Any) -> Any:
        return await self.house.callers[who].get(f"/v1/fhir-servers/{self.server}/reads", **query)


@pytest.fixture
async def ward(house: House) -> Ward:
    return await Ward.open(house)


# -- of a person -------------------------------------------------------------------------------------------------------


async def test_it_says_who_read_what_where_when_for_whom_and_by_which_grant(ward: Ward) -> None:
    await ward.reads("ben", JANE)
    (told,) = done(await ward.of_person())["reads"]
    assert told | {"id": "", "at": ""} == {
        "id": "",
        "at": "",
        "interaction": "read",
        "resourceType": "Patient",
        "resourceId": JANE,
        "patientIds": [JANE],
        "count": 1,
        "refusal": None,
        "asked": None,
        "fhirServer": {"id": str(ward.server), "name": "Good Health Clinic"},
        "organization": {"id": str(ward.house.northside), "name": "Northside Family Practice"},
        "reader": {
            "kind": "account",
            "id": str(ward.house.accounts["ben"]),
            "name": "Ben Cast",
            "organization": {"id": str(ward.house.northside), "name": "Northside Family Practice"},
        },
        "grants": [{"id": str(ward.own), "to": "organization", "because": "ownership"}],
    }


async def test_it_tells_of_staff_of_oneself_and_of_applications_the_newest_first(ward: Ward) -> None:
    await ward.reads("ben", JANE)
    await ward.reads("pat", JANE, by=ward.grant, interaction=Interaction.EVERYTHING, count=7)
    key = await ward.an_application_reads(JANE)
    found = done(await ward.of_person())["reads"]
    assert [(one["reader"]["kind"], one["reader"]["id"], one["reader"]["name"]) for one in found] == [
        ("application", str(key), None),
        ("account", str(ward.house.accounts["pat"]), "Pat Cast"),
        ("account", str(ward.house.accounts["ben"]), "Ben Cast"),
    ]
    own = found[1]
    assert (own["interaction"], own["count"], own["reader"]["organization"]) == ("everything", 7, None)
    assert own["grants"] == [{"id": str(ward.grant), "to": "person", "because": "invite"}]


async def test_of_others_who_were_shown_along_with_him_nothing_is_told(ward: Ward) -> None:
    await ward.reads("ben", JANE, JIMMY, count=20)
    await ward.reads("ben", JIMMY)
    response = await ward.of_person()
    (told,) = done(response)["reads"]
    assert (told["patientIds"], told["count"]) == ([JANE], None)
    assert JIMMY not in response.text


async def test_control_without_looking_whose_they_are_others_are_told_of(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = queries._view
    monkeypatch.setattr(queries, "_view", lambda row, used, known: view(row, used, None))
    await ward.reads("ben", JANE, JIMMY, count=20)
    assert JIMMY in (await ward.of_person()).text


async def test_what_was_refused_is_not_told_to_the_patient(ward: Ward) -> None:
    await ward.reads("rui", JANE, refused="NotFound")
    assert done(await ward.of_person()) == {"reads": [], "next": None}


async def test_whoever_looks_after_the_person_sees_it_and_nobody_else(ward: Ward) -> None:
    await ward.reads("ben", JANE)
    await accepts(ward.house.mia, await offers(ward.house.pat, ward.person, "mia"))
    assert len(done(await ward.of_person("mia"))["reads"]) == 1
    for who in ("ada", "ben", "rui", "zoe"):
        unknown = await ward.house.callers[who].get(f"/v1/persons/{uuid4()}/reads")
        refused = await ward.of_person(who)
        assert (refused.status_code, unknown.status_code) == (404, 404)
        assert refused.json()["detail"] == unknown.json()["detail"]
    assert (await ward.house.stranger.get(f"/v1/persons/{ward.person}/reads")).status_code == 401


async def test_pages_by_key_are_the_whole_though_more_is_read_meanwhile(ward: Ward) -> None:
    for _ in range(7):
        await ward.reads("ben", JANE)
    whole = [one["id"] for one in done(await ward.of_person())["reads"]]
    assert len(whole) == 7
    walked, after = list[str](), None
    while True:
        query = {"limit": 2} | ({} if after is None else {"after": after})
        page = done(await ward.of_person(**query))
        walked += [one["id"] for one in page["reads"]]
        await ward.reads("ben", JANE)
        after = page["next"]
        if after is None:
            break
    assert walked == whole
    strange = await ward.of_person(after=str(uuid4()))
    assert strange.status_code == 404
    assert (await ward.of_person(format="xml")).status_code == 400
    assert (await ward.of_person(limit=0)).status_code == 400


async def test_the_count_of_the_patient_is_that_of_the_gateway(ward: Ward) -> None:
    """K-05: who saw my data: complete, and exact."""
    for number in range(30):
        await ward.reads(
            ("ben", "ada", "pat")[number % 3], JANE, by=ward.grant if number % 3 == 2 else ward.own
        )
        if number % 5 == 0:
            await ward.reads("rui", JANE, refused="NotFound")
    found, after = 0, None
    while True:
        page = done(await ward.of_person(limit=7, **({} if after is None else {"after": after})))
        found, after = found + len(page["reads"]), page["next"]
        if after is None:
            break
    async with ward.house.database.transaction() as tx:
        kept = await on_record(tx, ward.server)
    assert found == kept["shown"] == ward.recorder.counted["shown"] == 30
    assert kept["refused"] == ward.recorder.counted["refused"] == 6


async def test_an_account_that_was_deleted_has_no_name_any_more(ward: Ward) -> None:
    await ward.reads("rui", JANE)
    rui = ward.house.accounts["rui"]
    await ward.house.rows(
        "UPDATE accounts SET first_name = NULL, last_name = NULL WHERE id = $1 RETURNING id", rui
    )
    (told,) = done(await ward.of_person())["reads"]
    assert (told["reader"]["id"], told["reader"]["name"]) == (str(rui), None)


# -- of a FHIR server ----------------------------------------------------------------------------------------------------


async def test_administrators_see_everything_on_their_server_refusals_too(ward: Ward) -> None:
    asked = digest_of(b"k", "Observation", [("patient", JIMMY)])
    await ward.reads("ben", JANE, JIMMY, count=20)
    await ward.reads("rui", JIMMY, refused="NotFound", query_digest=asked)
    refused, shown = done(await ward.of_server())["reads"]
    assert (shown["patientIds"], shown["count"]) == (sorted([JANE, JIMMY]), 20)
    assert (refused["refusal"], refused["asked"], refused["patientIds"], refused["count"]) == (
        "NotFound",
        asked,
        [],
        None,
    )
    assert refused["reader"] == {
        "kind": "account",
        "id": str(ward.house.accounts["rui"]),
        "name": "Rui Cast",
        "organization": None,
    }


async def test_they_see_those_of_one_patient_tries_at_him_too(ward: Ward) -> None:
    await ward.reads("ben", JANE, JIMMY)
    await ward.reads("ben", JANE)
    await ward.reads("rui", JIMMY, refused="NotFound")
    of_jimmy = done(await ward.of_server(patient=JIMMY))["reads"]
    assert [one["refusal"] for one in of_jimmy] == ["NotFound", None]
    assert len(done(await ward.of_server(patient=JANE))["reads"]) == 2
    assert done(await ward.of_server(patient="nobody")) == {"reads": [], "next": None}
    for wrong in ("..", "a/b", "x" * 65):
        assert (await ward.of_server(patient=wrong)).status_code == 400


async def test_they_are_paged(ward: Ward) -> None:
    for _ in range(5):
        await ward.reads("ben", JANE)
    for query in ({}, {"patient": JANE}):
        whole = done(await ward.of_server(**query))["reads"]
        first = done(await ward.of_server(limit=3, **query))
        rest = done(await ward.of_server(limit=3, after=first["next"], **query))
        assert (first["reads"] + rest["reads"], rest["next"]) == (whole, None)


async def test_nobody_else_sees_them(ward: Ward) -> None:
    await ward.reads("ben", JANE)
    for who, status in (("ben", 403), ("mia", 403), ("pat", 403), ("rui", 404), ("zoe", 404)):
        assert (await ward.of_server(who)).status_code == status, who
    assert (await ward.house.ada.get(f"/v1/fhir-servers/{uuid4()}/reads")).status_code == 404


# -- what is in none of it -----------------------------------------------------------------------------------------------


async def test_neither_names_nor_what_was_searched_for_stand_in_the_trail(ward: Ward) -> None:
    asked = digest_of(
        ward.house.parts.link_key.key, "Patient", [("name", "Canary"), ("identifier", "900111222")]
    )
    await ward.reads("ben", JANE, interaction=Interaction.SEARCH, query_digest=asked)
    await ward.reads("rui", JIMMY, refused="NotFound", query_digest=asked, resource_id="900111222")
    await ward.reads("rui", type="Canary", refused="Invalid")
    rows = await ward.house.rows("SELECT data::text AS text FROM events WHERE kind LIKE 'fhir.read%'")
    said = " ".join(row["text"] for row in rows)
    for word in WORDS:
        assert word not in said


# -- suspended patients --------------------------------------------------------------------------------------------------


async def suspends(ward: Ward, patient: str = JANE) -> None:
    await ward.house.operate(
        lambda ctx: suspensions.suspend_patient(ctx, ward.server, patient, SuspensionReason.MERGED)
    )


async def test_an_administrator_sees_who_is_suspended_and_confirms_him(ward: Ward) -> None:
    at = f"/v1/fhir-servers/{ward.server}"
    await suspends(ward)
    listed = done(await ward.house.ada.get(f"{at}/suspensions"))
    (one,) = listed["suspensions"]
    assert (one["patientId"], one["reason"], one["liftedAt"], listed["next"]) == (JANE, "merged", None, None)
    confirmed = done(await ward.house.ada.post(f"{at}/patients/{JANE}/confirmation"))
    assert (confirmed["id"], confirmed["liftedAt"] is None) == (one["id"], False)
    assert done(await ward.house.ada.get(f"{at}/suspensions")) == {"suspensions": [], "next": None}
    assert (await ward.house.ada.post(f"{at}/patients/{JANE}/confirmation")).status_code == 404


async def test_nobody_else_does(ward: Ward) -> None:
    at = f"/v1/fhir-servers/{ward.server}"
    await suspends(ward)
    before = await everything(ward.house)
    for who, status in (("ben", 403), ("pat", 403), ("rui", 404)):
        caller = ward.house.callers[who]
        assert (await caller.get(f"{at}/suspensions")).status_code == status
        assert (await caller.post(f"{at}/patients/{JANE}/confirmation")).status_code == status
    for strange in ("%00", "a%20b", "x" * 65):
        assert (await ward.house.ada.post(f"{at}/patients/{strange}/confirmation")).status_code == 404
    after = await everything(ward.house)
    assert {name for name in after if after[name] != before[name] and not name.startswith("event")} == set()


async def test_its_administrators_are_written_to_and_no_patient_is_named(ward: Ward) -> None:
    await ward.house.mails()
    await suspends(ward)
    (mail,) = await ward.house.mails()
    assert (mail.to, mail.subject) == (
        "ada@northside.example",
        "Access to a patient of Northside Family Practice is suspended",
    )
    whole = mail.message.as_string() + mail.text
    (row,) = await ward.house.rows("SELECT id FROM patient_suspensions")
    assert str(row["id"]) in mail.text
    assert not [word for word in (JANE, *WORDS) if word in whole]
    await suspends(ward, JIMMY)
    await ward.house.ada.post(f"/v1/fhir-servers/{ward.server}/patients/{JIMMY}/confirmation")
    assert await ward.house.mails() == []
