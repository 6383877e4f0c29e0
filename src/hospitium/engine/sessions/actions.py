"""What can happen to a session: it starts, is renewed, moves to another organization, and ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import Uuid, bindparam, delete, select, update

from hospitium.engine import events
from hospitium.engine.accounts.record import (
    ACCOUNT_COLUMNS,
    UNCONFIRMED_LIFE,
    Account,
    AccountStatus,
    accounts,
)
from hospitium.engine.errors import (
    AccountDisabled,
    Forbidden,
    NotConfirmed,
    NotFound,
    NotSignedIn,
    OrganizationInactive,
    SessionEnded,
    WrongCredentials,
)
from hospitium.engine.events import EventKind
from hospitium.engine.memberships import queries as membership_queries
from hospitium.engine.organizations.record import OrganizationStatus
from hospitium.engine.permissions import MEMBERSHIP_HELD, Permission, require
from hospitium.engine.sessions import queries
from hospitium.engine.sessions.record import (
    REFRESH_LIFE,
    REPEAT_GRACE,
    SESSION_COLUMNS,
    Session,
    refresh_tokens,
    sessions,
)
from hospitium.storage.statements import Query, Statement, insert_into, scalar, struct

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from hospitium.engine.context import Context
    from hospitium.engine.memberships.queries import Belonging
    from hospitium.engine.secrets import HashedPassword, LinkToken, SessionCookie, TokenSeed
    from hospitium.engine.sessions.queries import RefreshToken


class PasswordVerdict(NamedTuple):
    """Proof that a password was compared, slowly and outside any transaction, with the hash an account had."""

    account_id: UUID | None
    compared_with: HashedPassword | None
    fits: bool


class SignedIn(NamedTuple):
    """A session, whose it is, and for which organization it acts."""

    session: Session
    account: Account
    belonging: Belonging | None


# Locked, so that whoever disables the account meanwhile waits, and then finds the session and ends it.
_ACCOUNT_WITH_HASH = Query(
    select(*ACCOUNT_COLUMNS)
    .where(accounts.c.id == bindparam("account_id"), accounts.c.password_hash == bindparam("password_hash"))
    .with_for_update(read=True),
    struct(Account),
)
_INSERT = Query(
    insert_into(sessions, *Session.__struct_fields__, "cookie_digest").returning(*SESSION_COLUMNS),
    struct(Session),
)
_INSERT_TOKEN = Statement(
    insert_into(
        refresh_tokens, "id", "session_id", "key_number", "nonce", "digest", "issued_at", "expires_at"
    )
)
_USE_TOKEN = Statement(
    update(refresh_tokens)
    .where(
        refresh_tokens.c.id == bindparam("token_id"),
        refresh_tokens.c.used_at.is_(None),
        refresh_tokens.c.expires_at > bindparam("now"),
    )
    .values(used_at=bindparam("now"), successor_id=bindparam("successor"))
)
_PROLONG = Statement(
    update(sessions).where(sessions.c.id == bindparam("session_id")).values(expires_at=bindparam("until"))
)
_MOVE = Query(
    update(sessions)
    .where(sessions.c.id == bindparam("session_id"))
    .values(organization_id=bindparam("to_organization"))
    .returning(*SESSION_COLUMNS),
    struct(Session),
)
_END = Query(
    update(sessions)
    .where(
        sessions.c.id == bindparam("session_id"),
        sessions.c.account_id == bindparam("of_account"),
        sessions.c.ended_at.is_(None),
    )
    .values(ended_at=bindparam("now"), end_reason=bindparam("reason"))
    .returning(*SESSION_COLUMNS),
    struct(Session),
)
_END_ALL = Query(
    update(sessions)
    .where(
        sessions.c.account_id == bindparam("of_account"),
        sessions.c.ended_at.is_(None),
        sessions.c.expires_at > bindparam("now"),
        sessions.c.id.is_distinct_from(bindparam("but", type_=Uuid)),
    )
    .values(ended_at=bindparam("now"), end_reason=bindparam("reason"))
    .returning(sessions.c.id),
    scalar("id"),
)

TIDIED_AT_ONCE = 1_000
_EXPIRE = Statement(
    update(sessions)
    .where(
        sessions.c.id.in_(
            select(sessions.c.id)
            .where(sessions.c.ended_at.is_(None), sessions.c.expires_at <= bindparam("now"))
            .limit(bindparam("limit"))
            .with_for_update(skip_locked=True)
        )
    )
    .values(ended_at=sessions.c.expires_at, end_reason="expired")
)
# Oldest first: a token is named by the one before it, which expires no later.
_FORGET_TOKENS = Statement(
    delete(refresh_tokens).where(
        refresh_tokens.c.id.in_(
            select(refresh_tokens.c.id)
            .where(refresh_tokens.c.expires_at <= bindparam("now"))
            .order_by(refresh_tokens.c.expires_at, refresh_tokens.c.id)
            .limit(bindparam("limit"))
        )
    )
)


async def start(
    ctx: Context,
    verdict: PasswordVerdict,
    organization_id: UUID | None,
    refresh: TokenSeed,
    cookie: SessionCookie | None = None,
) -> SignedIn:
    """Sign in with a password that was compared before; act for `organization_id`, or for the oldest active one. A browser is
    known again by its `cookie`.

    Raises WrongCredentials, AccountDisabled, NotConfirmed, OrganizationInactive (none of the account's organizations is active, or the
    chosen one isn't), Forbidden (the chosen one isn't the account's, or is held by a restore).
    """
    require(ctx.actor, Permission.SIGN_IN)
    account = await _account_proved(ctx, verdict)
    if account.status is AccountStatus.DISABLED:
        raise AccountDisabled
    until = _until(ctx, account)
    if until <= ctx.now:
        raise NotConfirmed
    belonging = _choose(await membership_queries.of_account(ctx, account.id), organization_id)
    session = await _INSERT.first(
        ctx.tx,
        id=ctx.new_id(),
        account_id=account.id,
        organization_id=None if belonging is None else belonging.organization_id,
        started_at=ctx.now,
        expires_at=until,
        cookie_digest=None if cookie is None else cookie.digest(),
    )
    assert session is not None  # an INSERT … RETURNING without conflict clause has a row  # noqa: S101
    await _issue(ctx, session.id, refresh, until)
    await _tell(ctx, EventKind.SESSION_STARTED, session)
    return SignedIn(session, account, _unless_held(belonging))


async def note_failed_sign_in(ctx: Context, verdict: PasswordVerdict, reason: str) -> None:
    """Keep that a sign-in failed, in the trail of the account if there is one."""
    await events.record(
        ctx,
        EventKind.SESSION_REFUSED,
        subject=("account", verdict.account_id),
        accounts=[verdict.account_id],
        reason=reason,
    )


class Renewed(NamedTuple):
    """A renewed session, and the row of the refresh token that comes next."""

    signed_in: SignedIn
    token: RefreshToken


class TokenReused(NamedTuple):
    """A refresh token came a second time: somebody has a copy. Its session is ended, whoever asked."""


async def renew(ctx: Context, token: LinkToken, successor: TokenSeed) -> Renewed | TokenReused:
    """Exchange a refresh token for its successor (rotation).

    A token that comes again within ten seconds gets the same successor, as long as that was not used itself; later, or
    after that, the whole session ends: the verdict is returned, not raised, so that the ending is kept. Raises
    SessionEnded.
    """
    require(ctx.actor, Permission.RENEW_SESSION)
    found = await queries.token_by_digest(ctx, token.digest())
    if found is None:
        raise SessionEnded
    locked = await queries.lock_open(ctx, found.session_id)
    # Read again under the session's lock: of two renewals at once the second sees what the first did.
    found = await queries.token_by_digest(ctx, token.digest())
    if locked is None or found is None or found.expires_at <= ctx.now:
        raise SessionEnded
    session, account = locked

    if found.used_at is None:
        until = _until(ctx, account)
        if until <= ctx.now:
            raise SessionEnded
        await _issue(ctx, session.id, successor, until)
        await _USE_TOKEN.run(ctx.tx, token_id=found.id, now=ctx.now, successor=successor.row_id)
        await _PROLONG.run(ctx.tx, session_id=session.id, until=until)
        next_id: UUID | None = successor.row_id
    else:
        next_id = found.successor_id
    following = None if next_id is None else await queries.token_by_id(ctx, next_id)
    repeated = found.used_at is not None and ctx.now > found.used_at + REPEAT_GRACE
    if following is None or repeated or following.used_at is not None:
        await _end(ctx, session.id, account.id, "token_reused", EventKind.SESSION_TOKEN_REUSED)
        return TokenReused()
    belonging = await _current(ctx, session)
    return Renewed(SignedIn(session, account, belonging), following)


async def move(ctx: Context, organization_id: UUID) -> SignedIn:
    """Act for another of the account's organizations from now on. Raises Forbidden, OrganizationInactive."""
    require(ctx.actor, Permission.CHOOSE_ORGANIZATION)
    if ctx.actor.account_id is None or ctx.actor.session_id is None:
        raise NotSignedIn
    belonging = _choose(await membership_queries.of_account(ctx, ctx.actor.account_id), organization_id)
    locked = await queries.lock_open(ctx, ctx.actor.session_id)
    if locked is None:
        raise SessionEnded
    session = await _MOVE.first(ctx.tx, session_id=ctx.actor.session_id, to_organization=organization_id)
    assert session is not None  # its row is locked by this transaction  # noqa: S101
    await _tell(ctx, EventKind.SESSION_MOVED, session)
    return SignedIn(session, locked[1], belonging)


async def end(ctx: Context) -> None:
    """End the actor's own session; its tokens are refused at once."""
    require(ctx.actor, Permission.SIGN_OUT)
    if ctx.actor.session_id is None:
        raise NotSignedIn
    await _end(ctx, ctx.actor.session_id, ctx.actor.account_id, "signed_out", EventKind.SESSION_ENDED)


async def end_own(ctx: Context, session_id: UUID) -> None:
    """End one of the actor's own sessions, on whatever device it is. Raises NotFound."""
    require(ctx.actor, Permission.SIGN_OUT)
    if not await _end(ctx, session_id, ctx.actor.account_id, "ended_by_owner", EventKind.SESSION_ENDED):
        raise NotFound("session")


async def end_others(ctx: Context) -> int:
    """End all of the actor's sessions but the one that asks; return how many."""
    require(ctx.actor, Permission.SIGN_OUT)
    if ctx.actor.account_id is None:
        raise NotSignedIn
    return await end_all_of(ctx, ctx.actor.account_id, "ended_by_owner", but=ctx.actor.session_id)


async def end_all_of(ctx: Context, account_id: UUID, reason: str, *, but: UUID | None = None) -> int:
    """End every session of an account, `but` one; return how many. Called by actions that have asked for their own permission."""
    ended = await _END_ALL.all(ctx.tx, of_account=account_id, now=ctx.now, reason=reason, but=but)
    if ended:
        await events.record(
            ctx,
            EventKind.SESSIONS_ENDED,
            subject=("account", account_id),
            accounts=[account_id],
            sessions=ended,
            reason=reason,
        )
    return len(ended)


async def tidy(ctx: Context) -> bool:
    """Write down that sessions have expired, and forget refresh tokens that have, a thousand at a time; return whether
    there are more. For the sweep: what has expired is refused by the clock, whether or not this has run."""
    expired = await _EXPIRE.run(ctx.tx, now=ctx.now, limit=TIDIED_AT_ONCE)
    forgotten = await _FORGET_TOKENS.run(ctx.tx, now=ctx.now, limit=TIDIED_AT_ONCE)
    return TIDIED_AT_ONCE in (expired, forgotten)


async def _account_proved(ctx: Context, verdict: PasswordVerdict) -> Account:
    if not verdict.fits or verdict.account_id is None or verdict.compared_with is None:
        raise WrongCredentials
    # The hash is compared again: whoever changed the password in between has the last word.
    account = await _ACCOUNT_WITH_HASH.first(
        ctx.tx, account_id=verdict.account_id, password_hash=verdict.compared_with.reveal()
    )
    if account is None:
        raise WrongCredentials
    return account


def _choose(belongings: list[Belonging], organization_id: UUID | None) -> Belonging | None:
    if organization_id is not None:
        belongings = [one for one in belongings if one.organization_id == organization_id]
        if not belongings:
            raise Forbidden("You are not a member of this organization")
    if organization_id is not None and belongings[0].is_held:
        raise Forbidden(MEMBERSHIP_HELD)
    active = [one for one in belongings if one.organization_status is OrganizationStatus.ACTIVE]
    active.sort(key=lambda one: one.is_held)
    only_pending = all(one.organization_status is OrganizationStatus.PENDING for one in belongings)
    if belongings and not active and (organization_id is not None or not only_pending):
        raise OrganizationInactive
    return active[0] if active else None


def _unless_held(belonging: Belonging | None) -> Belonging | None:
    """Return for which organization a session acts now: one that a restore holds is the session's, but not yet in force."""
    return None if belonging is None or belonging.is_held else belonging


async def _current(ctx: Context, session: Session) -> Belonging | None:
    if session.organization_id is None:
        return None
    for belonging in await membership_queries.of_account(ctx, session.account_id):
        if belonging.organization_id == session.organization_id:
            return _unless_held(belonging)
    return None


def _until(ctx: Context, account: Account) -> datetime:
    """Until when a session may last: of an account whose mailbox isn't proved, no longer than that may be used (ruling 22)."""
    until = ctx.now + REFRESH_LIFE
    return until if account.is_confirmed else min(until, account.created_at + UNCONFIRMED_LIFE)


async def _issue(ctx: Context, session_id: UUID, token: TokenSeed, until: datetime) -> None:
    await _INSERT_TOKEN.run(
        ctx.tx,
        id=token.row_id,
        session_id=session_id,
        key_number=token.key_number,
        nonce=token.nonce,
        digest=token.digest,
        issued_at=ctx.now,
        expires_at=until,
    )


async def _end(ctx: Context, session_id: UUID, account_id: UUID | None, reason: str, kind: EventKind) -> bool:
    """End a session of an account, if it is open; return whether it was."""
    ended = await _END.first(ctx.tx, session_id=session_id, of_account=account_id, now=ctx.now, reason=reason)
    if ended is not None:
        await _tell(ctx, kind, ended)
    return ended is not None


async def _tell(ctx: Context, kind: EventKind, session: Session) -> None:
    await events.record(
        ctx,
        kind,
        subject=("session", session.id),
        organizations=[session.organization_id],
        accounts=[session.account_id],
    )
