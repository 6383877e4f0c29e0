"""A sealed trail of 1,001 events, made once and copied for each test that spoils it."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING

import asyncpg
import pytest

from cast import MovableClock
from conftest import TEMPLATE
from engine.ground import Ground
from engine.trail.sealing import KEYS, head_now, seal_all, unsealed, write
from hospitium.engine.trail.sealer import seal_next
from hospitium.storage.database import Database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from hospitium.engine.trail.lines import Head
    from hospitium.storage.embedded import EmbeddedPostgres

LENGTH = 1_001
BATCHES = 6


async def _make(url: str) -> Head:
    async with Ground.open(url, MovableClock()) as ground:
        await seal_all(ground)
        there = (await ground.rows("SELECT count(*) AS n FROM events"))[0]["n"]
        for batch in range(BATCHES):
            await write(ground, *range(there + batch, LENGTH, BATCHES))
            await seal_all(ground)
        assert not await unsealed(ground)
        assert await ground.does("system", seal_next, KEYS) is False
        return await head_now(ground)


@pytest.fixture(scope="session")
def sealed_template(cluster: EmbeddedPostgres) -> Iterator[tuple[str, Head]]:
    """The name of a database with the sealed trail, and its head."""
    name = f"sealed_{uuid.uuid4().hex}"

    async def administer(sql: str) -> None:
        connection = await asyncpg.connect(cluster.url("postgres"))
        try:
            await connection.execute(sql)
        finally:
            await connection.close()

    for attempt in range(50):
        try:
            asyncio.run(administer(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY FILE_COPY"))
            break
        except asyncpg.ObjectInUseError:  # another worker copies the template at this instant
            if attempt == 49:
                raise
    yield name, asyncio.run(_make(cluster.url(name)))
    asyncio.run(administer(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
def head(sealed_template: tuple[str, Head]) -> Head:
    """The head of the sealed trail, kept elsewhere."""
    return sealed_template[1]


@pytest.fixture
async def sealed(
    cluster: EmbeddedPostgres, sealed_template: tuple[str, Head]
) -> AsyncIterator[tuple[str, Ground]]:
    """The URL of a copy of the sealed trail, and a ground on it."""
    name = f"test_{uuid.uuid4().hex}"
    connection = await asyncpg.connect(cluster.url("postgres"))
    try:
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE {sealed_template[0]} STRATEGY FILE_COPY")
        url = cluster.url(name)
        database = await Database.open(url, size=4, patience=60)
        try:
            yield url, Ground(database, MovableClock(), None)  # type: ignore[arg-type]
        finally:
            await database.close()
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await connection.close()
