"""How the trail is written down outside the database: a line of JSON an event, and the head of the chain (docs/trail.md).

The last line of each block carries the block, so that what was exported can be proved without the database.
"""

from __future__ import annotations

from typing import Any

import msgspec

from hospitium.engine.errors import Invalid
from hospitium.engine.trail.record import Block, TrailEvent
from hospitium.engine.trail.signing import SealKeys, is_signed


class PartyOfLine(msgspec.Struct, frozen=True):
    kind: str
    id: str


class BlockOfLine(msgspec.Struct, frozen=True):
    """A block with the public key that proves it; hashes, keys and signatures in hexadecimal digits."""

    number: int
    cluster: int
    first_number: int
    last_number: int
    reached_transaction: int
    reached_position: int
    retired: list[int]
    hashes: str
    previous_hash: str
    sealed_at: str
    key_number: int
    hash: str
    signature: str
    public_key: str

    def block(self) -> Block:
        """Return the block it says; ValueError if its digits are none."""
        said: dict[str, Any] = msgspec.structs.asdict(self)
        del said["public_key"]
        for name in _IN_HEXADECIMAL:
            said[name] = bytes.fromhex(said[name])
        return Block(**said)


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """One event of an exported trail."""

    number: int
    id: str
    at: str
    kind: str
    actor_kind: str
    actor_account_id: str | None
    actor_organization_id: str | None
    actor_session_id: str | None
    subject_kind: str
    subject_id: str | None
    data: msgspec.Raw
    parties: list[PartyOfLine]
    position: int
    transaction: int
    hash: str
    block: BlockOfLine | None = None

    def event(self) -> TrailEvent:
        """Return what the hash of the line is made of; ValueError if its data is no text."""
        return TrailEvent(
            data=bytes(self.data).decode(),
            parties=[[party.kind, party.id] for party in self.parties],
            **{name: getattr(self, name) for name in _AS_IT_IS},
        )


class Head(msgspec.Struct, frozen=True):
    """The last block of a trail, in few words: kept elsewhere, it proves later that the trail still contains it."""

    block: int
    first_number: int
    last_number: int
    sealed_at: str
    hash: str
    key_number: int
    public_key: str
    signature: str

    def is_signed(self) -> bool:
        """Whether its own key signed its hash."""
        try:
            public, found, signature = map(bytes.fromhex, (self.public_key, self.hash, self.signature))
        except ValueError:
            return False
        return is_signed(public, found, signature)


_IN_HEXADECIMAL = ("hashes", "previous_hash", "hash", "signature")
_AS_IT_IS = [name for name in TrailEvent.__struct_fields__ if name not in ("data", "parties")]
_encode = msgspec.json.Encoder().encode
_decode_line = msgspec.json.Decoder(Line).decode


def line_of(number: int, event: TrailEvent, found: bytes, block: BlockOfLine | None = None) -> Line:
    """Return the line of an event, with the hash under which it was sealed."""
    return Line(
        number=number,
        data=msgspec.Raw(event.data.encode()),
        parties=[PartyOfLine(kind, party_id) for kind, party_id in event.parties],
        hash=found.hex(),
        block=block,
        **{name: getattr(event, name) for name in _AS_IT_IS},
    )


def block_of_line(block: Block, keys: SealKeys) -> BlockOfLine:
    """Return a block as a line carries it."""
    said: dict[str, Any] = msgspec.structs.asdict(block)
    for name in _IN_HEXADECIMAL:
        said[name] = said[name].hex()
    return BlockOfLine(**said, public_key=(keys.public(block.key_number) or b"").hex())


def head_of(block: Block, keys: SealKeys) -> Head:
    """Return a block as a head."""
    return Head(
        block=block.number,
        first_number=block.first_number,
        last_number=block.last_number,
        sealed_at=block.sealed_at,
        hash=block.hash.hex(),
        key_number=block.key_number,
        public_key=(keys.public(block.key_number) or b"").hex(),
        signature=block.signature.hex(),
    )


def write_line(line: Line) -> bytes:
    """Return a line as it stands in a file, with its end."""
    return _encode(line) + b"\n"


def read_line(text: bytes) -> Line | None:
    """Read a line back; None if it is none."""
    try:
        return _decode_line(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def read_head(text: bytes) -> Head:
    """Read what `head_of` was written as; Invalid for anything else."""
    try:
        return msgspec.json.decode(text, type=Head)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Invalid("head", "is not what `hospitium audit head --json` prints") from None
