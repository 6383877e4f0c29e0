"""What every door is given: the parts of this process, made once by the composition root."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from hospitium.engine.accounts.mails import Post

if TYPE_CHECKING:
    import asyncio

    from litestar import Request

    from hospitium.doors.access_tokens import AccessTokens
    from hospitium.doors.client_address import Network
    from hospitium.doors.openapi.published import Published
    from hospitium.doors.passwords import PasswordGate
    from hospitium.doors.unit_of_work import UnitOfWork
    from hospitium.edge import Edge
    from hospitium.engine.partnerships.rules import PartnershipRules
    from hospitium.engine.secrets import DerivationKey
    from hospitium.engine.throttles.rules import Limits
    from hospitium.metrics import Metrics
    from hospitium.storage.database import Database
    from hospitium.tracing import Tracing

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
    public_url: str
    api: Published
    limits: Limits
    trusted_proxies: tuple[Network, ...]
    edge: Edge
    metrics: Metrics
    tracing: Tracing | None
    stopping: asyncio.Event

    @property
    def post(self) -> Post:
        """What it takes to have links sent."""
        return Post(self.link_key, self.limits.mailbox)

    @property
    def link_key(self) -> DerivationKey:
        """The newest key from which link tokens are derived."""
        return self.link_keys[max(self.link_keys)]


def surroundings(request: Request[Any, Any, Any]) -> Surroundings:
    """Return what the composition root gave this application."""
    found: Surroundings = request.app.state["surroundings"]
    return found
