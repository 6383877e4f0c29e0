"""Whatever is asked and allowed: the new query has our constraint in it, is read again as the same, and divides nowhere else."""

from __future__ import annotations

import os
import re
from typing import Any
from urllib.parse import parse_qsl, urlencode

from hypothesis import assume, given, settings, strategies as st
from msgspec.structs import replace

from hospitium.engine.errors import Invalid
from hospitium.engine.fhir_gateway.asking import COMMON, MODIFIERS, Asked, ask, narrowed, pairs_of
from hospitium.engine.fhir_gateway.definitions import DEFINITIONS, Kind

ROUNDS = max(60, int(os.environ.get("HOSPITIUM_SOAK", "0")))
_TYPES = sorted(DEFINITIONS.types)
_NAMES = sorted(
    {name for kind in DEFINITIONS.types.values() for name in (*kind.parameters, *kind.about.names)}
)
_IDS = st.text("abc.-019", min_size=1, max_size=4).filter(lambda text: text not in (".", ".."))
# Signs that divide somewhere, escaped where they divide in FHIR; and such as could end a parameter, or a line, or begin another.
_SIGNS = st.sampled_from(
    ["\\,", "\\|", "\\$", "\\\\", "|", "$", "&", "=", "?", "#", "%", "%2C", "%26", ";", "+", " ", "/", ":", "é", "<", '"', "patient=c"]
)  # fmt: skip
_TEXTS = st.lists(st.one_of(_SIGNS, st.text("abc", min_size=1)), min_size=1, max_size=6).map("".join)
_PREFIXES = st.sampled_from(["", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb"])
_NUMBERS = st.sampled_from(["1", "-1.50", "1e3", "0.001"])
_OF = {
    Kind.TOKEN: st.one_of(_TEXTS, st.tuples(_TEXTS, _TEXTS).map("|".join)),
    Kind.STRING: _TEXTS,
    Kind.REFERENCE: st.one_of(
        _IDS, st.tuples(st.sampled_from(sorted(DEFINITIONS.known)), _IDS).map("/".join)
    ),
    Kind.DATE: st.tuples(_PREFIXES, st.sampled_from(["2021", "2021-03-04", "2021-03-04T10:00:00+02:00"])).map(
        "".join
    ),
    Kind.NUMBER: st.tuples(_PREFIXES, _NUMBERS).map("".join),
    Kind.QUANTITY: st.tuples(_PREFIXES, _NUMBERS, st.one_of(st.just(""), _TEXTS.map("||".__add__))).map(
        "".join
    ),
    Kind.URI: st.one_of(_TEXTS, st.just("http://example.org/a?b=c$d")),
}
_PATIENTS = st.frozensets(st.sampled_from(["a", "b", "c", "a-1"]), min_size=1)
_NAMED = st.lists(st.sampled_from(["a", "b", "Patient/a", "Patient/c", "zz"]), min_size=1, max_size=3).map(
    ",".join
)
_DIVIDES = re.compile(r"(?<!\\)(?:\\\\)*[,|$]")


@st.composite
def queries(draw: st.DrawFn) -> tuple[str, list[tuple[str, str]]]:
    """What somebody might ask in earnest."""
    type_ = draw(st.sampled_from(_TYPES))
    kind = DEFINITIONS.types[type_]
    pairs = []
    for _ in range(draw(st.integers(0, 5))):
        name = draw(st.sampled_from([*COMMON, *kind.parameters, *kind.about.names]))
        if name in kind.about.names:
            pairs.append((name, draw(_IDS if type_ == "Patient" else _NAMED)))
            continue
        compared = COMMON.get(name) or kind.parameters[name]
        modifier = draw(st.sampled_from(["", "", "", *(() if name in COMMON else MODIFIERS[compared])]))
        if modifier == "missing":
            value = draw(st.sampled_from(["true", "false"]))
        elif name == "_id":
            value = draw(_IDS)
        else:
            value = draw(st.lists(_OF[compared], min_size=1, max_size=3).map(",".join))
        pairs.append((f"{name}:{modifier}" if modifier else name, value))
    if draw(st.booleans()):
        pairs.append(("_sort", draw(st.sampled_from(["_id", "-_lastUpdated", "-_id,_lastUpdated"]))))
    if draw(st.booleans()):
        pairs.append(("_count", str(draw(st.integers(1, 600)))))
    pairs += draw(
        st.lists(
            st.sampled_from([("_elements", "id"), ("_summary", "count"), ("_total", "none")]), unique=True
        )
    )
    return type_, draw(st.permutations(pairs))


def _asked(query: tuple[str, list[tuple[str, str]]]) -> Asked:
    try:
        return ask(*query)
    except Invalid:
        assume(False)
        raise


def _constraints(type_: str, pairs: list[tuple[str, str]]) -> list[set[str]]:
    """Read, in other words than asking.py does, what stands in a query of whose the resources are."""
    names = {
        "Patient": {"_id"},
        "Coverage": {"patient", "beneficiary"},
        "ResearchSubject": {"patient", "individual"},
    }
    wanted = names.get(type_, {"patient", "subject"})
    return [
        {one.rpartition("/")[2] for one in value.split(",")}
        for name, value in pairs
        if re.split("[:.]", name)[0] in wanted
    ]


@settings(max_examples=ROUNDS, deadline=None)
@given(queries(), _PATIENTS)
def test_our_constraint_stands_in_it_once_and_says_who(query: Any, patients: frozenset[str]) -> None:
    asked = _asked(query)
    named = _constraints(*query)
    expected = patients.intersection(*named)
    assert narrowed(asked, patients) == expected
    if expected:
        assert _constraints(asked.type, pairs_of(asked, sorted(patients), 20)) == [expected]


@settings(max_examples=ROUNDS, deadline=None)
@given(queries(), _PATIENTS, st.integers(1, 500))
def test_it_is_read_again_as_the_same(query: Any, patients: frozenset[str], count: int) -> None:
    asked = _asked(query)
    about = narrowed(asked, patients)
    assume(about)
    pairs = pairs_of(asked, sorted(patients), count)
    left = {"elements": None, "summary": None, "total": None}
    assert ask(asked.type, pairs) == replace(asked, patients=about, count=count, **left)
    assert parse_qsl(urlencode(pairs), strict_parsing=True, keep_blank_values=True) == pairs


@settings(max_examples=ROUNDS, deadline=None)
@given(queries())
def test_nothing_of_a_text_divides_that_was_escaped(query: Any) -> None:
    type_, pairs = query
    asked = _asked(query)
    kinds = DEFINITIONS.types[type_].parameters
    for term in asked.terms:
        for value in term.values:
            bars = {Kind.TOKEN: 1, Kind.QUANTITY: 2}.get(kinds.get(term.name, Kind.STRING), 0)
            found = _DIVIDES.findall(value)
            assert all(one.endswith("|") for one in found)
            assert len(found) <= bars
    # What is meant stays what was meant.
    texts = [
        value
        for name, value in pairs
        if kinds.get(name.partition(":")[0]) is Kind.STRING and ":missing" not in name
    ]
    kept = [
        term.values
        for term in asked.terms
        if kinds.get(term.name) is Kind.STRING and term.modifier != "missing"
    ]
    assert [_meant(",".join(values)) for values in kept] == [_meant(text) for text in texts]


def _meant(value: str) -> list[str]:
    marked = re.sub(r"\\(.)", lambda found: f"<{ord(found[1])}>", value)
    alternatives = re.sub(r"[|$]", lambda found: f"<{ord(found[0])}>", marked).split(",")
    return [re.sub(r"<(\d+)>", lambda found: chr(int(found[1])), one) for one in alternatives]


@settings(max_examples=ROUNDS, deadline=None)
@given(
    st.one_of(st.sampled_from(_TYPES), st.text()),
    st.lists(
        st.tuples(st.one_of(st.sampled_from(_NAMES), st.text()), st.one_of(_TEXTS, st.text())), max_size=5
    ),
    _PATIENTS,
)
def test_anything_else_is_refused_and_breaks_nothing(
    type_: str, pairs: list[Any], patients: frozenset[str]
) -> None:
    try:
        asked = ask(type_, pairs)
    except Invalid:
        return
    if expected := patients.intersection(*_constraints(type_, pairs)):
        assert _constraints(type_, pairs_of(asked, sorted(patients), 20)) == [expected]
