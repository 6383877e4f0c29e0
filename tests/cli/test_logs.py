"""What is logged: one JSON object a line, with the route's template, and nothing of what anybody said."""

from __future__ import annotations

import contextlib
import json
import re
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import asyncpg
import httpx

from cli.conftest import PASSWORD
from hospitium import logs
from hospitium.doors.native import routes as native
from hospitium.doors.radorderpad import routes as radorderpad

if TYPE_CHECKING:
    from pathlib import Path

    from cli.running import Installation, Server

CANARY = "canary7fe1"
TEMPLATES = (
    {f"/api{route.path}" for route in radorderpad.ROUTES} | {route.path for route in native.ROUTES} | {"none"}
)

# A mistake of ours in the database: what it says holds the value, as mistakes do.
BROKEN_TRIGGER = """
CREATE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'cannot store %', NEW.message USING DETAIL = NEW.message, HINT = NEW.message;
END $$;
CREATE TRIGGER fails BEFORE INSERT ON partnerships FOR EACH ROW WHEN (NEW.message LIKE 'canary%') EXECUTE FUNCTION fails();
ALTER TABLE partnerships ADD CONSTRAINT no_swans_check CHECK (message NOT LIKE 'swan%')
"""


def rename_in_template(template: str) -> str:
    return re.sub(r"\{(\w+):\w+\}", r"{\1}", template)


async def _break(installation: Installation) -> None:
    password = (installation.data / "postgres.password").read_text().strip()
    connection = await asyncpg.connect(
        user="hospitium", password=password, database="hospitium", host=str(installation.data / "socket")
    )
    for statement in BROKEN_TRIGGER.replace("$$;", "$$;;").replace("fails();", "fails();;").split(";;"):
        await connection.execute(statement)
    await connection.close()


def _say_it_everywhere(server: Server, ada: httpx.Client) -> list[int]:
    """Put the canary into every part of a request that there is; return the statuses."""
    there = f"/api/connections/{CANARY}"
    lakeside = ada.get("/api/organizations/search", params={"q": "lakeside"}).json()["data"]["organizations"][
        0
    ]["id"]
    form = {"Content-Type": "application/json"}
    answers = [
        ada.get(f"/{CANARY}/{CANARY}"),
        ada.get(f"/api/{CANARY}"),
        ada.get(there),
        ada.post(f"{there}/approve"),
        ada.get("/api/organizations/search", params={"q": CANARY}),
        ada.get("/api/connections/incoming", params={"page": CANARY, CANARY: "1"}),
        ada.get("/api/connections/incoming", headers={"Authorization": f"Bearer {CANARY}"}),
        ada.get("/api/connections/incoming", headers={"User-Agent": CANARY, "Cookie": f"a={CANARY}", "X-Forwarded-For": CANARY, "Referer": CANARY, "Host": CANARY}),
        ada.post("/api/connections/request", content=f'{{"{CANARY}": 1}}', headers=form),
        ada.post("/api/connections/request", content=f'{{"message": "{CANARY}', headers=form),
        ada.post("/api/connections/request", content=CANARY, headers={"Content-Type": CANARY}),
        ada.post("/api/connections/request", json={"targetOrganizationId": CANARY}),
        ada.post("/api/connections/request", json={"targetOrganizationId": lakeside, "message": f"{CANARY} again"}, headers={"Idempotency-Key": CANARY}),
        ada.post("/api/auth/login", json={"email": f"{CANARY}@northside.example", "password": CANARY}),
        ada.post("/api/auth/login", json={"email": "ada@northside.example", "password": f"{CANARY} is wrong"}),
        ada.post("/api/auth/refresh", json={"refreshToken": CANARY}),
        ada.post("/v1/organizations", json={"code": CANARY, "name": CANARY, "type": CANARY}),
        ada.patch("/v1/organizations/own", json={"contactName": CANARY, "taxId": CANARY, "npi": CANARY}),
        ada.patch("/v1/organizations/own", json={"contactName": CANARY, "taxId": CANARY, "phone": CANARY}),
        ada.request(CANARY.upper(), f"/{CANARY}"),
    ]  # fmt: skip
    with socket.create_connection((urlsplit(server.address).hostname, urlsplit(server.address).port)) as raw:
        raw.sendall(f"{CANARY} / HTTP/9.{CANARY}\r\n{CANARY}\r\n\r\n".encode())
        with contextlib.suppress(ConnectionError):
            raw.recv(4096)
    return [answer.status_code for answer in answers]


