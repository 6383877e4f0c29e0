"""The life of an account, as its holder leads it: registered, confirmed or claimed, changed, deleted.

Whoever asks for a link gets the same answer, for the same work, whether the address is known here or not; what differs is
the mail. Nothing that rests on an address is given before its mailbox is proved (ruling 22).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import asyncpg
from sqlalchemy import Boolean, Text, bindparam, cast, func, literal_column, or_, update
from sqlalchemy.dialects.postgresql import TIMESTAMP, insert

from hospitium.engine import events
from hospitium.engine.accounts import external_ids, mails, queries
from hospitium.engine.accounts.emails import canonical_email
from hospitium.engine.accounts.record import ACCOUNT_COLUMNS, Account, AccountStatus, Language, accounts
from hospitium.engine.actor import Role
from hospitium.engine.deliveries.record import Template
from hospitium.engine.errors import (
    AccountDisabled,
    DeadLink,
    Invalid,
    NotConfirmed,
    NotSignedIn,
    Unavailable,
    WrongCredentials,
)
from hospitium.engine.events import EventKind
from hospitium.engine.grants import actions as grants
from hospitium.engine.ids import FIRST_ID, LAST_ID
from hospitium.engine.invites import ending as invites, queries as invite_queries
from hospitium.engine.invites.erasing import forget_address as forget_invites
from hospitium.engine.links import actions as links, queries as link_queries
from hospitium.engine.links.record import Link, LinkPurpose
from hospitium.engine.memberships import actions as memberships, queries as membership_queries
from hospitium.engine.offers.erasing import forget_address
from hospitium.engine.permissions import Permission, require
from hospitium.engine.persons import ending as persons, queries as person_queries
from hospitium.engine.persons.erasing import forget_address as forget_person_offers
from hospitium.engine.records import actions as records, queries as record_queries
from hospitium.engine.sessions import actions as sessions, queries as session_queries
from hospitium.engine.shares import ending as shares, queries as share_queries
from hospitium.engine.shares.erasing import forget_target
from hospitium.engine.shares.queries import Wanted
from hospitium.engine.teams import queries as team_queries
from hospitium.engine.text import optional_line
from hospitium.engine.throttles import actions as throttles
from hospitium.storage.statements import Query, pair, scalar, struct

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import ColumnElement

    from hospitium.engine.accounts.actions import AccountForm
    from hospitium.engine.accounts.mails import Post
    from hospitium.engine.context import Context
    from hospitium.engine.invites.queries import InviteView
    from hospitium.engine.memberships.queries import Belonging
    from hospitium.engine.persons.queries import PersonView
    from hospitium.engine.records.record import Record
    from hospitium.engine.secrets import HashedPassword, LinkToken
    from hospitium.engine.sessions.actions import PasswordVerdict
    from hospitium.engine.sessions.record import Session
    from hospitium.engine.shares.queries import ShareView
    from hospitium.engine.teams.queries import TeamView


class Preview(NamedTuple):
    """What a link is good for: whose account, which address it was sent to, until when; `is_used` if it was done with it."""

    account: Account
    email: str
    expires_at: datetime
    is_used: bool


_names = [column.key for column in accounts.c]
_inserting = insert(accounts).values({name: bindparam(name, type_=accounts.c[name].type) for name in _names})
# One statement whether the address is known or not, at about the same cost; of two at once the second waits for the first.
_REGISTER = Query(
    _inserting.on_conflict_do_update(
        index_elements=[accounts.c.email_key], set_={"email_key": _inserting.excluded.email_key}
    ).returning(*ACCOUNT_COLUMNS, literal_column("accounts.xmax = 0").label("made")),
    pair(struct(Account), scalar("made")),
)
_is_active = accounts.c.status == AccountStatus.ACTIVE.value


def _changing(which: ColumnElement[bool] = _is_active, **values: Any) -> Query[Account]:
    """Return the statement that changes one account, if it is one of those; it gives the row as it is then."""
    return Query(
        update(accounts)
        .where(accounts.c.id == bindparam("account_id"), which)
        .values(values)
        .returning(*ACCOUNT_COLUMNS),
        struct(Account),
    )


_VERIFY = _changing(_is_active & accounts.c.verified_at.is_(None), verified_at=bindparam("now"))
_SET_PASSWORD = _changing(password_hash=bindparam("new_hash"))
# A squatter's name goes with him, too.
_TAKE_OVER = _changing(
    password_hash=bindparam("new_hash"),
    verified_at=bindparam("now"),
    first_name=bindparam("new_first_name"),
    middle_name=None,
    last_name=bindparam("new_last_name"),
    registered_with_id=None,
)
_SET_EMAIL = _changing(
    email=bindparam("new_email"), email_key=bindparam("new_key"), verified_at=bindparam("now")
)
_UPDATE = _changing(
    first_name=bindparam("new_first_name"),
    last_name=bindparam("new_last_name"),
    language=bindparam("new_language"),
)
_is_disabled = accounts.c.status == AccountStatus.DISABLED.value
_ERASE = _changing(
    or_(_is_active, bindparam("even_disabled", type_=Boolean) & _is_disabled),
    email="",
    email_key=cast(accounts.c.id, Text),
    password_hash="",
    first_name=None,
    middle_name=None,
    last_name=None,
    registered_with_id=None,
    verified_at=None,
    status=AccountStatus.DELETED.value,
    ended_at=func.greatest(bindparam("now", type_=TIMESTAMP(timezone=True)), accounts.c.created_at),
)


_LOOKED_AT_BY = {
    LinkPurpose.CONFIRM: Permission.CONFIRM_ACCOUNT,
    LinkPurpose.PASSWORD: Permission.RECOVER_ACCOUNT,
    LinkPurpose.EMAIL: Permission.CHANGE_EMAIL,
}


async def look(ctx: Context, token: LinkToken, purpose: LinkPurpose) -> Preview:
    """Return what a link is good for, and use nothing up. Its reader holds the mailbox by holding the link, so he may be told.

    One that was used is shown as long as what it did still stands; every other dead one is as unknown as any. Raises
    DeadLink, AccountDisabled.
    """
    require(ctx.actor, _LOOKED_AT_BY[purpose])
    link = await link_queries.by_token(ctx, token, purpose)
    if link is None or link.account_id is None:
        raise DeadLink
    account = await queries.by_id(ctx, link.account_id)
    _must_be_good(ctx, link, account, or_used=True)
    is_used = link.ended_at is not None
    if is_used and purpose is LinkPurpose.CONFIRM and not account.is_confirmed:
        raise DeadLink
    if is_used and account.email_key != link.email_key:
        raise DeadLink
    return Preview(account, link.email, link.expires_at, is_used)


# -- before the mailbox is proved --------------------------------------------------------------------------------------


async def register(
    ctx: Context,
    form: AccountForm,
    password: HashedPassword,
    post: Post,
    *,
    organization_id: UUID | None = None,
) -> None:
    """Register an account, and have its address confirmed by a link; through an organization, to be its `member` from then on (ruling 23).

    Of a known address nothing changes, and its holder is told by mail. An account that registered itself and was never
    confirmed is replaced: whoever comes to hold the mailbox finds nothing of what the other did (ruling 22). Raises Invalid.
    """
    require(ctx.actor, Permission.REGISTER_ACCOUNT)
    account, is_new = await _insert(ctx, form, password, organization_id=organization_id)
    # A mailbox gets so many an hour and no more. Without a mail nothing is replaced either: the link sent last stays good.
    sends = await throttles.allows(ctx, post.request(account.email_key))
    if not is_new and _is_replaceable(account) and sends:
        await _replace(ctx, account)
        account, is_new = await _insert(ctx, form, password, organization_id=organization_id)
    purpose, template = LinkPurpose.CONFIRM, Template.CONFIRM
    if is_new:
        await _tell(ctx, EventKind.ACCOUNT_REGISTERED, account)
    else:
        purpose, template = LinkPurpose.PASSWORD, Template.REGISTERED_ALREADY
        await _tell(ctx, EventKind.ACCOUNT_LINK_SENT, account, template=template)
    if sends:
        await mails.send_link(ctx, post, purpose, template, account)


async def register_with_proof(
    ctx: Context, form: AccountForm, password: HashedPassword, post: Post
) -> Account | None:
    """Register an account for who has proved something else than its mailbox, which is confirmed by a link; called by an action
    that has asked for its own permission.

    None, and nothing changed, if the address has an account that keeps it: one that is confirmed, or was made by the operator.
    One that registered itself and was never confirmed is replaced, though its mailbox may have had all its mails for now: else whoever
    typed the address first could keep its holder out. A link can be asked for later. Raises Invalid.
    """
    account, is_new = await _insert(ctx, form, password)
    if not is_new and not _is_replaceable(account):
        return None
    if not is_new:
        await _replace(ctx, account)
        account, _ = await _insert(ctx, form, password)
    await _tell(ctx, EventKind.ACCOUNT_REGISTERED, account)
    if await throttles.allows(ctx, post.request(account.email_key)):
        await mails.send_link(ctx, post, LinkPurpose.CONFIRM, Template.CONFIRM, account)
    return account


async def ask_confirmation(ctx: Context, email: str, language: Language, post: Post) -> None:
    """Have the link that confirms an account sent again. Raises Invalid."""
    require(ctx.actor, Permission.REGISTER_ACCOUNT)
    await _ask(ctx, email, language, post, LinkPurpose.CONFIRM, Template.CONFIRM)


async def ask_new_password(ctx: Context, email: str, language: Language, post: Post) -> None:
    """Have a link sent with which to set a new password. Raises Invalid."""
    require(ctx.actor, Permission.RECOVER_ACCOUNT)
    await _ask(ctx, email, language, post, LinkPurpose.PASSWORD, Template.NEW_PASSWORD)


async def confirm(ctx: Context, token: LinkToken, verdict: PasswordVerdict | None) -> Account:
    """Confirm an account: it takes the link and the password (or a session of the account), and changes nothing else.

    The same again is answered the same. Raises DeadLink, WrongCredentials, AccountDisabled.
    """
    require(ctx.actor, Permission.CONFIRM_ACCOUNT)
    link, account, kept = await _opened(ctx, token, LinkPurpose.CONFIRM, or_used=True)
    _must_be_holder(ctx, account, kept, verdict)
    if link.ended_at is not None:
        if not account.is_confirmed:
            raise DeadLink
        return account
    await _use(ctx, link)
    confirmed = await _VERIFY.first(ctx.tx, account_id=account.id, now=ctx.now)
    if confirmed is None:
        return account
    await _tell(ctx, EventKind.ACCOUNT_CONFIRMED, confirmed)
    await _become_member(ctx, confirmed)
    return confirmed


async def _become_member(ctx: Context, account: Account) -> None:
    """Make a confirmed account a member of the organization through which it registered, if it isn't one already."""
    organization_id = account.registered_with_id
    if organization_id is None:
        return
    if await membership_queries.open_of(ctx, account.id, organization_id) is None:
        await memberships.start(ctx, account.id, organization_id, Role.MEMBER)


