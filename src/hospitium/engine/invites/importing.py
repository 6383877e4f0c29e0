"""Invites from elsewhere: a world file says of each how it stands, and it is written down so, with its grant if it was accepted."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import asyncpg
import msgspec

from hospitium.engine.access.check import Resource
from hospitium.engine.accounts import queries as account_queries
from hospitium.engine.accounts.emails import canonical_email
from hospitium.engine.accounts.record import Language
from hospitium.engine.actor import Actor, ActorKind
from hospitium.engine.errors import Forbidden, Invalid, NameTaken, NotFound
from hospitium.engine.events import EventKind
from hospitium.engine.fhir_servers import queries as server_queries
from hospitium.engine.grants import on_servers as grants
from hospitium.engine.invites import queries
from hospitium.engine.invites.actions import CodeForm, EmailForm, may_make
from hospitium.engine.invites.patients import PatientFound
from hospitium.engine.invites.record import (
    BOUND,
    INVITE_PURPOSE,
    UNBOUND,
    Invite,
    InviteForm,
    InviteStatus,
)
from hospitium.engine.invites.telling import tell
from hospitium.engine.invites.writing import write
from hospitium.engine.permissions import Permission, require
from hospitium.engine.persons import queries as person_queries
from hospitium.engine.secrets import seed
from hospitium.engine.text import line

if TYPE_CHECKING:
    from hospitium.engine.context import Context
    from hospitium.engine.grants.queries import GrantOnServer
    from hospitium.engine.secrets import DerivationKey

_LIVED = timedelta(days=30)  # of one that expired, where invites live for ever here


class ImportedStatus(StrEnum):
    """How an invite from elsewhere may stand. Its other statuses are steps that only happen here."""

    OPEN = "open"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


class Acceptance(NamedTuple):
    """With which person an invite was accepted, and by which account."""

    person_id: UUID
    account_id: UUID


class ImportedInvite(msgspec.Struct, frozen=True, kw_only=True):
    """An invite as a world file has it: to which patient, by whom, and how it stands.

    `by_email`: to whom it was sent; without it, it is one by code. `by_code`: what an open one of those keeps, if it isn't there;
    the others have forgotten it. `question`: by which an open one is known again. `acceptance`: of one that was accepted.
    """

    patient: PatientFound
    made_by: UUID
    status: ImportedStatus
    by_code: CodeForm | None = None
    question: str | None = None
    by_email: EmailForm | None = None
    acceptance: Acceptance | None = None
    language: Language = Language.ENGLISH
    given_id: UUID | None = None


async def import_one(
    ctx: Context, given: ImportedInvite, key: DerivationKey, life: timedelta | None
) -> Invite | None:
    """Write down an invite from elsewhere; None if it is there: by its id, or where it gives none, by patient and address or question.

    For the operator. The rules of making one hold here too. No mail is sent. `key`: from which the token of its link is derived;
    `life`: how long it may wait. Raises Invalid, NameTaken, NotFound, WrongState.
    """
    require(ctx.actor, Permission.IMPORT_WORLD)
    if await _is_there(ctx, given):
        return None
    its = seed(key, INVITE_PURPOSE, given.given_id or ctx.new_id())
    # Account and person are locked before the FHIR server, as where one accepts.
    granted = None if given.acceptance is None else await _grant(ctx, given, given.acceptance, its.row_id)
    organization_id = await _organization(_as(ctx, given.made_by), given)
    columns = dict(
        id=its.row_id,
        fhir_server_id=given.patient.server_id,
        organization_id=organization_id,
        patient_id=given.patient.patient_id,
        patient_summary=given.patient.summary,
        status=_status(given).value,
        account_id=None if given.acceptance is None else given.acceptance.account_id,
        person_id=None if given.acceptance is None else given.acceptance.person_id,
        grant_id=None if granted is None else granted.id,
        language=given.language.value,
        created_by_id=given.made_by,
        version=1,
        **_times(ctx.now, given.status, life),
    )
    if given.by_email is None:
        columns.update(form=InviteForm.CODE, **_kept_of_code(given))
    else:
        columns.update(
            form=InviteForm.EMAIL, **_kept_of_address(given.by_email),
            key_number=its.key_number, nonce=its.nonce, digest=its.digest,
        )  # fmt: skip
    made = await _written(ctx, columns)
    await tell(
        ctx,
        EventKind.INVITE_IMPORTED,
        made,
        person=made.person_id,
        grants=None if granted is None or granted.cause_id != made.id else [granted.id],
        level=None if granted is None else int(granted.level),
    )
    return made


# -- how ---------------------------------------------------------------------------------------------------------------


def _as(ctx: Context, account_id: UUID) -> Context:
    return ctx._replace(actor=Actor(ActorKind.ACCOUNT, account_id, is_confirmed=True))


async def _is_there(ctx: Context, given: ImportedInvite) -> bool:
    server_id, patient_id = given.patient.server_id, given.patient.patient_id
    if given.given_id is not None:
        known = await queries.present(ctx, [given.given_id])
        if known and known[given.given_id] != (server_id, patient_id):
            raise Invalid("id", "is that of an invite to another patient")
        return bool(known)
    return await queries.is_there(
        ctx,
        server_id,
        patient_id,
        email_key=None if given.by_email is None else canonical_email("to", given.by_email.email),
        question=None if given.question is None else line("question", given.question),
    )


async def _organization(maker: Context, given: ImportedInvite) -> UUID:
    """Return whose the FHIR server is, if the inviter may invite there. Raises Invalid, WrongState."""
    await server_queries.hold(maker, given.patient.server_id)
    try:
        standing = await may_make(maker, given.patient.server_id)
    except (NotFound, Forbidden):
        raise Invalid("by", "may not invite to this FHIR server: that needs level 6 there") from None
    return standing.server.organization_id


async def _grant(
    ctx: Context, given: ImportedInvite, acceptance: Acceptance, invite_id: UUID
) -> GrantOnServer:
    """Give a person what accepting an invite gives, under the rules of that. Raises Invalid, WrongState."""
    holder = _as(ctx, acceptance.account_id)
    held = await account_queries.hold_all(ctx, [acceptance.account_id])
    if given.by_email is not None:
        email_key = canonical_email("to", given.by_email.email)
        if not any(one.is_confirmed and one.email_key == email_key for one in held):
            raise Invalid("to", "must be the confirmed address of an account, if it was accepted")
    person = await person_queries.lock(ctx, acceptance.person_id)
    if not held or person is None or not await person_queries.administers(holder, acceptance.person_id):
        raise Invalid("person", "must be one that whoever accepted looks after as its administrator")
    await server_queries.hold(ctx, given.patient.server_id)
    patient = Resource.patient(given.patient.server_id, given.patient.patient_id)
    grant, _ = await grants.start_for_invite(holder, acceptance.person_id, patient, invite_id)
    return grant


def _status(given: ImportedInvite) -> InviteStatus:
    if given.status is ImportedStatus.OPEN:
        return UNBOUND if given.by_email is None else BOUND
    return InviteStatus(given.status.value)


def _times(now: datetime, status: ImportedStatus, life: timedelta | None) -> dict[str, Any]:
    over = status not in (ImportedStatus.OPEN, ImportedStatus.ACCEPTED)
    expired = status is ImportedStatus.EXPIRED
    created_at = now - (life or _LIVED) if expired else now
    return {
        "created_at": created_at,
        "expires_at": now if expired else None if life is None else now + life,
        "accepted_at": now if status is ImportedStatus.ACCEPTED else None,
        "ended_at": now if over else None,
    }


def _kept_of_code(given: ImportedInvite) -> dict[str, Any]:
    """Return what one by code keeps as long as it is open. Raises Invalid."""
    if given.status is not ImportedStatus.OPEN:
        return {}
    if given.by_code is None:
        raise Invalid("code", "is required of an open invite")
    return {
        "question": line("question", given.by_code.question),
        "code_key_number": given.by_code.pepper.number,
        "code_digest": given.by_code.code.digest(given.by_code.pepper),
        "answer_hash": given.by_code.answer_hash.reveal(),
    }


def _kept_of_address(form: EmailForm) -> dict[str, Any]:
    return {
        "email": form.email.strip(),
        "email_key": canonical_email("to", form.email),
        "first_name": line("first_name", form.first_name),
        "last_name": line("last_name", form.last_name),
    }


async def _written(ctx: Context, columns: dict[str, Any]) -> Invite:
    try:
        return await write(ctx, **columns)
    except asyncpg.UniqueViolationError as taken:
        raise NameTaken("code" if taken.constraint_name == "invites_one_code_ix" else "id") from None
