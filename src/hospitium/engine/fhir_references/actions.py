"""What happens to references: they are noted when the resource that has them is shown, and forgotten with their FHIR server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Integer, Text, Uuid, bindparam, column, delete, func, select, true, tuple_
from sqlalchemy.dialects.postgresql import ARRAY, insert

from hospitium.engine.fhir_references.record import fhir_references
from hospitium.engine.fhir_servers.record import fhir_servers
from hospitium.storage.statements import Statement

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from hospitium.engine.context import Context
    from hospitium.engine.fhir_references.record import Reference

MOST_FORGOTTEN = 5_000  # rows, in one transaction
_c = fhir_references.c
_NAMES = ("type", "id", "patient_id")
_said = (
    func.unnest(*(bindparam(name, type_=ARRAY(Text)) for name in _NAMES))
    .table_valued(*(column(name, Text) for name in _NAMES))
    .render_derived(name="said")
)
# Of the address at which it was read: whoever changes that has all that was noted forgotten, and waits for who notes something.
_server = fhir_servers.c
_at_this_address = (
    select(_server.id)
    .where(
        _server.id == bindparam("server_id", type_=Uuid),
        _server.base_url.is_not_distinct_from(bindparam("base_url", type_=Text)),
    )
    .with_for_update(read=True)
    .cte("at_this_address")
)
# In one order, whoever notes them: two who note the same wait for one another, and never each for the other.
_NOTE = Statement(
    insert(fhir_references)
    .from_select(
        ["fhir_server_id", *_NAMES],
        select(_at_this_address.c.id, *(_said.c[name] for name in _NAMES))
        .join(_said, true())
        .order_by(*(_said.c[name] for name in _NAMES)),
    )
    .on_conflict_do_nothing()
)
_key = (_c.fhir_server_id, _c.type, _c.id, _c.patient_id)
_FORGET_ALL = Statement(
    delete(fhir_references).where(_c.fhir_server_id == bindparam("server_id", type_=Uuid))
)
_FORGET = Statement(
    delete(fhir_references).where(
        tuple_(*_key).in_(
            select(*_key)
            .join(fhir_servers, fhir_servers.c.id == _c.fhir_server_id)
            .where(fhir_servers.c.removed_at.is_not(None))
            .limit(bindparam("most", type_=Integer))
        )
    )
)


async def note(ctx: Context, server_id: UUID, base_url: str | None, references: Iterable[Reference]) -> None:
    """Note what resources of patients refer to, as they were read at an address: if that has been changed since, nothing."""
    said = sorted(set(references))
    await _NOTE.run(
        ctx.tx,
        server_id=server_id,
        base_url=base_url,
        type=[one.type for one in said],
        id=[one.id for one in said],
        patient_id=[one.patient_id for one in said],
    )


async def forget(ctx: Context, server_id: UUID) -> None:
    """Delete all that was noted of a FHIR server: at another address others may have the same ids."""
    await _FORGET_ALL.run(ctx.tx, server_id=server_id)


async def forget_some_removed(ctx: Context) -> bool:
    """Delete some of what was noted of FHIR servers that were removed; return whether there may be more."""
    return await _FORGET.run(ctx.tx, most=MOST_FORGOTTEN) > 0