async def claim(ctx: Context, token: LinkToken, password: HashedPassword) -> Account:
    """Claim the mailbox of an unconfirmed account, without its password: it gets a new one, and all it was given before ends.

    Raises DeadLink, AccountDisabled.
    """
    require(ctx.actor, Permission.CONFIRM_ACCOUNT)
    link, account, _ = await _opened(ctx, token, LinkPurpose.CONFIRM)
    if account.is_confirmed:
        raise DeadLink
    await _use(ctx, link)
    return await _take_over(ctx, account, password)


async def set_password(ctx: Context, token: LinkToken, password: HashedPassword, post: Post) -> Account:
    """Set a new password with a link; every session ends. An account that was never confirmed is claimed by it.

    Raises DeadLink, AccountDisabled.
    """
    require(ctx.actor, Permission.RECOVER_ACCOUNT)
    link, account, _ = await _opened(ctx, token, LinkPurpose.PASSWORD)
    await _use(ctx, link)
    if not account.is_confirmed:
        return await _take_over(ctx, account, password)
    return await _change_password(ctx, account, password, post, but=None)


# -- while it is used --------------------------------------------------------------------------------------------------


async def change_password(
    ctx: Context, verdict: PasswordVerdict, password: HashedPassword, post: Post
) -> Account:
    """Change the actor's own password, with the old one; every other session ends. Raises WrongCredentials."""
    require(ctx.actor, Permission.UPDATE_ACCOUNT)
    account, kept = await _own(ctx)
    _must_know_password(account, kept, verdict)
    return await _change_password(ctx, account, password, post, but=ctx.actor.session_id)


