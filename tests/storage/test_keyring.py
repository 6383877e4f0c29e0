"""Keys live in a directory of their own: made once, private, and missed at the start when they are not the ones they were."""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
import pytest

from hospitium.doors.access_tokens import AccessTokens
from hospitium.engine.accounts.record import Account, AccountStatus, Language
from hospitium.engine.errors import NotSignedIn
from hospitium.engine.sessions.actions import SignedIn
from hospitium.engine.sessions.record import Session
from hospitium.storage.database import Database
from hospitium.storage.keyring import RETIREMENT, Key, KeyProblem, KeyPurpose, Keyring

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SIGNING, LINKS = KeyPurpose.SIGNING, KeyPurpose.LINKS
ISSUER = "https://hospitium.example"


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return tmp_path / "keys"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = await Database.open(database_url, size=2)
    yield opened
    await opened.close()


async def meet(database: Database, ring: Keyring, now: datetime = NOW) -> None:
    async with database.transaction() as tx:
        await ring.agree_with(tx, now)


def write(directory: Path, key: Key, name: str | None = None) -> Path:
    path = directory / (name or f"{key.purpose}-{key.number}.json")
    path.write_bytes(msgspec.json.encode(key))
    path.chmod(0o600)
    return path


def test_it_makes_each_key_once_and_keeps_it_private(keys: Path) -> None:
    old = os.umask(0)
    try:
        made = Keyring.load(keys, NOW, make=True)
    finally:
        os.umask(old)
    assert stat.S_IMODE(keys.stat().st_mode) == 0o700
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in keys.iterdir()} == {
        "signing-1.json": 0o600,
        "links-1.json": 0o600,
        "seals-1.json": 0o600,
        "codes-1.json": 0o600,
        "credentials-1.json": 0o600,
    }
    again = Keyring.load(keys, NOW + timedelta(days=1), make=True)
    for purpose in KeyPurpose:
        assert again.current(purpose) == made.current(purpose)
        assert len(made.current(purpose).material()) == 32
    assert made.current(SIGNING).material() != made.current(LINKS).material()


def test_it_makes_none_unless_told_to_and_names_the_command(keys: Path) -> None:
    with pytest.raises(KeyProblem, match=r"no signing key in .*keys.*HOSPITIUM_KEYS.*`hospitium keys make`"):
        Keyring.load(keys, NOW, make=False)
    assert not keys.exists()


def test_of_two_makers_at_once_both_get_the_same_keys(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Keyring.load(keys, NOW, make=True)
    # The second looked before the first had written.
    glob = type(keys).glob
    monkeypatch.setattr(type(keys), "glob", lambda path, pattern: [] if path == keys else glob(path, pattern))
    second = Keyring.load(keys, NOW, make=True)
    monkeypatch.undo()
    assert [second.current(purpose) for purpose in KeyPurpose] == [
        first.current(purpose) for purpose in KeyPurpose
    ]
    assert len(list(keys.iterdir())) == len(KeyPurpose)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_it_refuses_a_key_that_others_can_read_and_says_how_to_mend_it(keys: Path, mode: int) -> None:
    Keyring.load(keys, NOW, make=True)
    (keys / "links-1.json").chmod(mode)
    with pytest.raises(KeyProblem, match=r"links-1.json can be read by others: chmod 600"):
        Keyring.load(keys, NOW, make=True)


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b"\xff\xfe", b'{"purpose":"links","number":1,"made_at":"2026-03-01T12:00:00Z","secret":"short"}']
)  # fmt: skip
def test_it_refuses_what_is_no_key(keys: Path, content: bytes) -> None:
    Keyring.load(keys, NOW, make=True)
    (keys / "links-1.json").write_bytes(content)
    with pytest.raises(KeyProblem, match="backup of the keys"):
        Keyring.load(keys, NOW, make=True)


def test_it_refuses_a_key_under_another_name(keys: Path) -> None:
    ring = Keyring.load(keys, NOW, make=True)
    write(keys, ring.current(LINKS), "links-2.json")
    with pytest.raises(KeyProblem, match=r"links-2.json holds the key links-1"):
        Keyring.load(keys, NOW, make=True)


def test_it_says_so_where_it_can_not_write(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(KeyProblem, match="Not a directory"):
        Keyring.load(tmp_path / "file" / "keys", NOW, make=True)


def test_a_key_never_prints_its_secret(keys: Path) -> None:
    key = Keyring.load(keys, NOW, make=True).current(SIGNING)
    assert key.secret not in f"{key} {key!r} {[key]}"


# -- rotation ------------------------------------------------------------------------------------------------------------


def token(ring: Keyring) -> str:
    session = Session(UUID(int=1), UUID(int=2), None, NOW, NOW + timedelta(days=7))
    account = Account(
        UUID(int=2),
        "ada@northside.example",
        "ada@northside.example",
        None,
        None,
        Language.ENGLISH,
        AccountStatus.ACTIVE,
        False,
        None,
        NOW,
    )
    return AccessTokens(ISSUER, ring).mint(SignedIn(session, account, None), None, NOW)


def reads(ring: Keyring, minted: str) -> UUID:
    return AccessTokens(ISSUER, ring).session_of(f"Bearer {minted}", NOW)


def test_after_a_rotation_old_tokens_verify_and_new_ones_carry_the_new_key(keys: Path) -> None:
    ring = Keyring.load(keys, NOW, make=True)
    old = token(ring)
    made = ring.rotate(SIGNING, NOW)
    assert (made.number, ring.current(SIGNING)) == (2, made)

    loaded = Keyring.load(keys, NOW, make=False)
    assert [key.number for key in loaded.all(SIGNING)] == [1, 2]
    assert [key.number for key in loaded.all(LINKS)] == [1]
    new = token(loaded)
    assert reads(loaded, old) == reads(loaded, new) == UUID(int=1)
    assert {key["kid"] for key in AccessTokens(ISSUER, loaded).jwks()["keys"]} == {"signing-1", "signing-2"}
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in keys.iterdir())

    (keys / "signing-1.json").unlink()
    with pytest.raises(NotSignedIn):  # the new one is truly signed by the new key, the old one was not
        reads(Keyring.load(keys, NOW, make=False), old)
    assert reads(Keyring.load(keys, NOW, make=False), new) == UUID(int=1)


