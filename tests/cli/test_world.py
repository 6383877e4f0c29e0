"""World files: what is missing is created, what is there is left, and a wrong entry refuses the whole file by its path."""

from __future__ import annotations

import json
import re
import string
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
import yaml
from hypothesis import HealthCheck, given, settings as hypothesis_settings, strategies as st

from hospitium import settings
from hospitium.app import Composition
from hospitium.doors.cli import demo_world, world
from hospitium.doors.cli.main import load_world
from hospitium.engine.errors import Invalid
from hospitium.engine.ids import to_object_id
from hospitium.engine.shares.record import ShareStatus
from hospitium.engine.verify import verify
from hospitium.storage.database import Database
from hospitium.storage.keyring import Keyring
from house.tree import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from hospitium.doors.cli.world_entries import Loaded

# An earlier form of the example of docs/world-files.md: organizations, accounts and partnerships alone.
DESIGN = """
organizations:
  - {code: northside, name: Northside Family Practice, type: referring, status: active, taxId: "12-3456789",
     address: 12 Elm St, city: Dayton, state: OH, zipCode: "45402", phone: "+1 937 555 0100", website: "https://northside.example",
     contactEmail: desk@northside.example, specialties: [family medicine]}
  - {code: lakeside, name: Lakeside Imaging, type: radiology}
accounts:
  - {email: ada@northside.example, password: correct horse battery, firstName: Ada, lastName: Park, verified: true,
     id: 552417e085b784bc204e737c,            # optional, either form of id; likewise below
     externalId: alice,                        # optional: the id an application of the organization knows this account by
     memberships: [{organization: northside, role: admin}]}     # admin | member | a staff role (physician, scheduler, …): ruling 23
partnerships:
  - {source: northside, target: lakeside, status: approved, message: Hello}
"""
NORTHSIDE = {"code": "northside", "name": "Northside Family Practice", "type": "referring"}
LAKESIDE = {"code": "lakeside", "name": "Lakeside Imaging", "type": "radiology"}
HARBOR = {"code": "harbor", "name": "Harbor Medical Center", "type": "both"}
ADA = {"email": "ada@northside.example", "password": "correct horse battery"}


class Ground:
    """A database, and what is in it."""

    def __init__(self, url: str, directory: Path) -> None:
        self.url = url
        self.directory = directory
        keys = directory / "keys"
        Keyring.load(keys, datetime.now(UTC), make=True)
        self.house = Composition(
            settings.read({"DATABASE_URL": url, "HOSPITIUM_KEYS": str(keys), "PENDING_REQUEST_LIMIT": "2", "ACTIVE_CONNECTION_LIMIT": "2"})
        )  # fmt: skip

    async def load(self, content: Any, suffix: str = ".yaml") -> dict[str, tuple[int, int]]:
        """Return how many were created and present of each kind there is something of."""
        return {
            one.kind: (one.created, one.present)
            for one in await self.loaded(content, suffix)
            if one.created + one.present
        }

    async def loaded(self, content: Any, suffix: str = ".yaml") -> list[Loaded]:
        path = self.directory / f"world{suffix}"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return await load_world(self.house, world.read(path), self.directory)

    async def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(self.url)
        try:
            return [tuple(row) for row in await connection.fetch(sql, *values)]
        finally:
            await connection.close()

    async def is_empty(self) -> bool:
        counts = await self.rows(
            "SELECT (SELECT count(*) FROM organizations) + (SELECT count(*) FROM accounts) + (SELECT count(*) FROM events)"
        )
        return counts == [(0,)]

    async def must_be_sound(self) -> None:
        database = await Database.open(self.url, size=2)
        try:
            async with database.transaction() as tx:
                assert await verify(tx, self.house.rules, datetime.now(UTC)) == []
        finally:
            await database.close()


@pytest.fixture
def ground(database_url: str, tmp_path: Path) -> Ground:
    return Ground(database_url, tmp_path)


