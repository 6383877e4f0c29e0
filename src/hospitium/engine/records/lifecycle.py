"""In which order: a record is there, may be archived and taken out again, and is deleted for good."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from sqlalchemy import bindparam, func, null
from sqlalchemy.dialects.postgresql import TIMESTAMP

from hospitium.engine.lifecycle import Lifecycle, Move
from hospitium.engine.records.record import RECORD_COLUMNS, THERE, Record, RecordStatus as Status, records
from hospitium.storage.statements import struct


class Party(StrEnum):
    """Who makes a move."""

    DELETER = "whoever may delete it"


_NOW = bindparam("now", type_=TIMESTAMP(timezone=True))
_AFTER = func.greatest(_NOW, records.c.updated_at)
_EMPTIED: dict[str, Any] = {
    "ended_at": _AFTER,
    "updated_at": _AFTER,
    "body": null(),
    "external_id": null(),
}

MOVES = {
    "archive": Move(
        frozenset({Status.ACTIVE}),
        Status.ARCHIVED,
        Party.DELETER,
        {"archived_at": _AFTER, "updated_at": _AFTER},
    ),
    "unarchive": Move(
        frozenset({Status.ARCHIVED}),
        Status.ACTIVE,
        Party.DELETER,
        {"archived_at": null(), "updated_at": _AFTER},
    ),
    "delete": Move(frozenset(THERE), Status.DELETED, Party.DELETER, _EMPTIED),
}
LIFECYCLE = Lifecycle(records, struct(Record), RECORD_COLUMNS, MOVES)
