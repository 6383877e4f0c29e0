"""Kill server and database without warning, under load: what was acknowledged is there afterwards, and nothing is half done."""

from __future__ import annotations

import random
import signal
import threading
import time
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING

import httpx

from cli.running import Installation, wait_for_the_end

if TYPE_CHECKING:
    from pathlib import Path

PAIRS = 8
PASSWORD = "correct horse battery"
ORDER = ["pending_approval", "approved", "terminated"]
SETTINGS = {
    "PUBLIC_URL": "http://hospitium.example",
    "TERMINATION_COOLDOWN_DAYS": "0",
    "LOG_LEVEL": "warning",
}


def _world() -> str:
    lines = ["organizations:"]
    for index in range(PAIRS):
        lines += [
            f"  - {{code: {side}-{index}, name: {side} {index}, type: referring}}"
            for side in ("asker", "answerer")
        ]
    lines.append("accounts:")
    for index in range(PAIRS):
        lines += [
            f"  - {{email: {side}-{index}@house.example, password: {PASSWORD}, memberships: [{{organization: {side}-{index}, role: admin}}]}}"
            for side in ("asker", "answerer")
        ]
    return "\n".join(lines)


class Pair:
    """Two administrators who connect, end it and connect again, and remember what they were told."""

    def __init__(self, http: httpx.Client, index: int) -> None:
        self.headers = {
            side: self._sign_in(http, f"{side}-{index}@house.example") for side in ("asker", "answerer")
        }
        self.target = http.get(
            "/api/organizations/search", params={"q": f"answerer {index}"}, headers=self.headers["asker"]
        ).json()["data"]["organizations"][0]["id"]
        self.told: dict[str, str] = {}
        self.keys: dict[str, str] = {}
        self.acknowledged = 0

    def _remember(self, connection_id: str, status: str) -> None:
        self.told[connection_id] = status
        self.acknowledged += 1

    def _sign_in(self, http: httpx.Client, email: str) -> dict[str, str]:
        answer = http.post("/api/auth/login", json={"email": email, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        return {"Authorization": f"Bearer {answer.json()['data']['token']}"}

    def go_on(self, address: str, stop: threading.Event) -> None:
        """Do one thing after another until the server is gone or one is told to stop."""
        with suppress(httpx.TransportError), httpx.Client(base_url=address, timeout=30) as http:
            while not stop.is_set():
                self._take_up_what_is_open(http)
                key = uuid.uuid4().hex
                asked = http.post(
                    "/api/connections/request",
                    json={"targetOrganizationId": self.target},
                    headers={**self.headers["asker"], "Idempotency-Key": key},
                )
                assert asked.status_code in (201, 503), asked.text
                if asked.status_code == 201:
                    connection_id = asked.json()["data"]["connectionId"]
                    self.keys[connection_id] = key
                    self._remember(connection_id, "pending_approval")

    def _take_up_what_is_open(self, http: httpx.Client) -> None:
        for path, side, verb, status, body in (
            ("outgoing", "answerer", "approve", "pending_approval", {}),
            ("established", "asker", "terminate", "approved", {"reason": "Once more"}),
        ):
            found = http.get(
                f"/api/connections/{path}", params={"status": status}, headers=self.headers["asker"]
            )
            if found.status_code != 200:
                assert found.status_code == 503, found.text
                continue
            for connection in found.json()["data"]["connections"]:
                done = http.post(
                    f"/api/connections/{connection['id']}/{verb}", json=body, headers=self.headers[side]
                )
                assert done.status_code in (200, 503), done.text
                if done.status_code == 200:
                    self._remember(connection["id"], done.json()["data"]["status"])

    def must_find_what_it_was_told(self, http: httpx.Client) -> None:
        for connection_id, told in self.told.items():
            found = http.get(f"/api/connections/{connection_id}", headers=self.headers["asker"])
            assert found.status_code == 200, (connection_id, told, found.text)
            # A later move may have been made and its answer lost; an earlier status means that one was forgotten.
            assert ORDER.index(found.json()["data"]["status"]) >= ORDER.index(told), (connection_id, told)
        for connection_id, key in list(self.keys.items())[-3:]:
            again = http.post(
                "/api/connections/request",
                json={"targetOrganizationId": self.target},
                headers={**self.headers["asker"], "Idempotency-Key": key},
            )
            assert again.json()["data"]["connectionId"] == connection_id


def _acknowledged(pairs: list[Pair]) -> int:
    return sum(pair.acknowledged for pair in pairs)


def test_every_acknowledged_answer_is_there_after_the_restart(passable_directory: Path, rounds: int) -> None:
    installation = Installation(passable_directory / "data", **SETTINGS)
    installation.says("migrate")
    world = passable_directory / "world.yaml"
    world.write_text(_world())
    installation.says("load", str(world))
    chance = random.Random(20)
    pairs: list[Pair] = []

    for _ in range(3 if rounds <= 20 else min(50, rounds // 100)):
        with installation.serving() as server:
            with httpx.Client(base_url=server.address, timeout=30) as http:
                for pair in pairs:
                    pair.must_find_what_it_was_told(http)
                pairs = pairs or [Pair(http, index) for index in range(PAIRS)]
            enough = _acknowledged(pairs) + 5 * PAIRS
            stop = threading.Event()
            threads = [threading.Thread(target=pair.go_on, args=(server.address, stop)) for pair in pairs]
            for thread in threads:
                thread.start()
            deadline = time.monotonic() + 60
            while _acknowledged(pairs) < enough:
                assert time.monotonic() < deadline
                time.sleep(0.02)
            time.sleep(chance.uniform(0, 0.3))  # the moment of the kill is nobody's choice

            doomed = installation.database_processes()
            assert doomed
            server.process.send_signal(signal.SIGKILL)
            for process in doomed:
                process.kill()
            wait_for_the_end(doomed)
            server.process.wait()
            stop.set()
            for thread in threads:
                thread.join()

        assert "All that must be true" in installation.says("verify")

    with installation.serving() as server, httpx.Client(base_url=server.address, timeout=30) as http:
        for pair in pairs:
            pair.must_find_what_it_was_told(http)
    print("acknowledged and found again:", _acknowledged(pairs))