async def refused(ground: Ground, content: Any, suffix: str = ".json") -> str:
    with pytest.raises(Invalid) as refusal:
        await ground.load(content, suffix)
    return str(refusal.value)


# -- what is right -------------------------------------------------------------------------------------------------------


async def test_it_loads_the_example_of_the_page_about_it(ground: Ground) -> None:
    page = (ROOT / "docs" / "world-files.md").read_text()
    (example,) = re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (ground.directory / "hospital-password").write_text("a password of the hospital's\n")
    (ground.directory / "patients").mkdir()
    for number, its_id in enumerate(("jane", "jimmy"), start=1):
        identifier = {"system": "urn:mrn", "value": f"N-{number}"}
        patient = {"resourceType": "Patient", "id": its_id, "identifier": [identifier]}
        (ground.directory / "patients" / f"{its_id}.json").write_text(json.dumps(patient))
    counts = await ground.load(example)
    assert counts == {
        "organizations": (2, 0), "accounts": (2, 0), "memberships": (2, 0), "teams": (1, 0), "objectTypes": (1, 0),
        "records": (1, 0), "shares": (2, 0), "clientKeys": (1, 0), "serviceKeys": (1, 0), "fhirServers": (2, 0), "resources": (2, 0), "persons": (2, 0),
        "invites": (3, 0), "partnerships": (1, 0),
    }  # fmt: skip
    assert await ground.load(example) == {kind: (0, created) for kind, (created, _) in counts.items()}
    await ground.must_be_sound()


async def test_it_loads_the_example_of_the_design(ground: Ground) -> None:
    assert await ground.load(DESIGN) == {
        "organizations": (2, 0),
        "accounts": (1, 0),
        "memberships": (1, 0),
        "partnerships": (1, 0),
    }
    assert await ground.rows(
        "SELECT code, name, type, status, tax_id, address, city, state, zip_code, phone, website, contact_email, specialties "
        "FROM organizations WHERE code = 'northside'"
    ) == [("northside", "Northside Family Practice", "referring", "active", "12-3456789", "12 Elm St", "Dayton", "OH",
           "45402", "+1 937 555 0100", "https://northside.example", "desk@northside.example", ["family medicine"])]  # fmt: skip
    assert await ground.rows(
        "SELECT a.email, x.external_id, a.verified_at IS NOT NULL, m.role, o.code FROM accounts a "
        "JOIN memberships m ON m.account_id = a.id JOIN organizations o ON o.id = m.organization_id "
        "JOIN account_external_ids x ON x.account_id = a.id AND x.organization_id = o.id"
    ) == [("ada@northside.example", "alice", True, "admin", "northside")]
    assert await ground.rows("SELECT status, message FROM partnerships") == [("approved", "Hello")]
    await ground.must_be_sound()


async def test_loading_again_changes_nothing(ground: Ground) -> None:
    first = await ground.load(DESIGN)
    before = await ground.rows("SELECT count(*), max(position) FROM events")
    assert await ground.load(DESIGN) == {kind: (0, created) for kind, (created, _) in first.items()}
    assert await ground.rows("SELECT count(*), max(position) FROM events") == before


async def test_json_says_the_same_as_yaml(ground: Ground) -> None:
    as_json = json.dumps(yaml.safe_load(DESIGN))
    assert await ground.load(as_json, ".json") == await ground.load(as_json, ".JSON") | {
        "organizations": (2, 0), "accounts": (1, 0), "memberships": (1, 0), "partnerships": (1, 0),
    }  # fmt: skip
    assert (await ground.load(DESIGN))["organizations"] == (0, 2)