async def update_own(ctx: Context, changes: dict[str, Any]) -> Account:
    """Change the actor's own `first_name`, `last_name`, `language`. Raises Invalid."""
    require(ctx.actor, Permission.UPDATE_ACCOUNT)
    before, _ = await _own(ctx)
    wanted = {
        name: changes.get(name, getattr(before, name)) for name in ("first_name", "last_name", "language")
    }
    after = await _UPDATE.first(
        ctx.tx,
        account_id=before.id,
        new_first_name=optional_line("first_name", wanted["first_name"]),
        new_last_name=optional_line("last_name", wanted["last_name"]),
        new_language=Language(wanted["language"]).value,
    )
    if after is None:
        raise NotSignedIn
    await _tell(
        ctx,
        EventKind.ACCOUNT_UPDATED,
        after,
        fields=sorted(name for name in wanted if getattr(after, name) != getattr(before, name)),
    )
    return after


async def ask_email_change(ctx: Context, verdict: PasswordVerdict, email: str, post: Post) -> None:
    """Have a link sent to a new address, and the old one told; nothing changes before the link is followed.

    Raises WrongCredentials, NotConfirmed, Invalid.
    """
    require(ctx.actor, Permission.UPDATE_ACCOUNT)
    account, kept = await _own(ctx)
    _must_know_password(account, kept, verdict)
    if not account.is_confirmed:
        raise NotConfirmed  # who can't read one mailbox has no mails sent to others
    email_key = canonical_email("email", email)
    if email_key == account.email_key:
        raise Invalid("email", "is the address of this account already")
    # Before anything is looked up, so that whether it is known shows in nothing that can be tried.
    await links.end(ctx, account.id, [LinkPurpose.EMAIL], "replaced")
    other = await queries.find(ctx, email_key)
    await _tell(ctx, EventKind.ACCOUNT_LINK_SENT, account, template=Template.NEW_EMAIL)
    if await throttles.allows(ctx, post.request(email_key)):
        if other is None:
            to = (email.strip(), email_key)
            await mails.send_link(ctx, post, LinkPurpose.EMAIL, Template.NEW_EMAIL, account, to=to)
        else:
            await mails.send_link(ctx, post, LinkPurpose.PASSWORD, Template.REGISTERED_ALREADY, other)
    await mails.notify(ctx, post, Template.EMAIL_CHANGE_ASKED, account)


