"""In which order (docs/dialects/radorderpad.md). The picture is drawn from the table below, and a test compares them.

(none) ──request──▶ pending_approval
pending_approval ──approve (target)──▶ approved
pending_approval ──reject (target)──▶ rejected
pending_approval ──cancel (source)──▶ canceled
pending_approval ──expire (clock)──▶ expired
rejected ──resend (source)──▶ pending_approval
approved ──terminate (either)──▶ terminated
terminated ──reestablish (either)──▶ pending_approval
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Text, Uuid, bindparam, case, func, literal_column, null
from sqlalchemy.dialects.postgresql import TIMESTAMP

from hospitium.engine.lifecycle import Lifecycle, Move
from hospitium.engine.partnerships.record import Partnership, PartnershipStatus as Status, partnerships
from hospitium.storage.statements import exactly, struct

if TYPE_CHECKING:
    from uuid import UUID


class Party(StrEnum):
    """Who makes a move."""

    SOURCE = "source"
    TARGET = "target"
    EITHER = "either"
    CLOCK = "clock"

    def includes(self, partnership: Partnership, organization_id: UUID) -> bool:
        """Whether an organization of the partnership is on this side of it."""
        match self:
            case Party.SOURCE:
                return partnership.source_id == organization_id
            case Party.TARGET:
                return partnership.target_id == organization_id
            case Party.EITHER:
                return organization_id in (partnership.source_id, partnership.target_id)
            case Party.CLOCK:
                return False


_NOW = bindparam("now", type_=TIMESTAMP(timezone=True))
_ME = bindparam("organization_id", type_=Uuid)
_c = partnerships.c

IN_TIME: ColumnElement[bool] = _c.expires_at > _NOW
OVERDUE: ColumnElement[bool] = _c.expires_at <= _NOW

EFFECTIVE_STATUS: ColumnElement[str] = case(
    (exactly(_c.status, Status.PENDING_APPROVAL) & OVERDUE, literal_column(f"'{Status.EXPIRED}'")),
    else_=_c.status,
).label("status")
"""The status by the clock: a deadline holds by itself, whether or not the sweep has run."""

COLUMNS: tuple[Any, ...] = tuple(
    EFFECTIVE_STATUS if name == "status" else _c[name] for name in Partnership.__struct_fields__
)

_PENDING = frozenset({Status.PENDING_APPROVAL})
# Two servers' clocks differ, and whoever waited for a lock brings an older instant: no answer comes before its request.
_ANSWERED: ColumnElement[Any] = func.greatest(_NOW, _c.requested_at)
_ANSWER = {"responded_at": _ANSWERED, "response_message": bindparam("response_message", type_=Text)}
_ASK_AGAIN = {
    "requested_at": _NOW,
    "expires_at": bindparam("expires_at", type_=TIMESTAMP(timezone=True)),
    "message": func.coalesce(bindparam("message", type_=Text), _c.message),
    "responded_at": null(),
    "response_message": null(),
}


def _exempted(column: str) -> ColumnElement[Any]:
    """Remember when the exemption from a cool-down was used (ruling 8)."""
    return func.coalesce(bindparam("exempted_at", type_=TIMESTAMP(timezone=True)), _c[column])


MOVES = {
    "approve": Move(_PENDING, Status.APPROVED, Party.TARGET, _ANSWER | {"rejected_at": null()}, IN_TIME & (_c.target_id == _ME)),
    "reject": Move(_PENDING, Status.REJECTED, Party.TARGET, _ANSWER | {"rejected_at": _ANSWERED}, IN_TIME & (_c.target_id == _ME)),
    "cancel": Move(_PENDING, Status.CANCELED, Party.SOURCE, {"canceled_at": _NOW}, IN_TIME & (_c.source_id == _ME)),
    "expire": Move(_PENDING, Status.EXPIRED, Party.CLOCK, {}, OVERDUE),
    "resend": Move(
        frozenset({Status.REJECTED}), Status.PENDING_APPROVAL, Party.SOURCE,
        _ASK_AGAIN | {"resend_exempted_at": _exempted("resend_exempted_at")},
        _c.source_id == _ME,
    ),
    "terminate": Move(
        frozenset({Status.APPROVED}), Status.TERMINATED, Party.EITHER,
        {"terminated_at": _NOW, "terminated_by": _ME, "termination_reason": bindparam("reason", type_=Text)},
        (_c.source_id == _ME) | (_c.target_id == _ME),
    ),
    "reestablish": Move(
        frozenset({Status.TERMINATED}), Status.PENDING_APPROVAL, Party.EITHER,
        # Who asks is the source from here on. The rejections remembered were of the old direction, and an approval
        # has come since; an exemption is remembered only for who used it.
        _ASK_AGAIN | {
            # Without a message of one's own: the other side's words are not put into one's mouth.
            "message": case(
                (_c.source_id == _ME, func.coalesce(bindparam("message", type_=Text), _c.message)),
                else_=bindparam("message", type_=Text),
            ),
            "source_id": _ME,
            "target_id": case((_c.source_id == _ME, _c.target_id), else_=_c.source_id),
            "resend_exempted_at": case((_c.source_id == _ME, _c.resend_exempted_at), else_=null()),
            "reestablish_exempted_at": _exempted("reestablish_exempted_at"),
        },
        (_c.source_id == _ME) | (_c.target_id == _ME),
    ),
}  # fmt: skip
LIFECYCLE = Lifecycle(partnerships, struct(Partnership), COLUMNS, MOVES)


def diagram() -> str:
    """Draw the table, one move a line, as the module's docstring and the documentation show it."""
    lines = ["(none) ──request──▶ pending_approval"]
    for verb, move in MOVES.items():
        lines += [f"{source} ──{verb} ({move.by})──▶ {move.target}" for source in sorted(move.sources)]
    return "\n".join(lines)
