"""docs/guard.md is true: its sessions are typed into the demo it speaks of, its examples are run."""

from __future__ import annotations

import doctest
import inspect
import re
from typing import TYPE_CHECKING, Any

import pytest

from cli.running import Installation
from hospitium.client import Guard
from house.tree import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PAGE = (ROOT / "docs" / "guard.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
SESSIONS = [block for block in BLOCKS if block.startswith(">>>")]
EXAMPLES = [block for block in BLOCKS if not block.startswith(">>>")]
EXPORTS = dict(re.findall(r"^export (\w+)=(\S+)$", PAGE, re.MULTILINE))


def test_what_is_typed_into_the_demo_is_answered_so(
    passable_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation = Installation(passable_directory / "not-used", TMPDIR=str(passable_directory))
    with installation.serving("demo", "--port", "0") as server:
        assert EXPORTS["HOSPITIUM_SERVICE_KEY"] in server.said
        assert EXPORTS["HOSPITIUM_URL"] == "http://127.0.0.1:8420"
        monkeypatch.setenv("HOSPITIUM_URL", server.address)
        monkeypatch.setenv("HOSPITIUM_SERVICE_KEY", EXPORTS["HOSPITIUM_SERVICE_KEY"])
        monkeypatch.delenv("HOSPITIUM_SERVICE_KEY_FILE", raising=False)
        typed = doctest.DocTestParser().get_doctest("\n".join(SESSIONS), {}, "docs/guard.md", None, 0)
        told: list[str] = []
        doctest.DocTestRunner(verbose=False).run(typed, out=told.append, clear_globs=False)
        for opened in ("guard", "ivy"):
            typed.globs[opened].close()
        assert not told, "".join(told)
        assert len(typed.examples) >= 20


async def test_its_examples_run() -> None:
    names: dict[str, Any] = {"__name__": "docs.guard"}
    for example in EXAMPLES:
        exec(example, names)
    tests = [value for name, value in names.items() if name.startswith("test_")]
    assert len(tests) == 2
    for test in tests:
        assert inspect.iscoroutinefunction(test)
        await test()


def test_it_names_everything_a_guard_can_be_asked() -> None:
    methods = {name for name, _ in inspect.getmembers(Guard, inspect.isfunction) if not name.startswith("_")}
    unnamed = {name for name in methods - {"close"} if f"`{name}`" not in PAGE and f".{name}(" not in PAGE}
    assert not unnamed
