"""Which deliveries, and what the mail of one needs to be written: to whom, in which language, about what."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from sqlalchemy import Text, Uuid, bindparam, func, null, or_, select
from sqlalchemy.dialects.postgresql import TIMESTAMP

from hospitium.engine.accounts.record import AccountStatus, accounts
from hospitium.engine.actor import Role
from hospitium.engine.deliveries.record import (
    DELIVERY_COLUMNS,
    Delivery,
    DeliveryStatus,
    Template,
    deliveries,
)
from hospitium.engine.errors import NotFound
from hospitium.engine.invites.record import INVITE_COLUMNS, INVITE_PURPOSE, Invite, invites
from hospitium.engine.links import queries as link_queries
from hospitium.engine.links.record import LinkPurpose
from hospitium.engine.memberships.record import memberships
from hospitium.engine.object_types.record import object_types
from hospitium.engine.offers.record import OFFER_COLUMNS, OFFER_PURPOSE, Offer, offers
from hospitium.engine.organizations.record import OrganizationStatus, organizations
from hospitium.engine.partnerships.record import partnerships
from hospitium.engine.permissions import Permission, require
from hospitium.engine.persons import queries as person_queries
from hospitium.engine.shares import queries as share_queries
from hospitium.engine.shares.record import SHARE_COLUMNS, SHARE_PURPOSE, Share, shares
from hospitium.engine.suspensions import queries as suspension_queries
from hospitium.engine.teams.record import teams
from hospitium.storage.statements import Query, exactly, pair, scalar, struct

if TYPE_CHECKING:
    from hospitium.engine.context import Context

_c = deliveries.c
_WHEN = TIMESTAMP(timezone=True)


class LinkSeed(msgspec.Struct, frozen=True):
    """What the token of a mail is derived from, with the key (ruling 14)."""

    purpose: str
    row_id: UUID
    key_number: int
    nonce: bytes
    expires_at: datetime | None  # None: it stays good until what it is for is over


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """What one mail needs to be written. It is read when the mail is sent, and kept nowhere."""

    delivery_id: UUID
    template: Template
    at: datetime
    email: str
    language: str
    seed: LinkSeed | None = None
    organization: str | None = (
        None  # whose administrator is written to, which offers, or where something is shared
    )
    partner: str | None = None
    role: Role | None = None
    sharer: str | None = None  # who shares something
    target: str | None = None  # with whom, as he was named
    team: str | None = None  # with which team
    label: str | None = None  # what kind of thing; None: an account
    invitee: str | None = None  # whom an invite is for, as the inviter named him
    phone: str | None = None  # of the organization
    expires_at: datetime | None = None  # of an invite that has no link
    about: UUID | None = None  # which invite its inviter is told of
    level: int | None = None


# -- what a mail needs -------------------------------------------------------------------------------------------------


class _Mailbox(msgspec.Struct, frozen=True):
    email: str
    language: str
    status: AccountStatus


_MAILBOX = Query(
    select(accounts.c.email, accounts.c.language, accounts.c.status).where(
        accounts.c.id == bindparam("account_id")
    ),
    struct(_Mailbox),
)
_OFFER = Query(
    select(*OFFER_COLUMNS, organizations.c.name.label("organization__name"))
    .join(organizations, organizations.c.id == offers.c.organization_id)
    .where(offers.c.id == bindparam("offer_id"), exactly(organizations.c.status, OrganizationStatus.ACTIVE)),
    pair(struct(Offer), scalar("name")),
)


class _Sides(msgspec.Struct, frozen=True):
    source_id: UUID
    target_id: UUID
    terminated_by: UUID | None
    source_name: str
    target_name: str


_source = organizations.alias("source")
_target = organizations.alias("target")
_SIDES = Query(
    select(
        partnerships.c.source_id,
        partnerships.c.target_id,
        partnerships.c.terminated_by,
        _source.c.name.label("side__source_name"),
        _target.c.name.label("side__target_name"),
    )
    .join(_source, _source.c.id == partnerships.c.source_id)
    .join(_target, _target.c.id == partnerships.c.target_id)
    .where(partnerships.c.id == bindparam("partnership_id")),
    struct(_Sides),
)
# One statement for both ways: whom an organization has, and which ones an account has.
_ADMINISTRATIONS = Query(
    select(memberships.c.organization_id, memberships.c.account_id)
    .join(accounts, accounts.c.id == memberships.c.account_id)
    .join(organizations, organizations.c.id == memberships.c.organization_id)
    .where(
        or_(
            memberships.c.organization_id == bindparam("organization_id", type_=Uuid),
            memberships.c.account_id == bindparam("account_id", type_=Uuid),
        ),
        exactly(memberships.c.role, Role.ADMIN),
        memberships.c.ends_at.is_(None),
        exactly(accounts.c.status, AccountStatus.ACTIVE),
        exactly(organizations.c.status, OrganizationStatus.ACTIVE),
    )
    .order_by(memberships.c.starts_at, memberships.c.id),
    pair(scalar("organization_id"), scalar("account_id")),
)


class _ShareParts(msgspec.Struct, frozen=True):
    organization: str
    label: str | None
    team: str | None
    sharer_first_name: str | None
    sharer_last_name: str | None
    sharer_email: str


_sharer = accounts.alias("sharer")
_SHARE = Query(
    select(
        *SHARE_COLUMNS,
        organizations.c.name.label("of__organization"),
        object_types.c.label,
        teams.c.name.label("of__team"),
        _sharer.c.first_name.label("of__sharer_first_name"),
        _sharer.c.last_name.label("of__sharer_last_name"),
        _sharer.c.email.label("of__sharer_email"),
    )
    .join(organizations, organizations.c.id == shares.c.organization_id)
    .join(_sharer, _sharer.c.id == shares.c.creator_id)
    .outerjoin(object_types, object_types.c.id == shares.c.object_type_id)
    .outerjoin(teams, teams.c.id == shares.c.target_team_id)
    .where(shares.c.id == bindparam("share_id"), exactly(organizations.c.status, OrganizationStatus.ACTIVE)),
    pair(struct(Share), struct(_ShareParts)),
)
_OF_INVITES = (Template.INVITE_ACCEPTED, Template.INVITE_LOCKED, Template.INVITE_UNDONE)


class _Inviter(msgspec.Struct, frozen=True):
    name: str
    phone: str | None


_INVITE = Query(
    select(*INVITE_COLUMNS, organizations.c.name, organizations.c.phone)
    .join(organizations, organizations.c.id == invites.c.organization_id)
    .where(
        invites.c.id == bindparam("invite_id"), exactly(organizations.c.status, OrganizationStatus.ACTIVE)
    ),
    pair(struct(Invite), struct(_Inviter)),
)
_MAILBOX_OF_ADDRESS = Query(
    select(accounts.c.email, accounts.c.language, accounts.c.status).where(
        accounts.c.email_key == bindparam("email_key"), accounts.c.verified_at.is_not(None)
    ),
    struct(_Mailbox),
)


async def administrators(ctx: Context, organization_id: UUID) -> list[UUID]:
    """Return the accounts that administer an organization now; none if it isn't active."""
    found = await _ADMINISTRATIONS.all(ctx.tx, organization_id=organization_id, account_id=None)
    return [account_id for _, account_id in found]


