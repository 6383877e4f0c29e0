"""Who acts. Read from the rows on each request, never from what a token claims (ruling 2)."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

import msgspec

from hospitium.engine.service_keys.record import Scope


class ActorKind(StrEnum):
    ANONYMOUS = "anonymous"
    ACCOUNT = "account"
    SERVICE_KEY = "service_key"  # an application of an organization
    OPERATOR = "operator"  # whoever runs the command line beside the database
    SYSTEM = "system"  # what happens while nobody asks


class Role(StrEnum):
    """What an account is in an organization (ruling 23)."""

    ADMIN = "admin"
    PHYSICIAN = "physician"
    ADMIN_STAFF = "admin_staff"
    SCHEDULER = "scheduler"
    RADIOLOGIST = "radiologist"
    TRIAL_PHYSICIAN = "trial_physician"
    MEMBER = "member"

    @property
    def is_staff(self) -> bool:
        """Whether it counts as staff; a member only uses the organization's record sharing."""
        return self is not Role.MEMBER


class Actor(msgspec.Struct, frozen=True):
    """Who acts, through which session, for which organization and as what in it, and whether his mailbox is proved; or by which
    service key, and what that is for."""

    kind: ActorKind
    account_id: UUID | None = None
    session_id: UUID | None = None
    organization_id: UUID | None = None
    organization_type: str | None = None
    organization_is_active: bool = False
    role: Role | None = None
    is_confirmed: bool = False
    is_held: bool = False  # his membership, by a restore: he acts for no organization
    service_key_id: UUID | None = None
    scopes: frozenset[Scope] = frozenset()

    @property
    def is_staff(self) -> bool:
        return self.role is not None and self.role.is_staff

    @property
    def is_administrator(self) -> bool:
        return self.role is Role.ADMIN


ANONYMOUS = Actor(ActorKind.ANONYMOUS)
OPERATOR = Actor(ActorKind.OPERATOR)
SYSTEM = Actor(ActorKind.SYSTEM)
