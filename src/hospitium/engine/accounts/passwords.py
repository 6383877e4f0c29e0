"""Which passwords are refused (ruling 26). No composition rules: length, and not one that everybody tries."""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import TYPE_CHECKING

from hospitium.engine.errors import Invalid
from hospitium.engine.secrets import Password

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

SHORTEST = 10
LONGEST = 256
LONGEST_TYPED = 1_024
"""What is looked at of what somebody types as his password; more is refused before anything is hashed."""


def typed_password(text: str) -> Password:
    """Return a password in the one form that is hashed and compared (NFC): keyboards differ in how they write an accent."""
    return Password(unicodedata.normalize("NFC", text))


def checked_password(field: str, text: str) -> Password:
    """Return the password in the one form that is hashed (NFC); Invalid names the field if it is refused.

    It is never trimmed and never shortened.
    """
    password = typed_password(text).reveal()
    if not SHORTEST <= len(password) <= LONGEST:
        raise Invalid(field, f"must be {SHORTEST} to {LONGEST} characters long")
    if "\0" in password:
        raise Invalid(field, "must not contain NUL characters")
    if password.casefold() in _common():
        raise Invalid(field, "is one of the passwords that are tried first; choose another")
    return Password(password)


@cache
def _common() -> AbstractSet[str]:
    """The common passwords of zxcvbn's lists, read when first needed."""
    from zxcvbn.frequency_lists import FREQUENCY_LISTS  # noqa: PLC0415  large, and most processes never need it

    return frozenset(word for word in FREQUENCY_LISTS["passwords"] if len(word) >= SHORTEST)
