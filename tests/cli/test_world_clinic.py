"""What a world file says of clinics: FHIR servers and what they hold, persons, invites; each created, left, or refused by its path."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
import pytest

from cast import House
from clinic import (
    ANSWER,
    JANE,
    JIMMY,
    PATIENTS,
    QUESTION,
    SSN,
    Clinic,
    accepts,
    accepts_by_code,
    asks_question,
    body,
    finds,
    load as load_resources,
    makes_person,
    problem,
    registers,
)
from doors.manners import everything
from doors.medable.sharing import address
from fakes.authorities import authority
from hospitium.doors.cli import world, world_clinic
from hospitium.doors.cli.main import load_world, print_loaded
from hospitium.doors.cli.world_invites import Inviting
from hospitium.doors.cli.world_sharing import Sharing
from hospitium.doors.unit_of_work import perform_as
from hospitium.engine.access.check import Question, Resource, SubjectKind, check
from hospitium.engine.access.decide import Allowed
from hospitium.engine.actor import OPERATOR
from hospitium.engine.errors import Invalid
from hospitium.engine.fhir_servers.credentials import SealedCredentials, unseal
from hospitium.engine.fhir_servers.record import CredentialsKind
from hospitium.engine.ids import parse_id
from hospitium.engine.invites.codes import InviteCode
from hospitium.engine.invites.importing import ImportedStatus
from hospitium.engine.levels import Level

if TYPE_CHECKING:
    from hospitium.doors.cli.world_entries import Loaded

ADA, BEN, MIA, RUI, PAT, ZOE = map(address, ("ada", "ben", "mia", "rui", "pat", "zoe"))
ZED = "zed@mail.example"
CODE = "HARB R2K7"
TOKEN = "a-token-of-northside"
ROOT, OTHER = authority(), authority("Lakeside Root")
ID, OTHER_ID = "d9c34349-3e81-41bf-8113-27bc01dcaa9d", "576967021d0c03a53cd79fd7"
NAME = "Good Health Clinic"
SERVER = {"organization": "northside", "name": NAME, "kind": "built-in", "resources": list(PATIENTS)}
REMOTE = {
    "organization": "northside",
    "name": "Hospital",
    "kind": "remote",
    "baseUrl": "https://fhir.hospital.example/r4",
}
SELF = {"account": PAT, "firstName": "Jane", "lastName": "Doe", "gender": "Female", "birthDate": "1990-02-01"}
CHILD = {**SELF, "firstName": "Jimmy", "gender": "male", "birthDate": "2015-06-30", "relationship": "Child"}
THE_CHILD = {"account": PAT, "firstName": "Jimmy", "lastName": "Doe"}
INVITE = {"organization": "northside", "fhirServer": NAME, "by": BEN}
BY_CODE = {**INVITE, "patient": JANE, "question": QUESTION, "answer": ANSWER, "code": CODE}
BY_EMAIL = {**INVITE, "patient": JIMMY, "to": PAT, "firstName": "Jane", "lastName": "Doe"}
OVER = {**INVITE, "patient": JANE, "question": QUESTION, "id": ID}
ELSEWHERE = {**INVITE, "fhirServer": "Hospital", "patient": "4711", "to": PAT, "firstName": "Jane", "lastName": "Doe",
             "patientSummary": {"name": [{"given": ["Jane"], "family": "Doe"}], "gender": "Female", "birthDate": "1990-02"}}  # fmt: skip


class Operator:
    """What the loader asks of the command line's house, in the house of a test."""

    def __init__(self, house: House) -> None:
        self._house = house
        self.rules, self.invite_life = house.parts.rules, house.parts.invite_life
        self.asked_for: list[str] = []

    def link_key(self) -> Any:
        self.asked_for.append("links")
        return self._house.parts.link_key

    def pepper(self) -> Any:
        self.asked_for.append("codes")
        return self._house.parts.pepper

    def sealing_key(self) -> Any:
        self.asked_for.append("credentials")
        return self._house.parts.sealing_key

    async def operate(self, permission: Any, deed: Any) -> Any:
        return await perform_as(self._house.database, self._house.clock, OPERATOR, permission, deed)


def whole(**more: Any) -> dict[str, Any]:
    """Return a world with something of each kind; `more` takes the place of a section."""
    return {"fhirServers": [SERVER], "persons": [SELF, CHILD], "invites": [BY_CODE, BY_EMAIL], **more}


async def loaded(house: House, content: dict[str, Any], beside: Path = Path("/nowhere")) -> list[Loaded]:
    return await load_world(Operator(house), world.world_of(content), beside)  # type: ignore[arg-type]


async def load(
    house: House, content: dict[str, Any], beside: Path = Path("/nowhere")
) -> dict[str, tuple[int, int]]:
    """Load a world; return how many were created and there already of each kind there is something of."""
    return {
        one.kind: (one.created, one.present)
        for one in await loaded(house, content, beside)
        if one.created + one.present
    }


async def kinds_told(house: House) -> list[str]:
    """Return the kinds of all events, in order."""
    return [row["kind"] for row in await house.rows("SELECT kind FROM events ORDER BY position")]


async def the_clinic(house: House) -> Clinic:
    """Return the clinic that was loaded."""
    (row,) = await house.rows("SELECT id FROM fhir_servers WHERE name = $1", NAME)
    return Clinic(house, row["id"])


async def may_read(house: House, name: str, server_id: UUID, patient: str) -> bool:
    question = Question(
        SubjectKind.ACCOUNT,
        house.accounts[name],
        Level.READ,
        Resource.patient(server_id, patient).kind,
        patient,
        "",
        server_id,
    )
    return isinstance(await house.operate(lambda ctx: check(ctx, question)), Allowed)


def shown_code(found: list[Loaded]) -> str:
    (line,) = next(one.shown for one in found if one.kind == "invites")
    assert line.startswith(f"northside {NAME}, patient {JANE}: ")
    return line.rpartition(": ")[2]


# -- what is right -----------------------------------------------------------------------------------------------------


async def test_everything_is_created_and_another_time_there_already(house: House) -> None:
    content = whole(fhirServers=[SERVER, REMOTE], invites=[BY_CODE, BY_EMAIL, ELSEWHERE])
    counts = {"fhirServers": 2, "resources": len(PATIENTS), "persons": 2, "invites": 3}
    assert await load(house, content) == {kind: (count, 0) for kind, count in counts.items()}
    before = await everything(house), await kinds_told(house)
    assert await load(house, content) == {kind: (0, count) for kind, count in counts.items()}
    assert (await everything(house), await kinds_told(house)) == (
        before[0],
        [*before[1], "fhir_server.loaded"],
    )
    await house.must_be_sound()


