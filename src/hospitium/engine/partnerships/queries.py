"""Which partnerships. An organization sees those it is a side of, and no other; every finder starts from there."""

from __future__ import annotations

import functools
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
from sqlalchemy import (
    ColumnElement,
    Select,
    Uuid,
    and_,
    bindparam,
    func,
    literal,
    or_,
    select,
    union_all,
)

from hospitium.engine.errors import NotFound
from hospitium.engine.organizations.queries import LockedOrganization
from hospitium.engine.organizations.record import (
    OrganizationCard,
    OrganizationProfile,
    OrganizationStatus,
    organizations,
)
from hospitium.engine.partnerships.lifecycle import COLUMNS, IN_TIME, OVERDUE
from hospitium.engine.partnerships.record import (
    LIVE,
    Partnership,
    PartnershipDetail,
    PartnershipStatus as Status,
    PartnershipView,
    partnership_tallies as tallies,
    partnerships,
)
from hospitium.engine.permissions import organization_of
from hospitium.storage.statements import Query, exactly, one_of, pair, scalar, struct, triple

if TYPE_CHECKING:
    from hospitium.engine.context import Context

_c = partnerships.c
_ME = bindparam("organization_id", type_=Uuid)
_SEES: ColumnElement[bool] = (_c.source_id == _ME) | (_c.target_id == _ME)
_source = organizations.alias("source")
_target = organizations.alias("target")


def _labelled(alias: Any, struct_type: type[msgspec.Struct]) -> list[Any]:
    return [alias.c[name].label(f"{alias.name}__{name}") for name in struct_type.__struct_fields__]


def visible(*columns: Any) -> Select[Any]:
    """Select from the partnerships that the organization `:organization_id` is a side of."""
    return select(*columns).select_from(partnerships).where(_SEES)


# -- one ---------------------------------------------------------------------------------------------------------------

_DETAIL = Query(
    visible(*COLUMNS, *_labelled(_source, OrganizationProfile), *_labelled(_target, OrganizationProfile))
    .join(_source, _source.c.id == _c.source_id)
    .join(_target, _target.c.id == _c.target_id)
    .where(_c.id == bindparam("partnership_id")),
    triple(struct(Partnership), struct(OrganizationProfile), struct(OrganizationProfile)),
)

_FIND = Query(visible(*COLUMNS).where(_c.id == bindparam("partnership_id")), struct(Partnership))


async def detail(ctx: Context, partnership_id: UUID) -> PartnershipDetail:
    """Return one partnership of the actor's organization with both profiles; NotFound otherwise."""
    found = await _DETAIL.first(
        ctx.tx, partnership_id=partnership_id, organization_id=organization_of(ctx.actor), now=ctx.now
    )
    if found is None:
        raise NotFound("connection")
    return PartnershipDetail(*found)


async def find(ctx: Context, partnership_id: UUID) -> Partnership:
    """Return one partnership of the actor's organization; NotFound otherwise."""
    found = await _FIND.first(
        ctx.tx, partnership_id=partnership_id, organization_id=organization_of(ctx.actor), now=ctx.now
    )
    if found is None:
        raise NotFound("connection")
    return found


class LockedPair(msgspec.Struct, frozen=True):
    """A partnership whose two organizations are locked until this transaction ends."""

    partnership: Partnership
    sides: dict[UUID, LockedOrganization]

    def view(self, partnership: Partnership) -> PartnershipView:
        """Return the partnership, as a move left it, with the cards of both sides."""
        return PartnershipView(
            partnership, self.sides[partnership.source_id].card, self.sides[partnership.target_id].card
        )


# The organizations' rows are locked in the order of their ids, always: two deeds that meet wait, and never embrace.
LOCK_PAIR_OF_PARTNERSHIP = Query(
    visible(
        *COLUMNS,
        *_labelled(organizations, OrganizationCard),
        organizations.c.status.label("pair__org_status"),
    )
    .join(organizations, or_(organizations.c.id == _c.source_id, organizations.c.id == _c.target_id))
    .where(_c.id == bindparam("partnership_id"))
    .order_by(organizations.c.id)
    .with_for_update(of=organizations, key_share=True),
    triple(struct(Partnership), struct(OrganizationCard), scalar("org_status")),
)


async def find_and_lock(ctx: Context, partnership_id: UUID) -> LockedPair:
    """Return one partnership of the actor's organization with both organizations locked; NotFound otherwise.

    The partnership is as it stood before the locks were had: a move's own guard has the last word.
    """
    rows = await LOCK_PAIR_OF_PARTNERSHIP.all(
        ctx.tx, partnership_id=partnership_id, organization_id=organization_of(ctx.actor), now=ctx.now
    )
    if not rows:
        raise NotFound("connection")
    return LockedPair(
        rows[0][0],
        {card.id: LockedOrganization(card, OrganizationStatus(status)) for _, card, status in rows},
    )