async def letter(ctx: Context, delivery: Delivery) -> Letter | None:
    """Return what the mail of a delivery needs; None if nobody needs to be told any more."""
    for carried, write in (
        (delivery.link_id, _letter_with_link),
        (delivery.offer_id, _letter_with_offer),
        (delivery.share_id, _letter_with_share),
        (delivery.invite_id, _letter_with_invite),
        (delivery.person_offer_id, _letter_of_person_offer),
    ):
        if carried is not None:
            return await write(ctx, delivery, carried)
    return (
        None if delivery.account_id is None else await _letter_to_account(ctx, delivery, delivery.account_id)
    )


async def _letter_to_account(ctx: Context, delivery: Delivery, account_id: UUID) -> Letter | None:
    mailbox = await _MAILBOX.first(ctx.tx, account_id=account_id)
    if mailbox is None or mailbox.status is AccountStatus.DELETED:
        return None
    written = _begun(delivery, mailbox.email, mailbox.language)
    if delivery.template is Template.SHARE_ACCEPTED and delivery.subject_id is not None:
        return await _letter_of_acceptance(ctx, written, delivery.subject_id)
    if delivery.template in _OF_INVITES and delivery.subject_id is not None:
        return await _letter_to_inviter(ctx, written, delivery.subject_id)
    if delivery.template is Template.PATIENT_SUSPENDED and delivery.subject_id is not None:
        return await _letter_of_suspension(ctx, written, account_id, delivery.subject_id)
    if delivery.template not in _TOLD:
        return written
    sides = None
    if delivery.subject_id is not None:
        sides = await _SIDES.first(ctx.tx, partnership_id=delivery.subject_id)
    if sides is None:
        return None
    administered = await _ADMINISTRATIONS.all(ctx.tx, organization_id=None, account_id=account_id)
    return _to_administrator(written, sides, {organization_id for organization_id, _ in administered})


