"""Which organizations. One sees the active ones, and one's own whatever its status."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import Select, Text, Uuid, and_, bindparam, func, null, or_, select, true
from sqlalchemy.dialects.postgresql import ARRAY

from hospitium.engine.errors import NotFound
from hospitium.engine.organizations.record import (
    CARD_COLUMNS,
    PROFILE_COLUMNS,
    OrganizationCard,
    OrganizationProfile,
    OrganizationStatus,
    OrganizationType,
    organizations,
)
from hospitium.engine.partnerships.lifecycle import EFFECTIVE_STATUS
from hospitium.engine.partnerships.record import LIVE, LatestPartnership, Standing, partnerships
from hospitium.engine.permissions import organization_of
from hospitium.engine.text import search_key
from hospitium.storage.statements import Query, exactly, one_of, pair, scalar, struct

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from hospitium.engine.context import Context

_c = organizations.c
_p = partnerships.c
_ME = bindparam("organization_id", type_=Uuid)
_ACTIVE = exactly(_c.status, OrganizationStatus.ACTIVE)
# What the index of trigrams is of use for. In PostgreSQL's C locale no other letters have trigrams.
_HAS_TRIGRAM = re.compile(r"[a-z0-9]{3}")


def _latest_with(other: Any) -> Any:
    """The latest partnership between an organization and `:organization_id`, beside it in the same row."""
    return (
        select(EFFECTIVE_STATUS.label("latest_status"), _p.source_id.label("latest_source_id"))
        .where(_p.pair_low == func.least(other, _ME), _p.pair_high == func.greatest(other, _ME))
        # The live one first: two servers' clocks may have put the one before it later.
        .order_by(one_of(_p.status, LIVE).desc(), _p.requested_at.desc(), _p.id.desc())
        .limit(1)
        .lateral("latest")
    )


def visible(*columns: Any) -> Select[Any]:
    """Select from the organizations that `:organization_id` may see: the active ones and itself."""
    return select(*columns).select_from(organizations).where(or_(_ACTIVE, _c.id == _ME))


# -- one ---------------------------------------------------------------------------------------------------------------

_latest = _latest_with(_c.id)
_PROFILE = Query(
    visible(*PROFILE_COLUMNS, _latest.c.latest_status, _latest.c.latest_source_id)
    .join(_latest, true(), isouter=True)
    .where(_c.id == bindparam("wanted_id")),
    pair(struct(OrganizationProfile), struct(LatestPartnership)),
)


async def profile(ctx: Context, wanted_id: UUID) -> tuple[OrganizationProfile, Standing]:
    """Return an organization the actor's own may see, and how the two stand; NotFound otherwise."""
    me = organization_of(ctx.actor)
    found = await _PROFILE.first(ctx.tx, wanted_id=wanted_id, organization_id=me, now=ctx.now)
    if found is None:
        raise NotFound("organization")
    organization, latest = found
    return organization, latest.standing(me)


class LockedOrganization(msgspec.Struct, frozen=True):
    """An organization whose row is locked until this transaction ends."""

    card: OrganizationCard
    status: OrganizationStatus


# In the order of ids, always: two deeds that meet wait, and never embrace.
LOCK = Query(
    select(*CARD_COLUMNS, _c.status)
    .where(_c.id == func.any(bindparam("organization_ids", type_=ARRAY(Uuid))))
    .order_by(_c.id)
    .with_for_update(key_share=True),
    pair(struct(OrganizationCard), scalar("status")),
)


async def lock(ctx: Context, *organization_ids: UUID) -> dict[UUID, LockedOrganization]:
    """Lock organizations in the order of their ids; return those that exist."""
    rows = await LOCK.all(ctx.tx, organization_ids=list(organization_ids))
    return {card.id: LockedOrganization(card, OrganizationStatus(status)) for card, status in rows}


# -- the operator's view -----------------------------------------------------------------------------------------------

_BY_CODE = Query(select(*PROFILE_COLUMNS).where(_c.code == bindparam("code")), struct(OrganizationProfile))
_BY_ID = Query(select(*PROFILE_COLUMNS).where(_c.id == bindparam("wanted_id")), struct(OrganizationProfile))
_ALL = Query(
    select(*PROFILE_COLUMNS)
    .where(_c.code > bindparam("after"), or_(bindparam("status", type_=Text).is_(null()), _c.status == bindparam("status", type_=Text)))
    .order_by(_c.code)
    .limit(bindparam("limit")),
    struct(OrganizationProfile),
)  # fmt: skip
_IDS_BY_CODE = Query(
    select(_c.code, _c.id).where(_c.code == func.any(bindparam("codes", type_=ARRAY(Text)))),
    pair(scalar("code"), scalar("id")),
)


async def by_code(ctx: Context, code: str) -> OrganizationProfile:
    """Return the organization with a code, whatever its status; NotFound otherwise. For the operator."""
    found = await _BY_CODE.first(ctx.tx, code=code)
    if found is None:
        raise NotFound("organization")
    return found


