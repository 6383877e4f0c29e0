"""What the hash of an event and of a block is made of: the one place that says so (docs/trail.md).

Both are SHA-256 over a JSON array without spaces, in UTF-8. Its first member says what it is, so that no event can be
taken for a block.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from hospitium.engine.trail.record import Block, TrailEvent

_encode = msgspec.json.Encoder().encode


class _Digits(str):
    """A number of a JSON text, exactly as it stands there."""

    __slots__ = ()


def hash_of_event(number: int, event: TrailEvent) -> bytes:
    """Return the hash of an event under its number: over every column of its row, and its parties."""
    return hashlib.sha256(
        _encode(
            [
                "hospitium event 1",
                number,
                event.id,
                event.at,
                event.position,
                event.transaction,
                event.kind,
                event.actor_kind,
                event.actor_account_id,
                event.actor_organization_id,
                event.actor_session_id,
                event.subject_kind,
                event.subject_id,
                canonical(event.data),
                sorted(event.parties),
            ]
        )
    ).digest()


def hash_of_block(block: Block) -> bytes:
    """Return the hash a block must have: over the block before, and all it says itself."""
    return hashlib.sha256(
        _encode(
            [
                "hospitium block 1",
                block.number,
                block.cluster,
                block.first_number,
                block.last_number,
                block.reached_transaction,
                block.reached_position,
                block.retired,
                hashlib.sha256(block.hashes).hexdigest(),
                block.previous_hash.hex(),
                block.sealed_at,
                block.key_number,
            ]
        )
    ).digest()


def canonical(data: str) -> str:
    """Return a JSON text in the one form that is hashed: keys in order, no spaces, numbers digit by digit."""
    try:
        return _written(json.loads(data, parse_int=_Digits, parse_float=_Digits))
    except (ValueError, RecursionError):
        return data  # nothing that we ever wrote: its hash will not be the one that was sealed


def _written(value: Any) -> str:
    match value:
        case _Digits():
            return str(value)
        case dict():
            return "{" + ",".join(f"{_plain(key)}:{_written(value[key])}" for key in sorted(value)) + "}"
        case list():
            return "[" + ",".join(map(_written, value)) + "]"
        case _:
            return _plain(value)


def _plain(value: Any) -> str:
    return _encode(value).decode()
