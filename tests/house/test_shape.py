"""What every file looks like, so that a reader is never surprised."""

from __future__ import annotations

import ast
import re
from importlib import resources

import pytest

from house.tree import ROOT, SOURCE, modules

LONGEST_FUNCTION = 60  # lines
LONG_FOR_A_REASON: dict[str, str] = {}
_REST = {
    "utils",
    "util",
    "helpers",
    "helper",
    "service",
    "services",
    "manager",
    "managers",
    "common",
    "misc",
    "models",
}
# Where somebody's files are: his home, or where he checks out. (Ada is of the cast; her home is an example.)
_OF_A_MACHINE = re.compile(r"(?<![\w.])/(?:(?:home|Users)/(?!ada\b)\w+|(?:root|work|mnt)/\w+)")
_WRITTEN = ("*.py", "*.md", "*.toml", "*.txt", "*.yaml", "*.yml", "*.mako", "Makefile", ".ci/run")


def test_every_module_says_what_it_is() -> None:
    silent = [place for place, tree in modules().items() if not ast.get_docstring(tree)]
    assert not silent, f"The first lines of a file say which question it answers. Silent: {silent}."


def test_no_file_is_for_the_rest() -> None:
    found = [
        path.name
        for folder in ("src", "tests", "bench")
        for path in (ROOT / folder).rglob("*.py")
        if path.stem in _REST
    ]
    assert not found, (
        f"A file answers one question, and its name is the question. What is the question of {found}?"
    )


def test_functions_stay_readable() -> None:
    long = {
        f"{place} {node.name}"
        for place, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > LONGEST_FUNCTION
    }
    assert long == set(LONG_FOR_A_REASON), (
        f"A function of more than {LONGEST_FUNCTION} lines hides a second one: {sorted(long - set(LONG_FOR_A_REASON))}. "
        f"Shorter by now, so strike it out: {sorted(set(LONG_FOR_A_REASON) - long)}."
    )


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {hit.group()}"
        for path in _files()
        if (hit := _OF_A_MACHINE.search(path.read_text(encoding="utf-8")))
    ]
    assert not found, f"What is here runs anywhere: name no path of one machine. Found {found}."


def test_the_package_carries_its_migrations() -> None:
    carried = resources.files("hospitium.storage.migrations")
    names = {entry.name for entry in carried.iterdir()}
    assert {"env.py", "script.py.mako", "versions"} <= names
    assert any(entry.name.endswith(".py") for entry in carried.joinpath("versions").iterdir()), (
        "`hospitium migrate` runs from an installed package: the migrations belong below src/hospitium."
    )


@pytest.mark.parametrize("folder", ["engine", "doors", "storage", "dispatch"])
def test_every_folder_is_a_package(folder: str) -> None:
    bare = [
        str(path.relative_to(SOURCE))
        for path in (SOURCE / folder).rglob("*")
        if path.is_dir()
        and path.name not in ("__pycache__", "versions")
        and not (path / "__init__.py").exists()
    ]
    assert not bare, (
        f"Without __init__.py a folder is left out of the wheel's checks and of import-linter: {bare}."
    )


def _files() -> list:
    ours = [
        path
        for pattern in _WRITTEN
        for folder in ("src", "tests", "bench", "docs")
        for path in (ROOT / folder).rglob(pattern)
    ]
    ours += [path for pattern in _WRITTEN for path in ROOT.glob(pattern)] + list(
        (ROOT / "requirements").glob("*.txt")
    )
    return [path for path in ours if "__pycache__" not in path.parts]
