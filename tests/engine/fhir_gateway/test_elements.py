"""The table of elements is as it was generated, and is generated again from the same package to the byte."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path
from types import ModuleType

import pytest

from hospitium.engine.fhir_gateway.definitions import DEFINITIONS
from hospitium.engine.fhir_gateway.elements import ELEMENTS, WRITTEN

TOOL = Path(__file__).parents[3] / "tools" / "elements.py"
PACKAGE = os.environ.get("HOSPITIUM_FHIR_DEFINITIONS")


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("elements_tool", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_nobody_has_edited_it(tool: ModuleType):
    content = json.loads(WRITTEN.read_text(encoding="utf-8"))

    assert content["digest"] == tool.digest(content)
    assert tool.written(content) == WRITTEN.read_text(encoding="utf-8")


def test_it_is_from_the_same_package_as_the_definitions():
    source = json.loads(WRITTEN.read_text(encoding="utf-8"))["source"]

    assert source["sha256"] == DEFINITIONS.source.sha256


@pytest.mark.skipif(PACKAGE is None, reason="HOSPITIUM_FHIR_DEFINITIONS names no package to generate it from")
def test_it_is_what_the_package_says(tool: ModuleType):
    assert tool.written(tool.table(Path(str(PACKAGE)))) == WRITTEN.read_text(encoding="utf-8")


def test_it_says_what_fhir_says():
    """A few that anybody can look up (https://hl7.org/fhir/R4/observation.html, …/consent.html)."""
    assert set(ELEMENTS["Observation"].always) == {"status", "code"}
    assert set(ELEMENTS["Observation"].choices) == {"effective", "value"}
    assert "component.interpretation" not in ELEMENTS["Observation"].summary
    assert {"source[x]", "sourceAttachment.title"} <= set(ELEMENTS["Consent"].summary)
    assert "sourceAttachment.data" not in ELEMENTS["Consent"].summary
    assert set(ELEMENTS["Patient"].always) == {"active", "deceased[x]", "link"}