async def test_it_finds_what_is_there_by_its_natural_key_and_leaves_it(ground: Ground) -> None:
    await ground.load(DESIGN)
    again = {
        "organizations": [{**NORTHSIDE, "code": " NorthSide ", "name": "Another Name", "status": "suspended"}],
        "accounts": [{"email": "ADA@Northside.Example", "password": "another long password", "memberships": [{"organization": "northside", "role": "member"}]}],
        "partnerships": [{"source": "lakeside", "target": "northside", "status": "rejected"}],
    }  # fmt: skip
    assert await ground.load(again) == {
        "organizations": (0, 1), "accounts": (0, 1), "memberships": (0, 1), "partnerships": (0, 1),
    }  # fmt: skip
    assert await ground.rows("SELECT name, status FROM organizations WHERE code = 'northside'") == [
        ("Northside Family Practice", "active")
    ]
    assert await ground.rows("SELECT role FROM memberships WHERE ends_at IS NULL") == [("admin",)]
    assert await ground.rows("SELECT status FROM partnerships") == [("approved",)]


async def test_it_adds_to_what_is_there(ground: Ground) -> None:
    await ground.load(DESIGN)
    more = {
        "organizations": [NORTHSIDE, HARBOR],
        "accounts": [{**ADA, "memberships": [{"organization": "harbor", "role": "physician"}]}],
        "partnerships": [{"source": "harbor", "target": "northside"}],
    }
    assert await ground.load(more) == {
        "organizations": (1, 1), "accounts": (0, 1), "memberships": (1, 0), "partnerships": (1, 0),
    }  # fmt: skip
    await ground.must_be_sound()


@pytest.mark.parametrize("nothing", ["", "---\n", "{}", "organizations: []\n"])
async def test_an_empty_world_is_a_world(ground: Ground, nothing: str) -> None:
    assert [(one.created, one.present, one.shown) for one in await ground.loaded(nothing)] == [
        (0, 0, [])
    ] * 14


async def test_partnerships_come_in_every_status_with_the_grants_they_have(ground: Ground) -> None:
    statuses = ["approved", "pending_approval", "rejected", "canceled", "expired", "terminated"]
    content = {
        "organizations": [NORTHSIDE, *({**LAKESIDE, "code": f"org-{status[:5]}"} for status in statuses)],
        "partnerships": [
            {"source": f"org-{status[:5]}", "target": "northside", "status": status, "message": "Hello"}
            for status in statuses
        ],
    }
    assert (await ground.load(content))["partnerships"] == (6, 0)
    assert sorted(await ground.rows("SELECT status FROM partnerships")) == sorted(
        (status,) for status in statuses
    )
    assert await ground.rows(
        "SELECT p.status, count(*) FROM grants g JOIN partnerships p ON p.id = g.cause_id GROUP BY 1"
    ) == [("approved", 2)]
    assert await ground.rows("SELECT count(*) FROM events WHERE kind = 'partnership.imported'") == [(6,)]
    await ground.must_be_sound()


async def test_partnerships_keep_the_times_they_are_given(ground: Ground) -> None:
    entry = {
        "source": "northside", "target": "lakeside", "status": "terminated", "requestedAt": "2025-01-02T03:04:05Z",
        "respondedAt": "2025-01-03T03:04:05+02:00", "endedAt": "2025-06-01T00:00:00Z", "reason": "Moved", "terminatedBy": "lakeside",
    }  # fmt: skip
    as_yaml = yaml.safe_dump({"organizations": [NORTHSIDE, LAKESIDE]}) + (
        "partnerships:\n  - {source: northside, target: lakeside, status: terminated, requestedAt: 2025-01-02T03:04:05Z,\n"
        "     respondedAt: 2025-01-03T03:04:05+02:00, endedAt: 2025-06-01T00:00:00Z, reason: Moved, terminatedBy: lakeside}\n"
    )
    assert yaml.safe_load(as_yaml)["partnerships"][0].keys() == entry.keys()
    await ground.load(as_yaml)
    assert await ground.rows(
        "SELECT requested_at, responded_at, terminated_at, termination_reason, o.code FROM partnerships p "
        "JOIN organizations o ON o.id = p.terminated_by"
    ) == [(datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC), datetime(2025, 1, 3, 1, 4, 5, tzinfo=UTC), datetime(2025, 6, 1, tzinfo=UTC), "Moved", "lakeside")]  # fmt: skip
    await ground.must_be_sound()


