"""What can happen to an organization: one function each."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import asyncpg
import msgspec
from sqlalchemy import bindparam, func, update
from sqlalchemy.dialects.postgresql import TIMESTAMP

from hospitium.engine import events
from hospitium.engine.accounts.emails import canonical_email
from hospitium.engine.actor import Role
from hospitium.engine.errors import (
    Invalid,
    NameTaken,
    NotConfirmed,
    NotFound,
    NotSignedIn,
    RegistrationClosed,
    WrongState,
)
from hospitium.engine.events import EventKind
from hospitium.engine.memberships import actions as memberships
from hospitium.engine.organizations import queries
from hospitium.engine.organizations.lifecycle import LIFECYCLE
from hospitium.engine.organizations.record import (
    CODE_FORM,
    PROFILE_COLUMNS,
    RESERVED_CODES,
    OrganizationProfile,
    OrganizationStatus,
    OrganizationType,
    organizations,
)
from hospitium.engine.permissions import Permission, organization_of, require
from hospitium.engine.text import line, optional_line, search_key
from hospitium.storage.statements import Query, insert_into, struct

if TYPE_CHECKING:
    from uuid import UUID

    from hospitium.engine.context import Context

MOST_SPECIALTIES = 50
LONGEST_SPECIALTY = 80


class OrganizationForm(msgspec.Struct, frozen=True, kw_only=True):
    """What one writes down of an organization. None where nothing is said."""

    name: str
    type: OrganizationType
    npi: str | None = None
    tax_id: str | None = None
    address: str | None = None
    city: str | None = None
    state: str | None = None
    zip_code: str | None = None
    phone: str | None = None
    website: str | None = None
    contact_name: str | None = None
    contact_email: str | None = None
    contact_phone: str | None = None
    specialties: list[str] = []
    requires_client_key: bool = False


_WRITABLE = (*OrganizationForm.__struct_fields__, "name_key", "specialty_keys")
_INSERT = Query(
    insert_into(organizations, "id", "code", "status", "created_at", "updated_at", *_WRITABLE).returning(
        *PROFILE_COLUMNS
    ),
    struct(OrganizationProfile),
)
_UPDATE = Query(
    update(organizations)
    .where(organizations.c.id == bindparam("organization_id"))
    .values(
        **{name: bindparam(name, type_=organizations.c[name].type) for name in _WRITABLE},
        updated_at=func.greatest(
            bindparam("now", type_=TIMESTAMP(timezone=True)), organizations.c.updated_at
        ),
        version=organizations.c.version + 1,
    )
    .returning(*PROFILE_COLUMNS),
    struct(OrganizationProfile),
)


async def create(
    ctx: Context,
    code: str,
    form: OrganizationForm,
    status: OrganizationStatus,
    *,
    given_id: UUID | None = None,
) -> OrganizationProfile:
    """Write down a new organization. For the operator and the world loader. Raises Invalid, NameTaken."""
    require(ctx.actor, Permission.JUDGE_ORGANIZATION)
    return await _create(ctx, code, form, status, given_id)


async def register(ctx: Context, code: str, form: OrganizationForm, registration: str) -> OrganizationProfile:
    """Register a new organization; who does becomes its administrator (ruling 28).

    `registration`: `open` makes it active at once, `approval` leaves it pending for the operator, `closed` refuses.
    Raises RegistrationClosed, NotConfirmed, Invalid, NameTaken.
    """
    require(ctx.actor, Permission.REGISTER_ORGANIZATION)
    if ctx.actor.account_id is None:
        raise NotSignedIn
    if registration == "closed":
        raise RegistrationClosed
    if not ctx.actor.is_confirmed:
        raise NotConfirmed
    status = OrganizationStatus.ACTIVE if registration == "open" else OrganizationStatus.PENDING
    made = await _create(ctx, code, form, status, None)
    await memberships.start(ctx, ctx.actor.account_id, made.id, Role.ADMIN)
    return made


async def update_profile(ctx: Context, changes: dict[str, Any]) -> OrganizationProfile:
    """Change the profile of the actor's own organization; `changes` maps names of OrganizationForm to new values.

    Raises Invalid.
    """
    require(ctx.actor, Permission.UPDATE_ORGANIZATION)
    organization_id = organization_of(ctx.actor)
    await queries.lock(ctx, organization_id)
    before = await queries.by_id(ctx, organization_id)
    if before is None:
        raise NotFound("organization")
    old = {name: getattr(before, name) for name in OrganizationForm.__struct_fields__}
    checked = _checked(OrganizationForm(**(old | changes)))
    after = await _UPDATE.first(ctx.tx, organization_id=organization_id, now=ctx.now, **checked)
    assert after is not None  # its row is locked by this transaction  # noqa: S101
    await events.record(
        ctx,
        EventKind.ORGANIZATION_UPDATED,
        subject=("organization", organization_id),
        organizations=[organization_id],
        fields=sorted(name for name in old if getattr(after, name) != old[name]),
        version=after.version,
    )
    return after


async def judge(ctx: Context, verb: str, code: str) -> OrganizationProfile:
    """Approve, suspend or reinstate an organization; takes effect on the next request of its people.

    Raises NotFound, WrongState.
    """
    require(ctx.actor, Permission.JUDGE_ORGANIZATION)
    found = await queries.by_code(ctx, code)
    after = await LIFECYCLE.move(ctx, verb, found.id)
    if after is None:
        raise WrongState(f"The organization {code} is {found.status}; it can't be {_PAST[verb]}")
    await events.record(
        ctx,
        _PAST_EVENT[verb],
        subject=("organization", after.id),
        organizations=[after.id],
        was=found.status,
        status=after.status,
        version=after.version,
    )
    return after


_PAST = {"approve": "approved", "suspend": "suspended", "reinstate": "reinstated"}
_PAST_EVENT = {
    "approve": EventKind.ORGANIZATION_APPROVED,
    "suspend": EventKind.ORGANIZATION_SUSPENDED,
    "reinstate": EventKind.ORGANIZATION_REINSTATED,
}


async def _create(
    ctx: Context, code: str, form: OrganizationForm, status: OrganizationStatus, given_id: UUID | None
) -> OrganizationProfile:
    code = _checked_code(code)
    values = _checked(form)
    try:
        made = await _INSERT.first(
            ctx.tx,
            id=given_id or ctx.new_id(),
            code=code,
            status=status.value,
            created_at=ctx.now,
            updated_at=ctx.now,
            **values,
        )
    except asyncpg.UniqueViolationError as taken:
        raise NameTaken("id" if "pkey" in str(taken.constraint_name) else "code") from None
    assert made is not None  # an INSERT … RETURNING without conflict clause has a row  # noqa: S101
    await events.record(
        ctx,
        EventKind.ORGANIZATION_REGISTERED,
        subject=("organization", made.id),
        organizations=[made.id],
        status=made.status,
        version=made.version,
    )
    return made


def _checked_code(code: str) -> str:
    code = code.strip().lower()
    if not re.match(CODE_FORM, code):
        raise Invalid(
            "code", "must be 1 to 40 of a-z, 0-9, - and _, and begin and end with a letter or digit"
        )
    if code in RESERVED_CODES:
        raise Invalid("code", "is reserved")
    return code


def _checked(form: OrganizationForm) -> dict[str, Any]:
    """Return the values of the columns, each in its one form; Invalid names the field as the form does."""
    values: dict[str, Any] = {
        name: optional_line(name, getattr(form, name))
        for name in OrganizationForm.__struct_fields__
        if name not in ("name", "type", "specialties", "requires_client_key")
    }
    values["name"] = line("name", form.name)
    values["name_key"] = search_key(values["name"])
    values["type"] = form.type.value
    if values["npi"] is not None and not re.fullmatch(r"[0-9]{10}", values["npi"]):
        raise Invalid("npi", "must be 10 digits")
    if values["website"] is not None and not re.match(r"https?://[^\s/]", values["website"]):
        raise Invalid("website", "must begin with https:// or http://")
    if values["contact_email"] is not None:
        canonical_email("contact_email", values["contact_email"])
    if len(form.specialties) > MOST_SPECIALTIES:
        raise Invalid("specialties", f"must be at most {MOST_SPECIALTIES}")
    specialties = [
        line(f"specialties[{i}]", given, longest=LONGEST_SPECIALTY)
        for i, given in enumerate(form.specialties)
    ]
    values["requires_client_key"] = form.requires_client_key
    values["specialties"] = list(dict.fromkeys(specialties))
    values["specialty_keys"] = sorted({search_key(specialty) for specialty in specialties})
    return values
