"""Which invites, for whom: those bound to an account or sent to its address, and those sent from a FHIR server."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec
from sqlalchemy import LargeBinary, Text, Uuid, and_, bindparam, func, null, or_, select
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP

from hospitium.engine.accounts.record import AccountStatus, Language, accounts
from hospitium.engine.errors import Forbidden, NotFound, NotSignedIn, UnknownCode
from hospitium.engine.fhir_servers import queries as server_queries
from hospitium.engine.fhir_servers.record import fhir_servers
from hospitium.engine.invites.record import (
    BOUND,
    INVITE_COLUMNS,
    MOST_WRONG_ANSWERS,
    OPEN,
    UNBOUND,
    Invite,
    InviteStatus,
    invites,
)
from hospitium.engine.levels import Level
from hospitium.engine.organizations.record import OrganizationStatus, organizations
from hospitium.engine.permissions import Permission, require
from hospitium.storage.statements import Query, exactly, one_of, pair, scalar, struct, triple

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from hospitium.engine.context import Context
    from hospitium.engine.fhir_servers.queries import ServerStanding
    from hospitium.engine.secrets import LinkToken


class InviteView(msgspec.Struct, frozen=True):
    """An invite as one side sees it: with the name of its FHIR server, and the account it is tied to, if it is tied to one."""

    invite: Invite
    server_name: str
    account_email: str | None
    account_first_name: str | None
    account_last_name: str | None

    @property
    def account_id(self) -> UUID | None:
        """The account it is tied to, as long as it is (ruling 24)."""
        return self.invite.account_id if self.invite.status in (BOUND, InviteStatus.ACCEPTED) else None

    @property
    def email(self) -> str | None:
        """The address of whom it is for: of the account it is tied to, or the one it was sent to; None once that is forgotten."""
        return self.account_email or self.invite.email or None

    @property
    def full_name(self) -> str | None:
        """The name of whom it is for; the names the inviter gave, until an account is tied to it."""
        names = (self.account_first_name, self.account_last_name)
        if self.account_id is None:
            names = (self.invite.first_name, self.invite.last_name)
        return " ".join(filter(None, names)) or None


class _Seen(msgspec.Struct, frozen=True):
    name: str
    email: str | None
    first_name: str | None
    last_name: str | None


class Inviter(msgspec.Struct, frozen=True):
    """Who invites: the organization, as whoever is invited may know it."""

    name: str
    phone: str | None
    server_name: str


class Printable(NamedTuple):
    """What stands on the slip of an invite besides its code: who invites, in which language, and until when it is good."""

    inviter: Inviter
    language: Language
    expires_at: datetime | None


_c = invites.c
_a = accounts.c
_WHEN = TIMESTAMP(timezone=True)
_NOW = bindparam("now", type_=_WHEN)
_is_open = one_of(_c.status, OPEN)
_in_time = or_(_c.expires_at.is_(None), _c.expires_at > _NOW)
_READER = pair(struct(Invite), struct(_Seen))
# Of an account that is nobody any more nothing is shown.
_view = (
    select(*INVITE_COLUMNS, fhir_servers.c.name, func.nullif(_a.email, "").label("seen__email"), _a.first_name.label("seen__first_name"), _a.last_name.label("seen__last_name"))
    .join(fhir_servers, fhir_servers.c.id == _c.fhir_server_id)
    # As long as the invite ties it: who turned out to be another is nobody the inviting side knows (ruling 24).
    .outerjoin(
        accounts,
        and_(_a.id == _c.account_id, one_of(_c.status, (BOUND, InviteStatus.ACCEPTED))),
    )
)  # fmt: skip
_VIEW_BY_ID = Query(_view.where(_c.id == bindparam("invite_id")), _READER)
_one = select(*INVITE_COLUMNS).where(_c.id == bindparam("invite_id"))
_BY_ID = Query(_one, struct(Invite))
_LOCK = Query(_one.with_for_update(), struct(Invite))
_wants_open = or_(bindparam("only_open", type_=Text).is_(null()), and_(_is_open, _in_time))
_of_server = and_(_c.fhir_server_id == bindparam("server_id"), _wants_open)
_SENT = Query(
    _view.where(_of_server).order_by(_c.id.desc()).offset(bindparam("skip")).limit(bindparam("most")), _READER
)
_SENT_TOTAL = Query(select(func.count().label("total")).where(_of_server), scalar("total"))
_my_address = (
    select(_a.email_key)
    .where(
        _a.id == bindparam("account_id", type_=Uuid),
        _a.verified_at.is_not(None),
        exactly(_a.status, AccountStatus.ACTIVE),
    )
    .scalar_subquery()
)
_is_for_me = or_(
    and_(
        _c.account_id == bindparam("account_id", type_=Uuid),
        one_of(_c.status, (BOUND, InviteStatus.ACCEPTED)),
    ),
    and_(_c.email_key == _my_address, exactly(_c.status, BOUND)),
)
_inviter_is_there = and_(
    fhir_servers.c.removed_at.is_(None), exactly(organizations.c.status, OrganizationStatus.ACTIVE)
)
_mine = _view.join(organizations, organizations.c.id == _c.organization_id).where(
    _is_for_me, or_(exactly(_c.status, InviteStatus.ACCEPTED), and_(_in_time, _inviter_is_there))
)
_RECEIVED = Query(_mine.where(_wants_open).order_by(_c.id.desc()).limit(bindparam("most")), _READER)
_RECEIVED_ONE = Query(_mine.where(_c.id == bindparam("invite_id")), _READER)
_BY_TOKEN = Query(
    select(*INVITE_COLUMNS).where(_c.digest == bindparam("digest", type_=LargeBinary)), struct(Invite)
)
# One condition for every code that is good, so that all others are one and the same: unknown, used, locked, expired, another's.
_by_code = and_(
    _c.code_digest == func.any(bindparam("digests", type_=ARRAY(LargeBinary))),
    exactly(_c.status, UNBOUND),
    _c.attempts < MOST_WRONG_ANSWERS,
    _in_time,
)
OPEN_BY_CODE = and_(
    _by_code,
    _c.fhir_server_id == fhir_servers.c.id,
    _c.organization_id == organizations.c.id,
    _inviter_is_there,
)
_QUESTION = Query(
    select(_c.question).select_from(invites, fhir_servers, organizations).where(OPEN_BY_CODE),
    scalar("question"),
)
_BY_CODE = Query(
    select(*INVITE_COLUMNS).select_from(invites, fhir_servers, organizations).where(OPEN_BY_CODE),
    struct(Invite),
)
_INVITER = Query(
    select(
        organizations.c.name,
        organizations.c.phone,
        fhir_servers.c.name.label("inviter__server_name"),
    )
    .join(fhir_servers, fhir_servers.c.organization_id == organizations.c.id)
    .where(fhir_servers.c.id == bindparam("server_id"), _inviter_is_there),
    struct(Inviter),
)
_OPEN_OF_SERVER = Query(
    select(_c.id)
    .where(_c.fhir_server_id == bindparam("server_id"), _is_open)
    .order_by(_c.id)
    .with_for_update(),
    scalar("id"),
)
_IDS_OF_ACCOUNT = Query(
    select(_c.id)
    .where(
        _c.account_id == bindparam("of_account"),
        or_(
            exactly(_c.status, BOUND),
            and_(
                exactly(_c.status, InviteStatus.ACCEPTED),
                bindparam("even_accepted", type_=Text).is_not(null()),
            ),
        ),
    )
    .order_by(_c.id)
    .with_for_update(),
    scalar("id"),
)
_BY_BULK_KEYS = Query(
    select(*INVITE_COLUMNS).where(
        _c.fhir_server_id == bindparam("server_id"),
        _c.bulk_key == func.any(bindparam("keys", type_=ARRAY(Text))),
    ),
    struct(Invite),
)
_ONE_OVERDUE = Query(
    select(_c.id)
    .where(_is_open, _c.expires_at <= _NOW)
    .order_by(_c.expires_at)
    .limit(1)
    .with_for_update(skip_locked=True),
    scalar("id"),
)
_IDS = Query(
    select(_c.id, _c.fhir_server_id, _c.patient_id).where(
        _c.id == func.any(bindparam("ids", type_=ARRAY(Uuid)))
    ),
    triple(scalar("id"), scalar("fhir_server_id"), scalar("patient_id")),
)
_LIKE = Query(
    select(_c.id)
    .where(
        _c.fhir_server_id == bindparam("server_id"),
        _c.patient_id == bindparam("patient_id"),
        or_(
            _c.email_key == bindparam("email_key", type_=Text),
            and_(exactly(_c.status, UNBOUND), _c.question == bindparam("question", type_=Text)),
        ),
    )
    .limit(1),
    scalar("id"),
)
MOST_RECEIVED = 1_000


def _shown(found: tuple[Invite, _Seen]) -> InviteView:
    invite, seen = found
    return InviteView(invite, seen.name, seen.email, seen.first_name, seen.last_name)


async def by_id(ctx: Context, invite_id: UUID) -> Invite | None:
    """Return an invite. For actions, which ask whose it is, and for mails."""
    return await _BY_ID.first(ctx.tx, invite_id=invite_id)


async def lock(ctx: Context, invite_id: UUID) -> Invite | None:
    """Lock an invite until this transaction ends, and return it as it is then."""
    return await _LOCK.first(ctx.tx, invite_id=invite_id)


async def view(ctx: Context, invite_id: UUID) -> InviteView:
    """Return an invite as it is shown; NotFound otherwise. For what has decided already."""
    found = await _VIEW_BY_ID.first(ctx.tx, invite_id=invite_id)
    if found is None:
        raise NotFound("invite")
    return _shown(found)


async def read(ctx: Context, invite_id: UUID) -> tuple[InviteView, ServerStanding | None]:
    """Return an invite, for whoever it is for, or whoever may write on its FHIR server (then with his standing there).

    Others, also such as may only read there, can't tell it from one that isn't there. Raises NotFound.
    """
    require(ctx.actor, Permission.SEE_INVITES)
    shown = await view(ctx, invite_id)
    try:
        standing = await server_queries.standing(
            ctx, Permission.SEE_INVITES, shown.invite.fhir_server_id, Level.UPDATE
        )
    except (NotFound, Forbidden):
        return await received_one(ctx, invite_id), None
    return shown, standing


async def received_one(ctx: Context, invite_id: UUID) -> InviteView:
    """Return an invite that is tied to the actor (`received`); NotFound otherwise."""
    found = await _RECEIVED_ONE.first(
        ctx.tx, account_id=ctx.actor.account_id, now=ctx.now, invite_id=invite_id
    )
    if found is None:
        raise NotFound("invite")
    return _shown(found)


async def received(ctx: Context, *, only_open: bool = False) -> list[InviteView]:
    """Return the invites that are tied to the actor, newest first: sent to his proved address, bound to him by registration, and
    those he accepted (contract bluebutton.md §3.4). At most 1,000."""
    require(ctx.actor, Permission.SEE_INVITES)
    if ctx.actor.account_id is None:
        raise NotSignedIn
    found = await _RECEIVED.all(
        ctx.tx,
        account_id=ctx.actor.account_id,
        now=ctx.now,
        only_open="yes" if only_open else None,
        most=MOST_RECEIVED,
    )
    return [_shown(one) for one in found]


async def sent(
    ctx: Context, server_id: UUID, skip: int, most: int, *, only_open: bool = False
) -> tuple[list[InviteView], int]:
    """Return a page of the invites of a FHIR server, newest first, and how many there are. Raises NotFound, Forbidden."""
    await server_queries.standing(ctx, Permission.SEE_INVITES, server_id, Level.UPDATE)
    which = {"server_id": server_id, "now": ctx.now, "only_open": "yes" if only_open else None}
    found = await _SENT.all(ctx.tx, skip=skip, most=most, **which)
    total = await _SENT_TOTAL.first(ctx.tx, **which)
    return [_shown(one) for one in found], total or 0


async def inviter(ctx: Context, server_id: UUID) -> Inviter | None:
    """Return who invites to a FHIR server; None if the organization isn't active, or the server gone. For whoever was invited."""
    return await _INVITER.first(ctx.tx, server_id=server_id)


