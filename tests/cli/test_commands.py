"""The operator's commands, beside a running server: what they print for people, what for scripts, and what a mistake looks like."""

from __future__ import annotations

import json
import re
import uuid
from typing import TYPE_CHECKING

import httpx
import pytest

from cli.conftest import PASSWORD
from hospitium.engine.client_keys.actions import KEY_FORM
from hospitium.engine.service_keys.actions import KEY_FORM as SERVICE_KEY_FORM

if TYPE_CHECKING:
    from pathlib import Path

    from cli.running import Installation, Server

UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
DATE = r"\d{4}-\d\d-\d\d"


def lines(text: str) -> list[str]:
    assert all(line == line.rstrip() for line in text.splitlines()), text
    return text.splitlines()


def new_code() -> str:
    return f"org-{uuid.uuid4().hex[:8]}"


# -- org -----------------------------------------------------------------------------------------------------------------


def test_org_list_is_a_table_by_code(installation: Installation) -> None:
    said = lines(installation.says("org", "list"))
    assert said[0].split() == ["code", "name", "type", "status"]
    assert [line.split()[0] for line in said[1:]] == sorted(line.split()[0] for line in said[1:])
    assert any(re.fullmatch(r"lakeside +Lakeside Imaging +radiology +active", line) for line in said)

    codes = {one["code"] for one in installation.json("org", "list")}
    assert {"northside", "lakeside", "newcomer"} <= codes
    assert {one["status"] for one in installation.json("org", "list", "--status", "active")} == {"active"}


def test_org_show_says_what_there_is_to_say_a_line_each(installation: Installation) -> None:
    said = lines(installation.says("org", "show", "northside"))
    assert said[:4] == [
        "code         northside",
        "name         Northside Family Practice",
        "type         referring",
        "status       active",
    ]
    assert re.fullmatch(rf"id           {UUID}", said[4])
    assert said[5:8] == ["city         Dayton", "specialties  family medicine", "             obstetrics"]
    assert re.fullmatch(rf"created at   {DATE} \d\d:\d\d UTC", said[8])
    assert not any("None" in line for line in said)
    shown = installation.json("org", "show", "northside")
    assert (shown["code"], shown["specialties"], shown["npi"]) == (
        "northside",
        ["family medicine", "obstetrics"],
        None,
    )


def test_org_show_says_that_a_client_key_is_asked_for(installation: Installation, tmp_path: Path) -> None:
    code, path = new_code(), tmp_path / "strict.yaml"
    path.write_text(
        f"organizations: [{{code: {code}, name: Strict Clinic, type: both, requiresClientKey: true}}]\n"
    )
    installation.says("load", str(path))
    assert "requires client key  yes" in lines(installation.says("org", "show", code))
    assert installation.json("org", "show", code)["requires_client_key"] is True
    assert "requires client key" not in installation.says("org", "show", "lakeside")


def test_org_create_approve_suspend_and_reinstate(installation: Installation) -> None:
    code = new_code()
    made = installation.json("org", "create", code, "--name", "Harbor Medical Center", "--type", "both")
    assert (made["code"], made["status"]) == (code, "active")
    assert installation.complains("org", "create", code, "--name", "Again", "--type", "both", status=1) == (
        "hospitium: This code is taken\n"
    )
    assert installation.json("org", "suspend", code)["status"] == "suspended"
    assert "suspended" in installation.complains("org", "suspend", code, status=1)
    assert installation.json("org", "reinstate", code)["status"] == "active"


def test_org_approve_lets_a_pending_organization_in(installation: Installation) -> None:
    assert installation.json("org", "approve", "newcomer")["status"] == "active"
    assert installation.complains("org", "approve", "newcomer", status=1).startswith("hospitium: ")


def test_what_the_operator_decides_holds_for_the_next_request(
    installation: Installation, server: Server
) -> None:
    code, email = new_code(), f"zoe@{uuid.uuid4().hex[:8]}.example"
    installation.says("org", "create", code, "--name", "Harbor Medical Center", "--type", "both")
    installation.says(
        "account",
        "create",
        email,
        "--password-file",
        "-",
        "--organization",
        code,
        "--role",
        "admin",
        given=PASSWORD,
    )
    with server.signed_in(email, PASSWORD) as zoe:
        assert zoe.get("/api/connections/incoming").status_code == 200
        installation.says("org", "suspend", code)
        assert zoe.get("/api/connections/incoming").status_code == 403
        installation.says("org", "reinstate", code)
        assert zoe.get("/api/connections/incoming").status_code == 200
        installation.says("account", "disable", email)
        assert zoe.get("/api/connections/incoming").status_code == 401