async def test_an_external_id_is_by_what_each_organization_of_its_memberships_knows_an_account(
    ground: Ground,
) -> None:
    of_both = [{"organization": "northside"}, {"organization": "harbor"}]
    bob = {
        **ADA,
        "email": "bob@northside.example",
        "externalId": "alice",
        "memberships": [{"organization": "lakeside"}],
    }
    await ground.load({
        "organizations": [NORTHSIDE, LAKESIDE, HARBOR],
        "accounts": [{**ADA, "externalId": " alice ", "memberships": of_both}, bob],
    })  # fmt: skip
    kept = (
        "SELECT o.code, split_part(a.email, '@', 1), x.external_id FROM account_external_ids x "
        "JOIN organizations o ON o.id = x.organization_id JOIN accounts a ON a.id = x.account_id ORDER BY 1, 2"
    )
    assert await ground.rows(kept) == [
        ("harbor", "ada", "alice"), ("lakeside", "bob", "alice"), ("northside", "ada", "alice"),
    ]  # fmt: skip
    # What is there is left; what is missing is added, and not where the entry names no membership.
    await ground.load({"accounts": [
        {**ADA, "externalId": "bob", "memberships": [{"organization": "harbor"}, {"organization": "lakeside"}]},
    ]})  # fmt: skip
    assert await ground.rows(kept) == [
        ("harbor", "ada", "alice"), ("lakeside", "ada", "bob"), ("lakeside", "bob", "alice"), ("northside", "ada", "alice"),
    ]  # fmt: skip
    await ground.must_be_sound()


async def test_ids_that_are_given_are_kept(ground: Ground) -> None:
    """Ruling 6: any UUID, but for accounts one that can be printed as an ObjectId too."""
    await ground.load({
        "organizations": [{**NORTHSIDE, "id": "d9c34349-3e81-41bf-8113-27bc01dcaa9d"}, {**LAKESIDE, "id": "552417e085b784bc204e737c"}],
        "accounts": [{**ADA, "id": "552417E085B784BC204E737D"}],
        "partnerships": [{"source": "northside", "target": "lakeside", "id": "00000000-0000-0000-0000-000000000001"}],
    })  # fmt: skip
    assert await ground.rows("SELECT id::text FROM organizations WHERE code = 'northside'") == [
        ("d9c34349-3e81-41bf-8113-27bc01dcaa9d",)
    ]
    assert await ground.rows("SELECT id::text FROM partnerships") == [
        ("00000000-0000-0000-0000-000000000001",)
    ]
    printed = await ground.rows("SELECT id FROM accounts")
    assert to_object_id(printed[0][0]) == "552417e085b784bc204e737d"


async def test_the_demo_world_loads_and_is_sound(database_url: str, tmp_path: Path) -> None:
    ground = Ground(database_url, tmp_path)
    ground.house = Composition(
        settings.read({"DATABASE_URL": database_url, "HOSPITIUM_KEYS": str(tmp_path / "keys")})
    )
    counts = {one.kind: one.created for one in await load_world(ground.house, demo_world.world())}
    assert counts == {
        "organizations": 300,
        "accounts": 8,
        "memberships": 7,
        "teams": 1,
        "objectTypes": 2,
        "records": 10,
        "shares": 11,
        "clientKeys": 0,
        "serviceKeys": 1,
        "fhirServers": 1,
        "resources": counts["resources"],
        "persons": 4,
        "invites": 3,
        "partnerships": demo_world.PARTNERSHIPS,
    }
    assert {status for (status,) in await ground.rows("SELECT DISTINCT status FROM shares")} == set(
        ShareStatus
    ) - {ShareStatus.MERGED}
    assert await ground.rows("SELECT count(*) FROM fhir_resources WHERE type = 'Patient'") == [
        (demo_world.PATIENTS,)
    ]
    assert counts["resources"] > 100 * demo_world.PATIENTS  # charts, over years
    assert sorted(await ground.rows("SELECT form, status FROM invites")) == [
        ("code", "unbound"), ("email", "accepted"), ("email", "bound"),
    ]  # fmt: skip
    assert demo_world.world() == demo_world.world()
    ((events,),) = await ground.rows("SELECT count(*) FROM events")
    again = await load_world(ground.house, demo_world.world())
    assert {one.kind: one.present for one in again} == counts
    assert not any(one.created or one.updated or one.shown for one in again)
    # That the charts were looked through again is told, and nothing else.
    assert await ground.rows("SELECT count(*) FROM events") == [(events + 1,)]
    await ground.must_be_sound()


