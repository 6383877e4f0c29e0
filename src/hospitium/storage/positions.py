"""Where a write stands, and whether a database has it: so that a read at a streaming replica can wait for a write at the primary.

A position is the id of the transaction that wrote, and a mark of the cluster it ran in, because elsewhere the same id is another
transaction. A database has it when that transaction is visible there; a replica that replays says so as well as a primary.
"""

from __future__ import annotations

import hashlib
from contextvars import ContextVar
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from hospitium.storage.database import Transaction

_MARK = 4  # bytes
_WRITTEN = "SELECT pg_current_xact_id_if_assigned()::text"
_CLUSTER = "SELECT system_identifier::text FROM pg_control_system()"
_IS_VISIBLE = "SELECT pg_visible_in_snapshot($1::text::xid8, pg_current_snapshot())"


class Position(NamedTuple):
    """A write: the mark of the cluster it was made in, and its transaction."""

    mark: bytes
    transaction: int

    def packed(self) -> bytes:
        """Return it as 12 bytes."""
        return self.mark + self.transaction.to_bytes(8)

    @classmethod
    def unpacked(cls, packed: bytes) -> Position:
        """Return the position that `packed` gave these bytes for."""
        return cls(packed[:_MARK], int.from_bytes(packed[_MARK:]))


class Positions:
    """The positions of one database, whose cluster has a mark that is asked for once."""

    def __init__(self) -> None:
        self._mark: bytes | None = None

    async def mark(self, tx: Transaction) -> bytes:
        """Return the mark of the database's cluster."""
        if self._mark is None:
            cluster = await tx.fetchval(_CLUSTER)
            self._mark = hashlib.sha256(cluster.encode()).digest()[:_MARK]
        return self._mark

    async def written(self, tx: Transaction) -> Position | None:
        """Return the position of what a transaction has written so far; None if it wrote nothing."""
        transaction: str | None = await tx.fetchval(_WRITTEN)
        return None if transaction is None else Position(await self.mark(tx), int(transaction))

    async def has(self, tx: Transaction, position: Position) -> bool:
        """Whether the database has a write of its own cluster, so that every statement from now on sees it."""
        return bool(await tx.fetchval(_IS_VISIBLE, str(position.transaction)))


class Noted:
    """What a request has written, as far as is known: the last of its transactions that wrote. `only_reads`: by its method."""

    def __init__(self, positions: Positions, *, only_reads: bool) -> None:
        self._positions = positions
        self.only_reads = only_reads
        self.position: Position | None = None

    async def note(self, tx: Transaction) -> None:
        """Note what a transaction wrote that is about to be committed; one that only read changes nothing here."""
        self.position = await self._positions.written(tx) or self.position


NOTED: ContextVar[Noted | None] = ContextVar("noted", default=None)
"""Where what this request writes is noted; None where nobody wants to know."""