def test_an_organization_that_is_not_there_is_not_found(installation: Installation) -> None:
    for verb in ("show", "suspend"):
        assert (
            installation.complains("org", verb, "nowhere", status=1) == "hospitium: Organization not found\n"
        )


# -- account -------------------------------------------------------------------------------------------------------------


def test_account_list_and_show(installation: Installation) -> None:
    said = lines(installation.says("account", "list"))
    assert said[0].split() == ["email", "name", "status"]
    assert any(re.fullmatch(r"ada@northside.example +Ada Park +active", line) for line in said)
    assert {one["email"] for one in installation.json("account", "list")} >= {
        "ada@northside.example",
        "rui@lakeside.example",
    }

    said = lines(installation.says("account", "show", "ADA@northside.example"))
    assert said[:3] == ["email        ada@northside.example", "name         Ada Park", "status       active"]
    assert said[-1] == "member of    northside as admin"
    shown = installation.json("account", "show", "ada@northside.example")
    assert [(one["code"], one["role"]) for one in shown["memberships"]] == [("northside", "admin")]
    assert "password" not in json.dumps(shown)


def test_account_create_join_leave_disable_enable(installation: Installation) -> None:
    email = f"ben@{uuid.uuid4().hex[:8]}.example"
    made = installation.json(
        "account", "create", email, "--first-name", "Ben", "--last-name", "Lindqvist", "--verified", "--password-file", "-",
        given=f"{PASSWORD}\n",
    )  # fmt: skip
    assert (made["email"], made["status"], made["memberships"]) == (email, "active", [])
    assert made["verified_at"] is not None
    assert installation.complains(
        "account", "create", email, "--password-file", "-", status=1, given=PASSWORD
    ) == ("hospitium: This email is taken\n")

    joined = installation.json("account", "join", email, "northside", "--role", "physician")
    assert [(one["code"], one["role"]) for one in joined["memberships"]] == [("northside", "physician")]
    assert installation.json("account", "leave", email, "northside")["memberships"] == []
    assert installation.complains("account", "leave", email, "northside", status=1).startswith("hospitium: ")

    assert installation.json("account", "disable", email)["status"] == "disabled"
    assert (
        installation.complains("account", "disable", email, status=1)
        == "hospitium: The account is disabled already\n"
    )
    assert installation.json("account", "enable", email)["status"] == "active"


def test_account_create_makes_all_of_it_or_nothing(installation: Installation) -> None:
    email = f"ben@{uuid.uuid4().hex[:8]}.example"
    words = ("account", "create", email, "--password-file", "-", "--organization", "nowhere")
    assert installation.complains(*words, status=1, given=PASSWORD) == "hospitium: Organization not found\n"
    assert installation.complains("account", "show", email, status=1) == "hospitium: Account not found\n"


@pytest.mark.parametrize(
    ("email", "password", "says"),
    [
        ("ben", PASSWORD, "hospitium: email: "),
        ("ben@x.example", "short", "hospitium: password: must be"),
        ("ben@x.example", "password123", "hospitium: password: "),
    ],
)
def test_account_create_refuses_what_it_can_not_use(
    installation: Installation, email: str, password: str, says: str
) -> None:
    said = installation.complains(
        "account", "create", email, "--password-file", "-", status=2, given=password
    )
    assert said.startswith(says)
    assert said.count("\n") == 1


# -- client-key ----------------------------------------------------------------------------------------------------------


def asks(server: Server, key: str) -> int:
    """Ask the surface of northside with a client key, as ada; return the status."""
    with server.signed_in("ada@northside.example", PASSWORD) as ada:
        return ada.get("/northside/v2/connections", headers={"Medable-Client-Key": key}).status_code


