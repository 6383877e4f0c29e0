"""What the gateway says of itself: exactly what it lets through, drawn from the tables that decide (engine/fhir_gateway).

A remote FHIR server behind it may serve less, which only it knows. Of a built-in one it is known, and told to whoever may read there: to anybody
else, which kind of server somebody has is not told.
"""

from __future__ import annotations

from typing import Any

import msgspec

from hospitium.engine.fhir_gateway.asking import COMMON, FORMATS, MODIFIERS
from hospitium.engine.fhir_gateway.definitions import DEFINITIONS, PATIENT, Kind, ResourceType
from hospitium.engine.fhir_resources.parameters import TYPES
from hospitium.engine.fhir_resources.search import DEFAULT_COUNT, LARGEST_COUNT
from hospitium.engine.fhir_servers.record import ServerKind

_EVERYTHING = {
    "name": "everything",
    "definition": "http://hl7.org/fhir/OperationDefinition/Patient-everything",
}


def capability(base: str, version: str, at: str, kind: ServerKind | None) -> dict[str, Any]:
    """Return the CapabilityStatement (https://hl7.org/fhir/R4/capabilitystatement.html) of the FHIR server at a base URL; `at`: as of
    which day, as FHIR writes it; `kind`: of which kind it is, None to who may not know."""
    is_built_in = kind is ServerKind.BUILT_IN
    may_be_less = (
        "" if is_built_in else " A FHIR server may serve less than this; what it doesn't is refused."
    )
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
                "documentation": f"Every answer holds what the caller was granted and nothing else.{may_be_less}",
                "security": {"cors": True, "description": "A bearer token of an account"},
                "resource": _OF_BUILT_IN if is_built_in else _OF_ANY,
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


def _resource(name: str, *, is_built_in: bool) -> dict[str, Any]:
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
        "searchParam": [
            _parameter(*one, is_built_in=is_built_in)
            for one in _parameters(kind)
            if not is_built_in or _is_kept(name, one[0])
        ],
        **({"operation": [_EVERYTHING]} if name == PATIENT else {}),
    }


def _parameters(kind: ResourceType) -> list[tuple[str, Kind]]:
    about = [(name, COMMON.get(name, Kind.REFERENCE)) for name in kind.about.names]
    named = dict([*about, *COMMON.items(), *kind.parameters.items()])
    return sorted(named.items())


def _is_kept(type_: str, name: str) -> bool:
    """Whether a built-in server can search by a parameter; whose a resource is, it is asked in a way of its own."""
    return name in (*COMMON, *DEFINITIONS.types[type_].about.names) or name in TYPES[type_].parameters


def _parameter(name: str, kind: Kind, *, is_built_in: bool) -> dict[str, Any]:
    modifiers = () if is_built_in or name in COMMON else MODIFIERS[kind]
    return {
        "name": name,
        "type": kind.value,
        **({"documentation": f"Modifiers: {', '.join(modifiers)}"} if modifiers else {}),
    }


def _resources(*, is_built_in: bool) -> msgspec.Raw:
    names = sorted({*DEFINITIONS.types, *DEFINITIONS.shared})
    told = [_resource(one, is_built_in=is_built_in) for one in names if not is_built_in or one in TYPES]
    return msgspec.Raw(msgspec.json.encode(told))


_OF_ANY, _OF_BUILT_IN = _resources(is_built_in=False), _resources(is_built_in=True)
