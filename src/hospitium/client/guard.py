"""The guard for applications that wait: every call returns when it is answered.

One guard serves all threads of a process. A process that was forked makes its own.
"""

from __future__ import annotations

import asyncio
import time
from secrets import SystemRandom
from typing import TYPE_CHECKING, Any, TypeVar

import httpx

from hospitium.client import asking, connecting
from hospitium.client.asking import Asking, Call, Lost, Patience, Pause, Reply
from hospitium.client.errors import NotAllowed
from hospitium.client.questions import Question
from hospitium.client.route import around

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime
    from typing import Literal, Self

    from hospitium.client.asking import Found, Talk
    from hospitium.client.questions import Explanation, Resource, Subject, Who
    from hospitium.client.route import App, Guarded, Resources, Subjects

T = TypeVar("T")


class Guard:
    """Asks one Hospitium server as one application of one organization, by its service key.

    `within`: how many seconds an answer may take, with everything that is tried again; then GuardUnavailable is raised. `at_once`: how many
    requests may be under way. `in_the_clear`: allow http:// to another machine. `tls`: which certificates are believed.

    Every method raises GuardUnavailable, Refused or WrongAnswer where there is no answer; none ever takes that for a yes. `after` is
    the `Hospitium-Position` of a write: the question then sees at least that write.
    """

    def __init__(
        self,
        url: str,
        service_key: str,
        *,
        within: float = connecting.WITHIN,
        at_once: int = connecting.AT_ONCE,
        in_the_clear: bool = False,
        tls: ssl.SSLContext | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._url = connecting.checked_url(url, in_the_clear=in_the_clear)
        self._clock = time.monotonic
        self._asking = Asking(Patience(within, self._clock, SystemRandom().random))
        self._http = httpx.Client(
            **connecting.client_options(self._url, service_key, at_once=at_once, tls=tls), transport=transport
        )

    @classmethod
    def from_environment(cls, **options: Any) -> Self:
        """Return a guard as HOSPITIUM_URL and HOSPITIUM_SERVICE_KEY (or HOSPITIUM_SERVICE_KEY_FILE) say. Raises ValueError."""
        return cls(*connecting.from_environment(), **options)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close its sockets. It answers nothing any more."""
        self._http.close()

    def allowed(self, subject: Who, action: str, resource: Resource, *, after: str | None = None) -> bool:
        """Return whether this one may do that to this, now."""
        return self._hold(self._asking.one(Question.of(subject, action, resource), after))

    def require(self, subject: Who, action: str, resource: Resource, *, after: str | None = None) -> None:
        """Return if this one may do that to this, now. Raises NotAllowed."""
        question = Question.of(subject, action, resource)
        if not self._hold(self._asking.one(question, after)):
            raise NotAllowed(question)

    def allowed_all(self, questions: Iterable[Question], *, after: str | None = None) -> list[bool]:
        """Return the answer to each of many questions, in their order; a thousand travel in one request."""
        return self._hold(self._asking.each(questions, after))

    def filter(
        self, subject: Who, action: str, resources: Iterable[Resource], *, after: str | None = None
    ) -> list[Resource]:
        """Return those of the resources that this one may do that to, in their order."""
        given = list(resources)
        answers = self.allowed_all((Question.of(subject, action, one) for one in given), after=after)
        return [one for one, is_allowed in zip(given, answers, strict=True) if is_allowed]

    def all_allowed(self, questions: Iterable[Question], *, after: str | None = None) -> bool:
        """Return whether every question is answered yes; after the first no, no more are asked. Of no questions it is no."""
        return self._hold(self._asking.every(questions, after))

    def any_allowed(self, questions: Iterable[Question], *, after: str | None = None) -> bool:
        """Return whether one of the questions is answered yes; after the first, no more are asked."""
        return self._hold(self._asking.any(questions, after))

    def resources(
        self,
        subject: Who,
        action: str,
        of_type: str,
        *,
        properties: dict[str, Any] | None = None,
        after: str | None = None,
    ) -> Iterator[Resource]:
        """Yield every resource of a type that this one may do that to, fetched page by page. Who may do it to all patients of a FHIR server
        elsewhere is not told them one by one: ask for resources of the type `FhirServer`, too."""
        return self._pages("resource", asking.resource_search(subject, action, of_type, properties), after)

    def subjects(
        self, of_type: str, action: str, resource: Resource, *, after: str | None = None
    ) -> Iterator[Subject]:
        """Yield everyone of a type who may do that to this, fetched page by page."""
        return self._pages("subject", asking.subject_search(of_type, action, resource), after)

    def actions(self, subject: Who, resource: Resource, *, after: str | None = None) -> Iterator[str]:
        """Yield everything that this one may do to this."""
        return self._pages("action", asking.action_search(subject, resource), after)

    def explain(
        self,
        subject: Who,
        action: str,
        resource: Resource,
        *,
        at: datetime | None = None,
        after: str | None = None,
    ) -> Explanation:
        """Return whether this one may do that to this, and why (not); or as it was at a moment of the past. Where there is no such resource,
        Refused is raised, with status 404."""
        return self._hold(self._asking.explanation(Question.of(subject, action, resource), at, after))

    def route(self, action: str, *, subject: Subjects, resource: Resources) -> Callable[[App], Guarded]:
        """Put this guard in front of an ASGI application; it asks in a thread, so that nothing else waits."""
        return around(self._allowed_elsewhere, action, subject, resource)

    async def _allowed_elsewhere(self, subject: Who, action: str, resource: Resource) -> bool:
        return await asyncio.to_thread(self.allowed, subject, action, resource)

    def _pages(
        self, what: Literal["subject", "resource", "action"], body: dict[str, Any], after: str | None
    ) -> Iterator[Any]:
        token = ""
        while True:
            page: Found = self._hold(self._asking.found(what, body, token, after))
            yield from page.results
            if not (token := page.next_token):
                return

    def _hold(self, talk: Talk[T]) -> T:
        """Do what a talk says, step by step; return what it returns."""
        came: Reply | Lost | None = None
        while True:
            try:
                step = talk.send(came)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]  # what a generator returns is not typed in StopIteration
            if isinstance(step, Pause):
                time.sleep(step.seconds)
                came = None
            else:
                came = self._send(step)

    def _send(self, call: Call) -> Reply | Lost:
        # Every wait is limited, and their sum is looked at with every piece of the body. While the headers come nothing can look; who sends
        # them byte by byte can hold a thread for longer, and gets no yes by it.
        deadline = self._clock() + call.seconds
        headers = {} if call.after is None else {"Hospitium-After": call.after}
        body = bytearray()
        try:
            with self._http.stream(
                "POST",
                call.path,
                content=call.body,
                headers=headers,
                timeout=connecting.timeout(call.seconds),
            ) as response:
                for chunk in response.iter_bytes():
                    body += chunk
                    if len(body) > connecting.LARGEST_ANSWER or self._clock() > deadline:
                        return Lost("the answer doesn't end")
        except httpx.HTTPError as problem:
            return Lost(connecting.what_failed(problem))
        return connecting.reply(response, bytes(body))