async def by_token(ctx: Context, token: LinkToken) -> Invite | None:
    """Return the invite whose mail carries a token, whatever became of it."""
    return await _BY_TOKEN.first(ctx.tx, digest=token.digest())


async def question(ctx: Context, digests: list[bytes]) -> str | None:
    """Return the question of the open invite that has a code (by its digest with each pepper there is)."""
    found: str | None = await _QUESTION.first(ctx.tx, digests=digests, now=ctx.now)
    return found


async def printable(ctx: Context, digests: list[bytes]) -> Printable:
    """Return what may stand on the slip of the open invite that has a code (by its digest with each pepper there is).

    For whoever may invite there; to all others a code is as unknown as any. Raises UnknownCode.
    """
    require(ctx.actor, Permission.MAKE_INVITE)
    found = await _BY_CODE.first(ctx.tx, digests=digests, now=ctx.now)
    if found is None:
        raise UnknownCode
    try:
        await server_queries.standing(ctx, Permission.MAKE_INVITE, found.fhir_server_id, Level.UPDATE)
    except (NotFound, Forbidden):
        raise UnknownCode from None
    by = await inviter(ctx, found.fhir_server_id)
    if by is None:
        raise UnknownCode
    return Printable(by, Language(found.language), found.expires_at)


async def open_of_server(ctx: Context, server_id: UUID) -> list[UUID]:
    """Lock the open invites of a FHIR server; return their ids."""
    return await _OPEN_OF_SERVER.all(ctx.tx, server_id=server_id)


