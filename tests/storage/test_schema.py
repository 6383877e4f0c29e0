"""The schema is what the tables in the source say, and a server stands on that one or not at all."""

from __future__ import annotations

import asyncio
import importlib
import pkgutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

import hospitium.engine
from hospitium.storage import schema
from hospitium.storage.database import Database
from hospitium.storage.schema import SCHEMA, WrongSchema, migrate, require_schema
from hospitium.storage.tables import metadata

if TYPE_CHECKING:
    from sqlalchemy import Connection


# Made by the migration, and spoken to in SQL of its own: no noun of the engine has them.
WITHOUT_A_NOUN = {"alembic_version", "known_keys", "events_other", "event_parties_other", "event_seals_other"}


async def inspected(url: str, look: Any) -> Any:
    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=lambda: asyncpg.connect(url), poolclass=NullPool
    )
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(look)
    finally:
        await engine.dispose()


async def tables_of(url: str) -> set[str]:
    connection = await asyncpg.connect(url)
    try:
        return {
            row[0]
            for row in await connection.fetch(
                "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            )
        }
    finally:
        await connection.close()


def every_table() -> None:
    for found in pkgutil.walk_packages(hospitium.engine.__path__, "hospitium.engine."):
        importlib.import_module(found.name)


def _is_ours(name: str | None, kind: str, parent: Any) -> bool:
    if kind == "table":
        return name not in WITHOUT_A_NOUN and "_20" not in str(name)  # partitions are named by month
    return True


async def test_the_migrations_make_what_the_tables_say(database_url: str) -> None:
    every_table()

    def compare(connection: Connection) -> Any:
        options = {"compare_type": True, "compare_server_default": True, "include_name": _is_ours}
        return compare_metadata(MigrationContext.configure(connection, opts=options), metadata)

    assert await inspected(database_url, compare) == []


async def test_the_comparison_sees_a_difference(database_url: str) -> None:
    every_table()
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "DROP INDEX partnerships_to_expire_ix; ALTER TABLE accounts ADD COLUMN shoe_size integer"
    )
    await connection.close()

    def compare(connection: Connection) -> Any:
        options = {"include_name": _is_ours}
        return {
            str(one[0])
            for one in compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
        }

    assert await inspected(database_url, compare) == {"add_index", "remove_column"}


async def test_the_migrations_make_the_conditions_the_tables_say(database_url: str) -> None:
    every_table()

    def checks(connection: Connection) -> dict[str, set[str | None]]:
        looking = inspect(connection)
        return {
            table: {one["name"] for one in looking.get_check_constraints(table)} for table in metadata.tables
        }

    def predicates(connection: Connection) -> dict[str, bool]:
        looking = inspect(connection)
        return {
            str(one["name"]): "postgresql_where" in one.get("dialect_options", {})
            for table in metadata.tables
            for one in looking.get_indexes(table)
        }

    assert await inspected(database_url, checks) == {
        table.name: {str(one.name) for one in table.constraints if type(one).__name__ == "CheckConstraint"}
        for table in metadata.tables.values()
    }
    found = await inspected(database_url, predicates)
    for table in metadata.tables.values():
        for index in table.indexes:
            said = index.dialect_options["postgresql"]["where"] is not None
            assert found[str(index.name)] is said, index.name


def test_the_schema_this_version_needs_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))
    assert ScriptDirectory.from_config(config).get_heads() == [SCHEMA]


# -- the server and the schema -------------------------------------------------------------------------------------------


async def _required(url: str) -> None:
    database = await Database.open(url, size=2)
    try:
        await require_schema(database)
    finally:
        await database.close()


async def test_it_accepts_its_own_schema(database_url: str) -> None:
    await _required(database_url)


async def test_it_refuses_an_empty_database_and_names_the_command(empty_url: str) -> None:
    with pytest.raises(WrongSchema, match=r"is empty: run `hospitium migrate`"):
        await _required(empty_url)
    assert await tables_of(empty_url) == set()


@pytest.mark.parametrize(
    ("version", "says"),
    [
        ("0000", r"has schema 0000, this version needs \d+: run `hospitium migrate`"),
        ("9999", r"has schema 9999, which this version .* doesn't know: install the version that made it"),
    ],
)
async def test_it_refuses_another_schema_and_says_what_to_do(
    database_url: str, version: str, says: str
) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute("UPDATE alembic_version SET version_num = $1", version)
    await connection.close()
    with pytest.raises(WrongSchema, match=says):
        await _required(database_url)


async def test_migrating_never_touches_a_newer_database(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute("UPDATE alembic_version SET version_num = '9999'")
    before = await tables_of(database_url)
    with pytest.raises(WrongSchema, match="9999"):
        await migrate(database_url)
    assert await tables_of(database_url) == before
    assert await connection.fetchval("SELECT version_num FROM alembic_version") == "9999"
    await connection.close()


async def test_migrating_twice_changes_nothing(empty_url: str) -> None:
    assert await migrate(empty_url) == (None, SCHEMA)
    after = await tables_of(empty_url)
    assert await migrate(empty_url) == (SCHEMA, SCHEMA)
    assert await tables_of(empty_url) == after
    await _required(empty_url)


async def test_of_several_migrators_at_once_one_does_it(empty_url: str) -> None:
    said = await asyncio.gather(
        *(asyncio.to_thread(lambda: asyncio.run(migrate(empty_url))) for _ in range(4))
    )
    assert sorted(said, key=str) == [(SCHEMA, SCHEMA)] * 3 + [(None, SCHEMA)]
    await _required(empty_url)


MIGRATOR = """
import asyncio, sys
from hospitium.storage import schema
asyncio.run(schema.migrate(sys.argv[1]))
"""


async def test_a_migration_that_is_killed_leaves_nothing(empty_url: str) -> None:
    # It is held half-way by a lock on what it is about to make, and killed there.
    holder = await asyncpg.connect(empty_url)
    held = holder.transaction()
    await held.start()
    await holder.execute("CREATE TABLE sessions (id integer)")
    migrator = await asyncio.create_subprocess_exec(
        sys.executable, "-c", MIGRATOR, empty_url, stderr=subprocess.DEVNULL
    )
    watcher = await asyncpg.connect(empty_url)
    async with asyncio.timeout(30):
        while not await watcher.fetchval(
            "SELECT true FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' "
            "AND query LIKE 'CREATE TABLE sessions%'"
        ):
            assert migrator.returncode is None
            await asyncio.sleep(0.01)
    migrator.send_signal(signal.SIGKILL)
    await migrator.wait()
    await held.rollback()
    async with asyncio.timeout(30):
        while await watcher.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid NOT IN (pg_backend_pid(), $1)", holder.get_server_pid(),
        ):  # fmt: skip
            await asyncio.sleep(0.01)
    await holder.close()
    await watcher.close()

    assert await tables_of(empty_url) == set()
    assert await migrate(empty_url) == (None, SCHEMA)
    await _required(empty_url)


