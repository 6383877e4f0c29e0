"""What the inviting side can do with an invite: make one by code or by e-mail, withdraw it, issue it again, send its mail again.

How it is answered: `answering.py` (code and answer), `accepting.py`. A patient was found on the FHIR server, and the slow hash made, before.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import asyncpg

from hospitium.engine.accounts.emails import canonical_email
from hospitium.engine.accounts.record import Language
from hospitium.engine.deliveries import actions as deliveries
from hospitium.engine.deliveries.record import Template
from hospitium.engine.errors import (
    Forbidden,
    NameTaken,
    NotFound,
    NotSignedIn,
    Unavailable,
    WrongState,
)
from hospitium.engine.events import EventKind
from hospitium.engine.fhir_servers import queries as server_queries
from hospitium.engine.invites import queries
from hospitium.engine.invites.lifecycle import LIFECYCLE
from hospitium.engine.invites.record import (
    BOUND,
    INVITE_PURPOSE,
    OPEN,
    UNBOUND,
    Invite,
    InviteForm,
    InviteStatus,
)
from hospitium.engine.invites.telling import tell
from hospitium.engine.invites.writing import write
from hospitium.engine.levels import Level
from hospitium.engine.permissions import Permission, require
from hospitium.engine.secrets import seed
from hospitium.engine.text import line
from hospitium.engine.throttles import actions as throttles
from hospitium.engine.throttles.rules import Limit, a_try

if TYPE_CHECKING:
    from uuid import UUID

    from hospitium.engine.accounts.mails import Post
    from hospitium.engine.context import Context
    from hospitium.engine.fhir_servers.queries import ServerStanding
    from hospitium.engine.invites.codes import InviteCode
    from hospitium.engine.invites.patients import PatientFound
    from hospitium.engine.secrets import DerivationKey, HashedPassword

INVITES_AN_HOUR = Limit(20_000, timedelta(milliseconds=180))
"""How many invites are made on one FHIR server, whoever makes them (threats A-22)."""
LONGEST_BULK_KEY = 100


class CodeForm(NamedTuple):
    """A new code, the key of its digest, the clinic's question, and the slow hash of code and answer."""

    code: InviteCode
    pepper: DerivationKey
    question: str
    answer_hash: HashedPassword


class EmailForm(NamedTuple):
    """Whom to write to, as the inviter names him, in which language until he has an account."""

    email: str
    first_name: str
    last_name: str
    language: Language = Language.ENGLISH


class Terms(NamedTuple):
    """What every invite of a call has: how long it lives (None: until it is answered), and what its mails are sent with."""

    life: timedelta | None
    post: Post


async def may_make(ctx: Context, server_id: UUID) -> ServerStanding:
    """Return the actor's standing on a FHIR server where he may invite. Raises NotFound, Forbidden, WrongState (suspended)."""
    require(ctx.actor, Permission.MAKE_INVITE)
    standing = await server_queries.standing(ctx, Permission.MAKE_INVITE, server_id, Level.UPDATE)
    # As it is once nobody can change it: it may have been waited for.
    return standing._replace(server=await server_queries.hold(ctx, server_id))


async def make_by_code(
    ctx: Context,
    patient: PatientFound,
    form: CodeForm,
    terms: Terms,
    *,
    language: Language = Language.ENGLISH,
    bulk_key: str | None = None,
    replaces_id: UUID | None = None,
) -> Invite:
    """Invite whoever has a code and knows the answer to a question. Raises NotFound, Forbidden, Invalid, WrongState, TooManyAttempts."""
    require(ctx.actor, Permission.MAKE_INVITE)
    return await _make(
        ctx,
        patient,
        terms,
        form=InviteForm.CODE,
        status=UNBOUND,
        question=line("security_question", form.question),
        code_key_number=form.pepper.number,
        code_digest=form.code.digest(form.pepper),
        answer_hash=form.answer_hash.reveal(),
        language=language.value,
        bulk_key=bulk_key,
        replaces_id=replaces_id,
    )


async def make_by_email(
    ctx: Context, patient: PatientFound, form: EmailForm, terms: Terms, *, bulk_key: str | None = None
) -> Invite:
    """Invite whoever reads a mailbox. As much is done, and answered, whether it has an account here or not (threats A-19).

    Raises NotFound, Forbidden, Invalid, WrongState, TooManyAttempts.
    """
    require(ctx.actor, Permission.MAKE_INVITE)
    email_key = canonical_email("user_email", form.email)
    made_seed = seed(terms.post.key, INVITE_PURPOSE, ctx.new_id())
    made = await _make(
        ctx,
        patient,
        terms,
        id=made_seed.row_id,
        form=InviteForm.EMAIL,
        status=BOUND,
        email=form.email.strip(),
        email_key=email_key,
        first_name=line("first_name", form.first_name),
        last_name=line("last_name", form.last_name),
        key_number=made_seed.key_number,
        nonce=made_seed.nonce,
        digest=made_seed.digest,
        language=form.language.value,
        bulk_key=bulk_key,
    )
    # A mailbox gets so many an hour and no more. What waits is listed to whoever proves it, and can be sent again.
    if await throttles.allows(ctx, terms.post.invite(email_key)):
        await deliveries.queue(ctx, Template.INVITE, invite_id=made.id)
    return made


async def withdraw(ctx: Context, invite_id: UUID) -> Invite:
    """Take an open invite back. Raises NotFound, WrongState (accepted: its grant can be ended instead; or over)."""
    require(ctx.actor, Permission.END_INVITE)
    before = await _ours(ctx, invite_id)
    after = await LIFECYCLE.move(ctx, "withdraw", before.id)
    if after is None:
        raise WrongState(
            "The invite was accepted; end its grant instead"
            if before.status is InviteStatus.ACCEPTED
            else f"The invite is {before.status} already"
        )
    await tell(ctx, EventKind.INVITE_WITHDRAWN, after)
    return after