async def ids_of_account(ctx: Context, account_id: UUID, *, even_accepted: bool) -> list[UUID]:
    """Lock the invites that are bound to an account (and those it accepted); return their ids."""
    return await _IDS_OF_ACCOUNT.all(
        ctx.tx, of_account=account_id, even_accepted="yes" if even_accepted else None
    )


async def by_bulk_keys(ctx: Context, server_id: UUID, keys: list[str]) -> dict[str, Invite]:
    """Return the invites of a FHIR server that were made under some keys of its inviters. For what has decided."""
    found = await _BY_BULK_KEYS.all(ctx.tx, server_id=server_id, keys=keys)
    return {invite.bulk_key: invite for invite in found if invite.bulk_key is not None}


async def one_overdue(ctx: Context) -> UUID | None:
    """Return one open invite whose time is over, locked; None if there is none. For the sweep."""
    found: UUID | None = await _ONE_OVERDUE.first(ctx.tx, now=ctx.now)
    return found


async def present(ctx: Context, ids: list[UUID]) -> dict[UUID, tuple[UUID, str]]:
    """Return the FHIR server and patient of those invites that are there among some ids. For the world loader."""
    return {one: (server, patient) for one, server, patient in await _IDS.all(ctx.tx, ids=ids)}


async def is_there(
    ctx: Context, server_id: UUID, patient_id: str, *, email_key: str | None, question: str | None
) -> bool:
    """Whether a patient's invite is there: to an address, however it stands, or one with a question that still has its code.

    For the world loader.
    """
    found = await _LIKE.first(
        ctx.tx, server_id=server_id, patient_id=patient_id, email_key=email_key, question=question
    )
    return found is not None
