"""One deed, one transaction, one commit, at the edge: used by all doors (ARCHITECTURE.md, "Transactions and locks").

`perform` reads the clock once, finds out who asks, asks for the permission, runs the deed and commits by leaving the
transaction. A refusal rolls the deed back, and is then kept as an event of its own: what was asked and refused is part
of the trail too.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from hospitium.engine import events
from hospitium.engine.actor import ANONYMOUS, Actor, ActorKind
from hospitium.engine.context import Context
from hospitium.engine.errors import (
    Conflict,
    Forbidden,
    NotFound,
    NotSignedIn,
    Refusal,
    SessionEnded,
    Unavailable,
)
from hospitium.engine.events import EventKind
from hospitium.engine.permissions import RULES, Need, Permission, noun_of, require
from hospitium.engine.secrets import ServiceKeyText
from hospitium.engine.service_keys.queries import actor_of as actor_of_key
from hospitium.engine.service_keys.record import NO_KEY
from hospitium.engine.sessions.queries import actor_of as actor_of_session
from hospitium.storage.database import Collision, DatabaseUnavailable
from hospitium.storage.positions import NOTED, Position, Positions

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractContextManager
    from datetime import datetime
    from uuid import UUID

    from litestar import Request

    from hospitium.doors.access_tokens import AccessTokens
    from hospitium.doors.surroundings import Clock
    from hospitium.engine.secrets import SessionCookie
    from hospitium.storage.database import Database, Transaction

    Watch = Callable[[Permission], AbstractContextManager[None]]
    Who = Actor | UUID | SessionCookie | ServiceKeyText
    Seen = Callable[[Actor, datetime], None]
    Entering = Callable[[Context], Awaitable[Actor]]
    Finding = Callable[[Transaction, UUID | SessionCookie, datetime], Awaitable[Actor | None]]

T = TypeVar("T")

MOST_TRIES = 8
RETRY_AFTER = 2  # seconds
CATCHES_UP_IN = 2.0  # seconds
_FIRST_PAUSE, _LONGEST_PAUSE = 0.01, 0.2  # seconds between two looks
_KEPT_REFUSALS = (Forbidden, NotFound, Conflict)
_SIGNING_IN = (Permission.SIGN_IN, Permission.RENEW_SESSION)
_log = structlog.get_logger("hospitium.work")


class UnitOfWork:
    """Runs the deeds of requests; `watch` is around each, and `seen` is told who was found to ask, and when."""

    def __init__(
        self, database: Database, clock: Clock, access_tokens: AccessTokens, watch: Watch, seen: Seen
    ) -> None:
        self._watch = watch
        self._seen = seen
        self._database = database
        self._access_tokens = access_tokens
        self.positions = Positions()
        self.clock = clock

    async def perform(
        self,
        request: Request[Any, Any, Any],
        permission: Permission,
        deed: Callable[[Context], Awaitable[T]],
        *,
        about: UUID | None = None,
        recognize: bool = False,
        finding: Finding | None = None,
        only_reads: bool = False,
    ) -> T:
        """Run a deed for whoever sent the request; return what it returns, when it is committed.

        Who that is, an access token says; or the cookie that a door has found and judged (`request.state.session`). `about`: the id the request names, for the trail of a refusal. `recognize`: who is signed in counts, though
        anyone may do this. `finding`: how to find out whose session it is, for a deed that asks for more in the same statement.
        `only_reads`: each statement of the deed is a transaction by itself, which spares two round trips. Raises what the deed raises, NotSignedIn, SessionEnded, Unavailable.
        """
        with self._watch(permission):
            who: Who = ANONYMOUS
            authorization = request.headers.get("authorization")
            shown: SessionCookie | None = getattr(request.state, "session", None)
            asked = recognize and (authorization is not None or shown is not None)
            if RULES[permission].need is not Need.ANYONE or asked:
                who = shown or self._access_tokens.shown(authorization, self.clock())
            return await perform_as(
                self._database,
                self.clock,
                who,
                permission,
                deed,
                about=about,
                seen=self._seen,
                finding=finding,
                only_reads=only_reads,
            )

    async def perform_for(
        self,
        who: Who | None,
        permission: Permission,
        deed: Callable[[Context], Awaitable[T]],
        *,
        about: UUID | None = None,
        entering: Entering | None = None,
    ) -> T:
        """Run a deed for whoever a surface has found out by itself (None: nobody known); `entering` says as whom he acts there.

        Raises what the deed and `entering` raise, NotSignedIn, SessionEnded, Unavailable.
        """
        with self._watch(permission):
            if who is None and RULES[permission].need is not Need.ANYONE:
                raise NotSignedIn
            return await perform_as(
                self._database,
                self.clock,
                who or ANONYMOUS,
                permission,
                deed,
                about=about,
                entering=entering,
                seen=self._seen,
            )

    async def asker(self, request: Request[Any, Any, Any]) -> UUID:
        """Return by which account or service key a request was sent: for what makes askers wait, before it runs their deed.

        Raises NotSignedIn, SessionEnded, Unavailable.
        """
        shown: SessionCookie | None = getattr(request.state, "session", None)
        who = shown or self._access_tokens.shown(request.headers.get("authorization"), self.clock())
        try:
            async with self._database.transaction() as tx:
                actor = await _found(tx, who, self.clock())
        except (Collision, DatabaseUnavailable) as reason:
            _log.warning("database unavailable", reason=str(reason))
            raise Unavailable(RETRY_AFTER) from None
        asker = actor.service_key_id or actor.account_id
        if asker is None:
            raise NotSignedIn
        return asker

    async def catches_up(self, position: Position) -> bool:
        """Return True when the database has the write of a position, which it has at once unless it is a replica; it is given two
        seconds. False, if that is a position of another cluster. No transaction is open while it waits.

        Raises Unavailable (it is away, or still behind).
        """
        elapsed = asyncio.get_running_loop().time
        ends, pause = elapsed() + CATCHES_UP_IN, _FIRST_PAUSE
        while (found := await self._has(position)) is False:
            if elapsed() >= ends:
                raise Unavailable(RETRY_AFTER)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        return found is not None

    async def _has(self, position: Position) -> bool | None:
        """Whether the database has a write, None if that is another cluster's."""
        try:
            async with self._database.transaction() as tx:
                if position.mark != await self.positions.mark(tx):
                    return None
                return await self.positions.has(tx, position)
        except DatabaseUnavailable as reason:
            _log.warning("database unavailable", reason=str(reason))
            raise Unavailable(RETRY_AFTER) from None


