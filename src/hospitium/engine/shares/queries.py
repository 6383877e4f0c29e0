"""Which shares. One sees those one made and those one was offered; whoever holds Share on a context, all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import (
    Boolean,
    Integer,
    Text,
    Uuid,
    and_,
    bindparam,
    case,
    cast,
    exists,
    false,
    func,
    literal_column,
    null,
    or_,
    select,
    true,
    union,
)
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP, array

from hospitium.engine.access.standing import counts, open_of_account
from hospitium.engine.accounts.record import AccountStatus, accounts
from hospitium.engine.errors import NotSignedIn
from hospitium.engine.grants.record import grants
from hospitium.engine.levels import Level
from hospitium.engine.object_types.record import object_types
from hospitium.engine.organizations.record import OrganizationStatus, organizations
from hospitium.engine.permissions import Permission, require
from hospitium.engine.shares.record import (
    ACTIVE,
    PENDING,
    SHARE_COLUMNS,
    Share,
    ShareStatus,
    TargetForm,
    is_live,
    shares,
)
from hospitium.engine.teams import queries as team_queries
from hospitium.engine.teams.record import team_memberships
from hospitium.storage.statements import Query, exactly, pair, scalar, struct

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from hospitium.engine.context import Context
    from hospitium.engine.secrets import LinkToken

_c = shares.c
_WHEN = TIMESTAMP(timezone=True)
_NOW = bindparam("now", type_=_WHEN)
_ME = bindparam("account_id", type_=Uuid)
_m = team_memberships.c


class ShareView(msgspec.Struct, frozen=True):
    """A share as somebody sees it: the names of its object type (None: it is of an account), and how it concerns him."""

    share: Share
    type_name: str | None
    plural_name: str | None
    label: str | None
    is_target: bool  # who may accept, decline and leave it: for a team, its owner
    is_in_target: bool  # whom an active one reaches through his team
    is_orphan: bool = False  # made by who could no longer make it (ruling 14a)


class _Seen(msgspec.Struct, frozen=True):
    name: str | None
    plural_name: str | None
    label: str | None
    is_target: bool
    is_in_target: bool


class Wanted(NamedTuple):
    """Which of the shares one can see: of an organization, of a status, those one made or was offered, with an account, of a type,
    of one record or account."""

    organization_id: UUID | None = None
    status: ShareStatus | None = None
    made: bool = True
    offered: bool = True
    with_account: UUID | None = None
    object_type_id: UUID | None = None
    of_accounts: bool = False
    context_id: UUID | None = None


# -- parts -------------------------------------------------------------------------------------------------------------

_is_there = and_(
    is_live(_c.status),
    or_(_c.window_ends_at.is_(None), _c.window_ends_at > _NOW),
    or_(exactly(_c.status, ACTIVE), _c.expires_at > _NOW),
)
_my_address = (
    select(accounts.c.email_key)
    .where(
        accounts.c.id == _ME,
        accounts.c.verified_at.is_not(None),
        exactly(accounts.c.status, AccountStatus.ACTIVE),
    )
    .scalar_subquery()
)
_owned_by_me = exists().where(
    _m.team_id == _c.target_team_id, _m.account_id == _ME, _m.is_owner, _m.ends_at.is_(None)
)
_is_target = func.coalesce(
    or_(
        _c.target_account_id == _ME,
        and_(
            exactly(_c.target_form, TargetForm.EMAIL),
            exactly(_c.status, PENDING),
            _c.target_email_key == _my_address,
        ),
        _owned_by_me,
    ),
    false(),
)
_is_in_target = and_(
    exactly(_c.status, ACTIVE),
    exists().where(_m.team_id == _c.target_team_id, _m.account_id == _ME, _m.ends_at.is_(None)),
)
_VIEW = (
    *SHARE_COLUMNS,
    object_types.c.name,
    object_types.c.plural_name,
    object_types.c.label,
    _is_target.label("share__is_target"),
    _is_in_target.label("share__is_in_target"),
)
_READER = pair(struct(Share), struct(_Seen))
_seen = shares.outerjoin(object_types, object_types.c.id == _c.object_type_id)


def _view(found: tuple[Share, _Seen], *, is_orphan: bool = False) -> ShareView:
    share, seen = found
    return ShareView(
        share, seen.name, seen.plural_name, seen.label, seen.is_target, seen.is_in_target, is_orphan
    )


# -- lists -------------------------------------------------------------------------------------------------------------

_BEFORE, _MOST = bindparam("before", type_=Uuid), bindparam("most", type_=Integer)


def _asked_for(column: ColumnElement[Any], name: str, kind: Any) -> ColumnElement[bool]:
    wanted = bindparam(name, type_=kind)
    return or_(wanted.is_(null()), column == wanted)


_wanted = and_(
    _is_there,
    _c.id < _BEFORE,
    _asked_for(_c.organization_id, "organization_id", Uuid),
    _asked_for(_c.status, "status", Text),
    _asked_for(_c.object_type_id, "object_type_id", Uuid),
    _asked_for(_c.context_id, "context_id", Uuid),
    or_(~bindparam("of_accounts", type_=Boolean), _c.shared_account_id.is_not(None)),
    or_(
        bindparam("with_account", type_=Uuid).is_(null()),
        _c.creator_id == bindparam("with_account", type_=Uuid),
        _c.target_account_id == bindparam("with_account", type_=Uuid),
    ),
)


def _first(column: ColumnElement[Any], value: Any, *conditions: Any) -> Any:
    """The first of one kind, by its index: none of the kinds is read further than the page."""
    return (
        select(_c.id).where(_wanted, _is(column, value), *conditions).order_by(*_newest(column)).limit(_MOST)
    )


def _is(column: ColumnElement[Any], value: Any) -> ColumnElement[bool]:
    """Compare so that the order of `_newest` is that of the index of this column, and not of the one by id alone: that would be
    read through all of everybody's when there is much of this one, and it is old."""
    return column == func.any(array([value]))


