"""What a guard sends, what it takes for a yes, and how long it tries: without sockets, on a clock that is moved."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from client.pdp import ALICE_READS, RX, SCAN
from hospitium.client import (
    GuardError,
    GuardUnavailable,
    Question,
    QuestionRefused,
    Resource,
    WrongAnswer,
)
from hospitium.client.asking import (
    LONGEST_PAUSE,
    MOST_QUESTIONS,
    Asking,
    Call,
    Lost,
    Patience,
    Pause,
    Reply,
    seconds_of,
)

WITHIN = 5.0


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def reply(body: Any, status: int = 200, **more: Any) -> Reply:
    content = body if isinstance(body, bytes) else msgspec.json.encode(body)
    kind = "application/json" if status == 200 else "application/problem+json"
    return Reply(status, content, **{"content_type": kind, **more})


YES, NO, AWAY = reply({"decision": True}), reply({"decision": False}), reply({}, 503)


def asking(clock: Clock, chance: float = 0.5) -> Asking:
    return Asking(Patience(WITHIN, clock, lambda: chance))


def hold(
    talk: Any, clock: Clock, *replies: Reply | Lost, each_takes: float = 0.01
) -> tuple[Any, list[Call | Pause]]:
    """Hold a talk; the last reply comes again and again. Return what it returns, or raises, and its steps."""
    steps: list[Call | Pause] = []
    came, left = None, list(replies)
    while True:
        try:
            steps.append(step := talk.send(came))
        except StopIteration as end:
            return end.value, steps
        except GuardError as problem:
            return problem, steps
        if isinstance(step, Pause):
            clock.now += step.seconds
            came = None
        else:
            clock.now += each_takes
            came = left.pop(0) if len(left) > 1 else left[0]


def one(*replies: Reply | Lost, chance: float = 0.5, **more: Any) -> tuple[Any, list[Call | Pause]]:
    clock = Clock()
    return hold(asking(clock, chance).one(ALICE_READS, None), clock, *replies, **more)


def test_it_asks_as_the_standard_says() -> None:
    found, (call,) = one(YES)
    assert found is True
    assert isinstance(call, Call)
    assert call.path == "/access/v1/evaluation"
    assert msgspec.json.decode(call.body) == {
        "subject": {"type": "account", "id": "alice"},
        "action": {"name": "read"},
        "resource": {"type": "c_prescription", "id": "rx-1"},
    }


def test_a_patient_says_on_which_server() -> None:
    clock = Clock()
    question = Question.of("alice", "read", Resource.patient("p1", fhir_server="d9c3"))
    _, (call,) = hold(asking(clock).one(question, None), clock, YES)
    assert msgspec.json.decode(call.body)["resource"] == {
        "type": "Patient",
        "id": "p1",
        "properties": {"fhirServerId": "d9c3"},
    }


NOT_YES = [
    b"", b"true", b"null", b"[]", b"{}", b'{"decision": 1}', b'{"decision": "true"}', b'{"decision": null}', b'{"decision": [true]}',
    b'{"Decision": true}', b'{"evaluations": [{"decision": true}]}', b'{"decision": true', b'{"decision": true} {"decision": false}',
    b'{"decision": false, "decision": true}', b'{"decision": true, "decision": true}', b'{"decision": false, "\\u0064ecision": true}',
    b'{"decision": true, "context": {"a": 1, "a": 2}}', b'{"decision": true, "context": ' + b"9" * 5_000 + b"}",
    b"<html>true</html>", b"\xff\xfe", b'{"a":' + b"[" * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("body", NOT_YES)
def test_nothing_else_is_a_yes(body: bytes) -> None:
    found, _ = one(reply(body))
    assert isinstance(found, WrongAnswer)


@pytest.mark.parametrize("place", ["subject", "action", "type", "id"])
def test_half_of_a_character_is_asked_of_nobody(place: str) -> None:
    said = {"subject": "alice", "action": "read", "type": "c_prescription", "id": "rx-1", place: "\ud800"}
    clock = Clock()
    question = Question.of(said["subject"], said["action"], Resource(said["type"], said["id"]))
    for talk in (asking(clock).one(question, None), asking(clock).each([question], None)):
        found, steps = hold(talk, clock, YES)
        assert isinstance(found, QuestionRefused)
        assert steps == []


@pytest.mark.parametrize("kind", ["", "text/html", "text/plain; charset=utf-8", "application/problem+json"])
def test_a_yes_says_that_it_is_json(kind: str) -> None:
    found, _ = one(reply({"decision": True}, content_type=kind))
    assert isinstance(found, WrongAnswer)


@pytest.mark.parametrize(
    "status", [201, 202, 204, 206, 301, 302, 307, 308, 400, 401, 403, 404, 418, 500, 501, 505]
)
def test_a_yes_of_another_status_is_none_and_is_not_asked_for_again(status: int) -> None:
    found, steps = one(reply({"decision": True}, status, content_type="application/json"))
    assert isinstance(found, GuardError)
    assert len(steps) == 1


_BODIES = st.one_of(
    st.sampled_from([b'{"decision":true}', b'{"decision":false}', *NOT_YES[:-1]]),
    st.binary(max_size=30),
    st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda some: st.lists(some) | st.dictionaries(st.sampled_from(["decision", "x"]), some)).map(msgspec.json.encode),
)  # fmt: skip
_REPLIES = st.one_of(
    st.builds(Lost, st.just("away")),
    st.builds(
        Reply,
        st.sampled_from([200, 200, 200, 204, 302, 400, 401, 429, 500, 502, 503]),
        _BODIES,
        st.sampled_from(["application/json", "application/json", "text/html", ""]),
        st.sampled_from(["", "0", "1", "3600", "-1", "x"]),
    ),
)


@given(st.lists(_REPLIES, min_size=1, max_size=6))
def test_a_yes_is_what_the_last_reply_says_and_no_other_way_leads_to_one(replies: list[Reply | Lost]) -> None:
    found, steps = one(*replies)
    calls = [step for step in steps if isinstance(step, Call)]
    last = replies[min(len(calls), len(replies)) - 1]
    says_yes = False
    if isinstance(last, Reply) and last.status == 200 and last.content_type == "application/json":
        try:
            said = msgspec.json.decode(last.body)
            says_yes = isinstance(said, dict) and said.get("decision") is True and last.body not in NOT_YES
        except msgspec.DecodeError:
            pass
    assert (found is True) == says_yes
    assert found in (True, False) or isinstance(found, GuardError)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_it_asks_again_where_somebody_is_busy(status: int) -> None:
    found, steps = one(reply({}, status), Lost("gone"), YES)
    assert found is True
    assert [type(step) for step in steps] == [Call, Pause, Call, Pause, Call]


def test_pauses_grow_and_differ() -> None:
    _, calmly = one(AWAY, chance=0.0)
    _, hastily = one(AWAY, chance=1.0)
    for steps in (calmly, hastily):
        pauses = [step.seconds for step in steps if isinstance(step, Pause)]
        assert pauses == sorted(pauses)
        assert max(pauses) <= LONGEST_PAUSE
    first = [next(step.seconds for step in steps if isinstance(step, Pause)) for steps in (calmly, hastily)]
    assert first == [0.025, 0.05]


@pytest.mark.parametrize("came", [AWAY, Lost("gone")])
@pytest.mark.parametrize("each_takes", [0.001, 0.5, WITHIN, 3 * WITHIN])
def test_it_gives_up_in_time(came: Reply | Lost, each_takes: float) -> None:
    clock = Clock()
    begun = clock.now
    found, steps = hold(asking(clock).one(ALICE_READS, None), clock, came, each_takes=each_takes)
    assert isinstance(found, GuardUnavailable)
    # A try is told how long it may take; here each takes what it takes.
    assert clock.now - begun <= WITHIN + each_takes
    left = [step.seconds for step in steps if isinstance(step, Call)]
    assert left == sorted(left, reverse=True)
    assert left[0] == WITHIN


def test_it_comes_back_when_it_was_told_to() -> None:
    found, (_, pause, _) = one(reply({}, 503, retry_after="2"), YES)
    assert found is True
    assert isinstance(pause, Pause)
    assert 2.0 < pause.seconds < 2.1


def test_it_does_not_wait_for_what_comes_too_late() -> None:
    found, steps = one(reply({}, 503, retry_after="6"))
    assert isinstance(found, GuardUnavailable)
    assert found.retry_after == 6.0
    assert len(steps) == 1


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("2", 2.0), ("0", 0.0), ("86400", 300.0), ("9" * 400, 300.0), ("", None), ("-1", None), ("1.5", None), ("²", None),
     ("Wed, 21 Oct 2026 07:28:00 GMT", None)],
)  # fmt: skip
def test_a_retry_after_is_believed_within_bounds(text: str, seconds: float | None) -> None:
    assert seconds_of(text) == seconds


def many(number: int) -> list[Question]:
    return [Question.of("alice", "read", Resource("c_scan", str(index))) for index in range(number)]


def several(how: str, questions: list[Question], *replies: Reply) -> tuple[Any, list[Any]]:
    clock = Clock()
    found, steps = hold(getattr(asking(clock), how)(iter(questions), None), clock, *replies)
    return found, [msgspec.json.decode(step.body) for step in steps if isinstance(step, Call)]


def decisions(*each: bool) -> Reply:
    return reply({"evaluations": [{"decision": decision} for decision in each]})


def test_many_questions_travel_a_thousand_at_a_time_and_in_order() -> None:
    answers = [[index % 3 == 0 for index in range(n)] for n in (MOST_QUESTIONS, MOST_QUESTIONS, 1)]
    found, bodies = several("each", many(2 * MOST_QUESTIONS + 1), *(decisions(*some) for some in answers))
    assert found == [one for some in answers for one in some]
    assert [len(body["evaluations"]) for body in bodies] == [MOST_QUESTIONS, MOST_QUESTIONS, 1]
    ids = [each["resource"]["id"] for body in bodies for each in body["evaluations"]]
    assert ids == [str(index) for index in range(2 * MOST_QUESTIONS + 1)]


def test_what_questions_have_in_common_is_said_once() -> None:
    _, (body,) = several("each", many(2), decisions(True, True))
    assert body == {
        "subject": {"type": "account", "id": "alice"},
        "action": {"name": "read"},
        "evaluations": [
            {"resource": {"type": "c_scan", "id": "0"}},
            {"resource": {"type": "c_scan", "id": "1"}},
        ],
        "options": {"evaluations_semantic": "execute_all"},
    }
    mixed = [ALICE_READS, Question.of("bob", "read", RX), Question.of("bob", "update", SCAN)]
    _, (body,) = several("each", mixed, decisions(True, True, False))
    assert set(body) == {"evaluations", "options"}
    assert [(each["subject"]["id"], each["action"]["name"], each["resource"]["id"]) for each in body["evaluations"]] == [
        ("alice", "read", "rx-1"), ("bob", "read", "rx-1"), ("bob", "update", "scan-1"),
    ]  # fmt: skip


def test_nothing_is_asked_where_there_is_no_question_and_nobody_says_yes() -> None:
    for how, answer in (("each", []), ("every", False), ("any", False)):
        found, bodies = several(how, [], decisions(True))
        assert (found, bodies) == (answer, [])


@pytest.mark.parametrize(
    ("how", "answers", "expected"),
    [
        ("every", [True, True, True], True), ("every", [True, True, False], False), ("every", [True, False], False), ("every", [False], False),
        ("any", [False, False, False], False), ("any", [False, False, True], True), ("any", [True], True),
        # a server that answers all of them all the same
        ("every", [False, True, True], False), ("any", [True, False, False], True),
    ],
)  # fmt: skip
def test_one_answer_may_settle_it(how: str, answers: list[bool], expected: bool) -> None:
    found, (body,) = several(how, many(3), decisions(*answers))
    assert found is expected
    semantic = {"every": "deny_on_first_deny", "any": "permit_on_first_permit"}[how]
    assert body["options"] == {"evaluations_semantic": semantic}


@pytest.mark.parametrize(
    ("how", "answers"),
    [
        ("each", []), ("each", [True, True]), ("each", [True] * 4), ("each", [True, False]), ("every", []), ("every", [True, True]),
        ("every", [True] * 4), ("any", []), ("any", [False, False]), ("any", [False] * 3 + [True]),
    ],
)  # fmt: skip
def test_answers_that_leave_a_question_open_are_none(how: str, answers: list[bool]) -> None:
    found, _ = several(how, many(3), decisions(*answers))
    assert isinstance(found, WrongAnswer)


def test_after_the_answer_that_settles_it_no_more_are_asked() -> None:
    found, bodies = several(
        "every", many(3 * MOST_QUESTIONS), decisions(*[True] * MOST_QUESTIONS), decisions(False)
    )
    assert found is False
    assert len(bodies) == 2
    found, bodies = several(
        "any", many(3 * MOST_QUESTIONS), decisions(*[False] * MOST_QUESTIONS), decisions(True)
    )
    assert found is True
    assert len(bodies) == 2


@pytest.mark.parametrize("after", ["", "a b", "a\r\nAuthorization: x", "é", "x" * 201])
def test_what_is_no_position_is_not_sent(after: str) -> None:
    with pytest.raises(ValueError, match="after"):
        asking(Clock()).one(ALICE_READS, after).send(None)
