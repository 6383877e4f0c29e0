"""What can happen to a share: it is offered or applied at once, accepted, changed, declined, withdrawn, left, revoked.

Whoever changes who may do what on a record or an account holds its lock first, so that of two deeds the second sees what
the first has done: nothing is made under a grant that is ending.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import asyncpg
from sqlalchemy import Integer, LargeBinary, SmallInteger, Text, Uuid, bindparam, func, insert, select, update
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP

from hospitium.engine.accounts import life, queries as account_queries
from hospitium.engine.accounts.actions import AccountForm
from hospitium.engine.accounts.emails import canonical_email
from hospitium.engine.accounts.record import AccountStatus
from hospitium.engine.actor import Actor, ActorKind
from hospitium.engine.deliveries import actions as deliveries
from hospitium.engine.deliveries.record import Template
from hospitium.engine.errors import (
    AlreadyShared,
    DeadLink,
    NotConfirmed,
    NotFound,
    NotOnesShare,
    NotSharable,
    NotSignedIn,
    SharingDisabled,
    WrongState,
)
from hospitium.engine.events import EventKind
from hospitium.engine.grants import actions as grants
from hospitium.engine.grants.actions import Allowance, Grantee
from hospitium.engine.grants.record import GranteeKind
from hospitium.engine.levels import Level
from hospitium.engine.permissions import Permission, require
from hospitium.engine.secrets import seed
from hospitium.engine.shares import contexts, ending, queries
from hospitium.engine.shares.lifecycle import LIFECYCLE
from hospitium.engine.shares.queries import LiveShare, ShareView
from hospitium.engine.shares.record import (
    ACTIVE,
    PENDING,
    PENDING_LIFE,
    SHARE_PURPOSE,
    Share,
    shares,
)
from hospitium.engine.shares.targets import CheckedTarget, check_level, checked, hold
from hospitium.engine.shares.telling import ENDINGS, tell, tell_all
from hospitium.engine.teams import queries as team_queries
from hospitium.engine.throttles import actions as throttles
from hospitium.engine.throttles.rules import Limit, a_try
from hospitium.storage.statements import Query, scalar

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from hospitium.engine.accounts.mails import Post
    from hospitium.engine.context import Context
    from hospitium.engine.secrets import HashedPassword, LinkToken, TokenSeed
    from hospitium.engine.sessions.actions import PasswordVerdict
    from hospitium.engine.shares.contexts import Reach, Shared
    from hospitium.engine.shares.targets import Target

MAILS_AN_HOUR = Limit(200, timedelta(seconds=18))
"""How many mails of shares one account has sent, to whomever."""

_WRITTEN: dict[str, Any] = {
    "id": Uuid,
    "target_form": Text,
    "target_email": Text,
    "target_email_key": Text,
    "target_account_id": Uuid,
    "target_team_id": Uuid,
    "target_first_name": Text,
    "target_last_name": Text,
    "level": SmallInteger,
    "status": Text,
    "window_starts_at": TIMESTAMP(timezone=True),
    "window_ends_at": TIMESTAMP(timezone=True),
    "accepted_at": TIMESTAMP(timezone=True),
    "key_number": Integer,
    "nonce": LargeBinary,
    "digest": LargeBinary,
}
_SAME_FOR_ALL: dict[str, Any] = {
    "organization_id": Uuid,
    "record_id": Uuid,
    "object_type_id": Uuid,
    "shared_account_id": Uuid,
    "creator_id": Uuid,
    "made_under_id": Uuid,
    "language": Text,
    "created_at": TIMESTAMP(timezone=True),
    "expires_at": TIMESTAMP(timezone=True),
}
_rows = (
    func.unnest(*(bindparam(f"each_{name}", type_=ARRAY(kind)) for name, kind in _WRITTEN.items()))
    .table_valued(*_WRITTEN, name="row")
    .render_derived()
)
_INSERT = Query(
    insert(shares)
    .from_select(
        [*_WRITTEN, *_SAME_FOR_ALL],
        select(
            *(_rows.c[name] for name in _WRITTEN),
            *(bindparam(name, type_=kind) for name, kind in _SAME_FOR_ALL.items()),
        ),
    )
    .returning(shares.c.id),
    scalar("id"),
)
_REPOINT = Query(
    update(shares)
    .where(shares.c.made_under_id == bindparam("before"), shares.c.ended_at.is_(None))
    .values(made_under_id=bindparam("under"))
    .returning(shares.c.id),
    scalar("id"),
)


class Terms(NamedTuple):
    """What all shares of one call have in common: who makes them, under which grant, and the language of mails to strangers."""

    creator_id: UUID
    made_under_id: UUID | None
    language: str


# -- offering ----------------------------------------------------------------------------------------------------------


async def offer(ctx: Context, shared: Shared, targets: Sequence[Target], post: Post) -> list[ShareView]:
    """Share a record or an account with several targets, all or none; return the shares in the order of the targets.

    Those that may be applied at once are active, the others wait for their target. Raises NotConfirmed, NotFound
    (`instance`), NotSharable, SharingDisabled, TooManyAttempts, and what `targets.checked` raises.
    """
    require(ctx.actor, Permission.MAKE_SHARE)
    if ctx.actor.account_id is None:
        raise NotSignedIn
    if not ctx.actor.is_confirmed:
        raise NotConfirmed
    # Accounts are locked before records; an account that is shared, in its own stronger way, before the others.
    people = {} if shared.object_type_id is None else await hold(ctx, shared, targets)
    shared = await contexts.lock(ctx, shared)
    reach = await _reach_to_share(ctx, shared)
    people = people or await hold(ctx, shared, targets)
    wanted, sharer = await checked(ctx, shared, reach, people, targets)
    await _expire_first(ctx, shared, wanted)

    # Whom nobody knows yet is written to in the language of who shares.
    terms = Terms(sharer.id, reach.grant_id, sharer.language)
    made = await _insert(ctx, shared, terms, wanted, post)
    pending = [one.share for one in made if one.share.status is PENDING]
    await tell_all(ctx, EventKind.SHARE_OFFERED, pending, {})
    for one in made:
        if one.share.status is ACTIVE:
            granted = await grant(ctx, shared, one.share)
            await tell(ctx, EventKind.SHARE_APPLIED, one.share, grants=[granted])
    if shared.rules.sends_notifications:
        await _write_to_targets(ctx, pending, post)
    return made


async def _reach_to_share(ctx: Context, shared: Shared) -> Reach:
    reach = await contexts.reach(ctx, shared)
    if reach is None:
        raise NotFound("instance")
    if reach.level < Level.SHARE:
        raise NotSharable("Sharing it needs access level 5 on it")
    if not shared.rules.allows_shares:
        raise SharingDisabled("Records of this type are not shared")
    if shared.is_archived:
        raise SharingDisabled("An archived record is not shared")
    return reach


async def _expire_first(ctx: Context, shared: Shared, wanted: list[CheckedTarget]) -> None:
    """Write down that older shares with the same targets are over: two live ones can't stand beside each other."""
    overdue = await queries.overdue_to(
        ctx,
        shared.id,
        [one.email_key for one in wanted if one.email_key],
        [one.account_id for one in wanted if one.account_id],
        [one.team_id for one in wanted if one.team_id],
    )
    for share in overdue:
        await _run_out(ctx, share)