# -- what is wrong -------------------------------------------------------------------------------------------------------

LONG = "x" * 201
WRONG: list[tuple[str, Any, str]] = [
    ("an unknown section", {"organisations": []}, "organisations: is not known here"),
    ("a list", [], "the file: must be an object"),
    ("a word", '"hello"', "the file: must be an object"),
    ("a section that is none", {"accounts": {}}, "accounts: must be a list"),
    ("an unknown member", {"organizations": [{**NORTHSIDE, "shoeSize": 43}]}, "organizations[0].shoeSize: is not known here"),
    ("a member left out", {"organizations": [{"code": "northside", "type": "both"}]}, "organizations[0].name: is required"),
    ("a number for a word", {"organizations": [{**NORTHSIDE, "zipCode": 45402}]}, "organizations[0].zipCode: must be a string or null"),
    ("an unknown type", {"organizations": [NORTHSIDE, {**LAKESIDE, "type": "dental"}]}, "organizations[1].type: "),
    ("an unknown status", {"organizations": [{**NORTHSIDE, "status": "gone"}]}, "organizations[0].status: "),
    ("a code that is none", {"organizations": [{**NORTHSIDE, "code": "North Side"}]}, "organizations[0].code: "),
    ("a reserved code", {"organizations": [{**NORTHSIDE, "code": "api"}]}, "organizations[0].code: "),
    ("a code twice", {"organizations": [NORTHSIDE, LAKESIDE, {**NORTHSIDE, "code": "NORTHSIDE"}]}, "organizations[2].code: stands in this file twice"),
    ("a long name", {"organizations": [{**NORTHSIDE, "name": LONG}]}, "organizations[0].name: must be at most 200"),
    ("a blank name", {"organizations": [{**NORTHSIDE, "name": "  "}]}, "organizations[0].name: must not be blank"),
    ("a wrong NPI", {"organizations": [{**NORTHSIDE, "npi": "12"}]}, "organizations[0].npi: "),
    ("a wrong address", {"organizations": [{**NORTHSIDE, "contactEmail": "desk"}]}, "organizations[0].contact"),
    ("an id that is none", {"organizations": [{**NORTHSIDE, "id": "7"}]}, "organizations[0].id: must be a UUID"),
    ("an id twice", {"organizations": [{**o, "id": "552417e085b784bc204e737c"} for o in (NORTHSIDE, LAKESIDE)]}, "organizations[1].id: is taken"),
    ("NUL in a code", {"organizations": [{**NORTHSIDE, "code": "north\0side"}]}, "organizations[0].code: must not contain NUL"),
    ("an address that is none", {"accounts": [ADA, ADA | {"email": "x@y.example"}, ADA | {"email": "z@y.example"}, ADA | {"email": "ada"}]}, "accounts[3].email: "),
    ("an address twice", {"accounts": [ADA, {**ADA, "email": "ADA@northside.example"}]}, "accounts[1].email: stands in this file twice"),
    ("no password", {"accounts": [{"email": "ada@northside.example"}]}, "accounts[0].password: is required"),
    ("an external id of no member", {"accounts": [{**ADA, "externalId": "alice"}]}, "accounts[0].externalId: needs a membership"),
    ("an external id twice", {"organizations": [NORTHSIDE], "accounts": [{**ADA, "email": f"{n}@y.example", "externalId": "alice", "memberships": [{"organization": "northside"}]} for n in "ab"]}, "accounts[1].externalId: is taken"),
    ("a blank external id", {"organizations": [NORTHSIDE], "accounts": [{**ADA, "externalId": " ", "memberships": [{"organization": "northside"}]}]}, "accounts[0].externalId: must not be blank"),
    ("a short password", {"accounts": [{**ADA, "password": "short"}]}, "accounts[0].password: "),
    ("a common password", {"accounts": [{**ADA, "password": "password123"}]}, "accounts[0].password: "),
    ("an account id that is not ours to print", {"accounts": [{**ADA, "id": "d9c34349-3e81-41bf-8113-27bc01dcaa9d"}]}, "accounts[0].id: must be 24 hexadecimal digits"),
    ("an account id twice", {"accounts": [{**ADA, "id": "552417e085b784bc204e737c"}, {**ADA, "email": "ben@x.example", "id": "552417e085b784bc204e737c"}]}, "accounts[1].id: is taken"),
    ("a member of nothing", {"accounts": [{**ADA, "memberships": [{"organization": "nowhere"}]}]}, "accounts[0].memberships[0].organization: there is no organization nowhere"),
    ("a role that is none", {"organizations": [NORTHSIDE], "accounts": [{**ADA, "memberships": [{"organization": "northside", "role": "king"}]}]}, "accounts[0].memberships[0].role: "),
    ("an unknown source", {"organizations": [LAKESIDE], "partnerships": [{"source": "nowhere", "target": "lakeside"}]}, "partnerships[0].source: there is no organization nowhere"),
    ("an unknown target", {"organizations": [LAKESIDE], "partnerships": [{"source": "lakeside", "target": "nowhere"}]}, "partnerships[0].target: there is no organization nowhere"),
    ("oneself as partner", {"organizations": [LAKESIDE], "partnerships": [{"source": "lakeside", "target": "lakeside"}]}, "partnerships[0].target: must be another"),
]  # fmt: skip