def _begun(delivery: Delivery, email: str, language: str) -> Letter:
    return Letter(
        delivery_id=delivery.id,
        template=delivery.template,
        at=delivery.created_at,
        email=email,
        language=language,
    )


async def _letter_with_link(ctx: Context, delivery: Delivery, link_id: UUID) -> Letter | None:
    link = await link_queries.by_id(ctx, link_id)
    if link is None:
        return None
    written = _begun(delivery, link.email, link.language)
    if link.purpose is LinkPurpose.NONE:
        return written  # it leads nowhere, so that nothing in it can be too late
    mailbox = await _MAILBOX.first(ctx.tx, account_id=link.account_id)
    if not link.is_open(ctx.now):
        return None
    if mailbox is None or mailbox.status is AccountStatus.DELETED:
        return None
    seed = LinkSeed(link.purpose.value, link.id, link.key_number, link.nonce, link.expires_at)
    return msgspec.structs.replace(written, seed=seed)


async def _letter_with_offer(ctx: Context, delivery: Delivery, offer_id: UUID) -> Letter | None:
    found = await _OFFER.first(ctx.tx, offer_id=offer_id)
    if found is None:
        return None
    offer, organization = found
    if not offer.is_open(ctx.now):
        return None
    return msgspec.structs.replace(
        _begun(delivery, offer.email, offer.language),
        seed=LinkSeed(OFFER_PURPOSE, offer.id, offer.key_number, offer.nonce, offer.expires_at),
        organization=organization,
        role=offer.role,
    )


async def _letter_with_share(ctx: Context, delivery: Delivery, share_id: UUID) -> Letter | None:
    found = await _SHARE.first(ctx.tx, share_id=share_id)
    if found is None:
        return None
    share, parts = found
    if not share.is_open(ctx.now) or share.key_number is None or share.nonce is None:
        return None
    mailbox = await _mailbox_of_target(ctx, share)
    if mailbox is None or mailbox.status is not AccountStatus.ACTIVE:
        return None
    return msgspec.structs.replace(
        _begun(delivery, mailbox.email, mailbox.language),
        seed=LinkSeed(SHARE_PURPOSE, share.id, share.key_number, share.nonce, share.expires_at),
        organization=parts.organization,
        sharer=_name_of_sharer(parts),
        target=_name_of_target(share),
        team=parts.team,
        label=parts.label,
        level=share.level,
    )


