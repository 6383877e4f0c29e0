"""Sealing: what has to be read again later, and must not be readable in the database alone (AES-256-GCM).

What is sealed is bound to what it is for: elsewhere it can't be opened.
"""

from __future__ import annotations

import secrets
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE = 12  # bytes


class SealingKey(NamedTuple):
    """A numbered key that seals."""

    number: int
    key: bytes

    def __repr__(self) -> str:
        return f"SealingKey({self.number}, •••)"


class CantBeOpened(Exception):
    """It was sealed with another key, or for something else."""


def seal(key: SealingKey, text: bytes, bound_to: bytes) -> bytes:
    """Seal some bytes for one purpose."""
    nonce = secrets.token_bytes(_NONCE)
    return nonce + AESGCM(key.key).encrypt(nonce, text, bound_to)


def unseal(key: SealingKey, sealed: bytes, bound_to: bytes) -> bytes:
    """Return what was sealed for a purpose. Raises CantBeOpened."""
    try:
        return AESGCM(key.key).decrypt(sealed[:_NONCE], sealed[_NONCE:], bound_to)
    except InvalidTag:
        raise CantBeOpened from None
