"""What is always true of an epoch: a span in the life of the data, from one restore to the next (docs/decisions/0014).

The first begins with the first start of a server and holds nothing. Every other one begins with a restore: the grants
and memberships of before are held until the operator confirms.
"""

from __future__ import annotations

from datetime import datetime

import msgspec
from sqlalchemy import CheckConstraint, Column, Integer, Table, Text
from sqlalchemy.dialects.postgresql import TIMESTAMP

from hospitium.storage.tables import metadata

_WHEN = TIMESTAMP(timezone=True)
epochs = Table(
    "epochs",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    # Which database of which cluster it began in: data that wakes up elsewhere was restored.
    Column("place", Text, nullable=False),
    Column("begun_at", _WHEN, nullable=False),
    # As of when the backup was; not known of one that was brought back by other means.
    Column("taken_at", _WHEN),
    # A grant or a membership that begins no later than this was in the backup.
    Column("holds_until", _WHEN),
    Column("confirmed_at", _WHEN),
    CheckConstraint("number >= 1", name="number"),
    CheckConstraint("(number = 1) = (holds_until IS NULL)", name="first_holds_nothing"),
    CheckConstraint("taken_at IS NULL OR holds_until IS NOT NULL", name="taken_is_restored"),
    CheckConstraint("holds_until >= begun_at", name="holds_past_its_beginning"),
    CheckConstraint(
        "confirmed_at IS NULL OR confirmed_at >= begun_at AND holds_until IS NOT NULL",
        name="confirmed_is_held",
    ),
)


class Epoch(msgspec.Struct, frozen=True):
    """A span in the life of the data, from one restore to the next."""

    number: int
    place: str
    begun_at: datetime
    taken_at: datetime | None
    holds_until: datetime | None
    confirmed_at: datetime | None

    @property
    def holds(self) -> bool:
        """Whether grants and memberships of before are held."""
        return self.holds_until is not None and self.confirmed_at is None


EPOCH_COLUMNS = tuple(epochs.c[name] for name in Epoch.__struct_fields__)
