"""What is told of persons: their events, in the trails of the person and of everybody who looks after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hospitium.engine import events
from hospitium.engine.events import Told

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from uuid import UUID

    from hospitium.engine.context import Context
    from hospitium.engine.events import EventKind
    from hospitium.engine.persons.record import Person, PersonOffer, PersonRole


async def tell(
    ctx: Context,
    kind: EventKind,
    person: Person,
    holders: Iterable[UUID],
    **data: Any,
) -> None:
    """Record what happened to a person; `holders`: who looks after it, or did until now."""
    await events.record(
        ctx,
        kind,
        subject=("person", person.id),
        accounts=holders,
        persons=[person.id],
        version=person.version,
        **data,
    )


async def tell_role(
    ctx: Context, kind: EventKind, role: PersonRole, holders: Iterable[UUID], **data: Any
) -> None:
    """Record what happened to the role an account has, or had, on a person."""
    await events.record(
        ctx,
        kind,
        subject=("person", role.person_id),
        accounts=[*holders, role.account_id],
        persons=[role.person_id],
        account=role.account_id,
        level=role.level,
        owner=role.is_owner,
        **data,
    )


async def tell_offers(
    ctx: Context, kind: EventKind, offers: Sequence[PersonOffer], holders: Sequence[UUID]
) -> None:
    """Record the same of several offers of persons; the address of one is never said, nor whose account it is before it accepts."""
    await events.record_all(
        ctx,
        kind,
        [
            Told(
                ("person_offer", offer.id),
                accounts=[*holders, offer.account_id],
                data={
                    "person": offer.person_id,
                    "status": offer.status,
                    "version": offer.version,
                    "level": offer.level,
                    "account": offer.account_id,
                },
                persons=[offer.person_id],
            )
            for offer in offers
        ],
    )
