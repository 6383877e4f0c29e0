"""Which grants there are on FHIR servers: those that reach an account, and all on one server."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import Text, Uuid, bindparam, func, null, or_, select
from sqlalchemy.dialects.postgresql import ARRAY

from hospitium.engine.access.check import Question, SubjectKind, on_servers_of_account, open_candidates
from hospitium.engine.access.decide import Candidate, judge, judge_one
from hospitium.engine.epochs.queries import HELD_UNTIL
from hospitium.engine.errors import Forbidden, NotFound, NotSignedIn
from hospitium.engine.fhir_servers import queries as server_queries
from hospitium.engine.fhir_servers.record import fhir_servers
from hospitium.engine.grants.record import CauseKind, GranteeKind, ResourceKind, grants
from hospitium.engine.levels import Level
from hospitium.engine.permissions import Permission, require
from hospitium.storage.statements import Query, exactly, pair, scalar, struct, triple

if TYPE_CHECKING:
    from hospitium.engine.context import Context


class GrantOnServer(msgspec.Struct, frozen=True):
    """A grant on a FHIR server, or on one patient of it (`patient_id`)."""

    id: UUID
    grantee_kind: GranteeKind
    grantee_id: UUID
    resource_kind: ResourceKind
    resource_id: str
    fhir_server_id: UUID
    server_name: str
    organization_id: UUID
    level: Level
    is_owner: bool
    starts_at: datetime
    ends_at: datetime | None
    cause_kind: CauseKind
    cause_id: UUID | None

    @property
    def patient_id(self) -> str | None:
        """The one patient it is on; None if it is on the whole server."""
        return self.resource_id if self.resource_kind is ResourceKind.PATIENT else None


class Reaching(NamedTuple):
    """A grant, how much of it reaches the account, and whether by something the account stands in."""

    grant: GrantOnServer
    level: Level
    is_inherited: bool
    acts_as_owner: bool


_g = grants.c
_PLACES = {
    "server_name": fhir_servers.c.name.label("grant__server_name"),
    "organization_id": fhir_servers.c.organization_id,
    "ends_at": _g.ends_at.label("grant__ends_at"),
}
_COLUMNS: list[Any] = [_PLACES.get(name, getattr(_g, name, None)) for name in GrantOnServer.__struct_fields__]
_REACHING = Query(
    on_servers_of_account(*(column.label(f"grant_on_server__{name}") for name, column in zip(GrantOnServer.__struct_fields__, _COLUMNS, strict=True)))
    .where(
        _g.id > bindparam("after"),
        or_(bindparam("server_id", type_=Uuid).is_(null()), _g.fhir_server_id == bindparam("server_id", type_=Uuid)),
    )
    .where(
        or_(
            bindparam("only_whole", type_=Text).is_(null()),
            exactly(_g.resource_kind, ResourceKind.FHIR_SERVER),
        )
    )
    .order_by(_g.id)
    .limit(bindparam("most")),
    pair(struct(Candidate), struct(GrantOnServer)),
)  # fmt: skip
_on_server = select(*_COLUMNS).join(fhir_servers, fhir_servers.c.id == _g.fhir_server_id)
_ON_SERVER = Query(
    _on_server.where(
        _g.fhir_server_id == bindparam("server_id"), _g.ends_at.is_(None), _g.id > bindparam("after")
    )
    .order_by(_g.id)
    .limit(bindparam("most")),
    struct(GrantOnServer),
)
_BY_ID = Query(_on_server.where(_g.id == bindparam("grant_id"), _g.ends_at.is_(None)), struct(GrantOnServer))
# Of some resources those on which an account has a grant of its own that counts.
_resources = (
    func.unnest(bindparam("server_ids", type_=ARRAY(Uuid)), bindparam("resource_ids", type_=ARRAY(Text)))
    .table_valued("fhir_server_id", "resource_id", name="wanted")
    .render_derived()
)
_OWN_ON = Query(
    select(_g.fhir_server_id, _g.resource_kind, _g.resource_id)
    .join(
        _resources,
        (_resources.c.fhir_server_id == _g.fhir_server_id) & (_resources.c.resource_id == _g.resource_id),
    )
    .where(
        exactly(_g.grantee_kind, GranteeKind.ACCOUNT),
        _g.grantee_id == bindparam("account_id"),
        _g.ends_at.is_(None),
        _g.starts_at <= bindparam("now"),
        or_(HELD_UNTIL.is_(None), _g.starts_at > HELD_UNTIL),
    ),
    triple(scalar("fhir_server_id"), scalar("resource_kind"), scalar("resource_id")),
)
_WAS_MADE = Query(select(_g.id).where(_g.id == bindparam("grant_id")), scalar("id"))
_OF_GRANTEE = Query(
    _on_server.where(
        _g.fhir_server_id == bindparam("server_id"),
        _g.grantee_id == bindparam("of_grantee"),
        _g.grantee_kind == bindparam("of_grantee_kind"),
        _g.resource_kind == bindparam("of_resource_kind"),
        _g.resource_id == bindparam("of_resource"),
        _g.ends_at.is_(None),
    ),
    struct(GrantOnServer),
)
_EVER_OF_PERSON = Query(
    _on_server.where(
        _g.fhir_server_id == bindparam("server_id"),
        exactly(_g.grantee_kind, GranteeKind.PERSON),
        _g.grantee_id == bindparam("person_id"),
    ).limit(1),
    struct(GrantOnServer),
)
_OF_PARTNER = Query(
    select(_g.id)
    .where(
        _g.grantee_id == bindparam("partner_id"),
        exactly(_g.grantee_kind, GranteeKind.ORGANIZATION),
        exactly(_g.resource_kind, ResourceKind.ORGANIZATION),
        _g.resource_id == bindparam("about_id"),
        exactly(_g.cause_kind, CauseKind.PARTNERSHIP),
        _g.ends_at.is_(None),
    )
    .with_for_update(read=True),
    scalar("id"),
)
_OF_PERSONS = Query(
    _on_server.where(
        exactly(_g.grantee_kind, GranteeKind.PERSON),
        _g.grantee_id == func.any(bindparam("person_ids", type_=ARRAY(Uuid))),
        _g.fhir_server_id.is_not(None),
        _g.ends_at.is_(None),
    ).order_by(_g.id),
    struct(GrantOnServer),
)


class ReachingPage(NamedTuple):
    """Grants that reach the actor, and after which one the list goes on; None if it doesn't."""

    found: list[Reaching]
    following: UUID | None


