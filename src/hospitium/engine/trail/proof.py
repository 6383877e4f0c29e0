"""Is the trail what was sealed? Everything is computed again from the rows, a few at a time in memory.

An event that was changed, deleted, put elsewhere or inserted is found by its hash, its number or the lack of one; a
block, by its hash, its signature and the block after it. What only somebody else can know, that the end was cut off or
all of it was sealed anew with the key, is found by a head kept elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hospitium.engine.permissions import Permission, require
from hospitium.engine.trail import queries
from hospitium.engine.trail.findings import (
    Fault,
    Finding,
    Findings,
    judge_block,
    judge_chain,
    judge_head,
    missing_numbers,
)
from hospitium.engine.trail.hashing import hash_of_event
from hospitium.engine.trail.record import Block, Reached
from hospitium.engine.trail.sealer import BEGINNING, NOTHING_BEFORE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from hospitium.engine.context import Context
    from hospitium.engine.trail.lines import Head
    from hospitium.engine.trail.queries import Seal
    from hospitium.engine.trail.record import TrailEvent
    from hospitium.engine.trail.signing import SealKeys
    from hospitium.storage.database import Transaction


class Proof(msgspec.Struct, frozen=True):
    """What was looked at, and what is wrong with it; nothing, if `found` is empty."""

    blocks: int
    last_number: int
    events: int
    retired: int
    unsealed: int
    found: list[Finding]


async def prove(ctx: Context, keys: SealKeys, head: Head | None = None) -> Proof:
    """Compute the whole trail again and compare. Reads one snapshot; must come first in its transaction."""
    require(ctx.actor, Permission.PROVE_TRAIL)
    await ctx.tx.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    walk = _Walk(ctx.tx, keys, head)
    await walk.through_the_blocks()
    unsealed = await _events_without_a_seal(ctx.tx, walk)
    async for stray in queries.STRAYS.each(ctx.tx):
        if walk.findings.are_enough:
            break
        walk.findings.add(
            Fault.PARTY_INSERTED,
            f"The trail of {stray.party_id} names the event {stray.event_id}, which is not there.",
            event_id=stray.event_id,
        )
    return Proof(
        walk.number, walk.last_number, walk.events, walk.retired_numbers(), unsealed, walk.findings.all
    )


class _Walk:
    """Goes along the blocks, and along the numbered events beside them."""

    def __init__(self, tx: Transaction, keys: SealKeys, head: Head | None) -> None:
        self._tx = tx
        self._keys = keys
        self._head = head
        self._rows: AsyncIterator[tuple[Seal, TrailEvent]] = queries.SEALED.each(tx)
        self._row: tuple[Seal, TrailEvent] | None = None
        self._retired: list[tuple[int, int]] = []
        self.findings = Findings()
        self.number = 0
        self.last_number = 0
        self.events = 0
        self.cluster: int | None = None
        self.reached = BEGINNING

    async def through_the_blocks(self) -> None:
        """Look at every block and every number."""
        for retired in await queries.RETIREMENTS.all(self._tx):
            self._retired += zip(retired[::2], retired[1::2], strict=False)
        self._retired.sort()
        previous_hash, of_the_head = NOTHING_BEFORE, None
        await self._step()
        async for block in queries.BLOCKS.each(self._tx):
            judge_chain(self.findings, block, (self.number, self.last_number, previous_hash))
            judge_block(self.findings, block, self._keys.public(block.key_number))
            if self._head is not None and block.number == self._head.block:
                of_the_head = block
            await self._along(block)
            self.number, self.last_number, previous_hash = block.number, block.last_number, block.hash
            self.cluster, self.reached = block.cluster, block.reached
            if self.findings.are_enough:
                return
        if self._head is not None:
            public = self._keys.public(self._head.key_number)
            judge_head(self.findings, self._head, of_the_head, public)
        while self._row is not None and not self.findings.are_enough:
            await self._not_in_a_block(self._row[0])

    async def _along(self, block: Block) -> None:
        expected = block.first_number
        while self._row is not None and self._row[0].number <= block.last_number:
            seal, event = self._row
            if self.findings.are_enough:
                return
            if self.last_number < seal.number < block.first_number:
                pass  # of a block that isn't there, which has been said
            elif seal.number < expected:
                self.findings.add(
                    Fault.NUMBER_TWICE,
                    f"The number {seal.number} stands more than once, now with the event {seal.event_id}.",
                    number=seal.number,
                    event_id=seal.event_id,
                )
            else:
                missing_numbers(self.findings, expected, seal.number - 1, self._retired)
                self._compare(block, seal, event)
                expected = seal.number + 1
            await self._step()
        missing_numbers(self.findings, expected, block.last_number, self._retired)

    def _compare(self, block: Block, seal: Seal, event: TrailEvent) -> None:
        if not seal.is_there:
            if not self._is_retired(seal.number):
                self.findings.add(
                    Fault.EVENT_MISSING,
                    f"The event {seal.event_id} with number {seal.number} is missing.",
                    number=seal.number,
                    event_id=seal.event_id,
                )
            return
        self.events += 1
        if hash_of_event(seal.number, event) != block.hash_of(seal.number):
            self.findings.add(
                Fault.EVENT_CHANGED,
                f"The event {seal.event_id} with number {seal.number} is not what was sealed.",
                number=seal.number,
                event_id=seal.event_id,
            )

    async def _not_in_a_block(self, seal: Seal) -> None:
        self.findings.add(
            Fault.NUMBER_IN_NO_BLOCK,
            f"The number {seal.number} of the event {seal.event_id} is in no block.",
            number=seal.number,
            event_id=seal.event_id,
        )
        await self._step()

    async def _step(self) -> None:
        self._row = await anext(self._rows, None)

    def _is_retired(self, number: int) -> bool:
        return any(first <= number <= last for first, last in self._retired)

    def retired_numbers(self) -> int:
        """How many numbers were retired."""
        return sum(last - first + 1 for first, last in self._retired)


async def _events_without_a_seal(tx: Transaction, walk: _Walk) -> int:
    """Count the events that wait for their seal; those that should have one, and those that nobody can have written
    yet, are found."""
    place = await queries.PLACE.first(tx)
    assert place is not None  # it is one row, always  # noqa: S101
    # In another cluster transaction ids begin anew: until the sealer has arrived there, they tell nothing.
    told = walk.cluster == place.cluster and walk.reached.transaction < place.transaction
    waiting = 0
    async for event in queries.UNSEALED.each(tx):
        if told and Reached(event.transaction, event.position) <= walk.reached:
            why = "has no number, though later ones do: it was inserted"
        elif told and not event.has_begun:
            why = "is of a transaction that has not been: it was inserted"
        else:
            waiting += 1
            continue
        walk.findings.add(Fault.EVENT_INSERTED, f"The event {event.event_id} {why}.", event_id=event.event_id)
    return waiting
