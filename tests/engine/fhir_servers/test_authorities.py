"""Certificates of authorities are read strictly, kept as they were read, and nothing of what was sent is in a refusal."""

from __future__ import annotations

import base64
import ssl
import warnings

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from hypothesis import given, settings, strategies as st

from fakes.authorities import OVER, TO_COME, authority, issued
from hospitium.engine.errors import Invalid
from hospitium.engine.fhir_servers.authorities import LONGEST_PEM, MOST, authorities_in, told

ROOT = authority()
BETWEEN = authority("Northside Two", under=ROOT)
LEAF = issued(ROOT)
ALONE = issued(None, common_name="Its own")
KEY = ROOT.key_pem
LOCKED_KEY = ROOT.key.private_bytes(
    serialization.Encoding.PEM,
    serialization.PrivateFormat.PKCS8,
    serialization.BestAvailableEncryption(b"word"),
).decode()
OLD_KEY = ROOT.key.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
).decode()
BODY = ROOT.pem.replace("-----BEGIN CERTIFICATE-----", "").replace("-----END CERTIFICATE-----", "")
DER = base64.b64decode(BODY)


def packed(data: bytes, kind: str = "CERTIFICATE") -> str:
    return f"-----BEGIN {kind}-----\n{base64.encodebytes(data).decode()}-----END {kind}-----\n"


def read(text: str) -> str:
    return authorities_in("authorities_pem", text)


@pytest.mark.parametrize("days", [OVER, TO_COME])
def test_it_takes_authorities_and_what_vouches_for_itself(days: tuple[int, int]) -> None:
    # Whether one is good now is asked with each request, and told to whoever looks.
    of_another_day = authority("Another day", days=days)
    given = ROOT.pem + BETWEEN.pem + ALONE.pem + of_another_day.pem
    assert read(given) == given
    assert [one.subject for one in told(authorities_in("x", given))] == [
        "CN=Northside Root", "CN=Northside Two", "CN=Its own", "CN=Another day",
    ]  # fmt: skip


def test_it_tells_what_openssl_would() -> None:
    (one,) = told(authorities_in("x", ROOT.pem))
    assert one.expires_at == ROOT.certificate.not_valid_after_utc
    assert len(one.sha256) == 95
    assert bytes.fromhex(one.sha256.replace(":", "")) == ROOT.certificate.fingerprint(
        x509.base.hashes.SHA256()
    )


@pytest.mark.parametrize(
    "typed",
    [
        ROOT.pem.replace("\n", "\r\n"), f"\n \t{ROOT.pem}\r\n\n", ROOT.pem + ROOT.pem, ROOT.pem.rstrip("\n"),
        f"-----BEGIN CERTIFICATE-----\n{base64.b64encode(DER).decode()}\n-----END CERTIFICATE-----",
    ],
)  # fmt: skip
def test_what_is_kept_is_what_was_read_not_what_was_typed(typed: str) -> None:
    assert read(typed) == ROOT.pem


def test_a_name_writes_on_nobodys_terminal() -> None:
    evil = authority("Root\x1b]0;owned\x07\x1b[2J\u202e" + "x" * 20)
    (one,) = told(authorities_in("x", evil.pem))
    assert one.subject == "CN=Root�]0\\;owned��[2J�" + "x" * 20


FORM = "must be certificates in PEM, from BEGIN CERTIFICATE to END CERTIFICATE, and nothing else"
A_KEY = "must not hold a private key: give the certificates alone"
FIRST = "certificate 1 can't be read: give it as it was issued"
WRONG = [
    ("nothing", "", FORM),
    ("blanks", " \n ", FORM),
    ("words", "the usual ones", FORM),
    ("a key", KEY, A_KEY),
    ("a locked key", LOCKED_KEY, A_KEY),
    ("a key of the old form", OLD_KEY, A_KEY),
    ("a key beside", ROOT.pem + KEY, A_KEY),
    ("a key before", KEY + ROOT.pem, A_KEY),
    ("a key in small letters", ROOT.pem + KEY.lower(), A_KEY),
    ("a comment", "# Northside\n" + ROOT.pem, FORM),
    ("words behind", ROOT.pem + "and so on", FORM),
    ("words between", ROOT.pem + "x" + ROOT.pem, FORM),
    ("a request", packed(DER, "CERTIFICATE REQUEST"), FORM),
    ("a trusted one", packed(DER, "TRUSTED CERTIFICATE"), FORM),
    ("a public key", packed(DER, "PUBLIC KEY"), FORM),
    ("two kinds", ROOT.pem + packed(DER, "X509 CRL"), FORM),
    ("no end", ROOT.pem.partition("-----END")[0], FORM),
    ("ends twice", ROOT.pem + "-----END CERTIFICATE-----", FORM),
    ("another's dashes", ROOT.pem.replace("-----BEGIN", "----BEGIN"), FORM),
    ("a wide blank", "\u2003" + ROOT.pem, FORM),
    ("NUL", ROOT.pem + "\0", FORM),
    ("bytes that are no text", DER.decode("ascii", errors="replace"), FORM),
    ("an empty one", packed(b""), FIRST),
    ("no base64", "-----BEGIN CERTIFICATE-----\n=A=\n-----END CERTIFICATE-----", FIRST),
    ("no certificate", packed(b"none"), FIRST),
    ("half of one", packed(DER[:100]), FIRST),
    ("more than one", packed(DER + b"x"), FIRST),
    ("a server's", LEAF.pem, "certificate 1 is no authority's: give that of the authority which issued it"),
    (
        "a server's behind its root",
        ROOT.pem + LEAF.pem,
        "certificate 2 is no authority's: give that of the authority which issued it",
    ),
    ("too many", ROOT.pem * (MOST + 1), f"must hold at most {MOST} certificates"),
    ("too much", ROOT.pem + " " * LONGEST_PEM, "must be at most 65,536 characters long"),
]


@pytest.mark.parametrize(("text", "says"), [one[1:] for one in WRONG], ids=[one[0] for one in WRONG])
def test_whatever_else_is_refused_and_not_repeated(text: str, says: str) -> None:
    with pytest.raises(Invalid) as refused:
        read(text)
    assert (refused.value.field, refused.value.reason) == ("authorities_pem", says)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


@settings(max_examples=500, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, len(DER) - 1), st.integers(0, 255)), min_size=1, max_size=4)
    | st.lists(st.tuples(st.integers(0, 60), st.integers(0, 255)), min_size=1, max_size=2)
)
def test_whatever_bytes_are_broken_it_is_read_or_refused(broken: list[tuple[int, int]]) -> None:
    data = bytearray(DER)
    for place, value in broken:
        data[place] = value
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            kept = authorities_in("x", packed(bytes(data)))
        except Invalid:
            return
    # Without a warning: what is kept can be read by what comes after this version, too.
    assert authorities_in("x", kept) == kept
    assert told(kept)
    ssl.create_default_context(cadata=kept)


@settings(max_examples=200, deadline=None)
@given(st.text() | st.lists(st.sampled_from([ROOT.pem, LEAF.pem, KEY, "\n", "x", "-----"])).map("".join))
def test_whatever_text_is_sent_it_is_read_or_refused(text: str) -> None:
    try:
        kept = authorities_in("x", text)
    except Invalid:
        return
    assert set(text.split("\n")) <= set(kept.split("\n"))
    assert kept == ROOT.pem