async def reaching_actor(
    ctx: Context, after: UUID, most: int, *, server_id: UUID | None = None, only_whole: bool = False
) -> ReachingPage:
    """Return grants on FHIR servers (or one) by which the actor may do something now, itself or by what it inherits: those after
    one of them, by id, out of at most so many rows. `only_whole`: no grants on one patient.

    What a grant of its own comes before (contract bluebutton.md §3.2) is not among them.
    """
    require(ctx.actor, Permission.SEE_GRANTS)
    if ctx.actor.account_id is None:
        raise NotSignedIn
    rows = await _REACHING.all(
        ctx.tx,
        subject_id=ctx.actor.account_id,
        now=ctx.now,
        after=after,
        server_id=server_id,
        only_whole="yes" if only_whole else None,
        most=most + 1,
    )
    page = rows[:most]
    if len(rows) > most:
        # A grant that is reached by several roads isn't parted.
        page = [one for one in page if one[1].id != rows[most][1].id]
    own = await _OWN_ON.all(
        ctx.tx,
        account_id=ctx.actor.account_id,
        server_ids=[grant.fhir_server_id for _, grant in page],
        resource_ids=[grant.resource_id for _, grant in page],
        now=ctx.now,
    )
    reaching: dict[UUID, Reaching] = {}
    for candidate, grant in page:
        eclipsed = (grant.fhir_server_id, grant.resource_kind, grant.resource_id) in own
        _keep(reaching, judge_one(candidate, ctx.now, has_own=eclipsed), candidate, grant)
    return ReachingPage(list(reaching.values()), page[-1][1].id if len(rows) > most else None)


