"""In which order: an offer of a person waits, and is accepted, declined, withdrawn or expires."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import Text, Uuid, bindparam, func
from sqlalchemy.dialects.postgresql import TIMESTAMP

from hospitium.engine.lifecycle import Lifecycle, Move
from hospitium.engine.persons.record import (
    PERSON_OFFER_COLUMNS,
    PersonOffer,
    PersonOfferStatus as Status,
    person_offers,
)
from hospitium.storage.statements import struct

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement


class Party(StrEnum):
    """Who makes a move."""

    ADMINISTRATOR = "administrator of the person"
    READER = "holder of the address"
    CLOCK = "clock"


_c = person_offers.c
_NOW = bindparam("now", type_=TIMESTAMP(timezone=True))
_IN_TIME: ColumnElement[bool] = _c.expires_at > _NOW
_OVERDUE: ColumnElement[bool] = _c.expires_at <= _NOW
_HIS: ColumnElement[bool] = _c.email_key == bindparam("to_address", type_=Text)
# Never before it was made: clocks differ, and locks are waited for.
_ENDS: dict[str, Any] = {"ended_at": func.greatest(_NOW, _c.offered_at)}
_PENDING = frozenset({Status.PENDING})

MOVES = {
    "accept": Move(
        _PENDING,
        Status.ACCEPTED,
        Party.READER,
        _ENDS | {"account_id": bindparam("by_account", type_=Uuid)},
        _IN_TIME & _HIS,
    ),
    "decline": Move(_PENDING, Status.DECLINED, Party.READER, _ENDS, _IN_TIME & _HIS),
    "withdraw": Move(_PENDING, Status.WITHDRAWN, Party.ADMINISTRATOR, _ENDS),
    "expire": Move(_PENDING, Status.EXPIRED, Party.CLOCK, _ENDS, _OVERDUE),
}
LIFECYCLE = Lifecycle(person_offers, struct(PersonOffer), PERSON_OFFER_COLUMNS, MOVES)
