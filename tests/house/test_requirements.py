"""What is installed is what was chosen: every dependency pinned, hashed, and with a reason."""

from __future__ import annotations

import json
import re
import tomllib

import pytest

from house.tree import ROOT

FILES = ("runtime.txt", "dev.txt", "fhirsnake.txt", "fhir_clients.txt")
_PIN = re.compile(r"^([a-z0-9][a-z0-9._-]*)==(\S+)", re.IGNORECASE)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def _pins(name: str) -> dict[str, str]:
    """Return each pinned package with the lines that belong to it."""
    found: dict[str, str] = {}
    current = ""
    for line in (ROOT / "requirements" / name).read_text().splitlines():
        if pinned := _PIN.match(line):
            current = pinned.group(1).lower()
            found[current] = ""
        elif line and not line.startswith((" ", "#")):
            pytest.fail(f"requirements/{name} has a line that pins nothing: {line!r}; run `make lock`")
        if current:
            found[current] += line + "\n"
    return found


@pytest.mark.parametrize("name", FILES)
def test_every_requirement_is_pinned_with_hashes(name: str) -> None:
    bare = [package for package, lines in _pins(name).items() if "--hash=sha256:" not in lines]
    assert not bare, (
        f"Without its hash a package is whatever the index says today: run `make lock`. Bare: {bare}."
    )


@pytest.mark.parametrize("name", FILES)
def test_no_requirement_names_where_it_comes_from(name: str) -> None:
    text = (ROOT / "requirements" / name).read_text()
    assert not re.search(r"https?://|--(extra-)?index-url|--find-links|\bgit\+|file:", text), (
        "Whoever installs chooses the index: no addresses in requirements."
    )


def test_what_node_installs_is_pinned_with_hashes_too() -> None:
    lock = json.loads((ROOT / "tests" / "doors" / "fhir" / "clients" / "package-lock.json").read_text())
    packages = {name: one for name, one in lock["packages"].items() if name}
    bare = [name for name, one in packages.items() if not one.get("integrity", "").startswith("sha512-")]
    addressed = [name for name, one in packages.items() if "resolved" in one]
    assert packages
    assert not bare, (
        f"Without its hash a package is whatever the registry says today: run `make lock`. Bare: {bare}."
    )
    assert not addressed, (
        f"Whoever installs chooses the registry: run `make lock`. With an address: {addressed}."
    )


def test_every_dependency_is_in_the_lock() -> None:
    runtime = {re.split(r"[<>=; \[]", given)[0].lower() for given in PROJECT["project"]["dependencies"]}
    dev = {re.split(r"[<>=; \[]", given)[0].lower() for given in PROJECT["dependency-groups"]["dev"]}
    assert runtime <= set(_pins("runtime.txt")), (
        "pyproject.toml and requirements/runtime.txt disagree: run `make lock`."
    )
    assert runtime | dev <= set(_pins("dev.txt")), (
        "pyproject.toml and requirements/dev.txt disagree: run `make lock`."
    )


def test_what_runs_is_what_was_tested() -> None:
    def version(lines: str) -> str:
        found = _PIN.match(lines)
        assert found is not None
        return found.group(2)

    dev = _pins("dev.txt")
    apart = [
        package for package, lines in _pins("runtime.txt").items() if version(lines) != version(dev[package])
    ]
    assert not apart, f"The tests run on other versions than the server: {apart}. Run `make lock`."


def test_every_dependency_has_its_reason_beside_it() -> None:
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    begun = [number for number, line in enumerate(lines) if line in ("dependencies = [", "dev = [")]
    bare = []
    for start in begun:
        for line in lines[start + 1 :]:
            if line == "]":
                break
            if "#" not in line:
                bare.append(line.strip())
    assert len(begun) == 2
    assert not bare, f"Each dependency says why it is here: {bare}."
