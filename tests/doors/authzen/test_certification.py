"""The Core levels of AuthZEN's certification scenario (Basic, Batch, Search, Discovery), item by item.

The numbers are the sections of the OpenID AuthZEN working group's "Certification Scenario" for the Authorization API 1.0. Its Properties
levels want decisions that follow what a request says of itself; here rows decide, and `properties` are ignored.
"""

from __future__ import annotations

from typing import Any

import pytest

from doors.authzen.asking import (
    ACTIONS,
    EVALUATION,
    EVALUATIONS,
    RESOURCES,
    SUBJECTS,
    Application,
    question,
    thing,
)

CONTEXT = {"time": "2025-06-27T18:03-07:00", "ip": "192.168.1.1"}
ALICE, BOB, ONE, TWO = "user/alice", "user/bob", "record/record-1", "record/record-2"


def ids(found: dict[str, Any]) -> list[str]:
    return [one["id"] for one in found["results"]]


# -- 2: Basic Core -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("subject", "action", "decision"),
    [(ALICE, "read", True), (ALICE, "write", True), (BOB, "read", True), (BOB, "write", False)],
)
async def test_it_decides_as_the_fixture_says(
    app: Application, subject: str, action: str, decision: bool
) -> None:
    """1.4 rules 1 to 4; 2.2.1, 2.2.2; 2.6: the same each time."""
    for _ in range(3):
        assert await app.says(EVALUATION, question(subject, action, ONE)) == {"decision": decision}


async def test_context_properties_and_unknown_members_change_nothing(app: Application) -> None:
    """2.2.3, 2.2.8, 2.2.9; 5.5."""
    assert await app.allows(ALICE, "read", ONE, context=CONTEXT)
    full = {
        "subject": thing(ALICE, properties={"department": "Sales", "role": "manager"}),
        "action": {"name": "read", "properties": {"method": "GET"}},
        "resource": thing(ONE, properties={"status": "active", "owner": "bob"}),
        "foo": "bar",
        "futureField": {"nested": True},
    }
    assert await app.says(EVALUATION, full) == {"decision": True}


WHOLE = question(ALICE, "read", ONE)
MISSING = [
    {name: value for name, value in WHOLE.items() if name != gone}
    for gone in ("subject", "action", "resource")
] + [
    {**WHOLE, "subject": {"id": "alice"}},
    {**WHOLE, "subject": {"type": "user"}},
    {**WHOLE, "action": {}},
    {**WHOLE, "resource": {"id": "record-1"}},
    {**WHOLE, "resource": {"type": "record"}},
    {**WHOLE, "subject": "alice"},
    {**WHOLE, "action": {"name": 123}},
    {**WHOLE, "context": "now"},
    {**WHOLE, "subject": thing(ALICE, properties=[])},
    {**WHOLE, "resource": None},
    [],
    "alice",
    None,
]


@pytest.mark.parametrize("path", [EVALUATION, EVALUATIONS])
@pytest.mark.parametrize("body", MISSING, ids=str)
async def test_it_refuses_what_is_no_question(app: Application, path: str, body: Any) -> None:
    """2.4.1, 2.4.2, 2.4.6; 5.3."""
    answered = await app.asks(path, body)
    assert answered.status_code == 400
    assert answered.headers["content-type"] == "application/problem+json"
    assert answered.json()["errors"][0]["field"]


@pytest.mark.parametrize("path", [EVALUATION, EVALUATIONS, SUBJECTS, RESOURCES, ACTIONS])
async def test_it_refuses_what_is_no_json(app: Application, path: str) -> None:
    """2.4.3, 2.4.4, 2.4.5."""
    content = b'{"subject":{"type":"user","id":"alice"},"action":{"name":"read"},"resource":{"type":"record","id":"record-1"}}'
    for content_type in (
        "text/plain",
        "application/xml",
        "application/x-www-form-urlencoded",
        "application/json; charset=latin1",
    ):
        assert (await app.caller.send("POST", path, content, Content_Type=content_type)).status_code == 400
    assert (await app.caller.send("POST", path, content)).status_code == 400
    for broken in (b"", b"{", b"\xff", b'{"subject":', b"nonsense", content + b"}", b'{"a":1,"a":2}'):
        answered = await app.caller.send("POST", path, broken, Content_Type="application/json")
        assert answered.status_code == 400, broken


