"""Questions that come at the same time are answered by one statement.

While a statement runs, questions gather; the next statement asks them all. None waits for others to come, and the snapshot in which a
question is answered is always begun after it was asked.
"""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import structlog

from hospitium.doors.gathering import Workers
from hospitium.engine.access.asking import Asked, answer
from hospitium.engine.access.naming import Named
from hospitium.engine.actor import Actor, ActorKind
from hospitium.engine.errors import Busy, SessionEnded, Unavailable
from hospitium.engine.permissions import Permission, require
from hospitium.engine.service_keys.record import NO_KEY
from hospitium.storage.database import Collision, DatabaseUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from uuid import UUID

    from hospitium.doors.surroundings import Clock
    from hospitium.doors.unit_of_work import Watch
    from hospitium.engine.access.asking import Answer, Asker
    from hospitium.engine.access.decide import Decision
    from hospitium.engine.secrets import ServiceKeyText
    from hospitium.storage.database import Database

WORKERS = 2
ENOUGH = 64  # questions that are worth a statement beside the one that runs
MOST_IN_A_STATEMENT = 1_000
MOST_WAITING = 20_000  # questions of one key
REMEMBERED, MOST_REMEMBERED = timedelta(minutes=1), 1_000
NOTHING = Named("", "", "", "", "")
"""A question that names nothing: what it tells is who asks."""
RETRY_AFTER = 2  # seconds
_log = structlog.get_logger("hospitium.questions")


class _Waiting(NamedTuple):
    asked: Sequence[Asked]
    answered: asyncio.Future[list[Answer]]


class Questions:
    """Asks the database what applications ask; `watch` is around each request, and `used` is told by which key."""

    def __init__(
        self, database: Database, clock: Clock, watch: Watch, used: Callable[[UUID, datetime], None]
    ) -> None:
        self._database = database
        self._clock = clock
        self._watch = watch
        self._used = used
        # By key: each takes its turn, so that none waits behind all that another asks.
        self._waiting: dict[bytes, deque[_Waiting]] = {}
        self._workers = Workers(self._work, lambda: bool(self._waiting), self._is_enough, most=WORKERS)
        self._admitted: dict[bytes, datetime] = {}

    async def ask(self, key: ServiceKeyText, questions: Sequence[Named]) -> list[Decision]:
        """Return the decisions on some questions (one, or more) in their order, for whoever shows a service key.

        Raises SessionEnded (no such key), Forbidden, OrganizationInactive, Busy (that key asks too much at once), Unavailable.
        """
        digest = key.digest()
        with self._watch(Permission.CHECK_ACCESS):
            answers = await self._answers(digest, questions)
            self._admit(digest, answers[0].asker)
        return [one.decision for one in answers]

    async def admit(self, key: ServiceKeyText) -> None:
        """Return if a service key may ask, and at once if it did a moment ago: before many questions are read for whoever shows it, who
        is asked for again with them. Raises as `ask`."""
        digest = key.digest()
        admitted = self._admitted.get(digest)
        if admitted is None or self._clock() - admitted > REMEMBERED:
            await self.ask(key, [NOTHING])

    def _admit(self, digest: bytes, asker: Asker) -> None:
        self._admitted.pop(digest, None)
        if asker.key_id is None:
            raise SessionEnded(NO_KEY)
        now = self._clock()
        self._used(asker.key_id, now)
        require(
            Actor(
                ActorKind.SERVICE_KEY,
                service_key_id=asker.key_id,
                organization_is_active=asker.organization_is_active,
                scopes=frozenset(asker.scopes or ()),
            ),
            Permission.CHECK_ACCESS,
        )
        if len(self._admitted) >= MOST_REMEMBERED:
            self._admitted.clear()
        self._admitted[digest] = now

    async def _answers(self, digest: bytes, questions: Sequence[Named]) -> list[Answer]:
        of_key = self._waiting.setdefault(digest, deque())
        if sum(len(one.asked) for one in of_key) >= MOST_WAITING:
            raise Busy(RETRY_AFTER)
        asked = [Asked(digest, question) for question in questions]
        waiting = _Waiting(asked, asyncio.get_running_loop().create_future())
        of_key.append(waiting)
        self._workers.go_on()
        return await waiting.answered

    def _is_enough(self) -> bool:
        return sum(len(one.asked) for of_key in self._waiting.values() for one in of_key) >= ENOUGH

    async def _work(self) -> None:
        """Ask what waits, statement after statement, until nothing does: borrowing a connection costs as much as a statement."""
        batch = self._next()
        try:
            async with self._database.reading() as connection:
                while batch:
                    found = iter(
                        await answer(connection, [one for each in batch for one in each.asked], self._clock())
                    )
                    for waiting in batch:
                        answers = list(islice(found, len(waiting.asked)))
                        if not waiting.answered.done():
                            waiting.answered.set_result(answers)
                    batch = self._next()
        except (DatabaseUnavailable, Collision) as reason:
            _log.warning("database unavailable", reason=str(reason), questions=len(batch))
            for waiting in batch:
                _fail(waiting, Unavailable(RETRY_AFTER))
        except Exception as mistake:  # noqa: BLE001  it is told to whoever asked, and logged there
            for waiting in batch:
                _fail(waiting, mistake)

    def _next(self) -> list[_Waiting]:
        """Take as many as fit in one statement, the first at any rate, of each key in turn; who went away meanwhile is not asked for."""
        room, taken = MOST_IN_A_STATEMENT, list[_Waiting]()
        while self._waiting:
            digest = next(iter(self._waiting))
            of_key = self._waiting.pop(digest)
            while of_key and of_key[0].answered.done():
                of_key.popleft()
            if of_key and taken and len(of_key[0].asked) > room:
                self._waiting = {digest: of_key, **self._waiting}
                break
            if of_key:
                taken.append(of_key.popleft())
                room -= len(taken[-1].asked)
            if of_key:
                self._waiting[digest] = of_key  # behind all others
        return taken


def _fail(waiting: _Waiting, reason: Exception) -> None:
    if not waiting.answered.done():
        waiting.answered.set_exception(reason)
