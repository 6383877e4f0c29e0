"""What goes of an invite when the account that accepted it goes: the address it was sent to, and the names that were given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Text, and_, bindparam, cast, literal_column, or_, update

from hospitium.engine.invites.record import InviteForm, invites
from hospitium.storage.statements import Statement, exactly

if TYPE_CHECKING:
    from uuid import UUID

    from hospitium.engine.context import Context

_FORGET_ADDRESS = Statement(
    update(invites)
    .where(
        exactly(invites.c.form, InviteForm.EMAIL),
        or_(
            invites.c.account_id == bindparam("of_account"),
            and_(invites.c.email_key == bindparam("of_address"), invites.c.ended_at.is_not(None)),
        ),
    )
    .values(
        email=literal_column("''"),
        email_key=cast(invites.c.id, Text),
        first_name=literal_column("''"),
        last_name=literal_column("''"),
    )
)


async def forget_address(ctx: Context, account_id: UUID, email_key: str) -> None:
    """Forget the address of the invites an account accepted, and of others to it that are over; that they were made stays."""
    await _FORGET_ADDRESS.run(ctx.tx, of_account=account_id, of_address=email_key)
