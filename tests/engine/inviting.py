"""What tests of invites have in common: a FHIR server of northside's, and invites to a patient of it, each in a line; to be done as somebody.

No FHIR server is asked here, and nothing hashed: what proves that it was done is made by hand.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

from engine.ground import Ground
from engine.sharing import POST
from hospitium.engine.accounts.actions import AccountForm
from hospitium.engine.context import Context
from hospitium.engine.fhir_servers import actions as servers
from hospitium.engine.fhir_servers.actions import ServerForm
from hospitium.engine.fhir_servers.record import ServerKind
from hospitium.engine.invites import accepting, actions, answering
from hospitium.engine.invites.actions import CodeForm, EmailForm, Terms
from hospitium.engine.invites.answering import AnswerVerdict
from hospitium.engine.invites.codes import InviteCode
from hospitium.engine.invites.patients import PatientFound
from hospitium.engine.invites.record import Invite
from hospitium.engine.secrets import HashedPassword

LIFE = timedelta(days=30)
TERMS = Terms(LIFE, POST)
NOBODYS_ANSWER = HashedPassword("$argon2id$nobody compares this")
PAT = "pat@mail.example"


class Coded(NamedTuple):
    """An invite by code, with the code that only its holder has."""

    invite: Invite
    code: InviteCode

    @property
    def digests(self) -> list[bytes]:
        """By what it is looked for."""
        return [self.code.digest(POST.key)]

    @property
    def verdict(self) -> AnswerVerdict:
        """The proof that its answer was right."""
        return AnswerVerdict(self.invite.id)


async def a_server(ground: Ground, name: str = "Good Health Clinic", organization: str = "northside") -> UUID:
    form = ServerForm(name, ServerKind.BUILT_IN)
    made = await ground.does("operator", servers.create, ground.organizations[organization], form)
    found: UUID = made.id
    return found


def a_patient(server_id: UUID, patient_id: str = "jane") -> PatientFound:
    return PatientFound(server_id, 1, patient_id, {"resourceType": "Patient", "id": patient_id})


async def by_email(ctx: Context, server_id: UUID, email: str = PAT, patient_id: str = "jane") -> Invite:
    """Invite who reads a mailbox."""
    form = EmailForm(email, "Jane", "Doe")
    return await actions.make_by_email(ctx, a_patient(server_id, patient_id), form, TERMS)


async def by_code(ctx: Context, server_id: UUID, patient_id: str = "jane") -> Coded:
    """Invite whoever has a code."""
    code = InviteCode.new()
    form = CodeForm(code, POST.key, "Which pet?", NOBODYS_ANSWER)
    return Coded(await actions.make_by_code(ctx, a_patient(server_id, patient_id), form, TERMS), code)


async def again(ctx: Context, invite: Invite) -> Coded:
    """Issue an invite by code again."""
    code = InviteCode.new()
    form = CodeForm(code, POST.key, "Which school?", NOBODYS_ANSWER)
    patient = a_patient(invite.fhir_server_id, invite.patient_id)
    return Coded(await actions.replace(ctx, invite.id, patient, form, TERMS), code)


async def accept(ctx: Context, invite: Invite, person_id: UUID) -> Any:
    return await accepting.accept(ctx, invite.id, person_id)


async def accept_by_code(ctx: Context, coded: Coded, person_id: UUID) -> Any:
    """Accept by the code, whose answer was right; the try is counted first, as the door does."""
    await answering.take_attempt(ctx, coded.digests)
    return await accepting.accept_by_code(ctx, coded.verdict, person_id)


async def register(ctx: Context, coded: Coded, email: str) -> Any:
    """Register with a code whose answer was right."""
    form = AccountForm(email=email, first_name="Eve", last_name="Moor")
    return await answering.register(ctx, coded.verdict, form, NOBODYS_ANSWER, POST)
