"""In which order: an invite waits for whoever has its code, or for whom it is bound to, and is accepted or ends; it never comes back."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import Integer, LargeBinary, Uuid, bindparam, func, null, or_
from sqlalchemy.dialects.postgresql import TIMESTAMP

from hospitium.engine.invites.record import (
    BOUND,
    INVITE_COLUMNS,
    MOST_WRONG_ANSWERS,
    UNBOUND,
    Invite,
    InviteForm,
    InviteStatus as Status,
    invites,
)
from hospitium.engine.lifecycle import Lifecycle, Move
from hospitium.storage.statements import exactly, struct

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement


class Party(StrEnum):
    """Who makes a move."""

    INVITER = "inviting side"
    INVITEE = "invitee"
    CLOCK = "clock"
    MAILBOX = "holder of the mailbox"


_c = invites.c
_WHEN = TIMESTAMP(timezone=True)
_NOW = bindparam("now", type_=_WHEN)
_IN_TIME: ColumnElement[bool] = or_(_c.expires_at.is_(None), _c.expires_at > _NOW)
_OVERDUE: ColumnElement[bool] = _c.expires_at <= _NOW
FORGETS: dict[str, Any] = {
    "question": null(),
    "code_key_number": null(),
    "code_digest": null(),
    "answer_hash": null(),
}
"""What a code invite ceases to know as soon as nobody can take it up by its code any more (ruling 19)."""
# Never before it began: clocks differ, and locks are waited for.
_ENDS: dict[str, Any] = {"ended_at": func.greatest(_NOW, _c.created_at, _c.accepted_at), **FORGETS}
_ACCEPTS: dict[str, Any] = {
    "account_id": bindparam("by_account", type_=Uuid),
    "person_id": bindparam("with_person", type_=Uuid),
    "grant_id": bindparam("by_grant", type_=Uuid),
    "accepted_at": func.greatest(_NOW, _c.created_at),
    **FORGETS,
}
_WAITING, _KNOWN = frozenset({UNBOUND}), frozenset({BOUND})
_OPEN = _WAITING | _KNOWN

MOVES = {
    "bind": Move(
        _WAITING,
        BOUND,
        Party.INVITEE,
        {"account_id": bindparam("by_account", type_=Uuid), **FORGETS},
        _IN_TIME,
    ),
    "accept": Move(_KNOWN, Status.ACCEPTED, Party.INVITEE, _ACCEPTS, _IN_TIME),
    "accept_by_code": Move(_WAITING, Status.ACCEPTED, Party.INVITEE, _ACCEPTS, _IN_TIME),
    "decline": Move(_KNOWN, Status.DECLINED, Party.INVITEE, _ENDS, _IN_TIME),
    # Another nonce, another token: the link sent before is dead at once.
    "resend": Move(
        _KNOWN,
        BOUND,
        Party.INVITER,
        {
            "key_number": bindparam("with_key", type_=Integer),
            "nonce": bindparam("with_nonce", type_=LargeBinary),
            "digest": bindparam("with_digest", type_=LargeBinary),
        },
        _IN_TIME & exactly(_c.form, InviteForm.EMAIL),
    ),
    "replace": Move(_OPEN, Status.REPLACED, Party.INVITER, _ENDS),
    "withdraw": Move(_OPEN, Status.WITHDRAWN, Party.INVITER, _ENDS),
    "lock": Move(_WAITING, Status.LOCKED, Party.INVITEE, _ENDS, _c.wrong_answers >= MOST_WRONG_ANSWERS),
    "expire": Move(_OPEN, Status.EXPIRED, Party.CLOCK, _ENDS, _OVERDUE),
    "undo": Move(
        frozenset({BOUND, Status.ACCEPTED}), Status.UNDONE, Party.MAILBOX, _ENDS, _c.account_id.is_not(None)
    ),
}
LIFECYCLE = Lifecycle(invites, struct(Invite), INVITE_COLUMNS, MOVES)