async def prove_email(ctx: Context, token: LinkToken, verdict: PasswordVerdict | None, post: Post) -> Account:
    """Make a proved address that of the account: it takes the link and the password (or a session of the account).

    The address before is told. The same again is answered the same. Raises DeadLink, WrongCredentials, AccountDisabled.
    """
    require(ctx.actor, Permission.CHANGE_EMAIL)
    link, account, kept = await _opened(ctx, token, LinkPurpose.EMAIL, or_used=True)
    _must_be_holder(ctx, account, kept, verdict)
    if link.ended_at is not None:
        if account.email_key != link.email_key:
            raise DeadLink
        return account
    await _use(ctx, link)
    try:
        changed = await _SET_EMAIL.first(
            ctx.tx, account_id=account.id, new_email=link.email, new_key=link.email_key, now=ctx.now
        )
    except asyncpg.UniqueViolationError:
        raise DeadLink from None  # somebody registered it meanwhile: whose it is, is not for this one to learn
    if changed is None:
        raise AccountDisabled
    await links.end(ctx, account.id)
    await _tell(ctx, EventKind.ACCOUNT_EMAIL_CHANGED, changed)
    await mails.notify_address(ctx, post, Template.EMAIL_CHANGED, account)
    return changed


class Kept(NamedTuple):
    """All that is kept of an account."""

    account: Account
    belongings: list[Belonging]
    sessions: list[Session]
    teams: list[TeamView]
    records: list[Record]  # those it owns, the newest, as the shares
    shares: list[ShareView]  # that it made or was offered, pending and active
    persons: list[PersonView]  # that it looks after
    invites: list[InviteView]  # that are tied to it
    trail: list[events.Event]  # the newest, and no more than one beyond MOST_EXPORTED