async def test_the_request_id_comes_back(app: Application) -> None:
    """2.5.1, 2.5.2; 5.4."""
    for given in ("bfe9eb29-ab87-4ca3-be83-a1d5d8305716", "any string: at all, even {this}", "x"):
        answered = await app.asks(EVALUATION, WHOLE, X_Request_ID=given)
        assert answered.headers.get_list("x-request-id") == [given]
        refused = await app.asks(EVALUATION, {}, X_Request_ID=given)
        assert (refused.status_code, refused.headers.get_list("x-request-id")) == (400, [given])
    assert len((await app.asks(EVALUATION, WHOLE)).headers["x-request-id"]) == 16


# -- 3: Batch Core -----------------------------------------------------------------------------------------------------


async def test_a_batch_shares_what_stands_at_the_top(app: Application) -> None:
    """3.2.1, 3.2.2, 3.3: as many answers as questions, in their order."""
    many = question(ALICE, "read", evaluations=[{"resource": thing(ONE)}, {"resource": thing(TWO)}])
    assert await app.says(EVALUATIONS, many) == {"evaluations": [{"decision": True}, {"decision": True}]}
    both = question(BOB, None, ONE, evaluations=[{"action": {"name": "read"}}, {"action": {"name": "write"}}])
    assert await app.says(EVALUATIONS, both) == {"evaluations": [{"decision": True}, {"decision": False}]}


async def test_a_batch_without_defaults_and_with_contexts(app: Application) -> None:
    """3.2.5, 3.2.6."""
    whole = {"evaluations": [question(ALICE, "read", ONE), question(BOB, "write", ONE)]}
    assert await app.says(EVALUATIONS, whole) == {"evaluations": [{"decision": True}, {"decision": False}]}
    contexts = question(
        ALICE,
        "read",
        context=CONTEXT,
        evaluations=[
            {"resource": thing(ONE)},
            {"resource": thing(TWO), "context": {"source": "batch-override"}},
        ],
    )
    assert len((await app.says(EVALUATIONS, contexts))["evaluations"]) == 2


async def test_what_a_question_of_a_batch_has_itself_it_has_whole(app: Application) -> None:
    """3.2.7 without its properties: an empty question inherits everything, another replaces whole entities."""
    asked = question(ALICE, "write", ONE, evaluations=[{}, {"subject": thing(BOB)}])
    assert await app.says(EVALUATIONS, asked) == {"evaluations": [{"decision": True}, {"decision": False}]}


async def test_a_question_of_a_batch_that_is_none_is_denied_alone(app: Application) -> None:
    """3.4.1."""
    asked = question(
        ALICE,
        "read",
        options={"evaluations_semantic": "execute_all"},
        evaluations=[
            {"resource": thing(ONE)},
            {},
            {"resource": {"type": "record"}},
            {"resource": thing(TWO)},
        ],
    )
    first, second, third, fourth = (await app.says(EVALUATIONS, asked))["evaluations"]
    assert first == fourth == {"decision": True}
    assert second == {
        "decision": False,
        "context": {"error": {"status": 400, "message": "resource: is required"}},
    }
    assert third["context"]["error"]["message"] == "resource.id: is required"
    assert third["decision"] is False


@pytest.mark.parametrize("more", [{}, {"evaluations": []}])
async def test_without_a_batch_it_is_one_question(app: Application, more: dict[str, Any]) -> None:
    """3.4.2, 3.4.3."""
    assert await app.says(EVALUATIONS, question(ALICE, "read", ONE, **more)) == {"decision": True}


# -- 4: Search Core ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [{}, {"context": CONTEXT}])
@pytest.mark.parametrize("subject", ["user", "user/alice"])
async def test_it_finds_subjects(app: Application, subject: str, more: dict[str, Any]) -> None:
    """4.2.1, 4.2.2, 4.2.3 (an id is ignored)."""
    found = await app.says(SUBJECTS, question(subject, "read", ONE, **more))
    assert sorted(ids(found)) == ["alice", "bob"]
    assert {one["type"] for one in found["results"]} == {"user"}
    assert found["page"] == {"next_token": "", "count": 2, "total": 2}
    assert list(found) == ["page", "results"]


