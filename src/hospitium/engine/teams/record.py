"""What is always true of a team, and of who is in it: an interval, never changed in place (docs/decisions/0006)."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import Boolean, CheckConstraint, Column, ForeignKey, Index, Integer, Table, Text, Uuid
from sqlalchemy.dialects.postgresql import TIMESTAMP

from hospitium.storage.tables import metadata

_WHEN = TIMESTAMP(timezone=True)
teams = Table(
    "teams",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("organization_id", ForeignKey("organizations.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("name_key", Text(collation="C"), nullable=False),
    Column("created_at", _WHEN, nullable=False),
    Column("ended_at", _WHEN),
    Column("version", Integer, nullable=False, server_default="1"),
    CheckConstraint("ended_at >= created_at", name="ends_after_creation"),
)
Index(
    "teams_one_name_ix",
    teams.c.organization_id,
    teams.c.name_key,
    unique=True,
    postgresql_where=teams.c.ended_at.is_(None),
)

team_memberships = Table(
    "team_memberships",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("team_id", ForeignKey("teams.id"), nullable=False),
    Column("account_id", ForeignKey("accounts.id"), nullable=False),
    Column("is_owner", Boolean, nullable=False),
    Column("starts_at", _WHEN, nullable=False),
    Column("ends_at", _WHEN),
    CheckConstraint("ends_at >= starts_at", name="ends_after_start"),
)
_is_open = team_memberships.c.ends_at.is_(None)
Index(
    "team_memberships_one_open_ix",
    team_memberships.c.team_id,
    team_memberships.c.account_id,
    unique=True,
    postgresql_where=_is_open,
)
Index(
    "team_memberships_one_owner_ix",
    team_memberships.c.team_id,
    unique=True,
    postgresql_where=team_memberships.c.is_owner & _is_open,
)
Index("team_memberships_of_account_ix", team_memberships.c.account_id, team_memberships.c.team_id)


class Team(msgspec.Struct, frozen=True):
    """A named group of accounts in an organization."""

    id: UUID
    organization_id: UUID
    name: str
    created_at: datetime
    ended_at: datetime | None
    version: int


class TeamMembership(msgspec.Struct, frozen=True):
    """An account in a team, as its owner or not, from when until when."""

    id: UUID
    team_id: UUID
    account_id: UUID
    is_owner: bool
    starts_at: datetime
    ends_at: datetime | None


TEAM_COLUMNS = tuple(teams.c[name] for name in Team.__struct_fields__)
TEAM_MEMBERSHIP_COLUMNS = tuple(team_memberships.c[name] for name in TeamMembership.__struct_fields__)