MOST_EXPORTED = 1_000
"""So many events, records and shares come with an export; the lists of each have the others, page by page."""


async def export_own(ctx: Context) -> Kept:
    """Return all that is kept of the actor's own account; that it was handed out is recorded, too."""
    require(ctx.actor, Permission.SEE_ACCOUNT)
    account, _ = await _own(ctx)
    kept = Kept(
        account,
        await membership_queries.of_account(ctx, account.id),
        await session_queries.open_of_account(ctx, account.id),
        await team_queries.seen(ctx, FIRST_ID, MOST_EXPORTED),
        await record_queries.owned(ctx, account.id, MOST_EXPORTED),
        await share_queries.of_actor(ctx, Wanted(), LAST_ID, 0, MOST_EXPORTED),
        await person_queries.seen(ctx, FIRST_ID, MOST_EXPORTED),
        await invite_queries.received(ctx),
        await queries.own_trail(ctx, None, MOST_EXPORTED + 1),
    )
    await _tell(ctx, EventKind.ACCOUNT_EXPORTED, account)
    return kept


async def delete_own(ctx: Context, verdict: PasswordVerdict, post: Post) -> None:
    """Delete the actor's own account: its name, address and password go; the trail keeps its id.

    Raises WrongCredentials, LastAdministrator.
    """
    require(ctx.actor, Permission.DELETE_ACCOUNT)
    if ctx.actor.account_id is not None:
        await memberships.end_all_of(ctx, ctx.actor.account_id)
    account, kept = await _own(ctx)
    _must_know_password(account, kept, verdict)
    # Somebody made it a member since they were looked for; a second try ends that membership, too.
    if await membership_queries.of_account(ctx, account.id):
        raise Unavailable(1)
    await mails.notify_address(ctx, post, Template.ACCOUNT_DELETED, account)
    await erase(ctx, account, "account_deleted", EventKind.ACCOUNT_DELETED)


async def join_by_mailbox(
    ctx: Context, form: AccountForm, password: HashedPassword, verdict: PasswordVerdict
) -> Account:
    """Return the confirmed account of an address whose mailbox was just proved by an offer's link.

    Made if there is none; of a confirmed one the password must fit; an unconfirmed one is confirmed by its password and
    claimed without it. Raises WrongCredentials, AccountDisabled, Invalid.
    """
    require(ctx.actor, Permission.ACCEPT_OFFER)
    account, is_new = await _insert(ctx, form, password, verified=True)
    if is_new:
        await _tell(ctx, EventKind.ACCOUNT_REGISTERED, account)
        return account
    _must_be_active(account)
    _, kept = await queries.lock(ctx, account.id)
    if account.is_confirmed:
        _must_know_password(account, kept, verdict)
        return account
    if not _knows_password(account, kept, verdict):
        return await _take_over(ctx, account, password, form)
    confirmed = await _VERIFY.first(ctx.tx, account_id=account.id, now=ctx.now)
    if confirmed is None:
        raise AccountDisabled
    await _tell(ctx, EventKind.ACCOUNT_CONFIRMED, confirmed)
    return confirmed


# -- how ---------------------------------------------------------------------------------------------------------------


