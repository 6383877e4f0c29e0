"""What is put on record of a read: who, as whom, what, by which grants; in whose trails; and never what was searched for."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from engine import caring, inviting
from engine.ground import Ground
from hospitium.engine import events
from hospitium.engine.actor import Actor, ActorKind
from hospitium.engine.grants import on_servers
from hospitium.engine.levels import Level
from hospitium.engine.reads import actions
from hospitium.engine.reads.record import Interaction, Reading, digest_of, party_of_patient
from reading import a_read

KEY = b"k" * 32


class Ward:
    """A FHIR server of northside's with two patients: jane is pat's person, jimmy nobody's yet."""

    def __init__(self, ground: Ground, server: UUID, person: UUID, grant: UUID, own: UUID) -> None:
        self.ground = ground
        self.server = server
        self.person = person
        self.grant = grant
        self.own = own

    @classmethod
    async def open(cls, ground: Ground) -> Ward:
        server = await inviting.a_server(ground)
        person = await ground.does("pat", caring.a_person, first_name="Jane")
        invite = await ground.does("ada", inviting.by_email, server)
        grant = (await ground.does("pat", inviting.accept, invite, person)).id
        (own,) = await ground.rows(
            "SELECT id FROM grants WHERE fhir_server_id = $1 AND grantee_id = $2", server, ground.northside
        )
        return cls(ground, server, person, grant, own["id"])

    async def reads(self, who: str | Actor, *patients: str, **more: Any) -> Any:
        """Put a read on record; return the event with its parties."""
        await self.ground.does(
            who, actions.record, a_read(self.server, self.ground.northside, *patients, **more)
        )
        return await self.newest()

    async def newest(self) -> Any:
        (event,) = await self.ground.rows(
            "SELECT e.*, (SELECT array_agg(party_kind || ' ' || party_id) FROM event_parties AS p WHERE p.event_id = e.id) AS parties "
            "FROM events AS e ORDER BY position DESC LIMIT 1"
        )
        return dict(event) | {"parties": sorted(event["parties"])}


@pytest.fixture
async def ward(ground: Ground) -> Ward:
    return await Ward.open(ground)


async def test_a_read_says_who_read_what_as_whom_and_by_which_grant(ward: Ward) -> None:
    ben = ward.ground.actors["ben"]
    event = await ward.reads("ben", "jane", grant_ids=[ward.own])
    assert (event["kind"], event["subject_kind"], event["subject_id"]) == (
        "fhir.read",
        "fhir_server",
        ward.server,
    )
    assert (event["actor_account_id"], event["actor_organization_id"]) == (
        ben.account_id,
        ward.ground.northside,
    )
    assert event["data"] == {
        "interaction": "read",
        "type": "Patient",
        "resource": "jane",
        "patients": ["jane"],
        "count": 1,
        "grants": [str(ward.own)],
    }


async def test_it_stands_in_the_trails_of_the_clinic_the_reader_the_patient_and_his_person(
    ward: Ward,
) -> None:
    event = await ward.reads("ben", "jane", "jimmy", grant_ids=[ward.own])
    assert event["parties"] == sorted(
        [
            f"organization {ward.ground.northside}",
            f"account {ward.ground.actors['ben'].account_id}",
            f"person {ward.person}",
            *(f"patient {party_of_patient(ward.server, one)}" for one in ("jane", "jimmy")),
        ]
    )


async def test_a_person_whose_grant_ended_is_told_of_what_was_read_before_alone(ward: Ward) -> None:
    assert f"person {ward.person}" in (await ward.reads("ben", "jane"))["parties"]
    await ward.ground.does("ada", on_servers.end, ward.grant)
    assert f"person {ward.person}" not in (await ward.reads("ben", "jane"))["parties"]