def _newest(column: ColumnElement[Any]) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    return column.desc(), _c.id.desc()


def _of_account() -> Query[tuple[Share, _Seen]]:
    made, offered = bindparam("made", type_=Boolean), bindparam("offered", type_=Boolean)
    in_team = (
        select(_m.team_id, _m.is_owner).where(_m.account_id == _ME, _m.ends_at.is_(None)).subquery("in_team")
    )
    of_team = (
        _first(
            _c.target_team_id,
            in_team.c.team_id,
            # What waits for the team's owner is nobody else's to see.
            or_(in_team.c.is_owner, exactly(_c.status, ACTIVE)),
            offered,
        )
        .correlate(in_team)
        .lateral("of_team")
    )
    every = union(
        select(_first(_c.creator_id, _ME, made).subquery("made").c.id),
        select(_first(_c.target_account_id, _ME, offered).subquery("to_account").c.id),
        select(
            _first(
                _c.target_email_key,
                _my_address,
                exactly(_c.target_form, TargetForm.EMAIL),
                exactly(_c.status, PENDING),
                offered,
            )
            .subquery("to_address")
            .c.id
        ),
        select(of_team.c.id).select_from(in_team.join(of_team, true())),
    ).subquery("every")
    page = (
        select(every.c.id)
        .order_by(every.c.id.desc())
        .offset(bindparam("skip"))
        .limit(bindparam("limit"))
        .subquery("page")
    )
    return Query(
        select(*_VIEW).select_from(_seen.join(page, page.c.id == _c.id)).order_by(_c.id.desc()), _READER
    )


_OF_ACCOUNT = _of_account()


def _can_share() -> ColumnElement[bool]:
    """Whether the maker of a share could make it today: not one who has lost his access since (ruling 14a)."""
    # Named in words: as a column it would be that of a table of shares of their own, in each road, and never be told apart.
    standing = open_of_account(literal_column("shares.creator_id", Uuid)).lateral("standing")
    found = exists(
        select(grants.c.id)
        .select_from(standing.join(grants, true()))
        .where(
            counts(standing),
            grants.c.resource_kind
            == case((_c.record_id.is_(None), literal_column("'account'")), else_=literal_column("'record'")),
            grants.c.resource_type == func.coalesce(cast(_c.object_type_id, Text), ""),
            grants.c.resource_id == cast(_c.context_id, Text),
            grants.c.level >= int(Level.SHARE),
        )
        .correlate(shares)
    )
    # Who is disabled keeps his grants, and may do nothing by them.
    is_active = exists(
        select(accounts.c.id)
        .where(accounts.c.id == _c.creator_id, exactly(accounts.c.status, AccountStatus.ACTIVE))
        .correlate(shares)
    )
    # Of a record the account is NULL, and must not make the whole NULL.
    return or_(_c.shared_account_id.is_not_distinct_from(_c.creator_id), and_(is_active, found))


_orphan = ~_can_share()
# The page first: what is asked of each share on it is not asked of those that are passed over.
_on_context = (
    select(_c.id)
    .where(
        _is_there,
        _is(_c.context_id, bindparam("context_id", type_=Uuid)),
        _c.id < _BEFORE,
    )
    .order_by(*_newest(_c.context_id))
    .offset(bindparam("skip"))
    .limit(bindparam("limit"))
    .subquery("page")
)
_ON_CONTEXT = Query(
    select(*_VIEW, _orphan.label("share__is_orphan"))
    .select_from(_seen.join(_on_context, _on_context.c.id == _c.id))
    .order_by(_c.id.desc()),
    pair(struct(Share), pair(struct(_Seen), scalar("is_orphan"))),
)


