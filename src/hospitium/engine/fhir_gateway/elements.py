"""Which elements of a resource are always there, and which are in its summary, by FHIR R4's own profiles.

A table that is generated (`make definitions`), never edited; how it is drawn from FHIR's own files stands in tools/elements.py.
"""

from __future__ import annotations

from importlib.resources import files

import msgspec

from hospitium.engine.fhir_gateway.definitions import Source


class Elements(msgspec.Struct, frozen=True):
    """The elements of a type. `always`: those without which a resource would be none, or say something else; `choices`: the names,
    without `[x]`, of those that have one for each type of value; `summary`: names, and names below names."""

    always: tuple[str, ...]
    choices: tuple[str, ...]
    summary: tuple[str, ...]


class Table(msgspec.Struct, frozen=True):
    """The table. `digest`: SHA-256 of the rest of it."""

    digest: str
    source: Source
    types: dict[str, Elements]


WRITTEN = files(__package__).joinpath("elements.json")
ELEMENTS = msgspec.json.decode(WRITTEN.read_bytes(), type=Table).types
"""The elements of each type that may be shown."""