def test_a_retired_key_verifies_for_90_days_and_not_a_second_longer(keys: Path) -> None:
    ring = Keyring.load(keys, NOW, make=True)
    ring.rotate(SIGNING, NOW)
    second = timedelta(seconds=1)
    assert timedelta(days=90) == RETIREMENT
    assert [key.number for key in Keyring.load(keys, NOW + RETIREMENT - second, make=False).all(SIGNING)] == [
        1,
        2,
    ]
    assert [key.number for key in Keyring.load(keys, NOW + RETIREMENT, make=False).all(SIGNING)] == [2]


def test_a_key_for_seals_proves_what_it_signed_for_ever(keys: Path) -> None:
    ring = Keyring.load(keys, NOW, make=True)
    ring.rotate(KeyPurpose.SEALS, NOW)
    later = Keyring.load(keys, NOW + timedelta(days=3650), make=False)
    assert [key.number for key in later.all(KeyPurpose.SEALS)] == [1, 2]


def test_keys_of_before_there_were_seals_lack_one_and_the_mend_is_named(keys: Path) -> None:
    before = Keyring.load(keys, NOW, make=True)
    (keys / "seals-1.json").unlink()
    with pytest.raises(KeyProblem, match=r"there is no seals key .*`hospitium keys make`"):
        Keyring.load(keys, NOW, make=False)
    after = Keyring.load(keys, NOW, make=True)
    assert after.current(SIGNING) == before.current(SIGNING)
    assert after.current(KeyPurpose.SEALS) != before.current(KeyPurpose.SEALS)


async def test_it_finds_a_lost_key_for_seals_however_old(keys: Path, database: Database) -> None:
    ring = Keyring.load(keys, NOW, make=True)
    ring.rotate(KeyPurpose.SEALS, NOW)
    await meet(database, ring)
    (keys / "seals-2.json").unlink()
    with pytest.raises(KeyProblem, match=r"has met seals-2, which is not in"):
        await meet(database, Keyring.load(keys, NOW, make=True), NOW + timedelta(days=3650))


def test_a_key_in_use_never_retires_by_age(keys: Path) -> None:
    Keyring.load(keys, NOW, make=True)
    assert Keyring.load(keys, NOW + timedelta(days=3650), make=False).current(SIGNING).number == 1


# -- the database remembers ----------------------------------------------------------------------------------------------


async def test_the_database_meets_keys_and_knows_them_again(keys: Path, database: Database) -> None:
    ring = Keyring.load(keys, NOW, make=True)
    await meet(database, ring)
    await meet(database, ring)
    ring.rotate(LINKS, NOW)
    await meet(database, Keyring.load(keys, NOW, make=False))
    async with database.transaction() as tx:
        met = await tx.fetch("SELECT purpose, number FROM known_keys ORDER BY 1, 2")
    assert [tuple(row) for row in met] == [
            ("codes", 1), ("credentials", 1), ("links", 1), ("links", 2), ("seals", 1), ("signing", 1),
        ]  # fmt: skip
    # It keeps what tells keys apart, not the keys.
    async with database.transaction() as tx:
        kept = b"".join([row["fingerprint"] for row in await tx.fetch("SELECT fingerprint FROM known_keys")])
    assert not any(key.material() in kept for purpose in KeyPurpose for key in ring.all(purpose))


async def test_it_finds_a_swapped_key_at_the_start(keys: Path, database: Database) -> None:
    ring = Keyring.load(keys, NOW, make=True)
    await meet(database, ring)
    write(keys, msgspec.structs.replace(ring.current(SIGNING), secret="ab" * 32))
    with pytest.raises(KeyProblem, match=r"signing-1 in .* is not the key this database knows .*backup"):
        await meet(database, Keyring.load(keys, NOW, make=True))


async def test_it_finds_keys_made_anew_in_an_empty_directory(
    keys: Path, database: Database, tmp_path: Path
) -> None:
    await meet(database, Keyring.load(keys, NOW, make=True))
    with pytest.raises(KeyProblem, match="is not the key this database knows"):
        await meet(database, Keyring.load(tmp_path / "fresh", NOW, make=True))


async def test_it_finds_a_lost_key_at_the_start(keys: Path, database: Database) -> None:
    ring = Keyring.load(keys, NOW, make=True)
    ring.rotate(LINKS, NOW)
    await meet(database, ring)
    (keys / "links-2.json").unlink()
    with pytest.raises(KeyProblem, match=r"has met links-2, which is not in .*backup"):
        await meet(database, Keyring.load(keys, NOW, make=True))


async def test_it_misses_no_key_that_is_past_its_retirement(keys: Path, database: Database) -> None:
    ring = Keyring.load(keys, NOW, make=True)
    ring.rotate(LINKS, NOW)
    await meet(database, ring)
    (keys / "links-1.json").unlink()
    later = NOW + RETIREMENT
    await meet(database, Keyring.load(keys, later, make=False), later)
