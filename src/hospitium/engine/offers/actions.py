"""What can happen to an offer: one function each."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

import asyncpg

from hospitium.engine import events
from hospitium.engine.accounts import life, queries as account_queries
from hospitium.engine.accounts.actions import AccountForm
from hospitium.engine.accounts.emails import canonical_email
from hospitium.engine.accounts.record import AccountStatus, Language
from hospitium.engine.deliveries import actions as deliveries
from hospitium.engine.deliveries.record import Template
from hospitium.engine.errors import DeadLink, Forbidden, NotFound, NotSignedIn, OfferLimitReached, WrongState
from hospitium.engine.events import EventKind
from hospitium.engine.memberships import actions as memberships, queries as membership_queries
from hospitium.engine.offers import queries
from hospitium.engine.offers.lifecycle import LIFECYCLE
from hospitium.engine.offers.record import (
    OFFER_COLUMNS,
    OFFER_LIFE,
    OFFER_PURPOSE,
    Offer,
    OfferStatus,
    offers,
)
from hospitium.engine.organizations import queries as organization_queries
from hospitium.engine.organizations.record import OrganizationStatus
from hospitium.engine.permissions import Permission, organization_of, require
from hospitium.engine.secrets import seed
from hospitium.engine.throttles import actions as throttles
from hospitium.engine.throttles.rules import Limit, a_try
from hospitium.storage.statements import Query, insert_into, struct

if TYPE_CHECKING:
    from uuid import UUID

    from hospitium.engine.accounts.mails import Post
    from hospitium.engine.accounts.record import Account
    from hospitium.engine.actor import Role
    from hospitium.engine.context import Context
    from hospitium.engine.memberships.record import Membership
    from hospitium.engine.secrets import HashedPassword, LinkToken
    from hospitium.engine.sessions.actions import PasswordVerdict

MOST_PENDING = 200
OFFERS_AN_HOUR = Limit(50, timedelta(seconds=72))
"""How many mails of offers one organization has sent, whoever asks for them."""

_INSERT = Query(
    insert_into(offers, *Offer.__struct_fields__, "digest").returning(*OFFER_COLUMNS), struct(Offer)
)


async def make(ctx: Context, email: str, role: Role, language: Language, post: Post) -> Offer:
    """Offer membership of the actor's organization to whoever reads a mailbox.

    Raises Invalid, WrongState (there is an open offer to this address, or it is a member's), OfferLimitReached,
    TooManyAttempts (this mailbox, or this organization, has had its mails for now).
    """
    require(ctx.actor, Permission.OFFER_MEMBERSHIP)
    organization_id = organization_of(ctx.actor)
    if ctx.actor.account_id is None:
        raise NotSignedIn
    email_key = canonical_email("email", email)
    # Locked, so that of two at once the second counts the first.
    await organization_queries.lock(ctx, organization_id)
    if await queries.pending_count(ctx, organization_id) >= MOST_PENDING:
        raise OfferLimitReached(MOST_PENDING)
    await _refuse_members(ctx, organization_id, email_key)
    await _count_mails(ctx, organization_id, email_key, post)
    made_seed = seed(post.key, OFFER_PURPOSE, ctx.new_id())
    try:
        made = await _INSERT.first(
            ctx.tx,
            id=made_seed.row_id,
            organization_id=organization_id,
            email=email.strip(),
            email_key=email_key,
            role=role.value,
            language=language.value,
            status=OfferStatus.PENDING.value,
            offered_by_id=ctx.actor.account_id,
            offered_at=ctx.now,
            expires_at=ctx.now + OFFER_LIFE,
            ended_at=None,
            account_id=None,
            key_number=made_seed.key_number,
            nonce=made_seed.nonce,
            digest=made_seed.digest,
        )
    except asyncpg.UniqueViolationError:
        raise WrongState(
            "This address is invited already; send that invitation again, or withdraw it"
        ) from None
    assert made is not None  # an INSERT … RETURNING without conflict clause has a row  # noqa: S101
    await _tell(ctx, EventKind.OFFER_MADE, made)
    await deliveries.queue(ctx, Template.OFFER, offer_id=made.id)
    return made


async def resend(ctx: Context, offer_id: UUID, post: Post) -> Offer:
    """Send an open offer again, with a new link; the one before is dead. Raises NotFound, WrongState, TooManyAttempts."""
    require(ctx.actor, Permission.OFFER_MEMBERSHIP)
    before = await _ours(ctx, offer_id)
    # Before the link that was sent dies: without a new mail it stays good.
    await _count_mails(ctx, before.organization_id, before.email_key, post)
    made = seed(post.key, OFFER_PURPOSE, before.id)
    after = await LIFECYCLE.move(
        ctx,
        "resend",
        before.id,
        of_organization=before.organization_id,
        until=ctx.now + OFFER_LIFE,
        with_key=made.key_number,
        with_nonce=made.nonce,
        with_digest=made.digest,
    )
    if after is None:
        raise WrongState(f"The invitation is {before.status}")
    await _tell(ctx, EventKind.OFFER_RESENT, after)
    await deliveries.queue(ctx, Template.OFFER, offer_id=after.id)
    return after


async def withdraw(ctx: Context, offer_id: UUID) -> Offer:
    """Take an open offer back; its link is dead. Raises NotFound, WrongState."""
    require(ctx.actor, Permission.OFFER_MEMBERSHIP)
    before = await _ours(ctx, offer_id)
    after = await LIFECYCLE.move(ctx, "withdraw", before.id, of_organization=before.organization_id)
    if after is None:
        raise WrongState(f"The invitation is {before.status} already")
    await _tell(ctx, EventKind.OFFER_WITHDRAWN, after)
    return after


async def look(ctx: Context, token: LinkToken) -> tuple[Offer, str, bool]:
    """Return an open offer, the name of its organization, and whether its address has a confirmed account.

    Its reader holds the mailbox by holding the link, so he may be told. Raises DeadLink.
    """
    require(ctx.actor, Permission.ACCEPT_OFFER)
    found = await queries.by_token(ctx, token)
    if found is None:
        raise DeadLink
    offer, organization = found
    if not offer.is_open(ctx.now) or organization.organization_status is not OrganizationStatus.ACTIVE:
        raise DeadLink
    account = await account_queries.find(ctx, offer.email_key)
    return offer, organization.name, account is not None and account.is_confirmed


class Joined(NamedTuple):
    """Who has become a member, as what, and of which organization, by its name."""

    account: Account
    membership: Membership
    organization: str


async def accept(
    ctx: Context,
    token: LinkToken,
    form: AccountForm | None,
    password: HashedPassword | None,
    verdict: PasswordVerdict | None,
) -> Joined:
    """Take an offer up: as the actor, whose mailbox it was sent to, or with the password of the account there is or is to be.

    Raises DeadLink, WrongCredentials, AccountDisabled, Forbidden (another account's mailbox), Invalid, WrongState (a
    member already).
    """
    require(ctx.actor, Permission.ACCEPT_OFFER)
    seen = await queries.by_token(ctx, token)
    if seen is None:
        raise DeadLink
    organization_id, organization = seen[0].organization_id, seen[1].name
    locked = await organization_queries.lock(ctx, organization_id)
    if locked[organization_id].status is not OrganizationStatus.ACTIVE:
        raise DeadLink
    # Before any password is judged: of two who bring one link the second finds it used, whoever he is.
    current = await queries.lock_by_token(ctx, token)
    if current is None or not current.is_open(ctx.now):
        raise DeadLink
    account = await _reader(ctx, current, form, password, verdict)
    offer = await LIFECYCLE.move(ctx, "accept", current.id, by_account=account.id)
    if offer is None:
        raise DeadLink
    membership = await memberships.start(ctx, account.id, organization_id, offer.role)
    await _tell(ctx, EventKind.OFFER_ACCEPTED, offer)
    return Joined(account, membership, organization)


async def expire_one(ctx: Context) -> bool:
    """Mark one overdue offer as expired; return whether there was one. For the sweep."""
    overdue = await queries.one_overdue(ctx)
    if overdue is None:
        return False
    expired = await LIFECYCLE.move(ctx, "expire", overdue.id)
    if expired is not None:
        await _tell(ctx, EventKind.OFFER_EXPIRED, expired)
    return True


async def _reader(
    ctx: Context,
    offer: Offer,
    form: AccountForm | None,
    password: HashedPassword | None,
    verdict: PasswordVerdict | None,
) -> Account:
    if ctx.actor.account_id is not None:
        account = await account_queries.by_id(ctx, ctx.actor.account_id)
        if account.email_key != offer.email_key:
            raise Forbidden("This invitation was sent to another address than that of your account")
        if not account.is_confirmed:
            raise Forbidden("Confirm your address first, or follow the link without being signed in")
        return account
    if form is None or password is None or verdict is None:
        raise NotSignedIn
    # The address is the offer's, whatever was typed: the link proves that mailbox and no other.
    return await life.join_by_mailbox(
        ctx,
        AccountForm(
            email=offer.email, first_name=form.first_name, last_name=form.last_name, language=form.language
        ),
        password,
        verdict,
    )


async def _ours(ctx: Context, offer_id: UUID) -> Offer:
    found = await queries.by_id(ctx, offer_id)
    if found is None or found.organization_id != organization_of(ctx.actor):
        raise NotFound("invitation")
    return found


async def _refuse_members(ctx: Context, organization_id: UUID, email_key: str) -> None:
    account = await account_queries.find(ctx, email_key)
    if account is None or account.status is not AccountStatus.ACTIVE:
        return
    if await membership_queries.open_of(ctx, account.id, organization_id) is not None:
        raise WrongState("This address is that of a member already")


async def _count_mails(ctx: Context, organization_id: UUID, email_key: str, post: Post) -> None:
    """Count what one mailbox is offered, and what one organization offers. Raises TooManyAttempts: an administrator may know."""
    await throttles.count(
        ctx, [post.offer(email_key), a_try(post.key.key, OFFERS_AN_HOUR, "offers of", str(organization_id))]
    )


async def _tell(ctx: Context, kind: EventKind, offer: Offer) -> None:
    await events.record(
        ctx,
        kind,
        subject=("offer", offer.id),
        organizations=[offer.organization_id],
        accounts=[offer.account_id],
        role=offer.role,
    )
