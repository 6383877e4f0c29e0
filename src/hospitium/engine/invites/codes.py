"""The code of an invite and the answer to its question: how they are made, typed, compared, and what is kept of them.

A code is 8 of 32 symbols, so 40 bits: found again by a keyed hash whose key (the pepper) is kept outside the database, and
proved by a slow hash over code and answer together (rulings 18 and 19; threats B-08).
"""

from __future__ import annotations

import hmac
import secrets
import unicodedata
from typing import TYPE_CHECKING, Final

from hospitium.engine.errors import Invalid
from hospitium.engine.secrets import Password, Secret

if TYPE_CHECKING:
    from typing import Self

    from hospitium.engine.secrets import DerivationKey

SYMBOLS: Final = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
"""Letters and digits without those that look alike: O and 0, I and 1."""
CODE_LENGTH: Final = 8
LONGEST_TYPED_CODE: Final = 40
SHORTEST_ANSWER: Final = 2
LONGEST_ANSWER: Final = 128
LONGEST_QUESTION: Final = 200
_BETWEEN = dict.fromkeys(map(ord, " \t-\u2010\u2011\u2012\u2013\u2014\u2212\u00a0"))


class InviteCode(Secret):
    """What is handed over at the desk."""

    @classmethod
    def new(cls) -> Self:
        """Make one."""
        return cls("".join(secrets.choice(SYMBOLS) for _ in range(CODE_LENGTH)))

    @classmethod
    def typed(cls, text: str) -> Self | None:
        """Return what somebody typed, in any case, with spaces or hyphens between; None if no code looks like that."""
        if len(text) > LONGEST_TYPED_CODE:
            return None
        code = text.translate(_BETWEEN).upper()
        return cls(code) if len(code) == CODE_LENGTH and set(code) <= set(SYMBOLS) else None

    def digest(self, pepper: DerivationKey) -> bytes:
        """Return by what a row is found: an HMAC-SHA-256 with a key that is not in the database."""
        return hmac.digest(pepper.key, b"invite code\0" + self.reveal().encode(), "sha256")

    def grouped(self) -> str:
        """Return it as people read it: two groups of four."""
        code = self.reveal()
        return f"{code[:4]} {code[4:]}"


class InviteAnswer(Secret):
    """The answer to the question of an invite, in the one form in which answers are compared: whatever its case, width and spaces."""

    @classmethod
    def typed(cls, field: str, text: str, *, shortest: int = 1) -> Self:
        """Return what somebody typed. Raises Invalid: blank, or longer than anybody answers."""
        if len(text) > 4 * LONGEST_ANSWER:
            raise Invalid(field, f"must be at most {LONGEST_ANSWER} characters long")
        answer = " ".join(
            unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).split()
        )
        if not answer:
            raise Invalid(field, "must not be blank")
        if not shortest <= len(answer) <= LONGEST_ANSWER:
            raise Invalid(field, f"must be {shortest} to {LONGEST_ANSWER} characters long")
        return cls(answer)


def proof(code: InviteCode, answer: InviteAnswer) -> Password:
    """Return what the slow hash is made of: code and answer together."""
    return Password(f"{code.reveal()}\0{answer.reveal()}")
