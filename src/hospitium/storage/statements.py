"""Statements are values: written with SQLAlchemy Core, compiled once at import, executed by asyncpg itself.

Compiling a statement and carrying rows through SQLAlchemy's connection costs several times what asyncpg needs to run
it (docs/decisions/0003), so a `Query` keeps the finished SQL and the order of its parameters, and turns each row
straight into a msgspec struct.
"""

from __future__ import annotations

import enum
import typing
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec
from sqlalchemy import bindparam, insert, literal_column
from sqlalchemy.dialects.postgresql import asyncpg as asyncpg_dialect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence

    from sqlalchemy import ColumnElement, Insert, Table
    from sqlalchemy.sql import ClauseElement

    from hospitium.storage.database import Transaction

T = TypeVar("T")
S = TypeVar("S", bound=msgspec.Struct)
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")

_DIALECT = asyncpg_dialect.dialect()  # type: ignore[no-untyped-call]
_REQUIRED = object()
_AT_A_TIME = 200  # rows
_A_DAY = 86_400.0  # seconds


class Reader(Generic[T]):
    """How a run of columns becomes a value: `names` of the columns, and a function of their values."""

    def __init__(self, names: Sequence[str], read: Callable[[Sequence[Any]], T]) -> None:
        self.names = tuple(names)
        self.read = read


def struct(cls: type[S]) -> Reader[S]:
    """Read a msgspec struct: one column a field, in the order of the fields; text becomes the field's enum."""
    hints = typing.get_type_hints(cls)
    names = cls.__struct_fields__
    enums = [(i, found) for i, name in enumerate(names) if (found := _enum_in(hints[name])) is not None]
    if not enums:
        return Reader(names, lambda values: cls(*values))

    def read(values: Sequence[Any]) -> S:
        fields = list(values)
        for index, kind in enums:
            if fields[index] is not None:
                fields[index] = kind(fields[index])
        return cls(*fields)

    return Reader(names, read)


def scalar(name: str) -> Reader[Any]:
    """Read one column as it is."""
    return Reader((name,), lambda values: values[0])


def pair(first: Reader[A], second: Reader[B]) -> Reader[tuple[A, B]]:
    """Read two values that stand side by side in a row."""
    cut = len(first.names)
    return Reader(
        first.names + second.names, lambda values: (first.read(values[:cut]), second.read(values[cut:]))
    )


def triple(first: Reader[A], second: Reader[B], third: Reader[C]) -> Reader[tuple[A, B, C]]:
    """Read three values that stand side by side in a row."""
    rest = pair(second, third)
    cut = len(first.names)
    return Reader(
        first.names + rest.names, lambda values: (first.read(values[:cut]), *rest.read(values[cut:]))
    )


class Statement:
    """Finished SQL and the order of its parameters."""

    def __init__(self, clause: ClauseElement) -> None:
        compiled = clause.compile(dialect=_DIALECT)
        self.sql = str(compiled)
        given = compiled.params
        binds = compiled.binds  # type: ignore[attr-defined]
        positions: list[str] | None = compiled.positiontup  # type: ignore[attr-defined]
        self._slots = tuple(
            (name, _REQUIRED if name in binds and binds[name].required else given[name])
            for name in (positions or ())
        )

    def _arguments(self, given: dict[str, Any]) -> list[Any]:
        return [given[name] if fixed is _REQUIRED else fixed for name, fixed in self._slots]

    async def run(self, tx: Transaction, /, **given: Any) -> int:
        """Execute; return how many rows it touched."""
        done = await tx.execute(self.sql, *self._arguments(given))
        return int(done.rpartition(" ")[2])


class Query(Statement, Generic[T]):
    """A statement whose rows become values of type T."""

    def __init__(self, clause: ClauseElement, reader: Reader[T]) -> None:
        super().__init__(clause)
        columns: Any = getattr(clause, "selected_columns", None)
        if columns is None:
            columns = clause.exported_columns  # type: ignore[attr-defined]
        names = tuple(column.key.rpartition("__")[2] for column in columns)
        if names != reader.names:
            raise TypeError(f"the statement gives {names}, its reader takes {reader.names}")
        self._read = reader.read

    async def first(self, tx: Transaction, /, **given: Any) -> T | None:
        """Execute; return the first row's value, None if there is no row."""
        row = await tx.fetchrow(self.sql, *self._arguments(given))
        return None if row is None else self._read(tuple(row))

    async def all(self, tx: Transaction, /, **given: Any) -> list[T]:
        """Execute; return the value of every row."""
        read = self._read
        return [read(tuple(row)) for row in await tx.fetch(self.sql, *self._arguments(given))]

    async def each(self, tx: Transaction, /, **given: Any) -> AsyncIterator[T]:
        """Execute; yield the value of every row, a few hundred in memory at a time. However long it takes."""
        read = self._read
        async for row in tx.cursor(self.sql, *self._arguments(given), prefetch=_AT_A_TIME, timeout=_A_DAY):
            yield read(tuple(row))


def exactly(column: ColumnElement[Any], value: str) -> ColumnElement[bool]:
    """Compare with a word of our own, spelled out in the SQL: only so does the planner see that a partial index fits."""
    return column == literal_column(f"'{value}'")


def one_of(column: ColumnElement[Any], values: Iterable[str]) -> ColumnElement[bool]:
    """Compare with several words of our own, as `exactly` does."""
    return column.in_([literal_column(f"'{value}'") for value in values])


def insert_into(table: Table, *names: str) -> Insert:
    """Return an INSERT of one row whose named columns are parameters of the same names."""
    return insert(table).values({name: bindparam(name, type_=table.c[name].type) for name in names})


def _enum_in(hint: Any) -> type[enum.Enum] | None:
    for part in (hint, *typing.get_args(hint)):
        if isinstance(part, type) and issubclass(part, enum.Enum):
            return part
    return None
