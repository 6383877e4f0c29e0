"""Which accounts. An account is seen by itself (through its session) and by the operator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Text, Uuid, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from hospitium.engine import events
from hospitium.engine.accounts.emails import canonical_email
from hospitium.engine.accounts.record import ACCOUNT_COLUMNS, Account, AccountStatus, accounts
from hospitium.engine.errors import NotFound, NotSignedIn
from hospitium.engine.permissions import Permission, require
from hospitium.engine.secrets import HashedPassword
from hospitium.storage.statements import Query, pair, scalar, struct

if TYPE_CHECKING:
    from uuid import UUID

    from hospitium.engine.context import Context

_c = accounts.c
_KEPT_PASSWORD = Query(
    select(_c.id, _c.password_hash).where(_c.email_key == bindparam("email_key")),
    pair(scalar("id"), scalar("password_hash")),
)
_BY_EMAIL = Query(select(*ACCOUNT_COLUMNS).where(_c.email_key == bindparam("email_key")), struct(Account))
_BY_ID = Query(select(*ACCOUNT_COLUMNS).where(_c.id == bindparam("account_id")), struct(Account))
_LOCK = Query(
    select(*ACCOUNT_COLUMNS, _c.password_hash).where(_c.id == bindparam("account_id")).with_for_update(),
    pair(struct(Account), scalar("password_hash")),
)
_HOLD = Query(
    select(_c.id)
    .where(_c.id == bindparam("account_id"), _c.status != AccountStatus.DELETED.value)
    .with_for_update(read=True),
    scalar("id"),
)
_HOLD_ALL = Query(
    select(*ACCOUNT_COLUMNS)
    .where(
        _c.id == func.any(bindparam("account_ids", type_=ARRAY(Uuid))),
        _c.status != AccountStatus.DELETED.value,
    )
    .order_by(_c.id)
    .with_for_update(read=True),
    struct(Account),
)
_KEPT_PASSWORD_OF = Query(
    select(_c.id, _c.password_hash).where(_c.id == bindparam("account_id")),
    pair(scalar("id"), scalar("password_hash")),
)
_ALL = Query(
    select(*ACCOUNT_COLUMNS)
    .where(_c.email_key > bindparam("after"), _c.status != AccountStatus.DELETED.value)
    .order_by(_c.email_key)
    .limit(bindparam("limit")),
    struct(Account),
)
_ADDRESSES = Query(
    select(_c.id, _c.email_key).where(_c.id == func.any(bindparam("account_ids", type_=ARRAY(Uuid)))),
    pair(scalar("id"), scalar("email_key")),
)
_IDS_BY_EMAIL = Query(
    select(_c.email_key, _c.id).where(_c.email_key == func.any(bindparam("keys", type_=ARRAY(Text)))),
    pair(scalar("email_key"), scalar("id")),
)


async def kept_password(ctx: Context, email_key: str) -> tuple[UUID, HashedPassword] | None:
    """Return the account of an address and the hash its password must fit; for signing in, before anybody is known."""
    found = await _KEPT_PASSWORD.first(ctx.tx, email_key=email_key)
    return None if found is None else (found[0], HashedPassword(found[1]))


async def kept_password_of(ctx: Context, account_id: UUID | None) -> tuple[UUID, HashedPassword] | None:
    """Return an account's id and the hash its password must fit; None for nobody."""
    found = await _KEPT_PASSWORD_OF.first(ctx.tx, account_id=account_id)
    return None if found is None else (found[0], HashedPassword(found[1]))


async def lock(ctx: Context, account_id: UUID) -> tuple[Account, HashedPassword]:
    """Lock an account until this transaction ends; return it with its password's hash. Raises NotFound."""
    found = await _LOCK.first(ctx.tx, account_id=account_id)
    if found is None:
        raise NotFound("account")
    return found[0], HashedPassword(found[1])


async def hold(ctx: Context, account_id: UUID) -> UUID | None:
    """Keep an account from being deleted until this transaction ends; None if it is deleted already."""
    found: UUID | None = await _HOLD.first(ctx.tx, account_id=account_id)
    return found


async def hold_all(ctx: Context, account_ids: list[UUID]) -> list[Account]:
    """Keep some accounts from being deleted, and from changing, until this transaction ends; return those that are there."""
    return await _HOLD_ALL.all(ctx.tx, account_ids=account_ids)


async def find(ctx: Context, email_key: str) -> Account | None:
    """Return the account of an address, if there is one. For what answers the same in either case."""
    return await _BY_EMAIL.first(ctx.tx, email_key=email_key)


async def by_address(ctx: Context, email: str) -> Account | None:
    """Return the account of an address as it is written, if there is one. For whoever holds a link sent there."""
    return await find(ctx, canonical_email("email", email))


async def by_id(ctx: Context, account_id: UUID) -> Account:
    """Return an account; NotFound otherwise. For itself, and for mails to it."""
    found = await _BY_ID.first(ctx.tx, account_id=account_id)
    if found is None:
        raise NotFound("account")
    return found


async def by_email(ctx: Context, email_key: str) -> Account:
    """Return the account of an address; NotFound otherwise. For the operator."""
    found = await _BY_EMAIL.first(ctx.tx, email_key=email_key)
    if found is None:
        raise NotFound("account")
    return found


async def own_trail(ctx: Context, after: UUID | None, most: int) -> list[events.Event]:
    """Return a page of the trail of the actor's own account, the newest first. Raises NotFound (`after` is not in it)."""
    require(ctx.actor, Permission.SEE_ACCOUNT)
    if ctx.actor.account_id is None:
        raise NotSignedIn
    return await events.newest(ctx, ctx.actor.account_id, after, most)


async def all_after(ctx: Context, email_key: str, limit: int) -> list[Account]:
    """Return accounts in the order of their addresses, after one of them. For the operator."""
    return await _ALL.all(ctx.tx, after=email_key, limit=limit)


async def ids_by_email(ctx: Context, keys: list[str]) -> dict[str, UUID]:
    """Return the ids of those accounts that exist among some addresses. For the world loader."""
    return dict(await _IDS_BY_EMAIL.all(ctx.tx, keys=keys))


async def addresses(ctx: Context, account_ids: list[UUID]) -> dict[UUID, str]:
    """Return those of some ids that are or were accounts', each with the address, as it is compared."""
    return dict(await _ADDRESSES.all(ctx.tx, account_ids=account_ids))
