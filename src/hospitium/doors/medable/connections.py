"""Connections, which the rest of the house calls shares (docs/dialects/medable.md)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from litestar import Request, Response
from msgspec import UNSET

from hospitium.doors import json_body
from hospitium.doors.answers import Answer, answer, once, send
from hospitium.doors.medable.accounts import Name
from hospitium.doors.medable.connection_shapes import (
    ConnectionDocument,
    ConnectionsBody,
    ContextKind,
    CreatorName,
    LevelBody,
    OfferedConnection,
    TargetBody,
    TargetDocument,
)
from hospitium.doors.medable.entrance import perform
from hospitium.doors.medable.errors import NoConnectionApp
from hospitium.doors.medable.records import type_of
from hospitium.doors.medable.wire import (
    DONE,
    List,
    Parameters,
    Reference,
    Result,
    moment,
    paging_of,
    printed_id,
    reference,
    to_account,
)
from hospitium.doors.named_ids import body_id, path_id
from hospitium.doors.share_tokens import token_for
from hospitium.doors.surroundings import surroundings
from hospitium.engine.accounts import queries as account_queries
from hospitium.engine.errors import (
    ClientKeyRequired,
    Invalid,
    NoTargets,
    NotFound,
    WrongTarget,
)
from hospitium.engine.ids import parse_id
from hospitium.engine.levels import Level
from hospitium.engine.object_types import queries as type_queries
from hospitium.engine.permissions import Permission
from hospitium.engine.secrets import LinkToken
from hospitium.engine.shares import actions, contexts, queries
from hospitium.engine.shares.queries import Wanted
from hospitium.engine.shares.record import ACTIVE, PENDING, ShareStatus, TargetForm
from hospitium.engine.shares.targets import MOST_TARGETS, Target

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from uuid import UUID

    from hospitium.doors.surroundings import Surroundings
    from hospitium.engine.accounts.record import Account
    from hospitium.engine.client_keys.queries import Entrance
    from hospitium.engine.context import Context
    from hospitium.engine.shares.contexts import Shared
    from hospitium.engine.shares.queries import ShareView

    Context_ = Callable[[Context, Entrance], Awaitable[Shared]]

_TARGET = re.compile(r"targets\[")
_STATES = {"0": ShareStatus.PENDING, "1": ShareStatus.ACTIVE}


# -- making ------------------------------------------------------------------------------------------------------------


async def create(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Share an instance with accounts and teams: all of the targets, or none."""
    return await _create(request, _record_in(request))


