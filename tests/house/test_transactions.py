"""A deed is whole or not at all: one place commits, and only the edges open a transaction."""

from __future__ import annotations

import re

from house.tree import calls, modules, texts

COMMITTERS = {"storage/database.py", "storage/schema.py", "storage/migrations/env.py"}
EDGES = {
    "app.py",
    "doors/service_key_use.py",
    "doors/unit_of_work.py",
    "doors/cli/backup.py",
    "doors/cli/doctor.py",
    "doors/cli/main.py",
    "dispatch/loop.py",
    "dispatch/mails.py",
    "storage/schema.py",
}
_ENDING = re.compile(
    r"\.(commit|rollback|begin|begin_nested|begin_transaction)$|\b(connection|tx)\.transaction$"
)
_SQL_ENDING = re.compile(r"(COMMIT|ROLLBACK|BEGIN|SAVEPOINT \w+|START TRANSACTION)\s*;?")


def test_there_is_one_place_that_commits() -> None:
    found = [
        f"{place}:{call.lineno}"
        for place, tree in modules().items()
        if place not in COMMITTERS
        for name, call in calls(tree)
        if _ENDING.search(name)
    ]
    found += [
        f"{place}:{line}"
        for place, tree in modules().items()
        for line, text in texts(tree)
        if _SQL_ENDING.fullmatch(text.strip())
    ]
    assert not found, f"Commit only by leaving `Database.transaction()` (ARCHITECTURE.md). Found {found}."


def test_only_the_edges_open_a_transaction() -> None:
    found = {
        place
        for place, tree in modules().items()
        for name, _ in calls(tree)
        if re.search(r"\b_?database\.(transaction|each_alone)$", name)
    }
    assert found == EDGES, (
        "A transaction is opened at the edge and handed to the engine in its Context. "
        f"New: {sorted(found - EDGES)}; gone: {sorted(EDGES - found)}."
    )
