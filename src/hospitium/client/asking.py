"""Asking, without doing it: which request is sent next, how long is waited, what an answer means. Whoever does it is told step by step.

A talk is a generator. It yields a `Call` and is sent the `Reply`, or `Lost` where none came; it yields a `Pause` and is sent nothing;
it returns what was asked for. `Guard` and `AsyncGuard` differ in how they send and wait, and in nothing else.

What may be asked again is asked again: every question only reads. Nothing but a literal `true` is a yes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar, cast

import msgspec

from hospitium.client import errors
from hospitium.client.questions import Explanation, Question, Resource, Subject, subject_of

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator
    from datetime import datetime

    from hospitium.client.questions import Who

T = TypeVar("T")

MOST_QUESTIONS = 1000  # of one call
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2.0  # seconds; each pause is twice the one before
SHORTEST_WAIT = 0.01  # seconds
LEAST_RETRY_AFTER, LONGEST_RETRY_AFTER = 1.0, 300.0  # seconds that anybody is told to wait
_BUSY = (429, 502, 503, 504)
_OK, _MISTAKEN, _BROKEN = 200, 400, 500
_REFUSALS: dict[int, type[errors.Refused]] = {
    400: errors.QuestionRefused,
    401: errors.KeyRefused,
    403: errors.Forbidden,
    413: errors.TooLarge,
}
_POSITION = re.compile(r"[!-~]{1,200}")
_KEY = re.compile(r"hsk_\w+")
_LONGEST_TEXT = 500  # characters of what a problem says


class Call(msgspec.Struct, frozen=True):
    """A request to be sent now, and for how many seconds at most its answer is waited for."""

    path: str
    body: bytes
    after: str | None
    seconds: float


class Pause(msgspec.Struct, frozen=True):
    """So long nothing is sent."""

    seconds: float


class Reply(msgspec.Struct, frozen=True):
    """What was answered."""

    status: int
    body: bytes
    content_type: str = ""
    retry_after: str = ""
    request_id: str = ""


class Lost(msgspec.Struct, frozen=True):
    """Nobody answered; `reason` is for a person."""

    reason: str


if TYPE_CHECKING:
    Talk: TypeAlias = Generator[Call | Pause, Reply | Lost | None, T]


class Patience(msgspec.Struct, frozen=True):
    """How long an answer is waited for, all tries and pauses together, and by which clock. `chance` is from 0 to 1."""

    within: float  # seconds
    clock: Callable[[], float]
    chance: Callable[[], float]

    def pause(self, tries: int, retry_after: str) -> float:
        """Return how long to wait after so many tries, differently each time: who failed together must not come back together."""
        own = min(FIRST_PAUSE * 2.0 ** min(tries, 10), LONGEST_PAUSE) * (0.5 + 0.5 * self.chance())
        asked = seconds_of(retry_after)
        return own if asked is None else asked + own


class Semantic(msgspec.Struct, frozen=True):
    """Which questions of several are answered: all, or those up to the first answer that settles it."""

    name: Literal["execute_all", "deny_on_first_deny", "permit_on_first_permit"]
    settled_by: bool | None


ALL = Semantic("execute_all", None)
UNTIL_DENIED = Semantic("deny_on_first_deny", settled_by=False)
UNTIL_PERMITTED = Semantic("permit_on_first_permit", settled_by=True)


class _Decision(msgspec.Struct):
    decision: bool


class _Decisions(msgspec.Struct):
    evaluations: list[_Decision]


class _Next(msgspec.Struct):
    next_token: str = ""


class _Named(msgspec.Struct):
    name: str


class _Subjects(msgspec.Struct):
    results: list[Subject]
    page: _Next | None = None


class _Resources(msgspec.Struct):
    results: list[Resource]
    page: _Next | None = None


class _Actions(msgspec.Struct):
    results: list[_Named]
    page: _Next | None = None


class _Problem(msgspec.Struct):
    type: str = ""
    detail: str = ""


_PAGES: dict[str, type[_Subjects | _Resources | _Actions]] = {
    "subject": _Subjects,
    "resource": _Resources,
    "action": _Actions,
}


class Found(msgspec.Struct, frozen=True):
    """A page of a search, and the token of the next one; empty after the last."""

    results: list[Any]
    next_token: str


class Asking:
    """The questions of one guard. Each method returns a talk."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience

    def one(self, question: Question, after: str | None) -> Talk[bool]:
        """Ask one question."""
        reply = yield from self._answered("/access/v1/evaluation", _members(question), after)
        return _read(reply, _Decision).decision

    def each(self, questions: Iterable[Question], after: str | None) -> Talk[list[bool]]:
        """Ask several questions; the answers come in their order."""
        decisions: list[bool] = []
        for batch in _batches(questions):
            decisions += yield from self._several(batch, ALL, after)
        return decisions

    def every(self, questions: Iterable[Question], after: str | None) -> Talk[bool]:
        """Ask until one is denied. Of no questions the answer is no: nobody said yes."""
        is_asked = False
        for batch in _batches(questions):
            decisions = yield from self._several(batch, UNTIL_DENIED, after)
            if not all(decisions):
                return False
            is_asked = True
        return is_asked

    def any(self, questions: Iterable[Question], after: str | None) -> Talk[bool]:
        """Ask until one is permitted."""
        for batch in _batches(questions):
            decisions = yield from self._several(batch, UNTIL_PERMITTED, after)
            if any(decisions):
                return True
        return False

    def _several(self, batch: list[Question], semantic: Semantic, after: str | None) -> Talk[list[bool]]:
        reply = yield from self._answered("/access/v1/evaluations", _several_members(batch, semantic), after)
        decisions = [each.decision for each in _read(reply, _Decisions).evaluations]
        is_settled = bool(decisions) and decisions[-1] is semantic.settled_by
        if len(decisions) != len(batch) and not (is_settled and len(decisions) < len(batch)):
            raise errors.WrongAnswer(f"{len(decisions)} answers to {len(batch)} questions")
        return decisions

    def explanation(self, question: Question, at: datetime | None, after: str | None) -> Talk[Explanation]:
        """Ask why, or why then."""
        body = _members(question)
        if at is not None:
            if at.tzinfo is None:
                raise ValueError("at must say its offset from UTC")
            body["at"] = at.isoformat()
        reply = yield from self._answered("/v1/access/explain", body, after)
        return _read(reply, Explanation)

    def found(
        self,
        what: Literal["subject", "resource", "action"],
        body: dict[str, Any],
        token: str,
        after: str | None,
    ) -> Talk[Found]:
        """Ask for a page of subjects, resources or actions; `token` is that of the page before, empty for the first."""
        if token:
            body = {**body, "page": {"token": token}}
        reply = yield from self._answered(f"/access/v1/search/{what}", body, after)
        said = _read(reply, _PAGES[what])
        next_token = said.page.next_token if said.page else ""
        if token and next_token == token:
            raise errors.WrongAnswer("a search that leads nowhere")
        results = [each.name if isinstance(each, _Named) else each for each in said.results]
        return Found(results, next_token)

    def _answered(self, path: str, body: dict[str, Any], after: str | None) -> Talk[Reply]:
        """Send a request until it is answered, or as long as there is time. Raises GuardUnavailable."""
        if after is not None and not _POSITION.fullmatch(after):
            raise ValueError("after must be a position, as a write answers with")
        content, patience = _encoded(body), self._patience
        deadline = patience.clock() + patience.within
        tries = 0
        while True:
            seconds = max(deadline - patience.clock(), SHORTEST_WAIT)
            came = cast("Reply | Lost", (yield Call(path, content, after, seconds)))
            if isinstance(came, Reply) and came.status not in _BUSY:
                return came
            retry_after = came.retry_after if isinstance(came, Reply) else ""
            pause = patience.pause(tries, retry_after)
            # Who would come back too late need not wait for it.
            if patience.clock() + pause >= deadline:
                reason = came.reason if isinstance(came, Lost) else f"the server answers {came.status}"
                raise errors.GuardUnavailable(reason, max(seconds_of(retry_after) or 0.0, LEAST_RETRY_AFTER))
            yield Pause(pause)
            tries += 1


