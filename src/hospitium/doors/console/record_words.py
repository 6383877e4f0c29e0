"""What a record says, in words for people: FHIR in, lines and series out. Nothing is invented, and what is no fact isn't told as one.

A FHIR server is somebody else's: any member may be missing, huge, or of another shape. Then it says nothing, and the rest is told.
What was entered in error is left out, as FHIR asks for; what was ruled out, not given, not to be taken or not final is told so.
Words of ours are named by the keys of texts (`record.mark.…`); all others are the clinic's, as it wrote them.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, NamedTuple

from hospitium.doors.console import chart
from hospitium.engine.fhir_resources.dates import BEGINNING, span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    Json = Mapping[str, Any]

LONGEST = 300  # characters of what a clinic says
MOST_VALUES = 2_000
MOST_PARTS = 100
_ROUNDED_TO = 2  # places behind the point, of values that say more than anybody measures
_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_UNITS = {"mm[Hg]": "mmHg", "kg/m2": "kg/m²", "Cel": "°C", "[degF]": "°F", "1": ""}
_NEVER = "entered-in-error"
# What each kind of entry calls its states, as far as there are words of ours for them.
MARKS = frozenset({
    "active", "recurrence", "relapse", "inactive", "remission", "resolved",
    "unconfirmed", "provisional", "differential", "refuted",
    "completed", "not-done", "stopped", "on-hold", "cancelled", "draft", "intended", "not-taken",
    "proposal", "plan", "not-to-be-taken",
    "registered", "preliminary", "yes", "no",
    "severe", "more",
})  # fmt: skip


class Entry(NamedTuple):
    """One line: what it is (empty if it isn't said), its day as FHIR writes it, states as keys of ours, and what else the clinic says."""

    name: str
    when: str
    marks: tuple[str, ...]
    notes: tuple[str, ...]


class Value(NamedTuple):
    """What was found once: when, what, the usual range, and what the clinic makes of it."""

    when: str
    said: str
    usual: str
    marks: tuple[str, ...]
    notes: tuple[str, ...]


class Series(NamedTuple):
    """What was observed of one thing in one unit, newest first, and its chart, if there is a line to be drawn:
    from which day to which, and its lowest and highest value."""

    name: str
    unit: str
    values: tuple[Value, ...]
    drawing: chart.Drawing | None
    lowest: str
    highest: str

    first: str
    last: str

    @property
    def newest(self) -> Value:
        """What was found last."""
        return self.values[0]

    @property
    def has_usual(self) -> bool:
        """Whether a usual range is said of any of its values."""
        return any(value.usual for value in self.values)


# -- entries -----------------------------------------------------------------------------------------------------------


def conditions(resources: Sequence[Json]) -> tuple[Entry, ...]:
    """Return what somebody has or had, newest first."""
    return _entries(resources, _condition)


def medications(resources: Sequence[Json]) -> tuple[Entry, ...]:
    """Return what was prescribed, or is said to be taken, newest first."""
    return _entries(resources, _medication)


def immunizations(resources: Sequence[Json]) -> tuple[Entry, ...]:
    """Return what somebody was vaccinated with, or wasn't, newest first."""
    return _entries(resources, _immunization)


def allergies(resources: Sequence[Json]) -> tuple[Entry, ...]:
    """Return what somebody doesn't bear, newest first."""
    return _entries(resources, _allergy)


def _entries(resources: Sequence[Json], read: Callable[[Json], Entry | None]) -> tuple[Entry, ...]:
    found = [entry for one in resources if isinstance(one, dict) for entry in (read(one),) if entry]
    return tuple(sorted(found, key=lambda entry: _instant(entry.when) or BEGINNING, reverse=True))


def _condition(one: Json) -> Entry | None:
    clinical, verified = _code(one.get("clinicalStatus")), _code(one.get("verificationStatus"))
    if verified == _NEVER:
        return None
    when = _first(one, "onsetDateTime", "onsetPeriod", "recordedDate")
    return Entry(
        concept(one.get("code")),
        when,
        _marks(one, clinical, verified),
        _notes(_text(one.get("onsetString")), concept(one.get("severity"))),
    )


def _medication(one: Json) -> Entry | None:
    status = _word(one.get("status"))
    if status == _NEVER:
        return None
    dosages = one.get("dosageInstruction") or one.get("dosage")
    is_denied = one.get("doNotPerform") is True
    return Entry(
        concept(one.get("medicationCodeableConcept")) or _referred(one, one.get("medicationReference")),
        _first(one, "authoredOn", "effectiveDateTime", "effectivePeriod", "dateAsserted"),
        _marks(one, "not-to-be-taken" if is_denied else "", status, _word(one.get("intent"))),
        _notes(*(_text(dosage.get("text")) for dosage in _dicts(dosages))),
    )


def _immunization(one: Json) -> Entry | None:
    status = _word(one.get("status"))
    if status == _NEVER:
        return None
    return Entry(
        concept(one.get("vaccineCode")),
        _first(one, "occurrenceDateTime", "recorded"),
        _marks(one, "" if status == "completed" else status),
        _notes(_text(one.get("occurrenceString")), concept(one.get("statusReason"))),
    )


def _allergy(one: Json) -> Entry | None:
    clinical, verified = _code(one.get("clinicalStatus")), _code(one.get("verificationStatus"))
    if verified == _NEVER:
        return None
    reactions = _dicts(one.get("reaction"))
    said = [concept(what) for reaction in reactions for what in _dicts(reaction.get("manifestation"))]
    name = concept(one.get("code")) or next(
        filter(None, (concept(r.get("substance")) for r in reactions)), ""
    )
    return Entry(
        name,
        _first(one, "onsetDateTime", "recordedDate", "onsetPeriod"),
        _marks(one, clinical, verified, "severe" if one.get("criticality") == "high" else ""),
        _notes(*dict.fromkeys(said)),
    )


# -- observations ------------------------------------------------------------------------------------------------------


class _Found(NamedTuple):
    """One value on its way into a series."""

    key: tuple[str, str]
    name: str
    unit: str
    at: datetime | None
    exact: Decimal | None
    usual: tuple[Decimal | None, Decimal | None] | None
    value: Value


def series(resources: Sequence[Json]) -> tuple[Series, ...]:
    """Return what was observed, a series for each thing and unit; what was observed last is first."""
    by_key: dict[tuple[str, str], list[_Found]] = defaultdict(list)
    number = 0
    for one in resources:
        if not isinstance(one, dict) or _word(one.get("status")) in (_NEVER, "cancelled"):
            continue
        for found in _found(one):
            if (number := number + 1) > MOST_VALUES:
                break
            by_key[found.key].append(found)
    made = sorted(
        ((_latest(found), _series(found)) for found in by_key.values()), key=lambda pair: pair[1].name
    )
    return tuple(one for _, one in sorted(made, key=lambda pair: pair[0], reverse=True))


def _found(one: Json) -> Iterator[_Found]:
    when = _first(one, "effectiveDateTime", "effectiveInstant", "effectivePeriod", "issued")
    marks = _marks(one, "" if _word(one.get("status")) in ("final", "amended", "corrected") else _word(one.get("status")))  # fmt: skip
    parts = [part for part in _dicts(one.get("component")) if _says(part)]
    if _says(one) or not parts:
        yield _value(one, when, marks)
    for part in parts:
        yield _value(part, when, marks)


def _value(one: Json, when: str, marks: tuple[str, ...]) -> _Found:
    quantity = one.get("valueQuantity")
    quantity = quantity if isinstance(quantity, dict) else {}
    unit = _unit(quantity)
    name = concept(one.get("code"))
    usual, usual_said = _usual(one, unit)
    # What is only known to be less or more than something is no point of a line.
    exact = None if _text(quantity.get("comparator")) else _decimal(quantity.get("value"))
    notes = _notes(*(concept(what) for what in _dicts(one.get("interpretation"))), *_remarks(one))
    answer = (("yes" if one["valueBoolean"] else "no"),) if _is_answer(one) else ()
    value = Value(when, _said(one) or _absent(one), usual_said, answer + marks, notes)
    return _Found((_identity(one.get("code")), unit), name, unit, _instant(when), exact, usual, value)


def _series(found: list[_Found]) -> Series:
    ordered = sorted(found, key=lambda one: one.at or BEGINNING, reverse=True)
    exact = [
        (chart.Point((one.at - BEGINNING).total_seconds(), value), one.exact, one.value.when)
        for one in ordered
        if one.at is not None and one.exact is not None and (value := chart.number(one.exact)) is not None
    ]
    # A band is for all of the line: if the usual range was said to be another once, there is none.
    ranges = {one.usual for one in ordered if one.exact is not None}
    (usual,) = ranges if len(ranges) == 1 else (None,)
    band = None if usual is None else chart.Range(chart.number(usual[0]), chart.number(usual[1]))
    values = [value for _, value, _ in exact]
    return Series(
        next((one.name for one in ordered if one.name), ""),
        ordered[0].unit,
        tuple(one.value for one in ordered),
        chart.drawing([point for point, _, _ in exact], band),
        written(min(values)) if values else "",
        written(max(values)) if values else "",
        exact[-1][2] if exact else "",
        exact[0][2] if exact else "",
    )


def _latest(found: list[_Found]) -> datetime:
    return max(one.at or BEGINNING for one in found)


def _said(one: Json) -> str:
    """Return the value of an observation, in words; empty if it has none that can be told."""
    for member, read in _VALUES.items():
        if member in one:
            return read(one[member])
    return ""


def _says(one: Json) -> bool:
    """Whether an observation, or a part of one, has a value, or says why not."""
    return bool(_said(one) or _absent(one) or _is_answer(one))


def _is_answer(one: Json) -> bool:
    return isinstance(one.get("valueBoolean"), bool)


def _absent(one: Json) -> str:
    return concept(one.get("dataAbsentReason"))


def _quantity(said: Any) -> str:
    if not isinstance(said, dict):
        return ""
    value = _decimal(said.get("value"))
    if value is None:
        return ""
    return " ".join(filter(None, (_text(said.get("comparator")), written(value), _unit(said))))


def _range(said: Any) -> str:
    if not isinstance(said, dict):
        return ""
    low, high = (_quantity(said.get(end)) for end in ("low", "high"))
    return f"{low} \u2013 {high}" if low and high else f"≥ {low}" if low else f"≤ {high}" if high else ""


def _ratio(said: Any) -> str:
    if not isinstance(said, dict):
        return ""
    parts = [_quantity(said.get(end)) for end in ("numerator", "denominator")]
    return " / ".join(parts) if all(parts) else ""


def _plain(said: Any) -> str:
    number = _decimal(said)
    return _text(said) if number is None else written(number)


def _usual(one: Json, unit: str) -> tuple[tuple[Decimal | None, Decimal | None] | None, str]:
    """Return the usual range of a value, as it can be drawn and as it can be read: the one that is said, if it is one."""
    ranges = _dicts(one.get("referenceRange"))
    if len(ranges) != 1:
        return None, "; ".join(filter(None, (_text(each.get("text")) or _range(each) for each in ranges)))
    (only,) = ranges
    ends: list[Json] = [end if isinstance(end := only.get(name), dict) else {} for name in ("low", "high")]
    low, high = (_decimal(end.get("value")) for end in ends)
    fits = all(not end or _unit(end) == unit for end in ends) and (low is not None or high is not None)
    is_usual = _code(only.get("type")) in ("", "normal") and not only.get("appliesTo") and not only.get("age")
    return ((low, high) if fits and is_usual else None), _range(only) or _text(only.get("text"))


def _remarks(one: Json) -> list[str]:
    return [_text(note.get("text")) for note in _dicts(one.get("note"))]


def _identity(code: Any) -> str:
    """Return what tells one thing that is observed from another: its first code, else its name."""
    for coding in _dicts(code.get("coding") if isinstance(code, dict) else None):
        if _text(coding.get("code")):
            return f"{_text(coding.get('system'))}|{_text(coding.get('code'))}"
    return concept(code)


# -- words -------------------------------------------------------------------------------------------------------------


def concept(said: Any) -> str:
    """Return a CodeableConcept in words: its text, or what one of its codings is called, or at least a code; else empty."""
    if not isinstance(said, dict):
        return ""
    codings = _dicts(said.get("coding"))
    chosen = [coding for coding in codings if coding.get("userSelected") is True] + codings
    return (
        _text(said.get("text"))
        or next(filter(None, (_text(coding.get("display")) for coding in chosen)), "")
        or next(filter(None, (_text(coding.get("code")) for coding in chosen)), "")
    )


def written(value: Decimal) -> str:
    """Return a number as people read it: as it was said, but for places that say more than anybody measures."""
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int) or not -12 <= value.adjusted() <= 12:  # noqa: PLR2004
        return f"{value:.3E}" if value else "0"
    if -exponent > _ROUNDED_TO + 2:
        value = round(value, max(_ROUNDED_TO, _ROUNDED_TO - value.adjusted()))
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text and exponent < -_ROUNDED_TO else text


