"""The token of a share, as its target sees it, shared by the doors: derived while it is answered, and kept nowhere (ruling 14)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hospitium.engine.secrets import derive
from hospitium.engine.shares.record import PENDING, SHARE_PURPOSE

if TYPE_CHECKING:
    from hospitium.doors.surroundings import Surroundings
    from hospitium.engine.shares.queries import ShareView


def token_for(house: Surroundings, view: ShareView) -> str | None:
    """Return the token of a pending share for its target; None for everybody else, and when there is nothing to accept."""
    share = view.share
    if not view.is_target or share.status is not PENDING or share.key_number is None or share.nonce is None:
        return None
    key = house.link_keys.get(share.key_number)
    if key is None:
        return None  # made by a server that has a newer key: this one takes it up at its next start, and the mail has it
    return derive(key, SHARE_PURPOSE, share.id, share.nonce).reveal()
