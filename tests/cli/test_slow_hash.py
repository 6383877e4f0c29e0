"""What a guess at a password costs is what SECURITY.md says: other tests have theirs hashed cheaply (`cast.py`)."""

from __future__ import annotations

import re
from pathlib import Path

import asyncpg
from argon2 import Type, extract_parameters

from cast import PASSWORD, SLOW_HASHER
from cli.running import Installation

SECURITY = Path(__file__).parents[2] / "SECURITY.md"


def promised() -> tuple[int, ...]:
    """Return the MiB, the passes and the lanes that are written down."""
    found = re.search(r"argon2id \((\d+) MiB, t = (\d+), p = (\d+)\)", SECURITY.read_text())
    assert found is not None
    return tuple(map(int, found.groups()))


def must_cost_what_is_promised(kept: str) -> None:
    found = extract_parameters(kept)
    assert found.type is Type.ID
    assert (found.memory_cost / 1024, found.time_cost, found.parallelism) == promised()


def test_the_hash_is_as_slow_as_is_promised() -> None:
    must_cost_what_is_promised(SLOW_HASHER.hash(PASSWORD))


async def test_the_command_keeps_it_as_slow_as_is_promised(
    passable_directory: Path, database_url: str
) -> None:
    beside = Installation(
        passable_directory / "data",
        DATABASE_URL=database_url,
        HOSPITIUM_KEYS=str(passable_directory / "keys"),
    )
    beside.says("keys", "make")
    beside.says("account", "create", "eve@mail.example", "--password-file", "-", given=PASSWORD)
    connection = await asyncpg.connect(database_url)
    try:
        (kept,) = await connection.fetch("SELECT password_hash FROM accounts")
    finally:
        await connection.close()
    must_cost_what_is_promised(kept["password_hash"])
