"""What members of bodies and parameters take, as types: a member's type says in /openapi.json what the engine asks of it.

These are words for the document alone: what is wrong is still found, and named, by whoever has the rule (`engine/text.py`,
`engine/ids.py`, `engine/accounts/emails.py`). Tests hold the two together by sending what fits and what doesn't.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from msgspec import Meta

from hospitium.engine.accounts.passwords import LONGEST, LONGEST_TYPED, SHORTEST
from hospitium.engine.text import LONGEST_LINE, LONGEST_MESSAGE

# What is trimmed from both ends, and what no text of ours has inside. Spelled out, because what `\s` means is another thing
# in every language that reads such a pattern.
BLANK = r"\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
BAD = r"\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069"
BAD_IN_A_MESSAGE = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069"
_UUID = r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"

NAMED: dict[str, str] = {}
"""Every named type of a text, and the sentence that says what it takes."""


def takes(name: str, says: str, **schema: Any) -> Meta:
    """Return what stands in a type to say what a member takes: a name for it, a sentence, and JSON schema.

    The document has one schema of that name, however many members are of the type. Raises ValueError for a name that
    something else has.
    """
    if NAMED.setdefault(name, says) != says:
        raise ValueError(f"two types are called {name}")
    return Meta(description=says, extra_json_schema={"title": name, **schema})


def trimmed(pattern: str) -> str:
    """Return the pattern of a text that is trimmed at both ends before anybody looks at it."""
    return f"^[{BLANK}]*{pattern}[{BLANK}]*$"


Id = Annotated[
    str,
    takes(
        "Id",
        "An id: a UUID, or the 24 hexadecimal digits of the same id.",
        pattern=f"^(?:{_UUID}|[0-9a-fA-F]{{24}})$",
    ),
]
Instant = Annotated[datetime, Meta(tz=True)]
Text = Annotated[str, takes("Text", "Text without NUL characters.", pattern=r"^[^\x00]*$")]
Line = Annotated[
    str,
    takes(
        "Line",
        "One line of text, without control characters and without such as turn the direction of writing.",
        maxLength=LONGEST_LINE,
        pattern=trimmed(f"[^{BLANK}{BAD}][^{BAD}]*"),
    ),
]
OptionalLine = Annotated[
    str,
    takes(
        "OptionalLine",
        "One line of text, as `Line`; a blank one is none.",
        maxLength=LONGEST_LINE,
        pattern=trimmed(f"[^{BAD}]*"),
    ),
]
WebAddress = Annotated[
    str,
    takes(
        "WebAddress",
        "An address that begins with https:// or http://; a blank one is none.",
        maxLength=LONGEST_LINE,
        pattern=trimmed(f"(?:https?://[^{BLANK}{BAD}/][^{BAD}]*)?"),
    ),
]
Message = Annotated[
    str,
    takes(
        "Message",
        "Plain text of several lines, without other control characters; a blank one is none.",
        maxLength=LONGEST_MESSAGE,
        pattern=trimmed(f"[^{BAD_IN_A_MESSAGE}]*"),
    ),
]
TypedPassword = Annotated[
    Text, takes("TypedPassword", "A password, as it was typed.", maxLength=LONGEST_TYPED)
]
NewPassword = Annotated[
    str,
    takes(
        "NewPassword",
        "A password to be: of any characters, and none that everybody tries first.",
        minLength=SHORTEST,
        maxLength=LONGEST,
        pattern=r"^[^\x00]*$",
    ),
]
Token = Annotated[
    str, takes("Token", "What stands in a link after the #, 32 letters and digits.", pattern="^[^\\x00]*$")
]
Email = Annotated[str, takes("Email", "An e-mail address.", format="email")]
OptionalEmail = Annotated[
    str,
    takes(
        "OptionalEmail",
        "An e-mail address; a blank one is none.",
        anyOf=[{"format": "email"}, {"pattern": trimmed("")}],
        maxLength=LONGEST_LINE,
    ),
]
