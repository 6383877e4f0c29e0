"""Who reads which FHIR server elsewhere: those who ask at the same time are found in one statement.

For the plain case alone: an account with an access token, which may read something on a server known to be elsewhere. Whatever is otherwise is
said, and put on record, by the way all others go (`unit_of_work.py`), which decides anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hospitium.doors.gathering import Gathering
from hospitium.engine.access.on_server import Reader, readers_of
from hospitium.engine.errors import NotSignedIn, Refusal
from hospitium.engine.fhir_servers.record import ServerKind
from hospitium.engine.permissions import Permission, require

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from litestar import Request

    from hospitium.doors.access_tokens import AccessTokens
    from hospitium.doors.surroundings import Clock
    from hospitium.doors.unit_of_work import Watch
    from hospitium.storage.database import Database, Transaction

MOST_IN_A_STATEMENT = 100
MANY = 200  # grants of one reader: what takes long to look at, nobody else shall wait for
MOST_REMEMBERED = 10_000


class Readers:
    """Finds readers; `watch` is around each. Remembers which servers are elsewhere, and who has many grants there: by which way to look next
    time, and nothing that is decided."""

    def __init__(self, database: Database, clock: Clock, access_tokens: AccessTokens, watch: Watch) -> None:
        self._clock = clock
        self._access_tokens = access_tokens
        self._watch = watch
        self._gathering: Gathering[tuple[UUID, UUID], Reader | None] = Gathering(
            database.reading, self._find, workers=1, enough=1, most=MOST_IN_A_STATEMENT
        )
        self._elsewhere: set[UUID] = set()
        self._of_many: set[UUID] = set()

    async def found(self, request: Request[Any, Any, Any], server_id: UUID) -> Reader | None:
        """Return who asks and what he may read on a FHIR server elsewhere; None if that isn't to be said here. Raises Unavailable."""
        # Somebody who shows a cookie reads as whom that says, whatever else he shows.
        if server_id not in self._elsewhere or getattr(request.state, "session", None) is not None:
            return None
        with self._watch(Permission.READ_FHIR):
            try:
                session_id = self._access_tokens.session_of(
                    request.headers.get("authorization"), self._clock()
                )
            except NotSignedIn:
                return None
            if session_id in self._of_many:
                return None
            reader = await self._gathering.put((session_id, server_id))
        if reader is None:
            return None
        self.note(reader)
        if reader.server is None or reader.reach.is_nothing:
            return None
        try:
            require(reader.actor, Permission.READ_FHIR)
        except Refusal:
            return None
        return reader if reader.server.kind is ServerKind.REMOTE else None

    def note(self, reader: Reader) -> None:
        """Remember how to look for a reader the next time."""
        if reader.server is not None and reader.server.kind is ServerKind.REMOTE:
            _remember(self._elsewhere, reader.server.id)
        if reader.looked_at > MANY and reader.actor.session_id is not None:
            _remember(self._of_many, reader.actor.session_id)

    async def _find(self, tx: Transaction, asked: Sequence[tuple[UUID, UUID]]) -> Sequence[Reader | None]:
        # Who asks for much at once is looked for once.
        each = list(dict.fromkeys(asked))
        found = dict(zip(each, await readers_of(tx, each, self._clock()), strict=True))
        return [found[one] for one in asked]


def _remember(those: set[UUID], one: UUID) -> None:
    if len(those) >= MOST_REMEMBERED:
        those.clear()
    those.add(one)