async def test_what_is_loaded_is_there_at_the_surface(house: House) -> None:
    await load(house, whole())
    clinic = await the_clinic(house)
    sent = body(await clinic.sees_sent())["resources"]
    assert {(one["status"], one["accessiblePatientId"], one.get("userEmail")) for one in sent} == {
        ("unbound", JANE, None), ("bound", JIMMY, PAT),
    }  # fmt: skip
    persons = {one["firstName"]: one for one in body(await house.pat.get("/Persons"))["resources"]}
    assert {name: (one["gender"], one["birthDate"], one["relationship"], one["role"]) for name, one in persons.items()} == {
        "Jane": ("Female", "1990-02-01", "Self", "Owner"), "Jimmy": ("Male", "2015-06-30", "Child", "Owner"),
    }  # fmt: skip
    (received,) = body(await house.pat.get("/OrganizationInvites/received"))
    assert received["patient"] == {
        name: PATIENTS[1][name] for name in ("resourceType", "id", "name", "gender", "birthDate")
    }
    grant = body(await accepts(house.pat, received["id"], persons["Jimmy"]["id"]))
    assert (grant["accessiblePatientId"], grant["role"]) == (JIMMY, "Read")
    assert await may_read(house, "pat", clinic.server_id, JIMMY)
    assert not await may_read(house, "pat", clinic.server_id, JANE)
    await house.must_be_sound()


async def test_a_code_that_is_given_works_and_is_not_shown(house: House) -> None:
    found = await loaded(house, whole())
    assert not any(one.shown for one in found)
    assert (await asks_question(house.stranger, CODE)).text == QUESTION
    problem(await finds(house.pat, CODE, "Rex"), 400, "wrong-answer")
    invite = body(await finds(house.pat, CODE.lower().replace(" ", "-"), f" {ANSWER.upper()} "))
    assert invite["accessiblePatientId"] == JANE
    grant = body(await accepts_by_code(house.pat, CODE, await makes_person(house.pat)))
    assert grant["accessiblePatientId"] == JANE
    problem(await asks_question(house.stranger, CODE), 404, "unknown-code")
    await house.must_be_sound()


