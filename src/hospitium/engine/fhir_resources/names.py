"""How names are kept and compared: each part a line, where case, accents, width and spaces make no difference.

What is searched for is found if a part begins with it (https://hl7.org/fhir/R4/search.html#string).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from hospitium.engine.text import search_key

# A letter before each part says what it is: which of them a parameter looks at.
_FAMILY, _GIVEN, _OTHER = "f", "g", "o"
_LETTERS = {"family": _FAMILY, "given": _GIVEN, "name": "_"}  # `_`: in a LIKE pattern, any of them


def kept(names: list[Any]) -> str | None:
    """Return the names of a resource (HumanNames, or texts) as they are kept; None if there are none."""
    lines = dict.fromkeys(f"\n{letter}{_compared(part)}" for name in names for letter, part in _parts(name))
    return "".join(lines) or None


def pattern(parameter: str, value: str) -> str:
    """Return the LIKE pattern that finds what begins with a value; `parameter`: name, family or given."""
    literal = _compared(value).replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%\n{_LETTERS[parameter]}{literal}%"


def is_empty(value: str) -> bool:
    """Whether nothing is left of a value that could be compared."""
    return not _compared(value)


@lru_cache(maxsize=10_000)
def _compared(text: str) -> str:
    return " ".join(search_key(text).split())


def _parts(name: Any) -> list[tuple[str, str]]:
    if isinstance(name, str):
        return [(_OTHER, name)]
    if not isinstance(name, dict):
        return []
    found = [(_FAMILY, name.get("family")), (_OTHER, name.get("text"))]
    for letter, member in ((_GIVEN, "given"), (_OTHER, "prefix"), (_OTHER, "suffix")):
        several = name.get(member)
        found += [(letter, part) for part in several] if isinstance(several, list) else []
    return [(letter, part) for letter, part in found if isinstance(part, str)]
