"""What the gateway says of itself: exactly what it lets through, drawn from the tables that decide (engine/fhir_gateway).

A FHIR server behind it may serve less; what it doesn't is refused by name, and never left out of account.
"""

from __future__ import annotations

from typing import Any

import msgspec

from hospitium.engine.fhir_gateway.asking import COMMON, FORMATS, MODIFIERS
from hospitium.engine.fhir_gateway.definitions import DEFINITIONS, PATIENT, Kind, ResourceType
from hospitium.engine.fhir_resources.search import DEFAULT_COUNT, LARGEST_COUNT

_EVERYTHING = {
    "name": "everything",
    "definition": "http://hl7.org/fhir/OperationDefinition/Patient-everything",
}


def capability(base: str, version: str, at: str) -> dict[str, Any]:
    """Return the CapabilityStatement (https://hl7.org/fhir/R4/capabilitystatement.html) of the FHIR server at a base URL; `at`: as of
    which day, as FHIR writes it."""
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": at,
        "kind": "instance",
        "software": {"name": "Hospitium", "version": version},
        "implementation": {"description": "What you were granted, to be read", "url": base},
        "fhirVersion": DEFINITIONS.source.fhir,
        "format": [*FORMATS],
        "rest": [
            {
                "mode": "server",
                "documentation": "Every answer holds what the caller was granted and nothing else. A FHIR server may serve less than "
                "this; what it doesn't is refused.",
                "security": {"cors": True, "description": "A bearer token of an account"},
                "resource": _RESOURCES,
            }
        ],
    }


def smart_configuration(public_url: str, base: str) -> dict[str, Any]:
    """Return what an application can know before it asks (https://hl7.org/fhir/smart-app-launch/conformance.html). There is no launch
    here: an account signs in, and shows its token."""
    types = sorted({*DEFINITIONS.types, *DEFINITIONS.shared})
    return {
        "issuer": public_url,
        "jwks_uri": f"{public_url}/.well-known/jwks.json",
        "capabilities": [],
        "scopes_supported": [f"user/{name}.{'rs' if name in DEFINITIONS.types else 'r'}" for name in types],
        "fhir_base_url": base,
    }


def _resource(name: str) -> dict[str, Any]:
    kind = DEFINITIONS.types.get(name)
    if kind is None:
        return {
            "type": name,
            "interaction": [{"code": "read"}],
            "documentation": "Read where a resource refers to it that you may see, and were shown before",
        }
    return {
        "type": name,
        "interaction": [{"code": "read"}, {"code": "search-type"}],
        "documentation": f"_count is {DEFAULT_COUNT} if it isn't given, and at most {LARGEST_COUNT}.",
        "searchParam": [_parameter(*one) for one in _parameters(kind)],
        **({"operation": [_EVERYTHING]} if name == PATIENT else {}),
    }


def _parameters(kind: ResourceType) -> list[tuple[str, Kind]]:
    about = [(name, COMMON.get(name, Kind.REFERENCE)) for name in kind.about.names]
    named = dict([*about, *COMMON.items(), *kind.parameters.items()])
    return sorted(named.items())


def _parameter(name: str, kind: Kind) -> dict[str, Any]:
    modifiers = () if name in COMMON else MODIFIERS[kind]
    return {
        "name": name,
        "type": kind.value,
        **({"documentation": f"Modifiers: {', '.join(modifiers)}"} if modifiers else {}),
    }


_RESOURCES = msgspec.Raw(
    msgspec.json.encode([_resource(name) for name in sorted({*DEFINITIONS.types, *DEFINITIONS.shared})])
)
