"""Reading JSON text strictly, whoever sent it: what is malformed or ambiguous is refused, naming the member.

Two parsers that disagree about one text are a hole, so duplicate members are refused, and so are numbers that aren't
JSON, lone surrogates, NUL, and nesting deeper than anybody needs.
"""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal, InvalidOperation
from typing import Any

from hospitium.engine.errors import Invalid

DEEPEST_NESTING = 64
_LONGEST_SAID = 80  # characters of a member's name, where it is said
MOST_DIGITS = 40  # of a decimal: FHIR asks for 18, and a power of ten in few letters can fill a disk
_DIGITS_OF_A_MACHINE = 18  # fit in 64 bits, whatever they are
# Possessive, and content with a string that never ends: with backtracking, a body of escaped quotes costs its square.
_STRINGS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_ALL_BUT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_ONE_KIND = bytes.maketrans(b"[]", b"{}")


def parse(body: bytes, *, digit_for_digit: bool = False) -> Any:
    """Parse JSON text strictly; Invalid otherwise.

    `digit_for_digit`: as FHIR wants decimals kept, numbers that a machine number would change are Decimals.
    """
    if body.count(b"[") + body.count(b"{") > DEEPEST_NESTING and _is_too_deep(body):
        raise Invalid("body", f"must not be nested deeper than {DEEPEST_NESTING}")
    try:
        value = (_DIGIT_FOR_DIGIT if digit_for_digit else _NUMBERS).decode(body.decode("utf-8"))
    except Invalid:
        raise
    except (ValueError, RecursionError):
        raise Invalid("body", "is not valid JSON") from None
    if b"\\" in body:  # only what is escaped can be NUL, or half of a character
        wrong = _wrong_string(value) if isinstance(value, str | dict | list) else None
        if wrong is not None:
            raise Invalid(wrong[0].removeprefix(".") or "body", wrong[1])
    return value


def printable(name: str) -> str:
    """Return a bounded, harmless form of a member's name, which may be anything a stranger typed."""
    return "".join(c if c.isprintable() else "�" for c in name[:_LONGEST_SAID])


def _is_too_deep(body: bytes) -> bool:
    brackets = _STRINGS.sub(b"", body).translate(_ONE_KIND, _ALL_BUT_BRACKETS)
    left, most = brackets, DEEPEST_NESTING
    while left and most:  # what is innermost goes, level by level
        left, before, most = left.replace(b"{}", b""), len(left), most - 1
        if len(left) == before:
            break
    return bool(left) and _goes_too_deep(brackets)


def _goes_too_deep(brackets: bytes) -> bool:
    depth = 0
    for symbol in brackets:
        if symbol in b"{":
            depth += 1
            if depth > DEEPEST_NESTING:
                return True
        else:
            depth -= 1
    return False


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise Invalid(printable(name), "is given twice")
            seen.add(name)
    return members


def _number(text: str) -> float:
    """Read a number that isn't whole; one that no machine number is near (1e400, 1e-400) would become another in silence."""
    number = float(text)
    if number in (math.inf, -math.inf) or (number == 0 and re.search("[1-9]", re.split("[eE]", text)[0])):
        raise Invalid("body", "has a number that is out of range")
    return number


def _whole(text: str) -> int | Decimal:
    return int(text) if len(text) <= _DIGITS_OF_A_MACHINE else _decimal(text)


def _decimal(text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise Invalid("body", "has a number that is out of range") from None
    if len(number.as_tuple().digits) > MOST_DIGITS or not -MOST_DIGITS <= number.adjusted() <= MOST_DIGITS:
        raise Invalid("body", "has a number that is out of range")
    return number


def _no_constant(name: str) -> Any:
    raise Invalid("body", f"is not valid JSON: {name} is no JSON number")


# Made once: each holds a scanner.
_NUMBERS = json.JSONDecoder(object_pairs_hook=_members, parse_constant=_no_constant, parse_float=_number)
_DIGIT_FOR_DIGIT = json.JSONDecoder(
    object_pairs_hook=_members, parse_constant=_no_constant, parse_float=_decimal, parse_int=_whole
)


def _wrong_string(value: Any) -> tuple[str, str] | None:
    """Return where a string is that can't be, and what is wrong with it; None if there is none.

    The place is put together on the way back: on the way there it would cost its length for each member, and a stranger chooses both.
    """
    if isinstance(value, str):
        problem = _problem_of(value)
        return None if problem is None else ("", problem)
    if isinstance(value, dict):
        for name in value:
            if (problem := _problem_of(name)) is not None:
                raise Invalid("body", problem)
    for step, member in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(member, str | dict | list) and (wrong := _wrong_string(member)) is not None:
            return _step(step) + wrong[0], wrong[1]
    return None


def _step(member: str | int) -> str:
    if isinstance(member, int):
        return f"[{member}]"
    return f".{member}" if len(member) <= _LONGEST_SAID else ".…"


def _problem_of(text: str) -> str | None:
    if "\0" in text:
        return "must not contain NUL characters"
    return None if _is_whole(text) else "must not contain lone surrogates"


def _is_whole(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
