"""How FHIR escapes the signs that divide the value of a search: `\\,` `\\|` `\\$` and `\\\\` (https://hl7.org/fhir/R4/search.html#escaping)."""

from __future__ import annotations

import re

_ESCAPED = re.compile(r"\\([\\,|$])")
_SIGN = re.compile(r"[\\,|$]")
_WRONG = re.compile(r"(?<!\\)(?:\\\\)*\\(?![\\,|$])")


def divided(value: str, sign: str) -> list[str]:
    """Divide a value at a sign where it isn't escaped. The parts stay as they are written."""
    parts, begun, index = [], 0, 0
    while index < len(value):
        if value[index] == "\\":
            index += 1
        elif value[index] == sign:
            parts.append(value[begun:index])
            begun = index + 1
        index += 1
    return [*parts, value[begun:]]


def plain(written: str) -> str:
    """Return the text that is meant."""
    return _ESCAPED.sub(r"\1", written)


def escaped(text: str) -> str:
    """Write a text so that nothing in it divides."""
    return _SIGN.sub(r"\\\g<0>", text)


def is_escaped_rightly(written: str) -> bool:
    """Whether each backslash stands before a sign that it escapes."""
    return _WRONG.search(written) is None
