"""Secrets: they don't print themselves, and link tokens are derived (docs/decisions/0010, ruling 14)."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import logging
import pickle
from collections import Counter
from uuid import UUID, uuid4

import msgspec
import pytest
import structlog

from hospitium.engine import secrets
from hospitium.engine.invites.codes import InviteAnswer, InviteCode
from hospitium.engine.secrets import (
    ClientKeyText,
    DerivationKey,
    HashedPassword,
    LinkToken,
    Password,
    RandomText,
    Secret,
    ServiceKeyText,
    SessionCookie,
    derive,
    seed,
)

PERCENT = "%s %r"  # the old way, as loggers and libraries still do it
CANARY = "canary-5e1f-do-not-print"
TYPES = (
    Secret,
    Password,
    HashedPassword,
    LinkToken,
    RandomText,
    SessionCookie,
    ClientKeyText,
    ServiceKeyText,
    InviteCode,
    InviteAnswer,
)
KEY = DerivationKey(1, b"k" * 32)
ROW = UUID("69a42a40-0000-8286-aa4a-3ec1e2485350")
BASE_62 = set("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")


def test_every_type_of_secret_is_tried_here() -> None:
    assert {Secret, *Secret.__subclasses__(), *RandomText.__subclasses__()} == set(TYPES)


@pytest.mark.parametrize("kind", TYPES)
def test_it_is_revealed_in_one_way_only(kind: type[Secret]) -> None:
    secret = kind(CANARY)
    assert secret.reveal() == CANARY
    printed = [
        repr(secret), str(secret), f"{secret}", f"{secret!r}", f"{secret!s}", f"{secret:>60}", f"{secret!r:60}", format(secret, ""),
        PERCENT % (secret, secret), repr([secret]), repr({"x": secret}),
        str((secret,)), ascii(secret), str(ValueError(secret)), json.dumps({"x": secret}, default=str), str(vars(kind)),
    ]  # fmt: skip
    assert [text for text in printed if CANARY in text] == []
    assert repr(secret).startswith(kind.__name__)


@pytest.mark.parametrize("kind", TYPES)
def test_no_encoder_and_no_copy_takes_it_along(kind: type[Secret]) -> None:
    secret = kind(CANARY)
    for encode in (msgspec.json.encode, msgspec.msgpack.encode, msgspec.to_builtins, json.dumps):
        with pytest.raises(TypeError):
            encode({"x": secret})
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError):
            pickle.dumps(secret, protocol)
    assert CANARY not in str(getattr(secret, "__dict__", {}))
    with pytest.raises(TypeError):
        copy.deepcopy({"x": secret})
    with pytest.raises(TypeError):
        hash(secret)


@pytest.mark.parametrize("kind", TYPES)
def test_no_log_shows_it(kind: type[Secret]) -> None:
    secret = kind(CANARY)
    written = io.StringIO()
    logger = logging.getLogger("hospitium.canary")
    logger.propagate = False
    handler = logging.StreamHandler(written)
    logger.addHandler(handler)
    logger.warning("as argument %s, %r, as message", secret, secret)
    logger.warning(secret)
    logger.error("in a trace", exc_info=ValueError(secret, {"secret": secret}))
    logger.removeHandler(handler)
    for renderer in (structlog.processors.JSONRenderer(), structlog.processors.KeyValueRenderer()):
        log = structlog.wrap_logger(structlog.PrintLogger(written), processors=[renderer])
        log.info("in a log line", secret=secret, inside=[secret])
    assert "in a trace" in written.getvalue()
    assert "in a log line" in written.getvalue()
    assert CANARY not in written.getvalue()


def test_a_key_does_not_print_its_material() -> None:
    key = DerivationKey(7, CANARY.encode())
    assert [text for text in (repr(key), str(key), f"{key}", repr([key])) if CANARY in text] == []
    assert "7" in repr(key)


def test_secrets_are_equal_by_their_text() -> None:
    assert Password("a") == Password("a")
    assert Password("a") != Password("b")
    assert Password("a") != "a"
    assert Password("é") == Password("é")


def test_a_service_key_has_256_bits_behind_what_a_scanner_looks_for() -> None:
    made = [ServiceKeyText.new() for _ in range(100)]
    texts = {key.reveal() for key in made}
    assert len(texts) == 100
    for text in texts:
        assert text.startswith("hsk_")
        assert len(text) == 4 + 43
        assert set(text[4:]) <= BASE_62
    assert 62**43 > 2**256
    assert made[0].digest() == hashlib.sha256(made[0].reveal().encode()).digest()


# -- derived tokens ----------------------------------------------------------------------------------------------------


def test_a_token_is_derived_the_same_every_time() -> None:
    first = derive(KEY, "refresh", ROW, b"n" * 16)
    assert first.reveal() == derive(KEY, "refresh", ROW, b"n" * 16).reveal()
    assert len(first.reveal()) == secrets.TOKEN_LENGTH == 32
    assert set(first.reveal()) <= BASE_62
    assert first.digest() == hashlib.sha256(first.reveal().encode()).digest()


def test_it_is_hmac_sha_256_of_purpose_row_and_nonce() -> None:
    """Computed once by hand: whoever changes the derivation makes every link that was ever mailed dead."""
    assert derive(DerivationKey(1, bytes(32)), "refresh", UUID(int=1), bytes(16)).reveal() == KNOWN


KNOWN = "ijEubgSuv5V7eGqjZELed8xtXzSgN5lY"


def test_another_key_purpose_row_or_nonce_is_another_token() -> None:
    others = [
        derive(KEY, "refresh", ROW, b"n" * 16),
        derive(DerivationKey(1, b"K" * 32), "refresh", ROW, b"n" * 16),
        derive(KEY, "refrest", ROW, b"n" * 16),
        derive(KEY, "", ROW, b"n" * 16),
        derive(KEY, "refresh", UUID(int=ROW.int + 1), b"n" * 16),
        derive(KEY, "refresh", ROW, b"n" * 15 + b"m"),
        derive(KEY, "refresh", ROW, b"n" * 15),
    ]
    assert len({token.reveal() for token in others}) == len(others)


def test_a_seed_is_enough_to_derive_the_token_again_and_says_nothing_of_it() -> None:
    first, second = seed(KEY, "refresh", ROW), seed(KEY, "refresh", ROW)
    token = derive(KEY, "refresh", first.row_id, first.nonce)
    assert token.digest() == first.digest
    assert first.nonce != second.nonce  # a re-issue is a new nonce (ruling 14)
    assert first.digest != second.digest
    assert token.reveal() not in repr(first)
    assert token.reveal().encode() not in first.nonce + first.digest


def test_many_tokens_are_all_different_and_use_every_symbol_alike(rounds: int) -> None:
    count = 100_000 if rounds > 1_000 else 10_000
    tokens = [derive(KEY, "refresh", uuid4(), nonce.to_bytes(16)).reveal() for nonce in range(count)]
    assert len(set(tokens)) == count

    for symbols in (Counter("".join(tokens)), *(Counter(t[place] for t in tokens) for place in (0, 15, 31))):
        total = symbols.total()
        chi_square = sum((symbols[s] - total / 62) ** 2 / (total / 62) for s in BASE_62)
        # 61 degrees of freedom: one fair run in a thousand million is over 145. A bias of a tenth would be over 2,000.
        assert chi_square < 145
