"""What is written is true, and stays true."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click
import pytest
import yaml

from hospitium.client import connecting
from hospitium.doors.cli.main import cli
from hospitium.doors.cli.world import world_of
from hospitium.doors.medable.routes import ROUTES as MEDABLE
from hospitium.doors.radorderpad.routes import ROUTES
from hospitium.settings import SETTINGS
from house.generated import DIRECTORY, PAGES
from house.tree import ROOT, SOURCE

if TYPE_CHECKING:
    from pathlib import Path

WRITTEN = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`\n]+)`")
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PATH = re.compile(r"\.?[\w-][\w.*-]*(/[\w.*-]+)*(\.(py|md|toml|txt|yaml)|/)")


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_fresh(name: str) -> None:
    assert (DIRECTORY / name).read_text(encoding="utf-8") == PAGES[name](), (
        f"docs/reference/{name} says what the code no longer does: run `make docs` and look at the difference."
    )


def test_nobody_writes_by_hand_into_the_reference() -> None:
    assert {path.name for path in DIRECTORY.iterdir()} == set(PAGES), (
        "docs/reference is generated: tests/house/generated.py."
    )


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_path_named_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    prose = _BLOCK.sub("", text)
    links = [
        link.partition("#")[0] for link in _LINK.findall(prose) if not re.match(r"https?:|mailto:|#", link)
    ]
    missing = [link for link in links if not (page.parent / link).exists()]
    missing += [span for span in _CODE.findall(prose) if _PATH.fullmatch(span) and not _is_there(span, page)]
    assert not missing, f"{page.name} sends its reader to what isn't there: {missing}."
    assert not re.search(r"\.py(:|#L)\d", text), "Lines move: link the file, and name the function."


def _is_there(path: str, page: Path) -> bool:
    """Whether a path is below the root, the source, the engine or the page; a bare name of a file, anywhere in the house."""
    if "/" not in path:
        return (
            path.endswith(".yaml")
            or any(any(place.rglob(path)) for place in (ROOT / "src", ROOT / "tests"))
            or (ROOT / path).exists()
        )
    places = (ROOT, SOURCE, SOURCE / "engine", page.parent)
    return any(any(place.glob(path.rstrip("/"))) for place in places)


@pytest.mark.parametrize("page", DECISIONS, ids=lambda page: page.stem)
def test_a_decision_says_why_what_and_what_follows(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences", "Files"]
    assert text.startswith(f"# {page.stem[:4]} "), "The title begins with the number."
    assert _LINK.search(text.partition("## Files")[2]), "A decision links the files that carry it out."
    assert f"({page.name})" in (page.parent / "README.md").read_text(), (
        "docs/decisions/README.md lists every decision."
    )


def test_decisions_are_numbered_without_holes() -> None:
    assert [int(page.stem[:4]) for page in DECISIONS] == list(range(1, len(DECISIONS) + 1))


def test_every_command_printed_is_a_command() -> None:
    targets = set(re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    unknown = []
    for page in WRITTEN:
        text = page.read_text(encoding="utf-8")
        said = "\n".join(block for _, block in _BLOCK.findall(text)) + "\n" + "\n".join(_CODE.findall(text))
        unknown += [
            f"make {target}" for target in re.findall(r"(?m)^make ([a-z]+)", said) if target not in targets
        ]
        unknown += [
            line for line in re.findall(r"(?m)^hospitium ([a-z -]+)", said) if not _is_a_command(line.split())
        ]
    assert not unknown, f"Try every command you print: {unknown}."


def _is_a_command(words: list[str]) -> bool:
    command: click.Command = cli
    for word in words:
        if not isinstance(command, click.Group):
            return True  # its arguments
        if word not in command.commands:
            return False
        command = command.commands[word]
    return True


@pytest.mark.parametrize(("dialect", "routes"), [("radorderpad", ROUTES), ("medable", MEDABLE)])
def test_the_dialects_page_has_every_address(dialect: str, routes: Any) -> None:
    page = (ROOT / "docs" / "dialects" / f"{dialect}.md").read_text(encoding="utf-8")
    table = page.partition("## Endpoints")[2].partition("\n## ")[0]
    missing = [
        f"{route.method} {route.path}"
        for route in routes
        if f"`{route.method} {re.sub(r'{([^}:]*)[^}]*}', _spelled, route.path.removeprefix('/{org:str}/v2'))}`"
        not in table
        and f"`{route.path.rpartition('/')[2]}`" not in table
    ]
    assert not missing, (
        f"A dialect is a translation with a page: add {missing} to docs/dialects/{dialect}.md."
    )


def _spelled(parameter: re.Match[str]) -> str:
    return f"{{{parameter[1]}}}" if parameter[1] in ("plural", "which") else "{id}"


def test_every_setting_named_is_a_setting() -> None:
    known = {setting.name for setting in SETTINGS} | {"SOAK_ROUNDS", "HOSPITIUM_SOAK"}
    known |= {connecting.URL, connecting.KEY, connecting.KEY_FILE}
    known |= {str(param.envvar) for command in cli.commands.values() for param in command.params}
    prefixes = ("HOSPITIUM_", "DATABASE_", "PUBLIC_URL", "REGISTRATION")
    unknown = {
        word
        for page in WRITTEN
        for word in re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", page.read_text(encoding="utf-8"))
        if word.startswith(prefixes) and word not in known
    }
    assert not unknown, f"There is no such setting: {sorted(unknown)}."


def test_the_world_of_the_readme_is_a_world() -> None:
    (world,) = [block for kind, block in _BLOCK.findall((ROOT / "README.md").read_text()) if kind == "yaml"]
    assert [entry.code for entry in world_of(yaml.safe_load(world)).organizations] == [
        "northside",
        "lakeside",
    ]


def test_every_folder_of_the_house_is_in_the_tree_of_the_readme() -> None:
    (tree,) = [
        block for _, block in _BLOCK.findall((ROOT / "README.md").read_text()) if "src/hospitium/" in block
    ]
    folders = [
        path
        for place in (SOURCE, SOURCE / "engine", SOURCE / "doors")
        for path in place.iterdir()
        if path.is_dir()
    ]
    unnamed = [path.name for path in folders if path.name != "__pycache__" and f"{path.name}/" not in tree]
    assert not unnamed, f"The tree in README.md has a line for every folder: {unnamed}."


def test_the_world_of_the_page_on_world_files_is_a_world() -> None:
    (world,) = [
        b for kind, b in _BLOCK.findall((ROOT / "docs" / "world-files.md").read_text()) if kind == "yaml"
    ]
    read = world_of(yaml.safe_load(world))
    assert (len(read.organizations), len(read.accounts), len(read.partnerships)) == (2, 2, 1)


def test_every_ruling_and_page_that_code_refers_to_can_be_read() -> None:
    ruled = set(re.findall(r"^\| (\d+) \|", (ROOT / "docs" / "rulings.md").read_text(), re.MULTILINE))
    missing = []
    for path in [*SOURCE.rglob("*.py"), *(ROOT / "tests").rglob("*.py")]:
        text = path.read_text(encoding="utf-8")
        cited = {
            n
            for group in re.findall(r"rulings? ((?:\d+(?:, | and | to )?)+)", text)
            for n in re.findall(r"\d+", group)
        }
        missing += [f"{path.name}: ruling {number}" for number in sorted(cited - ruled)]
        missing += [
            f"{path.name}: {page}"
            for page in re.findall(r"docs/[\w./-]+\.md", text)
            if not (ROOT / page).exists()
        ]
        missing += [
            f"{path.name}: docs/decisions/{number}"
            for number in re.findall(r"docs/decisions/(\d{4})", text)
            if not list((ROOT / "docs" / "decisions").glob(f"{number}-*.md"))
        ]
    assert not missing, f"A reader can't follow these: {missing}."
