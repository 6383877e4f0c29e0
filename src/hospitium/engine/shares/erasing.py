"""What goes of shares when the account they were with goes: the address and the name of their target."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Text, bindparam, case, cast, null, update

from hospitium.engine.shares.record import TargetForm, shares
from hospitium.storage.statements import Statement, exactly

if TYPE_CHECKING:
    from uuid import UUID

    from hospitium.engine.context import Context

_by_address = exactly(shares.c.target_form, TargetForm.EMAIL)
_FORGET_TARGET = Statement(
    update(shares)
    .where(shares.c.target_account_id == bindparam("of_account"))
    .values(
        target_email=case((_by_address, ""), else_=null()),
        target_email_key=case((_by_address, cast(shares.c.id, Text)), else_=null()),
        target_first_name=null(),
        target_last_name=null(),
    )
)


async def forget_target(ctx: Context, account_id: UUID) -> None:
    """Forget the address and name of the shares an account was the target of; that it was, and how they ended, stays."""
    await _FORGET_TARGET.run(ctx.tx, of_account=account_id)
