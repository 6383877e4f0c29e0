"""What we show to a remote FHIR server, sealed with a key that is kept outside the database.

It is bound to its server and to the exact origin it is for (threats F-17): at another address it can't be opened, and so is
shown to nobody else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

import msgspec

from hospitium.engine import sealing
from hospitium.engine.sealing import CantBeOpened
from hospitium.engine.secrets import Secret

if TYPE_CHECKING:
    from uuid import UUID

    from hospitium.engine.fhir_servers.record import CredentialsKind
    from hospitium.engine.sealing import SealingKey


class Credentials(NamedTuple):
    """A bearer token, or a user and a password."""

    kind: CredentialsKind
    username: str
    secret: Secret


class SealedCredentials(NamedTuple):
    """Credentials as a row keeps them."""

    kind: CredentialsKind
    key_number: int
    sealed: bytes


def seal(key: SealingKey, server_id: UUID, base_url: str, given: Credentials) -> SealedCredentials:
    """Seal credentials for one server at one origin."""
    text = msgspec.json.encode((given.username, given.secret.reveal()))
    return SealedCredentials(given.kind, key.number, sealing.seal(key, text, _bound_to(server_id, base_url)))


def unseal(
    keys: dict[int, SealingKey], server_id: UUID, base_url: str, kept: SealedCredentials
) -> Credentials:
    """Return credentials that were sealed for a server at its origin. Raises CantBeOpened."""
    key = keys.get(kept.key_number)
    if key is None:
        raise CantBeOpened
    text = sealing.unseal(key, kept.sealed, _bound_to(server_id, base_url))
    username, secret = msgspec.json.decode(text, type=tuple[str, str])
    return Credentials(kept.kind, username, Secret(secret))


def origin_of(base_url: str) -> str:
    """Return the scheme, host and port of an address, the port always said."""
    parts = urlsplit(base_url)
    port = parts.port or {"https": 443, "http": 80}[parts.scheme]
    return f"{parts.scheme}://{parts.hostname}:{port}"


def _bound_to(server_id: UUID, base_url: str) -> bytes:
    return server_id.bytes + origin_of(base_url).encode()
