"""What a restore does to accounts: what a trail says was taken from them since the backup is taken again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, update

from hospitium.engine import events
from hospitium.engine.accounts import actions, queries
from hospitium.engine.accounts.life import erase
from hospitium.engine.accounts.record import AccountStatus, accounts
from hospitium.engine.errors import NotFound, WrongState
from hospitium.engine.events import EventKind
from hospitium.storage.statements import Query, scalar

if TYPE_CHECKING:
    from uuid import UUID

    from hospitium.engine.context import Context
    from hospitium.engine.secrets import HashedPassword

_VOID_PASSWORD = Query(
    update(accounts)
    .where(accounts.c.id == bindparam("account_id"), accounts.c.status != AccountStatus.DELETED.value)
    .values(password_hash=bindparam("new_hash"))
    .returning(accounts.c.id),
    scalar("id"),
)


async def disable_again(ctx: Context, account_id: UUID) -> None:
    """Disable an account. Raises NotFound, WrongState (it is disabled already, or deleted)."""
    account = await queries.by_id(ctx, account_id)
    if account.status is not AccountStatus.ACTIVE:
        raise WrongState(f"The account is {account.status} already")
    await actions.disable(ctx, account.email)


async def erase_again(ctx: Context, account_id: UUID) -> None:
    """Delete an account: its name, address and password go. Raises NotFound, WrongState (it is deleted already)."""
    account = await queries.by_id(ctx, account_id)
    if account.status is AccountStatus.DELETED:
        raise WrongState("The account is deleted already")
    # It may be disabled: in the backup, or because its address was changed since.
    await erase(ctx, account, "account_deleted", EventKind.ACCOUNT_DELETED, even_disabled=True)


async def void_password(ctx: Context, account_id: UUID, nobodys: HashedPassword) -> None:
    """Give an account a password that nobody knows: the one it had in the backup was changed since. Raises NotFound.

    Its holder sets a new one by the link that is sent to its mailbox.
    """
    if await _VOID_PASSWORD.first(ctx.tx, account_id=account_id, new_hash=nobodys.reveal()) is None:
        raise NotFound("account")
    await events.record(
        ctx, EventKind.ACCOUNT_PASSWORD_VOIDED, subject=("account", account_id), accounts=[account_id]
    )
