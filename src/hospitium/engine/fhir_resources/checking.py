"""What a resource must be to be kept, and all that is made of it before any transaction is opened."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

import msgspec

from hospitium.engine.errors import Invalid
from hospitium.engine.fhir_resources.drawing import Drawn, draw
from hospitium.engine.fhir_resources.parameters import TYPES, ResourceType
from hospitium.engine.fhir_resources.references import name_of, translate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hospitium.engine.fhir_resources.reading import Given
    from hospitium.engine.fhir_resources.references import Together

LARGEST = 2_000_000  # bytes of one resource
_TYPE = re.compile(r"[A-Z][A-Za-z]{1,63}", re.ASCII)
_ID = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9.-]{1,64}", re.ASCII)
_ENCODER = msgspec.json.Encoder(decimal_format="number", order="sorted")
# What a server says of its own copy; ours is said by columns.
_OF_THE_SERVER = ("versionId", "lastUpdated")


class Prepared(msgspec.Struct, frozen=True):
    """A resource that may be kept, with all that is kept of it. `leading_nowhere`: how many of its `urn:` references stayed."""

    type: str
    id: str
    body: str
    digest: bytes
    drawn: Drawn
    leading_nowhere: int


def is_id(text: str) -> bool:
    """Whether a text is an id of FHIR, and no step of a path."""
    return _ID.fullmatch(text) is not None


def prepare(given: Iterable[Given], among: Together) -> Iterator[Prepared]:
    """Check resources and make ready what is kept of them, one at a time, each resource once.

    `among`: all that is loaded together, which `given` is, in the same order. Where several files give the same resource (its
    practitioner is in the file of each patient), the last one counts. Raises Invalid.
    """
    for number, one in enumerate(given):
        prepared = _prepared(one, among.leading)
        if among.last.get(name_of(one)) == number:
            yield prepared


def _prepared(given: Given, leading: dict[str, str]) -> Prepared:
    where, _, resource = given
    kind = _type_of(where, resource)
    resource_id = resource.get("id")
    if not isinstance(resource_id, str) or not is_id(resource_id):
        raise Invalid(
            f"{where}id", "must be 1 to 64 letters, digits, dots and dashes, and not only a dot or two"
        )
    leading_nowhere = translate(resource, where, leading)
    kept = _without_the_servers(where, resource)
    body = _ENCODER.encode(kept)
    if len(body) > LARGEST:
        raise Invalid(where.rstrip(".: "), f"must be at most {LARGEST:,} bytes long")
    drawn = draw(kind, kept)
    if len(drawn.patients) > 1 and not kind.may_be_of_several:
        raise Invalid(where.rstrip(".: "), "names several patients where FHIR has one")
    return Prepared(
        kind.name,
        resource_id,
        body.decode(),
        hashlib.blake2b(body, digest_size=16).digest(),
        drawn,
        leading_nowhere,
    )


def _type_of(where: str, resource: dict[str, Any]) -> ResourceType:
    name = resource.get("resourceType")
    if not isinstance(name, str) or not _TYPE.fullmatch(name):
        raise Invalid(f"{where}resourceType", "must be the name of a type of resource")
    if name not in TYPES:
        raise Invalid(f"{where}resourceType", f"is {name}, which is no type of resource that is kept here")
    return TYPES[name]


def _without_the_servers(where: str, resource: dict[str, Any]) -> dict[str, Any]:
    meta = resource.get("meta")
    if meta is None:
        return {name: member for name, member in resource.items() if name != "meta"}
    if not isinstance(meta, dict):
        raise Invalid(f"{where}meta", "must be an object")
    kept = {name: member for name, member in meta.items() if name not in _OF_THE_SERVER}
    return {**resource, "meta": kept} if kept else {k: v for k, v in resource.items() if k != "meta"}
