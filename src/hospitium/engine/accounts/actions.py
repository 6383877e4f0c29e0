"""What can happen to an account: one function each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
import msgspec
from sqlalchemy import bindparam, update

from hospitium.engine import events
from hospitium.engine.accounts import queries
from hospitium.engine.accounts.emails import canonical_email
from hospitium.engine.accounts.record import ACCOUNT_COLUMNS, Account, AccountStatus, Language, accounts
from hospitium.engine.errors import NameTaken, WrongState
from hospitium.engine.events import EventKind
from hospitium.engine.permissions import Permission, require
from hospitium.engine.records import queries as record_queries
from hospitium.engine.sessions import actions as sessions
from hospitium.engine.text import optional_line
from hospitium.storage.statements import Query, insert_into, struct

if TYPE_CHECKING:
    from uuid import UUID

    from hospitium.engine.context import Context
    from hospitium.engine.secrets import HashedPassword

_INSERT = Query(
    insert_into(accounts, *(column.key for column in accounts.c)).returning(*ACCOUNT_COLUMNS), struct(Account)
)
_SET_STATUS = Query(
    update(accounts)
    .where(accounts.c.id == bindparam("account_id"), accounts.c.status == bindparam("was"))
    .values(status=bindparam("becomes"))
    .returning(*ACCOUNT_COLUMNS),
    struct(Account),
)


class AccountForm(msgspec.Struct, frozen=True, kw_only=True):
    """What one writes down of an account."""

    email: str
    first_name: str | None = None
    middle_name: str | None = None
    last_name: str | None = None
    language: Language = Language.ENGLISH
    verified: bool = False


async def create(
    ctx: Context, form: AccountForm, password: HashedPassword, *, given_id: UUID | None = None
) -> Account:
    """Make an account. For the operator and the world loader. Raises Invalid, NameTaken."""
    require(ctx.actor, Permission.KEEP_ACCOUNTS)
    email_key = canonical_email("email", form.email)
    if given_id is not None and await record_queries.is_of_a_record(ctx, given_id):
        raise NameTaken("id")
    try:
        made = await _INSERT.first(
            ctx.tx,
            id=given_id or ctx.new_id(),
            email=form.email.strip(),
            email_key=email_key,
            password_hash=password.reveal(),
            first_name=optional_line("first_name", form.first_name),
            middle_name=optional_line("middle_name", form.middle_name),
            last_name=optional_line("last_name", form.last_name),
            language=form.language.value,
            status=AccountStatus.ACTIVE.value,
            self_registered=False,
            registered_with_id=None,
            verified_at=ctx.now if form.verified else None,
            created_at=ctx.now,
            ended_at=None,
        )
    except asyncpg.UniqueViolationError as taken:
        raise NameTaken("id" if "pkey" in str(taken.constraint_name) else "email") from None
    assert made is not None  # an INSERT … RETURNING without conflict clause has a row  # noqa: S101
    await events.record(ctx, EventKind.ACCOUNT_CREATED, subject=("account", made.id), accounts=[made.id])
    return made


async def disable(ctx: Context, email: str) -> Account:
    """Disable an account and end its sessions; its next request is refused. Raises NotFound, WrongState."""
    account = await _become(ctx, email, AccountStatus.ACTIVE, AccountStatus.DISABLED)
    await sessions.end_all_of(ctx, account.id, "account_disabled")
    await events.record(
        ctx, EventKind.ACCOUNT_DISABLED, subject=("account", account.id), accounts=[account.id]
    )
    return account


async def enable(ctx: Context, email: str) -> Account:
    """Enable a disabled account; its ended sessions stay ended. Raises NotFound, WrongState."""
    account = await _become(ctx, email, AccountStatus.DISABLED, AccountStatus.ACTIVE)
    await events.record(
        ctx, EventKind.ACCOUNT_ENABLED, subject=("account", account.id), accounts=[account.id]
    )
    return account


async def _become(ctx: Context, email: str, was: AccountStatus, becomes: AccountStatus) -> Account:
    require(ctx.actor, Permission.KEEP_ACCOUNTS)
    found = await queries.by_email(ctx, canonical_email("email", email))
    after = await _SET_STATUS.first(ctx.tx, account_id=found.id, was=was.value, becomes=becomes.value)
    if after is None:
        raise WrongState(f"The account is {found.status} already")
    return after
