"""Which mails the life of an account causes, and how many of them a mailbox gets."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hospitium.engine.deliveries import actions as deliveries
from hospitium.engine.links import actions as links
from hospitium.engine.links.record import LinkPurpose
from hospitium.engine.throttles import actions as throttles
from hospitium.engine.throttles.rules import a_try

if TYPE_CHECKING:
    from hospitium.engine.accounts.record import Account, Language
    from hospitium.engine.context import Context
    from hospitium.engine.deliveries.record import Template
    from hospitium.engine.secrets import DerivationKey
    from hospitium.engine.throttles.rules import Limit, Try


class Post(NamedTuple):
    """What it takes to have a link sent: the key its token is derived from, and how many mails a mailbox gets.

    Each sort of mail has a bucket of its own, so that none can be used up to keep another from coming.
    """

    key: DerivationKey
    limit: Limit

    def request(self, email_key: str) -> Try:
        """Return what counts the links that anybody may have sent to a mailbox."""
        return a_try(self.key.key, self.limit, "mailbox", email_key)

    def notice(self, email_key: str) -> Try:
        """Return what counts the notices a mailbox gets of what happens to its account."""
        return a_try(self.key.key, self.limit, "notices", email_key)

    def share(self, email_key: str) -> Try:
        """Return what counts the shares that anybody offers to a mailbox."""
        return a_try(self.key.key, self.limit, "shares", email_key)

    def invite(self, email_key: str) -> Try:
        """Return what counts the invites to patients' records that are sent to a mailbox."""
        return a_try(self.key.key, self.limit, "invites", email_key)

    def offer(self, email_key: str) -> Try:
        """Return what counts the offers that organizations send to a mailbox."""
        return a_try(self.key.key, self.limit, "offers", email_key)

    def person_offer(self, email_key: str) -> Try:
        """Return what counts the offers of persons that anybody sends to a mailbox."""
        return a_try(self.key.key, self.limit, "person offers", email_key)


async def send_link(
    ctx: Context,
    post: Post,
    purpose: LinkPurpose,
    template: Template,
    account: Account,
    *,
    to: tuple[str, str] | None = None,
) -> None:
    """Send an account a link, to its own address or another one (`to`: that, and its canonical form)."""
    email, email_key = to or (account.email, account.email_key)
    link_id = await links.issue(
        ctx,
        purpose,
        post.key,
        account_id=account.id,
        email=email,
        email_key=email_key,
        language=account.language,
    )
    await deliveries.queue(ctx, template, link_id=link_id)


async def send_to_nobody(
    ctx: Context, key: DerivationKey, template: Template, email: str, email_key: str, language: Language
) -> None:
    """Write to an address without an account, or without one any longer."""
    # As where there is an account: as much is looked for, and as much is written.
    await links.end(ctx, ctx.new_id(), [LinkPurpose.NONE], "replaced")
    link_id = await links.issue(
        ctx, LinkPurpose.NONE, key, account_id=None, email=email, email_key=email_key, language=language
    )
    await deliveries.queue(ctx, template, link_id=link_id)


async def notify(ctx: Context, post: Post, template: Template, account: Account) -> None:
    """Tell an account's holder what happened to it; nobody, while its mailbox isn't proved to be his."""
    if account.is_confirmed and await throttles.allows(ctx, post.notice(account.email_key)):
        await deliveries.queue(ctx, template, account_id=account.id)


async def notify_address(ctx: Context, post: Post, template: Template, account: Account) -> None:
    """Tell the mailbox an account has at this moment, though it is not to have it any longer."""
    if account.is_confirmed and await throttles.allows(ctx, post.notice(account.email_key)):
        await send_to_nobody(ctx, post.key, template, account.email, account.email_key, account.language)