async def test_nothing_that_anybody_says_is_logged(fresh: Installation, tmp_path: Path) -> None:
    secrets = {CANARY, PASSWORD, "swan"}
    world = tmp_path / "world.yaml"
    organizations = [
        f"{{code: {code}, name: {code.title()}, type: both}}" for code in ("northside", "lakeside", "harbor")
    ]
    world.write_text(
        f"organizations: [{', '.join(organizations)}]\naccounts: [{{email: ada@northside.example, password: {PASSWORD}, "
        "memberships: [{organization: northside, role: admin}]}]\n"
    )
    fresh.says("migrate")
    fresh.says("load", str(world))
    with (
        fresh.serving(LOG_LEVEL="debug") as server,
        server.signed_in("ada@northside.example", PASSWORD) as ada,
    ):
        await _break(fresh)
        signed_in = ada.post(
            "/api/auth/login", json={"email": "ada@northside.example", "password": PASSWORD}
        ).json()["data"]
        secrets |= {signed_in["token"], signed_in["refreshToken"], ada.headers["Authorization"].split(".")[2]}
        ada.post("/api/auth/refresh", json={"refreshToken": signed_in["refreshToken"]})
        statuses = _say_it_everywhere(server, ada)
        assert {200, 400, 401, 404, 409, 500} & set(statuses) >= {200, 400, 401, 404, 500}, statuses

        # Both ways a mistake of ours in the database comes out: a trigger's words, and a row that breaks a condition.
        harbor = ada.get("/api/organizations/search", params={"q": "harbor"}).json()["data"]["organizations"][
            0
        ]["id"]
        for message in (f"{CANARY} of all", "swan song"):
            failed = ada.post(
                "/api/connections/request", json={"targetOrganizationId": harbor, "message": message}
            )
            assert failed.status_code == 500
            assert message not in failed.text
        assert server.stop() == 0
        logged = server.logged
        said = server.said
    secrets |= {(fresh.data / "postgres.password").read_text().strip()}
    secrets |= {json.loads(path.read_text())["secret"] for path in (fresh.data / "keys").iterdir()}

    in_the_database = (fresh.data / "postgres.log").read_text()
    for secret in secrets:
        assert secret not in logged
        assert secret not in in_the_database
        assert secret not in said

    lines = [json.loads(line) for line in logged.splitlines()]
    assert all(isinstance(line, dict) and {"event", "level", "timestamp"} <= set(line) for line in lines)
    requests = [line for line in lines if line["event"] == "request"]
    assert len(requests) >= 25
    assert {line["route"] for line in requests} <= TEMPLATES | {rename_in_template(one) for one in TEMPLATES}
    assert all(
        set(line) == {"event", "level", "timestamp", "method", "route", "status", "ms", "request_id"}
        for line in requests
    )
    assert len({line["request_id"] for line in requests}) == len(requests)

    # What is needed to mend it is there: which request, what kind of mistake, and where in our code.
    mistakes = [line for line in lines if line["event"] == "unforeseen"]
    assert {line["problem"] for line in mistakes} == {"RaiseError", "CheckViolationError"}
    assert all(
        line["request_id"] in {one["request_id"] for one in requests if one["status"] == 500}
        for line in mistakes
    )
    assert all(any("engine/partnerships/actions.py:" in place for place in line["at"]) for line in mistakes)


def test_the_level_says_from_where_on(fresh: Installation) -> None:
    fresh.says("migrate")
    with fresh.serving(LOG_LEVEL="error") as server:
        assert httpx.get(f"{server.address}/health/live").status_code == 200
        server.stop()
        assert server.logged == ""


def test_half_a_character_keeps_no_line_from_being_written() -> None:
    for value in ("\ud800", {"a": ["\udfff"]}, b"\xff"):
        assert json.loads(logs._to_json(None, "info", {"event": "x", "value": value}))["event"] == "x"
