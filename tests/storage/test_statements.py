"""Statements are finished at import: what their readers take is compared with what they give, and values travel beside the SQL."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec
import pytest
from sqlalchemy import (
    Column,
    Integer,
    MetaData,
    Table,
    Text,
    bindparam,
    column,
    delete,
    func,
    literal,
    select,
    update,
)

from hospitium.storage.database import Database
from hospitium.storage.statements import (
    Query,
    Statement,
    exactly,
    insert_into,
    one_of,
    pair,
    scalar,
    struct,
    triple,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

houses = Table("houses", MetaData(), Column("id", Integer), Column("name", Text), Column("color", Text))


class Color(StrEnum):
    RED = "red"
    BLUE = "blue"


class House(msgspec.Struct, frozen=True):
    id: int
    name: str
    color: Color | None


class Name(msgspec.Struct, frozen=True):
    name: str


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = await Database.open(database_url, size=2)
    async with opened.transaction() as tx:
        await tx.execute("CREATE TABLE houses (id integer, name text, color text)")
        await tx.execute("INSERT INTO houses VALUES (1, 'north', 'red'), (2, 'lake', NULL)")
    yield opened
    await opened.close()


ALL = Query(select(houses).order_by(houses.c.id), struct(House))
BY_ID = Query(select(houses).where(houses.c.id == bindparam("house_id")), struct(House))


async def test_rows_become_structs_and_text_becomes_the_fields_enum(database: Database) -> None:
    async with database.transaction() as tx:
        found = await ALL.all(tx)
        one = await BY_ID.first(tx, house_id=2)
        none = await BY_ID.first(tx, house_id=3)
    assert found == [House(1, "north", Color.RED), House(2, "lake", None)]
    assert isinstance(found[0].color, Color)
    assert (one, none) == (House(2, "lake", None), None)


async def test_a_word_the_enum_does_not_know_is_not_passed_on(database: Database) -> None:
    async with database.transaction() as tx:
        await tx.execute("INSERT INTO houses VALUES (3, 'odd', 'mauve')")
        with pytest.raises(ValueError, match="mauve"):
            await ALL.all(tx)


async def test_values_that_stand_side_by_side_are_read_apart(database: Database) -> None:
    numbered = Query(
        select(houses.c.id, houses.c.name, houses.c.color, houses.c.name.label("other__name")).order_by(
            houses.c.id
        ),
        pair(struct(House), struct(Name)),
    )
    counted = Query(
        select(houses.c.name, houses.c.id, func.count().over().label("total")).order_by(houses.c.id),
        triple(struct(Name), scalar("id"), scalar("total")),
    )
    async with database.transaction() as tx:
        assert await numbered.first(tx) == (House(1, "north", Color.RED), Name("north"))
        assert await counted.all(tx) == [(Name("north"), 1, 2), (Name("lake"), 2, 2)]


@pytest.mark.parametrize(
    "statement",
    [select(houses.c.id, houses.c.name), select(houses.c.name, houses.c.id, houses.c.color), select(houses, literal(1).label("more"))],
    ids=["one too few", "in another order", "one too many"],
)  # fmt: skip
def test_a_reader_that_does_not_fit_is_refused_at_import(statement) -> None:
    with pytest.raises(TypeError, match="its reader takes"):
        Query(statement, struct(House))


async def test_a_statement_says_how_many_rows_it_touched(database: Database) -> None:
    paint = Statement(
        update(houses).where(houses.c.id >= bindparam("least")).values(color=bindparam("with_color"))
    )
    raze = Statement(delete(houses).where(houses.c.id == bindparam("house_id")))
    build = Statement(insert_into(houses, "id", "name"))
    async with database.transaction() as tx:
        assert await paint.run(tx, least=1, with_color="blue") == 2
        assert await paint.run(tx, least=9, with_color="blue") == 0
        assert await raze.run(tx, house_id=1) == 1
        assert await build.run(tx, id=4, name="harbor") == 1
        assert [house.id for house in await ALL.all(tx)] == [2, 4]


async def test_a_parameter_that_is_not_given_is_an_error_and_not_a_null(database: Database) -> None:
    async with database.transaction() as tx:
        with pytest.raises(KeyError, match="house_id"):
            await BY_ID.first(tx)


async def test_values_never_become_sql(database: Database) -> None:
    named = Query(select(houses).where(houses.c.name == bindparam("name")), struct(House))
    async with database.transaction() as tx:
        assert await named.all(tx, name="x' OR 'a' = 'a") == []
        assert await named.all(tx, name="$1; DROP TABLE houses; --") == []
        assert len(await ALL.all(tx)) == 2


def test_words_of_our_own_are_spelled_out_so_that_partial_indexes_fit() -> None:
    assert str(exactly(column("status"), "active")) == "status = 'active'"
    sql = Statement(select(houses.c.id).where(one_of(houses.c.color, ["blue", "red"]))).sql
    assert "IN ('blue', 'red')" in sql
    assert "$" not in sql
