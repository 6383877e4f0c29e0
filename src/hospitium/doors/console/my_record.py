"""My record: which patients the persons one looks after were granted, what is in such a record, and who looked.

all of them ─▶ one record, read like every read: on record before it is shown
            └▶ who looked (readers.py), an end of it (endings.py)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from litestar import Request, Response

from hospitium.doors import patient_summary
from hospitium.doors.console import choosing, entrance, readers, record_words, sessions
from hospitium.doors.console.rendering import page
from hospitium.doors.named_ids import path_id
from hospitium.doors.patient_summary import MOST_OF_A_KIND, Part, Unreadable, Why
from hospitium.doors.surroundings import surroundings
from hospitium.engine.errors import NotFound
from hospitium.engine.grants import queries as grant_queries
from hospitium.engine.grants.record import CauseKind, GranteeKind
from hospitium.engine.ids import FIRST_ID
from hospitium.engine.invites import queries as invite_queries
from hospitium.engine.levels import Level
from hospitium.engine.permissions import Permission
from hospitium.engine.persons import queries as person_queries

if TYPE_CHECKING:
    from uuid import UUID

    from hospitium.doors.patient_summary import Summary
    from hospitium.engine.context import Context
    from hospitium.engine.grants.queries import GrantOnServer
    from hospitium.engine.invites.queries import Inviter
    from hospitium.engine.invites.record import Invite
    from hospitium.engine.persons.queries import Holder, PersonView

PATH = "/console/my-record"
MOST_SHOWN = 100
"""Persons on the page, and accounts that look after one of them."""
_NEWEST_READS = 20


class Granted(NamedTuple):
    """A patient that a person was granted: by whom, by which invite (None: by an administrator, without one), and whether it counts now."""

    whom: PersonView
    grant: GrantOnServer
    inviter: Inviter | None
    invite: Invite | None
    is_open: bool

    @property
    def organization(self) -> str:
        """Whose record it is; if the organization isn't active any more, what its FHIR server is called."""
        return self.grant.server_name if self.inviter is None else self.inviter.name

    @property
    def patient_name(self) -> str:
        """What the patient is called, as far as the invite says."""
        return "" if self.invite is None else choosing.name_of(self.invite.patient_summary)

    @property
    def may_end(self) -> bool:
        """Whether one may end it: as an administrator of the person."""
        return self.whom.role.level >= Level.DELETE


class LookedAfter(NamedTuple):
    """A person one looks after: what it was granted, who looked last, and who else looks after it."""

    whom: PersonView
    granted: list[Granted]
    days: list[readers.Day]
    others: list[Holder]


async def list_records(request: Request[Any, Any, Any]) -> Response[bytes]:
    """List the records of whom one looks after, and who looked at them last."""
    if await sessions.visitor(request) is None:
        return entrance.asked(request, PATH)

    async def deed(ctx: Context) -> list[LookedAfter]:
        views = await person_queries.seen(ctx, FIRST_ID, MOST_SHOWN)
        grants = await grant_queries.of_persons(ctx, [view.person.id for view in views])
        return [
            LookedAfter(
                view,
                [await _granted(ctx, view, grant) for grant in grants if grant.grantee_id == view.person.id],
                readers.days(await readers.newest(ctx, view.person.id, _NEWEST_READS), ctx.actor.account_id),
                [holder for holder in await _holders(ctx, view) if holder.account_id != ctx.actor.account_id],
            )
            for view in views
        ]

    found = await surroundings(request).work.perform(request, Permission.SEE_PERSONS, deed)
    return page(request, "my_record.html", persons=found)


async def read(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Show what is in a record; each time is a read, which those see who look after the person."""
    grant_id = path_id(request, "id", "grant")
    if await sessions.visitor(request) is None:
        return entrance.asked(request, request.scope["path"])
    found = await surroundings(request).work.perform(
        request, Permission.SEE_GRANTS, lambda ctx: granted(ctx, grant_id), about=grant_id
    )
    told: Summary | Unreadable = Unreadable(Why.CLOSED)
    if found.is_open:
        patient_id = found.grant.patient_id
        assert patient_id is not None  # of a person's grant, always  # noqa: S101
        told = await patient_summary.patient_summary(request, found.grant.fhir_server_id, patient_id)
    if isinstance(told, Unreadable):
        return page(request, "record.html", found=found, why=told.why)
    return page(
        request,
        "record.html",
        found=found,
        why=None,
        name=choosing.name_of(told.patient),
        birth_date=said if isinstance(said := told.patient.get("birthDate"), str) else "",
        told={
            Part.CONDITIONS: record_words.conditions(told.conditions),
            Part.MEDICATIONS: record_words.medications(told.medications),
            Part.ALLERGIES: record_words.allergies(told.allergies),
            Part.IMMUNIZATIONS: record_words.immunizations(told.immunizations),
        },
        series=record_words.series(told.observations),
        missing=told.missing,
        cut=told.cut,
        most=MOST_OF_A_KIND,
    )


async def granted(ctx: Context, grant_id: UUID) -> Granted:
    """Return a patient that a person was granted whom the actor looks after. Raises NotFound."""
    grant = await grant_queries.by_id(ctx, grant_id)
    if grant.grantee_kind is not GranteeKind.PERSON:
        raise NotFound("grant")
    try:
        view = await person_queries.find(ctx, grant.grantee_id)
    except NotFound:
        raise NotFound("grant") from None
    return await _granted(ctx, view, grant)


async def _granted(ctx: Context, view: PersonView, grant: GrantOnServer) -> Granted:
    is_invited = grant.cause_kind is CauseKind.INVITE and grant.cause_id is not None
    return Granted(
        view,
        grant,
        await invite_queries.inviter(ctx, grant.fhir_server_id),
        await invite_queries.by_id(ctx, grant.cause_id) if is_invited and grant.cause_id else None,
        await grant_queries.reaching(ctx, grant) is not None,
    )


async def _holders(ctx: Context, view: PersonView) -> list[Holder]:
    found, _ = await person_queries.roles(ctx, view.person.id, MOST_SHOWN)
    return found
