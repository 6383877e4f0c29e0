"""Access tokens (ruling 2): JWTs signed with ES256, good for an hour, checkable by anyone who reads our JWKS.

For us a token says only which session it belongs to. Role, membership and status are read from the rows on each
request; the other claims are hints for clients.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any
from uuid import UUID

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet

from hospitium.engine.errors import NotSignedIn, SessionEnded
from hospitium.engine.secrets import ServiceKeyText
from hospitium.engine.sessions.record import ACCESS_LIFE
from hospitium.storage.keyring import KeyPurpose

if TYPE_CHECKING:
    from datetime import datetime

    from hospitium.engine.sessions.actions import SignedIn
    from hospitium.storage.keyring import Key, Keyring

ALGORITHM = "ES256"
TOKEN_TYPE = "at+jwt"  # noqa: S105  the media type of RFC 9068
LONGEST_TOKEN = 4_096
MOST_REMEMBERED = 8_192
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class AccessTokens:
    """Makes and reads the access tokens of one issuer."""

    def __init__(self, issuer: str, keyring: Keyring) -> None:
        self._issuer = issuer
        keys = [_ec_key(key) for key in keyring.all(KeyPurpose.SIGNING)]
        self._signing_key = keys[-1]
        self._keys = KeySet(list(keys))
        # A signature once found good stays good: remember the token's hash with its session and its end, and spare the
        # curve. Whether the session lives is read from the rows every time.
        self._remembered: dict[bytes, tuple[UUID, int]] = {}

    def mint(self, signed_in: SignedIn, role: str | None, now: datetime) -> str:
        """Return a new access token for a session; `role` as the surface prints it."""
        session, account, belonging = signed_in
        issued = int(now.timestamp())
        organization = None if belonging is None else str(belonging.organization_id)
        claims: dict[str, Any] = {
            "iss": self._issuer,
            "aud": self._issuer,
            "sub": str(account.id),
            "sid": str(session.id),
            "iat": issued,
            "exp": issued + int(ACCESS_LIFE.total_seconds()),
            "type": "access",
            "userId": str(account.id),
            "organizationId": organization,
            "role": role,
        }
        header = {"alg": ALGORITHM, "typ": TOKEN_TYPE, "kid": self._signing_key.kid}
        return jwt.encode(header, claims, self._signing_key, algorithms=[ALGORITHM])

    def shown(self, authorization: str | None, now: datetime) -> UUID | ServiceKeyText:
        """Return what an Authorization header stands for: a session, or a service key, which only its row knows to be good.

        Raises NotSignedIn, SessionEnded.
        """
        token = _bearer(authorization)
        if token.startswith(ServiceKeyText.PREFIX):
            return ServiceKeyText(token)
        return self.session_of(authorization, now)

    def session_of(self, authorization: str | None, now: datetime) -> UUID:
        """Return the session that an Authorization header stands for.

        Raises NotSignedIn (no bearer token, or none of ours), SessionEnded (expired).
        """
        token = _bearer(authorization)
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        remembered = self._remembered.get(digest)
        if remembered is None:
            remembered = self._verified(token)
            if len(self._remembered) >= MOST_REMEMBERED:
                self._remembered.clear()
            self._remembered[digest] = remembered
        session_id, expires = remembered
        if now.timestamp() >= expires:
            raise SessionEnded
        return session_id

    def jwks(self) -> dict[str, Any]:
        """Return the public keys as a JSON Web Key Set."""
        return {"keys": [key.as_dict(private=False, use="sig", alg=ALGORITHM) for key in self._keys.keys]}

    def _verified(self, token: str) -> tuple[UUID, int]:
        try:
            read = jwt.decode(token, self._keys, algorithms=[ALGORITHM])
        except (JoseError, ValueError, TypeError, KeyError, RecursionError):
            raise NotSignedIn from None
        claims = read.claims
        expires = claims.get("exp")
        if (
            read.header.get("typ") != TOKEN_TYPE
            or claims.get("iss") != self._issuer
            or claims.get("aud") != self._issuer
            or claims.get("type") != "access"
            or type(expires) is not int
            or not isinstance(claims.get("sid"), str)
        ):
            raise NotSignedIn
        try:
            return UUID(claims["sid"]), expires
        except ValueError:
            raise NotSignedIn from None


def _bearer(authorization: str | None) -> str:
    scheme, _, token = (authorization or "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token or len(token) > LONGEST_TOKEN:
        raise NotSignedIn
    return token


def _ec_key(key: Key) -> ECKey:
    scalar = int.from_bytes(key.material()) % (_P256_ORDER - 1) + 1
    pem = ec.derive_private_key(scalar, ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return ECKey.import_key(pem, {"kid": f"{key.purpose}-{key.number}", "use": "sig", "alg": ALGORITHM})