@pytest.mark.parametrize("more", [{}, {"context": CONTEXT}])
@pytest.mark.parametrize("resource", ["record", "record/record-2"])
async def test_it_finds_resources(app: Application, resource: str, more: dict[str, Any]) -> None:
    """4.3.1, 4.3.2, 4.3.3 (an id is ignored)."""
    found = await app.says(RESOURCES, question(ALICE, "read", resource, **more))
    assert sorted(ids(found)) == ["record-1", "record-2"]
    assert {one["type"] for one in found["results"]} == {"record"}
    assert ids(await app.says(RESOURCES, question(BOB, "read", resource))) == ["record-1"]
    assert ids(await app.says(RESOURCES, question(BOB, "write", resource))) == []


@pytest.mark.parametrize("more", [{}, {"context": CONTEXT}])
async def test_it_finds_actions(app: Application, more: dict[str, Any]) -> None:
    """4.4.1, 4.4.2."""
    names = [one["name"] for one in (await app.says(ACTIONS, question(ALICE, None, ONE, **more)))["results"]]
    assert names == ["connect", "delete", "read", "share", "update", "write"]
    names = [one["name"] for one in (await app.says(ACTIONS, question(BOB, None, ONE)))["results"]]
    assert names == ["connect", "read"]


async def test_it_finds_page_by_page(app: Application) -> None:
    """4.5: a limit, and then what came before as the token, without repeating the limit."""
    asked = question("user", "read", ONE)
    first = await app.says(SUBJECTS, {**asked, "page": {"limit": 1}})
    assert (len(first["results"]), first["page"]["count"], first["page"]["total"]) == (1, 1, 2)
    second = await app.says(SUBJECTS, {**asked, "page": {"token": first["page"]["next_token"]}})
    assert second["page"] == {"next_token": "", "count": 1, "total": 2}
    assert {*ids(first), *ids(second)} == {"alice", "bob"}


NOBODY, NOTHING = "user/nonexistent-user", "record/nonexistent"


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        (ACTIONS, question(NOBODY, None, ONE)),
        (ACTIONS, question(ALICE, None, NOTHING)),
        (ACTIONS, question("spaceship/alice", None, ONE)),
        (ACTIONS, question(ALICE, None, "spaceship/record-1")),
        (SUBJECTS, question("spaceship", "read", ONE)),
        (SUBJECTS, question("user", "read", NOTHING)),
        (SUBJECTS, question("user", "fly", ONE)),
        (RESOURCES, question(NOBODY, "read", "record")),
        (RESOURCES, question(ALICE, "read", "spaceship")),
        (RESOURCES, question(ALICE, "fly", "record")),
    ],
)
async def test_what_nobody_knows_finds_nothing(app: Application, path: str, asked: dict[str, Any]) -> None:
    """4.6."""
    found = await app.says(path, asked)
    assert found == {"page": {"next_token": "", "count": 0, "total": 0}, "results": []}


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        (SUBJECTS, question("user", None, ONE)),
        (RESOURCES, question(None, "read", "record")),
        (ACTIONS, question(ALICE)),
        (SUBJECTS, question("user", "read", "record")),
        (RESOURCES, question("user", "read", "record")),
        (ACTIONS, question("user", None, ONE)),
    ],
)
async def test_a_search_without_what_it_needs_is_refused(
    app: Application, path: str, asked: dict[str, Any]
) -> None:
    """4.7."""
    assert (await app.asks(path, asked)).status_code == 400


# -- 6: Discovery ------------------------------------------------------------------------------------------------------


async def test_it_says_where_it_answers(app: Application) -> None:
    """6.2, 6.3, 6.4: every address below the public one, for anybody."""
    answered = await app.house.stranger.get("/.well-known/authzen-configuration")
    assert (answered.status_code, answered.headers["content-type"]) == (200, "application/json")
    base = app.house.parts.public_url.rstrip("/")
    assert answered.json() == {
        "policy_decision_point": base,
        "access_evaluation_endpoint": base + EVALUATION,
        "access_evaluations_endpoint": base + EVALUATIONS,
        "search_subject_endpoint": base + SUBJECTS,
        "search_resource_endpoint": base + RESOURCES,
        "search_action_endpoint": base + ACTIONS,
    }
