"""`hospitium fhir`: servers are added, listed, confirmed and removed; what they hold is loaded, and shown while it is."""

from __future__ import annotations

import json
import os
import pty
import re
import ssl
import subprocess
import threading
import uuid
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from cli.running import COMMAND, Installation
from fakes.authorities import authority, issued

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENT = {"resourceType": "Patient", "id": "ada", "name": [{"family": "Park"}]}
DOCTOR = {"resourceType": "Practitioner", "id": "dr"}
SECRET = "s3cret-t0ken"
ROOT, OTHER = authority(), authority("Lakeside Root")


def bundle(*resources: dict[str, Any]) -> str:
    entries = [{"fullUrl": f"urn:uuid:{one['id']}", "resource": one} for one in resources]
    return json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries})


def seen(number: int) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": f"o{number}",
        "subject": {"reference": "urn:uuid:ada"},
        "performer": [{"reference": "urn:uuid:dr"}],
    }


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Two files that need each other."""
    chart, doctors = tmp_path / "chart.json", tmp_path / "doctors.ndjson"
    chart.write_text(bundle(PATIENT, *(seen(number) for number in range(5))))
    doctors.write_text(bundle(DOCTOR) + "\n")
    return [str(chart), str(doctors)]


@pytest.fixture
def clinic(installation: Installation) -> str:
    """A built-in server of this test's own, by organization and name."""
    name = f"Clinic {uuid.uuid4().hex[:8]}"
    installation.says("fhir", "add", "northside", name)
    return f"northside/{name}"


# -- add, list, confirm, remove ----------------------------------------------------------------------------------------


def test_it_adds_a_built_in_server_and_lists_it(installation: Installation) -> None:
    given = str(uuid.uuid4())
    added = installation.json("fhir", "add", "northside", "Good Health Clinic", "--id", given)
    assert added == {
        "id": given, "name": "Good Health Clinic", "kind": "built-in", "base_url": None, "allow_private_address": False,
        "credentials": None, "authorities": None, "is": "good",
    }  # fmt: skip
    assert {"organization": "northside", **added} in installation.json("fhir", "list")
    assert {"organization": "northside", **added} in installation.json("fhir", "list", "northside")
    assert installation.json("fhir", "list", "lakeside") == []
    shown = installation.says("fhir", "list", "northside").splitlines()
    assert shown[0].split() == ["organization", "name", "id", "kind", "is", "base", "URL"]
    assert any(
        re.fullmatch(rf"northside +Good Health Clinic +{given} +built-in +good", line) for line in shown
    )


def test_it_adds_a_remote_server_and_prints_no_secret(installation: Installation, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(f"{SECRET}\n")
    said = installation.says(
        "fhir", "add", "lakeside", "Hospital", "--remote", "https://fhir.hospital.example/r4/", "--bearer-file", str(token)
    )  # fmt: skip
    assert "https://fhir.hospital.example/r4" in said
    assert "bearer" in said
    added = installation.json(
        "fhir", "add", "lakeside", "Inside", "--remote", "http://10.0.0.7:8080/fhir", "--allow-private-address",
        "--basic-user", "hospitium", "--password-file", str(token),
    )  # fmt: skip
    assert (added["base_url"], added["credentials"]) == ("http://10.0.0.7:8080/fhir", "basic")
    everything = (
        said
        + json.dumps(added)
        + installation.says("fhir", "list")
        + json.dumps(installation.json("fhir", "list"))
    )
    assert SECRET not in everything


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (["nowhere", "X"], 1, "Organization not found"),
        (["northside", " "], 2, "name: must not be blank"),
        (["northside", "X", "--allow-private-address"], 2, "only a remote FHIR server"),
        (["northside", "X", "--remote", "ftp://x.example"], 2, "remote: must begin with https://"),
        (["northside", "X", "--remote", "http://x.example/fhir"], 2, "remote: must begin with https://"),
        (
            ["northside", "X", "--remote", "https://u:p@x.example/"],
            2,
            "remote: must not hold a user or a password",
        ),
        (["northside", "X", "--remote", "https://x.example/?a=b"], 2, "remote: must not have a part after ?"),
        (
            ["northside", "X", "--remote", "https://10.0.0.1/"],
            2,
            "remote: leads to an address that is not public",
        ),
        (
            ["northside", "X", "--remote", "https://x.example", "--basic-user", "u"],
            2,
            "give --bearer-file, or",
        ),
        (["northside", "X", "--id", "7"], 2, "'7' is not a valid UUID"),
    ],
)
def test_it_refuses_what_is_no_server(
    installation: Installation, words: list[str], status: int, says: str
) -> None:
    assert says in installation.complains("fhir", "add", *words, status=status)


