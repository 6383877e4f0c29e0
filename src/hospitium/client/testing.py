"""A guard for the tests of an application: what it allows, the test says, and everything else is denied.

    guard = FakeGuard()
    guard.allow("alice", "read", Resource("c_prescription", "rx-1"))

It is a real guard whose server is a table in memory: questions are written, and answers read, by the same code. It knows no levels: who
is allowed to update is allowed to read when the test says so. Nothing but what the test has named exists.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import msgspec

from hospitium.client.async_guard import AsyncGuard
from hospitium.client.guard import Guard
from hospitium.client.questions import Question, Resource, Subject

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hospitium.client.questions import Who

_URL, _KEY = "http://localhost", "hsk_fake"  # where nothing goes
_AT_ONCE = 0.05  # seconds: what is unavailable is so without waiting
_PAGE = 100
_JSON, _PROBLEM = {"Content-Type": "application/json"}, {"Content-Type": "application/problem+json"}
_SETTLED_BY = {"execute_all": None, "deny_on_first_deny": False, "permit_on_first_permit": True}


class _World:
    """What is allowed, and what was asked."""

    def __init__(self) -> None:
        self.allowed: dict[bytes, Question] = {}
        self.known: set[bytes] = set()  # resources that the test has named
        self.asked: list[Question] = []
        self.is_away = False

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer as a server does."""
        if self.is_away:
            return httpx.Response(503, headers={"Retry-After": "2"})
        body = msgspec.json.decode(request.content)
        match request.url.path.rpartition("/")[2]:
            case "evaluation":
                return httpx.Response(200, json=self._decision(body))
            case "evaluations":
                return httpx.Response(200, json={"evaluations": list(self._decisions(body))})
            case "explain":
                return self._explained(_question(body))
            case what:
                return httpx.Response(200, content=msgspec.json.encode(self._page(what, body)), headers=_JSON)

    def _explained(self, question: Question) -> httpx.Response:
        if _name(question.resource) not in self.known:
            problem = {"type": "urn:hospitium:problem:not-found", "detail": "There is no such resource"}
            return httpx.Response(404, content=msgspec.json.encode(problem), headers=_PROBLEM)
        is_allowed = self._is_allowed(question)
        reason = "the test allows it" if is_allowed else "nothing in the test allows it"
        return httpx.Response(200, json={"decision": is_allowed, "reason": reason, "path": []})

    def _decision(self, body: Any) -> dict[str, bool]:
        question = _question(body)
        self.asked.append(question)
        return {"decision": self._is_allowed(question)}

    def _decisions(self, body: Any) -> Iterator[dict[str, bool]]:
        settled_by = _SETTLED_BY[body["options"]["evaluations_semantic"]]
        for members in body["evaluations"]:
            decision = self._decision({**body, **members})
            yield decision
            if decision["decision"] is settled_by:
                return

    def _is_allowed(self, question: Question) -> bool:
        return _name(question) in self.allowed

    def _page(self, what: str, body: Any) -> dict[str, Any]:
        found = {_name(each): each for each in self._found(what, body)}
        names = sorted(found)
        begin = int(body.get("page", {}).get("token", "0"))
        end = begin + _PAGE
        return {
            "results": [found[name] for name in names[begin:end]],
            "page": {"next_token": str(end) if end < len(names) else ""},
        }

    def _found(self, what: str, body: Any) -> Iterator[Any]:
        """Yield what is allowed and fits what was asked, once or more."""
        for question in self.allowed.values():
            members = {
                "subject": _usual(question.subject),
                "action": {"name": question.action},
                "resource": question.resource,
            }
            if all(_fits(msgspec.to_builtins(members[name]), body[name]) for name in members if name in body):
                yield members[what]


class _Fake:
    """What a test says to a guard, and hears from it."""

    _world: _World

    @property
    def asked(self) -> list[Question]:
        """Every question that was asked, in order; searches and explanations are not among them."""
        return list(self._world.asked)

    def allow(self, subject: Who, action: str, resource: Resource) -> None:
        """Allow this one to do that to this."""
        question = Question.of(subject, action, resource)
        self._world.allowed[_name(question)] = question
        self._world.known.add(_name(resource))

    def deny(self, subject: Who, action: str, resource: Resource) -> None:
        """Take that back; what was never allowed is denied already."""
        self._world.allowed.pop(_name(Question.of(subject, action, resource)), None)
        self._world.known.add(_name(resource))

    def unavailable(self, *, still: bool = True) -> None:
        """Let nobody be there to answer; with `still=False` somebody is again."""
        self._world.is_away = still


class FakeGuard(_Fake, Guard):
    """A `Guard` without a server."""

    def __init__(self) -> None:
        self._world = _World()
        super().__init__(_URL, _KEY, within=_AT_ONCE, transport=httpx.MockTransport(self._world.answer))


class FakeAsyncGuard(_Fake, AsyncGuard):
    """An `AsyncGuard` without a server."""

    def __init__(self) -> None:
        self._world = _World()
        super().__init__(_URL, _KEY, within=_AT_ONCE, transport=httpx.MockTransport(self._world.answer))


def _question(body: Any) -> Question:
    return msgspec.convert({**body, "action": body["action"]["name"]}, Question)


def _usual(subject: Subject) -> Subject:
    """Return a subject under its type's usual name: `user` is another word for an account."""
    return msgspec.structs.replace(subject, type="account") if subject.type == "user" else subject


def _name(value: Any) -> bytes:
    """Return what tells a value from others."""
    if isinstance(value, Question):
        value = msgspec.structs.replace(value, subject=_usual(value.subject))
    return msgspec.json.encode(value, order="sorted")


def _fits(members: dict[str, Any], asked: dict[str, Any]) -> bool:
    if asked.get("type") == "user":
        asked = {**asked, "type": "account"}
    return all(members.get(name) == value for name, value in asked.items())