def test_a_client_key_is_made_listed_and_ended(installation: Installation, server: Server) -> None:
    name = new_code()
    made = installation.run("client-key", "make", "northside", name)
    said = lines(made.stdout)
    assert re.fullmatch(rf"id    {UUID}", said[0])
    assert said[1] == f"name  {name}"
    key = said[2].removeprefix("key   ")
    assert KEY_FORM.fullmatch(key)
    assert made.stderr == "Send it as Medable-Client-Key. It is not shown again.\n"
    assert (asks(server, key), asks(server, "a-key-of-somebody")) == (200, 404)

    said = lines(installation.says("client-key", "list", "northside"))
    assert said[0].split() == ["name", "made", "is"]
    assert any(re.fullmatch(rf"{name} +{DATE}  good", line) for line in said)
    (listed,) = [one for one in installation.json("client-key", "list", "northside") if one["name"] == name]
    assert (listed["ended_at"], "digest" in listed) == (None, False)
    assert key not in json.dumps(installation.json("client-key", "list", "northside"))

    assert installation.says("client-key", "end", "northside", name) == (
        f"The client key {name} of northside has ended.\n"
    )
    assert asks(server, key) == 404
    assert any(
        re.fullmatch(rf"{name} +{DATE}  ended", line)
        for line in lines(installation.says("client-key", "list", "northside"))
    )


def test_a_client_key_for_a_script(installation: Installation, server: Server) -> None:
    name = new_code()
    done = installation.run("client-key", "make", "northside", name, "--json")
    made = json.loads(done.stdout)
    assert (made["name"], done.stderr, asks(server, made["key"])) == (name, "", 200)
    ended = installation.json("client-key", "end", "northside", name)
    assert (ended["id"], ended["name"]) == (made["id"], name)
    assert ended["ended_at"] is not None
    assert made["key"] not in json.dumps(ended)
    # Its name is free again, for another key.
    again = installation.json("client-key", "make", "northside", name)
    assert again["key"] != made["key"]
    assert made["key"] not in server.logged


def test_a_client_key_that_can_not_be_is_refused(installation: Installation) -> None:
    name = new_code()
    installation.run("client-key", "make", "northside", name)
    for words, status, says in (
        (("make", "northside", name), 1, "hospitium: This name is taken\n"),
        (("make", "northside", " "), 2, "hospitium: name: must not be blank\n"),
        (("make", "nowhere", name), 1, "hospitium: Organization not found\n"),
        (("list", "nowhere"), 1, "hospitium: Organization not found\n"),
        (("end", "northside", new_code()), 1, "hospitium: Client key not found\n"),
        (("end", "nowhere", name), 1, "hospitium: Organization not found\n"),
    ):
        assert installation.complains("client-key", *words, status=status) == says


# -- key -----------------------------------------------------------------------------------------------------------------


def sends(server: Server, key: str) -> int:
    """Send a service key where it is for nothing; return the status: 403 if it is known."""
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.get(f"{server.address}/v1/members", headers=headers, timeout=30).status_code


def test_a_service_key_is_made_listed_and_ended(installation: Installation, server: Server) -> None:
    name = new_code()
    made = installation.run("key", "make", "northside", name, "--scope", "list", "--scope", "check")
    said = lines(made.stdout)
    assert re.fullmatch(rf"id      {UUID}", said[0])
    assert said[1:3] == [f"name    {name}", "scopes  check list"]
    key = said[3].removeprefix("key     ")
    assert SERVICE_KEY_FORM.fullmatch(key)
    assert made.stderr == "Send it as Authorization: Bearer. It is not shown again.\n"
    assert (sends(server, key), sends(server, "hsk_" + "x" * 43)) == (403, 401)

    said = lines(installation.says("key", "list", "northside"))
    assert re.split("  +", said[0]) == ["name", "scopes", "made", "by", "last used", "is"]
    assert any(re.fullmatch(rf"{name} +check list +{DATE}  the operator +never +good", line) for line in said)
    (listed,) = [one for one in installation.json("key", "list", "northside") if one["name"] == name]
    assert (listed["scopes"], listed["made_by_id"], listed["ended_at"]) == (["check", "list"], None, None)
    assert "digest" not in listed
    assert key not in json.dumps(installation.json("key", "list", "northside"))

    assert (
        installation.says("key", "end", "northside", name)
        == f"The service key {name} of northside has ended.\n"
    )
    assert sends(server, key) == 401
    assert any(
        re.fullmatch(rf"{name} +check list +{DATE}  the operator +\S.* ended", line)
        for line in lines(installation.says("key", "list", "northside"))
    )
    assert key not in server.logged


