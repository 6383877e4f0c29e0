"""`hospitium invite`: a file of invites, checked whole, sent in calls, and gone on with after whatever broke it off."""

from __future__ import annotations

import csv
import json
import signal
import stat
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

import httpx
import pytest

from cli.conftest import PASSWORD
from cli.running import COMMAND, PATIENCE, Installation, Server
from hospitium.doors.cli import invite_file
from hospitium.doors.cli.invite_file import with_key
from hospitium.doors.cli.outcome_file import COLUMNS
from hospitium.engine.accounts.record import Language

ADA = "ada@northside.example"
SIGNED_IN = {"HOSPITIUM_EMAIL": ADA, "HOSPITIUM_PASSWORD": PASSWORD}
HEADS = (
    "key",
    "accessiblePatientId",
    "securityQuestion",
    "securityAnswer",
    "userEmail",
    "firstName",
    "lastName",
    "language",
)
Line = tuple[str, ...]


@pytest.fixture(scope="module")
def patients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("patients") / "patients.ndjson"
    every = [
        {"resourceType": "Patient", "id": f"p{n}", "identifier": [{"system": "urn:mrn", "value": f"N-{n}"}]}
        for n in range(120)
    ]
    path.write_text("".join(json.dumps(one) + "\n" for one in every))
    return path


@pytest.fixture
def fhir(installation: Installation, patients: Path) -> str:
    """A built-in FHIR server of northside with 120 patients, of this test's own; its id."""
    made = str(uuid4())
    installation.says("fhir", "add", "northside", f"Server {made}", "--id", made)
    installation.says("fhir", "load", made, str(patients))
    return made


def by_code(key: str, patient: str, language: str = "") -> Line:
    return (key, patient, "Name of your first pet?", "Charlie", "", "", "", language)


def by_email(key: str, patient: str, email: str) -> Line:
    return (key, patient, "", "", email, "Jane", "Doe", "")


def written(path: Path, *lines: Line, heads: Line = HEADS, encoding: str = "utf-8") -> Path:
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file).writerows([heads, *lines])
    return path


