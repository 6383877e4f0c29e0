"""The life of an account: registered, confirmed, recovered, changed, exported, deleted (ruling 22).

Whoever asks for a link is told the same, whether the address is known or not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar import Request, Response
from msgspec import UNSET

from hospitium.doors import json_body, proofs, signing_in
from hospitium.doors.answers import answer, send
from hospitium.doors.native.account_shapes import (
    ACCEPTED,
    DONE,
    AccountBody,
    AccountChanges,
    AddressBody,
    ChangedPasswordBody,
    EmailBody,
    Export,
    NewPasswordBody,
    OwnInvite,
    OwnMembership,
    OwnPerson,
    OwnRecord,
    OwnShare,
    OwnTeam,
    PasswordBody,
    PrintedAccount,
    PrintedSession,
    ProofBody,
    Trail,
)
from hospitium.doors.native.wire import page_of, wire_names
from hospitium.doors.surroundings import surroundings
from hospitium.engine.accounts import life, queries
from hospitium.engine.accounts.actions import AccountForm
from hospitium.engine.accounts.passwords import checked_password
from hospitium.engine.errors import Invalid, NotSignedIn
from hospitium.engine.links.record import LinkPurpose
from hospitium.engine.permissions import Permission
from hospitium.engine.secrets import LinkToken

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from hospitium.doors.signing_in import Attempt
    from hospitium.engine.accounts.mails import Post
    from hospitium.engine.accounts.record import Account, Language
    from hospitium.engine.context import Context
    from hospitium.engine.invites.record import Invite
    from hospitium.engine.persons.queries import PersonView
    from hospitium.engine.sessions.record import Session
    from hospitium.engine.shares.record import Share


async def register(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Register an account; a link to confirm its address is sent there. What is answered is the same for a known address."""
    given = await _read(request, AccountBody)
    form = AccountForm(
        email=given.email, first_name=given.first_name, last_name=given.last_name, language=given.language
    )
    password, _ = await proofs.hashed(request, Permission.REGISTER_ACCOUNT, given.password)
    house = surroundings(request)
    with wire_names():
        await house.work.perform(
            request, Permission.REGISTER_ACCOUNT, lambda ctx: life.register(ctx, form, password, house.post)
        )
    return send(answer(202, ACCEPTED))


