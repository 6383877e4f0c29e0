"""What a stranger or a hostile server writes costs no more than its length: four times as much takes nowhere near sixteen times as long."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from hospitium.engine.fhir_gateway.answering import only
from hospitium.engine.fhir_resources.checking import is_id
from hospitium.engine.json_text import parse
from hospitium.outside.fhir_pages import page

BASE = "https://fhir.example/r4"


def long_name_of_many(size: int) -> Callable[[], Any]:
    """A member of which the place would be said for each of its elements."""
    body = (
        b'{"x":"\\u0041","' + b"k" * size + "\U0001f600".encode() + b'":[' + b",".join([b"0"] * size) + b"]}"
    )
    return lambda: parse(body)


def escaped_quotes(size: int) -> Callable[[], Any]:
    body = b"[" * 70 + b'"' + b'\\"' * size

    def refused() -> None:
        with pytest.raises(Exception, match="nested"):
            parse(body)

    return refused


def capitals(size: int) -> Callable[[], Any]:
    """A name of a member that could be a choice at every letter."""
    resource = {"resourceType": "Observation", "id": "a", "A" * size: 1}
    return lambda: (only(resource, None, "true"), only(resource, ["status"], None))


def long_addresses(size: int) -> Callable[[], Any]:
    """Entries that say at length that they are from somewhere else."""
    assert is_id("o0")
    far = BASE + "/a" * (size // 100)
    entries = [
        {"fullUrl": far, "resource": {"resourceType": "Observation", "id": f"o{n}"}} for n in range(200)
    ]
    bundle = {"resourceType": "Bundle", "type": "searchset", "entry": entries}
    return lambda: page(bundle, base=BASE, allow_private=False, type_="Observation", most=200, at="")


def taken(asked: Callable[[], Any]) -> float:
    """Return the least CPU time of a few tries."""
    tries = []
    for _ in range(3):
        began = time.thread_time()
        asked()
        tries.append(time.thread_time() - began)
    return min(tries)


@pytest.mark.parametrize("kind", [long_name_of_many, escaped_quotes, capitals, long_addresses])
def test_it_costs_its_length_and_not_the_square_of_it(kind: Callable[[int], Callable[[], Any]]) -> None:
    few, many = taken(kind(10_000)), taken(kind(80_000))
    assert (
        many < max(few, 0.0005) * 24
    )  # eight times the length, and as much again twice over; its square would be 64
