"""What may be answered: whether a resource may be shown to somebody who may see certain patients, by what stands in it alone.

A resource is a patient's if it is about him, so that a child's data never comes with the parent who is named in it (threats F-03);
which element says that is in definitions.json. A type that isn't there is nobody's, and is never shown. All that a resource is about
must be the caller's, by plain references: whatever else stands there leads we don't know where.

Each resource that comes from another server, or from a store of ours, is asked about here before it goes on: an old version by what
it says itself, and what is contained in a resource along with it.
"""

from __future__ import annotations

import re
from itertools import chain
from typing import Any, TypeGuard

from hospitium.engine.fhir_gateway.definitions import DEFINITIONS, PATIENT

# Not shared, since one may be a patient's implant; contained in what is somebody's, it is as much his as any other part.
_CONTAINED_TOO = {"Device": "patient"}
_ABOUT = {name: kind.about.element for name, kind in DEFINITIONS.types.items() if name != PATIENT}
_MAY_BE_CONTAINED = _ABOUT | _CONTAINED_TOO

_ID = r"(?!\.+$)[A-Za-z0-9.-]{1,64}"
_IS_ID = re.compile(_ID, re.ASCII)
_RELATIVE = re.compile(rf"([A-Z][A-Za-z]{{1,63}})/({_ID})", re.ASCII)
# Types of resources that are people, or name some.
_PEOPLE = ("Patient", "RelatedPerson", "Person", "Group")
_TO_PEOPLE = re.compile(rf"urn:.*|(?:.*/)?(?:{'|'.join(_PEOPLE)})(?:[/?].*)?", re.DOTALL | re.IGNORECASE)


def patients_of(resource: dict[str, Any], *, base: str | None = None) -> frozenset[str]:
    """Return the ids of the patients a resource is about; none unless all that it is about are patients.

    `base`: the base URL of the server it is from, below which a reference is as good as a relative one.
    """
    if _type(resource) == PATIENT:
        id_ = resource.get("id")
        return frozenset([id_]) if _is_id(id_) else frozenset()
    element = _ABOUT.get(_type(resource))
    return frozenset() if element is None else _patients_in(resource.get(element), base)


def may_be_shown(
    resource: dict[str, Any], patients: frozenset[str] | None, *, base: str | None = None
) -> bool:
    """Whether a resource is about these patients and nobody else, and so is all that it contains; None: any patients."""
    if not _are_of(patients_of(resource, base=base), patients) or not _is_one(resource):
        return False
    return all(_belongs(one, patients, base) for one in _contained(resource))


def may_accompany(resource: dict[str, Any]) -> bool:
    """Whether a resource is about nobody, and so is all that it contains: it may be shown along with what refers to it."""
    return _is_shared(resource) and _is_one(resource) and all(map(_is_shared, _contained(resource)))


def referred(resource: dict[str, Any], *, base: str | None = None) -> frozenset[tuple[str, str]]:
    """Return type and id of the shared resources that one, which may be shown, refers to by plain references."""
    references: list[dict[str, Any]] = []
    _gather_references(resource, references)
    found = (_plain(one, base) for one in references)
    return frozenset(one for one in found if one is not None and one[0] in DEFINITIONS.shared)


def with_references_of_ours(resource: dict[str, Any], base: str) -> dict[str, Any]:
    """Return a resource in which what it refers to below its server's base URL is referred to by type and id alone, which is the same
    (https://hl7.org/fhir/R4/references.html#literal): whoever reads it here, reads what it leads to here."""
    found: dict[str, Any] = _relative(resource, f"{base.removesuffix('/')}/")
    return found


def _relative(value: Any, root: str) -> Any:
    if isinstance(value, list):
        return [_relative(one, root) if isinstance(one, _WITH_MEMBERS) else one for one in value]
    made = {
        name: _relative(member, root) if isinstance(member, _WITH_MEMBERS) else member
        for name, member in value.items()
    }
    written = made.get("reference")
    if isinstance(written, str) and written.startswith(root) and _RELATIVE.fullmatch(written[len(root) :]):
        made["reference"] = written[len(root) :]
    return made


def without_others(
    resource: dict[str, Any],
    patients: frozenset[str] | None,
    *,
    base: str | None = None,
    narrative: bool = True,
) -> dict[str, Any]:
    """Return a resource without the names and numbers that its references give to people who aren't these patients (threats F-36).

    That they are referred to is part of the record, and stays. `narrative`: whether the text for the eye stays, too. It does unless
    the operator says otherwise: FHIR lets it hold what stands nowhere else, and a record that lacks it without a word is a danger.
    """
    if narrative and (patients is None or not _names_another(resource, patients, base)):
        return resource
    return {
        name: _without(member, patients, base, narrative)
        for name, member in resource.items()
        if narrative or not _is_narrative(member)
    }


# -- whose ------------------------------------------------------------------------------------------------------------


def _patients_in(subjects: Any, base: str | None) -> frozenset[str]:
    found = [_plain(one, base) for one in (subjects if isinstance(subjects, list) else [subjects])]
    # Several, or none, of whom one isn't known for a patient: it is about somebody we can't name.
    if any(one is None or one[0] != PATIENT for one in found):
        return frozenset()
    return frozenset(one[1] for one in found if one is not None)