async def perform_as(
    database: Database,
    clock: Clock,
    who: Who,
    permission: Permission,
    deed: Callable[[Context], Awaitable[T]],
    *,
    about: UUID | None = None,
    entering: Entering | None = None,
    seen: Seen | None = None,
    finding: Finding | None = None,
    only_reads: bool = False,
) -> T:
    """Run a deed for an actor, or for whoever a session (its id, or its cookie) or a service key stands for; return what it
    returns, when it is committed. `finding` says whose a session is; `entering` is asked first, in the same transaction, as whom he acts;
    `seen` is told who that is."""
    for attempt in range(1, MOST_TRIES + 1):
        now = clock()
        actor = who if isinstance(who, Actor) else ANONYMOUS
        try:
            async with database.each_alone() if only_reads else database.transaction() as tx:
                if not isinstance(who, Actor):
                    actor = await _found(tx, who, now, finding)
                    if seen is not None:
                        seen(actor, now)
                ctx = Context(tx, actor, now)
                if entering is not None:
                    actor = await entering(ctx)
                    ctx = ctx._replace(actor=actor)
                require(actor, permission)
                done = await deed(ctx)
                await _note_what_it_wrote(tx, actor, permission)
                return done
        except Refusal as refusal:
            if isinstance(refusal, _KEPT_REFUSALS) and actor.account_id is not None:
                await _keep_refusal(database, actor, now, permission, refusal, about)
            raise
        except Collision:
            # Nothing of it remains; wait a moment, not the same one as whoever it collided with.
            await asyncio.sleep(random.uniform(0, 0.02 * attempt))  # noqa: S311  no secret
        except DatabaseUnavailable as reason:
            _log.warning("database unavailable", reason=str(reason), permission=permission.value)
            raise Unavailable(RETRY_AFTER) from None
    _log.warning("gave up after collisions", permission=permission.value, tries=MOST_TRIES)
    raise Unavailable(RETRY_AFTER)


async def _note_what_it_wrote(tx: Transaction, actor: Actor, permission: Permission) -> None:
    """Note what is about to be committed, for the answer to tell. Of strangers only those who sign in: nobody else of them may learn
    whether what he asked for made us write. Of what only reads by its method, an export alone writes, for it is an event."""
    noted = NOTED.get()
    if noted is None or (noted.only_reads and permission is not Permission.SEE_ACCOUNT):
        return
    if actor.kind is not ActorKind.ANONYMOUS or permission in _SIGNING_IN:
        await noted.note(tx)


async def _found(
    tx: Transaction,
    who: UUID | SessionCookie | ServiceKeyText,
    now: datetime,
    finding: Finding | None = None,
) -> Actor:
    if isinstance(who, ServiceKeyText):
        found = await actor_of_key(tx, who)
    else:
        found = await (finding or actor_of_session)(tx, who, now)
    if found is None:
        raise SessionEnded(NO_KEY) if isinstance(who, ServiceKeyText) else SessionEnded()
    return found


async def _keep_refusal(
    database: Database,
    actor: Actor,
    now: datetime,
    permission: Permission,
    refusal: Refusal,
    about: UUID | None,
) -> None:
    try:
        async with database.transaction() as tx:
            await events.record(
                Context(tx, actor, now),
                EventKind.REFUSED,
                subject=(noun_of(permission), about),
                permission=permission.value,
                refusal=type(refusal).__name__,
            )
    except (Collision, DatabaseUnavailable):
        # What can't be put on record isn't answered: the caller is told to come back.
        raise Unavailable(RETRY_AFTER) from None
