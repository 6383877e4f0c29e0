"""Definitions of objects, which the rest of the house calls object types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from litestar import Request, Response
from msgspec import Meta

from hospitium.doors import json_body
from hospitium.doors.answers import Answer, answer, once, send
from hospitium.doors.medable.entrance import perform
from hospitium.doors.medable.wire import (
    DONE,
    Body,
    List,
    Moment,
    ObjectId,
    moment,
    paging_of,
    printed_id,
    spelling,
)
from hospitium.doors.named_ids import path_id
from hospitium.doors.shapes import Line, takes
from hospitium.engine.errors import Invalid
from hospitium.engine.levels import ACTIONS, Level
from hospitium.engine.object_types import actions, queries
from hospitium.engine.object_types.actions import TypeSettings
from hospitium.engine.object_types.record import (
    ACTION_FORM,
    DEFAULT_CHAIN,
    MOST_ACTIONS,
    NAME_FORM,
    ObjectType,
    Storage,
)
from hospitium.engine.permissions import Permission

if TYPE_CHECKING:
    from hospitium.engine.client_keys.queries import Entrance
    from hospitium.engine.context import Context

LEVELS = {"connected": Level.CONNECTED, "read": Level.READ, "share": Level.SHARE, "update": Level.UPDATE}
_WORDS = {int(level): word for word, level in LEVELS.items()}
_SPELLED = {
    "plural_name": "pluralName",
    "required_level": "connectionOptions.requiredAccess",
    "share_chain": "shareChain",
}

ObjectName = Annotated[
    str, takes("ObjectName", "A name of an object: small letters, digits and _.", pattern=NAME_FORM)
]
ChainMember = Annotated[
    Any,
    takes(
        "ChainMember",
        "A level of the share chain, by its word or its number.",
        enum=[*LEVELS, *(int(level) for level in LEVELS.values())],
    ),
]


ActionLevel = Annotated[int, Meta(extra_json_schema={"enum": sorted(map(int, ACTIONS.values()))})]
ActionLevels = Annotated[
    dict[str, ActionLevel],
    Meta(extra_json_schema={"maxProperties": MOST_ACTIONS, "propertyNames": {"pattern": ACTION_FORM}}),
]


class ConnectionOptions(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """How connections to instances of an object are made."""

    require_accept: bool = True
    send_notifications: bool = True
    required_access: Annotated[int, Meta(ge=1, le=7)] | None = None


class ObjectSettings(Body, kw_only=True):
    """The settings of an object; what isn't sent is as by default. `actions`: what applications call actions on its instances, and
    the level of access that each needs."""

    label: Line
    allow_connections: bool = False
    connection_options: ConnectionOptions = msgspec.field(default_factory=ConnectionOptions)
    share_chain: list[ChainMember] = msgspec.field(
        default_factory=lambda: [_WORDS[level] for level in DEFAULT_CHAIN]
    )
    actions: ActionLevels = msgspec.field(default_factory=dict)


class ObjectBody(ObjectSettings, kw_only=True):
    """A new object: its names, where its instances are kept, and its settings."""

    name: ObjectName
    plural_name: ObjectName
    storage: Storage = Storage.STORED


class PrintedOptions(msgspec.Struct, rename="camel"):
    """How connections to instances of an object are made."""

    require_accept: bool
    send_notifications: bool
    required_access: int | None


class ObjectDocument(msgspec.Struct, rename="camel"):
    """A definition of an object."""

    id: ObjectId = msgspec.field(name="_id")
    object: Literal["object"]
    name: str
    plural_name: str
    label: str
    storage: Storage
    allow_connections: bool
    connection_options: PrintedOptions
    share_chain: list[str]
    actions: dict[str, int]
    created: Moment
    updated: Moment


async def create(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Define an object in the organization."""
    body = await request.body()

    async def deed(ctx: Context, _: Entrance) -> Answer:
        given = json_body.read(body, request.headers.get("content-type"), ObjectBody)

        async def do() -> Answer:
            made = await actions.define(ctx, given.name, given.plural_name, given.storage, _settings(given))
            return answer(200, _printed(made))

        with spelling(_SPELLED):
            return await once(ctx, request, body, do)

    return send(await perform(request, Permission.KEEP_OBJECT_TYPES, deed))


async def list_(request: Request[Any, Any, Any]) -> Response[bytes]:
    """List the objects of the organization."""

    async def deed(ctx: Context, _: Entrance) -> List[ObjectDocument]:
        paging = paging_of(request)
        found = await queries.page(ctx, paging.before, paging.skip, paging.limit + 1)
        return paging.printed(found, _printed)

    return send(answer(200, await perform(request, Permission.KEEP_OBJECT_TYPES, deed)))


async def read(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Read the definition of an object."""
    type_id = path_id(request, "id", "object")
    found = await perform(
        request, Permission.KEEP_OBJECT_TYPES, lambda ctx, _: queries.by_id(ctx, type_id), about=type_id
    )
    return send(answer(200, _printed(found)))


async def replace(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Replace the settings of an object; its names stay. What is shared already stays so."""
    type_id = path_id(request, "id", "object")
    body = await request.body()

    async def deed(ctx: Context, _: Entrance) -> ObjectType:
        given = json_body.read(body, request.headers.get("content-type"), ObjectSettings)
        with spelling(_SPELLED):
            return await actions.change(ctx, type_id, _settings(given))

    changed = await perform(request, Permission.KEEP_OBJECT_TYPES, deed, about=type_id)
    return send(answer(200, _printed(changed)))


async def drop(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Drop an object that has no instances."""
    type_id = path_id(request, "id", "object")
    await perform(
        request, Permission.KEEP_OBJECT_TYPES, lambda ctx, _: actions.drop(ctx, type_id), about=type_id
    )
    return send(answer(200, DONE))


def chain_of(given: list[Any]) -> list[int]:
    """Return the levels of a share chain that is written in words or numbers. Raises Invalid."""
    levels = []
    for index, one in enumerate(given):
        level = LEVELS.get(one) if isinstance(one, str) else one
        if type(level) not in (int, Level) or level not in _WORDS:
            raise Invalid(f"shareChain[{index}]", f"must be one of {', '.join(LEVELS)}, or its number")
        levels.append(int(level))
    return levels


def _settings(given: ObjectSettings) -> TypeSettings:
    options = given.connection_options
    return TypeSettings(
        label=given.label,
        allows_shares=given.allow_connections,
        requires_acceptance=options.require_accept,
        sends_notifications=options.send_notifications,
        required_level=options.required_access,
        share_chain=chain_of(given.share_chain),
        actions=given.actions,
    )


def _printed(made: ObjectType) -> ObjectDocument:
    return ObjectDocument(
        printed_id(made.id),
        "object",
        made.name,
        made.plural_name,
        made.label,
        made.storage,
        made.allows_shares,
        PrintedOptions(made.requires_acceptance, made.sends_notifications, made.required_level),
        [_WORDS[level] for level in made.share_chain],
        made.actions,
        moment(made.created_at),
        moment(made.updated_at),
    )
