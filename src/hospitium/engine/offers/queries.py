"""Which offers: those of the actor's organization, and the one a token stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import bindparam, func, select

from hospitium.engine.offers.record import OFFER_COLUMNS, Offer, OfferStatus, offers
from hospitium.engine.organizations.record import OrganizationStatus, organizations
from hospitium.engine.permissions import organization_of
from hospitium.storage.statements import Query, exactly, pair, scalar, struct

if TYPE_CHECKING:
    from uuid import UUID

    from hospitium.engine.context import Context
    from hospitium.engine.secrets import LinkToken

_c = offers.c
_by_digest = select(*OFFER_COLUMNS).where(_c.digest == bindparam("digest"))
_LOCK_BY_TOKEN = Query(_by_digest.with_for_update(), struct(Offer))


class OrganizationName(msgspec.Struct, frozen=True):
    """Of an organization, what a stranger with its offer is shown."""

    name: str
    organization_status: OrganizationStatus


_WITH_ORGANIZATION = Query(
    select(*OFFER_COLUMNS, organizations.c.name, organizations.c.status.label("o__organization_status"))
    .join(organizations, organizations.c.id == _c.organization_id)
    .where(_c.digest == bindparam("digest")),
    pair(struct(Offer), struct(OrganizationName)),
)
_BY_ID = Query(select(*OFFER_COLUMNS).where(_c.id == bindparam("offer_id")), struct(Offer))
_OF_ORGANIZATION = Query(
    select(*OFFER_COLUMNS)
    .where(_c.organization_id == bindparam("organization_id"), _c.id < bindparam("before"))
    .order_by(_c.id.desc())
    .limit(bindparam("limit")),
    struct(Offer),
)
_is_pending = exactly(_c.status, OfferStatus.PENDING)
_PENDING_COUNT = Query(
    select(func.count().label("count")).where(
        _c.organization_id == bindparam("organization_id"), _is_pending
    ),
    scalar("count"),
)
_ONE_OVERDUE = Query(
    select(*OFFER_COLUMNS)
    .where(_is_pending, _c.expires_at <= bindparam("now"))
    .order_by(_c.expires_at)
    .limit(1)
    .with_for_update(skip_locked=True),
    struct(Offer),
)


async def lock_by_token(ctx: Context, token: LinkToken) -> Offer | None:
    """Lock the offer a token stands for, dead or alive, and return it."""
    return await _LOCK_BY_TOKEN.first(ctx.tx, digest=token.digest())


async def by_token(ctx: Context, token: LinkToken) -> tuple[Offer, OrganizationName] | None:
    """Return the offer a token stands for, dead or alive, and who makes it."""
    return await _WITH_ORGANIZATION.first(ctx.tx, digest=token.digest())


async def by_id(ctx: Context, offer_id: UUID) -> Offer | None:
    """Return an offer. For the mail that carries it, and for those of its organization."""
    return await _BY_ID.first(ctx.tx, offer_id=offer_id)


async def of_organization(ctx: Context, before: UUID, limit: int) -> list[Offer]:
    """Return offers of the actor's organization, the newest first, before one of them."""
    return await _OF_ORGANIZATION.all(
        ctx.tx, organization_id=organization_of(ctx.actor), before=before, limit=limit
    )


async def pending_count(ctx: Context, organization_id: UUID) -> int:
    """Return how many offers of an organization wait for an answer."""
    return await _PENDING_COUNT.first(ctx.tx, organization_id=organization_id) or 0


async def one_overdue(ctx: Context) -> Offer | None:
    """Lock and return an offer that nobody took up in time. For the sweep."""
    return await _ONE_OVERDUE.first(ctx.tx, now=ctx.now)