# -- what limits and cool-downs look at --------------------------------------------------------------------------------

_OTHER = bindparam("other_id", type_=Uuid)


def _side_is_me(side: str) -> ColumnElement[bool]:
    return _c[f"{side}_id"] == _ME


_FROM_ME = (_c.source_id == _ME) & (_c.target_id == _OTHER)
_OF_PAIR = (_c.pair_low == func.least(_ME, _OTHER)) & (_c.pair_high == func.greatest(_ME, _OTHER))
_LIVE = one_of(_c.status, LIVE)


class Facts(msgspec.Struct, frozen=True):
    """All that decides whether one organization may ask another now."""

    pending: int
    active: int
    live_id: UUID | None
    overdue_id: UUID | None
    rejected_at: datetime | None
    terminated_at: datetime | None
    resend_exempted_at: datetime | None
    reestablish_exempted_at: datetime | None
    latest_id: UUID | None


def _active(organization: Any) -> Any:
    return (
        select(func.coalesce(func.sum(tallies.c.count), 0))
        .where(tallies.c.organization_id == organization, exactly(tallies.c.status, Status.APPROVED))
        .scalar_subquery()
    )


def _one(column: Any, *where: Any) -> Any:
    return select(column).where(*where).scalar_subquery()


def _overdue(side: str) -> Any:
    return _one(func.count(), _side_is_me(side), exactly(_c.status, Status.PENDING_APPROVAL), OVERDUE)


def _pending_sent() -> Any:
    """The unanswered requests that an organization sent: all, less the few that are overdue and not swept yet.

    Counting those in time instead could mean walking everybody's: of the indexes that hold them, the planner takes the wrong
    one where there were none when it last looked.
    """
    sent = _one(
        func.coalesce(func.sum(tallies.c.count), 0),
        tallies.c.organization_id == _ME,
        exactly(tallies.c.side, "source"),
        exactly(tallies.c.status, Status.PENDING_APPROVAL),
    )
    return sent - _overdue("source")


FACTS = Query(
    select(
        _pending_sent().label("pending"),
        _active(_ME).label("active"),
        _one(_c.id, _OF_PAIR, _LIVE, or_(exactly(_c.status, Status.APPROVED), IN_TIME)).label("live_id"),
        _one(_c.id, _OF_PAIR, exactly(_c.status, Status.PENDING_APPROVAL), OVERDUE).label("overdue_id"),
        _one(func.max(_c.rejected_at), _FROM_ME, _OF_PAIR).label("rejected_at"),
        _one(func.max(_c.terminated_at), _OF_PAIR).label("terminated_at"),
        _one(func.max(_c.resend_exempted_at), _FROM_ME, _OF_PAIR).label("resend_exempted_at"),
        _one(func.max(_c.reestablish_exempted_at), _OF_PAIR).label("reestablish_exempted_at"),
        select(_c.id)
        .where(_OF_PAIR)
        .order_by(_c.requested_at.desc(), _c.id.desc())
        .limit(1)
        .scalar_subquery()
        .label("latest_id"),
    ),
    struct(Facts),
)


async def facts(ctx: Context, organization_id: UUID, other_id: UUID) -> Facts:
    """Return what decides whether one organization may ask another; both must be locked."""
    found = await FACTS.first(ctx.tx, organization_id=organization_id, other_id=other_id, now=ctx.now)
    assert found is not None  # a select without FROM has one row  # noqa: S101
    return found


ACTIVE_COUNTS = Query(
    select(_active(_ME).label("own"), _active(_OTHER).label("others")), pair(scalar("own"), scalar("others"))
)


async def active_counts(ctx: Context, organization_id: UUID, other_id: UUID) -> tuple[int, int]:
    """Return how many active partnerships each of two locked organizations has."""
    found = await ACTIVE_COUNTS.first(ctx.tx, organization_id=organization_id, other_id=other_id)
    assert found is not None  # a select without FROM has one row  # noqa: S101
    return found


_PAIR_HAS_ANY = Query(select(_c.id).where(_OF_PAIR).limit(1), scalar("id"))


async def pair_has_any(ctx: Context, organization_id: UUID, other_id: UUID) -> bool:
    """Return whether two organizations have, or ever had, a partnership. For the world loader."""
    return await _PAIR_HAS_ANY.first(ctx.tx, organization_id=organization_id, other_id=other_id) is not None


