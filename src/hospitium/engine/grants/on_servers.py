"""What can happen to a grant on a FHIR server: it is made by whoever may, or caused by an accepted invite, and it ends.

Each step of another deed (`start_…`, `end_all_…`) is called by what causes it, in its transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Uuid, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from hospitium.engine import events
from hospitium.engine.access.check import Resource, best_of
from hospitium.engine.accounts import queries as account_queries
from hospitium.engine.accounts.emails import canonical_email
from hospitium.engine.errors import Conflict, Forbidden, Invalid, NotFound, NotSignedIn
from hospitium.engine.events import EventKind
from hospitium.engine.fhir_servers import queries as server_queries
from hospitium.engine.fhir_servers.record import fhir_servers
from hospitium.engine.grants import queries
from hospitium.engine.grants.actions import ending
from hospitium.engine.grants.record import CauseKind, GranteeKind, grants
from hospitium.engine.levels import Level
from hospitium.engine.memberships import queries as membership_queries
from hospitium.engine.permissions import RULES, Permission, require
from hospitium.engine.persons import queries as person_queries
from hospitium.storage.statements import Query, exactly, insert_into, scalar

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from hospitium.engine.context import Context
    from hospitium.engine.grants.queries import GrantOnServer

_START = Query(
    insert_into(
        grants, "id", "grantee_kind", "grantee_id", "resource_kind", "resource_type", "resource_id", "fhir_server_id", "level",
        "is_owner", "starts_at", "cause_kind", "cause_id", "made_under_id", "made_by_id",
    ).returning(grants.c.id),
    scalar("id"),
)  # fmt: skip
_g = grants.c


def _ending(*which: Any) -> Query[Any]:
    return Query(ending(_g.fhir_server_id.is_not(None), *which).returning(_g.id), scalar("id"))


_END = _ending(_g.id == bindparam("grant_id"))
_END_ON_SERVER = _ending(_g.fhir_server_id == bindparam("server_id"))
_END_OF_PERSON = _ending(
    exactly(_g.grantee_kind, GranteeKind.PERSON), _g.grantee_id == bindparam("person_id")
)
_END_UNDER = _ending(_g.made_under_id == func.any(bindparam("under", type_=ARRAY(Uuid))))
_END_OF_MEMBER = _ending(
    exactly(_g.grantee_kind, GranteeKind.ACCOUNT),
    _g.grantee_id == bindparam("account_id"),
    _g.fhir_server_id.in_(
        select(fhir_servers.c.id).where(fhir_servers.c.organization_id == bindparam("organization_id"))
    ),
)
_END_CAUSED_BY_INVITES = _ending(
    exactly(_g.cause_kind, CauseKind.INVITE), _g.cause_id == func.any(bindparam("causes", type_=ARRAY(Uuid)))
)


class GrantForm(NamedTuple):
    """Who is to be granted what: an account by its address, an organization or a person by its id; on the whole server, or on
    one patient (read-only)."""

    grantee_kind: GranteeKind
    grantee: str | UUID
    level: Level
    patient_id: str | None = None


async def start_for_owner_of_server(ctx: Context, organization_id: UUID, server_id: UUID) -> UUID:
    """Grant an organization its own FHIR server; return the grant's id."""
    return await _start(
        ctx,
        (GranteeKind.ORGANIZATION, organization_id),
        Resource.server(server_id),
        Level.DELETE,
        is_owner=True,
        cause=(CauseKind.OWNERSHIP, None),
    )


async def start_for_invite(
    ctx: Context, person_id: UUID, patient: Resource, invite_id: UUID
) -> tuple[GrantOnServer, bool]:
    """Grant a person, who is locked, to read one patient, because of an invite; return the grant, and whether it is new.

    A person that may read the patient already keeps the grant it has (contract bluebutton.md §3.5).
    """
    assert patient.fhir_server_id is not None  # of a patient, always  # noqa: S101
    had = await queries.of_grantee(
        ctx, patient.fhir_server_id, (GranteeKind.PERSON, person_id), (patient.kind, patient.id)
    )
    if had is not None:
        return had, False
    grant_id = await _start(
        ctx, (GranteeKind.PERSON, person_id), patient, Level.READ, cause=(CauseKind.INVITE, invite_id)
    )
    return await queries.by_id(ctx, grant_id), True


