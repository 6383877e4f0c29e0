"""Shares from elsewhere: a world file says of each how it stands, and it is written down so, with its grant if it is active."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from sqlalchemy import bindparam, or_, select

from hospitium.engine.accounts.emails import canonical_email
from hospitium.engine.actor import Actor, ActorKind
from hospitium.engine.errors import Invalid, NameTaken, SharingDisabled
from hospitium.engine.events import EventKind
from hospitium.engine.permissions import Permission, require
from hospitium.engine.secrets import seed
from hospitium.engine.shares import contexts, queries
from hospitium.engine.shares.actions import grant
from hospitium.engine.shares.record import (
    ACTIVE,
    PENDING,
    PENDING_LIFE,
    SHARE_COLUMNS,
    SHARE_PURPOSE,
    Share,
    ShareStatus,
    TargetForm,
    shares,
)
from hospitium.engine.shares.targets import check_level
from hospitium.engine.shares.telling import tell
from hospitium.storage.statements import Query, insert_into, scalar, struct

if TYPE_CHECKING:
    from hospitium.engine.context import Context
    from hospitium.engine.secrets import DerivationKey

_INSERT = Query(
    insert_into(
        shares, "id", "organization_id", "record_id", "object_type_id", "target_form", "target_email", "target_email_key",
        "target_account_id", "target_team_id", "level", "status", "creator_id", "made_under_id", "language", "created_at",
        "expires_at", "accepted_at", "ended_at", "key_number", "nonce", "digest",
    ).returning(*SHARE_COLUMNS),
    struct(Share),
)  # fmt: skip
_PRESENT = Query(
    select(shares.c.id)
    .where(
        shares.c.record_id == bindparam("record_id"),
        or_(
            shares.c.target_email_key == bindparam("email_key"),
            shares.c.target_team_id == bindparam("team_id"),
        ),
    )
    .limit(1),
    scalar("id"),
)
_WAS_ACCEPTED = (ACTIVE, ShareStatus.LEFT, ShareStatus.REVOKED)


class ImportedShare(msgspec.Struct, frozen=True, kw_only=True):
    """A share as a world file has it: of a record, by whom, to an address or a team, how much, and how it stands."""

    record_id: UUID
    made_by: UUID
    level: int
    status: ShareStatus
    email: str | None = None
    account_id: UUID | None = None  # whose the address is, if anybody's
    team_id: UUID | None = None
    language: str = "en"
    given_id: UUID | None = None


async def import_one(ctx: Context, given: ImportedShare, key: DerivationKey) -> Share | None:
    """Write down a share from elsewhere; None if its record was shared with its target before. For the operator.

    The rules of making one hold here too. No mail is sent. Raises Invalid, NameTaken, NotFound, NotSharable, SharingDisabled,
    WrongTarget.
    """
    require(ctx.actor, Permission.IMPORT_WORLD)
    email_key = None if given.email is None else canonical_email("to", given.email)
    if await _PRESENT.first(ctx.tx, record_id=given.record_id, email_key=email_key, team_id=given.team_id):
        return None
    accepted = given.status in _WAS_ACCEPTED
    if accepted and given.account_id is None and given.team_id is None:
        raise Invalid("to", "must be the address of an account, if it was accepted")
    if given.account_id == given.made_by:
        raise Invalid("to", "is the sharer's own")
    shared = await contexts.lock(ctx, await contexts.record(ctx, given.record_id))
    if not shared.rules.allows_shares:
        raise SharingDisabled("Records of this type are not shared")
    maker = ctx._replace(actor=Actor(ActorKind.ACCOUNT, given.made_by, is_confirmed=True))
    reach = await contexts.reach(maker, shared)
    level = check_level(shared, reach, given.level, "access")
    its = seed(key, SHARE_PURPOSE, given.given_id or ctx.new_id())
    if given.given_id is not None and await queries.find(ctx, given.given_id) is not None:
        raise NameTaken("id")
    over = given.status not in (PENDING, ACTIVE)
    created_at = ctx.now - PENDING_LIFE if over else ctx.now
    made = await _INSERT.first(
        ctx.tx,
        id=its.row_id,
        organization_id=shared.organization_id,
        record_id=shared.id,
        object_type_id=shared.object_type_id,
        target_form=(TargetForm.EMAIL if given.email is not None else TargetForm.TEAM).value,
        target_email=given.email,
        target_email_key=email_key,
        target_account_id=given.account_id if accepted and given.email is not None else None,
        target_team_id=given.team_id,
        level=level,
        status=given.status.value,
        creator_id=given.made_by,
        made_under_id=None if reach is None else reach.grant_id,
        language=given.language,
        created_at=created_at,
        expires_at=created_at + PENDING_LIFE,
        accepted_at=created_at + timedelta(seconds=1)
        if accepted and over
        else created_at
        if accepted
        else None,
        ended_at=ctx.now if over else None,
        key_number=its.key_number,
        nonce=its.nonce,
        digest=its.digest,
    )
    assert made is not None  # an INSERT … RETURNING without conflict clause has a row  # noqa: S101
    granted = [await grant(maker, shared, made)] if made.status is ACTIVE else None
    await tell(ctx, EventKind.SHARE_IMPORTED, made, grants=granted)
    return made