def test_two_servers_of_an_organization_have_two_names(installation: Installation, clinic: str) -> None:
    name = clinic.partition("/")[2]
    assert "name" in installation.complains("fhir", "add", "northside", name.upper(), status=1)
    installation.says("fhir", "add", "lakeside", name)


def test_there_is_nothing_to_confirm_where_no_address_changed(
    installation: Installation, clinic: str
) -> None:
    assert "nothing to confirm" in installation.complains("fhir", "confirm", clinic, status=1)


def test_a_removed_server_is_gone(installation: Installation, clinic: str, files: list[str]) -> None:
    installation.says("fhir", "load", clinic, *files)
    assert "is removed" in installation.says("fhir", "remove", clinic)
    for words in (["remove", clinic], ["load", clinic, *files], ["test", clinic], ["confirm", clinic]):
        assert "not found" in installation.complains("fhir", *words, status=1)
    assert clinic.partition("/")[2] not in installation.says("fhir", "list")


@pytest.mark.parametrize(
    "server", ["northside/nothing", "nowhere/x", "nothing", "", "/", "0c1d2e3f-4a5b-4c6d-8e7f-0a1b2c3d4e5f"]
)
def test_it_knows_no_other_server(installation: Installation, server: str, files: list[str]) -> None:
    assert "not found" in installation.complains("fhir", "load", server, *files, status=1)


# -- load --------------------------------------------------------------------------------------------------------------


def test_it_loads_files_that_need_each_other_and_again_without_effect(
    installation: Installation, clinic: str, files: list[str]
) -> None:
    said = installation.says("fhir", "load", clinic, *files)
    assert re.fullmatch(r"7 created, 0 updated, 0 unchanged in \d+\.\d s \(\d+ a second\)\n", said)
    again = installation.json("fhir", "load", clinic, *files)
    assert {name: again[name] for name in ("created", "updated", "unchanged", "leading_nowhere")} == {
        "created": 0, "updated": 0, "unchanged": 7, "leading_nowhere": 0,
    }  # fmt: skip
    assert set(again) - {"seconds", "rate"} == {"created", "updated", "unchanged", "leading_nowhere"}


def test_it_says_which_references_lead_nowhere(
    installation: Installation, clinic: str, files: list[str]
) -> None:
    done = installation.run("fhir", "load", clinic, files[0])
    assert done.stdout.startswith("6 created")
    assert (
        done.stderr
        == "5 references lead to nothing that was loaded along with them: load those files together.\n"
    )


def test_it_loads_a_server_by_its_id(installation: Installation, files: list[str]) -> None:
    server_id = installation.json("fhir", "add", "lakeside", f"By id {uuid.uuid4().hex[:6]}")["id"]
    assert installation.says("fhir", "load", server_id, *files).startswith("7 created")


def test_it_names_the_file_and_the_entry_it_refuses_and_loads_nothing(
    installation: Installation, clinic: str, files: list[str], tmp_path: Path
) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text(bundle(PATIENT, {**PATIENT, "id": "../x"}))
    complaint = installation.complains("fhir", "load", clinic, *files, str(bad), status=2)
    assert complaint.startswith(f"hospitium: {bad}: entry[1].resource.id: must be 1 to 64 letters")
    bad.write_bytes(b"\xff")
    assert f"{bad}: is not valid JSON" in installation.complains("fhir", "load", clinic, str(bad), status=2)
    assert "does not exist" in installation.complains(
        "fhir", "load", clinic, str(tmp_path / "none"), status=2
    )
    assert installation.says("fhir", "load", clinic, *files).startswith("7 created")


