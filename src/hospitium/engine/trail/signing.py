"""Who signs the seals: Ed25519 keys from the ring outside the database. Without one, a trail can't be sealed anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from hospitium.storage.keyring import KeyPurpose

if TYPE_CHECKING:
    from hospitium.storage.keyring import Keyring

_DOMAIN = b"hospitium block\0"  # so that nothing else this key might ever sign can be shown as a block


class _SealKey(NamedTuple):
    private: Ed25519PrivateKey
    public: bytes

    def __repr__(self) -> str:
        return "_SealKey(•••)"


class SealKeys:
    """The keys that sign blocks, by number: the newest signs, all of them prove."""

    def __init__(self, secrets: dict[int, bytes]) -> None:
        self._keys = {number: _made_of(secret) for number, secret in secrets.items()}

    @classmethod
    def of(cls, keyring: Keyring) -> SealKeys:
        """Take the keys for seals from a ring."""
        return cls({key.number: key.material() for key in keyring.all(KeyPurpose.SEALS)})

    @property
    def newest(self) -> int:
        """The number of the key that signs."""
        return max(self._keys)

    def sign(self, block_hash: bytes) -> bytes:
        """Sign the hash of a block with the newest key."""
        return self._keys[self.newest].private.sign(_DOMAIN + block_hash)

    def public(self, number: int) -> bytes | None:
        """Return the public key of a number; None if it isn't in the ring."""
        key = self._keys.get(number)
        return None if key is None else key.public


def is_signed(public: bytes, block_hash: bytes, signature: bytes) -> bool:
    """Whether a signature is that of a block's hash by the key with this public half."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, _DOMAIN + block_hash)
    except (InvalidSignature, ValueError):
        return False
    return True


def _made_of(secret: bytes) -> _SealKey:
    private = Ed25519PrivateKey.from_private_bytes(secret)
    return _SealKey(private, private.public_key().public_bytes_raw())