def seconds_of(retry_after: str) -> float | None:
    """Return the seconds of a `Retry-After`, at most those anybody is told to wait; None where it says none."""
    if not (retry_after.isascii() and retry_after.isdigit()):
        return None
    return min(float(retry_after), LONGEST_RETRY_AFTER)


def resource_search(
    subject: Who, action: str, of_type: str, properties: dict[str, Any] | None
) -> dict[str, Any]:
    """Return what asks for resources."""
    resource = {"type": of_type, **({"properties": properties} if properties else {})}
    return {"subject": subject_of(subject), "action": {"name": action}, "resource": resource}


def subject_search(of_type: str, action: str, resource: Resource) -> dict[str, Any]:
    """Return what asks for subjects."""
    return {"subject": {"type": of_type}, "action": {"name": action}, "resource": resource}


def action_search(subject: Who, resource: Resource) -> dict[str, Any]:
    """Return what asks for actions."""
    return {"subject": subject_of(subject), "resource": resource}


def _members(question: Question) -> dict[str, Any]:
    return {
        "subject": question.subject,
        "action": {"name": question.action},
        "resource": question.resource,
    }


def _several_members(batch: list[Question], semantic: Semantic) -> dict[str, Any]:
    """Return what asks several questions. What they have in common is said once: most lists are of one subject and one action."""
    each = [_members(question) for question in batch]
    common = {
        name: each[0][name]
        for name in ("subject", "action")
        if all(members[name] == each[0][name] for members in each)
    }
    rest = [{name: value for name, value in members.items() if name not in common} for members in each]
    return {**common, "evaluations": rest, "options": {"evaluations_semantic": semantic.name}}


