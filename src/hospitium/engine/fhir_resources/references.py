"""Where the `urn:uuid:` references of Bundles lead: to the type and id of the resource that the Bundle gives that address.

https://hl7.org/fhir/R4/bundle.html#references. What is loaded together refers to each other, across files too; conditional
references (`Practitioner?identifier=…`), and such as lead to nothing that is loaded along with them, stay as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from hospitium.engine.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hospitium.engine.fhir_resources.reading import Given

DEEPEST_NESTING = 64
_URN = "urn:"
_NO_NUL = "must not contain NUL characters"


class Together(NamedTuple):
    """What is loaded together: where addresses lead, such as `Patient/a`, and of each resource which one given is its last."""

    leading: dict[str, str]
    last: dict[str, int]


def together(given: Iterable[Given]) -> Together:
    """Look through all that is loaded together, in its order. Raises Invalid (one address leads to two resources)."""
    found = Together({}, {})
    for number, one in enumerate(given):
        name = name_of(one)
        found.last[name] = number
        if one.full_url is not None and found.leading.setdefault(_same(one.full_url), name) != name:
            place = one.where.removesuffix("resource.")
            raise Invalid(f"{place}fullUrl", "is the address of another resource already")
    return found


def name_of(given: Given) -> str:
    """Return the type and id of a resource as a reference has them. Whether they are any, is looked at later."""
    return f"{given.resource.get('resourceType')}/{given.resource.get('id')}"


def translate(resource: dict[str, Any], where: str, leading: dict[str, str]) -> int:
    """Put `Type/id` in the place of each address a resource refers to; return how many `urn:` lead nowhere.

    Looks at every member on the way: Invalid if they nest too deeply or hold a NUL, which the database can't keep.
    """
    return _translate(resource, where, leading, 1)


def _translate(value: dict[str, Any], where: str, leading: dict[str, str], depth: int) -> int:
    nowhere = 0
    for name, member in value.items():
        if "\0" in name:
            raise Invalid(_whole(where), _NO_NUL)
        if name == "reference" and type(member) is str:
            leads_to = leading.get(_same(member))
            if leads_to is not None:
                value[name] = leads_to  # a member that is there: the walk goes on undisturbed
                continue
            nowhere += member.startswith(_URN)
        nowhere += _look(member, where, leading, depth + 1)
    return nowhere


def _look(value: Any, where: str, leading: dict[str, str], depth: int) -> int:
    kind = type(value)
    if kind is str:
        if "\0" in value:
            raise Invalid(_whole(where), _NO_NUL)
        return 0
    if kind is not dict and kind is not list:
        return 0
    if depth > DEEPEST_NESTING:
        raise Invalid(_whole(where), f"must not be nested deeper than {DEEPEST_NESTING}")
    if kind is dict:
        return _translate(value, where, leading, depth)
    return sum([_look(one, where, leading, depth + 1) for one in value])


def _whole(where: str) -> str:
    return where.rstrip(".: ")


def _same(address: str) -> str:
    return address.lower() if address[:4].lower() == _URN else address
