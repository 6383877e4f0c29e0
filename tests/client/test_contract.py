"""One contract, for guards of a real server and for the fakes that applications use in their own tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from client.pdp import RX, Hand
from client.world import (
    FHIR_SERVER,
    JANE,
    OF_AN_OWNER,
    OF_BOB,
    OF_STAFF,
    SCANS,
    SERVICE_KEY,
    WORLD,
    real_server,
    tell,
)
from hospitium.client import AsyncGuard, Guard, NotAllowed, Question, Refused, Resource, Subject
from hospitium.client.asking import MOST_QUESTIONS
from hospitium.client.testing import FakeAsyncGuard, FakeGuard

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

RX_2 = Resource("c_prescription", "rx-2")
KNOWN = (RX, RX_2, JANE, Resource("c_scan", "scan-000"))
ALICE, BOB = Subject("account", "alice"), Subject("account", "bob")


@pytest.fixture(scope="module")
def address(run_directory: Path) -> Iterator[str]:
    with real_server(run_directory, WORLD) as served:
        yield served


@pytest.fixture(params=[FakeGuard, FakeAsyncGuard, Guard, AsyncGuard])
async def guard(request: pytest.FixtureRequest) -> AsyncIterator[Hand]:
    if request.param in (FakeGuard, FakeAsyncGuard):
        made = request.param()
        tell(made)
    else:
        made = request.param(request.getfixturevalue("address"), SERVICE_KEY)
    hand = Hand(made)
    yield hand
    await hand.asks("close")


ANSWERS = [
    ("alice", "read", RX, True), ("alice", "delete", RX, True), ("alice", "write", RX, True), ("bob", "read", RX, True),
    ("bob", "update", RX, False), ("bob", "write", RX, False), ("bob", "read", RX_2, False), ("carol", "read", RX, False),
    (Subject("user", "alice"), "read", RX, True), (Subject("account", "bob"), "read", RX, True), (Subject("team", "alice"), "read", RX, False),
    ("carol", "read", JANE, True), ("alice", "read", JANE, False), ("carol", "read", Resource("Patient", "jane"), False),
    # what nobody has heard of
    ("mallory", "read", RX, False), ("alice", "read", Resource("c_prescription", "rx-3"), False), ("alice", "read", Resource("c_other", "rx-1"), False),
    ("alice", "fly", RX, False), ("alice", "write", Resource("c_scan", "scan-000"), False), (Subject("martian", "alice"), "read", RX, False),
]  # fmt: skip


@pytest.mark.parametrize(("subject", "action", "resource", "expected"), ANSWERS)
async def test_a_question(guard: Hand, subject: Any, action: str, resource: Resource, expected: bool) -> None:
    assert await guard.asks("allowed", subject, action, resource) is expected
    if expected:
        assert await guard.asks("require", subject, action, resource) is None
    else:
        with pytest.raises(NotAllowed):
            await guard.asks("require", subject, action, resource)
    if resource in KNOWN:
        assert (await guard.asks("explain", subject, action, resource)).decision is expected
    else:
        with pytest.raises(Refused) as refused:
            await guard.asks("explain", subject, action, resource)
        assert (refused.value.status, refused.value.kind) == (404, "not-found")


async def test_many_questions(guard: Hand) -> None:
    asked = [Question.of(subject, action, resource) for subject, action, resource, _ in ANSWERS] * 2
    expected = [each for *_, each in ANSWERS] * 2
    assert await guard.asks("allowed_all", asked) == expected
    assert await guard.asks("allowed_all", []) == []


def test_a_server_takes_as_many_in_a_request_as_a_guard_sends(address: str) -> None:
    asked = [Question.of(subject, action, resource) for subject, action, resource, _ in ANSWERS]
    asked = (asked * MOST_QUESTIONS)[: MOST_QUESTIONS + 1]
    expected = ([each for *_, each in ANSWERS] * MOST_QUESTIONS)[: MOST_QUESTIONS + 1]
    with Guard(address, SERVICE_KEY, within=60) as guard:
        assert guard.allowed_all(asked) == expected


async def test_questions_of_which_all_or_one_must_be_allowed(guard: Hand) -> None:
    yes, no = Question.of("alice", "read", RX), Question.of("bob", "read", RX_2)
    for asked in (
        [yes],
        [no],
        [yes, no],
        [no, yes],
        [yes, yes],
        [no, no],
        [yes, yes, no, yes],
        [no, no, yes, no],
    ):
        assert await guard.asks("all_allowed", asked) is all(one is yes for one in asked)
        assert await guard.asks("any_allowed", asked) is any(one is yes for one in asked)
    assert await guard.asks("all_allowed", []) is False
    assert await guard.asks("any_allowed", []) is False


async def test_a_list_is_filtered(guard: Hand) -> None:
    given = [RX_2, RX, Resource("c_prescription", "rx-3"), RX]
    assert await guard.asks("filter", "bob", "read", given) == [RX, RX]
    assert await guard.asks("filter", "alice", "read", given) == [RX_2, RX, RX]
    assert await guard.asks("filter", "alice", "read", []) == []


async def test_resources(guard: Hand) -> None:
    found = await guard.asks("resources", "alice", "read", "c_scan")
    assert sorted(one.id for one in found) == [f"scan-{number:03}" for number in range(SCANS)]
    assert {one.type for one in found} == {"c_scan"}
    assert await guard.asks("resources", "bob", "read", "c_prescription") == [RX]
    for asked in (
        ("bob", "update", "c_prescription"),
        ("bob", "read", "c_other"),
        ("mallory", "read", "c_scan"),
        ("alice", "fly", "c_scan"),
    ):
        assert await guard.asks("resources", *asked) == []


async def test_patients(guard: Hand) -> None:
    found = await guard.asks(
        "resources", "carol", "read", "Patient", properties={"fhirServerId": FHIR_SERVER}
    )
    assert sorted(found, key=lambda one: one.id) == [JANE, Resource.patient("jim", fhir_server=FHIR_SERVER)]
    for one in found:
        assert await guard.asks("allowed", "carol", "read", one) is True


async def test_subjects(guard: Hand) -> None:
    assert sorted(await guard.asks("subjects", "account", "read", RX), key=lambda one: one.id) == [ALICE, BOB]
    assert await guard.asks("subjects", "account", "update", RX) == [ALICE]
    assert await guard.asks("subjects", "account", "read", Resource("c_prescription", "rx-3")) == []
    assert await guard.asks("subjects", "martian", "read", RX) == []


async def test_actions(guard: Hand) -> None:
    assert sorted(await guard.asks("actions", "alice", RX)) == sorted((*OF_AN_OWNER, "write"))
    assert sorted(await guard.asks("actions", "alice", Resource("c_scan", "scan-000"))) == sorted(OF_AN_OWNER)
    assert sorted(await guard.asks("actions", "bob", RX)) == sorted(OF_BOB)
    assert sorted(await guard.asks("actions", "carol", JANE)) == sorted(OF_STAFF)
    assert await guard.asks("actions", "bob", RX_2) == []
    assert await guard.asks("actions", "mallory", RX) == []


async def test_an_explanation(guard: Hand) -> None:
    for subject, action in (("bob", "read"), ("bob", "update"), ("mallory", "read")):
        found = await guard.asks("explain", subject, action, RX)
        assert isinstance(found.path, list)
        assert found.reason is None or found.reason


async def test_it_has_the_methods_of_a_guard() -> None:
    fakes_own = {"allow", "deny", "asked", "unavailable"}
    for fake, kind in ((FakeGuard, Guard), (FakeAsyncGuard, AsyncGuard)):
        assert {name for name in dir(fake) if not name.startswith("_")} - fakes_own == {
            name for name in dir(kind) if not name.startswith("_")
        }
