"""What the guards of the contract are asked about: a world file for the real server, and the same as a fake is told it."""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import yaml

from cli.running import Installation
from hospitium.client import Resource

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hospitium.client.testing import FakeAsyncGuard, FakeGuard

PASSWORD = "correct horse battery"
SERVICE_KEY = "hsk_" + "C" * 43
CHECKS_ONLY = "hsk_" + "D" * 43
FHIR_SERVER = "d9c34349-3e81-41bf-8113-27bc01dcaa9d"
SCANS = 250  # more than there are on a page
JANE = Resource.patient("jane", fhir_server=FHIR_SERVER)


def _account(name: str, role: str = "member") -> dict[str, Any]:
    return {
        "email": f"{name}@northside.example",
        "password": PASSWORD,
        "verified": True,
        "externalId": name,
        "memberships": [{"organization": "northside", "role": role}],
    }


def _type(name: str, **more: Any) -> dict[str, Any]:
    return {
        "organization": "northside",
        "name": name,
        "pluralName": f"{name}s",
        "label": name,
        "storage": "external",
        "allowConnections": True,
        "shareChain": [6, 5, 4, 2],
        **more,
    }


def _record(kind: str, its_id: str) -> dict[str, Any]:
    owner = "alice@northside.example"
    return {"organization": "northside", "type": kind, "owner": owner, "externalId": its_id}


# Alice owns everything, Bob was given one prescription to read, Carol is staff.
WORLD = {
    "organizations": [{"code": "northside", "name": "Northside Family Practice", "type": "referring"}],
    "accounts": [_account("alice"), _account("bob"), _account("carol", "physician")],
    "objectTypes": [_type("c_prescription", actions={"write": 6}), _type("c_scan")],
    "records": [_record("c_prescription", "rx-1"), _record("c_prescription", "rx-2")]
    + [_record("c_scan", f"scan-{number:03}") for number in range(SCANS)],
    "shares": [
        {"organization": "northside", "type": "c_prescription", "record": "rx-1", "by": "alice@northside.example",
         "to": "bob@northside.example", "access": 4, "status": "active"}
    ],
    "fhirServers": [
        {"organization": "northside", "id": FHIR_SERVER, "name": "Clinic", "kind": "built-in",
         "resources": [{"resourceType": "Patient", "id": each} for each in ("jane", "jim")]}
    ],
    "serviceKeys": [
        {"organization": "northside", "name": "portal", "scopes": ["check", "list", "explain"], "key": SERVICE_KEY},
        {"organization": "northside", "name": "checks", "scopes": ["check"], "key": CHECKS_ONLY},
    ],
}  # fmt: skip
OF_AN_OWNER = ("connect", "delete", "read", "share", "update")
OF_STAFF = ("connect", "read", "share", "update")
OF_BOB = ("connect", "read")


def tell(fake: FakeGuard | FakeAsyncGuard) -> None:
    """Allow in a fake what the world allows."""
    for action in (*OF_AN_OWNER, "write"):
        for number in (1, 2):
            fake.allow("alice", action, Resource("c_prescription", f"rx-{number}"))
    for action in OF_AN_OWNER:
        for number in range(SCANS):
            fake.allow("alice", action, Resource("c_scan", f"scan-{number:03}"))
    for action in OF_BOB:
        fake.allow("bob", action, Resource("c_prescription", "rx-1"))
    for action in OF_STAFF:
        for each in ("jane", "jim"):
            fake.allow("carol", action, Resource.patient(each, fhir_server=FHIR_SERVER))


@contextmanager
def real_server(directory: Path, world: dict[str, Any]) -> Iterator[str]:
    """Run a server with a world in it; yield its address."""
    installation = Installation(directory / f"asked-{uuid.uuid4().hex[:8]}")
    installation.says("migrate")
    file = directory / f"world-{uuid.uuid4().hex[:8]}.yaml"
    file.write_text(yaml.safe_dump(world))
    installation.run("load", str(file))
    with installation.serving() as server:
        yield server.address
