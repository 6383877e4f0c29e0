"""Are exported lines what was sealed? By themselves, far from any database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hospitium.engine.trail.findings import (
    Fault,
    Finding,
    Findings,
    judge_block,
    judge_chain,
    judge_head,
    named,
)
from hospitium.engine.trail.hashing import hash_of_event
from hospitium.engine.trail.lines import Line, read_line
from hospitium.engine.trail.record import MOST_IN_A_BLOCK

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hospitium.engine.trail.lines import BlockOfLine, Head
    from hospitium.engine.trail.record import Block


class LinesProof(msgspec.Struct, frozen=True):
    """What was read, and what is wrong with it; nothing, if `found` is empty.

    `left_out`: how many numbers between the first and the last are not in it, because a part was exported or months were
    retired. `public_keys`: whose signatures these are, by key; to be compared with what is known from elsewhere.
    """

    events: int
    first_number: int | None
    last_number: int | None
    left_out: int
    blocks: int
    public_keys: list[str]
    found: list[Finding]


def prove_lines(lines: Iterable[bytes], head: Head | None = None) -> LinesProof:
    """Compute the hashes of exported lines again, and compare with the signed blocks they carry.

    With a head, the block it names must be that one, and nothing else may hold its numbers. Every block must be signed by
    the head's key, or be linked, block by block, to a later one that is: the head can't know a key that came after it.
    """
    reading = _Reading(head)
    for place, text in enumerate(lines, start=1):
        if text.strip():
            reading.take(place, text)
        if reading.findings.are_enough:
            break
    return reading.end()


class _Reading:
    def __init__(self, head: Head | None) -> None:
        self._head = head
        self._without_block: list[Line] = []
        self._before: Block | None = None
        self._keys: dict[str, None] = {}
        self._blocks = 0
        self._events = 0
        self._first: int | None = None
        self._last: int | None = None
        self._head_was_met = False
        self._unvouched: list[int] = []  # blocks of other keys, each linked to the next
        self.findings = Findings()

    def take(self, place: int, text: bytes) -> None:
        """Read one line; with the last one of a block, judge all of it."""
        line = read_line(text)
        if line is None:
            self.findings.add(Fault.LINE_UNREADABLE, f"Line {place} is not a line of an exported trail.")
            return
        if self._last is not None and line.number <= self._last:
            self.findings.add(
                Fault.NUMBER_TWICE, f"Number {line.number} comes after {self._last}.", number=line.number
            )
        self._events += 1
        self._first = line.number if self._first is None else self._first
        self._last = line.number
        self._without_block.append(line)
        if line.block is not None:
            self._settle(line.block)
        elif len(self._without_block) >= MOST_IN_A_BLOCK:
            self._nothing_behind()

    def end(self) -> LinesProof:
        """Return what came of it."""
        self._nothing_behind()
        self._nothing_vouches()
        if self._head is not None and not self._head_was_met:
            self._judge_head_alone(self._head)
        span = 0 if self._first is None or self._last is None else self._last - self._first + 1
        return LinesProof(
            self._events, self._first, self._last, max(span - self._events, 0),
            self._blocks, list(self._keys), self.findings.all,
        )  # fmt: skip

    def _settle(self, carried: BlockOfLine) -> None:
        lines, self._without_block = self._without_block, []
        try:
            block, public = carried.block(), bytes.fromhex(carried.public_key)
        except ValueError:
            self.findings.add(
                Fault.BLOCK_CHANGED, f"Block {carried.number} is not what was sealed.", block=carried.number
            )
            return
        self._blocks += 1
        self._keys[carried.public_key] = None
        judge_block(self.findings, block, public)
        before, self._before = self._before, block
        follows = before is not None and block.number == before.number + 1
        if before is not None and follows:
            judge_chain(self.findings, block, (before.number, before.last_number, before.hash))
            follows = block.previous_hash == before.hash
        if self._head is not None:
            self._compare_with_head(self._head, block)
            self._vouch(self._head, block, public, follows=follows)
        for line in lines:
            self._compare(line, block)

    def _compare_with_head(self, head: Head, block: Block) -> None:
        if block.number == head.block:
            self._head_was_met = True
            judge_head(self.findings, head, block, None)
        elif block.first_number <= head.last_number and block.last_number >= head.first_number:
            self.findings.add(
                Fault.HEAD_NOT_THERE,
                f"Block {block.number} holds numbers of block {head.block}, which the head names: the trail was sealed anew.",
                block=block.number,
            )
        elif (block.number < head.block) != (block.first_number < head.first_number):
            self.findings.add(
                Fault.HEAD_NOT_THERE,
                f"Block {block.number} is on the wrong side of block {head.block}, which the head names: "
                "the trail was sealed anew.",
                block=block.number,
            )
        elif block.number == head.block + 1 and block.previous_hash.hex() != head.hash:
            self.findings.add(
                Fault.BLOCK_NOT_CHAINED,
                f"Block {block.number} does not go on where block {head.block}, which the head names, ends.",
                block=block.number,
            )

    def _vouch(self, head: Head, block: Block, public: bytes, *, follows: bool) -> None:
        """Settle who answers for a block. One that the head's key signed answers for those before it, by their hashes."""
        if not follows:
            self._nothing_vouches()
        if public.hex() == head.public_key:
            self._unvouched.clear()
        else:
            self._unvouched.append(block.number)

    def _nothing_vouches(self) -> None:
        if self._unvouched:
            first = self._unvouched[0]
            self.findings.add(
                Fault.BLOCK_NOT_SIGNED,
                f"{named('Block', 'Blocks', first, self._unvouched[-1])} not signed by the head's key, "
                "nor linked to a later one that is.",
                block=first,
            )
        self._unvouched.clear()

    def _judge_head_alone(self, head: Head) -> None:
        if not head.is_signed():
            self.findings.add(
                Fault.HEAD_NOT_SIGNED, "The head is not signed by the key it names.", block=head.block
            )

    def _compare(self, line: Line, block: Block) -> None:
        found = hash_of_event(line.number, line.event())
        if found != block.hash_of(line.number) or found.hex() != line.hash:
            self.findings.add(
                Fault.EVENT_CHANGED,
                f"The event {line.id} with number {line.number} is not what was sealed.",
                number=line.number,
                event_id=line.id,
            )

    def _nothing_behind(self) -> None:
        if self._without_block:
            first = self._without_block[0].number
            self.findings.add(
                Fault.NUMBER_IN_NO_BLOCK,
                f"The lines from number {first} on have no block behind them: the end is missing.",
                number=first,
            )
        self._without_block = []