async def _mailbox_of_target(ctx: Context, share: Share) -> _Mailbox | None:
    """Return where a target reads mail: an address as it was given, in the language of the account it has, or else of who shares."""
    if share.target_email is not None:
        known = await _MAILBOX_OF_ADDRESS.first(ctx.tx, email_key=share.target_email_key)
        language = share.language if known is None else known.language
        return _Mailbox(share.target_email, language, AccountStatus.ACTIVE)
    account_id = await share_queries.who_answers(ctx, share)
    return None if account_id is None else await _MAILBOX.first(ctx.tx, account_id=account_id)


async def _letter_of_acceptance(ctx: Context, written: Letter, share_id: UUID) -> Letter | None:
    found = await _SHARE.first(ctx.tx, share_id=share_id)
    if found is None:
        return None
    share, parts = found
    return msgspec.structs.replace(
        written,
        organization=parts.organization,
        target=_name_of_target(share) or share.target_email,
        team=parts.team,
        label=parts.label,
    )


async def _letter_with_invite(ctx: Context, delivery: Delivery, invite_id: UUID) -> Letter | None:
    """Return what the mail of an invite needs. Which of the two mails it is, is settled now: by whether the address has an account."""
    found = await _INVITE.first(ctx.tx, invite_id=invite_id)
    if found is None:
        return None
    invite, inviter = found
    if (
        not invite.is_open(ctx.now)
        or invite.email is None
        or invite.nonce is None
        or invite.key_number is None
    ):
        return None
    written = msgspec.structs.replace(
        _begun(delivery, invite.email, invite.language),
        organization=inviter.name,
        phone=inviter.phone,
        expires_at=invite.expires_at,
    )
    mailbox = await _MAILBOX_OF_ADDRESS.first(ctx.tx, email_key=invite.email_key)
    if mailbox is not None:
        if mailbox.status is not AccountStatus.ACTIVE:
            return None
        return msgspec.structs.replace(written, template=Template.INVITE_WAITING, language=mailbox.language)
    return msgspec.structs.replace(
        written,
        invitee=" ".join(filter(None, (invite.first_name, invite.last_name))),
        seed=LinkSeed(INVITE_PURPOSE, invite.id, invite.key_number, invite.nonce, invite.expires_at),
    )


async def _letter_to_inviter(ctx: Context, written: Letter, invite_id: UUID) -> Letter | None:
    found = await _INVITE.first(ctx.tx, invite_id=invite_id)
    if found is None:
        return None
    return msgspec.structs.replace(written, organization=found[1].name, about=invite_id)


async def _letter_of_person_offer(ctx: Context, delivery: Delivery, offer_id: UUID) -> Letter | None:
    """Return what the mail of an offer of a person needs: who offers it, and nothing of the person."""
    found = await person_queries.offer_to_send(ctx, offer_id)
    if found is None:
        return None
    offer, sharer = found
    if not offer.is_open(ctx.now):
        return None
    # In the language of the address's account; its holder signs in, so that one that is disabled isn't written to.
    known = await _MAILBOX_OF_ADDRESS.first(ctx.tx, email_key=offer.email_key)
    if known is not None and known.status is not AccountStatus.ACTIVE:
        return None
    return msgspec.structs.replace(
        _begun(delivery, offer.email, offer.language if known is None else known.language),
        sharer=" ".join(filter(None, (sharer.first_name, sharer.last_name))) or sharer.email,
        expires_at=offer.expires_at,
    )


async def _letter_of_suspension(
    ctx: Context, written: Letter, account_id: UUID, suspension_id: UUID
) -> Letter | None:
    """Return what the mail of a suspension needs: whose FHIR server, and its number; nothing of the patient."""
    told = await suspension_queries.to_tell(ctx, suspension_id)
    if told is None or account_id not in await administrators(ctx, told.organization_id):
        return None
    return msgspec.structs.replace(written, organization=told.organization_name, about=suspension_id)


def _name_of_sharer(parts: _ShareParts) -> str:
    named = " ".join(filter(None, (parts.sharer_first_name, parts.sharer_last_name)))
    return named or parts.sharer_email


def _name_of_target(share: Share) -> str | None:
    return " ".join(filter(None, (share.target_first_name, share.target_last_name))) or None


