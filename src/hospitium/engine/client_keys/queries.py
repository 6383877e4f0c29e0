"""Which client keys; and what a call to an organization's surface meets at its entrance, in one statement."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from sqlalchemy import Boolean, LargeBinary, Text, Uuid, bindparam, exists, false, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from hospitium.engine.actor import Actor, ActorKind, Role
from hospitium.engine.client_keys.record import CLIENT_KEY_COLUMNS, ClientKey, client_keys
from hospitium.engine.epochs.queries import HELD_UNTIL
from hospitium.engine.errors import ClientKeyRequired, NotFound, UnknownClientKey
from hospitium.engine.memberships.record import memberships
from hospitium.engine.organizations.record import OrganizationStatus, organizations
from hospitium.storage.statements import Query, exactly, scalar, struct

if TYPE_CHECKING:
    from hospitium.engine.context import Context
    from hospitium.engine.secrets import ClientKeyText

_c = client_keys.c
_OF_ORGANIZATION = Query(
    select(*CLIENT_KEY_COLUMNS).where(_c.organization_id == bindparam("organization_id")).order_by(_c.id),
    struct(ClientKey),
)
_NAMES = Query(
    select(_c.name).where(
        _c.organization_id == bindparam("organization_id"),
        _c.name == func.any(bindparam("names", type_=ARRAY(Text))),
        _c.ended_at.is_(None),
    ),
    scalar("name"),
)


class Entrance(msgspec.Struct, frozen=True):
    """The organization whose surface is asked, and what is true of who asks there."""

    organization_id: UUID
    name: str
    organization_type: str
    requires_client_key: bool
    key_is_known: bool
    role: Role | None
    is_held: bool


_ENTRANCE = Query(
    select(
        organizations.c.id.label("at__organization_id"),
        organizations.c.name,
        organizations.c.type.label("at__organization_type"),
        organizations.c.requires_client_key,
        exists()
        .where(
            _c.organization_id == organizations.c.id,
            _c.digest == bindparam("digest", type_=LargeBinary),
            _c.ended_at.is_(None),
        )
        .label("at__key_is_known"),
        memberships.c.role,
        func.coalesce(memberships.c.starts_at <= HELD_UNTIL, false(), type_=Boolean).label("at__is_held"),
    )
    .outerjoin(
        memberships,
        (memberships.c.organization_id == organizations.c.id)
        & (memberships.c.account_id == bindparam("account_id", type_=Uuid))
        & memberships.c.ends_at.is_(None),
    )
    .where(
        organizations.c.code == bindparam("code"),
        exactly(organizations.c.status, OrganizationStatus.ACTIVE),
    ),
    struct(Entrance),
)


async def enter(ctx: Context, code: str, key: ClientKeyText | None) -> tuple[Entrance, Actor]:
    """Return the organization of a code, and the actor as he acts there: with the role he has in it, whatever his session chose.

    Raises NotFound (`org`; one that isn't active is as unknown as any), UnknownClientKey, ClientKeyRequired.
    """
    # A text of the database has no NUL: asking for one would fail in another way than not to be found.
    found = (
        None
        if "\0" in code
        else await _ENTRANCE.first(
            ctx.tx,
            code=code,
            digest=None if key is None else key.digest(),
            account_id=ctx.actor.account_id,
        )
    )
    if found is None:
        raise NotFound("org")
    if key is not None and not found.key_is_known:
        raise UnknownClientKey
    if key is None and found.requires_client_key:
        raise ClientKeyRequired
    return found, _acting(ctx.actor, found)


def _acting(actor: Actor, at: Entrance) -> Actor:
    if actor.kind is not ActorKind.ACCOUNT:
        return actor
    acts = at.role is not None and not at.is_held
    return msgspec.structs.replace(
        actor,
        organization_id=at.organization_id if acts else None,
        organization_type=at.organization_type if acts else None,
        organization_is_active=acts,
        role=at.role if acts else None,
        is_held=at.is_held,
    )


async def of_organization(ctx: Context, organization_id: UUID) -> list[ClientKey]:
    """Return the client keys of an organization, the oldest first, ended ones too. For the operator."""
    return await _OF_ORGANIZATION.all(ctx.tx, organization_id=organization_id)


async def names(ctx: Context, organization_id: UUID, wanted: list[str]) -> set[str]:
    """Return those of some names that an organization's keys have. For the world loader."""
    return set(await _NAMES.all(ctx.tx, organization_id=organization_id, names=wanted))