def _text(said: Any) -> str:
    """Return a text on one line, without what can't be seen; not whole, if it is very long."""
    if not isinstance(said, str):
        return ""
    words = " ".join(said[: 10 * LONGEST].split())
    seen = "".join(c for c in words if c not in _BIDI and unicodedata.category(c) not in ("Cc", "Cs"))
    return seen if len(seen) <= LONGEST else f"{seen[: LONGEST - 1]}…"


def _word(said: Any) -> str:
    return said if isinstance(said, str) else ""


def _code(said: Any) -> str:
    codings = _dicts(said.get("coding") if isinstance(said, dict) else None)
    return next((found for coding in codings if (found := _word(coding.get("code")))), "")


def _referred(one: Json, reference: Any) -> str:
    """Return what a medication that is referred to is called: by the reference itself, or contained."""
    if not isinstance(reference, dict):
        return ""
    inside = _word(reference.get("reference")).removeprefix("#")
    for contained in _dicts(one.get("contained")):
        if contained.get("id") == inside:
            return concept(contained.get("code"))
    return _text(reference.get("display"))


def _unit(quantity: Json) -> str:
    said = _text(quantity.get("unit")) or _text(quantity.get("code"))
    # An annotation alone (`{score}`) is no unit in UCUM.
    return "" if said[:1] == "{" and said.endswith("}") else _UNITS.get(said, said)


