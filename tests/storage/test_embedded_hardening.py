"""What somebody on the same machine might try with the embedded PostgreSQL, and what an ordinary path may look like."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import asyncpg
import pytest

from hospitium.storage.embedded import EmbeddedFailure, EmbeddedPostgres

if TYPE_CHECKING:
    from pathlib import Path

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as somebody else")


@needs_root
def test_a_link_put_into_the_cluster_is_replaced_and_never_followed(passable_directory: Path) -> None:
    embedded = EmbeddedPostgres(passable_directory / "data", durable=False)
    embedded.start()
    owner = embedded.cluster.stat()
    embedded.stop()
    precious = passable_directory / "precious"
    precious.write_text("root's own")
    precious.chmod(0o600)
    for name in ("pg_hba.conf", "postgresql.conf"):
        (embedded.cluster / name).unlink()
        (embedded.cluster / name).symlink_to(precious)

    embedded.start()
    embedded.stop()

    assert precious.read_text() == "root's own"
    assert (precious.stat().st_uid, precious.stat().st_mode & 0o777) == (0, 0o600)
    for name in ("pg_hba.conf", "postgresql.conf"):
        assert not (embedded.cluster / name).is_symlink()
        assert (embedded.cluster / name).stat().st_uid == owner.st_uid


def test_a_link_in_place_of_the_socket_directory_is_refused(passable_directory: Path) -> None:
    embedded = EmbeddedPostgres(passable_directory / "data", durable=False)
    embedded.start()
    embedded.stop()
    socket_directory = embedded.data / "socket"
    socket_directory.rename(embedded.data / "elsewhere")
    socket_directory.symlink_to(embedded.data / "elsewhere")
    with pytest.raises(EmbeddedFailure, match="must belong to"):
        embedded.start()


@pytest.mark.parametrize("name", ["c++", "a&b", "50%25 done", "x#y", "a,b", "o'brien", "señal"])
async def test_a_path_may_have_ordinary_characters(passable_directory: Path, name: str) -> None:
    embedded = EmbeddedPostgres(passable_directory / name, durable=False)
    embedded.start()
    try:
        connection = await asyncpg.connect(embedded.url("postgres"))
        assert await connection.fetchval("SELECT 1") == 1
        await connection.close()
    finally:
        embedded.stop()
        shutil.rmtree(embedded.data)
