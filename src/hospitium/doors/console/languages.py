"""In which language a page is, and how an instant and a role are written in it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from hospitium.engine.accounts.record import Language
from hospitium.engine.actor import Role

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from litestar import Request

NAMES = {Language.ENGLISH: "English", Language.SPANISH: "Español"}
MOST_PARTS = 20
_DAY = re.compile(r"([0-9]{4})(?:-(0[1-9]|1[0-2])(?:-([0-9]{2}))?)?")
_MONTHS = {
    Language.ENGLISH: ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"),
    Language.SPANISH: ("enero", "febrero", "marzo", "abril", "mayo", "junio", "julio", "agosto", "septiembre", "octubre", "noviembre", "diciembre"),
}  # fmt: skip
_ROLES = {
    Language.ENGLISH: {
        Role.ADMIN: "administrator",
        Role.PHYSICIAN: "physician",
        Role.ADMIN_STAFF: "administrative staff",
        Role.SCHEDULER: "scheduler",
        Role.RADIOLOGIST: "radiologist",
        Role.TRIAL_PHYSICIAN: "trial physician",
        Role.MEMBER: "member",
    },
    Language.SPANISH: {
        Role.ADMIN: "administración",
        Role.PHYSICIAN: "personal médico",
        Role.ADMIN_STAFF: "personal administrativo",
        Role.SCHEDULER: "programación de citas",
        Role.RADIOLOGIST: "radiología",
        Role.TRIAL_PHYSICIAN: "personal médico de ensayos",
        Role.MEMBER: "miembro",
    },
}


def language_of(request: Request[Any, Any, Any]) -> Language:
    """Return the language that was chosen (`?lang=`), else the one the browser likes best of ours, else English."""
    chosen = parameter(request, "lang")
    if chosen in NAMES:
        return Language(chosen)
    liked = sorted(_liked(request.headers.get("accept-language", "")), key=lambda one: -one[0])
    return next((language for _, language in liked), Language.ENGLISH)


def parameter(request: Request[Any, Any, Any], name: str) -> str:
    """Return a parameter of the query, empty if it isn't there once or can't be read: a page is shown all the same."""
    try:
        query = request.scope["query_string"].decode("ascii")
        values = parse_qs(query, errors="strict", max_num_fields=MOST_PARTS).get(name, [])
    except ValueError:
        return ""
    return values[0] if len(values) == 1 else ""


def instant(when: datetime, language: Language) -> str:
    """Return an instant as people of a language write it, and of which clock it is."""
    month = _MONTHS[language][when.month - 1]
    if language is Language.SPANISH:
        return f"{when.day} de {month} de {when.year}, {when:%H:%M} UTC"
    return f"{month} {when.day}, {when.year}, {when:%H:%M} UTC"


def day(said: str, language: Language) -> str:
    """Return a date of FHIR (YYYY, YYYY-MM or YYYY-MM-DD; R4 §2.24.0.1) as people of a language write it; anything else as it is."""
    found = _DAY.fullmatch(said)
    if found is None:
        return said
    year, month, number = found.groups()
    if month is None:
        return year
    name = _MONTHS[language][int(month) - 1]
    if language is Language.SPANISH:
        return f"{name} de {year}" if number is None else f"{int(number)} de {name} de {year}"
    return f"{name} {year}" if number is None else f"{name} {int(number)}, {year}"


def role(which: Role, language: Language) -> str:
    """Return what a role is called, as the mails call it."""
    return _ROLES[language][which]


def _liked(header: str) -> Iterator[tuple[float, Language]]:
    """Yield those of our languages that an Accept-Language header names, and how much each is liked."""
    for part in header.split(",")[:MOST_PARTS]:
        tag, _, weight = part.partition(";")
        language = tag.strip().lower().partition("-")[0]
        try:
            liking = float(weight.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
        if language in NAMES and liking > 0:
            yield liking, Language(language)