async def make(ctx: Context, server_id: UUID, form: GrantForm) -> GrantOnServer:
    """Grant somebody access to a FHIR server, or to one patient of it; another level ends the grant he had there.

    One owner there is, from the beginning; nobody makes another. Raises NotFound, Forbidden, Invalid, Conflict.
    """
    standing = await server_queries.standing(ctx, Permission.MAKE_GRANT, server_id, Level.DELETE)
    if form.patient_id is not None and form.level is not Level.READ:
        raise Invalid("role", "must be Read where a patient is named")
    resource = (
        Resource.server(server_id)
        if form.patient_id is None
        else Resource.patient(server_id, form.patient_id)
    )
    grantee, under = await _grantee(ctx, standing.server.organization_id, server_id, form)
    await server_queries.hold(ctx, server_id)
    had = await queries.of_grantee(ctx, server_id, grantee, (resource.kind, resource.id))
    if had is not None:
        if had.is_owner or had.level == form.level:
            raise Conflict("There is such a grant already")
        if had.level > form.level and not standing.acts_as_owner:
            raise Forbidden(RULES[Permission.END_GRANT].sentence)  # less is an ending, too
        await _end_one(ctx, had)
    grant_id = await _start(
        ctx, grantee, resource, form.level, cause=(CauseKind.ADMINISTRATOR, None), made_under_id=under
    )
    made = await queries.by_id(ctx, grant_id)
    await _tell(ctx, EventKind.GRANT_MADE, made)
    return made


async def end(ctx: Context, grant_id: UUID) -> None:
    """End a grant on a FHIR server: by whoever acts as the server's owner, or administers the person it was given to.

    Raises NotFound (also where he may not know of it), Forbidden, Conflict (the owner's own).
    """
    require(ctx.actor, Permission.END_GRANT)
    grant = await queries.by_id(ctx, grant_id)
    await _must_be_his_to_end(ctx, grant)
    await server_queries.lock(ctx, grant.fhir_server_id)
    if grant.is_owner:
        raise Conflict("A FHIR server keeps its owner; remove the server to end this")
    await _end_one(ctx, grant)


async def end_all_on_server(ctx: Context, server_id: UUID) -> list[UUID]:
    """End every grant on a FHIR server and on patients there; return their ids."""
    return await _END_ON_SERVER.all(ctx.tx, server_id=server_id, now=ctx.now)


async def end_all_of_person(ctx: Context, person_id: UUID) -> list[UUID]:
    """End every grant of a person; return their ids. Each stands in the trail of its own FHIR server's organization, and of no other's."""
    had = await queries.of_persons(ctx, [person_id])
    ended: list[UUID] = await _END_OF_PERSON.all(ctx.tx, person_id=person_id, now=ctx.now)
    for grant in had:
        if grant.id in ended:
            await _tell(ctx, EventKind.GRANT_ENDED, grant)
    return ended


async def end_all_of_member(ctx: Context, account_id: UUID, organization_id: UUID) -> list[UUID]:
    """End what an account that leaves an organization was granted on its FHIR servers; return their ids."""
    return await _END_OF_MEMBER.all(
        ctx.tx, account_id=account_id, organization_id=organization_id, now=ctx.now
    )


async def end_all_caused_by_invites(ctx: Context, invite_ids: list[UUID]) -> list[UUID]:
    """End the grants of some invites; return their ids."""
    return await _END_CAUSED_BY_INVITES.all(ctx.tx, causes=invite_ids, now=ctx.now)


async def end_all_under(ctx: Context, grant_ids: list[UUID]) -> list[UUID]:
    """End what was granted to a partner on FHIR servers, under the grants of a partnership that ends; return their ids."""
    return await _END_UNDER.all(ctx.tx, under=grant_ids, now=ctx.now)


async def make_again(
    ctx: Context, grant_id: UUID, server_id: UUID, account_id: UUID, level: Level, since: datetime
) -> None:
    """Make the grant again that a trail says an account was given on a FHIR server, after a restore: it comes before what the
    account inherits, which may be more. It begins when it began, so that it is held like all the rest. For the operator.

    Raises NotFound: the backup has it, or the account is no member of the server's organization there.
    """
    server = await server_queries.lock(ctx, server_id)
    if await queries.was_made(ctx, grant_id) or not await membership_queries.hold(
        ctx, account_id, server.organization_id
    ):
        raise NotFound("grant")
    grantee, on = (GranteeKind.ACCOUNT, account_id), Resource.server(server_id)
    had = await queries.of_grantee(ctx, server_id, grantee, (on.kind, on.id))
    if had is not None:
        await _end_one(ctx, had)
    again = ctx._replace(now=min(since, ctx.now))
    await _start(again, grantee, on, level, cause=(CauseKind.ADMINISTRATOR, None), grant_id=grant_id)
    await _tell(ctx, EventKind.GRANT_MADE, await queries.by_id(ctx, grant_id))


async def end_again(ctx: Context, grant_id: UUID) -> None:
    """End a grant that a trail says ended, after a restore. For the operator. Raises NotFound."""
    await _end_one(ctx, await queries.by_id(ctx, grant_id))


# -- how ---------------------------------------------------------------------------------------------------------------


