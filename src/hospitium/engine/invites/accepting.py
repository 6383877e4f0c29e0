"""How an invite is accepted, with a person: by its id, where it is bound to the actor; by its code, with the right answer.

Who may do which depends on how it was bound (contract bluebutton.md §3.6): what `find` shows of an unbound one doesn't make it
acceptable by id (trap 21).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hospitium.engine.access.check import Resource
from hospitium.engine.accounts import life, queries as account_queries
from hospitium.engine.accounts.actions import AccountForm
from hospitium.engine.accounts.holding import hold_actor
from hospitium.engine.errors import DeadLink, NotFound, UnknownCode, WrongState
from hospitium.engine.events import EventKind
from hospitium.engine.fhir_servers import queries as server_queries
from hospitium.engine.grants import on_servers as grants
from hospitium.engine.invites import answering, queries
from hospitium.engine.invites.lifecycle import LIFECYCLE
from hospitium.engine.invites.record import BOUND, UNBOUND, Invite, InviteForm, InviteStatus
from hospitium.engine.invites.telling import tell
from hospitium.engine.permissions import Permission, require
from hospitium.engine.persons import queries as person_queries

if TYPE_CHECKING:
    from uuid import UUID

    from hospitium.engine.accounts.record import Account
    from hospitium.engine.context import Context
    from hospitium.engine.grants.queries import GrantOnServer
    from hospitium.engine.invites.answering import AnswerVerdict
    from hospitium.engine.invites.queries import Inviter
    from hospitium.engine.secrets import HashedPassword, LinkToken
    from hospitium.engine.sessions.actions import PasswordVerdict


async def accept(ctx: Context, invite_id: UUID, person_id: UUID, version: int | None = None) -> GrantOnServer:
    """Accept an invite that is bound to the actor, with a person that he administers; return the grant that person has then.

    `version`: the one that was shown. Raises NotFound (the invite or the person), WrongState.
    """
    account = await _holder(ctx)
    seen = await _his(ctx, account, invite_id)
    await _hold_person_and_server(ctx, person_id, seen)
    current = await queries.lock(ctx, invite_id)
    if current is None or (version is not None and current.version != version):
        raise WrongState("The invite was changed meanwhile; look at it again")
    _must_be_open(ctx, current)
    if await queries.inviter(ctx, current.fhir_server_id) is None:
        raise NotFound("invite")
    return await _accept(ctx, "accept", current, person_id)


async def accept_by_code(ctx: Context, verdict: AnswerVerdict, person_id: UUID) -> GrantOnServer:
    """Accept an invite whose code and answer were right, with a person that the actor administers; return its grant.

    Raises UnknownCode (somebody was faster), NotFound (the person), WrongState.
    """
    await _holder(ctx)
    seen = await queries.by_id(ctx, verdict.invite_id)
    if seen is None:
        raise UnknownCode
    await _hold_person_and_server(ctx, person_id, seen)
    current = await queries.lock(ctx, verdict.invite_id)
    if current is None or current.status is not UNBOUND or not current.is_open(ctx.now):
        raise UnknownCode
    # Again, because the answer was compared since, and locks were waited for.
    if await queries.inviter(ctx, current.fhir_server_id) is None:
        raise UnknownCode
    await answering.give_back(ctx, verdict.invite_id)
    return await _accept(ctx, "accept_by_code", current, person_id)


async def decline(ctx: Context, invite_id: UUID) -> Invite:
    """Decline an invite that is bound to the actor. Raises NotFound, WrongState."""
    account = await _holder(ctx)
    _must_be_open(ctx, await _his(ctx, account, invite_id))
    declined = await LIFECYCLE.move(ctx, "decline", invite_id)
    if declined is None:
        raise WrongState("The invite is over already")
    await tell(ctx, EventKind.INVITE_DECLINED, declined)
    return declined


# -- by the link of its mail -------------------------------------------------------------------------------------------


class Awaiting(NamedTuple):
    """What waits behind the link of an invite: who invites, whom (as he was named), and whether the address has a confirmed account."""

    invite: Invite
    inviter: Inviter
    has_account: bool


async def look(ctx: Context, token: LinkToken) -> Awaiting:
    """Return what waits behind the link of an invite's mail; its reader holds the mailbox by holding it. Raises DeadLink."""
    require(ctx.actor, Permission.FOLLOW_INVITE)
    invite = await _by_link(ctx, token)
    inviter = await queries.inviter(ctx, invite.fhir_server_id)
    if inviter is None or invite.email_key is None:
        raise DeadLink
    account = await account_queries.find(ctx, invite.email_key)
    return Awaiting(invite, inviter, account is not None and account.is_confirmed)


