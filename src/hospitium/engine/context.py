"""All that an action may know of its surroundings."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hospitium.engine.ids import new_id

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from hospitium.engine.actor import Actor
    from hospitium.storage.database import Transaction


class Context(NamedTuple):
    """The transaction of this deed, who does it, and the one instant all its rows carry."""

    tx: Transaction
    actor: Actor
    now: datetime

    def new_id(self) -> UUID:
        """Make an id at this deed's instant."""
        return new_id(self.now)
