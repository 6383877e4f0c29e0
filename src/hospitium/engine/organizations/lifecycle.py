"""In which order an organization comes to life, is suspended and returns (ruling 28).

pending ──approve──▶ active ──suspend──▶ suspended
                       ▲───────reinstate────┘
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from sqlalchemy import bindparam, func
from sqlalchemy.dialects.postgresql import TIMESTAMP

from hospitium.engine.lifecycle import Lifecycle, Move
from hospitium.engine.organizations.record import (
    PROFILE_COLUMNS,
    OrganizationProfile,
    OrganizationStatus as Status,
    organizations,
)
from hospitium.storage.statements import struct


class Party(StrEnum):
    OPERATOR = "operator"


# Never before the last change, though this clock may be behind the one of then.
_STAMP: dict[str, Any] = {
    "updated_at": func.greatest(bindparam("now", type_=TIMESTAMP(timezone=True)), organizations.c.updated_at)
}
MOVES = {
    "approve": Move(frozenset({Status.PENDING}), Status.ACTIVE, Party.OPERATOR, _STAMP),
    "suspend": Move(frozenset({Status.ACTIVE}), Status.SUSPENDED, Party.OPERATOR, _STAMP),
    "reinstate": Move(frozenset({Status.SUSPENDED}), Status.ACTIVE, Party.OPERATOR, _STAMP),
}
LIFECYCLE = Lifecycle(organizations, struct(OrganizationProfile), PROFILE_COLUMNS, MOVES)
