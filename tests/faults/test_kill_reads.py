"""A read that was answered is on record, whatever ends the server and its database between the two: there may be one more, never one less."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import signal
from collections import Counter
from typing import TYPE_CHECKING
from uuid import uuid4

import httpx
import psutil

from cli.conftest import PASSWORD
from cli.running import Installation, wait_for_the_end
from faults.dealing import SETTINGS

if TYPE_CHECKING:
    from pathlib import Path

READERS = 8
ADMIN = "ada@clinic.example"
WORLD = f"""\
organizations:
  - {{code: clinic, name: Clinic, type: both}}
accounts:
  - {{email: {ADMIN}, password: {PASSWORD}, memberships: [{{organization: clinic, role: admin}}]}}
"""


async def _read_without_end(http: httpx.AsyncClient, path: str, patient: str, answered: Counter[str]) -> None:
    with contextlib.suppress(httpx.TransportError):
        while True:
            answer = await http.get(f"{path}/Patient/{patient}")
            if answer.status_code == 503:
                return
            assert answer.json()["id"] == patient
            answered[patient] += 1


async def _on_record(http: httpx.AsyncClient, server_id: str) -> Counter[str]:
    found: Counter[str] = Counter()
    after = ""
    while True:
        answer = await http.get(f"/v1/fhir-servers/{server_id}/reads?limit=100{after}")
        page = answer.json()
        found.update(one["resourceId"] for one in page["reads"])
        if page["next"] is None:
            return found
        after = f"&after={page['next']}"


async def test_after_kill_9_every_read_that_was_answered_is_on_record(
    passable_directory: Path, tmp_path: Path, rounds: int
) -> None:
    installation, fhir = Installation(passable_directory / "data", **SETTINGS), str(uuid4())
    (tmp_path / "world.yaml").write_text(WORLD)
    patients = [f"p{number}" for number in range(READERS)]
    lines = [json.dumps({"resourceType": "Patient", "id": one, "gender": "female"}) for one in patients]
    (tmp_path / "patients.ndjson").write_text("\n".join(lines))
    installation.says("migrate")
    installation.says("load", str(tmp_path / "world.yaml"))
    installation.says("fhir", "add", "clinic", "Charts", "--id", fhir)
    installation.says("fhir", "load", fhir, str(tmp_path / "patients.ndjson"))

    moments, answered = random.Random(rounds), Counter[str]()
    for turn in range(1, 2 if rounds <= 20 else min(20, rounds // 500)):
        with installation.serving() as server:
            async with httpx.AsyncClient(base_url=server.address, timeout=30, verify=False) as http:
                signed = await http.post("/api/auth/login", json={"email": ADMIN, "password": PASSWORD})
                http.headers["Authorization"] = f"Bearer {signed.json()['data']['token']}"
                async with asyncio.timeout(120), asyncio.TaskGroup() as group:
                    for one in patients:
                        group.create_task(_read_without_end(http, f"/fhir/{fhir}", one, answered))
                    wanted = answered.total() + moments.randrange(20, 400)
                    while answered.total() < wanted:
                        await asyncio.sleep(0.002)
                    victims = [psutil.Process(server.process.pid), *installation.database_processes()]
                    for victim in victims:
                        with contextlib.suppress(psutil.NoSuchProcess):
                            victim.kill()
            wait_for_the_end(victims)
            assert server.process.wait() == -signal.SIGKILL
        with installation.serving() as server:
            async with httpx.AsyncClient(base_url=server.address, timeout=30, verify=False) as http:
                signed = await http.post("/api/auth/login", json={"email": ADMIN, "password": PASSWORD})
                http.headers["Authorization"] = f"Bearer {signed.json()['data']['token']}"
                kept = await _on_record(http, fhir)
            assert server.stop() == 0
        for one in patients:
            # Of each turn, one may have been on record when there was nobody left to answer it.
            assert answered[one] <= kept[one] <= answered[one] + turn, one
    assert installation.json("verify") == []
