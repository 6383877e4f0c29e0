"""What can happen to a link: it is issued, used, and ended by what makes it pointless."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import Text, bindparam, delete, exists, func, update
from sqlalchemy.dialects.postgresql import ARRAY

from hospitium.engine.deliveries.record import deliveries
from hospitium.engine.links.record import LINK_LIVES, LinkPurpose, links
from hospitium.engine.secrets import seed
from hospitium.storage.statements import Statement, insert_into

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from hospitium.engine.context import Context
    from hospitium.engine.secrets import DerivationKey

_INSERT = Statement(
    insert_into(
        links,
        "id", "purpose", "account_id", "email", "email_key", "language", "key_number", "nonce", "digest", "issued_at", "expires_at",
    )
)  # fmt: skip
_is_open = links.c.ended_at.is_(None)
_USE = Statement(
    update(links)
    .where(links.c.id == bindparam("link_id"), _is_open, links.c.expires_at > bindparam("now"))
    .values(ended_at=bindparam("now"), end_reason="used")
)
_END = Statement(
    update(links)
    .where(
        links.c.account_id == bindparam("of_account"),
        links.c.purpose == func.any(bindparam("purposes", type_=ARRAY(Text))),
        _is_open,
    )
    .values(ended_at=bindparam("now"), end_reason=bindparam("reason"))
)

# Not while a delivery names it: what a failed mail was about can be looked up for as long as the failure.
_FORGET = Statement(
    delete(links).where(
        links.c.expires_at <= bindparam("expired_before"), ~exists().where(deliveries.c.link_id == links.c.id)
    )
)
KEPT_FOR = timedelta(days=30)


async def issue(
    ctx: Context,
    purpose: LinkPurpose,
    key: DerivationKey,
    *,
    account_id: UUID | None,
    email: str,
    email_key: str,
    language: str,
) -> UUID:
    """Issue a link to an address, in place of those of its kind the account had; return its id, never its token."""
    if account_id is not None:
        await end(ctx, account_id, [purpose], "replaced")
    made = seed(key, purpose.value, ctx.new_id())
    await _INSERT.run(
        ctx.tx,
        id=made.row_id,
        purpose=purpose.value,
        account_id=account_id,
        email=email,
        email_key=email_key,
        language=language,
        key_number=made.key_number,
        nonce=made.nonce,
        digest=made.digest,
        issued_at=ctx.now,
        expires_at=ctx.now + LINK_LIVES[purpose],
    )
    return made.row_id


async def use(ctx: Context, link_id: UUID) -> bool:
    """Use a link up; return whether it still was good."""
    return bool(await _USE.run(ctx.tx, link_id=link_id, now=ctx.now))


async def end(
    ctx: Context,
    account_id: UUID,
    purposes: Iterable[LinkPurpose] = tuple(LinkPurpose),
    reason: str = "account_changed",
) -> None:
    """End the open links of an account: all, or those of some purposes."""
    await _END.run(
        ctx.tx,
        of_account=account_id,
        purposes=[purpose.value for purpose in purposes],
        now=ctx.now,
        reason=reason,
    )


async def forget_outlived(ctx: Context) -> int:
    """Delete the links that expired long ago and that no delivery names; return how many. For the sweep."""
    return await _FORGET.run(ctx.tx, expired_before=ctx.now - KEPT_FOR)
