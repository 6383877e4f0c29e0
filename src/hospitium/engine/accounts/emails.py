"""E-mail addresses: which are one, and which are none.

Two spellings are the same address if their canonical forms are equal: the domain in its IDNA form and lower case, the
local part with ASCII letters in lower case and everything else compared exactly in NFC. Folding more
would let one person's mailbox pass for another's. Mail goes to the address as it was written.
"""

from __future__ import annotations

import re
import unicodedata

import idna

from hospitium.engine.errors import Invalid

LONGEST_ADDRESS = 254
LONGEST_LOCAL_PART = 64
_LOCAL_FORM = re.compile(r"[^\s@\"(),:;<>\[\]\\\x00-\x1f\x7f]+")
_ASCII_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


def canonical_email(field: str, address: str) -> str:
    """Return the form in which addresses are compared; Invalid names the field if it is no address."""
    given = address.strip()
    address = unicodedata.normalize("NFC", given)
    local, at, domain = address.rpartition("@")
    if not at or len(address) > LONGEST_ADDRESS or len(local) > LONGEST_LOCAL_PART:
        raise Invalid(field, "must be an e-mail address")
    if not _LOCAL_FORM.fullmatch(local) or local[0] == "." or local[-1] == "." or ".." in local:
        raise Invalid(field, "must be an e-mail address")
    if any(unicodedata.category(character)[0] in "CZ" for character in local):
        raise Invalid(field, "must be an e-mail address")
    if any(_passes_for_ascii(character) for character in given.rpartition("@")[0]):
        raise Invalid(field, "must be an e-mail address")
    try:
        ascii_domain = idna.encode(domain, uts46=True).decode().lower()
    except (idna.IDNAError, UnicodeError):
        raise Invalid(field, "must be an e-mail address with a valid domain") from None
    if "." not in ascii_domain or ascii_domain.endswith("."):
        raise Invalid(field, "must be an e-mail address with a full domain")
    return f"{local.translate(_ASCII_LOWER)}@{ascii_domain}"


def _passes_for_ascii(character: str) -> bool:
    """Whether NFC would make a letter of ours of it: the Kelvin sign is another letter than K, and maybe another mailbox."""
    return not character.isascii() and unicodedata.normalize("NFC", character).isascii()