async def _insert(
    ctx: Context, shared: Shared, terms: Terms, wanted: list[CheckedTarget], post: Post
) -> list[ShareView]:
    seeds = [seed(post.key, SHARE_PURPOSE, ctx.new_id()) for _ in wanted]
    rows = [_row(ctx, one, its) for one, its in zip(wanted, seeds, strict=True)]
    is_record = shared.object_type_id is not None
    try:
        await _INSERT.all(
            ctx.tx,
            **{f"each_{name}": [row[name] for row in rows] for name in _WRITTEN},
            organization_id=shared.organization_id,
            record_id=shared.id if is_record else None,
            object_type_id=shared.object_type_id,
            shared_account_id=None if is_record else shared.id,
            creator_id=terms.creator_id,
            made_under_id=terms.made_under_id,
            language=terms.language,
            created_at=ctx.now,
            expires_at=ctx.now + PENDING_LIFE,
        )
    except asyncpg.UniqueViolationError as taken:
        raise AlreadyShared(_which(str(taken.detail), wanted)) from None
    return await queries.by_ids(ctx, [its.row_id for its in seeds])


def _row(ctx: Context, target: CheckedTarget, its: TokenSeed) -> dict[str, Any]:
    # What is applied at once has nothing to accept, and so no token.
    token = (None, None, None) if target.is_auto else (its.key_number, its.nonce, its.digest)
    return {
        "id": its.row_id,
        "target_form": target.form.value,
        "target_email": target.email,
        "target_email_key": target.email_key,
        "target_account_id": target.account_id,
        "target_team_id": target.team_id,
        "target_first_name": target.first_name,
        "target_last_name": target.last_name,
        "level": target.level,
        "status": (ACTIVE if target.is_auto else PENDING).value,
        "window_starts_at": target.starts_at,
        "window_ends_at": target.ends_at,
        "accepted_at": ctx.now if target.is_auto else None,
        "key_number": token[0],
        "nonce": token[1],
        "digest": token[2],
    }


