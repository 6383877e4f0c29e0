"""Certificate authorities of a test's own: what they issue for servers on loopback, good or not."""

from __future__ import annotations

import ipaddress
import ssl
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

GOOD = (-1, 1)  # days from now
OVER = (-3, -1)
TO_COME = (1, 3)


class Issued(NamedTuple):
    """A certificate with its key, and those between it and its root."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...] = ()

    @property
    def pem(self) -> str:
        return pem_of(self.certificate)

    @property
    def key_pem(self) -> str:
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()

    def server(self) -> ssl.SSLContext:
        """Return what a server needs to show this certificate, and those between."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.TemporaryDirectory() as directory:
            file = Path(directory) / "server.pem"
            file.write_text(self.key_pem + self.pem + "".join(map(pem_of, self.chain)))
            context.load_cert_chain(file)
        return context


def pem_of(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def authority(
    name: str = "Northside Root", *, under: Issued | None = None, days: tuple[int, int] = GOOD
) -> Issued:
    """Make an authority: a root, or one under another."""
    return _issue(name, under, days, is_authority=True)


def issued(
    by: Issued | None,
    *,
    names: Sequence[str] = ("127.0.0.1",),
    days: tuple[int, int] = GOOD,
    common_name: str = "A server",
) -> Issued:
    """Issue a server's certificate for names and addresses; by nobody, it vouches for itself."""
    return _issue(common_name, by, days, names, is_authority=False)


def _issue(
    name: str, by: Issued | None, days: tuple[int, int], names: Sequence[str] = (), *, is_authority: bool
) -> Issued:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer_key = key if by is None else by.key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if by is None else by.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=days[0]))
        .not_valid_after(now + timedelta(days=days[1]))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
    )
    if is_authority:
        usage = dict.fromkeys(("key_cert_sign", "crl_sign"), True) | dict.fromkeys(
            (
                "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
                "encipher_only", "decipher_only",
            ),
            False,
        )  # fmt: skip
        builder = builder.add_extension(x509.KeyUsage(**usage), critical=True)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([*map(_name, names)]), critical=False)
    above = () if by is None or _is_root(by) else (by.certificate, *by.chain)
    return Issued(key, builder.sign(issuer_key, hashes.SHA256()), above)


def _is_root(one: Issued) -> bool:
    return one.certificate.subject == one.certificate.issuer


def _name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
