"""What every door is given: the parts of this process, made once by the composition root."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from hospitium.engine.accounts.mails import Post
from hospitium.engine.invites.actions import Terms

if TYPE_CHECKING:
    import asyncio

    from litestar import Request

    from hospitium.doors.access_tokens import AccessTokens
    from hospitium.doors.authzen.questions import Questions
    from hospitium.doors.client_address import Network
    from hospitium.doors.openapi.published import Published
    from hospitium.doors.passwords import PasswordGate
    from hospitium.doors.reading import Reading
    from hospitium.doors.recording import Recorder
    from hospitium.doors.service_key_use import ServiceKeyUse
    from hospitium.doors.streams import Streams
    from hospitium.doors.turns import Turns
    from hospitium.doors.unit_of_work import UnitOfWork
    from hospitium.edge import Edge
    from hospitium.engine.partnerships.rules import PartnershipRules
    from hospitium.engine.sealing import SealingKey
    from hospitium.engine.secrets import DerivationKey
    from hospitium.engine.throttles.rules import Limits
    from hospitium.metrics import Metrics
    from hospitium.outside.fhir import RemoteFhir
    from hospitium.outside.http import Egress
    from hospitium.storage.database import Database
    from hospitium.tracing import Tracing

Clock = Callable[[], datetime]


class Surroundings(NamedTuple):
    """The parts of this process that doors use."""

    database: Database
    work: UnitOfWork
    questions: Questions
    access_tokens: AccessTokens
    service_key_use: ServiceKeyUse
    passwords: PasswordGate
    link_keys: dict[int, DerivationKey]
    peppers: dict[int, DerivationKey]
    sealing_keys: dict[int, SealingKey]
    egress: Egress
    remote_fhir: RemoteFhir
    recorder: Recorder
    reading: Reading
    invite_life: timedelta | None
    rules: PartnershipRules
    registration: str
    public_url: str
    api: Published
    limits: Limits
    trusted_proxies: tuple[Network, ...]
    edge: Edge
    metrics: Metrics
    tracing: Tracing | None
    streams: Streams
    turns: Turns
    stopping: asyncio.Event

    @property
    def digest_key(self) -> bytes:
        """The key behind what was asked is kept: the oldest, which a rotation of keys leaves in the ring."""
        return self.link_keys[min(self.link_keys)].key

    @property
    def post(self) -> Post:
        """What it takes to have links sent."""
        return Post(self.link_key, self.limits.mailbox)

    @property
    def pepper(self) -> DerivationKey:
        """The newest key behind which the codes of invites are kept."""
        return self.peppers[max(self.peppers)]

    @property
    def sealing_key(self) -> SealingKey:
        """The newest key that seals what has to be read again."""
        return self.sealing_keys[max(self.sealing_keys)]

    @property
    def terms(self) -> Terms:
        """What every invite has."""
        return Terms(self.invite_life, self.post)

    @property
    def link_key(self) -> DerivationKey:
        """The newest key from which link tokens are derived."""
        return self.link_keys[max(self.link_keys)]


def surroundings(request: Request[Any, Any, Any]) -> Surroundings:
    """Return what the composition root gave this application."""
    found: Surroundings = request.app.state["surroundings"]
    return found
