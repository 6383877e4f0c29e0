"""What every door is given: the parts of this process, made once by the composition root."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from litestar import Request

    from hospitium.doors.access_tokens import AccessTokens
    from hospitium.doors.passwords import PasswordGate
    from hospitium.doors.unit_of_work import UnitOfWork
    from hospitium.engine.partnerships.rules import PartnershipRules
    from hospitium.engine.secrets import DerivationKey
    from hospitium.storage.database import Database

Clock = Callable[[], datetime]


class Surroundings(NamedTuple):
    """The parts of this process that doors use."""

    database: Database
    work: UnitOfWork
    access_tokens: AccessTokens
    passwords: PasswordGate
    link_keys: dict[int, DerivationKey]
    rules: PartnershipRules
    registration: str

    @property
    def link_key(self) -> DerivationKey:
        """The newest key from which link tokens are derived."""
        return self.link_keys[max(self.link_keys)]


def surroundings(request: Request[Any, Any, Any]) -> Surroundings:
    """Return what the composition root gave this application."""
    found: Surroundings = request.app.state["surroundings"]
    return found
