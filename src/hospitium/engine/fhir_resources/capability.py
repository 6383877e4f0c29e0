"""What a built-in FHIR server says of itself: exactly what is served, drawn from the table that serves it (parameters.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hospitium.engine.fhir_resources.parameters import (
    COMMON,
    ID,
    LAST_UPDATED,
    TYPES,
    Parameter,
    ResourceType,
)
from hospitium.engine.fhir_resources.search import DEFAULT_COUNT, LARGEST_COUNT

if TYPE_CHECKING:
    from datetime import datetime

FHIR_VERSION = "4.0.1"


def capability(base_url: str, software_version: str, at: datetime) -> dict[str, Any]:
    """Return the CapabilityStatement (https://hl7.org/fhir/R4/capabilitystatement.html) of the server at a base URL, as of an instant."""
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": at.isoformat(),
        "kind": "instance",
        "software": {"name": "Hospitium", "version": software_version},
        "implementation": {"description": "Resources kept by Hospitium, to be read", "url": base_url},
        "fhirVersion": FHIR_VERSION,
        "format": ["json"],
        "rest": [{"mode": "server", "resource": [_resource(kind) for _, kind in sorted(TYPES.items())]}],
    }


def _resource(kind: ResourceType) -> dict[str, Any]:
    order = [ID, LAST_UPDATED, *([kind.date.name] if kind.date else [])]
    return {
        "type": kind.name,
        "interaction": [{"code": "read"}, {"code": "search-type"}],
        "versioning": "versioned",
        "referencePolicy": ["literal", "local"],
        "documentation": f"_sort takes one of {', '.join(order)}, ascending or descending; _count is {DEFAULT_COUNT} if it isn't "
        f"given, and at most {LARGEST_COUNT}; a reference parameter takes the modifier :Type.",
        "searchParam": [_parameter(one) for one in (*COMMON.values(), *kind.parameters.values())],
    }


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {"name": parameter.name, "definition": parameter.definition, "type": parameter.kind.value}
