"""Who reads a FHIR server, and which patients he may read there by which grants: one statement, the same rule as every question.

It finds the session and whose it is, the server, what it takes to ask that one, and every open grant on it that reaches the account. So what
is decided is of one instant, and costs one round trip; of several who ask at the same time, one for them all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from sqlalchemy import JSON, Select, Uuid, bindparam, func, literal_column, select

from hospitium.engine.access.check import open_rows, unnested
from hospitium.engine.access.decide import Allowed, Candidate, decide
from hospitium.engine.fhir_servers.credentials import SealedCredentials
from hospitium.engine.fhir_servers.record import SERVER_COLUMNS, CredentialsKind, FhirServer, fhir_servers
from hospitium.engine.grants.record import GranteeKind, ResourceKind, grants
from hospitium.engine.levels import Level
from hospitium.engine.secrets import SessionCookie
from hospitium.engine.sessions.queries import IS_COOKIE, IS_ID, ActorRow, acting
from hospitium.engine.sessions.record import sessions
from hospitium.storage.statements import Query, pair, scalar, struct, triple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from uuid import UUID

    from hospitium.engine.actor import Actor
    from hospitium.storage.database import Transaction


class _OnServer(Candidate, frozen=True, kw_only=True, array_like=True):
    """A candidate, and which patient (or which server) its grant is on."""

    resource_id: str


class ServerReach(msgspec.Struct, frozen=True):
    """What an account may read on a FHIR server: all of it (`whole`), or these patients; each by which grant."""

    whole: Allowed | None
    patients: dict[str, Allowed]

    @property
    def is_nothing(self) -> bool:
        """Whether it may read nothing there."""
        return self.whole is None and not self.patients

    @property
    def within(self) -> frozenset[str] | None:
        """The patients it is narrowed to; None: all."""
        return None if self.whole is not None else frozenset(self.patients)

    def by(self, patients: Iterable[str]) -> list[Candidate]:
        """Return by which grants some patients may be read, each once."""
        found = [self.patients[one].by for one in patients if one in self.patients]
        if self.whole is not None:
            found.append(self.whole.by)
        return sorted({one.grant_id: one for one in found}.values(), key=lambda one: one.grant_id)


class Reader(NamedTuple):
    """Who reads, on which FHIR server (None: there is none), with what we show to it, and what he may see there. `looked_at`: how many open
    grants were looked at for that."""

    actor: Actor
    server: FhirServer | None
    credentials: SealedCredentials | None
    reach: ServerReach
    looked_at: int


_ASKED = {"session_id": Uuid, "server_id": Uuid}


def _reading(acting_: Select[Any]) -> Query[Any]:
    """Return the statement of readers: an `acting` one, with `place` and `server_id` after its own columns."""
    asked = acting_.cte("asked")
    server = fhir_servers.alias("server")
    is_it = (server.c.id == asked.c.server_id) & server.c.removed_at.is_(None)
    who = [asked.c[index].label(f"actor__{name}") for index, name in enumerate(ActorRow.__struct_fields__)]
    where = [server.c[column.key].label(f"server__{column.key}") for column in SERVER_COLUMNS]
    shown = [server.c[name] for name in ("credentials_kind", "credentials_key_number", "sealed_credentials")]
    return Query(
        select(asked.c.place, *who, *where, *shown, _candidates(asked).label("candidates")).select_from(
            asked.outerjoin(server, is_it)
        ),
        triple(
            scalar("place"),
            pair(struct(ActorRow), struct(FhirServer)),
            pair(triple(*(scalar(column.key) for column in shown)), scalar("candidates")),
        ),
    )


def _candidates(asked: Any) -> Any:
    """Return every open grant on the FHIR server that reaches the account, as one array of `_OnServer`."""
    row = open_rows(asked, in_from=False)
    columns = [getattr(row.row, name) for name in Candidate.__struct_fields__]
    return (
        select(func.json_agg(func.json_build_array(*columns, grants.c.resource_id), type_=JSON))
        .select_from(row.source)
        .where(grants.c.fhir_server_id == asked.c.server_id, grants.c.ends_at.is_(None))
        .correlate(asked)
        .scalar_subquery()
    )


def _told(server_id: Any, place: Any) -> list[Any]:
    as_account: Any = literal_column(f"'{GranteeKind.ACCOUNT.value}'")
    return [
        as_account.label("subject_kind"),
        sessions.c.account_id.label("subject_id"),
        server_id.label("server_id"),
        place.label("place"),
    ]


_ONE: Any = _told(bindparam("server_id", type_=Uuid), literal_column("1"))
_BY_ID, _BY_COOKIE = (_reading(acting(sessions, *_ONE).where(one)) for one in (IS_ID, IS_COOKIE))
_many = unnested(_ASKED, "told")
_OF_MANY = _reading(
    acting(
        _many.join(sessions, sessions.c.id == _many.c.session_id), *_told(_many.c.server_id, _many.c.place)
    )
)
_decode = msgspec.json.Decoder(list[_OnServer]).decode


async def reader_of(
    tx: Transaction, credential: UUID | SessionCookie, server_id: UUID, now: datetime
) -> Reader | None:
    """Return who reads a FHIR server through a session, and what he may read there now; None if the session is over."""
    if isinstance(credential, SessionCookie):
        found = await _BY_COOKIE.first(tx, digest=credential.digest(), server_id=server_id, now=now)
    else:
        found = await _BY_ID.first(tx, session_id=credential, server_id=server_id, now=now)
    return None if found is None else _reader(found[1], found[2], now)


async def readers_of(
    tx: Transaction, asked: Sequence[tuple[UUID, UUID]], now: datetime
) -> list[Reader | None]:
    """Return the same for several, each a session by its id and a FHIR server; in their order."""
    found: list[Reader | None] = [None] * len(asked)
    session_ids, server_ids = [one for one, _ in asked], [one for _, one in asked]
    for place, who_and_where, what in await _OF_MANY.all(
        tx, session_ids=session_ids, server_ids=server_ids, now=now
    ):
        found[place - 1] = _reader(who_and_where, what, now)
    return found


def _reader(who_and_where: tuple[ActorRow, FhirServer], what: tuple[Any, Any], now: datetime) -> Reader:
    row, server = who_and_where
    (kind, number, sealed), candidates = what
    is_there = server.id is not None  # of an outer join
    found = [] if candidates is None else _decode(candidates)
    return Reader(
        row.actor(),
        server if is_there else None,
        None if sealed is None else SealedCredentials(CredentialsKind(kind), number, sealed),
        _reach(found, now),
        len(found),
    )


def _reach(found: Iterable[_OnServer], now: datetime) -> ServerReach:
    gathered: dict[tuple[ResourceKind | None, str], list[Candidate]] = {}
    for candidate in found:
        gathered.setdefault((candidate.resource_kind, candidate.resource_id), []).append(candidate)
    allowed = {
        on: decision
        for on, candidates in gathered.items()
        if isinstance(decision := decide(candidates, Level.READ, now), Allowed)
    }
    whole = [decision for (kind, _), decision in allowed.items() if kind is ResourceKind.FHIR_SERVER]
    return ServerReach(
        whole[0] if whole else None,
        {its_id: decision for (kind, its_id), decision in allowed.items() if kind is ResourceKind.PATIENT},
    )