async def test_a_migration_goes_on_with_the_search_path_of_nobody_else(empty_url: str) -> None:
    """A table of the same name in another schema is not taken for ours."""
    connection = await asyncpg.connect(empty_url)
    await connection.execute("CREATE SCHEMA other; CREATE TABLE other.alembic_version (version_num text)")
    await connection.close()
    assert await migrate(empty_url) == (None, SCHEMA)


async def test_events_can_not_be_changed_deleted_or_truncated(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "INSERT INTO events (id, at, transaction, kind, actor_kind, subject_kind, data) "
        "VALUES (gen_random_uuid(), now(), 1, 'refused', 'system', 'account', '{}')"
    )
    partition = await connection.fetchval("SELECT tableoid::regclass::text FROM events")
    for statement in (
        "UPDATE events SET kind = 'other'", "DELETE FROM events", "TRUNCATE events", f"UPDATE {partition} SET kind = 'other'",
        f"DELETE FROM {partition}", f"TRUNCATE {partition}",
    ):  # fmt: skip
        with pytest.raises(asyncpg.RestrictViolationError, match="append-only"):
            await connection.execute(statement)
    assert await connection.fetchval("SELECT count(*) FROM events") == 1
    await connection.close()


# -- what is kept when the schema changes --------------------------------------------------------------------------------


def migrated_to(url: str, revision: str) -> None:
    """Bring a database to an older schema."""

    async def run() -> None:
        def upgrade(connection: Connection) -> None:
            config = Config()
            config.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))
            config.attributes["connection"] = connection
            command.upgrade(config, revision)

        engine = create_async_engine(
            "postgresql+asyncpg://", async_creator=lambda: asyncpg.connect(url), poolclass=NullPool
        )
        try:
            async with engine.begin() as connection:
                await connection.run_sync(upgrade)
        finally:
            await engine.dispose()

    asyncio.run(run())


BEFORE_0007 = """
INSERT INTO organizations (id, code, name, name_key, type, status, created_at, updated_at)
    SELECT ('00000000-0000-8000-8000-00000000000' || n)::uuid, 'o' || n, 'O', 'o', 'both', 'active', now(), now()
    FROM generate_series(1, 2) AS n;
INSERT INTO accounts (id, email, email_key, password_hash, external_id, status, created_at)
    SELECT ('00000000-0000-8000-8000-0000000000a' || n)::uuid, n || '@x.example', n || '@x.example', 'h',
        CASE n WHEN 4 THEN NULL WHEN 3 THEN 'alice' WHEN 5 THEN 'gone' ELSE 'alice' END, 'active', now() - (n || ' days')::interval
    FROM generate_series(1, 5) AS n;
INSERT INTO memberships (id, account_id, organization_id, role, starts_at, ends_at)
    SELECT gen_random_uuid(), ('00000000-0000-8000-8000-0000000000a' || a)::uuid, ('00000000-0000-8000-8000-00000000000' || o)::uuid,
        'member', '2026-01-01', e::timestamptz
    FROM (VALUES (1, 1, NULL), (2, 1, NULL), (1, 2, NULL), (4, 1, NULL), (5, 1, '2026-02-01')) AS m (a, o, e);
INSERT INTO object_types (id, organization_id, name, plural_name, label, storage, allows_shares, requires_acceptance,
        sends_notifications, share_chain, created_at, updated_at)
    VALUES (gen_random_uuid(), '00000000-0000-8000-8000-000000000001', 'c_x', 'c_xs', 'X', 'stored', true, true, true, '{4}', now(), now());
"""


async def test_external_ids_of_accounts_are_kept_where_they_are_members(empty_url: str) -> None:
    """0007: one text for each account becomes one for each organization, where the oldest account keeps what several have."""
    await asyncio.to_thread(migrated_to, empty_url, "0006")
    connection = await asyncpg.connect(empty_url)
    await connection.execute(BEFORE_0007)
    assert await migrate(empty_url) == ("0006", SCHEMA)
    kept = await connection.fetch(
        "SELECT right(organization_id::text, 1) AS o, right(account_id::text, 2) AS a, external_id FROM account_external_ids ORDER BY 1, 2"
    )
    # Two had the same in organization 1; the third is a member nowhere, the fourth had none, the fifth has left.
    assert [tuple(row) for row in kept] == [("1", "a2", "alice"), ("2", "a1", "alice")]
    assert await connection.fetchval("SELECT actions::text FROM object_types") == "{}"
    await connection.close()
    await _required(empty_url)