async def test_a_code_that_is_made_is_shown_once(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    without = whole(invites=[{name: said for name, said in BY_CODE.items() if name != "code"}])
    first, again = await loaded(house, without), await loaded(house, without)
    code = shown_code(first)
    assert InviteCode.typed(code) is not None
    capsys.readouterr()
    for as_json in (False, True):
        print_loaded(first, as_json=as_json)
        assert capsys.readouterr().out.count(code) == 1
        print_loaded(again, as_json=as_json)
        assert code not in capsys.readouterr().out
    dump = repr(await everything(house)) + repr(await house.rows("SELECT data::text FROM events"))
    for secret in (code, code.replace(" ", ""), ANSWER, ANSWER.lower()):
        assert secret not in dump
    registered = body(await registers(house.stranger, code, "new@mail.example"))
    assert registered["userExists"] is False
    await house.must_be_sound()


async def test_no_mail_is_sent_for_any(house: House) -> None:
    await load(
        house, whole(invites=[BY_CODE, BY_EMAIL, {**BY_EMAIL, "to": ZED}, {**OVER, "status": "withdrawn"}])
    )
    assert await house.rows("SELECT 1 FROM deliveries") == []


async def test_an_accepted_invite_has_its_grant(house: House) -> None:
    accepted = {**BY_EMAIL, "status": "accepted", "person": THE_CHILD}
    assert (await load(house, whole(invites=[accepted])))["invites"] == (1, 0)
    clinic = await the_clinic(house)
    (received,) = body(await house.pat.get("/OrganizationInvites/received"))
    assert received["status"] == "accepted"
    assert received["acceptedOn"]
    (record,) = body(await house.pat.get("/FhirServers/records"))
    assert (record["accessiblePatientId"], record["role"], record["fhirServerId"]) == (
        JIMMY,
        "Read",
        str(clinic.server_id),
    )
    assert await may_read(house, "pat", clinic.server_id, JIMMY)
    assert not await may_read(house, "pat", clinic.server_id, JANE)
    (row,) = await house.rows(
        "SELECT g.cause_kind, g.cause_id = i.id AS caused, g.grantee_id = i.person_id AS given FROM invites i JOIN grants g ON g.id = i.grant_id"
    )
    assert tuple(row) == ("invite", True, True)
    assert (await load(house, whole(invites=[accepted])))["invites"] == (0, 1)
    await house.must_be_sound()

    answered = await house.ada.send("DELETE", f"/FhirServers/grants/{record['grantId']}")
    assert answered.status_code == 204
    assert not await may_read(house, "pat", clinic.server_id, JIMMY)
    assert (await load(house, whole(invites=[accepted])))["invites"] == (0, 1)
    assert not await may_read(house, "pat", clinic.server_id, JIMMY)


async def test_one_by_code_was_accepted_by_who_owns_the_person(house: House) -> None:
    accepted = {
        **OVER,
        "status": "accepted",
        "person": {"account": PAT, "firstName": "Jane", "lastName": "Doe", "birthDate": "1990-02-01"},
    }
    await load(house, whole(persons=[SELF, {**SELF, "birthDate": "1960-01-01"}], invites=[accepted]))
    clinic = await the_clinic(house)
    assert await may_read(house, "pat", clinic.server_id, JANE)
    (sent,) = body(await clinic.sees_sent())["resources"]
    assert (sent["id"], sent["userEmail"]) == (ID, PAT)
    await house.must_be_sound()


async def test_invites_come_in_every_status(house: House) -> None:
    statuses = [status for status in ImportedStatus if status is not ImportedStatus.OPEN]
    who = {"accepted": {"person": THE_CHILD}}
    invites = [
        {**BY_EMAIL, "status": status, **who.get(status, {}), "id": f"{ID[:-1]}{n}"}
        for n, status in enumerate(statuses)
    ]
    invites += [
        {**OVER, "status": status, **who.get(status, {}), "id": f"{ID[:-2]}b{n}"}
        for n, status in enumerate(statuses)
        if status is not ImportedStatus.DECLINED
    ]
    content = whole(invites=[BY_CODE, BY_EMAIL, *invites])
    assert (await load(house, content))["invites"] == (9, 0)
    rows = [tuple(row) for row in await house.rows("SELECT form, status FROM invites ORDER BY 1, 2")]
    assert rows == [
        ("code", "accepted"), ("code", "expired"), ("code", "unbound"), ("code", "withdrawn"),
        ("email", "accepted"), ("email", "bound"), ("email", "declined"), ("email", "expired"), ("email", "withdrawn"),
    ]  # fmt: skip
    assert (
        await house.rows(
            "SELECT 1 FROM invites WHERE status <> 'unbound' AND num_nonnulls(question, code_digest, answer_hash) > 0"
        )
        == []
    )
    assert (await load(house, content))["invites"] == (0, 9)
    (open_one,) = body(await house.pat.get("/OrganizationInvites/received", openOnly="true"))
    assert open_one["accessiblePatientId"] == JIMMY
    await house.must_be_sound()


async def test_an_open_one_lives_as_long_as_any_from_now_on(house: House) -> None:
    await load(house, whole())
    assert house.parts.invite_life is not None
    house.clock.advance(seconds=house.parts.invite_life.total_seconds() - 60)
    assert (await asks_question(house.stranger, CODE)).status_code == 200
    house.clock.advance(seconds=61)
    problem(await asks_question(house.stranger, CODE), 404, "unknown-code")
    await house.must_be_sound()


async def test_whom_nobody_knows_may_be_invited_and_registers_later(house: House) -> None:
    await load(house, whole(invites=[{**BY_EMAIL, "to": ZED}]))
    zed = await house.add_person("zed", None)
    (received,) = body(await zed.get("/OrganizationInvites/received"))
    assert received["accessiblePatientId"] == JIMMY


async def test_a_patient_is_found_by_an_identifier(house: House) -> None:
    by_identifier = {name: said for name, said in BY_EMAIL.items() if name != "patient"}
    content = whole(
        invites=[
            {**by_identifier, "patientIdentifier": f"{SSN}|900333444"},
            {**by_identifier, "to": RUI, "patientIdentifier": "N-1"},
        ]
    )
    assert (await load(house, content))["invites"] == (2, 0)
    assert [
        row["patient_id"]
        for row in await house.rows("SELECT patient_id FROM invites ORDER BY patient_id DESC")
    ] == [JIMMY, JANE]
    assert (await load(house, content))["invites"] == (0, 2)
    code = {name: said for name, said in BY_CODE.items() if name not in ("patient", "code")} | {
        "patientIdentifier": "N-1"
    }
    first, again = await loaded(house, whole(invites=[code])), await loaded(house, whole(invites=[code]))
    assert InviteCode.typed(shown_code(first)) is not None
    assert [one.shown for one in again if one.kind == "invites"] == [[]]


async def test_a_patient_elsewhere_is_who_the_file_says(house: House) -> None:
    await load(house, whole(fhirServers=[SERVER, REMOTE], invites=[ELSEWHERE]))
    (received,) = body(await house.pat.get("/OrganizationInvites/received"))
    assert received["patient"] == {
        "resourceType": "Patient", "id": "4711", "name": [{"family": "Doe", "given": ["Jane"]}], "gender": "female", "birthDate": "1990-02",
    }  # fmt: skip
    assert received["fhirServerName"] == "Hospital"


async def test_it_finds_what_is_there_by_its_natural_key_and_leaves_it(house: House) -> None:
    await load(house, whole(invites=[{**BY_CODE}, {**BY_EMAIL, "status": "declined"}]))
    before = await everything(house)
    again = {
        "fhirServers": [{**REMOTE, "name": " GOOD HEALTH CLINIC "}],
        "persons": [{**SELF, "gender": "Other", "relationship": "Parent", "city": "Akron"}],
        "invites": [
            {**BY_CODE, "code": "ABCD EFGH", "by": ADA},
            {**BY_EMAIL, "to": "PAT@mail.example", "by": ADA, "language": "es"},
        ],
    }
    assert await load(house, again) == {"fhirServers": (0, 1), "persons": (0, 1), "invites": (0, 2)}
    assert await everything(house) == before


async def test_it_adds_to_what_the_surface_made(house: House) -> None:
    clinic = await Clinic.open(house)
    body(await clinic.invites_by_email(PAT, patient=JIMMY))
    await makes_person(house.pat)
    content = whole(invites=[BY_EMAIL, BY_CODE])
    assert await load(house, content) == {
        "fhirServers": (0, 1),
        "resources": (0, 5),
        "persons": (1, 1),
        "invites": (1, 1),
    }
    await house.must_be_sound()


async def test_a_second_file_goes_on_where_the_first_ended(house: House) -> None:
    await load(house, {"fhirServers": [{**SERVER, "id": ID}]})
    await load(
        house,
        {
            "persons": [CHILD],
            "invites": [{**BY_EMAIL, "fhirServer": ID, "status": "accepted", "person": THE_CHILD}],
        },
    )
    clinic = await the_clinic(house)
    assert await may_read(house, "pat", clinic.server_id, JIMMY)
    more = {"resourceType": "Patient", "id": "late", "name": [{"family": "Late"}]}
    assert await load(house, {
        "fhirServers": [{**SERVER, "id": ID, "resources": [more]}],
        "invites": [{**BY_EMAIL, "patient": "late"}],
    }) == {"fhirServers": (0, 1), "resources": (1, 0), "invites": (1, 0)}  # fmt: skip
    await house.must_be_sound()


async def test_ids_that_are_given_are_kept(house: House) -> None:
    content = {
        "fhirServers": [{**SERVER, "id": ID}],
        "persons": [{**SELF, "id": ID}, {**CHILD, "id": OTHER_ID}],
        "invites": [{**BY_CODE, "id": ID}, {**BY_EMAIL, "fhirServer": ID, "id": OTHER_ID.upper()}],
    }
    await load(house, content)
    for table, ids in (("fhir_servers", {ID}), ("persons", {ID, OTHER_ID}), ("invites", {ID, OTHER_ID})):
        found = {row["id"] for row in await house.rows(f"SELECT id FROM {table}")}
        assert found == {parse_id(one) for one in ids}, table
    counts = {"fhirServers": (0, 1), "persons": (0, 2), "invites": (0, 2)}
    assert await load(house, content) == counts | {"resources": (0, 5)}
    # By its id a thing is known, whatever else is said of it.
    renamed = {
        "fhirServers": [{**SERVER, "id": ID, "name": "Other", "resources": []}],
        "persons": [
            {**SELF, "id": ID, "lastName": "Other"},
            {**CHILD, "id": OTHER_ID, "birthDate": "2015-07-01"},
        ],
        "invites": [{**BY_CODE, "id": ID, "question": "Another?"}, {**BY_EMAIL, "to": RUI, "id": OTHER_ID}],
    }
    assert await load(house, renamed) == counts


async def test_one_with_an_id_is_not_made_again_once_it_was_taken_up(house: House) -> None:
    content = whole(invites=[{**BY_CODE, "id": ID}])
    await load(house, content)
    body(await accepts_by_code(house.pat, CODE, await makes_person(house.pat)))
    assert (await load(house, content))["invites"] == (0, 1)
    problem(await asks_question(house.stranger, CODE), 404, "unknown-code")


# -- what a FHIR server brings along -----------------------------------------------------------------------------------


def bundle(*entries: tuple[str, dict[str, Any]]) -> str:
    return json.dumps(
        {
            "resourceType": "Bundle",
            "type": "collection",
            "entry": [{"fullUrl": url, "resource": one} for url, one in entries],
        }
    )


def a_clinics_files(directory: Path) -> dict[str, Any]:
    """Write a Bundle, an NDJSON and a single resource that refer to each other; return a FHIR server that finds them."""
    (directory / "patients" / "more").mkdir(parents=True)
    patient = {
        "resourceType": "Patient",
        "id": "a",
        "name": [{"family": "A"}],
        "generalPractitioner": [{"reference": "urn:uuid:p"}],
    }
    (directory / "patients" / "a.json").write_text(bundle(("urn:uuid:a", patient)))
    lines = [{"resourceType": "Patient", "id": one, "name": [{"family": one}]} for one in "bc"]
    (directory / "patients" / "more" / "b.ndjson").write_text("\n".join(map(json.dumps, lines)))
    (directory / "staff.json").write_text(
        bundle(("urn:uuid:p", {"resourceType": "Practitioner", "id": "p", "name": [{"family": "P"}]}))
    )
    return {**SERVER, "bundles": ["patients/**/*", "staff.json"], "resources": []}


async def test_bundles_beside_the_file_are_loaded_and_refer_to_each_other(
    house: House, tmp_path: Path
) -> None:
    server = a_clinics_files(tmp_path)
    assert await load(house, {"fhirServers": [server]}, tmp_path) == {
        "fhirServers": (1, 0),
        "resources": (4, 0),
    }
    (row,) = await house.rows("SELECT body::text AS body FROM fhir_resources WHERE id = 'a'")
    assert msgspec.json.decode(row["body"])["generalPractitioner"] == [{"reference": "Practitioner/p"}]
    before = await everything(house), await kinds_told(house)
    assert await load(house, {"fhirServers": [server]}, tmp_path) == {
        "fhirServers": (0, 1),
        "resources": (0, 4),
    }
    assert (await everything(house), await kinds_told(house)) == (
        before[0],
        [*before[1], "fhir_server.loaded"],
    )


async def test_what_is_other_than_it_was_is_updated_and_nothing_else(
    house: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = a_clinics_files(tmp_path)
    await load(house, {"fhirServers": [server]}, tmp_path)
    (tmp_path / "staff.json").write_text(
        json.dumps({"resourceType": "Practitioner", "id": "p", "name": [{"family": "Q"}]})
    )
    (tmp_path / "patients" / "a.json").unlink()
    found = await loaded(house, {"fhirServers": [server]}, tmp_path)
    assert [(one.created, one.present, one.updated) for one in found if one.kind == "resources"] == [
        (0, 3, 1)
    ]
    rows = await house.rows("SELECT id, version FROM fhir_resources ORDER BY id")
    assert [tuple(row) for row in rows] == [("a", 1), ("b", 1), ("c", 1), ("p", 2)]
    print_loaded(found, as_json=False)
    assert (
        "resources          0 created       3 there already, 1 of them updated\n" in capsys.readouterr().out
    )


async def test_what_a_remote_server_is_shown_is_sealed(house: House, tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "token").write_text(f"{TOKEN}\n")
    private = {**REMOTE, "name": "Here", "baseUrl": "http://127.0.0.1:8080/fhir", "allowPrivateAddress": True}
    await load(house, {"fhirServers": [
        {**REMOTE, "credentials": {"bearerTokenFile": "secrets/token"}},
        {**private, "credentials": {"user": "northside", "password": "a password"}},
        {**private, "name": "Bare", "id": ID},
    ]}, tmp_path)  # fmt: skip
    rows = await house.rows("SELECT * FROM fhir_servers ORDER BY name")
    assert [(row["name"], row["base_url"], row["allow_private_address"], row["credentials_kind"]) for row in rows] == [
        ("Bare", "http://127.0.0.1:8080/fhir", True, None), ("Here", "http://127.0.0.1:8080/fhir", True, "basic"),
        ("Hospital", "https://fhir.hospital.example/r4", False, "bearer"),
    ]  # fmt: skip
    shown = {}
    for row in rows[1:]:
        kept = SealedCredentials(
            CredentialsKind(row["credentials_kind"]), row["credentials_key_number"], row["sealed_credentials"]
        )
        found = unseal(house.parts.sealing_keys, row["id"], row["base_url"], kept)
        shown[row["name"]] = (found.username, found.secret.reveal())
    assert shown == {"Here": ("northside", "a password"), "Hospital": ("", TOKEN)}
    assert TOKEN not in repr(await everything(house))


async def test_a_remote_server_brings_its_authorities(house: House, tmp_path: Path) -> None:
    (tmp_path / "root.pem").write_text(ROOT.pem.replace("\n", "\r\n"))
    here = {**REMOTE, "name": "Here", "authoritiesPem": f"{OTHER.pem}\n{ROOT.pem}"}
    await load(house, {"fhirServers": [
        {**REMOTE, "authoritiesFile": "root.pem"}, here, {**REMOTE, "name": "The system's", "authoritiesPem": None},
    ]}, tmp_path)  # fmt: skip
    rows = await house.rows("SELECT name, authorities_pem FROM fhir_servers ORDER BY name")
    assert [tuple(row) for row in rows] == [
        ("Here", OTHER.pem + ROOT.pem), ("Hospital", ROOT.pem), ("The system's", None),
    ]  # fmt: skip
    # What is there stays as it is.
    assert await load(house, {"fhirServers": [{**here, "authoritiesPem": ROOT.pem}]}) == {
        "fhirServers": (0, 1)
    }
    assert rows == await house.rows("SELECT name, authorities_pem FROM fhir_servers ORDER BY name")


async def test_only_what_lies_beside_the_file_can_be_named(house: House, tmp_path: Path) -> None:
    outside, beside = tmp_path / "outside", tmp_path / "inside"
    outside.mkdir()
    beside.mkdir()
    (outside / "token").write_text(TOKEN)
    (outside / "a.json").write_text(json.dumps(PATIENTS[0]))
    (beside / "link.json").symlink_to(outside / "a.json")
    (beside / "token").symlink_to(outside / "token")
    for pattern in ("../outside/*.json", "link.json", "*.json"):
        with pytest.raises(
            Invalid, match=r"^fhirServers\[0\]\.bundles\[0\]: leads out of the directory of this file$"
        ):
            await load(house, {"fhirServers": [{**SERVER, "bundles": [pattern]}]}, beside)
    with pytest.raises(Invalid, match=r"^fhirServers\[0\]\.bundles\[0\]: must be a path"):
        await load(house, {"fhirServers": [{**SERVER, "bundles": [str(outside / "a.json")]}]}, beside)
    for path in ("../outside/token", str(outside / "token"), "token"):
        with pytest.raises(
            Invalid, match=r"^fhirServers\[0\]\.credentials\.bearerTokenFile: leads out"
        ) as refusal:
            await load(house, {"fhirServers": [{**REMOTE, "credentials": {"bearerTokenFile": path}}]}, beside)
        with pytest.raises(Invalid, match=r"^fhirServers\[0\]\.authoritiesFile: leads out"):
            await load(house, {"fhirServers": [{**REMOTE, "authoritiesFile": path}]}, beside)
        assert TOKEN not in str(refusal.value)
    assert await house.rows("SELECT 1 FROM fhir_servers") == []


async def test_more_than_fits_is_refused(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world_clinic, "LARGEST_BUNDLES", 300)
    for name in "ab":
        (tmp_path / f"{name}.json").write_text(
            json.dumps({"resourceType": "Patient", "id": name, "language": "x" * 150})
        )
    servers = [{**SERVER, "bundles": ["a.json"]}, {**SERVER, "name": "Other", "bundles": ["b.json"]}]
    with pytest.raises(
        Invalid,
        match=r"^fhirServers\[1\]\.bundles\[0\]: b\.json: with the bundles before it is more than 300 bytes",
    ):
        await load(house, {"fhirServers": servers}, tmp_path)
    (tmp_path / "large").write_bytes(b"x" * (world_clinic.LARGEST_SECRET + 1))
    with pytest.raises(Invalid, match=r"passwordFile: is larger than 16,384 bytes$"):
        await load(
            house,
            {"fhirServers": [{**REMOTE, "credentials": {"user": "x", "passwordFile": "large"}}]},
            tmp_path,
        )


# -- what is wrong -----------------------------------------------------------------------------------------------------


def servers(*entries: dict[str, Any]) -> dict[str, Any]:
    return whole(fhirServers=list(entries))


def persons(*entries: dict[str, Any]) -> dict[str, Any]:
    return whole(persons=list(entries))


def invites(*entries: dict[str, Any]) -> dict[str, Any]:
    return whole(invites=list(entries))


def without(entry: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: said for name, said in entry.items() if name not in names}


def shown_as(**credentials: str) -> dict[str, Any]:
    return servers({**REMOTE, "credentials": credentials})


BROKEN = {**SERVER, "bundles": ["good.json", "patients/*.json"]}
ACCEPTED = {**BY_EMAIL, "status": "accepted", "person": THE_CHILD}
WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("a server of nobody", servers({**SERVER, "organization": "nowhere"}), "fhirServers[0].organization: there is no organization nowhere"),
    ("a server without a kind", servers(without(SERVER, "kind")), "fhirServers[0].kind: is required"),
    ("a kind there isn't", servers({**SERVER, "kind": "cloud"}), "fhirServers[0].kind: "),
    ("a blank server", servers({**SERVER, "name": " "}), "fhirServers[0].name: must not be blank"),
    ("a server twice", servers(SERVER, {**SERVER, "name": "GOOD health clinic"}), "fhirServers[1].name: stands in this file twice"),
    ("a server's id twice", servers({**SERVER, "id": ID}, {**SERVER, "name": "Other", "id": ID}), "fhirServers[1].id: stands in this file twice"),
    ("a server's id that is none", servers({**SERVER, "id": "7"}), "fhirServers[0].id: must be a UUID"),
    ("a built-in one with an address", servers({**SERVER, "baseUrl": "https://x.example"}), "fhirServers[0].baseUrl: belongs to a remote"),
    ("a built-in one in private", servers({**SERVER, "allowPrivateAddress": True}), "fhirServers[0].allowPrivateAddress: belongs to a remote"),
    ("a built-in one with credentials", servers({**SERVER, "credentials": {"bearerToken": TOKEN}}), "fhirServers[0].credentials: belongs to a remote"),
    ("a remote one without an address", servers(without(REMOTE, "baseUrl")), "fhirServers[0].baseUrl: is required"),
    ("a private address", servers({**REMOTE, "baseUrl": "https://127.0.0.1/fhir"}), "fhirServers[0].baseUrl: leads to an address that is not public"),
    ("an address in plain http", servers({**REMOTE, "baseUrl": "http://fhir.example"}), "fhirServers[0].baseUrl: must begin with https://"),
    ("an address with a query", servers({**REMOTE, "baseUrl": "https://fhir.example/r4?a=b"}), "fhirServers[0].baseUrl: must not have a part after ?"),
    ("no credentials", shown_as(), "fhirServers[0].credentials.bearerToken: or user and password must be given"),
    ("two kinds of credentials", shown_as(bearerToken=TOKEN, user="a", password="b"), "fhirServers[0].credentials.bearerToken: or user and password"),
    ("a user alone", shown_as(user="a"), "fhirServers[0].credentials.bearerToken: or user and password"),
    ("a password alone", shown_as(password="b"), "fhirServers[0].credentials.bearerToken: or user and password"),
    ("a token twice", shown_as(bearerToken=TOKEN, bearerTokenFile="x"), "fhirServers[0].credentials.bearerToken: is given twice"),
    ("a token with spaces", shown_as(bearerToken="a b"), "fhirServers[0].credentials.bearerToken: must be plain characters"),
    ("a user with a colon", shown_as(user="a:b", password="c"), "fhirServers[0].credentials.user: must not contain a colon"),
    ("a file of a token that isn't there", shown_as(bearerTokenFile="x"), "fhirServers[0].credentials.bearerTokenFile: can't be read: No such file"),
    ("a file of a password that is none", shown_as(user="a", passwordFile="patients"), "fhirServers[0].credentials.passwordFile: can't be read: Is a directory"),
    ("a file of a password that is no text", shown_as(user="a", passwordFile="binary"), "fhirServers[0].credentials.passwordFile: is not UTF-8"),
    ("a built-in one with authorities", servers({**SERVER, "authoritiesPem": ROOT.pem}), "fhirServers[0].authoritiesPem: belongs to a remote"),
    ("a built-in one with a file of authorities", servers({**SERVER, "authoritiesFile": "x"}), "fhirServers[0].authoritiesFile: belongs to a remote"),
    ("authorities twice", servers({**REMOTE, "authoritiesPem": ROOT.pem, "authoritiesFile": "x"}), "fhirServers[0].authoritiesPem: is given twice"),
    ("authorities that are none", servers({**REMOTE, "authoritiesPem": "x"}), "fhirServers[0].authoritiesPem: must be certificates in PEM"),
    ("a private key", servers({**REMOTE, "authoritiesPem": ROOT.key_pem}), "fhirServers[0].authoritiesPem: must not hold a private key"),
    ("a file of authorities that is none", servers({**REMOTE, "authoritiesFile": "good.json"}), "fhirServers[0].authoritiesFile: must be certificates in PEM"),
    ("a file of authorities that isn't there", servers({**REMOTE, "authoritiesFile": "x"}), "fhirServers[0].authoritiesFile: can't be read: No such file"),
    ("authorities of one without TLS", servers({**REMOTE, "baseUrl": "http://10.0.0.7/r4", "allowPrivateAddress": True, "authoritiesPem": ROOT.pem}), "fhirServers[0].authoritiesPem: belong to a remote FHIR server whose base URL begins with https://"),
    ("bundles of a remote one", servers({**REMOTE, "bundles": ["good.json"]}), "fhirServers[0].bundles: belong to a built-in FHIR server"),
    ("resources of a remote one", servers({**REMOTE, "resources": [PATIENTS[0]]}), "fhirServers[0].resources: belong to a built-in FHIR server"),
    ("a pattern that finds nothing", servers({**SERVER, "bundles": ["good.json", "*.xml"]}), "fhirServers[0].bundles[1]: finds no file"),
    ("a blank pattern", servers({**SERVER, "bundles": [""]}), "fhirServers[0].bundles[0]: must be a path"),
    ("a long pattern", servers({**SERVER, "bundles": ["x" * 5000]}), "fhirServers[0].bundles[0]: "),
    ("a bad entry in a bundle", servers(SERVER, {**BROKEN, "name": "Other"}), "fhirServers[1].bundles[1]: patients/x.json: entry[1].resource.id: must be"),
    ("a bundle that is no JSON", servers({**SERVER, "bundles": ["binary"]}), "fhirServers[0].bundles[0]: binary: is not valid JSON"),
    ("a resource that is none", servers({**SERVER, "resources": [PATIENTS[0], {"resourceType": "Patient"}]}), "fhirServers[0].resources[1]: id: must be"),
    ("a person of nobody", persons({**SELF, "account": ZED}), "persons[0].account: there is no account zed@mail.example"),
    ("a person of no address", persons({**SELF, "account": "pat"}), "persons[0].account: "),
    ("a person without a name", persons(without(SELF, "lastName")), "persons[0].lastName: is required"),
    ("a blank name", persons({**SELF, "firstName": " "}), "persons[0].firstName: must not be blank"),
    ("a gender there isn't", persons(SELF, {**CHILD, "gender": "boy"}), "persons[1].gender: must be one of male, female, other, unknown"),
    ("a relationship there isn't", persons({**CHILD, "relationship": "Son"}), "persons[0].relationship: must be one of self, parent"),
    ("a birth date that is none", persons({**SELF, "birthDate": "1990-02-30"}), "persons[0].birthDate: is no day there is"),
    ("a birth date to come", persons({**SELF, "birthDate": "2990-02-01"}), "persons[0].birthDate: must be between"),
    ("a state that is none", persons({**SELF, "state": "Ohio"}), "persons[0].state: must be two letters"),
    ("a ZIP code that is none", persons({**SELF, "zipCode": "1"}), "persons[0].zipCode: must be 5 or 9 digits"),
    ("an identifier without a value", persons({**SELF, "identifiers": [{"system": "x", "value": " "}]}), "persons[0].identifiers[0].value: must not be blank"),
    ("a contact of no kind", persons({**SELF, "contacts": [{"type": "pigeon", "value": "x"}]}), "persons[0].contacts[0].type: must be one of phone"),
    ("a contact of nothing", persons({**SELF, "contacts": [{"type": "Phone", "value": ""}]}), "persons[0].contacts[0].value: must not be blank"),
    ("a person twice", persons(SELF, {**SELF, "gender": "other"}), "persons[1].birthDate: stands in this file twice"),
    ("a person's id twice", persons({**SELF, "id": ID}, {**CHILD, "id": ID}), "persons[1].id: stands in this file twice"),
    ("an invite of nobody", invites({**BY_CODE, "organization": "nowhere"}), "invites[0].organization: there is no organization nowhere"),
    ("an invite of no server", invites({**BY_CODE, "fhirServer": "Nowhere"}), "invites[0].fhirServer: northside has no FHIR server Nowhere"),
    ("an invite of an unknown server's id", invites({**BY_CODE, "fhirServer": ID}), f"invites[0].fhirServer: northside has no FHIR server {ID}"),
    ("an invite of another's server", invites({**BY_CODE, "organization": "lakeside", "by": RUI}), "invites[0].fhirServer: lakeside has no FHIR server"),
    ("no patient", invites(without(BY_CODE, "patient")), "invites[0].patient: or patientIdentifier must be given"),
    ("two patients", invites({**BY_CODE, "patientIdentifier": "N-1"}), "invites[0].patient: or patientIdentifier must be given"),
    ("an unknown patient", invites(BY_CODE, {**BY_EMAIL, "patient": "nobody"}), "invites[1].patient: there is no patient nobody on Good Health Clinic"),
    ("a patient that is a step up", invites({**BY_CODE, "patient": ".."}), "invites[0].patient: must be an id of FHIR"),
    ("a patient no more", invites({**BY_CODE, "patient": "gone"}), "invites[0].patient: names a patient whose record is not in use"),
    ("a patient merged", invites({**BY_CODE, "patient": "merged"}), "invites[0].patient: names a patient whose record was merged"),
    ("an identifier of nobody", invites({**without(BY_CODE, "patient"), "patientIdentifier": "N-7"}), "invites[0].patientIdentifier: finds no patient"),
    ("an identifier of several", invites({**without(BY_CODE, "patient"), "patientIdentifier": "urn:shared|same"}), "invites[0].patientIdentifier: finds several patients"),
    ("an identifier of nothing", invites({**without(BY_CODE, "patient"), "patientIdentifier": "urn:shared|"}), "invites[0].patientIdentifier: must name a value"),
    ("a summary of a patient here", invites({**BY_CODE, "patientSummary": ELSEWHERE["patientSummary"]}), "invites[0].patientSummary: belongs to a patient of a remote"),
    ("an inviter nobody knows", invites({**BY_CODE, "by": ZED}), "invites[0].by: there is no account"),
    ("an inviter who may not", invites({**BY_CODE, "by": MIA}), "invites[0].by: may not invite to this FHIR server"),
    ("an inviter from elsewhere", invites({**BY_EMAIL, "by": RUI}), "invites[0].by: may not invite to this FHIR server"),
    ("for nobody", invites(without(BY_EMAIL, "to")), "invites[0].to: or question must be given"),
    ("for two", invites({**BY_CODE, "to": PAT}), "invites[0].to: or question must be given"),
    ("to no address", invites({**BY_EMAIL, "to": "pat"}), "invites[0].to: "),
    ("to an address without a name", invites(without(BY_EMAIL, "firstName")), "invites[0].firstName: is required here"),
    ("to a blank name", invites({**BY_EMAIL, "lastName": " "}), "invites[0].lastName: must not be blank"),
    ("to an address with a code", invites({**BY_EMAIL, "code": CODE}), "invites[0].code: isn't kept of such an invite"),
    ("to an address with an answer", invites({**BY_EMAIL, "answer": ANSWER}), "invites[0].answer: isn't kept of such an invite"),
    ("with a code and a name", invites({**BY_CODE, "lastName": "Doe"}), "invites[0].lastName: isn't kept of such an invite"),
    ("without an answer", invites(without(BY_CODE, "answer")), "invites[0].answer: is required here"),
    ("with a blank answer", invites({**BY_CODE, "answer": " \t"}), "invites[0].answer: must not be blank"),
    ("with a short answer", invites({**BY_CODE, "answer": "x"}), "invites[0].answer: must be 2 to 128 characters"),
    ("with a blank question", invites({**BY_CODE, "question": " "}), "invites[0].question: must not be blank"),
    ("with a long question", invites({**BY_CODE, "question": "x" * 201}), "invites[0].question: must be at most 200"),
    ("with a code that is none", invites({**BY_CODE, "code": "OOOO 1111"}), "invites[0].code: must be 8 letters and digits"),
    ("two of one code", invites(BY_CODE, {**BY_CODE, "patient": JIMMY, "code": "harb-r2k7"}), "invites[1].code: stands in this file twice"),
    ("two of one question", invites(BY_CODE, {**BY_CODE, "code": "ABCD EFGH"}), "invites[1].question: stands in this file twice"),
    ("two to one address", invites(BY_EMAIL, {**BY_EMAIL, "to": PAT.upper()}), "invites[1].to: stands in this file twice"),
    ("two of one id", invites({**BY_CODE, "id": ID}, {**BY_EMAIL, "id": ID}), "invites[1].id: stands in this file twice"),
    ("an id that is none", invites({**BY_CODE, "id": "7"}), "invites[0].id: must be a UUID"),
    ("a status there isn't", invites({**BY_EMAIL, "status": "locked"}), "invites[0].status: "),
    ("a language there isn't", invites({**BY_EMAIL, "language": "fr"}), "invites[0].language: "),
    ("over, and not known again", invites({**without(OVER, "id"), "status": "withdrawn"}), "invites[0].id: is required of an invite by code that is over"),
    ("over, with a code", invites({**OVER, "status": "expired", "code": CODE}), "invites[0].code: isn't kept of such an invite"),
    ("over, with an answer", invites({**OVER, "status": "expired", "answer": ANSWER}), "invites[0].answer: isn't kept of such an invite"),
    ("declined by nobody", invites({**OVER, "status": "declined"}), "invites[0].status: can't be declined"),
    ("accepted with nobody", invites(without(ACCEPTED, "person")), "invites[0].person: belongs to an invite that was accepted"),
    ("open, with somebody", invites({**BY_EMAIL, "person": THE_CHILD}), "invites[0].person: belongs to an invite that was accepted"),
    ("accepted with an unknown person", invites({**ACCEPTED, "person": {**THE_CHILD, "firstName": "Jim"}}), "invites[0].person.firstName: pat@mail.example owns no such person"),
    ("accepted with nobody's", invites({**ACCEPTED, "person": {**THE_CHILD, "account": ZED}}), "invites[0].person.account: there is no account"),
    ("accepted with one of two", {**invites(ACCEPTED), "persons": [CHILD, {**CHILD, "birthDate": "2015-07-01"}]}, "invites[0].person.firstName: pat@mail.example owns several such persons"),
    ("accepted with another's", {**invites({**ACCEPTED, "person": {**THE_CHILD, "account": RUI}}), "persons": [{**CHILD, "account": RUI}]}, "invites[0].person: must be one that whoever accepted"),
    ("accepted by an address of nobody", invites({**ACCEPTED, "to": ZED}), "invites[0].to: there is no account"),
    ("a patient elsewhere, unnamed", whole(fhirServers=[SERVER, REMOTE], invites=[without(ELSEWHERE, "patientSummary")]), "invites[0].patientSummary: is required"),
    ("a patient elsewhere, looked for", whole(fhirServers=[SERVER, REMOTE], invites=[{**without(ELSEWHERE, "patient"), "patientIdentifier": "x"}]), "invites[0].patientIdentifier: is looked for on a built-in"),
]  # fmt: skip
for said, summary, says in (
    ("no name", {"name": []}, "name: must be 1 to 20 names"),
    (
        "a name of nothing",
        {"name": [{"use": "usual"}]},
        "name[0]: must have a text, a family or a given name",
    ),
    (
        "a name that turns",
        {"name": [{"given": ["\u202eJane"]}]},
        "name[0].given[0]: must not contain characters that turn",
    ),
    ("a name of too many", {"name": [{"given": ["x"] * 21}]}, "name[0].given: must be at most 20"),
    ("a blank family", {"name": [{"family": " "}]}, "name[0].family: must not be blank"),
    ("a gender", {"gender": "x"}, "gender: must be one of male"),
    ("a birth date", {"birthDate": "1.2.1990"}, "birthDate: must be a date"),
    ("more than that", {"address": []}, "address: is not known here"),
):
    entry = {**ELSEWHERE, "patientSummary": {**ELSEWHERE["patientSummary"], **summary}}
    WRONG.append(
        (said, whole(fhirServers=[SERVER, REMOTE], invites=[entry]), f"invites[0].patientSummary.{says}")
    )


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    """A directory with a good bundle, a bad one, and what is no text."""
    (tmp_path / "patients").mkdir()
    (tmp_path / "good.json").write_text(json.dumps({"resourceType": "Patient", "id": "good"}))
    (tmp_path / "patients" / "w.json").write_text(json.dumps({"resourceType": "Patient", "id": "w"}))
    (tmp_path / "patients" / "x.json").write_text(
        bundle(
            ("urn:uuid:x", {"resourceType": "Patient", "id": "x"}),
            ("urn:uuid:y", {"resourceType": "Patient", "id": "a/b"}),
        )
    )
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    return tmp_path


async def test_a_wrong_entry_refuses_the_whole_file_and_is_named(house: House, beside: Path) -> None:
    before = await everything(house)
    for what, content, says in WRONG:
        with pytest.raises(Invalid) as refusal:
            await load(
                house,
                {"organizations": [{"code": "brand-new", "name": "Brand New", "type": "both"}], **content},
                beside,
            )
        said = str(refusal.value)
        assert said.startswith(says), (what, said)
        assert not any(secret in said for secret in (TOKEN, CODE, ANSWER)), what
        assert await everything(house) == before, what
    # The control: without what is wrong it is taken.
    content = whole(
        fhirServers=[{**SERVER, "bundles": ["good.json", "patients/w.json"]}, REMOTE],
        invites=[BY_CODE, ACCEPTED, ELSEWHERE],
    )
    assert len(await load(house, content, beside)) == 4


def test_every_section_has_its_wrong_entries() -> None:
    sections = set(Inviting.__struct_encode_fields__) - set(Sharing.__struct_encode_fields__)
    assert {says.partition("[")[0] for _, _, says in WRONG} == sections
    assert set(whole()) == sections


async def test_what_is_another_s_is_not_taken_for_ones_own(house: House) -> None:
    await load(house, whole(fhirServers=[{**SERVER, "id": ID}], invites=[{**BY_CODE, "id": ID}]))
    for content, says in (
        (
            {"fhirServers": [{**SERVER, "organization": "harbor", "id": ID}]},
            "fhirServers[0].id: is that of a FHIR server of another organization",
        ),
        (
            {"invites": [{**BY_EMAIL, "organization": "harbor", "by": ZOE, "fhirServer": ID}]},
            f"invites[0].fhirServer: harbor has no FHIR server {ID}",
        ),
        ({"invites": [{**BY_EMAIL, "id": ID}]}, "invites[0].id: is that of an invite to another patient"),
        ({"invites": [{**BY_CODE, "patient": JIMMY}]}, "invites[0].code: is taken"),
    ):
        with pytest.raises(Invalid) as refusal:
            await load(house, content)
        assert str(refusal.value).startswith(says)


async def test_a_suspended_server_takes_no_invites_and_a_remote_one_no_resources(house: House) -> None:
    await load(house, {"fhirServers": [REMOTE]})
    with pytest.raises(Invalid, match=r"^fhirServers\[0\]: Only into a built-in FHIR server"):
        await load(house, {"fhirServers": [{**SERVER, "name": "Hospital"}]})
    await house.rows("UPDATE fhir_servers SET suspended_at = created_at RETURNING id")
    with pytest.raises(Invalid, match=r"^invites\[0\]: The address of this FHIR server was changed"):
        await load(house, {"invites": [ELSEWHERE]})


async def test_who_is_not_confirmed_has_accepted_no_mail(house: House) -> None:
    content = whole(
        accounts=[{"email": "una@mail.example", "password": "a quiet green harbour"}],
        persons=[{**CHILD, "account": "una@mail.example"}],
        invites=[
            {**ACCEPTED, "to": "una@mail.example", "person": {**THE_CHILD, "account": "una@mail.example"}}
        ],
    )
    with pytest.raises(Invalid, match=r"^invites\[0\]\.to: must be the confirmed address of an account"):
        await load(house, content)
    content["accounts"][0]["verified"] = True
    assert (await load(house, content))["invites"] == (1, 0)
    await house.must_be_sound()


async def test_keys_are_asked_for_where_they_are_needed(house: House) -> None:
    for content, asked_for in (
        ({"persons": [SELF], "fhirServers": [SERVER, REMOTE]}, []),
        ({"invites": [BY_EMAIL]}, ["links"]),
        ({"invites": [BY_CODE]}, ["links", "codes"]),
        ({"invites": [BY_CODE]}, ["links"]),  # there already
        (
            {"fhirServers": [{**REMOTE, "name": "Other", "credentials": {"bearerToken": TOKEN}}]},
            ["credentials"],
        ),
    ):
        operator = Operator(house)
        await load_world(operator, world.world_of(content))  # type: ignore[arg-type]
        assert operator.asked_for == asked_for, content


async def test_what_was_there_when_it_was_looked_for_and_is_gone_is_refused(house: House) -> None:
    """Its code would have to be hashed inside the transaction; whoever loads the file again has it made."""
    given = world.world_of(whole())
    made = world.Made(
        brought=world_clinic.bring(given.fhir_servers, Path()),
        means=world.Means(house.parts.link_key, house.parts.pepper),
    )
    with pytest.raises(Invalid, match=r"^invites\[0\]\.code: is required of an open invite"):
        await house.operate(lambda ctx: world.load(ctx, given, made, house.parts.rules))


async def test_a_loaded_chart_is_on_the_server_that_the_surface_made(house: House) -> None:
    clinic = await Clinic.open(house)
    await load_resources(house, clinic.server_id, {"resourceType": "Patient", "id": "extra"})
    more = [
        {
            "resourceType": "Observation",
            "id": "o",
            "status": "final",
            "code": {"text": "x"},
            "subject": {"reference": "Patient/extra"},
        }
    ]
    assert await load(house, {"fhirServers": [{**SERVER, "resources": more}]}) == {
        "fhirServers": (0, 1),
        "resources": (1, 0),
    }
    (row,) = await house.rows("SELECT patients FROM fhir_resources WHERE id = 'o'")
    assert row["patients"] == ["extra"]
