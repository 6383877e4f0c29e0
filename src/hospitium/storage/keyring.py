"""Keys live outside the database, in a directory of their own (docs/decisions/0010): a ring for each purpose.

The newest key of a purpose is used; older ones still verify, a retired one for 90 days, one for seals always. The
database remembers the fingerprint of every key it has met, so that a lost or swapped key is found at the start, not when
tokens fail.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import stat
from contextlib import suppress
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from pathlib import Path

    from hospitium.storage.database import Transaction

RETIREMENT = timedelta(days=90)
_SECRET_FORM = re.compile(r"[0-9a-f]{64}")


class KeyPurpose(StrEnum):
    SIGNING = "signing"  # access tokens, ES256
    LINKS = "links"  # link and refresh tokens, HMAC-SHA-256 (ruling 14)
    SEALS = "seals"  # the blocks of the trail, Ed25519 (docs/decisions/0012)
    CODES = "codes"  # the pepper behind which the codes of invites are kept, HMAC-SHA-256
    CREDENTIALS = "credentials"  # what we show to remote FHIR servers, AES-256-GCM

    @property
    def proves_for_ever(self) -> bool:
        """Whether its old keys are needed as long as what they signed, sealed or hide is kept."""
        return self in (KeyPurpose.SEALS, KeyPurpose.CREDENTIALS, KeyPurpose.CODES)


class KeyProblem(Exception):
    """A key is missing, unreadable or not the one it was; the message names the mend."""


class Key(msgspec.Struct, frozen=True):
    """A key: 32 random bytes as hexadecimal digits (for ES256, the private scalar is derived from them)."""

    purpose: KeyPurpose
    number: int
    made_at: datetime
    secret: str
    retired_at: datetime | None = None

    def __repr__(self) -> str:
        return f"Key({self.purpose}-{self.number}, •••)"

    def still_proves(self, now: datetime) -> bool:
        """Whether it is in use, or retired not long ago, or needed for ever."""
        return self.retired_at is None or self.purpose.proves_for_ever or now < self.retired_at + RETIREMENT

    def material(self) -> bytes:
        return bytes.fromhex(self.secret)

    def fingerprint(self) -> bytes:
        return hashlib.sha256(b"hospitium key\0" + self.material()).digest()


class Keyring:
    """The keys of a directory: `current(purpose)` to make, `all(purpose)` to verify."""

    def __init__(self, directory: Path, keys: list[Key]) -> None:
        self.directory = directory
        self._keys = sorted(keys, key=lambda key: (key.purpose, key.number))

    @classmethod
    def load(cls, directory: Path, now: datetime, *, make: bool) -> Keyring:
        """Read the keys of a directory; `make` those purposes that have none.

        Raises KeyProblem (none there and not to be made, unreadable, or readable by others).
        """
        try:
            return cls._load(directory, now, make=make)
        except OSError as reason:
            raise KeyProblem(
                f"{reason.filename or directory}: {reason.strerror}: let this user read and write the directory of the keys"
            ) from reason

    @classmethod
    def _load(cls, directory: Path, now: datetime, *, make: bool) -> Keyring:
        keys = [_read(path) for path in sorted(directory.glob("*.json"))] if directory.is_dir() else []
        for purpose in KeyPurpose:
            if any(key.purpose is purpose for key in keys):
                continue
            if not make:
                raise KeyProblem(
                    f"there is no {purpose} key in {directory}: set HOSPITIUM_KEYS to the directory that has the keys of this "
                    "database, or make them with `hospitium keys make`"
                )
            keys.append(_make(directory, purpose, 1, now))
        return cls(directory, [key for key in keys if key.still_proves(now)])

    def current(self, purpose: KeyPurpose) -> Key:
        """Return the newest key of a purpose."""
        return self.all(purpose)[-1]

    def all(self, purpose: KeyPurpose) -> list[Key]:
        """Return the keys of a purpose that still verify, the newest last."""
        return [key for key in self._keys if key.purpose is purpose]

    def rotate(self, purpose: KeyPurpose, now: datetime) -> Key:
        """Make a new key for a purpose and retire the one before; running servers take it up at their next start."""
        before = self.current(purpose)
        fresh = _make(self.directory, purpose, before.number + 1, now)
        retired = msgspec.structs.replace(before, retired_at=now)
        _write(self.directory, retired)
        self._keys = [key for key in self._keys if key is not before] + [retired, fresh]
        return fresh

    async def agree_with(self, tx: Transaction, now: datetime) -> None:
        """Compare with the keys the database has met, and let it meet the new ones; KeyProblem if one is not the same."""
        met = {(row["purpose"], row["number"]): row for row in await tx.fetch("SELECT * FROM known_keys")}
        ring = {(key.purpose.value, key.number): key for key in self._keys}
        for (purpose, number), row in met.items():
            key = ring.get((purpose, number))
            if key is not None and key.fingerprint() != row["fingerprint"]:
                raise KeyProblem(
                    f"{purpose}-{number} in {self.directory} is not the key this database knows by that name: bring the "
                    "right key back from the backup of the keys"
                )
        for purpose in KeyPurpose:
            newest = max((number for name, number in met if name == purpose.value), default=0)
            if self.current(purpose).number < newest:
                raise KeyProblem(
                    f"this database has met {purpose}-{newest}, which is not in {self.directory}: bring it back from the "
                    "backup of the keys"
                )
        for (purpose, number), key in ring.items():
            if (purpose, number) not in met:
                await tx.execute(
                    "INSERT INTO known_keys (purpose, number, fingerprint, seen_at) VALUES ($1, $2, $3, $4) "
                    "ON CONFLICT DO NOTHING",
                    purpose, number, key.fingerprint(), now,
                )  # fmt: skip


def _read(path: Path) -> Key:
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise KeyProblem(f"{path} can be read by others: chmod 600 {path}")
    try:
        key = msgspec.json.decode(path.read_bytes(), type=Key)
    except (msgspec.DecodeError, UnicodeDecodeError):
        key = None
    if key is None or not _SECRET_FORM.fullmatch(key.secret):
        raise KeyProblem(f"{path} is not a key of Hospitium: bring it back from the backup of the keys")
    if path.name != _path(path.parent, key).name:
        raise KeyProblem(
            f"{path} holds the key {key.purpose}-{key.number}: give it that name, or take it away"
        )
    return key


def _make(directory: Path, purpose: KeyPurpose, number: int, now: datetime) -> Key:
    for missing in reversed([path for path in directory.parents if not path.exists()]):
        missing.mkdir(exist_ok=True)
        # Under root the embedded database's user must pass through; what is inside stays closed.
        missing.chmod(0o711 if os.geteuid() == 0 else 0o700)
    directory.mkdir(exist_ok=True, mode=0o700)
    key = Key(purpose, number, now, secrets.token_hex(32))
    try:
        _write(directory, key, new=True)
    except FileExistsError:
        return _read(_path(directory, key))  # another process of this server was faster
    return key


def _path(directory: Path, key: Key) -> Path:
    return directory / f"{key.purpose}-{key.number}.json"


def _write(directory: Path, key: Key, *, new: bool = False) -> None:
    """Write a key whole or not at all, and make sure of it before it is used."""
    path = _path(directory, key)
    arriving = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(arriving, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(msgspec.json.encode(key))
        file.flush()
        os.fsync(file.fileno())
    try:
        if new:
            os.link(arriving, path)
        else:
            arriving.replace(path)
    finally:
        with suppress(FileNotFoundError):
            arriving.unlink()
