"""What is told of a share: its events, and in whose trails they stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hospitium.engine import events
from hospitium.engine.events import EventKind, Told

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from hospitium.engine.context import Context
    from hospitium.engine.shares.record import Share

ENDINGS = {
    "decline": EventKind.SHARE_DECLINED,
    "withdraw": EventKind.SHARE_WITHDRAWN,
    "leave": EventKind.SHARE_LEFT,
    "revoke": EventKind.SHARE_REVOKED,
    "expire": EventKind.SHARE_EXPIRED,
    "close": EventKind.SHARE_EXPIRED,
    "merge": EventKind.SHARE_MERGED,
}


async def tell(ctx: Context, kind: EventKind, share: Share, *, grants: list[UUID] | None = None) -> None:
    """Record what happened to a share."""
    await tell_all(ctx, kind, [share], {share.id: grants} if grants else {})


async def tell_all(
    ctx: Context, kind: EventKind, shares: Sequence[Share], grants: Mapping[UUID, list[UUID]]
) -> None:
    """Record the same of several shares; `grants`: which of each began or ended with it."""
    await events.record_all(ctx, kind, [_told(share, grants.get(share.id)) for share in shares])


def _told(share: Share, grants: list[UUID] | None) -> Told:
    data: dict[str, Any] = {
        "status": share.status,
        "version": share.version,
        "level": share.level,
        "record": share.record_id,
        "account": share.shared_account_id,
        "target": share.target_account_id or share.target_team_id,
        "form": share.target_form,
        "grants": grants,
    }
    return Told(
        ("share", share.id),
        organizations=[share.organization_id],
        accounts=[share.creator_id, share.target_account_id, share.shared_account_id],
        data=data,
    )
