"""Who may what on FHIR servers, and why not: a table (servers.yaml) that the database and the rule must answer as it says."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4, uuid5

import pytest
import yaml

from engine.ground import NOBODYS_HASH
from hospitium.engine.access.check import Question, Resource, SubjectKind, check
from hospitium.engine.access.decide import Allowed
from hospitium.engine.levels import ACTIONS

if TYPE_CHECKING:
    from engine.ground import Ground

TABLE = yaml.safe_load(Path(__file__).with_name("servers.yaml").read_text())
SPACE, BEGINNING = uuid4(), datetime(2026, 1, 1, tzinfo=UTC)
TODAY = datetime(2026, 5, 1, tzinfo=UTC)
SERVERS = {
    "desk": "northside",
    "annex": "northside",
    "far": "harbor",
    "moved": "northside",
    "old": "northside",
}
CHANGED = datetime(2026, 3, 1, tzinfo=UTC)


def named(name: str) -> UUID:
    return uuid5(SPACE, name)


def instant(day: date | None, otherwise: datetime | None) -> datetime | None:
    return otherwise if day is None else datetime(day.year, day.month, day.day, tzinfo=UTC)


def resource(what: str) -> Resource:
    if what.startswith("patient "):
        _, patient, _, server = what.split()
        return Resource.patient(named(server), patient)
    return Resource.server(named(what.removeprefix("server ")))


async def build(ground: Ground, tx: Any) -> None:
    for server, of in SERVERS.items():
        await tx.execute(
            "INSERT INTO fhir_servers (id, organization_id, name, name_key, kind, base_url, created_at, suspended_at, removed_at)"
            " VALUES ($1, $2, $3, $3, 'remote', 'https://fhir.example', $4, $5, $6)",
            named(server), ground.organizations[of], server, BEGINNING,
            CHANGED if server == "moved" else None, CHANGED if server == "old" else None,
        )  # fmt: skip
    roads = TABLE["roads"]
    for name in {*roads["members"], *roads["persons"]}:
        await tx.execute(
            "INSERT INTO accounts (id, email, email_key, password_hash, status, created_at) VALUES ($1, $2, $2, $3, 'active', $4)",
            named(name), f"{name}@table.example", NOBODYS_HASH.reveal(), BEGINNING,
        )  # fmt: skip
    for name, (organization, role) in roads["members"].items():
        await tx.execute(
            "INSERT INTO memberships (id, account_id, organization_id, role, starts_at) VALUES ($1, $2, $3, $4, $5)",
            uuid4(), named(name), ground.organizations[organization], role, BEGINNING,
        )  # fmt: skip
    for person in ("kid", "self", "former", "later"):
        await tx.execute(
            "INSERT INTO persons (id, first_name, last_name, gender, identifiers, contacts, created_at, updated_at)"
            " VALUES ($1, $2, 'Doe', 'other', '[]', '[]', $3, $3)",
            named(person), person, BEGINNING,
        )  # fmt: skip
    for name, held in roads["persons"].items():
        for person, level, *span in held:
            starts_at, ends_at = span or (None, None)
            await tx.execute(
                "INSERT INTO person_roles (id, person_id, account_id, level, is_owner, relationship, starts_at, ends_at)"
                " VALUES ($1, $2, $3, $4, false, 'other', $5, $6)",
                uuid4(), named(person), named(name), level, instant(starts_at, BEGINNING), instant(ends_at, None),
            )  # fmt: skip


async def grant(ground: Ground, tx: Any, title: str, name: str, given: dict[str, Any]) -> None:
    kind, to = given["to"].split()
    on = resource(given["what"])
    owner = given.get("owner", False)
    await tx.execute(
        "INSERT INTO grants (id, grantee_kind, grantee_id, resource_kind, resource_id, fhir_server_id, level, is_owner, starts_at, ends_at,"
        " cause_kind) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        named(title + name), kind, ground.organizations[to] if kind == "organization" else named(to), on.kind, on.id,
        on.fhir_server_id, given["level"], owner, instant(given.get("from"), BEGINNING), instant(given.get("until"), None),
        "ownership" if owner else "administrator",
    )  # fmt: skip


@pytest.mark.parametrize("scene", TABLE["scenes"], ids=lambda scene: scene["title"])
async def test_the_check_answers_as_the_table_says(ground: Ground, scene: dict[str, Any]) -> None:
    async with ground.trial() as tx:
        await build(ground, tx)
        for name, given in scene["grants"].items():
            await grant(ground, tx, scene["title"], name, given)
        names = {named(scene["title"] + name): name for name in scene["grants"]}
        found = []
        for who, action, what, _ in scene["asks"]:
            on = resource(what)
            question = Question(
                SubjectKind.ACCOUNT, named(who), ACTIONS[action], on.kind, on.id, "", on.fhir_server_id
            )
            decision = await check(ground.context(tx, "system", TODAY), question)
            said = (
                f"yes {decision.level:d} by {names[decision.by.grant_id]}"
                if isinstance(decision, Allowed)
                else decision.reason
            )
            found.append([who, action, what, said])
    assert found == scene["asks"]