class OverduePartnership(msgspec.Struct, frozen=True):
    """A request that nobody answered in time and nobody has marked expired yet."""

    id: UUID
    source_id: UUID
    target_id: UUID


_OVERDUE = Query(
    select(_c.id, _c.source_id, _c.target_id)
    .where(exactly(_c.status, Status.PENDING_APPROVAL), OVERDUE)
    .order_by(_c.expires_at)
    .limit(1),
    struct(OverduePartnership),
)


async def one_overdue(ctx: Context) -> OverduePartnership | None:
    """Return the request that has been overdue longest; for the sweep."""
    return await _OVERDUE.first(ctx.tx, now=ctx.now)


# -- many --------------------------------------------------------------------------------------------------------------


class Scope(StrEnum):
    """On which side of the partnerships the organization stands."""

    OUTGOING = "source"
    INCOMING = "target"
    EITHER = "either"


def _with_status(status: Status | None) -> list[ColumnElement[bool]]:
    """The conditions that a status by the clock comes down to; no row meets two of them."""
    if status is None:
        return [literal(True)]
    plain: ColumnElement[bool] = exactly(_c.status, status)
    if status is Status.PENDING_APPROVAL:
        return [and_(plain, IN_TIME)]
    if status is Status.EXPIRED:
        return [plain, and_(exactly(_c.status, Status.PENDING_APPROVAL), OVERDUE)]
    return [plain]


def _sides(scope: Scope) -> list[str]:
    return ["source", "target"] if scope is Scope.EITHER else [scope.value]


@functools.cache
def _page(scope: Scope, status: Status | None, *, from_the_end: bool) -> Query[Any]:
    """Build the statement of one page: ids by index alone, then the rows of those ids.

    Each side and each condition is read in its own order, and only as far as the page reaches.
    """

    def in_order(columns: Any) -> list[Any]:
        key = [columns.requested_at, columns.id]
        return key if from_the_end else [column.desc() for column in key]

    reached = [
        select(_c.id, _c.requested_at)
        .where(_side_is_me(side), condition)
        .order_by(*in_order(_c))
        .limit(bindparam("reach"))
        for side in _sides(scope)
        for condition in _with_status(status)
    ]
    keys = union_all(*reached).subquery("keys")
    chosen = (
        select(keys.c.id)
        .order_by(*in_order(keys.c))
        .limit(bindparam("limit"))
        .offset(bindparam("offset"))
        .subquery("chosen")
    )
    newest_first = [_c.requested_at.desc(), _c.id.desc()]
    return Query(
        select(*COLUMNS, *_labelled(_source, OrganizationCard), *_labelled(_target, OrganizationCard))
        .select_from(chosen)
        .join(partnerships, _c.id == chosen.c.id)
        .join(_source, _source.c.id == _c.source_id)
        .join(_target, _target.c.id == _c.target_id)
        .order_by(*newest_first),
        triple(struct(Partnership), struct(OrganizationCard), struct(OrganizationCard)),
    )


@functools.cache
def _total(scope: Scope, status: Status | None) -> Query[int]:
    """Build the statement of an exact total: the tallies, corrected by what is overdue and not swept yet."""
    counted = select(func.coalesce(func.sum(tallies.c.count), 0)).where(
        tallies.c.organization_id == _ME, one_of(tallies.c.side, _sides(scope))
    )
    if status is not None:
        counted = counted.where(exactly(tallies.c.status, status))
    total: Any = counted.scalar_subquery()
    if status in (Status.PENDING_APPROVAL, Status.EXPIRED):
        overdue = sum((_overdue(side) for side in _sides(scope)), start=literal(0))
        total = total + overdue if status is Status.EXPIRED else total - overdue
    return Query(select(total.label("total")), scalar("total"))


async def page(
    ctx: Context, scope: Scope, status: Status | None, *, offset: int, limit: int
) -> tuple[list[PartnershipView], int]:
    """Return one page of the actor's organization's partnerships, newest first, and the exact total.

    `status`: None for all. Pages in the second half are read from the end, so the last costs what the first does.
    """
    known: dict[str, Any] = {"organization_id": organization_of(ctx.actor)}
    timed = status in (Status.PENDING_APPROVAL, Status.EXPIRED)
    total = await _total(scope, status).first(ctx.tx, **known, **({"now": ctx.now} if timed else {})) or 0
    count = min(limit, total - offset)
    if count <= 0:
        return [], total
    from_the_end = offset > total // 2
    if from_the_end:
        offset = total - offset - count
    rows = await _page(scope, status, from_the_end=from_the_end).all(
        ctx.tx, **known, now=ctx.now, limit=count, offset=offset, reach=offset + count
    )
    return [PartnershipView(*row) for row in rows], total