async def by_id(ctx: Context, wanted_id: UUID) -> OrganizationProfile | None:
    """Return an organization, whatever its status. For the operator and the world loader."""
    return await _BY_ID.first(ctx.tx, wanted_id=wanted_id)


async def all_after(
    ctx: Context, code: str, status: OrganizationStatus | None, limit: int
) -> Sequence[OrganizationProfile]:
    """Return organizations in the order of their codes, after one of them. For the operator."""
    return await _ALL.all(ctx.tx, after=code, status=status, limit=limit)


async def ids_by_code(ctx: Context, codes: list[str]) -> dict[str, UUID]:
    """Return the ids of those organizations that exist among some codes. For the world loader."""
    return dict(await _IDS_BY_CODE.all(ctx.tx, codes=codes))


# -- search ------------------------------------------------------------------------------------------------------------


class Search(msgspec.Struct, frozen=True):
    """What is searched for: a part of the name (or the whole NPI), and filters."""

    text: str = ""
    type: OrganizationType | None = None
    state: str | None = None
    specialty: str | None = None


class Found(msgspec.Struct, frozen=True):
    """An organization found, and how it stands with the searching one."""

    organization: OrganizationCard
    standing: Standing


def _matching(shape: tuple[str, ...]) -> Any:
    """The condition for one shape of search. Each shape is a statement of its own, so that each has a plan of its own."""
    conditions = [_ACTIVE, _c.id != _ME]
    by_name: Any = _c.name_key.like(bindparam("pattern", type_=Text))
    if "trigrams" in shape:
        conditions.append(or_(by_name, _c.npi == bindparam("npi", type_=Text)) if "npi" in shape else by_name)
    elif "letters" in shape:
        # Without a trigram, walking the names is the quickest, and `IS true` keeps it so.
        conditions.append(by_name.is_(True))
    if "type" in shape:
        conditions.append(_c.type == bindparam("type", type_=Text))
    if "state" in shape:
        conditions.append(_c.state == bindparam("state", type_=Text))
    if "specialty" in shape:
        conditions.append(_c.specialty_keys.contains(bindparam("specialties", type_=ARRAY(Text))))
    return and_(*conditions)


@functools.cache
def _found(shape: tuple[str, ...], *, from_the_end: bool) -> Query[Any]:
    """Build the statement of one page: ids by index alone where the index has all that is asked, then their rows."""
    order = [_c.name_key, _c.id]
    chosen = (
        select(_c.id)
        .where(_matching(shape))
        .order_by(*([column.desc() for column in order] if from_the_end else order))
        .limit(bindparam("limit"))
        .offset(bindparam("offset"))
        .subquery("chosen")
    )
    latest = _latest_with(_c.id)
    return Query(
        select(*CARD_COLUMNS, latest.c.latest_status, latest.c.latest_source_id)
        .select_from(chosen)
        .join(organizations, _c.id == chosen.c.id)
        .join(latest, true(), isouter=True)
        .order_by(*order),
        pair(struct(OrganizationCard), struct(LatestPartnership)),
    )


@functools.cache
def _total(shape: tuple[str, ...]) -> Query[int]:
    return Query(
        select(func.count().label("total")).select_from(organizations).where(_matching(shape)),
        scalar("total"),
    )


async def search(ctx: Context, wanted: Search, *, offset: int, limit: int) -> tuple[list[Found], int]:
    """Return one page of the active organizations that match, by name, without the actor's own; and the exact total.

    A name matches if it contains the text, whatever the case and the accents; an NPI only as a whole.
    """
    me = organization_of(ctx.actor)
    shape, values = _shape(wanted)
    # What is quick for a rare word is slow for a common one: these statements are planned for the words themselves.
    await ctx.tx.execute("SET LOCAL plan_cache_mode = force_custom_plan")
    total = await _total(shape).first(ctx.tx, organization_id=me, **values) or 0
    count = min(limit, total - offset)
    if count <= 0:
        return [], total
    from_the_end = offset > total // 2
    if from_the_end:
        offset = total - offset - count
    rows = await _found(shape, from_the_end=from_the_end).all(
        ctx.tx, organization_id=me, now=ctx.now, limit=count, offset=offset, **values
    )
    return [Found(card, latest.standing(me)) for card, latest in rows], total


def _shape(wanted: Search) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Return which conditions a search has, and the values they need."""
    shape: list[str] = []
    values: dict[str, Any] = {}
    key = search_key(wanted.text)
    if key:
        shape.append("trigrams" if _HAS_TRIGRAM.search(key) else "letters")
        values["pattern"] = "%" + re.sub(r"([\\%_])", r"\\\1", key) + "%"
    if re.fullmatch(r"[0-9]{10}", key):
        shape.append("npi")
        values["npi"] = key
    if wanted.type is not None:
        shape.append("type")
        values["type"] = wanted.type.value
    if wanted.state is not None:
        shape.append("state")
        values["state"] = wanted.state
    if wanted.specialty is not None:
        shape.append("specialty")
        values["specialties"] = [search_key(wanted.specialty)]
    return tuple(shape), values