async def create_of_account(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Share an account with accounts and teams: all of the targets, or none."""
    return await _create(request, _account_in(request))


async def _create(request: Request[Any, Any, Any], find: Context_) -> Response[bytes]:
    body = await request.body()
    house = surroundings(request)

    async def deed(ctx: Context, at: Entrance) -> Answer:
        # Read first: what is wrong with it is told alike of what one can't see and of what isn't there.
        targets = _targets(body, request.headers.get("content-type"))
        shared = await find(ctx, at)

        async def do() -> Answer:
            made = await actions.offer(ctx, shared, targets, house.post)
            data = [_printed(house, one, is_new=True) for one in made]
            return answer(200, List(data, has_more=False, object="list"))

        return await once(ctx, request, body, do)

    try:
        return send(await perform(request, Permission.MAKE_SHARE, deed, about=_about(request)))
    except ClientKeyRequired:
        raise NoConnectionApp from None


def _targets(body: bytes, content_type: str | None) -> list[Target]:
    """Read whom to share with; what is wrong with a target is a target's fault, whatever it is."""
    try:
        given = json_body.read(body, content_type, ConnectionsBody)
        if given.targets is None:
            raise NoTargets
        if len(given.targets) > MOST_TARGETS:
            return [_READ_NO_FURTHER] * len(given.targets)
        return [_target(one, f"targets[{index}]") for index, one in enumerate(given.targets)]
    except Invalid as refusal:
        if type(refusal) is Invalid and _TARGET.match(refusal.field):
            raise WrongTarget(refusal.field, refusal.reason) from None
        raise


_READ_NO_FURTHER = Target(form=TargetForm.EMAIL, level=None)


def _target(given: TargetBody, place: str) -> Target:
    if (given.email is None) == (given.id is None):
        says = "is required" if given.email is None else "and _id must not both be given"
        raise WrongTarget(f"{place}.email", says)
    if given.roles:
        raise WrongTarget(f"{place}.roles", "are not known here")
    if given.object == "team" and given.id is None:
        raise WrongTarget(f"{place}._id", "is required of a team")
    named = given.name
    return Target(
        form=TargetForm.TEAM if given.object == "team" else TargetForm.EMAIL if given.id is None else TargetForm.ACCOUNT,
        level=given.access,
        email=given.email,
        id=None if given.id is None else body_id(f"{place}._id", given.id),
        first_name=None if named is None else named.first,
        last_name=None if named is None else named.last,
        is_auto=given.auto,
        starts_at=given.starts_at,
        ends_at=given.ends_at,
    )  # fmt: skip


def _record_in(request: Request[Any, Any, Any]) -> Context_:
    record_id = path_id(request, "id", "instance")

    async def find(ctx: Context, at: Entrance) -> Shared:
        object_type = await type_of(ctx, at, request)
        shared = await contexts.record(ctx, record_id)
        if shared.object_type_id != object_type.id:
            raise NotFound("instance")
        return shared

    return find


def _account_in(request: Request[Any, Any, Any]) -> Context_:
    account_id = path_id(request, "id", "instance")

    async def find(ctx: Context, at: Entrance) -> Shared:
        return await contexts.account(ctx, at.organization_id, account_id)

    return find


def _about(request: Request[Any, Any, Any]) -> UUID | None:
    return parse_id(request.path_params["id"])


# -- lists -------------------------------------------------------------------------------------------------------------


async def list_(request: Request[Any, Any, Any]) -> Response[bytes]:
    """List the connections one made or was offered, pending and active."""
    house = surroundings(request)

    async def deed(ctx: Context, at: Entrance) -> List[ConnectionDocument]:
        given = Parameters(request)
        paging = given.paging()
        wanted = await _wanted(ctx, at, given)
        found = [] if wanted is None else await queries.of_actor(
            ctx, wanted, paging.before, paging.skip, paging.limit + 1
        )  # fmt: skip
        return paging.printed(found, lambda one: _printed(house, one))

    return send(answer(200, await perform(request, Permission.SEE_SHARES, deed)))


async def _wanted(ctx: Context, at: Entrance, given: Parameters) -> Wanted | None:
    """Return which connections are asked for; None if there can be none. Raises Invalid."""
    state, pending, context = given.text("state"), given.text("pending"), given.text("context")
    if state not in (None, *_STATES):
        raise Invalid("state", "must be 0 or 1")
    if pending not in (None, "creator", "target"):
        raise Invalid("pending", "must be creator or target")
    status = None if state is None else _STATES[state]
    if pending is not None:
        if status is ACTIVE:
            return None
        status = PENDING
    account = given.text("account")
    object_type_id = None
    if context not in (None, "account"):
        found = await type_queries.by_names(ctx, at.organization_id, [context or ""])
        if not found:
            return None
        object_type_id = found[context or ""].id
    return Wanted(
        organization_id=at.organization_id,
        status=status,
        made=pending != "target",
        offered=pending != "creator",
        with_account=None if account is None else body_id("account", account),
        object_type_id=object_type_id,
        of_accounts=context == "account",
    )


async def list_on(request: Request[Any, Any, Any]) -> Response[bytes]:
    """List the connections of an instance: all, for whoever may share it; else those that concern oneself."""
    return await _list_on(request, _record_in(request))


async def list_on_account(request: Request[Any, Any, Any]) -> Response[bytes]:
    """List the connections of an account: all, for its holder; else those that concern oneself."""
    return await _list_on(request, _account_in(request))


async def _list_on(request: Request[Any, Any, Any], find: Context_) -> Response[bytes]:
    house = surroundings(request)

    async def deed(ctx: Context, at: Entrance) -> List[ConnectionDocument]:
        paging = paging_of(request)
        shared = await find(ctx, at)
        reach = await contexts.reach(ctx, shared)
        if reach is None:
            raise NotFound("instance")
        found = await queries.on_context(
            ctx,
            shared.id,
            paging.before,
            paging.skip,
            paging.limit + 1,
            all_of_them=reach.level >= Level.SHARE,
        )
        is_owner = ctx.actor.account_id == shared.owner_id
        return paging.printed(found, lambda one: _printed(house, one, to_owner=is_owner))

    return send(answer(200, await perform(request, Permission.SEE_SHARES, deed, about=_about(request))))


async def end_orphans(request: Request[Any, Any, Any]) -> Response[bytes]:
    """End the connections of an instance that were made by who no longer has access; for its owner."""
    return await _end_orphans(request, _record_in(request))


async def end_orphans_of_account(request: Request[Any, Any, Any]) -> Response[bytes]:
    """End the connections of an account that were made by who no longer has access; for its holder."""
    return await _end_orphans(request, _account_in(request))


async def _end_orphans(request: Request[Any, Any, Any], find: Context_) -> Response[bytes]:
    async def deed(ctx: Context, at: Entrance) -> int:
        if Parameters(request).text("orphaned") != "true":
            raise Invalid("orphaned", "must be true: no more than these are ended in one call")
        return await actions.end_orphans(ctx, await find(ctx, at))

    ended = await perform(request, Permission.END_SHARE, deed, about=_about(request))
    return send(answer(200, Result("result", ended)))


# -- one, by its id or its token ---------------------------------------------------------------------------------------


async def read(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Read a connection by its id; or, by its token and without signing in, who offers what kind of thing."""
    house = surroundings(request)
    named = request.path_params["which"]
    share_id = parse_id(named)
    if share_id is None:
        return await _read_offer(request, LinkToken(named))

    async def deed(ctx: Context, at: Entrance) -> ConnectionDocument:
        return _printed(house, await actions.find(ctx, share_id, at.organization_id))

    return send(answer(200, await perform(request, Permission.SEE_SHARES, deed, about=share_id)))


async def _read_offer(request: Request[Any, Any, Any], token: LinkToken) -> Response[bytes]:
    async def deed(ctx: Context, at: Entrance) -> OfferedConnection:
        found = await actions.look(ctx, token, at.organization_id)
        return _offered(found, await account_queries.by_id(ctx, found.share.creator_id))

    return send(answer(200, await perform(request, Permission.FOLLOW_SHARE, deed)))


async def accept(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Accept a connection by its token. Only its target may; for everybody else, and of any other token, it is the same fault."""
    house = surroundings(request)
    token = LinkToken(request.path_params["which"])

    async def deed(ctx: Context, at: Entrance) -> ConnectionDocument:
        return _printed(house, await actions.accept(ctx, token, at.organization_id))

    return send(answer(200, await perform(request, Permission.ACCEPT_SHARE, deed)))


async def change(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Give a connection another access level, by the rules of making one."""
    house = surroundings(request)
    share_id = path_id(request, "which", "connection")
    body = await request.body()

    async def deed(ctx: Context, at: Entrance) -> ConnectionDocument:
        given = json_body.read(body, request.headers.get("content-type"), LevelBody)
        changed = await actions.change_level(ctx, share_id, given.access, at.organization_id)
        return _printed(house, changed)

    return send(answer(200, await perform(request, Permission.CHANGE_SHARE, deed, about=share_id)))


async def end(request: Request[Any, Any, Any]) -> Response[bytes]:
    """End a connection: decline or leave it as its target (by its id or its token), or take it away by its id."""
    named = request.path_params["which"]
    share_id = parse_id(named)

    async def deed(ctx: Context, at: Entrance) -> None:
        if share_id is None:
            await actions.decline(ctx, LinkToken(named), at.organization_id)
        else:
            await actions.end(ctx, share_id, at.organization_id)

    await perform(request, Permission.END_SHARE, deed, about=share_id)
    return send(answer(200, DONE))


# -- printing ----------------------------------------------------------------------------------------------------------


def _printed(
    house: Surroundings, view: ShareView, *, is_new: bool = False, to_owner: bool = False
) -> ConnectionDocument:
    """Return a connection as a document. The creator's own answer never has the token; nor has anybody's but its target's."""
    share = view.share
    is_pending = share.status is PENDING
    return ConnectionDocument(
        id=printed_id(share.id),
        access=share.level,
        context=_context(view),
        context_source=None if is_new else UNSET,
        created=moment(share.created_at),
        creator=to_account(share.creator_id),
        # Of what is active at once its date is for the shape alone: nothing expires.
        expires_at=moment(share.expires_at) if is_pending or is_new else UNSET,
        is_archived=UNSET if is_new else False,
        object="connection",
        state=0 if is_pending else 1,
        target=_target_of(view),
        token=UNSET if is_new else token_for(house, view) or UNSET,
        starts_at=UNSET if share.window_starts_at is None else moment(share.window_starts_at),
        ends_at=UNSET if share.window_ends_at is None else moment(share.window_ends_at),
        orphaned=True if to_owner and view.is_orphan else UNSET,
    )


def _context(view: ShareView) -> Reference:
    if view.type_name is None or view.plural_name is None:
        return to_account(view.share.context_id)
    return reference(view.type_name, view.plural_name, view.share.context_id)


def _target_of(view: ShareView, *, by_token: bool = False) -> TargetDocument:
    share = view.share
    account = share.target_account_id
    team = share.target_team_id
    return TargetDocument(
        account=UNSET if account is None or by_token else to_account(account),
        team=UNSET if team is None or by_token else reference("team", "teams", team),
        email=UNSET if share.target_email is None else share.target_email,
        name=Name.of(share.target_first_name, share.target_last_name),
    )


def _offered(view: ShareView, creator: Account) -> OfferedConnection:
    return OfferedConnection(
        id=printed_id(view.share.id),
        object="connection",
        state=0,
        access=view.share.level,
        expires_at=moment(view.share.expires_at),
        context=ContextKind(view.type_name or "account"),
        creator=CreatorName(Name.of(creator.first_name, creator.last_name)),
        target=_target_of(view, by_token=True),
    )
