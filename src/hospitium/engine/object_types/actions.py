"""What can happen to an object type: it is defined, its settings change, and it goes when no record is of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import asyncpg
import msgspec
from sqlalchemy import Boolean, SmallInteger, Text, bindparam, func, update
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP

from hospitium.engine import events
from hospitium.engine.errors import Invalid, NameTaken, NotFound, WrongState
from hospitium.engine.events import EventKind
from hospitium.engine.levels import ACTIONS, Level
from hospitium.engine.object_types import queries
from hospitium.engine.object_types.record import (
    ACTION_FORM,
    DEFAULT_CHAIN,
    DEFAULT_REQUIRED,
    GRANTABLE,
    MOST_ACTIONS,
    NAME_FORM,
    OBJECT_TYPE_COLUMNS,
    RESERVED_NAMES,
    ObjectType,
    Storage,
    object_types,
)
from hospitium.engine.permissions import Permission, organization_of, require
from hospitium.engine.records import queries as record_queries
from hospitium.engine.text import line
from hospitium.storage.statements import Query, insert_into, struct

if TYPE_CHECKING:
    from uuid import UUID

    from hospitium.engine.context import Context

_SETTINGS: dict[str, Any] = {
    "label": Text,
    "allows_shares": Boolean,
    "requires_acceptance": Boolean,
    "sends_notifications": Boolean,
    "required_level": SmallInteger,
    "share_chain": ARRAY(SmallInteger),
    "actions": JSONB,
}
_INSERT = Query(
    insert_into(
        object_types, "id", "organization_id", "name", "plural_name", "storage", "created_at", "updated_at", *_SETTINGS
    ).returning(*OBJECT_TYPE_COLUMNS),
    struct(ObjectType),
)  # fmt: skip
_NOW = bindparam("now", type_=TIMESTAMP(timezone=True))
_UPDATE = Query(
    update(object_types)
    .where(object_types.c.id == bindparam("type_id"), object_types.c.ended_at.is_(None))
    .values(
        **{name: bindparam(f"new_{name}", type_=kind) for name, kind in _SETTINGS.items()},
        updated_at=func.greatest(_NOW, object_types.c.updated_at),
        version=object_types.c.version + 1,
    )
    .returning(*OBJECT_TYPE_COLUMNS),
    struct(ObjectType),
)
_END = Query(
    update(object_types)
    .where(object_types.c.id == bindparam("type_id"), object_types.c.ended_at.is_(None))
    .values(ended_at=func.greatest(_NOW, object_types.c.created_at), version=object_types.c.version + 1)
    .returning(*OBJECT_TYPE_COLUMNS),
    struct(ObjectType),
)


class TypeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How the records of a type may be shared (docs/dialects/medable.md, "Object settings")."""

    label: str
    allows_shares: bool = False
    requires_acceptance: bool = True
    sends_notifications: bool = True
    required_level: int | None = DEFAULT_REQUIRED
    share_chain: Sequence[int] = DEFAULT_CHAIN
    actions: Mapping[str, int] = MappingProxyType({})


async def define(
    ctx: Context, name: str, plural_name: str, storage: Storage, settings: TypeSettings
) -> ObjectType:
    """Define a type in the actor's organization. Raises Invalid, NameTaken."""
    require(ctx.actor, Permission.KEEP_OBJECT_TYPES)
    return await write_down(ctx, organization_of(ctx.actor), name, plural_name, storage, settings)


