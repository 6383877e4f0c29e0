"""What can happen to a FHIR server: it is added, changed, confirmed, removed.

Its organization owns it by a grant from the beginning, which its staff inherit (ruling 23). Another base URL suspends every
grant on it until an administrator has confirmed that the patients there are the same ones (ruling 25).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import asyncpg
from sqlalchemy import LargeBinary, Text, bindparam, func, literal_column, null, update
from sqlalchemy.dialects.postgresql import TIMESTAMP

from hospitium.engine import events
from hospitium.engine.errors import Invalid, NameTaken, NotFound, WrongState
from hospitium.engine.events import EventKind
from hospitium.engine.fhir_references import actions as references
from hospitium.engine.fhir_servers import queries
from hospitium.engine.fhir_servers.authorities import good_until, told
from hospitium.engine.fhir_servers.credentials import origin_of
from hospitium.engine.fhir_servers.record import SERVER_COLUMNS, FhirServer, ServerKind, fhir_servers
from hospitium.engine.grants import on_servers as grants
from hospitium.engine.invites import ending as invites
from hospitium.engine.permissions import Permission, organization_of, require
from hospitium.engine.text import line, search_key
from hospitium.storage.statements import Query, insert_into, struct

if TYPE_CHECKING:
    from uuid import UUID

    from hospitium.engine.context import Context
    from hospitium.engine.fhir_servers.authorities import AuthoritiesPem
    from hospitium.engine.fhir_servers.credentials import SealedCredentials

_c = fhir_servers.c
_WHEN = TIMESTAMP(timezone=True)
_INSERT = Query(
    insert_into(
        fhir_servers,
        "id", "organization_id", "name", "name_key", "kind", "base_url", "allow_private_address", "credentials_kind",
        "credentials_key_number", "sealed_credentials", "authorities_pem", "created_at",
    ).returning(*SERVER_COLUMNS),
    struct(FhirServer),
)  # fmt: skip


def _changing(*which: Any, **values: Any) -> Query[FhirServer]:
    return Query(
        update(fhir_servers)
        .where(_c.id == bindparam("server_id"), _c.removed_at.is_(None), *which)
        .values(version=_c.version + 1, **values)
        .returning(*SERVER_COLUMNS),
        struct(FhirServer),
    )


_CHANGE = _changing(
    name=bindparam("to_name"),
    name_key=bindparam("to_name_key"),
    base_url=bindparam("to_base_url", type_=Text),
    allow_private_address=bindparam("to_allow_private_address"),
    credentials_kind=bindparam("to_credentials_kind", type_=Text),
    credentials_key_number=bindparam("to_credentials_key_number"),
    sealed_credentials=bindparam("to_sealed_credentials", type_=LargeBinary),
    authorities_pem=bindparam("to_authorities_pem", type_=Text),
    suspended_at=bindparam("to_suspended_at", type_=_WHEN),
)
_SUSPEND = _changing(
    _c.base_url.is_not(None),
    suspended_at=func.greatest(bindparam("now", type_=_WHEN), _c.created_at),
)
_CONFIRM = _changing(_c.suspended_at.is_not(None), suspended_at=null())
_REMOVE = _changing(
    removed_at=func.greatest(bindparam("now", type_=_WHEN), _c.created_at, _c.suspended_at),
    credentials_kind=null(),
    credentials_key_number=null(),
    sealed_credentials=null(),
    authorities_pem=null(),
    allow_private_address=literal_column("false"),
)


class ServerForm(NamedTuple):
    """What a FHIR server is: its `base_url`, credentials and authorities if it is remote. The door has checked the address."""

    name: str
    kind: ServerKind
    base_url: str | None = None
    allow_private_address: bool = False
    credentials: SealedCredentials | None = None
    authorities: AuthoritiesPem | None = None


async def create(
    ctx: Context, organization_id: UUID, form: ServerForm, *, server_id: UUID | None = None
) -> FhirServer:
    """Add a FHIR server to an organization; it owns it. Raises Invalid, NameTaken, NotFound."""
    require(ctx.actor, Permission.KEEP_FHIR_SERVERS)
    if ctx.actor.account_id is not None and organization_id != organization_of(ctx.actor):
        raise NotFound("organization")
    if (form.kind is ServerKind.REMOTE) != (form.base_url is not None):
        raise Invalid("base_url", "belongs to a remote FHIR server, and is required there")
    _refuse_authorities_of_no_use(ctx, form.base_url, form.authorities)
    name = line("name", form.name)
    try:
        made = await _INSERT.first(
            ctx.tx,
            id=server_id or ctx.new_id(),
            organization_id=organization_id,
            name=name,
            name_key=search_key(name),
            kind=form.kind.value,
            base_url=form.base_url,
            allow_private_address=form.allow_private_address,
            **_as_columns(form.credentials),
            authorities_pem=form.authorities,
            created_at=ctx.now,
        )
    except asyncpg.UniqueViolationError as taken:
        raise NameTaken("name" if taken.constraint_name == "fhir_servers_one_name_ix" else "id") from None
    assert made is not None  # an INSERT … RETURNING without conflict clause has a row  # noqa: S101
    grant_id = await grants.start_for_owner_of_server(ctx, organization_id, made.id)
    believed = None if form.authorities is None else _count(form.authorities)
    await _tell(ctx, EventKind.FHIR_SERVER_ADDED, made, grants=[grant_id], authorities=believed)
    return made


class ServerChanges(NamedTuple):
    """What becomes of a FHIR server: all of it, as it is to be. `credentials` None: those it has, if its origin stays;
    `authorities` None: the system's."""

    name: str
    base_url: str | None
    allow_private_address: bool
    credentials: SealedCredentials | None
    authorities: AuthoritiesPem | None
    drop_credentials: bool = False