def _encoded(body: dict[str, Any]) -> bytes:
    """Return what is sent. Raises QuestionRefused: half of a character is in no text that a server could be sent."""
    try:
        return msgspec.json.encode(body)
    except UnicodeEncodeError:
        detail = "a text of the question holds half of a character"
        raise errors.QuestionRefused(_MISTAKEN, "invalid", detail, "") from None


def _batches(questions: Iterable[Question]) -> Iterator[list[Question]]:
    rest = iter(questions)
    while batch := list(islice(rest, MOST_QUESTIONS)):
        yield batch


def _read(reply: Reply, shape: type[T]) -> T:
    """Return what a reply says, if it is an answer. Raises Refused, WrongAnswer, GuardUnavailable."""
    if reply.status != _OK:
        raise _refusal(reply)
    found = _decoded(reply, shape, "application/json")
    if found is None:
        raise errors.WrongAnswer("200, and no answer in it")
    return found


def _refusal(reply: Reply) -> errors.GuardError:
    if reply.status >= _BROKEN:
        return errors.GuardUnavailable(f"the server answers {reply.status}", LEAST_RETRY_AFTER)
    if reply.status < _MISTAKEN:
        return errors.WrongAnswer(f"a status of {reply.status}")
    said = _decoded(reply, _Problem, "application/problem+json") or _Problem()
    # A proxy that shows what it was sent must not bring the key into anybody's log.
    kind, detail = (_KEY.sub("hsk_•••", text)[:_LONGEST_TEXT] for text in (said.type, said.detail))
    refused = _REFUSALS.get(reply.status, errors.Refused)
    return refused(reply.status, kind.rpartition(":")[2], detail, reply.request_id)


def _decoded(reply: Reply, shape: type[T], media_type: str) -> T | None:
    """Return a body as a value of `shape`; None if it isn't one, or doesn't say that it is JSON."""
    if reply.content_type.partition(";")[0].strip().lower() != media_type:
        return None
    try:
        found = msgspec.json.decode(reply.body, type=shape)
        # That parser takes the last of two members with one name. Others take the first, so what it says is no answer.
        json.loads(reply.body.decode(), object_pairs_hook=_once_each)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    return found


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is given twice")
    return members
