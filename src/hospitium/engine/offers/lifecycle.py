"""In which order: an offer waits, may be sent again, and is accepted, withdrawn or expires."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import Integer, LargeBinary, Uuid, bindparam
from sqlalchemy.dialects.postgresql import TIMESTAMP

from hospitium.engine.lifecycle import Lifecycle, Move
from hospitium.engine.offers.record import OFFER_COLUMNS, Offer, OfferStatus as Status, offers
from hospitium.storage.statements import struct

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement


class Party(StrEnum):
    """Who makes a move."""

    ORGANIZATION = "organization"
    READER = "reader"  # whoever holds the link
    CLOCK = "clock"


_NOW = bindparam("now", type_=TIMESTAMP(timezone=True))
_IN_TIME: ColumnElement[bool] = offers.c.expires_at > _NOW
_OVERDUE: ColumnElement[bool] = offers.c.expires_at <= _NOW
_OURS: ColumnElement[bool] = offers.c.organization_id == bindparam("of_organization", type_=Uuid)
_ENDS: dict[str, Any] = {"ended_at": _NOW}
_PENDING = frozenset({Status.PENDING})

MOVES = {
    # Another nonce, another token: the link sent before is dead at once.
    "resend": Move(
        _PENDING,
        Status.PENDING,
        Party.ORGANIZATION,
        {
            "expires_at": bindparam("until", type_=TIMESTAMP(timezone=True)),
            "key_number": bindparam("with_key", type_=Integer),
            "nonce": bindparam("with_nonce", type_=LargeBinary),
            "digest": bindparam("with_digest", type_=LargeBinary),
        },
        _OURS,
    ),
    "withdraw": Move(_PENDING, Status.WITHDRAWN, Party.ORGANIZATION, _ENDS, _OURS),
    "accept": Move(
        _PENDING,
        Status.ACCEPTED,
        Party.READER,
        _ENDS | {"account_id": bindparam("by_account", type_=Uuid)},
        _IN_TIME,
    ),
    "expire": Move(_PENDING, Status.EXPIRED, Party.CLOCK, _ENDS, _OVERDUE),
}
LIFECYCLE = Lifecycle(offers, struct(Offer), OFFER_COLUMNS, MOVES)
