"""The trail as lines, in order of the numbers: all that is sealed, or a part of it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from hospitium.engine.accounts import queries as accounts
from hospitium.engine.accounts.emails import canonical_email
from hospitium.engine.errors import WrongState
from hospitium.engine.organizations import queries as organizations
from hospitium.engine.permissions import Permission, require
from hospitium.engine.trail import queries
from hospitium.engine.trail.lines import Line, block_of_line, line_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from uuid import UUID

    from hospitium.engine.context import Context
    from hospitium.engine.trail.record import Block, TrailEvent
    from hospitium.engine.trail.signing import SealKeys

LAST_POSSIBLE = 2**63 - 1


class Selection(msgspec.Struct, frozen=True):
    """Which part of the trail: numbers; instants, of which `until` is the first one left out; and in whose trail."""

    first: int = 1
    last: int = LAST_POSSIBLE
    since: datetime | None = None
    until: datetime | None = None
    organization: str | None = None
    account: str | None = None


async def exported(ctx: Context, keys: SealKeys, wanted: Selection) -> AsyncGenerator[Line, None]:
    """Yield the lines of a part of the trail. Reads one snapshot; must come first in its transaction.

    Raises NotFound (the organization, the account), WrongState (a number without a block: the trail is not sound).
    """
    require(ctx.actor, Permission.PROVE_TRAIL)
    await ctx.tx.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    party_id = await _party(ctx, wanted)
    wanted = await within_reach(ctx, wanted)
    blocks = queries.BLOCKS_WITH.each(ctx.tx, first=wanted.first, last=wanted.last)
    block: Block | None = None
    held: tuple[int, TrailEvent] | None = None
    async for number, event in _chosen(ctx, wanted, party_id):
        if held is not None and block is not None:
            yield _line(block, held, keys, is_last=number > block.last_number)
        while block is None or number > block.last_number:
            block = await anext(blocks, None)
            if block is None:
                raise WrongState(
                    f"Number {number} is in no block: `hospitium audit verify` says what is wrong"
                )
        held = (number, event)
    if held is not None and block is not None:
        yield _line(block, held, keys, is_last=True)


async def within_reach(ctx: Context, wanted: Selection) -> Selection:
    """Narrow the numbers to those that the wanted instants reach, so that no more seals and blocks are read than needed."""
    if wanted.since is None and wanted.until is None:
        return wanted
    found = await queries.REACH.first(ctx.tx, **_range_of(wanted))
    assert found is not None  # an aggregate has a row, always  # noqa: S101
    first, last = found
    return msgspec.structs.replace(wanted, first=first or 1, last=last or 0)


async def _party(ctx: Context, wanted: Selection) -> UUID | None:
    if wanted.organization is not None:
        return (await organizations.by_code(ctx, wanted.organization)).id
    if wanted.account is not None:
        return (await accounts.by_email(ctx, canonical_email("account", wanted.account))).id
    return None


async def _chosen(
    ctx: Context, wanted: Selection, party_id: UUID | None
) -> AsyncIterator[tuple[int, TrailEvent]]:
    values = _range_of(wanted)
    if party_id is None:
        rows = queries.CHOSEN.each(ctx.tx, **values)
    else:
        rows = queries.CHOSEN_OF_PARTY.each(ctx.tx, party_id=party_id, **values)
    async for seal, event in rows:
        yield seal.number, event


def _range_of(wanted: Selection) -> dict[str, Any]:
    return {"first": wanted.first, "last": wanted.last, "since": wanted.since, "until": wanted.until}


def _line(block: Block, held: tuple[int, TrailEvent], keys: SealKeys, *, is_last: bool) -> Line:
    number, event = held
    carried = block_of_line(block, keys) if is_last else None
    return line_of(number, event, block.hash_of(number), carried)