def outcomes(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def words(server: Server, fhir: str, file: Path, *more: str) -> list[str]:
    return ["invite", "--csv", str(file), "--url", server.address, "--fhir-server", fhir, *more]


def sent(server: Server, fhir: str) -> int:
    """Return how many invites there are of a FHIR server."""
    with server.signed_in(ADA, PASSWORD) as http:
        answered = http.get("/OrganizationInvites/sent?count=1", headers={"FhirServerId-Context": fhir})
        assert answered.status_code == 200, answered.text
        total: int = answered.json()["total"]
        return total


# -- what it does ------------------------------------------------------------------------------------------------------


def test_it_invites_every_row_and_writes_what_became_of_it(
    installation: Installation, server: Server, fhir: str, tmp_path: Path
) -> None:
    lines = [
        by_code("=1+1", "p1", "es"),
        by_email("two", "p2", "jane@mail.example"),
        by_code("three", "p3"),
        by_code("four", "nobody"),
    ]
    file = written(tmp_path / "patients.csv", *lines, encoding="utf-8-sig")
    slips = tmp_path / "letters"
    done = installation.run(
        *words(server, fhir, file, "--slips", str(slips), "--plain"), status=4, **SIGNED_IN
    )
    out = tmp_path / "patients.csv.outcomes.csv"
    told = outcomes(out)
    assert tuple(told[0]) == COLUMNS
    assert [(one["line"], one["key"], one["outcome"]) for one in told] == [
        ("2", "'=1+1", "created"), ("3", "two", "created"), ("4", "three", "created"), ("5", "four", "refused"),
    ]  # fmt: skip
    assert [bool(one["securityCode"]) for one in told] == [True, False, True, False]
    assert [one["problem"] for one in told] == ["", "", "", "no-such-patient"]
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert "3 created, 0 there before, 1 refused." in done.stdout
    assert "4 of 4 rows, 1 refused" in done.stderr

    letters = sorted(slips.iterdir())
    assert {letter.name for letter in letters} == {
        f"_1_1-{told[0]['inviteId']}.html",
        f"three-{told[2]['inviteId']}.html",
    }
    assert stat.S_IMODE(slips.stat().st_mode) == 0o700
    for letter, one in zip(letters, (told[0], told[2]), strict=True):
        page = letter.read_text(encoding="utf-8")
        assert stat.S_IMODE(letter.stat().st_mode) == 0o600
        assert all(group in page for group in one["securityCode"].split())
        assert "Northside Family Practice" in page
    assert 'lang="es"' in letters[0].read_text(encoding="utf-8")
    for code in (one["securityCode"] for one in told if one["securityCode"]):
        for said in (done.stdout, done.stderr, server.logged):
            assert code not in said
            assert code.replace(" ", "") not in said
        asked = httpx.get(
            f"{server.address}/OrganizationInvites/security-details/code/{code.replace(' ', '')}/security-question"
        )
        assert asked.text == "Name of your first pet?"
    assert PASSWORD not in done.stdout + done.stderr


def test_run_again_it_sends_what_is_left_and_nothing_else(
    installation: Installation, server: Server, fhir: str, tmp_path: Path
) -> None:
    file = written(tmp_path / "a.csv", by_code("1", "p1"), by_code("2", "nobody"), by_code("'3", "p3"))
    installation.run(*words(server, fhir, file), status=4, **SIGNED_IN)
    assert sent(server, fhir) == 2
    written(file, by_code("1", "p1"), by_code("2", "p2"), by_code("'3", "p3"), by_code("4", "p4"))
    said = installation.says(*words(server, fhir, file), **SIGNED_IN)
    assert "2 are done already; 2 are left." in said
    assert "2 created, 0 there before, 0 refused." in said
    assert sent(server, fhir) == 4
    again = installation.says(*words(server, fhir, file), **SIGNED_IN)
    assert "4 are done already; 0 are left." in again
    told = outcomes(tmp_path / "a.csv.outcomes.csv")
    assert [one["outcome"] for one in told] == ["created", "refused", "created", "created", "created"]


def test_without_keys_a_row_is_known_by_whom_it_invites_to_which_patient(
    installation: Installation, server: Server, fhir: str, tmp_path: Path
) -> None:
    identifier = (
        "accessiblePatientIdentifierSearchStr",
        "securityQuestion",
        "securityAnswer",
        "userEmail",
        "firstName",
        "lastName",
    )
    lines = [
        ("urn:mrn|N-1", "Pet?", "Charlie", "", "", ""),
        ("urn:mrn|N-1", "", "", "jane@mail.example", "Jane", "Doe"),
        ("N-2", "Pet?", "Rex", "", "", ""),
    ]
    file = written(tmp_path / "a.csv", *lines, heads=identifier)
    installation.says(*words(server, fhir, file), **SIGNED_IN)
    other = written(tmp_path / "b.csv", *reversed(lines), heads=identifier)
    done = installation.run(*words(server, fhir, other), **SIGNED_IN)
    assert "0 created, 3 there before, 0 refused." in done.stdout
    assert "2 invites by code" in done.stderr
    assert sent(server, fhir) == 3
    assert {one["key"] for one in outcomes(tmp_path / "a.csv.outcomes.csv")} == {
        one["key"] for one in outcomes(tmp_path / "b.csv.outcomes.csv")
    }


def test_keys_are_the_same_each_time_and_of_one_fhir_server() -> None:
    file = b"accessiblePatientId,securityQuestion,securityAnswer\np1,Pet?,Charlie\np2,Pet?,Charlie\n"
    (one, two) = invite_file.read(file, Language.ENGLISH).rows
    assert with_key(one, "a") == with_key(one, "a")
    assert len({with_key(row, server).key for row in (one, two) for server in "ab"}) == 4
    asked_otherwise = one._replace(security_question="Car?", security_answer="Red", language=Language.SPANISH)
    assert with_key(asked_otherwise, "a").key == with_key(one, "a").key


def test_semicolons_do_where_a_spreadsheet_writes_them(installation: Installation, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text('key;accessiblePatientId;securityQuestion;securityAnswer\n1;p1;"Pet; or car?";Charlie\n')
    assert "1 rows: 1 by code, 0 by e-mail." in installation.says("invite", "--csv", str(file), "--dry-run")


# -- a file that is wrong ----------------------------------------------------------------------------------------------


def test_a_dry_run_asks_nobody(installation: Installation, tmp_path: Path) -> None:
    file = written(
        tmp_path / "a.csv", by_code("1", "p1"), by_email("2", "p2", "jane@mail.example"), by_code("3", "p3")
    )
    said = installation.says(
        "invite", "--csv", str(file), "--dry-run", "--url", "http://127.0.0.1:9", "--fhir-server", "x"
    )
    assert said == "3 rows: 2 by code, 1 by e-mail.\nThe file is good. Nothing was sent.\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv"]


def test_every_wrong_row_is_named_before_anything_is_sent(
    installation: Installation, server: Server, fhir: str, tmp_path: Path
) -> None:
    file = written(
        tmp_path / "a.csv",
        by_code("1", "p1"),
        by_code("1", "p2"),
        by_code("2", ".."),
        by_code("3", ""),
        ("4", "p1", "Pet?", "", "", "", "", ""),
        ("5", "p1", "Pet?", "Charlie", "jane@mail.example", "", "", ""),
        ("6", "p1", "", "", "", "", "", ""),
        by_email("7", "p1", "nobody"),
        by_code("8", "p1", "fr"),
        by_code("x" * 101, "p1"),
        ("9", "p1", "Pet?\nCar?", "Secret-Charlie" * 40, "", "", "", ""),
        by_code("", "p9"),
        by_code("", "p9"),
    )
    done = installation.run(*words(server, fhir, file), status=2, **SIGNED_IN)
    *said, last = done.stderr.splitlines()
    assert [line.removeprefix("a.csv: line ").split(" ")[:2] for line in said] == [
        ["3:", "key"], ["4:", "accessiblePatientId"], ["5:", "accessiblePatientId"], ["6:", "securityAnswer"], ["7:", "userEmail"],
        ["8:", "securityQuestion"], ["9:", "userEmail"], ["10:", "language"], ["11:", "key"], ["12:", "securityAnswer"], ["15:", "invites"],
    ]  # fmt: skip
    assert last == "hospitium: nothing was sent; mend these lines first"
    assert "Charlie" not in done.stderr
    assert sent(server, fhir) == 0
    assert not (tmp_path / "a.csv.outcomes.csv").exists()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "has no first line"), (b"key\n", "has no rows"), (b"key,securityanswer\n1,x\n", "'securityanswer'"), (b"key,key\n1,1\n", "key twice"),
        (b"key,firstName\n1,\xff\n", "line 2 is not"), (b"key,firstName\n1\n", "line 2 has 1 cells"), (b"key,firstName\n1,2,3\n", "line 2 has 3 cells"),
        (b'key,firstName\n1,"x\n', "line 2 can't be read"), (b'key,firstName\n1,"x"y\n', "line 2 can't be read"), (b"key\n\x00\n", "NUL"),
        ("key\n1\n".encode("utf-16"), "UTF-8"), (b"PK\x03\x04\x14\x00", "NUL"),
    ],
)  # fmt: skip
def test_what_is_no_such_file_is_said_in_one_sentence(
    installation: Installation, tmp_path: Path, content: bytes, says: str
) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(content)
    complaint = installation.complains("invite", "--csv", str(file), "--dry-run", status=2)
    assert complaint.startswith("hospitium: csv: ")
    assert says in complaint
    assert len(complaint.splitlines()) == 1


