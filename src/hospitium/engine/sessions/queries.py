"""Whose session: read on each request, so that an ending, of whatever kind, holds at once (ruling 2)."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
from sqlalchemy import bindparam, false, func, select

from hospitium.engine.accounts.record import ACCOUNT_COLUMNS, Account, AccountStatus, accounts
from hospitium.engine.actor import Actor, ActorKind, Role
from hospitium.engine.epochs.queries import HELD_UNTIL
from hospitium.engine.errors import NotSignedIn
from hospitium.engine.memberships.record import memberships
from hospitium.engine.organizations.record import OrganizationStatus, organizations
from hospitium.engine.secrets import SessionCookie
from hospitium.engine.sessions.record import SESSION_COLUMNS, Session, refresh_tokens, sessions
from hospitium.storage.statements import Query, pair, scalar, struct

if TYPE_CHECKING:
    from sqlalchemy import FromClause, Select

    from hospitium.engine.context import Context
    from hospitium.storage.database import Transaction


class ActorRow(msgspec.Struct, frozen=True):
    """Who acts through a session, as the rows say."""

    session_id: UUID
    account_id: UUID
    organization_id: UUID | None
    organization_type: str | None
    organization_status: OrganizationStatus | None
    role: Role | None
    is_confirmed: bool
    is_held: bool

    def actor(self) -> Actor:
        """Return him. A membership that a restore holds gives no role: he acts for no organization until the operator confirms."""
        if self.is_held:
            return Actor(
                ActorKind.ACCOUNT,
                self.account_id,
                self.session_id,
                is_confirmed=self.is_confirmed,
                is_held=True,
            )
        return Actor(
            ActorKind.ACCOUNT,
            self.account_id,
            self.session_id,
            self.organization_id,
            self.organization_type,
            self.organization_status is OrganizationStatus.ACTIVE,
            self.role,
            self.is_confirmed,
        )


_is_open = (sessions.c.ended_at.is_(None)) & (sessions.c.expires_at > bindparam("now"))


def acting(source: FromClause, *more: Any) -> Select[Any]:
    """Return the statement whose row is an `ActorRow`, of each open session of a FROM in which `sessions` stands; with `more` columns
    after. For whoever asks for more in the same statement."""
    joined = (
        source.join(accounts, accounts.c.id == sessions.c.account_id)
        .outerjoin(
            memberships,
            (memberships.c.account_id == sessions.c.account_id)
            & (memberships.c.organization_id == sessions.c.organization_id)
            & memberships.c.ends_at.is_(None),
        )
        .outerjoin(organizations, organizations.c.id == memberships.c.organization_id)
    )
    return (
        select(
            sessions.c.id.label("actor__session_id"),
            sessions.c.account_id,
            memberships.c.organization_id,
            organizations.c.type.label("actor__organization_type"),
            organizations.c.status.label("actor__organization_status"),
            memberships.c.role,
            accounts.c.verified_at.is_not(None).label("actor__is_confirmed"),
            func.coalesce(memberships.c.starts_at <= HELD_UNTIL, false()).label("actor__is_held"),
            *more,
        )
        .select_from(joined)
        .where(_is_open, accounts.c.status == AccountStatus.ACTIVE.value)
    )


IS_ID, IS_COOKIE = sessions.c.id == bindparam("session_id"), sessions.c.cookie_digest == bindparam("digest")
_ACTOR, _ACTOR_BY_COOKIE = (
    Query(acting(sessions).where(one), struct(ActorRow)) for one in (IS_ID, IS_COOKIE)
)


async def actor_of(tx: Transaction, credential: UUID | SessionCookie, now: datetime) -> Actor | None:
    """Return who acts through a session (its id, or the cookie that stands for it), with role, membership and status as the
    rows say now; None if it is over."""
    if isinstance(credential, SessionCookie):
        row = await _ACTOR_BY_COOKIE.first(tx, digest=credential.digest(), now=now)
    else:
        row = await _ACTOR.first(tx, session_id=credential, now=now)
    return None if row is None else row.actor()


class RefreshToken(msgspec.Struct, frozen=True):
    """What is kept of a refresh token."""

    id: UUID
    session_id: UUID
    key_number: int
    nonce: bytes
    expires_at: datetime
    used_at: datetime | None
    successor_id: UUID | None


REFRESH_COLUMNS = tuple(refresh_tokens.c[name] for name in RefreshToken.__struct_fields__)
_TOKEN_BY_DIGEST = Query(
    select(*REFRESH_COLUMNS).where(refresh_tokens.c.digest == bindparam("digest")), struct(RefreshToken)
)
_TOKEN_BY_ID = Query(
    select(*REFRESH_COLUMNS).where(refresh_tokens.c.id == bindparam("token_id")), struct(RefreshToken)
)
_LOCK_OPEN = Query(
    select(
        *(column.label(f"session__{column.key}") for column in SESSION_COLUMNS),
        *(column.label(f"account__{column.key}") for column in ACCOUNT_COLUMNS),
    )
    .join(accounts, accounts.c.id == sessions.c.account_id)
    .where(
        sessions.c.id == bindparam("session_id"),
        _is_open,
        accounts.c.status == AccountStatus.ACTIVE.value,
    )
    .with_for_update(of=sessions),
    pair(struct(Session), struct(Account)),
)


async def token_by_digest(ctx: Context, digest: bytes) -> RefreshToken | None:
    """Return the refresh token whose text has this SHA-256."""
    return await _TOKEN_BY_DIGEST.first(ctx.tx, digest=digest)


async def token_by_id(ctx: Context, token_id: UUID) -> RefreshToken | None:
    """Return a refresh token; its text can be derived from it with the key."""
    return await _TOKEN_BY_ID.first(ctx.tx, token_id=token_id)


_IS_OPEN = Query(
    select(sessions.c.id).where(sessions.c.id == bindparam("session_id"), sessions.c.ended_at.is_(None)),
    scalar("id"),
)
_OPEN_OF_ACCOUNT = Query(
    select(*SESSION_COLUMNS)
    .where(sessions.c.account_id == bindparam("account_id"), _is_open)
    .order_by(sessions.c.started_at.desc(), sessions.c.id.desc()),
    struct(Session),
)


async def open_of_account(ctx: Context, account_id: UUID) -> list[Session]:
    """Return the sessions of an account that are open now, the newest first."""
    return await _OPEN_OF_ACCOUNT.all(ctx.tx, account_id=account_id, now=ctx.now)


async def open_of_actor(ctx: Context) -> list[Session]:
    """Return the actor's own open sessions, the newest first."""
    if ctx.actor.account_id is None:
        raise NotSignedIn
    return await open_of_account(ctx, ctx.actor.account_id)


async def is_open(ctx: Context, session_id: UUID) -> bool:
    """Whether a session has not been ended, as of this moment: for a deed that waited for a lock since it was read."""
    return await _IS_OPEN.first(ctx.tx, session_id=session_id) is not None


async def lock_open(ctx: Context, session_id: UUID) -> tuple[Session, Account] | None:
    """Lock a session that is neither ended nor expired nor of a disabled account; return it with its account."""
    return await _LOCK_OPEN.first(ctx.tx, session_id=session_id, now=ctx.now)
