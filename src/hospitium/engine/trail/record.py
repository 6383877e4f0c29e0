"""What is always true of the sealed trail (docs/decisions/0012).

Events can't be changed, so their numbers stand beside them: `event_seals`. A block holds the hashes of the events it
seals, over the hash of the block before, and is signed. Blocks stay when the events of a month are retired.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Integer,
    LargeBinary,
    Table,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP

from hospitium.storage.tables import metadata

MOST_IN_A_BLOCK = 1_000
HASH_LENGTH = 32

event_seals = Table(
    "event_seals",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("at", TIMESTAMP(timezone=True), primary_key=True),
    Column("event_id", Uuid, nullable=False),
    UniqueConstraint("event_id", "at"),
    postgresql_partition_by="RANGE (at)",
)

blocks = Table(
    "blocks",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    # Which cluster's transactions these are: in another one their ids may begin anew.
    Column("cluster", BigInteger, nullable=False),
    Column("first_number", BigInteger, nullable=False),
    Column("last_number", BigInteger, nullable=False),
    # Every event up to here, by transaction and position, is sealed in this block or before.
    Column("reached_transaction", BigInteger, nullable=False),
    Column("reached_position", BigInteger, nullable=False),
    # Which numbers this block retires: first, last, first, last, …
    Column("retired", ARRAY(BigInteger), nullable=False, server_default=text("'{}'")),
    Column("hashes", LargeBinary, nullable=False),
    Column("previous_hash", LargeBinary, nullable=False),
    Column("sealed_at", TIMESTAMP(timezone=True), nullable=False),
    Column("key_number", Integer, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("signature", LargeBinary, nullable=False),
    CheckConstraint("number >= 1", name="number"),
    CheckConstraint("first_number >= 1", name="first_number"),
    CheckConstraint("octet_length(hashes) = 32 * (last_number - first_number + 1)", name="a_hash_for_each"),
)


class Reached(NamedTuple):
    """A place in the order in which events are sealed."""

    transaction: int
    position: int


class Block(msgspec.Struct, frozen=True):
    """The hashes of a run of events, chained to the block before and signed. The first and any that retires is empty."""

    number: int
    cluster: int
    first_number: int
    last_number: int
    reached_transaction: int
    reached_position: int
    retired: list[int]
    hashes: bytes
    previous_hash: bytes
    sealed_at: str
    key_number: int
    hash: bytes
    signature: bytes

    @property
    def reached(self) -> Reached:
        return Reached(self.reached_transaction, self.reached_position)

    def hash_of(self, number: int) -> bytes:
        """Return the hash it holds of an event by its number; empty if it isn't in here."""
        if not self.first_number <= number <= self.last_number:
            return b""
        start = (number - self.first_number) * HASH_LENGTH
        return self.hashes[start : start + HASH_LENGTH]

    def retired_ranges(self) -> list[tuple[int, int]]:
        """Return the first and last number of each range it retires."""
        return list(zip(self.retired[::2], self.retired[1::2], strict=False))


class TrailEvent(msgspec.Struct, frozen=True):
    """An event with its parties, in the words its hash is made of: every value as text, as the database prints it."""

    id: str
    at: str
    position: int
    transaction: int
    kind: str
    actor_kind: str
    actor_account_id: str | None
    actor_organization_id: str | None
    actor_session_id: str | None
    subject_kind: str
    subject_id: str | None
    data: str
    parties: list[list[str]]
