"""How the care of a person is offered to whoever reads a mailbox, and taken up, declined or taken back.

Nobody learns here whether an address has an account: whoever offers gets the same answer for the same work in either case,
and the holder of a confirmed account finds the offers to his own address when he is signed in. The mail leads nowhere.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from hospitium.engine.accounts.emails import canonical_email
from hospitium.engine.accounts.holding import hold_actor
from hospitium.engine.deliveries import actions as deliveries
from hospitium.engine.deliveries.record import Template
from hospitium.engine.errors import Forbidden, NotConfirmed, NotFound, WrongState
from hospitium.engine.events import EventKind
from hospitium.engine.levels import Level
from hospitium.engine.permissions import RULES, Permission, require
from hospitium.engine.persons import queries, roles
from hospitium.engine.persons.actions import checked_level
from hospitium.engine.persons.lifecycle import LIFECYCLE
from hospitium.engine.persons.record import (
    PERSON_OFFER_COLUMNS,
    PERSON_OFFER_LIFE,
    PersonOffer,
    PersonOfferStatus,
    Relationship,
    person_offers,
)
from hospitium.engine.persons.telling import tell_offers
from hospitium.engine.throttles import actions as throttles
from hospitium.engine.throttles.rules import Limit, a_try
from hospitium.storage.statements import Query, insert_into, struct

if TYPE_CHECKING:
    from uuid import UUID

    from hospitium.engine.accounts.mails import Post
    from hospitium.engine.accounts.record import Account
    from hospitium.engine.context import Context
    from hospitium.engine.persons.queries import PersonView

OFFERS_AN_HOUR = Limit(50, timedelta(seconds=72))
"""How many offers of persons one account makes, to whomever."""

_INSERT = Query(
    insert_into(person_offers, *PersonOffer.__struct_fields__).returning(*PERSON_OFFER_COLUMNS),
    struct(PersonOffer),
)


class PersonOfferForm(NamedTuple):
    """To which address, at which level, and what the person is to whoever reads mail there, as far as that is known."""

    email: str
    level: Level
    relationship: Relationship = Relationship.OTHER


async def offer(ctx: Context, person_id: UUID, form: PersonOfferForm, post: Post) -> PersonOffer:
    """Offer the care of a person to whoever reads a mailbox; what was offered there before gives way. For its administrators.

    Only its owner makes administrators. The mail is in the language of the address's account, if it has one, and in the
    actor's otherwise. Raises NotFound, Forbidden, NotConfirmed, Invalid, TooManyAttempts (of his own; a mailbox that has had
    its mails for now gets none, in silence).
    """
    require(ctx.actor, Permission.SHARE_PERSON)
    level = checked_level(form.level)
    email_key = canonical_email("email", form.email)
    account = await _confirmed(ctx)
    await queries.find(ctx, person_id)
    if await queries.lock(ctx, person_id) is None:
        raise NotFound("person")
    if not roles.may_give((await queries.find(ctx, person_id)).role, level):
        raise Forbidden(RULES[Permission.SHARE_PERSON].sentence)

    before = await queries.pending_to(ctx, person_id, email_key)
    if before is not None:
        await roles.withdraw(ctx, person_id, [before])
    made = await _insert(ctx, person_id, form, email_key, account)
    await tell_offers(ctx, EventKind.PERSON_OFFERED, [made], await queries.holders(ctx, person_id))
    await throttles.count(ctx, [a_try(post.key.key, OFFERS_AN_HOUR, "persons of", str(account.id))])
    # In silence: whether a mailbox has had its mails could tell who writes there.
    if await throttles.allows(ctx, post.person_offer(email_key)):
        await deliveries.queue(ctx, Template.PERSON_OFFER, person_offer_id=made.id)
    return made


async def accept(ctx: Context, offer_id: UUID, relationship: Relationship | None = None) -> PersonView:
    """Take up the care of a person that was offered to the actor's confirmed address; `relationship`: what it is to him.

    Who looks after it already does so at the higher of both levels from then on. Raises NotConfirmed, WrongState (it was
    answered, or taken back), NotFound (alike for an offer to another address, and for one that is over by the clock).
    """
    require(ctx.actor, Permission.ACCEPT_PERSON)
    account = await _confirmed(ctx)
    seen = await _received(ctx, offer_id, account)
    if await queries.lock(ctx, seen.person_id) is None:
        raise NotFound("offer")
    accepted = await LIFECYCLE.move(
        ctx, "accept", offer_id, by_account=account.id, to_address=account.email_key
    )
    if accepted is None:
        raise WrongState(_over(await _received(ctx, offer_id, account)))
    role = await queries.open_of(ctx, accepted.person_id, account.id)
    if role is None:
        await roles.start(
            ctx, accepted.person_id, account.id, accepted.level, relationship or accepted.relationship
        )
    elif role.level < accepted.level:
        await roles.replace(ctx, role, accepted.level, relationship)
    await tell_offers(
        ctx, EventKind.PERSON_ACCEPTED, [accepted], await queries.holders(ctx, accepted.person_id)
    )
    return await queries.find(ctx, accepted.person_id)


async def decline(ctx: Context, offer_id: UUID) -> None:
    """Decline the care of a person that was offered to the actor's confirmed address.

    Raises NotConfirmed, WrongState, NotFound, as `accept`.
    """
    require(ctx.actor, Permission.ACCEPT_PERSON)
    account = await _confirmed(ctx)
    await _received(ctx, offer_id, account)
    declined = await LIFECYCLE.move(ctx, "decline", offer_id, to_address=account.email_key)
    if declined is None:
        raise WrongState(_over(await _received(ctx, offer_id, account)))
    await tell_offers(
        ctx, EventKind.PERSON_DECLINED, [declined], await queries.holders(ctx, declined.person_id)
    )


async def withdraw(ctx: Context, person_id: UUID, offer_id: UUID) -> None:
    """Take an offer back that waits. For the administrators of the person; to become one, its owner.

    Raises NotFound, Forbidden, WrongState.
    """
    require(ctx.actor, Permission.SHARE_PERSON)
    await queries.find(ctx, person_id)
    if await queries.lock(ctx, person_id) is None:
        raise NotFound("person")
    role = (await queries.find(ctx, person_id)).role
    if role.level < Level.DELETE:
        raise Forbidden(RULES[Permission.SHARE_PERSON].sentence)
    found = await queries.offer(ctx, offer_id)
    if found is None or found.person_id != person_id:
        raise NotFound("offer")
    if not roles.may_give(role, found.level):
        raise Forbidden(RULES[Permission.SHARE_PERSON].sentence)
    if not await roles.withdraw(ctx, person_id, [found]):
        raise WrongState(_over(found))


async def expire_one(ctx: Context) -> bool:
    """Mark one overdue offer as expired; return whether there was one. For the sweep."""
    overdue = await queries.one_overdue(ctx)
    if overdue is None:
        return False
    expired = await LIFECYCLE.move(ctx, "expire", overdue.id)
    if expired is not None:
        holders = await queries.holders(ctx, expired.person_id)
        await tell_offers(ctx, EventKind.PERSON_EXPIRED, [expired], holders)
    return True


async def _insert(
    ctx: Context, person_id: UUID, form: PersonOfferForm, email_key: str, account: Account
) -> PersonOffer:
    made = await _INSERT.first(
        ctx.tx,
        id=ctx.new_id(),
        person_id=person_id,
        email=form.email.strip(),
        email_key=email_key,
        level=int(form.level),
        relationship=form.relationship.value,
        status=PersonOfferStatus.PENDING.value,
        offered_by_id=account.id,
        offered_at=ctx.now,
        expires_at=ctx.now + PERSON_OFFER_LIFE,
        ended_at=None,
        account_id=None,
        language=account.language.value,
        version=1,
    )
    assert made is not None  # an INSERT … RETURNING without conflict clause has a row  # noqa: S101
    return made


async def _confirmed(ctx: Context) -> Account:
    """Keep the actor's account, and its address, as they are until this deed is done. Raises NotConfirmed, and what `hold_actor` raises."""
    own = await hold_actor(ctx)
    if not own.is_confirmed:
        raise NotConfirmed
    return own


async def _received(ctx: Context, offer_id: UUID, account: Account) -> PersonOffer:
    """Return an offer to an account's address, dead or alive; NotFound for every other, and for one that is over by the clock."""
    found = await queries.offer(ctx, offer_id)
    if found is None or found.email_key != account.email_key:
        raise NotFound("offer")
    if found.status is PersonOfferStatus.PENDING and not found.is_open(ctx.now):
        raise NotFound("offer")
    return found


def _over(offer: PersonOffer) -> str:
    """Say of an offer that it can't be answered any more."""
    return f"The offer is {offer.status} already"
