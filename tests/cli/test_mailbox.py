"""Without a mail server mails lie in a directory, for the operator to read; and what became of each is shown."""

from __future__ import annotations

import stat
import time
from typing import TYPE_CHECKING, Any

import pytest

from cli.conftest import PASSWORD
from cli.running import Installation

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE = 30


@pytest.fixture
def loaded(passable_directory: Path, world_file: Path) -> Installation:
    made = Installation(
        passable_directory / "data", PUBLIC_URL="http://hospitium.example", ALLOWED_HOSTS="127.0.0.1"
    )
    made.says("migrate")
    made.says("load", str(world_file))
    return made


def _end_the_connection(server: Any) -> None:
    with server.signed_in("ada@northside.example", PASSWORD) as http:
        (connection,) = http.get("/api/connections/established").json()["data"]["connections"]
        ended = http.post(f"/api/connections/{connection['id']}/terminate", json={"reason": "Over"})
        assert ended.status_code == 200, ended.text


def test_the_server_puts_mails_into_a_directory_only_its_owner_reads(loaded: Installation) -> None:
    assert loaded.json("mailbox") == []
    with loaded.serving() as server:
        _end_the_connection(server)
        deadline = time.monotonic() + PATIENCE
        while not (mails := loaded.json("mailbox")):
            assert time.monotonic() < deadline, server.logged
            time.sleep(0.05)
    (mail,) = mails
    assert (mail["to"], mail["subject"]) == ("rui@lakeside.example", "Connection Terminated")
    assert mail["from"] == "Hospitium <no-reply@hospitium.example>"
    directory = loaded.data / "mailbox"
    (file,) = directory.iterdir()
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o600

    assert "rui@lakeside.example" in loaded.says("mailbox")
    shown = loaded.says("mailbox", "show", "latest")
    assert shown.startswith("Date: ")
    assert "Northside Family Practice ended its connection" in " ".join(shown.split())
    assert shown == loaded.says("mailbox", "show", "1")
    assert "there are 1 mails" in loaded.complains("mailbox", "show", "2", status=2)
    listed = loaded.json("deliveries")
    assert listed["counts"] == {"sent": 1, "spread": 1}
    assert {one["recipient"] for one in listed["deliveries"]} == {"lakeside", "rui@lakeside.example"}


def test_a_server_told_not_to_send_leaves_it_to_the_dispatcher(loaded: Installation) -> None:
    with loaded.serving(DISPATCH="false") as server:
        _end_the_connection(server)
        assert loaded.json("deliveries")["counts"] == {"waiting": 1}
        assert loaded.says("dispatch", "--once", LOG_LEVEL="error") == "Tried: 1 sent.\n"
    assert len(loaded.json("mailbox")) == 1


def test_the_operator_sees_what_failed_and_has_it_tried_again(loaded: Installation) -> None:
    quiet = {"LOG_LEVEL": "error"}
    with loaded.serving(DISPATCH="false") as server:
        _end_the_connection(server)
        assert (
            loaded.says("dispatch", "--once", SMTP_URL="smtp://127.0.0.1:9", **quiet) == "Tried: 1 waiting.\n"
        )
        listed = loaded.json("deliveries")["deliveries"]
        (waiting,) = [one for one in listed if one["status"] == "waiting"]
        assert (waiting["attempts"], waiting["last_problem"]) == (1, "unreachable connection")
        assert "unreachable connection" in loaded.says("deliveries")
        assert loaded.json("deliveries", "--failed")["deliveries"] == []
        assert loaded.says("dispatch", "--once", **quiet) == "Tried: nothing was due.\n"
        assert loaded.says("deliveries", "retry", waiting["id"]) == "It is due now.\n"
        assert loaded.says("dispatch", "--once", **quiet) == "Tried: 1 sent.\n"
        assert "this one is sent" in loaded.complains("deliveries", "retry", waiting["id"], status=1)
        assert (
            loaded.complains("deliveries", "retry", "nonsense", status=1) == "hospitium: Delivery not found\n"
        )


def test_a_directory_that_can_not_be_written_to_puts_mails_off(loaded: Installation) -> None:
    (loaded.data / "mailbox").write_text("a file where the directory should be")
    with loaded.serving(DISPATCH="false") as server:
        _end_the_connection(server)
        assert loaded.says("dispatch", "--once", LOG_LEVEL="error") == "Tried: 1 waiting.\n"
        listed = loaded.json("deliveries")["deliveries"]
    assert [one["last_problem"] for one in listed if one["status"] == "waiting"] == [
        "unreachable mailbox EEXIST"
    ]
