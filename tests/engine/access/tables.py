"""The truth tables: worlds of people and organizations, scenes of grants in them, and questions with their answers, all in YAML.

A world is put into a database as its table has it, or as it stood at a moment: what was ended later had not ended then, and what began later
was not there.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import yaml

from engine.ground import NOBODYS_HASH
from hospitium.engine.access.check import Question, SubjectKind
from hospitium.engine.access.decide import Allowed, Decision
from hospitium.engine.access.naming import FHIR_SERVER, ORGANIZATION, PATIENT
from hospitium.engine.grants.record import ResourceKind
from hospitium.engine.ids import from_object_id
from hospitium.engine.levels import ACTIONS, Level

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
TODAY = datetime(2026, 5, 1, tzinfo=UTC)
UNNAMED_CAUSES = ("ownership", "operator", "administrator")
NO_SUCH_ACTION = "there is no such action"
SUBJECT_KINDS = {kind.value for kind in SubjectKind}


def named(name: str) -> UUID:
    """The id, one of ours, of whatever a table calls by a name."""
    return from_object_id(hashlib.sha256(name.encode()).hexdigest()[:24])


def instant(given: Any, default: datetime | None = None) -> datetime | None:
    """Read a day (its first instant) or a time of a table."""
    if given is None:
        return default
    if isinstance(given, date) and not isinstance(given, datetime):
        return datetime(given.year, given.month, given.day, tzinfo=UTC)
    return datetime.fromisoformat(str(given)).replace(tzinfo=UTC)


def began(row: dict[str, Any]) -> datetime:
    return instant(row.get("from")) or BEGINNING


def level_of(action: str) -> Level:
    return Level.PUBLIC if action == "public" else ACTIONS[action]


def moment(question: dict[str, Any]) -> datetime:
    """Return of when a question is."""
    return instant(question.get("at")) or TODAY


class Thing(NamedTuple):
    """What a question is about, or a grant on: `record rx-1`, `server desk`, `patient jane on desk`."""

    kind: ResourceKind
    name: str
    server: str | None = None

    @classmethod
    def of(cls, text: str) -> Thing:
        kind, _, name = text.partition(" ")
        if kind == "patient":
            name, _, server = name.partition(" on ")
            return cls(ResourceKind.PATIENT, name, server)
        if kind == "server":
            return cls(ResourceKind.FHIR_SERVER, name, name)
        return cls(ResourceKind(kind), name)

    @property
    def id(self) -> str:
        return self.name if self.kind is ResourceKind.PATIENT else str(named(self.name))

    @property
    def server_id(self) -> UUID | None:
        return None if self.server is None else named(self.server)


def subject_of(text: str) -> tuple[str, str]:
    """`ada` is an account; of others their kind is said."""
    kind, _, name = text.partition(" ")
    return (kind, name) if name else ("account", kind)


class Table:
    """One table: what it says is in the world, and its scenes."""

    def __init__(self, file: str) -> None:
        self.said: dict[str, Any] = yaml.safe_load(Path(__file__).with_name(file).read_text("utf-8"))
        self.scenes: list[dict[str, Any]] = self.said["scenes"]
        self.cases = [(scene, question) for scene in self.scenes for question in scene["questions"]]

    def __getitem__(self, section: str) -> dict[str, Any]:
        found: dict[str, Any] = self.said.get(section, {})
        return found

    def rows(self, section: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.said.get(section, [])
        return found

    def account(self, name: str) -> dict[str, Any]:
        found = self["accounts"][name]
        return found if isinstance(found, dict) else {"is": found}

    # -- what is asked about ------------------------------------------------------------------------------------------

    def type_name(self, thing: Thing) -> str:
        """Return the name of a record's object type; of what is no record of the table, that of most."""
        found: str = self["records"].get(thing.name, {}).get("as", "c_prescription")
        return found

    def type_id(self, thing: Thing) -> str:
        """Return the id of a record's object type: each organization has its own."""
        if thing.kind is not ResourceKind.RECORD:
            return ""
        return str(named(f"{self.type_name(thing)} of {self.home(thing) or 'nobody'}"))

    def home(self, thing: Thing) -> str | None:
        """Return whose the thing is: the organization whose applications may ask about it."""
        match thing.kind:
            case ResourceKind.ORGANIZATION:
                return thing.name
            case ResourceKind.RECORD:
                found: str | None = self["records"].get(thing.name, {}).get("of")
                return found
            case ResourceKind.ACCOUNT:
                return None
        of: str = self["servers"][thing.server or ""]["of"]
        return of

    def actions(self, thing: Thing) -> dict[str, Level]:
        """Return every action there is on the thing, and what it needs."""
        its_type = self["types"].get(self.type_name(thing)) if thing.kind is ResourceKind.RECORD else None
        own = its_type["actions"] if its_type and its_type["of"] == self.home(thing) else {}
        return ACTIONS | {name: level_of(level) for name, level in own.items()}

    def question(self, asked: dict[str, Any]) -> Question | None:
        """Return a question by ids; None if its action is none."""
        kind, name = subject_of(asked["who"])
        thing = Thing.of(asked["what"])
        needed = self.actions(thing).get(asked["may"])
        if needed is None:
            return None
        return Question(
            SubjectKind(kind), named(name), needed, thing.kind, thing.id, self.type_id(thing), thing.server_id
        )

    def words(self, thing: Thing) -> str:
        """Return what an application calls the type of a thing."""
        match thing.kind:
            case ResourceKind.RECORD:
                return self.type_name(thing)
            case ResourceKind.PATIENT:
                return PATIENT
            case ResourceKind.FHIR_SERVER:
                return FHIR_SERVER
        return ORGANIZATION

    # -- a world, in a database ---------------------------------------------------------------------------------------

    async def build(self, tx: Any) -> None:
        """Put in what the table says is there for ever."""
        await insert(tx, "organizations", [
            {"id": named(name), "code": f"{name}-x", "name": name, "name_key": name, "type": "both", "status": status, "created_at": BEGINNING, "updated_at": BEGINNING}
            for name, status in self["organizations"].items()
        ])  # fmt: skip
        await insert(tx, "accounts", [
            {"id": named(name), "email": address(name), "email_key": address(name), "password_hash": NOBODYS_HASH.reveal(), "status": self.account(name)["is"],
                 "verified_at": None if "address" in self.account(name) else BEGINNING, "created_at": BEGINNING}
            for name in self["accounts"]
        ])  # fmt: skip
        await insert(tx, "account_external_ids", [
            {"account_id": named(name), "organization_id": named(by), "external_id": called}
            for name in self["accounts"] for by, called in self.account(name).get("called", {}).items()
        ])  # fmt: skip
        await insert(tx, "teams", [
            {"id": named(name), "organization_id": named(of), "name": name, "name_key": name, "created_at": BEGINNING} for name, of in self["teams"].items()
        ])  # fmt: skip
        persons = {row["in"] for row in self.rows("person_roles")}
        await insert(tx, "persons", [
            {"id": named(name), "first_name": name, "last_name": "Doe", "gender": "other", "identifiers": [], "contacts": [], "created_at": BEGINNING, "updated_at": BEGINNING}
            for name in sorted(persons)
        ])  # fmt: skip
        await self._build_records(tx)
        await self._build_servers(tx)
        await insert(tx, "service_keys", [
            {"id": uuid4(), "organization_id": named(name), "name": "portal", "digest": digest(name), "scopes": ["check", "list", "explain"], "made_at": BEGINNING}
            for name in self["organizations"]
        ])  # fmt: skip

    async def _build_records(self, tx: Any) -> None:
        things = {name: Thing(ResourceKind.RECORD, name) for name in self["records"]}
        types = {self.type_id(thing): thing for thing in things.values()}
        await insert(tx, "object_types", [
            {"id": UUID(type_id), "organization_id": named(self.home(thing) or ""), "name": self.type_name(thing), "plural_name": f"{self.type_name(thing)}s",
                 "label": "P", "storage": "stored", "allows_shares": True, "requires_acceptance": True, "sends_notifications": True, "share_chain": [5, 4, 2],
                 "actions": {n: int(level) for n, level in self.actions(thing).items() if ACTIONS.get(n) != level}, "created_at": BEGINNING, "updated_at": BEGINNING}
            for type_id, thing in types.items()
        ])  # fmt: skip
        await insert(tx, "records", [
            {"id": named(name), "organization_id": named(row["of"]), "object_type_id": UUID(self.type_id(things[name])), "owner_id": named("ben"),
                 "creator_id": named("ben"), "external_id": row.get("called"), "status": row.get("is", "active"), "created_at": BEGINNING, "updated_at": TODAY,
                 "ended_at": TODAY if row.get("is") == "deleted" else None, "archived_at": TODAY if row.get("is") == "archived" else None}
            for name, row in self["records"].items()
        ])  # fmt: skip

    async def _build_servers(self, tx: Any) -> None:
        await insert(tx, "fhir_servers", [
            {"id": named(name), "organization_id": named(row["of"]), "name": name, "name_key": name, "kind": row.get("is", "built-in"),
                 "base_url": "https://fhir.example" if row.get("is") == "remote" else None, "created_at": BEGINNING,
                 "suspended_at": instant(row.get("suspended")), "removed_at": instant(row.get("removed"))}
            for name, row in self["servers"].items()
        ])  # fmt: skip
        await insert(tx, "fhir_resources", [
            patient_row(named(name), patient) for name, row in self["servers"].items() for patient in row.get("patients", [])
        ])  # fmt: skip

        await insert(tx, "patient_suspensions", [
            {"id": uuid4(), "fhir_server_id": named(name), "patient_id": patient, "reason": "merged", "since": instant(since), "lifted_at": lifted_at}
            for name, row in self["servers"].items()
            for state, lifted_at in (("changed", None), ("confirmed", TODAY))
            for patient, since in row.get(state, {}).items()
        ])  # fmt: skip

    async def stage(self, tx: Any, scene: dict[str, Any], at: datetime | None = None) -> None:
        """Put in who stands in what, and a scene's grants and restores: as the table has them, or as they stood at a moment."""

        def span(row: dict[str, Any]) -> dict[str, Any]:
            ends_at = instant(row.get("until"))
            return {"starts_at": began(row), "ends_at": None if at and ends_at and ends_at > at else ends_at}

        def there(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
            return [row for row in rows if at is None or began(row) <= at]

        await insert(tx, "memberships", [
            dict(id=uuid4(), account_id=named(row["of"]), organization_id=named(row["in"]), role=row["as"], **span(row)) for row in there(self.rows("memberships"))
        ])  # fmt: skip
        await insert(tx, "team_memberships", [
            dict(id=uuid4(), account_id=named(row["of"]), team_id=named(row["in"]), is_owner=False, **span(row)) for row in there(self.rows("team_memberships"))
        ])  # fmt: skip
        await insert(tx, "person_roles", [
            dict(id=uuid4(), account_id=named(row["of"]), person_id=named(row["in"]), level=int(level_of(row["level"])), is_owner=False, relationship="other", **span(row))
            for row in there(self.rows("person_roles"))
        ])  # fmt: skip
        grants = [grant | {"name": name} for name, grant in scene["grants"].items()]
        await insert(tx, "grants", [self._grant(scene, grant) | span(grant) for grant in there(grants)])
        await insert(tx, "epochs", [
            {"number": number, "place": "here", "begun_at": instant(row["begun"]), "holds_until": instant(row["until"]), "confirmed_at": instant(row.get("confirmed"))}
            for number, row in enumerate(scene.get("epochs", []), start=2)
        ])  # fmt: skip

    def _grant(self, scene: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
        (kind, name), thing = subject_of(row["to"]), Thing.of(row["what"])
        return {
            "id": named(scene["title"] + row["name"]), "grantee_kind": kind, "grantee_id": named(name), "resource_kind": thing.kind.value,
            "resource_type": self.type_id(thing), "resource_id": thing.id, "fhir_server_id": thing.server_id, "level": int(level_of(row["level"])),
            "until": instant(row.get("closes")), "cause_kind": row["because"], "cause_id": None if row["because"] in UNNAMED_CAUSES else named("cause"),
        }  # fmt: skip

    def says(self, scene: dict[str, Any], decision: Decision) -> str:
        """Return a decision in the words of the table."""
        if not isinstance(decision, Allowed):
            return decision.reason
        name = next(name for name in scene["grants"] if named(scene["title"] + name) == decision.by.grant_id)
        if decision.by.resource_kind in (ResourceKind.FHIR_SERVER, ResourceKind.PATIENT):
            return f"yes {decision.level:d} by {name}"
        assert decision.level == level_of(scene["grants"][name]["level"])
        return f"yes by {name}"


async def insert(tx: Any, table: str, rows: list[dict[str, Any]]) -> None:
    """Insert rows of the same columns."""
    if rows:
        places = ", ".join(f"${n}" for n in range(1, len(rows[0]) + 1))
        await tx.executemany(
            f"INSERT INTO {table} ({', '.join(rows[0])}) VALUES ({places})",
            [tuple(row.values()) for row in rows],
        )


def address(name: str) -> str:
    return f"{name}@table.example"


def digest(organization: str) -> bytes:
    """The digest of the service key of an organization's application."""
    return hashlib.sha256(organization.encode()).digest()


def patient_row(server_id: UUID, patient_id: str) -> dict[str, Any]:
    return {
        "fhir_server_id": server_id, "type": "Patient", "id": patient_id, "version": 1, "last_updated": BEGINNING, "body": {"resourceType": "Patient", "id": patient_id},
        "digest": b"", "patients": [patient_id], "search_keys": [], "date_from": BEGINNING,
    }  # fmt: skip


def reason_pattern(text: str) -> str:
    """Return a reason without its numbers and days."""
    return re.sub(r"\d{4}-\d{2}-\d{2}|\d", "#", text)


DECISIONS, ON_SERVERS = Table("decisions.yaml"), Table("servers.yaml")
TABLES = {"decisions": DECISIONS, "servers": ON_SERVERS}