async def of_actor(ctx: Context, wanted: Wanted, before: UUID, skip: int, limit: int) -> list[ShareView]:
    """Return shares the actor made or was offered, that are pending or active now, the newest first, after `skip` from `before` on."""
    require(ctx.actor, Permission.SEE_SHARES)
    if ctx.actor.account_id is None:
        raise NotSignedIn
    await _plan_anew(ctx)
    found = await _OF_ACCOUNT.all(
        ctx.tx,
        account_id=ctx.actor.account_id,
        now=ctx.now,
        before=before,
        skip=skip,
        limit=limit,
        most=skip + limit,
        **wanted._asdict(),
    )
    return [_view(one) for one in found]


async def on_context(
    ctx: Context, context_id: UUID, before: UUID, skip: int, limit: int, *, all_of_them: bool
) -> list[ShareView]:
    """Return shares of one record or account, the newest first: all, or only what concerns the actor."""
    require(ctx.actor, Permission.SEE_SHARES)
    if not all_of_them:
        return await of_actor(ctx, Wanted(context_id=context_id), before, skip, limit)
    await _plan_anew(ctx)
    found = await _ON_CONTEXT.all(
        ctx.tx,
        account_id=ctx.actor.account_id,
        now=ctx.now,
        context_id=context_id,
        before=before,
        skip=skip,
        limit=limit,
    )
    return [_view((share, seen), is_orphan=is_orphan) for share, (seen, is_orphan) in found]


async def _plan_anew(ctx: Context) -> None:
    """What is quick for who has few shares is slow for who has many: lists are planned for the one who asks."""
    await ctx.tx.execute("SET LOCAL plan_cache_mode = force_custom_plan")


# -- one ---------------------------------------------------------------------------------------------------------------

_BY_ID = Query(select(*_VIEW).select_from(_seen).where(_c.id == bindparam("share_id")), _READER)
_BY_IDS = Query(
    select(*_VIEW).select_from(_seen).where(_c.id == func.any(bindparam("share_ids", type_=ARRAY(Uuid)))),
    _READER,
)
_LOCK = Query(
    select(*_VIEW).select_from(_seen).where(_c.id == bindparam("share_id")).with_for_update(of=shares),
    _READER,
)
_BY_TOKEN = Query(
    select(*_VIEW)
    .select_from(_seen.join(organizations, organizations.c.id == _c.organization_id))
    .where(_c.digest == bindparam("digest"), exactly(organizations.c.status, OrganizationStatus.ACTIVE)),
    _READER,
)


async def find(ctx: Context, share_id: UUID) -> ShareView | None:
    """Return a share, whatever its status, and how it concerns the actor."""
    found = await _BY_ID.first(ctx.tx, share_id=share_id, account_id=ctx.actor.account_id)
    return None if found is None else _view(found)


async def by_ids(ctx: Context, share_ids: list[UUID]) -> list[ShareView]:
    """Return some shares, in the order of the ids given."""
    found = await _BY_IDS.all(ctx.tx, share_ids=share_ids, account_id=ctx.actor.account_id)
    views = {one.share.id: one for one in map(_view, found)}
    return [views[share_id] for share_id in share_ids]


async def who_answers(ctx: Context, share: Share) -> UUID | None:
    """Return the account that answers for the target of a share: itself, or who owns the team now; None of a mere address."""
    if share.target_team_id is None:
        return share.target_account_id
    return await team_queries.owner_of(ctx, share.target_team_id)


async def lock(ctx: Context, share_id: UUID) -> ShareView | None:
    """Lock a share until this transaction ends, and return it as it is then."""
    found = await _LOCK.first(ctx.tx, share_id=share_id, account_id=ctx.actor.account_id)
    return None if found is None else _view(found)


async def by_token(ctx: Context, token: LinkToken) -> ShareView | None:
    """Return the share a token stands for, dead or alive; none of an organization that isn't active."""
    found = await _BY_TOKEN.first(ctx.tx, digest=token.digest(), account_id=ctx.actor.account_id)
    return None if found is None else _view(found)


# -- for deeds ---------------------------------------------------------------------------------------------------------


class LiveShare(msgspec.Struct, frozen=True):
    """A share that something is about to end."""

    id: UUID
    status: ShareStatus
    level: int
    context_id: UUID


