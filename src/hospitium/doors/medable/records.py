"""Instances of objects, which the rest of the house calls records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from litestar import Request, Response

from hospitium.doors import json_body
from hospitium.doors.answers import Answer, answer, once, send
from hospitium.doors.medable.entrance import perform
from hospitium.doors.medable.wire import (
    DONE,
    Body,
    List,
    moment,
    paging_of,
    printed_id,
    to_account,
)
from hospitium.doors.named_ids import body_id, path_id
from hospitium.doors.shapes import takes
from hospitium.engine.errors import Invalid, UnknownObjectType
from hospitium.engine.ids import to_object_id
from hospitium.engine.levels import Level
from hospitium.engine.object_types import queries as type_queries
from hospitium.engine.object_types.record import Storage
from hospitium.engine.permissions import Permission
from hospitium.engine.records import actions, queries
from hospitium.engine.records.actions import RecordForm
from hospitium.engine.records.record import RecordStatus

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from uuid import UUID

    from hospitium.engine.client_keys.queries import Entrance
    from hospitium.engine.context import Context
    from hospitium.engine.object_types.record import ObjectType
    from hospitium.engine.records.queries import RecordView

    Deed = Callable[[Context, ObjectType, UUID], Awaitable[RecordView]]

RecordDocument = Annotated[
    dict[str, Any],
    takes(
        "RecordDocument",
        "An instance: what it is, what one may do on it, and from level 4 on its members.",
        properties={
            "_id": {"type": "string"},
            "object": {"type": "string"},
            "access": {"type": "integer", "minimum": 1, "maximum": 7},
            "shared": {"type": "boolean"},
            "owner": {"type": "object"},
            "creator": {"type": "object"},
            "created": {"type": "string", "format": "date-time"},
            "updated": {"type": "string", "format": "date-time"},
            "isArchived": {"type": "boolean"},
        },
        required=["_id", "object", "access"],
        additionalProperties=True,
    ),
]


class RecordBody(msgspec.Struct):
    """The members of an instance: any, but those that answers use themselves, and those that begin with `_`."""


class ArchiveBody(Body):
    """Whether the instance is to be archived: shared with nobody, and kept by its owner."""

    is_archived: bool


async def create(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Make an instance of an object; who does owns it."""
    body = await request.body()

    async def deed(ctx: Context, at: Entrance) -> Answer:
        object_type = await type_of(ctx, at, request, hold=True)
        form = _form(request, body, object_type, is_new=True)

        async def do() -> Answer:
            return answer(200, printed(object_type, await actions.create(ctx, object_type, form)))

        return await once(ctx, request, body, do)

    return send(await perform(request, Permission.CREATE_RECORD, deed))


async def list_(request: Request[Any, Any, Any]) -> Response[bytes]:
    """List the instances of an object that one may read, the newest first."""

    async def deed(ctx: Context, at: Entrance) -> List[Any]:
        object_type = await type_of(ctx, at, request)
        paging = paging_of(request)
        found = await queries.readable(ctx, object_type, paging.before, paging.skip, paging.limit + 1)
        return paging.printed(found, lambda view: printed(object_type, view))

    return send(answer(200, await perform(request, Permission.SEE_RECORDS, deed)))


async def read(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Read an instance; below level 4, no more than that it is there."""
    return await _on_one(request, Permission.SEE_RECORDS, queries.view)


async def replace(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Replace the members of an instance; needs level 6."""
    body = await request.body()

    async def deed(ctx: Context, object_type: ObjectType, record_id: UUID) -> RecordView:
        form = _form(request, body, object_type, is_new=False)
        return await actions.replace(ctx, object_type, record_id, form)

    return await _on_one(request, Permission.UPDATE_RECORD, deed)


async def archive(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Archive an instance, or take it out again; needs level 7. Archiving ends its connections for good."""
    body = await request.body()

    async def deed(ctx: Context, object_type: ObjectType, record_id: UUID) -> RecordView:
        given = json_body.read(body, request.headers.get("content-type"), ArchiveBody)
        move = actions.archive if given.is_archived else actions.unarchive
        return await move(ctx, object_type, record_id)

    return await _on_one(request, Permission.DELETE_RECORD, deed)


async def delete(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Delete an instance for good, with its connections; needs level 7."""
    record_id = path_id(request, "id", "instance")

    async def deed(ctx: Context, at: Entrance) -> None:
        await actions.delete(ctx, await type_of(ctx, at, request), record_id)

    await perform(request, Permission.DELETE_RECORD, deed, about=record_id)
    return send(answer(200, DONE))


async def type_of(
    ctx: Context, at: Entrance, request: Request[Any, Any, Any], *, hold: bool = False
) -> ObjectType:
    """Return the object that the address names by its plural; `hold`: until this deed ends. Raises UnknownObjectType."""
    plural = request.path_params["plural"]
    find = type_queries.hold if hold else type_queries.by_plural
    found = await find(ctx, at.organization_id, plural)
    if found is None:
        raise UnknownObjectType("".join(c if c.isprintable() else "\ufffd" for c in plural[:80]))
    return found


async def _on_one(request: Request[Any, Any, Any], permission: Permission, do: Deed) -> Response[bytes]:
    record_id = path_id(request, "id", "instance")

    async def deed(ctx: Context, at: Entrance) -> dict[str, Any]:
        object_type = await type_of(ctx, at, request)
        return printed(object_type, await do(ctx, object_type, record_id))

    return send(answer(200, await perform(request, permission, deed, about=record_id)))


def printed(object_type: ObjectType, view: RecordView) -> dict[str, Any]:
    """Return an instance as a document: below level 4 no more than that it is there (ruling 14c)."""
    record = view.record
    document: dict[str, Any] = {
        "_id": printed_id(record.id),
        "object": object_type.name,
        "access": view.level,
    }
    if view.level < Level.READ:
        return document
    document |= {
        "shared": view.is_shared,
        "owner": to_account(record.owner_id),
        "creator": to_account(record.creator_id),
        "created": moment(record.created_at),
        "updated": moment(record.updated_at),
        "isArchived": record.status is RecordStatus.ARCHIVED,
    }
    if view.body is not None:
        document |= msgspec.json.decode(view.body, type=dict[str, msgspec.Raw])
    return document


def _form(
    request: Request[Any, Any, Any], body: bytes, object_type: ObjectType, *, is_new: bool
) -> RecordForm:
    """Read the members of an instance; of one whose data lives elsewhere, by which ids it goes."""
    members: dict[str, Any] = json_body.read(body, request.headers.get("content-type"), dict[str, Any])
    if object_type.storage is Storage.STORED:
        if not is_new and not body:
            raise Invalid("body", "is required: what isn't sent is gone")
        raw = msgspec.Raw(body.strip() or b"{}")
        return RecordForm(body=raw, names=frozenset(members))
    given_id, external_id = members.pop("_id", None), members.pop("externalId", None)
    if not is_new and (given_id is not None or external_id is not None):
        raise Invalid("_id" if given_id is not None else "externalId", "can't be changed")
    if external_id is not None and not isinstance(external_id, str):
        raise Invalid("externalId", "must be a string")
    return RecordForm(
        names=frozenset(members),
        external_id=external_id,
        given_id=None if given_id is None else _given_id(given_id),
    )


def _given_id(given: object) -> UUID:
    if not isinstance(given, str):
        raise Invalid("_id", "must be a string")
    found = body_id("_id", given)
    if to_object_id(found) is None:
        raise Invalid("_id", "must be 24 hexadecimal digits, or a UUID that stands for them (ruling 6)")
    return found