async def test_who_reads_for_himself_does_so_for_no_organization(ward: Ward) -> None:
    """Rui administers lakeside, and looks after pat's person: what he reads of it is none of lakeside's business."""
    await caring.let_in(ward.ground, ward.person, "rui", Level.READ)
    rui = ward.ground.actors["rui"]
    event = await ward.reads("rui", "jane", grant_ids=[ward.grant], for_organizations=[])
    assert (event["actor_account_id"], event["actor_organization_id"]) == (rui.account_id, None)
    assert f"organization {ward.ground.lakeside}" not in event["parties"]
    refused = await ward.reads("rui", "jimmy", refused="NotFound")
    assert refused["actor_organization_id"] is None
    assert f"organization {ward.ground.lakeside}" not in refused["parties"]


async def test_neither_does_staff_of_the_clinic_itself(ward: Ward) -> None:
    await caring.let_in(ward.ground, ward.person, "ben", Level.READ)
    event = await ward.reads("ben", "jane", grant_ids=[ward.grant], for_organizations=[])
    assert event["actor_organization_id"] is None


async def test_a_person_by_whose_grant_it_was_read_is_told_though_it_has_ended(ward: Ward) -> None:
    await ward.ground.does("ada", on_servers.end, ward.grant)
    event = await ward.reads("pat", "jane", grant_ids=[ward.grant], for_persons=[ward.person])
    assert f"person {ward.person}" in event["parties"]


async def test_control_without_that_his_employer_is_told(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions, "as_whom", lambda actor, _: actor)
    await caring.let_in(ward.ground, ward.person, "rui", Level.READ)
    event = await ward.reads("rui", "jane", grant_ids=[ward.grant], for_organizations=[])
    assert f"organization {ward.ground.lakeside}" in event["parties"]


async def test_staff_of_a_partner_read_for_it_and_it_is_told(ward: Ward) -> None:
    ground = ward.ground
    await ground.moves("rui", "approve", await ground.asks("ada", "lakeside"))
    form = on_servers.GrantForm("organization", ground.lakeside, Level.READ)
    granted = await ground.does("ada", on_servers.make, ward.server, form)
    event = await ward.reads("rui", "jane", grant_ids=[granted.id], for_organizations=[ground.lakeside])
    assert event["actor_organization_id"] == ground.lakeside
    assert f"organization {ground.lakeside}" in event["parties"]


async def test_an_application_is_named_by_its_key(ward: Ward) -> None:
    key = Actor(ActorKind.SERVICE_KEY, organization_id=ward.ground.northside, service_key_id=uuid4())
    event = await ward.reads(key, "jane")
    assert (event["actor_kind"], event["actor_account_id"]) == ("service_key", None)
    assert event["data"]["service_key"] == str(key.service_key_id)


async def test_a_refused_read_names_no_patient_and_no_resource_and_the_clinic_sees_it(ward: Ward) -> None:
    asked = digest_of(KEY, "Observation", [("patient", "jimmy")])
    event = await ward.reads(
        "rui",
        "jimmy",
        refused="NotFound",
        query_digest=asked,
        grant_ids=[ward.grant],
        resource_id="900111222",
    )
    assert event["kind"] == "fhir.read_refused"
    assert event["data"] == {
        "interaction": "read",
        "type": "Patient",
        "refusal": "NotFound",
        "asked": asked,
    }
    assert event["parties"] == sorted(
        [
            f"organization {ward.ground.northside}",
            f"account {ward.ground.actors['rui'].account_id}",
            f"patient {party_of_patient(ward.server, 'jimmy')}",
        ]
    )


async def test_a_stranger_who_tries_is_not_told_to_the_patient(ward: Ward) -> None:
    event = await ward.reads("rui", "jane", refused="NotFound")
    assert not any(party.startswith("person ") for party in event["parties"])
    assert await ward.ground.rows("SELECT FROM event_parties WHERE party_id = $1 AND event_id = $2", ward.person, event["id"]) == []  # fmt: skip


async def test_a_type_that_there_is_not_is_not_repeated(ward: Ward) -> None:
    event = await ward.reads("rui", type="JohnSmith", refused="Invalid")
    assert "type" not in event["data"]


