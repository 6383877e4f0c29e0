"""What can happen to the resources of a built-in FHIR server: they are loaded, and deleted with their server."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import LargeBinary, Text, Uuid, bindparam, cast, delete, func, literal_column, select, tuple_
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP, insert

from hospitium.engine import events
from hospitium.engine.errors import WrongState
from hospitium.engine.events import EventKind
from hospitium.engine.fhir_resources.keys import hashed
from hospitium.engine.fhir_resources.record import fhir_resources
from hospitium.engine.fhir_servers import queries as fhir_servers
from hospitium.engine.fhir_servers.record import ServerKind, fhir_servers as servers
from hospitium.engine.permissions import Permission, require
from hospitium.storage.statements import Query, Statement, scalar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from uuid import UUID

    from hospitium.engine.context import Context
    from hospitium.engine.fhir_resources.checking import Prepared

_c = fhir_resources.c
_WHEN = TIMESTAMP(timezone=True)
AT_A_TIME = 500  # resources, in one statement
_MOST_TEXT = 8_000_000  # characters, likewise
_MUCH = 1_000  # resources
_SORT_IN = """
    SELECT gin_clean_pending_list(oid) FROM pg_class
    WHERE oid IN ('fhir_resources_keys_ix'::regclass, 'fhir_resources_names_ix'::regclass) AND pg_has_role(relowner, 'USAGE')
"""


class Loaded(NamedTuple):
    """How many resources were new, were other than before, and were there already just so."""

    created: int
    updated: int
    unchanged: int


def _writing() -> Query[int]:
    """Write resources, a row each of several arrays; arrays within arrays come as text, for `unnest` would flatten them."""
    given = (
        func.unnest(
            bindparam("types", type_=ARRAY(Text)),
            bindparam("ids", type_=ARRAY(Text)),
            bindparam("bodies", type_=ARRAY(Text)),
            bindparam("digests", type_=ARRAY(LargeBinary)),
            bindparam("patients", type_=ARRAY(Text)),
            bindparam("search_keys", type_=ARRAY(Text)),
            bindparam("names", type_=ARRAY(Text)),
            bindparam("dates_from", type_=ARRAY(_WHEN)),
            bindparam("dates_until", type_=ARRAY(_WHEN)),
        )
        .table_valued(
            "type", "id", "body", "digest", "patients", "search_keys", "names", "date_from", "date_until", name="given"
        )
        .render_derived()
    ).c  # fmt: skip
    columns = {
        "fhir_server_id": bindparam("server_id", type_=Uuid),
        "type": given.type,
        "id": given.id,
        "version": literal_column("1"),
        "last_updated": bindparam("now", type_=_WHEN),
        "body": cast(given.body, JSONB),
        "digest": given.digest,
        "patients": cast(given.patients, ARRAY(Text)),
        "search_keys": cast(given.search_keys, ARRAY(Uuid)),
        "names": given.names,
        "date_from": given.date_from,
        "date_until": given.date_until,
    }
    writing = insert(fhir_resources).from_select(list(columns), select(*columns.values()))
    new = writing.excluded
    return Query(
        writing.on_conflict_do_update(
            constraint=fhir_resources.primary_key,
            set_={
                **{name: new[name] for name in columns if name not in ("fhir_server_id", "type", "id")},
                "version": _c.version + 1,
                "last_updated": func.greatest(new.last_updated, _c.last_updated),
            },
            where=_c.digest != new.digest,
        ).returning(_c.version),
        scalar("version"),
    )


_WRITE = _writing()

_MOST_FORGOTTEN = 5_000
_removed = (
    select(fhir_resources.c.fhir_server_id, fhir_resources.c.type, fhir_resources.c.id)
    .join(servers, servers.c.id == fhir_resources.c.fhir_server_id)
    .where(servers.c.removed_at.is_not(None))
    .limit(literal_column(str(_MOST_FORGOTTEN)))
)
_FORGET_REMOVED = Statement(
    delete(fhir_resources).where(
        tuple_(fhir_resources.c.fhir_server_id, fhir_resources.c.type, fhir_resources.c.id).in_(_removed)
    )
)


async def load(ctx: Context, server_id: UUID, resources: Iterable[Prepared]) -> Loaded:
    """Load resources into a built-in FHIR server: what is new, and what is other than it was; the rest keeps its version.

    For the operator. They are taken as they come, some hundreds at a time, each resource once (checking.py sees to that); what
    taking them raises passes through. Raises NotFound, WrongState (the server is remote).
    """
    require(ctx.actor, Permission.LOAD_RESOURCES)
    server = await fhir_servers.by_id(ctx, server_id)
    if server.kind is not ServerKind.BUILT_IN:
        raise WrongState("Only into a built-in FHIR server resources are loaded; the others keep their own")

    created = updated = unchanged = 0
    for some in _some_at_a_time(resources):
        versions = await _write(ctx, server_id, some)
        first = sum(version == 1 for version in versions)
        created += first
        updated += len(versions) - first
        unchanged += len(some) - len(versions)
    loaded = Loaded(created, updated, unchanged)
    if created + updated:
        await _settle(ctx, is_much=created + updated >= _MUCH)
    await events.record(
        ctx,
        EventKind.FHIR_SERVER_LOADED,
        subject=("fhir_server", server.id),
        organizations=[server.organization_id],
        **loaded._asdict(),
    )
    return loaded


async def _settle(ctx: Context, *, is_much: bool) -> None:
    """Let the database do now what it has put off: else the first searches pay for it, or go a long way round.

    New keys lie in a heap before the index until somebody sorts them in; and what the planner knows may be from before this
    server held anything. Where the tables are somebody else's, that is left to the database's own rounds.
    """
    await ctx.tx.execute(_SORT_IN)
    if is_much:
        await ctx.tx.execute("ANALYZE fhir_resources")


def _some_at_a_time(resources: Iterable[Prepared]) -> Iterator[list[Prepared]]:
    waiting: list[Prepared] = []
    size = 0
    for one in resources:
        waiting.append(one)
        size += len(one.body)
        if len(waiting) == AT_A_TIME or size > _MOST_TEXT:
            yield waiting
            waiting, size = [], 0
    if waiting:
        yield waiting


async def _write(ctx: Context, server_id: UUID, some: list[Prepared]) -> list[int]:
    """Write resources; return the version of each that wasn't there just so."""
    # In the order of their keys: two loads that meet wait, and never embrace.
    some.sort(key=lambda one: (one.type, one.id))
    return await _WRITE.all(
        ctx.tx,
        server_id=server_id,
        now=ctx.now,
        types=[one.type for one in some],
        ids=[one.id for one in some],
        bodies=[one.body for one in some],
        digests=[one.digest for one in some],
        patients=[_array(one.drawn.patients) for one in some],
        search_keys=[
            _array([key.hex for key in hashed(server_id, one.type, one.drawn.keys)]) for one in some
        ],
        names=[one.drawn.names for one in some],
        dates_from=[one.drawn.date_from for one in some],
        dates_until=[one.drawn.date_until for one in some],
    )


def _array(values: list[str]) -> str:
    """Return ids as PostgreSQL writes an array; no sign in them has a meaning there."""
    return "{" + ",".join(f'"{value}"' for value in values) + "}"


async def forget_some_removed(ctx: Context) -> bool:
    """Delete some resources of FHIR servers that were removed; return whether there may be more. For the sweep."""
    return await _FORGET_REMOVED.run(ctx.tx) > 0