_LIVE = tuple(_c[name] for name in LiveShare.__struct_fields__)
_live = select(*_LIVE).where(is_live(_c.status))
_LIVE_ON = Query(
    _live.where(_c.context_id == func.any(bindparam("context_ids", type_=ARRAY(Uuid)))), struct(LiveShare)
)
_LIVE_UNDER = Query(
    _live.where(_c.made_under_id == func.any(bindparam("grant_ids", type_=ARRAY(Uuid)))), struct(LiveShare)
)
_LIVE_WITH_TEAM = Query(_live.where(_c.target_team_id == bindparam("team_id")), struct(LiveShare))
_LIVE_TO_ACCOUNT = Query(_live.where(_c.target_account_id == bindparam("to_account")), struct(LiveShare))
_ORPHANS = Query(_live.where(_c.context_id == bindparam("context_id"), _is_there, _orphan), struct(LiveShare))
_LIKE_IT = Query(
    select(*SHARE_COLUMNS).where(
        exactly(_c.status, ACTIVE),
        _c.context_id == bindparam("context_id"),
        _c.target_account_id == bindparam("to_account"),
        _c.creator_id == bindparam("of_creator"),
        _c.made_under_id.is_not_distinct_from(bindparam("made_under", type_=Uuid)),
        _c.window_starts_at.is_(None),
        _c.window_ends_at.is_not_distinct_from(bindparam("window_ends_at", type_=_WHEN)),
    ),
    struct(Share),
)
_OVERDUE = or_(
    and_(exactly(_c.status, PENDING), or_(_c.expires_at <= _NOW, _c.window_ends_at <= _NOW)),
    and_(exactly(_c.status, ACTIVE), _c.window_ends_at <= _NOW),
)
_OVERDUE_TO = Query(
    select(*SHARE_COLUMNS).where(
        _c.context_id == bindparam("context_id"),
        is_live(_c.status),
        or_(
            _c.target_email_key == func.any(bindparam("email_keys", type_=ARRAY(Text))),
            _c.target_account_id == func.any(bindparam("account_ids", type_=ARRAY(Uuid))),
            _c.target_team_id == func.any(bindparam("team_ids", type_=ARRAY(Uuid))),
        ),
        _OVERDUE,
    ),
    struct(Share),
)
_ONE_TO_EXPIRE = Query(
    select(*SHARE_COLUMNS)
    .where(exactly(_c.status, PENDING), _c.expires_at <= _NOW)
    .order_by(_c.expires_at)
    .limit(1),
    struct(Share),
)
_ONE_TO_CLOSE = Query(
    select(*SHARE_COLUMNS)
    .where(exactly(_c.status, ACTIVE), _c.window_ends_at.is_not(None), _c.window_ends_at <= _NOW)
    .order_by(_c.window_ends_at)
    .limit(1),
    struct(Share),
)


async def live_on(ctx: Context, context_ids: list[UUID]) -> list[LiveShare]:
    """Return what is pending or active on some records or accounts."""
    return await _LIVE_ON.all(ctx.tx, context_ids=context_ids)


async def live_under(ctx: Context, grant_ids: list[UUID]) -> list[LiveShare]:
    """Return what is pending or active and was made under some grants."""
    return await _LIVE_UNDER.all(ctx.tx, grant_ids=grant_ids)


async def live_with_team(ctx: Context, team_id: UUID) -> list[LiveShare]:
    """Return what is pending or active with a team."""
    return await _LIVE_WITH_TEAM.all(ctx.tx, team_id=team_id)


async def live_to_account(ctx: Context, account_id: UUID) -> list[LiveShare]:
    """Return what is pending or active with an account that is named or has accepted."""
    return await _LIVE_TO_ACCOUNT.all(ctx.tx, to_account=account_id)


async def orphans(ctx: Context, context_id: UUID) -> list[LiveShare]:
    """Return what is pending or active on a context and was made by who could no longer make it."""
    return await _ORPHANS.all(ctx.tx, context_id=context_id, now=ctx.now)


async def like_it(ctx: Context, share: Share, account_id: UUID) -> Share | None:
    """Return the active share that an account has of the same, from the same hand, if there is one; one without a window of its own."""
    if share.window_starts_at is not None:
        return None
    return await _LIKE_IT.first(
        ctx.tx,
        context_id=share.context_id,
        to_account=account_id,
        # In a team two have the same grant: what one of them gave is not for the other to take back.
        of_creator=share.creator_id,
        made_under=share.made_under_id,
        window_ends_at=share.window_ends_at,
    )


async def overdue_to(
    ctx: Context, context_id: UUID, email_keys: list[str], account_ids: list[UUID], team_ids: list[UUID]
) -> list[Share]:
    """Return what the clock has ended already of a context's shares with some targets."""
    return await _OVERDUE_TO.all(
        ctx.tx,
        context_id=context_id,
        email_keys=email_keys,
        account_ids=account_ids,
        team_ids=team_ids,
        now=ctx.now,
    )


async def one_overdue(ctx: Context) -> Share | None:
    """Return a share that nobody accepted in time, or whose window has closed. For the sweep."""
    return await _ONE_TO_EXPIRE.first(ctx.tx, now=ctx.now) or await _ONE_TO_CLOSE.first(ctx.tx, now=ctx.now)
