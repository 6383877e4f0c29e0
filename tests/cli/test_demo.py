"""The demo: it starts by itself, what it prints can be done, and when it stops nothing of it remains."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from cli.running import Installation, Server, wait_for_the_end
from hospitium.doors.cli import demo_world

DEMO = ("demo", "--port", "0")


def demo_directories(below: Path) -> list[Path]:
    return list(below.glob("hospitium-demo-*"))


@pytest.fixture
def demo(passable_directory: Path) -> Installation:
    """What the demo is started with: its own directory is made below the directory for temporary files.

    A data directory and a DATABASE_URL of the operator are set, and are not what the demo is for.
    """
    return Installation(
        passable_directory / "not-used",
        TMPDIR=str(passable_directory),
        DATABASE_URL="postgresql://nobody@127.0.0.1:1/x",
        HOSPITIUM_KEYS=str(passable_directory / "not-used-keys"),
    )


def test_it_serves_what_it_prints_and_leaves_nothing_behind(
    demo: Installation, passable_directory: Path
) -> None:
    with demo.serving(*DEMO, anew=True) as server:
        (directory,) = demo_directories(passable_directory)
        processes = Installation(directory).database_processes()
        assert processes
        said = server.said
        assert re.search(r"^organizations +300 created +0 there already$", said, re.MULTILINE)
        password = re.search(r"^Sign in as \(password: (.+)\)$", said, re.MULTILINE)
        assert password is not None
        people = re.findall(r"^    (\S+@\S+) +\S", said, re.MULTILINE)
        assert people == [email for email, _ in demo_world.SIGN_INS]
        assert {"ivy@harbor.example", "pat@mail.example"} <= set(people)
        for kind, created in (("shares", 11), ("fhirServers", 1), ("persons", 4), ("invites", 3)):
            assert re.search(rf"^{kind} +{created} created +0 there already$", said, re.MULTILINE), kind
        for email in people:
            with server.signed_in(email, password.group(1)) as person:
                assert person.get("/api/organizations/search", params={"q": "imaging"}).status_code in (
                    200,
                    403,
                )

        if shutil.which("curl") is None or shutil.which("bash") is None:
            pytest.skip("NOT TESTED: the printed calls are made with bash and curl, which are not here")
        calls, _, mails = said.partition("in another terminal:\n")[2].partition("Register somebody")
        assert calls.count("curl") == 16
        connecting, _, sharing = calls.partition("Prescriptions that are shared")
        sharing, _, inviting = sharing.partition("Harbor Clinic has handed")
        done = subprocess.run(
            ["bash", "-euc", connecting], capture_output=True, text=True, timeout=60, check=True
        )
        assert done.stdout.count('"success":true') == 3, done.stdout
        assert done.stdout.count('"success":false') == 0
        the_shared_ones_are_seen_and_the_waiting_one_accepted(sharing.partition(":\n")[2])
        a_mother_accepts_the_invite_for_her_son(inviting)
        with server.signed_in("pat@mail.example", password.group(1)) as pat:
            (waiting,) = pat.get("/OrganizationInvites/received").json()
            assert (waiting["status"], waiting["patient"]["name"][0]["family"]) == ("bound", "Whitfield")
        for page in ("code", "invites"):
            assert f"{server.address}/console/{page}\n" in said

        registering, _, reading = mails.partition("curl")[2].partition("HOSPITIUM_DATA=")
        done = subprocess.run(
            ["bash", "-euc", "curl" + registering], capture_output=True, text=True, timeout=60, check=True
        )
        assert done.stdout == '{"status":"accepted"}'
        data, _, words = reading.partition("\n")[0].partition(" hospitium ")
        deadline = time.monotonic() + 30
        mail = ""
        while (
            f"{server.address}/console/confirm#" not in mail
        ):  # whoever shared is told of the acceptance, too
            assert time.monotonic() < deadline, f"no mail came but {mail}"
            if list(Path(data, "mailbox").glob("*.eml")):
                mail = demo.run(*words.split(), HOSPITIUM_DATA=data).stdout
            time.sleep(0.02)

        assert server.stop(signal.SIGINT) == 0
    wait_for_the_end(processes)
    assert demo_directories(passable_directory) == []
    assert list(passable_directory.iterdir()) == []


def the_shared_ones_are_seen_and_the_waiting_one_accepted(calls: str) -> None:
    """Make the calls about prescriptions, with the token that the second of them answers put into the last."""
    looking, _, accepting = calls.partition("\n    curl -s -X POST")
    done = subprocess.run(["bash", "-euc", looking], capture_output=True, text=True, timeout=60, check=True)
    seen, waiting = split_documents(done.stdout)
    assert {one["drug"] for one in seen["data"]} == {"aspirin", "salbutamol"}
    assert {one["access"] for one in seen["data"]} == {4, 5}
    (offered,) = waiting["data"]
    assert (offered["state"], offered["access"]) == (0, 4)
    signing_in = looking.partition("\n\n")[0]
    last = ("curl -s -X POST" + accepting).replace("THE-TOKEN-OF-IT", offered["token"])
    done = subprocess.run(
        ["bash", "-euc", f"{signing_in}\n{last}\n{looking}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    accepted, seen, waiting = split_documents(done.stdout)
    assert (accepted["_id"], accepted["state"]) == (offered["_id"], 1)
    assert {one["drug"] for one in seen["data"]} == {"aspirin", "salbutamol", "metformin"}
    assert waiting["data"] == []


def a_mother_accepts_the_invite_for_her_son(said: str) -> None:
    """Make the calls about the invite whose code is printed."""
    told, _, calls = said.partition(":\n")
    for secret in (demo_world.CODE, demo_world.ANSWER):
        assert secret in told
    accepting, _, reading = calls.partition("Whoever has no account")[0].partition("Any FHIR client")
    reading = reading.partition("/console/my-record\n")[2]
    done = subprocess.run(
        ["bash", "-euc", accepting + reading], capture_output=True, text=True, timeout=60, check=True
    )
    question, _, answers = done.stdout.partition("{")
    assert question == demo_world.QUESTION
    persons, grant, records, patients, newest, looked = split_documents("{" + answers)
    assert {one["resource"]["id"] for one in patients["entry"]} == {
        one["accessiblePatientId"] for one in records
    }
    assert len(newest["entry"]) == 3
    assert [one["interaction"] for one in looked["reads"]][-1] == "search"
    assert {one["firstName"]: one["relationship"] for one in persons["resources"]} == {
        "Elena": "Self",
        "Mateo": "Child",
    }
    assert (grant["entityId"], grant["role"]) == (demo_world.SON, "Read")
    assert isinstance(records, list)
    patients = {one["accessiblePatientId"] for one in records}
    assert len(patients) == 2
    assert grant["accessiblePatientId"] in patients


def split_documents(text: str) -> list[Any]:
    """Return the JSON documents that were written one behind the other."""
    found: list[Any] = []
    while text := text.lstrip():
        document, end = json.JSONDecoder().raw_decode(text)
        found.append(document)
        text = text[end:]
    return found


def test_it_can_be_kept_and_begun_again(demo: Installation, passable_directory: Path) -> None:
    kept = Installation(passable_directory / "kept")
    for created, present in ((300, 0), (0, 300)):
        with demo.serving(*DEMO, "--data", str(kept.data)) as server:
            assert re.search(
                rf"^organizations +{created} created +{present} there already$", server.said, re.MULTILINE
            )
            assert server.stop(signal.SIGTERM) == 0
        assert kept.postmaster() is None
    assert kept.json("verify") == []
    assert demo_directories(passable_directory) == []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_stopped_while_it_loads_it_leaves_nothing_behind(
    demo: Installation, passable_directory: Path, how: int
) -> None:
    server = Server(demo, DEMO, {})
    try:
        deadline = time.monotonic() + 60
        while "Loading" not in server.said:
            assert time.monotonic() < deadline, server.logged
            time.sleep(0.01)
        (directory,) = demo_directories(passable_directory)
        processes = Installation(directory).database_processes()
        assert processes
        assert server.stop(how) == 130
        assert "Traceback" not in server.logged
    finally:
        server.end()
    wait_for_the_end(processes)
    assert demo_directories(passable_directory) == []