def _which(detail: str, wanted: list[CheckedTarget]) -> str:
    """Return which target the database says is shared with already: its detail ends with the key that is taken."""
    for index, one in enumerate(wanted):
        if f", {one.key[1]})" in detail:
            return f"targets[{index}]"
    return "targets"


async def grant(ctx: Context, shared: Shared, share: Share) -> UUID:
    """Begin the grant of a share that is active. Called by what makes it so, which has asked for its own permission."""
    if share.target_team_id is not None:
        grantee = Grantee(GranteeKind.TEAM, share.target_team_id)
    else:
        assert share.target_account_id is not None  # a constraint of its table  # noqa: S101
        grantee = Grantee(GranteeKind.ACCOUNT, share.target_account_id)
    allows = Allowance(share.level, share.window_starts_at, share.window_ends_at, share.made_under_id)
    return await grants.start_for_share(ctx, share.id, grantee, shared.resource, allows)


async def _write_to_targets(ctx: Context, pending: list[Share], post: Post) -> None:
    """Queue the mail to each target. A mailbox gets so many an hour; what is not sent shows in the target's list all the same."""
    if not pending:
        return
    of_sender = a_try(post.key.key, MAILS_AN_HOUR, "shares of", str(ctx.actor.account_id))
    for share in pending:
        await throttles.count(ctx, [of_sender])
        # In silence: whether a mailbox has had its mails could tell whose account it is.
        if await throttles.allows(ctx, post.share(await _mailbox(ctx, share))):
            await deliveries.queue(ctx, Template.SHARE, share_id=share.id)


async def _mailbox(ctx: Context, share: Share) -> str:
    """Return what counts the mails to a target."""
    if share.target_email_key is not None:
        return share.target_email_key
    account_id = await queries.who_answers(ctx, share)
    if account_id is None:
        return str(share.target_team_id)
    return (await account_queries.by_id(ctx, account_id)).email_key


# -- answering ---------------------------------------------------------------------------------------------------------


async def accept(ctx: Context, token: LinkToken, organization_id: UUID | None = None) -> ShareView:
    """Accept a share as its target; `organization_id`: where its token was brought. Its grant begins with its window.

    Of a target who has the same already, from the same hand, that one is raised, and returned (ruling 14b). Raises NotConfirmed;
    DeadLink, alike for whoever isn't its target, and for every token that is dead.
    """
    require(ctx.actor, Permission.ACCEPT_SHARE)
    if ctx.actor.account_id is None:
        raise NotSignedIn
    if not ctx.actor.is_confirmed:
        raise NotConfirmed
    share, shared = await _open_to_target(ctx, token, organization_id)
    return await _accept_as(ctx, shared, share, ctx.actor.account_id)


async def accept_by_link(
    ctx: Context,
    token: LinkToken,
    form: AccountForm,
    password: HashedPassword,
    verdict: PasswordVerdict,
    version: int | None = None,
) -> UUID:
    """Accept a share with its link and the password of the account there is, or is to be: the link proves the mailbox it was sent to.

    `version`: the one that was shown, if one was: what was shown is what is accepted. Return the account's id.

    Raises DeadLink, WrongCredentials, AccountDisabled, Invalid, WrongState (it was changed meanwhile).
    """
    require(ctx.actor, Permission.FOLLOW_SHARE)
    seen = await _open(ctx, token)
    account = await life.join_by_mailbox(
        ctx,
        AccountForm(
            email=await address_of(ctx, seen.share),
            first_name=form.first_name or seen.share.target_first_name,
            last_name=form.last_name or seen.share.target_last_name,
            language=form.language,
        ),
        password,
        verdict,
    )
    acting = ctx._replace(actor=Actor(ActorKind.ACCOUNT, account.id, is_confirmed=account.is_confirmed))
    share, shared = await _open_to_target(acting, token, None)
    if version not in (None, share.version):
        raise WrongState("It was changed meanwhile")
    await _accept_as(acting, shared, share, account.id)
    return account.id


