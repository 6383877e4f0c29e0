"""Access tokens that are not ours, or not any more, are 401 at once (ruling 2)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from joserfc import jwt
from joserfc.jwk import ECKey

from cast import House, MovableClock, data, refusal
from doors.manners import bare
from doors.radorderpad.signing_in import bearer, signed_in

OUTGOING = "/api/connections/outgoing"


def encoded(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decoded(part: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


async def tried(house: House, authorization: str | bytes) -> httpx.Response:
    return await house.http.get(OUTGOING, headers=[("Authorization", authorization)])


class Forge:
    """A good token taken apart, and the means to put another together."""

    def __init__(self, house: House, token: str) -> None:
        self.token = token
        head, body, self.signature = token.split(".")
        self.header, self.claims = decoded(head), decoded(body)
        self.key: ECKey = house.parts.access_tokens._signing_key

    def signed(
        self,
        header: dict[str, Any] | None = None,
        claims: dict[str, Any] | None = None,
        key: ECKey | None = None,
        without: str = "",
    ) -> str:
        every = {k: v for k, v in {**self.claims, **(claims or {})}.items() if k != without}
        heads = {k: v for k, v in {**self.header, **(header or {})}.items() if k != without}
        return jwt.encode(heads, every, key or self.key, algorithms=["ES256"])

    def unsigned(self, header: dict[str, Any], signature: str = "") -> str:
        return f"{encoded({**self.header, **header})}.{encoded(self.claims)}.{signature}"

    def hmac_signed(self, secret: bytes, algorithm: str = "HS256") -> str:
        signing_input = f"{encoded({**self.header, 'alg': algorithm})}.{encoded(self.claims)}"
        return f"{signing_input}.{encoded(hmac.digest(secret, signing_input.encode(), hashlib.sha256))}"

    @property
    def public_pem(self) -> bytes:
        return self.key.as_pem(private=False)


def flipped(token: str) -> str:
    """Change one bit of the signature."""
    head, body, signature = token.split(".")
    raw = bytearray(base64.urlsafe_b64decode(signature + "=="))
    raw[5] ^= 1
    return f"{head}.{body}.{encoded(bytes(raw))}"


STRANGERS = ECKey.generate_key("P-256", {"kid": "strangers"})
FORGERIES: dict[str, Callable[[Forge], str]] = {
    "alg none": lambda f: f.unsigned({"alg": "none"}),
    "alg None": lambda f: f.unsigned({"alg": "None"}),
    "alg NONE with the signature": lambda f: f.unsigned({"alg": "NONE"}, f.signature),
    "alg missing": lambda f: f"{encoded({'kid': f.header['kid'], 'typ': 'at+jwt'})}.{encoded(f.claims)}.{f.signature}",
    "HS256 with the public key as PEM": lambda f: f.hmac_signed(f.public_pem),
    "HS256 with the public key as JWK": lambda f: f.hmac_signed(json.dumps(f.key.as_dict(private=False)).encode()),
    "HS256 with nothing": lambda f: f.hmac_signed(b""),
    "ES384 claimed": lambda f: f.unsigned({"alg": "ES384"}, f.signature),
    "another's key under our kid": lambda f: f.signed(key=STRANGERS),
    "another's key under its own kid": lambda f: f.signed({"kid": "strangers"}, key=STRANGERS),
    "another's key brought along": lambda f: f.signed({"jwk": STRANGERS.as_dict(private=False)}, key=STRANGERS),
    "an unknown kid": lambda f: f.signed({"kid": "signing-99"}),
    "a kid that is a path": lambda f: f.signed({"kid": "../../../dev/null"}),
    "a critical extension": lambda f: f.unsigned({"crit": ["b64"], "b64": False}, f.signature),
    "another issuer": lambda f: f.signed(claims={"iss": "https://elsewhere.example"}),
    "another audience": lambda f: f.signed(claims={"aud": "https://elsewhere.example"}),
    "no issuer": lambda f: f.signed(without="iss"),
    "another typ": lambda f: f.signed({"typ": "JWT"}),
    "no typ": lambda f: f.signed(without="typ"),
    "another type": lambda f: f.signed(claims={"type": "refresh"}),
    "no end": lambda f: f.signed(without="exp"),
    "an end in words": lambda f: f.signed(claims={"exp": "never"}),
    "an end with a fraction": lambda f: f.signed(claims={"exp": 99999999999.5}),
    "an end that is true": lambda f: f.signed(claims={"exp": True}),
    "no session": lambda f: f.signed(without="sid"),
    "a session that is no id": lambda f: f.signed(claims={"sid": "' OR 1=1 --"}),
    "a session that is a number": lambda f: f.signed(claims={"sid": 7}),
    "an unknown session": lambda f: f.signed(claims={"sid": "01980000-0000-8000-8000-000002485350"}),
    "claims exchanged under the signature": lambda f: f"{f.token.split('.')[0]}.{encoded({**f.claims, 'role': 'super_admin'})}.{f.signature}",
    "one bit of the signature": lambda f: flipped(f.token),
    "no signature": lambda f: f.token.rpartition(".")[0] + ".",
    "two parts": lambda f: f.token.rpartition(".")[0],
    "five parts": lambda f: f.token + ".a.b",
    "an empty body": lambda f: f"{encoded(f.header)}..{f.signature}",
    "a body that is a list": lambda f: f"{encoded(f.header)}.{encoded([1])}.{f.signature}",
    "a header nested deep": lambda f: f"{encoded(b'[' * 2000)}.{encoded(f.claims)}.{f.signature}",
    "no JSON at all": lambda f: "a.b.c",
    "dots": lambda f: "...",
    "5,000 characters": lambda f: "a" * 5_000,
    "a good one with a long tail": lambda f: f.token + "." + "a" * 50_000,
    "60 kB": lambda f: "a" * 60_000,
}  # fmt: skip


async def test_no_forgery_gets_in_and_none_is_told_why(house: House) -> None:
    forge = Forge(house, (await signed_in(house))["token"])
    assert (await tried(house, f"Bearer {forge.signed()}")).status_code == 200, (
        "the forge makes good ones too"
    )
    answers: dict[str, httpx.Response] = {}
    for name, made in FORGERIES.items():
        answers[name] = await tried(house, f"Bearer {made(forge)}")
        refusal(answers[name], 401, "AUTHENTICATION_REQUIRED")
    plain = bare(await house.http.get(OUTGOING))
    for name, answered in answers.items():
        if name != "an unknown session":
            assert bare(answered) == plain, name


async def test_the_scheme_must_be_bearer_and_only_its_case_is_free(house: House) -> None:
    token = (await signed_in(house))["token"]
    for good in (f"bearer {token}", f"BEARER {token}", f"Bearer  {token}"):
        assert (await tried(house, good)).status_code == 200, good
    for bad in ("", "Bearer", token, f"Basic {token}", f"Token {token}", f"Bearer{token}", f"Bearer {token} {token}"):  # fmt: skip
        refusal(await tried(house, bad), 401, "AUTHENTICATION_REQUIRED")
    for bad in (b"Bearer \xff\xfe", "Bearer ä.ö.ü".encode()):
        refusal(await tried(house, bad), 401, "AUTHENTICATION_REQUIRED")


async def test_a_refresh_token_is_no_access_token(house: House) -> None:
    tokens = await signed_in(house)
    answered = await tried(house, f"Bearer {tokens['refreshToken']}")
    refusal(answered, 401, "AUTHENTICATION_REQUIRED")


async def test_a_token_in_the_address_or_a_cookie_is_not_looked_at(house: House) -> None:
    token = (await signed_in(house))["token"]
    for answered in (
        await house.http.get(OUTGOING, params={"access_token": token, "token": token}),
        await house.http.get(OUTGOING, headers={"Cookie": f"token={token}; Authorization=Bearer {token}"}),
    ):
        refusal(answered, 401, "AUTHENTICATION_REQUIRED")


async def test_it_is_good_for_an_hour(house: House, clock: MovableClock) -> None:
    tokens = await signed_in(house)
    issued = decoded(tokens["token"].split(".")[1])["iat"]
    begin = clock.now.replace(microsecond=0)
    assert int(begin.timestamp()) == issued
    clock.now = begin + timedelta(hours=1, milliseconds=-1)
    data(await bearer(house, tokens).get(OUTGOING))
    clock.now = begin + timedelta(hours=1)
    refused = refusal(await bearer(house, tokens).get(OUTGOING), 401, "AUTHENTICATION_REQUIRED")
    assert refused["message"] == "The session has ended; sign in again"


@pytest.mark.parametrize("claims", [{"role": "admin_referring"}, {"organizationId": "harbor"}])
async def test_claims_are_hints_and_the_rows_decide(house: House, claims: dict[str, str]) -> None:
    # Even with our own signature, a claim gives nothing: ben stays a physician of northside.
    forge = Forge(house, (await signed_in(house, "ben@northside.example"))["token"])
    given = {name: str(house.organizations.get(value, value)) for name, value in claims.items()}
    answered = await tried(house, f"Bearer {forge.signed(claims=given)}")
    refusal(answered, 403, "INSUFFICIENT_PERMISSIONS")


async def test_a_token_of_another_house_is_refused(house: House, tmp_path: Path) -> None:
    elsewhere = ECKey.generate_key("P-256", {"kid": house.parts.access_tokens._signing_key.kid})
    forge = Forge(house, (await signed_in(house))["token"])
    refusal(await tried(house, f"Bearer {forge.signed(key=elsewhere)}"), 401, "AUTHENTICATION_REQUIRED")


async def test_the_published_keys_hold_nothing_private(house: House) -> None:
    published = (await house.http.get("/.well-known/jwks.json")).json()
    assert published.keys() == {"keys"}
    for key in published["keys"]:
        assert key.keys() == {"kty", "crv", "x", "y", "kid", "use", "alg"}
    private = house.parts.access_tokens._signing_key.raw_value.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    assert encoded(private)[:40] not in json.dumps(published)