def between(**more: Any) -> dict[str, Any]:
    entries = more.pop("entries", [{}])
    return {
        "organizations": [NORTHSIDE, LAKESIDE, HARBOR],
        "partnerships": [{"source": "northside", "target": "lakeside", **more, **entry} for entry in entries],
    }


WRONG += [
    ("a pair twice", between(entries=[{}, {"source": "lakeside", "target": "northside"}]), "partnerships[1].target: stands in this file"),
    ("an unknown partnership status", between(status="active"), "partnerships[0].status: "),
    ("a stranger ended it", between(status="terminated", terminatedBy="harbor"), "partnerships[0].terminatedBy: must be the source or the target"),
    ("nobody ended it", between(status="terminated", terminatedBy="nowhere"), "partnerships[0].terminatedBy: there is no organization nowhere"),
    ("a time without offset", between(requestedAt="2025-01-02T03:04:05"), "partnerships[0].requestedAt: must say its offset"),
    ("a time that is none", between(requestedAt="yesterday"), "partnerships[0].requestedAt: "),
    ("a time before all time", between(requestedAt="0001-01-01T00:00:00+23:59"), "partnerships[0].requestedAt: is out of range"),
    ("a time to come", between(requestedAt="2999-01-01T00:00:00Z"), "partnerships[0].requestedAt: must not be in the future"),
    ("an answer before the question", between(status="approved", requestedAt="2025-01-02T00:00:00Z", respondedAt="2025-01-01T00:00:00Z"), "partnerships[0].respondedAt: must be after the request"),
    ("an answer too late", between(status="approved", requestedAt="2025-01-02T00:00:00Z", respondedAt="2025-10-01T00:00:00Z"), "partnerships[0].respondedAt: must be after the request"),
    ("an end before the answer", between(status="terminated", requestedAt="2025-01-02T00:00:00Z", respondedAt="2025-01-03T00:00:00Z", endedAt="2025-01-02T12:00:00Z"), "partnerships[0].endedAt: must not be before"),
    ("a long message", between(message="x" * 2001), "partnerships[0].message: must be at most 2,000"),
    ("a partnership id twice", between(entries=[{"id": "552417e085b784bc204e737c"}, {"id": "552417e085b784bc204e737c", "target": "harbor"}]), "partnerships[1].id: is taken"),
    ("NUL in a reference", between(terminatedBy="north\0side"), "partnerships[0].terminatedBy: must not contain NUL"),
    ("a lone surrogate", between(message="\ud800"), "partnerships[0].message: must not contain lone surrogates"),
]  # fmt: skip