async def decline_by_link(ctx: Context, token: LinkToken) -> None:
    """Decline a share with its link alone: whoever holds it holds the mailbox. Raises DeadLink."""
    require(ctx.actor, Permission.FOLLOW_SHARE)
    seen = await _open(ctx, token)
    await _lock_context(ctx, seen.share)
    declined = await LIFECYCLE.move(ctx, "decline", seen.share.id)
    if declined is None:
        raise DeadLink
    await tell(ctx, EventKind.SHARE_DECLINED, declined)


async def look(ctx: Context, token: LinkToken, organization_id: UUID | None = None) -> ShareView:
    """Return the share that waits behind a token, and use nothing up. Raises DeadLink."""
    require(ctx.actor, Permission.FOLLOW_SHARE)
    return await _open(ctx, token, organization_id)


async def mailbox_of(ctx: Context, token: LinkToken) -> str | None:
    """Return the canonical address of the mailbox a share's link is sent to; None if it is dead."""
    require(ctx.actor, Permission.FOLLOW_SHARE)
    try:
        return canonical_email("email", await address_of(ctx, (await _open(ctx, token)).share))
    except DeadLink:
        return None


async def _open(ctx: Context, token: LinkToken, organization_id: UUID | None = None) -> ShareView:
    found = await queries.by_token(ctx, token)
    if found is None or not found.share.is_open(ctx.now):
        raise DeadLink
    if organization_id not in (None, found.share.organization_id):
        raise DeadLink
    return found


async def _open_to_target(
    ctx: Context, token: LinkToken, organization_id: UUID | None
) -> tuple[Share, Shared]:
    """Lock what a token is about and its share, if the actor is its target. Raises DeadLink."""
    seen = await _open(ctx, token, organization_id)
    # Its people first, held until the end of this deed: whoever deletes them meanwhile waits, and finds what they have.
    if (
        seen.share.target_team_id is not None
        and await team_queries.hold(ctx, seen.share.target_team_id) is None
    ):
        raise DeadLink
    # With who offered a record, whose account its letter and its grants name: accounts are locked before records, here as there.
    of_record = [seen.share.creator_id] if seen.share.record_id is not None else []
    held = await account_queries.hold_all(ctx, [one for one in (ctx.actor.account_id, *of_record) if one])
    if ctx.actor.account_id not in [one.id for one in held]:
        raise DeadLink
    shared = await _lock_context(ctx, seen.share)
    current = await queries.lock(ctx, seen.share.id)
    if current is None or not current.is_target or not current.share.is_open(ctx.now):
        raise DeadLink
    return current.share, shared


async def _lock_context(ctx: Context, share: Share) -> Shared:
    try:
        return await contexts.lock(ctx, await contexts.of(ctx, share))
    except NotFound:
        raise DeadLink from None


async def _accept_as(ctx: Context, shared: Shared, share: Share, account_id: UUID) -> ShareView:
    first = None if share.target_team_id is not None else await queries.like_it(ctx, share, account_id)
    if first is not None:
        accepted = await _merge(ctx, shared, share, first)
    else:
        moved = await LIFECYCLE.move(ctx, "accept", share.id, by_account=account_id)
        if moved is None:
            raise DeadLink
        granted = await grant(ctx, shared, moved)
        await tell(ctx, EventKind.SHARE_ACCEPTED, moved, grants=[granted])
        accepted = moved
    if shared.rules.sends_notifications:
        await deliveries.queue(
            ctx, Template.SHARE_ACCEPTED, account_id=share.creator_id, subject_id=accepted.id
        )
    (view,) = await queries.by_ids(ctx, [accepted.id])
    return view


async def _merge(ctx: Context, shared: Shared, second: Share, first: Share) -> Share:
    merged = await LIFECYCLE.move(ctx, "merge", second.id)
    if merged is None:
        raise DeadLink
    await tell(ctx, EventKind.SHARE_MERGED, merged)
    if second.level <= first.level:
        return first
    return await _regrade(ctx, shared, first, second.level, first.made_under_id, first.window_ends_at)


