"""In which order an organization comes to life, is suspended and returns (ruling 28).

pending ──approve──▶ active ──suspend──▶ suspended
                       ▲───────reinstate────┘
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from sqlalchemy import bindparam

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


_STAMP: dict[str, Any] = {"updated_at": bindparam("now")}
MOVES = {
    "approve": Move(frozenset({Status.PENDING}), Status.ACTIVE, Party.OPERATOR, _STAMP),
    "suspend": Move(frozenset({Status.ACTIVE}), Status.SUSPENDED, Party.OPERATOR, _STAMP),
    "reinstate": Move(frozenset({Status.SUSPENDED}), Status.ACTIVE, Party.OPERATOR, _STAMP),
}
LIFECYCLE = Lifecycle(organizations, struct(OrganizationProfile), PROFILE_COLUMNS, MOVES)