async def test_a_wrong_entry_refuses_the_whole_file_and_is_named(ground: Ground) -> None:
    for what, content, says in WRONG:
        said = await refused(ground, content)
        assert said.startswith(says), what
        assert await ground.is_empty(), what


async def test_a_section_that_can_not_be_held_yet_is_refused_by_name(ground: Ground) -> None:
    for section in ("webhooks", "subscriptions"):
        said = await refused(ground, {"organizations": [NORTHSIDE], section: []})
        assert said == f"{section}: is not known here"
    assert await ground.is_empty()


@pytest.mark.parametrize(
    ("status", "says"),
    [
        ("pending_approval", "partnerships[2]: Your organization already has the 2 pending requests"),
        ("approved", "partnerships[2]: The other organization already has the 2 active connections"),
    ],
)
async def test_the_limits_hold_here_too(ground: Ground, status: str, says: str) -> None:
    others = [{**LAKESIDE, "code": f"org-{number}"} for number in range(3)]
    partnerships = [{"source": "northside", "target": one["code"], "status": status} for one in others]
    content = {"organizations": [NORTHSIDE, *others], "partnerships": partnerships}
    assert (await refused(ground, content)).startswith(says)
    assert await ground.is_empty()
    assert (await ground.load({**content, "partnerships": partnerships[:2]}))["partnerships"] == (2, 0)