def test_the_hash_of_a_question_is_keyed_and_the_same_for_the_same() -> None:
    asked = [("name", "Doe"), ("birthdate", "1990-02-01")]
    first = digest_of(KEY, "Patient", asked)
    assert first == digest_of(KEY, "Patient", list(asked))
    assert len({first, digest_of(b"l" * 32, "Patient", asked), digest_of(KEY, "Person", asked), digest_of(KEY, "Patient", asked[:1])}) == 4  # fmt: skip
    assert len(first) == 32


async def test_many_are_put_on_record_at_once_each_with_its_own_parties(ward: Ward) -> None:
    ground = ward.ground
    readings = [
        Reading(ground.actors["ben"], a_read(ward.server, ground.northside, "jane", grant_ids=[ward.own])),
        Reading(ground.actors["rui"], a_read(ward.server, ground.northside, "jane", refused="NotFound")),
        Reading(ground.actors["ada"], a_read(ward.server, ground.northside, "jimmy", grant_ids=[ward.own])),
    ]
    await ground.does("system", actions.record_all, readings)
    rows = await ground.rows(
        "SELECT kind, actor_account_id, ARRAY(SELECT party_kind FROM event_parties AS p WHERE p.event_id = e.id ORDER BY 1) AS parties "
        "FROM events AS e ORDER BY position DESC LIMIT 3"
    )
    usual = ["account", "organization", "patient"]
    assert [tuple(row) for row in reversed(rows)] == [
        ("fhir.read", ground.actors["ben"].account_id, [*usual, "person"]),
        ("fhir.read_refused", ground.actors["rui"].account_id, usual),
        ("fhir.read", ground.actors["ada"].account_id, usual),
    ]
    assert await ground.violations() == []


async def test_that_more_was_given_is_told_to_the_clinic_alone_and_names_nobody(ward: Ward) -> None:
    ground = ward.ground
    read = a_read(ward.server, ground.northside, "jane", grant_ids=[ward.own], left_out=3)
    await ground.does(
        "system",
        actions.record_all,
        [Reading(ground.actors["ben"], read)] * 2 + [Reading(ground.actors["rui"], read)],
    )
    rows = await ground.rows(
        "SELECT kind, actor_kind, actor_account_id, data, ARRAY(SELECT party_kind || ' ' || party_id FROM event_parties AS p "
        "WHERE p.event_id = e.id) AS parties FROM events AS e ORDER BY position DESC LIMIT 6"
    )
    assert [row["kind"] for row in rows] == ["fhir.left_out"] * 3 + ["fhir.read"] * 3
    for row in rows[:3]:
        assert (row["actor_kind"], row["actor_account_id"]) == ("system", None)
        assert row["parties"] == [f"organization {ground.northside}"]
        assert row["data"] == {"interaction": "read", "type": "Patient", "count": 3}
    assert all("left_out" not in row["data"] for row in rows)


async def test_where_the_event_cannot_be_written_nothing_is_on_record(ward: Ward) -> None:
    await ward.ground.rows(
        "CREATE FUNCTION break_it() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'broken'; END $$"
    )
    await ward.ground.rows(
        "CREATE TRIGGER broken BEFORE INSERT ON event_parties FOR EACH ROW EXECUTE FUNCTION break_it()"
    )
    with pytest.raises(Exception, match="broken"):
        await ward.reads("ben", "jane")
    assert await ward.ground.rows("SELECT FROM events WHERE kind = 'fhir.read'") == []


async def test_reads_are_what_they_were_in_the_clinics_trail_in_order(ward: Ward) -> None:
    for patient in ("jane", "jimmy", "jane"):
        await ward.reads("ben", patient)
    async with ward.ground.database.transaction() as tx:
        trail = await events.TRAIL.all(tx, party_id=ward.ground.northside)
    found = [event.data["patients"] for event in trail if event.kind is events.EventKind.FHIR_READ]
    assert found == [["jane"], ["jimmy"], ["jane"]]
    everything = msgspec.json.encode([event.data for event in trail]).decode()
    assert "Doe" not in everything
    assert {one.value for one in Interaction} == {"read", "search", "everything", "page"}
