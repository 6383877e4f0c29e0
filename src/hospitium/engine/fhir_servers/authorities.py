"""The certificate authorities that a remote FHIR server is given of its own (threats F-37): read strictly, kept as they were read.

Where a server has some, they are believed for it in the place of the system's. What they are is public; all the same nothing of
what was sent stands in a refusal, because who sends a key by mistake must not find it in a log.
"""

from __future__ import annotations

import re
import ssl
from typing import TYPE_CHECKING, NamedTuple, NewType

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from hospitium.engine.errors import Invalid

if TYPE_CHECKING:
    from datetime import datetime

LONGEST_PEM = 65_536  # characters
MOST = 20  # certificates
_LONGEST_SUBJECT = 200  # characters that are told

AuthoritiesPem = NewType("AuthoritiesPem", str)
"""One certificate or several that were read here, in PEM. Proves that they were; never empty."""

_CERTIFICATE = r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\r\n\t ]+-----END CERTIFICATE-----"
_NOTHING_ELSE = re.compile(rf"[\r\n\t ]*(?:{_CERTIFICATE}[\r\n\t ]*)+")
_CANT_BE_READ = (
    ValueError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)


class Authority(NamedTuple):
    """What is told of an authority: whom its certificate names, until when it is good, and its SHA-256, as openssl writes it."""

    subject: str
    expires_at: datetime
    sha256: str


def authorities_in(field: str, text: str) -> AuthoritiesPem:
    """Return the authorities whose certificates a text holds, each once and written anew. Raises Invalid."""
    if len(text) > LONGEST_PEM:
        raise Invalid(field, f"must be at most {LONGEST_PEM:,} characters long")
    if "PRIVATE KEY" in text.upper():
        raise Invalid(field, "must not hold a private key: give the certificates alone")
    if not _NOTHING_ELSE.fullmatch(text):
        raise Invalid(
            field, "must be certificates in PEM, from BEGIN CERTIFICATE to END CERTIFICATE, and nothing else"
        )
    blocks = re.findall(_CERTIFICATE, text)
    if len(blocks) > MOST:
        raise Invalid(field, f"must hold at most {MOST} certificates")
    return _written(field, [_read(field, number, block) for number, block in enumerate(blocks, 1)])


def told(pem: AuthoritiesPem) -> list[Authority]:
    """Return what is told of the authorities of a FHIR server."""
    return [_told(one) for one in x509.load_pem_x509_certificates(pem.encode("ascii"))]


def good_until(pem: AuthoritiesPem) -> datetime:
    """Return when the last of the authorities of a FHIR server expires: nobody is believed from then on."""
    return max(one.expires_at for one in told(pem))


def _read(field: str, number: int, block: str) -> x509.Certificate:
    try:
        certificate = x509.load_pem_x509_certificate(block.encode("ascii"))
        _told(certificate)  # so that whoever asks later can be told
        is_authority = _is_authority(certificate)
        if certificate.serial_number <= 0:  # `cryptography` says that it will read none of these one day
            raise ValueError
    except _CANT_BE_READ:
        raise Invalid(field, f"certificate {number} can't be read: give it as it was issued") from None
    if not is_authority:
        raise Invalid(
            field, f"certificate {number} is no authority's: give that of the authority which issued it"
        )
    return certificate


def _is_authority(certificate: x509.Certificate) -> bool:
    """Whether others are issued under it, or it vouches for itself."""
    if certificate.subject == certificate.issuer:
        return True
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _written(field: str, certificates: list[x509.Certificate]) -> AuthoritiesPem:
    each = dict.fromkeys(one.public_bytes(Encoding.PEM).decode("ascii") for one in certificates)
    pem = "".join(each)
    if len(pem) > LONGEST_PEM:
        raise Invalid(field, f"must be at most {LONGEST_PEM:,} characters long")
    try:
        # Another reader than the one above, and the one that will have to do with it.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem)
    except ssl.SSLError:
        raise Invalid(field, "can't all be read: give each certificate as it was issued") from None
    return AuthoritiesPem(pem)


def _told(certificate: x509.Certificate) -> Authority:
    # Whoever made the certificate chose the name: it must not write on anybody's terminal.
    subject = "".join(c if c.isprintable() else "�" for c in certificate.subject.rfc4514_string())
    digest = certificate.fingerprint(SHA256()).hex(":").upper()
    return Authority(subject[:_LONGEST_SUBJECT], certificate.not_valid_after_utc, digest)