def test_it_loads_no_remote_server(installation: Installation, files: list[str]) -> None:
    name = f"Remote {uuid.uuid4().hex[:6]}"
    installation.says("fhir", "add", "lakeside", name, "--remote", "https://fhir.example/r4")
    assert "Only into a built-in" in installation.complains(
        "fhir", "load", f"lakeside/{name}", *files, status=1
    )


def test_plain_progress_is_a_line_a_file(installation: Installation, clinic: str, files: list[str]) -> None:
    done = installation.run("fhir", "load", clinic, *files, "--plain")
    assert done.stderr.splitlines() == [
        f"{files[0]}: after 0 of 7 resources",
        f"{files[1]}: after 6 of 7 resources",
    ]


def test_progress_moves_on_a_terminal(installation: Installation, clinic: str, files: list[str]) -> None:
    ours, theirs = pty.openpty()
    shown: list[bytes] = []

    def watch() -> None:
        try:
            while read := os.read(ours, 4_096):
                shown.append(read)
        except OSError:  # the other end is closed
            pass

    watching = threading.Thread(target=watch)
    watching.start()
    done = subprocess.run(
        [*COMMAND, "fhir", "load", clinic, *files],
        env=installation.environment,
        stdout=subprocess.PIPE,
        stderr=theirs,
        check=True,
    )
    os.close(theirs)
    watching.join(10)
    os.close(ours)
    text = b"".join(shown).decode()
    assert "reading  chart.json" in text
    assert "of 7 resources  doctors.ndjson" in text
    assert text.endswith("\r\x1b[K")
    assert done.stdout.startswith(b"7 created")


# -- test --------------------------------------------------------------------------------------------------------------


