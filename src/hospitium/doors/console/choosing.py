"""For whom an invite is accepted: one of the persons one administers, or one that is made, as the inviter knows it."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from hospitium.engine.errors import Invalid
from hospitium.engine.ids import FIRST_ID, parse_id
from hospitium.engine.invites.patients import readable_name
from hospitium.engine.levels import Level
from hospitium.engine.persons import actions, queries
from hospitium.engine.persons.forms import PersonForm
from hospitium.engine.persons.record import Gender, Relationship

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from hospitium.engine.context import Context
    from hospitium.engine.persons.queries import PersonView

T = TypeVar("T", bound=StrEnum)
NEW = "new"
FIELDS = ("person", "relationship", "first_name", "middle_name", "last_name", "gender", "birth_date")
MOST_SHOWN = 100
_WHOLE_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class NewPerson(NamedTuple):
    """A person that is to be made, and what it is to whoever makes it."""

    form: PersonForm
    relationship: Relationship


async def persons_of_actor(ctx: Context) -> list[PersonView]:
    """Return the persons that the actor administers, at most a hundred."""
    return [one for one in await queries.seen(ctx, FIRST_ID, MOST_SHOWN) if one.role.level >= Level.DELETE]


def chosen(given: Mapping[str, str]) -> UUID | NewPerson:
    """Return whom a form names. Raises Invalid, naming its field."""
    named = given.get("person", "")
    if named == NEW:
        return NewPerson(
            PersonForm(
                first_name=given.get("first_name", ""),
                middle_name=given.get("middle_name"),
                last_name=given.get("last_name", ""),
                gender=_one_of(Gender, "gender", given),
                birth_date=given.get("birth_date"),
            ),
            _one_of(Relationship, "relationship", given),
        )
    found = parse_id(named)
    if found is None:
        raise Invalid("person", "must be chosen")
    return found


async def settled(ctx: Context, choice: UUID | NewPerson) -> UUID:
    """Return the id of whom was chosen, who is made now if it is to be. Raises Invalid."""
    if not isinstance(choice, NewPerson):
        return choice
    return (await actions.create(ctx, choice.form, choice.relationship)).person.id


def as_known(summary: Mapping[str, Any]) -> dict[str, str]:
    """Return what a form begins with: what the inviter knows of the patient, as far as it has the form that a person's has."""
    names = [one for one in _list(summary.get("name")) if isinstance(one, dict)]
    name: dict[str, Any] = min(names, key=_rank) if names else {}
    given = [part for part in _list(name.get("given")) if isinstance(part, str)]
    birth_date = summary.get("birthDate")
    found = {
        "first_name": given[0] if given else "",
        "middle_name": " ".join(given[1:]),
        "last_name": name.get("family"),
        "gender": summary.get("gender") if summary.get("gender") in tuple(Gender) else "",
        "birth_date": birth_date if isinstance(birth_date, str) and _WHOLE_DATE.fullmatch(birth_date) else "",
    }
    return {field: value if isinstance(value, str) else "" for field, value in found.items()}


def name_of(summary: Mapping[str, Any]) -> str:
    """Return what a patient is called, as far as its FHIR server says."""
    return readable_name({"name": _list(summary.get("name"))}) or ""


def _rank(name: Mapping[str, Any]) -> int:
    return {"official": 0, "usual": 1}.get(str(name.get("use")), 2)


def _list(found: Any) -> list[Any]:
    return found if isinstance(found, list) else []


def _one_of(kind: type[T], field: str, given: Mapping[str, str]) -> T:
    try:
        return kind(given.get(field, ""))
    except ValueError:
        raise Invalid(field, "must be chosen") from None