async def change(ctx: Context, server_id: UUID, to: ServerChanges) -> FhirServer:
    """Change a FHIR server. Another base URL suspends the grants on it; at another origin the credentials it had are no good.

    Raises NotFound, Invalid, NameTaken.
    """
    require(ctx.actor, Permission.KEEP_FHIR_SERVERS)
    before = await queries.of_own_organization(ctx, server_id)
    if (before.kind is ServerKind.REMOTE) != (to.base_url is not None):
        raise Invalid("base_url", "belongs to a remote FHIR server, and is required there")
    # What expired where it is doesn't stand in the way of other changes.
    is_new = to.authorities != before.authorities_pem or to.base_url != before.base_url
    _refuse_authorities_of_no_use(ctx, to.base_url, to.authorities, is_new=is_new)
    name = line("name", to.name)
    moved = before.base_url != to.base_url
    kept = to.credentials
    if kept is None and not to.drop_credentials and _same_origin(before.base_url, to.base_url):
        kept = await queries.sealed_credentials(ctx, server_id)
    try:
        after = await _CHANGE.first(
            ctx.tx,
            server_id=server_id,
            to_name=name,
            to_name_key=search_key(name),
            to_base_url=to.base_url,
            to_allow_private_address=to.allow_private_address,
            to_authorities_pem=to.authorities,
            to_suspended_at=ctx.now if moved else before.suspended_at,
            **{f"to_{column}": value for column, value in _as_columns(kept).items()},
        )
    except asyncpg.UniqueViolationError:
        raise NameTaken("name") from None
    if after is None:
        raise NotFound("FHIR server")
    if moved:
        await references.forget(ctx, server_id)
    # Whose certificates are believed says nothing of which patients are there: the grants stay.
    believed = None if before.authorities_pem == to.authorities else _count(to.authorities)
    await _tell(ctx, EventKind.FHIR_SERVER_CHANGED, after, suspended=moved or None, authorities=believed)
    return after


async def confirm(ctx: Context, server_id: UUID) -> FhirServer:
    """Confirm that the patients at a changed base URL are the same ones: the grants count again. Raises NotFound, WrongState."""
    require(ctx.actor, Permission.KEEP_FHIR_SERVERS)
    await queries.of_own_organization(ctx, server_id)
    after = await _CONFIRM.first(ctx.tx, server_id=server_id)
    if after is None:
        raise WrongState("There is nothing to confirm: the grants on this FHIR server are not suspended")
    await _tell(ctx, EventKind.FHIR_SERVER_CONFIRMED, after)
    return after


async def remove(ctx: Context, server_id: UUID) -> FhirServer:
    """Remove a FHIR server: its open invites are withdrawn, every grant on it ends, what we show it is forgotten, and
    what it holds is deleted by a sweep.

    Raises NotFound.
    """
    require(ctx.actor, Permission.KEEP_FHIR_SERVERS)
    await queries.of_own_organization(ctx, server_id)
    after = await _REMOVE.first(ctx.tx, server_id=server_id, now=ctx.now)
    if after is None:
        raise NotFound("FHIR server")
    await invites.withdraw_all_of_server(ctx, server_id)
    ended = await grants.end_all_on_server(ctx, server_id)
    await _tell(ctx, EventKind.FHIR_SERVER_REMOVED, after, grants=ended)
    return after


async def suspend_again(ctx: Context, server_id: UUID) -> None:
    """Suspend the grants on a FHIR server whose address a trail says was changed, after a restore. For the operator. Raises NotFound."""
    suspended = await _SUSPEND.first(ctx.tx, server_id=server_id, now=ctx.now)
    if suspended is None:
        raise NotFound("FHIR server")
    await _tell(ctx, EventKind.FHIR_SERVER_CHANGED, suspended, suspended=True)


async def note_search(ctx: Context, server: FhirServer, found: str) -> None:
    """Record that somebody looked for a patient by an identifier, and whether there was `none`, `one` or `several`; never which.

    Such searches can probe for people (threats B-12).
    """
    await events.record(
        ctx,
        EventKind.FHIR_SERVER_SEARCHED,
        subject=("fhir_server", server.id),
        organizations=[server.organization_id],
        found=found,
    )


def _as_columns(credentials: SealedCredentials | None) -> dict[str, Any]:
    kind, number, sealed = credentials or (None, None, None)
    return {
        "credentials_kind": kind.value if kind else None,
        "credentials_key_number": number,
        "sealed_credentials": sealed,
    }


def _refuse_authorities_of_no_use(
    ctx: Context, base_url: str | None, authorities: AuthoritiesPem | None, *, is_new: bool = True
) -> None:
    if authorities is None:
        return
    if base_url is None or not base_url.startswith("https://"):
        raise Invalid("authorities_pem", "belong to a remote FHIR server whose base URL begins with https://")
    if is_new and (until := good_until(authorities)) <= ctx.now:
        raise Invalid("authorities_pem", f"expired on {until:%Y-%m-%d}: give those that follow them")


def _count(authorities: AuthoritiesPem | None) -> int:
    return 0 if authorities is None else len(told(authorities))


def _same_origin(before: str | None, after: str | None) -> bool:
    return before is not None and after is not None and origin_of(before) == origin_of(after)


async def _tell(ctx: Context, kind: EventKind, server: FhirServer, **data: Any) -> None:
    await events.record(
        ctx, kind, subject=("fhir_server", server.id), organizations=[server.organization_id], **data
    )