async def address_of(ctx: Context, share: Share) -> str:
    """Return the address a share's link is sent to. For whoever holds the link. Raises DeadLink."""
    require(ctx.actor, Permission.FOLLOW_SHARE)
    if share.target_email is not None:
        return share.target_email
    account_id = await queries.who_answers(ctx, share)
    if account_id is None:
        raise DeadLink
    account = await account_queries.by_id(ctx, account_id)
    if account.status is not AccountStatus.ACTIVE:
        raise DeadLink
    return account.email


# -- changing ----------------------------------------------------------------------------------------------------------


async def change_level(
    ctx: Context, share_id: UUID, level: object, organization_id: UUID | None = None
) -> ShareView:
    """Give a share another level, by the rules of making one: of an active one, a grant ends and another begins.

    What its target made under it stays as far as the new level could give it. Raises NotConfirmed, NotFound (`connection`),
    NotOnesShare, NotSharable, SharingDisabled, WrongTarget, WrongState (that is the level already).
    """
    require(ctx.actor, Permission.CHANGE_SHARE)
    if not ctx.actor.is_confirmed:
        raise NotConfirmed
    current, shared, reach = await _seen_and_locked(ctx, share_id, organization_id)
    share = current.share
    if not _may_change(ctx, current, reach):
        raise NotOnesShare
    to_level = check_level(shared, reach, level, "access")
    if not shared.rules.allows_shares:
        raise SharingDisabled("Records of this type are not shared")
    assert reach is not None  # else check_level has refused  # noqa: S101
    if to_level == share.level:
        raise WrongState(f"The access level is {to_level} already")
    if (
        reach.until is not None
        and share.window_starts_at is not None
        and share.window_starts_at >= reach.until
    ):
        raise NotSharable("It begins after your own access ends")
    if share.status is ACTIVE:
        changed = await _regrade(ctx, shared, share, to_level, reach.grant_id, reach.until)
    else:
        moved = await LIFECYCLE.move(
            ctx, "reoffer", share.id, to_level=to_level, under=reach.grant_id, at_most_until=reach.until
        )
        if moved is None:
            raise WrongState("It has ended meanwhile")
        await tell(ctx, EventKind.SHARE_CHANGED, moved)
        changed = moved
    (view,) = await queries.by_ids(ctx, [changed.id])
    return view


async def _regrade(
    ctx: Context, shared: Shared, share: Share, level: int, under: UUID | None, until: Any
) -> Share:
    """End the grant of an active share and begin another, of another level or under another grant."""
    ended = [grant_id for grant_id, _ in await grants.end_caused_by_shares(ctx, [share.id])]
    below = 0 if level < Level.SHARE else level
    gone = await ending.end_under(ctx, ended, unless_below=below)
    if under in (*ended, *gone):
        # Its maker has what he has by it, or by what was made under it: it can't hang from itself, and stays where it is.
        under, until = share.made_under_id, None
    moved = await LIFECYCLE.move(ctx, "regrade", share.id, to_level=level, under=under, at_most_until=until)
    if moved is None:
        raise WrongState("It has ended meanwhile")
    granted = await grant(ctx, shared, moved)
    for before in ended:
        await _REPOINT.all(ctx.tx, before=before, under=granted)
    await tell(ctx, EventKind.SHARE_CHANGED, moved, grants=[*ended, granted])
    return moved


# -- ending ------------------------------------------------------------------------------------------------------------


async def end(ctx: Context, share_id: UUID, organization_id: UUID | None = None) -> None:
    """End a share: its target declines or leaves it, whoever made it withdraws or revokes it, and so does a holder of more.

    Its grant ends at once, and with it what was made under it (ruling 14a). Raises NotFound (`connection`), NotOnesShare.
    """
    require(ctx.actor, Permission.END_SHARE)
    current, _, reach = await _seen_and_locked(ctx, share_id, organization_id)
    if current.is_target:
        await _end_by(ctx, current.share, "decline", "leave")
    elif _may_change(ctx, current, reach):
        await _end_by(ctx, current.share, "withdraw", "revoke")
    else:
        raise NotOnesShare


async def decline(ctx: Context, token: LinkToken, organization_id: UUID | None = None) -> None:
    """Decline a share as its target, by its token. Raises DeadLink, alike for whoever isn't."""
    require(ctx.actor, Permission.END_SHARE)
    share, _ = await _open_to_target(ctx, token, organization_id)
    await _end_by(ctx, share, "decline", "leave")


