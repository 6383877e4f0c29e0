"""A lifecycle is a table of moves, and only the table writes a status.

Each move is one guarded `UPDATE … WHERE status IN (…) … RETURNING`: of two who try at once, one gets the row and the
other gets nothing, at any isolation level. Time is part of the guard, so a deadline holds whether or not a sweep has
run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from sqlalchemy import Table, Uuid, bindparam, func, update
from sqlalchemy.dialects.postgresql import ARRAY

from hospitium.storage.statements import Query, Reader, one_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from enum import StrEnum
    from uuid import UUID

    from sqlalchemy import ColumnElement

    from hospitium.engine.context import Context

T = TypeVar("T")


class Move(NamedTuple):
    """One thing that can happen: from where, to where, by whom, what it writes besides, and on which condition."""

    sources: frozenset[StrEnum]
    target: StrEnum
    by: StrEnum
    writes: Mapping[str, Any]
    guard: ColumnElement[bool] | None = None


class Lifecycle(Generic[T]):
    """The moves of one table. The row must have columns `id`, `status` and `version`."""

    def __init__(
        self, table: Table, reader: Reader[T], columns: Collection[Any], moves: Mapping[str, Move]
    ) -> None:
        self.moves = moves
        one = table.c.id == bindparam("row_id")
        several = table.c.id == func.any(bindparam("row_ids", type_=ARRAY(Uuid)))
        self._statements = {
            verb: Query(_guarded(table, one, move, columns), reader) for verb, move in moves.items()
        }
        self._of_several = {
            verb: Query(_guarded(table, several, move, columns), reader) for verb, move in moves.items()
        }

    async def move(self, ctx: Context, verb: str, row_id: UUID, **values: Any) -> T | None:
        """Make the move if it is open now; return the row as it is after, None if it wasn't open."""
        return await self._statements[verb].first(ctx.tx, row_id=row_id, now=ctx.now, **values)

    async def move_all(self, ctx: Context, verb: str, row_ids: Sequence[UUID], **values: Any) -> list[T]:
        """Make a move of those rows it is open to now; return them as they are after."""
        if not row_ids:
            return []
        return await self._of_several[verb].all(ctx.tx, row_ids=list(row_ids), now=ctx.now, **values)

    def is_open(self, verb: str, status: StrEnum) -> bool:
        """Whether the table has such a move from this status."""
        return status in self.moves[verb].sources


def _guarded(table: Table, which: ColumnElement[bool], move: Move, columns: Collection[Any]) -> Any:
    guard = one_of(table.c.status, sorted(move.sources))
    if move.guard is not None:
        guard &= move.guard
    return (
        update(table)
        # `IS true` keeps the guard off the indexes: the row is found by its id, not among all that are open to the move.
        .where(which, guard.is_(True))
        .values(status=move.target.value, version=table.c.version + 1, **move.writes)
        .returning(*columns)
    )
