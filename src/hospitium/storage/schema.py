"""Which schema the database has, and how it gets the one this version needs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hospitium.storage.database import connect

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from hospitium.storage.database import Database

SCHEMA = "0010"
"""The newest migration; a test compares it with the migrations themselves."""

OLDEST_SERVER = 150_000  # as PostgreSQL numbers its versions
_MIGRATORS_LOCK = 0x48_4F_53_50  # one migrator at a time; the number is ours alone in our database


class WrongSchema(Exception):
    """The database doesn't have the schema this version needs; the message names the command that mends it."""


async def require_schema(database: Database) -> None:
    """Return if the database has exactly the schema this version was written for; WrongSchema otherwise."""
    found = await _found(database)
    if found == SCHEMA:
        return
    if found is None:
        raise WrongSchema("the database is empty: run `hospitium migrate`")
    if found < SCHEMA:
        raise WrongSchema(
            f"the database has schema {found}, this version needs {SCHEMA}: run `hospitium migrate`"
        )
    raise WrongSchema(
        f"the database has schema {found}, which this version ({SCHEMA}) doesn't know: install the version that made "
        "it, or a newer one; `hospitium migrate` never goes back"
    )


async def _found(database: Database) -> str | None:
    async with database.transaction() as tx:
        _require_server(await tx.fetchval("SHOW server_version_num"))
        if not await tx.fetchval("SELECT to_regclass('alembic_version') IS NOT NULL"):
            return None
        version = await tx.fetchval("SELECT max(version_num) FROM alembic_version")
        return None if version is None else str(version)


def _require_server(version_number: str) -> None:
    if int(version_number) < OLDEST_SERVER:
        raise WrongSchema(f"the PostgreSQL server is too old ({version_number}): 15 or newer is needed")


async def migrate(url: str) -> tuple[str | None, str]:
    """Bring a database to this version's schema in one transaction; return the schema before and after.

    Raises WrongSchema for a database that is newer than this version, or where it may not be done; DatabaseUnavailable.
    """
    # Alembic is large, and a server that only checks the schema has no need of it.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.runtime.migration import MigrationContext  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415
    from sqlalchemy import text  # noqa: PLC0415
    from sqlalchemy.exc import DBAPIError  # noqa: PLC0415
    from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415
    from sqlalchemy.pool import NullPool  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))

    def run(connection: Connection) -> tuple[str | None, str]:
        _require_server(connection.execute(text("SHOW server_version_num")).scalar_one())
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATORS_LOCK})
        before = MigrationContext.configure(connection).get_current_revision()
        scripts = ScriptDirectory.from_config(config)
        if before is not None and before not in {script.revision for script in scripts.walk_revisions()}:
            raise WrongSchema(
                f"the database has schema {before}, which this version ({SCHEMA}) doesn't know: install the version "
                "that made it, or a newer one"
            )
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        return before, scripts.get_current_head() or SCHEMA

    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=lambda: connect(url), poolclass=NullPool
    )
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(run)
    except DBAPIError as reason:
        # Such as a user who may not make tables: the message names the table or schema, and holds no value.
        why = str(reason.orig).rpartition(">: ")[2]
        raise WrongSchema(f"the migration failed, and left nothing behind: {why}") from reason
    finally:
        await engine.dispose()
