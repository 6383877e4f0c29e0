"""By which ids organizations' own applications know accounts (ruling 6): one for each organization an account is a member of.

None of them is the id, or looks like the address, of another account: who is named by these is nobody else.

Called by the actions of memberships and accounts, which have asked for their own permission and hold what they must.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
from sqlalchemy import bindparam, delete
from sqlalchemy.dialects.postgresql import insert

from hospitium.engine.accounts import queries
from hospitium.engine.accounts.emails import canonical_email
from hospitium.engine.accounts.record import account_external_ids
from hospitium.engine.errors import Invalid, NameTaken
from hospitium.engine.ids import parse_id
from hospitium.engine.text import line
from hospitium.storage.statements import Statement

if TYPE_CHECKING:
    from uuid import UUID

    from hospitium.engine.context import Context

_c = account_external_ids.c
_pair = [_c.organization_id, _c.account_id]
_giving = insert(account_external_ids).values(
    organization_id=bindparam("organization_id"),
    account_id=bindparam("account_id"),
    external_id=bindparam("external_id"),
)
_GIVE = Statement(
    _giving.on_conflict_do_update(
        index_elements=_pair,
        set_={"external_id": _giving.excluded.external_id},
        where=_c.external_id != _giving.excluded.external_id,
    )
)
_GIVE_FIRST = Statement(_giving.on_conflict_do_nothing(index_elements=_pair))
_TAKE_AWAY = Statement(
    delete(account_external_ids).where(
        _c.organization_id == bindparam("of_organization"), _c.account_id == bindparam("of_account")
    )
)
_TAKE_ALL_AWAY = Statement(delete(account_external_ids).where(_c.account_id == bindparam("of_account")))


async def give(
    ctx: Context, account_id: UUID, organization_id: UUID, external_id: str, *, only_the_first: bool = False
) -> bool:
    """Have an organization's applications know an account by an id, in place of the one before, or (`only_the_first`) if there is none.

    Return whether that is new. Raises Invalid, NameTaken (`externalId`: another account has it there, or it is the id or could be the
    address of another).
    """
    external_id = line("externalId", external_id)
    await _must_name_no_other(ctx, account_id, external_id)
    try:
        given = await (_GIVE_FIRST if only_the_first else _GIVE).run(
            ctx.tx,
            organization_id=organization_id,
            account_id=account_id,
            external_id=external_id,
        )
    except asyncpg.UniqueViolationError:
        raise NameTaken("externalId") from None
    return given > 0


async def take_away(ctx: Context, account_id: UUID, organization_id: UUID) -> bool:
    """Have an organization's applications know an account by no id; return whether they did."""
    return await _TAKE_AWAY.run(ctx.tx, of_account=account_id, of_organization=organization_id) > 0


async def take_all_away(ctx: Context, account_id: UUID) -> None:
    """Take away every id that any organization has for an account."""
    await _TAKE_ALL_AWAY.run(ctx.tx, of_account=account_id)


async def _must_name_no_other(ctx: Context, account_id: UUID, external_id: str) -> None:
    its_id, address = parse_id(external_id), _address(external_id)
    if its_id is None and address is None:
        return
    addresses = await queries.addresses(ctx, [account_id, its_id or account_id])
    is_anothers_id = its_id is not None and its_id != account_id and its_id in addresses
    # Whether anybody has the address, the refusal doesn't tell.
    if is_anothers_id or (address is not None and address != addresses.get(account_id)):
        raise NameTaken("externalId")


def _address(external_id: str) -> str | None:
    try:
        return canonical_email("externalId", external_id)
    except Invalid:
        return None