def _decimal(said: Any) -> Decimal | None:
    if isinstance(said, bool) or not isinstance(said, int | float | Decimal):
        return None
    try:
        # By its shortest spelling: 0.1 is one tenth. An integer of thousands of digits has none.
        found = Decimal(str(said))
    except (InvalidOperation, ValueError):
        return None
    return found if found.is_finite() else None


def _marks(one: Json, *states: str) -> tuple[str, ...]:
    """Return the states there are words for; and that there is more, where a clinic changed what an entry means in a way of its own."""
    more = "more" if one.get("modifierExtension") or one.get("implicitRules") else ""
    return tuple(dict.fromkeys(state for state in (*states, more) if state in MARKS))


def _notes(*said: str) -> tuple[str, ...]:
    return tuple(filter(None, said))[:MOST_PARTS]


def _first(one: Json, *members: str) -> str:
    """Return the first date that one of some members says: its own, or when a period begins (or, if that isn't said, ends)."""
    for member in members:
        said = one.get(member)
        if isinstance(said, dict):
            said = said.get("start") or said.get("end")
        if isinstance(said, str) and span(said) is not None:
            return said
    return ""


def _instant(when: str) -> datetime | None:
    found = span(when)
    return None if found is None else found.start


def _dicts(found: Any) -> list[dict[str, Any]]:
    return [one for one in found if isinstance(one, dict)][:MOST_PARTS] if isinstance(found, list) else []


_VALUES: dict[str, Callable[[Any], str]] = {
    "valueQuantity": _quantity,
    "valueCodeableConcept": concept,
    "valueString": _text,
    "valueInteger": _plain,
    "valueRange": _range,
    "valueRatio": _ratio,
    "valueTime": _text,
    "valueDateTime": _text,
}
