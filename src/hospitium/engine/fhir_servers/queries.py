"""Which FHIR servers, and what the actor may do on one: read from the grants, never from a session's organization."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import Text, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from hospitium.engine.access.check import Resource, best_of
from hospitium.engine.errors import Forbidden, NotFound, NotSignedIn, WrongState
from hospitium.engine.fhir_servers.credentials import SealedCredentials
from hospitium.engine.fhir_servers.record import SERVER_COLUMNS, CredentialsKind, FhirServer, fhir_servers
from hospitium.engine.organizations.record import OrganizationStatus, organizations
from hospitium.engine.permissions import RULES, Permission, organization_of, require
from hospitium.storage.statements import Query, exactly, pair, scalar, struct, triple

if TYPE_CHECKING:
    from uuid import UUID

    from hospitium.engine.context import Context
    from hospitium.engine.levels import Level

_c = fhir_servers.c
_there = _c.removed_at.is_(None)
_one = select(*SERVER_COLUMNS).where(_c.id == bindparam("server_id"), _there)
_BY_ID = Query(_one, struct(FhirServer))
_LOCK = Query(_one.with_for_update(key_share=True), struct(FhirServer))
_HOLD = Query(_one.with_for_update(read=True), struct(FhirServer))
_OF_ORGANIZATION = Query(
    select(*SERVER_COLUMNS)
    .where(_c.organization_id == bindparam("organization_id"), _there)
    .order_by(_c.name_key, _c.id),
    struct(FhirServer),
)
_OF_TAX_ID = Query(
    select(_c.id)
    .join(organizations, organizations.c.id == _c.organization_id)
    .where(
        organizations.c.tax_id == bindparam("tax_id"),
        exactly(organizations.c.status, OrganizationStatus.ACTIVE),
        _there,
    )
    .limit(2),
    scalar("id"),
)
_IDS_BY_NAME = Query(
    select(_c.name_key, _c.id).where(
        _c.organization_id == bindparam("organization_id"),
        _c.name_key == func.any(bindparam("keys", type_=ARRAY(Text))),
        _there,
    ),
    pair(scalar("name_key"), scalar("id")),
)
_SEALED = Query(
    select(_c.credentials_kind, _c.credentials_key_number, _c.sealed_credentials).where(
        _c.id == bindparam("server_id"), _there, _c.sealed_credentials.is_not(None)
    ),
    triple(scalar("credentials_kind"), scalar("credentials_key_number"), scalar("sealed_credentials")),
)


class ServerStanding(NamedTuple):
    """A FHIR server, and how much the actor may do with all of it."""

    server: FhirServer
    level: Level
    acts_as_owner: bool
    grant_id: UUID


async def by_id(ctx: Context, server_id: UUID) -> FhirServer:
    """Return a FHIR server; NotFound otherwise. For the operator, and for what was decided before."""
    found = await _BY_ID.first(ctx.tx, server_id=server_id)
    if found is None:
        raise NotFound("FHIR server")
    return found


async def lock(ctx: Context, server_id: UUID) -> FhirServer:
    """Lock a FHIR server until this transaction ends; NotFound if it isn't there."""
    found = await _LOCK.first(ctx.tx, server_id=server_id)
    if found is None:
        raise NotFound("FHIR server")
    return found


async def hold(ctx: Context, server_id: UUID) -> FhirServer:
    """Keep a FHIR server as it is until this transaction ends. Raises NotFound, WrongState (its grants are suspended)."""
    found = await _HOLD.first(ctx.tx, server_id=server_id)
    if found is None:
        raise NotFound("FHIR server")
    if found.suspended_at is not None:
        raise WrongState(
            "The address of this FHIR server was changed; an administrator has to confirm it before this goes on"
        )
    return found


async def of_own_organization(ctx: Context, server_id: UUID) -> FhirServer:
    """Lock a FHIR server of the organization the actor acts for (for the operator, any); NotFound otherwise."""
    found = await lock(ctx, server_id)
    if ctx.actor.account_id is not None and found.organization_id != organization_of(ctx.actor):
        raise NotFound("FHIR server")
    return found


async def find(ctx: Context, server_id: UUID) -> FhirServer:
    """Return a FHIR server of the organization the actor acts for; NotFound otherwise. For its staff."""
    require(ctx.actor, Permission.SEE_FHIR_SERVERS)
    found = await by_id(ctx, server_id)
    if found.organization_id != organization_of(ctx.actor):
        raise NotFound("FHIR server")
    return found


async def of_organization(ctx: Context, organization_id: UUID) -> list[FhirServer]:
    """Return the FHIR servers of an organization, by name. For its staff, and the operator."""
    require(ctx.actor, Permission.SEE_FHIR_SERVERS)
    if ctx.actor.account_id is not None and organization_id != organization_of(ctx.actor):
        raise NotFound("organization")
    return await _OF_ORGANIZATION.all(ctx.tx, organization_id=organization_id)


async def ids_by_name(ctx: Context, organization_id: UUID, keys: list[str]) -> dict[str, UUID]:
    """Return the ids of those FHIR servers of an organization that are there among some names. For the world loader."""
    return dict(await _IDS_BY_NAME.all(ctx.tx, organization_id=organization_id, keys=keys))


async def only_one_of_tax_id(ctx: Context, tax_id: str) -> UUID | None:
    """Return the one FHIR server of the organization with a tax id; None if there are none or several."""
    found: list[UUID] = await _OF_TAX_ID.all(ctx.tx, tax_id=tax_id)
    return found[0] if len(found) == 1 else None


async def standing(ctx: Context, permission: Permission, server_id: UUID, needed: Level) -> ServerStanding:
    """Return what the actor may do with the whole of a FHIR server, which is at least the needed level.

    One that he may do nothing with is as unknown as any (ruling 18). Raises NotFound, Forbidden.
    """
    require(ctx.actor, permission)
    if ctx.actor.account_id is None:
        raise NotSignedIn
    server = await by_id(ctx, server_id)
    best = await best_of(ctx, ctx.actor.account_id, Resource.server(server_id))
    if best is None:
        raise NotFound("FHIR server")
    if best.level < needed:
        raise Forbidden(RULES[permission].sentence)
    return ServerStanding(server, best.level, best.by.acts_as_owner, best.by.grant_id)


async def sealed_credentials(ctx: Context, server_id: UUID) -> SealedCredentials | None:
    """Return what we show to a remote FHIR server, sealed; None if nothing. For whoever is about to call it."""
    found = await _SEALED.first(ctx.tx, server_id=server_id)
    return None if found is None else SealedCredentials(CredentialsKind(found[0]), found[1], found[2])