BROKEN: list[tuple[str, str, str, str]] = [
    ("yaml", "a duplicate member", "organizations: []\naccounts: []\norganizations: []\n", "the file: says 'organizations' twice (line 3)"),
    ("json", "a duplicate member", '{"accounts": [], "accounts": []}', "accounts: is given twice"),
    ("yaml", "an alias", "accounts: &a []\npartnerships: *a\n", "the file: has an alias, which worlds don't take (line 2)"),
    ("yaml", "an alias in itself", "&a [*a]", "the file: has an alias"),
    ("yaml", "broken off", "organizations: [{code: x", "the file: is not YAML (line 1)"),
    ("json", "broken off", '{"organizations": [', "the file: is not valid JSON"),
    ("yaml", "a tag", "accounts: !!python/object/apply:os.system [echo]", "the file: is not YAML (line 1)"),
    ("yaml", "a tag that doesn't fit", "accounts: !!int many", "the file: holds a value that is none"),
    ("yaml", "bytes", "accounts: [{email: !!binary aGk=, password: x}]", "the file: holds a value that is none"),
    ("yaml", "a set", "accounts: !!set {a, b}", "the file: holds a value that is none"),
    ("yaml", "a list as a name", "? [a]\n: b\n", "the file: holds a value that is none"),
    ("yaml", "a number as a name", "1: []\n", "1: is not known here"),
    ("yaml", "no number", "accounts: .nan\n", "the file: is not valid JSON"),
    ("yaml", "a number without end", f"accounts: {'9' * 5000}\n", "the file: holds a value that is none"),
    ("yaml", "two documents", "accounts: []\n---\naccounts: []\n", "the file: is not YAML (line 2)"),
    ("yaml", "NUL", 'organizations: [{code: "a\\0b", name: x, type: both}]', "organizations[0].code: must not contain NUL"),
    ("yaml", "deep", "[" * 100 + "]" * 100, "the file: must not be nested deeper than 64"),
    ("yaml", "very deep", "[" * 20_000, "the file: is nested too deeply"),
    ("json", "very deep", "[" * 200_000, "the file: must not be nested deeper than 64"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("suffix", "text", "says"),
    [(s, t, m) for s, _, t, m in BROKEN],
    ids=[f"{s}: {n}" for s, n, _, _ in BROKEN],
)
def test_a_file_that_is_no_world_is_refused(tmp_path: Path, suffix: str, text: str, says: str) -> None:
    path = tmp_path / f"world.{suffix}"
    path.write_text(text)
    with pytest.raises(Invalid) as refusal:
        world.read(path)
    assert str(refusal.value).startswith(says)


def test_a_file_that_can_not_be_read_is_refused(tmp_path: Path) -> None:
    for path, says in (
        (tmp_path / "nowhere.yaml", "No such file or directory"),
        (tmp_path, "Is a directory"),
    ):
        with pytest.raises(Invalid, match=f"the file: can't be read: {says}"):
            world.read(path)
    (tmp_path / "latin.yaml").write_bytes("organizations: [{name: Cañon}]".encode("latin-1"))
    with pytest.raises(Invalid, match="the file: is not UTF-8"):
        world.read(tmp_path / "latin.yaml")


def test_a_file_too_large_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "large.json"
    with path.open("wb") as file:
        file.truncate(world.LARGEST_FILE + 1)
    with pytest.raises(Invalid, match="is larger than 200,000,000 bytes"):
        world.read(path)


# -- whatever is in the file ---------------------------------------------------------------------------------------------

words = st.sampled_from(
    ["organizations", "accounts", "partnerships", "teams", "objectTypes", "records", "shares", "clientKeys", "code", "owner", "members",
     "organization", "body", "record", "by", "to", "team", "access", "shareChain", "key", "connectionOptions", "name", "type", "email", "password", "memberships",
     "fhirServers", "persons", "invites", "bundles", "resources", "credentials", "account", "fhirServer", "patient", "question", "person",
     "source", "target", "status", "id", "northside", "requestedAt", "2025-01-02T03:04:05Z", "approved", "both"]
) | st.text(max_size=8)  # fmt: skip
leaves = st.none() | st.booleans() | st.integers() | st.floats() | words
anything = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=5),
    max_leaves=20,
)
entries = st.lists(st.dictionaries(words, anything, max_size=6), max_size=3)
worlds = anything | st.dictionaries(st.sampled_from(sorted(world.World.__struct_encode_fields__)), entries)
tags = st.sampled_from(
    [
        "!!int",
        "!!float",
        "!!bool",
        "!!null",
        "!!binary",
        "!!timestamp",
        "!!set",
        "!!omap",
        "!!pairs",
        "!!str",
        "!!map",
        "!!seq",
        "!x",
    ]
)
signs = st.text(
    alphabet="{}[]:,&*!|>'\"%@`#-? \n\t0123456789abcxyz~<=._+" + string.ascii_uppercase[:4], max_size=60
)
examples = hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def read_whatever(path: Path, text: str | bytes) -> None:
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    try:
        found = world.read(path)
    except Invalid as refusal:
        said = str(refusal)
    else:
        assert isinstance(found, world.World)
        return
    assert said.isprintable()
    assert len(said) < 500


@examples
@given(content=worlds)
def test_whatever_a_file_says_it_is_a_world_or_refused(tmp_path: Path, content: Any) -> None:
    read_whatever(tmp_path / "world.json", json.dumps(content))
    read_whatever(tmp_path / "world.yaml", json.dumps(content))
    read_whatever(tmp_path / "world.yaml", yaml.safe_dump(content))


@examples
@given(text=signs | st.binary(max_size=40) | st.builds("{}: {} {}".format, words, tags, signs))
def test_whatever_bytes_a_file_has_it_is_a_world_or_refused(tmp_path: Path, text: str | bytes) -> None:
    read_whatever(tmp_path / "world.yaml", text)
    read_whatever(tmp_path / "world.json", text)
