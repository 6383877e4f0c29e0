"""What is drawn out of a resource when it is loaded: in whose compartment it is, and what it is found by."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from hospitium.engine.fhir_resources import keys, names
from hospitium.engine.fhir_resources.dates import BEGINNING, span_of
from hospitium.engine.fhir_resources.parameters import Kind, ResourceType

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from hospitium.engine.fhir_resources.keys import Key

PATIENT = "Patient"
_TO_A_PATIENT = re.compile(r"Patient/([A-Za-z0-9.-]{1,64})", re.ASCII)


class Drawn(NamedTuple):
    """What a resource is found by. `date_from` without `date_until`: it has no date, and comes before all that have."""

    patients: list[str]
    keys: list[Key]
    names: str | None
    date_from: datetime
    date_until: datetime | None


def draw(kind: ResourceType, resource: dict[str, Any]) -> Drawn:
    """Draw out of a resource what it is found by."""
    found: dict[Key, None] = {}
    named = None
    when = None
    for parameter in kind.parameters.values():
        if parameter.name == PATIENT.lower() == kind.subject and not kind.may_be_of_several:
            continue  # it is asked for by compartment
        values = _values(resource, parameter.paths)
        match parameter.kind:
            case Kind.TOKEN:
                found.update(dict.fromkeys(keys.of_tokens(parameter.name, values)))
            case Kind.REFERENCE:
                found.update(
                    dict.fromkeys(keys.of_references(parameter.name, _allowed(parameter.name, values)))
                )
            case Kind.DATE:
                when = next((one for one in map(span_of, values) if one is not None), None)
            case Kind.STRING if parameter.name == "name":  # of which family and given are parts
                named = names.kept(values)
    return Drawn(
        patients_of(kind, resource),
        list(found),
        named,
        BEGINNING if when is None else when.start,
        None if when is None else when.until,
    )


def patients_of(kind: ResourceType, resource: dict[str, Any]) -> list[str]:
    """Return the ids of the patients in whose compartment a resource is, itself included; none if it is in nobody's."""
    if kind.name == PATIENT:
        return [resource["id"]]
    if kind.subject is None:
        return []
    subjects = map(keys.plain_reference, _values(resource, kind.parameters[kind.subject].paths))
    patients = (_TO_A_PATIENT.fullmatch(one) for one in subjects if one is not None)
    return list(dict.fromkeys(one.group(1) for one in patients if one is not None))


def _allowed(parameter: str, values: list[Any]) -> Sequence[Any]:
    """Leave out what a parameter called `patient` doesn't look at: references to anything else."""
    if parameter != "patient":
        return values
    return [one for one in values if (keys.plain_reference(one) or "").startswith("Patient/")]


def _values(resource: dict[str, Any], paths: Sequence[tuple[str, ...]]) -> list[Any]:
    found: list[Any] = []
    for path in paths:
        reached: list[Any] = [resource]
        for name in path:
            members = [one[name] for one in reached if isinstance(one, dict) and name in one]
            reached = []
            for member in members:
                if isinstance(member, list):
                    reached += member
                else:
                    reached.append(member)
            if not reached:
                break
        found += reached
    return found
