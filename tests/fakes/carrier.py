"""A carrier that keeps the mails it is given, and what a test reads in one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hospitium.outside.mail import recipient_of

if TYPE_CHECKING:
    from email.message import EmailMessage

_LINK = re.compile(r"^(https?://\S+?)#([0-9A-Za-z]{32})$", re.MULTILINE)


class KeepingCarrier:
    """Takes every mail, and sends none."""

    def __init__(self) -> None:
        self.kept: list[EmailMessage] = []

    async def send(self, message: EmailMessage) -> None:
        """Keep one mail."""
        self.kept.append(message)


def _body(message: EmailMessage, kind: str) -> str:
    return message.get_body((kind,)).get_content().replace("\r\n", "\n")  # type: ignore[union-attr]


class ReceivedMail:
    """A mail as its reader has it."""

    def __init__(self, message: EmailMessage) -> None:
        self.message = message
        self.to = recipient_of(message)
        self.subject = str(message["Subject"]).strip()
        self.text = _body(message, "plain")
        self.html = _body(message, "html")

    def __repr__(self) -> str:
        return f"<mail to {self.to}: {self.subject}>"

    @property
    def link(self) -> str:
        """The one link it carries, token and all."""
        (found,) = _LINK.findall(self.text)
        return "#".join(found)

    @property
    def page(self) -> str:
        """Where its link leads: the address without language and token."""
        return self.link.partition("#")[0].partition("?")[0]

    @property
    def token(self) -> str:
        """The token of its one link."""
        return self.link.partition("#")[2]

    @property
    def has_link(self) -> bool:
        return bool(_LINK.search(self.text))
