"""What happened that concerns an organization, in the order of the seals: what its applications follow.

An event's number is its position. What has no number yet is not told: it will get one beyond all that are given, so nothing
can ever come before what was told, and who has heard of everything up to a position needs no more than that position to go on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import BigInteger, Text, Uuid, and_, bindparam, exists, not_, or_, select, true
from sqlalchemy.dialects.postgresql import ARRAY

from hospitium.engine.events import Event, EventKind, event_parties, events
from hospitium.engine.fhir_servers.record import fhir_servers
from hospitium.engine.grants.record import grants
from hospitium.engine.invites.record import invites
from hospitium.engine.memberships.record import memberships
from hospitium.engine.offers.record import offers
from hospitium.engine.permissions import RULES, Need, Permission, organization_of, require
from hospitium.engine.records.record import records
from hospitium.engine.sessions.record import sessions
from hospitium.engine.shares.record import shares
from hospitium.engine.teams.record import teams
from hospitium.engine.trail import queries
from hospitium.engine.trail.record import event_seals
from hospitium.storage.statements import Query, exactly, one_of, pair, scalar, struct

if TYPE_CHECKING:
    from collections.abc import Collection
    from uuid import UUID

    from hospitium.engine.context import Context

LONGEST_STRETCH = 20_000
"""How many numbers are looked at for one question, however few of them are the organization's."""

_s = event_seals.c
_e = events.c
_p = event_parties.c
_organization = bindparam("organization_id", type_=Uuid)

# What an account does for itself stands in the trail of the organization it acts for at that moment, and is nobody's business there: that
# somebody's employee has a child, is a patient elsewhere, or asked who may see a record of his. So what its own people did is told of these
# nouns alone, and of all but the first only where the row is the organization's.
_OF_ADMINISTRATORS = ("client_key", "object_type", "partnership", "service_key")
_FOR_ORGANIZATIONS = [
    permission.value
    for permission in Permission
    if RULES[permission].need in (Need.STAFF, Need.ADMINISTRATOR)
]


def _is_of(noun: str, table: Any, condition: Any = None) -> Any:
    """Whether an event is about something of this noun that is the organization's."""
    whose = table.c.organization_id == _organization if condition is None else condition
    return and_(
        exactly(_e.subject_kind, noun), exists().where(table.c.id == _e.subject_id, whose).correlate(events)
    )


_on_its_server = exists().where(
    fhir_servers.c.id == grants.c.fhir_server_id, fhir_servers.c.organization_id == _organization
)
_is_told = or_(
    _e.actor_organization_id.is_distinct_from(_organization),
    and_(one_of(_e.subject_kind, _OF_ADMINISTRATORS), not_(exactly(_e.kind, EventKind.REFUSED))),
    one_of(_e.data["permission"].astext, _FOR_ORGANIZATIONS),  # only a refusal says one
    and_(exactly(_e.subject_kind, "organization"), _e.subject_id == _organization),
    _is_of("fhir_server", fhir_servers),
    _is_of("invite", invites),
    _is_of("membership", memberships),
    _is_of("offer", offers),
    _is_of("record", records),
    _is_of("session", sessions),
    _is_of("share", shares),
    _is_of("team", teams),
    _is_of("grant", grants, or_(grants.c.grantee_id == _organization, _on_its_server)),
)


def _following() -> Query[tuple[int, Event]]:
    kinds = bindparam("kinds", type_=ARRAY(Text))
    # Each is looked up by itself, for one number after the other: the limits keep the planner from joining all there ever was.
    own = (
        select(_p.event_id, _p.at)
        .where(_p.party_id == _organization, _p.at == _s.at, _p.event_id == _s.event_id)
        .limit(1)
        .correlate(event_seals)
        .lateral("own")
    )
    told = (
        select(*[_e[name] for name in Event.__struct_fields__])
        .where(
            _e.id == own.c.event_id,
            _e.at == own.c.at,
            or_(kinds.is_(None), _e.kind == kinds.any_()),
            _is_told,
        )
        .limit(1)
        .correlate(own)
        .lateral("told")
    )
    return Query(
        select(_s.number, *told.c)
        .select_from(event_seals)
        .join(own, true())
        .join(told, true())
        .where(
            _s.number > bindparam("after", type_=BigInteger), _s.number <= bindparam("last", type_=BigInteger)
        )
        .order_by(_s.number)
        .limit(bindparam("most")),
        pair(scalar("number"), struct(Event)),
    )


FOLLOWING = _following()


class Stretch(msgspec.Struct, frozen=True):
    """Events with their positions, in order; up to which position was looked, and whether there is more to look at now."""

    events: list[tuple[int, Event]]
    position: int
    more: bool


async def follow(ctx: Context, after: int, kinds: Collection[EventKind] | None, most: int) -> Stretch:
    """Return what comes after a position that concerns the actor's organization: at most `most` events, of these kinds (None: of
    all), and of no more than a stretch of the numbers. Of a position to come there is nothing after it. Numbers of a month that
    was retired have no events any more, and are passed over.

    Raises Forbidden, OrganizationInactive.
    """
    require(ctx.actor, Permission.SEE_EVENTS)
    organization_id: UUID = organization_of(ctx.actor)

    # Asked first: whatever has a number up to this one is committed, and seen by what is asked next.
    tip = await queries.TIP.first(ctx.tx)
    newest = 0 if tip is None else tip.last_number
    if after >= newest:
        return Stretch([], after, more=False)
    last = min(newest, after + LONGEST_STRETCH)
    found = await FOLLOWING.all(
        ctx.tx,
        organization_id=organization_id,
        after=after,
        last=last,
        kinds=None if kinds is None else [kind.value for kind in kinds],
        most=most,
    )
    position = found[-1][0] if len(found) == most else last
    return Stretch(found, position, more=position < newest)
