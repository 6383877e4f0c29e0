"""A whole life of an account with a real server; then everything that is kept is searched for every secret it used.

The database (as its dump), the logs and the metrics hold none. The mailbox, which stands for the people's mailboxes, holds
the tokens of links, and nothing else.
"""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli.running import Installation
from hospitium.storage.embedded import installed_binaries

EVE = "eve@mail.example"
PASSWORDS = ["a quiet green harbour", "seven slow bicycles", "an old yellow lantern"]
METRICS_TOKEN = "metrics-token-3e1f0a77c2"
_TOKEN = re.compile(r"#([0-9A-Za-z]{32})\b")


class Life:
    """What one account does over HTTP, and every secret that it sees on the way."""

    def __init__(self, http: httpx.Client, mailbox: Path) -> None:
        self.http = http
        self.mailbox = mailbox
        self.secrets = list(PASSWORDS)
        self.links: list[str] = []
        self._read: set[Path] = set()

    def does(self, path: str, body: Any, status: int = 200, token: str | None = None) -> Any:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answered = self.http.post(path, json=body, headers=headers)
        assert answered.status_code == status, answered.text
        return answered.json()

    def reads_link(self) -> str:
        """Wait for the next mail that carries a link; return its token."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            for mail in sorted(set(self.mailbox.glob("*.eml")) - self._read):
                self._read.add(mail)
                found = _TOKEN.search(_text_of(mail))
                if found:
                    self.links.append(found[1])
                    return found[1]
            time.sleep(0.05)
        raise AssertionError("no mail came")

    def signs_in(self, email: str, password: str) -> str:
        signed = self.does("/v1/sessions", {"email": email, "password": password})
        self.secrets += [signed["accessToken"], signed["refreshToken"]]
        token: str = signed["accessToken"]
        return token


def _text_of(mail: Path) -> str:
    from email import policy  # noqa: PLC0415
    from email.parser import BytesParser  # noqa: PLC0415

    message = BytesParser(policy=policy.default).parsebytes(mail.read_bytes())
    return str(message.get_body(("plain",)).get_content())  # type: ignore[union-attr]


@pytest.fixture
def installation(passable_directory: Path) -> Installation:
    return Installation(
        passable_directory / "data", METRICS_TOKEN=METRICS_TOKEN, REGISTRATION="open", LOG_LEVEL="debug"
    )


def lives(life: Life) -> None:
    """Register, confirm, forget the password, change it and the address, invite a colleague; fail at each once, too."""
    life.does("/v1/accounts", {"email": EVE, "password": PASSWORDS[0]}, 202)
    confirm = life.reads_link()
    life.does("/v1/accounts/confirm", {"token": confirm, "password": PASSWORDS[1]}, 401)
    life.does("/v1/accounts/confirm", {"token": confirm, "password": PASSWORDS[0]})
    life.does("/v1/accounts/password-reset", {"email": EVE}, 202)
    reset = life.reads_link()
    life.does("/v1/accounts/password", {"token": reset, "password": "short"}, 400)
    life.does("/v1/accounts/password", {"token": reset, "password": PASSWORDS[1]})
    life.does("/v1/accounts/password", {"token": reset, "password": PASSWORDS[2]}, 404)
    token = life.signs_in(EVE, PASSWORDS[1])
    changed = {"currentPassword": PASSWORDS[1], "password": PASSWORDS[2]}
    life.does("/v1/accounts/own/password", changed, token=token)
    asked = {"email": "eve@elsewhere.example", "password": PASSWORDS[2]}
    life.does("/v1/accounts/own/email", asked, 202, token)
    life.does("/v1/accounts/email", {"token": life.reads_link()}, token=token)
    organization = {"code": "quay", "name": "Quay Clinic", "type": "referring"}
    life.does("/v1/organizations", organization, 201, token)
    token = life.signs_in("eve@elsewhere.example", PASSWORDS[2])
    life.does("/v1/offers", {"email": "sam@mail.example", "role": "physician"}, 201, token)
    offer = life.reads_link()
    life.does("/v1/offers/preview", {"token": offer})
    life.does("/v1/offers/accept", {"token": offer, "password": PASSWORDS[0]})
    sam = life.signs_in("sam@mail.example", PASSWORDS[0])
    shares(life, token, sam)


def shares(life: Life, eve: str, sam: str) -> None:
    """Share a prescription by mail, over a surface with cookies; let it be accepted by its token."""
    definition = {"name": "c_rx", "pluralName": "c_rxs", "label": "Prescription", "allowConnections": True}
    life.does("/quay/v2/objects", definition, token=eve)
    record = life.does("/quay/v2/c_rxs", {"drug": "aspirin"}, token=eve)["_id"]
    target = {"targets": [{"email": "sam@mail.example", "access": 4}]}
    life.does(f"/quay/v2/c_rxs/{record}/connections", target, token=eve)
    offered = life.reads_link()
    signed_in = life.http.post(
        "/quay/v2/accounts/login", json={"email": "sam@mail.example", "password": PASSWORDS[0]}
    )
    life.secrets += [signed_in.cookies["md.sid"], signed_in.headers["medable-csrf-token"]]
    life.http.cookies.clear()
    life.does(f"/quay/v2/connections/{offered}", None, token=sam)


def test_nothing_that_is_kept_holds_a_secret(installation: Installation, tmp_path: Path) -> None:
    installation.run("migrate")
    with installation.serving() as server, httpx.Client(base_url=server.address, timeout=30) as http:
        life = Life(http, installation.data / "mailbox")
        lives(life)
        answered = http.get("/metrics", headers={"Authorization": f"Bearer {METRICS_TOKEN}"})
        assert answered.status_code == 200
        dump = _dump(installation)
        kept = {"database": dump, "logs": server.logged + server.said, "metrics": answered.text}
        assert server.stop() == 0
    mails = "".join(map(_text_of, (installation.data / "mailbox").glob("*.eml")))
    assert len(set(life.links)) == 5
    assert len(set(life.secrets)) == 3 + 3 * 2 + 2
    # What is searched is what was meant: the search finds what ought to be there.
    assert "account.password_changed" in kept["database"]
    assert "/v1/accounts/confirm" in kept["logs"]
    assert "/v1/accounts" in kept["metrics"]
    for place, text in kept.items():
        assert not [secret for secret in [*life.secrets, *life.links, METRICS_TOKEN] if secret in text], place
    assert not [secret for secret in [*life.secrets, METRICS_TOKEN] if secret in mails]
    assert all(link in mails for link in life.links)
    for file in installation.data.rglob("*"):
        if file.is_file() and "mailbox" not in file.parts and "cluster" not in file.parts:
            assert file.stat().st_mode & 0o077 == 0, file
    for mail in (installation.data / "mailbox").iterdir():
        assert mail.stat().st_mode & 0o777 == 0o600


def _dump(installation: Installation) -> str:
    program = installed_binaries() / "pg_dump"
    environment = installation.environment | {
        "PGPASSWORD": (installation.data / "postgres.password").read_text().strip(),
        "PGHOST": str(installation.data / "socket"),
        "PGUSER": "hospitium",
        "PGDATABASE": "hospitium",
    }
    done = subprocess.run([program], env=environment, capture_output=True, text=True, check=True)
    return done.stdout
