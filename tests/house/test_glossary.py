"""One word per thing, and a dialect's word inside its door."""

from __future__ import annotations

import ast
import re

import hospitium.app  # noqa: F401  with it every table is known
from hospitium.storage.tables import metadata
from house.tree import ROOT, SOURCE, modules

TEXT = (ROOT / "GLOSSARY.md").read_text(encoding="utf-8")
# Tables that are no noun of their own, and of which they are part.
PARTS = {
    "account_external_ids": "external id",
    "fhir_references": "FHIR reference",
    "client_keys": "client key",
    "deliveries": "delivery",
    "object_types": "object type",
    "team_memberships": "team membership",
    "event_parties": "party",
    "familiar_networks": "familiar network",
    "event_seals": "seal",
    "fhir_resources": "FHIR resource",
    "fhir_servers": "FHIR server",
    "idempotency_keys": "key",
    "partnership_tallies": "tally",
    "patient_suspensions": "suspension",
    "person_offers": "person offer",
    "person_roles": "person role",
    "refresh_tokens": "refresh token",
    "service_keys": "service key",
}


def _column(section: str) -> list[str]:
    """Return the first cells of a section's table."""
    (part,) = [part for part in TEXT.split("\n## ") if part.startswith(section)]
    rows = [line.split("|")[1].strip() for line in part.splitlines() if line.startswith("|")]
    return rows[2:]


def _names(tree: ast.AST) -> set[str]:
    """Return every name a module gives or uses: functions, classes, arguments, variables, members."""
    names = set()
    for node in ast.walk(tree):
        for member in ("name", "arg", "id", "attr"):
            if isinstance(name := getattr(node, member, None), str):
                names.add(name)
    return names


def _words(name: str) -> set[str]:
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}


def test_every_noun_and_every_table_is_explained() -> None:
    explained = {word.strip() for cell in _column("Words of the house") for word in cell.split(",")}
    folders = {path.parent.name for path in (SOURCE / "engine").glob("*/record.py")}
    nouns = {PARTS.get(folder, folder.removesuffix("s")) for folder in folders}
    nouns |= {PARTS.get(table, table.removesuffix("s")) for table in metadata.tables}
    assert nouns <= explained, f"Say in GLOSSARY.md what it is: {sorted(nouns - explained)}."


def test_the_engine_uses_no_other_word_for_the_same_thing() -> None:
    unwanted = set(_column("Not our words"))
    found = sorted(
        f"{place} {name}"
        for place, tree in modules().items()
        if place.startswith("engine/")
        for name in _names(tree)
        if _words(name) & unwanted
    )
    assert not found, f"GLOSSARY.md has one word per thing; what these are called there? {found}"


def test_a_dialects_word_stays_inside_its_door() -> None:
    theirs = {"connection", "established", "incoming", "outgoing"}
    allowed = {
        # asyncpg's and SQLAlchemy's connection, which is another thing altogether
        "connection",
    }
    found = sorted(
        f"{place} {name}"
        for place, tree in modules().items()
        if place.startswith("engine/")
        for name in _names(tree)
        if _words(name) & theirs and name not in allowed
    )
    expected = {
        "engine/partnerships/queries.py INCOMING",  # on which side one stands
        "engine/partnerships/queries.py OUTGOING",
        "engine/partnerships/record.py PENDING_INCOMING",  # the standing, for which we have no better word
        "engine/partnerships/record.py PENDING_OUTGOING",
    }
    assert set(found) == expected, (
        "RadOrderPad's words are spoken in doors/radorderpad; the engine says partnership."
    )
