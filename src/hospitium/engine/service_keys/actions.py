"""What can happen to a service key: it is made, shown once, and ended; and from time to time it is written down when it was used."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import asyncpg
from sqlalchemy import Uuid, bindparam, func, update
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP

from hospitium.engine import events
from hospitium.engine.errors import Invalid, NameTaken, NotFound, ServiceKeyLimitReached
from hospitium.engine.events import EventKind
from hospitium.engine.organizations import queries as organization_queries
from hospitium.engine.permissions import Permission, organization_of, require
from hospitium.engine.secrets import ServiceKeyText
from hospitium.engine.service_keys import queries
from hospitium.engine.service_keys.record import SERVICE_KEY_COLUMNS, Scope, ServiceKey, service_keys
from hospitium.engine.text import line
from hospitium.storage.statements import Query, Statement, insert_into, struct

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime
    from uuid import UUID

    from hospitium.engine.context import Context

MOST_LIVING = 50
KEY_FORM = re.compile(re.escape(ServiceKeyText.PREFIX) + r"[0-9A-Za-z]{43,200}")

_c = service_keys.c
_WHEN = TIMESTAMP(timezone=True)
_INSERT = Query(
    insert_into(
        service_keys, "id", "organization_id", "name", "digest", "scopes", "made_at", "made_by_id"
    ).returning(*SERVICE_KEY_COLUMNS),
    struct(ServiceKey),
)


def _ending(*which: Any) -> Query[ServiceKey]:
    return Query(
        update(service_keys)
        .where(_c.id == bindparam("key_id"), _c.ended_at.is_(None), *which)
        # Never before it was made, though the operator's clock may be behind the server's.
        .values(ended_at=func.greatest(bindparam("now", type_=_WHEN), _c.made_at))
        .returning(*SERVICE_KEY_COLUMNS),
        struct(ServiceKey),
    )


_END = _ending()
_END_ONE_OF = _ending(_c.organization_id == bindparam("of_organization"))
_used = (
    func.unnest(bindparam("key_ids", type_=ARRAY(Uuid)), bindparam("instants", type_=ARRAY(_WHEN)))
    .table_valued("key_id", "at", name="used")
    .render_derived()
)
_NOTE_USES = Statement(
    update(service_keys)
    .where(_c.id == _used.c.key_id)
    .values(last_used_at=func.greatest(_c.last_used_at, _used.c.at))
)


async def make(
    ctx: Context, organization_id: UUID, name: str, scopes: Collection[str], key: ServiceKeyText
) -> ServiceKey:
    """Make a service key of an organization, the actor's own unless he is the operator; its text is kept nowhere.

    Raises Invalid, NameTaken (`name`, or `key`), ServiceKeyLimitReached, NotFound.
    """
    require(ctx.actor, Permission.KEEP_SERVICE_KEYS)
    if ctx.actor.account_id is not None and organization_id != organization_of(ctx.actor):
        raise NotFound("organization")
    if not KEY_FORM.fullmatch(key.reveal()):
        raise Invalid("key", "must be hsk_ and 43 to 200 letters and digits")
    wanted = _scopes(scopes)
    # Locked, so that of two at once the second counts the first.
    await organization_queries.lock(ctx, organization_id)
    if await queries.living_count(ctx, organization_id) >= MOST_LIVING:
        raise ServiceKeyLimitReached(MOST_LIVING)
    try:
        made = await _INSERT.first(
            ctx.tx,
            id=ctx.new_id(),
            organization_id=organization_id,
            name=line("name", name),
            digest=key.digest(),
            scopes=wanted,
            made_at=ctx.now,
            made_by_id=ctx.actor.account_id,
        )
    except asyncpg.UniqueViolationError as taken:
        raise NameTaken("key" if "digest" in str(taken.constraint_name) else "name") from None
    assert made is not None  # an INSERT … RETURNING without conflict clause has a row  # noqa: S101
    await _tell(ctx, EventKind.SERVICE_KEY_MADE, made, scopes=wanted)
    return made


async def end(ctx: Context, key_id: UUID) -> ServiceKey:
    """End a service key of the actor's organization, or for the operator any: the next request with it is refused. Raises NotFound."""
    require(ctx.actor, Permission.KEEP_SERVICE_KEYS)
    if ctx.actor.account_id is None:
        ended = await _END.first(ctx.tx, key_id=key_id, now=ctx.now)
    else:
        of = organization_of(ctx.actor)
        ended = await _END_ONE_OF.first(ctx.tx, key_id=key_id, of_organization=of, now=ctx.now)
    if ended is None:
        raise NotFound("service key")
    await _tell(ctx, EventKind.SERVICE_KEY_ENDED, ended)
    return ended


async def note_uses(ctx: Context, uses: Mapping[UUID, datetime]) -> None:
    """Write down when service keys were last used, all at once; never an earlier use over a later one."""
    await _NOTE_USES.run(ctx.tx, key_ids=list(uses), instants=list(uses.values()))


def _scopes(given: Collection[str]) -> list[str]:
    """Return scopes in their own order, each once. Raises Invalid."""
    known = [scope.value for scope in Scope]
    for index, scope in enumerate(given):
        if scope not in known:
            raise Invalid(f"scopes[{index}]", f"must be one of {', '.join(known)}")
    if not given:
        raise Invalid("scopes", "must name at least one")
    return [scope for scope in known if scope in given]


async def _tell(ctx: Context, kind: EventKind, key: ServiceKey, *, scopes: list[str] | None = None) -> None:
    await events.record(
        ctx, kind, subject=("service_key", key.id), organizations=[key.organization_id], scopes=scopes
    )
