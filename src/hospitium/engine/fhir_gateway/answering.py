"""How what may be shown is answered: what `_elements` and `_summary` leave of it, in a Bundle of ours, in bytes of ours.

All of it comes after the check (compartments.py): a server that was asked to leave something out could leave out whom a resource is
about (threats F-10). Nothing here depends on the time, or on what else there is, so that equal answers are equal to the byte.
"""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from hospitium.engine.fhir_gateway.elements import ELEMENTS, Elements

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# https://hl7.org/fhir/R4/resource.html#simple-tags
SUBSETTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}
_OF_EVERY_TYPE = ("resourceType", "id", "meta", "implicitRules", "modifierExtension")
_NOTHING = Elements((), (), ())
_LONGEST_NAME = 64  # characters of the name of an element
_TREES = 512  # that are kept: callers can name elements in any number of ways


def only(resource: dict[str, Any], elements: Sequence[str] | None, summary: str | None) -> dict[str, Any]:
    """Return what `_elements` and `_summary` (true, text, data, false) leave of a resource that was checked, marked as less than all.

    `_elements` names elements by their own name, or a choice (`value`) whatever its type is. What is mandatory, and what changes the
    meaning of the rest, is left by all: an allergy without the status that says it was refuted would be one.
    """
    if elements is None and summary in (None, "false"):
        return resource
    kind = ELEMENTS.get(resource["resourceType"], _NOTHING)
    left = _summarized(resource, kind, summary)
    if elements is not None:
        named = frozenset((*elements, *(f"{name}[x]" for name in kind.choices if name in elements)))
        left = _left(left, _tree((*sorted(named), *kind.always)))
    if "contained" in resource and "contained" not in left and _refers_inside(left):
        left["contained"] = resource["contained"]
    return _marked(left)


def bundle(
    resources: Iterable[dict[str, Any]],
    *,
    base: str,
    self_link: str,
    next_link: str | None,
    total: int | None,
    included: Iterable[dict[str, Any]] = (),
) -> dict[str, Any]:
    """Return the searchset of resources that were checked. `base`: the public base URL below which they are.

    `total`: of all that the caller may see and nothing else, where that is known. `included`: what wasn't searched for, and goes along.
    """
    links = [{"relation": "self", "url": self_link}]
    if next_link is not None:
        links.append({"relation": "next", "url": next_link})
    entries = [
        *(_entry(one, base, "match") for one in resources),
        *(_entry(one, base, "include") for one in included),
    ]
    return {
        "resourceType": "Bundle",
        "type": "searchset",
        **({} if total is None else {"total": total}),
        "link": links,
        **({"entry": entries} if entries else {}),  # FHIR has no empty lists
    }


_ENCODER = msgspec.json.Encoder(decimal_format="number")
_DECODER = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)


def encode(resource: dict[str, Any]) -> bytes:
    """Return a resource as JSON text: what was read and checked, and no byte of how it came; decimals digit for digit."""
    return _ENCODER.encode(resource)


def decode(body: str) -> dict[str, Any]:
    """Read a resource that is kept here, decimals digit for digit. (What comes from elsewhere is read by engine/json_text.py.)"""
    return _DECODER.decode(body)


def _entry(resource: dict[str, Any], base: str, mode: str) -> dict[str, Any]:
    url = f"{base.removesuffix('/')}/{resource['resourceType']}/{resource['id']}"
    return {"fullUrl": url, "resource": resource, "search": {"mode": mode}}


# -- what is left -----------------------------------------------------------------------------------------------------


class _Tree(NamedTuple):
    """What is left of something. `inner`: of members of which a part is; `whole`: members that are left, choices as `value[x]`."""

    inner: dict[str, _Tree]
    whole: frozenset[str]


def _summarized(resource: dict[str, Any], kind: Elements, summary: str | None) -> dict[str, Any]:
    match summary:
        case None | "false":
            return resource
        case "data":
            return {name: member for name, member in resource.items() if name not in ("text", "_text")}
        case "text":
            return _left(resource, _tree((*kind.always, "text")))
        case "true":
            return _left(resource, _tree(kind.summary))
        case _:
            raise ValueError(f"_summary={summary} leaves no resources")


@lru_cache(_TREES)
def _tree(paths: tuple[str, ...]) -> _Tree:
    below: dict[str, list[str]] = {}
    for path in paths:
        name, _, rest = path.partition(".")
        below.setdefault(name, []).append(rest)
    inner = {name: _tree((*rests, "modifierExtension")) for name, rests in below.items() if "" not in rests}
    return _Tree(inner, frozenset(below) - inner.keys())


def _left(resource: dict[str, Any], tree: _Tree) -> dict[str, Any]:
    return {
        name: part
        for name, member in resource.items()
        if (part := member if name in _OF_EVERY_TYPE else _part(name, member, tree)) is not None
    }


def _part(name: str, member: Any, tree: _Tree) -> Any:
    """Return what is left of a member, or None. What FHIR says of a primitive value besides (`_birthDate`) goes with the value."""
    element = name.removeprefix("_")
    inner = tree.inner.get(element)
    if inner is None:
        return member if element in tree.whole or _is_choice(element, tree) else None
    if isinstance(member, list):
        return [_parts(one, inner) for one in member]
    return _parts(member, inner)


def _parts(value: Any, tree: _Tree) -> Any:
    if not isinstance(value, dict):
        return value
    return {name: part for name, member in value.items() if (part := _part(name, member, tree)) is not None}


def _is_choice(element: str, tree: _Tree) -> bool:
    """Whether an element is one of a choice that is left, as `valueQuantity` is of `value[x]`."""
    if len(element) > _LONGEST_NAME:  # none of FHIR's; each of its capitals would cost its length
        return False
    starts = (end for end, sign in enumerate(element) if sign.isupper())
    return any(f"{element[:end]}[x]" in tree.whole for end in starts)


def _refers_inside(value: Any) -> bool:
    if isinstance(value, list):
        return any(map(_refers_inside, value))
    if not isinstance(value, dict):
        return False
    reference = value.get("reference")
    return (isinstance(reference, str) and reference.startswith("#")) or any(
        map(_refers_inside, value.values())
    )


def _marked(resource: dict[str, Any]) -> dict[str, Any]:
    given = resource.get("meta")
    meta = given if isinstance(given, dict) else {}
    tags = meta.get("tag")
    tags = tags if isinstance(tags, list) else []
    if SUBSETTED not in tags:
        meta = {**meta, "tag": [*tags, SUBSETTED]}
    return {"resourceType": resource["resourceType"], "id": resource["id"], **resource, "meta": meta}
