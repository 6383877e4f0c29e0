"""The mailbox directory: where mails go while there is no mail server, so that one can read them (`hospitium mailbox`).

One file a mail. Its name begins with the mail's time and the delivery's id, so that files sort by age, and a mail that is
written a second time replaces the first.
"""

from __future__ import annotations

import asyncio
import email
import errno
import os
from email import policy
from typing import TYPE_CHECKING

from hospitium.outside.mail import Unreachable

if TYPE_CHECKING:
    from email.message import EmailMessage
    from pathlib import Path


class MailboxDirectory:
    """Writes each mail into a directory only its owner can read: mails hold links that open accounts."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def send(self, message: EmailMessage) -> None:
        """Write one mail, whole or not at all. Raises Unreachable."""
        try:
            await asyncio.to_thread(self._write, message)
        except OSError as problem:
            code = errno.errorcode.get(problem.errno or 0, "")
            raise Unreachable(f"mailbox {code}".rstrip()) from problem

    def _write(self, message: EmailMessage) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory.chmod(0o700)
        at = message["Date"].datetime
        delivery_id = message["Message-ID"].strip("<>").partition("@")[0]
        path = self._directory / f"{at:%Y%m%dT%H%M%SZ}-{delivery_id}.eml"
        arriving = path.with_name(f".{path.name}.{os.getpid()}")
        handle = os.open(arriving, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(message.as_bytes(policy=policy.SMTPUTF8))
            arriving.replace(path)
        finally:
            arriving.unlink(missing_ok=True)


def mailbox_in(data: Path) -> Path:
    """Return where the mailbox directory of a data directory is."""
    return data / "mailbox"


def mails_in(directory: Path) -> list[Path]:
    """Return the mails of a directory, the oldest first."""
    return sorted(directory.glob("[!.]*.eml"))


def read_mail(path: Path) -> EmailMessage:
    """Return one mail of a directory."""
    with path.open("rb") as file:
        return email.message_from_binary_file(file, policy=policy.SMTPUTF8)
