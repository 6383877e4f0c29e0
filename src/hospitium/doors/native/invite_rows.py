"""Rows of invites, made a few at a time: each is a deed of its own, and none hinders another.

    read the row ─▶ is its key there already? ─▶ ask for the patient ─▶ hash, when a thread is free ─▶ make the invite

A call that breaks off leaves what it made; its repeat finds that by the keys. Nothing slow is done inside a transaction.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import UNSET

from hospitium.doors import fhir_patients
from hospitium.doors.invite_row import CodeWish, form_of, patient_of
from hospitium.doors.native.errors import TABLE
from hospitium.doors.native.invite_shapes import Outcome, RowOutcome
from hospitium.doors.native.wire import spelled
from hospitium.doors.problems import in_small
from hospitium.doors.surroundings import surroundings
from hospitium.engine.accounts.emails import canonical_email
from hospitium.engine.errors import Conflict, Invalid, NameTaken, NoSuchPatient, Refusal
from hospitium.engine.fhir_resources import queries as resources
from hospitium.engine.fhir_servers.record import ServerKind
from hospitium.engine.invites import actions, queries
from hospitium.engine.invites.actions import CodeForm, EmailForm
from hospitium.engine.invites.codes import InviteCode, proof
from hospitium.engine.invites.patients import patient_found
from hospitium.engine.invites.record import InviteForm
from hospitium.engine.permissions import Permission

if TYPE_CHECKING:
    from uuid import UUID

    from litestar import Request

    from hospitium.doors.fhir_patients import Reachable, Selector
    from hospitium.doors.native.invite_shapes import InviteRow
    from hospitium.engine.context import Context
    from hospitium.engine.invites.patients import PatientFound
    from hospitium.engine.invites.record import Invite

AT_ONCE = 4
"""How many rows of a call are under way at the same time, and so how many questions to a FHIR server."""


class Inviting(NamedTuple):
    """Who invites to the patients of which FHIR server, and what was made under the keys of the rows before."""

    account_id: UUID | None
    where: Reachable
    there: dict[str, Invite]


class _Wanted(NamedTuple):
    """What a row asks for, read."""

    key: str
    which: Selector
    form: CodeWish | EmailForm


async def make_all(
    request: Request[Any, Any, Any], inviting: Inviting, rows: list[tuple[str, InviteRow]]
) -> list[RowOutcome]:
    """Make the invites of rows (each with its key, cleaned); return what became of each, in their order."""
    read = [_read(key, row) for key, row in rows]
    patients = await _patients_here(request, inviting, read)
    outcomes: dict[int, RowOutcome] = {}
    left = iter(enumerate(read))

    async def one_after_the_other() -> None:
        for number, wanted in left:
            told = await _outcome(request, inviting, patients, wanted)
            told.key = rows[number][1].key
            outcomes[number] = told

    async with asyncio.TaskGroup() as several:
        for _ in range(AT_ONCE):
            several.create_task(one_after_the_other())
    return [outcomes[number] for number in range(len(rows))]


async def _outcome(
    request: Request[Any, Any, Any],
    inviting: Inviting,
    patients: dict[str, dict[str, Any]],
    wanted: _Wanted | Refusal,
) -> RowOutcome:
    if isinstance(wanted, Refusal):
        return _refused(wanted)
    there = inviting.there.get(wanted.key)
    try:
        if there is None:
            patient = await _patient(request, inviting, patients, wanted.which)
            try:
                return await _make(request, patient, wanted)
            except NameTaken:
                there = await _made_meanwhile(request, patient.server_id, wanted.key)
        return await _present(request, inviting, there, wanted)
    except Refusal as refusal:
        return _refused(refusal)


# -- what a row asks for -----------------------------------------------------------------------------------------------


def _read(key: str, row: InviteRow) -> _Wanted | Refusal:
    try:
        return _Wanted(key, patient_of(row), form_of(row))
    except Invalid as refusal:
        return refusal


# -- the patients ------------------------------------------------------------------------------------------------------


async def _patients_here(
    request: Request[Any, Any, Any], inviting: Inviting, read: list[_Wanted | Refusal]
) -> dict[str, dict[str, Any]]:
    """Return the patients of a built-in FHIR server that rows name by their ids, in one statement."""
    server = inviting.where.server
    ids = {
        wanted.which.patient_id
        for wanted in read
        if isinstance(wanted, _Wanted) and wanted.which.patient_id and wanted.key not in inviting.there
    }
    if server.kind is not ServerKind.BUILT_IN or not ids:
        return {}

    async def deed(ctx: Context) -> dict[str, dict[str, Any]]:
        return await resources.patients(ctx, server.id, sorted(filter(None, ids)))

    return await surroundings(request).work.perform(request, Permission.MAKE_INVITE, deed)


async def _patient(
    request: Request[Any, Any, Any],
    inviting: Inviting,
    patients: dict[str, dict[str, Any]],
    which: Selector,
) -> PatientFound:
    server = inviting.where.server
    if which.patient_id is None or server.kind is ServerKind.REMOTE:
        return await fhir_patients.find(request, inviting.where, which, inviting.account_id)
    if which.patient_id not in patients:
        raise NoSuchPatient(which.field)
    return patient_found(server, patients[which.patient_id], which.field, which.patient_id)


# -- what becomes of it ------------------------------------------------------------------------------------------------


async def _make(request: Request[Any, Any, Any], patient: PatientFound, wanted: _Wanted) -> RowOutcome:
    """Make the invite of a row. Raises NameTaken (its key was used meanwhile), and what making one raises."""
    house = surroundings(request)
    form = wanted.form
    if isinstance(form, EmailForm):
        made = await house.work.perform(
            request,
            Permission.MAKE_INVITE,
            lambda ctx: actions.make_by_email(ctx, patient, form, house.terms, bulk_key=wanted.key),
        )
        return _told(Outcome.CREATED, made)
    code = InviteCode.new()
    hashed = await house.passwords.hash_unhurried(proof(code, form.answer))
    coded = CodeForm(code, house.pepper, form.question, hashed)
    made = await house.work.perform(
        request,
        Permission.MAKE_INVITE,
        lambda ctx: actions.make_by_code(
            ctx, patient, coded, house.terms, language=form.language, bulk_key=wanted.key
        ),
    )
    told = _told(Outcome.CREATED, made)
    told.security_code = code.reveal()
    return told


async def _made_meanwhile(request: Request[Any, Any, Any], server_id: UUID, key: str) -> Invite:
    found = await surroundings(request).work.perform(
        request, Permission.MAKE_INVITE, lambda ctx: queries.by_bulk_keys(ctx, server_id, [key])
    )
    return found[key]


async def _present(
    request: Request[Any, Any, Any], inviting: Inviting, there: Invite, wanted: _Wanted
) -> RowOutcome:
    """Return that the invite of a key is there already, if it is what the row asks for. Raises Conflict."""
    patient_id = wanted.which.patient_id
    if patient_id is None:
        # Which patient has an identifier isn't kept here: only its FHIR server can say whether it is the same.
        found = await fhir_patients.find(request, inviting.where, wanted.which, inviting.account_id)
        patient_id = found.patient_id
    if isinstance(wanted.form, EmailForm):
        same = there.email_key == canonical_email("user_email", wanted.form.email)
    else:
        same = there.form is InviteForm.CODE
    if not same or there.patient_id != patient_id:
        other = Conflict(
            "This key was used for another invite before: of another patient, or for somebody else"
        )
        other.field = "key"
        raise other
    return _told(Outcome.PRESENT, there)


def _told(outcome: Outcome, invite: Invite) -> RowOutcome:
    return RowOutcome(
        key="",
        outcome=outcome,
        invite_id=invite.id,
        status=invite.status,
        expires_on=UNSET if invite.expires_at is None else invite.expires_at,
    )


def _refused(refusal: Refusal) -> RowOutcome:
    field = None if refusal.field is None else spelled(refusal.field)
    return RowOutcome(key="", outcome=Outcome.REFUSED, problem=in_small(refusal, TABLE, field))
