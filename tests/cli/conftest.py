"""An installation as an operator has it: a data directory, a world in it, and a server that runs beside the commands."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from cli.running import Installation, Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PASSWORD = "correct horse battery"
WORLD = f"""
organizations:
  - {{code: northside, name: Northside Family Practice, type: referring, city: Dayton, specialties: [family medicine, obstetrics]}}
  - {{code: lakeside, name: Lakeside Imaging, type: radiology}}
  - {{code: newcomer, name: Newcomer Pediatrics, type: referring, status: pending}}
accounts:
  - {{email: ada@northside.example, password: {PASSWORD}, firstName: Ada, lastName: Park, verified: true,
     memberships: [{{organization: northside, role: admin}}]}}
  - {{email: rui@lakeside.example, password: {PASSWORD}, memberships: [{{organization: lakeside, role: admin}}]}}
  - {{email: nia@newcomer.example, password: {PASSWORD}, memberships: [{{organization: newcomer, role: admin}}]}}
partnerships:
  - {{source: northside, target: lakeside, status: approved}}
"""


@pytest.fixture(scope="session")
def world_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("world") / "world.yaml"
    path.write_text(WORLD)
    return path


@pytest.fixture(scope="module")
def installation(run_directory: Path, world_file: Path) -> Iterator[Installation]:
    """A data directory with a world in it, whose server runs: commands share its database."""
    made = Installation(run_directory / f"installation-{uuid.uuid4().hex[:8]}")
    made.says("migrate")
    made.says("load", str(world_file))
    with made.serving() as server:
        made.server = server  # type: ignore[attr-defined]
        yield made


@pytest.fixture
def server(installation: Installation) -> Server:
    return installation.server  # type: ignore[attr-defined,no-any-return]


@pytest.fixture
def fresh(passable_directory: Path) -> Installation:
    """An installation on an empty directory of this test's own."""
    return Installation(passable_directory / "data")
