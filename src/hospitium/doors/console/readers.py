"""Who looked: the reads of a person's patients, by day and by who read, so that a page of a record that was opened once is one line."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from litestar import Request, Response

from hospitium.doors.console import entrance, sessions
from hospitium.doors.console.languages import parameter
from hospitium.doors.console.rendering import page
from hospitium.doors.named_ids import path_id
from hospitium.doors.surroundings import surroundings
from hospitium.engine.ids import parse_id
from hospitium.engine.permissions import Permission
from hospitium.engine.persons import queries as person_queries
from hospitium.engine.reads import queries
from hospitium.engine.reads.record import Interaction

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from hospitium.engine.context import Context
    from hospitium.engine.persons.queries import PersonView
    from hospitium.engine.reads.queries import ReadView

MOST_SHOWN = 200
"""Reads on one page."""
KINDS = (
    "Patient", "Condition", "MedicationRequest", "MedicationStatement", "Immunization", "AllergyIntolerance", "Observation",
    "Encounter", "Procedure", "DiagnosticReport", "DocumentReference",
)  # fmt: skip
"""The types there are words of ours for; others are called what FHIR calls them."""


class Reader(NamedTuple):
    """Who read at one place: an account (`is_you`: one's own), or a program (`is_program`); for which organization, if for one."""

    name: str
    is_you: bool
    is_program: bool
    organization: str
    at: str
    was_refused: bool


class What(NamedTuple):
    """What was read: the key of a text of ours, or else what FHIR calls it; and how many resources were shown."""

    key: str | None
    called: str
    shown: int


class Look(NamedTuple):
    """What somebody read on a day, and from when until when."""

    reader: Reader
    what: list[What]
    first: datetime
    last: datetime


class Day(NamedTuple):
    """What was read on a day (UTC), by whom; the newest first."""

    day: str
    looks: list[Look]


async def list_reads(request: Request[Any, Any, Any]) -> Response[bytes]:
    """List who looked at the records of a person, all of them, page by page."""
    person_id = path_id(request, "id", "person")
    before = parse_id(parameter(request, "before"))
    if await sessions.visitor(request) is None:
        return entrance.asked(request, request.scope["path"])

    async def deed(ctx: Context) -> tuple[PersonView, list[ReadView], UUID | None]:
        view = await person_queries.find(ctx, person_id)
        return view, await newest(ctx, person_id, MOST_SHOWN + 1, before), ctx.actor.account_id

    whom, found, own_id = await surroundings(request).work.perform(
        request, Permission.SEE_READS, deed, about=person_id
    )
    shown = found[:MOST_SHOWN]
    return page(
        request,
        "reads.html",
        whom=whom,
        days=days(shown, own_id),
        before=before,
        older=shown[-1].id if len(found) > MOST_SHOWN else None,
    )


async def newest(ctx: Context, person_id: UUID, most: int, before: UUID | None = None) -> list[ReadView]:
    """Return the newest reads of a person's patients; those before one of them, if one is named. Raises NotFound."""
    return await queries.of_person(ctx, person_id, before, most)


def days(reads: Sequence[ReadView], own_id: UUID | None) -> list[Day]:
    """Return reads, the newest first, by day and by who read where."""
    found: dict[str, dict[Reader, list[ReadView]]] = {}
    for one in reads:
        found.setdefault(one.at.date().isoformat(), {}).setdefault(_reader(one, own_id), []).append(one)
    return [
        Day(day, [_look(reader, of_reader) for reader, of_reader in by_reader.items()])
        for day, by_reader in found.items()
    ]


def _reader(one: ReadView, own_id: UUID | None) -> Reader:
    names = (one.reader_first_name, one.reader_last_name)
    return Reader(
        " ".join(name for name in names if name),
        one.reader_id is not None and one.reader_id == own_id,
        one.reader_id is None,
        one.for_organization_name or "",
        one.organization_name,
        one.refused is not None,
    )


def _look(reader: Reader, reads: list[ReadView]) -> Look:
    counts: Counter[tuple[str | None, str]] = Counter()
    for one in reads:
        # In all, be they the same ones again: that they were looked at twice is to be seen.
        counts[_called(one)] += one.count or 0
    what = [What(key, called, count) for (key, called), count in counts.items()]
    return Look(reader, what, min(one.at for one in reads), max(one.at for one in reads))


def _called(one: ReadView) -> tuple[str | None, str]:
    if one.interaction is Interaction.EVERYTHING:
        return "reads.everything", ""
    if one.type is None:
        return "reads.something", ""
    return (f"reads.what.{one.type}" if one.type in KINDS else None), one.type
