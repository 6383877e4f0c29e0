"""What can be asked of a FHIR server, each on top of the one way in (`doors/reading.py`): one resource, a search, all of a patient.

A page holds what was checked and nothing else, and how many there are in all is counted among what may be shown (threats F-07): what a
FHIR server counts could count what isn't the caller's.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import msgspec

from hospitium.doors.reading import Shown
from hospitium.engine.errors import FhirServerWrong, Invalid, NotFound
from hospitium.engine.fhir_gateway.answering import only
from hospitium.engine.fhir_gateway.asking import COUNT, FORMATS, LAST_UPDATED, Asked, ask, narrowed
from hospitium.engine.fhir_gateway.definitions import DEFINITIONS, PATIENT
from hospitium.engine.fhir_resources.search import LARGEST_COUNT
from hospitium.engine.json_text import printable
from hospitium.engine.suspensions.record import SuspensionReason
from hospitium.outside.fhir_departures import Departure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hospitium.doors.reading import Sight, Sought, Source

Pairs: TypeAlias = "Sequence[tuple[str, str]]"
ENOUGH = 2 * 1024 * 1024
"""Bytes of one patient's resources, after which no more are asked for: they are held until all of it is answered."""
MOST_COUNTED = 2_000  # resources, which are looked at one by one
_HOW = ("_format", "_elements", "_summary")  # a read is answered


class Page(NamedTuple):
    """Resources as they are shown. `place`: a plain value that says where the next page begins; `total`: of what may be shown, if it is
    known; `incomplete`: what of it the FHIR server didn't give, in our words."""

    resources: Sequence[dict[str, Any]]
    place: list[Any] | None = None
    total: int | None = None
    incomplete: Sequence[str] = ()


_CUT = "The FHIR server has more, and doesn't say where; what is here may not be all"


async def read_one(source: Source, sight: Sight, type_: str, id_: str, pairs: Pairs) -> Shown[dict[str, Any]]:
    """Read a resource by type and id. Raises Invalid, NotFound."""
    if type_ in DEFINITIONS.shared:
        return await _read_shared(source, sight, type_, id_, pairs)
    asked = ask(type_, pairs)
    for name, _ in pairs:
        if name not in _HOW:
            raise Invalid(printable(name), "is for searches")
    if asked.summary == COUNT:
        raise Invalid("_summary", "counts what a search finds")
    if type_ == PATIENT and sight.within is not None and id_ not in sight.within:
        raise NotFound("resource")
    found = await source.read(type_, id_)
    if isinstance(found, Departure):
        departed = ((id_, SuspensionReason.GONE),) if type_ == PATIENT else ()
        return Shown(None, departed=departed)
    shown = None if found is None else sight.of(found)
    if shown is None:
        return Shown(None)
    return Shown(only(shown, asked.elements, asked.summary), [shown], sight.departed([shown]))


async def _read_shared(
    source: Source, sight: Sight, type_: str, id_: str, pairs: Pairs
) -> Shown[dict[str, Any]]:
    for name, value in pairs:
        if name != "_format" or value not in FORMATS:
            raise Invalid(printable(name), "is not served for this type but _format=json")
    if not sight.may_see_shared:
        raise NotFound("resource")
    found = await source.read(type_, id_)
    shown = sight.of_shared(found) if isinstance(found, dict) else None
    return Shown(None) if shown is None else Shown(shown, [shown])


async def search(
    source: Source, sight: Sight, type_: str, pairs: Pairs, place: list[Any] | None
) -> Shown[Page]:
    """Search resources of a type; `place`: of which page. Raises Invalid, whose field is the parameter (or `_page`)."""
    asked = ask(type_, pairs)
    whom = narrowed(asked, sight.within)
    tried = frozenset() if whom is None or asked.patients is None else asked.patients - whom
    if whom is not None and not whom:
        return Shown(Page((), None, 0), tried=tried)
    if asked.summary == COUNT:
        counted, left_out = await _count(source, sight, asked, whom)
        if counted is None:
            raise Invalid("_summary", f"counts at most {MOST_COUNTED:,} resources; ask for less")
        return Shown(Page((), None, counted), asked_about=whom or frozenset(), left_out=left_out, tried=tried)
    sought, shown, left_out = await page_of(source, sight, asked, whom, _following(place, whom))
    total = None
    if place is None and sought.following is None and not sought.is_cut:
        total = len(shown)
    elif asked.total in ("estimate", "accurate"):
        total, _ = await _count(source, sight, asked, whom)
    page = Page(
        [only(one, asked.elements, asked.summary) for one in shown],
        None if sought.following is None else [_mark(whom), sought.following],
        total,
        (_CUT,) if sought.is_cut else (),
    )
    # Of whom there is nothing, or how many there are in all, is told of him, too.
    told = frozenset() if asked.patients is None and total is None else whom or frozenset()
    return Shown(page, shown, sight.departed(shown), told, left_out, tried)


