"""What goes of an offer when the account that took it up goes: the address it was sent to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Text, bindparam, cast, update

from hospitium.engine.offers.record import offers
from hospitium.storage.statements import Statement

if TYPE_CHECKING:
    from uuid import UUID

    from hospitium.engine.context import Context

_FORGET_ADDRESS = Statement(
    update(offers)
    .where(offers.c.account_id == bindparam("of_account"))
    .values(email="", email_key=cast(offers.c.id, Text))
)


async def forget_address(ctx: Context, account_id: UUID) -> None:
    """Forget the address of the offers an account took up; that it did, and as what, stays."""
    await _FORGET_ADDRESS.run(ctx.tx, of_account=account_id)
