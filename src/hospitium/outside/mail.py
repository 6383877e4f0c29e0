"""Mails leave the house here: one method, `send`, and two ways it can fail.

What carries them is an SMTP server (`smtp.py`) or, where none is set, a directory (`mailbox.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from email.message import EmailMessage


class Refused(Exception):
    """This mail was refused, by its recipient's server or for what it is: for good, or for now.

    `code` says where and with which number (`rcpt 550`), never in which words: they can hold an address.
    """

    def __init__(self, code: str, *, permanent: bool) -> None:
        super().__init__(code)
        self.code = code
        self.permanent = permanent


class Unreachable(Exception):
    """No mail leaves at present, this one or another: `kind` is one word for why, with a number where there is one."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class Carrier(Protocol):
    """What takes mails away."""

    async def send(self, message: EmailMessage) -> None:
        """Hand over one mail, which has one sender and one recipient. Raises Refused, Unreachable."""


def sender_of(message: EmailMessage) -> str:
    """Return the address a mail is from, as it is said to a mail server."""
    return _only_address(message, "From")


def recipient_of(message: EmailMessage) -> str:
    """Return the one address a mail is to; ValueError if it is not one."""
    return _only_address(message, "To")


def _only_address(message: EmailMessage, header: str) -> str:
    (value,) = message.get_all(header, [])
    (address,) = value.addresses
    found: str = address.addr_spec
    return found
