"""Of what a share is: a record or an account, with the rules that hold for sharing it, and what somebody may do on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import Uuid, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from hospitium.engine.access.check import Resource, best_of
from hospitium.engine.accounts.record import AccountStatus, accounts
from hospitium.engine.errors import NotFound, NotSignedIn
from hospitium.engine.grants.record import ResourceKind
from hospitium.engine.levels import Level
from hospitium.engine.object_types.record import DEFAULT_CHAIN, OBJECT_TYPE_COLUMNS, ObjectType, object_types
from hospitium.engine.records import queries as record_queries
from hospitium.engine.records.record import RECORD_COLUMNS, THERE, Record, RecordStatus, records
from hospitium.storage.statements import Query, exactly, one_of, pair, scalar, struct

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from hospitium.engine.context import Context
    from hospitium.engine.shares.record import Share


class SharingRules(NamedTuple):
    """How something may be shared (docs/dialects/medable.md, "Object settings")."""

    allows_shares: bool
    requires_acceptance: bool
    sends_notifications: bool
    required_level: int | None
    share_chain: tuple[int, ...]


OF_ACCOUNTS = SharingRules(
    allows_shares=True,
    requires_acceptance=True,  # never at once (ruling 12)
    sends_notifications=True,
    required_level=None,
    share_chain=tuple(int(level) for level in DEFAULT_CHAIN),
)


class Shared(NamedTuple):
    """What a share is of, its owner, and the rules for sharing it. Of an account, the organization is where it is shared."""

    id: UUID
    organization_id: UUID
    owner_id: UUID
    object_type_id: UUID | None  # None: an account
    is_archived: bool
    rules: SharingRules

    @property
    def resource(self) -> Resource:
        """What a question about it names."""
        if self.object_type_id is None:
            return Resource(ResourceKind.ACCOUNT, str(self.id))
        return Resource(ResourceKind.RECORD, str(self.id), str(self.object_type_id))


class Reach(NamedTuple):
    """How much somebody may do on it now, by which grant (None: it is his own account), and until when at most."""

    level: int
    grant_id: UUID | None
    until: datetime | None


_RECORD = Query(
    select(
        *(column.label(f"record__{column.key}") for column in RECORD_COLUMNS),
        *(column.label(f"type__{column.key}") for column in OBJECT_TYPE_COLUMNS),
    )
    .join(object_types, object_types.c.id == records.c.object_type_id)
    .where(records.c.id == bindparam("record_id"), one_of(records.c.status, THERE)),
    pair(struct(Record), struct(ObjectType)),
)
_is_there = exactly(accounts.c.status, AccountStatus.ACTIVE)
_ACCOUNT = Query(
    select(accounts.c.id).where(accounts.c.id == bindparam("account_id"), _is_there), scalar("id")
)
_LOCK_ACCOUNT = Query(
    select(accounts.c.id)
    .where(accounts.c.id == bindparam("account_id"), _is_there)
    .with_for_update(key_share=True),
    scalar("id"),
)
_LOCK_RECORDS = Query(
    select(records.c.id)
    .where(records.c.id == func.any(bindparam("ids", type_=ARRAY(Uuid))))
    .order_by(records.c.id)
    .with_for_update(key_share=True),
    scalar("id"),
)
_LOCK_ACCOUNTS = Query(
    select(accounts.c.id)
    .where(accounts.c.id == func.any(bindparam("ids", type_=ARRAY(Uuid))))
    .order_by(accounts.c.id)
    .with_for_update(key_share=True),
    scalar("id"),
)


async def record(ctx: Context, record_id: UUID) -> Shared:
    """Return a record as what is shared. Raises NotFound (`instance`)."""
    found = await _RECORD.first(ctx.tx, record_id=record_id)
    if found is None:
        raise NotFound("instance")
    it, its = found
    rules = SharingRules(
        its.allows_shares,
        its.requires_acceptance,
        its.sends_notifications,
        its.required_level,
        tuple(its.share_chain),
    )
    archived = it.status is RecordStatus.ARCHIVED
    return Shared(it.id, it.organization_id, it.owner_id, it.object_type_id, archived, rules)


async def account(ctx: Context, organization_id: UUID, account_id: UUID) -> Shared:
    """Return an account as what is shared, at an organization. Raises NotFound (`instance`)."""
    if await _ACCOUNT.first(ctx.tx, account_id=account_id) is None:
        raise NotFound("instance")
    return _account(organization_id, account_id)


def _account(organization_id: UUID, account_id: UUID) -> Shared:
    return Shared(account_id, organization_id, account_id, None, False, OF_ACCOUNTS)


async def lock(ctx: Context, shared: Shared) -> Shared:
    """Lock a record or an account before who may do what on it is changed; return it as it is then. Raises NotFound (`instance`)."""
    if shared.object_type_id is None:
        if await _LOCK_ACCOUNT.first(ctx.tx, account_id=shared.id) is None:
            raise NotFound("instance")
        return shared
    await record_queries.lock(ctx, shared.id)
    return await record(ctx, shared.id)


async def of(ctx: Context, share: Share) -> Shared:
    """Return what a share is of. Raises NotFound (`instance`), if it is not there any more."""
    if share.record_id is not None:
        return await record(ctx, share.record_id)
    return await account(ctx, share.organization_id, share.context_id)


async def lock_all(ctx: Context, ids: list[UUID]) -> None:
    """Lock several records and accounts, each kind in the order of their ids."""
    await _LOCK_ACCOUNTS.all(ctx.tx, ids=ids)
    await _LOCK_RECORDS.all(ctx.tx, ids=ids)


async def reach(ctx: Context, shared: Shared) -> Reach | None:
    """Return how much the actor may do on it now; None if nothing. One's own account needs no grant."""
    if ctx.actor.account_id is None:
        raise NotSignedIn
    if shared.object_type_id is None and shared.id == ctx.actor.account_id:
        return Reach(int(Level.DELETE), None, None)
    best = await best_of(ctx, ctx.actor.account_id, shared.resource)
    return None if best is None else Reach(int(best.level), best.by.grant_id, best.by.ends_at)
