"""Shares of records, as our own API has them: offered to people and teams, accepted by token, changed and ended by id."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

from litestar import Request, Response
from msgspec import UNSET, Meta, UnsetType

from hospitium.doors import json_body, signing_in
from hospitium.doors.answers import Answer, answer, once, send
from hospitium.doors.named_ids import body_id, path_id
from hospitium.doors.native.account_shapes import DONE
from hospitium.doors.native.wire import Body, Page, Wire, page_of
from hospitium.doors.parameters import Parameters
from hospitium.doors.shapes import Email, Id, Instant, OptionalLine, Token, takes, trimmed
from hospitium.doors.share_tokens import token_for
from hospitium.doors.surroundings import surroundings
from hospitium.engine.accounts import queries as account_queries
from hospitium.engine.errors import Invalid, NotFound, Refusal, WrongTarget
from hospitium.engine.ids import LAST_ID
from hospitium.engine.organizations import queries as organization_queries
from hospitium.engine.permissions import Permission
from hospitium.engine.secrets import LinkToken
from hospitium.engine.shares import actions, contexts, queries
from hospitium.engine.shares.queries import Wanted
from hospitium.engine.shares.record import LIVE, ShareStatus, TargetForm
from hospitium.engine.shares.targets import Target

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hospitium.doors.surroundings import Surroundings
    from hospitium.engine.context import Context
    from hospitium.engine.shares.queries import ShareView

_OF_TARGET = re.compile(r"(targets\[(\d+)\])\.(.+)")
_SPELLED = {"access": "level", "auto": "atOnce", "name.first": "firstName", "name.last": "lastName"}
_NOUNS = {"connection": "share", "instance": "record"}
GivenLevel = Annotated[
    int, Meta(description="2 connected, 4 read, 5 share or 6 update, as the type of the record allows.")
]


StatusParameter = Annotated[
    str,
    takes(
        "ShareStatusParameter", "pending or active; blank is both.", pattern=trimmed("(?:pending|active)?")
    ),
]


class ShareTarget(Body):
    """Whom to share with: one of `email`, `accountId`, `teamId`; how much, and from when until when; `atOnce` asks for no acceptance."""

    level: GivenLevel
    email: Email | None = None
    account_id: Id | None = None
    team_id: Id | None = None
    first_name: OptionalLine | None = None
    last_name: OptionalLine | None = None
    at_once: bool = False
    starts_at: Instant | None = None
    ends_at: Instant | None = None


class ShareBody(Body):
    """Which record to share, and with whom: with all of them, or none."""

    record_id: Id
    targets: list[ShareTarget]


class ShareLevelBody(Body):
    """The level a share is to have."""

    level: GivenLevel


class ShareTokenBody(Body):
    """The token of a share, from the mail or from one's own list."""

    token: Token


class SharesQuery(Page):
    """Which shares: those of one status."""

    status: StatusParameter | UnsetType = UNSET


class PrintedShare(Wire):
    """A share. `token` is there while it is pending, for its target alone."""

    id: UUID
    organization_id: UUID
    record_id: UUID | None
    object_type: str | None
    shared_account_id: UUID | None
    level: int
    status: ShareStatus
    made_by: UUID
    made_at: Instant
    expires_at: Instant | None
    starts_at: Instant | None
    ends_at: Instant | None
    email: str | None
    account_id: UUID | None
    team_id: UUID | None
    is_target: bool
    token: str | UnsetType = UNSET


class Shares(Wire):
    """Shares, the newest first; `next` is where the list goes on, null at its end."""

    shares: list[PrintedShare]
    next: UUID | None


class SharePreview(Wire):
    """What waits behind a token: who offers what kind of thing at which organization, how much of it, and until when."""

    organization: str
    sharer: str
    object_type: str | None
    level: int
    expires_at: Instant