async def everything(
    source: Source, sight: Sight, patient_id: str, pairs: Pairs, place: list[Any] | None
) -> Shown[Page]:
    """Read all that is about one patient, type by type (https://hl7.org/fhir/R4/patient-operation-everything.html), without what it
    refers to. Raises Invalid, NotFound."""
    whom = frozenset([patient_id])
    if sight.within is not None and patient_id not in sight.within:
        raise NotFound("resource")
    wanted = _wanted(source, pairs)
    at, following = (0, None) if place is None else _place_in(wanted, _following(place, whom))
    shown: list[dict[str, Any]] = []
    left_out = size = 0
    incomplete: list[str] = []
    for _ in range(source.most_asked):
        if at == len(wanted):
            break
        asked = msgspec.structs.replace(wanted[at], patients=whom)
        try:
            sought, found, others = await page_of(source, sight, asked, whom, following)
        except FhirServerWrong:
            # Some have never heard of a type, and say so in any number of ways. That it is missing isn't hidden.
            if asked.type == PATIENT:
                raise
            incomplete.append(f"The FHIR server gave no {asked.type} resources that can be used")
            at, following = at + 1, None
            continue
        left_out += others
        size += sought.size
        if asked.type == PATIENT and not found:
            return await _who_is_not_found(source, patient_id)
        shown += found
        if sought.is_cut:
            incomplete.append(_CUT)
        following = sought.following
        at += following is None
        if len(shown) >= asked.count or size >= ENOUGH:
            break
    page = Page(shown, None if at == len(wanted) else [_mark(whom), [at, following]], None, incomplete)
    return Shown(page, shown, sight.departed(shown), left_out=left_out)


async def _who_is_not_found(source: Source, patient_id: str) -> Shown[Page]:
    """Find out whether a patient whom no search finds was there once, which a read says, and a search doesn't."""
    is_gone = await source.read(PATIENT, patient_id) is Departure.GONE
    return Shown(None, departed=((patient_id, SuspensionReason.GONE),) if is_gone else ())


def _wanted(source: Source, pairs: Pairs) -> list[Asked]:
    """Return what has to be asked for, the patient himself first."""
    said = dict(pairs)
    if len(said) < len(pairs):
        raise Invalid("search", "has a parameter twice")
    for name in said:
        if name not in ("_count", "_since", "_type", "_format"):
            raise Invalid(printable(name), "is not served here; _count, _since, _type and _format are")
    types = sorted(source.types - {PATIENT})
    if "_type" in said:
        named = frozenset(said.pop("_type").split(","))
        if not named <= DEFINITIONS.types.keys():
            raise Invalid("_type", "must be types of resources that are about patients, with commas between")
        types = [one for one in types if one in named]
    since = said.pop("_since", None)
    how = list(said.items())
    himself = ask(PATIENT, how)
    if himself.summary == COUNT:
        raise Invalid("_count", "must be a whole number, at least 1")
    wanted = [himself]
    try:
        return wanted + [
            ask(one, how if since is None else [*how, (LAST_UPDATED, f"ge{since}")]) for one in types
        ]
    except Invalid as reason:
        raise Invalid("_since" if reason.field == LAST_UPDATED else reason.field, reason.reason) from None


# -- pages ---------------------------------------------------------------------------------------------------------------


def _of(sought: Sought, sight: Sight, asked: Asked) -> tuple[list[dict[str, Any]], int]:
    """Return what may be shown of what was found, and how much else there was."""
    seen = (sight.of(one, asked.patients) for one in sought.resources)
    shown = [one for one in seen if one is not None]
    return shown, sought.left_out + len(sought.resources) - len(shown)


async def page_of(
    source: Source, sight: Sight, asked: Asked, whom: frozenset[str] | None, following: Any
) -> tuple[Sought, list[dict[str, Any]], int]:
    """Return a page, what of it may be shown, and how much else there was.

    What may not be shown leaves no trace where it can be helped: neither a page that is short for it, nor a further page without anything.
    """
    sought = await source.search(asked, whom, asked.count, following)
    shown, left_out = _of(sought, sight, asked)
    most = source.looks_on(asked.type)
    for _ in range(most):
        if sought.following is None or len(shown) >= asked.count:
            break
        sought = await source.search(asked, whom, asked.count - len(shown), sought.following)
        found, others = _of(sought, sight, asked)
        shown, left_out = [*shown, *found], left_out + others
    beyond, count = sought.following, 1
    for _ in range(most):
        if beyond is None:
            return sought._replace(following=None), shown, left_out
        ahead = await source.search(asked, whom, count, beyond)
        if _of(ahead, sight, asked)[0]:
            break
        sought = sought._replace(is_cut=sought.is_cut or ahead.is_cut)
        beyond, count = ahead.following, LARGEST_COUNT
    return sought, shown, left_out


def _mark(whom: frozenset[str] | None) -> str:
    """Return by what a page knows again about whom it is: if somebody came or went since, there is no next one."""
    return "" if whom is None else hashlib.sha256("\n".join(sorted(whom)).encode()).hexdigest()


def _following(place: list[Any] | None, whom: frozenset[str] | None) -> Any:
    if place is None:
        return None
    mark, following = place
    if mark != _mark(whom):
        raise Invalid("_page", "is no more: what you may see has changed since; search again")
    return following


def _place_in(wanted: Sequence[Asked], following: list[Any]) -> tuple[int, Any]:
    at, inner = following
    if at >= len(wanted):
        raise Invalid("_page", "is no more: search again")
    return at, inner


async def _count(
    source: Source, sight: Sight, asked: Asked, whom: frozenset[str] | None
) -> tuple[int | None, int]:
    """Count what may be shown; None if it is too much to look at, or can't be known. And count what else there was."""
    counted, left_out, looked_at, following = 0, 0, 0, None
    while looked_at < MOST_COUNTED:
        sought = await source.search(asked, whom, LARGEST_COUNT, following)
        shown, others = _of(sought, sight, asked)
        counted, left_out = counted + len(shown), left_out + others
        looked_at += LARGEST_COUNT
        following = sought.following
        if sought.is_cut:
            return None, left_out
        if following is None:
            return counted, left_out
    return None, left_out