async def _insert(
    ctx: Context,
    form: AccountForm,
    password: HashedPassword,
    *,
    verified: bool = False,
    organization_id: UUID | None = None,
) -> tuple[Account, bool]:
    """Insert an account, or lock the one that has the address; return it, and whether it is new."""
    made = await _REGISTER.first(
        ctx.tx,
        id=ctx.new_id(),
        email=form.email.strip(),
        email_key=canonical_email("email", form.email),
        password_hash=password.reveal(),
        first_name=optional_line("first_name", form.first_name),
        middle_name=optional_line("middle_name", form.middle_name),
        last_name=optional_line("last_name", form.last_name),
        language=form.language.value,
        self_registered=True,
        registered_with_id=organization_id,
        status=AccountStatus.ACTIVE.value,
        verified_at=ctx.now if verified else None,
        created_at=ctx.now,
        ended_at=None,
    )
    assert made is not None  # the conflict clause returns the row that is there  # noqa: S101
    return made


def _is_replaceable(account: Account) -> bool:
    return account.self_registered and not account.is_confirmed and account.status is AccountStatus.ACTIVE


async def _replace(ctx: Context, account: Account) -> None:
    await memberships.end_all_of(ctx, account.id, even_the_last=True)
    await erase(ctx, account, "account_replaced", EventKind.ACCOUNT_REPLACED)


async def _ask(
    ctx: Context, email: str, language: Language, post: Post, purpose: LinkPurpose, template: Template
) -> None:
    email_key = canonical_email("email", email)
    account = await queries.find(ctx, email_key)
    if account is not None and account.is_confirmed and purpose is LinkPurpose.CONFIRM:
        purpose, template = LinkPurpose.PASSWORD, Template.REGISTERED_ALREADY
    # A mailbox gets so many an hour and no more; the link sent last stays good, so its holder loses nothing.
    sends = await throttles.allows(ctx, post.request(email_key))
    if account is None:
        await events.record(
            ctx, EventKind.ACCOUNT_LINK_SENT, subject=("account", None), template=Template.NO_ACCOUNT
        )
        if sends:
            await mails.send_to_nobody(ctx, post.key, Template.NO_ACCOUNT, email.strip(), email_key, language)
        return
    await _tell(ctx, EventKind.ACCOUNT_LINK_SENT, account, template=template)
    if sends:
        await mails.send_link(ctx, post, purpose, template, account)


async def _opened(
    ctx: Context, token: LinkToken, purpose: LinkPurpose, *, or_used: bool = False
) -> tuple[Link, Account, HashedPassword]:
    """Lock the account of a token's link, and the link, if it is good (`or_used`: or was used); DeadLink otherwise."""
    link = await link_queries.by_token(ctx, token, purpose)
    if link is None or link.account_id is None:
        raise DeadLink
    # The account first, as everybody does; then the link again, as whoever had the lock before has left it.
    account, kept = await queries.lock(ctx, link.account_id)
    link = await link_queries.by_token(ctx, token, purpose, lock=True)
    if link is None:
        raise DeadLink
    _must_be_good(ctx, link, account, or_used=or_used)
    return link, account, kept


def _must_be_good(ctx: Context, link: Link, account: Account, *, or_used: bool) -> None:
    """Return if a link is good for its account (`or_used`: or was used). Raises DeadLink, AccountDisabled."""
    if account.status is AccountStatus.DELETED:
        raise DeadLink
    was_used = or_used and link.end_reason == "used"
    if not was_used and not link.is_open(ctx.now):
        raise DeadLink
    # A link is bound to the address it was sent to; of a change of address, to the account that asked.
    if link.purpose is not LinkPurpose.EMAIL and account.email_key != link.email_key:
        raise DeadLink
    _must_be_active(account)


async def _use(ctx: Context, link: Link) -> None:
    if not await links.use(ctx, link.id):
        raise DeadLink


def _must_be_active(account: Account) -> None:
    if account.status is not AccountStatus.ACTIVE:
        raise AccountDisabled


def _must_be_holder(
    ctx: Context, account: Account, kept: HashedPassword, verdict: PasswordVerdict | None
) -> None:
    if ctx.actor.account_id == account.id:
        return
    if verdict is None:
        raise NotSignedIn
    _must_know_password(account, kept, verdict)


