"""The query of a request, read strictly: what is malformed or ambiguous is refused, naming the parameter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from hospitium.engine.errors import Invalid

if TYPE_CHECKING:
    from litestar import Request

MOST_PARAMETERS = 50
LONGEST_PARAMETER = 200


class Parameters:
    """The query of a request: each name at most once, in UTF-8. Names not asked for are ignored."""

    def __init__(self, request: Request[Any, Any, Any]) -> None:
        try:
            pairs = parse_qsl(
                request.scope["query_string"].decode("ascii"),
                keep_blank_values=True,
                errors="strict",
                max_num_fields=MOST_PARAMETERS,
            )
        except ValueError:
            raise Invalid("query", "can't be read") from None
        self._values: dict[str, str] = {}
        for name, value in pairs:
            if name in self._values:
                raise Invalid(name if name.isidentifier() else "query", "is given twice")
            self._values[name] = value

    def text(self, name: str, *, longest: int = LONGEST_PARAMETER) -> str | None:
        """Return a parameter's text, None if it isn't given or blank."""
        value = self._values.get(name, "").strip()
        if "\0" in value:
            raise Invalid(name, "must not contain NUL characters")
        if len(value) > longest:
            raise Invalid(name, f"must be at most {longest} characters long")
        return value or None

    def number(self, name: str, default: int, largest: int, *, least: int = 1) -> int:
        """Return a parameter's number from `least` to `largest`."""
        value = self._values.get(name)
        if value is None:
            return default
        if not (value.isascii() and value.isdigit() and len(value) < 20 and least <= int(value) <= largest):  # noqa: PLR2004
            raise Invalid(name, f"must be a number from {least} to {largest:,}")
        return int(value)