async def reaching(ctx: Context, grant: GrantOnServer) -> Reaching | None:
    """Return how a grant reaches the actor; None if it doesn't."""
    require(ctx.actor, Permission.SEE_GRANTS)
    if ctx.actor.account_id is None:
        raise NotSignedIn
    question = Question(
        SubjectKind.ACCOUNT,
        ctx.actor.account_id,
        Level.PUBLIC,
        grant.resource_kind,
        grant.resource_id,
        "",
        grant.fhir_server_id,
    )
    found: dict[UUID, Reaching] = {}
    for obstacle, candidate in judge(await open_candidates(ctx, question), Level.PUBLIC, ctx.now):
        if candidate.grant_id == grant.id:
            _keep(found, obstacle, candidate, grant)
    return found.get(grant.id)


def _keep(
    reaching: dict[UUID, Reaching], obstacle: object, candidate: Candidate, grant: GrantOnServer
) -> None:
    best = reaching.get(grant.id)
    if obstacle is None and (best is None or best.level < candidate.reach):
        reaching[grant.id] = Reaching(
            grant,
            candidate.reach,
            candidate.grantee_kind is not GranteeKind.ACCOUNT,
            candidate.acts_as_owner,
        )


async def on_server(ctx: Context, server_id: UUID, after: UUID, most: int) -> list[GrantOnServer]:
    """Return the open grants on a FHIR server after one of them, by id. For whoever may write there. Raises NotFound, Forbidden."""
    await server_queries.standing(ctx, Permission.SEE_GRANTS, server_id, Level.UPDATE)
    return await _ON_SERVER.all(ctx.tx, server_id=server_id, after=after, most=most)


async def was_made(ctx: Context, grant_id: UUID) -> bool:
    """Whether there is, or ever was, a grant of this id."""
    return await _WAS_MADE.first(ctx.tx, grant_id=grant_id) is not None


async def by_id(ctx: Context, grant_id: UUID) -> GrantOnServer:
    """Return an open grant on a FHIR server; NotFound otherwise. For what has decided, or is about to."""
    found = await _BY_ID.first(ctx.tx, grant_id=grant_id)
    if found is None:
        raise NotFound("grant")
    return found


async def seen_by_writer(ctx: Context, grant_id: UUID) -> GrantOnServer:
    """Return an open grant on a FHIR server where the actor may write; NotFound otherwise."""
    found = await by_id(ctx, grant_id)
    try:
        await server_queries.standing(ctx, Permission.SEE_GRANTS, found.fhir_server_id, Level.UPDATE)
    except (NotFound, Forbidden):
        raise NotFound("grant") from None
    return found


async def of_grantee(
    ctx: Context, server_id: UUID, grantee: tuple[GranteeKind, UUID], resource: tuple[ResourceKind, str]
) -> GrantOnServer | None:
    """Return the open grant that a grantee has on a FHIR server or on one patient of it, if there is one."""
    return await _OF_GRANTEE.first(
        ctx.tx,
        server_id=server_id,
        of_grantee=grantee[1],
        of_grantee_kind=grantee[0].value,
        of_resource_kind=resource[0].value,
        of_resource=resource[1],
    )


async def server_knows_person(ctx: Context, server_id: UUID, person_id: UUID) -> bool:
    """Whether a person has, or ever had, a grant on a FHIR server."""
    return await _EVER_OF_PERSON.first(ctx.tx, server_id=server_id, person_id=person_id) is not None


async def of_partner(ctx: Context, partner_id: UUID, organization_id: UUID) -> UUID | None:
    """Return the grant that a partner has on an organization by their partnership, kept from ending until this transaction ends;
    None if they are not connected."""
    found: UUID | None = await _OF_PARTNER.first(ctx.tx, partner_id=partner_id, about_id=str(organization_id))
    return found


async def of_persons(ctx: Context, person_ids: list[UUID]) -> list[GrantOnServer]:
    """Return the open grants of some persons. For those who look after them."""
    return await _OF_PERSONS.all(ctx.tx, person_ids=person_ids)