def _must_know_password(account: Account, kept: HashedPassword, verdict: PasswordVerdict) -> None:
    if not _knows_password(account, kept, verdict):
        raise WrongCredentials


def _knows_password(account: Account, kept: HashedPassword, verdict: PasswordVerdict) -> bool:
    # The hash is compared again: whoever changed the password in between has the last word.
    return verdict.fits and verdict.account_id == account.id and verdict.compared_with == kept


async def _own(ctx: Context) -> tuple[Account, HashedPassword]:
    if ctx.actor.account_id is None:
        raise NotSignedIn
    return await queries.lock(ctx, ctx.actor.account_id)


async def _take_over(
    ctx: Context, account: Account, password: HashedPassword, form: AccountForm | None = None
) -> Account:
    """Give an unconfirmed account to who has proved its mailbox: nothing of what was done with it before remains in force."""
    taken = await _TAKE_OVER.first(
        ctx.tx,
        account_id=account.id,
        new_hash=password.reveal(),
        now=ctx.now,
        new_first_name=optional_line("first_name", form.first_name) if form else None,
        new_last_name=optional_line("last_name", form.last_name) if form else None,
    )
    if taken is None:
        raise AccountDisabled
    await throttles.forget_networks(ctx, account.id)
    await sessions.end_all_of(ctx, account.id, "mailbox_claimed")
    await links.end(ctx, account.id)
    ended = await _end_all_given(ctx, account.id, even_accepted=True)
    await _tell(ctx, EventKind.ACCOUNT_CLAIMED, taken, grants=ended or None)
    return taken


async def _change_password(
    ctx: Context, account: Account, password: HashedPassword, post: Post, *, but: UUID | None
) -> Account:
    changed = await _SET_PASSWORD.first(ctx.tx, account_id=account.id, new_hash=password.reveal())
    if changed is None:
        raise AccountDisabled
    await sessions.end_all_of(ctx, account.id, "password_changed", but=but)
    await links.end(ctx, account.id)
    await _tell(ctx, EventKind.ACCOUNT_PASSWORD_CHANGED, changed)
    await mails.notify(ctx, post, Template.PASSWORD_CHANGED, account)
    return changed


async def erase(
    ctx: Context, account: Account, reason: str, kind: EventKind, *, even_disabled: bool = False
) -> None:
    """Leave nothing of an account but its id. Called by actions that have asked for their own permission."""
    gone = await _ERASE.first(ctx.tx, account_id=account.id, now=ctx.now, even_disabled=even_disabled)
    if gone is None:
        raise AccountDisabled
    await sessions.end_all_of(ctx, account.id, reason)
    await links.end(ctx, account.id)
    await throttles.forget_networks(ctx, account.id)
    await forget_address(ctx, account.id)
    ended = await _end_all_given(ctx, account.id, even_accepted=not account.is_confirmed)
    await forget_target(ctx, account.id)
    await forget_person_offers(ctx, account.id, account.email_key)
    await forget_invites(ctx, account.id, account.email_key)
    await _tell(ctx, kind, account, grants=ended or None)


async def _end_all_given(ctx: Context, account_id: UUID, *, even_accepted: bool) -> list[UUID]:
    """End all that an account has: the records it owns, what is shared of it and with it, the ids by which applications know it, what it
    is to persons, the invites bound to it (`even_accepted`: and those it accepted, because its mailbox was never its own), and every other grant.

    Return these, and those of the persons that ended with it.
    """
    await records.delete_all_of(ctx, account_id)
    await shares.end_all_on(ctx, [account_id])
    await shares.end_all_to(ctx, account_id)
    await external_ids.take_all_away(ctx, account_id)
    ended = await persons.end_all_of(ctx, account_id)
    ended += await invites.undo_all_of(ctx, account_id, even_accepted=even_accepted)
    return ended + await grants.end_all_of(ctx, account_id)


async def _tell(ctx: Context, kind: EventKind, account: Account, **data: Any) -> None:
    await events.record(ctx, kind, subject=("account", account.id), accounts=[account.id], **data)