async def end_orphans(ctx: Context, shared: Shared) -> int:
    """End every share of it that was made by who could no longer make it; for its owner. Return how many. Raises NotFound, Forbidden."""
    require(ctx.actor, Permission.END_SHARE)
    shared = await contexts.lock(ctx, shared)
    reach = await contexts.reach(ctx, shared)
    if reach is None:
        raise NotFound("instance")
    if ctx.actor.account_id != shared.owner_id:
        raise NotOnesShare
    found = await queries.orphans(ctx, shared.id)
    return len(await ending.end_with_those_below(ctx, found, "withdraw", "revoke"))


async def end_again(ctx: Context, share_id: UUID) -> None:
    """End a share that a restore brought back. Raises NotFound."""
    require(ctx.actor, Permission.RESTORE)
    found = await queries.find(ctx, share_id)
    if found is None or found.share.status not in (PENDING, ACTIVE):
        raise NotFound("connection")
    await contexts.lock_all(ctx, [found.share.context_id])
    await _end_by(ctx, found.share, "withdraw", "revoke")


async def expire_one(ctx: Context) -> bool:
    """Write down of one share that the clock has ended it; return whether there was one. For the sweep."""
    overdue = await queries.one_overdue(ctx)
    if overdue is None:
        return False
    await contexts.lock_all(ctx, [overdue.context_id])
    await _run_out(ctx, overdue)
    return True


async def _run_out(ctx: Context, share: Share) -> None:
    verb = "expire" if share.status is PENDING else "close"
    over = await LIFECYCLE.move(ctx, verb, share.id)
    if over is None:
        return
    ended = [grant_id for grant_id, _ in await grants.end_caused_by_shares(ctx, [share.id])]
    await ending.end_under(ctx, ended)
    await tell(ctx, ENDINGS[verb], over, grants=ended)


async def _end_by(ctx: Context, share: Share, of_pending: str, of_active: str) -> None:
    one = LiveShare(share.id, share.status, share.level, share.context_id)
    if not await ending.end_with_those_below(ctx, [one], of_pending, of_active):
        raise NotFound("connection")


async def _seen_and_locked(
    ctx: Context, share_id: UUID, organization_id: UUID | None
) -> tuple[ShareView, Shared, Reach | None]:
    """Lock a share that the actor may see, and what it is of; return both, and how much he may do on that.

    Raises NotFound (`connection`).
    """
    seen = await queries.find(ctx, share_id)
    if seen is None or organization_id not in (None, seen.share.organization_id):
        raise NotFound("connection")
    try:
        shared = await contexts.lock(ctx, await contexts.of(ctx, seen.share))
    except NotFound:
        raise NotFound("connection") from None
    current = await queries.lock(ctx, share_id)
    reach = await contexts.reach(ctx, shared)
    if current is None or not current.share.is_there(ctx.now) or not _may_see(ctx, current, reach):
        raise NotFound("connection")
    return current, shared, reach


async def find(ctx: Context, share_id: UUID, organization_id: UUID | None = None) -> ShareView:
    """Return a share that is pending or active, for who made it, its target, who is in its team, and whoever holds Share. Raises NotFound (`connection`)."""
    require(ctx.actor, Permission.SEE_SHARES)
    seen = await queries.find(ctx, share_id)
    if seen is None or organization_id not in (None, seen.share.organization_id):
        raise NotFound("connection")
    if not seen.share.is_there(ctx.now):
        raise NotFound("connection")
    if _concerns(ctx, seen):
        return seen
    try:
        reach = await contexts.reach(ctx, await contexts.of(ctx, seen.share))
    except NotFound:
        reach = None
    if not _may_see(ctx, seen, reach):
        raise NotFound("connection")
    return seen


def _concerns(ctx: Context, seen: ShareView) -> bool:
    """Whether it is in the actor's own list."""
    return seen.is_target or seen.is_in_target or seen.share.creator_id == ctx.actor.account_id


def _may_see(ctx: Context, seen: ShareView, reach: Reach | None) -> bool:
    if _concerns(ctx, seen):
        return True
    return reach is not None and reach.level >= Level.SHARE


def _may_change(ctx: Context, seen: ShareView, reach: Reach | None) -> bool:
    """Whether it is his to change or end, other than as its target: who made it, or a holder of Share with more than it gives."""
    if seen.share.creator_id == ctx.actor.account_id:
        return True
    return reach is not None and reach.level >= Level.SHARE and reach.level > seen.share.level