# Which side of a partnership is told. Of an ending, the one that didn't end it.
_TOLD = {
    Template.PARTNERSHIP_REQUESTED: "target",
    Template.PARTNERSHIP_APPROVED: "source",
    Template.PARTNERSHIP_REJECTED: "source",
    Template.PARTNERSHIP_CANCELED: "target",
    Template.PARTNERSHIP_EXPIRED: "source",
    Template.PARTNERSHIP_TERMINATED: "other",
}


def _to_administrator(written: Letter, sides: _Sides, administered: set[UUID]) -> Letter | None:
    """Say which side is told, and which is the other; None for who administers neither any more.

    A partnership may have been taken up again from the other side since. So the side is the one he administers, and only
    if these are both, the one such a mail is for.
    """
    told = _TOLD[written.template]
    is_source = sides.terminated_by != sides.source_id if told == "other" else told == "source"
    his = administered & {sides.source_id, sides.target_id}
    if not his:
        return None
    if len(his) == 1:
        is_source = sides.source_id in his
    names = (sides.source_name, sides.target_name)
    own, partner = names if is_source else names[::-1]
    return msgspec.structs.replace(written, organization=own, partner=partner)


# -- the operator's view -----------------------------------------------------------------------------------------------


class Listed(msgspec.Struct, frozen=True):
    """A delivery as the operator sees it: of persons, no more than the account or organization it is for."""

    id: UUID
    template: Template
    recipient: str
    status: DeliveryStatus
    created_at: datetime
    due_at: datetime
    attempts: int
    being_sent: bool
    ended_at: datetime | None
    last_problem: str | None


class Counted(msgspec.Struct, frozen=True):
    """How many deliveries there are of one status."""

    status: DeliveryStatus
    count: int


_FIND = Query(select(*DELIVERY_COLUMNS).where(_c.id == bindparam("delivery_id")), struct(Delivery))
_status_wanted = bindparam("status", type_=Text)
_LISTED = Query(
    select(
        _c.id,
        _c.template,
        func.coalesce(
            accounts.c.email, organizations.c.code, _c.link_id.cast(Text), _c.offer_id.cast(Text), _c.share_id.cast(Text),
            _c.invite_id.cast(Text), _c.person_offer_id.cast(Text),
        ).label("recipient"),
        _c.status,
        _c.created_at,
        _c.due_at,
        _c.attempts,
        (_c.lease.is_not(None) & (_c.due_at > bindparam("now", type_=_WHEN))).label("being_sent"),
        _c.ended_at,
        _c.last_problem,
    )
    .join(accounts, accounts.c.id == _c.account_id, isouter=True)
    .join(organizations, organizations.c.id == _c.organization_id, isouter=True)
    .where(or_(_status_wanted.is_(null()), _c.status == _status_wanted))
    .order_by(_c.created_at.desc(), _c.id.desc())
    .limit(bindparam("limit")),
    struct(Listed),
)  # fmt: skip
_COUNTED = Query(
    select(_c.status, func.count().label("count")).group_by(_c.status).order_by(_c.status), struct(Counted)
)


async def find(ctx: Context, delivery_id: UUID) -> Delivery:
    """Return a delivery; NotFound otherwise. For the operator."""
    found = await _FIND.first(ctx.tx, delivery_id=delivery_id)
    if found is None:
        raise NotFound("delivery")
    return found


async def latest(ctx: Context, status: DeliveryStatus | None, limit: int) -> list[Listed]:
    """Return deliveries, the latest first. For the operator."""
    require(ctx.actor, Permission.KEEP_DELIVERIES)
    return await _LISTED.all(ctx.tx, status=status, limit=limit, now=ctx.now)


async def counts(ctx: Context) -> list[Counted]:
    """Return how many deliveries there are of each status. For the operator."""
    require(ctx.actor, Permission.KEEP_DELIVERIES)
    return await _COUNTED.all(ctx.tx)