async def take_up(
    ctx: Context, token: LinkToken, form: AccountForm, password: HashedPassword, verdict: PasswordVerdict
) -> tuple[Account, Invite]:
    """Prove the mailbox of an invite by its link: with the password of the account there is, or the one that is made with it.

    The invite is that account's then, to accept or decline. Raises DeadLink, WrongCredentials, AccountDisabled, Invalid.
    """
    require(ctx.actor, Permission.FOLLOW_INVITE)
    invite = await _by_link(ctx, token)
    if await queries.inviter(ctx, invite.fhir_server_id) is None or invite.email is None:
        raise DeadLink
    named = AccountForm(
        email=invite.email,
        first_name=form.first_name or invite.first_name,
        last_name=form.last_name or invite.last_name,
        language=form.language,
    )
    account = await life.join_by_mailbox(ctx, named, password, verdict)
    # Whoever took the account over lost what was bound to it; the invite was sent to the mailbox, and stays.
    current = await queries.lock(ctx, invite.id)
    if current is None or not current.is_open(ctx.now):
        raise DeadLink
    return account, current


# -- how ---------------------------------------------------------------------------------------------------------------


async def _holder(ctx: Context) -> Account:
    """Keep the actor's account from being taken over or deleted until this transaction ends; return it."""
    require(ctx.actor, Permission.ACCEPT_INVITE)
    return await hold_actor(ctx)


async def _his(ctx: Context, account: Account, invite_id: UUID) -> Invite:
    """Return an invite that is tied to an account; NotFound otherwise: an unbound one too, whatever `find` has shown of it."""
    invite = await queries.by_id(ctx, invite_id)
    if invite is None:
        raise NotFound("invite")
    if invite.account_id is not None:
        is_his = invite.account_id == account.id
    else:
        is_his = (
            invite.form is InviteForm.EMAIL and account.is_confirmed and invite.email_key == account.email_key
        )
    if not is_his or await queries.inviter(ctx, invite.fhir_server_id) is None:
        raise NotFound("invite")
    return invite


def _must_be_open(ctx: Context, invite: Invite) -> None:
    if invite.status is InviteStatus.ACCEPTED:
        raise WrongState("The invite was accepted already")
    if invite.status is not BOUND:
        raise WrongState(f"The invite is {invite.status}")
    if not invite.is_open(ctx.now):
        raise WrongState("The invite has expired")


async def _hold_person_and_server(ctx: Context, person_id: UUID, invite: Invite) -> None:
    if await person_queries.lock(ctx, person_id) is None or not await person_queries.administers(
        ctx, person_id
    ):
        raise NotFound("person")
    await server_queries.hold(ctx, invite.fhir_server_id)


async def _accept(ctx: Context, verb: str, invite: Invite, person_id: UUID) -> GrantOnServer:
    patient = Resource.patient(invite.fhir_server_id, invite.patient_id)
    grant, is_new = await grants.start_for_invite(ctx, person_id, patient, invite.id)
    accepted = await LIFECYCLE.move(
        ctx, verb, invite.id, by_account=ctx.actor.account_id, with_person=person_id, by_grant=grant.id
    )
    if accepted is None and verb == "accept_by_code":
        raise UnknownCode
    if accepted is None:
        raise WrongState("The invite is over already")
    await tell(
        ctx,
        EventKind.INVITE_ACCEPTED,
        accepted,
        person=person_id,
        grants=[grant.id] if is_new else None,
        level=int(grant.level),
    )
    return grant


async def _by_link(ctx: Context, token: LinkToken) -> Invite:
    invite = await queries.by_token(ctx, token)
    if invite is None or invite.status is not BOUND or not invite.is_open(ctx.now):
        raise DeadLink
    return invite
