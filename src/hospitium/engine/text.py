"""What people may type into one line or one message, and how two spellings of a name are compared."""

from __future__ import annotations

import unicodedata

from hospitium.engine.errors import Invalid

LONGEST_LINE = 200
LONGEST_MESSAGE = 2_000
# Bidirectional overrides and isolates make a text read otherwise than it is written.
_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_MESSAGE_CONTROLS = frozenset("\n\r\t")


def line(field: str, value: str, *, longest: int = LONGEST_LINE) -> str:
    """Return a single line of text, trimmed and in normal form (NFC); Invalid names the field otherwise."""
    cleaned = _clean(field, value, longest, allowed=frozenset())
    if not cleaned:
        raise Invalid(field, "must not be blank")
    return cleaned


def optional_line(field: str, value: str | None, *, longest: int = LONGEST_LINE) -> str | None:
    """Return a line as `line` does; None for None and for blanks."""
    if value is None or not value.strip():
        return None
    return line(field, value, longest=longest)


def message(field: str, value: str | None) -> str | None:
    """Return plain text of several lines, at most 2,000 characters; None for None and for blanks."""
    if value is None:
        return None
    return _clean(field, value, LONGEST_MESSAGE, allowed=_MESSAGE_CONTROLS) or None


def search_key(name: str) -> str:
    """Return the form in which names are compared, sorted and searched: case, accents and width make no difference."""
    decomposed = unicodedata.normalize("NFKD", name.casefold())
    return "".join(c for c in decomposed if not unicodedata.combining(c)).casefold().strip()


def _clean(field: str, value: str, longest: int, *, allowed: frozenset[str]) -> str:
    if len(value) > longest:
        raise Invalid(field, f"must be at most {longest:,} characters long")
    cleaned = unicodedata.normalize("NFC", value).strip()
    for character in cleaned:
        if character in _BIDI:
            raise Invalid(field, "must not contain characters that turn the direction of writing")
        if unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") and character not in allowed:
            raise Invalid(field, "must not contain control characters")
    return cleaned