async def _start(
    ctx: Context,
    grantee: tuple[GranteeKind, UUID],
    resource: Resource,
    level: Level,
    *,
    cause: tuple[CauseKind, UUID | None],
    is_owner: bool = False,
    made_under_id: UUID | None = None,
    grant_id: UUID | None = None,
) -> UUID:
    made: UUID | None = await _START.first(
        ctx.tx,
        id=grant_id or ctx.new_id(),
        grantee_kind=grantee[0].value,
        grantee_id=grantee[1],
        resource_kind=resource.kind.value,
        resource_type=resource.type,
        resource_id=resource.id,
        fhir_server_id=resource.fhir_server_id,
        level=int(level),
        is_owner=is_owner,
        starts_at=ctx.now,
        cause_kind=cause[0].value,
        cause_id=cause[1],
        made_under_id=made_under_id,
        made_by_id=ctx.actor.account_id,
    )
    assert made is not None  # an INSERT … RETURNING without conflict clause has a row  # noqa: S101
    return made


async def _grantee(
    ctx: Context, organization_id: UUID, server_id: UUID, form: GrantForm
) -> tuple[tuple[GranteeKind, UUID], UUID | None]:
    """Return who is meant, and under which grant it is made (a partner's); whoever can't be told from nobody is refused alike."""
    match form.grantee_kind:
        case GranteeKind.ACCOUNT:
            return (GranteeKind.ACCOUNT, await _member(ctx, organization_id, str(form.grantee))), None
        case GranteeKind.ORGANIZATION:
            partner_id = _id(form.grantee)
            if form.level > Level.READ:
                raise Invalid("role", "must be Read for another organization: its staff may only read here")
            under = await queries.of_partner(ctx, partner_id, organization_id)
            if under is None:
                raise Invalid("entity_id", "must be an organization that yours is connected with")
            return (GranteeKind.ORGANIZATION, partner_id), under
        case GranteeKind.PERSON:
            person_id = _id(form.grantee)
            if form.patient_id is None:
                raise Invalid("accessible_patient_id", "is required for a person")
            if await person_queries.lock(ctx, person_id) is None or not await queries.server_knows_person(
                ctx, server_id, person_id
            ):
                raise Invalid("entity_id", "must be a person that was invited to this FHIR server before")
            return (GranteeKind.PERSON, person_id), None
        case _:
            raise Invalid("entity_type", "must be User, Organization or Person")


async def _member(ctx: Context, organization_id: UUID, email: str) -> UUID:
    """Return the account of an address, if it is confirmed and a member: so nobody learns here who has an account elsewhere."""
    account = await account_queries.find(ctx, canonical_email("entity_id", email))
    if account is not None and account.is_confirmed:
        # Not to be erased or taken over meanwhile.
        held = await account_queries.hold(ctx, account.id)
        # Nor his membership to end: what he was granted ends with it.
        if held is not None and await membership_queries.hold(ctx, account.id, organization_id):
            return account.id
    raise Invalid(
        "entity_id",
        "must be the address of a member of your organization; others are given access by an invite",
    )


def _id(given: str | UUID) -> UUID:
    if isinstance(given, str):
        raise Invalid("entity_id", "must be an id")
    return given


async def _must_be_his_to_end(ctx: Context, grant: GrantOnServer) -> None:
    if ctx.actor.account_id is None:
        raise NotSignedIn
    if grant.grantee_kind is GranteeKind.PERSON and await person_queries.administers(ctx, grant.grantee_id):
        return
    best = await best_of(ctx, ctx.actor.account_id, Resource.server(grant.fhir_server_id))
    if best is not None and best.by.acts_as_owner:
        return
    knows = best is not None and best.level >= Level.UPDATE
    if not knows and await queries.reaching(ctx, grant) is None:
        raise NotFound("grant")
    raise Forbidden(RULES[Permission.END_GRANT].sentence)


async def _end_one(ctx: Context, grant: GrantOnServer) -> None:
    if not await _END.all(ctx.tx, grant_id=grant.id, now=ctx.now):
        raise NotFound("grant")
    await _tell(ctx, EventKind.GRANT_ENDED, grant)


async def _tell(ctx: Context, kind: EventKind, grant: GrantOnServer) -> None:
    is_person = grant.grantee_kind is GranteeKind.PERSON
    holders = await person_queries.holders(ctx, grant.grantee_id) if is_person else []
    await events.record(
        ctx,
        kind,
        subject=("grant", grant.id),
        organizations=[
            grant.organization_id,
            grant.grantee_id if grant.grantee_kind is GranteeKind.ORGANIZATION else None,
        ],
        accounts=holders
        if is_person
        else [grant.grantee_id if grant.grantee_kind is GranteeKind.ACCOUNT else None],
        persons=[grant.grantee_id if is_person else None],
        fhir_server=grant.fhir_server_id,
        grantee_kind=grant.grantee_kind,
        grantee=grant.grantee_id,
        level=int(grant.level),
        patient=grant.patient_id,
        grants=[grant.id] if kind is EventKind.GRANT_ENDED else None,
    )