def _are_of(whose: frozenset[str], patients: frozenset[str] | None) -> bool:
    return bool(whose) and (patients is None or whose <= patients)


def _belongs(contained: Any, patients: frozenset[str] | None, base: str | None) -> bool:
    """Whether a contained resource is as much the caller's as what it is contained in: it has no life outside (F-04).

    One that says of nobody that it is about them, is about whom all of it is. A contained person is somebody, and we can't know who.
    """
    if _is_shared(contained):
        return True
    element = _MAY_BE_CONTAINED.get(_type(contained))
    if element is None:
        return False
    return element not in contained or _are_of(_patients_in(contained[element], base), patients)


def _is_shared(resource: Any) -> bool:
    return _type(resource) in DEFINITIONS.shared


# -- what a resource is -----------------------------------------------------------------------------------------------


def _is_one(resource: dict[str, Any]) -> bool:
    """Whether this is a resource with an id, and others are in it only where they may be: in `contained`, and in no other again."""
    contained = (one for one in _contained(resource) if isinstance(one, dict))
    elsewhere = (member for name, member in resource.items() if name != "contained")
    inside = (member for one in contained for member in one.values())
    return _is_id(resource.get("id")) and not any(map(_holds_another, chain(elsewhere, inside)))


def _holds_another(value: Any) -> bool:
    if isinstance(value, str):
        return False
    if isinstance(value, dict):
        return "resourceType" in value or any(map(_holds_another, value.values()))
    return isinstance(value, list) and any(map(_holds_another, value))


def _contained(resource: dict[str, Any]) -> list[Any]:
    contained = resource.get("contained", [])
    return contained if isinstance(contained, list) else [contained]


def _type(resource: Any) -> str:
    """Return the type that a resource says it is of; nothing if it says none."""
    type_ = resource.get("resourceType") if isinstance(resource, dict) else None
    return type_ if isinstance(type_, str) else ""


def _is_id(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and _IS_ID.fullmatch(value) is not None


# -- references -------------------------------------------------------------------------------------------------------


def _plain(reference: Any, base: str | None) -> tuple[str, str] | None:
    """Return type and id of what a Reference leads to on the same server, if it says just that."""
    if not isinstance(reference, dict) or not isinstance(reference.get("reference"), str):
        return None
    found = _RELATIVE.fullmatch(_below(reference["reference"], base))
    # It may say the type once more. If it says another, it is read one way by some and the other way by others.
    if found is None or reference.get("type", found[1]) != found[1]:
        return None
    return found[1], found[2]


def _below(written: str, base: str | None) -> str:
    return written if base is None else written.removeprefix(f"{base.removesuffix('/')}/")


_WITH_MEMBERS = (dict, list)


def _gather_references(value: Any, into: list[dict[str, Any]]) -> None:
    if isinstance(value, dict):
        if "reference" in value:
            into.append(value)
        for member in value.values():
            if isinstance(member, _WITH_MEMBERS):
                _gather_references(member, into)
    else:
        for member in value:
            if isinstance(member, _WITH_MEMBERS):
                _gather_references(member, into)


def _names_another(value: Any, patients: frozenset[str], base: str | None) -> bool:
    """Whether `_without` would leave anything out: of most resources it doesn't, and they need not be made anew."""
    if isinstance(value, dict):
        if _is_to_another(value, patients, base) and not value.keys().isdisjoint(_SAYS_MORE):
            return True
        value = value.values()
    for one in value:  # noqa: SIM110  a page is looked through a thousand times over: a generator costs half as much again
        if isinstance(one, _WITH_MEMBERS) and _names_another(one, patients, base):
            return True
    return False


def _without(value: Any, patients: frozenset[str] | None, base: str | None, narrative: bool) -> Any:
    if isinstance(value, list):
        return [_without(one, patients, base, narrative) for one in value]
    if not isinstance(value, dict):
        return value
    more = _SAYS_MORE if patients is not None and _is_to_another(value, patients, base) else ()
    return {
        name: _without(member, patients, base, narrative)
        for name, member in value.items()
        if name not in more and (narrative or not _is_narrative(member))
    }


# What names whom a Reference leads to.
_NAMES = ("display", "_display", "identifier")
_SAYS_MORE = (*_NAMES, "extension", "_reference", "_type")


def _is_to_another(value: dict[str, Any], patients: frozenset[str], base: str | None) -> bool:
    if "reference" not in value and "type" not in value:
        return False
    match _plain(value, base):
        case (str() as type_, id_) if type_ == PATIENT:
            return id_ not in patients
    written = value.get("reference")
    leads = isinstance(written, str) and _TO_PEOPLE.fullmatch(written) is not None
    # By a number, without an address; other things that have a type have no members of these names together.
    named = value.get("type") in _PEOPLE and not value.keys().isdisjoint(_NAMES)
    return leads or named


def _is_narrative(value: Any) -> bool:
    return isinstance(value, dict) and "div" in value
