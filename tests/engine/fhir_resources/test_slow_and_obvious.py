"""Searches find what a slow and obvious reading of FHIR's rules finds, over resources and questions nobody thought up."""

from __future__ import annotations

import asyncio
import calendar
import unicodedata
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import date, timedelta
from typing import Any, NamedTuple

from hypothesis import HealthCheck, Phase, given, settings, strategies as st

from cast import MovableClock
from engine.fhir_resources.clinic import Clinic, Json
from engine.ground import Ground
from hospitium.engine.fhir_resources import queries
from hospitium.engine.fhir_resources.search import parse_search

SIGNS = ["a", "B", "a,b", "a|b", "a\\", "$", "%", "_", "'", "a b", "é"]
SYSTEMS = [None, "urn:s", "urn:s|t", "http://s,t"]
NAMES = ["Park", "parker", "Peña", "PENA", "O'Neill", "Mary Ann", "100%", "_x", "a\\b", "p"]
IDS = ["p1", "p2", "p.3", "-4"]
DATES = [
    "2019",
    "2020",
    "2020-01",
    "2020-02",
    "2020-02-28",
    "2020-02-29",
    "2020-03-01",
    "2020-12-31",
    "2021-01-01",
]
PREFIXES = ["", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb"]


class Question(NamedTuple):
    """One parameter: as it is written, and what it means."""

    name: str
    value: str
    holds: Callable[[Json], bool]


# -- what there may be -------------------------------------------------------------------------------------------------

codings = st.fixed_dictionaries(
    {}, optional={"system": st.sampled_from(SYSTEMS[1:]), "code": st.sampled_from(SIGNS)}
)
identifiers = st.fixed_dictionaries(
    {"value": st.sampled_from(SIGNS)}, optional={"system": st.sampled_from(SYSTEMS[1:])}
)
human_names = st.fixed_dictionaries(
    {},
    optional={
        "family": st.sampled_from(NAMES),
        "given": st.lists(st.sampled_from(NAMES), max_size=2),
        "text": st.sampled_from(NAMES),
        "prefix": st.lists(st.sampled_from(NAMES), max_size=1),
    },
)
patients = st.fixed_dictionaries(
    {"resourceType": st.just("Patient")},
    optional={
        "identifier": st.lists(identifiers, max_size=3),
        "name": st.lists(human_names, max_size=2),
        "gender": st.sampled_from(["male", "female", "other"]),
        "active": st.booleans(),
        "birthDate": st.sampled_from(DATES),
    },
)
periods = st.fixed_dictionaries({}, optional={"start": st.sampled_from(DATES), "end": st.sampled_from(DATES)})
subjects = st.sampled_from(
    [f"Patient/{one}" for one in IDS] + ["Group/p1", "Patient/p1/_history/7", "https://x.example/Patient/p1"]
)
observations = st.fixed_dictionaries(
    {"resourceType": st.just("Observation")},
    optional={
        "code": st.fixed_dictionaries({"coding": st.lists(codings, max_size=2)}),
        "category": st.lists(st.fixed_dictionaries({"coding": st.lists(codings, max_size=2)}), max_size=2),
        "status": st.sampled_from(["final", "amended"]),
        "subject": st.fixed_dictionaries({"reference": subjects}),
        "effectiveDateTime": st.sampled_from(DATES),
        "effectivePeriod": periods,
    },
).filter(lambda one: not ("effectiveDateTime" in one and "effectivePeriod" in one))


# -- what it means, slowly ---------------------------------------------------------------------------------------------


def days_of(text: str) -> tuple[date, date]:
    """The first day and the day after the last."""
    parts = [int(part) for part in text.split("-")]
    if len(parts) == 1:
        return date(parts[0], 1, 1), date(parts[0] + 1, 1, 1)
    if len(parts) == 2:
        first = date(parts[0], parts[1], 1)
        return first, first + timedelta(days=calendar.monthrange(*parts)[1])
    return date(*parts), date(*parts) + timedelta(days=1)


def when(resource: Json) -> tuple[date, date] | None:
    text = resource.get("birthDate") or resource.get("effectiveDateTime")
    if text:
        return days_of(text)
    period = resource.get("effectivePeriod") or {}
    if not period:
        return None
    first = days_of(period["start"])[0] if "start" in period else date.min
    after = days_of(period["end"])[1] if "end" in period else date.max
    return (first, after) if first < after else None


def compares(prefix: str, asked: str, resource: Json) -> bool:
    its = when(resource)
    if its is None:
        return False
    (low, high), (first, after) = days_of(asked), its
    equal = low <= first and after <= high
    return {
        "eq": equal,
        "ne": not equal,
        "gt": after > high,
        "lt": first < low,
        "ge": after > high or equal,
        "le": first < low or equal,
        "sa": first >= high,
        "eb": after <= low,
    }[prefix or "eq"]


def folded(text: str) -> str:
    return " ".join(
        "".join(c for c in unicodedata.normalize("NFD", text.lower()) if not unicodedata.combining(c)).split()
    )


def parts_of(resource: Json, *which: str) -> list[str]:
    found: list[str] = []
    for name in resource.get("name", []):
        for member in which:
            value = name.get(member, [])
            found += value if isinstance(value, list) else [value]
    return found


def tokens_of(resource: Json, name: str) -> list[tuple[str | None, str | None]]:
    value = resource.get(name)
    if value is None:
        return []
    found: list[tuple[str | None, str | None]] = []
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, dict) and "coding" in one:
            found += [(coding.get("system"), coding.get("code")) for coding in one["coding"]]
        elif isinstance(one, dict):
            found.append((one.get("system"), one["value"]))
        else:
            found.append((None, str(one).lower() if isinstance(one, bool) else one))
    return found