def test_a_service_key_for_a_script(installation: Installation, server: Server) -> None:
    name = new_code()
    done = installation.run("key", "make", "northside", name, "--scope", "events", "--json")
    made = json.loads(done.stdout)
    assert (made["name"], made["scopes"], done.stderr) == (name, ["events"], "")
    assert sends(server, made["key"]) == 403
    ended = installation.json("key", "end", "northside", name)
    assert (ended["id"], ended["name"]) == (made["id"], name)
    assert ended["ended_at"] is not None
    assert made["key"] not in json.dumps(ended)
    # Its name is free again, for another key.
    assert installation.json("key", "make", "northside", name, "--scope", "check")["key"] != made["key"]


@pytest.mark.parametrize(
    "at", ["0001-01-01T00:00+23:00", "9999-12-31T23:59-23:00", "9999", "yesterday", "9999-12-31T00:00Z"]
)
def test_a_moment_of_which_nothing_can_be_explained_is_refused(installation: Installation, at: str) -> None:
    words = ("explain", "ada@northside.example", "read", "organization/northside", "--at", at)
    assert installation.complains(*words, status=2).startswith("hospitium: at: must ")


def test_the_first_moment_there_is_can_be_asked_about(installation: Installation) -> None:
    words = ("explain", "ada@northside.example", "read", "organization/nowhere", "--at", "0001-01-01T00:00Z")
    assert installation.complains(*words, status=1) == "hospitium: Resource not found\n"


def test_a_service_key_that_can_not_be_is_refused(installation: Installation) -> None:
    name, check = new_code(), ("--scope", "check")
    installation.run("key", "make", "northside", name, *check)
    for words, status, says in (
        (("make", "northside", name, *check), 1, "hospitium: This name is taken\n"),
        (("make", "northside", " ", *check), 2, "hospitium: name: must not be blank\n"),
        (("make", "nowhere", name, *check), 1, "hospitium: Organization not found\n"),
        (("list", "nowhere"), 1, "hospitium: Organization not found\n"),
        (("end", "northside", new_code()), 1, "hospitium: Service key not found\n"),
        (("end", "nowhere", name), 1, "hospitium: Organization not found\n"),
    ):
        assert installation.complains("key", *words, status=status) == says
    for wrong in ((), ("--scope", "write")):
        assert "--scope" in installation.complains("key", "make", "northside", new_code(), *wrong, status=2)


# -- load, keys, verify, migrate -----------------------------------------------------------------------------------------


def test_load_prints_a_line_a_kind_with_counts(installation: Installation, world_file: Path) -> None:
    assert lines(installation.says("load", str(world_file))) == [
        "organizations      0 created       3 there already",
        "accounts           0 created       3 there already",
        "memberships        0 created       3 there already",
        "teams              0 created       0 there already",
        "objectTypes        0 created       0 there already",
        "records            0 created       0 there already",
        "shares             0 created       0 there already",
        "clientKeys         0 created       0 there already",
        "serviceKeys        0 created       0 there already",
        "fhirServers        0 created       0 there already",
        "resources          0 created       0 there already",
        "persons            0 created       0 there already",
        "invites            0 created       0 there already",
        "partnerships       0 created       1 there already",
    ]
    assert installation.json("load", str(world_file))[0] == {
        "kind": "organizations",
        "created": 0,
        "present": 3,
        "shown": [],
        "updated": 0,
    }


def test_load_finds_bundles_beside_the_file_and_shows_a_code_it_made_this_once(
    installation: Installation, tmp_path: Path
) -> None:
    (tmp_path / "patients").mkdir()
    (tmp_path / "patients" / "jane.json").write_text('{"resourceType": "Patient", "id": "jane"}')
    name = new_code()
    path = tmp_path / "clinic.yaml"
    path.write_text(f"""
fhirServers:
  - {{organization: northside, name: {name}, kind: built-in, bundles: [patients/*.json]}}
invites:
  - {{organization: northside, fhirServer: {name}, patient: jane, by: ada@northside.example, question: "Which pet?", answer: Charlie}}
""")
    first, again = (installation.says("load", str(path)) for _ in range(2))
    assert "resources          1 created       0 there already" in lines(first)
    (code,) = re.findall(
        rf"^    shown this once: northside {name}, patient jane: ([A-Z2-9]{{4}} [A-Z2-9]{{4}})$",
        first,
        re.MULTILINE,
    )
    assert code not in again
    assert "resources          0 created       1 there already" in lines(again)
    (tmp_path / "patients" / "jim.json").write_text('{"resourceType": "Patient", "id": "a/b"}')
    refused = installation.complains("load", str(path), status=2)
    assert f"{path}: fhirServers[0].bundles[0]: patients/jim.json: id: must be" in refused


