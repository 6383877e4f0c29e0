"""In which order: a share waits, is accepted or not, may change its level, and ends; it never comes back."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import SmallInteger, Uuid, bindparam, case, func, literal_column, or_
from sqlalchemy.dialects.postgresql import TIMESTAMP

from hospitium.engine.lifecycle import Lifecycle, Move
from hospitium.engine.shares.record import (
    ACTIVE,
    PENDING,
    SHARE_COLUMNS,
    Share,
    ShareStatus as Status,
    TargetForm,
    shares,
)
from hospitium.storage.statements import exactly, struct

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement


class Party(StrEnum):
    """Who makes a move."""

    TARGET = "target"
    HOLDER = "creator, or another holder with more"
    CLOCK = "clock"


_WHEN = TIMESTAMP(timezone=True)
_NOW = bindparam("now", type_=_WHEN)
_c = shares.c
_WINDOW_IS_OPEN: ColumnElement[bool] = or_(_c.window_ends_at.is_(None), _c.window_ends_at > _NOW)
_IN_TIME: ColumnElement[bool] = (_c.expires_at > _NOW) & _WINDOW_IS_OPEN
_OVERDUE: ColumnElement[bool] = or_(_c.expires_at <= _NOW, _c.window_ends_at <= _NOW)
# Never before it began: clocks differ, and locks are waited for.
_ENDS: dict[str, Any] = {"ended_at": func.greatest(_NOW, _c.created_at, _c.accepted_at)}
_WAITING, _STANDING = frozenset({PENDING}), frozenset({ACTIVE})
_CHANGES: dict[str, Any] = {
    "level": bindparam("to_level", type_=SmallInteger),
    "made_under_id": bindparam("under", type_=Uuid),
    # No longer than what it is made under; `least` passes over NULL.
    "window_ends_at": func.least(_c.window_ends_at, bindparam("at_most_until", type_=_WHEN)),
}

MOVES = {
    "accept": Move(
        _WAITING,
        ACTIVE,
        Party.TARGET,
        {
            "accepted_at": func.greatest(_NOW, _c.created_at),
            # Who accepts for a team is not its target.
            "target_account_id": case(
                (exactly(_c.target_form, TargetForm.TEAM), literal_column("NULL::uuid")),
                else_=bindparam("by_account", type_=Uuid),
            ),
        },
        _IN_TIME,
    ),
    "decline": Move(_WAITING, Status.DECLINED, Party.TARGET, _ENDS, _IN_TIME),
    "merge": Move(_WAITING, Status.MERGED, Party.TARGET, _ENDS, _IN_TIME),
    "withdraw": Move(_WAITING, Status.WITHDRAWN, Party.HOLDER, _ENDS),
    "reoffer": Move(_WAITING, PENDING, Party.HOLDER, _CHANGES, _IN_TIME),
    "regrade": Move(_STANDING, ACTIVE, Party.HOLDER, _CHANGES, _WINDOW_IS_OPEN),
    "leave": Move(_STANDING, Status.LEFT, Party.TARGET, _ENDS),
    "revoke": Move(_STANDING, Status.REVOKED, Party.HOLDER, _ENDS),
    "expire": Move(_WAITING, Status.EXPIRED, Party.CLOCK, _ENDS, _OVERDUE),
    "close": Move(_STANDING, Status.EXPIRED, Party.CLOCK, _ENDS, _c.window_ends_at <= _NOW),
}
LIFECYCLE = Lifecycle(shares, struct(Share), SHARE_COLUMNS, MOVES)