# -- what may be asked -------------------------------------------------------------------------------------------------


def escaped(text: str) -> str:
    for sign in "\\,|$":
        text = text.replace(sign, f"\\{sign}")
    return text


def either(name: str, asked: list[tuple[str, Callable[[Json], bool]]]) -> Question:
    return Question(
        name,
        ",".join(value for value, _ in asked),
        lambda resource: any(holds(resource) for _, holds in asked),
    )


def several(one: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(one, min_size=1, max_size=3)


@st.composite
def token_questions(draw: st.DrawFn, name: str, codes: list[str]) -> Question:
    asked = []
    for _ in range(draw(st.integers(1, 3))):
        system, code = draw(st.sampled_from(SYSTEMS)), draw(st.sampled_from(codes))
        form = draw(st.sampled_from(["value", "none", "both", "system"]))
        if form == "value" or (form in ("both", "system") and system is None):
            asked.append((escaped(code), lambda r, code=code: any(c == code for _, c in tokens_of(r, name))))
        elif form == "none":
            asked.append((f"|{escaped(code)}", lambda r, code=code: (None, code) in tokens_of(r, name)))
        elif form == "both":
            written = f"{escaped(system or '')}|{escaped(code)}"
            asked.append((written, lambda r, s=system, code=code: (s, code) in tokens_of(r, name)))
        else:
            asked.append(
                (
                    f"{escaped(system or '')}|",
                    lambda r, s=system: any(one == s for one, _ in tokens_of(r, name)),
                )
            )
    return either(name, asked)


@st.composite
def name_questions(draw: st.DrawFn) -> Question:
    name = draw(st.sampled_from(["name", "family", "given"]))
    which = {"name": ("family", "given", "text", "prefix")}.get(name, (name,))
    asked = []
    for text in draw(several(st.sampled_from(NAMES))):
        begins = text[: draw(st.integers(1, len(text)))]
        if not folded(begins):
            begins = text
        asked.append(
            (
                escaped(begins),
                lambda r, b=begins: any(folded(p).startswith(folded(b)) for p in parts_of(r, *which)),
            )
        )
    return either(name, asked)


@st.composite
def date_questions(draw: st.DrawFn, name: str) -> Question:
    asked = []
    for _ in range(draw(st.integers(1, 2))):
        prefix, text = draw(st.sampled_from(PREFIXES)), draw(st.sampled_from(DATES))
        asked.append((prefix + text, lambda r, p=prefix, t=text: compares(p, t, r)))
    return either(name, asked)


@st.composite
def reference_questions(draw: st.DrawFn) -> Question:
    name = draw(st.sampled_from(["patient", "subject"]))
    asked = []
    for patient_id in draw(several(st.sampled_from(IDS))):
        typed = draw(st.booleans()) or name == "patient"
        written = f"Patient/{patient_id}" if draw(st.booleans()) and typed else patient_id

        def holds(resource: Json, wanted: str = patient_id, written: str = written, name: str = name) -> bool:
            said = resource.get("subject", {}).get("reference", "").removesuffix("/_history/7")
            if written == wanted and name == "subject":
                return said in (f"Patient/{wanted}", f"Group/{wanted}")
            return bool(said == f"Patient/{wanted}")

        asked.append((written, holds))
    return either(name, asked)


OF_PATIENTS = st.one_of(
    token_questions("identifier", SIGNS), token_questions("gender", ["male", "female", "x"]), token_questions("active", ["true", "false"]),
    name_questions(), date_questions("birthdate"),
)  # fmt: skip
OF_OBSERVATIONS = st.one_of(
    token_questions("code", SIGNS), token_questions("category", SIGNS), token_questions("status", ["final", "amended"]),
    date_questions("date"), reference_questions(),
)  # fmt: skip
ORDERS = ["_id", "-_id", "_lastUpdated"]


class Asked(NamedTuple):
    """A search: its type, its questions, its order, its page, and within whose compartments."""

    type: str
    questions: list[Question]
    order: str
    count: int
    within: frozenset[str] | None


@st.composite
def searches(draw: st.DrawFn) -> Asked:
    type_, questions, dated = draw(
        st.sampled_from([("Patient", OF_PATIENTS, "birthdate"), ("Observation", OF_OBSERVATIONS, "date")])
    )
    return Asked(
        type_,
        draw(st.lists(questions, min_size=draw(st.sampled_from([1, 1, 1, 0, 2])), max_size=2)),
        draw(st.sampled_from([*ORDERS, dated, f"-{dated}"])),
        draw(st.integers(1, 4)),
        draw(st.sampled_from([None, None, frozenset(), frozenset(IDS[:1]), frozenset(IDS[1:])])),
    )


def compartments(resource: Json) -> set[str]:
    if resource["resourceType"] == "Patient":
        return {resource["id"]}
    said = resource.get("subject", {}).get("reference", "").removesuffix("/_history/7")
    return {said.removeprefix("Patient/")} if said.startswith("Patient/") else set()


def expected(asked: Asked, resources: list[Json]) -> list[str]:
    found = [
        one
        for one in resources
        if one["resourceType"] == asked.type
        and all(question.holds(one) for question in asked.questions)
        and (asked.within is None or compartments(one) & asked.within)
    ]
    name = asked.order.removeprefix("-")

    def place(resource: Json) -> tuple[date, str]:
        its = when(resource)
        return (its[0] if its and name in ("date", "birthdate") else date.min), resource["id"]

    return [one["id"] for one in sorted(found, key=place, reverse=asked.order.startswith("-"))]


async def answered(clinic: Clinic, asked: Asked) -> list[str]:
    parameters = [(one.name, one.value) for one in asked.questions]
    search = parse_search(asked.type, [*parameters, ("_sort", asked.order), ("_count", str(asked.count))])
    return await clinic.pages(search, asked.within)


async def test_every_comparison_finds_what_the_slow_and_obvious_way_finds(clinic: Clinic) -> None:
    dated: list[Json] = [{"effectiveDateTime": one} for one in DATES]
    dated += [{"effectivePeriod": {"start": start, "end": end}} for start in DATES for end in DATES]
    dated += [{"effectivePeriod": {name: one}} for one in DATES for name in ("start", "end")]
    there = [
        {"resourceType": "Observation", "id": f"o{number:03}", **one} for number, one in enumerate(dated)
    ]
    await clinic.loads(*there)
    async with clinic.ground.trial() as tx:
        ctx = clinic.ground.context(tx, "operator")
        for prefix in PREFIXES:
            for asked in DATES:
                search = parse_search("Observation", [("date", prefix + asked), ("_count", "500")])
                found = [one.id for one in (await queries.search(ctx, clinic.id, search)).resources]
                assert found == [one["id"] for one in there if compares(prefix, asked, one)], prefix + asked


def test_it_finds_what_the_slow_and_obvious_way_finds(database_url: str, rounds: int) -> None:
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        ground = runner.run(stack.enter_async_context(Ground.open(database_url, MovableClock())))
        numbers = iter(range(1_000_000))

        @settings(
            max_examples=min(rounds * 2, 2_000), deadline=None, database=None, phases=[Phase.generate, Phase.shrink],
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        )  # fmt: skip
        @given(
            st.lists(st.one_of(patients, observations), min_size=4, max_size=8),
            st.lists(searches(), min_size=8, max_size=16),
        )
        def compare(resources: list[Json], asked: list[Asked]) -> None:
            numbered = [
                {**one, "id": (*IDS, "e5", "F6", "g7", "h8")[number]} for number, one in enumerate(resources)
            ]

            async def compared() -> None:
                clinic = await Clinic.open(ground, f"Clinic {next(numbers)}")
                await clinic.loads(*numbered)
                for one in asked:
                    assert await answered(clinic, one) == expected(one, numbered), one

            runner.run(compared())

        try:
            compare()
        finally:
            runner.run(stack.aclose())
