"""What is recorded of an invite, and which mails go out with that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hospitium.engine import events
from hospitium.engine.deliveries import actions as deliveries
from hospitium.engine.deliveries.record import Template
from hospitium.engine.events import EventKind, Told
from hospitium.engine.memberships import queries as membership_queries

if TYPE_CHECKING:
    from hospitium.engine.context import Context
    from hospitium.engine.invites.record import Invite

# Who made an invite learns of these by mail.
_MAILS = {
    EventKind.INVITE_ACCEPTED: Template.INVITE_ACCEPTED,
    EventKind.INVITE_LOCKED: Template.INVITE_LOCKED,
    EventKind.INVITE_UNDONE: Template.INVITE_UNDONE,
}


async def tell(ctx: Context, kind: EventKind, invite: Invite, **data: Any) -> None:
    """Record what happened to an invite, and have whoever made it told where that is his business."""
    await tell_all(ctx, kind, [invite], **data)


async def tell_all(ctx: Context, kind: EventKind, those: list[Invite], **data: Any) -> None:
    """Record that the same happened to several invites."""
    await events.record_all(ctx, kind, [_told(invite, data) for invite in those])
    if kind in _MAILS:
        for invite in those:
            await _write_to_inviting_side(ctx, _MAILS[kind], invite)


async def _write_to_inviting_side(ctx: Context, template: Template, invite: Invite) -> None:
    """Write to whoever made the invite; to the organization's administrators, if he isn't there any more."""
    if await membership_queries.open_of(ctx, invite.created_by_id, invite.organization_id) is not None:
        await deliveries.queue(ctx, template, account_id=invite.created_by_id, subject_id=invite.id)
    else:
        await deliveries.queue(ctx, template, organization_id=invite.organization_id, subject_id=invite.id)


def _told(invite: Invite, data: dict[str, Any]) -> Told:
    return Told(
        ("invite", invite.id),
        organizations=[invite.organization_id],
        accounts=[invite.account_id],
        persons=[invite.person_id],
        data={
            "fhir_server": invite.fhir_server_id,
            "form": invite.form,
            "status": invite.status,
            "version": invite.version,
            "grant": invite.grant_id,
            "replaces": invite.replaces_id,
            **data,
        },
    )
