"""Which object types: those of one organization, by name or all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Text, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from hospitium.engine.errors import NotFound
from hospitium.engine.object_types.record import OBJECT_TYPE_COLUMNS, ObjectType, object_types
from hospitium.engine.permissions import Permission, organization_of, require
from hospitium.storage.statements import Query, struct

if TYPE_CHECKING:
    from uuid import UUID

    from hospitium.engine.context import Context

_c = object_types.c
_there = select(*OBJECT_TYPE_COLUMNS).where(
    _c.organization_id == bindparam("organization_id"), _c.ended_at.is_(None)
)
_BY_PLURAL = Query(_there.where(_c.plural_name == bindparam("plural_name")), struct(ObjectType))
_BY_ID = Query(_there.where(_c.id == bindparam("type_id")), struct(ObjectType))
# Not while a record of it is being made, which holds its key.
_LOCK = Query(_there.where(_c.id == bindparam("type_id")).with_for_update(), struct(ObjectType))
_HOLD = Query(
    _there.where(_c.plural_name == bindparam("plural_name")).with_for_update(read=True, key_share=True),
    struct(ObjectType),
)
_PAGE = Query(
    _there.where(_c.id < bindparam("before"))
    .order_by(_c.id.desc())
    .offset(bindparam("skip"))
    .limit(bindparam("limit")),
    struct(ObjectType),
)
_BY_NAMES = Query(
    _there.where(_c.name == func.any(bindparam("names", type_=ARRAY(Text)))), struct(ObjectType)
)


async def by_plural(ctx: Context, organization_id: UUID, plural_name: str) -> ObjectType | None:
    """Return the type whose records an organization's surface has under a plural name."""
    if "\0" in plural_name:  # which no text of the database has
        return None
    return await _BY_PLURAL.first(ctx.tx, organization_id=organization_id, plural_name=plural_name)


async def hold(ctx: Context, organization_id: UUID, plural_name: str) -> ObjectType | None:
    """Return a type that stays until this transaction ends: a record of it is being made."""
    if "\0" in plural_name:
        return None
    return await _HOLD.first(ctx.tx, organization_id=organization_id, plural_name=plural_name)


async def by_id(ctx: Context, type_id: UUID) -> ObjectType:
    """Return a type of the actor's organization. For its administrators. Raises NotFound."""
    require(ctx.actor, Permission.KEEP_OBJECT_TYPES)
    found = await _BY_ID.first(ctx.tx, organization_id=organization_of(ctx.actor), type_id=type_id)
    if found is None:
        raise NotFound("object")
    return found


async def lock(ctx: Context, type_id: UUID) -> ObjectType:
    """Lock a type of the actor's organization before it is changed. Raises NotFound."""
    found = await _LOCK.first(ctx.tx, organization_id=organization_of(ctx.actor), type_id=type_id)
    if found is None:
        raise NotFound("object")
    return found


async def page(ctx: Context, before: UUID, skip: int, limit: int) -> list[ObjectType]:
    """Return types of the actor's organization, the newest first. For its administrators."""
    require(ctx.actor, Permission.KEEP_OBJECT_TYPES)
    return await _PAGE.all(
        ctx.tx, organization_id=organization_of(ctx.actor), before=before, skip=skip, limit=limit
    )


async def by_names(ctx: Context, organization_id: UUID, names: list[str]) -> dict[str, ObjectType]:
    """Return those types that an organization has among some names. For the world loader."""
    found = await _BY_NAMES.all(ctx.tx, organization_id=organization_id, names=names)
    return {one.name: one for one in found}
