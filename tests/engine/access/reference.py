"""Who may what, told slowly and obviously: every row is read, and the rules are walked through one after the other.

Written from the glossary, ruling 23 and what BlueButtonPro's contract says of grants, and from nothing else: it shares no code with the engine,
and no statement, so that neither repeats the other's mistake.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

Row = dict[str, Any]
READ, WRITE = 4, 6
ID_OF_FHIR = re.compile(r"[A-Za-z0-9.-]{1,64}")
EVERYTHING = (
    "organizations", "accounts", "memberships", "team_memberships", "person_roles", "fhir_servers", "fhir_resources", "records", "grants", "epochs",
    "object_types", "patient_suspensions",
)  # fmt: skip


class Who(NamedTuple):
    kind: str
    id: Any


class What(NamedTuple):
    """A resource: its kind, its id as text, and the FHIR server where it is, or which it is."""

    kind: str
    id: str
    server: Any = None


class Way(NamedTuple):
    """How a grant comes to somebody: through a row of his in something, or as his own; and how much of it does."""

    grant: Row
    through: Row | None
    level: int
    as_owner: bool = False


class World:
    """Every row, as it was read at one moment.

    `now`: the moment asked about. `as_of_then`: whether what was ended later is there still; otherwise what was ended has ended, whatever the
    clock says, because whoever ended it was told so.
    """

    def __init__(self, tables: dict[str, list[Row]], now: datetime, *, as_of_then: bool) -> None:
        self.tables = tables
        self.now = now
        self.as_of_then = as_of_then
        self.organizations = {row["id"]: row for row in tables["organizations"]}
        self.accounts = {row["id"]: row for row in tables["accounts"]}
        self.servers = {row["id"]: row for row in tables["fhir_servers"]}
        self.records = {str(row["id"]): row for row in tables["records"]}

    @classmethod
    async def read(cls, tx: Any, now: datetime, *, as_of_then: bool = False) -> World:
        tables = {name: [dict(row) for row in await tx.fetch(f"SELECT * FROM {name}")] for name in EVERYTHING}
        return cls(tables, now, as_of_then=as_of_then)

    def at(self, now: datetime, *, as_of_then: bool) -> World:
        return World(self.tables, now, as_of_then=as_of_then)

    # -- what holds of a row -------------------------------------------------------------------------------------------

    def is_on(self, row: Row) -> bool:
        """Whether an interval has begun, and is not over."""
        if row["starts_at"] > self.now:
            return False
        if row["ends_at"] is not None and (row["ends_at"] <= self.now or not self.as_of_then):
            return False
        return row.get("until") is None or bool(row["until"] > self.now)

    def is_held(self, row: Row) -> bool:
        """Whether a restore that nobody has confirmed holds what began by then."""
        for epoch in self.tables["epochs"]:
            is_confirmed, until = epoch["confirmed_at"] is not None, epoch["holds_until"]
            if not is_confirmed and until is not None and row["starts_at"] <= until:
                return True
        return False

    def is_active(self, organization_id: Any) -> bool:
        return (
            organization_id in self.organizations
            and self.organizations[organization_id]["status"] == "active"
        )

    def owner_of(self, what: What) -> Any:
        """Return whose a resource is; None of what isn't there any more, or never was."""
        if what.kind == "organization":
            return next((one for one in self.organizations if str(one) == what.id), None)
        if what.kind == "record":
            record = self.records.get(what.id)
            return None if record is None or record["status"] == "deleted" else record["organization_id"]
        server = self.servers.get(what.server)
        return None if server is None or server["removed_at"] is not None else server["organization_id"]

    # -- the ways of a grant to somebody ----------------------------------------------------------------------------------

    def ways(self, who: Who, grant: Row) -> Iterator[Way]:
        """Yield every way by which a grant comes to somebody at all."""
        to = Who(grant["grantee_kind"], grant["grantee_id"])
        if to == who:
            yield Way(grant, None, grant["level"])
        if who.kind != "account":
            return
        if to.kind == "organization":
            for row in self.tables["memberships"]:
                is_there = (row["account_id"], row["organization_id"]) == (who.id, to.id) and self.is_on(row)
                if is_there and row["role"] != "member":
                    yield self.of_staff(grant, row)
        if to.kind == "team":
            for row in self.tables["team_memberships"]:
                if (row["account_id"], row["team_id"]) == (who.id, to.id) and self.is_on(row):
                    yield Way(grant, row, grant["level"])
        if to.kind == "person":
            for row in self.tables["person_roles"]:
                if (row["account_id"], row["person_id"]) == (who.id, to.id) and self.is_on(row):
                    yield Way(grant, row, min(grant["level"], row["level"]))

    def of_staff(self, grant: Row, membership: Row) -> Way:
        """Ruling 23: what an organization's grant on a FHIR server, or on a patient there, gives to its staff."""
        if grant["fhir_server_id"] is None:
            return Way(grant, membership, grant["level"])
        if self.servers[grant["fhir_server_id"]]["organization_id"] != membership["organization_id"]:
            return Way(grant, membership, min(grant["level"], READ))
        # On a removed server nobody is owner, and nobody anything else.
        if membership["role"] == "admin":
            return Way(grant, membership, grant["level"], as_owner=True)
        return Way(grant, membership, min(grant["level"], WRITE))

    def counts(self, way: Way) -> bool:
        """Whether nothing stands in the way."""
        grant = way.grant
        if not self.is_on(grant) or self.is_held(grant):
            return False
        if way.through is not None and self.is_held(way.through):
            return False
        if grant["grantee_kind"] == "organization" and not self.is_active(grant["grantee_id"]):
            return False
        about = self.owner_of(What(grant["resource_kind"], grant["resource_id"], grant["fhir_server_id"]))
        if grant["resource_kind"] != "account" and not self.is_active(about):
            return False
        if grant["resource_kind"] == "patient" and self.is_doubtful(
            grant["fhir_server_id"], grant["resource_id"]
        ):
            return False
        server = self.servers.get(grant["fhir_server_id"])
        return server is None or server["suspended_at"] is None or way.as_owner

    def is_doubtful(self, server_id: Any, patient_id: str) -> bool:
        """Whether a patient was found changed, and nobody has confirmed since that he is who he was."""
        return any(
            (row["fhir_server_id"], row["patient_id"], row["lifted_at"]) == (server_id, patient_id, None)
            for row in self.tables["patient_suspensions"]
        )

    def is_told(self, who: Who, way: Way, told_to: Any) -> bool:
        """Whether an organization is told of a way: not that somebody may connect with one because he works for another."""
        if told_to is None or who.kind != "account":
            return True
        kinds = (way.grant["resource_kind"], way.grant["grantee_kind"])
        return kinds != ("organization", "organization") or bool(way.grant["grantee_id"] == told_to)

    # -- the answer --------------------------------------------------------------------------------------------------------

    def is_here(self, patient: What) -> bool:
        """Whether a patient is on a server whose resources are kept here."""
        return any(
            (row["fhir_server_id"], row["type"], row["id"]) == (patient.server, "Patient", patient.id)
            for row in self.tables["fhir_resources"]
        )

    def grants_on(self, what: What, seen_by: Any, *, singly: bool) -> list[Row]:
        """Return the grants that answer for a resource: those on it, and of a patient those on the server where he is (who is on a remote one,
        only that knows); to an organization's application (`seen_by`) those about that organization, and its own on others."""
        found: list[Row] = []
        if seen_by is not None and what.kind == "patient" and not ID_OF_FHIR.fullmatch(what.id):
            return found  # no application can name one so
        is_remote = what.server in self.servers and self.servers[what.server]["kind"] == "remote"
        may_be_there = what.kind == "patient" and not singly and (is_remote or self.is_here(what))
        for grant in self.tables["grants"]:
            on = What(grant["resource_kind"], grant["resource_id"], grant["fhir_server_id"])
            whole = may_be_there and on == What("fhir_server", str(what.server), what.server)
            own = (grant["grantee_kind"], grant["grantee_id"]) == ("organization", seen_by)
            seen = seen_by is None or self.owner_of(on) == seen_by or (on.kind == "organization" and own)
            if (on == what or whole) and seen:
                found.append(grant)
        return found

    def level(
        self, who: Who, what: What, seen_by: Any = None, *, singly: bool = False, told_to: Any = None
    ) -> int:
        """Return how much somebody may do on something; 0 if nothing. `seen_by`: in the world of an organization; `told_to`: of everything, but
        as an organization is told."""
        if who.kind == "account" and (
            who.id not in self.accounts or self.accounts[who.id]["status"] != "active"
        ):
            return 0
        ways = [
            way
            for grant in self.grants_on(what, seen_by, singly=singly)
            for way in self.ways(who, grant)
            if self.counts(way) and self.is_told(who, way, told_to or seen_by)
        ]
        # What one was given oneself on a FHIR server, or on a patient, comes before what one inherits on the same.
        own_on = {
            way.grant["resource_kind"] for way in ways
            if way.grant["fhir_server_id"] is not None and way.grant["grantee_kind"] == "account"
        }  # fmt: skip
        best = 0
        for way in ways:
            inherits = way.grant["grantee_kind"] in ("organization", "team")
            if (
                inherits
                and who.kind == "account"
                and not way.as_owner
                and way.grant["resource_kind"] in own_on
            ):
                continue
            best = max(best, way.level)
        return best

    def is_listed(self, who: Who, what: What, needed: int, seen_by: Any) -> bool:
        """Whether a list has a resource on which somebody may do something: a patient who is known only elsewhere it can't have."""
        if what.kind != "patient":
            return self.level(who, what, seen_by) >= needed
        if self.level(who, what, seen_by, singly=True) >= needed:
            return True
        whole = What("fhir_server", str(what.server), what.server)
        return self.is_here(what) and self.level(who, whole, seen_by) >= needed

    def needed(self, organization_id: Any, type_name: str, action: str) -> int | None:
        """Return the level an action needs on something of a type; None if there is no such action."""
        usual = {"connect": 2, "read": 4, "share": 5, "update": 6, "delete": 7}
        for row in self.tables["object_types"]:
            if (row["organization_id"], row["name"]) == (organization_id, type_name) and row[
                "ended_at"
            ] is None:
                return row["actions"].get(action, usual.get(action))  # type: ignore[no-any-return]
        return usual.get(action)