async def replaceable(ctx: Context, invite_id: UUID) -> Invite:
    """Return an invite by code that may be issued again, by who may. Raises NotFound, WrongState."""
    require(ctx.actor, Permission.END_INVITE)
    found = await _ours(ctx, invite_id)
    if found.form is InviteForm.EMAIL:
        raise WrongState("The invite was sent by e-mail; have its mail sent again instead")
    if found.status is InviteStatus.ACCEPTED:
        raise WrongState("The invite was accepted; there is nothing to issue again")
    if found.status is InviteStatus.REPLACED:
        raise WrongState("The invite was issued again already")
    return found


async def replace(
    ctx: Context, invite_id: UUID, patient: PatientFound, form: CodeForm, terms: Terms
) -> Invite:
    """Issue an invite by code again: the old one is closed, a new one with a new code names it (ruling 18).

    Raises NotFound, WrongState, Forbidden, Invalid, TooManyAttempts.
    """
    require(ctx.actor, Permission.END_INVITE)
    await may_make(ctx, patient.server_id)
    await replaceable(ctx, invite_id)
    await queries.lock(ctx, invite_id)
    before = await replaceable(ctx, invite_id)
    if before.status in OPEN:
        closed = await LIFECYCLE.move(ctx, "replace", invite_id)
        if closed is None:
            raise WrongState("The invite is over already")
        await tell(ctx, EventKind.INVITE_REPLACED, closed)
    return await make_by_code(
        ctx, patient, form, terms, language=Language(before.language), replaces_id=invite_id
    )


async def resend(ctx: Context, invite_id: UUID, post: Post) -> Invite:
    """Have the mail of an open invite sent again, with a new link; the one before is dead. Raises NotFound, WrongState, TooManyAttempts."""
    require(ctx.actor, Permission.END_INVITE)
    before = await _ours(ctx, invite_id)
    if before.form is InviteForm.CODE or before.email_key is None:
        raise WrongState("The invite has a code, and no mail; issue it again instead")
    # Before the link that was sent dies: without a new mail it stays good.
    await throttles.count(ctx, [post.invite(before.email_key)])
    made = seed(post.key, INVITE_PURPOSE, before.id)
    after = await LIFECYCLE.move(
        ctx, "resend", before.id, with_key=made.key_number, with_nonce=made.nonce, with_digest=made.digest
    )
    if after is None:
        raise WrongState(f"The invite is {before.status if before.status is not BOUND else 'expired'}")
    await tell(ctx, EventKind.INVITE_RESENT, after)
    await deliveries.queue(ctx, Template.INVITE, invite_id=after.id)
    return after


async def expire_one(ctx: Context) -> bool:
    """Mark one overdue invite as expired; return whether there was one. For the sweep."""
    overdue = await queries.one_overdue(ctx)
    if overdue is None:
        return False
    expired = await LIFECYCLE.move(ctx, "expire", overdue)
    if expired is not None:
        await tell(ctx, EventKind.INVITE_EXPIRED, expired)
    return True


async def end_again(ctx: Context, invite_id: UUID) -> None:
    """Withdraw an invite that a trail says ended, after a restore. For the operator. Raises NotFound."""
    after = await LIFECYCLE.move(ctx, "withdraw", invite_id)
    if after is None:
        raise NotFound("invite")
    await tell(ctx, EventKind.INVITE_WITHDRAWN, after)


# -- how ---------------------------------------------------------------------------------------------------------------


async def _make(ctx: Context, patient: PatientFound, terms: Terms, **values: Any) -> Invite:
    standing = await may_make(ctx, patient.server_id)
    if ctx.actor.account_id is None:
        raise NotSignedIn
    if standing.server.version != patient.server_version:
        raise Unavailable(1)  # it was changed since it was asked: what it said may be of another
    await throttles.count(
        ctx, [a_try(terms.post.key.key, INVITES_AN_HOUR, "invites of", str(patient.server_id))]
    )
    columns: dict[str, Any] = {
        "id": ctx.new_id(),
        "fhir_server_id": patient.server_id,
        "organization_id": standing.server.organization_id,
        "patient_id": patient.patient_id,
        "patient_summary": patient.summary,
        "created_by_id": ctx.actor.account_id,
        "created_at": ctx.now,
        "expires_at": None if terms.life is None else ctx.now + terms.life,
        "version": 1,
    }
    try:
        made = await write(ctx, **columns | values)
    except asyncpg.UniqueViolationError as taken:
        if taken.constraint_name == "invites_one_code_ix":
            raise Unavailable(1) from None  # one in 10¹²: another code the next time
        if taken.constraint_name == "invites_one_bulk_key_ix":
            raise NameTaken("key") from None
        if taken.constraint_name == "invites_one_replacement_ix":
            raise WrongState("The invite was issued again already") from None
        raise
    await tell(ctx, EventKind.INVITE_MADE, made)
    return made


async def _ours(ctx: Context, invite_id: UUID) -> Invite:
    """Return an invite of a FHIR server where the actor may write; NotFound otherwise, whoever else it may concern."""
    found = await queries.by_id(ctx, invite_id)
    if found is None:
        raise NotFound("invite")
    try:
        await server_queries.standing(ctx, Permission.END_INVITE, found.fhir_server_id, Level.UPDATE)
    except (NotFound, Forbidden):
        raise NotFound("invite") from None
    return found