def test_load_shows_a_client_key_it_made_this_once(
    installation: Installation, server: Server, tmp_path: Path
) -> None:
    for words, name in (((), new_code()), (("--json",), new_code())):
        path = tmp_path / f"{name}.yaml"
        path.write_text(f"clientKeys: [{{organization: northside, name: {name}}}]\n")
        first, again = (installation.says("load", str(path), *words) for _ in range(2))
        (key,) = re.findall(rf"northside {name}: ([0-9A-Za-z]+)", first)
        assert first.count(key) == 1
        if not words:
            assert f"    shown this once: northside {name}: {key}" in lines(first)
        assert name not in again
        assert asks(server, key) == 200
        assert key not in server.logged


def test_load_names_the_file_and_the_entry(
    installation: Installation, tmp_path: Path, world_file: Path
) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(
        "organizations: [{code: brand-new, name: Brand New, type: both}]\naccounts: [{email: x, password: y}]\n"
    )
    said = installation.complains("load", str(wrong), status=2)
    assert said.startswith(f"hospitium: {wrong}: accounts[0].email: ")
    assert installation.complains("org", "show", "brand-new", status=1)
    missing = tmp_path / "missing.yaml"
    said = installation.run("load", str(world_file), str(missing), status=2)
    assert said.stderr == f"hospitium: {missing}: the file: can't be read: No such file or directory\n"
    assert "partnerships" in said.stdout  # each file is a deed of its own


def test_keys_are_listed_without_their_secrets(installation: Installation) -> None:
    keys = ["signing-1", "links-1", "seals-1", "codes-1", "credentials-1"]
    said = lines(installation.says("keys", "list"))
    assert said[0].split() == ["key", "made", "retired"]
    assert [re.fullmatch(rf"(\S+) +{DATE}", line)[1] for line in said[1:]] == keys  # type: ignore[index]
    listed = installation.json("keys", "list")
    assert [(one["key"], one["retired"]) for one in listed] == [(key, None) for key in keys]
    secrets = [json.loads(path.read_text())["secret"] for path in (installation.data / "keys").iterdir()]
    assert not any(secret in json.dumps(listed) for secret in secrets)
    assert installation.json("keys", "make") == listed  # those that are there stay


def test_verify_finds_nothing_and_says_so(installation: Installation) -> None:
    assert installation.says("verify") == "All that must be true of the data is true.\n"
    assert installation.json("verify") == []


def test_migrate_again_says_that_there_is_nothing_to_do(installation: Installation) -> None:
    assert re.fullmatch(r"The schema is \d+\.\n", installation.says("migrate"))


# -- misuse --------------------------------------------------------------------------------------------------------------


def test_without_a_command_it_shows_what_there_is(installation: Installation) -> None:
    said = installation.says("--help")
    for command in (
        "serve",
        "migrate",
        "load",
        "org",
        "account",
        "client-key",
        "key",
        "keys",
        "verify",
        "demo",
    ):
        assert re.search(rf"^  {command} +\S", said, re.MULTILINE)
    assert re.fullmatch(r"hospitium, version \d+\.\d+\.\d+\n", installation.says("--version"))


@pytest.mark.parametrize(
    "words", [["frobnicate"], ["org", "list", "--shoe-size"], ["load"], ["serve", "--port", "65536"]]
)
def test_misuse_is_exit_code_2(installation: Installation, words: list[str]) -> None:
    assert "Error: " in installation.complains(*words, status=2)


def test_nothing_it_was_given_is_on_the_command_line_of_a_process(
    installation: Installation, server: Server
) -> None:
    """Passwords come by a file or a prompt: an option for them would stand in every process list."""
    assert "--password " not in installation.says("account", "create", "--help")
    password = (installation.data / "postgres.password").read_text().strip()
    postmaster = installation.postmaster()
    assert postmaster is not None
    assert server.process.poll() is None
    assert not any(
        password in word for process in installation.database_processes() for word in process.cmdline()
    )