def test_an_outcome_file_that_is_something_else_is_left_as_it_is(
    installation: Installation, server: Server, fhir: str, tmp_path: Path
) -> None:
    file = written(tmp_path / "a.csv", by_code("1", "p1"))
    other = tmp_path / "letters.txt"
    for content in (b"Dear Jane,\n", b"key,line\n1,2\n", b"\xff\xfe\n", b'key,"line\n'):
        other.write_bytes(content)
        done = installation.run(*words(server, fhir, file, "--out", str(other)), status=2, **SIGNED_IN)
        assert "out: is there, and no file of outcomes" in done.stderr
        assert other.read_bytes() == content
    link = tmp_path / "link.csv"
    link.symlink_to(tmp_path / "elsewhere.csv")
    installation.run(*words(server, fhir, file, "--out", str(link)), status=2, **SIGNED_IN)
    assert sent(server, fhir) == 0


# -- the server --------------------------------------------------------------------------------------------------------


def test_codes_go_in_the_clear_to_this_machine_alone(installation: Installation, tmp_path: Path) -> None:
    file = written(tmp_path / "a.csv", by_code("1", "p1"))
    for url in (
        "http://share.example", "http://10.0.0.7:8420", "http://127.0.0.1.example", "http://localhost.example", "ftp://share.example",
        "share.example", "https://ada:secret@share.example", "https://share.example/?x=1", "https://share.example/#x", "https://", "http://[::",
    ):  # fmt: skip
        done = installation.run(
            "invite", "--csv", str(file), "--url", url, "--fhir-server", str(uuid4()), status=2, **SIGNED_IN
        )
        assert done.stderr.startswith("hospitium: url: must "), url
        assert "secret" not in done.stderr


