"""The guard for asynchronous applications: what `guard.py` says of each method holds here, too.

One guard serves all tasks of one event loop (asyncio).
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
    from collections.abc import AsyncIterator, Callable, Iterable
    from datetime import datetime
    from typing import Literal, Self

    from hospitium.client.asking import Found, Talk
    from hospitium.client.questions import Explanation, Resource, Subject, Who
    from hospitium.client.route import App, Guarded, Resources, Subjects

T = TypeVar("T")


class AsyncGuard:
    """As `Guard`, to be awaited."""

    def __init__(
        self,
        url: str,
        service_key: str,
        *,
        within: float = connecting.WITHIN,
        at_once: int = connecting.AT_ONCE,
        in_the_clear: bool = False,
        tls: ssl.SSLContext | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._url = connecting.checked_url(url, in_the_clear=in_the_clear)
        self._asking = Asking(Patience(within, time.monotonic, SystemRandom().random))
        self._http = httpx.AsyncClient(
            **connecting.client_options(self._url, service_key, at_once=at_once, tls=tls), transport=transport
        )

    @classmethod
    def from_environment(cls, **options: Any) -> Self:
        """Return a guard as HOSPITIUM_URL and HOSPITIUM_SERVICE_KEY (or HOSPITIUM_SERVICE_KEY_FILE) say. Raises ValueError."""
        return cls(*connecting.from_environment(), **options)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._url!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close its sockets. It answers nothing any more."""
        await self._http.aclose()

    async def allowed(
        self, subject: Who, action: str, resource: Resource, *, after: str | None = None
    ) -> bool:
        """Return whether this one may do that to this, now."""
        return await self._hold(self._asking.one(Question.of(subject, action, resource), after))

    async def require(
        self, subject: Who, action: str, resource: Resource, *, after: str | None = None
    ) -> None:
        """Return if this one may do that to this, now. Raises NotAllowed."""
        question = Question.of(subject, action, resource)
        if not await self._hold(self._asking.one(question, after)):
            raise NotAllowed(question)

    async def allowed_all(self, questions: Iterable[Question], *, after: str | None = None) -> list[bool]:
        """Return the answer to each of many questions, in their order; a thousand travel in one request."""
        return await self._hold(self._asking.each(questions, after))

    async def filter(
        self, subject: Who, action: str, resources: Iterable[Resource], *, after: str | None = None
    ) -> list[Resource]:
        """Return those of the resources that this one may do that to, in their order."""
        given = list(resources)
        answers = await self.allowed_all((Question.of(subject, action, one) for one in given), after=after)
        return [one for one, is_allowed in zip(given, answers, strict=True) if is_allowed]

    async def all_allowed(self, questions: Iterable[Question], *, after: str | None = None) -> bool:
        """Return whether every question is answered yes; after the first no, no more are asked. Of no questions it is no."""
        return await self._hold(self._asking.every(questions, after))

    async def any_allowed(self, questions: Iterable[Question], *, after: str | None = None) -> bool:
        """Return whether one of the questions is answered yes; after the first, no more are asked."""
        return await self._hold(self._asking.any(questions, after))

    def resources(
        self,
        subject: Who,
        action: str,
        of_type: str,
        *,
        properties: dict[str, Any] | None = None,
        after: str | None = None,
    ) -> AsyncIterator[Resource]:
        """Yield every resource of a type that this one may do that to, fetched page by page. Who may do it to all patients of a FHIR server
        elsewhere is not told them one by one: ask for resources of the type `FhirServer`, too."""
        return self._pages("resource", asking.resource_search(subject, action, of_type, properties), after)

    def subjects(
        self, of_type: str, action: str, resource: Resource, *, after: str | None = None
    ) -> AsyncIterator[Subject]:
        """Yield everyone of a type who may do that to this, fetched page by page."""
        return self._pages("subject", asking.subject_search(of_type, action, resource), after)

    def actions(self, subject: Who, resource: Resource, *, after: str | None = None) -> AsyncIterator[str]:
        """Yield everything that this one may do to this."""
        return self._pages("action", asking.action_search(subject, resource), after)

    async def explain(
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
        return await self._hold(self._asking.explanation(Question.of(subject, action, resource), at, after))

    def route(self, action: str, *, subject: Subjects, resource: Resources) -> Callable[[App], Guarded]:
        """Put this guard in front of an ASGI application."""
        return around(self.allowed, action, subject, resource)

    async def _pages(
        self, what: Literal["subject", "resource", "action"], body: dict[str, Any], after: str | None
    ) -> AsyncIterator[Any]:
        token = ""
        while True:
            page: Found = await self._hold(self._asking.found(what, body, token, after))
            for one in page.results:
                yield one
            if not (token := page.next_token):
                return

    async def _hold(self, talk: Talk[T]) -> T:
        """Do what a talk says, step by step; return what it returns."""
        came: Reply | Lost | None = None
        while True:
            try:
                step = talk.send(came)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]  # what a generator returns is not typed in StopIteration
            if isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
                came = None
            else:
                came = await self._send(step)

    async def _send(self, call: Call) -> Reply | Lost:
        headers = {} if call.after is None else {"Hospitium-After": call.after}
        body = bytearray()
        try:
            async with (
                asyncio.timeout(call.seconds),
                self._http.stream(
                    "POST",
                    call.path,
                    content=call.body,
                    headers=headers,
                    timeout=connecting.timeout(call.seconds),
                ) as response,
            ):
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > connecting.LARGEST_ANSWER:
                        return Lost("the answer doesn't end")
        except httpx.HTTPError as problem:
            return Lost(connecting.what_failed(problem))
        except TimeoutError:
            return Lost("the server takes too long")
        return connecting.reply(response, bytes(body))