class Quiet(ThreadingHTTPServer):
    """Says nothing of those who hang up on it, because they don't believe it."""

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing."""


@contextmanager
def fhir_server(
    answer: dict[str, Any], status: int = 200, tls: ssl.SSLContext | None = None
) -> Iterator[tuple[str, list[str]]]:
    """A FHIR server on this machine that gives one answer; yields its base URL, and which credentials it was shown."""
    shown: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            shown.append(f"{self.path} {self.headers.get('Authorization')}")
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/fhir+json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = Quiet(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    try:
        yield f"{'http' if tls is None else 'https'}://127.0.0.1:{server.server_port}/fhir", shown
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


def test_it_believes_a_remote_server_by_its_authorities_alone(
    installation: Installation, tmp_path: Path
) -> None:
    root, other, locator = (
        tmp_path / "root.pem",
        tmp_path / "other.pem",
        f"lakeside/Own {uuid.uuid4().hex[:6]}",
    )
    root.write_text(ROOT.pem)
    other.write_text(OTHER.pem)
    statement = {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1"}
    with fhir_server(statement, tls=issued(ROOT).server()) as (url, shown):
        added = installation.json(
            "fhir", "add", "lakeside", locator.partition("/")[2], "--remote", url, "--allow-private-address",
            "--authorities-file", str(root),
        )  # fmt: skip
        assert [one["subject"] for one in added["authorities"]] == ["CN=Northside Root"]
        assert "answers: FHIR 4.0.1" in installation.says("fhir", "test", locator)
        digest = OTHER.certificate.fingerprint(SHA256()).hex(":").upper()
        day = f"{OTHER.certificate.not_valid_after_utc:%Y-%m-%d}"
        changed = installation.says("fhir", "authorities", locator, str(other))
        assert f"CN=Lakeside Root, until {day}, SHA-256 {digest}\n" in changed
        assert "good" in changed
        assert "can't be reached" in installation.run("fhir", "test", locator, status=1).stderr
        assert installation.json("fhir", "authorities", locator, "--system")["authorities"] is None
        away = installation.run("fhir", "test", locator, status=1).stderr
        assert "Unreachable certificate" in away
        installation.says("fhir", "authorities", locator, str(root))
        assert "answers" in installation.says("fhir", "test", locator)
    assert len(shown) == 2


def test_it_refuses_what_is_no_authority(installation: Installation, clinic: str, tmp_path: Path) -> None:
    file, name = tmp_path / "given", f"lakeside/Own {uuid.uuid4().hex[:6]}"
    installation.says("fhir", "add", "lakeside", name.partition("/")[2], "--remote", "https://x.example")
    adding = ["add", "lakeside", "X", "--remote", "https://x.example", "--authorities-file", str(file)]
    der = OTHER.certificate.public_bytes(Encoding.DER)
    for content, says in (
        (b"", "must be certificates in PEM"),
        (der, "must be certificates in PEM"),
        (ROOT.key_pem.encode(), "must not hold a private key"),
        (issued(ROOT).pem.encode(), "certificate 1 is no authority's"),
        (b" " * 70_000, "must be at most 65,536 characters long"),
    ):
        file.write_bytes(content)
        for words, field in ((adding, "authorities-file"), (["authorities", name, str(file)], "file")):
            complaint = installation.complains("fhir", *words, status=2)
            assert complaint.startswith(f"hospitium: {field}: {says}"), complaint
            assert ROOT.key_pem.splitlines()[1] not in complaint
    file.write_text(ROOT.pem)
    for words in (
        ["add", "lakeside", "X", "--remote", "http://10.0.0.7/r4", "--allow-private-address", "--authorities-file", str(file)],
        ["authorities", clinic, str(file)],
    ):  # fmt: skip
        assert "whose base URL begins with https://" in installation.complains("fhir", *words, status=2)
    for words in (["authorities", name], ["authorities", name, str(file), "--system"]):
        assert "give a FILE of certificates, or --system" in installation.complains("fhir", *words, status=2)
    assert "only a remote FHIR server" in installation.complains(
        "fhir", "add", "lakeside", "X", "--authorities-file", str(file), status=2
    )
    assert "not found" in installation.complains("fhir", "authorities", "lakeside/none", str(file), status=1)


def test_it_asks_a_remote_server_what_it_is(installation: Installation, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(SECRET)
    statement = {
        "resourceType": "CapabilityStatement",
        "fhirVersion": "4.0.1",
        "software": {"name": "HAPI", "version": "7"},
    }
    with fhir_server(statement) as (url, shown):
        name = f"Asked {uuid.uuid4().hex[:6]}"
        installation.says(
            "fhir", "add", "lakeside", name, "--remote", url, "--allow-private-address", "--bearer-file", str(token)
        )  # fmt: skip
        assert (
            installation.says("fhir", "test", f"lakeside/{name}") == f"{name} answers: FHIR 4.0.1, HAPI 7.\n"
        )
        asked = installation.json("fhir", "test", f"lakeside/{name}")
        assert (asked["fhir_version"], asked["software"]) == ("4.0.1", "HAPI 7")
        assert shown == [f"/fhir/metadata Bearer {SECRET}"] * 2


def test_it_says_that_a_remote_server_is_away_or_wrong(installation: Installation, clinic: str) -> None:
    name = f"lakeside/Wrong {uuid.uuid4().hex[:6]}"
    with fhir_server({"resourceType": "CapabilityStatement", "fhirVersion": "3.0.2"}) as (url, _):
        installation.says(
            "fhir", "add", "lakeside", name.partition("/")[2], "--remote", url, "--allow-private-address"
        )
        wrong = installation.run("fhir", "test", name, status=1)
        assert wrong.stdout == ""
        assert "gave an answer that can't be used" in wrong.stderr
        assert "version of FHIR" in wrong.stderr
    away = installation.run("fhir", "test", name, status=1)
    assert "can't be reached" in away.stderr
    assert "built in" in installation.complains("fhir", "test", clinic, status=1)
