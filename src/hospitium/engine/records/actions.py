"""What can happen to a record: it is made, its body replaced, it is archived and taken out again, and deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg
import msgspec
from sqlalchemy import bindparam, func, update
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

from hospitium.engine import events
from hospitium.engine.errors import (
    Forbidden,
    Invalid,
    NameTaken,
    NotConfirmed,
    NotFound,
    NotSignedIn,
    WrongState,
)
from hospitium.engine.events import EventKind
from hospitium.engine.grants import actions as grants
from hospitium.engine.ids import parse_id
from hospitium.engine.levels import Level
from hospitium.engine.object_types.record import Storage
from hospitium.engine.permissions import Permission, require
from hospitium.engine.records import queries
from hospitium.engine.records.lifecycle import LIFECYCLE
from hospitium.engine.records.record import RECORD_COLUMNS, Record, RecordStatus, records
from hospitium.engine.shares import ending as shares
from hospitium.engine.text import line
from hospitium.storage.statements import Query, exactly, insert_into, struct

if TYPE_CHECKING:
    from hospitium.engine.context import Context
    from hospitium.engine.object_types.record import ObjectType
    from hospitium.engine.records.queries import RecordView

ENVELOPE = frozenset(
    {"_id", "object", "access", "shared", "owner", "creator", "created", "updated", "connections", "isArchived"}
)  # fmt: skip
"""Names a body may not have, because the answers that carry it use them themselves (ruling 14c)."""
# A number is kept digit for digit, which the database does up to 16,383 of them behind the point (`0e-20000` is one, too).
_OUT_OF_RANGE = "has a number that is out of range"
LONGEST_KEPT = 2_000_000  # characters

_INSERT = Query(
    insert_into(
        records, "id", "organization_id", "object_type_id", "external_id", "owner_id", "creator_id", "body", "status",
        "created_at", "updated_at",
    ).returning(*RECORD_COLUMNS),
    struct(Record),
)  # fmt: skip
_REPLACE = Query(
    update(records)
    .where(records.c.id == bindparam("record_id"), exactly(records.c.status, RecordStatus.ACTIVE))
    .values(
        body=bindparam("new_body", type_=JSONB),
        updated_at=func.greatest(bindparam("now", type_=TIMESTAMP(timezone=True)), records.c.updated_at),
        version=records.c.version + 1,
    )
    .returning(*RECORD_COLUMNS),
    struct(Record),
)


class RecordForm(msgspec.Struct, frozen=True, kw_only=True):
    """What one writes down of a record. `body`: a JSON object as it is kept, with the names of its members."""

    body: msgspec.Raw | None = None
    names: frozenset[str] = frozenset()
    external_id: str | None = None
    given_id: UUID | None = None


async def create(ctx: Context, object_type: ObjectType, form: RecordForm) -> RecordView:
    """Make a record of a type; who does owns it. Raises NotConfirmed, Forbidden (names it, and isn't staff), Invalid, NameTaken."""
    require(ctx.actor, Permission.CREATE_RECORD)
    if ctx.actor.account_id is None:
        raise NotSignedIn
    if not ctx.actor.is_confirmed:
        raise NotConfirmed
    _must_be_staff_to_name_it(ctx, object_type, form)
    made = await _make(ctx, object_type, form, ctx.actor.account_id, ctx.actor.account_id)
    return _not_too_long(await queries.view(ctx, object_type, made.id))


async def import_one(ctx: Context, object_type: ObjectType, form: RecordForm, owner_id: UUID) -> Record:
    """Write down a record from elsewhere. For the operator. Raises Invalid, NameTaken."""
    require(ctx.actor, Permission.IMPORT_WORLD)
    return await _make(ctx, object_type, form, owner_id, owner_id)


async def replace(ctx: Context, object_type: ObjectType, record_id: UUID, form: RecordForm) -> RecordView:
    """Replace the body of a record; needs level 6. Raises NotFound, Forbidden, Invalid, WrongState (archived)."""
    require(ctx.actor, Permission.UPDATE_RECORD)
    before = await _permitted(ctx, object_type, record_id, Level.UPDATE)
    _check(object_type, form)
    try:
        after = await _REPLACE.first(ctx.tx, record_id=record_id, new_body=form.body, now=ctx.now)
    except asyncpg.NumericValueOutOfRangeError:
        raise Invalid("body", _OUT_OF_RANGE) from None
    if after is None:
        raise WrongState("An archived record can't be changed; take it out of the archive first")
    await _tell(ctx, EventKind.RECORD_UPDATED, after, was=before.status)
    return _not_too_long(await queries.view(ctx, object_type, record_id))


async def archive(ctx: Context, object_type: ObjectType, record_id: UUID) -> RecordView:
    """Archive a record: every share of it ends, and only its owner keeps it. Needs level 7.

    Raises NotFound, Forbidden, WrongState.
    """
    require(ctx.actor, Permission.DELETE_RECORD)
    await _archive(ctx, await _permitted(ctx, object_type, record_id, Level.DELETE))
    return await queries.view(ctx, object_type, record_id)


async def unarchive(ctx: Context, object_type: ObjectType, record_id: UUID) -> RecordView:
    """Take a record out of the archive; what was shared stays ended. Needs level 7. Raises NotFound, Forbidden, WrongState."""
    require(ctx.actor, Permission.DELETE_RECORD)
    before = await _permitted(ctx, object_type, record_id, Level.DELETE)
    after = await LIFECYCLE.move(ctx, "unarchive", record_id)
    if after is None:
        raise WrongState("The record is not archived")
    await _tell(ctx, EventKind.RECORD_UNARCHIVED, after, was=before.status)
    return await queries.view(ctx, object_type, record_id)


async def delete(ctx: Context, object_type: ObjectType, record_id: UUID) -> None:
    """Delete a record for good, with every share and grant of it. Needs level 7. Raises NotFound, Forbidden."""
    require(ctx.actor, Permission.DELETE_RECORD)
    await _permitted(ctx, object_type, record_id, Level.DELETE)
    await _delete(ctx, [record_id])


async def delete_all_of(ctx: Context, account_id: UUID) -> None:
    """Delete the records of an account that goes. Called by actions that have asked for their own permission."""
    await _delete(ctx, await queries.lock_all_of(ctx, account_id))


async def archive_again(ctx: Context, record_id: UUID) -> None:
    """End every share of a record that a restore took out of the archive, and archive it. Raises NotFound, WrongState."""
    require(ctx.actor, Permission.RESTORE)
    await _archive(ctx, await queries.lock(ctx, record_id))


async def delete_again(ctx: Context, record_id: UUID) -> None:
    """Delete a record that a restore brought back. Raises NotFound."""
    require(ctx.actor, Permission.RESTORE)
    await queries.lock(ctx, record_id)
    await _delete(ctx, [record_id])


async def _archive(ctx: Context, before: Record) -> None:
    after = await LIFECYCLE.move(ctx, "archive", before.id)
    if after is None:
        raise WrongState("The record is archived already")
    await shares.end_all_on(ctx, [before.id])
    await _tell(ctx, EventKind.RECORD_ARCHIVED, after, was=before.status)


async def _delete(ctx: Context, record_ids: list[UUID]) -> None:
    await shares.end_all_on(ctx, record_ids)
    for record_id in record_ids:
        gone = await LIFECYCLE.move(ctx, "delete", record_id)
        if gone is None:
            raise NotFound("instance")
        ended = await grants.end_all_on_record(ctx, record_id)
        await _tell(ctx, EventKind.RECORD_DELETED, gone, grants=ended)


async def _permitted(ctx: Context, object_type: ObjectType, record_id: UUID, needed: Level) -> Record:
    """Lock a record the actor may do that much on. Raises NotFound, Forbidden."""
    record = await queries.lock(ctx, record_id)
    if record.object_type_id != object_type.id:
        raise NotFound("instance")
    best = await queries.access(ctx, record)
    if best.level < needed:
        raise Forbidden(f"This needs access level {needed:d}; you have {best.level:d}")
    return record


def _must_be_staff_to_name_it(ctx: Context, object_type: ObjectType, form: RecordForm) -> None:
    """Refuse a name from whoever isn't the organization's: its application would take his record for what it calls so. Raises Forbidden."""
    fields = {"_id": form.given_id, "externalId": form.external_id}
    named = next((field for field, given in fields.items() if given is not None), None)
    if named is None or (ctx.actor.is_staff and ctx.actor.organization_id == object_type.organization_id):
        return
    raise Forbidden(
        f"{named}: is for the organization's staff to give; leave it out, or let them make the record",
        field=named,
    )


async def _make(
    ctx: Context, object_type: ObjectType, form: RecordForm, owner_id: UUID, creator_id: UUID
) -> Record:
    _check(object_type, form)
    external_id = None if form.external_id is None else line("externalId", form.external_id)
    if form.given_id is not None and (
        await queries.is_of_an_account(ctx, form.given_id)
        or await queries.is_called(ctx, object_type, form.given_id)
    ):
        raise NameTaken("_id")
    named_id = None if external_id is None else parse_id(external_id)
    if named_id is not None and await queries.is_of_type(ctx, object_type, named_id):
        raise NameTaken("externalId")
    try:
        made = await _INSERT.first(
            ctx.tx,
            id=form.given_id or ctx.new_id(),
            organization_id=object_type.organization_id,
            object_type_id=object_type.id,
            external_id=external_id,
            owner_id=owner_id,
            creator_id=creator_id,
            body=form.body,
            status=RecordStatus.ACTIVE.value,
            created_at=ctx.now,
            updated_at=ctx.now,
        )
    except asyncpg.NumericValueOutOfRangeError:
        raise Invalid("body", _OUT_OF_RANGE) from None
    except asyncpg.UniqueViolationError as taken:
        raise NameTaken("_id" if "pkey" in str(taken.constraint_name) else "externalId") from None
    assert made is not None  # an INSERT … RETURNING without conflict clause has a row  # noqa: S101
    owned = await grants.start_for_owner(ctx, made.owner_id, queries.resource_of(made))
    await _tell(ctx, EventKind.RECORD_CREATED, made, grants=[owned])
    return made


def _check(object_type: ObjectType, form: RecordForm) -> None:
    """Refuse what a record of this type can't hold. Raises Invalid, naming the member."""
    if object_type.storage is Storage.EXTERNAL:
        if form.names:
            raise Invalid(
                _shown(min(form.names)), "is not kept here: the data of this type lives in another system"
            )
        return
    for name in sorted(form.names):
        if name in ENVELOPE or name.startswith("_"):
            raise Invalid(_shown(name), "is a name that answers use themselves, or begins with _")


def _not_too_long(view: RecordView) -> RecordView:
    """Return a record whose body isn't much longer than it was sent: `1e308` is kept with all its 309 digits. Raises Invalid."""
    if view.body is not None and len(view.body) > LONGEST_KEPT:
        raise Invalid(
            "body", f"must be at most {LONGEST_KEPT:,} characters long with all digits of its numbers"
        )
    return view


def _shown(name: str) -> str:
    """A member's name may be anything a stranger typed: show a bounded, harmless form of it."""
    return "".join(c if c.isprintable() else "\ufffd" for c in name[:80])


async def _tell(
    ctx: Context,
    kind: EventKind,
    record: Record,
    *,
    was: RecordStatus | None = None,
    grants: list[UUID] | None = None,
) -> None:
    await events.record(
        ctx,
        kind,
        subject=("record", record.id),
        organizations=[record.organization_id],
        accounts=[record.owner_id],
        object_type=record.object_type_id,
        was=was,
        status=record.status,
        version=record.version,
        grants=grants,
    )
