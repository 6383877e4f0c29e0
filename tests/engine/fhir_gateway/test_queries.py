"""The table of queries.yaml: what may be asked, what is sent on in its place, and what is refused because of what."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml

from hospitium.engine.errors import Invalid
from hospitium.engine.fhir_gateway.asking import Asked, Term, ask, narrowed, pairs_of
from hospitium.engine.json_text import printable

_TABLE = yaml.safe_load(Path(__file__).with_name("queries.yaml").read_text(encoding="utf-8"))
MINE = frozenset({"a", "b"})
# Rows of the threats that a query can break; F-02 is about what is written down, and has a test below.
_ROWS = {f"F-{number:02}" for number in (1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 15)}


def read(query: str) -> tuple[str, list[tuple[str, str]]]:
    """Return the type and the parameters of a query of the table, decoded once."""
    type_, mark, rest = query.partition("?")
    pairs = [piece.partition("=") for piece in rest.split("&")] if mark else []
    return unquote(type_), [(unquote(name), unquote(value)) for name, _, value in pairs]


def _sent(asked: Asked, patients: frozenset[str] | None) -> str:
    if narrowed(asked, patients) == frozenset():
        return "nobody"
    pairs = pairs_of(asked, None if patients is None else sorted(patients), asked.count)
    return "&".join(f"{name}={value}" for name, value in pairs)


def _expected(written: str) -> str:
    if written == "nobody" or "_count=" in written:
        return written
    return "&".join(filter(None, (written, "_count=20")))


def _refused() -> list[tuple[str, str, str | None]]:
    return [
        (query, row["because"], row.get("field")) for row in _TABLE["refused"] for query in row["queries"]
    ]


_ALLOWED: list[tuple[str, str]] = [one for row in _TABLE["allowed"] for one in row["queries"].items()]


@pytest.mark.parametrize(("query", "sent"), _ALLOWED)
def test_it_allows(query: str, sent: str) -> None:
    assert _sent(ask(*read(query)), MINE) == _expected(sent)


@pytest.mark.parametrize(("query", "sent"), _TABLE["of_all"].items())
def test_it_allows_of_all_patients(query: str, sent: str) -> None:
    assert _sent(ask(*read(query)), None) == _expected(sent)


@pytest.mark.parametrize(("query", "because", "field"), _refused())
def test_it_refuses(query: str, because: str, field: str | None) -> None:
    type_, pairs = read(query)
    with pytest.raises(Invalid) as refusal:
        ask(type_, pairs)
    assert because in refusal.value.reason
    assert refusal.value.field == (printable(pairs[-1][0]) if field is None else field)


def test_the_table_is_large_enough_and_says_nothing_twice() -> None:
    queries = [query for query, _ in _ALLOWED] + [query for query, _, _ in _refused()]
    assert len(queries) >= 300
    assert len(set(queries)) == len(queries)


def test_every_row_of_the_threats_is_in_the_table() -> None:
    told = " ".join(row["row"] for part in ("allowed", "refused") for row in _TABLE[part])
    assert {row for row in _ROWS if row not in told} == set()


def test_what_is_left_of_an_answer_is_kept_for_us() -> None:
    asked = ask(*read("Observation?_elements=status,code,status&_summary=data&_total=accurate"))
    assert (asked.elements, asked.summary, asked.total) == (("status", "code"), "data", "accurate")


@pytest.mark.parametrize("kept", ["..", "a/b", "a,b", "a%2f", "Patient/a", "a\0", " a", "a" * 65, ""])
def test_no_query_is_built_about_what_is_no_id(kept: str) -> None:
    """F-02: what was written down as an id long ago is looked at again."""
    with pytest.raises(ValueError, match="by their ids"):
        pairs_of(Asked("Observation"), ["a", kept], 20)


def test_no_query_is_built_about_nobody() -> None:
    with pytest.raises(ValueError, match="about patients"):
        pairs_of(Asked("Observation"), [], 20)
    with pytest.raises(ValueError, match="about patients"):
        pairs_of(Asked("Observation", patients=frozenset({"a"})), ["b"], 20)


def test_patients_stand_in_one_order_and_once() -> None:
    assert pairs_of(Asked("Observation"), ["c", "a", "b", "a"], 5) == [("patient", "a,b,c"), ("_count", "5")]


@pytest.mark.parametrize("patients", [["a"], None])
@pytest.mark.parametrize(
    "smuggled",
    [Term("patient", None, ("c",)), Term("patient", None, ("a",)), Term("subject", "missing", ("true",))],
)
def test_no_query_goes_out_with_another_constraint_beside_ours(
    smuggled: Term, patients: list[str] | None
) -> None:
    """Z8: however it came to be there, nothing but our own says whose the resources are."""
    with pytest.raises(ValueError, match="not the only one"):
        pairs_of(Asked("Observation", (smuggled,)), patients, 20)
