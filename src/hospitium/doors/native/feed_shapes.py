"""What the change feed takes and gives."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

from hospitium.doors.native.wire import Wire
from hospitium.doors.shapes import Instant, takes
from hospitium.engine.events import EventKind

if TYPE_CHECKING:
    from hospitium.engine.events import Event
    from hospitium.engine.trail.feed import Stretch

DEFAULT_EVENTS = 100
MOST_EVENTS = 1_000
POSITION = re.compile("[0-9]{1,18}")
_ONE_KIND = "(?:" + "|".join(re.escape(kind.value) for kind in EventKind) + ")"

EventPosition = Annotated[
    str,
    takes(
        "EventPosition",
        "A position in the feed, as it gave it; 0 is before everything.",
        pattern=f"^{POSITION.pattern}$",
    ),
]
EventKinds = Annotated[
    str,
    takes("EventKinds", "Kinds of events, separated by commas.", pattern=f"^{_ONE_KIND}(?:,{_ONE_KIND})*$"),
]
EventLimit = Annotated[
    str, takes("EventLimit", f"How many at most, 1 to {MOST_EVENTS:,}.", pattern="^(?:[1-9][0-9]{0,2}|1000)$")
]


class EventsQuery(Wire):
    """After which position, of which kinds (of all, if none are named), how many at most."""

    after: EventPosition | None = None
    kinds: EventKinds | None = None
    limit: EventLimit | None = None


class StreamQuery(Wire):
    """After which position, of which kinds (of all, if none are named)."""

    after: EventPosition | None = None
    kinds: EventKinds | None = None


class FeedActor(Wire):
    """Who did it, and for which organization he acted."""

    kind: str
    account_id: UUID | None
    organization_id: UUID | None


class FeedSubject(Wire):
    """What it happened to."""

    kind: str
    id: UUID | None


class FeedEvent(Wire):
    """A fact that concerns the organization; ids, kinds, levels and times, and never what was said."""

    position: int
    id: UUID
    at: Instant
    kind: str
    actor: FeedActor
    subject: FeedSubject
    data: dict[str, Any]

    @classmethod
    def of(cls, position: int, event: Event) -> FeedEvent:
        """Print an event with its position."""
        return cls(
            position,
            event.id,
            event.at,
            event.kind.value,
            FeedActor(event.actor_kind, event.actor_account_id, event.actor_organization_id),
            FeedSubject(event.subject_kind, event.subject_id),
            event.data,
        )


class Feed(Wire):
    """Events in the order of their positions; up to which position was looked, which is the next `after`; and whether there is more
    to look at now."""

    events: list[FeedEvent]
    position: int
    more: bool

    @classmethod
    def of(cls, stretch: Stretch) -> Feed:
        """Print a stretch of the feed."""
        return cls(
            [FeedEvent.of(position, event) for position, event in stretch.events],
            stretch.position,
            stretch.more,
        )