def test_who_may_not_is_told_what_the_server_says(
    installation: Installation, server: Server, fhir: str, tmp_path: Path
) -> None:
    file = written(tmp_path / "a.csv", by_code("1", "p1"))
    for settings, says in (
        (
            {"HOSPITIUM_EMAIL": ADA, "HOSPITIUM_PASSWORD": "another horse battery"},
            "Invalid email or password",
        ),
        (
            {"HOSPITIUM_EMAIL": "rui@lakeside.example", "HOSPITIUM_PASSWORD": PASSWORD},
            "FHIR server not found",
        ),
        ({"HOSPITIUM_TOKEN": "nonsense"}, "Authentication required"),
    ):
        done = installation.run(*words(server, fhir, file), status=1, **settings)
        assert says in done.stderr, done.stderr
        assert "horse battery" not in done.stderr
    installation.run(*words(server, "nonsense", file), status=2, **SIGNED_IN)
    done = installation.run(*words(server, str(uuid4()), file), status=1, **SIGNED_IN)
    assert "not found" in done.stderr


def test_a_password_can_be_in_a_file_or_typed_and_a_token_serves_too(
    installation: Installation, server: Server, fhir: str, tmp_path: Path
) -> None:
    word = tmp_path / "password"
    word.write_text(f"{PASSWORD}\n")
    token = httpx.post(f"{server.address}/v1/sessions", json={"email": ADA, "password": PASSWORD}).json()[
        "accessToken"
    ]

    def sessions() -> list[str]:
        kept = httpx.get(f"{server.address}/v1/sessions", headers={"Authorization": f"Bearer {token}"})
        return sorted(one["id"] for one in kept.json()["sessions"])

    before = sessions()
    for number, settings in enumerate(
        ({"HOSPITIUM_EMAIL": ADA, "HOSPITIUM_PASSWORD_FILE": str(word)}, {"HOSPITIUM_TOKEN": token})
    ):
        file = written(tmp_path / f"{number}.csv", by_code(str(number), "p1"))
        installation.says(*words(server, fhir, file), **settings)
    file = written(tmp_path / "typed.csv", by_code("typed", "p1"))
    done = installation.run(*words(server, fhir, file), given=f"{ADA}\n{PASSWORD}\n")
    assert "1 created" in done.stdout
    both = {**SIGNED_IN, "HOSPITIUM_PASSWORD_FILE": str(word)}
    installation.run(*words(server, fhir, file), status=2, **both)
    done = installation.run(*words(server, fhir, file, "--password", PASSWORD), status=2)
    assert "No such option" in done.stderr
    # The sessions it started are over; the one of the token isn't its to end.
    assert sessions() == before


