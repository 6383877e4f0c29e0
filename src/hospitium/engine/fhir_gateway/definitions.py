"""What FHIR R4 says of its types of resources, as far as it is allowed here: a table that is generated (`make definitions`), never edited.

A type is here for one of two reasons: its resources are about a patient, or they are shared by all and about nobody. What is not here
is denied, whatever it is. Why which type is or isn't here, is said where the table is made: tools/definitions.py.
"""

from __future__ import annotations

from enum import StrEnum
from functools import cached_property
from importlib.resources import files

import msgspec

PATIENT = "Patient"
ANY_TYPE = "Resource"  # among the targets of a reference: it may lead to any type


class Kind(StrEnum):
    """What a parameter compares, as FHIR calls it."""

    TOKEN = "token"  # noqa: S105  a kind of parameter, not a secret
    REFERENCE = "reference"
    DATE = "date"
    STRING = "string"
    NUMBER = "number"
    QUANTITY = "quantity"
    URI = "uri"


class About(msgspec.Struct, frozen=True):
    """Which patient a resource is about (subject-only: threats F-03, F-04).

    `element`: where the resource says it; `several`: whether the element repeats; `parameter`: the search parameter that narrows a
    search to patients; `names`: all parameters that look at this element and no other.
    """

    element: str
    several: bool
    parameter: str
    names: tuple[str, ...]


class ResourceType(msgspec.Struct, frozen=True, dict=True):
    """A type whose resources are about patients, and the search parameters that may be used, besides those in `about`.

    `compartment`: the parameters by which FHIR's own, wider patient compartment is made, with their expressions; `by_kind`: the
    parameters but the references; `references`: these, each with the types it may lead to.
    """

    about: About
    compartment: dict[str, str]
    by_kind: dict[Kind, tuple[str, ...]] = msgspec.field(name="parameters")
    references: dict[str, tuple[str, ...]]

    @cached_property
    def parameters(self) -> dict[str, Kind]:
        """The search parameters that may be used, by name."""
        named = {name: kind for kind, names in self.by_kind.items() for name in names}
        return dict(sorted((named | dict.fromkeys(self.references, Kind.REFERENCE)).items()))


class Source(msgspec.Struct, frozen=True):
    """From what the table was made: `sha256` is of the package as it is published."""

    package: str
    version: str
    fhir: str
    sha256: str


class Definitions(msgspec.Struct, frozen=True):
    """The table. `digest`: SHA-256 of the rest of it; `known`: every type of FHIR R4; `shared`: those that are about nobody, and may be
    read where a resource that may be shown refers to them; `types`: those that are about patients; `denied`: why others aren't, that
    one might expect here."""

    digest: str
    source: Source
    known: frozenset[str]
    shared: frozenset[str]
    denied: dict[str, str]
    types: dict[str, ResourceType]


WRITTEN = files(__package__).joinpath("definitions.json")
DEFINITIONS = msgspec.json.decode(WRITTEN.read_bytes(), type=Definitions)