async def write_down(
    ctx: Context,
    organization_id: UUID,
    name: str,
    plural_name: str,
    storage: Storage,
    settings: TypeSettings,
    given_id: UUID | None = None,
) -> ObjectType:
    """Write down a type of an organization. Raises Invalid, NameTaken."""
    require(ctx.actor, Permission.KEEP_OBJECT_TYPES)
    for field, given in (("name", name), ("plural_name", plural_name)):
        if not re.fullmatch(NAME_FORM, given):  # `$` alone would let a newline pass at the end
            raise Invalid(field, "must be 1 to 63 of a-z, 0-9 and _, and begin with a letter")
        if given in RESERVED_NAMES:
            raise Invalid(field, "is reserved")
    if name == plural_name:
        raise Invalid("plural_name", "must differ from the name")
    try:
        made = await _INSERT.first(
            ctx.tx,
            id=given_id or ctx.new_id(),
            organization_id=organization_id,
            name=name,
            plural_name=plural_name,
            storage=storage.value,
            created_at=ctx.now,
            updated_at=ctx.now,
            **_checked(settings),
        )
    except asyncpg.UniqueViolationError as taken:
        constraint = str(taken.constraint_name)
        raise NameTaken(
            "id" if "pkey" in constraint else "plural_name" if "plural" in constraint else "name"
        ) from None
    assert made is not None  # an INSERT … RETURNING without conflict clause has a row  # noqa: S101
    await _tell(ctx, EventKind.OBJECT_TYPE_DEFINED, made)
    return made


async def change(ctx: Context, type_id: UUID, settings: TypeSettings) -> ObjectType:
    """Give a type of the actor's organization other settings; what is shared already stays so. Raises Invalid, NotFound."""
    require(ctx.actor, Permission.KEEP_OBJECT_TYPES)
    checked = _checked(settings)
    await queries.lock(ctx, type_id)
    after = await _UPDATE.first(
        ctx.tx, type_id=type_id, now=ctx.now, **{f"new_{name}": value for name, value in checked.items()}
    )
    if after is None:
        raise NotFound("object")
    await _tell(ctx, EventKind.OBJECT_TYPE_CHANGED, after)
    return after


async def drop(ctx: Context, type_id: UUID) -> None:
    """Drop a type of the actor's organization. Raises NotFound, WrongState (there are records of it)."""
    require(ctx.actor, Permission.KEEP_OBJECT_TYPES)
    await queries.lock(ctx, type_id)
    if await record_queries.is_used(ctx, type_id):
        raise WrongState("There are records of this type; delete them first")
    ended = await _END.first(ctx.tx, type_id=type_id, now=ctx.now)
    if ended is None:
        raise NotFound("object")
    await _tell(ctx, EventKind.OBJECT_TYPE_DROPPED, ended)


def _checked(settings: TypeSettings) -> dict[str, Any]:
    for index, level in enumerate(settings.share_chain):
        if level not in GRANTABLE:
            raise Invalid(f"share_chain[{index}]", "must be 2, 4, 5 or 6")
    if settings.required_level is not None and settings.required_level not in set(Level):
        raise Invalid("required_level", "must be 1 to 7, or null")
    _check_actions(settings.actions)
    return {
        "label": line("label", settings.label),
        "allows_shares": settings.allows_shares,
        "requires_acceptance": settings.requires_acceptance,
        "sends_notifications": settings.sends_notifications,
        "required_level": settings.required_level,
        "share_chain": sorted({int(level) for level in settings.share_chain}, reverse=True),
        "actions": {name: int(level) for name, level in settings.actions.items()},
    }


def _check_actions(given: Mapping[str, int]) -> None:
    if len(given) > MOST_ACTIONS:
        raise Invalid("actions", f"must be at most {MOST_ACTIONS}")
    levels = sorted(ACTIONS.values())
    for name, level in given.items():
        if not re.fullmatch(ACTION_FORM, name):
            raise Invalid("actions", "must have names of 1 to 64 letters, digits, _, ., : and -")
        if level not in levels:
            raise Invalid(f"actions.{name}", f"must be one of {', '.join(str(int(one)) for one in levels)}")


async def _tell(ctx: Context, kind: EventKind, object_type: ObjectType) -> None:
    await events.record(
        ctx,
        kind,
        subject=("object_type", object_type.id),
        organizations=[object_type.organization_id],
        version=object_type.version,
    )
