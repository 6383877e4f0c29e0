"""The change feed: what happened that concerns an organization, asked for or sent as it happens (docs/events.md)."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from litestar import Request, Response

from hospitium.doors.answers import answer, send
from hospitium.doors.native.feed_shapes import (
    DEFAULT_EVENTS,
    MOST_EVENTS,
    POSITION,
    Feed,
    FeedEvent,
)
from hospitium.doors.parameters import Parameters
from hospitium.doors.streams import EventStream
from hospitium.doors.surroundings import surroundings
from hospitium.engine.errors import Invalid, NotSignedIn, Refusal, Unavailable
from hospitium.engine.events import EventKind
from hospitium.engine.permissions import Permission, organization_of
from hospitium.engine.trail import feed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from uuid import UUID

    from hospitium.engine.context import Context
    from hospitium.engine.trail.feed import Stretch

PAUSE = 1.0  # seconds between two looks of a stream; events are sealed about as often
KEEP_OPEN = 15.0  # seconds after which a quiet stream says that it is there
LAST_EVENT_ID = "Last-Event-ID"
_COME_BACK = 2  # seconds
_LONGEST_KINDS = 10_000  # characters
_KINDS = {kind.value: kind for kind in EventKind}


class Asked(NamedTuple):
    """After which position, and of which kinds; None: of all."""

    after: int
    kinds: frozenset[EventKind] | None


async def list_events(request: Request[Any, Any, Any]) -> Response[bytes]:
    """List what happened that concerns the own organization, in order, after a position. Asked again after the `position` that was
    answered, it goes on there: at least once, and nothing is left out. What was done a moment ago comes when it is sealed, a second
    or two later; it never comes before what was told."""
    given = Parameters(request)
    asked = Asked(_position("after", given.text("after")), _kinds(given))
    most = given.number("limit", DEFAULT_EVENTS, MOST_EVENTS)
    stretch, *_ = await _look(request, asked, most)
    return send(answer(200, Feed.of(stretch)))


async def stream_events(request: Request[Any, Any, Any]) -> EventStream:
    """Follow what happens that concerns the own organization, as server-sent events: `event` is the kind, `id` the position, `data`
    the event as in the list. It goes on after `Last-Event-ID`, or else after `after`. What is quiet says so every 15 seconds, with the
    position up to which was looked. It ends when the caller's rights do, when the server stops, and after an hour."""
    given = Parameters(request)
    after = _position("after", given.text("after"))
    if (last := request.headers.get(LAST_EVENT_ID.lower(), "").strip()) != "":
        after = _position(
            LAST_EVENT_ID, last
        )  # a browser that comes back asks for the same address as at first
    asked = Asked(after, _kinds(given))
    house = surroundings(request)
    if house.stopping.is_set():
        raise Unavailable(_COME_BACK)
    first, holder, organization_id = await _look(request, asked, DEFAULT_EVENTS)
    place = house.streams.take(holder, organization_id)
    return EventStream(_pieces(request, asked, first), place, house.stopping)


# -- how ---------------------------------------------------------------------------------------------------------------


async def _pieces(
    request: Request[Any, Any, Any], asked: Asked, stretch: Stretch
) -> AsyncGenerator[bytes, None]:
    """Yield what a stream sends, beginning with a first stretch. Who may no longer ask is told nothing more: each look is a
    request of its own, in a transaction of its own, and what it finds is sent as one piece."""
    house, elapsed = surroundings(request), asyncio.get_running_loop().time
    ends = elapsed() + house.streams.longest
    yield f"retry: {_COME_BACK * 1000}\nid: {asked.after}\n\n".encode()
    sent = elapsed()
    while True:
        if stretch.events:
            yield b"".join(_printed(FeedEvent.of(*one)) for one in stretch.events)
            sent = elapsed()
        elif elapsed() - sent >= KEEP_OPEN:
            yield f": quiet\nid: {stretch.position}\n\n".encode()
            sent = elapsed()
        if not stretch.more:
            with suppress(TimeoutError):
                await asyncio.wait_for(house.stopping.wait(), min(PAUSE, max(0.0, ends - elapsed())))
        if house.stopping.is_set() or elapsed() >= ends:
            return
        try:
            stretch, *_ = await _look(request, asked._replace(after=stretch.position), DEFAULT_EVENTS)
        except Refusal:
            return  # why, he is told when he comes back


async def _look(request: Request[Any, Any, Any], asked: Asked, most: int) -> tuple[Stretch, UUID, UUID]:
    """Look once; return what there is, and by which session or key it was asked, of which organization."""

    async def deed(ctx: Context) -> tuple[Stretch, UUID, UUID]:
        holder = ctx.actor.service_key_id or ctx.actor.session_id
        if holder is None:
            raise NotSignedIn
        return await feed.follow(ctx, asked.after, asked.kinds, most), holder, organization_of(ctx.actor)

    return await surroundings(request).work.perform(request, Permission.SEE_EVENTS, deed)


def _printed(event: FeedEvent) -> bytes:
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (
        event.position,
        event.kind.encode(),
        msgspec.json.encode(event),
    )


def _position(field: str, text: str | None) -> int:
    if text is None:
        return 0
    if not POSITION.fullmatch(text):
        raise Invalid(field, "must be a position as the feed gave it")
    return int(text)


def _kinds(given: Parameters) -> frozenset[EventKind] | None:
    text = given.text("kinds", longest=_LONGEST_KINDS)
    if text is None:
        return None
    words = text.split(",")
    if unknown := next((word for word in words if word not in _KINDS), None):
        raise Invalid("kinds", f"there is no kind of event called {unknown[:40]}")
    if "" in words:
        raise Invalid("kinds", "must be kinds of events, separated by commas")
    return frozenset(_KINDS[word] for word in words)
