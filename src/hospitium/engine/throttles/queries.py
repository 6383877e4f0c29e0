"""Which networks an account is known to sign in from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import LargeBinary, bindparam, literal_column, select

from hospitium.engine.throttles.record import familiar_networks
from hospitium.storage.statements import Query, scalar

if TYPE_CHECKING:
    from uuid import UUID

    from hospitium.engine.context import Context

_IS_FAMILIAR = Query(
    select(literal_column("true").label("found")).where(
        familiar_networks.c.account_id == bindparam("account_id"),
        familiar_networks.c.network == bindparam("network", type_=LargeBinary),
    ),
    scalar("found"),
)


async def is_familiar(ctx: Context, account_id: UUID | None, network: bytes) -> bool:
    """Whether an account (None: nobody's) was signed in to from a network lately."""
    return bool(await _IS_FAMILIAR.first(ctx.tx, account_id=account_id, network=network))