async def ask_confirmation(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Have the link that confirms an account sent again."""
    return await _ask(request, Permission.REGISTER_ACCOUNT, life.ask_confirmation)


async def ask_new_password(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Have a link sent with which a new password can be set."""
    return await _ask(request, Permission.RECOVER_ACCOUNT, life.ask_new_password)


async def confirm(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Confirm the account with the link that was sent, and its password; nothing changes but that it is confirmed."""
    account = await _proved(request, Permission.CONFIRM_ACCOUNT, LinkPurpose.CONFIRM, life.confirm)
    return send(answer(200, PrintedAccount.of(account)))


async def claim(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Claim an account that somebody else registered with one's address: a new password, and all that was before it ends."""
    given = await _read(request, NewPasswordBody)
    account = await proofs.with_new_password(
        request, Permission.CONFIRM_ACCOUNT, LinkToken(given.token), given.password, life.claim
    )
    return send(answer(200, PrintedAccount.of(account)))


async def set_password(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Set a new password with the link that was sent; every session ends."""
    given = await _read(request, NewPasswordBody)
    post = surroundings(request).post
    await proofs.with_new_password(
        request,
        Permission.RECOVER_ACCOUNT,
        LinkToken(given.token),
        given.password,
        lambda ctx, token, password: life.set_password(ctx, token, password, post),
    )
    return send(answer(200, DONE))


async def prove_email(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Prove a new address with the link that was sent there, and the password: it becomes the account's."""
    account = await _proved(
        request,
        Permission.CHANGE_EMAIL,
        LinkPurpose.EMAIL,
        lambda ctx, token, verdict: life.prove_email(ctx, token, verdict, surroundings(request).post),
    )
    return send(answer(200, PrintedAccount.of(account)))


async def read_own(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Read one's own account."""
    account = await surroundings(request).work.perform(request, Permission.SEE_ACCOUNT, _own)
    return send(answer(200, PrintedAccount.of(account)))


async def update_own(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Change one's own name or language."""
    given = await _read(request, AccountChanges)
    changes = {
        name: value
        for name in AccountChanges.__struct_fields__
        if (value := getattr(given, name)) is not UNSET
    }
    with wire_names():
        account = await surroundings(request).work.perform(
            request, Permission.UPDATE_ACCOUNT, lambda ctx: life.update_own(ctx, changes)
        )
    return send(answer(200, PrintedAccount.of(account)))


async def change_password(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Change one's own password; every other session ends."""
    given = await _read(request, ChangedPasswordBody)
    wanted = checked_password("password", given.password)

    attempt = await _compare_own(request, Permission.UPDATE_ACCOUNT, given.current_password)
    async with signing_in.unless_busy(request, Permission.UPDATE_ACCOUNT, attempt.tries):
        password = await surroundings(request).passwords.hash(wanted)
    await _with_own_password(
        request,
        Permission.UPDATE_ACCOUNT,
        attempt,
        lambda ctx: life.change_password(ctx, attempt.verdict, password, surroundings(request).post),
    )
    return send(answer(200, DONE))


async def ask_email_change(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Ask for another address: a link is sent there, the present one is told, and nothing changes before it is followed."""
    given = await _read(request, EmailBody)
    await signing_in.count(
        request, Permission.UPDATE_ACCOUNT
    )  # for good: each asks for mails to two mailboxes
    attempt = await _compare_own(request, Permission.UPDATE_ACCOUNT, given.password)
    post = surroundings(request).post
    await _with_own_password(
        request,
        Permission.UPDATE_ACCOUNT,
        attempt,
        lambda ctx: life.ask_email_change(ctx, attempt.verdict, given.email, post),
    )
    return send(answer(202, ACCEPTED))


async def export_own(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Export all that is kept of one's own account."""

    async def deed(ctx: Context) -> Export:
        kept = await life.export_own(ctx)
        newest = Trail.of(kept.trail, life.MOST_EXPORTED)
        return Export(
            PrintedAccount.of(kept.account),
            [
                OwnMembership(one.organization_id, one.code, one.role, one.external_id)
                for one in kept.belongings
            ],
            [printed_session(one, ctx) for one in kept.sessions],
            [OwnTeam(one.id, one.name, one.owner_id, one.is_member) for one in kept.teams],
            [
                OwnRecord(one.id, one.organization_id, one.object_type_id, one.created_at)
                for one in kept.records
            ],
            [_own_share(one.share) for one in kept.shares],
            [_own_person(one) for one in kept.persons],
            [_own_invite(one.invite) for one in kept.invites],
            newest.trail,
            newest.next,
        )

    exported = await surroundings(request).work.perform(request, Permission.SEE_ACCOUNT, deed)
    return send(answer(200, exported), headers={"Content-Disposition": 'attachment; filename="account.json"'})


def _own_person(seen: PersonView) -> OwnPerson:
    person, role = seen
    return OwnPerson(
        person.id,
        person.first_name,
        person.last_name,
        role.level,
        role.is_owner,
        role.relationship,
        role.starts_at,
    )


def _own_invite(invite: Invite) -> OwnInvite:
    return OwnInvite(
        invite.id,
        invite.fhir_server_id,
        invite.patient_id,
        invite.status,
        invite.email,
        invite.created_at,
        invite.accepted_at,
        invite.person_id,
    )


def _own_share(share: Share) -> OwnShare:
    return OwnShare(
        share.id,
        share.organization_id,
        share.record_id,
        share.level,
        share.status,
        share.creator_id,
        share.created_at,
        share.target_email,
        share.target_account_id,
        share.target_team_id,
    )


async def list_trail(request: Request[Any, Any, Any]) -> Response[bytes]:
    """List what happened to one's own account, the newest first."""

    async def deed(ctx: Context) -> Trail:
        after, limit = page_of(request)
        return Trail.of(await queries.own_trail(ctx, after, limit + 1), limit)

    return send(answer(200, await surroundings(request).work.perform(request, Permission.SEE_ACCOUNT, deed)))


async def delete_own(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Delete one's own account: name, address and password go; where the trail names it, an id remains."""
    given = await _read(request, PasswordBody)
    attempt = await _compare_own(request, Permission.DELETE_ACCOUNT, given.password)
    post = surroundings(request).post
    await surroundings(request).work.perform(
        request, Permission.DELETE_ACCOUNT, lambda ctx: life.delete_own(ctx, attempt.verdict, post)
    )
    return send(answer(200, DONE))


# -- how ---------------------------------------------------------------------------------------------------------------


def printed_session(session: Session, ctx: Context) -> PrintedSession:
    """Return a session of the actor's as it is printed."""
    return PrintedSession(
        session.id,
        session.organization_id,
        session.started_at,
        session.expires_at,
        session.id == ctx.actor.session_id,
    )


async def _read(request: Request[Any, Any, Any], shape: type[Any]) -> Any:
    return json_body.read(await request.body(), request.headers.get("content-type"), shape)


async def _own(ctx: Context) -> Account:
    if ctx.actor.account_id is None:
        raise NotSignedIn
    return await queries.by_id(ctx, ctx.actor.account_id)


async def _ask(
    request: Request[Any, Any, Any],
    permission: Permission,
    action: Callable[[Context, str, Language, Post], Awaitable[None]],
) -> Response[bytes]:
    given = await _read(request, AddressBody)
    await signing_in.count(request, permission)
    house = surroundings(request)
    await house.work.perform(
        request, permission, lambda ctx: action(ctx, given.email, given.language, house.post)
    )
    return send(answer(202, ACCEPTED))


async def _proved(
    request: Request[Any, Any, Any],
    permission: Permission,
    purpose: LinkPurpose,
    action: Callable[[Context, LinkToken, Any], Awaitable[Account]],
) -> Account:
    """Run an action that takes a link and the password of its account, or a session of it."""
    given = await _read(request, ProofBody)
    house = surroundings(request)
    token = LinkToken(given.token)
    if given.password is None:
        if request.headers.get("authorization") is None:
            raise Invalid("password", "is required, unless a session of the account is sent")
        return await house.work.perform(
            request, permission, lambda ctx: action(ctx, token, None), recognize=True
        )
    return await proofs.with_password(request, permission, purpose, token, given.password, action)


async def _compare_own(request: Request[Any, Any, Any], permission: Permission, password: str) -> Attempt:
    """Compare a password with that of whoever is signed in."""
    house = surroundings(request)
    own = await house.work.perform(request, permission, _own)
    return await signing_in.compare(
        request, password, permission, lambda ctx: queries.kept_password_of(ctx, own.id), own.email_key
    )


async def _with_own_password(
    request: Request[Any, Any, Any],
    permission: Permission,
    attempt: Attempt,
    action: Callable[[Context], Awaitable[Any]],
) -> Any:
    async def deed(ctx: Context) -> Any:
        done = await action(ctx)
        if ctx.actor.account_id is not None:
            await attempt.succeeded(ctx, ctx.actor.account_id)
        return done

    with wire_names():
        return await surroundings(request).work.perform(request, permission, deed)
