"""Secrets have types of their own that won't print themselves (docs/decisions/0010)."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple

if TYPE_CHECKING:
    from typing import Self
    from uuid import UUID

_BASE_62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
TOKEN_LENGTH: Final = 32


class Secret:
    """A text that is not to be seen: printing, formatting and logging it show dots. `reveal()` is the one way in."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"{type(self).__name__}(•••)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._text.encode(), other._text.encode())

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> str:
        raise TypeError("a secret is not pickled")


class Password(Secret):
    """What a person typed."""


class HashedPassword(Secret):
    """The slow hash of a password: proof that the slow work was done before the transaction began."""


class LinkToken(Secret):
    """What stands in a link, or renews a session: 32 base-62 characters."""

    def digest(self) -> bytes:
        """Return what the row keeps of it. The token has 190 random bits, so a fast hash is enough."""
        return hashlib.sha256(self.reveal().encode()).digest()


class RandomText(Secret):
    """A text of at least 190 random bits that one is shown once, and of which a row keeps the SHA-256."""

    PREFIX: ClassVar = ""
    LENGTH: ClassVar = TOKEN_LENGTH

    @classmethod
    def new(cls) -> Self:
        """Make one: a prefix, if its kind has one, and 32 base-62 characters or more."""
        return cls(cls.PREFIX + "".join(secrets.choice(_BASE_62) for _ in range(cls.LENGTH)))

    def digest(self) -> bytes:
        """Return what the row keeps of it."""
        return hashlib.sha256(self.reveal().encode()).digest()


class SessionCookie(RandomText):
    """What a browser keeps, and sends with each request, to stand for a session."""

    def form_token(self) -> str:
        """Return what shows that a request was made by a page that has seen an answer of ours: derived from the cookie, kept nowhere."""
        return base_62(hmac.digest(self.reveal().encode(), b"csrf", "sha256"))


class ClientKeyText(RandomText):
    """What an application of an organization sends to say which one it is."""


class ServiceKeyText(RandomText):
    """What an application of an organization sends in place of a session; its prefix tells the two apart, and is what a scanner for
    secrets looks for."""

    PREFIX = "hsk_"
    LENGTH = 43  # 256 bits


class DerivationKey(NamedTuple):
    """A numbered key from which link tokens are derived."""

    number: int
    key: bytes

    def __repr__(self) -> str:
        return f"DerivationKey({self.number}, •••)"


class TokenSeed(NamedTuple):
    """What a row keeps of a link token: enough to derive it again with the key, useless without (ruling 14)."""

    row_id: UUID
    key_number: int
    nonce: bytes
    digest: bytes


def seed(key: DerivationKey, purpose: str, row_id: UUID) -> TokenSeed:
    """Make the seed of a new token with a fresh nonce."""
    nonce = secrets.token_bytes(16)
    return TokenSeed(row_id, key.number, nonce, derive(key, purpose, row_id, nonce).digest())


def derive(key: DerivationKey, purpose: str, row_id: UUID, nonce: bytes) -> LinkToken:
    """Return the token of a seed: HMAC-SHA-256(key, purpose, row id, nonce) as 32 base-62 characters (ruling 14)."""
    mac = hmac.digest(key.key, b"\0".join((purpose.encode(), row_id.bytes, nonce)), "sha256")
    return LinkToken(base_62(mac))


def base_62(mac: bytes) -> str:
    """Return 32 base-62 characters of a MAC."""
    number = int.from_bytes(mac)
    symbols = []
    for _ in range(TOKEN_LENGTH):
        number, symbol = divmod(number, 62)
        symbols.append(_BASE_62[symbol])
    return "".join(symbols)
