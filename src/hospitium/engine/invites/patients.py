"""A patient that was found on a FHIR server: the proof that one was asked before the deed, and what is kept of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from hospitium.engine.errors import FhirServerWrong, Invalid

if TYPE_CHECKING:
    from uuid import UUID

    from hospitium.engine.fhir_servers.record import FhirServer

_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
LONGEST_IDENTIFIER = 400
_SUMMARY = ("resourceType", "id", "name", "gender", "birthDate")


class PatientFound(NamedTuple):
    """A patient as the FHIR server has it, and of which server, as that was when it was asked."""

    server_id: UUID
    server_version: int
    patient_id: str
    resource: dict[str, Any]

    @property
    def summary(self) -> dict[str, Any]:
        """What a proved invitee may see of it before he accepts (ruling 21)."""
        return {name: self.resource[name] for name in _SUMMARY if name in self.resource}


class IdentifierToken(NamedTuple):
    """What a patient is looked for by: the value of an identifier, of a system (None: whichever, "": of none; FHIR R4 §3.1.1.4.10)."""

    system: str | None
    value: str

    @property
    def parameter(self) -> str:
        """It as one value of a search parameter, whatever is in it (FHIR R4 §3.1.1.4.1: `,` `$` `|` and `\\` are escaped)."""
        parts = [self.value] if self.system is None else [self.system, self.value]
        return "|".join(re.sub(r"([\\,$|])", r"\\\1", part) for part in parts)


def patient_id(field: str, text: str) -> str:
    """Return the id of a patient as FHIR writes ids (R4 §2.24.0.1); Invalid for anything else, `.` and `..` too (threats F-02)."""
    if not _ID.fullmatch(text) or text in (".", ".."):
        raise Invalid(field, "must be an id of FHIR: 1 to 64 letters, digits, hyphens and dots")
    return text


def identifier_token(field: str, text: str) -> IdentifierToken:
    """Return what `system|value` or `value` stands for; the value is one, whatever is in it. Raises Invalid."""
    if len(text) > LONGEST_IDENTIFIER:
        raise Invalid(field, f"must be at most {LONGEST_IDENTIFIER} characters long")
    if not text.isprintable():
        raise Invalid(field, "must not contain control characters")
    system, bar, value = text.partition("|")
    if not bar:
        system, value = "", text
    if not value.strip():
        raise Invalid(field, "must name a value: system|value, or the value alone")
    return IdentifierToken(system.strip() if bar else None, value.strip())


def patient_found(server: FhirServer, resource: Any, field: str, wanted_id: str | None) -> PatientFound:
    """Return a patient that a FHIR server gave, if it is the one that was asked for (threats F-30).

    Raises FhirServerWrong (it isn't one, or another), Invalid (`field`: it is, and is not in use any more).
    """
    if not isinstance(resource, dict) or resource.get("resourceType") != "Patient":
        raise FhirServerWrong
    its_id = resource.get("id")
    if not isinstance(its_id, str) or not _ID.fullmatch(its_id) or its_id in (".", ".."):
        raise FhirServerWrong
    if wanted_id is not None and its_id != wanted_id:
        raise FhirServerWrong
    if resource.get("active") is False:
        raise Invalid(field, "names a patient whose record is not in use any more")
    links = resource.get("link")
    if (
        any(isinstance(one, dict) and one.get("type") == "replaced-by" for one in links if links)
        if isinstance(links, list)
        else False
    ):
        raise Invalid(field, "names a patient whose record was merged into another one")
    return PatientFound(server.id, server.version, its_id, resource)


def readable_name(summary: dict[str, Any]) -> str | None:
    """Return the name of a patient for people: the usual or official one, given names first."""
    names = [one for one in summary.get("name") or [] if isinstance(one, dict)]
    ranked = sorted(
        names,
        key=lambda one: (
            ("official", "usual").index(one["use"]) if one.get("use") in ("official", "usual") else 2
        ),
    )
    for one in ranked:
        text = one.get("text")
        if isinstance(text, str) and text.strip():
            return text.strip()
        given = one.get("given")
        parts = [part for part in given if isinstance(part, str)] if isinstance(given, list) else []
        family = one.get("family")
        if isinstance(family, str):
            parts.append(family)
        if parts:
            return " ".join(parts)
    return None