async def offer(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Share a record with accounts, addresses and teams: all of the targets, or none."""
    body = await request.body()
    house = surroundings(request)

    async def deed(ctx: Context) -> Answer:
        given = json_body.read(body, request.headers.get("content-type"), ShareBody)
        record_id = body_id("recordId", given.record_id)
        # Read before anything is looked for, so that a wrong body tells nobody whether the record is there.
        targets = [_target(one, f"targets[{index}]") for index, one in enumerate(given.targets)]
        with _names(targets):
            shared = await contexts.record(ctx, record_id)

            async def do() -> Answer:
                made = await actions.offer(ctx, shared, targets, house.post)
                # Without a token, even for who owns the team it is for: this answer may be kept (ruling 14).
                return answer(201, Shares([_printed(house, one, is_new=True) for one in made], None))

            return await once(ctx, request, body, do)

    return send(await house.work.perform(request, Permission.MAKE_SHARE, deed))


async def list_shares(request: Request[Any, Any, Any]) -> Response[bytes]:
    """List the shares one made or was offered, that are pending or active."""
    house = surroundings(request)

    async def deed(ctx: Context) -> Shares:
        before, limit = page_of(request)
        wanted = Wanted(status=_status(Parameters(request).text("status")))
        found = await queries.of_actor(ctx, wanted, before or LAST_ID, 0, limit + 1)
        page = [_printed(house, one) for one in found[:limit]]
        return Shares(page, page[-1].id if len(found) > limit else None)

    return send(answer(200, await house.work.perform(request, Permission.SEE_SHARES, deed)))


async def read(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Read a share one made, was offered, or may see because one may share the record."""
    share_id = path_id(request, "share_id", "share")
    house = surroundings(request)

    async def deed(ctx: Context) -> ShareView:
        with _names():
            return await actions.find(ctx, share_id)

    found = await house.work.perform(request, Permission.SEE_SHARES, deed, about=share_id)
    return send(answer(200, _printed(house, found)))


async def change_level(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Give a share another level, by the rules of making one."""
    share_id = path_id(request, "share_id", "share")
    given = json_body.read(await request.body(), request.headers.get("content-type"), ShareLevelBody)
    house = surroundings(request)

    async def deed(ctx: Context) -> ShareView:
        with _names():
            return await actions.change_level(ctx, share_id, given.level)

    changed = await house.work.perform(request, Permission.CHANGE_SHARE, deed, about=share_id)
    return send(answer(200, _printed(house, changed)))


async def end(request: Request[Any, Any, Any]) -> Response[bytes]:
    """End a share: decline or leave it as its target, withdraw or revoke it otherwise."""
    share_id = path_id(request, "share_id", "share")

    async def deed(ctx: Context) -> None:
        with _names():
            await actions.end(ctx, share_id)

    await surroundings(request).work.perform(request, Permission.END_SHARE, deed, about=share_id)
    return send(answer(200, DONE))


async def look(request: Request[Any, Any, Any]) -> Response[bytes]:
    """See what waits behind a token, without signing in."""
    given = json_body.read(await request.body(), request.headers.get("content-type"), ShareTokenBody)

    async def deed(ctx: Context) -> SharePreview:
        view = await actions.look(ctx, LinkToken(given.token))
        sharer = await account_queries.by_id(ctx, view.share.creator_id)
        organization = await organization_queries.by_id(ctx, view.share.organization_id)
        return SharePreview(
            "" if organization is None else organization.name,
            sharer.full_name or "",
            view.type_name,
            view.share.level,
            view.share.expires_at,
        )

    return send(answer(200, await signing_in.count_failures(request, Permission.FOLLOW_SHARE, deed)))


async def accept(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Accept a share by its token, as its target."""
    given = json_body.read(await request.body(), request.headers.get("content-type"), ShareTokenBody)
    house = surroundings(request)
    accepted = await house.work.perform(
        request, Permission.ACCEPT_SHARE, lambda ctx: actions.accept(ctx, LinkToken(given.token))
    )
    return send(answer(200, _printed(house, accepted)))


def _status(wanted: str | None) -> ShareStatus | None:
    if wanted not in (None, *LIVE):
        raise Invalid("status", f"must be one of {', '.join(LIVE)}: what is over is in the trail")
    return None if wanted is None else ShareStatus(wanted)


def _target(given: ShareTarget, place: str) -> Target:
    named = {"email": given.email, "accountId": given.account_id, "teamId": given.team_id}
    given_names = [name for name, value in named.items() if value is not None]
    if len(given_names) != 1:
        raise WrongTarget(f"{place}.email", "or accountId or teamId must be given, and one of them alone")
    name = given_names[0]
    form = {"email": TargetForm.EMAIL, "accountId": TargetForm.ACCOUNT, "teamId": TargetForm.TEAM}[name]
    return Target(
        form=form,
        level=given.level,
        email=given.email,
        id=None if form is TargetForm.EMAIL else body_id(f"{place}.{name}", named[name] or ""),
        first_name=given.first_name,
        last_name=given.last_name,
        is_auto=given.at_once,
        starts_at=given.starts_at,
        ends_at=given.ends_at,
    )


@contextmanager
def _names(targets: Sequence[Target] = ()) -> Iterator[None]:
    """Name what is wrong, and what isn't there, as this surface spells it."""
    try:
        yield
    except NotFound as refusal:
        raise NotFound(_NOUNS.get(refusal.resource, refusal.resource)) from None
    except Refusal as refusal:
        if refusal.field is not None:
            refusal.field = _spelled(refusal.field, targets)
            if isinstance(refusal, Invalid):
                refusal.message = f"{refusal.field}: {refusal.reason}"
        raise


def _spelled(field: str, targets: Sequence[Target]) -> str:
    of_target = _OF_TARGET.fullmatch(field)
    if of_target is None:
        return _SPELLED.get(field, field)
    place, index, member = of_target.groups()
    if member == "_id":
        return f"{place}.{'teamId' if targets[int(index)].form is TargetForm.TEAM else 'accountId'}"
    return f"{place}.{_SPELLED.get(member, member)}"


def _printed(house: Surroundings, view: ShareView, *, is_new: bool = False) -> PrintedShare:
    share = view.share
    return PrintedShare(
        id=share.id,
        organization_id=share.organization_id,
        record_id=share.record_id,
        object_type=view.type_name,
        shared_account_id=share.shared_account_id,
        level=share.level,
        status=share.status,
        made_by=share.creator_id,
        made_at=share.created_at,
        expires_at=share.expires_at if share.status is ShareStatus.PENDING else None,
        starts_at=share.window_starts_at,
        ends_at=share.window_ends_at,
        email=share.target_email,
        account_id=share.target_account_id,
        team_id=share.target_team_id,
        is_target=view.is_target,
        token=UNSET if is_new else token_for(house, view) or UNSET,
    )
