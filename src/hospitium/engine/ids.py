"""Identifiers (ruling 6): version-8 UUIDs that carry the 96 bits of an ObjectId.

One value, two spellings: 24 hexadecimal digits where a surface speaks of ObjectIds, a UUID elsewhere. The 96 bits are
32 of seconds, 20 of microseconds and 44 random ones; the 26 bits a UUID has besides (and its version and variant) are
constant, so that the translation is a pure function and ids of ours can be told from others.

    seconds (32) | microseconds, high 16 | version 8 | random, low 4 of µs + high 8 | variant | random (36) | mark (26)
"""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from datetime import datetime

FIRST_ID, LAST_ID = UUID(int=0), UUID(int=(1 << 128) - 1)
"""Before and after every id there is: where a list by key begins."""

MARK = 0x2485350
_MARK_BITS = 26
_MARK_MASK = (1 << _MARK_BITS) - 1
_UUID_FORM = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_OBJECT_ID_FORM = re.compile(r"[0-9a-fA-F]{24}")


def new_id(now: datetime) -> UUID:
    """Make an id at an instant; ids of later microseconds sort after earlier ones."""
    seconds = int(now.timestamp()) & 0xFFFFFFFF
    return _with(seconds << 64 | now.microsecond << 44 | secrets.randbits(44))


def from_object_id(digits: str) -> UUID:
    """Return the UUID that spells the same id as 24 hexadecimal digits; ValueError for any other form."""
    if not _OBJECT_ID_FORM.fullmatch(digits):
        raise ValueError("an ObjectId is exactly 24 hexadecimal digits")
    return _with(int(digits, 16))


def to_object_id(value: UUID) -> str | None:
    """Return the 24 hexadecimal digits of an id of ours; None for a UUID that was given from outside."""
    bits = value.int
    if value.version != 8 or value.variant != "specified in RFC 4122" or bits & _MARK_MASK != MARK:  # noqa: PLR2004
        return None
    low = bits >> _MARK_BITS & (1 << 36) - 1
    middle = bits >> 64 & 0xFFF
    high = bits >> 80
    return f"{high << 48 | middle << 36 | low:024x}"


def parse_id(text: str) -> UUID | None:
    """Read an id in either spelling (36 characters with dashes, or 24 digits); None for anything else."""
    if _UUID_FORM.fullmatch(text):
        return UUID(text)
    if _OBJECT_ID_FORM.fullmatch(text):
        return from_object_id(text)
    return None


def _with(bits: int) -> UUID:
    high, middle, low = bits >> 48, bits >> 36 & 0xFFF, bits & (1 << 36) - 1
    return UUID(int=high << 80 | 8 << 76 | middle << 64 | 0b10 << 62 | low << _MARK_BITS | MARK)
