"""Whether a patient on a FHIR server is still who he was, as far as the server says (threats F-20)."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class Departure(StrEnum):
    """That a patient isn't who he was: his record is gone, was merged into another's, or is no longer used."""

    GONE = "gone"
    MERGED = "merged"
    INACTIVE = "inactive"


def departure(patient: Mapping[str, Any]) -> Departure | None:
    """Return what a Patient says of itself that makes it somebody's no longer; None if it says nothing of the kind."""
    links = patient.get("link")
    if isinstance(links, list) and any(
        isinstance(link, dict) and link.get("type") == "replaced-by" for link in links
    ):
        return Departure.MERGED
    return Departure.INACTIVE if patient.get("active") is False else None
