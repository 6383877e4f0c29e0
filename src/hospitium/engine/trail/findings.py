"""What a proof can find wrong, each in a sentence that names it."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from hospitium.engine.trail.hashing import hash_of_block
from hospitium.engine.trail.record import HASH_LENGTH
from hospitium.engine.trail.signing import is_signed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hospitium.engine.trail.lines import Head
    from hospitium.engine.trail.record import Block

MOST = 20
"""Where everything is wrong, the first few say so."""


class Fault(StrEnum):
    EVENT_CHANGED = "event_changed"
    EVENT_MISSING = "event_missing"
    EVENT_INSERTED = "event_inserted"
    NUMBER_MISSING = "number_missing"
    NUMBER_TWICE = "number_twice"
    NUMBER_IN_NO_BLOCK = "number_in_no_block"
    PARTY_INSERTED = "party_inserted"
    BLOCK_MISSING = "block_missing"
    BLOCK_CHANGED = "block_changed"
    BLOCK_NOT_CHAINED = "block_not_chained"
    BLOCK_NOT_SIGNED = "block_not_signed"
    HEAD_NOT_SIGNED = "head_not_signed"
    HEAD_NOT_THERE = "head_not_there"
    LINE_UNREADABLE = "line_unreadable"


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that is not as it was sealed: what, and which number, block or event."""

    fault: Fault
    sentence: str
    number: int | None = None
    block: int | None = None
    event_id: str | None = None


class Findings:
    """What was found, up to a few."""

    def __init__(self) -> None:
        self.all: list[Finding] = []

    @property
    def are_enough(self) -> bool:
        return len(self.all) >= MOST

    def add(
        self,
        fault: Fault,
        sentence: str,
        *,
        number: int | None = None,
        block: int | None = None,
        event_id: str | None = None,
    ) -> None:
        """Keep a finding, if there is still room."""
        if not self.are_enough:
            self.all.append(Finding(fault, sentence, number, block, event_id))


def judge_block(findings: Findings, block: Block, public: bytes | None) -> None:
    """Find what is wrong with a block by itself: its hash, its signature."""
    if (
        len(block.hashes) != HASH_LENGTH * (block.last_number - block.first_number + 1)
        or hash_of_block(block) != block.hash
    ):
        findings.add(Fault.BLOCK_CHANGED, f"Block {block.number} is not what was sealed.", block=block.number)
    if public is None:
        findings.add(
            Fault.BLOCK_NOT_SIGNED,
            f"Block {block.number} names the key seals-{block.key_number}, which is not in the ring.",
            block=block.number,
        )
    elif not is_signed(public, block.hash, block.signature):
        findings.add(
            Fault.BLOCK_NOT_SIGNED,
            f"Block {block.number} is not signed by the key seals-{block.key_number}.",
            block=block.number,
        )


def judge_chain(findings: Findings, block: Block, before: tuple[int, int, bytes]) -> None:
    """Find what is wrong between a block and the number, last number and hash of the one before."""
    number, last_number, previous_hash = before
    if block.number != number + 1:
        missing = named("Block", "Blocks", number + 1, block.number - 1)
        findings.add(Fault.BLOCK_MISSING, f"{missing} missing.", block=number + 1)
    elif block.previous_hash != previous_hash or block.first_number != last_number + 1:
        findings.add(
            Fault.BLOCK_NOT_CHAINED,
            f"Block {block.number} does not go on where block {number} ends.",
            block=block.number,
        )


def judge_head(findings: Findings, head: Head, found: Block | None, public: bytes | None) -> None:
    """Find what is wrong between a head that was kept elsewhere and the block of its number, if there is one."""
    if not head.is_signed() or (public is not None and public.hex() != head.public_key):
        findings.add(
            Fault.HEAD_NOT_SIGNED,
            f"The head is not signed by the key seals-{head.key_number} that this server knows.",
            block=head.block,
        )
    if found is None:
        findings.add(
            Fault.HEAD_NOT_THERE,
            f"Block {head.block}, which the head names, is not in the trail: its end was cut off.",
            block=head.block,
        )
    elif found.hash.hex() != head.hash:
        findings.add(
            Fault.HEAD_NOT_THERE,
            f"Block {head.block} is not the one the head names: the trail was sealed anew.",
            block=head.block,
        )


def missing_numbers(findings: Findings, first: int, last: int, retired: list[tuple[int, int]]) -> None:
    """Name the numbers from first to last, but those that were retired."""
    for start, end in _without(first, last, retired):
        missing = named("The event with number", "The events with the numbers", start, end)
        findings.add(Fault.NUMBER_MISSING, f"{missing} missing.", number=start)


def _without(first: int, last: int, retired: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    for start, end in retired:
        if end < first or start > last:
            continue
        if start > first:
            yield first, start - 1
        first = end + 1
    if first <= last:
        yield first, last


def named(one: str, several: str, first: int, last: int) -> str:
    """Return one number or a range of them as the beginning of a sentence, with its verb."""
    return f"{one} {first} is" if first == last else f"{several} {first} to {last} are"