class _Gate(BaseHTTPRequestHandler):
    """Stands before a server: says "busy" so often, and loses so many answers, then passes on."""

    busy = lost = 0
    asked: ClassVar[list[str]] = []
    behind = ""

    def do_POST(self) -> None:
        cls = type(self)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        cls.asked.append(self.path)
        if self.path.endswith("/bulk") and cls.busy:
            cls.busy -= 1
            self.send_response(503)
            self.send_header("Retry-After", "0")
            self.end_headers()
            return
        kept = {
            name: self.headers[name] for name in ("Authorization", "Content-Type") if name in self.headers
        }
        answered = httpx.post(cls.behind + self.path, content=body, headers=kept, timeout=PATIENCE)
        if self.path.endswith("/bulk") and cls.lost:
            cls.lost -= 1
            self.connection.close()
            return
        self.send_response(answered.status_code)
        self.end_headers()
        self.wfile.write(answered.content)

    def do_DELETE(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def gate(server: Server) -> Iterator[Any]:
    class Gate(_Gate):
        asked: ClassVar[list[str]] = []
        behind = server.address

    listening = HTTPServer(("127.0.0.1", 0), Gate)
    thread = threading.Thread(target=listening.serve_forever)
    thread.start()
    Gate.address = f"http://127.0.0.1:{listening.server_port}"  # type: ignore[attr-defined]
    yield Gate
    listening.shutdown()
    thread.join()
    listening.server_close()


def test_a_busy_server_is_asked_again_and_a_lost_answer_is_told(
    installation: Installation, server: Server, fhir: str, tmp_path: Path, gate: Any
) -> None:
    gate.busy, gate.lost = 1, 1
    file = written(tmp_path / "a.csv", by_code("1", "p1"), by_email("2", "p2", "jane@mail.example"))
    done = installation.run(*words(gate, fhir, file), **SIGNED_IN)
    assert gate.asked == ["/v1/sessions", *["/v1/invites/bulk"] * 3]
    assert "0 created, 2 there before, 0 refused." in done.stdout
    assert "1 invites by code were made by a call whose answer never came" in done.stderr
    assert "/OrganizationInvites/{inviteId}/reissue" in done.stderr
    first, second = outcomes(tmp_path / "a.csv.outcomes.csv")
    assert (first["outcome"], first["securityCode"]) == ("present", "")
    assert "issue it again" in first["detail"]
    assert second["detail"] == ""
    assert sent(server, fhir) == 2


# -- broken off --------------------------------------------------------------------------------------------------------


def _begun(installation: Installation, words: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *words], env={**installation.environment, **SIGNED_IN}, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def _wait_for(out: Path, lines: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while not out.exists() or len(out.read_bytes().splitlines()) <= lines:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _must_be_whole(server: Server, fhir: str, out: Path, count: int) -> list[dict[str, str]]:
    """Insist that every row was done, each once, and that every code that was told is good; return what was told."""
    told = outcomes(out)
    assert {one["key"] for one in told} == {str(number) for number in range(count)}
    assert len({one["inviteId"] for one in told}) == len(told) == sent(server, fhir) == count
    codes = [one["securityCode"] for one in told if one["securityCode"]]
    assert len(set(codes)) == len(codes)
    return told


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_killed_between_calls_it_goes_on_where_it_was(
    installation: Installation, server: Server, fhir: str, tmp_path: Path, how: int
) -> None:
    file = written(tmp_path / "a.csv", *(by_code(str(number), f"p{number}") for number in range(60)))
    out = tmp_path / "out.csv"
    command = words(server, fhir, file, "--out", str(out), "--rows", "4")
    begun = _begun(installation, command)
    _wait_for(out, 8)
    begun.send_signal(how)
    _, complained = begun.communicate(timeout=PATIENCE)
    assert "Traceback" not in complained
    assert begun.returncode != 0
    before = len(outcomes(out))
    assert 8 <= before < 60
    # As if the machine had stopped in the middle of a line.
    with out.open("ab") as torn:
        torn.write(b'59,61,created,"01980000-0000')
    # The call that was under way may still be at work.
    time.sleep(0.5)
    installation.run(*command, **SIGNED_IN)
    told = _must_be_whole(server, fhir, out, 60)
    assert sum(one["outcome"] == "present" for one in told) <= 4


def test_a_server_that_is_killed_in_a_call_and_comes_back_is_gone_on_with(
    installation: Installation, server: Server, fhir: str, tmp_path: Path
) -> None:
    file = written(tmp_path / "a.csv", *(by_code(str(number), f"p{number}") for number in range(48)))
    out = tmp_path / "out.csv"
    with installation.serving() as first:
        begun = _begun(installation, words(first, fhir, file, "--out", str(out), "--rows", "12"))
        _wait_for(out, 12)
        time.sleep(0.15)
        first.process.send_signal(signal.SIGKILL)
        first.process.wait(PATIENCE)
        port = first.address.rpartition(":")[2]
    with installation.serving("serve", "--port", port):
        said, complained = begun.communicate(timeout=PATIENCE)
    assert begun.returncode == 0, complained
    told = _must_be_whole(server, fhir, out, 48)
    unknown = [one for one in told if one["outcome"] == "present"]
    assert len(unknown) <= 12
    assert all("issue it again" in one["detail"] for one in unknown)
    assert (f"{len(unknown)} invites by code were made" in complained) == bool(unknown)
    assert "0 refused" in said


def test_of_two_runs_at_once_the_second_is_refused(
    installation: Installation, server: Server, fhir: str, tmp_path: Path
) -> None:
    file = written(tmp_path / "a.csv", *(by_code(str(number), f"p{number}") for number in range(30)))
    out = tmp_path / "out.csv"
    command = words(server, fhir, file, "--out", str(out), "--rows", "5")
    begun = _begun(installation, command)
    _wait_for(out, 5)
    done = installation.run(*command, status=2, **SIGNED_IN)
    assert "out: is being written by another run" in done.stderr
    begun.communicate(timeout=PATIENCE)
    _must_be_whole(server, fhir, out, 30)
